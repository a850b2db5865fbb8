-- The schema as it is now, for reading: one object after the other, with its comments, policies and grants.
-- Generated from a migrated PostgreSQL 15 database; a test keeps it true. The migrations are what is applied.

-- Schema public. standard public schema

CREATE OR REPLACE FUNCTION public.calculate_investment_fees(amount numeric, fee_type text)
 RETURNS numeric
 LANGUAGE plpgsql
 STABLE STRICT SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  if not nexus.is_money(calculate_investment_fees.amount, 2) then
    raise exception 'amount % is not an amount in USD: give 0 or more with at most 2 decimals', calculate_investment_fees.amount
      using errcode = 'invalid_parameter_value';
  end if;
  return nexus.from_minor(
    nexus.fee_minor(nexus.to_minor(calculate_investment_fees.amount, 2), calculate_investment_fees.fee_type, 'USD', now()), 2);
end
$function$;
comment on function public.calculate_investment_fees(numeric,text) is 'The fee on an amount in USD by the schedule in force now, exact to the cent. fee_type as in fee_schedules, such as platform.';
grant execute on function public.calculate_investment_fees(numeric,text) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION public.can_access_property(user_id uuid, property_id uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select case when nexus.may_ask_about(can_access_property.user_id) then
    exists (select from public.properties as p where p.id = can_access_property.property_id and p.is_active)
    or exists (
      select from public.user_role_assignments as a
      where a.user_id = can_access_property.user_id and a.is_active and a.role in ('admin', 'compliance_officer')
        and exists (select from public.properties as p where p.id = can_access_property.property_id))
    or exists (
      select from public.property_members as m
      join public.user_role_assignments as a on a.user_id = m.user_id and a.role = 'property_manager' and a.is_active
      where m.user_id = can_access_property.user_id and m.property_id = can_access_property.property_id and m.is_active)
    or exists (
      select from public.investments as i
      where i.user_id = can_access_property.user_id and i.property_id = can_access_property.property_id
        and i.status in ('pending', 'paid', 'refund_due'))
    or exists (
      select from public.lots as l
      where l.user_id = can_access_property.user_id and l.property_id = can_access_property.property_id and l.units > 0)
    or exists (
      select from public.offering_guests as g join public.offerings as o on o.id = g.offering_id
      where g.user_id = can_access_property.user_id and o.property_id = can_access_property.property_id and o.status in ('open', 'funded'))
  end
$function$;
comment on function public.can_access_property(uuid,uuid) is 'Whether a login may see a property: it is active, or the login is staff for it, holds or is buying tokens of it, or is invited to its offering. Answers about the caller, and about anybody for an admin or the service; otherwise null: not told.';
grant execute on function public.can_access_property(uuid,uuid) to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION public.get_user_role(user_id uuid)
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select a.role from public.user_role_assignments as a
  where a.user_id = get_user_role.user_id and a.is_active and nexus.may_ask_about(get_user_role.user_id)
  order by array_position(array['admin', 'compliance_officer', 'property_manager', 'investor'], a.role)
  limit 1
$function$;
comment on function public.get_user_role(uuid) is 'The highest active role of a login: of the caller, or of anybody for an admin or the service; otherwise null.';
grant execute on function public.get_user_role(uuid) to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION public.handle_new_user()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  given_name text;
  new_party_id uuid;
begin
  if exists (select from public.user_profiles where id = new.id) then
    return new;
  end if;
  -- Metadata is the client's own: only a name is taken from it, where it is a text, and never a role or a status.
  select btrim(left(new.raw_user_meta_data ->> k.key, 200)) into given_name
  from unnest(array['full_name', 'name']) with ordinality as k (key, place)
  where jsonb_typeof(new.raw_user_meta_data -> k.key) = 'string' and left(new.raw_user_meta_data ->> k.key, 200) ~ '\S'
  order by k.place
  limit 1;
  insert into public.parties (kind) values ('person') returning id into new_party_id;
  insert into public.user_profiles (id, party_id, email, full_name, display_name, phone)
  values (new.id, new_party_id, new.email, given_name, left(given_name, 100), nullif(left(new.phone, 40), ''));
  insert into public.user_role_assignments (user_id, role, assigned_by) values (new.id, 'investor', null)
  on conflict on constraint user_role_assignments_once_a_role do nothing;
  return new;
end
$function$;
comment on function public.handle_new_user() is 'Trigger on auth.users: makes a new login''s party, profile and investor role. Runs once; nothing in the metadata can raise a right or stop a sign-up.';

CREATE OR REPLACE FUNCTION public.has_role(user_id uuid, role text)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select case when nexus.may_ask_about(has_role.user_id) then exists (
    select from public.user_role_assignments as a
    where a.user_id = has_role.user_id and a.role = has_role.role and a.is_active
  ) end
$function$;
comment on function public.has_role(uuid,text) is 'Whether a login has a role now. Answers about the caller, and about anybody for an admin or the service; otherwise null: not told.';
grant execute on function public.has_role(uuid,text) to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION public.log_data_modification()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
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
$function$;
comment on function public.log_data_modification() is 'Trigger, once a statement: appends an audit row for each changed row, or one with the digest of the set for an insert of more than 1000 rows; an update that changed nothing leaves none. Its arguments name the key column where that is not id, and columns that are derived from other audited ones: a change of nothing else leaves no row. Who acted is in the claims; where a command acts for many people at once, the setting nexus.actors says by the key of a row whose it is.';

CREATE OR REPLACE FUNCTION public.may_hear_of_removal(entity text, identity jsonb)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
BEGIN ATOMIC
 SELECT (COALESCE(
         CASE entity
             WHEN 'notifications'::text THEN (((identity ->> 'user_id'::text))::uuid = auth.uid())
             WHEN 'chat_rooms'::text THEN (((identity ->> 'is_public'::text))::boolean OR (((identity ->> 'created_by'::text))::uuid = auth.uid()) OR (((identity ->> 'id'::text))::uuid = ANY (nexus.chat_room_ids())))
             WHEN 'chat_room_participants'::text THEN ((((identity ->> 'user_id'::text))::uuid = auth.uid()) OR (((identity ->> 'room_id'::text))::uuid = ANY ((nexus.chat_room_ids() || nexus.own_chat_room_ids()))))
             WHEN 'chat_messages'::text THEN (((identity ->> 'room_id'::text))::uuid = ANY (nexus.chat_room_ids()))
             ELSE NULL::boolean
         END, false) AND (auth.uid() IS NOT NULL));
END;
comment on function public.may_hear_of_removal(text,jsonb) is 'Whether the caller may know that a row of this table with these values is gone: what the table''s own policy said of it. False of every table without a rule.';
grant execute on function public.may_hear_of_removal(text,jsonb) to authenticated, nexus_staff, service_role;

CREATE OR REPLACE FUNCTION public.refresh_analytics_views()
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  -- Enough for a minute's changes of a busy market; what is left is the worker's.
  turns_max constant integer := 100;
  changes_max constant integer := 10000;
begin
  if not (nexus.is_trusted_caller() or nexus.has_any_role('admin')) then
    raise exception 'only an admin or the service may refresh the analytics views' using errcode = 'insufficient_privilege';
  end if;
  -- Who waits here finds what the one before has done, and does what is left.
  perform pg_advisory_xact_lock(hashtext('nexus-mint figures'));
  for turn in 1..turns_max loop
    exit when nexus.fold_figures(changes_max, now()) < changes_max;
  end loop;
  if (select m.is_stale from nexus.market_views as m) then
    perform nexus.refresh_market_views();
  end if;
end
$function$;
comment on function public.refresh_analytics_views() is 'Folds what waits and refreshes both materialized views, unless nothing that they show has changed; for admins and the service.';
grant execute on function public.refresh_analytics_views() to nexus_engine, nexus_staff, service_role;

CREATE OR REPLACE FUNCTION public.update_updated_at_column()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  new.updated_at := now();
  return new;
end
$function$;
comment on function public.update_updated_at_column() is 'Trigger: sets updated_at to the instant of the transaction that changed the row.';

create table public.accreditation_cases (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  party_id uuid not null,
  kind text not null,
  method text not null,
  submission jsonb default '{}'::jsonb not null,
  entry_test_id uuid,
  answers_right integer,
  net_worth_minor bigint,
  net_worth_currency text,
  status text default 'submitted'::text not null,
  taken_by uuid,
  taken_at timestamp with time zone,
  decided_by uuid,
  decided_at timestamp with time zone,
  reason text,
  expires_at timestamp with time zone,
  ended_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint accreditation_cases_pkey PRIMARY KEY (id),
  constraint accreditation_cases_answers_right_not_negative CHECK ((answers_right >= 0)),
  constraint accreditation_cases_approval_expires CHECK (((status <> 'approved'::text) OR (expires_at > decided_at))),
  constraint accreditation_cases_decided_by_another CHECK ((decided_by <> user_id)),
  constraint accreditation_cases_decision_is_dated CHECK (((status <> ALL (ARRAY['approved'::text, 'rejected'::text, 'expired'::text, 'superseded'::text, 'revoked'::text])) OR (decided_at IS NOT NULL))),
  constraint accreditation_cases_decision_is_signed CHECK (((decided_at IS NULL) OR (decided_by IS NOT NULL) OR ((kind = 'entry_test'::text) AND (status <> 'revoked'::text)))),
  constraint accreditation_cases_end_has_an_instant CHECK (((status = ANY (ARRAY['submitted'::text, 'in_review'::text, 'approved'::text])) = (ended_at IS NULL))),
  constraint accreditation_cases_kind_is_known CHECK ((kind = ANY (ARRAY['accredited'::text, 'sophisticated'::text, 'entry_test'::text]))),
  constraint accreditation_cases_method_is_a_word CHECK ((method ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
  constraint accreditation_cases_net_worth_has_a_currency CHECK ((num_nulls(net_worth_minor, net_worth_currency) = ANY (ARRAY[0, 2]))),
  constraint accreditation_cases_net_worth_is_an_amount CHECK (((net_worth_minor >= 0) AND (net_worth_minor <= '9007199254740991'::bigint))),
  constraint accreditation_cases_reason_is_bounded CHECK ((length(reason) <= 2000)),
  constraint accreditation_cases_refusal_has_a_reason CHECK (((status <> ALL (ARRAY['rejected'::text, 'revoked'::text])) OR (reason ~ '\S'::text))),
  constraint accreditation_cases_review_is_signed CHECK (((status <> 'in_review'::text) OR (num_nulls(taken_by, taken_at) = 0))),
  constraint accreditation_cases_status_is_known CHECK ((status = ANY (ARRAY['submitted'::text, 'in_review'::text, 'approved'::text, 'rejected'::text, 'expired'::text, 'withdrawn'::text, 'superseded'::text, 'revoked'::text]))),
  constraint accreditation_cases_submission_is_an_object CHECK ((jsonb_typeof(submission) = 'object'::text)),
  constraint accreditation_cases_submission_is_bounded CHECK ((length((submission)::text) <= 20000)),
  constraint accreditation_cases_taken_by_another CHECK ((taken_by <> user_id)),
  constraint accreditation_cases_test_is_named CHECK (((kind = 'entry_test'::text) = (num_nulls(entry_test_id, answers_right) = 0))),
  constraint accreditation_cases_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint accreditation_cases_entry_test_id_fkey FOREIGN KEY (entry_test_id) REFERENCES public.entry_tests(id) ON DELETE RESTRICT,
  constraint accreditation_cases_net_worth_currency_fkey FOREIGN KEY (net_worth_currency) REFERENCES public.currencies(code),
  constraint accreditation_cases_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint accreditation_cases_taken_by_fkey FOREIGN KEY (taken_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint accreditation_cases_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.accreditation_cases is 'A party''s request to count as accredited or sophisticated, or its entry test, with what was submitted and the decision. Read by the person; shown to compliance officers by a command that notes each read in the audit trail; written by commands.';
comment on column public.accreditation_cases.id is 'Identity of the case.';
comment on column public.accreditation_cases.user_id is 'The login that submitted.';
comment on column public.accreditation_cases.party_id is 'The party that it is about.';
comment on column public.accreditation_cases.kind is 'accredited (US), sophisticated (EU) or entry_test (EU: the test of knowledge, which decides itself).';
comment on column public.accreditation_cases.method is 'How it is shown: income, net_worth, professional_licence, third_party_letter, self_assessment, knowledge_test, ...';
comment on column public.accreditation_cases.submission is 'What the person stated; of an entry test the answers as they were given.';
comment on column public.accreditation_cases.entry_test_id is 'Which version of which test was answered.';
comment on column public.accreditation_cases.answers_right is 'How many answers were right.';
comment on column public.accreditation_cases.net_worth_minor is 'Net worth as stated, in smallest units of its currency; counts for as long as compliance_terms say.';
comment on column public.accreditation_cases.net_worth_currency is 'Currency of the net worth.';
comment on column public.accreditation_cases.status is 'submitted, in_review, approved, rejected, expired, withdrawn (by the person), superseded (by a newer approval) or revoked (an approval that an officer took back).';
comment on column public.accreditation_cases.taken_by is 'The compliance officer who reviews it.';
comment on column public.accreditation_cases.taken_at is 'When the review began.';
comment on column public.accreditation_cases.decided_by is 'The compliance officer who decided, never one of the party itself; null where an entry test decided.';
comment on column public.accreditation_cases.decided_at is 'When it was decided.';
comment on column public.accreditation_cases.reason is 'Why it was rejected or revoked.';
comment on column public.accreditation_cases.expires_at is 'Until when an approval holds: it does before this instant and no longer at it.';
comment on column public.accreditation_cases.ended_at is 'When it was rejected, withdrawn, superseded or revoked, or found expired; null while open or in force.';
comment on column public.accreditation_cases.created_at is 'When it was submitted.';
comment on column public.accreditation_cases.updated_at is 'When the row last changed.';
CREATE INDEX accreditation_cases_decided_by_idx ON public.accreditation_cases USING btree (decided_by);
CREATE INDEX accreditation_cases_due_idx ON public.accreditation_cases USING btree (expires_at) WHERE (status = 'approved'::text);
CREATE INDEX accreditation_cases_entry_test_id_idx ON public.accreditation_cases USING btree (entry_test_id);
CREATE INDEX accreditation_cases_net_worth_currency_idx ON public.accreditation_cases USING btree (net_worth_currency);
CREATE UNIQUE INDEX accreditation_cases_one_approved_key ON public.accreditation_cases USING btree (party_id, kind) WHERE (status = 'approved'::text);
CREATE UNIQUE INDEX accreditation_cases_one_open_key ON public.accreditation_cases USING btree (party_id, kind) WHERE (status = ANY (ARRAY['submitted'::text, 'in_review'::text]));
CREATE INDEX accreditation_cases_party_id_idx ON public.accreditation_cases USING btree (party_id, kind);
CREATE INDEX accreditation_cases_queue_idx ON public.accreditation_cases USING btree (created_at) WHERE (status = ANY (ARRAY['submitted'::text, 'in_review'::text]));
CREATE INDEX accreditation_cases_taken_by_idx ON public.accreditation_cases USING btree (taken_by);
CREATE INDEX accreditation_cases_user_id_idx ON public.accreditation_cases USING btree (user_id);
CREATE TRIGGER accreditation_cases_decided_by_a_stranger BEFORE INSERT OR UPDATE OF taken_by, decided_by ON public.accreditation_cases FOR EACH ROW EXECUTE FUNCTION nexus.refuse_own_decision();
CREATE TRIGGER accreditation_cases_updated_at BEFORE UPDATE ON public.accreditation_cases FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.accreditation_cases REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.accreditation_cases REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.accreditation_cases FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.accreditation_cases REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.accreditation_cases enable row level security;
grant select on public.accreditation_cases to authenticated;
grant insert, select, update on public.accreditation_cases to nexus_engine;
create policy accreditation_cases_engine on public.accreditation_cases for all to nexus_engine
  using (true)
  with check (true);
create policy accreditation_cases_read_own on public.accreditation_cases for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));

create table public.ai_interactions (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  session_id text not null,
  user_message text not null,
  ai_response text,
  intent_detected text,
  confidence_score numeric,
  recommendation_type text,
  created_at timestamp with time zone default now() not null,
  constraint ai_interactions_pkey PRIMARY KEY (id),
  constraint ai_interactions_confidence_is_a_probability CHECK (((confidence_score >= (0)::numeric) AND (confidence_score <= (1)::numeric))),
  constraint ai_interactions_labels_are_short CHECK (((length(intent_detected) <= 100) AND (length(recommendation_type) <= 100))),
  constraint ai_interactions_message_is_bounded CHECK ((length(user_message) <= 20000)),
  constraint ai_interactions_response_is_bounded CHECK ((length(ai_response) <= 100000)),
  constraint ai_interactions_session_is_bounded CHECK (((length(session_id) >= 1) AND (length(session_id) <= 200))),
  constraint ai_interactions_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table public.ai_interactions is 'Conversations with the assistant: each question, its answer, and what was measured about it.';
comment on column public.ai_interactions.id is 'Identity of the interaction.';
comment on column public.ai_interactions.user_id is 'The login that asked.';
comment on column public.ai_interactions.session_id is 'The conversation it belongs to.';
comment on column public.ai_interactions.user_message is 'What was asked.';
comment on column public.ai_interactions.ai_response is 'What was answered; null when it could not be.';
comment on column public.ai_interactions.intent_detected is 'What the question was taken for.';
comment on column public.ai_interactions.confidence_score is 'Measured confidence of that, 0 to 1; null where it was not measured.';
comment on column public.ai_interactions.recommendation_type is 'Kind of recommendation given, if any.';
comment on column public.ai_interactions.created_at is 'When it was asked.';
CREATE INDEX ai_interactions_user_session_idx ON public.ai_interactions USING btree (user_id, session_id);
alter table public.ai_interactions enable row level security;
grant select on public.ai_interactions to authenticated;
grant insert, select on public.ai_interactions to nexus_engine;
grant delete, insert, select on public.ai_interactions to service_role;
create policy "Users can view own AI interactions" on public.ai_interactions for select to authenticated
  using ((( SELECT auth.uid() AS uid) = user_id));
create policy ai_interactions_engine on public.ai_interactions for all to nexus_engine
  using (true)
  with check (true);
create policy ai_interactions_read_admin on public.ai_interactions for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role));

create table public.audit_log (
  id bigint generated always as identity not null,
  recorded_at timestamp with time zone default clock_timestamp() not null,
  transaction_id xid8 default pg_current_xact_id() not null,
  actor_id uuid,
  actor_role text not null,
  table_name text not null,
  operation text not null,
  row_key text not null,
  changed_columns text[] not null,
  digest bytea not null,
  constraint audit_log_pkey PRIMARY KEY (id),
  constraint audit_log_digest_is_sha256 CHECK ((length(digest) = 32)),
  constraint audit_log_operation_is_known CHECK ((operation = ANY (ARRAY['INSERT'::text, 'UPDATE'::text, 'DELETE'::text, 'TRUNCATE'::text, 'READ'::text])))
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
CREATE INDEX audit_log_actor_id_idx ON public.audit_log USING btree (actor_id, id);
CREATE INDEX audit_log_row_idx ON public.audit_log USING btree (table_name, row_key, id);
CREATE TRIGGER audit_log_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.audit_log enable row level security;
grant select on public.audit_log to nexus_engine;
grant select on public.audit_log to nexus_staff;
grant select on public.audit_log to service_role;
create policy audit_log_read_engine on public.audit_log for select to nexus_engine
  using (true);
create policy audit_log_read_staff on public.audit_log for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.chat_messages (
  id uuid default gen_random_uuid() not null,
  room_id uuid not null,
  user_id uuid default auth.uid(),
  message text not null,
  message_type text default 'text'::text not null,
  attachments jsonb default '[]'::jsonb not null,
  reply_to uuid,
  edited_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  constraint chat_messages_pkey PRIMARY KEY (id),
  constraint chat_messages_id_room_id_key UNIQUE (id, room_id),
  constraint chat_messages_attachments_are_of_the_room CHECK (((jsonb_typeof(attachments) = 'array'::text) AND nexus.are_paths_in_folder(attachments, 'chat-attachments'::text, room_id))),
  constraint chat_messages_message_is_bounded CHECK ((length(message) <= 10000)),
  constraint chat_messages_says_something CHECK (((message ~ '\S'::text) OR (attachments <> '[]'::jsonb))),
  constraint chat_messages_type_is_known CHECK ((message_type = ANY (ARRAY['text'::text, 'image'::text, 'file'::text, 'system'::text]))),
  constraint chat_messages_reply_in_same_room_fkey FOREIGN KEY (reply_to, room_id) REFERENCES public.chat_messages(id, room_id) ON DELETE SET NULL (reply_to),
  constraint chat_messages_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.chat_rooms(id) ON DELETE CASCADE,
  constraint chat_messages_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE SET NULL
);
comment on table public.chat_messages is 'What is said in a room.';
comment on column public.chat_messages.id is 'Identity of the message.';
comment on column public.chat_messages.room_id is 'The room.';
comment on column public.chat_messages.user_id is 'The login that said it; null once that login is gone.';
comment on column public.chat_messages.message is 'Text.';
comment on column public.chat_messages.message_type is 'text, image, file, or system (said by the platform).';
comment on column public.chat_messages.attachments is 'Array of paths in chat-attachments/<room id>/....';
comment on column public.chat_messages.reply_to is 'The message of the same room that it answers.';
comment on column public.chat_messages.edited_at is 'When its text last changed; set by the database.';
comment on column public.chat_messages.created_at is 'When it was said.';
CREATE INDEX chat_messages_reply_to_idx ON public.chat_messages USING btree (reply_to, room_id);
CREATE INDEX chat_messages_room_id_idx ON public.chat_messages USING btree (room_id, created_at DESC);
CREATE INDEX chat_messages_user_id_idx ON public.chat_messages USING btree (user_id);
CREATE TRIGGER chat_messages_edited BEFORE UPDATE ON public.chat_messages FOR EACH ROW EXECUTE FUNCTION nexus.stamp_edit();
alter table public.chat_messages enable row level security;
grant delete, select on public.chat_messages to authenticated;
grant insert (room_id, user_id, message, message_type, attachments, reply_to) on public.chat_messages to authenticated;
grant update (message) on public.chat_messages to authenticated;
grant delete, insert, select, update on public.chat_messages to service_role;
create policy chat_messages_delete_own on public.chat_messages for delete to authenticated
  using (((user_id = ( SELECT auth.uid() AS uid)) AND (message_type <> 'system'::text) AND (room_id = ANY (( SELECT nexus.chat_room_ids() AS chat_room_ids)::uuid[]))));
create policy chat_messages_insert_own on public.chat_messages for insert to authenticated
  with check (((user_id = ( SELECT auth.uid() AS uid)) AND (message_type <> 'system'::text) AND (room_id = ANY (( SELECT nexus.chat_room_ids() AS chat_room_ids)::uuid[]))));
create policy chat_messages_read on public.chat_messages for select to authenticated
  using ((room_id = ANY (( SELECT nexus.chat_room_ids() AS chat_room_ids)::uuid[])));
create policy chat_messages_update_own on public.chat_messages for update to authenticated
  using (((user_id = ( SELECT auth.uid() AS uid)) AND (message_type <> 'system'::text) AND (room_id = ANY (( SELECT nexus.chat_room_ids() AS chat_room_ids)::uuid[]))))
  with check (((user_id = ( SELECT auth.uid() AS uid)) AND (message_type <> 'system'::text) AND (room_id = ANY (( SELECT nexus.chat_room_ids() AS chat_room_ids)::uuid[]))));

create table public.chat_room_participants (
  id uuid default gen_random_uuid() not null,
  room_id uuid not null,
  user_id uuid default auth.uid() not null,
  is_active boolean default true not null,
  joined_at timestamp with time zone default now() not null,
  last_read_at timestamp with time zone,
  constraint chat_room_participants_pkey PRIMARY KEY (id),
  constraint chat_room_participants_once_a_room UNIQUE (user_id, room_id),
  constraint chat_room_participants_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.chat_rooms(id) ON DELETE CASCADE,
  constraint chat_room_participants_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table public.chat_room_participants is 'Who is in a room, and how far each has read.';
comment on column public.chat_room_participants.id is 'Identity of the participation.';
comment on column public.chat_room_participants.room_id is 'The room.';
comment on column public.chat_room_participants.user_id is 'The login that is in it.';
comment on column public.chat_room_participants.is_active is 'False once put out; set by who made the room. Leaving removes the row.';
comment on column public.chat_room_participants.joined_at is 'Since when.';
comment on column public.chat_room_participants.last_read_at is 'Everything up to then is read.';
CREATE INDEX chat_room_participants_room_id_idx ON public.chat_room_participants USING btree (room_id);
alter table public.chat_room_participants enable row level security;
grant delete, select on public.chat_room_participants to authenticated;
grant insert (room_id, user_id) on public.chat_room_participants to authenticated;
grant update (is_active, last_read_at) on public.chat_room_participants to authenticated;
grant delete, insert, select, update on public.chat_room_participants to service_role;
create policy chat_room_participants_join on public.chat_room_participants for insert to authenticated
  with check ((((user_id = ( SELECT auth.uid() AS uid)) AND (EXISTS ( SELECT
   FROM public.chat_rooms r
  WHERE ((r.id = chat_room_participants.room_id) AND r.is_public)))) OR (room_id = ANY (( SELECT nexus.own_chat_room_ids() AS own_chat_room_ids)::uuid[]))));
create policy chat_room_participants_leave on public.chat_room_participants for delete to authenticated
  using (((user_id = ( SELECT auth.uid() AS uid)) AND is_active));
create policy chat_room_participants_read on public.chat_room_participants for select to authenticated
  using (((user_id = ( SELECT auth.uid() AS uid)) OR (room_id = ANY (( SELECT nexus.chat_room_ids() AS chat_room_ids)::uuid[])) OR (room_id = ANY (( SELECT nexus.own_chat_room_ids() AS own_chat_room_ids)::uuid[]))));
create policy chat_room_participants_update on public.chat_room_participants for update to authenticated
  using ((((user_id = ( SELECT auth.uid() AS uid)) AND is_active) OR (room_id = ANY (( SELECT nexus.own_chat_room_ids() AS own_chat_room_ids)::uuid[]))))
  with check ((((user_id = ( SELECT auth.uid() AS uid)) AND is_active) OR (room_id = ANY (( SELECT nexus.own_chat_room_ids() AS own_chat_room_ids)::uuid[]))));

create table public.chat_rooms (
  id uuid default gen_random_uuid() not null,
  name text not null,
  description text,
  property_id uuid,
  is_public boolean default false not null,
  created_by uuid default auth.uid(),
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint chat_rooms_pkey PRIMARY KEY (id),
  constraint chat_rooms_description_is_bounded CHECK ((length(description) <= 2000)),
  constraint chat_rooms_name_is_not_blank CHECK (((name ~ '\S'::text) AND (length(name) <= 200))),
  constraint chat_rooms_created_by_fkey FOREIGN KEY (created_by) REFERENCES auth.users(id) ON DELETE SET NULL,
  constraint chat_rooms_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.chat_rooms is 'Chat rooms. A public room can be found and joined by everybody who is signed in; a private one is by invitation of who made it.';
comment on column public.chat_rooms.id is 'Identity of the room.';
comment on column public.chat_rooms.name is 'Name to show.';
comment on column public.chat_rooms.description is 'What it is for.';
comment on column public.chat_rooms.property_id is 'The property it is about, if any.';
comment on column public.chat_rooms.is_public is 'Whether everybody who is signed in may find and join it.';
comment on column public.chat_rooms.created_by is 'The login that made it; null once that login is gone.';
comment on column public.chat_rooms.created_at is 'When it was made.';
comment on column public.chat_rooms.updated_at is 'When the row last changed.';
CREATE INDEX chat_rooms_created_by_idx ON public.chat_rooms USING btree (created_by);
CREATE INDEX chat_rooms_property_id_idx ON public.chat_rooms USING btree (property_id);
CREATE INDEX chat_rooms_public_idx ON public.chat_rooms USING btree (id) WHERE is_public;
CREATE TRIGGER chat_rooms_updated_at BEFORE UPDATE ON public.chat_rooms FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.chat_rooms enable row level security;
grant insert (name, description, property_id, is_public, created_by) on public.chat_rooms to authenticated;
grant select on public.chat_rooms to authenticated;
grant update (name, description) on public.chat_rooms to authenticated;
grant delete, insert, select, update on public.chat_rooms to service_role;
create policy chat_rooms_insert_own on public.chat_rooms for insert to authenticated
  with check (((created_by = ( SELECT auth.uid() AS uid)) AND ((property_id IS NULL) OR (EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = chat_rooms.property_id))))));
create policy chat_rooms_read on public.chat_rooms for select to authenticated
  using ((is_public OR (created_by = ( SELECT auth.uid() AS uid)) OR (id = ANY (( SELECT nexus.chat_room_ids() AS chat_room_ids)::uuid[]))));
create policy chat_rooms_update_own on public.chat_rooms for update to authenticated
  using ((created_by = ( SELECT auth.uid() AS uid)))
  with check ((created_by = ( SELECT auth.uid() AS uid)));

create table public.compliance_terms (
  kind text not null,
  valid_from date not null,
  days_max integer not null,
  source text not null,
  created_at timestamp with time zone default now() not null,
  constraint compliance_terms_pkey PRIMARY KEY (kind, valid_from),
  constraint compliance_terms_days_are_some CHECK (((days_max >= 1) AND (days_max <= 3660))),
  constraint compliance_terms_kind_is_known CHECK ((kind = ANY (ARRAY['identity'::text, 'screening'::text, 'accredited'::text, 'sophisticated'::text, 'entry_test'::text, 'net_worth'::text, 'tax_form'::text]))),
  constraint compliance_terms_source_is_not_blank CHECK (((source ~ '\S'::text) AND (length(source) <= 500)))
);
comment on table public.compliance_terms is 'How long what was verified, screened or stated about a party holds at most, from a day on. Of a kind the row with the latest valid_from that is not in the future holds. Rows are added, never changed.';
comment on column public.compliance_terms.kind is 'identity, screening, accredited, sophisticated, entry_test, net_worth (how long a stated net worth counts) or tax_form.';
comment on column public.compliance_terms.valid_from is 'First day on which the row holds.';
comment on column public.compliance_terms.days_max is 'Days from the decision to its end at most.';
comment on column public.compliance_terms.source is 'Where the number comes from; [?] until somebody competent has checked it.';
comment on column public.compliance_terms.created_at is 'When it was recorded.';
CREATE TRIGGER compliance_terms_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.compliance_terms FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
CREATE TRIGGER log_deletes AFTER DELETE ON public.compliance_terms REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('kind');
CREATE TRIGGER log_inserts AFTER INSERT ON public.compliance_terms REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('kind');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.compliance_terms FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('kind');
CREATE TRIGGER log_updates AFTER UPDATE ON public.compliance_terms REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('kind', '{}');
alter table public.compliance_terms enable row level security;
grant select on public.compliance_terms to anon;
grant select on public.compliance_terms to authenticated;
grant select on public.compliance_terms to nexus_engine;
grant select on public.compliance_terms to service_role;
create policy compliance_terms_engine on public.compliance_terms for select to nexus_engine
  using (true);
create policy compliance_terms_read_all on public.compliance_terms for select to anon, authenticated
  using (true);

create table public.currencies (
  code text not null,
  name text not null,
  decimals smallint not null,
  constraint currencies_pkey PRIMARY KEY (code),
  constraint currencies_code_decimals_key UNIQUE (code, decimals),
  constraint currencies_code_is_upper_case CHECK ((code ~ '^[A-Z]{3,5}$'::text)),
  constraint currencies_decimals_fit_a_bigint CHECK (((decimals >= 0) AND (decimals <= 6))),
  constraint currencies_name_is_not_blank CHECK (((name ~ '\S'::text) AND (length(name) <= 100)))
);
comment on table public.currencies is 'Currencies that prices, payments and rents can be in. One is never taken for another: USDC is not USD.';
comment on column public.currencies.code is 'ISO 4217 code, or the ticker of a stablecoin.';
comment on column public.currencies.name is 'Name in English.';
comment on column public.currencies.decimals is 'Digits after the point of the smallest unit: 2 for USD, 3 for KWD, 0 for JPY, 6 for USDC. Never changed once used.';
CREATE TRIGGER currencies_are_assets AFTER INSERT ON public.currencies FOR EACH ROW EXECUTE FUNCTION ledger.add_currency();
CREATE TRIGGER log_deletes AFTER DELETE ON public.currencies REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('code');
CREATE TRIGGER log_inserts AFTER INSERT ON public.currencies REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('code');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.currencies FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('code');
CREATE TRIGGER log_updates AFTER UPDATE ON public.currencies REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('code', '{}');
alter table public.currencies enable row level security;
grant select on public.currencies to anon;
grant select on public.currencies to authenticated;
grant select on public.currencies to nexus_engine;
grant insert, select on public.currencies to service_role;
create policy currencies_read_all on public.currencies for select to anon, authenticated, nexus_engine
  using (true);

create table public.custodian_statement_lines (
  id bigint generated always as identity not null,
  statement_id uuid not null,
  line integer not null,
  booked_on date not null,
  amount_minor bigint not null,
  reference text not null,
  entry_id bigint,
  constraint custodian_statement_lines_pkey PRIMARY KEY (id),
  constraint custodian_statement_lines_once_a_line UNIQUE (statement_id, line),
  constraint custodian_statement_lines_move_something CHECK (((amount_minor <> 0) AND (abs(amount_minor) <= '9007199254740991'::bigint))),
  constraint custodian_statement_lines_reference_is_bounded CHECK (((length(reference) >= 1) AND (length(reference) <= 300))),
  constraint custodian_statement_lines_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entries(id) ON DELETE RESTRICT,
  constraint custodian_statement_lines_statement_id_fkey FOREIGN KEY (statement_id) REFERENCES public.custodian_statements(id) ON DELETE RESTRICT
);
comment on table public.custodian_statement_lines is 'The lines of statements, each with the ledger entry that it is, where there is one.';
comment on column public.custodian_statement_lines.id is 'Identity of the line.';
comment on column public.custodian_statement_lines.statement_id is 'The statement.';
comment on column public.custodian_statement_lines.line is 'Its place in the statement, from 1.';
comment on column public.custodian_statement_lines.booked_on is 'The day on which the custodian booked it.';
comment on column public.custodian_statement_lines.amount_minor is 'What came in (above zero) or went out, in smallest units.';
comment on column public.custodian_statement_lines.reference is 'The reference that the custodian shows: of a settlement, a refund, a transfer.';
comment on column public.custodian_statement_lines.entry_id is 'The ledger entry with this reference and amount; null: the ledger knows nothing of it.';
CREATE UNIQUE INDEX custodian_statement_lines_entry_id_key ON public.custodian_statement_lines USING btree (entry_id);
CREATE TRIGGER custodian_statement_lines_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.custodian_statement_lines FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.custodian_statement_lines enable row level security;
grant insert, select on public.custodian_statement_lines to nexus_engine;
grant select on public.custodian_statement_lines to nexus_staff;
grant select on public.custodian_statement_lines to service_role;
create policy custodian_statement_lines_engine on public.custodian_statement_lines for all to nexus_engine
  using (true)
  with check (true);
create policy custodian_statement_lines_read_staff on public.custodian_statement_lines for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.custodian_statements (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  custodian text not null,
  account_ref text not null,
  currency text not null,
  currency_decimals smallint not null,
  period_from date not null,
  period_to date not null,
  opening_balance_minor bigint not null,
  closing_balance_minor bigint not null,
  ledger_balance_minor bigint not null,
  sha256 bytea not null,
  imported_by uuid,
  imported_at timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  constraint custodian_statements_pkey PRIMARY KEY (id),
  constraint custodian_statements_once_a_day UNIQUE (property_id, currency, period_to),
  constraint custodian_statements_balances_are_exact CHECK (((abs(opening_balance_minor) <= '9007199254740991'::bigint) AND (abs(closing_balance_minor) <= '9007199254740991'::bigint))),
  constraint custodian_statements_period_is_forward CHECK ((period_to >= period_from)),
  constraint custodian_statements_sha256_has_32_bytes CHECK ((length(sha256) = 32)),
  constraint custodian_statements_texts_are_bounded CHECK (((custodian ~ '\S'::text) AND (length(custodian) <= 200) AND ((length(account_ref) >= 1) AND (length(account_ref) <= 100)))),
  constraint custodian_statements_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint custodian_statements_imported_by_fkey FOREIGN KEY (imported_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint custodian_statements_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.custodian_statements is 'Statements of the custodian''s account of a property, with what the ledger says for the same day. A difference opens an incident.';
comment on column public.custodian_statements.id is 'Identity of the statement.';
comment on column public.custodian_statements.property_id is 'The property whose account it is.';
comment on column public.custodian_statements.custodian is 'Who keeps the money.';
comment on column public.custodian_statements.account_ref is 'The custodian''s name of the account, not its full number.';
comment on column public.custodian_statements.currency is 'Its currency.';
comment on column public.custodian_statements.currency_decimals is 'Decimals of that currency.';
comment on column public.custodian_statements.period_from is 'First day that it covers.';
comment on column public.custodian_statements.period_to is 'Last day that it covers.';
comment on column public.custodian_statements.opening_balance_minor is 'Balance before the first day, in smallest units.';
comment on column public.custodian_statements.closing_balance_minor is 'Balance after the last day, in smallest units.';
comment on column public.custodian_statements.ledger_balance_minor is 'What the ledger said for the end of the last day when it was imported.';
comment on column public.custodian_statements.sha256 is 'SHA-256 of the file.';
comment on column public.custodian_statements.imported_by is 'Who imported it; null for the operator.';
comment on column public.custodian_statements.imported_at is 'When.';
comment on column public.custodian_statements.created_at is 'When the row was made.';
CREATE INDEX custodian_statements_currency_idx ON public.custodian_statements USING btree (currency, currency_decimals);
CREATE INDEX custodian_statements_imported_by_idx ON public.custodian_statements USING btree (imported_by);
CREATE TRIGGER custodian_statements_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.custodian_statements FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
CREATE TRIGGER log_deletes AFTER DELETE ON public.custodian_statements REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.custodian_statements REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.custodian_statements FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.custodian_statements REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.custodian_statements enable row level security;
grant insert, select on public.custodian_statements to nexus_engine;
grant select on public.custodian_statements to nexus_staff;
grant select on public.custodian_statements to service_role;
create policy custodian_statements_engine on public.custodian_statements for all to nexus_engine
  using (true)
  with check (true);
create policy custodian_statements_read_staff on public.custodian_statements for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.distribution_lines (
  id uuid default gen_random_uuid() not null,
  distribution_id uuid not null,
  party_id uuid not null,
  entitled_units bigint not null,
  amount_minor bigint not null,
  withheld_minor bigint not null,
  rate_ppm integer not null,
  form text not null,
  form_version text not null,
  lot_ids uuid[] default '{}'::uuid[] not null,
  lot_units bigint[] default '{}'::bigint[] not null,
  status text default 'payable'::text not null,
  constraint distribution_lines_pkey PRIMARY KEY (id),
  constraint distribution_lines_one_a_holder UNIQUE (distribution_id, party_id),
  constraint distribution_lines_amounts_fit CHECK ((((amount_minor >= 0) AND (amount_minor <= '9007199254740991'::bigint)) AND ((withheld_minor >= 0) AND (withheld_minor <= amount_minor)))),
  constraint distribution_lines_entitled_is_exact CHECK (((entitled_units >= 1) AND (entitled_units <= '9007199254740991'::bigint))),
  constraint distribution_lines_lots_have_units CHECK ((cardinality(lot_ids) = cardinality(lot_units))),
  constraint distribution_lines_rate_is_a_part CHECK (((rate_ppm >= 0) AND (rate_ppm <= 1000000))),
  constraint distribution_lines_status_is_known CHECK ((status = ANY (ARRAY['payable'::text, 'sent'::text, 'paid'::text, 'failed'::text]))),
  constraint distribution_lines_texts_are_bounded CHECK (((length(form) <= 50) AND (length(form_version) <= 50))),
  constraint distribution_lines_distribution_id_fkey FOREIGN KEY (distribution_id) REFERENCES public.distributions(id) ON DELETE RESTRICT,
  constraint distribution_lines_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT
);
comment on table public.distribution_lines is 'One holder''s part of a distribution. He is sent amount less withheld, once.';
comment on column public.distribution_lines.id is 'Identity of the line.';
comment on column public.distribution_lines.distribution_id is 'The distribution.';
comment on column public.distribution_lines.party_id is 'The holder.';
comment on column public.distribution_lines.entitled_units is 'What counts of his: tokens held at the record date, in smallest units, or these times seconds in the period.';
comment on column public.distribution_lines.amount_minor is 'His part before tax, in smallest units.';
comment on column public.distribution_lines.withheld_minor is 'Tax withheld of it, in smallest units.';
comment on column public.distribution_lines.rate_ppm is 'The rate of that tax, in millionths.';
comment on column public.distribution_lines.form is 'The form on which the rate rests; none where no rate is known for the property''s country.';
comment on column public.distribution_lines.form_version is 'Its version.';
comment on column public.distribution_lines.lot_ids is 'His lots that count: over them the line is split when it is posted, whatever became of them since.';
comment on column public.distribution_lines.lot_units is 'What of entitled_units each of them had: they add up to it.';
comment on column public.distribution_lines.status is 'payable, sent, paid or failed; docs/STATES.md.';
CREATE INDEX distribution_lines_open_idx ON public.distribution_lines USING btree (distribution_id) WHERE (status <> 'paid'::text);
CREATE INDEX distribution_lines_party_id_idx ON public.distribution_lines USING btree (party_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.distribution_lines REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.distribution_lines REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.distribution_lines FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.distribution_lines REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.distribution_lines enable row level security;
grant select on public.distribution_lines to authenticated;
grant select on public.distribution_lines to nexus_engine;
grant update (status) on public.distribution_lines to nexus_engine;
grant select on public.distribution_lines to service_role;
create policy distribution_lines_engine on public.distribution_lines for all to nexus_engine
  using (true)
  with check (true);
create policy distribution_lines_read_own on public.distribution_lines for select to authenticated
  using ((party_id = ( SELECT nexus.party_id() AS party_id)));
create policy distribution_lines_read_staff on public.distribution_lines for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.distributions (
  id uuid not null,
  property_id uuid not null,
  property_token_id uuid not null,
  currency text not null,
  currency_decimals smallint not null,
  status text default 'proposed'::text not null,
  seconds_from timestamp with time zone,
  seconds_to timestamp with time zone,
  basis text generated always as (
CASE
    WHEN (seconds_from IS NULL) THEN 'register'::text
    ELSE 'token_seconds'::text
END) stored not null,
  declared_minor bigint not null,
  declared_amount numeric generated always as (nexus.from_minor(declared_minor, (currency_decimals)::integer)) stored,
  withheld_minor bigint default 0 not null,
  holders integer default 0 not null,
  record_at timestamp with time zone,
  register_entry_id bigint,
  tie_first uuid,
  declare_pass_id uuid,
  declare_action text generated always as ('declare'::text) stored not null,
  proposed_by uuid not null,
  declared_by uuid,
  posted_up_to uuid,
  posted_at timestamp with time zone,
  paid_at timestamp with time zone,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint distributions_pkey PRIMARY KEY (id),
  constraint distributions_amounts_fit CHECK ((((declared_minor >= 1) AND (declared_minor <= '9007199254740991'::bigint)) AND ((withheld_minor >= 0) AND (withheld_minor <= declared_minor)))),
  constraint distributions_declared_is_whole CHECK ((((status = ANY (ARRAY['declared'::text, 'paying'::text, 'paid'::text])) = (num_nulls(record_at, register_entry_id, tie_first, declared_by) = 0)) AND ((status = ANY (ARRAY['proposed'::text, 'cancelled'::text])) OR (holders > 0)))),
  constraint distributions_declared_passed_the_gate CHECK (((status = ANY (ARRAY['declared'::text, 'paying'::text, 'paid'::text])) = (declare_pass_id IS NOT NULL))),
  constraint distributions_need_two_persons CHECK ((declared_by <> proposed_by)),
  constraint distributions_paid_has_a_date CHECK (((status = 'paid'::text) = (paid_at IS NOT NULL))),
  constraint distributions_period_is_over CHECK ((((seconds_from IS NULL) = (seconds_to IS NULL)) AND (seconds_to > seconds_from) AND (seconds_to <= COALESCE(record_at, created_at)) AND ((EXTRACT(epoch FROM seconds_from) % (1)::numeric) = (0)::numeric) AND ((EXTRACT(epoch FROM seconds_to) % (1)::numeric) = (0)::numeric))),
  constraint distributions_posted_is_paying CHECK ((((status = ANY (ARRAY['paying'::text, 'paid'::text])) = (posted_up_to IS NOT NULL)) AND ((posted_at IS NULL) OR (status = ANY (ARRAY['paying'::text, 'paid'::text]))) AND ((status <> 'paid'::text) OR (posted_at IS NOT NULL)))),
  constraint distributions_status_is_known CHECK ((status = ANY (ARRAY['proposed'::text, 'declared'::text, 'paying'::text, 'paid'::text, 'cancelled'::text]))),
  constraint distributions_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint distributions_declare_pass_fkey FOREIGN KEY (declare_pass_id, property_id, declare_action) REFERENCES public.gate_passes(id, property_id, action) ON DELETE RESTRICT,
  constraint distributions_declared_by_fkey FOREIGN KEY (declared_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint distributions_proposed_by_fkey FOREIGN KEY (proposed_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint distributions_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT
);
comment on table public.distributions is 'One payment of a property''s distributable cash to the holders of its token at a record date. Declared, it is a debt; written by commands only.';
comment on column public.distributions.id is 'Identity of the distribution.';
comment on column public.distributions.property_id is 'The property that pays.';
comment on column public.distributions.property_token_id is 'The token whose holders are paid.';
comment on column public.distributions.currency is 'Its currency.';
comment on column public.distributions.currency_decimals is 'Decimals of that currency.';
comment on column public.distributions.status is 'proposed, declared, paying, paid or cancelled; docs/STATES.md.';
comment on column public.distributions.seconds_from is 'First second of the period whose token-seconds decide; null where the register at the record date does.';
comment on column public.distributions.seconds_to is 'The end of that period, itself not in it.';
comment on column public.distributions.basis is 'register: tokens held at the record date; token_seconds: tokens times seconds in the period.';
comment on column public.distributions.declared_minor is 'What is distributed before tax, in smallest units: the sum of its lines.';
comment on column public.distributions.declared_amount is 'What is distributed before tax.';
comment on column public.distributions.withheld_minor is 'What of it is tax, in smallest units.';
comment on column public.distributions.holders is 'How many lines it has.';
comment on column public.distributions.record_at is 'The instant whose register decides, or up to which token-seconds are known: under the token''s lock.';
comment on column public.distributions.register_entry_id is 'The ledger''s last entry at that instant: later entries change nothing.';
comment on column public.distributions.tie_first is 'Where the circle of parties begins in which equal fractions are served; another one each time.';
comment on column public.distributions.declare_pass_id is 'The gate pass on which it rests.';
comment on column public.distributions.declare_action is 'The action that the pass must be for.';
comment on column public.distributions.proposed_by is 'Who asked for it.';
comment on column public.distributions.declared_by is 'The overseer who declared it: never who asked.';
comment on column public.distributions.posted_up_to is 'Up to which party, in their order, holders were credited: what a payment goes on from.';
comment on column public.distributions.posted_at is 'When the last holder was credited.';
comment on column public.distributions.paid_at is 'When the last line was paid.';
comment on column public.distributions.created_at is 'When it was proposed.';
comment on column public.distributions.updated_at is 'When the row last changed.';
CREATE INDEX distributions_currency_idx ON public.distributions USING btree (currency, currency_decimals);
CREATE INDEX distributions_declare_pass_id_idx ON public.distributions USING btree (declare_pass_id, property_id, declare_action);
CREATE INDEX distributions_declared_by_idx ON public.distributions USING btree (declared_by);
CREATE INDEX distributions_posting_idx ON public.distributions USING btree (id) WHERE ((status = 'paying'::text) AND (posted_at IS NULL));
CREATE INDEX distributions_property_id_idx ON public.distributions USING btree (property_id, created_at DESC);
CREATE INDEX distributions_property_token_id_idx ON public.distributions USING btree (property_token_id, property_id);
CREATE INDEX distributions_proposed_by_idx ON public.distributions USING btree (proposed_by);
CREATE TRIGGER distributions_updated_at BEFORE UPDATE ON public.distributions FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.distributions REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.distributions REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.distributions FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.distributions REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.distributions enable row level security;
grant select on public.distributions to authenticated;
grant insert, select, update on public.distributions to nexus_engine;
grant select on public.distributions to service_role;
create policy distributions_engine on public.distributions for all to nexus_engine
  using (true)
  with check (true);
create policy distributions_read_own on public.distributions for select to authenticated
  using ((id = ANY (( SELECT nexus.my_distribution_ids() AS my_distribution_ids)::uuid[])));
create policy distributions_read_staff on public.distributions for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.entry_tests (
  id uuid default gen_random_uuid() not null,
  code text not null,
  version integer not null,
  questions jsonb not null,
  right_min integer not null,
  tries_max integer not null,
  source text not null,
  valid_from timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  constraint entry_tests_pkey PRIMARY KEY (id),
  constraint entry_tests_once_a_version UNIQUE (code, version),
  constraint entry_tests_can_be_passed CHECK (((right_min >= 1) AND (right_min <= jsonb_array_length(questions)))),
  constraint entry_tests_code_is_a_word CHECK ((code ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
  constraint entry_tests_questions_are_some CHECK (((jsonb_typeof(questions) = 'array'::text) AND ((jsonb_array_length(questions) >= 1) AND (jsonb_array_length(questions) <= 100)))),
  constraint entry_tests_questions_have_one_right_answer CHECK ((NOT jsonb_path_exists(questions, '$[*]?(((@."key".type() != "string" || @."text".type() != "string") || @."options".type() != "object") || @."right".type() != "string")'::jsonpath))),
  constraint entry_tests_source_is_not_blank CHECK (((source ~ '\S'::text) AND (length(source) <= 500))),
  constraint entry_tests_tries_are_some CHECK (((tries_max >= 1) AND (tries_max <= 100))),
  constraint entry_tests_version_counts CHECK ((version >= 1))
);
comment on table public.entry_tests is 'Questions that show whether somebody understands what he would buy, with the right answers: read by commands alone, which ask without telling. Of a code the version with the latest valid_from that is not in the future holds. Rows are added, never changed.';
comment on column public.entry_tests.id is 'Identity of the version.';
comment on column public.entry_tests.code is 'Which test, such as ecspr.';
comment on column public.entry_tests.version is 'Its version, from 1.';
comment on column public.entry_tests.questions is 'Array of {key, text, options {letter: text}, right: letter}.';
comment on column public.entry_tests.right_min is 'How many right answers pass.';
comment on column public.entry_tests.tries_max is 'How many tries a party has in 24 hours: somebody who guesses does not understand.';
comment on column public.entry_tests.source is 'Where the test comes from; [?] until somebody competent has checked it.';
comment on column public.entry_tests.valid_from is 'First instant at which it is asked.';
comment on column public.entry_tests.created_at is 'When it was recorded.';
CREATE TRIGGER entry_tests_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.entry_tests FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.entry_tests enable row level security;
grant select on public.entry_tests to nexus_engine;
create policy entry_tests_engine on public.entry_tests for select to nexus_engine
  using (true);

create table public.fee_schedules (
  id uuid default gen_random_uuid() not null,
  fee_type text not null,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  rate_ppm integer not null,
  fixed_minor bigint default 0 not null,
  minimum_minor bigint default 0 not null,
  maximum_minor bigint,
  valid_from timestamp with time zone not null,
  note text,
  created_at timestamp with time zone default now() not null,
  constraint fee_schedules_pkey PRIMARY KEY (id),
  constraint fee_schedules_one_at_an_instant UNIQUE (fee_type, currency, valid_from),
  constraint fee_schedules_fee_type_is_a_word CHECK ((fee_type ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
  constraint fee_schedules_fixed_is_an_amount CHECK (((fixed_minor >= 0) AND (fixed_minor <= '9007199254740991'::bigint))),
  constraint fee_schedules_maximum_not_below_minimum CHECK (((maximum_minor >= minimum_minor) AND (maximum_minor <= '9007199254740991'::bigint))),
  constraint fee_schedules_minimum_is_an_amount CHECK (((minimum_minor >= 0) AND (minimum_minor <= '9007199254740991'::bigint))),
  constraint fee_schedules_not_backdated CHECK ((valid_from >= created_at)),
  constraint fee_schedules_note_is_short CHECK ((length(note) <= 1000)),
  constraint fee_schedules_rate_is_a_part CHECK (((rate_ppm >= 0) AND (rate_ppm <= 1000000))),
  constraint fee_schedules_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals)
);
comment on table public.fee_schedules is 'What is charged, from when. The row with the latest valid_from that is not in the future holds; rows are never changed, a new one replaces the old. Public: whoever pays may look.';
comment on column public.fee_schedules.id is 'Identity of the row.';
comment on column public.fee_schedules.fee_type is 'What the fee is for: platform (on an investment''s principal), rent_manager and rent_platform (on gross rent), or a type of the operator''s own.';
comment on column public.fee_schedules.currency is 'Currency of the amounts; a fee in another currency is another row.';
comment on column public.fee_schedules.currency_decimals is 'Decimals of that currency.';
comment on column public.fee_schedules.rate_ppm is 'Part of the amount, in millionths: 20000 is 2 %. Rounded half up to the smallest unit.';
comment on column public.fee_schedules.fixed_minor is 'Added to the part, in smallest units.';
comment on column public.fee_schedules.minimum_minor is 'The fee is at least this, in smallest units.';
comment on column public.fee_schedules.maximum_minor is 'The fee is at most this, in smallest units; null: no maximum.';
comment on column public.fee_schedules.valid_from is 'First instant at which the row holds. Not before it was recorded.';
comment on column public.fee_schedules.note is 'Why, for people.';
comment on column public.fee_schedules.created_at is 'When it was recorded.';
CREATE INDEX fee_schedules_currency_idx ON public.fee_schedules USING btree (currency, currency_decimals);
CREATE TRIGGER fee_schedules_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.fee_schedules FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
CREATE TRIGGER log_deletes AFTER DELETE ON public.fee_schedules REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.fee_schedules REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.fee_schedules FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.fee_schedules REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.fee_schedules enable row level security;
grant select on public.fee_schedules to anon;
grant select on public.fee_schedules to authenticated;
grant insert (fee_type, currency, currency_decimals, rate_ppm, fixed_minor, minimum_minor, maximum_minor, valid_from, note) on public.fee_schedules to nexus_engine;
grant select on public.fee_schedules to nexus_engine;
grant select on public.fee_schedules to service_role;
create policy fee_schedules_engine on public.fee_schedules for all to nexus_engine
  using (true)
  with check (true);
create policy fee_schedules_read_all on public.fee_schedules for select to anon, authenticated
  using (true);

create table public.file_reads (
  id uuid default gen_random_uuid() not null,
  object_id uuid not null,
  bucket_id text not null,
  object_name text not null,
  sha256 bytea not null,
  reader_id uuid not null,
  read_at timestamp with time zone not null,
  constraint file_reads_pkey PRIMARY KEY (id),
  constraint file_reads_object_name_is_bounded CHECK (((length(object_name) >= 1) AND (length(object_name) <= 1200))),
  constraint file_reads_sha256_has_32_bytes CHECK ((length(sha256) = 32)),
  constraint file_reads_reader_id_fkey FOREIGN KEY (reader_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.file_reads is 'Each time that somebody was given the bytes of a private file. Append-only, and audited.';
comment on column public.file_reads.id is 'Identity of the read.';
comment on column public.file_reads.object_id is 'The file: storage.objects.id. No foreign key: the trail outlives the file.';
comment on column public.file_reads.bucket_id is 'Its bucket.';
comment on column public.file_reads.object_name is 'Its name in the bucket.';
comment on column public.file_reads.sha256 is 'SHA-256 of the content that was read.';
comment on column public.file_reads.reader_id is 'The login that read.';
comment on column public.file_reads.read_at is 'When.';
CREATE INDEX file_reads_object_id_idx ON public.file_reads USING btree (object_id, read_at DESC);
CREATE INDEX file_reads_reader_id_idx ON public.file_reads USING btree (reader_id, read_at DESC);
CREATE TRIGGER file_reads_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.file_reads FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
CREATE TRIGGER log_deletes AFTER DELETE ON public.file_reads REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.file_reads REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.file_reads FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.file_reads REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.file_reads enable row level security;
grant insert, select on public.file_reads to nexus_engine;
grant select on public.file_reads to nexus_staff;
grant select on public.file_reads to service_role;
create policy file_reads_engine on public.file_reads for all to nexus_engine
  using (true)
  with check (true);
create policy file_reads_read_staff on public.file_reads for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.foreign_tokens (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  name text not null,
  symbol text not null,
  chain_id bigint not null,
  contract_address text not null,
  bridged_chain_id bigint,
  bridged_address text,
  supply bigint not null,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  token_price_minor bigint not null,
  token_price numeric generated always as (nexus.from_minor(token_price_minor, (currency_decimals)::integer)) stored,
  total_value_minor bigint generated always as ((supply * token_price_minor)) stored,
  total_value numeric generated always as (nexus.from_minor((supply * token_price_minor), (currency_decimals)::integer)) stored,
  net_rent_year_minor bigint not null,
  net_rent_year numeric generated always as (nexus.from_minor(net_rent_year_minor, (currency_decimals)::integer)) stored,
  stated_net_rent_year_per_token numeric not null,
  stated_apr_percent numeric not null,
  venues integer not null,
  is_migrated boolean not null,
  snapshot_on date not null,
  source text not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint foreign_tokens_pkey PRIMARY KEY (id),
  constraint foreign_tokens_addresses_are_evm CHECK (((contract_address ~ '^0x[0-9a-fA-F]{40}$'::text) AND (bridged_address ~ '^0x[0-9a-fA-F]{40}$'::text))),
  constraint foreign_tokens_bridged_address_has_a_chain CHECK ((num_nulls(bridged_chain_id, bridged_address) = ANY (ARRAY[0, 2]))),
  constraint foreign_tokens_chains_differ CHECK (((chain_id > 0) AND (bridged_chain_id > 0) AND (bridged_chain_id <> chain_id))),
  constraint foreign_tokens_name_is_bounded CHECK (((name ~ '\S'::text) AND (length(name) <= 200))),
  constraint foreign_tokens_price_is_an_amount CHECK (((token_price_minor >= 0) AND (token_price_minor <= '9007199254740991'::bigint))),
  constraint foreign_tokens_rent_is_an_amount CHECK (((net_rent_year_minor >= 0) AND (net_rent_year_minor <= '9007199254740991'::bigint))),
  constraint foreign_tokens_source_is_said CHECK (((source ~ '\S'::text) AND (length(source) <= 500))),
  constraint foreign_tokens_stated_rates_are_numbers CHECK ((((stated_net_rent_year_per_token >= (0)::numeric) AND (stated_net_rent_year_per_token <= (1000000000)::numeric)) AND ((stated_apr_percent >= (0)::numeric) AND (stated_apr_percent <= (1000000)::numeric)))),
  constraint foreign_tokens_supply_is_an_amount CHECK (((supply >= 1) AND (supply <= '9007199254740991'::bigint))),
  constraint foreign_tokens_symbol_is_bounded CHECK (((symbol ~ '\S'::text) AND (length(symbol) <= 100))),
  constraint foreign_tokens_value_is_an_amount CHECK ((((supply)::numeric * (token_price_minor)::numeric) <= ('9007199254740991'::bigint)::numeric)),
  constraint foreign_tokens_venues_not_negative CHECK ((venues >= 0)),
  constraint foreign_tokens_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint foreign_tokens_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.foreign_tokens is 'Imported history: tokens that others issued for buildings, as a list gave them on a day. Never an offer of ours and never for sale here. Facts of public chains, so everybody may read them.';
comment on column public.foreign_tokens.id is 'Identity of the row.';
comment on column public.foreign_tokens.property_id is 'The building, which is imported history as well. A token that was migrated and its successor share it.';
comment on column public.foreign_tokens.name is 'Name of the token as listed.';
comment on column public.foreign_tokens.symbol is 'Symbol as listed; not unique: a migrated token and its successor may share it.';
comment on column public.foreign_tokens.chain_id is 'EVM chain of contract_address: 1 Ethereum, 100 Gnosis.';
comment on column public.foreign_tokens.contract_address is 'The contract, by which the list names the token.';
comment on column public.foreign_tokens.bridged_chain_id is 'The other chain on which the same token exists; null where there is none.';
comment on column public.foreign_tokens.bridged_address is 'Its contract there; may be the same text as contract_address.';
comment on column public.foreign_tokens.supply is 'Whole tokens.';
comment on column public.foreign_tokens.currency is 'Currency of price and rent.';
comment on column public.foreign_tokens.currency_decimals is 'Decimals of that currency.';
comment on column public.foreign_tokens.token_price_minor is 'Listed price of one token on that day, in smallest units. Nobody can buy at it here.';
comment on column public.foreign_tokens.token_price is 'Listed price of one token; derived.';
comment on column public.foreign_tokens.total_value_minor is 'Supply times listed price, in smallest units; derived.';
comment on column public.foreign_tokens.total_value is 'Supply times listed price; derived.';
comment on column public.foreign_tokens.net_rent_year_minor is 'Listed rent of a year after costs, in smallest units: the figure to trust. A month of it is a twelfth by largest remainder, earliest months first.';
comment on column public.foreign_tokens.net_rent_year is 'Listed rent of a year after costs; derived.';
comment on column public.foreign_tokens.stated_net_rent_year_per_token is 'Rent of a year per token as listed, rounded by the list; times supply it is not the yearly rent.';
comment on column public.foreign_tokens.stated_apr_percent is 'Yearly rent over price in percent, as listed.';
comment on column public.foreign_tokens.venues is 'Market places on which the token was listed.';
comment on column public.foreign_tokens.is_migrated is 'Whether the contract was given up for another; leave these out of sums over buildings.';
comment on column public.foreign_tokens.snapshot_on is 'The day whose facts these are.';
comment on column public.foreign_tokens.source is 'Where the facts are from.';
comment on column public.foreign_tokens.created_at is 'When it was loaded.';
comment on column public.foreign_tokens.updated_at is 'When the row last changed.';
CREATE UNIQUE INDEX foreign_tokens_bridged_address_key ON public.foreign_tokens USING btree (bridged_chain_id, lower(bridged_address));
CREATE UNIQUE INDEX foreign_tokens_contract_address_key ON public.foreign_tokens USING btree (chain_id, lower(contract_address));
CREATE INDEX foreign_tokens_currency_idx ON public.foreign_tokens USING btree (currency, currency_decimals);
CREATE INDEX foreign_tokens_property_id_idx ON public.foreign_tokens USING btree (property_id);
CREATE TRIGGER foreign_tokens_updated_at BEFORE UPDATE ON public.foreign_tokens FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.foreign_tokens REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.foreign_tokens REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.foreign_tokens FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.foreign_tokens REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.foreign_tokens enable row level security;
grant select on public.foreign_tokens to anon;
grant select on public.foreign_tokens to authenticated;
grant insert, select, update on public.foreign_tokens to nexus_engine;
grant select on public.foreign_tokens to service_role;
create policy foreign_tokens_engine on public.foreign_tokens for all to nexus_engine
  using (true)
  with check (true);
create policy foreign_tokens_read_all on public.foreign_tokens for select to anon, authenticated
  using (true);

create table public.gate_overrides (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  action text not null,
  subject_id uuid not null,
  requirements text[] not null,
  reason text not null,
  requested_by uuid not null,
  requested_at timestamp with time zone not null,
  approved_by uuid,
  approved_at timestamp with time zone,
  valid_until timestamp with time zone not null,
  constraint gate_overrides_pkey PRIMARY KEY (id),
  constraint gate_overrides_as_passes_refer_key UNIQUE (id, property_id, action, subject_id),
  constraint gate_overrides_action_is_known CHECK ((action = ANY (ARRAY['launch'::text, 'close'::text, 'declare'::text]))),
  constraint gate_overrides_approval_is_whole CHECK ((num_nulls(approved_by, approved_at) = ANY (ARRAY[0, 2]))),
  constraint gate_overrides_end CHECK (((valid_until > requested_at) AND (valid_until <= (requested_at + '30 days'::interval)))),
  constraint gate_overrides_need_two_persons CHECK ((approved_by <> requested_by)),
  constraint gate_overrides_never_waive_title CHECK (((cardinality(requirements) > 0) AND (requirements <@ ARRAY['insurance'::text, 'appraisal'::text, 'entity_papers'::text]))),
  constraint gate_overrides_say_why CHECK (((reason ~ '\S'::text) AND (length(reason) <= 2000))),
  constraint gate_overrides_approved_by_fkey FOREIGN KEY (approved_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint gate_overrides_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint gate_overrides_requested_by_fkey FOREIGN KEY (requested_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.gate_overrides is 'Two overseers let one action through without some evidence, once and for at most 30 days. Stays visible for ever.';
comment on column public.gate_overrides.id is 'Identity of the override.';
comment on column public.gate_overrides.property_id is 'The property.';
comment on column public.gate_overrides.action is 'launch, close or declare.';
comment on column public.gate_overrides.subject_id is 'What is launched, closed or declared: process, offering or distribution.';
comment on column public.gate_overrides.requirements is 'What is waived: insurance, appraisal, entity_papers. Never title, never an open incident.';
comment on column public.gate_overrides.reason is 'Why.';
comment on column public.gate_overrides.requested_by is 'The overseer who asked.';
comment on column public.gate_overrides.requested_at is 'When.';
comment on column public.gate_overrides.approved_by is 'The other overseer, of another party, who approved; null until then.';
comment on column public.gate_overrides.approved_at is 'When.';
comment on column public.gate_overrides.valid_until is 'From when on it no longer holds.';
CREATE INDEX gate_overrides_approved_by_idx ON public.gate_overrides USING btree (approved_by);
CREATE INDEX gate_overrides_property_id_idx ON public.gate_overrides USING btree (property_id, action, subject_id);
CREATE INDEX gate_overrides_requested_by_idx ON public.gate_overrides USING btree (requested_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.gate_overrides REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.gate_overrides REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.gate_overrides FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.gate_overrides REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.gate_overrides enable row level security;
grant select on public.gate_overrides to nexus_engine;
grant select on public.gate_overrides to nexus_staff;
grant select on public.gate_overrides to service_role;
create policy gate_overrides_engine on public.gate_overrides for select to nexus_engine
  using (true);
create policy gate_overrides_read_staff on public.gate_overrides for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.gate_pass_evidence (
  id uuid default gen_random_uuid() not null,
  pass_id uuid not null,
  property_id uuid not null,
  action text not null,
  requirement text not null,
  document_id uuid not null,
  sha256 bytea not null,
  constraint gate_pass_evidence_pkey PRIMARY KEY (id),
  constraint gate_pass_evidence_once_a_requirement UNIQUE (pass_id, requirement),
  constraint gate_pass_evidence_sha256_has_32_bytes CHECK ((length(sha256) = 32)),
  constraint gate_pass_evidence_document_fkey FOREIGN KEY (document_id, property_id) REFERENCES public.property_documents(id, property_id) ON DELETE RESTRICT,
  constraint gate_pass_evidence_pass_fkey FOREIGN KEY (pass_id, property_id, action) REFERENCES public.gate_passes(id, property_id, action) ON DELETE RESTRICT
);
comment on table public.gate_pass_evidence is 'The documents that a pass rests on, of its own property. Written by nexus.pass_gate() only.';
comment on column public.gate_pass_evidence.id is 'Identity of the row.';
comment on column public.gate_pass_evidence.pass_id is 'The pass.';
comment on column public.gate_pass_evidence.property_id is 'Property of the pass and of the document.';
comment on column public.gate_pass_evidence.action is 'Action of the pass.';
comment on column public.gate_pass_evidence.requirement is 'What the document shows: title, insurance, appraisal, entity_papers.';
comment on column public.gate_pass_evidence.document_id is 'The document.';
comment on column public.gate_pass_evidence.sha256 is 'SHA-256 of its bytes at the pass.';
CREATE INDEX gate_pass_evidence_document_idx ON public.gate_pass_evidence USING btree (document_id, property_id);
CREATE INDEX gate_pass_evidence_pass_idx ON public.gate_pass_evidence USING btree (pass_id, property_id, action);
CREATE TRIGGER gate_pass_evidence_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.gate_pass_evidence FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
CREATE TRIGGER log_deletes AFTER DELETE ON public.gate_pass_evidence REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.gate_pass_evidence REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.gate_pass_evidence FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.gate_pass_evidence REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.gate_pass_evidence enable row level security;
grant select on public.gate_pass_evidence to nexus_engine;
grant select on public.gate_pass_evidence to nexus_staff;
grant select on public.gate_pass_evidence to service_role;
create policy gate_pass_evidence_engine on public.gate_pass_evidence for select to nexus_engine
  using (true);
create policy gate_pass_evidence_read_staff on public.gate_pass_evidence for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.gate_passes (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  action text not null,
  subject_id uuid not null,
  offering_kind text not null,
  passed_at timestamp with time zone not null,
  actor_id uuid,
  override_id uuid,
  constraint gate_passes_pkey PRIMARY KEY (id),
  constraint gate_passes_id_property_id_action_key UNIQUE (id, property_id, action),
  constraint gate_passes_override_is_used_once UNIQUE (override_id),
  constraint gate_passes_action_is_known CHECK ((action = ANY (ARRAY['launch'::text, 'close'::text, 'declare'::text]))),
  constraint gate_passes_kind_is_known CHECK ((offering_kind = ANY (ARRAY['issuer_owns'::text, 'acquisition'::text]))),
  constraint gate_passes_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint gate_passes_override_fkey FOREIGN KEY (override_id, property_id, action, subject_id) REFERENCES public.gate_overrides(id, property_id, action, subject_id),
  constraint gate_passes_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.gate_passes is 'That an action of a property was let through the evidence gate. Written by nexus.pass_gate() only.';
comment on column public.gate_passes.id is 'Identity of the pass.';
comment on column public.gate_passes.property_id is 'The property.';
comment on column public.gate_passes.action is 'launch, close or declare.';
comment on column public.gate_passes.subject_id is 'What is launched, closed or declared: process, offering or distribution.';
comment on column public.gate_passes.offering_kind is 'issuer_owns or acquisition: which requirements held.';
comment on column public.gate_passes.passed_at is 'The instant at which the evidence was current.';
comment on column public.gate_passes.actor_id is 'The login whose command passed; null for a job.';
comment on column public.gate_passes.override_id is 'The override that waived what was missing; null where nothing was.';
CREATE INDEX gate_passes_actor_id_idx ON public.gate_passes USING btree (actor_id);
CREATE INDEX gate_passes_override_idx ON public.gate_passes USING btree (override_id, property_id, action, subject_id);
CREATE INDEX gate_passes_property_id_idx ON public.gate_passes USING btree (property_id, action, passed_at DESC);
CREATE INDEX gate_passes_subject_id_idx ON public.gate_passes USING btree (subject_id);
CREATE TRIGGER gate_passes_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.gate_passes FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
CREATE TRIGGER log_deletes AFTER DELETE ON public.gate_passes REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.gate_passes REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.gate_passes FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.gate_passes REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.gate_passes enable row level security;
grant select on public.gate_passes to nexus_engine;
grant select on public.gate_passes to nexus_staff;
grant select on public.gate_passes to service_role;
create policy gate_passes_engine on public.gate_passes for select to nexus_engine
  using (true);
create policy gate_passes_read_staff on public.gate_passes for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.gate_requirements (
  id uuid default gen_random_uuid() not null,
  action text not null,
  offering_kind text not null,
  requirement text not null,
  document_types text[] not null,
  constraint gate_requirements_pkey PRIMARY KEY (id),
  constraint gate_requirements_once_an_action UNIQUE (action, offering_kind, requirement),
  constraint gate_requirements_action_is_known CHECK ((action = ANY (ARRAY['launch'::text, 'close'::text, 'declare'::text]))),
  constraint gate_requirements_kind_is_known CHECK ((offering_kind = ANY (ARRAY['issuer_owns'::text, 'acquisition'::text]))),
  constraint gate_requirements_names_a_type CHECK ((cardinality(document_types) > 0)),
  constraint gate_requirements_requirement_is_known CHECK ((requirement = ANY (ARRAY['title'::text, 'insurance'::text, 'appraisal'::text, 'entity_papers'::text])))
);
comment on table public.gate_requirements is 'What evidence each action needs, by the kind of its offering. Data of a migration: nobody changes it while the program runs.';
comment on column public.gate_requirements.id is 'Identity of the requirement.';
comment on column public.gate_requirements.action is 'launch, close or declare.';
comment on column public.gate_requirements.offering_kind is 'issuer_owns (the deed is recorded before launch) or acquisition (bought with the money raised).';
comment on column public.gate_requirements.requirement is 'What is asked for: title, insurance, appraisal, entity_papers.';
comment on column public.gate_requirements.document_types is 'Documents any one of which is that.';
CREATE TRIGGER log_deletes AFTER DELETE ON public.gate_requirements REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.gate_requirements REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.gate_requirements FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.gate_requirements REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.gate_requirements enable row level security;
grant select on public.gate_requirements to anon;
grant select on public.gate_requirements to authenticated;
grant select on public.gate_requirements to nexus_engine;
grant select on public.gate_requirements to service_role;
create policy gate_requirements_read_everybody on public.gate_requirements for select to anon, authenticated, nexus_engine
  using (true);

create table public.holding_cases (
  id uuid not null,
  kind text not null,
  property_id uuid,
  property_token_id uuid,
  party_id uuid,
  to_user_id uuid,
  to_party_id uuid,
  freeze_id uuid,
  token_decimals smallint,
  units bigint,
  token_amount numeric generated always as (nexus.from_minor(units, (token_decimals)::integer)) stored,
  currency text,
  currency_decimals smallint,
  amount_minor bigint,
  amount numeric generated always as (nexus.from_minor(amount_minor, (currency_decimals)::integer)) stored,
  account_ref text,
  bank_reference text,
  booked_on date,
  reason text not null,
  status text default 'open'::text not null,
  opened_by uuid not null,
  first_approved_by uuid,
  first_approved_at timestamp with time zone,
  second_approved_by uuid,
  done_at timestamp with time zone,
  rejected_by uuid,
  reject_reason text,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint holding_cases_pkey PRIMARY KEY (id),
  constraint holding_cases_amount_is_an_amount CHECK ((((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint)) AND ((amount_minor IS NULL) = (currency IS NULL)))),
  constraint holding_cases_currency_has_decimals CHECK (((currency IS NULL) = (currency_decimals IS NULL))),
  constraint holding_cases_done_has_two_approvals CHECK ((((status = 'done'::text) = (num_nulls(first_approved_by, first_approved_at, second_approved_by, done_at) = 0)) AND ((first_approved_by IS NULL) = (first_approved_at IS NULL)) AND ((second_approved_by IS NULL) = (done_at IS NULL)))),
  constraint holding_cases_kind_is_known CHECK ((kind = ANY (ARRAY['freeze'::text, 'release'::text, 'forced_transfer'::text, 'recovery'::text, 'redemption'::text, 'wind_up'::text]))),
  constraint holding_cases_name_what_they_are_about CHECK ((((kind = 'recovery'::text) = (property_token_id IS NULL)) AND ((property_token_id IS NULL) = (property_id IS NULL)) AND ((kind = 'wind_up'::text) = (party_id IS NULL)) AND ((kind = ANY (ARRAY['forced_transfer'::text, 'recovery'::text])) = (to_party_id IS NOT NULL)) AND ((to_party_id IS NULL) = (to_user_id IS NULL)) AND ((kind = 'release'::text) = (freeze_id IS NOT NULL)) AND ((kind = ANY (ARRAY['redemption'::text, 'wind_up'::text])) = (amount_minor IS NOT NULL)) AND (num_nulls(account_ref, bank_reference, booked_on) =
CASE kind
    WHEN 'wind_up'::text THEN 0
    ELSE 3
END) AND ((kind = ANY (ARRAY['freeze'::text, 'forced_transfer'::text, 'redemption'::text])) OR (units IS NULL)) AND (to_party_id <> party_id))),
  constraint holding_cases_need_two_persons CHECK ((first_approved_by <> second_approved_by)),
  constraint holding_cases_rejected_says_why CHECK ((((status = 'rejected'::text) = COALESCE((reject_reason ~ '\S'::text), false)) AND ((status = 'rejected'::text) = (rejected_by IS NOT NULL)) AND (length(reject_reason) <= 2000))),
  constraint holding_cases_status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'done'::text, 'rejected'::text, 'cancelled'::text]))),
  constraint holding_cases_texts_are_bounded CHECK (((reason ~ '\S'::text) AND (length(reason) <= 2000) AND ((length(account_ref) >= 1) AND (length(account_ref) <= 100)) AND ((length(bank_reference) >= 1) AND (length(bank_reference) <= 300)))),
  constraint holding_cases_units_are_exact CHECK ((((units >= 1) AND (units <= '9007199254740991'::bigint)) AND ((units IS NULL) OR (token_decimals IS NOT NULL)))),
  constraint holding_cases_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint holding_cases_first_approved_by_fkey FOREIGN KEY (first_approved_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint holding_cases_freeze_id_fkey FOREIGN KEY (freeze_id) REFERENCES public.holding_freezes(id) ON DELETE RESTRICT,
  constraint holding_cases_opened_by_fkey FOREIGN KEY (opened_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint holding_cases_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint holding_cases_rejected_by_fkey FOREIGN KEY (rejected_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint holding_cases_second_approved_by_fkey FOREIGN KEY (second_approved_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint holding_cases_to_party_id_fkey FOREIGN KEY (to_party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint holding_cases_to_user_id_fkey FOREIGN KEY (to_user_id) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint holding_cases_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT
);
comment on table public.holding_cases is 'Case files about holdings: what is to be done, why, who opened it, and the two persons of different parties who approved. Done with the second approval, in one transaction.';
comment on column public.holding_cases.id is 'Identity of the case.';
comment on column public.holding_cases.kind is 'freeze, release (of a freeze), forced_transfer, recovery (of everything that a party holds, to a login of the same person), redemption (of a holder''s tokens against money of the property) or wind_up (the property is sold: everybody''s tokens against everything that it has).';
comment on column public.holding_cases.property_id is 'The property; null of a recovery.';
comment on column public.holding_cases.property_token_id is 'Its token.';
comment on column public.holding_cases.party_id is 'The holder; null of a winding up.';
comment on column public.holding_cases.to_user_id is 'The login that acts for who gets the tokens.';
comment on column public.holding_cases.to_party_id is 'Who gets the tokens.';
comment on column public.holding_cases.freeze_id is 'The freeze that a release ends.';
comment on column public.holding_cases.token_decimals is 'Decimals of the token.';
comment on column public.holding_cases.units is 'How many tokens, in smallest units; null: all.';
comment on column public.holding_cases.token_amount is 'How many tokens; null: all.';
comment on column public.holding_cases.currency is 'Currency of the amount.';
comment on column public.holding_cases.currency_decimals is 'Decimals of that currency.';
comment on column public.holding_cases.amount_minor is 'What is paid for the tokens redeemed, or what the sale of the property brought, in smallest units.';
comment on column public.holding_cases.amount is 'The same in whole units of the currency.';
comment on column public.holding_cases.account_ref is 'The bank''s name of the account on which the price of the property arrived.';
comment on column public.holding_cases.bank_reference is 'The bank''s reference of that line.';
comment on column public.holding_cases.booked_on is 'The day on which the bank booked it.';
comment on column public.holding_cases.reason is 'Why: the order, the request, the decision.';
comment on column public.holding_cases.status is 'open, done, rejected or cancelled; docs/STATES.md.';
comment on column public.holding_cases.opened_by is 'Who opened it: a manager of the property, or an overseer, whose opening is the first approval.';
comment on column public.holding_cases.first_approved_by is 'The first overseer who approved.';
comment on column public.holding_cases.first_approved_at is 'When.';
comment on column public.holding_cases.second_approved_by is 'The second, of another party than the first and whoever opened it.';
comment on column public.holding_cases.done_at is 'When the second approved, and it was done.';
comment on column public.holding_cases.rejected_by is 'The overseer who rejected it.';
comment on column public.holding_cases.reject_reason is 'Why.';
comment on column public.holding_cases.created_at is 'When it was opened.';
comment on column public.holding_cases.updated_at is 'When the row last changed.';
CREATE UNIQUE INDEX holding_cases_bank_line_once_key ON public.holding_cases USING btree (property_id, account_ref, bank_reference) WHERE ((status = ANY (ARRAY['open'::text, 'done'::text])) AND (bank_reference IS NOT NULL));
CREATE INDEX holding_cases_currency_idx ON public.holding_cases USING btree (currency, currency_decimals);
CREATE INDEX holding_cases_first_approved_by_idx ON public.holding_cases USING btree (first_approved_by);
CREATE INDEX holding_cases_freeze_id_idx ON public.holding_cases USING btree (freeze_id);
CREATE INDEX holding_cases_open_idx ON public.holding_cases USING btree (created_at) WHERE (status = 'open'::text);
CREATE INDEX holding_cases_opened_by_idx ON public.holding_cases USING btree (opened_by);
CREATE INDEX holding_cases_party_id_idx ON public.holding_cases USING btree (party_id);
CREATE INDEX holding_cases_property_id_idx ON public.holding_cases USING btree (property_id, created_at DESC);
CREATE INDEX holding_cases_property_token_id_idx ON public.holding_cases USING btree (property_token_id, property_id);
CREATE INDEX holding_cases_rejected_by_idx ON public.holding_cases USING btree (rejected_by);
CREATE INDEX holding_cases_second_approved_by_idx ON public.holding_cases USING btree (second_approved_by);
CREATE INDEX holding_cases_to_party_id_idx ON public.holding_cases USING btree (to_party_id);
CREATE INDEX holding_cases_to_user_id_idx ON public.holding_cases USING btree (to_user_id);
CREATE TRIGGER holding_cases_line_is_no_rent BEFORE INSERT ON public.holding_cases FOR EACH ROW WHEN ((new.bank_reference IS NOT NULL)) EXECUTE FUNCTION nexus.refuse_bank_line_twice();
CREATE TRIGGER holding_cases_updated_at BEFORE UPDATE ON public.holding_cases FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.holding_cases REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.holding_cases REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.holding_cases FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.holding_cases REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.holding_cases enable row level security;
grant insert, select, update on public.holding_cases to nexus_engine;
grant select on public.holding_cases to nexus_staff;
grant select on public.holding_cases to service_role;
create policy holding_cases_engine on public.holding_cases for all to nexus_engine
  using (true)
  with check (true);
create policy holding_cases_read_staff on public.holding_cases for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.holding_freezes (
  id uuid not null,
  party_id uuid not null,
  property_id uuid not null,
  property_token_id uuid not null,
  units bigint,
  frozen_case_id uuid not null,
  frozen_at timestamp with time zone not null,
  released_case_id uuid,
  released_at timestamp with time zone,
  constraint holding_freezes_pkey PRIMARY KEY (id),
  constraint holding_freezes_release_is_whole CHECK ((((released_case_id IS NULL) = (released_at IS NULL)) AND (released_at >= frozen_at))),
  constraint holding_freezes_units_are_exact CHECK (((units >= 1) AND (units <= '9007199254740991'::bigint))),
  constraint holding_freezes_frozen_case_id_fkey FOREIGN KEY (frozen_case_id) REFERENCES public.holding_cases(id) ON DELETE RESTRICT,
  constraint holding_freezes_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint holding_freezes_released_case_id_fkey FOREIGN KEY (released_case_id) REFERENCES public.holding_cases(id) ON DELETE RESTRICT,
  constraint holding_freezes_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT
);
comment on table public.holding_freezes is 'Tokens of a holder that cannot be transferred or redeemed, and whose property pays nothing out to him, until a release. Seen by staff alone: a freeze may have to be kept from whom it is about.';
comment on column public.holding_freezes.id is 'Identity of the freeze.';
comment on column public.holding_freezes.party_id is 'The holder.';
comment on column public.holding_freezes.property_id is 'The property.';
comment on column public.holding_freezes.property_token_id is 'Its token.';
comment on column public.holding_freezes.units is 'How many tokens, in smallest units; null: all that he has or gets.';
comment on column public.holding_freezes.frozen_case_id is 'The case by which they were frozen, or came to be his frozen.';
comment on column public.holding_freezes.frozen_at is 'Since when.';
comment on column public.holding_freezes.released_case_id is 'The case that ended it.';
comment on column public.holding_freezes.released_at is 'When.';
CREATE INDEX holding_freezes_active_idx ON public.holding_freezes USING btree (party_id, property_token_id) WHERE (released_at IS NULL);
CREATE INDEX holding_freezes_frozen_case_id_idx ON public.holding_freezes USING btree (frozen_case_id);
CREATE INDEX holding_freezes_party_id_idx ON public.holding_freezes USING btree (party_id);
CREATE INDEX holding_freezes_property_token_id_idx ON public.holding_freezes USING btree (property_token_id, property_id);
CREATE INDEX holding_freezes_released_case_id_idx ON public.holding_freezes USING btree (released_case_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.holding_freezes REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.holding_freezes REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.holding_freezes FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.holding_freezes REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.holding_freezes enable row level security;
grant insert, select, update on public.holding_freezes to nexus_engine;
grant select on public.holding_freezes to nexus_staff;
grant select on public.holding_freezes to service_role;
create policy holding_freezes_engine on public.holding_freezes for all to nexus_engine
  using (true)
  with check (true);
create policy holding_freezes_read_staff on public.holding_freezes for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.incidents (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  kind text not null,
  subject text not null,
  details jsonb default '{}'::jsonb not null,
  status text default 'open'::text not null,
  opened_at timestamp with time zone not null,
  cleared_at timestamp with time zone,
  clear_reason text,
  clear_asked_by uuid,
  cleared_by uuid,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint incidents_pkey PRIMARY KEY (id),
  constraint incidents_cleared_by_two CHECK ((clear_asked_by <> cleared_by)),
  constraint incidents_cleared_says_why CHECK ((((status = 'cleared'::text) = (cleared_at IS NOT NULL)) AND ((status <> 'cleared'::text) OR ((num_nulls(clear_asked_by, cleared_by) = 0) AND (clear_reason ~ '\S'::text))))),
  constraint incidents_details_are_an_object CHECK ((jsonb_typeof(details) = 'object'::text)),
  constraint incidents_kind_is_known CHECK ((kind = ANY (ARRAY['custody_difference'::text, 'settlement_difference'::text, 'chargeback_after_close'::text, 'partial_chargeback'::text, 'returned_twice'::text]))),
  constraint incidents_reason_is_bounded CHECK ((length(clear_reason) <= 2000)),
  constraint incidents_status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'cleared'::text]))),
  constraint incidents_subject_is_bounded CHECK (((length(subject) >= 1) AND (length(subject) <= 300))),
  constraint incidents_clear_asked_by_fkey FOREIGN KEY (clear_asked_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint incidents_cleared_by_fkey FOREIGN KEY (cleared_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint incidents_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.incidents is 'What is wrong with a property''s money. While one is open, nothing of that property closes and nothing is paid out; two people clear it.';
comment on column public.incidents.id is 'Identity of the incident.';
comment on column public.incidents.property_id is 'The property that it stops.';
comment on column public.incidents.kind is 'What kind: a difference to the custodian''s statement or to a settlement, a chargeback, money that went back twice.';
comment on column public.incidents.subject is 'What it is about: the row, by kind and id.';
comment on column public.incidents.details is 'What was expected and what was found.';
comment on column public.incidents.status is 'open or cleared; docs/STATES.md.';
comment on column public.incidents.opened_at is 'When it was found.';
comment on column public.incidents.cleared_at is 'When it was cleared.';
comment on column public.incidents.clear_reason is 'What explains it.';
comment on column public.incidents.clear_asked_by is 'Who explained it and asked that it is cleared.';
comment on column public.incidents.cleared_by is 'Who approved that: another person.';
comment on column public.incidents.created_at is 'When the row was made.';
comment on column public.incidents.updated_at is 'When the row last changed.';
CREATE INDEX incidents_clear_asked_by_idx ON public.incidents USING btree (clear_asked_by);
CREATE INDEX incidents_cleared_by_idx ON public.incidents USING btree (cleared_by);
CREATE UNIQUE INDEX incidents_one_open_key ON public.incidents USING btree (property_id, kind, subject) WHERE (status = 'open'::text);
CREATE INDEX incidents_open_idx ON public.incidents USING btree (property_id) WHERE (status = 'open'::text);
CREATE INDEX incidents_property_id_idx ON public.incidents USING btree (property_id, opened_at DESC);
CREATE TRIGGER incidents_updated_at BEFORE UPDATE ON public.incidents FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.incidents REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.incidents REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.incidents FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.incidents REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.incidents enable row level security;
grant insert, select, update on public.incidents to nexus_engine;
grant select on public.incidents to nexus_staff;
grant select on public.incidents to service_role;
create policy incidents_engine on public.incidents for all to nexus_engine
  using (true)
  with check (true);
create policy incidents_read_staff on public.incidents for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.investments (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  party_id uuid not null,
  property_id uuid not null,
  property_token_id uuid not null,
  offering_id uuid,
  token_decimals smallint default 0 not null,
  token_amount_units bigint not null,
  token_amount numeric generated always as (nexus.from_minor(token_amount_units, (token_decimals)::integer)) stored,
  payment_currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  price_per_token_minor bigint not null,
  price_per_token numeric generated always as (nexus.from_minor(price_per_token_minor, (currency_decimals)::integer)) stored,
  total_amount_minor bigint not null,
  total_amount numeric generated always as (nexus.from_minor(total_amount_minor, (currency_decimals)::integer)) stored,
  fee_amount_minor bigint not null,
  fee_amount numeric generated always as (nexus.from_minor(fee_amount_minor, (currency_decimals)::integer)) stored,
  net_amount numeric generated always as (nexus.from_minor(total_amount_minor, (currency_decimals)::integer)) stored,
  charge_amount numeric generated always as (nexus.from_minor((total_amount_minor + fee_amount_minor), (currency_decimals)::integer)) stored,
  status text default 'pending'::text not null,
  payment_method text,
  payment_method_id uuid,
  blockchain_tx_hash text,
  current_value_minor bigint,
  current_value numeric generated always as (nexus.from_minor(current_value_minor, (currency_decimals)::integer)) stored,
  current_value_as_of timestamp with time zone,
  due_at timestamp with time zone,
  warning_accepted_at timestamp with time zone,
  is_insider boolean default false not null,
  paid_at timestamp with time zone,
  withdraw_until timestamp with time zone,
  ended_reason text,
  confirmed_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint investments_pkey PRIMARY KEY (id),
  constraint investments_buy_something CHECK (((token_amount_units >= 1) AND (token_amount_units <= '9007199254740991'::bigint))),
  constraint investments_charge_is_exact CHECK (((total_amount_minor + fee_amount_minor) <= '9007199254740991'::bigint)),
  constraint investments_confirmed_has_a_date CHECK (((status = 'confirmed'::text) = (confirmed_at IS NOT NULL))),
  constraint investments_current_value_has_a_date CHECK (((current_value_minor IS NULL) = (current_value_as_of IS NULL))),
  constraint investments_current_value_is_an_amount CHECK (((current_value_minor >= 0) AND (current_value_minor <= '9007199254740991'::bigint))),
  constraint investments_ended_reason_is_a_word CHECK ((ended_reason ~ '^[a-z][a-z_]{0,49}$'::text)),
  constraint investments_fee_is_an_amount CHECK (((fee_amount_minor >= 0) AND (fee_amount_minor <= '9007199254740991'::bigint))),
  constraint investments_paid_has_a_date CHECK (((status <> ALL (ARRAY['paid'::text, 'confirmed'::text, 'refund_due'::text, 'refunded'::text])) OR (paid_at IS NOT NULL))),
  constraint investments_payment_method_is_short CHECK ((length(payment_method) <= 100)),
  constraint investments_pending_is_timed CHECK (((status <> 'pending'::text) OR (offering_id IS NULL) OR (due_at IS NOT NULL))),
  constraint investments_price_is_an_amount CHECK (((price_per_token_minor >= 1) AND (price_per_token_minor <= '9007199254740991'::bigint))),
  constraint investments_status_is_known CHECK ((status = ANY (ARRAY['pending'::text, 'paid'::text, 'confirmed'::text, 'expired'::text, 'cancelled'::text, 'refund_due'::text, 'refunded'::text]))),
  constraint investments_token_decimals_fit_a_bigint CHECK (((token_decimals >= 0) AND (token_decimals <= 6))),
  constraint investments_total_is_amount_times_price CHECK ((((total_amount_minor >= 1) AND (total_amount_minor <= '9007199254740991'::bigint)) AND (((total_amount_minor)::numeric * ((10)::numeric ^ (token_decimals)::numeric)) = ((token_amount_units)::numeric * (price_per_token_minor)::numeric)))),
  constraint investments_tx_hash_is_evm CHECK ((blockchain_tx_hash ~ '^0x[0-9a-fA-F]{64}$'::text)),
  constraint investments_currency_fkey FOREIGN KEY (payment_currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint investments_offering_of_token_fkey FOREIGN KEY (offering_id, property_token_id) REFERENCES public.offerings(id, property_token_id) ON DELETE RESTRICT,
  constraint investments_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint investments_payment_method_id_fkey FOREIGN KEY (payment_method_id) REFERENCES public.payment_methods(id) ON DELETE RESTRICT,
  constraint investments_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint investments_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT,
  constraint investments_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.investments is 'One purchase of tokens by one party at one price. Written by commands only, the service included.';
comment on column public.investments.id is 'Identity of the investment.';
comment on column public.investments.user_id is 'The login that bought.';
comment on column public.investments.party_id is 'The party in law that bought; limits count by it.';
comment on column public.investments.property_id is 'The property bought into.';
comment on column public.investments.property_token_id is 'The token bought, of that property.';
comment on column public.investments.offering_id is 'The offering in which it was bought.';
comment on column public.investments.token_decimals is 'Decimals of the token.';
comment on column public.investments.token_amount_units is 'Tokens bought, in smallest units.';
comment on column public.investments.token_amount is 'Tokens bought; derived.';
comment on column public.investments.payment_currency is 'Currency of every amount of the row: the offering''s own.';
comment on column public.investments.currency_decimals is 'Decimals of that currency.';
comment on column public.investments.price_per_token_minor is 'Price of a whole token, locked at the reservation, in smallest units.';
comment on column public.investments.price_per_token is 'Price of a whole token, locked at the reservation; derived.';
comment on column public.investments.total_amount_minor is 'Tokens x price, in smallest units, exactly. This counts to caps.';
comment on column public.investments.total_amount is 'Tokens x price; derived.';
comment on column public.investments.fee_amount_minor is 'Fee on top of the total, computed once, in smallest units.';
comment on column public.investments.fee_amount is 'Fee on top of the total; derived.';
comment on column public.investments.net_amount is 'What goes into the property: equal to total_amount, since the fee comes on top; derived.';
comment on column public.investments.charge_amount is 'What the buyer pays: total and fee; derived.';
comment on column public.investments.status is 'pending (reserved), paid (in escrow), confirmed (closed, tokens held), expired, cancelled, refund_due, refunded.';
comment on column public.investments.payment_method is 'How it is paid, as the buyer chose: the name of a rail.';
comment on column public.investments.payment_method_id is 'The stored payment method, where one was used.';
comment on column public.investments.blockchain_tx_hash is 'Transaction that mirrored it, as the chain gave it.';
comment on column public.investments.current_value_minor is 'What of it its buyer has now at the token''s newest price, in smallest units, folded by a worker. A price, not a valuation; null unless paid or confirmed.';
comment on column public.investments.current_value is 'Value at the newest price; derived.';
comment on column public.investments.current_value_as_of is 'The instant that the value is true for.';
comment on column public.investments.due_at is 'When the current state ends by itself; null: never.';
comment on column public.investments.warning_accepted_at is 'When the buyer said that the warning about the size of the purchase was understood.';
comment on column public.investments.is_insider is 'Whether the buyer acts for the property: where the rule pack says so, it does not count to the soft cap.';
comment on column public.investments.paid_at is 'When the money was in escrow.';
comment on column public.investments.withdraw_until is 'From this instant on the buyer cannot withdraw any more; null until paid.';
comment on column public.investments.ended_reason is 'Why it expired, was cancelled or is owed back, such as withdrawn or offering_failed.';
comment on column public.investments.confirmed_at is 'When the sale closed.';
comment on column public.investments.created_at is 'When it was reserved.';
comment on column public.investments.updated_at is 'When the row last changed.';
CREATE INDEX investments_currency_idx ON public.investments USING btree (payment_currency, currency_decimals);
CREATE INDEX investments_due_at_idx ON public.investments USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX investments_offering_id_idx ON public.investments USING btree (offering_id, property_token_id);
CREATE INDEX investments_party_id_idx ON public.investments USING btree (party_id);
CREATE INDEX investments_payment_method_id_idx ON public.investments USING btree (payment_method_id);
CREATE INDEX investments_property_id_idx ON public.investments USING btree (property_id);
CREATE INDEX investments_property_token_id_idx ON public.investments USING btree (property_token_id, property_id);
CREATE INDEX investments_user_property_idx ON public.investments USING btree (user_id, property_id);
CREATE TRIGGER investments_updated_at BEFORE UPDATE ON public.investments FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.investments REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.investments REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.investments FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.investments REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{current_value_minor,current_value,current_value_as_of}');
CREATE TRIGGER note_inserts AFTER INSERT ON public.investments FOR EACH ROW WHEN ((new.status = ANY (ARRAY['paid'::text, 'confirmed'::text]))) EXECUTE FUNCTION nexus.note_invested();
CREATE TRIGGER note_updates AFTER UPDATE ON public.investments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_investments();
alter table public.investments enable row level security;
grant select on public.investments to authenticated;
grant insert, select, update on public.investments to nexus_engine;
grant select on public.investments to service_role;
create policy "Users can view own investments" on public.investments for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy investments_engine on public.investments for all to nexus_engine
  using (true)
  with check (true);
create policy investments_read_staff on public.investments for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.kyc_cases (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  party_id uuid not null,
  kyc_level text not null,
  submission jsonb default '{}'::jsonb not null,
  status text default 'submitted'::text not null,
  taken_by uuid,
  taken_at timestamp with time zone,
  decided_by uuid,
  decided_at timestamp with time zone,
  reason text,
  expires_at timestamp with time zone,
  ended_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint kyc_cases_pkey PRIMARY KEY (id),
  constraint kyc_cases_approval_expires CHECK (((status <> 'approved'::text) OR (expires_at > decided_at))),
  constraint kyc_cases_decided_by_another CHECK ((decided_by <> user_id)),
  constraint kyc_cases_decision_is_signed CHECK (((status <> ALL (ARRAY['approved'::text, 'rejected'::text, 'expired'::text, 'superseded'::text, 'revoked'::text])) OR (num_nulls(decided_by, decided_at) = 0))),
  constraint kyc_cases_end_has_an_instant CHECK (((status = ANY (ARRAY['submitted'::text, 'in_review'::text, 'approved'::text])) = (ended_at IS NULL))),
  constraint kyc_cases_level_is_known CHECK ((kyc_level = ANY (ARRAY['basic'::text, 'enhanced'::text]))),
  constraint kyc_cases_reason_is_bounded CHECK ((length(reason) <= 2000)),
  constraint kyc_cases_refusal_has_a_reason CHECK (((status <> ALL (ARRAY['rejected'::text, 'revoked'::text])) OR (reason ~ '\S'::text))),
  constraint kyc_cases_review_is_signed CHECK (((status <> 'in_review'::text) OR (num_nulls(taken_by, taken_at) = 0))),
  constraint kyc_cases_status_is_known CHECK ((status = ANY (ARRAY['submitted'::text, 'in_review'::text, 'approved'::text, 'rejected'::text, 'expired'::text, 'withdrawn'::text, 'superseded'::text, 'revoked'::text]))),
  constraint kyc_cases_submission_is_an_object CHECK ((jsonb_typeof(submission) = 'object'::text)),
  constraint kyc_cases_submission_is_bounded CHECK ((length((submission)::text) <= 20000)),
  constraint kyc_cases_taken_by_another CHECK ((taken_by <> user_id)),
  constraint kyc_cases_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint kyc_cases_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint kyc_cases_taken_by_fkey FOREIGN KEY (taken_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint kyc_cases_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.kyc_cases is 'A person''s request to have the identity verified, what was submitted, and the decision. Read by the person; shown to compliance officers by a command that notes each read in the audit trail; written by commands.';
comment on column public.kyc_cases.id is 'Identity of the case.';
comment on column public.kyc_cases.user_id is 'The login that submitted.';
comment on column public.kyc_cases.party_id is 'The party whose identity it is.';
comment on column public.kyc_cases.kyc_level is 'What is asked for: basic or enhanced.';
comment on column public.kyc_cases.submission is 'What the person stated.';
comment on column public.kyc_cases.status is 'submitted, in_review, approved, rejected, expired, withdrawn (by the person), superseded (by a newer approval) or revoked (an approval that an officer took back).';
comment on column public.kyc_cases.taken_by is 'The compliance officer who reviews it.';
comment on column public.kyc_cases.taken_at is 'When the review began.';
comment on column public.kyc_cases.decided_by is 'The compliance officer who decided; never the person himself, nor another login of the party, nor one of its owners.';
comment on column public.kyc_cases.decided_at is 'When it was decided.';
comment on column public.kyc_cases.reason is 'Why it was rejected or revoked.';
comment on column public.kyc_cases.expires_at is 'Until when an approval holds: it does before this instant and no longer at it.';
comment on column public.kyc_cases.ended_at is 'When it was rejected, withdrawn, superseded or revoked, or found expired; null while open or in force.';
comment on column public.kyc_cases.created_at is 'When it was submitted.';
comment on column public.kyc_cases.updated_at is 'When the row last changed.';
CREATE INDEX kyc_cases_decided_by_idx ON public.kyc_cases USING btree (decided_by);
CREATE INDEX kyc_cases_due_idx ON public.kyc_cases USING btree (expires_at) WHERE (status = 'approved'::text);
CREATE UNIQUE INDEX kyc_cases_one_approved_key ON public.kyc_cases USING btree (party_id) WHERE (status = 'approved'::text);
CREATE UNIQUE INDEX kyc_cases_one_open_key ON public.kyc_cases USING btree (party_id) WHERE (status = ANY (ARRAY['submitted'::text, 'in_review'::text]));
CREATE INDEX kyc_cases_party_id_idx ON public.kyc_cases USING btree (party_id);
CREATE INDEX kyc_cases_queue_idx ON public.kyc_cases USING btree (created_at) WHERE (status = ANY (ARRAY['submitted'::text, 'in_review'::text]));
CREATE INDEX kyc_cases_taken_by_idx ON public.kyc_cases USING btree (taken_by);
CREATE INDEX kyc_cases_user_id_idx ON public.kyc_cases USING btree (user_id);
CREATE TRIGGER kyc_cases_decided_by_a_stranger BEFORE INSERT OR UPDATE OF taken_by, decided_by ON public.kyc_cases FOR EACH ROW EXECUTE FUNCTION nexus.refuse_own_decision();
CREATE TRIGGER kyc_cases_updated_at BEFORE UPDATE ON public.kyc_cases FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.kyc_cases REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.kyc_cases REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.kyc_cases FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.kyc_cases REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.kyc_cases enable row level security;
grant select on public.kyc_cases to authenticated;
grant insert, select, update on public.kyc_cases to nexus_engine;
create policy kyc_cases_engine on public.kyc_cases for all to nexus_engine
  using (true)
  with check (true);
create policy kyc_cases_read_own on public.kyc_cases for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));

create table public.kyc_documents (
  id uuid default gen_random_uuid() not null,
  user_id uuid default auth.uid() not null,
  kyc_case_id uuid,
  document_type text not null,
  file_name text not null,
  file_url text not null,
  file_size bigint,
  status text default 'pending'::text not null,
  notes text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  accreditation_case_id uuid,
  tax_form_id uuid,
  holding_case_id uuid,
  constraint kyc_documents_pkey PRIMARY KEY (id),
  constraint kyc_documents_file_is_in_own_folder CHECK ((nexus.is_storage_path(file_url, 'kyc-documents'::text) AND (split_part(file_url, '/'::text, 2) = (user_id)::text))),
  constraint kyc_documents_file_name_is_bounded CHECK (((file_name ~ '\S'::text) AND (length(file_name) <= 300))),
  constraint kyc_documents_file_size_not_negative CHECK ((file_size >= 0)),
  constraint kyc_documents_notes_are_bounded CHECK ((length(notes) <= 2000)),
  constraint kyc_documents_of_one_case CHECK ((num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id, holding_case_id) <= 1)),
  constraint kyc_documents_status_is_known CHECK ((status = ANY (ARRAY['pending'::text, 'accepted'::text, 'rejected'::text]))),
  constraint kyc_documents_type_is_a_word CHECK ((document_type ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
  constraint kyc_documents_accreditation_case_id_fkey FOREIGN KEY (accreditation_case_id) REFERENCES public.accreditation_cases(id) ON DELETE RESTRICT,
  constraint kyc_documents_holding_case_id_fkey FOREIGN KEY (holding_case_id) REFERENCES public.holding_cases(id) ON DELETE RESTRICT,
  constraint kyc_documents_kyc_case_id_fkey FOREIGN KEY (kyc_case_id) REFERENCES public.kyc_cases(id) ON DELETE RESTRICT,
  constraint kyc_documents_tax_form_id_fkey FOREIGN KEY (tax_form_id) REFERENCES public.tax_forms(id) ON DELETE RESTRICT,
  constraint kyc_documents_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.kyc_documents is 'Documents that a person filed to have the identity verified. Read by the person; shown to compliance officers by a command that notes each read in the audit trail.';
comment on column public.kyc_documents.id is 'Identity of the document.';
comment on column public.kyc_documents.user_id is 'The login that filed it.';
comment on column public.kyc_documents.kyc_case_id is 'The case it belongs to; null until submitted with one.';
comment on column public.kyc_documents.document_type is 'What it is, such as passport, national_id, proof_of_address, proof_of_income.';
comment on column public.kyc_documents.file_name is 'Name of the file as filed.';
comment on column public.kyc_documents.file_url is 'Where the bytes are: kyc-documents/<login id>/...; never a URL.';
comment on column public.kyc_documents.file_size is 'Size in bytes.';
comment on column public.kyc_documents.status is 'pending, accepted or rejected.';
comment on column public.kyc_documents.notes is 'What the reviewer tells the person.';
comment on column public.kyc_documents.created_at is 'When it was filed.';
comment on column public.kyc_documents.updated_at is 'When the row last changed.';
comment on column public.kyc_documents.accreditation_case_id is 'The accreditation that it is evidence of; null where it belongs to a verification of identity or to nothing yet.';
comment on column public.kyc_documents.tax_form_id is 'The tax form that it is; null where it belongs to a case or to nothing yet.';
comment on column public.kyc_documents.holding_case_id is 'The case about holdings of which it is a paper.';
CREATE INDEX kyc_documents_accreditation_case_id_idx ON public.kyc_documents USING btree (accreditation_case_id);
CREATE INDEX kyc_documents_holding_case_id_idx ON public.kyc_documents USING btree (holding_case_id);
CREATE INDEX kyc_documents_kyc_case_id_idx ON public.kyc_documents USING btree (kyc_case_id);
CREATE INDEX kyc_documents_tax_form_id_idx ON public.kyc_documents USING btree (tax_form_id);
CREATE INDEX kyc_documents_user_id_idx ON public.kyc_documents USING btree (user_id);
CREATE TRIGGER kyc_documents_updated_at BEFORE UPDATE ON public.kyc_documents FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER log_deletes AFTER DELETE ON public.kyc_documents REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.kyc_documents REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.kyc_documents FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.kyc_documents REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.kyc_documents enable row level security;
grant insert (user_id, document_type, file_name, file_url, file_size) on public.kyc_documents to authenticated;
grant select on public.kyc_documents to authenticated;
grant insert, select, update on public.kyc_documents to nexus_engine;
create policy kyc_documents_engine on public.kyc_documents for all to nexus_engine
  using (true)
  with check (true);
create policy kyc_documents_insert_own on public.kyc_documents for insert to authenticated
  with check ((user_id = ( SELECT auth.uid() AS uid)));
create policy kyc_documents_read_own on public.kyc_documents for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));

create table public.lot_disposals (
  id uuid not null,
  from_lot_id uuid not null,
  to_lot_id uuid,
  party_id uuid not null,
  user_id uuid not null,
  property_id uuid not null,
  property_token_id uuid not null,
  kind text not null,
  token_decimals smallint not null,
  units bigint not null,
  token_amount numeric generated always as (nexus.from_minor(units, (token_decimals)::integer)) stored,
  currency text not null,
  currency_decimals smallint not null,
  cost_minor bigint not null,
  cost numeric generated always as (nexus.from_minor(cost_minor, (currency_decimals)::integer)) stored,
  proceeds_minor bigint default 0 not null,
  proceeds numeric generated always as (nexus.from_minor(proceeds_minor, (currency_decimals)::integer)) stored,
  moved_at timestamp with time zone not null,
  entry_id bigint not null,
  created_at timestamp with time zone not null,
  constraint lot_disposals_pkey PRIMARY KEY (id),
  constraint lot_disposals_once_a_lot_and_entry UNIQUE (from_lot_id, entry_id),
  constraint lot_disposals_one_a_new_lot UNIQUE (to_lot_id),
  constraint lot_disposals_amounts_are_exact CHECK (((LEAST(cost_minor, proceeds_minor) >= 0) AND (GREATEST(cost_minor, proceeds_minor) <= '9007199254740991'::bigint))),
  constraint lot_disposals_burned_is_redeemed CHECK (((to_lot_id IS NULL) = (kind = 'redemption'::text))),
  constraint lot_disposals_kind_is_known CHECK ((kind = ANY (ARRAY['sale'::text, 'gift'::text, 'own_wallet'::text, 'recovery'::text, 'forced'::text, 'redemption'::text]))),
  constraint lot_disposals_not_to_itself CHECK ((to_lot_id <> from_lot_id)),
  constraint lot_disposals_paid_where_sold CHECK (((proceeds_minor = 0) OR (kind = ANY (ARRAY['sale'::text, 'redemption'::text])))),
  constraint lot_disposals_units_are_exact CHECK (((units >= 1) AND (units <= '9007199254740991'::bigint))),
  constraint lot_disposals_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint lot_disposals_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entries(id) ON DELETE RESTRICT,
  constraint lot_disposals_from_lot_id_fkey FOREIGN KEY (from_lot_id) REFERENCES public.lots(id) ON DELETE RESTRICT,
  constraint lot_disposals_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint lot_disposals_to_lot_id_fkey FOREIGN KEY (to_lot_id) REFERENCES public.lots(id) ON DELETE RESTRICT,
  constraint lot_disposals_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT,
  constraint lot_disposals_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.lot_disposals is 'What went out of a lot, one row a piece, never changed. The units and the cost of a lot are those with which it began less its disposals.';
comment on column public.lot_disposals.id is 'Identity of the disposal.';
comment on column public.lot_disposals.from_lot_id is 'The lot that it went out of.';
comment on column public.lot_disposals.to_lot_id is 'The lot that it became; null: redeemed and burned.';
comment on column public.lot_disposals.party_id is 'Whose it was.';
comment on column public.lot_disposals.user_id is 'The login of the lot that it went out of.';
comment on column public.lot_disposals.property_id is 'The property.';
comment on column public.lot_disposals.property_token_id is 'The token.';
comment on column public.lot_disposals.kind is 'sale, gift, own_wallet, recovery, forced or redemption: what becomes of cost and tax date.';
comment on column public.lot_disposals.token_decimals is 'Decimals of the token.';
comment on column public.lot_disposals.units is 'Tokens, in smallest units.';
comment on column public.lot_disposals.token_amount is 'Tokens.';
comment on column public.lot_disposals.currency is 'Currency of cost and proceeds: the lot''s.';
comment on column public.lot_disposals.currency_decimals is 'Decimals of that currency.';
comment on column public.lot_disposals.cost_minor is 'What of the lot''s cost went with it, in smallest units.';
comment on column public.lot_disposals.cost is 'What of the lot''s cost went with it.';
comment on column public.lot_disposals.proceeds_minor is 'What was paid for it, in smallest units; 0 where nothing was.';
comment on column public.lot_disposals.proceeds is 'What was paid for it.';
comment on column public.lot_disposals.moved_at is 'From this instant on it was gone; the register''s.';
comment on column public.lot_disposals.entry_id is 'The ledger entry that moved it.';
comment on column public.lot_disposals.created_at is 'When the row was made.';
CREATE INDEX lot_disposals_currency_idx ON public.lot_disposals USING btree (currency, currency_decimals);
CREATE INDEX lot_disposals_entry_id_idx ON public.lot_disposals USING btree (entry_id);
CREATE INDEX lot_disposals_party_id_idx ON public.lot_disposals USING btree (party_id, moved_at);
CREATE INDEX lot_disposals_property_token_id_idx ON public.lot_disposals USING btree (property_token_id, property_id);
CREATE INDEX lot_disposals_user_id_idx ON public.lot_disposals USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.lot_disposals REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.lot_disposals REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.lot_disposals FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.lot_disposals REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER lot_disposals_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.lot_disposals FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.lot_disposals enable row level security;
grant select on public.lot_disposals to authenticated;
grant insert, select on public.lot_disposals to nexus_engine;
grant select on public.lot_disposals to service_role;
create policy lot_disposals_engine_adds on public.lot_disposals for insert to nexus_engine
  with check (true);
create policy lot_disposals_engine_reads on public.lot_disposals for select to nexus_engine
  using (true);
create policy lot_disposals_read_own on public.lot_disposals for select to authenticated
  using ((party_id = ( SELECT nexus.party_id() AS party_id)));
create policy lot_disposals_read_staff on public.lot_disposals for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.lots (
  id uuid default gen_random_uuid() not null,
  party_id uuid not null,
  user_id uuid not null,
  property_id uuid not null,
  property_token_id uuid not null,
  investment_id uuid not null,
  parent_lot_id uuid,
  token_decimals smallint default 0 not null,
  units bigint not null,
  token_amount numeric generated always as (nexus.from_minor(units, (token_decimals)::integer)) stored,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  cost_minor bigint not null,
  cost numeric generated always as (nexus.from_minor(cost_minor, (currency_decimals)::integer)) stored,
  acquired_at timestamp with time zone not null,
  tax_acquired_at timestamp with time zone not null,
  restricted_since timestamp with time zone,
  restricted_until timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint lots_pkey PRIMARY KEY (id),
  constraint lots_cost_is_an_amount CHECK (((cost_minor >= 0) AND (cost_minor <= '9007199254740991'::bigint))),
  constraint lots_restriction_ends_after_it_began CHECK ((((restricted_since IS NULL) = (restricted_until IS NULL)) AND (restricted_until > restricted_since))),
  constraint lots_token_decimals_fit_a_bigint CHECK (((token_decimals >= 0) AND (token_decimals <= 6))),
  constraint lots_units_are_exact CHECK (((units >= 0) AND (units <= '9007199254740991'::bigint))),
  constraint lots_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint lots_investment_id_fkey FOREIGN KEY (investment_id) REFERENCES public.investments(id) ON DELETE RESTRICT,
  constraint lots_parent_lot_id_fkey FOREIGN KEY (parent_lot_id) REFERENCES public.lots(id) ON DELETE RESTRICT,
  constraint lots_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint lots_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT,
  constraint lots_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.lots is 'What a purchase or a transfer left in a party''s hands: tokens with their cost and dates. The units of a party''s lots of a token add up to what the ledger says that it holds.';
comment on column public.lots.id is 'Identity of the lot.';
comment on column public.lots.party_id is 'Whose.';
comment on column public.lots.user_id is 'The login that bought, or acts for the party.';
comment on column public.lots.property_id is 'The property.';
comment on column public.lots.property_token_id is 'The token.';
comment on column public.lots.investment_id is 'The purchase that it comes from, however often it was transferred.';
comment on column public.lots.parent_lot_id is 'The lot that it was split or transferred from; null of a purchase.';
comment on column public.lots.token_decimals is 'Decimals of the token.';
comment on column public.lots.units is 'Tokens left in it, in smallest units; 0 once all went on.';
comment on column public.lots.token_amount is 'Tokens left in it.';
comment on column public.lots.currency is 'Currency of the cost.';
comment on column public.lots.currency_decimals is 'Decimals of that currency.';
comment on column public.lots.cost_minor is 'What the tokens left in it cost, fee included, in smallest units: the basis for tax.';
comment on column public.lots.cost is 'What the tokens left in it cost.';
comment on column public.lots.acquired_at is 'When the party got it.';
comment on column public.lots.tax_acquired_at is 'When it counts as acquired for tax.';
comment on column public.lots.restricted_since is 'When the restricted period began; passes on where the law says so.';
comment on column public.lots.restricted_until is 'Before this instant it cannot be transferred.';
comment on column public.lots.created_at is 'When the row was made.';
comment on column public.lots.updated_at is 'When the row last changed.';
CREATE INDEX lots_currency_idx ON public.lots USING btree (currency, currency_decimals);
CREATE INDEX lots_investment_id_idx ON public.lots USING btree (investment_id);
CREATE INDEX lots_parent_lot_id_idx ON public.lots USING btree (parent_lot_id);
CREATE INDEX lots_party_id_idx ON public.lots USING btree (party_id, property_token_id);
CREATE INDEX lots_property_token_id_idx ON public.lots USING btree (property_token_id, property_id);
CREATE INDEX lots_user_id_idx ON public.lots USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.lots REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.lots REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.lots FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.lots REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER lots_updated_at BEFORE UPDATE ON public.lots FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER note_inserts AFTER INSERT ON public.lots FOR EACH ROW WHEN ((new.parent_lot_id IS NOT NULL)) EXECUTE FUNCTION nexus.note_one('holding');
CREATE TRIGGER note_updates AFTER UPDATE ON public.lots REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_lots();
alter table public.lots enable row level security;
grant select on public.lots to authenticated;
grant insert, select, update on public.lots to nexus_engine;
grant select on public.lots to service_role;
create policy lots_engine on public.lots for all to nexus_engine
  using (true)
  with check (true);
create policy lots_read_own on public.lots for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy lots_read_staff on public.lots for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.market_statistics (
  id uuid default gen_random_uuid() not null,
  market text not null,
  month date not null,
  area text not null,
  property_type text not null,
  transactions bigint not null,
  currency text not null,
  currency_decimals smallint not null,
  median_price_minor bigint not null,
  median_price numeric generated always as (nexus.from_minor(median_price_minor, (currency_decimals)::integer)) stored,
  median_per_sqft_minor bigint not null,
  median_per_sqft numeric generated always as (nexus.from_minor(median_per_sqft_minor, (currency_decimals)::integer)) stored,
  offplan_share numeric not null,
  ready_share numeric not null,
  source text not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint market_statistics_pkey PRIMARY KEY (id),
  constraint market_statistics_once_a_month UNIQUE (market, month, area, property_type),
  constraint market_statistics_medians_are_amounts CHECK ((((median_price_minor >= 0) AND (median_price_minor <= '9007199254740991'::bigint)) AND ((median_per_sqft_minor >= 0) AND (median_per_sqft_minor <= '9007199254740991'::bigint)))),
  constraint market_statistics_month_is_its_first_day CHECK ((EXTRACT(day FROM month) = (1)::numeric)),
  constraint market_statistics_place_is_said CHECK (((LEAST(length(market), length(area), length(property_type)) > 0) AND (GREATEST(length(market), length(area), length(property_type)) <= 200))),
  constraint market_statistics_shares_are_parts CHECK ((((offplan_share >= (0)::numeric) AND (offplan_share <= (1)::numeric)) AND ((ready_share >= (0)::numeric) AND (ready_share <= (1)::numeric)))),
  constraint market_statistics_source_is_said CHECK (((source ~ '\S'::text) AND (length(source) <= 500))),
  constraint market_statistics_transactions_happened CHECK (((transactions >= 1) AND (transactions <= '9007199254740991'::bigint))),
  constraint market_statistics_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals)
);
comment on table public.market_statistics is 'Monthly sales figures that somebody published about a market. Market data, never a property: a median is not added to anything. Public.';
comment on column public.market_statistics.id is 'Identity of the row.';
comment on column public.market_statistics.market is 'The market that the areas belong to, such as Dubai.';
comment on column public.market_statistics.month is 'First day of the month that the figures are about.';
comment on column public.market_statistics.area is 'Area as the source names it. ALL is the whole market, which the areas'' rows are parts of.';
comment on column public.market_statistics.property_type is 'Kind as the source names it: Land, Unit, Building. ALL is every kind together.';
comment on column public.market_statistics.transactions is 'Sales in the month. Do not add rows of an area to rows of ALL.';
comment on column public.market_statistics.currency is 'Currency of the medians.';
comment on column public.market_statistics.currency_decimals is 'Decimals of that currency.';
comment on column public.market_statistics.median_price_minor is 'Median price of a sale, in smallest units.';
comment on column public.market_statistics.median_price is 'Median price of a sale; derived.';
comment on column public.market_statistics.median_per_sqft_minor is 'Median price of a square foot, in smallest units.';
comment on column public.market_statistics.median_per_sqft is 'Median price of a square foot; derived.';
comment on column public.market_statistics.offplan_share is 'Part of the sales that were before completion, 0 to 1, as published.';
comment on column public.market_statistics.ready_share is 'Part of the sales that were of finished property, 0 to 1, as published.';
comment on column public.market_statistics.source is 'Who published it, with the attribution that their licence asks for: show it wherever the figures are shown.';
comment on column public.market_statistics.created_at is 'When it was loaded.';
comment on column public.market_statistics.updated_at is 'When the row last changed.';
CREATE INDEX market_statistics_area_idx ON public.market_statistics USING btree (market, area, month DESC);
CREATE INDEX market_statistics_currency_idx ON public.market_statistics USING btree (currency, currency_decimals);
CREATE TRIGGER log_deletes AFTER DELETE ON public.market_statistics REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.market_statistics REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.market_statistics FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.market_statistics REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER market_statistics_updated_at BEFORE UPDATE ON public.market_statistics FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.market_statistics enable row level security;
grant select on public.market_statistics to anon;
grant select on public.market_statistics to authenticated;
grant insert, select, update on public.market_statistics to nexus_engine;
grant select on public.market_statistics to service_role;
create policy market_statistics_engine on public.market_statistics for all to nexus_engine
  using (true)
  with check (true);
create policy market_statistics_read_all on public.market_statistics for select to anon, authenticated
  using (true);

create table public.notifications (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  title text not null,
  message text not null,
  type text default 'info'::text not null,
  action_url text,
  read boolean default false not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint notifications_pkey PRIMARY KEY (id),
  constraint notifications_action_is_a_local_path CHECK (((action_url ~ '^/([^/\\[:cntrl:]][^[:cntrl:]]*)?$'::text) AND (length(action_url) <= 2000))),
  constraint notifications_message_is_bounded CHECK ((length(message) <= 5000)),
  constraint notifications_title_is_not_blank CHECK (((title ~ '\S'::text) AND (length(title) <= 300))),
  constraint notifications_type_is_a_word CHECK ((type ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
  constraint notifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table public.notifications is 'What the platform tells a person. Written by commands; the person marks it read or removes it.';
comment on column public.notifications.id is 'Identity of the notification.';
comment on column public.notifications.user_id is 'The login it is for.';
comment on column public.notifications.title is 'Headline.';
comment on column public.notifications.message is 'Text.';
comment on column public.notifications.type is 'Kind, such as info, success, warning, error, or the event it tells of.';
comment on column public.notifications.action_url is 'Where to go: a path of this site.';
comment on column public.notifications.read is 'Whether the person has read it.';
comment on column public.notifications.created_at is 'When it was told.';
comment on column public.notifications.updated_at is 'When the row last changed.';
CREATE INDEX notifications_user_id_idx ON public.notifications USING btree (user_id, created_at DESC);
CREATE TRIGGER notifications_updated_at BEFORE UPDATE ON public.notifications FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.notifications enable row level security;
grant delete, select on public.notifications to authenticated;
grant update (read) on public.notifications to authenticated;
grant insert, select on public.notifications to nexus_engine;
grant delete, insert, select, update on public.notifications to service_role;
create policy notifications_delete_own on public.notifications for delete to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy notifications_engine on public.notifications for all to nexus_engine
  using (true)
  with check (true);
create policy notifications_read_own on public.notifications for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy notifications_update_own on public.notifications for update to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)))
  with check ((user_id = ( SELECT auth.uid() AS uid)));

create table public.offering_guests (
  offering_id uuid not null,
  user_id uuid not null,
  added_by uuid,
  created_at timestamp with time zone default now() not null,
  constraint offering_guests_pkey PRIMARY KEY (offering_id, user_id),
  constraint offering_guests_added_by_fkey FOREIGN KEY (added_by) REFERENCES auth.users(id) ON DELETE SET NULL,
  constraint offering_guests_offering_id_fkey FOREIGN KEY (offering_id) REFERENCES public.offerings(id) ON DELETE RESTRICT,
  constraint offering_guests_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table public.offering_guests is 'Who may see and buy an offering that is not public: people with whom the issuer had a relationship before.';
comment on column public.offering_guests.offering_id is 'The offering.';
comment on column public.offering_guests.user_id is 'The login that may see it.';
comment on column public.offering_guests.added_by is 'Who added the person.';
comment on column public.offering_guests.created_at is 'When.';
CREATE INDEX offering_guests_added_by_idx ON public.offering_guests USING btree (added_by);
CREATE INDEX offering_guests_user_id_idx ON public.offering_guests USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.offering_guests REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('offering_id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.offering_guests REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('offering_id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.offering_guests FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('offering_id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.offering_guests REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('offering_id', '{}');
alter table public.offering_guests enable row level security;
grant select on public.offering_guests to authenticated;
grant delete, insert, select on public.offering_guests to nexus_engine;
grant select on public.offering_guests to service_role;
create policy offering_guests_engine on public.offering_guests for all to nexus_engine
  using (true)
  with check (true);
create policy offering_guests_read_own on public.offering_guests for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy offering_guests_read_staff on public.offering_guests for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (offering_id IN ( SELECT o.id
   FROM public.offerings o
  WHERE (o.property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))))));

create table public.offerings (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  property_token_id uuid not null,
  rule_pack_id uuid not null,
  kind text not null,
  status text default 'draft'::text not null,
  is_live boolean default false not null,
  is_public boolean default true not null,
  token_decimals smallint default 0 not null,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  price_minor bigint not null,
  price numeric generated always as (nexus.from_minor(price_minor, (currency_decimals)::integer)) stored,
  soft_cap_units bigint not null,
  hard_cap_units bigint not null,
  minimum_units bigint default 1 not null,
  maximum_units bigint,
  cooling_off_days integer default 0 not null,
  reservation_minutes integer default 30 not null,
  opens_at timestamp with time zone not null,
  closes_at timestamp with time zone not null,
  long_stop_at timestamp with time zone not null,
  early_close_announced_at timestamp with time zone,
  early_close_at timestamp with time zone,
  opened_at timestamp with time zone,
  ended_at timestamp with time zone,
  end_reason text,
  with_agent_at timestamp with time zone,
  agent_minor bigint default 0 not null,
  close_pass_id uuid,
  close_action text generated always as ('close'::text) stored not null,
  closed_at timestamp with time zone,
  failed_at timestamp with time zone,
  fail_reason text,
  created_by uuid not null,
  opened_by uuid,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint offerings_pkey PRIMARY KEY (id),
  constraint offerings_id_token_key UNIQUE (id, property_token_id),
  constraint offerings_acquisition_has_the_agent CHECK (((kind = 'acquisition'::text) OR (with_agent_at IS NULL))),
  constraint offerings_agent_amount_has_a_date CHECK ((((agent_minor = 0) OR (with_agent_at IS NOT NULL)) AND (agent_minor >= 0))),
  constraint offerings_caps_fit CHECK ((((soft_cap_units >= 1) AND (soft_cap_units <= hard_cap_units)) AND (hard_cap_units <= '9007199254740991'::bigint))),
  constraint offerings_close_passed_the_gate CHECK (((status = 'closed'::text) = (close_pass_id IS NOT NULL))),
  constraint offerings_closed_has_a_date CHECK (((status = 'closed'::text) = (closed_at IS NOT NULL))),
  constraint offerings_cooling_off_is_bounded CHECK (((cooling_off_days >= 0) AND (cooling_off_days <= 3650))),
  constraint offerings_early_close_is_announced CHECK ((((early_close_at IS NULL) = (early_close_announced_at IS NULL)) AND ((early_close_at IS NULL) OR (early_close_at < closes_at)))),
  constraint offerings_end_reason_is_known CHECK ((end_reason = ANY (ARRAY['hard_cap'::text, 'deadline'::text, 'early_close'::text]))),
  constraint offerings_ended_has_a_reason CHECK (((status = ANY (ARRAY['funded'::text, 'closed'::text])) <= (num_nulls(ended_at, end_reason) = 0))),
  constraint offerings_fail_reason_is_bounded CHECK ((length(fail_reason) <= 2000)),
  constraint offerings_failed_says_why CHECK ((((status = 'failed'::text) = (failed_at IS NOT NULL)) AND ((status <> 'failed'::text) OR (fail_reason ~ '\S'::text)))),
  constraint offerings_kind_is_known CHECK ((kind = ANY (ARRAY['issuer_owns'::text, 'acquisition'::text]))),
  constraint offerings_limits_fit CHECK (((minimum_units >= 1) AND ((COALESCE(maximum_units, hard_cap_units) >= minimum_units) AND (COALESCE(maximum_units, hard_cap_units) <= hard_cap_units)))),
  constraint offerings_open_has_a_date CHECK (((status = ANY (ARRAY['draft'::text, 'cancelled'::text])) OR (num_nulls(opened_at, opened_by) = 0))),
  constraint offerings_opened_by_another CHECK ((opened_by <> created_by)),
  constraint offerings_price_is_an_amount CHECK (((price_minor >= 1) AND (price_minor <= '9007199254740991'::bigint))),
  constraint offerings_reservation_is_bounded CHECK (((reservation_minutes >= 1) AND (reservation_minutes <= 20160))),
  constraint offerings_status_is_known CHECK ((status = ANY (ARRAY['draft'::text, 'open'::text, 'funded'::text, 'closed'::text, 'failed'::text, 'cancelled'::text]))),
  constraint offerings_token_decimals_fit_a_bigint CHECK (((token_decimals >= 0) AND (token_decimals <= 6))),
  constraint offerings_window_fits CHECK (((opens_at < closes_at) AND (closes_at < long_stop_at))),
  constraint offerings_close_pass_fkey FOREIGN KEY (close_pass_id, property_id, close_action) REFERENCES public.gate_passes(id, property_id, action) ON DELETE RESTRICT,
  constraint offerings_created_by_fkey FOREIGN KEY (created_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint offerings_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint offerings_opened_by_fkey FOREIGN KEY (opened_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint offerings_rule_pack_id_fkey FOREIGN KEY (rule_pack_id) REFERENCES public.rule_packs(id) ON DELETE RESTRICT,
  constraint offerings_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT
);
comment on table public.offerings is 'One primary sale of a token under a version of a rule pack: what it promises and how far it is. Written by commands only, the service included.';
comment on column public.offerings.id is 'Identity of the offering.';
comment on column public.offerings.property_id is 'The property.';
comment on column public.offerings.property_token_id is 'What is sold.';
comment on column public.offerings.rule_pack_id is 'The version of the rule pack that holds for it, whatever is published later.';
comment on column public.offerings.kind is 'issuer_owns (the deed is recorded before the launch) or acquisition (the money buys the building).';
comment on column public.offerings.status is 'draft, open, funded, closed, failed or cancelled; docs/STATES.md.';
comment on column public.offerings.is_live is 'Whether real money is taken: then the sandbox rail is refused.';
comment on column public.offerings.is_public is 'Whether everybody may see it: false where its rule pack forbids general solicitation.';
comment on column public.offerings.token_decimals is 'Decimals of the token.';
comment on column public.offerings.currency is 'Currency in which it is paid. Nothing is exchanged.';
comment on column public.offerings.currency_decimals is 'Decimals of that currency.';
comment on column public.offerings.price_minor is 'Price of one whole token, in smallest units.';
comment on column public.offerings.price is 'Price of one whole token.';
comment on column public.offerings.soft_cap_units is 'Below this it fails: tokens in smallest units.';
comment on column public.offerings.hard_cap_units is 'More is not sold: tokens in smallest units.';
comment on column public.offerings.minimum_units is 'One purchase is this at least.';
comment on column public.offerings.maximum_units is 'A party has this at most in all; null: up to the hard cap.';
comment on column public.offerings.cooling_off_days is 'Days for which a buyer may withdraw after paying, from the rule pack.';
comment on column public.offerings.reservation_minutes is 'How long a reservation holds without money.';
comment on column public.offerings.opens_at is 'First instant at which tokens can be bought.';
comment on column public.offerings.closes_at is 'The deadline: from here on they cannot.';
comment on column public.offerings.long_stop_at is 'Not closed by this instant: everybody gets his money back.';
comment on column public.offerings.early_close_announced_at is 'When an early close was announced.';
comment on column public.offerings.early_close_at is 'When the announced early close takes effect, if the soft cap is reached.';
comment on column public.offerings.opened_at is 'When it was opened.';
comment on column public.offerings.ended_at is 'When the sale ended with the soft cap reached.';
comment on column public.offerings.end_reason is 'hard_cap, deadline or early_close.';
comment on column public.offerings.with_agent_at is 'When the principal went to the closing agent; acquisitions only.';
comment on column public.offerings.agent_minor is 'What lies with the closing agent, in smallest units.';
comment on column public.offerings.close_pass_id is 'The gate pass on which the close rests.';
comment on column public.offerings.close_action is 'The action that the pass must be for.';
comment on column public.offerings.closed_at is 'When tokens and cash changed hands.';
comment on column public.offerings.failed_at is 'When it failed.';
comment on column public.offerings.fail_reason is 'Why it failed, in words.';
comment on column public.offerings.created_by is 'Who prepared it.';
comment on column public.offerings.opened_by is 'The admin who opened it: never who prepared it.';
comment on column public.offerings.created_at is 'When it was prepared.';
comment on column public.offerings.updated_at is 'When the row last changed.';
CREATE INDEX offerings_close_pass_id_idx ON public.offerings USING btree (close_pass_id, property_id, close_action);
CREATE INDEX offerings_created_by_idx ON public.offerings USING btree (created_by);
CREATE INDEX offerings_currency_idx ON public.offerings USING btree (currency, currency_decimals);
CREATE UNIQUE INDEX offerings_one_running_key ON public.offerings USING btree (property_token_id) WHERE (status = ANY (ARRAY['open'::text, 'funded'::text]));
CREATE INDEX offerings_opened_by_idx ON public.offerings USING btree (opened_by);
CREATE INDEX offerings_property_id_idx ON public.offerings USING btree (property_id);
CREATE INDEX offerings_property_token_id_idx ON public.offerings USING btree (property_token_id, property_id);
CREATE INDEX offerings_rule_pack_id_idx ON public.offerings USING btree (rule_pack_id);
CREATE INDEX offerings_running_idx ON public.offerings USING btree (closes_at) WHERE (status = ANY (ARRAY['open'::text, 'funded'::text]));
CREATE TRIGGER log_deletes AFTER DELETE ON public.offerings REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.offerings REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.offerings FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.offerings REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER offerings_updated_at BEFORE UPDATE ON public.offerings FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.offerings enable row level security;
grant select on public.offerings to anon;
grant select on public.offerings to authenticated;
grant insert, select, update on public.offerings to nexus_engine;
grant select on public.offerings to service_role;
create policy offerings_engine on public.offerings for all to nexus_engine
  using (true)
  with check (true);
create policy offerings_read_public on public.offerings for select to anon
  using ((is_public AND (status <> ALL (ARRAY['draft'::text, 'cancelled'::text])) AND (EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = offerings.property_id)))));
create policy offerings_read_shown on public.offerings for select to authenticated
  using (((status <> ALL (ARRAY['draft'::text, 'cancelled'::text])) AND ((id = ANY (( SELECT nexus.guest_offering_ids() AS guest_offering_ids)::uuid[])) OR (is_public AND (EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = offerings.property_id)))))));
create policy offerings_read_staff on public.offerings for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.parties (
  id uuid default gen_random_uuid() not null,
  kind text default 'person'::text not null,
  legal_name text,
  residency_country text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  anonymised_at timestamp with time zone,
  constraint parties_pkey PRIMARY KEY (id),
  constraint parties_anonymised_has_no_name CHECK (((anonymised_at IS NULL) OR (legal_name IS NULL))),
  constraint parties_kind_is_known CHECK ((kind = ANY (ARRAY['person'::text, 'entity'::text]))),
  constraint parties_legal_name_is_not_blank CHECK (((legal_name ~ '\S'::text) AND (length(legal_name) <= 300))),
  constraint parties_residency_country_is_iso CHECK ((residency_country ~ '^[A-Z]{2}$'::text))
);
comment on table public.parties is 'A person or entity in law. Logins belong to a party; limits and caps count parties, not logins or wallets. Kept for its retention period when its logins go.';
comment on column public.parties.id is 'Identity of the party.';
comment on column public.parties.kind is 'person or entity.';
comment on column public.parties.legal_name is 'Name in law as verified; null until verified and after anonymising.';
comment on column public.parties.residency_country is 'Country of residence or incorporation, ISO 3166-1 alpha-2; null until verified.';
comment on column public.parties.created_at is 'When the party was first known.';
comment on column public.parties.updated_at is 'When the row last changed.';
comment on column public.parties.anonymised_at is 'When personal data was erased; null while it is kept.';
CREATE TRIGGER log_deletes AFTER DELETE ON public.parties REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.parties REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.parties FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.parties REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER parties_updated_at BEFORE UPDATE ON public.parties FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.parties enable row level security;
grant select on public.parties to authenticated;
grant insert, select, update on public.parties to nexus_engine;
grant insert, select, update on public.parties to service_role;
create policy parties_engine on public.parties for all to nexus_engine
  using (true)
  with check (true);
create policy parties_read_own on public.parties for select to authenticated
  using ((id = ( SELECT nexus.party_id() AS party_id)));
create policy parties_read_staff on public.parties for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.party_limits (
  party_id uuid not null,
  currency text,
  currency_decimals smallint,
  yearly_minor bigint,
  reason text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint party_limits_pkey PRIMARY KEY (party_id),
  constraint party_limits_limit_has_a_currency CHECK ((num_nulls(currency, currency_decimals, yearly_minor, reason) = ANY (ARRAY[0, 4]))),
  constraint party_limits_limit_is_an_amount CHECK (((yearly_minor >= 0) AND (yearly_minor <= '9007199254740991'::bigint))),
  constraint party_limits_reason_is_bounded CHECK (((reason ~ '\S'::text) AND (length(reason) <= 1000))),
  constraint party_limits_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint party_limits_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT
);
comment on table public.party_limits is 'One row for each party that buys: locked after the token''s row, in the order of ids, so that limits over several offerings cannot be passed by buying at the same instant. May hold a limit of the party''s own.';
comment on column public.party_limits.party_id is 'The party.';
comment on column public.party_limits.currency is 'Currency of the party''s own limit; null where it has none.';
comment on column public.party_limits.currency_decimals is 'Decimals of that currency.';
comment on column public.party_limits.yearly_minor is 'What the party may buy in twelve months at most, in smallest units; null: only what rule packs say.';
comment on column public.party_limits.reason is 'Why the party has a limit of its own.';
comment on column public.party_limits.created_at is 'When the row was made.';
comment on column public.party_limits.updated_at is 'When the row last changed.';
CREATE INDEX party_limits_currency_idx ON public.party_limits USING btree (currency, currency_decimals);
CREATE TRIGGER log_deletes AFTER DELETE ON public.party_limits REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('party_id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.party_limits REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('party_id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.party_limits FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('party_id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.party_limits REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('party_id', '{}');
CREATE TRIGGER party_limits_updated_at BEFORE UPDATE ON public.party_limits FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.party_limits enable row level security;
grant select on public.party_limits to authenticated;
grant insert, select, update on public.party_limits to nexus_engine;
grant select on public.party_limits to service_role;
create policy party_limits_engine on public.party_limits for all to nexus_engine
  using (true)
  with check (true);
create policy party_limits_read_own on public.party_limits for select to authenticated
  using ((party_id = ( SELECT nexus.party_id() AS party_id)));
create policy party_limits_read_staff on public.party_limits for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.party_owners (
  id uuid default gen_random_uuid() not null,
  party_id uuid not null,
  owner_party_id uuid not null,
  stated_name text,
  stated_country text,
  share_ppm integer not null,
  valid_from date not null,
  valid_to date,
  created_at timestamp with time zone default now() not null,
  constraint party_owners_pkey PRIMARY KEY (id),
  constraint party_owners_once_from_a_day UNIQUE (party_id, owner_party_id, valid_from),
  constraint party_owners_ends_after_start CHECK ((valid_to > valid_from)),
  constraint party_owners_not_of_itself CHECK ((party_id <> owner_party_id)),
  constraint party_owners_share_is_a_part CHECK (((share_ppm >= 1) AND (share_ppm <= 1000000))),
  constraint party_owners_stated_country_is_iso CHECK ((stated_country ~ '^[A-Z]{2}$'::text)),
  constraint party_owners_stated_name_is_not_blank CHECK (((stated_name ~ '\S'::text) AND (length(stated_name) <= 300))),
  constraint party_owners_owner_party_id_fkey FOREIGN KEY (owner_party_id) REFERENCES public.parties(id),
  constraint party_owners_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id)
);
comment on table public.party_owners is 'Beneficial owners of an entity, dated.';
comment on column public.party_owners.id is 'Identity of the row.';
comment on column public.party_owners.party_id is 'The entity that is owned.';
comment on column public.party_owners.owner_party_id is 'The party that owns a part of it.';
comment on column public.party_owners.stated_name is 'The owner''s name as the entity stated it; what was verified is parties.legal_name.';
comment on column public.party_owners.stated_country is 'The owner''s country of residence as the entity stated it.';
comment on column public.party_owners.share_ppm is 'Share owned, in millionths: 250000 is 25 %.';
comment on column public.party_owners.valid_from is 'First day of this share.';
comment on column public.party_owners.valid_to is 'First day on which it no longer holds; null while it does.';
comment on column public.party_owners.created_at is 'When it was recorded.';
CREATE INDEX party_owners_owner_party_id_idx ON public.party_owners USING btree (owner_party_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.party_owners REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.party_owners REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.party_owners FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.party_owners REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER party_owners_not_more_than_all AFTER INSERT OR UPDATE ON public.party_owners FOR EACH ROW EXECUTE FUNCTION nexus.refuse_more_than_all_shares();
alter table public.party_owners enable row level security;
grant select on public.party_owners to authenticated;
grant insert, select, update on public.party_owners to nexus_engine;
grant insert, select, update on public.party_owners to service_role;
create policy party_owners_engine on public.party_owners for all to nexus_engine
  using (true)
  with check (true);
create policy party_owners_read_own on public.party_owners for select to authenticated
  using ((party_id = ( SELECT nexus.party_id() AS party_id)));
create policy party_owners_read_staff on public.party_owners for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.party_screenings (
  id uuid default gen_random_uuid() not null,
  number bigint generated always as identity not null,
  party_id uuid not null,
  provider text not null,
  status text not null,
  reference text,
  hits jsonb default '[]'::jsonb not null,
  screened_by uuid,
  screened_at timestamp with time zone not null,
  due_at timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  constraint party_screenings_pkey PRIMARY KEY (id),
  constraint party_screenings_due_after_screening CHECK ((due_at > screened_at)),
  constraint party_screenings_hits_are_texts CHECK (((jsonb_typeof(hits) = 'array'::text) AND nexus.is_list_of_texts(hits))),
  constraint party_screenings_provider_is_not_blank CHECK (((provider ~ '\S'::text) AND (length(provider) <= 100))),
  constraint party_screenings_reference_is_short CHECK ((length(reference) <= 300)),
  constraint party_screenings_status_is_known CHECK ((status = ANY (ARRAY['clear'::text, 'possible_match'::text, 'match'::text]))),
  constraint party_screenings_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id),
  constraint party_screenings_screened_by_fkey FOREIGN KEY (screened_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.party_screenings is 'Sanctions and watch-list screenings of a party; the one recorded last counts. Never shown to the party: telling somebody that he is a match is an offence in many places.';
comment on column public.party_screenings.id is 'Identity of the screening.';
comment on column public.party_screenings.number is 'Order of recording: of a party''s screenings the highest number counts.';
comment on column public.party_screenings.party_id is 'Who was screened.';
comment on column public.party_screenings.provider is 'Who screened: the name of a provider or list.';
comment on column public.party_screenings.status is 'clear, possible_match (a person must look) or match.';
comment on column public.party_screenings.reference is 'The provider''s own reference of the result.';
comment on column public.party_screenings.hits is 'What of the list the name resembled, as list entry ids; of a clear one by an officer the hits that he looked at and found to be others.';
comment on column public.party_screenings.screened_by is 'The compliance officer who decided; null where a list was compared by the program.';
comment on column public.party_screenings.screened_at is 'When the screening was made.';
comment on column public.party_screenings.due_at is 'When it must be made again.';
comment on column public.party_screenings.created_at is 'When it was recorded.';
CREATE INDEX party_screenings_due_at_idx ON public.party_screenings USING btree (due_at);
CREATE UNIQUE INDEX party_screenings_party_id_idx ON public.party_screenings USING btree (party_id, number DESC);
CREATE INDEX party_screenings_screened_by_idx ON public.party_screenings USING btree (screened_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.party_screenings REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.party_screenings REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.party_screenings FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.party_screenings REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.party_screenings enable row level security;
grant insert, select on public.party_screenings to nexus_engine;
grant select on public.party_screenings to nexus_staff;
grant select on public.party_screenings to service_role;
create policy party_screenings_engine on public.party_screenings for all to nexus_engine
  using (true)
  with check (true);
create policy party_screenings_read_compliance on public.party_screenings for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['compliance_officer'::text]) AS has_any_role));

create table public.payment_methods (
  id uuid default gen_random_uuid() not null,
  user_id uuid default auth.uid() not null,
  method_type text not null,
  details jsonb default '{}'::jsonb not null,
  is_verified boolean default false not null,
  is_default boolean default false not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint payment_methods_pkey PRIMARY KEY (id),
  constraint payment_methods_details_hold_no_secret CHECK (((jsonb_typeof(details) = 'object'::text) AND nexus.is_safe_payment_details(details))),
  constraint payment_methods_method_type_is_known CHECK ((method_type = ANY (ARRAY['bank_transfer'::text, 'crypto'::text, 'credit_card'::text]))),
  constraint payment_methods_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table public.payment_methods is 'How a person pays and is paid, as far as it may be shown; account numbers stay with the payment provider.';
comment on column public.payment_methods.id is 'Identity of the method.';
comment on column public.payment_methods.user_id is 'The login it belongs to.';
comment on column public.payment_methods.method_type is 'bank_transfer, crypto or credit_card.';
comment on column public.payment_methods.details is 'Object of label, brand, last_four, bank_name, country, expiry_month, expiry_year, network, address (0x...). Nothing else, and never a full number.';
comment on column public.payment_methods.is_verified is 'Whether the provider confirmed that it is this person''s; set by a command only.';
comment on column public.payment_methods.is_default is 'Whether to offer it first; at most one of a person.';
comment on column public.payment_methods.created_at is 'When it was added.';
comment on column public.payment_methods.updated_at is 'When the row last changed.';
CREATE UNIQUE INDEX payment_methods_one_default_key ON public.payment_methods USING btree (user_id) WHERE is_default;
CREATE INDEX payment_methods_user_id_idx ON public.payment_methods USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.payment_methods REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.payment_methods REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.payment_methods FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.payment_methods REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER payment_methods_updated_at BEFORE UPDATE ON public.payment_methods FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.payment_methods enable row level security;
grant delete, select on public.payment_methods to authenticated;
grant insert (user_id, method_type, details, is_default) on public.payment_methods to authenticated;
grant update (is_default) on public.payment_methods to authenticated;
grant insert, select, update on public.payment_methods to nexus_engine;
grant delete, insert, select, update on public.payment_methods to service_role;
create policy payment_methods_delete_own on public.payment_methods for delete to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy payment_methods_engine on public.payment_methods for all to nexus_engine
  using (true)
  with check (true);
create policy payment_methods_insert_own on public.payment_methods for insert to authenticated
  with check ((user_id = ( SELECT auth.uid() AS uid)));
create policy payment_methods_read_own on public.payment_methods for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy payment_methods_read_staff on public.payment_methods for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));
create policy payment_methods_update_own on public.payment_methods for update to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)))
  with check ((user_id = ( SELECT auth.uid() AS uid)));

create table public.payment_sessions (
  id uuid default gen_random_uuid() not null,
  investment_id uuid not null,
  user_id uuid not null,
  rail text not null,
  provider_ref text not null,
  url text not null,
  currency text not null,
  currency_decimals smallint not null,
  amount_minor bigint not null,
  amount numeric generated always as (nexus.from_minor(amount_minor, (currency_decimals)::integer)) stored,
  status text default 'open'::text not null,
  due_at timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint payment_sessions_pkey PRIMARY KEY (id),
  constraint payment_sessions_once_a_ref UNIQUE (rail, provider_ref),
  constraint payment_sessions_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint payment_sessions_rail_is_known CHECK ((rail = 'sandbox'::text)),
  constraint payment_sessions_status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'paid'::text, 'expired'::text]))),
  constraint payment_sessions_texts_are_bounded CHECK ((((length(provider_ref) >= 1) AND (length(provider_ref) <= 200)) AND ((length(url) >= 1) AND (length(url) <= 2000)))),
  constraint payment_sessions_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint payment_sessions_investment_id_fkey FOREIGN KEY (investment_id) REFERENCES public.investments(id) ON DELETE RESTRICT,
  constraint payment_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.payment_sessions is 'Ways to pay an investment: the page of a rail where the buyer does it.';
comment on column public.payment_sessions.id is 'Identity of the session; clients know it as sessionId.';
comment on column public.payment_sessions.investment_id is 'What is paid.';
comment on column public.payment_sessions.user_id is 'Who pays.';
comment on column public.payment_sessions.rail is 'By which way the money comes: sandbox is built in.';
comment on column public.payment_sessions.provider_ref is 'The rail''s own name of the session.';
comment on column public.payment_sessions.url is 'Where the buyer pays.';
comment on column public.payment_sessions.currency is 'Currency of the charge.';
comment on column public.payment_sessions.currency_decimals is 'Decimals of that currency.';
comment on column public.payment_sessions.amount_minor is 'The charge: total and fee, in smallest units.';
comment on column public.payment_sessions.amount is 'The charge.';
comment on column public.payment_sessions.status is 'open, paid or expired; docs/STATES.md.';
comment on column public.payment_sessions.due_at is 'When the reservation ends that it pays.';
comment on column public.payment_sessions.created_at is 'When it was made.';
comment on column public.payment_sessions.updated_at is 'When the row last changed.';
CREATE INDEX payment_sessions_currency_idx ON public.payment_sessions USING btree (currency, currency_decimals);
CREATE INDEX payment_sessions_investment_id_idx ON public.payment_sessions USING btree (investment_id);
CREATE INDEX payment_sessions_user_id_idx ON public.payment_sessions USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.payment_sessions REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.payment_sessions REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.payment_sessions FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.payment_sessions REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER payment_sessions_updated_at BEFORE UPDATE ON public.payment_sessions FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.payment_sessions enable row level security;
grant select on public.payment_sessions to authenticated;
grant insert, select, update on public.payment_sessions to nexus_engine;
grant select on public.payment_sessions to service_role;
create policy payment_sessions_engine on public.payment_sessions for all to nexus_engine
  using (true)
  with check (true);
create policy payment_sessions_read_own on public.payment_sessions for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy payment_sessions_read_staff on public.payment_sessions for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.payments (
  id uuid default gen_random_uuid() not null,
  rail text not null,
  provider_ref text not null,
  session_id uuid,
  investment_id uuid,
  property_id uuid,
  currency text not null,
  currency_decimals smallint not null,
  amount_minor bigint not null,
  amount numeric generated always as (nexus.from_minor(amount_minor, (currency_decimals)::integer)) stored,
  matched_minor bigint default 0 not null,
  unmatched_minor bigint not null,
  returned_minor bigint default 0 not null,
  charged_back_at timestamp with time zone,
  settled_at timestamp with time zone,
  settlement_ref text,
  received_at timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint payments_pkey PRIMARY KEY (id),
  constraint payments_once_a_ref UNIQUE (rail, provider_ref),
  constraint payments_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint payments_matched_to_an_investment CHECK (((matched_minor = 0) OR (investment_id IS NOT NULL))),
  constraint payments_parts_add_up CHECK (((LEAST(matched_minor, unmatched_minor, returned_minor) >= 0) AND (((matched_minor + unmatched_minor) + returned_minor) = amount_minor))),
  constraint payments_rail_is_known CHECK ((rail = 'sandbox'::text)),
  constraint payments_settled_has_a_ref CHECK (((settled_at IS NULL) = (settlement_ref IS NULL))),
  constraint payments_texts_are_bounded CHECK ((((length(provider_ref) >= 1) AND (length(provider_ref) <= 200)) AND (length(settlement_ref) <= 200))),
  constraint payments_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint payments_investment_id_fkey FOREIGN KEY (investment_id) REFERENCES public.investments(id) ON DELETE RESTRICT,
  constraint payments_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint payments_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.payment_sessions(id) ON DELETE RESTRICT
);
comment on table public.payments is 'Money that a rail says has arrived: what it pays, what of it fits nothing, what goes back.';
comment on column public.payments.id is 'Identity of the payment.';
comment on column public.payments.rail is 'By which way the money came.';
comment on column public.payments.provider_ref is 'The rail''s own name of the payment.';
comment on column public.payments.session_id is 'The session by which it came; null where nobody knows.';
comment on column public.payments.investment_id is 'The investment that it is for.';
comment on column public.payments.property_id is 'The property whose accounts it is in; null while nobody knows, and then it is in no account of ours.';
comment on column public.payments.currency is 'Its currency.';
comment on column public.payments.currency_decimals is 'Decimals of that currency.';
comment on column public.payments.amount_minor is 'What arrived, in smallest units.';
comment on column public.payments.amount is 'What arrived.';
comment on column public.payments.matched_minor is 'What of it pays the investment.';
comment on column public.payments.unmatched_minor is 'What of it fits nothing yet.';
comment on column public.payments.returned_minor is 'What of it is on its way back or gone back: its refunds, and a chargeback.';
comment on column public.payments.charged_back_at is 'When the payer took it back.';
comment on column public.payments.settled_at is 'When the rail paid it to the custodian.';
comment on column public.payments.settlement_ref is 'The rail''s name of that settlement, which the custodian''s statement shows.';
comment on column public.payments.received_at is 'When the rail received it.';
comment on column public.payments.created_at is 'When we learned of it.';
comment on column public.payments.updated_at is 'When the row last changed.';
CREATE INDEX payments_currency_idx ON public.payments USING btree (currency, currency_decimals);
CREATE INDEX payments_investment_id_idx ON public.payments USING btree (investment_id);
CREATE INDEX payments_property_id_idx ON public.payments USING btree (property_id);
CREATE INDEX payments_session_id_idx ON public.payments USING btree (session_id);
CREATE INDEX payments_unmatched_idx ON public.payments USING btree (received_at) WHERE (unmatched_minor > 0);
CREATE TRIGGER log_deletes AFTER DELETE ON public.payments REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.payments REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.payments FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.payments REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER payments_updated_at BEFORE UPDATE ON public.payments FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.payments enable row level security;
grant insert, select, update on public.payments to nexus_engine;
grant select on public.payments to nexus_staff;
grant select on public.payments to service_role;
create policy payments_engine on public.payments for all to nexus_engine
  using (true)
  with check (true);
create policy payments_read_staff on public.payments for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.payouts (
  id uuid not null,
  line_id uuid,
  party_id uuid not null,
  property_id uuid not null,
  currency text not null,
  currency_decimals smallint not null,
  amount_minor bigint not null,
  rail_key uuid not null,
  status text default 'due'::text not null,
  times_sent integer default 0 not null,
  attempts integer default 0 not null,
  due_at timestamp with time zone not null,
  sent_at timestamp with time zone,
  confirmed_at timestamp with time zone,
  failed_at timestamp with time zone,
  failure text,
  retry_asked_by uuid,
  retry_approved_by uuid,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  redemption_id uuid,
  constraint payouts_pkey PRIMARY KEY (id),
  constraint payouts_one_a_line UNIQUE (line_id),
  constraint payouts_one_a_redemption UNIQUE (redemption_id),
  constraint payouts_rail_key_key UNIQUE (rail_key),
  constraint payouts_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint payouts_confirmed_has_a_date CHECK (((status = 'confirmed'::text) = (confirmed_at IS NOT NULL))),
  constraint payouts_counts_not_negative CHECK ((LEAST(times_sent, attempts) >= 0)),
  constraint payouts_failed_says_why CHECK (((status <> 'failed'::text) OR ((failed_at IS NOT NULL) AND (failure ~ '\S'::text)))),
  constraint payouts_failure_is_bounded CHECK ((length(failure) <= 2000)),
  constraint payouts_pay_one_thing CHECK ((num_nonnulls(line_id, redemption_id) = 1)),
  constraint payouts_retry_takes_two CHECK ((retry_asked_by <> retry_approved_by)),
  constraint payouts_sent_has_a_date CHECK (((status <> 'sent'::text) OR (sent_at IS NOT NULL))),
  constraint payouts_status_is_known CHECK ((status = ANY (ARRAY['due'::text, 'sent'::text, 'confirmed'::text, 'failed'::text]))),
  constraint payouts_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint payouts_line_id_fkey FOREIGN KEY (line_id) REFERENCES public.distribution_lines(id) ON DELETE RESTRICT,
  constraint payouts_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint payouts_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint payouts_redemption_id_fkey FOREIGN KEY (redemption_id) REFERENCES public.redemptions(id) ON DELETE RESTRICT,
  constraint payouts_retry_approved_by_fkey FOREIGN KEY (retry_approved_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint payouts_retry_asked_by_fkey FOREIGN KEY (retry_asked_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.payouts is 'Money on its way to a holder. Asked of the rail under a key, so that asking again is the same payout; what is silent is asked about and never sent again before.';
comment on column public.payouts.id is 'Identity of the payout.';
comment on column public.payouts.line_id is 'The line of a distribution that it pays.';
comment on column public.payouts.party_id is 'Who gets it.';
comment on column public.payouts.property_id is 'The property whose distribution it is: an open incident of it holds the payout back.';
comment on column public.payouts.currency is 'Its currency.';
comment on column public.payouts.currency_decimals is 'Decimals of that currency.';
comment on column public.payouts.amount_minor is 'What is sent, in smallest units.';
comment on column public.payouts.rail_key is 'The key under which the rail is asked: the same however often, another one for each try that two people approved, so that word of an old try changes nothing.';
comment on column public.payouts.status is 'due, sent, confirmed or failed; docs/STATES.md.';
comment on column public.payouts.times_sent is 'How often it left payable: one more than it failed and was tried again.';
comment on column public.payouts.attempts is 'How often the rail was asked, or asked about it.';
comment on column public.payouts.due_at is 'When the rail is to be asked, or asked about it.';
comment on column public.payouts.sent_at is 'When the rail was first asked.';
comment on column public.payouts.confirmed_at is 'When the rail confirmed.';
comment on column public.payouts.failed_at is 'When the rail said that it could not.';
comment on column public.payouts.failure is 'What the rail said.';
comment on column public.payouts.retry_asked_by is 'Who asked that a failed one is tried again.';
comment on column public.payouts.retry_approved_by is 'Who approved that: another person.';
comment on column public.payouts.created_at is 'When it came to be owed.';
comment on column public.payouts.updated_at is 'When the row last changed.';
comment on column public.payouts.redemption_id is 'The redemption that it pays.';
CREATE INDEX payouts_currency_idx ON public.payouts USING btree (currency, currency_decimals);
CREATE INDEX payouts_due_idx ON public.payouts USING btree (due_at, id) WHERE (status = ANY (ARRAY['due'::text, 'sent'::text]));
CREATE INDEX payouts_party_id_idx ON public.payouts USING btree (party_id);
CREATE INDEX payouts_property_id_idx ON public.payouts USING btree (property_id);
CREATE INDEX payouts_retry_approved_by_idx ON public.payouts USING btree (retry_approved_by);
CREATE INDEX payouts_retry_asked_by_idx ON public.payouts USING btree (retry_asked_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.payouts REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.payouts REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.payouts FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.payouts REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER payouts_updated_at BEFORE UPDATE ON public.payouts FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.payouts enable row level security;
grant select on public.payouts to authenticated;
grant insert, select, update on public.payouts to nexus_engine;
grant select on public.payouts to service_role;
create policy payouts_engine on public.payouts for all to nexus_engine
  using (true)
  with check (true);
create policy payouts_read_own on public.payouts for select to authenticated
  using ((party_id = ( SELECT nexus.party_id() AS party_id)));
create policy payouts_read_staff on public.payouts for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.properties (
  id uuid default gen_random_uuid() not null,
  title text not null,
  description text,
  property_type text,
  location text,
  address text,
  city text,
  state_province text,
  country text,
  postal_code text,
  coordinates jsonb,
  bedrooms integer,
  bathrooms integer,
  bathrooms_exact numeric,
  sqft integer,
  lot_size integer,
  year_built integer,
  images jsonb default '[]'::jsonb not null,
  image_notes jsonb default '{}'::jsonb not null,
  amenities jsonb default '[]'::jsonb not null,
  virtual_tour_url text,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  price numeric,
  price_minor bigint generated always as (nexus.to_minor(price, (currency_decimals)::integer)) stored,
  price_per_token numeric,
  price_per_token_minor bigint generated always as (nexus.to_minor(price_per_token, (currency_decimals)::integer)) stored,
  min_investment numeric,
  funding_target numeric,
  funding_target_minor bigint generated always as (nexus.to_minor(funding_target, (currency_decimals)::integer)) stored,
  funding_deadline timestamp with time zone,
  total_tokens numeric default 0 not null,
  tokens_issued numeric default 0 not null,
  tokenization_active boolean default false not null,
  tokenization_status text default 'not_started'::text not null,
  is_active boolean default false not null,
  is_featured boolean default false not null,
  origin text default 'own'::text not null,
  origin_key text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint properties_pkey PRIMARY KEY (id),
  constraint properties_origin_key_is_loaded_once UNIQUE (origin_key),
  constraint properties_amenities_are_an_array CHECK (((jsonb_typeof(amenities) = 'array'::text) AND nexus.is_list_of_texts(amenities))),
  constraint properties_bathrooms_is_the_floor CHECK (((bathrooms_exact IS NULL) OR (((bathrooms_exact >= (0)::numeric) AND (bathrooms_exact <= (1000)::numeric)) AND (NOT (bathrooms IS DISTINCT FROM (floor(bathrooms_exact))::integer))))),
  constraint properties_coordinates_are_lat_lng CHECK (((coordinates IS NULL) OR ((jsonb_typeof(coordinates) = 'object'::text) AND (jsonb_typeof((coordinates -> 'lat'::text)) = 'number'::text) AND (jsonb_typeof((coordinates -> 'lng'::text)) = 'number'::text) AND ((((coordinates ->> 'lat'::text))::numeric >= ('-90'::integer)::numeric) AND (((coordinates ->> 'lat'::text))::numeric <= (90)::numeric)) AND ((((coordinates ->> 'lng'::text))::numeric >= ('-180'::integer)::numeric) AND (((coordinates ->> 'lng'::text))::numeric <= (180)::numeric))))),
  constraint properties_description_is_bounded CHECK ((length(description) <= 20000)),
  constraint properties_funding_target_is_money CHECK (nexus.is_money(funding_target, (currency_decimals)::integer)),
  constraint properties_image_notes_are_an_object CHECK (((jsonb_typeof(image_notes) = 'object'::text) AND (length((image_notes)::text) <= 50000))),
  constraint properties_images_are_an_array CHECK (((jsonb_typeof(images) = 'array'::text) AND nexus.is_list_of_texts(images))),
  constraint properties_import_is_history CHECK (((origin <> 'import'::text) OR ((NOT is_active) AND (NOT tokenization_active) AND (tokenization_status = 'not_started'::text)))),
  constraint properties_min_investment_is_money CHECK (nexus.is_money(min_investment, (currency_decimals)::integer)),
  constraint properties_origin_has_a_key CHECK ((((origin = 'own'::text) = (origin_key IS NULL)) AND ((length(origin_key) >= 1) AND (length(origin_key) <= 300)))),
  constraint properties_origin_is_known CHECK ((origin = ANY (ARRAY['own'::text, 'seed'::text, 'import'::text]))),
  constraint properties_place_is_bounded CHECK (((GREATEST(length(location), length(address), length(city), length(state_province), length(country)) <= 300) AND (length(postal_code) <= 20))),
  constraint properties_price_is_money CHECK (nexus.is_money(price, (currency_decimals)::integer)),
  constraint properties_price_per_token_is_money CHECK (nexus.is_money(price_per_token, (currency_decimals)::integer)),
  constraint properties_property_type_is_short CHECK ((length(property_type) <= 100)),
  constraint properties_rooms_and_areas_not_negative CHECK ((LEAST(bedrooms, bathrooms, sqft, lot_size) >= 0)),
  constraint properties_title_is_not_blank CHECK (((title ~ '\S'::text) AND (length(title) <= 300))),
  constraint properties_tokenization_status_is_known CHECK ((tokenization_status = ANY (ARRAY['not_started'::text, 'in_progress'::text, 'rejected'::text, 'offered'::text, 'completed'::text, 'cancelled'::text]))),
  constraint properties_tokens_issued_within_total CHECK (((tokens_issued >= (0)::numeric) AND (tokens_issued <= total_tokens))),
  constraint properties_total_tokens_is_an_amount CHECK (nexus.is_money(total_tokens, 6)),
  constraint properties_virtual_tour_is_https CHECK (((virtual_tour_url ~ '^https://'::text) AND (length(virtual_tour_url) <= 2000))),
  constraint properties_year_built_is_a_year CHECK (((year_built >= 1000) AND (year_built <= 2200))),
  constraint properties_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals)
);
comment on table public.properties is 'Buildings and their public description. Everything in a row may be seen by everybody once is_active; what is private about a building is in tables of its own.';
comment on column public.properties.id is 'Identity of the property.';
comment on column public.properties.title is 'Name to show.';
comment on column public.properties.description is 'Description to show, plain text.';
comment on column public.properties.property_type is 'Kind of building, such as single_family, apartment, office.';
comment on column public.properties.location is 'Place in one line, as people read it.';
comment on column public.properties.address is 'Street and number.';
comment on column public.properties.city is 'City; clients expect it on every active property.';
comment on column public.properties.state_province is 'State, province or emirate.';
comment on column public.properties.country is 'Country; clients expect it on every active property.';
comment on column public.properties.postal_code is 'Postal code as letters to the building carry it.';
comment on column public.properties.coordinates is 'Place on the map: {"lat": degrees, "lng": degrees}, WGS 84.';
comment on column public.properties.bedrooms is 'Number of bedrooms.';
comment on column public.properties.bathrooms is 'Number of bathrooms, halves left out.';
comment on column public.properties.bathrooms_exact is 'Number of bathrooms with halves and quarters, where it is known; bathrooms is its whole part.';
comment on column public.properties.sqft is 'Living area in square feet.';
comment on column public.properties.lot_size is 'Area of the plot in square feet.';
comment on column public.properties.year_built is 'Year in which it was built.';
comment on column public.properties.images is 'Array of images, in the order to show them: paths in property-images, or https URLs.';
comment on column public.properties.image_notes is 'What is said of an image, by its text in images: {"text": what it shows, "small": path of a small copy in property-images}; both may be missing.';
comment on column public.properties.amenities is 'Array of amenities, short texts.';
comment on column public.properties.virtual_tour_url is 'Address of a virtual tour, https.';
comment on column public.properties.currency is 'Currency of every amount in the row.';
comment on column public.properties.currency_decimals is 'Decimals of that currency.';
comment on column public.properties.price is 'Asking price of the whole property in its currency (USD unless said otherwise). A price, not a valuation.';
comment on column public.properties.price_minor is 'price in smallest units. Filter and sort by this one: numeric comparisons cannot use an index below row-level security.';
comment on column public.properties.price_per_token is 'Price of one token.';
comment on column public.properties.price_per_token_minor is 'price_per_token in smallest units.';
comment on column public.properties.min_investment is 'Least amount that may be invested at once.';
comment on column public.properties.funding_target is 'Amount to be raised.';
comment on column public.properties.funding_target_minor is 'funding_target in smallest units.';
comment on column public.properties.funding_deadline is 'Until when it is to be raised.';
comment on column public.properties.total_tokens is 'Tokens that can be issued in all.';
comment on column public.properties.tokens_issued is 'Tokens held by somebody now: a copy of the ledger''s figure, written with it.';
comment on column public.properties.tokenization_active is 'Whether tokens are being offered.';
comment on column public.properties.tokenization_status is 'Where tokenization stands: not_started, in_progress, rejected, offered, completed or cancelled.';
comment on column public.properties.is_active is 'Whether everybody may see the property.';
comment on column public.properties.is_featured is 'Whether to show it first.';
comment on column public.properties.origin is 'Where the row comes from: own (filed here), seed (public data that the program carries) or import (history of what others issued; never listed or offered).';
comment on column public.properties.origin_key is 'Name of the building in the data that it was loaded from, so that a second load finds it; null for own.';
comment on column public.properties.created_at is 'When the row was made.';
comment on column public.properties.updated_at is 'When the row last changed.';
CREATE INDEX properties_active_city_idx ON public.properties USING btree (city, id) WHERE is_active;
CREATE INDEX properties_active_created_at_idx ON public.properties USING btree (created_at DESC, id) WHERE is_active;
CREATE INDEX properties_active_price_figure_idx ON public.properties USING btree (price, id) WHERE is_active;
CREATE INDEX properties_active_price_idx ON public.properties USING btree (price_minor, id) WHERE is_active;
CREATE INDEX properties_currency_idx ON public.properties USING btree (currency, currency_decimals);
CREATE INDEX properties_listed_area_idx ON public.properties USING btree (sqft DESC NULLS LAST, id) WHERE is_active;
CREATE INDEX properties_listed_built_idx ON public.properties USING btree (year_built DESC NULLS LAST, id) WHERE is_active;
CREATE INDEX properties_listed_newest_idx ON public.properties USING btree (is_featured DESC, created_at DESC, id) WHERE is_active;
CREATE INDEX properties_listed_stage_idx ON public.properties USING btree (tokenization_status, id) WHERE is_active;
CREATE INDEX properties_listed_title_idx ON public.properties USING btree (title, id) WHERE is_active;
CREATE INDEX properties_location_idx ON public.properties USING btree (location);
CREATE TRIGGER log_deletes AFTER DELETE ON public.properties REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.properties REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.properties FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.properties REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER note_inserts AFTER INSERT ON public.properties REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_listings();
CREATE TRIGGER note_updates AFTER UPDATE ON public.properties FOR EACH ROW WHEN ((((((((((new.is_active IS DISTINCT FROM old.is_active) OR (new.title IS DISTINCT FROM old.title)) OR (new.city IS DISTINCT FROM old.city)) OR (new.property_type IS DISTINCT FROM old.property_type)) OR (new.price IS DISTINCT FROM old.price)) OR (new.price_per_token IS DISTINCT FROM old.price_per_token)) OR (new.total_tokens IS DISTINCT FROM old.total_tokens)) OR (new.tokens_issued IS DISTINCT FROM old.tokens_issued)) OR (new.funding_target IS DISTINCT FROM old.funding_target))) EXECUTE FUNCTION nexus.note_one('listing');
CREATE TRIGGER properties_delisted AFTER UPDATE ON public.properties REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.refresh_after_delisting();
CREATE TRIGGER properties_removed AFTER DELETE ON public.properties FOR EACH STATEMENT EXECUTE FUNCTION nexus.refresh_after_delisting();
CREATE TRIGGER properties_updated_at BEFORE UPDATE ON public.properties FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.properties enable row level security;
grant select on public.properties to anon;
grant select on public.properties to authenticated;
grant insert, select, update on public.properties to nexus_engine;
grant update (title, description, property_type, location, address, city, state_province, country, postal_code, coordinates, bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, images, image_notes, amenities, virtual_tour_url) on public.properties to nexus_staff;
grant insert (id, title, description, property_type, location, address, city, state_province, country, postal_code, coordinates, bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, images, image_notes, amenities, virtual_tour_url, currency, currency_decimals, price, min_investment, funding_target, funding_deadline, is_featured) on public.properties to service_role;
grant select on public.properties to service_role;
grant update (title, description, property_type, location, address, city, state_province, country, postal_code, coordinates, bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, images, image_notes, amenities, virtual_tour_url, price, min_investment, funding_target, funding_deadline, is_featured) on public.properties to service_role;
create policy "Public properties are viewable by everyone" on public.properties for select to anon, authenticated
  using ((is_active = true));
create policy properties_engine on public.properties for all to nexus_engine
  using (true)
  with check (true);
create policy properties_read_invested on public.properties for select to authenticated
  using ((id = ANY (( SELECT nexus.invested_property_ids() AS invested_property_ids)::uuid[])));
create policy properties_read_staff on public.properties for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));
create policy properties_update_staff on public.properties for update to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) OR (id = ANY (( SELECT nexus.managed_property_ids() AS managed_property_ids)::uuid[]))))
  with check ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) OR (id = ANY (( SELECT nexus.managed_property_ids() AS managed_property_ids)::uuid[]))));

create table public.property_analytics (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  report_date date not null,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  rental_income_minor bigint,
  rental_income numeric generated always as (nexus.from_minor(rental_income_minor, (currency_decimals)::integer)) stored,
  net_operating_income_minor bigint,
  net_operating_income numeric generated always as (nexus.from_minor(net_operating_income_minor, (currency_decimals)::integer)) stored,
  occupancy_rate numeric,
  market_value_minor bigint,
  market_value numeric generated always as (nexus.from_minor(market_value_minor, (currency_decimals)::integer)) stored,
  market_value_on date,
  rental_yield numeric,
  cap_rate numeric,
  appreciation_rate numeric,
  token_yield numeric,
  total_invested_minor bigint,
  total_invested numeric generated always as (nexus.from_minor(total_invested_minor, (currency_decimals)::integer)) stored,
  number_of_investors integer,
  funding_percentage numeric,
  average_investment_size_minor bigint,
  average_investment_size numeric generated always as (nexus.from_minor(average_investment_size_minor, (currency_decimals)::integer)) stored,
  as_of timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint property_analytics_pkey PRIMARY KEY (id),
  constraint property_analytics_once_a_day UNIQUE (property_id, report_date),
  constraint property_analytics_amounts_are_exact CHECK ((((market_value_minor >= 0) AND (market_value_minor <= '9007199254740991'::bigint)) AND ((rental_income_minor >= 0) AND (rental_income_minor <= '9007199254740991'::bigint)) AND (abs(net_operating_income_minor) <= '9007199254740991'::bigint) AND ((total_invested_minor >= 0) AND (total_invested_minor <= '9007199254740991'::bigint)) AND ((average_investment_size_minor >= 0) AND (average_investment_size_minor <= '9007199254740991'::bigint)))),
  constraint property_analytics_investors_not_negative CHECK ((number_of_investors >= 0)),
  constraint property_analytics_no_average_of_few CHECK (((COALESCE(number_of_investors, 0) >= 3) OR (average_investment_size_minor IS NULL))),
  constraint property_analytics_rates_are_numbers CHECK (((abs(rental_yield) < (1000000)::numeric) AND (abs(cap_rate) < (1000000)::numeric) AND (abs(appreciation_rate) < (1000000)::numeric) AND (abs(token_yield) < (1000000)::numeric) AND ((occupancy_rate >= (0)::numeric) AND (occupancy_rate <= (100)::numeric)) AND ((funding_percentage >= (0)::numeric) AND (funding_percentage <= (1000000)::numeric)))),
  constraint property_analytics_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint property_analytics_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.property_analytics is 'Figures of the twelve months that end with a day, derived by a worker from approved periods, valuations and investments by the formulas of docs/ANALYTICS.md; null where not known. A row can be computed again.';
comment on column public.property_analytics.id is 'Identity of the row.';
comment on column public.property_analytics.property_id is 'The property.';
comment on column public.property_analytics.report_date is 'Last day of the twelve months: of an approved period.';
comment on column public.property_analytics.currency is 'Currency of the amounts.';
comment on column public.property_analytics.currency_decimals is 'Decimals of that currency.';
comment on column public.property_analytics.rental_income_minor is 'Rent received in the twelve months, in smallest units; null unless approved periods cover them all.';
comment on column public.property_analytics.rental_income is 'Rent received in the twelve months; derived.';
comment on column public.property_analytics.net_operating_income_minor is 'Net operating income of the twelve months, in smallest units; null unless approved periods cover them all.';
comment on column public.property_analytics.net_operating_income is 'Net operating income of the twelve months; derived.';
comment on column public.property_analytics.occupancy_rate is 'Part of the twelve months'' days on which it was let, in percent; null where one period does not say.';
comment on column public.property_analytics.market_value_minor is 'Newest valuation of the day or before, in smallest units.';
comment on column public.property_analytics.market_value is 'Newest valuation of the day or before; derived.';
comment on column public.property_analytics.market_value_on is 'The day of that valuation.';
comment on column public.property_analytics.rental_yield is 'Rent of the twelve months over market value, in percent.';
comment on column public.property_analytics.cap_rate is 'Net operating income of the twelve months over market value, in percent.';
comment on column public.property_analytics.appreciation_rate is 'Change of market value over the twelve months, in percent; null without a valuation in them and one before.';
comment on column public.property_analytics.token_yield is 'Net operating income of the twelve months over all tokens at their price as of as_of, in percent.';
comment on column public.property_analytics.total_invested_minor is 'Paid and confirmed principal in the row''s currency as of as_of, in smallest units; null where the day was never the newest.';
comment on column public.property_analytics.total_invested is 'Paid and confirmed principal; derived.';
comment on column public.property_analytics.number_of_investors is 'Parties with paid or confirmed investments.';
comment on column public.property_analytics.funding_percentage is 'total_invested over the funding target, in percent; null without a target.';
comment on column public.property_analytics.average_investment_size_minor is 'total_invested a party, in smallest units; null for fewer than three.';
comment on column public.property_analytics.average_investment_size is 'total_invested a party; null for fewer than three; derived.';
comment on column public.property_analytics.as_of is 'The instant that token_yield, total_invested, number_of_investors, funding_percentage and average_investment_size are true for: they follow the investments while the row is the property''s newest. The others are the day''s.';
comment on column public.property_analytics.created_at is 'When the row was made.';
comment on column public.property_analytics.updated_at is 'When the row last changed.';
CREATE INDEX property_analytics_currency_idx ON public.property_analytics USING btree (currency, currency_decimals);
CREATE TRIGGER property_analytics_updated_at BEFORE UPDATE ON public.property_analytics FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_analytics enable row level security;
grant select on public.property_analytics to anon;
grant select on public.property_analytics to authenticated;
grant delete, insert, select, update on public.property_analytics to nexus_engine;
grant select on public.property_analytics to service_role;
create policy property_analytics_engine on public.property_analytics for all to nexus_engine
  using (true)
  with check (true);
create policy property_analytics_read_of_visible_property on public.property_analytics for select to anon, authenticated
  using ((EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = property_analytics.property_id))));

create table public.property_audits (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  auditor_id uuid not null,
  audit_score smallint,
  risk_level text,
  compliance_status text default 'in_progress'::text not null,
  audit_results jsonb default '{}'::jsonb not null,
  audit_date timestamp with time zone default now() not null,
  next_review_date date,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint property_audits_pkey PRIMARY KEY (id),
  constraint property_audits_compliance_status_is_known CHECK ((compliance_status = ANY (ARRAY['in_progress'::text, 'compliant'::text, 'conditional'::text, 'non_compliant'::text]))),
  constraint property_audits_finished_has_a_score CHECK (((compliance_status = 'in_progress'::text) OR (num_nulls(audit_score, risk_level) = 0))),
  constraint property_audits_results_are_an_object CHECK ((jsonb_typeof(audit_results) = 'object'::text)),
  constraint property_audits_risk_level_is_known CHECK ((risk_level = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text, 'critical'::text]))),
  constraint property_audits_score_is_of_100 CHECK (((audit_score >= 0) AND (audit_score <= 100))),
  constraint property_audits_auditor_id_fkey FOREIGN KEY (auditor_id) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint property_audits_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.property_audits is 'Audits of a property: who, what was checked and found, and the score that follows from the findings.';
comment on column public.property_audits.id is 'Identity of the audit.';
comment on column public.property_audits.property_id is 'The property.';
comment on column public.property_audits.auditor_id is 'The compliance officer who audits.';
comment on column public.property_audits.audit_score is '0 to 100, computed from the findings; null while in progress.';
comment on column public.property_audits.risk_level is 'low, medium, high or critical; null while in progress.';
comment on column public.property_audits.compliance_status is 'in_progress, compliant, conditional or non_compliant.';
comment on column public.property_audits.audit_results is 'Object of scope and checks, each with its finding and the evidence it rests on.';
comment on column public.property_audits.audit_date is 'When the audit began.';
comment on column public.property_audits.next_review_date is 'Day by which it must be made again.';
comment on column public.property_audits.created_at is 'When the row was made.';
comment on column public.property_audits.updated_at is 'When the row last changed.';
CREATE INDEX property_audits_auditor_id_idx ON public.property_audits USING btree (auditor_id);
CREATE INDEX property_audits_property_id_idx ON public.property_audits USING btree (property_id, audit_date DESC);
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_audits REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_audits REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_audits FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_audits REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER property_audits_updated_at BEFORE UPDATE ON public.property_audits FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_audits enable row level security;
grant insert, select, update on public.property_audits to nexus_engine;
grant select on public.property_audits to nexus_staff;
grant select on public.property_audits to service_role;
create policy property_audits_engine on public.property_audits for all to nexus_engine
  using (true)
  with check (true);
create policy property_audits_read_staff on public.property_audits for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.property_document_reviews (
  id uuid default gen_random_uuid() not null,
  document_id uuid not null,
  reviewer_id uuid not null,
  decision text not null,
  reason text,
  reviewed_at timestamp with time zone default now() not null,
  constraint property_document_reviews_pkey PRIMARY KEY (id),
  constraint property_document_reviews_decision_is_known CHECK ((decision = ANY (ARRAY['accepted'::text, 'rejected'::text, 'revoked'::text]))),
  constraint property_document_reviews_reason_is_bounded CHECK ((length(reason) <= 2000)),
  constraint property_document_reviews_refusal_has_a_reason CHECK (((decision = 'accepted'::text) OR COALESCE((reason ~ '\S'::text), false))),
  constraint property_document_reviews_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.property_documents(id) ON DELETE RESTRICT,
  constraint property_document_reviews_reviewer_id_fkey FOREIGN KEY (reviewer_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.property_document_reviews is 'Who accepted, rejected or revoked a document, when and why; the newest counts. Written by nexus.review_document() only.';
comment on column public.property_document_reviews.id is 'Identity of the review.';
comment on column public.property_document_reviews.document_id is 'The document.';
comment on column public.property_document_reviews.reviewer_id is 'The login that decided; never the one that filed it.';
comment on column public.property_document_reviews.decision is 'accepted, rejected or revoked.';
comment on column public.property_document_reviews.reason is 'Why; needed unless accepted.';
comment on column public.property_document_reviews.reviewed_at is 'When.';
CREATE INDEX property_document_reviews_document_id_idx ON public.property_document_reviews USING btree (document_id, reviewed_at DESC);
CREATE INDEX property_document_reviews_reviewer_id_idx ON public.property_document_reviews USING btree (reviewer_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_document_reviews REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_document_reviews REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_document_reviews FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_document_reviews REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER property_document_reviews_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.property_document_reviews FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.property_document_reviews enable row level security;
grant select on public.property_document_reviews to nexus_engine;
grant select on public.property_document_reviews to nexus_staff;
grant select on public.property_document_reviews to service_role;
create policy property_document_reviews_engine on public.property_document_reviews for select to nexus_engine
  using (true);
create policy property_document_reviews_read_staff on public.property_document_reviews for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (document_id IN ( SELECT d.id
   FROM public.property_documents d
  WHERE (d.property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))))));

create table public.property_documents (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  document_name text not null,
  document_type text not null,
  file_url text not null,
  file_type text,
  file_size bigint,
  sha256 bytea,
  source text,
  issued_on date,
  expires_at timestamp with time zone,
  is_public boolean default false not null,
  requires_kyc boolean default false not null,
  review_status text default 'pending'::text not null,
  uploaded_by uuid default auth.uid(),
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint property_documents_pkey PRIMARY KEY (id),
  constraint property_documents_id_property_id_key UNIQUE (id, property_id),
  constraint property_documents_accepted_has_its_digest CHECK (((review_status <> 'accepted'::text) OR (sha256 IS NOT NULL))),
  constraint property_documents_expires_after_issue CHECK ((expires_at > ((issued_on)::timestamp without time zone AT TIME ZONE 'UTC'::text))),
  constraint property_documents_file_is_a_path CHECK ((nexus.is_storage_path(file_url, 'property-evidence'::text) OR nexus.is_storage_path(file_url, 'property-media'::text))),
  constraint property_documents_file_is_of_property CHECK ((split_part(file_url, '/'::text, 2) = (property_id)::text)),
  constraint property_documents_file_size_not_negative CHECK ((file_size >= 0)),
  constraint property_documents_file_type_is_short CHECK ((length(file_type) <= 200)),
  constraint property_documents_name_is_not_blank CHECK (((document_name ~ '\S'::text) AND (length(document_name) <= 300))),
  constraint property_documents_review_status_is_known CHECK ((review_status = ANY (ARRAY['pending'::text, 'accepted'::text, 'rejected'::text, 'revoked'::text]))),
  constraint property_documents_sha256_has_32_bytes CHECK ((length(sha256) = 32)),
  constraint property_documents_source_is_short CHECK ((length(source) <= 500)),
  constraint property_documents_type_is_known CHECK ((document_type = ANY (ARRAY['deed'::text, 'title_search'::text, 'lien_status'::text, 'tax_status'::text, 'insurance'::text, 'permit'::text, 'appraisal'::text, 'entity_papers'::text, 'lease'::text, 'inspection'::text, 'offering'::text, 'other'::text]))),
  constraint property_documents_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint property_documents_uploaded_by_fkey FOREIGN KEY (uploaded_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.property_documents is 'Documents about a property: evidence (deed, insurance, appraisal, ...) and what is published. A new version is a new row. Public rows hold nothing private; who reviewed is in property_document_reviews.';
comment on column public.property_documents.id is 'Identity of the document.';
comment on column public.property_documents.property_id is 'The property it is about.';
comment on column public.property_documents.document_name is 'Name to show.';
comment on column public.property_documents.document_type is 'Kind of evidence: deed, title_search, lien_status, tax_status, insurance, permit, appraisal, entity_papers, lease, inspection, offering, other.';
comment on column public.property_documents.file_url is 'Where the bytes are: property-evidence/<property id>/... (private) or property-media/<property id>/... (public); never a URL.';
comment on column public.property_documents.file_type is 'MIME type.';
comment on column public.property_documents.file_size is 'Size in bytes.';
comment on column public.property_documents.sha256 is 'SHA-256 of the bytes, computed by the server that stored them; null where a client filed the row, which is then no evidence.';
comment on column public.property_documents.source is 'Who issued it.';
comment on column public.property_documents.issued_on is 'Day of issue.';
comment on column public.property_documents.expires_at is 'When it stops being evidence; null: never.';
comment on column public.property_documents.is_public is 'Whether everybody may see it once accepted.';
comment on column public.property_documents.requires_kyc is 'Whether a signed-in person whose identity is verified may see it once accepted.';
comment on column public.property_documents.review_status is 'pending, accepted, rejected or revoked: a copy of the newest review, written with it.';
comment on column public.property_documents.uploaded_by is 'The login that filed it.';
comment on column public.property_documents.created_at is 'When it was filed.';
comment on column public.property_documents.updated_at is 'When the row last changed.';
CREATE INDEX property_documents_expires_at_idx ON public.property_documents USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX property_documents_property_id_idx ON public.property_documents USING btree (property_id);
CREATE INDEX property_documents_uploaded_by_idx ON public.property_documents USING btree (uploaded_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_documents REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_documents REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_documents FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_documents REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER property_documents_updated_at BEFORE UPDATE ON public.property_documents FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_documents enable row level security;
grant select on public.property_documents to anon;
grant select on public.property_documents to authenticated;
grant insert (id, property_id, document_name, document_type, file_url, file_type, file_size, sha256, source, issued_on, expires_at, is_public, requires_kyc, uploaded_by, created_at) on public.property_documents to nexus_engine;
grant select on public.property_documents to nexus_engine;
grant update (document_name, is_public, requires_kyc) on public.property_documents to nexus_engine;
grant insert (property_id, document_name, document_type, file_url, source, issued_on, expires_at, is_public, requires_kyc, uploaded_by) on public.property_documents to nexus_staff;
grant insert (property_id, document_name, document_type, file_url, source, issued_on, expires_at, is_public, requires_kyc, uploaded_by) on public.property_documents to service_role;
grant select on public.property_documents to service_role;
create policy property_documents_engine on public.property_documents for all to nexus_engine
  using (true)
  with check (true);
create policy property_documents_insert_manager on public.property_documents for insert to nexus_staff
  with check (((property_id = ANY (( SELECT nexus.managed_property_ids() AS managed_property_ids)::uuid[])) AND (uploaded_by = ( SELECT auth.uid() AS uid)) AND (review_status = 'pending'::text)));
create policy property_documents_read_public on public.property_documents for select to anon
  using ((is_public AND (review_status = 'accepted'::text) AND (EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = property_documents.property_id)))));
create policy property_documents_read_signed_in on public.property_documents for select to authenticated
  using (((review_status = 'accepted'::text) AND (is_public OR (requires_kyc AND ( SELECT nexus.has_approved_kyc() AS has_approved_kyc))) AND (EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = property_documents.property_id)))));
create policy property_documents_read_staff on public.property_documents for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.property_gates (
  property_id uuid not null,
  constraint property_gates_pkey PRIMARY KEY (property_id),
  constraint property_gates_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.property_gates is 'The row of a property that is locked whenever evidence is decided about or relied on. It says nothing else.';
comment on column public.property_gates.property_id is 'The property.';
alter table public.property_gates enable row level security;
grant select on public.property_gates to nexus_engine;
create policy property_gates_engine on public.property_gates for select to nexus_engine
  using (true);

create table public.property_members (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  user_id uuid not null,
  capacity text not null,
  is_active boolean default true not null,
  added_by uuid default auth.uid(),
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint property_members_pkey PRIMARY KEY (id),
  constraint property_members_once_a_capacity UNIQUE (user_id, property_id, capacity),
  constraint property_members_capacity_is_known CHECK ((capacity = ANY (ARRAY['owner'::text, 'manager'::text, 'agent'::text]))),
  constraint property_members_added_by_fkey FOREIGN KEY (added_by) REFERENCES auth.users(id) ON DELETE SET NULL,
  constraint property_members_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id),
  constraint property_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.property_members is 'Who acts for a property. Every right of a property manager rests on an active row here: owner and manager may edit, agent may look.';
comment on column public.property_members.id is 'Identity of the membership.';
comment on column public.property_members.property_id is 'The property.';
comment on column public.property_members.user_id is 'The login that acts for it.';
comment on column public.property_members.capacity is 'owner (its sponsor), manager (runs it) or agent (sees it).';
comment on column public.property_members.is_active is 'False once ended.';
comment on column public.property_members.added_by is 'Who added the member; null when the operator or the system did.';
comment on column public.property_members.created_at is 'When the member was added.';
comment on column public.property_members.updated_at is 'When the row last changed.';
CREATE INDEX property_members_added_by_idx ON public.property_members USING btree (added_by);
CREATE INDEX property_members_property_id_idx ON public.property_members USING btree (property_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_members REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_members REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_members FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_members REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER property_members_updated_at BEFORE UPDATE ON public.property_members FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_members enable row level security;
grant select on public.property_members to authenticated;
grant insert, select, update on public.property_members to nexus_engine;
grant insert (property_id, user_id, capacity) on public.property_members to nexus_staff;
grant update (is_active) on public.property_members to nexus_staff;
grant delete, insert, select, update on public.property_members to service_role;
create policy property_members_engine on public.property_members for all to nexus_engine
  using (true)
  with check (true);
create policy property_members_insert_admin on public.property_members for insert to nexus_staff
  with check ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) AND (user_id <> ( SELECT auth.uid() AS uid))));
create policy property_members_read_own on public.property_members for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy property_members_read_staff on public.property_members for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));
create policy property_members_update_admin on public.property_members for update to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) AND (user_id <> ( SELECT auth.uid() AS uid))))
  with check ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) AND (user_id <> ( SELECT auth.uid() AS uid))));

create table public.property_performance (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  report_date date not null,
  period_from date,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  valuation_minor bigint,
  valuation numeric generated always as (nexus.from_minor(valuation_minor, (currency_decimals)::integer)) stored,
  rental_income_minor bigint default 0 not null,
  rental_income numeric generated always as (nexus.from_minor(rental_income_minor, (currency_decimals)::integer)) stored,
  maintenance_costs_minor bigint default 0 not null,
  maintenance_costs numeric generated always as (nexus.from_minor(maintenance_costs_minor, (currency_decimals)::integer)) stored,
  net_operating_income_minor bigint,
  net_operating_income numeric generated always as (nexus.from_minor(net_operating_income_minor, (currency_decimals)::integer)) stored,
  let_days integer,
  occupancy_rate numeric,
  market_performance numeric,
  roi_percentage numeric,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint property_performance_pkey PRIMARY KEY (id),
  constraint property_performance_once_a_day UNIQUE (property_id, report_date),
  constraint property_performance_costs_are_an_amount CHECK (((maintenance_costs_minor >= 0) AND (maintenance_costs_minor <= '9007199254740991'::bigint))),
  constraint property_performance_let_within_the_period CHECK (((let_days >= 0) AND (let_days <= ((report_date - period_from) + 1)))),
  constraint property_performance_net_is_exact CHECK ((abs(net_operating_income_minor) <= '9007199254740991'::bigint)),
  constraint property_performance_occupancy_is_a_percentage CHECK (((occupancy_rate >= (0)::numeric) AND (occupancy_rate <= (100)::numeric))),
  constraint property_performance_period_is_forward CHECK ((period_from <= report_date)),
  constraint property_performance_rates_are_numbers CHECK (((abs(market_performance) < (1000000)::numeric) AND (abs(roi_percentage) < (1000000)::numeric))),
  constraint property_performance_rent_is_an_amount CHECK (((rental_income_minor >= 0) AND (rental_income_minor <= '9007199254740991'::bigint))),
  constraint property_performance_valuation_is_an_amount CHECK (((valuation_minor >= 0) AND (valuation_minor <= '9007199254740991'::bigint))),
  constraint property_performance_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint property_performance_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.property_performance is 'What a property received and cost in the period that ends at report_date, and what it was valued at. Written by commands only.';
comment on column public.property_performance.id is 'Identity of the record.';
comment on column public.property_performance.property_id is 'The property.';
comment on column public.property_performance.report_date is 'Last day of the period.';
comment on column public.property_performance.period_from is 'First day of the period; null where it is not known.';
comment on column public.property_performance.currency is 'Currency of the amounts.';
comment on column public.property_performance.currency_decimals is 'Decimals of that currency.';
comment on column public.property_performance.valuation_minor is 'Newest valuation of that day or before as it was known when the period was approved, in smallest units; null without one.';
comment on column public.property_performance.valuation is 'Newest valuation of that day or before; derived.';
comment on column public.property_performance.rental_income_minor is 'Rent received in the period, in smallest units.';
comment on column public.property_performance.rental_income is 'Rent received in the period; derived.';
comment on column public.property_performance.maintenance_costs_minor is 'Maintenance paid in the period, in smallest units.';
comment on column public.property_performance.maintenance_costs is 'Maintenance paid in the period; derived.';
comment on column public.property_performance.net_operating_income_minor is 'Rent less what running the property cost in the period: taxes, insurance, maintenance, manager, platform, and not the reserve; in smallest units, below zero where costs were more. Null where it is not known.';
comment on column public.property_performance.net_operating_income is 'Rent less what running the property cost; derived.';
comment on column public.property_performance.let_days is 'On how many of the period''s days it was let, as the manager said; null where he did not.';
comment on column public.property_performance.occupancy_rate is 'Part of the period''s days on which it was let, in percent; null where it is not known.';
comment on column public.property_performance.market_performance is 'Change of the local market in the period, in percent; null, since nothing says of which market a property is.';
comment on column public.property_performance.roi_percentage is 'Net operating income of the period over the valuation, in percent, not annualised; null where either is not known.';
comment on column public.property_performance.created_at is 'When it was recorded.';
comment on column public.property_performance.updated_at is 'When the row last changed.';
CREATE INDEX property_performance_currency_idx ON public.property_performance USING btree (currency, currency_decimals);
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_performance REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_performance REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_performance FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_performance REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER note_inserts AFTER INSERT ON public.property_performance REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_earnings();
CREATE TRIGGER note_updates AFTER UPDATE ON public.property_performance REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_earnings();
CREATE TRIGGER property_performance_updated_at BEFORE UPDATE ON public.property_performance FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_performance enable row level security;
grant select on public.property_performance to anon;
grant select on public.property_performance to authenticated;
grant insert, select, update on public.property_performance to nexus_engine;
grant select on public.property_performance to service_role;
create policy property_performance_engine on public.property_performance for all to nexus_engine
  using (true)
  with check (true);
create policy property_performance_read_of_visible_property on public.property_performance for select to anon, authenticated
  using ((EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = property_performance.property_id))));

create table public.property_returns (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  investment_id uuid not null,
  user_id uuid not null,
  return_type text not null,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  amount_minor bigint not null,
  amount numeric generated always as (nexus.from_minor(amount_minor, (currency_decimals)::integer)) stored,
  return_date date not null,
  description text,
  status text default 'declared'::text not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  distribution_line_id uuid,
  lot_id uuid,
  constraint property_returns_pkey PRIMARY KEY (id),
  constraint property_returns_once_a_lot UNIQUE (distribution_line_id, lot_id),
  constraint property_returns_amount_is_exact CHECK (((amount_minor >= 0) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint property_returns_description_is_bounded CHECK ((length(description) <= 1000)),
  constraint property_returns_line_has_its_lot CHECK (((distribution_line_id IS NULL) = (lot_id IS NULL))),
  constraint property_returns_status_is_known CHECK ((status = ANY (ARRAY['declared'::text, 'payable'::text, 'paid'::text, 'failed'::text, 'withheld'::text]))),
  constraint property_returns_type_is_known CHECK ((return_type = ANY (ARRAY['rental_income'::text, 'appreciation'::text, 'distribution'::text]))),
  constraint property_returns_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint property_returns_distribution_line_id_fkey FOREIGN KEY (distribution_line_id) REFERENCES public.distribution_lines(id) ON DELETE RESTRICT,
  constraint property_returns_investment_id_fkey FOREIGN KEY (investment_id) REFERENCES public.investments(id) ON DELETE RESTRICT,
  constraint property_returns_lot_id_fkey FOREIGN KEY (lot_id) REFERENCES public.lots(id) ON DELETE RESTRICT,
  constraint property_returns_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint property_returns_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.property_returns is 'What an investment brought its holder: his line of a distribution, split over his lots. Written by commands only, the service included.';
comment on column public.property_returns.id is 'Identity of the return.';
comment on column public.property_returns.property_id is 'The property that earned it.';
comment on column public.property_returns.investment_id is 'The investment that it is for.';
comment on column public.property_returns.user_id is 'The login of the holder.';
comment on column public.property_returns.return_type is 'rental_income, appreciation or distribution.';
comment on column public.property_returns.currency is 'Currency of the amount.';
comment on column public.property_returns.currency_decimals is 'Decimals of that currency.';
comment on column public.property_returns.amount_minor is 'Amount in smallest units.';
comment on column public.property_returns.amount is 'Amount; derived.';
comment on column public.property_returns.return_date is 'Business date.';
comment on column public.property_returns.description is 'What it is for, for people.';
comment on column public.property_returns.status is 'declared, payable, paid, failed (payable again) or withheld.';
comment on column public.property_returns.created_at is 'When it was declared.';
comment on column public.property_returns.updated_at is 'When the row last changed.';
comment on column public.property_returns.distribution_line_id is 'The line of which it is a part.';
comment on column public.property_returns.lot_id is 'The lot that it is for.';
CREATE INDEX property_returns_currency_idx ON public.property_returns USING btree (currency, currency_decimals);
CREATE INDEX property_returns_investment_id_idx ON public.property_returns USING btree (investment_id);
CREATE INDEX property_returns_lot_id_idx ON public.property_returns USING btree (lot_id);
CREATE INDEX property_returns_property_id_idx ON public.property_returns USING btree (property_id, return_date DESC);
CREATE INDEX property_returns_user_id_idx ON public.property_returns USING btree (user_id, return_date DESC);
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_returns REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_returns REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_returns FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_returns REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER note_inserts AFTER INSERT ON public.property_returns FOR EACH ROW WHEN ((new.status = 'paid'::text)) EXECUTE FUNCTION nexus.note_returned();
CREATE TRIGGER note_updates AFTER UPDATE ON public.property_returns REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_returns();
CREATE TRIGGER property_returns_updated_at BEFORE UPDATE ON public.property_returns FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_returns enable row level security;
grant select on public.property_returns to authenticated;
grant insert, select, update on public.property_returns to nexus_engine;
grant select on public.property_returns to service_role;
create policy property_returns_engine on public.property_returns for all to nexus_engine
  using (true)
  with check (true);
create policy property_returns_read_own on public.property_returns for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy property_returns_read_staff on public.property_returns for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.property_token_supply (
  property_token_id uuid not null,
  authorised_units bigint not null,
  available_units bigint not null,
  pending_units bigint default 0 not null,
  paid_units bigint default 0 not null,
  held_units bigint default 0 not null,
  treasury_units bigint default 0 not null,
  burned_units bigint default 0 not null,
  offering_id uuid,
  offering_left_units bigint default 0 not null,
  constraint property_token_supply_pkey PRIMARY KEY (property_token_id),
  constraint property_token_supply_adds_up CHECK ((authorised_units = (((((available_units + pending_units) + paid_units) + held_units) + treasury_units) + burned_units))),
  constraint property_token_supply_is_exact CHECK (((authorised_units >= 1) AND (authorised_units <= '9007199254740991'::bigint))),
  constraint property_token_supply_left_is_of_an_offering CHECK (((offering_id IS NOT NULL) OR (offering_left_units = 0))),
  constraint property_token_supply_not_oversold CHECK ((offering_left_units >= 0)),
  constraint property_token_supply_parts_not_negative CHECK ((LEAST(available_units, pending_units, paid_units, held_units, treasury_units, burned_units) >= 0)),
  constraint property_token_supply_token_fkey FOREIGN KEY (property_token_id) REFERENCES public.property_tokens(id) ON DELETE RESTRICT
);
comment on table public.property_token_supply is 'Where the tokens of a property are (L3), and what its running offering can still sell (L4). Narrow and without further indexes, because every purchase locks and changes it; what other tables show is copied from here in the same transaction.';
comment on column public.property_token_supply.property_token_id is 'The token.';
comment on column public.property_token_supply.authorised_units is 'All tokens that may exist, in smallest units.';
comment on column public.property_token_supply.available_units is 'Can be reserved.';
comment on column public.property_token_supply.pending_units is 'Reserved without money.';
comment on column public.property_token_supply.paid_units is 'Reserved, with the money in escrow.';
comment on column public.property_token_supply.held_units is 'Held by parties: tokens_issued.';
comment on column public.property_token_supply.treasury_units is 'Kept by the issuer.';
comment on column public.property_token_supply.burned_units is 'Taken out for ever.';
comment on column public.property_token_supply.offering_id is 'The offering that is running: one at a time.';
comment on column public.property_token_supply.offering_left_units is 'What it can still sell: its hard cap less what is pending, paid and confirmed of it.';
alter table public.property_token_supply enable row level security;
grant insert, select, update on public.property_token_supply to nexus_engine;
grant select on public.property_token_supply to nexus_staff;
grant select on public.property_token_supply to service_role;
create policy property_token_supply_engine on public.property_token_supply for all to nexus_engine
  using (true)
  with check (true);
create policy property_token_supply_read_staff on public.property_token_supply for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.property_tokens (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  name text,
  symbol text,
  token_decimals smallint default 0 not null,
  total_supply_units bigint not null,
  total_supply numeric generated always as (nexus.from_minor(total_supply_units, (token_decimals)::integer)) stored,
  available_supply_units bigint not null,
  available_supply numeric generated always as (nexus.from_minor(available_supply_units, (token_decimals)::integer)) stored,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  initial_price_minor bigint not null,
  initial_price numeric generated always as (nexus.from_minor(initial_price_minor, (currency_decimals)::integer)) stored,
  current_price_minor bigint not null,
  current_price numeric generated always as (nexus.from_minor(current_price_minor, (currency_decimals)::integer)) stored,
  status text default 'draft'::text not null,
  settlement text default 'register'::text not null,
  chain_id bigint,
  contract_address text,
  token_address text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint property_tokens_pkey PRIMARY KEY (id),
  constraint property_tokens_id_property_id_key UNIQUE (id, property_id),
  constraint property_tokens_address_has_a_chain CHECK ((num_nulls(chain_id, contract_address, token_address) = ANY (ARRAY[0, 3]))),
  constraint property_tokens_addresses_are_evm CHECK (((contract_address ~ '^0x[0-9a-fA-F]{40}$'::text) AND (token_address ~ '^0x[0-9a-fA-F]{40}$'::text))),
  constraint property_tokens_available_within_total CHECK (((available_supply_units >= 0) AND (available_supply_units <= total_supply_units))),
  constraint property_tokens_current_price_is_an_amount CHECK (((current_price_minor >= 1) AND (current_price_minor <= '9007199254740991'::bigint))),
  constraint property_tokens_decimals_fit_a_bigint CHECK (((token_decimals >= 0) AND (token_decimals <= 6))),
  constraint property_tokens_initial_price_is_an_amount CHECK (((initial_price_minor >= 1) AND (initial_price_minor <= '9007199254740991'::bigint))),
  constraint property_tokens_name_is_bounded CHECK (((name ~ '\S'::text) AND (length(name) <= 200))),
  constraint property_tokens_settlement_is_known CHECK ((settlement = ANY (ARRAY['register'::text, 'chain'::text]))),
  constraint property_tokens_status_is_known CHECK ((status = ANY (ARRAY['draft'::text, 'active'::text, 'launched'::text, 'wound_up'::text]))),
  constraint property_tokens_symbol_is_bounded CHECK ((symbol ~ '^[A-Za-z0-9._-]{1,64}$'::text)),
  constraint property_tokens_total_supply_is_exact CHECK (((total_supply_units >= 1) AND (total_supply_units <= '9007199254740991'::bigint))),
  constraint property_tokens_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint property_tokens_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.property_tokens is 'The share class of one property: supply, price and contract. Written by commands only, the service included.';
comment on column public.property_tokens.id is 'Identity of the token.';
comment on column public.property_tokens.property_id is 'The property it is a share of.';
comment on column public.property_tokens.name is 'Name that wallets show.';
comment on column public.property_tokens.symbol is 'Symbol that wallets show; not unique.';
comment on column public.property_tokens.token_decimals is 'Decimals of the token: 0 unless configured, the same on chain.';
comment on column public.property_tokens.total_supply_units is 'All tokens there can be, in smallest units.';
comment on column public.property_tokens.total_supply is 'All tokens there can be; derived.';
comment on column public.property_tokens.available_supply_units is 'Tokens not yet reserved or held, in smallest units: a copy of the deciding counter, written with it.';
comment on column public.property_tokens.available_supply is 'Tokens not yet reserved or held; derived.';
comment on column public.property_tokens.currency is 'Currency of the prices.';
comment on column public.property_tokens.currency_decimals is 'Decimals of that currency.';
comment on column public.property_tokens.initial_price_minor is 'Price of one whole token at first sale, in smallest units.';
comment on column public.property_tokens.initial_price is 'Price of one whole token at first sale; derived.';
comment on column public.property_tokens.current_price_minor is 'Price of one whole token now, in smallest units.';
comment on column public.property_tokens.current_price is 'Price of one whole token now; derived.';
comment on column public.property_tokens.status is 'draft (being set up), active (configured), launched (on sale or sold) or wound_up (the property is sold, all tokens are taken out).';
comment on column public.property_tokens.settlement is 'register: the register alone says who holds; chain: a contract mirrors it.';
comment on column public.property_tokens.chain_id is 'EVM chain of the addresses; null while settled in the register alone.';
comment on column public.property_tokens.contract_address is 'The contract that governs the token, as the chain gave it.';
comment on column public.property_tokens.token_address is 'The contract that wallets see; equal to contract_address where one contract is both.';
comment on column public.property_tokens.created_at is 'When the row was made.';
comment on column public.property_tokens.updated_at is 'When the row last changed.';
CREATE UNIQUE INDEX property_tokens_contract_address_key ON public.property_tokens USING btree (chain_id, lower(contract_address));
CREATE INDEX property_tokens_currency_idx ON public.property_tokens USING btree (currency, currency_decimals);
CREATE INDEX property_tokens_property_id_idx ON public.property_tokens USING btree (property_id);
CREATE UNIQUE INDEX property_tokens_token_address_key ON public.property_tokens USING btree (chain_id, lower(token_address));
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_tokens REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_tokens REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_tokens FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_tokens REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER note_price AFTER UPDATE OF current_price_minor ON public.property_tokens FOR EACH ROW WHEN ((new.current_price_minor IS DISTINCT FROM old.current_price_minor)) EXECUTE FUNCTION nexus.note_one('price');
CREATE TRIGGER property_tokens_updated_at BEFORE UPDATE ON public.property_tokens FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_tokens enable row level security;
grant select on public.property_tokens to anon;
grant select on public.property_tokens to authenticated;
grant insert, select, update on public.property_tokens to nexus_engine;
grant select on public.property_tokens to service_role;
create policy property_tokens_engine on public.property_tokens for all to nexus_engine
  using (true)
  with check (true);
create policy property_tokens_read_of_visible_property on public.property_tokens for select to anon, authenticated
  using (((status <> 'draft'::text) AND (EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = property_tokens.property_id)))));
create policy property_tokens_read_staff on public.property_tokens for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.property_valuations (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  valued_on date not null,
  currency text default 'USD'::text not null,
  currency_decimals smallint default 2 not null,
  amount_minor bigint not null,
  amount numeric generated always as (nexus.from_minor(amount_minor, (currency_decimals)::integer)) stored,
  basis text not null,
  source text not null,
  reference text not null,
  evidence_id uuid,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint property_valuations_pkey PRIMARY KEY (id),
  constraint property_valuations_once_a_reference UNIQUE (property_id, source, reference),
  constraint property_valuations_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint property_valuations_basis_is_known CHECK ((basis = ANY (ARRAY['sale'::text, 'appraisal'::text, 'estimate'::text]))),
  constraint property_valuations_reference_is_said CHECK (((reference ~ '\S'::text) AND (length(reference) <= 200))),
  constraint property_valuations_source_is_said CHECK (((source ~ '\S'::text) AND (length(source) <= 200))),
  constraint property_valuations_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint property_valuations_evidence_id_fkey FOREIGN KEY (evidence_id, property_id) REFERENCES public.property_documents(id, property_id) ON DELETE RESTRICT,
  constraint property_valuations_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.property_valuations is 'Dated valuations of properties, each with its source. A sale that happened is one; an asking price is none. Written by commands only.';
comment on column public.property_valuations.id is 'Identity of the valuation.';
comment on column public.property_valuations.property_id is 'The property.';
comment on column public.property_valuations.valued_on is 'The day that the amount holds for.';
comment on column public.property_valuations.currency is 'Currency of the amount.';
comment on column public.property_valuations.currency_decimals is 'Decimals of that currency.';
comment on column public.property_valuations.amount_minor is 'What the whole property was worth, in smallest units.';
comment on column public.property_valuations.amount is 'What the whole property was worth; derived.';
comment on column public.property_valuations.basis is 'What it rests on: sale (it was sold for this), appraisal (somebody competent says so) or estimate (a model or an index does).';
comment on column public.property_valuations.source is 'Who says so: a public record, an appraiser, a model.';
comment on column public.property_valuations.reference is 'How the source names this valuation: number of the sale or report.';
comment on column public.property_valuations.evidence_id is 'The document that shows it; null where a public record does.';
comment on column public.property_valuations.created_at is 'When it was recorded here.';
comment on column public.property_valuations.updated_at is 'When the row last changed.';
CREATE INDEX property_valuations_currency_idx ON public.property_valuations USING btree (currency, currency_decimals);
CREATE INDEX property_valuations_evidence_id_idx ON public.property_valuations USING btree (evidence_id, property_id);
CREATE INDEX property_valuations_property_id_valued_on_idx ON public.property_valuations USING btree (property_id, valued_on DESC);
CREATE TRIGGER log_deletes AFTER DELETE ON public.property_valuations REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.property_valuations REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.property_valuations FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.property_valuations REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER note_inserts AFTER INSERT ON public.property_valuations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_earnings();
CREATE TRIGGER note_updates AFTER UPDATE ON public.property_valuations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION nexus.note_earnings();
CREATE TRIGGER property_valuations_updated_at BEFORE UPDATE ON public.property_valuations FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.property_valuations enable row level security;
grant select on public.property_valuations to anon;
grant select on public.property_valuations to authenticated;
grant insert, select, update on public.property_valuations to nexus_engine;
grant select on public.property_valuations to service_role;
create policy property_valuations_engine on public.property_valuations for all to nexus_engine
  using (true)
  with check (true);
create policy property_valuations_read_of_visible_property on public.property_valuations for select to anon, authenticated
  using ((EXISTS ( SELECT
   FROM public.properties p
  WHERE (p.id = property_valuations.property_id))));

create table public.redemptions (
  id uuid not null,
  case_id uuid not null,
  party_id uuid not null,
  user_id uuid not null,
  property_id uuid not null,
  property_token_id uuid not null,
  token_decimals smallint not null,
  units bigint not null,
  token_amount numeric generated always as (nexus.from_minor(units, (token_decimals)::integer)) stored,
  currency text not null,
  currency_decimals smallint not null,
  amount_minor bigint not null,
  amount numeric generated always as (nexus.from_minor(amount_minor, (currency_decimals)::integer)) stored,
  entry_id bigint not null,
  status text not null,
  created_at timestamp with time zone not null,
  constraint redemptions_pkey PRIMARY KEY (id),
  constraint redemptions_one_a_holder UNIQUE (case_id, party_id),
  constraint redemptions_amount_is_an_amount CHECK (((amount_minor >= 0) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint redemptions_status_is_known CHECK ((status = ANY (ARRAY['payable'::text, 'sent'::text, 'paid'::text, 'failed'::text]))),
  constraint redemptions_units_are_exact CHECK (((units >= 1) AND (units <= '9007199254740991'::bigint))),
  constraint redemptions_case_id_fkey FOREIGN KEY (case_id) REFERENCES public.holding_cases(id) ON DELETE RESTRICT,
  constraint redemptions_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint redemptions_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entries(id) ON DELETE RESTRICT,
  constraint redemptions_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint redemptions_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT,
  constraint redemptions_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.redemptions is 'A holder''s tokens taken out for ever, and the money owed to him for them: by a redemption, or by the winding up of the property.';
comment on column public.redemptions.id is 'Identity of the redemption.';
comment on column public.redemptions.case_id is 'The case by which it came.';
comment on column public.redemptions.party_id is 'The holder.';
comment on column public.redemptions.user_id is 'The login that acts for him.';
comment on column public.redemptions.property_id is 'The property that pays.';
comment on column public.redemptions.property_token_id is 'Its token.';
comment on column public.redemptions.token_decimals is 'Decimals of the token.';
comment on column public.redemptions.units is 'Tokens taken out, in smallest units.';
comment on column public.redemptions.token_amount is 'Tokens taken out.';
comment on column public.redemptions.currency is 'Currency of the amount.';
comment on column public.redemptions.currency_decimals is 'Decimals of that currency.';
comment on column public.redemptions.amount_minor is 'What is owed for them, in smallest units; 0 where his part is below one.';
comment on column public.redemptions.amount is 'What is owed for them.';
comment on column public.redemptions.entry_id is 'The ledger entry.';
comment on column public.redemptions.status is 'payable, sent, paid or failed; docs/STATES.md.';
comment on column public.redemptions.created_at is 'When the tokens went.';
CREATE INDEX redemptions_currency_idx ON public.redemptions USING btree (currency, currency_decimals);
CREATE INDEX redemptions_entry_id_idx ON public.redemptions USING btree (entry_id);
CREATE INDEX redemptions_party_id_idx ON public.redemptions USING btree (party_id);
CREATE INDEX redemptions_property_token_id_idx ON public.redemptions USING btree (property_token_id, property_id);
CREATE INDEX redemptions_user_id_idx ON public.redemptions USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.redemptions REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.redemptions REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.redemptions FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.redemptions REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.redemptions enable row level security;
grant select on public.redemptions to authenticated;
grant insert, select on public.redemptions to nexus_engine;
grant update (status) on public.redemptions to nexus_engine;
grant select on public.redemptions to service_role;
create policy redemptions_engine on public.redemptions for all to nexus_engine
  using (true)
  with check (true);
create policy redemptions_read_own on public.redemptions for select to authenticated
  using ((party_id = ( SELECT nexus.party_id() AS party_id)));
create policy redemptions_read_staff on public.redemptions for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.refunds (
  id uuid not null,
  payment_id uuid not null,
  investment_id uuid,
  property_id uuid not null,
  user_id uuid,
  currency text not null,
  currency_decimals smallint not null,
  amount_minor bigint not null,
  amount numeric generated always as (nexus.from_minor(amount_minor, (currency_decimals)::integer)) stored,
  reason text not null,
  status text default 'due'::text not null,
  is_settled boolean not null,
  provider_ref text,
  attempts integer default 0 not null,
  due_at timestamp with time zone not null,
  sent_at timestamp with time zone,
  confirmed_at timestamp with time zone,
  failed_at timestamp with time zone,
  failure text,
  retry_asked_by uuid,
  retry_approved_by uuid,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint refunds_pkey PRIMARY KEY (id),
  constraint refunds_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint refunds_attempts_not_negative CHECK ((attempts >= 0)),
  constraint refunds_confirmed_has_a_date CHECK (((status = 'confirmed'::text) = (confirmed_at IS NOT NULL))),
  constraint refunds_failed_says_why CHECK (((status <> 'failed'::text) OR ((failed_at IS NOT NULL) AND (failure ~ '\S'::text)))),
  constraint refunds_failure_is_bounded CHECK ((length(failure) <= 2000)),
  constraint refunds_provider_ref_is_bounded CHECK ((length(provider_ref) <= 200)),
  constraint refunds_reason_is_known CHECK ((reason = ANY (ARRAY['overpaid'::text, 'underpaid'::text, 'late'::text, 'duplicate'::text, 'wrong_currency'::text, 'unmatched'::text, 'withdrawn'::text, 'offering_failed'::text]))),
  constraint refunds_retry_takes_two CHECK ((retry_asked_by <> retry_approved_by)),
  constraint refunds_sent_has_a_date CHECK (((status <> 'sent'::text) OR (sent_at IS NOT NULL))),
  constraint refunds_status_is_known CHECK ((status = ANY (ARRAY['due'::text, 'sent'::text, 'confirmed'::text, 'failed'::text]))),
  constraint refunds_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint refunds_investment_id_fkey FOREIGN KEY (investment_id) REFERENCES public.investments(id) ON DELETE RESTRICT,
  constraint refunds_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES public.payments(id) ON DELETE RESTRICT,
  constraint refunds_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint refunds_retry_approved_by_fkey FOREIGN KEY (retry_approved_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint refunds_retry_asked_by_fkey FOREIGN KEY (retry_asked_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint refunds_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.refunds is 'Money on its way back by the payment''s own instrument. Asked of the rail under its id, so that asking again is the same refund; confirmed only when the rail says so.';
comment on column public.refunds.id is 'Identity of the refund, and the key under which the rail is asked.';
comment on column public.refunds.payment_id is 'The payment that goes back, or a part of it.';
comment on column public.refunds.investment_id is 'The investment whose charge goes back; null of money that paid nothing.';
comment on column public.refunds.property_id is 'The property whose accounts it leaves.';
comment on column public.refunds.user_id is 'Who gets it, where that is known.';
comment on column public.refunds.currency is 'Its currency.';
comment on column public.refunds.currency_decimals is 'Decimals of that currency.';
comment on column public.refunds.amount_minor is 'What goes back, in smallest units.';
comment on column public.refunds.amount is 'What goes back.';
comment on column public.refunds.reason is 'Why it goes back.';
comment on column public.refunds.status is 'due, sent, confirmed or failed; docs/STATES.md.';
comment on column public.refunds.is_settled is 'Whether the money is with the custodian (refund_payable) or still with the provider (psp_refund_payable).';
comment on column public.refunds.provider_ref is 'The rail''s own name of the refund.';
comment on column public.refunds.attempts is 'How often the rail was asked.';
comment on column public.refunds.due_at is 'When the rail is to be asked, or asked about it.';
comment on column public.refunds.sent_at is 'When the rail was first asked.';
comment on column public.refunds.confirmed_at is 'When the rail confirmed.';
comment on column public.refunds.failed_at is 'When the rail said that it could not.';
comment on column public.refunds.failure is 'What the rail said.';
comment on column public.refunds.retry_asked_by is 'Who asked that a failed one is tried again.';
comment on column public.refunds.retry_approved_by is 'Who approved that: another person.';
comment on column public.refunds.created_at is 'When it came to be owed.';
comment on column public.refunds.updated_at is 'When the row last changed.';
CREATE INDEX refunds_currency_idx ON public.refunds USING btree (currency, currency_decimals);
CREATE INDEX refunds_due_idx ON public.refunds USING btree (due_at, id) WHERE (status = ANY (ARRAY['due'::text, 'sent'::text]));
CREATE INDEX refunds_investment_id_idx ON public.refunds USING btree (investment_id);
CREATE INDEX refunds_payment_id_idx ON public.refunds USING btree (payment_id);
CREATE INDEX refunds_property_id_idx ON public.refunds USING btree (property_id);
CREATE INDEX refunds_retry_approved_by_idx ON public.refunds USING btree (retry_approved_by);
CREATE INDEX refunds_retry_asked_by_idx ON public.refunds USING btree (retry_asked_by);
CREATE INDEX refunds_user_id_idx ON public.refunds USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.refunds REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.refunds REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.refunds FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.refunds REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER refunds_updated_at BEFORE UPDATE ON public.refunds FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.refunds enable row level security;
grant select on public.refunds to authenticated;
grant insert, select, update on public.refunds to nexus_engine;
grant select on public.refunds to service_role;
create policy refunds_engine on public.refunds for all to nexus_engine
  using (true)
  with check (true);
create policy refunds_read_own on public.refunds for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy refunds_read_staff on public.refunds for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.rent_lines (
  id uuid not null,
  period_id uuid not null,
  property_id uuid not null,
  account_ref text not null,
  bank_reference text not null,
  kind text not null,
  amount_minor bigint not null,
  booked_on date not null,
  paid_for text not null,
  document_id uuid,
  is_void boolean default false not null,
  created_at timestamp with time zone not null,
  constraint rent_lines_pkey PRIMARY KEY (id),
  constraint rent_lines_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint rent_lines_kind_is_known CHECK ((kind = ANY (ARRAY['rent'::text, 'taxes'::text, 'insurance'::text, 'maintenance'::text, 'manager'::text]))),
  constraint rent_lines_texts_are_bounded CHECK ((((length(account_ref) >= 1) AND (length(account_ref) <= 100)) AND ((length(bank_reference) >= 1) AND (length(bank_reference) <= 300)) AND (paid_for ~ '\S'::text) AND (length(paid_for) <= 1000))),
  constraint rent_lines_document_fkey FOREIGN KEY (document_id, property_id) REFERENCES public.property_documents(id, property_id) ON DELETE RESTRICT,
  constraint rent_lines_period_fkey FOREIGN KEY (period_id, property_id) REFERENCES public.rent_periods(id, property_id) ON DELETE RESTRICT
);
comment on table public.rent_lines is 'Lines of a property''s bank statement: rent that came in and costs that went out. Each line of the bank counts once.';
comment on column public.rent_lines.id is 'Identity of the line.';
comment on column public.rent_lines.period_id is 'The period in which it counts.';
comment on column public.rent_lines.property_id is 'Its property.';
comment on column public.rent_lines.account_ref is 'The bank''s name of the account, not its full number.';
comment on column public.rent_lines.bank_reference is 'The bank''s reference of the line.';
comment on column public.rent_lines.kind is 'rent (it came in), or what it paid: taxes, insurance, maintenance, manager.';
comment on column public.rent_lines.amount_minor is 'How much, in smallest units.';
comment on column public.rent_lines.booked_on is 'The day on which the bank booked it.';
comment on column public.rent_lines.paid_for is 'What it paid for, in words: the tenant and month, the bill.';
comment on column public.rent_lines.document_id is 'The bill or lease.';
comment on column public.rent_lines.is_void is 'Whether its period was rejected: then it can be recorded again.';
comment on column public.rent_lines.created_at is 'When it was recorded.';
CREATE INDEX rent_lines_document_idx ON public.rent_lines USING btree (document_id, property_id);
CREATE UNIQUE INDEX rent_lines_each_once_key ON public.rent_lines USING btree (property_id, account_ref, bank_reference) WHERE (NOT is_void);
CREATE INDEX rent_lines_period_idx ON public.rent_lines USING btree (period_id, property_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.rent_lines REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.rent_lines REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.rent_lines FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.rent_lines REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER rent_lines_not_of_a_case BEFORE INSERT ON public.rent_lines FOR EACH ROW EXECUTE FUNCTION nexus.refuse_bank_line_twice();
alter table public.rent_lines enable row level security;
grant insert, select, update on public.rent_lines to nexus_engine;
grant select on public.rent_lines to nexus_staff;
grant select on public.rent_lines to service_role;
create policy rent_lines_engine on public.rent_lines for all to nexus_engine
  using (true)
  with check (true);
create policy rent_lines_read_staff on public.rent_lines for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.rent_periods (
  id uuid not null,
  property_id uuid not null,
  currency text not null,
  currency_decimals smallint not null,
  period_from date not null,
  period_to date not null,
  status text default 'recorded'::text not null,
  aside_minor bigint[] not null,
  draw_minor bigint default 0 not null,
  let_days integer,
  rent_minor bigint,
  given_minor bigint[],
  short_minor bigint[],
  distributable_minor bigint,
  recorded_by uuid not null,
  decided_by uuid,
  decided_at timestamp with time zone,
  reject_reason text,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint rent_periods_pkey PRIMARY KEY (id),
  constraint rent_periods_as_lines_refer_key UNIQUE (id, property_id),
  constraint rent_periods_amounts_not_negative CHECK (((0 <= ALL (aside_minor)) AND (0 <= ALL (given_minor)) AND (0 <= ALL (short_minor)) AND (LEAST(draw_minor, rent_minor, distributable_minor) >= 0))),
  constraint rent_periods_approved_is_whole CHECK (((status <> 'approved'::text) OR (num_nulls(rent_minor, distributable_minor) = 0))),
  constraint rent_periods_decided_has_a_date CHECK ((((status = 'recorded'::text) = (decided_at IS NULL)) AND ((decided_at IS NULL) = (decided_by IS NULL)))),
  constraint rent_periods_let_within_the_period CHECK (((let_days >= 0) AND (let_days <= ((period_to - period_from) + 1)))),
  constraint rent_periods_need_two_persons CHECK ((decided_by <> recorded_by)),
  constraint rent_periods_one_figure_a_use CHECK (((cardinality(aside_minor) = 6) AND (array_position(aside_minor, NULL::bigint) IS NULL) AND ((status <> 'approved'::text) OR ((cardinality(given_minor) = 6) AND (cardinality(short_minor) = 6))))),
  constraint rent_periods_period_is_forward CHECK ((period_to >= period_from)),
  constraint rent_periods_rejected_says_why CHECK ((((status = 'rejected'::text) = COALESCE((reject_reason ~ '\S'::text), false)) AND (length(reject_reason) <= 2000))),
  constraint rent_periods_status_is_known CHECK ((status = ANY (ARRAY['recorded'::text, 'approved'::text, 'rejected'::text]))),
  constraint rent_periods_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint rent_periods_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint rent_periods_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint rent_periods_recorded_by_fkey FOREIGN KEY (recorded_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.rent_periods is 'What a property received and paid in a period, recorded by its manager and approved by an overseer of another party; then in the ledger. Lists of six amounts are for taxes, insurance, maintenance, manager, platform, reserve, in this order.';
comment on column public.rent_periods.id is 'Identity of the period.';
comment on column public.rent_periods.property_id is 'The property.';
comment on column public.rent_periods.currency is 'Currency of its amounts.';
comment on column public.rent_periods.currency_decimals is 'Decimals of that currency.';
comment on column public.rent_periods.period_from is 'First day.';
comment on column public.rent_periods.period_to is 'Last day.';
comment on column public.rent_periods.status is 'recorded, approved or rejected; docs/STATES.md.';
comment on column public.rent_periods.aside_minor is 'What the manager asks to be set aside on top of what was paid, in smallest units; 0 for manager and platform, whose fees follow the schedule.';
comment on column public.rent_periods.draw_minor is 'What is drawn from the reserve, in smallest units.';
comment on column public.rent_periods.let_days is 'On how many of its days the property was let, as the manager says; null where he does not.';
comment on column public.rent_periods.rent_minor is 'Rent received: the sum of its lines of rent, in smallest units.';
comment on column public.rent_periods.given_minor is 'What each use got.';
comment on column public.rent_periods.short_minor is 'What each use lacked: claimed again by the next period.';
comment on column public.rent_periods.distributable_minor is 'What could be distributed after it, in smallest units.';
comment on column public.rent_periods.recorded_by is 'Who recorded it.';
comment on column public.rent_periods.decided_by is 'The overseer who approved or rejected it: never who recorded it.';
comment on column public.rent_periods.decided_at is 'When.';
comment on column public.rent_periods.reject_reason is 'Why it was rejected.';
comment on column public.rent_periods.created_at is 'When it was recorded.';
comment on column public.rent_periods.updated_at is 'When the row last changed.';
CREATE INDEX rent_periods_currency_idx ON public.rent_periods USING btree (currency, currency_decimals);
CREATE INDEX rent_periods_decided_by_idx ON public.rent_periods USING btree (decided_by);
CREATE UNIQUE INDEX rent_periods_once_key ON public.rent_periods USING btree (property_id, currency, period_to) WHERE (status <> 'rejected'::text);
CREATE INDEX rent_periods_property_id_idx ON public.rent_periods USING btree (property_id, decided_at DESC);
CREATE INDEX rent_periods_recorded_by_idx ON public.rent_periods USING btree (recorded_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.rent_periods REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.rent_periods REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.rent_periods FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.rent_periods REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER rent_periods_updated_at BEFORE UPDATE ON public.rent_periods FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.rent_periods enable row level security;
grant insert, select, update on public.rent_periods to nexus_engine;
grant select on public.rent_periods to nexus_staff;
grant select on public.rent_periods to service_role;
create policy rent_periods_engine on public.rent_periods for all to nexus_engine
  using (true)
  with check (true);
create policy rent_periods_read_staff on public.rent_periods for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.rule_packs (
  id uuid default gen_random_uuid() not null,
  code text not null,
  version integer not null,
  title text not null,
  summary text not null,
  rules jsonb not null,
  valid_from timestamp with time zone not null,
  created_by uuid,
  created_at timestamp with time zone default now() not null,
  constraint rule_packs_pkey PRIMARY KEY (id),
  constraint rule_packs_once_a_version UNIQUE (code, version),
  constraint rule_packs_code_is_a_name CHECK ((code ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
  constraint rule_packs_rules_are_an_array CHECK (((jsonb_typeof(rules) = 'array'::text) AND (length((rules)::text) <= 50000))),
  constraint rule_packs_summary_is_bounded CHECK (((summary ~ '\S'::text) AND (length(summary) <= 2000))),
  constraint rule_packs_title_is_not_blank CHECK (((title ~ '\S'::text) AND (length(title) <= 200))),
  constraint rule_packs_version_counts_from_one CHECK ((version >= 1)),
  constraint rule_packs_created_by_fkey FOREIGN KEY (created_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.rule_packs is 'The conditions under which something is sold: a list of rules with parameters and sources, in versions that are never changed. An offering keeps the version it was made under. Parameters are starting points until a rule says "checked": true. Public: who is refused may look.';
comment on column public.rule_packs.id is 'Identity of the version.';
comment on column public.rule_packs.code is 'Name of the pack.';
comment on column public.rule_packs.version is 'Version of the pack, from 1.';
comment on column public.rule_packs.title is 'Name to show.';
comment on column public.rule_packs.summary is 'What it is for, in words.';
comment on column public.rule_packs.rules is 'The rules: {"rule": name, its parameters, "source": the law, "checked": whether somebody competent has}. Names and parameters are those of mint_core::rule_pack.';
comment on column public.rule_packs.valid_from is 'From when offerings may be made under it.';
comment on column public.rule_packs.created_by is 'The admin who published it; null for those that come with the program.';
comment on column public.rule_packs.created_at is 'When it was recorded.';
CREATE INDEX rule_packs_created_by_idx ON public.rule_packs USING btree (created_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.rule_packs REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.rule_packs REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.rule_packs FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.rule_packs REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER rule_packs_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.rule_packs FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.rule_packs enable row level security;
grant select on public.rule_packs to anon;
grant select on public.rule_packs to authenticated;
grant insert, select on public.rule_packs to nexus_engine;
grant select on public.rule_packs to service_role;
create policy rule_packs_engine on public.rule_packs for all to nexus_engine
  using (true)
  with check (true);
create policy rule_packs_read_all on public.rule_packs for select to anon, authenticated
  using (true);

create table public.smart_contract_events (
  id uuid default gen_random_uuid() not null,
  chain_id bigint not null,
  contract_address text not null,
  event_name text not null,
  event_data jsonb default '{}'::jsonb not null,
  transaction_hash text not null,
  block_hash text not null,
  block_number bigint not null,
  log_index integer not null,
  processed boolean default false not null,
  created_at timestamp with time zone default now() not null,
  constraint smart_contract_events_pkey PRIMARY KEY (id),
  constraint smart_contract_events_once_a_log UNIQUE (chain_id, block_hash, log_index),
  constraint smart_contract_events_address_is_evm CHECK ((contract_address ~ '^0x[0-9a-fA-F]{40}$'::text)),
  constraint smart_contract_events_data_is_an_object CHECK ((jsonb_typeof(event_data) = 'object'::text)),
  constraint smart_contract_events_hashes_are_evm CHECK (((transaction_hash ~ '^0x[0-9a-f]{64}$'::text) AND (block_hash ~ '^0x[0-9a-f]{64}$'::text))),
  constraint smart_contract_events_name_is_bounded CHECK (((length(event_name) >= 1) AND (length(event_name) <= 200))),
  constraint smart_contract_events_place_not_negative CHECK (((block_number >= 0) AND (log_index >= 0)))
);
comment on table public.smart_contract_events is 'Events of our contracts as a chain gave them; a block that was left behind keeps its own rows.';
comment on column public.smart_contract_events.id is 'Identity of the row.';
comment on column public.smart_contract_events.chain_id is 'EVM chain.';
comment on column public.smart_contract_events.contract_address is 'The contract that emitted it.';
comment on column public.smart_contract_events.event_name is 'Name of the event.';
comment on column public.smart_contract_events.event_data is 'Its arguments, decoded.';
comment on column public.smart_contract_events.transaction_hash is 'Transaction that caused it.';
comment on column public.smart_contract_events.block_hash is 'Block that holds it.';
comment on column public.smart_contract_events.block_number is 'Number of that block.';
comment on column public.smart_contract_events.log_index is 'Its place in the block.';
comment on column public.smart_contract_events.processed is 'Whether the platform has acted on it.';
comment on column public.smart_contract_events.created_at is 'When it was read.';
CREATE INDEX smart_contract_events_contract_idx ON public.smart_contract_events USING btree (contract_address, block_number);
CREATE INDEX smart_contract_events_unprocessed_idx ON public.smart_contract_events USING btree (block_number, log_index) WHERE (NOT processed);
alter table public.smart_contract_events enable row level security;
grant insert, select, update on public.smart_contract_events to nexus_engine;
grant select on public.smart_contract_events to nexus_staff;
grant select on public.smart_contract_events to service_role;
create policy smart_contract_events_engine on public.smart_contract_events for all to nexus_engine
  using (true)
  with check (true);
create policy smart_contract_events_read_staff on public.smart_contract_events for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.tax_forms (
  id uuid not null,
  party_id uuid not null,
  user_id uuid not null,
  form text not null,
  form_version text not null,
  residency_country text not null,
  signed_on date not null,
  status text default 'filed'::text not null,
  decided_by uuid,
  decided_at timestamp with time zone,
  reason text,
  expires_at timestamp with time zone,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint tax_forms_pkey PRIMARY KEY (id),
  constraint tax_forms_checked_expires CHECK (((status <> 'checked'::text) OR (expires_at > decided_at))),
  constraint tax_forms_country_is_iso CHECK ((residency_country ~ '^[A-Z]{2}$'::text)),
  constraint tax_forms_decided_by_another CHECK ((decided_by <> user_id)),
  constraint tax_forms_decision_is_signed CHECK ((((decided_at IS NULL) = (decided_by IS NULL)) AND ((status <> ALL (ARRAY['checked'::text, 'rejected'::text])) OR (decided_at IS NOT NULL)) AND ((status <> 'filed'::text) OR (decided_at IS NULL)))),
  constraint tax_forms_not_signed_in_the_future CHECK ((signed_on <= ((created_at AT TIME ZONE 'UTC'::text))::date)),
  constraint tax_forms_refusal_has_a_reason CHECK ((((status = 'rejected'::text) = COALESCE((reason ~ '\S'::text), false)) AND (length(reason) <= 2000))),
  constraint tax_forms_status_is_known CHECK ((status = ANY (ARRAY['filed'::text, 'checked'::text, 'rejected'::text, 'replaced'::text]))),
  constraint tax_forms_texts_are_bounded CHECK (((form ~ '\S'::text) AND (length(form) <= 50) AND (form_version ~ '\S'::text) AND (length(form_version) <= 50))),
  constraint tax_forms_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint tax_forms_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint tax_forms_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.tax_forms is 'A holder''s own tax forms (W-9, W-8BEN and their like), filed with a document and checked by an officer. Read by the person; shown to compliance officers by a command that notes each read in the audit trail; written by commands.';
comment on column public.tax_forms.id is 'Identity of the form.';
comment on column public.tax_forms.party_id is 'Whose.';
comment on column public.tax_forms.user_id is 'The login that filed it.';
comment on column public.tax_forms.form is 'Which form, named as withholding_rates.form names it.';
comment on column public.tax_forms.form_version is 'Its version, as printed on it.';
comment on column public.tax_forms.residency_country is 'Country of tax residence that it states, ISO 3166-1 alpha-2.';
comment on column public.tax_forms.signed_on is 'The day on which it was signed.';
comment on column public.tax_forms.status is 'filed, checked, rejected or replaced; docs/STATES.md.';
comment on column public.tax_forms.decided_by is 'The compliance officer who compared it with its document: never one of the party itself.';
comment on column public.tax_forms.decided_at is 'When.';
comment on column public.tax_forms.reason is 'Why it was rejected.';
comment on column public.tax_forms.expires_at is 'A checked form counts before this instant and no longer at it.';
comment on column public.tax_forms.created_at is 'When it was filed.';
comment on column public.tax_forms.updated_at is 'When the row last changed.';
CREATE INDEX tax_forms_decided_by_idx ON public.tax_forms USING btree (decided_by);
CREATE UNIQUE INDEX tax_forms_one_checked_key ON public.tax_forms USING btree (party_id, form) WHERE (status = 'checked'::text);
CREATE UNIQUE INDEX tax_forms_one_filed_key ON public.tax_forms USING btree (party_id, form) WHERE (status = 'filed'::text);
CREATE INDEX tax_forms_party_id_idx ON public.tax_forms USING btree (party_id, form);
CREATE INDEX tax_forms_queue_idx ON public.tax_forms USING btree (created_at) WHERE (status = 'filed'::text);
CREATE INDEX tax_forms_user_id_idx ON public.tax_forms USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.tax_forms REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.tax_forms REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.tax_forms FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.tax_forms REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER tax_forms_decided_by_a_stranger BEFORE INSERT OR UPDATE OF decided_by ON public.tax_forms FOR EACH ROW EXECUTE FUNCTION nexus.refuse_own_decision();
CREATE TRIGGER tax_forms_updated_at BEFORE UPDATE ON public.tax_forms FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.tax_forms enable row level security;
grant select on public.tax_forms to authenticated;
grant insert, select, update on public.tax_forms to nexus_engine;
create policy tax_forms_engine on public.tax_forms for all to nexus_engine
  using (true)
  with check (true);
create policy tax_forms_read_own on public.tax_forms for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));

create table public.tax_remittances (
  id uuid not null,
  property_id uuid not null,
  currency text not null,
  currency_decimals smallint not null,
  amount_minor bigint not null,
  bank_reference text not null,
  booked_on date not null,
  remitted_by uuid not null,
  created_at timestamp with time zone not null,
  constraint tax_remittances_pkey PRIMARY KEY (id),
  constraint tax_remittances_each_once UNIQUE (property_id, bank_reference),
  constraint tax_remittances_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint tax_remittances_reference_is_bounded CHECK (((length(bank_reference) >= 1) AND (length(bank_reference) <= 300))),
  constraint tax_remittances_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint tax_remittances_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint tax_remittances_remitted_by_fkey FOREIGN KEY (remitted_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.tax_remittances is 'Withheld tax that went to the tax office, each line of the bank once.';
comment on column public.tax_remittances.id is 'Identity of the remittance.';
comment on column public.tax_remittances.property_id is 'The property that had withheld it.';
comment on column public.tax_remittances.currency is 'Its currency.';
comment on column public.tax_remittances.currency_decimals is 'Decimals of that currency.';
comment on column public.tax_remittances.amount_minor is 'How much, in smallest units.';
comment on column public.tax_remittances.bank_reference is 'The bank''s reference.';
comment on column public.tax_remittances.booked_on is 'The day on which the bank booked it.';
comment on column public.tax_remittances.remitted_by is 'Who recorded it.';
comment on column public.tax_remittances.created_at is 'When it was recorded.';
CREATE INDEX tax_remittances_currency_idx ON public.tax_remittances USING btree (currency, currency_decimals);
CREATE INDEX tax_remittances_remitted_by_idx ON public.tax_remittances USING btree (remitted_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.tax_remittances REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.tax_remittances REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.tax_remittances FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.tax_remittances REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER tax_remittances_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.tax_remittances FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.tax_remittances enable row level security;
grant insert, select on public.tax_remittances to nexus_engine;
grant select on public.tax_remittances to nexus_staff;
grant select on public.tax_remittances to service_role;
create policy tax_remittances_engine on public.tax_remittances for all to nexus_engine
  using (true)
  with check (true);
create policy tax_remittances_read_staff on public.tax_remittances for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.token_movements (
  property_token_id uuid not null,
  number bigint not null,
  kind text not null,
  moved_at timestamp with time zone not null,
  last_entry_id bigint not null,
  held_units bigint not null,
  holders bigint not null,
  created_at timestamp with time zone default now() not null,
  constraint token_movements_pkey PRIMARY KEY (property_token_id, number),
  constraint token_movements_last_entry_id_key UNIQUE (last_entry_id),
  constraint token_movements_held_is_exact CHECK (((held_units >= 0) AND (held_units <= '9007199254740991'::bigint))),
  constraint token_movements_holders_hold CHECK (((holders >= 0) AND (holders <= held_units))),
  constraint token_movements_kind_is_known CHECK ((kind = ANY (ARRAY['close'::text, 'transfer'::text, 'redeem'::text]))),
  constraint token_movements_number_counts_from_one CHECK ((number >= 1)),
  constraint token_movements_last_entry_fkey FOREIGN KEY (last_entry_id) REFERENCES ledger.entries(id) ON DELETE RESTRICT,
  constraint token_movements_token_fkey FOREIGN KEY (property_token_id) REFERENCES public.property_tokens(id) ON DELETE RESTRICT
);
comment on table public.token_movements is 'Each change of who holds a token, in order: its business instant, and the ledger''s sequence up to which it goes. Written by ledger.record_movement() alone, never changed.';
comment on column public.token_movements.property_token_id is 'The token.';
comment on column public.token_movements.number is 'Its place among the token''s changes, from 1, without gaps.';
comment on column public.token_movements.kind is 'What changed it: close, transfer or redeem.';
comment on column public.token_movements.moved_at is 'From this instant on it holds; never before that of the change before it.';
comment on column public.token_movements.last_entry_id is 'The last ledger entry of the change: the sequence number by which it is known.';
comment on column public.token_movements.held_units is 'All tokens held after it, in smallest units.';
comment on column public.token_movements.holders is 'Parties that hold any after it.';
comment on column public.token_movements.created_at is 'When the row was made.';
CREATE INDEX token_movements_last_entry_idx ON public.token_movements USING btree (property_token_id, last_entry_id);
CREATE INDEX token_movements_moved_at_idx ON public.token_movements USING btree (property_token_id, moved_at, number);
CREATE TRIGGER log_deletes AFTER DELETE ON public.token_movements REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('last_entry_id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.token_movements REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('last_entry_id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.token_movements FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('last_entry_id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.token_movements REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('last_entry_id', '{}');
CREATE TRIGGER token_movements_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.token_movements FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.token_movements enable row level security;
grant select on public.token_movements to nexus_engine;
grant select on public.token_movements to nexus_staff;
grant select on public.token_movements to service_role;
create policy token_movements_engine on public.token_movements for select to nexus_engine
  using (true);
create policy token_movements_read_staff on public.token_movements for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.tokenization_processes (
  id uuid default gen_random_uuid() not null,
  property_id uuid not null,
  user_id uuid not null,
  status text default 'in_progress'::text not null,
  current_step text,
  progress_percentage integer default 0 not null,
  steps_completed jsonb default '[]'::jsonb not null,
  offering_kind text default 'issuer_owns'::text not null,
  property_token_id uuid,
  launch_pass_id uuid,
  launch_action text generated always as ('launch'::text) stored not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint tokenization_processes_pkey PRIMARY KEY (id),
  constraint tokenization_processes_launch_pass_is_used_once UNIQUE (launch_pass_id),
  constraint tokenization_processes_current_step_is_known CHECK ((current_step = ANY (ARRAY['submission'::text, 'valuation'::text, 'legal_structuring'::text, 'compliance_review'::text, 'token_configuration'::text, 'contract_deployment'::text, 'audit'::text, 'launch'::text]))),
  constraint tokenization_processes_ended_has_no_step CHECK (((status = ANY (ARRAY['in_progress'::text, 'rejected'::text])) OR (current_step IS NULL))),
  constraint tokenization_processes_launch_passed_the_gate CHECK (((status = 'completed'::text) = (launch_pass_id IS NOT NULL))),
  constraint tokenization_processes_offering_kind_is_known CHECK ((offering_kind = ANY (ARRAY['issuer_owns'::text, 'acquisition'::text]))),
  constraint tokenization_processes_progress_is_a_percentage CHECK (((progress_percentage >= 0) AND (progress_percentage <= 100))),
  constraint tokenization_processes_status_is_known CHECK ((status = ANY (ARRAY['in_progress'::text, 'rejected'::text, 'completed'::text, 'cancelled'::text]))),
  constraint tokenization_processes_steps_are_an_array CHECK ((jsonb_typeof(steps_completed) = 'array'::text)),
  constraint tokenization_processes_launch_pass_fkey FOREIGN KEY (launch_pass_id, property_id, launch_action) REFERENCES public.gate_passes(id, property_id, action) ON DELETE RESTRICT,
  constraint tokenization_processes_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint tokenization_processes_token_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT,
  constraint tokenization_processes_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.tokenization_processes is 'The walk of one property from submission to launch.';
comment on column public.tokenization_processes.id is 'Identity of the process.';
comment on column public.tokenization_processes.property_id is 'The property.';
comment on column public.tokenization_processes.user_id is 'The login that submitted it.';
comment on column public.tokenization_processes.status is 'in_progress, rejected (a step was refused and can be resubmitted), completed or cancelled.';
comment on column public.tokenization_processes.current_step is 'The step that is due: submission, valuation, legal_structuring, compliance_review, token_configuration, contract_deployment, audit, launch; null once ended.';
comment on column public.tokenization_processes.progress_percentage is 'Part of the steps that are done, in percent; derived from tokenization_steps.';
comment on column public.tokenization_processes.steps_completed is 'Names of the steps done, in order; derived from tokenization_steps.';
comment on column public.tokenization_processes.offering_kind is 'issuer_owns (the deed is recorded before launch) or acquisition (bought with the money raised): which evidence the launch needs.';
comment on column public.tokenization_processes.property_token_id is 'The token that its configuration made; null until that is approved.';
comment on column public.tokenization_processes.launch_pass_id is 'The pass of the evidence gate that the launch rests on; set when it is completed, and only then.';
comment on column public.tokenization_processes.launch_action is 'launch, so that the pass is one for a launch.';
comment on column public.tokenization_processes.created_at is 'When it was submitted.';
comment on column public.tokenization_processes.updated_at is 'When the row last changed.';
CREATE INDEX tokenization_processes_launch_pass_idx ON public.tokenization_processes USING btree (launch_pass_id, property_id, launch_action);
CREATE UNIQUE INDEX tokenization_processes_one_under_way_key ON public.tokenization_processes USING btree (property_id) WHERE (status = ANY (ARRAY['in_progress'::text, 'rejected'::text]));
CREATE INDEX tokenization_processes_property_id_idx ON public.tokenization_processes USING btree (property_id);
CREATE INDEX tokenization_processes_status_idx ON public.tokenization_processes USING btree (status);
CREATE INDEX tokenization_processes_token_idx ON public.tokenization_processes USING btree (property_token_id, property_id);
CREATE INDEX tokenization_processes_user_id_idx ON public.tokenization_processes USING btree (user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.tokenization_processes REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.tokenization_processes REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.tokenization_processes FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.tokenization_processes REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER tokenization_processes_updated_at BEFORE UPDATE ON public.tokenization_processes FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.tokenization_processes enable row level security;
grant select on public.tokenization_processes to authenticated;
grant insert, select, update on public.tokenization_processes to nexus_engine;
grant select on public.tokenization_processes to service_role;
create policy tokenization_processes_engine on public.tokenization_processes for all to nexus_engine
  using (true)
  with check (true);
create policy tokenization_processes_read_own on public.tokenization_processes for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy tokenization_processes_read_staff on public.tokenization_processes for select to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role) OR (property_id = ANY (( SELECT nexus.member_property_ids() AS member_property_ids)::uuid[]))));

create table public.tokenization_reports (
  id uuid default gen_random_uuid() not null,
  process_id uuid not null,
  property_id uuid not null,
  report_type text not null,
  report_data jsonb default '{}'::jsonb not null,
  metrics jsonb default '{}'::jsonb not null,
  performance_data jsonb default '{}'::jsonb not null,
  compliance_data jsonb default '{}'::jsonb not null,
  status text default 'generated'::text not null,
  generated_at timestamp with time zone default now() not null,
  generated_by uuid,
  constraint tokenization_reports_pkey PRIMARY KEY (id),
  constraint tokenization_reports_data_are_objects CHECK (((jsonb_typeof(report_data) = 'object'::text) AND (jsonb_typeof(metrics) = 'object'::text) AND (jsonb_typeof(performance_data) = 'object'::text) AND (jsonb_typeof(compliance_data) = 'object'::text))),
  constraint tokenization_reports_status_is_known CHECK ((status = ANY (ARRAY['generated'::text, 'superseded'::text]))),
  constraint tokenization_reports_type_is_a_word CHECK ((report_type ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
  constraint tokenization_reports_generated_by_fkey FOREIGN KEY (generated_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint tokenization_reports_process_id_fkey FOREIGN KEY (process_id) REFERENCES public.tokenization_processes(id) ON DELETE RESTRICT,
  constraint tokenization_reports_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table public.tokenization_reports is 'Reports about a process, as they were at the instant they were made.';
comment on column public.tokenization_reports.id is 'Identity of the report.';
comment on column public.tokenization_reports.process_id is 'The process.';
comment on column public.tokenization_reports.property_id is 'Its property.';
comment on column public.tokenization_reports.report_type is 'Which report it is, such as summary or audit.';
comment on column public.tokenization_reports.report_data is 'The report.';
comment on column public.tokenization_reports.metrics is 'Durations and counts.';
comment on column public.tokenization_reports.performance_data is 'Figures of the property.';
comment on column public.tokenization_reports.compliance_data is 'Evidence and reviews.';
comment on column public.tokenization_reports.status is 'generated, or superseded by a newer one of its type.';
comment on column public.tokenization_reports.generated_at is 'When it was made.';
comment on column public.tokenization_reports.generated_by is 'The login that asked for it; null when a job did.';
CREATE INDEX tokenization_reports_generated_by_idx ON public.tokenization_reports USING btree (generated_by);
CREATE INDEX tokenization_reports_process_id_idx ON public.tokenization_reports USING btree (process_id, generated_at DESC);
CREATE INDEX tokenization_reports_property_id_idx ON public.tokenization_reports USING btree (property_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.tokenization_reports REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.tokenization_reports REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.tokenization_reports FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.tokenization_reports REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table public.tokenization_reports enable row level security;
grant select on public.tokenization_reports to authenticated;
grant insert, select, update on public.tokenization_reports to nexus_engine;
grant select on public.tokenization_reports to service_role;
create policy tokenization_reports_engine on public.tokenization_reports for all to nexus_engine
  using (true)
  with check (true);
create policy tokenization_reports_read_own on public.tokenization_reports for select to authenticated
  using ((process_id = ANY (ARRAY( SELECT p.id
   FROM public.tokenization_processes p
  WHERE (p.user_id = ( SELECT auth.uid() AS uid))))));
create policy tokenization_reports_read_staff on public.tokenization_reports for select to nexus_staff
  using ((EXISTS ( SELECT
   FROM public.tokenization_processes p
  WHERE (p.id = tokenization_reports.process_id))));

create table public.tokenization_steps (
  id uuid default gen_random_uuid() not null,
  process_id uuid not null,
  step_name text not null,
  step_order smallint not null,
  status text default 'pending'::text not null,
  started_at timestamp with time zone,
  completed_at timestamp with time zone,
  duration_seconds bigint generated always as (floor(EXTRACT(epoch FROM (completed_at - started_at)))) stored,
  step_data jsonb default '{}'::jsonb not null,
  submitted_by uuid,
  submitted_at timestamp with time zone,
  decided_by uuid,
  error_details text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint tokenization_steps_pkey PRIMARY KEY (id),
  constraint tokenization_steps_once_a_step UNIQUE (process_id, step_name),
  constraint tokenization_steps_once_an_order UNIQUE (process_id, step_order),
  constraint tokenization_steps_completed_after_start CHECK ((completed_at >= started_at)),
  constraint tokenization_steps_completed_has_a_date CHECK (((status <> 'completed'::text) OR (completed_at IS NOT NULL))),
  constraint tokenization_steps_data_is_an_object CHECK ((jsonb_typeof(step_data) = 'object'::text)),
  constraint tokenization_steps_error_is_bounded CHECK ((length(error_details) <= 5000)),
  constraint tokenization_steps_name_is_known CHECK ((step_name = ANY (ARRAY['submission'::text, 'valuation'::text, 'legal_structuring'::text, 'compliance_review'::text, 'token_configuration'::text, 'contract_deployment'::text, 'audit'::text, 'launch'::text]))),
  constraint tokenization_steps_need_four_eyes CHECK ((decided_by <> submitted_by)),
  constraint tokenization_steps_order_is_positive CHECK ((step_order >= 1)),
  constraint tokenization_steps_refusal_says_why CHECK (((status <> ALL (ARRAY['rejected'::text, 'not_required'::text])) OR COALESCE((error_details ~ '\S'::text), false))),
  constraint tokenization_steps_status_is_known CHECK ((status = ANY (ARRAY['pending'::text, 'in_progress'::text, 'submitted'::text, 'completed'::text, 'rejected'::text, 'not_required'::text]))),
  constraint tokenization_steps_submitted_by_somebody CHECK (((num_nulls(submitted_by, submitted_at) = ANY (ARRAY[0, 2])) AND ((status <> 'submitted'::text) OR (submitted_by IS NOT NULL)))),
  constraint tokenization_steps_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint tokenization_steps_process_id_fkey FOREIGN KEY (process_id) REFERENCES public.tokenization_processes(id) ON DELETE RESTRICT,
  constraint tokenization_steps_submitted_by_fkey FOREIGN KEY (submitted_by) REFERENCES auth.users(id) ON DELETE RESTRICT
);
comment on table public.tokenization_steps is 'The steps of a process, each with its state.';
comment on column public.tokenization_steps.id is 'Identity of the step.';
comment on column public.tokenization_steps.process_id is 'The process.';
comment on column public.tokenization_steps.step_name is 'Which step it is.';
comment on column public.tokenization_steps.step_order is 'Its place in the walk, from 1.';
comment on column public.tokenization_steps.status is 'pending, in_progress, submitted (waits for another person''s approval), completed, rejected or not_required.';
comment on column public.tokenization_steps.started_at is 'When work on it began.';
comment on column public.tokenization_steps.completed_at is 'When it was approved.';
comment on column public.tokenization_steps.duration_seconds is 'Whole seconds from start to completion; derived.';
comment on column public.tokenization_steps.step_data is 'What was submitted with it.';
comment on column public.tokenization_steps.submitted_by is 'The login that submitted it last.';
comment on column public.tokenization_steps.submitted_at is 'When.';
comment on column public.tokenization_steps.decided_by is 'The login that approved or rejected it last, of another party; null while nobody has.';
comment on column public.tokenization_steps.error_details is 'Why it was rejected or is not required.';
comment on column public.tokenization_steps.created_at is 'When the row was made.';
comment on column public.tokenization_steps.updated_at is 'When the row last changed.';
CREATE INDEX tokenization_steps_decided_by_idx ON public.tokenization_steps USING btree (decided_by);
CREATE INDEX tokenization_steps_submitted_by_idx ON public.tokenization_steps USING btree (submitted_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.tokenization_steps REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.tokenization_steps REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.tokenization_steps FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.tokenization_steps REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER tokenization_steps_updated_at BEFORE UPDATE ON public.tokenization_steps FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.tokenization_steps enable row level security;
grant select on public.tokenization_steps to authenticated;
grant insert, select, update on public.tokenization_steps to nexus_engine;
grant select on public.tokenization_steps to service_role;
create policy tokenization_steps_engine on public.tokenization_steps for all to nexus_engine
  using (true)
  with check (true);
create policy tokenization_steps_read_own on public.tokenization_steps for select to authenticated
  using ((process_id = ANY (ARRAY( SELECT p.id
   FROM public.tokenization_processes p
  WHERE (p.user_id = ( SELECT auth.uid() AS uid))))));
create policy tokenization_steps_read_staff on public.tokenization_steps for select to nexus_staff
  using ((EXISTS ( SELECT
   FROM public.tokenization_processes p
  WHERE (p.id = tokenization_steps.process_id))));

create table public.transfers (
  id uuid not null,
  property_id uuid not null,
  property_token_id uuid not null,
  kind text not null,
  token_decimals smallint not null,
  units bigint not null,
  token_amount numeric generated always as (nexus.from_minor(units, (token_decimals)::integer)) stored,
  currency text not null,
  currency_decimals smallint not null,
  price_minor bigint not null,
  price numeric generated always as (nexus.from_minor(price_minor, (currency_decimals)::integer)) stored,
  reason text not null,
  from_party_id uuid not null,
  from_user_id uuid not null,
  to_party_id uuid not null,
  to_user_id uuid not null,
  status text default 'requested'::text not null,
  due_at timestamp with time zone not null,
  accepted_at timestamp with time zone,
  accepted_by uuid,
  decided_by uuid,
  decision_reason text,
  ended_at timestamp with time zone,
  entry_id bigint,
  moved_at timestamp with time zone,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint transfers_pkey PRIMARY KEY (id),
  constraint transfers_one_an_entry UNIQUE (entry_id),
  constraint transfers_accepted_says_who CHECK ((((accepted_at IS NULL) = (accepted_by IS NULL)) AND ((accepted_at IS NOT NULL) OR (status <> ALL (ARRAY['accepted'::text, 'completed'::text, 'rejected'::text]))))),
  constraint transfers_completed_moved CHECK ((((status = 'completed'::text) = (entry_id IS NOT NULL)) AND ((entry_id IS NULL) = (moved_at IS NULL)))),
  constraint transfers_decided_by_a_third CHECK (((decided_by <> from_user_id) AND (decided_by <> to_user_id))),
  constraint transfers_decided_says_who CHECK ((((status = ANY (ARRAY['completed'::text, 'rejected'::text])) = (decided_by IS NOT NULL)) AND ((status <> 'rejected'::text) OR (decision_reason IS NOT NULL)))),
  constraint transfers_kind_is_known CHECK ((kind = ANY (ARRAY['sale'::text, 'gift'::text, 'own_wallet'::text]))),
  constraint transfers_open_has_not_ended CHECK (((status = ANY (ARRAY['requested'::text, 'accepted'::text])) = (ended_at IS NULL))),
  constraint transfers_price_is_of_a_sale CHECK ((((kind = 'sale'::text) = (price_minor > 0)) AND ((price_minor >= 0) AND (price_minor <= '9007199254740991'::bigint)))),
  constraint transfers_reasons_are_bounded CHECK (((reason ~ '\S'::text) AND (length(reason) <= 2000) AND (decision_reason ~ '\S'::text) AND (length(decision_reason) <= 2000))),
  constraint transfers_status_is_known CHECK ((status = ANY (ARRAY['requested'::text, 'accepted'::text, 'completed'::text, 'declined'::text, 'rejected'::text, 'cancelled'::text, 'expired'::text]))),
  constraint transfers_to_another_party CHECK ((from_party_id <> to_party_id)),
  constraint transfers_units_are_exact CHECK (((units >= 1) AND (units <= '9007199254740991'::bigint))),
  constraint transfers_accepted_by_fkey FOREIGN KEY (accepted_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint transfers_currency_fkey FOREIGN KEY (currency, currency_decimals) REFERENCES public.currencies(code, decimals),
  constraint transfers_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint transfers_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entries(id) ON DELETE RESTRICT,
  constraint transfers_from_party_id_fkey FOREIGN KEY (from_party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint transfers_from_user_id_fkey FOREIGN KEY (from_user_id) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint transfers_to_party_id_fkey FOREIGN KEY (to_party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint transfers_to_user_id_fkey FOREIGN KEY (to_user_id) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint transfers_token_of_property_fkey FOREIGN KEY (property_token_id, property_id) REFERENCES public.property_tokens(id, property_id) ON DELETE RESTRICT
);
comment on table public.transfers is 'Tokens that one holder gives or sells to another: asked for by the holder, agreed to by the receiver, approved by a third person; then they move. What is open is promised and cannot be promised again. No money passes through the platform.';
comment on column public.transfers.id is 'Identity of the transfer.';
comment on column public.transfers.property_id is 'The property.';
comment on column public.transfers.property_token_id is 'The token.';
comment on column public.transfers.kind is 'sale, gift, or own_wallet (to another party of the same owner): what becomes of cost and tax date.';
comment on column public.transfers.token_decimals is 'Decimals of the token.';
comment on column public.transfers.units is 'Tokens, in smallest units.';
comment on column public.transfers.token_amount is 'Tokens.';
comment on column public.transfers.currency is 'Currency of the price: the token''s.';
comment on column public.transfers.currency_decimals is 'Decimals of that currency.';
comment on column public.transfers.price_minor is 'What the receiver pays the holder for all of them, outside of the platform, as both say, in smallest units; 0 where nothing is sold.';
comment on column public.transfers.price is 'What the receiver pays the holder for all of them, as both say.';
comment on column public.transfers.reason is 'Why, as the holder says.';
comment on column public.transfers.from_party_id is 'The party that holds them.';
comment on column public.transfers.from_user_id is 'The login that asked.';
comment on column public.transfers.to_party_id is 'The party that gets them.';
comment on column public.transfers.to_user_id is 'The login of it that gets the lots.';
comment on column public.transfers.status is 'requested, accepted, completed, declined, rejected, cancelled or expired; docs/STATES.md.';
comment on column public.transfers.due_at is 'At this instant it expires, unless the next step is done before.';
comment on column public.transfers.accepted_at is 'When the receiver agreed.';
comment on column public.transfers.accepted_by is 'The login that agreed.';
comment on column public.transfers.decided_by is 'The overseer of a third party who approved or rejected it.';
comment on column public.transfers.decision_reason is 'Why, as the overseer says; of another party of the same owner, what shows that.';
comment on column public.transfers.ended_at is 'When it came to an end.';
comment on column public.transfers.entry_id is 'The ledger entry that moved the tokens.';
comment on column public.transfers.moved_at is 'From this instant on the register has it.';
comment on column public.transfers.created_at is 'When it was asked for.';
comment on column public.transfers.updated_at is 'When the row last changed.';
CREATE INDEX transfers_accepted_by_idx ON public.transfers USING btree (accepted_by);
CREATE INDEX transfers_currency_idx ON public.transfers USING btree (currency, currency_decimals);
CREATE INDEX transfers_decided_by_idx ON public.transfers USING btree (decided_by);
CREATE INDEX transfers_due_idx ON public.transfers USING btree (due_at) WHERE (status = ANY (ARRAY['requested'::text, 'accepted'::text]));
CREATE INDEX transfers_from_party_id_idx ON public.transfers USING btree (from_party_id, property_token_id);
CREATE INDEX transfers_from_user_id_idx ON public.transfers USING btree (from_user_id);
CREATE INDEX transfers_property_token_id_idx ON public.transfers USING btree (property_token_id, property_id);
CREATE INDEX transfers_to_party_id_idx ON public.transfers USING btree (to_party_id);
CREATE INDEX transfers_to_user_id_idx ON public.transfers USING btree (to_user_id);
CREATE TRIGGER log_deletes AFTER DELETE ON public.transfers REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.transfers REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.transfers FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.transfers REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER transfers_updated_at BEFORE UPDATE ON public.transfers FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.transfers enable row level security;
grant select on public.transfers to authenticated;
grant insert, select, update on public.transfers to nexus_engine;
grant select on public.transfers to service_role;
create policy transfers_engine on public.transfers for all to nexus_engine
  using (true)
  with check (true);
create policy transfers_read_own on public.transfers for select to authenticated
  using (((from_party_id = ( SELECT nexus.party_id() AS party_id)) OR (to_party_id = ( SELECT nexus.party_id() AS party_id))));
create policy transfers_read_staff on public.transfers for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.user_profiles (
  id uuid not null,
  party_id uuid not null,
  email text,
  full_name text,
  display_name text,
  phone text,
  avatar_url text,
  wallet_address text,
  kyc_status text default 'not_started'::text not null,
  kyc_level text default 'none'::text not null,
  kyc_expires_at timestamp with time zone,
  kyc_data jsonb default '{}'::jsonb not null,
  accredited_investor boolean default false not null,
  investment_experience text,
  risk_tolerance text,
  preferred_investment_size numeric,
  total_invested numeric default 0 not null,
  total_returns numeric default 0 not null,
  totals_as_of timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint user_profiles_pkey PRIMARY KEY (id),
  constraint user_profiles_avatar_is_a_path CHECK ((nexus.is_storage_path(avatar_url, 'user-avatars'::text) AND (split_part(avatar_url, '/'::text, 2) = (id)::text))),
  constraint user_profiles_display_name_is_short CHECK ((length(display_name) <= 100)),
  constraint user_profiles_email_is_short CHECK ((length(email) <= 320)),
  constraint user_profiles_experience_is_short CHECK ((length(investment_experience) <= 100)),
  constraint user_profiles_full_name_is_short CHECK ((length(full_name) <= 200)),
  constraint user_profiles_kyc_data_is_an_object CHECK ((jsonb_typeof(kyc_data) = 'object'::text)),
  constraint user_profiles_kyc_level_is_known CHECK ((kyc_level = ANY (ARRAY['none'::text, 'basic'::text, 'enhanced'::text]))),
  constraint user_profiles_kyc_status_is_known CHECK ((kyc_status = ANY (ARRAY['not_started'::text, 'pending'::text, 'approved'::text, 'rejected'::text, 'expired'::text]))),
  constraint user_profiles_phone_is_short CHECK ((length(phone) <= 40)),
  constraint user_profiles_preferred_size_is_money CHECK (nexus.is_money(preferred_investment_size, 2)),
  constraint user_profiles_risk_tolerance_is_short CHECK ((length(risk_tolerance) <= 100)),
  constraint user_profiles_totals_are_money CHECK ((nexus.is_money(total_invested, 2) AND nexus.is_money(total_returns, 2))),
  constraint user_profiles_wallet_is_an_address CHECK ((wallet_address ~ '^0x[0-9a-fA-F]{40}$'::text)),
  constraint user_profiles_id_fkey FOREIGN KEY (id) REFERENCES auth.users(id) ON DELETE CASCADE,
  constraint user_profiles_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id)
);
comment on table public.user_profiles is 'The profile of a login; its id is auth.users.id. Made by handle_new_user() when the login is made.';
comment on column public.user_profiles.id is 'The login: auth.users.id.';
comment on column public.user_profiles.party_id is 'The party in law that this login acts for. Several logins may share one.';
comment on column public.user_profiles.email is 'Copy of the login''s e-mail address, kept by a trigger; null for a login without one.';
comment on column public.user_profiles.full_name is 'Name as the person wrote it. Not verified: see parties.legal_name.';
comment on column public.user_profiles.display_name is 'Name to show to others.';
comment on column public.user_profiles.phone is 'Telephone number as the person wrote it.';
comment on column public.user_profiles.avatar_url is 'Picture as user-avatars/<own id>/..., never a URL.';
comment on column public.user_profiles.wallet_address is 'A chain address that the person proved to control by a signature; no client may write it.';
comment on column public.user_profiles.kyc_status is 'Where identity verification stands: not_started, pending, approved, rejected or expired. Decided by a compliance officer''s command.';
comment on column public.user_profiles.kyc_level is 'How far identity is verified: none, basic or enhanced.';
comment on column public.user_profiles.kyc_expires_at is 'Until when an approval holds; null: it has no end.';
comment on column public.user_profiles.kyc_data is 'Summary of verification for its owner (steps done, dates). What the person submitted is in kyc_cases.';
comment on column public.user_profiles.accredited_investor is 'Whether accreditation was verified and has not expired. Never what the person says of himself.';
comment on column public.user_profiles.investment_experience is 'What the person says of his experience.';
comment on column public.user_profiles.risk_tolerance is 'What the person says of the risk he accepts.';
comment on column public.user_profiles.preferred_investment_size is 'What the person says he likes to invest at once, in USD.';
comment on column public.user_profiles.total_invested is 'Paid and confirmed principal in USD, folded from the investments by a worker; true as of totals_as_of.';
comment on column public.user_profiles.total_returns is 'Income paid in USD, folded by a worker; true as of totals_as_of.';
comment on column public.user_profiles.totals_as_of is 'The instant that the two totals are true for; null before the first folding.';
comment on column public.user_profiles.created_at is 'When the login was made.';
comment on column public.user_profiles.updated_at is 'When the row last changed.';
CREATE INDEX user_profiles_email_idx ON public.user_profiles USING btree (email);
CREATE INDEX user_profiles_party_id_idx ON public.user_profiles USING btree (party_id);
CREATE UNIQUE INDEX user_profiles_wallet_address_key ON public.user_profiles USING btree (lower(wallet_address));
CREATE TRIGGER log_deletes AFTER DELETE ON public.user_profiles REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.user_profiles REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.user_profiles FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.user_profiles REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{total_invested,total_returns,totals_as_of}');
CREATE TRIGGER user_profiles_updated_at BEFORE UPDATE ON public.user_profiles FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.user_profiles enable row level security;
grant select on public.user_profiles to authenticated;
grant update (full_name, display_name, phone, avatar_url, investment_experience, risk_tolerance, preferred_investment_size) on public.user_profiles to authenticated;
grant insert, select, update on public.user_profiles to nexus_engine;
grant select on public.user_profiles to service_role;
grant update (full_name, display_name, phone, avatar_url, investment_experience, risk_tolerance, preferred_investment_size) on public.user_profiles to service_role;
create policy "Users can update own profile" on public.user_profiles for update to authenticated
  using ((id = ( SELECT auth.uid() AS uid)))
  with check ((id = ( SELECT auth.uid() AS uid)));
create policy "Users can view own profile" on public.user_profiles for select to authenticated
  using ((id = ( SELECT auth.uid() AS uid)));
create policy user_profiles_engine on public.user_profiles for all to nexus_engine
  using (true)
  with check (true);
create policy user_profiles_read_staff on public.user_profiles for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.user_role_assignments (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  role text not null,
  assigned_by uuid default auth.uid(),
  assigned_at timestamp with time zone default now() not null,
  is_active boolean default true not null,
  updated_at timestamp with time zone default now() not null,
  constraint user_role_assignments_pkey PRIMARY KEY (id),
  constraint user_role_assignments_once_a_role UNIQUE (user_id, role),
  constraint user_role_assignments_role_is_known CHECK ((role = ANY (ARRAY['admin'::text, 'compliance_officer'::text, 'property_manager'::text, 'investor'::text]))),
  constraint user_role_assignments_assigned_by_fkey FOREIGN KEY (assigned_by) REFERENCES auth.users(id) ON DELETE SET NULL,
  constraint user_role_assignments_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE
);
comment on table public.user_role_assignments is 'Who has which of the four roles. A revoked role stays as an inactive row and ends at once, whatever the token says.';
comment on column public.user_role_assignments.id is 'Identity of the assignment.';
comment on column public.user_role_assignments.user_id is 'The login that has the role.';
comment on column public.user_role_assignments.role is 'admin (full access), compliance_officer (audit and compliance), property_manager (properties he is a member of), investor (everybody).';
comment on column public.user_role_assignments.assigned_by is 'The admin who gave it; null when the operator or the system did.';
comment on column public.user_role_assignments.assigned_at is 'When it was given.';
comment on column public.user_role_assignments.is_active is 'False once revoked.';
comment on column public.user_role_assignments.updated_at is 'When the row last changed.';
CREATE INDEX user_role_assignments_assigned_by_idx ON public.user_role_assignments USING btree (assigned_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.user_role_assignments REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.user_role_assignments REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.user_role_assignments FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.user_role_assignments REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER user_role_assignments_updated_at BEFORE UPDATE ON public.user_role_assignments FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.user_role_assignments enable row level security;
grant select on public.user_role_assignments to authenticated;
grant insert, select, update on public.user_role_assignments to nexus_engine;
grant insert (user_id, role, assigned_by) on public.user_role_assignments to nexus_staff;
grant update (is_active) on public.user_role_assignments to nexus_staff;
grant select on public.user_role_assignments to service_role;
create policy user_role_assignments_engine on public.user_role_assignments for all to nexus_engine
  using (true)
  with check (true);
create policy user_role_assignments_insert_admin on public.user_role_assignments for insert to nexus_staff
  with check ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) AND (user_id <> ( SELECT auth.uid() AS uid)) AND (assigned_by = ( SELECT auth.uid() AS uid))));
create policy user_role_assignments_read_admin on public.user_role_assignments for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role));
create policy user_role_assignments_read_own on public.user_role_assignments for select to authenticated
  using ((user_id = ( SELECT auth.uid() AS uid)));
create policy user_role_assignments_update_admin on public.user_role_assignments for update to nexus_staff
  using ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) AND (user_id <> ( SELECT auth.uid() AS uid))))
  with check ((( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text]) AS has_any_role) AND (user_id <> ( SELECT auth.uid() AS uid))));

create table public.withholding_rate_proposals (
  id uuid not null,
  source_country text not null,
  residency_country text,
  rate_ppm integer not null,
  form text not null,
  form_version text not null,
  needs_form boolean not null,
  source text not null,
  is_checked boolean not null,
  valid_from timestamp with time zone not null,
  status text default 'proposed'::text not null,
  rate_id uuid,
  proposed_by uuid not null,
  decided_by uuid,
  decided_at timestamp with time zone,
  reject_reason text,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone default now() not null,
  constraint withholding_rate_proposals_pkey PRIMARY KEY (id),
  constraint withholding_rate_proposals_one_a_rate UNIQUE (rate_id),
  constraint withholding_rate_proposals_approved_is_a_rate CHECK (((status = 'approved'::text) = (rate_id IS NOT NULL))),
  constraint withholding_rate_proposals_countries_are_iso CHECK (((source_country ~ '^[A-Z]{2}$'::text) AND (residency_country ~ '^[A-Z]{2}$'::text))),
  constraint withholding_rate_proposals_decided_has_a_date CHECK ((((status = 'proposed'::text) = (decided_at IS NULL)) AND ((decided_at IS NULL) = (decided_by IS NULL)))),
  constraint withholding_rate_proposals_form_is_of_a_country CHECK (((NOT needs_form) OR (residency_country IS NOT NULL))),
  constraint withholding_rate_proposals_need_two_persons CHECK ((decided_by <> proposed_by)),
  constraint withholding_rate_proposals_not_backdated CHECK ((valid_from >= created_at)),
  constraint withholding_rate_proposals_rate_is_a_part CHECK (((rate_ppm >= 0) AND (rate_ppm <= 1000000))),
  constraint withholding_rate_proposals_rejected_says_why CHECK ((((status = 'rejected'::text) = COALESCE((reject_reason ~ '\S'::text), false)) AND (length(reject_reason) <= 2000))),
  constraint withholding_rate_proposals_status_is_known CHECK ((status = ANY (ARRAY['proposed'::text, 'approved'::text, 'rejected'::text]))),
  constraint withholding_rate_proposals_texts_are_bounded CHECK (((form ~ '\S'::text) AND (length(form) <= 50) AND (form_version ~ '\S'::text) AND (length(form_version) <= 50) AND (source ~ '\S'::text) AND (length(source) <= 1000))),
  constraint withholding_rate_proposals_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint withholding_rate_proposals_proposed_by_fkey FOREIGN KEY (proposed_by) REFERENCES auth.users(id) ON DELETE RESTRICT,
  constraint withholding_rate_proposals_rate_id_fkey FOREIGN KEY (rate_id) REFERENCES public.withholding_rates(id) ON DELETE RESTRICT
);
comment on table public.withholding_rate_proposals is 'Rates of withholding as an admin proposes them; approved by another overseer, a row of withholding_rates.';
comment on column public.withholding_rate_proposals.id is 'Identity of the proposal.';
comment on column public.withholding_rate_proposals.source_country is 'Country of the property.';
comment on column public.withholding_rate_proposals.residency_country is 'Verified country of the holder; null: everybody without a row of his own.';
comment on column public.withholding_rate_proposals.rate_ppm is 'Part withheld, in millionths.';
comment on column public.withholding_rate_proposals.form is 'The form on which the rate rests.';
comment on column public.withholding_rate_proposals.form_version is 'Its version.';
comment on column public.withholding_rate_proposals.needs_form is 'Whether the rate is only for holders whose form was checked.';
comment on column public.withholding_rate_proposals.source is 'The law.';
comment on column public.withholding_rate_proposals.is_checked is 'Whether somebody competent has looked, as the proposer says.';
comment on column public.withholding_rate_proposals.valid_from is 'From when on.';
comment on column public.withholding_rate_proposals.status is 'proposed, approved or rejected; docs/STATES.md.';
comment on column public.withholding_rate_proposals.rate_id is 'The rate that it became.';
comment on column public.withholding_rate_proposals.proposed_by is 'The admin who proposed it.';
comment on column public.withholding_rate_proposals.decided_by is 'Who decided: never who proposed.';
comment on column public.withholding_rate_proposals.decided_at is 'When.';
comment on column public.withholding_rate_proposals.reject_reason is 'Why it was rejected.';
comment on column public.withholding_rate_proposals.created_at is 'When it was proposed.';
comment on column public.withholding_rate_proposals.updated_at is 'When the row last changed.';
CREATE INDEX withholding_rate_proposals_decided_by_idx ON public.withholding_rate_proposals USING btree (decided_by);
CREATE INDEX withholding_rate_proposals_proposed_by_idx ON public.withholding_rate_proposals USING btree (proposed_by);
CREATE TRIGGER log_deletes AFTER DELETE ON public.withholding_rate_proposals REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.withholding_rate_proposals REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.withholding_rate_proposals FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.withholding_rate_proposals REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER withholding_rate_proposals_updated_at BEFORE UPDATE ON public.withholding_rate_proposals FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
alter table public.withholding_rate_proposals enable row level security;
grant insert, select, update on public.withholding_rate_proposals to nexus_engine;
grant select on public.withholding_rate_proposals to nexus_staff;
grant select on public.withholding_rate_proposals to service_role;
create policy withholding_rate_proposals_engine on public.withholding_rate_proposals for all to nexus_engine
  using (true)
  with check (true);
create policy withholding_rate_proposals_read_staff on public.withholding_rate_proposals for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table public.withholding_rates (
  id uuid default gen_random_uuid() not null,
  source_country text not null,
  residency_country text,
  rate_ppm integer not null,
  form text not null,
  form_version text not null,
  needs_form boolean default false not null,
  source text not null,
  is_checked boolean default false not null,
  valid_from timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  constraint withholding_rates_pkey PRIMARY KEY (id),
  constraint withholding_rates_one_at_an_instant UNIQUE NULLS NOT DISTINCT (source_country, residency_country, valid_from, needs_form),
  constraint withholding_rates_countries_are_iso CHECK (((source_country ~ '^[A-Z]{2}$'::text) AND (residency_country ~ '^[A-Z]{2}$'::text))),
  constraint withholding_rates_form_is_of_a_country CHECK (((NOT needs_form) OR (residency_country IS NOT NULL))),
  constraint withholding_rates_not_backdated CHECK ((valid_from >= created_at)),
  constraint withholding_rates_rate_is_a_part CHECK (((rate_ppm >= 0) AND (rate_ppm <= 1000000))),
  constraint withholding_rates_texts_are_bounded CHECK ((((length(form) >= 1) AND (length(form) <= 50)) AND ((length(form_version) >= 1) AND (length(form_version) <= 50)) AND ((length(source) >= 1) AND (length(source) <= 1000))))
);
comment on table public.withholding_rates is 'Tax withheld of what a property in one country pays to residents of another, from when. A resident''s own row goes before the row for everybody else. Rows are never changed: of a pair of countries those with the latest instant hold, one for holders with the form and one for others.';
comment on column public.withholding_rates.id is 'Identity of the row.';
comment on column public.withholding_rates.source_country is 'Country of the property.';
comment on column public.withholding_rates.residency_country is 'Verified country of the holder; null: everybody without a row of his own, and who is not verified.';
comment on column public.withholding_rates.rate_ppm is 'Part withheld, in millionths. Rounded half up to the smallest unit.';
comment on column public.withholding_rates.form is 'The form on which the rate rests.';
comment on column public.withholding_rates.form_version is 'Its version.';
comment on column public.withholding_rates.needs_form is 'Whether it is only for holders who filed that form for that country and whose form was checked and has not expired; the line then carries their form''s version.';
comment on column public.withholding_rates.source is 'The law.';
comment on column public.withholding_rates.is_checked is 'Whether somebody competent has looked.';
comment on column public.withholding_rates.valid_from is 'First instant at which the row holds. Not before it was recorded.';
comment on column public.withholding_rates.created_at is 'When it was recorded.';
CREATE TRIGGER log_deletes AFTER DELETE ON public.withholding_rates REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON public.withholding_rates REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON public.withholding_rates FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON public.withholding_rates REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER withholding_rates_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.withholding_rates FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table public.withholding_rates enable row level security;
grant select on public.withholding_rates to anon;
grant select on public.withholding_rates to authenticated;
grant insert, select on public.withholding_rates to nexus_engine;
grant select on public.withholding_rates to service_role;
create policy withholding_rates_insert_engine on public.withholding_rates for insert to nexus_engine
  with check (true);
create policy withholding_rates_read_all on public.withholding_rates for select to anon, authenticated, nexus_engine
  using (true);

create view public.property_evidence as
 SELECT DISTINCT ON (d.property_id, d.document_type) d.property_id,
    d.document_type,
    d.issued_on,
    d.expires_at,
    ( SELECT max(r.reviewed_at) AS max
           FROM public.property_document_reviews r
          WHERE ((r.document_id = d.id) AND (r.decision = 'accepted'::text))) AS accepted_at
   FROM (public.property_documents d
     JOIN public.properties p ON (((p.id = d.property_id) AND p.is_active)))
  WHERE (d.review_status = 'accepted'::text)
  ORDER BY d.property_id, d.document_type, d.expires_at DESC, d.created_at DESC, d.id;
comment on view public.property_evidence is 'The accepted evidence of listed properties by kind, the one that is current longest: that there is some, and its dates; no name, content or file. Runs with its owner rights behind a barrier, on purpose and read-only: documents are for whom their policies name, while that a house has a deed is for everybody.';
comment on column public.property_evidence.property_id is 'The listed property.';
comment on column public.property_evidence.document_type is 'What kind of evidence it is, such as deed or insurance.';
comment on column public.property_evidence.issued_on is 'When it was issued.';
comment on column public.property_evidence.expires_at is 'Until when it is current; null where it does not expire.';
comment on column public.property_evidence.accepted_at is 'When a compliance officer who did not file it accepted it.';
grant select on public.property_evidence to anon;
grant select on public.property_evidence to authenticated;
grant select on public.property_evidence to service_role;

create view public.public_properties as
 SELECT properties.id,
    properties.title,
    properties.description,
    properties.property_type,
    properties.location,
    properties.address,
    properties.city,
    properties.state_province,
    properties.country,
    properties.postal_code,
    properties.coordinates,
    properties.bedrooms,
    properties.bathrooms,
    properties.bathrooms_exact,
    properties.sqft,
    properties.lot_size,
    properties.year_built,
    properties.images,
    properties.amenities,
    properties.virtual_tour_url,
    properties.currency,
    properties.price,
    properties.price_minor,
    properties.price_per_token,
    properties.price_per_token_minor,
    properties.min_investment,
    properties.funding_target,
    properties.funding_target_minor,
    properties.funding_deadline,
    properties.total_tokens,
    properties.tokens_issued,
    properties.tokenization_active,
    properties.tokenization_status,
    properties.is_featured,
    properties.origin,
    properties.created_at,
    properties.updated_at
   FROM public.properties
  WHERE properties.is_active;
comment on view public.public_properties is 'Active properties, for lists with filters. Runs with its owner rights, on purpose and read-only: its rows are public, and without a policy in the way every filter (price as numeric, ILIKE, arrays) can use an index.';
comment on column public.public_properties.id is 'Identity of the property.';
comment on column public.public_properties.title is 'Name to show.';
comment on column public.public_properties.description is 'Description to show, plain text.';
comment on column public.public_properties.property_type is 'Kind of building, such as single_family, apartment, office.';
comment on column public.public_properties.location is 'Place in one line, as people read it.';
comment on column public.public_properties.address is 'Street and number.';
comment on column public.public_properties.city is 'City; clients expect it on every active property.';
comment on column public.public_properties.state_province is 'State, province or emirate.';
comment on column public.public_properties.country is 'Country; clients expect it on every active property.';
comment on column public.public_properties.postal_code is 'Postal code as letters to the building carry it.';
comment on column public.public_properties.coordinates is 'Place on the map: {"lat": degrees, "lng": degrees}, WGS 84.';
comment on column public.public_properties.bedrooms is 'Number of bedrooms.';
comment on column public.public_properties.bathrooms is 'Number of bathrooms, halves left out.';
comment on column public.public_properties.bathrooms_exact is 'Number of bathrooms with halves and quarters, where it is known; bathrooms is its whole part.';
comment on column public.public_properties.sqft is 'Living area in square feet.';
comment on column public.public_properties.lot_size is 'Area of the plot in square feet.';
comment on column public.public_properties.year_built is 'Year in which it was built.';
comment on column public.public_properties.images is 'Array of images, in the order to show them: paths in property-images, or https URLs.';
comment on column public.public_properties.amenities is 'Array of amenities, short texts.';
comment on column public.public_properties.virtual_tour_url is 'Address of a virtual tour, https.';
comment on column public.public_properties.currency is 'Currency of every amount in the row.';
comment on column public.public_properties.price is 'Asking price of the whole property in its currency (USD unless said otherwise). A price, not a valuation.';
comment on column public.public_properties.price_minor is 'price in smallest units. Filter and sort by this one: numeric comparisons cannot use an index below row-level security.';
comment on column public.public_properties.price_per_token is 'Price of one token.';
comment on column public.public_properties.price_per_token_minor is 'price_per_token in smallest units.';
comment on column public.public_properties.min_investment is 'Least amount that may be invested at once.';
comment on column public.public_properties.funding_target is 'Amount to be raised.';
comment on column public.public_properties.funding_target_minor is 'funding_target in smallest units.';
comment on column public.public_properties.funding_deadline is 'Until when it is to be raised.';
comment on column public.public_properties.total_tokens is 'Tokens that can be issued in all.';
comment on column public.public_properties.tokens_issued is 'Tokens held by somebody now: a copy of the ledger''s figure, written with it.';
comment on column public.public_properties.tokenization_active is 'Whether tokens are being offered.';
comment on column public.public_properties.tokenization_status is 'Where tokenization stands: not_started, in_progress, rejected, offered, completed or cancelled.';
comment on column public.public_properties.is_featured is 'Whether to show it first.';
comment on column public.public_properties.origin is 'Where the row comes from: own (filed here), seed (public data that the program carries) or import (history of what others issued; never listed or offered).';
comment on column public.public_properties.created_at is 'When the row was made.';
comment on column public.public_properties.updated_at is 'When the row last changed.';
grant select on public.public_properties to anon;
grant select on public.public_properties to authenticated;
grant select on public.public_properties to service_role;

create materialized view public.investment_opportunities_mv as
 SELECT p.id AS property_id,
    p.title,
    p.city,
    p.property_type,
    p.price_per_token,
    (COALESCE(f.investors, 0))::bigint AS total_investors,
    COALESCE(nexus.from_minor(f.principal_minor, (p.currency_decimals)::integer), (0)::numeric) AS total_invested,
    round((((100)::numeric * COALESCE(nexus.from_minor(f.principal_minor, (p.currency_decimals)::integer), (0)::numeric)) / NULLIF(p.funding_target, (0)::numeric)), 4) AS funding_percentage
   FROM (public.properties p
     LEFT JOIN nexus.property_figures f ON (((f.property_id = p.id) AND (f.currency = p.currency))))
  WHERE p.is_active;
comment on materialized view public.investment_opportunities_mv is 'Active properties with how far they are funded, as of the last refresh_analytics_views(). Public: it says how far a property is funded and by how many, never by whom. Counts parties, and paid and confirmed investments only.';
comment on column public.investment_opportunities_mv.property_id is 'The property.';
comment on column public.investment_opportunities_mv.title is 'Its name.';
comment on column public.investment_opportunities_mv.city is 'Its city.';
comment on column public.investment_opportunities_mv.property_type is 'Kind of building.';
comment on column public.investment_opportunities_mv.price_per_token is 'Price of one token.';
comment on column public.investment_opportunities_mv.total_investors is 'Parties with paid or confirmed investments; several purchases of one party count once.';
comment on column public.investment_opportunities_mv.total_invested is 'Paid and confirmed principal in the property''s currency.';
comment on column public.investment_opportunities_mv.funding_percentage is 'total_invested over the funding target, in percent, 4 decimals; null without a target.';
CREATE UNIQUE INDEX investment_opportunities_mv_property_id_key ON public.investment_opportunities_mv USING btree (property_id);
grant select on public.investment_opportunities_mv to anon;
grant select on public.investment_opportunities_mv to authenticated;
grant select on public.investment_opportunities_mv to nexus_engine;
grant select on public.investment_opportunities_mv to service_role;

create materialized view public.property_market_insights_mv as
 SELECT p.id AS property_id,
    p.title,
    p.price,
    p.price_per_token,
    p.tokens_issued,
    round((((100)::numeric * p.tokens_issued) / NULLIF(p.total_tokens, (0)::numeric)), 4) AS funding_percentage,
        CASE
            WHEN (f.investors >= 3) THEN round((nexus.from_minor(f.principal_minor, (p.currency_decimals)::integer) / NULLIF(f.tokens, (0)::numeric)), 6)
            ELSE NULL::numeric
        END AS avg_investor_price
   FROM (public.properties p
     LEFT JOIN nexus.property_figures f ON (((f.property_id = p.id) AND (f.currency = p.currency))))
  WHERE p.is_active;
comment on materialized view public.property_market_insights_mv is 'Active properties with their token figures, as of the last refresh_analytics_views(). Public: an average is shown for three or more parties only. Unlike the seed''s, it leaves inactive properties out, as its sister does.';
comment on column public.property_market_insights_mv.property_id is 'The property.';
comment on column public.property_market_insights_mv.title is 'Its name.';
comment on column public.property_market_insights_mv.price is 'Asking price of the whole property.';
comment on column public.property_market_insights_mv.price_per_token is 'Price of one token.';
comment on column public.property_market_insights_mv.tokens_issued is 'Tokens held by somebody.';
comment on column public.property_market_insights_mv.funding_percentage is 'tokens_issued over total_tokens, in percent, 4 decimals; null without tokens.';
comment on column public.property_market_insights_mv.avg_investor_price is 'Average price of a paid or confirmed token, weighted by tokens, 6 decimals; null for fewer than three parties.';
CREATE UNIQUE INDEX property_market_insights_mv_property_id_key ON public.property_market_insights_mv USING btree (property_id);
grant select on public.property_market_insights_mv to anon;
grant select on public.property_market_insights_mv to authenticated;
grant select on public.property_market_insights_mv to nexus_engine;
grant select on public.property_market_insights_mv to service_role;

-- Schema nexus. What the API never shows: the outbox, details of the audit trail, functions that policies and constraints use.

CREATE OR REPLACE FUNCTION nexus.actor_id()
 RETURNS uuid
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select auth.uid()
$function$;
comment on function nexus.actor_id() is 'The login for which the request acts, for roles that have nothing to do in schema auth.';
grant execute on function nexus.actor_id() to nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.anonymise_profile(user_id uuid)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  update public.user_profiles as p
  set email = null, full_name = null, display_name = null, phone = null, avatar_url = null, wallet_address = null,
      investment_experience = null, risk_tolerance = null, preferred_investment_size = null
  where p.id = anonymise_profile.user_id;
  update public.user_role_assignments as a set is_active = false where a.user_id = anonymise_profile.user_id and a.is_active;
$function$;
comment on function nexus.anonymise_profile(uuid) is 'Takes away what a profile says of its person and every role, for a login that goes and whose history stays. The party keeps its name as long as the law wants it.';
grant execute on function nexus.anonymise_profile(uuid) to supabase_auth_admin;

CREATE OR REPLACE FUNCTION nexus.api_role_of(user_id uuid)
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select case when exists (
    select from public.user_role_assignments as a
    where a.user_id = api_role_of.user_id and a.is_active and a.role in ('admin', 'compliance_officer', 'property_manager')
  ) then 'nexus_staff' else 'authenticated' end
$function$;
comment on function nexus.api_role_of(uuid) is 'The database role that a login''s access token carries: who works for the company acts as staff.';
grant execute on function nexus.api_role_of(uuid) to supabase_auth_admin;

CREATE OR REPLACE FUNCTION nexus.append_audit(table_name text, operation text, row_key text, before jsonb, after jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
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
$function$;
comment on function nexus.append_audit(text,text,text,jsonb,jsonb) is 'Appends one audit row with its details, for what is not told row by row: a TRUNCATE, the load of a file.';

CREATE OR REPLACE FUNCTION nexus.approve_gate_override(override_id uuid, at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  asked public.gate_overrides;
begin
  if auth.uid() is null or not nexus.is_overseer(auth.uid(), 'compliance_officer', 'admin') then
    raise exception 'overrides are approved by compliance officers and admins'
      using errcode = 'insufficient_privilege', constraint = 'overrides_are_by_overseers';
  end if;
  select * into asked from public.gate_overrides as o where o.id = approve_gate_override.override_id for update;
  if not found then
    raise exception 'there is no such override' using errcode = 'no_data_found', constraint = 'overrides_exist';
  end if;
  if nexus.is_same_party(auth.uid(), asked.requested_by) then
    raise exception 'an override needs two persons' using errcode = 'check_violation', constraint = 'gate_overrides_need_two_persons';
  end if;
  if asked.approved_by is not null or asked.valid_until <= at then
    raise exception 'the override is approved already, or its time is over'
      using errcode = 'check_violation', constraint = 'overrides_are_approved_once';
  end if;
  update public.gate_overrides set approved_by = auth.uid(), approved_at = at where id = asked.id;
end
$function$;
comment on function nexus.approve_gate_override(uuid,timestamp with time zone) is 'Approves an override, as an overseer of another party than the one who asked.';
grant execute on function nexus.approve_gate_override(uuid,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.are_paths_in_folder(paths jsonb, bucket text, folder uuid)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (nexus.is_list_of_texts(paths) AND (NOT (EXISTS (SELECT FROM jsonb_array_elements_text(CASE WHEN (jsonb_typeof(are_paths_in_folder.paths) = 'array'::text) THEN are_paths_in_folder.paths ELSE '[]'::jsonb END) p(path) WHERE (NOT (nexus.is_storage_path(p.path, are_paths_in_folder.bucket) AND (split_part(p.path, '/'::text, 2) = (are_paths_in_folder.folder)::text)))))));
comment on function nexus.are_paths_in_folder(jsonb,text,uuid) is 'Whether a value is an array of bucket/folder/... paths of this bucket and folder.';
grant execute on function nexus.are_paths_in_folder(jsonb,text,uuid) to authenticated, service_role;

CREATE OR REPLACE FUNCTION nexus.audit_table(target regclass, key_column text DEFAULT 'id'::text, derived text[] DEFAULT '{}'::text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
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
$function$;
comment on function nexus.audit_table(regclass,text,text[]) is 'Puts the audit trail on a table; called by the migration that makes the table.';

CREATE OR REPLACE FUNCTION nexus.call_hook(hook text, event jsonb)
 RETURNS jsonb
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  -- Reads a name and finds a function: nothing else in the text is ever run.
  found_hook regprocedure := to_regprocedure(call_hook.hook || '(jsonb)');
  answer jsonb;
begin
  if found_hook is null then
    raise exception 'there is no function %(jsonb)', call_hook.hook using errcode = 'undefined_function';
  end if;
  execute format('select %s($1)', found_hook::oid::regproc) into answer using call_hook.event;
  return answer;
end
$function$;
comment on function nexus.call_hook(text,jsonb) is 'Asks the function that the configuration names, as the auth service and with its rights, what claims an access token shall have.';
grant execute on function nexus.call_hook(text,jsonb) to supabase_auth_admin;

CREATE OR REPLACE FUNCTION nexus.caller_role()
 RETURNS text
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN COALESCE(NULLIF(current_setting('role'::text, true), 'none'::text), (SESSION_USER)::text);
comment on function nexus.caller_role() is 'The database role of the request, also inside a security definer function: what SET ROLE chose, else the login.';
grant execute on function nexus.caller_role() to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.chat_room_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(p.room_id), '{}') from public.chat_room_participants as p where p.user_id = auth.uid() and p.is_active
$function$;
comment on function nexus.chat_room_ids() is 'Rooms that the caller is in.';
grant execute on function nexus.chat_room_ids() to authenticated, service_role;

CREATE OR REPLACE FUNCTION nexus.distribution_parts(token_id uuid, total bigint, tie_first uuid, at timestamp with time zone, seconds_from timestamp with time zone, seconds_to timestamp with time zone)
 RETURNS TABLE(party_id uuid, entitled_units bigint, amount_minor bigint, withheld_minor bigint, rate_ppm integer, form text, form_version text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  with basis as (
    select a.party_id, b.balance::numeric as units
    from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
    where seconds_from is null and a.asset = 'token:' || distribution_parts.token_id and a.purpose = 'held' and b.balance > 0
    union all
    select s.party_id, s.token_seconds
    from ledger.token_seconds(distribution_parts.token_id, seconds_from, seconds_to, 9223372036854775807) as s where seconds_from is not null
  ), held as (
    select b.party_id, b.units, sum(b.units) over () as entitled from basis as b
  ), exact as (
    select h.party_id, h.units, div(total * h.units, h.entitled)::bigint as whole, mod(total * h.units, h.entitled) as fraction
    from held as h
  ), ranked as (
    select e.party_id, e.units, e.whole,
           total - sum(e.whole) over () as left_over,
           row_number() over (order by e.fraction desc, e.party_id < tie_first, e.party_id) as place
    from exact as e
  ), forms as (
    select f.party_id, jsonb_object_agg(f.form, f.form_version) as versions
    from public.tax_forms as f join public.parties as p on p.id = f.party_id and p.residency_country = f.residency_country
    where f.status = 'checked' and f.expires_at > distribution_parts.at group by f.party_id
  ), given as materialized (
    select r.party_id, r.units, r.whole + case when r.place <= r.left_over then 1 else 0 end as amount,
           coalesce(p.residency_country, '') as residency, coalesce(f.versions, '{}') as versions
    from ranked as r join public.parties as p on p.id = r.party_id left join forms as f on f.party_id = r.party_id
  ), countries as (
    select r.residency, r.versions, rate.rate_ppm, rate.form, rate.form_version
    from (select distinct g.residency, g.versions from given as g) as r
    left join lateral (
      select w.rate_ppm, w.form, case when w.needs_form then r.versions ->> w.form else w.form_version end as form_version
      from public.withholding_rates as w
      where w.source_country = (select p.country from public.properties as p join public.property_tokens as t on t.property_id = p.id
                                where t.id = distribution_parts.token_id)
        and (w.residency_country = r.residency or w.residency_country is null) and (not w.needs_form or r.versions ? w.form)
        and w.valid_from = (select max(x.valid_from) from public.withholding_rates as x where x.source_country = w.source_country
                            and x.residency_country is not distinct from w.residency_country and x.valid_from <= distribution_parts.at)
      order by w.residency_country is null, not w.needs_form limit 1) as rate on true
  )
  -- round() on numeric goes half away from zero, which is half up for amounts.
  -- A line's check refuses what is too many to be exact.
  select g.party_id, least(g.units, 9007199254740992)::bigint, g.amount, round(g.amount::numeric * coalesce(c.rate_ppm, 0) / 1000000)::bigint,
         coalesce(c.rate_ppm, 0), coalesce(c.form, 'none'), coalesce(c.form_version, 'none')
  from given as g join countries as c on c.residency = g.residency and c.versions = g.versions
$function$;
comment on function nexus.distribution_parts(uuid,bigint,uuid,timestamp with time zone,timestamp with time zone,timestamp with time zone) is 'How a total is split over who holds a token now, or over its token-seconds in a period, by largest remainder, equal fractions served in the circle of parties from one on, and what of each part is tax. mint_core::allocation::split is the reference.';
grant execute on function nexus.distribution_parts(uuid,bigint,uuid,timestamp with time zone,timestamp with time zone,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.erase_audit_details(audit_ids bigint[], reason text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  erased bigint;
begin
  insert into nexus.audit_erasures (audit_id, reason, actor_id)
  select d.audit_id, erase_audit_details.reason, auth.uid()
  from nexus.audit_details as d where d.audit_id = any (audit_ids)
  order by d.audit_id;
  get diagnostics erased = row_count;
  delete from nexus.audit_details as d where d.audit_id = any (audit_ids);
  return erased;
end
$function$;
comment on function nexus.erase_audit_details(bigint[],text) is 'Erases what audit rows said, with a case for each; returns how many. The rows themselves and the chain stay.';
grant execute on function nexus.erase_audit_details(bigint[],text) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.fee_minor(amount_minor bigint, fee_type text, currency text, at timestamp with time zone)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  schedule record;
  fee_exact numeric;
begin
  if fee_minor.amount_minor is null or fee_minor.amount_minor not between 0 and 9007199254740991 then
    raise exception 'an amount of % smallest units has no fee: give 0 to 9007199254740991', coalesce(fee_minor.amount_minor::text, 'null')
      using errcode = 'invalid_parameter_value';
  end if;
  select s.rate_ppm, s.fixed_minor, s.minimum_minor, s.maximum_minor into schedule
  from public.fee_schedules as s
  where s.fee_type = fee_minor.fee_type and s.currency = fee_minor.currency and s.valid_from <= fee_minor.at
  order by s.valid_from desc
  limit 1;
  if not found then
    raise exception 'no fee schedule for "%" in % at %', fee_minor.fee_type, fee_minor.currency, fee_minor.at
      using errcode = 'invalid_parameter_value',
            hint = 'Fee types in force: ' || coalesce((
              select string_agg(distinct s.fee_type, ', ' order by s.fee_type)
              from public.fee_schedules as s
              where s.currency = fee_minor.currency and s.valid_from <= fee_minor.at), 'none') || '.';
  end if;
  -- round() on numeric goes half away from zero, which is half up for amounts.
  fee_exact := round(fee_minor.amount_minor::numeric * schedule.rate_ppm / 1000000) + schedule.fixed_minor;
  if fee_exact > 9007199254740991 then
    raise exception 'the fee "%" on % smallest units is above the largest amount', fee_minor.fee_type, fee_minor.amount_minor
      using errcode = 'numeric_value_out_of_range';
  end if;
  return least(greatest(fee_exact, schedule.minimum_minor), schedule.maximum_minor);
end
$function$;
comment on function nexus.fee_minor(bigint,text,text,timestamp with time zone) is 'The fee on an amount, in smallest units: round half up of rate x amount, plus the fixed part, then at least the minimum and at most the maximum, by the schedule in force at an instant.';
grant execute on function nexus.fee_minor(bigint,text,text,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.file_lock(sha256 bytea)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN hashtextextended(('file:'::text || encode(sha256, 'hex'::text)), (0)::bigint);
comment on function nexus.file_lock(bytea) is 'Number of the advisory lock over one content: who names it shares the lock, who removes it has it alone.';

CREATE OR REPLACE FUNCTION nexus.fold_figures(changes_max integer, at timestamp with time zone)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  folded integer;
begin
  -- One folder at a time; who comes second has nothing to do.
  if not pg_try_advisory_xact_lock(hashtext('nexus-mint figures')) then
    return 0;
  end if;
  -- The planner takes each part for a row or two: joins of one part with another are left out, since they would be loops in loops.
  with taken as materialized (
    delete from nexus.figure_changes as c
    where c.id in (select w.id from nexus.figure_changes as w order by w.id limit changes_max)
    returning c.*
  ), parts as (
    select t.property_id, t.currency, t.party_id, sum(t.principal_minor)::bigint as principal_minor, sum(t.tokens) as tokens,
           sum(t.investments)::integer as investments
    from taken as t where t.kind = 'invested' group by t.property_id, t.currency, t.party_id
  ), steps as materialized (
    select p.*, coalesce(f.investments, 0) as before
    from parts as p left join nexus.investor_figures as f
      on f.property_id = p.property_id and f.currency = p.currency and f.party_id = p.party_id
  ), investors as (
    insert into nexus.investor_figures as f (property_id, currency, party_id, principal_minor, tokens, investments)
    select s.property_id, s.currency, s.party_id, s.principal_minor, s.tokens, s.investments from steps as s
    where s.principal_minor >= 0 and s.tokens >= 0 and s.investments >= 0
    on conflict on constraint investor_figures_pkey do update
      set principal_minor = f.principal_minor + excluded.principal_minor, tokens = f.tokens + excluded.tokens,
          investments = f.investments + excluded.investments
  ), fewer as (
    -- A check looks at the row to be inserted before its conflict is seen: what goes down is updated.
    update nexus.investor_figures as f
    set principal_minor = f.principal_minor + s.principal_minor, tokens = f.tokens + s.tokens, investments = f.investments + s.investments
    from steps as s
    where f.property_id = s.property_id and f.currency = s.currency and f.party_id = s.party_id
      and not (s.principal_minor >= 0 and s.tokens >= 0 and s.investments >= 0)
  ), totals as materialized (
    select s.property_id, s.currency, sum((s.before + s.investments > 0)::integer - (s.before > 0)::integer)::integer as investors,
           sum(s.principal_minor)::bigint as principal_minor, sum(s.tokens) as tokens
    from steps as s group by s.property_id, s.currency
  ), more_funded as (
    insert into nexus.property_figures as f (property_id, currency, investors, principal_minor, tokens, as_of)
    select t.property_id, t.currency, t.investors, t.principal_minor, t.tokens, at from totals as t
    where t.investors >= 0 and t.principal_minor >= 0 and t.tokens >= 0
    on conflict on constraint property_figures_pkey do update
      set investors = f.investors + excluded.investors, principal_minor = f.principal_minor + excluded.principal_minor,
          tokens = f.tokens + excluded.tokens, as_of = excluded.as_of
  ), less_funded as (
    update nexus.property_figures as f
    set investors = f.investors + t.investors, principal_minor = f.principal_minor + t.principal_minor, tokens = f.tokens + t.tokens, as_of = at
    from totals as t
    where f.property_id = t.property_id and f.currency = t.currency and not (t.investors >= 0 and t.principal_minor >= 0 and t.tokens >= 0)
  ), people as materialized (
    select t.user_id, sum(t.principal_minor)::bigint as principal_minor, sum(t.income_minor)::bigint as income_minor
    from taken as t where t.kind in ('invested', 'person') and t.currency = 'USD'
    group by t.user_id having sum(t.principal_minor) <> 0 or sum(t.income_minor) <> 0
  ), free_people as (
    -- A row that a command holds is left for the next turn: whoever waits while holding others may be waited for.
    select u.id, p.principal_minor, p.income_minor from people as p join public.user_profiles as u on u.id = p.user_id
    for no key update of u skip locked
  ), told as (
    update public.user_profiles as u
    set total_invested = u.total_invested + nexus.from_minor(f.principal_minor, 2), total_returns = u.total_returns + nexus.from_minor(f.income_minor, 2),
        totals_as_of = at
    from free_people as f where u.id = f.id
  ), investments as materialized (
    select distinct t.investment_id as id from taken as t where t.investment_id is not null
  ), free_investments as (
    select i.id, i.status, i.party_id, i.token_amount_units, i.property_token_id, i.payment_currency, i.current_value_minor
    from public.investments as i where i.id in (select v.id from investments as v) for no key update skip locked
  ), worths as (
    select f.id, f.current_value_minor as before, nexus.worth_minor(
      case f.status
        when 'paid' then f.token_amount_units
        when 'confirmed' then (select sum(l.units) filter (where l.party_id = f.party_id) from public.lots as l where l.investment_id = f.id)::bigint
      end, f.property_token_id, f.payment_currency) as worth
    from free_investments as f
  ), valued as (
    update public.investments as i
    set current_value_minor = w.worth, current_value_as_of = case when w.worth is not null then at end
    from worths as w where i.id = w.id and w.worth is distinct from w.before
  ), again as (
    insert into nexus.figure_changes (kind, user_id, investment_id, currency, principal_minor, income_minor)
    select 'person', p.user_id, null, 'USD', p.principal_minor, p.income_minor from people as p
    where p.user_id not in (select f.id from free_people as f)
    union all
    select 'holding', null, v.id, null, 0, 0 from investments as v where v.id not in (select f.id from free_investments as f)
    -- A new price is one change for each investment, so that no turn has more than its share.
    union all
    select 'holding', null, i.id, null, 0, 0 from public.investments as i
    where i.property_token_id in (select t.property_token_id from taken as t where t.kind = 'price') and i.status in ('paid', 'confirmed')
  ), due as (
    insert into nexus.analytics_dues (property_id)
    select distinct t.property_id from taken as t
    where t.property_id is not null and exists (select from public.property_performance as p where p.property_id = t.property_id)
    on conflict on constraint analytics_dues_pkey do nothing
  ), stale as (
    update nexus.market_views as m set is_stale = true
    where not m.is_stale and exists (select from taken as t where t.kind in ('invested', 'listing'))
  )
  select (select count(*) from taken) into folded;
  return folded;
end
$function$;
comment on function nexus.fold_figures(integer,timestamp with time zone) is 'Takes the oldest changes, so many at most, and folds them into figures, all in one transaction: how many it took; 0 also while another folds. What a command holds locked is left for another turn.';
grant execute on function nexus.fold_figures(integer,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.folder_id(object_name text)
 RETURNS uuid
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN ((object_name ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/.'::text) AND (object_name !~ '(^|/)\.{1,2}(/|$)'::text) AND (object_name !~ '//'::text)) THEN ("left"(object_name, 36))::uuid ELSE NULL::uuid END;
comment on function nexus.folder_id(text) is 'The id that names the first folder of a stored object, or null where it is not one or the name has empty, . or .. parts.';
grant execute on function nexus.folder_id(text) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.from_minor(amount_minor bigint, decimals integer)
 RETURNS numeric
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN round(((amount_minor)::numeric / ((10)::numeric ^ (decimals)::numeric)), decimals);
comment on function nexus.from_minor(bigint,integer) is 'An amount of smallest units as a decimal figure, exact: 2^53 units have 16 digits, and numeric division keeps more.';
grant execute on function nexus.from_minor(bigint,integer) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.gate_evidence(property_id uuid, action text, kind text, at timestamp with time zone, deed_since date)
 RETURNS TABLE(requirement text, document_types text[], document_id uuid, sha256 bytea, found text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select r.requirement, r.document_types, current.id, current.sha256,
    -- Of what is there and does not count, the nearest to counting.
    case when current.id is not null then 'current' else coalesce((
      select case when d.review_status = 'accepted' and d.expires_at <= at then 'expired'
                  when d.review_status = 'accepted' then 'too early' else d.review_status end
      from public.property_documents as d
      where d.property_id = gate_evidence.property_id and d.document_type = any (r.document_types)
      order by array_position(array['accepted', 'pending', 'revoked', 'rejected'], d.review_status), d.expires_at desc nulls first
      limit 1), 'missing') end
  from public.gate_requirements as r
  left join lateral (
    select d.id, d.sha256 from public.property_documents as d
    where d.property_id = gate_evidence.property_id and d.document_type = any (r.document_types) and d.review_status = 'accepted'
      and (d.expires_at is null or d.expires_at > at) and (d.issued_on is null or d.issued_on <= (at at time zone 'UTC')::date)
      and (r.requirement <> 'title' or deed_since is null or d.issued_on >= deed_since)
    order by d.issued_on desc nulls last, d.created_at desc, d.id
    limit 1) as current on true
  where r.action = gate_evidence.action and r.offering_kind = kind
$function$;
comment on function nexus.gate_evidence(uuid,text,text,timestamp with time zone,date) is 'What an action needs and what there is of it at an instant; title counts from a day on, where one is given. Decides nothing: nexus.pass_gate() does, under the lock.';
grant execute on function nexus.gate_evidence(uuid,text,text,timestamp with time zone,date) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.guest_offering_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(g.offering_id), '{}') from public.offering_guests as g where g.user_id = auth.uid()
$function$;
comment on function nexus.guest_offering_ids() is 'Offerings that are not public and to which the caller was invited.';
grant execute on function nexus.guest_offering_ids() to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.handle_changed_user()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  update public.user_profiles set email = new.email where id = new.id and email is distinct from new.email;
  return new;
end
$function$;
comment on function nexus.handle_changed_user() is 'Trigger on auth.users: carries a changed e-mail address to the profile.';

CREATE OR REPLACE FUNCTION nexus.has_any_role(VARIADIC roles text[])
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select exists (
    select from public.user_role_assignments as a
    where a.user_id = auth.uid() and a.is_active and a.role = any (roles)
  )
$function$;
comment on function nexus.has_any_role(text[]) is 'Whether the caller has one of these roles now. For policies, as (select nexus.has_any_role(...)): once a statement.';
grant execute on function nexus.has_any_role(text[]) to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.has_approved_kyc()
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select exists (
    select from public.user_profiles as p
    where p.id = auth.uid() and p.kyc_status = 'approved' and coalesce(p.kyc_expires_at > now(), true)
  )
$function$;
comment on function nexus.has_approved_kyc() is 'Whether the caller''s identity is verified, and that has not expired.';
grant execute on function nexus.has_approved_kyc() to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.has_open_incident(property_id uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select exists (select from public.incidents as i where i.property_id = has_open_incident.property_id and i.status = 'open')
$function$;
comment on function nexus.has_open_incident(uuid) is 'Whether an incident stops a property''s closing and payouts.';
grant execute on function nexus.has_open_incident(uuid) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.invested_property_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(distinct h.property_id), '{}')
  from (select i.property_id from public.investments as i where i.user_id = auth.uid() and i.status in ('pending', 'paid', 'refund_due')
        union all
        select l.property_id from public.lots as l where l.user_id = auth.uid() and l.units > 0) as h
$function$;
comment on function nexus.invested_property_ids() is 'Properties in which the caller has money or tokens.';
grant execute on function nexus.invested_property_ids() to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.is_list_of_texts(list jsonb)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((jsonb_typeof(list) = 'array'::text) AND (NOT jsonb_path_exists(list, '$[*]?(@.type() != "string")'::jsonpath)) AND (jsonb_array_length(list) <= 200) AND (length((list)::text) <= 100000));
comment on function nexus.is_list_of_texts(jsonb) is 'Whether a value is an array of at most 200 texts, 100,000 characters in all.';
grant execute on function nexus.is_list_of_texts(jsonb) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.is_money(amount numeric, decimals integer)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (((amount >= (0)::numeric) AND (amount <= (('9007199254740991'::bigint)::numeric / ((10)::numeric ^ (decimals)::numeric)))) AND (amount = round(amount, decimals)));
comment on function nexus.is_money(numeric,integer) is 'Whether a typed amount is exact in its currency''s smallest unit and small enough (2^53 - 1 units) to be exact as a JSON number too.';
grant execute on function nexus.is_money(numeric,integer) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.is_overseer(user_id uuid, VARIADIC roles text[])
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select exists (
    select from public.user_role_assignments as a
    where a.user_id = is_overseer.user_id and a.is_active and a.role = any (roles))
$function$;
comment on function nexus.is_overseer(uuid,text[]) is 'Whether a login has one of these roles now, asked by functions that decide.';

CREATE OR REPLACE FUNCTION nexus.is_safe_payment_details(details jsonb)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO ''
AS $function$
  select jsonb_typeof(details) = 'object' and not exists (
    select from jsonb_each_text(case when jsonb_typeof(details) = 'object' then details else '{}' end) as d
    where d.key not in ('label', 'brand', 'last_four', 'bank_name', 'country', 'expiry_month', 'expiry_year', 'network', 'address')
      or length(d.value) > 100
      or (d.key = 'last_four' and d.value !~ '^[0-9]{4}$')
      or (d.key = 'address' and d.value !~ '^0x[0-9a-fA-F]{40}$')
      or (d.key <> 'address' and regexp_replace(d.value, '[^0-9]', '', 'g') ~ '[0-9]{7}')
  )
$function$;
comment on function nexus.is_safe_payment_details(jsonb) is 'Whether payment details name only what may be shown: known keys, last four digits at most, no text with seven or more digits.';
grant execute on function nexus.is_safe_payment_details(jsonb) to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.is_same_party(one uuid, other uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select one = other or exists (
    select from public.user_profiles as a join public.user_profiles as b on b.party_id = a.party_id where a.id = one and b.id = other)
$function$;
comment on function nexus.is_same_party(uuid,uuid) is 'Whether two logins are one person: four eyes are counted by party.';
grant execute on function nexus.is_same_party(uuid,uuid) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.is_storage_path(file_url text, bucket text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (starts_with(file_url, (bucket || '/'::text)) AND ((length(file_url) >= (length(bucket) + 2)) AND (length(file_url) <= 1200)) AND (file_url !~ '(^|/)\.{1,2}(/|$)'::text) AND (file_url !~ '//'::text));
comment on function nexus.is_storage_path(text,text) is 'Whether a text is bucket/path of this bucket, without empty, . and .. parts. File columns never hold a URL.';
grant execute on function nexus.is_storage_path(text,text) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.is_trusted_caller()
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN ((nexus.caller_role() = ANY (ARRAY['nexus_engine'::text, 'nexus_owner'::text])) OR (EXISTS (SELECT FROM pg_roles r WHERE ((r.rolname = nexus.caller_role()) AND (r.rolsuper OR r.rolbypassrls)))));
comment on function nexus.is_trusted_caller() is 'Whether the request runs as a command, as nexus_owner, or as a role that no policy holds (the service, a superuser), and so not as a person or visitor.';
grant execute on function nexus.is_trusted_caller() to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.lock_gate(property_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into public.property_gates (property_id) values (lock_gate.property_id) on conflict on constraint property_gates_pkey do nothing;
  perform from public.property_gates as g where g.property_id = lock_gate.property_id for update;
end
$function$;
comment on function nexus.lock_gate(uuid) is 'Locks a property''s gate until the end of the transaction.';

CREATE OR REPLACE FUNCTION nexus.lock_unused_file(sha256 bytea)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  if not pg_try_advisory_xact_lock(nexus.file_lock(lock_unused_file.sha256)) then
    return false;
  end if;
  return not exists (select from storage.objects as o where o.metadata ->> 'eTag' = '"' || encode(lock_unused_file.sha256, 'hex') || '"')
    and not exists (select from nexus.resumable_parts as p where p.sha256 = lock_unused_file.sha256);
end
$function$;
comment on function nexus.lock_unused_file(bytea) is 'Locks a content that no row names, until the end of the transaction; false where one does, or where somebody is about to.';
grant execute on function nexus.lock_unused_file(bytea) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.managed_property_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(m.property_id), '{}')
  from public.property_members as m
  where m.user_id = auth.uid() and m.is_active and m.capacity in ('owner', 'manager') and nexus.has_any_role('property_manager')
$function$;
comment on function nexus.managed_property_ids() is 'Properties that the caller, a property manager, may edit.';
grant execute on function nexus.managed_property_ids() to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.may_ask_about(user_id uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select nexus.is_trusted_caller() or may_ask_about.user_id = auth.uid() or nexus.has_any_role('admin')
$function$;
comment on function nexus.may_ask_about(uuid) is 'Whether the caller may be told about this login: about himself, anybody for an admin, a command or the service.';
grant execute on function nexus.may_ask_about(uuid) to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.member_property_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(m.property_id), '{}')
  from public.property_members as m
  where m.user_id = auth.uid() and m.is_active and nexus.has_any_role('property_manager')
$function$;
comment on function nexus.member_property_ids() is 'Properties that the caller, a property manager, acts for in any capacity. For policies: property_id = any ((select nexus.member_property_ids())::uuid[]).';
grant execute on function nexus.member_property_ids() to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.my_distribution_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(distinct l.distribution_id), '{}') from public.distribution_lines as l where l.party_id = nexus.party_id()
$function$;
comment on function nexus.my_distribution_ids() is 'Distributions of which the caller''s party has a line.';
grant execute on function nexus.my_distribution_ids() to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.note_change(table_name text, row_key text, before jsonb, after jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  perform nexus.append_audit(note_change.table_name, 'UPDATE', note_change.row_key, note_change.before, note_change.after);
end
$function$;
comment on function nexus.note_change(text,text,jsonb,jsonb) is 'Appends one audit row about a row of a table whose every change would be too many to tell: what a person decided about it. A command calls it in the transaction of the change.';
grant execute on function nexus.note_change(text,text,jsonb,jsonb) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.note_earnings()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- A load of thousands of valuations tells of each property once, and of none without a period.
  insert into nexus.figure_changes (kind, property_id)
  select distinct 'earnings', n.property_id from new_rows as n
  where exists (select from public.property_performance as p where p.property_id = n.property_id);
  return null;
end
$function$;
comment on function nexus.note_earnings() is 'Trigger, once a statement: what these properties earned or were worth changed.';

CREATE OR REPLACE FUNCTION nexus.note_invested()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into nexus.figure_changes (kind, property_id, party_id, user_id, investment_id, currency, principal_minor, tokens, investments)
  values ('invested', new.property_id, new.party_id, new.user_id, new.id, new.payment_currency, new.total_amount_minor, new.token_amount, 1);
  return null;
end
$function$;
comment on function nexus.note_invested() is 'Trigger, once a row: an investment was inserted as paid or confirmed.';

CREATE OR REPLACE FUNCTION nexus.note_investments()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into nexus.figure_changes (kind, property_id, party_id, user_id, investment_id, currency, principal_minor, tokens, investments)
  select 'invested', i.property_id, i.party_id, i.user_id, i.id, i.payment_currency, sum(i.sign * i.total_amount_minor), sum(i.sign * i.token_amount), sum(i.sign)
  from (
    select -1 as sign, o.id, o.property_id, o.party_id, o.user_id, o.payment_currency, o.total_amount_minor, o.token_amount
    from old_rows as o where o.status in ('paid', 'confirmed')
    union all
    select 1, n.id, n.property_id, n.party_id, n.user_id, n.payment_currency, n.total_amount_minor, n.token_amount
    from new_rows as n where n.status in ('paid', 'confirmed')
  ) as i
  group by i.id, i.property_id, i.party_id, i.user_id, i.payment_currency
  having sum(i.sign) <> 0 or sum(i.sign * i.total_amount_minor) <> 0 or sum(i.sign * i.token_amount) <> 0;
  return null;
end
$function$;
comment on function nexus.note_investments() is 'Trigger, once a statement: what the updated investments now count for, less what they counted for before.';

CREATE OR REPLACE FUNCTION nexus.note_listings()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- One change for all of them: a load has thousands, and nothing else is to be computed for what is new.
  insert into nexus.figure_changes (kind) select 'listing' where exists (select from new_rows as n where n.is_active);
  return null;
end
$function$;
comment on function nexus.note_listings() is 'Trigger, once a statement: properties were added that the market views show.';

CREATE OR REPLACE FUNCTION nexus.note_lots()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into nexus.figure_changes (kind, investment_id)
  select distinct 'holding', n.investment_id from new_rows as n join old_rows as o on o.id = n.id
  where (n.units, n.party_id) is distinct from (o.units, o.party_id);
  return null;
end
$function$;
comment on function nexus.note_lots() is 'Trigger, once a statement: what these purchases left in their buyers'' hands changed.';

CREATE OR REPLACE FUNCTION nexus.note_one()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  if tg_argv[0] = 'listing' then
    insert into nexus.figure_changes (kind, property_id) values ('listing', new.id);
  elsif tg_argv[0] = 'price' then
    insert into nexus.figure_changes (kind, property_token_id) values ('price', new.id);
  else
    insert into nexus.figure_changes (kind, investment_id) values ('holding', new.investment_id);
  end if;
  return null;
end
$function$;
comment on function nexus.note_one() is 'Trigger, once a row: a property, token or lot changed; its argument says what that changes. For what comes one at a time.';

CREATE OR REPLACE FUNCTION nexus.note_read(table_name text, row_key text, reason text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  if note_read.reason is null or note_read.reason !~ '\S' or length(note_read.reason) > 500 then
    raise exception 'say in at most 500 characters why the row is read' using errcode = 'check_violation', constraint = 'audit_read_has_a_reason';
  end if;
  perform nexus.append_audit(note_read.table_name, 'READ', note_read.row_key, null, jsonb_build_object('reason', note_read.reason));
end
$function$;
comment on function nexus.note_read(text,text,text) is 'Appends one audit row that says who was shown a row, and why. A command calls it in the transaction in which it reads what only few may see; no role of a person may read those tables directly, so no read goes without.';
grant execute on function nexus.note_read(text,text,text) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.note_returned()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into nexus.figure_changes (kind, user_id, currency, income_minor) values ('person', new.user_id, new.currency, new.amount_minor);
  return null;
end
$function$;
comment on function nexus.note_returned() is 'Trigger, once a row: a return was inserted as paid.';

CREATE OR REPLACE FUNCTION nexus.note_returns()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into nexus.figure_changes (kind, user_id, currency, income_minor)
  select 'person', r.user_id, r.currency, sum(r.amount_minor)
  from (
    select o.user_id, o.currency, -o.amount_minor as amount_minor from old_rows as o where o.status = 'paid'
    union all
    select n.user_id, n.currency, n.amount_minor from new_rows as n where n.status = 'paid'
  ) as r
  group by r.user_id, r.currency
  having sum(r.amount_minor) <> 0;
  return null;
end
$function$;
comment on function nexus.note_returns() is 'Trigger, once a statement: what was paid to whom by the updated returns, less what they counted for before.';

CREATE OR REPLACE FUNCTION nexus.own_chat_room_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select coalesce(array_agg(r.id), '{}') from public.chat_rooms as r where r.created_by = auth.uid()
$function$;
comment on function nexus.own_chat_room_ids() is 'Rooms that the caller made.';
grant execute on function nexus.own_chat_room_ids() to authenticated, service_role;

CREATE OR REPLACE FUNCTION nexus.party_id()
 RETURNS uuid
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select p.party_id from public.user_profiles as p where p.id = auth.uid()
$function$;
comment on function nexus.party_id() is 'The party that the caller''s login acts for, or null.';
grant execute on function nexus.party_id() to authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.pass_gate(property_id uuid, action text, subject_id uuid, kind text, at timestamp with time zone, deed_since date DEFAULT NULL::date)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  new_id uuid := gen_random_uuid();
  since date := deed_since;
  lacking jsonb;
  lacking_names text[];
  waiver uuid;
begin
  if not exists (select from public.gate_requirements as r where r.action = pass_gate.action and r.offering_kind = kind) then
    raise exception 'there is no gate for % of %', action, kind using errcode = 'invalid_parameter_value', constraint = 'gate_is_known';
  end if;
  perform nexus.lock_gate(pass_gate.property_id);
  if action in ('close', 'declare') and nexus.has_open_incident(pass_gate.property_id) then
    raise exception 'an incident of the property is open' using errcode = 'check_violation', constraint = 'gate_has_no_open_incident';
  end if;
  -- A house that is bought with the money raised has its own deed after it was launched, and not the seller's from before.
  if action = 'close' and kind = 'acquisition' and since is null then
    select max(p.passed_at at time zone 'UTC')::date into since from public.gate_passes as p
    where p.property_id = pass_gate.property_id and p.action = 'launch' and p.offering_kind = 'acquisition';
    since := coalesce(since, 'infinity');
  end if;
  select jsonb_agg(jsonb_build_object('requirement', e.requirement, 'documents', e.document_types, 'found', e.found) order by e.requirement),
         array_agg(e.requirement order by e.requirement)
    into lacking, lacking_names
  from nexus.gate_evidence(pass_gate.property_id, action, kind, at, since) as e where e.document_id is null;
  if lacking is not null then
    select o.id into waiver from public.gate_overrides as o
    where o.property_id = pass_gate.property_id and o.action = pass_gate.action and o.subject_id = pass_gate.subject_id
      and lacking_names <@ o.requirements and o.approved_at <= at and o.valid_until > at
      and not exists (select from public.gate_passes as p where p.override_id = o.id)
    order by o.approved_at limit 1 for update;
    if waiver is null then
      raise exception 'evidence is missing: %', array_to_string(lacking_names, ', ')
        using errcode = 'check_violation', constraint = 'gate_evidence_is_current', detail = lacking::text;
    end if;
  end if;
  insert into public.gate_passes (id, property_id, action, subject_id, offering_kind, passed_at, actor_id, override_id)
  values (new_id, pass_gate.property_id, pass_gate.action, pass_gate.subject_id, kind, at, auth.uid(), waiver);
  insert into public.gate_pass_evidence (pass_id, property_id, action, requirement, document_id, sha256)
  select new_id, pass_gate.property_id, pass_gate.action, e.requirement, e.document_id, e.sha256
  from nexus.gate_evidence(pass_gate.property_id, action, kind, at, since) as e where e.document_id is not null;
  return new_id;
end
$function$;
comment on function nexus.pass_gate(uuid,text,uuid,text,timestamp with time zone,date) is 'Lets an action of a property through where its evidence is current at an instant, or an approved override waives what is missing: the pass. Refuses by a named constraint, with what is missing in the detail.';
grant execute on function nexus.pass_gate(uuid,text,uuid,text,timestamp with time zone,date) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.post_distribution_part(distribution_id uuid, lines_max integer, day date, actor_id uuid, at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  d public.distributions;
  part record;
  after_party uuid;
  due integer;
  accounts bigint[];
begin
  select * into d from public.distributions as x where x.id = post_distribution_part.distribution_id;
  after_party := coalesce(d.posted_up_to, '00000000-0000-0000-0000-000000000000');
  select count(*)::integer as lines, (array_agg(l.party_id order by l.party_id desc))[1] as last_party,
         coalesce(array_agg(l.party_id order by l.party_id) filter (where l.net > 0), '{}') as parties,
         coalesce(array_agg(l.net order by l.party_id) filter (where l.net > 0), '{}') as nets,
         coalesce(sum(l.withheld_minor), 0)::bigint as withheld, coalesce(sum(l.amount_minor), 0)::bigint as amount
    into part
  from (
    select x.party_id, x.amount_minor, x.withheld_minor, x.amount_minor - x.withheld_minor as net
    from public.distribution_lines as x
    where x.distribution_id = d.id and x.party_id > after_party
    order by x.party_id limit lines_max
  ) as l;
  if part.amount > 0 then
    due := cardinality(part.parties);
    accounts := ledger.open_accounts(
      array['payable_to_investors', 'withheld'] || array_fill('payable'::text, array[due]), array_fill(d.currency, array[2 + due]),
      array[d.property_id, d.property_id] || array_fill(null::uuid, array[due]), array[null, null]::uuid[] || part.parties);
    if part.withheld = 0 then
      accounts := accounts[1:1] || accounts[3:];
    end if;
    perform ledger.post('distribution:' || d.id || ':allocated:' || part.last_party, 'distribution.allocated', day, post_distribution_part.actor_id,
      jsonb_build_object('distribution_id', d.id, 'up_to_party_id', part.last_party), accounts,
      array[-part.amount] || case when part.withheld = 0 then '{}' else array[part.withheld] end || part.nets);
  end if;
  -- A line is split over the lots of its holder as the whole is over the holders.
  insert into public.property_returns (property_id, investment_id, user_id, return_type, currency, currency_decimals, amount_minor, return_date,
    status, distribution_line_id, lot_id, created_at)
  select d.property_id, t.investment_id, t.user_id, 'distribution', d.currency, d.currency_decimals,
         r.whole + case when r.place <= r.amount - r.given then 1 else 0 end, (d.record_at at time zone 'UTC')::date,
         case when r.status = 'payable' then 'payable' when r.amount > 0 then 'withheld' else 'paid' end, r.line_id, r.lot_id, at
  from (
    select e.*, sum(e.whole) over (partition by e.line_id) as given,
           row_number() over (partition by e.line_id order by e.fraction desc, e.lot_id) as place
    from (
      select l.id as line_id, l.amount_minor as amount, l.status, o.lot_id,
             div(l.amount_minor * o.units::numeric, l.weight)::bigint as whole, mod(l.amount_minor * o.units::numeric, l.weight) as fraction
      from (
        select x.*, (select sum(u) from unnest(x.lot_units) as u) as weight from public.distribution_lines as x
        where x.distribution_id = d.id and x.party_id > after_party and x.party_id <= part.last_party
      ) as l
      cross join lateral unnest(l.lot_ids, l.lot_units) as o (lot_id, units)
    ) as e
  ) as r
  join public.lots as t on t.id = r.lot_id;
  insert into public.payouts (id, rail_key, line_id, party_id, property_id, currency, currency_decimals, amount_minor, due_at, created_at)
  select gen_random_uuid(), gen_random_uuid(), l.id, l.party_id, d.property_id, d.currency, d.currency_decimals, l.amount_minor - l.withheld_minor, at, at
  from public.distribution_lines as l
  where l.distribution_id = d.id and l.party_id > after_party and l.party_id <= part.last_party
    and l.amount_minor > l.withheld_minor;
  update public.distributions as x
  set status = 'paying', posted_up_to = coalesce(part.last_party, x.posted_up_to), posted_at = case when part.lines < lines_max then post_distribution_part.at end
  where x.id = d.id;
  return part.lines < lines_max;
end
$function$;
comment on function nexus.post_distribution_part(uuid,integer,date,uuid,timestamp with time zone) is 'Credits the next holders of a distribution, in the order of parties, with their lines less tax: one entry, their returns by lot, their payouts. Answers whether those were the last. The caller holds the distribution''s row.';
grant execute on function nexus.post_distribution_part(uuid,integer,date,uuid,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.put_signed_object(bucket_id text, object_name text, owner_id text, version text, metadata jsonb, user_metadata jsonb, may_replace boolean)
 RETURNS TABLE(id uuid, replaced text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
#variable_conflict use_column
begin
  if put_signed_object.may_replace then
    return query
      with old as (select o.metadata ->> 'eTag' as tag from storage.objects as o where o.bucket_id = put_signed_object.bucket_id and o.name = put_signed_object.object_name)
      insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
      values (put_signed_object.bucket_id, put_signed_object.object_name, put_signed_object.owner_id::uuid, put_signed_object.owner_id,
        put_signed_object.version, put_signed_object.metadata, put_signed_object.user_metadata)
      on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata,
        user_metadata = excluded.user_metadata, owner = excluded.owner, owner_id = excluded.owner_id
      returning o.id, (select old.tag from old);
  else
    return query
      insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
      values (put_signed_object.bucket_id, put_signed_object.object_name, put_signed_object.owner_id::uuid, put_signed_object.owner_id,
        put_signed_object.version, put_signed_object.metadata, put_signed_object.user_metadata)
      returning o.id, null::text;
  end if;
end
$function$;
comment on function nexus.put_signed_object(text,text,text,text,jsonb,jsonb,boolean) is 'Writes the object whose upload somebody signed who could have made it himself, with him as its owner; tells the ETag of what was replaced.';
grant execute on function nexus.put_signed_object(text,text,text,text,jsonb,jsonb,boolean) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.rebuild_figures(at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  perform pg_advisory_xact_lock(hashtext('nexus-mint figures'));
  lock table public.investments, public.property_returns in share mode;
  delete from nexus.figure_changes as c where c.kind in ('invested', 'person');
  delete from nexus.investor_figures;
  delete from nexus.property_figures;
  insert into nexus.investor_figures (property_id, currency, party_id, principal_minor, tokens, investments)
  select i.property_id, i.payment_currency, i.party_id, sum(i.total_amount_minor), sum(i.token_amount), count(*)
  from public.investments as i where i.status in ('paid', 'confirmed') group by i.property_id, i.payment_currency, i.party_id;
  insert into nexus.property_figures (property_id, currency, investors, principal_minor, tokens, as_of)
  select f.property_id, f.currency, count(*), sum(f.principal_minor), sum(f.tokens), at
  from nexus.investor_figures as f group by f.property_id, f.currency;
  with sums as (
    select s.user_id, sum(s.principal) as principal, sum(s.income) as income
    from (select i.user_id, i.total_amount as principal, 0 as income from public.investments as i
          where i.status in ('paid', 'confirmed') and i.payment_currency = 'USD'
          union all
          select r.user_id, 0, r.amount from public.property_returns as r where r.status = 'paid' and r.currency = 'USD') as s
    group by s.user_id
  )
  update public.user_profiles as u set total_invested = coalesce(s.principal, 0), total_returns = coalesce(s.income, 0), totals_as_of = at
  from public.user_profiles as p left join sums as s on s.user_id = p.id
  where p.id = u.id and (u.total_invested, u.total_returns) is distinct from (coalesce(s.principal, 0), coalesce(s.income, 0));
  insert into nexus.figure_changes (kind, investment_id)
  select 'holding', i.id from public.investments as i where i.status in ('paid', 'confirmed') or i.current_value_minor is not null;
  insert into nexus.analytics_dues (property_id) select distinct p.property_id from public.property_performance as p
  on conflict on constraint analytics_dues_pkey do nothing;
  update nexus.market_views set is_stale = true;
end
$function$;
comment on function nexus.rebuild_figures(timestamp with time zone) is 'Computes all figures again from the base tables, for an operator who doubts them or has loaded rows without triggers. Stops purchases and payments for as long as it takes.';

CREATE OR REPLACE FUNCTION nexus.refresh_after_delisting()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- Two statements, since a DELETE has no new_rows to speak of.
  if tg_op = 'UPDATE' then
    if not exists (
      select from old_rows as o where o.is_active and not exists (select from new_rows as n where n.id = o.id and n.is_active)
    ) then
      return null;
    end if;
  end if;
  perform nexus.refresh_market_views();
  return null;
end
$function$;
comment on function nexus.refresh_after_delisting() is 'Trigger: a property that is no longer public leaves the public views in the same transaction.';

CREATE OR REPLACE FUNCTION nexus.refresh_market_views()
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- One at a time, and not while changes are folded.
  perform pg_advisory_xact_lock(hashtext('nexus-mint figures'));
  refresh materialized view concurrently public.investment_opportunities_mv;
  refresh materialized view concurrently public.property_market_insights_mv;
  update nexus.market_views set is_stale = false, refreshed_at = clock_timestamp();
end
$function$;
comment on function nexus.refresh_market_views() is 'Refreshes both market views without locking out their readers.';

CREATE OR REPLACE FUNCTION nexus.refuse_bank_line_twice()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  perform pg_advisory_xact_lock(hashtextextended(format('bank line %s %s %s', new.property_id, new.account_ref, new.bank_reference), 0));
  if tg_table_name = 'rent_lines' and exists (
    select from public.holding_cases as c where c.property_id = new.property_id and c.account_ref = new.account_ref
      and c.bank_reference = new.bank_reference and c.status in ('open', 'done')
  ) then
    raise exception 'a case rests on this line of the bank'
      using errcode = 'unique_violation', schema = 'public', table = 'rent_lines', constraint = 'rent_lines_each_once_key';
  end if;
  if tg_table_name = 'holding_cases' and exists (
    select from public.rent_lines as l where l.property_id = new.property_id and l.account_ref = new.account_ref
      and l.bank_reference = new.bank_reference and not l.is_void
  ) then
    raise exception 'this line of the bank was recorded as rent or a cost'
      using errcode = 'unique_violation', schema = 'public', table = 'holding_cases', constraint = 'holding_cases_bank_line_once_key';
  end if;
  return new;
end
$function$;
comment on function nexus.refuse_bank_line_twice() is 'Trigger: a line of the bank is rent or a cost, or what a case rests on, and not both.';

CREATE OR REPLACE FUNCTION nexus.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  raise exception '% is append-only: rows are never changed or removed', tg_table_schema || '.' || tg_table_name
    using errcode = 'insufficient_privilege';
end
$function$;
comment on function nexus.refuse_change() is 'Trigger: refuses to change a table that only grows, whoever asks.';

CREATE OR REPLACE FUNCTION nexus.refuse_more_than_all_shares()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- Shares of one entity are written one transaction at a time, so that two cannot each find room for theirs.
  perform from public.parties as p where p.id = new.party_id for no key update;
  -- The sum can only rise on the first day of some share.
  if exists (
    select from public.party_owners as day
    join public.party_owners as o on o.party_id = day.party_id and o.valid_from <= day.valid_from
      and (o.valid_to is null or o.valid_to > day.valid_from)
    where day.party_id = new.party_id
    group by day.valid_from, day.id
    having sum(o.share_ppm) > 1000000
  ) then
    raise exception 'the owners of a party would have more than all of it'
      using errcode = 'check_violation', schema = 'public', table = 'party_owners', constraint = 'party_owners_not_more_than_all';
  end if;
  return null;
end
$function$;
comment on function nexus.refuse_more_than_all_shares() is 'Trigger: on no day may the shares of one entity add up to more than all of it.';

CREATE OR REPLACE FUNCTION nexus.refuse_own_decision()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  if exists (
    select from public.user_profiles as u
    where u.id in ((to_jsonb(new) ->> 'taken_by')::uuid, new.decided_by)
      and (u.party_id = new.party_id
        or exists (select from public.party_owners as o where o.party_id = new.party_id and o.owner_party_id = u.party_id))
  ) then
    raise exception 'nobody decides about the party that he acts for or owns a part of'
      using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = tg_table_name || '_decided_by_a_stranger';
  end if;
  return new;
end
$function$;
comment on function nexus.refuse_own_decision() is 'Trigger: refuses a reviewer whose login acts for the party of the case, or whose party is or was an owner of it, whoever writes the row.';

CREATE OR REPLACE FUNCTION nexus.request_gate_override(property_id uuid, action text, subject_id uuid, requirements text[], reason text, valid_until timestamp with time zone, at timestamp with time zone)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  new_id uuid := gen_random_uuid();
begin
  if auth.uid() is null or not nexus.is_overseer(auth.uid(), 'compliance_officer', 'admin') then
    raise exception 'overrides are asked for by compliance officers and admins'
      using errcode = 'insufficient_privilege', constraint = 'overrides_are_by_overseers';
  end if;
  insert into public.gate_overrides (id, property_id, action, subject_id, requirements, reason, requested_by, requested_at, valid_until)
  values (new_id, request_gate_override.property_id, request_gate_override.action, request_gate_override.subject_id,
    request_gate_override.requirements, request_gate_override.reason, auth.uid(), at, request_gate_override.valid_until);
  return new_id;
end
$function$;
comment on function nexus.request_gate_override(uuid,text,uuid,text[],text,timestamp with time zone,timestamp with time zone) is 'Asks, as an overseer, to let one action through without some evidence.';
grant execute on function nexus.request_gate_override(uuid,text,uuid,text[],text,timestamp with time zone,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.retry_mail(mail_id uuid, at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  update nexus.login_mails as m set due_at = least(m.due_at, retry_mail.at) where m.id = retry_mail.mail_id;
  return found;
end
$function$;
comment on function nexus.retry_mail(uuid,timestamp with time zone) is 'Lets a mail that waits be tried at an instant, if not sooner; false where it is gone.';
grant execute on function nexus.retry_mail(uuid,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.review_document(document_id uuid, decision text, reason text, at timestamp with time zone)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  doc public.property_documents;
  reviewer uuid := auth.uid();
  new_id uuid := gen_random_uuid();
begin
  if reviewer is null or not nexus.is_overseer(reviewer, 'compliance_officer') then
    raise exception 'documents are reviewed by compliance officers' using errcode = 'insufficient_privilege', constraint = 'reviews_are_by_officers';
  end if;
  select * into doc from public.property_documents as d where d.id = review_document.document_id;
  if not found then
    raise exception 'there is no such document' using errcode = 'no_data_found', constraint = 'reviews_are_of_a_document';
  end if;
  perform nexus.lock_gate(doc.property_id);
  select * into doc from public.property_documents as d where d.id = review_document.document_id for update;
  if doc.uploaded_by is null or nexus.is_same_party(reviewer, doc.uploaded_by) then
    raise exception 'nobody reviews what they filed, and what nobody filed is not reviewed'
      using errcode = 'check_violation', constraint = 'reviews_need_four_eyes';
  end if;
  if (doc.review_status, decision) not in (('pending', 'accepted'), ('pending', 'rejected'), ('accepted', 'revoked')) then
    raise exception 'a document that is % cannot become %', doc.review_status, decision
      using errcode = 'check_violation', constraint = 'reviews_follow_their_order', detail = doc.review_status;
  end if;
  if decision = 'accepted' and doc.sha256 is null then
    raise exception 'a document whose bytes are not kept here is no evidence'
      using errcode = 'check_violation', constraint = 'reviews_are_of_stored_bytes';
  end if;
  if decision = 'accepted' and doc.expires_at <= at then
    raise exception 'the document expired at %', doc.expires_at using errcode = 'check_violation', constraint = 'reviews_are_of_current_documents';
  end if;
  insert into public.property_document_reviews (id, document_id, reviewer_id, decision, reason, reviewed_at)
  values (new_id, doc.id, reviewer, review_document.decision, review_document.reason, at);
  update public.property_documents set review_status = review_document.decision where id = doc.id;
  return new_id;
end
$function$;
comment on function nexus.review_document(uuid,text,text,timestamp with time zone) is 'Accepts, rejects or revokes a document for the caller, a compliance officer of another party than its uploader''s, under the lock of the property''s gate.';
grant execute on function nexus.review_document(uuid,text,text,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.seal_limits(OUT audit_up_to bigint, OUT entries_up_to bigint, OUT decided_from xid8)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  -- A writer has its transaction number before it takes a row number. So whoever has a row number up to these has a
  -- transaction number below the one that is taken here after them, and once all of those have ended, these rows are
  -- decided. (The xmax of a snapshot would not do: it is below numbers that running transactions have already. Nor would
  -- the numbers that rows carry: those of a database that was restored elsewhere count from another beginning.)
  if pg_current_xact_id_if_assigned() is not null then
    raise exception 'this transaction has its number already, so limits read now would not hold'
      using errcode = 'invalid_transaction_state';
  end if;
  -- A snapshot that is kept is older than the limits: rows committed in between would not be seen, and be passed by.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'limits hold only where each statement sees what was committed before it'
      using errcode = 'invalid_transaction_state', hint = 'Run it at isolation level read committed.';
  end if;
  audit_up_to := coalesce(pg_sequence_last_value(pg_get_serial_sequence('public.audit_log', 'id')), 0);
  entries_up_to := coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger.entries', 'id')), 0);
  decided_from := pg_current_xact_id();
end
$function$;
comment on function nexus.seal_limits() is 'Row numbers given so far, and the transaction number from which on nobody can have one of them: they may be sealed once pg_snapshot_xmin(pg_current_snapshot()) has reached it.';
grant execute on function nexus.seal_limits() to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.signed_object(bucket_id text, object_name text)
 RETURNS TABLE(id uuid, version text, metadata jsonb, user_metadata jsonb, created_at timestamp with time zone, updated_at timestamp with time zone)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
#variable_conflict use_column
begin
  return query
    select o.id, o.version, o.metadata, o.user_metadata, o.created_at, o.updated_at
    from storage.objects as o where o.bucket_id = signed_object.bucket_id and o.name = signed_object.object_name;
end
$function$;
comment on function nexus.signed_object(text,text) is 'An object whose URL somebody signed who could see it.';
grant execute on function nexus.signed_object(text,text) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.stamp_edit()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  new.edited_at := case when new.message is distinct from old.message then now() else old.edited_at end;
  return new;
end
$function$;
comment on function nexus.stamp_edit() is 'Trigger: notes when a message''s text changed.';

CREATE OR REPLACE FUNCTION nexus.store_file(bucket_id text, object_name text, mime_type text, size bigint, sha256 bytea, owner_id uuid, at timestamp with time zone)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  size_limit bigint;
  kinds text[];
  new_id uuid := gen_random_uuid();
begin
  select b.file_size_limit, b.allowed_mime_types into size_limit, kinds from storage.buckets as b where b.id = store_file.bucket_id;
  if not found then
    raise exception 'there is no bucket %', store_file.bucket_id using errcode = 'check_violation', constraint = 'files_have_a_bucket',
      hint = 'name a bucket that exists';
  end if;
  if size > size_limit then
    raise exception 'a file of % bytes is too large for the bucket %', size, store_file.bucket_id
      using errcode = 'check_violation', constraint = 'files_fit_the_bucket', hint = format('at most %s bytes', size_limit);
  end if;
  if mime_type <> all (kinds) then
    raise exception 'the bucket % takes no %', store_file.bucket_id, mime_type
      using errcode = 'check_violation', constraint = 'files_are_of_a_kind_allowed', hint = 'one of ' || array_to_string(kinds, ', ');
  end if;
  -- From here until the end of the transaction the collector leaves this content alone.
  perform pg_advisory_xact_lock_shared(nexus.file_lock(store_file.sha256));
  insert into storage.objects (id, bucket_id, name, owner, owner_id, version, created_at, updated_at, last_accessed_at, user_metadata, metadata)
  values (new_id, store_file.bucket_id, store_file.object_name, store_file.owner_id, store_file.owner_id::text, gen_random_uuid()::text, at, at, at, '{}',
    jsonb_build_object(
      'eTag', '"' || encode(store_file.sha256, 'hex') || '"', 'size', size, 'mimetype', mime_type, 'cacheControl', 'no-store',
      'lastModified', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'contentLength', size, 'httpStatusCode', 200));
  return new_id;
end
$function$;
comment on function nexus.store_file(text,text,text,bigint,bytea,uuid,timestamp with time zone) is 'Writes the row of a file whose bytes a command stores, under the bucket''s limits. The ETag is the SHA-256 by which the bytes are found.';
grant execute on function nexus.store_file(text,text,text,bigint,bytea,uuid,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.stored_file(bucket_id text, object_name text)
 RETURNS TABLE(object_id uuid, sha256 bytea, size bigint, mime_type text)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select o.id, decode(btrim(o.metadata ->> 'eTag', '"'), 'hex'), (o.metadata ->> 'size')::bigint, o.metadata ->> 'mimetype'
  from storage.objects as o
  where o.bucket_id = stored_file.bucket_id and o.name = stored_file.object_name and o.metadata ->> 'eTag' ~ '^"[0-9a-f]{64}"$'
$function$;
comment on function nexus.stored_file(text,text) is 'A stored file by its name: no row where there is none whose bytes the platform keeps.';
grant execute on function nexus.stored_file(text,text) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.tell_of_change()
 RETURNS event_trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
begin
  -- Temporary tables are nobody else's, and a refresh or an index changes nothing that is kept.
  if tg_event = 'sql_drop' then
    if exists (select from pg_catalog.pg_event_trigger_dropped_objects() as o where not o.is_temporary) then
      notify pgrst;
    end if;
  elsif exists (select from pg_catalog.pg_event_trigger_ddl_commands() as c
                where c.schema_name is distinct from 'pg_temp'
                  and c.command_tag not in ('REFRESH MATERIALIZED VIEW', 'CREATE INDEX', 'ALTER INDEX', 'GRANT', 'REVOKE')) then
    notify pgrst;
  end if;
end $function$;
comment on function nexus.tell_of_change() is 'Notifies the channel pgrst of a changed schema, at the end of the transaction that changed it.';

CREATE OR REPLACE FUNCTION nexus.to_minor(amount numeric, decimals integer)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN nexus.is_money(amount, decimals) THEN ((amount * ((10)::numeric ^ (decimals)::numeric)))::bigint ELSE NULL::bigint END;
comment on function nexus.to_minor(numeric,integer) is 'A typed amount in the smallest unit of its currency; null where it is not one, which a constraint beside it refuses.';
grant execute on function nexus.to_minor(numeric,integer) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus.waiting_mails()
 RETURNS TABLE(id uuid, kind text, created_at timestamp with time zone, due_at timestamp with time zone, attempts integer)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select m.id, m.kind, m.created_at, m.due_at, m.attempts from nexus.login_mails as m
$function$;
comment on function nexus.waiting_mails() is 'The mails that wait, without recipient, subject and text: those sign in, so only the auth service reads them.';
grant execute on function nexus.waiting_mails() to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.worth_minor(units bigint, token_id uuid, currency text)
 RETURNS bigint
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select case when w.worth <= 9007199254740991 then w.worth::bigint end
  from (select round(worth_minor.units::numeric * t.current_price_minor / 10::numeric ^ t.token_decimals) as worth
        from public.property_tokens as t
        where t.id = worth_minor.token_id and t.currency = worth_minor.currency) as w
$function$;
comment on function nexus.worth_minor(bigint,uuid,text) is 'Tokens at their newest price, in smallest units, rounded half up; null in another currency than the token''s, and above what is exact.';
grant execute on function nexus.worth_minor(bigint,uuid,text) to nexus_engine;

CREATE OR REPLACE FUNCTION nexus.write_distribution_lines(distribution_id uuid, tie_first uuid, at timestamp with time zone)
 RETURNS TABLE(holders integer, withheld_minor bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  d public.distributions;
begin
  select * into d from public.distributions as x where x.id = write_distribution_lines.distribution_id;
  -- What sends nothing is paid from the beginning.
  return query
  with written as (
    insert into public.distribution_lines (distribution_id, party_id, entitled_units, amount_minor, withheld_minor, rate_ppm, form, form_version,
      lot_ids, lot_units, status)
    select d.id, p.party_id, p.entitled_units, p.amount_minor, p.withheld_minor, p.rate_ppm, p.form, p.form_version,
           coalesce(l.ids, '{}'), coalesce(l.units, '{}'), case when p.amount_minor > p.withheld_minor then 'payable' else 'paid' end
    from nexus.distribution_parts(d.property_token_id, d.declared_minor, write_distribution_lines.tie_first, at, d.seconds_from, d.seconds_to) as p
    left join (
      select t.party_id, array_agg(t.id order by t.id) as ids, array_agg(t.units order by t.id) as units
      from (
        select x.party_id, x.id, case when d.seconds_from is null then x.units else least(x.seconds, 9007199254740992)::bigint end as units
        from (
          -- What is in a lot counts from when it was got until the end; what went out of it, until then.
          select t.party_id, t.id, t.units,
                 case when d.seconds_from is not null then
                   t.units * greatest(0, extract(epoch from d.seconds_to - greatest(d.seconds_from, date_trunc('second', t.acquired_at))))
                   + coalesce((
                     select sum(g.units * greatest(0, extract(epoch from least(d.seconds_to, date_trunc('second', g.moved_at))
                                                                  - greatest(d.seconds_from, date_trunc('second', t.acquired_at)))))
                     from public.lot_disposals as g where g.from_lot_id = t.id), 0)
                 end as seconds
          from public.lots as t where t.property_token_id = d.property_token_id
        ) as x
      ) as t where t.units > 0 group by t.party_id) as l on l.party_id = p.party_id
    order by p.party_id
    returning distribution_lines.withheld_minor
  )
  select count(*)::integer, coalesce(sum(w.withheld_minor), 0)::bigint from written as w;
end
$function$;
comment on function nexus.write_distribution_lines(uuid,uuid,timestamp with time zone) is 'Writes all lines of a distribution in one statement, each with the lots of its holder as they are now, or with what each of them was in the period. The caller holds the token''s lock.';
grant execute on function nexus.write_distribution_lines(uuid,uuid,timestamp with time zone) to nexus_engine;

create table nexus.analytics_dues (
  property_id uuid not null,
  constraint analytics_dues_pkey PRIMARY KEY (property_id),
  constraint analytics_dues_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT
);
comment on table nexus.analytics_dues is 'Properties whose rows of property_analytics are to be computed again.';
comment on column nexus.analytics_dues.property_id is 'The property.';
alter table nexus.analytics_dues enable row level security;
grant delete, select, update on nexus.analytics_dues to nexus_engine;
create policy analytics_dues_engine on nexus.analytics_dues for all to nexus_engine
  using (true)
  with check (true);

create table nexus.audit_details (
  audit_id bigint not null,
  salt bytea not null,
  before jsonb,
  after jsonb,
  constraint audit_details_pkey PRIMARY KEY (audit_id),
  constraint audit_details_after_is_an_object CHECK ((jsonb_typeof(after) = 'object'::text)),
  constraint audit_details_before_is_an_object CHECK ((jsonb_typeof(before) = 'object'::text)),
  constraint audit_details_salt_has_256_bits CHECK ((length(salt) = 32))
);
comment on table nexus.audit_details is 'What an audited row said. Erased where personal data must go: the digest in audit_log stays and the trail stays true.';
comment on column nexus.audit_details.audit_id is 'The audit row.';
comment on column nexus.audit_details.salt is '256 random bits, so that the digest alone does not let anybody guess the content.';
comment on column nexus.audit_details.before is 'The row before; null for an INSERT.';
comment on column nexus.audit_details.after is 'The row after; null for a DELETE.';
alter table nexus.audit_details enable row level security;
grant select on nexus.audit_details to nexus_engine;
create policy audit_details_read_engine on nexus.audit_details for select to nexus_engine
  using (true);

create table nexus.audit_erasures (
  id bigint generated always as identity not null,
  audit_id bigint not null,
  reason text not null,
  actor_id uuid,
  erased_at timestamp with time zone default now() not null,
  constraint audit_erasures_pkey PRIMARY KEY (id),
  constraint audit_erasures_once_a_row UNIQUE (audit_id),
  constraint audit_erasures_reason_is_said CHECK (((reason ~ '\S'::text) AND (length(reason) <= 1000))),
  constraint audit_erasures_audit_id_fkey FOREIGN KEY (audit_id) REFERENCES public.audit_log(id)
);
comment on table nexus.audit_erasures is 'Which details of the audit trail were erased because somebody''s data had to go: the trail stays true, and verifying says erased by case.';
comment on column nexus.audit_erasures.id is 'Number of the case.';
comment on column nexus.audit_erasures.audit_id is 'The audit row whose details are gone.';
comment on column nexus.audit_erasures.reason is 'Why: the request or the law.';
comment on column nexus.audit_erasures.actor_id is 'The login that erased; null when the operator did.';
comment on column nexus.audit_erasures.erased_at is 'When.';
CREATE TRIGGER audit_erasures_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON nexus.audit_erasures FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
CREATE TRIGGER log_deletes AFTER DELETE ON nexus.audit_erasures REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON nexus.audit_erasures REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON nexus.audit_erasures FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON nexus.audit_erasures REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
alter table nexus.audit_erasures enable row level security;
grant select on nexus.audit_erasures to nexus_engine;
create policy audit_erasures_read_engine on nexus.audit_erasures for select to nexus_engine
  using (true);

create table nexus.chain_links (
  place bigint not null,
  source text not null,
  source_id bigint not null,
  row_digest bytea not null,
  link bytea not null,
  constraint chain_links_pkey PRIMARY KEY (place),
  constraint chain_links_once_a_row UNIQUE (source, source_id),
  constraint chain_links_digests_are_sha256 CHECK (((length(row_digest) = 32) AND (length(link) = 32))),
  constraint chain_links_place_counts_from_one CHECK ((place >= 1)),
  constraint chain_links_source_is_known CHECK ((source = ANY (ARRAY['audit'::text, 'entry'::text])))
);
comment on table nexus.chain_links is 'One link for each sealed audit row or ledger entry, in the order of the chain.';
comment on column nexus.chain_links.place is 'Place in the chain, from 1, without gaps.';
comment on column nexus.chain_links.source is 'audit (a row of audit_log) or entry (of ledger.entries, with its postings).';
comment on column nexus.chain_links.source_id is 'Which row.';
comment on column nexus.chain_links.row_digest is 'SHA-256 over what the row says, without its number, so that a row that was moved is recognised.';
comment on column nexus.chain_links.link is 'SHA-256 over source, the link before (of a batch''s first link the head of the seal before, or 32 zero bytes), number and row_digest.';
CREATE TRIGGER chain_links_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON nexus.chain_links FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table nexus.chain_links enable row level security;
grant insert, select on nexus.chain_links to nexus_engine;
create policy chain_links_engine on nexus.chain_links for all to nexus_engine
  using (true)
  with check (true);

create table nexus.clock_watch (
  is_the_row boolean default true not null,
  last_seen_at timestamp with time zone not null,
  paused_at timestamp with time zone,
  reason text,
  constraint clock_watch_pkey PRIMARY KEY (is_the_row),
  constraint clock_watch_has_one_row CHECK (is_the_row),
  constraint clock_watch_pause_says_why CHECK ((((paused_at IS NULL) = (reason IS NULL)) AND (length(reason) <= 1000)))
);
comment on table nexus.clock_watch is 'The instant that the jobs saw last, in one row. A clock that jumps pauses what cannot be undone, until the operator says go on.';
comment on column nexus.clock_watch.is_the_row is 'Always true.';
comment on column nexus.clock_watch.last_seen_at is 'The database''s clock when the jobs last looked.';
comment on column nexus.clock_watch.paused_at is 'Since when deadlines, closings and payouts are paused; null: they run.';
comment on column nexus.clock_watch.reason is 'How the clock jumped.';
alter table nexus.clock_watch enable row level security;
grant insert, select, update on nexus.clock_watch to nexus_engine;
create policy clock_watch_engine on nexus.clock_watch for all to nexus_engine
  using (true)
  with check (true);

create table nexus.command_keys (
  caller_id uuid not null,
  command text not null,
  key text not null,
  body_sha256 bytea not null,
  answer jsonb,
  created_at timestamp with time zone default now() not null,
  constraint command_keys_pkey PRIMARY KEY (caller_id, command, key),
  constraint command_keys_answer_is_an_object CHECK ((jsonb_typeof(answer) = 'object'::text)),
  constraint command_keys_body_is_sha256 CHECK ((length(body_sha256) = 32)),
  constraint command_keys_command_is_a_name CHECK ((command ~ '^[a-z][a-z0-9-]{0,99}$'::text)),
  constraint command_keys_key_is_bounded CHECK (((length(key) >= 1) AND (length(key) <= 200)))
);
comment on table nexus.command_keys is 'Keys that clients gave with a command (Idempotency-Key), each with the answer: the same again is answered from here and does nothing. A refusal leaves no row, since its transaction is undone.';
comment on column nexus.command_keys.caller_id is 'The login that gave the key; keys of two logins never meet.';
comment on column nexus.command_keys.command is 'Name of the command, as functions have it.';
comment on column nexus.command_keys.key is 'What the client chose.';
comment on column nexus.command_keys.body_sha256 is 'SHA-256 of the body: another body under the same key is refused.';
comment on column nexus.command_keys.answer is 'The answer; null only while the command''s transaction runs, which nobody else can see.';
comment on column nexus.command_keys.created_at is 'When the command ran.';
CREATE INDEX command_keys_created_at_idx ON nexus.command_keys USING btree (created_at);
alter table nexus.command_keys enable row level security;
grant delete, insert, select, update on nexus.command_keys to nexus_engine;
create policy command_keys_engine on nexus.command_keys for all to nexus_engine
  using (true)
  with check (true);

create table nexus.figure_changes (
  id bigint generated always as identity not null,
  kind text not null,
  property_id uuid,
  property_token_id uuid,
  party_id uuid,
  user_id uuid,
  investment_id uuid,
  currency text,
  principal_minor bigint default 0 not null,
  tokens numeric default 0 not null,
  investments integer default 0 not null,
  income_minor bigint default 0 not null,
  constraint figure_changes_pkey PRIMARY KEY (id),
  constraint figure_changes_kind_is_known CHECK ((kind = ANY (ARRAY['invested'::text, 'person'::text, 'holding'::text, 'price'::text, 'listing'::text, 'earnings'::text])))
);
comment on table nexus.figure_changes is 'Changes that wait to be folded into figures. Appended by triggers, taken in order by nexus.fold_figures(), and then gone.';
comment on column nexus.figure_changes.id is 'Order of writing.';
comment on column nexus.figure_changes.kind is 'invested (a paid or confirmed investment came or went), person (totals of a login alone), holding (what an investment is worth), price (of a token), listing (what the market views show of a property), earnings (its performance or valuations).';
comment on column nexus.figure_changes.property_id is 'The property; of invested, earnings and listing (null where properties were added).';
comment on column nexus.figure_changes.property_token_id is 'The token; of price.';
comment on column nexus.figure_changes.party_id is 'The party that invested.';
comment on column nexus.figure_changes.user_id is 'The login that invested or was paid.';
comment on column nexus.figure_changes.investment_id is 'The investment whose worth may have changed.';
comment on column nexus.figure_changes.currency is 'Currency of the amounts.';
comment on column nexus.figure_changes.principal_minor is 'Principal that came, or went where below zero, in smallest units.';
comment on column nexus.figure_changes.tokens is 'Tokens that came or went.';
comment on column nexus.figure_changes.investments is 'Investments that came or went.';
comment on column nexus.figure_changes.income_minor is 'Income paid, before tax, in smallest units.';
alter table nexus.figure_changes enable row level security;
grant select on nexus.figure_changes to nexus_engine;
create policy figure_changes_engine on nexus.figure_changes for select to nexus_engine
  using (true);

create table nexus.investor_figures (
  property_id uuid not null,
  currency text not null,
  party_id uuid not null,
  principal_minor bigint not null,
  tokens numeric not null,
  investments integer not null,
  constraint investor_figures_pkey PRIMARY KEY (property_id, currency, party_id),
  constraint investor_figures_not_negative CHECK ((LEAST((principal_minor)::numeric, tokens, (investments)::numeric) >= (0)::numeric))
);
comment on table nexus.investor_figures is 'What a party has paid for and not got back of a property, folded. Says when somebody becomes an investor of it and when he no longer is one.';
comment on column nexus.investor_figures.property_id is 'The property.';
comment on column nexus.investor_figures.currency is 'Currency of the principal.';
comment on column nexus.investor_figures.party_id is 'The party.';
comment on column nexus.investor_figures.principal_minor is 'Paid and confirmed principal, in smallest units.';
comment on column nexus.investor_figures.tokens is 'Tokens of these investments.';
comment on column nexus.investor_figures.investments is 'Number of these investments.';
alter table nexus.investor_figures enable row level security;
grant select on nexus.investor_figures to nexus_engine;
create policy investor_figures_engine on nexus.investor_figures for select to nexus_engine
  using (true);

create table nexus.late_refreshes (
  session_id uuid not null,
  counter bigint not null,
  taken integer,
  given integer not null,
  constraint late_refreshes_pkey PRIMARY KEY (session_id),
  constraint late_refreshes_given_is_a_count CHECK ((given >= 0)),
  constraint late_refreshes_taken_is_a_count CHECK ((taken >= 0)),
  constraint late_refreshes_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(id) ON DELETE CASCADE
);
comment on table nexus.late_refreshes is 'Sessions whose next to last refresh token was shown long after it was replaced: a client lost the answer, or somebody has a copy. The number that counts is then given in another branch; who shows a branch of the number before that was not the one shown for it has a copy. A session without a row has one branch.';
comment on column nexus.late_refreshes.session_id is 'The session.';
comment on column nexus.late_refreshes.counter is 'The number that the row is about; it says nothing once another one counts.';
comment on column nexus.late_refreshes.taken is 'Which branch of the number before was shown for this one; null where it was given without.';
comment on column nexus.late_refreshes.given is 'The newest branch of this number; the first is 0.';
alter table nexus.late_refreshes enable row level security;
grant delete, insert, select, update on nexus.late_refreshes to supabase_auth_admin;
create policy late_refreshes_auth on nexus.late_refreshes for all to supabase_auth_admin
  using (true)
  with check (true);

create table nexus.login_events (
  id bigint generated always as identity not null,
  event text not null,
  user_id uuid,
  session_id uuid,
  at timestamp with time zone not null,
  constraint login_events_pkey PRIMARY KEY (id),
  constraint login_events_event_is_known CHECK ((event = ANY (ARRAY['signed_up'::text, 'signed_up_anonymously'::text, 'signed_in'::text, 'signed_out'::text, 'sign_in_refused'::text, 'locked_out'::text, 'token_reused'::text, 'email_confirmed'::text, 'email_change_asked'::text, 'email_changed'::text, 'password_changed'::text, 'password_rehashed'::text, 'recovery_asked'::text, 'link_asked'::text, 'reauthentication_asked'::text, 'invited'::text, 'link_made'::text, 'user_created'::text, 'user_changed'::text, 'user_deleted'::text, 'user_anonymised'::text, 'factor_enrolled'::text, 'factor_verified'::text, 'factor_refused'::text, 'factor_removed'::text, 'identity_linked'::text, 'identity_unlinked'::text])))
);
comment on table nexus.login_events is 'What happened to logins, without anything personal: no address, no network address, no token. Append-only, audited and so sealed. A refresh that goes as it should is not told.';
comment on column nexus.login_events.id is 'Order of writing.';
comment on column nexus.login_events.event is 'What happened.';
comment on column nexus.login_events.user_id is 'The login; it may be gone, so this is no reference. Null where nobody has the address that was tried.';
comment on column nexus.login_events.session_id is 'The session, where there is one; it may be gone.';
comment on column nexus.login_events.at is 'When it happened.';
CREATE INDEX login_events_user_id_idx ON nexus.login_events USING btree (user_id, id);
CREATE TRIGGER log_deletes AFTER DELETE ON nexus.login_events REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_inserts AFTER INSERT ON nexus.login_events REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_truncates AFTER TRUNCATE ON nexus.login_events FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id');
CREATE TRIGGER log_updates AFTER UPDATE ON nexus.login_events REFERENCING OLD TABLE AS old_rows NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.log_data_modification('id', '{}');
CREATE TRIGGER login_events_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON nexus.login_events FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table nexus.login_events enable row level security;
grant insert, select on nexus.login_events to supabase_auth_admin;
create policy login_events_auth on nexus.login_events for all to supabase_auth_admin
  using (true)
  with check (true);

create table nexus.login_limits (
  kind text not null,
  subject bytea not null,
  full_at timestamp with time zone not null,
  constraint login_limits_pkey PRIMARY KEY (kind, subject),
  constraint login_limits_kind_is_a_name CHECK ((kind ~ '^[a-z_]{1,40}$'::text)),
  constraint login_limits_subject_is_a_mac CHECK ((length(subject) = 32))
);
comment on table nexus.login_limits is 'How often something was tried, one row a subject, for all servers of the database. The row is a bucket: a try takes one drop, drops come back at a steady pace.';
comment on column nexus.login_limits.kind is 'What is limited.';
comment on column nexus.login_limits.subject is 'Who is limited, a login, an e-mail or network address, as a keyed hash.';
comment on column nexus.login_limits.full_at is 'When the bucket will be full again; from then on the row says nothing.';
CREATE INDEX login_limits_full_at_idx ON nexus.login_limits USING btree (full_at);
alter table nexus.login_limits enable row level security;
grant delete, insert, select, update on nexus.login_limits to supabase_auth_admin;
create policy login_limits_auth on nexus.login_limits for all to supabase_auth_admin
  using (true)
  with check (true);

create table nexus.login_mails (
  id uuid default gen_random_uuid() not null,
  kind text not null,
  recipient text not null,
  subject text not null,
  body_text text not null,
  body_html text not null,
  created_at timestamp with time zone not null,
  due_at timestamp with time zone not null,
  attempts integer default 0 not null,
  constraint login_mails_pkey PRIMARY KEY (id),
  constraint login_mails_attempts_is_a_count CHECK ((attempts >= 0)),
  constraint login_mails_header_is_one_line CHECK (((recipient !~ '[[:cntrl:]]'::text) AND (subject !~ '[[:cntrl:]]'::text))),
  constraint login_mails_kind_is_known CHECK ((kind = ANY (ARRAY['confirmation'::text, 'recovery'::text, 'magic_link'::text, 'email_change'::text, 'reauthentication'::text, 'invite'::text])))
);
comment on table nexus.login_mails is 'Mails to logins that wait to be sent. They carry tokens that sign in, so only the auth service reads them, and a row goes once it is sent or too old to be of use. Without a mail server they wait here for the operator.';
comment on column nexus.login_mails.id is 'Identity of the mail, and its message id.';
comment on column nexus.login_mails.kind is 'What it is about.';
comment on column nexus.login_mails.recipient is 'The e-mail address.';
comment on column nexus.login_mails.subject is 'The subject line.';
comment on column nexus.login_mails.body_text is 'The mail as plain text.';
comment on column nexus.login_mails.body_html is 'The same as HTML.';
comment on column nexus.login_mails.created_at is 'When it was asked for.';
comment on column nexus.login_mails.due_at is 'When to try (again) to send it.';
comment on column nexus.login_mails.attempts is 'How often sending failed.';
CREATE INDEX login_mails_due_at_idx ON nexus.login_mails USING btree (due_at);
CREATE INDEX login_mails_recipient_idx ON nexus.login_mails USING btree (recipient, created_at);
alter table nexus.login_mails enable row level security;
grant delete, insert, select, update on nexus.login_mails to supabase_auth_admin;
create policy login_mails_auth on nexus.login_mails for all to supabase_auth_admin
  using (true)
  with check (true);

create table nexus.market_views (
  is_the_row boolean default true not null,
  is_stale boolean default true not null,
  refreshed_at timestamp with time zone,
  constraint market_views_pkey PRIMARY KEY (is_the_row),
  constraint market_views_has_one_row CHECK (is_the_row)
);
comment on table nexus.market_views is 'Whether the two market views lack anything that was folded, in one row.';
comment on column nexus.market_views.is_the_row is 'Always true.';
comment on column nexus.market_views.is_stale is 'Whether something that they show was folded since.';
comment on column nexus.market_views.refreshed_at is 'When they were refreshed last; null: never.';
alter table nexus.market_views enable row level security;
grant select on nexus.market_views to nexus_engine;
create policy market_views_engine on nexus.market_views for select to nexus_engine
  using (true);

create table nexus.outbox_events (
  id bigint generated always as identity not null,
  topic text not null,
  dedupe_key text not null,
  payload jsonb default '{}'::jsonb not null,
  actor_id uuid,
  created_at timestamp with time zone default now() not null,
  available_at timestamp with time zone default now() not null,
  attempts integer default 0 not null,
  done_at timestamp with time zone,
  dead_at timestamp with time zone,
  last_error text,
  constraint outbox_events_pkey PRIMARY KEY (id),
  constraint outbox_events_once UNIQUE (topic, dedupe_key),
  constraint outbox_events_attempts_not_negative CHECK ((attempts >= 0)),
  constraint outbox_events_end_once CHECK ((num_nonnulls(done_at, dead_at) <= 1)),
  constraint outbox_events_error_is_bounded CHECK ((length(last_error) <= 5000)),
  constraint outbox_events_key_is_bounded CHECK (((length(dedupe_key) >= 1) AND (length(dedupe_key) <= 200))),
  constraint outbox_events_payload_is_an_object CHECK ((jsonb_typeof(payload) = 'object'::text)),
  constraint outbox_events_topic_is_a_name CHECK ((topic ~ '^[a-z][a-z0-9_.]{0,99}$'::text))
);
comment on table nexus.outbox_events is 'What must happen outside the database because of a command, written in the command''s own transaction. A job does it afterwards, perhaps twice.';
comment on column nexus.outbox_events.id is 'Order of writing.';
comment on column nexus.outbox_events.topic is 'Which job it is for, such as mail.send.';
comment on column nexus.outbox_events.dedupe_key is 'What makes the event one: the same topic and key is written once.';
comment on column nexus.outbox_events.payload is 'What the job needs: ids, and no secret.';
comment on column nexus.outbox_events.actor_id is 'The login whose command wrote it.';
comment on column nexus.outbox_events.created_at is 'When it was written.';
comment on column nexus.outbox_events.available_at is 'Not to be tried before.';
comment on column nexus.outbox_events.attempts is 'How often it was tried.';
comment on column nexus.outbox_events.done_at is 'When it was done.';
comment on column nexus.outbox_events.dead_at is 'When it was given up, for a person to look at.';
comment on column nexus.outbox_events.last_error is 'Why the last try failed.';
CREATE INDEX outbox_events_dead_idx ON nexus.outbox_events USING btree (dead_at) WHERE (dead_at IS NOT NULL);
CREATE INDEX outbox_events_due_idx ON nexus.outbox_events USING btree (available_at, id) WHERE ((done_at IS NULL) AND (dead_at IS NULL));
alter table nexus.outbox_events enable row level security;
grant insert, select, update on nexus.outbox_events to nexus_engine;
create policy outbox_events_engine on nexus.outbox_events for all to nexus_engine
  using (true)
  with check (true);

create table nexus.payment_messages (
  id bigint generated always as identity not null,
  rail text not null,
  message_id text not null,
  kind text not null,
  payment_ref text not null,
  body bytea not null,
  signature text not null,
  received_at timestamp with time zone not null,
  due_at timestamp with time zone not null,
  processed_at timestamp with time zone,
  outcome text,
  attempts integer default 0 not null,
  dead_at timestamp with time zone,
  last_error text,
  constraint payment_messages_pkey PRIMARY KEY (id),
  constraint payment_messages_once UNIQUE (rail, message_id),
  constraint payment_messages_attempts_not_negative CHECK ((attempts >= 0)),
  constraint payment_messages_body_is_bounded CHECK (((length(body) >= 1) AND (length(body) <= 65536))),
  constraint payment_messages_end_once CHECK ((num_nonnulls(processed_at, dead_at) <= 1)),
  constraint payment_messages_error_is_bounded CHECK ((length(last_error) <= 5000)),
  constraint payment_messages_processed_has_an_outcome CHECK (((processed_at IS NULL) OR (outcome IS NOT NULL))),
  constraint payment_messages_rail_is_known CHECK ((rail = 'sandbox'::text)),
  constraint payment_messages_texts_are_bounded CHECK ((((length(message_id) >= 1) AND (length(message_id) <= 200)) AND ((length(kind) >= 1) AND (length(kind) <= 100)) AND ((length(payment_ref) >= 1) AND (length(payment_ref) <= 200)) AND (length(signature) <= 1000) AND (length(outcome) <= 1000)))
);
comment on table nexus.payment_messages is 'What rails told us, as it came, once each: verified before it is kept, and worked off from here, so that a crash loses nothing and any order is right in the end.';
comment on column nexus.payment_messages.id is 'Order of arrival.';
comment on column nexus.payment_messages.rail is 'Who sent it.';
comment on column nexus.payment_messages.message_id is 'The rail''s own name of the message: it arrives perhaps many times and counts once.';
comment on column nexus.payment_messages.kind is 'What it says, such as payment.succeeded.';
comment on column nexus.payment_messages.payment_ref is 'The payment that it is about: messages about one payment are worked off one after the other.';
comment on column nexus.payment_messages.body is 'The bytes that were signed.';
comment on column nexus.payment_messages.signature is 'The signature that was verified.';
comment on column nexus.payment_messages.received_at is 'When it arrived first.';
comment on column nexus.payment_messages.due_at is 'When to look at it again, while it waits for another message.';
comment on column nexus.payment_messages.processed_at is 'When it was worked off.';
comment on column nexus.payment_messages.outcome is 'What came of it, in words.';
comment on column nexus.payment_messages.attempts is 'How often it was looked at.';
comment on column nexus.payment_messages.dead_at is 'When an admin set it aside: nobody looks at it until somebody brings it back.';
comment on column nexus.payment_messages.last_error is 'Why working it off failed the last time.';
CREATE INDEX payment_messages_due_idx ON nexus.payment_messages USING btree (due_at, id) WHERE (processed_at IS NULL);
CREATE INDEX payment_messages_payment_idx ON nexus.payment_messages USING btree (rail, payment_ref, id);
alter table nexus.payment_messages enable row level security;
grant insert, select, update on nexus.payment_messages to nexus_engine;
create policy payment_messages_engine on nexus.payment_messages for all to nexus_engine
  using (true)
  with check (true);

create table nexus.property_figures (
  property_id uuid not null,
  currency text not null,
  investors integer not null,
  principal_minor bigint not null,
  tokens numeric not null,
  as_of timestamp with time zone not null,
  constraint property_figures_pkey PRIMARY KEY (property_id, currency),
  constraint property_figures_not_negative CHECK ((LEAST((investors)::numeric, (principal_minor)::numeric, tokens) >= (0)::numeric))
);
comment on table nexus.property_figures is 'How far a property is funded, folded: what both market views read.';
comment on column nexus.property_figures.property_id is 'The property.';
comment on column nexus.property_figures.currency is 'Currency of the principal.';
comment on column nexus.property_figures.investors is 'Parties with paid or confirmed investments.';
comment on column nexus.property_figures.principal_minor is 'Paid and confirmed principal, in smallest units.';
comment on column nexus.property_figures.tokens is 'Tokens of these investments.';
comment on column nexus.property_figures.as_of is 'The instant of the last folding that changed it.';
alter table nexus.property_figures enable row level security;
grant select on nexus.property_figures to nexus_engine;
create policy property_figures_engine on nexus.property_figures for select to nexus_engine
  using (true);

create table nexus.provider_flows (
  state_digest bytea not null,
  provider text not null,
  redirect_to text not null,
  code_challenge text,
  code_challenge_method text,
  session_id uuid,
  is_bound boolean not null,
  created_at timestamp with time zone not null,
  constraint provider_flows_pkey PRIMARY KEY (state_digest),
  constraint provider_flows_challenge_is_whole CHECK (((code_challenge IS NULL) = (code_challenge_method IS NULL))),
  constraint provider_flows_state_digest_is_sha256 CHECK ((length(state_digest) = 32)),
  constraint provider_flows_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(id) ON DELETE CASCADE
);
comment on table nexus.provider_flows is 'Sign-ins at other providers that began and have not come back. A row goes when its browser comes back, or ten minutes later. What the provider needs in order to know that it is the same flow follows from its state under the JWT secret, and is not kept.';
comment on column nexus.provider_flows.state_digest is 'SHA-256 of the state that travels with the browser.';
comment on column nexus.provider_flows.provider is 'The provider''s name in the configuration.';
comment on column nexus.provider_flows.redirect_to is 'Where the browser goes at the end; it was checked.';
comment on column nexus.provider_flows.code_challenge is 'The client''s challenge, where the flow ends with a code for it; null where it ends with tokens.';
comment on column nexus.provider_flows.code_challenge_method is 's256 or plain.';
comment on column nexus.provider_flows.session_id is 'The session whose person adds a way to sign in; null where somebody signs in.';
comment on column nexus.provider_flows.is_bound is 'Whether only the browser that began may end it, by its cookie.';
comment on column nexus.provider_flows.created_at is 'When it began.';
CREATE INDEX provider_flows_created_at_idx ON nexus.provider_flows USING btree (created_at);
CREATE INDEX provider_flows_session_id_idx ON nexus.provider_flows USING btree (session_id);
alter table nexus.provider_flows enable row level security;
grant delete, insert, select, update on nexus.provider_flows to supabase_auth_admin;
create policy provider_flows_auth on nexus.provider_flows for all to supabase_auth_admin
  using (true)
  with check (true);

create table nexus.resumable_parts (
  upload_id uuid not null,
  begins_at bigint not null,
  size bigint not null,
  sha256 bytea not null,
  constraint resumable_parts_pkey PRIMARY KEY (upload_id, begins_at),
  constraint resumable_parts_begin_in_the_upload CHECK (((begins_at >= 0) AND (size > 0))),
  constraint resumable_parts_sha256_has_32_bytes CHECK ((length(sha256) = 32)),
  constraint resumable_parts_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES nexus.resumable_uploads(id) ON DELETE CASCADE
);
comment on table nexus.resumable_parts is 'Bytes of an upload that have come and are kept, each part a stored file of its own until the object is written.';
comment on column nexus.resumable_parts.upload_id is 'The upload.';
comment on column nexus.resumable_parts.begins_at is 'Place of its first byte in the whole.';
comment on column nexus.resumable_parts.size is 'Bytes in it.';
comment on column nexus.resumable_parts.sha256 is 'SHA-256 of them, by which they are found.';
CREATE INDEX resumable_parts_sha256_idx ON nexus.resumable_parts USING btree (sha256);
alter table nexus.resumable_parts enable row level security;
grant delete, insert, select, update on nexus.resumable_parts to nexus_engine;
create policy resumable_parts_engine on nexus.resumable_parts for all to nexus_engine
  using (true)
  with check (true);

create table nexus.resumable_uploads (
  id uuid not null,
  bucket_id text not null,
  object_name text not null,
  owner_id text,
  length bigint not null,
  content_type text,
  cache_control text not null,
  user_metadata jsonb default '{}'::jsonb not null,
  may_replace boolean not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  finished_at timestamp with time zone,
  told text default ''::text not null,
  constraint resumable_uploads_pkey PRIMARY KEY (id),
  constraint resumable_uploads_expire_after_they_begin CHECK ((expires_at > created_at)),
  constraint resumable_uploads_length_is_a_size CHECK ((length >= 0)),
  constraint resumable_uploads_object_name_is_bounded CHECK (((length(object_name) >= 1) AND (length(object_name) <= 1024))),
  constraint resumable_uploads_told_is_bounded CHECK ((length(told) <= 65536)),
  constraint resumable_uploads_user_metadata_is_an_object CHECK ((jsonb_typeof(user_metadata) = 'object'::text))
);
comment on table nexus.resumable_uploads is 'An upload that may be cut off and go on. The object is written when the last byte has come; until it expires the upload still tells that it is finished.';
comment on column nexus.resumable_uploads.id is 'Identity of the upload; its URL has it.';
comment on column nexus.resumable_uploads.bucket_id is 'Bucket of the object. No foreign key: schema storage is not ours.';
comment on column nexus.resumable_uploads.object_name is 'Name of the object.';
comment on column nexus.resumable_uploads.owner_id is 'Who began it, and alone goes on; null: the service.';
comment on column nexus.resumable_uploads.length is 'Bytes of the whole.';
comment on column nexus.resumable_uploads.content_type is 'What its sender says that it is.';
comment on column nexus.resumable_uploads.cache_control is 'How long others may keep the object.';
comment on column nexus.resumable_uploads.user_metadata is 'What its sender notes of it.';
comment on column nexus.resumable_uploads.may_replace is 'Whether it may take the place of another object.';
comment on column nexus.resumable_uploads.created_at is 'When it began.';
comment on column nexus.resumable_uploads.expires_at is 'When it is forgotten.';
comment on column nexus.resumable_uploads.finished_at is 'When the object was written; null: bytes are missing.';
comment on column nexus.resumable_uploads.told is 'Upload-Metadata as it came: it is told again to whoever asks where the upload stands.';
CREATE INDEX resumable_uploads_expires_at_idx ON nexus.resumable_uploads USING btree (expires_at);
alter table nexus.resumable_uploads enable row level security;
grant delete, insert, select, update on nexus.resumable_uploads to nexus_engine;
create policy resumable_uploads_engine on nexus.resumable_uploads for all to nexus_engine
  using (true)
  with check (true);

create table nexus.sandbox_messages (
  ref text not null,
  body text not null,
  due_at timestamp with time zone not null,
  delivered_at timestamp with time zone,
  attempts integer default 0 not null,
  created_at timestamp with time zone not null,
  constraint sandbox_messages_pkey PRIMARY KEY (ref),
  constraint sandbox_messages_body_is_bounded CHECK (((length(body) >= 1) AND (length(body) <= 65536)))
);
comment on table nexus.sandbox_messages is 'What the sandbox provider has to say to our webhook.';
comment on column nexus.sandbox_messages.ref is 'The provider''s name of the message.';
comment on column nexus.sandbox_messages.body is 'The JSON to sign and send.';
comment on column nexus.sandbox_messages.due_at is 'When to send it (again).';
comment on column nexus.sandbox_messages.delivered_at is 'When the webhook took it.';
comment on column nexus.sandbox_messages.attempts is 'How often it was sent.';
comment on column nexus.sandbox_messages.created_at is 'When it came to be said.';
CREATE INDEX sandbox_messages_due_idx ON nexus.sandbox_messages USING btree (due_at, ref) WHERE (delivered_at IS NULL);
alter table nexus.sandbox_messages enable row level security;
grant insert, select, update on nexus.sandbox_messages to nexus_engine;
create policy sandbox_messages_engine on nexus.sandbox_messages for all to nexus_engine
  using (true)
  with check (true);

create table nexus.sandbox_payments (
  ref text not null,
  session_ref text,
  property_id uuid not null,
  amount_minor bigint not null,
  currency text not null,
  refund_outcome text default 'succeed'::text not null,
  settlement_ref text,
  settled_on date,
  settled_minor bigint,
  charged_back_at timestamp with time zone,
  created_at timestamp with time zone not null,
  constraint sandbox_payments_pkey PRIMARY KEY (ref),
  constraint sandbox_payments_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint sandbox_payments_refund_outcome_is_known CHECK ((refund_outcome = ANY (ARRAY['succeed'::text, 'fail'::text, 'silent'::text]))),
  constraint sandbox_payments_settled_has_a_date CHECK ((num_nulls(settlement_ref, settled_on, settled_minor) = ANY (ARRAY[0, 3]))),
  constraint sandbox_payments_session_ref_fkey FOREIGN KEY (session_ref) REFERENCES nexus.sandbox_sessions(ref)
);
comment on table nexus.sandbox_payments is 'Payments that the sandbox provider took.';
comment on column nexus.sandbox_payments.ref is 'The provider''s name of the payment.';
comment on column nexus.sandbox_payments.session_ref is 'The session; null of money that came without one.';
comment on column nexus.sandbox_payments.property_id is 'The property whose account at the custodian it is for.';
comment on column nexus.sandbox_payments.amount_minor is 'What was paid, in smallest units.';
comment on column nexus.sandbox_payments.currency is 'In which currency.';
comment on column nexus.sandbox_payments.refund_outcome is 'What a refund of it will do: succeed, fail, or stay silent until asked about.';
comment on column nexus.sandbox_payments.settlement_ref is 'The transfer to the custodian by which it was paid out.';
comment on column nexus.sandbox_payments.settled_on is 'The day of that transfer.';
comment on column nexus.sandbox_payments.settled_minor is 'What was transferred: what was paid, less what had gone back before.';
comment on column nexus.sandbox_payments.charged_back_at is 'When the payer took it back.';
comment on column nexus.sandbox_payments.created_at is 'When it was paid.';
CREATE INDEX sandbox_payments_session_ref_idx ON nexus.sandbox_payments USING btree (session_ref);
alter table nexus.sandbox_payments enable row level security;
grant insert, select, update on nexus.sandbox_payments to nexus_engine;
create policy sandbox_payments_engine on nexus.sandbox_payments for all to nexus_engine
  using (true)
  with check (true);

create table nexus.sandbox_payouts (
  id uuid not null,
  party_id uuid not null,
  amount_minor bigint not null,
  currency text not null,
  status text not null,
  reason text,
  booked_on date not null,
  created_at timestamp with time zone not null,
  constraint sandbox_payouts_pkey PRIMARY KEY (id),
  constraint sandbox_payouts_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint sandbox_payouts_status_is_known CHECK ((status = ANY (ARRAY['succeeded'::text, 'failed'::text])))
);
comment on table nexus.sandbox_payouts is 'Payouts that the sandbox''s bank made, by the key under which it was asked.';
comment on column nexus.sandbox_payouts.id is 'The key.';
comment on column nexus.sandbox_payouts.party_id is 'Who got it.';
comment on column nexus.sandbox_payouts.amount_minor is 'How much, in smallest units.';
comment on column nexus.sandbox_payouts.currency is 'In which currency.';
comment on column nexus.sandbox_payouts.status is 'succeeded or failed.';
comment on column nexus.sandbox_payouts.reason is 'Why it failed.';
comment on column nexus.sandbox_payouts.booked_on is 'The day on which it was booked.';
comment on column nexus.sandbox_payouts.created_at is 'When.';
alter table nexus.sandbox_payouts enable row level security;
grant insert, select, update on nexus.sandbox_payouts to nexus_engine;
create policy sandbox_payouts_engine on nexus.sandbox_payouts for all to nexus_engine
  using (true)
  with check (true);

create table nexus.sandbox_receivers (
  party_id uuid not null,
  payout_outcome text not null,
  constraint sandbox_receivers_pkey PRIMARY KEY (party_id),
  constraint sandbox_receivers_outcome_is_known CHECK ((payout_outcome = ANY (ARRAY['succeed'::text, 'fail'::text, 'silent'::text, 'lost'::text])))
);
comment on table nexus.sandbox_receivers is 'Parties whose bank does something else with a payout than to take it and say so.';
comment on column nexus.sandbox_receivers.party_id is 'The party.';
comment on column nexus.sandbox_receivers.payout_outcome is 'succeed, fail, silent (takes it, says so only when asked), or lost (the order never arrives).';
alter table nexus.sandbox_receivers enable row level security;
grant insert, select, update on nexus.sandbox_receivers to nexus_engine;
create policy sandbox_receivers_engine on nexus.sandbox_receivers for all to nexus_engine
  using (true)
  with check (true);

create table nexus.sandbox_refunds (
  id uuid not null,
  payment_ref text not null,
  amount_minor bigint not null,
  status text not null,
  from_bank boolean not null,
  reason text,
  booked_on date not null,
  created_at timestamp with time zone not null,
  constraint sandbox_refunds_pkey PRIMARY KEY (id),
  constraint sandbox_refunds_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint sandbox_refunds_status_is_known CHECK ((status = ANY (ARRAY['succeeded'::text, 'failed'::text]))),
  constraint sandbox_refunds_payment_ref_fkey FOREIGN KEY (payment_ref) REFERENCES nexus.sandbox_payments(ref)
);
comment on table nexus.sandbox_refunds is 'Refunds that the sandbox provider made, by the key under which it was asked.';
comment on column nexus.sandbox_refunds.id is 'The key.';
comment on column nexus.sandbox_refunds.payment_ref is 'The payment.';
comment on column nexus.sandbox_refunds.amount_minor is 'What went back, in smallest units.';
comment on column nexus.sandbox_refunds.status is 'succeeded or failed.';
comment on column nexus.sandbox_refunds.from_bank is 'Whether the custodian paid it, since the payment had been settled; otherwise the provider''s own balance did.';
comment on column nexus.sandbox_refunds.reason is 'Why it failed.';
comment on column nexus.sandbox_refunds.booked_on is 'The day on which it was booked.';
comment on column nexus.sandbox_refunds.created_at is 'When.';
CREATE INDEX sandbox_refunds_payment_ref_idx ON nexus.sandbox_refunds USING btree (payment_ref);
alter table nexus.sandbox_refunds enable row level security;
grant insert, select, update on nexus.sandbox_refunds to nexus_engine;
create policy sandbox_refunds_engine on nexus.sandbox_refunds for all to nexus_engine
  using (true)
  with check (true);

create table nexus.sandbox_sessions (
  ref text not null,
  amount_minor bigint not null,
  currency text not null,
  description text not null,
  return_url text not null,
  property_id uuid not null,
  created_at timestamp with time zone not null,
  constraint sandbox_sessions_pkey PRIMARY KEY (ref),
  constraint sandbox_sessions_amount_is_an_amount CHECK (((amount_minor >= 1) AND (amount_minor <= '9007199254740991'::bigint))),
  constraint sandbox_sessions_texts_are_bounded CHECK ((((length(ref) >= 1) AND (length(ref) <= 100)) AND (length(description) <= 500) AND (length(return_url) <= 2000)))
);
comment on table nexus.sandbox_sessions is 'Checkout sessions of the sandbox provider.';
comment on column nexus.sandbox_sessions.ref is 'The provider''s name of the session.';
comment on column nexus.sandbox_sessions.amount_minor is 'What is to be paid, in smallest units.';
comment on column nexus.sandbox_sessions.currency is 'In which currency.';
comment on column nexus.sandbox_sessions.description is 'What the payer reads.';
comment on column nexus.sandbox_sessions.return_url is 'Where the payer goes afterwards.';
comment on column nexus.sandbox_sessions.property_id is 'The property whose account at the custodian it is for.';
comment on column nexus.sandbox_sessions.created_at is 'When it was made.';
alter table nexus.sandbox_sessions enable row level security;
grant insert, select, update on nexus.sandbox_sessions to nexus_engine;
create policy sandbox_sessions_engine on nexus.sandbox_sessions for all to nexus_engine
  using (true)
  with check (true);

create table nexus.screening_entries (
  list_id uuid not null,
  key text not null,
  place integer not null,
  name text not null,
  words text[] not null,
  constraint screening_entries_pkey PRIMARY KEY (list_id, place),
  constraint screening_entries_key_is_not_blank CHECK (((key ~ '\S'::text) AND (length(key) <= 100))),
  constraint screening_entries_name_is_not_blank CHECK (((name ~ '\S'::text) AND (length(name) <= 1000))),
  constraint screening_entries_place_counts CHECK ((place >= 1)),
  constraint screening_entries_words_are_some CHECK (((cardinality(words) >= 1) AND (cardinality(words) <= 100))),
  constraint screening_entries_list_id_fkey FOREIGN KEY (list_id) REFERENCES nexus.screening_lists(id)
);
comment on table nexus.screening_entries is 'The names of a list; several rows with one key are other names of the same.';
comment on column nexus.screening_entries.list_id is 'The list.';
comment on column nexus.screening_entries.key is 'The list''s own id of the person or entity.';
comment on column nexus.screening_entries.place is 'Line of the file, from 1.';
comment on column nexus.screening_entries.name is 'The name as the list has it.';
comment on column nexus.screening_entries.words is 'Its words, normalised as core does it: what finds candidates.';
CREATE INDEX screening_entries_words_idx ON nexus.screening_entries USING gin (words);
alter table nexus.screening_entries enable row level security;
grant insert, select on nexus.screening_entries to nexus_engine;
create policy screening_entries_engine on nexus.screening_entries for all to nexus_engine
  using (true)
  with check (true);

create table nexus.screening_lists (
  id uuid default gen_random_uuid() not null,
  number bigint generated always as identity not null,
  name text not null,
  sha256 bytea not null,
  entries integer not null,
  loaded_at timestamp with time zone not null,
  constraint screening_lists_pkey PRIMARY KEY (id),
  constraint screening_lists_entries_are_some CHECK ((entries >= 1)),
  constraint screening_lists_name_is_a_word CHECK ((name ~ '^[a-z0-9][a-z0-9_.-]{0,79}$'::text)),
  constraint screening_lists_sha256_has_32_bytes CHECK ((length(sha256) = 32))
);
comment on table nexus.screening_lists is 'Files of names that the operator loaded. Of a name the list loaded last counts; older ones stay, so that what a screening compared with can be told. Never shown to people.';
comment on column nexus.screening_lists.id is 'Identity of the loaded file.';
comment on column nexus.screening_lists.number is 'Order of loading.';
comment on column nexus.screening_lists.name is 'Which list: the same name replaces the list before.';
comment on column nexus.screening_lists.sha256 is 'SHA-256 of the file.';
comment on column nexus.screening_lists.entries is 'How many names it has.';
comment on column nexus.screening_lists.loaded_at is 'When it was loaded.';
CREATE UNIQUE INDEX screening_lists_newest_key ON nexus.screening_lists USING btree (name, number DESC);
alter table nexus.screening_lists enable row level security;
grant insert, select on nexus.screening_lists to nexus_engine;
create policy screening_lists_engine on nexus.screening_lists for all to nexus_engine
  using (true)
  with check (true);

create table nexus.seals (
  number bigint not null,
  sealed_at timestamp with time zone not null,
  audit_up_to bigint not null,
  entries_up_to bigint not null,
  links_up_to bigint not null,
  head bytea not null,
  public_key bytea not null,
  signature bytea not null,
  constraint seals_pkey PRIMARY KEY (number),
  constraint seals_are_signed_by_ed25519 CHECK (((length(public_key) = 32) AND (length(signature) = 64))),
  constraint seals_head_is_sha256 CHECK ((length(head) = 32)),
  constraint seals_number_counts_from_one CHECK ((number >= 1)),
  constraint seals_reach_forward CHECK (((LEAST(audit_up_to, entries_up_to) >= 0) AND (links_up_to >= 1)))
);
comment on table nexus.seals is 'Signed batches of the chain, numbered without gaps: everything up to these numbers is sealed.';
comment on column nexus.seals.number is 'Place in the row of seals, from 1.';
comment on column nexus.seals.sealed_at is 'When it was sealed.';
comment on column nexus.seals.audit_up_to is 'Largest id of audit_log that it covers: larger than the seal before covers, up to this.';
comment on column nexus.seals.entries_up_to is 'Largest id of ledger.entries that it covers.';
comment on column nexus.seals.links_up_to is 'Place of its last link in the chain.';
comment on column nexus.seals.head is 'SHA-256 over its last link, its number, its limits, its instant and its key: what is exported, and what the next link goes on from.';
comment on column nexus.seals.public_key is 'Ed25519 key that verifies the signature.';
comment on column nexus.seals.signature is 'Signature over the head.';
CREATE TRIGGER seals_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON nexus.seals FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table nexus.seals enable row level security;
grant insert, select on nexus.seals to nexus_engine;
create policy seals_engine on nexus.seals for all to nexus_engine
  using (true)
  with check (true);

create table nexus.spent_proofs (
  digest bytea not null,
  holds_to timestamp with time zone not null,
  constraint spent_proofs_pkey PRIMARY KEY (digest),
  constraint spent_proofs_digest_is_sha256 CHECK ((length(digest) = 32))
);
comment on table nexus.spent_proofs is 'Proofs that may be shown once (codes of a second factor, signed messages), kept as long as they would hold.';
comment on column nexus.spent_proofs.digest is 'SHA-256 of the proof and what it is for.';
comment on column nexus.spent_proofs.holds_to is 'When the proof ends by itself.';
CREATE INDEX spent_proofs_holds_to_idx ON nexus.spent_proofs USING btree (holds_to);
alter table nexus.spent_proofs enable row level security;
grant delete, insert, select, update on nexus.spent_proofs to supabase_auth_admin;
create policy spent_proofs_auth on nexus.spent_proofs for all to supabase_auth_admin
  using (true)
  with check (true);

create table nexus.unnamed_files (
  id bigint generated always as identity not null,
  sha256 bytea not null,
  noted_at timestamp with time zone default now() not null,
  constraint unnamed_files_pkey PRIMARY KEY (id),
  constraint unnamed_files_sha256_has_32_bytes CHECK ((length(sha256) = 32))
);
comment on table nexus.unnamed_files is 'Contents that an object was taken off: by removing it, or by replacing it. Written in the transaction that does so; the collector looks whether another row names the content, and removes the bytes where none does.';
comment on column nexus.unnamed_files.id is 'Order in which they are looked at.';
comment on column nexus.unnamed_files.sha256 is 'SHA-256 of the content.';
comment on column nexus.unnamed_files.noted_at is 'When the object was removed or replaced.';
alter table nexus.unnamed_files enable row level security;
grant delete, insert, select, update on nexus.unnamed_files to nexus_engine;
create policy unnamed_files_engine on nexus.unnamed_files for all to nexus_engine
  using (true)
  with check (true);

-- Schema nexus_storage. What the storage service calls as the caller; the API never shows it.

CREATE OR REPLACE FUNCTION nexus_storage.bucket_rules(bucket_id text)
 RETURNS TABLE(is_public boolean, file_size_limit bigint, allowed_mime_types text[])
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
#variable_conflict use_column
begin
  return query
    select coalesce(b.public, false), b.file_size_limit, b.allowed_mime_types from storage.buckets as b where b.id = bucket_rules.bucket_id;
end
$function$;
comment on function nexus_storage.bucket_rules(text) is 'What a bucket takes: no row where there is none. For whoever uploads, who need not see the bucket itself.';
grant execute on function nexus_storage.bucket_rules(text) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus_storage.list_objects(bucket_id text, prefix text, after text, wanted integer, search text, has_folders boolean, is_descending boolean)
 RETURNS TABLE(name text, id uuid, created_at timestamp with time zone, updated_at timestamp with time zone, last_accessed_at timestamp with time zone, metadata jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO ''
AS $function$
#variable_conflict use_column
declare
  -- The last of all signs: no name has it.
  beyond constant text := chr(1114111);
  floor text := prefix;
  ceiling text := prefix || beyond;
  begins integer := length(prefix) + 1;
  missing integer := wanted;
  found_one record;
  slash integer;
  is_folder boolean;
begin
  if after is not null then
    if is_descending then
      ceiling := after;
    else
      floor := after || case when right(after, 1) = '/' then beyond else chr(1) end;
    end if;
  end if;
  <<levels>>
  loop
    is_folder := false;
    if not is_descending then
      for found_one in
        select o.name, o.id, o.created_at, o.updated_at, o.last_accessed_at, o.metadata from storage.objects as o
        where o.bucket_id = list_objects.bucket_id and o.name collate "C" >= floor collate "C" and o.name collate "C" < ceiling collate "C"
        order by o.name collate "C" limit missing
      loop
        slash := case when has_folders then strpos(substr(found_one.name, begins), '/') else 0 end;
        is_folder := slash > 0;
        exit when is_folder;
        floor := found_one.name || chr(1);
        if substr(found_one.name, begins) ilike search || '%' then
          name := found_one.name; id := found_one.id; created_at := found_one.created_at; updated_at := found_one.updated_at;
          last_accessed_at := found_one.last_accessed_at; metadata := found_one.metadata;
          return next;
          missing := missing - 1;
        end if;
      end loop;
    else
      for found_one in
        select o.name, o.id, o.created_at, o.updated_at, o.last_accessed_at, o.metadata from storage.objects as o
        where o.bucket_id = list_objects.bucket_id and o.name collate "C" >= floor collate "C" and o.name collate "C" < ceiling collate "C"
        order by o.name collate "C" desc limit missing
      loop
        slash := case when has_folders then strpos(substr(found_one.name, begins), '/') else 0 end;
        is_folder := slash > 0;
        exit when is_folder;
        ceiling := found_one.name;
        if substr(found_one.name, begins) ilike search || '%' then
          name := found_one.name; id := found_one.id; created_at := found_one.created_at; updated_at := found_one.updated_at;
          last_accessed_at := found_one.last_accessed_at; metadata := found_one.metadata;
          return next;
          missing := missing - 1;
        end if;
      end loop;
    end if;
    exit levels when found_one is null or missing <= 0;
    if is_folder then
      name := left(found_one.name, begins - 1 + slash);
      floor := case when is_descending then floor else name || beyond end;
      ceiling := case when is_descending then name else ceiling end;
      if substr(name, begins) ilike search || '%' then
        id := null; created_at := null; updated_at := null; last_accessed_at := null; metadata := null;
        return next;
        missing := missing - 1;
      end if;
    end if;
    exit levels when missing <= 0;
    found_one := null;
  end loop;
end
$function$;
comment on function nexus_storage.list_objects(text,text,text,integer,text,boolean,boolean) is 'Objects, and folders where they are asked for, whose names begin with a prefix, by name from after another name on. A folder is a name that ends with a slash and has no id.';
grant execute on function nexus_storage.list_objects(text,text,text,integer,text,boolean,boolean) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus_storage.note_unnamed_files(tags text[])
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  insert into nexus.unnamed_files (sha256)
  select distinct decode(btrim(t.tag, '"'), 'hex') from unnest(note_unnamed_files.tags) as t (tag) where t.tag ~ '^"[0-9a-f]{64}"$'
$function$;
comment on function nexus_storage.note_unnamed_files(text[]) is 'Notes ETags of objects that were removed or replaced, so that the collector looks at their contents. It removes nothing that a row names, whatever is noted.';
grant execute on function nexus_storage.note_unnamed_files(text[]) to anon, authenticated, nexus_engine, service_role;

CREATE OR REPLACE FUNCTION nexus_storage.public_object(bucket_id text, object_name text)
 RETURNS TABLE(id uuid, version text, metadata jsonb, user_metadata jsonb, created_at timestamp with time zone, updated_at timestamp with time zone)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO ''
AS $function$
#variable_conflict use_column
begin
  return query
    select o.id, o.version, o.metadata, o.user_metadata, o.created_at, o.updated_at
    from storage.buckets as b left join storage.objects as o on o.bucket_id = b.id and o.name = public_object.object_name
    where b.id = public_object.bucket_id and b.public;
end
$function$;
comment on function nexus_storage.public_object(text,text) is 'An object of a public bucket, which anybody may have who knows its name; a row of nulls where the bucket is public and has no such object.';
grant execute on function nexus_storage.public_object(text,text) to anon, authenticated, nexus_engine, service_role;

-- Schema ledger. The book: assets, accounts, entries, postings, balances. Written by ledger.post and ledger.post_batch only.

CREATE OR REPLACE FUNCTION ledger.add_currency()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
begin
  insert into ledger.assets (code, kind, decimals) values (new.code, 'currency', new.decimals);
  return null;
end
$function$;
comment on function ledger.add_currency() is 'Trigger: a new currency can be posted from then on.';

CREATE OR REPLACE FUNCTION ledger.check_postings(new_ids bigint[], posting_entries integer[], posting_accounts bigint[], posting_amounts bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
declare
  bad record;
begin
  select p.entry, p.account, p.amount into bad
  from unnest(posting_entries, posting_accounts, posting_amounts) as p (entry, account, amount)
  left join ledger.accounts as a on a.id = p.account
  where p.entry is null or p.entry not between 1 and cardinality(new_ids) or a.id is null or coalesce(p.amount, 0) = 0
  limit 1;
  if found then
    raise exception 'posting of % to account % in entry % of the batch: the entry or account does not exist, or nothing is moved', bad.amount, bad.account, bad.entry
      using errcode = 'check_violation', constraint = 'postings_move_something', schema = 'ledger', table = 'postings';
  end if;

  select e.entry into bad
  from (select generate_subscripts(new_ids, 1) as entry except select unnest(posting_entries)) as e
  limit 1;
  if found then
    raise exception 'entry % of the batch has no postings', bad.entry
      using errcode = 'check_violation', constraint = 'entries_balance_per_asset', schema = 'ledger', table = 'entries';
  end if;

  select p.entry, a.asset, sum(p.amount) as off into bad
  from unnest(posting_entries, posting_accounts, posting_amounts) as p (entry, account, amount)
  join ledger.accounts as a on a.id = p.account
  group by p.entry, a.asset
  having sum(p.amount) <> 0
  limit 1;
  if found then
    raise exception 'entry % of the batch does not balance: its postings in % add up to %', bad.entry, bad.asset, bad.off
      using errcode = 'check_violation', constraint = 'entries_balance_per_asset', schema = 'ledger', table = 'entries';
  end if;

  select p.entry, min(a.property_id::text) as one, max(a.property_id::text) as other into bad
  from unnest(posting_entries, posting_accounts) as p (entry, account)
  join ledger.accounts as a on a.id = p.account
  where a.asset_kind = 'currency'
  group by p.entry
  having min(a.property_id::text) <> max(a.property_id::text)
  limit 1;
  if found then
    raise exception 'entry % of the batch moves cash between properties % and %: each property is ring-fenced', bad.entry, bad.one, bad.other
      using errcode = 'check_violation', constraint = 'entries_stay_in_one_property', schema = 'ledger', table = 'entries';
  end if;
end
$function$;
comment on function ledger.check_postings(bigint[],integer[],bigint[],bigint[]) is 'Refuses postings that name nothing, do not balance per asset (L1), or move cash between two properties (L9).';

CREATE OR REPLACE FUNCTION ledger.open_accounts(purposes text[], assets text[], property_ids uuid[], party_ids uuid[])
 RETURNS bigint[]
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
declare
  names text[];
  answer bigint[];
begin
  if cardinality(purposes) is null or cardinality(purposes) <> all (array[cardinality(assets), cardinality(property_ids), cardinality(party_ids)]) then
    raise exception 'the four lists must be of one length' using errcode = 'invalid_parameter_value';
  end if;
  select array_agg(w.purpose || '/' || w.asset || coalesce('/' || w.property_id::text, '') || coalesce('/' || w.party_id::text, '') order by w.place)
    into names
  from unnest(purposes, assets, property_ids, party_ids) with ordinality as w (purpose, asset, property_id, party_id, place);

  select array_agg(a.id order by w.place) into answer
  from unnest(names) with ordinality as w (name, place) join ledger.accounts as a on a.name = w.name;
  if cardinality(answer) = cardinality(names) then
    return answer;
  end if;

  insert into ledger.assets (code, kind, decimals, property_token_id)
  select 'token:' || t.id, 'token', t.token_decimals, t.id
  from public.property_tokens as t
  where t.id in (
    select substr(w.asset, 7)::uuid from unnest(assets) as w (asset)
    where starts_with(w.asset, 'token:') and not exists (select from ledger.assets as a where a.code = w.asset))
  order by t.id
  on conflict on constraint assets_pkey do nothing;
  with opened as (
    insert into ledger.accounts (purpose, asset, asset_kind, scope, is_outside, property_id, party_id)
    select distinct on (w.name) w.purpose, w.asset, a.kind, p.scope, p.is_outside, w.property_id, w.party_id
    from unnest(names, purposes, assets, property_ids, party_ids) as w (name, purpose, asset, property_id, party_id)
    join ledger.purposes as p on p.name = w.purpose
    join ledger.assets as a on a.code = w.asset
    where not exists (select from ledger.accounts as c where c.name = w.name)
    order by w.name
    on conflict on constraint accounts_one_of_a_kind do nothing
    returning id, is_outside
  )
  insert into ledger.balances (account_id, is_outside) select o.id, o.is_outside from opened as o;
  -- A statement of its own sees what another session opened meanwhile.
  select array_agg(a.id order by w.place) into answer
  from unnest(names) with ordinality as w (name, place) left join ledger.accounts as a on a.name = w.name;
  if array_position(answer, null) is not null then
    raise exception 'there is no account %: the chart has no such purpose, or there is no such asset', coalesce(names[array_position(answer, null)], 'without a name')
      using errcode = 'invalid_parameter_value';
  end if;
  return answer;
end
$function$;
comment on function ledger.open_accounts(text[],text[],uuid[],uuid[]) is 'The accounts of these purposes, assets and owners, in the order asked; opened where they are new, and a token''s asset with its first account.';
grant execute on function ledger.open_accounts(text[],text[],uuid[],uuid[]) to nexus_engine;

CREATE OR REPLACE FUNCTION ledger.post(key text, kind text, business_date date, actor_id uuid, cause jsonb, accounts bigint[], amounts bigint[])
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
  select b.entry_id
  from ledger.post_batch(array[post.key], array[post.kind], array[post.business_date], array[post.actor_id], array[post.cause],
    array_fill(1, array[cardinality(post.accounts)]), post.accounts, post.amounts) as b
$function$;
comment on function ledger.post(text,text,date,uuid,jsonb,bigint[],bigint[]) is 'Posts one entry, or returns the number of the same entry posted before.';
grant execute on function ledger.post(text,text,date,uuid,jsonb,bigint[],bigint[]) to nexus_engine;

CREATE OR REPLACE FUNCTION ledger.post_batch(keys text[], kinds text[], business_dates date[], actor_ids uuid[], causes jsonb[], posting_entries integer[], posting_accounts bigint[], posting_amounts bigint[])
 RETURNS TABLE(key text, entry_id bigint, is_new boolean)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET plan_cache_mode TO 'force_generic_plan'
 SET enable_seqscan TO 'off'
AS $function$
declare
  entry_count integer := cardinality(keys);
  new_ids bigint[];
  digests bytea[];
  bad record;
begin
  -- A transaction number before a row number: nexus.seal_limits() rests on it.
  perform pg_current_xact_id();
  if entry_count is null or entry_count <> all (array[cardinality(kinds), cardinality(business_dates), cardinality(actor_ids), cardinality(causes)])
     or cardinality(posting_entries) <> all (array[cardinality(posting_accounts), cardinality(posting_amounts)]) then
    raise exception 'the lists that describe entries must be of one length, and those that describe postings too'
      using errcode = 'invalid_parameter_value';
  end if;

  -- What the caller asks for, in one value an entry; the order of the postings counts.
  select array_agg(
    sha256(convert_to(jsonb_build_array(e.kind, e.business_date, e.actor_id, e.cause, p.lines)::text, 'UTF8')) order by e.place)
    into digests
  from unnest(kinds, business_dates, actor_ids, causes) with ordinality as e (kind, business_date, actor_id, cause, place)
  left join (
    select w.entry, jsonb_agg(jsonb_build_array(w.account, w.amount) order by w.place) as lines
    from unnest(posting_entries, posting_accounts, posting_amounts) with ordinality as w (entry, account, amount, place)
    group by w.entry
  ) as p on p.entry = e.place;

  -- Entries first: a key that somebody else is just posting makes us wait here, before any balance is locked.
  with inserted as (
    insert into ledger.entries (key, kind, business_date, actor_id, cause, digest)
    select e.key, e.kind, e.business_date, e.actor_id, e.cause, e.digest
    from unnest(keys, kinds, business_dates, actor_ids, causes, digests) with ordinality
      as e (key, kind, business_date, actor_id, cause, digest, place)
    order by e.place
    on conflict on constraint entries_key_key do nothing
    returning entries.id, entries.key
  )
  select array_agg(i.id order by k.place) into new_ids
  from unnest(keys) with ordinality as k (key, place) left join inserted as i on i.key = k.key;

  -- Each key is looked up by itself, which a join is not for whoever plans it while the journal is empty.
  select k.key into bad
  from unnest(keys, digests) as k (key, digest)
  cross join lateral (select x.digest from ledger.entries as x where x.key = k.key limit 1) as e
  where e.digest <> k.digest
  limit 1;
  if found then
    raise exception 'key "%" was used for another entry', bad.key
      using errcode = 'unique_violation', constraint = 'entries_key_key', schema = 'ledger', table = 'entries',
            hint = 'A retry must be the same in every field; another entry needs another key.';
  end if;
  if (select count(distinct k.key) <> entry_count from unnest(keys) as k (key)) then
    raise exception 'a key stands in the batch twice' using errcode = 'unique_violation', constraint = 'entries_key_key';
  end if;

  perform from ledger.balances as b
  where b.account_id in (
    select p.account from unnest(posting_entries, posting_accounts) as p (entry, account) where new_ids[p.entry] is not null)
  order by b.account_id
  for no key update;

  perform ledger.check_postings(new_ids, posting_entries, posting_accounts, posting_amounts);

  with lines as (
    select new_ids[p.entry] as entry_id,
           row_number() over (partition by p.entry order by p.place) as line,
           p.account,
           p.amount,
           b.postings + row_number() over w as account_seq,
           b.balance + sum(p.amount) over w as balance_after
    from unnest(posting_entries, posting_accounts, posting_amounts) with ordinality as p (entry, account, amount, place)
    join ledger.balances as b on b.account_id = p.account
    where new_ids[p.entry] is not null
    window w as (partition by p.account order by new_ids[p.entry], p.place)
  ), posted as (
    insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
    select l.entry_id, l.line, l.account, l.amount, l.account_seq, l.balance_after from lines as l
    order by l.entry_id, l.line
    returning postings.account_id, postings.amount, postings.balance_after
  ), sums as (
    select p.account_id, sum(p.amount) as amount, count(*) as postings, min(p.balance_after) as lowest
    from posted as p group by p.account_id
  ), moved as (
    update ledger.balances as b
    set balance = b.balance + s.amount, postings = b.postings + s.postings
    from sums as s where b.account_id = s.account_id and (s.lowest >= 0 or b.is_outside)
  )
  -- The lowest balance counts: no account passes below zero between two entries of one batch either.
  select a.id, a.purpose, a.asset, s.lowest into bad
  from sums as s join ledger.accounts as a on a.id = s.account_id
  where s.lowest < 0 and not a.is_outside
  limit 1;
  if found then
    raise exception 'account % (% in %) would go to %', bad.id, bad.purpose, bad.asset, bad.lowest
      using errcode = 'check_violation', constraint = 'balances_not_below_zero', schema = 'ledger', table = 'balances';
  end if;

  return query
  select k.key, coalesce(k.new_id, e.id), k.new_id is not null
  from unnest(keys, new_ids) with ordinality as k (key, new_id, place)
  left join lateral (select x.id from ledger.entries as x where k.new_id is null and x.key = k.key limit 1) as e on true
  order by k.place;
end
$function$;
comment on function ledger.post_batch(text[],text[],date[],uuid[],jsonb[],integer[],bigint[],bigint[]) is 'Posts many entries at once, or none. Postings name their entry by its place in keys, from 1. An entry whose key was posted before with the same content is left alone and its number returned; with other content the batch is refused. Balances are locked in the order of the accounts'' ids.';
grant execute on function ledger.post_batch(text[],text[],date[],uuid[],jsonb[],integer[],bigint[],bigint[]) to nexus_engine;

CREATE OR REPLACE FUNCTION ledger.record_movement(property_token_id uuid, entry_ids bigint[], kind text, at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
declare
  last_move public.token_movements;
  changed record;
  effective timestamptz;
begin
  perform from public.property_token_supply as s where s.property_token_id = record_movement.property_token_id for no key update;
  if not found then
    raise exception 'the token has no supply' using errcode = 'no_data_found', constraint = 'token_movements_have_a_supply';
  end if;
  select * into last_move from public.token_movements as m
  where m.property_token_id = record_movement.property_token_id order by m.number desc limit 1;
  with touched as (
    select p.account_id, min(p.account_seq) as first_seq, max(p.account_seq) as last_seq, sum(p.amount) as amount
    from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
    where p.entry_id = any (entry_ids) and a.purpose = 'held' and a.asset = 'token:' || record_movement.property_token_id
    group by p.account_id)
  select count(*) as accounts, coalesce(sum(t.amount), 0) as units,
         count(*) filter (where l.balance_after > 0) - count(*) filter (where f.balance_after > f.amount) as holders
    into changed
  from touched as t
  join ledger.postings as f on f.account_id = t.account_id and f.account_seq = t.first_seq
  join ledger.postings as l on l.account_id = t.account_id and l.account_seq = t.last_seq;
  if changed.accounts = 0 or (select min(e) from unnest(entry_ids) as e) <= last_move.last_entry_id then
    raise exception 'these entries move nothing that is held, or were recorded before'
      using errcode = 'check_violation', constraint = 'token_movements_are_new';
  end if;
  -- Clocks may go back, and a command that began later may be served first: the order of the lock is the order of time.
  effective := greatest(at, last_move.moved_at);
  insert into public.token_movements (property_token_id, number, kind, moved_at, last_entry_id, held_units, holders, created_at)
  values (record_movement.property_token_id, coalesce(last_move.number, 0) + 1, record_movement.kind, effective,
    (select max(e) from unnest(entry_ids) as e), coalesce(last_move.held_units, 0) + changed.units,
    coalesce(last_move.holders, 0) + changed.holders, at);
  return effective;
end
$function$;
comment on function ledger.record_movement(uuid,bigint[],text,timestamp with time zone) is 'Notes that these entries, just posted, changed who holds a token, and answers with the instant from which that holds. Locks the token''s supply row.';
grant execute on function ledger.record_movement(uuid,bigint[],text,timestamp with time zone) to nexus_engine;

CREATE OR REPLACE FUNCTION ledger.register_at(property_token_id uuid, known_entry_id bigint, after_party_id uuid, rows_max integer)
 RETURNS TABLE(party_id uuid, units bigint)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  select a.party_id, last.balance_after
  from ledger.accounts as a
  cross join lateral (
    select p.balance_after from ledger.postings as p
    where p.account_id = a.id and p.entry_id <= known_entry_id
    order by p.account_seq desc limit 1) as last
  where a.asset = 'token:' || register_at.property_token_id and a.purpose = 'held' and last.balance_after > 0
    and a.party_id > coalesce(after_party_id, '00000000-0000-0000-0000-000000000000')
  order by a.party_id
  limit rows_max
$function$;
comment on function ledger.register_at(uuid,bigint,uuid,integer) is 'Who holds how many of a token after a ledger entry, in the order of parties after one of them; all of them where no number of rows is given. Walks each account''s postings back from the last.';
grant execute on function ledger.register_at(uuid,bigint,uuid,integer) to nexus_engine;

CREATE OR REPLACE FUNCTION ledger.token_seconds(property_token_id uuid, from_at timestamp with time zone, to_at timestamp with time zone, known_entry_id bigint)
 RETURNS TABLE(party_id uuid, token_seconds numeric)
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
  -- Each change counts for the seconds from its own on until the end, so that the order of changes does not matter.
  select a.party_id, sum(p.amount * extract(epoch from to_at - greatest(from_at, date_trunc('second', m.moved_at))))
  from ledger.accounts as a
  join ledger.postings as p on p.account_id = a.id
  cross join lateral (
    select x.moved_at from public.token_movements as x
    where x.property_token_id = token_seconds.property_token_id and x.last_entry_id >= p.entry_id
    order by x.last_entry_id limit 1) as m
  where a.asset = 'token:' || token_seconds.property_token_id and a.purpose = 'held' and p.entry_id <= known_entry_id
    and date_trunc('second', m.moved_at) < to_at
  group by a.party_id
  having sum(p.amount * extract(epoch from to_at - greatest(from_at, date_trunc('second', m.moved_at)))) > 0
$function$;
comment on function ledger.token_seconds(uuid,timestamp with time zone,timestamp with time zone,bigint) is 'Tokens times seconds of each holder in a period of whole seconds, as known at a ledger entry. mint_core::entitlement::token_seconds is the reference.';
grant execute on function ledger.token_seconds(uuid,timestamp with time zone,timestamp with time zone,bigint) to nexus_engine;

create table ledger.accounts (
  id bigint generated always as identity not null,
  purpose text not null,
  asset text not null,
  asset_kind text not null,
  scope text not null,
  is_outside boolean not null,
  property_id uuid,
  party_id uuid,
  name text generated always as (((((purpose || '/'::text) || asset) || COALESCE(('/'::text || (property_id)::text), ''::text)) || COALESCE(('/'::text || (party_id)::text), ''::text))) stored not null,
  created_at timestamp with time zone default now() not null,
  constraint accounts_pkey PRIMARY KEY (id),
  constraint accounts_one_of_a_kind UNIQUE (name),
  constraint accounts_belong_to_their_scope CHECK ((((property_id IS NOT NULL) = (scope = ANY (ARRAY['property'::text, 'token'::text, 'token_party'::text]))) AND ((party_id IS NOT NULL) = (scope = ANY (ARRAY['party'::text, 'token_party'::text]))))),
  constraint accounts_asset_fkey FOREIGN KEY (asset, asset_kind) REFERENCES ledger.assets(code, kind),
  constraint accounts_party_id_fkey FOREIGN KEY (party_id) REFERENCES public.parties(id) ON DELETE RESTRICT,
  constraint accounts_property_id_fkey FOREIGN KEY (property_id) REFERENCES public.properties(id) ON DELETE RESTRICT,
  constraint accounts_purpose_fkey FOREIGN KEY (purpose, asset_kind, scope, is_outside) REFERENCES ledger.purposes(name, asset_kind, scope, is_outside)
);
comment on table ledger.accounts is 'Where amounts lie: one account for each purpose, asset and owner.';
comment on column ledger.accounts.id is 'Identity; locks are taken in its order.';
comment on column ledger.accounts.purpose is 'What it is for, from the chart.';
comment on column ledger.accounts.asset is 'What lies in it.';
comment on column ledger.accounts.asset_kind is 'currency or token, as asset and chart have it.';
comment on column ledger.accounts.scope is 'Whose it is, as the chart has it.';
comment on column ledger.accounts.is_outside is 'Whether it may go below zero, as the chart has it.';
comment on column ledger.accounts.property_id is 'The property it is of; of a token account, the token''s property.';
comment on column ledger.accounts.party_id is 'The party it is of.';
comment on column ledger.accounts.name is 'purpose/asset[/property][/party]: what it is found by.';
comment on column ledger.accounts.created_at is 'When it was opened.';
CREATE INDEX accounts_asset_idx ON ledger.accounts USING btree (asset, asset_kind);
CREATE INDEX accounts_held_idx ON ledger.accounts USING btree (asset, party_id) WHERE (purpose = 'held'::text);
CREATE INDEX accounts_party_id_idx ON ledger.accounts USING btree (party_id);
CREATE INDEX accounts_property_id_idx ON ledger.accounts USING btree (property_id);
CREATE INDEX accounts_purpose_idx ON ledger.accounts USING btree (purpose, asset_kind, scope, is_outside);
CREATE TRIGGER accounts_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.accounts FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table ledger.accounts enable row level security;
grant select on ledger.accounts to nexus_engine;
grant select on ledger.accounts to nexus_staff;
grant select on ledger.accounts to service_role;
create policy accounts_read_engine on ledger.accounts for select to nexus_engine
  using (true);
create policy accounts_read_staff on ledger.accounts for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table ledger.assets (
  code text not null,
  kind text not null,
  decimals smallint not null,
  property_token_id uuid,
  created_at timestamp with time zone default now() not null,
  constraint assets_pkey PRIMARY KEY (code),
  constraint assets_code_kind_key UNIQUE (code, kind),
  constraint assets_property_token_id_key UNIQUE (property_token_id),
  constraint assets_code_names_the_token CHECK (((kind = 'currency'::text) OR (code = ('token:'::text || property_token_id)))),
  constraint assets_decimals_fit_a_bigint CHECK (((decimals >= 0) AND (decimals <= 6))),
  constraint assets_kind_is_known CHECK ((kind = ANY (ARRAY['currency'::text, 'token'::text]))),
  constraint assets_token_has_its_row CHECK (((kind = 'token'::text) = (property_token_id IS NOT NULL))),
  constraint assets_property_token_id_fkey FOREIGN KEY (property_token_id) REFERENCES public.property_tokens(id) ON DELETE RESTRICT
);
comment on table ledger.assets is 'What can lie in an account: a currency or the token of a property. One is never exchanged for another inside an entry.';
comment on column ledger.assets.code is 'Code of the currency, or token:<id of the property token>.';
comment on column ledger.assets.kind is 'currency or token.';
comment on column ledger.assets.decimals is 'Decimals of the smallest unit that amounts count.';
comment on column ledger.assets.property_token_id is 'The property token; null for a currency.';
comment on column ledger.assets.created_at is 'When it could first be posted.';
CREATE TRIGGER assets_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.assets FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table ledger.assets enable row level security;
grant select on ledger.assets to nexus_engine;
grant select on ledger.assets to nexus_staff;
grant select on ledger.assets to service_role;
create policy assets_read_engine on ledger.assets for select to nexus_engine
  using (true);
create policy assets_read_staff on ledger.assets for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table ledger.balances (
  account_id bigint not null,
  balance bigint default 0 not null,
  postings bigint default 0 not null,
  is_outside boolean not null,
  constraint balances_pkey PRIMARY KEY (account_id),
  constraint balances_are_exact CHECK (((balance >= '-9007199254740991'::bigint) AND (balance <= '9007199254740991'::bigint))),
  constraint balances_not_below_zero CHECK ((is_outside OR (balance >= 0))),
  constraint balances_account_id_fkey FOREIGN KEY (account_id) REFERENCES ledger.accounts(id)
);
comment on table ledger.balances is 'What lies in each account now: always the sum of its postings. Narrow, because it is what every entry locks.';
comment on column ledger.balances.account_id is 'The account.';
comment on column ledger.balances.balance is 'Amount in smallest units.';
comment on column ledger.balances.postings is 'How many postings made it; the last one''s account_seq.';
comment on column ledger.balances.is_outside is 'Copy of the account''s, so that the constraint can see it.';
alter table ledger.balances enable row level security;
grant select on ledger.balances to nexus_engine;
grant select on ledger.balances to nexus_staff;
grant select on ledger.balances to service_role;
create policy balances_read_engine on ledger.balances for select to nexus_engine
  using (true);
create policy balances_read_staff on ledger.balances for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table ledger.entries (
  id bigint generated always as identity not null,
  key text not null,
  kind text not null,
  business_date date not null,
  recorded_at timestamp with time zone default clock_timestamp() not null,
  transaction_id xid8 default pg_current_xact_id() not null,
  actor_id uuid,
  cause jsonb not null,
  digest bytea not null,
  constraint entries_pkey PRIMARY KEY (id),
  constraint entries_key_key UNIQUE (key),
  constraint entries_cause_is_an_object CHECK ((jsonb_typeof(cause) = 'object'::text)),
  constraint entries_digest_is_sha256 CHECK ((length(digest) = 32)),
  constraint entries_key_is_bounded CHECK (((length(key) >= 1) AND (length(key) <= 200))),
  constraint entries_kind_is_a_name CHECK ((kind ~ '^[a-z][a-z0-9_.]{0,99}$'::text))
);
comment on table ledger.entries is 'The journal: each entry moves amounts between accounts, once, for ever. A correction is another entry.';
comment on column ledger.entries.id is 'Sequence number, in the order of recording; gaps are rolled back transactions.';
comment on column ledger.entries.key is 'What makes a retry the same entry, chosen by the command, such as investment:<id>:reserve.';
comment on column ledger.entries.kind is 'Which business event it is, such as investment.reserved.';
comment on column ledger.entries.business_date is 'The day it counts for.';
comment on column ledger.entries.recorded_at is 'The instant at which it was recorded.';
comment on column ledger.entries.transaction_id is 'The transaction that recorded it.';
comment on column ledger.entries.actor_id is 'The login whose command it is; null when a job did it.';
comment on column ledger.entries.cause is 'What it is about: ids of the rows that caused it, and the entry that it reverses.';
comment on column ledger.entries.digest is 'SHA-256 over everything that the caller gave: the same key with another digest is refused.';
CREATE INDEX entries_business_date_idx ON ledger.entries USING btree (business_date, id);
CREATE TRIGGER entries_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.entries FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table ledger.entries enable row level security;
grant select on ledger.entries to nexus_engine;
grant select on ledger.entries to nexus_staff;
grant select on ledger.entries to service_role;
create policy entries_read_engine on ledger.entries for select to nexus_engine
  using (true);
create policy entries_read_staff on ledger.entries for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table ledger.postings (
  entry_id bigint not null,
  line smallint not null,
  account_id bigint not null,
  amount bigint not null,
  account_seq bigint not null,
  balance_after bigint not null,
  constraint postings_pkey PRIMARY KEY (entry_id, line),
  constraint postings_follow_one_another UNIQUE (account_id, account_seq),
  constraint postings_line_counts_from_one CHECK ((line >= 1)),
  constraint postings_move_something CHECK ((amount <> 0)),
  constraint postings_account_id_fkey FOREIGN KEY (account_id) REFERENCES ledger.accounts(id),
  constraint postings_entry_id_fkey FOREIGN KEY (entry_id) REFERENCES ledger.entries(id)
);
comment on table ledger.postings is 'The lines of the entries: how much left (below zero) or arrived in (above zero) an account.';
comment on column ledger.postings.entry_id is 'The entry.';
comment on column ledger.postings.line is 'Its place in the entry, from 1.';
comment on column ledger.postings.account_id is 'The account.';
comment on column ledger.postings.amount is 'Amount in smallest units of the account''s asset; never 0.';
comment on column ledger.postings.account_seq is 'Its place among the account''s postings, from 1, without gaps.';
comment on column ledger.postings.balance_after is 'The account''s balance after it.';
CREATE TRIGGER postings_are_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.postings FOR EACH STATEMENT EXECUTE FUNCTION nexus.refuse_change();
alter table ledger.postings enable row level security;
grant select on ledger.postings to nexus_engine;
grant select on ledger.postings to nexus_staff;
grant select on ledger.postings to service_role;
create policy postings_read_engine on ledger.postings for select to nexus_engine
  using (true);
create policy postings_read_staff on ledger.postings for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));

create table ledger.purposes (
  name text not null,
  asset_kind text not null,
  scope text not null,
  is_outside boolean not null,
  meaning text not null,
  constraint purposes_pkey PRIMARY KEY (name),
  constraint purposes_as_accounts_refer_key UNIQUE (name, asset_kind, scope, is_outside),
  constraint purposes_asset_kind_is_known CHECK ((asset_kind = ANY (ARRAY['currency'::text, 'token'::text]))),
  constraint purposes_meaning_is_said CHECK ((meaning ~ '\S'::text)),
  constraint purposes_name_is_a_word CHECK ((name ~ '^[a-z][a-z_]{0,49}$'::text)),
  constraint purposes_scope_is_known CHECK ((scope = ANY (ARRAY['platform'::text, 'property'::text, 'party'::text, 'token'::text, 'token_party'::text])))
);
comment on table ledger.purposes is 'The chart of accounts: what accounts there can be, for whom, in what, and whether they stand for the outside world.';
comment on column ledger.purposes.name is 'What the account is for.';
comment on column ledger.purposes.asset_kind is 'Whether it holds a currency or a token.';
comment on column ledger.purposes.scope is 'Whose it is: one of the platform, of a property, of a party, of a token, or of a party''s holding of a token.';
comment on column ledger.purposes.is_outside is 'Whether it stands for the outside world and may go below zero.';
comment on column ledger.purposes.meaning is 'What lies in it.';
alter table ledger.purposes enable row level security;
grant select on ledger.purposes to nexus_engine;
grant select on ledger.purposes to nexus_staff;
grant select on ledger.purposes to service_role;
create policy purposes_read_engine on ledger.purposes for select to nexus_engine
  using (true);
create policy purposes_read_staff on ledger.purposes for select to nexus_staff
  using (( SELECT nexus.has_any_role(VARIADIC ARRAY['admin'::text, 'compliance_officer'::text]) AS has_any_role));
