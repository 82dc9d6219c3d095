// GET /metrics: what it counts, under which names, who may read it, and that reading it costs others nothing; the log's lines.
// docs/metrics.md has a table made from the running server: UPDATE_DOCS=1 ctest --test-dir build/test -R e2e/metrics
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse, sum, tool } from './prom.mjs';
import { endless, folder, generate, idle, model, post, raw, start, startFails, stream, until } from './server_common.mjs';
import { within } from './waits.mjs';

const doc = new URL('../../docs/metrics.md', import.meta.url).pathname;
const secret = { a: 'secret-of-team-a', b: 'secret-of-team-b' };
const as = (who) => ({ Authorization: `Bearer ${secret[who]}` });
const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const secretText = 'nobody-may-read-this';
let server;

const scrape = async (who = 'a') => {
	const response = await fetch(`${server.url}/metrics`, { headers: who ? as(who) : {} });
	return { status: response.status, headers: response.headers, text: await response.text() };
};
const metrics = async () => parse((await scrape()).text);
const lines = () => server.log.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
// The lines of one path beyond the n that were there; an answer may come before what the pipe holds of its line.
const linesOf = async (path, n, before) => {
	const found = () => lines().filter((l) => l.path === path).slice(before);
	await until(() => found().length >= n, 20000, `${n} lines of ${path}`);
	return found();
};
const countOf = (path) => lines().filter((l) => l.path === path).length;

before(async () => {
	mkdirSync(folder, { recursive: true });
	const keys = join(folder, 'keys-metrics');
	writeFileSync(keys, `name=team-a key=${secret.a}\nname=team-b key=${secret.b}\n`);
	server = await start([model('long'), '--ctx', '30000', '--api-key-file', keys, '--metrics-vllm', '--metrics', '--parallel', '4', '--log-format', 'json']);
});
after(() => server?.child.kill('SIGKILL'));

test('it wants a key where there are keys, and is text as Prometheus reads it', async () => {
	assert.equal((await scrape('')).status, 401);
	const { status, headers, text } = await scrape();
	assert.equal(status, 200);
	assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
	const families = parse(text);
	assert.equal(sum(families, 'hokku_requests_total', { route: '/metrics', outcome: 'unauthorized', key: '', method: 'GET' }), 1);
	assert.equal(sum(families, 'hokku_ready'), 1);
	const head = await raw(server.port, `HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${secret.a}\r\nConnection: close\r\n\r\n`);
	assert.deepEqual([head.status, head.body], [200, '']);
	assert.ok(Number(head.headers['content-length']) > 1000);
});

