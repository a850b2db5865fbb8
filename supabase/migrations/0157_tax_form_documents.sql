-- The documents of tax forms, and who may not check them: what kyc documents and cases have, for tax forms.
set role nexus_owner;

alter table public.kyc_documents add column tax_form_id uuid;
alter table public.kyc_documents add constraint kyc_documents_tax_form_id_fkey
  foreign key (tax_form_id) references public.tax_forms (id) on delete restrict;
alter table public.kyc_documents drop constraint kyc_documents_of_one_case;
alter table public.kyc_documents add constraint kyc_documents_of_one_case
  check (num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id) <= 1);
comment on column public.kyc_documents.tax_form_id is 'The tax form that it is; null where it belongs to a case or to nothing yet.';
create index kyc_documents_tax_form_id_idx on public.kyc_documents (tax_form_id);

create trigger tax_forms_decided_by_a_stranger before insert or update of decided_by on public.tax_forms
  for each row execute function nexus.refuse_own_decision();

reset role;
