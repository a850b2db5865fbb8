//! Splitting a total among holders: largest remainder, so that the parts add up to the total to the smallest unit.
//!
//! Each holder gets the whole part of his exact share; the units left over go, one each, to the largest fractions. Equal
//! fractions are served in the circle of keys from a given key on: with another first key each time, nobody is favoured
//! for ever. (Largest remainder is Hamilton's method of apportionment; its paradoxes concern a changing total or
//! number of parties, and each split here stands alone.)

use crate::money::{AMOUNT_MAX, Amount};

/// Why a total cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitRefused {
    /// Nobody is entitled to anything, and there is something to give.
    #[error("there is nobody to split the amount among")]
    NobodyEntitled,
    /// The entitlements add up to more than 2^53 - 1.
    #[error("the entitlements add up to more than {AMOUNT_MAX}")]
    TooManyEntitlements,
    /// A key stands there twice; a holder's entitlements belong in one line.
    #[error("a holder stands in the list twice")]
    HolderTwice,
}

/// Splits `total` in proportion to the entitlements, exactly. The answer has one part for each holder, in ascending order of
/// key, whatever order the list came in. Equal fractions are served in ascending order of key beginning at `first`.
pub fn split<K: Ord + Clone>(
    total: Amount,
    entitlements: &[(K, Amount)],
    first: &K,
) -> Result<Vec<(K, Amount)>, SplitRefused> {
    let entitled =
        Amount::sum(entitlements.iter().map(|(_, units)| *units)).map_err(|_| SplitRefused::TooManyEntitlements)?;
    if entitled == Amount::ZERO && total != Amount::ZERO {
        return Err(SplitRefused::NobodyEntitled);
    }
    let mut shares = exact_shares(total, entitlements, entitled);
    shares.sort_by(|a, b| a.key.cmp(&b.key));
    if shares.windows(2).any(|pair| matches!(pair, [a, b] if a.key == b.key)) {
        return Err(SplitRefused::HolderTwice);
    }
    let given: i64 = shares.iter().map(|share| share.whole).sum();
    let left_over = usize::try_from(total.get() - given).unwrap_or(0);

    let mut by_fraction: Vec<&mut Share<K>> = shares.iter_mut().collect();
    by_fraction.sort_by(|a, b| {
        b.fraction
            .cmp(&a.fraction)
            .then_with(|| (a.key < *first).cmp(&(b.key < *first)))
            .then_with(|| a.key.cmp(&b.key))
    });
    for share in by_fraction.into_iter().take(left_over) {
        share.whole += 1;
    }
    Ok(shares
        .into_iter()
        .map(|share| (share.key, Amount::try_from(share.whole).unwrap_or(Amount::ZERO)))
        .collect())
}

struct Share<K> {
    key: K,
    whole: i64,
    /// What the whole part leaves, in parts of the sum of all entitlements.
    fraction: i128,
}

