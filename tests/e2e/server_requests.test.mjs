// What POST /v1/generate takes and says, and what every wrong request is told.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { endless, events, folder, generate, model, post, raw, start, slack } from './server_common.mjs';

let server;
before(async () => {
	server = await start([model('tiny'), '--max-body', '200000']);
});
after(() => server.stop());

const refused = (answer, status, code, field, ...parts) => {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.json.error.code, code);
	assert.equal(answer.json.error.field, field);
	for (const part of parts) assert.ok(answer.json.error.message.includes(part), `${answer.json.error.message} lacks ${part}`);
};

test('a stream is started, tokens, end; the whole answer is the same text', async () => {
	const body = { prompt: 'autumn rain', max_tokens: 40, seed: 7, id: 'verse-1', ...endless };
	const [at, date] = [performance.now(), Date.now()];
	const answer = await generate(server, body);
	const wall = performance.now() - at;
	assert.equal(answer.status, 200);
	assert.equal(answer.headers.get('content-type'), 'text/event-stream');
	const list = events(answer.text);
	const started = list[0];
	assert.equal(started.kind, 'started');
	assert.equal(started.data.id, 'verse-1');
	assert.equal(started.data.seed, 7);
	assert.ok(started.data.prompt_tokens > 0);
	assert.equal(started.data.max_tokens, 40);
	assert.match(started.data.started_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
	assert.deepEqual(started.data.sampling, {
		temperature: 0.7, top_k: 0, top_p: 1, min_p: 0, repetition_penalty: 1, frequency_penalty: 0, presence_penalty: 0,
		logit_bias: endless.logit_bias,
	});
	assert.equal(started.data.warnings, undefined);
	const tokens = list.filter((e) => e.kind === 'token');
	const end = list.at(-1);
	assert.equal(list.length, tokens.length + 2);
	assert.equal(end.kind, 'end');
	assert.equal(end.data.stop_reason, 'length');
	assert.equal(end.data.tokens_out, 40);
	assert.deepEqual([...new Set(tokens.map((e) => e.data.i))], [...Array(40).keys()]);
	const text = tokens.map((e) => e.data.t).join('');
	assert.equal(end.data.text_bytes, Buffer.byteLength(text));
	// Milliseconds that lie within those the client counted; what comes before the first token is a part of ttft_ms.
	for (const time of ['prefill_ms', 'decode_ms', 'ttft_ms']) assert.ok(end.data[time] > 0 && end.data[time] <= wall, `${time} ${end.data[time]} of ${wall}`);
	assert.ok(end.data.ttft_ms > end.data.prefill_ms && end.data.ttft_ms + end.data.decode_ms <= wall);
	assert.ok(Math.abs(Date.parse(started.data.started_at) - date) <= wall + 1);

	const whole = await generate(server, { ...body, stream: false, id: null });
	assert.equal(whole.status, 200);
	assert.equal(whole.headers.get('content-type'), 'application/json');
	assert.equal(whole.json.text, text);
	assert.equal(whole.json.tokens_out, 40);
	assert.equal(whole.json.stop_reason, 'length');
	assert.match(whole.json.id, /^gen-[0-9a-f]{16}$/);
});

test('ttft_ms counts from the last byte of the request: preparing a large one is in it', async () => {
	// Half a million numbers take longer to be read than a token to be computed.
	const large = await start([model('long'), '--ctx', '8']);
	const body = `{"max_tokens":1,"stream":false,"unread":[${'0,'.repeat(500000)}0],"prompt":[5]}`;
	const { json } = await generate(large, body);
	assert.ok(json.ttft_ms > json.prefill_ms + 2, `${json.ttft_ms} ${json.prefill_ms}`);
	const health = await large.health();
	assert.ok(health.uptime_s > 0 && health.uptime_s < performance.now() / 1000, `${health.uptime_s}`);
	await large.stop();
});

test('curl sees the events as they are', () => {
	const out = execFileSync('curl', ['-sS', '-N', '-i', '-d', '{"prompt":"rain","max_tokens":2,"temperature":0}', `${server.url}/v1/generate`]).toString();
	assert.match(out, /^HTTP\/1\.1 200 OK\r\n/);
	assert.match(out, /\r\n\r\nevent: started\ndata: \{.*\}\n\nevent: token\ndata: \{"t":".*","i":0,"id":\d+\}\n\n/);
	assert.match(out, /\nevent: end\ndata: \{"stop_reason":"(length|end)".*\}\n\n$/);
});

test('a seed decides the text, in every form it can be written', async () => {
	const ask = async (seed) => (await generate(server, `{"prompt":"a","max_tokens":20,"stream":false,"seed":${seed}}`)).json;
	for (const [written, told] of [
		['0', 0], ['9007199254740991', 9007199254740991], ['"12"', 12], ['12', 12],
		['9007199254740993', '9007199254740993'], ['9223372036854775807', '9223372036854775807'],
		['"18446744073709551615"', '18446744073709551615'],
	])
		assert.equal((await ask(written)).seed, told);
	assert.equal((await ask('5')).text, (await ask('"5"')).text);
	assert.notEqual((await ask('5')).text, (await ask('6')).text);
	const drawn = await ask('null');
	assert.ok(Number.isSafeInteger(drawn.seed));
	assert.equal((await ask(drawn.seed)).text, drawn.text);
	refused(await generate(server, '{"prompt":"a","seed":18446744073709551615}'), 400, 'INVALID_REQUEST', 'seed', '18446744073709551615', 'string');
	for (const wrong of ['-1', '1.5', '"18446744073709551616"', '"0x1"', '""', 'true', '[1]'])
		refused(await generate(server, `{"prompt":"a","seed":${wrong}}`), 400, 'INVALID_REQUEST', 'seed', '0 to 18446744073709551615');
});

test('every wrong field is named with its value and what it takes', async () => {
	const p = { prompt: 'a' };
	const u = { messages: [{ role: 'user', content: 'a' }] };
	const stops = (n) => Array(n).fill('x');
	const table = [
		[{ ...p, temperature: 100.5 }, 'temperature', '100.5', 'from 0 to 100'],
		[{ ...p, temperature: -0.1 }, 'temperature', '-0.1', 'from 0 to 100'],
		[{ ...p, temperature: 'hot' }, 'temperature', 'the string "hot"', 'from 0 to 100'],
		[{ ...p, temperature: [1] }, 'temperature', 'an array', 'a number'],
		[{ ...p, top_k: 1.5 }, 'top_k', '1.5', 'a whole number from 0 to'],
		[{ ...p, top_k: -1 }, 'top_k', '-1', 'from 0 to'],
		[{ ...p, top_p: 0 }, 'top_p', '0', 'above 0 and up to 1'],
		[{ ...p, top_p: 1.01 }, 'top_p', '1.01', 'up to 1'],
		[{ ...p, min_p: 2 }, 'min_p', '2', 'from 0 to 1'],
		[{ ...p, repetition_penalty: 0 }, 'repetition_penalty', '0', 'up to 10'],
		[{ ...p, frequency_penalty: 2.5 }, 'frequency_penalty', '2.5', 'from -2 to 2'],
		[{ ...p, presence_penalty: -3 }, 'presence_penalty', '-3', 'from -2 to 2'],
		[{ ...p, max_tokens: 0 }, 'max_tokens', '0', 'from 1 to'],
		[{ ...p, max_tokens: 2147483648 }, 'max_tokens', '2147483648', 'to 2147483647'],
		[{ ...p, max_tokens: '5' }, 'max_tokens', 'the string "5"', 'a whole number'],
		[{ ...p, stream: 1 }, 'stream', '1', 'true or false'],
		[{ ...p, stop: stops(17) }, 'stop', '17', 'up to 16'],
		[{ ...p, stop: 5 }, 'stop', '5', 'a string or an array'],
		[{ ...p, stop: ['x', ''] }, 'stop[1]', '0 bytes', '1 to 512'],
		[{ ...p, stop: ['x'.repeat(513)] }, 'stop[0]', '513 bytes', '1 to 512'],
		[{ ...p, stop: [null] }, 'stop[0]', 'null', 'a string'],
		[{ ...p, id: '' }, 'id', 'the string ""', '1 to 64'],
		[{ ...p, id: 'x'.repeat(65) }, 'id', 'xxx', '1 to 64'],
		[{ ...p, id: 'a b' }, 'id', '"a b"', 'A-Z a-z 0-9'],
		[{ ...p, id: 7 }, 'id', '7', '1 to 64'],
		[{ ...p, logit_bias: { '-1': 1 } }, 'logit_bias', '"-1"', 'token id'],
		[{ ...p, logit_bias: { 512: 1 } }, 'logit_bias', '512', '0 to 511'],
		[{ ...p, logit_bias: { 5: 'a' } }, 'logit_bias', 'the string "a"', 'from -'],
		[{ ...p, logit_bias: { 5: 1e9 } }, 'logit_bias', '1000000000', 'from -'],
		[{ ...p, logit_bias: [5] }, 'logit_bias[0]', 'is 5', 'number or false'],
		[{ ...p, mirostat: 3 }, 'mirostat', 'is 3', 'from 0 to 2'],
		[{ ...p, typical_p: 0 }, 'typical_p', 'is 0', 'above 0'],
		[{ ...p, dry_sequence_breakers: 'x' }, 'dry_sequence_breakers', 'the string "x"', 'up to 64'],
		[{ ...p, samplers: ['top_k'] }, 'samplers', 'an array of 1', 'order of the stages is fixed'],
		[{ ...p, stop_token_ids: [512] }, 'stop_token_ids', '512', '0 to 511'],
		[{ ...p, allowed_token_ids: [] }, 'allowed_token_ids', 'empty', 'at least one'],
		[{ ...p, bad_words: [''] }, 'bad_words[0]', '0 bytes', '1 to 256'],
		[{ ...p, min_tokens: 3, max_tokens: 2 }, 'min_tokens', 'is 3', 'max_tokens is 2'],
		[{}, 'prompt', 'missing', 'messages'],
		[{ prompt: null }, 'prompt', 'missing', 'messages'],
		[{ prompt: '' }, 'prompt', 'empty', 'at least one'],
		[{ prompt: [] }, 'prompt', 'empty', 'at least one'],
		[{ prompt: 5 }, 'prompt', '5', 'a string or an array of token ids'],
		[{ prompt: [1, -2] }, 'prompt[1]', '-2', 'from 0 to'],
		[{ prompt: [1, 'a'] }, 'prompt[1]', 'the string "a"', 'token id'],
		[{ prompt: [1, 2, 512] }, 'prompt[2]', '512', '0 to 511'],
		[{ ...p, messages: [{ role: 'user', content: 'a' }] }, 'prompt', 'both', 'one of them'],
		[{ messages: [] }, 'messages', 'an array of 0', 'at least one'],
		[{ messages: ['a'] }, 'messages[0]', 'is "a"', 'an object'],
		[{ messages: [{ content: 'a' }] }, 'messages[0].role', 'missing', '"user"'],
		[{ messages: [{ role: 'user', content: 'a' }, { role: 'critic', content: 'a' }] }, 'messages[1].role', '"critic"', '"assistant"'],
		[{ messages: [{ role: 'user' }] }, 'messages[0].content', 'missing', 'a string'],
		[{ messages: [{ role: 'user', content: ['a'] }] }, 'messages[0].content[0]', 'is "a"', '"text"'],
		[{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] }, 'messages[0].content[0].type', '"image_url"', '"text"'],
		[{ messages: [{ role: 'user', content: [] }] }, 'messages[0].content', 'an empty array', 'text part'],
		[{ ...u, tools: 'x' }, 'tools', 'the string "x"', 'an array'],
		[{ ...u, tools: ['x'] }, 'tools[0]', 'the string "x"', 'an object'],
		[{ ...u, chat_template_kwargs: 5 }, 'chat_template_kwargs', 'is 5', 'an object'],
		[{ ...u, chat_template_kwargs: { bos_token: 'x' } }, 'chat_template_kwargs', '"bos_token"', "the model's file sets"],
		[{ ...p, chat_template_kwargs: {} }, 'chat_template_kwargs', 'a prompt'],
		[{ ...p, tools: [{}] }, 'tools', 'a prompt'],
		[{ ...u, now: '2026-02-30' }, 'now', '"2026-02-30"', '2026-07-31'],
		[{ ...u, now: 5 }, 'now', 'is 5', '2026-07-31'],
	];
	for (const [body, field, ...parts] of table) refused(await generate(server, body), 400, 'INVALID_REQUEST', field, ...parts);
});

