//! One component for each proposal that is not accepted, and for each bound: one that has as much as it may, and one more.

use std::fmt::Write as _;

use super::*;

fn refusal(text: &str) -> Option<Refusal> {
    look(&wat::parse_str(text).expect(text), &Caps::default()).err()
}

#[track_caller]
fn needs(proposal: &str, text: &str) {
    match refusal(text) {
        Some(Refusal::Proposal { proposal: named, .. }) if named == proposal => {}
        other => panic!("{proposal}: {other:?}"),
    }
}

/// A component around a core module.
fn module(fields: &str) -> String {
    format!("(component (core module {fields}))")
}

#[test]
fn a_component_that_needs_a_refused_proposal_is_refused_by_its_name() {
    for (proposal, fields) in [
        ("threads", "(memory 1 1 shared)"),
        ("threads", "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"),
        ("shared-everything-threads", "(type (shared (func)))"),
        ("multi-memory", "(memory 1) (memory 1)"),
        ("memory64", "(memory i64 1)"),
        ("memory64", "(table i64 1 funcref)"),
        ("relaxed-simd", "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"),
        ("exception-handling", "(tag)"),
        ("exception-handling", "(func (param exnref) (throw_ref (local.get 0)))"),
        ("function-references", "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))"),
        ("gc", "(type (struct (field i32)))"),
        ("gc", "(func (param externref))"),
        ("gc", "(func (param anyref))"),
        ("memory-control", "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"),
        ("custom-page-sizes", "(memory 1 (pagesize 1))"),
        ("stack-switching", "(type $f (func)) (type $c (cont $f))"),
        ("wide-arithmetic", "(func (param i64) (result i64 i64) local.get 0 local.get 0 i64.mul_wide_s)"),
    ] {
        needs(proposal, &module(fields));
    }
    for (proposal, component) in [
        ("component-model-async", "(component (type (future u8)))"),
        ("component-model-async", "(component (type (stream u8)))"),
        ("component-model-async", "(component (core func (canon backpressure.inc)))"),
        ("component-model-error-context", "(component (type error-context))"),
        ("component-model-values", "(component (import \"v\" (value string)))"),
        ("component-model-fixed-length-lists", "(component (type (list u8 4)))"),
        ("component-model-nested-names", "(component (import \"a:b:c/d\" (func)))"),
    ] {
        needs(proposal, component);
    }
}

#[test]
fn what_toolchains_emit_is_accepted() {
    for fields in [
        "(func (param i32) (result i32 i32) local.get 0 local.get 0)",
        "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 8)))",
        "(func (param v128) (result v128) (i8x16.add (local.get 0) (local.get 0)))",
        "(table 1 funcref) (func $f (return_call $f))",
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "(func (drop (i32.extend8_s (i32.trunc_sat_f32_s (f32.const 1)))))",
    ] {
        assert_eq!(refusal(&module(fields)), None, "{fields}");
    }
    for plugin in [crate::plugins::PROMPT, crate::plugins::LLM] {
        assert_eq!(look(plugin, &Caps::default()), Ok(()));
    }
}

#[test]
fn a_file_that_is_no_component_is_refused_as_what_it_is() {
    let look = |bytes: &[u8]| look(bytes, &Caps::default()).expect_err("it is no component").to_string();
    for (bytes, says) in [
        (&b""[..], "it is no WebAssembly: unexpected end-of-file"),
        (b"\x7fELF\x02\x01\x01\0", "it is no WebAssembly: magic header not detected: bad magic number"),
        (b"(component)", "it is no WebAssembly: magic header not detected: bad magic number"),
        (b"\0asm\x0d\0\x01\0\x01\xff", "it is not valid: unexpected end-of-file"),
    ] {
        assert!(look(bytes).starts_with(says), "{bytes:?}: {}", look(bytes));
    }
    let core = wat::parse_str("(module)").expect("text");
    assert!(look(&core).starts_with("it is a core module and no component"));
    let whole = wat::parse_str(module("(func)")).expect("text");
    for end in 1..whole.len() {
        // A section that ends where the file was cut leaves a component with less in it.
        let _ = super::look(&whole[..end], &Caps::default());
    }
    let broken = wat::parse_str(module("(func (result i32))")).expect("text");
    assert!(look(&broken).starts_with("it is not valid: type mismatch"), "{}", look(&broken));
}

