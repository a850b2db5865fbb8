//! `/administration/offerings`: offerings with what can be done now, and distributions that are to be paid.

use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{ADMINS, section};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        call::{beside_form, call, text},
        fault, figures,
        listing::Sum,
        parts::{self, Field},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

const OFFERINGS: &str = sql!(
    "select o.id, o.property_id, p.title, o.status, o.price_minor, o.currency, o.currency_decimals, o.soft_cap_units, o.hard_cap_units, o.token_decimals, o.opens_at, o.closes_at,
            r.title, o.created_by,
            coalesce((select sum(i.token_amount_units) from public.investments as i where i.offering_id = o.id and i.status in ('paid', 'confirmed')), 0)::bigint,
            coalesce((select sum(i.token_amount_units) from public.investments as i where i.offering_id = o.id and i.status = 'pending'), 0)::bigint,
            o.fail_reason, o.early_close_at, o.kind, o.with_agent_at, o.agent_minor
     from public.offerings as o join public.properties as p on p.id = o.property_id join public.rule_packs as r on r.id = o.rule_pack_id
     order by o.status in ('closed', 'failed', 'cancelled') and o.agent_minor = 0, o.created_at desc limit 100"
);

const DECLARED: &str = sql!(
    "select d.id, d.property_id, p.title, d.declared_minor, d.currency, d.currency_decimals, d.holders, d.status
     from public.distributions as d join public.properties as p on p.id = d.property_id where d.status in ('declared', 'paying') order by d.created_at limit 50"
);

/// `GET /administration/offerings`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let reader = visit.one_of(&ADMINS)?.id;
    let tx = visit.reads(&app).await?;
    let rows = tx.query(OFFERINGS, &[]).await?;
    let declared = tx.query(DECLARED, &[]).await?;
    tx.commit().await?;
    let mut lines = Vec::new();
    for row in &rows {
        lines.push(offering(&app, &visit, row, reader).await?);
    }
    let payable = declared
        .iter()
        .map(|row| distribution(&visit, row))
        .collect::<Result<Vec<_>, _>>()?;
    let content = html! {
        div.stack-large {
            section {
                h2.hidden-text { (visit.t("manage-offerings")) }
                @if lines.is_empty() { (parts::empty(&visit.t("manage-no-offering"), html! { p { (visit.t("offerings-none-text")) } })) }
                ul.notices { @for line in lines { (line) } }
            }
            section {
                h2 { (visit.t("offerings-to-pay")) }
                @if payable.is_empty() { (parts::empty(&visit.t("offerings-to-pay-none"), html! { p { (visit.t("offerings-to-pay-none-text")) } })) }
                ul.notices { @for line in payable { (line) } }
            }
        }
    };
    Ok(section(
        &visit,
        "/administration/offerings",
        &visit.t("manage-offerings"),
        content,
    ))
}