test('the ends of every range are allowed', async () => {
	for (const body of [
		{ temperature: 0 }, { temperature: 100 }, { top_k: 2147483647 }, { top_p: 1e-6 }, { top_p: 1 }, { min_p: 1 },
		{ repetition_penalty: 10 }, { repetition_penalty: 1e-6 }, { frequency_penalty: -2 }, { presence_penalty: 2 },
		{ max_tokens: 1.0 }, { stop: [] }, { stop: Array(16).fill('x'.repeat(512)) }, { id: 'x'.repeat(64) }, { id: 'aZ0-_.:' },
		{ logit_bias: { 0: 5, 511: -100 } }, { logit_bias: [[0, false], [511, -100]] }, { min_tokens: 1, ignore_eos: true, stop_token_ids: [511] },
		{ repeat_last_n: 0, repetition_penalty: 2 }, { typical_p: 0.1 }, { top_n_sigma: -1 }, { xtc_probability: 1, xtc_threshold: 0 }, { dynatemp_range: 100 },
		{ dry_multiplier: 100, dry_base: 100, dry_allowed_length: 1, dry_sequence_breakers: [] }, { mirostat: 1 }, { mirostat: 2, mirostat_tau: 0, mirostat_eta: 1 },
		{ allowed_token_ids: [5] }, { bad_words: ['a'] }, { include_stop_str_in_output: true }, { stop: null, temperature: null, logit_bias: null, messages: null },
	]) {
		const answer = await generate(server, { prompt: 'a', max_tokens: 1, stream: false, ...body });
		assert.equal(answer.status, 200, `${JSON.stringify(body)}: ${answer.text}`);
	}
});

