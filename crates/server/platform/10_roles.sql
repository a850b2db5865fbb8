-- The database roles that every Supabase schema expects (SUPABASE_PROTOCOL 0.4). Roles belong to the whole cluster, so
-- each is made only where it is missing, and nothing here takes a right away from a role that exists.
-- Two sessions may run this at once on two databases of one cluster, where no advisory lock helps (it is a database's own):
-- the second waits at the first role that both make, and finds everything done once the first has committed.

do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('anon',                    'nologin noinherit'),
      ('authenticated',           'nologin noinherit'),
      ('service_role',            'nologin noinherit bypassrls'),
      ('authenticator',           'login noinherit'),
      ('supabase_admin',          'nologin noinherit'),
      ('supabase_auth_admin',     'nologin noinherit'),
      ('supabase_storage_admin',  'nologin noinherit'),
      ('supabase_realtime_admin', 'nologin noinherit'),
      ('postgres',                'nologin createdb createrole')
    ) as roles (name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
      begin
        execute format('create role %I %s', wanted.name, wanted.attributes);
      exception when duplicate_object or unique_violation then
        null;
      when insufficient_privilege then
        raise exception 'the login % may not create the role "%"', current_user, wanted.name
          using errcode = 'insufficient_privilege',
                hint = format('Let a superuser run: create role %I %s;', wanted.name, wanted.attributes);
      end;
    end if;
  end loop;
end
$$;

-- Whoever applies these files must be able to make objects that those roles own.
do $$
declare
  is_superuser boolean := (select rolsuper from pg_catalog.pg_roles where rolname = current_user);
  owner_role text;
begin
  if not is_superuser then
    foreach owner_role in array array['supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin'] loop
      if not pg_catalog.pg_has_role(current_user, owner_role, 'member') then
        execute format('grant %I to %I', owner_role, current_user);
      end if;
    end loop;
  end if;
end
$$;

do $$
declare
  member record;
begin
  -- A login that lacks a membership cannot act as that role; granting twice only prints a notice, so ask first.
  for member in
    select * from (values
      ('anon'), ('authenticated'), ('service_role'),
      ('supabase_auth_admin'), ('supabase_storage_admin'), ('supabase_realtime_admin')
    ) as members (role_name)
  loop
    if not exists (
      select from pg_catalog.pg_auth_members as m
      where m.roleid = member.role_name::regrole and m.member = 'authenticator'::regrole
    ) then
      execute format('grant %I to authenticator', member.role_name);
    end if;
  end loop;
end
$$;

-- Supabase's own limits. A role's setting reaches PostgREST-like servers, which apply it when they take on the role.
do $$
declare
  setting record;
begin
  for setting in
    select * from (values ('anon', '3s'), ('authenticated', '8s'), ('authenticator', '8s')) as s (role_name, timeout)
  loop
    if not exists (
      select from pg_catalog.pg_db_role_setting as s
      where s.setrole = setting.role_name::regrole and s.setdatabase = 0
        and exists (select from unnest(s.setconfig) as c (line) where c.line like 'statement_timeout=%')
    ) then
      execute format('alter role %I set statement_timeout = %L', setting.role_name, setting.timeout);
    end if;
  end loop;
end
$$;

-- The program follows changes with the login that it has, often, and PostgreSQL would write two lines to its log each time. Only
-- a superuser may let another do so.
do $$
begin
  if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    return;
  end if;
  if not (select rolreplication from pg_catalog.pg_roles where rolname = 'authenticator') then
    alter role authenticator replication;
  end if;
  if not pg_catalog.has_parameter_privilege('authenticator', 'log_min_messages', 'set') then
    grant set on parameter log_min_messages to authenticator;
  end if;
end
$$;
