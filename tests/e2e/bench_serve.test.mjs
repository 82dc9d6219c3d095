// `hokku bench serve`: against hokku's own server, and against one of OpenAI's kind that answers late, in pieces, wrongly or not at all.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hokku, sleep, slack, start } from './server_common.mjs';
import { ended, within } from './waits.mjs';

// Runs while this process serves.
function bench(args, env = {}) {
	const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('HOKKU')));
	const child = spawn(hokku, ['bench', 'serve', ...args], { env: { ...clean, ...env } });
	const r = { stdout: '', stderr: '', child };
	child.stdout.on('data', (data) => (r.stdout += data));
	child.stderr.on('data', (data) => (r.stderr += data));
	r.done = ended(child).then(({ code }) => Object.assign(r, { status: code }));
	return r;
}
const run = (...args) => bench(args).done;
async function json(...args) {
	const r = await run(...args, '--json');
	assert.equal(r.status, 0, r.stderr);
	return JSON.parse(r.stdout);
}

// ---- a server of OpenAI's kind: the first part of the path says how it behaves ----

const seen = { bodies: [], headers: [], running: 0, most: 0, arrivals: [], sockets: new Set() };
const forget = () => Object.assign(seen, { bodies: [], headers: [], running: 0, most: 0, arrivals: [], sockets: new Set() });
const chunk = (delta, finish = null) => `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const usage = (n) => `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 11, completion_tokens: n, prompt_tokens_details: { cached_tokens: 4 } } })}\n\n`;
const done = 'data: [DONE]\n\n';
const whole = [chunk({ role: 'assistant', content: '' }), chunk({ content: 'late é' }), chunk({ content: 'rain' }), chunk({ content: '!' }), chunk({}, 'stop'), usage(3), done];
const begin = (res) => res.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });

const ways = {
	plain(res) {
		begin(res);
		res.end(whole.join(''));
	},
	async slow(res) {
		begin(res);
		res.write(whole[0]);
		for (const event of whole.slice(1)) {
			await sleep(60);
			res.write(event);
		}
		res.end();
	},
	async split(res) {
		begin(res);
		const bytes = Buffer.from(': hello\r\n\r\n' + whole.join(': between\n\n').replaceAll('\n', '\r\n'));
		for (let i = 0; i < bytes.length; i += 3) {
			res.write(bytes.subarray(i, i + 3));
			if (i % 48 === 0) await sleep(1);
		}
		res.end();
	},
	undone(res) { // no [DONE], but a finish_reason: some servers end so
		begin(res);
		res.end(whole.slice(0, 5).join(''));
	},
	several(res) { // two tokens in an event: only usage knows
		begin(res);
		res.end(chunk({ content: 'two words' }) + chunk({ content: ' more', }, 'length') + usage(4) + done);
	},
	empty(res) {
		begin(res);
		res.end(chunk({ role: 'assistant', content: '' }) + chunk({}, 'stop') + usage(0) + done);
	},
	cut(res) {
		begin(res);
		res.end(whole.slice(0, 3).join(''));
	},
	torn(res) {
		begin(res);
		res.write(whole[1]);
		setTimeout(() => res.destroy(), 20);
	},
	junk(res) {
		begin(res);
		res.end(whole[1] + 'data: {"choices": [}\n\n' + done);
	},
	inner(res) {
		begin(res);
		res.end(whole[1] + 'data: {"error": {"message": "out of memory", "code": "server_error"}}\n\n');
	},
	full(res) {
		res.writeHead(503, { 'Content-Type': 'application/json' });
		res.end('{"error": {"message": "busy", "code": "overloaded"}}');
	},
	html(res) {
		res.writeHead(502);
		res.end('<html>Bad Gateway');
	},
	object(res) {
		res.writeHead(200, { 'Content-Type': 'application/json' });
		res.end('{"choices": [{"message": {"content": "whole"}}]}');
	},
	silent() {},
	stalls(res) {
		begin(res);
		res.write(whole[1]);
	},
	closing(res) { // the connection is of one request only
		res.writeHead(200, { 'Content-Type': 'text/event-stream', Connection: 'close' });
		res.end(whole.join(''));
	},
	second(res) { // every second fails
		(seen.bodies.length % 2 ? ways.plain : ways.full)(res);
	},
};

let base, server;
const answer = (req, res) => {
	const [, way, ...rest] = req.url.split('/');
	const route = `/${rest.join('/')}`;
	let body = '';
	req.on('data', (data) => (body += data));
	req.on('end', () => {
		if (route === '/v1/models') return res.end('{"object":"list","data":[{"id":"fake-1"},{"id":"other"}]}');
		if (req.method !== 'POST') return res.writeHead(404).end('{}');
		seen.arrivals.push(performance.now());
		seen.sockets.add(req.socket);
		seen.bodies.push({ route, ...JSON.parse(body) });
		seen.headers.push(req.headers);
		seen.most = Math.max(seen.most, ++seen.running);
		res.on('close', () => seen.running--);
		ways[way](res);
	});
};
before(async () => {
	server = http.createServer(answer);
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	base = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
	server.closeAllConnections();
	server.close();
});

test('what is asked: model, words, lengths, usage, key; the same seed asks the same', async () => {
	forget();
	const args = [`${base}/plain`, '-n', '6', '-c', '2', '--input-len', '5-9', '--output-len', '3', '--shared-prefix', '4', '--api-key', 'sk-1'];
	const j = await json(...args);
	assert.equal(j.api, 'chat');
	assert.equal(j.model, 'fake-1');
	assert.equal(j.url, `${base}/plain/v1/chat/completions`);
	const first = seen.bodies;
	assert.equal(first.length, 6);
	const words = first.map((b) => b.messages[0].content.split(' '));
	for (const [i, b] of first.entries()) {
		assert.deepEqual({ ...b, messages: 0 }, { route: '/v1/chat/completions', messages: 0, model: 'fake-1', max_tokens: 3, temperature: 0, stream: true, stream_options: { include_usage: true } });
		assert.ok(words[i].length >= 9 && words[i].length <= 13);
		assert.deepEqual(words[i].slice(0, 4), words[0].slice(0, 4));
		assert.equal(seen.headers[i].authorization, 'Bearer sk-1');
		assert.equal(seen.headers[i].host, base.slice(7));
	}
	assert.ok(new Set(words.map((w) => w.join(' '))).size === 6);
	forget();
	await json(...args);
	const text = (bodies) => bodies.map((b) => b.messages[0].content).sort();
	assert.deepEqual(text(seen.bodies), text(first));
	forget();
	await json(...args, '--seed', '1');
	assert.notDeepEqual(text(seen.bodies), text(first));

	forget();
	const r = await bench([`${base}/several/v1/completions`, '-n', '1', '--input-len', '6', '--vocab-size', '1000', '--model', 'mine', '--temperature', '0.5', '--seed', '9',
		'--ignore-eos', '--extra-body', '{"top_p": 0.25, "model": "theirs", "nested": {"a": [1, null]}}', '--json'], { HOKKU_API_KEY: 'from-env' }).done;
	assert.equal(r.status, 0, r.stderr);
	const [b] = seen.bodies;
	assert.equal(seen.headers[0].authorization, 'Bearer from-env');
	assert.equal(b.prompt.length, 6);
	assert.ok(b.prompt.every((id) => id >= 100 && id < 900));
	assert.deepEqual({ ...b, prompt: 0 }, { route: '/v1/completions', prompt: 0, max_tokens: 128, temperature: 0.5, seed: 9, ignore_eos: true, stream_options: { include_usage: true },
		top_p: 0.25, model: 'theirs', nested: { a: [1, null] }, stream: true });
});

test('times are those of the pieces, tokens those of usage', async () => {
	const j = await json(`${base}/slow`, '-n', '4', '-c', '4', '--output-len', '3');
	assert.equal(j.completed, 4);
	assert.equal(j.tokens_in, 44);
	assert.equal(j.tokens_cached, 16);
	assert.equal(j.tokens_out, 12);
	assert.equal(j.events, 12);
	assert.equal(j.tokens_from, 'usage');
	const near = (value, want) => assert.ok(value > want - 8 && value < want * (1 + slack()), `${value}, not ${want}`);
	near(j.ttft_ms.p50, 60); // not when the role came
	near(j.itl_ms.p50, 60);
	near(j.tpot_ms.p50, 60);
	near(j.e2e_ms.p50, 360);
	for (const s of ['ttft_ms', 'itl_ms', 'tpot_ms', 'e2e_ms']) {
		const { p50, p90, p99, max, mean } = j[s];
		assert.ok(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= max && mean <= max, s);
	}
	assert.ok(Math.abs(j.output_tokens_per_s * j.duration_s - 12) < 1e-6);
	assert.ok(Math.abs(j.requests_per_s * j.duration_s - 4) < 1e-6);

	const several = await json(`${base}/several`, '-n', '2');
	assert.deepEqual([several.tokens_out, several.events], [8, 4]);
	const undone = await json(`${base}/undone`, '-n', '2', '--input-len', '7');
	assert.deepEqual([undone.tokens_out, undone.tokens_in, undone.tokens_from], [6, 14, 'events']);
	const empty = await json(`${base}/empty`, '-n', '2');
	assert.deepEqual([empty.completed, empty.empty, empty.tokens_out, empty.ttft_ms.max], [2, 2, 0, 0]);
});

test('answers in pieces of three bytes are the same answers', async () => {
	const j = await json(`${base}/split`, '-n', '8', '-c', '4');
	assert.deepEqual([j.completed, j.events, j.tokens_out], [8, 24, 24]);
});

test('clients: never more at a time, each goes on; connections are used again, or not', async () => {
	forget();
	const j = await json(`${base}/slow`, '-n', '9', '-c', '3');
	assert.equal(seen.most, 3);
	assert.equal(j.peak_in_flight, 3);
	assert.equal(seen.bodies.length, 9);
	const again = await json(`${base}/closing`, '-n', '20', '-c', '2');
	assert.equal(again.completed, 20);
	forget();
	const warm = await json(`${base}/plain`, '-n', '3', '--warmup', '5');
	assert.equal(warm.completed, 3);
	assert.equal(seen.bodies.length, 8);
	assert.equal(new Set(seen.bodies.map((b) => b.messages[0].content)).size, 8);
});

test('a rate: requests come by themselves, at random but by the seed', async () => {
	forget();
	const j = await json(`${base}/slow`, '-n', '60', '--rate', '100', '--seed', '3');
	assert.equal(j.rate, 100);
	assert.equal(j.clients, null);
	assert.ok(seen.most > 10, `${seen.most} at a time`); // each takes 360 ms
	const waits = seen.arrivals.slice(1).map((t, i) => t - seen.arrivals[i]);
	const took = (seen.arrivals.at(-1) - seen.arrivals[0]) / 59;
	assert.ok(took > 6 && took < 15 * slack(), `${took} ms apart`);
	assert.ok(waits.some((w) => w < 3) && waits.some((w) => w > 20), 'at random');
	forget();
	const all = await json(`${base}/slow`, '-n', '40', '--request-rate', 'inf');
	assert.equal(all.peak_in_flight, 40);
	assert.equal(all.rate, null);
});

test('512 clients at once lose nothing', async () => {
	const j = await json(`${base}/plain`, '--num-prompts', '2048', '--max-concurrency', '512', '--random-input-len', '4', '--random-output-len', '3');
	assert.deepEqual([j.completed, j.failed, j.events], [2048, 0, 2048 * 3]);
	assert.equal(j.peak_in_flight, 512);
});

for (const [way, message] of [
	['cut', 'the stream ended before the answer did'],
	['torn', 'the connection ended before the answer did'],
	['junk', 'an event is no JSON: "{\\"choices\\": [}"'],
	['inner', '"server_error: out of memory"'],
	['full', 'status 503: "overloaded: busy"'],
	['html', 'status 502: "<html>Bad Gateway"'],
	['object', 'the answer is no stream of events (Content-Type text/event-stream)'],
	['silent', 'nothing came for as long as --timeout allows'],
	['stalls', 'nothing came for as long as --timeout allows'],
])
	test(`an answer that is ${way}: told, counted, exit code 1`, async () => {
		const r = await run(`${base}/${way}`, '-n', '3', '-c', '2', '--timeout', '1', '--json');
		assert.equal(r.status, 1);
		const j = JSON.parse(r.stdout);
		assert.deepEqual([j.completed, j.failed, j.tokens_out], [0, 3, 0]);
		assert.deepEqual(j.errors, [{ count: 3, message }]);
		assert.match(r.stderr, /hokku: 3 of 3 requests failed; the first kind: /);
	});

test('some fail: the figures are of the others', async () => {
	forget();
	const r = await run(`${base}/second`, '-n', '10', '--output-len', '3');
	assert.equal(r.status, 1);
	assert.match(r.stdout, /^5 of 10 requests complete, 0 of them empty; 5 failed;/m);
	assert.match(r.stdout, /^tokens: 55 in \(20 cached\), 15 out$/m);
	assert.match(r.stdout, /^TTFT, ms( +[\d.]+){5}$/m);
	assert.match(r.stdout, /^ +5 failed: status 503: "overloaded: busy"$/m);
});

test('what speaks no HTTP, and nobody at all', async () => {
	const odd = net.createServer((socket) => {
		socket.on('error', () => {});
		socket.resume().end('SSH-2.0-OpenSSH\r\n');
	});
	await new Promise((resolve) => odd.listen(0, '127.0.0.1', resolve));
	const at = `http://127.0.0.1:${odd.address().port}`;
	const r = await run(at, '--model', 'm', '-n', '2', '--api', 'chat');
	assert.equal(r.status, 1);
	assert.match(r.stdout, /2 failed: (what came is no HTTP|the connection)/);
	const unnamed = await run(at);
	assert.match(unnamed.stderr, /names no model; say which one with --model/);
	await within(new Promise((resolve) => odd.close(resolve)), 'the server to close');
	const nobody = await run(at);
	assert.equal(nobody.status, 1);
	assert.match(nobody.stderr, /cannot connect to 127\.0\.0\.1:\d+: Connection refused; does a server listen there\?/);
	const nowhere = await run('http://no.such.host.invalid:80');
	assert.equal(nowhere.status, 1);
	assert.match(nowhere.stderr, /the host "no\.such\.host\.invalid" has no address/);
});

