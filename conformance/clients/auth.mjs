// Cases of /auth/v1 by the npm package @supabase/supabase-js. Each names the row of GoTrue's protocol that it shows.
// usage: node auth.mjs URL ANON_KEY SERVICE_KEY [ISSUER [ALGORITHM]]
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { createClient } from '@supabase/supabase-js';

const [url, anonKey, serviceKey, issuer, algorithm = 'HS256'] = process.argv.slice(2);
// Nothing here is live, and Node.js before 22 has no WebSocket of its own.
class NoSocket {}
const quiet = (auth = {}) => ({ auth: { persistSession: false, autoRefreshToken: false, ...auth }, realtime: { transport: NoSocket } });
const visitor = (auth) => createClient(url, anonKey, quiet(auth)).auth;
const admin = createClient(url, serviceKey, quiet()).auth.admin;
const password = 'correct horse battery';
const address = () => `${randomUUID()}@example.com`;
const cases = [];
const test = (name, run) => cases.push([name, run]);

const given = async (request) => {
  const { data, error } = await request;
  assert.equal(error, null, JSON.stringify(error));
  return data;
};
const refused = async (request, status, code) => {
  const { error } = await request;
  assert.deepEqual([error?.status, error?.code], [status, code], JSON.stringify(error));
  return error;
};
const signedUp = async (email = address()) => {
  const auth = visitor();
  await given(auth.signUp({ email, password }));
  return { auth, email };
};
/** The newest mail to an address. */
const mail = async (email) => {
  const answer = await fetch(`${url}/auth/v1/dev/mails?to=${email}`, { headers: { accept: 'application/json' } });
  const [newest] = await answer.json();
  return { code: newest.text.match(/\b\d{6}\b/)[0], link: newest.text.match(/^http.*$/m)?.[0] };
};
/** Where a link sends a browser. */
const follow = async (link) => (await fetch(link, { redirect: 'manual' })).headers.get('location');
const wait = () => new Promise((done) => setTimeout(done, 1100));

