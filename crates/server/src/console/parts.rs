//! The pieces that pages are made of. `/design` shows each of them.

use std::fmt::Display;

use maud::{Markup, PreEscaped, html};
use tokio_postgres::Row;

use super::visit::Visit;

/// What a coloured piece means. Never by its colour alone: it has a sign and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Neither good nor bad.
    Plain,
    /// Done, in force, paid.
    Good,
    /// Something waits for somebody.
    Wait,
    /// Refused, failed, expired.
    Stop,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Wait => "wait",
            Tone::Stop => "stop",
        }
    }

    fn icon(self) -> &'static str {
        match self {
            Tone::Plain => "info",
            Tone::Good => "check",
            Tone::Wait => "clock",
            Tone::Stop => "alert",
        }
    }

    /// What the database's word for a state means to whoever reads it.
    pub(crate) fn of_state(word: &str) -> Tone {
        match word {
            "approved" | "accepted" | "confirmed" | "closed" | "completed" | "paid" | "active" | "open" | "clear"
            | "launched" | "succeeded" | "healthy" | "done" | "current" | "funded" | "declared" | "checked"
            | "received" | "in_force" => Tone::Good,
            "pending" | "submitted" | "in_review" | "in_progress" | "proposed" | "refund_due" | "recorded" | "due"
            | "sent" | "paying" | "opened" | "requested" | "degraded" | "draft" | "offered" | "expires_soon"
            | "possible_match" | "unknown" | "waiting" | "coming" | "filed" => Tone::Wait,
            "rejected" | "revoked" | "expired" | "failed" | "cancelled" | "match" | "unhealthy" | "dead"
            | "missing" | "down" | "set_aside" => Tone::Stop,
            _ => Tone::Plain,
        }
    }
}

/// An icon of the one set, drawn with the text's colour. Says nothing to screen readers.
pub(crate) fn icon(name: &str) -> Markup {
    let path = match name {
        "menu" => "M3 6h18M3 12h18M3 18h18",
        "bell" => "M6 9a6 6 0 1 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7M10 20a2.2 2.2 0 0 0 4 0",
        "check" => "M4 12.5l5 5L20 6.5",
        "clock" => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3.5 2",
        "alert" => "M12 3L2.5 20h19zM12 10v4.5M12 17.2v.3",
        "info" => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 11v5.5M12 7.5v.3",
        "file" => "M6 3h8l4 4v14H6zM14 3v4h4",
        "lock" => "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
        "pin" => "M12 21s7-6.4 7-11.5A7 7 0 0 0 5 9.5C5 14.6 12 21 12 21M12 7.5a2 2 0 1 0 0 4 2 2 0 0 0 0-4",
        "search" => "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5L21 21",
        _ => "M5 12h14",
    };
    html! {
        svg.icon viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false" {
            path d=(path) fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" {}
        }
    }
}

/// The mark of the platform: a house whose floors are entries of a ledger.
pub(crate) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false" {
            path d="M4 14L16 4l12 10v14H4z" fill="currentColor" {}
            path.mark-lines d="M9 17h14M9 21h14M9 25h8" fill="none" stroke-width="2" stroke-linecap="round" {}
        }
    }
}

/// A state in words, with its sign.
pub(crate) fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (icon(tone.icon())) (text) } }
}

/// The badge of a state that the database names.
pub(crate) fn state(visit: &Visit, word: &str) -> Markup {
    badge(Tone::of_state(word), &visit.word("state", word))
}

/// Something that the reader must see before the rest.
pub(crate) fn alert(visit: &Visit, tone: Tone, content: Markup) -> Markup {
    let said = match tone {
        Tone::Plain => visit.t("tone-plain"),
        Tone::Good => visit.t("tone-good"),
        Tone::Wait => visit.t("tone-wait"),
        Tone::Stop => visit.t("tone-stop"),
    };
    let role = if tone == Tone::Stop { "alert" } else { "status" };
    html! {
        div class={ "alert " (tone.class()) } role=(role) {
            (icon(tone.icon()))
            div { span.hidden-text { (said) ": " } (content) }
        }
    }
}

/// What stands where nothing is yet: why, and what to do.
pub(crate) fn empty(title: &str, content: Markup) -> Markup {
    html! { div.empty { p.empty-title { bdi { (title) } } (content) } }
}

