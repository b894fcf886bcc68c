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

/// The least and the greatest of `a[i] / b[i]`; 1 and 1 for none.
#[must_use]
pub fn spread(a: &[f64], b: &[f64]) -> [f64; 2] {
    let ratios = a.iter().zip(b).map(|(a, b)| a / b);
    let least = ratios.clone().min_by(f64::total_cmp);
    [least, ratios.max_by(f64::total_cmp)].map(|ratio| ratio.unwrap_or(1.0))
}

/// The mean of ratios; 1 for none.
#[must_use]
pub fn geometric_mean(ratios: &[f64]) -> f64 {
    let (sum, count) = ratios.iter().fold((0.0, 0.0f64), |(sum, count), ratio| {
        (sum + ratio.ln(), count + 1.0)
    });
    (sum / count.max(1.0)).exp()
}

/// The 95 % interval of the geometric mean, as if the ratios' logarithms were normally distributed.
#[must_use]
pub fn interval(ratios: &[f64]) -> [f64; 2] {
    let (sum, count) = ratios.iter().fold((0.0, 0.0f64), |(sum, count), ratio| {
        (sum + ratio.ln(), count + 1.0)
    });
    let mean = sum / count.max(1.0);
    let squares: f64 = ratios.iter().map(|ratio| (ratio.ln() - mean).powi(2)).sum();
    // The standard error of the mean; 1.96 of them on either side hold 95 %.
    let margin = 1.96 * (squares / (count - 1.0).max(1.0) / count.max(1.0)).sqrt();
    [(mean - margin).exp(), (mean + margin).exp()]
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
        let [low, high] = interval(&[0.5, 2.0]);
        assert!(low < 1.0 && high > 1.0 && (low * high - 1.0).abs() < 1e-9);
        assert_eq!(interval(&[0.25, 0.25]), [0.25, 0.25]);
        assert_eq!(spread(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
        assert_eq!(median_ratio(&[2.0, 9.0, 4.0], &[1.0, 3.0, 2.0]), 2.0);
    }
}
