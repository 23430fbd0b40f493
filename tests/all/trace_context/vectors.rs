//! What headers of a trace context mean, case by case: those of the W3C's own test suite in our words, and some of ours.

use super::{PARENT, TRACE};

/// One request, and what becomes of it.
pub(super) struct Vector {
    pub(super) case: &'static str,
    /// As they stand on the wire: name, colon, value.
    pub(super) headers: Vec<String>,
    pub(super) expected: Expected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// The caller's trace goes on, recorded or not as the caller does, with this `tracestate`; empty: none.
    Continues { sampled: bool, state: String },
    /// A trace of its own begins, without any state.
    Begins,
}

/// All of them.
pub(super) fn all() -> Vec<Vector> {
    [parents(), state_as_such(), state_members(), state_limits()].into_iter().flatten().collect()
}

fn continues(case: &'static str, headers: &[&str]) -> Vector {
    vector(case, headers, Expected::Continues { sampled: true, state: String::new() })
}

fn begins(case: &'static str, headers: &[&str]) -> Vector {
    vector(case, headers, Expected::Begins)
}

fn vector(case: &'static str, headers: &[&str], expected: Expected) -> Vector {
    Vector { case, headers: headers.iter().map(|header| written(header)).collect(), expected }
}

/// `TRACE` and `PARENT` stand for the ids.
fn written(header: &str) -> String {
    header.replace("-TRACE", &format!("-{TRACE}")).replace("-PARENT", &format!("-{PARENT}"))
}

/// A good parent that does not record, and these headers of a state; empty: the state is dropped.
fn state(case: &'static str, states: &[&str], expected: &str) -> Vector {
    let parent = "traceparent: 00-TRACE-PARENT-00".to_owned();
    let headers: Vec<String> = [parent].into_iter().chain(states.iter().map(|it| format!("tracestate:{it}"))).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    vector(case, &headers, Expected::Continues { sampled: false, state: expected.to_owned() })
}

