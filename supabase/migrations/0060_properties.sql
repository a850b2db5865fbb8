-- Properties: buildings with their public description, and who acts for them.
set role nexus_owner;

create table public.properties (
  id                    uuid primary key default gen_random_uuid(),
  title                 text not null,
  description           text,
  property_type         text,
  location              text,
  address               text,
  city                  text,
  state_province        text,
  country               text,
  postal_code           text,
  coordinates           jsonb,
  bedrooms              integer,
  bathrooms             integer,
  bathrooms_exact       numeric,
  sqft                  integer,
  lot_size              integer,
  year_built            integer,
  images                jsonb not null default '[]',
  image_notes           jsonb not null default '{}',
  amenities             jsonb not null default '[]',
  virtual_tour_url      text,
  currency              text not null default 'USD',
  currency_decimals     smallint not null default 2,
  price                 numeric,
  price_minor           bigint generated always as (nexus.to_minor(price, currency_decimals)) stored,
  price_per_token       numeric,
  price_per_token_minor bigint generated always as (nexus.to_minor(price_per_token, currency_decimals)) stored,
  min_investment        numeric,
  funding_target        numeric,
  funding_target_minor  bigint generated always as (nexus.to_minor(funding_target, currency_decimals)) stored,
  funding_deadline      timestamptz,
  total_tokens          numeric not null default 0,
  tokens_issued         numeric not null default 0,
  tokenization_active   boolean not null default false,
  tokenization_status   text not null default 'not_started',
  is_active             boolean not null default false,
  is_featured           boolean not null default false,
  origin                text not null default 'own',
  origin_key            text,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now(),
  constraint properties_currency_fkey foreign key (currency, currency_decimals) references public.currencies (code, decimals),
  constraint properties_title_is_not_blank check (title ~ '\S' and length(title) <= 300),
  constraint properties_description_is_bounded check (length(description) <= 20000),
  constraint properties_place_is_bounded check (greatest(length(location), length(address), length(city), length(state_province), length(country)) <= 300
    and length(postal_code) <= 20),
  constraint properties_property_type_is_short check (length(property_type) <= 100),
  constraint properties_coordinates_are_lat_lng check (coordinates is null or (
    jsonb_typeof(coordinates) = 'object' and jsonb_typeof(coordinates -> 'lat') = 'number' and jsonb_typeof(coordinates -> 'lng') = 'number'
    and (coordinates ->> 'lat')::numeric between -90 and 90 and (coordinates ->> 'lng')::numeric between -180 and 180)),
  constraint properties_rooms_and_areas_not_negative check (least(bedrooms, bathrooms, sqft, lot_size) >= 0),
  constraint properties_bathrooms_is_the_floor check (
    bathrooms_exact is null or (bathrooms_exact between 0 and 1000 and bathrooms is not distinct from floor(bathrooms_exact)::integer)),
  constraint properties_year_built_is_a_year check (year_built between 1000 and 2200),
  constraint properties_images_are_an_array check (jsonb_typeof(images) = 'array' and nexus.is_list_of_texts(images)),
  constraint properties_image_notes_are_an_object check (jsonb_typeof(image_notes) = 'object' and length(image_notes::text) <= 50000),
  constraint properties_amenities_are_an_array check (jsonb_typeof(amenities) = 'array' and nexus.is_list_of_texts(amenities)),
  constraint properties_virtual_tour_is_https check (virtual_tour_url ~ '^https://' and length(virtual_tour_url) <= 2000),
  constraint properties_price_is_money check (nexus.is_money(price, currency_decimals)),
  constraint properties_price_per_token_is_money check (nexus.is_money(price_per_token, currency_decimals)),
  constraint properties_min_investment_is_money check (nexus.is_money(min_investment, currency_decimals)),
  constraint properties_funding_target_is_money check (nexus.is_money(funding_target, currency_decimals)),
  constraint properties_total_tokens_is_an_amount check (nexus.is_money(total_tokens, 6)),
  constraint properties_tokens_issued_within_total check (tokens_issued between 0 and total_tokens),
  constraint properties_tokenization_status_is_known check (tokenization_status in
    ('not_started', 'in_progress', 'rejected', 'offered', 'completed', 'cancelled')),
  constraint properties_origin_is_known check (origin in ('own', 'seed', 'import')),
  constraint properties_origin_has_a_key check ((origin = 'own') = (origin_key is null) and length(origin_key) between 1 and 300),
  constraint properties_origin_key_is_loaded_once unique (origin_key),
  -- What was imported is the history of what others sold: never listed, never for sale.
  constraint properties_import_is_history check (
    origin <> 'import' or (not is_active and not tokenization_active and tokenization_status = 'not_started'))
);
comment on table public.properties is 'Buildings and their public description. Everything in a row may be seen by everybody once is_active; what is private about a building is in tables of its own.';
comment on column public.properties.id is 'Identity of the property.';
comment on column public.properties.title is 'Name to show.';
comment on column public.properties.description is 'Description to show, plain text.';
comment on column public.properties.property_type is 'Kind of building, such as single_family, apartment, office.';
comment on column public.properties.location is 'Place in one line, as people read it.';
comment on column public.properties.address is 'Street and number.';
comment on column public.properties.city is 'City; clients expect it on every active property.';
comment on column public.properties.state_province is 'State, province or emirate.';
comment on column public.properties.country is 'Country; clients expect it on every active property.';
comment on column public.properties.postal_code is 'Postal code as letters to the building carry it.';
comment on column public.properties.coordinates is 'Place on the map: {"lat": degrees, "lng": degrees}, WGS 84.';
comment on column public.properties.bedrooms is 'Number of bedrooms.';
comment on column public.properties.bathrooms is 'Number of bathrooms, halves left out.';
comment on column public.properties.bathrooms_exact is 'Number of bathrooms with halves and quarters, where it is known; bathrooms is its whole part.';
comment on column public.properties.sqft is 'Living area in square feet.';
comment on column public.properties.lot_size is 'Area of the plot in square feet.';
comment on column public.properties.year_built is 'Year in which it was built.';
comment on column public.properties.images is 'Array of images, in the order to show them: paths in property-images, or https URLs.';
comment on column public.properties.image_notes is 'What is said of an image, by its text in images: {"text": what it shows, "small": path of a small copy in property-images}; both may be missing.';
comment on column public.properties.amenities is 'Array of amenities, short texts.';
comment on column public.properties.virtual_tour_url is 'Address of a virtual tour, https.';
comment on column public.properties.currency is 'Currency of every amount in the row.';
comment on column public.properties.currency_decimals is 'Decimals of that currency.';
comment on column public.properties.price is 'Asking price of the whole property in its currency (USD unless said otherwise). A price, not a valuation.';
comment on column public.properties.price_minor is 'price in smallest units. Filter and sort by this one: numeric comparisons cannot use an index below row-level security.';
comment on column public.properties.price_per_token is 'Price of one token.';
comment on column public.properties.price_per_token_minor is 'price_per_token in smallest units.';
comment on column public.properties.min_investment is 'Least amount that may be invested at once.';
comment on column public.properties.funding_target is 'Amount to be raised.';
comment on column public.properties.funding_target_minor is 'funding_target in smallest units.';
comment on column public.properties.funding_deadline is 'Until when it is to be raised.';
comment on column public.properties.total_tokens is 'Tokens that can be issued in all.';
comment on column public.properties.tokens_issued is 'Tokens held by somebody now: a copy of the ledger''s figure, written with it.';
comment on column public.properties.tokenization_active is 'Whether tokens are being offered.';
comment on column public.properties.tokenization_status is 'Where tokenization stands: not_started, in_progress, rejected, offered, completed or cancelled.';
comment on column public.properties.is_active is 'Whether everybody may see the property.';
comment on column public.properties.is_featured is 'Whether to show it first.';
comment on column public.properties.origin is 'Where the row comes from: own (filed here), seed (public data that the program carries) or import (history of what others issued; never listed or offered).';
comment on column public.properties.origin_key is 'Name of the building in the data that it was loaded from, so that a second load finds it; null for own.';
comment on column public.properties.created_at is 'When the row was made.';
comment on column public.properties.updated_at is 'When the row last changed.';
create index properties_location_idx on public.properties (location);
create index properties_currency_idx on public.properties (currency, currency_decimals);
create index properties_active_price_idx on public.properties (price_minor, id) where is_active;
-- For the numeric figure that people filter public_properties by; below a policy it could not be used.
create index properties_active_price_figure_idx on public.properties (price, id) where is_active;
create index properties_active_created_at_idx on public.properties (created_at desc, id) where is_active;
create index properties_active_city_idx on public.properties (city, id) where is_active;
-- The orders in which lists are read, so that a page of a hundred thousand sorts nothing.
create index properties_listed_newest_idx on public.properties (is_featured desc, created_at desc, id) where is_active;
create index properties_listed_area_idx on public.properties (sqft desc nulls last, id) where is_active;
create index properties_listed_built_idx on public.properties (year_built desc nulls last, id) where is_active;
create index properties_listed_title_idx on public.properties (title, id) where is_active;
create index properties_listed_stage_idx on public.properties (tokenization_status, id) where is_active;

