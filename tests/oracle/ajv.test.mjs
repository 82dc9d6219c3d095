// What is drawn at random from the masks of a schema is valid to ajv, which nobody here wrote; and each text is walked again.
// A few thousand texts of drawn_schemas.mjs; tests/maskbench/draw.mjs draws from thousands of schemas (`./do schemas`).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { isExact, judge } from './ajv.mjs';
import { schemas } from './drawn_schemas.mjs';

const names = Object.keys(schemas);
const ways = [
	{ what: 'bytes, compact', args: ['--vocab', 'bytes', '--space', 'compact'], n: 20 },
	{ what: 'bytes, free', args: ['--vocab', 'bytes', '--space', 'free'], n: 10 },
	{ what: 'the bundled vocabulary, compact', args: [], n: 20 },
];

for (const [k, { what, args, n }] of ways.entries())
	test(`${names.length} schemas, ${n} texts each, ${what}`, () => {
		const input = names.map((name) => `${JSON.stringify({ name, schema: schemas[name] })}\n`).join('');
		const r = spawnSync(process.env.HOKKU, ['constrain', '--batch', '-', '--sample', String(n), '--seed', String(1000 * k + 1), '-n', '60', ...args], { input, maxBuffer: 1 << 28 });
		assert.equal(r.status, 0, String(r.stderr).slice(0, 2000));
		const answers = String(r.stdout).trimEnd().split('\n').map((l) => JSON.parse(l));
		assert.deepEqual(answers.filter((a) => !a.compiled).map((a) => `${a.name}: ${a.error}`), []);
		const bad = [];
		let ended = 0;
		for (const a of answers) {
			const wrong = judge(schemas[a.name]);
			for (const s of a.samples.filter((one) => one.ended)) {
				const value = JSON.parse(s.text); // a text that ends is JSON
				ended++;
				const said = isExact(s.text) && wrong(value);
				if (said) bad.push(`${a.name}: ${s.text.slice(0, 300)}: ${said}`);
			}
		}
		assert.deepEqual(bad, []);
		assert.ok(ended > 0.9 * n * names.length, `${ended} of ${n * names.length} texts end`);
	});
