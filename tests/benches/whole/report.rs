//! What was measured, beside what it should be: as text, as RESULTS.md, and as pictures.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use harness::plot::{Series, draw};

use crate::missed;

/// A figure beside its target.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) measure: String,
    pub(crate) target: String,
    /// One for each round.
    pub(crate) values: Vec<f64>,
    pub(crate) unit: &'static str,
    /// None: there is no target.
    pub(crate) met: Option<bool>,
}

/// How something grows.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    pub(crate) file: &'static str,
    pub(crate) title: String,
    pub(crate) axes: (&'static str, &'static str),
    pub(crate) series: Vec<Series>,
    /// What the line through the points says.
    pub(crate) says: String,
}

impl Row {
    fn text(&self) -> String {
        let Self { measure, target, values, unit, met } = self;
        let rounds = values.iter().map(|it| shown(*it)).collect::<Vec<_>>().join(", ");
        let met = met.map_or("–", |met| if met { "yes" } else { "**no**" });
        format!("| {measure} | {target} | {} {unit} | {rounds} | {met} |", shown(median(values)))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    growths: Vec<Growth>,
}

impl Report {
    /// A figure that must not be more than `most`.
    pub(crate) fn at_most(&mut self, measure: impl Into<String>, values: Vec<f64>, most: f64, unit: &'static str) {
        let met = Some(median(&values) <= most);
        self.add(Row { measure: measure.into(), target: format!("≤ {most} {unit}"), values, unit, met });
    }

    /// A figure that must not be less than `least`.
    pub(crate) fn at_least(&mut self, measure: impl Into<String>, values: Vec<f64>, least: f64, unit: &'static str) {
        let met = Some(median(&values) >= least);
        self.add(Row { measure: measure.into(), target: format!("≥ {least} {unit}"), values, unit, met });
    }

    /// A figure that others are made of.
    pub(crate) fn figure(&mut self, measure: impl Into<String>, values: Vec<f64>, unit: &'static str) {
        self.add(Row { measure: measure.into(), target: "–".to_owned(), values, unit, met: None });
    }

    /// Whoever watches sees it at once: all of it takes minutes.
    fn add(&mut self, row: Row) {
        println!("{}", row.text());
        self.rows.push(row);
    }

    pub(crate) fn grows(&mut self, growth: Growth) {
        println!("{}: {}", growth.title, growth.says);
        self.growths.push(growth);
    }

    pub(crate) fn text(&self) -> String {
        let mut text = "| measure | target | median | rounds | met |\n| --- | --- | --- | --- | --- |\n".to_owned();
        for row in &self.rows {
            writeln!(text, "{}", row.text()).expect("a string takes all");
        }
        for growth in &self.growths {
            writeln!(text, "\n{}: {}", growth.title, growth.says).expect("a string takes all");
            for series in &growth.series {
                let points = series.points.iter().map(|(x, y)| format!("{x}: {}", shown(*y))).collect::<Vec<_>>();
                writeln!(text, "  {}: {}", series.name, points.join(", ")).expect("a string takes all");
            }
        }
        text
    }

    /// Writes RESULTS.md and the pictures beside it.
    pub(crate) fn write(&self) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches");
        let mut text = format!("# What weir costs\n\nWritten by `make bench`. {}\n\n", machine());
        text.push_str(
            "What is compared took turns within this run. A figure is the median of its rounds, which stand beside it.\n\n",
        );
        text.push_str(self.text().split("\n\n").next().unwrap_or_default());
        text.push_str("\n\n## What is missed, and why\n\n");
        for row in self.rows.iter().filter(|row| row.met == Some(false)) {
            writeln!(text, "- **{}**: {}", row.measure, missed::why(&row.measure)).expect("a string takes all");
        }
        text.push_str("\n## How it grows\n");
        for growth in &self.growths {
            let Growth { file, title, axes, series, says } = growth;
            draw(&folder.join(file), title, *axes, series);
            write!(text, "\n{title}: {says}\n\n![{title}]({file})\n").expect("a string takes all");
        }
        fs::write(folder.join("RESULTS.md"), text).expect("the results can be written");
    }
}

/// Where and when this is.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
    };
    format!(
        "{cores} cores ({}), Linux {}, {}, commit {}; the load runs on the same cores.",
        model.trim_start_matches([' ', '\t', ':']),
        said("uname", &["-r"]),
        said("date", &["-u", "+%Y-%m-%d"]),
        said("git", &["rev-parse", "--short", "HEAD"]),
    )
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Three digits that count.
fn shown(value: f64) -> String {
    match value.abs() {
        it if it >= 100.0 => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        it if it >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The line through points that is nearest to them: where it begins, and how steep it is.
pub(crate) fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count));
    let over = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
    let under = points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    let slope = over / under;
    (y - slope * x, slope)
}
