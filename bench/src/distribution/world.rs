//! The house of the measurement, and the plain way to write what a distribution writes.

use std::time::Instant;

use nexus_mint::problem::AnyError;
use tokio_postgres::Client;
use uuid::Uuid;

/// A house whose token is held by so many, each with a login, a purchase and a lot, and evidence that lets it declare. A
/// tenth of the holders got one token more of others in a second change.
pub(crate) async fn make(admin: &Client, holders: i64) -> Result<Uuid, AnyError> {
    let (property, token) = (Uuid::now_v7(), Uuid::now_v7());
    admin
        .batch_execute(&format!(
            "set synchronous_commit = off; set session_replication_role = replica; set work_mem = '256MB';
             create temporary table holder as
               select n, gen_random_uuid() as party_id, gen_random_uuid() as user_id, gen_random_uuid() as investment_id,
                      2 + n * 7919 % 997 as units
               from generate_series(1::bigint, {holders}) as n;
             insert into public.properties (id, title, city, country, is_active, total_tokens, price_per_token, tokenization_active, tokenization_status)
               values ('{property}', 'A house', 'Seattle', 'US', true, 1000000000, 50, true, 'offered');
             insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor, current_price_minor, status)
               select '{token}', '{property}', sum(units), 0, 5000, 5000, 'launched' from holder;
             insert into public.property_token_supply (property_token_id, authorised_units, available_units, held_units)
               select '{token}', sum(units), 0, sum(units) from holder;
             insert into public.property_documents (property_id, document_name, document_type, file_url, sha256, issued_on, expires_at, review_status, uploaded_by)
               select '{property}', k, k, 'property-evidence/{property}/' || k, sha256('x'), current_date, now() + interval '9 years', 'accepted', gen_random_uuid()
               from unnest(array['deed', 'insurance', 'appraisal', 'entity_papers', 'title_search']) as k;
             insert into public.parties (id, residency_country)
               select party_id, (array['US', 'US', 'US', 'DE', 'FR', null])[1 + n % 6] from holder;
             insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
               select user_id, 'authenticated', 'authenticated', n || '@example.com', now(), '{{}}', '{{}}', now(), now() from holder;
             insert into public.investments (id, user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor,
                 total_amount_minor, fee_amount_minor, status, paid_at, confirmed_at)
               select investment_id, user_id, party_id, '{property}', '{token}', units, 5000, units * 5000, 0, 'confirmed', now(), now() from holder;
             insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, units, cost_minor, acquired_at, tax_acquired_at)
               select party_id, user_id, '{property}', '{token}', investment_id, units, units * 5000, now(), now() from holder;
             insert into ledger.assets (code, kind, decimals, property_token_id) values ('token:{token}', 'token', 0, '{token}');
             insert into ledger.accounts (purpose, asset, asset_kind, scope, is_outside, property_id, party_id)
               select 'held', 'token:{token}', 'token', 'token_party', false, '{property}', party_id from holder;
             create temporary table held as
               select h.*, a.id as account_id, case when n % 20 = 1 then -1 when n % 20 = 2 then 1 else 0 end as more
               from holder as h join ledger.accounts as a on a.party_id = h.party_id;
             insert into ledger.balances (account_id, balance, postings, is_outside)
               select account_id, units, case when more = 0 then 1 else 2 end, false from held;
             insert into ledger.entries (id, key, kind, business_date, cause, digest) overriding system value
               select p, 'bench:' || p, 'bench.held', current_date, '{{}}', sha256('') from generate_series(1, 2 + {holders} / 10000 * 2) as p;
             insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
               select 1 + n / 10000, 1 + n % 10000, account_id, units - more, 1, units - more from held;
             insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
               select 2 + {holders} / 10000 + n / 10000, 1 + n % 10000, account_id, more, 2, units from held where more <> 0;
             select setval(pg_get_serial_sequence('ledger.entries', 'id'), 10 + {holders} / 10000 * 2);
             insert into public.token_movements (property_token_id, number, kind, moved_at, last_entry_id, held_units, holders)
               select '{token}', m.number, m.kind, now() - m.ago, m.entry, sum(h.units), count(*)
               from held as h cross join (values (1, 'close', interval '60 days', 1 + {holders} / 10000), (2, 'transfer', interval '30 days', 2 + {holders} / 10000 * 2))
                 as m (number, kind, ago, entry) group by m.number, m.kind, m.ago, m.entry;
             reset session_replication_role; reset work_mem;
             reset synchronous_commit"
        ))
        .await?;
    admin.batch_execute("vacuum analyze").await?;
    Ok(property)
}

