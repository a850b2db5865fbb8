-- People: parties in law, the profiles of their logins, and the roles that logins have.
set role nexus_owner;

create table public.parties (
  id                uuid primary key default gen_random_uuid(),
  kind              text not null default 'person',
  legal_name        text,
  residency_country text,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  anonymised_at     timestamptz,
  constraint parties_kind_is_known check (kind in ('person', 'entity')),
  constraint parties_legal_name_is_not_blank check (legal_name ~ '\S' and length(legal_name) <= 300),
  constraint parties_residency_country_is_iso check (residency_country ~ '^[A-Z]{2}$'),
  constraint parties_anonymised_has_no_name check (anonymised_at is null or legal_name is null)
);
comment on table public.parties is 'A person or entity in law. Logins belong to a party; limits and caps count parties, not logins or wallets. Kept for its retention period when its logins go.';
comment on column public.parties.id is 'Identity of the party.';
comment on column public.parties.kind is 'person or entity.';
comment on column public.parties.legal_name is 'Name in law as verified; null until verified and after anonymising.';
comment on column public.parties.residency_country is 'Country of residence or incorporation, ISO 3166-1 alpha-2; null until verified.';
comment on column public.parties.created_at is 'When the party was first known.';
comment on column public.parties.updated_at is 'When the row last changed.';
comment on column public.parties.anonymised_at is 'When personal data was erased; null while it is kept.';

create table public.party_owners (
  id              uuid primary key default gen_random_uuid(),
  party_id        uuid not null,
  owner_party_id  uuid not null,
  stated_name     text,
  stated_country  text,
  share_ppm       integer not null,
  valid_from      date not null,
  valid_to        date,
  created_at      timestamptz not null default now(),
  constraint party_owners_party_id_fkey foreign key (party_id) references public.parties (id),
  constraint party_owners_owner_party_id_fkey foreign key (owner_party_id) references public.parties (id),
  constraint party_owners_not_of_itself check (party_id <> owner_party_id),
  constraint party_owners_share_is_a_part check (share_ppm between 1 and 1000000),
  constraint party_owners_stated_name_is_not_blank check (stated_name ~ '\S' and length(stated_name) <= 300),
  constraint party_owners_stated_country_is_iso check (stated_country ~ '^[A-Z]{2}$'),
  constraint party_owners_ends_after_start check (valid_to > valid_from),
  constraint party_owners_once_from_a_day unique (party_id, owner_party_id, valid_from)
);
comment on table public.party_owners is 'Beneficial owners of an entity, dated.';
comment on column public.party_owners.id is 'Identity of the row.';
comment on column public.party_owners.party_id is 'The entity that is owned.';
comment on column public.party_owners.owner_party_id is 'The party that owns a part of it.';
comment on column public.party_owners.stated_name is 'The owner''s name as the entity stated it; what was verified is parties.legal_name.';
comment on column public.party_owners.stated_country is 'The owner''s country of residence as the entity stated it.';
comment on column public.party_owners.share_ppm is 'Share owned, in millionths: 250000 is 25 %.';
comment on column public.party_owners.valid_from is 'First day of this share.';
comment on column public.party_owners.valid_to is 'First day on which it no longer holds; null while it does.';
comment on column public.party_owners.created_at is 'When it was recorded.';
create index party_owners_owner_party_id_idx on public.party_owners (owner_party_id);

create function nexus.refuse_more_than_all_shares() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  -- Shares of one entity are written one transaction at a time, so that two cannot each find room for theirs.
  perform from public.parties as p where p.id = new.party_id for no key update;
  -- The sum can only rise on the first day of some share.
  if exists (
    select from public.party_owners as day
    join public.party_owners as o on o.party_id = day.party_id and o.valid_from <= day.valid_from
      and (o.valid_to is null or o.valid_to > day.valid_from)
    where day.party_id = new.party_id
    group by day.valid_from, day.id
    having sum(o.share_ppm) > 1000000
  ) then
    raise exception 'the owners of a party would have more than all of it'
      using errcode = 'check_violation', schema = 'public', table = 'party_owners', constraint = 'party_owners_not_more_than_all';
  end if;
  return null;
end
$$;
comment on function nexus.refuse_more_than_all_shares() is 'Trigger: on no day may the shares of one entity add up to more than all of it.';

