//! What is wrong with a flow, with its place in the file it is written in. Not what is wrong with a request: see
//! inputs.rs.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};
use serde_json::json;

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
    file: Option<Arc<NamedSource<String>>>,
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

/// Which of the files of a flow something stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIndex(usize);

impl FileIndex {
    /// The flow file itself.
    pub(super) const FLOW: Self = Self(0);
}

/// Collects while a flow is checked.
#[derive(Debug)]
pub(super) struct Findings {
    files: Vec<Arc<NamedSource<String>>>,
    /// What is found stands in this one.
    current: FileIndex,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Findings {
    /// `origin` is what to call the flow file in messages.
    pub(super) fn of(origin: &str, text: &str) -> Self {
        let (problems, warnings) = (Vec::new(), Vec::new());
        let mut findings = Self { files: Vec::new(), current: FileIndex::FLOW, problems, warnings };
        findings.file(origin, text);
        findings
    }

    /// A further file that problems may point into.
    pub(super) fn file(&mut self, name: &str, text: &str) -> FileIndex {
        self.files.push(Arc::new(NamedSource::new(name, text.to_owned())));
        FileIndex(self.files.len() - 1)
    }

    /// The file that spans are places of.
    pub(super) fn current(&self) -> FileIndex {
        self.current
    }

    /// While `work` runs, spans are places of another file.
    pub(super) fn within<T>(&mut self, file: FileIndex, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.current, file);
        let done = work(self);
        self.current = before;
        done
    }

    /// In the flow file, or whatever else is being read.
    pub(super) fn problem(&mut self, code: &'static str, span: &Span, message: impl Into<String>) -> &mut Problem {
        self.problem_in(self.current, code, span, message)
    }

    /// In the flow file, or whatever else is being read.
    pub(super) fn warning(&mut self, code: &'static str, span: &Span, message: impl Into<String>) -> &mut Problem {
        self.warning_in(self.current, code, span, message)
    }

    pub(super) fn problem_in(
        &mut self,
        file: FileIndex,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        let file = self.files[file.0].clone();
        self.problems.push(Problem::new(code, Some(file), span, message.into(), Severity::Error));
        self.problems.last_mut().expect("one was pushed above")
    }

    pub(super) fn warning_in(
        &mut self,
        file: FileIndex,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        let file = self.files[file.0].clone();
        self.warnings.push(Warning(Problem::new(code, Some(file), span, message.into(), Severity::Warning)));
        &mut self.warnings.last_mut().expect("one was pushed above").0
    }

    /// In no file of the flow: the message says where.
    pub(super) fn problem_elsewhere(&mut self, code: &'static str, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::new(code, None, &(0..0), message.into(), Severity::Error));
        self.problems.last_mut().expect("one was pushed above")
    }

    /// In no file of the flow: the message says where.
    pub(super) fn warning_elsewhere(&mut self, code: &'static str, message: impl Into<String>) {
        self.warnings.push(Warning(Problem::new(code, None, &(0..0), message.into(), Severity::Warning)));
    }

    /// How many problems there are. What is checked between two looks at it is sound if it has not grown.
    pub(super) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// Makes warnings of all problems but the first `before`.
    pub(super) fn demote(&mut self, before: usize) {
        let demoted = self.problems.drain(before..);
        self.warnings.extend(demoted.map(|problem| Warning(Problem { severity: Severity::Warning, ..problem })));
    }

    /// Puts all in the order of the file, and decides: problems, or warnings only.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, Problems> {
        let (mut problems, mut warnings) = (std::mem::take(&mut self.problems), std::mem::take(&mut self.warnings));
        problems.sort_by_key(|problem| self.order(problem));
        warnings.sort_by_key(|warning| self.order(&warning.0));
        if problems.is_empty() {
            return Ok(warnings);
        }
        Err(Problems { flow_file: self.files[0].name().to_owned(), problems, warnings })
    }

    /// By file and place; what is in no file comes last.
    fn order(&self, problem: &Problem) -> (usize, usize) {
        let file = problem.file.as_ref().and_then(|file| self.files.iter().position(|known| Arc::ptr_eq(known, file)));
        (file.unwrap_or(usize::MAX), problem.span.start)
    }
}

impl Problem {
    fn new(
        code: &'static str,
        file: Option<Arc<NamedSource<String>>>,
        span: &Span,
        message: String,
        severity: Severity,
    ) -> Self {
        let (line, column) = file.as_ref().map_or((0, 0), |file| place(file.inner(), span.start));
        Self { code, message, help: None, span: span.clone(), line, column, severity, file }
    }

    pub fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
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

/// Line and column of a byte, counted from one, in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
    (before.matches('\n').count() + 1, column)
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
        self.file.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span.clone()))))
    }
}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let warnings = self.warnings.iter().map(|warning| &warning.0);
        Some(Box::new(self.problems.iter().chain(warnings).map(|problem| problem as &dyn Diagnostic)))
    }
}

/// The known name nearest to what was written, if it is near enough to be meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
