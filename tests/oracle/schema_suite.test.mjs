// The JSON-Schema-Test-Suite (../shared/json-schema-tests, draft 2020-12): each case is refused when it is compiled, or each of its
// instances gets the verdict that the suite says. What is refused stands in docs/schema-suite.md, which must be what this run finds;
// after a change: UPDATE_DOCS=1 ctest --test-dir build/test -R oracle/schema_suite
//
// An instance is accepted if one of its texts is: members in one of their orders (a shape has the one that its schema declares),
// whole numbers also in plain digits. Tokens are the 256 bytes; each byte is looked up in its mask.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { get, parse, spellings, write } from './json_texts.mjs';

const suite = join(process.env.HOKKU_SHARED ?? new URL('../../../shared', import.meta.url).pathname, 'json-schema-tests/draft2020-12');
const doc = new URL('../../docs/schema-suite.md', import.meta.url).pathname;
const begin = '<!-- made by tests/oracle/schema_suite.test.mjs -->\n', end = '<!-- end -->\n';
const mostTexts = 800; // of one instance
const notRun = ['format']; // there formats are annotations; here they are enforced, as optional/format has them

// Valid instances that a shape does not write, and why: the format is narrower than its RFC. No invalid instance may be accepted there either.
const narrower = {
	'optional/format/email': 'no quoted local parts, no addresses in brackets',
	'optional/format/hostname': 'no names that begin with xn--, of which only a table of Unicode knows the good ones',
	'optional/format/time': 'leap seconds at 23:59:60Z alone',
	'optional/format/uri-template': 'names without dots, literals without apostrophes',
};

const files = (dir) => readdirSync(dir).sort().flatMap((name) => {
	const path = join(dir, name);
	return statSync(path).isDirectory() ? files(path) : name.endsWith('.json') ? [path] : [];
});

function casesOf(path) {
	const file = path.slice(suite.length + 1, -5);
	return parse(readFileSync(path, 'utf8')).items.map((c) => ({
		file, name: JSON.parse(get(c, 'description').text), schema: write(get(c, 'schema')),
		tests: get(c, 'tests').items.map((t) => ({ name: JSON.parse(get(t, 'description').text), valid: get(t, 'valid').text === 'true', texts: [...take(spellings(get(t, 'data')))] })),
	}));
}

function* take(texts) {
	let n = 0;
	for (const text of texts) {
		assert.ok(n++ < mostTexts, 'an instance has too many texts');
		yield text;
	}
}

// Adds to each case what hokku says: refused { place, error }, or wrong, the names of the tests it is wrong about.
function judge(cases) {
	const lines = cases.map((c) => `{"schema": ${c.schema}, "space": "free", "tests": [${c.tests.flatMap((t) => t.texts.map((text) => `{"text": ${JSON.stringify(text)}}`)).join(', ')}]}\n`);
	const r = spawnSync(process.env.HOKKU, ['constrain', '--batch', '-', '--vocab', 'bytes', '--masks'], { input: lines.join(''), maxBuffer: 1 << 30 });
	assert.equal(r.status, 0, String(r.stderr).slice(0, 2000));
	const answers = String(r.stdout).trimEnd().split('\n').map((l) => JSON.parse(l));
	assert.equal(answers.length, cases.length);
	answers.forEach((a, i) => {
		if (!a.compiled) {
			cases[i].refused = a;
			return;
		}
		let at = 0;
		cases[i].wrong = cases[i].tests.filter((t) => {
			const found = a.tests.slice(at, at += t.texts.length);
			const accepted = found.some((f) => f.accepted);
			if (t.valid && !accepted && narrower[cases[i].file]) cases[i].narrow = (cases[i].narrow ?? 0) + 1;
			else return t.valid !== accepted || found.some((f) => f.fault || f.why === 'spent');
			return false;
		}).map((t) => t.name);
	});
}

const cell = (s) => s.replaceAll('|', '\\|').replaceAll('\n', ' ');
function table(cases) {
	const names = [...new Set(cases.map((c) => c.file))];
	const rows = names.map((name) => {
		const all = cases.filter((c) => c.file === name), refused = all.filter((c) => c.refused);
		return `| ${name} | ${all.length} | ${all.length - refused.length} | ${refused.length || ''} |\n`;
	});
	const n = cases.length, refused = cases.filter((c) => c.refused);
	return `${n} cases with ${cases.reduce((sum, c) => sum + c.tests.length, 0)} instances; ${n - refused.length} pass, ${refused.length} are refused.\n\n| file | cases | pass | refused |\n|---|---:|---:|---:|\n${
		rows.join('')}\n## Formats that are narrower\n\nValid instances of these files that a shape does not write:\n\n| file | instances | |\n|---|---:|---|\n${
			Object.entries(narrower).map(([file, why]) => `| ${file} | ${cases.filter((c) => c.file === file).reduce((sum, c) => sum + (c.narrow ?? 0), 0)} | ${why} |\n`).join('')}\n## What is refused\n\n| file | case | at |\n|---|---|---|\n${refused.map((c) => `| ${c.file} | ${cell(c.name)} | ${c.refused.place ? `\`${cell(c.refused.place)}\`` : "the whole"} |\n`).join('')}`;
}

test('JSON-Schema-Test-Suite: right verdicts, or refused', { skip: !existsSync(suite) && `no ${suite}` }, () => {
	const cases = files(suite).flatMap(casesOf).filter((c) => !notRun.includes(c.file));
	assert.ok(cases.length > 300, `${cases.length} cases`);
	judge(cases);
	const wrong = cases.filter((c) => c.wrong?.length);
	assert.deepEqual(wrong.map((c) => `${c.file}: ${c.name}: ${c.wrong.join('; ')}`), []);
	const text = readFileSync(doc, 'utf8'), from = text.indexOf(begin), to = text.indexOf(end);
	assert.ok(from >= 0 && to > from, 'docs/schema-suite.md has lost the marks of its table');
	const wanted = text.slice(0, from) + begin + table(cases) + text.slice(to);
	if (process.env.UPDATE_DOCS) writeFileSync(doc, wanted);
	else assert.equal(text, wanted, 'docs/schema-suite.md differs; see the top of tests/oracle/schema_suite.test.mjs');
});
