//! Functions: who may call them, with whose rights they run, and in which schemas their names are looked up.

use super::{Kind, Rule, sql};

pub(super) const FUNCTION_EXECUTE_PUBLIC: Rule = Rule {
    name: "function_execute_public",
    why: "PostgreSQL lets everybody call a new function, and the REST API publishes what can be called.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                'PUBLIC may execute it: revoke execute ... from public, then grant it to named roles'
           from pg_proc f
           join pg_namespace n on n.oid = f.pronamespace
          cross join aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
          where n.nspname = any ($1::text[]) and a.grantee = 0 and a.privilege_type = 'EXECUTE'
            and not exists (select from pg_depend d
                             where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')"
    ),
};

pub(super) const DEFINER_SEARCH_PATH: Rule = Rule {
    name: "definer_search_path",
    why: "Who can put a table or an operator on its search path runs his own code with the owner's rights.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                'a security definer function says set search_path = '''' and writes every name in full'
           from pg_proc f
           join pg_namespace n on n.oid = f.pronamespace
          where n.nspname = any ($1::text[]) and f.prosecdef
            and 'search_path=\"\"' <> all (coalesce(f.proconfig, '{}'))
            and not exists (select from pg_depend d
                             where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')"
    ),
};

pub(super) const DEFINER_FOR_ANON: Rule = Rule {
    name: "definer_for_anon",
    why: "A visitor without a name acts with the owner's rights, past every policy.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                'anon may execute this security definer function: revoke it, or accept it with the reason'
           from pg_proc f
           join pg_namespace n on n.oid = f.pronamespace
          cross join aclexplode(f.proacl) a
           join pg_roles r on r.oid = a.grantee
          where n.nspname = any ($1::text[]) and f.prosecdef and r.rolname = 'anon'"
    ),
};

/// A function with a standard body (`begin atomic`, `return ...`) looked its names up when it was made.
pub(super) const FUNCTION_SEARCH_PATH_OPEN: Rule = Rule {
    name: "function_search_path_open",
    why: "Its names mean what the caller's search path says, so it does something else for somebody else.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
                'set search_path = '''' on it, or give it a standard SQL body'
           from pg_proc f
           join pg_namespace n on n.oid = f.pronamespace
           join pg_language l on l.oid = f.prolang
          where n.nspname = any ($1::text[]) and f.prokind in ('f', 'p') and not f.prosecdef
            and l.lanname not in ('c', 'internal') and f.prosqlbody is null
            and not exists (select from unnest(f.proconfig) as setting where setting like 'search\\_path=%')
            and not exists (select from pg_depend d
                             where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')"
    ),
};
