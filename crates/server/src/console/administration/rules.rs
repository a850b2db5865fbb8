//! `/administration/rules`: what is charged and under which conditions is sold: in force, to come, and as it was. Nothing of it is
//! changed; a new version takes its place.

use std::collections::BTreeSet;

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, NaiveDateTime, Utc};
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{ADMINS, section};
use crate::{
    app::App,
    console::{
        call::{beside_form, call, text},
        entry::answered,
        fault, figures,
        form::Fields,
        layout::token,
        parts::{self, Field, Tone},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

/// Every schedule with its place in time: the newest that is not to come holds.
const FEES: &str = sql!(
    "select s.fee_type, s.currency, s.currency_decimals, s.rate_ppm, s.fixed_minor, s.minimum_minor, s.maximum_minor, s.valid_from, s.note,
            case when s.valid_from > $1 then 'coming'
                 when s.valid_from = max(s.valid_from) filter (where s.valid_from <= $1) over (partition by s.fee_type, s.currency) then 'in_force'
                 else 'replaced' end
     from public.fee_schedules as s order by s.fee_type, s.currency, s.valid_from desc limit 500"
);

/// Every version of every pack: of those that may be used, the highest is what offerings are made under.
const PACKS: &str = sql!(
    "select r.id, r.code, r.version, r.title, r.valid_from, jsonb_array_length(r.rules),
            (select count(*) from public.offerings as o where o.rule_pack_id = r.id),
            case when r.valid_from > $1 then 'coming'
                 when r.version = max(r.version) filter (where r.valid_from <= $1) over (partition by r.code) then 'in_force'
                 else 'replaced' end
     from public.rule_packs as r order by r.code, r.version desc limit 500"
);

const VERSION: &str = sql!(
    "select r.code, r.version, r.title, r.summary, r.rules, r.valid_from, r.created_at,
            (select coalesce(p.full_name, p.email) from public.user_profiles as p where p.id = r.created_by),
            b.version, b.rules,
            case when r.valid_from > $2 then 'coming'
                 when exists (select from public.rule_packs as n where n.code = r.code and n.version > r.version and n.valid_from <= $2) then 'replaced'
                 else 'in_force' end,
            (select count(*) from public.offerings as o where o.rule_pack_id = r.id)
     from public.rule_packs as r
     left join lateral (select b.version, b.rules from public.rule_packs as b where b.code = r.code and b.version < r.version order by b.version desc limit 1) as b on true
     where r.id = $1"
);

/// `GET /administration/rules`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let tx = visit.reads(&app).await?;
    let fees = tx.query(FEES, &[&visit.asked.now]).await?;
    let packs = tx.query(PACKS, &[&visit.asked.now]).await?;
    tx.commit().await?;
    let content = html! {
        div.stack-large {
            section { h2 { (visit.t("rules-fees")) } p.fine { (visit.t("rules-fees-text")) } (fee_table(&visit, &fees)?) p { a.button.secondary href="/administration/fees" { (visit.t("fees-new")) } } }
            section { h2 { (visit.t("rules-packs")) } p.fine { (visit.t("rules-packs-text")) } (pack_table(&visit, &packs)?) }
        }
    };
    Ok(section(
        &visit,
        "/administration/rules",
        &visit.t("rules-title"),
        content,
    ))
}

/// Millionths as per cent, all digits that say something.
pub(crate) fn per_cent(ppm: i32) -> String {
    format!("{}\u{a0}%", figures::tokens(ppm.into(), 4))
}

fn fee_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (kind, currency, decimals): (String, String, i16) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (fixed, least): (i64, i64) = (row.try_get(4)?, row.try_get(5)?);
        let most: Option<i64> = row.try_get(6)?;
        let (note, place): (Option<String>, String) = (row.try_get(8)?, row.try_get(9)?);
        let money = |minor: i64| figures::money(minor, &currency, decimals);
        lines.push(html! {
            tr {
                th scope="row" { (visit.word("fee", &kind)) @if let Some(note) = note { br; span.fine lang="en" dir="ltr" { (note) } } }
                td { (currency) }
                td.number { (per_cent(row.try_get(3)?)) }
                td.number { @if fixed > 0 { (money(fixed)) } @else { "–" } }
                td.number { @if least > 0 { (money(least)) } @else { "–" } }
                td.number { @if let Some(most) = most { (money(most)) } @else { "–" } }
                td { (figures::instant(row.try_get(7)?, visit.language)) }
                td { (parts::state(visit, &place)) }
            }
        });
    }
    Ok(parts::table(
        &visit.t("rules-fees"),
        html! {
            thead { tr {
                th scope="col" { (visit.t("rules-fee")) } th scope="col" { (visit.t("ledger-asset")) } th.number scope="col" { (visit.t("rules-rate")) }
                th.number scope="col" { (visit.t("rules-fixed")) } th.number scope="col" { (visit.t("rules-least")) } th.number scope="col" { (visit.t("rules-most")) }
                th scope="col" { (visit.t("rules-from")) } th scope="col" { (visit.t("column-state")) }
            } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

fn pack_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    let mut lines = Vec::new();
    for row in rows {
        let (id, code, version, title): (Uuid, String, i32, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let rules: i32 = row.try_get(5)?;
        let place: String = row.try_get(7)?;
        lines.push(html! {
            tr {
                th scope="row" { a lang="en" dir="ltr" href={ "/administration/rules/" (id) } { (title) } br; code.fine { (code) } }
                td.number { (version) }
                td.number { (rules) }
                td.number { (figures::count(row.try_get(6)?)) }
                td { (figures::instant(row.try_get(4)?, visit.language)) }
                td { (parts::state(visit, &place)) }
            }
        });
    }
    Ok(parts::table(
        &visit.t("rules-packs"),
        html! {
            thead { tr {
                th scope="col" { (visit.t("rules-pack")) } th.number scope="col" { (visit.t("rules-version")) } th.number scope="col" { (visit.t("rules-count")) }
                th.number scope="col" { (visit.t("manage-offerings")) } th scope="col" { (visit.t("rules-from")) } th scope="col" { (visit.t("column-state")) }
            } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

/// `GET /administration/rules/{id}`.
pub(crate) async fn version(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let id: Uuid = id.parse().map_err(|_| Problem::NotFound)?;
    shown(&app, &visit, id, &Fields::default(), None).await
}

async fn shown(
    app: &App,
    visit: &Visit,
    id: Uuid,
    typed: &Fields,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let tx = visit.reads(app).await?;
    let row = tx
        .query_opt(VERSION, &[&id, &visit.asked.now])
        .await?
        .ok_or(Problem::NotFound)?;
    tx.commit().await?;
    let (code, number, title, summary): (String, i32, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let (rules, place): (Value, String) = (row.try_get(4)?, row.try_get(10)?);
    let by: Option<String> = row.try_get(7)?;
    let before: Option<(i32, Value)> = row.try_get::<_, Option<i32>>(8)?.zip(row.try_get(9)?);
    let content = html! {
        (parts::crumbs(visit, &[("/administration/rules", visit.t("rules-title").into_owned())]))
        @if let Some(problem) = problem { (fault::alert(visit, problem)) }
        div.stack-large {
            section.stack {
                p.lead lang="en" dir="ltr" { (summary) }
                (parts::facts(&[
                    (visit.t("rules-pack").into_owned(), html! { code { (code) } }),
                    (visit.t("rules-version").into_owned(), html! { (number) }),
                    (visit.t("column-state").into_owned(), parts::state(visit, &place)),
                    (visit.t("rules-from").into_owned(), figures::instant(row.try_get(5)?, visit.language)),
                    (visit.t("rules-published").into_owned(), html! {
                        (figures::instant(row.try_get(6)?, visit.language)) ", "
                        @if let Some(by) = by { bdi { (by) } } @else { (visit.t("rules-with-program")) }
                    }),
                    (visit.t("manage-offerings").into_owned(), html! { (figures::count(row.try_get(11)?)) }),
                ]))
            }
            section { h2 { (visit.t("rules-rules")) } (rule_table(visit, &rules)) }
            section {
                h2 { (visit.t("rules-differences")) }
                @match &before {
                    Some((version, before)) => {
                        p.fine { (visit.tv("rules-beside", &[("version", (*version).into())])) }
                        (differences(visit, before, &rules))
                    }
                    None => { p.soft { (visit.t("rules-first")) } }
                }
            }
            section.card { h2 { (visit.t("rules-publish")) } p.soft { (visit.t("rules-publish-text")) } (publish_form(visit, id, &code, [&title, &summary], &rules, typed)) }
        }
    };
    Ok(answered(
        section(visit, "/administration/rules", &title, content),
        problem,
    ))
}

/// A rule's parameters, in words as the pack has them.
fn parameters(rule: &Value) -> String {
    let fields = rule.as_object().into_iter().flatten();
    let shown = fields
        .filter(|(name, _)| !matches!(name.as_str(), "rule" | "source" | "checked"))
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => other.to_string(),
            };
            format!("{}: {value}", name.replace('_', " "))
        });
    shown.collect::<Vec<_>>().join("; ")
}

fn all(rules: &Value) -> Vec<Value> {
    rules.as_array().cloned().unwrap_or_default()
}

fn rule_table(visit: &Visit, rules: &Value) -> Markup {
    let rules = all(rules);
    if rules.is_empty() {
        return parts::empty(&visit.t("rules-none"), html! { p { (visit.t("rules-none-text")) } });
    }
    parts::table(
        &visit.t("rules-rules"),
        html! {
            thead { tr { th scope="col" { (visit.t("rules-rule")) } th scope="col" { (visit.t("rules-parameters")) } th scope="col" { (visit.t("column-source")) } th scope="col" { (visit.t("rules-checked")) } } }
            tbody { @for rule in &rules { tr {
                th scope="row" { (visit.word("rule", text(rule, "/rule"))) }
                td lang="en" dir="ltr" { (parameters(rule)) }
                td lang="en" dir="ltr" { (text(rule, "/source")) }
                td { @if rule.get("checked") == Some(&json!(true)) { (parts::badge(Tone::Good, &visit.t("rules-is-checked"))) } @else { (parts::badge(Tone::Wait, &visit.t("rules-is-not-checked"))) } }
            } } }
        },
    )
}

/// Rules that only one of two versions has, as they stand there: a changed one is in both lists.
fn compared(before: &Value, after: &Value) -> (Vec<Value>, Vec<Value>) {
    let texts = |rules: &Value| all(rules).iter().map(Value::to_string).collect::<BTreeSet<_>>();
    let (old, new) = (texts(before), texts(after));
    let only = |rules: &Value, others: &BTreeSet<String>| {
        let rules = all(rules).into_iter();
        rules.filter(|rule| !others.contains(&rule.to_string())).collect()
    };
    (only(before, &new), only(after, &old))
}

fn differences(visit: &Visit, before: &Value, after: &Value) -> Markup {
    let (gone, come) = compared(before, after);
    if gone.is_empty() && come.is_empty() {
        return html! { p.soft { (visit.t("rules-same")) } };
    }
    let line = |tone, said: &str, rule: &Value| {
        html! {
            tr {
                td { (parts::badge(tone, said)) }
                th scope="row" { (visit.word("rule", text(rule, "/rule"))) }
                td lang="en" dir="ltr" { (parameters(rule)) }
                td lang="en" dir="ltr" { (text(rule, "/source")) }
            }
        }
    };
    parts::table(
        &visit.t("rules-differences"),
        html! {
            thead { tr { th scope="col" { (visit.t("people-change")) } th scope="col" { (visit.t("rules-rule")) } th scope="col" { (visit.t("rules-parameters")) } th scope="col" { (visit.t("column-source")) } } }
            tbody {
                @for rule in &gone { (line(Tone::Stop, &visit.t("rules-taken-away"), rule)) }
                @for rule in &come { (line(Tone::Good, &visit.t("rules-added"), rule)) }
            }
        },
    )
}

fn publish_form(
    visit: &Visit,
    id: Uuid,
    code: &str,
    [title, summary]: [&str; 2],
    rules: &Value,
    typed: &Fields,
) -> Markup {
    let pretty = serde_json::to_string_pretty(rules).unwrap_or_default();
    let or = |name: &str, fallback: &str| typed.given(name).unwrap_or(fallback).to_owned();
    let (title, summary, rules) = (or("title", title), or("summary", summary), or("rules", &pretty));
    html! {
        form.form method="post" action="/administration/rules" {
            (token(visit))
            input type="hidden" name="from" value=(id);
            input type="hidden" name="code" value=(code);
            (Field::text("title", visit.t("manage-title")).value(&title).with("maxlength", "200").show(visit))
            (Field::text("summary", visit.t("rules-summary")).kind("textarea").value(&summary).with("maxlength", "2000").with("rows", "3").show(visit))
            (Field::text("rules", visit.t("rules-rules")).kind("textarea").value(&rules).hint(visit.t("rules-json-hint")).with("rows", "16").show(visit))
            (Field::text("validFrom", visit.t("rules-from")).kind("datetime-local").value(typed.get("validFrom")).hint(visit.t("rules-from-hint")).optional().show(visit))
            div { button.button { (visit.t("rules-publish")) } }
        }
    }
}

/// `POST /administration/rules`: publishes a version.
pub(crate) async fn publish(State(app): State<App>, visit: Visit, fields: Fields) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let from: Uuid = fields.get("from").parse().map_err(|_| Problem::NotFound)?;
    let published = match body(&fields) {
        Ok(body) => call(&app, &visit, "publish-rule-pack", None, Value::Object(body)).await,
        Err(problem) => Err(problem),
    };
    match published {
        Ok(answer) => {
            Ok(Redirect::to(&format!("/administration/rules/{}?did=done", text(&answer, "/id"))).into_response())
        }
        Err(problem) => {
            let problem = beside_form(problem)?;
            shown(&app, &visit, from, &fields, Some(&problem)).await
        }
    }
}

fn body(fields: &Fields) -> Result<Map<String, Value>, Problem> {
    let mut body = fields.body(&[("code", "code"), ("title", "title"), ("summary", "summary")]);
    let rules: Value = serde_json::from_str(fields.get("rules"))
        .map_err(|error| Problem::Invalid(format!("rules: this is no JSON: {error}")))?;
    body.insert("rules".to_owned(), rules);
    if let Some(typed) = fields.given("validFrom") {
        let at = NaiveDateTime::parse_from_str(typed, "%Y-%m-%dT%H:%M").map_err(|_| {
            Problem::Invalid("validFrom: a day and a time are wanted, such as 2026-11-28T15:00".to_owned())
        })?;
        let at: DateTime<Utc> = at.and_utc();
        body.insert("validFrom".to_owned(), json!(at));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_rule_by_rule() {
        let before =
            json!([{ "rule": "cooling_off", "days": 1, "source": "a" }, { "rule": "accredited", "source": "b" }]);
        let after =
            json!([{ "rule": "accredited", "source": "b" }, { "rule": "cooling_off", "days": 4, "source": "a" }]);
        let (gone, come) = compared(&before, &after);
        assert_eq!((gone.len(), come.len()), (1, 1), "what moved is the same");
        assert_eq!((&gone[0]["days"], &come[0]["days"]), (&json!(1), &json!(4)));
        assert_eq!(compared(&before, &before), (Vec::new(), Vec::new()));
        assert_eq!(parameters(&come[0]), "days: 4");
        assert_eq!(per_cent(125), "0.0125\u{a0}%");
    }
}
