//! The name that is nearest to a misspelled one, for hints.

use std::collections::HashMap;

/// How alike names of parameters and embeds must be at least.
pub(crate) const ALIKE: f64 = 0.33;

/// How alike names of relations and functions must be at least: there are many.
pub(crate) const VERY_ALIKE: f64 = 0.75;

/// Above so many names a refusal is not worth the search.
const NAMES_MAX: usize = 500;

/// The candidate most like `name`, if one is like it enough: of those that share letters with it, three in a row or else
/// two, the one in which the fewest have to change.
pub(crate) fn nearest<'a>(candidates: impl Iterator<Item = &'a str>, name: &str, alike_min: f64) -> Option<&'a str> {
    let mut candidates: Vec<&str> = candidates.take(NAMES_MAX + 1).collect();
    if candidates.len() > NAMES_MAX {
        return None;
    }
    candidates.sort_unstable();
    candidates.dedup();
    for size in [3, 2] {
        let asked = grams(name, size);
        let mut best: Option<((f64, f64), &str)> = None;
        for candidate in &candidates {
            let shared = cosine(&asked, &grams(candidate, size));
            if shared <= 0.0 {
                continue;
            }
            let alike = closeness(name, candidate);
            if alike >= alike_min && best.is_none_or(|(known, _)| (alike, shared) > known) {
                best = Some(((alike, shared), candidate));
            }
        }
        if let Some((_, found)) = best {
            return Some(found);
        }
    }
    None
}

fn grams(name: &str, size: usize) -> HashMap<String, f64> {
    let letters: Vec<char> = std::iter::once('-')
        .chain(
            name.to_lowercase()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || matches!(letter, ',' | ' ')),
        )
        .chain(std::iter::once('-'))
        .collect();
    let mut counts = HashMap::new();
    for gram in letters.windows(size) {
        *counts.entry(gram.iter().collect()).or_insert(0.0) += 1.0;
    }
    counts
}

fn cosine(a: &HashMap<String, f64>, b: &HashMap<String, f64>) -> f64 {
    let length = |grams: &HashMap<String, f64>| grams.values().map(|count| count * count).sum::<f64>().sqrt();
    let shared: f64 = a.iter().filter_map(|(gram, count)| Some(count * b.get(gram)?)).sum();
    let whole = length(a) * length(b);
    if whole > 0.0 { shared / whole } else { 0.0 }
}

/// 1 for equal names, 0 where every letter has to change.
fn closeness(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let longest = a.len().max(b.len());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, letter) in a.iter().enumerate() {
        let mut next = vec![line + 1];
        let mut left = line + 1;
        for ((above_left, above), other) in row.iter().zip(row.iter().skip(1)).zip(&b) {
            let changed = above_left + usize::from(letter != other);
            left = changed.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    let distance = row.last().copied().unwrap_or(longest);
    let as_number = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    if longest == 0 {
        1.0
    } else {
        1.0 - as_number(distance) / as_number(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_near_or_none() {
        let check = |candidates: &[&str], name: &str, expect: Option<&str>| {
            assert_eq!(nearest(candidates.iter().copied(), name, ALIKE), expect, "{name}");
        };
        let very = |name: &str| nearest(["projects", "foo"].into_iter(), name, VERY_ALIKE);
        assert_eq!(
            (very("projectx"), very("projecxx"), very("projxxxx")),
            (Some("projects"), Some("projects"), None)
        );
        assert_eq!(very("foozle"), None);
        assert_eq!(nearest(["articles"].into_iter(), "garlic", VERY_ALIKE), None);
        check(&["test", "another"], "testt", Some("test"));
        check(&["test", "another"], "other", Some("another"));
        check(&["test", "another"], "noclosealternative", None);
        check(&["films", "directors"], "film", Some("films"));
        check(&["(name, param, val)", "(attr, id)"], "(id)", Some("(attr, id)"));
        check(&["(a, b)"], "(a, b, smthelse)", Some("(a, b)"));
        check(&["articles", "items"], "garlic", Some("articles"));
    }
}
