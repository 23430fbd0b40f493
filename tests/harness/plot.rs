//! Draws figures of a run as an SVG: one line for each series over a common axis.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const WIDTH: f64 = 840.0;
const HEIGHT: f64 = 360.0;
/// Room for the numbers at the left and below, and for the names of the series above.
const LEFT: f64 = 64.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 40.0;
const RIGHT: f64 = 16.0;

/// Lines of an axis in between, with their numbers.
const STEPS: u32 = 4;

/// Okabe and Ito's, which people who see colours differently can tell apart.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// A line: its name, and its points.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Writes the picture: `across` and `up` name the axes, with their units.
///
/// # Panics
///
/// If there are no points, or the file cannot be written.
pub fn draw(path: &Path, title: &str, (across, up): (&str, &str), series: &[Series]) {
    fs::write(path, svg(title, (across, up), series)).expect("the picture can be written");
}

fn svg(title: &str, (across, up): (&str, &str), series: &[Series]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let most = |part: fn(&(f64, f64)) -> f64| points().map(part).fold(0.0, f64::max);
    let (right, high) = (most(|point| point.0), round_up(most(|point| point.1)));
    assert!(right > 0.0 && high > 0.0, "there is nothing to draw");
    let x = |value: f64| LEFT + value / right * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / high * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">{title}</text>\n"
    );
    let mut add = |line: String| svg.write_fmt(format_args!("{line}\n")).expect("a String takes any text");
    for step in 0..=STEPS {
        let share = f64::from(step) / f64::from(STEPS);
        let (value, line) = (high * share, y(high * share));
        add(format!("<path d=\"M{LEFT} {line:.1}H{:.1}\" stroke=\"#ddd\"/>", WIDTH - RIGHT));
        add(format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", LEFT - 6.0, line + 4.0));
        let (value, column) = (right * share, x(right * share));
        add(format!(
            "<text x=\"{column:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.0}</text>",
            HEIGHT - BOTTOM + 16.0
        ));
    }
    add(format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{across}</text>", WIDTH - RIGHT, HEIGHT - 8.0));
    add(format!("<text x=\"8\" y=\"{:.1}\">{up}</text>", TOP - 10.0));
    for (index, series) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line: Vec<_> = series.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            line.join(" ")
        ));
        let column = LEFT + 160.0 * (index + 1) as f64;
        add(format!("<text x=\"{column}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>", TOP - 10.0, series.name));
    }
    svg.push_str("</svg>\n");
    svg
}

/// The next number that reads well as the end of an axis: 1, 2, 4 or 8 with noughts.
fn round_up(value: f64) -> f64 {
    let magnitude = 10_f64.powf(value.max(f64::MIN_POSITIVE).log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|end| *end >= value).unwrap_or(value)
}
