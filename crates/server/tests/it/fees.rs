//! Fees: PostgreSQL's figures are those of the reference in core, by the schedule that holds, and no schedule is rewritten.

use chrono::{DateTime, Duration, TimeZone, Utc};
use mint_core::fees::{FeeSchedule, in_force};
use mint_core::money::{AMOUNT_MAX, Amount, AmountRefused};
use tokio_postgres::Client;

use crate::callers::{Caller, asked, done, is_refused};
use crate::world::{Server, World};

/// Names the random cases; another number is another set.
const SEED: u64 = 0x006e_6578_7573;

/// Splitmix64: the same numbers on every machine for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }

    /// Of every order of magnitude alike, so that small amounts and the largest are met as often.
    fn amount(&mut self) -> Amount {
        let units = self.next() >> (11 + self.next() % 53);
        Amount::try_from(i64::try_from(units).unwrap().min(AMOUNT_MAX)).unwrap()
    }

    fn schedule(&mut self) -> FeeSchedule {
        let small = |units: Amount| Amount::try_from(units.get() % 10_000_000).unwrap();
        let minimum = if self.coin() {
            Amount::ZERO
        } else {
            small(self.amount())
        };
        FeeSchedule {
            rate_ppm: match self.next() % 4 {
                0 => 0,
                1 => 1_000_000,
                _ => u32::try_from(self.next() % 1_000_001).unwrap(),
            },
            fixed: if self.coin() {
                Amount::ZERO
            } else {
                small(self.amount())
            },
            minimum,
            maximum: (self.coin()).then(|| minimum.plus(small(self.amount())).unwrap()),
        }
    }
}

async fn record(client: &Client, fee_type: &str, schedule: FeeSchedule, from: DateTime<Utc>) {
    client
        .execute(
            "insert into public.fee_schedules (fee_type, rate_ppm, fixed_minor, minimum_minor, maximum_minor, valid_from, created_at)
             values ($1, $2, $3, $4, $5, $6, $6)",
            &[
                &fee_type,
                &i32::try_from(schedule.rate_ppm).unwrap(),
                &schedule.fixed.get(),
                &schedule.minimum.get(),
                &schedule.maximum.map(Amount::get),
                &from,
            ],
        )
        .await
        .unwrap();
}

fn long_ago() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2001, 2, 3, 4, 5, 6).unwrap()
}

