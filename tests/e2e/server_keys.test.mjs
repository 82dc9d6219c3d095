// Several keys: what each may, whose turn it is, and that none sees, cancels or finds anything of another's.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { endless, events, folder, generate, model, post, raw, sleep, start, startFails, stream, until } from './server_common.mjs';
import { within } from './waits.mjs';

const secret = { a: 'secret-of-team-a', b: 'secret-of-team-b', bare: 'secret-of-nobody' };
const as = (who) => ({ Authorization: `Bearer ${secret[who]}` });
const forever = { prompt: 'a', ...endless };

function keyFile(name, text) {
	mkdirSync(folder, { recursive: true });
	const path = join(folder, `keys-${name}`);
	writeFileSync(path, text);
	return path;
}

// A server with the keys a and b, which have these limits, and a bare one. It is stopped however the test ends.
async function serve(t, limits, args = []) {
	const text = `# keys\nname=team-a key=${secret.a} ${limits.a ?? ''}\nname=team-b ${limits.b ?? ''} key=${secret.b}\n${secret.bare}\n`;
	const path = keyFile(t.name.replace(/\W+/g, '-').slice(0, 40), text);
	const server = await start([model('long'), '--ctx', '30000', '--api-key-file', path, ...args]);
	server.keyPath = path;
	t.after(() => server.child.kill('SIGKILL'));
	server.key = async (who) => (await (await fetch(`${server.url}/health`, { headers: as(who) })).json()).key;
	server.end = async () => {
		await server.stop();
		for (const key of Object.values(secret)) assert.ok(!server.log.includes(key), 'a key in the log');
	};
	return server;
}

test('of a key with many requests and one with one, the one is let in after one more at most', async (t) => {
	const server = await serve(t, {}, ['--parallel', '1', '--max-queue', '60']);
	const many = [await stream(server, { ...forever, id: 'first' }, as('a'))];
	await many[0].saw('token');
	for (let i = 0; i < 61; i++) many.push(await stream(server, { ...forever, max_tokens: 20 }, as('a')));
	// The queue is full, but not for one that has nothing in it; as it is for the many.
	const refused = many.filter((s) => s.status === 503);
	assert.equal(refused.length, 1);
	assert.equal(refused[0].headers.get('retry-after'), '1');
	const one = await stream(server, { ...forever, max_tokens: 20 }, as('b'));
	assert.equal(one.status, 200);
	await until(async () => (await server.key('b')).waiting === 1, 5000, 'the one to wait');
	const { queue } = await server.health();
	assert.deepEqual([queue.running, queue.queued], [1, 61]);
	assert.deepEqual((await post(server, '/v1/cancel', { id: 'first' }, as('a'))).json, { id: 'first', found: true });
	await within(one.done, 'the stream to end');
	assert.equal(one.events().at(-1).kind, 'end');
	await Promise.all(many.map((s) => s.done));
	const began = (s) => s.events()[0].data.started_at;
	const before = many.filter((s) => s.status === 200 && began(s) < began(one));
	assert.ok(before.length <= 2, `${before.length} began before the one`);
	await server.end();
});

test('ids and cancels belong to their key', async (t) => {
	const server = await serve(t, {}, ['--parallel', '4']);
	const a = await stream(server, { ...forever, id: 'mine' }, as('a')), b = await stream(server, { ...forever, id: 'mine' }, as('b'));
	await a.saw('token');
	await b.saw('token');
	const twice = await generate(server, { ...forever, id: 'mine' }, as('b'));
	assert.equal(twice.status, 400);
	assert.equal(twice.json.error.message, 'id is "mine", which another running request has');
	for (const [who, found] of [['bare', false], ['a', true], ['a', false], ['bare', false]])
		assert.deepEqual((await post(server, '/v1/cancel', { id: 'mine' }, as(who))).json, { id: 'mine', found });
	await within(a.done, 'the stream to end');
	assert.equal(a.events().at(-1).data.code, 'CANCELLED');
	const n = b.events().length;
	await until(() => b.events().length > n + 3, 5000, 'the other one to go on');
	assert.equal((await post(server, '/v1/cancel', { id: 'mine' })).status, 401);
	assert.equal((await post(server, '/v1/cancel', { id: 'mine' }, as('b'))).json.found, true);
	await within(b.done, 'the stream to end');
	await server.end();
});