/// A figure with its name, as the statements of the platform set them.
pub(crate) fn figure(name: &str, value: Markup, note: Option<Markup>) -> Markup {
    html! {
        div.figure {
            dt { (name) }
            dd { span.value { (value) } @if let Some(note) = note { span.note { (note) } } }
        }
    }
}

/// How far something is, with the same in words.
pub(crate) fn progress(label: &str, percent: i64, words: Markup) -> Markup {
    html! {
        div.progress {
            progress max="100" value=(percent) aria-label=(label) { (percent) "%" }
            p.progress-words { (words) }
        }
    }
}

/// A field of a form.
pub(crate) struct Field<'a> {
    name: &'a str,
    of: Option<String>,
    label: String,
    kind: &'a str,
    value: &'a str,
    hint: Option<String>,
    is_required: bool,
    is_bare: bool,
    autocomplete: Option<&'a str>,
    more: Vec<(&'a str, String)>,
}

impl<'a> Field<'a> {
    /// A line of text.
    pub(crate) fn text(name: &'a str, label: impl Into<String>) -> Field<'a> {
        Field {
            name,
            of: None,
            label: label.into(),
            kind: "text",
            value: "",
            hint: None,
            is_required: true,
            is_bare: false,
            autocomplete: None,
            more: Vec::new(),
        }
    }

    /// One of several of its name on a page, told apart by what it is about.
    #[must_use]
    pub(crate) fn of(self, what: impl Display) -> Self {
        Field {
            of: Some(what.to_string()),
            ..self
        }
    }

    /// The same of another kind of input.
    #[must_use]
    pub(crate) fn kind(self, kind: &'a str) -> Self {
        Field { kind, ..self }
    }

    /// With what was typed before.
    #[must_use]
    pub(crate) fn value(self, value: &'a str) -> Self {
        Field { value, ..self }
    }

    /// With a sentence on what belongs into it.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Field {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// May be left empty.
    #[must_use]
    pub(crate) fn optional(self) -> Self {
        Field {
            is_required: false,
            ..self
        }
    }

    /// May be left empty, and does not say so: in a form where every field may.
    #[must_use]
    pub(crate) fn bare(self) -> Self {
        Field {
            is_required: false,
            is_bare: true,
            ..self
        }
    }

    /// As browsers fill it in.
    #[must_use]
    pub(crate) fn autocomplete(self, token: &'a str) -> Self {
        Field {
            autocomplete: Some(token),
            ..self
        }
    }

    /// With a bound or a pattern of its input: `min`, `max`, `step`, `minlength`, `maxlength`, `inputmode`, `accept`, `rows`.
    #[must_use]
    pub(crate) fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.more.push((name, value.into()));
        self
    }

