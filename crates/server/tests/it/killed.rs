//! A distribution whose server is killed with -9 again and again: while holders are credited, while the rail is asked, while
//! it answers. Nothing is half done, nobody is paid twice, and in the end everybody is paid.

use std::io::{Read as _, Write as _};

use chrono::Utc;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::laws;
use crate::program::{PATIENCE, Program};
use crate::seed::until;
use crate::site::Site;
use crate::world::World;

/// More than two parts of those in which holders are credited.
const HOLDERS: i64 = 10_050;

/// How many of them have enough tokens to get a cent.
const PAID: i64 = 61;

const BLOCKED: &str = "select exists (select from pg_stat_activity
    where datname = current_database() and application_name = 'nexus-mint nexus_engine' and wait_event_type = 'Lock')";

const GONE: &str = "select not exists (select from pg_stat_activity
    where datname = current_database() and application_name = 'nexus-mint nexus_engine' and state <> 'idle')";

/// Those after which the rail's silence is asked about.
const MINUTES_PASS: &str = "update public.payouts set due_at = now() where status = 'sent'";

/// A house held by so many, each with a purchase and a lot, as its simulated sale left them.
async fn crowd(site: &Site, client: &Client, manager: Uuid) -> Uuid {
    let (property, token) = (Uuid::now_v7(), Uuid::now_v7());
    let text = format!(
        "begin; set local session_replication_role = replica;
         create table public.holder as
           select n, gen_random_uuid() as party_id, gen_random_uuid() as user_id, gen_random_uuid() as investment_id,
                  case when n <= {PAID} then 1000 + n else 1 end as units
           from generate_series(1::bigint, {HOLDERS}) as n;
         insert into public.parties (id, residency_country) select party_id, 'US' from public.holder;
         insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
           select user_id, 'authenticated', 'authenticated', n || '@example.com', now(), '{{}}', '{{}}', now(), now() from public.holder;
         insert into public.properties (id, title, city, country, is_active, total_tokens, tokens_issued, price_per_token, tokenization_active, tokenization_status)
           select '{property}', 'A house', 'Seattle', 'US', true, sum(units), sum(units), 50, true, 'offered' from public.holder;
         insert into public.property_members (property_id, user_id, capacity) values ('{property}', '{manager}', 'manager');
         insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor, current_price_minor, status)
           select '{token}', '{property}', sum(units), 0, 5000, 5000, 'launched' from public.holder;
         insert into public.property_token_supply (property_token_id, authorised_units, available_units, held_units)
           select '{token}', sum(units), 0, sum(units) from public.holder;
         insert into public.property_documents (property_id, document_name, document_type, file_url, sha256, issued_on, expires_at, review_status, uploaded_by)
           select '{property}', k, k, 'property-evidence/{property}/' || k, sha256('x'), current_date, now() + interval '1 year', 'accepted', '{manager}'
           from unnest(array['deed', 'insurance', 'appraisal', 'entity_papers', 'title_search']) as k;
         insert into public.investments (id, user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor,
             total_amount_minor, fee_amount_minor, status, paid_at, confirmed_at)
           select investment_id, user_id, party_id, '{property}', '{token}', units, 5000, units * 5000, 0, 'confirmed', now(), now() from public.holder;
         insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, units, cost_minor, acquired_at, tax_acquired_at)
           select party_id, user_id, '{property}', '{token}', investment_id, units, units * 5000, now(), now() from public.holder;
         commit;
         select ledger.record_movement('{token}', array[ledger.post('simulated', 'tokens.simulated', current_date, null, '{{}}',
             ledger.open_accounts(array['authorised'] || array_agg('held'::text), array['token:{token}'] || array_agg('token:{token}'::text),
               array['{property}'::uuid] || array_agg('{property}'::uuid), array[null]::uuid[] || array_agg(h.party_id order by h.party_id)),
             array[-sum(h.units)::bigint] || array_agg(h.units order by h.party_id))], 'close', now() - interval '1 day')
         from public.holder as h;
         -- The rows were loaded without their triggers.
         select nexus.rebuild_figures(now())"
    );
    client
        .batch_execute(&text)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    laws::hold(&site.world).await;
    property
}

