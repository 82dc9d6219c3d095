// The page in a browser: headless Chromium on what the program itself answers. Skipped where there is no Chromium.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { chunk, chromium, key, startFront, startServer, streamed } from './page_common.mjs';
import { raw, until } from './server_common.mjs';
import { within } from './waits.mjs';

const skip = chromium ? false : 'there is no Chromium here (Debian: apt install chromium)';
const require = createRequire(import.meta.url);
let server, front, browser;

before(async () => {
	server = await startServer();
	front = await startFront(server);
	if (!chromium) return;
	const { chromium: driver } = await import('playwright-core');
	browser = await driver.launch({ executablePath: chromium, args: ['--disable-gpu'] });
});
after(async () => {
	await browser?.close();
	front.stop();
	await server.stop();
});

// A browser of its own with the page in it. At the end: no error in the page, nothing asked of anybody but its own server.
async function open(t, { scheme = 'light', width = 1200, height = 800, withKey = true, hash = '', expected = /^Failed to load resource/ } = {}) {
	front.answers = {};
	front.asked.length = 0;
	const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: 'reduce' });
	if (withKey) await context.addInitScript((value) => location.protocol === 'http:' && sessionStorage.setItem('hokku.key', value), key);
	const faults = [];
	const watch = (page) => {
		page.on('pageerror', (error) => faults.push(String(error)));
		page.on('console', (message) => message.type() === 'error' && !expected.test(message.text()) && faults.push(message.text()));
		page.on('dialog', (dialog) => {
			faults.push(`a dialog: ${dialog.message()}`);
			dialog.dismiss();
		});
		page.on('request', (request) => !/^(data|blob):/.test(request.url()) && !request.url().startsWith(front.url) && faults.push(`asked ${request.url()}`));
	};
	context.on('page', watch);
	const page = await context.newPage();
	page.setDefaultTimeout(20000);
	t.after(async () => {
		await context.close();
		front.answers = {};
		assert.deepEqual(faults, []);
	});
	page.visit = () => page.goto(front.url + hash);
	page.faults = faults;
	page.say = async (text) => {
		await page.locator('dialog[open]').waitFor({ state: 'detached' }); // it goes with the frame after Escape; behind it nothing takes a key
		await page.locator('#write').fill(text);
		await page.locator('#write').press('Enter');
	};
	page.answers = (n) => page.waitForFunction((wanted) => document.querySelectorAll('.message.assistant:not(.live)').length === wanted, n);
	page.kept = () => page.waitForFunction(() => !document.querySelector('[data-unsaved]')); // in the browser's database
	// What changes is drawn with the next frame.
	page.drawn = () => within(page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))), 'two frames');
	page.words = async (selector) => {
		await page.drawn();
		return page.locator(selector).allInnerTexts();
	};
	return page;
}

async function visit(t, options) {
	const page = await open(t, options);
	await page.visit();
	await page.locator('.model').waitFor();
	return page;
}

async function judge(page, what) {
	await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
	const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
	assert.deepEqual(violations.map((v) => `${what}: ${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`), []);
}

// Nothing is wider than the window, and nothing but code and tables is scrolled sideways.
const fits = async (page) => {
	const wide = await page.evaluate(() =>
		[document.documentElement, ...document.querySelectorAll('body *')]
			.filter((one) => !one.closest('pre, .table, svg, .unseen, .skip, .what, .top .title') && one.checkVisibility({ visibilityProperty: true }))
			.filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || (one.scrollWidth > one.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(one).overflowX) && !one.matches('textarea, input')))
			.map((one) => `${one.tagName}.${one.className} ${Math.round(one.getBoundingClientRect().right)} ${one.scrollWidth}`),
	);
	assert.deepEqual(wide, []);
};

test('GET / is the page to whom Accept says so, else the list of routes; HEAD is as GET', async () => {
	const ask = (method, accept, more = '') => raw(server.port, `${method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${accept ? `Accept: ${accept}\r\n` : ''}${more}\r\n`);
	const shown = `x-api-key: ${key}\r\n`;
	const asBrowser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
	const page = await ask('GET', asBrowser);
	assert.equal(page.status, 200);
	assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
	assert.equal(page.headers.vary, 'Accept, Accept-Encoding');
	assert.equal(page.headers['x-content-type-options'], 'nosniff');
	const committed = new URL('../../page/dist/', import.meta.url);
	assert.ok(page.body === readFileSync(new URL('index.html', committed), 'utf8'), 'it is not page/dist/index.html: the program is older than that');
	assert.equal(page.headers['content-security-policy'], readFileSync(new URL('policy.txt', committed), 'utf8'));
	assert.ok(Buffer.byteLength(page.body) < 300000, `${Buffer.byteLength(page.body)} bytes`);
	for (const part of ["default-src 'none'", "connect-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"])
		assert.ok(page.headers['content-security-policy'].includes(part), part);
	assert.doesNotMatch(page.headers['content-security-policy'], /unsafe|https?:/);
	for (const accept of [undefined, '*/*', 'application/json', 'application/json, text/html;q=0.5', 'text/html;q=0']) {
		assert.equal((await ask('GET', accept)).status, 401, accept); // the page alone is everybody's
		const list = await ask('GET', accept, shown);
		assert.equal(list.headers['content-type'], 'application/json', accept);
		assert.equal(list.headers.vary, 'Accept, Accept-Encoding');
		assert.equal(JSON.parse(list.body).name, 'hokku');
	}
	const head = await ask('HEAD', asBrowser);
	assert.deepEqual([head.status, head.body, head.headers['content-length'], head.headers['content-type']], [200, '', String(Buffer.byteLength(page.body)), 'text/html; charset=utf-8']);
	assert.equal((await ask('HEAD', '*/*', shown)).headers['content-type'], 'application/json');
});

