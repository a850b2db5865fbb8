//! What never may be true. No change to the page loosens it.

use std::collections::BTreeSet;

use super::fixture::{Persona, Row, person, property};
use super::matrix::{Block, Cell, Matrix};
use super::reach::Reach;

/// Written by the engine alone, and deleted by nobody.
const CARRY_VALUE_OR_DECIDE: &[&str] = &[
    "public.distribution_lines",
    "public.distributions",
    "nexus.screening_entries",
    "nexus.screening_lists",
    "public.accreditation_cases",
    "public.compliance_terms",
    "public.entry_tests",
    "public.fee_schedules",
    "public.file_reads",
    "public.foreign_tokens",
    "public.holding_cases",
    "public.holding_freezes",
    "public.investments",
    "public.kyc_cases",
    "public.market_statistics",
    "public.party_screenings",
    "public.payouts",
    "public.property_audits",
    "public.property_performance",
    "public.property_returns",
    "public.property_tokens",
    "public.property_valuations",
    "public.redemptions",
    "public.rent_lines",
    "public.rent_periods",
    "public.smart_contract_events",
    "public.tax_forms",
    "public.tax_remittances",
    "public.tokenization_processes",
    "public.tokenization_reports",
    "public.tokenization_steps",
    "public.withholding_rate_proposals",
    "public.withholding_rates",
];

/// Columns that no person may write, whatever the role.
const DECIDED_BY_COMMANDS: &[(&str, &[&str])] = &[
    (
        "public.user_profiles",
        &[
            "id",
            "party_id",
            "email",
            "wallet_address",
            "kyc_status",
            "kyc_level",
            "kyc_expires_at",
            "kyc_data",
            "accredited_investor",
            "total_invested",
            "total_returns",
            "totals_as_of",
        ],
    ),
    ("public.payment_methods", &["is_verified"]),
    (
        "public.properties",
        &[
            "currency",
            "currency_decimals",
            "price",
            "price_per_token",
            "min_investment",
            "funding_target",
            "funding_deadline",
            "total_tokens",
            "tokens_issued",
            "tokenization_active",
            "tokenization_status",
            "is_active",
            "is_featured",
        ],
    ),
    ("public.property_documents", &["review_status"]),
    (
        "public.kyc_documents",
        &["kyc_case_id", "accreditation_case_id", "status", "notes"],
    ),
    ("public.chat_messages", &["edited_at", "created_at"]),
];

/// What of these the service may write all the same: it describes and prices, and it speaks with payment providers.
const SERVICE_MAY: &[(&str, &[&str])] = &[
    (
        "public.properties",
        &[
            "currency",
            "currency_decimals",
            "price",
            "min_investment",
            "funding_target",
            "funding_deadline",
            "is_featured",
        ],
    ),
    ("public.payment_methods", &["is_verified"]),
    ("public.chat_messages", &["edited_at", "created_at"]),
];

/// The book and the chain over it: written by functions of the database's owner, and by nobody who asks.
const WRITTEN_BY_NOBODY: &[&str] = &[
    "ledger.accounts",
    "ledger.assets",
    "ledger.balances",
    "ledger.entries",
    "ledger.postings",
    "ledger.purposes",
    "nexus.audit_details",
    "nexus.audit_erasures",
    "public.audit_log",
    // The gate: written by the owner's functions alone.
    "public.gate_overrides",
    "public.gate_pass_evidence",
    "public.gate_passes",
    "public.gate_requirements",
    "public.property_document_reviews",
    "public.property_gates",
];

