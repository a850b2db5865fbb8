//! What is refused before PostgreSQL is asked.

use crate::shop::planned;

#[test]
fn every_refusal_has_its_code() {
    let check = |asked: &str, headers: &[(&str, &str)], body: &str, code: &str| {
        let refusal = planned(asked, headers, body.as_bytes()).expect_err(asked);
        assert_eq!(refusal.code().0, code, "{asked}: {refusal:?}");
        assert!(refusal.reply().body.contains(code));
    };
    check("GET /nope", &[], "", "PGRST205");
    check("GET /a/b", &[], "", "PGRST125");
    check("TRACE /clients", &[], "", "PGRST117");
    check("PUT /rpc/add", &[], "", "PGRST101");
    check("GET /clients?id=1", &[], "", "PGRST100");
    check("GET /clients?select=tasks(id)", &[], "", "PGRST200");
    check("GET /clients?select=projects!nope(id)", &[], "", "PGRST200");
    check("GET /clients?projects.id=eq.1", &[], "", "PGRST108");
    check("GET /clients?select=projects(id),projects(name)", &[], "", "42712");
    check(
        "GET /clients?select=projects(id)&order=projects(id)",
        &[],
        "",
        "PGRST118",
    );
    check("GET /clients?select=...projects(id.sum())", &[], "", "PGRST127");
    check("GET /clients?limit=-1", &[], "", "PGRST103");
    check("GET /clients", &[("range", "5-1")], "", "PGRST103");
    check("GET /clients", &[("accept", "image/png")], "", "PGRST107");
    check("GET /clients", &[("accept-profile", "x")], "", "PGRST106");
    check("GET /clients", &[("prefer", "handling=strict, x")], "", "PGRST122");
    check("POST /clients", &[], "", "PGRST102");
    check("POST /clients", &[], r#"{"nope":1}"#, "PGRST204");
    check("PUT /clients?name=eq.x", &[], r#"{"id":1}"#, "PGRST105");
    check("PUT /clients?id=eq.1&limit=1", &[], r#"{"id":1}"#, "PGRST114");
    check("PUT /clients?id=eq.1", &[], r#"{"name":"x"}"#, "PGRST115");
    check("GET /rpc/add?a=1", &[], "", "PGRST202");
    check(
        "GET /rpc/add?a=1&b=2",
        &[("prefer", "handling=strict, max-affected=1")],
        "",
        "PGRST128",
    );
    check("GET /rpc/nope", &[], "", "PGRST202");
    check("POST /rpc/hidden", &[], r#"{"":1}"#, "PGRST202");
    check("POST /rpc/pick", &[], r#"{"a":1}"#, "PGRST203");
    let several = planned("GET /rpc/pick?a=1", &[], b"").unwrap_err().reply().body;
    assert!(
        several.contains("between: api.pick(a => integer), api.pick(a => text)"),
        "{several}"
    );
}
