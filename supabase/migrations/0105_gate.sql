-- The evidence gate: launch, close and declaration each rest on a pass, and a pass on current accepted evidence. Passes,
-- reviews and overrides are written by the functions here and by nobody else, the engine and the service included; those
-- that give and those that take away lock the same row, so that no path goes round the gate and no race gets through.
set role nexus_owner;

create table public.gate_requirements (
  id             uuid primary key default gen_random_uuid(),
  action         text not null,
  offering_kind  text not null,
  requirement    text not null,
  document_types text[] not null,
  constraint gate_requirements_action_is_known check (action in ('launch', 'close', 'declare')),
  constraint gate_requirements_kind_is_known check (offering_kind in ('issuer_owns', 'acquisition')),
  constraint gate_requirements_requirement_is_known check (requirement in ('title', 'insurance', 'appraisal', 'entity_papers')),
  constraint gate_requirements_names_a_type check (cardinality(document_types) > 0),
  constraint gate_requirements_once_an_action unique (action, offering_kind, requirement)
);
comment on table public.gate_requirements is 'What evidence each action needs, by the kind of its offering. Data of a migration: nobody changes it while the program runs.';
comment on column public.gate_requirements.id is 'Identity of the requirement.';
comment on column public.gate_requirements.action is 'launch, close or declare.';
comment on column public.gate_requirements.offering_kind is 'issuer_owns (the deed is recorded before launch) or acquisition (bought with the money raised).';
comment on column public.gate_requirements.requirement is 'What is asked for: title, insurance, appraisal, entity_papers.';
comment on column public.gate_requirements.document_types is 'Documents any one of which is that.';

insert into public.gate_requirements (action, offering_kind, requirement, document_types)
select r.action, k.kind, r.requirement,
       case when r.action = 'launch' and k.kind = 'acquisition' and r.requirement = 'title' then array['deed', 'title_search'] else r.types end
from (values
  ('launch', 'title', array['deed']), ('launch', 'insurance', array['insurance']), ('launch', 'appraisal', array['appraisal']),
  ('launch', 'entity_papers', array['entity_papers']),
  ('close', 'title', array['deed']), ('close', 'insurance', array['insurance']),
  ('declare', 'title', array['deed']), ('declare', 'insurance', array['insurance'])
) as r (action, requirement, types), (values ('issuer_owns'), ('acquisition')) as k (kind);

create table public.property_gates (
  property_id uuid primary key,
  constraint property_gates_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict
);
comment on table public.property_gates is 'The row of a property that is locked whenever evidence is decided about or relied on. It says nothing else.';
comment on column public.property_gates.property_id is 'The property.';

create table public.gate_overrides (
  id            uuid primary key default gen_random_uuid(),
  property_id   uuid not null,
  action        text not null,
  subject_id    uuid not null,
  requirements  text[] not null,
  reason        text not null,
  requested_by  uuid not null,
  requested_at  timestamptz not null,
  approved_by   uuid,
  approved_at   timestamptz,
  valid_until   timestamptz not null,
  constraint gate_overrides_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint gate_overrides_action_is_known check (action in ('launch', 'close', 'declare')),
  -- Selling houses without their deeds is what this platform is built against: title is waived by nobody.
  constraint gate_overrides_never_waive_title check (
    cardinality(requirements) > 0 and requirements <@ array['insurance', 'appraisal', 'entity_papers']),
  constraint gate_overrides_say_why check (reason ~ '\S' and length(reason) <= 2000),
  constraint gate_overrides_need_two_persons check (approved_by <> requested_by),
  constraint gate_overrides_approval_is_whole check (num_nulls(approved_by, approved_at) in (0, 2)),
  constraint gate_overrides_end check (valid_until > requested_at and valid_until <= requested_at + interval '30 days'),
  constraint gate_overrides_as_passes_refer_key unique (id, property_id, action, subject_id)
);
comment on table public.gate_overrides is 'Two overseers let one action through without some evidence, once and for at most 30 days. Stays visible for ever.';
comment on column public.gate_overrides.id is 'Identity of the override.';
comment on column public.gate_overrides.property_id is 'The property.';
comment on column public.gate_overrides.action is 'launch, close or declare.';
comment on column public.gate_overrides.subject_id is 'What is launched, closed or declared: process, offering or distribution.';
comment on column public.gate_overrides.requirements is 'What is waived: insurance, appraisal, entity_papers. Never title, never an open incident.';
comment on column public.gate_overrides.reason is 'Why.';
comment on column public.gate_overrides.requested_by is 'The overseer who asked.';
comment on column public.gate_overrides.requested_at is 'When.';
comment on column public.gate_overrides.approved_by is 'The other overseer, of another party, who approved; null until then.';
comment on column public.gate_overrides.approved_at is 'When.';
comment on column public.gate_overrides.valid_until is 'From when on it no longer holds.';
create index gate_overrides_property_id_idx on public.gate_overrides (property_id, action, subject_id);
create index gate_overrides_requested_by_idx on public.gate_overrides (requested_by);
create index gate_overrides_approved_by_idx on public.gate_overrides (approved_by);

