-- The sandbox rail: a payment provider and a custodian's bank that are not real, with books of their own, so that everything
-- around them is. Nothing outside of `payments/sandbox` reads or writes these tables.
set role nexus_owner;

create table nexus.sandbox_sessions (
  ref          text primary key,
  amount_minor bigint not null,
  currency     text not null,
  description  text not null,
  return_url   text not null,
  property_id  uuid not null,
  created_at   timestamptz not null,
  constraint sandbox_sessions_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint sandbox_sessions_texts_are_bounded check (length(ref) between 1 and 100 and length(description) <= 500 and length(return_url) <= 2000)
);
comment on table nexus.sandbox_sessions is 'Checkout sessions of the sandbox provider.';
comment on column nexus.sandbox_sessions.ref is 'The provider''s name of the session.';
comment on column nexus.sandbox_sessions.amount_minor is 'What is to be paid, in smallest units.';
comment on column nexus.sandbox_sessions.currency is 'In which currency.';
comment on column nexus.sandbox_sessions.description is 'What the payer reads.';
comment on column nexus.sandbox_sessions.return_url is 'Where the payer goes afterwards.';
comment on column nexus.sandbox_sessions.property_id is 'The property whose account at the custodian it is for.';
comment on column nexus.sandbox_sessions.created_at is 'When it was made.';

create table nexus.sandbox_payments (
  ref            text primary key,
  session_ref    text,
  property_id    uuid not null,
  amount_minor   bigint not null,
  currency       text not null,
  refund_outcome text not null default 'succeed',
  settlement_ref text,
  settled_on     date,
  settled_minor  bigint,
  charged_back_at timestamptz,
  created_at     timestamptz not null,
  constraint sandbox_payments_session_ref_fkey foreign key (session_ref) references nexus.sandbox_sessions (ref),
  constraint sandbox_payments_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint sandbox_payments_refund_outcome_is_known check (refund_outcome in ('succeed', 'fail', 'silent')),
  constraint sandbox_payments_settled_has_a_date check (num_nulls(settlement_ref, settled_on, settled_minor) in (0, 3))
);
comment on table nexus.sandbox_payments is 'Payments that the sandbox provider took.';
comment on column nexus.sandbox_payments.ref is 'The provider''s name of the payment.';
comment on column nexus.sandbox_payments.session_ref is 'The session; null of money that came without one.';
comment on column nexus.sandbox_payments.property_id is 'The property whose account at the custodian it is for.';
comment on column nexus.sandbox_payments.amount_minor is 'What was paid, in smallest units.';
comment on column nexus.sandbox_payments.currency is 'In which currency.';
comment on column nexus.sandbox_payments.refund_outcome is 'What a refund of it will do: succeed, fail, or stay silent until asked about.';
comment on column nexus.sandbox_payments.settlement_ref is 'The transfer to the custodian by which it was paid out.';
comment on column nexus.sandbox_payments.settled_on is 'The day of that transfer.';
comment on column nexus.sandbox_payments.settled_minor is 'What was transferred: what was paid, less what had gone back before.';
comment on column nexus.sandbox_payments.charged_back_at is 'When the payer took it back.';
comment on column nexus.sandbox_payments.created_at is 'When it was paid.';
create index sandbox_payments_session_ref_idx on nexus.sandbox_payments (session_ref);

create table nexus.sandbox_refunds (
  id           uuid primary key,
  payment_ref  text not null,
  amount_minor bigint not null,
  status       text not null,
  from_bank    boolean not null,
  reason       text,
  booked_on    date not null,
  created_at   timestamptz not null,
  constraint sandbox_refunds_payment_ref_fkey foreign key (payment_ref) references nexus.sandbox_payments (ref),
  constraint sandbox_refunds_amount_is_an_amount check (amount_minor between 1 and 9007199254740991),
  constraint sandbox_refunds_status_is_known check (status in ('succeeded', 'failed'))
);
comment on table nexus.sandbox_refunds is 'Refunds that the sandbox provider made, by the key under which it was asked.';
comment on column nexus.sandbox_refunds.id is 'The key.';
comment on column nexus.sandbox_refunds.payment_ref is 'The payment.';
comment on column nexus.sandbox_refunds.amount_minor is 'What went back, in smallest units.';
comment on column nexus.sandbox_refunds.status is 'succeeded or failed.';
comment on column nexus.sandbox_refunds.from_bank is 'Whether the custodian paid it, since the payment had been settled; otherwise the provider''s own balance did.';
comment on column nexus.sandbox_refunds.reason is 'Why it failed.';
comment on column nexus.sandbox_refunds.booked_on is 'The day on which it was booked.';
comment on column nexus.sandbox_refunds.created_at is 'When.';
create index sandbox_refunds_payment_ref_idx on nexus.sandbox_refunds (payment_ref);

create table nexus.sandbox_messages (
  ref          text primary key,
  body         text not null,
  due_at       timestamptz not null,
  delivered_at timestamptz,
  attempts     integer not null default 0,
  created_at   timestamptz not null,
  constraint sandbox_messages_body_is_bounded check (length(body) between 1 and 65536)
);
comment on table nexus.sandbox_messages is 'What the sandbox provider has to say to our webhook.';
comment on column nexus.sandbox_messages.ref is 'The provider''s name of the message.';
comment on column nexus.sandbox_messages.body is 'The JSON to sign and send.';
comment on column nexus.sandbox_messages.due_at is 'When to send it (again).';
comment on column nexus.sandbox_messages.delivered_at is 'When the webhook took it.';
comment on column nexus.sandbox_messages.attempts is 'How often it was sent.';
comment on column nexus.sandbox_messages.created_at is 'When it came to be said.';
create index sandbox_messages_due_idx on nexus.sandbox_messages (due_at, ref) where delivered_at is null;

do $$
declare
  sandbox_table text;
begin
  foreach sandbox_table in array array['sandbox_sessions', 'sandbox_payments', 'sandbox_refunds', 'sandbox_messages'] loop
    execute format('alter table nexus.%I enable row level security', sandbox_table);
    execute format('grant select, insert, update on nexus.%I to nexus_engine', sandbox_table);
    execute format('create policy %I on nexus.%I for all to nexus_engine using (true) with check (true)', sandbox_table || '_engine', sandbox_table);
  end loop;
end
$$;

reset role;
