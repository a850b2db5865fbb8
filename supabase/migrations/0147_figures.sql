-- Figures that cost what changed: what happens to investments, returns, holdings and properties leaves small rows in a table
-- of changes, in its own transaction; a worker folds them into sums. Reading a figure then costs what is read, and not the
-- investments behind it.
--
-- Sums plus waiting changes are what the base tables say, at every instant: the changes are written by triggers, with the
-- statement that they tell of, and folding moves them in one transaction under one lock. A change is written after the one it
-- rests on, so a prefix of the visible changes never makes a sum negative.
set role nexus_owner;

-- No foreign keys: the rows live for seconds, and a check of each would be paid by every purchase.
create table nexus.figure_changes (
  id                bigint generated always as identity primary key,
  kind              text not null,
  property_id       uuid,
  property_token_id uuid,
  party_id          uuid,
  user_id           uuid,
  investment_id     uuid,
  currency          text,
  principal_minor   bigint not null default 0,
  tokens            numeric not null default 0,
  investments       integer not null default 0,
  income_minor      bigint not null default 0,
  constraint figure_changes_kind_is_known check (kind in ('invested', 'person', 'holding', 'price', 'listing', 'earnings'))
);
comment on table nexus.figure_changes is 'Changes that wait to be folded into figures. Appended by triggers, taken in order by nexus.fold_figures(), and then gone.';
comment on column nexus.figure_changes.id is 'Order of writing.';
comment on column nexus.figure_changes.kind is 'invested (a paid or confirmed investment came or went), person (totals of a login alone), holding (what an investment is worth), price (of a token), listing (what the market views show of a property), earnings (its performance or valuations).';
comment on column nexus.figure_changes.property_id is 'The property; of invested, earnings and listing (null where properties were added).';
comment on column nexus.figure_changes.property_token_id is 'The token; of price.';
comment on column nexus.figure_changes.party_id is 'The party that invested.';
comment on column nexus.figure_changes.user_id is 'The login that invested or was paid.';
comment on column nexus.figure_changes.investment_id is 'The investment whose worth may have changed.';
comment on column nexus.figure_changes.currency is 'Currency of the amounts.';
comment on column nexus.figure_changes.principal_minor is 'Principal that came, or went where below zero, in smallest units.';
comment on column nexus.figure_changes.tokens is 'Tokens that came or went.';
comment on column nexus.figure_changes.investments is 'Investments that came or went.';
comment on column nexus.figure_changes.income_minor is 'Income paid, before tax, in smallest units.';

create table nexus.investor_figures (
  property_id     uuid,
  currency        text,
  party_id        uuid,
  principal_minor bigint not null,
  tokens          numeric not null,
  investments     integer not null,
  constraint investor_figures_pkey primary key (property_id, currency, party_id),
  constraint investor_figures_not_negative check (least(principal_minor, tokens, investments) >= 0)
);
comment on table nexus.investor_figures is 'What a party has paid for and not got back of a property, folded. Says when somebody becomes an investor of it and when he no longer is one.';
comment on column nexus.investor_figures.property_id is 'The property.';
comment on column nexus.investor_figures.currency is 'Currency of the principal.';
comment on column nexus.investor_figures.party_id is 'The party.';
comment on column nexus.investor_figures.principal_minor is 'Paid and confirmed principal, in smallest units.';
comment on column nexus.investor_figures.tokens is 'Tokens of these investments.';
comment on column nexus.investor_figures.investments is 'Number of these investments.';

create table nexus.property_figures (
  property_id     uuid,
  currency        text,
  investors       integer not null,
  principal_minor bigint not null,
  tokens          numeric not null,
  as_of           timestamptz not null,
  constraint property_figures_pkey primary key (property_id, currency),
  constraint property_figures_not_negative check (least(investors, principal_minor, tokens) >= 0)
);
comment on table nexus.property_figures is 'How far a property is funded, folded: what both market views read.';
comment on column nexus.property_figures.property_id is 'The property.';
comment on column nexus.property_figures.currency is 'Currency of the principal.';
comment on column nexus.property_figures.investors is 'Parties with paid or confirmed investments.';
comment on column nexus.property_figures.principal_minor is 'Paid and confirmed principal, in smallest units.';
comment on column nexus.property_figures.tokens is 'Tokens of these investments.';
comment on column nexus.property_figures.as_of is 'The instant of the last folding that changed it.';

