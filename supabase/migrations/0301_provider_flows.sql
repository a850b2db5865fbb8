-- Sign-ins at other providers that are under way.
set role nexus_owner;

create table nexus.provider_flows (
  state_digest          bytea primary key,
  provider              text not null,
  redirect_to           text not null,
  code_challenge        text,
  code_challenge_method text,
  session_id            uuid,
  is_bound              boolean not null,
  created_at            timestamptz not null,
  constraint provider_flows_state_digest_is_sha256 check (length(state_digest) = 32),
  constraint provider_flows_challenge_is_whole check ((code_challenge is null) = (code_challenge_method is null))
);
comment on table nexus.provider_flows is 'Sign-ins at other providers that began and have not come back. A row goes when its browser comes back, or ten minutes later. What the provider needs in order to know that it is the same flow follows from its state under the JWT secret, and is not kept.';
comment on column nexus.provider_flows.state_digest is 'SHA-256 of the state that travels with the browser.';
comment on column nexus.provider_flows.provider is 'The provider''s name in the configuration.';
comment on column nexus.provider_flows.redirect_to is 'Where the browser goes at the end; it was checked.';
comment on column nexus.provider_flows.code_challenge is 'The client''s challenge, where the flow ends with a code for it; null where it ends with tokens.';
comment on column nexus.provider_flows.code_challenge_method is 's256 or plain.';
comment on column nexus.provider_flows.session_id is 'The session whose person adds a way to sign in; null where somebody signs in.';
comment on column nexus.provider_flows.is_bound is 'Whether only the browser that began may end it, by its cookie.';
comment on column nexus.provider_flows.created_at is 'When it began.';
create index provider_flows_session_id_idx on nexus.provider_flows (session_id);
create index provider_flows_created_at_idx on nexus.provider_flows (created_at);

alter table nexus.provider_flows enable row level security;
grant select, insert, update, delete on nexus.provider_flows to supabase_auth_admin;
create policy provider_flows_auth on nexus.provider_flows for all to supabase_auth_admin using (true) with check (true);

reset role;

alter table nexus.provider_flows add constraint provider_flows_session_id_fkey
  foreign key (session_id) references auth.sessions (id) on delete cascade;
