//! Case files about holdings: opened with a reason, approved by two, done with the second approval.
//!
//! What always holds: nothing is changed by opening a case; what a case does is done in the transaction of its second
//! approval, or nothing is; nobody approves twice, or what is about himself.

use std::str::FromStr as _;

use chrono::NaiveDate;
use mint_core::{
    holding_case::{self, Approval, CaseKind, Hands},
    money::{Amount, Currency},
    refusal::Refusal,
    states::HoldingCaseStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{carrying_out, lots::Token};
use crate::{
    command::Command,
    compliance::kyc,
    db::{OnConstraint as _, sql},
    distributions::house::House,
    investments::ordering::TokenAmount,
    offerings::{record::amount, supply},
    outbox,
    permission::{Overseer, Person},
    problem::Problem,
};

/// Papers of one case, at most.
const PAPERS_MAX: usize = 20;

/// Opens a case. What each kind names: docs/HOLDING.md.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenCase {
    kind: String,
    reason: String,
    property_id: Option<Uuid>,
    party_id: Option<Uuid>,
    to_user_id: Option<Uuid>,
    freeze_id: Option<Uuid>,
    token_amount: Option<TokenAmount>,
    amount: Option<String>,
    account_ref: Option<String>,
    bank_reference: Option<String>,
    booked_on: Option<NaiveDate>,
    #[serde(default)]
    document_ids: Vec<Uuid>,
}

/// Names a case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseId {
    case_id: Uuid,
}

/// Names a case, and says why it is not to be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectCase {
    case_id: Uuid,
    reason: String,
}

/// A case as it is.
#[derive(Debug, Serialize)]
pub struct CaseAnswer {
    case: Value,
}

/// A case as its carrying out sees it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub kind: CaseKind,
    /// The property and its token; nothing of a recovery.
    pub of: Option<(Uuid, Uuid)>,
    /// The holder; nothing of a winding up.
    pub party_id: Option<Uuid>,
    /// The login and the party that get the tokens.
    pub to: Option<(Uuid, Uuid)>,
    /// The freeze that it ends.
    pub freeze_id: Option<Uuid>,
    /// How many tokens; nothing: all.
    pub units: Option<Amount>,
    /// What is paid for them, or what the property brought.
    pub amount: Option<Amount>,
    /// The bank's reference of what it brought, and the day.
    pub booked: Option<(String, NaiveDate)>,
    status: HoldingCaseStatus,
    opened_by: Uuid,
    first_approved_by: Option<Uuid>,
}

/// What a case is about, found out when it is opened.
struct About {
    token: Option<(Uuid, Token)>,
    party_id: Option<Uuid>,
    to: Option<(Uuid, Uuid)>,
    /// In smallest units of the token's currency.
    amount: Option<Amount>,
}

/// Opens a case. An overseer's opening is the first approval; managers of a property open redemptions and its winding up.
///
/// # Errors
/// [`Problem::Invalid`] where it does not name what its kind is about, `case.paper`, [`Problem::NotFound`].
pub async fn open(command: &Command, person: &Person, body: OpenCase) -> Result<CaseAnswer, Problem> {
    let kind = CaseKind::from_str(&body.kind).map_err(|error| {
        let kinds = CaseKind::ALL.map(CaseKind::name).join(", ");
        Problem::Invalid(format!("kind: {error}; there are {kinds}"))
    })?;
    let is_overseer = person.overseer().is_ok();
    match kind {
        CaseKind::Redemption | CaseKind::WindUp if !is_overseer => {
            person
                .manager_of(command, named(body.property_id, kind, "propertyId")?)
                .await?;
        }
        CaseKind::Redemption | CaseKind::WindUp => {}
        CaseKind::Freeze | CaseKind::Release | CaseKind::ForcedTransfer | CaseKind::Recovery => {
            person.overseer()?;
        }
    }
    let about = about(command, kind, &body).await?;
    if kind.needs_paper() && body.document_ids.is_empty() {
        let reason = "tokens change hands without their holder only on a paper";
        let remedy = "upload the order or request (upload-kyc-document) and name it in documentIds";
        return Err(Refusal::new("case.paper", reason, remedy)
            .looking_at("kind", kind)
            .into());
    }
    let id = Uuid::now_v7();
    let in_it = [about.party_id, about.to.map(|(_, party_id)| party_id)].contains(&Some(person.party_id()));
    let approves = is_overseer && !in_it;
    write(command, person, id, kind, &body, &about, approves).await?;
    bind_papers(command, person, id, &body.document_ids).await?;
    let told = json!({ "caseId": id, "kind": kind.name(), "propertyId": about.token.as_ref().map(|(_, token)| token.property_id) });
    outbox::emit(command, "holding_case.opened", &id.to_string(), &told).await?;
    shown(command, id).await
}

