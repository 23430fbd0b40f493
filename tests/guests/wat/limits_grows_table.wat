;; Grows its table until it is refused, and says whether it has 99 to 100 thousand entries then.
(module
  (memory (export "memory") 1)
  (table $t 1 funcref)
  ;; result: ok, output: value, four or five bytes.
  (data (i32.const 0) "\00\00\00\00" "\00\00\00\00" "\40\00\00\00" "\04\00\00\00")
  (data (i32.const 16) "\00\00\00\00" "\00\00\00\00" "\50\00\00\00" "\05\00\00\00")
  (data (i32.const 64) "true")
  (data (i32.const 80) "false")
  ;; describe: two bytes at 96.
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32)
    (loop $again
      (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
    (select (i32.const 0) (i32.const 16)
      (i32.and
        (i32.gt_u (table.size $t) (i32.const 99000))
        (i32.le_u (table.size $t) (i32.const 100000)))))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
