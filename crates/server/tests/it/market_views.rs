//! The two public materialized views: right figures, nothing about a single person, and no property that was delisted.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::callers::{Caller, as_text, asked, done, is_refused};
use crate::sales::Sale;
use crate::world::{Person, Server, World};

const REFRESH: &str = "select public.refresh_analytics_views()";

/// `total_investors | total_invested | funding` of one view and `funding | average` of the other, as a visitor sees them.
async fn figures_of(client: &Client, property: Uuid) -> String {
    let sql = format!(
        "select o.total_investors, o.total_invested, o.funding_percentage, m.funding_percentage, m.avg_investor_price
         from public.investment_opportunities_mv as o join public.property_market_insights_mv as m using (property_id)
         where o.property_id = '{property}'"
    );
    asked(client, &Caller::visitor(), &sql).await.unwrap()
}

/// In which of the two views a property is.
async fn is_listed(client: &Client, property: Uuid) -> String {
    let sql = format!(
        "select (select count(*) from public.investment_opportunities_mv where property_id = '{property}'),
                (select count(*) from public.property_market_insights_mv where property_id = '{property}')"
    );
    as_text(&client.simple_query(&sql).await.unwrap())
}

async fn refresh(client: &Client) {
    done(client, &Caller::service(), REFRESH).await.unwrap();
}

/// Lets two logins be one party, as the two of one company are.
async fn same_party(client: &Client, first: &Person, second: &Person) {
    client
        .execute(
            "update public.user_profiles set party_id = (select party_id from public.user_profiles where id = $1) where id = $2",
            &[&first.id, &second.id],
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn figures_count_parties_and_money_that_is_there() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let client = world.admin().await;
        let people = [
            world.person(&[]).await,
            world.person(&[]).await,
            world.person(&[]).await,
            world.person(&[]).await,
        ];

        let untouched = Sale::open(&client).await;
        client
            .execute(
                "update public.properties set funding_target = 0, total_tokens = 0 where id = $1",
                &[&untouched.property],
            )
            .await
            .unwrap();
        let unplanned = Sale::open(&client).await;
        client
            .execute(
                "update public.properties set funding_target = null where id = $1",
                &[&unplanned.property],
            )
            .await
            .unwrap();

        let one_party = Sale::open(&client).await;
        same_party(&client, &people[0], &people[3]).await;
        for buyer in [&people[0], &people[0], &people[3]] {
            one_party.bought(&client, buyer, 10, 1000, "paid").await;
        }

        let void = Sale::open(&client).await;
        for status in ["pending", "expired", "cancelled", "refund_due", "refunded"] {
            void.bought(&client, &people[1], 10, 1000, status).await;
        }

        let two = Sale::open(&client).await;
        let three = Sale::open(&client).await;
        for (buyer, tokens, price) in [(&people[0], 1, 1000), (&people[1], 2, 2000)] {
            two.bought(&client, buyer, tokens, price, "confirmed").await;
            three.bought(&client, buyer, tokens, price, "confirmed").await;
        }
        three.bought(&client, &people[2], 3, 1500, "paid").await;
        // The same party again by another login: still three parties.
        three.bought(&client, &people[3], 1, 1000, "paid").await;
        three.bought(&client, &people[2], 900, 100_000, "cancelled").await;
        client
            .execute(
                "update public.properties set tokens_issued = 3 where id = $1",
                &[&three.property],
            )
            .await
            .unwrap();

        refresh(&client).await;
        for (sale, expect, why) in [
            (
                untouched,
                "0|0|null|null|null",
                "without a target or tokens there is no percentage, and no division by zero",
            ),
            (unplanned, "0|0|null|0.0000|null", "no target, no percentage of it"),
            (
                one_party,
                "1|300.00|3.0000|0.0000|null",
                "two logins and three purchases of one party are one investor",
            ),
            (
                void,
                "0|0|0.0000|0.0000|null",
                "money that is not there is not invested",
            ),
            (
                two,
                "2|50.00|0.5000|0.0000|null",
                "an average of two would tell each the other's price",
            ),
            (
                three,
                "3|105.00|1.0500|0.3000|15.000000",
                "three parties have an average, weighted by tokens",
            ),
        ] {
            assert_eq!(figures_of(&client, sale.property).await, expect, "{why} ({server:?})");
        }
    }
}