fn named<T>(field: Option<T>, kind: CaseKind, name: &str) -> Result<T, Problem> {
    field.ok_or_else(|| Problem::Invalid(format!("{name}: a case of kind {kind} names it")))
}

/// Finds out what a case of its kind is about, and refuses what it does not ask for.
async fn about(command: &Command, kind: CaseKind, body: &OpenCase) -> Result<About, Problem> {
    let token = match kind {
        CaseKind::Recovery => None,
        CaseKind::Release => {
            let freeze_id = named(body.freeze_id, kind, "freezeId")?;
            let text = sql!("select property_id from public.holding_freezes where id = $1 and released_at is null");
            let row = command
                .tx
                .query_opt(text, &[&freeze_id])
                .await?
                .ok_or(Problem::NotFound)?;
            Some(token_of(command, row.try_get(0)?).await?)
        }
        CaseKind::Freeze | CaseKind::ForcedTransfer | CaseKind::Redemption | CaseKind::WindUp => {
            Some(token_of(command, named(body.property_id, kind, "propertyId")?).await?)
        }
    };
    let party_id = match kind {
        CaseKind::WindUp => None,
        CaseKind::Release => {
            let text = sql!("select party_id from public.holding_freezes where id = $1");
            Some(command.tx.query_one(text, &[&body.freeze_id]).await?.try_get(0)?)
        }
        CaseKind::Freeze | CaseKind::ForcedTransfer | CaseKind::Recovery | CaseKind::Redemption => {
            Some(named(body.party_id, kind, "partyId")?)
        }
    };
    let to = match kind {
        CaseKind::ForcedTransfer | CaseKind::Recovery => {
            let user_id = named(body.to_user_id, kind, "toUserId")?;
            let text = sql!("select party_id from public.user_profiles where id = $1");
            let row = command
                .tx
                .query_opt(text, &[&user_id])
                .await?
                .ok_or(Problem::NotFound)?;
            Some((user_id, row.try_get(0)?))
        }
        CaseKind::Freeze | CaseKind::Release | CaseKind::Redemption | CaseKind::WindUp => None,
    };
    let amount = match (kind, &token) {
        (CaseKind::Redemption | CaseKind::WindUp, Some((_, token))) => {
            let figure = named(body.amount.as_deref(), kind, "amount")?;
            let amount = Amount::parse(figure, token.currency.decimals());
            Some(amount.map_err(|error| Problem::Invalid(format!("amount: {error}")))?)
        }
        (
            CaseKind::Freeze
            | CaseKind::Release
            | CaseKind::ForcedTransfer
            | CaseKind::Recovery
            | CaseKind::Redemption
            | CaseKind::WindUp,
            _,
        ) => None,
    };
    Ok(About {
        token,
        party_id,
        to,
        amount,
    })
}

/// The property's launched token.
async fn token_of(command: &Command, property_id: Uuid) -> Result<(Uuid, Token), Problem> {
    let token_id = House::load(command, property_id).await?.token_id;
    Ok((token_id, Token::load(command, token_id).await?))
}

