// `hokku chat` through a pipe, and on a terminal: that of util-linux's `script`, which every Debian has.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const hokku = process.env.HOKKU;
const scratch = mkdtempSync(join(tmpdir(), 'hokku-chat-'));
after(() => rmSync(scratch, { recursive: true }));
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HOKKU_') && name !== 'NO_COLOR'));
env.TERM = 'xterm';
env.HOME = scratch;
env.LC_ALL = 'C.UTF-8';

const run = (args, input = '') => spawnSync(hokku, args, { encoding: 'utf8', cwd: scratch, env, input, timeout: 60000 });
function chat(lines, ...args) {
	const r = run(['chat', '--temperature', '0', ...args], lines.join('\n') + '\n');
	assert.equal(r.status, 0, r.stderr);
	return r.stdout;
}
const saved = (name) => JSON.parse(readFileSync(join(scratch, name), 'utf8')).messages;

const needsBundled = { skip: run(['run', '-p', 'x']).status === 0 ? false : 'this build holds no model of its own' };

// Thinks: its template begins every answer with it.
const thinking = join(scratch, 'think.jinja');
writeFileSync(thinking, `{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == 'assistant' and m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% endfor %}<|im_start|>assistant
<think>
`);

test('through a pipe each line is a message of one conversation', needsBundled, () => {
	const first = run(['run', '-p', 'autumn rain', '--temperature', '0']).stdout;
	assert.equal(chat(['autumn rain']), first);
	const both = chat(['autumn rain', '', 'snow', '/save both.json']);
	assert.ok(both.startsWith(first));
	const messages = saved('both.json');
	assert.deepEqual(messages.map((m) => m.role), ['user', 'assistant', 'user', 'assistant']);
	assert.equal(both, `${messages[1].content}\n${messages[3].content}\n`);
	assert.deepEqual([messages[0].content, messages[2].content], ['autumn rain', 'snow']);
	// The second answer is one to all of the conversation: a new one's is another.
	assert.equal(chat(['autumn rain', '/clear', 'snow']), first + chat(['snow']));
	assert.notEqual(chat(['autumn rain', '/clear', 'snow']), both);
	// As Windows writes lines, and without an end of the last.
	assert.equal(run(['chat', '--temperature', '0'], 'autumn rain\r\nsnow').stdout, both);
});

test('lines that go on, and messages that begin with /', needsBundled, () => {
	chat(['"""one', 'two"""', 'three\\', 'four', '//etc/passwd', '"""/help"""', '/system """a', 'b"""', '/save lines.json']);
	assert.deepEqual(saved('lines.json').filter((m) => m.role !== 'assistant').map((m) => m.content),
		['a\nb', 'one\ntwo', 'three\nfour', '/etc/passwd', '/help']);
	// A backslash before the input's end.
	assert.equal(run(['chat', '--temperature', '0'], 'snow\\').stdout, chat(['"""snow', '', '"""']));
});

test('/retry and /regen take back; the seed is the same, or the next', needsBundled, () => {
	const seeded = (lines, seed) => chat(lines, '--temperature', '1', '--seed', String(seed));
	const [one, two, three] = [1, 2, 3].map((seed) => seeded(['snow'], seed));
	assert.notEqual(one, two);
	assert.equal(seeded(['snow', '/retry'], 1), one + one);
	assert.equal(seeded(['snow', '/regen', '/regen'], 1), one + two + three);
	assert.equal(seeded(['snow', '/regen', '/retry'], 1), one + two + two);
	assert.equal(seeded(['snow', '/set seed 3', '/retry'], 1), one + three);
	assert.equal(seeded(['ice', '/retry snow', '/save retried.json'], 1), seeded(['ice'], 1) + one);
	assert.deepEqual(saved('retried.json').map((m) => m.content), ['snow', one.trimEnd()]);
	// Without a seed each answer has its own.
	const free = chat(['snow', '/regen', '/regen', '/regen', '/regen'], '--temperature', '1');
	assert.ok(new Set(free.match(/.*\n.*\n.*\n/g)).size > 1, free);
});

