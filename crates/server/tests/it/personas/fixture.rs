//! The fixture: who acts, the rows that there are, and what is missing in it.

use std::collections::BTreeSet;

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::relations::{FUNCTIONS, RELATIONS, Relation};
use crate::world::Person;

/// Somebody who tries. The service and the engine have no login.
pub(super) struct Persona {
    pub(super) name: &'static str,
    pub(super) role: &'static str,
    pub(super) claims: String,
    pub(super) login: Option<Uuid>,
    assigned: BTreeSet<Uuid>,
    invested: BTreeSet<Uuid>,
    joined: BTreeSet<Uuid>,
    made: BTreeSet<Uuid>,
}

/// A row of the fixture with whose it is.
pub(super) struct Row {
    pub(super) place: String,
    pub(super) digest: String,
    /// The value of each column as a literal of SQL.
    pub(super) literals: Vec<String>,
    pub(super) owner: Option<Uuid>,
    pub(super) property: Option<Uuid>,
    room: Option<Uuid>,
    further: Vec<String>,
}

pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_needed: bool,
    pub(super) is_callers_by_default: bool,
    pub(super) is_text: bool,
}

/// A relation with its rows and the columns that can be written at all: not the generated ones.
pub(super) struct Subject {
    pub(super) relation: &'static Relation,
    pub(super) is_table: bool,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

pub(super) fn person(number: u8) -> Uuid {
    format!("a0000000-0000-4000-8000-00000000000{number}").parse().unwrap()
}

pub(super) fn property(number: u8) -> Uuid {
    format!("b0000000-0000-4000-8000-00000000000{number}").parse().unwrap()
}

/// The other investor, or for him the first.
pub(super) fn other_than(who: &Persona) -> Uuid {
    person(if who.login == Some(person(2)) { 1 } else { 2 })
}

pub(super) async fn load(client: &Client) {
    client.batch_execute(include_str!("tries.sql")).await.unwrap();
    client.batch_execute(include_str!("fixture.sql")).await.unwrap();
}

pub(super) async fn personas(client: &Client) -> Vec<Persona> {
    let mut found = vec![nobody("visitor", "anon", json!({ "role": "anon" }))];
    let people = [
        "investor",
        "another investor",
        "property_manager",
        "another property's manager",
        "compliance_officer",
        "admin",
    ];
    for (number, name) in (1..).zip(people) {
        let login = Person {
            id: person(number),
            is_staff: number > 2,
        };
        found.push(persona(client, name, login).await);
    }
    found.push(nobody("service", "service_role", json!({ "role": "service_role" })));
    found.push(nobody("engine", "nexus_engine", json!({})));
    found
}

pub(super) fn nobody(name: &'static str, role: &'static str, claims: serde_json::Value) -> Persona {
    Persona {
        name,
        role,
        claims: claims.to_string(),
        login: None,
        assigned: BTreeSet::new(),
        invested: BTreeSet::new(),
        joined: BTreeSet::new(),
        made: BTreeSet::new(),
    }
}

pub(super) async fn persona(client: &Client, name: &'static str, login: Person) -> Persona {
    let ids = async |sql: &str| -> BTreeSet<Uuid> {
        let rows = client.query(sql, &[&login.id]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    Persona {
        name,
        role: login.db_role(),
        claims: login.claims().to_string(),
        login: Some(login.id),
        assigned: ids("select m.property_id from public.property_members as m
             join public.user_role_assignments as a on a.user_id = m.user_id and a.role = 'property_manager' and a.is_active
             where m.user_id = $1 and m.is_active")
        .await,
        invested: ids("select property_id from public.investments where user_id = $1 and status = 'confirmed'").await,
        joined: ids("select room_id from public.chat_room_participants where user_id = $1 and is_active").await,
        made: ids("select id from public.chat_rooms where created_by = $1").await,
    }
}

impl Persona {
    /// The classes that a row is of for this persona, beside public.
    pub(super) fn classes(&self, relation: &Relation, row: &Row) -> Vec<&'static str> {
        let has = |ids: &BTreeSet<Uuid>, id: Option<Uuid>| id.is_some_and(|id| ids.contains(&id));
        let me = self.login.map(|id| id.to_string());
        let mut classes = Vec::new();
        if self.login.is_some() && row.owner.is_some() {
            classes.push(if row.owner == self.login { "own" } else { "another's" });
        }
        if has(&self.made, row.room) {
            classes.push("made");
        }
        if has(&self.joined, row.room) {
            classes.push("joined");
        }
        if has(&self.assigned, row.property) {
            classes.push("assigned");
        }
        if has(&self.invested, row.property) {
            classes.push("invested");
        }
        for ((name, _), value) in relation.further.iter().zip(&row.further) {
            if value == "true" || me.as_ref() == Some(value) {
                classes.push(name);
            }
        }
        classes
    }
}

impl Subject {
    pub(super) async fn of(client: &Client, relation: &'static Relation) -> Subject {
        let about = client
            .query(
                "select a.attname::text, a.attnotnull and not a.atthasdef,
                        coalesce(pg_get_expr(d.adbin, d.adrelid), '') like '%auth.uid()%',
                        a.atttypid = 'text'::regtype, c.relkind in ('r', 'p')
                 from pg_attribute as a join pg_class as c on c.oid = a.attrelid
                 left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
                 where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
                   and a.attgenerated = '' and a.attidentity <> 'a'
                 order by a.attnum",
                &[&relation.name],
            )
            .await
            .unwrap();
        let is_table = about
            .first()
            .unwrap_or_else(|| panic!("there is no {} any more", relation.name))
            .get(4);
        let columns: Vec<Column> = about
            .iter()
            .map(|row| Column {
                name: row.get(0),
                is_needed: row.get(1),
                is_callers_by_default: row.get(2),
                is_text: row.get(3),
            })
            .collect();
        let rows = rows(client, relation, is_table, &columns).await;
        Subject {
            relation,
            is_table,
            columns,
            rows,
        }
    }

    pub(super) fn title(&self) -> String {
        match self.relation.bucket {
            "" => self.relation.name.to_owned(),
            bucket => format!("{} in {bucket}", self.relation.name),
        }
    }

    /// Whether a row's class is read from this column.
    pub(super) fn decides_class(&self, column: &Column) -> bool {
        let Relation {
            owner,
            property,
            room,
            also,
            ..
        } = self.relation;
        [owner, property, room]
            .iter()
            .any(|expression| **expression == format!("t.{}", column.name))
            || also.contains(&column.name.as_str())
    }

    /// What the fixture lacks, in words that say what to add.
    pub(super) fn lacks(&self) -> Vec<String> {
        let title = self.title();
        if self.rows.is_empty() {
            return vec![format!("{title} has no row: add rows to personas/fixture.sql")];
        }
        let mut lacks = Vec::new();
        if self.relation.is_everybodys {
            let without = (1..=6).filter(|number| self.rows.iter().all(|row| row.owner != Some(person(*number))));
            lacks.extend(without.map(|number| format!("{title} has no row of person {number}: personas/fixture.sql")));
        }
        if self.relation.owner == "null" && self.relation.property != "null" && self.is_table {
            let without = (1..=5).filter(|number| self.rows.iter().all(|row| row.property != Some(property(*number))));
            lacks
                .extend(without.map(|number| format!("{title} has no row of property {number}: personas/fixture.sql")));
        }
        // Nobody reaches the platform's logins, so there is nothing to try on their columns.
        if self.is_table && self.relation.name != "auth.users" {
            let columns = self.columns.iter().enumerate();
            let empty = columns.filter(|(at, _)| self.rows.iter().all(|row| row.literals[*at] == "NULL"));
            lacks.extend(empty.map(|(_, column)| {
                let name = &column.name;
                format!("{title}.{name} is null in every row: give it a value in personas/fixture.sql")
            }));
        }
        lacks
    }
}

async fn rows(client: &Client, relation: &Relation, is_table: bool, columns: &[Column]) -> Vec<Row> {
    let literals: Vec<String> = columns
        .iter()
        .map(|column| format!("quote_nullable(t.\"{}\"::text)", column.name))
        .collect();
    let further: Vec<String> = relation
        .further
        .iter()
        .map(|(_, expression)| format!("coalesce(({expression})::text, '')"))
        .collect();
    let sql = format!(
        "select {}, md5(to_jsonb(t)::text), array[{}]::text[], ({})::uuid, ({})::uuid, ({})::uuid, array[{}]::text[]
         from {} as t where {} order by 1, 2",
        if is_table { "t.ctid::text" } else { "''" },
        literals.join(", "),
        relation.owner,
        relation.property,
        relation.room,
        further.join(", "),
        relation.name,
        filter(relation),
    );
    let found = client.query(&sql, &[]).await.unwrap();
    found
        .iter()
        .map(|row| Row {
            place: row.get(0),
            digest: row.get(1),
            literals: row.get(2),
            owner: row.get(3),
            property: row.get(4),
            room: row.get(5),
            further: row.get(6),
        })
        .collect()
}

pub(super) fn filter(relation: &Relation) -> String {
    match relation.bucket {
        "" => "true".to_owned(),
        bucket => format!("t.bucket_id = '{bucket}'"),
    }
}

/// Relations and functions that the matrix does not know yet.
pub(super) async fn unknown(client: &Client) -> Vec<String> {
    let names = async |sql: &str| -> Vec<String> {
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let relations = names(
        "select format('%s.%s', n.nspname, c.relname) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
         where n.nspname in ('public', 'nexus', 'ledger') and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1",
    )
    .await;
    let functions = names(
        "select format('public.%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) from pg_proc as p
         where p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype order by 1",
    )
    .await;
    let buckets = names("select id from storage.buckets order by 1").await;
    let mut unknown = Vec::new();
    for name in relations {
        if RELATIONS.iter().all(|relation| relation.name != name) {
            unknown.push(format!(
                "{name} is new: add its rows to personas/fixture.sql, and whose they are to personas/relations.rs"
            ));
        }
    }
    for signature in functions {
        if FUNCTIONS.iter().all(|function| function.signature != signature) {
            unknown.push(format!(
                "{signature} is new: add what to ask it to personas/relations.rs"
            ));
        }
    }
    for bucket in buckets {
        if RELATIONS.iter().all(|relation| relation.bucket != bucket) {
            unknown.push(format!("bucket {bucket} is new: add it to personas/relations.rs"));
        }
    }
    unknown
}
