// A provider of OpenID Connect for the cases of signing in at others: npm's oidc-provider, with its own pages. Whoever logs
// in is known by the address that he types; one that begins with `unverified` is not verified.
// usage: node oidc.mjs PORT SERVER_URL
import Provider from 'oidc-provider';

const [port, server] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { client_id: 'mint', client_secret: 'a secret of the cases', redirect_uris: [`${server}/auth/v1/callback`] },
    { client_id: 'app', token_endpoint_auth_method: 'none', redirect_uris: ['http://localhost:9/app'] },
  ],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'picture'] },
  cookies: { keys: ['a key of the cases'] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: !id.startsWith('unverified'), name: 'Ann Example' }),
  }),
});
provider.listen(Number(port), '127.0.0.1');
