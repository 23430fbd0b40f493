//! A file that problems point into, and the part of it that is shown around one. Not what is wrong: see ../problem.rs.

use std::ops::Range;
use std::sync::OnceLock;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::Span;

/// Most bytes of a file that are shown around a problem. Lines that people write stay far below; of longer ones a part
/// is shown.
const MAX_SHOWN: usize = 1024;

/// Of a line that is too long: how much of it is shown before a problem, and from it on.
const SHOWN_BEFORE: usize = 40;
const SHOWN_AFTER: usize = 80;

/// Lines around a problem that are shown with it: what miette asks for.
const CONTEXT: usize = 1;

#[derive(Debug)]
pub(super) struct File {
    name: String,
    text: String,
    /// Where each line begins.
    lines: OnceLock<Vec<usize>>,
}

impl File {
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), lines: OnceLock::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is(&self, name: &str, text: &str) -> bool {
        self.name == name && self.text == text
    }

    /// Line and column of a byte, counted from one, in characters.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let at = self.boundary(at);
        let line = self.line_of(at);
        let before = self.text[self.line_start(line)..at].trim_start_matches('\u{feff}');
        (line + 1, before.chars().count() + 1)
    }

    /// What is underlined of a problem at this place: all of it, as far as it is shown.
    pub(super) fn underlined(&self, span: &Span) -> Span {
        let start = self.boundary(span.start);
        let part = self.shown(&(start..self.boundary(span.end).max(start)), CONTEXT, CONTEXT);
        start..self.boundary(span.end).clamp(start, part.end.max(start))
    }

    /// The lines of a place with so many others, or a part of its first line if that would be too much.
    fn shown(&self, span: &Span, before: usize, after: usize) -> Range<usize> {
        let (first, last) = (self.line_of(span.start), self.line_of(span.end));
        let lines = self.line_start(first.saturating_sub(before))..self.line_start(last + after + 1);
        if lines.len() <= MAX_SHOWN {
            return lines;
        }
        let start = self.boundary(span.start.saturating_sub(SHOWN_BEFORE)).max(self.line_start(first));
        let end = self.boundary(span.start + SHOWN_AFTER).min(self.line_start(first + 1));
        start..end.max(span.start)
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines().partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Where a line begins, counted from zero; past the last one, the end of the text.
    fn line_start(&self, line: usize) -> usize {
        self.lines().get(line).copied().unwrap_or(self.text.len())
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let after = |(at, byte): (usize, u8)| (byte == b'\n').then_some(at + 1);
            std::iter::once(0).chain(self.text.bytes().enumerate().filter_map(after)).collect()
        })
    }

    /// The end of a character at a byte, or before it.
    fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

impl SourceCode for File {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let span = self.boundary(span.offset())..self.boundary(span.offset().saturating_add(span.len()));
        let part = self.shown(&span, before, after);
        let end = span.end.min(part.end);
        let within = SourceSpan::from((span.start - part.start, end.saturating_sub(span.start)));
        let read = self.text[part.clone()].read_span(&within, before, after)?;
        let line = self.line_of(part.start);
        let left_out = if read.line() == 0 && before == 0 { part.start - self.line_start(line) } else { 0 };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            read.data(),
            SourceSpan::from((part.start + read.span().offset(), read.span().len())),
            line + read.line(),
            left_out + read.column(),
            read.line_count(),
        )))
    }
}
