-- Contents of stored files that an object named and names no longer: what is left to be looked at and removed.
set role nexus_owner;

create table nexus.unnamed_files (
  id       bigint generated always as identity primary key,
  sha256   bytea not null,
  noted_at timestamptz not null default now(),
  constraint unnamed_files_sha256_has_32_bytes check (length(sha256) = 32)
);
comment on table nexus.unnamed_files is 'Contents that an object was taken off: by removing it, or by replacing it. Written in the transaction that does so; the collector looks whether another row names the content, and removes the bytes where none does.';
comment on column nexus.unnamed_files.id is 'Order in which they are looked at.';
comment on column nexus.unnamed_files.sha256 is 'SHA-256 of the content.';
comment on column nexus.unnamed_files.noted_at is 'When the object was removed or replaced.';

alter table nexus.unnamed_files enable row level security;
grant select, insert, update, delete on nexus.unnamed_files to nexus_engine;
create policy unnamed_files_engine on nexus.unnamed_files for all to nexus_engine using (true) with check (true);

reset role;
