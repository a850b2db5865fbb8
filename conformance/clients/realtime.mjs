// Cases of /realtime/v1 by the npm package @supabase/supabase-js. Each names the row of the protocol that it shows.
// usage: node realtime.mjs URL ANON_KEY SERVICE_KEY
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { createClient } from '@supabase/supabase-js';
import WebSocket from 'ws';

const [url, anonKey, serviceKey] = process.argv.slice(2);
const socketUrl = `${url.replace('http', 'ws')}/realtime/v1/websocket`;
const WAIT_MS = 15000;
const cases = [];
const test = (name, run) => cases.push([name, run]);
const opened = [];
const client = (key = anonKey, realtime = {}) => {
  const made = createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false }, db: { schema: 'lab' }, realtime: { transport: WebSocket, ...realtime },
  });
  opened.push(made);
  return made;
};
const service = client(serviceKey);
const done = async (request) => {
  const { data, error } = await request;
  assert.equal(error, null, JSON.stringify(error));
  return data;
};
const within = (promise, what) => {
  let timer;
  const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error(`nothing came: ${what}`)), WAIT_MS); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
/** What comes, one after the other. */
const inbox = (what) => {
  const waiting = [], come = [];
  return {
    take: (value) => (waiting.length ? waiting.shift()(value) : come.push(value)),
    next: () => within(come.length ? Promise.resolve(come.shift()) : new Promise((yes) => waiting.push(yes)), what),
    all: come,
  };
};
const subscribed = (channel) =>
  within(new Promise((yes, no) => {
    channel.subscribe((status, error) => {
      if (status === 'SUBSCRIBED') yes(channel);
      if (status === 'CHANNEL_ERROR' || status === 'TIMED_OUT') no(error ?? new Error(status));
    });
  }), 'a join');
/** A channel that hears one event of broadcast. */
const room = async (supabase, name, { config = {}, event = '*' } = {}) => {
  const heard = inbox(`broadcast ${event} in ${name}`);
  const channel = supabase.channel(name, { config }).on('broadcast', { event }, heard.take);
  await subscribed(channel);
  return { channel, heard };
};
/** A person who signed up, with a client of his own. */
const person = async (data = {}) => {
  const made = client();
  const email = `${randomUUID()}@example.com`;
  const { user, session } = await done(made.auth.signUp({ email, password: 'correct horse battery', options: { data } }));
  await made.realtime.setAuth(session.access_token);
  return { ...user, supabase: made, token: session.access_token };
};
const topic = (name) => `${name}-${randomUUID()}`;
/** A socket without a client. */
const raw = async (vsn, key = anonKey) => {
  const socket = new WebSocket(`${socketUrl}?apikey=${key}${vsn ? `&vsn=${vsn}` : ''}`);
  const frames = inbox('a frame');
  socket.on('message', (data, isBinary) => frames.take(isBinary ? data : JSON.parse(data)));
  const closed = new Promise((yes) => socket.on('close', (code, reason) => yes({ code, reason: String(reason) })));
  await within(new Promise((yes, no) => socket.on('open', yes).on('error', no)), 'a connection');
  return { socket, frames, closed, send: (frame) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)) };
};
/** How a handshake is refused. */
const refusal = (query, headers = {}) =>
  within(new Promise((yes) => {
    const socket = new WebSocket(`${socketUrl}${query}`, { headers });
    socket.on('unexpected-response', (_, answer) => {
      let body = '';
      answer.on('data', (part) => (body += part)).on('end', () => yes([answer.statusCode, JSON.parse(body).error]));
    });
    socket.on('open', () => yes([101]));
    socket.on('error', () => {});
  }), 'a refusal');
const token = (claims, secret = 'super-secret-jwt-token-with-at-least-32-characters-long') => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
};
const soon = (seconds) => Math.floor(Date.now() / 1000) + seconds;

