// Cases of /rest/v1 by the npm package @supabase/supabase-js. Each names the row of PostgREST's protocol that it shows.
// usage: node rest.mjs URL ANON_KEY SERVICE_KEY
import assert from 'node:assert/strict';
import { createClient } from '@supabase/supabase-js';

const [url, anonKey, serviceKey] = process.argv.slice(2);
// Nothing here is live, and Node.js before 22 has no WebSocket of its own.
class NoSocket {}
const quiet = { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: NoSocket } };
const inLab = { ...quiet, db: { schema: 'lab' } };
const lab = createClient(url, anonKey, inLab);
const service = createClient(url, serviceKey, inLab);
const cases = [];
const test = (name, run) => cases.push([name, run]);

/** What a request gives, which must have gone well. */
const rows = async (request, status = 200) => {
  const answer = await request;
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  assert.equal(answer.status, status);
  return answer.data;
};
/** The ids of what a request gives. */
const ids = async (request) => (await rows(request)).map((row) => row.id).sort();
const houses = (columns = 'id') => lab.from('houses').select(columns);
/** A request that must be refused. */
const refused = async (request, status, code) => {
  const { error, data, status: got } = await request;
  assert.equal(data, null);
  assert.deepEqual([got, error.code], [status, code], JSON.stringify(error));
  return error;
};

test('select: everything', async () => assert.equal((await rows(lab.from('houses').select())).length, 4));
test('select: columns, aliases and casts', async () =>
  assert.deepEqual(await rows(houses('title:name,price::text').eq('id', 1)), [{ title: 'Ash', price: '300' }]));
test('select: paths into JSON', async () =>
  assert.deepEqual(await rows(houses('facts->beds,owner:facts->owner->>name,facts->years->1').eq('id', 1)), [
    { beds: 3, owner: 'Ann', years: 2 },
  ]));
test('select: computed columns', async () => assert.deepEqual(await rows(houses('label').eq('id', 3)), [{ label: 'Cedar!' }]));
test('select: a view', async () => assert.deepEqual(await ids(lab.from('dear_houses').select('id')), [1, 2]));
test('select: another schema', async () => {
  const answer = await createClient(url, anonKey, { ...quiet, db: { schema: 'public' } }).from('properties').select('id').limit(1);
  assert.equal(answer.error, null);
  await refused(lab.schema('nowhere').from('houses').select(), 406, 'PGRST106');
});