test('unknown fields are ignored and named', async () => {
	const answer = await generate(server, { prompt: 'a', max_tokens: 1, stream: false, temprature: 1, flavour: 'x' });
	assert.equal(answer.status, 200);
	assert.equal(answer.json.warnings.length, 2);
	assert.match(answer.json.warnings[0], /"temprature".*did you mean "temperature"/);
	assert.match(answer.json.warnings[1], /"flavour".*ignored$/);
	const many = Object.fromEntries([...Array(100).keys()].map((i) => [`unknown_${i}`, i]));
	assert.equal((await generate(server, { prompt: 'a', max_tokens: 1, stream: false, ...many })).json.warnings.length, 16);
	const started = events((await generate(server, { prompt: 'a', max_tokens: 1, maxtokens: 1 })).text)[0];
	assert.match(started.data.warnings[0], /did you mean "max_tokens"/);
	const messages = [{ role: 'user', content: 'a', name: 'x', tool_cals: [], mine: 1 }];
	const told = (await generate(server, { messages, max_tokens: 1, stream: false })).json.warnings;
	assert.equal(told.length, 1);
	assert.match(told[0], /"tool_cals" is no field of a message .*did you mean "tool_calls"/);
});

test('what is no JSON object is told where', async () => {
	const wrong = async (body, ...parts) => refused(await generate(server, body), 400, 'INVALID_REQUEST', undefined, ...parts);
	await wrong('', 'empty');
	await wrong('{"prompt": "a",\n "temperature": }', 'line 2 column 17');
	await wrong('{"prompt": "a"', 'line 1 column 14');
	await wrong('{"prompt": "a"} x', 'line 1 column');
	await wrong('{"prompt": "a", "prompt": "b"}', 'line 1 column', 'duplicate');
	await wrong('{"prompt":"a","temperature":NaN}', 'line 1 column 29', 'NaN');
	await wrong('[1]', 'an array of 1', 'object');
	await wrong('"a"', 'the string "a"', 'object');
	await wrong(new Uint8Array([123, 34, 112, 34, 58, 34, 0xff, 34, 125]), 'line 1 column 7', '0xff');
	await wrong('['.repeat(3000), 'line 1 column');
	await wrong(`{"prompt":[${'[],'.repeat(20000)}[]]}`, '20003 objects and arrays', '20000');
	// A byte order mark before the body is none of it; numbers that nobody reads may have any size.
	for (const body of ['\ufeff{"prompt":"a","max_tokens":1,"stream":false}', `{"prompt":"a","max_tokens":1,"stream":false,"user":1${'0'.repeat(400)}}`])
		assert.equal((await generate(server, body)).status, 200);
	// A NUL is a character like any other in a prompt, and none of an id.
	assert.equal((await generate(server, '{"prompt":"a\\u0000b","max_tokens":1,"stream":false}')).status, 200);
	refused(await generate(server, '{"prompt":"a","id":"a\\u0000b"}'), 400, 'INVALID_REQUEST', 'id', '\\x00');
});

