;; Looks for anything but zeros in memory that it has written nothing to, its first pages and those that it grows by, and
;; for anything in places of its table that are empty. Returns 1 if all is as it should be.
(module
  (memory (export "memory") 1)
  (table $table 64 128 funcref)
  ;; run: ok, a value of 1 bytes at 64.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\01\00\00\00")
  (data (i32.const 64) "1")
  ;; describe: two bytes at 96.
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32)(local $at i32) 
    (drop (memory.grow (i32.const 15)))
    (drop (table.grow $table (ref.null func) (i32.const 64)))
    ;; The inputs are at 1024, and shorter than a page.
    (local.set $at (i32.const 65536))
    (block $dirty
      (loop $next
        (br_if $dirty (i64.ne (i64.load (local.get $at)) (i64.const 0)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 1048576))))
      (local.set $at (i32.const 0))
      (loop $next
        (br_if $dirty (i32.eqz (ref.is_null (table.get $table (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 128))))
      (return (i32.const 0)))
    (i32.store8 (i32.const 64) (i32.const 48))
    (i32.const 0))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
