//! `sql!`: a statement as a literal beside the Rust that reads its rows, registered so that one test can prepare
//! every statement of the program against the migrated schema.

/// A statement of the program and where it stands.
#[derive(Debug)]
pub struct RegisteredStatement {
    /// The SQL.
    pub text: &'static str,
    /// Source file.
    pub file: &'static str,
    /// Line in it.
    pub line: u32,
}

inventory::collect!(RegisteredStatement);

/// Every statement in the program, in no particular order.
pub fn registered_statements() -> impl Iterator<Item = &'static RegisteredStatement> {
    inventory::iter::<RegisteredStatement>.into_iter()
}

/// A literal SQL statement: `sql!("select ...")` is the `&'static str`, and known to [`registered_statements`].
macro_rules! sql {
    ($text:literal) => {{
        inventory::submit! {
            $crate::db::RegisteredStatement { text: $text, file: file!(), line: line!() }
        }
        $text
    }};
}

pub(crate) use sql;
