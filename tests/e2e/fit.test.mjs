// `hokku fit`: what it tells is what a server then takes, to the byte; what is one byte too little is refused before a weight is read, by
// serve, run and chat too. On the emulated GPU: cuda_serve.test.mjs.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { split } from '../split_gguf.mjs';
import { model, post, start, startFails } from './server_common.mjs';

const hokku = process.env.HOKKU;
const scratch = mkdtempSync(join(tmpdir(), 'hokku-fit-'));
const windows = join(scratch, 'windows.gguf'), long = join(scratch, 'long.gguf'), archs = new URL('../golden/archs/', import.meta.url).pathname;
let part;
after(() => rmSync(scratch, { recursive: true }));

const run = (...args) => spawnSync(hokku, args, { encoding: 'utf8', input: '', env: { PATH: process.env.PATH, HOME: scratch, HOKKU_THREADS: '2' } });
function fit(...args) {
	const r = run('fit', '--json', '--no-measure', ...args);
	assert.equal(r.status, 0, r.stderr);
	return JSON.parse(r.stdout);
}
const cpu = (...args) => fit('--device', 'cpu', ...args).devices[0];

before(() => {
	execFileSync(hokku, ['synth', '--shape', `${archs}gemma3-a/config.json`, '--type', 'Q8_0', '-o', windows], { stdio: 'pipe' });
	const bytes = readFileSync(new URL('../../models/haiku/haiku.gguf', import.meta.url)), key = 'qwen2.context_length';
	bytes.writeUInt32LE(32768, bytes.indexOf(key) + key.length + 4); // behind the key's type
	writeFileSync(long, bytes);
	part = split(model('tiny'), join(scratch, 'parts'), [5])[1];
});

test('what it tells is what a server takes', async (t) => {
	const q8 = ['--cache-type-k', 'q8_0', '--cache-type-v', 'q8_0'];
	for (const [name, ...options] of [
		[undefined],
		[windows, '-c', '384', '-np', '3', ...q8],
		[part, '--parallel', '2'],
	]) {
		const args = [...(name ? [name] : []), ...options];
		const told = cpu(...args), streams = fit('--device', 'cpu', ...args).parallel;
		assert.equal(streams, Number(options[options.findIndex((o) => /^(-np|--parallel)$/.test(o)) + 1] ?? 1) || 1);
		assert.equal(told.kv_bytes_option, streams * told.kv_bytes_per_context);
		for (const [bytes, more] of [
			[told.serve_bytes, []],
			[told.bytes, ['--kv-bytes', `${told.kv_bytes_option}`, '--parallel', `${streams}`]],
		]) {
			const server = await start(['--device', 'cpu', '--threads', '2', ...args.filter((a, i) => !(more.length && (/^(-np|--parallel)$/.test(a) || /^(-np|--parallel)$/.test(args[i - 1])))), ...more]);
			t.after(() => server.child.kill('SIGKILL'));
			const { weights, kv, scratch: rest } = (await server.health()).resident_bytes;
			assert.deepEqual({ weights, kv, scratch: rest, sum: weights + kv + rest, fits: true }, bytes, args.join(' '));
			await server.stop();
		}
	}
});

test('one byte too little is refused before a weight is read, with both numbers and what would fit', async () => {
	const told = cpu(windows), whole = told.serve_bytes.sum, least = told.bytes.sum;
	for (const [limit, fits] of [[least - 1, false], [least, true], [least + 1, true]])
		assert.equal(cpu(windows, '--ram-limit', `${limit}`).fits, fits);
	// A server has as many sequences as it may run, and so more scratch.
	const fewest = whole - told.serve_bytes.kv + told.kv_bytes_per_context;
	const { code, err } = await startFails([windows, '--port', '0', '--device', 'cpu', '--threads', '2', '--ram-limit', `${fewest - 1}`]);
	assert.equal(code, 1);
	assert.match(err, new RegExp(`needs ${fewest} bytes \\(.*: weights .*, KV .* for \\d+ blocks, scratch .*\\); the host has ${fewest - 1} bytes of memory available \\(.*, the limit that was set\\); a context of 480 positions would fit\n$`));
	const server = await start([windows, '--device', 'cpu', '--threads', '2', '--ram-limit', `${fewest}`]);
	assert.equal((await server.health()).resident_bytes.kv, told.kv_bytes_per_context);
	await server.stop();
	for (const args of [['run', windows, '-p', 'x', '-n', '1'], ['chat', windows]]) {
		const r = run(...args, '--device', 'cpu', '--ram-limit', '100K');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /^hokku: .* needs \d+ bytes .*; the host has 102400 bytes of memory available \(100\.0 KiB, the limit that was set\); its weights alone do not fit\n$/);
	}
});