create table nexus.analytics_dues (
  property_id uuid primary key,
  constraint analytics_dues_property_id_fkey foreign key (property_id) references public.properties (id) on delete restrict
);
comment on table nexus.analytics_dues is 'Properties whose rows of property_analytics are to be computed again.';
comment on column nexus.analytics_dues.property_id is 'The property.';

create table nexus.market_views (
  is_the_row   boolean primary key default true,
  is_stale     boolean not null default true,
  refreshed_at timestamptz,
  constraint market_views_has_one_row check (is_the_row)
);
comment on table nexus.market_views is 'Whether the two market views lack anything that was folded, in one row.';
comment on column nexus.market_views.is_the_row is 'Always true.';
comment on column nexus.market_views.is_stale is 'Whether something that they show was folded since.';
comment on column nexus.market_views.refreshed_at is 'When they were refreshed last; null: never.';
insert into nexus.market_views default values;

-- What writes changes. Updates are told once a statement, since a closing or a refund touches many rows. What is inserted is
-- told by row, since no command inserts what counts at once: a purchase then costs one comparison and no call.

create function nexus.note_invested() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into nexus.figure_changes (kind, property_id, party_id, user_id, investment_id, currency, principal_minor, tokens, investments)
  values ('invested', new.property_id, new.party_id, new.user_id, new.id, new.payment_currency, new.total_amount_minor, new.token_amount, 1);
  return null;
end
$$;
comment on function nexus.note_invested() is 'Trigger, once a row: an investment was inserted as paid or confirmed.';

create function nexus.note_investments() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into nexus.figure_changes (kind, property_id, party_id, user_id, investment_id, currency, principal_minor, tokens, investments)
  select 'invested', i.property_id, i.party_id, i.user_id, i.id, i.payment_currency, sum(i.sign * i.total_amount_minor), sum(i.sign * i.token_amount), sum(i.sign)
  from (
    select -1 as sign, o.id, o.property_id, o.party_id, o.user_id, o.payment_currency, o.total_amount_minor, o.token_amount
    from old_rows as o where o.status in ('paid', 'confirmed')
    union all
    select 1, n.id, n.property_id, n.party_id, n.user_id, n.payment_currency, n.total_amount_minor, n.token_amount
    from new_rows as n where n.status in ('paid', 'confirmed')
  ) as i
  group by i.id, i.property_id, i.party_id, i.user_id, i.payment_currency
  having sum(i.sign) <> 0 or sum(i.sign * i.total_amount_minor) <> 0 or sum(i.sign * i.token_amount) <> 0;
  return null;
end
$$;
comment on function nexus.note_investments() is 'Trigger, once a statement: what the updated investments now count for, less what they counted for before.';
create trigger note_inserts after insert on public.investments for each row when (new.status in ('paid', 'confirmed'))
  execute function nexus.note_invested();
create trigger note_updates after update on public.investments referencing old table as old_rows new table as new_rows
  for each statement execute function nexus.note_investments();

create function nexus.note_returned() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into nexus.figure_changes (kind, user_id, currency, income_minor) values ('person', new.user_id, new.currency, new.amount_minor);
  return null;
end
$$;
comment on function nexus.note_returned() is 'Trigger, once a row: a return was inserted as paid.';

create function nexus.note_returns() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into nexus.figure_changes (kind, user_id, currency, income_minor)
  select 'person', r.user_id, r.currency, sum(r.amount_minor)
  from (
    select o.user_id, o.currency, -o.amount_minor as amount_minor from old_rows as o where o.status = 'paid'
    union all
    select n.user_id, n.currency, n.amount_minor from new_rows as n where n.status = 'paid'
  ) as r
  group by r.user_id, r.currency
  having sum(r.amount_minor) <> 0;
  return null;
end
$$;
comment on function nexus.note_returns() is 'Trigger, once a statement: what was paid to whom by the updated returns, less what they counted for before.';
create trigger note_inserts after insert on public.property_returns for each row when (new.status = 'paid')
  execute function nexus.note_returned();
create trigger note_updates after update on public.property_returns referencing old table as old_rows new table as new_rows
  for each statement execute function nexus.note_returns();

create function nexus.note_lots() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into nexus.figure_changes (kind, investment_id)
  select distinct 'holding', n.investment_id from new_rows as n join old_rows as o on o.id = n.id
  where (n.units, n.party_id) is distinct from (o.units, o.party_id);
  return null;
