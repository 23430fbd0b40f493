;; Says that it takes a whole number, and traps when it is given one.
(module
  (memory (export "memory") 1)
  (data (i32.const 32) "\60\00\00\00" "\53\00\00\00")
  (data (i32.const 96) "{\22inputs\22:{\22type\22:\22object\22,\22properties\22:{\22n\22:{\22type\22:\22integer\22}},\22required\22:[\22n\22]}}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32) unreachable)
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
