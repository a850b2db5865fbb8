//! Every way to change sealed rows, at every kind of place: each is named, by row, with a head from outside and without.

use super::chained::{AUDIT, ENTRY};
use super::kept::{Kept, places};

#[tokio::test]
async fn whatever_is_altered_is_named() {
    let kept = Kept::new().await;
    let (audit, _) = kept.chained.numbers(AUDIT).await;
    for at in places(&kept, AUDIT).await {
        let id = audit[at];
        for change in [
            "recorded_at = recorded_at + interval '1 microsecond'",
            "recorded_at = 'infinity'",
            "transaction_id = '1'",
            "actor_id = gen_random_uuid()",
            "actor_role = 'somebody'",
            "table_name = 'public.other'",
            "operation = 'DELETE'",
            "row_key = row_key || ' '",
            "changed_columns = changed_columns[2:]",
            "changed_columns = array[changed_columns, changed_columns]",
            "digest = sha256(digest)",
        ] {
            kept.is_told(
                &format!("update public.audit_log set {change} where id = {id}"),
                &[format!("altered: audit row {id}")],
            )
            .await;
        }
        for change in [
            "salt = sha256(salt)",
            "before = '{}'",
            "after = null",
            "after = after || '{\"legal_name\": \"Eve\"}'",
        ] {
            kept.is_told(
                &format!("update nexus.audit_details set {change} where audit_id = {id}"),
                &[format!(
                    "altered details: audit row {id}: its details are not those that its digest binds"
                )],
            )
            .await;
        }
    }
    let (entries, _) = kept.chained.numbers(ENTRY).await;
    for at in places(&kept, ENTRY).await {
        let id = entries[at];
        let altered = [format!("altered: ledger entry {id}")];
        for change in [
            "key = key || '0'",
            "kind = 'test.other'",
            "business_date = business_date + 1",
            "recorded_at = recorded_at - interval '2025 years'",
            "transaction_id = '1'",
            "actor_id = gen_random_uuid()",
            "cause = '{\"a\": 1.0}'",
            "digest = sha256(digest)",
        ] {
            kept.is_told(&format!("update ledger.entries set {change} where id = {id}"), &altered)
                .await;
        }
        for change in [
            "line = 9",
            "account_id = 99",
            "amount = -1",
            "account_seq = 999",
            "balance_after = 0",
        ] {
            let sql = format!("update ledger.postings set {change} where entry_id = {id} and line = 1");
            kept.is_told(&sql, &altered).await;
        }
    }
    // Who gives an account to another changes what all of its entries say.
    let account = kept.chained.accounts[1];
    for change in ["asset = 'XXX'", "purpose = 'other'"] {
        let altered = entries.iter().map(|id| format!("altered: ledger entry {id}"));
        let sql = format!("update ledger.accounts set {change} where id = {account}");
        kept.is_told(&sql, &altered.collect::<Vec<_>>()).await;
        let put_back = "update ledger.accounts set asset = 'USD', purpose = 'platform_fees'";
        kept.chained.tamper(&format!("{put_back} where id = {account}")).await;
    }
}

#[tokio::test]
async fn whatever_is_removed_is_named() {
    let kept = Kept::new().await;
    let (audit, _) = kept.chained.numbers(AUDIT).await;
    for at in places(&kept, AUDIT).await {
        let id = audit[at];
        let removed = [format!("removed: audit row {id}")];
        kept.is_told(&format!("delete from public.audit_log where id = {id}"), &removed)
            .await;
        let sql = format!(
            "delete from public.audit_log where id = {id}; delete from nexus.audit_details where audit_id = {id}"
        );
        kept.is_told(&sql, &removed).await;
        let gone = format!("removed details: audit row {id} has no details, and no recorded case says why");
        let sql = format!("delete from nexus.audit_details where audit_id = {id}");
        kept.is_told(&sql, std::slice::from_ref(&gone)).await;
        // A case that nobody recorded excuses nothing.
        let forged = format!("{sql}; insert into nexus.audit_erasures (audit_id, reason) values ({id}, 'forged')");
        kept.is_told(&forged, &[gone]).await;
    }
    let (entries, _) = kept.chained.numbers(ENTRY).await;
    for at in places(&kept, ENTRY).await {
        let id = entries[at];
        let entry = format!("delete from ledger.entries where id = {id}");
        let removed = format!("removed: ledger entry {id}");
        let postings = format!("delete from ledger.postings where entry_id = {id}");
        kept.is_told(&format!("{entry}; {postings}"), std::slice::from_ref(&removed))
            .await;
        let left = format!("inserted: ledger entry {id} does not exist and has postings");
        kept.is_told(&entry, &[removed, left]).await;
        let altered = [format!("altered: ledger entry {id}")];
        kept.is_told(&postings, &altered).await;
        kept.is_told(&format!("{postings} and line = 2"), &altered).await;
    }
}

