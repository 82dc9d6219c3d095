// Clients that read slowly, late, or a byte a second: a long answer reaches whoever reads it, whole; who never does costs only himself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, endless, events, generate, idle, model, sanitized, slack, sleep, start, until } from './server_common.mjs';
import { patience, within } from './waits.mjs';

let server;
before(async () => {
	server = await start([model('long'), '--ctx', '20000', '--max-unread', '5M', '--write-timeout', '120', '-np', '8']);
});
after(() => server.stop());

// With the log probabilities of 20 tokens beside each an event has two and a half kilobytes.
const wordy = { prompt: 'a', ...endless, logprobs: true, top_logprobs: 20 };

// A request whose socket does not read. payload() is what has come, out of its chunks.
async function open(body) {
	const socket = await connect(server.port), text = JSON.stringify(body), pieces = [];
	socket.pause();
	socket.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
	const closed = new Promise((resolve) => socket.on('close', resolve));
	socket.on('data', (data) => pieces.push(data));
	socket.pause(); // listening has begun to read
	return {
		socket, closed,
		payload() {
			const all = Buffer.concat(pieces), parts = [];
			let at = all.indexOf('\r\n\r\n') + 4;
			for (;;) {
				const end = all.indexOf('\r\n', at), n = Number.parseInt(all.subarray(at, end).toString(), 16);
				if (end < 0 || !n || end + 2 + n > all.length) break;
				parts.push(all.subarray(end + 2, end + 2 + n));
				at = end + 4 + n;
			}
			return Buffer.concat(parts).toString();
		},
	};
}

const long = 1500; // tokens, each an event of two and a half kilobytes
const held = async () => (await server.health()).held_bytes;

function checkWhole(list, n) {
	const tokens = list.filter((e) => e.kind === 'token');
	assert.deepEqual(tokens.map((e) => e.data.i), Array.from({ length: n }, (_, i) => i));
	assert.equal(list.at(-1).kind, 'end');
	assert.equal(list.at(-1).data.tokens_out, n);
	return tokens.map((e) => e.data.id);
}

const ask = { ...wordy, max_tokens: long, seed: 3, temperature: 1 }; // some megabytes
let lone;

test('a client that reads late gets its whole answer, also where that has ended long before', async () => {
	lone = checkWhole(events((await generate(server, ask)).text), long);
	for (const wait of ['middle', 'end']) {
		const late = await open(ask);
		await until(async () => (await held()) > 1000, patience, 'something to be held back');
		if (wait === 'end') await until(async () => (await server.health()).queue.running === 0, patience, 'the answer to end');
		late.socket.resume();
		await within(late.closed, 'it to be dropped', patience);
		assert.deepEqual(checkWhole(events(late.payload()), long), lone);
		assert.equal(await held(), 0);
	}
});

test('a client that reads slowly all the time gets its whole answer', async () => {
	const slow = await open(ask);
	await until(async () => (await held()) > 1000, patience, 'something to be held back');
	slow.socket.on('data', () => {
		slow.socket.pause();
		setTimeout(() => slow.socket.resume(), 50);
	});
	slow.socket.resume();
	await within(slow.closed, 'it to be dropped', patience);
	assert.deepEqual(checkWhole(events(slow.payload()), long), lone);
});

test('a client that reads nothing is dropped past --max-unread, its request ended', async () => {
	const { cancelled } = (await server.health()).queue, from = server.log.length;
	const flood = await open({ ...wordy, n: 4 });
	await until(async () => (await held()) > 1000, patience, 'something to be held back');
	await until(async () => (await server.health()).queue.cancelled === cancelled + 4, patience, 'it to be dropped');
	assert.match(server.log.slice(from), /a client left \d{7} bytes of its answer unread: dropped/);
	assert.equal(await held(), 0);
	flood.socket.destroy();
	await until(() => idle(server), 1000 * slack(), 'an idle server');
});

test('clients that read a byte a second cost nobody else anything', async () => {
	const lone = (await generate(server, { prompt: 'a', ...endless, seed: 5, max_tokens: 30, stream: false })).json.text;
	const drips = await Promise.all(Array.from({ length: sanitized ? 3 : 6 }, (_, i) => open({ ...wordy, seed: i, max_tokens: 1000 })));
	const timer = setInterval(() => drips.forEach((d) => d.socket.read(1)), 1000);
	const begin = performance.now();
	while (performance.now() - begin < 4000) {
		const at = performance.now();
		const answer = await generate(server, { prompt: 'a', ...endless, seed: 5, max_tokens: 30, stream: false });
		assert.equal(answer.json.text, lone);
		assert.ok(performance.now() - at < 2000 * slack(), `${performance.now() - at} ms`);
		await sleep(100);
	}
	clearInterval(timer);
	// Some were dropped meanwhile, which is told; none keeps anything.
	for (const d of drips) d.socket.destroy();
	await until(async () => (await idle(server)) && (await held()) === 0, 5000, 'them to be gone');
	const { accepted, finished, failed } = (await server.health()).queue;
	assert.deepEqual([finished, failed], [accepted, 0]);
});
