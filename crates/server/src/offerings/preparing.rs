//! Preparing an offering, opening it, and what may still be changed while it is open.

use chrono::{DateTime, Utc};
use mint_core::{
    money::Amount,
    offering::{self, Kind, Terms},
    refusal::Refusal,
    states::OfferingStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Offering, packs,
    record::{amount, currency},
    supply::{self, one},
};
use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    outbox,
    permission::{Admin, Person},
    problem::Problem,
};

/// A new offering. Tokens are whole tokens as the token counts them, in its smallest unit.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateOffering {
    property_id: Uuid,
    rule_pack: String,
    kind: String,
    soft_cap: i64,
    hard_cap: i64,
    #[serde(default = "one_token")]
    minimum_tokens: i64,
    maximum_tokens: Option<i64>,
    opens_at: DateTime<Utc>,
    closes_at: DateTime<Utc>,
    long_stop_at: DateTime<Utc>,
    reservation_minutes: Option<i32>,
    #[serde(default)]
    is_live: bool,
}

fn one_token() -> i64 {
    1
}

/// Names one offering.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferingId {
    pub(crate) offering_id: Uuid,
}

/// An offering as it is told to its makers.
#[derive(Debug, Serialize)]
pub struct OfferingAnswer {
    offering: Value,
}

/// The row of an offering, as clients read the table.
///
/// # Errors
/// What the database answered.
pub async fn shown(command: &Command, id: Uuid) -> Result<OfferingAnswer, Problem> {
    let text = sql!("select to_jsonb(o) from public.offerings as o where o.id = $1");
    let offering = command.tx.query_one(text, &[&id]).await?.try_get(0)?;
    Ok(OfferingAnswer { offering })
}

/// Prepares an offering of a property's launched token, under the newest version of a rule pack.
///
/// # Errors
/// Terms that are not possible, or not under this pack.
pub async fn create(command: &Command, person: &Person, body: CreateOffering) -> Result<OfferingAnswer, Problem> {
    let manager = person.manager_of(command, body.property_id).await?;
    let text = sql!(
        "select t.id, t.status, t.token_decimals, t.currency, t.currency_decimals, t.current_price_minor, s.available_units
         from public.property_tokens as t join public.property_token_supply as s on s.property_token_id = t.id
         where t.property_id = $1 order by t.created_at desc, t.id limit 1"
    );
    let row = command
        .tx
        .query_opt(text, &[&manager.property_id()])
        .await?
        .ok_or_else(|| not_launched("none"))?;
    let status: String = row.try_get(1)?;
    if status != "launched" {
        return Err(not_launched(&status).into());
    }
    let (rule_pack_id, pack) = packs::newest(command, &body.rule_pack).await?;
    let currency = currency(&row.try_get::<_, String>(3)?, row.try_get(4)?)?;
    let wanted =
        |units: i64| Amount::try_from(units).map_err(|error| Problem::Invalid(format!("{units} tokens: {error}")));
    let terms = Terms {
        kind: Kind::named(&body.kind)
            .ok_or_else(|| Problem::Invalid("kind is issuer_owns or acquisition".to_owned()))?,
        price: amount(row.try_get(5)?)?,
        soft_cap: wanted(body.soft_cap)?,
        hard_cap: wanted(body.hard_cap)?,
        minimum: wanted(body.minimum_tokens)?,
        maximum: body.maximum_tokens.map(wanted).transpose()?,
        opens_at: body.opens_at,
        closes_at: body.closes_at,
        long_stop_at: body.long_stop_at,
    };
    terms.check(&pack, &currency, amount(row.try_get(6)?)?, command.now)?;
    if body.is_live && pack.rules.is_empty() {
        let refusal = Refusal::new(
            "offering.live_has_rules",
            "a live offering is not made under a pack without rules",
            "choose a rule pack of the jurisdiction",
        );
        return Err(refusal.by(format!("{} version {}", pack.code, pack.version)).into());
    }
    let text = sql!(
        "insert into public.offerings (property_id, property_token_id, rule_pack_id, kind, is_live, is_public, token_decimals, currency,
           currency_decimals, price_minor, soft_cap_units, hard_cap_units, minimum_units, maximum_units, cooling_off_days,
           reservation_minutes, opens_at, closes_at, long_stop_at, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) returning id"
    );
    let cooling_off = i32::try_from(pack.cooling_off_days()).map_err(Problem::internal)?;
    let token_id: Uuid = row.try_get(0)?;
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &body.property_id,
        &token_id,
        &rule_pack_id,
        &terms.kind.name(),
        &body.is_live,
        &pack.may_be_public(),
        &row.try_get::<_, i16>(2)?,
        &currency.code(),
        &row.try_get::<_, i16>(4)?,
        &terms.price.get(),
        &terms.soft_cap.get(),
        &terms.hard_cap.get(),
        &terms.minimum.get(),
        &terms.maximum.map(Amount::get),
        &cooling_off,
        &body.reservation_minutes.unwrap_or(30),
        &terms.opens_at,
        &terms.closes_at,
        &terms.long_stop_at,
        &manager.user_id(),
        &command.now,
    ];
    let out_of_range = || Problem::Invalid("reservationMinutes is 1 to 20160".to_owned());
    let row = command
        .tx
        .query_one(text, params)
        .await
        .on_constraint("offerings_reservation_is_bounded", out_of_range)?;
    let id: Uuid = row.try_get(0)?;
    outbox::emit(
        command,
        "offering.created",
        &id.to_string(),
        &json!({ "offeringId": id }),
    )
    .await?;
    shown(command, id).await
}

