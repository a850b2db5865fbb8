//! Words: comments that say what the name does not, and names given on purpose.

use super::{Kind, Rule, sql};

pub(super) const RELATION_WITHOUT_COMMENT: Rule = Rule {
    name: "relation_without_comment",
    why: "The comments are the manual: OpenAPI, the console and whoever was not there read them.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname), 'comment on it: what a row is, and what always holds'
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
            and coalesce(btrim(obj_description(c.oid, 'pg_class')), '') = ''"
    ),
};

pub(super) const COLUMN_WITHOUT_COMMENT: Rule = Rule {
    name: "column_without_comment",
    why: "A number without its unit, a date without its event: the reader guesses.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I.%I', n.nspname, c.relname, a.attname), 'comment on the column what its name does not say'
           from pg_attribute a
           join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and a.attnum > 0 and not a.attisdropped
            and coalesce(btrim(col_description(c.oid, a.attnum)), '') = ''"
    ),
};

pub(super) const FUNCTION_WITHOUT_COMMENT: Rule = Rule {
    name: "function_without_comment",
    why: "A function is an API: its comment says who may call it and what it promises.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                'comment on it what it does and for whom'
           from pg_proc f join pg_namespace n on n.oid = f.pronamespace
          where n.nspname = any ($1::text[])
            and coalesce(btrim(obj_description(f.oid, 'pg_proc')), '') = ''
            and not exists (select from pg_depend d
                             where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype in ('e', 'i'))"
    ),
};

pub(super) const TYPE_WITHOUT_COMMENT: Rule = Rule {
    name: "type_without_comment",
    why: "A type is used in many places; its meaning stands in one.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, t.typname), 'comment on the type what its values mean'
           from pg_type t
           join pg_namespace n on n.oid = t.typnamespace
           left join pg_class c on c.oid = t.typrelid
          where n.nspname = any ($1::text[]) and t.typtype in ('d', 'e', 'c', 'r') and coalesce(c.relkind, 'c') = 'c'
            and coalesce(btrim(obj_description(t.oid, 'pg_type')), '') = ''
            and not exists (select from pg_depend d
                             where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')"
    ),
};

pub(super) const COMMENT_REPEATS_NAME: Rule = Rule {
    name: "comment_repeats_name",
    why: "A comment that only says the name again is noise that looks like an answer.",
    kind: Kind::House,
    sql: sql!(
        "with said as (
           select n.nspname, format('%I.%I', n.nspname, c.relname) as object, c.relname as name,
                  obj_description(c.oid, 'pg_class') as comment
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
           union all
           select n.nspname, format('%I.%I.%I', n.nspname, c.relname, a.attname), a.attname,
                  col_description(c.oid, a.attnum)
             from pg_attribute a
             join pg_class c on c.oid = a.attrelid
             join pg_namespace n on n.oid = c.relnamespace
            where a.attnum > 0 and not a.attisdropped
           union all
           select n.nspname, format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                  f.proname, obj_description(f.oid, 'pg_proc')
             from pg_proc f join pg_namespace n on n.oid = f.pronamespace
         )
         select object, format('its comment only repeats its name: %s', comment)
           from said
          where nspname = any ($1::text[])
            and btrim(regexp_replace(regexp_replace(lower(comment), '[^a-z0-9]+', ' ', 'g'), '^ *(the|a|an) ', ''))
                in (replace(lower(name), '_', ' '), 'column ' || replace(lower(name), '_', ' '),
                    'table ' || replace(lower(name), '_', ' '), replace(lower(name), '_', ' ') || ' table')"
    ),
};

pub(super) const CHECK_AUTO_NAMED: Rule = Rule {
    name: "check_auto_named",
    why: "The name of a check is what the caller's refusal is made of: it says what holds.",
    kind: Kind::House,
    sql: sql!(
        r"select format('%I.%I: %s', n.nspname, c.relname, k.conname),
                 'the name says only where it stands: name the check after what holds'
            from pg_constraint k
            join pg_class c on c.oid = k.conrelid
            join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = any ($1::text[]) and k.contype = 'c' and k.conislocal
             and (k.conname = 'check'
                  or regexp_replace(k.conname, '_check[0-9]*$', '') = c.relname
                  or (k.conname ~ '_check[0-9]*$'
                      and exists (select from pg_attribute a
                                   where a.attrelid = c.oid and a.attnum > 0
                                     and regexp_replace(k.conname, '_check[0-9]*$', '')
                                         in (a.attname, c.relname || '_' || a.attname))))"
    ),
};

pub(super) const CONSTRAINT_NUMBERED: Rule = Rule {
    name: "constraint_numbered",
    why: "A number at the end of a generated name means that nobody chose it, and it moves when a neighbour goes.",
    kind: Kind::House,
    sql: sql!(
        r"select format('%I.%I: %s', n.nspname, c.relname, k.conname), 'the name was made by counting: choose one'
            from pg_constraint k
            join pg_class c on c.oid = k.conrelid
            join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = any ($1::text[]) and k.contype in ('u', 'f', 'p', 'x') and k.conparentid = 0
             and k.conname ~ '_(key|fkey|pkey|excl)[0-9]+$'"
    ),
};

pub(super) const CONSTRAINT_NOT_NAMED_AFTER_TABLE: Rule = Rule {
    name: "constraint_not_named_after_table",
    why: "An error carries the constraint's name alone; it must say which table it speaks of.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, k.conname), format('let the name begin with %s_', c.relname)
           from pg_constraint k
           join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and k.contype in ('c', 'u', 'f', 'p', 'x')
            and k.conparentid = 0 and k.conislocal and not c.relispartition
            and not starts_with(k.conname::text, c.relname || '_')"
    ),
};

pub(super) const TABLE_NOT_PLURAL: Rule = Rule {
    name: "table_not_plural",
    why: "A table holds many rows; one habit less to remember.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname), 'name the table in the plural, or accept it with the reason'
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
            and right(c.relname, 1) <> 's'"
    ),
};

pub(super) const NAME_NEEDS_QUOTES: Rule = Rule {
    name: "name_needs_quotes",
    why: "A name in capitals, with a space, or a word of SQL, is wrong in every query that forgets the quotes.",
    kind: Kind::House,
    sql: sql!(
        "with named as (
           select n.nspname, format('%I.%I', n.nspname, c.relname) as object, c.relname as name
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
           union all
           select n.nspname, format('%I.%I.%I', n.nspname, c.relname, a.attname), a.attname
             from pg_attribute a
             join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
             join pg_namespace n on n.oid = c.relnamespace
            where a.attnum > 0 and not a.attisdropped
           union all
           select n.nspname, format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                  f.proname
             from pg_proc f join pg_namespace n on n.oid = f.pronamespace
         )
         select object, 'lower case letters, digits and underscores, and no word that SQL keeps for itself'
           from named
          where nspname = any ($1::text[]) and quote_ident(name) <> name"
    ),
};
