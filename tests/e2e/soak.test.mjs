// `./do soak` keeps a server under load for long; here it is short, and its own eyes are tested.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addUp, growth, soak } from '../soak/load.mjs';
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

test('counters that do not add up are told', () => {
	const health = (queue = {}, more = {}) => ({
		queue: { running: 0, queued: 0, parallel: 8, accepted: 10, finished: 10, cancelled: 2, failed: 0, tokens_in: 100, tokens_out: 200, ...queue },
		counters: { steps: 30, step_sequences: 90, cache_queries: 5, cache_hits: 4 }, held_bytes: 0, ...more,
	});
	const seen = { answers: 7, unknown: 3, tokensIn: 90, tokensOut: 180 }, all = { answers: 10, unknown: 0, tokensIn: 100, tokensOut: 200 };
	const faults = (...args) => addUp(...args).join();
	assert.equal(faults(health(), seen), '');
	assert.equal(faults(health({ cancelled: 0 }), all), '');
	for (const [queue, what] of [
		[{ running: 1 }, 'is left'], [{ queued: 1 }, 'is left'], [{ finished: 9 }, 'is not finished'], [{ failed: 1 }, 'some failed'],
		[{ cancelled: 4 }, 'answers do not'], [{ accepted: 11, finished: 11 }, 'answers do not'], [{ tokens_in: 89 }, 'tokens_in'], [{ tokens_out: 179 }, 'tokens_out'],
	]) assert.ok(faults(health(queue), seen).includes(what), what);
	assert.ok(faults(health({ cancelled: 0, tokens_out: 201 }), all).includes('tokens do not'));
	assert.ok(faults(health({}, { held_bytes: 1 }), seen).includes('is left'));
	for (const [counter, value, what] of [['cache_hits', 6, 'more hits'], ['step_sequences', 29, 'steps do'], ['step_sequences', 241, 'steps do']]) {
		const broken = health();
		broken.counters[counter] = value;
		assert.ok(faults(broken, seen).includes(what), what);
	}
});

test('two seconds of mixed load leave nothing behind', async () => {
	// A sanitizer keeps freed memory back, so that there only descriptors, threads and answers tell.
	const found = await soak(2, { memoryLimitKib: sanitized ? Infinity : 4096 });
	assert.deepEqual(found.faults, []);
	assert.ok(found.requests > 50, `${found.requests} requests`);
});