#[tokio::test]
async fn a_delisted_property_is_gone_with_the_transaction_that_delists_it() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let (client, reader) = (world.admin().await, world.admin().await);
        let (sale, neighbour) = (Sale::open(&client).await, Sale::open(&client).await);
        assert_eq!(
            is_listed(&client, sale.property).await,
            "0|0",
            "a listing shows with the next refresh"
        );
        refresh(&client).await;
        assert_eq!(is_listed(&client, sale.property).await, "1|1");

        for (delist, caller) in [
            (
                "update public.properties set is_active = false where id = '$1'",
                "nexus_engine",
            ),
            (
                "update public.properties set is_active = false where id = '$1'",
                "nexus_engine",
            ),
            (
                "with moved as (update public.properties set is_active = false, title = 'x' where id = '$1' returning 1) select * from moved",
                "nexus_engine",
            ),
            (
                "delete from public.property_tokens where property_id = '$1'; delete from public.properties where id = '$1'",
                "none",
            ),
        ] {
            client
                .batch_execute(&format!(
                    "begin; set local role {caller}; {}",
                    delist.replace("$1", &sale.property.to_string())
                ))
                .await
                .unwrap();
            assert_eq!(
                is_listed(&client, sale.property).await,
                "0|0",
                "gone within the transaction: {delist}"
            );
            assert_eq!(
                is_listed(&reader, sale.property).await,
                "1|1",
                "for others it is there until the commit"
            );
            client.batch_execute("rollback").await.unwrap();
            assert_eq!(
                is_listed(&client, sale.property).await,
                "1|1",
                "a delisting that failed delists nothing: {delist}"
            );
        }

        client
            .execute(
                "update public.properties set title = 'Renamed' where id = $1",
                &[&sale.property],
            )
            .await
            .unwrap();
        let title = format!(
            "select title from public.investment_opportunities_mv where property_id = '{}'",
            sale.property
        );
        assert_eq!(
            asked(&client, &Caller::visitor(), &title).await.as_deref(),
            Ok("Villa"),
            "an ordinary change waits for the next refresh: a refresh costs"
        );

        client
            .execute(
                "update public.properties set is_active = false where id = $1",
                &[&sale.property],
            )
            .await
            .unwrap();
        assert_eq!(
            is_listed(&reader, sale.property).await,
            "0|0",
            "committed, and gone for everybody"
        );
        assert_eq!(
            is_listed(&reader, neighbour.property).await,
            "1|1",
            "and nothing else is"
        );
    }
}

#[tokio::test]
async fn a_refresh_is_for_admins_and_the_service() {
    let world = World::own_database().await;
    let client = world.admin().await;
    let admin = world.person(&["admin"]).await;
    let former = world.person(&["admin"]).await;
    client
        .execute(
            "update public.user_role_assignments set is_active = false where user_id = $1",
            &[&former.id],
        )
        .await
        .unwrap();
    let investor = world.person(&[]).await;
    let manager = world.person(&["property_manager"]).await;
    let officer = world.person(&["compliance_officer"]).await;
    for (who, caller, is_allowed) in [
        ("admin", Caller::of(&admin), true),
        ("service", Caller::service(), true),
        ("command", Caller::engine(), true),
        ("former admin", Caller::of(&former), false),
        ("property manager", Caller::of(&manager), false),
        ("compliance officer", Caller::of(&officer), false),
        ("investor", Caller::of(&investor), false),
        ("visitor", Caller::visitor(), false),
    ] {
        let answer = asked(&client, &caller, REFRESH).await;
        assert_eq!(answer.is_ok(), is_allowed, "{who}: {answer:?}");
        assert!(
            is_allowed || is_refused(&answer, "42501"),
            "{who} is refused for who he is: {answer:?}"
        );
        let around = asked(&client, &caller, "select nexus.refresh_market_views()").await;
        assert!(is_refused(&around, "42501"), "{who} finds no way round: {around:?}");
    }
}

#[tokio::test]
async fn refreshes_take_turns_and_readers_do_not_wait() {
    for server in Server::all() {
        let world = World::own_database_on(server).await;
        let (first, second, reader) = (world.admin().await, world.admin().await, world.admin().await);
        let sale = Sale::open(&first).await;
        refresh(&first).await;
        let buyer = world.person(&[]).await;
        sale.bought(&first, &buyer, 10, 1000, "paid").await;

        first
            .batch_execute(&format!("begin; set local role service_role; {REFRESH}"))
            .await
            .unwrap();
        let waiting = tokio::spawn(async move {
            let answer = done(&second, &Caller::service(), REFRESH).await;
            answer.map(|_| ())
        });
        wait_for_a_waiter(&reader).await;
        reader.batch_execute("set lock_timeout = '1ms'").await.unwrap();
        assert_eq!(
            figures_of(&reader, sale.property).await,
            "0|0|0.0000|0.0000|null",
            "a reader has the old figures at once while one refreshes and another waits"
        );
        reader.batch_execute("set lock_timeout = 0").await.unwrap();
        first.batch_execute("commit").await.unwrap();
        assert_eq!(
            waiting.await.unwrap(),
            Ok(()),
            "who waited refreshes as well, and does not fail"
        );
        assert_eq!(figures_of(&reader, sale.property).await, "1|100.00|1.0000|0.0000|null");
    }
}

/// Until somebody in this database waits for a lock. Asks again and again; the server ends it if nobody ever does.
async fn wait_for_a_waiter(client: &Client) {
    client
        .batch_execute(
            "set statement_timeout = '30s';
             do $$ begin
               while not exists (select from pg_locks as l join pg_database as d on d.oid = l.database
                                 where not l.granted and d.datname = current_database()) loop
                 perform pg_stat_clear_snapshot();
               end loop;
             end $$;
             reset statement_timeout",
        )
        .await
        .unwrap();
}
