// Structural tags as XGrammar reads them (its library for the web, pinned in tests/package.json): the same texts are taken, such as
// hokku drew from its masks, and such texts changed. The version there is has neither excludes nor several ends nor repeats nor
// tokens, no free text before the end of a sequence and no empty separator, so that what those mean is proved by definitions
// (unit/constrain/test_structure, test_structure_tokens).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { before, describe, test } from 'node:test';

const hokku = process.env.HOKKU ?? 'hokku';
const require = createRequire(import.meta.url);
let bundle = null;
try {
	bundle = require.resolve('@mlc-ai/web-xgrammar');
} catch {
	bundle = null; // npm ci in tests/ brings it
}

const text = (value) => ({ type: 'const_string', value });
const tag = (begin, content, end) => ({ type: 'tag', begin, content, end });
const any = { type: 'any_text' };
const schema = (json_schema) => ({ type: 'json_schema', json_schema });
const sequence = (...elements) => ({ type: 'sequence', elements });
const or = (...elements) => ({ type: 'or', elements });
const triggered = (triggers, tags, flags = {}) => ({ type: 'triggered_tags', triggers, tags, ...flags });
const separated = (separator, tags, flags = {}) => ({ type: 'tags_with_separator', separator, tags, ...flags });
const flag = schema({ type: 'boolean' }), word = schema({ enum: ['a', 'b<'] });
const all = [{}, { at_least_one: true }, { stop_after_first: true }, { at_least_one: true, stop_after_first: true }];

const formats = {
	constant: text('ab<'), sequence: sequence(text('a'), flag, text('b')), or: or(text('a'), text('ab'), word),
	regex: { type: 'regex', pattern: '[ab]{2,3}(<|>)?' }, grammar: { type: 'grammar', grammar: 'root ::= "<" root ">" | "a" | ""' },
	free: any, tag: tag('<a>', any, '</a>'), constant_tag: tag('<', text('a'), '>'), crossing: tag('', any, 'aa'), crossing_more: tag('', any, 'aba'),
	think: sequence(tag('<a>', any, '</a>'), flag), nested: tag('<', or(tag('(', any, ')'), word), '>'),
	no_end: tag('<', word, ''),
	...Object.fromEntries(all.flatMap((flags, i) => [
		[`triggered ${i}`, triggered(['<'], [tag('<a>', flag, '</a>'), tag('<b>', any, '>')], flags)],
		[`separated ${i}`, separated(',', [tag('<a>', flag, '>'), tag('(', any, ')')], flags)],
	])),
	triggers: triggered(['<a', '(b'], [tag('<a>', flag, '>'), tag('<ab', any, '>'), tag('(b', word, ')')]),
	crossing_trigger: triggered(['aa'], [tag('aab', text('<'), '')]), crossing_other: triggered(['ab', 'ba'], [tag('ab', text('<'), ''), tag('baa', text('>'), '')]),
	triggered_within: tag('(', triggered(['<'], [tag('<a', any, '>')]), ')'),
	thinking_and_calls: sequence(tag('<b>', any, '</b>'), triggered(['<a>'], [tag('<a>', word, '</a>')])),
};
const refused = [{ type: 'any' }, sequence(), or(), tag('<', any, ''), triggered(['x'], [tag('<', any, '>')]), triggered([], [tag('<', any, '>')]), triggered(['<'], []),
	triggered([''], [tag('<', any, '>')]), separated(',', []), { type: 'const_string' }, { type: 'regex', pattern: '' }, { type: 'tag', begin: '<', content: any }];

function batch(lines, ...args) {
	const r = spawnSync(hokku, ['constrain', '--vocab', 'bytes', '--batch', '-', ...args], { input: lines.map((line) => `${JSON.stringify(line)}\n`).join(''), encoding: 'utf8', maxBuffer: 1 << 26 });
	return r.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

let state = 7n;
function below(n) {
	state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
	return Number((state >> 33n) % BigInt(n));
}
const letters = [...'ab<>(),!/', 'true', '</a>', '<a>', '"a"'];
const drawn = () => Array.from({ length: below(9) }, () => letters[below(letters.length)]).join('');
function changed(of) {
	const chars = [...of], at = below(chars.length + 1), other = letters[below(letters.length)];
	[() => chars.splice(at, 1), () => chars.splice(at, 0, other), () => { chars[at] = other; }, () => chars.splice(at)][below(4)]();
	return chars.join('');
}

describe('structural tags as XGrammar reads them', { skip: bundle ? false : 'no @mlc-ai/web-xgrammar in tests/node_modules' }, () => {
	let Grammar, Testings;
	before(() => {
		// A bundle of CommonJS in a package that calls itself a module.
		const module = { exports: {} };
		new Function('exports', 'module', 'require', '__filename', '__dirname', fs.readFileSync(bundle, 'utf8'))(module.exports, module, require, bundle, path.dirname(bundle));
		({ Grammar, Testings } = module.exports);
	});

	test('the same texts are taken', async () => {
		const names = Object.keys(formats), samples = batch(names.map((name) => ({ structure: { format: formats[name] } })), '--sample', '30', '-s', '3', '-n', '12');
		const lines = names.map((name, i) => {
			const own = samples[i].samples.filter((s) => s.ended && /^[\x20-\x7e]*$/.test(s.text)).map((s) => s.text);
			const tests = [...new Set([...own, ...own.flatMap((t) => [changed(t), changed(changed(t))]), ...Array.from({ length: 120 }, drawn)])];
			return { structure: { format: formats[name] }, tests: tests.map((t) => ({ text: t })) };
		});
		const verdicts = batch(lines);
		let n = 0, taken = 0;
		for (const [i, name] of names.entries()) {
			const grammar = await Grammar.fromStructuralTag({ type: 'structural_tag', format: formats[name] }).catch((e) => assert.fail(`${name}: ${e}`));
			for (const [k, { text: t }] of lines[i].tests.entries()) {
				const theirs = await Testings.isGrammarAcceptString(grammar, t), ours = verdicts[i].tests[k].accepted;
				assert.equal(ours, theirs, `${name}: ${JSON.stringify(t)} is ${ours ? 'taken here' : 'taken there'} alone`);
				n++;
				taken += ours;
			}
		}
		assert.ok(n > 3000 && taken > 500 && n - taken > 500, `${n} texts, ${taken} taken`);
	});

	test('what is none is refused by both', async () => {
		const ours = batch(refused.map((format) => ({ structure: { format } })));
		for (const [i, format] of refused.entries()) {
			assert.equal(ours[i].compiled, false, JSON.stringify(format));
			await assert.rejects(async () => Grammar.fromStructuralTag({ type: 'structural_tag', format }), undefined, JSON.stringify(format));
		}
	});
});
