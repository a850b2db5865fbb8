-- What the persona matrix is tried on: six people, five properties, and in every table rows of every owner class.
-- Run by a superuser. Every column has a value in some row, or the test says so.

create temporary table people (number integer, id uuid, roles text[], invests_in integer, room uuid);
insert into people
select p.number, ('a0000000-0000-4000-8000-00000000000' || p.number)::uuid, p.roles, p.invests_in,
       ('d0000000-0000-4000-8000-00000000000' || p.number)::uuid
from (values
  (1, '{}'::text[],               3),  -- the investor: has tokens of a property that is not public
  (2, '{}',                       1),  -- another investor
  (3, '{property_manager}',       4),  -- manages properties 1 and 2
  (4, '{property_manager}',       4),  -- manages property 3
  (5, '{compliance_officer}',     4),
  (6, '{admin}',                  4)
) as p (number, roles, invests_in);

insert into auth.users (id, aud, role, email, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
select id, 'authenticated', 'authenticated', 'person' || number || '@example.com', now(), '{}', '{"full_name": "A Person"}', now(), now()
from people;
insert into public.user_role_assignments (user_id, role, assigned_by)
select id, unnest(roles), 'a0000000-0000-4000-8000-000000000006' from people;

-- People.
update public.user_profiles as u set
  phone = '+1 555 0100', avatar_url = 'user-avatars/' || u.id || '/me.png', wallet_address = '0x' || lpad(p.number::text, 40, '0'),
  kyc_status = case when p.number = 1 then 'approved' else 'pending' end, kyc_level = case when p.number = 1 then 'basic' else 'none' end,
  kyc_data = '{"steps": 1}', investment_experience = 'some', risk_tolerance = 'low', preferred_investment_size = 100, kyc_expires_at = now() + interval '1 year', totals_as_of = now()
from people as p where p.id = u.id;
insert into public.parties (kind, anonymised_at) values ('person', now());
update public.parties set legal_name = 'Name in law', residency_country = 'AE' where anonymised_at is null;
insert into public.party_owners (party_id, owner_party_id, stated_name, stated_country, share_ppm, valid_from, valid_to)
select u.party_id, a.id, 'An owner', 'AE', 500000, '2020-01-01', '2090-01-01'
from public.user_profiles as u, public.parties as a where a.anonymised_at is not null;
insert into public.party_screenings (party_id, provider, status, reference, hits, screened_by, screened_at, due_at)
select party_id, 'a list', 'clear', 'ref', '["a list/1"]', 'a0000000-0000-4000-8000-000000000005', now(), now() + interval '1 year' from public.user_profiles;
insert into public.payment_methods (user_id, method_type, details, is_verified, is_default)
select id, 'bank_transfer', '{"last_four": "1234"}', number % 2 = 1, number % 2 = 1 from people;

-- Properties: 1 active, 2 not, both of the manager; 3 not active, of another manager, in which the investor has tokens;
-- 4 active and 5 not, of nobody.
insert into public.properties (id, title, description, property_type, location, address, city, state_province, country, postal_code,
  coordinates, bedrooms, bathrooms, sqft, lot_size, year_built, images, amenities, virtual_tour_url, price, price_per_token,
  min_investment, funding_target, funding_deadline, total_tokens, tokens_issued, tokenization_active, tokenization_status,
  is_active, is_featured)
select ('b0000000-0000-4000-8000-00000000000' || n)::uuid, 'House ' || n, 'A house', 'apartment', 'Here', 'A street 1', 'Dubai', 'Dubai', 'AE', '1',
  '{"lat": 1, "lng": 1}', 1, 1, 1, 1, 2000, '["a.png"]', '["pool"]', 'https://example.com/tour', 1000 + n, 53.59,
  53.59, 1000, now() + interval '1 year', 1850, 10, n = 1, 'in_progress', n in (1, 4), n = 1
from generate_series(1, 5) as n;
update public.properties set bathrooms_exact = 1.75;
update public.properties set origin = 'seed', origin_key = 'data:' || id where id = 'b0000000-0000-4000-8000-000000000005';
insert into public.property_members (property_id, user_id, capacity, is_active, added_by) values
  ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000003', 'manager', true, 'a0000000-0000-4000-8000-000000000006'),
  ('b0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000003', 'owner', true, null),
  ('b0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000004', 'manager', true, null),
  -- A membership that has ended gives nothing, and neither does one of somebody who is no property manager.
  ('b0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000004', 'manager', false, null),
  ('b0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000001', 'owner', true, null),
  ('b0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000002', 'manager', true, null),
  ('b0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000005', 'agent', true, null),
  ('b0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000006', 'agent', true, null);
insert into public.property_tokens (id, property_id, name, symbol, total_supply_units, available_supply_units, initial_price_minor,
  current_price_minor, status, settlement, chain_id, contract_address, token_address)
select ('c0000000-0000-4000-8000-0000000000' || n || '1')::uuid, ('b0000000-0000-4000-8000-00000000000' || n)::uuid, 'Token', 'TKN', 1850, 1840,
  5359, 5359, 'launched', 'chain', 1, '0x' || lpad(n::text, 40, 'a'), '0x' || lpad(n::text, 40, 'a')
from generate_series(1, 5) as n;
insert into public.property_tokens (property_id, name, symbol, total_supply_units, available_supply_units, initial_price_minor,
  current_price_minor, status)
select id, 'Draft', 'DRF', 1850, 1850, 5359, 5359, 'draft' from public.properties;

-- What people bought, and what it brought them.
insert into public.investments (user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor,
  total_amount_minor, fee_amount_minor, status, payment_method, payment_method_id, blockchain_tx_hash, current_value_minor,
  current_value_as_of, due_at, paid_at, confirmed_at)
select p.id, u.party_id, ('b0000000-0000-4000-8000-00000000000' || p.invests_in)::uuid,
  ('c0000000-0000-4000-8000-0000000000' || p.invests_in || '1')::uuid, 10, 5359, 53590, 1072, 'confirmed', 'sandbox', m.id,
  '0x' || lpad(p.number::text, 64, '0'), 53590, now(), now(), now(), now()
from people as p join public.user_profiles as u on u.id = p.id join public.payment_methods as m on m.user_id = p.id;
-- An expired purchase opens no door.
insert into public.investments (user_id, party_id, property_id, property_token_id, token_amount_units, price_per_token_minor,
  total_amount_minor, fee_amount_minor, status)
select u.id, u.party_id, 'b0000000-0000-4000-8000-000000000005', 'c0000000-0000-4000-8000-000000000051', 1, 5359, 5359, 107, 'expired'
from public.user_profiles as u where u.id = 'a0000000-0000-4000-8000-000000000001';
insert into public.property_returns (property_id, investment_id, user_id, return_type, amount_minor, return_date, description, status)
select property_id, id, user_id, 'rental_income', 100, '2025-01-31', 'January', 'paid' from public.investments;

-- What is recorded about properties.
insert into public.property_documents (property_id, document_name, document_type, file_url, file_type, file_size, sha256, source,
  issued_on, expires_at, is_public, requires_kyc, review_status, uploaded_by)
select p.id, k.name, 'deed', 'property-evidence/' || p.id || '/' || k.name || '.pdf', 'application/pdf', 1, sha256('x'), 'land registry',
  '2024-01-01', '2090-01-01', k.is_public, k.requires_kyc, k.review_status, 'a0000000-0000-4000-8000-000000000003'
from public.properties as p, (values
  ('published', true, false, 'accepted'), ('for verified', false, true, 'accepted'), ('inside', false, false, 'accepted'),
  ('waiting', true, true, 'pending')) as k (name, is_public, requires_kyc, review_status);
insert into public.property_document_reviews (document_id, reviewer_id, decision, reason)
select id, 'a0000000-0000-4000-8000-000000000005', 'accepted', 'in order' from public.property_documents;
insert into public.property_performance (property_id, report_date, period_from, valuation_minor, rental_income_minor, maintenance_costs_minor,
  net_operating_income_minor, let_days, occupancy_rate, market_performance, roi_percentage)
select id, '2025-01-31', '2025-01-01', 100000, 1000, 10, 990, 31, 100, 1, 1 from public.properties;
insert into public.property_valuations (property_id, valued_on, amount_minor, basis, source, reference, evidence_id)
select property_id, '2025-01-31', 100000, 'appraisal', 'an appraiser', 'report 1', id from public.property_documents
where document_name = 'inside';
insert into public.market_statistics (market, month, area, property_type, transactions, currency, currency_decimals, median_price_minor,
  median_per_sqft_minor, offplan_share, ready_share, source)
values ('Dubai', '2025-01-01', 'ALL', 'ALL', 10, 'AED', 2, 100000, 1000, 0.25, 0.75, 'a land department');
insert into public.foreign_tokens (property_id, name, symbol, chain_id, contract_address, bridged_chain_id, bridged_address, supply,
  token_price_minor, net_rent_year_minor, stated_net_rent_year_per_token, stated_apr_percent, venues, is_migrated, snapshot_on, source)
select id, 'Theirs', 'THR', 1, '0x' || lpad(right(id::text, 1), 40, 'f'), 100, '0x' || lpad(right(id::text, 1), 40, 'f'), 1000,
  5000, 500000, 5, 10, 1, false, '2023-04-23', 'a list' from public.properties;
insert into public.property_analytics (property_id, report_date, rental_income_minor, net_operating_income_minor, occupancy_rate,
  market_value_minor, market_value_on, rental_yield, cap_rate, appreciation_rate, token_yield,
  total_invested_minor, number_of_investors, funding_percentage, average_investment_size_minor, as_of)
select id, '2025-01-31', 12000, 8000, 100, 100000, '2025-01-31', 12, 8, 1, 9, 53590, 3, 50, 17863, now() from public.properties;
insert into nexus.property_figures (property_id, currency, investors, principal_minor, tokens, as_of)
select id, 'USD', 3, 53590, 10, now() from public.properties;
insert into nexus.investor_figures (property_id, currency, party_id, principal_minor, tokens, investments)
select property_id, payment_currency, party_id, total_amount_minor, token_amount, 1 from public.investments where status = 'confirmed'
on conflict do nothing;
insert into nexus.figure_changes (kind, property_id, property_token_id, party_id, user_id, investment_id, currency)
select 'invested', property_id, property_token_id, party_id, user_id, id, payment_currency from public.investments;
insert into nexus.analytics_dues (property_id) select id from public.properties;
insert into public.property_audits (property_id, auditor_id, audit_score, risk_level, compliance_status, next_review_date)
select id, 'a0000000-0000-4000-8000-000000000005', 90, 'low', 'compliant', '2090-01-01' from public.properties;
insert into public.tokenization_processes (property_id, user_id, status, current_step, progress_percentage)
select id, case when right(id::text, 1) = '1' then 'a0000000-0000-4000-8000-000000000003'::uuid else 'a0000000-0000-4000-8000-000000000006' end,
  'in_progress', 'valuation', 12 from public.properties where right(id::text, 1) < '5';
insert into public.tokenization_processes (property_id, user_id, status)
select 'b0000000-0000-4000-8000-000000000005', id, 'cancelled' from people;
insert into public.tokenization_steps (process_id, step_name, step_order, status, started_at, completed_at, error_details, submitted_by, submitted_at,
  decided_by)
select id, 'submission', 1, 'completed', now(), now(), 'none', 'a0000000-0000-4000-8000-000000000003', now(), 'a0000000-0000-4000-8000-000000000005'
from public.tokenization_processes;
insert into public.property_gates (property_id) select id from public.properties;
insert into public.gate_overrides (property_id, action, subject_id, requirements, reason, requested_by, requested_at, approved_by, approved_at, valid_until)
select id, 'launch', id, '{insurance}', 'being issued', 'a0000000-0000-4000-8000-000000000005', now(), 'a0000000-0000-4000-8000-000000000006', now(),
  now() + interval '1 day' from public.properties;
insert into public.gate_passes (property_id, action, subject_id, offering_kind, passed_at, actor_id, override_id)
select property_id, action, subject_id, 'issuer_owns', now(), 'a0000000-0000-4000-8000-000000000006', id from public.gate_overrides;
insert into public.gate_pass_evidence (pass_id, property_id, action, requirement, document_id, sha256)
select p.id, p.property_id, p.action, 'title', d.id, d.sha256
from public.gate_passes as p join public.property_documents as d on d.property_id = p.property_id and d.document_name = 'inside';
update public.tokenization_processes as p set status = 'completed', current_step = null, launch_pass_id = g.id, property_token_id = t.id
from public.gate_passes as g, public.property_tokens as t
where p.property_id = 'b0000000-0000-4000-8000-000000000004' and g.property_id = p.property_id and t.property_id = p.property_id and t.status = 'draft';
insert into public.tokenization_reports (process_id, property_id, report_type, generated_by)
select id, property_id, 'summary', user_id from public.tokenization_processes;
insert into public.smart_contract_events (chain_id, contract_address, event_name, transaction_hash, block_hash, block_number, log_index)
select 1, '0x' || repeat('a', 40), 'Transfer', '0x' || repeat('b', 64), '0x' || repeat('c', 64), 1, n from generate_series(1, 2) as n;
insert into public.fee_schedules (fee_type, rate_ppm, maximum_minor, valid_from, note) values ('platform', 10000, 100, '2100-01-01', 'Later');

-- What is between a person and the platform.
insert into public.kyc_cases (user_id, party_id, kyc_level, status, taken_by, taken_at, decided_by, decided_at, reason, expires_at, ended_at)
select u.id, u.party_id, 'basic', k.status, k.officer, now(), k.officer, now(), 'in order', now() + interval '1 year',
  case k.status when 'revoked' then now() end
from public.user_profiles as u join people as p on p.id = u.id cross join lateral (
  select status, case when p.number = 5 then 'a0000000-0000-4000-8000-000000000006'::uuid
    else 'a0000000-0000-4000-8000-000000000005' end as officer from unnest(array['approved', 'revoked']) as status) as k;
insert into public.accreditation_cases (user_id, party_id, kind, method, entry_test_id, answers_right, net_worth_minor, net_worth_currency,
  status, taken_by, taken_at, decided_by, decided_at, reason, expires_at, ended_at)
select k.user_id, k.party_id, a.kind, 'income', a.test_id, case when a.test_id is not null then 5 end, 100, 'USD',
  k.status, k.taken_by, k.taken_at, k.decided_by, k.decided_at, k.reason, k.expires_at, k.ended_at
from public.kyc_cases as k, (select 'accredited' as kind, null::uuid as test_id
  union all select 'entry_test', id from public.entry_tests) as a;
insert into public.kyc_documents (user_id, kyc_case_id, document_type, file_name, file_url, file_size, notes)
select user_id, id, 'passport', 'p.pdf', 'kyc-documents/' || user_id || '/p.pdf', 1, 'fine' from public.kyc_cases;
insert into public.kyc_documents (user_id, accreditation_case_id, document_type, file_name, file_url)
select user_id, id, 'letter', 'l.pdf', 'kyc-documents/' || user_id || '/l.pdf' from public.accreditation_cases;
with list as (insert into nexus.screening_lists (name, sha256, entries, loaded_at) values ('a_list', sha256('x'), 1, now()) returning id)
insert into nexus.screening_entries (list_id, key, place, name, words) select id, '1', 1, 'A Name', '{a,name}' from list;
insert into public.ai_interactions (user_id, session_id, user_message, ai_response, intent_detected, confidence_score, recommendation_type)
select id, 's', 'What?', 'That.', 'question', 0.5, 'none' from people;
insert into public.notifications (user_id, title, message, action_url) select id, 'News', 'Some', '/news' from people;
insert into nexus.outbox_events (topic, dedupe_key, actor_id, done_at, last_error)
select 'mail.send', id::text, id, now(), 'none' from people;
insert into nexus.command_keys (caller_id, command, key, body_sha256, answer) select id, 'create-investment', 'k', sha256('{}'), '{}' from people;
insert into nexus.outbox_events (topic, dedupe_key, dead_at) values ('mail.send', 'dead', now());

insert into public.chat_rooms (id, name, property_id, created_by)
values ('d0000000-0000-4000-8000-000000000007', 'About a property that is hidden now', 'b0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001');
-- A room of each person with a message of his; in the first the other investor is too, out of the fourth the investor was put.
-- Everybody is in the third, which is open; nobody but the admin is in the sixth, which is open too.
insert into public.chat_rooms (id, name, description, property_id, is_public, created_by)
select room, 'Room ' || number, 'For talk', 'b0000000-0000-4000-8000-000000000001', number in (3, 6), id from people;
insert into public.chat_room_participants (room_id, user_id, last_read_at) select room, id, now() from people;
insert into public.chat_room_participants (room_id, user_id)
select 'd0000000-0000-4000-8000-000000000003', id from people where number <> 3;
insert into public.chat_room_participants (room_id, user_id, is_active) values
  ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', true),
  ('d0000000-0000-4000-8000-000000000004', 'a0000000-0000-4000-8000-000000000001', false);
insert into public.chat_room_participants (room_id, user_id)
values ('d0000000-0000-4000-8000-000000000007', 'a0000000-0000-4000-8000-000000000001');
insert into public.chat_messages (room_id, user_id, message, edited_at, attachments)
select room_id, user_id, 'Hello', now(), jsonb_build_array('chat-attachments/' || room_id || '/x') from public.chat_room_participants;
insert into public.chat_messages (room_id, user_id, message, reply_to)
select room_id, user_id, 'Again', id from public.chat_messages;
insert into public.chat_messages (room_id, user_id, message, message_type) select room, null, 'Opened', 'system' from people;

-- In every bucket: a file in every person's and property's folder and in a room's, under names that say no folder, and under
-- some that climb out of their own. Where rooms have files, each participant has one.
insert into storage.objects (bucket_id, name, owner, owner_id, metadata, version, user_metadata)
select b.id, f.name, f.owner, f.owner::text, '{"size": 1}', 'v1', '{}'
from storage.buckets as b join (
  select id || '/file' as name, id as owner, '' as only_in from people
  union all select id || '/../file', id, '' from people where number in (1, 3)
  union all select id || '/file', 'a0000000-0000-4000-8000-000000000003', '' from public.properties
  union all select 'd0000000-0000-4000-8000-000000000001/file', 'a0000000-0000-4000-8000-000000000001', ''
  union all select room_id || '/' || user_id, user_id, 'chat-attachments' from public.chat_room_participants
  union all select name, 'a0000000-0000-4000-8000-000000000001', '' from unnest(array['file', '../file', 'folder/file', '/file']) as name
) as f on f.only_in in ('', b.id);
insert into public.file_reads (object_id, bucket_id, object_name, sha256, reader_id, read_at)
select gen_random_uuid(), 'property-evidence', 'a file', sha256('x'), id, now() from people;
update storage.buckets set owner = 'a0000000-0000-4000-8000-000000000006', owner_id = 'a0000000-0000-4000-8000-000000000006';
insert into realtime.messages (topic, extension, payload, event, private, binary_payload) values
  ('room', 'broadcast', '{}', 'said', true, null), ('news', 'broadcast', '{}', 'told', false, '\x00');

-- The book: money in escrow of each property, and some owed to the investor; a seal over what there is.
select ledger.post('fixture:' || n, 'test.moved', '2025-01-31', 'a0000000-0000-4000-8000-000000000006', '{}',
  ledger.open_accounts(array['outside_bank', 'escrow_bank', 'payable'], array['USD', 'USD', 'USD'],
    array[null, ('b0000000-0000-4000-8000-00000000000' || n)::uuid, null],
    array[null, null, (select party_id from public.user_profiles where id = 'a0000000-0000-4000-8000-000000000001')]),
  array[-100, 60, 40])
from generate_series(1, 5) as n;
select ledger.open_accounts(array['available'], array['token:c0000000-0000-4000-8000-000000000011'],
  array['b0000000-0000-4000-8000-000000000001']::uuid[], array[null]::uuid[]);
insert into public.token_movements (property_token_id, number, kind, moved_at, last_entry_id, held_units, holders)
select k.id, 1, 'close', now(), e.id, 10, 1 from public.property_tokens as k
join ledger.entries as e on e.key = 'fixture:' || right(k.property_id::text, 1)
where k.id::text like 'c0000000-%1';
insert into nexus.seals (number, sealed_at, audit_up_to, entries_up_to, links_up_to, head, public_key, signature)
values (1, now(), 0, 1, 1, sha256('head'), sha256('key'), sha256('a') || sha256('b'));
insert into nexus.chain_links (place, source, source_id, row_digest, link) values (1, 'entry', 1, sha256('row'), sha256('head'));

-- Sales: an offering of every property's token, the first public, the third for the invited investor; what people paid in it.
insert into public.property_token_supply (property_token_id, authorised_units, available_units, held_units)
select id, total_supply_units, total_supply_units - 10, 10 from public.property_tokens where status = 'launched'
union all select id, total_supply_units, total_supply_units, 0 from public.property_tokens where status = 'draft';
insert into public.offerings (id, property_id, property_token_id, rule_pack_id, kind, status, is_public, price_minor, soft_cap_units,
  hard_cap_units, maximum_units, opens_at, closes_at, long_stop_at, early_close_announced_at, early_close_at, opened_at, ended_at, end_reason,
  with_agent_at, agent_minor, failed_at, fail_reason, created_by, opened_by)
select ('e0000000-0000-4000-8000-00000000000' || n)::uuid, ('b0000000-0000-4000-8000-00000000000' || n)::uuid,
  ('c0000000-0000-4000-8000-0000000000' || n || '1')::uuid, (select id from public.rule_packs where code = 'open'), 'acquisition',
  case n when 5 then 'failed' else 'open' end, n <> 3, 5359, 10, 100, 50, now(), now() + interval '1 day', now() + interval '2 days', now(),
  now() + interval '1 hour', now(), now(), 'deadline', now(), 1, case n when 5 then now() end, case n when 5 then 'a reason' end,
  'a0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000006'
from generate_series(1, 5) as n;
insert into public.offerings (property_id, property_token_id, rule_pack_id, kind, status, price_minor, soft_cap_units, hard_cap_units, opens_at,
  closes_at, long_stop_at, created_by)
select property_id, property_token_id, rule_pack_id, 'issuer_owns', 'draft', 5359, 10, 100, opens_at, closes_at, long_stop_at, created_by from public.offerings;
with passed as (
  insert into public.gate_passes (property_id, action, subject_id, offering_kind, passed_at)
  select property_id, 'close', id, kind, now() from public.offerings where status = 'draft' returning id, subject_id
)
update public.offerings as o set status = 'closed', close_pass_id = p.id, closed_at = now(), opened_by = 'a0000000-0000-4000-8000-000000000006',
  opened_at = now(), ended_at = now(), end_reason = 'hard_cap'
from passed as p where p.subject_id = o.id and o.property_id = 'b0000000-0000-4000-8000-000000000004';
update public.property_token_supply as s set offering_id = o.id, offering_left_units = 90
from public.offerings as o where o.property_token_id = s.property_token_id and o.status = 'open';
insert into public.rule_packs (code, version, title, summary, rules, valid_from, created_by)
values ('own', 1, 'Own', 'A pack.', '[]', '2025-01-01', 'a0000000-0000-4000-8000-000000000006');
insert into public.offering_guests (offering_id, user_id, added_by)
select 'e0000000-0000-4000-8000-000000000005'::uuid, id, 'a0000000-0000-4000-8000-000000000003'::uuid from people
union all select 'e0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000001'::uuid, null
union all select ('e0000000-0000-4000-8000-00000000000' || n)::uuid, 'a0000000-0000-4000-8000-000000000002'::uuid, null from generate_series(1, 4) as n where n <> 3;
insert into public.party_limits (party_id, currency, currency_decimals, yearly_minor, reason)
select party_id, 'USD', 2, 100000, 'asked for' from public.user_profiles;
insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, units, cost_minor, acquired_at, tax_acquired_at,
  restricted_since, restricted_until)
