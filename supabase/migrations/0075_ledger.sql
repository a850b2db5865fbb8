-- The ledger: one append-only journal of cash and tokens, and the kernel that alone writes it.
--
-- A balance says how much of one asset lies in one account. An entry moves amounts between accounts: what leaves one
-- (below zero) arrives in another (above zero), so per entry and asset the postings add up to zero (L1). No balance goes
-- below zero, but for accounts that stand for the outside world, where value comes from and goes to. docs/LEDGER.md has
-- the chart of accounts and an example of every business event.
create schema ledger authorization nexus_owner;

set role nexus_owner;

comment on schema ledger is 'The book: assets, accounts, entries, postings, balances. Written by ledger.post and ledger.post_batch only.';
grant usage on schema ledger to nexus_staff, service_role, nexus_engine;

create table ledger.assets (
  code              text primary key,
  kind              text not null,
  decimals          smallint not null,
  property_token_id uuid,
  created_at        timestamptz not null default now(),
  constraint assets_kind_is_known check (kind in ('currency', 'token')),
  constraint assets_decimals_fit_a_bigint check (decimals between 0 and 6),
  constraint assets_token_has_its_row check ((kind = 'token') = (property_token_id is not null)),
  constraint assets_code_names_the_token check (kind = 'currency' or code = 'token:' || property_token_id),
  constraint assets_property_token_id_fkey foreign key (property_token_id) references public.property_tokens (id) on delete restrict,
  constraint assets_property_token_id_key unique (property_token_id),
  constraint assets_code_kind_key unique (code, kind)
);
comment on table ledger.assets is 'What can lie in an account: a currency or the token of a property. One is never exchanged for another inside an entry.';
comment on column ledger.assets.code is 'Code of the currency, or token:<id of the property token>.';
comment on column ledger.assets.kind is 'currency or token.';
comment on column ledger.assets.decimals is 'Decimals of the smallest unit that amounts count.';
comment on column ledger.assets.property_token_id is 'The property token; null for a currency.';
comment on column ledger.assets.created_at is 'When it could first be posted.';

create table ledger.purposes (
  name              text primary key,
  asset_kind        text not null,
  scope             text not null,
  is_outside        boolean not null,
  meaning           text not null,
  constraint purposes_name_is_a_word check (name ~ '^[a-z][a-z_]{0,49}$'),
  constraint purposes_asset_kind_is_known check (asset_kind in ('currency', 'token')),
  constraint purposes_scope_is_known check (scope in ('platform', 'property', 'party', 'token', 'token_party')),
  constraint purposes_meaning_is_said check (meaning ~ '\S'),
  constraint purposes_as_accounts_refer_key unique (name, asset_kind, scope, is_outside)
);
comment on table ledger.purposes is 'The chart of accounts: what accounts there can be, for whom, in what, and whether they stand for the outside world.';
comment on column ledger.purposes.name is 'What the account is for.';
comment on column ledger.purposes.asset_kind is 'Whether it holds a currency or a token.';
comment on column ledger.purposes.scope is 'Whose it is: one of the platform, of a property, of a party, of a token, or of a party''s holding of a token.';
comment on column ledger.purposes.is_outside is 'Whether it stands for the outside world and may go below zero.';
comment on column ledger.purposes.meaning is 'What lies in it.';

