-- The tokenization process of a property: its steps and reports. Written by commands only.
set role nexus_owner;

create table public.tokenization_processes (
  id                  uuid primary key default gen_random_uuid(),
  property_id         uuid not null,
  user_id             uuid not null,
  status              text not null default 'in_progress',
  current_step        text,
  progress_percentage integer not null default 0,
  steps_completed     jsonb not null default '[]',
  offering_kind       text not null default 'issuer_owns',
  property_token_id   uuid,
  launch_pass_id      uuid,
  launch_action       text not null generated always as ('launch') stored,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  constraint tokenization_processes_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint tokenization_processes_status_is_known check (status in ('in_progress', 'rejected', 'completed', 'cancelled')),
  constraint tokenization_processes_current_step_is_known check (current_step in
    ('submission', 'valuation', 'legal_structuring', 'compliance_review', 'token_configuration', 'contract_deployment', 'audit', 'launch')),
  constraint tokenization_processes_progress_is_a_percentage check (progress_percentage between 0 and 100),
  constraint tokenization_processes_steps_are_an_array check (jsonb_typeof(steps_completed) = 'array'),
  constraint tokenization_processes_offering_kind_is_known check (offering_kind in ('issuer_owns', 'acquisition')),
  constraint tokenization_processes_token_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  -- Nobody launches past the gate: a completed process rests on a pass of its own property for a launch.
  constraint tokenization_processes_launch_pass_fkey foreign key (launch_pass_id, property_id, launch_action)
    references public.gate_passes (id, property_id, action) on delete restrict,
  constraint tokenization_processes_launch_passed_the_gate check ((status = 'completed') = (launch_pass_id is not null)),
  constraint tokenization_processes_launch_pass_is_used_once unique (launch_pass_id),
  constraint tokenization_processes_ended_has_no_step check (status in ('in_progress', 'rejected') or current_step is null)
);
comment on table public.tokenization_processes is 'The walk of one property from submission to launch.';
comment on column public.tokenization_processes.id is 'Identity of the process.';
comment on column public.tokenization_processes.property_id is 'The property.';
comment on column public.tokenization_processes.user_id is 'The login that submitted it.';
comment on column public.tokenization_processes.status is 'in_progress, rejected (a step was refused and can be resubmitted), completed or cancelled.';
comment on column public.tokenization_processes.current_step is 'The step that is due: submission, valuation, legal_structuring, compliance_review, token_configuration, contract_deployment, audit, launch; null once ended.';
comment on column public.tokenization_processes.progress_percentage is 'Part of the steps that are done, in percent; derived from tokenization_steps.';
comment on column public.tokenization_processes.steps_completed is 'Names of the steps done, in order; derived from tokenization_steps.';
comment on column public.tokenization_processes.offering_kind is 'issuer_owns (the deed is recorded before launch) or acquisition (bought with the money raised): which evidence the launch needs.';
comment on column public.tokenization_processes.property_token_id is 'The token that its configuration made; null until that is approved.';
comment on column public.tokenization_processes.launch_pass_id is 'The pass of the evidence gate that the launch rests on; set when it is completed, and only then.';
comment on column public.tokenization_processes.launch_action is 'launch, so that the pass is one for a launch.';
comment on column public.tokenization_processes.created_at is 'When it was submitted.';
comment on column public.tokenization_processes.updated_at is 'When the row last changed.';
create index tokenization_processes_status_idx on public.tokenization_processes (status);
create index tokenization_processes_user_id_idx on public.tokenization_processes (user_id);
create index tokenization_processes_property_id_idx on public.tokenization_processes (property_id);
create index tokenization_processes_token_idx on public.tokenization_processes (property_token_id, property_id);
create index tokenization_processes_launch_pass_idx on public.tokenization_processes (launch_pass_id, property_id, launch_action);
create unique index tokenization_processes_one_under_way_key on public.tokenization_processes (property_id)
  where status in ('in_progress', 'rejected');

