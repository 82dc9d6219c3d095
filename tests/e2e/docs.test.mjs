// docs/cli.md shows every command's help word for word. After a change: UPDATE_DOCS=1 node --test e2e/docs.test.mjs
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

const path = new URL('../../docs/cli.md', import.meta.url).pathname;
const help = (...args) => execFileSync(process.env.HOKKU, args, { encoding: 'utf8', env: {} });

test('docs/cli.md holds the help of every command', () => {
	const doc = readFileSync(path, 'utf8');
	const parts = { bench: ['bench', 'bench tokenize', 'bench serve'] }; // commands within a command
	const names = [...help('--help').matchAll(/^ {2}([a-z]+) {2,}\S/gm)].flatMap((m) => parts[m[1]] ?? m[1]);
	const head = doc.slice(0, doc.indexOf('\n## The commands\n'));
	const list = names.map((name) => `\n### hokku ${name}\n\n\`\`\`\n${help(...name.split(' '), '--help')}\`\`\`\n`).join('');
	const wanted = `${head}\n## The commands\n\n\`hokku COMMAND --help\` prints the same.\n${list}`;
	if (process.env.UPDATE_DOCS) writeFileSync(path, wanted);
	else assert.equal(doc, wanted, 'docs/cli.md differs from --help; see the top of tests/e2e/docs.test.mjs');
});

test('docs/sampling.md has the ranges and defaults that the program has', () => {
	const doc = readFileSync(path.replace('cli.md', 'sampling.md'), 'utf8');
	const rows = [...help('run', '--help').matchAll(/^ {2}--([a-z-]+)[^\n]*(?:\n {10,})?[^\n]*; ((?:from|more than) [^(]*) \(default (\S+)\)$/gm)];
	const fields = rows.map(([, name, range, value]) => [name.replaceAll('-', '_'), range, value]);
	assert.ok(fields.some(([name]) => name === 'repetition_penalty'), JSON.stringify(fields));
	for (const [name, range, value] of fields.filter(([n]) => /temperature|top_|min_p|penalty|typical|xtc|dynatemp|dry_|mirostat|repeat/.test(n)))
		assert.match(doc, new RegExp(`^\\| \`${name}\` \\| ${range} \\| ${value} \\|`, 'm'), name);
});
