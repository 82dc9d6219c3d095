// A server under mixed load for a while: answers, cancels, clients that vanish or read slowly, requests that are wrong.
// Meanwhile its memory, descriptors and threads are watched; the same request must always give the same text.
import { readFileSync } from 'node:fs';
import { connect, events, generate, idle, post, raw, sleep, start, until } from '../e2e/server_common.mjs';

const subjects = ['autumn rain', 'the old pond', 'a train at night', 'snow on the roof'];
const request = (n, more = {}) => ({
	messages: [{ role: 'user', content: `Write a haiku about ${subjects[n % subjects.length]}.` }], seed: n, max_tokens: 48, ...more,
});
const kinds = 16; // requests that differ; each is asked again and again

const http = (body, head = '') =>
	`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\n${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const get = (path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
const close = 'Connection: close\r\n';

// Bytes, and the status they get; 0: any, or none.
const wrong = [
	[http('{"prompt": ', close), 400], [http('{"prompt": "a", "temperature": "hot"}', close), 400], [http('[]', close), 400],
	[http('{"prompt": "a", "max_tokens": -1}', close), 400], [http(`{"prompt": ${JSON.stringify('rain '.repeat(4000))}}`, close), 400],
	[http('{"prompt": [1, 2, 99999999]}', close), 400], [get('/nothing'), 404], [get('/v1/generate'), 405],
	['GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n', 400], ['GET /health HTTP/1.1\r\n\r\n', 400],
	['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 0], ['POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n', 413],
	['POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"prompt"', 408], // after --read-timeout
];

const text = (body) => events(body).filter((e) => e.data.t).map((e) => e.data.t).join('');

// One function a kind of client; each call is one request.
const clients = {
	async streams(run, n) {
		const answer = await generate(run.server, request(n % kinds));
		run.same(n % kinds, text(answer.text), `stream ${n}`);
	},
	async takesWhole(run, n) {
		const answer = await generate(run.server, request(n % kinds, { stream: false }));
		run.same(n % kinds, answer.json?.text, `whole ${n}`);
	},
	async cancels(run, n) {
		const id = `soak-${n}`, answer = generate(run.server, request(n, { id, logit_bias: { 6655: -100 } }));
		await sleep(n % 20);
		await post(run.server, '/v1/cancel', { id });
		await answer;
	},
	async vanishes(run, n) {
		const socket = await connect(run.server.port);
		socket.write(http(JSON.stringify(request(n))));
		await Promise.race([new Promise((resolve) => socket.once('data', resolve)), sleep(n % 10)]);
		if (n % 2) socket.resetAndDestroy();
		else socket.destroy();
	},
	async readsSlowly(run, n) {
		const socket = await connect(run.server.port);
		let got = '';
		const closed = new Promise((resolve) => socket.on('close', resolve));
		socket.on('data', (data) => {
			got += data;
			socket.pause();
			setTimeout(() => socket.resume(), 20);
		});
		socket.write(http(JSON.stringify(request(n % kinds)), close));
		await closed;
		if (!got.startsWith('HTTP/1.1 200')) run.fault(`a slow reader got ${JSON.stringify(got.slice(0, 80))}`);
	},
	async isWrong(run, n) {
		const [bytes, status] = wrong[Math.floor(n / crowd.length) % wrong.length];
		const answer = await raw(run.server.port, bytes);
		if (status && answer.status !== status) run.fault(`${JSON.stringify(bytes.slice(0, 200))} got ${answer.status}, wanted ${status}`);
	},
	async asksHealth(run) {
		const { status } = await run.server.health();
		if (status !== 'ok') run.fault(`/health says ${status}`);
		await sleep(20);
	},
};
const crowd = ['streams', 'streams', 'streams', 'takesWhole', 'cancels', 'cancels', 'vanishes', 'vanishes', 'readsSlowly', 'readsSlowly',
	'isWrong', 'isWrong', 'asksHealth'];

const count = (status, name) => Number(status.match(new RegExp(`^${name}:\\s*(\\d+)`, 'm'))[1]);

export function look(server) {
	const status = readFileSync(`/proc/${server.child.pid}/status`, 'utf8');
	return { memory_kib: count(status, 'VmRSS'), threads: count(status, 'Threads'), descriptors: server.fds() };
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

// What has grown, as sentences: memory from the second quarter of the samples to the last, descriptors and threads from
// the quiet before to the quiet after.
export function growth({ before, samples, after }, memoryLimitKib) {
	const quarter = samples.length >> 2, memory = samples.map((s) => s.memory_kib);
	const early = median(memory.slice(quarter, 2 * quarter)), late = median(memory.slice(-quarter));
	const faults = [];
	if (late - early > memoryLimitKib) faults.push(`memory grew by ${late - early} KiB (from ${early}); ${memoryLimitKib} are allowed`);
	for (const what of ['descriptors', 'threads'])
		if (after[what] > before[what]) faults.push(`${what} were ${before[what]} before and ${after[what]} after`);
	return { faults, memory_kib: late - early };
}

// Resolves to {requests, seconds, faults, ...what was seen}.
export async function soak(seconds, { memoryLimitKib = 4096 } = {}) {
	const server = await start(['--log-level', 'off', '--read-timeout', '1', '--max-connections', '200', '--port', '0']);
	const want = [], faults = [], samples = [];
	let requests = 0;
	const run = {
		server,
		fault: (what) => faults.length < 20 && faults.push(what),
		same: (kind, got, who) => got !== want[kind] && run.fault(`${who}: ${JSON.stringify(got)} is not what it is alone: ${JSON.stringify(want[kind])}`),
	};
	for (let n = 0; n < kinds; n++) want.push(text((await generate(server, request(n))).text));
	const before = look(server), begin = performance.now(), passed = () => (performance.now() - begin) / 1000;
	await Promise.all([
		...crowd.map(async (kind, who) => {
			for (let n = who; passed() < seconds && server.child.exitCode === null; n += crowd.length) {
				await clients[kind](run, n).catch((error) => run.fault(`${kind}: ${error.message}`));
				requests++;
			}
		}),
		(async () => {
			for (; passed() < seconds && server.child.exitCode === null; await sleep(seconds * 10)) samples.push(look(server));
		})(),
	]);
	const took = passed();
	const lives = server.child.exitCode === null && server.child.signalCode === null;
	if (!lives) run.fault(`the server ended: ${server.log.slice(-2000)}`);
	else {
		await until(() => idle(server), 10000, 'the server to be idle');
		await until(() => look(server).descriptors <= before.descriptors, 5000, 'connections to be closed').catch(() => {});
	}
	const seen = { before, samples, after: lives ? look(server) : before };
	const grown = growth(seen, memoryLimitKib);
	if (lives) await server.stop().catch((error) => run.fault(error.message));
	return { requests, seconds: took, faults: [...faults, ...grown.faults], memory_kib: grown.memory_kib, ...seen };
}
