//! See the module `reader`.

#![no_main]

#[path = "../../server/tests/fuzz/reader.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(|input: &[u8]| reader::reader(input));
