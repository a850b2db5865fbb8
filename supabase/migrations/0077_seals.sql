-- The chain over audit rows and ledger entries: what makes a change to the past visible.
--
-- Writers append without a chain, since a chain inside the transaction would make them wait for one another. One sealer
-- follows behind the oldest running transaction, gives every decided row its link, and closes each batch by a signed seal,
-- from which the next batch's links go on. docs/AUDIT.md has the encoding to the byte. What a row says is put into bytes
-- by the program and by no function here: whoever can change rows can change functions.
set role nexus_owner;

create table nexus.seals (
  number        bigint primary key,
  sealed_at     timestamptz not null,
  audit_up_to   bigint not null,
  entries_up_to bigint not null,
  links_up_to   bigint not null,
  head          bytea not null,
  public_key    bytea not null,
  signature     bytea not null,
  constraint seals_number_counts_from_one check (number >= 1),
  constraint seals_reach_forward check (least(audit_up_to, entries_up_to) >= 0 and links_up_to >= 1),
  constraint seals_head_is_sha256 check (length(head) = 32),
  constraint seals_are_signed_by_ed25519 check (length(public_key) = 32 and length(signature) = 64)
);
comment on table nexus.seals is 'Signed batches of the chain, numbered without gaps: everything up to these numbers is sealed.';
comment on column nexus.seals.number is 'Place in the row of seals, from 1.';
comment on column nexus.seals.sealed_at is 'When it was sealed.';
comment on column nexus.seals.audit_up_to is 'Largest id of audit_log that it covers: larger than the seal before covers, up to this.';
comment on column nexus.seals.entries_up_to is 'Largest id of ledger.entries that it covers.';
comment on column nexus.seals.links_up_to is 'Place of its last link in the chain.';
comment on column nexus.seals.head is 'SHA-256 over its last link, its number, its limits, its instant and its key: what is exported, and what the next link goes on from.';
comment on column nexus.seals.public_key is 'Ed25519 key that verifies the signature.';
comment on column nexus.seals.signature is 'Signature over the head.';

create table nexus.chain_links (
  place      bigint primary key,
  source     text not null,
  source_id  bigint not null,
  row_digest bytea not null,
  link       bytea not null,
  constraint chain_links_place_counts_from_one check (place >= 1),
  constraint chain_links_source_is_known check (source in ('audit', 'entry')),
  constraint chain_links_once_a_row unique (source, source_id),
  constraint chain_links_digests_are_sha256 check (length(row_digest) = 32 and length(link) = 32)
);
comment on table nexus.chain_links is 'One link for each sealed audit row or ledger entry, in the order of the chain.';
comment on column nexus.chain_links.place is 'Place in the chain, from 1, without gaps.';
comment on column nexus.chain_links.source is 'audit (a row of audit_log) or entry (of ledger.entries, with its postings).';
comment on column nexus.chain_links.source_id is 'Which row.';
comment on column nexus.chain_links.row_digest is 'SHA-256 over what the row says, without its number, so that a row that was moved is recognised.';
comment on column nexus.chain_links.link is 'SHA-256 over source, the link before (of a batch''s first link the head of the seal before, or 32 zero bytes), number and row_digest.';

create table nexus.audit_erasures (
  id         bigint generated always as identity primary key,
  audit_id   bigint not null,
  reason     text not null,
  actor_id   uuid,
  erased_at  timestamptz not null default now(),
  constraint audit_erasures_audit_id_fkey foreign key (audit_id) references public.audit_log (id),
  constraint audit_erasures_once_a_row unique (audit_id),
  constraint audit_erasures_reason_is_said check (reason ~ '\S' and length(reason) <= 1000)
);
comment on table nexus.audit_erasures is 'Which details of the audit trail were erased because somebody''s data had to go: the trail stays true, and verifying says erased by case.';
comment on column nexus.audit_erasures.id is 'Number of the case.';
comment on column nexus.audit_erasures.audit_id is 'The audit row whose details are gone.';
comment on column nexus.audit_erasures.reason is 'Why: the request or the law.';
comment on column nexus.audit_erasures.actor_id is 'The login that erased; null when the operator did.';
comment on column nexus.audit_erasures.erased_at is 'When.';

create trigger seals_are_append_only before update or delete or truncate on nexus.seals
  for each statement execute function nexus.refuse_change();
create trigger chain_links_are_append_only before update or delete or truncate on nexus.chain_links
  for each statement execute function nexus.refuse_change();
create trigger audit_erasures_are_append_only before update or delete or truncate on nexus.audit_erasures
  for each statement execute function nexus.refuse_change();

create function nexus.seal_limits(out audit_up_to bigint, out entries_up_to bigint, out decided_from xid8)
language plpgsql security definer set search_path = ''
as $$
begin
  -- A writer has its transaction number before it takes a row number. So whoever has a row number up to these has a
  -- transaction number below the one that is taken here after them, and once all of those have ended, these rows are
  -- decided. (The xmax of a snapshot would not do: it is below numbers that running transactions have already. Nor would
  -- the numbers that rows carry: those of a database that was restored elsewhere count from another beginning.)
  if pg_current_xact_id_if_assigned() is not null then
    raise exception 'this transaction has its number already, so limits read now would not hold'
      using errcode = 'invalid_transaction_state';
  end if;
  audit_up_to := coalesce(pg_sequence_last_value(pg_get_serial_sequence('public.audit_log', 'id')), 0);
  entries_up_to := coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger.entries', 'id')), 0);
  decided_from := pg_current_xact_id();
end
$$;
comment on function nexus.seal_limits() is 'Row numbers given so far, and the transaction number from which on nobody can have one of them: they may be sealed once pg_snapshot_xmin(pg_current_snapshot()) has reached it.';

create function nexus.erase_audit_details(audit_ids bigint[], reason text) returns bigint
language plpgsql security definer set search_path = ''
as $$
declare
  erased bigint;
begin
  insert into nexus.audit_erasures (audit_id, reason, actor_id)
  select d.audit_id, erase_audit_details.reason, auth.uid()
  from nexus.audit_details as d where d.audit_id = any (audit_ids)
  order by d.audit_id;
  get diagnostics erased = row_count;
  delete from nexus.audit_details as d where d.audit_id = any (audit_ids);
  return erased;
end
$$;
comment on function nexus.erase_audit_details(bigint[], text) is 'Erases what audit rows said, with a case for each; returns how many. The rows themselves and the chain stay.';

grant execute on function nexus.seal_limits(), nexus.erase_audit_details(bigint[], text) to nexus_engine;

alter table nexus.seals enable row level security;
alter table nexus.chain_links enable row level security;
alter table nexus.audit_erasures enable row level security;
grant select on nexus.seals, nexus.chain_links, nexus.audit_erasures to nexus_engine;
grant insert on nexus.seals, nexus.chain_links to nexus_engine;
create policy seals_engine on nexus.seals for all to nexus_engine using (true) with check (true);
create policy chain_links_engine on nexus.chain_links for all to nexus_engine using (true) with check (true);
create policy audit_erasures_read_engine on nexus.audit_erasures for select to nexus_engine using (true);

select nexus.audit_table('nexus.audit_erasures');

reset role;
