//! Which filters an index serves under row-level security: those whose operator cannot tell what it saw.

use super::*;

/// What of the plan a filter costs when the rows are read as a visitor.
async fn plan(client: &tokio_postgres::Client, from: &str, filter: &str) -> String {
    let rows = client
        .query(&format!("explain select id from public.{from} where {filter}"), &[])
        .await
        .unwrap();
    rows.iter()
        .map(|row| row.get::<_, String>(0))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn an_index_serves_only_what_tells_nothing() {
    let world = World::own_database().await;
    let admin = world.admin().await;
    admin
        .batch_execute(
            "create table public.lots (id int primary key, is_public boolean not null, price numeric not null, cents bigint not null,
               name text collate \"C\" not null, tags text[] not null);
             insert into public.lots select n, n % 2 = 0, n, n, 'lot ' || n, array['t' || n] from generate_series(1, 20000) n;
             create index lots_price on public.lots (price);
             create index lots_cents on public.lots (cents);
             create index lots_name on public.lots (name);
             create index lots_tags on public.lots using gin (tags);
             alter table public.lots enable row level security;
             create policy lots_read on public.lots for select to anon using (is_public);
             create view public.public_lots as select id, price, cents, name, tags from public.lots where is_public;
             grant select on public.lots, public.public_lots to anon;
             analyze public.lots;
             set role anon",
        )
        .await
        .unwrap();
    for (filter, index, is_served) in [
        ("cents < 100", "lots_cents", true),
        ("name = 'lot 7'", "lots_name", true),
        ("price < 100", "lots_price", false),
        ("price = 100", "lots_price", false),
        ("name like 'lot 77%'", "lots_name", false),
        ("tags @> '{t7}'", "lots_tags", false),
    ] {
        let under_policy = plan(&admin, "lots", filter).await;
        assert_eq!(under_policy.contains(index), is_served, "{filter}\n{under_policy}");
        let by_view = plan(&admin, "public_lots", filter).await;
        assert!(
            by_view.contains(index),
            "the view is read as its owner: {filter}\n{by_view}"
        );
    }
}
