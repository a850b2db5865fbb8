-- Lists of names that the operator supplies, to compare parties with.
set role nexus_owner;

create table nexus.screening_lists (
  id         uuid primary key default gen_random_uuid(),
  number     bigint generated always as identity,
  name       text not null,
  sha256     bytea not null,
  entries    integer not null,
  loaded_at  timestamptz not null,
  constraint screening_lists_name_is_a_word check (name ~ '^[a-z0-9][a-z0-9_.-]{0,79}$'),
  constraint screening_lists_sha256_has_32_bytes check (length(sha256) = 32),
  constraint screening_lists_entries_are_some check (entries >= 1)
);
comment on table nexus.screening_lists is 'Files of names that the operator loaded. Of a name the list loaded last counts; older ones stay, so that what a screening compared with can be told. Never shown to people.';
comment on column nexus.screening_lists.id is 'Identity of the loaded file.';
comment on column nexus.screening_lists.number is 'Order of loading.';
comment on column nexus.screening_lists.name is 'Which list: the same name replaces the list before.';
comment on column nexus.screening_lists.sha256 is 'SHA-256 of the file.';
comment on column nexus.screening_lists.entries is 'How many names it has.';
comment on column nexus.screening_lists.loaded_at is 'When it was loaded.';
create unique index screening_lists_newest_key on nexus.screening_lists (name, number desc);

create table nexus.screening_entries (
  list_id uuid not null,
  key     text not null,
  place   integer not null,
  name    text not null,
  words   text[] not null,
  constraint screening_entries_pkey primary key (list_id, place),
  constraint screening_entries_list_id_fkey foreign key (list_id) references nexus.screening_lists (id),
  constraint screening_entries_key_is_not_blank check (key ~ '\S' and length(key) <= 100),
  constraint screening_entries_place_counts check (place >= 1),
  constraint screening_entries_name_is_not_blank check (name ~ '\S' and length(name) <= 1000),
  constraint screening_entries_words_are_some check (cardinality(words) between 1 and 100)
);
comment on table nexus.screening_entries is 'The names of a list; several rows with one key are other names of the same.';
comment on column nexus.screening_entries.list_id is 'The list.';
comment on column nexus.screening_entries.key is 'The list''s own id of the person or entity.';
comment on column nexus.screening_entries.place is 'Line of the file, from 1.';
comment on column nexus.screening_entries.name is 'The name as the list has it.';
comment on column nexus.screening_entries.words is 'Its words, normalised as core does it: what finds candidates.';
create index screening_entries_words_idx on nexus.screening_entries using gin (words);

alter table nexus.screening_lists enable row level security;
grant select, insert on nexus.screening_lists to nexus_engine;
create policy screening_lists_engine on nexus.screening_lists for all to nexus_engine using (true) with check (true);
alter table nexus.screening_entries enable row level security;
grant select, insert on nexus.screening_entries to nexus_engine;
create policy screening_entries_engine on nexus.screening_entries for all to nexus_engine using (true) with check (true);

reset role;