select party_id, user_id, property_id, property_token_id, id, 10, 54662, now(), now(), now(), now() + interval '1 year'
from public.investments where status = 'confirmed';
insert into public.lots (party_id, user_id, property_id, property_token_id, investment_id, parent_lot_id, units, cost_minor, acquired_at, tax_acquired_at)
select party_id, user_id, property_id, property_token_id, investment_id, id, 0, 0, now(), now() from public.lots;
insert into public.lot_disposals (id, from_lot_id, to_lot_id, party_id, user_id, property_id, property_token_id, kind, token_decimals, units,
  currency, currency_decimals, cost_minor, moved_at, entry_id, created_at)
select gen_random_uuid(), l.from_id, l.to_id, l.party_id, l.user_id, l.property_id, l.property_token_id, l.kind, 0, 1, 'USD', 2, 1, now(),
  (select min(id) from ledger.entries), now()
from (select x.*, x.parent_lot_id as from_id, x.id as to_id, 'gift' as kind from public.lots as x where x.parent_lot_id is not null
      union all
      select x.*, x.id, null, 'redemption' from public.lots as x where x.parent_lot_id is not null) as l;
-- Each gives to the next.
insert into public.transfers (id, property_id, property_token_id, kind, token_decimals, units, currency, currency_decimals, price_minor, reason,
  from_party_id, from_user_id, to_party_id, to_user_id, due_at, created_at, status, accepted_at, accepted_by, ended_at, decided_by, decision_reason,
  entry_id, moved_at)
