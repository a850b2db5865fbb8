//! Parties: who a login acts for, and who owns an entity.
//!
//! A login acts for one party. A person's party turns into an entity while nothing rests on it yet; further logins are put
//! to an entity by an officer. So every right and limit of an entity is found the way a person's is, by `party_id`.

use chrono::NaiveDate;
use mint_core::{
    compliance::owners::{self, Owner},
    refusal::Refusal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::profile;
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::{Officer, Person},
    problem::Problem,
};

/// Owners that an entity may state at once.
const OWNERS_MAX: usize = 100;

/// Turns the caller's party into an entity.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Register {
    owners: Vec<StatedOwner>,
}

/// An owner as the entity states him.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatedOwner {
    name: String,
    country: Option<String>,
    #[serde(default = "person")]
    kind: String,
    share_ppm: i32,
    valid_from: NaiveDate,
}

fn person() -> String {
    "person".to_owned()
}

/// States that somebody owns a part from a day on.
#[derive(Debug, Deserialize)]
pub struct AddOwner {
    owner: StatedOwner,
}

/// States that an owner's share ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndOwner {
    id: Uuid,
    valid_to: NaiveDate,
}

/// Lets a login act for an entity.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetAct {
    user_id: Uuid,
    party_id: Uuid,
}

/// Name and country of an owner, as an officer verified them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedOwner {
    owner_party_id: Uuid,
    legal_name: String,
    country: String,
}

/// An entity with its owners.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    success: bool,
    party_id: Uuid,
    owners: Value,
}

/// Locks a party for what changes its people, and tells its kind.
///
/// # Errors
/// What the database answered.
pub(super) async fn lock(command: &Command, party_id: Uuid) -> Result<String, Problem> {
    let text = sql!("select kind from public.parties where id = $1 for no key update");
    Ok(command.tx.query_one(text, &[&party_id]).await?.try_get(0)?)
}

/// Makes the caller's party an entity, while nothing rests on its being a person.
///
/// # Errors
/// A refusal once something does, or where the shares do not fit.
pub async fn register(command: &Command, person: &Person, body: Register) -> Result<Entity, Problem> {
    lock(command, person.party_id()).await?;
    let text = sql!(
        "select (select count(*) from public.user_profiles as u where u.party_id = $1) = 1
            and not exists (select from public.kyc_cases as k where k.party_id = $1)
            and not exists (select from public.accreditation_cases as a where a.party_id = $1)
            and not exists (select from public.investments as i where i.party_id = $1)
            and not exists (select from public.lots as l where l.party_id = $1)
            and not exists (select from public.party_owners as o where $1 in (o.party_id, o.owner_party_id))"
    );
    if !command
        .tx
        .query_one(text, &[&person.party_id()])
        .await?
        .try_get::<_, bool>(0)?
    {
        return Err(Refusal::new(
            "party.new",
            "your account is in use as it is",
            "sign up with another login for the entity",
        )
        .into());
    }
    if body.owners.is_empty() || body.owners.len() > OWNERS_MAX {
        return Err(Problem::Invalid(format!("owners names 1 to {OWNERS_MAX} owners")));
    }
    let text = sql!("update public.parties set kind = 'entity' where id = $1");
    command.tx.execute(text, &[&person.party_id()]).await?;
    for owner in &body.owners {
        add(command, person.party_id(), owner).await?;
    }
    let told = json!({ "party_id": person.party_id() });
    outbox::emit(
        command,
        "party.entity_registered",
        &person.party_id().to_string(),
        &told,
    )
    .await?;
    let text = "Submit the papers of the entity to have its identity verified.";
    profile::tell(
        command,
        person.party_id(),
        "entity_registered",
        "Your account is an entity's now",
        text,
    )
    .await?;
    entity(command, person.party_id()).await
}

/// States a further owner of the caller's entity.
///
/// # Errors
/// A refusal where the caller is no entity or the shares would be more than all.
pub async fn add_owner(command: &Command, person: &Person, body: AddOwner) -> Result<Entity, Problem> {
    is_entity(command, person.party_id()).await?;
    let id = add(command, person.party_id(), &body.owner).await?;
    let told = json!({ "party_id": person.party_id() });
    outbox::emit(command, "party.owner_stated", &id.to_string(), &told).await?;
    entity(command, person.party_id()).await
}

