;; strings: compact-utf16
;; Has strings of Latin-1 as long as they can be: one letter of it crosses as two bytes of UTF-8.
(module
  (memory (export "memory") 1)
  ;; run: ok, a value of 3 bytes at 64, the middle one an e with an accent.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\03\00\00\00")
  (data (i32.const 64) "\22\e9\22")
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) (i32.const 0))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
