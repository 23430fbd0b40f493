//! What a Jinja template uses, as far as a flow can be checked by it. Not rendering: plugins do that.

use std::collections::BTreeSet;

use minijinja::Environment;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::Template;

/// Names that every template has.
const GLOBALS: [&str; 12] = [
    "range",
    "dict",
    "lipsum",
    "cycler",
    "joiner",
    "namespace",
    "loop",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
];

/// Longest chain in one expression (`a.b.c`, `1 + 2 + 3`, `not not a`), and most `elif` of a template.
///
/// The parser bounds how deep brackets and blocks are nested, but reads a chain into a tree as deep as the chain is long,
/// and walks that by recursion: a chain of some thousands ends the process. This many fit the stack of any thread several
/// times over, in a debug build as well.
const MAX_CHAIN: usize = 250;

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotATemplate {
    /// Counted from one.
    pub(super) line: usize,
    pub(super) message: String,
}

impl Template {
    /// The names that it takes from outside.
    pub fn variables(&self) -> BTreeSet<String> {
        // A flow with a template that is none has been refused.
        variables(&self.text).unwrap_or_default()
    }
}

/// The names that a template takes from outside, in alphabetical order.
pub(super) fn variables(template: &str) -> Result<BTreeSet<String>, NotATemplate> {
    check_chains(template)?;
    let environment = Environment::new();
    let parsed = environment.template_from_str(template).map_err(|error| NotATemplate {
        line: error.line().unwrap_or(1),
        message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
    })?;
    let mut variables: BTreeSet<_> = parsed.undeclared_variables(false).into_iter().collect();
    variables.retain(|name| !GLOBALS.contains(&name.as_str()));
    Ok(variables)
}

/// Refuses what the parser would read into too deep a tree. What is no template at all is left to the parser.
fn check_chains(template: &str) -> Result<(), NotATemplate> {
    let refused = |line: u32, what: &str| NotATemplate {
        line: usize::try_from(line).unwrap_or(usize::MAX),
        message: format!(
            "{what}, of which at most {MAX_CHAIN} are read; set variables to parts of it, or make it shorter"
        ),
    };
    let (mut chain, mut elifs) = (Chain::default(), 0);
    for (token, span) in tokenize(template, false, SyntaxConfig::default()).map_while(Result::ok) {
        elifs += usize::from(chain.is_empty && matches!(token, Token::Ident("elif")));
        chain.take(&token);
        if chain.length > MAX_CHAIN {
            return Err(refused(span.start_line.into(), "an expression is a chain of operators"));
        }
        if elifs > MAX_CHAIN {
            return Err(refused(span.start_line.into(), "the template is a chain of `elif`"));
        }
    }
    Ok(())
}

/// How deep a tree the parser has made of the tag it is in, at most.
#[derive(Default)]
struct Chain {
    length: usize,
    /// Of each bracket that is open: the length before it, and the longest element in it.
    brackets: Vec<(usize, usize)>,
    /// Nothing of the tag was read.
    is_empty: bool,
}

impl Chain {
    fn take(&mut self, token: &Token<'_>) {
        match token {
            Token::BlockStart | Token::VariableStart => *self = Self { is_empty: true, ..Self::default() },
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => {
                self.length += 1;
                self.brackets.push((self.length, self.length));
            }
            Token::BracketClose | Token::ParenClose | Token::BraceClose => {
                let (_, longest) = self.brackets.pop().unwrap_or_default();
                self.length = self.length.max(longest);
            }
            Token::Comma => match self.brackets.last_mut() {
                Some((before, longest)) => {
                    *longest = self.length.max(*longest);
                    self.length = *before;
                }
                None => self.length = 0,
            },
            _ => self.length += usize::from(is_link(token)),
        }
        self.is_empty &= matches!(token, Token::BlockStart | Token::VariableStart);
    }
}