async fn write(
    command: &Command,
    person: &Person,
    id: Uuid,
    kind: CaseKind,
    body: &OpenCase,
    about: &About,
    approves: bool,
) -> Result<(), Problem> {
    let units = match (&body.token_amount, &about.token) {
        (Some(tokens), Some((_, token))) => Some(tokens.units(token.decimals)?),
        (Some(_), None) => {
            let text = "tokenAmount: a recovery is of everything that the party holds";
            return Err(Problem::Invalid(text.to_owned()));
        }
        (None, _) => None,
    };
    let currency = about.amount.and(about.token.as_ref()).map(|(_, token)| &token.currency);
    let first = approves.then_some((person.user_id(), command.now)).unzip();
    let text = sql!(
        "insert into public.holding_cases (id, kind, property_id, property_token_id, party_id, to_user_id, to_party_id, freeze_id, token_decimals,
           units, currency, currency_decimals, amount_minor, account_ref, bank_reference, booked_on, reason, opened_by, first_approved_by,
           first_approved_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)"
    );
    let (to_user, to_party) = about.to.unzip();
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &kind.name(),
        &about.token.as_ref().map(|(_, token)| token.property_id),
        &about.token.as_ref().map(|(token_id, _)| *token_id),
        &about.party_id,
        &to_user,
        &to_party,
        &body.freeze_id,
        &about.token.as_ref().map(|(_, token)| i16::from(token.decimals.get())),
        &units.map(Amount::get),
        &currency.map(Currency::code),
        &currency.map(|currency| i16::from(currency.decimals().get())),
        &about.amount.map(Amount::get),
        &body.account_ref,
        &body.bank_reference,
        &body.booked_on,
        &body.reason,
        &person.user_id(),
        &first.0,
        &first.1,
        &command.now,
    ];
    let invalid = |text: String| move || Problem::Invalid(text);
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint(
            "holding_cases_name_what_they_are_about",
            invalid(format!("a case of kind {kind} names other fields: see docs/HOLDING.md")),
        )
        .on_constraint("holding_cases_party_id_fkey", || Problem::NotFound)
        .on_constraint(
            "holding_cases_texts_are_bounded",
            invalid("reason has 1 to 2,000 characters, accountRef 1 to 100, bankReference 1 to 300".to_owned()),
        )
        .on_constraint(
            "holding_cases_amount_is_an_amount",
            invalid("amount: more than nothing".to_owned()),
        )
        .on_constraint("holding_cases_bank_line_once_key", || {
            let reason = "a case rests on this line of the bank already, or it was recorded as rent or a cost";
            Refusal::new("case.line_once", reason, "name the line on which the price arrived").into()
        })?;
    if body.booked_on.is_some_and(|day| day > command.now.date_naive()) {
        return Err(Problem::Invalid("bookedOn: the day is to come".to_owned()));
    }
    Ok(())
}

async fn bind_papers(command: &Command, person: &Person, id: Uuid, papers: &[Uuid]) -> Result<(), Problem> {
    if papers.len() > PAPERS_MAX {
        return Err(Problem::Invalid(format!(
            "documentIds names {PAPERS_MAX} documents at most"
        )));
    }
    let text = sql!(
        "update public.kyc_documents set holding_case_id = $1
         where id = any ($2) and user_id = $3
           and num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id, holding_case_id) = 0"
    );
    let bound = command.tx.execute(text, &[&id, &papers, &person.user_id()]).await?;
    if usize::try_from(bound).ok() == Some(papers.len()) {
        Ok(())
    } else {
        Err(kyc::documents_not_free())
    }
}

/// Approves a case; with the second approval it is done.
///
/// # Errors
/// `four_eyes`, `case.status`, and what the case's own doing refuses: then it stays open.
pub async fn approve(command: &Command, overseer: &Overseer, body: CaseId) -> Result<CaseAnswer, Problem> {
    let case = lock(command, body.case_id).await?;
    let hands = hands(command, &case).await?;
    match holding_case::approve(&hands, overseer.party_id())? {
        Approval::First => {
            let text =
                sql!("update public.holding_cases set first_approved_by = $2, first_approved_at = $3 where id = $1");
            let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&case.id, &overseer.user_id(), &command.now];
            supply::one(command.tx.execute(text, params).await?, "holding_cases")?;
        }
        Approval::Second => {
            // On the heap: otherwise this is as large as the largest of them.
            Box::pin(carrying_out::carry_out(command, &case)).await?;
            let text = sql!(
                "update public.holding_cases set status = 'done', second_approved_by = $2, done_at = $3 where id = $1"
            );
            let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&case.id, &overseer.user_id(), &command.now];
            supply::one(command.tx.execute(text, params).await?, "holding_cases")?;
            let told = json!({ "caseId": case.id, "kind": case.kind.name() });
            outbox::emit(command, "holding_case.done", &case.id.to_string(), &told).await?;
        }
    }
    shown(command, case.id).await
}

/// Rejects a case, with the reason.
///
/// # Errors
/// `case.status`; `four_eyes` for who is in it.
pub async fn reject(command: &Command, overseer: &Overseer, body: RejectCase) -> Result<CaseAnswer, Problem> {
    let case = lock(command, body.case_id).await?;
    if hands(command, &case).await?.about.contains(&overseer.party_id()) {
        return Err(crate::offerings::preparing::four_eyes("nobody decides a case about himself").into());
    }
    let text =
        sql!("update public.holding_cases set status = 'rejected', rejected_by = $2, reject_reason = $3 where id = $1");
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&case.id, &overseer.user_id(), &body.reason];
    command
        .tx
        .execute(text, params)
        .await
        .on_constraint("holding_cases_rejected_says_why", || {
            Problem::Invalid("reason has 1 to 2,000 characters".to_owned())
        })?;
    shown(command, case.id).await
}