create table public.property_members (
  id          uuid primary key default gen_random_uuid(),
  property_id uuid not null,
  user_id     uuid not null,
  capacity    text not null,
  is_active   boolean not null default true,
  added_by    uuid default auth.uid(),
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint property_members_property_id_fkey foreign key (property_id) references public.properties (id),
  constraint property_members_capacity_is_known check (capacity in ('owner', 'manager', 'agent')),
  constraint property_members_once_a_capacity unique (user_id, property_id, capacity)
);
comment on table public.property_members is 'Who acts for a property. Every right of a property manager rests on an active row here: owner and manager may edit, agent may look.';
comment on column public.property_members.id is 'Identity of the membership.';
comment on column public.property_members.property_id is 'The property.';
comment on column public.property_members.user_id is 'The login that acts for it.';
comment on column public.property_members.capacity is 'owner (its sponsor), manager (runs it) or agent (sees it).';
comment on column public.property_members.is_active is 'False once ended.';
comment on column public.property_members.added_by is 'Who added the member; null when the operator or the system did.';
comment on column public.property_members.created_at is 'When the member was added.';
comment on column public.property_members.updated_at is 'When the row last changed.';
create index property_members_property_id_idx on public.property_members (property_id);
create index property_members_added_by_idx on public.property_members (added_by);

