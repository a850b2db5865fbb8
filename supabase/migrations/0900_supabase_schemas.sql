-- Everything that touches Supabase's own schemas, and the only file that may: buckets, policies on storage.objects, and
-- triggers on auth.users. Runs as whoever applies migrations: on Supabase `postgres` may do this much and no more.

create trigger on_auth_user_created after insert on auth.users
  for each row execute function public.handle_new_user();
create trigger on_auth_user_changed after update of email on auth.users
  for each row when (old.email is distinct from new.email) execute function nexus.handle_changed_user();

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) values
  ('property-images',      'property-images',      true,  10485760,  array['image/jpeg', 'image/png', 'image/webp', 'image/avif', 'image/gif']),
  ('kyc-documents',        'kyc-documents',        false, 20971520,  array['application/pdf', 'image/jpeg', 'image/png', 'image/webp', 'image/heic']),
  ('user-avatars',         'user-avatars',         true,  2097152,   array['image/jpeg', 'image/png', 'image/webp', 'image/avif', 'image/gif']),
  ('property-media',       'property-media',       true,  524288000, array['video/mp4', 'video/webm', 'application/pdf', 'image/jpeg', 'image/png', 'image/webp', 'image/avif']),
  ('investment-documents', 'investment-documents', false, 20971520,  array['application/pdf', 'application/json']),
  ('chat-attachments',     'chat-attachments',     false, 20971520,  null),
  ('property-evidence',    'property-evidence',    false, 52428800,  array['application/pdf', 'image/jpeg', 'image/png', 'image/webp', 'image/tiff'])
on conflict (id) do nothing;

-- Folders say whose a file is: <property id>/ in property-images, property-media and property-evidence, <login id>/ in
-- user-avatars, kyc-documents and investment-documents, <room id>/ in chat-attachments.

-- The bytes of public buckets are served without asking these policies; they decide who may list them. Whoever may see a
-- property may list its files; nobody lists other people's avatars, which would be a list of logins.
create policy property_files_read_of_visible_property on storage.objects for select to anon, authenticated
  using (bucket_id in ('property-images', 'property-media')
    and exists (select from public.properties as p where p.id = nexus.folder_id(name)));
create policy avatars_read_own on storage.objects for select to authenticated
  using (bucket_id = 'user-avatars' and nexus.folder_id(name) = (select auth.uid()));

create policy property_files_insert_manager on storage.objects for insert to nexus_staff
  with check (bucket_id in ('property-images', 'property-media', 'property-evidence')
    and nexus.folder_id(name) = any ((select nexus.managed_property_ids())::uuid[]));
create policy property_files_update_manager on storage.objects for update to nexus_staff
  using (bucket_id in ('property-images', 'property-media')
    and nexus.folder_id(name) = any ((select nexus.managed_property_ids())::uuid[]))
  with check (bucket_id in ('property-images', 'property-media')
    and nexus.folder_id(name) = any ((select nexus.managed_property_ids())::uuid[]));
create policy property_files_delete_manager on storage.objects for delete to nexus_staff
  using (bucket_id in ('property-images', 'property-media')
    and nexus.folder_id(name) = any ((select nexus.managed_property_ids())::uuid[]));
create policy property_evidence_read_staff on storage.objects for select to nexus_staff
  using (bucket_id = 'property-evidence' and ((select nexus.has_any_role('admin', 'compliance_officer'))
    or nexus.folder_id(name) = any ((select nexus.member_property_ids())::uuid[])));

create policy avatars_insert_own on storage.objects for insert to authenticated
  with check (bucket_id = 'user-avatars' and nexus.folder_id(name) = (select auth.uid()));
create policy avatars_update_own on storage.objects for update to authenticated
  using (bucket_id = 'user-avatars' and nexus.folder_id(name) = (select auth.uid()))
  with check (bucket_id = 'user-avatars' and nexus.folder_id(name) = (select auth.uid()));
create policy avatars_delete_own on storage.objects for delete to authenticated
  using (bucket_id = 'user-avatars' and nexus.folder_id(name) = (select auth.uid()));

-- What was filed to prove an identity is neither replaced nor removed by who filed it. Officers have no policy: they are
-- shown a file by a command, which notes the read in the audit trail.
create policy kyc_files_read_own on storage.objects for select to authenticated
  using (bucket_id = 'kyc-documents' and nexus.folder_id(name) = (select auth.uid()));
create policy kyc_files_insert_own on storage.objects for insert to authenticated
  with check (bucket_id = 'kyc-documents' and nexus.folder_id(name) = (select auth.uid()));

