//! What will be done: the request held against the schema. A plan is data; [`crate::sql`] writes it down.

pub(crate) mod call;
mod negotiate;
pub(crate) mod read;
pub(crate) mod write;

use std::collections::BTreeSet;

use crate::{
    body::Arguments,
    error::Refusal,
    fuzzy,
    media::MediaType,
    name::QualifiedName,
    preferences::{Count, Resolution, Return, Used},
    request::{Action, Options, Request, Root, Write},
    schema::{Relation, Returns, Routine, Schema, Volatility},
    sql::{self, Statement},
};
pub(crate) use negotiate::Shape;

/// What a request leads to.
#[derive(Debug, Clone)]
pub enum Plan {
    /// One statement.
    Statement(Box<StatementPlan>),
    /// The document of a schema; `None` for the privileges means everything.
    Document {
        /// Whether only what the caller may use is described.
        by_privilege: bool,
    },
    /// The methods that a resource takes.
    Methods(Vec<&'static str>),
}

/// What a statement may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read.
    ReadOnly,
    /// Write as well.
    ReadWrite,
}

/// A statement, and what its one row means.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct StatementPlan {
    /// What to run.
    pub statement: Statement,
    /// What to run beside it for the planner's idea of the total: gives JSON.
    pub estimate: Option<Statement>,
    /// What it may do.
    pub access: Access,
    /// The isolation level that the function asks for.
    pub isolation: Option<String>,
    /// The function's own settings, to be set for the whole transaction.
    pub settings: Vec<(String, String)>,
    /// What it is.
    pub kind: Kind,
    /// The type of the body.
    pub media: MediaType,
    /// Whether the body is a plan of PostgreSQL's.
    pub is_explain: bool,
    /// Whether there has to be exactly one row.
    pub is_singular: bool,
    /// The most rows that may be touched.
    pub max_affected: Option<i64>,
    /// How rows are counted.
    pub count: Option<Count>,
    /// Above how many rows an estimate is taken from the planner.
    pub estimate_above: Option<i64>,
    /// Which rows: how many are passed over.
    pub offset: i64,
    /// Whether the transaction is rolled back in the end.
    pub rollback: bool,
    /// Which preferences were used.
    pub used: Used,
}

/// What a statement does, as far as the answer depends on it.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Reads a relation.
    Read(QualifiedName),
    /// Adds rows.
    Insert {
        /// To what.
        relation: QualifiedName,
        /// Its primary key.
        key: Vec<String>,
        /// What is given back.
        returns: Return,
        /// Whether rows that were there count as changed.
        is_merge: bool,
    },
    /// Changes rows.
    Update(Return),
    /// Makes one row be so.
    Put(Return),
    /// Deletes rows.
    Delete(Return),
    /// Calls a function.
    Call {
        /// Whether it gives nothing.
        is_void: bool,
        /// Its name.
        function: QualifiedName,
    },
}

impl Schema {
    /// Plans a request.
    ///
    /// # Errors
    /// When it asks for what is not there, or not in that way.
    pub fn plan(&self, request: &Request, options: &Options) -> Result<Plan, Refusal> {
        request.preferences.check()?;
        match &request.action {
            Action::Root => self.plan_root(request, options),
            Action::DescribeRoot => Ok(Plan::Methods(vec!["OPTIONS", "GET", "HEAD"])),
            Action::DescribeRelation(id) => self
                .known_relation(id)
                .map(|relation| Plan::Methods(methods_of(relation))),
            Action::DescribeRoutine(id) => match self.routines(id) {
                [] => Err(self.no_routine(id, &BTreeSet::new(), None, false)),
                [first, ..] if first.volatility == Volatility::Volatile => Ok(Plan::Methods(vec!["OPTIONS", "POST"])),
                _ => Ok(Plan::Methods(vec!["OPTIONS", "GET", "HEAD", "POST"])),
            },
            Action::Read(id) => {
                let relation = self.known_relation(id)?;
                let shape = self.negotiate_rows(request, options, Some(&relation.id))?;
                let mut tree = read::tree(self, options, request, read::From::relation(relation))?;
                tree.is_in_text = shape.is_text();
                let statement = sql::read(self, &tree, &shape, counted(request, options), request.is_head);
                let mut plan = base(request, options, statement, Kind::Read(id.clone()), &shape);
                plan.estimate = needs_estimate(request).then(|| sql::estimate(self, &tree));
                plan.offset = tree.range.offset;
                plan.access = Access::ReadOnly;
                Ok(finished(plan, &shape))
            }
            Action::Write(id, write) => self.plan_write(request, options, id, write),
            Action::Call(id, arguments, _) => self.plan_call(request, options, id, arguments),
        }
    }