test('the largest context and the most streams are where it turns', () => {
	const told = cpu(windows, '-np', '4', '--ram-limit', '6M');
	assert.ok(told.most_context < told.most_context_alone && told.most_context_alone <= 512, JSON.stringify(told));
	for (const [streams, most] of [[1, told.most_context_alone], [4, told.most_context]]) {
		if (most) assert.equal(cpu(windows, '-np', `${streams}`, '-c', `${most}`, '--ram-limit', '6M').fits, true);
		if (most < 512) assert.equal(cpu(windows, '-np', `${streams}`, '-c', `${most + 1}`, '--ram-limit', '6M').fits, false);
	}
	const n = cpu(windows, '-c', '64', '--ram-limit', '6M').most_parallel;
	assert.ok(n > 1 && n < 256, `${n}`);
	assert.deepEqual([n, n + 1].map((k) => cpu(windows, '-c', '64', '-np', `${k}`, '--ram-limit', '6M').fits), [true, false]);
});

test('a default context that does not fit is made as small as fits, is told, and changes no bit of an answer', async () => {
	const told = cpu(long), whole = told.serve_bytes.sum, limit = ['--ram-limit', `${whole - told.kv_bytes_per_context / 2}`];
	assert.equal(told.context, 32768);
	const less = cpu(long, ...limit);
	assert.ok(less.fits && less.context >= 16384 && less.context < 32768, `${less.context}`);
	const n = less.context.toLocaleString('en-US');
	assert.match(run('fit', long, '--device', 'cpu', '--no-measure', ...limit).stdout, new RegExp(`\n  context    ${n}, as much as fits: the default, 32,768, does not\n`));
	const answers = [];
	for (const args of [[], limit]) {
		const server = await start([long, '--device', 'cpu', '--threads', '2', ...args]);
		const n_ctx = args.length ? less.context : 32768;
		assert.equal((await server.health()).n_ctx, n_ctx);
		assert.equal((await (await fetch(`${server.url}/props`)).json()).default_generation_settings.n_ctx, n_ctx);
		const r = await post(server, '/v1/chat/completions', { messages: [{ role: 'user', content: 'winter rain' }], max_tokens: 30, seed: 5, logprobs: true, top_logprobs: 5 });
		answers.push(r.json.choices);
		await server.stop();
		const line = ` the context is ${n}, as much as fits on the CPU: 32,768 would be the default; --ctx N sets one, and is refused where it does not fit\n`;
		assert.equal(server.log.split(line).length - 1, args.length ? 1 : 0, server.log);
	}
	assert.deepEqual(answers[0], answers[1]);
	assert.ok(answers[0][0].logprobs.content.length > 5);
	const small = run('run', long, '-p', 'rain', '-n', '3', '--seed', '1', '--device', 'cpu', ...limit);
	assert.equal(small.status, 0, small.stderr);
	assert.match(small.stderr, /^hokku: the context is [\d,]+, as much as fits on the CPU: 32,768 would be the default; --ctx N sets one, and is refused where it does not fit\n$/);
	const refused = run('run', long, '-p', 'rain', '--device', 'cpu', '-c', '32768', ...limit);
	assert.equal(refused.status, 1);
	assert.match(refused.stderr, /^hokku: haiku needs \d+ bytes .* a context of \d+ positions would fit\n$/);
});

test('of several models each has the context that fits all their memory, whatever else is there', async () => {
	const told = cpu(long), bytes = told.serve_bytes.sum - told.kv_bytes_per_context / 2, fits = cpu(long, '--ram-limit', `${bytes}`).context;
	const server = await start([long, model('tiny'), '--device', 'cpu', '--threads', '2', '--models-memory', `${bytes}`]);
	const context = async () => (await (await fetch(`${server.url}/v1/models`)).json()).data.find((m) => m.id === 'long').max_model_len;
	const say = (name) => post(server, '/v1/completions', { model: name, prompt: 'rain', max_tokens: 2 });
	assert.equal(await context(), fits);
	for (const name of ['tiny', 'long', 'tiny']) {
		assert.equal((await say(name)).status, 200);
		assert.equal(await context(), fits);
		const shown = (await post(server, '/api/show', { model: 'long' })).json;
		if (name === 'long') assert.equal(shown.details.context_length, fits);
		const { models } = await (await fetch(`${server.url}/api/ps`)).json();
		assert.deepEqual(models.map((m) => m.name), [`${name}:latest`]);
		if (name === 'long') assert.equal(models[0].context_length, fits);
	}
	await server.stop();
	assert.match(server.log, new RegExp(`model 'long': the context is ${fits.toLocaleString('en-US')}, as much as fits on the CPU`));
});

