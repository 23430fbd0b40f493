;; Reads where it has no memory.
(module
  (memory (export "memory") 1)
  ;; describe: two bytes at 96.
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) (i32.load (i32.const -4)))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
