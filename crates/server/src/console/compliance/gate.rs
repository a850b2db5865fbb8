//! `/compliance/gate`: what launches, closes and declarations lack now, and overrides: asked for by one overseer, approved by
//! another, in force, used, over. The gate itself looks again, under its lock, whenever something is to pass.

use axum::{
    extract::{Query, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{OVERSEERS, section, when};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        figures,
        parts::{self, Paged},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

/// Overrides of one page of those that are over.
const PAGE_SIZE: i64 = 25;

/// Overrides that something can still come of, at most: each holds for 30 days.
const OPEN_MAX: i64 = 200;

/// What nobody waives.
const TITLE: &str = "title";

/// Whatever is to pass next and lacks something: evidence counts as the gate counts it (`nexus.gate_evidence`).
const LACKING: &str = sql!(
    "with waiting as (
       select 'launch' as action, t.id as subject_id, t.property_id, t.offering_kind as kind, null::date as since, t.created_at
       from public.tokenization_processes as t where t.current_step = 'launch' and t.status in ('in_progress', 'rejected')
       union all
       select 'close', o.id, o.property_id, o.kind,
              case when o.kind = 'acquisition' then coalesce((o.ended_at at time zone 'UTC')::date, 'infinity') end, o.created_at
       from public.offerings as o where o.status in ('open', 'funded')
       union all
       select 'declare', d.id, d.property_id,
              coalesce((select o.kind from public.offerings as o where o.property_id = d.property_id and o.status = 'closed'
                        order by o.closed_at desc limit 1), 'issuer_owns'), null, d.created_at
       from public.distributions as d where d.status = 'proposed'
     ), lacking as (
       select w.action, w.subject_id, w.property_id, w.created_at, g.requirement
       from waiting as w join public.gate_requirements as g on g.action = w.action and g.offering_kind = w.kind
       where not exists (
         select from public.property_documents as d
         where d.property_id = w.property_id and d.document_type = any (g.document_types) and d.review_status = 'accepted'
           and (d.expires_at is null or d.expires_at > $1) and (d.issued_on is null or d.issued_on <= ($1 at time zone 'UTC')::date)
           and (g.requirement <> 'title' or w.since is null or d.issued_on >= w.since))
     )
     select l.action, l.subject_id, l.property_id, p.title, array_agg(l.requirement order by l.requirement)
     from lacking as l join public.properties as p on p.id = l.property_id
     group by l.action, l.subject_id, l.property_id, p.title, l.created_at order by l.created_at desc, l.subject_id limit 100"
);

/// Overrides that something can still come of, or ($2) those that are over: used, or at their end.
const OVERRIDES: &str = sql!(
    "select o.id, o.property_id, p.title, o.action, o.requirements, o.reason, o.requested_by, o.requested_at, o.approved_at, o.valid_until, u.passed_at,
            (select coalesce(a.full_name, a.email) from public.user_profiles as a where a.id = o.requested_by),
            (select coalesce(a.full_name, a.email) from public.user_profiles as a where a.id = o.approved_by)
     from public.gate_overrides as o join public.properties as p on p.id = o.property_id
     left join public.gate_passes as u on u.override_id = o.id
     where (u.id is not null or o.valid_until <= $1) = $2
     order by o.requested_at desc, o.id limit $3 offset $4"
);

/// Which page of those that are over.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    page: String,
}

/// `GET /compliance/gate`.
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let reader = visit.one_of(&OVERSEERS)?.id;
    let now = visit.asked.now;
    let page = parts::page_number(&wanted.page);
    let tx = visit.reads(&app).await?;
    let lacking = tx.query(LACKING, &[&now]).await?;
    let open = tx.query(OVERRIDES, &[&now, &false, &OPEN_MAX, &0_i64]).await?;
    let (most, offset) = Paged::asks_for(page, PAGE_SIZE);
    let over = tx.query(OVERRIDES, &[&now, &true, &most, &offset]).await?;
    tx.commit().await?;
    let paged = Paged::of(&over, page, PAGE_SIZE);
    let lines = |rows: &[Row], line: &dyn Fn(&Row) -> Result<Markup, Problem>| {
        rows.iter().map(line).collect::<Result<Vec<_>, _>>()
    };
    let lacking = lines(&lacking, &|row| lack(&visit, row))?;
    let open = lines(&open, &|row| one(&visit, row, reader))?;
    let over = lines(paged.rows(), &|row| one(&visit, row, reader))?;
    let content = html! {
        div.stack-large {
            section {
                h2 { (visit.t("gate-lacking")) }
                p.fine { (visit.t("gate-text")) }
                @if lacking.is_empty() { (parts::empty(&visit.t("gate-lacking-none"), html! { p { (visit.t("gate-lacking-none-text")) } })) }
                ul.notices { @for line in lacking { (line) } }
            }
            section {
                h2 { (visit.t("gate-overrides")) }
                @if open.is_empty() { (parts::empty(&visit.t("gate-overrides-none"), html! { p { (visit.t("gate-overrides-none-text")) } })) }
                ul.notices { @for line in open { (line) } }
            }
            section {
                h2 { (visit.t("gate-over")) }
                @if over.is_empty() { (parts::empty(&visit.t("gate-over-none"), html! { p { (visit.t("gate-over-none-text")) } })) }
                ul.notices { @for line in over { (line) } }
                (paged.pager(&visit, |page| format!("/compliance/gate?page={page}")))
            }
        }
    };
    Ok(section(&visit, "/compliance/gate", &visit.t("gate-title"), content))
}

