//! Keys, indexes, constraints and triggers of tables.

use super::{Kind, Rule, sql};

pub(super) const NO_PRIMARY_KEY: Rule = Rule {
    name: "no_primary_key",
    why: "A row that cannot be named cannot be corrected, replicated or linked to.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname), 'give the table a primary key'
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p')
            and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')"
    ),
};

pub(super) const ID_TYPE: Rule = Rule {
    name: "id_type",
    why: "An id is a uuid anybody may make, or a number only the database gives; anything else can collide or be guessed.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I.%I', n.nspname, c.relname, a.attname),
                format('%s: make it uuid, or bigint generated always as identity', format_type(a.atttypid, a.atttypmod))
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute a on a.attrelid = c.oid and a.attname = 'id' and not a.attisdropped
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
            and a.atttypid <> 'uuid'::regtype
            and not (a.atttypid = 'int8'::regtype
                     and (a.attidentity <> ''
                          or exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'f'
                                        and a.attnum = any (k.conkey))))"
    ),
};

pub(super) const FOREIGN_KEY_WITHOUT_INDEX: Rule = Rule {
    name: "foreign_key_without_index",
    why: "Deleting or renaming the parent reads the whole child table, with the parent's row locked.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, k.conname),
                format('create an index that begins with (%s)',
                       (select string_agg(quote_ident(a.attname), ', ' order by key.position)
                          from unnest(k.conkey) with ordinality as key (attnum, position)
                          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.attnum))
           from pg_constraint k
           join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and k.contype = 'f' and k.conparentid = 0
            and not exists (
              select from pg_index i
                join pg_class ic on ic.oid = i.indexrelid
                join pg_am am on am.oid = ic.relam and am.amname in ('btree', 'hash')
               where i.indrelid = k.conrelid and i.indisvalid and i.indnkeyatts >= cardinality(k.conkey)
                 and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
                 and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] <@ k.conkey
                 and (i.indpred is null
                      or exists (select from pg_attribute a
                                  where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
                                    and pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname))))"
    ),
};

pub(super) const VALUE_CASCADES: Rule = Rule {
    name: "value_cascades",
    why: "Deleting a person or a property must not delete what they paid; people with history are anonymised.",
    kind: Kind::House,
    sql: sql!(
        r"select format('%I.%I: %s', n.nspname, c.relname, k.conname),
                 format('on delete %s from a table that carries value (%s): on delete restrict',
                        case k.confdeltype when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end,
                        string_agg(a.attname, ', ' order by a.attnum))
            from pg_constraint k
            join pg_class c on c.oid = k.conrelid
            join pg_namespace n on n.oid = c.relnamespace
            join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
             and a.attname ~ '(^|_)(minor|units|amount)$'
           where n.nspname = any ($1::text[]) and k.contype = 'f' and k.confdeltype in ('c', 'n', 'd')
           group by n.nspname, c.relname, k.conname, k.confdeltype"
    ),
};

pub(super) const CONSTRAINT_NOT_VALID: Rule = Rule {
    name: "constraint_not_valid",
    why: "It promises what the old rows were never checked for.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, k.conname), 'alter table ... validate constraint'
           from pg_constraint k
           join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and not k.convalidated"
    ),
};

/// Two indexes are the same when they differ in name, or in that one of them is unique.
pub(super) const DUPLICATE_INDEX: Rule = Rule {
    name: "duplicate_index",
    why: "Every write pays for both, and no read gains.",
    kind: Kind::House,
    sql: sql!(
        "with indexes as (
           select i.indexrelid, i.indrelid, n.nspname, ic.relname,
                  regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? ON ', '') as body,
                  row_number() over (
                    partition by i.indrelid, regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? ON ', '')
                    order by i.indisprimary desc, i.indisunique desc, ic.relname) as place,
                  first_value(ic.relname) over (
                    partition by i.indrelid, regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? ON ', '')
                    order by i.indisprimary desc, i.indisunique desc, ic.relname) as kept
             from pg_index i
             join pg_class ic on ic.oid = i.indexrelid and not ic.relispartition
             join pg_namespace n on n.oid = ic.relnamespace
            where n.nspname = any ($1::text[])
         )
         select format('%I.%I', nspname, relname), format('it is the same as %s: drop it', kept)
           from indexes
          where place > 1"
    ),
};

pub(super) const INVALID_INDEX: Rule = Rule {
    name: "invalid_index",
    why: "What a failed CREATE INDEX CONCURRENTLY left behind: writes keep it up, reads never use it.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname), 'drop it and create it again'
           from pg_index i
           join pg_class c on c.oid = i.indexrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and not i.indisvalid"
    ),
};

pub(super) const TRIGGER_DISABLED: Rule = Rule {
    name: "trigger_disabled",
    why: "A disabled trigger, those of foreign keys too, is a promise that nobody keeps.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, coalesce(k.conname, t.tgname)),
                'alter table ... enable trigger, or drop it'
           from pg_trigger t
           join pg_class c on c.oid = t.tgrelid
           join pg_namespace n on n.oid = c.relnamespace
           left join pg_constraint k on k.oid = t.tgconstraint
          where n.nspname = any ($1::text[]) and t.tgenabled = 'D'
          group by n.nspname, c.relname, coalesce(k.conname, t.tgname)"
    ),
};

pub(super) const UPDATED_AT_WITHOUT_TRIGGER: Rule = Rule {
    name: "updated_at_without_trigger",
    why: "A client that forgets the column makes the row look older than it is.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                'create a trigger before update, for each row, that executes update_updated_at_column()'
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute a on a.attrelid = c.oid and a.attname = 'updated_at' and not a.attisdropped
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
            and not exists (
              select from pg_trigger t join pg_proc f on f.oid = t.tgfoid
               where t.tgrelid = c.oid and f.proname = 'update_updated_at_column'
                 and (t.tgtype & 1) = 1 and (t.tgtype & 2) = 2 and (t.tgtype & 16) = 16)"
    ),
};

pub(super) const UNLOGGED_TABLE: Rule = Rule {
    name: "unlogged_table",
    why: "It is empty after a crash.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname), 'alter table ... set logged'
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and c.relpersistence = 'u'"
    ),
};
