//! Figures: sums folded from changes are what the base tables say after any history, and what a property earned is derived from
//! approved periods and valuations by the documented formulas.

use chrono::{Months, NaiveDate, TimeDelta};
use nexus_mint::analytics;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::callers::as_text;
use crate::laws;
use crate::sales::Sale;
use crate::shop::{Plan, Shop, WINDOW, id_of};
use crate::site::{Signed, Site};
use crate::world::{Person, World};

async fn text(client: &Client, sql: &str) -> String {
    as_text(&client.simple_query(sql).await.unwrap())
}

async fn fold(client: &Client, most: i32) -> i32 {
    let sql = "select nexus.fold_figures($1, now())";
    client.query_one(sql, &[&most]).await.unwrap().get(0)
}

async fn fold_all(client: &Client) {
    while fold(client, 1_000).await > 0 {}
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(crate) fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        let limit = u64::try_from(choice.len()).unwrap();
        choice[usize::try_from(self.below(limit)).unwrap()]
    }
}

/// Nothing waits, and every figure is computed from the base tables again: the two views, totals and worths.
const FROM_BASE: &str = "
    select 'waits', count(*)::text, '', '', '' from nexus.figure_changes having count(*) > 0
    union all
    select 'views', p.id::text, concat_ws(' ', o.total_investors, o.total_invested, o.funding_percentage, m.avg_investor_price), '',
           concat_ws(' ', b.investors, b.invested, round(100 * b.invested / nullif(p.funding_target, 0), 4), b.average)
    from public.properties as p
    cross join lateral (
      select count(distinct i.party_id) as investors, coalesce(sum(i.total_amount), 0) as invested,
             case when count(distinct i.party_id) >= 3 then round(sum(i.total_amount) / sum(i.token_amount), 6) end as average
      from public.investments as i where i.property_id = p.id and i.status in ('paid', 'confirmed')) as b
    left join public.investment_opportunities_mv as o on o.property_id = p.id
    left join public.property_market_insights_mv as m on m.property_id = p.id
    where (o.property_id is not null) <> p.is_active
       or (p.is_active and (o.title, o.total_investors, o.total_invested, m.avg_investor_price) is distinct from (p.title, b.investors, b.invested, b.average))
    union all
    select 'worth', i.id::text, i.status, i.current_value::text, w.worth::text
    from public.investments as i join public.property_tokens as t on t.id = i.property_token_id
    cross join lateral (select case i.status when 'paid' then i.token_amount_units
                                             when 'confirmed' then (select sum(l.units) filter (where l.party_id = i.party_id)
                                                                    from public.lots as l where l.investment_id = i.id) end * t.current_price_minor
                               as worth) as w
    where i.current_value_minor is distinct from w.worth or (i.current_value_minor is null) <> (i.current_value_as_of is null)";

