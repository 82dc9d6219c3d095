// Texts drawn from the masks of MaskBench's schemas, judged by ajv: `./do schemas` runs this; by hand:
//   HOKKU=build/release/hokku node tests/maskbench/draw.mjs DATA [--every K] [--texts N] [--space free] [--vocab bytes] [--seed S] [--report FILE]
// Schemas that hokku refuses, and those that ajv cannot compile, are counted. Ends with one line for docs/runs.md; exit code 1 where
// ajv finds a text invalid or hokku a fault.
import { spawnSync } from 'node:child_process';
import { closeSync, createReadStream, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { isExact, judge, lines } from '../oracle/ajv.mjs';
import { batch, dir } from './data.mjs';

const { values: options, positionals: [data] } = parseArgs({ allowPositionals: true, options: {
	every: { type: 'string', default: '1' }, texts: { type: 'string', default: '3' }, space: { type: 'string', default: 'compact' }, vocab: { type: 'string', default: 'model' },
	seed: { type: 'string', default: '1' }, report: { type: 'string' },
} });
const { path } = batch(data, Number(options.every)), out = join(dir, 'drawn.out'), fd = openSync(out, 'w');
const r = spawnSync(process.env.HOKKU, ['constrain', '--batch', path, '--sample', options.texts, '--seed', options.seed, '-n', '120', '--space', options.space, '--vocab', options.vocab], { stdio: ['ignore', fd, 'pipe'] });
closeSync(fd);
const bad = [], unknown = [];
if (r.status !== 0) bad.push(`hokku: ${String(r.stderr).slice(0, 500)}`);
const schemas = lines(path);
const n = { schemas: 0, texts: 0, cut: 0, large: 0, refused: 0 };
let at = 0;
for await (const line of createInterface({ input: createReadStream(out) })) {
	const { name, compiled, samples } = JSON.parse(line), { schema } = schemas[at++];
	let wrong;
	if (!compiled) n.refused++;
	else try {
		wrong = judge(schema);
	} catch (e) {
		unknown.push(`${name}: ${e.message.slice(0, 120)}`);
	}
	if (!wrong) continue;
	n.schemas++;
	for (const s of samples) {
		if (s.fault) bad.push(`${name}: ${s.fault}: ${s.text.slice(0, 500)}`);
		if (!s.ended) n.cut++;
		else if (!isExact(s.text)) n.large++;
		else {
			n.texts++;
			let said;
			try {
				said = wrong(JSON.parse(s.text));
			} catch (e) {
				said = e.message;
			}
			if (said) bad.push(`${name}: ${said}: ${s.text.slice(0, 500)}`);
		}
	}
}
if (options.report) writeFileSync(options.report, [...bad, '', 'ajv does not compile:', ...unknown, ''].join('\n'));
else if (bad.length) console.error(bad.slice(0, 20).join('\n'));
console.log(`${n.texts} texts of ${n.schemas} schemas, ${bad.length} that ajv finds invalid (${n.cut} texts did not end, ${n.large} hold numbers that no double does; ${n.refused} schemas refused, ${unknown.length} that ajv does not compile)`);
process.exitCode = bad.length ? 1 : 0;
