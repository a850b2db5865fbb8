//! What a file is, told from its content. What its sender or its name says is believed only where the content can be that.

/// Bytes at the beginning that decide.
type Mark = (usize, &'static [u8]);

/// Kinds that buckets of evidence take.
const MARKS: &[(&str, &[Mark])] = &[
    ("application/pdf", &[(0, b"%PDF-")]),
    ("image/jpeg", &[(0, b"\xff\xd8\xff")]),
    ("image/png", &[(0, b"\x89PNG\r\n\x1a\n")]),
    ("image/gif", &[(0, b"GIF87a")]),
    ("image/gif", &[(0, b"GIF89a")]),
    ("image/webp", &[(0, b"RIFF"), (8, b"WEBP")]),
    ("image/tiff", &[(0, b"II*\0")]),
    ("image/tiff", &[(0, b"MM\0*")]),
    ("image/avif", &[(4, b"ftypavif")]),
    ("image/avif", &[(4, b"ftypavis")]),
    ("image/heic", &[(4, b"ftypheic")]),
    ("image/heic", &[(4, b"ftypheix")]),
    ("image/heic", &[(4, b"ftypmif1")]),
    ("video/mp4", &[(4, b"ftypisom")]),
    ("video/mp4", &[(4, b"ftypmp42")]),
    ("video/mp4", &[(4, b"ftypmp41")]),
    ("video/mp4", &[(4, b"ftypiso")]),
    ("video/webm", &[(0, b"\x1a\x45\xdf\xa3")]),
];

/// Further kinds that are told from their beginning, so that none of them passes for something else.
const FURTHER: &[(&str, &[Mark])] = &[
    ("application/zip", &[(0, b"PK\x03\x04")]),
    ("application/gzip", &[(0, b"\x1f\x8b\x08")]),
    ("audio/mpeg", &[(0, b"ID3")]),
    ("audio/mpeg", &[(0, b"\xff\xfb")]),
    ("audio/wav", &[(0, b"RIFF"), (8, b"WAVE")]),
    ("audio/ogg", &[(0, b"OggS")]),
    ("audio/flac", &[(0, b"fLaC")]),
    ("video/quicktime", &[(4, b"ftypqt")]),
    ("video/mp4", &[(4, b"ftyp")]),
    ("image/bmp", &[(0, b"BM"), (6, b"\0\0\0\0")]),
    ("application/x-msdownload", &[(0, b"MZ")]),
    ("application/x-elf", &[(0, b"\x7fELF")]),
];

/// Kinds that share their beginning with another one: whoever names one of them is believed.
const WITHIN: &[(&str, &[&str])] = &[
    (
        "application/zip",
        &[
            "application/x-zip-compressed",
            "application/epub+zip",
            "application/java-archive",
            "application/vnd.",
        ],
    ),
    ("application/gzip", &["application/x-gzip"]),
    ("audio/mpeg", &["audio/mp3"]),
    ("audio/wav", &["audio/x-wav", "audio/wave"]),
    ("audio/ogg", &["video/ogg", "application/ogg"]),
    ("video/mp4", &["audio/mp4", "audio/x-m4a", "video/x-m4v"]),
    ("video/webm", &["audio/webm", "video/x-matroska"]),
];

/// Kinds of text whose names do not say so.
const TEXTS: &[&str] = &[
    "application/xml",
    "application/javascript",
    "application/x-javascript",
    "application/yaml",
    "application/sql",
    "application/rtf",
];

/// The longest MIME type that is kept (bytes).
const MIME_TYPE_MAX: usize = 200;

/// How much of a file is looked at (bytes).
pub const HEAD_BYTES: usize = 64 * 1024;

/// What some content looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// One kind, told from its beginning.
    Known(&'static str),
    /// JSON.
    Json,
    /// Text of some kind.
    Text,
    /// No kind that can be told.
    Other,
    /// There is nothing in it.
    Empty,
}

impl Looks {
    /// The kind that content alone tells, of those that buckets of evidence take.
    #[must_use]
    pub fn mime_type(self) -> Option<&'static str> {
        match self {
            Looks::Known(kind) => MARKS.iter().any(|(known, _)| *known == kind).then_some(kind),
            Looks::Json => Some("application/json"),
            Looks::Text | Looks::Other | Looks::Empty => None,
        }
    }

    /// The MIME type to keep: the claimed one where the content can be that, else the one that it looks like.
    #[must_use]
    pub fn settled(self, claimed: Option<&str>) -> String {
        let claimed = claimed.filter(|claimed| is_mime_type(claimed));
        let essence = claimed.map(essence).unwrap_or_default();
        let is_within = |kind: &str| {
            let inner = WITHIN.iter().filter(|(outer, _)| *outer == kind);
            inner
                .flat_map(|(_, kinds)| kinds.iter())
                .any(|kind| essence.starts_with(kind))
        };
        let is_marked = || MARKS.iter().chain(FURTHER).any(|(kind, _)| *kind == essence);
        let (is_fit, own) = match self {
            Looks::Known(kind) => (kind == essence || is_within(kind), kind),
            Looks::Json => (is_text(&essence) || is_json_kind(&essence), "application/json"),
            Looks::Text => (is_text(&essence), "text/plain"),
            Looks::Other => (
                !is_marked() && !is_text(&essence) && !is_json_kind(&essence),
                "application/octet-stream",
            ),
            Looks::Empty => (false, "application/octet-stream"),
        };
        claimed.filter(|_| is_fit).unwrap_or(own).to_owned()
    }
}

