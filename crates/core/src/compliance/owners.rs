//! Whether enough is known about who owns an entity to verify its identity.

use crate::refusal::Refusal;

/// All of an entity, in millionths.
pub const ALL_PPM: u32 = 1_000_000;

/// From this share on an owner must be known (25 %).
pub const LARGE_SHARE_PPM: u32 = 250_000;

/// An owner of an entity, as far as this decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The share, in millionths.
    pub share_ppm: u32,
    /// Whether name and country were verified.
    pub is_known: bool,
}

/// Whether the owners of today suffice: every large one is known, and what nobody is named for is too small to hide one,
/// unless the entity states that there is no other. `states_no_other` is that statement, for a person to have weighed.
///
/// # Errors
/// `entity.owners_known`, `entity.owners_named` or `entity.owners_not_more_than_all`.
pub fn suffice(owners: &[Owner], states_no_other: bool) -> Result<(), Refusal> {
    let named = owners
        .iter()
        .fold(0_u32, |sum, owner| sum.saturating_add(owner.share_ppm));
    if named > ALL_PPM {
        return Err(Refusal::new(
            "entity.owners_not_more_than_all",
            "the owners have more than all of the entity",
            "correct the shares",
        )
        .looking_at("named_ppm", named));
    }
    let unknown = owners
        .iter()
        .filter(|owner| owner.share_ppm >= LARGE_SHARE_PPM && !owner.is_known)
        .count();
    if unknown > 0 {
        return Err(Refusal::new(
            "entity.owners_known",
            "owners of a quarter or more of the entity are not verified",
            "verify name and country of each of them",
        )
        .looking_at("owners_unknown", unknown)
        .looking_at("from_ppm", LARGE_SHARE_PPM));
    }
    let rest = ALL_PPM.saturating_sub(named);
    if rest >= LARGE_SHARE_PPM && !states_no_other {
        return Err(Refusal::new(
            "entity.owners_named",
            "a quarter or more of the entity belongs to nobody who is named",
            "name the other owners, or have the entity state that none of them has a quarter",
        )
        .looking_at("unnamed_ppm", rest));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(owners: &[(u32, bool)], states_no_other: bool, rule: Option<&str>) {
        let owners: Vec<Owner> = owners
            .iter()
            .map(|&(share_ppm, is_known)| Owner { share_ppm, is_known })
            .collect();
        let said = suffice(&owners, states_no_other).err().map(|refusal| refusal.rule);
        assert_eq!(said.as_deref(), rule);
    }

    #[test]
    fn a_quarter_is_where_an_owner_must_be_known() {
        check(&[(750_001, true), (249_999, false)], false, None);
        check(&[(750_000, true), (250_000, false)], false, Some("entity.owners_known"));
        check(&[(750_000, true)], false, Some("entity.owners_named"));
        check(&[(750_001, true)], false, None);
        check(&[(750_000, true)], true, None);
        check(&[], false, Some("entity.owners_named"));
        check(
            &[(600_000, true), (400_001, true)],
            false,
            Some("entity.owners_not_more_than_all"),
        );
    }
}
