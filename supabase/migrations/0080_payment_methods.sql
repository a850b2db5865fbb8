-- Payment methods: how a person pays and is paid. Never a secret.
set role nexus_owner;

create function nexus.is_safe_payment_details(details jsonb) returns boolean
language sql immutable parallel safe set search_path = ''
as $$
  select jsonb_typeof(details) = 'object' and not exists (
    select from jsonb_each_text(case when jsonb_typeof(details) = 'object' then details else '{}' end) as d
    where d.key not in ('label', 'brand', 'last_four', 'bank_name', 'country', 'expiry_month', 'expiry_year', 'network', 'address')
      or length(d.value) > 100
      or (d.key = 'last_four' and d.value !~ '^[0-9]{4}$')
      or (d.key = 'address' and d.value !~ '^0x[0-9a-fA-F]{40}$')
      or (d.key <> 'address' and regexp_replace(d.value, '[^0-9]', '', 'g') ~ '[0-9]{7}')
  )
$$;
comment on function nexus.is_safe_payment_details(jsonb) is 'Whether payment details name only what may be shown: known keys, last four digits at most, no text with seven or more digits.';
-- Whoever writes a row runs what its checks call.
grant execute on function nexus.is_safe_payment_details(jsonb) to authenticated, service_role, nexus_engine;

create table public.payment_methods (
  id          uuid primary key default gen_random_uuid(),
  user_id     uuid not null default auth.uid(),
  method_type text not null,
  details     jsonb not null default '{}',
  is_verified boolean not null default false,
  is_default  boolean not null default false,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint payment_methods_method_type_is_known check (method_type in ('bank_transfer', 'crypto', 'credit_card')),
  constraint payment_methods_details_hold_no_secret check (jsonb_typeof(details) = 'object' and nexus.is_safe_payment_details(details))
);
comment on table public.payment_methods is 'How a person pays and is paid, as far as it may be shown; account numbers stay with the payment provider.';
comment on column public.payment_methods.id is 'Identity of the method.';
comment on column public.payment_methods.user_id is 'The login it belongs to.';
comment on column public.payment_methods.method_type is 'bank_transfer, crypto or credit_card.';
comment on column public.payment_methods.details is 'Object of label, brand, last_four, bank_name, country, expiry_month, expiry_year, network, address (0x...). Nothing else, and never a full number.';
comment on column public.payment_methods.is_verified is 'Whether the provider confirmed that it is this person''s; set by a command only.';
comment on column public.payment_methods.is_default is 'Whether to offer it first; at most one of a person.';
comment on column public.payment_methods.created_at is 'When it was added.';
comment on column public.payment_methods.updated_at is 'When the row last changed.';
create index payment_methods_user_id_idx on public.payment_methods (user_id);
create unique index payment_methods_one_default_key on public.payment_methods (user_id) where is_default;

create trigger payment_methods_updated_at before update on public.payment_methods
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.payment_methods');

alter table public.payment_methods enable row level security;
grant select, delete on public.payment_methods to authenticated;
grant insert (user_id, method_type, details, is_default), update (is_default) on public.payment_methods to authenticated;
grant select, insert, update, delete on public.payment_methods to service_role;
grant select, insert, update on public.payment_methods to nexus_engine;
create policy payment_methods_read_own on public.payment_methods for select to authenticated using (user_id = (select auth.uid()));
create policy payment_methods_insert_own on public.payment_methods for insert to authenticated with check (user_id = (select auth.uid()));
create policy payment_methods_update_own on public.payment_methods for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy payment_methods_delete_own on public.payment_methods for delete to authenticated using (user_id = (select auth.uid()));
create policy payment_methods_read_staff on public.payment_methods for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy payment_methods_engine on public.payment_methods for all to nexus_engine using (true) with check (true);

reset role;

alter table public.payment_methods add constraint payment_methods_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;