insert into ledger.purposes (name, asset_kind, scope, is_outside, meaning) values
  ('outside_bank',          'currency', 'platform', true,  'Everybody''s money that is not here: buyers, tenants, suppliers, tax offices, as their banks see it.'),
  ('outside_psp',           'currency', 'platform', true,  'Money at payment providers that has not reached an account of ours.'),
  ('platform_fees',         'currency', 'platform', false, 'Fees that the platform has taken and not paid out.'),
  ('escrow_bank',           'currency', 'property', false, 'Money received for the property''s offering that has not closed, at the custodian.'),
  ('escrow_agent',          'currency', 'property', false, 'Escrow moved to a closing agent''s trust account until the deed is recorded; still escrow, still refundable.'),
  ('psp_clearing',          'currency', 'property', false, 'Card and rail payments confirmed and not yet paid out to the custodian.'),
  ('unmatched',             'currency', 'property', false, 'Money received for the property that fits no investment yet, at the custodian.'),
  ('psp_unmatched',         'currency', 'property', false, 'The same, not yet paid out to the custodian.'),
  ('refund_payable',        'currency', 'property', false, 'Money to be given back, at the custodian until the rail confirms that it was.'),
  ('psp_refund_payable',    'currency', 'property', false, 'The same, not yet paid out to the custodian.'),
  ('chargeback_receivable', 'currency', 'property', true,  'What buyers owe after a chargeback: below zero while owed.'),
  ('proceeds',              'currency', 'property', false, 'What a closed sale brought the issuer, until paid to him.'),
  ('fees',                  'currency', 'property', false, 'Fees earned on the property''s sales and rent, until taken by the platform.'),
  ('operating_cash',        'currency', 'property', false, 'Money of the property that may be spent or distributed.'),
  ('reserve',               'currency', 'property', false, 'Money of the property kept for what comes.'),
  ('rent_income',           'currency', 'property', false, 'Rent received and not yet assigned to costs, reserve or holders.'),
  ('cost_taxes',            'currency', 'property', false, 'Set aside for property taxes, until paid.'),
  ('cost_insurance',        'currency', 'property', false, 'Set aside for insurance, until paid.'),
  ('cost_maintenance',      'currency', 'property', false, 'Set aside for maintenance, until paid.'),
  ('cost_manager',          'currency', 'property', false, 'Set aside for the property manager''s fee, until paid.'),
  ('payable_to_investors',  'currency', 'property', false, 'Declared to holders and not yet posted to each of them.'),
  ('withheld',              'currency', 'property', false, 'Tax withheld from holders: a debt to the tax office until remitted (L12).'),
  ('rounding',              'currency', 'property', false, 'Left over by rounding within a period; 0 at its end.'),
  ('payable',               'currency', 'party',    false, 'What the platform owes a party and has not sent. There is no other balance of a party.'),
  ('payout_clearing',       'currency', 'party',    false, 'Sent to a party, and not yet confirmed by the rail; a failed payout goes back to payable.'),
  ('authorised',            'token',    'token',    true,  'Minus all tokens that may exist: where tokens come from.'),
  ('available',             'token',    'token',    false, 'Tokens that can be reserved.'),
  ('reserved_pending',      'token',    'token',    false, 'Tokens reserved by purchases without money.'),
  ('reserved_paid',         'token',    'token',    false, 'Tokens of purchases whose money is in escrow.'),
  ('treasury',              'token',    'token',    false, 'Tokens kept by the issuer.'),
  ('burned',                'token',    'token',    false, 'Tokens taken out for ever.'),
  ('held',                  'token',    'token_party', false, 'Tokens that a party holds: the register is the sum of these.');

