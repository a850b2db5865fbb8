//! `/administration/settings`: the configuration in force, as the program read it when it started; of secrets only that they are set.

use axum::{extract::State, response::Response};
use maud::html;

use super::{ADMINS, section};
use crate::{
    app::App,
    config::Source,
    console::{parts, visit::Visit},
    problem::Problem,
};

/// `GET /administration/settings`.
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    visit.one_of(&ADMINS)?;
    let said = |source: &Source| match source {
        Source::Flag(_) | Source::Environment(_) | Source::File(_) => parts::Tone::Good,
        Source::Default => parts::Tone::Plain,
    };
    let content = html! {
        div.stack {
            p.soft { (visit.t("settings-text")) }
            (parts::table(&visit.t("settings-title"), html! {
                thead { tr { th scope="col" { (visit.t("settings-name")) } th scope="col" { (visit.t("settings-value")) } th scope="col" { (visit.t("settings-from")) } } }
                tbody { @for setting in &app.config.settings.in_force { tr {
                    th scope="row" { code { (setting.spec.key) } br; span.fine lang="en" dir="ltr" { (setting.spec.about) } }
                    td lang="en" dir="ltr" { (setting.shown) }
                    td lang="en" dir="ltr" { (parts::badge(said(&setting.from), &setting.from.to_string())) }
                } } }
            }))
        }
    };
    Ok(section(
        &visit,
        "/administration/settings",
        &visit.t("settings-title"),
        content,
    ))
}