create table public.tokenization_steps (
  id               uuid primary key default gen_random_uuid(),
  process_id       uuid not null,
  step_name        text not null,
  step_order       smallint not null,
  status           text not null default 'pending',
  started_at       timestamptz,
  completed_at     timestamptz,
  duration_seconds bigint generated always as (floor(extract(epoch from completed_at - started_at))) stored,
  step_data        jsonb not null default '{}',
  submitted_by     uuid,
  submitted_at     timestamptz,
  decided_by       uuid,
  error_details    text,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  constraint tokenization_steps_process_id_fkey foreign key (process_id) references public.tokenization_processes (id) on delete restrict,
  constraint tokenization_steps_name_is_known check (step_name in
    ('submission', 'valuation', 'legal_structuring', 'compliance_review', 'token_configuration', 'contract_deployment', 'audit', 'launch')),
  constraint tokenization_steps_status_is_known check (status in
    ('pending', 'in_progress', 'submitted', 'completed', 'rejected', 'not_required')),
  constraint tokenization_steps_order_is_positive check (step_order >= 1),
  constraint tokenization_steps_completed_after_start check (completed_at >= started_at),
  constraint tokenization_steps_completed_has_a_date check (status <> 'completed' or completed_at is not null),
  constraint tokenization_steps_data_is_an_object check (jsonb_typeof(step_data) = 'object'),
  constraint tokenization_steps_refusal_says_why check (status not in ('rejected', 'not_required') or coalesce(error_details ~ '\S', false)),
  constraint tokenization_steps_error_is_bounded check (length(error_details) <= 5000),
  constraint tokenization_steps_submitted_by_somebody check (num_nulls(submitted_by, submitted_at) in (0, 2)
    and (status <> 'submitted' or submitted_by is not null)),
  -- Nobody approves or rejects what they submitted. That two logins are not one party is nexus.is_same_party()'s.
  constraint tokenization_steps_need_four_eyes check (decided_by <> submitted_by),
  constraint tokenization_steps_once_a_step unique (process_id, step_name),
  constraint tokenization_steps_once_an_order unique (process_id, step_order)
);
comment on table public.tokenization_steps is 'The steps of a process, each with its state.';
comment on column public.tokenization_steps.id is 'Identity of the step.';
comment on column public.tokenization_steps.process_id is 'The process.';
comment on column public.tokenization_steps.step_name is 'Which step it is.';
comment on column public.tokenization_steps.step_order is 'Its place in the walk, from 1.';
comment on column public.tokenization_steps.status is 'pending, in_progress, submitted (waits for another person''s approval), completed, rejected or not_required.';
comment on column public.tokenization_steps.started_at is 'When work on it began.';
comment on column public.tokenization_steps.completed_at is 'When it was approved.';
comment on column public.tokenization_steps.duration_seconds is 'Whole seconds from start to completion; derived.';
comment on column public.tokenization_steps.step_data is 'What was submitted with it.';
comment on column public.tokenization_steps.submitted_by is 'The login that submitted it last.';
comment on column public.tokenization_steps.submitted_at is 'When.';
comment on column public.tokenization_steps.decided_by is 'The login that approved or rejected it last, of another party; null while nobody has.';
comment on column public.tokenization_steps.error_details is 'Why it was rejected or is not required.';
comment on column public.tokenization_steps.created_at is 'When the row was made.';
comment on column public.tokenization_steps.updated_at is 'When the row last changed.';

create index tokenization_steps_submitted_by_idx on public.tokenization_steps (submitted_by);
create index tokenization_steps_decided_by_idx on public.tokenization_steps (decided_by);

