-- Accreditation: whether a party may buy what is not for everybody, for how long, and on what that rests.
set role nexus_owner;

create table public.entry_tests (
  id           uuid primary key default gen_random_uuid(),
  code         text not null,
  version      integer not null,
  questions    jsonb not null,
  right_min    integer not null,
  tries_max    integer not null,
  source       text not null,
  valid_from   timestamptz not null,
  created_at   timestamptz not null default now(),
  constraint entry_tests_once_a_version unique (code, version),
  constraint entry_tests_code_is_a_word check (code ~ '^[a-z][a-z0-9_]{0,49}$'),
  constraint entry_tests_version_counts check (version >= 1),
  constraint entry_tests_questions_are_some check (jsonb_typeof(questions) = 'array' and jsonb_array_length(questions) between 1 and 100),
  constraint entry_tests_questions_have_one_right_answer check (not jsonb_path_exists(questions,
    '$[*] ? (@.key.type() != "string" || @.text.type() != "string" || @.options.type() != "object" || @.right.type() != "string")')),
  constraint entry_tests_can_be_passed check (right_min between 1 and jsonb_array_length(questions)),
  constraint entry_tests_tries_are_some check (tries_max between 1 and 100),
  constraint entry_tests_source_is_not_blank check (source ~ '\S' and length(source) <= 500)
);
comment on table public.entry_tests is 'Questions that show whether somebody understands what he would buy, with the right answers: read by commands alone, which ask without telling. Of a code the version with the latest valid_from that is not in the future holds. Rows are added, never changed.';
comment on column public.entry_tests.id is 'Identity of the version.';
comment on column public.entry_tests.code is 'Which test, such as ecspr.';
comment on column public.entry_tests.version is 'Its version, from 1.';
comment on column public.entry_tests.questions is 'Array of {key, text, options {letter: text}, right: letter}.';
comment on column public.entry_tests.right_min is 'How many right answers pass.';
comment on column public.entry_tests.tries_max is 'How many tries a party has in 24 hours: somebody who guesses does not understand.';
comment on column public.entry_tests.source is 'Where the test comes from; [?] until somebody competent has checked it.';
comment on column public.entry_tests.valid_from is 'First instant at which it is asked.';
comment on column public.entry_tests.created_at is 'When it was recorded.';

insert into public.entry_tests (code, version, right_min, tries_max, source, valid_from, questions) values ('ecspr', 1, 5, 3,
  'Regulation (EU) 2020/1503, Article 21: entry knowledge test [?]', '2000-01-01', '[
  {"key": "loss", "text": "What can happen to the money that you put into one building?", "options": {"a": "It is insured by the state.", "b": "All of it can be lost.", "c": "At most the rent can be lost."}, "right": "b"},
  {"key": "sale", "text": "You want your money back after a year. What holds?", "options": {"a": "The platform buys back at any time.", "b": "There may be no buyer, or only one at a lower price.", "c": "The bank pays at once."}, "right": "b"},
  {"key": "guarantee", "text": "Is a stated yield promised?", "options": {"a": "No: rent can fall away and costs can rise.", "b": "Yes, by the platform.", "c": "Yes, by the deposit guarantee scheme."}, "right": "a"},
  {"key": "spread", "text": "What lowers the risk of losing everything at once?", "options": {"a": "One building in a good place.", "b": "A higher stated yield.", "c": "Parts of many different things."}, "right": "c"},
  {"key": "reflection", "text": "You have bought and think again on the next day. What may you do?", "options": {"a": "Withdraw within the days for reflection, without a reason.", "b": "Nothing.", "c": "Withdraw only with a reason."}, "right": "a"},
  {"key": "share", "text": "How much of your savings should be in investments of this kind?", "options": {"a": "As much as possible.", "b": "A part whose loss you can bear.", "c": "All of it when the yield is high."}, "right": "b"}
]');

