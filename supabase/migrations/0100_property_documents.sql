-- Documents about a property: evidence and what is published. The bytes are in storage.
set role nexus_owner;

create table public.property_documents (
  id            uuid primary key default gen_random_uuid(),
  property_id   uuid not null,
  document_name text not null,
  document_type text not null,
  file_url      text not null,
  file_type     text,
  file_size     bigint,
  sha256        bytea,
  source        text,
  issued_on     date,
  expires_at    timestamptz,
  is_public     boolean not null default false,
  requires_kyc  boolean not null default false,
  review_status text not null default 'pending',
  uploaded_by   uuid default auth.uid(),
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  constraint property_documents_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint property_documents_name_is_not_blank check (document_name ~ '\S' and length(document_name) <= 300),
  constraint property_documents_type_is_known check (document_type in
    ('deed', 'title_search', 'lien_status', 'tax_status', 'insurance', 'permit', 'appraisal', 'entity_papers', 'lease', 'inspection', 'offering', 'other')),
  constraint property_documents_file_is_a_path check (
    nexus.is_storage_path(file_url, 'property-evidence') or nexus.is_storage_path(file_url, 'property-media')),
  -- The folder is the property: nobody files another property's document as his own.
  constraint property_documents_file_is_of_property check (split_part(file_url, '/', 2) = property_id::text),
  constraint property_documents_file_type_is_short check (length(file_type) <= 200),
  constraint property_documents_file_size_not_negative check (file_size >= 0),
  constraint property_documents_sha256_has_32_bytes check (length(sha256) = 32),
  constraint property_documents_source_is_short check (length(source) <= 500),
  constraint property_documents_expires_after_issue check (expires_at::timestamptz > (issued_on::timestamp at time zone 'UTC')),
  constraint property_documents_review_status_is_known check (review_status in ('pending', 'accepted', 'rejected', 'revoked')),
  -- What a gate rests on is known to the byte: a row without the digest that the server computed is never accepted.
  constraint property_documents_accepted_has_its_digest check (review_status <> 'accepted' or sha256 is not null),
  -- What valuations and passes refer to, so that their evidence is about their property.
  constraint property_documents_id_property_id_key unique (id, property_id)
);
comment on table public.property_documents is 'Documents about a property: evidence (deed, insurance, appraisal, ...) and what is published. A new version is a new row. Public rows hold nothing private; who reviewed is in property_document_reviews.';
comment on column public.property_documents.id is 'Identity of the document.';
comment on column public.property_documents.property_id is 'The property it is about.';
comment on column public.property_documents.document_name is 'Name to show.';
comment on column public.property_documents.document_type is 'Kind of evidence: deed, title_search, lien_status, tax_status, insurance, permit, appraisal, entity_papers, lease, inspection, offering, other.';
comment on column public.property_documents.file_url is 'Where the bytes are: property-evidence/<property id>/... (private) or property-media/<property id>/... (public); never a URL.';
comment on column public.property_documents.file_type is 'MIME type.';
comment on column public.property_documents.file_size is 'Size in bytes.';
comment on column public.property_documents.sha256 is 'SHA-256 of the bytes, computed by the server that stored them; null where a client filed the row, which is then no evidence.';
comment on column public.property_documents.source is 'Who issued it.';
comment on column public.property_documents.issued_on is 'Day of issue.';
comment on column public.property_documents.expires_at is 'When it stops being evidence; null: never.';
comment on column public.property_documents.is_public is 'Whether everybody may see it once accepted.';
comment on column public.property_documents.requires_kyc is 'Whether a signed-in person whose identity is verified may see it once accepted.';
comment on column public.property_documents.review_status is 'pending, accepted, rejected or revoked: a copy of the newest review, written with it.';
comment on column public.property_documents.uploaded_by is 'The login that filed it.';
comment on column public.property_documents.created_at is 'When it was filed.';
comment on column public.property_documents.updated_at is 'When the row last changed.';
create index property_documents_property_id_idx on public.property_documents (property_id);
create index property_documents_uploaded_by_idx on public.property_documents (uploaded_by);
create index property_documents_expires_at_idx on public.property_documents (expires_at) where expires_at is not null;

