//! Views, materialized views and foreign tables: what row-level security does not reach.

use super::{Kind, Rule, sql};

pub(super) const WRITABLE_OWNER_RIGHTS_VIEW: Rule = Rule {
    name: "writable_owner_rights_view",
    why: "A write through it happens with the owner's rights: no policy and no grant of the table stops it.",
    kind: Kind::Wall,
    sql: sql!(
        "with granted as (
           select c.oid, a.grantee, a.privilege_type
             from pg_class c cross join aclexplode(c.relacl) a
           union
           select t.attrelid, a.grantee, a.privilege_type
             from pg_attribute t cross join aclexplode(t.attacl) a
         )
         select format('%I.%I', n.nspname, c.relname),
                string_agg(format('%s may %s through the owner''s rights: revoke it, or set security_invoker',
                                  coalesce(r.rolname, 'PUBLIC'), lower(g.privilege_type)), '; '
                           order by r.rolname, g.privilege_type)
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           join granted g on g.oid = c.oid
           left join pg_roles r on r.oid = g.grantee
          where n.nspname = any ($1::text[]) and c.relkind = 'v'
            and coalesce(array_to_string(c.reloptions, ','), '') !~* 'security_invoker=(true|on|yes|1)'
            and g.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
            and (g.grantee = 0 or r.rolname in ('anon', 'authenticated', 'nexus_staff', 'service_role'))
          group by n.nspname, c.relname"
    ),
};

pub(super) const OWNER_RIGHTS_VIEW_UNEXPLAINED: Rule = Rule {
    name: "owner_rights_view_unexplained",
    why: "A view without security_invoker shows what its owner sees; only a stated reason tells it from a slip.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                'set security_invoker = true, or say in its comment why it reads with \"owner rights\"'
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and c.relkind = 'v'
            and coalesce(array_to_string(c.reloptions, ','), '') !~* 'security_invoker=(true|on|yes|1)'
            and coalesce(obj_description(c.oid, 'pg_class'), '') !~* '\\mowner rights\\M'
            and not exists (select from pg_depend d
                             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')"
    ),
};

pub(super) const VIEW_EXPOSES_AUTH_USERS: Rule = Rule {
    name: "view_exposes_auth_users",
    why: "Logins, addresses and password hashes of everybody are one select away.",
    kind: Kind::Wall,
    sql: sql!(
        "select distinct format('%I.%I', n.nspname, c.relname),
                'it reads auth.users with the owner''s rights and clients may select it: revoke that'
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           join pg_rewrite w on w.ev_class = c.oid
           join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
            and d.refclassid = 'pg_class'::regclass
           join pg_class u on u.oid = d.refobjid and u.relname = 'users'
           join pg_namespace un on un.oid = u.relnamespace and un.nspname = 'auth'
          cross join aclexplode(c.relacl) a
           left join pg_roles r on r.oid = a.grantee
          where n.nspname = any ($1::text[]) and a.privilege_type = 'SELECT'
            and (a.grantee = 0 or r.rolname in ('anon', 'authenticated'))
            and (c.relkind = 'm'
                 or (c.relkind = 'v'
                     and coalesce(array_to_string(c.reloptions, ','), '') !~* 'security_invoker=(true|on|yes|1)'))"
    ),
};

pub(super) const PUBLIC_MATVIEW_UNEXPLAINED: Rule = Rule {
    name: "public_matview_unexplained",
    why: "A materialized view has no row-level security: who may read it reads all of it.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                format('%s may read all of it: revoke that, or say in its comment why its rows are public',
                       string_agg(distinct coalesce(r.rolname, 'PUBLIC'), ', '))
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
          cross join aclexplode(c.relacl) a
           left join pg_roles r on r.oid = a.grantee
          where n.nspname = any ($1::text[]) and c.relkind = 'm'
            and (a.grantee = 0 or r.rolname in ('anon', 'authenticated', 'nexus_staff'))
            and coalesce(obj_description(c.oid, 'pg_class'), '') !~* '\\mpublic\\M'
          group by n.nspname, c.relname"
    ),
};

pub(super) const FOREIGN_TABLE_GRANTED: Rule = Rule {
    name: "foreign_table_granted",
    why: "A foreign table has no row-level security and reads with the credentials of its user mapping.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                format('%s may use it: revoke that and keep it in a schema the API does not serve',
                       string_agg(distinct coalesce(r.rolname, 'PUBLIC'), ', '))
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
          cross join aclexplode(c.relacl) a
           left join pg_roles r on r.oid = a.grantee
          where n.nspname = any ($1::text[]) and c.relkind = 'f'
            and (a.grantee = 0 or r.rolname in ('anon', 'authenticated', 'nexus_staff'))
          group by n.nspname, c.relname"
    ),
};

pub(super) const MATVIEW_WITHOUT_UNIQUE_INDEX: Rule = Rule {
    name: "matview_without_unique_index",
    why: "Without one it cannot be refreshed concurrently, so a refresh shuts out every reader.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                'give it a unique index over plain columns and all rows'
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and c.relkind = 'm'
            and not exists (select from pg_index i
                             where i.indrelid = c.oid and i.indisunique and i.indisvalid
                               and i.indpred is null and i.indexprs is null)"
    ),
};