create table public.accreditation_cases (
  id                 uuid primary key default gen_random_uuid(),
  user_id            uuid not null,
  party_id           uuid not null,
  kind               text not null,
  method             text not null,
  submission         jsonb not null default '{}',
  entry_test_id      uuid,
  answers_right      integer,
  net_worth_minor    bigint,
  net_worth_currency text,
  status             text not null default 'submitted',
  taken_by           uuid,
  taken_at           timestamptz,
  decided_by         uuid,
  decided_at         timestamptz,
  reason             text,
  expires_at         timestamptz,
  ended_at           timestamptz,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  constraint accreditation_cases_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint accreditation_cases_entry_test_id_fkey foreign key (entry_test_id) references public.entry_tests (id) on delete restrict,
  constraint accreditation_cases_net_worth_currency_fkey foreign key (net_worth_currency) references public.currencies (code),
  constraint accreditation_cases_kind_is_known check (kind in ('accredited', 'sophisticated', 'entry_test')),
  constraint accreditation_cases_method_is_a_word check (method ~ '^[a-z][a-z0-9_]{0,49}$'),
  constraint accreditation_cases_submission_is_an_object check (jsonb_typeof(submission) = 'object'),
  constraint accreditation_cases_submission_is_bounded check (length(submission::text) <= 20000),
  constraint accreditation_cases_test_is_named check ((kind = 'entry_test') = (num_nulls(entry_test_id, answers_right) = 0)),
  constraint accreditation_cases_answers_right_not_negative check (answers_right >= 0),
  constraint accreditation_cases_net_worth_is_an_amount check (net_worth_minor between 0 and 9007199254740991),
  constraint accreditation_cases_net_worth_has_a_currency check (num_nulls(net_worth_minor, net_worth_currency) in (0, 2)),
  constraint accreditation_cases_status_is_known check (
    status in ('submitted', 'in_review', 'approved', 'rejected', 'expired', 'withdrawn', 'superseded', 'revoked')),
  constraint accreditation_cases_review_is_signed check (status <> 'in_review' or num_nulls(taken_by, taken_at) = 0),
  constraint accreditation_cases_taken_by_another check (taken_by <> user_id),
  constraint accreditation_cases_decided_by_another check (decided_by <> user_id),
  constraint accreditation_cases_decision_is_dated check (
    status not in ('approved', 'rejected', 'expired', 'superseded', 'revoked') or decided_at is not null),
  constraint accreditation_cases_decision_is_signed check (
    decided_at is null or decided_by is not null or (kind = 'entry_test' and status <> 'revoked')),
  constraint accreditation_cases_refusal_has_a_reason check (status not in ('rejected', 'revoked') or reason ~ '\S'),
  constraint accreditation_cases_reason_is_bounded check (length(reason) <= 2000),
  constraint accreditation_cases_approval_expires check (status <> 'approved' or expires_at > decided_at),
  constraint accreditation_cases_end_has_an_instant check ((status in ('submitted', 'in_review', 'approved')) = (ended_at is null))
);
comment on table public.accreditation_cases is 'A party''s request to count as accredited or sophisticated, or its entry test, with what was submitted and the decision. Read by the person; shown to compliance officers by a command that notes each read in the audit trail; written by commands.';
comment on column public.accreditation_cases.id is 'Identity of the case.';
comment on column public.accreditation_cases.user_id is 'The login that submitted.';
comment on column public.accreditation_cases.party_id is 'The party that it is about.';
comment on column public.accreditation_cases.kind is 'accredited (US), sophisticated (EU) or entry_test (EU: the test of knowledge, which decides itself).';
comment on column public.accreditation_cases.method is 'How it is shown: income, net_worth, professional_licence, third_party_letter, self_assessment, knowledge_test, ...';
comment on column public.accreditation_cases.submission is 'What the person stated; of an entry test the answers as they were given.';
comment on column public.accreditation_cases.entry_test_id is 'Which version of which test was answered.';
comment on column public.accreditation_cases.answers_right is 'How many answers were right.';
comment on column public.accreditation_cases.net_worth_minor is 'Net worth as stated, in smallest units of its currency; counts for as long as compliance_terms say.';
comment on column public.accreditation_cases.net_worth_currency is 'Currency of the net worth.';
comment on column public.accreditation_cases.status is 'submitted, in_review, approved, rejected, expired, withdrawn (by the person), superseded (by a newer approval) or revoked (an approval that an officer took back).';
comment on column public.accreditation_cases.taken_by is 'The compliance officer who reviews it.';
comment on column public.accreditation_cases.taken_at is 'When the review began.';
comment on column public.accreditation_cases.decided_by is 'The compliance officer who decided, never one of the party itself; null where an entry test decided.';
comment on column public.accreditation_cases.decided_at is 'When it was decided.';
comment on column public.accreditation_cases.reason is 'Why it was rejected or revoked.';
comment on column public.accreditation_cases.expires_at is 'Until when an approval holds: it does before this instant and no longer at it.';
comment on column public.accreditation_cases.ended_at is 'When it was rejected, withdrawn, superseded or revoked, or found expired; null while open or in force.';
comment on column public.accreditation_cases.created_at is 'When it was submitted.';
comment on column public.accreditation_cases.updated_at is 'When the row last changed.';
create index accreditation_cases_user_id_idx on public.accreditation_cases (user_id);
create index accreditation_cases_party_id_idx on public.accreditation_cases (party_id, kind);
create index accreditation_cases_entry_test_id_idx on public.accreditation_cases (entry_test_id);
create index accreditation_cases_net_worth_currency_idx on public.accreditation_cases (net_worth_currency);
create index accreditation_cases_taken_by_idx on public.accreditation_cases (taken_by);
create index accreditation_cases_decided_by_idx on public.accreditation_cases (decided_by);
create index accreditation_cases_due_idx on public.accreditation_cases (expires_at) where status = 'approved';
create index accreditation_cases_queue_idx on public.accreditation_cases (created_at) where status in ('submitted', 'in_review');
create unique index accreditation_cases_one_open_key on public.accreditation_cases (party_id, kind)
  where status in ('submitted', 'in_review');