    fn plan_root(&self, request: &Request, options: &Options) -> Result<Plan, Refusal> {
        let by_privilege = match options.root {
            Root::Disabled => return Err(Refusal::RootDisabled),
            Root::IgnorePrivileges => false,
            Root::FollowPrivileges | Root::Function(_) => true,
        };
        let fits = |media: &MediaType| matches!(media, MediaType::OpenApi | MediaType::Json | MediaType::Any);
        if request.accept.iter().any(fits) {
            Ok(Plan::Document { by_privilege })
        } else {
            Err(Refusal::MediaType(request.accept.iter().map(MediaType::name).collect()))
        }
    }

    fn plan_write(
        &self,
        request: &Request,
        options: &Options,
        id: &QualifiedName,
        write: &Write,
    ) -> Result<Plan, Refusal> {
        let relation = self.known_relation(id)?;
        let shape = self.negotiate_rows(request, options, Some(&relation.id))?;
        let mut planned = write::plan(self, options, request, relation, write)?;
        if let Some(tree) = &mut planned.tree {
            tree.is_in_text = shape.is_text();
        }
        let returns = planned.returns;
        let kind = match write {
            Write::Insert(_) => Kind::Insert {
                relation: id.clone(),
                key: relation.key.clone(),
                returns,
                is_merge: planned.resolution() == Some(Resolution::Merge),
            },
            Write::Update(_) => Kind::Update(returns),
            Write::Put(_) => Kind::Put(returns),
            Write::Delete => Kind::Delete(returns),
        };
        let statement = sql::write(self, &planned, &shape);
        let mut plan = base(request, options, statement, kind, &shape);
        plan.used = Used {
            resolution: matches!(write, Write::Insert(_)) && planned.resolution().is_some(),
            missing: matches!(write, Write::Insert(_) | Write::Update(_)),
            representation: true,
            max_affected: matches!(write, Write::Update(_) | Write::Delete),
        };
        if plan.used.max_affected {
            plan.max_affected = request.preferences.max_affected_strict();
        }
        Ok(finished(plan, &shape))
    }

    fn plan_call(
        &self,
        request: &Request,
        options: &Options,
        id: &QualifiedName,
        arguments: &Arguments,
    ) -> Result<Plan, Refusal> {
        let mut planned = call::plan(self, options, request, id, arguments)?;
        let routine = planned.routine;
        let shape = self.negotiate_call(request, options, routine)?;
        if let Some(tree) = &mut planned.tree {
            tree.is_in_text = shape.is_text();
        }
        let max_affected = request.preferences.max_affected_strict();
        if max_affected.is_some() && !routine.is_set {
            return Err(Refusal::MaxAffectedScalar);
        }
        let kind = Kind::Call {
            is_void: routine.returns == Returns::Void && !routine.is_set,
            function: routine.id.clone(),
        };
        let statement = sql::call(self, &planned, &shape, request.preferences.count.is_some());
        let mut plan = base(request, options, statement, kind, &shape);
        let is_get = matches!(&request.action, Action::Call(_, _, crate::request::CallMethod::Get));
        if is_get || routine.volatility != Volatility::Volatile {
            plan.access = Access::ReadOnly;
        }
        plan.offset = planned.range.offset;
        plan.max_affected = max_affected;
        plan.used.max_affected = true;
        for (name, value) in &routine.settings {
            if name == "default_transaction_isolation" {
                plan.isolation = Some(value.clone());
            } else {
                plan.settings.push((name.clone(), value.clone()));
            }
        }
        Ok(finished(plan, &shape))
    }

