-- What signing in needs beside Supabase's own tables of schema auth: what happened to logins, how often something was tried,
-- mails on their way, and proofs that were used up.
set role nexus_owner;

grant usage on schema nexus to supabase_auth_admin;

create table nexus.login_events (
  id         bigint generated always as identity primary key,
  event      text not null,
  user_id    uuid,
  session_id uuid,
  at         timestamptz not null,
  constraint login_events_event_is_known check (event in (
    'signed_up', 'signed_up_anonymously', 'signed_in', 'signed_out', 'sign_in_refused', 'locked_out', 'token_reused',
    'email_confirmed', 'email_change_asked', 'email_changed', 'password_changed', 'password_rehashed', 'recovery_asked', 'link_asked',
    'reauthentication_asked', 'invited', 'link_made', 'user_created', 'user_changed', 'user_deleted', 'user_anonymised',
    'factor_enrolled', 'factor_verified', 'factor_refused', 'factor_removed', 'identity_linked', 'identity_unlinked'))
);
comment on table nexus.login_events is 'What happened to logins, without anything personal: no address, no network address, no token. Append-only, audited and so sealed. A refresh that goes as it should is not told.';
comment on column nexus.login_events.id is 'Order of writing.';
comment on column nexus.login_events.event is 'What happened.';
comment on column nexus.login_events.user_id is 'The login; it may be gone, so this is no reference. Null where nobody has the address that was tried.';
comment on column nexus.login_events.session_id is 'The session, where there is one; it may be gone.';
comment on column nexus.login_events.at is 'When it happened.';
create index login_events_user_id_idx on nexus.login_events (user_id, id);

create table nexus.login_limits (
  kind    text not null,
  subject bytea not null,
  full_at timestamptz not null,
  constraint login_limits_pkey primary key (kind, subject),
  constraint login_limits_kind_is_a_name check (kind ~ '^[a-z_]{1,40}$'),
  constraint login_limits_subject_is_a_mac check (length(subject) = 32)
);
comment on table nexus.login_limits is 'How often something was tried, one row a subject, for all servers of the database. The row is a bucket: a try takes one drop, drops come back at a steady pace.';
comment on column nexus.login_limits.kind is 'What is limited.';
comment on column nexus.login_limits.subject is 'Who is limited, a login, an e-mail or network address, as a keyed hash.';
comment on column nexus.login_limits.full_at is 'When the bucket will be full again; from then on the row says nothing.';
create index login_limits_full_at_idx on nexus.login_limits (full_at);

create table nexus.login_mails (
  id         uuid primary key default gen_random_uuid(),
  kind       text not null,
  recipient  text not null,
  subject    text not null,
  body_text  text not null,
  body_html  text not null,
  created_at timestamptz not null,
  due_at     timestamptz not null,
  attempts   integer not null default 0,
  constraint login_mails_kind_is_known check (kind in (
    'confirmation', 'recovery', 'magic_link', 'email_change', 'reauthentication', 'invite')),
  constraint login_mails_header_is_one_line check (recipient !~ '[[:cntrl:]]' and subject !~ '[[:cntrl:]]'),
  constraint login_mails_attempts_is_a_count check (attempts >= 0)
);
comment on table nexus.login_mails is 'Mails to logins that wait to be sent. They carry tokens that sign in, so only the auth service reads them, and a row goes once it is sent or too old to be of use. Without a mail server they wait here for the operator.';
comment on column nexus.login_mails.id is 'Identity of the mail, and its message id.';
comment on column nexus.login_mails.kind is 'What it is about.';
comment on column nexus.login_mails.recipient is 'The e-mail address.';
comment on column nexus.login_mails.subject is 'The subject line.';
comment on column nexus.login_mails.body_text is 'The mail as plain text.';
comment on column nexus.login_mails.body_html is 'The same as HTML.';
comment on column nexus.login_mails.created_at is 'When it was asked for.';
comment on column nexus.login_mails.due_at is 'When to try (again) to send it.';
comment on column nexus.login_mails.attempts is 'How often sending failed.';
create index login_mails_due_at_idx on nexus.login_mails (due_at);
create index login_mails_recipient_idx on nexus.login_mails (recipient, created_at);

