// docs/models.md has a table of what becomes of each golden model of each architecture (models_table.c): every path is
// asked. After a change: UPDATE_DOCS=1 ctest --test-dir build/test -R oracle/models
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { golden } from './archs.mjs';

const doc = path.join(path.dirname(new URL(import.meta.url).pathname), '../../docs/models.md');
const begin = '<!-- made by tests/oracle/models.test.mjs -->\n', end = '<!-- end -->\n';
const columns = ['converted', 'bound', 'cpu:reference', 'cpu', 'cuda/plain', 'cuda/tile', 'cuda/decode'];

// What of the models a column takes: "yes", all; "no: why"; or those that it takes, and of the others each with its reason.
// A column that was asked about some alone (of a folder whether it converts; the decode kernel of what the tile path takes)
// names them.
function cell(models, column) {
	const asked = models.filter((m) => column in m), taken = asked.filter((m) => m[column] === null);
	const reason = (m) => m[column].replace(/ of layer \d+|( without \S+) \(\d+\)/g, '$1');
	const others = asked.filter((m) => m[column] !== null), why = new Set(others.map(reason));
	if (!asked.length) return '-';
	if (!others.length) return asked.length === models.length ? 'yes' : taken.map((m) => m.name).join(', ');
	if (!taken.length && why.size === 1) return `no: ${[...why][0]}`;
	const listed = others.map((m) => `${m.name} (${reason(m)})`).join(', ');
	return taken.length ? `${taken.map((m) => m.name).join(', ')}; not ${listed}` : `no: ${listed}`;
}

// golden/models are judged by oracle/llama.
function judges(models) {
	const known = models.some((m) => !('converted' in m)) || golden.some((g) => models.some((m) => m.name === g.name));
	const notes = golden.filter((g) => models.some((m) => m.name === g.name)).flatMap((g) =>
		(g.window ? [`${g.name} inside its window`] : g.deepened ? [`${g.name} with 64 layers`] : []));
	return `transformers${known ? `; llama.cpp${notes.length ? ` (${notes.join(', ')})` : ''}` : ''}`;
}

function table(rows) {
	const architectures = rows.filter((row) => !row.name).map((row) => row.architecture);
	const head = ['`general.architecture`', 'golden models', ...columns, 'judges'];
	const lines = architectures.map((architecture) => {
		const models = rows.filter((row) => row.name && row.architecture === architecture);
		assert.ok(models.length >= 2, `${architecture} has ${models.length} golden models; two shapes are the least (tests/golden/archs/make.py)`);
		return [`\`${architecture}\``, models.map((m) => m.name).join(', '), ...columns.map((c) => cell(models, c)), judges(models)];
	});
	return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

test('the table of docs/models.md is what the paths say', () => {
	const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'hokku-models-'));
	const told = execFileSync(process.env.MODELS_TABLE, [scratch], { encoding: 'utf8' });
	assert.deepEqual(fs.readdirSync(scratch), []);
	fs.rmdirSync(scratch);
	const rows = told.trimEnd().split('\n').map((line) => JSON.parse(line)), text = fs.readFileSync(doc, 'utf8');
	const from = text.indexOf(begin), to = text.indexOf(end);
	assert.ok(from >= 0 && to > from, 'docs/models.md has lost the marks of its table');
	const wanted = text.slice(0, from) + begin + table(rows) + text.slice(to);
	if (process.env.UPDATE_DOCS) fs.writeFileSync(doc, wanted);
	else assert.equal(text, wanted, 'docs/models.md differs; see the top of tests/oracle/models.test.mjs');
});