create table public.gate_passes (
  id            uuid primary key default gen_random_uuid(),
  property_id   uuid not null,
  action        text not null,
  subject_id    uuid not null,
  offering_kind text not null,
  passed_at     timestamptz not null,
  actor_id      uuid,
  override_id   uuid,
  constraint gate_passes_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint gate_passes_action_is_known check (action in ('launch', 'close', 'declare')),
  constraint gate_passes_kind_is_known check (offering_kind in ('issuer_owns', 'acquisition')),
  constraint gate_passes_override_fkey foreign key (override_id, property_id, action, subject_id)
    references public.gate_overrides (id, property_id, action, subject_id),
  constraint gate_passes_override_is_used_once unique (override_id),
  -- What offerings, processes and distributions refer to: a pass of another property or action does not fit.
  constraint gate_passes_id_property_id_action_key unique (id, property_id, action)
);
comment on table public.gate_passes is 'That an action of a property was let through the evidence gate. Written by nexus.pass_gate() only.';
comment on column public.gate_passes.id is 'Identity of the pass.';
comment on column public.gate_passes.property_id is 'The property.';
comment on column public.gate_passes.action is 'launch, close or declare.';
comment on column public.gate_passes.subject_id is 'What is launched, closed or declared: process, offering or distribution.';
comment on column public.gate_passes.offering_kind is 'issuer_owns or acquisition: which requirements held.';
comment on column public.gate_passes.passed_at is 'The instant at which the evidence was current.';
comment on column public.gate_passes.actor_id is 'The login whose command passed; null for a job.';
comment on column public.gate_passes.override_id is 'The override that waived what was missing; null where nothing was.';
create index gate_passes_property_id_idx on public.gate_passes (property_id, action, passed_at desc);
create index gate_passes_subject_id_idx on public.gate_passes (subject_id);
create index gate_passes_actor_id_idx on public.gate_passes (actor_id);
create index gate_passes_override_idx on public.gate_passes (override_id, property_id, action, subject_id);

create table public.gate_pass_evidence (
  id          uuid primary key default gen_random_uuid(),
  pass_id     uuid not null,
  property_id uuid not null,
  action      text not null,
  requirement text not null,
  document_id uuid not null,
  sha256      bytea not null,
  constraint gate_pass_evidence_pass_fkey foreign key (pass_id, property_id, action)
    references public.gate_passes (id, property_id, action) on delete restrict,
  constraint gate_pass_evidence_document_fkey foreign key (document_id, property_id)
    references public.property_documents (id, property_id) on delete restrict,
  constraint gate_pass_evidence_sha256_has_32_bytes check (length(sha256) = 32),
  constraint gate_pass_evidence_once_a_requirement unique (pass_id, requirement)
);
comment on table public.gate_pass_evidence is 'The documents that a pass rests on, of its own property. Written by nexus.pass_gate() only.';
comment on column public.gate_pass_evidence.id is 'Identity of the row.';
comment on column public.gate_pass_evidence.pass_id is 'The pass.';
comment on column public.gate_pass_evidence.property_id is 'Property of the pass and of the document.';
comment on column public.gate_pass_evidence.action is 'Action of the pass.';
comment on column public.gate_pass_evidence.requirement is 'What the document shows: title, insurance, appraisal, entity_papers.';
comment on column public.gate_pass_evidence.document_id is 'The document.';
comment on column public.gate_pass_evidence.sha256 is 'SHA-256 of its bytes at the pass.';
create index gate_pass_evidence_pass_idx on public.gate_pass_evidence (pass_id, property_id, action);
create index gate_pass_evidence_document_idx on public.gate_pass_evidence (document_id, property_id);