select gen_random_uuid(), l.property_id, l.property_token_id, 'sale', 0, 1, 'USD', 2, 1, 'a reason', u.party_id, p.id, x.party_id, x.id,
  now() + interval '1 day', now(), s.status, s.at, case when s.at is not null then x.id end, s.at,
  case when s.at is not null then 'a0000000-0000-4000-8000-000000000006'::uuid end, case when s.at is not null then 'a reason' end,
  case when s.at is not null then (select min(id) from ledger.entries) end, s.at
from people as p join public.user_profiles as u on u.id = p.id
join people as n on n.number = p.number % 6 + 1 join public.user_profiles as x on x.id = n.id
join (select distinct o.property_id, o.property_token_id from public.lots as o) as l
  on right(l.property_id::text, 1) = case p.number when 5 then '1' else '4' end
join (values ('requested', null::timestamptz, 6), ('completed', now(), 1)) as s (status, at, up_to) on p.number <= s.up_to;
update public.investments set offering_id = ('e0000000-0000-4000-8000-00000000000' || right(property_id::text, 1))::uuid,
  warning_accepted_at = now(), withdraw_until = now(), ended_reason = 'not_paid';
insert into public.payment_sessions (investment_id, user_id, rail, provider_ref, url, currency, currency_decimals, amount_minor, due_at)
select id, user_id, 'sandbox', 'cs_' || id, '/sandbox/checkout/x', 'USD', 2, 54662, now() from public.investments where status = 'confirmed';
insert into public.payments (rail, provider_ref, session_id, investment_id, property_id, currency, currency_decimals, amount_minor,
  matched_minor, unmatched_minor, returned_minor, charged_back_at, settled_at, settlement_ref, received_at)
