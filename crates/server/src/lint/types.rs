//! Types: exact amounts, instants with a zone, text with a check, JSON with a shape.

use super::{Kind, Rule, sql};

pub(super) const INEXACT_TYPE: Rule = Rule {
    name: "inexact_type",
    why: "A float loses cents, and money takes its decimals from the server's locale.",
    kind: Kind::House,
    sql: sql!(
        "with used as (
           select n.nspname, format('%I.%I.%I', n.nspname, c.relname, a.attname) as object, a.atttypid as type
             from pg_attribute a
             join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
             join pg_namespace n on n.oid = c.relnamespace
            where a.attnum > 0 and not a.attisdropped
           union
           select n.nspname, format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                  argument.type
             from pg_proc f
             join pg_namespace n on n.oid = f.pronamespace
            cross join unnest(f.proargtypes::oid[] || coalesce(f.proallargtypes, '{}') || f.prorettype)
                    as argument (type)
           union
           select n.nspname, format('%I.%I', n.nspname, d.typname), d.typbasetype
             from pg_type d join pg_namespace n on n.oid = d.typnamespace
            where d.typtype = 'd'
         )
         select u.object, format('%s: use bigint in the smallest unit, or numeric',
                                 string_agg(distinct format_type(u.type, null), ', '))
           from used u join pg_type t on t.oid = u.type
          where u.nspname = any ($1::text[])
            and case t.typcategory when 'A' then t.typelem else t.oid end
                in ('float4'::regtype, 'float8'::regtype, 'money'::regtype)
          group by u.object"
    ),
};

pub(super) const TIME_WITHOUT_ZONE: Rule = Rule {
    name: "time_without_zone",
    why: "A record date without a zone is a different instant for every session that reads it.",
    kind: Kind::House,
    sql: sql!(
        "with used as (
           select n.nspname, format('%I.%I.%I', n.nspname, c.relname, a.attname) as object, a.atttypid as type
             from pg_attribute a
             join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
             join pg_namespace n on n.oid = c.relnamespace
            where a.attnum > 0 and not a.attisdropped
           union
           select n.nspname, format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                  argument.type
             from pg_proc f
             join pg_namespace n on n.oid = f.pronamespace
            cross join unnest(f.proargtypes::oid[] || coalesce(f.proallargtypes, '{}') || f.prorettype)
                    as argument (type)
         )
         select u.object, format('%s: use timestamptz, or date', string_agg(distinct format_type(u.type, null), ', '))
           from used u join pg_type t on t.oid = u.type
          where u.nspname = any ($1::text[])
            and case t.typcategory when 'A' then t.typelem else t.oid end in ('timestamp'::regtype, 'timetz'::regtype)
          group by u.object"
    ),
};

pub(super) const SIZED_TEXT: Rule = Rule {
    name: "sized_text",
    why: "Its limit has no name and no reason, changing it is a migration, and char(n) pads.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I.%I', n.nspname, c.relname, a.attname),
                format('%s: use text with a named check', format_type(a.atttypid, a.atttypmod))
           from pg_attribute a
           join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
           join pg_namespace n on n.oid = c.relnamespace
           join pg_type t on t.oid = a.atttypid
          where n.nspname = any ($1::text[]) and a.attnum > 0 and not a.attisdropped and not c.relispartition
            and case t.typcategory when 'A' then t.typelem else t.oid end in ('varchar'::regtype, 'bpchar'::regtype)"
    ),
};

pub(super) const SERIAL_COLUMN: Rule = Rule {
    name: "serial_column",
    why: "Its sequence has an owner and grants of its own, and a client may write any number over it.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I.%I', n.nspname, c.relname, a.attname),
                'its default is nextval(...): bigint generated always as identity'
           from pg_attrdef d
           join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
           join pg_class c on c.oid = a.attrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and not c.relispartition
            and pg_get_expr(d.adbin, d.adrelid) like 'nextval(%'"
    ),
};

pub(super) const AMOUNT_TYPE: Rule = Rule {
    name: "amount_type",
    why: "An amount in the smallest unit is a whole number that no filter rounds and every policy lets an index find.",
    kind: Kind::House,
    sql: sql!(
        r"select format('%I.%I.%I', n.nspname, c.relname, a.attname),
                 format('%s: a column named _minor or _units is bigint or numeric(38,0)',
                        format_type(a.atttypid, a.atttypmod))
            from pg_attribute a
            join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
            join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = any ($1::text[]) and a.attnum > 0 and not a.attisdropped and not c.relispartition
             and a.attname ~ '_(minor|units)$'
             and format_type(a.atttypid, a.atttypmod) not in ('bigint', 'bigint[]', 'numeric(38,0)')"
    ),
};

pub(super) const ENUM_TYPE: Rule = Rule {
    name: "enum_type",
    why: "A value never leaves an enum, a new one cannot be used in the transaction that adds it, and equality leaks.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, t.typname), 'use text with a named check'
           from pg_type t join pg_namespace n on n.oid = t.typnamespace
          where n.nspname = any ($1::text[]) and t.typtype = 'e'"
    ),
};

pub(super) const JSON_COLUMN: Rule = Rule {
    name: "json_column",
    why: "json keeps spaces and doubled keys and has neither equality nor an index.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I.%I', n.nspname, c.relname, a.attname), 'use jsonb'
           from pg_attribute a
           join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm')
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and a.attnum > 0 and not a.attisdropped and not c.relispartition
            and a.atttypid = 'json'::regtype"
    ),
};

pub(super) const JSONB_WITHOUT_SHAPE: Rule = Rule {
    name: "jsonb_without_shape",
    why: "A reader that expects an object finds a string one day.",
    kind: Kind::House,
    sql: sql!(
        r"select format('%I.%I.%I', n.nspname, c.relname, a.attname),
                 'add a check that says jsonb_typeof(column) = ''object'' (or what it is)'
            from pg_attribute a
            join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
            join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = any ($1::text[]) and a.attnum > 0 and not a.attisdropped and not c.relispartition
             and a.atttypid = 'jsonb'::regtype
             and not exists (select from pg_constraint k
                              where k.conrelid = c.oid and k.contype = 'c' and a.attnum = any (k.conkey)
                                and pg_get_constraintdef(k.oid) ~ ('jsonb_typeof\(\(?' || quote_ident(a.attname) || '\M'))"
    ),
};
