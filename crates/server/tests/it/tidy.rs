//! The repository held to its own rules. A check is a function over one file's path and text that answers with its
//! complaints; each has a test beside it that shows it complaining.

mod proofs;
mod rust_text;
mod sql_text;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rust_text::RustText;

const SOURCE_LINES_MAX: usize = 600;
const NAMES_THAT_EXPLAIN_NOTHING: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager", "models"];
const CORE_MAY_USE: &[&str] = &["serde", "uuid", "chrono", "thiserror"];
const CORE_TESTS_MAY_USE: &[&str] = &["proptest"];
const PROTOCOLS: &[&str] = &["auth", "rest", "storage", "realtime"];
const DOMAIN: &[&str] = &[
    "properties",
    "property_audits",
    "tokenization",
    "offerings",
    "investments",
    "holdings",
    "distributions",
    "compliance",
    "documents",
    "payments",
    "notifications",
    "assistant",
    "chain",
    "reports",
];

type Check = fn(&str, &str) -> Vec<String>;

#[test]
fn every_file_is_tidy() {
    let checks: &[Check] = &[
        migration_is_named_for_the_cli,
        source_is_short,
        module_name_explains,
        environment_is_read_in_config_only,
        core_knows_no_clock,
        core_manifest_lists_no_io,
        core_has_no_floats,
        protocols_and_domain_are_strangers,
        sql_is_registered,
        nothing_is_left_undone,
        links_lead_somewhere,
    ];
    let files = repository_files();
    assert!(
        files.iter().any(|(path, _)| path == "crates/core/Cargo.toml"),
        "the walk finds the repository"
    );
    let complaints: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| {
            let said = checks.iter().flat_map(|check| check(path, text));
            said.map(|complaint| format!("{path}: {complaint}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn one_migration_alone_touches_the_platforms_schemas() {
    let touching: BTreeSet<String> = repository_files()
        .into_iter()
        .filter(|(path, text)| path.starts_with("supabase/migrations/") && touches_the_platform(text))
        .map(|(path, _)| path)
        .collect();
    assert!(touching.len() <= 1, "put these statements into one file: {touching:?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Every text file that is ours, with its path from the root.
pub(crate) fn repository_files() -> Vec<(String, String)> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_symlink() || ["target", "node_modules", ".git"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.push((path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_source(path: &str) -> bool {
    is_rust(path) && path.starts_with("crates/") && path.contains("/src/")
}

fn is_core(path: &str) -> bool {
    is_source(path) && path.starts_with("crates/core/")
}

/// Names and numbers of code, in order.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
}

fn migration_is_named_for_the_cli(path: &str, _: &str) -> Vec<String> {
    let Some(name) = path.strip_prefix("supabase/migrations/") else {
        return Vec::new();
    };
    let digits = name.len() - name.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let fits = digits > 0 && name[digits..].starts_with('_') && name.ends_with(".sql");
    if fits {
        Vec::new()
    } else {
        vec!["Supabase's CLI takes only NUMBER_name.sql here".to_owned()]
    }
}

fn touches_the_platform(script: &str) -> bool {
    sql_text::statements(script)
        .iter()
        .any(|statement| sql_text::touches_platform_schema(statement))
}

fn source_is_short(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if is_source(path) && lines > SOURCE_LINES_MAX {
        return vec![format!(
            "{lines} lines: past 400 look for a seam, {SOURCE_LINES_MAX} is the end"
        )];
    }
    Vec::new()
}

fn module_name_explains(path: &str, text: &str) -> Vec<String> {
    if !is_rust(path) {
        return Vec::new();
    }
    let from_path = path.trim_end_matches(".rs").split('/').map(str::to_owned);
    let code = RustText::of(text).code;
    let declared = words(&code)
        .zip(words(&code).skip(1))
        .filter(|(word, _)| *word == "mod")
        .map(|(_, name)| name.to_owned());
    from_path
        .chain(declared)
        .filter(|name| NAMES_THAT_EXPLAIN_NOTHING.contains(&name.as_str()))
        .map(|name| format!("`{name}` fits everything and explains nothing"))
        .collect()
}

/// `PATH` is where the system keeps its programs, not a setting of ours.
fn environment_is_read_in_config_only(path: &str, text: &str) -> Vec<String> {
    if !is_source(path) || path.ends_with("/config.rs") || path.contains("/config/") {
        return Vec::new();
    }
    let parts = RustText::of(text);
    let code: String = parts.code.split_whitespace().collect();
    let settings_asked = |ask: &&&str| {
        let paths = parts
            .literals
            .iter()
            .filter(|literal| literal.text == "PATH" && literal.before.ends_with(**ask));
        code.matches(**ask).count() > paths.count()
    };
    let asks = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
    let found = asks.iter().filter(settings_asked);
    found
        .map(|ask| format!("`{ask}`: settings are read in config.rs and passed on"))
        .collect()
}

fn core_knows_no_clock(path: &str, text: &str) -> Vec<String> {
    if !is_core(path) {
        return Vec::new();
    }
    let code: String = RustText::of(text).code.split_whitespace().collect();
    let clocks = [
        "Utc::now",
        "Local::now",
        "SystemTime::now",
        "Instant::now",
        "Uuid::now_v7",
        "Uuid::new_v4",
    ];
    let found = clocks.iter().filter(|clock| code.contains(*clock));
    found
        .map(|clock| format!("`{clock}`: core takes now and ids as arguments"))
        .collect()
}

fn core_manifest_lists_no_io(path: &str, text: &str) -> Vec<String> {
    if path != "crates/core/Cargo.toml" {
        return Vec::new();
    }
    let manifest: toml::Table = text.parse().unwrap();
    let listed = |section: &str, allowed: &[&str]| -> Vec<String> {
        let table = manifest.get(section).and_then(toml::Value::as_table);
        let names = table.into_iter().flat_map(toml::Table::keys);
        names
            .filter(|name| !allowed.contains(&name.as_str()))
            .cloned()
            .collect()
    };
    let tests_may_use: Vec<&str> = CORE_MAY_USE.iter().chain(CORE_TESTS_MAY_USE).copied().collect();
    [
        listed("dependencies", CORE_MAY_USE),
        listed("dev-dependencies", &tests_may_use),
        listed("build-dependencies", &[]),
        listed("target", &[]),
    ]
    .concat()
    .into_iter()
    .map(|name| format!("`{name}` is not on the list of what core may use"))
    .collect()
}

fn core_has_no_floats(path: &str, text: &str) -> Vec<String> {
    if !is_core(path) {
        return Vec::new();
    }
    let code = RustText::of(text).code;
    let found = words(&code).filter(|word| word.ends_with("f32") || word.ends_with("f64"));
    found
        .map(|word| format!("`{word}`: no floating point touches an amount"))
        .collect()
}

fn protocols_and_domain_are_strangers(path: &str, text: &str) -> Vec<String> {
    let Some(inner) = path.strip_prefix("crates/server/src/").filter(|_| is_rust(path)) else {
        return Vec::new();
    };
    let module = inner.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    let forbidden: Vec<&str> = if PROTOCOLS.contains(&module) {
        DOMAIN.to_vec()
    } else if DOMAIN.contains(&module) {
        PROTOCOLS.iter().chain(&["console"]).copied().collect()
    } else {
        return Vec::new();
    };
    let known = crate_modules_named(&RustText::of(text).code);
    let found = known.iter().filter(|name| forbidden.contains(&name.as_str()));
    found
        .map(|name| format!("`{module}` may not know `{name}`: let functions, router or jobs bring them together"))
        .collect()
}

/// What follows `crate::`, alone or in braces.
fn crate_modules_named(code: &str) -> BTreeSet<String> {
    let code: String = code.split_whitespace().collect();
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            names.extend(words(after).next().map(str::to_owned));
            continue;
        };
        let mut depth = 0;
        let mut top = String::new();
        for letter in group.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ if depth == 0 => top.push(letter),
                _ => {}
            }
        }
        names.extend(top.split(',').filter_map(|path| words(path).next()).map(str::to_owned));
    }
    names
}

/// The samples of unit tests, which stand at the end of a file, are no statements of the program.
fn sql_is_registered(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("crates/server/src/") || !is_rust(path) {
        return Vec::new();
    }
    let program = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let found = RustText::of(program)
        .literals
        .into_iter()
        .filter(|literal| begins_like_sql(&literal.text));
    found
        .filter(|literal| !literal.before.ends_with("sql!("))
        .map(|literal| format!("line {}: SQL outside sql! is never prepared by a test", literal.line))
        .collect()
}

fn begins_like_sql(literal: &str) -> bool {
    let lower = literal.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().take(6).collect();
    match words.as_slice() {
        ["select", _, ..] | ["insert", "into", _, ..] | ["delete", "from", _, ..] => true,
        ["update", _, "set", ..] | ["update", "only", _, "set", ..] | ["update", _, _, "set", ..] => true,
        ["update", _, "as", _, "set", ..] => true,
        ["with", rest @ ..] => rest.iter().any(|word| *word == "as" || word.starts_with("as(")),
        _ => false,
    }
}

fn nothing_is_left_undone(path: &str, text: &str) -> Vec<String> {
    let marked = |line: usize, said: &str| -> Option<String> {
        let mark = words(said).find(|word| matches!(*word, "TODO" | "FIXME" | "XXX"))?;
        Some(format!("line {line}: {mark}: what is left to do is an issue"))
    };
    if path.ends_with(".sql") {
        let comments = text
            .lines()
            .enumerate()
            .filter_map(|(at, line)| Some((at + 1, line.split_once("--")?.1)));
        return comments.filter_map(|(line, said)| marked(line, said)).collect();
    }
    if !is_rust(path) {
        return Vec::new();
    }
    let parts = RustText::of(text);
    let code: String = parts.code.split_whitespace().collect();
    let stubs = ["#[ignore", "todo!(", "unimplemented!("];
    let left = stubs
        .iter()
        .filter(|stub| code.contains(*stub))
        .map(|stub| format!("`{stub}` is left in it"));
    left.chain(parts.comments.iter().filter_map(|(line, said)| marked(*line, said)))
        .collect()
}

fn links_lead_somewhere(path: &str, text: &str) -> Vec<String> {
    if !path.ends_with(".md") {
        return Vec::new();
    }
    let folder = root().join(path).parent().unwrap().to_owned();
    let targets = relative_links(text).into_iter();
    targets
        .filter(|target| !folder.join(target).exists())
        .map(|target| format!("`{target}` does not exist"))
        .collect()
}

/// The relative targets of `[text](target)` outside code, without what follows `#`.
fn relative_links(markdown: &str) -> Vec<String> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for after in prose.split("](").skip(1) {
            let target = after.split([')', ' ']).next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains(':') {
                found.push(file.to_owned());
            }
        }
    }
    found
}