create function nexus.is_overseer(user_id uuid, variadic roles text[]) returns boolean
language sql stable security definer set search_path = ''
as $$
  select exists (
    select from public.user_role_assignments as a
    where a.user_id = is_overseer.user_id and a.is_active and a.role = any (roles))
$$;
comment on function nexus.is_overseer(uuid, text[]) is 'Whether a login has one of these roles now, asked by functions that decide.';

create function nexus.is_same_party(one uuid, other uuid) returns boolean
language sql stable security definer set search_path = ''
as $$
  select one = other or exists (
    select from public.user_profiles as a join public.user_profiles as b on b.party_id = a.party_id where a.id = one and b.id = other)
$$;
comment on function nexus.is_same_party(uuid, uuid) is 'Whether two logins are one person: four eyes are counted by party.';

create function nexus.lock_gate(property_id uuid) returns void
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.property_gates (property_id) values (lock_gate.property_id) on conflict on constraint property_gates_pkey do nothing;
  perform from public.property_gates as g where g.property_id = lock_gate.property_id for update;
end
$$;
comment on function nexus.lock_gate(uuid) is 'Locks a property''s gate until the end of the transaction.';

create function nexus.review_document(document_id uuid, decision text, reason text, at timestamptz) returns uuid
language plpgsql security definer set search_path = ''
as $$
declare
  doc public.property_documents;
  reviewer uuid := auth.uid();
  new_id uuid := gen_random_uuid();
begin
  if reviewer is null or not nexus.is_overseer(reviewer, 'compliance_officer') then
    raise exception 'documents are reviewed by compliance officers' using errcode = 'insufficient_privilege', constraint = 'reviews_are_by_officers';
  end if;
  select * into doc from public.property_documents as d where d.id = review_document.document_id;
  if not found then
    raise exception 'there is no such document' using errcode = 'no_data_found', constraint = 'reviews_are_of_a_document';
  end if;
  perform nexus.lock_gate(doc.property_id);
  select * into doc from public.property_documents as d where d.id = review_document.document_id for update;
  if doc.uploaded_by is null or nexus.is_same_party(reviewer, doc.uploaded_by) then
    raise exception 'nobody reviews what they filed, and what nobody filed is not reviewed'
      using errcode = 'check_violation', constraint = 'reviews_need_four_eyes';
  end if;
  if (doc.review_status, decision) not in (('pending', 'accepted'), ('pending', 'rejected'), ('accepted', 'revoked')) then
    raise exception 'a document that is % cannot become %', doc.review_status, decision
      using errcode = 'check_violation', constraint = 'reviews_follow_their_order', detail = doc.review_status;
  end if;
  if decision = 'accepted' and doc.sha256 is null then
    raise exception 'a document whose bytes are not kept here is no evidence'
      using errcode = 'check_violation', constraint = 'reviews_are_of_stored_bytes';
  end if;
  if decision = 'accepted' and doc.expires_at <= at then
    raise exception 'the document expired at %', doc.expires_at using errcode = 'check_violation', constraint = 'reviews_are_of_current_documents';
  end if;
  insert into public.property_document_reviews (id, document_id, reviewer_id, decision, reason, reviewed_at)
  values (new_id, doc.id, reviewer, review_document.decision, review_document.reason, at);
  update public.property_documents set review_status = review_document.decision where id = doc.id;
  return new_id;
end
$$;
comment on function nexus.review_document(uuid, text, text, timestamptz) is 'Accepts, rejects or revokes a document for the caller, a compliance officer of another party than its uploader''s, under the lock of the property''s gate.';

create function nexus.request_gate_override(property_id uuid, action text, subject_id uuid, requirements text[], reason text,
  valid_until timestamptz, at timestamptz) returns uuid
language plpgsql security definer set search_path = ''
as $$
declare
  new_id uuid := gen_random_uuid();
begin
  if auth.uid() is null or not nexus.is_overseer(auth.uid(), 'compliance_officer', 'admin') then
    raise exception 'overrides are asked for by compliance officers and admins'
      using errcode = 'insufficient_privilege', constraint = 'overrides_are_by_overseers';
  end if;
  insert into public.gate_overrides (id, property_id, action, subject_id, requirements, reason, requested_by, requested_at, valid_until)
  values (new_id, request_gate_override.property_id, request_gate_override.action, request_gate_override.subject_id,
    request_gate_override.requirements, request_gate_override.reason, auth.uid(), at, request_gate_override.valid_until);
  return new_id;