test('token ids, messages and text are the same prompt', async () => {
	const ask = async (body) => (await generate(server, { seed: 1, max_tokens: 10, stream: false, ...body })).json;
	const text = await ask({ prompt: 'ab' });
	assert.ok(text.prompt_tokens >= 1);
	const messages = await ask({ messages: [{ role: 'user', content: 'ab' }] });
	assert.ok(messages.prompt_tokens > text.prompt_tokens);
	const ids = await ask({ prompt: [1, 2, 3] });
	assert.equal(ids.prompt_tokens, 3);
});

// The tiny model's file with another template, which is no longer than its own.
function withTemplate(name, source) {
	const path = join(folder, name);
	const bytes = readFileSync(model('tiny'));
	const at = bytes.indexOf('{% for message in messages %}{{');
	assert.ok(at > 0);
	const length = Number(bytes.readBigUInt64LE(at - 8));
	assert.ok(source.length + 4 <= length);
	bytes.write(`${source}{#${'.'.repeat(length - source.length - 4)}#}`, at);
	writeFileSync(path, bytes);
	return path;
}

test('messages want a template that can be used', async () => {
	const other = await start([withTemplate('broken-template.gguf', "a\n{% include 'x' %}")]);
	const answer = await generate(other, { messages: [{ role: 'user', content: 'a' }], max_tokens: 1 });
	refused(answer, 400, 'INVALID_REQUEST', 'messages', 'line 2: the statement "include" is refused');
	assert.equal((await generate(other, { prompt: 'a', max_tokens: 1, stream: false })).status, 200);
	await other.stop();
});

