//! What waits and what failed, as an admin sees it; and what an admin does about it, each time with a row in the audit trail.

use axum::http::StatusCode;
use chrono::TimeDelta;
use nexus_mint::jobs::clock::{Pace, Watch};
use nexus_mint::payments::sandbox;
use serde_json::{Value, json};

use crate::shop::{Plan, Shop};

/// The charge of two tokens: 100.00 and 2 % fee.
const CHARGE: i64 = 10_200;

async fn listed(shop: &Shop) -> Value {
    shop.site.done(&shop.admin, "list-jobs", json!({})).await
}

fn queue<'a>(jobs: &'a Value, name: &str) -> &'a Value {
    let queues = jobs["queues"].as_array().unwrap();
    queues.iter().find(|queue| queue["queue"] == name).unwrap()
}

/// What the trail has about a table since the last look, and by whom.
async fn told(shop: &Shop, table: &str) -> Vec<Value> {
    let admin = shop.site.world.admin().await;
    let sql = "select d.after from public.audit_log as a join nexus.audit_details as d on d.audit_id = a.id
               where a.table_name = $1 and a.actor_id = $2 order by a.id";
    let rows = admin.query(sql, &[&table, &shop.admin.id]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_fails_says_why_waits_longer_and_is_tried_again_or_set_aside() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.reserve(&buyer, 2).await;
    let (_, session) = shop.checkout(&buyer, id).await;
    assert_eq!(listed(&shop).await["items"], json!([]), "nothing was tried in vain");
    let database = shop.site.world.admin().await;
    let broken = "alter table public.payments add constraint payments_break check (false) not valid";
    database.batch_execute(broken).await.unwrap();
    shop.pay(&session, CHARGE, 0, false).await;
    shop.deliver().await;
    assert_eq!(shop.status(id).await, "pending");

    let jobs = listed(&shop).await;
    let messages = queue(&jobs, "payment_messages");
    assert_eq!(
        [&messages["waiting"], &messages["failing"], &messages["aside"]],
        [&json!(1), &json!(1), &json!(0)]
    );
    let item = &jobs["items"][0];
    assert!(item["error"].as_str().unwrap().contains("payments_break"), "{item}");
    assert_eq!(item["attempts"], json!(1));
    assert!(
        item["nextAt"].as_str().unwrap() > shop.site.now().to_rfc3339().as_str(),
        "later than now: {item}"
    );
    let text = jobs.to_string();
    assert!(
        !text.contains(&session) && !text.contains(&buyer.id.to_string()),
        "nothing of what it carries: {text}"
    );

    let named = json!({ "queue": "payment_messages", "id": item["id"] });
    let mut aside = named.clone();
    aside["reason"] = json!(" ");
    let (status, _) = shop.site.call(&shop.admin, "set-aside-job", aside.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "it says why");
    aside["reason"] = json!("the provider looks at it");
    shop.site.done(&shop.admin, "set-aside-job", aside.clone()).await;
    let (rule, _) = shop.site.refused(&shop.admin, "set-aside-job", aside).await;
    assert_eq!(rule, "job.waits", "once");
    database
        .batch_execute("alter table public.payments drop constraint payments_break")
        .await
        .unwrap();
    shop.site.advance(TimeDelta::minutes(11));
    shop.turn().await;
    assert_eq!(shop.status(id).await, "pending", "nobody looks at what was set aside");
    let jobs = listed(&shop).await;
    let messages = queue(&jobs, "payment_messages");
    assert_eq!([&messages["waiting"], &messages["aside"]], [&json!(0), &json!(1)]);
    assert!(jobs["items"][0]["asideAt"].is_string());

    shop.site.done(&shop.admin, "retry-job", named.clone()).await;
    shop.turn().await;
    assert_eq!(shop.status(id).await, "paid", "brought back, it counts");
    let (rule, _) = shop.site.refused(&shop.admin, "retry-job", named).await;
    assert_eq!(rule, "job.waits", "what is done is not done again");
    let told = told(&shop, "nexus.payment_messages").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["reason"], json!("the provider looks at it"));
    shop.check().await;
}