create table ledger.accounts (
  id          bigint generated always as identity primary key,
  purpose     text not null,
  asset       text not null,
  asset_kind  text not null,
  scope       text not null,
  is_outside  boolean not null,
  property_id uuid,
  party_id    uuid,
  name        text not null generated always as (
    purpose || '/' || asset || coalesce('/' || property_id::text, '') || coalesce('/' || party_id::text, '')) stored,
  created_at  timestamptz not null default now(),
  constraint accounts_purpose_fkey foreign key (purpose, asset_kind, scope, is_outside)
    references ledger.purposes (name, asset_kind, scope, is_outside),
  constraint accounts_asset_fkey foreign key (asset, asset_kind) references ledger.assets (code, kind),
  constraint accounts_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict,
  constraint accounts_party_id_fkey foreign key (party_id) references public.parties (id) on delete restrict,
  constraint accounts_belong_to_their_scope check ((property_id is not null) = (scope in ('property', 'token', 'token_party'))
    and (party_id is not null) = (scope in ('party', 'token_party'))),
  constraint accounts_one_of_a_kind unique (name)
);
comment on table ledger.accounts is 'Where amounts lie: one account for each purpose, asset and owner.';
comment on column ledger.accounts.id is 'Identity; locks are taken in its order.';
comment on column ledger.accounts.purpose is 'What it is for, from the chart.';
comment on column ledger.accounts.asset is 'What lies in it.';
comment on column ledger.accounts.asset_kind is 'currency or token, as asset and chart have it.';
comment on column ledger.accounts.scope is 'Whose it is, as the chart has it.';
comment on column ledger.accounts.is_outside is 'Whether it may go below zero, as the chart has it.';
comment on column ledger.accounts.property_id is 'The property it is of; of a token account, the token''s property.';
comment on column ledger.accounts.party_id is 'The party it is of.';
comment on column ledger.accounts.name is 'purpose/asset[/property][/party]: what it is found by.';
comment on column ledger.accounts.created_at is 'When it was opened.';
create index accounts_asset_idx on ledger.accounts (asset, asset_kind);
create index accounts_purpose_idx on ledger.accounts (purpose, asset_kind, scope, is_outside);
create index accounts_property_id_idx on ledger.accounts (property_id);
create index accounts_party_id_idx on ledger.accounts (party_id);

create table ledger.balances (
  account_id    bigint primary key,
  balance       bigint not null default 0,
  postings      bigint not null default 0,
  is_outside    boolean not null,
  constraint balances_account_id_fkey foreign key (account_id) references ledger.accounts (id),
  constraint balances_not_below_zero check (is_outside or balance >= 0),
  constraint balances_are_exact check (balance between -9007199254740991 and 9007199254740991)
) with (fillfactor = 50);
comment on table ledger.balances is 'What lies in each account now: always the sum of its postings. Narrow, because it is what every entry locks.';
comment on column ledger.balances.account_id is 'The account.';
comment on column ledger.balances.balance is 'Amount in smallest units.';
comment on column ledger.balances.postings is 'How many postings made it; the last one''s account_seq.';
comment on column ledger.balances.is_outside is 'Copy of the account''s, so that the constraint can see it.';

create table ledger.entries (
  id            bigint generated always as identity primary key,
  key           text not null,
  kind          text not null,
  business_date date not null,
  recorded_at   timestamptz not null default clock_timestamp(),
  transaction_id xid8 not null default pg_current_xact_id(),
  actor_id      uuid,
  cause         jsonb not null,
  digest        bytea not null,
  constraint entries_key_key unique (key),
  constraint entries_key_is_bounded check (length(key) between 1 and 200),
  constraint entries_kind_is_a_name check (kind ~ '^[a-z][a-z0-9_.]{0,99}$'),
  constraint entries_cause_is_an_object check (jsonb_typeof(cause) = 'object'),
  constraint entries_digest_is_sha256 check (length(digest) = 32)
);
comment on table ledger.entries is 'The journal: each entry moves amounts between accounts, once, for ever. A correction is another entry.';
comment on column ledger.entries.id is 'Sequence number, in the order of recording; gaps are rolled back transactions.';
comment on column ledger.entries.key is 'What makes a retry the same entry, chosen by the command, such as investment:<id>:reserve.';
comment on column ledger.entries.kind is 'Which business event it is, such as investment.reserved.';
comment on column ledger.entries.business_date is 'The day it counts for.';
comment on column ledger.entries.recorded_at is 'The instant at which it was recorded.';
comment on column ledger.entries.transaction_id is 'The transaction that recorded it.';
comment on column ledger.entries.actor_id is 'The login whose command it is; null when a job did it.';
comment on column ledger.entries.cause is 'What it is about: ids of the rows that caused it, and the entry that it reverses.';
comment on column ledger.entries.digest is 'SHA-256 over everything that the caller gave: the same key with another digest is refused.';
create index entries_business_date_idx on ledger.entries (business_date, id);

