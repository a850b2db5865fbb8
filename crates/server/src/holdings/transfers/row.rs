//! A transfer as the database has it, locked.

use chrono::{DateTime, Utc};
use mint_core::{lots::DisposalKind, money::Amount, refusal::Refusal, states::TransferStatus, transfer::ANSWER_WITHIN};
use serde_json::json;
use uuid::Uuid;

use crate::{
    command::Command,
    db::{OnConstraint as _, sql},
    holdings::lots::{Moving, Receiver, Token},
    offerings::{record::amount, supply},
    permission::Person,
    problem::Problem,
};

/// Which of the two somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Holder,
    Receiver,
}

/// A transfer.
pub(super) struct Transfer {
    pub(super) id: Uuid,
    pub(super) token_id: Uuid,
    pub(super) kind: DisposalKind,
    pub(super) units: Amount,
    pub(super) price: Amount,
    pub(super) from_party_id: Uuid,
    pub(super) from_user_id: Uuid,
    pub(super) to: Receiver,
    status: TransferStatus,
    due_at: DateTime<Utc>,
}

impl Transfer {
    /// The transfer, with its token's supply and its own row locked until the command ends.
    pub(super) async fn lock(command: &Command, id: Uuid) -> Result<Transfer, Problem> {
        let text = sql!("select property_token_id from public.transfers where id = $1");
        let row = command.tx.query_opt(text, &[&id]).await?.ok_or(Problem::NotFound)?;
        let token_id: Uuid = row.try_get(0)?;
        supply::lock(command, token_id).await?;
        let text = sql!(
            "select kind, units, price_minor, from_party_id, from_user_id, to_party_id, to_user_id, status, due_at
             from public.transfers where id = $1 for no key update"
        );
        let row = command.tx.query_one(text, &[&id]).await?;
        let kind: String = row.try_get(0)?;
        let status: String = row.try_get(7)?;
        Ok(Transfer {
            id,
            token_id,
            kind: kind
                .parse()
                .map_err(|()| Problem::internal(format!("a transfer of kind {kind}")))?,
            units: amount(row.try_get(1)?)?,
            price: amount(row.try_get(2)?)?,
            from_party_id: row.try_get(3)?,
            from_user_id: row.try_get(4)?,
            to: Receiver {
                party_id: row.try_get(5)?,
                user_id: row.try_get(6)?,
            },
            status: status.parse().map_err(Problem::internal)?,
            due_at: row.try_get(8)?,
        })
    }

    /// Which of these sides somebody is; for everybody else there is no such transfer.
    pub(super) fn must_be_of(&self, person: &Person, sides: &[Side]) -> Result<Side, Problem> {
        let side = if person.party_id() == self.from_party_id {
            Side::Holder
        } else if person.party_id() == self.to.party_id {
            Side::Receiver
        } else {
            return Err(Problem::NotFound);
        };
        if sides.contains(&side) {
            return Ok(side);
        }
        Err(Refusal::new(
            "transfer.side",
            "this is for the other side of the transfer",
            match side {
                Side::Holder => "wait for the receiver, or cancel the transfer",
                Side::Receiver => "accept the transfer or decline it",
            },
        )
        .into())
    }

    /// Only in these statuses, and not after its time.
    pub(super) fn must_be(&self, command: &Command, statuses: &[TransferStatus]) -> Result<(), Problem> {
        let may = statuses.contains(&self.status);
        if may && command.now < self.due_at {
            return Ok(());
        }
        let names: Vec<&str> = statuses.iter().map(|status| status.name()).collect();
        let (reason, remedy) = if may {
            (
                "the time of this transfer is over".to_owned(),
                "have the holder ask for another".to_owned(),
            )
        } else {
            (
                format!("the transfer is {}", self.status),
                format!("do this while it is {}", names.join(" or ")),
            )
        };
        Err(Refusal::new("transfer.status", reason, remedy)
            .looking_at("status", self.status)
            .looking_at("due_at", self.due_at.to_rfc3339())
            .into())
    }

    /// What would move.
    pub(super) async fn moving(&self, command: &Command) -> Result<Moving, Problem> {
        Ok(Moving {
            token_id: self.token_id,
            from_party_id: self.from_party_id,
            to: Some(self.to),
            units: self.units,
            kind: self.kind,
            proceeds: self.price,
            promised: promised(command, self.token_id, self.from_party_id, Some(self.id)).await?,
            key: format!("transfer:{}", self.id),
            cause: json!({ "transfer_id": self.id }),
        })
    }
}

/// What a party has promised of a token in open transfers, but for one of them.
pub(super) async fn promised(
    command: &Command,
    token_id: Uuid,
    party_id: Uuid,
    but_for: Option<Uuid>,
) -> Result<Amount, Problem> {
    let text = sql!(
        "select coalesce(sum(t.units), 0)::bigint from public.transfers as t
         where t.from_party_id = $1 and t.property_token_id = $2 and t.status in ('requested', 'accepted') and t.due_at > $3
           and ($4::uuid is null or t.id <> $4)"
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&party_id, &token_id, &command.now, &but_for];
    amount(command.tx.query_one(text, params).await?.try_get(0)?)
}

/// Writes down what a holder asks for.
pub(super) async fn add(
    command: &Command,
    person: &Person,
    moving: &Moving,
    token: &Token,
    reason: &str,
) -> Result<Uuid, Problem> {
    let to = moving.to.ok_or_else(|| Problem::internal("a transfer to nobody"))?;
    let id = Uuid::now_v7();
    let due_at = command.now + ANSWER_WITHIN;
    let text = sql!(
        "insert into public.transfers (id, property_id, property_token_id, kind, token_decimals, units, currency, currency_decimals, price_minor,
           reason, from_party_id, from_user_id, to_party_id, to_user_id, due_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    );
    let (token_decimals, currency_decimals) = (
        i16::from(u8::from(token.decimals)),
        i16::from(u8::from(token.currency.decimals())),
    );
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
        &id,
        &token.property_id,
        &moving.token_id,
        &moving.kind.name(),
        &token_decimals,
        &moving.units.get(),
        &token.currency.code(),
        &currency_decimals,
        &moving.proceeds.get(),
        &reason,
        &person.party_id(),
        &person.user_id(),
        &to.party_id,
        &to.user_id,
        &due_at,
        &command.now,
    ];
    let added = command.tx.execute(text, params).await;
    added.on_constraint("transfers_reasons_are_bounded", reason_too_long)?;
    Ok(id)
}

pub(super) fn reason_too_long() -> Problem {
    Problem::Invalid("reason has 1 to 2000 characters".to_owned())
}
