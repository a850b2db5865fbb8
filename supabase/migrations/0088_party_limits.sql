-- What one party may buy in a year: the row that purchases in two offerings at once meet at.
set role nexus_owner;

create table public.party_limits (
  party_id          uuid primary key,
  currency          text,
  currency_decimals smallint,
  yearly_minor      bigint,
  reason            text,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint party_limits_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint party_limits_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint party_limits_limit_has_a_currency check (num_nulls(currency, currency_decimals, yearly_minor, reason) in (0, 4)),
  constraint party_limits_limit_is_an_amount check (yearly_minor between 0 and 9007199254740991),
  constraint party_limits_reason_is_bounded check (reason ~ '\S' and length(reason) <= 1000)
);
comment on table public.party_limits is 'One row for each party that buys: locked after the token''s row, in the order of ids, so that limits over several offerings cannot be passed by buying at the same instant. May hold a limit of the party''s own.';
comment on column public.party_limits.party_id is 'The party.';
comment on column public.party_limits.currency is 'Currency of the party''s own limit; null where it has none.';
comment on column public.party_limits.currency_decimals is 'Decimals of that currency.';
comment on column public.party_limits.yearly_minor is 'What the party may buy in twelve months at most, in smallest units; null: only what rule packs say.';
comment on column public.party_limits.reason is 'Why the party has a limit of its own.';
comment on column public.party_limits.created_at is 'When the row was made.';
comment on column public.party_limits.updated_at is 'When the row last changed.';
create index party_limits_currency_idx on public.party_limits (currency, currency_decimals);
create trigger party_limits_updated_at before update on public.party_limits
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.party_limits', 'party_id');

alter table public.party_limits enable row level security;
grant select on public.party_limits to authenticated, service_role, nexus_engine;
grant insert, update on public.party_limits to nexus_engine;
create policy party_limits_read_own on public.party_limits for select to authenticated using (party_id = (select nexus.party_id()));
create policy party_limits_read_staff on public.party_limits for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy party_limits_engine on public.party_limits for all to nexus_engine using (true) with check (true);

reset role;