test("the file's own template renders; its refusals name the message; dates are told", async () => {
	const source = "{% for m in messages %}{{ raise_exception('No system!') if m.role == 'system' }}{{ m.content }}{% endfor %}{{ strftime_now('%Y') if d }}";
	const other = await start([withTemplate('own-template.gguf', source), '--chat-template-kwargs', '{"d": true}', '--template-date', '2001-02-03']);
	const ask = async (body) => generate(other, { max_tokens: 1, stream: false, ...body });
	const messages = [{ role: 'user', content: 'ab' }, { role: 'system', content: 'x' }];
	refused(await ask({ messages }), 400, 'INVALID_REQUEST', 'messages[1]', 'refuses it: No system!');
	const one = [messages[0]];
	assert.equal((await ask({ messages: one })).json.template_date, '2001-02-03T00:00:00');
	assert.equal((await ask({ messages: one, now: '2024-02-29T01:02:03' })).json.template_date, '2024-02-29T01:02:03');
	const without = (await ask({ messages: one, chat_template_kwargs: { d: false } })).json;
	assert.equal(without.template_date, undefined);
	assert.equal(without.prompt_tokens, (await ask({ prompt: 'ab' })).json.prompt_tokens);
	const started = events((await generate(other, { messages: one, max_tokens: 1 })).text)[0];
	assert.equal(started.data.template_date, '2001-02-03T00:00:00');
	await other.stop();
});

