// Chat and notifications with the npm package @supabase/supabase-js alone: rooms, who is in them, messages as they are said,
// edits, read marks, attachments; notifications as commands write them.
// usage: node chat.mjs URL ANON_KEY SERVICE_KEY
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createClient } from '@supabase/supabase-js';
import WebSocket from 'ws';

const [url, anonKey, serviceKey] = process.argv.slice(2);
const WAIT_MS = 15000;
const cases = [];
const test = (name, run) => cases.push([name, run]);
const client = (key = anonKey) =>
  createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false }, db: { schema: 'public' }, realtime: { transport: WebSocket } });
const service = client(serviceKey);
const done = async (request) => {
  const { data, error } = await request;
  assert.equal(error, null, JSON.stringify(error));
  return data;
};
const inbox = (what) => {
  const waiting = [], come = [];
  const next = () =>
    new Promise((yes, no) => {
      if (come.length) return yes(come.shift());
      const timer = setTimeout(() => no(new Error(`nothing came: ${what}`)), WAIT_MS);
      waiting.push((value) => { clearTimeout(timer); yes(value); });
    });
  return { take: (value) => (waiting.length ? waiting.shift()(value) : come.push(value)), next, all: come };
};
const person = async () => {
  const supabase = client();
  const { user } = await done(supabase.auth.signUp({ email: `${randomUUID()}@example.com`, password: 'correct horse battery' }));
  return { id: user.id, supabase, from: (table) => supabase.from(table) };
};
/** Everything that happens to a table, as somebody hears of it. */
const follow = async (who, table, filter) => {
  const heard = inbox(`${table}`), system = inbox('a system message');
  const channel = who.supabase.channel(`${table}-${randomUUID()}`).on('system', {}, system.take)
    .on('postgres_changes', { event: '*', schema: 'public', table, ...(filter && { filter }) }, heard.take);
  await new Promise((yes, no) => channel.subscribe((status, error) => (status === 'SUBSCRIBED' ? yes() : status === 'CLOSED' || no(error ?? new Error(status)))));
  assert.equal((await system.next()).message, 'Subscribed to PostgreSQL');
  return heard;
};
const roomOf = async (owner, ...guests) => {
  const room = await done(owner.from('chat_rooms').insert({ name: 'a room', created_by: owner.id }).select().single());
  const all = [owner, ...guests].map((who) => ({ room_id: room.id, user_id: who.id }));
  await done(owner.from('chat_room_participants').insert(all));
  return room;
};

