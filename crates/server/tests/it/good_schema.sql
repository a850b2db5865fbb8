-- A small schema in which the lint finds nothing. Applied in a transaction that is never committed.

do $$
declare
  wanted text;
begin
  foreach wanted in array array['anon', 'authenticated', 'service_role', 'nexus_staff', 'nexus_engine', 'nexus_owner'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      execute format('create role %I nologin %s', wanted, case wanted when 'service_role' then 'bypassrls' else '' end);
    end if;
  end loop;
  create schema if not exists auth;
  if to_regprocedure('auth.uid()') is null then
    create function auth.uid() returns uuid language sql stable as 'select null::uuid';
  end if;
end $$;
grant usage on schema auth to nexus_owner;
create schema good authorization nexus_owner;
set local role nexus_owner;
alter default privileges for role nexus_owner revoke execute on functions from public;
grant usage on schema good to anon, authenticated, nexus_staff;

create function good.update_updated_at_column() returns trigger language plpgsql set search_path = ''
  as 'begin new.updated_at := pg_catalog.now(); return new; end';
comment on function good.update_updated_at_column() is 'Trigger: every update says when it happened.';

create function good.has_role(role text) returns boolean language sql stable security definer set search_path = ''
  as 'select false';
comment on function good.has_role(text) is 'Whether the caller holds the role. Asked by policies, once a statement.';
grant execute on function good.has_role(text) to authenticated, nexus_staff;

create table good.orders (
  id          uuid primary key default gen_random_uuid(),
  user_id     uuid not null,
  previous_id uuid,
  total_minor bigint not null,
  status      text not null default 'open',
  note        text,
  extras      jsonb not null default '{}',
  updated_at  timestamptz not null default now(),
  constraint orders_previous_id_fkey foreign key (previous_id) references good.orders (id),
  constraint orders_total_is_positive check (total_minor > 0),
  constraint orders_status_is_known check (status in ('open', 'paid')),
  constraint orders_extras_is_object check (jsonb_typeof(extras) = 'object')
);
create index orders_user_id_idx on good.orders (user_id);
create index orders_previous_id_idx on good.orders (previous_id) where previous_id is not null;
create trigger orders_touch before update on good.orders for each row execute function good.update_updated_at_column();
comment on table good.orders is 'What somebody wants to buy.';
comment on column good.orders.id is 'Made by the database, shown in URLs.';
comment on column good.orders.user_id is 'Whose order it is; the only one who sees it, besides staff.';
comment on column good.orders.previous_id is 'The order that this one replaces.';
comment on column good.orders.total_minor is 'Price times amount in the smallest unit of the currency, without the fee.';
comment on column good.orders.status is 'Set by commands, never by a client.';
comment on column good.orders.note is 'The buyer''s own words.';
comment on column good.orders.extras is 'What the shop wants to remember.';
comment on column good.orders.updated_at is 'The last change of any column.';
alter table good.orders enable row level security;
grant select, insert (user_id, total_minor, note), update (note) on good.orders to authenticated;
grant select on good.orders to nexus_staff, service_role;
create policy orders_read_own on good.orders for select to authenticated using (user_id = (select auth.uid()));
create policy orders_insert_own on good.orders for insert to authenticated with check (user_id = (select auth.uid()));
create policy orders_note_own on good.orders for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy orders_staff_read on good.orders for select to nexus_staff using ((select good.has_role('admin')));

create view good.open_orders with (security_invoker = true) as select id, note from good.orders where status = 'open';
comment on view good.open_orders is 'The caller''s orders that nobody paid yet.';
comment on column good.open_orders.id is 'As in orders.';
comment on column good.open_orders.note is 'As in orders.';
grant select on good.open_orders to authenticated;

create materialized view good.order_counts as select status, count(*) as orders from good.orders group by status;
create unique index order_counts_status_idx on good.order_counts (status);
comment on materialized view good.order_counts is 'How busy the shop is: public, it names nobody.';
comment on column good.order_counts.status is 'One row for each.';
comment on column good.order_counts.orders is 'How many there are as of the last refresh.';
grant select on good.order_counts to anon, authenticated;
reset role;