create table public.party_screenings (
  id           uuid primary key default gen_random_uuid(),
  number       bigint generated always as identity,
  party_id     uuid not null,
  provider     text not null,
  status       text not null,
  reference    text,
  hits         jsonb not null default '[]',
  screened_by  uuid,
  screened_at  timestamptz not null,
  due_at       timestamptz not null,
  created_at   timestamptz not null default now(),
  constraint party_screenings_party_id_fkey foreign key (party_id) references public.parties (id),
  constraint party_screenings_status_is_known check (status in ('clear', 'possible_match', 'match')),
  constraint party_screenings_provider_is_not_blank check (provider ~ '\S' and length(provider) <= 100),
  constraint party_screenings_reference_is_short check (length(reference) <= 300),
  constraint party_screenings_hits_are_texts check (jsonb_typeof(hits) = 'array' and nexus.is_list_of_texts(hits)),
  constraint party_screenings_due_after_screening check (due_at > screened_at)
);
comment on table public.party_screenings is 'Sanctions and watch-list screenings of a party; the one recorded last counts. Never shown to the party: telling somebody that he is a match is an offence in many places.';
comment on column public.party_screenings.id is 'Identity of the screening.';
comment on column public.party_screenings.number is 'Order of recording: of a party''s screenings the highest number counts.';
comment on column public.party_screenings.party_id is 'Who was screened.';
comment on column public.party_screenings.provider is 'Who screened: the name of a provider or list.';
comment on column public.party_screenings.status is 'clear, possible_match (a person must look) or match.';
comment on column public.party_screenings.reference is 'The provider''s own reference of the result.';
comment on column public.party_screenings.hits is 'What of the list the name resembled, as list entry ids; of a clear one by an officer the hits that he looked at and found to be others.';
comment on column public.party_screenings.screened_by is 'The compliance officer who decided; null where a list was compared by the program.';
comment on column public.party_screenings.screened_at is 'When the screening was made.';
comment on column public.party_screenings.due_at is 'When it must be made again.';
comment on column public.party_screenings.created_at is 'When it was recorded.';
create unique index party_screenings_party_id_idx on public.party_screenings (party_id, number desc);
create index party_screenings_screened_by_idx on public.party_screenings (screened_by);
create index party_screenings_due_at_idx on public.party_screenings (due_at);

