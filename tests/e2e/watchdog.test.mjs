// A step that takes longer than --watchdog-timeout: whoever waits is told, /health is unhealthy while it lasts, and afterwards all is
// well again. The steps are honest ones, of cpu:reference and as long as --itl-ms lets them get; one that never ends is in cuda_serve.test.mjs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { generate, hokku, idle, sanitized, start, stream, until } from './server_common.mjs';

const prompt = (n, first) => Array.from({ length: n }, (_, i) => 300 + ((first + i * 37) % 1000));
const each = sanitized ? 200 : 450;
const ask = async (server) => {
	const response = await fetch(`${server.url}/health`);
	return { status: response.status, headers: response.headers, body: await response.json() };
};

test('a step that does not end is noticed, told, and forgotten when it has ended', async (t) => {
	// What a step of 512 tokens takes here is about what this does.
	const text = 'the rain falls on the old pond and the frog '.repeat(sanitized ? 5 : 46);
	const once = spawnSync(hokku, ['run', '--device', 'cpu:reference', '-v', '--raw', '-n', '1', '-p', text], { encoding: 'utf8' });
	const [, tokens, ms] = once.stderr.match(/(\d+) prompt tokens in ([\d.]+) ms/) ?? assert.fail(once.stderr);
	// On a machine with other work --itl-ms, 10 s, may be shorter.
	const timeout = Math.min((ms / tokens) * 512, 10000) / 4000;
	const server = await start(['--device', 'cpu:reference', '--itl-ms', '10000', '--watchdog-timeout', timeout.toFixed(3), '-np', '8', '--prefix-cache', 'off']);
	t.after(() => server.child.kill('SIGKILL'));
	assert.equal((await ask(server)).body.stuck_s, undefined);
	const streams = await Promise.all([0, 1, 2, 3].map((i) => stream(server, { prompt: prompt(each, i), max_tokens: 2 })));
	const whole = generate(server, { prompt: prompt(each, 5), max_tokens: 2, stream: false });
	let unhealthy;
	await until(async () => (unhealthy = await ask(server)).status !== 200, 60000, 'the watchdog');
	const what = new RegExp(`^a step of \\d sequences? with \\d+ tokens has not ended for \\d+\\.\\d s \\(--watchdog-timeout ${Number(timeout.toFixed(3))}\\); if it does not go on, restart the server$`);
	assert.equal(unhealthy.status, 503);
	assert.deepEqual([unhealthy.body.status, unhealthy.body.code, unhealthy.body.model], ['unhealthy', 'DEVICE_ERROR', 'haiku']);
	assert.match(unhealthy.body.message, what);
	assert.ok(unhealthy.body.stuck_s >= Math.floor(timeout * 10) / 10, `${unhealthy.body.stuck_s} s of ${timeout}`);
	assert.equal(unhealthy.headers.get('retry-after'), null);
	// Told at once, not when the step has ended: the server still says that it has not.
	await Promise.all(streams.map((s) => s.done));
	for (const s of streams) {
		const last = s.events().at(-1);
		assert.deepEqual([last.kind, last.data.code], ['error', 'DEVICE_ERROR']);
		assert.match(last.data.message, what);
	}
	const answer = await whole;
	assert.deepEqual([answer.status, answer.json.error.code], [500, 'DEVICE_ERROR']);
	// A request that comes now is refused, if it comes in time.
	const late = await generate(server, { prompt: 'a', max_tokens: 1, stream: false });
	if (late.status !== 200) assert.deepEqual([late.status, late.json.error.code], [500, 'DEVICE_ERROR']);
	await until(async () => (await ask(server)).status === 200, 60000, 'the step to end');
	await until(() => idle(server), 60000, 'an idle server');
	const { queue } = await server.health();
	assert.deepEqual([queue.finished, queue.failed], [queue.accepted, 0]);
	assert.ok(queue.cancelled >= 4, JSON.stringify(queue));
	await server.stop();
	assert.match(server.log, / error DEVICE_ERROR: a step of .* has not ended for .*; every request is refused until it goes on\n/);
	assert.match(server.log, / warn {2}the engine goes on: requests are taken again\n/);
});

test('--watchdog-timeout 0 never fires', async () => {
	const server = await start(['--device', 'cpu:reference', '--itl-ms', '10000', '--watchdog-timeout', '0']);
	const answer = await generate(server, { prompt: prompt(each, 0), max_tokens: 2, stream: false });
	assert.equal(answer.status, 200);
	await server.stop();
	assert.doesNotMatch(server.log, /has not ended/);
});
