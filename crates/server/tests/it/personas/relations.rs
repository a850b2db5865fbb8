//! Whose the rows of each relation are, and how each function is asked.

/// One relation of the matrix, or one part of it. The expressions are over a row `t`.
pub(super) struct Relation {
    pub(super) name: &'static str,
    /// A bucket of storage.objects; empty: all of the relation.
    pub(super) bucket: &'static str,
    /// The login that a row belongs to.
    pub(super) owner: &'static str,
    pub(super) property: &'static str,
    pub(super) room: &'static str,
    /// Further classes of rows: a name, and an expression that is true or names the login that the row is of it for.
    pub(super) further: &'static [(&'static str, &'static str)],
    /// Columns beside those that a class is read from, without which an insert would try nothing.
    pub(super) also: &'static [&'static str],
    /// Whether each of the six people must own a row.
    pub(super) is_everybodys: bool,
}

const NOBODYS: Relation = Relation {
    name: "",
    bucket: "",
    owner: "null",
    property: "null",
    room: "null",
    further: &[],
    also: &[],
    is_everybodys: false,
};

const fn nobodys(name: &'static str) -> Relation {
    Relation { name, ..NOBODYS }
}

const fn a_persons(name: &'static str, owner: &'static str) -> Relation {
    Relation {
        name,
        owner,
        is_everybodys: true,
        ..NOBODYS
    }
}

const fn a_propertys(name: &'static str, property: &'static str) -> Relation {
    Relation {
        name,
        property,
        ..NOBODYS
    }
}

const fn both(name: &'static str, owner: &'static str, property: &'static str) -> Relation {
    Relation {
        name,
        owner,
        property,
        is_everybodys: true,
        ..NOBODYS
    }
}

/// Folders are read here by other means than the policies', so that a mistake in theirs shows.
const fn bucket(bucket: &'static str) -> Relation {
    const FOLDER: &str =
        "case when t.name ~ '^[0-9a-f-]{36}/' and t.name !~ '[.][.]' then split_part(t.name, '/', 1)::uuid end";
    Relation {
        name: "storage.objects",
        bucket,
        owner: FOLDER,
        property: FOLDER,
        room: FOLDER,
        further: &[
            (
                "a property's",
                "exists (select from public.properties as p where starts_with(t.name, p.id || '/'))",
            ),
            ("uploaded", "t.owner_id"),
            ("without folder", "t.name !~ '^[0-9a-f-]{36}/'"),
            (
                "climbing",
                "case when t.name ~ '/[.][.]/' then split_part(t.name, '/', 1) end",
            ),
        ],
        also: &["bucket_id", "name"],
        is_everybodys: true,
    }
}

const LOGIN_OF_PARTY: &str = "(select u.id from public.user_profiles as u where u.party_id = t.party_id)";

const OF_OFFERING: &str = "(select o.property_id from public.offerings as o where o.id = t.offering_id)";

