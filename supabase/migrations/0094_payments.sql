-- Payments: checkout sessions, the rails' messages as they came, money that arrived, and money on its way back.
set role nexus_owner;

create table public.payment_sessions (
  id                uuid primary key default gen_random_uuid(),
  investment_id     uuid not null,
  user_id           uuid not null,
  rail              text not null,
  provider_ref      text not null,
  url               text not null,
  currency          text not null,
  currency_decimals smallint not null,
  amount_minor      bigint not null,
  amount            numeric generated always as (nexus.from_minor(amount_minor, currency_decimals)) stored,
  status            text not null default 'open',
  due_at            timestamptz not null,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint payment_sessions_investment_id_fkey foreign key (investment_id) references public.investments (id) on delete restrict,
  constraint payment_sessions_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint payment_sessions_rail_is_known check (rail in ('sandbox')),
  constraint payment_sessions_status_is_known check (status in ('open', 'paid', 'expired')),
  constraint payment_sessions_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint payment_sessions_texts_are_bounded check (length(provider_ref) between 1 and 200 and length(url) between 1 and 2000),
  constraint payment_sessions_once_a_ref unique (rail, provider_ref)
);
comment on table public.payment_sessions is 'Ways to pay an investment: the page of a rail where the buyer does it.';
comment on column public.payment_sessions.id is 'Identity of the session; clients know it as sessionId.';
comment on column public.payment_sessions.investment_id is 'What is paid.';
comment on column public.payment_sessions.user_id is 'Who pays.';
comment on column public.payment_sessions.rail is 'By which way the money comes: sandbox is built in.';
comment on column public.payment_sessions.provider_ref is 'The rail''s own name of the session.';
comment on column public.payment_sessions.url is 'Where the buyer pays.';
comment on column public.payment_sessions.currency is 'Currency of the charge.';
comment on column public.payment_sessions.currency_decimals is 'Decimals of that currency.';
comment on column public.payment_sessions.amount_minor is 'The charge: total and fee, in smallest units.';
comment on column public.payment_sessions.amount is 'The charge.';
comment on column public.payment_sessions.status is 'open, paid or expired; docs/STATES.md.';
comment on column public.payment_sessions.due_at is 'When the reservation ends that it pays.';
comment on column public.payment_sessions.created_at is 'When it was made.';
comment on column public.payment_sessions.updated_at is 'When the row last changed.';
create index payment_sessions_investment_id_idx on public.payment_sessions (investment_id);
create index payment_sessions_user_id_idx on public.payment_sessions (user_id);
create index payment_sessions_currency_idx on public.payment_sessions (currency, currency_decimals);
create trigger payment_sessions_updated_at before update on public.payment_sessions
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.payment_sessions');

create table public.payments (
  id                uuid primary key default gen_random_uuid(),
  rail              text not null,
  provider_ref      text not null,
  session_id        uuid,
  investment_id     uuid,
  property_id       uuid,
  currency          text not null,
  currency_decimals smallint not null,
  amount_minor      bigint not null,
  amount            numeric generated always as (nexus.from_minor(amount_minor, currency_decimals)) stored,
  matched_minor     bigint not null default 0,
  unmatched_minor   bigint not null,
  returned_minor    bigint not null default 0,
  charged_back_at   timestamptz,
  settled_at        timestamptz,
  settlement_ref    text,
  received_at       timestamptz not null,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint payments_session_id_fkey foreign key (session_id) references public.payment_sessions (id) on delete restrict,
  constraint payments_investment_id_fkey foreign key (investment_id) references public.investments (id) on delete restrict,
  constraint payments_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint payments_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint payments_rail_is_known check (rail in ('sandbox')),
  constraint payments_texts_are_bounded check (length(provider_ref) between 1 and 200 and length(settlement_ref) <= 200),
  constraint payments_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  -- Every unit of it is in one place: in a purchase, in nothing yet, or on its way back.
  constraint payments_parts_add_up check (least(matched_minor, unmatched_minor, returned_minor) >= 0
    and matched_minor + unmatched_minor + returned_minor = amount_minor),
  constraint payments_matched_to_an_investment check (matched_minor = 0 or investment_id is not null),
  constraint payments_settled_has_a_ref check ((settled_at is null) = (settlement_ref is null)),
  constraint payments_once_a_ref unique (rail, provider_ref)
);
comment on table public.payments is 'Money that a rail says has arrived: what it pays, what of it fits nothing, what goes back.';
comment on column public.payments.id is 'Identity of the payment.';
comment on column public.payments.rail is 'By which way the money came.';
comment on column public.payments.provider_ref is 'The rail''s own name of the payment.';
comment on column public.payments.session_id is 'The session by which it came; null where nobody knows.';
comment on column public.payments.investment_id is 'The investment that it is for.';
comment on column public.payments.property_id is 'The property whose accounts it is in; null while nobody knows, and then it is in no account of ours.';
comment on column public.payments.currency is 'Its currency.';
comment on column public.payments.currency_decimals is 'Decimals of that currency.';
comment on column public.payments.amount_minor is 'What arrived, in smallest units.';
comment on column public.payments.amount is 'What arrived.';
comment on column public.payments.matched_minor is 'What of it pays the investment.';
comment on column public.payments.unmatched_minor is 'What of it fits nothing yet.';
comment on column public.payments.returned_minor is 'What of it is on its way back or gone back: its refunds, and a chargeback.';
comment on column public.payments.charged_back_at is 'When the payer took it back.';
comment on column public.payments.settled_at is 'When the rail paid it to the custodian.';
comment on column public.payments.settlement_ref is 'The rail''s name of that settlement, which the custodian''s statement shows.';
comment on column public.payments.received_at is 'When the rail received it.';
comment on column public.payments.created_at is 'When we learned of it.';
comment on column public.payments.updated_at is 'When the row last changed.';
create index payments_session_id_idx on public.payments (session_id);
create index payments_investment_id_idx on public.payments (investment_id);
create index payments_property_id_idx on public.payments (property_id);
create index payments_currency_idx on public.payments (currency, currency_decimals);
create index payments_unmatched_idx on public.payments (received_at) where unmatched_minor > 0;
create trigger payments_updated_at before update on public.payments
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.payments');