test('the page is compressed for whom that suits, each form has its tag, and who has it is told so', async () => {
	const ask = (headers, method = 'GET') =>
		within(new Promise((resolve, reject) => {
			const request = http.request({ host: '127.0.0.1', port: server.port, method, headers: { Accept: 'text/html', ...headers } }, async (answer) => {
				const parts = [];
				for await (const part of answer) parts.push(part);
				resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) });
			});
			request.on('error', reject);
			request.end();
		}), `the answer to ${method}`);
	const committed = readFileSync(new URL('../../page/dist/index.html', import.meta.url));
	const form = (answer) => [answer.status, answer.headers['content-encoding'], answer.headers.vary, answer.headers['content-type']];
	const plain = await ask({}), packed = await ask({ 'Accept-Encoding': 'gzip, deflate, br, zstd' });
	assert.deepEqual(form(plain), [200, undefined, 'Accept, Accept-Encoding', 'text/html; charset=utf-8']);
	assert.deepEqual(form(packed), [200, 'gzip', 'Accept, Accept-Encoding', 'text/html; charset=utf-8']);
	assert.ok(plain.body.equals(committed) && gunzipSync(packed.body).equals(committed));
	assert.ok(packed.body.length < 110000, `${packed.body.length} bytes`);
	assert.equal(packed.headers['content-length'], String(packed.body.length));
	assert.equal(packed.headers['content-security-policy'], plain.headers['content-security-policy']);
	const tags = [plain.headers.etag, packed.headers.etag];
	assert.match(tags[0], /^"[0-9a-f]{16}"$/);
	assert.equal(tags[1], tags[0].replace(/"$/, '-gzip"'));
	for (const unwanted of ['gzip;q=0', 'gzip;q=0, *', 'identity, gzip;q=0.5', '*;q=0', 'br']) assert.deepEqual(form(await ask({ 'Accept-Encoding': unwanted })), form(plain), unwanted);
	const head = await ask({ 'Accept-Encoding': 'gzip' }, 'HEAD');
	assert.deepEqual([form(head), head.body.length, head.headers['content-length'], head.headers.etag], [form(packed), 0, packed.headers['content-length'], tags[1]]);
	for (const method of ['GET', 'HEAD'])
		for (const known of [tags[1], `W/${tags[1]}`, `"other", ${tags[1]}`, '*']) {
			const answer = await ask({ 'Accept-Encoding': 'gzip', 'If-None-Match': known }, method);
			assert.deepEqual([answer.status, answer.body.length, answer.headers.etag, answer.headers.vary, answer.headers['content-length']], [304, 0, tags[1], 'Accept, Accept-Encoding', undefined], known);
		}
	for (const known of [tags[0], '"other"', tags[1].slice(1)]) assert.equal((await ask({ 'Accept-Encoding': 'gzip', 'If-None-Match': known })).status, 200, known); // the other form's is none of this one's
	assert.equal((await ask({ Accept: '*/*', 'x-api-key': key, 'Accept-Encoding': 'gzip' })).headers['content-encoding'], undefined);
});

test('it asks for the key, says when it is wrong, and keeps it only where that is wished', { skip }, async (t) => {
	const page = await open(t, { withKey: false });
	await page.visit();
	const field = page.getByLabel('Key', { exact: true });
	await field.fill('wrong-key-1');
	await page.keyboard.press('Enter');
	await page.getByText('That key is wrong.').waitFor();
	await field.fill(key);
	await page.getByRole('button', { name: 'Use it' }).click();
	await page.locator('.model').waitFor();
	assert.equal(await page.evaluate(() => localStorage.getItem('hokku.key')), null);
	await page.say('Write a haiku about autumn rain.');
	await page.answers(1);
	assert.equal((await page.locator('dialog').count()), 0);
	await page.reload(); // the same window
	await page.locator('.model').waitFor();
	await page.getByRole('button', { name: 'Settings' }).click();
	await page.getByRole('button', { name: 'Forget the key' }).click();
	await field.fill(key);
	await page.getByLabel('Keep it in this browser').check();
	await page.getByRole('button', { name: 'Use it' }).click();
	await page.locator('.model').waitFor();
	assert.equal(await page.evaluate(() => localStorage.getItem('hokku.key')), key);
	const other = await page.context().newPage();
	await other.goto(front.url);
	await other.locator('.model').waitFor();
	assert.ok(front.asked.filter((one) => one.name !== 'GET /').every((one) => !one.body.includes(key)));
});

test('a conversation: answers, figures, what the context holds; a reload keeps it', { skip }, async (t) => {
	const page = await visit(t);
	await page.say('Write a haiku about autumn rain.');
	await page.answers(1);
	await page.say('And one about "snow".');
	await page.answers(2);
	assert.equal((await page.locator('.message.assistant .prose').last().innerText()).split('\n').length, 3);
	assert.match((await page.words('.message.assistant .figures'))[1], /^\d+ tokens/);
	const [, second] = front.chats();
	assert.deepEqual(second.messages.map((m) => m.role), ['user', 'assistant', 'user']);
	assert.equal(second.model, 'haiku');
	await page.locator('.track .piece.marks').waitFor();
	assert.deepEqual(await page.locator('.context .track .piece').evaluateAll((all) => all.map((one) => one.classList[1])), ['user', 'assistant', 'user', 'assistant', 'marks']);
	await page.locator('.context-bar').click();
	const numbers = (await page.words('.context-list .number')).map(Number);
	const said = Number((await page.locator('.context-said').innerText()).split('/')[0]);
	assert.equal(numbers.reduce((a, b) => a + b), said);
	await page.locator('#write').fill('more words');
	await page.locator('.track .piece.draft').waitFor();
	await page.locator('#write').fill('');
	const before = await page.words('.message');
	await page.kept();
	await page.reload();
	await page.answers(2);
	assert.deepEqual(await page.words('.message'), before);
	assert.equal(await page.locator('.sidebar .open').innerText(), 'Write a haiku about autumn rain.');
});

