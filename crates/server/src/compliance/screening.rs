//! Screening: whether a party resembles somebody on a list, and what an officer found about it.
//!
//! Lists are files that the operator supplies ([`load`]); names are compared as [`mint_core::compliance::names`] says, and
//! no better. The program itself only ever finds `clear` or `possible_match`; `match` and the clearing of a hit are an
//! officer's. What an officer decided stands until a list has something that he did not see. None of this is ever shown to
//! the party. Where no list is loaded the program finds nothing, and an officer records what a provider of his said.

use std::{collections::BTreeSet, io::Read};

use chrono::{DateTime, Utc};
use mint_core::compliance::names;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::until;
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    import::csv::{ReadError, Reader, Record},
    outbox,
    permission::Officer,
    problem::Problem,
};

/// What the program itself is called where it compared.
pub const OWN_LISTS: &str = "lists of the operator";

/// Names of one list, at most: the largest public lists have a tenth of it.
const ENTRIES_MAX: usize = 1_000_000;

/// Hits that are kept of one comparison.
const HITS_MAX: usize = 100;

/// Records what an officer found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    party_id: Uuid,
    status: String,
    provider: String,
    reference: Option<String>,
    due_at: Option<DateTime<Utc>>,
}

/// Names a party.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfParty {
    party_id: Uuid,
}

/// Records a screening by an officer. A clear one covers the hits that the last comparison had.
///
/// # Errors
/// A refusal about the officer's own party, [`Problem::Invalid`] for a status that is none.
pub async fn record(command: &Command, officer: &Officer, body: Found) -> Result<Value, Problem> {
    if !["clear", "possible_match", "match"].contains(&body.status.as_str()) {
        return Err(Problem::Invalid("status is clear, possible_match or match".to_owned()));
    }
    is_a_stranger(command, officer, body.party_id).await?;
    let due_at = until(command, "screening", body.due_at).await?;
    let hits = last(command, body.party_id)
        .await?
        .map_or_else(BTreeSet::new, |last| last.hits);
    let screening = Screening {
        provider: &body.provider,
        status: &body.status,
        reference: body.reference.as_deref(),
        hits: &hits,
        screened_by: Some(officer.user_id()),
        due_at,
    };
    write(command, body.party_id, &screening).await?;
    Ok(json!({ "success": true, "partyId": body.party_id, "status": body.status, "dueAt": due_at }))
}

/// Compares a party and its owners with the lists, for an officer.
///
/// # Errors
/// A refusal about the officer's own party; [`Problem::NotFound`].
pub async fn screen(command: &Command, officer: &Officer, body: OfParty) -> Result<Value, Problem> {
    is_a_stranger(command, officer, body.party_id).await?;
    compare_with_owners(command, body.party_id).await?;
    let text = sql!(
        "select coalesce(jsonb_agg(jsonb_build_object('partyId', newest.party_id, 'status', newest.status, 'provider', newest.provider,
                  'hits', newest.hits, 'screenedAt', newest.screened_at, 'dueAt', newest.due_at)), '[]')
         from (select $1::uuid as id union select o.owner_party_id from public.party_owners as o where o.party_id = $1) as subject
         cross join lateral (select s.party_id, s.status, s.provider, s.hits, s.screened_at, s.due_at from public.party_screenings as s
                             where s.party_id = subject.id order by s.number desc limit 1) as newest"
    );
    let found: Value = command.tx.query_one(text, &[&body.party_id]).await?.try_get(0)?;
    Ok(json!({ "success": true, "screenings": found }))
}

async fn is_a_stranger(command: &Command, officer: &Officer, party_id: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "select p.id = $2 or exists (select from public.party_owners as o where o.party_id = p.id and o.owner_party_id = $2)
         from public.parties as p where p.id = $1"
    );
    let row = command.tx.query_opt(text, &[&party_id, &officer.party_id()]).await?;
    if row.ok_or(Problem::NotFound)?.try_get(0)? {
        return Err(super::not_for_a_stranger());
    }
    Ok(())
}

