-- Identity verification: what a person submitted, readable by that person, and shown to compliance officers one audited read at a time.
set role nexus_owner;

create table public.compliance_terms (
  kind       text not null,
  valid_from date not null,
  days_max   integer not null,
  source     text not null,
  created_at timestamptz not null default now(),
  constraint compliance_terms_pkey primary key (kind, valid_from),
  constraint compliance_terms_kind_is_known check (kind in ('identity', 'screening', 'accredited', 'sophisticated', 'entry_test', 'net_worth', 'tax_form')),
  constraint compliance_terms_days_are_some check (days_max between 1 and 3660),
  constraint compliance_terms_source_is_not_blank check (source ~ '\S' and length(source) <= 500)
);
comment on table public.compliance_terms is 'How long what was verified, screened or stated about a party holds at most, from a day on. Of a kind the row with the latest valid_from that is not in the future holds. Rows are added, never changed.';
comment on column public.compliance_terms.kind is 'identity, screening, accredited, sophisticated, entry_test, net_worth (how long a stated net worth counts) or tax_form.';
comment on column public.compliance_terms.valid_from is 'First day on which the row holds.';
comment on column public.compliance_terms.days_max is 'Days from the decision to its end at most.';
comment on column public.compliance_terms.source is 'Where the number comes from; [?] until somebody competent has checked it.';
comment on column public.compliance_terms.created_at is 'When it was recorded.';
insert into public.compliance_terms (kind, valid_from, days_max, source) values
  ('identity',      '2000-01-01', 730, 'Nexus Mint: documents are looked at again every two years [?]'),
  ('screening',     '2000-01-01', 30,  'Nexus Mint: lists change weekly, parties are compared again every 30 days [?]'),
  ('accredited',    '2000-01-01', 90,  'Reg D 506(c), 17 CFR 230.506(c)(2)(ii): written confirmation not older than three months [?]'),
  ('sophisticated', '2000-01-01', 730, 'Regulation (EU) 2020/1503, Annex II: valid for two years [?]'),
  ('entry_test',    '2000-01-01', 730, 'Regulation (EU) 2020/1503, Article 21(3): assessed again every two years [?]'),
  ('net_worth',     '2000-01-01', 365, 'Regulation (EU) 2020/1503, Article 21(5): ability to bear loss simulated every year [?]'),
  ('tax_form',      '2000-01-01', 1461, 'Nexus Mint: tax forms are asked for again after four years at most; 26 CFR 1.1441-1(e)(4)(ii) has the third year after signing [?]');
create trigger compliance_terms_are_append_only before update or delete or truncate on public.compliance_terms
  for each statement execute function nexus.refuse_change();
alter table public.compliance_terms enable row level security;
grant select on public.compliance_terms to anon, authenticated, service_role, nexus_engine;
create policy compliance_terms_read_all on public.compliance_terms for select to anon, authenticated using (true);
create policy compliance_terms_engine on public.compliance_terms for select to nexus_engine using (true);
select nexus.audit_table('public.compliance_terms', 'kind');

