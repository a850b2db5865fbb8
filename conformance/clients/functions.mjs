// Cases of /functions/v1 by the npm package @supabase/supabase-js. Each names the row of the protocol that it shows.
// usage: node functions.mjs URL ANON_KEY SERVICE_KEY
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createClient, FunctionsFetchError, FunctionsHttpError } from '@supabase/supabase-js';

const [url, anonKey] = process.argv.slice(2);
class NoSocket {}
const connect = () => createClient(url, anonKey, { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: NoSocket } });
const cases = [];
const test = (name, run) => cases.push([name, run]);
const person = async () => {
  const supabase = connect();
  const { data, error } = await supabase.auth.signUp({ email: `${randomUUID()}@example.com`, password: 'correct horse battery' });
  assert.equal(error, null);
  return { supabase, id: data.user.id, invoke: (name, options) => supabase.functions.invoke(name, options) };
};
/** What a function answers, which must have gone well. */
const answer = async (call) => {
  const { data, error } = await call;
  assert.equal(error, null, error && JSON.stringify(await error.context.json()));
  return data;
};
/** How it is refused: status and body. */
const refusal = async (call) => {
  const { data, error } = await call;
  assert.equal(data, null);
  assert.ok(error instanceof FunctionsHttpError, String(error));
  return [error.context.status, await error.context.json()];
};

test('5 invoke: a JSON body, a JSON answer', async () => {
  const rates = await answer((await person()).invoke('get-exchange-rates', { body: {} }));
  assert.deepEqual([rates.success, typeof rates.rates.USD_TO_AED], [true, 'number']);
});
test('5 invoke: no body at all', async () => {
  assert.equal((await answer((await person()).invoke('deployment-health-check'))).overall_status, 'healthy');
});
test('5 invoke: a body that is text', async () => {
  const rates = await answer((await person()).invoke('get-exchange-rates', { body: '{}' }));
  assert.equal(rates.success, true);
});
test('5 invoke: a region is passed over', async () => {
  const rates = await answer((await person()).invoke('get-exchange-rates', { body: {}, region: 'eu-west-1' }));
  assert.equal(rates.success, true);
});
test('5 errors: without a person 401, under error, detail and code', async () => {
  const [status, body] = await refusal(connect().functions.invoke('get-exchange-rates', { body: {} }));
  assert.deepEqual([status, body.code, body.error], [401, 'not_signed_in', body.detail]);
});
test('5 errors: a token that is none', async () => {
  const headers = { authorization: 'Bearer a.b.c' };
  const [status, body] = await refusal(connect().functions.invoke('get-exchange-rates', { body: {}, headers }));
  assert.equal(status, 401, JSON.stringify(body));
});
test('5 errors: an unknown function 404', async () => {
  const [status, body] = await refusal((await person()).invoke('no-such-function', { body: {} }));
  assert.deepEqual([status, body.code], [404, 'not_found']);
});
test('5 errors: a body that does not fit 400, a role that is missing 403', async () => {
  const ann = await person();
  const [status, body] = await refusal(ann.invoke('create-investment', { body: { propertyId: 'x' } }));
  assert.deepEqual([status, body.code], [400, 'invalid']);
  const [no, why] = await refusal(ann.invoke('list-kyc-queue', { body: {} }));
  assert.deepEqual([no, why.code], [403, 'not_permitted']);
});
test('5 errors: names that are known and not built say so', async () => {
  const ann = await person();
  for (const name of ['deploy-property-contract', 'live-tokenization-deploy', 'toko-chat', 'ai-buddy-chat']) {
    const [status, body] = await refusal(ann.invoke(name, { body: {} }));
    assert.deepEqual([status, body.code], [501, 'not_available'], name);
  }
});
test('5 errors: a server that is not there', async () => {
  const nowhere = createClient('http://127.0.0.1:9', anonKey, { realtime: { transport: NoSocket } });
  const { error } = await nowhere.functions.invoke('get-exchange-rates', { body: {} });
  assert.ok(error instanceof FunctionsFetchError);
});
test('5 CORS: a preflight needs no key and is allowed what clients send; answers may be read', async () => {
  const asked = 'authorization, x-client-info, apikey, content-type, idempotency-key, x-region';
  const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': asked };
  const preflight = await fetch(`${url}/functions/v1/get-exchange-rates`, { method: 'OPTIONS', headers });
  assert.equal(preflight.status, 200);
  assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
  assert.match(preflight.headers.get('access-control-allow-methods'), /POST/);
  const allowed = preflight.headers.get('access-control-allow-headers').toLowerCase().split(/, ?/);
  for (const name of asked.split(', ')) assert.ok(allowed.includes(name), name);
  const refused = await fetch(`${url}/functions/v1/get-exchange-rates`, { method: 'POST', headers: { origin: 'https://app.example' } });
  assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [401, '*']);
});
test('retries: the same key and body answer the same, another body is refused', async () => {
  const ann = await person();
  const headers = { 'Idempotency-Key': randomUUID() };
  const ask = (body) => ann.invoke('calculate-analytics', { body, headers });
  const told = await answer(ask({ user_id: ann.id }));
  assert.deepEqual(await answer(ask({ user_id: ann.id })), told);
  const [status, why] = await refusal(ask({}));
  assert.deepEqual([status, why.code], [422, 'idempotency_key_reused']);
});
test('the figures of a person: his own, and nobody else\'s', async () => {
  const [ann, ben] = [await person(), await person()];
  const { data } = await answer(ann.invoke('calculate-analytics', { body: { user_id: ann.id } }));
  assert.deepEqual([data.holdings, data.invested], [[], []]);
  const [status] = await refusal(ann.invoke('calculate-analytics', { body: { user_id: ben.id } }));
  assert.equal(status, 403);
  const [no] = await refusal(ann.invoke('sync-property-data', { body: {} }));
  assert.equal(no, 403);
});
test('the page: every function, with what it takes', async () => {
  const page = await (await fetch(`${url}/functions/v1/openapi.json`)).json();
  assert.match(page.openapi, /^3\./);
  const { post } = page.paths['/create-investment'];
  assert.ok(post.summary && post.responses.default && post.security.length > 0);
  assert.ok(Object.keys(page.paths).length > 60);
});

let failed = 0;
for (const [name, run] of cases) {
  try {
    await run();
  } catch (error) {
    failed += 1;
    console.log(`supabase-js: functions: ${name}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
  }
}
console.log(`${cases.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
