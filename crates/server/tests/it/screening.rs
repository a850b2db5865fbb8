//! Screening against lists of the operator: what resembles is for an officer, and the party never learns of it.

use chrono::TimeDelta;
use mint_core::compliance::Screening;
use nexus_mint::command::Command;
use nexus_mint::compliance::{jobs, screening};
use nexus_mint::db::Actor;
use serde_json::json;
use uuid::Uuid;

use crate::applicant::{approval, clear, party_of, standing_of, submit};
use crate::callers::{Caller, asked, is_refused};
use crate::site::Site;
use crate::world::{Person, World};

async fn load(site: &Site, text: &str) -> Result<usize, String> {
    let command = Command::begin(&site.app, Actor::Program("test")).await.unwrap();
    let loaded = screening::load(&command, "sanctions", text.as_bytes()).await;
    if loaded.is_ok() {
        command.commit().await.unwrap();
    }
    loaded.map_err(|problem| problem.to_string())
}

async fn screen_due(site: &Site) -> usize {
    let command = Command::begin(&site.app, Actor::Program("test")).await.unwrap();
    let count = jobs::screen_due(&command).await.unwrap();
    command.commit().await.unwrap();
    count
}

#[tokio::test]
async fn what_resembles_a_list_is_looked_at_and_what_was_looked_at_is_not_asked_again() {
    let site = Site::over(World::own_database().await);
    let (ada, officer) = (site.person(&[]).await, site.person(&["compliance_officer"]).await);
    let party = party_of(&site, &ada).await;
    assert_eq!(
        load(&site, "key,name\n1,Augusta Ada Lovelace\n2,Somebody Else\n").await,
        Ok(2)
    );
    let case = submit(&site, &ada).await;
    site.done(&officer, "verify-kyc", json!({ "action": "take", "caseId": case }))
        .await;
    assert_eq!(
        site.refused(&officer, "verify-kyc", approval(case)).await.0,
        "kyc.screened"
    );
    let found = site.done(&officer, "screen-party", json!({ "partyId": party })).await;
    assert_eq!(found["screenings"][0]["status"], "possible_match", "{found}");
    assert_eq!(found["screenings"][0]["hits"], json!(["sanctions/1"]));
    let standing = standing_of(&site, party).await;
    assert_eq!(standing.screening, Screening::PossibleMatch);
    assert!(
        !standing.screened(site.now()).unwrap_err().to_string().contains("list"),
        "nothing is told"
    );
    site.done(&officer, "screen-party", json!({ "partyId": party })).await;
    assert_eq!(
        standing_of(&site, party).await.screening,
        Screening::PossibleMatch,
        "only an officer lifts it"
    );

    clear(&site, &officer, party).await;
    site.done(&officer, "verify-kyc", approval(case)).await;
    let due_at = site.now() + TimeDelta::days(30);
    assert_eq!(
        standing_of(&site, party).await.screening,
        Screening::Clear { due_at },
        "the same hit as before"
    );
    site.set_now(due_at - TimeDelta::microseconds(1));
    assert!(standing_of(&site, party).await.screened(site.now()).is_ok());
    assert_eq!(screen_due(&site).await, 0);
    site.set_now(due_at);
    assert!(
        standing_of(&site, party).await.screened(site.now()).is_err(),
        "due, and not made again yet"
    );
    assert_eq!(screen_due(&site).await, 1);
    assert!(standing_of(&site, party).await.screened(site.now()).is_ok());

    // A newer list with one more entry that resembles: the next comparison asks again.
    assert_eq!(
        load(&site, "key,name\n1,Augusta Ada Lovelace\n7,\"LOVELACE, Ada\"\n").await,
        Ok(2)
    );
    site.advance(TimeDelta::days(30));
    assert_eq!(screen_due(&site).await, 1);
    assert_eq!(standing_of(&site, party).await.screening, Screening::PossibleMatch);
    let body = json!({ "partyId": party, "status": "match", "provider": "an officer", "reference": "file 7" });
    site.done(&officer, "record-screening", body).await;
    site.advance(TimeDelta::days(31));
    assert_eq!(
        screen_due(&site).await,
        0,
        "a match stays until an officer says otherwise"
    );
    assert_eq!(standing_of(&site, party).await.screening, Screening::Match);

    let client = site.world.admin().await;
    let own = Caller::of(&Person {
        id: ada.id,
        is_staff: false,
    });
    assert!(is_refused(
        &asked(&client, &own, "select from public.party_screenings").await,
        "42501"
    ));
    let sql =
        "select count(*) from public.notifications where user_id = $1 and (title || message) ~* 'list|screen|match'";
    let told: i64 = client.query_one(sql, &[&ada.id]).await.unwrap().get(0);
    assert_eq!(told, 0);
}

#[tokio::test]
async fn a_list_is_loaded_whole_or_not_at_all() {
    let site = Site::over(World::own_database().await);
    for (text, said) in [
        ("name,key\n1,A B\n", "line 1: the first line begins with key,name"),
        (
            "key,name\n1,A B\n,C D\n",
            "line 3: a key of 1 to 100 bytes and a name with letters are needed",
        ),
        ("key,name\n", "the list is empty"),
    ] {
        assert_eq!(load(&site, text).await, Err(said.to_owned()));
    }
    let client = site.world.admin().await;
    let sql = "select count(*) from nexus.screening_entries";
    let count: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
    let many: String = (0..12_000).fold("key,name\n".to_owned(), |text, n| format!("{text}{n},Name {n}\n"));
    assert_eq!(load(&site, &many).await, Ok(12_000));
    let count: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(count, 12_000);
}

#[tokio::test]
async fn without_a_list_nothing_is_made_up() {
    let site = Site::over(World::own_database().await);
    let (ada, officer) = (site.person(&[]).await, site.person(&["compliance_officer"]).await);
    let party = party_of(&site, &ada).await;
    site.done(&officer, "screen-party", json!({ "partyId": party })).await;
    assert_eq!(standing_of(&site, party).await.screening, Screening::Never);
    let (status, _) = site
        .call(&officer, "screen-party", json!({ "partyId": Uuid::now_v7() }))
        .await;
    assert_eq!(status.as_u16(), 404);
    let (status, _) = site
        .call(
            &ada,
            "record-screening",
            json!({ "partyId": party, "status": "clear", "provider": "me" }),
        )
        .await;
    assert_eq!(status.as_u16(), 403);
}