fn parents() -> Vec<Vector> {
    vec![
        begins("neither parent nor state", &[]),
        continues("a parent alone", &["traceparent: 00-TRACE-PARENT-01"]),
        begins(
            "two parents",
            &["traceparent: 00-12345678901234567890123456789011-PARENT-01", "traceparent: 00-TRACE-PARENT-01"],
        ),
        begins("the same parent twice", &["traceparent: 00-TRACE-PARENT-01", "traceparent: 00-TRACE-PARENT-01"]),
        begins("two parents in one header", &["traceparent: 00-TRACE-PARENT-01,00-TRACE-PARENT-01"]),
        begins("a name with a dash", &["trace-parent: 00-TRACE-PARENT-01"]),
        begins("a name with a dot", &["trace.parent: 00-TRACE-PARENT-01"]),
        continues("a name in camel case", &["TraceParent: 00-TRACE-PARENT-01"]),
        continues("a name in mixed case", &["TrAcEpArEnT: 00-TRACE-PARENT-01"]),
        continues("a name in upper case", &["TRACEPARENT: 00-TRACE-PARENT-01"]),
        begins("version 00 with a character more", &["traceparent: 00-TRACE-PARENT-01."]),
        begins("version 00 with a field more", &["traceparent: 00-TRACE-PARENT-01-what-the-future-brings"]),
        begins("version 00 with a dash more", &["traceparent: 00-TRACE-PARENT-01-"]),
        continues("a later version", &["traceparent: cc-TRACE-PARENT-01"]),
        continues("a later version with a field more", &["traceparent: cc-TRACE-PARENT-01-what-the-future-brings"]),
        begins("a later version with a character more", &["traceparent: cc-TRACE-PARENT-01.what-the-future-brings"]),
        begins("version ff", &["traceparent: ff-TRACE-PARENT-01"]),
        begins("a version of no hexadecimal digit in front", &["traceparent: .0-TRACE-PARENT-01"]),
        begins("a version of no hexadecimal digit behind", &["traceparent: 0.-TRACE-PARENT-01"]),
        begins("a version of three digits", &["traceparent: 000-TRACE-PARENT-01"]),
        begins("a version of four digits", &["traceparent: 0000-TRACE-PARENT-01"]),
        begins("a version of one digit", &["traceparent: 0-TRACE-PARENT-01"]),
        begins("a trace of zeros", &["traceparent: 00-00000000000000000000000000000000-PARENT-01"]),
        begins("a trace with a dot in front", &["traceparent: 00-.af7651916cd43dd8448eb211c80319c-PARENT-01"]),
        begins("a trace with a dot behind", &["traceparent: 00-0af7651916cd43dd8448eb211c80319.-PARENT-01"]),
        begins("a trace in upper case", &["traceparent: 00-0AF7651916CD43DD8448EB211C80319C-PARENT-01"]),
        begins("a trace that is too long", &["traceparent: 00-TRACE0-PARENT-01"]),
        begins("a trace that is too short", &["traceparent: 00-0af7651916cd43dd8448eb211c80319-PARENT-01"]),
        begins("a parent of zeros", &["traceparent: 00-TRACE-0000000000000000-01"]),
        begins("a parent with a dot in front", &["traceparent: 00-TRACE-.7ad6b7169203331-01"]),
        begins("a parent with a dot behind", &["traceparent: 00-TRACE-b7ad6b716920333.-01"]),
        begins("a parent that is too long", &["traceparent: 00-TRACE-PARENT0-01"]),
        begins("a parent that is too short", &["traceparent: 00-TRACE-b7ad6b716920333-01"]),
        begins("flags with a dot in front", &["traceparent: 00-TRACE-PARENT-.0"]),
        begins("flags with a dot behind", &["traceparent: 00-TRACE-PARENT-0."]),
        begins("flags that are too long", &["traceparent: 00-TRACE-PARENT-001"]),
        begins("flags that are too short", &["traceparent: 00-TRACE-PARENT-1"]),
        continues("flags that nobody knows yet", &["traceparent: 00-TRACE-PARENT-ff"]),
        continues("a space in front", &["traceparent:  00-TRACE-PARENT-01"]),
        continues("a tab in front", &["traceparent:\t00-TRACE-PARENT-01"]),
        continues("a space behind", &["traceparent: 00-TRACE-PARENT-01 "]),
        continues("a tab behind", &["traceparent: 00-TRACE-PARENT-01\t"]),
        continues("white space all around", &["traceparent: \t 00-TRACE-PARENT-01 \t"]),
        begins("an empty parent", &["traceparent:"]),
        begins("a parent of eight thousand digits", &[&format!("traceparent: 00-{}", "0".repeat(8000))]),
    ]
}