create table public.user_profiles (
  id                        uuid primary key,
  party_id                  uuid not null,
  email                     text,
  full_name                 text,
  display_name              text,
  phone                     text,
  avatar_url                text,
  wallet_address            text,
  kyc_status                text not null default 'not_started',
  kyc_level                 text not null default 'none',
  kyc_expires_at            timestamptz,
  kyc_data                  jsonb not null default '{}',
  accredited_investor       boolean not null default false,
  investment_experience     text,
  risk_tolerance            text,
  preferred_investment_size numeric,
  total_invested            numeric not null default 0,
  total_returns             numeric not null default 0,
  totals_as_of              timestamptz,
  created_at                timestamptz not null default now(),
  updated_at                timestamptz not null default now(),
  constraint user_profiles_party_id_fkey foreign key (party_id) references public.parties (id),
  constraint user_profiles_email_is_short check (length(email) <= 320),
  constraint user_profiles_full_name_is_short check (length(full_name) <= 200),
  constraint user_profiles_display_name_is_short check (length(display_name) <= 100),
  constraint user_profiles_phone_is_short check (length(phone) <= 40),
  constraint user_profiles_avatar_is_a_path check (nexus.is_storage_path(avatar_url, 'user-avatars') and split_part(avatar_url, '/', 2) = id::text),
  constraint user_profiles_wallet_is_an_address check (wallet_address ~ '^0x[0-9a-fA-F]{40}$'),
  constraint user_profiles_kyc_status_is_known check (kyc_status in ('not_started', 'pending', 'approved', 'rejected', 'expired')),
  constraint user_profiles_kyc_level_is_known check (kyc_level in ('none', 'basic', 'enhanced')),
  constraint user_profiles_kyc_data_is_an_object check (jsonb_typeof(kyc_data) = 'object'),
  constraint user_profiles_experience_is_short check (length(investment_experience) <= 100),
  constraint user_profiles_risk_tolerance_is_short check (length(risk_tolerance) <= 100),
  constraint user_profiles_preferred_size_is_money check (nexus.is_money(preferred_investment_size, 2)),
  constraint user_profiles_totals_are_money check (nexus.is_money(total_invested, 2) and nexus.is_money(total_returns, 2))
);
comment on table public.user_profiles is 'The profile of a login; its id is auth.users.id. Made by handle_new_user() when the login is made.';
comment on column public.user_profiles.id is 'The login: auth.users.id.';
comment on column public.user_profiles.party_id is 'The party in law that this login acts for. Several logins may share one.';
comment on column public.user_profiles.email is 'Copy of the login''s e-mail address, kept by a trigger; null for a login without one.';
comment on column public.user_profiles.full_name is 'Name as the person wrote it. Not verified: see parties.legal_name.';
comment on column public.user_profiles.display_name is 'Name to show to others.';
comment on column public.user_profiles.phone is 'Telephone number as the person wrote it.';
comment on column public.user_profiles.avatar_url is 'Picture as user-avatars/<own id>/..., never a URL.';
comment on column public.user_profiles.wallet_address is 'A chain address that the person proved to control by a signature; no client may write it.';
comment on column public.user_profiles.kyc_status is 'Where identity verification stands: not_started, pending, approved, rejected or expired. Decided by a compliance officer''s command.';
comment on column public.user_profiles.kyc_level is 'How far identity is verified: none, basic or enhanced.';
comment on column public.user_profiles.kyc_expires_at is 'Until when an approval holds; null: it has no end.';
comment on column public.user_profiles.kyc_data is 'Summary of verification for its owner (steps done, dates). What the person submitted is in kyc_cases.';
comment on column public.user_profiles.accredited_investor is 'Whether accreditation was verified and has not expired. Never what the person says of himself.';
comment on column public.user_profiles.investment_experience is 'What the person says of his experience.';
comment on column public.user_profiles.risk_tolerance is 'What the person says of the risk he accepts.';
comment on column public.user_profiles.preferred_investment_size is 'What the person says he likes to invest at once, in USD.';
comment on column public.user_profiles.total_invested is 'Paid and confirmed principal in USD, folded from the investments by a worker; true as of totals_as_of.';
comment on column public.user_profiles.total_returns is 'Income paid in USD, folded by a worker; true as of totals_as_of.';
comment on column public.user_profiles.totals_as_of is 'The instant that the two totals are true for; null before the first folding.';
comment on column public.user_profiles.created_at is 'When the login was made.';
comment on column public.user_profiles.updated_at is 'When the row last changed.';
create index user_profiles_party_id_idx on public.user_profiles (party_id);
create index user_profiles_email_idx on public.user_profiles (email);
create unique index user_profiles_wallet_address_key on public.user_profiles (lower(wallet_address));

create table public.user_role_assignments (
  id          uuid primary key default gen_random_uuid(),
  user_id     uuid not null,
  role        text not null,
  assigned_by uuid default auth.uid(),
  assigned_at timestamptz not null default now(),
  is_active   boolean not null default true,
  updated_at  timestamptz not null default now(),
  constraint user_role_assignments_role_is_known check (role in ('admin', 'compliance_officer', 'property_manager', 'investor')),
  constraint user_role_assignments_once_a_role unique (user_id, role)
);
comment on table public.user_role_assignments is 'Who has which of the four roles. A revoked role stays as an inactive row and ends at once, whatever the token says.';
comment on column public.user_role_assignments.id is 'Identity of the assignment.';
comment on column public.user_role_assignments.user_id is 'The login that has the role.';
comment on column public.user_role_assignments.role is 'admin (full access), compliance_officer (audit and compliance), property_manager (properties he is a member of), investor (everybody).';
comment on column public.user_role_assignments.assigned_by is 'The admin who gave it; null when the operator or the system did.';
comment on column public.user_role_assignments.assigned_at is 'When it was given.';
comment on column public.user_role_assignments.is_active is 'False once revoked.';
comment on column public.user_role_assignments.updated_at is 'When the row last changed.';
create index user_role_assignments_assigned_by_idx on public.user_role_assignments (assigned_by);

-- Functions that answer about roles. They belong to nexus_owner, so that a policy that asks does not ask itself.

create function nexus.has_any_role(variadic roles text[]) returns boolean
language sql stable security definer set search_path = ''
as $$
  select exists (
    select from public.user_role_assignments as a
    where a.user_id = auth.uid() and a.is_active and a.role = any (roles)
  )
