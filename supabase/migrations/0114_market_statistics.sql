-- Published figures of a market by month, area and kind of property. They describe no property of ours.
set role nexus_owner;

create table public.market_statistics (
  id                    uuid primary key default gen_random_uuid(),
  market                text not null,
  month                 date not null,
  area                  text not null,
  property_type         text not null,
  transactions          bigint not null,
  currency              text not null,
  currency_decimals     smallint not null,
  median_price_minor    bigint not null,
  median_price          numeric generated always as (nexus.from_minor(median_price_minor, currency_decimals)) stored,
  median_per_sqft_minor bigint not null,
  median_per_sqft       numeric generated always as (nexus.from_minor(median_per_sqft_minor, currency_decimals)) stored,
  offplan_share         numeric not null,
  ready_share           numeric not null,
  source                text not null,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  constraint market_statistics_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint market_statistics_month_is_its_first_day check (extract(day from month) = 1),
  constraint market_statistics_place_is_said check (least(length(market), length(area), length(property_type)) > 0
    and greatest(length(market), length(area), length(property_type)) <= 200),
  constraint market_statistics_transactions_happened check (transactions between 1 and 9007199254740991),
  constraint market_statistics_medians_are_amounts check (median_price_minor between 0 and 9007199254740991
    and median_per_sqft_minor between 0 and 9007199254740991),
  constraint market_statistics_shares_are_parts check (offplan_share between 0 and 1 and ready_share between 0 and 1),
  constraint market_statistics_source_is_said check (source ~ '\S' and length(source) <= 500),
  constraint market_statistics_once_a_month unique (market, month, area, property_type)
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
create index market_statistics_currency_idx on public.market_statistics (currency, currency_decimals);
create index market_statistics_area_idx on public.market_statistics (market, area, month desc);

create trigger market_statistics_updated_at before update on public.market_statistics
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.market_statistics');

alter table public.market_statistics enable row level security;
grant select on public.market_statistics to anon, authenticated, service_role, nexus_engine;
grant insert, update on public.market_statistics to nexus_engine;
create policy market_statistics_read_all on public.market_statistics for select to anon, authenticated using (true);
create policy market_statistics_engine on public.market_statistics for all to nexus_engine using (true) with check (true);

reset role;