#[tokio::test]
async fn a_message_that_came_again_while_it_is_set_aside_stays_there() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let id = shop.reserve(&buyer, 2).await;
    let (_, session) = shop.checkout(&buyer, id).await;
    let database = shop.site.world.admin().await;
    let broken = "alter table public.payments add constraint payments_break check (false) not valid";
    database.batch_execute(broken).await.unwrap();
    shop.pay(&session, CHARGE, 0, false).await;
    let bodies = sandbox::undelivered(&shop.site.app).await.unwrap();
    shop.deliver().await;
    database
        .batch_execute("alter table public.payments drop constraint payments_break")
        .await
        .unwrap();
    let named = listed(&shop).await["items"][0]["id"].clone();
    let aside = json!({ "queue": "payment_messages", "id": named, "reason": "to look" });
    shop.site.done(&shop.admin, "set-aside-job", aside).await;
    for body in &bodies {
        let signed = sandbox::sign(&shop.site.app, body.as_bytes());
        let mut request = axum::http::Request::post("/functions/v1/process-payment-webhook");
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        let (status, _, _) = shop.site.send(None, request, body.clone()).await;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(shop.status(id).await, "pending");
    shop.check().await;
}

#[tokio::test]
async fn an_event_that_is_set_aside_is_brought_back_and_a_mail_is_tried_and_not_set_aside() {
    let shop = Shop::new().await;
    let database = shop.site.world.admin().await;
    let text = "insert into nexus.outbox_events (topic, dedupe_key, attempts, last_error) values ('a.topic', 'k', 3, 'away') returning id::text";
    let event: String = database.query_one(text, &[]).await.unwrap().get(0);
    let text =
        "insert into nexus.login_mails (kind, recipient, subject, body_text, body_html, created_at, due_at, attempts)
                values ('invite', 'somebody@example.com', 's', 'secret words', 'h', $1, $2, 2) returning id::text";
    let (now, later) = (shop.site.now(), shop.site.now() + TimeDelta::minutes(5));
    let mail: String = database.query_one(text, &[&now, &later]).await.unwrap().get(0);
    let jobs = listed(&shop).await;
    assert_eq!(queue(&jobs, "mails")["failing"], json!(1));
    assert!(
        !jobs.to_string().contains("somebody@") && !jobs.to_string().contains("secret words"),
        "{jobs}"
    );
    let event = json!({ "queue": "events", "id": event });
    let mut aside = event.clone();
    aside["reason"] = json!("nobody wants it");
    shop.site.done(&shop.admin, "set-aside-job", aside).await;
    assert_eq!(queue(&listed(&shop).await, "events")["aside"], json!(1));
    shop.site.done(&shop.admin, "retry-job", event).await;
    assert_eq!(queue(&listed(&shop).await, "events")["aside"], json!(0));

    let mail = json!({ "queue": "mails", "id": mail });
    let mut aside = mail.clone();
    aside["reason"] = json!("no");
    let (status, _) = shop.site.call(&shop.admin, "set-aside-job", aside).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    shop.site.done(&shop.admin, "retry-job", mail).await;
    let due: chrono::DateTime<chrono::Utc> = database
        .query_one("select due_at from nexus.login_mails", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(due, now, "at the next turn");
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "retry-job", json!({ "queue": "mails", "id": "no id" }))
        .await;
    assert_eq!(rule, "job.waits");
}

#[tokio::test]
async fn paused_work_goes_on_by_an_admin_who_says_why() {
    let shop = Shop::new().await;
    let reason = json!({ "reason": "the clock is right again" });
    let (rule, _) = shop.site.refused(&shop.admin, "resume-jobs", reason.clone()).await;
    assert_eq!(rule, "jobs.paused");
    let watch = Watch::default();
    assert_eq!(watch.look(&shop.site.app).await.unwrap(), Pace::Running);
    shop.site.advance(TimeDelta::days(40));
    assert!(matches!(watch.look(&shop.site.app).await.unwrap(), Pace::Paused(..)));
    let jobs = listed(&shop).await;
    assert!(jobs["paused"]["reason"].as_str().unwrap().contains("ahead"), "{jobs}");
    shop.site.done(&shop.admin, "resume-jobs", reason).await;
    assert_eq!(watch.look(&shop.site.app).await.unwrap(), Pace::Running);
    let told = told(&shop, "nexus.clock_watch").await;
    assert_eq!(told[0]["reason"], json!("the clock is right again"));
}

#[tokio::test]
async fn the_database_measures_itself() {
    let shop = Shop::new().await;
    let status = shop.site.done(&shop.admin, "get-system-status", json!({})).await;
    assert!(status["sizeBytes"].as_i64().unwrap() > 1_000_000, "{status}");
    assert!(status["connections"].as_i64().unwrap() >= 1 && status["connectionsMax"].as_i64().unwrap() > 1);
    assert!(status["unsealed"].as_i64().unwrap() > 0, "nothing seals here: {status}");
    assert_eq!((&status["slots"], &status["sealedAt"]), (&json!([]), &Value::Null));
}
