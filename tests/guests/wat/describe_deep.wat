;; Says that it is 100,000 lists inside of each other.
(module
  (memory (export "memory") 5)
  ;; run: ok, a value of 1 bytes at 64.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\01\00\00\00")
  (data (i32.const 64) "1")
  ;; describe: 200,000 bytes at 65536.
  (data (i32.const 32) "\00\00\01\00" "\40\0d\03\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) (i32.const 0))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32)
    (memory.fill (i32.const 65536) (i32.const 91) (i32.const 100000))
    (memory.fill (i32.const 165536) (i32.const 93) (i32.const 100000))
    (i32.const 32)))