test('stop strings end the text and are not part of it', async () => {
	const body = { prompt: 'a', seed: 3, max_tokens: 60, stream: false, ...endless };
	const { text } = (await generate(server, body)).json;
	const letters = text.match(/[a-z]{3}/g);
	const stop = letters.at(-1);
	const cut = (await generate(server, { ...body, stop: ['never said', stop] })).json;
	assert.equal(cut.stop_reason, 'stop');
	assert.equal(cut.text, text.slice(0, text.indexOf(stop)));
	const streamed = events((await generate(server, { ...body, stream: true, stop })).text);
	assert.equal(streamed.filter((e) => e.kind === 'token').map((e) => e.data.t).join(''), cut.text);
	assert.equal(streamed.at(-1).data.stop_reason, 'stop');
	assert.deepEqual(streamed[0].data.stop, [stop]);
});

test('a prompt past the context is refused with both numbers, one that fills it is not cut', async () => {
	const ids = (n) => Array(n).fill(5);
	refused(await generate(server, { prompt: ids(600) }), 400, 'CONTEXT_EXCEEDED', undefined, '600', '512');
	const full = (await generate(server, { prompt: ids(500), stream: false, ...endless })).json;
	assert.equal(full.prompt_tokens, 500);
	assert.equal(full.stop_reason, 'context');
	assert.ok(full.tokens_out >= 12 && full.tokens_out <= 13);
});

test('paths, methods and sizes', async () => {
	const get = async (path, method = 'GET') => {
		const response = await fetch(server.url + path, { method });
		const text = await response.text();
		return { status: response.status, headers: response.headers, text, json: text ? JSON.parse(text) : undefined };
	};
	refused(await get('/v1/generat'), 404, 'NOT_FOUND', undefined, '/v1/generat', 'did you mean /v1/generate');
	refused(await get('/nowhere/at/all?x=1'), 404, 'NOT_FOUND', undefined, '/nowhere/at/all');
	for (const [path, method, allow] of [
		['/v1/generate', 'GET', 'POST, OPTIONS'], ['/v1/generate', 'PUT', 'POST, OPTIONS'], ['/v1/cancel', 'DELETE', 'POST, OPTIONS'],
		['/health', 'POST', 'GET, HEAD, OPTIONS'], ['/health', 'PATCH', 'GET, HEAD, OPTIONS'],
	]) {
		const answer = await get(path, method);
		refused(answer, 405, 'INVALID_REQUEST', undefined, method);
		assert.equal(answer.headers.get('allow'), allow);
	}
	const options = await get('/v1/generate', 'OPTIONS');
	assert.equal(options.status, 204);
	assert.equal(options.headers.get('allow'), 'POST, OPTIONS');
	const head = await get('/health', 'HEAD');
	assert.equal(head.status, 200);
	assert.ok(Number(head.headers.get('content-length')) > 100);
	assert.equal((await get('/')).json.name, 'hokku');
	assert.equal((await get('/health?x=1')).json.status, 'ok');

	const sized = (n) => `{"prompt":"a","max_tokens":1,"stream":false,"flavour":"${'x'.repeat(n - 57)}"}`;
	assert.equal(sized(200000).length, 200000);
	assert.equal((await generate(server, sized(199999))).status, 200);
	assert.equal((await generate(server, sized(200000))).status, 200);
	// On a fresh connection as well as on one that has served requests before.
	for (let i = 0; i < 3; i++) refused(await generate(server, sized(200001)), 413, 'INVALID_REQUEST', undefined, '200000');
	refused(await post(server, '/v1/cancel', `{"id":"${'x'.repeat(20000)}"}`), 413, 'INVALID_REQUEST', undefined, '16384');
	refused(await generate(server, '{}', { 'Content-Encoding': 'gzip' }), 415, 'INVALID_REQUEST', undefined, 'Content-Encoding');
});

