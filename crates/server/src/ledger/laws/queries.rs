//! The laws of the domain, each as a query that finds what breaks it.

use super::Law;
use crate::db::sql;

/// What must hold of a whole database, whatever was done. Each query answers with a column of text: what breaks it.
pub const LAWS: &[Law] = &[
    Law {
        law: "L1",
        says: "per entry and asset, postings add up to zero",
        sql: sql!(
            "select p.entry_id::text from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
             group by p.entry_id, a.asset having sum(p.amount) <> 0"
        ),
    },
    Law {
        law: "L3",
        says: "a token's supply is what the ledger says",
        sql: sql!(
            "select s.property_token_id::text || ' ' || part.name || ': ' || part.units || ' in the row, ' || coalesce(l.balance, 0) || ' in the ledger'
             from public.property_token_supply as s
             cross join lateral (values ('authorised', -s.authorised_units), ('available', s.available_units), ('reserved_pending', s.pending_units),
               ('reserved_paid', s.paid_units), ('treasury', s.treasury_units), ('burned', s.burned_units), ('held', s.held_units)) as part (name, units)
             left join lateral (
               select sum(b.balance) as balance from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.asset = 'token:' || s.property_token_id and a.purpose = part.name) as l on true
             where coalesce(l.balance, 0) <> part.units"
        ),
    },
    Law {
        law: "L3",
        says: "a token's supply is what investments and lots say",
        sql: sql!(
            "select s.property_token_id::text from public.property_token_supply as s
             where s.pending_units <> coalesce((select sum(i.token_amount_units) from public.investments as i
                     where i.property_token_id = s.property_token_id and i.offering_id is not null and i.status = 'pending'), 0)
                or s.paid_units <> coalesce((select sum(i.token_amount_units) from public.investments as i
                     where i.property_token_id = s.property_token_id and i.offering_id is not null and i.status = 'paid'), 0)
                or s.held_units <> coalesce((select sum(l.units) from public.lots as l where l.property_token_id = s.property_token_id), 0)"
        ),
    },
    Law {
        law: "L3",
        says: "what a party holds is what its lots say",
        sql: sql!(
            "select a.name from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
             where a.purpose = 'held' and b.balance <> coalesce((select sum(l.units) from public.lots as l
               where l.party_id = a.party_id and a.asset = 'token:' || l.property_token_id), 0)"
        ),
    },
    Law {
        law: "L3",
        says: "copies of a supply are true",
        sql: sql!(
            "select t.id::text from public.property_tokens as t join public.property_token_supply as s on s.property_token_id = t.id
             join public.properties as p on p.id = t.property_id
             where t.available_supply_units <> s.available_units or p.tokens_issued <> nexus.from_minor(s.held_units, t.token_decimals)"
        ),
    },
    Law {
        law: "L4",
        says: "nothing is oversold",
        sql: sql!(
            "select o.id::text from public.offerings as o left join public.property_token_supply as s on s.offering_id = o.id
             cross join lateral (select coalesce(sum(i.token_amount_units), 0) as units from public.investments as i
                                 where i.offering_id = o.id and i.status in ('pending', 'paid', 'confirmed')) as sold
             where sold.units > o.hard_cap_units or (o.status = 'open' and s.offering_left_units is distinct from o.hard_cap_units - sold.units)
                or (o.status in ('open', 'funded')) <> (s.offering_id is not null)"
        ),
    },
    Law {
        law: "L5",
        says: "escrow is what is paid and neither closed nor given back",
        sql: sql!(
            "select p.id::text || ' ' || c.code || ': ' || coalesce(money.escrow, 0) || ' in escrow, ' || coalesce(owed.charge, 0) || ' paid'
             from public.properties as p cross join public.currencies as c
             left join lateral (select sum(b.balance) as escrow from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.property_id = p.id and a.asset = c.code and a.purpose in ('escrow_bank', 'psp_clearing', 'escrow_agent')) as money on true
             left join lateral (select sum(i.total_amount_minor + i.fee_amount_minor) as charge from public.investments as i
               where i.property_id = p.id and i.payment_currency = c.code and i.offering_id is not null and i.status = 'paid') as owed on true
             where exists (select from public.offerings as o where o.property_id = p.id)
               and coalesce(money.escrow, 0) <> coalesce(owed.charge, 0)"
        ),
    },
    Law {
        law: "L5",
        says: "what is unmatched is in its accounts",
        sql: sql!(
            "select p.id::text || ' ' || c.code from public.properties as p cross join public.currencies as c
             left join lateral (select sum(b.balance) as held from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.property_id = p.id and a.asset = c.code and a.purpose in ('unmatched', 'psp_unmatched')) as money on true
             left join lateral (select sum(m.unmatched_minor) as open from public.payments as m where m.property_id = p.id and m.currency = c.code) as told on true
             where exists (select from public.offerings as o where o.property_id = p.id) and coalesce(money.held, 0) <> coalesce(told.open, 0)"
        ),
    },
    Law {
        law: "L5",
        says: "money is where the rail and the custodian have it",
        sql: sql!(
            "select p.id::text || ' ' || c.code || ': ' || coalesce(money.held, 0) || ' with the provider, ' || coalesce(told.open, 0) || ' not settled'
             from public.properties as p cross join public.currencies as c
             left join lateral (select sum(b.balance) as held from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.property_id = p.id and a.asset = c.code and a.purpose in ('psp_clearing', 'psp_unmatched', 'psp_refund_payable')) as money on true
             left join lateral (select sum(m.matched_minor + m.unmatched_minor + coalesce((select sum(r.amount_minor) from public.refunds as r
                 where r.payment_id = m.id and r.status <> 'confirmed'), 0)) as open from public.payments as m
               where m.property_id = p.id and m.currency = c.code and m.settled_at is null) as told on true
             where exists (select from public.offerings as o where o.property_id = p.id) and coalesce(money.held, 0) <> coalesce(told.open, 0)"
        ),
    },
    Law {
        law: "L5",
        says: "paid investments are paid: their payments add up to the charge",
        sql: sql!(
            "select i.id::text from public.investments as i
             where i.offering_id is not null and i.status in ('paid', 'confirmed')
               and i.total_amount_minor + i.fee_amount_minor <> coalesce((select sum(p.matched_minor) from public.payments as p where p.investment_id = i.id), 0)"
        ),
    },
    Law {
        law: "L6",
        says: "a closed offering has nothing open, a failed one has sold nothing",
        sql: sql!(
            "select i.id::text from public.investments as i join public.offerings as o on o.id = i.offering_id
             where (o.status = 'closed' and i.status in ('pending', 'paid')) or (o.status <> 'closed' and i.status = 'confirmed')
                or (o.status = 'failed' and (i.status = 'pending' or (i.status = 'paid' and o.agent_minor = 0)))"
        ),
    },
    Law {
        law: "L6",
        says: "each confirmed investment left one lot of its tokens and its cost",
        sql: sql!(
            "select i.id::text from public.investments as i
             where i.status = 'confirmed' and i.offering_id is not null and (
               select (coalesce(sum(l.units + gone.units), 0), coalesce(sum(l.cost_minor + gone.cost), 0))
                 is distinct from (i.token_amount_units::numeric, i.total_amount_minor + i.fee_amount_minor::numeric)
               from public.lots as l
               cross join lateral (select coalesce(sum(d.units), 0) as units, coalesce(sum(d.cost_minor), 0) as cost
                 from public.lot_disposals as d where d.from_lot_id = l.id) as gone
               where l.investment_id = i.id and l.parent_lot_id is null)"
        ),
    },
    Law {
        law: "L7",
        says: "what is owed back is in its accounts until the rail confirms",
        sql: sql!(
            "select p.id::text || ' ' || c.code || ': ' || coalesce(money.held, 0) || ' in the accounts, ' || coalesce(told.open, 0) || ' owed'
             from public.properties as p cross join public.currencies as c
             left join lateral (select sum(b.balance) as held from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.property_id = p.id and a.asset = c.code and a.purpose in ('refund_payable', 'psp_refund_payable')) as money on true
             left join lateral (select sum(r.amount_minor) as open from public.refunds as r
               where r.property_id = p.id and r.currency = c.code and r.status <> 'confirmed') as told on true
             where exists (select from public.offerings as o where o.property_id = p.id) and coalesce(money.held, 0) <> coalesce(told.open, 0)"
        ),
    },
    Law {
        law: "L7",
        says: "what is refunded has nothing left here",
        sql: sql!(
            "select i.id::text from public.investments as i
             where i.offering_id is not null and i.status in ('refunded', 'refund_due', 'expired', 'cancelled') and exists (
               select from public.payments as p where p.investment_id = i.id and (p.matched_minor > 0 or (i.status <> 'refund_due' and p.unmatched_minor > 0)))"
        ),
    },
    Law {
        law: "L7",
        says: "a payment goes back as often as it came: once",
        sql: sql!(
            "select p.id::text from public.payments as p
             where p.charged_back_at is null and p.returned_minor <> coalesce((select sum(r.amount_minor) from public.refunds as r where r.payment_id = p.id), 0)"
        ),
    },
    Law {
        law: "L8",
        says: "charge = total + fee, and the fee is the schedule's",
        sql: sql!(
            "select i.id::text from public.investments as i
             where i.offering_id is not null and (i.charge_amount <> i.total_amount + i.fee_amount
               or i.fee_amount_minor <> nexus.fee_minor(i.total_amount_minor, 'platform', i.payment_currency, i.created_at))"
        ),
    },
    Law {
        law: "L9",
        says: "the lines of a declared distribution add up to it, holders and tax",
        sql: sql!(
            "select d.id::text from public.distributions as d
             left join lateral (select sum(l.amount_minor) as amount, sum(l.withheld_minor) as tax, count(*) as lines
                                from public.distribution_lines as l where l.distribution_id = d.id) as told on true
             where d.status in ('declared', 'paying', 'paid')
               and (d.declared_minor, d.withheld_minor, d.holders) is distinct from (told.amount, told.tax, told.lines)"
        ),
    },
    Law {
        law: "L9",
        says: "what was declared or redeemed, and is left, is what the periods brought",
        sql: sql!(
            "select p.id::text || ' ' || c.code || ': ' || coalesce(money.has, 0) || ' instead of ' || told.left_over
             from public.properties as p cross join public.currencies as c
             left join lateral (select sum(b.balance) as has from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.property_id = p.id and a.asset = c.code and a.purpose = 'operating_cash') as money on true
             cross join lateral (select
                 coalesce((select sum(r.rent_minor + r.draw_minor - (select sum(g) from unnest(r.given_minor) as g)) from public.rent_periods as r
                           where r.property_id = p.id and r.currency = c.code and r.status = 'approved'), 0)
               - coalesce((select sum(d.declared_minor) from public.distributions as d
                           where d.property_id = p.id and d.currency = c.code and d.status in ('declared', 'paying', 'paid')), 0)
               - coalesce((select sum(h.amount_minor) from public.holding_cases as h
                           where h.property_id = p.id and h.currency = c.code and h.kind = 'redemption' and h.status = 'done'), 0) as left_over) as told
             where exists (select from public.rent_periods as r where r.property_id = p.id) and coalesce(money.has, 0) <> told.left_over"
        ),
    },
    Law {
        law: "L9",
        says: "what is declared and not posted lies in its account",
        sql: sql!(
            "select p.id::text || ' ' || c.code from public.properties as p cross join public.currencies as c
             left join lateral (select sum(b.balance) as has from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.property_id = p.id and a.asset = c.code and a.purpose = 'payable_to_investors') as money on true
             left join lateral (select sum(l.amount_minor) as open from public.distributions as d
               join public.distribution_lines as l on l.distribution_id = d.id and (d.posted_up_to is null or l.party_id > d.posted_up_to)
               where d.property_id = p.id and d.currency = c.code and d.status in ('declared', 'paying')) as told on true
             where exists (select from public.rent_periods as r where r.property_id = p.id) and coalesce(money.has, 0) <> coalesce(told.open, 0)"
        ),
    },
    Law {
        law: "L11",
        says: "a party is owed its lines and redemptions that are not under way, and under way is what was sent",
        sql: sql!(
            "select told.party_id::text || ' ' || told.currency
             from (select debt.party_id, debt.currency,
                     sum(debt.net) filter (where debt.status in ('payable', 'failed')) as owed, sum(debt.net) filter (where debt.status = 'sent') as sent
                   from (select l.party_id, d.currency, l.status, l.amount_minor - l.withheld_minor as net
                         from public.distribution_lines as l join public.distributions as d on d.id = l.distribution_id where l.party_id <= d.posted_up_to
                         union all
                         select r.party_id, r.currency, r.status, r.amount_minor from public.redemptions as r) as debt
                   group by debt.party_id, debt.currency) as told
             left join lateral (select sum(b.balance) filter (where a.purpose = 'payable') as owed, sum(b.balance) filter (where a.purpose = 'payout_clearing') as sent
               from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.party_id = told.party_id and a.asset = told.currency and a.scope = 'party') as money on true
             where (coalesce(told.owed, 0), coalesce(told.sent, 0)) <> (coalesce(money.owed, 0), coalesce(money.sent, 0))"
        ),
    },
    Law {
        law: "L11",
        says: "the lots' split adds up to the line",
        sql: sql!(
            "select l.id::text from public.distribution_lines as l join public.distributions as d on d.id = l.distribution_id
             where l.party_id <= d.posted_up_to
               and l.amount_minor <> coalesce((select sum(r.amount_minor) from public.property_returns as r where r.distribution_line_id = l.id), 0)
             union all
             select l.id::text from public.distribution_lines as l join public.distributions as d on d.id = l.distribution_id
             where l.entitled_units <> (select coalesce(sum(u), 0) from unnest(l.lot_units) as u)"
        ),
    },
    Law {
        law: "L11",
        says: "a line and its payout agree",
        sql: sql!(
            "select l.id::text from public.distribution_lines as l left join public.payouts as p on p.line_id = l.id
             join public.distributions as d on d.id = l.distribution_id
             where (p.id is null and l.amount_minor > l.withheld_minor and l.party_id <= d.posted_up_to)
               or (p.id is null and l.status <> case when l.amount_minor > l.withheld_minor then 'payable' else 'paid' end) or (p.id is not null and (p.amount_minor <> l.amount_minor - l.withheld_minor
               or (p.status, l.status) not in (('due', 'payable'), ('sent', 'sent'), ('confirmed', 'paid'), ('failed', 'failed'))))"
        ),
    },
    Law {
        law: "L11",
        says: "a redemption and its payout agree",
        sql: sql!(
            "select r.id::text from public.redemptions as r left join public.payouts as p on p.redemption_id = r.id
             where (p.id is null) <> (r.amount_minor = 0)
               or (p.id is not null and (p.amount_minor <> r.amount_minor
                 or (p.status, r.status) not in (('due', 'payable'), ('sent', 'sent'), ('confirmed', 'paid'), ('failed', 'failed'))))"
        ),
    },
    Law {
        law: "L12",
        says: "tax withheld is owed until it was remitted, and is what the line's rate says",
        sql: sql!(
            "select p.id::text || ' ' || c.code from public.properties as p cross join public.currencies as c
             left join lateral (select sum(b.balance) as has from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
               where a.property_id = p.id and a.asset = c.code and a.purpose = 'withheld') as money on true
             left join lateral (select sum(l.withheld_minor) as tax from public.distributions as d
               join public.distribution_lines as l on l.distribution_id = d.id and l.party_id <= d.posted_up_to
               where d.property_id = p.id and d.currency = c.code) as told on true
             left join lateral (select sum(t.amount_minor) as gone from public.tax_remittances as t where t.property_id = p.id and t.currency = c.code) as sent on true
             where exists (select from public.rent_periods as r where r.property_id = p.id)
               and coalesce(money.has, 0) <> coalesce(told.tax, 0) - coalesce(sent.gone, 0)
             union all
             select l.id::text from public.distribution_lines as l where l.withheld_minor <> round(l.amount_minor::numeric * l.rate_ppm / 1000000)"
        ),
    },
    Law {
        law: "L13",
        says: "a lot that came of another is what went out of that, less what went out of it",
        sql: sql!(
            "select l.id::text from public.lots as l
             left join public.lot_disposals as come on come.to_lot_id = l.id
             left join public.lots as parent on parent.id = l.parent_lot_id
             cross join lateral (select coalesce(sum(d.units), 0) as units, coalesce(sum(d.cost_minor), 0) as cost
               from public.lot_disposals as d where d.from_lot_id = l.id) as gone
             where l.parent_lot_id is not null and (
               come.id is null or come.from_lot_id <> l.parent_lot_id or l.investment_id <> parent.investment_id
               or l.units + gone.units <> come.units
               or l.cost_minor + gone.cost <> case come.kind when 'sale' then come.proceeds_minor else come.cost_minor end
               or l.acquired_at <> come.moved_at
               or l.tax_acquired_at <> case come.kind when 'sale' then come.moved_at else parent.tax_acquired_at end
               or (l.restricted_since, l.restricted_until) is distinct from (parent.restricted_since, parent.restricted_until))"
        ),
    },
    Law {
        law: "L13",
        says: "what went out of lots is what the ledger moved, at the register's instant",
        sql: sql!(
            "select d.entry_id::text from (
               select d.entry_id, d.property_token_id, d.party_id, d.moved_at, sum(d.units) as units from public.lot_disposals as d group by 1, 2, 3, 4) as d
             left join public.token_movements as m on m.property_token_id = d.property_token_id and m.last_entry_id = d.entry_id
             where m.moved_at is distinct from d.moved_at or -d.units is distinct from (
               select sum(p.amount) from ledger.postings as p join ledger.accounts as a on a.id = p.account_id
               where p.entry_id = d.entry_id and a.purpose = 'held' and a.party_id = d.party_id and a.asset = 'token:' || d.property_token_id)
             union all
             select e.id::text from ledger.entries as e where e.kind in ('tokens.transferred', 'tokens.redeemed')
               and not exists (select from public.lot_disposals as d where d.entry_id = e.id)"
        ),
    },
    Law {
        law: "L13",
        says: "what a case took out went out of lots and is owed for once",
        sql: sql!(
            "select r.id::text from public.redemptions as r
             cross join lateral (select coalesce(sum(d.units), 0) as units, coalesce(sum(d.proceeds_minor), 0) as proceeds
               from public.lot_disposals as d where d.entry_id = r.entry_id and d.party_id = r.party_id) as gone
             where gone.units <> r.units or gone.proceeds <> r.amount_minor
             union all
             select h.id::text from public.holding_cases as h
             where h.kind in ('redemption', 'wind_up')
               and (h.status = 'done') <> exists (select from public.redemptions as r where r.case_id = h.id)
             union all
             select t.id::text from public.property_tokens as t join public.property_token_supply as s on s.property_token_id = t.id
             where t.status = 'wound_up' and s.burned_units <> s.authorised_units"
        ),
    },
    Law {
        law: "L13",
        says: "a case is done with two approvals, of parties that are not in it",
        sql: sql!(
            "select h.id::text from public.holding_cases as h
             join public.user_profiles as a on a.id = h.first_approved_by join public.user_profiles as b on b.id = h.second_approved_by
             where h.status = 'done' and (a.party_id = b.party_id or h.party_id in (a.party_id, b.party_id) or h.to_party_id in (a.party_id, b.party_id))"
        ),
    },
    Law {
        law: "L14",
        says: "sums and the changes that wait are what the investments say",
        sql: sql!(
            "select coalesce(b.property_id, f.property_id)::text || ' ' || coalesce(b.currency, f.currency) || ' ' || coalesce(b.party_id, f.party_id)
             from (select i.property_id, i.payment_currency as currency, i.party_id, sum(i.total_amount_minor) as principal, sum(i.token_amount) as tokens,
                     count(*) as number
                   from public.investments as i where i.status in ('paid', 'confirmed') group by 1, 2, 3) as b
             full join (select s.property_id, s.currency, s.party_id, sum(s.principal_minor) as principal, sum(s.tokens) as tokens, sum(s.investments) as number
                   from (select f.property_id, f.currency, f.party_id, f.principal_minor, f.tokens, f.investments from nexus.investor_figures as f
                         union all
                         select c.property_id, c.currency, c.party_id, c.principal_minor, c.tokens, c.investments
                         from nexus.figure_changes as c where c.kind = 'invested') as s
                   group by 1, 2, 3) as f on (f.property_id, f.currency, f.party_id) = (b.property_id, b.currency, b.party_id)
             where coalesce(b.principal, 0) <> coalesce(f.principal, 0) or coalesce(b.tokens, 0) <> coalesce(f.tokens, 0)
                or coalesce(b.number, 0) <> coalesce(f.number, 0)"
        ),
    },
    Law {
        law: "L14",
        says: "a property's are those of its investors",
        sql: sql!(
            "select coalesce(p.property_id, i.property_id)::text
             from nexus.property_figures as p
             full join (select f.property_id, f.currency, count(*) filter (where f.investments > 0) as investors, sum(f.principal_minor) as principal,
                          sum(f.tokens) as tokens
                        from nexus.investor_figures as f group by 1, 2) as i on (i.property_id, i.currency) = (p.property_id, p.currency)
             where (p.investors, p.principal_minor, p.tokens) is distinct from (i.investors, i.principal, i.tokens)"
        ),
    },
    Law {
        law: "L14",
        says: "a login's totals and the changes that wait are what its investments and returns say",
        sql: sql!(
            "select u.id::text || ' ' || u.total_invested || ' ' || u.total_returns from public.user_profiles as u
             left join (select user_id, sum(total_amount) as invested from public.investments
                        where status in ('paid', 'confirmed') and payment_currency = 'USD' group by 1) as i on i.user_id = u.id
             left join (select user_id, sum(amount) as income from public.property_returns where status = 'paid' and currency = 'USD' group by 1) as r
               on r.user_id = u.id
             left join (select user_id, sum(principal_minor) / 100.0 as invested, sum(income_minor) / 100.0 as income from nexus.figure_changes
                        where kind in ('invested', 'person') and currency = 'USD' group by 1) as c on c.user_id = u.id
             where u.total_invested + coalesce(c.invested, 0) <> coalesce(i.invested, 0) or u.total_returns + coalesce(c.income, 0) <> coalesce(r.income, 0)"
        ),
    },
    Law {
        law: "L16",
        says: "the register's last change has what is held, and its holders",
        sql: sql!(
            "select s.property_token_id::text from public.property_token_supply as s
             left join lateral (select m.held_units, m.holders, m.last_entry_id from public.token_movements as m
               where m.property_token_id = s.property_token_id order by m.number desc limit 1) as last on true
             cross join lateral (select count(*) as holders, coalesce(sum(r.units), 0) as units
               from ledger.register_at(s.property_token_id, coalesce(last.last_entry_id, 0), null, null) as r) as found
             where coalesce(last.held_units, 0) <> s.held_units or found.units <> s.held_units or found.holders <> coalesce(last.holders, 0)"
        ),
    },
    Law {
        law: "L16",
        says: "changes are in the order of time and of the ledger",
        sql: sql!(
            "select m.property_token_id::text || ' ' || m.number from public.token_movements as m
             join public.token_movements as before on before.property_token_id = m.property_token_id and before.number = m.number - 1
             where m.moved_at < before.moved_at or m.last_entry_id <= before.last_entry_id"
        ),
    },
];