async fn offering(app: &App, visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (id, property, title, status): (Uuid, Uuid, String, String) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let decimals: i16 = row.try_get(9)?;
    let (hard, paid, pending): (i64, i64, i64) = (row.try_get(8)?, row.try_get(14)?, row.try_get(15)?);
    let tokens = |units: i64| figures::tokens(units, decimals);
    let price = Sum::read(row, 4, 5, 6)?;
    let pack: String = row.try_get(12)?;
    let failed: Option<String> = row.try_get(16)?;
    let is_own = row.try_get::<_, Uuid>(13)? == reader;
    let words = visit.tv(
        "offerings-sold",
        &[
            ("paid", tokens(paid).into()),
            ("pending", tokens(pending).into()),
            ("soft", tokens(row.try_get(7)?).into()),
            ("hard", tokens(hard).into()),
        ],
    );
    let hidden = [("offeringId", id.to_string())];
    let act = |function, fields, class, key: &str| {
        Act {
            function,
            hidden: &hidden,
            fields,
            class,
            label: visit.language.text(key).into_owned(),
        }
        .show(visit)
    };
    let (kind, with_agent): (String, Option<DateTime<Utc>>) = (row.try_get(18)?, row.try_get(19)?);
    let lies_with_agent = Sum::read(row, 20, 5, 6)?.filter(|sum| sum.minor > 0);
    let about = html! {
        span lang="en" dir="ltr" { (pack) } ", " @if let Some(price) = price { (price.show()) " " (visit.t("property-a-token")) ", " }
        (figures::instant(row.try_get(10)?, visit.language)) " – " (figures::instant(row.try_get(11)?, visit.language))
        @if let (Some(at), Some(sum)) = (with_agent, &lies_with_agent) { br; (visit.t("offerings-with-agent")) " " (sum.show()) ", " (figures::instant(at, visit.language)) }
        @if let Some(failed) = failed { br; q dir="auto" { (failed) } }
    };
    let for_good = || act::for_good(visit);
    let when = |name, key: &str| {
        let field = Field::text(name, visit.language.text(key))
            .of(id)
            .kind("datetime-local");
        field.hint(visit.t("form-utc")).show(visit)
    };
    let agent = |function, class, key: &str| {
        let reference = Field::text("reference", visit.t("act-field-reference")).of(id);
        let reference = reference
            .hint(visit.t("offerings-agent-hint"))
            .with("maxlength", "200")
            .show(visit);
        act::folded(&visit.language.text(key), act(function, reference, class, key))
    };
    let preview = match status.as_str() {
        "open" | "funded" => close_preview(app, visit, id).await?,
        _ => html! {},
    };
    let actions = html! {
        (parts::progress(&visit.t("offering-progress-label"), figures::percent(paid, hard), html! { (words) }))
        (preview)
        @match status.as_str() {
            "draft" => {
                @if is_own { p.fine { (visit.t("offerings-own")) } } @else { (act::folded(&visit.t("offerings-open"), act("open-offering", for_good(), "button", "offerings-open"))) }
                (act::folded(&visit.t("manage-offering-cancel"), act("cancel-offering", for_good(), "button danger small", "manage-offering-cancel")))
            }
            "open" | "funded" => {
                (act::folded(&visit.t("offerings-close"), act("close-offering", for_good(), "button", "offerings-close")))
                @if status == "funded" && kind == "acquisition" && with_agent.is_none() { (agent("move-escrow-to-agent", "button", "offerings-to-agent")) }
                @if status == "open" {
                    (act::folded(&visit.t("offerings-early"), act("announce-early-close", when("at", "act-field-at"), "button secondary", "offerings-early")))
                    (act::folded(&visit.t("offerings-extend"), act("extend-offering", html! { (when("closesAt", "offer-closes")) (act::reason(visit, &format!("e-{id}"))) }, "button secondary", "offerings-extend")))
                }
                (act::folded(&visit.t("offerings-fail"), act("fail-offering", act::reason(visit, &format!("f-{id}")), "button danger", "offerings-fail")))
            }
            "failed" if lies_with_agent.is_some() => { (agent("return-escrow-from-agent", "button", "offerings-from-agent")) }
            _ => {}
        }
    };
    Ok(act::state_line(
        visit,
        html! { a href={ "/properties/" (property) } { bdi { (title) } } },
        &status,
        about,
        actions,
    ))
}

/// What a close would do now, on a snapshot.
async fn close_preview(app: &App, visit: &Visit, id: Uuid) -> Result<Markup, Problem> {
    let preview = match call(app, visit, "preview-close", None, json!({ "offeringId": id })).await {
        Ok(preview) => preview,
        Err(problem) => return Ok(fault::alert(visit, &beside_form(problem)?)),
    };
    let holders = preview.get("holders").and_then(Value::as_array).map_or(0, Vec::len);
    Ok(html! {
        details {
            summary { (visit.t("offerings-what-if")) }
            (parts::facts(&[
                (visit.t("offerings-would").into_owned(), html! { (visit.word("would", text(&preview, "/would"))) }),
                (visit.t("offerings-proceeds").into_owned(), html! { bdi { (text(&preview, "/proceeds")) } }),
                (visit.t("offerings-fees").into_owned(), html! { bdi { (text(&preview, "/fees")) } }),
                (visit.t("figure-holders").into_owned(), html! { (holders) }),
            ]))
            @if let Some(reason) = preview.pointer("/refusal/reason").and_then(Value::as_str) { p.soft lang="en" dir="ltr" { (fault::sentence(reason)) } }
        }
    })
}

fn distribution(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (id, title, status): (Uuid, String, String) = (row.try_get(0)?, row.try_get(2)?, row.try_get(7)?);
    let holders: i32 = row.try_get(6)?;
    let sum = Sum::read(row, 3, 4, 5)?;
    let hidden = [("distributionId", id.to_string())];
    let about = html! { bdi { (title) } ", " (visit.tv("rent-holders", &[("count", holders.into())])) };
    let actions = html! { @if status == "declared" { (act::folded(&visit.t("offerings-pay"), Act { function: "pay-distribution", hidden: &hidden, fields: act::for_good(visit), class: "button", label: visit.t("offerings-pay").into_owned() }.show(visit))) } };
    Ok(act::state_line(
        visit,
        html! { @if let Some(sum) = sum { (sum.show()) } },
        &status,
        about,
        actions,
    ))
}
