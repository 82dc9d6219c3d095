// Grammars in llama.cpp's notation: llama.cpp reads the same ones, its own examples among them, and takes the same texts: such
// as hokku drew from its masks, and such texts changed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { absent, openJudge } from './judge.mjs';

const hokku = process.env.HOKKU ?? 'hokku';
const here = path.dirname(new URL(import.meta.url).pathname);
const bundled = path.join(here, '../../models/haiku/haiku.gguf');
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'hokku-gbnf-'));
after(() => fs.rmSync(scratch, { recursive: true }));

const item = '\nitem ::= "[" item* "]" | [a-c]\n';
const grammars = {
	alternatives: 'root ::= "a" | "b" "c" | ("d" | "") "e"',
	lines: '# c\nroot ::= # c\n  x |\n  y "z"\n\nx ::= (\n "1" # c\n | "2"\n)\r\ny ::= x x?',
	classes: 'root ::= [a-c] [^a-c\\n] [x-] [-x] [\\]\\[] [\\x41-\\x43] .',
	escapes: 'root ::= "\\x41\\u0042\\U00000043\\t\\\\\\"" [\\t\\\\"]',
	repeats: 'root ::= "ab"* [0-9]+ "c"? ("d" | "ef")*',
	counts: 'root ::= "a"{2} [b-c]{1,} "d"{0,2} ("e" "f"?){1,3} "g"{0}',
	nested: 'root ::= ((("a" | "b")+ ",")* ";"){1,2}',
	quantified: 'root ::= [a-c]{2}? ("x"+)? "y"{1,2}{2}',
	balanced: 'root ::= "(" root ")" | "x" | ""',
	mutual: 'root ::= a\na ::= "1" b | ""\nb ::= "2" a | "3"',
	lists: `root ::= item{2,3} ("," item)*${item}`,
	tail: `root ::= (item "," | ";"){1,3} item?${item}`,
	json: 'root ::= value\nvalue ::= object | string | "1"{1,3}\nobject ::= "{" (string ":" value ("," string ":" value)*)? "}"\n' +
		'string ::= "\\"" ([^"\\\\\\x00-\\x1F] | "\\\\" (["\\\\n] | "u" [0-9a-f]{4}))* "\\""',
};
const refused = ['root ::= "a', 'root ::= [a', 'root ::= x', 'root = "a"', 'root ::= ("a"', 'root ::= "a")', 'root ::= *', 'x ::= "a"', 'root ::= "\\q"',
	'root ::= "a"{', 'root ::= "a"{x}', 'root ::= "\\u12"', "root ::= 'a'", 'root ::= root "a" | "b"', 'root ::= "x"? a\na ::= "y"? root', ''];

// llama.cpp's own, out of the bundle of its sources that the package carries; they are read here and kept nowhere.
function examples() {
	const bundle = path.join(path.dirname(createRequire(import.meta.url).resolve('node-llama-cpp')), '../llama/gitRelease.bundle');
	const git = (...args) => {
		const r = spawnSync('git', ['-C', scratch, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
		assert.equal(r.status, 0, r.stderr);
		return r.stdout;
	};
	git('init', '-q');
	git('fetch', '-q', bundle, 'HEAD');
	const files = git('ls-tree', '--name-only', 'FETCH_HEAD', 'grammars/').split('\n').filter((name) => name.endsWith('.gbnf'));
	return Object.fromEntries(files.map((name) => [path.basename(name), git('show', `FETCH_HEAD:${name}`)]));
}

function batch(lines, ...args) {
	const file = path.join(scratch, 'batch.jsonl');
	fs.writeFileSync(file, lines.map((line) => JSON.stringify(line) + '\n').join(''));
	const r = spawnSync(hokku, ['constrain', '--vocab', 'bytes', '--batch', file, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
	return r.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

let state = 5n;
function below(n) {
	state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
	return Number((state >> 33n) % BigInt(n));
}
function changed(text) {
	const chars = [...text], at = below(chars.length + 1), other = [...'abcxy,;()[]{}"\\ 01:.\n'][below(21)];
	const kinds = [() => chars.splice(at, 1), () => chars.splice(at, 0, other), () => { chars[at] = other; }, () => chars.splice(at)];
	kinds[below(4)]();
	return chars.join('');
}

describe('grammars as llama.cpp reads them', { skip: absent }, () => {
	let llama, model, State;
	before(async () => {
		llama = await openJudge();
		model = await llama.loadModel({ modelPath: bundled });
		({ LlamaGrammarEvaluationState: State } = await import('node-llama-cpp'));
	});
	after(() => llama?.dispose());

	// true: the whole text; false: not. Texts are ASCII: a token a character.
	async function judged(grammar, texts) {
		const compiled = await llama.createGrammar({ grammar, trimWhitespaceSuffix: false });
		const token = new Map();
		const tokenOf = (c) => {
			if (!token.has(c)) token.set(c, model.tokenize(c, false));
			assert.equal(token.get(c).length, 1, `a token for ${JSON.stringify(c)}`);
			return token.get(c)[0];
		};
		const sampler = llama._bindings.AddonSampler;
		return texts.map((text) => {
			const s = new State({ model, grammar: compiled });
			for (const c of text) {
				if (!sampler.canBeNextTokenForGrammarEvaluationState(s._state, tokenOf(c))) return false;
				sampler.acceptGrammarEvaluationStateToken(s._state, tokenOf(c));
			}
			return sampler.canBeNextTokenForGrammarEvaluationState(s._state, model.tokens.eos);
		});
	}

	test('the same texts', async () => {
		const all = Object.entries({ ...grammars, ...examples() });
		assert.ok(all.length >= Object.keys(grammars).length + 7);
		const drawn = batch(all.map(([name, grammar]) => ({ name, grammar })), '--sample', '12', '-n', '60');
		let yes = 0, no = 0;
		for (const [i, [name, grammar]] of all.entries()) {
			assert.ok(drawn[i].compiled, `${name}: ${drawn[i].error}`);
			const samples = drawn[i].samples.map(({ text }) => text).filter((text) => /^[\n\t\x20-\x7e]*$/.test(text));
			const texts = [...new Set(['', ...samples, ...samples.map(changed), ...samples.map((t) => changed(changed(t)))])];
			const [ours] = batch([{ grammar, tests: texts.map((text) => ({ text })) }]);
			for (const [k, wanted] of (await judged(grammar, texts)).entries()) {
				assert.equal(ours.tests[k].accepted, wanted, `${name}: ${JSON.stringify(texts[k])}`);
				if (wanted) yes++;
				else no++;
			}
		}
		assert.ok(yes > 100 && no > 100, `${yes} texts taken, ${no} refused`);
	});

	test('the same grammars are refused', async () => {
		llama.logLevel = 'disabled';
		for (const grammar of refused) {
			assert.equal(batch([{ grammar }])[0].compiled, false, grammar);
			await assert.rejects(async () => (await judged(grammar, ['a'])), (e) => !(e instanceof TypeError),
				`llama.cpp takes ${JSON.stringify(grammar)}`);
		}
	});
});
