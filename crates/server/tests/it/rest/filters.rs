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
            "create table public.wares (id int primary key, is_public boolean not null, price numeric not null, cents bigint not null,
               name text collate \"C\" not null, tags text[] not null);
             insert into public.wares select n, n % 2 = 0, n, n, 'lot ' || n, array['t' || n] from generate_series(1, 20000) n;
             create index wares_price on public.wares (price);
             create index wares_cents on public.wares (cents);
             create index wares_name on public.wares (name);
             create index wares_tags on public.wares using gin (tags);
             alter table public.wares enable row level security;
             create policy wares_read on public.wares for select to anon using (is_public);
             create view public.public_wares as select id, price, cents, name, tags from public.wares where is_public;
             grant select on public.wares, public.public_wares to anon;
             analyze public.wares;
             set role anon",
        )
        .await
        .unwrap();
    for (filter, index, is_served) in [
        ("cents < 100", "wares_cents", true),
        ("name = 'lot 7'", "wares_name", true),
        ("price < 100", "wares_price", false),
        ("price = 100", "wares_price", false),
        ("name like 'lot 77%'", "wares_name", false),
        ("tags @> '{t7}'", "wares_tags", false),
    ] {
        let under_policy = plan(&admin, "wares", filter).await;
        assert_eq!(under_policy.contains(index), is_served, "{filter}\n{under_policy}");
        let by_view = plan(&admin, "public_wares", filter).await;
        assert!(
            by_view.contains(index),
            "the view is read as its owner: {filter}\n{by_view}"
        );
    }
}