create table public.tokenization_reports (
  id               uuid primary key default gen_random_uuid(),
  process_id       uuid not null,
  property_id      uuid not null,
  report_type      text not null,
  report_data      jsonb not null default '{}',
  metrics          jsonb not null default '{}',
  performance_data jsonb not null default '{}',
  compliance_data  jsonb not null default '{}',
  status           text not null default 'generated',
  generated_at     timestamptz not null default now(),
  generated_by     uuid,
  constraint tokenization_reports_process_id_fkey foreign key (process_id) references public.tokenization_processes (id) on delete restrict,
  constraint tokenization_reports_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint tokenization_reports_type_is_a_word check (report_type ~ '^[a-z][a-z0-9_]{0,49}$'),
  constraint tokenization_reports_data_are_objects check (jsonb_typeof(report_data) = 'object' and jsonb_typeof(metrics) = 'object'
    and jsonb_typeof(performance_data) = 'object' and jsonb_typeof(compliance_data) = 'object'),
  constraint tokenization_reports_status_is_known check (status in ('generated', 'superseded'))
);
comment on table public.tokenization_reports is 'Reports about a process, as they were at the instant they were made.';
comment on column public.tokenization_reports.id is 'Identity of the report.';
comment on column public.tokenization_reports.process_id is 'The process.';
comment on column public.tokenization_reports.property_id is 'Its property.';
comment on column public.tokenization_reports.report_type is 'Which report it is, such as summary or audit.';
comment on column public.tokenization_reports.report_data is 'The report.';
comment on column public.tokenization_reports.metrics is 'Durations and counts.';
comment on column public.tokenization_reports.performance_data is 'Figures of the property.';
comment on column public.tokenization_reports.compliance_data is 'Evidence and reviews.';
comment on column public.tokenization_reports.status is 'generated, or superseded by a newer one of its type.';
comment on column public.tokenization_reports.generated_at is 'When it was made.';
comment on column public.tokenization_reports.generated_by is 'The login that asked for it; null when a job did.';
create index tokenization_reports_process_id_idx on public.tokenization_reports (process_id, generated_at desc);
create index tokenization_reports_property_id_idx on public.tokenization_reports (property_id);
create index tokenization_reports_generated_by_idx on public.tokenization_reports (generated_by);

create trigger tokenization_processes_updated_at before update on public.tokenization_processes
  for each row execute function public.update_updated_at_column();
create trigger tokenization_steps_updated_at before update on public.tokenization_steps
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.tokenization_processes');
select nexus.audit_table('public.tokenization_steps');
select nexus.audit_table('public.tokenization_reports');

alter table public.tokenization_processes enable row level security;
grant select on public.tokenization_processes to authenticated, service_role, nexus_engine;
grant insert, update on public.tokenization_processes to nexus_engine;
create policy tokenization_processes_read_own on public.tokenization_processes for select to authenticated using (user_id = (select auth.uid()));
create policy tokenization_processes_read_staff on public.tokenization_processes for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy tokenization_processes_engine on public.tokenization_processes for all to nexus_engine using (true) with check (true);

-- Whoever may see the process may see its steps and reports: their own by an array that the index can use, staff by asking
-- for each row, since an array of all processes would be long.
alter table public.tokenization_steps enable row level security;
grant select on public.tokenization_steps to authenticated, service_role, nexus_engine;
grant insert, update on public.tokenization_steps to nexus_engine;
create policy tokenization_steps_read_own on public.tokenization_steps for select to authenticated
  using (process_id = any (array(select p.id from public.tokenization_processes as p where p.user_id = (select auth.uid()))));
create policy tokenization_steps_read_staff on public.tokenization_steps for select to nexus_staff
  using (exists (select from public.tokenization_processes as p where p.id = process_id));
create policy tokenization_steps_engine on public.tokenization_steps for all to nexus_engine using (true) with check (true);

alter table public.tokenization_reports enable row level security;
grant select on public.tokenization_reports to authenticated, service_role, nexus_engine;
grant insert, update on public.tokenization_reports to nexus_engine;
create policy tokenization_reports_read_own on public.tokenization_reports for select to authenticated
  using (process_id = any (array(select p.id from public.tokenization_processes as p where p.user_id = (select auth.uid()))));
create policy tokenization_reports_read_staff on public.tokenization_reports for select to nexus_staff
  using (exists (select from public.tokenization_processes as p where p.id = process_id));
create policy tokenization_reports_engine on public.tokenization_reports for all to nexus_engine using (true) with check (true);

reset role;

alter table public.tokenization_processes add constraint tokenization_processes_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
alter table public.tokenization_reports add constraint tokenization_reports_generated_by_fkey
  foreign key (generated_by) references auth.users (id) on delete restrict;
alter table public.tokenization_steps add constraint tokenization_steps_submitted_by_fkey
  foreign key (submitted_by) references auth.users (id) on delete restrict;
alter table public.tokenization_steps add constraint tokenization_steps_decided_by_fkey
  foreign key (decided_by) references auth.users (id) on delete restrict;