$$;
comment on function nexus.has_any_role(text[]) is 'Whether the caller has one of these roles now. For policies, as (select nexus.has_any_role(...)): once a statement.';

create function nexus.actor_id() returns uuid
language sql stable security definer set search_path = ''
as $$
  select auth.uid()
$$;
comment on function nexus.actor_id() is 'The login for which the request acts, for roles that have nothing to do in schema auth.';

create function nexus.may_ask_about(user_id uuid) returns boolean
language sql stable security definer set search_path = ''
as $$
  select nexus.is_trusted_caller() or may_ask_about.user_id = auth.uid() or nexus.has_any_role('admin')
$$;
comment on function nexus.may_ask_about(uuid) is 'Whether the caller may be told about this login: about himself, anybody for an admin, a command or the service.';

create function public.has_role(user_id uuid, role text) returns boolean
language sql stable security definer set search_path = ''
as $$
  select case when nexus.may_ask_about(has_role.user_id) then exists (
    select from public.user_role_assignments as a
    where a.user_id = has_role.user_id and a.role = has_role.role and a.is_active
  ) end
$$;
comment on function public.has_role(uuid, text) is 'Whether a login has a role now. Answers about the caller, and about anybody for an admin or the service; otherwise null: not told.';

create function public.get_user_role(user_id uuid) returns text
language sql stable security definer set search_path = ''
as $$
  select a.role from public.user_role_assignments as a
  where a.user_id = get_user_role.user_id and a.is_active and nexus.may_ask_about(get_user_role.user_id)
  order by array_position(array['admin', 'compliance_officer', 'property_manager', 'investor'], a.role)
  limit 1
$$;
comment on function public.get_user_role(uuid) is 'The highest active role of a login: of the caller, or of anybody for an admin or the service; otherwise null.';

create function nexus.party_id() returns uuid
language sql stable security definer set search_path = ''
as $$
  select p.party_id from public.user_profiles as p where p.id = auth.uid()
$$;
comment on function nexus.party_id() is 'The party that the caller''s login acts for, or null.';

create function nexus.has_approved_kyc() returns boolean
language sql stable security definer set search_path = ''
as $$
  select exists (
    select from public.user_profiles as p
    where p.id = auth.uid() and p.kyc_status = 'approved' and coalesce(p.kyc_expires_at > now(), true)
  )
$$;
comment on function nexus.has_approved_kyc() is 'Whether the caller''s identity is verified, and that has not expired.';

create function public.handle_new_user() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  given_name text;
  new_party_id uuid;
begin
  if exists (select from public.user_profiles where id = new.id) then
    return new;
  end if;
  -- Metadata is the client's own: only a name is taken from it, where it is a text, and never a role or a status.
  select btrim(left(new.raw_user_meta_data ->> k.key, 200)) into given_name
  from unnest(array['full_name', 'name']) with ordinality as k (key, place)
  where jsonb_typeof(new.raw_user_meta_data -> k.key) = 'string' and left(new.raw_user_meta_data ->> k.key, 200) ~ '\S'
  order by k.place
  limit 1;
  insert into public.parties (kind) values ('person') returning id into new_party_id;
  insert into public.user_profiles (id, party_id, email, full_name, display_name, phone)
  values (new.id, new_party_id, new.email, given_name, left(given_name, 100), nullif(left(new.phone, 40), ''));
  insert into public.user_role_assignments (user_id, role, assigned_by) values (new.id, 'investor', null)
  on conflict on constraint user_role_assignments_once_a_role do nothing;
  return new;
end
$$;
comment on function public.handle_new_user() is 'Trigger on auth.users: makes a new login''s party, profile and investor role. Runs once; nothing in the metadata can raise a right or stop a sign-up.';

create function nexus.handle_changed_user() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  update public.user_profiles set email = new.email where id = new.id and email is distinct from new.email;
  return new;
end
$$;
comment on function nexus.handle_changed_user() is 'Trigger on auth.users: carries a changed e-mail address to the profile.';

grant execute on function nexus.actor_id() to service_role, nexus_engine;
grant execute on function nexus.has_any_role(text[]), nexus.may_ask_about(uuid), nexus.party_id(), nexus.has_approved_kyc(),
  public.has_role(uuid, text), public.get_user_role(uuid)
  to authenticated, service_role, nexus_engine;

-- The wall.

