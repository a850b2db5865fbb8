-- A schema with every fault the lint knows, one section for each rule, and nothing else wrong with it.
-- The test applies it in a transaction that is never committed, as a superuser: it also alters roles.

do $$
declare
  wanted text;
begin
  foreach wanted in array array['anon', 'authenticated', 'service_role', 'nexus_staff', 'nexus_engine', 'nexus_owner'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      execute format('create role %I nologin %s', wanted, case wanted when 'service_role' then 'bypassrls' else '' end);
    end if;
  end loop;
end $$;

create schema if not exists auth;
create table if not exists auth.users (id uuid primary key, email text);
do $$
begin
  if to_regprocedure('auth.uid()') is null then
    create function auth.uid() returns uuid language sql stable as 'select null::uuid';
  end if;
  if to_regprocedure('auth.jwt()') is null then
    create function auth.jwt() returns jsonb language sql stable as 'select null::jsonb';
  end if;
end $$;
grant usage on schema auth to nexus_owner;
grant select, references on auth.users to nexus_owner;
create schema bad authorization nexus_owner;
grant all on schema bad to nexus_engine;

set local role nexus_owner;
alter default privileges for role nexus_owner revoke execute on functions from public;

create function bad.has_role(role text) returns boolean language sql stable set search_path = '' as 'select false';
create function bad.can_access(party uuid) returns boolean language sql stable set search_path = '' as 'select false';
create function bad.update_updated_at_column() returns trigger language plpgsql set search_path = ''
  as 'begin new.updated_at := now(); return new; end';

-- row_security_off
create table bad.walls (id uuid primary key);

-- grant_without_policy
create table bad.silences (id uuid primary key);
grant select on bad.silences to authenticated;

-- the table that carries the faulty policies; each role and command is used once
create table bad.posts (
  id      uuid primary key,
  user_id uuid,
  topic   text
);
grant select, insert (topic), update (topic) on bad.posts to anon;
grant insert (topic), update (topic), delete on bad.posts to authenticated;
grant select, update (topic) on bad.posts to nexus_staff;
grant select, insert on bad.posts to nexus_engine;

-- policy_to_public
create policy posts_to_public on bad.posts for delete using (user_id = (select auth.uid()));

-- open_write_policy: literally true, and true in other words
create policy posts_anybody_inserts on bad.posts for insert to authenticated with check (true);
create policy posts_signed_in_updates on bad.posts for update to authenticated
  using (user_id = (select auth.uid())) with check ((select auth.uid()) is not null);
-- and what it lets pass: the engine decides by itself, staff are asked for their role, nobody may
create policy posts_engine_inserts on bad.posts for insert to nexus_engine with check (true);
create policy posts_staff_update on bad.posts for update to nexus_staff
  using ((select bad.has_role('admin'))) with check ((select bad.has_role('admin')));
create policy posts_nobody_inserts on bad.posts for insert to anon with check (false);

-- open_read_of_people
create policy posts_everybody_reads on bad.posts for select to anon using (true);

-- write_policy_without_check
create policy posts_unchecked on bad.posts for update to anon using (user_id = (select auth.uid()));

-- policy_trusts_user_metadata
create policy posts_by_own_word on bad.posts for select to nexus_staff
  using (topic = (select auth.jwt() -> 'user_metadata' ->> 'topic'));

-- policy_reads_own_table
create policy posts_read_themselves on bad.posts for select to nexus_engine
  using (user_id in (select p.user_id from bad.posts p));

-- policy_calls_per_row: bare, in a sub-select with rows of its own, with a column
create table bad.calls (id uuid primary key, user_id uuid, note text);
grant select, delete on bad.calls to authenticated, nexus_engine;
grant insert (user_id) on bad.calls to authenticated;
grant update (user_id) on bad.calls to authenticated;
create policy calls_bare on bad.calls for select to authenticated using (user_id = auth.uid());
create policy calls_correlated on bad.calls for insert to authenticated
  with check (exists (select from bad.posts p where p.id = calls.id and p.user_id = auth.uid()));
create policy calls_setting on bad.calls for update to authenticated
  using (user_id::text = current_setting('request.uid', true)) with check (user_id = (select auth.uid()));
create policy calls_of_row on bad.calls for delete to authenticated using ((select bad.can_access(user_id)));
-- and what it lets pass: asked once, whatever the text says
create policy calls_once on bad.calls for select to nexus_engine
  using (user_id = (select auth.uid()) and note <> 'auth.uid() {' and (select bad.has_role('a}b')));

-- policy_or_with_role
create table bad.hidden_indexes (id uuid primary key, seller_id uuid, buyer_id uuid);
grant select on bad.hidden_indexes to authenticated, nexus_staff;
grant delete on bad.hidden_indexes to authenticated;
create policy hidden_indexes_own_or_role on bad.hidden_indexes for select to authenticated
  using (seller_id = (select auth.uid()) or (select bad.has_role('admin')));
-- and what it lets pass: two columns, two roles
create policy hidden_indexes_either_side on bad.hidden_indexes for delete to authenticated
  using (seller_id = (select auth.uid()) or buyer_id = (select auth.uid()));
create policy hidden_indexes_two_roles on bad.hidden_indexes for select to nexus_staff
  using ((select bad.has_role('admin')) or (select bad.has_role('compliance_officer')));

-- several_permissive_policies
create table bad.crowds (id uuid primary key, topic text);
grant select on bad.crowds to authenticated;
create policy crowds_red on bad.crowds for select to authenticated using (topic = 'red');
create policy crowds_blue on bad.crowds for select to authenticated using (topic = 'blue');

-- policy_without_grant
create table bad.locked_doors (id uuid primary key, user_id uuid);
create policy locked_doors_own on bad.locked_doors for select to authenticated using (user_id = (select auth.uid()));

-- public_grant, whole_table_write, excess_grant, select_by_column
create table bad.gifts (id uuid primary key, note text);
grant delete on bad.gifts to public;
grant update (note) on bad.gifts to public;
create table bad.floodgates (id uuid primary key, user_id uuid);
grant insert on bad.floodgates to authenticated;
create policy floodgates_own on bad.floodgates for insert to authenticated with check (user_id = (select auth.uid()));
create table bad.powers (id uuid primary key, number bigint generated always as identity);
grant truncate on bad.powers to service_role;
grant select on bad.powers to service_role with grant option;
grant update on sequence bad.powers_number_seq to service_role;
create table bad.keyholes (id uuid primary key, note text);
grant select (id) on bad.keyholes to service_role;

-- function_execute_public, definer_search_path, definer_for_anon, function_search_path_open
create function bad.callable_by_all() returns integer language sql set search_path = '' as 'select 1';
grant execute on function bad.callable_by_all() to public;
create function bad.definer_elsewhere() returns integer language sql security definer set search_path = public as 'select 1';
create function bad.definer_for_visitors() returns integer language sql security definer set search_path = '' as 'select 1';
grant execute on function bad.definer_for_visitors() to anon;
create function bad.lost_path() returns integer language sql as 'select 1';
create function bad.fixed_when_made() returns integer language sql return 1;

-- writable_owner_rights_view
create view bad.back_doors as select id, topic from bad.posts;
comment on view bad.back_doors is 'Reads with owner rights, because it is a sample.';
grant delete, update (topic) on bad.back_doors to service_role;

-- owner_rights_view_unexplained
create view bad.shadows as select id from bad.posts;
create view bad.clear_views with (security_invoker) as select id from bad.posts;

-- view_exposes_auth_users
create view bad.phone_books as select id, email from auth.users;
comment on view bad.phone_books is 'Reads with owner rights, because it is a sample.';
grant select on bad.phone_books to authenticated;

-- public_matview_unexplained, matview_without_unique_index
create materialized view bad.posters as select id from bad.posts;
create unique index posters_id_idx on bad.posters (id);
grant select on bad.posters to anon;
create materialized view bad.statues as select id from bad.posts;

-- foreign_table_granted
reset role;
create foreign data wrapper bad_wrapper;
create server bad_server foreign data wrapper bad_wrapper;
grant usage on foreign server bad_server to nexus_owner;
set local role nexus_owner;
create foreign table bad.windows (id uuid) server bad_server;
grant select on bad.windows to anon;

-- extension_in_schema
reset role;
create extension moddatetime schema bad;
set local role nexus_owner;

-- ours_in_platform_schema, foreign_key_into_platform
reset role;
create table auth.squatters (id uuid primary key, code text unique);
alter table auth.squatters owner to nexus_owner;
set local role nexus_owner;
create table bad.tenants (
  id         uuid primary key,
  squat_code text constraint tenants_squat_code_fkey references auth.squatters (code),
  user_id    uuid constraint tenants_user_id_fkey references auth.users (id)
);
create index tenants_squat_code_idx on bad.tenants (squat_code);
create index tenants_user_id_idx on bad.tenants (user_id) where user_id is not null;

-- no_primary_key, id_type
create table bad.namelesses (note text);
create table bad.guessables (id integer primary key);
create table bad.counted_rows (id bigint generated always as identity primary key);

-- foreign_key_without_index: none, one of another order, one of some rows
create table bad.parents (id uuid primary key, a uuid, b uuid, constraint parents_pair unique (a, b));
create table bad.orphans (
  id         uuid primary key,
  mother_id  uuid references bad.parents (id),
  father_id  uuid references bad.parents (id),
  uncle_id   uuid references bad.parents (id),
  a          uuid,
  b          uuid,
  constraint orphans_pair_fkey foreign key (a, b) references bad.parents (a, b)
);
create index orphans_father_second_idx on bad.orphans (id, father_id);
create index orphans_some_uncles_idx on bad.orphans (uncle_id) where id is not null;
create index orphans_pair_turned_idx on bad.orphans (b, a, id);

-- value_cascades
create table bad.payouts (
  id           uuid primary key,
  parent_id    uuid references bad.parents (id) on delete cascade,
  amount_minor bigint
);
create index payouts_parent_id_idx on bad.payouts (parent_id);
create table bad.comments (id uuid primary key, parent_id uuid references bad.parents (id) on delete cascade);
create index comments_parent_id_idx on bad.comments (parent_id);

-- constraint_not_valid
create table bad.promises (id uuid primary key, kept integer);
alter table bad.promises add constraint promises_are_kept check (kept > 0) not valid;

-- duplicate_index, invalid_index
create table bad.twins (id uuid primary key, name text);
create index twins_first_idx on bad.twins (name);
create index twins_second_idx on bad.twins (name);
create index twins_only_some_idx on bad.twins (name) where name is not null;
create table bad.halves (id uuid primary key, name text) partition by hash (id);
create table bad.halves_first partition of bad.halves for values with (modulus 1, remainder 0);
create index halves_name_idx on only bad.halves (name);

-- updated_at_without_trigger, trigger_disabled
create table bad.timestamps (id uuid primary key, updated_at timestamptz);
create table bad.sleepers (id uuid primary key, updated_at timestamptz);
create trigger sleepers_touch before update on bad.sleepers for each row execute function bad.update_updated_at_column();
alter table bad.sleepers disable trigger sleepers_touch;

-- unlogged_table
create unlogged table bad.whispers (id uuid primary key);

-- inexact_type
create table bad.guesses (id uuid primary key, weight real, weights double precision[], price money);
create function bad.roughly(x integer) returns double precision language sql set search_path = '' as 'select 1.5';
create domain bad.ratio as double precision;

-- time_without_zone, sized_text, serial_column, amount_type, json_column, jsonb_without_shape
create table bad.clocks (id uuid primary key, struck_at timestamp);
create function bad.midnight(day date) returns timestamp language sql set search_path = '' as 'select day';
create table bad.labels (id uuid primary key, short varchar(10), padded char(3));
create table bad.tickets (id uuid primary key, number serial);
create table bad.purses (id uuid primary key, fee_minor integer, held_units numeric(38,0));
create table bad.envelopes (id uuid primary key, letter json);
create table bad.boxes (
  id       uuid primary key,
  contents jsonb,
  lid      jsonb,
  constraint boxes_lid_is_object check (jsonb_typeof(lid) = 'object')
);

-- enum_type
create type bad.mood as enum ('good', 'bad');

-- comment_repeats_name
create table bad.parrots (id uuid primary key, wing_span integer);
comment on table bad.parrots is 'Parrots.';
comment on column bad.parrots.wing_span is 'The wing span.';

-- check_auto_named, constraint_numbered, constraint_not_named_after_table
create table bad.strangers (
  id    uuid primary key,
  a     integer check (a > 0),
  b     integer,
  c     integer,
  check (a < b),
  unique (a, b),
  unique (a, b, c),
  constraint positive_c check (c > 0),
  constraint strangers_b_is_positive check (b > 0)
);
alter table bad.strangers add constraint strangers_c_a_key1 unique (c, a);

-- table_not_plural
create table bad.sheep (id uuid primary key);

-- name_needs_quotes
create table bad."Shouts" (id uuid primary key, "order" integer);

-- foreign_owner, at the end
create table bad.strays (id uuid primary key);

-- relation_without_comment, column_without_comment, function_without_comment, type_without_comment
create table bad.mutes (id uuid primary key);
create domain bad.mute as text;
create function bad.mute() returns integer language sql set search_path = '' as 'select 1';

-- What no section is about is right: everything else is commented on, and every other table is walled.
do $$
declare
  words constant text := 'What it stands for does not matter here.';
  found record;
begin
  for found in
    select c.oid, c.relkind, c.oid::regclass as name from pg_class c
     where c.relnamespace = 'bad'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
       and c.relname <> 'mutes'
  loop
    if obj_description(found.oid, 'pg_class') is null then
      execute format('comment on %s %s is %L', case found.relkind when 'v' then 'view' when 'm' then 'materialized view'
                                               when 'f' then 'foreign table' else 'table' end, found.name, words);
    end if;
  end loop;
  for found in
    select format('%s.%I', c.oid::regclass, a.attname) as name
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
     where c.relnamespace = 'bad'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
       and c.relname <> 'mutes' and col_description(c.oid, a.attnum) is null
  loop
    execute format('comment on column %s is %L', found.name, words);
  end loop;
  for found in
    select f.oid::regprocedure as name from pg_proc f
     where f.pronamespace = 'bad'::regnamespace and f.proname not in ('mute', 'moddatetime')
  loop
    execute format('comment on function %s is %L', found.name, words);
  end loop;
  execute format('comment on domain bad.ratio is %L', words);
  execute format('comment on type bad.mood is %L', words);
  for found in
    select c.oid::regclass as name from pg_class c
     where c.relnamespace = 'bad'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'walls'
  loop
    execute format('alter table %s enable row level security', found.name);
  end loop;
end $$;

-- default_privileges_open, and as a superuser foreign_owner, api_role_over_the_wall
alter default privileges for role nexus_owner in schema bad grant select on tables to anon;
reset role;
alter table bad.strays owner to nexus_engine;
grant pg_read_all_data to anon;
