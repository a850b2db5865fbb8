//! Whether what a client asks for can be had: tables, columns, values of filters, rights.

use super::{
    filter::{Operator, Term},
    registry::{Binding, Group},
    tables::{Table, Tables, is_past_policies},
};
use crate::{
    db::sql,
    rest::{
        session::{Session, Sessions},
        wire::WireError,
    },
};

/// Why it cannot.
#[derive(Debug)]
pub enum NotSo {
    /// The client asks for what is not there, or not for him: what he is told.
    Refused(String),
    /// The database cannot be asked.
    Unknown(super::asking::NoAnswer),
}

impl<E: Into<super::asking::NoAnswer>> From<E> for NotSo {
    fn from(error: E) -> NotSo {
        NotSo::Unknown(error.into())
    }
}

/// Makes sure of all that is asked for, with the rights of a group.
///
/// # Errors
/// See [`NotSo`].
pub async fn check(sessions: &Sessions, group: &Group, bindings: &[Binding]) -> Result<Vec<Binding>, NotSo> {
    let mut borrowed = sessions.borrow(group.role).await?;
    let session = borrowed.session()?;
    let mut checked = Vec::new();
    for binding in bindings {
        checked.push(one(session, group, binding.clone()).await?);
    }
    Ok(checked)
}

async fn one(session: &mut Session, group: &Group, mut binding: Binding) -> Result<Binding, NotSo> {
    let (Some(schema), Some(name)) = (&binding.schema, &binding.table) else {
        if binding.filter.is_empty() && binding.select.is_none() {
            return Ok(binding);
        }
        return Err(NotSo::Refused("a filter or a selection needs one table".to_owned()));
    };
    let oid = published(session, schema, name).await?;
    let Some(oid) = oid else {
        return Err(NotSo::Refused(format!(
            "Unable to subscribe to changes with given parameters. Please check Realtime is enabled for the given connect \
             parameters: [event: {}, schema: {schema}, table: {name}]",
            binding.event.map_or("*", super::wal::Kind::name)
        )));
    };
    let mut tables = Tables::default();
    tables.make_sure(session, &[oid], &[]).await?;
    tables.make_sure_of_rights(session, oid, group.role).await?;
    let readable = tables.readable(oid, group.role);
    let Some(table) = tables.get(oid) else {
        return Err(NotSo::Refused(format!("the table {schema}.{name} is gone")));
    };
    if readable.is_empty() || !table.key.iter().all(|column| readable.contains(column)) {
        let text = format!(
            "permission denied: {} may not read the key of {schema}.{name}",
            group.role
        );
        return Err(NotSo::Refused(text));
    }
    let hidden = table.policy_columns.iter().find(|column| !readable.contains(column));
    if let (Some(column), false) = (hidden, is_past_policies(group.role)) {
        let text = format!(
            "policies of {schema}.{name} decide by {column}, which {} may not read",
            group.role
        );
        return Err(NotSo::Refused(text));
    }
    for column in binding.select.iter().flatten() {
        if !readable.contains(column) {
            return Err(NotSo::Refused(format!("invalid column {column} in the selection")));
        }
    }
    for term in &mut binding.filter {
        typed(session, table, &readable, term).await?;
    }
    Ok(binding)
}

async fn published(session: &mut Session, schema: &str, name: &str) -> Result<Option<u32>, WireError> {
    let rows = session
        .rows(
            sql!(
                "select c.oid::text from pg_catalog.pg_publication_tables as p
                   join pg_catalog.pg_namespace as n on n.nspname = p.schemaname
                   join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = p.tablename
                 where p.pubname = 'supabase_realtime' and p.schemaname = $1::text and p.tablename = $2::text"
            ),
            &[schema, name],
        )
        .await?;
    let first = rows.first().and_then(|row| row.columns().next().flatten());
    Ok(first.and_then(|oid| std::str::from_utf8(oid).ok()?.parse().ok()))
}

/// Gives a term the type of its column, and its values as that type writes them.
async fn typed(session: &mut Session, table: &Table, readable: &[String], term: &mut Term) -> Result<(), NotSo> {
    let column = table
        .column(&term.column)
        .filter(|column| readable.contains(&column.name));
    let Some(column) = column else {
        return Err(NotSo::Refused(format!("invalid column for filter {}", term.column)));
    };
    (term.kind, term.cast) = (column.kind.clone(), column.cast.clone());
    if term.operator == Operator::Is {
        return Ok(());
    }
    for value in &mut term.values {
        // That the two can be compared at all, and a pattern is one.
        let compared = pgrest::changes::comparing(term.operator.sql(), &term.cast);
        refused(session.rows_of(&compared, &["{NULL}", value]).await, &term.column)?;
        let is_pattern = matches!(
            term.operator,
            Operator::Like | Operator::Ilike | Operator::Match | Operator::Imatch
        );
        if !is_pattern {
            let text = pgrest::changes::canonical(&term.cast);
            let rows = refused(session.rows_of(&text, &[value]).await, &term.column)?;
            if let Some(bytes) = rows.first().and_then(|row| row.columns().next().flatten()) {
                *value = String::from_utf8_lossy(bytes).into_owned();
            }
        }
    }
    Ok(())
}

fn refused<T>(result: Result<T, WireError>, column: &str) -> Result<T, NotSo> {
    result.map_err(|error| match error {
        WireError::Refused(fault) => NotSo::Refused(format!("invalid filter of {column}: {}", fault.message)),
        WireError::Lost(_) => error.into(),
    })
}
