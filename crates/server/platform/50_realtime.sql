-- Schema realtime with the messages table that broadcast, presence and private channels' policies rest on.
set role supabase_realtime_admin;

create table if not exists realtime.messages (
  topic       text not null,
  extension   text not null,
  payload     jsonb,
  event       text,
  private     boolean default false,
  updated_at  timestamp not null default now(),
  inserted_at timestamp not null default now(),
  id          uuid not null default gen_random_uuid(),
  binary_payload bytea,
  constraint messages_pkey primary key (id, inserted_at)
) partition by range (inserted_at);
comment on table realtime.messages is 'Realtime: messages sent from the database; policies on it decide who may join a private channel.';
create index if not exists messages_inserted_at_topic_index on only realtime.messages (inserted_at desc, topic) where extension = 'broadcast' and private is true;
-- Takes what no day's partition takes, so that sending never depends on a job having run.
create table if not exists realtime.messages_default partition of realtime.messages default;
comment on table realtime.messages_default is 'Realtime: messages of days without a partition of their own.';

create or replace function realtime.topic() returns text
language sql stable
as $$
  select nullif(current_setting('realtime.topic', true), '')::text
$$;
comment on function realtime.topic() is 'The topic of the channel being joined, or null.';

-- As on Supabase, a message that cannot be stored never fails the transaction that sends it.
create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
language plpgsql
as $$
begin
  perform set_config('realtime.topic', topic, true);
  insert into realtime.messages (payload, event, topic, private, extension)
  values (payload, event, topic, private, 'broadcast');
exception when others then
  raise warning 'realtime.send: %', sqlerrm;
end
$$;
comment on function realtime.send(jsonb, text, text, boolean) is 'Broadcasts a message to a channel from the database.';

create or replace function realtime.send_binary(payload bytea, event text, topic text, private boolean default true) returns void
language plpgsql
as $$
begin
  perform set_config('realtime.topic', topic, true);
  insert into realtime.messages (binary_payload, event, topic, private, extension)
  values (payload, event, topic, private, 'broadcast');
exception when others then
  raise warning 'realtime.send_binary: %', sqlerrm;
end
$$;
comment on function realtime.send_binary(bytea, text, text, boolean) is 'Broadcasts bytes to a channel from the database.';

create or replace function realtime.broadcast_changes(
  topic_name text, event_name text, operation text, table_name text, table_schema text,
  new record, old record, level text default 'ROW'
) returns void
language plpgsql
as $$
begin
  if level = 'STATEMENT' then
    raise exception 'function can only be triggered for each row, not for each statement';
  end if;
  perform realtime.send(
    jsonb_build_object('id', gen_random_uuid(), 'schema', table_schema, 'table', table_name, 'operation', operation,
                       'record', to_jsonb(new), 'old_record', to_jsonb(old)),
    event_name, topic_name);
end
$$;
comment on function realtime.broadcast_changes(text, text, text, text, text, record, record, text) is 'Broadcasts a row''s change; called by a user''s own trigger.';

-- Messages are told at once; what is kept is for those who come a little later.
create or replace function realtime.forget_messages(before timestamptz) returns bigint
language sql security definer set search_path = ''
as $$
  with gone as (delete from realtime.messages where inserted_at < before at time zone 'utc' returning 1) select count(*) from gone
$$;
comment on function realtime.forget_messages(timestamptz) is 'Removes messages that were sent before an instant, and says how many.';
revoke execute on function realtime.forget_messages(timestamptz) from public;
grant execute on function realtime.forget_messages(timestamptz) to service_role;

alter table realtime.messages enable row level security;
alter table realtime.messages_default enable row level security;
grant select, insert, update on realtime.messages to anon, authenticated, service_role, postgres;

reset role;

-- Broadcasts of the database reach their channels through the write-ahead log.
do $$
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime_messages_publication') then
    create publication supabase_realtime_messages_publication for table realtime.messages
      with (publish = 'insert', publish_via_partition_root = true);
  end if;
exception when insufficient_privilege then
  raise notice 'no publication of realtime.messages: broadcasts of the database are not heard';
end
$$;