create table public.refunds (
  id                uuid primary key,
  payment_id        uuid not null,
  investment_id     uuid,
  property_id       uuid not null,
  user_id           uuid,
  currency          text not null,
  currency_decimals smallint not null,
  amount_minor      bigint not null,
  amount            numeric generated always as (nexus.from_minor(amount_minor, currency_decimals)) stored,
  reason            text not null,
  status            text not null default 'due',
  is_settled        boolean not null,
  provider_ref      text,
  attempts          integer not null default 0,
  due_at            timestamptz not null,
  sent_at           timestamptz,
  confirmed_at      timestamptz,
  failed_at         timestamptz,
  failure           text,
  retry_asked_by    uuid,
  retry_approved_by uuid,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint refunds_payment_id_fkey foreign key (payment_id) references public.payments (id) on delete restrict,
  constraint refunds_investment_id_fkey foreign key (investment_id) references public.investments (id) on delete restrict,
  constraint refunds_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint refunds_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint refunds_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint refunds_reason_is_known check (reason in
    ('overpaid', 'underpaid', 'late', 'duplicate', 'wrong_currency', 'unmatched', 'withdrawn', 'offering_failed')),
  constraint refunds_status_is_known check (status in ('due', 'sent', 'confirmed', 'failed')),
  constraint refunds_sent_has_a_date check (status <> 'sent' or sent_at is not null),
  constraint refunds_confirmed_has_a_date check ((status = 'confirmed') = (confirmed_at is not null)),
  constraint refunds_failed_says_why check (status <> 'failed' or (failed_at is not null and failure ~ '\S')),
  constraint refunds_failure_is_bounded check (length(failure) <= 2000),
  constraint refunds_attempts_not_negative check (attempts >= 0),
  constraint refunds_retry_takes_two check (retry_asked_by <> retry_approved_by),
  constraint refunds_provider_ref_is_bounded check (length(provider_ref) <= 200)
);
comment on table public.refunds is 'Money on its way back by the payment''s own instrument. Asked of the rail under its id, so that asking again is the same refund; confirmed only when the rail says so.';
comment on column public.refunds.id is 'Identity of the refund, and the key under which the rail is asked.';
comment on column public.refunds.payment_id is 'The payment that goes back, or a part of it.';
comment on column public.refunds.investment_id is 'The investment whose charge goes back; null of money that paid nothing.';
comment on column public.refunds.property_id is 'The property whose accounts it leaves.';
comment on column public.refunds.user_id is 'Who gets it, where that is known.';
comment on column public.refunds.currency is 'Its currency.';
comment on column public.refunds.currency_decimals is 'Decimals of that currency.';
comment on column public.refunds.amount_minor is 'What goes back, in smallest units.';
comment on column public.refunds.amount is 'What goes back.';
comment on column public.refunds.reason is 'Why it goes back.';
comment on column public.refunds.status is 'due, sent, confirmed or failed; docs/STATES.md.';
comment on column public.refunds.is_settled is 'Whether the money is with the custodian (refund_payable) or still with the provider (psp_refund_payable).';
comment on column public.refunds.provider_ref is 'The rail''s own name of the refund.';
comment on column public.refunds.attempts is 'How often the rail was asked.';
comment on column public.refunds.due_at is 'When the rail is to be asked, or asked about it.';
comment on column public.refunds.sent_at is 'When the rail was first asked.';
comment on column public.refunds.confirmed_at is 'When the rail confirmed.';
comment on column public.refunds.failed_at is 'When the rail said that it could not.';
comment on column public.refunds.failure is 'What the rail said.';
comment on column public.refunds.retry_asked_by is 'Who asked that a failed one is tried again.';
comment on column public.refunds.retry_approved_by is 'Who approved that: another person.';
comment on column public.refunds.created_at is 'When it came to be owed.';
comment on column public.refunds.updated_at is 'When the row last changed.';
create index refunds_payment_id_idx on public.refunds (payment_id);
create index refunds_investment_id_idx on public.refunds (investment_id);
create index refunds_property_id_idx on public.refunds (property_id);
create index refunds_user_id_idx on public.refunds (user_id);
create index refunds_currency_idx on public.refunds (currency, currency_decimals);
create index refunds_retry_asked_by_idx on public.refunds (retry_asked_by);
create index refunds_retry_approved_by_idx on public.refunds (retry_approved_by);
create index refunds_due_idx on public.refunds (due_at, id) where status in ('due', 'sent');
create trigger refunds_updated_at before update on public.refunds
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.refunds');

