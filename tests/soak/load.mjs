// A server under mixed load for a while: answers, cancels, clients that vanish or read slowly, requests that are wrong.
// Meanwhile its memory, descriptors and threads are watched; the same request must always give the same text, and in the end what
// /health has counted must be what the clients have seen.
import { readFileSync } from 'node:fs';
import { connect, events, generate, idle, post, raw, sleep, start, until } from '../e2e/server_common.mjs';

const subjects = ['autumn rain', 'the old pond', 'a train at night', 'snow on the roof'];
const request = (n, more = {}) => ({
	messages: [{ role: 'user', content: `Write a haiku about ${subjects[n % subjects.length]}.` }], seed: n, max_tokens: [1, 8, 48, 200][n % 4],
	...(n % 16 === 7 ? { prompt: ids(400, n), messages: undefined } : n % 16 === 3 ? { n: 3 } : {}), ...more,
});
const ids = (n, first) => Array.from({ length: n }, (_, i) => 300 + ((first + i * 37) % 6000));
const kinds = 32; // requests that differ; each is asked again and again

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

// The texts of a request's samples.
const textsOf = (list) => {
	const all = [];
	for (const { data } of list.filter((e) => e.kind === 'token')) all[data.index ?? 0] = (all[data.index ?? 0] ?? '') + data.t;
	return all.join('\n---\n');
};

// One function a kind of client; each call is one request.
const clients = {
	async streams(run, n) {
		const list = events((await generate(run.server, request(n % kinds))).text);
		run.same(n % kinds, textsOf(list), `stream ${n}`);
		run.saw(list);
	},
	async takesWhole(run, n) {
		const { json } = await generate(run.server, request(n % kinds, { stream: false }));
		run.same(n % kinds, json?.samples ? json.samples.map((s) => s.text).join('\n---\n') : json?.text, `whole ${n}`);
		run.count(json?.samples?.length ?? 1, json?.usage);
	},
	async cancels(run, n) {
		const id = `soak-${n}`, answer = generate(run.server, request(n, { id, max_tokens: 400, logit_bias: { 6655: -100 } }));
		await sleep(n % 20);
		await post(run.server, '/v1/cancel', { id });
		const list = events((await answer).text);
		if (!run.saw(list)) run.unknown += 3; // samples that ended before, and those that did not
	},
	async vanishes(run, n) {
		const socket = await connect(run.server.port);
		socket.write(http(JSON.stringify(request(n))));
		run.unknown += 3;
		await Promise.race([new Promise((resolve) => socket.once('data', resolve)), sleep(1 + (n % 10))]);
		if (n % 2) socket.resetAndDestroy();
		else socket.destroy();
	},
	async readsSlowly(run, n) {
		const socket = await connect(run.server.port);
		let got = '';
		socket.setEncoding('latin1'); // a byte is a character, until it is out of its chunk
		const closed = new Promise((resolve) => socket.on('close', resolve));
		socket.on('data', (data) => {
			got += data;
			socket.pause();
			setTimeout(() => socket.resume(), 20);
		});
		// Some leave megabytes unread for a while.
		const kind = n % kinds, wordy = n % 5 === 0;
		socket.write(http(JSON.stringify(request(kind, wordy ? { logprobs: true, top_logprobs: 20 } : {})), close));
		if (wordy) {
			socket.pause();
			setTimeout(() => socket.resume(), 100);
		}
		await closed;
		if (!got.startsWith('HTTP/1.1 200')) run.fault(`a slow reader got ${JSON.stringify(got.slice(0, 80))}`);
		const list = events(unchunk(got));
		run.same(kind, textsOf(list), `slow ${n}`);
		if (!run.saw(list)) run.fault(`a slow reader's answer has no end: ${JSON.stringify(got.slice(-200))}`);
	},
	async isWrong(run, n) {
		const [bytes, status] = wrong[Math.floor(n / crowd.length) % wrong.length];
		const answer = await raw(run.server.port, bytes);
		if (status && answer.status !== status) run.fault(`${JSON.stringify(bytes.slice(0, 200))} got ${answer.status}, wanted ${status}`);
	},
	async asksHealth(run) {
		const { status, queue, counters } = await run.server.health();
		if (status !== 'ok') run.fault(`/health says ${status}`);
		// One that is being prepared waits and is not accepted yet.
		const there = queue.running + queue.queued, inside = queue.accepted - queue.finished;
		if (inside < queue.running || inside > there) run.fault(`${inside} of ${there} that run or wait are in the engine`);
		for (const [name, value] of Object.entries({ ...queue, ...counters }))
			if (!['running', 'queued', 'parallel', 'max_queue'].includes(name)) {
				if (value < (run.seen[name] ?? 0)) run.fault(`${name} fell from ${run.seen[name]} to ${value}`);
				run.seen[name] = value;
			}
		await sleep(20);
	},
};
const crowd = ['streams', 'streams', 'streams', 'takesWhole', 'cancels', 'cancels', 'vanishes', 'vanishes', 'readsSlowly', 'readsSlowly',
	'isWrong', 'isWrong', 'asksHealth'];