test('HTTP that is none is told so in JSON', async () => {
	const body = '{"prompt":"a","max_tokens":1,"stream":false}';
	const head = `POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n`;
	const wrong = async (status, ...pieces) => {
		const answer = await raw(server.port, ...pieces);
		assert.equal(answer.status, status, answer.text);
		assert.equal(answer.headers['content-type'], 'application/json', answer.text);
		const { error } = JSON.parse(answer.body);
		assert.equal(error.code, 'INVALID_REQUEST');
		return error.message;
	};
	await wrong(400, 'hello world, this is no request line\r\n\r\n');
	await wrong(400, `${head}no colon here\r\n\r\n`);
	await wrong(400, `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`);
	await wrong(400, `${head}Content-Length: -5\r\n\r\n`);
	assert.match(await wrong(400, `${head}X: ${'y'.repeat(20000)}\r\n\r\n`), /longer than 16384/);
	await wrong(417, `${head}Expect: a-miracle\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
	assert.match(await wrong(400, `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`), /"z".*hexadecimal/);
	assert.match(await wrong(413, `${head}Transfer-Encoding: chunked\r\n\r\n30d41\r\n`), /200000 bytes.*--max-body/);
	assert.match(await wrong(405, `BREW /v1/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`), /not BREW$/);

	const chunked = body.match(/.{1,7}/g).map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
	const answer = await raw(server.port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunked}0\r\n\r\n`);
	assert.equal(answer.status, 200);
	const expecting = await raw(server.port, `${head}Expect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`, body);
	assert.match(expecting.text, /^HTTP\/1\.1 (100 Continue\r\n\r\nHTTP\/1\.1 )?200 OK/);
	const old = await raw(server.port, `POST /v1/generate HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
	assert.equal(old.status, 200);
	const oldStream = await raw(server.port, `POST /v1/generate HTTP/1.0\r\nContent-Length: 29\r\n\r\n{"prompt":"a","max_tokens":3}`);
	assert.equal(events(oldStream.body).at(-1).kind, 'end');
});

test('a body whose length is not certain is refused at once, and nothing behind it is served', async () => {
	const behind = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';
	const head = 'POST /v1/generate HTTP/1.1\r\nHost: localhost\r\n';
	const cases = [
		[501, `${head}Transfer-Encoding: gzip\r\n\r\n`, 'gzip'],
		[501, `${head}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'chunked'],
		[400, `${head}Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}`, 'more than once'],
		[400, `${head}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 'together'],
		[400, `${head}Content-Length : 2\r\n\r\n{}`, 'no header'],
		[400, `${head}Content-Length: two\r\n\r\n{}`, 'two'],
		[400, 'GET /health HTTP/1.1\r\n\r\n', 'Host'],
		[413, `${head}Content-Length: 999999999\r\n\r\n`, '999999999'],
		[413, `${head}Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n`, '999999999'],
	];
	for (const [status, request, word] of cases) {
		for (const before of ['', behind]) {
			const at = performance.now();
			const { text } = await raw(server.port, before + request + (status === 413 ? '' : behind));
			assert.ok(performance.now() - at < 500 * slack(), `${request}: ${performance.now() - at} ms`);
			const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => Number(m[1]));
			assert.deepEqual(statuses, before ? [200, status] : [status], request + text);
			const { error } = JSON.parse(text.slice(text.lastIndexOf('\r\n\r\n')));
			assert.equal(error.code, 'INVALID_REQUEST');
			assert.ok(error.message.includes(word), error.message);
		}
	}
});

test('one connection serves requests one after the other, pipelined ones too', async () => {
	const body = '{"prompt":"a","max_tokens":2,"stream":false}';
	const one = `POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
	const answer = await raw(server.port, one + one + one + 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
	assert.equal(answer.text.split('HTTP/1.1 200 OK').length - 1, 4);
	assert.match(answer.text, /"status":"ok"/);
});
