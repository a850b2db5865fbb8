//! Parties: entities with their owners, and the logins that act for them.

use axum::http::StatusCode;
use mint_core::compliance::{Identity, Screening};
use nexus_mint::command::Command;
use nexus_mint::compliance::standing;
use nexus_mint::db::Actor;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::applicant::{clear, file, party_of, profile, standing_of, submit};
use crate::callers::{Caller, asked, is_refused};
use crate::house::id_of;
use crate::site::Site;

fn owner(name: &str, share_ppm: i32) -> Value {
    json!({ "name": name, "country": "DE", "sharePpm": share_ppm, "validFrom": "2020-01-01" })
}

#[tokio::test]
async fn an_entity_is_verified_with_its_large_owners_and_acts_through_its_logins() {
    let site = Site::new().await;
    let (acme, officer) = (site.person(&[]).await, site.person(&["compliance_officer"]).await);
    let party = party_of(&site, &acme).await;
    let body = json!({ "owners": [owner("Ann Able", 600_000), owner("Ben Bold", 400_001)] });
    assert_eq!(
        site.refused(&acme, "register-entity", body).await.0,
        "entity.owners_not_more_than_all"
    );
    let body = json!({ "owners": [owner("Ann Able", 600_000), owner("Ben Bold", 150_000)] });
    let entity = site.done(&acme, "register-entity", body.clone()).await;
    assert_eq!(site.refused(&acme, "register-entity", body).await.0, "party.new");
    let more = json!({ "owner": owner("Cid Calm", 250_001) });
    assert_eq!(
        site.refused(&acme, "add-party-owner", more).await.0,
        "entity.owners_not_more_than_all"
    );

    let document = file(&site, &acme).await;
    let body = json!({ "action": "submit", "level": "enhanced", "documentIds": [document],
                       "submission": { "noOtherLargeOwner": true } });
    let case = id_of(&site.done(&acme, "verify-kyc", body).await["case"]["id"]);
    site.done(&officer, "verify-kyc", json!({ "action": "take", "caseId": case }))
        .await;
    let mut approval = json!({ "action": "approve", "caseId": case, "legalName": "Acme Ltd", "country": "DE" });
    assert_eq!(
        site.refused(&officer, "verify-kyc", approval.clone()).await.0,
        "entity.owners_known"
    );
    let reason = json!({ "caseId": case, "reason": "review" });
    let shown = site.done(&officer, "get-kyc-case", reason).await;
    let owners: Vec<Uuid> = (0..2)
        .map(|at| id_of(&shown["case"]["owners"][at]["ownerPartyId"]))
        .collect();
    approval["owners"] = json!([{ "ownerPartyId": owners[0], "legalName": "Ann Able", "country": "DE" }]);
    clear(&site, &officer, party).await;
    assert_eq!(
        site.refused(&officer, "verify-kyc", approval.clone()).await.0,
        "kyc.screened",
        "owners too"
    );
    for owner in &owners {
        clear(&site, &officer, *owner).await;
    }
    site.done(&officer, "verify-kyc", approval).await;
    assert_eq!(profile(&site, &acme).await, "approved enhanced t f");

    // An owner who is found on a list stops the entity.
    let body = json!({ "partyId": owners[1], "status": "match", "provider": "an officer" });
    site.done(&officer, "record-screening", body).await;
    assert_eq!(standing_of(&site, party).await.screening, Screening::Match);
    let ended = json!({ "id": entity["owners"][1]["id"], "validTo": "2030-01-01" });
    site.done(&acme, "end-party-owner", ended).await;
    assert!(
        matches!(standing_of(&site, party).await.screening, Screening::Clear { .. }),
        "he owns nothing any more"
    );

    // A second login acts for it, with all that holds for the party; one with a history of its own does not.
    let (second, used) = (site.person(&[]).await, site.person(&[]).await);
    let let_act = |user: Uuid| json!({ "userId": user, "partyId": party });
    let (status, _) = site.call(&acme, "let-login-act", let_act(second.id)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    site.done(&officer, "let-login-act", let_act(second.id)).await;
    assert_eq!(profile(&site, &second).await, "approved enhanced t f");
    assert_eq!(party_of(&site, &second).await, party);
    submit(&site, &used).await;
    assert_eq!(
        site.refused(&officer, "let-login-act", let_act(used.id)).await.0,
        "party.new"
    );
    let own = json!({ "userId": officer.id, "partyId": party });
    assert_eq!(
        site.refused(&officer, "let-login-act", own).await.0,
        "case.by_a_stranger"
    );
}

#[tokio::test]
async fn shares_never_add_up_to_more_than_all_on_any_day_whoever_writes() {
    let site = Site::new().await;
    let acme = site.person(&[]).await;
    let party = party_of(&site, &acme).await;
    let body = json!({ "owners": [owner("Ann Able", 500_000)] });
    site.done(&acme, "register-entity", body).await;
    let client = site.world.admin().await;
    let insert = |share: i32, from: &str, to: &str| {
        format!(
            "with o as (insert into public.parties (kind) values ('person') returning id)
             insert into public.party_owners (party_id, owner_party_id, share_ppm, valid_from, valid_to)
             select '{party}', id, {share}, '{from}', {to} from o"
        )
    };
    for caller in [Caller::engine(), Caller::service(), Caller::operator()] {
        let over = insert(500_001, "2024-01-01", "'2024-01-02'");
        assert!(is_refused(&asked(&client, &caller, &over).await, "23514"), "{caller:?}");
        let before = insert(1_000_000, "2019-01-01", "'2020-01-01'");
        assert!(
            asked(&client, &caller, &before).await.is_ok(),
            "until the day before, all was another's"
        );
    }
    // Two at once, each of which would fit alone.
    let body = || json!({ "owner": owner("Ben Bold", 300_000) });
    let (one, two) = tokio::join!(
        site.call(&acme, "add-party-owner", body()),
        site.call(&acme, "add-party-owner", body())
    );
    let outcomes = [one.0, two.0];
    assert!(
        outcomes.contains(&StatusCode::OK) && outcomes.contains(&StatusCode::CONFLICT),
        "{one:?} {two:?}"
    );
}

#[tokio::test]
async fn a_thousand_standings_come_in_one_statement() {
    let site = Site::new().await;
    let client = site.world.admin().await;
    let sql = "insert into public.parties (kind) select 'person' from generate_series(1, 1000) returning id";
    let rows = client.query(sql, &[]).await.unwrap();
    let parties: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    let command = Command::begin(&site.app, Actor::Program("test")).await.unwrap();
    let found = standing::load(&command, &parties).await.unwrap();
    assert_eq!(found.len(), 1000);
    assert!(found.values().all(|standing| {
        standing.identity == Identity::None && standing.screening == Screening::Never && standing.insider_of.is_empty()
    }));
    assert!(standing::load(&command, &[Uuid::now_v7()]).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_acts_for_a_property_is_an_insider_and_so_is_the_entity_he_owns_a_part_of() {
    let site = Site::new().await;
    let house = crate::house::House::new(&site).await;
    let manager = party_of(&site, &house.manager).await;
    assert_eq!(standing_of(&site, manager).await.insider_of, [house.id]);
    let acme = site.person(&[]).await;
    let party = party_of(&site, &acme).await;
    let client = site.world.admin().await;
    let sql = "insert into public.party_owners (party_id, owner_party_id, share_ppm, valid_from) values ($1, $2, 1, '2020-01-01')";
    client.execute(sql, &[&party, &manager]).await.unwrap();
    assert_eq!(standing_of(&site, party).await.insider_of, [house.id]);
}