create table nexus.late_refreshes (
  session_id uuid primary key,
  counter    bigint not null,
  taken      integer,
  given      integer not null,
  constraint late_refreshes_taken_is_a_count check (taken >= 0),
  constraint late_refreshes_given_is_a_count check (given >= 0)
);
comment on table nexus.late_refreshes is 'Sessions whose next to last refresh token was shown long after it was replaced: a client lost the answer, or somebody has a copy. The number that counts is then given in another branch; who shows a branch of the number before that was not the one shown for it has a copy. A session without a row has one branch.';
comment on column nexus.late_refreshes.session_id is 'The session.';
comment on column nexus.late_refreshes.counter is 'The number that the row is about; it says nothing once another one counts.';
comment on column nexus.late_refreshes.taken is 'Which branch of the number before was shown for this one; null where it was given without.';
comment on column nexus.late_refreshes.given is 'The newest branch of this number; the first is 0.';

create table nexus.spent_proofs (
  digest   bytea primary key,
  holds_to timestamptz not null,
  constraint spent_proofs_digest_is_sha256 check (length(digest) = 32)
);
comment on table nexus.spent_proofs is 'Proofs that may be shown once (codes of a second factor, signed messages), kept as long as they would hold.';
comment on column nexus.spent_proofs.digest is 'SHA-256 of the proof and what it is for.';
comment on column nexus.spent_proofs.holds_to is 'When the proof ends by itself.';
create index spent_proofs_holds_to_idx on nexus.spent_proofs (holds_to);

create function nexus.api_role_of(user_id uuid) returns text
language sql stable security definer set search_path = ''
as $$
  select case when exists (
    select from public.user_role_assignments as a
    where a.user_id = api_role_of.user_id and a.is_active and a.role in ('admin', 'compliance_officer', 'property_manager')
  ) then 'nexus_staff' else 'authenticated' end
$$;
comment on function nexus.api_role_of(uuid) is 'The database role that a login''s access token carries: who works for the company acts as staff.';

create function nexus.anonymise_profile(user_id uuid) returns void
language sql security definer set search_path = ''
as $$
  update public.user_profiles as p
  set email = null, full_name = null, display_name = null, phone = null, avatar_url = null, wallet_address = null,
      investment_experience = null, risk_tolerance = null, preferred_investment_size = null
  where p.id = anonymise_profile.user_id;
  update public.user_role_assignments as a set is_active = false where a.user_id = anonymise_profile.user_id and a.is_active;
$$;
comment on function nexus.anonymise_profile(uuid) is 'Takes away what a profile says of its person and every role, for a login that goes and whose history stays. The party keeps its name as long as the law wants it.';

create function nexus.call_hook(hook text, event jsonb) returns jsonb
language plpgsql set search_path = ''
as $$
declare
  -- Reads a name and finds a function: nothing else in the text is ever run.
  found_hook regprocedure := to_regprocedure(call_hook.hook || '(jsonb)');
  answer jsonb;
begin
  if found_hook is null then
    raise exception 'there is no function %(jsonb)', call_hook.hook using errcode = 'undefined_function';
  end if;
  execute format('select %s($1)', found_hook::oid::regproc) into answer using call_hook.event;
  return answer;
end
$$;
comment on function nexus.call_hook(text, jsonb) is 'Asks the function that the configuration names, as the auth service and with its rights, what claims an access token shall have.';

grant execute on function nexus.api_role_of(uuid), nexus.anonymise_profile(uuid), nexus.call_hook(text, jsonb) to supabase_auth_admin;

create trigger login_events_are_append_only before update or delete or truncate on nexus.login_events
  for each statement execute function nexus.refuse_change();
select nexus.audit_table('nexus.login_events');

alter table nexus.login_events enable row level security;
grant select, insert on nexus.login_events to supabase_auth_admin;
create policy login_events_auth on nexus.login_events for all to supabase_auth_admin using (true) with check (true);

alter table nexus.login_limits enable row level security;
grant select, insert, update, delete on nexus.login_limits to supabase_auth_admin;
create policy login_limits_auth on nexus.login_limits for all to supabase_auth_admin using (true) with check (true);

alter table nexus.login_mails enable row level security;
grant select, insert, update, delete on nexus.login_mails to supabase_auth_admin;
create policy login_mails_auth on nexus.login_mails for all to supabase_auth_admin using (true) with check (true);

alter table nexus.late_refreshes enable row level security;
grant select, insert, update, delete on nexus.late_refreshes to supabase_auth_admin;
create policy late_refreshes_auth on nexus.late_refreshes for all to supabase_auth_admin using (true) with check (true);

alter table nexus.spent_proofs enable row level security;
grant select, insert, update, delete on nexus.spent_proofs to supabase_auth_admin;
create policy spent_proofs_auth on nexus.spent_proofs for all to supabase_auth_admin using (true) with check (true);

reset role;

alter table nexus.late_refreshes add constraint late_refreshes_session_id_fkey
  foreign key (session_id) references auth.sessions (id) on delete cascade;