test('what is known of a prompt is known to its key and its cache_salt alone', async (t) => {
	const server = await serve(t, {}, ['--chat-template', 'chatml']);
	const ask = async (who, cache_salt) => {
		const { json } = await generate(server, { prompt: Array(100).fill(7), max_tokens: 2, stream: false, seed: 1, cache_salt }, as(who));
		assert.equal(json.usage.prompt_tokens_details.cached_tokens, json.cached_tokens);
		return json.cached_tokens;
	};
	const chat = async (who, cache_salt) => {
		const messages = [{ role: 'user', content: 'the same beginning '.repeat(20) }];
		const { json } = await post(server, '/v1/chat/completions', { messages, max_tokens: 2, cache_salt }, as(who));
		return json.usage.prompt_tokens_details.cached_tokens > 0;
	};
	for (const [who, salt, cached] of [
		['a', undefined, 0], ['a', undefined, 96], ['b', undefined, 0], ['b', undefined, 96], ['bare', undefined, 0],
		['a', 'x', 0], ['a', 'x', 96], ['b', 'x', 0], ['a', 'y', 0], ['a', null, 96], ['a', 'x'.repeat(256), 0], ['a', 'x'.repeat(256), 96],
	])
		assert.equal(await ask(who, salt), cached, `${who} ${salt}`);
	for (const [who, salt, cached] of [['a', 'x', false], ['a', 'x', true], ['b', 'x', false], ['a', undefined, false], ['a', undefined, true]])
		assert.equal(await chat(who, salt), cached, `${who} ${salt}`);
	for (const [cache_salt, message] of [
		['', 'cache_salt has 0 bytes; it takes 1 to 256'],
		['x'.repeat(257), 'cache_salt has 257 bytes; it takes 1 to 256'],
		[5, 'cache_salt is 5; it takes a string'],
	])
		for (const path of ['/v1/generate', '/v1/chat/completions']) {
			const { status, json } = await post(server, path, { messages: [{ role: 'user', content: 'a' }], cache_salt }, as('a'));
			assert.deepEqual([status, json.error.message, json.error.field ?? json.error.param], [400, message, 'cache_salt']);
		}
	await server.end();
});

test('a state is restored for its key and the cache_salt that is given', async (t) => {
	const dir = mkdtempSync(join(folder, 'states-'));
	const ask = async (server, who, cache_salt) => (await generate(server, { prompt: Array(100).fill(7), max_tokens: 1, stream: false, cache_salt }, as(who))).json.cached_tokens;
	const first = await serve(t, {}, ['--state-dir', dir]);
	const saved = await post(first, '/v1/state/save', { name: 'sevens', tokens: Array(100).fill(7), cache_salt: 'x' }, as('a'));
	assert.equal(saved.status, 200, saved.text);
	assert.equal(await ask(first, 'a'), 0);
	assert.equal(await ask(first, 'a', 'x'), 96);
	await generate(first, { prompt: [7], max_tokens: 1, id: 'salted', cache_salt: 'x' }, as('a'));
	const twice = await post(first, '/v1/state/save', { name: 'more', id: 'salted', cache_salt: 'x' }, as('a'));
	assert.deepEqual([twice.status, twice.json.error.field], [400, 'cache_salt']);
	await first.end();
	const second = await serve(t, {}, ['--state-dir', dir]);
	assert.equal((await post(second, '/v1/state/restore', { name: 'sevens' }, as('b'))).status, 404);
	assert.equal((await post(second, '/v1/state/restore', { name: 'sevens', cache_salt: 'y' }, as('a'))).status, 200);
	assert.deepEqual([await ask(second, 'b', 'y'), await ask(second, 'a', 'x'), await ask(second, 'a', 'y')], [0, 0, 96]);
	await second.end();
	rmSync(dir, { recursive: true });
});

