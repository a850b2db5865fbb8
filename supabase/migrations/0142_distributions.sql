-- Distributions: a property's distributable cash, split over its holders, taxed, and paid once. Carries value: only commands
-- write it. The split, the posting and the tax lookup are set-based functions here, since one distribution may have a
-- million lines; `mint_core::allocation` and `mint_core::distribution` are their reference, and tests compare them.
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
  constraint distributions_need_two_persons check (declared_by <> proposed_by),
  constraint distributions_posted_has_a_date check ((status in ('paying', 'paid')) = (posted_at is not null)),
  constraint distributions_paid_has_a_date check ((status = 'paid') = (paid_at is not null))
);
comment on table public.distributions is 'One payment of a property''s distributable cash to the holders of its token at a record date. Declared, it is a debt; written by commands only.';
comment on column public.distributions.id is 'Identity of the distribution.';
comment on column public.distributions.property_id is 'The property that pays.';
comment on column public.distributions.property_token_id is 'The token whose holders are paid.';
comment on column public.distributions.currency is 'Its currency.';
comment on column public.distributions.currency_decimals is 'Decimals of that currency.';
comment on column public.distributions.status is 'proposed, declared, paying, paid or cancelled; docs/STATES.md.';
comment on column public.distributions.declared_minor is 'What is distributed before tax, in smallest units: the sum of its lines.';
comment on column public.distributions.declared_amount is 'What is distributed before tax.';
comment on column public.distributions.withheld_minor is 'What of it is tax, in smallest units.';
comment on column public.distributions.holders is 'How many lines it has.';
comment on column public.distributions.record_at is 'The instant whose register decides: under the token''s lock.';
comment on column public.distributions.register_entry_id is 'The ledger''s last entry at that instant: later entries change nothing.';
comment on column public.distributions.tie_first is 'Where the circle of parties begins in which equal fractions are served; another one each time.';
comment on column public.distributions.declare_pass_id is 'The gate pass on which it rests.';
comment on column public.distributions.declare_action is 'The action that the pass must be for.';
comment on column public.distributions.proposed_by is 'Who asked for it.';
comment on column public.distributions.declared_by is 'The overseer who declared it: never who asked.';
comment on column public.distributions.posted_at is 'When every holder was credited.';
comment on column public.distributions.paid_at is 'When the last line was paid.';
comment on column public.distributions.created_at is 'When it was proposed.';
comment on column public.distributions.updated_at is 'When the row last changed.';
create index distributions_property_id_idx on public.distributions (property_id, created_at desc);
create index distributions_property_token_id_idx on public.distributions (property_token_id, property_id);
create index distributions_currency_idx on public.distributions (currency, currency_decimals);
create index distributions_declare_pass_id_idx on public.distributions (declare_pass_id, property_id, declare_action);
create index distributions_proposed_by_idx on public.distributions (proposed_by);
create index distributions_declared_by_idx on public.distributions (declared_by);
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
  status            text not null default 'declared',
  constraint distribution_lines_distribution_id_fkey foreign key (distribution_id) references public.distributions (id) on delete restrict,
  constraint distribution_lines_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint distribution_lines_status_is_known check (status in ('declared', 'payable', 'sent', 'paid', 'failed')),
  constraint distribution_lines_entitled_is_exact check (entitled_units between 1 and 9007199254740991),
  constraint distribution_lines_amounts_fit check (amount_minor between 0 and 9007199254740991 and withheld_minor between 0 and amount_minor),
  constraint distribution_lines_rate_is_a_part check (rate_ppm between 0 and 1000000),
  constraint distribution_lines_texts_are_bounded check (length(form) <= 50 and length(form_version) <= 50),
  constraint distribution_lines_one_a_holder unique (distribution_id, party_id)
);
comment on table public.distribution_lines is 'One holder''s part of a distribution. He is sent amount less withheld, once.';
comment on column public.distribution_lines.id is 'Identity of the line.';
comment on column public.distribution_lines.distribution_id is 'The distribution.';
comment on column public.distribution_lines.party_id is 'The holder.';
comment on column public.distribution_lines.entitled_units is 'Tokens that he held at the record date, in smallest units.';
comment on column public.distribution_lines.amount_minor is 'His part before tax, in smallest units.';
comment on column public.distribution_lines.withheld_minor is 'Tax withheld of it, in smallest units.';
comment on column public.distribution_lines.rate_ppm is 'The rate of that tax, in millionths.';
comment on column public.distribution_lines.form is 'The form on which the rate rests; none where no rate is known for the property''s country.';
comment on column public.distribution_lines.form_version is 'Its version.';
comment on column public.distribution_lines.status is 'declared, payable, sent, paid or failed; docs/STATES.md.';
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

