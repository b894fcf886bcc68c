//! Medians and ratios of paired runs.

/// The median; 0 for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (
        sorted.len() % 2,
        sorted.get(middle),
        sorted.get(middle.wrapping_sub(1)),
    ) {
        (1, Some(value), _) => *value,
        (_, Some(upper), Some(lower)) => f64::midpoint(*lower, *upper),
        _ => 0.0,
    }
}

/// The median of `a[i] / b[i]`: runs are paired so that a machine that slows down slows both.
#[must_use]
pub fn median_ratio(a: &[f64], b: &[f64]) -> f64 {
    let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
    median(&ratios)
}

/// The mean of ratios; 1 for none.
#[must_use]
pub fn geometric_mean(ratios: &[f64]) -> f64 {
    let (sum, count) = ratios.iter().fold((0.0, 0.0f64), |(sum, count), ratio| {
        (sum + ratio.ln(), count + 1.0)
    });
    (sum / count.max(1.0)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert!((geometric_mean(&[0.5, 2.0, 1.0]) - 1.0).abs() < 1e-9);
        assert_eq!(median_ratio(&[2.0, 9.0, 4.0], &[1.0, 3.0, 2.0]), 2.0);
    }
}
