//! A picture of ratios, as SVG: one bar a measure on a logarithmic scale, to the left of the line
//! where Kiln needs less, to the right where it needs more.

use std::fmt::Write;

const LEFT: f64 = 190.0;
const WIDTH: f64 = 560.0;
const STEP: f64 = 18.0;
const TOP: f64 = 40.0;
/// The scale runs from 1/32 to 2.
const LEAST: f64 = 1.0 / 32.0;
const MOST: f64 = 2.0;

fn place(ratio: f64) -> f64 {
    let share = (ratio.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    LEFT + share * WIDTH
}

/// The whole file.
#[must_use]
pub fn ratios(bars: &[(String, f64)], title: &str) -> String {
    let mut height = TOP + 20.0;
    let mut body = String::new();
    for (name, ratio) in bars {
        let y = height - 20.0;
        let (from, to) = (place(*ratio).min(place(1.0)), place(*ratio).max(place(1.0)));
        let colour = if *ratio > 1.0 { "#c0392b" } else { "#2e7d6b" };
        // Writing to a string can't fail.
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{from:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{ratio:.2}</text>",
            LEFT - 8.0,
            y + 10.0,
            y,
            (to - from).max(1.0),
            LEFT + WIDTH + 8.0,
            y + 10.0,
        );
        height += STEP;
    }
    for mark in [0.0625, 0.125, 0.25, 0.5, 1.0] {
        let x = place(mark);
        let _ = writeln!(
            body,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.0}\" y2=\"{:.0}\" stroke=\"#888\" stroke-width=\"{}\"/>\
             <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{mark}</text>",
            TOP - 6.0,
            height - 20.0,
            if mark < 1.0 { "0.4" } else { "1.2" },
            TOP - 10.0,
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{height:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"14\">{title}</text>\n{body}</svg>\n",
        LEFT + WIDTH + 60.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_for_each_ratio() {
        let bars = [("fast", 0.25), ("slow", 1.5)].map(|(name, ratio)| (name.to_owned(), ratio));
        let svg = ratios(&bars, "Linux");
        assert_eq!(svg.matches("<rect x").count(), 2);
        assert!(svg.contains(">0.25<") && svg.contains(">1.50<"));
    }
}