-- Agreements and statements are written by the platform.
create policy investment_files_read_own on storage.objects for select to authenticated
  using (bucket_id = 'investment-documents' and nexus.folder_id(name) = (select auth.uid()));
create policy investment_files_read_staff on storage.objects for select to nexus_staff
  using (bucket_id = 'investment-documents' and (select nexus.has_any_role('admin', 'compliance_officer')));

create policy chat_files_read_room on storage.objects for select to authenticated
  using (bucket_id = 'chat-attachments' and nexus.folder_id(name) = any ((select nexus.chat_room_ids())::uuid[]));
create policy chat_files_insert_room on storage.objects for insert to authenticated
  with check (bucket_id = 'chat-attachments' and nexus.folder_id(name) = any ((select nexus.chat_room_ids())::uuid[]));
create policy chat_files_delete_own on storage.objects for delete to authenticated
  using (bucket_id = 'chat-attachments' and owner_id = (select auth.uid())::text
    and nexus.folder_id(name) = any ((select nexus.chat_room_ids())::uuid[]));

-- Stored files of the platform itself: written and found by commands through these functions, since the engine has nothing
-- to do in schema storage. They act as nexus_owner, for whom alone this policy is.
create policy files_of_commands on storage.objects for all to nexus_owner using (true) with check (true);
create policy buckets_of_commands on storage.buckets for select to nexus_owner using (true);

create schema if not exists nexus_storage authorization nexus_owner;
comment on schema nexus_storage is 'What the storage service calls as the caller; the API never shows it.';

set role nexus_owner;

create function nexus.file_lock(sha256 bytea) returns bigint
language sql immutable parallel safe
return hashtextextended('file:' || encode(sha256, 'hex'), 0);
comment on function nexus.file_lock(bytea) is 'Number of the advisory lock over one content: who names it shares the lock, who removes it has it alone.';

create function nexus.store_file(bucket_id text, object_name text, mime_type text, size bigint, sha256 bytea, owner_id uuid, at timestamptz)
returns uuid
language plpgsql security definer set search_path = ''
as $$
declare
  size_limit bigint;
  kinds text[];
  new_id uuid := gen_random_uuid();
begin
  select b.file_size_limit, b.allowed_mime_types into size_limit, kinds from storage.buckets as b where b.id = store_file.bucket_id;
  if not found then
    raise exception 'there is no bucket %', store_file.bucket_id using errcode = 'check_violation', constraint = 'files_have_a_bucket',
      hint = 'name a bucket that exists';
  end if;
  if size > size_limit then
    raise exception 'a file of % bytes is too large for the bucket %', size, store_file.bucket_id
      using errcode = 'check_violation', constraint = 'files_fit_the_bucket', hint = format('at most %s bytes', size_limit);
  end if;
  if mime_type <> all (kinds) then
    raise exception 'the bucket % takes no %', store_file.bucket_id, mime_type
      using errcode = 'check_violation', constraint = 'files_are_of_a_kind_allowed', hint = 'one of ' || array_to_string(kinds, ', ');
  end if;
  -- From here until the end of the transaction the collector leaves this content alone.
  perform pg_advisory_xact_lock_shared(nexus.file_lock(store_file.sha256));
  insert into storage.objects (id, bucket_id, name, owner, owner_id, version, created_at, updated_at, last_accessed_at, user_metadata, metadata)
  values (new_id, store_file.bucket_id, store_file.object_name, store_file.owner_id, store_file.owner_id::text, gen_random_uuid()::text, at, at, at, '{}',
    jsonb_build_object(
      'eTag', '"' || encode(store_file.sha256, 'hex') || '"', 'size', size, 'mimetype', mime_type, 'cacheControl', 'no-store',
      'lastModified', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'contentLength', size, 'httpStatusCode', 200));
  return new_id;
end
$$;
comment on function nexus.store_file(text, text, text, bigint, bytea, uuid, timestamptz) is 'Writes the row of a file whose bytes a command stores, under the bucket''s limits. The ETag is the SHA-256 by which the bytes are found.';

create function nexus.stored_file(bucket_id text, object_name text)
returns table (object_id uuid, sha256 bytea, size bigint, mime_type text)
language sql stable security definer set search_path = ''
as $$
  select o.id, decode(btrim(o.metadata ->> 'eTag', '"'), 'hex'), (o.metadata ->> 'size')::bigint, o.metadata ->> 'mimetype'
  from storage.objects as o
  where o.bucket_id = stored_file.bucket_id and o.name = stored_file.object_name and o.metadata ->> 'eTag' ~ '^"[0-9a-f]{64}"$'
