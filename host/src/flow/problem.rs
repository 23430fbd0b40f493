//! What is wrong with a flow, with its place in the file it is written in. Not what is wrong with a request: see
//! inputs.rs.

mod findings;
mod names;
mod source;

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};
use serde_json::json;

pub(crate) use findings::{FileIndex, Findings};
pub(crate) use names::listed;
pub use names::nearest;
use source::File;

/// Longest message and longest help, in bytes. Both quote the file, which may hold texts of any length.
const MAX_MESSAGE: usize = 2048;

/// Part of a file, in bytes.
pub type Span = Range<usize>;

/// One thing that is wrong, or odd, about a flow.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Stable name for programs; prompt flow's where it has one, such as `NodeReferenceNotFound`.
    pub code: &'static str,
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
    /// Where in its file; empty if only a point is known.
    pub span: Span,
    /// Counted from one, in characters.
    pub line: usize,
    pub column: usize,
    severity: Severity,
    /// The file it stands in: the flow file, a template, a prompty. None: in no file of the flow, the message says where.
    file: Option<Arc<File>>,
    /// Whether anyone will read it: see [`MAX_TOLD`].
    is_told: bool,
}

/// Something odd that does not keep a flow from running.
#[derive(Clone, Debug)]
pub struct Warning(Problem);

/// All that is wrong with a flow.
///
/// `Display` is the headline. [`Problems::plain`] is everything as text, [`Problems::to_json`] for programs; as a
/// [`miette::Diagnostic`] it points into the files.
#[derive(Debug)]
pub struct Problems {
    flow_file: String,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Problem {
    fn new(code: &'static str, file: Option<Arc<File>>, span: &Span, message: String, severity: Severity) -> Self {
        let (line, column) = file.as_ref().map_or((0, 0), |file| file.place(span.start));
        let message = shortened(message);
        Self { code, message, help: None, span: span.clone(), line, column, severity, file, is_told: true }
    }

    pub fn help(&mut self, help: impl Into<String>) {
        self.help = Some(shortened(help.into()));
    }

    /// [`Problem::help`] where the help takes work, which is done only if it is told.
    pub(super) fn help_with(&mut self, help: impl FnOnce() -> String) {
        self.help_if(|| Some(help()));
    }

    /// The same of a help that is not always known.
    pub(super) fn help_if(&mut self, help: impl FnOnce() -> Option<String>) {
        if let Some(help) = self.is_told.then(help).flatten() {
            self.help(help);
        }
    }

    /// Name of the file it stands in; none if it stands in no file of the flow.
    pub fn file(&self) -> Option<&str> {
        self.file.as_ref().map(|file| file.name())
    }

    fn plain(&self) -> String {
        let Self { line, column, message, .. } = self;
        let place = self.file().map(|file| format!("{file}:{line}:{column}: ")).unwrap_or_default();
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{place}{message}{help}")
    }

    fn to_json(&self) -> serde_json::Value {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        let mut json = json!({"severity": severity, "code": self.code, "message": self.message});
        if let Some(help) = &self.help {
            json["help"] = help.as_str().into();
        }
        if let Some(file) = self.file() {
            json["file"] = file.into();
            json["line"] = self.line.into();
            json["column"] = self.column.into();
            json["span"] = json!([self.span.start, self.span.end]);
        }
        json
    }
}

/// The beginning of a text that is too long to be read.
fn shortened(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE));
        text.push('…');
    }
    text
}

impl Warning {
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    pub fn to_json(&self) -> serde_json::Value {
        self.0.to_json()
    }
}

impl Problems {
    /// In the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What was odd beside what is wrong.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Headline and problems as plain lines, `FILE:LINE:COLUMN: message; help`.
    pub fn plain(&self) -> String {
        let mut text = self.to_string();
        for problem in &self.problems {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {}", problem.plain());
        }
        text
    }

    /// Problems, then warnings, one object each: `severity`, `code`, `message`, `help` if there is any, and, for what
    /// stands in a file, `file`, `line` and `column` (from one, in characters) and `span` (in bytes).
    pub fn to_json(&self) -> Vec<serde_json::Value> {
        let warnings = self.warnings.iter().map(Warning::to_json);
        self.problems.iter().map(Problem::to_json).chain(warnings).collect()
    }
}

/// The message alone: place and help are shown beside it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// One line, `FILE:LINE:COLUMN: message; help`.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.plain())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{} has {count} problem{}", self.flow_file, if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Problem {}

impl std::error::Error for Problems {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.file.as_deref().map(|file| file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let file = self.file.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(file.underlined(&self.span)))))
    }
}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let warnings = self.warnings.iter().map(|warning| &warning.0);
        Some(Box::new(self.problems.iter().chain(warnings).map(|problem| problem as &dyn Diagnostic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_line_a_part_is_shown() {
        let text = format!("a\n{}é wrong {}\nb", "x".repeat(5_000), "y".repeat(5_000));
        let at = text.find("wrong").unwrap();
        let mut findings = Findings::of("flow.dag.yaml", &text);
        findings.problem("Code", &(at..text.len()), "m");
        let problems = findings.finish().unwrap_err();
        let mut shown = String::new();
        let theme = miette::GraphicalTheme::unicode_nocolor();
        miette::GraphicalReportHandler::new_themed(theme).render_report(&mut shown, &problems).unwrap();
        let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
        let (before, after) = ("x".repeat(37), "y".repeat(74));
        assert_eq!(
            lines[lines.len() - 4..],
            [
                "   ╭─[flow.dag.yaml:2:5004]".to_owned(),
                format!(" 2 │ {before}é wrong {after}"),
                format!("   · {}{}", " ".repeat(39), "─".repeat(80)),
                "   ╰────".to_owned(),
            ],
            "{shown}"
        );
        assert_eq!((problems.problems()[0].line, problems.problems()[0].column), (2, 5003));
    }

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let mut findings = Findings::of("flow.dag.yaml", "\u{feff}éx\ny\nz");
        findings.problem("Second", &(9..10), "b").help("do c");
        findings.problem("First", &(5..6), "a");
        let problems = findings.finish().unwrap_err();
        assert_eq!(
            problems.plain(),
            "flow.dag.yaml has 2 problems\n  flow.dag.yaml:1:2: a\n  flow.dag.yaml:3:1: b; do c"
        );
    }
}
