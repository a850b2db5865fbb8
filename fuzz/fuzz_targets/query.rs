//! The grammars of filters, trees of them, and orders, and the query string around them.
#![no_main]

use pgrest::{
    grammar::{filter::condition, logic::logic, order::order, tree_path},
    query::{Query, decoded, encoded},
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = condition(text);
    let _ = logic("and", text);
    let _ = logic("or", text);
    let _ = order(text);
    let _ = tree_path(text);
    assert_eq!(decoded(&encoded(text)), text);
    for is_call in [false, true] {
        let _ = Query::of(text, is_call);
    }
});