fn named(visit: &Visit, requirements: &[String]) -> String {
    let names: Vec<String> = requirements
        .iter()
        .map(|name| visit.word("requirement", name))
        .collect();
    names.join(&visit.t("gate-and"))
}

/// Something that lacks evidence, and the form by which one asks to let it through without.
fn lack(visit: &Visit, row: &Row) -> Result<Markup, Problem> {
    let (action, subject, property): (String, Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (title, lacking): (String, Vec<String>) = (row.try_get(3)?, row.try_get(4)?);
    let mut hidden = vec![
        ("propertyId", property.to_string()),
        ("action", action.clone()),
        ("subjectId", subject.to_string()),
    ];
    hidden.extend(lacking.iter().map(|name| ("requirements", name.clone())));
    let until = format!("until-{subject}");
    let fields = html! {
        p { (visit.t("gate-waives")) " " (named(visit, &lacking)) }
        (act::reason(visit, &subject.to_string()))
        div.field {
            label for=(until) { (visit.t("act-field-valid-until")) " " span.optional { (visit.t("form-optional")) } }
            p.hint id={ (until) "-hint" } { (visit.t("gate-until-hint")) }
            input id=(until) name="validUntil" type="datetime-local" aria-describedby={ (until) "-hint" };
        }
    };
    let ask = Act {
        function: "request-gate-override",
        hidden: &hidden,
        fields,
        class: "button danger",
        label: visit.t("gate-ask").into_owned(),
    };
    let about = html! {
        a href={ "/properties/" (property) } { bdi { (title) } }
        br; (visit.t("gate-lacks")) " " (named(visit, &lacking))
    };
    let actions = html! {
        @if lacking.iter().any(|name| name == TITLE) { p.fine { (visit.t("gate-never-title")) } }
        @else { (act::folded(&visit.t("gate-ask"), ask.show(visit))) }
    };
    Ok(act::state_line(
        visit,
        html! { (visit.word("gate-action", &action)) },
        "missing",
        about,
        actions,
    ))
}

fn one(visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let (id, property): (Uuid, Uuid) = (row.try_get(0)?, row.try_get(1)?);
    let (title, action, reason): (String, String, String) = (row.try_get(2)?, row.try_get(3)?, row.try_get(5)?);
    let requirements: Vec<String> = row.try_get(4)?;
    let is_own = row.try_get::<_, Uuid>(6)? == reader;
    let approved: Option<DateTime<Utc>> = row.try_get(8)?;
    let until: DateTime<Utc> = row.try_get(9)?;
    let used: Option<DateTime<Utc>> = row.try_get(10)?;
    let (by, approver): (Option<String>, Option<String>) = (row.try_get(11)?, row.try_get(12)?);
    let state = match (used, approved) {
        (Some(_), _) => "used",
        (None, _) if until <= visit.asked.now => "expired",
        (None, Some(_)) => "in_force",
        (None, None) => "requested",
    };
    let about = html! {
        a href={ "/properties/" (property) } { bdi { (title) } } ", " (visit.t("gate-waives")) " " (named(visit, &requirements))
        br; (visit.t("gate-asked")) " " @if let Some(by) = by { bdi { (by) } ", " } (when(visit, row.try_get(7)?))
        @if approved.is_some() { br; (visit.t("gate-approved")) " " @if let Some(approver) = approver { bdi { (approver) } ", " } (when(visit, approved)) }
        @if used.is_some() { br; (visit.t("gate-used")) " " (when(visit, used)) }
        br; (visit.t("gate-until")) " " (figures::instant(until, visit.language))
        br; q dir="auto" { (reason) }
    };
    let hidden = [("overrideId", id.to_string())];
    let actions = html! {
        @if state == "requested" {
            @if is_own { p.fine { (visit.t("cases-yours")) } }
            @else {
                (act::folded(&visit.t("cases-approve"), Act { function: "approve-gate-override", hidden: &hidden, fields: act::for_good(visit), class: "button danger", label: visit.t("cases-approve").into_owned() }.show(visit)))
            }
        }
    };
    Ok(act::state_line(
        visit,
        html! { (visit.word("gate-action", &action)) },
        state,
        about,
        actions,
    ))
}
