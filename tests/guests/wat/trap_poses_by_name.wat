;; Traps in a function whose name is a C++ one that a demangler would write out as millions of bytes, called by one whose name is
;; what the runtime says of another failure.
(module
  (memory (export "memory") 1)
  ;; describe: two bytes at 96.
  (data (i32.const 32) "\60\00\00\00" "\02\00\00\00")
  (data (i32.const 96) "{}")
  (func $"_Z1f1AIiiE1BIS0_S0_S0_S0_E1CIS2_S2_S2_S2_E1DIS4_S4_S4_S4_E1EIS6_S6_S6_S6_E1FIS8_S8_S8_S8_E1GISA_SA_SA_SA_E1HISC_SC_SC_SC_E1IISE_SE_SE_SE_E1JISG_SG_SG_SG_E1KISI_SI_SI_SI_E1LISK_SK_SK_SK_E" unreachable)
  (func $"store handle limit exceeded" (call $"_Z1f1AIiiE1BIS0_S0_S0_S0_E1CIS2_S2_S2_S2_E1DIS4_S4_S4_S4_E1EIS6_S6_S6_S6_E1FIS8_S8_S8_S8_E1GISA_SA_SA_SA_E1HISC_SC_SC_SC_E1IISE_SE_SE_SE_E1JISG_SG_SG_SG_E1KISI_SI_SI_SI_E1LISK_SK_SK_SK_E"))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "weir:flow/handler@0.1.0#run") (param i32 i32) (result i32)
    (call $"store handle limit exceeded")
    (i32.const 0))
  (func (export "weir:flow/handler@0.1.0#describe") (result i32) (i32.const 32)))
