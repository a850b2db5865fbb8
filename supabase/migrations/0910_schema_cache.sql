-- /rest/v1 keeps what it knows of the schema, and is told when that changes. Only a superuser (on Supabase also
-- `postgres`) may make event triggers: for everybody else the server finds out when a request names what it does not know.

set role nexus_owner;

create function nexus.tell_of_change() returns event_trigger language plpgsql set search_path = '' as $$
begin
  -- Temporary tables are nobody else's, and a refresh or an index changes nothing that is kept.
  if tg_event = 'sql_drop' then
    if exists (select from pg_catalog.pg_event_trigger_dropped_objects() as o where not o.is_temporary) then
      notify pgrst;
    end if;
  elsif exists (select from pg_catalog.pg_event_trigger_ddl_commands() as c
                where c.schema_name is distinct from 'pg_temp'
                  and c.command_tag not in ('REFRESH MATERIALIZED VIEW', 'CREATE INDEX', 'ALTER INDEX', 'GRANT', 'REVOKE')) then
    notify pgrst;
  end if;
end $$;
comment on function nexus.tell_of_change() is
  'Notifies the channel pgrst of a changed schema, at the end of the transaction that changed it.';
revoke execute on function nexus.tell_of_change() from public;

reset role;

do $$
begin
  create event trigger nexus_ddl on ddl_command_end execute function nexus.tell_of_change();
  create event trigger nexus_drop on sql_drop execute function nexus.tell_of_change();
exception when insufficient_privilege then
  raise notice 'no event triggers: /rest/v1 looks for itself';
end $$;
