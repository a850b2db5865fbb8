//! The grammar of `select`.
#![no_main]

use pgrest::grammar::select::select;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = select(text);
});
