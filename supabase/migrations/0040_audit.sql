-- The audit trail: who changed what, before and after. Rows are appended without a lock that writers share.
set role nexus_owner;

create table public.audit_log (
  id              bigint generated always as identity primary key,
  recorded_at     timestamptz not null default clock_timestamp(),
  transaction_id  xid8 not null default pg_current_xact_id(),
  actor_id        uuid,
  actor_role      text not null,
  table_name      text not null,
  operation       text not null,
  row_key         text not null,
  changed_columns text[] not null,
  digest          bytea not null,
  constraint audit_log_operation_is_known check (operation in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'READ')),
  constraint audit_log_digest_is_sha256 check (length(digest) = 32)
);
comment on table public.audit_log is 'Append-only trail of changes to the audited tables. Holds no personal data: what the row said is in nexus.audit_details, bound to this row by a salted digest.';
comment on column public.audit_log.id is 'Order of writing; gaps are rolled back transactions.';
comment on column public.audit_log.recorded_at is 'The instant at which the row was written.';
comment on column public.audit_log.transaction_id is 'The transaction that made the change: rows of one command share it.';
comment on column public.audit_log.actor_id is 'The login that acted, from the verified claims; null for a visitor, a job or the operator.';
comment on column public.audit_log.actor_role is 'The database role that acted.';
comment on column public.audit_log.table_name is 'schema.table that changed.';
comment on column public.audit_log.operation is 'INSERT, UPDATE, DELETE or TRUNCATE; READ where a staff member was shown what a person submitted.';
comment on column public.audit_log.row_key is 'Primary key of the row as text; empty of a TRUNCATE and of an insert of more than 1000 rows, whose details are their number and the SHA-256 over the sorted SHA-256s of the rows as text.';
comment on column public.audit_log.changed_columns is 'Columns whose value changed, without updated_at and what is derived from other audited columns by a worker; all columns of an INSERT or DELETE.';
comment on column public.audit_log.digest is 'SHA-256 over the salt, the text of before, the byte 1f and the text of after of nexus.audit_details (null is an empty text).';
create index audit_log_row_idx on public.audit_log (table_name, row_key, id);
create index audit_log_actor_id_idx on public.audit_log (actor_id, id);

-- No foreign key to audit_log: one statement of one function writes both, `audit verify` tells details that belong to no
-- row, and the check would cost a sixth of what an audited row costs.
create table nexus.audit_details (
  audit_id bigint primary key,
  salt     bytea not null,
  before   jsonb,
  after    jsonb,
  constraint audit_details_salt_has_256_bits check (length(salt) = 32),
  constraint audit_details_before_is_an_object check (jsonb_typeof(before) = 'object'),
  constraint audit_details_after_is_an_object check (jsonb_typeof(after) = 'object')
);
comment on table nexus.audit_details is 'What an audited row said. Erased where personal data must go: the digest in audit_log stays and the trail stays true.';
comment on column nexus.audit_details.audit_id is 'The audit row.';
comment on column nexus.audit_details.salt is '256 random bits, so that the digest alone does not let anybody guess the content.';
comment on column nexus.audit_details.before is 'The row before; null for an INSERT.';
comment on column nexus.audit_details.after is 'The row after; null for a DELETE.';

create function nexus.append_audit(table_name text, operation text, row_key text, before jsonb, after jsonb) returns void
language plpgsql security definer set search_path = ''
as $$
declare
  new_id bigint;
  new_salt bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
begin
  -- A transaction number before a row number: nexus.seal_limits() rests on it.
  perform pg_current_xact_id();
  insert into public.audit_log (actor_id, actor_role, table_name, operation, row_key, changed_columns, digest)
  values (auth.uid(), nexus.caller_role(), append_audit.table_name, append_audit.operation, append_audit.row_key,
          array(select k from jsonb_object_keys(coalesce(after, before, '{}')) as k order by k),
          sha256(new_salt || convert_to(coalesce(before::text, '') || E'\x1f' || coalesce(after::text, ''), 'UTF8')))
  returning id into new_id;
  insert into nexus.audit_details (audit_id, salt, before, after) values (new_id, new_salt, before, after);