select 'sandbox', 'pi_' || s.id, s.id, s.investment_id, i.property_id, 'USD', 2, 54662, 54660, 1, 1, now(), now(), 'po_1', now()
from public.payment_sessions as s join public.investments as i on i.id = s.investment_id;
insert into public.payments (rail, provider_ref, property_id, currency, currency_decimals, amount_minor, unmatched_minor, received_at)
select 'sandbox', 'pi_' || id, id, 'USD', 2, 1, 1, now() from public.properties;
insert into public.refunds (id, payment_id, investment_id, property_id, user_id, currency, currency_decimals, amount_minor, reason, status,
  is_settled, provider_ref, due_at, sent_at, confirmed_at, retry_asked_by, retry_approved_by)
select gen_random_uuid(), p.id, p.investment_id, p.property_id, s.user_id, 'USD', 2, 1, 'overpaid', 'confirmed', true, 're_1', now(), now(), now(),
  'a0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000006'
from public.payments as p join public.payment_sessions as s on s.id = p.session_id;
insert into public.refunds (id, payment_id, property_id, currency, currency_decimals, amount_minor, reason, status, is_settled, due_at, failed_at, failure)
select gen_random_uuid(), id, property_id, 'USD', 2, 1, 'unmatched', 'failed', false, now(), now(), 'closed' from public.payments where session_id is null;
insert into nexus.payment_messages (rail, message_id, kind, payment_ref, body, signature, received_at, due_at, processed_at, outcome)
values ('sandbox', 'ev_1', 'payment.succeeded', 'pi_1', 'x', 't=1,v1=00', now(), now(), now(), 'paid');
insert into nexus.payment_messages (rail, message_id, kind, payment_ref, body, signature, received_at, due_at, dead_at, last_error)
values ('sandbox', 'ev_2', 'payment.settled', 'pi_2', 'x', 't=1,v1=00', now(), now(), now(), 'away');
insert into public.incidents (property_id, kind, subject, status, opened_at, cleared_at, clear_reason, clear_asked_by, cleared_by)
select id, 'custody_difference', 'statement:1', 'cleared', now(), now(), 'a bank fee', 'a0000000-0000-4000-8000-000000000005',
  'a0000000-0000-4000-8000-000000000006' from public.properties;
