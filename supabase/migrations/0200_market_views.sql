-- The seed's two materialized views, mended, and what refreshes them.
--
-- What the seed's SQL did, and what is done here: it divided by zero (null here: without a target there is no percentage);
-- it counted rows as investors (parties here) and failed, expired and refunded investments as money (paid and confirmed
-- here); it could not be refreshed concurrently (a unique index here). A materialized view has no row-level security: so
-- both hold active properties only, sums and counts but no average of fewer than three, and lose a property in the
-- same transaction that delists it. Both read folded sums (0147_figures): a refresh costs properties and not investments.
set role nexus_owner;

create materialized view public.investment_opportunities_mv as
  select p.id as property_id,
         p.title,
         p.city,
         p.property_type,
         p.price_per_token,
         coalesce(f.investors, 0)::bigint as total_investors,
         coalesce(nexus.from_minor(f.principal_minor, p.currency_decimals), 0) as total_invested,
         round(100 * coalesce(nexus.from_minor(f.principal_minor, p.currency_decimals), 0) / nullif(p.funding_target, 0), 4) as funding_percentage
  from public.properties as p
  left join nexus.property_figures as f on f.property_id = p.id and f.currency = p.currency
  where p.is_active;
comment on materialized view public.investment_opportunities_mv is 'Active properties with how far they are funded, as of the last refresh_analytics_views(). Public: it says how far a property is funded and by how many, never by whom. Counts parties, and paid and confirmed investments only.';
comment on column public.investment_opportunities_mv.property_id is 'The property.';
comment on column public.investment_opportunities_mv.title is 'Its name.';
comment on column public.investment_opportunities_mv.city is 'Its city.';
comment on column public.investment_opportunities_mv.property_type is 'Kind of building.';
comment on column public.investment_opportunities_mv.price_per_token is 'Price of one token.';
comment on column public.investment_opportunities_mv.total_investors is 'Parties with paid or confirmed investments; several purchases of one party count once.';
comment on column public.investment_opportunities_mv.total_invested is 'Paid and confirmed principal in the property''s currency.';
comment on column public.investment_opportunities_mv.funding_percentage is 'total_invested over the funding target, in percent, 4 decimals; null without a target.';
create unique index investment_opportunities_mv_property_id_key on public.investment_opportunities_mv (property_id);

create materialized view public.property_market_insights_mv as
  select p.id as property_id,
         p.title,
         p.price,
         p.price_per_token,
         p.tokens_issued,
         round(100 * p.tokens_issued / nullif(p.total_tokens, 0), 4) as funding_percentage,
         case when f.investors >= 3 then round(nexus.from_minor(f.principal_minor, p.currency_decimals) / nullif(f.tokens, 0), 6) end as avg_investor_price
  from public.properties as p
  left join nexus.property_figures as f on f.property_id = p.id and f.currency = p.currency
  where p.is_active;
comment on materialized view public.property_market_insights_mv is 'Active properties with their token figures, as of the last refresh_analytics_views(). Public: an average is shown for three or more parties only. Unlike the seed''s, it leaves inactive properties out, as its sister does.';
comment on column public.property_market_insights_mv.property_id is 'The property.';
comment on column public.property_market_insights_mv.title is 'Its name.';
comment on column public.property_market_insights_mv.price is 'Asking price of the whole property.';
comment on column public.property_market_insights_mv.price_per_token is 'Price of one token.';
comment on column public.property_market_insights_mv.tokens_issued is 'Tokens held by somebody.';
comment on column public.property_market_insights_mv.funding_percentage is 'tokens_issued over total_tokens, in percent, 4 decimals; null without tokens.';
comment on column public.property_market_insights_mv.avg_investor_price is 'Average price of a paid or confirmed token, weighted by tokens, 6 decimals; null for fewer than three parties.';
create unique index property_market_insights_mv_property_id_key on public.property_market_insights_mv (property_id);

grant select on public.investment_opportunities_mv, public.property_market_insights_mv to anon, authenticated, service_role, nexus_engine;

create function nexus.refresh_market_views() returns void
language plpgsql security definer set search_path = ''
as $$
begin
  -- One at a time, and not while changes are folded.
  perform pg_advisory_xact_lock(hashtext('nexus-mint figures'));
  refresh materialized view concurrently public.investment_opportunities_mv;
  refresh materialized view concurrently public.property_market_insights_mv;
  update nexus.market_views set is_stale = false, refreshed_at = clock_timestamp();
end
$$;
comment on function nexus.refresh_market_views() is 'Refreshes both market views without locking out their readers.';

create function public.refresh_analytics_views() returns void
language plpgsql security definer set search_path = ''
as $$
declare
  -- Enough for a minute's changes of a busy market; what is left is the worker's.
  turns_max constant integer := 100;
  changes_max constant integer := 10000;
begin
  if not (nexus.is_trusted_caller() or nexus.has_any_role('admin')) then
    raise exception 'only an admin or the service may refresh the analytics views' using errcode = 'insufficient_privilege';
  end if;
  -- Who waits here finds what the one before has done, and does what is left.
  perform pg_advisory_xact_lock(hashtext('nexus-mint figures'));
  for turn in 1..turns_max loop
    exit when nexus.fold_figures(changes_max, now()) < changes_max;
  end loop;
  if (select m.is_stale from nexus.market_views as m) then
    perform nexus.refresh_market_views();
  end if;
end
$$;
comment on function public.refresh_analytics_views() is 'Folds what waits and refreshes both materialized views, unless nothing that they show has changed; for admins and the service.';
grant execute on function public.refresh_analytics_views() to nexus_staff, service_role, nexus_engine;

create function nexus.refresh_after_delisting() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  -- Two statements, since a DELETE has no new_rows to speak of.
  if tg_op = 'UPDATE' then
    if not exists (
      select from old_rows as o where o.is_active and not exists (select from new_rows as n where n.id = o.id and n.is_active)
    ) then
      return null;
    end if;
  end if;
  perform nexus.refresh_market_views();
  return null;
end
$$;
comment on function nexus.refresh_after_delisting() is 'Trigger: a property that is no longer public leaves the public views in the same transaction.';
create trigger properties_delisted after update on public.properties referencing old table as old_rows new table as new_rows
  for each statement execute function nexus.refresh_after_delisting();
create trigger properties_removed after delete on public.properties
  for each statement execute function nexus.refresh_after_delisting();

reset role;
