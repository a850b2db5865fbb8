//! Erasing what the audit trail says about somebody whose data has to go. The rows, their digests and the chain stay.

use uuid::Uuid;

use crate::db::{Tx, sql};

/// The audit rows that still say something about a login: of its profile, its payment
/// methods, its documents and its cases of identity and accreditation. What carries value (investments, returns) is no data that a person can have erased.
///
/// # Errors
/// What the database answered.
pub async fn about_login(tx: &Tx, user_id: Uuid) -> Result<Vec<i64>, tokio_postgres::Error> {
    let text = sql!(
        "select d.audit_id
           from nexus.audit_details as d join public.audit_log as a on a.id = d.audit_id
          where (a.table_name = 'public.user_profiles' and a.row_key = $1)
             or (a.table_name in ('public.payment_methods', 'public.kyc_cases', 'public.kyc_documents',
                 'public.accreditation_cases') and $1 in (d.before ->> 'user_id', d.after ->> 'user_id'))
          order by d.audit_id"
    );
    let rows = tx.query(text, &[&user_id.to_string()]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Erases the details of audit rows, with a case for each. Returns how many had any.
///
/// # Errors
/// What the database answered.
pub async fn details(tx: &Tx, audit_ids: &[i64], reason: &str) -> Result<i64, tokio_postgres::Error> {
    let text = sql!("select nexus.erase_audit_details($1, $2)");
    tx.query_one(text, &[&audit_ids, &reason]).await?.try_get(0)
}
