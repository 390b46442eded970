//! See `sesshu_engine::fuzzing::held`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sesshu_engine::fuzzing::held(input));
