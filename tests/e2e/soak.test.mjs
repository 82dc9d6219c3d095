// `./do soak` keeps a server under load for long; here it is short, and its own eyes are tested.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growth, soak } from '../soak/load.mjs';
import { sanitized } from './server_common.mjs';

const quiet = { descriptors: 9, threads: 4 };
const series = (at) => Array.from({ length: 40 }, (_, i) => ({ memory_kib: at(i) }));
const seen = (at, after = quiet) => growth({ before: quiet, samples: series(at), after }, 4096);

test('growth is told from warming up', () => {
	assert.deepEqual(seen((i) => (i < 8 ? 1000 * i : 8000 + (i % 3))).faults, []);
	assert.equal(seen((i) => 1000 + 100 * i).memory_kib, 2000); // sample 15 to sample 35
	assert.deepEqual(seen((i) => (i < 20 ? 1000 : 5096)).faults, []);
	assert.match(seen((i) => (i < 20 ? 1000 : 5097)).faults.join(), /memory grew by 4097 KiB \(from 1000\); 4096 are allowed/);
	assert.match(seen(() => 1000, { descriptors: 10, threads: 4 }).faults.join(), /descriptors were 9 before and 10 after/);
	assert.match(seen(() => 1000, { descriptors: 9, threads: 5 }).faults.join(), /threads were 4 before and 5 after/);
});

test('two seconds of mixed load leave nothing behind', async () => {
	// A sanitizer keeps freed memory back, so that there only descriptors, threads and answers tell.
	const found = await soak(2, { memoryLimitKib: sanitized ? Infinity : 4096 });
	assert.deepEqual(found.faults, []);
	assert.ok(found.requests > 50, `${found.requests} requests`);
});