/// Compares a party and its owners of today with the lists.
///
/// # Errors
/// What the database answered.
pub(super) async fn compare_with_owners(command: &Command, party_id: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "select o.owner_party_id from public.party_owners as o
         where o.party_id = $1 and o.valid_from <= ($2::timestamptz at time zone 'UTC')::date
           and (o.valid_to is null or o.valid_to > ($2::timestamptz at time zone 'UTC')::date)
         order by 1"
    );
    compare(command, party_id).await?;
    for row in command.tx.query(text, &[&party_id, &command.now]).await? {
        compare(command, row.try_get(0)?).await?;
    }
    Ok(())
}

/// Compares one party with the lists and records what comes of it. Without a list, or where an officer's `match` or an
/// undecided `possible_match` stands, nothing changes.
///
/// # Errors
/// What the database answered.
pub(super) async fn compare(command: &Command, party_id: Uuid) -> Result<(), Problem> {
    let text = sql!("select exists (select from nexus.screening_lists)");
    if !command.tx.query_one(text, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let last = last(command, party_id).await?;
    let cleared = match &last {
        Some(last) if last.status != "clear" => return Ok(()),
        Some(last) => last.cleared(),
        None => BTreeSet::new(),
    };
    let hits = hits_of(command, party_id).await?;
    let status = if hits.is_subset(&cleared) {
        "clear"
    } else {
        "possible_match"
    };
    let screening = Screening {
        provider: OWN_LISTS,
        status,
        reference: None,
        hits: &hits,
        screened_by: None,
        due_at: until(command, "screening", None).await?,
    };
    write(command, party_id, &screening).await
}

struct Screening<'a> {
    provider: &'a str,
    status: &'a str,
    reference: Option<&'a str>,
    hits: &'a BTreeSet<String>,
    screened_by: Option<Uuid>,
    due_at: DateTime<Utc>,
}

async fn write(command: &Command, party_id: Uuid, screening: &Screening<'_>) -> Result<(), Problem> {
    let id = Uuid::now_v7();
    let hits = json!(screening.hits);
    let text = sql!(
        "insert into public.party_screenings (id, party_id, provider, status, reference, hits, screened_by, screened_at, due_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)"
    );
    command
        .tx
        .execute(
            text,
            &[
                &id,
                &party_id,
                &screening.provider,
                &screening.status,
                &screening.reference,
                &hits,
                &screening.screened_by,
                &command.now,
                &screening.due_at,
            ],
        )
        .await
        .on_constraint("party_screenings_provider_is_not_blank", || {
            Problem::Invalid("provider has 1 to 100 characters".to_owned())
        })
        .on_constraint("party_screenings_reference_is_short", || {
            Problem::Invalid("reference has at most 300 characters".to_owned())
        })?;
    let told = json!({ "party_id": party_id });
    Ok(outbox::emit(command, "party.screened", &id.to_string(), &told).await?)
}

struct Last {
    status: String,
    hits: BTreeSet<String>,
}

impl Last {
    /// Hits of a clear screening are those that an officer looked at and found to be others.
    fn cleared(&self) -> BTreeSet<String> {
        self.hits.clone()
    }
}

async fn last(command: &Command, party_id: Uuid) -> Result<Option<Last>, Problem> {
    let text =
        sql!("select status, hits from public.party_screenings where party_id = $1 order by number desc limit 1");
    let Some(row) = command.tx.query_opt(text, &[&party_id]).await? else {
        return Ok(None);
    };
    let hits: Value = row.try_get(1)?;
    Ok(Some(Last {
        status: row.try_get(0)?,
        hits: serde_json::from_value(hits).map_err(Problem::internal)?,
    }))
}

/// What on the lists resembles a name that the party has, states or gave: `list/key` of each.
async fn hits_of(command: &Command, party_id: Uuid) -> Result<BTreeSet<String>, Problem> {
    let text = sql!(
        "select p.legal_name from public.parties as p where p.id = $1 and p.legal_name is not null
         union select u.full_name from public.user_profiles as u where u.party_id = $1 and u.full_name is not null
         union select o.stated_name from public.party_owners as o where o.owner_party_id = $1 and o.stated_name is not null
         union select k.submission ->> 'legalName' from public.kyc_cases as k
               where k.party_id = $1 and jsonb_typeof(k.submission -> 'legalName') = 'string'"
    );
    let mut hits = BTreeSet::new();
    for row in command.tx.query(text, &[&party_id]).await? {
        let words = names::words_of(row.try_get(0)?);
        let wanted: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = sql!(
            "select l.name || '/' || e.key, e.words from nexus.screening_entries as e
             join (select distinct on (l.name) l.id, l.name from nexus.screening_lists as l order by l.name, l.number desc) as l
               on l.id = e.list_id
             where e.words && $1::text[] order by 1"
        );
        for row in command.tx.query(text, &[&wanted]).await? {
            let theirs: Vec<String> = row.try_get(1)?;
            if hits.len() < HITS_MAX && names::are_alike(&words, &theirs.into_iter().collect()) {
                hits.insert(row.try_get(0)?);
            }
        }
    }
    Ok(hits)
}