$$;
comment on function nexus.stored_file(text, text) is 'A stored file by its name: no row where there is none whose bytes the platform keeps.';

create function nexus.lock_unused_file(sha256 bytea) returns boolean
language plpgsql security definer set search_path = ''
as $$
begin
  if not pg_try_advisory_xact_lock(nexus.file_lock(lock_unused_file.sha256)) then
    return false;
  end if;
  return not exists (select from storage.objects as o where o.metadata ->> 'eTag' = '"' || encode(lock_unused_file.sha256, 'hex') || '"')
    and not exists (select from nexus.resumable_parts as p where p.sha256 = lock_unused_file.sha256);
end
$$;
comment on function nexus.lock_unused_file(bytea) is 'Locks a content that no row names, until the end of the transaction; false where one does, or where somebody is about to.';

-- The storage service. What it does for somebody it does as his role, under the policies above; these functions tell it what
-- no policy shows. Each download asks one of them: in plpgsql, so that a session plans it once.
create function nexus_storage.bucket_rules(bucket_id text)
returns table (is_public boolean, file_size_limit bigint, allowed_mime_types text[])
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
    select coalesce(b.public, false), b.file_size_limit, b.allowed_mime_types from storage.buckets as b where b.id = bucket_rules.bucket_id;
end
$$;
comment on function nexus_storage.bucket_rules(text) is 'What a bucket takes: no row where there is none. For whoever uploads, who need not see the bucket itself.';

create function nexus_storage.public_object(bucket_id text, object_name text)
returns table (id uuid, version text, metadata jsonb, user_metadata jsonb, created_at timestamptz, updated_at timestamptz)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
    select o.id, o.version, o.metadata, o.user_metadata, o.created_at, o.updated_at
    from storage.buckets as b left join storage.objects as o on o.bucket_id = b.id and o.name = public_object.object_name
    where b.id = public_object.bucket_id and b.public;
end
$$;
comment on function nexus_storage.public_object(text, text) is 'An object of a public bucket, which anybody may have who knows its name; a row of nulls where the bucket is public and has no such object.';

create function nexus.signed_object(bucket_id text, object_name text)
returns table (id uuid, version text, metadata jsonb, user_metadata jsonb, created_at timestamptz, updated_at timestamptz)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
    select o.id, o.version, o.metadata, o.user_metadata, o.created_at, o.updated_at
    from storage.objects as o where o.bucket_id = signed_object.bucket_id and o.name = signed_object.object_name;
end
$$;
comment on function nexus.signed_object(text, text) is 'An object whose URL somebody signed who could see it.';

create function nexus.put_signed_object(bucket_id text, object_name text, owner_id text, version text, metadata jsonb, user_metadata jsonb, may_replace boolean)
returns table (id uuid, replaced text)
language plpgsql security definer set search_path = ''
as $$
#variable_conflict use_column
begin
  if put_signed_object.may_replace then
    return query
      with old as (select o.metadata ->> 'eTag' as tag from storage.objects as o where o.bucket_id = put_signed_object.bucket_id and o.name = put_signed_object.object_name)
      insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
      values (put_signed_object.bucket_id, put_signed_object.object_name, put_signed_object.owner_id::uuid, put_signed_object.owner_id,
        put_signed_object.version, put_signed_object.metadata, put_signed_object.user_metadata)
      on conflict (bucket_id, name) do update set version = excluded.version, metadata = excluded.metadata,
        user_metadata = excluded.user_metadata, owner = excluded.owner, owner_id = excluded.owner_id
      returning o.id, (select old.tag from old);
  else
    return query
      insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
      values (put_signed_object.bucket_id, put_signed_object.object_name, put_signed_object.owner_id::uuid, put_signed_object.owner_id,
        put_signed_object.version, put_signed_object.metadata, put_signed_object.user_metadata)
      returning o.id, null::text;
  end if;
end
$$;
comment on function nexus.put_signed_object(text, text, text, text, jsonb, jsonb, boolean) is 'Writes the object whose upload somebody signed who could have made it himself, with him as its owner; tells the ETag of what was replaced.';

create function nexus_storage.note_unnamed_files(tags text[]) returns void
language sql volatile security definer set search_path = ''
as $$
  insert into nexus.unnamed_files (sha256)
  select distinct decode(btrim(t.tag, '"'), 'hex') from unnest(note_unnamed_files.tags) as t (tag) where t.tag ~ '^"[0-9a-f]{64}"$'