test('requests by route, key and outcome; tokens, lengths and times add up', async () => {
	const from = await metrics();
	const grew = (to, name, labels, suffix) => sum(to, name, labels, suffix) - sum(from, name, labels, suffix);
	const prompt = [...Array(70).keys()].map((i) => i + 5);
	const answers = [];
	for (let i = 0; i < 3; i++) answers.push(await generate(server, { prompt, stream: false, max_tokens: 6, seed: 5, temperature: 0, ...endless }, as('a')));
	answers.push(await generate(server, { prompt: [5, 6, 7], stream: false, max_tokens: 4, n: 2, seed: 5, ...endless }, as('b')));
	assert.deepEqual(answers.map((a) => a.status), [200, 200, 200, 200]);
	assert.equal((await generate(server, { prompt: 5 }, as('b'))).status, 400);
	assert.equal((await generate(server, { prompt: Array(30001).fill(5) }, as('b'))).json.error.code, 'CONTEXT_EXCEEDED');
	assert.equal((await post(server, '/nowhere', {}, as('b'))).status, 404);
	const cut = await stream(server, { prompt: [9, 9], ...endless }, as('b'));
	await cut.saw('token');
	cut.abort();
	await within(cut.done, 'the stream to end');
	await until(() => idle(server), 20000, 'the request whose client left');
	await until(async () => grew(await metrics(), 'hokku_requests_total', { outcome: 'gone' }) === 1, 20000, 'it to be counted');

	const to = await metrics(), route = '/v1/generate';
	assert.equal(grew(to, 'hokku_requests_total', { route, method: 'POST', key: 'team-a', outcome: 'ok' }), 3);
	assert.equal(grew(to, 'hokku_requests_total', { route, key: 'team-b', outcome: 'ok' }), 1);
	assert.equal(grew(to, 'hokku_requests_total', { route, key: 'team-b', outcome: 'invalid_request' }), 1);
	assert.equal(grew(to, 'hokku_requests_total', { route, key: 'team-b', outcome: 'context_exceeded' }), 1);
	assert.equal(grew(to, 'hokku_requests_total', { route, key: 'team-b', outcome: 'gone' }), 1);
	assert.equal(grew(to, 'hokku_requests_total', { route: 'other', key: 'team-b', outcome: 'not_found' }), 1);
	assert.equal(grew(to, 'hokku_requests_total', { route }), 7);

	assert.equal(grew(to, 'hokku_answers_total', { reason: 'length' }), 5);
	assert.equal(grew(to, 'hokku_answers_total'), 5);
	assert.equal(grew(to, 'hokku_cancelled_requests_total'), 1);
	assert.equal(grew(to, 'hokku_accepted_requests_total'), 6);
	assert.equal(grew(to, 'hokku_finished_requests_total'), 6);
	const usage = (what) => answers.reduce((all, a) => all + a.json.usage[what], 0);
	assert.equal(grew(to, 'hokku_key_prompt_tokens_total'), usage('prompt_tokens') + 2);
	assert.equal(grew(to, 'hokku_prompt_length_tokens', {}, '_sum'), usage('prompt_tokens') + 2);
	assert.equal(grew(to, 'hokku_prompt_length_tokens', {}, '_count'), 5);
	assert.equal(grew(to, 'hokku_answer_length_tokens', {}, '_sum'), usage('completion_tokens'));
	assert.equal(grew(to, 'hokku_answer_length_tokens', {}, '_count'), 5);
	assert.equal(grew(to, 'hokku_answer_seconds', {}, '_count'), 4);
	assert.equal(grew(to, 'hokku_decode_seconds', {}, '_count'), 5);
	for (const each of ['queue_seconds', 'prefill_seconds', 'time_to_first_token_seconds']) assert.equal(grew(to, `hokku_${each}`, {}, '_count'), 6, each);
	assert.equal(grew(to, 'hokku_prepare_seconds', {}, '_count'), 5);
	assert.equal(grew(to, 'hokku_inference_seconds', {}, '_count'), 5);
	assert.equal(grew(to, 'hokku_time_per_token_seconds', {}, '_count'), 5);
	assert.deepEqual(['_count', '_sum'].map((s) => grew(to, 'hokku_samples', {}, s)), [5, 6]);
	assert.deepEqual(['_count', '_sum'].map((s) => grew(to, 'hokku_asked_tokens', {}, s)), [4, 3 * 6 + 4]);
	assert.deepEqual(['_count', '_sum'].map((s) => grew(to, 'hokku_longest_answer_tokens', {}, s)), [4, 3 * 6 + 4]);
	// Of each sample every token but the first has one before it.
	const drawn = grew(to, 'hokku_answer_tokens_total');
	assert.ok(drawn >= usage('completion_tokens') + 1);
	assert.ok(grew(to, 'hokku_inter_token_latency_seconds', {}, '_count') >= usage('completion_tokens') - 5);
	assert.ok(grew(to, 'hokku_inter_token_latency_seconds', {}, '_count') <= drawn - 6);
	// 70 tokens have two full blocks; the second and third request find them.
	assert.equal(grew(to, 'hokku_cache_hits_total'), 4);
	assert.equal(grew(to, 'hokku_cache_queries_total'), 6);
	assert.equal(grew(to, 'hokku_steps_total'), grew(to, 'hokku_step_tokens', {}, '_count'));
	assert.equal(grew(to, 'hokku_step_sequences_total'), grew(to, 'hokku_step_sequences', {}, '_sum'));
	assert.equal(grew(to, 'hokku_steps_total'), grew(to, 'hokku_step_seconds', {}, '_count'));
	// A part is never longer than the whole.
	const s = (name) => grew(to, `hokku_${name}`, {}, '_sum');
	assert.ok(s('prefill_seconds') + s('queue_seconds') <= s('time_to_first_token_seconds'));
	assert.ok(s('step_seconds') > 0 && s('step_seconds') <= grew(to, 'hokku_device_busy_seconds_total') + 1e-6);
	assert.ok(grew(to, 'hokku_device_idle_seconds_total') > 0);
	assert.equal(sum(to, 'hokku_running_requests'), 0);
	assert.equal(sum(to, 'hokku_waiting_requests'), 0);
	assert.equal(sum(to, 'hokku_kv_held_blocks'), 0);
	assert.ok(sum(to, 'hokku_memory_bytes', { class: 'weights' }) > 0);
	// /health reads the same counters.
	const { counters, queue } = await server.health();
	for (const [name, value] of Object.entries(counters)) {
		const told = to.has(`hokku_key_${name}_total`) ? `hokku_key_${name}_total` : `hokku_${name}_total`;
		assert.equal(sum(to, told), value, name);
	}
	assert.equal(sum(to, 'hokku_answer_tokens_total'), queue.tokens_out);
});

