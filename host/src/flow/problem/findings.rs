//! Collects what is found while a flow is checked, and decides in the end. Not what a problem says: see ../problem.rs.

use std::sync::Arc;

use miette::Severity;

use super::source::File;
use super::{Problem, Problems, Span, Warning};

/// Most problems that are told of a flow, and most warnings. Whoever has more has made one mistake in many places, or
/// means harm: a flow file has room for some ten thousand.
const MAX_TOLD: usize = 200;

/// Which of the files of a flow something stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIndex(usize);

impl FileIndex {
    /// The flow file itself.
    pub(crate) const FLOW: Self = Self(0);
}

/// Collects while a flow is checked.
#[derive(Debug)]
pub(crate) struct Findings {
    files: Vec<Arc<File>>,
    /// What is found stands in this one.
    current: FileIndex,
    /// Code of a value that has not the shape its key asks for.
    misshapen: &'static str,
    problems: Told,
    warnings: Told,
}

/// What is told, and how much more there is.
#[derive(Debug)]
struct Told {
    told: Vec<Problem>,
    more: usize,
    /// Stands for the last one that is not told.
    untold: Problem,
}

impl Told {
    fn new() -> Self {
        let nothing = Problem::new("", None, &(0..0), String::new(), Severity::Error);
        Self { told: Vec::new(), more: 0, untold: Problem { is_told: false, ..nothing } }
    }

    fn len(&self) -> usize {
        self.told.len() + self.more
    }

    /// `make` is called if there is room.
    fn push(&mut self, make: impl FnOnce() -> Problem) -> &mut Problem {
        if self.told.len() >= MAX_TOLD {
            self.more += 1;
            return &mut self.untold;
        }
        self.told.push(make());
        self.told.last_mut().expect("one was pushed above")
    }

    /// Takes all but the first `kept` away: those that are told, and how many more.
    fn split_off(&mut self, kept: usize) -> (Vec<Problem>, usize) {
        let more = self.more - kept.saturating_sub(self.told.len()).min(self.more);
        self.more -= more;
        (self.told.split_off(kept.min(self.told.len())), more)
    }

    /// All in order, and last how many more there are.
    fn finish(self, kind: &str, severity: Severity, order: impl Fn(&Problem) -> (usize, usize)) -> Vec<Problem> {
        let Self { mut told, more, .. } = self;
        told.sort_by_key(order);
        if more > 0 {
            let message = format!("there are {more} more {kind}, which are not shown; mend these first");
            told.push(Problem::new("TooManyToShow", None, &(0..0), message, severity));
        }
        told
    }
}

impl Findings {
    /// `origin` is what to call the flow file in messages.
    pub(crate) fn of(origin: &str, text: &str) -> Self {
        let (problems, warnings) = (Told::new(), Told::new());
        let (files, current) = (Vec::new(), FileIndex::FLOW);
        let mut findings = Self { files, current, misshapen: "InvalidFlow", problems, warnings };
        findings.file(origin, text);
        findings
    }

    /// For a file that is no flow: the code of a value that has not the shape its key asks for.
    pub(crate) fn calling_misshapen(self, code: &'static str) -> Self {
        Self { misshapen: code, ..self }
    }