end
$$;
comment on function nexus.note_lots() is 'Trigger, once a statement: what these purchases left in their buyers'' hands changed.';
-- A lot that a closing inserts changes nothing: what is paid for is worth the same before and after.
create trigger note_updates after update on public.lots referencing old table as old_rows new table as new_rows
  for each statement execute function nexus.note_lots();

create function nexus.note_one() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_argv[0] = 'listing' then
    insert into nexus.figure_changes (kind, property_id) values ('listing', new.id);
  elsif tg_argv[0] = 'price' then
    insert into nexus.figure_changes (kind, property_token_id) values ('price', new.id);
  else
    insert into nexus.figure_changes (kind, investment_id) values ('holding', new.investment_id);
  end if;
  return null;
end
$$;
comment on function nexus.note_one() is 'Trigger, once a row: a property, token or lot changed; its argument says what that changes. For what comes one at a time.';
create trigger note_inserts after insert on public.lots for each row when (new.parent_lot_id is not null)
  execute function nexus.note_one('holding');
create trigger note_price after update of current_price_minor on public.property_tokens
  for each row when (new.current_price_minor is distinct from old.current_price_minor) execute function nexus.note_one('price');
create function nexus.note_listings() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  -- One change for all of them: a load has thousands, and nothing else is to be computed for what is new.
  insert into nexus.figure_changes (kind) select 'listing' where exists (select from new_rows as n where n.is_active);
  return null;
end
$$;
comment on function nexus.note_listings() is 'Trigger, once a statement: properties were added that the market views show.';
create trigger note_inserts after insert on public.properties referencing new table as new_rows
  for each statement execute function nexus.note_listings();
create trigger note_updates after update on public.properties for each row when (
  (new.is_active, new.title, new.city, new.property_type, new.price, new.price_per_token, new.total_tokens, new.tokens_issued, new.funding_target)
  is distinct from
  (old.is_active, old.title, old.city, old.property_type, old.price, old.price_per_token, old.total_tokens, old.tokens_issued, old.funding_target))
  execute function nexus.note_one('listing');

create function nexus.note_earnings() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  -- A load of thousands of valuations tells of each property once, and of none without a period.
  insert into nexus.figure_changes (kind, property_id)
  select distinct 'earnings', n.property_id from new_rows as n
  where exists (select from public.property_performance as p where p.property_id = n.property_id);
  return null;
end
$$;
comment on function nexus.note_earnings() is 'Trigger, once a statement: what these properties earned or were worth changed.';
create trigger note_inserts after insert on public.property_performance referencing new table as new_rows
  for each statement execute function nexus.note_earnings();
create trigger note_updates after update on public.property_performance referencing new table as new_rows
  for each statement execute function nexus.note_earnings();
create trigger note_inserts after insert on public.property_valuations referencing new table as new_rows
  for each statement execute function nexus.note_earnings();
create trigger note_updates after update on public.property_valuations referencing new table as new_rows
  for each statement execute function nexus.note_earnings();

-- What folds them.

create function nexus.worth_minor(units bigint, token_id uuid, currency text) returns bigint
language sql stable set search_path = ''
as $$
  select case when w.worth <= 9007199254740991 then w.worth::bigint end
  from (select round(worth_minor.units::numeric * t.current_price_minor / 10::numeric ^ t.token_decimals) as worth
        from public.property_tokens as t
        where t.id = worth_minor.token_id and t.currency = worth_minor.currency) as w
$$;
comment on function nexus.worth_minor(bigint, uuid, text) is 'Tokens at their newest price, in smallest units, rounded half up; null in another currency than the token''s, and above what is exact.';

create function nexus.fold_figures(changes_max integer, at timestamptz) returns integer
language plpgsql security definer set search_path = ''
as $$
declare
  folded integer;
