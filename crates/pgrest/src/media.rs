//! Media types: what the client takes, what can be made, how it is named in the answer.

/// A media type that the protocol gives a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `application/json`
    Json,
    /// An array whose rows lack the keys that are null.
    ArrayStripped,
    /// Exactly one row, as an object.
    Object {
        /// Without the keys that are null.
        stripped: bool,
    },
    /// `text/csv`
    Csv,
    /// `application/geo+json`
    GeoJson,
    /// `application/openapi+json`
    OpenApi,
    /// How PostgreSQL would go about it.
    Plan(Box<PlanType>),
    /// `text/plain`
    Text,
    /// `text/xml`
    Xml,
    /// `application/octet-stream`
    Bytes,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `*/*`
    Any,
    /// Whatever else.
    Other(String),
}

/// A wish for a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanType {
    /// Of which answer.
    pub of: MediaType,
    /// As JSON; else as text.
    pub as_json: bool,
    /// What to say beside it, in the protocol's order.
    pub options: Vec<&'static str>,
}

/// What EXPLAIN can be asked for.
const PLAN_OPTIONS: [&str; 5] = ["analyze", "verbose", "settings", "buffers", "wal"];

impl MediaType {
    /// Reads one media type with its parameters.
    #[must_use]
    pub fn parse(text: &str) -> MediaType {
        let mut parts = split_outside_quotes(text, ';').into_iter().map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<(String, String)> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(key, value)| {
                let value = value.trim().trim_matches('"').to_owned();
                (key.trim().to_ascii_lowercase(), value)
            })
            .filter(|(key, _)| key != "q" && key != "charset")
            .collect();
        let parameter = |wanted: &str| {
            let found = parameters.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let stripped = parameter("nulls") == Some("stripped");
        match name.as_str() {
            "application/json" | "application/*" => MediaType::Json,
            "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" if stripped => MediaType::ArrayStripped,
            "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => MediaType::Json,
            "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => MediaType::Object { stripped },
            "text/csv" => MediaType::Csv,
            "application/geo+json" => MediaType::GeoJson,
            "application/openapi+json" => MediaType::OpenApi,
            "text/plain" => MediaType::Text,
            "text/xml" => MediaType::Xml,
            "application/octet-stream" => MediaType::Bytes,
            "application/x-www-form-urlencoded" => MediaType::Form,
            "*/*" | "" => MediaType::Any,
            "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text" | "application/vnd.pgrst.plan+json" => {
                let asked: Vec<&str> = parameter("options").map_or(Vec::new(), |text| text.split('|').collect());
                MediaType::Plan(Box::new(PlanType {
                    of: parameter("for").map_or(MediaType::Json, MediaType::parse),
                    as_json: name.ends_with("+json"),
                    options: PLAN_OPTIONS
                        .into_iter()
                        .filter(|option| asked.contains(option))
                        .collect(),
                }))
            }
            _ => MediaType::Other(name),
        }
    }

    /// Its name, as handlers and refusals have it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            MediaType::Json => "application/json".to_owned(),
            MediaType::ArrayStripped => "application/vnd.pgrst.array+json;nulls=stripped".to_owned(),
            MediaType::Object { stripped: true } => "application/vnd.pgrst.object+json;nulls=stripped".to_owned(),
            MediaType::Object { stripped: false } => "application/vnd.pgrst.object+json".to_owned(),
            MediaType::Csv => "text/csv".to_owned(),
            MediaType::GeoJson => "application/geo+json".to_owned(),
            MediaType::OpenApi => "application/openapi+json".to_owned(),
            MediaType::Text => "text/plain".to_owned(),
            MediaType::Xml => "text/xml".to_owned(),
            MediaType::Bytes => "application/octet-stream".to_owned(),
            MediaType::Form => "application/x-www-form-urlencoded".to_owned(),
            MediaType::Any => "*/*".to_owned(),
            MediaType::Other(name) => name.clone(),
            MediaType::Plan(plan) => {
                let format = if plan.as_json { "json" } else { "text" };
                let mut text = format!("application/vnd.pgrst.plan+{format}; for=\"{}\"", plan.of.name());
                if !plan.options.is_empty() {
                    text.push_str("; options=");
                    text.push_str(&plan.options.join("|"));
                }
                text
            }
        }
    }

    /// `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> String {
        match self {
            MediaType::Bytes | MediaType::Other(_) => self.name(),
            MediaType::Any => "application/octet-stream".to_owned(),
            MediaType::Json
            | MediaType::ArrayStripped
            | MediaType::Object { .. }
            | MediaType::Csv
            | MediaType::GeoJson
            | MediaType::OpenApi
            | MediaType::Plan(_)
            | MediaType::Text
            | MediaType::Xml
            | MediaType::Form => format!("{}; charset=utf-8", self.name()),
        }
    }
}

/// What the client takes, best first.
#[must_use]
pub fn accepted(header: Option<&str>) -> Vec<MediaType> {
    let Some(header) = header.filter(|header| !header.trim().is_empty()) else {
        return vec![MediaType::Any];
    };
    let mut found: Vec<(u32, bool, MediaType)> = split_outside_quotes(header, ',')
        .into_iter()
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| {
            let media = MediaType::parse(item);
            (quality(item), media == MediaType::Any, media)
        })
        .collect();
    found.sort_by(|(a_quality, a_any, _), (b_quality, b_any, _)| b_quality.cmp(a_quality).then(a_any.cmp(b_any)));
    found.into_iter().map(|(_, _, media)| media).collect()
}

/// `q=` in thousandths.
fn quality(item: &str) -> u32 {
    let parameter = split_outside_quotes(item, ';')
        .into_iter()
        .find_map(|part| part.trim().strip_prefix("q="));
    let Some(text) = parameter else {
        return 1000;
    };
    let (whole, rest) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    let thousandths = digits.parse::<u32>().unwrap_or(0);
    whole
        .parse::<u32>()
        .unwrap_or(1)
        .saturating_mul(1000)
        .saturating_add(thousandths)
        .min(1000)
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut in_quotes = false;
    text.split(move |letter| {
        if letter == '"' {
            in_quotes = !in_quotes;
        }
        letter == separator && !in_quotes
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_content_types() {
        let check = |text: &str, expect: &str| assert_eq!(MediaType::parse(text).content_type(), expect, "{text}");
        check("application/json", "application/json; charset=utf-8");
        check(
            "application/vnd.pgrst.object",
            "application/vnd.pgrst.object+json; charset=utf-8",
        );
        check(
            "application/vnd.pgrst.object+json;nulls=stripped",
            "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8",
        );
        check("application/vnd.pgrst.array+json", "application/json; charset=utf-8");
        check("application/octet-stream", "application/octet-stream");
        check(
            "application/vnd.pgrst.plan",
            "application/vnd.pgrst.plan+text; for=\"application/json\"; charset=utf-8",
        );
        check(
            "application/vnd.pgrst.plan+json; for=\"application/vnd.pgrst.object\"; options=buffers|verbose|nope",
            "application/vnd.pgrst.plan+json; for=\"application/vnd.pgrst.object+json\"; options=verbose|buffers; \
             charset=utf-8",
        );
        check("application/vnd.geo2+json", "application/vnd.geo2+json");
    }

    #[test]
    fn the_best_comes_first() {
        let check = |header: &str, expect: &[MediaType]| assert_eq!(accepted(Some(header)), expect, "{header}");
        check("*/*, text/csv", &[MediaType::Csv, MediaType::Any]);
        check("text/csv;q=0.5, application/json", &[MediaType::Json, MediaType::Csv]);
        check("", &[MediaType::Any]);
    }
}
