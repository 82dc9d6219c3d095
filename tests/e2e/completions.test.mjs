// POST /v1/completions as OpenAI's official client uses it, and as evaluation harnesses do: prompts of every kind, echo, log probabilities.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { generate, idle, post, start, until } from './server_common.mjs';

let server, client;
before(async () => {
	server = await start(['--threads', '1', '--max-queue', '8']); // the haiku model inside the program
	client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
after(() => server.stop());

const chat = '<|im_start|>user\nWrite a haiku about autumn rain.<|im_end|>\n<|im_start|>assistant\n';
const plain = { model: 'haiku', prompt: 'the river\n', seed: 7, max_tokens: 12 };
const ask = (more) => client.completions.create({ ...plain, ...more });
const ids = async (content) => (await post(server, '/tokenize', { content })).json.tokens;

// All chunks of a stream, and what its choices come to.
async function collect(stream) {
	const chunks = [], choices = [];
	for await (const chunk of stream) {
		chunks.push(chunk);
		for (const { index, text, logprobs, finish_reason } of chunk.choices) {
			const choice = (choices[index] ??= { text: '', finish: [], logprobs: null });
			choice.text += text;
			if (finish_reason) choice.finish.push(finish_reason);
			for (const [name, list] of Object.entries(logprobs ?? {})) ((choice.logprobs ??= {})[name] ??= []).push(...list);
		}
	}
	return { chunks, choices };
}

test('ids of prompt and answer, of each choice, whole and streamed', async () => {
	const prompts = ['the river\n', 'a pond'], more = { prompt: prompts, n: 2, temperature: 1, echo: true, return_token_ids: true };
	const { choices, usage } = await ask(more);
	assert.deepEqual(choices.map((c) => c.prompt_token_ids), await Promise.all([0, 0, 1, 1].map((k) => ids(prompts[k]))));
	for (const [i, c] of choices.entries()) assert.equal((await post(server, '/detokenize', { tokens: c.token_ids })).json.content, c.text.slice(prompts[i >> 1].length));
	assert.equal(choices.flatMap((c) => c.token_ids).length, usage.completion_tokens);
	const told = [];
	for await (const chunk of await ask({ ...more, stream: true }))
		for (const { index, text, prompt_token_ids: prompt, token_ids: drawn } of chunk.choices) {
			const t = (told[index] ??= { text: '', prompts: [], ids: [] });
			t.text += text;
			t.ids.push(...(drawn ?? []));
			if (prompt) t.prompts.push(prompt);
		}
	assert.deepEqual(told, choices.map((c) => ({ text: c.text, prompts: [c.prompt_token_ids], ids: c.token_ids })));
	assert.deepEqual(Object.keys((await ask()).choices[0]), ['index', 'text', 'logprobs', 'finish_reason']);
});

test('a whole answer, a stream and /v1/generate have one text', async () => {
	const whole = await ask();
	const own = (await generate(server, { prompt: plain.prompt, seed: 7, temperature: 1, max_tokens: 12, stream: false })).json;
	assert.equal(whole.object, 'text_completion');
	assert.match(whole.id, /^cmpl-[0-9a-f]{16}$/);
	assert.match(whole.system_fingerprint, /^fp_/);
	assert.deepEqual(whole.choices, [{ index: 0, text: own.text, logprobs: null, finish_reason: own.stop_reason === 'length' ? 'length' : 'stop' }]);
	assert.ok(own.text.length > 0);
	assert.deepEqual(whole.usage, own.usage);
	const { chunks, choices } = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
	assert.deepEqual([choices[0].text, choices[0].finish], [own.text, [whole.choices[0].finish_reason]]);
	assert.deepEqual([chunks.at(-1).choices, chunks.at(-1).usage], [[], whole.usage]);
	assert.ok(chunks.every((c) => c.object === 'text_completion' && c.id === chunks[0].id));
	assert.ok((await post(server, '/v1/completions', { ...plain, stream: true })).text.endsWith('}\n\ndata: [DONE]\n\n'));
});

test('several prompts: each has the choices of its lone request', async () => {
	const prompts = ['the river\n', 'a crow\n', 'snow'];
	const lone = [];
	for (const prompt of prompts) lone.push(await ask({ prompt, n: 2 }));
	const wanted = lone.flatMap((a) => a.choices).map((c, index) => ({ ...c, index }));
	const sum = (of) => lone.reduce((n, a) => n + of(a.usage), 0);
	const kinds = [prompts, await Promise.all(prompts.map(ids))];
	for (const prompt of kinds) {
		const whole = await ask({ prompt, n: 2 });
		assert.deepEqual(whole.choices, wanted);
		assert.deepEqual([whole.usage.prompt_tokens, whole.usage.completion_tokens], [sum((u) => u.prompt_tokens) , sum((u) => u.completion_tokens)]);
		const { choices } = await collect(await ask({ prompt, n: 2, stream: true }));
		assert.deepEqual(choices.map((c) => [c.text, c.finish]), wanted.map((c) => [c.text, [c.finish_reason]]));
	}
	assert.deepEqual((await ask({ prompt: kinds[1][0], n: 2 })).choices, lone[0].choices);
	assert.equal(new Set(wanted.map((c) => c.text)).size > 1, true);
	await assert.rejects(ask({ prompt: Array(9).fill('a'), n: 2 }), (e) => e.status === 400 && e.param === 'prompt' && /prompt has 9, of n = 2 samples each: together.*18.*8 of its samples could run/.test(e.message));
	await until(() => idle(server), 20000, 'the server to be idle');
});

test('echo: the prompt comes first, by text and by ids', async () => {
	const { choices: [{ text }] } = await ask();
	for (const prompt of [plain.prompt, await ids(plain.prompt)]) {
		assert.equal((await ask({ prompt, echo: true })).choices[0].text, plain.prompt + text);
		assert.equal((await collect(await ask({ prompt, echo: true, stream: true }))).choices[0].text, plain.prompt + text);
	}
	const none = await ask({ echo: true, max_tokens: 0 });
	assert.deepEqual([none.choices[0].text, none.choices[0].finish_reason, none.usage.completion_tokens, none.hokku.max_tokens], [plain.prompt, 'length', 0, 0]);
	assert.deepEqual((await collect(await ask({ max_tokens: 0, stream: true }))).choices.map((c) => [c.text, c.finish]), [['', ['length']]]);
});

// As lm-evaluation-harness reads them: log likelihood of a continuation, and whether it is the likeliest.
test('echo with logprobs: those that /v1/generate tells of the prompt, whole and streamed, each choice its own', async () => {
	const contexts = [chat, 'snow on'].map((text) => ids(text)), continuation = await ids('\nthe river goes on');
	const prompt = (await Promise.all(contexts)).map((c) => [...c, ...continuation]);
	for (const more of [{ max_tokens: 1, temperature: 0 }, { max_tokens: 0 }]) {
		const whole = await ask({ prompt, echo: true, logprobs: 3, n: 1, ...more });
		assert.deepEqual((await collect(await ask({ prompt, echo: true, logprobs: 3, stream: true, ...more }))).choices.map((c) => [c.text, c.logprobs]), whole.choices.map((c) => [c.text, c.logprobs]));
		for (const [k, { text, logprobs: l }] of whole.choices.entries()) {
			const n = prompt[k].length + more.max_tokens; // an end token that was drawn is told too
			assert.deepEqual(Object.values(l).map((list) => list.length), Array(4).fill(n));
			const own = (await generate(server, { prompt: prompt[k], max_tokens: 1, prompt_logprobs: 3, stream: false })).json.prompt_logprobs;
			assert.deepEqual(l.token_logprobs.slice(0, prompt[k].length), own.map((e) => e?.logprob ?? null));
			assert.deepEqual([l.token_logprobs[0], l.top_logprobs[0]], [null, null]);
			for (let i = 1; i < n; i++) {
				const values = Object.values(l.top_logprobs[i]);
				assert.ok(values.length >= 3 && values.length <= 4 && Math.max(...values) >= l.token_logprobs[i]);
				assert.equal(l.top_logprobs[i][l.tokens[i]], l.token_logprobs[i]);
				const at = text.slice(l.text_offset[i]);
				assert.ok(at.startsWith(l.tokens[i]) || l.tokens[i].startsWith('<|'), `${i}: ${l.tokens[i]} at ${at}`);
			}
		}
	}
	const [first, second] = (await ask({ prompt: prompt[0], n: 2, echo: true, logprobs: 0 })).choices.map((c) => c.logprobs);
	assert.deepEqual(first.token_logprobs.slice(0, prompt[0].length), second.token_logprobs.slice(0, prompt[0].length));
	// vLLM's own field, of each prompt.
	const told = await ask({ prompt, prompt_logprobs: 1, n: 2, max_tokens: 1 });
	assert.deepEqual(told.choices.map((c) => c.prompt_logprobs.length), [prompt[0], prompt[0], prompt[1], prompt[1]].map((p) => p.length));
	assert.deepEqual(told.choices[2].prompt_logprobs[1][prompt[1][1]].logprob, (await ask({ prompt: prompt[1], echo: true, logprobs: 1, max_tokens: 0 })).choices[0].logprobs.token_logprobs[1]);
});

test('what cannot be done is refused by its name', async () => {
	const fails = (more, param, part, code = null) => assert.rejects(ask(more), (e) => {
		assert.deepEqual([e.status, e.param, e.code], [400, param, code], e.message);
		assert.ok(e.message.includes(part), e.message);
		return true;
	});
	await fails({ best_of: 3 }, 'best_of', 'is 3 and n is 1');
	await fails({ suffix: 'b' }, 'suffix', 'no tokens that part a text');
	await fails({ prompt: [[1], [99999]] }, 'prompt[1][0]', 'is 99999');
	await fails({ prompt: '' }, 'prompt', 'gives no token at all');
	await fails({ prompt: ['a', 'rain '.repeat(600)] }, 'prompt[1]', 'prompt[1] has 601 tokens, the context holds 512', 'context_length_exceeded');
	await fails({ prompt: 'rain '.repeat(600) }, 'prompt', 'the prompt has 601 tokens, the context holds 512', 'context_length_exceeded');
	await fails({ logprobs: 21 }, 'logprobs', 'from 0 to 20');
	await fails({ messages: [] }, 'messages', 'is no field of this route');
	await until(() => idle(server), 20000, 'the server to be idle');
});
