;; strings: utf16
;; Has strings of UTF-16, and returns one that begins in the middle of a unit.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\41\00\00\00" "\01\00\00\00")
  (data (i32.const 64) "\00\31\00\00")
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{\00}\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) (i32.const 0))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
