-- Offerings: one primary sale of a token. Carries value: only commands write it.
set role nexus_owner;

create table public.offerings (
  id                       uuid primary key default gen_random_uuid(),
  property_id              uuid not null,
  property_token_id        uuid not null,
  rule_pack_id             uuid not null,
  kind                     text not null,
  status                   text not null default 'draft',
  is_live                  boolean not null default false,
  is_public                boolean not null default true,
  token_decimals           smallint not null default 0,
  currency                 text not null default 'USD',
  currency_decimals        smallint not null default 2,
  price_minor              bigint not null,
  price                    numeric generated always as (nexus.from_minor(price_minor, currency_decimals)) stored,
  soft_cap_units           bigint not null,
  hard_cap_units           bigint not null,
  minimum_units            bigint not null default 1,
  maximum_units            bigint,
  cooling_off_days         integer not null default 0,
  reservation_minutes      integer not null default 30,
  opens_at                 timestamptz not null,
  closes_at                timestamptz not null,
  long_stop_at             timestamptz not null,
  early_close_announced_at timestamptz,
  early_close_at           timestamptz,
  opened_at                timestamptz,
  ended_at                 timestamptz,
  end_reason               text,
  with_agent_at            timestamptz,
  agent_minor              bigint not null default 0,
  close_pass_id            uuid,
  close_action             text not null generated always as ('close') stored,
  closed_at                timestamptz,
  failed_at                timestamptz,
  fail_reason              text,
  created_by               uuid not null,
  opened_by                uuid,
  created_at               timestamptz not null default now(),
  updated_at               timestamptz not null default now(),
  constraint offerings_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint offerings_rule_pack_id_fkey foreign key (rule_pack_id) references public.rule_packs (id) on delete restrict,
  constraint offerings_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint offerings_kind_is_known check (kind in ('issuer_owns', 'acquisition')),
  constraint offerings_status_is_known check (status in ('draft', 'open', 'funded', 'closed', 'failed', 'cancelled')),
  constraint offerings_token_decimals_fit_a_bigint check (token_decimals between 0 and 6),
  constraint offerings_price_is_an_amount check (price_minor between 1 and 9007199254740991),
  constraint offerings_caps_fit check (soft_cap_units between 1 and hard_cap_units and hard_cap_units <= 9007199254740991),
  constraint offerings_limits_fit check (minimum_units >= 1 and coalesce(maximum_units, hard_cap_units) between minimum_units and hard_cap_units),
  constraint offerings_cooling_off_is_bounded check (cooling_off_days between 0 and 3650),
  constraint offerings_reservation_is_bounded check (reservation_minutes between 1 and 20160),
  constraint offerings_window_fits check (opens_at < closes_at and closes_at < long_stop_at),
  constraint offerings_early_close_is_announced check ((early_close_at is null) = (early_close_announced_at is null)
    and (early_close_at is null or early_close_at < closes_at)),
  constraint offerings_opened_by_another check (opened_by <> created_by),
  constraint offerings_open_has_a_date check (status in ('draft', 'cancelled') or num_nulls(opened_at, opened_by) = 0),
  constraint offerings_ended_has_a_reason check ((status in ('funded', 'closed')) <= (num_nulls(ended_at, end_reason) = 0)),
  constraint offerings_end_reason_is_known check (end_reason in ('hard_cap', 'deadline', 'early_close')),
  constraint offerings_agent_amount_has_a_date check ((agent_minor = 0 or with_agent_at is not null) and agent_minor >= 0),
  constraint offerings_acquisition_has_the_agent check (kind = 'acquisition' or with_agent_at is null),
  -- The evidence gate as a fact: no offering is closed without a pass of its own property for this action.
  constraint offerings_close_passed_the_gate check ((status = 'closed') = (close_pass_id is not null)),
  constraint offerings_closed_has_a_date check ((status = 'closed') = (closed_at is not null)),
  constraint offerings_failed_says_why check ((status = 'failed') = (failed_at is not null) and (status <> 'failed' or fail_reason ~ '\S')),
  constraint offerings_fail_reason_is_bounded check (length(fail_reason) <= 2000),
  -- What investments refer to, so that an investment's offering is of its token.
  constraint offerings_id_token_key unique (id, property_token_id)
);
comment on table public.offerings is 'One primary sale of a token under a version of a rule pack: what it promises and how far it is. Written by commands only, the service included.';
comment on column public.offerings.id is 'Identity of the offering.';
comment on column public.offerings.property_id is 'The property.';
comment on column public.offerings.property_token_id is 'What is sold.';
comment on column public.offerings.rule_pack_id is 'The version of the rule pack that holds for it, whatever is published later.';
comment on column public.offerings.kind is 'issuer_owns (the deed is recorded before the launch) or acquisition (the money buys the building).';
comment on column public.offerings.status is 'draft, open, funded, closed, failed or cancelled; docs/STATES.md.';
comment on column public.offerings.is_live is 'Whether real money is taken: then the sandbox rail is refused.';
comment on column public.offerings.is_public is 'Whether everybody may see it: false where its rule pack forbids general solicitation.';
comment on column public.offerings.token_decimals is 'Decimals of the token.';
comment on column public.offerings.currency is 'Currency in which it is paid. Nothing is exchanged.';
comment on column public.offerings.currency_decimals is 'Decimals of that currency.';
comment on column public.offerings.price_minor is 'Price of one whole token, in smallest units.';
comment on column public.offerings.price is 'Price of one whole token.';
comment on column public.offerings.soft_cap_units is 'Below this it fails: tokens in smallest units.';
comment on column public.offerings.hard_cap_units is 'More is not sold: tokens in smallest units.';
comment on column public.offerings.minimum_units is 'One purchase is this at least.';
comment on column public.offerings.maximum_units is 'A party has this at most in all; null: up to the hard cap.';
comment on column public.offerings.cooling_off_days is 'Days for which a buyer may withdraw after paying, from the rule pack.';
comment on column public.offerings.reservation_minutes is 'How long a reservation holds without money.';
comment on column public.offerings.opens_at is 'First instant at which tokens can be bought.';
comment on column public.offerings.closes_at is 'The deadline: from here on they cannot.';
comment on column public.offerings.long_stop_at is 'Not closed by this instant: everybody gets his money back.';
comment on column public.offerings.early_close_announced_at is 'When an early close was announced.';
comment on column public.offerings.early_close_at is 'When the announced early close takes effect, if the soft cap is reached.';
comment on column public.offerings.opened_at is 'When it was opened.';
comment on column public.offerings.ended_at is 'When the sale ended with the soft cap reached.';
comment on column public.offerings.end_reason is 'hard_cap, deadline or early_close.';
comment on column public.offerings.with_agent_at is 'When the principal went to the closing agent; acquisitions only.';
comment on column public.offerings.agent_minor is 'What lies with the closing agent, in smallest units.';
comment on column public.offerings.close_pass_id is 'The gate pass on which the close rests.';
comment on column public.offerings.close_action is 'The action that the pass must be for.';
comment on column public.offerings.closed_at is 'When tokens and cash changed hands.';
comment on column public.offerings.failed_at is 'When it failed.';
comment on column public.offerings.fail_reason is 'Why it failed, in words.';
comment on column public.offerings.created_by is 'Who prepared it.';
comment on column public.offerings.opened_by is 'The admin who opened it: never who prepared it.';
comment on column public.offerings.created_at is 'When it was prepared.';
comment on column public.offerings.updated_at is 'When the row last changed.';
create index offerings_property_id_idx on public.offerings (property_id);
create index offerings_property_token_id_idx on public.offerings (property_token_id, property_id);
create index offerings_rule_pack_id_idx on public.offerings (rule_pack_id);
create index offerings_currency_idx on public.offerings (currency, currency_decimals);
create index offerings_created_by_idx on public.offerings (created_by);
create index offerings_opened_by_idx on public.offerings (opened_by);
create index offerings_close_pass_id_idx on public.offerings (close_pass_id, property_id, close_action);
create index offerings_running_idx on public.offerings (closes_at) where status in ('open', 'funded');
-- One at a time: what it can still sell stands in the token's one supply row.
create unique index offerings_one_running_key on public.offerings (property_token_id) where status in ('open', 'funded');

