// Cases of /auth/v1 by the npm package @supabase/supabase-js. Each names the row of GoTrue's protocol that it shows.
// usage: node auth.mjs URL ANON_KEY SERVICE_KEY
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { createClient } from '@supabase/supabase-js';

const [url, anonKey, serviceKey] = process.argv.slice(2);
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
test('what is off says so', async () => {
  await refused(visitor().signInWithSSO({ domain: 'example.com' }), 422, 'saml_provider_disabled');
  await refused(visitor().signInWithIdToken({ provider: 'google', token: 'x' }), 400, 'validation_failed');
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
