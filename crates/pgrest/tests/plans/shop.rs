//! The schema that the tests ask: clients with projects, projects with tasks, users with tasks through a junction.

use pgrest::{
    error::Refusal,
    name::QualifiedName,
    plan::{Plan, StatementPlan},
    request::{self, Incoming, Options},
    schema::{
        Catalogue, CatalogueColumn, CatalogueConstraint, CatalogueRelation, CatalogueRoutine, CatalogueView, Column,
        ConstraintKind, Parameter, Relation, Returns, Routine, Schema, Volatility,
    },
};

/// Columns with their types.
type Columns = &'static [(&'static str, &'static str)];

const TABLES: [(u32, &str, Columns); 6] = [
    (1, "clients", &[("id", "integer"), ("name", "text")]),
    (
        2,
        "projects",
        &[
            ("id", "integer"),
            ("name", "text"),
            ("client_id", "integer"),
            ("data", "jsonb"),
        ],
    ),
    (
        3,
        "tasks",
        &[("id", "integer"), ("name", "text"), ("project_id", "integer")],
    ),
    (
        4,
        "users",
        &[("id", "integer"), ("name", "text"), ("boss_id", "integer")],
    ),
    (5, "users_tasks", &[("user_id", "integer"), ("task_id", "integer")]),
    (
        6,
        "named_projects",
        &[("id", "integer"), ("title", "text"), ("client", "integer")],
    ),
];

/// The cache of the shop's schema.
pub(crate) fn schema() -> Schema {
    let mut catalogue = Catalogue::default();
    for (oid, name, columns) in TABLES {
        catalogue.relations.push(CatalogueRelation {
            oid,
            relation: Relation {
                id: QualifiedName::of("api", name),
                is_view: name == "named_projects",
                is_insertable: true,
                is_updatable: true,
                is_deletable: true,
                ..Relation::default()
            },
        });
        for (number, (column, type_name)) in (1..).zip(columns) {
            catalogue.columns.push(CatalogueColumn {
                relation: oid,
                number,
                column: Column {
                    name: (*column).to_owned(),
                    type_name: (*type_name).to_owned(),
                    base_type: (*type_name).to_owned(),
                    is_nullable: *column != "id",
                    ..Column::default()
                },
            });
        }
    }
    let mut key = |name: &str, kind, relation, columns: &[i16], target, target_columns: &[i16]| {
        catalogue.constraints.push(CatalogueConstraint {
            name: name.to_owned(),
            kind,
            relation,
            columns: columns.to_vec(),
            target,
            target_columns: target_columns.to_vec(),
        });
    };
    for relation in 1..=4 {
        key("pkey", ConstraintKind::Primary, relation, &[1], 0, &[]);
    }
    key("users_tasks_pkey", ConstraintKind::Primary, 5, &[1, 2], 0, &[]);
    key("projects_client_fkey", ConstraintKind::Foreign, 2, &[3], 1, &[1]);
    key("tasks_project_fkey", ConstraintKind::Foreign, 3, &[3], 2, &[1]);
    key("users_boss_fkey", ConstraintKind::Foreign, 4, &[3], 4, &[1]);
    key("users_tasks_user_fkey", ConstraintKind::Foreign, 5, &[1], 4, &[1]);
    key("users_tasks_task_fkey", ConstraintKind::Foreign, 5, &[2], 3, &[1]);
    let target = |number: i16, from: i16| {
        format!("{{TARGETENTRY :expr {{VAR}} :resno {number} :resorigtbl 2 :resorigcol {from} :resjunk false}}")
    };
    catalogue.views.push(CatalogueView {
        relation: 6,
        rule: format!(
            "({{QUERY :targetList ({} {} {})}})",
            target(1, 1),
            target(2, 2),
            target(3, 3)
        ),
    });
    let text = || Returns::Scalar(QualifiedName::of("pg_catalog", "text"));
    let number = || Returns::Scalar(QualifiedName::of("pg_catalog", "int4"));
    catalogue.routines = vec![
        routine("add", &[("a", "integer"), ("b", "integer")], number(), false),
        routine("numbers", &[("below", "integer")], number(), true),
        // One parameter without a name takes a body as it is, but not of every type.
        routine("shout", &[("", "text")], text(), false),
        routine("hidden", &[("", "integer")], number(), false),
        routine("pick", &[("a", "text")], text(), false),
        routine("pick", &[("a", "integer")], text(), false),
    ];
    Schema::build(catalogue, &["api".to_owned()])
}

fn routine(name: &str, parameters: &[(&str, &str)], returns: Returns, is_set: bool) -> CatalogueRoutine {
    let parameters = parameters.iter().map(|(name, type_name)| Parameter {
        name: name.to_string(),
        type_name: type_name.to_string(),
        is_required: true,
        is_variadic: false,
    });
    CatalogueRoutine {
        routine: Routine {
            id: QualifiedName::of("api", name),
            oid: 1,
            comment: None,
            parameters: parameters.collect(),
            returns,
            is_set,
            volatility: Volatility::Immutable,
            settings: Vec::new(),
        },
        of_row: None,
        to_one: true,
    }
}

/// How the shop is served.
pub(crate) fn options() -> Options {
    Options {
        schemas: vec!["api".to_owned()],
        aggregates: true,
        ..Options::default()
    }
}

/// Plans a request: `METHOD path`, with headers and a body.
pub(crate) fn planned(asked: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Plan, Refusal> {
    let (method, url) = asked.split_once(' ').unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let (schema, options) = (schema(), options());
    let incoming = Incoming {
        method,
        path,
        query,
        headers: &headers,
        body,
    };
    schema.plan(&request::read(&incoming, &options, &schema)?, &options)
}

/// The statement of a request that has one.
pub(crate) fn statement(asked: &str, headers: &[(&str, &str)], body: &str) -> StatementPlan {
    match planned(asked, headers, body.as_bytes()) {
        Ok(Plan::Statement(plan)) => *plan,
        other => panic!("{asked}: {other:?}"),
    }
}