insert into public.custodian_statements (property_id, custodian, account_ref, currency, currency_decimals, period_from, period_to,
  opening_balance_minor, closing_balance_minor, ledger_balance_minor, sha256, imported_by, imported_at)
select id, 'A bank', '0001', 'USD', 2, '2025-01-01', '2025-01-31', 0, 60, 60, sha256('x'), 'a0000000-0000-4000-8000-000000000005', now() from public.properties;
insert into public.custodian_statement_lines (statement_id, line, booked_on, amount_minor, reference, entry_id)
select s.id, 1, '2025-01-31', 60, 'po_1', e.id from public.custodian_statements as s
join ledger.entries as e on e.key = 'fixture:' || right(s.property_id::text, 1);
insert into nexus.sandbox_sessions (ref, amount_minor, currency, description, return_url, property_id, created_at)
values ('cs_1', 1, 'USD', 'A house', '/', 'b0000000-0000-4000-8000-000000000001', now());
insert into nexus.sandbox_payments (ref, session_ref, property_id, amount_minor, currency, settlement_ref, settled_on, settled_minor, charged_back_at, created_at)
values ('pi_1', 'cs_1', 'b0000000-0000-4000-8000-000000000001', 1, 'USD', 'po_1', '2025-01-31', 1, now(), now());
insert into nexus.sandbox_refunds (id, payment_ref, amount_minor, status, from_bank, reason, booked_on, created_at)
values (gen_random_uuid(), 'pi_1', 1, 'failed', true, 'closed', '2025-01-31', now());
insert into nexus.sandbox_messages (ref, body, due_at, delivered_at, created_at) values ('ev_1', '{}', now(), now(), now());
insert into auth.sessions (id, user_id) select id, id from people where number = 1;
insert into nexus.late_refreshes (session_id, counter, taken, given) select id, 1, 0, 1 from people where number = 1;
insert into nexus.resumable_uploads (id, bucket_id, object_name, owner_id, length, content_type, cache_control, may_replace, created_at,
  expires_at, finished_at)
