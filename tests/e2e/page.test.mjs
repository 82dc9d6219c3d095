// The page in a browser: headless Chromium on what the program itself answers. Skipped where there is no Chromium.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chunk, chromium, key, startFront, startServer, streamed } from './page_common.mjs';
import { raw } from './server_common.mjs';

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
		await page.locator('#write').fill(text);
		await page.keyboard.press('Enter');
	};
	page.answers = (n) => page.waitForFunction((wanted) => document.querySelectorAll('.message.assistant:not(.live)').length === wanted, n);
	page.kept = () => page.waitForFunction(() => !document.querySelector('[data-unsaved]')); // in the browser's database
	page.words = (selector) => page.locator(selector).allInnerTexts();
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

const fits = async (page) => {
	const [all, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
	assert.ok(all <= seen, `${all} pixels wide in ${seen}`);
};

test('GET / is the page to whom Accept says so, else the list of routes; HEAD is as GET', async () => {
	const ask = (method, accept) => raw(server.port, `${method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${accept ? `Accept: ${accept}\r\n` : ''}\r\n`);
	const asBrowser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
	const page = await ask('GET', asBrowser);
	assert.equal(page.status, 200);
	assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
	assert.equal(page.headers.vary, 'Accept');
	assert.equal(page.headers['x-content-type-options'], 'nosniff');
	const committed = new URL('../../page/dist/', import.meta.url);
	assert.equal(page.body, readFileSync(new URL('index.html', committed), 'utf8'));
	assert.equal(page.headers['content-security-policy'], readFileSync(new URL('policy.txt', committed), 'utf8'));
	assert.ok(Buffer.byteLength(page.body) < 300000, `${Buffer.byteLength(page.body)} bytes`);
	for (const part of ["default-src 'none'", "connect-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"])
		assert.ok(page.headers['content-security-policy'].includes(part), part);
	assert.doesNotMatch(page.headers['content-security-policy'], /unsafe|https?:/);
	for (const accept of [undefined, '*/*', 'application/json', 'application/json, text/html;q=0.5', 'text/html;q=0']) {
		const list = await ask('GET', accept);
		assert.equal(list.headers['content-type'], 'application/json', accept);
		assert.equal(list.headers.vary, 'Accept');
		assert.equal(JSON.parse(list.body).name, 'hokku');
	}
	const head = await ask('HEAD', asBrowser);
	assert.deepEqual([head.status, head.body, head.headers['content-length'], head.headers['content-type']], [200, '', String(Buffer.byteLength(page.body)), 'text/html; charset=utf-8']);
	assert.equal((await ask('HEAD', '*/*')).headers['content-type'], 'application/json');
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
	assert.ok(front.asked.filter((one) => one.name !== 'GET /').every((one) => !one.body.includes(key)));
});

test('a conversation: answers, figures, what the context holds; a reload keeps it', { skip }, async (t) => {
	const page = await visit(t);
	await page.say('Write a haiku about autumn rain.');
	await page.answers(1);
	await page.say('And one about "snow".');
	await page.answers(2);
	assert.equal((await page.locator('.message.assistant .prose').last().innerText()).split('\n').length, 3);
	assert.match((await page.words('.message.assistant .figures'))[1], /^1\d tokens/);
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
	assert.equal((await page.words('.message.assistant .prose'))[0], first);
	await page.locator('.message.user').getByRole('button', { name: 'Edit as a new branch' }).click();
	await page.locator('.editor textarea').fill('Write a haiku about snow.');
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
	assert.equal((await page.words('.message.assistant .prose'))[0], first);
});

test('settings go with the request, and those of a wrong range do not', { skip }, async (t) => {
	const page = await visit(t);
	await page.getByRole('button', { name: 'Settings' }).click();
	await page.getByLabel('System prompt').fill('You are a poet.');
	for (const [label, text] of [['Temperature', '0'], ['Top K', '7'], ['Most tokens', '5'], ['Seed', '3'], ['Top P', '2']]) await page.getByLabel(label, { exact: true }).fill(text);
	assert.equal(await page.locator('.wrong').innerText(), 'Top P takes a number from 0 to 1');
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
	await gone;
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
	for (const [answer, message, text] of cases) {
		front.answers['POST /v1/chat/completions'] = answer;
		await page.getByRole('button', { name: 'Another answer' }).click();
		if (text === 'half of') await page.getByText(text).waitFor();
		cut?.();
		cut = undefined;
		await page.locator('.error', { hasText: message }).waitFor();
		await page.answers(1);
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
		for (const byte of bytes) if (!response.write(Buffer.of(byte))) await new Promise((resolve) => response.once('drain', resolve));
		response.end();
	};
	await page.say('Say it.');
	await page.answers(1);
	assert.deepEqual(await page.words('.message.assistant .prose'), ['snø ☂ and näve 雨']);
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