alter table public.parties enable row level security;
grant select on public.parties to authenticated, service_role, nexus_engine;
grant insert, update on public.parties to service_role, nexus_engine;
create policy parties_read_own on public.parties for select to authenticated using (id = (select nexus.party_id()));
create policy parties_read_staff on public.parties for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy parties_engine on public.parties for all to nexus_engine using (true) with check (true);

alter table public.party_owners enable row level security;
grant select on public.party_owners to authenticated, service_role, nexus_engine;
grant insert, update on public.party_owners to service_role, nexus_engine;
create policy party_owners_read_own on public.party_owners for select to authenticated using (party_id = (select nexus.party_id()));
create policy party_owners_read_staff on public.party_owners for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy party_owners_engine on public.party_owners for all to nexus_engine using (true) with check (true);

alter table public.party_screenings enable row level security;
grant select on public.party_screenings to nexus_staff, service_role, nexus_engine;
grant insert on public.party_screenings to nexus_engine;
create policy party_screenings_read_compliance on public.party_screenings for select to nexus_staff
  using ((select nexus.has_any_role('compliance_officer')));
create policy party_screenings_engine on public.party_screenings for all to nexus_engine using (true) with check (true);

alter table public.user_profiles enable row level security;
grant select on public.user_profiles to authenticated, service_role, nexus_engine;
grant insert, update on public.user_profiles to nexus_engine;
-- The service may write no more than the person: a leaked service key must not verify anybody.
grant update (full_name, display_name, phone, avatar_url, investment_experience, risk_tolerance, preferred_investment_size)
  on public.user_profiles to authenticated, service_role;
create policy "Users can view own profile" on public.user_profiles for select to authenticated using (id = (select auth.uid()));
create policy "Users can update own profile" on public.user_profiles for update to authenticated
  using (id = (select auth.uid())) with check (id = (select auth.uid()));
create policy user_profiles_read_staff on public.user_profiles for select to nexus_staff
  using ((select nexus.has_any_role('admin', 'compliance_officer')));
create policy user_profiles_engine on public.user_profiles for all to nexus_engine using (true) with check (true);

alter table public.user_role_assignments enable row level security;
grant select on public.user_role_assignments to authenticated, service_role, nexus_engine;
grant insert, update on public.user_role_assignments to nexus_engine;
grant insert (user_id, role, assigned_by), update (is_active) on public.user_role_assignments to nexus_staff;
create policy user_role_assignments_read_own on public.user_role_assignments for select to authenticated
  using (user_id = (select auth.uid()));
create policy user_role_assignments_read_admin on public.user_role_assignments for select to nexus_staff
  using ((select nexus.has_any_role('admin')));
-- Nobody changes their own roles, an admin included: otherwise one lost admin password is every role for ever.
create policy user_role_assignments_insert_admin on public.user_role_assignments for insert to nexus_staff
  with check ((select nexus.has_any_role('admin')) and user_id <> (select auth.uid()) and assigned_by = (select auth.uid()));
create policy user_role_assignments_update_admin on public.user_role_assignments for update to nexus_staff
  using ((select nexus.has_any_role('admin')) and user_id <> (select auth.uid()))
  with check ((select nexus.has_any_role('admin')) and user_id <> (select auth.uid()));
create policy user_role_assignments_engine on public.user_role_assignments for all to nexus_engine using (true) with check (true);

create trigger party_owners_not_more_than_all after insert or update on public.party_owners
  for each row execute function nexus.refuse_more_than_all_shares();
create trigger parties_updated_at before update on public.parties
  for each row execute function public.update_updated_at_column();
create trigger user_profiles_updated_at before update on public.user_profiles
  for each row execute function public.update_updated_at_column();
create trigger user_role_assignments_updated_at before update on public.user_role_assignments
  for each row execute function public.update_updated_at_column();

reset role;

-- A login without history can go, and takes what is only his with it; value refers to logins with `restrict`.
alter table public.user_profiles add constraint user_profiles_id_fkey
  foreign key (id) references auth.users (id) on delete cascade;
alter table public.party_screenings add constraint party_screenings_screened_by_fkey
  foreign key (screened_by) references auth.users (id) on delete restrict;
alter table public.user_role_assignments add constraint user_role_assignments_user_id_fkey
  foreign key (user_id) references auth.users (id) on delete cascade;
alter table public.user_role_assignments add constraint user_role_assignments_assigned_by_fkey
  foreign key (assigned_by) references auth.users (id) on delete set null;
