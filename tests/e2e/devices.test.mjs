// `hokku devices`: the CPU always, and of GPUs what a plugin tells, or why there is none. Plugins without a device behind
// them stand in (tests/unit/compute/fake/plugin.c).
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';

const hokku = process.env.HOKKU;
const plugins = `${process.env.HOKKU_BUILD_DIR}/tests/plugins`;
const devices = (plugin, ...flags) =>
	execFileSync(hokku, ['devices', ...flags], { env: { HOKKU_PLUGIN_PATH: `${plugins}/${plugin}` }, encoding: 'utf8' });

test('each GPU has a line', () => {
	const lines = devices('good', '--measure').trim().split('\n');
	assert.equal(lines.length, 4);
	assert.match(lines[0], /^cpu +(portable|avx2|avx512\w*|neon|amx\w*) kernels, \d+ of \d+ cores$/);
	assert.match(lines[1], /^cuda:0 +Fake One, compute capability 9\.0, 1\.0 GiB \(512\.0 MiB free\), .*copies at 1000 GB\/s, reads at 1100, takes 50\.0 from pinned host memory, 9\.0 from pageable$/);
	assert.match(lines[2], /^cuda:1 +Fake Two, compute capability 8\.9, 2\.0 GiB, driver.*, does not answer: cuda:1 \(Fake Two\) is asleep, copies at 1001 GB\/s, reads at/);
	assert.match(lines[3], /^cuda:2 +Old Card, compute capability 7\.0, 1\.0 GiB, driver.*too old: hokku needs 7\.5$/);
});

test('the same for programs', () => {
	const all = JSON.parse(devices('good', '--json'));
	assert.ok(all.cpu.cores >= 1);
	assert.equal(all.cuda_error, undefined);
	assert.deepEqual(all.cuda.map((gpu) => gpu.name), ['Fake One', 'Fake Two', 'Old Card']);
	assert.deepEqual(all.cuda.map((gpu) => gpu.usable), [true, true, false]);
	assert.equal(all.cuda[1].vram_bytes, 2 ** 31);
	assert.deepEqual(all.cuda.map((gpu) => gpu.vram_free_bytes), [2 ** 29, undefined, undefined]);
	assert.equal(all.cuda[1].error, 'cuda:1 (Fake Two) is asleep');
});

test('without a GPU the reason is told, and the CPU carries on', () => {
	assert.match(devices('none'), /^cuda +none: the driver shows no device$/m);
	assert.match(devices('nodriver'), /^cuda +none: the NVIDIA driver is missing$/m);
	assert.match(devices('abi'), /^cuda +none: .* belongs to another hokku/m);
	assert.match(JSON.parse(devices('text', '--json')).cuda_error, /does not load/);
});

test('asking for a GPU that is not there ends with the reason', () => {
	const { status, stderr, stdout } = spawnSync(hokku, ['run', '-p', 'rain', '--device', 'cuda'], {
		env: { HOKKU_PLUGIN_PATH: `${plugins}/nodriver` },
		encoding: 'utf8',
	});
	assert.equal(status, 1);
	assert.equal(stdout, '');
	assert.match(stderr, /--device cuda: the NVIDIA driver is missing/);
});
