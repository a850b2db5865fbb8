//! `create-investment-payment` in a crowd: each reserves and has a page of his own to pay on, or neither.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{hold, send_to};
use crate::shop::{Plan, Shop};
use crate::site::Signed;

const NAME: &str = "create-investment-payment";

async fn wait_in_line(
    shop: &Shop,
    who: &Signed,
    order: &Value,
    key: Option<&str>,
) -> tokio::task::JoinHandle<super::Answer> {
    let lines = &shop.site.app.checkouts;
    let before = lines.waiting();
    let sent = send_to(&shop.site.app, NAME, who, order, key);
    while lines.waiting() == before {
        tokio::task::yield_now().await;
    }
    sent
}

async fn count(shop: &Shop, sql: &str) -> i64 {
    shop.site.world.admin().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_crowd_that_checks_out_has_a_page_each_and_a_retry_has_the_same() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let mut buyers = Vec::new();
    for _ in 0..6 {
        buyers.push(shop.buyer().await);
    }
    let gate = hold(&shop).await;
    let mut sent = Vec::new();
    for (buyer, number) in buyers.iter().zip(0..) {
        let key = (number % 2 == 0).then_some("mine");
        sent.push(wait_in_line(&shop, buyer, &shop.order(2), key).await);
    }
    sent.push(wait_in_line(&shop, &buyers[4], &shop.order(2), Some("mine")).await);
    sent.push(wait_in_line(&shop, &buyers[5], &shop.order(2), None).await);
    sent.push(wait_in_line(&shop, &buyers[4], &shop.order(3), Some("mine")).await);
    gate.batch_execute("commit").await.unwrap();
    let mut answers = Vec::new();
    for one in sent {
        let (status, _, answer) = one.await.unwrap();
        answers.push((status, answer));
    }
    let (pages, [retry, identical, reused]) = answers.split_at(6) else {
        panic!("nine answers");
    };
    for ((status, page), buyer) in pages.iter().zip(&buyers) {
        assert_eq!(*status, StatusCode::OK, "{page}");
        assert_eq!(page["investment"]["user_id"], json!(buyer.id));
        assert_eq!(page["investment"]["status"], json!("pending"));
        let session = page["sessionId"].as_str().unwrap().replace('-', "");
        let url = page["url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/sandbox/checkout/cs_{session}")), "{url}");
    }
    assert_eq!(retry, &pages[4]);
    assert_eq!(identical, &pages[5]);
    assert_eq!(reused.1["code"], json!("idempotency_key_reused"));
    let whole = "select count(*) from public.investments as i
      join public.payment_sessions as s on s.investment_id = i.id and s.user_id = i.user_id and s.due_at = i.due_at
        and s.amount_minor = i.total_amount_minor + i.fee_amount_minor and s.status = 'open'
      join nexus.sandbox_sessions as r on r.ref = s.provider_ref and r.amount_minor = s.amount_minor and r.property_id = i.property_id";
    assert_eq!(count(&shop, whole).await, 6);
    assert_eq!(count(&shop, "select count(*) from public.payment_sessions").await, 6);
    let own = "select count(*) from public.payment_sessions as s join public.audit_log as a
                 on a.table_name = 'public.payment_sessions' and a.row_key = s.id::text and a.actor_id = s.user_id";
    assert_eq!(count(&shop, own).await, 6, "each is noted as its buyer's");
    // Later, without a key, the same wish is the same page.
    let again = shop.site.done(&buyers[1], NAME, shop.order(2)).await;
    assert_eq!(again["sessionId"], pages[1].1["sessionId"]);
    let kept = send_to(&shop.site.app, NAME, &buyers[0], &shop.order(2), Some("mine"));
    assert_eq!(kept.await.unwrap().2, pages[0].1);
    shop.check().await;
}

#[tokio::test]
async fn where_nothing_can_be_paid_nothing_is_reserved() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    let admin = shop.site.world.admin().await;
    admin
        .batch_execute("update public.offerings set is_live = true")
        .await
        .unwrap();
    let (rule, _) = shop.site.refused(&buyer, NAME, shop.order(1)).await;
    assert_eq!(rule, "offering.live");
    assert_eq!(count(&shop, "select count(*) from public.investments").await, 0);
    shop.check().await;
}
