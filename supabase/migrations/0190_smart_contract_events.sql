-- Events read from a chain. Written by the chain job only.
set role nexus_owner;

create table public.smart_contract_events (
  id               uuid primary key default gen_random_uuid(),
  chain_id         bigint not null,
  contract_address text not null,
  event_name       text not null,
  event_data       jsonb not null default '{}',
  transaction_hash text not null,
  block_hash       text not null,
  block_number     bigint not null,
  log_index        integer not null,
  processed        boolean not null default false,
  created_at       timestamptz not null default now(),
  constraint smart_contract_events_address_is_evm check (contract_address ~ '^0x[0-9a-fA-F]{40}$'),
  constraint smart_contract_events_hashes_are_evm check (transaction_hash ~ '^0x[0-9a-f]{64}$' and block_hash ~ '^0x[0-9a-f]{64}$'),
  constraint smart_contract_events_name_is_bounded check (length(event_name) between 1 and 200),
  constraint smart_contract_events_data_is_an_object check (jsonb_typeof(event_data) = 'object'),
  constraint smart_contract_events_place_not_negative check (block_number >= 0 and log_index >= 0),
  constraint smart_contract_events_once_a_log unique (chain_id, block_hash, log_index)
);
comment on table public.smart_contract_events is 'Events of our contracts as a chain gave them; a block that was left behind keeps its own rows.';
comment on column public.smart_contract_events.id is 'Identity of the row.';
comment on column public.smart_contract_events.chain_id is 'EVM chain.';
comment on column public.smart_contract_events.contract_address is 'The contract that emitted it.';
comment on column public.smart_contract_events.event_name is 'Name of the event.';
comment on column public.smart_contract_events.event_data is 'Its arguments, decoded.';
comment on column public.smart_contract_events.transaction_hash is 'Transaction that caused it.';
comment on column public.smart_contract_events.block_hash is 'Block that holds it.';
comment on column public.smart_contract_events.block_number is 'Number of that block.';
comment on column public.smart_contract_events.log_index is 'Its place in the block.';
comment on column public.smart_contract_events.processed is 'Whether the platform has acted on it.';
comment on column public.smart_contract_events.created_at is 'When it was read.';
create index smart_contract_events_contract_idx on public.smart_contract_events (contract_address, block_number);
create index smart_contract_events_unprocessed_idx on public.smart_contract_events (block_number, log_index) where not processed;

alter table public.smart_contract_events enable row level security;
grant select on public.smart_contract_events to nexus_staff, service_role, nexus_engine;
grant insert, update on public.smart_contract_events to nexus_engine;
create policy smart_contract_events_read_staff on public.smart_contract_events for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy smart_contract_events_engine on public.smart_contract_events for all to nexus_engine using (true) with check (true);

reset role;