/// States that an owner's share in the caller's entity ended.
///
/// # Errors
/// [`Problem::NotFound`] where there is no such share.
pub async fn end_owner(command: &Command, person: &Person, body: EndOwner) -> Result<Entity, Problem> {
    is_entity(command, person.party_id()).await?;
    let text =
        sql!("update public.party_owners set valid_to = $3 where id = $1 and party_id = $2 and valid_to is null");
    let ended = command
        .tx
        .execute(text, &[&body.id, &person.party_id(), &body.valid_to])
        .await
        .on_constraint("party_owners_ends_after_start", || {
            Problem::Invalid("validTo comes after the first day of the share".to_owned())
        })?;
    if ended == 0 {
        return Err(Problem::NotFound);
    }
    let told = json!({ "party_id": person.party_id() });
    outbox::emit(command, "party.owner_ended", &body.id.to_string(), &told).await?;
    entity(command, person.party_id()).await
}

/// Puts a new login to an entity, so that it acts for it. For an officer, who has seen the authority.
///
/// # Errors
/// A refusal where something rests on the login's own party, or the party is no entity.
pub async fn let_act(command: &Command, officer: &Officer, body: LetAct) -> Result<Value, Problem> {
    let text = sql!("select party_id from public.user_profiles where id = $1 for no key update");
    let row = command.tx.query_opt(text, &[&body.user_id]).await?;
    let own: Uuid = row.ok_or(Problem::NotFound)?.try_get(0)?;
    let text = sql!("select kind from public.parties where id = any ($1) order by id for no key update");
    command.tx.execute(text, &[&vec![own, body.party_id]]).await?;
    let text = sql!("select kind = 'entity' from public.parties where id = $1");
    let row = command.tx.query_opt(text, &[&body.party_id]).await?;
    if !row.ok_or(Problem::NotFound)?.try_get::<_, bool>(0)? {
        return Err(not_an_entity());
    }
    if body.user_id == officer.user_id() || body.party_id == officer.party_id() {
        return Err(super::not_for_a_stranger());
    }
    let text = sql!(
        "select not exists (select from public.kyc_cases as k where k.party_id = $1)
            and not exists (select from public.accreditation_cases as a where a.party_id = $1)
            and not exists (select from public.investments as i where i.party_id = $1)
            and not exists (select from public.lots as l where l.party_id = $1)
            and not exists (select from public.kyc_documents as d where d.user_id = $2)
            and not exists (select from public.party_owners as o where $1 in (o.party_id, o.owner_party_id))"
    );
    if !command
        .tx
        .query_one(text, &[&own, &body.user_id])
        .await?
        .try_get::<_, bool>(0)?
    {
        return Err(Refusal::new(
            "party.new",
            "this login's own account is in use",
            "let the person sign up with another login for the entity",
        )
        .into());
    }
    let text = sql!("update public.user_profiles set party_id = $2 where id = $1");
    command.tx.execute(text, &[&body.user_id, &body.party_id]).await?;
    profile::follow(command, body.party_id).await?;
    let text = "Your login acts for an entity now.";
    outbox::notify(
        command,
        body.user_id,
        "login_acts",
        "You act for an entity",
        text,
        Some("/profile"),
    )
    .await?;
    let told = json!({ "user_id": body.user_id, "party_id": body.party_id });
    outbox::emit(command, "party.login_added", &body.user_id.to_string(), &told).await?;
    Ok(json!({ "success": true, "userId": body.user_id, "partyId": body.party_id }))
}

/// Writes what an officer verified of a party.
///
/// # Errors
/// [`Problem::Invalid`] where name or country cannot be one.
pub(super) async fn verify(command: &Command, party_id: Uuid, legal_name: &str, country: &str) -> Result<(), Problem> {
    let text = sql!("update public.parties set legal_name = $2, residency_country = $3 where id = $1");
    command
        .tx
        .execute(text, &[&party_id, &legal_name.trim(), &country])
        .await
        .on_constraint("parties_legal_name_is_not_blank", || {
            Problem::Invalid("legalName has 1 to 300 characters".to_owned())
        })
        .on_constraint("parties_residency_country_is_iso", not_a_country)?;
    Ok(())
}

