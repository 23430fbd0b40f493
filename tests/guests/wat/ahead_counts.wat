;; Counts its runs in a global, in its memory and in the length of its table, and returns what it has counted: always "1"
;; if nothing is left of an earlier run, else something else.
(module
  ;; 10 MiB, as an interpreter has.
  (memory (export "memory") 160)
  (table $table 1 16 funcref)
  (global $runs (mut i32) (i32.const 0))
  ;; run: ok, a value of 1 bytes at 64.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\01\00\00\00")
  (data (i32.const 64) "0")
  ;; describe: two bytes at 96.
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) 
    (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
    (i32.store (i32.const 2048) (i32.add (i32.load (i32.const 2048)) (i32.const 1)))
    (drop (table.grow $table (ref.null func) (i32.const 1)))
    ;; The digit of all three together, less what they are at first: 1, 1 and 2.
    (i32.store8 (i32.const 64)
      (i32.add (i32.const 45)
        (i32.add (global.get $runs) (i32.add (i32.load (i32.const 2048)) (table.size $table)))))
    (i32.const 0))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
