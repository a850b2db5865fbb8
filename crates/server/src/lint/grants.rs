//! Grants: nothing to PUBLIC, nothing by default, columns one by one, and no API role that stands above the wall.

use super::{Kind, Rule, sql};

pub(super) const PUBLIC_GRANT: Rule = Rule {
    name: "public_grant",
    why: "What PUBLIC holds every role holds, those made tomorrow too.",
    kind: Kind::Wall,
    sql: sql!(
        "with granted as (
           select c.relnamespace as schema, format('%I.%I', n.nspname, c.relname) as object, a.grantee, a.privilege_type
             from pg_class c
             join pg_namespace n on n.oid = c.relnamespace
            cross join aclexplode(c.relacl) a
            where not exists (select from pg_depend d
                               where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
           union all
           select c.relnamespace, format('%I.%I.%I', n.nspname, c.relname, t.attname), a.grantee, a.privilege_type
             from pg_attribute t
             join pg_class c on c.oid = t.attrelid
             join pg_namespace n on n.oid = c.relnamespace
            cross join aclexplode(t.attacl) a
           union all
           select n.oid, format('%I', n.nspname), a.grantee, a.privilege_type
             from pg_namespace n cross join aclexplode(n.nspacl) a
            where not (n.nspname = 'public' and a.privilege_type = 'USAGE')
         )
         select g.object,
                format('PUBLIC holds %s: revoke it and grant to named roles',
                       lower(string_agg(g.privilege_type, ', ' order by g.privilege_type)))
           from granted g join pg_namespace n on n.oid = g.schema
          where n.nspname = any ($1::text[]) and g.grantee = 0
          group by g.object"
    ),
};

pub(super) const WHOLE_TABLE_WRITE: Rule = Rule {
    name: "whole_table_write",
    why: "A client that may write every column sets its own status, role and price.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                string_agg(format('%s may %s every column, those added later too: grant the columns one by one',
                                  r.rolname, lower(a.privilege_type)), '; ' order by r.rolname, a.privilege_type)
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
          cross join aclexplode(c.relacl) a
           join pg_roles r on r.oid = a.grantee
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p', 'v', 'f')
            and a.privilege_type in ('INSERT', 'UPDATE')
            and r.rolname in ('anon', 'authenticated', 'nexus_staff')
            and not exists (select from pg_depend d
                             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
          group by n.nspname, c.relname"
    ),
};

pub(super) const EXCESS_GRANT: Rule = Rule {
    name: "excess_grant",
    why: "TRUNCATE asks no policy, TRIGGER and REFERENCES let a role act in others' writes, a grant option spreads.",
    kind: Kind::Wall,
    sql: sql!(
        "with granted as (
           select c.relnamespace as schema, format('%I.%I', n.nspname, c.relname) as object, a.grantee,
                  case when a.is_grantable then a.privilege_type || ' with grant option'
                       else a.privilege_type end as right_held
             from pg_class c
             join pg_namespace n on n.oid = c.relnamespace
            cross join aclexplode(c.relacl) a
            where a.is_grantable
               or a.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
               or (c.relkind = 'S' and a.privilege_type = 'UPDATE')
           union all
           select n.oid, format('%I', n.nspname), a.grantee, a.privilege_type
             from pg_namespace n cross join aclexplode(n.nspacl) a
            where a.is_grantable or a.privilege_type = 'CREATE'
         )
         select g.object,
                string_agg(format('%s holds %s: revoke it', r.rolname, lower(g.right_held)), '; '
                           order by r.rolname, g.right_held)
           from granted g
           join pg_namespace n on n.oid = g.schema
           join pg_roles r on r.oid = g.grantee
          where n.nspname = any ($1::text[])
            and r.rolname in ('anon', 'authenticated', 'nexus_staff', 'service_role')
          group by g.object"
    ),
};

pub(super) const DEFAULT_PRIVILEGES_OPEN: Rule = Rule {
    name: "default_privileges_open",
    why: "A default hands out rights on every object that will ever be made, and nobody reads it in the migration.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%s on %s%s', o.rolname,
                       case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                                            when 'T' then 'types' when 'n' then 'schemas' else d.defaclobjtype::text end,
                       coalesce(' in ' || n.nspname, '')),
                string_agg(format('%s is given %s on all that %s will make: alter default privileges ... revoke',
                                  coalesce(r.rolname, 'PUBLIC'), lower(a.privilege_type), o.rolname), '; '
                           order by r.rolname, a.privilege_type)
           from pg_default_acl d
           join pg_roles o on o.oid = d.defaclrole
           left join pg_namespace n on n.oid = d.defaclnamespace
          cross join aclexplode(d.defaclacl) a
           left join pg_roles r on r.oid = a.grantee
          where (n.oid is null or n.nspname = any ($1::text[]))
            and (o.rolname = 'nexus_owner'
                 or exists (select from pg_class c join pg_namespace cn on cn.oid = c.relnamespace
                             where c.relowner = o.oid and cn.nspname = any ($1::text[])))
            and (r.rolname in ('anon', 'authenticated', 'nexus_staff', 'service_role')
                 or (a.grantee = 0 and d.defaclobjtype <> 'T'))
          group by o.rolname, d.defaclobjtype, n.nspname"
    ),
};

/// Looks at roles, which belong to the cluster, so the schemas do not matter to it.
pub(super) const API_ROLE_OVER_THE_WALL: Rule = Rule {
    name: "api_role_over_the_wall",
    why: "A role that bypasses row-level security, or may become one that does, makes every policy a decoration.",
    kind: Kind::Wall,
    sql: sql!(
        "with reasons as (
           select r.rolname, format('has %s', attribute.word) as reason
             from pg_roles r
            cross join lateral (values ('superuser', r.rolsuper), ('bypassrls', r.rolbypassrls),
                                       ('createrole', r.rolcreaterole)) as attribute (word, held)
            where attribute.held
           union all
           select r.rolname, format('is a member of %s', above.rolname)
             from pg_roles r
             join pg_roles above on above.oid <> r.oid
              and (above.rolsuper or above.rolbypassrls
                   or above.rolname in ('nexus_owner', 'nexus_engine', 'pg_read_all_data', 'pg_write_all_data'))
              and pg_has_role(r.oid, above.oid, case r.rolname when 'authenticator' then 'usage' else 'member' end)
            where not r.rolsuper
         )
         select rolname::text, format('%s: take it away', string_agg(reason, ', ' order by reason))
           from reasons
          where $1::text[] is not null and rolname in ('anon', 'authenticated', 'nexus_staff', 'authenticator')
          group by rolname"
    ),
};

pub(super) const SELECT_BY_COLUMN: Rule = Rule {
    name: "select_by_column",
    why: "A column grant makes `select *` fail, which every client library sends; secrecy is by table.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                format('%s may select only %s: move what is secret to a table of its own and grant the table',
                       r.rolname, string_agg(t.attname, ', ' order by t.attnum))
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute t on t.attrelid = c.oid
          cross join aclexplode(t.attacl) a
           join pg_roles r on r.oid = a.grantee
          where n.nspname = any ($1::text[]) and a.privilege_type = 'SELECT'
            and r.rolname in ('anon', 'authenticated', 'nexus_staff', 'service_role')
          group by n.nspname, c.relname, r.rolname"
    ),
};