test('edit and retry make branches, and nothing is lost', { skip }, async (t) => {
	const page = await visit(t);
	await page.say('Write a haiku about autumn rain.');
	await page.answers(1);
	const first = (await page.words('.message.assistant .prose'))[0];
	await page.getByRole('button', { name: 'Another answer' }).click();
	await page.getByText('2/2').waitFor();
	await page.answers(1);
	await page.getByRole('button', { name: 'Branch before' }).click();
	await page.getByText('1/2').waitFor();
	assert.equal((await page.words('.message.assistant .prose'))[0], first);
	await page.locator('.message.user').getByRole('button', { name: 'Edit as a new branch' }).click();
	await page.locator('.editor textarea:focus').fill('Write a haiku about snow.'); // it puts its caret to the end as it gets the focus
	await page.getByRole('button', { name: 'Send as a new branch' }).click();
	await page.locator('.message.user').getByText('2/2').waitFor();
	await page.answers(1);
	assert.equal(front.chats().at(-1).messages[0].content, 'Write a haiku about snow.');
	await page.kept();
	await page.reload();
	await page.answers(1);
	await page.locator('.message.user').getByRole('button', { name: 'Branch before' }).click();
	await page.locator('.message.assistant').getByText('2/2').waitFor(); // the branch that was begun last
	await page.locator('.message.assistant').getByRole('button', { name: 'Branch before' }).click();
	await page.locator('.message.assistant').getByText('1/2').waitFor();
	assert.equal((await page.words('.message.assistant .prose'))[0], first);
});

test('settings go with the request, and those of a wrong range do not', { skip }, async (t) => {
	const page = await visit(t);
	await page.getByRole('button', { name: 'Settings' }).click();
	await page.getByLabel('System prompt').fill('You are a poet.');
	for (const [label, text] of [['Temperature', '0'], ['Top K', '7'], ['Most tokens', '5'], ['Seed', '3'], ['Top P', '2']]) await page.getByLabel(label, { exact: true }).fill(text);
	assert.deepEqual(await page.words('.wrong'), ['Top P takes a number from 0 to 1']);
	await page.getByLabel('Stop texts').fill('xyzzy\nplugh');
	await page.keyboard.press('Escape');
	await page.say('Write a haiku about autumn rain.');
	await page.answers(1);
	const [{ messages, ...asked }] = front.chats();
	assert.deepEqual(messages[0], { role: 'system', content: 'You are a poet.' });
	assert.deepEqual(asked, { model: 'haiku', stream: true, stream_options: { include_usage: true }, temperature: 0, top_k: 7, max_tokens: 5, seed: 3, stop: ['xyzzy', 'plugh'] });
	assert.match(await page.locator('.message.assistant .figures').innerText(), /^5 tokens .* cut at its limit of tokens$/);
});

test('stop ends the request and keeps what came', { skip }, async (t) => {
	const page = await visit(t);
	let closed;
	const gone = new Promise((resolve) => (closed = resolve));
	front.answers['POST /v1/chat/completions'] = (_request, response) => {
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		response.write(chunk({ role: 'assistant', content: '' }) + chunk({ content: 'so far' }));
		response.on('close', closed);
	};
	await page.say('Go on for ever.');
	await page.getByText('so far').waitFor();
	assert.equal(await page.locator('.message.live').getAttribute('aria-busy'), 'true');
	await page.getByRole('button', { name: 'Stop the answer' }).click();
	await within(gone, 'the request to end');
	await page.answers(1);
	assert.match(await page.locator('.message.assistant .figures').innerText(), /stopped$/);
	await page.kept();
	await page.reload();
	await page.answers(1);
	assert.equal((await page.words('.message.assistant .prose'))[0], 'so far');
});

test('a stream that is cut, an error in it, one before it, no JSON: each is told, what came stays, another try works', { skip }, async (t) => {
	const page = await visit(t);
	let cut;
	const cases = [
		[(_q, r) => (r.writeHead(200, { 'Content-Type': 'text/event-stream' }), r.write(chunk({ content: 'half of' })), (cut = () => r.destroy())), 'the connection broke before the answer was whole', 'half of'],
		[(_q, r) => (r.writeHead(200, { 'Content-Type': 'text/event-stream' }), r.end(chunk({ content: 'half' }) + 'data: {"choices": [{"del')), 'the connection broke before the answer was whole', 'half'],
		[(_q, r) => (r.writeHead(200, { 'Content-Type': 'text/event-stream' }), r.end(chunk({ content: 'begun' }) + 'data: {"error": {"message": "the device is gone"}}\n\n')), 'the device is gone', 'begun'],
		[(_q, r) => (r.writeHead(200, { 'Content-Type': 'text/event-stream' }), r.end('data: {nonsense}\n\n')), 'a piece of the answer is not JSON', undefined],
		[(_q, r) => (r.writeHead(503, { 'Content-Type': 'application/json' }), r.end('{"error": {"message": "too many wait"}}')), 'too many wait', undefined],
		[(_q, r) => r.destroy(), 'the server cannot be reached', undefined],
	];
	await page.say('Say it.');
	await page.answers(1);
	for (const [i, [answer, message, text]] of cases.entries()) {
		front.answers['POST /v1/chat/completions'] = answer;
		await page.getByRole('button', { name: 'Another answer' }).click();
		if (text === 'half of') await page.getByText(text).waitFor();
		cut?.();
		cut = undefined;
		await page.getByText(`${i + 2}/${i + 2}`).waitFor();
		assert.deepEqual(await page.words('.error'), [message]);
		assert.deepEqual(await page.words('.message.assistant .prose'), text ? [text] : []);
	}
	front.answers = {};
	await page.getByRole('button', { name: 'Another answer' }).click();
	await page.getByText(`${cases.length + 2}/${cases.length + 2}`).waitFor();
	await page.answers(1);
	assert.equal(await page.locator('.error').count(), 0);
	// What the server itself refuses: more than the context has.
	await page.say('word '.repeat(2000));
	await page.locator('.error', { hasText: '512' }).waitFor();
	await page.answers(2);
});