end
$$;
comment on function nexus.request_gate_override(uuid, text, uuid, text[], text, timestamptz, timestamptz) is 'Asks, as an overseer, to let one action through without some evidence.';

create function nexus.approve_gate_override(override_id uuid, at timestamptz) returns void
language plpgsql security definer set search_path = ''
as $$
declare
  asked public.gate_overrides;
begin
  if auth.uid() is null or not nexus.is_overseer(auth.uid(), 'compliance_officer', 'admin') then
    raise exception 'overrides are approved by compliance officers and admins'
      using errcode = 'insufficient_privilege', constraint = 'overrides_are_by_overseers';
  end if;
  select * into asked from public.gate_overrides as o where o.id = approve_gate_override.override_id for update;
  if not found then
    raise exception 'there is no such override' using errcode = 'no_data_found', constraint = 'overrides_exist';
  end if;
  if nexus.is_same_party(auth.uid(), asked.requested_by) then
    raise exception 'an override needs two persons' using errcode = 'check_violation', constraint = 'gate_overrides_need_two_persons';
  end if;
  if asked.approved_by is not null or asked.valid_until <= at then
    raise exception 'the override is approved already, or its time is over'
      using errcode = 'check_violation', constraint = 'overrides_are_approved_once';
  end if;
  update public.gate_overrides set approved_by = auth.uid(), approved_at = at where id = asked.id;
end
$$;
comment on function nexus.approve_gate_override(uuid, timestamptz) is 'Approves an override, as an overseer of another party than the one who asked.';

create function nexus.gate_evidence(property_id uuid, action text, kind text, at timestamptz, deed_since date)
returns table (requirement text, document_types text[], document_id uuid, sha256 bytea, found text)
language sql stable security definer set search_path = ''
as $$
  select r.requirement, r.document_types, current.id, current.sha256,
    -- Of what is there and does not count, the nearest to counting.
    case when current.id is not null then 'current' else coalesce((
      select case when d.review_status = 'accepted' and d.expires_at <= at then 'expired'
                  when d.review_status = 'accepted' then 'too early' else d.review_status end
      from public.property_documents as d
      where d.property_id = gate_evidence.property_id and d.document_type = any (r.document_types)
      order by array_position(array['accepted', 'pending', 'revoked', 'rejected'], d.review_status), d.expires_at desc nulls first
      limit 1), 'missing') end
  from public.gate_requirements as r
  left join lateral (
    select d.id, d.sha256 from public.property_documents as d
    where d.property_id = gate_evidence.property_id and d.document_type = any (r.document_types) and d.review_status = 'accepted'
      and (d.expires_at is null or d.expires_at > at) and (d.issued_on is null or d.issued_on <= (at at time zone 'UTC')::date)
      and (r.requirement <> 'title' or deed_since is null or d.issued_on >= deed_since)
    order by d.issued_on desc nulls last, d.created_at desc, d.id
    limit 1) as current on true
  where r.action = gate_evidence.action and r.offering_kind = kind
$$;
comment on function nexus.gate_evidence(uuid, text, text, timestamptz, date) is 'What an action needs and what there is of it at an instant; title counts from a day on, where one is given. Decides nothing: nexus.pass_gate() does, under the lock.';

create function nexus.pass_gate(property_id uuid, action text, subject_id uuid, kind text, at timestamptz, deed_since date default null)
returns uuid
language plpgsql security definer set search_path = ''
as $$
declare
  new_id uuid := gen_random_uuid();
  since date := deed_since;
  lacking jsonb;
  lacking_names text[];
  waiver uuid;