select id, 'chat-attachments', id || '/a', id, 1, 'text/plain', 'no-cache', false, now(), now() + interval '1 day', now() from people;
insert into nexus.resumable_parts (upload_id, begins_at, size, sha256) select id, 0, 1, sha256('a') from people;
insert into nexus.unnamed_files (sha256) values (sha256('a'));
insert into nexus.login_events (event, user_id, session_id, at) select 'signed_in', id, id, now() from people;
insert into nexus.login_limits (kind, subject, full_at) values ('passwords', sha256('a'), now());
insert into nexus.login_mails (kind, recipient, subject, body_text, body_html, created_at, due_at) values ('recovery', 'a@example.com', 's', 't', 'h', now(), now());
insert into nexus.provider_flows (state_digest, provider, redirect_to, code_challenge, code_challenge_method, session_id, is_bound, created_at)
select sha256('a'), 'google', 'https://mint.example', 'c', 's256', id, false, now() from people where number = 1;
insert into nexus.spent_proofs (digest, holds_to) values (sha256('a'), now());
insert into nexus.clock_watch (last_seen_at, paused_at, reason) values (now(), now(), 'it went back');

insert into public.withholding_rates (source_country, residency_country, rate_ppm, form, form_version, source, is_checked, valid_from)
values ('AE', 'AE', 1, 'none', '1', 'a law', true, '2100-01-01');
insert into public.withholding_rate_proposals (id, source_country, residency_country, rate_ppm, form, form_version, needs_form, source, is_checked,
  valid_from, status, rate_id, proposed_by, decided_by, decided_at, created_at)