test('over TLS: the same, and a certificate that is not to be believed is told', async (t) => {
	const dir = mkdtempSync(join(tmpdir(), 'hokku-bench-tls-'));
	t.after(() => rmSync(dir, { recursive: true }));
	const file = (name) => join(dir, name);
	const certificate = (name, ...more) =>
		execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`), '-days', '30', ...more], { stdio: 'pipe' });
	certificate('good', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
	certificate('other', '-subj', '/CN=other.example', '-addext', 'subjectAltName=DNS:other.example,IP:127.0.0.9');
	writeFileSync(file('empty'), '');
	const names = [];
	const listen = async (name) => {
		const own = https.createServer({ cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}.key`)) }, answer);
		own.keepAliveTimeout = 0; // a slow machine's client may find its connection still there
		own.on('secureConnection', (socket) => names.push(socket.servername || ''));
		await new Promise((resolve) => own.listen(0, '127.0.0.1', resolve));
		t.after(() => (own.closeAllConnections(), own.close()));
		return own.address().port;
	};
	const [port, wrong] = [await listen('good'), await listen('other')];
	const at = (path, host = '127.0.0.1', n = port) => `https://${host}:${n}${path}`;
	const trusted = ['--cacert', file('good.pem')];
	forget();
	const j = await json(at('/slow', 'localhost'), '-n', '6', '-c', '3', ...trusted);
	assert.deepEqual([j.url, j.completed, j.events, j.peak_in_flight], [`${at('/slow', 'localhost')}/v1/chat/completions`, 6, 18, 3]);
	assert.equal(seen.headers[0].host, `localhost:${port}`);
	assert.ok(names.length && names.every((name) => name === 'localhost'), `${names}`);
	assert.equal(seen.sockets.size, 3); // each client's connection is used again
	assert.deepEqual((await json(at('/split'), '-n', '4', '-c', '2', ...trusted)).events, 12); // by its address
	assert.equal((await json(at('/closing'), '-n', '20', '-c', '2', ...trusted)).completed, 20);
	assert.equal((await json(at('/plain'), '-n', '300', '-c', '64', '--insecure')).completed, 300);
	assert.equal((await json(at('/plain', '127.0.0.1', wrong), '-n', '2', '-k')).completed, 2);
	for (const [way, words] of [['torn', /3 failed: the connection/], ['second', /1 failed: status 503/]]) {
		forget();
		const r = await run(at(`/${way}`), '-n', '3', '-c', '2', '--timeout', '1', ...trusted);
		assert.deepEqual([r.status, words.test(r.stdout)], [1, true], r.stdout + r.stderr);
	}
	const plain = Number(base.match(/\d+$/)[0]);
	for (const [args, words] of [
		[[at('/plain')], /the certificate of 127\.0\.0\.1:\d+ is not accepted: self-signed certificate; --cacert FILE gives the authority that it is of, --insecure takes any certificate/],
		[[at('/plain', '127.0.0.1', wrong), ...trusted], /is not accepted: self-signed certificate; --cacert FILE gives other authorities/],
		[[at('/plain', 'localhost', wrong), '--cacert', file('other.pem')], /the certificate of localhost:\d+ is not accepted: hostname mismatch;/],
		[[at('/plain', '127.0.0.1', wrong), '--cacert', file('other.pem')], /is not accepted: IP address mismatch;/],
		[[at('/plain', '127.0.0.1', plain), ...trusted], /127\.0\.0\.1:\d+ does not speak TLS; write http:\/\/ for https:\/\/ if it speaks plain HTTP/],
		[[at('/plain'), '--cacert', file('none.pem')], /--cacert: .*none\.pem/],
		[[at('/plain'), '--cacert', dir], /--cacert: .*hokku-bench-tls-/],
		[[at('/plain'), '--cacert', file('empty')], /--cacert: \S+empty has no certificate in it \(PEM\)/],
		[[at('/plain'), '--cacert', file('good.key')], /--cacert: \S+good\.key has no certificate in it \(PEM\)/],
	]) {
		const r = await run(...args);
		assert.equal(r.status, 1, `${args}: ${r.stdout}`);
		assert.match(r.stderr, words);
	}
});