/// Read by their owner, and by whom the second part names.
const PERSONAL: &[(&str, &[&str])] = &[
    ("public.ai_interactions", &["admin", "service", "engine"]),
    (
        "public.investments",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    ("public.accreditation_cases", &["engine"]),
    // Officers are shown them by a command, which notes each read: no policy of theirs may come back.
    ("public.kyc_cases", &["engine"]),
    ("public.kyc_documents", &["engine"]),
    ("public.tax_forms", &["engine"]),
    ("public.notifications", &["service", "engine"]),
    ("public.parties", &["compliance_officer", "admin", "service", "engine"]),
    (
        "public.payment_methods",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    (
        "public.distribution_lines",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    ("public.payouts", &["compliance_officer", "admin", "service", "engine"]),
    (
        "public.redemptions",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    (
        "public.holding_cases",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    (
        "public.holding_freezes",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    (
        "public.property_returns",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    (
        "public.user_profiles",
        &["compliance_officer", "admin", "service", "engine"],
    ),
    ("public.user_role_assignments", &["admin", "service", "engine"]),
];

/// Read by those that are named alone; by no owner.
const SECRET: &[(&str, &[&str])] = &[
    ("auth.users", &[]),
    ("nexus.audit_details", &["engine"]),
    ("nexus.audit_erasures", &["engine"]),
    ("nexus.chain_links", &["engine"]),
    ("nexus.outbox_events", &["engine"]),
    ("nexus.screening_entries", &["engine"]),
    ("nexus.screening_lists", &["engine"]),
    ("nexus.seals", &["engine"]),
    ("public.entry_tests", &["engine"]),
    ("public.party_screenings", &["compliance_officer", "service", "engine"]),
];

/// Where a person writes rows that belong to others: an admin's appointments, and invitations to one's own rooms.
const WRITTEN_FOR_OTHERS: &[&str] = &[
    "public.chat_room_participants",
    "public.property_members",
    "public.user_role_assignments",
];

pub(super) fn broken_laws(matrix: &Matrix) -> Vec<String> {
    let mut broken = Vec::new();
    for block in &matrix.blocks {
        for (who, cell) in matrix.personas.iter().zip(&block.cells) {
            let case = Case { block, who, cell };
            let laws = [
                case.nobody_truncates(),
                case.visitor_writes_nothing(),
                case.value_is_written_by_the_engine(),
                case.the_book_is_closed(),
                case.commands_decide(),
                case.personal_rows_are_seen_by_their_owner(),
                case.secrets_are_seen_by_few(),
                case.others_rows_are_not_written(),
                case.nobody_appoints_himself(),
                case.another_manager_has_no_part(),
                case.names_that_climb_have_no_folder(),
            ];
            let title = block.subject.title();
            let said = laws.into_iter().flatten();
            broken.extend(said.map(|law| format!("{title}: {} {law}", who.name)));
        }
    }
    broken
}

/// One persona's cell of one relation.
struct Case<'a> {
    block: &'a Block,
    who: &'a Persona,
    cell: &'a Cell,
}

impl Case<'_> {
    fn is_of(&self, relation: &str) -> bool {
        self.block.subject.relation.name == relation
    }

    fn rows<'a>(&'a self, reach: &'a Reach) -> impl Iterator<Item = &'a Row> {
        reach.rows.iter().map(|at| &self.block.subject.rows[*at])
    }

    /// The rows that can be inserted, changed or removed.
    fn written(&self) -> Vec<&Row> {
        let reaches = [&self.cell.insert, &self.cell.delete];
        let reaches = reaches.into_iter().chain(self.cell.update.values());
        reaches.flat_map(|reach| self.rows(reach)).collect()
    }

    fn is_others(&self, row: &Row) -> bool {
        row.owner != self.who.login
    }

    fn nobody_truncates(&self) -> Option<String> {
        self.cell.can_truncate.then(|| "may truncate".to_owned())
    }

    fn visitor_writes_nothing(&self) -> Option<String> {
        (self.who.role == "anon" && !self.cell.writes_nothing()).then(|| "writes".to_owned())
    }

    fn value_is_written_by_the_engine(&self) -> Option<String> {
        if !CARRY_VALUE_OR_DECIDE.contains(&self.block.subject.relation.name) {
            return None;
        }
        if self.who.name == "engine" {
            return (!self.cell.delete.is_none()).then(|| "removes what carries value".to_owned());
        }
        (!self.cell.writes_nothing()).then(|| "writes what carries value or decides".to_owned())
    }

    fn the_book_is_closed(&self) -> Option<String> {
        let is_about = WRITTEN_BY_NOBODY.contains(&self.block.subject.relation.name);
        (is_about && !self.cell.writes_nothing()).then(|| "writes the book or its trail past the kernel".to_owned())
    }

    fn commands_decide(&self) -> Option<String> {
        let columns = DECIDED_BY_COMMANDS.iter().find(|(relation, _)| self.is_of(relation))?.1;
        let written = |name: &str| {
            let given = self.cell.insert_columns.iter();
            self.cell.update.contains_key(name) || given.map(|given| given.split('=').next()).any(|g| g == Some(name))
        };
        let may = match self.who.role {
            "service_role" => SERVICE_MAY
                .iter()
                .find(|(relation, _)| self.is_of(relation))
                .map_or(&[][..], |found| found.1),
            _ => &[],
        };
        let found = columns
            .iter()
            .copied()
            .filter(|name| written(name) && !may.contains(name));
        let found: Vec<&str> = found.collect();
        (self.who.name != "engine" && !found.is_empty()).then(|| format!("writes {}", found.join(", ")))
    }

    fn personal_rows_are_seen_by_their_owner(&self) -> Option<String> {
        let readers = PERSONAL.iter().find(|(relation, _)| self.is_of(relation))?.1;
        let sees_others = self.rows(&self.cell.read).any(|row| self.is_others(row));
        (sees_others && !readers.contains(&self.who.name)).then(|| "sees another's rows".to_owned())
    }

    fn secrets_are_seen_by_few(&self) -> Option<String> {
        let readers = SECRET.iter().find(|(relation, _)| self.is_of(relation))?.1;
        (!self.cell.read.is_none() && !readers.contains(&self.who.name)).then(|| "sees what is secret".to_owned())
    }

    fn others_rows_are_not_written(&self) -> Option<String> {
        let relation = self.block.subject.relation;
        let is_about = relation.is_everybodys && relation.bucket.is_empty() && self.who.login.is_some();
        if !is_about || WRITTEN_FOR_OTHERS.contains(&relation.name) {
            return None;
        }
        let writes = self.written().into_iter().any(|row| self.is_others(row));
        writes.then(|| "writes another's rows".to_owned())
    }

    /// Roles and memberships are given by an admin, and never to himself.
    fn nobody_appoints_himself(&self) -> Option<String> {
        let is_about = self.is_of("public.user_role_assignments") || self.is_of("public.property_members");
        if !is_about || self.who.login.is_none() || self.cell.writes_nothing() {
            return None;
        }
        if self.who.name != "admin" {
            return Some("appoints people".to_owned());
        }
        let own = self.written().into_iter().any(|row| !self.is_others(row));
        (own || !self.cell.delete.is_none())
            .then(|| "appoints himself, or removes the trace of an appointment".to_owned())
    }

    /// Of the manager's properties, another manager sees no more than the visitor and changes nothing.
    fn another_manager_has_no_part(&self) -> Option<String> {
        if self.who.login != Some(person(4)) {
            return None;
        }
        let theirs = BTreeSet::from([property(1), property(2)]);
        let public = &self.block.cells[0].read.rows;
        let is_theirs = |row: &Row| row.property.is_some_and(|id| theirs.contains(&id)) && self.is_others(row);
        let mut seen = self
            .cell
            .read
            .rows
            .difference(public)
            .map(|at| &self.block.subject.rows[*at]);
        if seen.any(is_theirs) {
            return Some("sees what is assigned to another".to_owned());
        }
        let writes = self.written().into_iter().any(is_theirs);
        writes.then(|| "writes what is assigned to another".to_owned())
    }

    fn names_that_climb_have_no_folder(&self) -> Option<String> {
        if self.who.login.is_none() || self.block.subject.relation.bucket.is_empty() {
            return None;
        }
        let name = self
            .block
            .subject
            .columns
            .iter()
            .position(|column| column.name == "name")?;
        let climbs = |row: &Row| row.literals[name].contains("..");
        let writes = self.written().into_iter().any(climbs);
        writes.then(|| "writes a name that climbs out of its folder".to_owned())
    }
}
