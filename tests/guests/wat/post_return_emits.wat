;; Answers, and emits a chunk when its answer is taken.
(module
  (import "weir:flow/output@0.1.0" "emit" (func $emit (param i32 i32 i32)))
  (memory (export "memory") 1)
  ;; run: ok, a value of 1 bytes at 64.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\01\00\00\00")
  (data (i32.const 64) "1")
  ;; describe: two bytes at 96.
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) (i32.const 0))
  (func (export "cabi_post_weir:flow/handler@0.1.0#run") (param i32)
    (call $emit (i32.const 64) (i32.const 1) (i32.const 128)))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