test('/save and /load: a conversation goes on as if it had not been left', needsBundled, () => {
	const whole = chat(['/system Be brief.', 'autumn rain', 'snow']);
	const begun = chat(['/system Be brief.', 'autumn rain', '/save ~/kept.json']);
	assert.equal(begun + chat(['/load kept.json', 'snow', '/save kept.json']), whole);
	assert.equal(saved('kept.json').length, 5);
	assert.equal(begun, chat(['/load kept.json', '/clear', 'autumn rain']), 'the system message stays');
	// What is not this conversation's is not written over.
	const r = run(['chat'], '/save kept.json\n');
	assert.equal(r.status, 1);
	assert.match(r.stderr, /^hokku: "kept.json" is there already, and is not where this conversation was kept; give another name/);
	assert.equal(saved('kept.json').length, 5);
	writeFileSync(join(scratch, 'bad.json'), '[{"role": "wizard", "content": "x"}]');
	assert.match(run(['chat'], '/load bad.json\n').stderr, /^hokku: bad.json: messages\[0\].role is "wizard"; a conversation has/);
	assert.match(run(['chat'], '/load nowhere.json\n').stderr, /nowhere.json/);
});

test('/set and /show', needsBundled, () => {
	assert.equal(chat(['/set temperature 1', '/set seed 2', 'snow']), chat(['snow'], '--temperature', '1', '--seed', '2'));
	assert.equal(chat(['/set max-tokens 1', 'snow', '/set max_tokens default', '/retry']), chat(['snow'], '-n', '1') + chat(['snow']));
	const shown = chat(['/set top_k 40', 'snow', '/show'], '--system', 'Be brief.');
	assert.match(shown, /\nhaiku: qwen2, Q8_0, [\d,]+ parameters/);
	assert.match(shown, /\ncontext: \d+ of \d+ tokens after the last answer; 2 messages\nsystem message: Be brief\.\n/);
	assert.match(shown, /\n {2}temperature +0 .*\n {2}top_k +40 /);
	assert.match(chat(['/help']), /^ {2}\/system \[TEXT\] /);
	assert.equal(chat(['/bye', 'snow']), '');
});