create table ledger.postings (
  entry_id      bigint not null,
  line          smallint not null,
  account_id    bigint not null,
  amount        bigint not null,
  account_seq   bigint not null,
  balance_after bigint not null,
  constraint postings_pkey primary key (entry_id, line),
  constraint postings_entry_id_fkey foreign key (entry_id) references ledger.entries (id),
  constraint postings_account_id_fkey foreign key (account_id) references ledger.accounts (id),
  constraint postings_move_something check (amount <> 0),
  constraint postings_line_counts_from_one check (line >= 1),
  -- The order of an account's postings, without a gap: a balance can be replayed, and a missing posting is seen.
  constraint postings_follow_one_another unique (account_id, account_seq)
);
comment on table ledger.postings is 'The lines of the entries: how much left (below zero) or arrived in (above zero) an account.';
comment on column ledger.postings.entry_id is 'The entry.';
comment on column ledger.postings.line is 'Its place in the entry, from 1.';
comment on column ledger.postings.account_id is 'The account.';
comment on column ledger.postings.amount is 'Amount in smallest units of the account''s asset; never 0.';
comment on column ledger.postings.account_seq is 'Its place among the account''s postings, from 1, without gaps.';
comment on column ledger.postings.balance_after is 'The account''s balance after it.';

create trigger entries_are_append_only before update or delete or truncate on ledger.entries
  for each statement execute function nexus.refuse_change();
create trigger postings_are_append_only before update or delete or truncate on ledger.postings
  for each statement execute function nexus.refuse_change();
create trigger accounts_are_append_only before update or delete or truncate on ledger.accounts
  for each statement execute function nexus.refuse_change();
create trigger assets_are_append_only before update or delete or truncate on ledger.assets
  for each statement execute function nexus.refuse_change();

-- A currency can be posted as soon as it is known, a token once its first account is opened: a draft leaves nothing here.

create function ledger.add_currency() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into ledger.assets (code, kind, decimals) values (new.code, 'currency', new.decimals);
  return null;
end
$$;
comment on function ledger.add_currency() is 'Trigger: a new currency can be posted from then on.';
create trigger currencies_are_assets after insert on public.currencies for each row execute function ledger.add_currency();
insert into ledger.assets (code, kind, decimals) select code, 'currency', decimals from public.currencies;

create function ledger.open_accounts(purposes text[], assets text[], property_ids uuid[], party_ids uuid[]) returns bigint[]
language plpgsql security definer set search_path = ''
  -- Few rows are looked up in long tables: by index, whatever the tables' statistics were when the plan was made.
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  names text[];
  answer bigint[];