// 4.1
test('4.1 handshake: a key or none, one that is none, one that expired', async () => {
  assert.equal((await refusal('?vsn=1.0.0'))[0], 401);
  assert.equal((await refusal('?apikey=x.y.z'))[0], 401);
  assert.equal((await refusal(`?apikey=${token({ role: 'anon', exp: soon(-100) })}`))[0], 401);
  assert.equal((await refusal(`?apikey=${token({ role: 'anon', exp: soon(100) }, 'another-secret-of-32-characters-or-more')}`))[0], 401);
  assert.equal((await refusal(`?apikey=${token({ role: 'anon' })}`))[0], 401);
  assert.deepEqual(await refusal('?vsn=1.0.0', { 'x-api-key': anonKey }), [101]);
});
test('4.1 version 1: heartbeat, join, unmatched topic', async () => {
  const { socket, frames, send } = await raw();
  send({ topic: 'phoenix', event: 'heartbeat', payload: {}, ref: '7' });
  assert.deepEqual(await frames.next(), { topic: 'phoenix', event: 'phx_reply', payload: { status: 'ok', response: {} }, ref: '7' });
  const name = topic('realtime:a');
  send({ topic: name, event: 'phx_join', payload: {}, ref: '1', join_ref: '1' });
  assert.deepEqual((await frames.next()).payload, { status: 'ok', response: { postgres_changes: [] } });
  send({ topic: 'realtime:other', event: 'x', payload: {}, ref: '2' });
  assert.deepEqual((await frames.next()).payload, { status: 'error', response: { reason: 'unmatched topic' } });
  socket.close();
});
test('4.1 version 2: references come back, a second join replaces the first, leaving closes', async () => {
  const { socket, frames, send } = await raw('2.0.0');
  send([null, '7', 'phoenix', 'heartbeat', {}]);
  assert.deepEqual(await frames.next(), [null, '7', 'phoenix', 'phx_reply', { status: 'ok', response: {} }]);
  const name = topic('realtime:a');
  send(['1', '1', name, 'phx_join', {}]);
  assert.deepEqual(await frames.next(), ['1', '1', name, 'phx_reply', { status: 'ok', response: { postgres_changes: [] } }]);
  send(['2', '2', name, 'phx_join', {}]);
  assert.deepEqual(await frames.next(), ['1', '1', name, 'phx_close', {}]);
  assert.deepEqual((await frames.next()).slice(0, 4), ['2', '2', name, 'phx_reply']);
  send(['2', '3', name, 'phx_leave', {}]);
  assert.deepEqual(await frames.next(), ['2', '3', name, 'phx_reply', { status: 'ok', response: {} }]);
  assert.deepEqual(await frames.next(), ['2', '2', name, 'phx_close', {}]);
  send(['2', '4', name, 'broadcast', { type: 'broadcast', event: 'x', payload: {} }]);
  assert.deepEqual((await frames.next())[4].response, { reason: 'unmatched topic' });
  socket.close();
});
test('4.1 what is no frame ends the connection', async () => {
  const { send, closed } = await raw('2.0.0');
  send('nonsense');
  assert.equal((await within(closed, 'the end')).code, 1003);
});
// 4.2
test('4.2 join: a topic has a name; strings for booleans; a token that is none', async () => {
  const { socket, frames, send } = await raw('2.0.0');
  send(['1', '1', 'realtime:', 'phx_join', {}]);
  assert.match((await frames.next())[4].response.reason, /^TopicNameRequired/);
  send(['1', '1', topic('realtime:a'), 'phx_join', { config: { broadcast: { ack: 'true' }, private: 'false' }, access_token: null }]);
  assert.equal((await frames.next())[4].status, 'ok');
  send(['1', '1', topic('realtime:a'), 'phx_join', { access_token: 'a.b.c' }]);
  assert.match((await frames.next())[4].response.reason, /^InvalidJWTToken/);
  const expired = token({ role: 'authenticated', exp: soon(-120) });
  send(['1', '1', topic('realtime:a'), 'phx_join', { access_token: expired }]);
  assert.match((await frames.next())[4].response.reason, /^InvalidJWTToken: .*expired/i);
  socket.close();
});
test('4.2 join: more channels than a connection may have', async () => {
  const { socket, frames, send } = await raw('2.0.0');
  const answers = [];
  for (let at = 0; at < 101; at += 1) {
    // Slower than joins are limited to.
    if (at === 60) await new Promise((yes) => setTimeout(yes, 1100));
    send(['1', '1', `realtime:many-${at}`, 'phx_join', {}]);
    answers.push((await frames.next())[4]);
  }
  assert.equal(answers.filter((answer) => answer.status === 'ok').length, 100);
  assert.match(answers[100].response.reason, /^ChannelRateLimitReached/);
  socket.close();
});
test('4.2 system message: the database is heard', async () => {
  const heard = inbox('system');
  const channel = client().channel(topic('sys'), { config: { broadcast: { replication_ready: true } } }).on('system', {}, heard.take);
  await subscribed(channel);
  const { extension, status, message } = await heard.next();
  assert.deepEqual([extension, status, message], ['system', 'ok', 'Replication connection established']);
});
// 4.3
test('4.3 access_token: an expired one ends the channel, and says so', async () => {
  const { socket, frames, send } = await raw('2.0.0');
  const name = topic('realtime:a');
  send(['1', '1', name, 'phx_join', {}]);
  await frames.next();
  send(['1', '2', name, 'access_token', { access_token: null }]);
  send(['1', '3', name, 'access_token', { access_token: 'sb_publishable_x' }]);
  send(['1', '4', name, 'access_token', { access_token: token({ role: 'authenticated', exp: soon(-120) }) }]);
  const told = await frames.next();
  assert.deepEqual([told[3], told[4].status, told[4].extension], ['system', 'error', 'system']);
  assert.match(told[4].message, /expired/i);
  assert.deepEqual(await frames.next(), ['1', '1', name, 'phx_close', {}]);
  socket.close();
});
test('4.3 access_token: the server looks by itself, and a new token carries on', async () => {
  const { socket, frames, send } = await raw('2.0.0');
  const names = [topic('realtime:a'), topic('realtime:b')];
  // Within the 30 s by which clocks may differ.
  const old = token({ role: 'authenticated', exp: soon(-26) });
  for (const name of names) {
    send(['1', '1', name, 'phx_join', { access_token: old }]);
    assert.equal((await frames.next())[4].status, 'ok');
  }
  send(['1', '2', names[0], 'access_token', { access_token: token({ role: 'authenticated', exp: soon(600) }) }]);
  assert.equal((await frames.next())[2], names[1], 'the one that was not renewed');
  assert.equal((await frames.next())[3], 'phx_close');
  send([null, '9', 'phoenix', 'heartbeat', {}]);
  assert.equal((await frames.next())[2], 'phoenix');
  socket.close();
});
// 4.4
test('4.4 broadcast: others hear, the sender does not', async () => {
  const name = topic('room');
  const [one, two] = [await room(client(), name), await room(client(), name)];
  assert.equal(await one.channel.send({ type: 'broadcast', event: 'hi', payload: { n: 1.5, deep: { a: [1, null] } } }), 'ok');
  const { event, payload } = await two.heard.next();
  assert.deepEqual([event, payload], ['hi', { n: 1.5, deep: { a: [1, null] } }]);
  await two.channel.send({ type: 'broadcast', event: 'back', payload: {} });
  assert.equal((await one.heard.next()).event, 'back', 'and not its own before');
});
test('4.4 broadcast: to itself, answered', async () => {
  const one = await room(client(), topic('room'), { config: { broadcast: { self: true, ack: true } } });
  assert.equal(await one.channel.send({ type: 'broadcast', event: 'hi', payload: { a: 1 } }), 'ok');
  assert.deepEqual((await one.heard.next()).payload, { a: 1 });
});
test('4.4 broadcast: bytes', async () => {
  const name = topic('room');
  const [one, two] = [await room(client(), name), await room(client(), name)];
  await one.channel.send({ type: 'broadcast', event: 'bytes', payload: new Uint8Array([0, 255, 7]).buffer });
  assert.deepEqual([...new Uint8Array((await two.heard.next()).payload)], [0, 255, 7]);
});
test('4.4 broadcast: between the versions, and no bytes to version 1', async () => {
  const name = topic('room');
  const old = await room(client(anonKey, { vsn: '1.0.0' }), name);
  const young = await room(client(), name);
  await young.channel.send({ type: 'broadcast', event: 'bytes', payload: new Uint8Array([1]).buffer });
  await young.channel.send({ type: 'broadcast', event: 'hi', payload: { a: 1 } });
  const heard = await old.heard.next();
  assert.deepEqual([heard.type, heard.event, heard.payload], ['broadcast', 'hi', { a: 1 }]);
  await old.channel.send({ type: 'broadcast', event: 'back', payload: { b: 2 } });
  assert.deepEqual((await young.heard.next()).payload, { b: 2 });
});
test('4.4 broadcast by HTTP: before the join, many, one, bytes', async () => {
  const name = topic('room');
  const two = await room(client(), name);
  const one = client().channel(name);
  assert.equal(await one.send({ type: 'broadcast', event: 'early', payload: { a: 1 } }), 'ok');
  assert.deepEqual((await two.heard.next()).payload, { a: 1 });
  assert.deepEqual(await one.httpSend('one', { a: 2 }), { success: true });
  assert.deepEqual((await two.heard.next()).payload, { a: 2 });
  await one.httpSend('bytes', new Uint8Array([9]).buffer);
  assert.deepEqual([...new Uint8Array((await two.heard.next()).payload)], [9]);
});
test('4.4 broadcast by HTTP: what is refused', async () => {
  const post = (body, headers = { apikey: anonKey }) =>
    fetch(`${url}/realtime/v1/api/broadcast`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  const messages = JSON.stringify({ messages: [{ topic: 'a', event: 'e', payload: {} }] });
  assert.equal((await post(messages)).status, 202);
  assert.equal((await post(messages, {})).status, 401);
  assert.equal((await post(messages, { apikey: 'x.y.z' })).status, 401);
  assert.equal((await post('{"messages":[{"event":"e"}]}')).status, 422);
  const large = { messages: [{ topic: 'a', event: 'e', payload: { a: 'x'.repeat(300000) } }] };
  assert.equal((await post(JSON.stringify(large))).status, 413);
});
test('4.4 broadcast: a payload that is too large, too many a second', async () => {
  const one = await room(client(), topic('room'), { config: { broadcast: { ack: true } } });
  assert.equal(await one.channel.send({ type: 'broadcast', event: 'x', payload: { a: 'x'.repeat(263000) } }), 'error');
  const told = inbox('system');
  const { socket, frames, send } = await raw('2.0.0');
  const name = topic('realtime:a');
  send(['1', '1', name, 'phx_join', {}]);
  await frames.next();
  for (let at = 0; at < 500; at += 1) send(['1', '2', name, 'broadcast', { type: 'broadcast', event: 'x', payload: {} }]);
  const limit = await frames.next();
  assert.match(limit[4].message, /Too many messages per second/);
  socket.close();
  assert.deepEqual(told.all, []);
});
test('4.4 broadcast from the database', async () => {
  const name = topic('room');
  const one = await room(client(), name, { config: { broadcast: { replication_ready: true } } });
  const ready = inbox('system');
  const two = client().channel(topic('x'), { config: { broadcast: { replication_ready: true } } }).on('system', {}, ready.take);
  await subscribed(two);
  await ready.next();
  await done(service.rpc('send_word', { topic: name, word: 'hello', is_private: false }));
  const { event, payload } = await one.heard.next();
  assert.deepEqual([event, payload.word], ['shout', 'hello']);
});
// 4.5
test('4.5 private: who may not hear may not join', async () => {
  await assert.rejects(room(client(), topic('club'), { config: { private: true } }), /Unauthorized|permissions/);
  const ann = await person();
  await assert.rejects(room(ann.supabase, topic('other'), { config: { private: true } }), /Unauthorized|permissions/);
});
test('4.5 private: who hears but may not speak is not heard; a public channel of the same name hears nothing', async () => {
  const name = topic('club');
  const config = { private: true, broadcast: { ack: true } };
  const [ann, ben] = [await person({ member: 'yes' }), await person()];
  const [one, two] = [await room(ann.supabase, name, { config }), await room(ben.supabase, name, { config })];
  const outside = await room(client(), name);
  assert.equal(await two.channel.send({ type: 'broadcast', event: 'x', payload: {} }), 'error');
  assert.equal(await one.channel.send({ type: 'broadcast', event: 'hi', payload: {} }), 'ok');
  assert.equal((await two.heard.next()).event, 'hi');
  assert.deepEqual([one.heard.all, outside.heard.all], [[], []]);
});
test('4.5 private: by HTTP and from the database', async () => {
  const name = topic('club');
  const [ann, ben] = [await person({ member: 'yes' }), await person()];
  const one = await room(ben.supabase, name, { config: { private: true } });
  const send = (who, event) =>
    fetch(`${url}/realtime/v1/api/broadcast`, {
      method: 'POST', headers: { 'content-type': 'application/json', apikey: anonKey, authorization: `Bearer ${who.token}` },
      body: JSON.stringify({ messages: [{ topic: name, event, payload: {}, private: true }] }),
    });
  assert.equal((await send(ben, 'not heard')).status, 202);
  assert.equal((await send(ann, 'heard')).status, 202);
  assert.equal((await one.heard.next()).event, 'heard');
  await done(service.rpc('send_word', { topic: name, word: 'private', is_private: true }));
  assert.equal((await one.heard.next()).payload.word, 'private');
  await done(service.rpc('send_change', { topic: name, id: 5 }));
  const { event, payload } = await one.heard.next();
  assert.deepEqual([event, payload.operation, payload.table, payload.record.id, payload.old_record], ['changed', 'INSERT', 'wires', 5, null]);
});
test('4.5 private: a new token without the right ends the channel', async () => {
  const ann = await person();
  const { socket, frames, send } = await raw('2.0.0');
  const name = topic('realtime:club');
  send(['1', '1', name, 'phx_join', { config: { private: true }, access_token: ann.token }]);
  assert.equal((await frames.next())[4].status, 'ok');
  send(['1', '2', name, 'access_token', { access_token: anonKey }]);
  assert.match((await frames.next())[4].message, /permissions/);
  assert.equal((await frames.next())[3], 'phx_close');
  socket.close();
});
test('4.4 replay: earlier broadcasts of a private channel', async () => {
  const name = topic('club');
  const ann = await person();
  await done(service.rpc('send_word', { topic: name, word: 'before', is_private: true }));
  const config = { private: true, broadcast: { replay: { since: Date.now() - 60000, limit: 10 } } };
  const one = await room(ann.supabase, name, { config });
  const { payload, meta } = await one.heard.next();
  assert.deepEqual([payload.word, meta.replayed], ['before', true]);
  await done(service.rpc('send_bytes', { topic: name, word: 'as bytes', is_private: true }));
  const two = await room((await person()).supabase, name, { config });
  await two.heard.next();
  assert.equal(Buffer.from((await two.heard.next()).payload).toString(), 'as bytes');
});
// 4.6
const present = async (supabase, name, key, config = {}) => {
  const syncs = inbox(`presence in ${name}`), joins = inbox('a join'), leaves = inbox('a leave');
  const channel = supabase.channel(name, { config: { presence: { key }, ...config } });
  channel.on('presence', { event: 'sync' }, () => syncs.take(channel.presenceState()));
  channel.on('presence', { event: 'join' }, joins.take).on('presence', { event: 'leave' }, leaves.take);
  await subscribed(channel);
  return { channel, syncs, joins, leaves };
};
test('4.6 presence: tracked, changed, the same again, untracked', async () => {
  const name = topic('lobby');
  const ann = await present(client(), name, 'ann');
  assert.deepEqual(await ann.syncs.next(), {});
  assert.equal(await ann.channel.track({ at: 'door' }), 'ok');
  const { key, newPresences } = await ann.joins.next();
  assert.deepEqual([key, newPresences[0].at, typeof newPresences[0].presence_ref], ['ann', 'door', 'string']);
  const ben = await present(client(), name, 'ben');
  assert.equal((await ben.syncs.next()).ann[0].at, 'door', 'who comes later sees who is there');
  await ben.channel.track({ at: 'bar' });
  assert.equal((await ann.joins.next()).key, 'ben');
  await ann.channel.track({ at: 'door' });
  await ann.channel.track({ at: 'window' });
  const seen = [];
  while (seen.at(-1) !== 'window') seen.push((await ben.joins.next()).newPresences[0].at);
  assert.ok(seen.filter((at) => at === 'door').length <= 1, 'the same again is no news');
  assert.equal(await ann.channel.untrack(), 'ok');
  const left = await ben.leaves.next();
  assert.equal(left.key, 'ann');
});
test('4.6 presence: leaving and a connection that breaks end it', async () => {
  const name = topic('lobby');
  const watcher = await present(client(), name, 'watcher');
  const [ann, ben] = [await present(client(), name, 'ann'), client()];
  await ann.channel.track({});
  await watcher.joins.next();
  const second = await present(ben, name, 'ben');
  await second.channel.track({});
  await watcher.joins.next();
  await ann.channel.unsubscribe();
  assert.equal((await watcher.leaves.next()).key, 'ann');
  ben.realtime.disconnect();
  assert.equal((await watcher.leaves.next()).key, 'ben');
});
test('4.6 presence: a payload that is no map, an event that is none', async () => {
  const { socket, frames, send } = await raw('2.0.0');
  const name = topic('realtime:a');
  send(['1', '1', name, 'phx_join', {}]);
  await frames.next();
  send(['1', '2', name, 'presence', { type: 'presence', event: 'track', payload: 'x' }]);
  assert.deepEqual((await frames.next())[4], { status: 'error', response: { reason: 'Presence track payload must be a map' } });
  send(['1', '3', name, 'presence', { type: 'presence', event: 'dance' }]);
  assert.equal((await frames.next())[4].status, 'error');
  socket.close();
});
test('4.6 presence: by policy', async () => {
  const name = topic('hall');
  const ann = await person();
  const one = await present(ann.supabase, name, 'ann', { private: true });
  assert.notEqual(await one.channel.track({ a: 1 }), 'ok');
  assert.deepEqual(one.syncs.all, []);
});
// 4.7
const changesOf = async (supabase, bindings, name = topic('rows')) => {
  const heard = inbox(`a change for ${name}`), system = inbox('a system message');
  let channel = supabase.channel(name).on('system', {}, system.take);
  for (const binding of bindings) channel = channel.on('postgres_changes', { schema: 'lab', ...binding }, heard.take);
  await subscribed(channel);
  return { channel, heard, system };
};
const followed = async (supabase, ...bindings) => {
  const follow = await changesOf(supabase, bindings);
  const { extension, status, message } = await follow.system.next();
  assert.deepEqual([extension, status, message], ['postgres_changes', 'ok', 'Subscribed to PostgreSQL']);
  return follow;
};
let lastId = 1000;
const id = () => (lastId += 1);
const wire = (row) => done(service.from('wires').insert({ id: id(), ...row }).select('id').single());
test('4.7 changes: insert, update and delete, with types as PostgREST writes them', async () => {
  const ann = await person();
  const { heard } = await followed(ann.supabase, { event: '*', table: 'wires' });
  const row = { id: id(), owner_id: ann.id, amount: 1.5, tags: ['a', 'b,c'], facts: { x: [1] }, done: true, sent_at: '2026-01-02T03:04:05.5+00:00' };
  await done(service.from('wires').insert({ ...row, secret: 'hidden' }));
  const insert = await heard.next();
  assert.deepEqual([insert.eventType, insert.schema, insert.table, insert.errors], ['INSERT', 'lab', 'wires', null]);
  assert.deepEqual(insert.new, row, 'without what the role may not read');
  assert.ok(Math.abs(Date.parse(insert.commit_timestamp) - Date.now()) < 60000);
  await done(service.from('wires').update({ amount: 2 }).eq('id', row.id));
  const update = await heard.next();
  assert.deepEqual([update.eventType, update.new.amount, update.old], ['UPDATE', 2, { id: row.id }]);
  await done(service.from('wires').delete().eq('id', row.id));
  const gone = await heard.next();
  assert.deepEqual([gone.eventType, gone.old, gone.new], ['DELETE', { id: row.id }, {}]);
});
test('4.7 changes: what somebody may not read is not sent', async () => {
  const [ann, ben] = [await person(), await person()];
  const [one, two] = [await followed(ann.supabase, { event: '*', table: 'wires' }), await followed(ben.supabase, { event: '*', table: 'wires' })];
  const hers = await wire({ owner_id: ann.id });
  const his = await wire({ owner_id: ben.id });
  assert.equal((await one.heard.next()).new.id, hers.id);
  assert.equal((await two.heard.next()).new.id, his.id);
  await done(service.from('wires').update({ owner_id: ben.id }).eq('id', hers.id));
  assert.equal((await two.heard.next()).new.id, hers.id, 'and who has it now');
  assert.deepEqual([one.heard.all, two.heard.all], [[], []]);
});
test('4.7 changes: what a row was while nobody might read it is not sent when he may', async () => {
  const ann = await person();
  const { heard } = await followed(ann.supabase, { event: '*', table: 'wires' });
  const number = id();
  await Promise.all([
    service.from('wires').insert({ id: number, amount: 666 }).then(() => service.from('wires').update({ owner_id: ann.id, amount: 1 }).eq('id', number)),
  ]);
  assert.deepEqual([(await heard.next()).new.amount, heard.all], [1, []]);
});
test('4.7 changes: a visitor has no right, the service has all', async () => {
  const { system } = await changesOf(client(), [{ event: '*', table: 'wires' }]);
  const told = await system.next();
  assert.deepEqual([told.status, told.extension], ['error', 'postgres_changes']);
  assert.match(told.message, /permission denied/);
  const all = await followed(client(serviceKey), { event: 'INSERT', table: 'wires' });
  const { id: number } = await wire({ amount: 3 });
  assert.equal((await all.heard.next()).new.id, number);
});
test('4.7 changes: events, several bindings, one push for all that match', async () => {
  const ann = await person();
  const seen = { all: inbox('all'), insert: inbox('insert'), update: inbox('update') };
  const channel = ann.supabase.channel(topic('rows'));
  const ok = inbox('system');
  channel.on('system', {}, ok.take)
    .on('postgres_changes', { event: '*', schema: 'lab', table: 'wires' }, seen.all.take)
    .on('postgres_changes', { event: 'INSERT', schema: 'lab', table: 'wires' }, seen.insert.take)
    .on('postgres_changes', { event: 'UPDATE', schema: 'lab', table: 'wires' }, seen.update.take);
  await subscribed(channel);
  await ok.next();
  const { id: number } = await wire({ owner_id: ann.id });
  await done(service.from('wires').update({ done: true }).eq('id', number));
  assert.deepEqual([(await seen.all.next()).eventType, (await seen.all.next()).eventType], ['INSERT', 'UPDATE']);
  assert.equal((await seen.insert.next()).eventType, 'INSERT');
  assert.equal((await seen.update.next()).eventType, 'UPDATE');
  assert.deepEqual([seen.insert.all, seen.update.all], [[], []]);
});
const filters = [
  ['eq', 'word=eq.b', ['b']], ['neq', 'word=neq.b', ['a', 'c']], ['lt', 'rank=lt.2', ['a']], ['lte', 'rank=lte.2', ['a', 'b']],
  ['gt', 'rank=gt.2', ['c']], ['gte', 'rank=gte.2', ['b', 'c']], ['in', 'rank=in.(1,3)', ['a', 'c']], ['like', 'word=like.%b%', ['b']],
  ['ilike', 'word=ilike.B', ['b']], ['match', 'word=match.^[ab]$', ['a', 'b']], ['imatch', 'word=imatch.^[AB]$', ['a', 'b']],
  ['is', 'word=not.is.null', ['a', 'b', 'c']], ['isdistinct', 'rank=isdistinct.2', ['a', 'c']], ['not', 'rank=not.in.(1,2)', ['c']],
  ['bool', 'done=eq.false', ['a', 'b', 'c']], ['char', 'code=eq.x', ['a', 'b', 'c']], ['time', 'at=lt.2026-01-01T01:00:00Z', ['a', 'b', 'c']],
  ['text order', 'word=gt.a', ['b', 'c']], ['two', 'rank=gte.2,word=neq.c', ['b']],
];
test('4.7 filters: each of them', async () => {
  const opened = await Promise.all(filters.map(async ([, filter]) => followed(client(), { event: 'INSERT', table: 'open_wires', filter })));
  for (const [at, word] of ['a', 'b', 'c', 'end'].entries()) {
    const rows = word === 'end' ? [{ id: id(), word: 'a', rank: 1 }, { id: id(), word: 'b', rank: 2 }, { id: id(), word: 'c', rank: 3 }] : [{ id: id(), word, rank: at + 1 }];
    await done(service.from('open_wires').insert(rows));
  }
  for (const [at, [name, filter, words]] of filters.entries()) {
    const got = [];
    // The second round shows that nothing of the first is still to come.
    for (const _ of [...words, ...words]) got.push((await opened[at].heard.next()).new.word);
    assert.deepEqual(got, [...words, ...words], `${name}: ${filter}`);
  }
});
test('4.7 filters: a column that is none, or not to be read, and a value that is none', async () => {
  const ann = await person();
  for (const filter of ['nothing=eq.1', 'secret=eq.x', 'id=eq.x', 'word', 'id=match.(']) {
    const name = topic('rows');
    const answer = await changesOf(ann.supabase, [{ event: '*', table: 'wires', filter }], name).then(({ system }) => system.next(), (error) => ({ status: 'error', message: error.message }));
    assert.equal(answer.status, 'error', filter);
  }
});
test('4.7 changes: a whole old row where no policy hides any, wildcards, a selection', async () => {
  const { heard } = await followed(client(), { event: '*', table: '*' });
  const chosen = await followed(client(), { event: 'UPDATE', table: 'open_wires', select: ['rank'] });
  const number = id();
  await done(service.from('open_wires').insert({ id: number, word: 'old', rank: 1 }));
  await done(service.from('open_wires').update({ word: 'new' }).eq('id', number));
  assert.equal((await heard.next()).new.word, 'old');
  assert.deepEqual((await heard.next()).old, { id: number, word: 'old', rank: 1, done: false, code: 'x    ', at: '2026-01-01T00:00:00+00:00' });
  assert.deepEqual((await chosen.heard.next()).new, { id: number, rank: 1 });
});
test('4.7 changes: a table without a key', async () => {
  const { heard } = await followed(client(), { event: '*', table: 'bare' });
  await done(service.from('bare').insert({ word: 'x' }));
  const { errors, new: row } = await heard.next();
  assert.deepEqual([errors, row], [['Error 400: Bad Request, no primary key'], {}]);
});
test('4.7 changes: a large row is told without its long values', async () => {
  const { heard } = await followed(client(), { event: '*', table: 'open_wires', filter: 'rank=eq.99' });
  const number = id();
  await done(service.from('open_wires').insert({ id: number, word: 'x'.repeat(1100000), rank: 99 }));
  const { errors, new: row } = await heard.next();
  assert.deepEqual([errors, row], [['Error 413: Payload Too Large'], { id: number, rank: 99, done: false, code: 'x    ', at: '2026-01-01T00:00:00+00:00' }]);
});
test('4.7 publication: a table outside says so, and is told once it is in', async () => {
  const { system, heard } = await changesOf(client(), [{ event: '*', table: 'late_wires' }]);
  assert.match((await system.next()).message, /Unable to subscribe to changes with given parameters/);
  await done(service.rpc('publish_late_wires'));
  assert.equal((await system.next()).message, 'Subscribed to PostgreSQL');
  await done(service.from('late_wires').insert({ id: 1 }));
  assert.deepEqual((await heard.next()).new, { id: 1 });
});
test('4.3 and 4.7: a new token has its own rights from then on', async () => {
  const [ann, ben] = [await person(), await person()];
  const { channel, heard } = await followed(ann.supabase, { event: 'INSERT', table: 'wires' });
  await ann.supabase.realtime.setAuth(ben.token);
  await channel.track({});
  await wire({ owner_id: ann.id });
  const his = await wire({ owner_id: ben.id });
  assert.equal((await heard.next()).new.id, his.id);
});
// 4.8
test('4.8 setAuth: the token of a session reaches channels that were joined as a visitor', async () => {
  const name = topic('club');
  const made = client();
  const before = await room(made, topic('open'));
  await done(made.auth.signUp({ email: `${randomUUID()}@example.com`, password: 'correct horse battery' }));
  await made.realtime.setAuth();
  const after = await room(made, name, { config: { private: true } });
  assert.ok(before.channel.state === 'joined' && after.channel.state === 'joined');
});

let failed = 0;
const only = process.argv[5];
const chosen = cases.filter(([name]) => !only || name.includes(only));
for (const [name, run] of chosen) {
  try {
    await run();
  } catch (error) {
    failed += 1;
    console.log(`supabase-js: ${name}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
  }
  opened.splice(0).forEach((made) => made !== service && made.realtime.disconnect());
}
console.log(`${chosen.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
