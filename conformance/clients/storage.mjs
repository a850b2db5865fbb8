// Cases of /storage/v1 by the npm package @supabase/supabase-js. Each names the row of storage-api's protocol that it shows.
// usage: node storage.mjs URL ANON_KEY SERVICE_KEY
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';
import { createClient } from '@supabase/supabase-js';
import * as tus from 'tus-js-client';

const [url, anonKey, serviceKey] = process.argv.slice(2);
class NoSocket {}
const quiet = { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: NoSocket } };
const connect = (key) => createClient(url, key, quiet);
const service = connect(serviceKey).storage;
const visitor = connect(anonKey).storage;
const cases = [];
const test = (name, run) => cases.push([name, run]);
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==', 'base64');

const given = async (request) => {
  const { data, error } = await request;
  assert.equal(error, null, JSON.stringify(error));
  return data;
};
/** HTTP status, the body's status, and the message of what is refused. */
const refused = async (request, status, code, message) => {
  const { data, error } = await request;
  assert.ok(error, `not refused: ${JSON.stringify(data)}`);
  assert.deepEqual([error.status, String(error.statusCode), error.message], [status, code, message], JSON.stringify(error));
};
const bucket = async (options = { public: false }) => {
  const name = `case-${randomUUID()}`;
  await given(service.createBucket(name, options));
  return name;
};
/** Somebody signed in, and the folder of user-avatars that policies give him. */
const person = async () => {
  const client = connect(anonKey);
  const email = `${randomUUID()}@example.com`;
  const { user } = await given(client.auth.signUp({ email, password: 'correct horse battery' }));
  return { storage: client.storage, folder: user.id, avatars: client.storage.from('user-avatars'), client };
};
const raw = (path, options = {}) => fetch(`${url}/storage/v1${path}`, options);
const asService = { authorization: `Bearer ${serviceKey}` };

// 3.1
test('3.1 no token: headers must have required property', async () => {
  const answer = await raw('/bucket');
  assert.equal(answer.status, 400);
  assert.equal((await answer.json()).message, "headers must have required property 'authorization'");
});
test('3.1 a bad token: 400 with 403 in the body', async () => {
  const answer = await raw('/bucket', { headers: { authorization: 'Bearer nonsense' } });
  const body = await answer.json();
  assert.deepEqual([answer.status, body.statusCode, body.error, body.message, body.code], [400, '403', 'Unauthorized', 'Invalid Compact JWS', 'AccessDenied']);
  const forged = await raw('/bucket', { headers: { authorization: `Bearer ${anonKey.slice(0, -4)}AAAA` } });
  assert.equal((await forged.json()).message, 'signature verification failed');
});
test('3.1 RLS refuses: 403 in the body; what is not seen is not found', async () => {
  const name = await bucket();
  await given(service.from(name).upload('a.txt', 'text'));
  await refused(visitor.from(name).upload('b.txt', 'text'), 400, '403', 'new row violates row-level security policy');
  await refused(visitor.createBucket(randomUUID()), 400, '403', 'new row violates row-level security policy');
  const { data } = await visitor.from(name).exists('a.txt');
  assert.equal(data, false);
});
test('3.1 names: InvalidKey, InvalidBucketName', async () => {
  const name = await bucket();
  for (const key of ['日本.txt', 'a~b', 'a[1]']) {
    await refused(service.from(name).upload(key, 'text'), 400, '400', `Invalid key: ${key}`);
  }
  for (const key of ['a%2f%2fb', 'a%2f..%2fb', '%C3%A9', 'a%5Cb']) {
    const answer = await raw(`/object/${name}/${key}`, { method: 'POST', headers: asService, body: 'text' });
    assert.equal(answer.status, 400, key);
  }
  await refused(service.createBucket('a/b'), 400, '400', 'Bucket name invalid');
  await given(service.from(name).upload("a folder/b (1)!_-.*'&$@=;:+,?.txt", 'text'));
});

// 3.2
test('3.2 metadata of an object', async () => {
  const name = await bucket();
  await given(service.from(name).upload('a/b.png', PNG, { contentType: 'image/png', cacheControl: '60' }));
  const [listed] = await given(service.from(name).list('a'));
  assert.deepEqual(
    [listed.metadata.size, listed.metadata.mimetype, listed.metadata.cacheControl, listed.metadata.contentLength, listed.metadata.httpStatusCode],
    [PNG.length, 'image/png', 'max-age=60', PNG.length, 200],
  );
  assert.match(listed.metadata.eTag, /^"[0-9a-f]+"$/);
});

