//! `/compliance/decisions`: steps, rent and distributions that wait for a second person.

use axum::{extract::State, response::Response};
use chrono::{DateTime, NaiveDate, Utc};
use maud::{Markup, html};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{OVERSEERS, section, when};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        call::text,
        figures,
        listing::Sum,
        parts,
        visit::Visit,
        what_if,
    },
    db::sql,
    problem::Problem,
};

const STEPS: &str = sql!(
    "select t.id, t.property_id, p.title, s.step_name, s.status, s.submitted_at, s.step_data, s.submitted_by,
            (select coalesce(u.full_name, u.email) from public.user_profiles as u where u.id = s.submitted_by),
            a.id, a.audit_date, a.audit_score
     from public.tokenization_steps as s join public.tokenization_processes as t on t.id = s.process_id join public.properties as p on p.id = t.property_id
     left join lateral (select a.id, a.audit_date, a.audit_score from public.property_audits as a where a.property_id = t.property_id
                        order by a.audit_date desc, a.id limit 1) as a on s.step_name = 'audit'
     where t.status = 'in_progress' and (s.status = 'submitted' or (s.step_name = t.current_step and s.step_name in ('compliance_review', 'audit', 'launch') and s.status in ('pending', 'in_progress', 'rejected')))
     order by s.submitted_at nulls last limit 100"
);

const PERIODS: &str = sql!(
    "select r.id, r.property_id, p.title, r.period_from, r.period_to, r.currency, r.currency_decimals, r.recorded_by,
            (select coalesce(sum(l.amount_minor) filter (where l.kind = 'rent'), 0)::bigint from public.rent_lines as l where l.period_id = r.id),
            (select coalesce(sum(l.amount_minor) filter (where l.kind <> 'rent'), 0)::bigint from public.rent_lines as l where l.period_id = r.id),
            (select coalesce(jsonb_agg(jsonb_build_object('kind', l.kind, 'amount', l.amount_minor, 'on', l.booked_on, 'for', l.paid_for, 'ref', l.bank_reference) order by l.booked_on, l.id), '[]')
             from public.rent_lines as l where l.period_id = r.id)
     from public.rent_periods as r join public.properties as p on p.id = r.property_id where r.status = 'recorded' order by r.created_at limit 50"
);

const PROPOSED: &str = sql!(
    "select d.id, d.property_id, p.title, d.declared_minor, d.currency, d.currency_decimals, d.created_at, d.proposed_by, d.declared_amount::text
     from public.distributions as d join public.properties as p on p.id = d.property_id where d.status = 'proposed' order by d.created_at limit 50"
);

/// `GET /compliance/decisions`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let reader = visit.one_of(&OVERSEERS)?.id;
    let tx = visit.reads(&app).await?;
    let steps = tx.query(STEPS, &[]).await?;
    let periods = tx.query(PERIODS, &[]).await?;
    let proposed = tx.query(PROPOSED, &[]).await?;
    tx.commit().await?;
    let steps = steps
        .iter()
        .map(|row| step(&visit, row, reader))
        .collect::<Result<Vec<_>, _>>()?;
    let periods = periods
        .iter()
        .map(|row| period(&visit, row, reader))
        .collect::<Result<Vec<_>, _>>()?;
    let mut lines = Vec::new();
    for row in &proposed {
        lines.push(distribution(&app, &visit, row, reader).await?);
    }
    let part = |title: &str, none: &str, items: &[Markup]| {
        html! {
            section {
                h2 { (visit.language.text(title)) }
                @if items.is_empty() { (parts::empty(&visit.language.text(none), html! { p { (visit.t("decisions-none-text")) } })) }
                ul.notices { @for item in items { (item) } }
            }
        }
    };
    let content = html! {
        div.stack-large {
            (part("decisions-steps", "decisions-steps-none", &steps))
            (part("decisions-rent", "decisions-rent-none", &periods))
            (part("decisions-distributions", "decisions-distributions-none", &lines))
        }
    };
    Ok(section(
        &visit,
        "/compliance/decisions",
        &visit.t("decisions-title"),
        content,
    ))
}

fn step(visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (process, property): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
    let (title, name, status): (String, String, String) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    let submitted: Option<DateTime<Utc>> = row.try_get(5)?;
    let data: Value = row.try_get(6)?;
    let by: Option<String> = row.try_get(8)?;
    let is_own = row.try_get::<_, Option<Uuid>>(7)? == Some(reader);
    let hidden = [("processId", process.to_string()), ("step", name.clone())];
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
    let launch = [("propertyId", property.to_string())];
    let about = html! {
        a href={ "/properties/" (property) } { bdi { (title) } }
        @if let Some(by) = by { ", " bdi { (by) } }
        @if submitted.is_some() { ", " (when(visit, submitted)) }
        @if let Some(fields) = data.as_object() { @for (key, value) in fields { br; (visit.word("step-data", key)) ": " bdi { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) } } }
    };
    let is_officer = visit.has(mint_core::role::Role::ComplianceOfficer);
    let is_admin = visit.has(mint_core::role::Role::Admin);
    let actions = html! {
        @if name == "launch" {
            @if is_admin { (act::folded(&visit.t("decisions-launch"), Act { function: "launch-tokenization", hidden: &launch, fields: act::for_good(visit), class: "button", label: visit.t("decisions-launch").into_owned() }.show(visit))) }
            @else { p.fine { (visit.t("decisions-for-admin")) } }
        } @else if status != "submitted" {
            @if !is_officer { p.fine { (visit.t("decisions-for-officer")) } }
            @else if name == "audit" { (audit(visit, property, process, row)?) }
            @else { (act("submit-step", html! {}, "button", "manage-submit-step")) }
        } @else if is_own { p.fine { (visit.t("cases-yours")) } }
        @else {
            div.columns {
                (act("approve-step", html! {}, "button", "cases-approve"))
                (act::folded(&visit.t("cases-reject"), act("reject-step", act::reason(visit, &format!("{process}-{name}")), "button danger", "cases-reject")))
            }
        }
    };
    Ok(act::state_line(
        visit,
        html! { (visit.word("step", &name)) },
        &status,
        about,
        actions,
    ))
}