test('what never becomes a request is counted and has its line', async () => {
	const from = await metrics(), broken = ['GET /health HTP\r\n\r\n', `POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n`, 'GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n'];
	const status = [];
	for (const bytes of broken) status.push((await raw(server.port, bytes)).status);
	assert.deepEqual(status, [400, 413, 400]);
	const labels = { route: 'other', method: '', key: '', outcome: 'invalid_request' };
	assert.equal(sum(await metrics(), 'hokku_requests_total', labels) - sum(from, 'hokku_requests_total', labels), 3);
	const told = () => lines().filter((l) => l.message.startsWith('no whole request '));
	await until(() => told().length === 3, 20000, 'their lines');
	assert.deepEqual(told().map((l) => [l.status, l.outcome]), status.map((s) => [s, 'invalid_request']));
});

test('what runs, waits and is held shows while it is so', async () => {
	const running = [];
	for (let i = 0; i < 6; i++) running.push(await stream(server, { prompt: [5, 6], ...endless }, as('a')));
	await until(async () => {
		const now = await metrics();
		return sum(now, 'hokku_running_requests') === 4 && sum(now, 'hokku_waiting_requests') === 2 && sum(now, 'hokku_kv_held_blocks') >= 4;
	}, 20000, 'four to run and two to wait');
	const now = await metrics();
	assert.ok(sum(now, 'hokku_kv_usage_ratio') > 0 && sum(now, 'hokku_kv_usage_ratio') <= 1);
	running.forEach((s) => s.abort());
	await Promise.all(running.map((s) => s.done));
	await until(() => idle(server), 20000, 'them to end');
});

test('scraped a hundred times beside others: counts add up, answers are those of a quiet server', async () => {
	const ask = (seed) => generate(server, { prompt: [5, 6, 7, 8], stream: false, max_tokens: 60, seed, ...endless }, as('b'));
	const alone = [];
	for (let seed = 0; seed < 6; seed++) alone.push((await ask(seed)).json.text);
	const from = await metrics();
	const beside = Promise.all([0, 1, 2, 3, 4, 5].map((seed) => ask(seed).then((a) => a.json.text)));
	let over = false, n = 0, last = from;
	beside.finally(() => (over = true));
	const grows = ['hokku_answer_tokens_total', 'hokku_steps_total', 'hokku_device_busy_seconds_total', 'hokku_device_idle_seconds_total', 'hokku_requests_total'];
	const scraper = async () => {
		while (n < 100 || !over) {
			n++;
			const now = await metrics();
			for (const name of grows) assert.ok(sum(now, name) >= sum(from, name), name);
			last = now;
		}
	};
	await Promise.all([scraper(), scraper()]);
	assert.deepEqual(await beside, alone);
	const to = await metrics();
	assert.equal(sum(to, 'hokku_requests_total', { route: '/metrics', outcome: 'ok' }) - sum(from, 'hokku_requests_total', { route: '/metrics', outcome: 'ok' }), n + 1);
	assert.equal(sum(to, 'hokku_answer_tokens_total') - sum(from, 'hokku_answer_tokens_total'), 360);
	assert.ok(sum(last, 'hokku_steps_total') <= sum(to, 'hokku_steps_total'));
});

test('the device is busy or idle, and neither share ever shrinks', async () => {
	const busy = (m) => sum(m, 'hokku_device_busy_seconds_total'), idleFor = (m) => sum(m, 'hokku_device_idle_seconds_total');
	const answer = generate(server, { prompt: [5, 6], stream: false, max_tokens: 100, ...endless }, as('a'));
	let seen = await metrics();
	for (let i = 0; i < 25; i++) {
		const now = await metrics();
		assert.ok(busy(now) >= busy(seen) && idleFor(now) >= idleFor(seen));
		assert.ok(busy(now) + idleFor(now) <= sum(now, 'hokku_uptime_seconds'));
		seen = now;
	}
	assert.equal((await answer).status, 200);
});

