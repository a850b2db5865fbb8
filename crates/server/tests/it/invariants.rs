//! docs/INVARIANTS.md names what enforces each law and what shows it: everything that it names is there.

use std::{collections::BTreeSet, fs, path::Path};

use nexus_mint::ledger::laws::LAWS;

use crate::tidy::repository_files;

/// The rows of the table, each with its cells.
fn rows(page: &str) -> Vec<Vec<String>> {
    page.lines()
        .filter(|line| line.starts_with("| **L"))
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// What stands in backquotes.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The law's number of a row, such as `L13`.
fn law(row: &[String]) -> &str {
    row[0].split("**").nth(1).unwrap()
}

/// Whether a function of that name is in a file whose path has the name of its module.
fn is_function(files: &[(String, String)], name: &str) -> bool {
    let mut parts = name.rsplit("::");
    let (function, module) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    files.iter().any(|(path, text)| {
        let is_of_module = Path::new(path)
            .with_extension("")
            .components()
            .any(|part| part.as_os_str() == module);
        is_of_module
            && [format!("fn {function}("), format!("fn {function}<")]
                .iter()
                .any(|head| text.contains(head))
    })
}

#[test]
fn every_law_has_a_row_whose_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/INVARIANTS.md")).unwrap();
    let schema = fs::read_to_string(root.join("supabase/schema.sql")).unwrap();
    let words: BTreeSet<&str> = schema
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
        .collect();
    let files: Vec<(String, String)> = repository_files()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .collect();
    let rows = rows(&page);
    let laws: Vec<&str> = rows.iter().map(|row| law(row)).collect();
    let all: Vec<String> = (1..=16).map(|number| format!("L{number}")).collect();
    assert_eq!(laws, all, "each law has one row, in order");

    let mut missing = Vec::new();
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        for name in names(&row[1]) {
            let in_schema = name
                .split('.')
                .next_back()
                .is_some_and(|last| words.contains(last) || words.contains(name));
            if !in_schema {
                missing.push(format!("{}: {name} is not in the schema", law(row)));
            }
        }
        for name in names(&row[2]).into_iter().chain(names(&row[3])) {
            if !is_function(&files, name) {
                missing.push(format!("{}: there is no function {name}", law(row)));
            }
        }
        if names(&row[3]).is_empty() {
            missing.push(format!("{}: no test shows it", law(row)));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_query_is_of_a_law_of_the_page() {
    for asked in LAWS {
        let number: u32 = asked.law.trim_start_matches('L').parse().unwrap_or_default();
        assert!((1..=16).contains(&number), "{}: {}", asked.law, asked.says);
    }
    // L2 and L15 are said of what is done, not of what is there; L10 of what was there at an instant.
    let asked: BTreeSet<&str> = LAWS.iter().map(|asked| asked.law).collect();
    for number in [1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16] {
        let law = format!("L{number}");
        assert!(asked.contains(law.as_str()), "{law} is asked of no database");
    }
}
