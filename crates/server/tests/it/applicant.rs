//! Somebody who wants to be verified, and the officers who decide.

use axum::http::StatusCode;
use nexus_mint::command::Command;
use nexus_mint::compliance::standing;
use nexus_mint::db::Actor;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::id_of;
use crate::site::{Signed, Site};

pub(crate) async fn party_of(site: &Site, who: &Signed) -> Uuid {
    let sql = "select party_id from public.user_profiles where id = $1";
    site.world
        .admin()
        .await
        .query_one(sql, &[&who.id])
        .await
        .unwrap()
        .get(0)
}

/// What decides about a party now.
pub(crate) async fn standing_of(site: &Site, party: Uuid) -> mint_core::compliance::Standing {
    let command = Command::begin(&site.app, Actor::Program("test")).await.unwrap();
    let mut found = standing::load(&command, &[party]).await.unwrap();
    found.remove(&party).unwrap()
}

/// Files a document about oneself: its id.
pub(crate) async fn file(site: &Site, who: &Signed) -> Uuid {
    let content = [b"%PDF-1.7 ".as_slice(), Uuid::now_v7().as_bytes()].concat();
    let fields = [("documentType", "passport"), ("fileName", "passport.pdf")];
    let (status, answer) = site.upload(who, "upload-kyc-document", &fields, &content).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    id_of(&answer["document"]["id"])
}

/// Submits a case with one document: the case.
pub(crate) async fn submit(site: &Site, who: &Signed) -> Uuid {
    let document = file(site, who).await;
    let body = json!({ "action": "submit", "level": "basic", "documentIds": [document],
                       "submission": { "legalName": "Ada Lovelace" } });
    let answer = site.done(who, "verify-kyc", body).await;
    assert_eq!(answer["case"]["status"], "submitted", "{answer}");
    id_of(&answer["case"]["id"])
}

pub(crate) async fn clear(site: &Site, officer: &Signed, party: Uuid) {
    screened(site, officer, party, "clear").await;
}

/// A provider's answer about a party is recorded.
pub(crate) async fn screened(site: &Site, officer: &Signed, party: Uuid, status: &str) {
    let body = json!({ "partyId": party, "status": status, "provider": "a provider" });
    site.done(officer, "record-screening", body).await;
}

pub(crate) fn approval(case: Uuid) -> Value {
    json!({ "action": "approve", "caseId": case, "legalName": "Ada Lovelace", "country": "GB" })
}

/// Takes a submitted case and approves it.
pub(crate) async fn approve(site: &Site, officer: &Signed, case: Uuid) -> Value {
    site.done(officer, "verify-kyc", json!({ "action": "take", "caseId": case }))
        .await;
    site.done(officer, "verify-kyc", approval(case)).await
}

/// The profile's summary: status, level, whether it expires, whether accredited.
pub(crate) async fn profile(site: &Site, who: &Signed) -> String {
    let sql = "select format('%s %s %s %s', kyc_status, kyc_level, kyc_expires_at is not null, accredited_investor)
               from public.user_profiles where id = $1";
    site.world
        .admin()
        .await
        .query_one(sql, &[&who.id])
        .await
        .unwrap()
        .get(0)
}

/// How many reads of a row the audit trail tells.
pub(crate) async fn reads_of(site: &Site, key: Uuid) -> i64 {
    let sql = "select count(*) from public.audit_log where operation = 'READ' and row_key = $1";
    let row = site
        .world
        .admin()
        .await
        .query_one(sql, &[&key.to_string()])
        .await
        .unwrap();
    row.get(0)
}