/// An audit is made, and then the step is submitted with the newest.
fn audit(visit: &Visit, property: Uuid, process: Uuid, row: &Row) -> Result<Markup, Problem> {
    let newest: Option<Uuid> = row.try_get(9)?;
    let (made_at, score): (Option<DateTime<Utc>>, Option<i16>) = (row.try_get(10)?, row.try_get(11)?);
    let hidden = [("propertyId", property.to_string())];
    let scope = parts::Field::text("scope", visit.t("act-field-scope"))
        .of(process)
        .optional()
        .with("maxlength", "300")
        .show(visit);
    let audit = Act {
        function: "audit-property-contract",
        hidden: &hidden,
        fields: scope,
        class: "button secondary",
        label: visit.t("decisions-audit").into_owned(),
    };
    let Some(newest) = newest else {
        return Ok(audit.show(visit));
    };
    let hidden = [
        ("processId", process.to_string()),
        ("step", "audit".to_owned()),
        ("auditId", newest.to_string()),
    ];
    let submit = Act {
        function: "submit-step",
        hidden: &hidden,
        fields: html! {},
        class: "button",
        label: visit.t("decisions-submit-audit").into_owned(),
    };
    Ok(html! {
        p.fine {
            (visit.t("decisions-newest-audit")) " " (when(visit, made_at))
            @if let Some(score) = score { ", " (visit.tv("decisions-score", &[("score", score.into())])) }
        }
        (submit.show(visit))
        (act::folded(&visit.t("decisions-audit"), audit.show(visit)))
    })
}

fn period(visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (id, title): (Uuid, String) = (row.try_get(0)?, row.try_get(2)?);
    let (from, to): (NaiveDate, NaiveDate) = (row.try_get(3)?, row.try_get(4)?);
    let (rent, costs) = (Sum::read(row, 8, 5, 6)?, Sum::read(row, 9, 5, 6)?);
    let (currency, decimals): (String, i16) = (row.try_get(5)?, row.try_get(6)?);
    let lines: Value = row.try_get(10)?;
    let lines = lines.as_array().cloned().unwrap_or_default();
    let is_own = row.try_get::<_, Uuid>(7)? == reader;
    let about = html! {
        (title) ", " (visit.t("chart-rent")) " " @if let Some(rent) = rent { (rent.show()) } ", " (visit.t("decisions-costs")) " " @if let Some(costs) = costs { (costs.show()) }
    };
    let decide = |decision: &str, fields: Markup, class: &'static str, key: &str| {
        let hidden = [("periodId", id.to_string()), ("decision", decision.to_owned())];
        Act {
            function: "approve-performance",
            hidden: &hidden,
            fields,
            class,
            label: visit.language.text(key).into_owned(),
        }
        .show(visit)
    };
    let actions = html! {
        details {
            summary { (visit.tv("decisions-lines", &[("count", i64::try_from(lines.len()).unwrap_or(0).into())])) }
            (parts::table(&visit.t("rent-lines"), html! {
                thead { tr { th scope="col" { (visit.t("column-date")) } th scope="col" { (visit.t("column-basis")) } th.number scope="col" { (visit.t("column-amount")) } th scope="col" { (visit.t("column-source")) } } }
                tbody { @for line in &lines { tr {
                    td { (text(line, "/on")) } td { (visit.word("line", text(line, "/kind"))) }
                    td.number { (figures::money(line.get("amount").and_then(Value::as_i64).unwrap_or(0), &currency, decimals)) }
                    td { bdi { (text(line, "/ref")) } ", " bdi { (text(line, "/for")) } }
                } } }
            }))
        }
        @if is_own { p.fine { (visit.t("cases-yours")) } } @else {
            div.columns {
                (decide("approved", html! {}, "button", "cases-approve"))
                (act::folded(&visit.t("cases-reject"), decide("rejected", act::reason(visit, &id.to_string()), "button danger", "cases-reject")))
            }
        }
    };
    let name = html! { (figures::day(from, visit.language)) " – " (figures::day(to, visit.language)) };
    Ok(act::state_line(visit, name, "recorded", about, actions))
}

async fn distribution(app: &App, visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (id, property, title): (Uuid, Uuid, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let sum = Sum::read(row, 3, 4, 5)?;
    let is_own = row.try_get::<_, Uuid>(7)? == reader;
    let amount: Option<String> = row.try_get(8)?;
    let preview = what_if::show(app, visit, property, amount.as_deref()).await?;
    let hidden = [("distributionId", id.to_string())];
    let actions = html! {
        (preview.shown)
        @if is_own { p.fine { (visit.t("cases-yours")) } }
        @else { (act::folded(&visit.t("decisions-declare"), Act { function: "approve-distribution", hidden: &hidden, fields: act::for_good(visit), class: "button", label: visit.t("decisions-declare").into_owned() }.show(visit))) }
    };
    let about = html! { bdi { (title) } ", " (when(visit, row.try_get(6)?)) };
    Ok(act::state_line(
        visit,
        html! { @if let Some(sum) = sum { (sum.show()) } },
        "proposed",
        about,
        actions,
    ))
}