begin
  if cardinality(purposes) is null or cardinality(purposes) <> all (array[cardinality(assets), cardinality(property_ids), cardinality(party_ids)]) then
    raise exception 'the four lists must be of one length' using errcode = 'invalid_parameter_value';
  end if;
  select array_agg(w.purpose || '/' || w.asset || coalesce('/' || w.property_id::text, '') || coalesce('/' || w.party_id::text, '') order by w.place)
    into names
  from unnest(purposes, assets, property_ids, party_ids) with ordinality as w (purpose, asset, property_id, party_id, place);

  select array_agg(a.id order by w.place) into answer
  from unnest(names) with ordinality as w (name, place) join ledger.accounts as a on a.name = w.name;
  if cardinality(answer) = cardinality(names) then
    return answer;
  end if;

  insert into ledger.assets (code, kind, decimals, property_token_id)
  select 'token:' || t.id, 'token', t.token_decimals, t.id
  from public.property_tokens as t
  where t.id in (
    select substr(w.asset, 7)::uuid from unnest(assets) as w (asset)
    where starts_with(w.asset, 'token:') and not exists (select from ledger.assets as a where a.code = w.asset))
  order by t.id
  on conflict on constraint assets_pkey do nothing;
  with opened as (
    insert into ledger.accounts (purpose, asset, asset_kind, scope, is_outside, property_id, party_id)
    select distinct on (w.name) w.purpose, w.asset, a.kind, p.scope, p.is_outside, w.property_id, w.party_id
    from unnest(names, purposes, assets, property_ids, party_ids) as w (name, purpose, asset, property_id, party_id)
    join ledger.purposes as p on p.name = w.purpose
    join ledger.assets as a on a.code = w.asset
    where not exists (select from ledger.accounts as c where c.name = w.name)
    order by w.name
    on conflict on constraint accounts_one_of_a_kind do nothing
    returning id, is_outside
  )
  insert into ledger.balances (account_id, is_outside) select o.id, o.is_outside from opened as o;
  -- A statement of its own sees what another session opened meanwhile.
  select array_agg(a.id order by w.place) into answer
  from unnest(names) with ordinality as w (name, place) left join ledger.accounts as a on a.name = w.name;
  if array_position(answer, null) is not null then
    raise exception 'there is no account %: the chart has no such purpose, or there is no such asset', coalesce(names[array_position(answer, null)], 'without a name')
      using errcode = 'invalid_parameter_value';
  end if;
  return answer;
end
$$;
comment on function ledger.open_accounts(text[], text[], uuid[], uuid[]) is 'The accounts of these purposes, assets and owners, in the order asked; opened where they are new, and a token''s asset with its first account.';

-- The kernel.

create function ledger.post_batch(
  keys text[], kinds text[], business_dates date[], actor_ids uuid[], causes jsonb[],
  posting_entries integer[], posting_accounts bigint[], posting_amounts bigint[]
) returns table (key text, entry_id bigint, is_new boolean)
language plpgsql security definer set search_path = ''
  -- One plan for every size: few rows are looked up in long tables, by index, whatever the tables' statistics were.
  set plan_cache_mode = force_generic_plan set enable_seqscan = off
as $$
declare
  entry_count integer := cardinality(keys);
  new_ids bigint[];
  digests bytea[];
  bad record;
