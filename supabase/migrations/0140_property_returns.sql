-- Property returns: what an investment brought its holder. Carries value: only commands write it.
set role nexus_owner;

create table public.property_returns (
  id                uuid primary key default gen_random_uuid(),
  property_id       uuid not null,
  investment_id     uuid not null,
  user_id           uuid not null,
  return_type       text not null,
  currency          text not null default 'USD',
  currency_decimals smallint not null default 2,
  amount_minor      bigint not null,
  amount            numeric generated always as (nexus.from_minor(amount_minor, currency_decimals)) stored,
  return_date       date not null,
  description       text,
  status            text not null default 'declared',
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint property_returns_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint property_returns_investment_id_fkey foreign key (investment_id) references public.investments (id) on delete restrict,
  constraint property_returns_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint property_returns_type_is_known check (return_type in ('rental_income', 'appreciation', 'distribution')),
  constraint property_returns_amount_is_exact check (amount_minor between 0 and 9007199254740991),
  constraint property_returns_description_is_bounded check (length(description) <= 1000),
  constraint property_returns_status_is_known check (status in ('declared', 'payable', 'paid', 'failed', 'withheld'))
);
comment on table public.property_returns is 'What an investment brought its holder: his line of a distribution, split over his lots. Written by commands only, the service included.';
comment on column public.property_returns.id is 'Identity of the return.';
comment on column public.property_returns.property_id is 'The property that earned it.';
comment on column public.property_returns.investment_id is 'The investment that it is for.';
comment on column public.property_returns.user_id is 'The login of the holder.';
comment on column public.property_returns.return_type is 'rental_income, appreciation or distribution.';
comment on column public.property_returns.currency is 'Currency of the amount.';
comment on column public.property_returns.currency_decimals is 'Decimals of that currency.';
comment on column public.property_returns.amount_minor is 'Amount in smallest units.';
comment on column public.property_returns.amount is 'Amount; derived.';
comment on column public.property_returns.return_date is 'Business date.';
comment on column public.property_returns.description is 'What it is for, for people.';
comment on column public.property_returns.status is 'declared, payable, paid, failed (payable again) or withheld.';
comment on column public.property_returns.created_at is 'When it was declared.';
comment on column public.property_returns.updated_at is 'When the row last changed.';
create index property_returns_user_id_idx on public.property_returns (user_id, return_date desc);
create index property_returns_investment_id_idx on public.property_returns (investment_id);
create index property_returns_property_id_idx on public.property_returns (property_id, return_date desc);
create index property_returns_currency_idx on public.property_returns (currency, currency_decimals);

create trigger property_returns_updated_at before update on public.property_returns
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.property_returns');

alter table public.property_returns enable row level security;
grant select on public.property_returns to authenticated, service_role, nexus_engine;
grant insert, update on public.property_returns to nexus_engine;
create policy property_returns_read_own on public.property_returns for select to authenticated using (user_id = (select auth.uid()));
create policy property_returns_read_staff on public.property_returns for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy property_returns_engine on public.property_returns for all to nexus_engine using (true) with check (true);

reset role;

alter table public.property_returns add constraint property_returns_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