$$;
comment on function nexus_storage.note_unnamed_files(text[]) is 'Notes ETags of objects that were removed or replaced, so that the collector looks at their contents. It removes nothing that a row names, whatever is noted.';

-- With the rights of whoever lists: policies decide about each row. One level of folders is walked by leaping from each
-- folder to what comes after it, so that what lies in it costs nothing.
create function nexus_storage.list_objects(bucket_id text, prefix text, after text, wanted integer, search text, has_folders boolean, is_descending boolean)
returns table (name text, id uuid, created_at timestamptz, updated_at timestamptz, last_accessed_at timestamptz, metadata jsonb)
language plpgsql stable security invoker set search_path = ''
as $$
#variable_conflict use_column
declare
  -- The last of all signs: no name has it.
  beyond constant text := chr(1114111);
  floor text := prefix;
  ceiling text := prefix || beyond;
  begins integer := length(prefix) + 1;
  missing integer := wanted;
  found_one record;
  slash integer;
  is_folder boolean;
begin
  if after is not null then
    if is_descending then
      ceiling := after;
    else
      floor := after || case when right(after, 1) = '/' then beyond else chr(1) end;
    end if;
  end if;
  <<levels>>
  loop
    is_folder := false;
    if not is_descending then
      for found_one in
        select o.name, o.id, o.created_at, o.updated_at, o.last_accessed_at, o.metadata from storage.objects as o
        where o.bucket_id = list_objects.bucket_id and o.name collate "C" >= floor collate "C" and o.name collate "C" < ceiling collate "C"
        order by o.name collate "C" limit missing
      loop
        slash := case when has_folders then strpos(substr(found_one.name, begins), '/') else 0 end;
        is_folder := slash > 0;
        exit when is_folder;
        floor := found_one.name || chr(1);
        if substr(found_one.name, begins) ilike search || '%' then
          name := found_one.name; id := found_one.id; created_at := found_one.created_at; updated_at := found_one.updated_at;
          last_accessed_at := found_one.last_accessed_at; metadata := found_one.metadata;
          return next;
          missing := missing - 1;
        end if;
      end loop;
    else
      for found_one in
        select o.name, o.id, o.created_at, o.updated_at, o.last_accessed_at, o.metadata from storage.objects as o
        where o.bucket_id = list_objects.bucket_id and o.name collate "C" >= floor collate "C" and o.name collate "C" < ceiling collate "C"
        order by o.name collate "C" desc limit missing
      loop
        slash := case when has_folders then strpos(substr(found_one.name, begins), '/') else 0 end;
        is_folder := slash > 0;
        exit when is_folder;
        ceiling := found_one.name;
        if substr(found_one.name, begins) ilike search || '%' then
          name := found_one.name; id := found_one.id; created_at := found_one.created_at; updated_at := found_one.updated_at;
          last_accessed_at := found_one.last_accessed_at; metadata := found_one.metadata;
          return next;
          missing := missing - 1;
        end if;
      end loop;
    end if;
    exit levels when found_one is null or missing <= 0;
    if is_folder then
      name := left(found_one.name, begins - 1 + slash);
      floor := case when is_descending then floor else name || beyond end;
      ceiling := case when is_descending then name else ceiling end;
      if substr(name, begins) ilike search || '%' then
        id := null; created_at := null; updated_at := null; last_accessed_at := null; metadata := null;
        return next;
        missing := missing - 1;
      end if;
    end if;
    exit levels when missing <= 0;
    found_one := null;
  end loop;
end
$$;
comment on function nexus_storage.list_objects(text, text, text, integer, text, boolean, boolean) is 'Objects, and folders where they are asked for, whose names begin with a prefix, by name from after another name on. A folder is a name that ends with a slash and has no id.';

grant usage on schema nexus_storage to anon, authenticated, service_role, nexus_engine;
grant execute on function nexus_storage.bucket_rules(text), nexus_storage.public_object(text, text), nexus_storage.note_unnamed_files(text[]),
  nexus_storage.list_objects(text, text, text, integer, text, boolean, boolean) to anon, authenticated, service_role, nexus_engine;
grant execute on function nexus.signed_object(text, text),
  nexus.put_signed_object(text, text, text, text, jsonb, jsonb, boolean) to nexus_engine;

grant execute on function nexus.store_file(text, text, text, bigint, bytea, uuid, timestamptz), nexus.stored_file(text, text),
  nexus.lock_unused_file(bytea) to nexus_engine;

reset role;
