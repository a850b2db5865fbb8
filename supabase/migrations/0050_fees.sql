-- Fees: a dated schedule, and the one function that computes a fee.
set role nexus_owner;

create table public.fee_schedules (
  id                uuid primary key default gen_random_uuid(),
  fee_type          text not null,
  currency          text not null default 'USD',
  currency_decimals smallint not null default 2,
  rate_ppm          integer not null,
  fixed_minor       bigint not null default 0,
  minimum_minor     bigint not null default 0,
  maximum_minor     bigint,
  valid_from        timestamptz not null,
  note              text,
  created_at        timestamptz not null default now(),
  constraint fee_schedules_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint fee_schedules_fee_type_is_a_word check (fee_type ~ '^[a-z][a-z0-9_]{0,49}$'),
  constraint fee_schedules_rate_is_a_part check (rate_ppm between 0 and 1000000),
  constraint fee_schedules_fixed_is_an_amount check (fixed_minor between 0 and 9007199254740991),
  constraint fee_schedules_minimum_is_an_amount check (minimum_minor between 0 and 9007199254740991),
  constraint fee_schedules_maximum_not_below_minimum check (maximum_minor between minimum_minor and 9007199254740991),
  constraint fee_schedules_note_is_short check (length(note) <= 1000),
  constraint fee_schedules_not_backdated check (valid_from >= created_at),
  constraint fee_schedules_one_at_an_instant unique (fee_type, currency, valid_from)
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
create index fee_schedules_currency_idx on public.fee_schedules (currency, currency_decimals);

create function nexus.fee_minor(amount_minor bigint, fee_type text, currency text, at timestamptz) returns bigint
language plpgsql stable security definer set search_path = ''
as $$
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
$$;
comment on function nexus.fee_minor(bigint, text, text, timestamptz) is 'The fee on an amount, in smallest units: round half up of rate x amount, plus the fixed part, then at least the minimum and at most the maximum, by the schedule in force at an instant.';

create function public.calculate_investment_fees(amount numeric, fee_type text) returns numeric
language plpgsql stable strict security definer set search_path = ''
as $$
begin
  if not nexus.is_money(calculate_investment_fees.amount, 2) then
    raise exception 'amount % is not an amount in USD: give 0 or more with at most 2 decimals', calculate_investment_fees.amount
      using errcode = 'invalid_parameter_value';
  end if;
  return nexus.from_minor(
    nexus.fee_minor(nexus.to_minor(calculate_investment_fees.amount, 2), calculate_investment_fees.fee_type, 'USD', now()), 2);
end
$$;
comment on function public.calculate_investment_fees(numeric, text) is 'The fee on an amount in USD by the schedule in force now, exact to the cent. fee_type as in fee_schedules, such as platform.';

grant execute on function public.calculate_investment_fees(numeric, text) to anon, authenticated, service_role, nexus_engine;
grant execute on function nexus.fee_minor(bigint, text, text, timestamptz) to nexus_engine;

create trigger fee_schedules_are_append_only before update or delete or truncate on public.fee_schedules
  for each statement execute function nexus.refuse_change();

alter table public.fee_schedules enable row level security;
grant select on public.fee_schedules to anon, authenticated, service_role, nexus_engine;
-- Not created_at: who may say when a schedule was recorded could backdate it.
grant insert (fee_type, currency, currency_decimals, rate_ppm, fixed_minor, minimum_minor, maximum_minor, valid_from, note)
  on public.fee_schedules to nexus_engine;
create policy fee_schedules_read_all on public.fee_schedules for select to anon, authenticated using (true);
create policy fee_schedules_engine on public.fee_schedules for all to nexus_engine using (true) with check (true);

select nexus.audit_table('public.fee_schedules');

insert into public.fee_schedules (fee_type, currency, currency_decimals, rate_ppm, valid_from, created_at, note) values
  ('platform',      'USD', 2, 20000, '2000-01-01T00:00:00Z', '2000-01-01T00:00:00Z', 'Default: 2 % of an investment''s principal, on top of it.'),
  ('rent_manager',  'USD', 2, 80000, '2000-01-01T00:00:00Z', '2000-01-01T00:00:00Z', 'Default: 8 % of gross rent.'),
  ('rent_platform', 'USD', 2, 20000, '2000-01-01T00:00:00Z', '2000-01-01T00:00:00Z', 'Default: 2 % of gross rent.');

reset role;
