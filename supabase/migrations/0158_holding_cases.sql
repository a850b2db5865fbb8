-- Case files about holdings: freezes, forced transfers, recoveries, redemptions and the winding up of a property, each with a
-- reason and two approvals. Carry value: only commands write them.
set role nexus_owner;

create table public.holding_cases (
  id                 uuid primary key,
  kind               text not null,
  property_id        uuid,
  property_token_id  uuid,
  party_id           uuid,
  to_user_id         uuid,
  to_party_id        uuid,
  freeze_id          uuid,
  token_decimals     smallint,
  units              bigint,
  token_amount       numeric generated always as (nexus.from_minor(units, token_decimals)) stored,
  currency           text,
  currency_decimals  smallint,
  amount_minor       bigint,
  amount             numeric generated always as (nexus.from_minor(amount_minor, currency_decimals)) stored,
  account_ref        text,
  bank_reference     text,
  booked_on          date,
  reason             text not null,
  status             text not null default 'open',
  opened_by          uuid not null,
  first_approved_by  uuid,
  first_approved_at  timestamptz,
  second_approved_by uuid,
  done_at            timestamptz,
  rejected_by        uuid,
  reject_reason      text,
  created_at         timestamptz not null,
  updated_at         timestamptz not null default now(),
  constraint holding_cases_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint holding_cases_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint holding_cases_to_party_id_fkey foreign key (to_party_id) references public.parties (id) on delete restrict,
  constraint holding_cases_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint holding_cases_kind_is_known check (kind in ('freeze', 'release', 'forced_transfer', 'recovery', 'redemption', 'wind_up')),
  constraint holding_cases_status_is_known check (status in ('open', 'done', 'rejected', 'cancelled')),
  -- What each kind names: a token all but a recovery, which is of all that the party holds; a holder all but a winding up.
  constraint holding_cases_name_what_they_are_about check (
    (kind = 'recovery') = (property_token_id is null) and (property_token_id is null) = (property_id is null)
    and (kind = 'wind_up') = (party_id is null)
    and (kind in ('forced_transfer', 'recovery')) = (to_party_id is not null) and (to_party_id is null) = (to_user_id is null)
    and (kind = 'release') = (freeze_id is not null)
    and (kind in ('redemption', 'wind_up')) = (amount_minor is not null)
    and num_nulls(account_ref, bank_reference, booked_on) = case kind when 'wind_up' then 0 else 3 end
    and (kind in ('freeze', 'forced_transfer', 'redemption') or units is null)
    and to_party_id <> party_id),
  constraint holding_cases_units_are_exact check (units between 1 and 9007199254740991 and (units is null or token_decimals is not null)),
  constraint holding_cases_amount_is_an_amount check (amount_minor between 1 and 9007199254740991 and (amount_minor is null) = (currency is null)),
  constraint holding_cases_currency_has_decimals check ((currency is null) = (currency_decimals is null)),
  constraint holding_cases_texts_are_bounded check (reason ~ '\S' and length(reason) <= 2000 and length(account_ref) between 1 and 100
    and length(bank_reference) between 1 and 300),
  constraint holding_cases_need_two_persons check (first_approved_by <> second_approved_by),
  constraint holding_cases_done_has_two_approvals check (
    (status = 'done') = (num_nulls(first_approved_by, first_approved_at, second_approved_by, done_at) = 0)
    and (first_approved_by is null) = (first_approved_at is null) and (second_approved_by is null) = (done_at is null)),
  constraint holding_cases_rejected_says_why check ((status = 'rejected') = coalesce(reject_reason ~ '\S', false)
    and (status = 'rejected') = (rejected_by is not null) and length(reject_reason) <= 2000)
);
comment on table public.holding_cases is 'Case files about holdings: what is to be done, why, who opened it, and the two persons of different parties who approved. Done with the second approval, in one transaction.';
comment on column public.holding_cases.id is 'Identity of the case.';
comment on column public.holding_cases.kind is 'freeze, release (of a freeze), forced_transfer, recovery (of everything that a party holds, to a login of the same person), redemption (of a holder''s tokens against money of the property) or wind_up (the property is sold: everybody''s tokens against everything that it has).';
comment on column public.holding_cases.property_id is 'The property; null of a recovery.';
comment on column public.holding_cases.property_token_id is 'Its token.';
comment on column public.holding_cases.party_id is 'The holder; null of a winding up.';
comment on column public.holding_cases.to_user_id is 'The login that acts for who gets the tokens.';
comment on column public.holding_cases.to_party_id is 'Who gets the tokens.';
comment on column public.holding_cases.freeze_id is 'The freeze that a release ends.';
comment on column public.holding_cases.token_decimals is 'Decimals of the token.';
comment on column public.holding_cases.units is 'How many tokens, in smallest units; null: all.';
comment on column public.holding_cases.token_amount is 'How many tokens; null: all.';
comment on column public.holding_cases.currency is 'Currency of the amount.';
comment on column public.holding_cases.currency_decimals is 'Decimals of that currency.';
comment on column public.holding_cases.amount_minor is 'What is paid for the tokens redeemed, or what the sale of the property brought, in smallest units.';
comment on column public.holding_cases.amount is 'The same in whole units of the currency.';
comment on column public.holding_cases.account_ref is 'The bank''s name of the account on which the price of the property arrived.';
comment on column public.holding_cases.bank_reference is 'The bank''s reference of that line.';
comment on column public.holding_cases.booked_on is 'The day on which the bank booked it.';
comment on column public.holding_cases.reason is 'Why: the order, the request, the decision.';
comment on column public.holding_cases.status is 'open, done, rejected or cancelled; docs/STATES.md.';
comment on column public.holding_cases.opened_by is 'Who opened it: a manager of the property, or an overseer, whose opening is the first approval.';
comment on column public.holding_cases.first_approved_by is 'The first overseer who approved.';
comment on column public.holding_cases.first_approved_at is 'When.';
comment on column public.holding_cases.second_approved_by is 'The second, of another party than the first and whoever opened it.';
comment on column public.holding_cases.done_at is 'When the second approved, and it was done.';
comment on column public.holding_cases.rejected_by is 'The overseer who rejected it.';
comment on column public.holding_cases.reject_reason is 'Why.';
comment on column public.holding_cases.created_at is 'When it was opened.';
comment on column public.holding_cases.updated_at is 'When the row last changed.';
create index holding_cases_property_id_idx on public.holding_cases (property_id, created_at desc);
create index holding_cases_property_token_id_idx on public.holding_cases (property_token_id, property_id);
create index holding_cases_party_id_idx on public.holding_cases (party_id);
create index holding_cases_to_party_id_idx on public.holding_cases (to_party_id);
create index holding_cases_to_user_id_idx on public.holding_cases (to_user_id);
create index holding_cases_freeze_id_idx on public.holding_cases (freeze_id);
create index holding_cases_currency_idx on public.holding_cases (currency, currency_decimals);
create index holding_cases_opened_by_idx on public.holding_cases (opened_by);
create index holding_cases_first_approved_by_idx on public.holding_cases (first_approved_by);
create index holding_cases_second_approved_by_idx on public.holding_cases (second_approved_by);
create index holding_cases_rejected_by_idx on public.holding_cases (rejected_by);
create index holding_cases_open_idx on public.holding_cases (created_at) where status = 'open';
-- The price of a property arrives once.
create unique index holding_cases_bank_line_once_key on public.holding_cases (property_id, account_ref, bank_reference)
  where status in ('open', 'done') and bank_reference is not null;