const filters = {
  'eq and neq': [(q) => q.eq('name', 'Ash'), [1], (q) => q.neq('name', 'Ash'), [2, 3, 4]],
  'gt, gte, lt and lte': [(q) => q.gt('price', 200).lt('price', 500), [1], (q) => q.gte('price', 300).lte('price', 500), [1, 2]],
  'like and ilike': [(q) => q.like('name', 'B%'), [2], (q) => q.ilike('name', '%D%'), [3, 4]],
  'like all and any': [
    (q) => q.likeAllOf('name', ['%e%', '%h']), [2],
    (q) => q.likeAnyOf('name', ['A%', 'C%']), [1, 3],
    (q) => q.ilikeAllOf('name', ['%E%', '%H']), [2],
    (q) => q.ilikeAnyOf('name', ['a%', 'c%']), [1, 3],
  ],
  'match by a pattern': [(q) => q.filter('name', 'match', '^[AB]'), [1, 2], (q) => q.filter('name', 'imatch', '^[ab]'), [1, 2]],
  'is': [(q) => q.is('price', null), [4], (q) => q.not('price', 'is', null), [1, 2, 3]],
  'in': [(q) => q.in('id', [1, 4, 9]), [1, 4], (q) => q.in('name', ['Ash', 'a,b', 'x"y']), [1], (q) => q.in('id', []), []],
  'isdistinct': [(q) => q.filter('price', 'isdistinct', '300'), [2, 3, 4]],
  'contains': [(q) => q.contains('tags', ['garden', 'old']), [1], (q) => q.contains('facts', { beds: 5 }), [2]],
  'contained by': [(q) => q.containedBy('tags', ['garden', 'x']), [2, 3]],
  'overlaps': [(q) => q.overlaps('tags', ['old', 'new']), [1, 4], (q) => q.overlaps('let_during', '[2020-06-01,2021-07-01)'), [1, 2]],
  'ranges': [
    (q) => q.rangeLt('let_during', '[2021-06-01,2022-01-01)'), [1],
    (q) => q.rangeGt('let_during', '[2020-01-01,2021-01-01)'), [2, 4],
    (q) => q.rangeGte('let_during', '[2021-06-01,2022-01-01)'), [2, 4],
    (q) => q.rangeLte('let_during', '[2021-06-01,2022-01-01)'), [1, 2],
    (q) => q.rangeAdjacent('let_during', '[2021-01-01,2021-06-01)'), [1, 2],
  ],
  'full text': [
    (q) => q.textSearch('note', 'quiet & street'), [2],
    (q) => q.textSearch('note', 'quiet street', { type: 'plain', config: 'english' }), [2],
    (q) => q.textSearch('note', 'loud street', { type: 'phrase' }), [3],
    (q) => q.textSearch('note', 'quiet -street', { type: 'websearch', config: 'english' }), [4],
  ],
  'not': [(q) => q.not('id', 'in', '(1,2)'), [3, 4], (q) => q.not('name', 'like', 'A%'), [2, 3, 4]],
  'or and and': [
    (q) => q.or('id.eq.1,name.eq.Cedar'), [1, 3],
    (q) => q.or('id.eq.4,and(price.gt.250,price.lt.400)'), [1, 4],
    (q) => q.or('note.eq."a quiet street, \\"good\\"",id.eq.3'), [2, 3],
  ],
  'match by columns': [(q) => q.match({ name: 'Ash', city_id: 1 }), [1]],
  'paths into JSON': [(q) => q.eq('facts->>beds', '3'), [1], (q) => q.eq('facts->owner->>name', 'Ann'), [1]],
  'computed columns': [(q) => q.eq('label', 'Ash!'), [1]],
};
for (const [name, tried] of Object.entries(filters)) {
  test(`filter: ${name}`, async () => {
    for (let at = 0; at < tried.length; at += 2) assert.deepEqual(await ids(tried[at](houses())), tried[at + 1], `${at / 2}`);
  });
}

test('order: directions and nulls', async () => {
  const order = async (...by) => (await rows(houses().order(...by))).map((row) => row.id);
  assert.deepEqual(await order('price', { ascending: false, nullsFirst: false }), [2, 1, 3, 4]);
  assert.deepEqual(await order('price', { nullsFirst: true }), [4, 3, 1, 2]);
  const two = await rows(houses('id').order('city_id', { ascending: false }).order('id'));
  assert.deepEqual(two.map((row) => row.id), [4, 3, 1, 2]);
});
test('page: limit and range', async () => {
  assert.deepEqual(await rows(houses().order('id').limit(1)), [{ id: 1 }]);
  assert.deepEqual(await rows(houses().order('id').range(1, 2)), [{ id: 2 }, { id: 3 }]);
  assert.deepEqual(await rows(houses().limit(0)), []);
});
test('page: counts', async () => {
  const counted = await lab.from('houses').select('id', { count: 'exact' }).limit(2);
  assert.deepEqual([counted.count, counted.data.length, counted.status], [4, 2, 206]);
  for (const count of ['planned', 'estimated']) {
    assert.equal(typeof (await lab.from('houses').select('id', { count })).count, 'number');
  }
  const head = await lab.from('houses').select('*', { count: 'exact', head: true }).gt('id', 1);
  assert.deepEqual([head.count, head.data, head.error], [3, null, null]);
});
test('page: behind the last row', async () => {
  await refused(lab.from('houses').select('id', { count: 'exact' }).range(10, 20), 416, 'PGRST103');
});
test('single: one, none, several', async () => {
  assert.deepEqual(await rows(houses().eq('id', 1).single()), { id: 1 });
  const none = await refused(houses().eq('id', 99).single(), 406, 'PGRST116');
  assert.equal(none.details, 'The result contains 0 rows');
  await refused(houses().single(), 406, 'PGRST116');
});
test('maybeSingle: one, none, several', async () => {
  assert.deepEqual(await rows(houses().eq('id', 1).maybeSingle()), { id: 1 });
  assert.equal(await rows(houses().eq('id', 99).maybeSingle()), null);
  await refused(houses().maybeSingle(), 406, 'PGRST116');
});
test('csv', async () => assert.equal(await rows(houses('id,name').lt('id', 3).order('id').csv()), 'id,name\n1,Ash\n2,Beech'));
test('explain', async () => {
  assert.match(await rows(houses().explain()), /Aggregate/);
  const plan = await rows(houses().explain({ format: 'json', analyze: true, verbose: true }));
  assert.ok(plan[0].Plan['Actual Rows'] >= 1);
});
test('nulls are left out', async () => assert.deepEqual(await rows(houses('id,note').eq('id', 1).stripNulls()), [{ id: 1 }]));
test('a request that is given up', async () => {
  const { error } = await lab.rpc('nap').abortSignal(AbortSignal.timeout(100));
  assert.ok(error);
  assert.equal(await rows(lab.rpc('add_up', { a: 1 })), 2);
});

