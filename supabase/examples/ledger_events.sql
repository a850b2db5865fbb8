-- Every business event as the ledger records it: one property, three people, from the first reservation to the last
-- payout. Run by a test in a fresh database; what it prints is in ledger_events.out.

-- The fixture: a property with 1,000 tokens at 50.00 USD, and three parties. A token's 2 % fee comes on top.
insert into public.properties (id, title) values ('00000000-0000-4000-8000-00000000aaaa', '12 Example Street');
insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor, current_price_minor, status)
values ('00000000-0000-4000-8000-00000000bbbb', '00000000-0000-4000-8000-00000000aaaa', 1000, 1000, 5000, 5000, 'launched');
insert into public.parties (id) values
  ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002'), ('00000000-0000-4000-8000-000000000003');

-- For reading: post(key, kind, 'purpose/asset/owner amount', ...) where asset is $ or T (the token) and owner p1, p2, p3.
create function pg_temp.post(key text, kind text, variadic moves text[]) returns table (line bigint, account text, amount text, balance text)
language plpgsql as $$
declare
  posted bigint;
begin
  with lines as (
    select m.place, split_part(m.move, '/', 1) as purpose,
           case split_part(split_part(m.move, '/', 2), ' ', 1) when 'T' then 'token:00000000-0000-4000-8000-00000000bbbb' else 'USD' end as asset,
           substring(m.move from '/p([123])')::int as person, split_part(m.move, ' ', 2)::bigint as amount
    from unnest(moves) with ordinality as m (move, place)
  ), owned as (
    select l.*, case when p.scope in ('property', 'token', 'token_party') then '00000000-0000-4000-8000-00000000aaaa'::uuid end as property_id,
           case when p.scope in ('party', 'token_party') then ('00000000-0000-4000-8000-00000000000' || l.person)::uuid end as party_id
    from lines as l join ledger.purposes as p on p.name = l.purpose
  )
  select ledger.post(post.key, post.kind, '2026-01-31', null, '{}',
    ledger.open_accounts(array_agg(o.purpose order by o.place), array_agg(o.asset order by o.place),
                         array_agg(o.property_id order by o.place), array_agg(o.party_id order by o.place)),
    array_agg(o.amount order by o.place)) into posted
  from owned as o;
  return query
  select row_number() over (order by p.line),
         a.purpose || coalesce(' of party ' || right(a.party_id::text, 1), ''),
         to_char(p.amount / (10 ^ s.decimals)::numeric, case s.decimals when 0 then 'FMSG999999990' else 'FMSG999999990.00' end) || case s.kind when 'token' then ' tokens' else ' ' || s.code end,
         to_char(p.balance_after / (10 ^ s.decimals)::numeric, case s.decimals when 0 then 'FMSG999999990' else 'FMSG999999990.00' end)
  from ledger.postings as p join ledger.accounts as a on a.id = p.account_id join ledger.assets as s on s.code = a.asset
  where p.entry_id = posted order by p.line;
end $$;

-- 1. Tokens are authorised: from then on authorised = available + reserved + held + treasury + burned (L3).
select * from pg_temp.post('token:authorise', 'token.authorised', 'authorised/T -1000', 'available/T 1000');

-- 2. Party 1 reserves 100 tokens: no money yet.
select * from pg_temp.post('inv1:reserve', 'investment.reserved', 'available/T -100', 'reserved_pending/T 100');

-- 3. He pays 5,100.00 by card: 5,000.00 for the tokens and 100.00 fee. The provider confirms, and pays the custodian later.
select * from pg_temp.post('inv1:paid', 'investment.paid', 'outside_psp/$ -510000', 'psp_clearing/$ 510000', 'reserved_pending/T -100', 'reserved_paid/T 100');
select * from pg_temp.post('inv1:settled', 'payment.settled', 'psp_clearing/$ -510000', 'escrow_bank/$ 510000');

-- 4. Party 2 reserves 200 and pays 10,200.00 by bank transfer, straight to the custodian, and 5.00 too much.
select * from pg_temp.post('inv2:reserve', 'investment.reserved', 'available/T -200', 'reserved_pending/T 200');
select * from pg_temp.post('inv2:paid', 'investment.paid', 'outside_bank/$ -1020500', 'escrow_bank/$ 1020000', 'unmatched/$ 500', 'reserved_pending/T -200', 'reserved_paid/T 200');

-- 5. The 5.00 too much go back: first owed, then confirmed by the bank.
select * from pg_temp.post('inv2:overpaid', 'refund.owed', 'unmatched/$ -500', 'refund_payable/$ 500');
select * from pg_temp.post('inv2:overpaid:sent', 'refund.confirmed', 'refund_payable/$ -500', 'outside_bank/$ 500');

-- 6. Party 3 reserves 50 and lets it expire; his payment of 2,550.00 arrives afterwards and fits nothing.
select * from pg_temp.post('inv3:reserve', 'investment.reserved', 'available/T -50', 'reserved_pending/T 50');
select * from pg_temp.post('inv3:expire', 'investment.expired', 'reserved_pending/T -50', 'available/T 50');
select * from pg_temp.post('inv3:late', 'payment.unmatched', 'outside_bank/$ -255000', 'unmatched/$ 255000');

