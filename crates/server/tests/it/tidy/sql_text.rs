//! SQL scripts taken apart into statements, as far as the tidiness tests need it.

/// The statements of a script: comments gone, lower case, each run of blanks one blank. The body of a dollar-quoted
/// block follows its statement, taken apart like a script of its own.
pub(super) fn statements(script: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut bodies = Vec::new();
    let mut current = String::new();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '\'' {
            let end = rest[1..].find('\'').map_or(rest.len(), |end| end + 2);
            current.push_str(&rest[..end]);
            end
        } else if let Some(tag) = dollar_tag(rest) {
            let body = &rest[tag.len()..];
            let end = body.find(tag).unwrap_or(body.len());
            bodies.push(&body[..end]);
            current.push_str("$$");
            (end + 2 * tag.len()).min(rest.len())
        } else if first == ';' {
            finish(&mut current, &mut bodies, &mut all);
            1
        } else {
            current.push(first);
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    finish(&mut current, &mut bodies, &mut all);
    all
}

fn finish(current: &mut String, bodies: &mut Vec<&str>, all: &mut Vec<String>) {
    let words: Vec<&str> = current.split_whitespace().collect();
    if !words.is_empty() {
        all.push(words.join(" ").to_lowercase());
    }
    current.clear();
    for body in bodies.drain(..) {
        all.extend(statements(body));
    }
}

fn dollar_tag(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix('$')?;
    let end = inner.find('$')?;
    let named = inner[..end]
        .chars()
        .all(|letter| letter.is_alphanumeric() || letter == '_');
    let numbered = inner.starts_with(|letter: char| letter.is_ascii_digit());
    (named && !numbered).then(|| &rest[..end + 2])
}

const VERBS: &[&str] = &[
    "create", "alter", "drop", "grant", "revoke", "insert", "update", "delete", "truncate", "comment",
];
/// After one of these a statement names what it reads or calls, and no longer what it changes.
const TURNING_WORDS: &[&str] = &[
    "using",
    "with",
    "select",
    "as",
    "execute",
    "references",
    "default",
    "values",
    "set",
    "is",
    "$$",
];

/// Does this statement change something in Supabase's own schemas? References in foreign keys, reads and calls do not.
pub(super) fn touches_platform_schema(statement: &str) -> bool {
    let unquoted = statement.replace('"', "");
    let spaced = unquoted.replace(',', " ");
    // A block body begins with words of plpgsql, and `execute 'drop ...'` hides the verb behind a quote.
    let words: Vec<&str> = spaced
        .split(|letter: char| letter.is_whitespace() || letter == '\'')
        .collect();
    let Some(start) = words.iter().position(|word| VERBS.contains(word)) else {
        return false;
    };
    let rights = matches!(words[start], "grant" | "revoke");
    let mut before = "";
    for word in &words[start + 1..] {
        if TURNING_WORDS.contains(word) && !(rights && matches!(*word, "select" | "references" | "execute" | "with")) {
            return false;
        }
        let names = word.trim_start_matches('(');
        let in_schema = ["auth.", "storage.", "realtime."]
            .iter()
            .any(|schema| names.starts_with(schema));
        let is_schema = before == "schema" && matches!(names, "auth" | "storage" | "realtime");
        if in_schema || is_schema {
            return true;
        }
        if word.contains('(') && !rights {
            return false;
        }
        before = word;
    }
    false
}

#[test]
fn a_script_falls_into_its_statements() {
    let script = "-- a; b\nselect 'x;y',  1;\ndo $body$ begin insert into T values (';'); end $body$;";
    let found = statements(script);
    assert_eq!(
        found,
        ["select 'x;y', 1", "do $$", "begin insert into t values (';')", "end"]
    );
}

#[test]
fn statements_that_change_a_platform_schema_are_known() {
    for touching in [
        "create policy avatars_read on storage.objects for select to anon using (true)",
        "create trigger on_signup after insert on auth.users for each row execute function public.handle_new_user()",
        "insert into storage.buckets (id) values ('x')",
        "alter table \"storage\".\"objects\" enable row level security",
        "grant select (id), update (name) on table storage.objects to anon",
        "grant usage on schema auth to nexus_owner",
        "create or replace function auth.uid() returns uuid language sql as $$",
        "drop function if exists auth.uid()",
        "begin execute 'create policy p on storage.objects for select using (true)'",
        "if found then delete from realtime.messages where true",
    ] {
        assert!(touches_platform_schema(touching), "{touching}");
    }
}

#[test]
fn references_reads_and_calls_are_fine_everywhere() {
    for harmless in [
        "create table public.user_profiles (id uuid references auth.users (id))",
        "alter table public.a add column b uuid references auth.users",
        "alter table public.a add constraint a_fkey foreign key (b) references auth.users (id)",
        "create policy own on public.a for select to authenticated using (user_id = (select auth.uid()))",
        "create view public.v as select id from auth.users",
        "create function public.f(person auth.users) returns uuid language sql as $$",
        "update public.a set b = auth.uid()",
        "insert into public.a select id from auth.users",
        "comment on column public.a.b is 'as in auth.users'",
        "select auth.uid()",
    ] {
        assert!(!touches_platform_schema(harmless), "{harmless}");
    }
}
