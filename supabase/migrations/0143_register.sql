-- The register: who held how many tokens at any instant, as far as was known at any entry of the ledger.
--
-- The register is the sum of the ledger's `held` postings and has no table of its own. What the ledger does not say is the
-- business instant of a change; it stands here, one row a command, given under the token's supply row lock.
set role nexus_owner;

create table public.token_movements (
  property_token_id uuid not null,
  number            bigint not null,
  kind              text not null,
  moved_at          timestamptz not null,
  last_entry_id     bigint not null,
  held_units        bigint not null,
  holders           bigint not null,
  created_at        timestamptz not null default now(),
  constraint token_movements_pkey primary key (property_token_id, number),
  constraint token_movements_token_fkey foreign key (property_token_id) references public.property_tokens (id) on delete restrict,
  constraint token_movements_last_entry_fkey foreign key (last_entry_id) references ledger.entries (id) on delete restrict,
  constraint token_movements_last_entry_id_key unique (last_entry_id),
  constraint token_movements_number_counts_from_one check (number >= 1),
  constraint token_movements_kind_is_known check (kind in ('close', 'transfer', 'redeem')),
  constraint token_movements_held_is_exact check (held_units between 0 and 9007199254740991),
  constraint token_movements_holders_hold check (holders between 0 and held_units)
);
comment on table public.token_movements is 'Each change of who holds a token, in order: its business instant, and the ledger''s sequence up to which it goes. Written by ledger.record_movement() alone, never changed.';
comment on column public.token_movements.property_token_id is 'The token.';
comment on column public.token_movements.number is 'Its place among the token''s changes, from 1, without gaps.';
comment on column public.token_movements.kind is 'What changed it: close, transfer or redeem.';
comment on column public.token_movements.moved_at is 'From this instant on it holds; never before that of the change before it.';
comment on column public.token_movements.last_entry_id is 'The last ledger entry of the change: the sequence number by which it is known.';
comment on column public.token_movements.held_units is 'All tokens held after it, in smallest units.';
comment on column public.token_movements.holders is 'Parties that hold any after it.';
comment on column public.token_movements.created_at is 'When the row was made.';
create index token_movements_moved_at_idx on public.token_movements (property_token_id, moved_at, number);
-- The register is read in the order of parties, a page at a time.
create index accounts_held_idx on ledger.accounts (asset, party_id) where purpose = 'held';

create function ledger.record_movement(property_token_id uuid, entry_ids bigint[], kind text, at timestamptz) returns timestamptz
language plpgsql security definer set search_path = ''
as $$
declare
  last_move public.token_movements;
  changed record;
  effective timestamptz;
begin
  perform from public.property_token_supply as s where s.property_token_id = record_movement.property_token_id for no key update;
  if not found then
    raise exception 'the token has no supply' using errcode = 'no_data_found', constraint = 'token_movements_have_a_supply';
  end if;
  select * into last_move from public.token_movements as m
  where m.property_token_id = record_movement.property_token_id order by m.number desc limit 1;
  with touched as (
    select p.account_id, min(p.account_seq) as first_seq, max(p.account_seq) as last_seq, sum(p.amount) as amount
    from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
    where p.entry_id = any (entry_ids) and a.purpose = 'held' and a.asset = 'token:' || record_movement.property_token_id
    group by p.account_id)
  select count(*) as accounts, coalesce(sum(t.amount), 0) as units,
         count(*) filter (where l.balance_after > 0) - count(*) filter (where f.balance_after > f.amount) as holders
    into changed
  from touched as t
  join ledger.postings as f on f.account_id = t.account_id and f.account_seq = t.first_seq
  join ledger.postings as l on l.account_id = t.account_id and l.account_seq = t.last_seq;
  if changed.accounts = 0 or (select min(e) from unnest(entry_ids) as e) <= last_move.last_entry_id then
    raise exception 'these entries move nothing that is held, or were recorded before'
      using errcode = 'check_violation', constraint = 'token_movements_are_new';
  end if;
  -- Clocks may go back, and a command that began later may be served first: the order of the lock is the order of time.
  effective := greatest(at, last_move.moved_at);
  insert into public.token_movements (property_token_id, number, kind, moved_at, last_entry_id, held_units, holders, created_at)
  values (record_movement.property_token_id, coalesce(last_move.number, 0) + 1, record_movement.kind, effective,
    (select max(e) from unnest(entry_ids) as e), coalesce(last_move.held_units, 0) + changed.units,
    coalesce(last_move.holders, 0) + changed.holders, at);
  return effective;
end
$$;
comment on function ledger.record_movement(uuid, bigint[], text, timestamptz) is 'Notes that these entries, just posted, changed who holds a token, and answers with the instant from which that holds. Locks the token''s supply row.';

create function ledger.register_at(property_token_id uuid, known_entry_id bigint, after_party_id uuid, rows_max integer)
returns table (party_id uuid, units bigint)
language sql stable set search_path = ''
as $$
  select a.party_id, last.balance_after
  from ledger.accounts as a
  cross join lateral (
    select p.balance_after from ledger.postings as p
    where p.account_id = a.id and p.entry_id <= known_entry_id
    order by p.account_seq desc limit 1) as last
  where a.asset = 'token:' || register_at.property_token_id and a.purpose = 'held' and last.balance_after > 0
    and a.party_id > coalesce(after_party_id, '00000000-0000-0000-0000-000000000000')
  order by a.party_id
  limit rows_max
$$;
comment on function ledger.register_at(uuid, bigint, uuid, integer) is 'Who holds how many of a token after a ledger entry, in the order of parties after one of them; all of them where no number of rows is given. Walks each account''s postings back from the last.';
grant execute on function ledger.record_movement(uuid, bigint[], text, timestamptz), ledger.register_at(uuid, bigint, uuid, integer)
  to nexus_engine;

create trigger token_movements_are_append_only before update or delete or truncate on public.token_movements
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('public.token_movements', 'last_entry_id');

alter table public.token_movements enable row level security;
grant select on public.token_movements to nexus_staff, service_role, nexus_engine;
create policy token_movements_read_staff on public.token_movements for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy token_movements_engine on public.token_movements for select to nexus_engine using (true);

reset role;
