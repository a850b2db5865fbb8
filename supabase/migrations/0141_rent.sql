-- Rent: periods of a property, each made of lines of its bank's statement. Carries value: only commands write it.
set role nexus_owner;

create table public.rent_periods (
  id                    uuid primary key,
  property_id           uuid not null,
  currency              text not null,
  currency_decimals     smallint not null,
  period_from           date not null,
  period_to             date not null,
  status                text not null default 'recorded',
  aside_minor           bigint[] not null,
  draw_minor            bigint not null default 0,
  let_days              integer,
  rent_minor            bigint,
  given_minor           bigint[],
  short_minor           bigint[],
  distributable_minor   bigint,
  recorded_by           uuid not null,
  decided_by            uuid,
  decided_at            timestamptz,
  reject_reason         text,
  created_at            timestamptz not null,
  updated_at            timestamptz not null default now(),
  constraint rent_periods_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint rent_periods_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint rent_periods_status_is_known check (status in ('recorded', 'approved', 'rejected')),
  constraint rent_periods_period_is_forward check (period_to >= period_from),
  constraint rent_periods_let_within_the_period check (let_days between 0 and period_to - period_from + 1),
  constraint rent_periods_one_figure_a_use check (cardinality(aside_minor) = 6 and array_position(aside_minor, null) is null
    and (status <> 'approved' or (cardinality(given_minor) = 6 and cardinality(short_minor) = 6))),
  constraint rent_periods_amounts_not_negative check (0 <= all (aside_minor) and 0 <= all (given_minor) and 0 <= all (short_minor)
    and least(draw_minor, rent_minor, distributable_minor) >= 0),
  constraint rent_periods_approved_is_whole check (status <> 'approved' or num_nulls(rent_minor, distributable_minor) = 0),
  constraint rent_periods_need_two_persons check (decided_by <> recorded_by),
  constraint rent_periods_decided_has_a_date check ((status = 'recorded') = (decided_at is null) and (decided_at is null) = (decided_by is null)),
  constraint rent_periods_rejected_says_why check ((status = 'rejected') = coalesce(reject_reason ~ '\S', false) and length(reject_reason) <= 2000),
  constraint rent_periods_as_lines_refer_key unique (id, property_id)
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
create unique index rent_periods_once_key on public.rent_periods (property_id, currency, period_to) where status <> 'rejected';
create index rent_periods_property_id_idx on public.rent_periods (property_id, decided_at desc);
create index rent_periods_currency_idx on public.rent_periods (currency, currency_decimals);
create index rent_periods_recorded_by_idx on public.rent_periods (recorded_by);
create index rent_periods_decided_by_idx on public.rent_periods (decided_by);
create trigger rent_periods_updated_at before update on public.rent_periods
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.rent_periods');

create table public.rent_lines (
  id             uuid primary key,
  period_id      uuid not null,
  property_id    uuid not null,
  account_ref    text not null,
  bank_reference text not null,
  kind           text not null,
  amount_minor   bigint not null,
  booked_on      date not null,
  paid_for       text not null,
  document_id    uuid,
  is_void        boolean not null default false,
  created_at     timestamptz not null,
  constraint rent_lines_period_fkey foreign key (period_id, property_id) references public.rent_periods (id, property_id) on delete restrict,
  constraint rent_lines_document_fkey foreign key (document_id, property_id) references public.property_documents (id, property_id) on delete restrict,
  constraint rent_lines_kind_is_known check (kind in ('rent', 'taxes', 'insurance', 'maintenance', 'manager')),
  constraint rent_lines_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint rent_lines_texts_are_bounded check (length(account_ref) between 1 and 100 and length(bank_reference) between 1 and 300
    and paid_for ~ '\S' and length(paid_for) <= 1000)
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
create unique index rent_lines_each_once_key on public.rent_lines (property_id, account_ref, bank_reference) where not is_void;
create index rent_lines_period_idx on public.rent_lines (period_id, property_id);
create index rent_lines_document_idx on public.rent_lines (document_id, property_id);
select nexus.audit_table('public.rent_lines');

alter table public.rent_periods enable row level security;
grant select on public.rent_periods to nexus_staff, service_role, nexus_engine;
grant insert, update on public.rent_periods to nexus_engine;
create policy rent_periods_read_staff on public.rent_periods for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy rent_periods_engine on public.rent_periods for all to nexus_engine using (true) with check (true);

alter table public.rent_lines enable row level security;
grant select on public.rent_lines to nexus_staff, service_role, nexus_engine;
grant insert, update on public.rent_lines to nexus_engine;
create policy rent_lines_read_staff on public.rent_lines for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy rent_lines_engine on public.rent_lines for all to nexus_engine using (true) with check (true);

reset role;

alter table public.rent_periods add constraint rent_periods_recorded_by_fkey
  foreign key (recorded_by) references auth.users (id) on delete restrict;
alter table public.rent_periods add constraint rent_periods_decided_by_fkey
  foreign key (decided_by) references auth.users (id) on delete restrict;