    pub(crate) fn misshapen(&self) -> &'static str {
        self.misshapen
    }

    /// A further file that problems may point into.
    pub(crate) fn file(&mut self, name: &str, text: &str) -> FileIndex {
        let known = self.files.iter().position(|file| file.is(name, text));
        FileIndex(known.unwrap_or_else(|| {
            self.files.push(Arc::new(File::new(name, text)));
            self.files.len() - 1
        }))
    }

    /// The file that spans are places of.
    pub(crate) fn current(&self) -> FileIndex {
        self.current
    }

    /// While `work` runs, spans are places of another file.
    pub(crate) fn within<T>(&mut self, file: FileIndex, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.current, file);
        let done = work(self);
        self.current = before;
        done
    }

    /// In the flow file, or whatever else is being read.
    pub(crate) fn problem(&mut self, code: &'static str, span: &Span, message: impl Into<String>) -> &mut Problem {
        self.problem_in(self.current, code, span, message)
    }

    /// In the flow file, or whatever else is being read.
    pub(crate) fn warning(&mut self, code: &'static str, span: &Span, message: impl Into<String>) -> &mut Problem {
        self.warning_in(self.current, code, span, message)
    }

    pub(crate) fn problem_in(
        &mut self,
        file: FileIndex,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        let file = &self.files[file.0];
        self.problems.push(|| Problem::new(code, Some(file.clone()), span, message.into(), Severity::Error))
    }

    pub(crate) fn warning_in(
        &mut self,
        file: FileIndex,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        let file = &self.files[file.0];
        self.warnings.push(|| Problem::new(code, Some(file.clone()), span, message.into(), Severity::Warning))
    }

    /// In no file of the flow: the message says where.
    pub(crate) fn problem_elsewhere(&mut self, code: &'static str, message: impl Into<String>) -> &mut Problem {
        self.problems.push(|| Problem::new(code, None, &(0..0), message.into(), Severity::Error))
    }

    /// In no file of the flow: the message says where.
    pub(crate) fn warning_elsewhere(&mut self, code: &'static str, message: impl Into<String>) {
        self.warnings.push(|| Problem::new(code, None, &(0..0), message.into(), Severity::Warning));
    }

    /// How many problems there are. What is checked between two looks at it is sound if it has not grown.
    pub(crate) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// Makes warnings of all problems but the first `before`.
    pub(crate) fn demote(&mut self, before: usize) {
        let (demoted, more) = self.problems.split_off(before);
        for problem in demoted {
            self.warnings.push(|| Problem { severity: Severity::Warning, ..problem });
        }
        self.warnings.more += more;
    }

    /// Puts all in the order of the file, and decides: problems, or warnings only.
    pub(crate) fn finish(self) -> Result<Vec<Warning>, Problems> {
        let Self { files, problems, warnings, .. } = self;
        let order = |problem: &Problem| order(&files, problem);
        let problems = problems.finish("problems", Severity::Error, order);
        let warnings = warnings.finish("warnings", Severity::Warning, order).into_iter().map(Warning).collect();
        if problems.is_empty() {
            return Ok(warnings);
        }
        Err(Problems { flow_file: files[0].name().to_owned(), problems, warnings })
    }
}

/// By file and place; what is in no file comes last.
fn order(files: &[Arc<File>], problem: &Problem) -> (usize, usize) {
    let file = problem.file.as_ref().and_then(|file| files.iter().position(|known| Arc::ptr_eq(known, file)));
    (file.unwrap_or(usize::MAX), problem.span.start)
}

#[cfg(test)]
mod tests {
    use super::super::MAX_MESSAGE;
    use super::*;

    #[test]
    fn no_more_is_told_than_anyone_reads() {
        let mut findings = Findings::of("flow.dag.yaml", &"x".repeat(100_000));
        for number in 0..1_000 {
            let problem = findings.problem("Code", &(number..number + 1), "m".repeat(number * 10));
            problem.help_with(|| "h".repeat(number * 10));
        }
        let before = findings.problems();
        findings.problem("Code", &(0..1), "becomes a warning");
        findings.demote(before);
        let problems = findings.finish().unwrap_err();
        assert_eq!(problems.problems().len(), MAX_TOLD + 1);
        let last = problems.problems().last().map(|problem| (problem.code, problem.message.as_str()));
        assert_eq!(last, Some(("TooManyToShow", "there are 800 more problems, which are not shown; mend these first")));
        assert_eq!(
            problems.warnings().iter().map(|warning| warning.problem().message.as_str()).collect::<Vec<_>>(),
            ["there are 1 more warnings, which are not shown; mend these first"]
        );
        assert!(problems.plain().len() < 2 * MAX_TOLD * (MAX_MESSAGE + 100));
    }
}
