//! Whatever is asked: nothing panics, and nothing that a client writes as a value becomes SQL.

use proptest::prelude::*;

use crate::shop::{planned, statement};

/// Text in which the grammar's own signs are frequent.
fn signs() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("select".to_owned()),
        Just("id".to_owned()),
        Just("clients".to_owned()),
        Just("projects".to_owned()),
        Just("eq".to_owned()),
        Just("in".to_owned()),
        Just("not".to_owned()),
        Just("or".to_owned()),
        Just("and".to_owned()),
        Just("fts".to_owned()),
        Just("order".to_owned()),
        Just("limit".to_owned()),
        Just("...".to_owned()),
        Just("->>".to_owned()),
        Just("::".to_owned()),
        "[-.,:()!*=&\"\\\\{}%0-9a-z\u{e4}' ;]",
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn nothing_panics(
        query in signs(),
        path in "(/|/clients|/projects|/rpc/add|/[a-z%/\"]{0,8})",
        method in "(GET|POST|PATCH|PUT|DELETE|HEAD|OPTIONS)",
        prefer in "[a-z=,-]{0,30}",
        accept in "[a-z/;=*,.+\"]{0,30}",
        body in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let asked = format!("{method} {path}?{query}");
        let _ = planned(&asked, &[("prefer", &prefer), ("accept", &accept)], &body);
    }

    #[test]
    fn values_stay_values(value in "[a-z'\"\\\\;() -]{1,20}") {
        let secret = format!("zq{value}zq");
        let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let plan = statement(
            &format!("GET /clients?name=eq.{encoded}&name=neq.{encoded}&select=projects(id)&projects.name=like.{encoded}"),
            &[],
            "",
        );
        prop_assert!(!plan.statement.text.contains("zq"), "{}", plan.statement.text);
        prop_assert_eq!(plan.statement.binds.len(), 3);
    }

    #[test]
    fn names_stay_names(name in "[a-z\";() -]{1,20}") {
        let quoted = format!("%22{}%22", name.bytes().map(|byte| match byte {
            b'"' => "%5C%22".to_owned(),
            byte => format!("%{byte:02X}"),
        }).collect::<String>());
        let plan = statement(&format!("GET /clients?select={quoted}&order={quoted}&{quoted}=is.null"), &[], "");
        let written = format!("\"{}\"", name.replace('"', "\"\""));
        let rest = plan.statement.text.replace(&written, "");
        prop_assert!(!rest.contains(';'), "{}", plan.statement.text);
    }
}
