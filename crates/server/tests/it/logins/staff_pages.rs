//! Forms of staff: what they show before they do something, and what they keep of what was typed.

use super::pages::signed_in_as;
use super::{Confirm, Desk};
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
    assert_eq!(page.status, 200, "another fee than the one that was shown is shown first");
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