test('embed: many to one', async () =>
  assert.deepEqual(await rows(houses('name,cities(name)').eq('id', 1)), [{ name: 'Ash', cities: { name: 'Lyon' } }]));
test('embed: one to many', async () =>
  assert.deepEqual(await rows(lab.from('cities').select('name,houses(id)').eq('id', 1).order('id', { referencedTable: 'houses' })), [
    { name: 'Lyon', houses: [{ id: 1 }, { id: 2 }] },
  ]));
test('embed: one to one', async () =>
  assert.deepEqual(await rows(houses('id,floor_plans(rooms)').in('id', [1, 3]).order('id')), [
    { id: 1, floor_plans: { rooms: 6 } },
    { id: 3, floor_plans: null },
  ]));
test('embed: many to many', async () =>
  assert.deepEqual(await rows(houses('id,people(name)').eq('id', 1).order('name', { referencedTable: 'people' })), [
    { id: 1, people: [{ name: 'Ann' }, { name: 'Bob' }] },
  ]));
test('embed: to itself', async () => {
  assert.deepEqual(await rows(lab.from('people').select('name,mentor:mentor_id(name)').eq('id', 2)), [
    { name: 'Bob', mentor: { name: 'Ann' } },
  ]);
});
test('embed: hints, and what needs one', async () => {
  const asked = 'id,visitor:people!visits_visitor_id_fkey(name),guide:people!guide_id(name)';
  assert.deepEqual(await rows(lab.from('visits').select(asked).eq('id', 1)), [
    { id: 1, visitor: { name: 'Bob' }, guide: { name: 'Ann' } },
  ]);
  const error = await refused(lab.from('visits').select('people(name)'), 300, 'PGRST201');
  assert.equal(error.details.length, 2);
});
test('embed: inner', async () => {
  assert.deepEqual(await ids(houses('id,floor_plans!inner(rooms)').gt('floor_plans.rooms', 6)), [2]);
  const counted = await lab.from('houses').select('id,cities!inner(name)', { count: 'exact' }).eq('cities.name', 'Lyon');
  assert.equal(counted.count, 2);
});
test('embed: spread', async () => {
  assert.deepEqual(await rows(houses('id,...cities(city:name)').eq('id', 1)), [{ id: 1, city: 'Lyon' }]);
  assert.deepEqual(await rows(lab.from('cities').select('name,...houses(names:name)').eq('id', 2)), [{ name: 'Bern', names: ['Cedar'] }]);
});
test('embed: filters, order and limit of their own', async () => {
  const asked = lab.from('cities').select('id,houses(name)').eq('id', 1);
  const request = asked.order('price', { referencedTable: 'houses', ascending: false }).limit(1, { referencedTable: 'houses' });
  assert.deepEqual(await rows(request), [{ id: 1, houses: [{ name: 'Beech' }] }]);
  const some = lab.from('cities').select('id,houses(id)').or('id.eq.1,id.eq.4', { referencedTable: 'houses' }).order('id');
  assert.deepEqual((await rows(some)).map((city) => city.houses.length), [1, 0, 1]);
});
test('embed: whether it is there', async () => {
  assert.deepEqual(await ids(houses('id,floor_plans()').is('floor_plans', null)), [3, 4]);
  assert.deepEqual(await ids(houses('id,floor_plans()').not('floor_plans', 'is', null)), [1, 2]);
});
test('embed: by a function', async () =>
  assert.deepEqual(await rows(lab.from('cities').select('name,dearest(name)').eq('id', 1)), [
    { name: 'Lyon', dearest: { name: 'Beech' } },
  ]));