test('what is wrong is said, and ends a pipe with 1', needsBundled, () => {
	for (const [input, message] of [
		['/hlep\nsnow\n', /^hokku: there is no command "\/hlep" \(did you mean \/help\?\); \/help lists them/],
		['/set warmth 1\nsnow\n', /^hokku: there is no setting "warmth"/],
		['/set top_p 2\nsnow\n', /^hokku: top_p is 2; it must be more than 0 and at most 1\n$/],
		['/regen\n', /^hokku: nothing was asked yet that could be asked again\n$/],
		['"""snow\n', /^hokku: the input ends inside a text that was begun with """\n$/],
		[Buffer.from([0x73, 0xff, 0x0a]), /^hokku: byte 1 of the message \(0xff\) is no UTF-8/],
	]) {
		const r = run(['chat'], input);
		assert.equal(r.status, 1, String(input));
		assert.match(r.stderr, message);
		assert.equal(r.stdout, '');
	}
	const full = run(['chat', '--ctx', '40', '--temperature', '0'], 'snow\nautumn rain and all that comes with it\nwind\n');
	assert.equal(full.status, 1);
	assert.ok(full.stdout.startsWith(chat(['snow'])), 'the first answer is there');
	assert.match(full.stderr, /^hokku: the context is full.*; \/clear begins anew, .* --ctx N makes room/m);
	// The answer that fills it.
	const filled = run(['chat', '--ctx', '16', '--temperature', '0', '-v'], 'snow\n');
	assert.equal(filled.status, 0);
	assert.match(filled.stderr, /; context 16 of 16 tokens \(100%\); [^]*\nhokku: the context of 16 tokens is full, and ended the answer; \/clear/);
	const system = spawnSync('sh', ['-c', `'${hokku}' chat --system "$(printf 'a\\377')" </dev/null`], { encoding: 'utf8', env });
	assert.equal(system.status, 1);
	assert.match(system.stderr, /^hokku: byte 1 of the system message \(0xff\) is no UTF-8/);
	const lost = spawnSync('sh', ['-c', `printf 'snow\\n' | '${hokku}' chat >/dev/full`], { encoding: 'utf8', env });
	assert.equal(lost.status, 1);
	assert.equal(lost.stderr, 'hokku: standard output: No space left on device\n');
	// A reader that has had enough.
	const enough = spawnSync('sh', ['-c', `{ printf 'snow\\nice\\n' | '${hokku}' chat; echo "rc $?" >&2; } | true`], { encoding: 'utf8', env });
	assert.equal(enough.stderr, 'rc 0\n');
	const none = run(['chat', '--chat-template', 'nosuch'], 'snow\n');
	assert.notEqual(none.status, 0);
	assert.equal(run(['chat', 'nowhere.gguf'], 'snow\n').status, 1);
});

test('thinking is not in a pipe, but in what is saved', needsBundled, () => {
	const text = chat(['/set thinking_budget 5', 'snow', '/save thought.json'], '--chat-template-file', thinking);
	const [, answer] = saved('thought.json');
	assert.ok(answer.reasoning_content.length > 0);
	assert.equal(text, `${answer.content}\n`);
});

test('a model without a chat template holds no conversation', () => {
	const shape = join(scratch, 'long.json');
	writeFileSync(shape, JSON.stringify({
		architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_size: 64, intermediate_size: 128,
		num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 512,
		max_position_embeddings: 262144, rms_norm_eps: 1e-6, rope_theta: 1e6, tie_word_embeddings: true, hidden_act: 'silu',
	}));
	execFileSync(hokku, ['synth', '--shape', shape, '--type', 'F32', '-o', join(scratch, 'long.gguf')], { stdio: 'pipe' });
	const bytes = readFileSync(join(scratch, 'long.gguf')), key = bytes.indexOf('tokenizer.chat_template');
	bytes.write('tokenizer.chat_tempura!', key);
	writeFileSync(join(scratch, 'none.gguf'), bytes);
	const r = run(['chat', 'none.gguf'], 'snow\n');
	assert.equal(r.status, 1);
	assert.match(r.stderr, /^hokku: the model has no chat template, so it holds no conversation; --chat-template gives it one/);
});

// ---- a terminal ----

// hokku chat on a pseudoterminal: see() waits for what is shown and returns it, ask() types at the next prompt, type() at once, end() for the exit code.
// Where no prompt stands the terminal is not in the editor's hands: what is typed then is the terminal's own to read (its Ctrl-D, its erasing).
function terminal(...args) {
	const words = [hokku, 'chat', ...args].map((word) => `'${word}'`).join(' ');
	const child = spawn('script', ['-qec', words, '/dev/null'], { cwd: scratch, env, stdio: ['pipe', 'pipe', 'inherit'] });
	let shown = '', at = 0, look = () => {};
	child.stdout.setEncoding('utf8').on('data', (text) => {
		shown += text;
		look();
	});
	const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)));
	const unless = (promise, what) => {
		let timer;
		const late = new Promise((_, reject) => {
			timer = setTimeout(() => reject(new Error(`${what} did not come; shown since: ${JSON.stringify(shown.slice(at))}`)), 120000);
		});
		return Promise.race([promise, late]).finally(() => clearTimeout(timer));
	};
	after(() => child.kill('SIGKILL'));
	const see = (pattern) => unless(
		new Promise((resolve, reject) => {
			look = () => {
				const found = shown.slice(at).match(pattern);
				if (!found) return;
				const before = shown.slice(at, at + found.index + found[0].length);
				at += before.length;
				look = () => {};
				resolve(before);
			};
			ended.then((code) => reject(new Error(`it ended with ${code} before ${pattern}: ${shown.slice(at)}`)));
			look();
		}), pattern);
	const type = (keys) => child.stdin.write(keys);
	return {
		see,
		type,
		ask: async (keys) => {
			await see(prompt);
			type(keys);
		},
		end: () => unless(ended, 'the end'),
	};
}
const prompt = /> (?=$|\x1b)/;
const told = /tokens, [\d.]+ tokens\/s, the first after [\d.]+ ms; context (\d+) of 512 tokens \(\d+%\); seed \d+/;

test('on a terminal: lines are edited, answers told of, Ctrl-D ends', needsBundled, async () => {
	const answer = chat(['snow']).trimEnd().replaceAll('\n', '\r\n');
	const t = terminal('--temperature', '0');
	await t.see(/haiku: qwen2.*; \/help lists the commands\s+/);
	await t.ask('snoww\x7f\r');
	const first = await t.see(told);
	assert.ok(first.includes(answer), first);
	assert.ok(first.includes(`\x1b[2m`), 'it is dimmed');
	await t.ask('/clear\r');
	await t.see(/a new conversation/);
	await t.ask('\x10\x10\r'); // up twice: the message before /clear
	assert.ok((await t.see(told)).includes(answer));
	await t.ask('/nosuch\r');
	await t.see(/there is no command "\/nosuch"/);
	await t.ask('é雪\x7f\r');
	await t.see(told);
	await t.ask('/save typed.json\r');
	await t.see(/4 messages in typed.json/);
	assert.equal(saved('typed.json')[2].content, 'é');
	await t.ask('\x04');
	assert.equal(await t.end(), 0);
});

test('on a terminal: what is typed before the prompt is not lost', needsBundled, async () => {
	const answer = chat(['snow']).trimEnd().replaceAll('\n', '\r\n');
	const t = terminal('--temperature', '0');
	t.type('snow\r\x04');
	assert.ok((await t.see(told)).includes(answer));
	assert.equal(await t.end(), 0);
	// Before the prompt the terminal erases a byte where it should erase a letter: what is left of it takes nothing with it.
	const halved = terminal('--temperature', '0');
	halved.type('snow\xe9\x7f雪\x7f\r');
	assert.ok((await halved.see(told)).includes(answer));
	await halved.ask('\x04');
	assert.equal(await halved.end(), 0);
	const at_once = terminal();
	at_once.type('\x04');
	assert.equal(await at_once.end(), 0);
});

test('on a terminal: Ctrl-C ends the answer, not the program; twice at the prompt it does', async () => {
	const t = terminal('long.gguf', '--chat-template', 'chatml', '--temperature', '0');
	await t.see(/lists the commands\s+/);
	await t.ask('hello\r');
	await t.see(/hello\r\n[^]*\S{20}/);
	t.type('\x03');
	await t.see(/\(interrupted; /);
	await t.ask('/save stopped.json\r');
	await t.see(/messages in stopped.json/);
	await t.ask('\x03');
	await t.see(/\(Ctrl-C again, Ctrl-D or \/bye ends the conversation\)/);
	await t.ask('/clear\r');
	await t.see(/a new conversation/); // what lies between makes it the first again
	await t.ask('\x03');
	await t.see(/\(Ctrl-C again, Ctrl-D or \/bye ends the conversation\)/);
	await t.ask('\x03');
	assert.equal(await t.end(), 130);
	assert.ok(existsSync(join(scratch, 'stopped.json')));
});

test('on a terminal: thinking is dimmed', needsBundled, async () => {
	const t = terminal('--temperature', '0', '--chat-template-file', thinking);
	await t.see(/lists the commands\s+/);
	await t.ask('/set thinking_budget 5\r');
	await t.ask('snow\r');
	const shown = await t.see(told);
	const [, thoughts] = saved('thought.json');
	assert.ok(shown.includes(`\x1b[2m${thoughts.reasoning_content}\r\n\x1b[0m\r\n${thoughts.content.replaceAll('\n', '\r\n')}`), JSON.stringify(shown));
	await t.ask('/bye\r');
	assert.equal(await t.end(), 0);
});
