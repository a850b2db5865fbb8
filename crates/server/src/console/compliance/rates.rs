//! `/compliance/rates`: tax withheld of what properties pay: in force, to come, as it was; proposed by an admin, approved by another
//! person.

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use mint_core::role::Role;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{OVERSEERS, section, when};
use crate::{
    app::App,
    console::{
        act::{self, Act},
        administration::rules::per_cent,
        figures,
        parts::{self, Field, Tone},
        visit::Visit,
    },
    db::sql,
    problem::Problem,
};

/// Of a pair of countries, those with the latest instant that is not to come hold.
const RATES: &str = sql!(
    "select r.source_country, r.residency_country, r.rate_ppm, r.form, r.form_version, r.needs_form, r.source, r.is_checked, r.valid_from,
            case when r.valid_from > $1 then 'coming'
                 when r.valid_from = max(r.valid_from) filter (where r.valid_from <= $1) over (partition by r.source_country, r.residency_country) then 'in_force'
                 else 'replaced' end
     from public.withholding_rates as r order by r.source_country, r.residency_country nulls first, r.valid_from desc, r.needs_form limit 500"
);

const PROPOSALS: &str = sql!(
    "select p.id, p.source_country, p.residency_country, p.rate_ppm, p.form, p.form_version, p.needs_form, p.source, p.is_checked, p.valid_from,
            p.status, p.proposed_by, p.created_at, p.reject_reason,
            (select coalesce(u.full_name, u.email) from public.user_profiles as u where u.id = p.proposed_by)
     from public.withholding_rate_proposals as p order by p.status = 'proposed' desc, p.created_at desc limit 50"
);

/// `GET /compliance/rates`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let reader = visit.one_of(&OVERSEERS)?.id;
    let tx = visit.reads(&app).await?;
    let rates = tx.query(RATES, &[&visit.asked.now]).await?;
    let proposals = tx.query(PROPOSALS, &[]).await?;
    tx.commit().await?;
    let proposed = proposals
        .iter()
        .map(|row| proposal(&visit, row, reader))
        .collect::<Result<Vec<_>, _>>()?;
    let content = html! {
        div.stack-large {
            section {
                h2 { (visit.t("rates-proposals")) }
                @if proposed.is_empty() { (parts::empty(&visit.t("rates-proposals-none"), html! { p { (visit.t("rates-proposals-none-text")) } })) }
                ul.notices { @for line in proposed { (line) } }
                @if visit.has(Role::Admin) { (act::folded(&visit.t("rates-propose"), propose(&visit))) }
            }
            section { h2 { (visit.t("rates-rates")) } p.fine { (visit.t("rates-text")) } (rate_table(&visit, &rates)?) }
        }
    };
    Ok(section(&visit, "/compliance/rates", &visit.t("rates-title"), content))
}

/// From which country to whose residents.
fn countries(visit: &Visit, source: &str, residency: Option<&str>) -> Markup {
    html! { bdi { (source) } " → " @if let Some(to) = residency { bdi { (to) } } @else { (visit.t("rates-everybody")) } }
}

fn rate_table(visit: &Visit, rows: &[Row]) -> Result<Markup, Problem> {
    if rows.is_empty() {
        return Ok(parts::empty(
            &visit.t("rates-none"),
            html! { p { (visit.t("rates-none-text")) } },
        ));
    }
    let mut lines = Vec::new();
    for row in rows {
        let (source, residency): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
        let (form, version, law, place): (String, String, String, String) =
            (row.try_get(3)?, row.try_get(4)?, row.try_get(6)?, row.try_get(9)?);
        let (needs_form, is_checked): (bool, bool) = (row.try_get(5)?, row.try_get(7)?);
        lines.push(html! {
            tr {
                th scope="row" { (countries(visit, &source, residency.as_deref())) }
                td.number { (per_cent(row.try_get(2)?)) }
                td { bdi { (form) " " (version) } @if needs_form { br; span.fine { (visit.t("rates-needs-form")) } } }
                td { span lang="en" dir="ltr" { (law) } br; (checked(visit, is_checked)) }
                td { (figures::instant(row.try_get(8)?, visit.language)) }
                td { (parts::state(visit, &place)) }
            }
        });
    }
    Ok(parts::table(
        &visit.t("rates-title"),
        html! {
            thead { tr {
                th scope="col" { (visit.t("rates-countries")) } th.number scope="col" { (visit.t("rules-rate")) } th scope="col" { (visit.t("taxform-form")) }
                th scope="col" { (visit.t("column-source")) } th scope="col" { (visit.t("rules-from")) } th scope="col" { (visit.t("column-state")) }
            } }
            tbody { @for line in lines { (line) } }
        },
    ))
}