test('embed: through a view, three deep', async () => {
  const asked = 'name,cities(name,houses(id,people(name)))';
  const [ash] = await rows(lab.from('dear_houses').select(asked).eq('id', 1));
  assert.equal(ash.cities.houses.find((house) => house.id === 1).people.length, 2);
});
test('embed: order by what is embedded', async () => {
  const found = await rows(houses('id,cities(name)').order('cities(name)').order('id'));
  assert.deepEqual(found.map((row) => row.id), [3, 1, 2, 4]);
});
test('embed: what is no relationship', async () => void (await refused(houses('secrets(*)'), 400, 'PGRST200')));

test('insert: nothing given back, and the row', async () => {
  assert.equal(await rows(lab.from('notes').insert({ body: 'three' }), 201), null);
  assert.deepEqual(await rows(lab.from('notes').insert({ body: 'four' }).select('body,grade').single(), 201), { body: 'four', grade: 5 });
});
test('insert: several, with and without defaults', async () => {
  const several = [{ body: 'five' }, { body: 'six', grade: 9 }];
  assert.deepEqual(await rows(lab.from('notes').insert(several).select('grade'), 201), [{ grade: null }, { grade: 9 }]);
  const filled = lab.from('notes').insert(several, { defaultToNull: false }).select('grade');
  assert.deepEqual(await rows(filled, 201), [{ grade: 5 }, { grade: 9 }]);
  const counted = await lab.from('notes').insert(several, { count: 'exact' });
  assert.equal(counted.count, 2);
});
test('insert: refused', async () => {
  await refused(lab.from('notes').insert({ body: 'x', code: 'a' }), 409, '23505');
  await refused(lab.from('notes').insert({ body: 'forbidden' }), 401, '42501');
  await refused(lab.from('notes').insert({ nothing: 1 }), 400, 'PGRST204');
  await refused(lab.from('notes').insert({ body: null }), 400, '23502');
});
test('upsert: by the key, by other columns, and not at all', async () => {
  const by = { onConflict: 'code' };
  assert.deepEqual(await rows(lab.from('notes').upsert({ code: 'a', body: 'new' }, by).select('body')), [{ body: 'new' }]);
  const left = lab.from('notes').upsert({ code: 'b', body: 'not' }, { ...by, ignoreDuplicates: true }).select();
  assert.deepEqual(await rows(left, 201), []);
  assert.deepEqual(await rows(lab.from('notes').upsert({ id: 1, body: 'by key' }).select('id,body')), [{ id: 1, body: 'by key' }]);
});
test('update', async () => {
  assert.equal(await rows(lab.from('notes').update({ grade: 3 }).eq('code', 'b'), 204), null);
  assert.deepEqual(await rows(lab.from('notes').update({ grade: 4 }).eq('code', 'b').select('grade')), [{ grade: 4 }]);
  assert.deepEqual(await rows(lab.from('notes').update({ grade: 4 }).eq('code', 'none').select()), []);
  const counted = await lab.from('notes').update({ grade: 5 }, { count: 'exact' }).in('code', ['a', 'b']);
  assert.equal(counted.count, 2);
});
test('update: at most so many', async () => {
  await refused(lab.from('notes').update({ grade: 0 }).in('code', ['a', 'b']).maxAffected(1), 400, 'PGRST124');
  assert.equal((await rows(lab.from('notes').select('grade').eq('code', 'a').single())).grade, 5);
});
test('delete', async () => {
  await rows(lab.from('notes').insert({ body: 'gone', code: 'z' }), 201);
  assert.deepEqual(await rows(lab.from('notes').delete().eq('code', 'z').select('body')), [{ body: 'gone' }]);
  const counted = await lab.from('notes').delete({ count: 'exact' }).eq('code', 'z');
  assert.deepEqual([counted.count, counted.status], [0, 204]);
});
test('single on a write undoes it', async () => {
  await refused(lab.from('notes').update({ grade: 8 }).in('code', ['a', 'b']).select().single(), 406, 'PGRST116');
  assert.equal((await rows(lab.from('notes').select('id').eq('grade', 8))).length, 0);
});

