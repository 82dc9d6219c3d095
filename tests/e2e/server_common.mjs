// What the server's tests share: tiny models, a server on a free port, raw HTTP, server-sent events.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { ended, sleep, until, within } from './waits.mjs';

export { ended, sleep, until, within };

export const hokku = process.env.HOKKU;
export const folder = join(process.env.HOKKU_BUILD_DIR ?? tmpdir(), 'server-tests');

// How much longer than promised a thing may take here: a sanitizer in the program, other work on the machine.
export const sanitized = hokku && readFileSync(hokku, 'latin1').match(/__(asan|tsan)_init/)?.[1];
export const slack = () => Math.max(1, (1.5 * loadavg()[0]) / cpus().length) * (sanitized ? 5 : 1);

// The synthetic vocabulary's special tokens come last: without them an answer goes on until it is told to stop.
export const endless = { logit_bias: { 509: -100, 510: -100, 511: -100 } };

const base = {
	architectures: ['Qwen2ForCausalLM'],
	model_type: 'qwen2',
	hidden_size: 64,
	intermediate_size: 128,
	num_hidden_layers: 2,
	num_attention_heads: 4,
	num_key_value_heads: 2,
	vocab_size: 512,
	max_position_embeddings: 512,
	rms_norm_eps: 1e-6,
	rope_theta: 1e6,
	tie_word_embeddings: true,
	hidden_act: 'silu',
};
const shapes = {
	tiny: {}, // 512 positions
	long: { max_position_embeddings: 262144 }, // an answer that nobody waits for
	wide: { vocab_size: 151936 }, // takes a while to load
};

// Makes the model once; several test files may want it at the same moment.
export function model(name) {
	const path = join(folder, `${name}.gguf`);
	if (existsSync(path)) return path;
	mkdirSync(folder, { recursive: true });
	const unique = `${path}.${process.pid}`;
	writeFileSync(`${unique}.json`, JSON.stringify({ ...base, ...shapes[name] }));
	execFileSync(hokku, ['synth', '--shape', `${unique}.json`, '--type', 'F32', '--seed', '1', '-o', unique], { stdio: 'pipe' });
	renameSync(unique, path);
	return path;
}

// Two of these programs run at once, and threads of one that each have a CPU wait awake, for those of the other: more threads than CPUs
// wait asleep. Under a sanitizer that was a third of all time.
const threads = sanitized ? { HOKKU_THREADS: String(cpus().length + 1) } : {};
const cleanEnv = () => ({ ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('HOKKU'))), ...threads });

// A test that fails may leave its server, for which the test's process would wait until its own time was up.
const alive = new Set();
const patience = 60000;
if (process.argv[1]?.endsWith('.test.mjs'))
	after(() => setTimeout(() => alive.forEach((child) => child.kill('SIGKILL')), patience).unref());

// Runs `hokku serve ARGS`; resolves once it listens. exited resolves to {code, signal}.
export async function start(args, { env = {}, ready = true } = {}) {
	const child = spawn(hokku, ['serve', '--port', '0', '--log-level', 'debug', ...args], {
		stdio: ['ignore', 'pipe', 'pipe'],
		env: { ...cleanEnv(), ...env },
	});
	const server = { child, log: '', stdout: '' };
	alive.add(child);
	server.exited = new Promise((resolve) => child.on('close', (code, signal) => {
		alive.delete(child);
		resolve({ code, signal });
	}));
	child.stdout.on('data', (data) => (server.stdout += data));
	server.url = await within(new Promise((resolve, reject) => {
		child.stderr.on('data', (data) => {
			server.log += data;
			const match = server.log.match(/^hokku: listening on (https?:\/\/\S+)$/m);
			if (match) resolve(match[1]);
		});
		server.exited.then(({ code }) => reject(new Error(`the server ended with ${code}: ${server.log}`)));
	}), 'the server to listen');
	server.port = Number(server.url.match(/:(\d+)$/)[1]);
	server.fds = () => readdirSync(`/proc/${child.pid}/fd`).length;
	server.health = async () => JSON.parse((await raw(server.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).body);
	if (ready) {
		const over = server.exited.then(({ code }) => Promise.reject(new Error(`the server ended with ${code}: ${server.log}`)));
		const loaded = until(async () => (await server.health()).status === 'ok', 60000, 'the server to be ready');
		loaded.catch(() => {});
		over.catch(() => {});
		await Promise.race([loaded, over]).catch(async (error) => {
			await sleep(200); // an ending server closes its connections before it says why
			throw server.child.exitCode === null ? error : await over.catch((why) => why);
		});
	}
	// SIGTERM; a sanitizer that found something makes the exit code other than 0.
	server.stop = async () => {
		child.kill('SIGTERM');
		const end = await within(server.exited, 'the server to end').catch((error) => Promise.reject(new Error(`${error.message}: ${server.log.slice(-4000)}`)));
		assert.deepEqual(end, { code: 0, signal: null }, server.log.slice(-4000));
	};
	return server;
}

// Runs `hokku serve ARGS` that must end by itself.
export async function startFails(args, env = {}) {
	const child = spawn(hokku, ['serve', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...cleanEnv(), ...env } });
	let err = '';
	child.stderr.on('data', (data) => (err += data));
	const { code } = await ended(child);
	return { code, err };
}

