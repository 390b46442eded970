//! See `sesshu_engine::fuzzing::ticket_line`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sesshu_engine::fuzzing::ticket_line(input));
