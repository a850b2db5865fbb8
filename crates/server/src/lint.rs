//! The schema lint: rules over the catalogue, each one query that names the objects which break it.
//!
//! A rule is either part of the wall (what `doctor` shows: rights that are open, policies that are open or slow) or a
//! rule of our own house (comments, names, types, keys). Every query takes the schemas to look at as `$1`, reads
//! nothing but `pg_catalog`, needs no right beyond a login, and means the same on PostgreSQL 15 to 18.
//! Absent on purpose: levels of severity. What is right as it is goes to [`ACCEPTED`] with its reason.

mod functions;
mod grants;
mod keys;
mod ownership;
mod policies;
mod types;
mod views;
mod words;

use std::collections::HashSet;

use tokio_postgres::{Error, GenericClient};

use crate::db::sql;

/// One object that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The name of the broken rule.
    pub rule: &'static str,
    /// `schema.table`, `schema.table.column`, `schema.table: policy or constraint`, `schema.function(types)` or a role.
    pub object: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// Who has to care about a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody may see or do too much, or a policy makes every read slow. `doctor` shows these for any database.
    Wall,
    /// How we write our own schema.
    House,
}

/// A rule and the query that finds what breaks it.
#[derive(Debug)]
pub struct Rule {
    /// What is wrong with an object that breaks it.
    pub name: &'static str,
    /// What breaking it costs.
    pub why: &'static str,
    /// Who has to care.
    pub kind: Kind,
    sql: &'static str,
}

/// A finding that is right as it is.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// The rule that fires.
    pub rule: &'static str,
    /// The object it fires for, as the finding writes it.
    pub object: &'static str,
    /// Why that is right.
    pub why: &'static str,
}

/// What our own schema breaks knowingly.
pub const ACCEPTED: &[Accepted] = &[
    Accepted {
        rule: "definer_for_anon",
        object: "public.calculate_investment_fees(amount numeric, fee_type text)",
        why: "What a purchase would cost is public; it reads the public fee schedules and nothing else.",
    },
    Accepted {
        rule: "definer_for_anon",
        object: "nexus_storage.bucket_rules(bucket_id text)",
        why: "What a bucket takes is told to whoever uploads by his own policies; its schema is never shown.",
    },
    Accepted {
        rule: "definer_for_anon",
        object: "nexus_storage.note_unnamed_files(tags text[])",
        why: "Asks the collector to look; it removes nothing that a row names.",
    },
    Accepted {
        rule: "definer_for_anon",
        object: "nexus_storage.public_object(bucket_id text, object_name text)",
        why: "An object of a public bucket is everybody's who knows its name.",
    },
    Accepted {
        rule: "policy_or_with_role",
        object: "public.property_documents: property_documents_read_signed_in",
        why: "Two flags of the row say who may see it, and a property has few documents, found by its id.",
    },
    Accepted {
        rule: "several_permissive_policies",
        object: "public.properties",
        why: "The seed's public policy keeps its own words; an investor's properties come as one array a statement.",
    },
    Accepted {
        rule: "table_not_plural",
        object: "public.audit_log",
        why: "A log is many rows.",
    },
    Accepted {
        rule: "table_not_plural",
        object: "nexus.clock_watch",
        why: "One row, about one clock.",
    },
    Accepted {
        rule: "table_not_plural",
        object: "public.property_token_supply",
        why: "One row says where one token's supply is.",
    },
    Accepted {
        rule: "table_not_plural",
        object: "public.gate_pass_evidence",
        why: "Evidence has no plural.",
    },
    Accepted {
        rule: "table_not_plural",
        object: "public.property_performance",
        why: "The seed's name.",
    },
];

/// The name of the finding that [`accept`] makes of an acceptance which matches nothing.
pub const STALE_ACCEPTANCE: &str = "stale_acceptance";

/// Every rule there is, the wall first.
pub fn rules() -> &'static [Rule] {
    RULES
}

