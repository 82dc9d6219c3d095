// A request's life: queued, cancelled, abandoned, timed out; and the server's: loading, ready, stopping.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { within } from './waits.mjs';
import {
	connect, endless, events, folder, generate, hokku, idle, model, post, raw, sanitized, slack, sleep, start, startFails, stream, until,
} from './server_common.mjs';

// The promise is 100 ms, for the server alone; here the client's own time is in it.
const soon = 150 * slack();

let server;
before(async () => {
	server = await start([model('long'), '--ctx', '100000', '--parallel', '1', '--max-queue', '3', '--keep-alive-interval', '0.2']);
});
after(() => server.stop());

const forever = (extra = {}) => ({ prompt: 'a', ...endless, ...extra });
const longPrompt = (extra = {}) => ({ prompt: Array(90000).fill(7), max_tokens: 5, ...extra });
const cancel = (id) => post(server, '/v1/cancel', { id });
const last = (s) => s.events().at(-1);

test('cancel ends a running request at once, and as often as one likes', async () => {
	const s = await stream(server, forever({ id: 'run-1' }));
	await s.saw('token');
	const at = performance.now();
	const answer = await cancel('run-1');
	assert.equal(answer.status, 202);
	assert.deepEqual(answer.json, { id: 'run-1', found: true });
	await within(s.done, 'the stream to end');
	assert.ok(performance.now() - at < soon, `${performance.now() - at} ms`);
	assert.equal(last(s).kind, 'error');
	assert.equal(last(s).data.code, 'CANCELLED');
	assert.equal(s.events().filter((e) => e.kind === 'end' || e.kind === 'error').length, 1);
	for (let i = 0; i < 2; i++) {
		const again = await cancel('run-1');
		assert.equal(again.status, 202);
		assert.deepEqual(again.json, { id: 'run-1', found: false });
	}
	assert.equal((await cancel('never-was')).status, 202);
	await until(() => idle(server), soon, 'an idle server');
});

test('cancel answers a request that is not streamed with 499', async () => {
	const pending = generate(server, forever({ id: 'run-2', stream: false }));
	await until(async () => (await server.health()).queue.running === 1, 5000, 'it to run');
	assert.equal((await cancel('run-2')).json.found, true);
	const answer = await pending;
	assert.equal(answer.status, 499);
	assert.equal(answer.json.error.code, 'CANCELLED');
});

test('cancel reaches requests that wait and requests in prefill', async () => {
	const running = await stream(server, longPrompt({ id: 'prefill' }));
	const waiting = await stream(server, forever({ id: 'waiting' }));
	await until(async () => (await server.health()).queue.queued === 1, 5000, 'one to wait');
	await cancel('waiting');
	await within(waiting.done, 'the stream to end');
	assert.deepEqual(waiting.events().map((e) => e.kind), ['error']);
	assert.equal(last(waiting).data.code, 'CANCELLED');
	const at = performance.now();
	await cancel('prefill');
	await within(running.done, 'the stream to end');
	assert.ok(performance.now() - at < soon, `${performance.now() - at} ms`);
	assert.equal(last(running).data.code, 'CANCELLED');
	await until(() => idle(server), soon, 'an idle server');
});

