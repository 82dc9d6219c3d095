// Clients that behave badly cost only their own request: everyone else is served, nothing leaks, nothing hangs. The
// server runs under the sanitizers in the test build, and stop() checks that it ends with exit code 0.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, endless, events, generate, idle, model, raw, sanitized, slack, sleep, start, stream, until } from './server_common.mjs';
import { within } from './waits.mjs';

let server;
before(async () => {
	server = await start([
		model('long'), '--ctx', '100000', '--read-timeout', '1', '--idle-timeout', '2', '--write-timeout', '1',
		'--max-connections', '300', '--max-body', '8388608',
	]);
});
after(() => server.stop());

const post = (body, extra = '') =>
	`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\n${extra}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const forever = (extra = {}) => JSON.stringify({ prompt: 'a', ...endless, ...extra });

// Times of n answers of /health on one connection, in ms, shortest first.
async function healthTimes(n = 25) {
	const socket = await connect(server.port);
	socket.setNoDelay(true);
	const times = [];
	for (let i = 0; i < n; i++) {
		const at = performance.now();
		const answered = new Promise((resolve) => socket.once('data', resolve));
		socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
		assert.match(String(await within(answered, 'an answer of /health')), /^HTTP\/1\.1 200 /);
		times.push(performance.now() - at);
	}
	socket.destroy();
	return times.sort((a, b) => a - b);
}

// 10 ms are promised, whatever else the server does.
function checkHealth(times, when) {
	assert.ok(times[0] < (sanitized ? 50 : 10), `/health took ${times[0]} ms at best ${when}`);
	const median = times[times.length >> 1];
	assert.ok(median < 10 * slack(), `/health took ${median} ms ${when}`);
}

test('/health answers within 10 ms, also while a prompt of many megabytes is prepared', async () => {
	checkHealth(await healthTimes(), 'when nothing else happens');
	const socket = await connect(server.port);
	let text = '';
	socket.on('data', (data) => (text += data));
	const body = post(JSON.stringify({ prompt: 'the rain falls on the old pond '.repeat(250000) }));
	await within(new Promise((resolve) => socket.write(body, resolve)), 'the prompt to be written');
	const times = [];
	await until(async () => (times.push(...(await healthTimes(5))), text), 120000, 'the answer to the large prompt');
	assert.match(text, /CONTEXT_EXCEEDED/);
	assert.ok(times.length >= 20, `${times.length} answers meanwhile`);
	checkHealth(times.sort((a, b) => a - b), 'while a prompt is prepared');
	socket.destroy();
});

const misdeeds = {
	'says nothing': () => {},
	'half a request line': (s) => s.write('POST /v1/gen'),
	'half a header': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Le'),
	'half a body': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"prompt": "a'),
	'half a chunk': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"prompt"'),
	'a body of terabytes': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999999\r\n\r\n{"prompt"'),
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
	'a flood behind a request': (s) => s.write(post(forever()) + 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20000)),
	'a flood of pipelined requests': (s) => s.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(500)),
	'slow bytes': (s) => {
		const bytes = post('{"prompt":"a"}');
		let i = 0;
		const timer = setInterval(() => (i < bytes.length && !s.destroyed ? s.write(bytes[i++]) : clearInterval(timer)), 100);
		s.on('close', () => clearInterval(timer));
	},
	'waits for 100 Continue for ever': (s) => s.write('POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n'),
	'hangs up its sending half': (s) => s.end('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'),
};

test('two hundred connections that come and go badly', async () => {
	await until(() => idle(server), 1000 * slack(), 'an idle server');
	const fds = server.fds();
	const names = Object.keys(misdeeds);
	const sockets = [];
	try {
		for (let i = 0; i < 200; i++) {
			const socket = await connect(server.port);
			sockets.push(socket);
			misdeeds[names[i % names.length]](socket);
			if (i % 20 === 19) checkHealth(await healthTimes(15), `after ${i + 1} of them`);
		}
		await sleep(300);
	} finally {
		for (const socket of sockets) socket.destroy();
	}
	await until(() => idle(server), 2000 * slack(), 'the server to be rid of their requests');
	const answer = await generate(server, { prompt: 'a', max_tokens: 3, stream: false, ...endless });
	assert.equal(answer.status, 200);
	checkHealth(await healthTimes(), 'afterwards');
	await until(() => server.fds() <= fds + 2, 5000, `the descriptors to go back to ${fds}`);
});

test('each misdeed alone ends within the limits, and the next request is served', async () => {
	for (const [name, commit] of Object.entries(misdeeds)) {
		const socket = await connect(server.port);
		commit(socket);
		await sleep(20);
		socket.destroy();
		await until(() => idle(server), 1000 * slack(), `an idle server after one that ${name}`);
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
	await within(closed, 'it to be ended');
	clearInterval(timer);
	const ms = performance.now() - at;
	assert.ok(ms > 900 && ms < 1500 * slack(), `${ms} ms`);
	assert.match(text, /^HTTP\/1\.1 408 [\s\S]*"INVALID_REQUEST"/);

	// Empty lines are no request: they neither begin its time nor end that of an idle connection.
	const empty = await connect(server.port);
	let said = '';
	empty.on('data', (data) => (said += data));
	const over = new Promise((resolve) => empty.on('close', resolve));
	const from = performance.now();
	const lines = setInterval(() => empty.write('\r\n'), 100);
	await within(over, 'it to be closed');
	clearInterval(lines);
	assert.ok(performance.now() - from > 1900 && performance.now() - from < 3000 * slack());
	assert.equal(said, '');

	const quiet = await connect(server.port);
	const gone = new Promise((resolve) => quiet.on('close', resolve));
	quiet.resume();
	quiet.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
	const start = performance.now();
	await within(gone, 'it to be closed');
	assert.ok(performance.now() - start > 1900 && performance.now() - start < 3000 * slack());
});

test('a client that stops reading is dropped, its request ended', async () => {
	const socket = await connect(server.port);
	socket.pause();
	await sleep(20);
	const before = server.fds();
	socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20000)); // 10 MB of answers
	socket.write(post(forever()));
	await until(() => server.fds() < before, 20000, 'the connection to be dropped').finally(() => socket.destroy());
	await until(() => idle(server), 1000 * slack(), 'an idle server');
});

test('connections past --max-connections are told so', async () => {
	const few = await start([model('tiny'), '--max-connections', '5']);
	await sleep(100);
	const held = [];
	for (let i = 0; i < 5; i++) held.push(await connect(few.port));
	await sleep(100);
	const refused = await raw(few.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
	assert.equal(refused.status, 503);
	assert.equal(JSON.parse(refused.body).error.code, 'OVERLOADED');
	assert.ok(Number(refused.headers['retry-after']) >= 1);
	// Far past it they are closed without a word.
	const crowd = await Promise.all([...Array(100)].map(() => connect(few.port).catch(() => null)));
	await sleep(100);
	for (const socket of [...crowd, ...held]) socket?.destroy();
	await until(async () => (await raw(few.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).status === 200, 3000, 'room');
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
