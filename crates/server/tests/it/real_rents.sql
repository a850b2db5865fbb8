-- The listed houses once more, as simulated houses of ours whose sale to these investors is over: everything from here on
-- goes through the functions. Tokens and register are written by the ledger's own functions.
create temporary table investor as
  select row_number() over (order by u.email) - 1 as n, p.id as user_id, p.party_id
  from auth.users as u join public.user_profiles as p on p.id = u.id where u.email like 'investor-%';
update public.parties as p set residency_country = (array['US', 'DE', 'US', 'AE', null])[1 + i.n % 5]
from investor as i where i.party_id = p.id;

create temporary table simulated_houses as
  select row_number() over (order by lower(contract_address)) - 1 as n, lower(contract_address) as contract, gen_random_uuid() as property_id,
         gen_random_uuid() as token_id, supply, token_price_minor as price, net_rent_year_minor as rent
  from public.foreign_tokens;
insert into public.properties (id, title, city, country, is_active, total_tokens, tokens_issued, price_per_token, tokenization_active, tokenization_status)
  select property_id, 'Simulated ' || contract, 'Detroit', 'US', true, supply, supply, price / 100.0, true, 'offered' from simulated_houses;
insert into public.property_members (property_id, user_id, capacity) select property_id, $manager, 'manager' from simulated_houses;
insert into public.property_tokens (id, property_id, total_supply_units, available_supply_units, initial_price_minor, current_price_minor, status)
  select token_id, property_id, supply, 0, price, price, 'launched' from simulated_houses;
insert into public.property_token_supply (property_token_id, authorised_units, available_units, held_units)
  select token_id, supply, 0, supply from simulated_houses;

-- Some hold more than others: the k-th of a house's holders gets k parts of k (k + 1) / 2.
create temporary table simulated_holdings as
  select h.contract, h.property_id, h.token_id, h.price, i.user_id, i.party_id, gen_random_uuid() as investment_id, o.units
  from simulated_houses as h cross join generate_series(1, $holders) as k
  cross join lateral (select h.supply * k * (k + 1) / ($holders * ($holders + 1)) - h.supply * (k - 1) * k / ($holders * ($holders + 1)) as units) as o
  join investor as i on i.n = (h.n * $holders + k - 1) % (select count(*) from investor)
  where o.units > 0;
insert into public.investments (id, user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor, total_amount_minor,
    fee_amount_minor, status, paid_at, confirmed_at)
  select investment_id, user_id, party_id, property_id, token_id, units, price, units * price, 0, 'confirmed', $at, $at from simulated_holdings;
insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, units, cost_minor, acquired_at, tax_acquired_at)
  select party_id, user_id, property_id, token_id, investment_id, units, units * price, $at, $at from simulated_holdings;
do $do$
declare
  house simulated_houses;
  holders record;
  entry bigint;
begin
  for house in select * from simulated_houses loop
    select array_agg(s.party_id order by s.party_id) as parties, array_agg(s.units order by s.party_id) as units, count(*)::integer as number
      into holders from simulated_holdings as s where s.property_id = house.property_id;
    entry := ledger.post('simulated:' || house.token_id, 'tokens.simulated', '2030-03-17', null, '{}',
      ledger.open_accounts(array['authorised'] || array_fill('held'::text, array[holders.number]),
        array_fill('token:' || house.token_id, array[1 + holders.number]), array_fill(house.property_id, array[1 + holders.number]),
        array[null]::uuid[] || holders.parties),
      array[-house.supply] || holders.units);
    perform ledger.record_movement(house.token_id, array[entry], 'close', $at);
  end loop;
end
$do$;

-- The listed rents are net: nothing is taken of them. What a declaration asks for is there.
insert into public.fee_schedules (fee_type, rate_ppm, valid_from, note)
  values ('rent_manager', 0, '2030-01-01T00:00:00Z', 'net rents'), ('rent_platform', 0, '2030-01-01T00:00:00Z', 'net rents');
begin;
set local session_replication_role = replica;
insert into public.property_documents (property_id, document_name, document_type, file_url, sha256, issued_on, expires_at, review_status, uploaded_by)
  select h.property_id, k, k, 'property-evidence/' || h.property_id || '/' || k, sha256('x'), '2030-03-01', '2040-01-01', 'accepted', $manager
  from simulated_houses as h cross join unnest(array['deed', 'insurance', 'appraisal', 'entity_papers', 'title_search']) as k;
commit;
