-- What the kernel refuses, and with which words. Run by a test in a fresh database; what it prints is in ledger_refusals.out.
insert into public.properties (id, title) values
  ('00000000-0000-4000-8000-00000000aaaa', 'One'), ('00000000-0000-4000-8000-00000000aaab', 'Another');
set role nexus_engine;
select ledger.open_accounts(array['outside_bank', 'escrow_bank', 'escrow_bank'], array['USD', 'USD', 'USD'],
  array[null, '00000000-0000-4000-8000-00000000aaaa', '00000000-0000-4000-8000-00000000aaab']::uuid[], array[null, null, null]::uuid[]) is not null as opened;
-- The accounts, by name.
create temporary view account as
  select a.id, a.purpose || coalesce(' of ' || right(a.property_id::text, 4), '') as name from ledger.accounts as a;

-- An entry that does not balance.
select ledger.post('1', 'example', '2026-01-01', null, '{}',
  array[(select id from account where name = 'outside_bank'), (select id from account where name = 'escrow_bank of aaaa')], array[-100, 101]);
-- Cash from one property to another.
select ledger.post('2', 'example', '2026-01-01', null, '{}',
  array[(select id from account where name = 'escrow_bank of aaaa'), (select id from account where name = 'escrow_bank of aaab')], array[-100, 100]);
-- More than there is.
select ledger.post('3', 'example', '2026-01-01', null, '{}',
  array[(select id from account where name = 'escrow_bank of aaaa'), (select id from account where name = 'outside_bank')], array[-1, 1]);
-- Nothing at all.
select ledger.post('4', 'example', '2026-01-01', null, '{}',
  array[(select id from account where name = 'escrow_bank of aaaa'), (select id from account where name = 'outside_bank')], array[0, 0]);
-- A retry is the same entry ...
select ledger.post('5', 'example', '2026-01-01', null, '{}',
  array[(select id from account where name = 'outside_bank'), (select id from account where name = 'escrow_bank of aaaa')], array[-100, 100]) > 0 as posted;
select count(*) as entries from ledger.entries;
select ledger.post('5', 'example', '2026-01-01', null, '{}',
  array[(select id from account where name = 'outside_bank'), (select id from account where name = 'escrow_bank of aaaa')], array[-100, 100]) > 0 as posted;
select count(*) as entries from ledger.entries;
-- ... and the same key for another entry is refused.
select ledger.post('5', 'example', '2026-01-01', null, '{}',
  array[(select id from account where name = 'outside_bank'), (select id from account where name = 'escrow_bank of aaaa')], array[-200, 200]);
-- Nobody writes the book but the kernel.
insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after) values (1, 1, 1, 1, 1, 1);
update ledger.balances set balance = 1000000;
reset role;
-- Not even the owner of the database changes what was written.
update ledger.postings set amount = amount * 2;
delete from ledger.entries;
set role service_role;
select ledger.post('6', 'example', '2026-01-01', null, '{}', array[1, 2], array[-100, 100]);