fn not_launched(status: &str) -> Refusal {
    Refusal::new(
        "token.launched",
        "the property's token is not launched",
        "finish the tokenization process first",
    )
    .looking_at("token_status", status)
}

/// Opens an offering: an admin, and never who prepared it.
///
/// # Errors
/// `four_eyes`, `offering.one_at_a_time`, terms that became impossible, the issuer's yearly limit.
pub async fn open(command: &Command, admin: &Admin, body: OfferingId) -> Result<OfferingAnswer, Problem> {
    let offering = Offering::lock(command, body.offering_id).await?;
    offering.must_be(&[OfferingStatus::Draft])?;
    if admin.is_same_party(command, offering.created_by).await? {
        return Err(four_eyes("an offering is opened by another person than who prepared it").into());
    }
    let text =
        sql!("select available_units, offering_id from public.property_token_supply where property_token_id = $1");
    let row = command.tx.query_one(text, &[&offering.token_id]).await?;
    if let Some(running) = row.try_get::<_, Option<Uuid>>(1)? {
        let refusal = Refusal::new(
            "offering.one_at_a_time",
            "another offering of this token is running",
            "wait until it has closed or failed",
        );
        return Err(refusal.looking_at("running_offering", running).into());
    }
    let available = amount(row.try_get(0)?)?;
    offering
        .terms
        .check(&offering.pack, &offering.currency, available, command.now)?;
    check_issuer(command, &offering).await?;
    supply::set_offering(
        command,
        offering.token_id,
        Some((offering.id, offering.terms.hard_cap.get())),
    )
    .await?;
    let text = sql!("update public.offerings set status = 'open', opened_at = $2, opened_by = $3 where id = $1");
    let opened = command
        .tx
        .execute(text, &[&offering.id, &command.now, &admin.user_id()])
        .await?;
    one(opened, "offerings")?;
    let text = sql!(
        "update public.properties set funding_target = nexus.from_minor($2, currency_decimals), funding_deadline = $3
         where id = $1 and currency = $4"
    );
    let target = offering
        .terms
        .hard_cap
        .at_price(offering.terms.price, offering.token_decimals)
        .map_err(Problem::internal)?;
    command
        .tx
        .execute(
            text,
            &[
                &offering.property_id,
                &target.get(),
                &offering.terms.closes_at,
                &offering.currency.code(),
            ],
        )
        .await?;
    let payload = json!({ "offeringId": offering.id, "propertyId": offering.property_id });
    outbox::emit(command, "offering.opened", &offering.id.to_string(), &payload).await?;
    shown(command, offering.id).await
}

async fn check_issuer(command: &Command, offering: &Offering) -> Result<(), Problem> {
    let total = offering
        .terms
        .hard_cap
        .at_price(offering.terms.price, offering.token_decimals)
        .map_err(|error| Problem::Invalid(error.to_string()))?;
    // The issuer: the parties that act as owners of the property, over all properties that they own.
    let text = sql!(
        "select coalesce(sum(o.hard_cap_units::numeric * o.price_minor / 10::numeric ^ o.token_decimals), 0)::bigint
         from public.offerings as o
         where o.currency = $2 and o.status in ('open', 'funded', 'closed') and o.opened_at > $3::timestamptz - interval '1 year'
           and o.property_id in (
             select theirs.property_id from public.property_members as mine
             join public.user_profiles as me on me.id = mine.user_id
             join public.user_profiles as same on same.party_id = me.party_id
             join public.property_members as theirs on theirs.user_id = same.id and theirs.capacity = 'owner' and theirs.is_active
             where mine.property_id = $1 and mine.capacity = 'owner' and mine.is_active)"
    );
    let row = command
        .tx
        .query_one(text, &[&offering.property_id, &offering.currency.code(), &command.now])
        .await?;
    let raised = amount(row.try_get(0)?)?;
    Ok(offering
        .terms
        .check_issuer(&offering.pack, &offering.currency, total, raised)?)
}

/// Four eyes.
#[must_use]
pub fn four_eyes(reason: &str) -> Refusal {
    Refusal::new("four_eyes", reason, "ask another person with the role")
}

/// Gives up an offering that was not opened.
///
/// # Errors
/// `offering.status`.
pub async fn cancel(command: &Command, person: &Person, body: OfferingId) -> Result<OfferingAnswer, Problem> {
    let offering = Offering::lock(command, body.offering_id).await?;
    if person.admin().is_err() {
        person.manager_of(command, offering.property_id).await?;
    }
    offering.must_be(&[OfferingStatus::Draft])?;
    let text = sql!("update public.offerings set status = 'cancelled' where id = $1");
    one(command.tx.execute(text, &[&offering.id]).await?, "offerings")?;
    outbox::emit(
        command,
        "offering.cancelled",
        &offering.id.to_string(),
        &json!({ "offeringId": offering.id }),
    )
    .await?;
    shown(command, offering.id).await
}