#[tokio::test]
async fn fees_are_those_of_the_reference() {
    let mut random = Random(SEED);
    let schedules: Vec<FeeSchedule> = (0..64).map(|_| random.schedule()).collect();
    let mut amounts: Vec<Amount> = (0..60).map(|_| random.amount()).collect();
    amounts.extend([Amount::ZERO, Amount::try_from(1).unwrap(), Amount::MAX]);
    println!(
        "seed {SEED:#x}: {} schedules, {} amounts",
        schedules.len(),
        amounts.len()
    );

    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let (mut types, mut units, mut expected, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, schedule) in schedules.iter().enumerate() {
            let fee_type = format!("random_{number}");
            record(&client, &fee_type, *schedule, long_ago()).await;
            for amount in &amounts {
                match schedule.fee_on(*amount) {
                    Ok(fee) => {
                        types.push(fee_type.clone());
                        units.push(amount.get());
                        expected.push(fee.get());
                    }
                    Err(AmountRefused::OutOfRange) => refused.push((fee_type.clone(), *amount)),
                    Err(other) => panic!("{other}"),
                }
            }
        }
        let wrong = client
            .query(
                "select format('%s of %s: %s and %s, not %s', c.fee_type, c.amount, f.internal, f.public, c.expected)
                 from unnest($1::text[], $2::bigint[], $3::bigint[]) as c (fee_type, amount, expected),
                   lateral (select nexus.fee_minor(c.amount, c.fee_type, 'USD', now()) as internal,
                     public.calculate_investment_fees(nexus.from_minor(c.amount, 2), c.fee_type) as public) as f
                 where f.internal is distinct from c.expected or f.public is distinct from nexus.from_minor(c.expected, 2)",
                &[&types, &units, &expected],
            )
            .await
            .unwrap();
        let wrong: Vec<String> = wrong.iter().map(|row| row.get(0)).collect();
        assert!(wrong.is_empty(), "seed {SEED:#x} on {server:?}:\n{}", wrong.join("\n"));
        assert!(expected.len() > 3_000, "most cases have a fee: {}", expected.len());

        assert!(!refused.is_empty(), "some fees of the largest amount are above it");
        for (fee_type, amount) in refused {
            let sql = format!("select nexus.fee_minor({}, '{fee_type}', 'USD', now())", amount.get());
            let answer = asked(&client, &Caller::operator(), &sql).await;
            assert!(
                is_refused(&answer, "22003"),
                "{fee_type} of {amount:?} is above the largest amount: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_schedule_that_holds_changes_at_its_own_instant() {
    let world = World::own_database().await;
    let client = world.admin().await;
    let flat = |units: i64| FeeSchedule {
        rate_ppm: 0,
        fixed: Amount::try_from(units).unwrap(),
        minimum: Amount::ZERO,
        maximum: None,
    };
    let dated: Vec<(DateTime<Utc>, FeeSchedule)> = (0..4)
        .map(|year| (long_ago() + Duration::days(365 * year), flat(100 + year)))
        .collect();
    // Recorded out of order: what counts is the date.
    for at in [2, 0, 3, 1] {
        record(&client, "dated", dated[at].1, dated[at].0).await;
    }
    record(&client, "elsewhere", flat(7), long_ago() - Duration::days(9_000)).await;
    for (from, _) in &dated {
        for nudge in [-1, 0, 1] {
            let at = *from + Duration::microseconds(nudge);
            let expected = in_force(&dated, at).map(|schedule| schedule.fixed.get());
            let fee = client
                .query_one("select nexus.fee_minor(1, 'dated', 'USD', $1)", &[&at])
                .await
                .ok()
                .map(|row| row.get::<_, i64>(0));
            assert_eq!(fee, expected, "{nudge} microseconds from {from}");
        }
    }
    let other_currency = asked(
        &client,
        &Caller::operator(),
        "select nexus.fee_minor(1, 'dated', 'USDC', now())",
    )
    .await;
    assert_eq!(
        other_currency.unwrap_err().split(" at ").next(),
        Some("22023 no fee schedule for \"dated\" in USDC"),
        "USDC is not USD"
    );
    let coming = "insert into public.fee_schedules (fee_type, rate_ppm, valid_from) values ('platform', 0, now() + interval '1 microsecond');
                  select public.calculate_investment_fees(100, 'platform')";
    assert_eq!(
        asked(&client, &Caller::engine(), coming).await.as_deref(),
        Ok("2.00"),
        "what is announced does not hold yet"
    );
}

#[tokio::test]
async fn an_amount_that_is_none_is_refused_and_says_why() {
    let world = World::shared().await;
    let client = world.admin().await;
    let person = world.person(&[]).await;
    let fee = |amount: &str, fee_type: &str| format!("select public.calculate_investment_fees({amount}, {fee_type})");
    for caller in [Caller::visitor(), Caller::of(&person), Caller::service()] {
        for amount in [
            "-0.01",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "0.001",
            "99.999",
            "90071992547409.92",
            "1e200",
            "1e20",
        ] {
            let answer = asked(&client, &caller, &fee(amount, "'platform'")).await;
            assert!(is_refused(&answer, "22023"), "{amount}: {answer:?}");
        }
        for (amount, expect) in [
            ("0", "0.00"),
            ("0.24", "0.00"),
            ("0.25", "0.01"),
            ("99.99", "2.00"),
            ("90071992547409.91", "1801439850948.20"),
            ("1.000", "0.02"),
        ] {
            let answer = asked(&client, &caller, &fee(amount, "'platform'")).await;
            assert_eq!(answer.as_deref(), Ok(expect), "2 % of {amount}, half a cent up");
        }
        for (amount, fee_type) in [("null", "'platform'"), ("1", "null")] {
            let answer = asked(&client, &caller, &fee(amount, fee_type)).await;
            assert_eq!(answer.as_deref(), Ok("null"), "nothing asked, nothing said");
        }
        let unknown = asked(&client, &caller, &fee("1", "'Platform'")).await.unwrap_err();
        assert!(
            unknown.starts_with("22023 no fee schedule for \"Platform\" in USD at ")
                && unknown.ends_with("(Fee types in force: platform, rent_manager, rent_platform.)"),
            "the types that exist are named: {unknown}"
        );
    }
    for amount in ["-1", "9007199254740992", "9223372036854775807", "null"] {
        let sql = format!("select nexus.fee_minor({amount}, 'platform', 'USD', now())");
        let answer = asked(&client, &Caller::engine(), &sql).await;
        assert!(is_refused(&answer, "22023"), "{amount}: {answer:?}");
    }
}

#[tokio::test]
async fn schedules_are_neither_rewritten_nor_backdated() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let content = "select string_agg(s::text, ',' order by s.id) from public.fee_schedules as s";
        let before = asked(&client, &Caller::operator(), content).await;
        for attempt in [
            "update public.fee_schedules set rate_ppm = 0",
            "update public.fee_schedules set note = 'same' where fee_type = 'platform'",
            "delete from public.fee_schedules",
            "truncate public.fee_schedules",
        ] {
            for caller in [Caller::operator(), Caller::engine(), Caller::service()] {
                let answer = done(&client, &caller, attempt).await;
                assert!(is_refused(&answer, "42501"), "{attempt} by {caller:?}: {answer:?}");
            }
        }
        assert_eq!(asked(&client, &Caller::operator(), content).await, before);

        let schedule = |rest: &str| format!("insert into public.fee_schedules (fee_type, rate_ppm, {rest}");
        for (what, rest, sqlstate) in [
            (
                "from the past",
                "valid_from) values ('platform', 0, now() - interval '1 microsecond')",
                "23514",
            ),
            (
                "recorded in the past",
                "valid_from, created_at) values ('platform', 0, '2020-01-01', '2020-01-01')",
                "42501",
            ),
            (
                "more than all",
                "valid_from) values ('platform', 1000001, now())",
                "23514",
            ),
            (
                "a maximum below the minimum",
                "valid_from, minimum_minor, maximum_minor) values ('platform', 1, now(), 2, 1)",
                "23514",
            ),
            (
                "decimals that are not the currency's",
                "valid_from, currency, currency_decimals) values ('platform', 1, now(), 'JPY', 2)",
                "23503",
            ),
        ] {
            let answer = done(&client, &Caller::engine(), &schedule(rest)).await;
            assert!(is_refused(&answer, sqlstate), "{what}: {answer:?}");
        }
        let twice = format!("{0}; {0}", schedule("valid_from) values ('platform', 0, now())"));
        let answer = done(&client, &Caller::engine(), &twice).await;
        assert!(is_refused(&answer, "23505"), "two for one instant: {answer:?}");
        let now = schedule("valid_from) values ('platform', 30000, now())");
        done(&client, &Caller::engine(), &now).await.unwrap();
        let fee = asked(
            &client,
            &Caller::visitor(),
            "select public.calculate_investment_fees(100, 'platform')",
        )
        .await;
        assert_eq!(
            fee.as_deref(),
            Ok("3.00"),
            "a new row replaces the old one from its instant on"
        );
    }
}