// 3.3
test('3.3 POST, GET, PUT, DELETE /bucket', async () => {
  const name = randomUUID();
  assert.equal((await given(service.createBucket(name, { public: false, fileSizeLimit: '20MB', allowedMimeTypes: ['image/*'] }))).name, name);
  await refused(service.createBucket(name), 400, '409', 'The resource already exists');
  const found = await given(service.getBucket(name));
  assert.deepEqual([found.id, found.name, found.public, found.file_size_limit, found.allowed_mime_types], [name, name, false, 20000000, ['image/*']]);
  assert.equal((await given(service.updateBucket(name, { public: true, fileSizeLimit: 1024, allowedMimeTypes: null }))).message, 'Successfully updated');
  const changed = await given(service.getBucket(name));
  assert.deepEqual([changed.public, changed.file_size_limit, changed.allowed_mime_types], [true, 1024, null]);
  await given(service.from(name).upload('a', 'text'));
  await refused(service.deleteBucket(name), 400, '409', 'The bucket you tried to delete is not empty');
  assert.match((await given(service.emptyBucket(name))).message, /^Empty bucket has been queued/);
  assert.equal((await given(service.deleteBucket(name))).message, 'Successfully deleted');
  await refused(service.getBucket(name), 400, '404', 'Bucket not found');
});
test('3.3 GET /bucket: policies, search, limit, order', async () => {
  const mark = randomUUID();
  for (const letter of ['b', 'a', 'c']) await given(service.createBucket(`${mark}-${letter}`));
  const found = await given(service.listBuckets({ search: mark, sortColumn: 'name', sortOrder: 'desc', limit: 2, offset: 1 }));
  assert.deepEqual(found.map((entry) => entry.name), [`${mark}-b`, `${mark}-a`]);
  assert.deepEqual(await given(visitor.listBuckets()), [], 'no policy shows buckets to visitors');
});
test('3.3 POST /bucket/{id}/empty: for the service', async () => {
  const name = await bucket();
  await refused(visitor.emptyBucket(name), 403, '403', 'Access denied');
});
test("3.3 the seed's buckets", async () => {
  const found = Object.fromEntries((await given(service.listBuckets())).map((entry) => [entry.id, entry.public]));
  for (const name of ['property-images', 'user-avatars', 'property-media']) assert.equal(found[name], true, name);
  for (const name of ['kyc-documents', 'investment-documents', 'chat-attachments']) assert.equal(found[name], false, name);
});