/// Type and subtype alone, in small letters.
#[must_use]
pub fn essence(mime_type: &str) -> String {
    let essence = mime_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Whether a text can be a MIME type with its parameters, and so a header.
fn is_mime_type(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_sign);
    let is_printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let essence = essence(text);
    let parts = essence.split_once('/');
    text.len() <= MIME_TYPE_MAX
        && is_printable
        && parts.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

fn is_text(essence: &str) -> bool {
    essence.starts_with("text/") || essence.ends_with("+xml") || TEXTS.contains(&essence)
}

fn is_json_kind(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

/// What some content looks like, by its beginning or, where that is everything, by the whole.
#[must_use]
pub fn looks(head: &[u8], is_whole: bool) -> Looks {
    if head.is_empty() {
        return Looks::Empty;
    }
    let fits = |(at, mark): &Mark| head.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    let known = MARKS.iter().chain(FURTHER).find(|(_, marks)| marks.iter().all(fits));
    if let Some((kind, _)) = known {
        return Looks::Known(kind);
    }
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A beginning may end within a sign.
        Err(error) if error.error_len().is_none() && !is_whole => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return Looks::Other,
    };
    if text.contains('\0') {
        Looks::Other
    } else if is_json(head) || (!is_whole && text.trim_start().starts_with(['{', '['])) {
        Looks::Json
    } else {
        Looks::Text
    }
}

fn is_json(bytes: &[u8]) -> bool {
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(begins, Some(b'{' | b'[')) && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        for (bytes, kind) in [
            (&b"%PDF-1.7\n..."[..], Some("application/pdf")),
            (b"\x89PNG\r\n\x1a\n....", Some("image/png")),
            (b"RIFF....WEBPVP8 ", Some("image/webp")),
            (b"RIFF....WAVEfmt ", None),
            (b" {\"a\": 1}", Some("application/json")),
            (b"{not json", None),
            (b"<html>%PDF-1.7", None),
            (b"MZ", None),
            (b"", None),
        ] {
            assert_eq!(looks(bytes, true).mime_type(), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_claim_is_believed_where_the_content_can_be_that() {
        const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";
        const ZIP: &[u8] = b"PK\x03\x04..";
        const BINARY: &[u8] = b"\xff\xfe\x00\x01";
        const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (bytes, claimed, kept) in [
            (PNG, "image/png", "image/png"),
            (PNG, "text/html", "image/png"),
            (b"<html>", "image/png", "text/plain"),
            (b"<html>", "text/html; charset=utf-8", "text/html; charset=utf-8"),
            (b"<svg/>", "image/svg+xml", "image/svg+xml"),
            (b"a,b\n1,2", "text/csv", "text/csv"),
            (b"a,b", "application/json", "text/plain"),
            (b"{\"a\":1}", "application/json", "application/json"),
            (b"{\"a\":1}", "application/geo+json", "application/geo+json"),
            (b"{\"a\":1}", "image/png", "application/json"),
            (ZIP, WORD, WORD),
            (ZIP, "application/pdf", "application/zip"),
            (BINARY, "application/x-of-mine", "application/x-of-mine"),
            (BINARY, "image/jpeg", "application/octet-stream"),
            (BINARY, "text/plain", "application/octet-stream"),
            (b"text", "text/plain\r\nset-cookie: a=b", "text/plain"),
            (b"text", "text", "text/plain"),
            (b"text", "", "text/plain"),
            (b"", "image/png", "application/octet-stream"),
        ] {
            assert_eq!(
                looks(bytes, true).settled(Some(claimed)),
                kept,
                "{bytes:?} as {claimed}"
            );
        }
    }

    #[test]
    fn a_beginning_may_end_within_a_sign() {
        let text = "é".repeat(10);
        let head = &text.as_bytes()[..5];
        assert_eq!((looks(head, false), looks(head, true)), (Looks::Text, Looks::Other));
        assert_eq!(looks(b"[1, 2,", false), Looks::Json);
    }
}
