-- Notifications to people, and the outbox of what must happen after a command.
set role nexus_owner;

create table public.notifications (
  id         uuid primary key default gen_random_uuid(),
  user_id    uuid not null,
  title      text not null,
  message    text not null,
  type       text not null default 'info',
  action_url text,
  read       boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint notifications_title_is_not_blank check (title ~ '\S' and length(title) <= 300),
  constraint notifications_message_is_bounded check (length(message) <= 5000),
  constraint notifications_type_is_a_word check (type ~ '^[a-z][a-z0-9_]{0,49}$'),
  -- A path of this site and never another: a notification must not lead anybody away.
  constraint notifications_action_is_a_local_path check (action_url ~ '^/([^/\\[:cntrl:]][^[:cntrl:]]*)?$' and length(action_url) <= 2000)
);
comment on table public.notifications is 'What the platform tells a person. Written by commands; the person marks it read or removes it.';
comment on column public.notifications.id is 'Identity of the notification.';
comment on column public.notifications.user_id is 'The login it is for.';
comment on column public.notifications.title is 'Headline.';
comment on column public.notifications.message is 'Text.';
comment on column public.notifications.type is 'Kind, such as info, success, warning, error, or the event it tells of.';
comment on column public.notifications.action_url is 'Where to go: a path of this site.';
comment on column public.notifications.read is 'Whether the person has read it.';
comment on column public.notifications.created_at is 'When it was told.';
comment on column public.notifications.updated_at is 'When the row last changed.';
create index notifications_user_id_idx on public.notifications (user_id, created_at desc);

create trigger notifications_updated_at before update on public.notifications
  for each row execute function public.update_updated_at_column();

alter table public.notifications enable row level security;
grant select, delete on public.notifications to authenticated;
grant update (read) on public.notifications to authenticated;
grant select, insert, update, delete on public.notifications to service_role;
grant select, insert on public.notifications to nexus_engine;
create policy notifications_read_own on public.notifications for select to authenticated using (user_id = (select auth.uid()));
create policy notifications_update_own on public.notifications for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy notifications_delete_own on public.notifications for delete to authenticated using (user_id = (select auth.uid()));
create policy notifications_engine on public.notifications for all to nexus_engine using (true) with check (true);

create table nexus.outbox_events (
  id           bigint generated always as identity primary key,
  topic        text not null,
  dedupe_key   text not null,
  payload      jsonb not null default '{}',
  actor_id     uuid,
  created_at   timestamptz not null default now(),
  available_at timestamptz not null default now(),
  attempts     integer not null default 0,
  done_at      timestamptz,
  dead_at      timestamptz,
  last_error   text,
  constraint outbox_events_topic_is_a_name check (topic ~ '^[a-z][a-z0-9_.]{0,99}$'),
  constraint outbox_events_once unique (topic, dedupe_key),
  constraint outbox_events_key_is_bounded check (length(dedupe_key) between 1 and 200),
  constraint outbox_events_payload_is_an_object check (jsonb_typeof(payload) = 'object'),
  constraint outbox_events_attempts_not_negative check (attempts >= 0),
  constraint outbox_events_error_is_bounded check (length(last_error) <= 5000),
  constraint outbox_events_end_once check (num_nonnulls(done_at, dead_at) <= 1)
);
comment on table nexus.outbox_events is 'What must happen outside the database because of a command, written in the command''s own transaction. A job does it afterwards, perhaps twice.';
comment on column nexus.outbox_events.id is 'Order of writing.';
comment on column nexus.outbox_events.topic is 'Which job it is for, such as mail.send.';
comment on column nexus.outbox_events.dedupe_key is 'What makes the event one: the same topic and key is written once.';
comment on column nexus.outbox_events.payload is 'What the job needs: ids, and no secret.';
comment on column nexus.outbox_events.actor_id is 'The login whose command wrote it.';
comment on column nexus.outbox_events.created_at is 'When it was written.';
comment on column nexus.outbox_events.available_at is 'Not to be tried before.';
comment on column nexus.outbox_events.attempts is 'How often it was tried.';
comment on column nexus.outbox_events.done_at is 'When it was done.';
comment on column nexus.outbox_events.dead_at is 'When it was given up, for a person to look at.';
comment on column nexus.outbox_events.last_error is 'Why the last try failed.';
create index outbox_events_due_idx on nexus.outbox_events (available_at, id) where done_at is null and dead_at is null;
create index outbox_events_dead_idx on nexus.outbox_events (dead_at) where dead_at is not null;

alter table nexus.outbox_events enable row level security;
grant select, insert, update on nexus.outbox_events to nexus_engine;
create policy outbox_events_engine on nexus.outbox_events for all to nexus_engine using (true) with check (true);

reset role;

alter table public.notifications add constraint notifications_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;