/// What plain statements took, in seconds.
pub(crate) struct Plain {
    /// The lines: what declaring writes.
    pub(crate) lines: f64,
    /// Entries, postings, returns and payouts: what paying writes.
    pub(crate) rest: f64,
}

impl Plain {
    pub(crate) fn total(&self) -> f64 {
        self.lines + self.rest
    }
}

impl std::fmt::Display for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} s + {:.1} s", self.lines, self.rest)
    }
}

/// Writes the rows that a distribution wrote once more as another one's, each table by one plain statement: the same
/// tables, constraints, indexes and triggers, nothing computed, and no balance changed.
pub(crate) async fn plain(admin: &Client, id: Uuid, run: u64) -> Result<Plain, AnyError> {
    let copy = Uuid::now_v7();
    admin
        .batch_execute(&format!(
            "set synchronous_commit = on;
             create temporary table plain_line as
               select l.*, gen_random_uuid() as new_id from public.distribution_lines as l where l.distribution_id = '{id}' order by l.party_id;
             create temporary table plain_return as
               select r.*, gen_random_uuid() as new_id, l.new_id as new_line_id
               from public.property_returns as r join plain_line as l on l.id = r.distribution_line_id order by l.party_id;
             create temporary table plain_payout as
               select p.*, gen_random_uuid() as new_id, gen_random_uuid() as new_key, l.new_id as new_line_id
               from public.payouts as p join plain_line as l on l.id = p.line_id order by l.party_id;
             create temporary table plain_entry as
               select e.*, nextval(pg_get_serial_sequence('ledger.entries', 'id')) as new_id from ledger.entries as e
               where e.kind = 'distribution.allocated' and e.cause ->> 'distribution_id' = '{id}' order by e.id;
             create temporary table plain_posting as
               select p.*, e.new_id from ledger.postings as p join plain_entry as e on e.id = p.entry_id order by p.entry_id, p.line;
             analyze plain_line; analyze plain_return; analyze plain_payout; analyze plain_entry; analyze plain_posting;
             insert into public.distributions (id, property_id, property_token_id, currency, currency_decimals, declared_minor, proposed_by, created_at)
               select '{copy}', property_id, property_token_id, currency, currency_decimals, declared_minor, proposed_by, created_at
               from public.distributions where id = '{id}';
             checkpoint"
        ))
        .await?;
    let begun = Instant::now();
    admin
        .batch_execute(&format!(
            "insert into public.distribution_lines (id, distribution_id, party_id, entitled_units, amount_minor, withheld_minor, rate_ppm, form,
               form_version, lot_ids, lot_units, status)
             select new_id, '{copy}', party_id, entitled_units, amount_minor, withheld_minor, rate_ppm, form, form_version, lot_ids, lot_units, status
             from plain_line"
        ))
        .await?;
    let lines = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    admin
        .batch_execute(&format!(
            "insert into ledger.entries (id, key, kind, business_date, actor_id, cause, digest) overriding system value
               select new_id, 'plain:' || new_id, kind, business_date, actor_id, cause, digest from plain_entry;
             insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
               select new_id, line, account_id, amount, account_seq + {run} * 1000000, balance_after from plain_posting;
             insert into public.property_returns (id, property_id, investment_id, user_id, return_type, currency, currency_decimals, amount_minor,
                 return_date, status, distribution_line_id, lot_id, created_at)
               select new_id, property_id, investment_id, user_id, return_type, currency, currency_decimals, amount_minor, return_date, status,
                      new_line_id, lot_id, created_at from plain_return;
             insert into public.payouts (id, rail_key, line_id, party_id, property_id, currency, currency_decimals, amount_minor, due_at, created_at)
               select new_id, new_key, new_line_id, party_id, property_id, currency, currency_decimals, amount_minor, due_at, created_at
               from plain_payout"
        ))
        .await?;
    let rest = begun.elapsed().as_secs_f64();
    admin
        .batch_execute("drop table plain_line, plain_return, plain_payout, plain_entry, plain_posting; checkpoint")
        .await?;
    Ok(Plain { lines, rest })
}
