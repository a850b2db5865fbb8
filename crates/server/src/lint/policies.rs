//! Row-level security: is it on, who gets through, and what does asking cost.
//!
//! Two rules read the stored tree of a policy (`pg_policy.polqual::text`) and not its printed form: the tree says which
//! function is called inside which sub-select whatever the search path is, and no text literal can look like a call.

use super::{Kind, Rule, sql};

pub(super) const ROW_SECURITY_OFF: Rule = Rule {
    name: "row_security_off",
    why: "Without row-level security a grant shows every row to everybody who has it, and policies do nothing.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I', n.nspname, c.relname),
                'row-level security is off'
                || case when exists (select from pg_policy p where p.polrelid = c.oid)
                        then ' and its policies do nothing' else '' end
                || ': alter table ... enable row level security'
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relrowsecurity
            and not exists (select from pg_depend d
                             where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')"
    ),
};

pub(super) const GRANT_WITHOUT_POLICY: Rule = Rule {
    name: "grant_without_policy",
    why: "A right that no policy lets through shows empty answers today, and everything on the day security is off.",
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
                format('%s may %s by grant, but no policy says which rows: write the policy or revoke the grant',
                       r.rolname, string_agg(cmd.word, ', ' order by cmd.word))
           from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           join granted g on g.oid = c.oid
           join pg_roles r on r.oid = g.grantee
           join (values ('select', 'r'), ('insert', 'a'), ('update', 'w'), ('delete', 'd')) as cmd (word, code)
             on upper(cmd.word) = g.privilege_type
          where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and c.relrowsecurity
            and r.rolname in ('anon', 'authenticated', 'nexus_staff') and not r.rolbypassrls
            and not exists (
              select from pg_policy p cross join unnest(p.polroles) as named (oid)
               where p.polrelid = c.oid and p.polpermissive and p.polcmd in (cmd.code, '*')
                 and (named.oid = 0 or pg_has_role(r.oid, named.oid, 'usage')))
          group by n.nspname, c.relname, r.rolname"
    ),
};

pub(super) const POLICY_TO_PUBLIC: Rule = Rule {
    name: "policy_to_public",
    why: "A policy without named roles also speaks for every role that will ever be made.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                'the policy speaks for public: name its roles after TO'
           from pg_policy p
           join pg_class c on c.oid = p.polrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and 0 = any (p.polroles)"
    ),
};

pub(super) const OPEN_WRITE_POLICY: Rule = Rule {
    name: "open_write_policy",
    why: "A write that looks at nothing of the row lets anybody change everybody's rows.",
    kind: Kind::Wall,
    sql: sql!(
        r"select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                 format('anybody with its role passes %s: compare a column with the caller',
                        string_agg(side.word, ' and ' order by side.word desc))
            from pg_policy p
            join pg_class c on c.oid = p.polrelid
            join pg_namespace n on n.oid = c.relnamespace
           cross join lateral (values ('using', p.polqual, 'wd*'), ('with check', p.polwithcheck, 'aw*'))
                   as side (word, tree, commands)
           where n.nspname = any ($1::text[]) and p.polpermissive and position(p.polcmd::text in side.commands) > 0
             and exists (select from unnest(p.polroles) as named (oid) left join pg_roles r on r.oid = named.oid
                          where named.oid = 0 or r.rolname in ('anon', 'authenticated', 'nexus_staff'))
             and (pg_get_expr(side.tree, p.polrelid) = 'true'
                  or (pg_get_expr(side.tree, p.polrelid) <> 'false'
                      and side.tree::text !~ '\{VAR '
                      and not exists (
                        select from pg_proc f join pg_namespace fn on fn.oid = f.pronamespace
                         where fn.nspname not in ('pg_catalog', 'auth')
                           and position(':funcid ' || f.oid || ' ' in side.tree::text) > 0)))
           group by n.nspname, c.relname, p.polname"
    ),
};

pub(super) const OPEN_READ_OF_PEOPLE: Rule = Rule {
    name: "open_read_of_people",
    why: "USING (true) on a table whose rows belong to somebody shows one person's rows to everybody.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                format('everybody reads a table with the column %s: compare it with the caller, or publish a view',
                       string_agg(distinct a.attname, ', '))
           from pg_policy p
           join pg_class c on c.oid = p.polrelid
           join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
          where n.nspname = any ($1::text[]) and p.polpermissive and p.polcmd in ('r', '*')
            and pg_get_expr(p.polqual, p.polrelid) = 'true'
            and a.attname in ('user_id', 'party_id', 'holder_id', 'investor_id', 'email', 'phone', 'date_of_birth',
                              'tax_id', 'passport_number', 'ip_address', 'iban')
            and exists (select from unnest(p.polroles) as named (oid) left join pg_roles r on r.oid = named.oid
                         where named.oid = 0 or r.rolname in ('anon', 'authenticated'))
          group by n.nspname, c.relname, p.polname"
    ),
};

