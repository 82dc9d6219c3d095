// `hokku run` as a user meets it, the help and the errors of every command, the library and its example.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, linkSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ended, within } from './waits.mjs';

const hokku = process.env.HOKKU;
const build = process.env.HOKKU_BUILD_DIR;
const scratch = mkdtempSync(join(tmpdir(), 'hokku-run-'));
after(() => rmSync(scratch, { recursive: true }));

const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOKKU_')));
const file = (name, content) => {
	writeFileSync(join(scratch, name), content);
	return join(scratch, name);
};

// Runs `hokku ARGS` in a folder that holds nothing; input goes to standard input.
const run = (args, { input = '', ...options } = {}) =>
	spawnSync(hokku, args, { encoding: 'utf8', cwd: scratch, env, input, timeout: 60000, ...options });

function answer(args, options) {
	const r = run(['run', ...args], options);
	assert.equal(r.status, 0, r.stderr);
	return r.stdout;
}

// A model that greedily writes on and on, in a context of a quarter of a million positions.
let long;
before(() => {
	const shape = file('long.json', JSON.stringify({
		architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_size: 64, intermediate_size: 128,
		num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 512,
		max_position_embeddings: 262144, rms_norm_eps: 1e-6, rope_theta: 1e6, tie_word_embeddings: true, hidden_act: 'silu',
	}));
	long = join(scratch, 'long.gguf');
	execFileSync(hokku, ['synth', '--shape', shape, '--type', 'F32', '-o', long], { stdio: 'pipe' });
});

const bundled = run(['run', '-p', 'x']).status === 0;
const needsBundled = { skip: bundled ? false : 'this build holds no model of its own' };

test('the bundled model writes a verse, in any folder, with nothing else there', needsBundled, () => {
	const r = run(['run', '-p', 'autumn rain', '--seed', '1'], { env: {}, cwd: '/' });
	assert.equal(r.status, 0, r.stderr);
	assert.equal(r.stderr, '');
	assert.match(r.stdout, /^[^\n]+\n[^\n]+\n[^\n]+\n$/);
});

test('the same request gives the same bytes; a reported seed brings an answer back', needsBundled, () => {
	const args = ['-p', 'the old pond', '--seed', '18446744073709551615'];
	const first = answer(args);
	assert.equal(answer(args), first);
	assert.equal(answer([...args, '--threads', '1']), first);
	assert.equal(answer([...args, '--threads', '3']), first);
	const free = run(['run', '-p', 'the old pond', '--verbose']);
	const seed = free.stderr.match(/seed (\d+)/)[1];
	assert.equal(answer(['-p', 'the old pond', '--seed', seed]), free.stdout);
	const texts = new Set([1, 2, 3, 4, 5].map((n) => answer(['-p', 'the old pond', '-s', String(n)])));
	assert.ok(texts.size >= 4, [...texts].join('---\n'));
});

test('a prompt from -p, -f, standard input and -f - is the same', needsBundled, () => {
	const expected = answer(['-p', 'snow', '--temp', '0']);
	assert.equal(answer(['-f', file('prompt', 'snow\n'), '--temp', '0']), expected);
	assert.equal(answer(['-f', file('prompt', 'snow\r\n'), '--temp', '0']), expected);
	assert.equal(answer(['--temp', '0'], { input: 'snow\n' }), expected);
	assert.equal(answer(['--temp', '0'], { input: 'snow\r\n' }), expected);
	// One line end, no more: what stands before it is the prompt's.
	assert.notEqual(answer(['--temp', '0'], { input: 'snow\r\n\r\n' }), expected);
	assert.equal(answer(['--temp', '0'], { input: 'snow\n\r\n' }), answer(['-p', 'snow\n', '--temp', '0']));
	assert.equal(answer(['--temp', '0'], { input: 'snow\r\r\n' }), answer(['-p', 'snow\r', '--temp', '0']));
	// A byte order mark is an editor's, no part of the text; of UTF-16 nothing could be read.
	assert.equal(answer(['-f', file('prompt', '\ufeffsnow\r\n'), '--temp', '0']), expected);
	const utf16 = file('prompt', Buffer.from('\ufeffsnow', 'utf16le'));
	assert.equal(run(['run', '-f', utf16]).stderr, `hokku: ${utf16}: it is UTF-16, as its byte order mark says; UTF-8 is wanted\n`);
	for (const input of ['\n', '\r\n', '\ufeff\n']) assert.match(run(['run'], { input }).stderr, /the prompt is empty/);
	assert.equal(answer(['--temp', '0'], { input: 'snow' }), expected);
	assert.equal(answer(['--temp', '0', '-f', '-'], { input: 'snow' }), expected);
	assert.equal(answer(['--temperature=0', '--prompt=snow']), expected);
});