/// Loads a list: CSV with a first line `key,name`, one name a line, further columns passed over. The same name of a list
/// replaces the list before, whole or not at all. How many names it has.
///
/// # Errors
/// [`Problem::Invalid`] with line and what is wrong.
pub async fn load(command: &Command, name: &str, mut file: impl Read) -> Result<usize, Problem> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Problem::internal)?;
    let entries = entries_of(&bytes)?;
    let id = Uuid::now_v7();
    let digest = Sha256::digest(&bytes).to_vec();
    let count = i32::try_from(entries.len()).map_err(Problem::internal)?;
    let text =
        sql!("insert into nexus.screening_lists (id, name, sha256, entries, loaded_at) values ($1, $2, $3, $4, $5)");
    command
        .tx
        .execute(text, &[&id, &name, &digest, &count, &command.now])
        .await
        .on_constraint("screening_lists_name_is_a_word", || {
            Problem::Invalid("a list's name is lower-case letters, digits and _ . -".to_owned())
        })?;
    for (chunk, entries) in entries.chunks(5_000).enumerate() {
        let first = chunk.saturating_mul(5_000);
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let words: Vec<String> = entries.iter().map(|entry| entry.words.join(" ")).collect();
        let first = i32::try_from(first).map_err(Problem::internal)?;
        let text = sql!(
            "insert into nexus.screening_entries (list_id, place, key, name, words)
             select $1, $2 + e.place, e.key, e.name, string_to_array(e.words, ' ')
             from unnest($3::text[], $4::text[], $5::text[]) with ordinality as e (key, name, words, place)"
        );
        command
            .tx
            .execute(text, &[&id, &i64::from(first), &keys, &names, &words])
            .await?;
    }
    let told = json!({ "list": name, "entries": count });
    outbox::emit(command, "screening.list_loaded", &id.to_string(), &told).await?;
    Ok(entries.len())
}

struct Entry {
    key: String,
    name: String,
    words: Vec<String>,
}

fn entries_of(bytes: &[u8]) -> Result<Vec<Entry>, Problem> {
    let wrong = |line: u64, what: &str| Problem::Invalid(format!("line {line}: {what}"));
    let unreadable = |error: ReadError| match error {
        ReadError::Io(error) => Problem::internal(error),
        ReadError::Malformed(at) => wrong(at.line, &format!("{}, found {}", at.expected, at.found)),
    };
    let (mut reader, mut record) = (Reader::new(bytes), Record::default());
    let mut entries = Vec::new();
    let mut is_first = true;
    while reader.read(&mut record).map_err(unreadable)? {
        let mut fields = record.fields();
        let (key, name) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if std::mem::take(&mut is_first) {
            if (key, name) != ("key", "name") {
                return Err(wrong(record.line, "the first line begins with key,name"));
            }
            continue;
        }
        let words: Vec<String> = names::words_of(name).into_iter().take(100).collect();
        if key.trim().is_empty() || key.len() > 100 || name.len() > 1000 || words.is_empty() {
            return Err(wrong(
                record.line,
                "a key of 1 to 100 bytes and a name with letters are needed",
            ));
        }
        if entries.len() >= ENTRIES_MAX {
            return Err(wrong(record.line, "a list has at most 1,000,000 names"));
        }
        entries.push(Entry {
            key: key.to_owned(),
            name: name.to_owned(),
            words,
        });
    }
    if entries.is_empty() {
        return Err(Problem::Invalid("the list is empty".to_owned()));
    }
    Ok(entries)
}