// What an answer in chunks holds, out of its bytes.
function unchunk(bytes) {
	let at = bytes.indexOf('\r\n\r\n') + 4, out = '';
	for (;;) {
		const end = bytes.indexOf('\r\n', at), n = Number.parseInt(bytes.slice(at, end), 16);
		if (end < 0 || !n) return Buffer.from(out, 'latin1').toString();
		out += bytes.slice(end + 2, end + 2 + n);
		at = end + 4 + n;
	}
}

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

// What /health has counted, against what clients have seen of it: n answers with their tokens, and at most `unknown` samples more of which
// nobody saw how they ended. Sentences.
export function addUp({ queue, counters, held_bytes }, seen) {
	const faults = [], check = (good, what) => good || faults.push(`${what}: ${JSON.stringify({ queue, counters, held_bytes, seen })}`);
	const answered = queue.finished - queue.cancelled - queue.failed;
	check(queue.running === 0 && queue.queued === 0 && held_bytes === 0, 'something is left');
	check(queue.accepted === queue.finished, 'accepted is not finished');
	check(queue.failed === 0, 'some failed');
	check(answered >= seen.answers && answered + queue.cancelled <= seen.answers + seen.unknown, 'answers do not add up');
	check(queue.tokens_in >= seen.tokensIn, 'tokens_in do not add up');
	check(queue.tokens_out >= seen.tokensOut, 'tokens_out do not add up');
	if (!seen.unknown) check(queue.tokens_in === seen.tokensIn && queue.tokens_out === seen.tokensOut, 'tokens do not add up');
	check(counters.cache_hits <= counters.cache_queries, 'more hits than queries');
	check(counters.step_sequences >= counters.steps && counters.step_sequences <= counters.steps * queue.parallel, 'steps do not add up');
	return faults;
}

// Resolves to {requests, seconds, faults, ...what was seen}.
export async function soak(seconds, { memoryLimitKib = 4096 } = {}) {
	const server = await start(['--log-level', 'off', '--read-timeout', '1', '--max-connections', '200', '--max-queue', '2000', '--port', '0']);
	const want = [], faults = [], samples = [];
	let requests = 0;
	const run = {
		server,
		seen: {},
		answers: 0, tokensIn: 0, tokensOut: 0, unknown: 0,
		// n samples that ended, with what the answer says of them.
		count(n, usage) {
			run.answers += n;
			run.tokensIn += n * (usage?.prompt_tokens ?? Infinity);
			run.tokensOut += usage?.completion_tokens ?? Infinity;
		},
		// The same of a stream; false: it has no end.
		saw(list) {
			const ends = list.filter((e) => e.kind === 'end'), usage = list.at(-1)?.data.usage;
			if (usage) run.count(ends.length, usage);
			return usage !== undefined;
		},
		fault: (what) => faults.length < 20 && faults.push(what),
		same: (kind, got, who) => got !== want[kind] && run.fault(`${who}: ${JSON.stringify(got)} is not what it is alone: ${JSON.stringify(want[kind])}`),
	};
	for (let n = 0; n < kinds; n++) {
		const list = events((await generate(server, request(n))).text);
		want.push(textsOf(list));
		run.saw(list);
	}
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
		for (const fault of addUp(await server.health(), run)) run.fault(fault);
		await until(() => look(server).descriptors <= before.descriptors, 5000, 'connections to be closed').catch(() => {});
	}
	const seen = { before, samples, after: lives ? look(server) : before };
	const grown = growth(seen, memoryLimitKib);
	if (lives) await server.stop().catch((error) => run.fault(error.message));
	return { requests, seconds: took, faults: [...faults, ...grown.faults], memory_kib: grown.memory_kib, ...seen };
}