    fn more(&self, name: &str) -> Option<&str> {
        let found = self.more.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The field with its label.
    pub(crate) fn show(&self, visit: &Visit) -> Markup {
        let id = match &self.of {
            Some(what) => format!("f-{}-{what}", self.name),
            None => format!("f-{}", self.name),
        };
        let hint_id = format!("{id}-hint");
        let described = self.hint.as_ref().map(|_| hint_id.as_str());
        let is_ltr = matches!(self.kind, "email" | "password" | "url" | "number" | "date");
        html! {
            div.field {
                label for=(id) {
                    (self.label)
                    @if !self.is_required && !self.is_bare { " " span.optional { (visit.t("form-optional")) } }
                }
                @if let Some(hint) = &self.hint { p.hint id=(hint_id) { (hint) } }
                @if self.kind == "textarea" {
                    textarea id=(id) name=(self.name) rows=(self.more("rows").unwrap_or("4")) required[self.is_required]
                        maxlength=[self.more("maxlength")] aria-describedby=[described] { (self.value) }
                } @else {
                    input id=(id) name=(self.name) type=(self.kind) value=[(!matches!(self.kind, "password" | "file")).then_some(self.value)]
                        required[self.is_required] autocomplete=[self.autocomplete] aria-describedby=[described]
                        min=[self.more("min")] max=[self.more("max")] step=[self.more("step")] minlength=[self.more("minlength")]
                        maxlength=[self.more("maxlength")] inputmode=[self.more("inputmode")] accept=[self.more("accept")]
                        dir=[is_ltr.then_some("ltr")];
                }
            }
        }
    }
}

/// A choice of one among few: value, text. The first one stands where nothing was chosen.
pub(crate) fn select(name: &str, label: &str, choices: &[(&str, String)], chosen: &str) -> Markup {
    let id = format!("f-{name}");
    html! {
        div.field {
            label for=(id) { (label) }
            select id=(id) name=(name) {
                @for (value, text) in choices { option value=(value) selected[*value == chosen] { (text) } }
            }
        }
    }
}

/// A statement that is agreed to.
pub(crate) fn checkbox(name: &str, value: &str, label: Markup, is_checked: bool) -> Markup {
    html! {
        label.check { input type="checkbox" name=(name) value=(value) checked[is_checked]; span { (label) } }
    }
}

/// A table that a narrow screen scrolls by itself, reachable by keyboard.
pub(crate) fn table(caption: &str, content: Markup) -> Markup {
    html! {
        div.table-scroll tabindex="0" role="region" aria-label=(caption) {
            table { caption.hidden-text { (caption) } (content) }
        }
    }
}

/// Names and what they are, one a line.
pub(crate) fn facts(pairs: &[(String, Markup)]) -> Markup {
    html! { dl.facts { @for (name, value) in pairs { div { dt { (name) } dd { (value) } } } } }
}

/// The end of an id: enough to tell rows of a page apart.
pub(crate) fn short(id: &str) -> Markup {
    let end = id.len().saturating_sub(8);
    html! { code title=(id) { "…" (id.get(end..).unwrap_or(id)) } }
}

/// The way back through the pages above this one.
pub(crate) fn crumbs(visit: &Visit, above: &[(&str, String)]) -> Markup {
    html! {
        nav.crumbs aria-label=(visit.t("nav-crumbs")) {
            ol { @for (path, text) in above { li { a href=(path) { (text) } } } }
        }
    }
}

/// Pages of a section, one of which is open: path, text.
pub(crate) fn tabs(label: &str, pages: &[(&str, String)], open: &str) -> Markup {
    html! {
        nav.tabs aria-label=(label) {
            @for (path, text) in pages { a href=(path) aria-current=[(*path == open).then_some("page")] { (text) } }
        }
    }
}

/// The last page of a list that is counted off: who wants more narrows the search, or asks the API.
const PAGE_MAX: i64 = 1_000;

/// The number of a page that an address names, from 1.
pub(crate) fn page_number(typed: &str) -> i64 {
    typed.parse::<i64>().unwrap_or(1).clamp(1, PAGE_MAX)
}

/// Rows of a list one page at a time: one more than a page shows is asked for, and says whether there is a next one.
pub(crate) struct Paged<'a> {
    rows: &'a [Row],
    page: i64,
    has_next: bool,
}

impl<'a> Paged<'a> {
    /// How many rows page `page` asks for, of which it shows `size`, and how many it passes over.
    pub(crate) fn asks_for(page: i64, size: i64) -> (i64, i64) {
        (size + 1, (page - 1) * size)
    }

    /// Rows of page `page`, of which a page shows `size`.
    pub(crate) fn of(rows: &'a [Row], page: i64, size: i64) -> Paged<'a> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Paged {
            rows: rows.get(..size).unwrap_or(rows),
            page,
            has_next: rows.len() > size && page < PAGE_MAX,
        }
    }

    /// Those that the page shows.
    pub(crate) fn rows(&self) -> &'a [Row] {
        self.rows
    }

    /// The way to the pages before and after; nothing where this is the only one. `place` is the address of a page.
    pub(crate) fn pager(&self, visit: &Visit, place: impl Fn(i64) -> String) -> Markup {
        let (before, after) = (self.page.saturating_sub(1), self.page.saturating_add(1));
        html! {
            @if before > 0 || self.has_next {
                nav.pager aria-label=(visit.t("pager-label")) {
                    @if before > 0 { a.button.secondary rel="prev" href=(place(before)) { (visit.t("pager-previous")) } } @else { span {} }
                    @if self.has_next { a.button.secondary rel="next" href=(place(after)) { (visit.t("pager-next")) } }
                }
            }
        }
    }
}

/// SVG that the program drew itself.
pub(crate) fn drawn(svg: String) -> Markup {
    PreEscaped(svg)
}
