// Crowds: a thousand clients with a stream each, a thousand that only hold a connection or wait, a thousand cancels at once; and the server
// killed in the middle.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { connect, events, generate, idle, post, sanitized, slack, start, stream, until } from './server_common.mjs';
import { within } from './waits.mjs';

const crowd = sanitized ? 100 : 1000; // a sanitizer's server computes five times as long, or twenty
const kinds = 24;
const subjects = ['rain', 'moon', 'snow', 'the old pond', 'an autumn road', 'a crow', 'the sea', 'plum blossoms'];
const haiku = (i) => ({
	messages: [{ role: 'user', content: `Write a haiku about ${subjects[i % 8]}.` }],
	seed: i % kinds, temperature: i % 3 ? 0.9 : 0, max_tokens: 6 + ((i % kinds) * 5) % 30, priority: i % 4,
});
const forever = { messages: [{ role: 'user', content: 'Write a haiku about rain.' }], logit_bias: { 6653: -100, 6654: -100, 6655: -100 } };
const parts = (list) => list.filter((e) => e.kind === 'token').map((e) => e.data);
const text = (list) => parts(list).map((t) => t.t).join('');

async function serve(t, args = []) {
	const server = await start(['--log-level', 'warn', '--max-connections', String(2 * crowd + 50), '--max-queue', String(2 * crowd), ...args]);
	t.after(() => server.child.kill('SIGKILL'));
	return server;
}

const rss = (server) => Number(readFileSync(`/proc/${server.child.pid}/status`, 'utf8').match(/^VmRSS:\s*(\d+)/m)[1]) * 1024;

test('a thousand clients at once: nothing is lost, every text is that of its lone run', async (t) => {
	const server = await serve(t), lone = [];
	for (let i = 0; i < kinds; i++) lone.push(events((await generate(server, haiku(i))).text));
	const { queue: before } = await server.health();
	const all = await Promise.all(Array.from({ length: crowd }, (_, i) => stream(server, haiku(i))));
	await Promise.all(all.map((s) => s.done));
	let tokens = 0;
	for (const [i, s] of all.entries()) {
		const got = s.events(), want = lone[i % kinds];
		assert.equal(s.status, 200);
		assert.deepEqual([got[0].kind, got.at(-1).kind], ['started', 'end'], `${i}: ${s.text.slice(-300)}`);
		assert.deepEqual(parts(got).map((p) => [p.i, p.id]), parts(want).map((p) => [p.i, p.id]), `${i}`);
		assert.equal(text(got), text(want), `${i}`);
		tokens += got.at(-1).data.tokens_out;
	}
	await until(() => idle(server), 5000, 'an idle server');
	const { queue, held_bytes } = await server.health();
	assert.deepEqual(
		[queue.accepted, queue.finished, queue.cancelled, queue.failed, queue.tokens_out - before.tokens_out, held_bytes],
		[kinds + crowd, kinds + crowd, 0, 0, tokens, 0],
	);
	await server.stop();
});

// What a connection costs while nothing moves on it, by the growth of the server's memory.
test('an idle connection holds less than 32 KB', { skip: sanitized && 'a sanitizer has its own idea of memory' }, async (t) => {
	const prompt = `Write a haiku about rain. ${'It falls on the old pond. '.repeat(20)}`;
	const waits = (i) => JSON.stringify({ ...forever, id: `w${i}`, messages: [{ role: 'user', content: prompt }] });
	const ways = {
		'that never asked': null,
		'that asked once': () => 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n',
		'whose stream waits': (i) => `POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${waits(i).length}\r\n\r\n${waits(i)}`,
	};
	for (const [way, send] of Object.entries(ways)) {
		const server = await serve(t, ['-np', '1', '--keep-alive-interval', '3600', '--log-level', 'off']); // each with memory of its own
		await generate(server, haiku(0));
		const before = rss(server), answered = [];
		for (let i = 0; i < crowd; i++) {
			const socket = await connect(server.port);
			answered.push(new Promise((resolve) => socket.once('data', resolve)));
			if (send) socket.write(send(i));
		}
		if (send) await within(Promise.all(answered), 'the first byte of each answer');
		await until(async () => (await server.health()).connections > crowd, 20000, 'them all');
		const each = (rss(server) - before) / crowd;
		t.diagnostic(`a connection ${way}: ${Math.round(each)} bytes`);
		assert.ok(each > 1024 && each < 32 * 1024, `a connection ${way}: ${each} bytes`);
		await server.stop();
	}
});

test('a thousand cancels at once: each is answered, everything they mean ends, the others go on', async (t) => {
	const server = await serve(t);
	const other = await stream(server, { ...forever, priority: 0 });
	await other.saw('token');
	const all = await Promise.all(Array.from({ length: crowd }, (_, i) => stream(server, { ...forever, id: `c${i}`, priority: 3 })));
	await until(async () => (await server.health()).queue.accepted === crowd + 1, 20000, 'all of them to be there');
	const at = performance.now();
	const answers = await Promise.all(Array.from({ length: crowd }, (_, i) => post(server, '/v1/cancel', { id: `c${(i * 7) % crowd}` })));
	await Promise.all(all.map((s) => s.done));
	const took = performance.now() - at;
	assert.ok(took < 5000 * slack(), `${took} ms`);
	for (const answer of answers) assert.equal(answer.status, 202);
	let ended = 0;
	for (const s of all) {
		const last = s.events().at(-1);
		if (last.kind === 'end') ended++; // its context was full before its cancel came
		else assert.deepEqual([last.kind, last.data.code], ['error', 'CANCELLED']);
	}
	await until(async () => (await server.health()).queue.running <= 1, 2000 * slack(), 'the engine to let go');
	const { queue } = await server.health();
	assert.equal(queue.queued, 0);
	// Of those that ran some may have come to their end while they were told of their cancel.
	assert.ok(queue.cancelled >= crowd - ended - queue.parallel && queue.failed === 0, JSON.stringify(queue));
	other.abort();
	const again = await generate(server, haiku(1));
	assert.equal(events(again.text).at(-1).kind, 'end');
	await server.stop();
});

test('killed in the middle: clients see their streams end, the port is free at once, the answers are the same', async (t) => {
	const server = await serve(t), lone = [];
	for (let i = 0; i < 4; i++) lone.push(text(events((await generate(server, haiku(i))).text)));
	const all = await Promise.all(Array.from({ length: 100 }, (_, i) => stream(server, { ...forever, seed: i })));
	await all[0].saw('token');
	const begin = performance.now();
	server.child.kill('SIGKILL');
	await within(server.exited, 'the server to end');
	await Promise.all(all.map((s) => s.done));
	assert.ok(performance.now() - begin < 5000 * slack());
	for (const s of all) assert.ok(s.error || s.events().at(-1)?.kind === 'end', s.text.slice(-200));
	const next = await start(['--port', String(server.port)]);
	t.after(() => next.child.kill('SIGKILL'));
	assert.equal(next.port, server.port);
	for (let i = 0; i < 4; i++) assert.equal(text(events((await generate(next, haiku(i))).text)), lone[i]);
	await next.stop();
});
