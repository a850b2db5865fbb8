-- How a distribution is split over its holders, and how they are credited: set-based functions, since one distribution may
-- have a million lines. `mint_core::allocation` and `mint_core::distribution` are their reference, and tests compare them.
set role nexus_owner;

create index token_movements_last_entry_idx on public.token_movements (property_token_id, last_entry_id);

create function ledger.token_seconds(property_token_id uuid, from_at timestamptz, to_at timestamptz, known_entry_id bigint)
returns table (party_id uuid, token_seconds numeric)
language sql stable set search_path = ''
as $$
  -- Each change counts for the seconds from its own on until the end, so that the order of changes does not matter.
  select a.party_id, sum(p.amount * extract(epoch from to_at - greatest(from_at, date_trunc('second', m.moved_at))))
  from ledger.accounts as a
  join ledger.postings as p on p.account_id = a.id
  cross join lateral (
    select x.moved_at from public.token_movements as x
    where x.property_token_id = token_seconds.property_token_id and x.last_entry_id >= p.entry_id
    order by x.last_entry_id limit 1) as m
  where a.asset = 'token:' || token_seconds.property_token_id and a.purpose = 'held' and p.entry_id <= known_entry_id
    and date_trunc('second', m.moved_at) < to_at
  group by a.party_id
  having sum(p.amount * extract(epoch from to_at - greatest(from_at, date_trunc('second', m.moved_at)))) > 0
$$;
comment on function ledger.token_seconds(uuid, timestamptz, timestamptz, bigint) is 'Tokens times seconds of each holder in a period of whole seconds, as known at a ledger entry. mint_core::entitlement::token_seconds is the reference.';

create function nexus.distribution_parts(token_id uuid, total bigint, tie_first uuid, at timestamptz, seconds_from timestamptz, seconds_to timestamptz)
returns table (party_id uuid, entitled_units bigint, amount_minor bigint, withheld_minor bigint, rate_ppm integer, form text, form_version text)
language sql stable security definer set search_path = ''
as $$
  with basis as (
    select a.party_id, b.balance::numeric as units
    from ledger.accounts as a join ledger.balances as b on b.account_id = a.id
    where seconds_from is null and a.asset = 'token:' || distribution_parts.token_id and a.purpose = 'held' and b.balance > 0
    union all
    select s.party_id, s.token_seconds
    from ledger.token_seconds(distribution_parts.token_id, seconds_from, seconds_to, 9223372036854775807) as s where seconds_from is not null
  ), held as (
    select b.party_id, b.units, sum(b.units) over () as entitled from basis as b
  ), exact as (
    select h.party_id, h.units, div(total * h.units, h.entitled)::bigint as whole, mod(total * h.units, h.entitled) as fraction
    from held as h
  ), ranked as (
    select e.party_id, e.units, e.whole,
           total - sum(e.whole) over () as left_over,
           row_number() over (order by e.fraction desc, e.party_id < tie_first, e.party_id) as place
    from exact as e
  ), forms as (
    select f.party_id, jsonb_object_agg(f.form, f.form_version) as versions
    from public.tax_forms as f join public.parties as p on p.id = f.party_id and p.residency_country = f.residency_country
    where f.status = 'checked' and f.expires_at > distribution_parts.at group by f.party_id
  ), given as materialized (
    select r.party_id, r.units, r.whole + case when r.place <= r.left_over then 1 else 0 end as amount,
           coalesce(p.residency_country, '') as residency, coalesce(f.versions, '{}') as versions
    from ranked as r join public.parties as p on p.id = r.party_id left join forms as f on f.party_id = r.party_id
  ), countries as (
    select r.residency, r.versions, rate.rate_ppm, rate.form, rate.form_version
    from (select distinct g.residency, g.versions from given as g) as r
    left join lateral (
      select w.rate_ppm, w.form, case when w.needs_form then r.versions ->> w.form else w.form_version end as form_version
      from public.withholding_rates as w
      where w.source_country = (select p.country from public.properties as p join public.property_tokens as t on t.property_id = p.id
                                where t.id = distribution_parts.token_id)
        and (w.residency_country = r.residency or w.residency_country is null) and (not w.needs_form or r.versions ? w.form)
        and w.valid_from = (select max(x.valid_from) from public.withholding_rates as x where x.source_country = w.source_country
                            and x.residency_country is not distinct from w.residency_country and x.valid_from <= distribution_parts.at)
      order by w.residency_country is null, not w.needs_form limit 1) as rate on true
  )
  -- round() on numeric goes half away from zero, which is half up for amounts.
  -- A line's check refuses what is too many to be exact.
  select g.party_id, least(g.units, 9007199254740992)::bigint, g.amount, round(g.amount::numeric * coalesce(c.rate_ppm, 0) / 1000000)::bigint,
         coalesce(c.rate_ppm, 0), coalesce(c.form, 'none'), coalesce(c.form_version, 'none')
  from given as g join countries as c on c.residency = g.residency and c.versions = g.versions
