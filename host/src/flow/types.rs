//! The types of flow inputs, and what becomes of a value that is given for one. Not where the values come from: see
//! inputs.rs.

use super::inputs::InputError;
use super::python::{self, Number};
use super::value::{Json, View};

/// The declared type of a flow input or output. Of outputs it is told, never enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Int,
    Double,
    Bool,
    String,
    List,
    Object,
    Image,
    Secret,
    PromptTemplate,
    FilePath,
    AssistantDefinition,
}

impl Type {
    /// All of them, in the order in which messages list them.
    pub const ALL: [Self; 11] = [
        Self::Int,
        Self::Double,
        Self::Bool,
        Self::String,
        Self::List,
        Self::Object,
        Self::Image,
        Self::Secret,
        Self::PromptTemplate,
        Self::FilePath,
        Self::AssistantDefinition,
    ];

    /// As flow files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Double => "double",
            Self::Bool => "bool",
            Self::String => "string",
            Self::List => "list",
            Self::Object => "object",
            Self::Image => "image",
            Self::Secret => "secret",
            Self::PromptTemplate => "prompt_template",
            Self::FilePath => "file_path",
            Self::AssistantDefinition => "assistant_definition",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What the flow sees when `value` is given for its input `input` of this type.
    ///
    /// # Errors
    /// If the value neither is of the type nor can be read as it.
    pub fn coerce(self, input: &str, value: &Json) -> Result<Json, InputError> {
        let coerced = match self {
            Self::Int => to_int(value),
            Self::Double => return to_double(value).map_err(|refusal| refusal.of(self, input)),
            Self::Bool => to_bool(value),
            Self::String if value.is_plain_string() => Some(value.clone()),
            Self::String => Some(Json::string(&python::str(value))),
            Self::List => return to_list(input, value),
            Self::Object => Some(to_object(value)),
            Self::Image | Self::Secret | Self::PromptTemplate | Self::FilePath | Self::AssistantDefinition => {
                Some(value.clone())
            }
        };
        coerced.ok_or_else(|| InputError::Type { input: input.to_owned(), expected: self })
    }
}

/// Python's `int()`, of numbers within the range of a double: see [`Json`].
fn to_int(value: &Json) -> Option<Json> {
    match value.view() {
        View::Bool(value) => Some(Json::part(if value { "1" } else { "0" })),
        View::Text(text) => integer_in(&text).and_then(|digits| Json::parse(&digits).ok()),
        View::Number(text) => match Number::read(text) {
            Number::Integer(digits) => Some(Json::part(&digits)),
            Number::Float(value) => python::truncated(value).map(|digits| Json::part(&digits)),
        },
        _ => None,
    }
}

enum DoubleRefusal {
    Type,
    NotFinite,
}

impl DoubleRefusal {
    fn of(self, expected: Type, input: &str) -> InputError {
        let input = input.to_owned();
        match self {
            Self::Type => InputError::Type { input, expected },
            Self::NotFinite => InputError::NotFinite { input },
        }
    }
}

/// Python's `float()`, which takes booleans as 0 and 1. Unlike prompt flow's, `nan` and `inf` are refused: JSON has no
/// such numbers, so no node could be given one.
fn to_double(value: &Json) -> Result<Json, DoubleRefusal> {
    let number = match value.view() {
        // A float stays as it was written, with all its digits.
        View::Number(text) if text.contains(['.', 'e', 'E']) => return Ok(value.clone()),
        View::Number(text) => text.parse().ok(),
        View::Bool(value) => Some(f64::from(u8::from(value))),
        View::Text(text) => float_in(&text),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() => Ok(Json::part(&python::float_repr(number))),
        Some(_) => Err(DoubleRefusal::NotFinite),
        None => Err(DoubleRefusal::Type),
    }
}

fn to_bool(value: &Json) -> Option<Json> {
    match value.view() {
        View::Bool(_) => Some(value.clone()),
        View::Text(text) if text.eq_ignore_ascii_case("true") => Some(Json::from(true)),
        View::Text(text) if text.eq_ignore_ascii_case("false") => Some(Json::from(false)),
        _ => None,
    }
}

fn to_list(input: &str, value: &Json) -> Result<Json, InputError> {
    let value = match value.as_text() {
        Some(text) => Json::parse(&text).map_err(|error| InputError::Parse {
            input: input.to_owned(),
            expected: Type::List,
            problem: error.to_string(),
        })?,
        None => value.clone(),
    };
    match value.view() {
        View::List(_) => Ok(value),
        _ => Err(InputError::Type { input: input.to_owned(), expected: Type::List }),
    }
}

fn to_object(value: &Json) -> Json {
    value.as_text().and_then(|text| Json::parse(&text).ok()).unwrap_or_else(|| value.clone())
}