/// Calls a function of a running server without waiting for the answer; the thread ends when the server does.
fn call(url: &str, token: &str, name: &str, body: &str) -> std::thread::JoinHandle<String> {
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let request = format!(
        "POST /functions/v1/{name} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // A server that is killed says nothing more.
        let _ = stream.read_to_string(&mut answer);
        answer
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_any_point_pays_everybody_once() {
    let site = Site::over(World::own_database().await);
    site.set_now(Utc::now());
    let client = site.world.admin().await;
    let manager = site.person(&["property_manager"]).await;
    let officer = site.person(&["compliance_officer"]).await;
    let admin = site.person(&["admin"]).await;
    let property = crowd(&site, &client, manager.id).await;
    let day = site.now().date_naive();
    let line = json!({ "accountRef": "operating", "bankReference": "1", "kind": "rent", "amount": "0.67", "bookedOn": day, "paidFor": "the month" });
    let body = json!({ "propertyId": property, "periodFrom": day, "periodTo": day, "lines": [line] });
    let recorded = site.done(&manager, "record-performance", body).await;
    let approve = json!({ "periodId": recorded["period"]["id"], "decision": "approved" });
    site.done(&officer, "approve-performance", approve).await;
    let asked = site
        .done(&manager, "declare-distribution", json!({ "propertyId": property }))
        .await;
    let body = json!({ "distributionId": asked["distribution"]["id"] });
    let declared = site.done(&officer, "approve-distribution", body.clone()).await;
    assert_eq!(
        declared["distribution"]["declared_minor"],
        json!(PAID),
        "8 % and 2 % of 67 cents are 6"
    );

    let program = Program::with(&site.world.admin_config());
    let email = format!("{}@example.com", admin.id.simple());
    let token = program.answer(&["user", "token", &email]);
    let in_the_way = site.world.admin().await;
    let state = "select concat_ws(' ', d.status, (select count(*) from public.distribution_lines as l where l.distribution_id = d.id and l.party_id <= d.posted_up_to),
                   (select concat_ws(' ', count(*), count(*) filter (where p.status = 'sent'), count(*) filter (where p.status = 'confirmed')) from public.payouts as p),
                   (select count(*) from nexus.sandbox_payouts)) from public.distributions as d";
    let opens = |after: i64| {
        format!(
            "select ledger.open_accounts(array['payable'], array['USD'], array[null::uuid], array[x.party_id]) from (
               select h.party_id, h.units, row_number() over (order by h.party_id) as place from public.holder as h) as x
             where x.units > 1 and x.place > {after} order by x.place limit 1"
        )
    };
    // The request, then the job, opens the account that somebody else is just opening; the job asks the rail, whose table is
    // locked; the rail's word waits for the distribution's row.
    type Point = (&'static str, String, bool, fn(&str) -> bool);
    let points: [Point; 4] = [
        ("the request credits", opens(0), true, |state| {
            state == "declared 0 0 0 0 0"
        }),
        ("a job credits", opens(5_000), true, |state| {
            state.starts_with("paying 5000 ") && state.ends_with(" 0 0 0")
        }),
        (
            "the rail is asked",
            "lock table nexus.sandbox_payouts in share mode".to_owned(),
            false,
            |state| state == "paying 10050 61 61 0 0",
        ),
        (
            "the rail answers",
            "select from public.distributions for update".to_owned(),
            false,
            |state| state.starts_with("paying 10050 61 61 0 ") && !state.ends_with(" 0"),
        ),
    ];
    for (what, lock, asks, expected) in points {
        client.batch_execute(MINUTES_PASS).await.unwrap();
        in_the_way.batch_execute(&format!("begin; {lock}")).await.unwrap();
        let mut server = program.serve(&[]);
        let answer = asks.then(|| call(&server.url, &token, "pay-distribution", &body.to_string()));
        until(&client, BLOCKED).await;
        server.signal(libc::SIGKILL);
        server.wait();
        in_the_way.batch_execute("rollback").await.unwrap();
        if let Some(answer) = answer {
            let answer = answer.join().unwrap();
            assert_eq!(answer.contains(" 200 "), what == "a job credits", "{what}: {answer}");
        }
        until(&client, GONE).await;
        let found: String = client.query_one(state, &[]).await.unwrap().get(0);
        assert!(expected(&found), "{what}: {found}");
        laws::hold(&site.world).await;
    }

    client.batch_execute(MINUTES_PASS).await.unwrap();
    let server = program.serve(&[]);
    until(&client, "select bool_and(status = 'paid') from public.distributions").await;
    drop(server);
    until(&client, GONE).await;
    let found: String = client.query_one(state, &[]).await.unwrap().get(0);
    assert_eq!(found, "paid 10050 61 0 61 61", "each of them once, at the rail as well");
    let sums = "select concat_ws(' ', (select sum(amount_minor) from nexus.sandbox_payouts), (select count(distinct party_id) from nexus.sandbox_payouts),
                  (select max(times_sent) from public.payouts))";
    let found: String = client.query_one(sums, &[]).await.unwrap().get(0);
    assert_eq!(found, "61 61 1");
    laws::hold(&site.world).await;
}
