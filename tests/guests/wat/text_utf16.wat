;; strings: utf16
;; Has strings of UTF-16, as languages do whose strings are such: "a text" crosses as it is.
(module
  (memory (export "memory") 1)
  ;; run: ok, a value of 5 units at 64: a quote, a letter with a dot, both halves of a face, a quote.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\05\00\00\00")
  (data (i32.const 64) "\22\00\17\01\3d\d8\00\de\22\00")
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{\00}\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) (i32.const 0))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
