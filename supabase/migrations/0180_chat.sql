-- Chat rooms about properties, who is in them, and what is said. All of it works by policy alone.
set role nexus_owner;

create function nexus.are_paths_in_folder(paths jsonb, bucket text, folder uuid) returns boolean
language sql immutable parallel safe
return nexus.is_list_of_texts(paths) and not exists (
  select from jsonb_array_elements_text(case when jsonb_typeof(paths) = 'array' then paths else '[]' end) as p (path)
  where not (nexus.is_storage_path(p.path, bucket) and split_part(p.path, '/', 2) = folder::text));
comment on function nexus.are_paths_in_folder(jsonb, text, uuid) is 'Whether a value is an array of bucket/folder/... paths of this bucket and folder.';
grant execute on function nexus.are_paths_in_folder(jsonb, text, uuid) to authenticated, service_role;

create table public.chat_rooms (
  id          uuid primary key default gen_random_uuid(),
  name        text not null,
  description text,
  property_id uuid,
  is_public   boolean not null default false,
  created_by  uuid default auth.uid(),
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint chat_rooms_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint chat_rooms_name_is_not_blank check (name ~ '\S' and length(name) <= 200),
  constraint chat_rooms_description_is_bounded check (length(description) <= 2000)
);
comment on table public.chat_rooms is 'Chat rooms. A public room can be found and joined by everybody who is signed in; a private one is by invitation of who made it.';
comment on column public.chat_rooms.id is 'Identity of the room.';
comment on column public.chat_rooms.name is 'Name to show.';
comment on column public.chat_rooms.description is 'What it is for.';
comment on column public.chat_rooms.property_id is 'The property it is about, if any.';
comment on column public.chat_rooms.is_public is 'Whether everybody who is signed in may find and join it.';
comment on column public.chat_rooms.created_by is 'The login that made it; null once that login is gone.';
comment on column public.chat_rooms.created_at is 'When it was made.';
comment on column public.chat_rooms.updated_at is 'When the row last changed.';
create index chat_rooms_property_id_idx on public.chat_rooms (property_id);
create index chat_rooms_public_idx on public.chat_rooms (id) where is_public;
create index chat_rooms_created_by_idx on public.chat_rooms (created_by);

create table public.chat_room_participants (
  id           uuid primary key default gen_random_uuid(),
  room_id      uuid not null,
  user_id      uuid not null default auth.uid(),
  is_active    boolean not null default true,
  joined_at    timestamptz not null default now(),
  last_read_at timestamptz,
  constraint chat_room_participants_room_id_fkey foreign key (room_id) references public.chat_rooms (id) on delete cascade,
  constraint chat_room_participants_once_a_room unique (user_id, room_id)
);
comment on table public.chat_room_participants is 'Who is in a room, and how far each has read.';
comment on column public.chat_room_participants.id is 'Identity of the participation.';
comment on column public.chat_room_participants.room_id is 'The room.';
comment on column public.chat_room_participants.user_id is 'The login that is in it.';
comment on column public.chat_room_participants.is_active is 'False once put out; set by who made the room. Leaving removes the row.';
comment on column public.chat_room_participants.joined_at is 'Since when.';
comment on column public.chat_room_participants.last_read_at is 'Everything up to then is read.';
create index chat_room_participants_room_id_idx on public.chat_room_participants (room_id);

create table public.chat_messages (
  id           uuid primary key default gen_random_uuid(),
  room_id      uuid not null,
  user_id      uuid default auth.uid(),
  message      text not null,
  message_type text not null default 'text',
  attachments  jsonb not null default '[]',
  reply_to     uuid,
  edited_at    timestamptz,
  created_at   timestamptz not null default now(),
  constraint chat_messages_room_id_fkey foreign key (room_id) references public.chat_rooms (id) on delete cascade,
  constraint chat_messages_message_is_bounded check (length(message) <= 10000),
  constraint chat_messages_type_is_known check (message_type in ('text', 'image', 'file', 'system')),
  constraint chat_messages_attachments_are_of_the_room check (jsonb_typeof(attachments) = 'array'
    and nexus.are_paths_in_folder(attachments, 'chat-attachments', room_id)),
  constraint chat_messages_says_something check (message ~ '\S' or attachments <> '[]'),
  constraint chat_messages_id_room_id_key unique (id, room_id),
  constraint chat_messages_reply_in_same_room_fkey foreign key (reply_to, room_id)
    references public.chat_messages (id, room_id) on delete set null (reply_to)
);
comment on table public.chat_messages is 'What is said in a room.';
comment on column public.chat_messages.id is 'Identity of the message.';
comment on column public.chat_messages.room_id is 'The room.';
comment on column public.chat_messages.user_id is 'The login that said it; null once that login is gone.';
comment on column public.chat_messages.message is 'Text.';
comment on column public.chat_messages.message_type is 'text, image, file, or system (said by the platform).';
comment on column public.chat_messages.attachments is 'Array of paths in chat-attachments/<room id>/....';
comment on column public.chat_messages.reply_to is 'The message of the same room that it answers.';
comment on column public.chat_messages.edited_at is 'When its text last changed; set by the database.';
comment on column public.chat_messages.created_at is 'When it was said.';
create index chat_messages_room_id_idx on public.chat_messages (room_id, created_at desc);
create index chat_messages_user_id_idx on public.chat_messages (user_id);
create index chat_messages_reply_to_idx on public.chat_messages (reply_to, room_id);