begin
  -- A transaction number before a row number: nexus.seal_limits() rests on it.
  perform pg_current_xact_id();
  if entry_count is null or entry_count <> all (array[cardinality(kinds), cardinality(business_dates), cardinality(actor_ids), cardinality(causes)])
     or cardinality(posting_entries) <> all (array[cardinality(posting_accounts), cardinality(posting_amounts)]) then
    raise exception 'the lists that describe entries must be of one length, and those that describe postings too'
      using errcode = 'invalid_parameter_value';
  end if;

  -- What the caller asks for, in one value an entry; the order of the postings counts.
  select array_agg(
    sha256(convert_to(jsonb_build_array(e.kind, e.business_date, e.actor_id, e.cause, p.lines)::text, 'UTF8')) order by e.place)
    into digests
  from unnest(kinds, business_dates, actor_ids, causes) with ordinality as e (kind, business_date, actor_id, cause, place)
  left join (
    select w.entry, jsonb_agg(jsonb_build_array(w.account, w.amount) order by w.place) as lines
    from unnest(posting_entries, posting_accounts, posting_amounts) with ordinality as w (entry, account, amount, place)
    group by w.entry
  ) as p on p.entry = e.place;

  -- Entries first: a key that somebody else is just posting makes us wait here, before any balance is locked.
  with inserted as (
    insert into ledger.entries (key, kind, business_date, actor_id, cause, digest)
    select e.key, e.kind, e.business_date, e.actor_id, e.cause, e.digest
    from unnest(keys, kinds, business_dates, actor_ids, causes, digests) with ordinality
      as e (key, kind, business_date, actor_id, cause, digest, place)
    order by e.place
    on conflict on constraint entries_key_key do nothing
    returning entries.id, entries.key
  )
  select array_agg(i.id order by k.place) into new_ids
  from unnest(keys) with ordinality as k (key, place) left join inserted as i on i.key = k.key;

  -- Each key is looked up by itself, which a join is not for whoever plans it while the journal is empty.
  select k.key into bad
  from unnest(keys, digests) as k (key, digest)
  cross join lateral (select x.digest from ledger.entries as x where x.key = k.key limit 1) as e
  where e.digest <> k.digest
  limit 1;
  if found then
    raise exception 'key "%" was used for another entry', bad.key
      using errcode = 'unique_violation', constraint = 'entries_key_key', schema = 'ledger', table = 'entries',
            hint = 'A retry must be the same in every field; another entry needs another key.';
  end if;
  if (select count(distinct k.key) <> entry_count from unnest(keys) as k (key)) then
    raise exception 'a key stands in the batch twice' using errcode = 'unique_violation', constraint = 'entries_key_key';
  end if;

  perform from ledger.balances as b
  where b.account_id in (
    select p.account from unnest(posting_entries, posting_accounts) as p (entry, account) where new_ids[p.entry] is not null)
  order by b.account_id
  for no key update;

  perform ledger.check_postings(new_ids, posting_entries, posting_accounts, posting_amounts);

  with lines as (
    select new_ids[p.entry] as entry_id,
           row_number() over (partition by p.entry order by p.place) as line,
           p.account,
           p.amount,
           b.postings + row_number() over w as account_seq,
           b.balance + sum(p.amount) over w as balance_after
    from unnest(posting_entries, posting_accounts, posting_amounts) with ordinality as p (entry, account, amount, place)
    join ledger.balances as b on b.account_id = p.account
    where new_ids[p.entry] is not null
    window w as (partition by p.account order by new_ids[p.entry], p.place)
  ), posted as (
    insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
    select l.entry_id, l.line, l.account, l.amount, l.account_seq, l.balance_after from lines as l
    order by l.entry_id, l.line
    returning postings.account_id, postings.amount, postings.balance_after
  ), sums as (
    select p.account_id, sum(p.amount) as amount, count(*) as postings, min(p.balance_after) as lowest
    from posted as p group by p.account_id
  ), moved as (
    update ledger.balances as b
    set balance = b.balance + s.amount, postings = b.postings + s.postings
    from sums as s where b.account_id = s.account_id and (s.lowest >= 0 or b.is_outside)
  )
  -- The lowest balance counts: no account passes below zero between two entries of one batch either.
  select a.id, a.purpose, a.asset, s.lowest into bad
  from sums as s join ledger.accounts as a on a.id = s.account_id
  where s.lowest < 0 and not a.is_outside
  limit 1;
  if found then
    raise exception 'account % (% in %) would go to %', bad.id, bad.purpose, bad.asset, bad.lowest
      using errcode = 'check_violation', constraint = 'balances_not_below_zero', schema = 'ledger', table = 'balances';
  end if;

  return query
  select k.key, coalesce(k.new_id, e.id), k.new_id is not null
  from unnest(keys, new_ids) with ordinality as k (key, new_id, place)
  left join lateral (select x.id from ledger.entries as x where k.new_id is null and x.key = k.key limit 1) as e on true
  order by k.place;
end
$$;
comment on function ledger.post_batch(text[], text[], date[], uuid[], jsonb[], integer[], bigint[], bigint[]) is 'Posts many entries at once, or none. Postings name their entry by its place in keys, from 1. An entry whose key was posted before with the same content is left alone and its number returned; with other content the batch is refused. Balances are locked in the order of the accounts'' ids.';

create function ledger.check_postings(new_ids bigint[], posting_entries integer[], posting_accounts bigint[], posting_amounts bigint[]) returns void
language plpgsql set search_path = ''
as $$
declare
  bad record;
