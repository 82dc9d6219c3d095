// What `./do test` says at its end (closing.awk) is what CTest and the programs said: nothing that failed, did not run or
// was skipped is lost.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const here = new URL('.', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'hokku-closing-'));
after(() => rmSync(dir, { recursive: true }));

// programs: [name, status, message of <skipped>, output]
function closing(programs) {
	const xml = join(dir, 'ctest.xml'), log = join(dir, 'LastTest.log');
	writeFileSync(xml, `<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="x"\n\ttests="9"\n\t>\n${programs.map(([name, status, message]) =>
		`\t<testcase name="${name}" classname="${name}" time="1" status="${status}">\n${message ? `\t\t<skipped message="${message}"/>\n` : ''}\t</testcase>\n`).join('')}</testsuite>\n`);
	writeFileSync(log, programs.map(([name, , , output], i) =>
		`${i + 1}/9 Testing: ${name}\n${i + 1}/9 Test: ${name}\nOutput:\n----------\n${output}\n<end of output>\n`).join('\n'));
	const r = spawnSync('awk', ['-v', 'build=asan', '-f', join(here, '../closing.awk'), xml, log], { encoding: 'utf8' });
	assert.equal(r.status, 0, r.stderr);
	return r.stdout.trimEnd().split('\n');
}

const good = '[==========] 3 test(s) run.\n[  PASSED  ] 3 test(s).';

test('single tests are counted, other programs as one', () => {
	assert.deepEqual(closing([
		['unit/a', 'run', '', `${good}\n[==========] 2 test(s) run.\n[  PASSED  ] 2 test(s).`],
		['e2e/b', 'run', '', 'ℹ tests 7\nℹ suites 1\nℹ pass 7\nℹ fail 0\nℹ cancelled 0\nℹ skipped 0\nℹ todo 0'],
		['gpu/c', 'run', '', 'exact: good'],
	]), ['asan: 13 passed, 0 failed, 0 skipped']);
});

test('what failed counts, also where a program says nothing of it', () => {
	assert.deepEqual(closing([['unit/a', 'fail', '', '[  PASSED  ] 2 test(s).\n[  FAILED  ] 2 test(s), listed below:\n[  FAILED  ] one\n[  FAILED  ] two']]),
		['asan: 2 passed, 2 failed, 0 skipped']);
	assert.deepEqual(closing([['unit/a', 'fail', '', `${good}\nAddressSanitizer: leaks`]]), ['asan: 3 passed, 1 failed, 0 skipped']);
	assert.deepEqual(closing([['gpu/c', 'fail', '', 'Segmentation fault']]), ['asan: 0 passed, 1 failed, 0 skipped']);
	assert.deepEqual(closing([['unit/a', 'notrun', 'Unable to find executable', '']]), ['asan: 0 passed, 1 failed, 0 skipped']);
	assert.deepEqual(closing([['e2e/b', 'fail', '', 'ℹ pass 1\nℹ fail 2\nℹ cancelled 1\nℹ skipped 0']]), ['asan: 1 passed, 3 failed, 0 skipped']);
});

test('what is skipped is named, with the reason', () => {
	assert.deepEqual(closing([
		['unit/a', 'run', '', '[  SKIPPED ] needs_a_device\n[  PASSED  ] 2 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] needs_a_device'],
		['unit/d', 'notrun', 'SKIP_RETURN_CODE=77', ''],
		['e2e/b', 'run', '', '▶ group\n  ﹣ inner (0.2ms) # no /dev/full\n﹣ outer (1.25ms) # SKIP\nℹ pass 1\nℹ fail 0\nℹ skipped 2\nℹ todo 0'],
	]), ['skipped: unit/a: needs_a_device', 'skipped: e2e/b: inner; no /dev/full', 'skipped: e2e/b: outer', 'skipped: unit/d',
		'asan: 3 passed, 0 failed, 4 skipped']);
});