$$;
comment on function nexus.distribution_parts(uuid, bigint, uuid, timestamptz, timestamptz, timestamptz) is 'How a total is split over who holds a token now, or over its token-seconds in a period, by largest remainder, equal fractions served in the circle of parties from one on, and what of each part is tax. mint_core::allocation::split is the reference.';

create function nexus.write_distribution_lines(distribution_id uuid, tie_first uuid, at timestamptz) returns table (holders integer, withheld_minor bigint)
language plpgsql security definer set search_path = ''
as $$
declare
  d public.distributions;
begin
  select * into d from public.distributions as x where x.id = write_distribution_lines.distribution_id;
  -- What sends nothing is paid from the beginning.
  return query
  with written as (
    insert into public.distribution_lines (distribution_id, party_id, entitled_units, amount_minor, withheld_minor, rate_ppm, form, form_version,
      lot_ids, lot_units, status)
    select d.id, p.party_id, p.entitled_units, p.amount_minor, p.withheld_minor, p.rate_ppm, p.form, p.form_version,
           coalesce(l.ids, '{}'), coalesce(l.units, '{}'), case when p.amount_minor > p.withheld_minor then 'payable' else 'paid' end
    from nexus.distribution_parts(d.property_token_id, d.declared_minor, write_distribution_lines.tie_first, at, d.seconds_from, d.seconds_to) as p
    left join (
      select t.party_id, array_agg(t.id order by t.id) as ids, array_agg(t.units order by t.id) as units
      from (
        select x.party_id, x.id, case when d.seconds_from is null then x.units else least(x.seconds, 9007199254740992)::bigint end as units
        from (
          -- What is in a lot counts from when it was got until the end; what went out of it, until then.
          select t.party_id, t.id, t.units,
                 case when d.seconds_from is not null then
                   t.units * greatest(0, extract(epoch from d.seconds_to - greatest(d.seconds_from, date_trunc('second', t.acquired_at))))
                   + coalesce((
                     select sum(g.units * greatest(0, extract(epoch from least(d.seconds_to, date_trunc('second', g.moved_at))
                                                                  - greatest(d.seconds_from, date_trunc('second', t.acquired_at)))))
                     from public.lot_disposals as g where g.from_lot_id = t.id), 0)
                 end as seconds
          from public.lots as t where t.property_token_id = d.property_token_id
        ) as x
      ) as t where t.units > 0 group by t.party_id) as l on l.party_id = p.party_id
    order by p.party_id
    returning distribution_lines.withheld_minor
  )
  select count(*)::integer, coalesce(sum(w.withheld_minor), 0)::bigint from written as w;
end
$$;
comment on function nexus.write_distribution_lines(uuid, uuid, timestamptz) is 'Writes all lines of a distribution in one statement, each with the lots of its holder as they are now, or with what each of them was in the period. The caller holds the token''s lock.';

create function nexus.post_distribution_part(distribution_id uuid, lines_max integer, day date, actor_id uuid, at timestamptz) returns boolean
language plpgsql security definer set search_path = ''
  -- Few rows are looked up in long tables: by index, whatever the tables' statistics were when the plan was made.
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  d public.distributions;
  part record;
  after_party uuid;
  due integer;
  accounts bigint[];
