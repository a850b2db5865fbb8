-- Schemas, their usage, and the (empty) publication that clients add their tables to.
create schema if not exists extensions;
create schema if not exists graphql_public;
create schema if not exists auth authorization supabase_auth_admin;
create schema if not exists storage authorization supabase_storage_admin;
create schema if not exists realtime authorization supabase_realtime_admin;

grant usage on schema public, extensions to anon, authenticated, service_role, postgres;
grant usage on schema auth to anon, authenticated, service_role, postgres;
grant usage on schema storage to anon, authenticated, service_role, postgres;
grant usage on schema realtime to anon, authenticated, service_role, postgres;
grant usage on schema graphql_public to anon, authenticated, service_role;
-- PostgreSQL 15 and later keep CREATE on `public` from everybody; a database upgraded from an older one may not.
revoke create on schema public from public;
grant create on schema public to postgres;

-- Supabase has both extensions in `extensions`; a small PostgreSQL bundle may lack them, and nothing of ours needs them.
do $$
declare
  extension_name text;
begin
  foreach extension_name in array array['pgcrypto', 'uuid-ossp'] loop
    if exists (select from pg_catalog.pg_available_extensions where name = extension_name)
       and not exists (select from pg_catalog.pg_extension where extname = extension_name) then
      execute format('create extension %I with schema extensions', extension_name);
    end if;
  end loop;
end
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
end
$$;
