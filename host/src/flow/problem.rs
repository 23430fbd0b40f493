//! What is wrong with a flow file, with its place in the file. Not what is wrong with a request: see inputs.rs.

use std::fmt::{self, Write as _};
use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

/// Part of the flow file, in bytes.
pub type Span = Range<usize>;

/// One thing that is wrong, or odd, in a flow file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable name for programs; prompt flow's where it has one, such as `NodeReferenceNotFound`.
    pub code: &'static str,
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
    /// Where; empty if only a point is known.
    pub span: Span,
    /// Counted from one, in characters.
    pub line: usize,
    pub column: usize,
    severity: Severity,
}

/// Something odd that does not keep a flow from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(Problem);

/// All that is wrong with a flow file.
///
/// `Display` is the headline. [`Problems::plain`] is everything as text; as a [`miette::Diagnostic`] it points into the
/// file.
#[derive(Debug)]
pub struct Problems {
    source: NamedSource<String>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

/// Collects while a flow file is checked.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Findings {
    pub(super) fn problem(&mut self, code: &'static str, span: &Span, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::new(code, span, message.into(), Severity::Error));
        self.problems.last_mut().expect("one was pushed above")
    }

    pub(super) fn warning(&mut self, code: &'static str, span: &Span, message: impl Into<String>) -> &mut Problem {
        self.warnings.push(Warning(Problem::new(code, span, message.into(), Severity::Warning)));
        &mut self.warnings.last_mut().expect("one was pushed above").0
    }

    /// Gives everything its line and column, in the order of the file, and decides: problems, or warnings only.
    pub(super) fn finish(mut self, origin: &str, text: &str) -> Result<Vec<Warning>, Problems> {
        let warnings = self.warnings.iter_mut().map(|warning| &mut warning.0);
        self.problems.iter_mut().chain(warnings).for_each(|problem| problem.locate(text));
        self.problems.sort_by_key(|problem| problem.span.start);
        self.warnings.sort_by_key(|warning| warning.0.span.start);
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        let source = NamedSource::new(origin, text.to_owned()).with_language("yaml");
        Err(Problems { source, problems: self.problems, warnings: self.warnings })
    }
}

impl Problem {
    fn new(code: &'static str, span: &Span, message: String, severity: Severity) -> Self {
        Self { code, message, help: None, span: span.clone(), line: 0, column: 0, severity }
    }

    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    fn plain(&self) -> String {
        let Self { line, column, message, .. } = self;
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{line}:{column}: {message}{help}")
    }

    fn locate(&mut self, text: &str) {
        let before = text.get(..self.span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.line = before.matches('\n').count() + 1;
        self.column = before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
    }
}

impl Warning {
    pub fn problem(&self) -> &Problem {
        &self.0
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
            let _ = write!(text, "\n  {}:{}", self.source.name(), problem.plain());
        }
        text
    }
}

/// The message alone: place and help are shown beside it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// One line, `LINE:COLUMN: message; help`.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.plain())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{} has {count} problem{}", self.source.name(), if count == 1 { "" } else { "s" })
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

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span.clone()))))
    }
}

impl Diagnostic for Problems {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let warnings = self.warnings.iter().map(|warning| &warning.0);
        Some(Box::new(self.problems.iter().chain(warnings).map(|problem| problem as &dyn Diagnostic)))
    }
}

/// The known name nearest to what was written, if it is near enough to be meant.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Names for a message: `a, b`, or a word for none.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

/// How many characters to insert, remove or replace (Levenshtein). Long names are not compared: the cost is the
/// product of the lengths, and nobody mistypes a name of that length.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_may_have_been_meant() {
        let known = ["inputs", "outputs", "nodes"];
        assert_eq!(nearest("input", known), Some("inputs"));
        assert_eq!(nearest("ouputs", known), Some("outputs"));
        assert_eq!(nearest("node", known), Some("nodes"));
        assert_eq!(nearest("entry", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), ["x"]), None);
    }

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let mut findings = Findings::default();
        findings.problem("Second", &(9..10), "b").help("do c");
        findings.problem("First", &(5..6), "a");
        let problems = findings.finish("flow.dag.yaml", "\u{feff}éx\ny\nz").unwrap_err();
        assert_eq!(
            problems.plain(),
            "flow.dag.yaml has 2 problems\n  flow.dag.yaml:1:2: a\n  flow.dag.yaml:3:1: b; do c"
        );
    }
}