/// A later deadline.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtendOffering {
    offering_id: Uuid,
    closes_at: DateTime<Utc>,
    reason: String,
}

/// Extends an open offering: later than now and before its long stop, which never moves, since buyers rely on it.
///
/// # Errors
/// `offering.extension`.
pub async fn extend(command: &Command, _admin: &Admin, body: ExtendOffering) -> Result<OfferingAnswer, Problem> {
    let offering = Offering::lock(command, body.offering_id).await?;
    offering.must_be(&[OfferingStatus::Open])?;
    let terms = &offering.terms;
    let is_later = body.closes_at > terms.closes_at && body.closes_at < terms.long_stop_at;
    if !is_later || command.now >= terms.closes_at || body.reason.trim().is_empty() {
        let refusal = Refusal::new(
            "offering.extension",
            "an extension is later than the deadline and before the long stop, made before the deadline, with a reason",
            format!(
                "choose an instant after {} and before {}",
                terms.closes_at, terms.long_stop_at
            ),
        );
        return Err(refusal
            .looking_at("closes_at", body.closes_at)
            .looking_at("now", command.now)
            .by("the offering")
            .into());
    }
    let text = sql!("update public.offerings set closes_at = $2 where id = $1");
    one(
        command.tx.execute(text, &[&offering.id, &body.closes_at]).await?,
        "offerings",
    )?;
    tell_buyers(
        command,
        offering.id,
        "The offering was extended",
        &format!("The sale now ends at {}. Reason: {}", body.closes_at, body.reason),
    )
    .await?;
    let key = format!("{}:{}", offering.id, body.closes_at.timestamp_micros());
    let payload = json!({ "offeringId": offering.id, "closesAt": body.closes_at, "reason": body.reason });
    outbox::emit(command, "offering.extended", &key, &payload).await?;
    shown(command, offering.id).await
}

/// An early close.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnnounceEarlyClose {
    offering_id: Uuid,
    at: Option<DateTime<Utc>>,
}

/// Announces an early close, where the rule pack allows one, with the notice that it asks for.
///
/// # Errors
/// `early_close`.
pub async fn announce_early_close(
    command: &Command,
    _admin: &Admin,
    body: AnnounceEarlyClose,
) -> Result<OfferingAnswer, Problem> {
    let offering = Offering::lock(command, body.offering_id).await?;
    offering.must_be(&[OfferingStatus::Open])?;
    let at = offering::early_close(&offering.pack, &offering.terms, body.at, command.now)?;
    let text = sql!("update public.offerings set early_close_at = $2, early_close_announced_at = $3 where id = $1");
    one(
        command.tx.execute(text, &[&offering.id, &at, &command.now]).await?,
        "offerings",
    )?;
    tell_buyers(
        command,
        offering.id,
        "The offering ends early",
        &format!("The sale ends at {at}."),
    )
    .await?;
    let payload = json!({ "offeringId": offering.id, "at": at });
    let key = format!("{}:{}", offering.id, at.timestamp_micros());
    outbox::emit(command, "offering.early_close_announced", &key, &payload).await?;
    shown(command, offering.id).await
}

/// Somebody to invite.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteToOffering {
    offering_id: Uuid,
    user_id: Uuid,
}

/// Invites a person to an offering that is not public.
///
/// # Errors
/// [`Problem::NotFound`] where the property is not the manager's.
pub async fn invite(command: &Command, person: &Person, body: InviteToOffering) -> Result<OfferingAnswer, Problem> {
    let offering = Offering::load(command, body.offering_id).await?;
    person.manager_of(command, offering.property_id).await?;
    let text = sql!(
        "insert into public.offering_guests (offering_id, user_id, added_by, created_at) values ($1, $2, $3, $4)
         on conflict on constraint offering_guests_pkey do nothing"
    );
    command
        .tx
        .execute(text, &[&offering.id, &body.user_id, &person.user_id(), &command.now])
        .await
        .on_constraint("offering_guests_user_id_fkey", || Problem::NotFound)?;
    shown(command, offering.id).await
}

/// Tells everybody who has a reservation or money in the offering.
///
/// # Errors
/// What the database answered.
pub async fn tell_buyers(command: &Command, offering_id: Uuid, title: &str, message: &str) -> Result<(), Problem> {
    let text = sql!(
        "insert into public.notifications (user_id, title, message, type, created_at)
         select distinct i.user_id, $2::text, $3::text, 'offering', $4::timestamptz from public.investments as i
         where i.offering_id = $1 and i.status in ('pending', 'paid', 'confirmed', 'refund_due')"
    );
    command
        .tx
        .execute(text, &[&offering_id, &title, &message, &command.now])
        .await?;
    Ok(())
}
