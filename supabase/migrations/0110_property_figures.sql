-- What a property earns and is worth: recorded periods (performance) and what is derived from them (analytics).
set role nexus_owner;

create table public.property_performance (
  id                      uuid primary key default gen_random_uuid(),
  property_id             uuid not null,
  report_date             date not null,
  period_from             date,
  currency                text not null default 'USD',
  currency_decimals       smallint not null default 2,
  valuation_minor         bigint,
  valuation               numeric generated always as (nexus.from_minor(valuation_minor, currency_decimals)) stored,
  rental_income_minor     bigint not null default 0,
  rental_income           numeric generated always as (nexus.from_minor(rental_income_minor, currency_decimals)) stored,
  maintenance_costs_minor bigint not null default 0,
  maintenance_costs       numeric generated always as (nexus.from_minor(maintenance_costs_minor, currency_decimals)) stored,
  net_operating_income_minor bigint,
  net_operating_income    numeric generated always as (nexus.from_minor(net_operating_income_minor, currency_decimals)) stored,
  let_days                integer,
  occupancy_rate          numeric,
  market_performance      numeric,
  roi_percentage          numeric,
  created_at              timestamptz not null default now(),
  updated_at              timestamptz not null default now(),
  constraint property_performance_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint property_performance_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint property_performance_once_a_day unique (property_id, report_date),
  constraint property_performance_valuation_is_an_amount check (valuation_minor between 0 and 9007199254740991),
  constraint property_performance_rent_is_an_amount check (rental_income_minor between 0 and 9007199254740991),
  constraint property_performance_costs_are_an_amount check (maintenance_costs_minor between 0 and 9007199254740991),
  constraint property_performance_occupancy_is_a_percentage check (occupancy_rate between 0 and 100),
  constraint property_performance_net_is_exact check (abs(net_operating_income_minor) <= 9007199254740991),
  constraint property_performance_period_is_forward check (period_from <= report_date),
  constraint property_performance_let_within_the_period check (let_days between 0 and report_date - period_from + 1),
  constraint property_performance_rates_are_numbers check (abs(market_performance) < 1000000 and abs(roi_percentage) < 1000000)
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
create index property_performance_currency_idx on public.property_performance (currency, currency_decimals);

create table public.property_analytics (
  id                            uuid primary key default gen_random_uuid(),
  property_id                   uuid not null,
  report_date                   date not null,
  currency                      text not null default 'USD',
  currency_decimals             smallint not null default 2,
  rental_income_minor           bigint,
  rental_income                 numeric generated always as (nexus.from_minor(rental_income_minor, currency_decimals)) stored,
  net_operating_income_minor    bigint,
  net_operating_income          numeric generated always as (nexus.from_minor(net_operating_income_minor, currency_decimals)) stored,
  occupancy_rate                numeric,
  market_value_minor            bigint,
  market_value                  numeric generated always as (nexus.from_minor(market_value_minor, currency_decimals)) stored,
  market_value_on               date,
  rental_yield                  numeric,
  cap_rate                      numeric,
  appreciation_rate             numeric,
  token_yield                   numeric,
  total_invested_minor          bigint,
  total_invested                numeric generated always as (nexus.from_minor(total_invested_minor, currency_decimals)) stored,
  number_of_investors           integer,
  funding_percentage            numeric,
  average_investment_size_minor bigint,
  average_investment_size       numeric generated always as (nexus.from_minor(average_investment_size_minor, currency_decimals)) stored,
  as_of                         timestamptz not null,
  created_at                    timestamptz not null default now(),
  updated_at                    timestamptz not null default now(),
  constraint property_analytics_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint property_analytics_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint property_analytics_once_a_day unique (property_id, report_date),
  constraint property_analytics_amounts_are_exact check (market_value_minor between 0 and 9007199254740991
    and rental_income_minor between 0 and 9007199254740991 and abs(net_operating_income_minor) <= 9007199254740991
    and total_invested_minor between 0 and 9007199254740991 and average_investment_size_minor between 0 and 9007199254740991),
  constraint property_analytics_investors_not_negative check (number_of_investors >= 0),
  constraint property_analytics_no_average_of_few check (coalesce(number_of_investors, 0) >= 3 or average_investment_size_minor is null),
  constraint property_analytics_rates_are_numbers check (abs(rental_yield) < 1000000 and abs(cap_rate) < 1000000
    and abs(appreciation_rate) < 1000000 and abs(token_yield) < 1000000 and occupancy_rate between 0 and 100 and funding_percentage between 0 and 1000000)
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
create index property_analytics_currency_idx on public.property_analytics (currency, currency_decimals);

create trigger property_performance_updated_at before update on public.property_performance
  for each row execute function public.update_updated_at_column();
create trigger property_analytics_updated_at before update on public.property_analytics
  for each row execute function public.update_updated_at_column();
-- Analytics are derived and can be computed again; what they are derived from is audited.
select nexus.audit_table('public.property_performance');

alter table public.property_performance enable row level security;
grant select on public.property_performance to anon, authenticated, service_role, nexus_engine;
grant insert, update on public.property_performance to nexus_engine;
create policy property_performance_read_of_visible_property on public.property_performance for select to anon, authenticated
  using (exists (select from public.properties as p where p.id = property_id));
create policy property_performance_engine on public.property_performance for all to nexus_engine using (true) with check (true);

alter table public.property_analytics enable row level security;
grant select on public.property_analytics to anon, authenticated, service_role, nexus_engine;
grant insert, update, delete on public.property_analytics to nexus_engine;
create policy property_analytics_read_of_visible_property on public.property_analytics for select to anon, authenticated
  using (exists (select from public.properties as p where p.id = property_id));
create policy property_analytics_engine on public.property_analytics for all to nexus_engine using (true) with check (true);

reset role;
