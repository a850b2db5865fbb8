-- Who read which private file. A read changes nothing, so the audit trail would not see it: it has a table, whose rows the
-- trail then holds like any others.
set role nexus_owner;

create table public.file_reads (
  id          uuid primary key default gen_random_uuid(),
  object_id   uuid not null,
  bucket_id   text not null,
  object_name text not null,
  sha256      bytea not null,
  reader_id   uuid not null,
  read_at     timestamptz not null,
  constraint file_reads_sha256_has_32_bytes check (length(sha256) = 32),
  constraint file_reads_object_name_is_bounded check (length(object_name) between 1 and 1200)
);
comment on table public.file_reads is 'Each time that somebody was given the bytes of a private file. Append-only, and audited.';
comment on column public.file_reads.id is 'Identity of the read.';
comment on column public.file_reads.object_id is 'The file: storage.objects.id. No foreign key: the trail outlives the file.';
comment on column public.file_reads.bucket_id is 'Its bucket.';
comment on column public.file_reads.object_name is 'Its name in the bucket.';
comment on column public.file_reads.sha256 is 'SHA-256 of the content that was read.';
comment on column public.file_reads.reader_id is 'The login that read.';
comment on column public.file_reads.read_at is 'When.';
create index file_reads_object_id_idx on public.file_reads (object_id, read_at desc);
create index file_reads_reader_id_idx on public.file_reads (reader_id, read_at desc);

create trigger file_reads_are_append_only before update or delete or truncate on public.file_reads
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.file_reads');

alter table public.file_reads enable row level security;
grant select on public.file_reads to nexus_staff, service_role, nexus_engine;
grant insert on public.file_reads to nexus_engine;
create policy file_reads_read_staff on public.file_reads for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy file_reads_engine on public.file_reads for all to nexus_engine using (true) with check (true);

reset role;

alter table public.file_reads add constraint file_reads_reader_id_fkey
  foreign key (reader_id) references auth.users (id) on delete restrict;