// 3.4
test('3.4 POST /object: raw body and form', async () => {
  const files = service.from(await bucket());
  const metadata = { a: 1, b: 'é' };
  const text = await given(files.upload('raw.txt', 'some text', { contentType: 'text/plain', metadata }));
  assert.deepEqual([text.path, text.fullPath], ['raw.txt', `${files.bucketId}/raw.txt`]);
  assert.ok(text.id);
  assert.equal(await (await given(files.download('raw.txt'))).text(), 'some text');
  const blob = new Blob([PNG], { type: 'image/png' });
  await given(files.upload('a/form.png', blob, { metadata, cacheControl: '7' }));
  for (const [path, type] of [['raw.txt', 'text/plain'], ['a/form.png', 'image/png']]) {
    const info = await given(files.info(path));
    assert.deepEqual([info.contentType, info.metadata], [type, metadata], path);
  }
  const got = await given(files.download('a/form.png'));
  assert.equal(got.type, 'image/png');
  assert.deepEqual(Buffer.from(await got.arrayBuffer()), PNG);
  const form = new FormData();
  form.append('cacheControl', '9');
  form.append('', new Blob(['{"a":1}'], { type: 'application/json' }), 'x.json');
  await given(files.upload('form.json', form));
  assert.equal((await given(files.info('form.json'))).cacheControl, 'max-age=9');
});
test('3.4 POST /object twice, x-upsert, PUT', async () => {
  const files = service.from(await bucket());
  const first = await given(files.upload('a.txt', 'one'));
  await refused(files.upload('a.txt', 'two'), 400, '409', 'The resource already exists');
  const second = await given(files.upload('a.txt', 'two', { upsert: true }));
  assert.equal(second.id, first.id);
  assert.equal(await (await given(files.download('a.txt'))).text(), 'two');
  await given(files.update('a.txt', 'three'));
  assert.equal(await (await given(files.download('a.txt'))).text(), 'three');
  assert.equal((await given(files.info('a.txt'))).size, 5);
});
test('3.4 size and kind: of the content', async () => {
  const files = service.from(await bucket({ public: false, fileSizeLimit: 100, allowedMimeTypes: ['image/png', 'text/*'] }));
  await refused(files.upload('big.txt', 'x'.repeat(101)), 400, '413', 'The object exceeded the maximum allowed size');
  await refused(files.upload('big.png', new Blob(['x'.repeat(101)])), 400, '413', 'The object exceeded the maximum allowed size');
  await given(files.upload('a.png', PNG, { contentType: 'image/png' }));
  await given(files.upload('a.txt', 'text', { contentType: 'text/csv' }));
  await refused(files.upload('a.pdf', '%PDF-1.7', { contentType: 'image/png' }), 400, '415', 'mime type application/pdf is not supported');
});
test('3.4 GET /object and /object/authenticated', async () => {
  const { avatars, folder } = await person();
  await given(avatars.upload(`${folder}/me.png`, PNG));
  const other = await bucket();
  await given(service.from(other).upload('a', 'text'));
  await refused(avatars.download(`${folder}/none.png`), 400, '404', 'Object not found');
  const answer = await raw(`/object/authenticated/${other}/a`, { headers: asService });
  assert.deepEqual([answer.status, await answer.text()], [200, 'text']);
});
test('3.4 HEAD: exists', async () => {
  const files = service.from(await bucket());
  await given(files.upload('a', 'text'));
  assert.equal(await given(files.exists('a')), true);
  assert.equal((await files.exists('b')).data, false);
  const head = await raw(`/object/${files.bucketId}/a`, { method: 'HEAD', headers: asService });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '4']);
});
test('3.4 GET /object/public: without a token', async () => {
  const name = await bucket({ public: true });
  await given(service.from(name).upload('a b.png', PNG));
  const { publicUrl } = visitor.from(name).getPublicUrl('a b.png').data;
  const answer = await fetch(publicUrl);
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'image/png']);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PNG);
  const saved = await fetch(visitor.from(name).getPublicUrl('a b.png', { download: 'ä "1".png' }).data.publicUrl);
  assert.equal(saved.headers.get('content-disposition'), `attachment; filename="_ _1_.png"; filename*=UTF-8''%C3%A4%20%221%22.png`);
  assert.equal((await fetch(`${publicUrl}?download`)).headers.get('content-disposition'), 'attachment;');
  assert.equal((await fetch(publicUrl, { method: 'HEAD' })).status, 200);
  const hidden = await raw(`/object/public/${await bucket()}/a`);
  assert.deepEqual([hidden.status, (await hidden.json()).message], [400, 'Bucket not found']);
  const none = await raw(`/object/public/${name}/none`);
  assert.deepEqual([none.status, (await none.json()).statusCode], [400, '404']);
});
test('3.4 GET /object/info', async () => {
  const name = await bucket({ public: true });
  await given(service.from(name).upload('a/b.png', PNG, { metadata: { x: 'y' } }));
  const info = await given(service.from(name).info('a/b.png'));
  assert.deepEqual([info.name, info.bucketId, info.size, info.contentType, info.metadata], ['a/b.png', name, PNG.length, 'image/png', { x: 'y' }]);
  for (const key of ['id', 'version', 'etag', 'lastModified', 'createdAt', 'cacheControl']) assert.ok(info[key], key);
  const open = await (await raw(`/object/info/public/${name}/a/b.png`)).json();
  assert.equal(open.size, PNG.length);
});
test('3.4 POST /object/list: one level', async () => {
  const files = service.from(await bucket());
  for (const path of ['b.txt', 'a.txt', 'folder/x.txt', 'folder/deeper/y.txt', 'folder-2/z.txt', 'Z.txt']) await given(files.upload(path, path));
  const names = async (...asked) => (await given(files.list(...asked))).map((entry) => entry.name);
  assert.deepEqual(await names(), ['Z.txt', 'a.txt', 'b.txt', 'folder', 'folder-2'].sort((a, b) => ((a === 'folder' ? 'folder/' : a) < (b === 'folder' ? 'folder/' : b) ? -1 : 1)));
  assert.deepEqual(await names('folder'), ['deeper', 'x.txt']);
  assert.deepEqual(await names('folder/'), ['deeper', 'x.txt']);
  assert.deepEqual(await names('', { limit: 2, offset: 1 }), ['a.txt', 'b.txt']);
  assert.deepEqual(await names('', { search: 'B' }), ['b.txt']);
  assert.deepEqual(await names('', { search: 'folder/deeper/Y' }), ['y.txt']);
  assert.deepEqual(await names('folder', { search: 'deeper/' }), ['y.txt']);
  assert.deepEqual((await names('folder', { sortBy: { column: 'name', order: 'desc' } })), ['x.txt', 'deeper']);
  assert.deepEqual(await names('', { sortBy: { column: 'created_at', order: 'desc' } }), ['folder', 'folder-2', 'Z.txt', 'a.txt', 'b.txt']);
  const [folder] = (await given(files.list('folder')));
  assert.deepEqual(folder, { name: 'deeper', id: null, updated_at: null, created_at: null, last_accessed_at: null, metadata: null });
  assert.deepEqual(await given(visitor.from(files.bucketId).list()), []);
});
test('3.4 POST /object/list-v2: pages', async () => {
  const files = service.from(await bucket());
  const all = [...Array(7).keys()].map((n) => `f${n % 2}/n${n}.txt`).concat(['top.txt']).sort();
  for (const path of all) await given(files.upload(path, path));
  for (const order of ['asc', 'desc']) {
    const seen = [];
    let cursor;
    do {
      const page = await given(files.listV2({ limit: 3, cursor, sortBy: { column: 'name', order } }));
      seen.push(...page.objects.map((entry) => entry.name));
      assert.equal(page.folders.length, 0);
      cursor = page.nextCursor;
      assert.equal(page.hasNext, Boolean(cursor));
    } while (cursor);
    assert.deepEqual(seen, order === 'asc' ? all : [...all].reverse());
  }
  const level = await given(files.listV2({ with_delimiter: true }));
  assert.deepEqual([level.folders.map((entry) => entry.name), level.objects.map((entry) => entry.name)], [['f0/', 'f1/'], ['top.txt']]);
  assert.deepEqual(level.folders.map((entry) => entry.key), ['f0', 'f1']);
  const dated = await given(files.listV2({ with_delimiter: true, sortBy: { column: 'created_at', order: 'desc' } }));
  assert.deepEqual(dated.folders.map((entry) => entry.name), level.folders.map((entry) => entry.name));
  const below = await given(files.listV2({ prefix: 'f1/n', with_delimiter: true, limit: 1 }));
  assert.deepEqual([below.objects.length, below.hasNext], [1, true]);
});
test('3.4 POST /object/move', async () => {
  const name = await bucket();
  const other = await bucket();
  const files = service.from(name);
  await given(files.upload('a.txt', 'text'));
  assert.equal((await given(files.move('a.txt', 'b/c.txt'))).message, 'Successfully moved');
  assert.equal(await (await given(files.download('b/c.txt'))).text(), 'text');
  await refused(files.move('a.txt', 'd.txt'), 400, '404', 'Object not found');
  await given(files.move('b/c.txt', 'e.txt', { destinationBucket: other }));
  assert.equal(await (await given(service.from(other).download('e.txt'))).text(), 'text');
  await given(service.from(other).upload('f.txt', 'other'));
  await refused(service.from(other).move('e.txt', 'f.txt'), 400, '409', 'The resource already exists');
});
test('3.4 POST /object/copy', async () => {
  const files = service.from(await bucket());
  await given(files.upload('a.txt', 'text', { metadata: { a: 1 } }));
  assert.equal((await given(files.copy('a.txt', 'b.txt'))).path, `${files.bucketId}/b.txt`);
  await given(files.remove(['a.txt']));
  assert.equal(await (await given(files.download('b.txt'))).text(), 'text', 'the copy stays');
  assert.deepEqual((await given(files.info('b.txt'))).metadata, { a: 1 });
  await refused(files.copy('none', 'c.txt'), 400, '404', 'Object not found');
  await given(files.upload('c.txt', 'other'));
  await refused(files.copy('b.txt', 'c.txt'), 400, '409', 'The resource already exists');
  const wish = { bucketId: files.bucketId, sourceKey: 'b.txt', destinationKey: 'd.txt', copyMetadata: false, metadata: { cacheControl: 'max-age=7' } };
  const headers = { ...asService, 'content-type': 'application/json', 'x-metadata': btoa('{"d":4}') };
  assert.equal((await raw('/object/copy', { method: 'POST', headers, body: JSON.stringify(wish) })).status, 200);
  const info = await given(files.info('d.txt'));
  assert.deepEqual([info.metadata, info.cacheControl], [{ d: 4 }, 'max-age=7']);
});
test('3.1 what is wrong with a query string is told in the protocol\'s shape', async () => {
  const answer = await raw('/bucket?limit=abc', { headers: asService });
  const body = await answer.json();
  assert.deepEqual([answer.status, body.statusCode, body.code], [400, '400', 'InvalidRequest']);
  await refused(service.createBucket('property-images', { public: true }), 400, '409', 'The resource already exists');
});
test('3.4 DELETE /object', async () => {
  const files = service.from(await bucket());
  for (const path of ['a', 'b', 'c']) await given(files.upload(path, 'text'));
  const removed = await given(files.remove(['a', 'b', 'none']));
  assert.deepEqual(removed.map((entry) => entry.name).sort(), ['a', 'b']);
  assert.ok(removed[0].id && removed[0].bucket_id && removed[0].metadata);
  assert.deepEqual(await given(visitor.from(files.bucketId).remove(['c'])), []);
  const one = await raw(`/object/${files.bucketId}/c`, { method: 'DELETE', headers: asService });
  assert.deepEqual([one.status, (await one.json()).message], [200, 'Successfully deleted']);
  const again = await raw(`/object/${files.bucketId}/c`, { method: 'DELETE', headers: asService });
  assert.deepEqual([again.status, (await again.json()).statusCode], [400, '404']);
});
test('3.4 POST and GET /object/sign', async () => {
  const files = service.from(await bucket());
  await given(files.upload('a b/c.txt', 'text'));
  const { signedUrl } = await given(files.createSignedUrl('a b/c.txt', 60));
  const answer = await fetch(signedUrl);
  assert.deepEqual([answer.status, await answer.text()], [200, 'text']);
  assert.ok(Date.parse(answer.headers.get('expires')) > Date.now());
  const saved = await given(files.createSignedUrl('a b/c.txt', 60, { download: 'x.txt' }));
  assert.match((await fetch(saved.signedUrl)).headers.get('content-disposition'), /^attachment; filename=x\.txt/);
  const elsewhere = await fetch(signedUrl.replace('/c.txt', '/d.txt'));
  assert.equal((await elsewhere.json()).error, 'InvalidSignature');
  await refused(files.createSignedUrl('none', 60), 400, '404', 'Object not found');
  await refused(visitor.from(files.bucketId).createSignedUrl('a b/c.txt', 60), 400, '404', 'Object not found');
  const short = await given(files.createSignedUrl('a b/c.txt', 1));
  await new Promise((done) => setTimeout(done, 1100));
  const late = await fetch(short.signedUrl);
  const body = await late.json();
  assert.deepEqual([late.status, body.error, body.message], [400, 'InvalidJWT', '"exp" claim timestamp check failed']);
});
test('3.4 POST /object/sign/{bucket}: many', async () => {
  const files = service.from(await bucket());
  await given(files.upload('a', 'text'));
  const [one, none] = await given(files.createSignedUrls(['a', 'none'], 60));
  assert.equal((await fetch(one.signedUrl)).status, 200);
  assert.equal(none.error, 'Either the object does not exist or you do not have access to it');
});
test('3.4 /object/upload/sign', async () => {
  const { avatars, folder } = await person();
  const path = `${folder}/signed.png`;
  const { token } = await given(avatars.createSignedUploadUrl(path));
  assert.equal((await given(visitor.from('user-avatars').uploadToSignedUrl(path, token, PNG, { contentType: 'image/png' }))).path, path);
  assert.equal((await given(avatars.info(path))).size, PNG.length);
  await refused(visitor.from('user-avatars').uploadToSignedUrl(path, token, PNG), 400, '409', 'The resource already exists');
  const again = await given(avatars.createSignedUploadUrl(path, { upsert: true }));
  await given(visitor.from('user-avatars').uploadToSignedUrl(path, again.token, new Blob([PNG], { type: 'image/png' })));
  await refused(visitor.from('user-avatars').uploadToSignedUrl(`${folder}/other.png`, token, PNG), 400, '400', 'InvalidSignature');
  await refused(avatars.createSignedUploadUrl(`${randomUUID()}/x.png`), 400, '403', 'new row violates row-level security policy');
});