fn state_as_such() -> Vec<Vector> {
    vec![
        begins("a state without a parent", &["tracestate: foo=1"]),
        begins("a longer state without a parent", &["tracestate: foo=1,bar=2"]),
        begins("a state with a bad parent", &["traceparent: 00-TRACE-PARENT-1", "tracestate: foo=1"]),
        state("a state with a parent", &["foo=1,bar=2"], "foo=1,bar=2"),
        vector(
            "a state named with a dash",
            &["traceparent: 00-TRACE-PARENT-01", "trace-state: foo=1"],
            Expected::Continues { sampled: true, state: String::new() },
        ),
        vector(
            "a state named with a dot",
            &["traceparent: 00-TRACE-PARENT-01", "trace.state: foo=1"],
            Expected::Continues { sampled: true, state: String::new() },
        ),
        vector(
            "a state named in camel case",
            &["traceparent: 00-TRACE-PARENT-01", "TraceState: foo=1"],
            Expected::Continues { sampled: true, state: "foo=1".to_owned() },
        ),
        vector(
            "a state named in mixed case",
            &["traceparent: 00-TRACE-PARENT-01", "TrAcEsTaTe: foo=1"],
            Expected::Continues { sampled: true, state: "foo=1".to_owned() },
        ),
        vector(
            "a state named in upper case",
            &["traceparent: 00-TRACE-PARENT-01", "TRACESTATE: foo=1"],
            Expected::Continues { sampled: true, state: "foo=1".to_owned() },
        ),
        state("an empty state", &[""], ""),
        state("an empty state after another", &["foo=1", ""], "foo=1"),
        state("an empty state before another", &["", "foo=1"], "foo=1"),
        state("empty members", &["foo=1,,\t, bar=2,"], "foo=1,bar=2"),
        state(
            "states in several headers",
            &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
    ]
}

fn state_members() -> Vec<Vector> {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (b' '..=b'~').map(char::from).filter(|it| !matches!(it, ',' | '=')).collect();
    let (plain, of_tenant) = (format!("{key}={value}"), format!("{key}@a-z0-9_-*/={value}"));
    vec![
        state("a key twice with the same value", &["foo=1,foo=1"], ""),
        state("a key twice", &["foo=1,foo=2"], ""),
        state("a key twice with the same value, in two headers", &["foo=1", "foo=1"], ""),
        state("a key twice, in two headers", &["foo=1", "foo=2"], ""),
        state("every character that may stand in it", &[&plain], &plain),
        state("every character that may stand in it, with a tenant", &[&of_tenant], &of_tenant),
        state("white space between members", &["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        state("other white space between members", &["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
        state("a space in front", &[" foo=1"], "foo=1"),
        state("a tab in front", &["\tfoo=1"], "foo=1"),
        state("a space behind", &["foo=1 "], "foo=1"),
        state("a tab behind", &["foo=1\t"], "foo=1"),
        state("white space all around", &["\t foo=1 \t"], "foo=1"),
        state("a space within a key", &["foo =1"], ""),
        state("a key in upper case", &["FOO=1"], ""),
        state("a dot within a key", &["foo.bar=1"], ""),
        state("a tenant of nobody", &["foo@=1,bar=2"], ""),
        state("a system without its tenant", &["@foo=1,bar=2"], ""),
        state("two signs for at", &["foo@@bar=1,bar=2"], ""),
        state("a tenant of a tenant", &["foo@bar@baz=1,bar=2"], ""),
        state("a value with an equals sign", &["foo=bar=baz"], ""),
        state("a member without its value", &["foo=,bar=3"], ""),
        state("a member that is no pair", &["foo,bar=3"], ""),
    ]
}

fn state_limits() -> Vec<Vector> {
    let members =
        |first: usize, last: usize| (first..=last).map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",");
    let tens = [members(1, 10), members(11, 20), members(21, 30)];
    let with = |last: String| {
        let states = tens.iter().cloned().chain([last]).map(|it| format!("tracestate: {it}"));
        ["traceparent: 00-TRACE-PARENT-00".to_owned()].into_iter().chain(states).collect::<Vec<_>>()
    };
    let (most, too_many) = (with(members(31, 32)), with(members(31, 33)));
    let unsampled = |state: String| Expected::Continues { sampled: false, state };
    let texts = |headers: &[String]| headers.iter().map(|header| written(header)).collect();
    let (z256, z257) = (format!("{}=1", "z".repeat(256)), format!("{}=1", "z".repeat(257)));
    let tenant = |tenant: usize, system: usize| format!("{}@{}=1", "t".repeat(tenant), "v".repeat(system));
    let full = format!("a={},b={}", "x".repeat(252), "y".repeat(255));
    vec![
        Vector { case: "as many members as there may be", headers: texts(&most), expected: unsampled(members(1, 32)) },
        Vector { case: "a member too many", headers: texts(&too_many), expected: unsampled(String::new()) },
        state("the longest key", &["foo=1", &z256], &format!("foo=1,{z256}")),
        state("a key that is too long", &["foo=1", &z257], ""),
        state("the longest tenant and system", &["foo=1", &tenant(241, 14)], &format!("foo=1,{}", tenant(241, 14))),
        state("a tenant that is too long", &["foo=1", &tenant(242, 1)], ""),
        state("a system that is too long", &["foo=1", &tenant(1, 15)], ""),
        state("the longest state that everyone passes on", &[&full], &full),
        state("a state that is longer", &[&format!("{full}y")], ""),
        state("a value that is too long", &["foo=1", &format!("a={}", "x".repeat(257))], ""),
    ]
}