test('events in pieces of any size, with CRLF: the same text', { skip }, async (t) => {
	const page = await visit(t);
	front.answers['POST /v1/chat/completions'] = async (_request, response) => {
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		const bytes = Buffer.from(`: hello\r\n\r\n${chunk({ content: 'snø ☂ and ' }).replaceAll('\n', '\r\n')}${chunk({ content: 'näve 雨' })}data:[DONE]\n\n`);
		for (const byte of bytes) if (!response.write(Buffer.of(byte))) await within(new Promise((resolve) => response.once('drain', resolve)), 'the page to read on');
		response.end();
	};
	await page.say('Say it.');
	await page.answers(1);
	assert.deepEqual(await page.words('.message.assistant .prose'), ['snø ☂ and näve 雨']);
});

test('what is nested without an end, or broken off anywhere, is shown as it is', { skip }, async (t) => {
	const page = await visit(t);
	const deep = [['> ', 300], ['- ', 300], ['[', 2000], ['*a **b ', 300], ['> ', 6000], ['`x', 5001]].map(([text, n]) => `${text.repeat(n)}END`);
	for (const [i, text] of deep.entries()) {
		front.answers['POST /v1/chat/completions'] = streamed([{ content: text }]);
		await page.say(`Nest ${i}.`);
		await page.answers(i + 1);
		assert.ok((await page.words('.message.assistant')).at(-1).includes('END'), text.slice(0, 10));
	}
	assert.ok((await page.locator('blockquote').count()) < 100, 'too deep');
	const whole = '# a\n\n**b** `c` [d](https://e.example) ~~f~~\n\n- [ ] g\n  1. h\n\n| i | j |\n|---|:-:|\n| k | l |\n\n> m\n\n```c\nint n;\n```\n';
	let write;
	front.answers['POST /v1/chat/completions'] = (_request, response) => {
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		write = (text) => response.write(chunk({ content: text }));
		write('');
	};
	await page.say('Slowly.');
	await page.locator('.message.live').waitFor();
	for (const character of whole) write(character);
	await page.locator('.message.live .code .hl-type').waitFor();
	await page.keyboard.press('Escape');
	await page.answers(deep.length + 1);
	assert.deepEqual(await page.locator('.message').last().locator('h3, strong, code, a, del, input, ol, th, blockquote').evaluateAll((all) => all.map((one) => one.tagName).join()), 'H3,STRONG,CODE,A,DEL,INPUT,OL,TH,TH,BLOCKQUOTE,CODE');
});

test('thinking is folded; calls are shown, and their results go back', { skip }, async (t) => {
	const page = await visit(t);
	const call = (id, name, text) => ({ tool_calls: [{ index: id, id: `call-${id}`, type: 'function', function: { name, arguments: text } }] });
	front.answers['POST /v1/chat/completions'] = streamed(
		[{ reasoning_content: 'It wants ' }, { reasoning_content: 'the weather.' }, call(0, 'weather', '{"city":'), { tool_calls: [{ index: 0, function: { arguments: '"Kyoto"}' } }] }, call(1, 'time', '{}')],
		'tool_calls',
	);
	await page.getByRole('button', { name: 'Settings' }).click();
	await page.getByLabel('Tools').fill('[{"name": "weather", "parameters": {"type": "object"}}]');
	await page.keyboard.press('Escape');
	await page.say('How is the weather?');
	await page.answers(1);
	assert.deepEqual(front.chats()[0].tools, [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }]);
	assert.equal(await page.locator('.thinking .prose').isVisible(), false);
	await page.locator('.thinking summary').click();
	assert.equal(await page.locator('.thinking .prose').innerText(), 'It wants the weather.');
	assert.deepEqual(await page.words('.call code'), ['weather', '{\n  "city": "Kyoto"\n}', 'time', '{}']);
	front.answers['POST /v1/chat/completions'] = streamed([{ content: 'It rains.' }]);
	await page.getByLabel('Result of weather').fill('rain');
	await page.getByLabel('Result of time').fill('noon');
	await page.getByRole('button', { name: 'Send the results' }).click();
	await page.answers(2);
	assert.deepEqual(front.chats()[1].messages.slice(1), [
		{ role: 'assistant', content: '', reasoning_content: 'It wants the weather.', tool_calls: [{ id: 'call-0', type: 'function', function: { name: 'weather', arguments: '{"city":"Kyoto"}' } }, { id: 'call-1', type: 'function', function: { name: 'time', arguments: '{}' } }] },
		{ role: 'tool', content: 'rain', tool_call_id: 'call-0', name: 'weather' },
		{ role: 'tool', content: 'noon', tool_call_id: 'call-1', name: 'time' },
	]);
});

