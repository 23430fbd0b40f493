//! `${inputs.question}`, `${node.output.items[0]}`: the one parser of references. Not what they resolve to: see
//! check.rs for names, [`Path::of`] for properties.

use std::fmt;

use super::value::{Json, View, member, view};

/// Longest reference, in bytes. Names and keys are far shorter; the bound is for flow files that nobody wrote by hand.
const MAX_LENGTH: usize = 1024;

/// Most steps of a path. Deeper structures exist, but nobody addresses them from a flow file.
const MAX_STEPS: usize = 16;

/// Where a value comes from, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The flow's input of this name. All that follows the prefix is the name, so inputs take no path.
    Input(String),
    /// The output of the node of this name, or a part of it.
    Node { name: String, path: Path },
}

/// Which part of a node's output: empty for the whole. Paths are the same that lead to the same part.
#[derive(Clone, Debug, Default)]
pub struct Path {
    steps: Vec<Step>,
    /// As the file has it, behind `output` and its dot.
    written: String,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps
    }
}

impl Eq for Path {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Text that stands where a reference does but cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    #[error("`${{{node}.{section}…}}`: a node has no {section:?}, only `output`; write `${{{node}.output.{section}}}`")]
    Section { node: String, section: String },
    #[error("`${{{inner}}}`: blanks belong to the name; write `${{{}}}`", .inner.trim())]
    Blanks { inner: String },
    #[error("reference is longer than {MAX_LENGTH} bytes")]
    TooLong,
    #[error("reference has more than {MAX_STEPS} steps")]
    TooDeep,
}

impl Reference {
    /// Reads a value of a flow file. None: it is a literal, because a reference is the whole text or nothing.
    ///
    /// # Errors
    /// If it is written as a reference but cannot be one.
    pub fn parse(text: &str) -> Option<Result<Self, BadReference>> {
        let inner = text.strip_prefix("${")?.strip_suffix('}')?;
        Some(if text.len() > MAX_LENGTH { Err(BadReference::TooLong) } else { Self::parse_inner(inner) })
    }

    fn parse_inner(inner: &str) -> Result<Self, BadReference> {
        // `flow.` is what `inputs.` was called before prompt flow's first release; files still have it.
        if let Some(name) = inner.strip_prefix("inputs.").or_else(|| inner.strip_prefix("flow.")) {
            return Ok(Self::Input(name.to_owned()));
        }
        if inner.trim() != inner {
            return Err(BadReference::Blanks { inner: inner.to_owned() });
        }
        let Some((node, rest)) = inner.split_once('.') else {
            return Ok(Self::Node { name: inner.to_owned(), path: Path::default() });
        };
        let section = rest.split(['.', '[']).next().unwrap_or_default();
        if section != "output" {
            return Err(BadReference::Section { node: node.to_owned(), section: section.to_owned() });
        }
        Ok(Self::Node { name: node.to_owned(), path: Path::parse(&rest[section.len()..])? })
    }

