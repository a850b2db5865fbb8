-- Uploads that go on where they were cut off (TUS 1.0.0): what was asked for, and the parts that have come.
set role nexus_owner;

create table nexus.resumable_uploads (
  id            uuid primary key,
  bucket_id     text not null,
  object_name   text not null,
  owner_id      text,
  length        bigint not null,
  content_type  text,
  cache_control text not null,
  user_metadata jsonb not null default '{}',
  may_replace   boolean not null,
  created_at    timestamptz not null,
  expires_at    timestamptz not null,
  finished_at   timestamptz,
  told          text not null default '',
  constraint resumable_uploads_user_metadata_is_an_object check (jsonb_typeof(user_metadata) = 'object'),
  constraint resumable_uploads_told_is_bounded check (length(told) <= 65536),
  constraint resumable_uploads_length_is_a_size check (length >= 0),
  constraint resumable_uploads_object_name_is_bounded check (length(object_name) between 1 and 1024),
  constraint resumable_uploads_expire_after_they_begin check (expires_at > created_at)
);
comment on table nexus.resumable_uploads is 'An upload that may be cut off and go on. The object is written when the last byte has come; until it expires the upload still tells that it is finished.';
comment on column nexus.resumable_uploads.id is 'Identity of the upload; its URL has it.';
comment on column nexus.resumable_uploads.bucket_id is 'Bucket of the object. No foreign key: schema storage is not ours.';
comment on column nexus.resumable_uploads.object_name is 'Name of the object.';
comment on column nexus.resumable_uploads.owner_id is 'Who began it, and alone goes on; null: the service.';
comment on column nexus.resumable_uploads.length is 'Bytes of the whole.';
comment on column nexus.resumable_uploads.content_type is 'What its sender says that it is.';
comment on column nexus.resumable_uploads.cache_control is 'How long others may keep the object.';
comment on column nexus.resumable_uploads.user_metadata is 'What its sender notes of it.';
comment on column nexus.resumable_uploads.may_replace is 'Whether it may take the place of another object.';
comment on column nexus.resumable_uploads.created_at is 'When it began.';
comment on column nexus.resumable_uploads.expires_at is 'When it is forgotten.';
comment on column nexus.resumable_uploads.finished_at is 'When the object was written; null: bytes are missing.';
comment on column nexus.resumable_uploads.told is 'Upload-Metadata as it came: it is told again to whoever asks where the upload stands.';
create index resumable_uploads_expires_at_idx on nexus.resumable_uploads (expires_at);

create table nexus.resumable_parts (
  upload_id uuid not null,
  begins_at bigint not null,
  size      bigint not null,
  sha256    bytea not null,
  constraint resumable_parts_pkey primary key (upload_id, begins_at),
  constraint resumable_parts_upload_id_fkey foreign key (upload_id) references nexus.resumable_uploads (id) on delete cascade,
  constraint resumable_parts_begin_in_the_upload check (begins_at >= 0 and size > 0),
  constraint resumable_parts_sha256_has_32_bytes check (length(sha256) = 32)
);
comment on table nexus.resumable_parts is 'Bytes of an upload that have come and are kept, each part a stored file of its own until the object is written.';
comment on column nexus.resumable_parts.upload_id is 'The upload.';
comment on column nexus.resumable_parts.begins_at is 'Place of its first byte in the whole.';
comment on column nexus.resumable_parts.size is 'Bytes in it.';
comment on column nexus.resumable_parts.sha256 is 'SHA-256 of them, by which they are found.';
create index resumable_parts_sha256_idx on nexus.resumable_parts (sha256);

alter table nexus.resumable_uploads enable row level security;
alter table nexus.resumable_parts enable row level security;
grant select, insert, update, delete on nexus.resumable_uploads, nexus.resumable_parts to nexus_engine;
create policy resumable_uploads_engine on nexus.resumable_uploads for all to nexus_engine using (true) with check (true);
create policy resumable_parts_engine on nexus.resumable_parts for all to nexus_engine using (true) with check (true);

reset role;