create function nexus.member_property_ids() returns uuid[]
language sql stable security definer set search_path = ''
as $$
  select coalesce(array_agg(m.property_id), '{}')
  from public.property_members as m
  where m.user_id = auth.uid() and m.is_active and nexus.has_any_role('property_manager')
$$;
comment on function nexus.member_property_ids() is 'Properties that the caller, a property manager, acts for in any capacity. For policies: property_id = any ((select nexus.member_property_ids())::uuid[]).';

create function nexus.managed_property_ids() returns uuid[]
language sql stable security definer set search_path = ''
as $$
  select coalesce(array_agg(m.property_id), '{}')
  from public.property_members as m
  where m.user_id = auth.uid() and m.is_active and m.capacity in ('owner', 'manager') and nexus.has_any_role('property_manager')
$$;
comment on function nexus.managed_property_ids() is 'Properties that the caller, a property manager, may edit.';

grant execute on function nexus.member_property_ids(), nexus.managed_property_ids() to authenticated, service_role, nexus_engine;

create trigger properties_updated_at before update on public.properties
  for each row execute function public.update_updated_at_column();
create trigger property_members_updated_at before update on public.property_members
  for each row execute function public.update_updated_at_column();
select nexus.audit_table('public.properties');
select nexus.audit_table('public.property_members');

alter table public.properties enable row level security;
grant select on public.properties to anon, authenticated, service_role, nexus_engine;
grant insert, update on public.properties to nexus_engine;
-- The service describes and prices; what is offered, and who sees it, is decided by commands.
grant insert (id, title, description, property_type, location, address, city, state_province, country, postal_code, coordinates,
    bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, images, image_notes, amenities, virtual_tour_url, currency, currency_decimals, price,
    min_investment, funding_target, funding_deadline, is_featured),
  update (title, description, property_type, location, address, city, state_province, country, postal_code, coordinates,
    bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, images, image_notes, amenities, virtual_tour_url, price,
    min_investment, funding_target, funding_deadline, is_featured)
  on public.properties to service_role;
-- What describes the building. Prices, tokens and states change by commands, whoever the staff member is.
grant update (title, description, property_type, location, address, city, state_province, country, postal_code, coordinates,
    bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, images, image_notes, amenities, virtual_tour_url)
  on public.properties to nexus_staff;
create policy "Public properties are viewable by everyone" on public.properties for select to anon, authenticated using (is_active = true);
create policy properties_read_staff on public.properties for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or id = any ((select nexus.member_property_ids())::uuid[]));
create policy properties_update_staff on public.properties for update to nexus_staff
  using ((select nexus.has_any_role('admin')) or id = any ((select nexus.managed_property_ids())::uuid[]))
  with check ((select nexus.has_any_role('admin')) or id = any ((select nexus.managed_property_ids())::uuid[]));
create policy properties_engine on public.properties for all to nexus_engine using (true) with check (true);

alter table public.property_members enable row level security;
grant select on public.property_members to authenticated, service_role, nexus_engine;
grant insert, update, delete on public.property_members to service_role;
grant insert, update on public.property_members to nexus_engine;
grant insert (property_id, user_id, capacity), update (is_active) on public.property_members to nexus_staff;
create policy property_members_read_own on public.property_members for select to authenticated using (user_id = (select auth.uid()));
create policy property_members_read_staff on public.property_members for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')) or property_id = any ((select nexus.member_property_ids())::uuid[]));
create policy property_members_insert_admin on public.property_members for insert to nexus_staff
  with check ((select nexus.has_any_role('admin')) and user_id <> (select auth.uid()));