test('for people: a verdict, what would fit, and how fast by what was measured', () => {
	const r = run('fit', windows, '--device', 'cpu', '-c', '256', '-np', '2');
	assert.equal(r.status, 0, r.stderr);
	assert.match(r.stdout, /^[^\n]*: gemma3, Q8_0, [\d,]+ parameters, [\d.]+ KiB\n2 streams, each with a context of 256 \(the model was trained for 512\)\n\ncpu \(.*, 2 threads\): fits, [\d.]+ MiB of [\d.]+ [MGT]iB available \(of [\d.]+ [MGT]iB\)\n {2}weights +[\d.]+ KiB +[\d,]+\n {2}KV /);
	assert.match(r.stdout, /\n {2}fits {7}a context of 512, which is all that it was trained for; 512 for each of 2 streams; 256 streams of 256, the most that there may be\n/);
	assert.match(r.stdout, /\n {2}decode {5}at most [\d,.]+ tokens\/s at the beginning, [\d,.]+ at a context of 256 \((memory|operations)\)\n {2}prefill {4}at most [\d,.]+ tokens\/s of a prompt of 256 \((memory|operations)\)\n {2}measured {3}memory is read at [\d.]+ GB\/s, products of bytes at \d+ G operations\/s\n$/);
	const no = run('fit', windows, '--device', 'cpu', '--ram-limit', '100K', '--no-measure');
	assert.equal(no.status, 0);
	assert.match(no.stdout, /\ncpu \(.*\): does not fit, [\d.]+ MiB of 100\.0 KiB available /);
	assert.match(no.stdout, /\n {2}fits {7}no context at all; 0 streams of 512\n$/);
});

test('bad input', () => {
	for (const [args, status, pattern] of [
		[['nosuch.gguf'], 1, /^hokku: nosuch\.gguf: No such file or directory\n$/],
		[['nosuchmodel'], 1, /^hokku: "nosuchmodel" is neither a file here nor a short name of a model/],
		[[`${archs}README.md`], 1, /^hokku: .*README\.md: /],
		[[scratch], 1, /^hokku: .*hokku-fit-/],
		[[windows, '-c', '513'], 1, /^hokku: a context of 513 was asked for; the model was trained for 512 at most\n$/],
		[[windows, '--parallel', '0'], 2, /--parallel is "0"; it takes a whole number from 1 to 256/],
		[[windows, '-np', '257'], 2, /is "257"; it takes a whole number from 1 to 256/],
		[[windows, '--device', 'cpuu'], 1, /^hokku: there is no device "cpuu" \(did you mean cpu\?\); hokku knows auto, cpu, cpu:reference, cuda, cuda:N\n$/],
		[[windows, '--device', 'cpu:reference'], 1, /^hokku: the device cpu:reference does not tell what it would take/],
		[[windows, '--device', 'cuda:7'], 1, /^hokku: --device cuda:7: there is no GPU plugin/],
		[[windows, '--kv-bytes', '1K'], 1, /^hokku: 1024 bytes of KV memory hold 0 blocks of 32 positions; 1 request of up to 512 positions need/],
		[[windows, '--device', 'cpu', '-ctk', 'f16x2'], 1, /^hokku: .*f16x2/],
		[[windows, windows], 2, /hokku fit: /],
		[[windows, '--ram-limit', '-1'], 2, /--ram-limit/],
	]) {
		const r = run('fit', '--no-measure', ...args);
		assert.equal(r.status, status, `${args}: ${r.stderr}`);
		assert.match(r.stderr, pattern, `${args}`);
		assert.equal(r.stdout, '');
	}
});

test('GPUs that do not tell are listed beside the CPU (tests/unit/compute/fake/plugin.c)', () => {
	const r = spawnSync(hokku, ['fit', windows, '--json', '--no-measure'], { encoding: 'utf8', env: { HOKKU_PLUGIN_PATH: `${process.env.HOKKU_BUILD_DIR}/tests/plugins/good` } });
	const { devices } = JSON.parse(r.stdout);
	assert.deepEqual(devices.map((d) => [d.device, d.fits, d.error]), [
		['cpu', true, undefined],
		['cuda:0', undefined, 'the device cuda:0 does not tell what it would take'],
		['cuda:1', undefined, 'the device cuda:1 does not tell what it would take'],
		['cuda:2', undefined, 'cuda:2 (Old Card) has compute capability 7.0; hokku needs 7.5 or later'],
	]);
});