/// The integer that Python's `int()` reads in a text: blanks around it, a sign, underscores between digits.
fn integer_in(text: &str) -> Option<String> {
    let text = without_underscores(text.trim())?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some(if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") })
}

fn float_in(text: &str) -> Option<f64> {
    without_underscores(text.trim())?.parse().ok()
}

fn without_underscores(text: &str) -> Option<String> {
    let between_digits = |at: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
        digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    text.match_indices('_').all(|(at, _)| between_digits(at)).then(|| text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is the coerced value, or the code of the refusal.
    #[track_caller]
    fn check(kind: &str, value: &str, expected: &str) {
        let found = Type::parse(kind).unwrap().coerce("x", &Json::parse(value).unwrap());
        let found = found.as_ref().map_or_else(|refusal| refusal.code(), Json::as_str);
        assert_eq!(found, expected, "{value} as {kind}");
    }

    #[test]
    fn int_takes_what_pythons_int_takes() {
        for (value, expected) in [
            ("7", "7"),
            ("-0", "0"),
            ("4.9", "4"),
            ("-4.9", "-4"),
            ("-0.5", "0"),
            ("1e20", "100000000000000000000"),
            (r#""7""#, "7"),
            (r#"" +1_000 ""#, "1000"),
            (r#""007""#, "7"),
            ("true", "1"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            check("int", value, expected);
        }
        for value in [r#""abc""#, r#""4.9""#, r#""""#, r#""1__0""#, r#""-""#, "null", "{}", "[1]"] {
            check("int", value, "InputTypeError");
        }
        // Whoever is given it could not read it.
        check("int", &format!("\"{}\"", "9".repeat(400)), "InputTypeError");
    }

    #[test]
    fn double_takes_what_pythons_float_takes_but_nan_and_inf() {
        for (value, expected) in [
            ("3", "3.0"),
            ("2.50", "2.50"),
            ("1e3", "1e3"),
            (r#""3.5""#, "3.5"),
            (r#"" .5 ""#, "0.5"),
            (r#""1e30""#, "1e+30"),
            ("true", "1.0"),
        ] {
            check("double", value, expected);
        }
        for value in [r#""abc""#, r#""""#, "null", "[]", r#""nan""#, r#""-Infinity""#] {
            check("double", value, "InputTypeError");
        }
        let refusal = Type::Double.coerce("x", &Json::string("inf")).unwrap_err();
        assert!(refusal.to_string().contains("not a finite number"), "{refusal}");
    }

    #[test]
    fn bool_is_strict_but_for_case() {
        check("bool", "true", "true");
        check("bool", r#""TRUE""#, "true");
        check("bool", r#""False""#, "false");
        for value in ["1", "0", "null", r#""yes""#, r#""""#] {
            check("bool", value, "InputTypeError");
        }
    }

    #[test]
    fn string_is_what_python_prints() {
        check("string", "123", r#""123""#);
        check("string", "null", r#""None""#);
        check("string", "true", r#""True""#);
        check("string", r#""as it is""#, r#""as it is""#);
        check("string", r#"{"a":"b"}"#, r#""{'a': 'b'}""#);
    }

    #[test]
    fn list_may_be_written_in_a_string() {
        check("list", "[1, 2]", "[1, 2]");
        check("list", r#""[1]""#, "[1]");
        check("list", r#""notlist""#, "InputParseError");
        check("list", r#""{}""#, "InputTypeError");
        check("list", "5", "InputTypeError");
        check("list", "null", "InputTypeError");
    }

    #[test]
    fn object_takes_anything_and_reads_strings_if_it_can() {
        check("object", r#"{"a": 1}"#, r#"{"a": 1}"#);
        check("object", r#""{\"a\": 1}""#, r#"{"a": 1}"#);
        check("object", r#""text""#, r#""text""#);
        check("object", "5", "5");
    }

    #[test]
    fn other_types_pass_untouched() {
        for kind in ["secret", "prompt_template", "file_path", "assistant_definition"] {
            check(kind, r#"{"a":5}"#, r#"{"a":5}"#);
        }
    }

    #[test]
    fn refusals_name_the_input_and_never_repeat_the_value() {
        let message = |kind: Type, value: &str| kind.coerce("n", &Json::string(value)).unwrap_err().to_string();
        assert_eq!(
            message(Type::Int, "s3cret"),
            "The input for flow is incorrect. The value for flow input 'n' does not match the expected type 'int'. \
             Please change flow input type or adjust the input value in your input data."
        );
        assert_eq!(
            message(Type::List, "s3cret"),
            "Failed to parse the flow input. The value for flow input 'n' was interpreted as JSON string since its \
             type is 'list'. However, the value is invalid for JSON parsing. Error details: expected value at line 1 \
             column 1. Please make sure your inputs are properly formatted."
        );
    }
}
