//! A component of the size of Python's, which no compiler of ours makes: [`tiny.wat`](../../guests/wat/bench_tiny.wat) with functions
//! that nobody calls and data that nobody reads. A third of it is code, as in a component of componentize-py.

use std::fmt::Write as _;

use harness::wat;

/// Bytes of a component of Python.
pub(crate) const LIKE_PYTHON: usize = 18_000_000;

/// Bytes of one of the functions.
const FUNCTION: usize = 1180;

/// A node that hands its text back, of about so many bytes.
pub(crate) fn component(bytes: usize) -> Vec<u8> {
    let tiny = include_str!("../../guests/wat/bench_tiny.wat");
    let end = tiny.rfind(')').expect("the module ends");
    let data = bytes / 3 * 2;
    // Behind what the guest uses, and in front of what the host writes.
    let pages = data.div_ceil(1 << 16) + 2;
    let mut text = tiny[..end]
        .replace("(memory (export \"memory\") 1)", &format!("(memory (export \"memory\") {pages})"))
        .replace("(i32.const 1024)", &format!("(i32.const {})", 2048 + data));
    writeln!(text, "(data (i32.const 2048) \"{}\")", "weir".repeat(data / 4)).expect("a string takes all");
    for number in 0..bytes / 3 / FUNCTION {
        function(&mut text, number);
    }
    wat::component(&(text + ")")).expect("a component")
}

/// Loops, branches, loads and stores, no two of them alike.
fn function(text: &mut String, number: usize) {
    text.push_str("(func (param i32 i32) (result i32) (local i32 i64)\n");
    for step in 0..20 {
        let constant = number * 31 + step * 7 + 1;
        writeln!(
            text,
            "(block (loop (local.set 2 (i32.add (i32.mul (local.get 0) (i32.const {constant})) (local.get 1))) \
             (br_if 1 (i32.gt_u (local.get 2) (i32.const {constant}))) \
             (i32.store offset={step} (local.get 1) (i32.xor (local.get 2) (i32.load offset={step} (local.get 0)))) \
             (local.set 3 (i64.rotl (i64.extend_i32_u (local.get 2)) (i64.const {}))) \
             (local.set 0 (i32.sub (local.get 0) (i32.wrap_i64 (local.get 3)))) \
             (br_if 0 (i32.lt_s (local.get 0) (local.get 1)))))",
            constant % 64
        )
        .expect("a string takes all");
    }
    text.push_str("(local.get 2))\n");
}