create table public.kyc_cases (
  id           uuid primary key default gen_random_uuid(),
  user_id      uuid not null,
  party_id     uuid not null,
  kyc_level    text not null,
  submission   jsonb not null default '{}',
  status       text not null default 'submitted',
  taken_by     uuid,
  taken_at     timestamptz,
  decided_by   uuid,
  decided_at   timestamptz,
  reason       text,
  expires_at   timestamptz,
  ended_at     timestamptz,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  constraint kyc_cases_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint kyc_cases_level_is_known check (kyc_level in ('basic', 'enhanced')),
  constraint kyc_cases_submission_is_an_object check (jsonb_typeof(submission) = 'object'),
  constraint kyc_cases_status_is_known check (status in ('submitted', 'in_review', 'approved', 'rejected', 'expired', 'withdrawn', 'superseded', 'revoked')),
  constraint kyc_cases_submission_is_bounded check (length(submission::text) <= 20000),
  constraint kyc_cases_review_is_signed check (status <> 'in_review' or num_nulls(taken_by, taken_at) = 0),
  constraint kyc_cases_decided_by_another check (decided_by <> user_id),
  constraint kyc_cases_taken_by_another check (taken_by <> user_id),
  constraint kyc_cases_decision_is_signed check (
    status not in ('approved', 'rejected', 'expired', 'superseded', 'revoked') or num_nulls(decided_by, decided_at) = 0),
  constraint kyc_cases_refusal_has_a_reason check (status not in ('rejected', 'revoked') or reason ~ '\S'),
  constraint kyc_cases_end_has_an_instant check ((status in ('submitted', 'in_review', 'approved')) = (ended_at is null)),
  constraint kyc_cases_reason_is_bounded check (length(reason) <= 2000),
  constraint kyc_cases_approval_expires check (status <> 'approved' or expires_at > decided_at)
);
comment on table public.kyc_cases is 'A person''s request to have the identity verified, what was submitted, and the decision. Read by the person; shown to compliance officers by a command that notes each read in the audit trail; written by commands.';
comment on column public.kyc_cases.id is 'Identity of the case.';
comment on column public.kyc_cases.user_id is 'The login that submitted.';
comment on column public.kyc_cases.party_id is 'The party whose identity it is.';
comment on column public.kyc_cases.kyc_level is 'What is asked for: basic or enhanced.';
comment on column public.kyc_cases.submission is 'What the person stated.';
comment on column public.kyc_cases.status is 'submitted, in_review, approved, rejected, expired, withdrawn (by the person), superseded (by a newer approval) or revoked (an approval that an officer took back).';
comment on column public.kyc_cases.taken_by is 'The compliance officer who reviews it.';
comment on column public.kyc_cases.taken_at is 'When the review began.';
comment on column public.kyc_cases.decided_by is 'The compliance officer who decided; never the person himself, nor another login of the party, nor one of its owners.';
comment on column public.kyc_cases.decided_at is 'When it was decided.';
comment on column public.kyc_cases.reason is 'Why it was rejected or revoked.';
comment on column public.kyc_cases.expires_at is 'Until when an approval holds: it does before this instant and no longer at it.';
comment on column public.kyc_cases.ended_at is 'When it was rejected, withdrawn, superseded or revoked, or found expired; null while open or in force.';
comment on column public.kyc_cases.created_at is 'When it was submitted.';
comment on column public.kyc_cases.updated_at is 'When the row last changed.';
create index kyc_cases_user_id_idx on public.kyc_cases (user_id);
create index kyc_cases_party_id_idx on public.kyc_cases (party_id);
create index kyc_cases_decided_by_idx on public.kyc_cases (decided_by);
create index kyc_cases_taken_by_idx on public.kyc_cases (taken_by);
create index kyc_cases_due_idx on public.kyc_cases (expires_at) where status = 'approved';
create index kyc_cases_queue_idx on public.kyc_cases (created_at) where status in ('submitted', 'in_review');
create unique index kyc_cases_one_open_key on public.kyc_cases (party_id) where status in ('submitted', 'in_review');
create unique index kyc_cases_one_approved_key on public.kyc_cases (party_id) where status = 'approved';

