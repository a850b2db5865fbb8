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
