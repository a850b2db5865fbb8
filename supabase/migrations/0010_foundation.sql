-- Roles, the private schema, default rights, and the functions that every other file uses.
--
-- Every file runs as whoever applies migrations (`postgres` on Supabase), makes its objects as nexus_owner, and returns
-- to the first role only for what needs that role's own rights in Supabase's schemas, such as a foreign key to auth.users.

do $$
declare
  wanted text;
begin
  -- Roles belong to the whole cluster; another database of it may have made them, or be making them at this moment: then
  -- this waits for its transaction at the first role and finds everything done.
  foreach wanted in array array['nexus_owner', 'nexus_engine', 'nexus_staff'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
      begin
        execute format('create role %I nologin', wanted);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
  -- A staff member keeps the rights of an ordinary caller; nexus_owner needs the API roles' usage of schema auth.
  if not pg_has_role('nexus_staff', 'authenticated', 'member') then
    grant authenticated to nexus_staff;
  end if;
  if not pg_has_role('nexus_owner', 'authenticated', 'member') then
    grant authenticated to nexus_owner;
  end if;
  -- The server logs in as authenticator and becomes what the caller may be.
  if not exists (select from pg_auth_members where roleid = 'nexus_staff'::regrole and member = 'authenticator'::regrole) then
    grant nexus_staff to authenticator;
  end if;
  if not exists (select from pg_auth_members where roleid = 'nexus_engine'::regrole and member = 'authenticator'::regrole) then
    grant nexus_engine to authenticator;
  end if;
  -- From PostgreSQL 16 on, who makes a role gets it (from the bootstrap superuser, oid 10) without the right to act as it.
  if not (select rolsuper from pg_roles where rolname = current_user)
     and not exists (select from pg_auth_members
                     where roleid = 'nexus_owner'::regrole and member = current_user::regrole and grantor <> 10) then
    execute format('grant nexus_owner to %I', current_user);
  end if;
end
$$;
comment on role nexus_owner is 'Owns every object of Nexus Mint; nobody logs in as it.';
comment on role nexus_engine is 'What commands run as: alone writes investments, workflow states and other rows that carry value.';
comment on role nexus_staff is 'What a verified token of an admin, compliance officer or property manager runs as.';

grant usage, create on schema public to nexus_owner;
grant usage on schema public to anon, authenticated, service_role, nexus_staff, nexus_engine;

create schema if not exists nexus authorization nexus_owner;
comment on schema nexus is 'What the API never shows: the outbox, details of the audit trail, functions that policies and constraints use.';

set role nexus_owner;

-- Nothing is granted by default, whatever this project's defaults are: these objects are made by nexus_owner, for whom no
-- default hands anything out, PUBLIC's built-in right to execute functions included (it cannot be taken per schema).
alter default privileges for role nexus_owner revoke execute on functions from public;
alter default privileges for role nexus_owner revoke usage on types from public;

grant usage on schema nexus to nexus_engine, service_role;

create function public.update_updated_at_column() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end
$$;
comment on function public.update_updated_at_column() is 'Trigger: sets updated_at to the instant of the transaction that changed the row.';

-- A standard SQL body is bound when the function is made: no search_path can bend it, and calls of it are inlined.

create function nexus.caller_role() returns text
language sql stable parallel safe
return coalesce(nullif(current_setting('role', true), 'none'), session_user);
comment on function nexus.caller_role() is 'The database role of the request, also inside a security definer function: what SET ROLE chose, else the login.';

create function nexus.is_trusted_caller() returns boolean
language sql stable parallel safe
return nexus.caller_role() in ('nexus_engine', 'nexus_owner')
  or exists (select from pg_catalog.pg_roles as r where r.rolname = nexus.caller_role() and (r.rolsuper or r.rolbypassrls));
comment on function nexus.is_trusted_caller() is 'Whether the request runs as a command, as nexus_owner, or as a role that no policy holds (the service, a superuser), and so not as a person or visitor.';

create function nexus.is_money(amount numeric, decimals integer) returns boolean
language sql immutable parallel safe
return amount between 0 and 9007199254740991 / (10::numeric ^ decimals) and amount = round(amount, decimals);
comment on function nexus.is_money(numeric, integer) is 'Whether a typed amount is exact in its currency''s smallest unit and small enough (2^53 - 1 units) to be exact as a JSON number too.';

create function nexus.to_minor(amount numeric, decimals integer) returns bigint
language sql immutable parallel safe
return case when nexus.is_money(amount, decimals) then (amount * (10::numeric ^ decimals))::bigint end;
comment on function nexus.to_minor(numeric, integer) is 'A typed amount in the smallest unit of its currency; null where it is not one, which a constraint beside it refuses.';

create function nexus.from_minor(amount_minor bigint, decimals integer) returns numeric
language sql immutable parallel safe
return round(amount_minor / (10::numeric ^ decimals), decimals);
comment on function nexus.from_minor(bigint, integer) is 'An amount of smallest units as a decimal figure, exact: 2^53 units have 16 digits, and numeric division keeps more.';

create function nexus.is_storage_path(file_url text, bucket text) returns boolean
language sql immutable parallel safe
return starts_with(file_url, bucket || '/') and length(file_url) between length(bucket) + 2 and 1200
    and file_url !~ '(^|/)\.{1,2}(/|$)' and file_url !~ '//';
comment on function nexus.is_storage_path(text, text) is 'Whether a text is bucket/path of this bucket, without empty, . and .. parts. File columns never hold a URL.';

create function nexus.is_list_of_texts(list jsonb) returns boolean
language sql immutable parallel safe
return jsonb_typeof(list) = 'array' and not jsonb_path_exists(list, '$[*] ? (@.type() != "string")')
  and jsonb_array_length(list) <= 200 and length(list::text) <= 100000;
comment on function nexus.is_list_of_texts(jsonb) is 'Whether a value is an array of at most 200 texts, 100,000 characters in all.';

create function nexus.folder_id(object_name text) returns uuid
language sql immutable parallel safe
return case when object_name ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/.' and object_name !~ '(^|/)\.{1,2}(/|$)'
  and object_name !~ '//' then left(object_name, 36)::uuid end;
comment on function nexus.folder_id(text) is 'The id that names the first folder of a stored object, or null where it is not one or the name has empty, . or .. parts.';

grant execute on function nexus.is_list_of_texts(jsonb), nexus.folder_id(text), nexus.caller_role(), nexus.is_trusted_caller(), nexus.is_money(numeric, integer), nexus.to_minor(numeric, integer),
  nexus.from_minor(bigint, integer), nexus.is_storage_path(text, text)
  to anon, authenticated, service_role, nexus_engine;

reset role;