begin
  -- One folder at a time; who comes second has nothing to do.
  if not pg_try_advisory_xact_lock(hashtext('nexus-mint figures')) then
    return 0;
  end if;
  -- The planner takes each part for a row or two: joins of one part with another are left out, since they would be loops in loops.
  with taken as materialized (
    delete from nexus.figure_changes as c
    where c.id in (select w.id from nexus.figure_changes as w order by w.id limit changes_max)
    returning c.*
  ), parts as (
    select t.property_id, t.currency, t.party_id, sum(t.principal_minor)::bigint as principal_minor, sum(t.tokens) as tokens,
           sum(t.investments)::integer as investments
    from taken as t where t.kind = 'invested' group by t.property_id, t.currency, t.party_id
  ), steps as materialized (
    select p.*, coalesce(f.investments, 0) as before
    from parts as p left join nexus.investor_figures as f
      on f.property_id = p.property_id and f.currency = p.currency and f.party_id = p.party_id
  ), investors as (
    insert into nexus.investor_figures as f (property_id, currency, party_id, principal_minor, tokens, investments)
    select s.property_id, s.currency, s.party_id, s.principal_minor, s.tokens, s.investments from steps as s
    where s.principal_minor >= 0 and s.tokens >= 0 and s.investments >= 0
    on conflict on constraint investor_figures_pkey do update
      set principal_minor = f.principal_minor + excluded.principal_minor, tokens = f.tokens + excluded.tokens,
          investments = f.investments + excluded.investments
  ), fewer as (
    -- A check looks at the row to be inserted before its conflict is seen: what goes down is updated.
    update nexus.investor_figures as f
    set principal_minor = f.principal_minor + s.principal_minor, tokens = f.tokens + s.tokens, investments = f.investments + s.investments
    from steps as s
    where f.property_id = s.property_id and f.currency = s.currency and f.party_id = s.party_id
      and not (s.principal_minor >= 0 and s.tokens >= 0 and s.investments >= 0)
  ), totals as materialized (
    select s.property_id, s.currency, sum((s.before + s.investments > 0)::integer - (s.before > 0)::integer)::integer as investors,
           sum(s.principal_minor)::bigint as principal_minor, sum(s.tokens) as tokens
    from steps as s group by s.property_id, s.currency
  ), more_funded as (
    insert into nexus.property_figures as f (property_id, currency, investors, principal_minor, tokens, as_of)
    select t.property_id, t.currency, t.investors, t.principal_minor, t.tokens, at from totals as t
    where t.investors >= 0 and t.principal_minor >= 0 and t.tokens >= 0
    on conflict on constraint property_figures_pkey do update
      set investors = f.investors + excluded.investors, principal_minor = f.principal_minor + excluded.principal_minor,
          tokens = f.tokens + excluded.tokens, as_of = excluded.as_of
  ), less_funded as (
    update nexus.property_figures as f
    set investors = f.investors + t.investors, principal_minor = f.principal_minor + t.principal_minor, tokens = f.tokens + t.tokens, as_of = at
    from totals as t
    where f.property_id = t.property_id and f.currency = t.currency and not (t.investors >= 0 and t.principal_minor >= 0 and t.tokens >= 0)
  ), people as materialized (
    select t.user_id, sum(t.principal_minor)::bigint as principal_minor, sum(t.income_minor)::bigint as income_minor
    from taken as t where t.kind in ('invested', 'person') and t.currency = 'USD'
    group by t.user_id having sum(t.principal_minor) <> 0 or sum(t.income_minor) <> 0
  ), free_people as (
    -- A row that a command holds is left for the next turn: whoever waits while holding others may be waited for.
    select u.id, p.principal_minor, p.income_minor from people as p join public.user_profiles as u on u.id = p.user_id
    for no key update of u skip locked
  ), told as (
    update public.user_profiles as u
    set total_invested = u.total_invested + nexus.from_minor(f.principal_minor, 2), total_returns = u.total_returns + nexus.from_minor(f.income_minor, 2),
        totals_as_of = at
    from free_people as f where u.id = f.id
  ), investments as materialized (
    select distinct t.investment_id as id from taken as t where t.investment_id is not null
  ), free_investments as (
    select i.id, i.status, i.party_id, i.token_amount_units, i.property_token_id, i.payment_currency, i.current_value_minor
    from public.investments as i where i.id in (select v.id from investments as v) for no key update skip locked
  ), worths as (
    select f.id, f.current_value_minor as before, nexus.worth_minor(
      case f.status
        when 'paid' then f.token_amount_units
        when 'confirmed' then (select sum(l.units) filter (where l.party_id = f.party_id) from public.lots as l where l.investment_id = f.id)::bigint
      end, f.property_token_id, f.payment_currency) as worth
    from free_investments as f
  ), valued as (
    update public.investments as i
    set current_value_minor = w.worth, current_value_as_of = case when w.worth is not null then at end
    from worths as w where i.id = w.id and w.worth is distinct from w.before
  ), again as (
    insert into nexus.figure_changes (kind, user_id, investment_id, currency, principal_minor, income_minor)
    select 'person', p.user_id, null, 'USD', p.principal_minor, p.income_minor from people as p
    where p.user_id not in (select f.id from free_people as f)
    union all
    select 'holding', null, v.id, null, 0, 0 from investments as v where v.id not in (select f.id from free_investments as f)
    -- A new price is one change for each investment, so that no turn has more than its share.
    union all
    select 'holding', null, i.id, null, 0, 0 from public.investments as i
    where i.property_token_id in (select t.property_token_id from taken as t where t.kind = 'price') and i.status in ('paid', 'confirmed')
  ), due as (
    insert into nexus.analytics_dues (property_id)
    select distinct t.property_id from taken as t
    where t.property_id is not null and exists (select from public.property_performance as p where p.property_id = t.property_id)
    on conflict on constraint analytics_dues_pkey do nothing
  ), stale as (
    update nexus.market_views as m set is_stale = true
    where not m.is_stale and exists (select from taken as t where t.kind in ('invested', 'listing'))
  )
  select (select count(*) from taken) into folded;
  return folded;