/// One change that could happen, by whatever row the dice name.
async fn happen(client: &Client, dice: &mut Dice, sales: &[Sale], people: &[Person]) {
    let (sale, person) = (dice.of(sales), &people[usize::try_from(dice.below(5)).unwrap()]);
    let some = "(select id from public.investments where status = any ($2) order by md5(id::text || $1) limit $3)";
    let salt = dice.below(1_000_000).to_string();
    let most = i64::try_from(1 + dice.below(4)).unwrap();
    let change = |sql: String, from: &'static [&'static str]| {
        let salt = salt.clone();
        async move { client.execute(&sql, &[&salt, &from, &most]).await.unwrap() }
    };
    match dice.below(12) {
        0..=2 => {
            let (tokens, price) = (1 + dice.below(9), 500 + dice.below(3) * 250);
            let status = dice.of(&["pending", "pending", "pending", "paid", "confirmed"]);
            let (tokens, price) = (i64::try_from(tokens).unwrap(), i64::try_from(price).unwrap());
            sale.bought(client, person, tokens, price, status).await;
        }
        3 | 4 => {
            let sql = format!("update public.investments set status = 'paid', paid_at = now() where id in {some}");
            change(sql, &["pending"]).await;
        }
        5 => {
            let sql = format!(
                "with closed as (update public.investments set status = 'confirmed', confirmed_at = now() where id in {some} returning *)
                 insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, units, cost_minor, acquired_at, tax_acquired_at)
                 select party_id, user_id, property_id, property_token_id, id, token_amount_units, total_amount_minor, now(), now() from closed"
            );
            change(sql, &["paid"]).await;
        }
        6 => {
            let sql = format!("update public.investments set status = 'refund_due' where id in {some}");
            change(sql, &["paid"]).await;
        }
        7 => {
            let sql = format!("update public.investments set status = 'cancelled' where id in {some}");
            change(sql, &["pending"]).await;
        }
        8 => {
            let status = dice.of(&["declared", "paid"]);
            let sql = "insert into public.property_returns (property_id, investment_id, user_id, return_type, amount_minor, return_date, status)
                       select property_id, id, user_id, 'distribution', 1 + token_amount_units * 7, now(), $1 from public.investments order by random() limit 3";
            client.execute(sql, &[&status]).await.unwrap();
            let sql =
                "update public.property_returns set status = case status when 'paid' then 'failed' else 'paid' end
                       where id in (select id from public.property_returns order by random() limit 2)";
            client.execute(sql, &[]).await.unwrap();
        }
        9 => {
            let sql = "with moved as (update public.lots set units = units - 1 where id in
                         (select id from public.lots where units > 0 order by random() limit 2) returning *)
                       insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, parent_lot_id, units, cost_minor,
                         acquired_at, tax_acquired_at)
                       select p.party_id, p.id, m.property_id, m.property_token_id, m.investment_id, m.id, 1, 0, now(), now()
                       from moved as m, public.user_profiles as p where p.id = $1";
            client.execute(sql, &[&person.id]).await.unwrap();
        }
        10 => {
            let sql = "update public.property_tokens set current_price_minor = current_price_minor + 1 where id = $1";
            client.execute(sql, &[&sale.token]).await.unwrap();
        }
        _ => {
            let sql = "update public.properties set title = title || '.', is_active = (random() < 0.7) where id = $1";
            client.execute(sql, &[&sale.property]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn after_any_history_the_sums_are_what_the_base_tables_say() {
    for seed in 1..=4 {
        let world = World::own_database().await;
        let (client, other) = (world.admin().await, world.admin().await);
        let mut people = Vec::new();
        for _ in 0..5 {
            people.push(world.person(&[]).await);
        }
        let sales = [
            Sale::open(&client).await,
            Sale::open(&client).await,
            Sale::open(&client).await,
        ];
        let mut dice = Dice(seed);
        for step in 0..150 {
            happen(&client, &mut dice, &sales, &people).await;
            match dice.below(8) {
                // A folder that dies leaves everything as it was.
                0 => {
                    other.batch_execute("begin").await.unwrap();
                    fold(&other, 1_000).await;
                    other.batch_execute("rollback").await.unwrap();
                }
                1 | 2 => {
                    let most = i32::try_from(1 + dice.below(9)).unwrap();
                    fold(&client, most).await;
                }
                // A change of a transaction that fails never was.
                3 => {
                    client.batch_execute("begin").await.unwrap();
                    happen(&client, &mut dice, &sales, &people).await;
                    client.batch_execute("rollback").await.unwrap();
                }
                _ => {}
            }
            if step % 10 == 0 {
                assert_eq!(figures_broken(&client).await, [""; 0], "step {step} of history {seed}");
            }
        }
        fold_all(&client).await;
        client
            .batch_execute("select public.refresh_analytics_views()")
            .await
            .unwrap();
        assert_eq!(text(&client, FROM_BASE).await, "", "history {seed}");
        assert_eq!(figures_broken(&client).await, [""; 0], "history {seed}");
        let before = text(&client, SUMS).await;
        assert!(before.contains("USD"), "the history left something to sum: {before}");
        client
            .batch_execute("select nexus.rebuild_figures(now())")
            .await
            .unwrap();
        fold_all(&client).await;
        assert_eq!(text(&client, SUMS).await, before, "computed again, they are the same");
    }
}

const SUMS: &str = "
    select 'p', property_id::text, currency, investors::text, principal_minor::text, tokens::text from nexus.property_figures where investors > 0
    union all select 'i', property_id::text, currency, party_id::text, principal_minor::text, tokens::text from nexus.investor_figures where investments > 0
    union all select 'u', id::text, '', '', total_invested::numeric(20, 2)::text, total_returns::numeric(20, 2)::text from public.user_profiles
    union all select 'w', id::text, '', '', current_value::text, '' from public.investments order by 1, 2, 3, 4";

async fn figures_broken(client: &Client) -> Vec<String> {
    let broken = laws::broken(client).await;
    broken.into_iter().filter(|law| law.starts_with("figures")).collect()
}

#[tokio::test]
async fn what_changes_no_figure_leaves_no_change() {
    let world = World::own_database().await;
    let client = world.admin().await;
    let sale = Sale::open(&client).await;
    let buyer = world.person(&[]).await;
    fold_all(&client).await;
    let waiting = "select kind, count(*) from nexus.figure_changes group by kind order by kind";
    let id = sale.bought(&client, &buyer, 3, 1_000, "pending").await;
    assert_eq!(text(&client, waiting).await, "", "a reservation costs no change");
    let update = async |set: &str| {
        let sql = format!("update public.investments set {set} where id = '{id}'");
        client.execute(&sql, &[]).await.unwrap();
        text(&client, waiting).await
    };
    assert_eq!(update("status = 'paid', paid_at = now()").await, "invested|1");
    assert_eq!(
        update("withdraw_until = now()").await,
        "invested|1",
        "nothing of it is a figure"
    );
    assert_eq!(
        update("status = 'confirmed', confirmed_at = now()").await,
        "invested|1",
        "it counted before"
    );
    let sql = "update public.properties set description = 'New' where id = $1";
    client.execute(sql, &[&sale.property]).await.unwrap();
    assert_eq!(
        text(&client, waiting).await,
        "invested|1",
        "no view shows a description"
    );
    fold_all(&client).await;
    let trail = "select count(*) from public.audit_log where operation = 'UPDATE'
                   and changed_columns && '{current_value_minor,current_value,total_invested,totals_as_of}'";
    assert_eq!(
        text(&client, trail).await,
        "0",
        "what is derived from the trail's rows is not in it"
    );
    let sql = "select total_invested, totals_as_of is not null from public.user_profiles where total_invested > 0";
    assert_eq!(text(&client, sql).await, "30.00|t");
}

#[tokio::test]
async fn folders_take_turns_and_leave_what_a_command_holds() {
    let world = World::own_database().await;
    let (client, second, command) = (world.admin().await, world.admin().await, world.admin().await);
    let sale = Sale::open(&client).await;
    let buyer = world.person(&[]).await;
    let id = sale.bought(&client, &buyer, 3, 1_000, "paid").await;
    client.batch_execute("begin").await.unwrap();
    assert_eq!(fold(&client, 1_000).await, 2, "the listing and the purchase");
    assert_eq!(
        fold(&second, 1_000).await,
        0,
        "one at a time, and the other does not wait"
    );
    client.batch_execute("rollback").await.unwrap();

    command
        .batch_execute(&format!(
            "begin; select from public.investments where id = '{id}' for no key update;
             select from public.user_profiles where id = '{}' for no key update",
            buyer.id
        ))
        .await
        .unwrap();
    assert_eq!(fold(&second, 1_000).await, 2);
    let waiting = "select kind, principal_minor from nexus.figure_changes order by kind";
    assert_eq!(
        text(&client, waiting).await,
        "holding|0\nperson|3000",
        "what it holds is done later"
    );
    let funded = "select investors, principal_minor from nexus.property_figures";
    assert_eq!(text(&client, funded).await, "1|3000", "and the rest is done");
    assert_eq!(figures_broken(&client).await, [""; 0]);
    command.batch_execute("commit").await.unwrap();
    fold_all(&client).await;
    let told = format!(
        "select i.current_value, u.total_invested from public.investments as i join public.user_profiles as u on u.id = i.user_id where i.id = '{id}'"
    );
    assert_eq!(text(&client, &told).await, "30.00|30.00");
}

#[tokio::test]
async fn views_are_refreshed_when_something_that_they_show_has_changed() {
    let site = Site::over(World::own_database().await);
    let client = site.world.admin().await;
    let sale = Sale::open(&client).await;
    let buyer = site.world.person(&[]).await;
    let refreshed = "select refreshed_at, is_stale from nexus.market_views";
    let refresh = "select public.refresh_analytics_views()";
    client.batch_execute(refresh).await.unwrap();
    let first = text(&client, refreshed).await;
    client.batch_execute(refresh).await.unwrap();
    assert_eq!(text(&client, refreshed).await, first, "nothing changed, nothing done");
    let mut last = first;
    let purchase = sale.bought(&client, &buyer, 3, 1_000, "pending").await;
    for (sql, shows) in [
        (
            format!(
                "update public.properties set description = 'New' where id = '{}'",
                sale.property
            ),
            false,
        ),
        (
            format!(
                "update public.properties set title = 'New' where id = '{}'",
                sale.property
            ),
            true,
        ),
        (
            format!("update public.investments set status = 'paid', paid_at = now() where id = '{purchase}'"),
            true,
        ),
        (
            format!("update public.investments set status = 'confirmed', confirmed_at = now() where id = '{purchase}'"),
            false,
        ),
        (
            "insert into public.properties (title, is_active) values ('Hidden', false)".to_owned(),
            false,
        ),
        (
            "insert into public.properties (title, is_active) values ('Shown', true)".to_owned(),
            true,
        ),
    ] {
        client.batch_execute(&sql).await.unwrap();
        client.batch_execute(refresh).await.unwrap();
        let now = text(&client, refreshed).await;
        assert_eq!(now != last, shows, "{sql}");
        last = now;
    }
    assert!(!text(&client, FROM_BASE).await.contains("views"), "and they show it");

    // The worker's turn: at most once a minute, and only then.
    client
        .batch_execute("update public.properties set title = 'Newer'; update nexus.market_views set refreshed_at = now() - interval '2 minutes'")
        .await
        .unwrap();
    assert!(!analytics::refresh_if_stale(&site.app).await.unwrap(), "not folded yet");
    assert_eq!(analytics::fold(&site.app).await.unwrap().0, 3);
    assert!(analytics::refresh_if_stale(&site.app).await.unwrap());
    client
        .batch_execute("update public.properties set title = 'Newest'")
        .await
        .unwrap();
    analytics::fold(&site.app).await.unwrap();
    assert!(
        !analytics::refresh_if_stale(&site.app).await.unwrap(),
        "a minute has not passed"
    );
}

/// A shop of which these buyers hold so many tokens, a year later.
async fn a_year_after_the_sale(tokens: &[i64]) -> (Shop, Vec<Signed>) {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let mut buyers = Vec::new();
    for &units in tokens {
        let buyer = shop.buyer().await;
        shop.buy(&buyer, units).await;
        buyers.push(buyer);
    }
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    shop.site.advance(TimeDelta::days(400));
    (shop, buyers)
}

/// The golden month, recorded and approved.
async fn golden_month(shop: &Shop, first: NaiveDate, let_days: Option<i64>) {
    let last = first.checked_add_months(Months::new(1)).unwrap().pred_opt().unwrap();
    let body = json!({
        "propertyId": shop.property_id, "periodFrom": first, "periodTo": last, "letDays": let_days,
        "lines": [{ "accountRef": "operating", "bankReference": first, "kind": "rent", "amount": "1555.00", "bookedOn": last, "paidFor": "rent" }],
        "accrued": { "taxes": "130", "insurance": "55", "maintenance": "155" },
    });
    let recorded = shop.site.done(&shop.manager, "record-performance", body).await;
    let body = json!({ "periodId": id_of(&recorded["period"]), "decision": "approved" });
    shop.site.done(&shop.officer, "approve-performance", body).await;
}

async fn valued(shop: &Shop, on: &str, amount_minor: i64) {
    let sql = "insert into public.property_valuations (property_id, valued_on, amount_minor, basis, source, reference)
               values ($1, $2::text::date, $3, 'appraisal', 'an appraiser', $4)";
    let client = shop.site.world.admin().await;
    let reference = Uuid::now_v7().to_string();
    client
        .execute(sql, &[&shop.property_id, &on, &amount_minor, &reference])
        .await
        .unwrap();
}

const ROWS: &str = "
    select report_date, rental_income, net_operating_income, occupancy_rate, market_value, rental_yield, cap_rate, appreciation_rate, token_yield,
           total_invested, number_of_investors, funding_percentage, average_investment_size
    from public.property_analytics order by report_date";

#[tokio::test]
async fn a_year_of_golden_months_has_the_golden_yield() {
    let (shop, buyers) = a_year_after_the_sale(&[10, 20, 7]).await;
    let client = shop.site.world.admin().await;
    let april = NaiveDate::from_ymd_opt(2030, 4, 1).unwrap();
    client
        .execute(
            "update public.properties set funding_target = 5000 where id = $1",
            &[&shop.property_id],
        )
        .await
        .unwrap();
    for month in 0..11 {
        golden_month(&shop, april.checked_add_months(Months::new(month)).unwrap(), Some(28)).await;
    }
    analytics::fold(&shop.site.app).await.unwrap();
    let rows = text(&client, ROWS).await;
    assert_eq!(rows.lines().count(), 11);
    assert_eq!(
        rows.lines().last().unwrap(),
        "2031-02-28|null|null|null|null|null|null|null|null|1850.00|3|37.000000000000|616.67",
        "eleven months are no year, nobody said what it is worth, and three parties have an average"
    );

    valued(&shop, "2031-03-01", 9_914_150).await;
    golden_month(&shop, april.checked_add_months(Months::new(11)).unwrap(), Some(29)).await;
    let performance = "select valuation, net_operating_income, occupancy_rate, roi_percentage from public.property_performance order by report_date desc limit 1";
    assert_eq!(
        text(&client, performance).await,
        "99141.50|1059.50|93.548387096774|1.068674571194",
        "a period says what is known of it"
    );
    analytics::fold(&shop.site.app).await.unwrap();
    let rows = text(&client, ROWS).await;
    assert_eq!(
        rows.lines().last().unwrap(),
        "2031-03-31|18660.00|12714.00|92.328767123288|99141.50|18.821583292567|12.824094854324|null|25.428000000000|1850.00|3|37.000000000000|616.67",
        "the golden vector"
    );
    assert_eq!(
        analytics::fold(&shop.site.app).await.unwrap(),
        (0, 0),
        "nothing is left to do"
    );

    // Somebody finds the appraisal of the year before; what was invested on earlier days stays as it was.
    valued(&shop, "2030-02-01", 9_000_000).await;
    client
        .execute(
            "update public.properties set funding_target = 10000 where id = $1",
            &[&shop.property_id],
        )
        .await
        .unwrap();
    analytics::fold(&shop.site.app).await.unwrap();
    let rows = text(&client, ROWS).await;
    let lines: Vec<&str> = rows.lines().collect();
    assert_eq!(
        lines[11],
        "2031-03-31|18660.00|12714.00|92.328767123288|99141.50|18.821583292567|12.824094854324|10.157222222222|25.428000000000|1850.00|3|18.500000000000|616.67"
    );
    assert_eq!(
        lines[10],
        "2031-02-28|null|null|null|90000.00|null|null|null|null|1850.00|3|37.000000000000|616.67"
    );

    let all = "select to_jsonb(a) from public.property_analytics as a order by report_date";
    let before = text(&client, all).await;
    client
        .batch_execute("select nexus.rebuild_figures(now())")
        .await
        .unwrap();
    assert_eq!(analytics::fold(&shop.site.app).await.unwrap().1, 1);
    assert_eq!(text(&client, all).await, before, "computed again, nothing is written");

    let body = json!({ "propertyId": shop.property_id });
    let answer = shop.site.done(&shop.manager, "declare-distribution", body).await;
    let body = json!({ "distributionId": id_of(&answer["distribution"]) });
    shop.site
        .done(&shop.officer, "approve-distribution", body.clone())
        .await;
    shop.site.done(&shop.admin, "pay-distribution", body).await;
    shop.settle_down().await;
    let totals = format!(
        "select u.total_invested, u.total_returns = (select sum(r.amount) from public.property_returns as r where r.user_id = u.id), u.total_returns > 3000,
                (select i.current_value from public.investments as i where i.user_id = u.id)
         from public.user_profiles as u where u.id = '{}'",
        buyers[0].id
    );
    assert_eq!(text(&client, &totals).await, "500.00|t|t|500.00");
}

#[tokio::test]
async fn what_nobody_said_is_null() {
    let (shop, _) = a_year_after_the_sale(&[10]).await;
    let client = shop.site.world.admin().await;
    let sql = "update public.properties set funding_target = null where id = $1";
    client.execute(sql, &[&shop.property_id]).await.unwrap();
    let april = NaiveDate::from_ymd_opt(2030, 4, 1).unwrap();
    for month in 0..12 {
        golden_month(
            &shop,
            april.checked_add_months(Months::new(month)).unwrap(),
            (month != 5).then_some(28),
        )
        .await;
    }
    analytics::fold(&shop.site.app).await.unwrap();
    let rows = text(&client, ROWS).await;
    assert_eq!(
        rows.lines().last().unwrap(),
        "2031-03-31|18660.00|12714.00|null|null|null|null|null|25.428000000000|500.00|1|null|null",
        "rent and net are known; occupancy of one month, worth and target are not, and one party has no average"
    );
    let unsaid = "select count(*) from public.property_performance where occupancy_rate is null and market_performance is null and roi_percentage is null";
    assert_eq!(text(&client, unsaid).await, "1");
    let body = json!({ "propertyId": shop.property_id, "periodFrom": "2031-04-01", "periodTo": "2031-04-02", "letDays": 3,
                        "lines": [{ "accountRef": "a", "bankReference": "b", "kind": "rent", "amount": "1", "bookedOn": "2031-04-01", "paidFor": "rent" }] });
    let (status, answer) = shop.site.call(&shop.manager, "record-performance", body).await;
    assert_eq!(
        (status.as_u16(), answer["detail"].to_string().contains("letDays")),
        (400, true),
        "{answer}"
    );
}