end
$$;
comment on function nexus.append_audit(text, text, text, jsonb, jsonb) is 'Appends one audit row with its details, for what is not told row by row: a TRUNCATE, the load of a file.';

create function nexus.note_read(table_name text, row_key text, reason text) returns void
language plpgsql security definer set search_path = ''
as $$
begin
  if note_read.reason is null or note_read.reason !~ '\S' or length(note_read.reason) > 500 then
    raise exception 'say in at most 500 characters why the row is read' using errcode = 'check_violation', constraint = 'audit_read_has_a_reason';
  end if;
  perform nexus.append_audit(note_read.table_name, 'READ', note_read.row_key, null, jsonb_build_object('reason', note_read.reason));
end
$$;
comment on function nexus.note_read(text, text, text) is 'Appends one audit row that says who was shown a row, and why. A command calls it in the transaction in which it reads what only few may see; no role of a person may read those tables directly, so no read goes without.';
grant execute on function nexus.note_read(text, text, text) to nexus_engine;

create function public.log_data_modification() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  key_column text := coalesce(tg_argv[0], 'id');
  derived text[] := array_append(coalesce(tg_argv[1], '{}')::text[], 'updated_at');
  -- Three random uuids hold 366 random bits. It is kept nowhere, so that no salt leads to another.
  secret bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
  actor constant uuid := auth.uid();
  acting_role constant text := nexus.caller_role();
  -- Where one transaction runs the commands of many people: by the row's key, whose it is.
  actors constant jsonb := nullif(current_setting('nexus.actors', true), '')::jsonb;
  -- A statement that inserts more rows than any command of a person does is the load of a file. Nothing is lost by one
  -- audit row for it: the rows themselves say what was inserted, and whoever changes one leaves what it said before.
  rows_told_apart constant integer := 1000;
begin
  -- A transaction number before a row number: nexus.seal_limits() rests on it.
  perform pg_current_xact_id();
  -- One statement for all rows, and the digest written out: a function called for each row costs four times as much.
  -- jsonb is printed in one way only: keys sorted by length and bytes, one spacing, numbers with their own digits, never
  -- empty nor with a control character, so that null and the place of the separator are plain.
  if tg_op = 'TRUNCATE' then
    perform nexus.append_audit(tg_table_schema || '.' || tg_table_name, tg_op, '', null, null);
  elsif tg_op = 'INSERT' and (select count(*) from (select from changed_rows limit rows_told_apart + 1) as first_rows) > rows_told_apart then
    perform nexus.append_audit(tg_table_schema || '.' || tg_table_name, tg_op, '', null,
      jsonb_build_object('rows', count(*), 'sha256', encode(sha256(string_agg(r.digest, '' order by r.digest)), 'hex')))
    from (select sha256(convert_to(t::text, 'UTF8')) as digest from changed_rows as t) as r;
  elsif tg_op = 'UPDATE' then
    with changes as materialized (
      select nextval('public.audit_log_id_seq') as id, u.before, u.after, u.changed
      from (
        select o.row as before, n.row as after, array(
          select c.key from jsonb_each(coalesce(n.row, o.row)) as c
          where (n.row is null or c.value is distinct from o.row -> c.key) and (n.row is null or o.row is null or c.key <> all (derived))
          order by c.key) as changed
        -- Offsets keep a row from being made again for each of its columns.
        from (select to_jsonb(t) as row from old_rows as t offset 0) as o
        full join (select to_jsonb(t) as row from changed_rows as t offset 0) as n on o.row ->> key_column = n.row ->> key_column
        where o.row is null or n.row is null or o.row - derived <> n.row - derived
        offset 0) as u
      where u.changed <> '{}'
    ), logged as (
      insert into public.audit_log (id, actor_id, actor_role, table_name, operation, row_key, changed_columns, digest)
      overriding system value
      select c.id, coalesce((actors ->> (coalesce(c.before, c.after) ->> key_column))::uuid, actor), acting_role,
             tg_table_schema || '.' || tg_table_name, tg_op, coalesce(c.before, c.after) ->> key_column, c.changed,
             sha256(sha256(secret || int8send(c.id)) || convert_to(coalesce(c.before::text, '') || E'\x1f' || coalesce(c.after::text, ''), 'UTF8'))
      from changes as c
    )
    insert into nexus.audit_details (audit_id, salt, before, after)
    select c.id, sha256(secret || int8send(c.id)), c.before, c.after from changes as c;
  else
    with changes as materialized (
      select nextval('public.audit_log_id_seq') as id, to_jsonb(t) as row from changed_rows as t
    ), logged as (
      insert into public.audit_log (id, actor_id, actor_role, table_name, operation, row_key, changed_columns, digest)
      overriding system value
      select c.id, coalesce((actors ->> (c.row ->> key_column))::uuid, actor), acting_role, tg_table_schema || '.' || tg_table_name, tg_op,
             c.row ->> key_column,
             array(select a.attname::text from pg_catalog.pg_attribute as a
                   where a.attrelid = tg_relid and a.attnum > 0 and not a.attisdropped order by a.attname),
             sha256(sha256(secret || int8send(c.id)) || convert_to(
               case tg_op when 'INSERT' then E'\x1f' || c.row::text else c.row::text || E'\x1f' end, 'UTF8'))
      from changes as c
    )
    insert into nexus.audit_details (audit_id, salt, before, after)
    select c.id, sha256(secret || int8send(c.id)), case when tg_op = 'DELETE' then c.row end, case when tg_op = 'INSERT' then c.row end
    from changes as c;
  end if;
  return null;
