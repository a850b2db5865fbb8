//! Tax: rates proposed by one person and approved by another, forms that a holder files and an officer checks, and what of a
//! holder's line is withheld by them.

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::distributions;
use crate::house::id_of;
use crate::shop::Shop;
use crate::site::{Signed, Site};

fn rate(country: Option<&str>, rate_ppm: i32, needs_form: bool, valid_from: DateTime<Utc>) -> Value {
    json!({ "sourceCountry": "US", "residencyCountry": country, "ratePpm": rate_ppm, "form": "W-8BEN", "formVersion": "2021-10",
            "needsForm": needs_form, "source": "a treaty", "validFrom": valid_from })
}

async fn propose(shop: &Shop, body: Value) -> Uuid {
    let answer = shop.site.done(&shop.admin, "propose-withholding-rate", body).await;
    id_of(&answer["proposal"]["id"])
}

async fn add_rate(shop: &Shop, body: Value) {
    let id = propose(shop, body).await;
    let body = json!({ "proposalId": id, "decision": "approved" });
    shop.site.done(&shop.officer, "approve-withholding-rate", body).await;
}

/// Files a form with a document of its own.
pub(crate) async fn file(site: &Site, who: &Signed, country: &str, version: &str) -> Uuid {
    let content = [b"%PDF-1.7 ".as_slice(), Uuid::now_v7().as_bytes()].concat();
    let fields = [("documentType", "tax_form"), ("fileName", "form.pdf")];
    let (status, answer) = site.upload(who, "upload-kyc-document", &fields, &content).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let body = json!({ "form": "W-8BEN", "formVersion": version, "country": country, "signedOn": site.now().date_naive(),
                       "documentIds": [answer["document"]["id"]] });
    let answer = site.done(who, "file-tax-form", body).await;
    assert_eq!(answer["status"], json!("filed"));
    id_of(&answer["taxFormId"])
}

async fn check(shop: &Shop, id: Uuid) -> Value {
    let body = json!({ "taxFormId": id, "decision": "checked" });
    shop.site.done(&shop.officer, "check-tax-form", body).await
}

#[tokio::test]
async fn a_rate_takes_two_people_and_never_edits_the_past() {
    let shop = Shop::new().await;
    let now = shop.site.now();
    let past = rate(Some("GB"), 150_000, false, now - TimeDelta::seconds(1));
    let (rule, _) = shop.site.refused(&shop.admin, "propose-withholding-rate", past).await;
    assert_eq!(rule, "withholding.backdated");
    let body = rate(Some("GB"), 150_000, false, now + TimeDelta::days(1));
    let (status, _) = shop
        .site
        .call(&shop.officer, "propose-withholding-rate", body.clone())
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN, "an admin proposes");
    let id = propose(&shop, body.clone()).await;
    let approve = json!({ "proposalId": id, "decision": "approved" });
    let (rule, _) = shop
        .site
        .refused(&shop.admin, "approve-withholding-rate", approve.clone())
        .await;
    assert_eq!(rule, "four_eyes");
    let late = propose(&shop, rate(Some("FR"), 150_000, false, now + TimeDelta::hours(1))).await;
    shop.site.advance(TimeDelta::hours(2));
    let late = json!({ "proposalId": late, "decision": "approved" });
    let (rule, _) = shop.site.refused(&shop.officer, "approve-withholding-rate", late).await;
    assert_eq!(
        rule, "withholding.backdated",
        "approved after the day from which it was to hold"
    );
    let answer = shop
        .site
        .done(&shop.officer, "approve-withholding-rate", approve.clone())
        .await;
    assert_eq!(answer["proposal"]["status"], json!("approved"));
    let (rule, _) = shop
        .site
        .refused(&shop.second_admin, "approve-withholding-rate", approve)
        .await;
    assert_eq!(rule, "withholding.status");
    let again = propose(&shop, body).await;
    let again = json!({ "proposalId": again, "decision": "approved" });
    let (rule, _) = shop
        .site
        .refused(&shop.officer, "approve-withholding-rate", again)
        .await;
    assert_eq!(rule, "withholding.one_at_an_instant");
    let everybody = rate(None, 1, true, now + TimeDelta::days(1));
    let (status, _) = shop.site.call(&shop.admin, "propose-withholding-rate", everybody).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a rate for everybody asks for no form");
}