    /// Characters of a reference's path that prompt flow passes over, such as the `-` of `${n.output.a-b}`, which it
    /// reads as `a` then `b`. Hardly ever what was meant.
    pub(super) fn passed_over(text: &str) -> Option<char> {
        let path = &text[text.find(".output")?..];
        let path = path.strip_prefix(".output")?.strip_suffix('}')?;
        tokens(path).find_map(|token| match token {
            Token::Other(c) if c != '.' => Some(c),
            _ => None,
        })
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self, BadReference> {
        let steps: Vec<Step> = tokens(text)
            .filter_map(|token| match token {
                Token::Step(step) => Some(step),
                Token::Other(_) => None,
            })
            .take(MAX_STEPS + 1)
            .collect();
        let written = text.strip_prefix('.').unwrap_or(text).to_owned();
        if steps.len() > MAX_STEPS { Err(BadReference::TooDeep) } else { Ok(Self { steps, written }) }
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// As the file has it: `items.[1]`.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The part of `value` this path names. None if there is no such part: a key of something that is no object, an
    /// index past the end of a list.
    pub fn of(&self, value: &Json) -> Option<Json> {
        if self.is_empty() {
            return Some(value.clone());
        }
        let part = self.steps.iter().try_fold(value.as_str(), |here, step| match step {
            Step::Key(key) => member(here, key),
            Step::Index(index) => match view(here) {
                View::List(items) => items.get(*index).map(|item| item.get()),
                _ => None,
            },
        })?;
        Some(Json::part(part))
    }
}

enum Token {
    Step(Step),
    Other(char),
}

/// Splits a path as prompt flow does, by the pattern `(\w+)|(\['.*?'\])|(\[\d+\])`.
fn tokens(mut rest: &str) -> impl Iterator<Item = Token> {
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (token, length) = word(rest)
            .or_else(|| quoted_key(rest))
            .or_else(|| index(rest))
            .map_or_else(|| (Token::Other(first), first.len_utf8()), |(step, length)| (Token::Step(step), length));
        rest = &rest[length..];
        Some(token)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> Option<(Step, usize)> {
    let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (length > 0).then(|| (Step::Key(text[..length].to_owned()), length))
}

fn quoted_key(text: &str) -> Option<(Step, usize)> {
    let line = text.strip_prefix("['")?.split('\n').next()?;
    let key = &line[..line.find("']")?];
    Some((Step::Key(key.to_owned()), key.len() + 4))
}

fn index(text: &str) -> Option<(Step, usize)> {
    let rest = text.strip_prefix('[')?;
    let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit())?];
    let is_number = !digits.is_empty() && rest[digits.len()..].starts_with(']');
    // A number too large for an index is as far past the end as any other.
    is_number.then(|| (Step::Index(digits.parse().unwrap_or(usize::MAX)), digits.len() + 2))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => write!(f, "${{inputs.{name}}}"),
            // `${inputs.output}` would be an input.
            Self::Node { name, .. } if name == "inputs" || name == "flow" => write!(f, "${{{name}}}"),
            Self::Node { name, path } if path.is_empty() => write!(f, "${{{name}.output}}"),
            Self::Node { name, path } => write!(f, "${{{name}.output.{path}}}"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.is_empty() || !key.chars().all(is_word) => write!(f, "['{key}']")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `expected` is the reference in full, `literal`, or what is wrong with it.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match Reference::parse(text) {
            None => "literal".to_owned(),
            Some(Ok(reference)) => reference.to_string(),
            Some(Err(error)) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn references_are_read_as_prompt_flow_reads_them() {
        check("${inputs.x}", "${inputs.x}");
        check("${flow.x}", "${inputs.x}");
        check("${inputs.x.y}", "${inputs.x.y}");
        check("${n}", "${n.output}");
        check("${n.output}", "${n.output}");
        check("${n.output.a}", "${n.output.a}");
        check("${n.output.a[0].b}", "${n.output.a[0].b}");
        check("${n.output.a['x.y']}", "${n.output.a['x.y']}");
        check("${n.output.[0]}", "${n.output.[0]}");
        check("${n.output.['a b']}", "${n.output.['a b']}");
        check("${n.output.a-b}", "${n.output.a.b}");
        check("${inputs.a} and ${inputs.b}", "${inputs.a} and ${inputs.b}");
        assert_eq!(
            Reference::parse("${inputs.a} and ${inputs.b}"),
            Some(Ok(Reference::Input("a} and ${inputs.b".into())))
        );
        check("${inputs}", "${inputs}");
        assert!(matches!(Reference::parse("${inputs}"), Some(Ok(Reference::Node { .. }))));
        check("${ n.output }", "`${ n.output }`: blanks belong to the name; write `${n.output}`");
    }

    #[test]
    fn an_index_needs_no_dot_here() {
        check("${n.output[0]}", "${n.output.[0]}");
        check("${n.output['k l'].a[1]}", "${n.output.['k l'].a[1]}");
        check("${n.output['k']}", "${n.output.k}");
    }

    #[test]
    fn a_path_is_told_as_it_is_written() {
        for (text, expected) in [
            ("${n.output}", ""),
            ("${n.output.items.[1]}", "items.[1]"),
            ("${n.output.items[1]}", "items[1]"),
            ("${n.output[0]['a']}", "[0]['a']"),
            ("${n.output.a-b}", "a-b"),
        ] {
            let Some(Ok(Reference::Node { path, .. })) = Reference::parse(text) else { panic!("{text} is no path") };
            assert_eq!(path.written(), expected);
        }
    }

    #[test]
    fn everything_that_is_not_the_whole_text_is_a_literal() {
        for text in ["pre ${n.output}", " ${n.output}", "$x", "${n.output", "", "$", "${", "n.output"] {
            check(text, "literal");
        }
    }

    #[test]
    fn other_sections_and_endless_paths_are_refused() {
        check("${n.result.a}", "`${n.result…}`: a node has no \"result\", only `output`; write `${n.output.result}`");
        check(&format!("${{n.output{}}}", "[0]".repeat(17)), "reference has more than 16 steps");
        check(&format!("${{n.output.{}}}", "x".repeat(5000)), "reference is longer than 1024 bytes");
    }

    #[test]
    fn characters_that_are_passed_over_are_found() {
        assert_eq!(Reference::passed_over("${n.output.a-b}"), Some('-'));
        assert_eq!(Reference::passed_over("${n.output.a['a-b'][0].c}"), None);
        assert_eq!(Reference::passed_over("${a-b.output}"), None);
    }

    #[track_caller]
    fn check_part(path: &str, value: &str, expected: Option<&str>) {
        let Some(Ok(Reference::Node { path, .. })) = Reference::parse(&format!("${{n.output{path}}}")) else {
            panic!("{path} is no path");
        };
        let found = path.of(&Json::parse(value).unwrap());
        assert_eq!(found.as_ref().map(Json::as_str), expected, "{path} of {value}");
    }

    #[test]
    fn a_path_finds_its_part_without_loss() {
        let value = r#"{"a":[{"b":12345678901234567890123},"x"],"0":"zero","x.y":{"k":null},"d":1,"d":2}"#;
        check_part("", value, Some(value));
        check_part(".a[0].b", value, Some("12345678901234567890123"));
        check_part("['x.y'].k", value, Some("null"));
        check_part(".0", value, Some("\"zero\""));
        check_part(".d", value, Some("2"));
        check_part(".a.0", value, None);
        check_part("[0]", value, None);
        check_part(".a[2]", value, None);
        check_part(".a[99999999999999999999]", value, None);
        check_part(".missing", value, None);
        check_part(".['x.y'].k.z", value, None);
        check_part("[0]", "\"text\"", None);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(
            text in r"\$\{(inputs\.|flow\.)?[a-zäß_ -]{0,8}(\.output)?(\.?(\w{1,4}|\['[^'\n]{0,6}'\]|\[[0-9]{1,22}\]|[-.\[\]' ]{1,2})){0,18}\}"
        ) {
            if let Some(Ok(reference)) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Some(Ok(reference)));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in r"\$\{.*\}", any in ".*") {
            let _ = Reference::parse(&text);
            let _ = Reference::passed_over(&text);
            let _ = Reference::parse(&any);
        }
    }
}