fn checked(visit: &Visit, is_checked: bool) -> Markup {
    if is_checked {
        parts::badge(Tone::Good, &visit.t("rules-is-checked"))
    } else {
        parts::badge(Tone::Wait, &visit.t("rules-is-not-checked"))
    }
}

fn proposal(visit: &Visit, row: &Row, reader: Uuid) -> Result<Markup, Problem> {
    let id: Uuid = row.try_get(0)?;
    let (source, residency): (String, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
    let (form, version, law, status): (String, String, String, String) =
        (row.try_get(4)?, row.try_get(5)?, row.try_get(7)?, row.try_get(10)?);
    let (needs_form, is_checked): (bool, bool) = (row.try_get(6)?, row.try_get(8)?);
    let is_own = row.try_get::<_, Uuid>(11)? == reader;
    let (rejected, by): (Option<String>, Option<String>) = (row.try_get(13)?, row.try_get(14)?);
    let about = html! {
        bdi { (form) " " (version) } @if needs_form { " (" (visit.t("rates-needs-form")) ")" }
        ", " (visit.t("rules-from")) " " (figures::instant(row.try_get(9)?, visit.language))
        br; span lang="en" dir="ltr" { (law) } " " (checked(visit, is_checked))
        br; @if let Some(by) = by { bdi { (by) } ", " } (when(visit, row.try_get(12)?))
        @if let Some(rejected) = rejected { br; q dir="auto" { (rejected) } }
    };
    let decide = |decision: &str, class: &'static str, key: &str, fields: Markup| {
        let hidden = [("proposalId", id.to_string()), ("decision", decision.to_owned())];
        Act {
            function: "approve-withholding-rate",
            hidden: &hidden,
            fields,
            class,
            label: visit.language.text(key).into_owned(),
        }
        .show(visit)
    };
    let actions = html! {
        @if status == "proposed" {
            @if is_own { p.fine { (visit.t("cases-yours")) } }
            @else {
                div.columns {
                    (decide("approved", "button", "cases-approve", html! {}))
                    (act::folded(&visit.t("cases-reject"), decide("rejected", "button danger", "cases-reject", act::reason(visit, &id.to_string()))))
                }
            }
        }
    };
    let title = html! { (countries(visit, &source, residency.as_deref())) ", " (per_cent(row.try_get(3)?)) };
    Ok(act::state_line(visit, title, &status, about, actions))
}

fn propose(visit: &Visit) -> Markup {
    let country = |name, key: &str| {
        Field::text(name, visit.language.text(key))
            .hint(visit.t("field-country-hint"))
            .with("maxlength", "2")
            .with("minlength", "2")
    };
    let fields = html! {
        div.form-grid {
            (country("sourceCountry", "act-field-source-country").show(visit))
            (country("residencyCountry", "act-field-residency-country").hint(visit.t("rates-residency-hint")).optional().show(visit))
            (Field::text("ratePpm", visit.t("act-field-rate-ppm")).hint(visit.t("rates-rate-hint")).with("inputmode", "decimal").show(visit))
            (Field::text("validFrom", visit.t("act-field-valid-from")).kind("datetime-local").hint(visit.t("form-utc")).show(visit))
            (Field::text("form", visit.t("act-field-form")).hint(visit.t("rates-form-hint")).with("maxlength", "50").show(visit))
            (Field::text("formVersion", visit.t("act-field-form-version")).with("maxlength", "50").show(visit))
        }
        (parts::checkbox("needsForm", "yes", html! { (visit.t("act-field-needs-form")) }, false))
        (Field::text("source", visit.t("act-field-source")).kind("textarea").hint(visit.t("rates-source-hint")).with("rows", "2").with("maxlength", "1000").show(visit))
        (parts::checkbox("isChecked", "yes", html! { (visit.t("act-field-is-checked")) }, false))
    };
    Act {
        function: "propose-withholding-rate",
        hidden: &[],
        fields,
        class: "button",
        label: visit.t("rates-propose").into_owned(),
    }
    .show(visit)
}
