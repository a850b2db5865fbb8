//! How often something may be tried, kept in PostgreSQL, so that all servers of a database share it.
//!
//! Each limit is a bucket of drops. A try takes a drop; drops come back at a steady pace. Subjects are kept as keyed
//! hashes. Addresses of this machine itself are not limited: there a proxy or a developer asks.

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{AuthRefusal, keys::Keys};
use crate::{
    db::{Tx, sql},
    problem::Problem,
};

/// Rows that say nothing any more are removed so often, by whoever signs in.
const SWEPT_MAX: i64 = 100;

/// What is limited, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    kind: &'static str,
    /// Drops of a full bucket.
    drops: u32,
    /// How long a drop takes to come back.
    every: Duration,
}

/// Passwords tried for one login: after ten, one a minute. Nobody guesses a password at that pace, and whoever forgot his
/// may go on.
pub const PASSWORDS: Limit = Limit {
    kind: "passwords",
    drops: 10,
    every: Duration::from_secs(60),
};
/// Passwords tried from one network address: many people may share it.
pub const PASSWORDS_OF_ADDRESS: Limit = Limit {
    kind: "passwords_of_address",
    drops: 100,
    every: Duration::from_secs(3),
};
/// Codes of six digits tried for one login: the chance to guess one is 1 in 10 000 at once, then 1 in 1000 a day.
pub const CODES: Limit = Limit {
    kind: "codes",
    drops: 10,
    every: Duration::from_secs(120),
};
/// Sign-ups and mails asked for from one network address.
pub const REQUESTS_OF_ADDRESS: Limit = Limit {
    kind: "requests_of_address",
    drops: 60,
    every: Duration::from_secs(10),
};

/// A drop that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// More are left.
    More,
    /// It was the last one.
    Last,
}

impl Limit {
    /// Takes a drop for `subject`. Says how long to wait where there is none.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn take(
        self,
        tx: &Tx,
        keys: &Keys,
        subject: &str,
        now: DateTime<Utc>,
    ) -> Result<Result<Drop, TimeDelta>, tokio_postgres::Error> {
        let digest = self.digest(keys, subject);
        let drop = TimeDelta::from_std(self.every).unwrap_or(TimeDelta::MAX);
        let (empty, full) = (now + drop, now + drop * i32::try_from(self.drops).unwrap_or(i32::MAX));
        let taken = tx
            .query_opt(
                sql!(
                    "insert into nexus.login_limits as l (kind, subject, full_at) values ($1, $2, $3)
                     on conflict on constraint login_limits_pkey do update
                       set full_at = greatest(l.full_at, $4) + ($3::timestamptz - $4)
                       where greatest(l.full_at, $4) + ($3::timestamptz - $4) <= $5
                     returning l.full_at"
                ),
                &[&self.kind, &digest.as_slice(), &empty, &now, &full],
            )
            .await?;
        if let Some(row) = taken {
            let is_last = row.try_get::<_, DateTime<Utc>>(0)? + drop > full;
            return Ok(Ok(if is_last { Drop::Last } else { Drop::More }));
        }
        let row = tx
            .query_opt(
                sql!("select full_at from nexus.login_limits where kind = $1 and subject = $2"),
                &[&self.kind, &digest.as_slice()],
            )
            .await?;
        let full_at = row.map(|row| row.try_get::<_, DateTime<Utc>>(0)).transpose()?;
        Ok(Err(full_at.map_or(drop, |at| at + drop - full)))
    }

    /// Takes a drop, or refuses.
    ///
    /// # Errors
    /// [`AuthRefusal::TooMany`], or what the database answered.
    pub async fn check(self, tx: &Tx, keys: &Keys, subject: &str, now: DateTime<Utc>) -> Result<(), Problem> {
        match self.take(tx, keys, subject, now).await? {
            Ok(_) => Ok(()),
            Err(_) => Err(AuthRefusal::TooMany.into()),
        }
    }

    /// The same for whoever asks from a network address, if it is one that can be limited.
    ///
    /// # Errors
    /// As [`Limit::check`].
    pub async fn check_address(
        self,
        tx: &Tx,
        keys: &Keys,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<(), Problem> {
        match address.filter(|address| !address.is_loopback()) {
            None => Ok(()),
            Some(address) => self.check(tx, keys, &network(address), now).await,
        }
    }

    /// Fills the bucket again: who knew the password was right to try.
    ///
    /// # Errors
    /// What the database answered.
    pub async fn forget(self, tx: &Tx, keys: &Keys, subject: &str) -> Result<(), tokio_postgres::Error> {
        tx.execute(
            sql!("delete from nexus.login_limits where kind = $1 and subject = $2"),
            &[&self.kind, &self.digest(keys, subject).as_slice()],
        )
        .await?;
        Ok(())
    }

    fn digest(self, keys: &Keys, subject: &str) -> [u8; 32] {
        keys.mac("limit", &[self.kind.as_bytes(), subject.as_bytes()])
    }
}

/// One mail to an address, then a pause: the same for addresses that nobody has.
///
/// # Errors
/// [`AuthRefusal::MailTooSoon`], or what the database answered.
pub async fn check_mail(
    tx: &Tx,
    keys: &Keys,
    email: &str,
    interval: Duration,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let limit = Limit {
        kind: "mails",
        drops: 1,
        every: interval,
    };
    match limit.take(tx, keys, email, now).await? {
        Ok(_) => Ok(()),
        Err(wait) => Err(AuthRefusal::MailTooSoon(wait.num_seconds().max(1)).into()),
    }
}

/// Removes some of what says nothing any more.
///
/// # Errors
/// What the database answered.
pub async fn sweep(tx: &Tx, now: DateTime<Utc>) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!(
            "delete from nexus.login_limits where (kind, subject) in (
               select kind, subject from nexus.login_limits where full_at <= $1 order by full_at limit $2
               for update skip locked)"
        ),
        &[&now, &SWEPT_MAX],
    )
    .await?;
    tx.execute(
        sql!(
            "delete from nexus.spent_proofs where digest in (
               select digest from nexus.spent_proofs where holds_to <= $1 order by holds_to limit $2
               for update skip locked)"
        ),
        &[&now, &SWEPT_MAX],
    )
    .await?;
    Ok(())
}

/// Whom an address stands for: of IPv6, where a household has 2^64 of them, the first half.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}
