-- Tokens that others issued for a building: history, kept apart from tokens of ours so that nobody mistakes one for the other.
set role nexus_owner;

create table public.foreign_tokens (
  id                             uuid primary key default gen_random_uuid(),
  property_id                    uuid not null,
  name                           text not null,
  symbol                         text not null,
  chain_id                       bigint not null,
  contract_address               text not null,
  bridged_chain_id               bigint,
  bridged_address                text,
  supply                         bigint not null,
  currency                       text not null default 'USD',
  currency_decimals              smallint not null default 2,
  token_price_minor              bigint not null,
  token_price                    numeric generated always as (nexus.from_minor(token_price_minor, currency_decimals)) stored,
  total_value_minor              bigint generated always as (supply * token_price_minor) stored,
  total_value                    numeric generated always as (nexus.from_minor(supply * token_price_minor, currency_decimals)) stored,
  net_rent_year_minor            bigint not null,
  net_rent_year                  numeric generated always as (nexus.from_minor(net_rent_year_minor, currency_decimals)) stored,
  stated_net_rent_year_per_token numeric not null,
  stated_apr_percent             numeric not null,
  venues                         integer not null,
  is_migrated                    boolean not null,
  snapshot_on                    date not null,
  source                         text not null,
  created_at                     timestamptz not null default now(),
  updated_at                     timestamptz not null default now(),
  constraint foreign_tokens_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint foreign_tokens_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint foreign_tokens_name_is_bounded check (name ~ '\S' and length(name) <= 200),
  constraint foreign_tokens_symbol_is_bounded check (symbol ~ '\S' and length(symbol) <= 100),
  constraint foreign_tokens_addresses_are_evm check (contract_address ~ '^0x[0-9a-fA-F]{40}$' and bridged_address ~ '^0x[0-9a-fA-F]{40}$'),
  constraint foreign_tokens_chains_differ check (chain_id > 0 and bridged_chain_id > 0 and bridged_chain_id <> chain_id),
  constraint foreign_tokens_bridged_address_has_a_chain check (num_nulls(bridged_chain_id, bridged_address) in (0, 2)),
  constraint foreign_tokens_supply_is_an_amount check (supply between 1 and 9007199254740991),
  constraint foreign_tokens_price_is_an_amount check (token_price_minor between 0 and 9007199254740991),
  constraint foreign_tokens_value_is_an_amount check (supply::numeric * token_price_minor <= 9007199254740991),
  constraint foreign_tokens_rent_is_an_amount check (net_rent_year_minor between 0 and 9007199254740991),
  constraint foreign_tokens_stated_rates_are_numbers check (stated_net_rent_year_per_token between 0 and 1000000000
    and stated_apr_percent between 0 and 1000000),
  constraint foreign_tokens_venues_not_negative check (venues >= 0),
  constraint foreign_tokens_source_is_said check (source ~ '\S' and length(source) <= 500)
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
create unique index foreign_tokens_contract_address_key on public.foreign_tokens (chain_id, lower(contract_address));
create unique index foreign_tokens_bridged_address_key on public.foreign_tokens (bridged_chain_id, lower(bridged_address));
create index foreign_tokens_property_id_idx on public.foreign_tokens (property_id);
create index foreign_tokens_currency_idx on public.foreign_tokens (currency, currency_decimals);

create trigger foreign_tokens_updated_at before update on public.foreign_tokens
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.foreign_tokens');

alter table public.foreign_tokens enable row level security;
grant select on public.foreign_tokens to anon, authenticated, service_role, nexus_engine;
grant insert, update on public.foreign_tokens to nexus_engine;
create policy foreign_tokens_read_all on public.foreign_tokens for select to anon, authenticated using (true);
create policy foreign_tokens_engine on public.foreign_tokens for all to nexus_engine using (true) with check (true);

reset role;