/// Writes what an officer verified of an entity's owners, and looks whether that suffices today.
///
/// # Errors
/// A refusal where it does not, [`Problem::NotFound`] for somebody who is no owner.
pub(super) async fn verify_owners(
    command: &Command,
    party_id: Uuid,
    verified: &[VerifiedOwner],
    states_no_other: bool,
) -> Result<(), Problem> {
    for owner in verified {
        let text = sql!(
            "select not exists (select from public.user_profiles as u where u.party_id = $2)
             from public.party_owners as o where o.party_id = $1 and o.owner_party_id = $2 limit 1"
        );
        let row = command.tx.query_opt(text, &[&party_id, &owner.owner_party_id]).await?;
        // Somebody with a login is verified by a case of his own, never by another's.
        if row.ok_or(Problem::NotFound)?.try_get(0)? {
            verify(command, owner.owner_party_id, &owner.legal_name, &owner.country).await?;
        }
    }
    let text = sql!(
        "select o.share_ppm, p.legal_name is not null and p.residency_country is not null
         from public.party_owners as o join public.parties as p on p.id = o.owner_party_id
         where o.party_id = $1 and o.valid_from <= ($2::timestamptz at time zone 'UTC')::date
           and (o.valid_to is null or o.valid_to > ($2::timestamptz at time zone 'UTC')::date)"
    );
    let mut found = Vec::new();
    for row in command.tx.query(text, &[&party_id, &command.now]).await? {
        found.push(Owner {
            share_ppm: u32::try_from(row.try_get::<_, i32>(0)?).map_err(Problem::internal)?,
            is_known: row.try_get(1)?,
        });
    }
    Ok(owners::suffice(&found, states_no_other)?)
}

async fn is_entity(command: &Command, party_id: Uuid) -> Result<(), Problem> {
    match lock(command, party_id).await?.as_str() {
        "entity" => Ok(()),
        _ => Err(not_an_entity()),
    }
}

async fn add(command: &Command, party_id: Uuid, owner: &StatedOwner) -> Result<Uuid, Problem> {
    let (id, owner_id) = (Uuid::now_v7(), Uuid::now_v7());
    let text = sql!("insert into public.parties (id, kind) values ($1, $2)");
    command
        .tx
        .execute(text, &[&owner_id, &owner.kind])
        .await
        .on_constraint("parties_kind_is_known", || {
            Problem::Invalid("kind is person or entity".to_owned())
        })?;
    let text = sql!(
        "insert into public.party_owners (id, party_id, owner_party_id, stated_name, stated_country, share_ppm, valid_from, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)"
    );
    command
        .tx
        .execute(
            text,
            &[
                &id,
                &party_id,
                &owner_id,
                &owner.name,
                &owner.country,
                &owner.share_ppm,
                &owner.valid_from,
                &command.now,
            ],
        )
        .await
        .on_constraint("party_owners_not_more_than_all", || {
            Refusal::new(
                "entity.owners_not_more_than_all",
                "the owners would have more than all of the entity",
                "correct the shares",
            )
            .into()
        })
        .on_constraint("party_owners_share_is_a_part", || {
            Problem::Invalid("sharePpm is 1 to 1000000 (millionths)".to_owned())
        })
        .on_constraint("party_owners_stated_name_is_not_blank", || {
            Problem::Invalid("an owner's name has 1 to 300 characters".to_owned())
        })
        .on_constraint("party_owners_stated_country_is_iso", not_a_country)?;
    Ok(id)
}

async fn entity(command: &Command, party_id: Uuid) -> Result<Entity, Problem> {
    let text = sql!(
        "select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'name', o.stated_name, 'country', o.stated_country,
                  'sharePpm', o.share_ppm, 'validFrom', o.valid_from, 'validTo', o.valid_to) order by o.share_ppm desc, o.id), '[]')
         from public.party_owners as o where o.party_id = $1"
    );
    Ok(Entity {
        success: true,
        party_id,
        owners: command.tx.query_one(text, &[&party_id]).await?.try_get(0)?,
    })
}

fn not_an_entity() -> Problem {
    Refusal::new(
        "party.entity",
        "this is a person's account",
        "register the entity first",
    )
    .into()
}

fn not_a_country() -> Problem {
    Problem::Invalid("country is two capital letters (ISO 3166-1 alpha-2)".to_owned())
}