/// Gives a case up. Only who opened it does.
///
/// # Errors
/// [`Problem::NotFound`] for others, `case.status`.
pub async fn cancel(command: &Command, person: &Person, body: CaseId) -> Result<CaseAnswer, Problem> {
    let case = lock(command, body.case_id).await?;
    if case.opened_by != person.user_id() {
        return Err(Problem::NotFound);
    }
    let text = sql!("update public.holding_cases set status = 'cancelled' where id = $1");
    supply::one(command.tx.execute(text, &[&case.id]).await?, "holding_cases")?;
    shown(command, case.id).await
}

/// A case that is open, with the supply rows of its tokens, in their order, and its own row locked.
async fn lock(command: &Command, id: Uuid) -> Result<Case, Problem> {
    let text = sql!(
        "select s.property_token_id from public.property_token_supply as s
         where s.property_token_id in (
           select c.property_token_id from public.holding_cases as c where c.id = $1
           union all
           select l.property_token_id from public.holding_cases as c join public.lots as l on l.party_id = c.party_id
           where c.id = $1 and c.kind = 'recovery')
         order by s.property_token_id for no key update"
    );
    command.tx.query(text, &[&id]).await?;
    let text = sql!(
        "select id, kind, property_id, property_token_id, party_id, to_user_id, to_party_id, freeze_id, units, amount_minor, bank_reference,
                booked_on, status, opened_by, first_approved_by
         from public.holding_cases where id = $1 for no key update"
    );
    let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
    let both = |one: usize, other: usize| -> Result<Option<(Uuid, Uuid)>, Problem> {
        Ok(row.try_get::<_, Option<Uuid>>(one)?.zip(row.try_get(other)?))
    };
    let (kind, status): (String, String) = (row.try_get(1)?, row.try_get(12)?);
    let case = Case {
        id: row.try_get(0)?,
        kind: kind.parse().map_err(Problem::internal)?,
        of: both(2, 3)?,
        party_id: row.try_get(4)?,
        to: both(5, 6)?,
        freeze_id: row.try_get(7)?,
        units: row.try_get::<_, Option<i64>>(8)?.map(amount).transpose()?,
        amount: row.try_get::<_, Option<i64>>(9)?.map(amount).transpose()?,
        booked: row.try_get::<_, Option<String>>(10)?.zip(row.try_get(11)?),
        status: status.parse().map_err(Problem::internal)?,
        opened_by: row.try_get(13)?,
        first_approved_by: row.try_get(14)?,
    };
    if case.status != HoldingCaseStatus::Open {
        let remedy = "look at it again: somebody was here before";
        let refusal = Refusal::new("case.status", format!("the case is {}", case.status), remedy);
        return Err(refusal.looking_at("status", case.status).into());
    }
    Ok(case)
}

async fn hands(command: &Command, case: &Case) -> Result<Hands, Problem> {
    let text = sql!("select party_id from public.user_profiles where id = $1");
    let party_of = async |user_id: Uuid| -> Result<Uuid, Problem> {
        Ok(command.tx.query_one(text, &[&user_id]).await?.try_get(0)?)
    };
    let first = match case.first_approved_by {
        Some(user_id) => Some(party_of(user_id).await?),
        None => None,
    };
    Ok(Hands {
        opener: party_of(case.opened_by).await?,
        first,
        about: case
            .party_id
            .into_iter()
            .chain(case.to.map(|(_, party_id)| party_id))
            .collect(),
    })
}

async fn shown(command: &Command, id: Uuid) -> Result<CaseAnswer, Problem> {
    let text = sql!(
        "select to_jsonb(c) || jsonb_build_object('documents', coalesce((
                  select jsonb_agg(jsonb_build_object('id', d.id, 'document_type', d.document_type, 'file_name', d.file_name) order by d.created_at, d.id)
                  from public.kyc_documents as d where d.holding_case_id = c.id), '[]'),
                'freezes', coalesce((select jsonb_agg(f.id order by f.id) from public.holding_freezes as f where f.frozen_case_id = c.id), '[]'))
         from public.holding_cases as c where c.id = $1"
    );
    Ok(CaseAnswer {
        case: command.tx.query_one(text, &[&id]).await?.try_get(0)?,
    })
}