pub(super) const RELATIONS: &[Relation] = &[
    nobodys("auth.users"),
    Relation {
        property: "t.property_id",
        ..nobodys("ledger.accounts")
    },
    nobodys("ledger.assets"),
    nobodys("ledger.balances"),
    nobodys("ledger.entries"),
    nobodys("ledger.postings"),
    nobodys("ledger.purposes"),
    a_propertys("nexus.analytics_dues", "t.property_id"),
    a_persons(
        "nexus.audit_details",
        "(select l.actor_id from public.audit_log as l where l.id = t.audit_id)",
    ),
    a_persons("nexus.audit_erasures", "t.actor_id"),
    nobodys("nexus.chain_links"),
    nobodys("nexus.clock_watch"),
    a_persons("nexus.command_keys", "t.caller_id"),
    both("nexus.figure_changes", "t.user_id", "t.property_id"),
    both("nexus.investor_figures", LOGIN_OF_PARTY, "t.property_id"),
    nobodys("nexus.late_refreshes"),
    a_persons("nexus.login_events", "t.user_id"),
    nobodys("nexus.login_limits"),
    nobodys("nexus.login_mails"),
    nobodys("nexus.market_views"),
    a_persons("nexus.outbox_events", "t.actor_id"),
    nobodys("nexus.payment_messages"),
    a_propertys("nexus.property_figures", "t.property_id"),
    nobodys("nexus.resumable_parts"),
    a_persons("nexus.resumable_uploads", "t.owner_id::uuid"),
    nobodys("nexus.provider_flows"),
    nobodys("nexus.sandbox_messages"),
    nobodys("nexus.sandbox_payments"),
    nobodys("nexus.sandbox_payouts"),
    nobodys("nexus.sandbox_receivers"),
    nobodys("nexus.sandbox_refunds"),
    nobodys("nexus.sandbox_sessions"),
    nobodys("nexus.screening_entries"),
    nobodys("nexus.screening_lists"),
    nobodys("nexus.seals"),
    nobodys("nexus.spent_proofs"),
    nobodys("nexus.unnamed_files"),
    a_persons("public.accreditation_cases", "t.user_id"),
    a_persons("public.ai_interactions", "t.user_id"),
    a_persons("public.audit_log", "t.actor_id"),
    Relation {
        room: "t.room_id",
        ..a_persons("public.chat_messages", "t.user_id")
    },
    Relation {
        room: "t.room_id",
        further: &[(
            "open",
            "(select r.is_public from public.chat_rooms as r where r.id = t.room_id)",
        )],
        ..a_persons("public.chat_room_participants", "t.user_id")
    },
    Relation {
        room: "(t.id)",
        further: &[
            ("open", "t.is_public"),
            (
                "listed",
                "(select p.is_active from public.properties as p where p.id = t.property_id)",
            ),
        ],
        also: &["property_id"],
        ..a_persons("public.chat_rooms", "t.created_by")
    },
    nobodys("public.compliance_terms"),
    nobodys("public.currencies"),
    a_propertys(
        "public.custodian_statement_lines",
        "(select s.property_id from public.custodian_statements as s where s.id = t.statement_id)",
    ),
    a_propertys("public.custodian_statements", "t.property_id"),
    nobodys("public.entry_tests"),
    Relation {
        property: "(select d.property_id from public.distributions as d where d.id = t.distribution_id)",
        ..a_persons("public.distribution_lines", LOGIN_OF_PARTY)
    },
    Relation {
        further: &[(
            "with a line",
            "(select string_agg(u.id::text, ',') from public.distribution_lines as l join public.user_profiles as u on u.party_id = l.party_id
              where l.distribution_id = t.id having count(*) = 1)",
        )],
        ..a_propertys("public.distributions", "t.property_id")
    },
    nobodys("public.fee_schedules"),
    a_persons("public.file_reads", "t.reader_id"),
    nobodys("public.gate_requirements"),
    a_propertys("public.gate_overrides", "t.property_id"),
    a_propertys("public.gate_passes", "t.property_id"),
    a_propertys("public.gate_pass_evidence", "t.property_id"),
    a_propertys("public.property_gates", "t.property_id"),
    // Public history: whose house it was does not matter.
    nobodys("public.foreign_tokens"),
    a_propertys("public.incidents", "t.property_id"),
    both("public.investments", "t.user_id", "t.property_id"),
    a_propertys("public.investment_opportunities_mv", "t.property_id"),
    Relation {
        also: &[
            "property_id",
            "property_token_id",
            "party_id",
            "to_user_id",
            "to_party_id",
            "freeze_id",
            "currency",
            "currency_decimals",
            "amount_minor",
            "account_ref",
            "bank_reference",
            "booked_on",
        ],
        ..nobodys("public.holding_cases")
    },
    both("public.holding_freezes", LOGIN_OF_PARTY, "t.property_id"),
    a_persons("public.kyc_cases", "t.user_id"),
    a_persons("public.kyc_documents", "t.user_id"),
    both("public.lots", "t.user_id", "t.property_id"),
    both("public.lot_disposals", "t.user_id", "t.property_id"),
    nobodys("public.market_statistics"),
    a_persons("public.notifications", "t.user_id"),
    both("public.offering_guests", "t.user_id", OF_OFFERING),
    Relation {
        further: &[
            ("shown", "t.is_public and t.status <> 'draft'"),
            (
                "listed",
                "(select p.is_active from public.properties as p where p.id = t.property_id)",
            ),
            (
                "invited",
                "(select string_agg(g.user_id::text, ',') from public.offering_guests as g where g.offering_id = t.id and t.status <> 'draft'
                  having count(*) = 1)",
            ),
            ("of all guests", "t.status = 'failed'"),
        ],
        ..a_propertys("public.offerings", "t.property_id")
    },
    a_persons(
        "public.parties",
        "(select u.id from public.user_profiles as u where u.party_id = t.id)",
    ),
    a_persons("public.party_limits", LOGIN_OF_PARTY),
    a_persons("public.party_owners", LOGIN_OF_PARTY),
    a_persons("public.party_screenings", LOGIN_OF_PARTY),
    a_persons("public.payment_methods", "t.user_id"),
    a_persons("public.payment_sessions", "t.user_id"),
    a_propertys("public.payments", "t.property_id"),
    Relation {
        also: &["line_id", "redemption_id"],
        ..both("public.payouts", LOGIN_OF_PARTY, "t.property_id")
    },
    a_propertys("public.properties", "(t.id)"),
    a_propertys("public.property_analytics", "t.property_id"),
    a_propertys("public.property_audits", "t.property_id"),
    a_propertys(
        "public.property_document_reviews",
        "(select d.property_id from public.property_documents as d where d.id = t.document_id)",
    ),
    Relation {
        further: &[
            ("published", "t.is_public and t.review_status = 'accepted'"),
            ("for verified", "t.requires_kyc and t.review_status = 'accepted'"),
            (
                "listed",
                "(select p.is_active from public.properties as p where p.id = t.property_id)",
            ),
        ],
        ..a_propertys("public.property_documents", "t.property_id")
    },
    a_propertys("public.property_evidence", "t.property_id"),
    a_propertys("public.property_market_insights_mv", "t.property_id"),
    both("public.property_members", "t.user_id", "t.property_id"),
    a_propertys("public.property_performance", "t.property_id"),
    both("public.property_returns", "t.user_id", "t.property_id"),
    a_propertys("public.property_valuations", "t.property_id"),
    Relation {
        further: &[("issued", "t.status <> 'draft'")],
        ..a_propertys("public.property_tokens", "t.property_id")
    },
    a_propertys(
        "public.property_token_supply",
        "(select k.property_id from public.property_tokens as k where k.id = t.property_token_id)",
    ),
    a_propertys("public.public_properties", "t.id"),
    both("public.refunds", "t.user_id", "t.property_id"),
    a_propertys("public.rent_lines", "t.property_id"),
    a_propertys("public.rent_periods", "t.property_id"),
    both("public.redemptions", LOGIN_OF_PARTY, "t.property_id"),
    nobodys("public.rule_packs"),
    nobodys("public.smart_contract_events"),
    a_propertys(
        "public.token_movements",
        "(select k.property_id from public.property_tokens as k where k.id = t.property_token_id)",
    ),
    both("public.tokenization_processes", "t.user_id", "t.property_id"),
    Relation {
        further: &[("given to one", "t.to_user_id")],
        ..both("public.transfers", "t.from_user_id", "t.property_id")
    },
    both(
        "public.tokenization_reports",
        "(select p.user_id from public.tokenization_processes as p where p.id = t.process_id)",
        "t.property_id",
    ),
    both(
        "public.tokenization_steps",
        "(select p.user_id from public.tokenization_processes as p where p.id = t.process_id)",
        "(select p.property_id from public.tokenization_processes as p where p.id = t.process_id)",
    ),
    a_propertys("public.tax_remittances", "t.property_id"),
    a_persons("public.tax_forms", "t.user_id"),
    a_persons("public.user_profiles", "t.id"),
    a_persons("public.user_role_assignments", "t.user_id"),
    nobodys("public.withholding_rate_proposals"),
    nobodys("public.withholding_rates"),
    nobodys("realtime.messages"),
    nobodys("storage.buckets"),
    bucket("property-images"),
    bucket("kyc-documents"),
    bucket("user-avatars"),
    bucket("property-media"),
    bucket("investment-documents"),
    bucket("chat-attachments"),
    bucket("property-evidence"),
];

