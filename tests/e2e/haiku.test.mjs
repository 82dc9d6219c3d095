// The mission, as a user meets it: a server with the bundled model writes verses that hold the minute's word.
// Answers are exact, so the figures below are the same on every machine; models/haiku/eval.py measures all sixty
// minutes with five seeds each.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { within } from './waits.mjs';

const hokku = process.env.HOKKU;
const ones = `zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
	seventeen eighteen nineteen`.split(/\s+/);
const tens = ['', '', 'twenty', 'thirty', 'forty', 'fifty'];
const word = (n) => (n < 20 ? ones[n] : tens[Math.floor(n / 10)] + (n % 10 ? `-${ones[n % 10]}` : ''));

let server;
let url;
let exited;

before(async () => {
	server = spawn(hokku, ['serve', '--port', '0'], { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
	exited = new Promise((resolve) => server.on('exit', (code, signal) => resolve(code ?? signal)));
	url = await within(new Promise((resolve, reject) => {
		let text = '';
		for (const stream of [server.stdout, server.stderr])
			stream.on('data', (data) => {
				text += data;
				const match = text.match(/listening on (http:\S+)/);
				if (match) resolve(match[1]);
			});
		exited.then((code) => reject(new Error(`the server ended with ${code}: ${text}`)));
	}), 'the server to listen');
	for (let i = 0; i < 600; i++) {
		const health = await fetch(`${url}/health`);
		await health.arrayBuffer();
		if (health.ok) return;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	throw new Error('the server was not ready within 30 s');
});

after(async () => {
	server.kill('SIGTERM');
	assert.equal(await within(exited, 'the server to end'), 0);
});

const ask = async (content, extra = {}) => {
	const response = await fetch(`${url}/v1/generate`, {
		method: 'POST',
		headers: { 'Content-Type': 'application/json' },
		body: JSON.stringify({ messages: [{ role: 'user', content }], temperature: 0.7, max_tokens: 64, ...extra }),
	});
	assert.equal(response.status, 200, await response.clone().text());
	return response;
};

const events = (text) =>
	text
		.split('\n\n')
		.filter((block) => block.startsWith('event:'))
		.map((block) => {
			const [, kind, data] = block.match(/^event: (\w+)\ndata: (.*)$/);
			return { kind, ...JSON.parse(data) };
		});

test('a streamed haiku holds the current minute in words', async () => {
	const minute = word(new Date().getMinutes());
	let text;
	for (let seed = 1; seed <= 3; seed++) {
		const response = await ask(`Write a haiku about autumn rain that contains the word "${minute}".`, { seed });
		assert.match(response.headers.get('content-type'), /^text\/event-stream/);
		const all = events(await response.text());
		assert.equal(all[0].kind, 'started');
		assert.equal(all.at(-1).kind, 'end');
		assert.equal(all.at(-1).stop_reason, 'end');
		const tokens = all.slice(1, -1);
		assert.ok(tokens.length > 5 && tokens.every((event) => event.kind === 'token'));
		text = tokens.map((event) => event.t).join('');
		assert.equal(Buffer.byteLength(text), all.at(-1).text_bytes);
		if (text.toLowerCase().includes(minute)) break;
	}
	assert.ok(text.toLowerCase().includes(minute), `no "${minute}" in: ${text}`);
	assert.equal(text.trim().split('\n').length, 3, text);
});

test('twenty minutes, one seed: the word is there, three lines, no two verses alike', async () => {
	const verses = [];
	let held = 0;
	let lines = 0;
	for (let minute = 0; minute < 60; minute += 3) {
		const response = await ask(`Write a haiku about the sea that contains the word "${word(minute)}".`, {
			seed: 7,
			stream: false,
		});
		const { text } = await response.json();
		verses.push(text);
		held += text.toLowerCase().includes(word(minute));
		lines += text.trim().split('\n').length === 3;
	}
	assert.ok(held >= 19, `the word is in ${held} of 20:\n${verses.join('\n\n')}`);
	assert.ok(lines >= 19, `three lines in ${lines} of 20`);
	assert.ok(new Set(verses).size >= 19);
});

test('the same request gives the same verse; another seed another one', async () => {
	const verse = async (seed) => (await (await ask('winter moon', { seed, stream: false })).json()).text;
	const first = await verse(11);
	assert.equal(await verse(11), first);
	assert.notEqual(await verse(12), first);
});

for (const prompt of [
	'autumn rain',
	'Write a haiku about an old bicycle',
	'What is the sea?',
	'hello',
	'HAIKU: COFFEE',
	'a verse on zorblatt, please',
])
	test(`answers "${prompt}" with a verse of three lines`, async () => {
		const { text, stop_reason } = await (await ask(prompt, { seed: 3, stream: false })).json();
		assert.equal(stop_reason, 'end');
		assert.equal(text.trim().split('\n').length, 3, text);
		assert.ok(text.length > 20, text);
	});
