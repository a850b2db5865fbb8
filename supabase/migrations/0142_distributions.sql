-- Distributions: a property's distributable cash, split over its holders, taxed, and paid once. Carries value: only commands
-- write it. Its lines are written and posted by the set-based functions of 0147.
set role nexus_owner;

create table public.withholding_rates (
  id                uuid primary key default gen_random_uuid(),
  source_country    text not null,
  residency_country text,
  rate_ppm          integer not null,
  form              text not null,
  form_version      text not null,
  needs_form        boolean not null default false,
  source            text not null,
  is_checked        boolean not null default false,
  valid_from        timestamptz not null,
  created_at        timestamptz not null default now(),
  constraint withholding_rates_countries_are_iso check (source_country ~ '^[A-Z]{2}$' and residency_country ~ '^[A-Z]{2}$'),
  constraint withholding_rates_rate_is_a_part check (rate_ppm between 0 and 1000000),
  constraint withholding_rates_texts_are_bounded check (length(form) between 1 and 50 and length(form_version) between 1 and 50 and length(source) between 1 and 1000),
  constraint withholding_rates_not_backdated check (valid_from >= created_at),
  constraint withholding_rates_form_is_of_a_country check (not needs_form or residency_country is not null),
  constraint withholding_rates_one_at_an_instant unique nulls not distinct (source_country, residency_country, valid_from, needs_form)
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
create trigger withholding_rates_are_append_only before update or delete or truncate on public.withholding_rates
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.withholding_rates');
insert into public.withholding_rates (source_country, residency_country, rate_ppm, form, form_version, source, valid_from, created_at) values
  ('US', 'US', 0,      'W-9',     '2024-03', 'US residents are not withheld from (starting point, not checked)', '2000-01-01T00:00:00Z', '2000-01-01T00:00:00Z'),
  ('US', null, 300000, 'W-8BEN',  '2021-10', '26 USC 1441, 1442: 30 % of rent to others, no treaty (starting point, not checked)', '2000-01-01T00:00:00Z', '2000-01-01T00:00:00Z');

create table public.distributions (
  id                uuid primary key,
  property_id       uuid not null,
  property_token_id uuid not null,
  currency          text not null,
  currency_decimals smallint not null,
  status            text not null default 'proposed',
  seconds_from      timestamptz,
  seconds_to        timestamptz,
  basis             text not null generated always as (case when seconds_from is null then 'register' else 'token_seconds' end) stored,
  declared_minor    bigint not null,
  declared_amount   numeric generated always as (nexus.from_minor(declared_minor, currency_decimals)) stored,
  withheld_minor    bigint not null default 0,
  holders           integer not null default 0,
  record_at         timestamptz,
  register_entry_id bigint,
  tie_first         uuid,
  declare_pass_id   uuid,
  declare_action    text not null generated always as ('declare') stored,
  proposed_by       uuid not null,
  declared_by       uuid,
  posted_up_to      uuid,
  posted_at         timestamptz,
  paid_at           timestamptz,
  created_at        timestamptz not null,
  updated_at        timestamptz not null default now(),
  constraint distributions_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint distributions_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  -- The evidence gate as a fact: nothing is declared without a pass of its own property for this action.
  constraint distributions_declare_pass_fkey foreign key (declare_pass_id, property_id, declare_action)
    references public.gate_passes (id, property_id, action) on delete restrict,
  constraint distributions_status_is_known check (status in ('proposed', 'declared', 'paying', 'paid', 'cancelled')),
  constraint distributions_amounts_fit check (declared_minor between 1 and 9007199254740991 and withheld_minor between 0 and declared_minor),
  constraint distributions_declared_passed_the_gate check ((status in ('declared', 'paying', 'paid')) = (declare_pass_id is not null)),
  constraint distributions_declared_is_whole check ((status in ('declared', 'paying', 'paid')) = (num_nulls(record_at, register_entry_id, tie_first, declared_by) = 0)
    and (status in ('proposed', 'cancelled') or holders > 0)),
  -- What is counted is over (L16), and every second of it whole.
  constraint distributions_period_is_over check ((seconds_from is null) = (seconds_to is null) and seconds_to > seconds_from
    and seconds_to <= coalesce(record_at, created_at) and extract(epoch from seconds_from) % 1 = 0 and extract(epoch from seconds_to) % 1 = 0),
  constraint distributions_need_two_persons check (declared_by <> proposed_by),
  constraint distributions_posted_is_paying check ((status in ('paying', 'paid')) = (posted_up_to is not null)
    and (posted_at is null or status in ('paying', 'paid')) and (status <> 'paid' or posted_at is not null)),
  constraint distributions_paid_has_a_date check ((status = 'paid') = (paid_at is not null))
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
create index distributions_property_id_idx on public.distributions (property_id, created_at desc);
create index distributions_property_token_id_idx on public.distributions (property_token_id, property_id);
create index distributions_currency_idx on public.distributions (currency, currency_decimals);
create index distributions_declare_pass_id_idx on public.distributions (declare_pass_id, property_id, declare_action);
create index distributions_proposed_by_idx on public.distributions (proposed_by);
create index distributions_declared_by_idx on public.distributions (declared_by);
create index distributions_posting_idx on public.distributions (id) where status = 'paying' and posted_at is null;
create trigger distributions_updated_at before update on public.distributions
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.distributions');

create table public.distribution_lines (
  id                uuid primary key default gen_random_uuid(),
  distribution_id   uuid not null,
  party_id          uuid not null,
  entitled_units    bigint not null,
  amount_minor      bigint not null,
  withheld_minor    bigint not null,
  rate_ppm          integer not null,
  form              text not null,
  form_version      text not null,
  lot_ids           uuid[] not null default '{}',
  lot_units         bigint[] not null default '{}',
  status            text not null default 'payable',
  constraint distribution_lines_distribution_id_fkey foreign key (distribution_id) references public.distributions (id) on delete restrict,
  constraint distribution_lines_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint distribution_lines_status_is_known check (status in ('payable', 'sent', 'paid', 'failed')),
  constraint distribution_lines_entitled_is_exact check (entitled_units between 1 and 9007199254740991),
  constraint distribution_lines_amounts_fit check (amount_minor between 0 and 9007199254740991 and withheld_minor between 0 and amount_minor),
  constraint distribution_lines_rate_is_a_part check (rate_ppm between 0 and 1000000),
  constraint distribution_lines_texts_are_bounded check (length(form) <= 50 and length(form_version) <= 50),
  constraint distribution_lines_lots_have_units check (cardinality(lot_ids) = cardinality(lot_units)),
  constraint distribution_lines_one_a_holder unique (distribution_id, party_id)
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
create index distribution_lines_party_id_idx on public.distribution_lines (party_id);
create index distribution_lines_open_idx on public.distribution_lines (distribution_id) where status <> 'paid';
select nexus.audit_table('public.distribution_lines');

alter table public.property_returns
  add column distribution_line_id uuid,
  add column lot_id uuid,
  add constraint property_returns_distribution_line_id_fkey foreign key (distribution_line_id) references public.distribution_lines (id) on delete restrict,
  add constraint property_returns_lot_id_fkey foreign key (lot_id) references public.lots (id) on delete restrict,
  add constraint property_returns_line_has_its_lot check ((distribution_line_id is null) = (lot_id is null)),
  add constraint property_returns_once_a_lot unique (distribution_line_id, lot_id);
comment on column public.property_returns.distribution_line_id is 'The line of which it is a part.';
comment on column public.property_returns.lot_id is 'The lot that it is for.';
create index property_returns_lot_id_idx on public.property_returns (lot_id);

create table public.payouts (
  id                uuid primary key,
  line_id           uuid not null,
  party_id          uuid not null,
  property_id       uuid not null,
  currency          text not null,
  currency_decimals smallint not null,
  amount_minor      bigint not null,
  rail_key          uuid not null,
  status            text not null default 'due',
  times_sent        integer not null default 0,
  attempts          integer not null default 0,
  due_at            timestamptz not null,
  sent_at           timestamptz,
  confirmed_at      timestamptz,
  failed_at         timestamptz,
  failure           text,
  retry_asked_by    uuid,
  retry_approved_by uuid,
  created_at        timestamptz not null,
  updated_at        timestamptz not null default now(),
  constraint payouts_line_id_fkey foreign key (line_id) references public.distribution_lines (id) on delete restrict,
  constraint payouts_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint payouts_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint payouts_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  -- L11: a line is paid at most once.
  constraint payouts_one_a_line unique (line_id),
  constraint payouts_rail_key_key unique (rail_key),
  constraint payouts_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint payouts_status_is_known check (status in ('due', 'sent', 'confirmed', 'failed')),
  constraint payouts_sent_has_a_date check (status <> 'sent' or sent_at is not null),
  constraint payouts_confirmed_has_a_date check ((status = 'confirmed') = (confirmed_at is not null)),
  constraint payouts_failed_says_why check (status <> 'failed' or (failed_at is not null and failure ~ '\S')),
  constraint payouts_failure_is_bounded check (length(failure) <= 2000),
  constraint payouts_counts_not_negative check (least(times_sent, attempts) >= 0),
  constraint payouts_retry_takes_two check (retry_asked_by <> retry_approved_by)
);
comment on table public.payouts is 'Money on its way to a holder. Asked of the rail under a key, so that asking again is the same payout; what is silent is asked about and never sent again before.';
comment on column public.payouts.id is 'Identity of the payout.';
comment on column public.payouts.line_id is 'The line that it pays.';
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
create index payouts_party_id_idx on public.payouts (party_id);
create index payouts_property_id_idx on public.payouts (property_id);
create index payouts_currency_idx on public.payouts (currency, currency_decimals);
create index payouts_retry_asked_by_idx on public.payouts (retry_asked_by);
create index payouts_retry_approved_by_idx on public.payouts (retry_approved_by);
create index payouts_due_idx on public.payouts (due_at, id) where status in ('due', 'sent');
create trigger payouts_updated_at before update on public.payouts
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.payouts');

create table public.tax_remittances (
  id                uuid primary key,
  property_id       uuid not null,
  currency          text not null,
  currency_decimals smallint not null,
  amount_minor      bigint not null,
  bank_reference    text not null,
  booked_on         date not null,
  remitted_by       uuid not null,
  created_at        timestamptz not null,
  constraint tax_remittances_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint tax_remittances_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint tax_remittances_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint tax_remittances_reference_is_bounded check (length(bank_reference) between 1 and 300),
  constraint tax_remittances_each_once unique (property_id, bank_reference)
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
create index tax_remittances_currency_idx on public.tax_remittances (currency, currency_decimals);
create index tax_remittances_remitted_by_idx on public.tax_remittances (remitted_by);
create trigger tax_remittances_are_append_only before update or delete or truncate on public.tax_remittances
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.tax_remittances');

alter table public.withholding_rates enable row level security;
grant select on public.withholding_rates to anon, authenticated, service_role, nexus_engine;
create policy withholding_rates_read_all on public.withholding_rates for select to anon, authenticated, nexus_engine using (true);

alter table public.distributions enable row level security;
grant select on public.distributions to authenticated, service_role, nexus_engine;
grant insert, update on public.distributions to nexus_engine;
create policy distributions_read_staff on public.distributions for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy distributions_engine on public.distributions for all to nexus_engine using (true) with check (true);

alter table public.distribution_lines enable row level security;
grant select on public.distribution_lines to authenticated, service_role, nexus_engine;
grant update (status) on public.distribution_lines to nexus_engine;
create policy distribution_lines_read_own on public.distribution_lines for select to authenticated using (party_id = (select nexus.party_id()));
create policy distribution_lines_read_staff on public.distribution_lines for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy distribution_lines_engine on public.distribution_lines for all to nexus_engine using (true) with check (true);

create function nexus.my_distribution_ids() returns uuid[]
language sql stable security definer set search_path = ''
as $$
  select coalesce(array_agg(distinct l.distribution_id), '{}') from public.distribution_lines as l where l.party_id = nexus.party_id()
$$;
comment on function nexus.my_distribution_ids() is 'Distributions of which the caller''s party has a line.';
grant execute on function nexus.my_distribution_ids() to authenticated, service_role, nexus_engine;
create policy distributions_read_own on public.distributions for select to authenticated
  using (id = any ((select nexus.my_distribution_ids())::uuid[]));

alter table public.payouts enable row level security;
grant select on public.payouts to authenticated, service_role, nexus_engine;
grant update on public.payouts to nexus_engine;
create policy payouts_read_own on public.payouts for select to authenticated using (party_id = (select nexus.party_id()));
create policy payouts_read_staff on public.payouts for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy payouts_engine on public.payouts for all to nexus_engine using (true) with check (true);

alter table public.tax_remittances enable row level security;
grant select on public.tax_remittances to nexus_staff, service_role, nexus_engine;
grant insert on public.tax_remittances to nexus_engine;
create policy tax_remittances_read_staff on public.tax_remittances for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy tax_remittances_engine on public.tax_remittances for all to nexus_engine using (true) with check (true);

reset role;

alter table public.distributions add constraint distributions_proposed_by_fkey
  foreign key (proposed_by) references auth.users (id) on delete restrict;
alter table public.distributions add constraint distributions_declared_by_fkey
  foreign key (declared_by) references auth.users (id) on delete restrict;
alter table public.payouts add constraint payouts_retry_asked_by_fkey
  foreign key (retry_asked_by) references auth.users (id) on delete restrict;
alter table public.payouts add constraint payouts_retry_approved_by_fkey
  foreign key (retry_approved_by) references auth.users (id) on delete restrict;
alter table public.tax_remittances add constraint tax_remittances_remitted_by_fkey
  foreign key (remitted_by) references auth.users (id) on delete restrict;