create table public.kyc_documents (
  id            uuid primary key default gen_random_uuid(),
  user_id       uuid not null default auth.uid(),
  kyc_case_id   uuid,
  document_type text not null,
  file_name     text not null,
  file_url      text not null,
  file_size     bigint,
  status        text not null default 'pending',
  notes         text,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  constraint kyc_documents_kyc_case_id_fkey foreign key (kyc_case_id) references public.kyc_cases (id) on delete restrict,
  constraint kyc_documents_type_is_a_word check (document_type ~ '^[a-z][a-z0-9_]{0,49}$'),
  constraint kyc_documents_file_name_is_bounded check (file_name ~ '\S' and length(file_name) <= 300),
  constraint kyc_documents_file_is_in_own_folder check (
    nexus.is_storage_path(file_url, 'kyc-documents') and split_part(file_url, '/', 2) = user_id::text),
  constraint kyc_documents_file_size_not_negative check (file_size >= 0),
  constraint kyc_documents_status_is_known check (status in ('pending', 'accepted', 'rejected')),
  constraint kyc_documents_notes_are_bounded check (length(notes) <= 2000)
);
comment on table public.kyc_documents is 'Documents that a person filed to have the identity verified. Read by the person; shown to compliance officers by a command that notes each read in the audit trail.';
comment on column public.kyc_documents.id is 'Identity of the document.';
comment on column public.kyc_documents.user_id is 'The login that filed it.';
comment on column public.kyc_documents.kyc_case_id is 'The case it belongs to; null until submitted with one.';
comment on column public.kyc_documents.document_type is 'What it is, such as passport, national_id, proof_of_address, proof_of_income.';
comment on column public.kyc_documents.file_name is 'Name of the file as filed.';
comment on column public.kyc_documents.file_url is 'Where the bytes are: kyc-documents/<login id>/...; never a URL.';
comment on column public.kyc_documents.file_size is 'Size in bytes.';
comment on column public.kyc_documents.status is 'pending, accepted or rejected.';
comment on column public.kyc_documents.notes is 'What the reviewer tells the person.';
comment on column public.kyc_documents.created_at is 'When it was filed.';
comment on column public.kyc_documents.updated_at is 'When the row last changed.';
create index kyc_documents_user_id_idx on public.kyc_documents (user_id);
create index kyc_documents_kyc_case_id_idx on public.kyc_documents (kyc_case_id);

create trigger kyc_cases_updated_at before update on public.kyc_cases
  for each row execute function public.update_updated_at_column();
create trigger kyc_documents_updated_at before update on public.kyc_documents
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.kyc_cases');
select nexus.audit_table('public.kyc_documents');

create function nexus.refuse_own_decision() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if exists (
    select from public.user_profiles as u
    where u.id in ((to_jsonb(new) ->> 'taken_by')::uuid, new.decided_by)
      and (u.party_id = new.party_id
        or exists (select from public.party_owners as o where o.party_id = new.party_id and o.owner_party_id = u.party_id))
  ) then
    raise exception 'nobody decides about the party that he acts for or owns a part of'
      using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = tg_table_name || '_decided_by_a_stranger';
  end if;
  return new;
end
$$;
comment on function nexus.refuse_own_decision() is 'Trigger: refuses a reviewer whose login acts for the party of the case, or whose party is or was an owner of it, whoever writes the row.';

create trigger kyc_cases_decided_by_a_stranger before insert or update of taken_by, decided_by on public.kyc_cases
  for each row execute function nexus.refuse_own_decision();

-- Staff have no policy here on purpose: an officer is shown a case by a command, which notes the read in the audit trail.
alter table public.kyc_cases enable row level security;
grant select on public.kyc_cases to authenticated, nexus_engine;
grant insert, update on public.kyc_cases to nexus_engine;
create policy kyc_cases_read_own on public.kyc_cases for select to authenticated using (user_id = (select auth.uid()));
create policy kyc_cases_engine on public.kyc_cases for all to nexus_engine using (true) with check (true);

alter table public.kyc_documents enable row level security;
grant select on public.kyc_documents to authenticated, nexus_engine;
grant insert (user_id, document_type, file_name, file_url, file_size) on public.kyc_documents to authenticated;
grant insert, update on public.kyc_documents to nexus_engine;
create policy kyc_documents_read_own on public.kyc_documents for select to authenticated using (user_id = (select auth.uid()));
create policy kyc_documents_insert_own on public.kyc_documents for insert to authenticated with check (user_id = (select auth.uid()));
create policy kyc_documents_engine on public.kyc_documents for all to nexus_engine using (true) with check (true);

reset role;

alter table public.kyc_cases add constraint kyc_cases_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
alter table public.kyc_cases add constraint kyc_cases_taken_by_fkey
  foreign key (taken_by) references auth.users (id) on delete restrict;
alter table public.kyc_cases add constraint kyc_cases_decided_by_fkey
  foreign key (decided_by) references auth.users (id) on delete restrict;
alter table public.kyc_documents add constraint kyc_documents_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
