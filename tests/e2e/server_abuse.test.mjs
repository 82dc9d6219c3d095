// Clients that behave badly cost only their own request: everyone else is served, nothing leaks, nothing hangs. The
// server runs under the sanitizers in the test build, and stop() checks that it ends with exit code 0.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, endless, events, generate, idle, model, raw, sleep, start, stream, until } from './server_common.mjs';

let server;
before(async () => {
	server = await start([
		model('long'), '--ctx', '100000', '--read-timeout', '1', '--idle-timeout', '2', '--write-timeout', '1',
		'--max-connections', '300', '--max-body', '8388608',
	]);
});
after(() => server.stop());

const post = (body, extra = '') =>
	`POST /v1/generate HTTP/1.1\r\nHost: x\r\n${extra}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const forever = (extra = {}) => JSON.stringify({ prompt: 'a', ...endless, ...extra });

// Median of n answers of /health on one connection, in ms.
async function healthMs(n = 25) {
	const socket = await connect(server.port);
	socket.setNoDelay(true);
	const times = [];
	for (let i = 0; i < n; i++) {
		const at = performance.now();
		const answered = new Promise((resolve) => socket.once('data', resolve));
		socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
		assert.match(String(await answered), /^HTTP\/1\.1 200 /);
		times.push(performance.now() - at);
	}
	socket.destroy();
	return times.sort((a, b) => a - b)[n >> 1];
}

test('/health answers within 10 ms, also while a prompt of many megabytes is prepared', async () => {
	const quiet = await healthMs();
	assert.ok(quiet < 10, `${quiet} ms`);
	const socket = await connect(server.port);
	socket.write(post(JSON.stringify({ prompt: 'the rain falls on the old pond '.repeat(250000) })));
	let text = '';
	socket.on('data', (data) => (text += data));
	const times = [];
	do times.push(await healthMs(5));
	while (!text && times.length < 2000);
	assert.match(text, /CONTEXT_EXCEEDED/);
	assert.ok(times.sort((a, b) => a - b)[times.length >> 1] < 10, `${times}`);
	socket.destroy();
});

const misdeeds = {
	'says nothing': () => {},
	'half a request line': (s) => s.write('POST /v1/gen'),
	'half a header': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Le'),
	'half a body': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"prompt": "a'),
	'half a chunk': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"prompt"'),
	'a body of terabytes': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999\r\n\r\n{"prompt"'),
	'resets at once': (s) => s.resetAndDestroy(),
	'goes at once': (s) => s.destroy(),
	'sends and goes': (s) => s.end(post(forever())),
	'sends and resets': (s) => s.write(post(forever()), () => s.resetAndDestroy()),
	'goes in the middle of a stream': (s) => {
		s.write(post(forever()));
		s.once('data', () => s.destroy());
	},
	'resets in the middle of a stream': (s) => {
		s.write(post(forever()));
		s.once('data', () => s.resetAndDestroy());
	},
	'never reads': (s) => {
		s.pause();
		s.write(post(forever()));
	},
	'garbage': (s) => s.write(Buffer.from([...Array(3000).keys()].map((i) => (i * 7919) % 256))),
	'garbage behind a request': (s) => s.write(post('{"prompt":"a","max_tokens":2}') + '\0\x01\x02 garbage\r\n\r\n'),
	'a flood behind a request': (s) => s.write(post(forever()) + 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20000)),
	'a flood of pipelined requests': (s) => s.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(500)),
	'slow bytes': (s) => {
		const bytes = post('{"prompt":"a"}');
		let i = 0;
		const timer = setInterval(() => (i < bytes.length && !s.destroyed ? s.write(bytes[i++]) : clearInterval(timer)), 100);
		s.on('close', () => clearInterval(timer));
	},
	'waits for 100 Continue for ever': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n'),
	'hangs up its sending half': (s) => s.end('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'),
};

test('two hundred connections that come and go badly', async () => {
	await until(() => idle(server), 5000, 'an idle server');
	const fds = server.fds();
	const names = Object.keys(misdeeds);
	const sockets = [];
	for (let i = 0; i < 200; i++) {
		const socket = await connect(server.port);
		sockets.push(socket);
		misdeeds[names[i % names.length]](socket);
		if (i % 20 === 19) {
			const ms = await healthMs(5);
			assert.ok(ms < 50, `/health took ${ms} ms after ${i + 1} of them`);
		}
	}
	// A request in between is answered: whoever runs for ever goes first or is dropped.
	await sleep(300);
	for (const socket of sockets) socket.destroy();
	await until(() => idle(server), 5000, 'the server to be rid of their requests');
	const answer = await generate(server, { prompt: 'a', max_tokens: 3, stream: false, ...endless });
	assert.equal(answer.status, 200);
	const ms = await healthMs();
	assert.ok(ms < 10, `/health took ${ms} ms afterwards`);
	await until(() => server.fds() <= fds + 2, 5000, `the descriptors to go back to ${fds}`);
});

test('each misdeed alone ends within the limits, and the next request is served', async () => {
	for (const [name, commit] of Object.entries(misdeeds)) {
		const socket = await connect(server.port);
		commit(socket);
		await sleep(20);
		socket.destroy();
		await until(() => idle(server), 3000, `an idle server after one that ${name}`);
	}
	assert.equal((await generate(server, { prompt: 'a', max_tokens: 1, stream: false })).status, 200);
});

test('a request that trickles in is ended with 408, an idle connection is closed', async () => {
	const slow = await connect(server.port);
	let text = '';
	slow.on('data', (data) => (text += data));
	const closed = new Promise((resolve) => slow.on('close', resolve));
	const at = performance.now();
	slow.write('POST /v1/generate HTTP/1.1\r\n');
	const timer = setInterval(() => slow.write('X: y\r\n'), 100);
	await closed;
	clearInterval(timer);
	const ms = performance.now() - at;
	assert.ok(ms > 900 && ms < 4000, `${ms} ms`);
	assert.match(text, /^HTTP\/1\.1 408 [\s\S]*"INVALID_REQUEST"/);

	const quiet = await connect(server.port);
	const gone = new Promise((resolve) => quiet.on('close', resolve));
	quiet.resume();
	quiet.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
	const start = performance.now();
	await gone;
	assert.ok(performance.now() - start > 1900 && performance.now() - start < 6000);
});

test('a client that stops reading is dropped, its request ended', async () => {
	const socket = await connect(server.port);
	socket.pause();
	await sleep(20);
	const before = server.fds();
	socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20000)); // 10 MB of answers
	socket.write(post(forever()));
	await until(() => server.fds() < before, 20000, 'the connection to be dropped');
	socket.destroy();
	await until(() => idle(server), 3000, 'an idle server');
});

test('connections past --max-connections are told so', async () => {
	const few = await start([model('tiny'), '--max-connections', '5']);
	await sleep(100);
	const held = [];
	for (let i = 0; i < 5; i++) held.push(await connect(few.port));
	await sleep(100);
	const refused = await raw(few.port, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
	assert.equal(refused.status, 503);
	assert.equal(JSON.parse(refused.body).error.code, 'OVERLOADED');
	assert.ok(Number(refused.headers['retry-after']) >= 1);
	// Far past it they are closed without a word.
	const crowd = await Promise.all([...Array(100)].map(() => connect(few.port).catch(() => null)));
	await sleep(100);
	for (const socket of [...crowd, ...held]) socket?.destroy();
	await until(async () => (await raw(few.port, 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n')).status === 200, 3000, 'room');
	await few.stop();
});

test('many well-behaved clients at once all get their own answer', async () => {
	const ask = (i) => ({ prompt: [5, i % 500], seed: i, max_tokens: 8, ...endless });
	const alone = await generate(server, { ...ask(3), stream: false });
	const streams = await Promise.all([...Array(60).keys()].map((i) => stream(server, ask(i))));
	await Promise.all(streams.map((s) => s.done));
	for (const s of streams) {
		const list = s.events();
		assert.equal(list.at(-1).kind, 'end');
		assert.equal(list.at(-1).data.tokens_out, 8);
	}
	const text = events(streams[3].text).filter((e) => e.kind === 'token').map((e) => e.data.t).join('');
	assert.equal(text, alone.json.text);
});
