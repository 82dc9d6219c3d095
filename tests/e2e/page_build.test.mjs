// page/dist/, which is linked into the program, is what page/src gives: built anew and compared byte by byte. Skipped where the page's
// packages are not installed (npm ci in page/; ./do test does it).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const page = new URL('../../page/', import.meta.url).pathname;
const program = (name) => join(page, 'node_modules', name);
const skip = existsSync(program('vite/bin/vite.js')) ? false : 'npm ci was not run in page/';
const run = (file, ...args) => execFileSync(process.execPath, [file, ...args], { cwd: page, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

test('page/dist is what page/src gives', { skip }, () => {
	const out = mkdtempSync(join(tmpdir(), 'hokku-page-'));
	try {
		run(program('vite/bin/vite.js'), 'build', '--outDir', out, '--emptyOutDir', '--logLevel', 'error');
		assert.deepEqual(readdirSync(out).sort(), ['index.html', 'policy.txt']);
		for (const name of readdirSync(out))
			assert.ok(readFileSync(join(out, name)).equals(readFileSync(join(page, 'dist', name))), `page/dist/${name} is not what page/src gives: npm run build in page/, and commit it`);
	} finally {
		rmSync(out, { recursive: true });
	}
});

test('page/src has its types right', { skip }, () => {
	run(program('typescript/bin/tsc'), '--noEmit');
});

test('page/LICENSES.txt has those of all that is in the page', () => {
	const text = readFileSync(join(page, 'LICENSES.txt'), 'utf8');
	for (const [name, version] of Object.entries(JSON.parse(readFileSync(join(page, 'package.json'), 'utf8')).dependencies)) assert.ok(text.includes(`==== ${name} ${version}\n`), name);
});
