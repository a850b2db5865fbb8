-- Disposals: what went out of lots, piece by piece, and where it went. Carries value: only commands write it, and nobody
-- changes it. A lot is what it began as less its disposals, in tokens and in cost.
set role nexus_owner;

create table public.lot_disposals (
  id                uuid primary key,
  from_lot_id       uuid not null,
  to_lot_id         uuid,
  party_id          uuid not null,
  user_id           uuid not null,
  property_id       uuid not null,
  property_token_id uuid not null,
  kind              text not null,
  token_decimals    smallint not null,
  units             bigint not null,
  token_amount      numeric generated always as (nexus.from_minor(units, token_decimals)) stored,
  currency          text not null,
  currency_decimals smallint not null,
  cost_minor        bigint not null,
  cost              numeric generated always as (nexus.from_minor(cost_minor, currency_decimals)) stored,
  proceeds_minor    bigint not null default 0,
  proceeds          numeric generated always as (nexus.from_minor(proceeds_minor, currency_decimals)) stored,
  moved_at          timestamptz not null,
  entry_id          bigint not null,
  created_at        timestamptz not null,
  constraint lot_disposals_from_lot_id_fkey foreign key (from_lot_id) references public.lots (id) on delete restrict,
  constraint lot_disposals_to_lot_id_fkey foreign key (to_lot_id) references public.lots (id) on delete restrict,
  constraint lot_disposals_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint lot_disposals_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint lot_disposals_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint lot_disposals_entry_id_fkey foreign key (entry_id) references ledger.entries (id) on delete restrict,
  constraint lot_disposals_once_a_lot_and_entry unique (from_lot_id, entry_id),
  constraint lot_disposals_one_a_new_lot unique (to_lot_id),
  constraint lot_disposals_kind_is_known check (kind in ('sale', 'gift', 'own_wallet', 'recovery', 'forced', 'redemption')),
  constraint lot_disposals_burned_is_redeemed check ((to_lot_id is null) = (kind = 'redemption')),
  constraint lot_disposals_not_to_itself check (to_lot_id <> from_lot_id),
  constraint lot_disposals_units_are_exact check (units between 1 and 9007199254740991),
  constraint lot_disposals_amounts_are_exact check (least(cost_minor, proceeds_minor) >= 0 and greatest(cost_minor, proceeds_minor) <= 9007199254740991),
  constraint lot_disposals_paid_where_sold check (proceeds_minor = 0 or kind in ('sale', 'redemption'))
);
comment on table public.lot_disposals is 'What went out of a lot, one row a piece, never changed. The units and the cost of a lot are those with which it began less its disposals.';
comment on column public.lot_disposals.id is 'Identity of the disposal.';
comment on column public.lot_disposals.from_lot_id is 'The lot that it went out of.';
comment on column public.lot_disposals.to_lot_id is 'The lot that it became; null: redeemed and burned.';
comment on column public.lot_disposals.party_id is 'Whose it was.';
comment on column public.lot_disposals.user_id is 'The login of the lot that it went out of.';
comment on column public.lot_disposals.property_id is 'The property.';
comment on column public.lot_disposals.property_token_id is 'The token.';
comment on column public.lot_disposals.kind is 'sale, gift, own_wallet, recovery, forced or redemption: what becomes of cost and tax date.';
comment on column public.lot_disposals.token_decimals is 'Decimals of the token.';
comment on column public.lot_disposals.units is 'Tokens, in smallest units.';
comment on column public.lot_disposals.token_amount is 'Tokens.';
comment on column public.lot_disposals.currency is 'Currency of cost and proceeds: the lot''s.';
comment on column public.lot_disposals.currency_decimals is 'Decimals of that currency.';
comment on column public.lot_disposals.cost_minor is 'What of the lot''s cost went with it, in smallest units.';
comment on column public.lot_disposals.cost is 'What of the lot''s cost went with it.';
comment on column public.lot_disposals.proceeds_minor is 'What was paid for it, in smallest units; 0 where nothing was.';
comment on column public.lot_disposals.proceeds is 'What was paid for it.';
comment on column public.lot_disposals.moved_at is 'From this instant on it was gone; the register''s.';
comment on column public.lot_disposals.entry_id is 'The ledger entry that moved it.';
comment on column public.lot_disposals.created_at is 'When the row was made.';
create index lot_disposals_party_id_idx on public.lot_disposals (party_id, moved_at);
create index lot_disposals_user_id_idx on public.lot_disposals (user_id);
create index lot_disposals_property_token_id_idx on public.lot_disposals (property_token_id, property_id);
create index lot_disposals_currency_idx on public.lot_disposals (currency, currency_decimals);
create index lot_disposals_entry_id_idx on public.lot_disposals (entry_id);
create trigger lot_disposals_are_append_only before update or delete or truncate on public.lot_disposals
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.lot_disposals');

alter table public.lot_disposals enable row level security;
grant select on public.lot_disposals to authenticated, service_role, nexus_engine;
grant insert on public.lot_disposals to nexus_engine;
create policy lot_disposals_read_own on public.lot_disposals for select to authenticated using (party_id = (select nexus.party_id()));
create policy lot_disposals_read_staff on public.lot_disposals for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy lot_disposals_engine_reads on public.lot_disposals for select to nexus_engine using (true);
create policy lot_disposals_engine_adds on public.lot_disposals for insert to nexus_engine with check (true);

reset role;

alter table public.lot_disposals add constraint lot_disposals_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
