//! Codes of an authenticator (RFC 6238): SHA-1, six digits, thirty seconds. Pure.

use chrono::{DateTime, Utc};
use ring::hmac;

/// How long a code is shown (s).
const STEP_S: i64 = 30;
/// How many steps a clock may be off.
const STEPS_OFF: i64 = 1;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step whose code was shown at `now`, if one was.
#[must_use]
pub fn step_of(secret: &[u8], code: &str, now: DateTime<Utc>) -> Option<i64> {
    let current = now.timestamp().div_euclid(STEP_S);
    let mut steps = current - STEPS_OFF..=current + STEPS_OFF;
    steps.rfind(|step| super::token::same(&code_of(secret, *step), code))
}

/// When the code of a step is no longer taken.
#[must_use]
pub fn end_of(step: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp((step + STEPS_OFF + 1).checked_mul(STEP_S)?, 0)
}

fn code_of(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0x0f);
    let part = bytes.iter().skip(offset).take(4);
    let number = part.fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Bytes as people type them into an authenticator.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let at = usize::try_from((held >> bits) & 31).unwrap_or_default();
            text.extend(BASE32.get(at).map(|letter| char::from(*letter)));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        let at = usize::try_from((held << (5 - bits)) & 31).unwrap_or_default();
        text.extend(BASE32.get(at).map(|letter| char::from(*letter)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_standard() {
        // RFC 6238, appendix B: the last six of eight digits.
        let secret = b"12345678901234567890";
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = DateTime::from_timestamp(second, 0).unwrap();
            let step = second / 30;
            assert_eq!(step_of(secret, code, now), Some(step), "{second}");
            for off in [-1, 1] {
                let other = DateTime::from_timestamp(second + off * 30, 0).unwrap();
                assert_eq!(step_of(secret, code, other), Some(step), "a clock may be off");
            }
            let late = DateTime::from_timestamp(second + 60, 0).unwrap();
            assert_eq!(step_of(secret, code, late), None);
            assert!(end_of(step).unwrap() <= late);
        }
        assert_eq!(step_of(secret, "", DateTime::from_timestamp(59, 0).unwrap()), None);
    }

    #[test]
    fn base32_as_in_the_standard() {
        // RFC 4648, without padding.
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }
}
