// A model's file under a running program: cut, overwritten, replaced. What was loaded answers on, to the byte, and no
// program ends by a signal. What a loaded model keeps in memory is its weights, once.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, linkSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generate, hokku, model, sanitized, sleep, start } from './server_common.mjs';
import { ended, until } from './waits.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'hokku-files-'));
after(() => rmSync(scratch, { recursive: true }));
const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('HOKKU')));

const fresh = (name) => {
	const path = join(scratch, `${name}.gguf`);
	copyFileSync(model('long'), path);
	return path;
};

// Other bytes in place, the same length.
const overwrite = (path) => {
	const fd = openSync(path, 'r+');
	writeSync(fd, Buffer.alloc(statSync(path).size, 0xff), 0);
	closeSync(fd);
};

const body = { prompt: 'go', raw: true, stream: false, max_tokens: 40, temperature: 0, logit_bias: { 509: -100, 510: -100, 511: -100 } };

for (const device of ['cpu', 'cpu:reference'])
	test(`a served model's file may become what it will (${device})`, async (t) => {
		const path = fresh(`served-${device.replace(':', '-')}`);
		const server = await start([path, '--device', device, '--ctx', '128']);
		t.after(() => server.child.kill('SIGKILL')); // whatever fails: no server is left
		const before = await generate(server, body);
		assert.equal(before.status, 200);
		for (const spoil of [
			() => overwrite(path),
			() => truncateSync(path, 1000),
			() => truncateSync(path, 0),
			() => { writeFileSync(`${path}.new`, 'something else'); renameSync(`${path}.new`, path); },
			() => rmSync(path),
		]) {
			spoil();
			const now = await generate(server, body);
			assert.deepEqual([now.status, now.json.text], [200, before.json.text]);
			assert.equal((await server.health()).status, 'ok');
		}
		await server.stop();
	});

test('run and bench go on when their file is cut', async () => {
	for (const args of [['run', '-p', 'go', '--raw', '--temp', '0', '-n', '400', '--ctx', '512'], ['bench', '--prefill', '40', '--decode', '200', '-n', '20']]) {
		const path = fresh('cut');
		const [command, ...rest] = args;
		const child = spawn(hokku, [command, path, '--device', 'cpu', ...rest], { env });
		let out = '';
		child.stdout.on('data', (data) => (out += data));
		const end = ended(child);
		if (command === 'run') await until(() => out, 60000, 'the answer to begin');
		else await sleep(300);
		truncateSync(path, 0);
		const { code, signal } = await end;
		assert.equal(signal, null, command);
		if (command === 'run') {
			const whole = spawnSync(hokku, ['run', model('long'), '--device', 'cpu', ...rest], { env, encoding: 'utf8' });
			assert.deepEqual([code, out], [0, whole.stdout]);
		} else assert.ok(code === 0 || code === 1);
	}
});

test('a file that is cut before or while it is loaded is an error', () => {
	const path = fresh('short');
	truncateSync(path, statSync(path).size - 1);
	for (const args of [['run', path, '-p', 'x'], ['bench', path], ['inspect', path]]) {
		const r = spawnSync(hokku, args, { env, encoding: 'utf8' });
		assert.deepEqual([r.status, r.signal], [1, null]);
		assert.match(r.stderr, /is it cut short\?/);
	}
});