test('a room: made, found by those who are in it and by nobody else', async () => {
  const [ann, ben, cem] = [await person(), await person(), await person()];
  const room = await roomOf(ann, ben);
  for (const [who, count] of [[ann, 1], [ben, 1], [cem, 0]]) {
    assert.equal((await done(who.from('chat_rooms').select().eq('id', room.id))).length, count);
  }
  assert.notEqual((await cem.from('chat_messages').insert({ room_id: room.id, message: 'let me in' })).error, null);
});
test('messages arrive as they are said, at those who are in the room alone', async () => {
  const [ann, ben, cem] = [await person(), await person(), await person()];
  const room = await roomOf(ann, ben);
  const his = await follow(ben, 'chat_messages', `room_id=eq.${room.id}`);
  const theirs = await follow(cem, 'chat_messages');
  const said = await done(ann.from('chat_messages').insert({ room_id: room.id, message: 'hello' }).select().single());
  const { eventType, new: row } = await his.next();
  assert.deepEqual([eventType, row.id, row.message, row.user_id], ['INSERT', said.id, 'hello', ann.id]);
  const own = await roomOf(cem);
  await done(cem.from('chat_messages').insert({ room_id: own.id, message: 'to myself' }));
  assert.equal((await theirs.next()).new.message, 'to myself', 'and nothing before it');
});
test('edits and removals arrive; nobody edits for another', async () => {
  const [ann, ben, cem] = [await person(), await person(), await person()];
  const room = await roomOf(ann, ben);
  const [his, theirs] = [await follow(ben, 'chat_messages'), await follow(cem, 'chat_messages')];
  const { id } = await done(ann.from('chat_messages').insert({ room_id: room.id, message: 'helo' }).select('id').single());
  await his.next();
  assert.deepEqual(await done(ben.from('chat_messages').update({ message: 'x' }).eq('id', id).select()), []);
  await done(ann.from('chat_messages').update({ message: 'hello' }).eq('id', id));
  const edit = await his.next();
  assert.deepEqual([edit.eventType, edit.new.message, edit.new.edited_at !== null, edit.old], ['UPDATE', 'hello', true, { id }]);
  await done(ann.from('chat_messages').delete().eq('id', id));
  const gone = await his.next();
  assert.deepEqual([gone.eventType, gone.old], ['DELETE', { id }]);
  assert.deepEqual(theirs.all, []);
});
test('a reply names what it answers', async () => {
  const [ann, ben] = [await person(), await person()];
  const room = await roomOf(ann, ben);
  const first = await done(ann.from('chat_messages').insert({ room_id: room.id, message: 'who?' }).select('id').single());
  const heard = await follow(ann, 'chat_messages');
  await done(ben.from('chat_messages').insert({ room_id: room.id, message: 'me', reply_to: first.id }));
  assert.equal((await heard.next()).new.reply_to, first.id);
});
test('read marks arrive', async () => {
  const [ann, ben] = [await person(), await person()];
  const room = await roomOf(ann, ben);
  const heard = await follow(ann, 'chat_room_participants', `room_id=eq.${room.id}`);
  const now = new Date().toISOString();
  await done(ben.from('chat_room_participants').update({ last_read_at: now }).eq('room_id', room.id).eq('user_id', ben.id));
  const { new: row } = await heard.next();
  assert.deepEqual([row.user_id, Date.parse(row.last_read_at)], [ben.id, Date.parse(now)]);
});
test('who comes in hears from then on, who is put out hears no more', async () => {
  const [ann, ben] = [await person(), await person()];
  const room = await roomOf(ann);
  const heard = await follow(ben, 'chat_messages');
  await done(ann.from('chat_messages').insert({ room_id: room.id, message: 'before' }));
  // What was said before he came in is decided about before he comes in.
  const witness = await follow(ann, 'chat_messages');
  await done(ann.from('chat_messages').insert({ room_id: room.id, message: 'still before' }));
  await witness.next();
  await done(ann.from('chat_room_participants').insert({ room_id: room.id, user_id: ben.id }));
  await done(ann.from('chat_messages').insert({ room_id: room.id, message: 'welcome' }));
  assert.equal((await heard.next()).new.message, 'welcome');
  await witness.next();
  await done(ann.from('chat_room_participants').update({ is_active: false }).eq('room_id', room.id).eq('user_id', ben.id));
  await done(ann.from('chat_messages').insert({ room_id: room.id, message: 'without him' }));
  await witness.next();
  const own = await roomOf(ben);
  await done(ben.from('chat_messages').insert({ room_id: own.id, message: 'alone' }));
  assert.equal((await heard.next()).new.message, 'alone');
});
test('an attachment: in the private bucket, for those who are in the room', async () => {
  const [ann, ben, cem] = [await person(), await person(), await person()];
  const room = await roomOf(ann, ben);
  const heard = await follow(ben, 'chat_messages');
  const path = `${room.id}/note.txt`;
  await done(ann.supabase.storage.from('chat-attachments').upload(path, 'a note', { contentType: 'text/plain' }));
  await done(ann.from('chat_messages').insert({ room_id: room.id, message: '', message_type: 'file', attachments: [`chat-attachments/${path}`] }));
  const { new: row } = await heard.next();
  const [bucket, ...rest] = row.attachments[0].split('/');
  const file = await done(ben.supabase.storage.from(bucket).download(rest.join('/')));
  assert.equal(await file.text(), 'a note');
  assert.notEqual((await cem.supabase.storage.from(bucket).download(rest.join('/'))).error, null);
  const elsewhere = { room_id: room.id, message: 'x', attachments: [`chat-attachments/${randomUUID()}/note.txt`] };
  assert.notEqual((await ann.from('chat_messages').insert(elsewhere)).error, null, 'of this room and no other');
});
test('typing and who is there: broadcast and presence beside the rows', async () => {
  const [ann, ben] = [await person(), await person()];
  const name = `typing-${randomUUID()}`;
  const [typing, there] = [inbox('typing'), inbox('presence')];
  const join = (who, key) => new Promise((yes) => {
    const channel = who.supabase.channel(name, { config: { presence: { key } } });
    channel.on('broadcast', { event: 'typing' }, typing.take).on('presence', { event: 'join' }, there.take);
    channel.subscribe((status) => status === 'SUBSCRIBED' && yes(channel));
  });
  const [one, two] = [await join(ann, ann.id), await join(ben, ben.id)];
  await one.track({ online_at: 1 });
  assert.equal((await there.next()).key, ann.id);
  await two.send({ type: 'broadcast', event: 'typing', payload: { who: ben.id } });
  assert.equal((await typing.next()).payload.who, ben.id);
});
test('a notification that a command writes arrives; read and removed by whose it is', async () => {
  const [ann, ben] = [await person(), await person()];
  const [hers, his] = [await follow(ann, 'notifications', `user_id=eq.${ann.id}`), await follow(ben, 'notifications')];
  // Submitted for verification: the platform tells her.
  const made = await service.from('notifications').insert({ user_id: ann.id, title: 'Your offer', message: 'It is open.', type: 'offering' }).select().single();
  const { id } = await done(Promise.resolve(made));
  const { eventType, new: row } = await hers.next();
  assert.deepEqual([eventType, row.title, row.read], ['INSERT', 'Your offer', false]);
  await done(ann.from('notifications').update({ read: true }).eq('id', id));
  assert.equal((await hers.next()).new.read, true);
  assert.deepEqual(await done(ben.from('notifications').update({ read: false }).eq('id', id).select()), []);
  await done(ann.from('notifications').delete().eq('id', id));
  const gone = await hers.next();
  assert.deepEqual([gone.eventType, gone.old], ['DELETE', { id }]);
  assert.deepEqual(his.all, []);
});

let failed = 0;
const chosen = cases.filter(([name]) => !process.argv[5] || name.includes(process.argv[5]));
for (const [name, run] of chosen) {
  try {
    await run();
  } catch (error) {
    failed += 1;
    console.log(`supabase-js: chat: ${name}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
  }
}
console.log(`${chosen.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
