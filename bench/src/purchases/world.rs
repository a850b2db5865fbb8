//! Houses on sale, buyers, and the function that a plain way to sell would have.

use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_mint::{
    app::{App, system_clock},
    config::{Environment, Flags, Settings},
    db::Db,
    problem::AnyError,
};
use tokio_postgres::Client;
use uuid::Uuid;

/// Reservations that a party may have open, less the one that is there to be paid.
const EACH: usize = 4;

pub(super) struct World {
    houses: Vec<Uuid>,
    buyers: Vec<Uuid>,
    next: AtomicUsize,
    next_paid: AtomicUsize,
}

/// The program, without a port.
pub(super) fn program(db: &Db) -> Result<App, AnyError> {
    let folder = std::env::temp_dir().join(format!("nexus-mint-bench-files-{}", std::process::id()));
    let environment = Environment::of([
        ("DATABASE_URL", "postgres://nobody@localhost/nothing"),
        ("NEXUS_MINT_DATA_DIR", folder.to_str().unwrap_or_default()),
        ("NEXUS_MINT_FILE_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("NEXUS_MINT_SEAL_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ]);
    let flags = Flags {
        dev_keys: true,
        ..Flags::default()
    };
    let config = Settings::load(&flags, &environment)?.into_config()?;
    Ok(App::new(
        config,
        db.clone(),
        "127.0.0.1:54321".parse()?,
        system_clock(),
    )?)
}

impl World {
    /// So many houses, each with an offering that does not end, and buyers who have bought nothing; a ledger of so many
    /// entries.
    pub(super) async fn make(admin: &Client, houses: u64, buyers: u64, entries: u64) -> Result<World, AnyError> {
        admin.batch_execute(&format!(
            "set synchronous_commit = off; set session_replication_role = replica;
             create temporary table house as select n, gen_random_uuid() as property_id, gen_random_uuid() as token_id, gen_random_uuid() as offering_id
               from generate_series(1, {houses}) as n;
             create temporary table buyer as select n, gen_random_uuid() as user_id, gen_random_uuid() as party_id from generate_series(1, {buyers}) as n;
             insert into public.parties (id, residency_country) select party_id, 'US' from buyer;
             insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
               select user_id, 'authenticated', 'authenticated', n || '@example.com', now(), '{{}}', '{{}}', now(), now() from buyer;
             insert into public.user_profiles (id, party_id, email) select user_id, party_id, n || '@example.com' from buyer;
             insert into public.properties (id, title, city, country, is_active, total_tokens, price_per_token, tokenization_active, tokenization_status)
               select property_id, 'A house', 'Seattle', 'US', true, 1000000000, 50, true, 'offered' from house;
             insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor, current_price_minor, status)
               select token_id, property_id, 1000000000, 1000000000, 5000, 5000, 'launched' from house;
             insert into public.offerings (id, property_id, property_token_id, rule_pack_id, kind, status, price_minor, soft_cap_units, hard_cap_units,
                 opens_at, closes_at, long_stop_at, opened_at, created_by, opened_by)
               select offering_id, property_id, token_id, (select id from public.rule_packs where code = 'open'), 'issuer_owns', 'open', 5000, 1, 1000000000,
                 now(), now() + interval '1 year', now() + interval '2 years', now(), gen_random_uuid(), gen_random_uuid() from house;
             insert into public.property_token_supply (property_token_id, authorised_units, available_units, offering_id, offering_left_units)
               select token_id, 1000000000, 1000000000, offering_id, 1000000000 from house;
             reset session_replication_role;
             do $$
             declare
               one record;
             begin
               for one in select * from house loop
                 perform ledger.post('token:' || one.token_id || ':authorise', 'token.authorised', current_date, null, '{{}}',
                   ledger.open_accounts(array['authorised', 'available'], array_fill('token:' || one.token_id, array[2]), array_fill(one.property_id, array[2]), array[null, null]::uuid[]),
                   array[-1000000000, 1000000000]::bigint[]);
               end loop;
             end $$"
        )).await?;
        admin.batch_execute(&history(entries)).await?;
        admin.batch_execute(RESERVED).await?;
        admin.batch_execute(BUY).await?;
        admin.batch_execute("reset synchronous_commit").await?;
        admin.batch_execute("vacuum analyze").await?;
        let ids = async |sql: &str| -> Result<Vec<Uuid>, AnyError> {
            Ok(admin.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
        };
        Ok(World {
            houses: ids("select property_id from house order by n").await?,
            buyers: ids("select user_id from buyer order by n").await?,
            next: AtomicUsize::new(0),
            next_paid: AtomicUsize::new(0),
        })
    }

    /// The house that everybody wants.
    pub(super) fn hot(&self) -> Uuid {
        self.houses.first().copied().unwrap_or_default()
    }

    /// One of all houses.
    pub(super) fn any(&self, number: usize) -> Uuid {
        self.houses
            .get(number.wrapping_mul(7_919) % self.houses.len().max(1))
            .copied()
            .unwrap_or_default()
    }

    /// A number that nobody had.
    pub(super) fn number(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The number of a reservation that nobody has paid: each buyer has one.
    pub(super) fn next_reservation(&self) -> Result<usize, AnyError> {
        let number = self.next_paid.fetch_add(1, Ordering::Relaxed);
        if number >= self.buyers.len() {
            return Err("every reservation is paid: give more --buyers".into());
        }
        Ok(number + 1)
    }

    /// Somebody who may still buy.
    pub(super) fn next_buyer(&self) -> Result<Uuid, AnyError> {
        let number = self.number();
        if number >= self.buyers.len() * EACH {
            return Err("every buyer has bought what he may: give more --buyers".into());
        }
        self.buyers
            .get(number % self.buyers.len())
            .copied()
            .ok_or_else(|| "nobody buys".into())
    }
}

/// A reservation of each buyer in the hot house, with a checkout session.
const RESERVED: &str = "
set session_replication_role = replica;
insert into public.investments (id, user_id, party_id, property_id, property_token_id, offering_id, token_amount_units, price_per_token_minor, total_amount_minor,
    fee_amount_minor, due_at)
  select gen_random_uuid(), b.user_id, b.party_id, h.property_id, h.token_id, h.offering_id, 1, 5000, 5000, 100, now() + interval '1 year'
  from buyer as b join house as h on h.n = 1;
insert into public.payment_sessions (investment_id, user_id, rail, provider_ref, url, currency, currency_decimals, amount_minor, due_at)
  select i.id, i.user_id, 'sandbox', 'cs_' || b.n, '/', 'USD', 2, 5100, i.due_at from public.investments as i join buyer as b on b.user_id = i.user_id;
update public.property_token_supply as s set available_units = s.available_units - b.count, pending_units = b.count, offering_left_units = s.offering_left_units - b.count
  from (select count(*) from buyer) as b, house as h where h.n = 1 and s.property_token_id = h.token_id;
update public.property_tokens as t set available_supply_units = s.available_units from public.property_token_supply as s where s.property_token_id = t.id;
reset session_replication_role;
select ledger.post('bench:reserved', 'investment.reserved', current_date, null, '{}',
  ledger.open_accounts(array['available', 'reserved_pending'], array_fill('token:' || h.token_id, array[2]), array[h.property_id, h.property_id], array[null, null]::uuid[]),
  array[-b.count, b.count]) from house as h, (select count(*) from buyer) as b where h.n = 1";

/// Entries of the past, in accounts of their own, with the audit rows of as many purchases.
fn history(entries: u64) -> String {
    format!(
        "set session_replication_role = replica;
         create temporary table past as select ledger.open_accounts(array['outside_bank', 'outside_psp'], array['USD', 'USD'], array[null, null]::uuid[], array[null, null]::uuid[]) as ids;
         insert into ledger.entries (id, key, kind, business_date, actor_id, cause, digest) overriding system value
           select nextval(pg_get_serial_sequence('ledger.entries', 'id')), 'investment:' || gen_random_uuid() || ':reserve', 'investment.reserved', current_date, gen_random_uuid(),
                  jsonb_build_object('investment_id', gen_random_uuid(), 'offering_id', gen_random_uuid()), sha256(n::text::bytea)
           from generate_series(1, {entries}) as n;
         insert into ledger.postings (entry_id, line, account_id, amount, account_seq, balance_after)
           select e.id, l.line, past.ids[l.line], l.sign, e.id, 0 from ledger.entries as e, past, (values (1, -1), (2, 1)) as l (line, sign) where e.kind = 'investment.reserved';
         insert into public.audit_log (id, actor_role, table_name, operation, row_key, changed_columns, digest) overriding system value
           select nextval('public.audit_log_id_seq'), 'nexus_engine', 'public.investments', 'INSERT', gen_random_uuid()::text, array['id'], sha256(n::text::bytea) from generate_series(1, {entries}) as n;
         insert into nexus.audit_details (audit_id, salt, after) select a.id, a.digest, jsonb_build_object('id', a.row_key) from public.audit_log as a where a.changed_columns = array['id'];
         reset session_replication_role"
    )
}

/// What an RPC of a plain platform would be: the supply row locked first, the same checks on sums, the same rows.
const BUY: &str = "
create schema bench;
grant usage on schema bench to nexus_engine;
create function bench.buy(buyer uuid, property uuid, tokens bigint, client_key text, body_sha256 bytea) returns jsonb
language plpgsql as $$
declare
  answer jsonb;
  party uuid;
  offering record;
  supply record;
  bought record;
  total bigint;
  fee bigint;
  new_id uuid := gen_random_uuid();
begin
  perform set_config('request.jwt.claims', json_build_object('role', 'nexus_engine', 'sub', buyer)::text, true);
  select k.answer into answer from nexus.command_keys as k where k.caller_id = buyer and k.command = 'create-investment' and k.key = client_key;
  if found then return answer; end if;
  select p.party_id into strict party from public.user_profiles as p where p.id = buyer;
  select o.* into strict offering from public.offerings as o where o.property_id = property and o.status = 'open';
  select s.* into strict supply from public.property_token_supply as s where s.property_token_id = offering.property_token_id for no key update;
  insert into public.party_limits (party_id) values (party) on conflict do nothing;
  perform from public.party_limits as l where l.party_id = party for no key update;
  select coalesce(sum(i.token_amount_units) filter (where i.status in ('pending', 'paid', 'confirmed')), 0) as units,
         count(*) filter (where i.status = 'pending') as open
    into bought from public.investments as i where i.party_id = party and i.offering_id = offering.id;
  if least(supply.available_units, supply.offering_left_units) < tokens or bought.open >= 5 or bought.units + tokens > offering.hard_cap_units
     or now() < offering.opens_at or now() >= offering.closes_at then
    raise exception 'refused';
  end if;
  total := tokens * offering.price_minor;
  fee := nexus.fee_minor(total, 'platform', offering.currency, now());
  insert into public.investments as i (id, user_id, party_id, property_id, property_token_id, offering_id, token_amount_units, payment_currency,
      currency_decimals, price_per_token_minor, total_amount_minor, fee_amount_minor, due_at)
    values (new_id, buyer, party, property, offering.property_token_id, offering.id, tokens, offering.currency, offering.currency_decimals,
      offering.price_minor, total, fee, now() + interval '30 minutes')
    returning to_jsonb(i) into answer;
  update public.property_token_supply set available_units = available_units - tokens, pending_units = pending_units + tokens,
    offering_left_units = offering_left_units - tokens where property_token_id = offering.property_token_id;
  update public.property_tokens set available_supply_units = supply.available_units - tokens where id = offering.property_token_id;
  perform ledger.post('investment:' || new_id || ':reserve', 'investment.reserved', current_date, buyer,
    jsonb_build_object('investment_id', new_id, 'offering_id', offering.id),
    ledger.open_accounts(array['available', 'reserved_pending'], array_fill('token:' || offering.property_token_id, array[2]), array[property, property], array[null, null]::uuid[]),
    array[-tokens, tokens]);
  insert into nexus.outbox_events (topic, dedupe_key, payload, actor_id)
    values ('investment.reserved', new_id::text, jsonb_build_object('investmentId', new_id, 'offeringId', offering.id), buyer);
  insert into nexus.command_keys (caller_id, command, key, body_sha256, answer) values (buyer, 'create-investment', client_key, body_sha256, answer);
  return answer;
end
$$;
grant execute on function bench.buy(uuid, uuid, bigint, text, bytea) to nexus_engine;
create function bench.pay(message text, payment text, session text, amount bigint, body bytea) returns text
language plpgsql as $$
declare
  target record;
  new_id uuid := gen_random_uuid();
begin
  perform set_config('request.jwt.claims', '{\"role\": \"nexus_engine\", \"actor\": \"payment messages\"}', true);
  insert into nexus.payment_messages (rail, message_id, kind, payment_ref, body, signature, received_at, due_at)
    values ('sandbox', message, 'payment.succeeded', payment, body, repeat('s', 90), now(), now()) on conflict do nothing;
  if not found then return 'before'; end if;
  perform pg_advisory_xact_lock(hashtextextended('sandbox/' || payment, 7));
  select s.id as session_id, i.*, o.cooling_off_days into strict target from public.payment_sessions as s join public.investments as i on i.id = s.investment_id
    join public.offerings as o on o.id = i.offering_id where s.rail = 'sandbox' and s.provider_ref = session;
  perform from public.property_token_supply as s where s.property_token_id = target.property_token_id for no key update;
  perform from public.investments as i where i.id = target.id and i.status = 'pending' and i.due_at > now() and i.total_amount_minor + i.fee_amount_minor = amount for no key update;
  if not found then raise exception 'not simple'; end if;
  insert into public.payments (id, rail, provider_ref, session_id, investment_id, property_id, currency, currency_decimals, amount_minor, matched_minor, unmatched_minor, received_at)
    values (new_id, 'sandbox', payment, target.session_id, target.id, target.property_id, 'USD', 2, amount, amount, 0, now());
  update public.payment_sessions set status = 'paid' where id = target.session_id;
  perform ledger.post('investment:' || target.id || ':paid', 'investment.paid', current_date, null, jsonb_build_object('payment_id', new_id, 'investment_id', target.id),
    ledger.open_accounts(array['outside_psp', 'psp_clearing', 'reserved_pending', 'reserved_paid'],
      array['USD', 'USD', 'token:' || target.property_token_id, 'token:' || target.property_token_id],
      array[null, target.property_id, target.property_id, target.property_id], array[null, null, null, null]::uuid[]),
    array[-amount, amount, -target.token_amount_units, target.token_amount_units]);
  update public.investments set status = 'paid', paid_at = now(), withdraw_until = now(), due_at = null where id = target.id;
  update public.property_token_supply set pending_units = pending_units - target.token_amount_units, paid_units = paid_units + target.token_amount_units
    where property_token_id = target.property_token_id;
  insert into nexus.outbox_events (topic, dedupe_key, payload)
    values ('investment.paid', target.id::text, jsonb_build_object('investmentId', target.id, 'offeringId', target.offering_id));
  insert into public.notifications (user_id, title, message, type)
    values (target.user_id, 'Payment received', 'Your payment arrived and is in escrow until the offering closes.', 'investment');
  update nexus.payment_messages set processed_at = now(), outcome = 'paid', attempts = attempts + 1 where rail = 'sandbox' and message_id = message;
  return 'paid';
end
$$;
grant execute on function bench.pay(text, text, text, bigint, bytea) to nexus_engine";