#[tokio::test]
async fn whatever_is_inserted_is_named() {
    let kept = Kept::new().await;
    let (audit, gaps) = kept.chained.numbers(AUDIT).await;
    let copy =
        "overriding system value select $GAP, now(), '1', null, 'x', 'public.parties', 'INSERT', 'x', '{}', sha256('')";
    for gap in [gaps[0], gaps[gaps.len() / 2], gaps[gaps.len() - 1]] {
        let row = format!(
            "insert into public.audit_log {}",
            copy.replace("$GAP", &gap.to_string())
        );
        let details = format!("insert into nexus.audit_details values ({gap}, sha256(''), null, '{{}}')");
        let inserted = [format!("inserted: audit row {gap} was never sealed")];
        kept.is_told(&row, &inserted).await;
        kept.is_told(&format!("{row}; {details}"), &inserted).await;
        let alone = [format!(
            "inserted details: audit row {gap} has details that it should not have"
        )];
        kept.is_told(&details, &alone).await;
        let moved = audit[3];
        kept.is_told(
            &format!("update public.audit_log set id = {gap} where id = {moved}"),
            &in_order(&[
                (moved, format!("removed: audit row {moved}")),
                (
                    gap,
                    format!("reordered: audit row {gap} says what audit row {moved} said when it was sealed"),
                ),
            ]),
        )
        .await;
    }
    let (entries, gaps) = kept.chained.numbers(ENTRY).await;
    for gap in [gaps[0], gaps[gaps.len() / 2], gaps[gaps.len() - 1]] {
        let row = format!(
            "insert into ledger.entries overriding system value select {gap}, 'x', kind, business_date, recorded_at, transaction_id, actor_id, cause, digest
             from ledger.entries where id = {}",
            entries[0]
        );
        let posting = format!("insert into ledger.postings values ({gap}, 1, 1, 5, 1001, 5)");
        let inserted = [format!("inserted: ledger entry {gap} was never sealed")];
        kept.is_told(&row, &inserted).await;
        kept.is_told(&format!("{row}; {posting}"), &inserted).await;
        let alone = [format!("inserted: ledger entry {gap} does not exist and has postings")];
        kept.is_told(&posting, &alone).await;
    }
    for at in places(&kept, ENTRY).await {
        let id = entries[at];
        let posting = format!("insert into ledger.postings values ({id}, 3, 1, 5, 1001, 5)");
        kept.is_told(&posting, &[format!("altered: ledger entry {id}")]).await;
    }
}

/// Findings come by number.
fn in_order(findings: &[(i64, String)]) -> Vec<String> {
    let mut findings = findings.to_vec();
    findings.sort();
    findings.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn whatever_is_reordered_is_named() {
    let kept = Kept::new().await;
    let swapped = |what: &str, one: i64, other: i64| {
        let told = |id, from| format!("reordered: {what} {id} says what {what} {from} said when it was sealed");
        [told(one, other), told(other, one)]
    };
    let swap = |table: &str, column: &str, one: i64, other: i64| {
        format!(
            "update {table} set {column} = -1 where {column} = {one}; update {table} set {column} = {one} where {column} = {other};
             update {table} set {column} = {other} where {column} = -1;"
        )
    };
    let (audit, _) = kept.chained.numbers(AUDIT).await;
    let (entries, _) = kept.chained.numbers(ENTRY).await;
    // Neighbours everywhere, inside a seal and on both sides of its border, and the two ends of the chain.
    let pairs = |ids: &[i64]| -> Vec<(i64, i64)> {
        let neighbours = ids.windows(2).map(|pair| (pair[0], pair[1]));
        neighbours.chain([(ids[0], ids[ids.len() - 1])]).collect()
    };
    for (one, other) in pairs(&audit) {
        let rows = swap("public.audit_log", "id", one, other);
        let details = swap("nexus.audit_details", "audit_id", one, other);
        let expected = swapped("audit row", one, other);
        kept.is_told(&rows, &expected).await;
        kept.is_told(&format!("{rows} {details}"), &expected).await;
        let told = |id, from| format!("reordered details: audit row {id} has the details of audit row {from}");
        kept.is_told(&details, &[told(one, other), told(other, one)]).await;
    }
    for (one, other) in pairs(&entries) {
        let rows = swap("ledger.entries", "id", one, other);
        let postings = swap("ledger.postings", "entry_id", one, other);
        kept.is_told(&format!("{rows} {postings}"), &swapped("ledger entry", one, other))
            .await;
        let altered = [one, other].map(|id| format!("altered: ledger entry {id}"));
        kept.is_told(&rows, &altered).await;
        kept.is_told(&postings, &altered).await;
        let lines = |change: &str| format!("update ledger.postings set line = {change} where entry_id = {one};");
        kept.is_told(
            &format!("{} {}", lines("line + 10"), lines("13 - line")),
            &[format!("altered: ledger entry {one}")],
        )
        .await;
    }
}
