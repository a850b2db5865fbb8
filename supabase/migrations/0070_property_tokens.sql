-- Property tokens: the share class of a property. Carries value: only commands write it.
set role nexus_owner;

create table public.property_tokens (
  id                     uuid primary key default gen_random_uuid(),
  property_id            uuid not null,
  name                   text,
  symbol                 text,
  token_decimals         smallint not null default 0,
  total_supply_units     bigint not null,
  total_supply           numeric generated always as (nexus.from_minor(total_supply_units, token_decimals)) stored,
  available_supply_units bigint not null,
  available_supply       numeric generated always as (nexus.from_minor(available_supply_units, token_decimals)) stored,
  currency               text not null default 'USD',
  currency_decimals      smallint not null default 2,
  initial_price_minor    bigint not null,
  initial_price          numeric generated always as (nexus.from_minor(initial_price_minor, currency_decimals)) stored,
  current_price_minor    bigint not null,
  current_price          numeric generated always as (nexus.from_minor(current_price_minor, currency_decimals)) stored,
  status                 text not null default 'draft',
  settlement             text not null default 'register',
  chain_id               bigint,
  contract_address       text,
  token_address          text,
  created_at             timestamptz not null default now(),
  updated_at             timestamptz not null default now(),
  constraint property_tokens_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint property_tokens_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint property_tokens_name_is_bounded check (name ~ '\S' and length(name) <= 200),
  constraint property_tokens_symbol_is_bounded check (symbol ~ '^[A-Za-z0-9._-]{1,64}$'),
  constraint property_tokens_decimals_fit_a_bigint check (token_decimals between 0 and 6),
  constraint property_tokens_total_supply_is_exact check (total_supply_units between 1 and 9007199254740991),
  constraint property_tokens_available_within_total check (available_supply_units between 0 and total_supply_units),
  constraint property_tokens_initial_price_is_an_amount check (initial_price_minor between 1 and 9007199254740991),
  constraint property_tokens_current_price_is_an_amount check (current_price_minor between 1 and 9007199254740991),
  constraint property_tokens_status_is_known check (status in ('draft', 'active', 'launched')),
  constraint property_tokens_settlement_is_known check (settlement in ('register', 'chain')),
  constraint property_tokens_addresses_are_evm check (contract_address ~ '^0x[0-9a-fA-F]{40}$' and token_address ~ '^0x[0-9a-fA-F]{40}$'),
  constraint property_tokens_address_has_a_chain check (num_nulls(chain_id, contract_address, token_address) in (0, 3)),
  -- What investments refer to, so that an investment's token is of its property.
  constraint property_tokens_id_property_id_key unique (id, property_id)
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
comment on column public.property_tokens.status is 'draft (being set up), active (configured) or launched (on sale or sold).';
comment on column public.property_tokens.settlement is 'register: the register alone says who holds; chain: a contract mirrors it.';
comment on column public.property_tokens.chain_id is 'EVM chain of the addresses; null while settled in the register alone.';
comment on column public.property_tokens.contract_address is 'The contract that governs the token, as the chain gave it.';
comment on column public.property_tokens.token_address is 'The contract that wallets see; equal to contract_address where one contract is both.';
comment on column public.property_tokens.created_at is 'When the row was made.';
comment on column public.property_tokens.updated_at is 'When the row last changed.';
create index property_tokens_property_id_idx on public.property_tokens (property_id);
create index property_tokens_currency_idx on public.property_tokens (currency, currency_decimals);
create unique index property_tokens_contract_address_key on public.property_tokens (chain_id, lower(contract_address));
create unique index property_tokens_token_address_key on public.property_tokens (chain_id, lower(token_address));

create trigger property_tokens_updated_at before update on public.property_tokens
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.property_tokens');

alter table public.property_tokens enable row level security;
grant select on public.property_tokens to anon, authenticated, service_role, nexus_engine;
grant insert, update on public.property_tokens to nexus_engine;
-- Whoever may see the property may see its token, once that is more than a draft.
create policy property_tokens_read_of_visible_property on public.property_tokens for select to anon, authenticated
  using (status <> 'draft' and exists (select from public.properties as p where p.id = property_id));
create policy property_tokens_read_staff on public.property_tokens for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy property_tokens_engine on public.property_tokens for all to nexus_engine using (true) with check (true);

reset role;