// 3.5
test('3.5 policies decide each operation', async () => {
  const ann = await person();
  const bob = await person();
  const path = `${ann.folder}/me.png`;
  await refused(bob.avatars.upload(path, PNG), 400, '403', 'new row violates row-level security policy');
  await given(ann.avatars.upload(path, PNG));
  await given(ann.avatars.upload(path, PNG, { upsert: true }));
  await refused(bob.avatars.upload(path, PNG, { upsert: true }), 400, '403', 'new row violates row-level security policy');
  assert.deepEqual(await given(bob.avatars.list(ann.folder)), []);
  assert.deepEqual(await given(bob.avatars.remove([path])), []);
  await refused(bob.avatars.move(path, `${bob.folder}/me.png`), 400, '404', 'Object not found');
  await refused(bob.avatars.copy(path, `${bob.folder}/me.png`), 400, '404', 'Object not found');
  assert.equal((await given(ann.avatars.list(ann.folder))).length, 1);
  const kyc = ann.storage.from('kyc-documents');
  await given(kyc.upload(`${ann.folder}/id.png`, PNG));
  await refused(kyc.update(`${ann.folder}/id.png`, PNG), 400, '403', 'new row violates row-level security policy');
  assert.deepEqual(await given(kyc.remove([`${ann.folder}/id.png`])), [], 'what was filed is not removed');
});
test('3.5 folder markers', async () => {
  const files = service.from(await bucket());
  await given(files.upload('empty/.emptyFolderPlaceholder', new Blob([])));
  assert.deepEqual((await given(files.list())).map((entry) => entry.name), ['empty']);
  assert.equal((await given(files.info('empty/.emptyFolderPlaceholder'))).size, 0);
  assert.equal((await given(files.download('empty/.emptyFolderPlaceholder'))).size, 0);
});

