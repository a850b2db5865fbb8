//! What an approved case does, in the transaction of its second approval. The case and the supply rows of its tokens are locked.

use mint_core::{
    account::Purpose,
    book::{Move, Place},
    holding_case::{self, CaseKind, Till},
    lots::DisposalKind,
    money::Amount,
    refusal::Refusal,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    cases::Case,
    freezes,
    lots::{self, Moving, Receiver},
    winding_up,
};
use crate::{
    command::Command,
    compliance::{profile, standing},
    db::sql,
    distributions::house::{House, of},
    offerings::record::amount,
    payments::record::post,
    problem::Problem,
};

/// Does what a case says.
///
/// # Errors
/// Why it cannot be done now; then nothing is.
pub(super) async fn carry_out(command: &Command, case: &Case) -> Result<(), Problem> {
    match case.kind {
        CaseKind::Freeze => {
            let of = about(case.of)?;
            freezes::freeze(command, case.id, of, about(case.party_id)?, case.units).await
        }
        CaseKind::Release => release(command, case).await,
        CaseKind::ForcedTransfer => Box::pin(force(command, case)).await,
        CaseKind::Recovery => Box::pin(recover(command, case)).await,
        CaseKind::Redemption => Box::pin(redeem(command, case)).await,
        CaseKind::WindUp => Box::pin(winding_up::wind_up(command, case)).await,
    }
}

/// What a constraint says that a case of its kind has.
pub(super) fn about<T>(field: Option<T>) -> Result<T, Problem> {
    field.ok_or_else(|| Problem::internal("a case does not name what its kind is about"))
}

async fn release(command: &Command, case: &Case) -> Result<(), Problem> {
    if freezes::release(command, case.id, about(case.freeze_id)?).await? {
        return Ok(());
    }
    let refusal = Refusal::new(
        "case.freeze",
        "the freeze has ended",
        "reject the case: there is nothing to do",
    );
    Err(refusal.into())
}

/// What a party holds of a token.
async fn held(command: &Command, token_id: Uuid, party_id: Uuid) -> Result<Amount, Problem> {
    let text = sql!(
        "select coalesce(sum(l.units), 0)::bigint from public.lots as l where l.property_token_id = $1 and l.party_id = $2"
    );
    amount(command.tx.query_one(text, &[&token_id, &party_id]).await?.try_get(0)?)
}

/// Whoever gets tokens by a case is identified, and not on a list: no order makes the platform serve who is.
async fn check_receiver(command: &Command, party_id: Uuid) -> Result<(), Problem> {
    let standings = standing::load(command, &[party_id]).await?;
    let standing = standings.get(&party_id).ok_or(Problem::NotFound)?;
    standing.identified(command.now)?;
    standing.screened(command.now)?;
    Ok(())
}

async fn force(command: &Command, case: &Case) -> Result<(), Problem> {
    let (property_id, token_id) = about(case.of)?;
    let from_party_id = about(case.party_id)?;
    let (user_id, party_id) = about(case.to)?;
    check_receiver(command, party_id).await?;
    let units = match case.units {
        Some(units) => units,
        None => held(command, token_id, from_party_id).await?,
    };
    let moving = Moving {
        token_id,
        from_party_id,
        to: Some(Receiver { party_id, user_id }),
        units,
        kind: DisposalKind::Forced,
        proceeds: Amount::ZERO,
        promised: Amount::ZERO,
        key: format!("case:{}", case.id),
        cause: json!({ "case_id": case.id, "property_id": property_id }),
    };
    lots::move_units(command, &moving).await?;
    let (title, text) = (
        "Tokens were transferred",
        "By a case file, tokens went to another holder. Ask us for its reason.",
    );
    profile::tell(command, from_party_id, "forced_transfer", title, text).await?;
    let text = "By a case file, tokens came to you: see your portfolio.";
    profile::tell(command, party_id, "forced_transfer", "Tokens are yours", text).await
}

/// Everything that a party holds goes to another login of the same person, frozen what was frozen. What is owed to the old party
/// is paid as before, and its purchases that have not closed stay its own until they do.
async fn recover(command: &Command, case: &Case) -> Result<(), Problem> {
    let from_party_id = about(case.party_id)?;
    let (user_id, party_id) = about(case.to)?;
    check_receiver(command, party_id).await?;
    same_person(command, from_party_id, party_id).await?;
    freezes::pass_on(command, case.id, from_party_id, party_id).await?;
    let text = sql!(
        "select l.property_token_id, sum(l.units)::bigint from public.lots as l where l.party_id = $1 and l.units > 0
         group by l.property_token_id order by l.property_token_id"
    );
    for row in command.tx.query(text, &[&from_party_id]).await? {
        let token_id: Uuid = row.try_get(0)?;
        let moving = Moving {
            token_id,
            from_party_id,
            to: Some(Receiver { party_id, user_id }),
            units: amount(row.try_get(1)?)?,
            kind: DisposalKind::Recovery,
            proceeds: Amount::ZERO,
            promised: Amount::ZERO,
            key: format!("case:{}:{token_id}", case.id),
            cause: json!({ "case_id": case.id }),
        };
        lots::move_units(command, &moving).await?;
    }
    let text = "What you held with your old login is yours here, with its dates and its cost.";
    profile::tell(command, party_id, "recovered", "Your tokens are back", text).await
}

