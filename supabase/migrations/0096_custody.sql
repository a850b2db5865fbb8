-- The custodian's word: statements of the account that escrow mirrors, and the incidents that stop a property.
set role nexus_owner;

create table public.incidents (
  id             uuid primary key default gen_random_uuid(),
  property_id    uuid not null,
  kind           text not null,
  subject        text not null,
  details        jsonb not null default '{}',
  status         text not null default 'open',
  opened_at      timestamptz not null,
  cleared_at     timestamptz,
  clear_reason   text,
  clear_asked_by uuid,
  cleared_by     uuid,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  constraint incidents_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint incidents_kind_is_known check (kind in ('custody_difference', 'settlement_difference', 'chargeback_after_close', 'partial_chargeback', 'returned_twice')),
  constraint incidents_subject_is_bounded check (length(subject) between 1 and 300),
  constraint incidents_details_are_an_object check (jsonb_typeof(details) = 'object'),
  constraint incidents_status_is_known check (status in ('open', 'cleared')),
  constraint incidents_cleared_by_two check (clear_asked_by <> cleared_by),
  constraint incidents_cleared_says_why check (
    (status = 'cleared') = (cleared_at is not null) and (status <> 'cleared' or (num_nulls(clear_asked_by, cleared_by) = 0 and clear_reason ~ '\S'))),
  constraint incidents_reason_is_bounded check (length(clear_reason) <= 2000)
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
create index incidents_property_id_idx on public.incidents (property_id, opened_at desc);
create index incidents_open_idx on public.incidents (property_id) where status = 'open';
create unique index incidents_one_open_key on public.incidents (property_id, kind, subject) where status = 'open';
create index incidents_clear_asked_by_idx on public.incidents (clear_asked_by);
create index incidents_cleared_by_idx on public.incidents (cleared_by);
create trigger incidents_updated_at before update on public.incidents
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.incidents');

create function nexus.has_open_incident(property_id uuid) returns boolean
language sql stable security definer set search_path = ''
as $$
  select exists (select from public.incidents as i where i.property_id = has_open_incident.property_id and i.status = 'open')
$$;
comment on function nexus.has_open_incident(uuid) is 'Whether an incident stops a property''s closing and payouts.';
grant execute on function nexus.has_open_incident(uuid) to nexus_engine;

create table public.custodian_statements (
  id                    uuid primary key default gen_random_uuid(),
  property_id           uuid not null,
  custodian             text not null,
  account_ref           text not null,
  currency              text not null,
  currency_decimals     smallint not null,
  period_from           date not null,
  period_to             date not null,
  opening_balance_minor bigint not null,
  closing_balance_minor bigint not null,
  ledger_balance_minor  bigint not null,
  sha256                bytea not null,
  imported_by           uuid,
  imported_at           timestamptz not null,
  created_at            timestamptz not null default now(),
  constraint custodian_statements_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint custodian_statements_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint custodian_statements_texts_are_bounded check (custodian ~ '\S' and length(custodian) <= 200 and length(account_ref) between 1 and 100),
  constraint custodian_statements_period_is_forward check (period_to >= period_from),
  constraint custodian_statements_balances_are_exact check (
    abs(opening_balance_minor) <= 9007199254740991 and abs(closing_balance_minor) <= 9007199254740991),
  constraint custodian_statements_sha256_has_32_bytes check (length(sha256) = 32),
  constraint custodian_statements_once_a_day unique (property_id, currency, period_to)
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
create index custodian_statements_currency_idx on public.custodian_statements (currency, currency_decimals);
create index custodian_statements_imported_by_idx on public.custodian_statements (imported_by);

create table public.custodian_statement_lines (
  id           bigint generated always as identity primary key,
  statement_id uuid not null,
  line         integer not null,
  booked_on    date not null,
  amount_minor bigint not null,
  reference    text not null,
  entry_id     bigint,
  constraint custodian_statement_lines_statement_id_fkey foreign key (statement_id) references public.custodian_statements (id) on delete restrict,
  constraint custodian_statement_lines_entry_id_fkey foreign key (entry_id) references ledger.entries (id) on delete restrict,
  constraint custodian_statement_lines_once_a_line unique (statement_id, line),
  constraint custodian_statement_lines_move_something check (amount_minor <> 0 and abs(amount_minor) <= 9007199254740991),
  constraint custodian_statement_lines_reference_is_bounded check (length(reference) between 1 and 300)
);
comment on table public.custodian_statement_lines is 'The lines of statements, each with the ledger entry that it is, where there is one.';
comment on column public.custodian_statement_lines.id is 'Identity of the line.';
comment on column public.custodian_statement_lines.statement_id is 'The statement.';
comment on column public.custodian_statement_lines.line is 'Its place in the statement, from 1.';
comment on column public.custodian_statement_lines.booked_on is 'The day on which the custodian booked it.';
comment on column public.custodian_statement_lines.amount_minor is 'What came in (above zero) or went out, in smallest units.';
comment on column public.custodian_statement_lines.reference is 'The reference that the custodian shows: of a settlement, a refund, a transfer.';
comment on column public.custodian_statement_lines.entry_id is 'The ledger entry with this reference and amount; null: the ledger knows nothing of it.';
create unique index custodian_statement_lines_entry_id_key on public.custodian_statement_lines (entry_id);

create trigger custodian_statements_are_append_only before update or delete or truncate on public.custodian_statements
  for each statement execute function nexus.refuse_change();
create trigger custodian_statement_lines_are_append_only before update or delete or truncate on public.custodian_statement_lines
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.custodian_statements');

alter table public.incidents enable row level security;
grant select on public.incidents to nexus_staff, service_role, nexus_engine;
grant insert, update on public.incidents to nexus_engine;
create policy incidents_read_staff on public.incidents for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy incidents_engine on public.incidents for all to nexus_engine using (true) with check (true);

alter table public.custodian_statements enable row level security;
grant select on public.custodian_statements to nexus_staff, service_role, nexus_engine;
grant insert on public.custodian_statements to nexus_engine;
create policy custodian_statements_read_staff on public.custodian_statements for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy custodian_statements_engine on public.custodian_statements for all to nexus_engine using (true) with check (true);

alter table public.custodian_statement_lines enable row level security;
grant select on public.custodian_statement_lines to nexus_staff, service_role, nexus_engine;
grant insert on public.custodian_statement_lines to nexus_engine;
create policy custodian_statement_lines_read_staff on public.custodian_statement_lines for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy custodian_statement_lines_engine on public.custodian_statement_lines for all to nexus_engine using (true) with check (true);

reset role;

alter table public.incidents add constraint incidents_clear_asked_by_fkey
  foreign key (clear_asked_by) references auth.users (id) on delete restrict;
alter table public.incidents add constraint incidents_cleared_by_fkey
  foreign key (cleared_by) references auth.users (id) on delete restrict;
alter table public.custodian_statements add constraint custodian_statements_imported_by_fkey
  foreign key (imported_by) references auth.users (id) on delete restrict;
