-- What everybody may know of a listed property's evidence: that it was accepted, and until when it is current. The documents
-- themselves stay where they are.
set role nexus_owner;

create view public.property_evidence with (security_barrier = true) as
  select distinct on (d.property_id, d.document_type)
         d.property_id, d.document_type, d.issued_on, d.expires_at,
         (select max(r.reviewed_at) from public.property_document_reviews as r where r.document_id = d.id and r.decision = 'accepted') as accepted_at
  from public.property_documents as d
  join public.properties as p on p.id = d.property_id and p.is_active
  where d.review_status = 'accepted'
  order by d.property_id, d.document_type, d.expires_at desc nulls first, d.created_at desc, d.id;
comment on view public.property_evidence is 'The accepted evidence of listed properties by kind, the one that is current longest: that there is some, and its dates; no name, content or file. Runs with its owner rights behind a barrier, on purpose and read-only: documents are for whom their policies name, while that a house has a deed is for everybody.';
comment on column public.property_evidence.property_id is 'The listed property.';
comment on column public.property_evidence.document_type is 'What kind of evidence it is, such as deed or insurance.';
comment on column public.property_evidence.issued_on is 'When it was issued.';
comment on column public.property_evidence.expires_at is 'Until when it is current; null where it does not expire.';
comment on column public.property_evidence.accepted_at is 'When a compliance officer who did not file it accepted it.';
grant select on public.property_evidence to anon, authenticated, service_role;

reset role;