create policy property_members_update_admin on public.property_members for update to nexus_staff
  using ((select nexus.has_any_role('admin')) and user_id <> (select auth.uid()))
  with check ((select nexus.has_any_role('admin')) and user_id <> (select auth.uid()));
create policy property_members_engine on public.property_members for all to nexus_engine using (true) with check (true);

create view public.public_properties with (security_barrier = false) as
  select id, title, description, property_type, location, address, city, state_province, country, postal_code, coordinates,
         bedrooms, bathrooms, bathrooms_exact, sqft, lot_size, year_built, images, amenities, virtual_tour_url, currency, price, price_minor,
         price_per_token, price_per_token_minor, min_investment, funding_target, funding_target_minor, funding_deadline,
         total_tokens, tokens_issued, tokenization_active, tokenization_status, is_featured, origin, created_at, updated_at
  from public.properties
  where is_active;
comment on view public.public_properties is 'Active properties, for lists with filters. Runs with its owner rights, on purpose and read-only: its rows are public, and without a policy in the way every filter (price as numeric, ILIKE, arrays) can use an index.';
comment on column public.public_properties.id is 'Identity of the property.';
comment on column public.public_properties.title is 'Name to show.';
comment on column public.public_properties.description is 'Description to show, plain text.';
comment on column public.public_properties.property_type is 'Kind of building, such as single_family, apartment, office.';
comment on column public.public_properties.location is 'Place in one line, as people read it.';
comment on column public.public_properties.address is 'Street and number.';
comment on column public.public_properties.city is 'City; clients expect it on every active property.';
comment on column public.public_properties.state_province is 'State, province or emirate.';
comment on column public.public_properties.country is 'Country; clients expect it on every active property.';
comment on column public.public_properties.postal_code is 'Postal code as letters to the building carry it.';
comment on column public.public_properties.coordinates is 'Place on the map: {"lat": degrees, "lng": degrees}, WGS 84.';
comment on column public.public_properties.bedrooms is 'Number of bedrooms.';
comment on column public.public_properties.bathrooms is 'Number of bathrooms, halves left out.';
comment on column public.public_properties.bathrooms_exact is 'Number of bathrooms with halves and quarters, where it is known; bathrooms is its whole part.';
comment on column public.public_properties.sqft is 'Living area in square feet.';
comment on column public.public_properties.lot_size is 'Area of the plot in square feet.';
comment on column public.public_properties.year_built is 'Year in which it was built.';
comment on column public.public_properties.images is 'Array of images, in the order to show them: paths in property-images, or https URLs.';
comment on column public.public_properties.amenities is 'Array of amenities, short texts.';
comment on column public.public_properties.virtual_tour_url is 'Address of a virtual tour, https.';
comment on column public.public_properties.currency is 'Currency of every amount in the row.';
comment on column public.public_properties.price is 'Asking price of the whole property in its currency (USD unless said otherwise). A price, not a valuation.';
comment on column public.public_properties.price_minor is 'price in smallest units. Filter and sort by this one: numeric comparisons cannot use an index below row-level security.';
comment on column public.public_properties.price_per_token is 'Price of one token.';
comment on column public.public_properties.price_per_token_minor is 'price_per_token in smallest units.';
comment on column public.public_properties.min_investment is 'Least amount that may be invested at once.';
comment on column public.public_properties.funding_target is 'Amount to be raised.';
comment on column public.public_properties.funding_target_minor is 'funding_target in smallest units.';
comment on column public.public_properties.funding_deadline is 'Until when it is to be raised.';
comment on column public.public_properties.total_tokens is 'Tokens that can be issued in all.';
comment on column public.public_properties.tokens_issued is 'Tokens held by somebody now: a copy of the ledger''s figure, written with it.';
comment on column public.public_properties.tokenization_active is 'Whether tokens are being offered.';
comment on column public.public_properties.tokenization_status is 'Where tokenization stands: not_started, in_progress, rejected, offered, completed or cancelled.';
comment on column public.public_properties.is_featured is 'Whether to show it first.';
comment on column public.public_properties.origin is 'Where the row comes from: own (filed here), seed (public data that the program carries) or import (history of what others issued; never listed or offered).';
comment on column public.public_properties.created_at is 'When the row was made.';
comment on column public.public_properties.updated_at is 'When the row last changed.';
grant select on public.public_properties to anon, authenticated, service_role;

reset role;

alter table public.property_members add constraint property_members_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete restrict;
alter table public.property_members add constraint property_members_added_by_fkey
  foreign key (added_by) references auth.users (id) on delete set null;