async fn same_person(command: &Command, one: Uuid, other: Uuid) -> Result<(), Problem> {
    let text = sql!(
        "select a.kind, a.legal_name, b.legal_name,
                a.kind = 'person' and b.kind = 'person' and lower(a.legal_name) = lower(b.legal_name)
                and a.residency_country = b.residency_country
         from public.parties as a, public.parties as b where a.id = $1 and b.id = $2"
    );
    let row = command.tx.query_one(text, &[&one, &other]).await?;
    if row.try_get::<_, Option<bool>>(3)?.unwrap_or(false) {
        return Ok(());
    }
    let refusal = Refusal::new(
        "case.same_person",
        "the two are not verified as one person",
        "verify the new login with the same name and country; by another name, use a forced_transfer with the paper that says why",
    );
    Err(refusal.looking_at("kind", row.try_get::<_, String>(0)?).into())
}

/// Takes a holder's tokens out for money of the property that it may spend; the money is owed to him and paid by the rail.
async fn redeem(command: &Command, case: &Case) -> Result<(), Problem> {
    let (property_id, token_id) = about(case.of)?;
    let (party_id, price) = (about(case.party_id)?, about(case.amount)?);
    let house = House::lock(command, property_id).await?;
    holding_case::can_redeem(price, &till(command, &house).await?)?;
    let units = match case.units {
        Some(units) => units,
        None => held(command, token_id, party_id).await?,
    };
    let moving = Moving {
        token_id,
        from_party_id: party_id,
        to: None,
        units,
        kind: DisposalKind::Redemption,
        proceeds: price,
        promised: Amount::ZERO,
        key: format!("case:{}", case.id),
        cause: json!({ "case_id": case.id, "property_id": property_id }),
    };
    let moved = lots::move_units(command, &moving).await?;
    let owed = Move {
        amount: price,
        from: Place::Of(Purpose::OperatingCash),
        to: Place::Party(Purpose::Payable, party_id),
    };
    let why = (
        json!({ "case_id": case.id, "party_id": party_id }),
        command.now.date_naive(),
    );
    let key = format!("case:{}:owed", case.id);
    post(command, &house.book(), key, "redemption.owed", why, &[owed]).await?;
    let owed = Owed {
        parties: vec![party_id],
        units: vec![units.get()],
        amounts: vec![price.get()],
    };
    write_redemptions(command, case, &house, moved.entry_id, &owed).await?;
    let text = format!(
        "{} are owed to you for your tokens, and are on their way.",
        house.currency.show(price)
    );
    profile::tell(command, party_id, "redeemed", "Your tokens were redeemed", &text).await
}

/// What the property has, as a case sees it.
///
/// # Errors
/// What the database answered.
pub(super) async fn till(command: &Command, house: &House) -> Result<Till, Problem> {
    let balances = house.balances(command).await?;
    let set_aside = SET_ASIDE.map(|purpose| of(&balances, purpose));
    Ok(Till {
        operating_cash: of(&balances, Purpose::OperatingCash),
        reserve: of(&balances, Purpose::Reserve),
        set_aside: Amount::sum(set_aside).map_err(Problem::internal)?,
        manager_fee: of(&balances, Purpose::CostManager),
    })
}

/// The accounts in which a property sets aside for bills to come.
pub(super) const SET_ASIDE: [Purpose; 3] = [Purpose::CostTaxes, Purpose::CostInsurance, Purpose::CostMaintenance];

/// What is owed to whom for how many tokens: lists of one length.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub(super) parties: Vec<Uuid>,
    pub(super) units: Vec<i64>,
    pub(super) amounts: Vec<i64>,
}

/// Writes what is owed to holders whose tokens were taken out, and makes the payouts due.
///
/// # Errors
/// What the database answered.
pub(super) async fn write_redemptions(
    command: &Command,
    case: &Case,
    house: &House,
    entry_id: i64,
    owed: &Owed,
) -> Result<(), Problem> {
    let ids: Vec<Uuid> = owed.parties.iter().map(|_| Uuid::now_v7()).collect();
    let text = sql!(
        "with written as (
           insert into public.redemptions (id, case_id, party_id, user_id, property_id, property_token_id, token_decimals, units, currency,
             currency_decimals, amount_minor, entry_id, status, created_at)
           select n.id, $5, n.party_id, l.user_id, $6, $7, l.token_decimals, n.units, $8, $9, n.amount, $10,
                  case when n.amount > 0 then 'payable' else 'paid' end, $11
           from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) as n (id, party_id, units, amount)
           cross join lateral (select o.user_id, o.token_decimals from public.lots as o
                               where o.party_id = n.party_id and o.property_token_id = $7 order by o.acquired_at desc, o.id limit 1) as l
           returning id, party_id, property_id, currency, currency_decimals, amount_minor)
         insert into public.payouts (id, rail_key, redemption_id, party_id, property_id, currency, currency_decimals, amount_minor, due_at, created_at)
         select gen_random_uuid(), gen_random_uuid(), w.id, w.party_id, w.property_id, w.currency, w.currency_decimals, w.amount_minor, $11, $11
         from written as w where w.amount_minor > 0"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &ids,
        &owed.parties,
        &owed.units,
        &owed.amounts,
        &case.id,
        &house.property_id,
        &house.token_id,
        &house.currency.code(),
        &house.decimals(),
        &entry_id,
        &command.now,
    ];
    command.tx.execute(text, params).await?;
    Ok(())
}
