#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::dtls::dtls(input));