test('under vLLM’s names the same', async () => {
	const m = await metrics();
	const same = {
		num_requests_running: 'hokku_running_requests',
		num_requests_waiting: 'hokku_waiting_requests',
		kv_cache_usage_perc: 'hokku_kv_usage_ratio',
		gpu_cache_usage_perc: 'hokku_kv_usage_ratio',
		num_preemptions_total: 'hokku_preempted_total',
		prompt_tokens_total: 'hokku_prompt_tokens_total',
		generation_tokens_total: 'hokku_answer_tokens_total',
	};
	for (const [theirs, ours] of Object.entries(same)) assert.equal(sum(m, `vllm:${theirs}`), sum(m, ours), theirs);
	const block = sum(m, 'hokku_kv_block_tokens');
	for (const old of ['queries', 'hits']) assert.equal(sum(m, `vllm:gpu_prefix_cache_${old}_total`), sum(m, `vllm:prefix_cache_${old}_total`));
	assert.equal(sum(m, 'vllm:prefix_cache_queries_total'), block * sum(m, 'hokku_cache_queries_total'));
	assert.equal(sum(m, 'vllm:prefix_cache_hits_total'), block * sum(m, 'hokku_cache_hits_total'));
	assert.ok(sum(m, 'vllm:prefix_cache_hits_total') > 0);
	const histograms = {
		time_to_first_token_seconds: 'time_to_first_token_seconds',
		inter_token_latency_seconds: 'inter_token_latency_seconds',
		time_per_output_token_seconds: 'inter_token_latency_seconds',
		e2e_request_latency_seconds: 'answer_seconds',
		request_queue_time_seconds: 'queue_seconds',
		request_prefill_time_seconds: 'prefill_seconds',
		request_decode_time_seconds: 'decode_seconds',
		request_inference_time_seconds: 'inference_seconds',
		request_time_per_output_token_seconds: 'time_per_token_seconds',
		request_max_num_generation_tokens: 'longest_answer_tokens',
		request_params_max_tokens: 'asked_tokens',
		request_params_n: 'samples',
		request_prompt_tokens: 'prompt_length_tokens',
		request_generation_tokens: 'answer_length_tokens',
		iteration_tokens_total: 'step_tokens',
	};
	for (const [theirs, ours] of Object.entries(histograms))
		for (const suffix of ['_count', '_sum', '_bucket']) assert.equal(sum(m, `vllm:${theirs}`, {}, suffix), sum(m, `hokku_${ours}`, {}, suffix), theirs + suffix);
	const reasons = (reason) => sum(m, 'vllm:request_success_total', { finished_reason: reason });
	assert.equal(reasons('length'), sum(m, 'hokku_answers_total', { reason: 'length' }) + sum(m, 'hokku_answers_total', { reason: 'context' }));
	assert.equal(reasons('stop'), sum(m, 'hokku_answers_total', { reason: 'end' }) + sum(m, 'hokku_answers_total', { reason: 'stop' }));
	assert.equal(reasons('abort'), sum(m, 'hokku_cancelled_requests_total'));
	const [{ labels, value }] = m.get('vllm:cache_config_info').samples;
	assert.equal(value, 1);
	assert.deepEqual([labels.block_size, labels.num_gpu_blocks], [String(block), String(sum(m, 'hokku_kv_blocks'))]);
	for (const family of [...m.values()].filter((f) => f.name.startsWith('vllm:')))
		for (const s of family.samples) assert.deepEqual([s.labels.engine, typeof s.labels.model_name], ['0', 'string'], s.name);
});

test('promtool has nothing to say of hokku’s own names', (t) => {
	const promtool = tool('promtool');
	if (!promtool) return t.skip('promtool is not here (./do test brings it)');
	return scrape().then(({ text }) => {
		const own = text.slice(0, text.indexOf('# HELP vllm:'));
		assert.ok(own.length > 1000);
		const { status, text: said } = promtool(['check', 'metrics'], { input: own });
		assert.deepEqual({ status, said }, { status: 0, said: '' });
		// And it would, of what is wrong.
		assert.notEqual(promtool(['check', 'metrics'], { input: '# TYPE hokku_x counter\nhokku_x 1\n' }).status, 0);
	});
});