test('a key runs and waits as often as it may', async (t) => {
	const server = await serve(t, { a: 'running=2 waiting=1' }, ['--parallel', '4', '--chat-template', 'chatml']);
	const all = [];
	for (let i = 0; i < 3; i++) all.push(await stream(server, { ...forever, id: `${i}` }, as('a')));
	await until(async () => (await server.key('a')).running === 2, 5000, 'two to run');
	assert.equal((await server.key('a')).waiting, 1);
	const refused = await generate(server, forever, as('a'));
	assert.equal(refused.status, 429);
	assert.deepEqual(refused.json.error, { code: 'RATE_LIMITED', message: 'the key team-a has as many requests waiting as it may; try again later' });
	assert.equal(refused.headers.get('retry-after'), '1');
	const chat = await post(server, '/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }], ...endless }, as('a'));
	assert.equal(chat.status, 429);
	assert.equal(chat.headers.get('retry-after'), '1');
	assert.deepEqual([chat.json.error.type, chat.json.error.code, chat.json.error.param], ['rate_limit_error', 'rate_limit_exceeded', null]);
	// The others have all the places that are left, at once.
	const others = [await stream(server, forever, as('b')), await stream(server, forever, as('bare'))];
	for (const s of others) await s.saw('token');
	assert.deepEqual((await server.health()).queue.running, 4);
	await post(server, '/v1/cancel', { id: '0' }, as('a'));
	await all[2].saw('token');
	const { counters, ...state } = await server.key('a');
	assert.deepEqual(state, { name: 'team-a', running: 2, waiting: 0, limits: { running: 2, waiting: 1, tokens_per_minute: null } });
	assert.deepEqual([counters.requests, counters.rate_limited, counters.prompt_tokens], [3, 2, 3]);
	assert.equal((await server.health()).counters.rate_limited, 2);
	for (const s of [...all, ...others]) s.abort();
	await server.end();
});

test('tokens a minute: prompt and answer count, and Retry-After is true', async (t) => {
	const limit = 'tokens_per_minute=120';
	const server = await serve(t, { a: limit, b: limit }, ['--chat-template', 'chatml']);
	const answer = (max_tokens) => ({ prompt: Array(100).fill(7), ...endless, max_tokens, stream: false });
	const small = { prompt: [7], max_tokens: 1, stream: false };
	let at = performance.now();
	const back = () => Math.ceil((performance.now() - at) / 500) + 1; // it gets two tokens a second
	// Far over: it has more than a minute and a half to wait, however slow this machine is.
	assert.equal((await generate(server, answer(228), as('a'))).json.usage.total_tokens, 328);
	const left = (await server.key('a')).tokens_left;
	assert.ok(left >= -208 && left <= -208 + back(), `${left}`);
	const refused = await generate(server, small, as('a'));
	const wait = Number(refused.headers.get('retry-after'));
	assert.deepEqual([refused.status, refused.json.error.code], [429, 'RATE_LIMITED']);
	assert.ok(wait >= 104 - back() / 2 && wait <= 105, `${wait}`);
	assert.equal(refused.json.error.message, `the key team-a has used its 120 tokens a minute; try again in ${wait} s`);
	const chat = await post(server, '/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }] }, as('a'));
	assert.deepEqual([chat.status, chat.json.error.code], [429, 'rate_limit_exceeded']);
	assert.ok(Number(chat.headers.get('retry-after')) >= 1);
	// Nothing else is limited: other keys, other routes.
	assert.equal((await generate(server, small, as('bare'))).status, 200);
	assert.equal((await fetch(`${server.url}/v1/models`, { headers: as('a') })).status, 200);
	// A little over: after as long as it is told it may go on.
	at = performance.now();
	assert.equal((await generate(server, answer(28), as('b'))).json.usage.total_tokens, 128);
	const next = await generate(server, small, as('b'));
	if (next.status === 429) {
		await sleep(Number(next.headers.get('retry-after')) * 1000);
		assert.equal((await generate(server, small, as('b'))).status, 200);
	} else assert.ok(performance.now() - at > 3500);
	const { counters } = await server.key('b');
	assert.deepEqual([counters.requests, counters.prompt_tokens, counters.answer_tokens], [2, 101, 29]);
	await server.end();
});

test('each answer tells the name of its key, and no answer a key', async (t) => {
	const server = await serve(t, { b: 'running=3' }, ['--chat-template', 'chatml']);
	const short = { prompt: 'a', max_tokens: 2 };
	for (const [who, name] of [['a', 'team-a'], ['b', 'team-b'], ['bare', 'line-4']]) {
		const chat = { messages: [{ role: 'user', content: 'a' }], max_tokens: 2 };
		const answers = [
			await generate(server, { ...short, stream: false }, as(who)),
			await generate(server, short, as(who)),
			await post(server, '/v1/chat/completions', chat, as(who)),
			await post(server, '/v1/chat/completions', { ...chat, stream: true }, as(who)),
			await generate(server, { ...short, max_tokens: -1 }, as(who)),
			await post(server, '/v1/cancel', { id: 'none' }, as(who)),
		];
		for (const { headers, text } of answers) {
			assert.equal(headers.get('hokku-key'), name);
			for (const key of Object.values(secret)) assert.ok(!text.includes(key));
		}
		assert.equal(answers[0].json.key, name);
		assert.equal(events(answers[1].text)[0].data.key, name);
		assert.equal(answers[2].json.hokku.key, name);
		assert.ok(answers[3].text.includes(`"key":"${name}"`));
		assert.equal((await server.key(who)).name, name);
	}
	// Without a key, or with a wrong one, nothing of them is told.
	const closed = await generate(server, short, { Authorization: 'Bearer secret-of-team-c' });
	assert.deepEqual([closed.status, closed.headers.get('hokku-key')], [401, null]);
	const health = await raw(server.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
	assert.ok(!health.text.includes('team-') && !health.text.includes('secret'));
	assert.equal(JSON.parse(health.body).key, undefined);

	// SIGHUP: the file is read again. a has another key, b and the bare one are gone, c is new; what is under way goes on.
	const next = 'another-of-team-a', renew = async (text, words) => {
		writeFileSync(server.keyPath, text);
		server.child.kill('SIGHUP');
		await until(() => words.test(server.log), 20000, `a line like ${words}`);
	};
	const status = async (key) => (await generate(server, { ...short, stream: false }, { Authorization: `Bearer ${key}` })).status;
	const running = await stream(server, { ...forever, id: 'of-b' }, as('b'));
	await running.saw('token');
	await renew(`name=team-a key=${next} models=none\nname=team-c key=${secret.b}-of-c\n`, /info {2}the keys of \S+ are read again: 2 count, of which 1 are new; 2 are gone\n/);
	assert.deepEqual([await status(secret.a), await status(secret.b), await status(secret.bare), await status(`${secret.b}-of-c`), await status(next)], [401, 401, 401, 200, 403]);
	assert.equal((await server.health()).queue.running, 1);
	await renew(`name=team-a key=${next}\nname=team-a key=x`, /error SIGHUP: \S+, line 2: the key has 1 bytes; it takes 8 to 256; the keys/);
	assert.equal(await status(next), 403);
	await renew(`name=team-a key=${secret.a}\nname=team-b key=${secret.b}\n\n${secret.bare}\n`, /3 count, of which 0 are new; 1 are gone\n/);
	assert.deepEqual([await status(secret.a), await status(next), (await server.key('bare')).name, (await server.key('b')).running], [200, 401, 'line-4', 1]);
	await post(server, '/v1/cancel', { id: 'of-b' }, as('b'));
	await within(running.done, 'the stream to end');
	assert.equal(running.events().at(-1).data.code, 'CANCELLED');
	assert.ok(!server.log.includes(next));
	await server.end();
});

test('keys that come by SIGHUP have their own limits, cache, share and rows, and keep them when they go', async (t) => {
	const server = await serve(t, {}, ['--parallel', '2']);
	const said = (n) => until(() => server.log.split('are read again').length - 1 === n, 20000, `the keys to be read ${n} times`);
	const renew = async (n, ...lines) => {
		writeFileSync(server.keyPath, `${[`name=team-a key=${secret.a}`, ...lines].join('\n')}\n`);
		server.child.kill('SIGHUP');
		await said(n);
	};
	const short = { prompt: 'rain', max_tokens: 1 }, by = (key) => ({ Authorization: `Bearer ${key}` });
	const prompt = { prompt: Array.from({ length: 200 }, (_, i) => 300 + i), max_tokens: 1, stream: false, temperature: 0 };
	const cached = async (key) => (await post(server, '/v1/completions', { ...prompt }, by(key))).json.usage.prompt_tokens_details.cached_tokens;
	assert.equal(await cached(secret.a), 0);
	assert.ok(await cached(secret.a) > 0);
	await renew(1, 'name=new-1 key=key-of-new-1 running=1 waiting=0', 'name=new-2 key=key-of-new-2 tokens_per_minute=1');
	// What another one computed is not found.
	assert.equal(await cached('key-of-new-1'), 0);
	assert.ok(await cached('key-of-new-1') > 0);
	// Limits of requests and of tokens.
	const busy = await stream(server, { ...forever, id: 'of-new-1' }, by('key-of-new-1'));
	await busy.saw('token');
	assert.equal((await generate(server, { ...short, stream: false }, by('key-of-new-1'))).status, 429);
	assert.equal((await generate(server, { ...short, stream: false }, by('key-of-new-2'))).status, 200);
	assert.equal((await generate(server, { ...short, stream: false }, by('key-of-new-2'))).status, 429);
	const own = async (key) => (await (await fetch(`${server.url}/metrics`, { headers: by(key) })).text());
	assert.match(await own('key-of-new-1'), /^hokku_key_requests_total\{key="new-1"\} 3$/m);
	// Other limits for the one that runs; it goes on when it is gone, and nobody takes its place.
	await renew(2, 'name=new-1 key=key-of-new-1 running=2', 'name=new-2 key=key-of-new-2');
	assert.equal((await generate(server, { ...short, stream: false }, by('key-of-new-1'))).status, 200);
	assert.equal((await generate(server, { ...short, stream: false }, by('key-of-new-2'))).status, 200);
	await renew(3, 'name=new-3 key=key-of-new-3');
	assert.equal((await generate(server, { ...short, stream: false }, by('key-of-new-1'))).status, 401);
	assert.equal((await server.health()).queue.running, 1);
	assert.equal((await post(server, '/v1/cancel', { id: 'of-new-1' }, by('key-of-new-3'))).status, 202); // whether there is such or not
	assert.equal(await cached('key-of-new-3'), 0);
	assert.equal((await server.health()).queue.running, 1);
	assert.match(await own('key-of-new-3'), /key="new-3"/);
	assert.match(await own('key-of-new-3'), /^hokku_key_requests_total\{key="new-1"\} 4$/m); // what it has counted stays
	await renew(4, 'name=new-1 key=key-of-new-1');
	assert.ok(await cached('key-of-new-1') > 0); // its own is still there
	await post(server, '/v1/cancel', { id: 'of-new-1' }, by('key-of-new-1'));
	await busy.done;
	await server.end();
});

test('cancels that come while bodies are being read find their requests, and those of their key alone', async (t) => {
	const server = await serve(t, {}, ['--parallel', '2', '--max-connections', '1500']);
	// Bodies that take a while to be read: what comes behind them has no id yet.
	const slow = ['b', 'a', 'bare'].map((who) => generate(server, `{"prompt":[${'7,'.repeat(1000000)}7]}`, as(who)));
	await until(async () => (await server.health()).queue.queued > 0, 5000, 'a slow one');
	const requests = Array.from({ length: 60 }, (_, i) => generate(server, { ...forever, id: `early-${i}`, stream: false }, as('b')));
	const mine = generate(server, { prompt: 'a', max_tokens: 1, stream: false, id: 'early-1' }, as('a'));
	await until(async () => (await server.health()).queue.queued >= 59, 5000, 'all to be there');
	const cancels = Array.from({ length: 1000 }, (_, i) => post(server, '/v1/cancel', { id: `early-${i % 500}` }, as('b')));
	for (const c of await Promise.all(cancels)) assert.equal(c.status, 202, c.text);
	for (const r of await Promise.all(requests)) assert.deepEqual([r.status, r.json.error?.code], [499, 'CANCELLED'], r.text.slice(0, 200));
	for (const s of slow) assert.equal((await s).status, 400);
	assert.equal((await mine).status, 200);
	await server.end();
});

test('a key file that is wrong is told by its line, and shows no key', async () => {
	const tiny = model('tiny');
	for (const [text, ...words] of [
		['name=a key=secret-1 runing=2', 'line 1', 'did you mean running?'],
		['secret-1\nname=a key=secret-1', 'line 2', 'the key is that of line 1 too'],
		['name=a key=secret-1\n\nname=a key=secret-2', 'line 3', 'the name a is that of line 1 too'],
		['name=a key=secret-1 running=257', 'line 1', 'running is 257; it takes a whole number from 1 to 256'],
		['name=a secret-1', 'line 1', 'word 2', 'name=NAME key=KEY'],
		['name=a running=1', 'line 1', 'key is missing'],
	]) {
		const path = keyFile('wrong', text);
		const { code, err } = await startFails([tiny, '--port', '0', '--api-key-file', path]);
		assert.equal(code, 1);
		for (const word of [path, ...words]) assert.ok(err.includes(word), `${word}: ${err}`);
		assert.ok(!err.includes('secret'), err);
	}
});