select gen_random_uuid(), 'AE', 'AE', 1, 'none', '1', false, 'a law', true, '2100-01-01', 'approved', id, 'a0000000-0000-4000-8000-000000000006',
  'a0000000-0000-4000-8000-000000000005', now(), now() from public.withholding_rates where source_country = 'AE';
insert into public.withholding_rate_proposals (id, source_country, residency_country, rate_ppm, form, form_version, needs_form, source, is_checked,
  valid_from, status, proposed_by, decided_by, decided_at, reject_reason, created_at)
values (gen_random_uuid(), 'AE', 'US', 1, 'none', '1', true, 'a law', false, '2100-01-01', 'rejected', 'a0000000-0000-4000-8000-000000000006',
  'a0000000-0000-4000-8000-000000000005', now(), 'not so', now());
-- A tax form of each person, with its document.
insert into public.tax_forms (id, party_id, user_id, form, form_version, residency_country, signed_on, status, decided_by, decided_at, reason,
  expires_at, created_at)
select gen_random_uuid(), u.party_id, u.id, 'W-8BEN', '2021-10', 'AE', '2025-01-31', 'rejected',
  (select o.id from public.user_profiles as o where o.id <> u.id order by o.id desc limit 1), now(), 'unsigned', now() + interval '1 day', now()
from public.user_profiles as u;
insert into public.kyc_documents (user_id, tax_form_id, document_type, file_name, file_url)
select user_id, id, 'tax_form', 't.pdf', 'kyc-documents/' || user_id || '/t.pdf' from public.tax_forms;
-- Rent: a period, and a distribution, of every property; each person has a line of the distribution of the property whose tokens he has.
insert into public.rent_periods (id, property_id, currency, currency_decimals, period_from, period_to, status, aside_minor, rent_minor, let_days, given_minor,
  short_minor, distributable_minor, recorded_by, decided_by, decided_at, created_at)
select gen_random_uuid(), id, 'USD', 2, '2025-01-01', '2025-01-31', 'approved', '{1,1,1,0,0,1}', 100, 31, '{1,1,1,8,2,1}', '{0,0,0,0,0,0}', 86,
  'a0000000-0000-4000-8000-000000000003', 'a0000000-0000-4000-8000-000000000005', now(), now() from public.properties;
insert into public.rent_periods (id, property_id, currency, currency_decimals, period_from, period_to, status, aside_minor, recorded_by, decided_by,
  decided_at, reject_reason, created_at)
select gen_random_uuid(), property_id, 'USD', 2, period_from, period_to, 'rejected', aside_minor, recorded_by, decided_by, now(), 'not so', now()
from public.rent_periods;
insert into public.rent_lines (id, period_id, property_id, account_ref, bank_reference, kind, amount_minor, booked_on, paid_for, document_id, created_at)
select gen_random_uuid(), p.id, p.property_id, '0001', 'r1', 'rent', 100, '2025-01-31', 'January', d.id, now()
from public.rent_periods as p join public.property_documents as d on d.property_id = p.property_id and d.document_name = 'inside'
where p.status = 'approved';
with passed as (
  insert into public.gate_passes (property_id, action, subject_id, offering_kind, passed_at)
  select id, 'declare', gen_random_uuid(), 'issuer_owns', now() from public.properties returning id, property_id, subject_id
)
insert into public.distributions (id, property_id, property_token_id, currency, currency_decimals, status, declared_minor, holders, record_at,
  register_entry_id, tie_first, declare_pass_id, proposed_by, declared_by, posted_up_to, posted_at, paid_at, created_at,
  seconds_from, seconds_to)
select p.subject_id, p.property_id, t.id, 'USD', 2, 'paid', 86, 1, now(), 1, gen_random_uuid(), p.id, 'a0000000-0000-4000-8000-000000000003',
  'a0000000-0000-4000-8000-000000000005', 'ffffffff-ffff-ffff-ffff-ffffffffffff', now(), now(), now(),
  '2025-01-01T00:00:00Z', '2025-02-01T00:00:00Z'
from passed as p join lateral (
  select t.id from public.property_tokens as t where t.property_id = p.property_id order by t.status <> 'launched', t.id limit 1) as t on true;
insert into public.distribution_lines (distribution_id, party_id, entitled_units, amount_minor, withheld_minor, rate_ppm, form, form_version, status)
select d.id, u.party_id, 10, 86, 26, 300000, 'W-8BEN', '2021-10', 'paid'
from people as p join public.user_profiles as u on u.id = p.id
join public.distributions as d on d.property_id = ('b0000000-0000-4000-8000-00000000000' || p.invests_in)::uuid;
update public.property_returns as r set (distribution_line_id, lot_id) = (
  select l.id, t.id from public.lots as t join public.distribution_lines as l on l.party_id = t.party_id
  where t.investment_id = r.investment_id and t.parent_lot_id is null limit 1);
insert into public.payouts (id, line_id, party_id, property_id, currency, currency_decimals, amount_minor, rail_key, status, due_at, sent_at,
  failed_at, failure, retry_asked_by, retry_approved_by, created_at)