test('docs/metrics.md has every name, as the server tells it', async () => {
	const families = [...(await metrics()).values()];
	const labels = (f) => {
		const names = [...new Set(f.samples.flatMap((s) => Object.keys(s.labels)))].filter((l) => l !== 'le');
		return names.map((l) => `\`${l}\``).join(', ');
	};
	const row = (f) => `| \`${f.name}\` | ${f.type} | ${f.samples.length ? labels(f) : '`model`, `state`'} | ${f.help} |\n`;
	const table = (own) => `| name | type | labels | |\n|---|---|---|---|\n${families.filter((f) => f.name.startsWith('vllm:') !== own).map(row).join('')}`;
	const text = readFileSync(doc, 'utf8');
	const put = (text, mark, rows) => text.replace(new RegExp(`(<!-- ${mark} -->\n)[^]*?(?=<!-- /${mark} -->)`), (_, head) => head + rows);
	const wanted = put(put(text, 'hokku', table(true)), 'vllm', table(false));
	if (process.env.UPDATE_DOCS) writeFileSync(doc, wanted);
	else assert.equal(text, wanted, 'docs/metrics.md differs from what the server tells; see the top of tests/e2e/metrics.test.mjs');
	assert.match(wanted, /`hokku_step_tokens` \| histogram/);
});

