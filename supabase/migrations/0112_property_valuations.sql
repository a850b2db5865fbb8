-- What a property was worth on a day, by whom, and by what evidence. A price is what somebody asks; this is not one.
set role nexus_owner;

create table public.property_valuations (
  id                uuid primary key default gen_random_uuid(),
  property_id       uuid not null,
  valued_on         date not null,
  currency          text not null default 'USD',
  currency_decimals smallint not null default 2,
  amount_minor      bigint not null,
  amount            numeric generated always as (nexus.from_minor(amount_minor, currency_decimals)) stored,
  basis             text not null,
  source            text not null,
  reference         text not null,
  evidence_id       uuid,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint property_valuations_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint property_valuations_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint property_valuations_evidence_id_fkey foreign key (evidence_id, property_id)
    references public.property_documents (id, property_id) on delete restrict,
  constraint property_valuations_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint property_valuations_basis_is_known check (basis in ('sale', 'appraisal', 'estimate')),
  constraint property_valuations_source_is_said check (source ~ '\S' and length(source) <= 200),
  constraint property_valuations_reference_is_said check (reference ~ '\S' and length(reference) <= 200),
  -- Two sales of one parcel on one day are in the county's record, so the day does not identify a valuation.
  constraint property_valuations_once_a_reference unique (property_id, source, reference)
);
comment on table public.property_valuations is 'Dated valuations of properties, each with its source. A sale that happened is one; an asking price is none. Written by commands only.';
comment on column public.property_valuations.id is 'Identity of the valuation.';
comment on column public.property_valuations.property_id is 'The property.';
comment on column public.property_valuations.valued_on is 'The day that the amount holds for.';
comment on column public.property_valuations.currency is 'Currency of the amount.';
comment on column public.property_valuations.currency_decimals is 'Decimals of that currency.';
comment on column public.property_valuations.amount_minor is 'What the whole property was worth, in smallest units.';
comment on column public.property_valuations.amount is 'What the whole property was worth; derived.';
comment on column public.property_valuations.basis is 'What it rests on: sale (it was sold for this), appraisal (somebody competent says so) or estimate (a model or an index does).';
comment on column public.property_valuations.source is 'Who says so: a public record, an appraiser, a model.';
comment on column public.property_valuations.reference is 'How the source names this valuation: number of the sale or report.';
comment on column public.property_valuations.evidence_id is 'The document that shows it; null where a public record does.';
comment on column public.property_valuations.created_at is 'When it was recorded here.';
comment on column public.property_valuations.updated_at is 'When the row last changed.';
create index property_valuations_property_id_valued_on_idx on public.property_valuations (property_id, valued_on desc);
create index property_valuations_currency_idx on public.property_valuations (currency, currency_decimals);
create index property_valuations_evidence_id_idx on public.property_valuations (evidence_id, property_id);

create trigger property_valuations_updated_at before update on public.property_valuations
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.property_valuations');

alter table public.property_valuations enable row level security;
grant select on public.property_valuations to anon, authenticated, service_role, nexus_engine;
grant insert, update on public.property_valuations to nexus_engine;
create policy property_valuations_read_of_visible_property on public.property_valuations for select to anon, authenticated
  using (exists (select from public.properties as p where p.id = property_id));
create policy property_valuations_engine on public.property_valuations for all to nexus_engine using (true) with check (true);

reset role;
