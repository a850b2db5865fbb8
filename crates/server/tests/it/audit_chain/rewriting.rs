//! What is done to the chain itself: its end cut off, links and seals changed, all of it written anew.

use super::chained::{AUDIT, ENTRY, OTHER_KEY, OUR_KEY};
use super::kept::{Kept, places};

#[tokio::test]
async fn a_cut_is_named_where_a_head_was_kept() {
    let kept = Kept::new().await;
    let newest = kept.head.batch.number;
    let (audit, _) = kept.chained.numbers(AUDIT).await;
    let (entries, _) = kept.chained.numbers(ENTRY).await;
    for (source, ids, rows) in [
        (
            AUDIT,
            &audit,
            "delete from public.audit_log where id >= $FROM; delete from nexus.audit_details where audit_id >= $FROM;",
        ),
        (
            ENTRY,
            &entries,
            "delete from ledger.entries where id >= $FROM; delete from ledger.postings where entry_id >= $FROM;",
        ),
    ] {
        for at in places(&kept, source).await {
            let from = ids[at];
            let seal = kept.chained.seal_of(source, from).await;
            let links = format!(
                "delete from nexus.chain_links where place > coalesce((select links_up_to from nexus.seals where number = {seal} - 1), 0);
                 delete from nexus.seals where number >= {seal}"
            );
            let [without, with] = kept
                .told(&format!("{} {links}", rows.replace("$FROM", &from.to_string())))
                .await;
            assert_eq!(
                without,
                Vec::<String>::new(),
                "a cut at a seal leaves a chain that is true"
            );
            let told = format!(
                "cut: seal {newest} was exported, and the chain in the database ends at seal {}",
                seal - 1
            );
            assert_eq!(with, [told]);
        }
    }
    // What is cut without its links is named without a head as well.
    for at in places(&kept, AUDIT).await {
        let gone = |id: &i64| format!("removed details: audit row {id} has no details, and no recorded case says why");
        let sql = format!("delete from nexus.audit_details where audit_id >= {}", audit[at]);
        kept.is_told(&sql, &audit[at..].iter().map(gone).collect::<Vec<_>>())
            .await;
        let gone = |id: &i64| format!("removed: audit row {id}");
        let sql = format!("delete from public.audit_log where id >= {}", audit[at]);
        kept.is_told(&sql, &audit[at..].iter().map(gone).collect::<Vec<_>>())
            .await;
    }
    for at in places(&kept, ENTRY).await {
        let altered = |id: &i64| format!("altered: ledger entry {id}");
        let sql = format!("delete from ledger.postings where entry_id >= {}", entries[at]);
        kept.is_told(&sql, &entries[at..].iter().map(altered).collect::<Vec<_>>())
            .await;
    }
}

#[tokio::test]
async fn the_chain_itself_is_held_together() {
    let kept = Kept::new().await;
    let newest = kept.head.batch.number;
    let (audit, _) = kept.chained.numbers(AUDIT).await;
    let text = "select l.place, l.source_id from nexus.seals s join nexus.chain_links l on l.place = s.links_up_to + 1 where s.number = 2";
    let row = kept.chained.admin.query_one(text, &[]).await.unwrap();
    let (behind_second, its_row): (i64, i64) = (row.get(0), row.get(1));
    let unlike = |place: i64, row: i64| {
        format!("chain broken: link {place} (audit row {row}) does not follow from the one before it")
    };
    let alter_seal = |change: &str| format!("update nexus.seals set {change} where number = 2");
    for (sql, expected) in [
        (
            "update nexus.chain_links set link = sha256(link) where place = 3".to_owned(),
            vec![unlike(3, audit[2]), unlike(4, audit[3])],
        ),
        (
            "update nexus.chain_links set row_digest = sha256(row_digest) where place = 3".to_owned(),
            vec![unlike(3, audit[2]), format!("altered: audit row {}", audit[2])],
        ),
        (
            "delete from nexus.chain_links where place = 3".to_owned(),
            vec![
                "chain broken: link 3 missing".to_owned(),
                format!("inserted: audit row {} was never sealed", audit[2]),
            ],
        ),
        (
            "delete from nexus.seals where number = 2".to_owned(),
            vec![
                unlike(behind_second, its_row),
                "chain broken: seal 2 missing".to_owned(),
            ],
        ),
        (
            alter_seal("sealed_at = sealed_at - interval '1 day'"),
            vec!["chain broken: seal 2 does not say what its links say".to_owned()],
        ),
        (
            alter_seal("audit_up_to = audit_up_to - 1"),
            vec!["chain broken: seal 2 does not say what its links say".to_owned()],
        ),
        (
            alter_seal("signature = decode(repeat('00', 64), 'hex')"),
            vec!["chain broken: seal 2 has a wrong signature".to_owned()],
        ),
    ] {
        let [without, with] = kept.told(&sql).await;
        assert_eq!(without, with, "{sql}");
        let misplaced = |told: &&String| !told.ends_with("is not where its seal has it");
        assert_eq!(
            without.iter().filter(misplaced).cloned().collect::<Vec<_>>(),
            expected,
            "{sql}"
        );
    }
    let [without, with] = kept
        .told(&format!("delete from nexus.seals where number = {newest}"))
        .await;
    assert!(
        without.len() == 1 && without[0].ends_with("belongs to no seal"),
        "{without:?}"
    );
    assert!(with.iter().any(|told| told.starts_with("cut: ")), "{with:?}");
}

/// Somebody who has the database, and time: he rewrites a row and everything that hangs on it.
#[tokio::test]
async fn who_rewrites_everything_is_found_by_his_key_or_by_the_head() {
    let kept = Kept::new().await;
    let (audit, _) = kept.chained.numbers(AUDIT).await;
    let rewrite = format!(
        "update public.audit_log set actor_role = 'somebody' where id = {}; delete from nexus.chain_links; delete from nexus.seals",
        audit[0]
    );
    for (key, alone) in [(OTHER_KEY, "unknown key: "), (OUR_KEY, "")] {
        kept.chained.tamper(&rewrite).await;
        kept.chained.seal_all(&kept.chained.sealer(key)).await;
        let (without, summary) = kept.chained.verified(Vec::new()).await;
        let (with, anchored) = kept.chained.verified(vec![kept.head.clone()]).await;
        if alone.is_empty() {
            assert_eq!(without, Vec::<String>::new(), "with the key, nothing inside tells");
            assert!(summary.to_text().contains("not externally anchored"));
        } else {
            assert!(without[0].starts_with(alone), "{without:?}");
        }
        let is_outside = |told: &String| told.starts_with("rewritten: seal") || told.starts_with("cut: seal");
        assert!(with.iter().any(is_outside), "{with:?}");
        assert_eq!(anchored.anchored_to, None);
    }
}
