-- Investments: one purchase by one party at one price. Carries value: only commands write it.
set role nexus_owner;

create table public.investments (
  id                    uuid primary key default gen_random_uuid(),
  user_id               uuid not null,
  party_id              uuid not null,
  property_id           uuid not null,
  property_token_id     uuid not null,
  offering_id           uuid,
  token_decimals        smallint not null default 0,
  token_amount_units    bigint not null,
  token_amount          numeric generated always as (nexus.from_minor(token_amount_units, token_decimals)) stored,
  payment_currency      text not null default 'USD',
  currency_decimals     smallint not null default 2,
  price_per_token_minor bigint not null,
  price_per_token       numeric generated always as (nexus.from_minor(price_per_token_minor, currency_decimals)) stored,
  total_amount_minor    bigint not null,
  total_amount          numeric generated always as (nexus.from_minor(total_amount_minor, currency_decimals)) stored,
  fee_amount_minor      bigint not null,
  fee_amount            numeric generated always as (nexus.from_minor(fee_amount_minor, currency_decimals)) stored,
  net_amount            numeric generated always as (nexus.from_minor(total_amount_minor, currency_decimals)) stored,
  charge_amount         numeric generated always as (nexus.from_minor(total_amount_minor + fee_amount_minor, currency_decimals)) stored,
  status                text not null default 'pending',
  payment_method        text,
  payment_method_id     uuid,
  blockchain_tx_hash    text,
  current_value_minor   bigint,
  current_value         numeric generated always as (nexus.from_minor(current_value_minor, currency_decimals)) stored,
  current_value_as_of   timestamptz,
  due_at                timestamptz,
  warning_accepted_at   timestamptz,
  is_insider            boolean not null default false,
  paid_at               timestamptz,
  withdraw_until        timestamptz,
  ended_reason          text,
  confirmed_at          timestamptz,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  constraint investments_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint investments_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint investments_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint investments_offering_of_token_fkey foreign key (offering_id, property_token_id)
    references public.offerings (id, property_token_id) on delete restrict,
  constraint investments_pending_is_timed check (status <> 'pending' or offering_id is null or due_at is not null),
  constraint investments_ended_reason_is_a_word check (ended_reason ~ '^[a-z][a-z_]{0,49}$'),
  constraint investments_payment_method_id_fkey foreign key (payment_method_id) references public.payment_methods (id) on delete restrict,
  constraint investments_currency_fkey foreign key (payment_currency, currency_decimals) references public.currencies (code, decimals),
  constraint investments_token_decimals_fit_a_bigint check (token_decimals between 0 and 6),
  constraint investments_buy_something check (token_amount_units between 1 and 9007199254740991),
  constraint investments_price_is_an_amount check (price_per_token_minor between 1 and 9007199254740991),
  constraint investments_fee_is_an_amount check (fee_amount_minor between 0 and 9007199254740991),
  constraint investments_total_is_amount_times_price check (
    total_amount_minor between 1 and 9007199254740991
    and total_amount_minor::numeric * 10::numeric ^ token_decimals = token_amount_units::numeric * price_per_token_minor),
  constraint investments_charge_is_exact check (total_amount_minor + fee_amount_minor <= 9007199254740991),
  constraint investments_current_value_is_an_amount check (current_value_minor between 0 and 9007199254740991),
  constraint investments_current_value_has_a_date check ((current_value_minor is null) = (current_value_as_of is null)),
  constraint investments_status_is_known check (status in
    ('pending', 'paid', 'confirmed', 'expired', 'cancelled', 'refund_due', 'refunded')),
  constraint investments_payment_method_is_short check (length(payment_method) <= 100),
  constraint investments_tx_hash_is_evm check (blockchain_tx_hash ~ '^0x[0-9a-fA-F]{64}$'),
  constraint investments_paid_has_a_date check (status not in ('paid', 'confirmed', 'refund_due', 'refunded') or paid_at is not null),
  constraint investments_confirmed_has_a_date check ((status = 'confirmed') = (confirmed_at is not null))
);
comment on table public.investments is 'One purchase of tokens by one party at one price. Written by commands only, the service included.';
comment on column public.investments.id is 'Identity of the investment.';
comment on column public.investments.user_id is 'The login that bought.';
comment on column public.investments.party_id is 'The party in law that bought; limits count by it.';
comment on column public.investments.property_id is 'The property bought into.';
comment on column public.investments.property_token_id is 'The token bought, of that property.';
comment on column public.investments.offering_id is 'The offering in which it was bought.';
comment on column public.investments.warning_accepted_at is 'When the buyer said that the warning about the size of the purchase was understood.';
comment on column public.investments.is_insider is 'Whether the buyer acts for the property: where the rule pack says so, it does not count to the soft cap.';
comment on column public.investments.withdraw_until is 'From this instant on the buyer cannot withdraw any more; null until paid.';
comment on column public.investments.ended_reason is 'Why it expired, was cancelled or is owed back, such as withdrawn or offering_failed.';
comment on column public.investments.token_decimals is 'Decimals of the token.';
comment on column public.investments.token_amount_units is 'Tokens bought, in smallest units.';
comment on column public.investments.token_amount is 'Tokens bought; derived.';
comment on column public.investments.payment_currency is 'Currency of every amount of the row: the offering''s own.';
comment on column public.investments.currency_decimals is 'Decimals of that currency.';
comment on column public.investments.price_per_token_minor is 'Price of a whole token, locked at the reservation, in smallest units.';
comment on column public.investments.price_per_token is 'Price of a whole token, locked at the reservation; derived.';
comment on column public.investments.total_amount_minor is 'Tokens x price, in smallest units, exactly. This counts to caps.';
comment on column public.investments.total_amount is 'Tokens x price; derived.';
comment on column public.investments.fee_amount_minor is 'Fee on top of the total, computed once, in smallest units.';
comment on column public.investments.fee_amount is 'Fee on top of the total; derived.';
comment on column public.investments.net_amount is 'What goes into the property: equal to total_amount, since the fee comes on top; derived.';
comment on column public.investments.charge_amount is 'What the buyer pays: total and fee; derived.';
comment on column public.investments.status is 'pending (reserved), paid (in escrow), confirmed (closed, tokens held), expired, cancelled, refund_due, refunded.';
comment on column public.investments.payment_method is 'How it is paid, as the buyer chose: the name of a rail.';
comment on column public.investments.payment_method_id is 'The stored payment method, where one was used.';
comment on column public.investments.blockchain_tx_hash is 'Transaction that mirrored it, as the chain gave it.';
comment on column public.investments.current_value_minor is 'What of it its buyer has now at the token''s newest price, in smallest units, folded by a worker. A price, not a valuation; null unless paid or confirmed.';
comment on column public.investments.current_value is 'Value at the newest price; derived.';
comment on column public.investments.current_value_as_of is 'The instant that the value is true for.';
comment on column public.investments.due_at is 'When the current state ends by itself; null: never.';
comment on column public.investments.paid_at is 'When the money was in escrow.';
comment on column public.investments.confirmed_at is 'When the sale closed.';
comment on column public.investments.created_at is 'When it was reserved.';
comment on column public.investments.updated_at is 'When the row last changed.';
create index investments_user_property_idx on public.investments (user_id, property_id);
create index investments_party_id_idx on public.investments (party_id);
create index investments_property_id_idx on public.investments (property_id);
create index investments_property_token_id_idx on public.investments (property_token_id, property_id);
create index investments_offering_id_idx on public.investments (offering_id, property_token_id);
create index investments_payment_method_id_idx on public.investments (payment_method_id);
create index investments_currency_idx on public.investments (payment_currency, currency_decimals);
create index investments_due_at_idx on public.investments (due_at) where due_at is not null;

create trigger investments_updated_at before update on public.investments
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.investments', 'id', '{current_value_minor,current_value,current_value_as_of}');

alter table public.investments enable row level security;
grant select on public.investments to authenticated, service_role, nexus_engine;
grant insert, update on public.investments to nexus_engine;
create policy "Users can view own investments" on public.investments for select to authenticated using (user_id = (select auth.uid()));
create policy investments_read_staff on public.investments for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy investments_engine on public.investments for all to nexus_engine using (true) with check (true);

-- What an investor may see of a property that is no longer public, and the seed's question about it.

reset role;

alter table public.investments add constraint investments_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
