//! What a file is, told from its content. What its sender or its name says is not asked.

/// Bytes at the beginning that decide.
type Mark = (usize, &'static [u8]);

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

/// The MIME type of some content; none where it is of no kind that a bucket takes.
#[must_use]
pub fn of(bytes: &[u8]) -> Option<&'static str> {
    let fits = |(at, mark): &Mark| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    let known = MARKS.iter().find(|(_, marks)| marks.iter().all(fits));
    known
        .map(|(kind, _)| *kind)
        .or_else(|| is_json(bytes).then_some("application/json"))
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
            assert_eq!(of(bytes), kind, "{bytes:?}");
        }
    }
}
