-- What was asked of the assistant and what it answered. Written by the assistant only.
set role nexus_owner;

create table public.ai_interactions (
  id                  uuid primary key default gen_random_uuid(),
  user_id             uuid not null,
  session_id          text not null,
  user_message        text not null,
  ai_response         text,
  intent_detected     text,
  confidence_score    numeric,
  recommendation_type text,
  created_at          timestamptz not null default now(),
  constraint ai_interactions_session_is_bounded check (length(session_id) between 1 and 200),
  constraint ai_interactions_message_is_bounded check (length(user_message) <= 20000),
  constraint ai_interactions_response_is_bounded check (length(ai_response) <= 100000),
  constraint ai_interactions_labels_are_short check (length(intent_detected) <= 100 and length(recommendation_type) <= 100),
  constraint ai_interactions_confidence_is_a_probability check (confidence_score between 0 and 1)
);
comment on table public.ai_interactions is 'Conversations with the assistant: each question, its answer, and what was measured about it.';
comment on column public.ai_interactions.id is 'Identity of the interaction.';
comment on column public.ai_interactions.user_id is 'The login that asked.';
comment on column public.ai_interactions.session_id is 'The conversation it belongs to.';
comment on column public.ai_interactions.user_message is 'What was asked.';
comment on column public.ai_interactions.ai_response is 'What was answered; null when it could not be.';
comment on column public.ai_interactions.intent_detected is 'What the question was taken for.';
comment on column public.ai_interactions.confidence_score is 'Measured confidence of that, 0 to 1; null where it was not measured.';
comment on column public.ai_interactions.recommendation_type is 'Kind of recommendation given, if any.';
comment on column public.ai_interactions.created_at is 'When it was asked.';
create index ai_interactions_user_session_idx on public.ai_interactions (user_id, session_id);

alter table public.ai_interactions enable row level security;
grant select on public.ai_interactions to authenticated, service_role, nexus_engine;
grant insert, delete on public.ai_interactions to service_role;
grant insert on public.ai_interactions to nexus_engine;
create policy "Users can view own AI interactions" on public.ai_interactions for select to authenticated using ((select auth.uid()) = user_id);
create policy ai_interactions_read_admin on public.ai_interactions for select to nexus_staff
  using ((select nexus.has_any_role('admin')));
create policy ai_interactions_engine on public.ai_interactions for all to nexus_engine using (true) with check (true);

reset role;

alter table public.ai_interactions add constraint ai_interactions_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;