test('rpc: values, defaults, arrays', async () => {
  assert.equal(await rows(lab.rpc('add_up', { a: 1, b: 2 })), 3);
  assert.equal(await rows(lab.rpc('add_up', { a: 1 })), 2);
  assert.equal(await rows(lab.rpc('sum_of', { numbers: [1, 2, 3] })), 6);
});
test('rpc: by GET and by HEAD', async () => {
  assert.equal(await rows(lab.rpc('add_up', { a: 5 }, { get: true })), 6);
  assert.equal(await rows(lab.rpc('sum_of', { numbers: [4, 5] }, { get: true })), 9);
  assert.equal((await lab.rpc('cheap', { below: 400 }, { head: true, count: 'exact' })).count, 2);
});
test('rpc: rows with everything of select', async () => {
  const request = lab.rpc('cheap', { below: 1000 }).select('name,cities(name)').gt('price', 200).order('price').limit(1);
  assert.deepEqual(await rows(request), [{ name: 'Ash', cities: { name: 'Lyon' } }]);
  assert.deepEqual(await rows(lab.rpc('cheap', { below: 250 }).select('id').single()), { id: 3 });
});
test('rpc: a parameter without a name, and two functions that cannot be told apart', async () => {
  assert.equal(await rows(lab.rpc('shout', { '': 'loud' })), '{"":"LOUD"}');
  const { message } = await refused(lab.rpc('choose', { a: 1 }), 300, 'PGRST203');
  assert.match(message, /between: lab\.choose\(a => integer\), lab\.choose\(a => text\)$/);
});
test('rpc: nothing, a whole body, a refusal, an unknown one', async () => {
  assert.equal(await rows(lab.rpc('nothing'), 204), null);
  assert.deepEqual(await rows(lab.rpc('echo', { any: ['thing'] })), { any: ['thing'] });
  const error = await refused(lab.rpc('refuse'), 418, 'PT418');
  assert.deepEqual([error.message, error.details, error.hint], ['no tea', 'none at all', 'ask for coffee']);
  await refused(lab.rpc('unknown'), 404, 'PGRST202');
});

test('rights: what a visitor may not see', async () => {
  await refused(lab.from('secrets').select(), 401, '42501');
  assert.deepEqual(await rows(service.from('secrets').select('word')), [{ word: 'hidden' }]);
});
test('rights: tokens that are none', async () => {
  const forged = createClient(url, anonKey, { ...inLab, global: { headers: { Authorization: 'Bearer a.b.c' } } });
  await refused(forged.from('houses').select(), 401, 'PGRST301');
});
test('filters: a column that an embed goes by', async () => {
  const request = lab.from('houses').select('id,city:city_id(name)').eq('city_id', 2);
  assert.deepEqual(await rows(request), [{ id: 3, city: { name: 'Bern' } }]);
});
test('errors: what is not there', async () => {
  const error = await refused(lab.from('housess').select(), 404, 'PGRST205');
  assert.match(error.hint ?? '', /Perhaps you meant the table 'lab\.houses/);
  await refused(houses('nothing'), 400, '42703');
  await refused(houses().filter('id', 'noop', '1'), 400, 'PGRST100');
  await refused(houses().eq('id', 'x'), 400, '22P02');
});
test('aggregates are off', async () => void (await refused(houses('price.sum()'), 400, 'PGRST123')));

let failed = 0;
for (const [name, run] of cases) {
  try {
    await run();
  } catch (error) {
    failed += 1;
    console.log(`supabase-js: ${name}: ${error.message.split('\n').slice(0, 12).join(' ')}`);
  }
}
console.log(`${cases.length - failed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
