-- Lots: what a purchase or a transfer left in somebody's hands. Carries value: only commands write it.
set role nexus_owner;

create table public.lots (
  id                uuid primary key default gen_random_uuid(),
  party_id          uuid not null,
  user_id           uuid not null,
  property_id       uuid not null,
  property_token_id uuid not null,
  investment_id     uuid not null,
  parent_lot_id     uuid,
  token_decimals    smallint not null default 0,
  units             bigint not null,
  token_amount      numeric generated always as (nexus.from_minor(units, token_decimals)) stored,
  currency          text not null default 'USD',
  currency_decimals smallint not null default 2,
  cost_minor        bigint not null,
  cost              numeric generated always as (nexus.from_minor(cost_minor, currency_decimals)) stored,
  acquired_at       timestamptz not null,
  tax_acquired_at   timestamptz not null,
  restricted_since  timestamptz,
  restricted_until  timestamptz,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint lots_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint lots_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint lots_investment_id_fkey foreign key (investment_id) references public.investments (id) on delete restrict,
  constraint lots_parent_lot_id_fkey foreign key (parent_lot_id) references public.lots (id) on delete restrict,
  constraint lots_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint lots_token_decimals_fit_a_bigint check (token_decimals between 0 and 6),
  constraint lots_units_are_exact check (units between 0 and 9007199254740991),
  constraint lots_cost_is_an_amount check (cost_minor between 0 and 9007199254740991),
  constraint lots_restriction_ends_after_it_began check ((restricted_since is null) = (restricted_until is null) and restricted_until > restricted_since)
);
comment on table public.lots is 'What a purchase or a transfer left in a party''s hands: tokens with their cost and dates. The units of a party''s lots of a token add up to what the ledger says that it holds.';
comment on column public.lots.id is 'Identity of the lot.';
comment on column public.lots.party_id is 'Whose.';
comment on column public.lots.user_id is 'The login that bought, or acts for the party.';
comment on column public.lots.property_id is 'The property.';
comment on column public.lots.property_token_id is 'The token.';
comment on column public.lots.investment_id is 'The purchase that it comes from, however often it was transferred.';
comment on column public.lots.parent_lot_id is 'The lot that it was split or transferred from; null of a purchase.';
comment on column public.lots.token_decimals is 'Decimals of the token.';
comment on column public.lots.units is 'Tokens left in it, in smallest units; 0 once all went on.';
comment on column public.lots.token_amount is 'Tokens left in it.';
comment on column public.lots.currency is 'Currency of the cost.';
comment on column public.lots.currency_decimals is 'Decimals of that currency.';
comment on column public.lots.cost_minor is 'What the tokens left in it cost, fee included, in smallest units: the basis for tax.';
comment on column public.lots.cost is 'What the tokens left in it cost.';
comment on column public.lots.acquired_at is 'When the party got it.';
comment on column public.lots.tax_acquired_at is 'When it counts as acquired for tax.';
comment on column public.lots.restricted_since is 'When the restricted period began; passes on where the law says so.';
comment on column public.lots.restricted_until is 'Before this instant it cannot be transferred.';
comment on column public.lots.created_at is 'When the row was made.';
comment on column public.lots.updated_at is 'When the row last changed.';
create index lots_party_id_idx on public.lots (party_id, property_token_id);
create index lots_user_id_idx on public.lots (user_id);
create index lots_property_token_id_idx on public.lots (property_token_id, property_id);
create index lots_investment_id_idx on public.lots (investment_id);
create index lots_parent_lot_id_idx on public.lots (parent_lot_id);
create index lots_currency_idx on public.lots (currency, currency_decimals);
create trigger lots_updated_at before update on public.lots
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.lots');

alter table public.lots enable row level security;
grant select on public.lots to authenticated, service_role, nexus_engine;
grant insert, update on public.lots to nexus_engine;
create policy lots_read_own on public.lots for select to authenticated using (user_id = (select auth.uid()));
create policy lots_read_staff on public.lots for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy lots_engine on public.lots for all to nexus_engine using (true) with check (true);

-- Who sees a property beside those who act for it: who is buying tokens of it or holds them, however he got them.
create function nexus.invested_property_ids() returns uuid[]
language sql stable security definer set search_path = ''
as $$
  select coalesce(array_agg(distinct h.property_id), '{}')
  from (select i.property_id from public.investments as i where i.user_id = auth.uid() and i.status in ('pending', 'paid', 'refund_due')
        union all
        select l.property_id from public.lots as l where l.user_id = auth.uid() and l.units > 0) as h
$$;
comment on function nexus.invested_property_ids() is 'Properties in which the caller has money or tokens.';

create function public.can_access_property(user_id uuid, property_id uuid) returns boolean
language sql stable security definer set search_path = ''
as $$
  select case when nexus.may_ask_about(can_access_property.user_id) then
    exists (select from public.properties as p where p.id = can_access_property.property_id and p.is_active)
    or exists (
      select from public.user_role_assignments as a
      where a.user_id = can_access_property.user_id and a.is_active and a.role in ('admin', 'compliance_officer')
        and exists (select from public.properties as p where p.id = can_access_property.property_id))
    or exists (
      select from public.property_members as m
      join public.user_role_assignments as a on a.user_id = m.user_id and a.role = 'property_manager' and a.is_active
      where m.user_id = can_access_property.user_id and m.property_id = can_access_property.property_id and m.is_active)
    or exists (
      select from public.investments as i
      where i.user_id = can_access_property.user_id and i.property_id = can_access_property.property_id
        and i.status in ('pending', 'paid', 'refund_due'))
    or exists (
      select from public.lots as l
      where l.user_id = can_access_property.user_id and l.property_id = can_access_property.property_id and l.units > 0)
    or exists (
      select from public.offering_guests as g join public.offerings as o on o.id = g.offering_id
      where g.user_id = can_access_property.user_id and o.property_id = can_access_property.property_id and o.status in ('open', 'funded'))
  end
$$;
comment on function public.can_access_property(uuid, uuid) is 'Whether a login may see a property: it is active, or the login is staff for it, holds or is buying tokens of it, or is invited to its offering. Answers about the caller, and about anybody for an admin or the service; otherwise null: not told.';

grant execute on function nexus.invested_property_ids() to authenticated, service_role, nexus_engine;
grant execute on function public.can_access_property(uuid, uuid) to authenticated, service_role, nexus_engine;

create policy properties_read_invested on public.properties for select to authenticated
  using (id = any ((select nexus.invested_property_ids())::uuid[]));

reset role;

alter table public.lots add constraint lots_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
