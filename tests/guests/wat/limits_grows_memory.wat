;; Grows its memory until it is refused, lives with that, and says whether it has the 64 MiB that are the default.
(module
  (memory (export "memory") 1)

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
      (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (select (i32.const 0) (i32.const 16) (i32.eq (memory.size) (i32.const 1024))))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