fn exact_shares<K: Clone>(total: Amount, entitlements: &[(K, Amount)], entitled: Amount) -> Vec<Share<K>> {
    let divisor = i128::from(entitled.get()).max(1);
    entitlements
        .iter()
        .map(|(key, units)| {
            let product = i128::from(total.get()) * i128::from(units.get());
            // The quotient is at most `total`, since no entitlement is above the sum of all.
            Share {
                key: key.clone(),
                whole: i64::try_from(product / divisor).unwrap_or(0),
                fraction: product % divisor,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    fn parts(total: i64, entitlements: &[(u32, i64)], first: u32) -> Result<Vec<(u32, i64)>, SplitRefused> {
        let entitlements: Vec<_> = entitlements.iter().map(|(key, units)| (*key, amount(*units))).collect();
        Ok(split(amount(total), &entitlements, &first)?
            .into_iter()
            .map(|(key, part)| (key, part.get()))
            .collect())
    }

    #[test]
    fn equal_fractions_take_turns() {
        let three = [(1, 1), (2, 1), (3, 1)];
        assert_eq!(parts(100, &three, 1), Ok(vec![(1, 34), (2, 33), (3, 33)]));
        assert_eq!(parts(100, &three, 2), Ok(vec![(1, 33), (2, 34), (3, 33)]));
        assert_eq!(
            parts(100, &three, 4),
            Ok(vec![(1, 34), (2, 33), (3, 33)]),
            "past the last key the circle begins again"
        );
        assert_eq!(parts(101, &three, 3), Ok(vec![(1, 34), (2, 33), (3, 34)]));
    }

    #[test]
    fn odd_lists_are_named() {
        assert_eq!(parts(1, &[], 0), Err(SplitRefused::NobodyEntitled));
        assert_eq!(parts(1, &[(1, 0)], 0), Err(SplitRefused::NobodyEntitled));
        assert_eq!(parts(0, &[], 0), Ok(vec![]));
        assert_eq!(parts(0, &[(1, 0)], 0), Ok(vec![(1, 0)]));
        assert_eq!(parts(5, &[(1, 1), (1, 1)], 0), Err(SplitRefused::HolderTwice));
        assert_eq!(
            parts(5, &[(1, AMOUNT_MAX), (2, 1)], 0),
            Err(SplitRefused::TooManyEntitlements)
        );
        assert_eq!(parts(AMOUNT_MAX, &[(1, AMOUNT_MAX)], 0), Ok(vec![(1, AMOUNT_MAX)]));
    }

    fn holders() -> impl Strategy<Value = BTreeMap<u32, i64>> {
        proptest::collection::btree_map(any::<u32>(), 0..=1_000_000_000_i64, 1..40)
            .prop_filter("somebody must be entitled", |map| map.values().any(|units| *units > 0))
    }

    proptest! {
        #[test]
        fn parts_add_up_and_are_fair(holders in holders(), total in 0..=AMOUNT_MAX, first: u32) {
            let list: Vec<_> = holders.iter().map(|(key, units)| (*key, *units)).collect();
            let got = parts(total, &list, first).unwrap();
            prop_assert_eq!(got.iter().map(|(_, part)| i128::from(*part)).sum::<i128>(), i128::from(total));
            let entitled: i128 = holders.values().map(|units| i128::from(*units)).sum();
            for (key, part) in &got {
                let exact = i128::from(total) * i128::from(holders[key]);
                prop_assert!((i128::from(*part) * entitled - exact).abs() < entitled, "within one unit of the exact share");
            }
            for (a, part_a) in &got {
                for (b, part_b) in &got {
                    prop_assert!(holders[a] <= holders[b] || part_a >= part_b, "more entitlement never receives less (L15)");
                }
            }
        }

        #[test]
        fn the_order_of_holders_never_matters(holders in holders(), total in 0..=AMOUNT_MAX, first: u32) {
            let mut list: Vec<_> = holders.into_iter().collect();
            let forward = parts(total, &list, first);
            list.reverse();
            prop_assert_eq!(parts(total, &list, first), forward);
        }

        #[test]
        fn splitting_a_holder_in_two_moves_a_unit_a_part_at_most(
            holders in holders(), total in 0..=AMOUNT_MAX, first: u32, cut in 0..=1_000_000_000_i64,
        ) {
            let list: Vec<_> = holders.iter().map(|(key, units)| (*key, *units)).collect();
            let (key, units) = list[0];
            let cut = cut.min(units);
            let new_key = (0..=u32::MAX).find(|k| !holders.contains_key(k)).unwrap();
            let mut in_two = list.clone();
            in_two[0].1 = units - cut;
            in_two.push((new_key, cut));
            let part_of = |parts: &[(u32, i64)], key: u32| parts.iter().find(|(k, _)| *k == key).map_or(0, |(_, part)| *part);
            let before = part_of(&parts(total, &list, first).unwrap(), key);
            let after = parts(total, &in_two, first).unwrap();
            let together = part_of(&after, key) + part_of(&after, new_key);
            prop_assert!((together - before).abs() <= 2, "one smallest unit a part (L15): {before} became {together}");
        }
    }
}