create function nexus.distribution_parts(token_id uuid, total bigint, tie_first uuid, at timestamptz)
returns table (party_id uuid, entitled_units bigint, amount_minor bigint, withheld_minor bigint, rate_ppm integer, form text, form_version text)
language sql stable security definer set search_path = ''
as $$
  with held as (
    select a.party_id, b.balance as units, sum(b.balance) over () as entitled
    from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
    where a.asset = 'token:' || distribution_parts.token_id and a.asset_kind = 'token' and a.purpose = 'held' and b.balance > 0
  ), exact as (
    select h.party_id, h.units, div(total * h.units::numeric, h.entitled)::bigint as whole, mod(total * h.units::numeric, h.entitled) as fraction
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
  ), given as (
    select r.party_id, r.units, r.whole + case when r.place <= r.left_over then 1 else 0 end as amount, p.residency_country, f.versions
    from ranked as r join public.parties as p on p.id = r.party_id left join forms as f on f.party_id = r.party_id
  ), countries as (
    select r.residency_country, r.versions, rate.rate_ppm, rate.form, rate.form_version
    from (select distinct g.residency_country, g.versions from given as g) as r
    left join lateral (
      select w.rate_ppm, w.form, case when w.needs_form then r.versions ->> w.form else w.form_version end as form_version
      from public.withholding_rates as w
      where w.source_country = (select p.country from public.properties as p join public.property_tokens as t on t.property_id = p.id
                                where t.id = distribution_parts.token_id)
        and (w.residency_country = r.residency_country or w.residency_country is null) and (not w.needs_form or r.versions ? w.form)
        and w.valid_from = (select max(x.valid_from) from public.withholding_rates as x where x.source_country = w.source_country
                            and x.residency_country is not distinct from w.residency_country and x.valid_from <= distribution_parts.at)
      order by w.residency_country is null, not w.needs_form limit 1) as rate on true
  )
  -- round() on numeric goes half away from zero, which is half up for amounts.
  select g.party_id, g.units, g.amount, round(g.amount::numeric * coalesce(c.rate_ppm, 0) / 1000000)::bigint,
         coalesce(c.rate_ppm, 0), coalesce(c.form, 'none'), coalesce(c.form_version, 'none')
  from given as g
  join countries as c on c.residency_country is not distinct from g.residency_country and c.versions is not distinct from g.versions
$$;
comment on function nexus.distribution_parts(uuid, bigint, uuid, timestamptz) is 'How a total is split over who holds a token now, by largest remainder, equal fractions served in the circle of parties from one on, and what of each part is tax. mint_core::allocation::split is the reference.';

create function nexus.write_distribution_lines(distribution_id uuid, tie_first uuid, at timestamptz) returns table (holders integer, withheld_minor bigint)
language plpgsql security definer set search_path = ''
as $$
declare
  d public.distributions;
begin
  select * into d from public.distributions as x where x.id = write_distribution_lines.distribution_id;
  insert into public.distribution_lines (distribution_id, party_id, entitled_units, amount_minor, withheld_minor, rate_ppm, form, form_version)
  select d.id, p.party_id, p.entitled_units, p.amount_minor, p.withheld_minor, p.rate_ppm, p.form, p.form_version
  from nexus.distribution_parts(d.property_token_id, d.declared_minor, write_distribution_lines.tie_first, at) as p order by p.party_id;
  -- A line is split over the lots of its holder in the same way.
  insert into public.property_returns (property_id, investment_id, user_id, return_type, currency, currency_decimals, amount_minor, return_date,
    distribution_line_id, lot_id, created_at)
  select d.property_id, r.investment_id, r.user_id, 'distribution', d.currency, d.currency_decimals,
         r.whole + case when r.place <= r.amount - r.given then 1 else 0 end, (at at time zone 'UTC')::date, r.line_id, r.lot_id, at
  from (
    select e.*, sum(e.whole) over (partition by e.line_id) as given,
           row_number() over (partition by e.line_id order by e.fraction desc, e.lot_id) as place
    from (
      select l.id as line_id, l.amount_minor as amount, t.id as lot_id, t.investment_id, t.user_id,
             div(l.amount_minor * t.units::numeric, l.entitled_units)::bigint as whole, mod(l.amount_minor * t.units::numeric, l.entitled_units) as fraction
      from public.distribution_lines as l
      join public.lots as t on t.party_id = l.party_id and t.property_token_id = d.property_token_id and t.units > 0
      where l.distribution_id = d.id
    ) as e
  ) as r;
  return query select count(*)::integer, coalesce(sum(l.withheld_minor), 0)::bigint from public.distribution_lines as l where l.distribution_id = d.id;