begin
  select * into d from public.distributions as x where x.id = post_distribution_part.distribution_id;
  after_party := coalesce(d.posted_up_to, '00000000-0000-0000-0000-000000000000');
  select count(*)::integer as lines, (array_agg(l.party_id order by l.party_id desc))[1] as last_party,
         coalesce(array_agg(l.party_id order by l.party_id) filter (where l.net > 0), '{}') as parties,
         coalesce(array_agg(l.net order by l.party_id) filter (where l.net > 0), '{}') as nets,
         coalesce(sum(l.withheld_minor), 0)::bigint as withheld, coalesce(sum(l.amount_minor), 0)::bigint as amount
    into part
  from (
    select x.party_id, x.amount_minor, x.withheld_minor, x.amount_minor - x.withheld_minor as net
    from public.distribution_lines as x
    where x.distribution_id = d.id and x.party_id > after_party
    order by x.party_id limit lines_max
  ) as l;
  if part.amount > 0 then
    due := cardinality(part.parties);
    accounts := ledger.open_accounts(
      array['payable_to_investors', 'withheld'] || array_fill('payable'::text, array[due]), array_fill(d.currency, array[2 + due]),
      array[d.property_id, d.property_id] || array_fill(null::uuid, array[due]), array[null, null]::uuid[] || part.parties);
    if part.withheld = 0 then
      accounts := accounts[1:1] || accounts[3:];
    end if;
    perform ledger.post('distribution:' || d.id || ':allocated:' || part.last_party, 'distribution.allocated', day, post_distribution_part.actor_id,
      jsonb_build_object('distribution_id', d.id, 'up_to_party_id', part.last_party), accounts,
      array[-part.amount] || case when part.withheld = 0 then '{}' else array[part.withheld] end || part.nets);
  end if;
  -- A line is split over the lots of its holder as the whole is over the holders.
  insert into public.property_returns (property_id, investment_id, user_id, return_type, currency, currency_decimals, amount_minor, return_date,
    status, distribution_line_id, lot_id, created_at)
  select d.property_id, t.investment_id, t.user_id, 'distribution', d.currency, d.currency_decimals,
         r.whole + case when r.place <= r.amount - r.given then 1 else 0 end, (d.record_at at time zone 'UTC')::date,
         case when r.status = 'payable' then 'payable' when r.amount > 0 then 'withheld' else 'paid' end, r.line_id, r.lot_id, at
  from (
    select e.*, sum(e.whole) over (partition by e.line_id) as given,
           row_number() over (partition by e.line_id order by e.fraction desc, e.lot_id) as place
    from (
      select l.id as line_id, l.amount_minor as amount, l.status, o.lot_id,
             div(l.amount_minor * o.units::numeric, l.weight)::bigint as whole, mod(l.amount_minor * o.units::numeric, l.weight) as fraction
      from (
        select x.*, (select sum(u) from unnest(x.lot_units) as u) as weight from public.distribution_lines as x
        where x.distribution_id = d.id and x.party_id > after_party and x.party_id <= part.last_party
      ) as l
      cross join lateral unnest(l.lot_ids, l.lot_units) as o (lot_id, units)
    ) as e
  ) as r
  join public.lots as t on t.id = r.lot_id;
  insert into public.payouts (id, rail_key, line_id, party_id, property_id, currency, currency_decimals, amount_minor, due_at, created_at)
  select gen_random_uuid(), gen_random_uuid(), l.id, l.party_id, d.property_id, d.currency, d.currency_decimals, l.amount_minor - l.withheld_minor, at, at
  from public.distribution_lines as l
  where l.distribution_id = d.id and l.party_id > after_party and l.party_id <= part.last_party
    and l.amount_minor > l.withheld_minor;
  update public.distributions as x
  set status = 'paying', posted_up_to = coalesce(part.last_party, x.posted_up_to), posted_at = case when part.lines < lines_max then post_distribution_part.at end
  where x.id = d.id;
  return part.lines < lines_max;
end
$$;
comment on function nexus.post_distribution_part(uuid, integer, date, uuid, timestamptz) is 'Credits the next holders of a distribution, in the order of parties, with their lines less tax: one entry, their returns by lot, their payouts. Answers whether those were the last. The caller holds the distribution''s row.';

grant execute on function ledger.token_seconds(uuid, timestamptz, timestamptz, bigint),
  nexus.distribution_parts(uuid, bigint, uuid, timestamptz, timestamptz, timestamptz), nexus.write_distribution_lines(uuid, uuid, timestamptz),
  nexus.post_distribution_part(uuid, integer, date, uuid, timestamptz) to nexus_engine;

reset role;