-- And is not counted as rent as well. One line of the bank is looked at one transaction at a time.
create function nexus.refuse_bank_line_twice() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended(format('bank line %s %s %s', new.property_id, new.account_ref, new.bank_reference), 0));
  if tg_table_name = 'rent_lines' and exists (
    select from public.holding_cases as c where c.property_id = new.property_id and c.account_ref = new.account_ref
      and c.bank_reference = new.bank_reference and c.status in ('open', 'done')
  ) then
    raise exception 'a case rests on this line of the bank'
      using errcode = 'unique_violation', schema = 'public', table = 'rent_lines', constraint = 'rent_lines_each_once_key';
  end if;
  if tg_table_name = 'holding_cases' and exists (
    select from public.rent_lines as l where l.property_id = new.property_id and l.account_ref = new.account_ref
      and l.bank_reference = new.bank_reference and not l.is_void
  ) then
    raise exception 'this line of the bank was recorded as rent or a cost'
      using errcode = 'unique_violation', schema = 'public', table = 'holding_cases', constraint = 'holding_cases_bank_line_once_key';
  end if;
  return new;
end
$$;
comment on function nexus.refuse_bank_line_twice() is 'Trigger: a line of the bank is rent or a cost, or what a case rests on, and not both.';
create trigger rent_lines_not_of_a_case before insert on public.rent_lines
  for each row execute function nexus.refuse_bank_line_twice();
create trigger holding_cases_line_is_no_rent before insert on public.holding_cases
  for each row when (new.bank_reference is not null) execute function nexus.refuse_bank_line_twice();
create trigger holding_cases_updated_at before update on public.holding_cases
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.holding_cases');