create unique index accreditation_cases_one_approved_key on public.accreditation_cases (party_id, kind) where status = 'approved';

alter table public.kyc_documents add column accreditation_case_id uuid;
alter table public.kyc_documents add constraint kyc_documents_accreditation_case_id_fkey
  foreign key (accreditation_case_id) references public.accreditation_cases (id) on delete restrict;
alter table public.kyc_documents add constraint kyc_documents_of_one_case
  check (num_nonnulls(kyc_case_id, accreditation_case_id) <= 1);
comment on column public.kyc_documents.accreditation_case_id is 'The accreditation that it is evidence of; null where it belongs to a verification of identity or to nothing yet.';
create index kyc_documents_accreditation_case_id_idx on public.kyc_documents (accreditation_case_id);

create trigger accreditation_cases_decided_by_a_stranger before insert or update of taken_by, decided_by on public.accreditation_cases
  for each row execute function nexus.refuse_own_decision();
create trigger accreditation_cases_updated_at before update on public.accreditation_cases
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.accreditation_cases');
create trigger entry_tests_are_append_only before update or delete or truncate on public.entry_tests
  for each statement execute function nexus.refuse_change();

alter table public.entry_tests enable row level security;
grant select on public.entry_tests to nexus_engine;
create policy entry_tests_engine on public.entry_tests for select to nexus_engine using (true);

-- Staff have no policy here on purpose: see kyc_cases.
alter table public.accreditation_cases enable row level security;
grant select on public.accreditation_cases to authenticated, nexus_engine;
grant insert, update on public.accreditation_cases to nexus_engine;
create policy accreditation_cases_read_own on public.accreditation_cases for select to authenticated
  using (user_id = (select auth.uid()));
create policy accreditation_cases_engine on public.accreditation_cases for all to nexus_engine using (true) with check (true);

reset role;

alter table public.accreditation_cases add constraint accreditation_cases_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
alter table public.accreditation_cases add constraint accreditation_cases_taken_by_fkey
  foreign key (taken_by) references auth.users (id) on delete restrict;
alter table public.accreditation_cases add constraint accreditation_cases_decided_by_fkey
  foreign key (decided_by) references auth.users (id) on delete restrict;