/// A function that clients may call, with what to ask. `{me}` and `{other}` are the caller's and another's login, `{1}` to
/// `{5}` the properties.
pub(super) struct Function {
    pub(super) signature: &'static str,
    pub(super) questions: &'static [(&'static str, &'static str)],
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        signature: "public.calculate_investment_fees(amount numeric, fee_type text)",
        questions: &[("platform fee", "public.calculate_investment_fees(100, 'platform')")],
    },
    Function {
        signature: "public.can_access_property(user_id uuid, property_id uuid)",
        questions: &[
            ("I, an active property", "public.can_access_property({me}, {1})"),
            ("I, one with investments", "public.can_access_property({me}, {3})"),
            ("I, nobody's", "public.can_access_property({me}, {5})"),
            (
                "another, an active property",
                "public.can_access_property({other}, {1})",
            ),
            ("another, nobody's", "public.can_access_property({other}, {5})"),
        ],
    },
    Function {
        signature: "public.get_user_role(user_id uuid)",
        questions: &[
            ("mine", "public.get_user_role({me})"),
            ("another's", "public.get_user_role({other})"),
        ],
    },
    Function {
        signature: "public.has_role(user_id uuid, role text)",
        questions: &[
            ("I, investor", "public.has_role({me}, 'investor')"),
            ("I, admin", "public.has_role({me}, 'admin')"),
            ("another, investor", "public.has_role({other}, 'investor')"),
        ],
    },
    Function {
        signature: "public.refresh_analytics_views()",
        questions: &[("refresh", "public.refresh_analytics_views()")],
    },
];