test('--verbose tells the model and the timing on standard error', needsBundled, () => {
	const r = run(['run', '-p', 'snow', '-v', '-n', '3', '--seed', '5']);
	assert.match(r.stderr, /qwen2, Q8_0, [\d,]+ parameters, [\d.]+ MiB; tokenizer gpt2\/qwen2; cpu \(.*\); context \d+\n/);
	assert.match(r.stderr, /\d+ prompt tokens in [\d.]+ ms, 3 tokens in [\d.]+ ms \([\d.]+ tokens\/s\), the first after [\d.]+ ms; seed 5; stopped by: length\n/);
});

test('a date that the template puts into the prompt is told, to those who look', needsBundled, () => {
	const told = (template, ...args) => {
		const r = run(['run', '-p', 'x', '-n', '1', '--template-date', '2024-02-29', '--chat-template', `${template}{{ messages[0].content }}`, ...args]);
		assert.equal(r.status, 0, r.stderr);
		return r.stderr.match(/the prompt holds the date .*/)?.[0];
	};
	assert.match(told('{{ strftime_now("%Y") }}', '-v'), /^the prompt holds the date 2024-02-29\S* \(--template-date sets another\)$/);
	assert.deepEqual([told('{{ strftime_now("%Y") }}'), told('', '-v')], [undefined, undefined]);
});

test('--system and --raw change what the model reads', needsBundled, () => {
	const plain = answer(['-p', 'snow', '--temp', '0']);
	const raw = answer(['-p', '<|im_start|>user\nsnow<|im_end|>\n', '--raw', '--temp', '0', '-n', '20']);
	assert.notEqual(raw, plain); // the markers are plain text there
	assert.equal(answer(['--temp', '0', '-p', 'snow', '--system', 'You write haiku.']).length > 0, true);
});

test('stop texts end the answer before them and are never shown', needsBundled, () => {
	const whole = answer(['-p', 'snow', '--seed', '2']);
	const [first, second] = whole.split('\n');
	assert.equal(answer(['-p', 'snow', '--seed', '2', '--stop', '\n']), `${first}\n`);
	const word = second.slice(2, 6); // begins and ends inside words
	assert.equal(answer(['-p', 'snow', '--seed', '2', '--stop', 'never there', '--stop', word]).trimEnd(),
		whole.slice(0, whole.indexOf(word)).trimEnd());
});

test('text is written as it comes', async () => {
	const child = spawn(hokku, ['run', long, '-p', 'go', '--raw', '--temp', '0'], { env });
	let pieces = 0;
	const over = ended(child);
	await within(new Promise((resolve) => child.stdout.on('data', () => ++pieces === 5 && resolve())), 'five pieces of text');
	child.kill('SIGINT');
	assert.equal((await over).code, 130);
});

