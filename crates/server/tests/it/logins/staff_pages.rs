//! Forms of staff: what they show before they do something, and what they keep of what was typed.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use uuid::Uuid;

use super::pages::{Browser, signed_in_as};
use super::{Confirm, Desk};
use crate::sales::Sale;
use crate::shop::{self, LONG_STOP, Plan, Shop, WINDOW};
use crate::world::World;

/// The value of the hidden field of a page.
fn hidden(html: &str, name: &str) -> String {
    let (_, after) = html
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("no {name} in {html}"));
    let value = after.split('"').next().unwrap();
    value.replace("&quot;", "\"").replace("&amp;", "&")
}

async fn count(desk: &Desk, note: &str) -> i64 {
    let text = "select count(*) from public.fee_schedules where note = $1";
    let client = desk.world.admin().await;
    client.query_one(text, &[&note]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_fee_is_shown_before_it_is_published_and_published_once() {
    let desk = Desk::over(World::own_database().await, Confirm::AtOnce, ("UNUSED", ""));
    let mut admin = signed_in_as(&desk, "admin").await;
    let note = format!("a fee of {}", super::address());
    let typed = [
        ("feeType", "platform"),
        ("currency", "KWD"),
        ("ratePpm", "1.5"),
        ("fixed", "1,000.250"),
        ("note", note.as_str()),
    ];
    let mut wrong = typed;
    wrong[2].1 = "much";
    let page = admin.post(&desk, "/administration/fees", &wrong).await;
    assert_eq!(page.status, 400);
    assert!(
        page.html.contains("per cent are wanted") && page.html.contains("value=\"1,000.250\""),
        "what was typed stays: {}",
        page.html
    );
    let page = admin.post(&desk, "/administration/fees", &typed).await;
    assert_eq!(page.status, 200, "{}", page.html);
    for figure in ["1,001.750", "2,500.250"] {
        assert!(page.html.contains(figure), "{figure}: {}", page.html);
    }
    assert_eq!(count(&desk, &note).await, 0, "it was only shown");

    let (seen, key) = (hidden(&page.html, "seen"), hidden(&page.html, "key"));
    let with = |fields: &[(&'static str, &'static str)]| {
        let mut all: Vec<(&str, String)> = typed.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        all.extend([("seen", seen.clone()), ("key", key.clone())]);
        for (name, text) in fields {
            all.retain(|(known, _)| known != name);
            all.push((name, (*text).to_owned()));
        }
        all
    };
    let changed = with(&[("ratePpm", "99")]);
    let changed: Vec<(&str, &str)> = changed.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let page = admin.post(&desk, "/administration/fees", &changed).await;
    assert_eq!(
        page.status, 200,
        "another fee than the one that was shown is shown first"
    );
    assert_eq!(count(&desk, &note).await, 0);

    let same = with(&[]);
    let same: Vec<(&str, &str)> = same.iter().map(|(name, text)| (*name, text.as_str())).collect();
    for _ in 0..2 {
        let done = admin.post(&desk, "/administration/fees", &same).await;
        assert_eq!((done.status, done.location()), (303, "/administration/rules?did=done"));
    }
    assert_eq!(count(&desk, &note).await, 1, "a second click publishes nothing");
    let list = admin.get(&desk, "/administration/rules").await;
    assert!(list.html.contains(&note), "and it is on the page");
}

/// A distribution that waits, of a property with a deed and without insurance.
async fn without_insurance(desk: &Desk) -> Uuid {
    let client = desk.world.admin().await;
    let sale = Sale::open(&client).await;
    let proposer = desk.world.person(&["property_manager"]).await;
    let text = "insert into public.property_documents (property_id, document_name, document_type, file_url, sha256, review_status, uploaded_by)
                values ($1::uuid, 'A deed', 'deed', 'property-evidence/' || $1::uuid || '/deed', sha256('x'), 'accepted', $2)";
    client.execute(text, &[&sale.property, &proposer.id]).await.unwrap();
    let text = "insert into public.distributions (id, property_id, property_token_id, currency, currency_decimals, declared_minor, proposed_by, created_at)
                values (gen_random_uuid(), $1, $2, 'USD', 2, 1000, $3, now()) returning id";
    let row = client
        .query_one(text, &[&sale.property, &sale.token, &proposer.id])
        .await;
    row.unwrap().get(0)
}

#[tokio::test]
async fn an_override_goes_from_one_overseer_to_another() {
    let desk = Desk::over(World::own_database().await, Confirm::AtOnce, ("UNUSED", ""));
    let subject = without_insurance(&desk).await.to_string();
    let mut officer = signed_in_as(&desk, "compliance_officer").await;
    let mut admin = signed_in_as(&desk, "admin").await;
    let page = officer.get(&desk, "/compliance/gate").await;
    assert!(page.html.contains(&subject), "it lacks something: {}", page.html);
    assert_eq!(hidden(&page.html, "requirements"), "insurance", "and the deed is there");
    let property = hidden(&page.html, "propertyId");
    let asked = |requirements: &'static str, reason: &'static str| {
        [
            ("propertyId", property.clone()),
            ("action", "declare".to_owned()),
            ("subjectId", subject.clone()),
            ("requirements", requirements.to_owned()),
            ("requirements", "appraisal".to_owned()),
            ("reason", reason.to_owned()),
            ("back", "/compliance/gate".to_owned()),
        ]
    };
    let ask = "/act/request-gate-override";
    for (requirements, reason, status, says) in [
        ("title", "no deed", 409, "and nothing else"),
        ("insurance", "", 400, "reason"),
    ] {
        let fields = asked(requirements, reason);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let page = officer.post(&desk, ask, &fields).await;
        assert_eq!(page.status, status, "{}", page.html);
        assert!(page.html.contains(says), "{says}: {}", page.html);
        for kept in [requirements, "appraisal"] {
            assert!(
                page.html.contains(&format!("name=\"requirements\" value=\"{kept}\"")),
                "{kept} is kept: {}",
                page.html
            );
        }
    }
    let fields = asked("insurance", "the policy is being issued");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let done = officer.post(&desk, ask, &fields).await;
    assert_eq!(
        done.location(),
        "/compliance/gate?did=request-gate-override",
        "{}",
        done.html
    );
    let approve = "/act/approve-gate-override";
    let page = officer.get(&desk, "/compliance/gate").await;
    assert!(
        page.html.contains("the policy is being issued") && !page.html.contains(approve),
        "who asked does not approve: {}",
        page.html
    );
    let page = admin.get(&desk, "/compliance/gate").await;
    let id = hidden(&page.html, "overrideId");
    let fields = [("overrideId", id.as_str()), ("back", "/compliance/gate")];
    let own = officer.post(&desk, approve, &fields).await;
    assert_eq!(own.status, 409, "nor by a form of another page: {}", own.html);
    let done = admin.post(&desk, approve, &fields).await;
    assert_eq!(done.status, 303, "{}", done.html);
    let page = officer.get(&desk, "/compliance/gate").await;
    assert!(
        page.html.contains("In force") && !page.html.contains(approve),
        "{}",
        page.html
    );

    // A week later it is over, and stays on the page.
    desk.advance(TimeDelta::days(8));
    let page = signed_in_as(&desk, "admin").await.get(&desk, "/compliance/gate").await;
    assert!(
        page.html.contains("the policy is being issued") && page.html.contains("Expired"),
        "{}",
        page.html
    );
}

#[tokio::test]
async fn overrides_that_are_over_are_read_page_by_page() {
    let desk = Desk::over(World::own_database().await, Confirm::AtOnce, ("UNUSED", ""));
    let client = desk.world.admin().await;
    let sale = Sale::open(&client).await;
    let overseer = desk.world.person(&["admin"]).await;
    let text = "insert into public.gate_overrides (property_id, action, subject_id, requirements, reason, requested_by, requested_at, valid_until)
                select $1, 'close', gen_random_uuid(), '{insurance}', 'reason ' || n || '.', $2, '2026-01-01'::timestamptz + n * interval '1 hour', '2026-01-09'
                from generate_series(1, 30) as n";
    client.execute(text, &[&sale.property, &overseer.id]).await.unwrap();
    let mut officer = signed_in_as(&desk, "compliance_officer").await;
    let first = officer.get(&desk, "/compliance/gate").await.html;
    assert!(first.contains("reason 30.") && first.contains("reason 6.") && !first.contains("reason 5."));
    assert!(first.contains("/compliance/gate?page=2") && !first.contains("rel=\"prev\""));
    let second = officer.get(&desk, "/compliance/gate?page=2").await.html;
    assert!(second.contains("reason 5.") && second.contains("reason 1.") && !second.contains("reason 6."));
    assert!(second.contains("rel=\"prev\"") && !second.contains("rel=\"next\""));
    for odd in ["0", "-1", "x", "99999999999999999999", "1000"] {
        let page = officer.get(&desk, &format!("/compliance/gate?page={odd}")).await;
        assert_eq!(page.status, 200, "{odd}");
    }
}

/// Ids that stand on a page more than once: a label names one field alone.
fn repeated_ids(html: &str) -> Vec<&str> {
    let ids = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut seen = BTreeSet::new();
    ids.filter(|id| !seen.insert(*id)).collect()
}

#[tokio::test]
async fn escrow_goes_to_the_closing_agent_and_comes_back() {
    let plan = Plan {
        kind: "acquisition",
        ..Plan::default()
    };
    let (shop, _) = Shop::selling(plan).await;
    let buyer = shop.buyer().await;
    let bought = shop.buy(&buyer, 10).await;
    let mut admin = Browser::with_tokens(&shop.admin.token, "");
    let list = "/administration/offerings";
    let (there, back) = ("/act/move-escrow-to-agent", "/act/return-escrow-from-agent");
    let page = admin.get(&shop.site, list).await;
    assert!(!page.html.contains(there), "not while it is sold: {}", page.html);
    shop.site.advance(WINDOW);
    shop.settle_down().await;
    let page = admin.get(&shop.site, list).await;
    assert!(page.html.contains(there), "{}", page.html);
    let id = hidden(&page.html, "offeringId");
    let blank = admin
        .post(&shop.site, there, &[("offeringId", &id), ("reference", "  ")])
        .await;
    assert_eq!(blank.status, 400, "{}", blank.html);
    let fields = [("offeringId", id.as_str()), ("reference", "wire 1"), ("back", list)];
    let done = admin.post(&shop.site, there, &fields).await;
    assert_eq!(done.status, 303, "{}", done.html);
    let page = admin.get(&shop.site, list).await;
    assert!(
        page.html.contains("With the closing agent") && !page.html.contains(there),
        "{}",
        page.html
    );
    shop.site.advance(LONG_STOP);
    shop.settle_down().await;
    let page = admin.get(&shop.site, list).await;
    assert!(page.html.contains(back), "it failed: {}", page.html);
    let done = admin.post(&shop.site, back, &fields).await;
    assert_eq!(done.status, 303, "{}", done.html);
    shop.settle_down().await;
    assert_eq!(shop.status(bought).await, "refunded");
    let page = admin.get(&shop.site, list).await;
    assert!(!page.html.contains(back), "once: {}", page.html);
}

#[tokio::test]
async fn a_label_names_one_field_however_many_sales_are_open() {
    let mut shop = Shop::new().await;
    let other = shop::property(&shop.site, &shop.manager).await.0;
    shop.offer(&Plan::default()).await;
    shop.property_id = other;
    shop.offer(&Plan::default()).await;
    let page = Browser::with_tokens(&shop.admin.token, "")
        .get(&shop.site, "/administration/offerings")
        .await;
    assert_eq!(
        page.html.matches("action=\"/act/extend-offering\"").count(),
        2,
        "{}",
        page.html
    );
    assert_eq!(repeated_ids(&page.html), Vec::<&str>::new());
}

#[tokio::test]
async fn a_character_that_no_text_has_is_the_senders_fault() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let mut admin = signed_in_as(&desk, "admin").await;
    for place in [
        "/administration?q=%00",
        "/administration/ledger?q=a%00b",
        "/compliance/trail?table=%00",
        "/compliance/trail?row=%00",
        "/properties?q=%00",
    ] {
        let page = admin.get(&desk, place).await;
        assert!([200, 400].contains(&page.status), "{place}: {}", page.html);
    }
    for (form, field) in [
        ("/account/profile", "full_name"),
        ("/account/email", "email"),
        ("/manage", "title"),
        ("/act/resume-jobs", "reason"),
        ("/sign-in", "email"),
        ("/recover", "email"),
    ] {
        let mut person = if form == "/manage" {
            signed_in_as(&desk, "property_manager").await
        } else if form.starts_with("/account") {
            signed_in_as(&desk, "investor").await
        } else if form.starts_with("/act") {
            signed_in_as(&desk, "admin").await
        } else {
            Browser::default()
        };
        let page = person.post(&desk, form, &[(field, "a\0b")]).await;
        assert!(page.status < 500, "{form}: {}", page.html);
    }
    let email = super::address();
    let fields = [
        ("name", "Ann\0"),
        ("email", email.as_str()),
        ("password", super::PASSWORD),
    ];
    let page = Browser::default().post(&desk, "/sign-up", &fields).await;
    assert_eq!(page.status, 400, "{}", page.html);
    assert!(
        page.html.contains(&format!("value=\"{email}\"")),
        "the address stays: {}",
        page.html
    );
    let page = admin
        .post(&desk, "/account/profile", &[("full_name", "Ann\0"), ("phone", "12")])
        .await;
    assert_eq!(page.status, 400, "{}", page.html);
    assert!(
        page.html.contains("U+0000") && page.html.contains("value=\"12\""),
        "what was typed stays: {}",
        page.html
    );
}

#[tokio::test]
async fn search_engines_keep_to_what_is_for_everybody() {
    let desk = Desk::new(Confirm::AtOnce).await;
    let client = desk.world.admin().await;
    let house = format!("/properties/{}", Sale::open(&client).await.property);
    let mut visitor = Browser::default();
    for (place, is_found) in [
        ("/", true),
        ("/properties", true),
        (house.as_str(), true),
        ("/properties?q=villa", false),
        ("/properties/00000000-0000-4000-8000-000000000000", false),
        ("/sign-in?next=/portfolio", false),
        ("/portfolio", false),
        ("/no/such/page", false),
    ] {
        let page = visitor.get(&desk, place).await;
        let said = page
            .headers
            .get("x-robots-tag")
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(
            said.as_deref(),
            (!is_found).then_some("noindex"),
            "{place}: {}",
            page.status
        );
        assert_eq!(page.headers["cache-control"], "private, no-store", "{place}");
    }
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_there() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let (buyer, other) = (shop.buyer().await, shop.buyer().await);
    let investment = shop.reserve(&buyer, 2).await;
    let (session, _) = shop.checkout(&buyer, investment).await;
    let pages = [format!("/investments/{investment}"), format!("/payments/{session}")];
    let house = shop.property_id;
    let of_manager = ["", "/rent", "/holders", "/pictures"].map(|page| format!("/manage/{house}{page}"));
    let mut own = Browser::with_tokens(&buyer.token, "");
    for page in &pages {
        assert!([200, 303].contains(&own.get(&shop.site, page).await.status), "{page}");
    }
    let mut manager = Browser::with_tokens(&shop.manager.token, "");
    for page in &of_manager {
        assert_eq!(manager.get(&shop.site, page).await.status, 200, "{page}");
    }
    let stranger = shop.site.person(&["property_manager"]).await;
    for who in [&other, &stranger, &shop.admin, &shop.officer] {
        let mut browser = Browser::with_tokens(&who.token, "");
        for page in pages.iter().chain(&of_manager) {
            let answer = browser.get(&shop.site, page).await;
            assert_eq!(answer.status, 404, "{page}: {}", answer.html);
        }
        for act in ["pay", "cancel"] {
            let form = format!("/investments/{investment}/{act}");
            let answer = browser.post(&shop.site, &form, &[]).await;
            assert_eq!(answer.status, 404, "{form}: {}", answer.html);
        }
    }
    assert_eq!(shop.status(investment).await, "pending", "and nothing was done");
}

#[tokio::test]
async fn a_report_is_a_file_for_whom_it_is_and_nobody_else() {
    let shop = Shop::new().await;
    let house = shop.property_id.to_string();
    let bundle = "/reports/regulatory-evidence-export";
    let fields = [
        ("propertyId", house.as_str()),
        ("includeTransactions", "yes"),
        ("back", "/compliance/reports"),
    ];
    let mut officer = Browser::with_tokens(&shop.officer.token, "");
    let got = officer.post(&shop.site, bundle, &fields).await;
    assert_eq!(got.status, 200, "{}", got.html);
    let disposition = got.headers["content-disposition"].to_str().unwrap();
    assert_eq!(
        disposition,
        format!("attachment; filename=\"regulatory-evidence-export-{house}.json\"")
    );
    let content: serde_json::Value = serde_json::from_str(&got.html).unwrap();
    assert_eq!(content["property"]["id"], serde_json::json!(house));
    assert!(content["transactions"].is_object());
    let mut manager = Browser::with_tokens(&shop.manager.token, "");
    assert_eq!(manager.post(&shop.site, bundle, &fields).await.status, 403);
    assert_eq!(manager.get(&shop.site, "/compliance/reports").await.status, 404);
    // No audit yet, and another's property: the same answer.
    let audit = "/reports/generate-audit-report";
    let none = officer.post(&shop.site, audit, &fields).await;
    assert_eq!(none.status, 400, "{}", none.html);
    assert!(none.html.contains("href=\"/compliance/reports\""), "{}", none.html);
    let unknown = officer.post(&shop.site, "/reports/list-jobs", &fields).await;
    assert_eq!(unknown.status, 404, "a form runs these functions alone");
}
