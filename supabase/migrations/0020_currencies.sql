-- Currencies that amounts are in.
set role nexus_owner;

create table public.currencies (
  code     text primary key,
  name     text not null,
  decimals smallint not null,
  constraint currencies_code_is_upper_case check (code ~ '^[A-Z]{3,5}$'),
  constraint currencies_name_is_not_blank check (name ~ '\S' and length(name) <= 100),
  constraint currencies_decimals_fit_a_bigint check (decimals between 0 and 6),
  -- What rows with an amount refer to, so that the decimals on the row are the currency's own.
  constraint currencies_code_decimals_key unique (code, decimals)
);
comment on table public.currencies is 'Currencies that prices, payments and rents can be in. One is never taken for another: USDC is not USD.';
comment on column public.currencies.code is 'ISO 4217 code, or the ticker of a stablecoin.';
comment on column public.currencies.name is 'Name in English.';
comment on column public.currencies.decimals is 'Digits after the point of the smallest unit: 2 for USD, 3 for KWD, 0 for JPY, 6 for USDC. Never changed once used.';

alter table public.currencies enable row level security;
grant select on public.currencies to anon, authenticated, service_role, nexus_engine;
grant insert on public.currencies to service_role;
create policy currencies_read_all on public.currencies for select to anon, authenticated, nexus_engine using (true);

insert into public.currencies (code, name, decimals) values
  ('USD', 'United States dollar', 2),
  ('EUR', 'Euro', 2),
  ('GBP', 'Pound sterling', 2),
  ('AED', 'United Arab Emirates dirham', 2),
  ('KWD', 'Kuwaiti dinar', 3),
  ('JPY', 'Japanese yen', 0),
  ('USDC', 'USD Coin', 6);

reset role;