pub(super) const WRITE_POLICY_WITHOUT_CHECK: Rule = Rule {
    name: "write_policy_without_check",
    why: "Without WITH CHECK the reader must know that USING is taken instead, and an INSERT is refused outright.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                'a policy for insert, update or all says in WITH CHECK what the new row may be'
           from pg_policy p
           join pg_class c on c.oid = p.polrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[]) and p.polcmd in ('a', 'w', '*') and p.polwithcheck is null"
    ),
};

pub(super) const POLICY_TRUSTS_USER_METADATA: Rule = Rule {
    name: "policy_trusts_user_metadata",
    why: "A user writes his own user_metadata, so a policy that reads it believes what he says of himself.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                'the policy reads user_metadata, which its owner can change: use app_metadata or a table'
           from pg_policy p
           join pg_class c on c.oid = p.polrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[])
            and concat(pg_get_expr(p.polqual, p.polrelid), ' ', pg_get_expr(p.polwithcheck, p.polrelid))
                ~ 'user_metadata|raw_user_meta_data'"
    ),
};

pub(super) const POLICY_READS_OWN_TABLE: Rule = Rule {
    name: "policy_reads_own_table",
    why: "A policy that reads its own table asks itself for ever: PostgreSQL ends every query with an error.",
    kind: Kind::Wall,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                'the policy reads the table it guards: ask a security definer function instead'
           from pg_policy p
           join pg_class c on c.oid = p.polrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[])
            and position(':relid ' || c.oid || ' ' in concat(p.polqual::text, p.polwithcheck::text)) > 0"
    ),
};

/// A call is asked once when it stands in a sub-select that has no FROM, or is itself the FROM, and looks at no column.
pub(super) const POLICY_CALLS_PER_ROW: Rule = Rule {
    name: "policy_calls_per_row",
    why: "A call in a policy runs for every row that is looked at, and no index helps it.",
    kind: Kind::Wall,
    sql: sql!(
        r"with braces as (
            select p.oid as policy, side.word, found.ord, found.hit[1] as node,
                   sum(case found.hit[1] when '}' then -1 else 1 end)
                     over (partition by p.oid, side.word order by found.ord)
                   + case found.hit[1] when '}' then 1 else 0 end as level
              from pg_policy p
              join pg_class c on c.oid = p.polrelid
              join pg_namespace n on n.oid = c.relnamespace and n.nspname = any ($1::text[])
             cross join lateral (values ('using', p.polqual::text), ('with check', p.polwithcheck::text))
                     as side (word, tree)
             cross join lateral regexp_matches(regexp_replace(side.tree, '\\.', '', 'g'), '\{[A-Z]+[^{}]*|\}', 'g')
                     with ordinality as found (hit, ord)
          ), nodes as (
            select policy, word, ord, node, lead(ord) over (partition by policy, word, level order by ord) as last
              from braces
          ), calls as (
            select nodes.*, f.oid as function
              from nodes
              join pg_proc f on f.oid = substring(node from '^\{FUNCEXPR :funcid ([0-9]+) ')::oid
              join pg_namespace fn on fn.oid = f.pronamespace
             where (fn.nspname <> 'pg_catalog' and f.provolatile <> 'i')
                or (fn.nspname = 'pg_catalog' and f.proname = 'current_setting')
          ), judged as (
            select c.policy, c.function, bool_or(a.node like '{VAR %' and a.ord between c.ord and c.last) as of_row,
                   (array_agg(a.node like '{RANGETBLFUNCTION%' or a.node like '%:rtable <>%' order by a.ord desc)
                     filter (where a.ord < c.ord and a.last > c.last
                               and (a.node like '{QUERY %' or a.node like '{RANGETBLFUNCTION%')))[1] as once
              from calls c join nodes a on a.policy = c.policy and a.word = c.word
             group by c.policy, c.word, c.ord, c.function
          )
          select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                 string_agg(distinct case
                   when j.of_row then format('%s takes a column, so it runs for every row: write '
                     'column in (select ...) over a function that gives the set', j.function::regproc)
                   else format('%1$s() runs for every row: write (select %1$s())', j.function::regproc) end, '; ')
            from judged j
            join pg_policy p on p.oid = j.policy
            join pg_class c on c.oid = p.polrelid
            join pg_namespace n on n.oid = c.relnamespace
           where j.of_row or j.once is not true
           group by n.nspname, c.relname, p.polname"
    ),
};