create table public.holding_freezes (
  id                uuid primary key,
  party_id          uuid not null,
  property_id       uuid not null,
  property_token_id uuid not null,
  units             bigint,
  frozen_case_id    uuid not null,
  frozen_at         timestamptz not null,
  released_case_id  uuid,
  released_at       timestamptz,
  constraint holding_freezes_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint holding_freezes_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint holding_freezes_frozen_case_id_fkey foreign key (frozen_case_id) references public.holding_cases (id) on delete restrict,
  constraint holding_freezes_released_case_id_fkey foreign key (released_case_id) references public.holding_cases (id) on delete restrict,
  constraint holding_freezes_units_are_exact check (units between 1 and 9007199254740991),
  constraint holding_freezes_release_is_whole check ((released_case_id is null) = (released_at is null) and released_at >= frozen_at)
);
comment on table public.holding_freezes is 'Tokens of a holder that cannot be transferred or redeemed, and whose property pays nothing out to him, until a release. Seen by staff alone: a freeze may have to be kept from whom it is about.';
comment on column public.holding_freezes.id is 'Identity of the freeze.';
comment on column public.holding_freezes.party_id is 'The holder.';
comment on column public.holding_freezes.property_id is 'The property.';
comment on column public.holding_freezes.property_token_id is 'Its token.';
comment on column public.holding_freezes.units is 'How many tokens, in smallest units; null: all that he has or gets.';
comment on column public.holding_freezes.frozen_case_id is 'The case by which they were frozen, or came to be his frozen.';
comment on column public.holding_freezes.frozen_at is 'Since when.';
comment on column public.holding_freezes.released_case_id is 'The case that ended it.';
comment on column public.holding_freezes.released_at is 'When.';
create index holding_freezes_active_idx on public.holding_freezes (party_id, property_token_id) where released_at is null;
create index holding_freezes_party_id_idx on public.holding_freezes (party_id);
create index holding_freezes_property_token_id_idx on public.holding_freezes (property_token_id, property_id);
create index holding_freezes_frozen_case_id_idx on public.holding_freezes (frozen_case_id);
create index holding_freezes_released_case_id_idx on public.holding_freezes (released_case_id);
select nexus.audit_table('public.holding_freezes');

alter table public.holding_cases add constraint holding_cases_freeze_id_fkey
  foreign key (freeze_id) references public.holding_freezes (id) on delete restrict;

create table public.redemptions (
  id                uuid primary key,
  case_id           uuid not null,
  party_id          uuid not null,
  user_id           uuid not null,
  property_id       uuid not null,
  property_token_id uuid not null,
  token_decimals    smallint not null,
  units             bigint not null,
  token_amount      numeric generated always as (nexus.from_minor(units, token_decimals)) stored,
  currency          text not null,
  currency_decimals smallint not null,
  amount_minor      bigint not null,
  amount            numeric generated always as (nexus.from_minor(amount_minor, currency_decimals)) stored,
  entry_id          bigint not null,
  status            text not null,
  created_at        timestamptz not null,
  constraint redemptions_case_id_fkey foreign key (case_id) references public.holding_cases (id) on delete restrict,
  constraint redemptions_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint redemptions_token_of_property_fkey foreign key (property_token_id, property_id)
    references public.property_tokens (id, property_id) on delete restrict,
  constraint redemptions_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint redemptions_entry_id_fkey foreign key (entry_id) references ledger.entries (id) on delete restrict,
  constraint redemptions_units_are_exact check (units between 1 and 9007199254740991),
  constraint redemptions_amount_is_an_amount check (amount_minor between 0 and 9007199254740991),
  constraint redemptions_status_is_known check (status in ('payable', 'sent', 'paid', 'failed')),
  constraint redemptions_one_a_holder unique (case_id, party_id)
);
comment on table public.redemptions is 'A holder''s tokens taken out for ever, and the money owed to him for them: by a redemption, or by the winding up of the property.';
comment on column public.redemptions.id is 'Identity of the redemption.';
comment on column public.redemptions.case_id is 'The case by which it came.';
comment on column public.redemptions.party_id is 'The holder.';
comment on column public.redemptions.user_id is 'The login that acts for him.';
comment on column public.redemptions.property_id is 'The property that pays.';
comment on column public.redemptions.property_token_id is 'Its token.';
comment on column public.redemptions.token_decimals is 'Decimals of the token.';
comment on column public.redemptions.units is 'Tokens taken out, in smallest units.';
comment on column public.redemptions.token_amount is 'Tokens taken out.';
comment on column public.redemptions.currency is 'Currency of the amount.';
comment on column public.redemptions.currency_decimals is 'Decimals of that currency.';
comment on column public.redemptions.amount_minor is 'What is owed for them, in smallest units; 0 where his part is below one.';
comment on column public.redemptions.amount is 'What is owed for them.';
comment on column public.redemptions.entry_id is 'The ledger entry.';
comment on column public.redemptions.status is 'payable, sent, paid or failed; docs/STATES.md.';
comment on column public.redemptions.created_at is 'When the tokens went.';
create index redemptions_party_id_idx on public.redemptions (party_id);
create index redemptions_user_id_idx on public.redemptions (user_id);
create index redemptions_property_token_id_idx on public.redemptions (property_token_id, property_id);
create index redemptions_currency_idx on public.redemptions (currency, currency_decimals);
create index redemptions_entry_id_idx on public.redemptions (entry_id);
select nexus.audit_table('public.redemptions');