create trigger offerings_updated_at before update on public.offerings
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.offerings');

alter table public.offerings enable row level security;
grant select on public.offerings to anon, authenticated, service_role, nexus_engine;
grant insert, update on public.offerings to nexus_engine;
create policy offerings_read_public on public.offerings for select to anon
  using (is_public and status not in ('draft', 'cancelled') and exists (select from public.properties as p where p.id = property_id));
create policy offerings_read_staff on public.offerings for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy offerings_engine on public.offerings for all to nexus_engine using (true) with check (true);

create table public.offering_guests (
  offering_id uuid not null,
  user_id     uuid not null,
  added_by    uuid,
  created_at  timestamptz not null default now(),
  constraint offering_guests_pkey primary key (offering_id, user_id),
  constraint offering_guests_offering_id_fkey foreign key (offering_id) references public.offerings (id) on delete restrict
);
comment on table public.offering_guests is 'Who may see and buy an offering that is not public: people with whom the issuer had a relationship before.';
comment on column public.offering_guests.offering_id is 'The offering.';
comment on column public.offering_guests.user_id is 'The login that may see it.';
comment on column public.offering_guests.added_by is 'Who added the person.';
comment on column public.offering_guests.created_at is 'When.';
create index offering_guests_user_id_idx on public.offering_guests (user_id);
create index offering_guests_added_by_idx on public.offering_guests (added_by);
alter table public.offering_guests enable row level security;
grant select on public.offering_guests to authenticated, service_role, nexus_engine;
grant insert, delete on public.offering_guests to nexus_engine;
create policy offering_guests_read_own on public.offering_guests for select to authenticated using (user_id = (select auth.uid()));
create policy offering_guests_read_staff on public.offering_guests for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or offering_id in (
    select o.id from public.offerings as o where o.property_id = any ((select nexus.member_property_ids())::uuid[])));
create policy offering_guests_engine on public.offering_guests for all to nexus_engine using (true) with check (true);
select nexus.audit_table('public.offering_guests', 'offering_id');

create function nexus.guest_offering_ids() returns uuid[]
language sql stable security definer set search_path = ''
as $$
  select coalesce(array_agg(g.offering_id), '{}') from public.offering_guests as g where g.user_id = auth.uid()
$$;
comment on function nexus.guest_offering_ids() is 'Offerings that are not public and to which the caller was invited.';
grant execute on function nexus.guest_offering_ids() to authenticated, service_role, nexus_engine;
create policy offerings_read_shown on public.offerings for select to authenticated
  using (status not in ('draft', 'cancelled') and (id = any ((select nexus.guest_offering_ids())::uuid[])
    or (is_public and exists (select from public.properties as p where p.id = property_id))));

reset role;

alter table public.offerings add constraint offerings_created_by_fkey
  foreign key (created_by) references auth.users (id) on delete restrict;
alter table public.offerings add constraint offerings_opened_by_fkey
  foreign key (opened_by) references auth.users (id) on delete restrict;
alter table public.offering_guests add constraint offering_guests_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;
alter table public.offering_guests add constraint offering_guests_added_by_fkey
  foreign key (added_by) references auth.users (id) on delete set null;