create function nexus.chat_room_ids() returns uuid[]
language sql stable security definer set search_path = ''
as $$
  select coalesce(array_agg(p.room_id), '{}') from public.chat_room_participants as p where p.user_id = auth.uid() and p.is_active
$$;
comment on function nexus.chat_room_ids() is 'Rooms that the caller is in.';

create function nexus.own_chat_room_ids() returns uuid[]
language sql stable security definer set search_path = ''
as $$
  select coalesce(array_agg(r.id), '{}') from public.chat_rooms as r where r.created_by = auth.uid()
$$;
comment on function nexus.own_chat_room_ids() is 'Rooms that the caller made.';

grant execute on function nexus.chat_room_ids(), nexus.own_chat_room_ids() to authenticated, service_role;

create function nexus.stamp_edit() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.edited_at := case when new.message is distinct from old.message then now() else old.edited_at end;
  return new;
end
$$;
comment on function nexus.stamp_edit() is 'Trigger: notes when a message''s text changed.';

create trigger chat_messages_edited before update on public.chat_messages for each row execute function nexus.stamp_edit();
create trigger chat_rooms_updated_at before update on public.chat_rooms
  for each row execute function public.update_updated_at_column();

-- A private room is never made public, and nobody removes what others have said in one: clients have no right to either.
alter table public.chat_rooms enable row level security;
grant select on public.chat_rooms to authenticated;
grant insert (name, description, property_id, is_public, created_by), update (name, description) on public.chat_rooms to authenticated;
grant select, insert, update, delete on public.chat_rooms to service_role;
create policy chat_rooms_read on public.chat_rooms for select to authenticated
  using (is_public or created_by = (select auth.uid()) or id = any ((select nexus.chat_room_ids())::uuid[]));
create policy chat_rooms_insert_own on public.chat_rooms for insert to authenticated with check (
  created_by = (select auth.uid())
  and (property_id is null or exists (select from public.properties as p where p.id = property_id)));
create policy chat_rooms_update_own on public.chat_rooms for update to authenticated
  using (created_by = (select auth.uid())) with check (created_by = (select auth.uid()));

alter table public.chat_room_participants enable row level security;
grant select, delete on public.chat_room_participants to authenticated;
grant insert (room_id, user_id), update (is_active, last_read_at) on public.chat_room_participants to authenticated;
grant select, insert, update, delete on public.chat_room_participants to service_role;
create policy chat_room_participants_read on public.chat_room_participants for select to authenticated
  using (user_id = (select auth.uid()) or room_id = any ((select nexus.chat_room_ids())::uuid[])
    or room_id = any ((select nexus.own_chat_room_ids())::uuid[]));
create policy chat_room_participants_join on public.chat_room_participants for insert to authenticated
  with check ((user_id = (select auth.uid()) and exists (select from public.chat_rooms as r where r.id = room_id and r.is_public))
    or room_id = any ((select nexus.own_chat_room_ids())::uuid[]));
-- One's own read mark while one is in, or anybody's place in a room that one made.
create policy chat_room_participants_update on public.chat_room_participants for update to authenticated
  using ((user_id = (select auth.uid()) and is_active) or room_id = any ((select nexus.own_chat_room_ids())::uuid[]))
  with check ((user_id = (select auth.uid()) and is_active) or room_id = any ((select nexus.own_chat_room_ids())::uuid[]));
-- Who was put out keeps the row that says so.
create policy chat_room_participants_leave on public.chat_room_participants for delete to authenticated
  using (user_id = (select auth.uid()) and is_active);

alter table public.chat_messages enable row level security;
grant select, delete on public.chat_messages to authenticated;
grant insert (room_id, user_id, message, message_type, attachments, reply_to), update (message) on public.chat_messages to authenticated;
grant select, insert, update, delete on public.chat_messages to service_role;
create policy chat_messages_read on public.chat_messages for select to authenticated
  using (room_id = any ((select nexus.chat_room_ids())::uuid[]));
create policy chat_messages_insert_own on public.chat_messages for insert to authenticated
  with check (user_id = (select auth.uid()) and message_type <> 'system' and room_id = any ((select nexus.chat_room_ids())::uuid[]));
create policy chat_messages_update_own on public.chat_messages for update to authenticated
  using (user_id = (select auth.uid()) and message_type <> 'system' and room_id = any ((select nexus.chat_room_ids())::uuid[]))
  with check (user_id = (select auth.uid()) and message_type <> 'system' and room_id = any ((select nexus.chat_room_ids())::uuid[]));
create policy chat_messages_delete_own on public.chat_messages for delete to authenticated
  using (user_id = (select auth.uid()) and message_type <> 'system' and room_id = any ((select nexus.chat_room_ids())::uuid[]));

reset role;

alter table public.chat_rooms add constraint chat_rooms_created_by_fkey
  foreign key (created_by) references auth.users (id) on delete set null;
alter table public.chat_room_participants add constraint chat_room_participants_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;
alter table public.chat_messages add constraint chat_messages_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete set null;