/// As much as it may have passes, one more does not.
#[track_caller]
fn bound(what: &str, most: u64, text: impl Fn(u64) -> String) {
    let found = |count| match refusal(&text(count)) {
        Some(Refusal::TooMuch { what, found, most, .. }) => Some((what, found, most)),
        Some(other) => panic!("{what}: {other:?}"),
        None => None,
    };
    assert_eq!(found(most), None, "{what}");
    assert_eq!(found(most + 1).map(|(what, _, most)| (what, most)), Some((what, most)), "{what}");
}

/// This text so many times.
fn times(count: u64, text: &str) -> String {
    (0..count).fold(String::new(), |mut all, number| {
        let _ = write!(all, "{} ", text.replace('#', &number.to_string()));
        all
    })
}

#[test]
fn each_bound_is_told_by_its_name() {
    bound("functions", 50_000, |count| module(&times(count, "(func)")));
    bound("types", MAX_TYPES, |count| format!("(component {})", times(count, "(type (list u8))")));
    bound("imports, exports, aliases, globals and segments", MAX_ITEMS, |count| {
        module(&times(count, "(global i32 (i32.const 0))"))
    });
    bound("modules and components", MAX_PARTS, |count| format!("(component {})", times(count - 1, "(core module)")));
    bound("nested components", MAX_DEPTH as u64, |count| {
        format!("{}{}", "(component ".repeat(count as usize), ")".repeat(count as usize))
    });
    bound("instances of modules", fixed::INSTANCES.into(), |count| {
        format!("(component (core module $m) {})", times(count, "(core instance (instantiate $m))"))
    });
    bound("memories", fixed::MEMORIES.into(), |count| {
        format!("(component (core module $m (memory 1)) {})", times(count, "(core instance (instantiate $m))"))
    });
    bound("tables", fixed::TABLES.into(), |count| {
        format!("(component (core module $m (table 1 funcref)) {})", times(count, "(core instance (instantiate $m))"))
    });
    bound("tables in one module", 1, |count| module(&times(count, "(table 1 funcref)")));
    // One type, and all that it declares.
    let declared = format!("(component (type (instance {})))", times(400_000, "(type (list u8))"));
    let refused = refusal(&declared);
    assert!(matches!(refused, Some(Refusal::TooMuch { what: "bytes of types", .. })), "{refused:?}");
    bound("elements in one table", fixed::TABLE_ELEMENTS as u64, |count| module(&format!("(table {count} funcref)")));
    bound("bytes of memory from its beginning", fixed::SLOT.0, |bytes| {
        module(&format!("(memory {})", bytes.div_ceil(PAGE)))
    });
    // A body of so many bytes: its length of locals, and its end.
    let body = |bytes: u64| module(&format!("(func {})", "nop ".repeat(bytes as usize - 2)));
    bound("bytes of code in one function", MAX_BODY, body);
    let caps = Caps { size: 100, ..Caps::default() };
    let refused = look(&[0; 101], &caps).expect_err("too large");
    assert_eq!(
        refused.to_string(),
        "it has 101 bytes, more than the 100 that a component may have; WEIR_COMPONENT_SIZE can be raised"
    );
}

#[test]
fn what_is_instantiated_many_times_counts_as_often() {
    // Each level instantiates the one inside twice: 2^6 instances out of one module.
    let mut text = "(component $c0 (core module $m (memory 1)) (core instance (instantiate $m)))".to_owned();
    for level in 1..=6 {
        let inner = level - 1;
        text = format!(
            "(component $c{level} {text} (instance (instantiate $c{inner})) (instance (instantiate $c{inner})))"
        );
    }
    assert!(matches!(refusal(&text), Some(Refusal::TooMuch { what: "instances of modules" | "memories", .. })));
    let outer = format!(
        "(component (core module $m (table 1 funcref)) (component $c (alias outer 1 0 (core module $n)) {}) \
         (instance (instantiate $c)) (instance (instantiate $c)))",
        times(9, "(core instance (instantiate $n))")
    );
    assert_eq!(
        refusal(&outer),
        Some(Refusal::TooMuch { what: "tables", found: 18, most: fixed::TABLES.into(), setting: None })
    );
    let handed = "(component (import \"m\" (core module $m)) (core instance (instantiate $m)))";
    assert_eq!(refusal(handed), Some(Refusal::Elsewhere));
}

#[test]
fn types_that_are_nested_too_deeply_are_not_valid() {
    let nested = |depth: u64| format!("(component (type (list u8)) {})", times(depth, "(type (option #))"));
    assert_eq!(refusal(&nested(90)), None);
    let refused = refusal(&nested(1000)).expect("too deep").to_string();
    assert!(refused.contains("nesting is too deep"), "{refused}");
}
