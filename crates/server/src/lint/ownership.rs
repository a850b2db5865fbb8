//! Ownership: ours belongs to `nexus_owner` and stays out of the schemas that belong to Supabase.

use super::{Kind, Rule, sql};

pub(super) const EXTENSION_IN_SCHEMA: Rule = Rule {
    name: "extension_in_schema",
    why: "Its functions are published with ours and its names can hide ours.",
    kind: Kind::Wall,
    sql: sql!(
        "select e.extname::text, format('alter extension ... set schema extensions, it is in %I', n.nspname)
           from pg_extension e join pg_namespace n on n.oid = e.extnamespace
          where n.nspname = any ($1::text[])"
    ),
};

pub(super) const FOREIGN_OWNER: Rule = Rule {
    name: "foreign_owner",
    why: "An owner is above row-level security, so there is one, and nobody can log in as it.",
    kind: Kind::House,
    sql: sql!(
        "with owned as (
           select n.nspname, format('%I', n.nspname) as object, n.nspowner as owner
             from pg_namespace n
            where n.nspname <> 'public'
           union all
           select n.nspname, format('%I.%I', n.nspname, c.relname), c.relowner
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
              and not exists (select from pg_depend d
                               where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
           union all
           select n.nspname, format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                  f.proowner
             from pg_proc f join pg_namespace n on n.oid = f.pronamespace
            where not exists (select from pg_depend d
                               where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')
           union all
           select n.nspname, format('%I.%I', n.nspname, t.typname), t.typowner
             from pg_type t
             join pg_namespace n on n.oid = t.typnamespace
             left join pg_class c on c.oid = t.typrelid
            where t.typtype in ('d', 'e', 'c', 'r') and coalesce(c.relkind, 'c') = 'c'
              and not exists (select from pg_depend d
                               where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
         )
         select o.object, format('it belongs to %s: alter ... owner to nexus_owner', r.rolname)
           from owned o join pg_roles r on r.oid = o.owner
          where o.nspname = any ($1::text[]) and r.rolname <> 'nexus_owner'"
    ),
};

pub(super) const OURS_IN_PLATFORM_SCHEMA: Rule = Rule {
    name: "ours_in_platform_schema",
    why: "Supabase's services migrate these schemas and do not know our objects; a hosted project refuses them.",
    kind: Kind::House,
    sql: sql!(
        "with owned as (
           select c.relnamespace as schema, c.relname as name, c.relowner as owner
             from pg_class c
            where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
           union all
           select f.pronamespace, f.proname, f.proowner
             from pg_proc f
           union all
           select t.typnamespace, t.typname, t.typowner
             from pg_type t left join pg_class c on c.oid = t.typrelid
            where t.typtype in ('d', 'e', 'c', 'r') and coalesce(c.relkind, 'c') = 'c'
         )
         select format('%I.%I', n.nspname, o.name), 'nexus_owner made it there: move it to a schema of ours'
           from owned o
           join pg_namespace n on n.oid = o.schema
           join pg_roles r on r.oid = o.owner
          where n.nspname in ('auth', 'storage', 'realtime', 'vault', 'extensions', 'graphql', 'graphql_public',
                              'supabase_functions', 'supabase_migrations')
            and n.nspname <> all ($1::text[]) and r.rolname = 'nexus_owner'"
    ),
};

pub(super) const FOREIGN_KEY_INTO_PLATFORM: Rule = Rule {
    name: "foreign_key_into_platform",
    why: "Only primary keys of Supabase's own tables are promised to stay; anything else may change under the key.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, k.conname),
                format('it does not point at the primary key of %I.%I: point it there', rn.nspname, rc.relname)
           from pg_constraint k
           join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace
           join pg_class rc on rc.oid = k.confrelid
           join pg_namespace rn on rn.oid = rc.relnamespace
           join pg_index i on i.indexrelid = k.conindid
          where n.nspname = any ($1::text[]) and k.contype = 'f' and not i.indisprimary
            and rn.nspname in ('auth', 'storage', 'realtime')"
    ),
};
