-- What commands need beside their own tables: the answers that a retry is given again, and the instant last seen.
set role nexus_owner;

create table nexus.command_keys (
  caller_id   uuid not null,
  command     text not null,
  key         text not null,
  body_sha256 bytea not null,
  answer      jsonb,
  created_at  timestamptz not null default now(),
  constraint command_keys_pkey primary key (caller_id, command, key),
  constraint command_keys_command_is_a_name check (command ~ '^[a-z][a-z0-9-]{0,99}$'),
  constraint command_keys_key_is_bounded check (length(key) between 1 and 200),
  constraint command_keys_answer_is_an_object check (jsonb_typeof(answer) = 'object'),
  constraint command_keys_body_is_sha256 check (length(body_sha256) = 32)
);
comment on table nexus.command_keys is 'Keys that clients gave with a command (Idempotency-Key), each with the answer: the same again is answered from here and does nothing. A refusal leaves no row, since its transaction is undone.';
comment on column nexus.command_keys.caller_id is 'The login that gave the key; keys of two logins never meet.';
comment on column nexus.command_keys.command is 'Name of the command, as functions have it.';
comment on column nexus.command_keys.key is 'What the client chose.';
comment on column nexus.command_keys.body_sha256 is 'SHA-256 of the body: another body under the same key is refused.';
comment on column nexus.command_keys.answer is 'The answer; null only while the command''s transaction runs, which nobody else can see.';
comment on column nexus.command_keys.created_at is 'When the command ran.';
create index command_keys_created_at_idx on nexus.command_keys (created_at);

create table nexus.clock_watch (
  is_the_row   boolean primary key default true,
  last_seen_at timestamptz not null,
  paused_at    timestamptz,
  reason       text,
  constraint clock_watch_has_one_row check (is_the_row),
  constraint clock_watch_pause_says_why check ((paused_at is null) = (reason is null) and length(reason) <= 1000)
);
comment on table nexus.clock_watch is 'The instant that the jobs saw last, in one row. A clock that jumps pauses what cannot be undone, until the operator says go on.';
comment on column nexus.clock_watch.is_the_row is 'Always true.';
comment on column nexus.clock_watch.last_seen_at is 'The database''s clock when the jobs last looked.';
comment on column nexus.clock_watch.paused_at is 'Since when deadlines, closings and payouts are paused; null: they run.';
comment on column nexus.clock_watch.reason is 'How the clock jumped.';
alter table nexus.clock_watch enable row level security;
grant select, insert, update on nexus.clock_watch to nexus_engine;
create policy clock_watch_engine on nexus.clock_watch for all to nexus_engine using (true) with check (true);

alter table nexus.command_keys enable row level security;
grant select, insert, update, delete on nexus.command_keys to nexus_engine;
create policy command_keys_engine on nexus.command_keys for all to nexus_engine using (true) with check (true);

reset role;