end
$$;
comment on function public.log_data_modification() is 'Trigger, once a statement: appends an audit row for each changed row, or one with the digest of the set for an insert of more than 1000 rows; an update that changed nothing leaves none. Its arguments name the key column where that is not id, and columns that are derived from other audited ones: a change of nothing else leaves no row. Who acted is in the claims; where a command acts for many people at once, the setting nexus.actors says by the key of a row whose it is.';

create function nexus.audit_table(target regclass, key_column text default 'id', derived text[] default '{}') returns void
language plpgsql set search_path = ''
as $$
begin
  execute format('create trigger log_inserts after insert on %s referencing new table as changed_rows
                  for each statement execute function public.log_data_modification(%L)', target, key_column);
  execute format('create trigger log_updates after update on %s referencing old table as old_rows new table as changed_rows
                  for each statement execute function public.log_data_modification(%L, %L)', target, key_column, derived);
  execute format('create trigger log_deletes after delete on %s referencing old table as changed_rows
                  for each statement execute function public.log_data_modification(%L)', target, key_column);
  execute format('create trigger log_truncates after truncate on %s
                  for each statement execute function public.log_data_modification(%L)', target, key_column);
end
$$;
comment on function nexus.audit_table(regclass, text, text[]) is 'Puts the audit trail on a table; called by the migration that makes the table.';

create function nexus.refuse_change() returns trigger
language plpgsql set search_path = ''
as $$
begin
  raise exception '% is append-only: rows are never changed or removed', tg_table_schema || '.' || tg_table_name
    using errcode = 'insufficient_privilege';
end
$$;
comment on function nexus.refuse_change() is 'Trigger: refuses to change a table that only grows, whoever asks.';

create trigger audit_log_is_append_only before update or delete or truncate on public.audit_log
  for each statement execute function nexus.refuse_change();

alter table public.audit_log enable row level security;
grant select on public.audit_log to nexus_staff, service_role, nexus_engine;
create policy audit_log_read_staff on public.audit_log for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy audit_log_read_engine on public.audit_log for select to nexus_engine using (true);

alter table nexus.audit_details enable row level security;
grant select on nexus.audit_details to nexus_engine;
create policy audit_details_read_engine on nexus.audit_details for select to nexus_engine using (true);

select nexus.audit_table('public.currencies', 'code');
select nexus.audit_table('public.parties');
select nexus.audit_table('public.party_owners');
select nexus.audit_table('public.party_screenings');
-- Totals are folded from investments and returns, which are audited.
select nexus.audit_table('public.user_profiles', 'id', '{total_invested,total_returns,totals_as_of}');
select nexus.audit_table('public.user_role_assignments');

reset role;
