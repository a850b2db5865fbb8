-- Transfers: what a holder and a receiver agree on, approved by a third person; the case file of tokens that move between
-- parties. Carries value: only commands write it. Money of a sale is settled by the two between themselves.
set role nexus_owner;

create table public.transfers (
  id                uuid primary key,
  property_id       uuid not null,
  property_token_id uuid not null,
  kind              text not null,
  token_decimals    smallint not null,
  units             bigint not null,
  token_amount      numeric generated always as (nexus.from_minor(units, token_decimals)) stored,
  currency          text not null,
  currency_decimals smallint not null,
  price_minor       bigint not null,
  price             numeric generated always as (nexus.from_minor(price_minor, currency_decimals)) stored,
  reason            text not null,
  from_party_id     uuid not null,
  from_user_id      uuid not null,
  to_party_id       uuid not null,
  to_user_id        uuid not null,
  status            text not null default 'requested',
  due_at            timestamptz not null,
  accepted_at       timestamptz,
  accepted_by       uuid,
  decided_by        uuid,
  decision_reason   text,
  ended_at          timestamptz,
  entry_id          bigint,
  moved_at          timestamptz,
  created_at        timestamptz not null,
  updated_at        timestamptz not null default now(),
  constraint transfers_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint transfers_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint transfers_from_party_id_fkey foreign key (from_party_id) references public.parties (id) on delete restrict,
  constraint transfers_to_party_id_fkey foreign key (to_party_id) references public.parties (id) on delete restrict,
  constraint transfers_entry_id_fkey foreign key (entry_id) references ledger.entries (id) on delete restrict,
  constraint transfers_one_an_entry unique (entry_id),
  constraint transfers_kind_is_known check (kind in ('sale', 'gift', 'own_wallet')),
  constraint transfers_status_is_known check (status in ('requested', 'accepted', 'completed', 'declined', 'rejected', 'cancelled', 'expired')),
  constraint transfers_units_are_exact check (units between 1 and 9007199254740991),
  constraint transfers_price_is_of_a_sale check ((kind = 'sale') = (price_minor > 0) and price_minor between 0 and 9007199254740991),
  constraint transfers_reasons_are_bounded check (reason ~ '\S' and length(reason) <= 2000 and decision_reason ~ '\S' and length(decision_reason) <= 2000),
  constraint transfers_to_another_party check (from_party_id <> to_party_id),
  constraint transfers_open_has_not_ended check ((status in ('requested', 'accepted')) = (ended_at is null)),
  constraint transfers_accepted_says_who check ((accepted_at is null) = (accepted_by is null) and (accepted_at is not null or status not in ('accepted', 'completed', 'rejected'))),
  constraint transfers_decided_says_who check ((status in ('completed', 'rejected')) = (decided_by is not null) and (status <> 'rejected' or decision_reason is not null)),
  constraint transfers_decided_by_a_third check (decided_by not in (from_user_id, to_user_id)),
  constraint transfers_completed_moved check ((status = 'completed') = (entry_id is not null) and (entry_id is null) = (moved_at is null))
);
comment on table public.transfers is 'Tokens that one holder gives or sells to another: asked for by the holder, agreed to by the receiver, approved by a third person; then they move. What is open is promised and cannot be promised again. No money passes through the platform.';
comment on column public.transfers.id is 'Identity of the transfer.';
comment on column public.transfers.property_id is 'The property.';
comment on column public.transfers.property_token_id is 'The token.';
comment on column public.transfers.kind is 'sale, gift, or own_wallet (to another party of the same owner): what becomes of cost and tax date.';
comment on column public.transfers.token_decimals is 'Decimals of the token.';
comment on column public.transfers.units is 'Tokens, in smallest units.';
comment on column public.transfers.token_amount is 'Tokens.';
comment on column public.transfers.currency is 'Currency of the price: the token''s.';
comment on column public.transfers.currency_decimals is 'Decimals of that currency.';
comment on column public.transfers.price_minor is 'What the receiver pays the holder for all of them, outside of the platform, as both say, in smallest units; 0 where nothing is sold.';
comment on column public.transfers.price is 'What the receiver pays the holder for all of them, as both say.';
comment on column public.transfers.reason is 'Why, as the holder says.';
comment on column public.transfers.from_party_id is 'The party that holds them.';
comment on column public.transfers.from_user_id is 'The login that asked.';
comment on column public.transfers.to_party_id is 'The party that gets them.';
comment on column public.transfers.to_user_id is 'The login of it that gets the lots.';
comment on column public.transfers.status is 'requested, accepted, completed, declined, rejected, cancelled or expired; docs/STATES.md.';
comment on column public.transfers.due_at is 'At this instant it expires, unless the next step is done before.';
comment on column public.transfers.accepted_at is 'When the receiver agreed.';
comment on column public.transfers.accepted_by is 'The login that agreed.';
comment on column public.transfers.decided_by is 'The overseer of a third party who approved or rejected it.';
comment on column public.transfers.decision_reason is 'Why, as the overseer says; of another party of the same owner, what shows that.';
comment on column public.transfers.ended_at is 'When it came to an end.';
comment on column public.transfers.entry_id is 'The ledger entry that moved the tokens.';
comment on column public.transfers.moved_at is 'From this instant on the register has it.';
comment on column public.transfers.created_at is 'When it was asked for.';
comment on column public.transfers.updated_at is 'When the row last changed.';
create index transfers_from_party_id_idx on public.transfers (from_party_id, property_token_id);
create index transfers_from_user_id_idx on public.transfers (from_user_id);
create index transfers_to_party_id_idx on public.transfers (to_party_id);
create index transfers_to_user_id_idx on public.transfers (to_user_id);
create index transfers_property_token_id_idx on public.transfers (property_token_id, property_id);
create index transfers_currency_idx on public.transfers (currency, currency_decimals);
create index transfers_accepted_by_idx on public.transfers (accepted_by);
create index transfers_decided_by_idx on public.transfers (decided_by);
create index transfers_due_idx on public.transfers (due_at) where status in ('requested', 'accepted');
create trigger transfers_updated_at before update on public.transfers
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.transfers');

alter table public.transfers enable row level security;
grant select on public.transfers to authenticated, service_role, nexus_engine;
grant insert, update on public.transfers to nexus_engine;
create policy transfers_read_own on public.transfers for select to authenticated
  using (from_party_id = (select nexus.party_id()) or to_party_id = (select nexus.party_id()));
create policy transfers_read_staff on public.transfers for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy transfers_engine on public.transfers for all to nexus_engine using (true) with check (true);

reset role;

alter table public.transfers add constraint transfers_from_user_id_fkey
  foreign key (from_user_id) references auth.users (id) on delete restrict;
alter table public.transfers add constraint transfers_to_user_id_fkey
  foreign key (to_user_id) references auth.users (id) on delete restrict;
alter table public.transfers add constraint transfers_accepted_by_fkey
  foreign key (accepted_by) references auth.users (id) on delete restrict;
alter table public.transfers add constraint transfers_decided_by_fkey
  foreign key (decided_by) references auth.users (id) on delete restrict;
