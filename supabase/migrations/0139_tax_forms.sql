-- Tax forms: what a holder says of himself to the tax office, checked by an officer. What is withheld of him may rest on it.
set role nexus_owner;

create table public.tax_forms (
  id                uuid primary key,
  party_id          uuid not null,
  user_id           uuid not null,
  form              text not null,
  form_version      text not null,
  residency_country text not null,
  signed_on         date not null,
  status            text not null default 'filed',
  decided_by        uuid,
  decided_at        timestamptz,
  reason            text,
  expires_at        timestamptz,
  created_at        timestamptz not null,
  updated_at        timestamptz not null default now(),
  constraint tax_forms_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint tax_forms_texts_are_bounded check (form ~ '\S' and length(form) <= 50 and form_version ~ '\S' and length(form_version) <= 50),
  constraint tax_forms_country_is_iso check (residency_country ~ '^[A-Z]{2}$'),
  constraint tax_forms_not_signed_in_the_future check (signed_on <= (created_at at time zone 'UTC')::date),
  constraint tax_forms_status_is_known check (status in ('filed', 'checked', 'rejected', 'replaced')),
  constraint tax_forms_decided_by_another check (decided_by <> user_id),
  constraint tax_forms_decision_is_signed check ((decided_at is null) = (decided_by is null)
    and (status not in ('checked', 'rejected') or decided_at is not null) and (status <> 'filed' or decided_at is null)),
  constraint tax_forms_refusal_has_a_reason check ((status = 'rejected') = coalesce(reason ~ '\S', false) and length(reason) <= 2000),
  constraint tax_forms_checked_expires check (status <> 'checked' or expires_at > decided_at)
);
comment on table public.tax_forms is 'A holder''s own tax forms (W-9, W-8BEN and their like), filed with a document and checked by an officer. Read by the person; shown to compliance officers by a command that notes each read in the audit trail; written by commands.';
comment on column public.tax_forms.id is 'Identity of the form.';
comment on column public.tax_forms.party_id is 'Whose.';
comment on column public.tax_forms.user_id is 'The login that filed it.';
comment on column public.tax_forms.form is 'Which form, named as withholding_rates.form names it.';
comment on column public.tax_forms.form_version is 'Its version, as printed on it.';
comment on column public.tax_forms.residency_country is 'Country of tax residence that it states, ISO 3166-1 alpha-2.';
comment on column public.tax_forms.signed_on is 'The day on which it was signed.';
comment on column public.tax_forms.status is 'filed, checked, rejected or replaced; docs/STATES.md.';
comment on column public.tax_forms.decided_by is 'The compliance officer who compared it with its document: never one of the party itself.';
comment on column public.tax_forms.decided_at is 'When.';
comment on column public.tax_forms.reason is 'Why it was rejected.';
comment on column public.tax_forms.expires_at is 'A checked form counts before this instant and no longer at it.';
comment on column public.tax_forms.created_at is 'When it was filed.';
comment on column public.tax_forms.updated_at is 'When the row last changed.';
create index tax_forms_party_id_idx on public.tax_forms (party_id, form);
create index tax_forms_user_id_idx on public.tax_forms (user_id);
create index tax_forms_decided_by_idx on public.tax_forms (decided_by);
create unique index tax_forms_one_filed_key on public.tax_forms (party_id, form) where status = 'filed';
create unique index tax_forms_one_checked_key on public.tax_forms (party_id, form) where status = 'checked';
create index tax_forms_queue_idx on public.tax_forms (created_at) where status = 'filed';
create trigger tax_forms_updated_at before update on public.tax_forms
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.tax_forms');

-- Staff have no policy here on purpose: an officer is shown a form by a command, which notes the read in the audit trail.
alter table public.tax_forms enable row level security;
grant select on public.tax_forms to authenticated, nexus_engine;
grant insert, update on public.tax_forms to nexus_engine;
create policy tax_forms_read_own on public.tax_forms for select to authenticated using (user_id = (select auth.uid()));
create policy tax_forms_engine on public.tax_forms for all to nexus_engine using (true) with check (true);

reset role;

alter table public.tax_forms add constraint tax_forms_user_id_fkey foreign key (user_id) references auth.users (id) on delete restrict;
alter table public.tax_forms add constraint tax_forms_decided_by_fkey foreign key (decided_by) references auth.users (id) on delete restrict;
