//! Statements: figures that re-add to the ledger by another query, the same for ever; the same figures as a PDF; own ones alone.

use std::collections::BTreeSet;

use axum::http::{Request, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use lopdf::Document;
use mint_core::money::Amount;
use nexus_mint::payments::sandbox;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::distributions::{declare, party, pay, rent, resides};
use crate::shop::{Plan, Shop, WINDOW, property};
use crate::site::Signed;

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn statement(shop: &Shop, who: &Signed, year: i32) -> Value {
    shop.site.done(who, "get-statement", json!({ "year": year })).await
}

async fn pdf(shop: &Shop, who: &Signed, year: i32) -> Vec<u8> {
    let request = Request::post("/functions/v1/get-statement").header("content-type", "application/json");
    let body = json!({ "year": year, "format": "pdf" }).to_string();
    let (status, headers, bytes) = shop.site.send(Some(who), request, body).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(headers[header::CONTENT_TYPE], "application/pdf");
    assert_eq!(headers[header::CACHE_CONTROL], "private, no-store");
    bytes
}

async fn called(shop: &Shop, who: &Signed, name: &str) {
    let client = shop.site.world.admin().await;
    let sql = "update public.parties set legal_name = $2 where id = $1";
    client.execute(sql, &[&party(shop, who).await, &name]).await.unwrap();
}

/// Buys in the currency of the shop's property, paying so much too much.
async fn buy(shop: &Shop, buyer: &Signed, tokens: i64, too_much: i64) -> Uuid {
    let id = shop.reserve(buyer, tokens).await;
    let (_, session) = shop.checkout(buyer, id).await;
    let row = shop.investment(id).await;
    let charge = row["total_amount_minor"].as_i64().unwrap() + row["fee_amount_minor"].as_i64().unwrap();
    let payment = sandbox::Payment {
        session: Some(session),
        property_id: shop.property_id,
        amount: Amount::try_from(charge + too_much).unwrap(),
        currency: row["payment_currency"].as_str().unwrap().to_owned(),
        refund_outcome: "succeed",
        settles_now: true,
    };
    sandbox::pay(&shop.site.app, &payment).await.unwrap();
    shop.deliver().await;
    id
}

async fn close(shop: &Shop) {
    shop.file_evidence().await;
    shop.site.advance(WINDOW);
    shop.settle_down().await;
}

/// Rent comes in, is declared and paid, and the rail confirms; a day passes with the rent.
async fn distribute(shop: &Shop, amount: &str) -> Uuid {
    rent(shop, amount).await;
    let id = declare(shop).await;
    pay(shop, id).await;
    shop.settle_down().await;
    id
}

/// The ledger's own word on an account of a party: what came within days, by kind of entry.
async fn ledger(shop: &Shop, who: &Signed, purpose: &str, asset: &str, from: &str, before: &str) -> i64 {
    let client = shop.site.world.admin().await;
    let sql = "select coalesce(sum(p.amount), 0)::bigint from ledger.postings as p
               where p.account_id in (select id from ledger.accounts where name like $1 || '/' || $2 || '%' and party_id = $3)
                 and p.entry_id in (select id from ledger.entries where business_date >= $4::text::date and business_date < $5::text::date)";
    let row = client
        .query_one(sql, &[&purpose, &asset, &party(shop, who).await, &from, &before])
        .await
        .unwrap();
    row.get(0)
}

/// Two years: a purchase overpaid, rent before and after New Year, tax withheld.
async fn two_years() -> (Shop, Vec<Signed>) {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let mut buyers = Vec::new();
    for (tokens, too_much) in [(10, 500), (20, 0), (7, 0)] {
        let buyer = shop.buyer().await;
        buy(&shop, &buyer, tokens, too_much).await;
        buyers.push(buyer);
    }
    resides(&shop, &buyers[1], "US").await;
    close(&shop).await;
    for amount in ["1000.00", "1000.01"] {
        distribute(&shop, amount).await;
        shop.site.advance(TimeDelta::days(31));
    }
    // Credited in the old year, sent and confirmed in the new one.
    shop.site.set_now(instant("2030-12-30T12:00:00Z"));
    rent(&shop, "777.77").await;
    let id = declare(&shop).await;
    pay(&shop, id).await;
    shop.site.set_now(instant("2031-01-02T12:00:00Z"));
    shop.settle_down().await;
    distribute(&shop, "555.00").await;
    (shop, buyers)
}

#[tokio::test]
async fn a_year_re_adds_to_the_ledger_by_another_query() {
    let (shop, buyers) = two_years().await;
    for who in &buyers {
        for (year, from, before) in [(2030, "2030-01-01", "2031-01-01"), (2031, "2031-01-01", "2032-01-01")] {
            let answer = statement(&shop, who, year).await;
            let one = &answer["statement"];
            let sum = |path: &str| one["totals"][0][path].as_i64().unwrap();
            let cash = |path: &str| one["cash"][0][path].as_i64().unwrap();
            let payable = ledger(&shop, who, "payable", "USD", "2000-01-01", before).await;
            let under_way = ledger(&shop, who, "payout_clearing", "USD", "2000-01-01", before).await;
            assert_eq!(
                (cash("payableMinor"), cash("underWayMinor")),
                (payable, under_way),
                "{year}"
            );
            let moved = ledger(&shop, who, "payable", "USD", from, before).await
                + ledger(&shop, who, "payout_clearing", "USD", from, before).await;
            assert_eq!(cash("incomeMinor") - cash("paidMinor"), moved, "{year}");
            assert_eq!(cash("openingMinor") + moved, payable + under_way, "{year}");
            assert_eq!(
                (sum("netMinor"), sum("grossMinor") - sum("withheldMinor")),
                (cash("incomeMinor"), cash("incomeMinor"))
            );
            let held = ledger(&shop, who, "held", "token:", "2000-01-01", before).await;
            assert_eq!(one["holdings"][0]["closingUnits"], json!(held));
            let lots = one["holdings"][0]["lots"].as_array().unwrap();
            assert_eq!(lots.iter().map(|lot| lot["units"].as_i64().unwrap()).sum::<i64>(), held);
            let checks = one["checks"].as_array().unwrap();
            let compared: BTreeSet<&str> = checks.iter().map(|check| check["what"].as_str().unwrap()).collect();
            assert!(
                ["income", "lots", "payable", "tokens", "withheld"]
                    .iter()
                    .all(|what| compared.contains(what)),
                "{compared:?}"
            );
            assert_eq!(
                answer["sha256"],
                json!(hex(&Sha256::digest(one.to_string().as_bytes()))),
                "the digest is of the figures"
            );
            assert_eq!(one["isSimulated"], json!(true));
        }
    }
    // What was withheld of all holders is what lies in the property's account.
    let mut withheld = 0;
    for who in &buyers {
        for year in [2030, 2031] {
            withheld += statement(&shop, who, year).await["statement"]["totals"][0]["withheldMinor"]
                .as_i64()
                .unwrap();
        }
    }
    assert_eq!(withheld, shop.balance("withheld").await);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_year_says_what_was_bought_given_back_and_paid_when() {
    let (shop, buyers) = two_years().await;
    let answer = statement(&shop, &buyers[0], 2030).await;
    let one = &answer["statement"];
    assert_eq!(one["holdings"][0]["openingUnits"], json!(0));
    assert_eq!(one["holdings"][0]["movements"][0]["kind"], json!("offering.closed"));
    let lot = &one["holdings"][0]["lots"][0];
    assert_eq!(
        (&lot["units"], &lot["costMinor"]),
        (&json!(10), &json!(51_000)),
        "the fee is part of the cost"
    );
    let purchase = &one["purchases"][0];
    assert_eq!(
        (&purchase["totalMinor"], &purchase["feeMinor"], &purchase["chargeMinor"]),
        (&json!(50_000), &json!(1_000), &json!(51_000))
    );
    assert_eq!(
        (&one["refunds"][0]["amountMinor"], &one["refunds"][0]["reason"]),
        (&json!(500), &json!("overpaid"))
    );
    let months = one["income"][0]["months"].as_array().unwrap();
    assert_eq!(months.len(), 3, "{months:?}");
    let last = &months[2]["lines"][0];
    assert_eq!(last["creditedOn"], json!("2030-12-31"));
    assert_eq!(
        last["paidOn"],
        json!("2031-01-02"),
        "paid in another year than credited"
    );
    assert_eq!(
        (&last["ratePpm"], &last["form"], &last["formVersion"]),
        (&json!(300_000), &json!("W-8BEN"), &json!("2021-10")),
        "L12"
    );
    assert_eq!(one["cash"][0]["payableMinor"], last["netMinor"], "owed over New Year");
    let next = statement(&shop, &buyers[0], 2031).await;
    let next = &next["statement"];
    assert_eq!(next["cash"][0]["openingMinor"], last["netMinor"]);
    assert_eq!(
        (
            &next["holdings"][0]["openingUnits"],
            &next["holdings"][0]["closingUnits"]
        ),
        (&json!(10), &json!(10))
    );
    assert_eq!(
        (
            next["purchases"].as_array().unwrap().len(),
            next["refunds"].as_array().unwrap().len()
        ),
        (0, 0)
    );
    let resident = statement(&shop, &buyers[1], 2030).await;
    assert_eq!(
        resident["statement"]["totals"][0]["withheldMinor"],
        json!(0),
        "a resident"
    );
    let stranger = shop.buyer().await;
    let empty = statement(&shop, &stranger, 2030).await;
    assert_eq!(
        (&empty["statement"]["holdings"], &empty["statement"]["totals"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn the_same_question_has_the_same_answer_for_ever() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let buyer = shop.buyer().await;
    buy(&shop, &buyer, 10, 0).await;
    close(&shop).await;
    distribute(&shop, "1000.00").await;
    let before = statement(&shop, &buyer, 2030).await;
    let seq = before["statement"]["knownSeq"].clone();
    rent(&shop, "500.00").await;
    let id = declare(&shop).await;
    pay(&shop, id).await;
    let then = statement(&shop, &buyer, 2030).await;
    assert_ne!(then["sha256"], before["sha256"], "more is known");
    let body = json!({ "year": 2030, "knownSeq": seq });
    assert_eq!(
        shop.site.done(&buyer, "get-statement", body.clone()).await,
        before,
        "L16"
    );
    let seq_then = then["statement"]["knownSeq"].clone();
    shop.settle_down().await;
    shop.site.advance(TimeDelta::days(800));
    distribute(&shop, "500.00").await;
    assert_eq!(
        shop.site.done(&buyer, "get-statement", body).await,
        before,
        "L16, years later"
    );
    let body = json!({ "year": 2030, "knownSeq": seq_then });
    assert_eq!(
        shop.site.done(&buyer, "get-statement", body).await,
        then,
        "a payout that is not confirmed yet stays so"
    );

    let body = json!({ "year": 2030, "knownSeq": i64::from(u32::MAX) });
    let (rule, _) = shop.site.refused(&buyer, "get-statement", body).await;
    assert_eq!(rule, "statement.sequence");
    let (rule, _) = shop
        .site
        .refused(&buyer, "get-statement", json!({ "year": 2099 }))
        .await;
    assert_eq!(rule, "statement.year");
}

#[tokio::test]
async fn what_is_withheld_whole_is_income_too() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let [one, other] = [shop.buyer().await, shop.buyer().await];
    for who in [&one, &other] {
        buy(&shop, who, 10, 0).await;
    }
    resides(&shop, &one, "KP").await;
    let body = json!({ "sourceCountry": "US", "residencyCountry": "KP", "ratePpm": 1_000_000, "form": "none", "formVersion": "1",
                       "source": "a law", "validFrom": shop.site.now() });
    let proposed = shop.site.done(&shop.admin, "propose-withholding-rate", body).await;
    let body = json!({ "proposalId": proposed["proposal"]["id"], "decision": "approved" });
    shop.site.done(&shop.officer, "approve-withholding-rate", body).await;
    close(&shop).await;
    distribute(&shop, "1000.00").await;
    let answer = statement(&shop, &one, 2030).await;
    let line = &answer["statement"]["income"][0]["months"][0]["lines"][0];
    assert_eq!(
        (&line["withheldMinor"], &line["netMinor"], &line["paidOn"]),
        (&line["grossMinor"], &json!(0), &Value::Null)
    );
    assert_eq!(line["grossMinor"], json!(45_000), "half of 1,000.00 less a tenth");
    assert_eq!(
        statement(&shop, &other, 2030).await["statement"]["totals"][0]["grossMinor"],
        json!(45_000)
    );
}

#[tokio::test]
async fn ones_own_statement_and_any_for_overseers() {
    let (shop, _) = Shop::selling(Plan::default()).await;
    let [one, other] = [shop.buyer().await, shop.buyer().await];
    let year = 2030;
    let of_one = party(&shop, &one).await;
    let body = json!({ "year": year, "partyId": of_one });
    let own = shop.site.done(&one, "get-statement", body.clone()).await;
    for who in [&shop.officer, &shop.admin] {
        assert_eq!(shop.site.done(who, "get-statement", body.clone()).await, own);
    }
    for who in [&other, &shop.manager] {
        let (status, _) = shop.site.call(who, "get-statement", body.clone()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "another's does not exist for him");
    }
    let (status, _) = shop
        .site
        .call(
            &shop.officer,
            "get-statement",
            json!({ "year": year, "partyId": Uuid::now_v7() }),
        )
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let request = Request::post("/functions/v1/get-statement").header("accept", "application/pdf");
    let (status, headers, _) = shop.site.send(Some(&other), request, body.to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "nor as a PDF");
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
}

/// The text of a PDF without blanks, and its pages.
fn read(bytes: &[u8]) -> (Vec<String>, String) {
    let document = Document::load_mem(bytes).unwrap();
    let pages: Vec<u32> = document.get_pages().keys().copied().collect();
    let texts: Vec<String> = pages
        .iter()
        .map(|page| document.extract_text(&[*page]).unwrap())
        .collect();
    let all = texts.concat().split_whitespace().collect();
    (texts, all)
}

/// An amount as the pages have it.
fn shown(minor: i64, decimals: u32) -> String {
    nexus_mint::statements::page::figure(minor, u8::try_from(decimals).unwrap())
}

#[tokio::test]
async fn the_pdf_says_what_the_json_says() {
    let (shop, buyers) = two_years().await;
    called(&shop, &buyers[0], "Łukasz Żółć Ελένη Дмитрий محمد").await;
    let answer = statement(&shop, &buyers[0], 2030).await;
    let bytes = pdf(&shop, &buyers[0], 2030).await;
    assert_eq!(
        pdf(&shop, &buyers[0], 2030).await,
        bytes,
        "the same bytes for the same figures"
    );
    let (pages, text) = read(&bytes);
    assert!(pages.len() > 1, "{} pages", pages.len());
    for (number, page) in (1..).zip(&pages) {
        let page: String = page.split_whitespace().collect();
        assert!(page.contains(&format!("Page{number}of{}", pages.len())), "{page}");
        assert!(
            page.contains(answer["sha256"].as_str().unwrap()),
            "each page has the digest"
        );
        assert!(page.contains("SIMULATED"), "each page says that it is not real");
        assert!(page.contains("Notaxadvice"), "each page says what it is not");
    }
    for word in [
        "Łukasz",
        "Żółć",
        "Ελένη",
        "Дмитрий",
        "دمحم",
        "Annualstatement2030",
        "31Dec2030",
        "2Jan2031",
        "W-8BEN2021-10",
        "30%",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let one = &answer["statement"];
    assert!(text.contains(&format!("Ledgerentry{}", one["knownSeq"])));
    let mut figures = 0;
    for list in ["totals", "cash", "purchases", "refunds", "disposals", "capital"] {
        for row in one[list].as_array().unwrap() {
            let decimals = u32::try_from(row["currencyDecimals"].as_u64().unwrap()).unwrap();
            for (name, value) in row
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| name.ends_with("Minor"))
            {
                let figure = shown(value.as_i64().unwrap(), decimals);
                assert!(text.contains(&figure), "{list}.{name}: {figure}");
                figures += 1;
            }
        }
    }
    for property in one["income"].as_array().unwrap() {
        for line in property["months"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|month| month["lines"].as_array().unwrap())
        {
            for name in ["grossMinor", "withheldMinor", "netMinor"] {
                assert!(text.contains(&shown(line[name].as_i64().unwrap(), 2)), "{line}");
                figures += 1;
            }
        }
    }
    assert!(figures > 30, "{figures}");
}

#[tokio::test]
async fn each_currency_has_its_own_decimals() {
    let mut shop = Shop::new().await;
    let client = shop.site.world.admin().await;
    let (dinar_house, _) = property(&shop.site, &shop.manager).await;
    for (table, key) in [("properties", "id"), ("property_tokens", "property_id")] {
        let sql = format!("update public.{table} set currency = 'KWD', currency_decimals = 3 where {key} = $1");
        client.execute(&sql, &[&dinar_house]).await.unwrap();
    }
    let sql = "insert into public.fee_schedules (fee_type, currency, currency_decimals, rate_ppm, valid_from, created_at)
               select k, 'KWD', 3, 20000, '2030-01-01', '2030-01-01' from unnest(array['platform', 'rent_manager', 'rent_platform']) as k";
    client.execute(sql, &[]).await.unwrap();
    let buyer = shop.buyer().await;
    let dollar_house = shop.property_id;
    for house in [dollar_house, dinar_house] {
        shop.property_id = house;
        shop.offer(&Plan::default()).await;
        buy(&shop, &buyer, 10, 0).await;
        close(&shop).await;
    }
    shop.property_id = dinar_house;
    distribute(&shop, "1000.001").await;
    shop.property_id = dollar_house;
    distribute(&shop, "1000.01").await;
    let answer = statement(&shop, &buyer, 2030).await;
    let one = &answer["statement"];
    let totals: Vec<(&str, u64)> = one["totals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["currency"].as_str().unwrap(),
                row["currencyDecimals"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(totals, [("KWD", 3), ("USD", 2)]);
    assert_eq!(
        (
            one["holdings"].as_array().unwrap().len(),
            one["cash"].as_array().unwrap().len()
        ),
        (2, 2)
    );
    let (_, text) = read(&pdf(&shop, &buyer, 2030).await);
    for row in one["cash"].as_array().unwrap() {
        let decimals = u32::try_from(row["currencyDecimals"].as_u64().unwrap()).unwrap();
        let figure = shown(row["incomeMinor"].as_i64().unwrap(), decimals);
        assert!(text.contains(&figure), "{figure}");
    }
}