test('export, delete, undo, import; a list of messages; files that are none', { skip }, async (t) => {
	const page = await visit(t);
	await page.say('Write a haiku about autumn rain.');
	await page.answers(1);
	const said = (await page.words('.message .prose, .message .as-is')).join();
	const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export all' }).click()]);
	const file = readFileSync(await download.path(), 'utf8');
	assert.equal(JSON.parse(file).format, 'hokku-conversations');
	await page.getByRole('button', { name: 'Settings' }).click();
	const [written] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export as Markdown' }).click()]);
	assert.match(readFileSync(await written.path(), 'utf8'), /^# Write a haiku about autumn rain\.\n\n## You\n\nWrite a haiku about autumn rain\.\n\n## haiku\n\n\S/);
	assert.equal(written.suggestedFilename(), 'write-a-haiku-about-autumn-rain.md');
	await page.keyboard.press('Escape');
	const titles = page.locator('.sidebar .open');
	await page.locator('.sidebar .row').hover();
	await page.getByRole('button', { name: /^Delete/ }).click();
	await page.getByText('No conversation yet.').waitFor();
	await page.getByRole('button', { name: 'Undo' }).click();
	await page.locator('.message.assistant').waitFor();
	assert.equal(await titles.count(), 1);
	const bring = (text) => page.locator('input[type=file]').setInputFiles({ name: 'file.json', mimeType: 'application/json', buffer: Buffer.from(text) });
	await bring(file); // beside the one that is here
	await page.getByText('One conversation was imported.').waitFor();
	assert.equal(await titles.count(), 2);
	assert.equal((await page.words('.message .prose, .message .as-is')).join(), said);
	await bring(JSON.stringify([{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'A list?' }, { role: 'assistant', content: [{ type: 'text', text: 'A list.' }] }]));
	await page.getByText('A list.', { exact: true }).waitFor();
	assert.equal(await titles.count(), 3);
	for (const [text, message] of [
		['{', 'the file is not JSON'],
		['{}', 'neither an export of this page'],
		['[1]', 'not one of messages'],
		['{"format": "hokku-conversations", "conversations": [{"id": "x"}, 5, null]}', 'no conversation in it'],
	]) {
		await bring(text);
		await page.locator('.notice', { hasText: message }).waitFor();
	}
	// Parents in a circle, a leaf that is not there, names of what every object has.
	const circle = { id: 'circle', title: 'circle', messages: { a: { role: 'user', content: 'first', parent: 'b' }, b: { role: 'user', content: 'second', parent: 'a' }, constructor: { role: 'user', content: 'third', parent: 'toString' }, __proto__: { role: 'user', content: 'no' } }, leaf: 'b' };
	const astray = { id: 'astray', title: 'astray', messages: { c: { role: 'user', content: 'alone', parent: 'nobody' } }, leaf: 'valueOf' };
	await bring(JSON.stringify({ format: 'hokku-conversations', conversations: [circle, astray] }).replace('"constructor"', '"__proto__": {"role": "user", "content": "no"}, "constructor"'));
	await page.locator('.sidebar .open', { hasText: 'circle' }).waitFor();
	assert.deepEqual(await page.words('.message .as-is'), ['first', 'second']);
	await page.locator('.sidebar .open', { hasText: 'astray' }).click();
	await page.getByText('alone').waitFor();
	await page.getByLabel('Find a conversation').fill('second');
	await until(async () => (await titles.count()) === 1, 20000, 'what the search leaves'); // it reads what is kept
	assert.deepEqual(await titles.allInnerTexts(), ['circle']);
	await page.kept();
	await page.reload();
	await page.locator('.sidebar .open').nth(4).waitFor();
});

// What each field of everybody else's tries.
const attacks = [
	'<script>window.struck=1</script>',
	'<img src=x onerror="window.struck=1">',
	'<svg onload="window.struck=1"><animate onbegin="window.struck=1" attributeName="x"/></svg>',
	'[a](javascript:window.struck=1) [b](JaVaScRiPt&colon;window.struck=1) [c](java&#x0A;script:window.struck=1) [d](&#x01;javascript:window.struck=1)',
	'<javascript:window.struck=1> [e](data:text/html,<script>window.struck=1</script>) [f](vbscript:x) [g](https://[bad)',
	'![p](x" onerror="window.struck=1) ![q](https://elsewhere.example/pixel.png) [h](https://elsewhere.example/" onclick="window.struck=1)',
	'<iframe srcdoc="<script>parent.struck=1</script>"></iframe><base href="https://elsewhere.example/"><meta http-equiv="refresh" content="0;url=https://elsewhere.example/"><style>*{display:none}</style>',
	'```html" onmouseover="window.struck=1\n<img src=x onerror=window.struck=1></code></pre><script>window.struck=1</script>\n```',
	'`<b onclick=window.struck=1>` **<u>** | <i> |\n|-|-|\n| <math><a xlink:href="javascript:window.struck=1">x</a></math> | </td></table><script>window.struck=1</script> |',
	'"><input autofocus onfocus="window.struck=1">\'-window.struck=1-\'{{constructor.constructor("window.struck=1")()}}${window.struck=1}',
	'\u202e\u0000\ud800<a href="javascript:window.struck=1" id=write name=location>x</a>',
];
const all = attacks.join('\n\n');

test('no HTML of anybody reaches the page: models, titles, prompts, thinking, calls, errors, files, metrics', { skip }, async (t) => {
	const page = await open(t);
	const name = attacks.slice(0, 3).join('');
	const file = {
		format: 'hokku-conversations',
		conversations: [{ id: 'struck', title: all.slice(0, 200), system: all, model: name, settings: { tools: all, effort: all, stop: [all] }, messages: { m: { role: 'user', content: all, parent: null }, n: { role: 'assistant', content: all, reasoning: all, parent: 'm', model: name, finish: all, error: all, calls: [{ id: all, name: all, arguments: all }] }, o: { role: 'tool', content: all, parent: 'n', name: all, callId: all }, p: { role: 'assistant', content: all, parent: 'o', tokens: '<b>', finish: 'stop' } }, leaf: 'p' }],
	};
	front.answers['GET /v1/models'] = (_q, r) => r.end(JSON.stringify({ object: 'list', data: [{ id: name, max_model_len: 512 }, { id: attacks[9] }, { id: 5 }, null] }));
	front.answers['GET /health'] = (_q, r) => r.end(JSON.stringify({ status: 'unhealthy', message: all, model: all, queue: { running: 1, parallel: 4, queued: 2 }, resident_bytes: { [attacks[1]]: 5, kv: 5, bad: '<b>' } }));
	front.answers['POST /tokenize'] = (_q, r) => r.end('{"tokens": [1, 2]}');
	front.answers['POST /v1/chat/completions/input_tokens'] = (_q, r) => r.end('{"input_tokens": 100}');
	front.answers['GET /metrics'] = (_q, r) => r.end(`# HELP hokku_running_requests ${attacks[1]}\n# TYPE hokku_running_requests gauge\nhokku_running_requests{model="${attacks[0]}",key="\\"><img src=x onerror=window.struck=1>"} 1\n${attacks.join('\n')}\n`);
	await page.visit();
	await page.locator('.model').waitFor();
	front.answers['POST /v1/chat/completions'] = streamed([{ reasoning_content: all }, { content: all }, { tool_calls: [{ index: 0, id: all, function: { name: all, arguments: all } }] }]);
	await page.say(all);
	await page.answers(1);
	front.answers['POST /v1/chat/completions'] = (_q, r) => (r.writeHead(500), r.end(JSON.stringify({ error: { message: all } })));
	await page.say(all);
	await page.answers(2);
	await page.locator('input[type=file]').setInputFiles({ name: `${attacks[1]}.json`.replaceAll('/', ''), mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
	await page.locator('.message.tool').waitFor();
	for (const summary of await page.locator('.thinking summary').all()) await summary.click();
	await page.locator('.context-bar').click();
	const sound = async (where) => {
		const found = await page.evaluate(() => ({
			struck: window.struck,
			elements: [...document.querySelectorAll('script:not(body > script[type=module]), style:not(head > style), iframe, object, embed, base, meta[http-equiv], img, math, link:not([rel=icon]), form[action], animate')].map((one) => one.outerHTML.slice(0, 200)),
			handlers: [...document.querySelectorAll('*')].flatMap((one) => [...one.attributes]).filter((a) => /^on/.test(a.name) || /javascript:|vbscript:/i.test(a.value) && ['href', 'src', 'action', 'formaction', 'xlink:href'].includes(a.name)).map((a) => `${a.name}=${a.value}`),
			links: [...document.querySelectorAll('a[href]')].map((a) => [a.protocol, a.target, a.rel]),
			ids: document.querySelectorAll('#write').length,
		}));
		assert.deepEqual([found.struck, found.elements, found.handlers], [undefined, [], []], where);
		for (const [protocol, , rel] of found.links) assert.ok(protocol === 'http:' || (protocol === 'https:' && rel.includes('noopener')), `${where}: ${protocol}`);
		assert.ok(found.ids <= 1);
	};
	await sound('a conversation');
	assert.ok((await page.locator('.message.assistant').first().innerText()).includes('<img src=x onerror="window.struck=1">'), 'it is shown as the text that it is');
	await page.getByRole('button', { name: 'Settings' }).click();
	await sound('settings');
	await page.keyboard.press('Escape');
	await page.keyboard.press('Alt+o');
	await page.locator('.everything summary').click();
	await page.getByText('hokku_running_requests{model=').waitFor();
	await sound('operators');
	await page.goto(`${front.url}#/c/${encodeURIComponent(attacks[1])}`);
	await sound('an address');
	assert.deepEqual(page.faults, []);
	// And behind all that, the policy.
	const tried = await within(page.evaluate(async (url) => {
		const out = {};
		const attempt = (name, act) => {
			try {
				act();
				out[name] = 'done';
			} catch (error) {
				out[name] = error.name;
			}
		};
		attempt('innerHTML', () => (document.body.innerHTML = '<b>x</b>'));
		const blocked = [];
		document.addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
		out.fetch = await fetch(url).then(() => 'done', (error) => error.name);
		const script = document.createElement('script');
		attempt('script', () => (script.text = 'window.struck=1'));
		const image = new Image();
		await new Promise((resolve) => {
			image.onload = image.onerror = resolve;
			image.src = url;
		});
		out.blocked = blocked.filter((one) => !/trusted/.test(one)).sort();
		return out;
	}, 'https://elsewhere.example/'), 'what is blocked to be blocked');
	assert.deepEqual(tried, { innerHTML: 'TypeError', fetch: 'TypeError', script: 'TypeError', blocked: ['connect-src', 'img-src'] });
	page.faults.length = 0; // of what was blocked just now
});

test('contrast, names and roles, in both colours; 360 pixels are wide enough', { skip }, async (t) => {
	for (const [scheme, width] of [['light', 360], ['dark', 1200]]) {
		const page = await open(t, { scheme, width });
		const what = `${scheme}, ${width}`;
		front.answers['POST /v1/chat/completions'] = streamed(
			[{ reasoning_content: 'thought' }, { content: `# A title\n\n${'a_word_without_an_end_'.repeat(20)}\n\n- [x] done\n- [ ] not\n\n> said\n\n[a link](https://a.example) \`code\`\n\n| a | b |\n|--|--|\n${'| long cell '.repeat(2)}|\n\n\`\`\`c\n/* a comment */ int main(void) { return 42 + f("text ${'x'.repeat(200)}"); } // 1\n#define X\n\`\`\`\n` }, { tool_calls: [{ index: 0, id: 'a', function: { name: 'tool', arguments: '{"a": 1, "b": null}' } }] }],
			'tool_calls',
		);
		await page.visit();
		await page.locator('.welcome li button:not([disabled])').first().waitFor();
		await judge(page, `${what}, at the beginning`);
		await page.say('Hello.');
		await page.answers(1);
		await page.locator('.thinking summary').click();
		await page.locator('.track .piece').first().waitFor();
		await page.locator('.context-bar').click();
		await judge(page, `${what}, a conversation`);
		await fits(page);
		await page.locator('.context-bar').click();
		front.answers['POST /v1/chat/completions'] = (_q, r) => (r.writeHead(500), r.end('{"error": {"message": "no more"}}'));
		await page.getByRole('button', { name: 'Another answer' }).click();
		await page.locator('.error').waitFor();
		await page.answers(1);
		await judge(page, `${what}, an error`);
		if (width < 500) {
			await page.getByRole('button', { name: 'Show the conversations' }).click();
			await page.locator('.close-menu:focus').waitFor();
			await judge(page, `${what}, the menu`);
			await fits(page);
			await page.keyboard.press('Escape');
			await page.locator('.menu-button:focus').waitFor();
		}
		await page.getByRole('button', { name: 'Settings' }).click();
		await page.getByLabel('Top P', { exact: true }).fill('7');
		await judge(page, `${what}, settings`);
		await fits(page);
		await page.keyboard.press('Escape');
		await page.keyboard.press('Alt+o');
		await page.locator('.plot canvas').first().waitFor();
		await judge(page, `${what}, operators`);
		await fits(page);
		await page.context().close();
	}
});

test('several windows know of one another; what a closed page left is told; models that are not loaded are not asked to count', { skip }, async (t) => {
	const page = await visit(t);
	const other = await page.context().newPage();
	await other.goto(front.url);
	await other.locator('.model').waitFor();
	await page.bringToFront();
	front.answers['POST /v1/chat/completions'] = (_request, response) => {
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		response.write(chunk({ content: 'as far as it came' }));
	};
	await page.say('Seen by both?');
	await page.getByText('as far as it came').waitFor();
	await other.locator('.sidebar .open', { hasText: 'Seen by both?' }).waitFor();
	await page.kept();
	await page.reload();
	await page.locator('.error', { hasText: 'the page was closed before the answer ended' }).waitFor();
	assert.deepEqual(await page.words('.message.assistant .prose'), ['as far as it came']);
	await page.locator('.sidebar .row').hover();
	await page.getByRole('button', { name: /^Delete/ }).click();
	await other.getByText('No conversation yet.').waitFor();
	front.answers['GET /v1/models'] = (_q, r) => r.end(JSON.stringify({ data: [{ id: 'big', max_model_len: 512, state: 'unloaded' }, { id: 'haiku', max_model_len: 512, state: 'loaded' }] }));
	front.answers['POST /v1/chat/completions'] = streamed([{ content: 'here' }]);
	await page.reload();
	await page.locator('.model').waitFor();
	assert.deepEqual(await page.locator('.model option').allInnerTexts(), ['big (unloaded)', 'haiku']);
	front.asked.length = 0;
	await page.say('Who is there?');
	await page.answers(1);
	assert.equal(front.chats()[0].model, 'big');
	const looks = () => front.asked.filter((one) => one.name === 'GET /health').length;
	const n = looks();
	await until(() => looks() > n + 1, 20000, 'two looks at /health, which are further apart than what counts waits');
	assert.deepEqual(front.asked.filter((one) => /tokenize|input_tokens/.test(one.name)), []);
	front.answers['GET /health'] = (_q, r) => r.end(JSON.stringify({ status: 'ok', models: [{ model: 'big', state: 'loading', progress: 0.25, bytes: 3 << 20 }, { model: 'haiku', state: 'loaded', bytes: 1 << 20 }, { model: 'x', state: 'unloaded', needs_bytes: 9 }, 5, null], memory: [{ place: 'host', limit_bytes: 16 << 20, used_bytes: 4 << 20 }], queue: { running: 0, parallel: 8, queued: 0 } }));
	await page.getByText('big is being loaded: 25%').waitFor();
	assert.equal(await page.locator('.memory .track').getAttribute('aria-label'), 'Memory: big 3.0 MiB, haiku 1.0 MiB');
	assert.match(await page.locator('.memory p').innerText(), /4.0 MiB of 16 MiB/);
	assert.deepEqual(await page.locator('.model option').allInnerTexts(), ['big (loading)', 'haiku']);
	await page.getByLabel('Model').selectOption('haiku');
	await page.locator('.track .piece').first().waitFor();
	await page.say('And now?');
	await page.answers(2);
	assert.equal(front.chats()[1].model, 'haiku');
});

test('the colours are chosen, and kept; where a browser keeps nothing it says so', { skip }, async (t) => {
	const page = await visit(t, { scheme: 'dark' });
	const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const dark = await ground();
	await page.keyboard.press('Alt+t');
	await page.waitForFunction(() => document.documentElement.dataset.theme === 'light');
	assert.notEqual(await ground(), dark);
	await page.reload();
	await page.locator('.model').waitFor();
	assert.notEqual(await ground(), dark);
	await page.addInitScript(() => Object.defineProperty(window, 'indexedDB', { value: undefined }));
	await page.reload();
	await page.getByText('This browser keeps nothing here: conversations end with this page.').waitFor();
	await page.locator('.model').waitFor();
	await page.say('Write a haiku about autumn rain.');
	await page.answers(1);
});

test('everything with the keyboard alone', { skip }, async (t) => {
	const page = await visit(t);
	const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') || document.activeElement?.innerText || document.activeElement?.tagName);
	const tabTo = async (label, step = 'Tab') => {
		for (let i = 0; i < 40; i++) {
			if ((await focused()) === label) {
				const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
				assert.notEqual(ring, 'none', `${label} shows no focus`);
				return;
			}
			await page.keyboard.press(step);
		}
		assert.fail(`Tab does not lead to ${label}`);
	};
	await page.locator('#write:focus').waitFor(); // one can write at once
	await page.keyboard.type('Write a haiku about autumn rain.');
	await page.keyboard.press('Shift+Enter');
	await page.keyboard.type('Now.');
	await page.keyboard.press('Enter');
	await page.answers(1);
	assert.equal(front.chats()[0].messages[0].content, 'Write a haiku about autumn rain.\nNow.');
	await page.keyboard.press('Alt+ArrowUp');
	assert.equal(await focused(), 'haiku');
	await page.keyboard.press('Alt+ArrowUp');
	assert.equal(await focused(), 'You');
	await tabTo('Edit as a new branch');
	await page.keyboard.press('Enter');
	await page.locator('.editor textarea:focus').waitFor();
	await page.keyboard.press('Escape');
	await page.locator('.message.user:focus').waitFor();
	await tabTo('Edit as a new branch');
	await page.keyboard.press('Enter');
	await page.locator('.editor textarea:focus').waitFor();
	await page.keyboard.type(' Soon.');
	await page.keyboard.press('Control+Enter');
	await page.locator('.message.user').getByText('2/2').waitFor();
	await page.answers(1);
	await page.keyboard.press('Alt+ArrowUp');
	await page.keyboard.press('Alt+ArrowUp');
	await tabTo('Branch before');
	await page.keyboard.press('Enter');
	await page.getByText('1/2').waitFor();
	await page.locator('.scroller').focus();
	await page.keyboard.press('?');
	await page.getByRole('dialog', { name: 'Keys' }).waitFor();
	await page.keyboard.press('Escape');
	await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'detached' });
	await page.locator('.scroller:focus').waitFor(); // where it was
	await tabTo('Settings', 'Shift+Tab');
	await page.keyboard.press('Enter');
	await page.getByRole('dialog', { name: 'Settings' }).waitFor();
	for (let i = 0; i < 40; i++) {
		await page.keyboard.press('Tab');
		assert.ok(await page.evaluate(() => document.activeElement === document.body || !!document.activeElement.closest('dialog')), 'the focus left the dialog');
	}
	await page.keyboard.press('Escape');
	await page.getByRole('dialog').waitFor({ state: 'detached' });
	front.answers['POST /v1/chat/completions'] = (_request, response) => {
		response.writeHead(200, { 'Content-Type': 'text/event-stream' });
		response.write(chunk({ content: 'on and on' }));
	};
	await page.keyboard.press('Alt+n');
	await page.locator('#write:focus').waitFor();
	await page.keyboard.type('Go on.');
	await page.keyboard.press('Enter');
	await page.getByText('on and on').waitFor();
	await page.keyboard.press('Escape');
	await page.answers(1);
	assert.match(await page.locator('.figures').innerText(), /stopped$/);
});

test('the operators’ view: what /metrics has is drawn, what it lacks is said, /health stands in for it', { skip }, async (t) => {
	const page = await open(t, { hash: '#/operators' });
	await page.visit();
	await page.getByRole('heading', { name: 'To the first token' }).waitFor();
	await fetch(`${server.url}/v1/generate`, { method: 'POST', headers: { Authorization: `Bearer ${key}` }, body: JSON.stringify({ messages: [{ role: 'user', content: 'Write a haiku about autumn rain.' }], stream: false }) });
	await page.waitForFunction(() => /^To the first token: [1-9]\d* counted, p50/.test(document.querySelector('.plot[aria-label^="To the first token"]')?.getAttribute('aria-label') ?? ''));
	assert.ok((await page.locator('.plot canvas').count()) >= 10);
	// A made-up server whose numbers are known.
	const made = (steps) => ['# TYPE hokku_running_requests gauge', 'hokku_running_requests{model="a"} 3', 'hokku_running_requests{model="b \\"quoted\\", with } and ,"} 4', '# TYPE hokku_kv_blocks gauge', 'hokku_kv_blocks 200', '# TYPE hokku_kv_held_blocks gauge', 'hokku_kv_held_blocks 50', '# TYPE hokku_steps_total counter', `hokku_steps_total ${steps}`, '# TYPE hokku_time_to_first_token_seconds histogram', ...[['0.1', 10], ['1', 90], ['+Inf', 100]].map(([le, n]) => `hokku_time_to_first_token_seconds_bucket{le="${le}"} ${n}`), 'hokku_time_to_first_token_seconds_sum 50', 'hokku_time_to_first_token_seconds_count 100', 'nonsense', '{} 1', 'x NaN 5', ''].join('\n');
	let steps = 1000;
	front.answers['GET /metrics'] = (_q, r) => r.end(made((steps += 10)));
	await page.reload();
	await page.locator('.tile dd', { hasText: /^7/ }).waitFor();
	assert.match(await page.locator('.tile', { hasText: 'KV memory' }).innerText(), /25%/);
	assert.match(await page.locator('.tile', { hasText: 'waiting' }).innerText(), /–/);
	assert.equal(await page.locator('.plot[aria-label^="To the first token"]').getAttribute('aria-label'), 'To the first token: 100 counted, p50 550 ms, p95 1.0 s, p99 1.0 s');
	assert.equal(await page.locator('.chart', { hasText: 'The device' }).locator('.lack').innerText(), 'This server does not tell it.');
	await page.getByRole('button', { name: 'The last minute' }).click();
	await page.getByText('Nothing in the last minute.').first().waitFor();
	front.answers['GET /metrics'] = (_q, r) => (r.writeHead(404), r.end('{"error": {"message": "no"}}'));
	await page.reload();
	await page.getByText('This server has no /metrics').waitFor();
	await page.locator('.plot[aria-label^="Requests"]').waitFor();
	front.answers['GET /metrics'] = (_q, r) => (r.writeHead(500), r.end('{"error": {"message": "it is broken"}}'));
	await page.reload();
	await page.getByText('/metrics cannot be read: it is broken.').waitFor();
});

test('before the model is loaded it says so, and goes on by itself; the same when the server is away', { skip }, async (t) => {
	const page = await open(t);
	const loading = (_q, r) => (r.writeHead(503), r.end('{"status": "loading", "progress": 0.42, "error": {"message": "the model is still being loaded"}}'));
	front.answers['GET /health'] = front.answers['GET /v1/models'] = loading;
	await page.visit();
	await page.getByText('The model is being loaded: 42%').waitFor();
	front.answers = {};
	await page.locator('.model').waitFor();
	for (const path of ['llm', 'llm/']) {
		await page.goto(front.url + path);
		await page.locator('.model').waitFor();
	}
	front.answers['GET /health'] = (_q, r) => r.destroy();
	await page.getByText('The server cannot be reached.').waitFor();
	front.answers = {};
	await page.getByText('The server cannot be reached.').waitFor({ state: 'detached' });
});
