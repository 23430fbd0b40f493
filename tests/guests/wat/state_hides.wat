;; Fills all of a megabyte of memory, and its stack, with a canary. Returns 1.
(module
  (memory (export "memory") 1)
  ;; run: ok, a value of 1 bytes at 64.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\01\00\00\00")
  (data (i32.const 64) "1")
  ;; describe: two bytes at 96.
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) 
    (drop (memory.grow (i32.const 15)))
    (memory.fill (i32.const 65536) (i32.const 0xca) (i32.const 983040))
    (drop (call $deep (i64.const 0x5ec2e75ec2e75ec2) (i32.const 2000)))
    (i32.const 0))
  ;; Leaves the canary in many frames of the native stack.
  (func $deep (param $canary i64) (param $depth i32) (result i64)
    (if (result i64) (i32.eqz (local.get $depth))
      (then (local.get $canary))
      (else (i64.xor (local.get $canary)
        (call $deep (i64.rotl (local.get $canary) (i64.const 64)) (i32.sub (local.get $depth) (i32.const 1)))))))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
