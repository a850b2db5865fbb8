-- What front ends follow as it changes, and who may know of a row that is gone: there is no row left for a policy to be
-- asked about, so that each table has a rule of its own beside its policy.
set role nexus_owner;

create function public.may_hear_of_removal(entity text, identity jsonb) returns boolean
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(case entity
    when 'notifications' then (identity ->> 'user_id')::uuid = auth.uid()
    when 'chat_rooms' then (identity ->> 'is_public')::boolean or (identity ->> 'created_by')::uuid = auth.uid()
      or (identity ->> 'id')::uuid = any (nexus.chat_room_ids())
    when 'chat_room_participants' then (identity ->> 'user_id')::uuid = auth.uid()
      or (identity ->> 'room_id')::uuid = any (nexus.chat_room_ids() || nexus.own_chat_room_ids())
    when 'chat_messages' then (identity ->> 'room_id')::uuid = any (nexus.chat_room_ids())
  end, false) and auth.uid() is not null;
end;
comment on function public.may_hear_of_removal(text, jsonb) is
  'Whether the caller may know that a row of this table with these values is gone: what the table''s own policy said of it. False of every table without a rule.';
revoke execute on function public.may_hear_of_removal(text, jsonb) from public;
grant execute on function public.may_hear_of_removal(text, jsonb) to authenticated, nexus_staff, service_role;

-- The rules look at columns beside the key. Rows are inserted as before; only changes and removals write the old row as well.
alter table public.notifications replica identity full;
alter table public.chat_rooms replica identity full;
alter table public.chat_room_participants replica identity full;
alter table public.chat_messages replica identity full;

reset role;

do $$
declare
  name text;
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  foreach name in array array['notifications', 'chat_rooms', 'chat_room_participants', 'chat_messages',
                              'properties', 'property_tokens', 'investments'] loop
    if not exists (select from pg_catalog.pg_publication_tables
                   where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = name) then
      execute format('alter publication supabase_realtime add table public.%I', name);
    end if;
  end loop;
exception when insufficient_privilege then
  raise notice 'the publication supabase_realtime is somebody else''s: let its owner add the tables that clients follow';
end
$$;
