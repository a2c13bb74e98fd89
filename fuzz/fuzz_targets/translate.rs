//! Any bytes as instructions: see `checks::translate`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::translate(data));