export function connect(port) {
	return within(new Promise((resolve, reject) => {
		const socket = net.connect(port, '127.0.0.1', () => resolve(socket));
		socket.on('error', reject);
		socket.on('error', () => {}); // a reset is none of the test's business
	}), 'a connection');
}

function parse(text) {
	const head = text.indexOf('\r\n\r\n');
	if (head < 0) return { status: 0, headers: {}, body: '', text };
	const [line, ...rest] = text.slice(0, head).split('\r\n');
	const headers = Object.fromEntries(rest.map((h) => [h.slice(0, h.indexOf(':')).toLowerCase(), h.slice(h.indexOf(':') + 2)]));
	return { status: Number(line.split(' ')[1]), headers, body: text.slice(head + 4), text };
}

// Sends bytes and reads until the server closes.
export async function raw(port, ...pieces) {
	const socket = await connect(port);
	const chunks = [];
	socket.on('data', (data) => chunks.push(data));
	const closed = new Promise((resolve) => socket.on('close', resolve));
	for (const piece of pieces) socket.write(piece);
	await within(closed, 'the server to close the connection');
	return parse(Buffer.concat(chunks).toString());
}

export async function post(server, path, body, headers = {}) {
	const response = await fetch(server.url + path, {
		method: 'POST',
		headers: { 'Content-Type': 'application/json', ...headers },
		body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
	});
	const text = await response.text();
	let json;
	try {
		json = JSON.parse(text);
	} catch {
		json = undefined;
	}
	return { status: response.status, headers: response.headers, text, json };
}

export const generate = (server, body, headers) => post(server, '/v1/generate', body, headers);

export function events(text) {
	return text
		.split('\n\n')
		.slice(0, -1) // what follows the last blank line is not whole yet
		.filter((block) => block.startsWith('event:'))
		.map((block) => {
			const [, kind, data] = block.match(/^event: (\w+)\ndata: (.*)$/);
			return { kind, data: JSON.parse(data) };
		});
}

// A streamed request that is looked at while it runs.
export async function stream(server, body, headers = {}) {
	const controller = new AbortController();
	const response = await fetch(`${server.url}/v1/generate`, {
		method: 'POST',
		headers: { 'Content-Type': 'application/json', ...headers },
		body: JSON.stringify(body),
		signal: controller.signal,
	});
	const s = { status: response.status, headers: response.headers, text: '', events: () => events(s.text) };
	s.done = (async () => {
		try {
			for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) s.text += chunk;
		} catch (error) {
			if (error.name !== 'AbortError') s.error = error;
		}
	})();
	s.abort = () => controller.abort();
	s.saw = (kind) => until(() => s.events().some((e) => e.kind === kind), 20000, `the event ${kind}`);
	return s;
}

export const idle = async (server) => {
	const { queue } = await server.health();
	return queue.running === 0 && queue.queued === 0;
};
