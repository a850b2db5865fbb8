//! Whether a name resembles one on a list. Exact after normalising, or by the words that two names share: no sounds, no
//! misspellings, no other scripts. What resembles is for a person to look at, and never a match by itself.

use std::collections::BTreeSet;

/// From how many of a thousand shared words on two names resemble each other: two of three words, and "John Smith" is in
/// "John Michael Smith".
pub const ALIKE_PERMILLE: usize = 800;

/// The words of a name: lower case, Latin letters without their accents, everything else a border; sorted, each once.
#[must_use]
pub fn words_of(name: &str) -> BTreeSet<String> {
    let plain: String = name.chars().flat_map(char::to_lowercase).map(plain).collect();
    let words = plain.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether two names, by their words, are so alike that a person must look.
#[must_use]
pub fn are_alike(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    let shared = one.intersection(other).count();
    let all = one.len().saturating_add(other.len());
    // Twice the shared words over all words of both.
    shared > 0 && shared.saturating_mul(2000) >= all.saturating_mul(ALIKE_PERMILLE)
}

/// A letter without its accent.
fn plain(letter: char) -> char {
    const FOLDED: &[(&str, char)] = &[
        ("àáâãäåāăąǎ", 'a'),
        ("çćĉċč", 'c'),
        ("ďđð", 'd'),
        ("èéêëēĕėęěə", 'e'),
        ("ĝğġģ", 'g'),
        ("ĥħ", 'h'),
        ("ìíîïĩīĭįı", 'i'),
        ("ĵ", 'j'),
        ("ķ", 'k'),
        ("ĺļľŀł", 'l'),
        ("ñńņňŉ", 'n'),
        ("òóôõöøōŏőǒ", 'o'),
        ("ŕŗř", 'r'),
        ("śŝşšș", 's'),
        ("ţťŧț", 't'),
        ("ùúûüũūŭůűųǔ", 'u'),
        ("ŵ", 'w'),
        ("ýÿŷ", 'y'),
        ("źżž", 'z'),
    ];
    FOLDED
        .iter()
        .find(|(letters, _)| letters.contains(letter))
        .map_or(letter, |(_, folded)| *folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, alike: bool) {
        assert_eq!(are_alike(&words_of(one), &words_of(other)), alike, "{one} / {other}");
        assert_eq!(
            are_alike(&words_of(other), &words_of(one)),
            alike,
            "the other way round"
        );
    }

    #[test]
    fn names_are_compared_by_their_words() {
        check("José Núñez", "NUNEZ, Jose", true);
        check("John Smith", "John Michael Smith", true);
        check("Acme Holdings Ltd.", "ACME HOLDINGS LTD", true);
        check("John Smith", "John Brown", false);
        check("Anna Maria Lopez", "Anna Maria Gomez", false);
        check("", "", false);
        check("Иван Петров", "Петров Иван", true);
        check("Ivan Petrov", "Иван Петров", false);
    }
}