#[tokio::test]
async fn an_officer_of_another_party_checks_a_form() {
    let shop = Shop::new().await;
    let holder = shop.buyer().await;
    let first = file(&shop.site, &holder, "GB", "2021-10").await;
    let second = file(&shop.site, &holder, "GB", "2021-11").await;
    let waiting = shop.site.done(&shop.officer, "list-tax-forms", json!({})).await;
    let waiting: Vec<&Value> = waiting["taxForms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["taxFormId"])
        .collect();
    assert!(
        waiting.contains(&&json!(second)) && !waiting.contains(&&json!(first)),
        "a newer one replaces it"
    );
    let (rule, _) = shop
        .site
        .refused(
            &shop.officer,
            "check-tax-form",
            json!({ "taxFormId": first, "decision": "checked" }),
        )
        .await;
    assert_eq!(rule, "tax_form.status");
    let look = json!({ "taxFormId": second, "reason": "the rate of a distribution" });
    let shown = shop.site.done(&shop.officer, "get-tax-form", look.clone()).await;
    assert_eq!(shown["taxForm"]["country"], json!("GB"));
    for who in [&holder, &shop.admin] {
        let (status, _) = shop.site.call(who, "get-tax-form", look.clone()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "a form is shown to officers alone");
    }
    let document = id_of(&shown["taxForm"]["documents"][0]["id"]);
    let path = format!("/functions/v1/kyc-document-content/{document}");
    let request = || axum::http::Request::get(&path);
    let (status, _, _) = shop
        .site
        .send(
            Some(&shop.officer),
            request().header("x-reason", "the rate"),
            axum::body::Body::empty(),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    let other = shop.buyer().await;
    let (status, _, _) = shop.site.send(Some(&other), request(), axum::body::Body::empty()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let notes: i64 = shop
        .site
        .world
        .admin()
        .await
        .query_one(
            "select count(*) from public.file_reads where reader_id = $1",
            &[&shop.officer.id],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(notes, 1, "the officer's read is noted");

    let own = file(&shop.site, &shop.officer, "GB", "2021-10").await;
    let (rule, _) = shop
        .site
        .refused(
            &shop.officer,
            "check-tax-form",
            json!({ "taxFormId": own, "decision": "checked" }),
        )
        .await;
    assert_eq!(rule, "case.by_a_stranger", "nobody checks his own");
    let body =
        json!({ "taxFormId": second, "decision": "checked", "expiresAt": shop.site.now() + TimeDelta::days(1500) });
    let (rule, _) = shop.site.refused(&shop.officer, "check-tax-form", body).await;
    assert_eq!(rule, "terms.until");
    assert_eq!(check(&shop, second).await["status"], json!("checked"));
    let third = file(&shop.site, &holder, "GB", "2024-01").await;
    let body = json!({ "taxFormId": third, "decision": "rejected", "reason": "not signed" });
    shop.site.done(&shop.officer, "check-tax-form", body).await;
    let client = shop.site.world.admin().await;
    let sql = "select form_version from public.tax_forms where user_id = $1 and status = 'checked'";
    let counts: String = client.query_one(sql, &[&holder.id]).await.unwrap().get(0);
    assert_eq!(
        counts, "2021-11",
        "a rejected one does not take away the one that counts"
    );
}

/// Rate, form and version on a holder's line.
async fn terms(shop: &Shop, distribution: Uuid, who: &Signed) -> (i32, String, String) {
    let client = shop.site.world.admin().await;
    let sql = "select rate_ppm, form, form_version from public.distribution_lines where distribution_id = $1 and party_id = $2";
    let party = distributions::party(shop, who).await;
    let row = client.query_one(sql, &[&distribution, &party]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn a_line_rests_on_the_checked_form_of_its_holder() {
    let (shop, buyers) = distributions::sold(&[10, 10, 10, 10]).await;
    for (who, country) in buyers.iter().zip(["GB", "GB", "GB", "FR"]) {
        distributions::resides(&shop, who, country).await;
    }
    let from = shop.site.now() + TimeDelta::hours(1);
    add_rate(&shop, rate(Some("GB"), 100_000, true, from)).await;
    shop.site.advance(TimeDelta::hours(2));
    // The first has a checked form, the second one that waits, the third one that says another country.
    let first = file(&shop.site, &buyers[0], "GB", "2026-04").await;
    check(&shop, first).await;
    file(&shop.site, &buyers[1], "GB", "2026-04").await;
    let third = file(&shop.site, &buyers[2], "FR", "2026-04").await;
    check(&shop, third).await;
    distributions::rent(&shop, "1000.00").await;
    let paid = distributions::declare(&shop).await;
    let everybody = || (300_000, "W-8BEN".to_owned(), "2021-10".to_owned());
    let own = (100_000, "W-8BEN".to_owned(), "2026-04".to_owned());
    assert_eq!(terms(&shop, paid, &buyers[0]).await, own, "L12: the form's own version");
    for other in &buyers[1..] {
        assert_eq!(
            terms(&shop, paid, other).await,
            everybody(),
            "no checked form for the country"
        );
    }
    distributions::pay(&shop, paid).await;
    shop.check().await;

    // From another instant on: a rate with the form, and one without it.
    let later = shop.site.now() + TimeDelta::hours(1);
    add_rate(&shop, rate(Some("GB"), 50_000, true, later)).await;
    add_rate(&shop, rate(Some("GB"), 240_000, false, later)).await;
    shop.site.advance(TimeDelta::hours(2));
    distributions::rent(&shop, "1000.00").await;
    let next = distributions::declare(&shop).await;
    assert_eq!(terms(&shop, next, &buyers[0]).await.0, 50_000);
    assert_eq!(terms(&shop, next, &buyers[1]).await.0, 240_000);
    assert_eq!(terms(&shop, next, &buyers[3]).await, everybody());
    distributions::pay(&shop, next).await;

    // An expired form counts no longer; the past is as it was.
    shop.site.advance(TimeDelta::days(1461));
    distributions::rent(&shop, "1000.00").await;
    let last = distributions::declare(&shop).await;
    assert_eq!(terms(&shop, last, &buyers[0]).await.0, 240_000, "expired");
    assert_eq!(terms(&shop, paid, &buyers[0]).await, own, "the past is as it was");
}