end
$$;
comment on function nexus.write_distribution_lines(uuid, uuid, timestamptz) is 'Writes all lines of a distribution and their split over lots, in one statement each. The caller holds the token''s lock.';

create function nexus.post_distribution(distribution_id uuid, day date, actor_id uuid, at timestamptz) returns bigint
language plpgsql security definer set search_path = ''
as $$
declare
  -- An entry's lines are counted in 16 bits, and two of them are the property's.
  chunk_lines constant integer := 30000;
  d public.distributions;
  chunk record;
  accounts bigint[];
  due bigint;
begin
  select * into d from public.distributions as x where x.id = post_distribution.distribution_id;
  for chunk in
    select c.number, array_agg(c.party_id order by c.party_id) filter (where c.net > 0) as parties,
           array_agg(c.net order by c.party_id) filter (where c.net > 0) as nets, sum(c.withheld_minor)::bigint as withheld, sum(c.amount_minor)::bigint as amount
    from (
      select l.party_id, l.amount_minor, l.withheld_minor, l.amount_minor - l.withheld_minor as net,
             (row_number() over (order by l.party_id) - 1) / chunk_lines as number
      from public.distribution_lines as l where l.distribution_id = d.id and l.amount_minor > 0
    ) as c group by c.number order by c.number
  loop
    accounts := ledger.open_accounts(
      array['payable_to_investors', 'withheld'] || array_fill('payable'::text, array[coalesce(cardinality(chunk.parties), 0)]),
      array_fill(d.currency, array[2 + coalesce(cardinality(chunk.parties), 0)]),
      array[d.property_id, d.property_id] || array_fill(null::uuid, array[coalesce(cardinality(chunk.parties), 0)]),
      array[null, null]::uuid[] || coalesce(chunk.parties, '{}'));
    if chunk.withheld = 0 then
      accounts := accounts[1:1] || accounts[3:];
    end if;
    perform ledger.post('distribution:' || d.id || ':allocated:' || chunk.number, 'distribution.allocated', day, post_distribution.actor_id,
      jsonb_build_object('distribution_id', d.id, 'part', chunk.number), accounts,
      array[-chunk.amount] || case when chunk.withheld = 0 then '{}' else array[chunk.withheld] end || coalesce(chunk.nets, '{}'));
  end loop;
  insert into public.payouts (id, rail_key, line_id, party_id, property_id, currency, currency_decimals, amount_minor, due_at, created_at)
  select gen_random_uuid(), gen_random_uuid(), l.id, l.party_id, d.property_id, d.currency, d.currency_decimals, l.amount_minor - l.withheld_minor, at, at
  from public.distribution_lines as l where l.distribution_id = d.id and l.amount_minor > l.withheld_minor;
  get diagnostics due = row_count;
  update public.distribution_lines as l set status = case when l.amount_minor > l.withheld_minor then 'payable' else 'paid' end
  where l.distribution_id = d.id;
  update public.property_returns as r set status = case when l.amount_minor > l.withheld_minor then 'payable' when l.amount_minor > 0 then 'withheld' else 'paid' end
  from public.distribution_lines as l where l.distribution_id = d.id and r.distribution_line_id = l.id;
  return due;
end
$$;
comment on function nexus.post_distribution(uuid, date, uuid, timestamptz) is 'Credits every holder of a declared distribution with his line less tax, in entries of at most 30,002 lines, and makes the payouts due; answers how many. The caller holds the distribution''s row.';

grant execute on function nexus.distribution_parts(uuid, bigint, uuid, timestamptz), nexus.write_distribution_lines(uuid, uuid, timestamptz),
  nexus.post_distribution(uuid, date, uuid, timestamptz) to nexus_engine;

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