/// Whether a token that is no bracket puts what stands before or behind it one level deeper.
fn is_link(token: &Token<'_>) -> bool {
    match token {
        Token::Ident(word) => matches!(*word, "not" | "and" | "or" | "is" | "in" | "if" | "else"),
        _ => !matches!(
            token,
            Token::Str(_)
                | Token::String(_)
                | Token::Int(_)
                | Token::Int128(_)
                | Token::Float(_)
                | Token::TemplateData(_)
                | Token::BlockEnd
                | Token::VariableEnd
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, expected: &[&str]) {
        let found = variables(template).map_err(|fault| format!("{}: {}", fault.line, fault.message));
        assert_eq!(found, Ok(expected.iter().map(|name| (*name).to_owned()).collect()), "{template}");
    }

    #[test]
    fn names_from_outside_are_found() {
        check("It is {{ temperature }} outside", &["temperature"]);
        check("{{question}}\n{{-user.name | upper -}}", &["question", "user"]);
        check("{% for item in chat_history %}{{ item.inputs.question }}{% endfor %}", &["chat_history"]);
        check("{% if n > 1 and m is defined %}{{ x[k] }}{% endif %}", &["k", "m", "n", "x"]);
        check("![image]({{picture}})", &["picture"]);
    }

    #[test]
    fn what_the_template_makes_itself_is_not() {
        check("{% for user in users %}{{ user.name }} {{ loop.index }}{% endfor %}", &["users"]);
        check("{% set n = 1 %}{{ n }}", &[]);
        check("{# {{ temperature }} #}{% raw %}{{ temperature }}{% endraw %}", &[]);
        check("{{ 'temperature' }} {{ \"user\" }} {{ range(3) }}", &[]);
        check("{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}", &[]);
    }

    /// On a thread with half the stack that threads have, since a request's work may stand on it already.
    #[track_caller]
    fn check_chain(head: &str, link: &str, tail: &str, links: usize, expected: Result<(), &str>) {
        let text = format!("{head}{}{tail}", link.repeat(links));
        let read = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || variables(&text).map(drop));
        let found = read.unwrap().join().unwrap().map_err(|fault| fault.message);
        let found = found.as_ref().map(|_| ()).map_err(|message| message.split(',').next().unwrap_or_default());
        assert_eq!(found, expected, "{links} times {link}");
    }

    #[test]
    fn chains_are_read_up_to_a_length_that_every_stack_has_room_for() {
        let long = Err("an expression is a chain of operators");
        for (head, link, tail) in [
            ("{{ a", ".b", " }}"),
            ("{{ a", "[0]", " }}"),
            ("{{ a", "()", " }}"),
            ("{{ a", "|e", " }}"),
            ("{{ a", " is b", " }}"),
            ("{{ 1", "+1", " }}"),
            ("{{ 1", "**1", " }}"),
            ("{{ a", "~a", " }}"),
            ("{{ a", "<a", " }}"),
            ("{{ a", " or a", " }}"),
            ("{{ a", " in a", " }}"),
            ("{{ ", "not ", "a }}"),
            ("{{ ", "- ", "a }}"),
            ("{% filter e", "|e", " %}{% endfilter %}"),
            ("{% set a = a", ".b", " %}"),
        ] {
            check_chain(head, link, tail, MAX_CHAIN - 1, Ok(())); // One may be a `=`.
            check_chain(head, link, tail, 2 * MAX_CHAIN, long);
            check_chain(head, link, tail, 100_000, long);
        }
        check_chain("{{ ", "a if a else ", "a }}", MAX_CHAIN / 2, Ok(()));
        check_chain("{{ ", "a if a else ", "a }}", 100_000, long);
        check_chain("{% if a %}", "{% elif a %}", "{% endif %}", MAX_CHAIN, Ok(()));
        check_chain("{% if a %}", "{% elif a %}", "{% endif %}", 100_000, Err("the template is a chain of `elif`"));
        check_chain("{{ ", "(a.b.c.d)", " }}", 100_000, long);
        check_chain("{{ a", "(1,)", " }}", 100_000, long);
        check_chain("{{ a", "[[1,2],[3]]", " }}", 100_000, long);
    }

    #[test]
    fn what_is_long_but_no_chain_is_read() {
        check_chain("{% set a = [", "{\"k\": [1, -1, f(a.b)]}, ", "] %}", 10_000, Ok(()));
        check_chain("", "{{ a.b }}{# {{ #}{% raw %}{{ . . . {% endraw %}", "", 10_000, Ok(()));
        check_chain("{{ '", ".b", "' }}", 10_000, Ok(()));
        check_chain("", "{% if a %}{% elif b %}{% endif %}", "", MAX_CHAIN, Ok(()));
    }

    #[test]
    fn what_is_no_template_is_told_with_its_line() {
        let fault = variables("hello\n{% if %}\n").expect_err("no condition");
        assert_eq!(fault.line, 2, "{fault:?}");
        variables("{{ temperature").expect_err("no end");
    }
}