// 3.6
test('3.6 headers of a download', async () => {
  const name = await bucket({ public: true });
  await given(service.from(name).upload('a.png', PNG, { cacheControl: '60' }));
  const { publicUrl } = visitor.from(name).getPublicUrl('a.png').data;
  const { headers } = await fetch(publicUrl);
  assert.deepEqual(
    ['content-length', 'cache-control', 'accept-ranges', 'x-robots-tag', 'x-content-type-options'].map((field) => headers.get(field)),
    [String(PNG.length), 'max-age=60', 'bytes', 'none', 'nosniff'],
  );
  const same = await fetch(publicUrl, { headers: { 'if-none-match': headers.get('etag') } });
  assert.deepEqual([same.status, await same.text()], [304, '']);
  const since = await fetch(publicUrl, { headers: { 'if-modified-since': headers.get('last-modified') } });
  assert.equal(since.status, 304);
  const other = await fetch(publicUrl, { headers: { 'if-none-match': '"other"' } });
  assert.equal(other.status, 200);
});
test('3.6 Range', async () => {
  const name = await bucket({ public: true });
  const content = Buffer.alloc(300_000, 0).map((_, at) => at % 251);
  await given(service.from(name).upload('a', content));
  const { publicUrl } = visitor.from(name).getPublicUrl('a').data;
  for (const [range, begin, end] of [['bytes=0-9', 0, 10], ['bytes=65530-131080', 65530, 131081], ['bytes=-5', 299_995, 300_000], ['bytes=299990-', 299_990, 300_000]]) {
    const answer = await fetch(publicUrl, { headers: { range } });
    assert.deepEqual([answer.status, answer.headers.get('content-range')], [206, `bytes ${begin}-${end - 1}/300000`]);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), content.subarray(begin, end));
  }
  assert.equal((await fetch(publicUrl, { headers: { range: 'bytes=300000-' } })).status, 416);
});
test('3.6 HTML is served as text', async () => {
  const name = await bucket({ public: true });
  await given(service.from(name).upload('a.html', '<script>alert(1)</script>', { contentType: 'text/html' }));
  await given(service.from(name).upload('a.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>', { contentType: 'image/svg+xml' }));
  const page = await fetch(visitor.from(name).getPublicUrl('a.html').data.publicUrl);
  assert.match(page.headers.get('content-type'), /^text\/plain/);
  const picture = await fetch(visitor.from(name).getPublicUrl('a.svg').data.publicUrl);
  assert.match(picture.headers.get('content-security-policy'), /sandbox/);
});