test('a line a request, in JSON, and nothing in it that a client said', async () => {
	await post(server, '/v1/cancel', { id: 'nobody' }, as('a')); // once its line is there, all before it are
	await linesOf('/v1/cancel', 1, 0);
	const from = countOf('/v1/generate');
	const answer = await generate(server, { messages: [{ role: 'user', content: secretText }], stream: false, max_tokens: 3, id: 'logged', seed: 1, ...endless }, { ...as('a'), traceparent: trace });
	assert.equal(answer.status, 200, answer.text);
	assert.equal(answer.headers.get('traceparent'), trace);
	const [told] = await linesOf('/v1/generate', 1, from);
	assert.match(told.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
	const { level, message, method, path, status, outcome, key, id, prompt_tokens, answer_tokens, stop, trace_id, parent_id } = told;
	assert.deepEqual(
		{ level, message, method, path, status, outcome, key, id, prompt_tokens, answer_tokens, stop, trace_id, parent_id },
		{
			level: 'info', message: 'POST "/v1/generate" 200', method: 'POST', path: '/v1/generate', status: 200, outcome: 'ok', key: 'team-a', id: 'logged',
			prompt_tokens: answer.json.usage.prompt_tokens, answer_tokens: 3, stop: 'length', trace_id: trace.slice(3, 35), parent_id: trace.slice(36, 52),
		},
	);
	assert.ok(told.prepare_ms + told.queue_ms <= told.ttft_ms + 0.2 && told.ttft_ms <= told.ms + 0.1, JSON.stringify(told));
	// Streamed, refused, broken JSON that holds it, a role that is it.
	const s = await stream(server, { prompt: secretText, max_tokens: 2, ...endless }, { ...as('a'), traceparent: trace });
	await within(s.done, 'the stream to end');
	assert.equal(s.headers.get('traceparent'), trace);
	for (const body of [`{"prompt": "${secretText}"`, `{"prompt": "x", ${secretText}}`, { messages: [{ role: secretText, content: secretText }] }, { prompt: 'x', stop: [secretText, 5] }, { prompt: 'x', [secretText]: 1, max_tokens: -1 }])
		assert.equal((await generate(server, body, as('a'))).status, 400);
	const all = await linesOf('/v1/generate', 7, from), refused = all.at(-1);
	assert.deepEqual([refused.outcome, refused.field, refused.status], ['invalid_request', 'max_tokens', 400]);
	assert.equal(all.length, 7);
	assert.ok(!server.log.includes(secretText));
});

test('a traceparent that is none is left out', async () => {
	const ask = (traceparent) => (n++, post(server, '/tokenize', { content: 'x' }, { ...as('a'), traceparent }));
	const zero = '0'.repeat(32);
	let n = 0;
	const line = async () => (await linesOf('/tokenize', n, 0))[n - 1];
	for (const bad of ['', 'x', trace.slice(0, -1), `${trace}0`, `${trace}-00`, trace.toUpperCase(), `ff${trace.slice(2)}`, `00-${zero}-${trace.slice(36)}`, `${trace.slice(0, 36)}${zero.slice(16)}-01`, `${trace.slice(0, 53)}g1`, trace.replaceAll('-', '_')]) {
		const { status, headers } = await ask(bad);
		assert.deepEqual([status, headers.get('traceparent'), (await line()).trace_id], [200, null, undefined], bad);
	}
	// Of a later version what this one has in its place is read, and the whole is passed on.
	for (const good of [trace, `01${trace.slice(2)}`, `01${trace.slice(2)}-what-comes-then`]) {
		assert.equal((await ask(good)).headers.get('traceparent'), good);
		assert.equal((await line()).trace_id, trace.slice(3, 35));
	}
});

test('where there is an administrator, the others see their own counts, and models that they may use', async (t) => {
	const keys = join(folder, 'keys-metrics-admin');
	writeFileSync(keys, `name=team-a key=${secret.a}\nname=team-b key=${secret.b} models=another\nname=boss key=secret-of-the-boss admin=yes\n`);
	const kept = await start([model('tiny'), '--api-key-file', keys]);
	t.after(() => kept.child.kill('SIGKILL'));
	const see = async (key) => parse(await (await fetch(`${kept.url}/metrics`, { headers: { Authorization: `Bearer ${key}` } })).text());
	for (const key of ['wrong-key-of-nobody', secret.a, secret.b]) await (await fetch(`${kept.url}/v1/models`, { headers: { Authorization: `Bearer ${key}` } })).text();
	const keysOf = (m, name) => [...new Set(m.get(name).samples.map((s) => s.labels.key))].sort();
	const a = await see(secret.a), b = await see(secret.b), boss = await see('secret-of-the-boss');
	assert.deepEqual([keysOf(a, 'hokku_requests_total'), keysOf(a, 'hokku_key_requests_total')], [['team-a'], ['team-a']]);
	assert.deepEqual([keysOf(b, 'hokku_requests_total'), keysOf(b, 'hokku_key_requests_total')], [['team-b'], ['team-b']]);
	assert.deepEqual(keysOf(boss, 'hokku_requests_total'), ['', 'team-a', 'team-b']);
	assert.deepEqual(keysOf(boss, 'hokku_key_requests_total'), ['boss', 'team-a', 'team-b']);
	assert.deepEqual([a, b, boss].map((m) => m.get('hokku_ready').samples.length), [1, 0, 1]);
	await kept.stop();
});

test('asked for, a line has the body, 64 KiB of it at most; in text what is no plain word is quoted', async () => {
	await server.stop();
	server = await start([model('tiny'), '--log-prompts', '--log-level', 'info', '--log-format', 'text']);
	assert.equal((await generate(server, { prompt: `${secretText} "quoted"\n`, stream: false, max_tokens: 2, seed: 1, ...endless })).status, 200);
	assert.equal((await generate(server, { messages: [{ role: secretText, content: 'x' }] })).status, 400);
	const posts = () => server.log.split('\n').slice(0, -1).filter((l) => l.includes(' POST '));
	await until(() => posts().length === 2, 20000, 'two lines');
	const own = posts();
	assert.match(own[0], /^\S+Z info {2}POST "\/v1\/generate" 200 id=gen-\w+ prompt_tokens=\d+ cached_tokens=0 answer_tokens=2 stop=length prepare_ms=\S+ queue_ms=\S+ ttft_ms=\S+ ms=\S+ body_bytes=\d+ body="\{\\"prompt\\":/);
	assert.ok(own[0].includes(secretText));
	assert.match(own[1], / 400 outcome=invalid_request field=messages\[0\]\.role error=".*" ms=/);
	const size = 64 * 1024, body = (n) => JSON.stringify({ content: 'y'.repeat(n - '{"content":""}'.length) });
	for (const n of [size - 1, size, size + 1]) {
		assert.equal((await post(server, '/tokenize', body(n))).status, 200);
		await until(() => server.log.endsWith('\n') && server.log.includes(`body_bytes=${n} `), 20000, 'the line');
		const told = server.log.match(new RegExp(`body_bytes=${n} body=(.*)\n`))[1];
		assert.equal(JSON.parse(told).length, Math.min(n, size));
	}
	assert.ok(!server.log.includes('"/health"'));
	const told = await startFails(['--log-format', 'xml']);
	assert.deepEqual([told.code, told.err.split('\n')[0]], [2, 'hokku serve: --log-format is "xml"; it takes text or json (see hokku serve --help)']);
	await server.stop();
});