-- A payout pays a line of a distribution, or a redemption.
alter table public.payouts
  alter column line_id drop not null,
  add column redemption_id uuid,
  add constraint payouts_redemption_id_fkey foreign key (redemption_id) references public.redemptions (id) on delete restrict,
  add constraint payouts_one_a_redemption unique (redemption_id),
  add constraint payouts_pay_one_thing check (num_nonnulls(line_id, redemption_id) = 1);
comment on column public.payouts.line_id is 'The line of a distribution that it pays.';
comment on column public.payouts.redemption_id is 'The redemption that it pays.';

-- The papers of a case are filed as personal documents are: sealed, and each read noted.
alter table public.kyc_documents add column holding_case_id uuid;
comment on column public.kyc_documents.holding_case_id is 'The case about holdings of which it is a paper.';
alter table public.kyc_documents add constraint kyc_documents_holding_case_id_fkey
  foreign key (holding_case_id) references public.holding_cases (id) on delete restrict;
alter table public.kyc_documents drop constraint kyc_documents_of_one_case;
alter table public.kyc_documents add constraint kyc_documents_of_one_case
  check (num_nonnulls(kyc_case_id, accreditation_case_id, tax_form_id, holding_case_id) <= 1);
create index kyc_documents_holding_case_id_idx on public.kyc_documents (holding_case_id);

alter table public.property_tokens drop constraint property_tokens_status_is_known;
alter table public.property_tokens add constraint property_tokens_status_is_known
  check (status in ('draft', 'active', 'launched', 'wound_up'));
comment on column public.property_tokens.status is 'draft (being set up), active (configured), launched (on sale or sold) or wound_up (the property is sold, all tokens are taken out).';

alter table public.holding_cases enable row level security;
grant select on public.holding_cases to nexus_staff, service_role, nexus_engine;
grant insert, update on public.holding_cases to nexus_engine;
create policy holding_cases_read_staff on public.holding_cases for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy holding_cases_engine on public.holding_cases for all to nexus_engine using (true) with check (true);

alter table public.holding_freezes enable row level security;
grant select on public.holding_freezes to nexus_staff, service_role, nexus_engine;
grant insert, update on public.holding_freezes to nexus_engine;
create policy holding_freezes_read_staff on public.holding_freezes for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy holding_freezes_engine on public.holding_freezes for all to nexus_engine using (true) with check (true);

alter table public.redemptions enable row level security;
grant select on public.redemptions to authenticated, service_role, nexus_engine;
grant insert on public.redemptions to nexus_engine;
grant update (status) on public.redemptions to nexus_engine;
create policy redemptions_read_own on public.redemptions for select to authenticated using (party_id = (select nexus.party_id()));
create policy redemptions_read_staff on public.redemptions for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy redemptions_engine on public.redemptions for all to nexus_engine using (true) with check (true);
grant insert on public.payouts to nexus_engine;

reset role;

alter table public.holding_cases add constraint holding_cases_to_user_id_fkey foreign key (to_user_id) references auth.users (id) on delete restrict;
alter table public.holding_cases add constraint holding_cases_opened_by_fkey foreign key (opened_by) references auth.users (id) on delete restrict;
alter table public.holding_cases add constraint holding_cases_first_approved_by_fkey foreign key (first_approved_by) references auth.users (id) on delete restrict;
alter table public.holding_cases add constraint holding_cases_second_approved_by_fkey foreign key (second_approved_by) references auth.users (id) on delete restrict;
alter table public.holding_cases add constraint holding_cases_rejected_by_fkey foreign key (rejected_by) references auth.users (id) on delete restrict;
alter table public.redemptions add constraint redemptions_user_id_fkey foreign key (user_id) references auth.users (id) on delete restrict;