begin
  if not exists (select from public.gate_requirements as r where r.action = pass_gate.action and r.offering_kind = kind) then
    raise exception 'there is no gate for % of %', action, kind using errcode = 'invalid_parameter_value', constraint = 'gate_is_known';
  end if;
  perform nexus.lock_gate(pass_gate.property_id);
  if action in ('close', 'declare') and nexus.has_open_incident(pass_gate.property_id) then
    raise exception 'an incident of the property is open' using errcode = 'check_violation', constraint = 'gate_has_no_open_incident';
  end if;
  -- A house that is bought with the money raised has its own deed after it was launched, and not the seller's from before.
  if action = 'close' and kind = 'acquisition' and since is null then
    select max(p.passed_at at time zone 'UTC')::date into since from public.gate_passes as p
    where p.property_id = pass_gate.property_id and p.action = 'launch' and p.offering_kind = 'acquisition';
    since := coalesce(since, 'infinity');
  end if;
  select jsonb_agg(jsonb_build_object('requirement', e.requirement, 'documents', e.document_types, 'found', e.found) order by e.requirement),
         array_agg(e.requirement order by e.requirement)
    into lacking, lacking_names
  from nexus.gate_evidence(pass_gate.property_id, action, kind, at, since) as e where e.document_id is null;
  if lacking is not null then
    select o.id into waiver from public.gate_overrides as o
    where o.property_id = pass_gate.property_id and o.action = pass_gate.action and o.subject_id = pass_gate.subject_id
      and lacking_names <@ o.requirements and o.approved_at <= at and o.valid_until > at
      and not exists (select from public.gate_passes as p where p.override_id = o.id)
    order by o.approved_at limit 1 for update;
    if waiver is null then
      raise exception 'evidence is missing: %', array_to_string(lacking_names, ', ')
        using errcode = 'check_violation', constraint = 'gate_evidence_is_current', detail = lacking::text;
    end if;
  end if;
  insert into public.gate_passes (id, property_id, action, subject_id, offering_kind, passed_at, actor_id, override_id)
  values (new_id, pass_gate.property_id, pass_gate.action, pass_gate.subject_id, kind, at, auth.uid(), waiver);
  insert into public.gate_pass_evidence (pass_id, property_id, action, requirement, document_id, sha256)
  select new_id, pass_gate.property_id, pass_gate.action, e.requirement, e.document_id, e.sha256
  from nexus.gate_evidence(pass_gate.property_id, action, kind, at, since) as e where e.document_id is not null;
  return new_id;
end
$$;
comment on function nexus.pass_gate(uuid, text, uuid, text, timestamptz, date) is 'Lets an action of a property through where its evidence is current at an instant, or an approved override waives what is missing: the pass. Refuses by a named constraint, with what is missing in the detail.';

grant execute on function nexus.review_document(uuid, text, text, timestamptz),
  nexus.request_gate_override(uuid, text, uuid, text[], text, timestamptz, timestamptz), nexus.approve_gate_override(uuid, timestamptz),
  nexus.gate_evidence(uuid, text, text, timestamptz, date), nexus.pass_gate(uuid, text, uuid, text, timestamptz, date),
  nexus.has_open_incident(uuid), nexus.is_same_party(uuid, uuid)
  to nexus_engine;

create trigger gate_passes_are_append_only before update or delete or truncate on public.gate_passes
  for each statement execute function nexus.refuse_change();
create trigger gate_pass_evidence_is_append_only before update or delete or truncate on public.gate_pass_evidence
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.gate_requirements');
select nexus.audit_table('public.gate_overrides');
select nexus.audit_table('public.gate_passes');
select nexus.audit_table('public.gate_pass_evidence');

alter table public.gate_requirements enable row level security;
grant select on public.gate_requirements to anon, authenticated, service_role, nexus_engine;
create policy gate_requirements_read_everybody on public.gate_requirements for select to anon, authenticated, nexus_engine using (true);

alter table public.property_gates enable row level security;
grant select on public.property_gates to nexus_engine;
create policy property_gates_engine on public.property_gates for select to nexus_engine using (true);

alter table public.gate_overrides enable row level security;
grant select on public.gate_overrides to nexus_staff, service_role, nexus_engine;
create policy gate_overrides_read_staff on public.gate_overrides for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy gate_overrides_engine on public.gate_overrides for select to nexus_engine using (true);

alter table public.gate_passes enable row level security;
grant select on public.gate_passes to nexus_staff, service_role, nexus_engine;
create policy gate_passes_read_staff on public.gate_passes for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy gate_passes_engine on public.gate_passes for select to nexus_engine using (true);

alter table public.gate_pass_evidence enable row level security;
grant select on public.gate_pass_evidence to nexus_staff, service_role, nexus_engine;
create policy gate_pass_evidence_read_staff on public.gate_pass_evidence for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy gate_pass_evidence_engine on public.gate_pass_evidence for select to nexus_engine using (true);

reset role;

alter table public.gate_overrides add constraint gate_overrides_requested_by_fkey
  foreign key (requested_by) references auth.users (id) on delete restrict;
alter table public.gate_overrides add constraint gate_overrides_approved_by_fkey
  foreign key (approved_by) references auth.users (id) on delete restrict;
alter table public.gate_passes add constraint gate_passes_actor_id_fkey
  foreign key (actor_id) references auth.users (id) on delete restrict;