test('cancel and the request it means may overtake each other', async () => {
	// Two million numbers take longer to parse than a cancellation takes to arrive on another connection; under a sanitizer a quarter of them.
	const body = `{"id":"early","prompt":"a",${JSON.stringify(endless).slice(1, -1)},"unread":[${'0,'.repeat(sanitized ? 500000 : 2000000)}0]}`;
	for (let i = 0; i < 3; i++) {
		const socket = await connect(server.port);
		let text = '';
		socket.on('data', (data) => (text += data));
		socket.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`);
		socket.write(body);
		await until(async () => (await server.health()).queue.queued + (await server.health()).queue.running > 0, 5000, 'it to arrive');
		// Once is enough, the first that is remembered as well as a later one.
		if (i) await cancel('another');
		await cancel('early');
		// The parsing is what is waited for: the thread sanitizer's takes seconds where others want the processor too.
		await until(() => /CANCELLED/.test(text), 30000, 'the cancellation');
		socket.destroy();
		await until(() => idle(server), 5000, 'an idle server');
	}
});

test('an id belongs to one request at a time', async () => {
	const s = await stream(server, forever({ id: 'twice' }));
	await s.saw('started');
	const second = await generate(server, forever({ id: 'twice' }));
	assert.equal(second.status, 400);
	assert.equal(second.json.error.field, 'id');
	await cancel('twice');
	await within(s.done, 'the stream to end');
	const third = await generate(server, { prompt: 'a', max_tokens: 1, id: 'twice', stream: false });
	assert.equal(third.status, 200);
});

test('a client that goes away ends its request: running, in prefill, waiting, not streamed', async () => {
	const running = await stream(server, forever());
	await running.saw('token');
	const waiting = await stream(server, forever());
	await until(async () => (await server.health()).queue.queued === 1, 5000, 'one to wait');
	waiting.abort();
	await until(async () => (await server.health()).queue.queued === 0, soon, 'the waiting one to go');
	running.abort();
	await until(() => idle(server), soon, 'the running one to go');

	for (const body of [longPrompt(), forever({ stream: false }), longPrompt({ stream: false })]) {
		const socket = await connect(server.port);
		const text = JSON.stringify(body);
		socket.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
		await until(async () => (await server.health()).queue.running === 1, 5000, 'it to run');
		await sleep(30);
		socket.destroy();
		await until(() => idle(server), soon, 'it to go');
	}
	// The same with a reset, and with more requests behind the one that runs.
	const ahead = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';
	for (const [body, behind, leave] of [
		[forever(), '', (s) => s.resetAndDestroy()],
		[forever({ stream: false }), '', (s) => s.resetAndDestroy()],
		[forever({ stream: false }), ahead, (s) => s.resetAndDestroy()],
		[forever({ stream: false }), ahead, (s) => s.destroy()],
	]) {
		const socket = await connect(server.port);
		const text = JSON.stringify(body);
		socket.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${text.length}\r\n\r\n${text}${behind}`);
		await until(async () => (await server.health()).queue.running === 1, 5000, 'it to run');
		await sleep(30);
		leave(socket);
		await until(() => idle(server), soon, `it to go (${JSON.stringify(body)} ${behind.length})`);
	}
	// More than the server reads ahead would hide the client's end: whoever sends it is dropped.
	for (const body of [forever(), forever({ stream: false })]) {
		const socket = await connect(server.port);
		const text = JSON.stringify(body);
		const gone = new Promise((resolve) => socket.on('close', resolve));
		socket.resume();
		socket.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${text.length}\r\n\r\n${text}${ahead.repeat(5000)}`);
		await within(gone, 'it to be dropped');
		await until(() => idle(server), soon, 'it to go');
	}
});

test('a full queue is 503 with Retry-After, the waiting hear that the server lives, first come first served', async () => {
	const running = await stream(server, forever({ id: 'first' }));
	await running.saw('token');
	const waiting = [];
	for (const id of ['w1', 'w2', 'w3']) waiting.push(await stream(server, { prompt: 'a', max_tokens: 300, id, ...endless }));
	const health = await server.health();
	assert.deepEqual([health.queue.running, health.queue.queued, health.queue.max_queue], [1, 3, 3]);
	for (const extra of [{}, { stream: false }]) {
		const refused = await generate(server, forever(extra));
		assert.equal(refused.status, 503);
		assert.equal(refused.json.error.code, 'OVERLOADED');
		assert.ok(Number(refused.headers.get('retry-after')) >= 1);
	}
	await until(() => waiting[0].text.includes(': keep-alive\n\n'), 5000, 'a keep-alive');
	assert.deepEqual(waiting[0].events(), []);
	await cancel('first');
	await Promise.all(waiting.map((s) => s.done));
	assert.deepEqual(waiting.map((s) => last(s).kind), ['end', 'end', 'end']);
	const started = waiting.map((s) => s.events()[0].data.started_at);
	assert.deepEqual(started, [...started].sort());
});

test('a request may run for --request-timeout and no longer', async () => {
	const short = await start([model('long'), '--ctx', '100000', '--request-timeout', '0.3']);
	const s = await stream(short, forever());
	await within(s.done, 'the stream to end');
	assert.equal(last(s).kind, 'error');
	assert.equal(last(s).data.code, 'INFERENCE_TIMEOUT');
	assert.match(last(s).data.message, /0\.3 seconds/);
	const whole = await generate(short, forever({ stream: false }));
	assert.equal(whole.status, 504);
	assert.equal(whole.json.error.code, 'INFERENCE_TIMEOUT');
	await short.stop();
});

test('SIGTERM: what runs may finish, new work is refused, exit code 0', async () => {
	const stopping = await start([model('long'), '--ctx', '100000']);
	const s = await stream(stopping, forever({ max_tokens: 2000 }));
	await s.saw('token');
	stopping.child.kill('SIGTERM');
	await until(async () => (await stopping.health()).status === 'stopping', 2000, 'the server to hear it').catch(() => {});
	const refused = await generate(stopping, forever()).catch(() => null);
	if (refused) {
		assert.equal(refused.status, 503);
		assert.equal(refused.json.error.code, 'SHUTTING_DOWN');
	}
	await within(s.done, 'the stream to end');
	assert.ok(['end', 'error'].includes(last(s).kind));
	assert.deepEqual(await within(stopping.exited, 'the server to end'), { code: 0, signal: null }, stopping.log.slice(-3000));
});

test('SIGINT: what does not finish within 5 s is told so; SIGTERM twice ends at once', async () => {
	const [patient, hasty] = await Promise.all([1, 2].map(() => start([model('long'), '--ctx', '100000'])));
	const s = await stream(patient, forever());
	const t = await stream(hasty, forever());
	await Promise.all([s.saw('token'), t.saw('token')]);
	const at = performance.now();
	patient.child.kill('SIGINT');
	hasty.child.kill('SIGTERM');
	await sleep(50);
	hasty.child.kill('SIGTERM');
	assert.deepEqual(await within(hasty.exited, 'the server to end'), { code: 130, signal: null });
	assert.ok(performance.now() - at < 3000);
	const refused = await generate(patient, forever());
	assert.equal(refused.status, 503);
	assert.equal(refused.json.error.code, 'SHUTTING_DOWN');
	assert.ok(Number(refused.headers.get('retry-after')) >= 1);
	await within(s.done, 'the stream to end');
	assert.equal(last(s).data.code, 'SHUTTING_DOWN');
	assert.deepEqual(await within(patient.exited, 'the server to end'), { code: 0, signal: null }, patient.log.slice(-3000));
	assert.ok(performance.now() - at < 6000, `${performance.now() - at} ms`);
});

test('it listens before the model is loaded, and says how far it is', async () => {
	const loading = await start([model('wide')], { ready: false });
	const first = await raw(loading.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
	const early = await generate(loading, { prompt: 'a' });
	const health = JSON.parse(first.body);
	if (first.status === 503) {
		assert.equal(health.status, 'loading');
		assert.ok(health.progress >= 0 && health.progress <= 1);
		assert.ok(health.uptime_s >= 0);
	}
	if (early.status === 503) {
		assert.equal(early.json.error.code, 'NOT_READY');
		assert.ok(Number(early.headers.get('retry-after')) >= 1);
	}
	await until(async () => (await loading.health()).status === 'ok', 60000, 'the model');
	const ready = await loading.health();
	assert.equal(ready.architecture, 'qwen2');
	assert.equal(ready.quantization, 'F32');
	assert.equal(ready.vocab_size, 151936);
	assert.equal(ready.n_ctx, 512);
	assert.equal(ready.tokenizer, 'gpt2/qwen2');
	assert.match(ready.device, /cpu/);
	assert.match(ready.version, /^\d+\.\d+\.\d+$/);
	assert.ok(ready.resident_bytes.weights > 0 && ready.resident_bytes.kv > 0 && ready.resident_bytes.scratch > 0);
	assert.deepEqual([ready.cache_type_k, ready.cache_type_v], ['f32', 'f32']);
	await loading.stop();
});

test('what the tokenizer\'s file leaves open is in the log and in /health', async () => {
	const bytes = readFileSync(model('tiny')), key = 'tokenizer.ggml.pre';
	const at = bytes.indexOf(key);
	assert.ok(at > 0 && bytes.indexOf('general.architecture') > 0);
	bytes.write('tokenizer.ggml.prX', at); // no tokenizer.ggml.pre any more
	const path = join(folder, `no-pre.${process.pid}.gguf`);
	writeFileSync(path, bytes);
	const old = await start([path]);
	const note = 'tokenizer.ggml.pre is missing: text is cut by qwen2\'s rules, since the architecture is qwen2';
	const health = await old.health();
	assert.equal(health.tokenizer, 'gpt2/qwen2');
	assert.deepEqual(health.tokenizer_notes, [note]);
	await old.stop();
	assert.match(old.log, /info {2}tokenizer gpt2\/qwen2$/m);
	assert.ok(old.log.split('\n').some((line) => line.endsWith(` warn  ${note}`)), old.log);
	assert.deepEqual((await server.health()).tokenizer_notes, []);
});

test('SIGTERM while the model is being loaded', async () => {
	const loading = await start([model('wide')], { ready: false });
	await loading.stop();
});

test('what keeps it from serving is told, exit code 1', async () => {
	const tiny = model('tiny');
	const broken = join(folder, 'broken.gguf');
	writeFileSync(broken, readFileSync(tiny).subarray(0, 20000));
	const keys = join(folder, 'empty-keys');
	writeFileSync(keys, '# nothing\n');
	for (const [args, ...parts] of [
		[['/nowhere/x.gguf'], '/nowhere/x.gguf', 'No such file'],
		[[folder], folder],
		[[broken, '--port', '0'], broken],
		[[tiny, '--port', String(server.port)], `port ${server.port}`, 'in use', '--port'],
		[[tiny, '--host', '192.0.2.1'], '192.0.2.1', 'no address of this machine'],
		[[tiny, '--host', 'no such host'], 'no such host'],
		[[tiny, '--api-key-file', '/nowhere/keys'], '--api-key-file: /nowhere/keys: No such file'],
		[[tiny, '--api-key-file', keys], keys, 'has no key in it; a line is a key alone, or name=NAME key=KEY'],
	]) {
		const { code, err } = await startFails(args);
		assert.equal(code, 1, err);
		for (const part of parts) assert.ok(err.includes(part), `${err} lacks ${part}`);
	}
	for (const [args, ...parts] of [
		[['--prot', '1'], '--prot', '--port'],
		[['--port', '65536'], '65536', '65535'],
		[['--idle-timeout', '0'], '0.1'],
		[['--log-level', 'loud'], 'loud', 'debug'],
		[['--itl-ms', '0'], '--itl-ms', '"0"', 'from 1 to 10000'],
		[['--itl-ms', '10001'], '"10001"', 'from 1 to 10000'],
		[['--watchdog-timeout', '-1'], '--watchdog-timeout', '"-1"', 'from 0 to 86400'],
		[['--watchdog-timeout', '86401'], '"86401"', 'from 0 to 86400'],
		[['--max-unread', '65535'], '--max-unread', '"65535"', 'from 65536 to 1073741824'],
		[['--max-unread', '1073741825'], '"1073741825"', 'from 65536 to 1073741824'],
		[[...Array(64).fill('a'), 'b'], 'b'],
		[['--model', 'a.gguf', 'b.gguf'], 'a.gguf', 'b.gguf', 'twice'],
	]) {
		const { code, err } = await startFails(args);
		assert.equal(code, 2, err);
		for (const part of parts) assert.ok(err.includes(part), `${err} lacks ${part}`);
	}
	for (const ends of [['1', '0', '65536'], ['10000', '86400', '1G']]) {
		const { code } = await startFails(['/nowhere/x.gguf', '--itl-ms', ends[0], '--watchdog-timeout', ends[1], '--max-unread', ends[2]]);
		assert.equal(code, 1); // the command line is right
	}
	// The variable is no second model: the command line wins over it.
	const over = await startFails(['/nowhere/b.gguf'], { HOKKU_MODEL: 'a.gguf' });
	assert.equal(over.code, 1);
	assert.match(over.err, /b\.gguf/);
	const { code, err } = await startFails([], { HOKKU_PORT: 'x' });
	assert.equal(code, 2);
	assert.match(err, /HOKKU_PORT/);
});

test('API keys', async () => {
	const keys = join(folder, 'keys');
	writeFileSync(keys, '# staff\n\n  first-key-123 \r\nsecond-key-456\n');
	const closed = await start([model('tiny')], { env: { HOKKU_API_KEY_FILE: keys } });
	const ask = (headers) => generate(closed, { prompt: 'a', max_tokens: 1, stream: false }, headers);
	for (const key of ['first-key-123', 'second-key-456']) assert.equal((await ask({ Authorization: `Bearer ${key}` })).status, 200);
	assert.equal((await ask({ Authorization: 'bearer first-key-123' })).status, 200);
	for (const headers of [
		{}, { Authorization: 'Bearer first-key-12' }, { Authorization: 'Bearer first-key-1234' }, { Authorization: 'Bearer ' },
		{ Authorization: 'Bearer # staff' }, { Authorization: 'Basic first-key-123' }, { Authorization: 'first-key-123' },
		{ Authorization: 'Bearer First-key-123' },
	]) {
		const answer = await ask(headers);
		assert.equal(answer.status, 401, JSON.stringify(headers));
		assert.equal(answer.json.error.code, 'UNAUTHORIZED');
		assert.match(answer.headers.get('www-authenticate'), /^Bearer/);
	}
	assert.equal((await post(closed, '/v1/cancel', { id: 'x' })).status, 401);
	assert.equal((await closed.health()).status, 'ok');
	assert.ok(!closed.log.includes('first-key-123'));
	await closed.stop();
});

test('IPv6, and variables in the place of options', async (t) => {
	const has6 = await new Promise((resolve) => {
		const probe = net.createServer().on('error', () => resolve(false));
		probe.listen(0, '::1', () => probe.close(() => resolve(true)));
	});
	if (!has6) return t.skip('this machine has no IPv6');
	const six = await start([], { env: { HOKKU_HOST: '::1', HOKKU_MODEL: model('tiny'), HOKKU_CTX: '128' }, ready: false });
	assert.match(six.url, /^http:\/\/\[::1\]:\d+$/);
	await until(async () => (await fetch(`${six.url}/health`)).status === 200, 20000, 'the server to be ready');
	const health = await (await fetch(`${six.url}/health`)).json();
	assert.equal(health.n_ctx, 128);
	await six.stop();
});

test('the manual names every option', () => {
	const help = execFileSync(hokku, ['serve', '--help']).toString();
	const manual = readFileSync(new URL('../../docs/http.md', import.meta.url), 'utf8');
	const options = [...help.matchAll(/^ +(?:-\w, )?--([a-z-]+) /gm)].map((m) => m[1]).filter((name) => name !== 'help');
	assert.ok(options.length >= 15, help);
	for (const name of options) {
		assert.ok(manual.includes(`\`--${name}\``), `docs/http.md lacks --${name}`);
		assert.ok(help.includes(`HOKKU_${name.toUpperCase().replaceAll('-', '_')}`), `${name} is no variable`);
	}
});
