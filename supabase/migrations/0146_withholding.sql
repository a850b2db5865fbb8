-- Rates of withholding: proposed by one person, approved by another, from a day that is to come.
set role nexus_owner;

create table public.withholding_rate_proposals (
  id                uuid primary key,
  source_country    text not null,
  residency_country text,
  rate_ppm          integer not null,
  form              text not null,
  form_version      text not null,
  needs_form        boolean not null,
  source            text not null,
  is_checked        boolean not null,
  valid_from        timestamptz not null,
  status            text not null default 'proposed',
  rate_id           uuid,
  proposed_by       uuid not null,
  decided_by        uuid,
  decided_at        timestamptz,
  reject_reason     text,
  created_at        timestamptz not null,
  updated_at        timestamptz not null default now(),
  constraint withholding_rate_proposals_rate_id_fkey foreign key (rate_id) references public.withholding_rates (id) on delete restrict,
  constraint withholding_rate_proposals_countries_are_iso check (source_country ~ '^[A-Z]{2}$' and residency_country ~ '^[A-Z]{2}$'),
  constraint withholding_rate_proposals_rate_is_a_part check (rate_ppm between 0 and 1000000),
  constraint withholding_rate_proposals_texts_are_bounded check (form ~ '\S' and length(form) <= 50 and form_version ~ '\S' and length(form_version) <= 50
    and source ~ '\S' and length(source) <= 1000),
  constraint withholding_rate_proposals_form_is_of_a_country check (not needs_form or residency_country is not null),
  constraint withholding_rate_proposals_not_backdated check (valid_from >= created_at),
  constraint withholding_rate_proposals_status_is_known check (status in ('proposed', 'approved', 'rejected')),
  constraint withholding_rate_proposals_need_two_persons check (decided_by <> proposed_by),
  constraint withholding_rate_proposals_decided_has_a_date check ((status = 'proposed') = (decided_at is null) and (decided_at is null) = (decided_by is null)),
  constraint withholding_rate_proposals_approved_is_a_rate check ((status = 'approved') = (rate_id is not null)),
  constraint withholding_rate_proposals_rejected_says_why check ((status = 'rejected') = coalesce(reject_reason ~ '\S', false) and length(reject_reason) <= 2000),
  constraint withholding_rate_proposals_one_a_rate unique (rate_id)
);
comment on table public.withholding_rate_proposals is 'Rates of withholding as an admin proposes them; approved by another overseer, a row of withholding_rates.';
comment on column public.withholding_rate_proposals.id is 'Identity of the proposal.';
comment on column public.withholding_rate_proposals.source_country is 'Country of the property.';
comment on column public.withholding_rate_proposals.residency_country is 'Verified country of the holder; null: everybody without a row of his own.';
comment on column public.withholding_rate_proposals.rate_ppm is 'Part withheld, in millionths.';
comment on column public.withholding_rate_proposals.form is 'The form on which the rate rests.';
comment on column public.withholding_rate_proposals.form_version is 'Its version.';
comment on column public.withholding_rate_proposals.needs_form is 'Whether the rate is only for holders whose form was checked.';
comment on column public.withholding_rate_proposals.source is 'The law.';
comment on column public.withholding_rate_proposals.is_checked is 'Whether somebody competent has looked, as the proposer says.';
comment on column public.withholding_rate_proposals.valid_from is 'From when on.';
comment on column public.withholding_rate_proposals.status is 'proposed, approved or rejected; docs/STATES.md.';
comment on column public.withholding_rate_proposals.rate_id is 'The rate that it became.';
comment on column public.withholding_rate_proposals.proposed_by is 'The admin who proposed it.';
comment on column public.withholding_rate_proposals.decided_by is 'Who decided: never who proposed.';
comment on column public.withholding_rate_proposals.decided_at is 'When.';
comment on column public.withholding_rate_proposals.reject_reason is 'Why it was rejected.';
comment on column public.withholding_rate_proposals.created_at is 'When it was proposed.';
comment on column public.withholding_rate_proposals.updated_at is 'When the row last changed.';
create index withholding_rate_proposals_proposed_by_idx on public.withholding_rate_proposals (proposed_by);
create index withholding_rate_proposals_decided_by_idx on public.withholding_rate_proposals (decided_by);
create trigger withholding_rate_proposals_updated_at before update on public.withholding_rate_proposals
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.withholding_rate_proposals');

alter table public.withholding_rate_proposals enable row level security;
grant select on public.withholding_rate_proposals to nexus_staff, service_role, nexus_engine;
grant insert, update on public.withholding_rate_proposals to nexus_engine;
create policy withholding_rate_proposals_read_staff on public.withholding_rate_proposals for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy withholding_rate_proposals_engine on public.withholding_rate_proposals for all to nexus_engine using (true) with check (true);

-- A rate is added by a command alone, once its proposal is approved.
grant insert on public.withholding_rates to nexus_engine;
create policy withholding_rates_insert_engine on public.withholding_rates for insert to nexus_engine with check (true);

reset role;

alter table public.withholding_rate_proposals add constraint withholding_rate_proposals_proposed_by_fkey
  foreign key (proposed_by) references auth.users (id) on delete restrict;
alter table public.withholding_rate_proposals add constraint withholding_rate_proposals_decided_by_fkey
  foreign key (decided_by) references auth.users (id) on delete restrict;
