//! Which names a Jinja template prints, as far as a flow file can be checked by it. Not rendering: plugins do that.

/// The first of `reserved` that the template prints as a variable, as in `{{ temperature }}`.
///
/// Only names at the beginning of a print are looked at, and none that the template binds itself (`{% for user in … %}`):
/// a name that is missed here costs an empty place in a prompt, a wrong alarm would keep a good flow from running.
pub(super) fn reserved_name<'a>(template: &str, reserved: &[&'a str]) -> Option<&'a str> {
    let tags: Vec<Tag<'_>> = Tags { rest: template }.collect();
    let bound: Vec<&str> = tags.iter().flat_map(Tag::bound).collect();
    let printed = tags.iter().filter_map(Tag::printed);
    printed.filter(|name| !bound.contains(name)).find_map(|name| reserved.iter().copied().find(|known| *known == name))
}

enum Tag<'a> {
    Print(&'a str),
    Statement(&'a str),
}

impl<'a> Tag<'a> {
    fn printed(&self) -> Option<&'a str> {
        let Self::Print(expression) = self else { return None };
        let name = words(expression).next()?;
        // A call is no variable.
        let rest = expression.trim_start().strip_prefix(name)?.trim_start();
        (!rest.starts_with('(')).then_some(name)
    }

    /// Names that the template may give a value of its own: every word of a statement that binds some.
    fn bound(&self) -> Vec<&'a str> {
        match self {
            Self::Statement(text) if words(text).next().is_some_and(|word| BINDING.contains(&word)) => {
                words(text).collect()
            }
            _ => Vec::new(),
        }
    }
}

const BINDING: [&str; 6] = ["for", "set", "macro", "with", "import", "from"];

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

struct Tags<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let (_, rest) = self.rest.split_once('{')?;
            let end = match rest.as_bytes().first() {
                Some(b'{') => "}}",
                Some(b'%') => "%}",
                Some(b'#') => "#}",
                _ => {
                    self.rest = rest;
                    continue;
                }
            };
            let (inner, rest) = rest[1..].split_once(end)?;
            // `{%-` and `-%}` only trim blanks.
            let inner = inner.trim_start_matches(['-', '+']);
            self.rest = rest;
            match end {
                "}}" => return Some(Tag::Print(inner)),
                "%}" if words(inner).next() == Some("raw") => self.rest = after_raw(rest),
                "%}" => return Some(Tag::Statement(inner)),
                _ => {}
            }
        }
    }
}

fn after_raw(rest: &str) -> &str {
    rest.find("endraw").map_or("", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &str, expected: Option<&str>) {
        assert_eq!(reserved_name(template, &["temperature", "user", "n"]), expected, "{template}");
    }

    #[test]
    fn printed_names_are_found() {
        check("It is {{ temperature }} outside", Some("temperature"));
        check("{{question}}\n{{-user.name | upper -}}", Some("user"));
        check("{{ question }} { {{n}}", Some("n"));
    }

    #[test]
    fn what_is_no_variable_of_the_node_is_left_alone() {
        check("temperature {{ weather.temperature }}", None);
        check("{% for user in users %}{{ user.name }}{% endfor %}", None);
        check("{% set n = 1 %}{{ n }}", None);
        check("{# {{ temperature }} #}{% raw %}{{ temperature }}{% endraw %}", None);
        check("{{ 'temperature' }} {{ \"user\" }} {{ n(1) }}", None);
        check("{{ temperature", None);
        check("system:\nYou are {{", None);
    }
}