test('POST /signup: session at once', async () => {
  const email = address();
  const { user, session } = await given(visitor().signUp({ email, password, options: { data: { name: 'Ann' } } }));
  assert.equal(session.token_type, 'bearer');
  assert.equal(session.expires_in, 3600);
  assert.deepEqual([user.email, user.user_metadata.name, user.identities[0].provider], [email, 'Ann', 'email']);
  await refused(visitor().signUp({ email, password }), 422, 'user_already_exists');
});
test('POST /signup: weak password', async () => {
  const error = await refused(visitor().signUp({ email: address(), password: 'short' }), 422, 'weak_password');
  assert.deepEqual(error.reasons, ['length']);
});
test('POST /signup: without a name, and named later', async () => {
  const auth = visitor();
  const { user } = await given(auth.signInAnonymously());
  assert.equal(user.is_anonymous, true);
  const email = address();
  const named = await given(auth.updateUser({ email, password }));
  assert.deepEqual([named.user.id, named.user.email, named.user.is_anonymous], [user.id, email, false]);
});
test('POST /token?grant_type=password', async () => {
  const { email } = await signedUp();
  const auth = visitor();
  const { user } = await given(auth.signInWithPassword({ email, password }));
  assert.equal((await given(auth.getUser())).user.id, user.id);
  await refused(visitor().signInWithPassword({ email, password: 'wrong' }), 400, 'invalid_credentials');
  await refused(visitor().signInWithPassword({ email: address(), password }), 400, 'invalid_credentials');
});
test('POST /token?grant_type=refresh_token', async () => {
  const { auth } = await signedUp();
  const before = (await given(auth.getSession())).session;
  const { session } = await given(auth.refreshSession());
  assert.notEqual(session.refresh_token, before.refresh_token);
  const tabs = await Promise.all([1, 2, 3].map(() => visitor().refreshSession({ refresh_token: before.refresh_token })));
  for (const tab of tabs) assert.equal(tab.error, null);
  await refused(visitor().refreshSession({ refresh_token: 'none of ours' }), 400, 'refresh_token_not_found');
  await given(auth.setSession(session));
});
test('GET /user, getClaims', async () => {
  const { auth } = await signedUp();
  const { claims } = await given(auth.getClaims());
  assert.deepEqual([claims.role, claims.aal, claims.amr[0].method], ['authenticated', 'aal1', 'password']);
});
test('PUT /user: metadata, password, address', async () => {
  const { auth, email } = await signedUp();
  const { user } = await given(auth.updateUser({ data: { city: 'Lyon' } }));
  assert.equal(user.user_metadata.city, 'Lyon');
  await refused(auth.updateUser({ password }), 422, 'same_password');
  await given(auth.updateUser({ password: 'another horse' }));
  await given(visitor().signInWithPassword({ email, password: 'another horse' }));
  const other = address();
  assert.equal((await given(auth.updateUser({ email: other }))).user.new_email, other);
  const { code } = await mail(other);
  await given(visitor().verifyOtp({ type: 'email_change', email: other, token: code }));
  await given(visitor().verifyOtp({ type: 'email_change', email, token: (await mail(email)).code }));
  assert.equal((await given(auth.getUser())).user.email, other);
});
test('POST /logout: local, others, global', async () => {
  const { auth, email } = await signedUp();
  const second = visitor();
  await given(second.signInWithPassword({ email, password }));
  await given(second.signOut({ scope: 'others' }).then(({ error }) => ({ error, data: true })));
  const { error } = await auth.getUser();
  assert.equal(error.name, 'AuthSessionMissingError');
  assert.equal((await second.signOut()).error, null);
  assert.equal((await second.getSession()).data.session, null);
});
test('POST /otp and /verify: code', async () => {
  const email = address();
  await refused(visitor().signInWithOtp({ email, options: { shouldCreateUser: false } }), 422, 'otp_disabled');
  await wait();
  await given(visitor().signInWithOtp({ email }));
  const { code } = await mail(email);
  await refused(visitor().verifyOtp({ type: 'email', email, token: code === '000000' ? '000001' : '000000' }), 403, 'otp_expired');
  const { session } = await given(visitor().verifyOtp({ type: 'email', email, token: code }));
  assert.ok(session.access_token);
  await refused(visitor().signInWithOtp({ phone: '+491234567' }), 400, 'phone_provider_disabled');
});
test('POST /otp again at once: 429', async () => {
  const email = address();
  await given(visitor().signInWithOtp({ email }));
  const error = await refused(visitor().signInWithOtp({ email }), 429, 'over_email_send_rate_limit');
  assert.match(error.message, /after \d+ seconds/);
});
test('POST /recover and GET /verify: link', async () => {
  const { email } = await signedUp();
  await given(visitor().resetPasswordForEmail(email));
  await given(visitor().resetPasswordForEmail(address()));
  const place = await follow((await mail(email)).link);
  const fragment = new URLSearchParams(place.split('#')[1]);
  assert.equal(fragment.get('type'), 'recovery');
  const auth = visitor();
  await given(auth.setSession({ access_token: fragment.get('access_token'), refresh_token: fragment.get('refresh_token') }));
  await given(auth.updateUser({ password: 'another horse' }));
  const again = new URLSearchParams((await follow((await mail(email)).link)).split('#')[1]);
  assert.equal(again.get('error_code'), 'otp_expired');
});
test('POST /token?grant_type=pkce', async () => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
  const auth = visitor({ flowType: 'pkce', storage, persistSession: true });
  const email = address();
  await given(auth.signInWithOtp({ email }));
  const code = new URL(await follow((await mail(email)).link)).searchParams.get('code');
  const { session } = await given(auth.exchangeCodeForSession(code));
  assert.equal(session.user.email, email);
  assert.ok((await fetch(`${url}/auth/v1/token?grant_type=pkce`, { method: 'POST', body: JSON.stringify({ auth_code: code, code_verifier: 'x' }) })).status === 404, 'once');
});
test('POST /resend, GET /reauthenticate', async () => {
  const { auth, email } = await signedUp();
  await given(visitor().resend({ type: 'signup', email }));
  await wait();
  await given(auth.reauthenticate());
  const { code } = await mail(email);
  await given(auth.updateUser({ password: 'another horse', nonce: code }));
});
test('factors: enroll, challenge, verify, unenroll', async () => {
  const { auth } = await signedUp();
  const factor = await given(auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone' }));
  assert.match(factor.totp.qr_code, /^data:image\/svg\+xml;utf-8,<svg/);
  await refused(auth.mfa.challengeAndVerify({ factorId: factor.id, code: 'abcdef' }), 422, 'mfa_verification_failed');
  const bits = [...factor.totp.secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const tag = createHmac('sha1', secret).update(step).digest();
  const number = (tag.readUInt32BE(tag[19] & 15) & 0x7fffffff) % 1000000;
  await given(auth.mfa.challengeAndVerify({ factorId: factor.id, code: String(number).padStart(6, '0') }));
  const level = await given(auth.mfa.getAuthenticatorAssuranceLevel());
  assert.deepEqual([level.currentLevel, level.nextLevel], ['aal2', 'aal2']);
  assert.equal((await given(auth.mfa.listFactors())).totp.length, 1);
  await given(auth.mfa.unenroll({ factorId: factor.id }));
});
test('identities', async () => {
  const { auth } = await signedUp();
  const { identities } = await given(auth.getUserIdentities());
  await refused(auth.unlinkIdentity(identities[0]), 422, 'single_identity_not_deletable');
});
test('admin users: add, get, list, change, remove', async () => {
  const email = address();
  const { user } = await given(admin.createUser({ email, password, email_confirm: true, app_metadata: { plan: 'x' } }));
  await refused(admin.createUser({ email }), 422, 'email_exists');
  assert.equal((await given(admin.getUserById(user.id))).user.email, email);
  const listed = await given(admin.listUsers({ page: 1, perPage: 1 }));
  assert.equal(listed.users.length, 1);
  assert.ok(listed.total >= 1 && listed.lastPage >= 1, JSON.stringify(listed));
  const changed = await given(admin.updateUserById(user.id, { user_metadata: { a: 1 }, ban_duration: '1h' }));
  assert.equal(changed.user.user_metadata.a, 1);
  await refused(visitor().signInWithPassword({ email, password }), 400, 'user_banned');
  await given(admin.deleteUser(user.id));
  await refused(admin.getUserById(user.id), 404, 'user_not_found');
  await refused(createClient(url, anonKey, quiet()).auth.admin.listUsers(), 403, 'not_admin');
});
test('admin: generate_link, invite, signOut', async () => {
  const email = address();
  const { properties, user } = await given(admin.generateLink({ type: 'magiclink', email }));
  assert.equal(user.email, email);
  const auth = visitor();
  const { session } = await given(auth.verifyOtp({ type: 'magiclink', token_hash: properties.hashed_token }));
  assert.equal((await admin.signOut(session.access_token)).error, null);
  const invited = address();
  await given(admin.inviteUserByEmail(invited));
  await given(visitor().verifyOtp({ type: 'invite', email: invited, token: (await mail(invited)).code }));
});
/** A browser that keeps cookies: it follows an address through the provider's pages, as `login`, to what is no page of ours. */
const browse = async (address, login) => {
  const jar = new Map();
  let [place, request] = [new URL(address), {}];
  for (let step = 0; step < 20; step += 1) {
    const kept = [...(jar.get(place.host) ?? new Map())].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(place, { redirect: 'manual', ...request, headers: { ...request.headers, cookie: kept } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (!jar.has(place.host)) jar.set(place.host, new Map());
      jar.get(place.host).set(name, value);
    }
    if (answer.status >= 300 && answer.status < 400) {
      place = new URL(answer.headers.get('location'), place);
      request = {};
      if (![new URL(url).host, new URL(issuer).host].includes(place.host)) return place;
      continue;
    }
    const page = await answer.text();
    const form = page.match(/<form[^>]*action="([^"]+)"/);
    assert.ok(form, `${answer.status} ${place.pathname}: ${page.slice(0, 300)}`);
    const prompt = page.match(/name="prompt" value="([^"]+)"/)[1];
    const body = new URLSearchParams(prompt === 'login' ? { prompt, login, password: 'x' } : { prompt });
    place = new URL(form[1], place);
    request = { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded' } };
  }
  throw new Error('the browser goes round in circles');
};
const withStorage = (flowType) => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
  return visitor({ flowType, storage, persistSession: true });
};
const redirectTo = 'http://localhost:3000/in';

test('GET /authorize, GET /callback, POST /token?grant_type=pkce: another provider', async () => {
  const email = address();
  const auth = withStorage('pkce');
  const begun = await given(auth.signInWithOAuth({ provider: 'keycloak', options: { redirectTo, skipBrowserRedirect: true, scopes: 'profile' } }));
  const asked = new URL(begun.url);
  asked.searchParams.delete('skip_http_redirect');
  const place = await browse(asked, email);
  assert.equal(place.origin + place.pathname, redirectTo, place.href);
  const { session } = await given(auth.exchangeCodeForSession(place.searchParams.get('code')));
  assert.deepEqual([session.user.email, session.user.app_metadata.provider, session.user.user_metadata.full_name], [email, 'keycloak', 'Ann Example']);
  assert.ok(session.provider_token);
  assert.equal((await given(auth.getClaims())).claims.amr[0].method, 'oauth');
});
test('GET /authorize, GET /callback: another provider, tokens in the fragment', async () => {
  const { email } = await signedUp();
  const begun = await given(visitor().signInWithOAuth({ provider: 'keycloak', options: { redirectTo } }));
  const place = await browse(begun.url, email);
  const fragment = new URLSearchParams(place.hash.slice(1));
  const auth = visitor();
  const { user } = await given(auth.setSession({ access_token: fragment.get('access_token'), refresh_token: fragment.get('refresh_token') }));
  assert.equal(user.email, email, place.href);
  assert.deepEqual(user.app_metadata.providers, ['email', 'keycloak'], 'the verified address joins the login that has it');
});
test('GET /authorize: a provider that is not there, and a place that is not ours', async () => {
  const { data } = await visitor().signInWithOAuth({ provider: 'google' });
  const answer = await fetch(data.url, { redirect: 'manual', headers: { 'x-supabase-api-version': '2024-01-01' } });
  assert.deepEqual([answer.status, (await answer.json()).code], [400, 'validation_failed']);
  const begun = await given(visitor().signInWithOAuth({ provider: 'keycloak', options: { redirectTo: 'https://evil.example' } }));
  assert.equal((await browse(begun.url, address())).origin, 'http://localhost:3000');
});
test('GET /user/identities/authorize, DELETE /user/identities/{id}: linking', async () => {
  const { auth, email } = await signedUp();
  const linking = await given(auth.linkIdentity({ provider: 'keycloak', options: { redirectTo, skipBrowserRedirect: true } }));
  const place = await browse(linking.url, address());
  assert.ok(new URLSearchParams(place.hash.slice(1)).get('access_token'), place.href);
  const { identities } = await given(auth.getUserIdentities());
  assert.deepEqual(identities.map(({ provider }) => provider).sort(), ['email', 'keycloak']);
  await given(auth.unlinkIdentity(identities.find(({ provider }) => provider === 'keycloak')));
  assert.equal((await given(auth.getUser())).user.email, email);
});
test('POST /token?grant_type=id_token', async () => {
  const nonce = randomUUID();
  const verifier = randomBytes(32).toString('base64url');
  const asked = new URL(`${issuer}/auth`);
  asked.search = new URLSearchParams({
    client_id: 'app', response_type: 'code', scope: 'openid email', redirect_uri: 'http://localhost:9/app', state: 'x',
    nonce: createHash('sha256').update(nonce).digest('hex'), code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  });
  const code = (await browse(asked, address())).searchParams.get('code');
  const body = new URLSearchParams({ grant_type: 'authorization_code', client_id: 'app', code, code_verifier: verifier, redirect_uri: 'http://localhost:9/app' });
  const { id_token: token, access_token } = await (await fetch(`${issuer}/token`, { method: 'POST', body })).json();
  const show = (nonce) => visitor().signInWithIdToken({ provider: 'keycloak', token, access_token, nonce });
  assert.equal((await show('another')).error.status, 400);
  const { session } = await given(show(nonce));
  assert.equal(session.user.app_metadata.provider, 'keycloak');
  assert.equal((await show(nonce)).error.status, 400, 'once');
});
test('GET /settings', async () => {
  const settings = await (await fetch(`${url}/auth/v1/settings`, { headers: { apikey: anonKey } })).json();
  assert.deepEqual(
    ['email', 'phone', 'anonymous_users', 'keycloak', 'google'].map((name) => settings.external[name]),
    [true, false, true, true, false],
  );
  assert.deepEqual([settings.disable_signup, settings.mailer_autoconfirm, settings.saml_enabled], [false, true, false]);
});
test('GET /health, GET /.well-known/jwks.json', async () => {
  const health = await (await fetch(`${url}/auth/v1/health`)).json();
  assert.equal(health.name, 'GoTrue');
  const keys = await fetch(`${url}/auth/v1/.well-known/jwks.json`);
  assert.match(keys.headers.get('cache-control'), /max-age=600/);
  assert.deepEqual(Object.keys(await keys.json()), ['keys']);
});
test('errors: both forms, and the header that names the code', async () => {
  const ask = (headers) => fetch(`${url}/auth/v1/token?grant_type=password`, { method: 'POST', headers, body: JSON.stringify({ email: address(), password }) });
  const old = await ask({});
  assert.deepEqual(await old.json(), { code: 400, error_code: 'invalid_credentials', msg: 'Invalid login credentials' });
  const now = await ask({ 'x-supabase-api-version': '2024-01-01' });
  assert.equal(now.headers.get('x-supabase-api-version'), '2024-01-01');
  assert.equal(now.headers.get('x-sb-error-code'), 'invalid_credentials');
  assert.deepEqual(await now.json(), { code: 'invalid_credentials', message: 'Invalid login credentials' });
  const grant = await fetch(`${url}/auth/v1/token?grant_type=other`, { method: 'POST', body: '{}' });
  assert.equal((await grant.json()).msg, 'unsupported_grant_type');
});
test('POST /signup: a password that is easy to guess', async () => {
  const error = await refused(visitor().signUp({ email: address(), password: 'password123' }), 422, 'weak_password');
  assert.deepEqual(error.reasons, ['pwned']);
});
test('bearer checks: none, wrong, gone, signed out', async () => {
  const get = async (token) => {
    const headers = { 'x-supabase-api-version': '2024-01-01', ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(`${url}/auth/v1/user`, { headers });
    return [answer.status, (await answer.json()).code];
  };
  assert.deepEqual(await get(), [401, 'no_authorization']);
  assert.deepEqual(await get('x.y.z'), [403, 'bad_jwt']);
  assert.deepEqual(await get(anonKey), [403, 'bad_jwt']);
  const { auth } = await signedUp();
  const { session, } = (await auth.getSession()).data;
  await auth.signOut();
  assert.deepEqual(await get(session.access_token), [403, 'session_not_found']);
  const { auth: other } = await signedUp();
  const kept = (await other.getSession()).data.session;
  await given(admin.deleteUser(kept.user.id));
  assert.deepEqual(await get(kept.access_token), [403, 'user_not_found']);
});
test('POST /token?grant_type=refresh_token: the clock of the session, an empty token, a banned person', async () => {
  const { auth } = await signedUp();
  const { session } = await given(auth.refreshSession());
  assert.ok(Math.abs(session.expires_at - Math.round(Date.now() / 1000) - session.expires_in) < 5);
  const empty = await fetch(`${url}/auth/v1/token?grant_type=refresh_token`, { method: 'POST', body: JSON.stringify({ refresh_token: '' }) });
  assert.deepEqual([empty.status, await empty.json()], [400, { error: 'invalid_request', error_description: 'refresh_token required' }]);
  await given(admin.updateUserById(session.user.id, { ban_duration: '1h' }));
  assert.equal((await auth.refreshSession()).error.status, 400, 'and locked out is signed out');
});
test('POST /token?grant_type=web3: Ethereum; another chain', async () => {
  const answer = await fetch(`${url}/auth/v1/token?grant_type=web3`, { method: 'POST', body: JSON.stringify({ chain: 'solana', message: 'x', signature: 'y' }) });
  assert.deepEqual([answer.status, (await answer.json()).error_code], [400, 'web3_unsupported_chain']);
  const wrong = await fetch(`${url}/auth/v1/token?grant_type=web3`, { method: 'POST', body: JSON.stringify({ chain: 'ethereum', message: 'x', signature: '0x00' }) });
  assert.equal(wrong.status, 400);
});
test('POST /otp with a challenge, POST /magiclink', async () => {
  const email = address();
  const answer = await fetch(`${url}/auth/v1/magiclink`, { method: 'POST', body: JSON.stringify({ email }) });
  assert.deepEqual([answer.status, await answer.json()], [200, {}]);
  assert.equal(new URLSearchParams((await follow((await mail(email)).link)).split('#')[1]).get('type'), 'magiclink');
});
test('admin: generate_link of every kind, factors, audit', async () => {
  const { auth, email } = await signedUp();
  for (const type of ['recovery', 'magiclink']) {
    const { properties } = await given(admin.generateLink({ type, email }));
    assert.equal(properties.verification_type, type);
    assert.match(properties.action_link, /\/auth\/v1\/verify\?token=/);
  }
  const invited = await given(admin.generateLink({ type: 'invite', email: address() }));
  assert.equal(invited.properties.verification_type, 'invite');
  const change = await given(admin.generateLink({ type: 'email_change_new', email, newEmail: address() }));
  assert.equal(change.properties.verification_type, 'email_change_new');
  const user = (await given(auth.getUser())).user;
  await given(auth.mfa.enroll({ factorType: 'totp', friendlyName: 'a' }));
  const { factors } = await given(admin.mfa.listFactors({ userId: user.id }));
  assert.equal(factors.length, 1);
  await given(admin.mfa.deleteFactor({ userId: user.id, id: factors[0].id }));
  const audit = await fetch(`${url}/auth/v1/admin/audit`, { headers: { authorization: `Bearer ${serviceKey}` } });
  assert.ok(Array.isArray(await audit.json()));
});
test('objects: session, user, identity; timestamps', async () => {
  const { auth } = await signedUp();
  const { session } = (await auth.getSession()).data;
  for (const key of ['access_token', 'token_type', 'expires_in', 'expires_at', 'refresh_token', 'user']) assert.ok(session[key], key);
  const { user } = await given(auth.getUser());
  for (const key of ['id', 'aud', 'role', 'email', 'app_metadata', 'user_metadata', 'identities', 'created_at', 'updated_at']) assert.ok(user[key], key);
  assert.deepEqual([user.phone, user.is_anonymous, user.aud, user.role], ['', false, 'authenticated', 'authenticated']);
  assert.match(user.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/);
  const [identity] = user.identities;
  for (const key of ['identity_id', 'id', 'user_id', 'identity_data', 'provider', 'created_at', 'updated_at']) assert.ok(identity[key], key);
  assert.deepEqual(user.user_metadata.sub, user.id);
  const { claims } = await given(auth.getClaims());
  for (const key of ['iss', 'sub', 'aud', 'exp', 'iat', 'email', 'app_metadata', 'user_metadata', 'role', 'aal', 'amr', 'session_id']) assert.ok(claims[key], key);
  assert.equal(claims.iss, `${url}/auth/v1`);
});
test('GET /.well-known/jwks.json: getClaims asks nobody about a token that the keys tell', async () => {
  const asked = [];
  const watched = { global: { fetch: (place, options) => (asked.push(new URL(place).pathname), fetch(place, options)) } };
  const { auth } = createClient(url, anonKey, { ...quiet(), ...watched });
  await given(auth.signUp({ email: address(), password }));
  asked.length = 0;
  const { header } = await given(auth.getClaims());
  // Keys that an earlier case asked for are kept.
  const user = asked.includes('/auth/v1/user');
  assert.deepEqual([header.alg, user], [algorithm, algorithm === 'HS256']);
});
test('POST /logout: a scope that is none; PUT /user: what is taken', async () => {
  const { auth } = await signedUp();
  const other = await signedUp();
  const { access_token: token } = (await auth.getSession()).data.session;
  const out = await fetch(`${url}/auth/v1/logout?scope=nowhere`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  assert.equal(out.status, 400);
  await refused(auth.updateUser({ email: other.email }), 422, 'email_exists');
  await refused(auth.updateUser({ password: 'another horse', nonce: '000000' }), 422, 'reauthentication_not_valid');
});
test('GET /verify, GET /authorize: never on to another site', async () => {
  const { email } = await signedUp();
  await given(visitor().resetPasswordForEmail(email, { redirectTo: 'https://evil.example/x' }));
  const place = new URL(await follow((await mail(email)).link));
  assert.equal(place.origin, 'http://localhost:3000');
});
test('what is off says so', async () => {
  await refused(visitor().signInWithSSO({ domain: 'example.com' }), 422, 'saml_provider_disabled');
  const off = await refused(visitor().signInWithIdToken({ provider: 'google', token: 'x' }), 400, 'provider_disabled');
  assert.equal(off.message, 'Provider (issuer "https://accounts.google.com") is not enabled');
});
test('rows are the person\'s own', async () => {
  const client = createClient(url, anonKey, quiet());
  const { user } = await given(client.auth.signUp({ email: address(), password }));
  const { data, error } = await client.schema('public').from('user_profiles').select('id');
  assert.equal(error, null);
  assert.deepEqual(data, [{ id: user.id }]);
});

let failed = 0;
for (const [name, run] of cases) {
  try {
    await run();
  } catch (error) {
    failed += 1;
    console.log(`supabase-js: auth: ${name}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
  }
}
console.log(`${cases.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