begin
  select p.entry, p.account, p.amount into bad
  from unnest(posting_entries, posting_accounts, posting_amounts) as p (entry, account, amount)
  left join ledger.accounts as a on a.id = p.account
  where p.entry is null or p.entry not between 1 and cardinality(new_ids) or a.id is null or coalesce(p.amount, 0) = 0
  limit 1;
  if found then
    raise exception 'posting of % to account % in entry % of the batch: the entry or account does not exist, or nothing is moved', bad.amount, bad.account, bad.entry
      using errcode = 'check_violation', constraint = 'postings_move_something', schema = 'ledger', table = 'postings';
  end if;

  select e.entry into bad
  from (select generate_subscripts(new_ids, 1) as entry except select unnest(posting_entries)) as e
  limit 1;
  if found then
    raise exception 'entry % of the batch has no postings', bad.entry
      using errcode = 'check_violation', constraint = 'entries_balance_per_asset', schema = 'ledger', table = 'entries';
  end if;

  select p.entry, a.asset, sum(p.amount) as off into bad
  from unnest(posting_entries, posting_accounts, posting_amounts) as p (entry, account, amount)
  join ledger.accounts as a on a.id = p.account
  group by p.entry, a.asset
  having sum(p.amount) <> 0
  limit 1;
  if found then
    raise exception 'entry % of the batch does not balance: its postings in % add up to %', bad.entry, bad.asset, bad.off
      using errcode = 'check_violation', constraint = 'entries_balance_per_asset', schema = 'ledger', table = 'entries';
  end if;

  select p.entry, min(a.property_id::text) as one, max(a.property_id::text) as other into bad
  from unnest(posting_entries, posting_accounts) as p (entry, account)
  join ledger.accounts as a on a.id = p.account
  where a.asset_kind = 'currency'
  group by p.entry
  having min(a.property_id::text) <> max(a.property_id::text)
  limit 1;
  if found then
    raise exception 'entry % of the batch moves cash between properties % and %: each property is ring-fenced', bad.entry, bad.one, bad.other
      using errcode = 'check_violation', constraint = 'entries_stay_in_one_property', schema = 'ledger', table = 'entries';
  end if;
end
$$;
comment on function ledger.check_postings(bigint[], integer[], bigint[], bigint[]) is 'Refuses postings that name nothing, do not balance per asset (L1), or move cash between two properties (L9).';

create function ledger.post(
  key text, kind text, business_date date, actor_id uuid, cause jsonb, accounts bigint[], amounts bigint[]
) returns bigint
language sql security definer set search_path = ''
as $$
  select b.entry_id
  from ledger.post_batch(array[post.key], array[post.kind], array[post.business_date], array[post.actor_id], array[post.cause],
    array_fill(1, array[cardinality(post.accounts)]), post.accounts, post.amounts) as b
$$;
comment on function ledger.post(text, text, date, uuid, jsonb, bigint[], bigint[]) is 'Posts one entry, or returns the number of the same entry posted before.';

grant execute on function
  ledger.open_accounts(text[], text[], uuid[], uuid[]),
  ledger.post_batch(text[], text[], date[], uuid[], jsonb[], integer[], bigint[], bigint[]),
  ledger.post(text, text, date, uuid, jsonb, bigint[], bigint[])
  to nexus_engine;

-- Everybody who may look sees all of it; nobody writes.
do $$
declare
  book_table text;
begin
  foreach book_table in array array['assets', 'purposes', 'accounts', 'balances', 'entries', 'postings'] loop
    execute format('alter table ledger.%I enable row level security', book_table);
    execute format('grant select on ledger.%I to nexus_staff, service_role, nexus_engine', book_table);
    execute format('create policy %I on ledger.%I for select to nexus_staff using ((select nexus.has_any_role(''admin'', ''compliance_officer'')))',
                   book_table || '_read_staff', book_table);
    execute format('create policy %I on ledger.%I for select to nexus_engine using (true)', book_table || '_read_engine', book_table);
  end loop;
end
$$;

reset role;
