//! A whole request against a small schema: what is planned has as many values as its text asks for, and none of them in it.
#![no_main]

#[path = "../../crates/pgrest/tests/plans/shop.rs"]
#[allow(dead_code)]
mod shop;

use pgrest::plan::Plan;

const MARK: &str = "zqzqzq";

libfuzzer_sys::fuzz_target!(|input: (u8, &str, &str, &[u8])| {
    let (method, query, header, body) = input;
    let methods = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"];
    let paths = ["/clients", "/projects", "/users", "/rpc/add", "/named_projects"];
    let method = usize::from(method);
    let asked = format!(
        "{} {}?{query}&name=eq.{MARK}",
        methods[method % methods.len()],
        paths[method / methods.len() % paths.len()]
    );
    if let Ok(Plan::Statement(plan)) = shop::planned(&asked, &[("prefer", header), ("accept", header)], body) {
        if !query.contains(MARK) {
            assert!(!plan.statement.text.contains(MARK));
        }
        assert!(!plan.statement.text.contains(&format!("${}", plan.statement.binds.len() + 1)));
    }
});