static RULES: &[Rule] = &[
    policies::ROW_SECURITY_OFF,
    policies::GRANT_WITHOUT_POLICY,
    policies::POLICY_TO_PUBLIC,
    policies::OPEN_WRITE_POLICY,
    policies::OPEN_READ_OF_PEOPLE,
    policies::WRITE_POLICY_WITHOUT_CHECK,
    policies::POLICY_TRUSTS_USER_METADATA,
    policies::POLICY_READS_OWN_TABLE,
    policies::POLICY_CALLS_PER_ROW,
    policies::POLICY_OR_WITH_ROLE,
    policies::SEVERAL_PERMISSIVE_POLICIES,
    grants::PUBLIC_GRANT,
    grants::WHOLE_TABLE_WRITE,
    grants::EXCESS_GRANT,
    grants::DEFAULT_PRIVILEGES_OPEN,
    grants::API_ROLE_OVER_THE_WALL,
    functions::FUNCTION_EXECUTE_PUBLIC,
    functions::DEFINER_SEARCH_PATH,
    functions::DEFINER_FOR_ANON,
    functions::FUNCTION_SEARCH_PATH_OPEN,
    views::WRITABLE_OWNER_RIGHTS_VIEW,
    views::OWNER_RIGHTS_VIEW_UNEXPLAINED,
    views::VIEW_EXPOSES_AUTH_USERS,
    views::PUBLIC_MATVIEW_UNEXPLAINED,
    views::FOREIGN_TABLE_GRANTED,
    ownership::EXTENSION_IN_SCHEMA,
    policies::POLICY_WITHOUT_GRANT,
    grants::SELECT_BY_COLUMN,
    views::MATVIEW_WITHOUT_UNIQUE_INDEX,
    ownership::FOREIGN_OWNER,
    ownership::OURS_IN_PLATFORM_SCHEMA,
    ownership::FOREIGN_KEY_INTO_PLATFORM,
    keys::NO_PRIMARY_KEY,
    keys::ID_TYPE,
    keys::FOREIGN_KEY_WITHOUT_INDEX,
    keys::VALUE_CASCADES,
    keys::CONSTRAINT_NOT_VALID,
    keys::DUPLICATE_INDEX,
    keys::INVALID_INDEX,
    keys::TRIGGER_DISABLED,
    keys::UPDATED_AT_WITHOUT_TRIGGER,
    keys::UNLOGGED_TABLE,
    types::INEXACT_TYPE,
    types::TIME_WITHOUT_ZONE,
    types::SIZED_TEXT,
    types::SERIAL_COLUMN,
    types::AMOUNT_TYPE,
    types::ENUM_TYPE,
    types::JSON_COLUMN,
    types::JSONB_WITHOUT_SHAPE,
    words::RELATION_WITHOUT_COMMENT,
    words::COLUMN_WITHOUT_COMMENT,
    words::FUNCTION_WITHOUT_COMMENT,
    words::TYPE_WITHOUT_COMMENT,
    words::COMMENT_REPEATS_NAME,
    words::CHECK_AUTO_NAMED,
    words::CONSTRAINT_NUMBERED,
    words::CONSTRAINT_NOT_NAMED_AFTER_TABLE,
    words::TABLE_NOT_PLURAL,
    words::NAME_NEEDS_QUOTES,
];

/// Runs the rules of these kinds over these schemas. Findings come sorted.
pub async fn run(client: &impl GenericClient, schemas: &[&str], kinds: &[Kind]) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for rule in rules().iter().filter(|rule| kinds.contains(&rule.kind)) {
        for row in client.query(rule.sql, &[&schemas]).await? {
            findings.push(Finding {
                rule: rule.name,
                object: row.try_get(0)?,
                message: row.try_get(1)?,
            });
        }
    }
    findings.sort();
    Ok(findings)
}

/// Leaves out what is accepted, and reports each acceptance that no longer matches a finding. Give it the findings of
/// all kinds: an acceptance of a rule that did not run looks stale.
pub fn accept(findings: Vec<Finding>, accepted: &[Accepted]) -> Vec<Finding> {
    let known: HashSet<(&str, &str)> = accepted.iter().map(|entry| (entry.rule, entry.object)).collect();
    let (settled, mut open): (Vec<Finding>, Vec<Finding>) = findings
        .into_iter()
        .partition(|finding| known.contains(&(finding.rule, finding.object.as_str())));
    let used: HashSet<(&str, &str)> = settled
        .iter()
        .map(|finding| (finding.rule, finding.object.as_str()))
        .collect();
    open.extend(
        accepted
            .iter()
            .filter(|entry| !used.contains(&(entry.rule, entry.object)))
            .map(|entry| Finding {
                rule: STALE_ACCEPTANCE,
                object: entry.object.to_owned(),
                message: format!("{} no longer fires for it: take the acceptance out", entry.rule),
            }),
    );
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &'static str, object: &str) -> Finding {
        Finding {
            rule,
            object: object.to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn an_accepted_finding_is_left_out_and_an_unused_acceptance_is_reported() {
        let accepted = [
            Accepted {
                rule: "enum_type",
                object: "public.mood",
                why: "a sample",
            },
            Accepted {
                rule: "enum_type",
                object: "public.gone",
                why: "a sample",
            },
        ];
        let open = accept(
            vec![
                finding("enum_type", "public.mood"),
                finding("json_column", "public.mood"),
            ],
            &accepted,
        );
        let named: Vec<_> = open
            .iter()
            .map(|finding| (finding.rule, finding.object.as_str()))
            .collect();
        assert_eq!(
            named,
            [("json_column", "public.mood"), (STALE_ACCEPTANCE, "public.gone")]
        );
    }

    #[test]
    fn each_rule_has_a_name_of_its_own_and_a_reason() {
        let names: HashSet<_> = rules().iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), rules().len(), "two rules share a name");
        assert!(
            rules().iter().all(|rule| rule.why.ends_with('.')),
            "a reason is a sentence"
        );
    }
}