    /// A relation that is there.
    fn known_relation(&self, id: &QualifiedName) -> Result<&Relation, Refusal> {
        self.relation(id).ok_or_else(|| {
            let known = self.relations_in(&id.schema);
            let nearest = fuzzy::nearest(
                known.iter().map(|relation| relation.id.name.as_str()),
                &id.name,
                fuzzy::VERY_ALIKE,
            );
            Refusal::NoRelation {
                relation: id.clone(),
                suggestion: nearest.map(|name| format!("Perhaps you meant the table '{}.{name}'", id.schema)),
            }
        })
    }
}

fn methods_of(relation: &Relation) -> Vec<&'static str> {
    let mut methods = vec!["OPTIONS", "GET", "HEAD"];
    let mut add = |is_possible: bool, method| {
        if is_possible {
            methods.push(method);
        }
    };
    add(relation.is_insertable, "POST");
    add(
        relation.is_insertable && relation.is_updatable && !relation.key.is_empty(),
        "PUT",
    );
    add(relation.is_updatable, "PATCH");
    add(relation.is_deletable, "DELETE");
    methods
}

/// Which total the statement itself has to count, and up to how many.
fn counted(request: &Request, options: &Options) -> sql::Total {
    match request.preferences.count {
        Some(Count::Exact) => sql::Total::All,
        Some(Count::Estimated) => sql::Total::UpTo(options.rows_max.map(|rows| rows.saturating_add(1))),
        Some(Count::Planned) | None => sql::Total::None,
    }
}

fn needs_estimate(request: &Request) -> bool {
    matches!(request.preferences.count, Some(Count::Planned | Count::Estimated))
}

fn base(request: &Request, options: &Options, statement: Statement, kind: Kind, shape: &Shape) -> StatementPlan {
    let is_singular = matches!(shape.media, MediaType::Object { .. });
    StatementPlan {
        statement,
        estimate: None,
        access: Access::ReadWrite,
        isolation: None,
        settings: Vec::new(),
        kind,
        media: shape.media.clone(),
        is_explain: false,
        is_singular: is_singular && !shape.is_single_value,
        max_affected: None,
        count: request.preferences.count,
        estimate_above: options.rows_max,
        offset: 0,
        rollback: request.preferences.rollback.unwrap_or(options.rollback),
        used: Used::default(),
    }
}

/// A plan of the plan, where that was asked for.
fn finished(mut plan: StatementPlan, shape: &Shape) -> Plan {
    if let Some(explain) = &shape.explain {
        plan.statement = plan.statement.explained(explain);
        plan.media = MediaType::Plan(explain.clone());
        plan.is_explain = true;
        plan.is_singular = false;
        plan.max_affected = None;
        plan.estimate = None;
        plan.count = None;
    }
    Plan::Statement(Box::new(plan))
}

impl Schema {
    pub(crate) fn no_routine(
        &self,
        id: &QualifiedName,
        names: &BTreeSet<&str>,
        unnamed: Option<&'static str>,
        only_unnamed: bool,
    ) -> Refusal {
        let listed = |names: &mut dyn Iterator<Item = &str>| {
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            format!("({})", names.join(", "))
        };
        let overloads = self.routines(id);
        let suggestion = if only_unnamed {
            None
        } else if overloads.is_empty() {
            let all = self.routines_in(&id.schema);
            let all = all
                .iter()
                .filter_map(|overloads| overloads.first())
                .map(|routine| routine.id.name.as_str());
            fuzzy::nearest(all, &id.name, fuzzy::VERY_ALIKE).map(str::to_owned)
        } else {
            let signatures: Vec<String> = overloads
                .iter()
                .map(|routine: &Routine| {
                    listed(&mut routine.parameters.iter().map(|parameter| parameter.name.as_str()))
                })
                .collect();
            let asked = listed(&mut names.iter().copied());
            fuzzy::nearest(signatures.iter().map(String::as_str), &asked, fuzzy::ALIKE)
                .map(|found| format!("{}{found}", id.name))
        };
        Refusal::NoFunction(Box::new(crate::error::NoFunction {
            function: id.clone(),
            arguments: names.iter().map(ToString::to_string).collect(),
            unnamed,
            only_unnamed,
            suggestion: suggestion.map(|name| format!("Perhaps you meant to call the function {}.{name}", id.schema)),
        }))
    }
}
