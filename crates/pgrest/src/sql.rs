//! Plans as SQL: one statement each, values as binds, names quoted.
//!
//! Every statement gives one row of [`COLUMNS`]. Values are sent as text of no type, so that PostgreSQL reads each as
//! the type of what it is held against.

mod call;
mod field;
mod node;
mod statement;
mod write;

use std::fmt::Write as _;

use crate::{
    media::PlanType,
    name::quoted,
    plan::{Shape, read::Tree},
    schema::Schema,
};
pub(crate) use call::call;
pub(crate) use write::write;

/// What the one row of a statement has, in order: the total (if it was counted), how many rows, the body, the headers
/// and the status that a function set, where the new row is, how many rows are new.
pub const COLUMNS: [&str; 7] = ["total", "rows", "body", "headers", "status", "location", "inserted"];

/// SQL with its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// The text, with `$1` and so on.
    pub text: String,
    /// The values; PostgreSQL reads them as text.
    pub binds: Vec<Option<String>>,
}

/// What is counted beside the rows of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// Nothing.
    None,
    /// All rows.
    All,
    /// All rows up to a number.
    UpTo(Option<i64>),
}

impl Statement {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn name(&mut self, name: &str) {
        self.text.push_str(&quoted(name));
    }

    fn bind(&mut self, value: &str) {
        self.binds.push(Some(value.to_owned()));
        let at = self.binds.len();
        // Writing to a String cannot fail.
        let _ = write!(self.text, "${at}");
    }

    /// A list with something between its items.
    fn joined<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        between: &str,
        mut item: impl FnMut(&mut Statement, T),
    ) {
        for (at, value) in items.into_iter().enumerate() {
            if at > 0 {
                self.push(between);
            }
            item(self, value);
        }
    }

    /// The same as a question for PostgreSQL's plan.
    #[must_use]
    pub fn explained(mut self, plan: &PlanType) -> Statement {
        let mut options = vec![if plan.as_json { "FORMAT JSON" } else { "FORMAT TEXT" }.to_owned()];
        options.extend(plan.options.iter().map(|option| option.to_ascii_uppercase()));
        self.text = format!("EXPLAIN ({}) {}", options.join(", "), self.text);
        self
    }
}

/// A call that comes before a request's own statement; `function` is quoted already.
#[must_use]
pub fn before(function: &str) -> String {
    format!("SELECT {function}()")
}

/// A read.
pub(crate) fn read(schema: &Schema, tree: &Tree, shape: &Shape, total: Total, is_head: bool) -> Statement {
    let mut sql = Statement::default();
    sql.push("WITH pgrst_source AS (");
    node::select(&mut sql, schema, tree, None, node::Mode::Full);
    sql.push(") SELECT ");
    match total {
        Total::None => sql.push("NULL::bigint"),
        Total::All => {
            sql.push("(SELECT count(*) FROM (");
            node::count(&mut sql, schema, tree, None);
            sql.push(") AS pgrst_all)");
        }
        Total::UpTo(rows) => {
            sql.push("(SELECT count(*) FROM (");
            node::count(&mut sql, schema, tree, rows);
            sql.push(") AS pgrst_all)");
        }
    }
    sql.push(" AS \"total\", ");
    statement::rest(&mut sql, shape, None, is_head);
    sql
}

/// What the planner thinks of the size of a read.
pub(crate) fn estimate(schema: &Schema, tree: &Tree) -> Statement {
    let mut sql = Statement::default();
    sql.push("EXPLAIN (FORMAT JSON) ");
    node::count(&mut sql, schema, tree, None);
    sql
}