create table public.property_document_reviews (
  id          uuid primary key default gen_random_uuid(),
  document_id uuid not null,
  reviewer_id uuid not null,
  decision    text not null,
  reason      text,
  reviewed_at timestamptz not null default now(),
  constraint property_document_reviews_document_id_fkey foreign key (document_id) references public.property_documents (id) on delete restrict,
  constraint property_document_reviews_decision_is_known check (decision in ('accepted', 'rejected', 'revoked')),
  constraint property_document_reviews_refusal_has_a_reason check (decision = 'accepted' or coalesce(reason ~ '\S', false)),
  constraint property_document_reviews_reason_is_bounded check (length(reason) <= 2000)
);
comment on table public.property_document_reviews is 'Who accepted, rejected or revoked a document, when and why; the newest counts. Written by nexus.review_document() only.';
comment on column public.property_document_reviews.id is 'Identity of the review.';
comment on column public.property_document_reviews.document_id is 'The document.';
comment on column public.property_document_reviews.reviewer_id is 'The login that decided; never the one that filed it.';
comment on column public.property_document_reviews.decision is 'accepted, rejected or revoked.';
comment on column public.property_document_reviews.reason is 'Why; needed unless accepted.';
comment on column public.property_document_reviews.reviewed_at is 'When.';
create index property_document_reviews_document_id_idx on public.property_document_reviews (document_id, reviewed_at desc);
create index property_document_reviews_reviewer_id_idx on public.property_document_reviews (reviewer_id);

create trigger property_document_reviews_are_append_only before update or delete or truncate on public.property_document_reviews
  for each statement execute function nexus.refuse_change();

create trigger property_documents_updated_at before update on public.property_documents
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.property_documents');
select nexus.audit_table('public.property_document_reviews');

alter table public.property_documents enable row level security;
grant select on public.property_documents to anon, authenticated, service_role, nexus_engine;
grant insert (property_id, document_name, document_type, file_url, source, issued_on, expires_at, is_public, requires_kyc, uploaded_by)
  on public.property_documents to nexus_staff, service_role;
-- What a review decided, and what it was about, is changed by nobody: a new version is a new row.
grant insert (id, property_id, document_name, document_type, file_url, file_type, file_size, sha256, source, issued_on, expires_at, is_public,
  requires_kyc, uploaded_by, created_at), update (document_name, is_public, requires_kyc) on public.property_documents to nexus_engine;
create policy property_documents_read_public on public.property_documents for select to anon
  using (is_public and review_status = 'accepted' and exists (select from public.properties as p where p.id = property_id));
create policy property_documents_read_signed_in on public.property_documents for select to authenticated
  using (review_status = 'accepted' and (is_public or (requires_kyc and (select nexus.has_approved_kyc())))
    and exists (select from public.properties as p where p.id = property_id));
create policy property_documents_read_staff on public.property_documents for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy property_documents_insert_manager on public.property_documents for insert to nexus_staff
  with check (property_id = any ((select nexus.managed_property_ids())::uuid[]) and uploaded_by = (select auth.uid()) and review_status = 'pending');
create policy property_documents_engine on public.property_documents for all to nexus_engine using (true) with check (true);

alter table public.property_document_reviews enable row level security;
grant select on public.property_document_reviews to nexus_staff, service_role, nexus_engine;
create policy property_document_reviews_read_staff on public.property_document_reviews for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or document_id in (
    select d.id from public.property_documents as d where d.property_id = any ((select nexus.member_property_ids())::uuid[])));
create policy property_document_reviews_engine on public.property_document_reviews for select to nexus_engine using (true);

reset role;

alter table public.property_documents add constraint property_documents_uploaded_by_fkey
  foreign key (uploaded_by) references auth.users (id) on delete restrict;
alter table public.property_document_reviews add constraint property_document_reviews_reviewer_id_fkey
  foreign key (reviewer_id) references auth.users (id) on delete restrict;