select gen_random_uuid(), l.id, l.party_id, d.property_id, 'USD', 2, 60, gen_random_uuid(), 'failed', now(), now(), now(), 'closed',
  'a0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000006', now()
from public.distribution_lines as l join public.distributions as d on d.id = l.distribution_id;
update public.payouts set status = 'confirmed', confirmed_at = now() where party_id = (select party_id from public.user_profiles where id = 'a0000000-0000-4000-8000-000000000001');
insert into public.tax_remittances (id, property_id, currency, currency_decimals, amount_minor, bank_reference, booked_on, remitted_by, created_at)
select gen_random_uuid(), id, 'USD', 2, 1, 't1', '2025-01-31', 'a0000000-0000-4000-8000-000000000006', now() from public.properties;
insert into nexus.sandbox_payouts (id, party_id, amount_minor, currency, status, reason, booked_on, created_at)
values (gen_random_uuid(), gen_random_uuid(), 1, 'USD', 'failed', 'closed', '2025-01-31', now());
insert into nexus.sandbox_receivers (party_id, payout_outcome) values (gen_random_uuid(), 'fail');
with cases as (
  insert into public.holding_cases (id, kind, property_id, property_token_id, party_id, token_decimals, units, currency, currency_decimals, amount_minor,
    reason, status, opened_by, first_approved_by, first_approved_at, second_approved_by, done_at, created_at)
  select gen_random_uuid(), 'redemption', l.property_id, l.property_token_id, l.party_id, 0, 1, 'USD', 2, 100, 'asked for', 'done',
    'a0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000005', now(), 'a0000000-0000-4000-8000-000000000006', now(), now()
  from public.lots as l where l.parent_lot_id is null
  returning id, property_id, property_token_id, party_id
), redeemed as (
  insert into public.redemptions (id, case_id, party_id, user_id, property_id, property_token_id, token_decimals, units, currency, currency_decimals,
    amount_minor, entry_id, status, created_at)
  select gen_random_uuid(), c.id, c.party_id, l.user_id, c.property_id, c.property_token_id, 0, 1, 'USD', 2, 100, (select min(id) from ledger.entries),
    'paid', now()
  from cases as c join public.lots as l on l.party_id = c.party_id and l.property_id = c.property_id and l.parent_lot_id is null
  returning id, party_id, property_id
), paid as (
  insert into public.payouts (id, redemption_id, party_id, property_id, currency, currency_decimals, amount_minor, rail_key, status, due_at, sent_at,
    confirmed_at, created_at)
  select gen_random_uuid(), r.id, r.party_id, r.property_id, 'USD', 2, 100, gen_random_uuid(), 'confirmed', now(), now(), now(), now() from redeemed as r
)
insert into public.holding_freezes (id, party_id, property_id, property_token_id, units, frozen_case_id, frozen_at, released_case_id, released_at)
select gen_random_uuid(), c.party_id, c.property_id, c.property_token_id, 1, c.id, now(), c.id, now() from cases as c;
insert into public.holding_cases (id, kind, property_id, property_token_id, party_id, freeze_id, reason, status, opened_by, rejected_by, reject_reason,
  created_at)
select gen_random_uuid(), 'release', f.property_id, f.property_token_id, f.party_id, f.id, 'asked for', 'rejected',
  'a0000000-0000-4000-8000-000000000005', 'a0000000-0000-4000-8000-000000000006', 'not so', now()
from public.holding_freezes as f;
insert into public.holding_cases (id, kind, party_id, to_user_id, to_party_id, reason, opened_by, created_at)
select gen_random_uuid(), 'recovery', f.party_id, u.id, u.party_id, 'asked for', 'a0000000-0000-4000-8000-000000000005', now()
from public.holding_freezes as f join public.user_profiles as u on u.id = 'a0000000-0000-4000-8000-000000000003' and u.party_id <> f.party_id;
insert into public.holding_cases (id, kind, property_id, property_token_id, currency, currency_decimals, amount_minor, account_ref, bank_reference,
  booked_on, reason, opened_by, created_at)
select gen_random_uuid(), 'wind_up', f.property_id, f.property_token_id, 'USD', 2, 100, '0001', f.id::text, '2025-01-31', 'sold',
  'a0000000-0000-4000-8000-000000000005', now()
from public.holding_freezes as f;
insert into public.kyc_documents (user_id, holding_case_id, document_type, file_name, file_url)
select 'a0000000-0000-4000-8000-000000000005', h.id, 'court_order', 'order.pdf', 'kyc-documents/a0000000-0000-4000-8000-000000000005/' || h.id
from public.holding_cases as h where h.kind = 'release';

-- Of the trail of all this, one change by each person is kept.
set session_replication_role = replica;
truncate public.audit_log, nexus.audit_details, nexus.audit_erasures;
set session_replication_role = origin;
do $$
declare
  person uuid;
begin
  for person in select id from people loop
    perform set_config('request.jwt.claims', json_build_object('sub', person)::text, true);
    update public.payment_methods set method_type = 'crypto' where user_id = person;
  end loop;
  perform set_config('request.jwt.claims', '', true);
end
$$;
insert into public.currencies (code, name, decimals) values ('CHF', 'Swiss franc', 2);
delete from public.currencies where code = 'CHF';
select nexus.refresh_market_views();
drop table people;
-- A case of erasure for one row of each person's trail.
insert into nexus.audit_erasures (audit_id, reason, actor_id)
select min(l.id), 'a request', l.actor_id from public.audit_log as l where l.actor_id is not null group by l.actor_id;