end
$$;
comment on function nexus.fold_figures(integer, timestamptz) is 'Takes the oldest changes, so many at most, and folds them into figures, all in one transaction: how many it took; 0 also while another folds. What a command holds locked is left for another turn.';

create function nexus.rebuild_figures(at timestamptz) returns void
language plpgsql security definer set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock(hashtext('nexus-mint figures'));
  lock table public.investments, public.property_returns in share mode;
  delete from nexus.figure_changes as c where c.kind in ('invested', 'person');
  delete from nexus.investor_figures;
  delete from nexus.property_figures;
  insert into nexus.investor_figures (property_id, currency, party_id, principal_minor, tokens, investments)
  select i.property_id, i.payment_currency, i.party_id, sum(i.total_amount_minor), sum(i.token_amount), count(*)
  from public.investments as i where i.status in ('paid', 'confirmed') group by i.property_id, i.payment_currency, i.party_id;
  insert into nexus.property_figures (property_id, currency, investors, principal_minor, tokens, as_of)
  select f.property_id, f.currency, count(*), sum(f.principal_minor), sum(f.tokens), at
  from nexus.investor_figures as f group by f.property_id, f.currency;
  with sums as (
    select s.user_id, sum(s.principal) as principal, sum(s.income) as income
    from (select i.user_id, i.total_amount as principal, 0 as income from public.investments as i
          where i.status in ('paid', 'confirmed') and i.payment_currency = 'USD'
          union all
          select r.user_id, 0, r.amount from public.property_returns as r where r.status = 'paid' and r.currency = 'USD') as s
    group by s.user_id
  )
  update public.user_profiles as u set total_invested = coalesce(s.principal, 0), total_returns = coalesce(s.income, 0), totals_as_of = at
  from public.user_profiles as p left join sums as s on s.user_id = p.id
  where p.id = u.id and (u.total_invested, u.total_returns) is distinct from (coalesce(s.principal, 0), coalesce(s.income, 0));
  insert into nexus.figure_changes (kind, investment_id)
  select 'holding', i.id from public.investments as i where i.status in ('paid', 'confirmed') or i.current_value_minor is not null;
  insert into nexus.analytics_dues (property_id) select distinct p.property_id from public.property_performance as p
  on conflict on constraint analytics_dues_pkey do nothing;
  update nexus.market_views set is_stale = true;
end
$$;
comment on function nexus.rebuild_figures(timestamptz) is 'Computes all figures again from the base tables, for an operator who doubts them or has loaded rows without triggers. Stops purchases and payments for as long as it takes.';

grant execute on function nexus.fold_figures(integer, timestamptz), nexus.worth_minor(bigint, uuid, text) to nexus_engine;

alter table nexus.figure_changes enable row level security;
grant select on nexus.figure_changes to nexus_engine;
create policy figure_changes_engine on nexus.figure_changes for select to nexus_engine using (true);
alter table nexus.investor_figures enable row level security;
grant select on nexus.investor_figures to nexus_engine;
create policy investor_figures_engine on nexus.investor_figures for select to nexus_engine using (true);
alter table nexus.property_figures enable row level security;
grant select on nexus.property_figures to nexus_engine;
create policy property_figures_engine on nexus.property_figures for select to nexus_engine using (true);
alter table nexus.market_views enable row level security;
grant select on nexus.market_views to nexus_engine;
create policy market_views_engine on nexus.market_views for select to nexus_engine using (true);
alter table nexus.analytics_dues enable row level security;
grant select, update, delete on nexus.analytics_dues to nexus_engine;
create policy analytics_dues_engine on nexus.analytics_dues for all to nexus_engine using (true) with check (true);

reset role;