async function interrupt(args, delay, signal = 'SIGINT') {
	const child = spawn(hokku, ['run', long, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
	const exited = new Promise((resolve) => child.on('exit', (code) => resolve({ code, at: performance.now() })));
	let text = '';
	child.stdout.on('data', (data) => (text += data));
	await new Promise((resolve) => setTimeout(resolve, delay));
	const begin = performance.now();
	child.kill(signal);
	const { code, at } = await within(exited, 'it to end').finally(() => child.kill('SIGKILL'));
	return { code, ms: at - begin, text };
}

test('Ctrl-C ends it with 130: while it answers and while it reads a long prompt', async () => {
	const decoding = await interrupt(['--raw', '-p', 'go', '--temp', '0'], 700);
	assert.equal(decoding.code, 130);
	assert.ok(decoding.ms < 2000, `${decoding.ms} ms`);
	assert.ok(decoding.text.length > 0 && decoding.text.endsWith('\n'));
	const prompt = file('long.txt', 'the rain in spain '.repeat(1500));
	const reading = await interrupt(['--raw', '-f', prompt, '--device', 'cpu:reference'], 700);
	assert.equal(reading.code, 130);
	assert.ok(reading.ms < 2000, `${reading.ms} ms`);
	assert.equal(reading.text, '');
});

test('a reader that goes away ends it quietly', async () => {
	const child = spawn('sh', ['-c', '"$0" run "$1" --raw -p go --temp 0 | head -c 3', hokku, long], { env });
	let err = '';
	let out = '';
	child.stderr.on('data', (data) => (err += data));
	child.stdout.on('data', (data) => (out += data));
	await ended(child);
	assert.equal(out.length > 0, true);
	assert.equal(err, '');
});

test('a full disk is an error with its reason', { skip: existsSync('/dev/full') ? false : 'no /dev/full' }, () => {
	const full = openSync('/dev/full', 'w');
	const r = run(['run', long, '--raw', '-p', 'go', '--temp', '0', '-n', '5'], { stdio: ['ignore', full, 'pipe'] });
	closeSync(full);
	assert.equal(r.status, 1);
	assert.equal(r.stderr, 'hokku: standard output: No space left on device\n');
});

// [arguments, exit code, what standard error says]
const refused = [
	[['rnu'], 2, /^hokku: there is no command "rnu"; did you mean "run"\?/],
	[['xyzzy'], 2, /^hokku: there is no command "xyzzy" \(`hokku --help` lists them\)\n$/],
	[['run', '--temprature', '1'], 2, /there is no option --temprature; did you mean --temperature\? \(see hokku run --help\)\n$/],
	[['run', '--top_k', '1'], 2, /did you mean --top-k\?/],
	[['run', '-x'], 2, /there is no option -x/],
	[['run', '-p', 'x', '--temp', '101'], 2, /--temp is "101"; it takes a number from 0 to 100/],
	[['run', '-p', 'x', '--top-p', '0'], 2, /--top-p is "0"; it takes a number more than 0 and at most 1/],
	[['run', '-p', 'x', '--top-k', '-1'], 2, /--top-k is "-1"; it takes a whole number from 0 to 2147483647/],
	[['run', '-p', 'x', '--presence-penalty', '-2.1'], 2, /--presence-penalty is "-2.1"; it takes a number from -2 to 2/],
	[['run', '-p', 'x', '--min-p', 'nan'], 2, /--min-p is "nan"/],
	[['run', '-p', 'x', '--seed', '18446744073709551616'], 2, /--seed is "18446744073709551616"; it takes a whole number from 0 to 18446744073709551615/],
	[['run', '-p', 'x', '--seed', '1.5'], 2, /--seed is "1.5"; it takes a whole number/],
	[['run', '-p', 'x', '-n', '-3'], 2, /-n is "-3"; it takes a whole number from 0 to 2147483647/],
	[['run', '-p', 'x', '-n', '-1'], 2, /-n is "-1"; it takes a whole number from 0 to 2147483647/],
	[['run', '-p', 'x', '-n', '0'], 2, /-n is 0; it takes 1 to 2147483647 \(0 with --state and a prompt/],
	[['run', '-p', 'x', '--max-tokens=2147483648'], 2, /--max-tokens is "2147483648"; it takes a whole number from 0 to 2147483647/],
	[['run', '-p', 'x', '-n', '18446744073709551617'], 2, /-n is "18446744073709551617"; it takes a whole number from 0 to 2147483647/],
	[['convert', '.', '-o', '-'], 2, /-o is -; a GGUF file cannot go through a pipe, name a file/],
	[['synth', '--shape', 'qwen2.5-0.5b', '-t', 'Q8_0', '-o', '-'], 2, /-o is -; a GGUF file cannot go through a pipe/],
	[['run', '-p'], 2, /-p needs a value \(TEXT\)/],
	[['run', '-p', 'x', '-f', 'y'], 2, /-p and -f are both given; one is wanted/],
	[['run', '-p', 'x', '--raw', '--system', 'y'], 2, /--system needs the chat template that --raw leaves out/],
	[['run', 'a.gguf', 'b.gguf', '-p', 'x'], 2, /"b.gguf" is one word too many/],
	[['run', '-p', 'x', ...Array(17).fill(['--stop', 'y']).flat()], 2, /--stop may be given 16 times at most/],
	[['run', '-p', 'x', '--stop', ''], 2, /--stop is empty; it takes a text to stop at/],
	[['run', '-p', 'x', '--logit-bias', '5'], 2, /--logit-bias is "5"; it takes a token id, = and a number from -1000 to 1000 or false, as in 42=-5/],
	[['run', '-p', 'x', '--logit-bias', '5=1000.1'], 2, /--logit-bias is "5=1000.1"/],
	[['run', '-p', 'x', '--logit-bias', '5=nan'], 2, /--logit-bias is "5=nan"/],
	[['synth', '--shape', 'qwen2.5-0.5b', '-t', 'Q9', '-o', 'x'], 2, /--type is "Q9"; it takes one of those that --help lists/],
	[['run', '-p', 'x', '--logit-bias', '=5'], 2, /--logit-bias is "=5"/],
	[['run', '-p', 'x', '--logit-bias', '5=x'], 2, /--logit-bias is "5=x"/],
	[['run', '-p', 'x', '--logit-bias', '5+1001'], 2, /--logit-bias is "5\+1001"/],
	[['run', '-p', 'x', '--mirostat', '3'], 2, /--mirostat is "3"; it takes a whole number from 0 to 2/],
	[['run', '-p', 'x', '--typical', '0'], 2, /--typical is "0"; it takes a number more than 0 and at most 1/],
	[['run', '-p', 'x', '--bad-word', ''], 2, /--bad-word has 0 bytes; it takes 1 to 256/],
	[['run', '-p', 'x', '--stop-token', '-1'], 2, /--stop-token is "-1"; it takes a token id/],
	[['run', '-p', 'x', '--dry-sequence-breaker', 'x'.repeat(65)], 2, /--dry-sequence-breaker has 65 bytes; it takes 1 to 64/],
	[['run', 'nowhere.gguf', '-p', 'x'], 1, /^hokku: nowhere.gguf: No such file or directory\n$/],
	[['run', '/etc/passwd', '-p', 'x'], 1, /^hokku: \/etc\/passwd: /],
	[['run', '-f', 'nowhere.txt'], 1, /^hokku: nowhere.txt: No such file or directory\n$/],
];
for (const [args, status, message] of refused)
	test(`refused: hokku ${args.join(' ').slice(0, 60)}`, () => {
		const r = run(args);
		assert.match(r.stderr, message);
		assert.equal(r.status, status);
		assert.equal(r.stdout, '');
	});

test('what the model cannot serve names both numbers', () => {
	const prompt = file('prompt.txt', 'a'.repeat(3000));
	let r = run(['run', long, '--raw', '-f', prompt, '--ctx', '64']);
	assert.equal(r.status, 1);
	assert.match(r.stderr, /^hokku: the prompt has [\d,]+ tokens, the context holds 64\n$/);
	r = run(['run', long, '-p', 'x', '--ctx', '262145']);
	assert.equal(r.status, 1);
	assert.match(r.stderr, /a context of 262,145 was asked for; the model was trained for 262,144 at most/);
	r = run(['run', long, '-p', 'x', '--device', 'abacus']);
	assert.equal(r.status, 1);
	assert.match(r.stderr, /abacus/);
	r = run(['run', long], { input: '' });
	assert.equal(r.status, 1);
	assert.match(r.stderr, /the prompt is empty/);
});

test('closed standard streams are told and lend their numbers to nothing', () => {
	// Without a guard the pipe that wakes `run` takes numbers 0 and 1, and the answer lands in it.
	const sh = (redirect, args) => spawnSync('sh', ['-c', `exec "$0" "$@" ${redirect}`, hokku, ...args], { encoding: 'utf8', cwd: scratch, env, timeout: 60000 });
	const args = ['run', long, '--raw', '-p', 'go', '--temp', '0', '-n', '40'];
	for (const redirect of ['>&-', '<&- >&-']) {
		const r = sh(redirect, args);
		assert.equal(r.stderr, 'hokku: standard output: Bad file descriptor\n', redirect);
		assert.equal(r.status, 1);
	}
	assert.equal(sh('<&- >&- 2>&-', args).status, 1);
	assert.equal(sh('<&- 2>&-', args).stdout, answer(args.slice(1)));
	assert.equal(sh('<&-', ['run', long]).stderr, 'hokku: standard input: Bad file descriptor\n');
});

test('logits: the bundled model without MODEL, the context is a limit, the model is not overwritten', () => {
	const ids = (n) => Array(n).fill('1').join();
	const small = join(scratch, 'small.gguf');
	const shape = file('small.json', JSON.stringify({
		architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_size: 64, intermediate_size: 64,
		num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1, vocab_size: 512,
		max_position_embeddings: 8, rms_norm_eps: 1e-6, rope_theta: 1e4, tie_word_embeddings: true, hidden_act: 'silu',
	}));
	execFileSync(hokku, ['synth', '--shape', shape, '--type', 'F32', '-o', small], { stdio: 'pipe' });
	for (const [n, status] of [[7, 0], [8, 0], [9, 1]]) {
		const r = run(['logits', small, '--tokens', ids(n), '-o', 'out.npy']);
		assert.equal(r.status, status, r.stderr);
		if (status) assert.equal(r.stderr, "hokku: --tokens has 9 ids; the model's context holds 8\n");
	}
	for (const [ctx, n, wanted] of [
		[8, 8, ''], [7, 7, ''], [7, 8, 'hokku: --tokens has 8 ids; --ctx holds 7\n'], [9, 1, 'hokku: --ctx is 9; the model was trained for 8 at most\n'],
	]) {
		const r = run(['logits', small, '--tokens', ids(n), '--ctx', String(ctx), '-o', 'out.npy']);
		assert.equal(r.status, wanted ? 1 : 0);
		if (wanted) assert.equal(r.stderr, wanted);
	}
	const before = readFileSync(small);
	linkSync(small, join(scratch, 'other-name.gguf'));
	for (const name of ['small.gguf', './small.gguf', 'other-name.gguf']) {
		const r = run(['logits', 'small.gguf', '--tokens', '1', '-o', name]);
		assert.equal(r.stderr, `hokku: -o ${name} would overwrite the model\n`);
		assert.equal(r.status, 1);
	}
	assert.deepEqual(readFileSync(small), before);
	if (bundled) assert.equal(run(['logits', '--tokens', '1', '-o', 'out.npy']).status, 0);
});

test('a made-up model does not tell where its config.json lay', () => {
	mkdirSync(join(scratch, 'elsewhere'));
	copyFileSync(join(scratch, 'long.json'), join(scratch, 'elsewhere', 'config.json'));
	execFileSync(hokku, ['synth', '--shape', 'elsewhere/config.json', '-t', 'F32', '-o', 'again.gguf'], { cwd: scratch, stdio: 'pipe' });
	assert.deepEqual(readFileSync(join(scratch, 'again.gguf')), readFileSync(long));
});

test('a vocabulary without weights is told from a model', () => {
	const bytes = readFileSync(long), bare = Buffer.from(bytes);
	bare.writeBigUInt64LE(0n, 8); // the number of tensors
	file('bare.gguf', bare);
	for (const args of [['run', 'bare.gguf', '-p', 'x'], ['logits', 'bare.gguf', '--tokens', '1', '-o', 'x'], ['bench', 'bare.gguf']])
		assert.equal(run(args).stderr, 'hokku: bare.gguf: this is a vocabulary: it has no tensors, so it can be tokenized with but not run; give a file with the weights\n');
});

test('a fault of a tokenizer names the file, once', () => {
	const bytes = readFileSync(long);
	const at = bytes.indexOf('tokenizer.ggml.model');
	const renamed = Buffer.from(bytes);
	renamed.write('tokenizer.ggml.moral', at);
	file('renamed.gguf', renamed);
	const unknown = Buffer.from(bytes);
	unknown.write('gpt3', at + 'tokenizer.ggml.model'.length + 4 + 8);
	file('unknown.gguf', unknown);
	for (const args of [['run', 'NAME', '-p', 'x'], ['tokenize', 'NAME', '-p', 'x'], ['detokenize', 'NAME', '1']]) {
		const said = (name) => run(args.map((word) => (word === 'NAME' ? name : word))).stderr;
		assert.equal(said('renamed.gguf'), 'hokku: renamed.gguf: key "tokenizer.ggml.model" is missing; a string is wanted\n');
		assert.match(said('unknown.gguf'), /^hokku: unknown.gguf: tokenizer.ggml.model is "gpt3"; /);
	}
});

test('--logit-bias forces and forbids tokens', () => {
	const args = [long, '--raw', '-p', 'go', '--temp', '0', '-n', '4', '--logit-bias'];
	const forced = answer([...args, '64=1000']);
	assert.match(forced, /^(.)\1{3}\n$/s);
	assert.notEqual(answer([...args, '65=1000']), forced);
	assert.equal(answer([...args, '64+1000']), forced); // as llama.cpp writes it
	assert.doesNotMatch(answer([...args, '64=1000', '--logit-bias', '64=false']), new RegExp(forced[0]));
	const r = run(['run', ...args, '512=1']);
	assert.equal(r.status, 1);
	assert.match(r.stderr, /logit_bias names token 512; the vocabulary has 0 to 511/);
});

test('which tokens come, and what ends the answer', () => {
	const args = [long, '--raw', '-p', 'go', '--temp', '0', '-n', '6'];
	const only = answer([...args, '--allowed-token', '64', '--allowed-token', '65']);
	assert.equal(new Set(only.trim()).size <= 2, true, only);
	assert.equal(answer([...args, '--logit-bias', '64=1000', '--stop-token', '64', '--include-stop']).trim().length, 1);
	assert.equal(answer([...args, '--logit-bias', '64=1000', '--stop-token', '64', '--min-tokens', '5', '--include-stop']).length > 4, true);
	const r = run(['run', ...args, '--allowed-token', '64', '--logit-bias', '64=false']);
	assert.deepEqual([r.status, /no token may come at position/.test(r.stderr)], [1, true], r.stderr);
});

test('variables set options, and the command line wins', () => {
	const set = (value, args = []) => run(['run', long, '--raw', '-p', 'x', '-n', '1', '-v', ...args], { env: { ...env, HOKKU_CTX: value } });
	assert.match(set('128').stderr, /context 128\n/);
	assert.match(set('128', ['--ctx', '64']).stderr, /context 64\n/);
	const r = set('many');
	assert.equal(r.status, 2);
	assert.match(r.stderr, /HOKKU_CTX is "many"; it takes a whole number/);
});

test('every command has help with its usage and an example', () => {
	const list = run(['--help']);
	assert.equal(list.status, 0);
	const names = [...list.stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map((m) => m[1]);
	assert.ok(names.length >= 6 && names.includes('run') && names.includes('serve'), names.join());
	for (const name of names) {
		const help = run([name, '--help']);
		assert.equal(help.status, 0, name);
		assert.equal(help.stderr, '');
		assert.match(help.stdout, new RegExp(`^usage: hokku ${name}`), name);
		assert.match(help.stdout, new RegExp(`Examples?:[^]*hokku ${name}`), name);
		assert.equal(run(['help', name]).stdout, help.stdout);
		assert.equal(run([name, '--no-such-option']).status, 2, name);
	}
	assert.equal(run([]).status, 2);
	assert.equal(run(['--version']).stdout, run(['version']).stdout);
});

test('the library exports what the header marks, and nothing else', (t) => {
	const header = execFileSync('cat', [new URL('../../include/hokku.h', import.meta.url).pathname], { encoding: 'utf8' });
	const declared = [...header.matchAll(/^HOKKU_API [^;]*?(hokku_\w+)\(/gm)].map((m) => m[1]).sort();
	assert.ok(declared.length >= 10);
	const library = join(build, 'libhokku.so');
	if (spawnSync('nm', ['--version']).error) return t.skip('no nm');
	const symbols = execFileSync('nm', ['-D', '--defined-only', '--format=posix', library], { encoding: 'utf8' });
	const exported = symbols.trim().split('\n').map((line) => line.split(' ')[0].split('@')[0]);
	// what a sanitizer or the coverage counter adds is not ours
	const ours = exported.filter((name) => !/^(__|_init$|_fini$|gcov|mangle_path)/.test(name)).sort();
	assert.deepEqual(ours, declared);
});

test('pkg-config finds the library wherever it was installed', (t) => {
	if (spawnSync('pkg-config', ['--version']).error) return t.skip('no pkg-config');
	const folder = join(scratch, 'any where/lib/pkgconfig');
	mkdirSync(folder, { recursive: true });
	copyFileSync(join(build, 'hokku.pc'), join(folder, 'hokku.pc'));
	const ask = (what) => execFileSync('pkg-config', [what, 'hokku'], { encoding: 'utf8', env: { ...env, PKG_CONFIG_PATH: folder } }).replaceAll('\\', '').trim();
	assert.equal(ask('--cflags'), `-I${folder}/../../include`);
	assert.equal(ask('--libs'), `-L${folder}/../../lib -lhokku`);
	assert.equal(ask('--modversion'), run(['version']).stdout.split(/\s/)[1]);
});

test('the example streams an answer through the library', needsBundled, () => {
	const example = join(build, 'examples/example_stream');
	const r = spawnSync(example, ['autumn rain'], { encoding: 'utf8', cwd: scratch });
	assert.equal(r.status, 0, r.stderr);
	assert.equal(r.stdout.trim().split('\n').length, 3, r.stdout);
	assert.match(r.stderr, /\d+ tokens, the first after \d+ ms, seed \d+\n$/);
	const bad = spawnSync(example, ['x', 'nowhere.gguf'], { encoding: 'utf8', cwd: scratch });
	assert.equal(bad.status, 1);
	assert.equal(bad.stderr, 'nowhere.gguf: No such file or directory\n');
});
