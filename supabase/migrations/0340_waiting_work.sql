-- Work that waits, as an admin sees it: mails without what they say, and a note in the audit trail of what is decided about it.
set role nexus_owner;

create function nexus.note_change(table_name text, row_key text, before jsonb, after jsonb) returns void
language plpgsql security definer set search_path = ''
as $$
begin
  perform nexus.append_audit(note_change.table_name, 'UPDATE', note_change.row_key, note_change.before, note_change.after);
end
$$;
comment on function nexus.note_change(text, text, jsonb, jsonb) is 'Appends one audit row about a row of a table whose every change would be too many to tell: what a person decided about it. A command calls it in the transaction of the change.';

create function nexus.waiting_mails() returns table (id uuid, kind text, created_at timestamptz, due_at timestamptz, attempts integer)
language sql stable security definer set search_path = ''
as $$
  select m.id, m.kind, m.created_at, m.due_at, m.attempts from nexus.login_mails as m
$$;
comment on function nexus.waiting_mails() is 'The mails that wait, without recipient, subject and text: those sign in, so only the auth service reads them.';

create function nexus.retry_mail(mail_id uuid, at timestamptz) returns boolean
language plpgsql security definer set search_path = ''
as $$
begin
  update nexus.login_mails as m set due_at = least(m.due_at, retry_mail.at) where m.id = retry_mail.mail_id;
  return found;
end
$$;
comment on function nexus.retry_mail(uuid, timestamptz) is 'Lets a mail that waits be tried at an instant, if not sooner; false where it is gone.';

grant execute on function nexus.note_change(text, text, jsonb, jsonb), nexus.waiting_mails(), nexus.retry_mail(uuid, timestamptz)
  to nexus_engine;

reset role;
