-- Audits of a property by a compliance officer. Written by commands only.
set role nexus_owner;

create table public.property_audits (
  id                uuid primary key default gen_random_uuid(),
  property_id       uuid not null,
  auditor_id        uuid not null,
  audit_score       smallint,
  risk_level        text,
  compliance_status text not null default 'in_progress',
  audit_results     jsonb not null default '{}',
  audit_date        timestamptz not null default now(),
  next_review_date  date,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint property_audits_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint property_audits_score_is_of_100 check (audit_score between 0 and 100),
  constraint property_audits_risk_level_is_known check (risk_level in ('low', 'medium', 'high', 'critical')),
  constraint property_audits_compliance_status_is_known check (compliance_status in ('in_progress', 'compliant', 'conditional', 'non_compliant')),
  constraint property_audits_finished_has_a_score check (compliance_status = 'in_progress' or num_nulls(audit_score, risk_level) = 0),
  constraint property_audits_results_are_an_object check (jsonb_typeof(audit_results) = 'object')
);
comment on table public.property_audits is 'Audits of a property: who, what was checked and found, and the score that follows from the findings.';
comment on column public.property_audits.id is 'Identity of the audit.';
comment on column public.property_audits.property_id is 'The property.';
comment on column public.property_audits.auditor_id is 'The compliance officer who audits.';
comment on column public.property_audits.audit_score is '0 to 100, computed from the findings; null while in progress.';
comment on column public.property_audits.risk_level is 'low, medium, high or critical; null while in progress.';
comment on column public.property_audits.compliance_status is 'in_progress, compliant, conditional or non_compliant.';
comment on column public.property_audits.audit_results is 'Object of scope and checks, each with its finding and the evidence it rests on.';
comment on column public.property_audits.audit_date is 'When the audit began.';
comment on column public.property_audits.next_review_date is 'Day by which it must be made again.';
comment on column public.property_audits.created_at is 'When the row was made.';
comment on column public.property_audits.updated_at is 'When the row last changed.';
create index property_audits_property_id_idx on public.property_audits (property_id, audit_date desc);
create index property_audits_auditor_id_idx on public.property_audits (auditor_id);

create trigger property_audits_updated_at before update on public.property_audits
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.property_audits');

alter table public.property_audits enable row level security;
grant select on public.property_audits to nexus_staff, service_role, nexus_engine;
grant insert, update on public.property_audits to nexus_engine;
create policy property_audits_read_staff on public.property_audits for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy property_audits_engine on public.property_audits for all to nexus_engine using (true) with check (true);

reset role;

alter table public.property_audits add constraint property_audits_auditor_id_fkey
  foreign key (auditor_id) references auth.users (id) on delete restrict;
