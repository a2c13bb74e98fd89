//! Any bytes as an ELF file: see `checks::elf`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::elf(data));