test('SIGINT: what is complete by then is told, and exit code 130', async () => {
	const r = bench([`${base}/slow`, '-n', '1000', '-c', '2', '--json']);
	await sleep(1500);
	r.child.kill('SIGINT');
	await within(r.done, 'the stream to end');
	assert.equal(r.status, 130, r.stderr);
	const j = JSON.parse(r.stdout);
	assert.ok(j.interrupted && j.completed >= 2 && j.completed < 100, `${j.completed}`);
});

test('the command line, each mistake by its name', async () => {
	const url = `${base}/plain`;
	for (const [args, message] of [
		[[], /it needs the server's URL, as http:\/\/localhost:8080/],
		[['localhost:8080'], /the URL is "localhost:8080": it does not begin with http:\/\//],
		[['ftp://localhost'], /the URL is "ftp:\/\/localhost": it does not begin with http:\/\/ or https:\/\/; it takes http:\/\/HOST:PORT or https:\/\/HOST:PORT/],
		[[url, '--insecure'], /--insecure is given, and the URL is http:\/\/127\.0\.0\.1:\d+: there is no certificate without TLS/],
		[[url, '--cacert', 'ca.pem'], /--cacert is given, and the URL is http:/],
		[['https://localhost', '-k', '--cacert', 'ca.pem'], /--cacert and --insecure exclude each other/],
		[[url, 'more'], /"more" is one word too many/],
		[[url, '--clients', '0'], /--clients is "0"; it takes a whole number from 1 to 16384/],
		[[url, '--clients', '16385'], /--clients is "16385"/],
		[[url, '--requests', '0'], /--requests is "0"; it takes a whole number from 1 to 1048576/],
		[[url, '--warmup', '1048577'], /--warmup is "1048577"/],
		[[url, '--rate', '0'], /--rate is "0"; it takes requests a second from 0\.001 to 1000000, or inf/],
		[[url, '--rate', 'nan'], /--rate is "nan"/],
		[[url, '--rate', '5x'], /--rate is "5x"/],
		[[url, '--rate', '5', '--clients', '3'], /--rate and --clients exclude each other/],
		[[url, '--input-len', '0'], /--input-len is "0"; it takes a number from 1 to 1048576, a range as 16-512, exp:N, or one of: sharegpt \(exp:161 in, exp:338 out\), alpaca/],
		[[url, '--output-len', '9-3'], /--output-len is "9-3"/],
		[[url, '--shared-prefix', '-1'], /--shared-prefix is "-1"/],
		[[url, '--api', 'chats'], /--api is "chats"; it takes generate, chat or completions; did you mean chat\?/],
		[[`${base}/v1/generate`, '--api', 'chat'], /--api is chat, and the URL is the route of generate/],
		[[url, '--model', ''], /--model has 0 bytes; it takes 1 to 256/],
		[[url, '--api-key', 'a\nb'], /--api-key has a character that no key has, at place 2/],
		[[url, '--api-key', 'k'.repeat(513)], /--api-key is 513 bytes long; 512 are allowed/],
		[[url, '--extra-body', '{'], /--extra-body is no JSON, at line 1/],
		[[url, '--extra-body', '[1]'], /--extra-body is no JSON object, as \{"top_p": 0\.9\}/],
		[[url, '--extra-body', '{"stream": false}'], /--extra-body has "stream", which is the measurement's own/],
		[[url, '--timeout', '0'], /--timeout is "0"/],
		[[url, '--temperature', '-1'], /--temperature is "-1"; it takes a number from 0 to 100/],
		[[url, '--vocab-size', '3000000000'], /--vocab-size is "3000000000"/],
		[[url, '--seed', 'x'], /--seed is "x"/],
		[[url, '--clinets', '3'], /there is no option --clinets; did you mean --clients\?/],
	]) {
		const r = await run(...args);
		assert.equal(r.status, 2, `${args}: ${r.stderr}`);
		assert.match(r.stderr, message);
		assert.match(r.stderr, /^hokku bench serve: .* \(see hokku bench serve --help\)$/m);
	}
});

test("hokku's own server: its route and OpenAI's, ids, keys, shared prefixes", async (t) => {
	const keys = join(tmpdir(), `hokku-bench-serve-${process.pid}.keys`);
	writeFileSync(keys, 'a-good-key\n', { mode: 0o600 });
	t.after(() => rmSync(keys, { force: true }));
	const own = await start(['--device', 'cpu', '--api-key-file', keys]);
	t.after(() => own.stop());
	const some = [own.url, '-n', '24', '-c', '6', '--api-key', 'a-good-key', '--output-len', '12'];
	const j = await json(...some, '--input-len', '40-60', '--shared-prefix', '64');
	assert.equal(j.api, 'generate');
	assert.deepEqual([j.completed, j.tokens_from], [24, 'usage']);
	assert.ok(j.tokens_in >= 24 * 104 && j.tokens_in <= 24 * 124);
	assert.ok(j.tokens_cached >= 18 * 64, `${j.tokens_cached}`); // at the latest when the first are over
	assert.equal(j.events, j.tokens_out);
	const exact = await json(...some, '--input-len', '77');
	assert.equal(exact.tokens_in, 24 * 77);
	const chat = await json(...some, '--api', 'chat');
	assert.deepEqual([chat.completed, chat.model, chat.tokens_from], [24, 'haiku', 'usage']);
	assert.ok(chat.tokens_in > 24 * 128);
	const refused = await run(...some.slice(0, 5));
	assert.equal(refused.status, 1);
	assert.match(refused.stdout, /24 failed: status 401: "UNAUTHORIZED: /);
	const deep = await run(...some, '--input-len', '513');
	assert.match(deep.stdout, /24 failed: status 400: "CONTEXT_EXCEEDED: /);
});
