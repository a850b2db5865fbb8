//! Reads the catalogue of PostgreSQL for the schema cache. Types are named with their schema, so that statements
//! mean the same whatever the search path of their transaction is.

use pgrest::{
    name::QualifiedName,
    schema::{
        Catalogue, CatalogueColumn, CatalogueConstraint, CatalogueHandler, CatalogueRelation, CatalogueRoutine,
        CatalogueView, Column, ConstraintKind, Handler, Parameter, Relation, Returns, Routine, Schema, Volatility,
    },
};
use tokio_postgres::{Client, Error, Row, types::ToSql};

use crate::db::sql;

/// Loads the cache of what `exposed` schemas show. Of functions' own settings, `hoisted` ones are kept.
///
/// # Errors
/// What PostgreSQL answered.
pub async fn load(
    client: &Client,
    exposed: &[String],
    hoisted: &[String],
    timezones: Vec<String>,
) -> Result<Schema, Error> {
    client
        .batch_execute("begin isolation level repeatable read read only; set local search_path to ''")
        .await?;
    let catalogue = read(client, exposed, hoisted, timezones).await;
    client.batch_execute("commit").await?;
    Ok(Schema::build(catalogue?, exposed))
}

/// The names of timezones, which do not change while the server runs and cost most to read.
///
/// # Errors
/// What PostgreSQL answered.
pub async fn timezones(client: &Client) -> Result<Vec<String>, Error> {
    let rows = client
        .query(sql!("select name from pg_catalog.pg_timezone_names"), &[])
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn read(
    client: &Client,
    exposed: &[String],
    hoisted: &[String],
    timezones: Vec<String>,
) -> Result<Catalogue, Error> {
    let by_schema: [&(dyn ToSql + Sync); 1] = [&exposed];
    let relations = client.query(
        sql!(
            "select c.oid, n.nspname::text, c.relname::text, pg_catalog.obj_description(c.oid, 'pg_class'), c.relkind in ('v', 'm'),
                    case when c.relkind in ('r', 'p') then 28
                         when c.relkind in ('v', 'f') then pg_catalog.pg_relation_is_updatable(c.oid, true)
                         else 0 end
             from pg_catalog.pg_class c
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition
               and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_t%'"
        ),
        &[],
    );
    let columns = client.query(
        sql!(
            "with recursive bases (domain, base) as (
               select oid, typbasetype from pg_catalog.pg_type where typtype = 'd'
               union all
               select b.domain, t.typbasetype
               from bases b join pg_catalog.pg_type t on t.oid = b.base where t.typtype = 'd'
             ),
             plain (domain, base) as (
               select b.domain, b.base from bases b join pg_catalog.pg_type t on t.oid = b.base where t.typtype <> 'd'
             )
             select a.attrelid, a.attnum, a.attname::text, pg_catalog.format_type(a.atttypid, null),
                    pg_catalog.format_type(coalesce(p.base, a.atttypid), null),
                    not (a.attnotnull or t.typnotnull),
                    case when a.attgenerated <> '' then null
                         when a.attidentity <> '' then
                           (select pg_catalog.format('nextval(%L)', o.objid::pg_catalog.regclass)
                            from pg_catalog.pg_depend o
                            where o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and o.refobjid = a.attrelid
                              and o.refobjsubid = a.attnum and o.deptype = 'i'
                              and o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass limit 1)
                         else coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.typdefault) end,
                    case when t.oid in (1042, 1043) and a.atttypmod > 4 then a.atttypmod - 4 end,
                    (select pg_catalog.array_agg(e.enumlabel::text order by e.enumsortorder)
                     from pg_catalog.pg_enum e where e.enumtypid = coalesce(p.base, a.atttypid)),
                    pg_catalog.col_description(a.attrelid, a.attnum)
             from pg_catalog.pg_attribute a
             join pg_catalog.pg_class c on c.oid = a.attrelid
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             join pg_catalog.pg_type t on t.oid = a.atttypid
             left join plain p on p.domain = a.atttypid
             left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
             where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'v', 'm', 'f', 'p')
               and not c.relispartition and n.nspname = any ($1)
             order by a.attrelid, a.attnum"
        ),
        &by_schema,
    );
    let constraints = client.query(
        sql!(
            "select conname::text, contype::text, conrelid, conkey, confrelid, coalesce(confkey, '{}')
             from pg_catalog.pg_constraint
             where contype in ('p', 'u', 'f') and conparentid = 0 and conrelid <> 0
             order by conname, conrelid"
        ),
        &[],
    );
    let views = client.query(
        sql!(
            "select c.oid, r.ev_action::text
             from pg_catalog.pg_rewrite r
             join pg_catalog.pg_class c on c.oid = r.ev_class
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('v', 'm') and r.rulename = '_RETURN'
               and n.nspname not in ('pg_catalog', 'information_schema')"
        ),
        &[],
    );
    let routines = client.query(
        sql!(
            "select p.oid, n.nspname::text, p.proname::text, pg_catalog.obj_description(p.oid, 'pg_proc'), a.names, a.types, a.modes,
                    p.pronargdefaults::int, p.proretset, p.prorows, p.provolatile::text, coalesce(p.proconfig, '{}'),
                    t.typtype::text, tn.nspname::text, t.typname::text, rn.nspname::text, r.relname::text,
                    coalesce(p.proargmodes && '{o,b,t}'::\"char\"[], false), an.nspname::text, ac.relname::text
             from pg_catalog.pg_proc p
             join pg_catalog.pg_namespace n on n.oid = p.pronamespace
             cross join lateral (
               select coalesce(pg_catalog.array_agg(coalesce(u.name, '') order by u.place), '{}') as names,
                      coalesce(pg_catalog.array_agg(pg_catalog.format_type(u.type, null) order by u.place), '{}') as types,
                      coalesce(pg_catalog.array_agg(coalesce(u.mode::text, 'i') order by u.place), '{}') as modes
               from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes)
                    with ordinality as u (type, name, mode, place)
               where u.type is not null and coalesce(u.mode::text, 'i') in ('i', 'b', 'v')
             ) a
             join pg_catalog.pg_type t on t.oid = p.prorettype
             join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
             left join pg_catalog.pg_class r on r.oid = t.typrelid and t.typtype = 'c'
             left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
             left join pg_catalog.pg_type at on p.pronargs = 1 and at.oid = p.proargtypes[0] and at.typtype = 'c'
             left join pg_catalog.pg_class ac on ac.oid = at.typrelid
             left join pg_catalog.pg_namespace an on an.oid = ac.relnamespace
             where p.prokind = 'f' and n.nspname = any ($1)
             order by n.nspname, p.proname, p.oid"
        ),
        &by_schema,
    );
    let representations = client.query(
        sql!(
            "select pg_catalog.format_type(c.castsource, null), pg_catalog.format_type(c.casttarget, null), n.nspname::text, p.proname::text
             from pg_catalog.pg_cast c
             join pg_catalog.pg_proc p on p.oid = c.castfunc
             join pg_catalog.pg_namespace n on n.oid = p.pronamespace
             join pg_catalog.pg_type s on s.oid = c.castsource
             join pg_catalog.pg_type t on t.oid = c.casttarget
             where c.castcontext = 'i'
               and (s.typtype = 'd' and t.oid = 'json'::regtype
                    or t.typtype = 'd' and s.oid in ('json'::regtype, 'text'::regtype))"
        ),
        &[],
    );
    let handlers = client.query(
        sql!(
            "select t.typname::text, n.nspname::text, p.proname::text, cn.nspname::text, c.relname::text
             from pg_catalog.pg_proc p
             join pg_catalog.pg_namespace n on n.oid = p.pronamespace
             join pg_catalog.pg_type t on t.oid = p.prorettype
             join pg_catalog.pg_type a on a.oid = p.proargtypes[0]
             left join pg_catalog.pg_class c on c.oid = a.typrelid
             left join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
             where p.prokind = 'a' and p.pronargs = 1 and t.typtype = 'd' and t.typname like '%_/_%'
               and (c.oid is not null or a.oid = 'anyelement'::regtype)"
        ),
        &[],
    );
    let domains = client.query(
        sql!(
            "select n.nspname::text, t.typname::text
             from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
             where t.typtype = 'd' and t.typname like '%_/_%'"
        ),
        &[],
    );
    let comments = client.query(
        sql!(
            "select n.nspname::text, pg_catalog.obj_description(n.oid, 'pg_namespace')
             from pg_catalog.pg_namespace n
             where n.nspname = any ($1) and pg_catalog.obj_description(n.oid, 'pg_namespace') is not null"
        ),
        &by_schema,
    );
    let relations = relations.await?;
    let (columns, constraints, views) = tokio::try_join!(columns, constraints, views)?;
    let (routines, representations, handlers) = tokio::try_join!(routines, representations, handlers)?;
    let (domains, comments) = tokio::try_join!(domains, comments)?;
    Ok(Catalogue {
        relations: relations.iter().map(relation).collect::<Result<_, _>>()?,
        columns: columns.iter().map(column).collect::<Result<_, _>>()?,
        constraints: constraints.iter().map(constraint).collect::<Result<_, _>>()?,
        views: views.iter().map(view).collect::<Result<_, _>>()?,
        routines: routines
            .iter()
            .map(|row| routine(row, hoisted))
            .collect::<Result<_, _>>()?,
        representations: representations.iter().map(representation).collect::<Result<_, _>>()?,
        handlers: handlers.iter().map(handler).collect::<Result<_, _>>()?,
        media_domains: domains.iter().map(|row| name(row, 0)).collect::<Result<_, _>>()?,
        timezones,
        comments: comments
            .iter()
            .map(|row| Ok::<_, Error>((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, _>>()?,
    })
}

/// The qualified name in two columns.
fn name(row: &Row, at: usize) -> Result<QualifiedName, Error> {
    Ok(QualifiedName {
        schema: row.try_get(at)?,
        name: row.try_get(at + 1)?,
    })
}

/// The qualified name in two columns that may be null.
fn name_or_none(row: &Row, at: usize) -> Result<Option<QualifiedName>, Error> {
    let (schema, name): (Option<String>, Option<String>) = (row.try_get(at)?, row.try_get(at + 1)?);
    Ok(schema.zip(name).map(|(schema, name)| QualifiedName { schema, name }))
}

/// Bits of `pg_relation_is_updatable`.
const UPDATE: i32 = 4;
const INSERT: i32 = 8;
const DELETE: i32 = 16;

fn relation(row: &Row) -> Result<CatalogueRelation, Error> {
    let can: i32 = row.try_get(5)?;
    Ok(CatalogueRelation {
        oid: row.try_get(0)?,
        relation: Relation {
            id: name(row, 1)?,
            comment: row.try_get(3)?,
            is_view: row.try_get(4)?,
            is_insertable: can & INSERT != 0,
            is_updatable: can & UPDATE != 0,
            is_deletable: can & DELETE != 0,
            ..Relation::default()
        },
    })
}

fn column(row: &Row) -> Result<CatalogueColumn, Error> {
    Ok(CatalogueColumn {
        relation: row.try_get(0)?,
        number: row.try_get(1)?,
        column: Column {
            name: row.try_get(2)?,
            type_name: row.try_get(3)?,
            base_type: row.try_get(4)?,
            is_nullable: row.try_get(5)?,
            default: row.try_get(6)?,
            length_max: row.try_get(7)?,
            enum_values: row.try_get::<_, Option<Vec<String>>>(8)?.unwrap_or_default(),
            comment: row.try_get(9)?,
        },
    })
}

fn constraint(row: &Row) -> Result<CatalogueConstraint, Error> {
    Ok(CatalogueConstraint {
        name: row.try_get(0)?,
        kind: match row.try_get::<_, String>(1)?.as_str() {
            "p" => ConstraintKind::Primary,
            "u" => ConstraintKind::Unique,
            _ => ConstraintKind::Foreign,
        },
        relation: row.try_get(2)?,
        columns: row.try_get(3)?,
        target: row.try_get(4)?,
        target_columns: row.try_get(5)?,
    })
}

fn view(row: &Row) -> Result<CatalogueView, Error> {
    Ok(CatalogueView {
        relation: row.try_get(0)?,
        rule: row.try_get(1)?,
    })
}

fn routine(row: &Row, hoisted: &[String]) -> Result<CatalogueRoutine, Error> {
    let (names, types, modes): (Vec<String>, Vec<String>, Vec<String>) =
        (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    let defaults = usize::try_from(row.try_get::<_, i32>(7)?).unwrap_or(0);
    let required = names.len().saturating_sub(defaults);
    let parameters = names.into_iter().zip(types).zip(modes).enumerate();
    let parameters = parameters.map(|(at, ((name, type_name), mode))| Parameter {
        name,
        type_name,
        is_required: at < required,
        is_variadic: mode == "v",
    });
    let is_set: bool = row.try_get(8)?;
    let rows: f32 = row.try_get(9)?;
    let settings: Vec<String> = row.try_get(11)?;
    let has_out: bool = row.try_get(17)?;
    let (kind, type_name) = (row.try_get::<_, String>(12)?, name(row, 13)?);
    let returns = match (name_or_none(row, 15)?, kind.as_str(), type_name.name.as_str()) {
        (Some(relation), _, _) => Returns::Row(relation),
        (None, _, "void") => Returns::Void,
        (None, _, _) if has_out => Returns::Record,
        // Without columns of its own, `record` can only be had as one value.
        (None, _, _) => Returns::Scalar(type_name),
    };
    Ok(CatalogueRoutine {
        routine: Routine {
            id: name(row, 1)?,
            oid: row.try_get(0)?,
            comment: row.try_get(3)?,
            parameters: parameters.collect(),
            returns,
            is_set,
            volatility: match row.try_get::<_, String>(10)?.as_str() {
                "s" => Volatility::Stable,
                "i" => Volatility::Immutable,
                _ => Volatility::Volatile,
            },
            settings: settings
                .iter()
                .filter_map(|setting| setting.split_once('='))
                .filter(|(name, _)| hoisted.iter().any(|known| known == name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        },
        of_row: name_or_none(row, 18)?,
        to_one: !is_set || (rows - 1.0).abs() < f32::EPSILON,
    })
}

fn representation(row: &Row) -> Result<(String, String, QualifiedName), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, name(row, 2)?))
}

fn handler(row: &Row) -> Result<CatalogueHandler, Error> {
    Ok(CatalogueHandler {
        handler: Handler {
            media: row.try_get(0)?,
            function: name(row, 1)?,
            relation: name_or_none(row, 3)?,
        },
    })
}