// 3.7
/** A PNG of one colour. */
const png = (width, height) => {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const rows = Buffer.alloc(height * (1 + 3 * width), 0);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
};
/** Type and sides of a PNG or a WebP without losses. */
const sides = (bytes) => {
  if (bytes.subarray(12, 16).toString() === 'IHDR') return ['png', bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  assert.equal(bytes.subarray(8, 16).toString(), 'WEBPVP8L');
  const packed = bytes.readUInt32LE(21);
  return ['webp', (packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1];
};
const fetched = async (address, headers = {}) => {
  const answer = await fetch(address, { headers });
  assert.equal(answer.status, 200, address);
  return sides(Buffer.from(await answer.arrayBuffer()));
};
test('3.7 GET /render/image/public, /authenticated: width, height, resize, format', async () => {
  const name = await bucket({ public: true });
  const files = service.from(name);
  await given(files.upload('a b/c.png', png(300, 200), { contentType: 'image/png' }));
  const address = (transform) => visitor.from(name).getPublicUrl('a b/c.png', { transform }).data.publicUrl;
  assert.match(address({ width: 100 }), /\/render\/image\/public\//);
  assert.deepEqual(await fetched(address({ width: 100, height: 100 })), ['png', 100, 100]);
  assert.deepEqual(await fetched(address({ width: 100, height: 100, resize: 'contain' })), ['png', 100, 67]);
  assert.deepEqual(await fetched(address({ width: 90, height: 100, resize: 'fill' })), ['png', 90, 100]);
  assert.deepEqual(await fetched(address({ width: 2500 })), ['png', 300, 200], 'never larger');
  assert.deepEqual(await fetched(address({ width: 100 }), { accept: 'image/avif,image/webp,*/*' }), ['webp', 100, 67]);
  assert.deepEqual(await fetched(address({ width: 100, format: 'origin' }), { accept: 'image/webp' }), ['png', 100, 67]);
  const got = await given(files.download('a b/c.png', { transform: { width: 60, quality: 50 } }));
  assert.deepEqual(sides(Buffer.from(await got.arrayBuffer())), ['png', 60, 40]);
  assert.equal((await fetch(address({ width: 60, quality: 10 }))).status, 400);
  const answer = await fetch(address({ width: 60 }));
  const same = await fetch(address({ width: 60 }), { headers: { 'if-none-match': answer.headers.get('etag') } });
  assert.equal(same.status, 304);
});
test('3.7 GET /render/image/sign: the token says how', async () => {
  const files = service.from(await bucket());
  await given(files.upload('a.png', png(300, 200), { contentType: 'image/png' }));
  await refused(visitor.from(files.bucketId).download('a.png', { transform: { width: 10 } }), 400, '404', 'Object not found');
  const { signedUrl } = await given(files.createSignedUrl('a.png', 60, { transform: { width: 30, height: 30 } }));
  assert.match(signedUrl, /\/render\/image\/sign\//);
  assert.deepEqual(await fetched(signedUrl), ['png', 30, 30]);
  assert.deepEqual(await fetched(`${signedUrl}&width=300&height=200`), ['png', 30, 30]);
  assert.equal((await fetch(signedUrl)).headers.get('x-transformations'), 'height:30,width:30,resizing_type:fill');
  const whole = await fetch(signedUrl.replace('/render/image/sign/', '/object/sign/'));
  assert.deepEqual([whole.status, (await whole.json()).error], [400, 'InvalidSignature']);
});
test('3.7 what is no picture is not drawn', async () => {
  const files = service.from(await bucket());
  await given(files.upload('a.txt', 'text'));
  await refused(files.download('a.txt', { transform: { width: 10 } }), 400, '422', 'Source image type not supported');
});

// 3.8
/** Sends a file by tus-js-client; resolves to the upload when it is done. */
const resumable = (content, metadata, options = {}) =>
  new Promise((resolve, reject) => {
    const upload = new tus.Upload(content, {
      endpoint: `${url}/storage/v1/upload/resumable`,
      retryDelays: null,
      headers: asService,
      chunkSize: 6 * 1024 * 1024,
      metadata,
      onError: reject,
      onSuccess: () => resolve(upload),
      ...options,
    });
    upload.start();
  });
const megabytes = (n) => Buffer.alloc(n * 1024 * 1024, 0).map((_, at) => (at * 7 + (at >> 16)) % 251);
test('3.8 OPTIONS', async () => {
  const answer = await raw('/upload/resumable', { method: 'OPTIONS' });
  assert.deepEqual([answer.status < 300, answer.headers.get('tus-resumable'), answer.headers.get('tus-version')], [true, '1.0.0', '1.0.0']);
  for (const extension of ['creation', 'creation-with-upload', 'termination', 'expiration']) {
    assert.ok(answer.headers.get('tus-extension').split(',').includes(extension), extension);
  }
  assert.ok(Number(answer.headers.get('tus-max-size')) > 0);
});
test('3.8 POST, PATCH by tus-js-client, in chunks and whole', async () => {
  const files = service.from(await bucket());
  const content = megabytes(14);
  for (const [objectName, options] of [['a/chunks.bin', {}], ['whole.bin', { chunkSize: Infinity }], ['with.bin', { uploadDataDuringCreation: true }]]) {
    const metadata = { bucketName: files.bucketId, objectName, contentType: 'application/x-test', cacheControl: '60', metadata: JSON.stringify({ a: 1 }) };
    const upload = await resumable(content, metadata, options);
    assert.match(upload.url, /\/storage\/v1\/upload\/resumable\/[A-Za-z0-9_-]+$/);
    const got = await given(files.download(objectName));
    assert.ok(Buffer.from(await got.arrayBuffer()).equals(content), objectName);
    const info = await given(files.info(objectName));
    assert.deepEqual([info.size, info.contentType, info.cacheControl, info.metadata], [content.length, 'application/x-test', 'max-age=60', { a: 1 }]);
  }
  await given(files.remove(['a/chunks.bin']));
});
test('3.8 an upload goes on where it was cut off', async () => {
  const files = service.from(await bucket());
  const content = megabytes(20);
  const metadata = { bucketName: files.bucketId, objectName: 'a.bin' };
  const cut = await new Promise((resolve, reject) => {
    const upload = new tus.Upload(content, {
      endpoint: `${url}/storage/v1/upload/resumable`, retryDelays: null, headers: asService, chunkSize: 6 * 1024 * 1024, metadata, onError: reject,
      onChunkComplete: () => upload.abort().then(() => resolve(upload.url)),
    });
    upload.start();
  });
  const sent = [];
  await resumable(content, metadata, { uploadUrl: cut, onBeforeRequest: (request) => sent.push([request.getMethod(), request.getHeader('Upload-Offset')]) });
  assert.deepEqual(sent[0][0], 'HEAD');
  assert.ok(Number(sent[1][1]) >= 6 * 1024 * 1024, 'what was sent is not sent again');
  const got = await given(files.download('a.bin'));
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(content));
});
test('3.8 HEAD, wrong offset, DELETE, x-upsert', async () => {
  const name = await bucket();
  const b64 = (text) => Buffer.from(text).toString('base64');
  const headers = { ...asService, 'tus-resumable': '1.0.0', 'upload-length': '10', 'upload-metadata': `bucketName ${b64(name)},objectName ${b64('a.txt')}` };
  const created = await raw('/upload/resumable', { method: 'POST', headers });
  assert.equal(created.status, 201);
  const place = created.headers.get('location');
  const expires = Date.parse(created.headers.get('upload-expires')) - Date.now();
  assert.ok(expires > 23 * 3600e3 && expires < 25 * 3600e3);
  const own = { ...asService, 'tus-resumable': '1.0.0' };
  const patch = (offset, body, more = {}) => fetch(place, { method: 'PATCH', body, headers: { ...own, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream', ...more } });
  const stands = async () => (await fetch(place, { method: 'HEAD', headers: own })).headers.get('upload-offset');
  assert.equal((await patch(5, 'later')).status, 409);
  assert.equal((await patch(0, 'x', { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await fetch(place, { method: 'HEAD', headers: asService })).status, 412);
  assert.equal(await stands(), '0');
  assert.equal((await fetch(place, { method: 'HEAD', headers: { ...own, authorization: `Bearer ${anonKey}` } })).status < 500, true);
  const done = await patch(0, '0123456789');
  assert.deepEqual([done.status, done.headers.get('upload-offset'), done.headers.get('tus-complete')], [204, '10', '1']);
  assert.equal(await stands(), '10');
  const again = await raw('/upload/resumable', { method: 'POST', headers });
  assert.equal(again.status, 409);
  const upsert = await raw('/upload/resumable', { method: 'POST', headers: { ...headers, 'x-upsert': 'true' } });
  assert.equal(upsert.status, 201);
  assert.equal((await fetch(upsert.headers.get('location'), { method: 'DELETE', headers: own })).status, 204);
  assert.equal((await fetch(upsert.headers.get('location'), { method: 'HEAD', headers: own })).status, 404);
  const large = await raw('/upload/resumable', { method: 'POST', headers: { ...headers, 'upload-length': '99999999999999', 'x-upsert': 'true' } });
  assert.equal(large.status, 413);
});
test('3.8 two at once: the one before is told 423, the later one goes on', async () => {
  const name = await bucket();
  const b64 = (text) => Buffer.from(text).toString('base64');
  const metadata = `bucketName ${b64(name)},objectName ${b64('a.txt')},of ${b64('mine')}`;
  const own = { ...asService, 'tus-resumable': '1.0.0' };
  const created = await raw('/upload/resumable', { method: 'POST', headers: { ...own, 'upload-length': '10', 'upload-metadata': metadata } });
  const place = created.headers.get('location');
  const headers = { ...own, 'content-type': 'application/offset+octet-stream' };
  let say;
  const silent = new ReadableStream({ start: (controller) => { say = controller; controller.enqueue(Buffer.from('0123')); } });
  const first = fetch(place, { method: 'PATCH', body: silent, duplex: 'half', headers: { ...headers, 'upload-offset': '0' } });
  const stands = async () => fetch(place, { method: 'HEAD', headers: own });
  await new Promise((done) => setTimeout(done, 300));
  const late = await fetch(place, { method: 'PATCH', body: '0123456789', headers: { ...headers, 'upload-offset': '0' } });
  assert.equal((await first).status, 423);
  say.close();
  assert.equal(late.status, 409, 'what came over the old connection is kept');
  const at = await stands();
  assert.deepEqual([at.headers.get('upload-offset'), at.headers.get('upload-metadata')], ['4', metadata]);
  const overridden = { ...headers, 'upload-offset': '4', 'x-http-method-override': 'PATCH' };
  const done = await fetch(place, { method: 'POST', body: '456789', headers: overridden });
  assert.deepEqual([done.status, done.headers.get('upload-offset')], [204, '10']);
  assert.equal(await (await given(service.from(name).download('a.txt'))).text(), '0123456789');
});
test('3.8 policies decide; /upload/resumable/sign', async () => {
  const ann = await person();
  const bob = await person();
  const { session } = await given(ann.client.auth.getSession());
  const other = await given(bob.client.auth.getSession());
  const metadata = { bucketName: 'user-avatars', objectName: `${ann.folder}/me.png` };
  const by = (key) => ({ headers: { authorization: `Bearer ${key}` } });
  await assert.rejects(resumable(PNG, metadata, by(other.session.access_token)), /403/);
  await resumable(PNG, metadata, by(session.access_token));
  assert.equal((await given(ann.avatars.info(metadata.objectName))).size, PNG.length);
  const signed = { bucketName: 'user-avatars', objectName: `${ann.folder}/signed.png` };
  const { token } = await given(ann.avatars.createSignedUploadUrl(signed.objectName));
  const link = { endpoint: `${url}/storage/v1/upload/resumable/sign`, headers: { 'x-signature': token } };
  await resumable(PNG, signed, link);
  assert.equal((await given(ann.avatars.info(signed.objectName))).size, PNG.length);
  await assert.rejects(resumable(PNG, { ...signed, objectName: `${ann.folder}/other.png` }, link), /400/);
});

let failed = 0;
for (const [name, run] of cases) {
  try {
    await run();
  } catch (error) {
    failed += 1;
    console.log(`supabase-js: storage: ${name}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
  }
}
console.log(`${cases.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
