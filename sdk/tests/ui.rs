//! What the compiler says to an author who goes wrong: each program in `ui/` and its words beside it. Rewrite them with
//! `TRYBUILD=overwrite`, and read them.

#[test]
fn compile_errors_point_at_the_authors_code() {
    let programs = trybuild::TestCases::new();
    programs.pass("tests/ui/accepted*.rs");
    programs.compile_fail("tests/ui/refused_*.rs");
}