create table nexus.payment_messages (
  id           bigint generated always as identity primary key,
  rail         text not null,
  message_id   text not null,
  kind         text not null,
  payment_ref  text not null,
  body         bytea not null,
  signature    text not null,
  received_at  timestamptz not null,
  due_at       timestamptz not null,
  processed_at timestamptz,
  outcome      text,
  attempts     integer not null default 0,
  dead_at      timestamptz,
  last_error   text,
  constraint payment_messages_rail_is_known check (rail in ('sandbox')),
  constraint payment_messages_texts_are_bounded check (length(message_id) between 1 and 200 and length(kind) between 1 and 100
    and length(payment_ref) between 1 and 200 and length(signature) <= 1000 and length(outcome) <= 1000),
  constraint payment_messages_body_is_bounded check (length(body) between 1 and 65536),
  constraint payment_messages_attempts_not_negative check (attempts >= 0),
  constraint payment_messages_processed_has_an_outcome check (processed_at is null or outcome is not null),
  constraint payment_messages_end_once check (num_nonnulls(processed_at, dead_at) <= 1),
  constraint payment_messages_error_is_bounded check (length(last_error) <= 5000),
  constraint payment_messages_once unique (rail, message_id)
);
comment on table nexus.payment_messages is 'What rails told us, as it came, once each: verified before it is kept, and worked off from here, so that a crash loses nothing and any order is right in the end.';
comment on column nexus.payment_messages.id is 'Order of arrival.';
comment on column nexus.payment_messages.rail is 'Who sent it.';
comment on column nexus.payment_messages.message_id is 'The rail''s own name of the message: it arrives perhaps many times and counts once.';
comment on column nexus.payment_messages.kind is 'What it says, such as payment.succeeded.';
comment on column nexus.payment_messages.payment_ref is 'The payment that it is about: messages about one payment are worked off one after the other.';
comment on column nexus.payment_messages.body is 'The bytes that were signed.';
comment on column nexus.payment_messages.signature is 'The signature that was verified.';
comment on column nexus.payment_messages.received_at is 'When it arrived first.';
comment on column nexus.payment_messages.due_at is 'When to look at it again, while it waits for another message.';
comment on column nexus.payment_messages.processed_at is 'When it was worked off.';
comment on column nexus.payment_messages.outcome is 'What came of it, in words.';
comment on column nexus.payment_messages.attempts is 'How often it was looked at.';
comment on column nexus.payment_messages.dead_at is 'When an admin set it aside: nobody looks at it until somebody brings it back.';
comment on column nexus.payment_messages.last_error is 'Why working it off failed the last time.';
create index payment_messages_due_idx on nexus.payment_messages (due_at, id) where processed_at is null;
create index payment_messages_payment_idx on nexus.payment_messages (rail, payment_ref, id);

alter table public.payment_sessions enable row level security;
grant select on public.payment_sessions to authenticated, service_role, nexus_engine;
grant insert, update on public.payment_sessions to nexus_engine;
create policy payment_sessions_read_own on public.payment_sessions for select to authenticated using (user_id = (select auth.uid()));
create policy payment_sessions_read_staff on public.payment_sessions for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy payment_sessions_engine on public.payment_sessions for all to nexus_engine using (true) with check (true);

alter table public.payments enable row level security;
grant select on public.payments to nexus_staff, service_role, nexus_engine;
grant insert, update on public.payments to nexus_engine;
create policy payments_read_staff on public.payments for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy payments_engine on public.payments for all to nexus_engine using (true) with check (true);

alter table public.refunds enable row level security;
grant select on public.refunds to authenticated, service_role, nexus_engine;
grant insert, update on public.refunds to nexus_engine;
create policy refunds_read_own on public.refunds for select to authenticated using (user_id = (select auth.uid()));
create policy refunds_read_staff on public.refunds for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy refunds_engine on public.refunds for all to nexus_engine using (true) with check (true);

alter table nexus.payment_messages enable row level security;
grant select, insert, update on nexus.payment_messages to nexus_engine;
create policy payment_messages_engine on nexus.payment_messages for all to nexus_engine using (true) with check (true);

reset role;

alter table public.payment_sessions add constraint payment_sessions_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
alter table public.refunds add constraint refunds_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
alter table public.refunds add constraint refunds_retry_asked_by_fkey
  foreign key (retry_asked_by) references auth.users (id) on delete restrict;
alter table public.refunds add constraint refunds_retry_approved_by_fkey
  foreign key (retry_approved_by) references auth.users (id) on delete restrict;