/// `own or has_role(...)`: an OR outside any sub-select, with a column in one arm and a question about the caller's
/// rights in another. Comparing two columns with `auth.uid()` is no such question.
pub(super) const POLICY_OR_WITH_ROLE: Rule = Rule {
    name: "policy_or_with_role",
    why: "The OR takes the index away from everybody: own rows cost 200 to 10,000 times more at a million rows.",
    kind: Kind::Wall,
    sql: sql!(
        r"with braces as (
            select p.oid as policy, side.word, found.ord, found.hit[1] as node,
                   sum(case found.hit[1] when '}' then -1 else 1 end)
                     over (partition by p.oid, side.word order by found.ord)
                   + case found.hit[1] when '}' then 1 else 0 end as level
              from pg_policy p
              join pg_class c on c.oid = p.polrelid
              join pg_namespace n on n.oid = c.relnamespace and n.nspname = any ($1::text[])
             cross join lateral (values ('using', p.polqual::text), ('with check', p.polwithcheck::text))
                     as side (word, tree)
             cross join lateral regexp_matches(regexp_replace(side.tree, '\\.', '', 'g'), '\{[A-Z]+[^{}]*|\}', 'g')
                     with ordinality as found (hit, ord)
          ), nodes as (
            select policy, word, ord, node, lead(ord) over (partition by policy, word, level order by ord) as last
              from braces
          ), placed as (
            select n.policy, n.word, n.ord, n.node, n.last, count(q.ord) > 0 as in_query
              from nodes n
              left join nodes q on q.policy = n.policy and q.word = n.word and q.node like '{QUERY %'
               and q.ord < n.ord and q.last > n.last
             where n.node ~ '^\{(VAR|FUNCEXPR|BOOLEXPR :boolop or) '
             group by n.policy, n.word, n.ord, n.node, n.last
          )
          select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                 format('an OR joins the row with %s: give that role its own policy and its own database role',
                        string_agg(distinct f.oid::regproc::text, ', '))
            from placed o
            join placed call on call.policy = o.policy and call.word = o.word
             and call.ord between o.ord and o.last and call.node like '{FUNCEXPR %'
            join pg_proc f on f.oid = substring(call.node from ':funcid ([0-9]+) ')::oid
            join pg_namespace fn on fn.oid = f.pronamespace
            join pg_policy p on p.oid = o.policy
            join pg_class c on c.oid = p.polrelid
            join pg_namespace n on n.oid = c.relnamespace
           where o.node like '{BOOLEXPR %' and not o.in_query
             and (fn.nspname, f.proname) not in (('auth', 'uid'))
             and ((fn.nspname <> 'pg_catalog' and f.provolatile <> 'i'
                   and (f.prorettype = 'bool'::regtype or fn.nspname = 'auth'))
                  or (fn.nspname = 'pg_catalog' and f.proname = 'current_setting'))
             and exists (select from placed v where v.policy = o.policy and v.word = o.word and v.node like '{VAR %'
                            and not v.in_query and v.ord between o.ord and o.last)
             and exists (select from unnest(p.polroles) as named (oid) left join pg_roles r on r.oid = named.oid
                          where named.oid = 0 or r.rolname in ('anon', 'authenticated'))
           group by n.nspname, c.relname, p.polname"
    ),
};

pub(super) const SEVERAL_PERMISSIVE_POLICIES: Rule = Rule {
    name: "several_permissive_policies",
    why: "PostgreSQL joins them with OR, all are asked for every row, and the OR hides the index of each.",
    kind: Kind::Wall,
    sql: sql!(
        "with asked as (
           select p.polrelid, cmd.word, coalesce(r.rolname, 'public') as role,
                  string_agg(p.polname, ', ' order by p.polname) as policies
             from pg_policy p
            cross join unnest(p.polroles) as named (oid)
             left join pg_roles r on r.oid = named.oid
             join (values ('select', 'r'), ('insert', 'a'), ('update', 'w'), ('delete', 'd')) as cmd (word, code)
               on p.polcmd in (cmd.code, '*')
            where p.polpermissive and r.rolbypassrls is not true
            group by p.polrelid, cmd.word, r.rolname
           having count(*) > 1
         )
         select format('%I.%I', n.nspname, c.relname),
                format('one policy for each role and command is fast, here are several: %s',
                       string_agg(format('%s to %s (%s)', a.word, a.role, a.policies), '; ' order by a.word, a.role))
           from asked a
           join pg_class c on c.oid = a.polrelid
           join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any ($1::text[])
          group by n.nspname, c.relname"
    ),
};

pub(super) const POLICY_WITHOUT_GRANT: Rule = Rule {
    name: "policy_without_grant",
    why: "A policy for a role that may not touch the table says something that is not so.",
    kind: Kind::House,
    sql: sql!(
        "select format('%I.%I: %s', n.nspname, c.relname, p.polname),
                format('%s holds no grant that this policy could limit: grant it or leave the role out', r.rolname)
           from pg_policy p
           join pg_class c on c.oid = p.polrelid
           join pg_namespace n on n.oid = c.relnamespace
          cross join unnest(p.polroles) as named (oid)
           join pg_roles r on r.oid = named.oid
          where n.nspname = any ($1::text[])
            and not (p.polcmd in ('r', '*') and has_any_column_privilege(r.oid, c.oid, 'select'))
            and not (p.polcmd in ('a', '*') and has_any_column_privilege(r.oid, c.oid, 'insert'))
            and not (p.polcmd in ('w', '*') and has_any_column_privilege(r.oid, c.oid, 'update'))
            and not (p.polcmd in ('d', '*') and has_table_privilege(r.oid, c.oid, 'delete'))"
    ),
};