const memory = (pid) => {
	const status = readFileSync(`/proc/${pid}/status`, 'utf8');
	return (key) => Number(status.match(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm'))[1]) * 1024;
};

test('weights are in memory once', { skip: sanitized && 'a sanitizer keeps memory of its own' }, async (t) => {
	const config = {
		architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_size: 256, intermediate_size: 512, num_hidden_layers: 2,
		num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 151936, max_position_embeddings: 512, rms_norm_eps: 1e-6,
		rope_theta: 1e6, hidden_act: 'silu',
	};
	for (const tied of [false, true])
		for (const [type, device] of [['F16', 'cpu'], ['Q8_0', 'cpu'], ['Q8_0', 'cpu:reference']]) {
			const json = join(scratch, 'memory.json'), path = join(scratch, 'memory.gguf'), none = join(scratch, 'none.gguf');
			const make = (vocab, out) => {
				writeFileSync(json, JSON.stringify({ ...config, vocab_size: vocab, tie_word_embeddings: tied }));
				execFileSync(hokku, ['synth', '--shape', json, '--type', type, '-o', out], { stdio: 'pipe' });
			};
			make(config.vocab_size, path);
			make(512, none);
			const resident = [];
			for (const file of [none, path]) {
				const server = await start([file, '--device', device, '--ctx', '32', '--threads', '2']);
				t.after(() => server.child.kill('SIGKILL'));
				await generate(server, { ...body, max_tokens: 2 });
				const of = memory(server.child.pid);
				resident.push({ all: of('VmRSS'), file: of('RssFile') });
				await server.stop();
			}
			const bytes = statSync(path).size - statSync(none).size, more = resident[1].all - resident[0].all;
			const header = 24 << 20; // a vocabulary of 151,936: its texts as they stand in the file, and the tokenizer's tables
			assert.ok(resident[1].file - resident[0].file < 4 << 20, `${resident[1].file - resident[0].file} bytes more of files`);
			assert.ok(more < bytes + header, `${type} ${device} ${tied}: ${more} bytes more for a file of ${bytes} more`);
		}
});

// ---- what is written ----

const shape = () => {
	const path = join(scratch, 'shape.json');
	writeFileSync(path, JSON.stringify({
		architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 12,
		num_attention_heads: 16, num_key_value_heads: 16, vocab_size: 32000, max_position_embeddings: 512, rms_norm_eps: 1e-6,
		rope_theta: 1e6, tie_word_embeddings: true, hidden_act: 'silu',
	}));
	return path;
};

// Begins a synth of some 800 MB into an empty folder, and calls meddle once its file is there.
const interrupted = async (meddle, { old = false } = {}) => {
	const folder = mkdtempSync(join(scratch, 'written-')), out = join(folder, 'out.gguf');
	if (old) writeFileSync(out, 'old');
	const child = spawn(hokku, ['synth', '--shape', shape(), '--type', 'F32', '-o', out], { env, stdio: ['ignore', 'ignore', 'pipe'] });
	let err = '';
	child.stderr.on('data', (data) => (err += data));
	const end = ended(child);
	const holds = () => readdirSync(`/proc/${child.pid}/fd`).some((fd) => {
		try {
			return readlinkSync(`/proc/${child.pid}/fd/${fd}`).startsWith(folder);
		} catch {
			return false;
		}
	});
	await until(holds, 60000, 'the file to be opened');
	meddle(child);
	const how = await end;
	return { ...how, err, left: readdirSync(folder), out, folder };
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGPIPE', 'SIGXFSZ', 'SIGXCPU'])
	test(`${signal} leaves nothing behind`, async () => {
		for (const old of [false, true]) {
			const r = await interrupted((child) => child.kill(signal), { old });
			assert.deepEqual([r.code, r.signal, r.left], [130, null, old ? ['out.gguf'] : []], r.err);
			assert.match(r.err, /interrupted; .*out\.gguf was not written\n$/);
			if (old) assert.equal(readFileSync(r.out, 'utf8'), 'old');
		}
	});

test('nor do signals that nobody can wait for, where files may have no name', async (t) => {
	for (const signal of ['SIGKILL', 'SIGUSR1', 'SIGALRM']) {
		const r = await interrupted((child) => child.kill(signal));
		assert.equal(r.signal, signal);
		if (r.left.length) return t.skip('this file system knows no files without a name');
	}
});

test('nor does a limit on the size of files', () => {
	const folder = mkdtempSync(join(scratch, 'written-')), out = join(folder, 'out.gguf');
	const r = spawnSync('bash', ['-c', 'ulimit -f 20000; exec "$@"', 'bash', hokku, 'synth', '--shape', shape(), '--type', 'F32', '-o', out],
		{ env, encoding: 'utf8' });
	assert.deepEqual([r.status, r.signal, readdirSync(folder)], [1, null, []]);
	assert.match(r.stderr, /out\.gguf: the \d+ bytes it needs cannot be had: File too large\n$/);
});

test('a signal that was ignored stays so, as nohup has it', () => {
	const folder = mkdtempSync(join(scratch, 'written-')), out = join(folder, 'out.gguf');
	const r = spawnSync('bash', ['-c', 'trap "" HUP; "$@" & sleep 0.05; kill -HUP $!; wait $!', 'bash', hokku, 'synth', '--shape', 'qwen2.5-0.5b', '--type', 'Q4_0', '-o', out],
		{ env, encoding: 'utf8' });
	assert.deepEqual([r.status, readdirSync(folder)], [0, ['out.gguf']], r.stderr);
	rmSync(folder, { recursive: true });
});

test('what is converted is a folder', () => {
	const file = fresh('converted'), text = join(scratch, 'some.json'), out = join(scratch, 'none.gguf');
	writeFileSync(text, '{}');
	for (const [dir, message] of [
		[file, `${file}: is a GGUF file already, not a folder with a model's config.json`],
		[text, `${text}: is a file, not a folder with a model's config.json`],
		[join(scratch, 'nowhere'), `${join(scratch, 'nowhere')}: No such file or directory; a folder with a model's config.json is wanted`],
		['', 'the path of the folder is empty'],
	]) {
		const r = spawnSync(hokku, ['convert', dir, '-o', out], { env, encoding: 'utf8' });
		assert.deepEqual([r.status, r.stderr], [1, `hokku: ${message}\n`]);
	}
	assert.ok(!readdirSync(scratch).includes('none.gguf'));
});

test('a result never goes over what it is made of', () => {
	const folder = mkdtempSync(join(scratch, 'input-')), at = (name) => join(folder, name);
	const config = readFileSync(shape(), 'utf8');
	writeFileSync(at('config.json'), config);
	symlinkSync('config.json', at('soft.gguf'));
	linkSync(at('config.json'), at('hard.gguf'));
	for (const out of ['config.json', 'soft.gguf', 'hard.gguf']) {
		const r = spawnSync(hokku, ['synth', '--shape', at('config.json'), '--type', 'F32', '-o', at(out)], { env, encoding: 'utf8' });
		assert.equal(r.status, 1);
		assert.equal(r.stderr, `hokku: ${at(out)}: is ${at('config.json')}, which the conversion reads; name another file for its result\n`);
	}
	assert.equal(readFileSync(at('config.json'), 'utf8'), config);
	assert.equal(readdirSync(folder).length, 3);
});
