-- Tries, in a schema that no migration knows. Each statement is undone, whatever became of it.
create schema probe;

-- Of statements with the same number, those after the first that is let through are left out.
create function probe.tries(as_role text, claims text, statements text[], numbers integer[])
returns table (number integer, state text, hits bigint, said text) language plpgsql
as $$
declare
  statement text;
  let_through integer[] := '{}';
begin
  for statement, number in select t.statement, t.number from unnest(statements, numbers) as t (statement, number) loop
    continue when number = any (let_through);
    hits := 0;
    begin
      perform set_config('request.jwt.claims', claims, true), set_config('storage.allow_delete_query', 'true', true),
              set_config('role', as_role, true);
      execute statement;
      get diagnostics hits = row_count;
      raise exception 'undo' using errcode = 'ZZ000';
    exception when others then
      get stacked diagnostics state = returned_sqlstate, said = message_text;
    end;
    if (state = 'ZZ000' and hits > 0) or state like '23%' then
      let_through := let_through || number;
    end if;
    return next;
  end loop;
end
$$;

-- What one expression answers: its text, or the state it fails with.
create function probe.answer(as_role text, claims text, query text, out state text, out answer text) language plpgsql
as $$
begin
  begin
    perform set_config('request.jwt.claims', claims, true), set_config('role', as_role, true);
    execute query into answer;
    raise exception 'undo' using errcode = 'ZZ000';
  exception when others then
    get stacked diagnostics state = returned_sqlstate;
  end;
end
$$;
