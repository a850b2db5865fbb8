-- Where the tokens of a property are: the narrow row that every purchase locks and that decides.
set role nexus_owner;

create table public.property_token_supply (
  property_token_id   uuid primary key,
  authorised_units    bigint not null,
  available_units     bigint not null,
  pending_units       bigint not null default 0,
  paid_units          bigint not null default 0,
  held_units          bigint not null default 0,
  treasury_units      bigint not null default 0,
  burned_units        bigint not null default 0,
  offering_id         uuid,
  offering_left_units bigint not null default 0,
  constraint property_token_supply_token_fkey foreign key (property_token_id) references public.property_tokens (id) on delete restrict,
  constraint property_token_supply_parts_not_negative check (least(available_units, pending_units, paid_units, held_units, treasury_units, burned_units) >= 0),
  constraint property_token_supply_adds_up check (
    authorised_units = available_units + pending_units + paid_units + held_units + treasury_units + burned_units),
  constraint property_token_supply_not_oversold check (offering_left_units >= 0),
  constraint property_token_supply_left_is_of_an_offering check (offering_id is not null or offering_left_units = 0),
  constraint property_token_supply_is_exact check (authorised_units between 1 and 9007199254740991)
) with (fillfactor = 10);
comment on table public.property_token_supply is 'Where the tokens of a property are (L3), and what its running offering can still sell (L4). Narrow and without further indexes, because every purchase locks and changes it; what other tables show is copied from here in the same transaction.';
comment on column public.property_token_supply.property_token_id is 'The token.';
comment on column public.property_token_supply.authorised_units is 'All tokens that may exist, in smallest units.';
comment on column public.property_token_supply.available_units is 'Can be reserved.';
comment on column public.property_token_supply.pending_units is 'Reserved without money.';
comment on column public.property_token_supply.paid_units is 'Reserved, with the money in escrow.';
comment on column public.property_token_supply.held_units is 'Held by parties: tokens_issued.';
comment on column public.property_token_supply.treasury_units is 'Kept by the issuer.';
comment on column public.property_token_supply.burned_units is 'Taken out for ever.';
comment on column public.property_token_supply.offering_id is 'The offering that is running: one at a time.';
comment on column public.property_token_supply.offering_left_units is 'What it can still sell: its hard cap less what is pending, paid and confirmed of it.';

alter table public.property_token_supply enable row level security;
grant select on public.property_token_supply to nexus_staff, service_role, nexus_engine;
grant insert, update on public.property_token_supply to nexus_engine;
create policy property_token_supply_read_staff on public.property_token_supply for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy property_token_supply_engine on public.property_token_supply for all to nexus_engine using (true) with check (true);

reset role;
