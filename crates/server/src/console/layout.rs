//! What stands around every page: head, navigation, language and theme.

use axum::response::{Html, IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};
use mint_core::role::Role;

use super::{
    assets,
    form::TOKEN_FIELD,
    language::Language,
    parts,
    visit::{Theme, Visit},
};

/// What a page says of itself.
pub(crate) struct Head {
    title: String,
    description: Option<String>,
    section: Option<Section>,
    width: Width,
}

/// How wide the content of a page may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Text and figures.
    Page,
    /// Lists beside a map, tables of many columns.
    Wide,
}

/// A part of the console that the navigation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Properties, for everybody.
    Properties,
    /// What an investor has.
    Portfolio,
    /// What a property manager runs.
    Managing,
    /// What a compliance officer decides.
    Compliance,
    /// What an admin runs.
    Administration,
    /// The person's own login, verification and notifications.
    Account,
}

impl Section {
    fn key(self) -> &'static str {
        match self {
            Section::Properties => "nav-properties",
            Section::Portfolio => "nav-portfolio",
            Section::Managing => "nav-managing",
            Section::Compliance => "nav-compliance",
            Section::Administration => "nav-administration",
            Section::Account => "nav-account",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Section::Properties => "/properties",
            Section::Portfolio => "/portfolio",
            Section::Managing => "/manage",
            Section::Compliance => "/compliance",
            Section::Administration => "/administration",
            Section::Account => "/account",
        }
    }

    /// Those that lead somewhere for this visitor.
    fn of(visit: &Visit) -> Vec<Section> {
        let mut sections = vec![Section::Properties];
        if visit.person.is_some() {
            sections.push(Section::Portfolio);
        }
        if visit.has(Role::PropertyManager) {
            sections.push(Section::Managing);
        }
        if visit.has(Role::ComplianceOfficer) || visit.has(Role::Admin) {
            sections.push(Section::Compliance);
        }
        if visit.has(Role::Admin) {
            sections.push(Section::Administration);
        }
        sections
    }
}

impl Head {
    /// A page with this title.
    pub(crate) fn titled(title: impl Into<String>) -> Head {
        Head {
            title: title.into(),
            description: None,
            section: None,
            width: Width::Page,
        }
    }

    /// The same as part of a section.
    #[must_use]
    pub(crate) fn within(self, section: Section) -> Head {
        Head {
            section: Some(section),
            ..self
        }
    }

    /// The same with what search engines and shared links show.
    #[must_use]
    pub(crate) fn described(self, text: impl Into<String>) -> Head {
        Head {
            description: Some(text.into()),
            ..self
        }
    }

    /// The same with room for wide content.
    #[must_use]
    pub(crate) fn wide(self) -> Head {
        Head {
            width: Width::Wide,
            ..self
        }
    }
}

/// A whole page.
pub(crate) fn page(visit: &Visit, head: &Head, content: Markup) -> Response {
    let theme = match visit.theme {
        Theme::Device => None,
        chosen @ (Theme::Light | Theme::Dark) => Some(chosen.name()),
    };
    let brand = visit.t("brand");
    let markup = html! {
        (DOCTYPE)
        html lang=(visit.language.tag()) dir=(visit.language.direction()) data-theme=[theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (head.title) " · " (brand) }
                @if let Some(text) = &head.description { meta name="description" content=(text); }
                meta name="color-scheme" content="light dark";
                link rel="stylesheet" href=(assets::css_path());
                link rel="icon" href=(assets::icon_path()) type="image/svg+xml";
                script src=(assets::js_path()) defer {}
            }
            body {
                a.skip href="#content" { (visit.t("skip-to-content")) }
                (header(visit, head.section))
                main #content tabindex="-1" .wide[head.width == Width::Wide] { (content) }
                (footer(visit))
            }
        }
    };
    Html(markup.into_string()).into_response()
}

fn header(visit: &Visit, section: Option<Section>) -> Markup {
    let links = html! {
        @for known in Section::of(visit) {
            a href=(known.path()) aria-current=[(section == Some(known)).then_some("true")] { (visit.language.text(known.key())) }
        }
    };
    html! {
        header.top {
            div.bar {
                a.brand href="/" { (parts::mark()) span { (visit.t("brand")) } }
                nav.sections aria-label=(visit.t("nav-main")) { (links) }
                div.session { (session(visit, section)) }
                // What the bell counts anew is said to whoever does not see it.
                @if visit.person.is_some() { p.hidden-text #bell-said role="status" {} }
                details.menu.narrow-only {
                    summary aria-label=(visit.t("nav-menu")) { (parts::icon("menu")) }
                    div.sheet {
                        nav aria-label=(visit.t("nav-main")) { (links) }
                        div.sheet-session { (session(visit, section)) }
                    }
                }
            }
        }
    }
}

fn session(visit: &Visit, section: Option<Section>) -> Markup {
    let Some(person) = &visit.person else {
        return html! {
            a.button.quiet href="/sign-in" { (visit.t("nav-sign-in")) }
            a.button href="/sign-up" { (visit.t("nav-sign-up")) }
        };
    };
    let label = visit.tv("nav-notices", &[("count", person.unread.into())]);
    html! {
        a.bell href="/notices" aria-label=(label) title=(label) data-unread=(person.unread) {
            (parts::icon("bell"))
            span.badge-count hidden[person.unread == 0] aria-hidden="true" { (person.unread.min(99)) }
        }
        a.account href="/account" aria-current=[(section == Some(Section::Account)).then_some("true")] {
            // Whoever signed in by a wallet may have no name yet.
            @if person.name.is_empty() { (visit.t("nav-account")) } @else { (person.name) }
        }
        form method="post" action="/sign-out" { (token(visit)) button.button.quiet.small { (visit.t("nav-sign-out")) } }
    }
}

fn footer(visit: &Visit) -> Markup {
    html! {
        footer.bottom {
            div.bar {
                p.fine { (visit.t("footer-about")) }
                form.preferences method="post" action="/preferences" {
                    (token(visit))
                    input type="hidden" name="back" value=(visit.place);
                    fieldset {
                        legend { (visit.t("footer-language")) }
                        @for language in Language::ALL {
                            button name="language" value=(language.tag()) lang=(language.tag())
                                aria-pressed=(visit.language == language) { (language.own_name()) }
                        }
                    }
                    fieldset {
                        legend { (visit.t("footer-theme")) }
                        @for theme in Theme::ALL {
                            button name="theme" value=(theme.name()) aria-pressed=(visit.theme == theme) {
                                (visit.language.text(match theme {
                                    Theme::Device => "theme-device",
                                    Theme::Light => "theme-light",
                                    Theme::Dark => "theme-dark",
                                }))
                            }
                        }
                    }
                }
                @if visit.language == Language::Arabic { p.fine.reviewed { (visit.t("footer-not-reviewed")) } }
            }
        }
    }
}

/// The hidden field that every form carries, before all others.
pub(crate) fn token(visit: &Visit) -> Markup {
    html! { input type="hidden" name=(TOKEN_FIELD) value=(visit.form_token()); }
}