-- 7. He reserves again, and the money that lies there is matched to it.
select * from pg_temp.post('inv4:reserve', 'investment.reserved', 'available/T -50', 'reserved_pending/T 50');
select * from pg_temp.post('inv4:paid', 'investment.paid', 'unmatched/$ -255000', 'escrow_bank/$ 255000', 'reserved_pending/T -50', 'reserved_paid/T 50');

-- 8. He withdraws within his time: everything he paid is owed to him, fee included (L7), and then given back.
select * from pg_temp.post('inv4:withdraw', 'refund.owed', 'escrow_bank/$ -255000', 'refund_payable/$ 255000', 'reserved_paid/T -50', 'available/T 50');
select * from pg_temp.post('inv4:refunded', 'refund.confirmed', 'refund_payable/$ -255000', 'outside_bank/$ 255000');

-- 9. An acquisition: at funding, escrow moves to the closing agent's trust account. It is still escrow.
select * from pg_temp.post('offering:funded', 'escrow.to_agent', 'escrow_bank/$ -1530000', 'escrow_agent/$ 1530000');

-- 10. The deed is recorded, and the sale closes in one entry (L6): tokens to the holders, cash to the issuer, fees posted.
select * from pg_temp.post('offering:close', 'offering.closed', 'escrow_agent/$ -1530000', 'proceeds/$ 1500000', 'fees/$ 30000',
  'reserved_paid/T -300', 'held/T/p1 100', 'held/T/p2 200');
select * from pg_temp.post('offering:proceeds', 'proceeds.paid', 'proceeds/$ -1500000', 'outside_bank/$ 1500000');
select * from pg_temp.post('offering:fees', 'fees.taken', 'fees/$ -30000', 'platform_fees/$ 30000');

-- 11. Party 1's card payment is charged back after the close: the platform owes nobody, the buyer owes the property.
select * from pg_temp.post('inv1:chargeback', 'payment.charged_back', 'chargeback_receivable/$ -510000', 'outside_psp/$ 510000');
-- He pays it after all.
select * from pg_temp.post('inv1:chargeback:paid', 'chargeback.recovered', 'outside_bank/$ -510000', 'chargeback_receivable/$ 510000');

-- 12. A month's rent of 1,555.00 arrives. Costs are set aside in their order, 8 % for the manager and 2 % for the platform.
select * from pg_temp.post('2026-01:rent', 'rent.received', 'outside_bank/$ -155500', 'rent_income/$ 155500');
select * from pg_temp.post('2026-01:waterfall', 'rent.assigned', 'rent_income/$ -155500', 'cost_taxes/$ 13000', 'cost_insurance/$ 5500',
  'cost_maintenance/$ 15500', 'cost_manager/$ 12440', 'fees/$ 3110', 'operating_cash/$ 105950');
select * from pg_temp.post('2026-01:taxes', 'cost.paid', 'cost_taxes/$ -13000', 'outside_bank/$ 13000');

-- 13. 100.00 are kept in the reserve, and 50.00 drawn from it again. 10.00 of that were a mistake: a correction is another
-- entry, never a change.
select * from pg_temp.post('2026-01:reserve', 'reserve.topped_up', 'operating_cash/$ -10000', 'reserve/$ 10000');
select * from pg_temp.post('2026-01:draw', 'reserve.drawn', 'reserve/$ -5000', 'operating_cash/$ 5000');
select * from pg_temp.post('2026-01:draw:correction', 'entry.reversed', 'operating_cash/$ -1000', 'reserve/$ 1000');

-- 14. 999.50 are declared to the holders: from now on a debt. Each gets his part, 333.17 and 666.33 for
-- 100 and 200 tokens; of party 2's, 30 % tax are withheld.
select * from pg_temp.post('2026-01:declare', 'distribution.declared', 'operating_cash/$ -99950', 'payable_to_investors/$ 99950');
select * from pg_temp.post('2026-01:pay', 'distribution.allocated', 'payable_to_investors/$ -99950', 'payable/$/p1 33317', 'payable/$/p2 46643', 'withheld/$ 19990');

-- 15. A payout is sent, fails, and is owed again; the second is confirmed. Withheld tax is remitted (L12).
select * from pg_temp.post('payout1:sent', 'payout.sent', 'payable/$/p1 -33317', 'payout_clearing/$/p1 33317');
select * from pg_temp.post('payout1:failed', 'payout.failed', 'payout_clearing/$/p1 -33317', 'payable/$/p1 33317');
select * from pg_temp.post('payout2:sent', 'payout.sent', 'payable/$/p1 -33317', 'payout_clearing/$/p1 33317');
select * from pg_temp.post('payout2:confirmed', 'payout.confirmed', 'payout_clearing/$/p1 -33317', 'outside_bank/$ 33317');
select * from pg_temp.post('2026-01:remit', 'tax.remitted', 'withheld/$ -19990', 'outside_bank/$ 19990');

-- 16. Party 2 transfers 30 tokens to party 3; 10 of party 1's are redeemed and burned.
select * from pg_temp.post('transfer1', 'tokens.transferred', 'held/T/p2 -30', 'held/T/p3 30');
select * from pg_temp.post('redeem1', 'tokens.redeemed', 'held/T/p1 -10', 'burned/T 10');

-- What everything comes to: per asset, the balances of the world inside and outside add up to zero.
select a.asset_kind, sum(b.balance) as all_balances from ledger.balances as b join ledger.accounts as a on a.id = b.account_id group by 1 order by 1;
