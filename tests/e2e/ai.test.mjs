// The AI SDK (`ai` on npm) with its OpenAI-compatible provider, which agents and web applications are built on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embed, generateObject, generateText, streamObject, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { idle, post, start, until } from './server_common.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

let server, hokku;
before(async () => {
	server = await start(['--threads', '1']);
	hokku = createOpenAICompatible({ name: 'hokku', baseURL: `${server.url}/v1`, includeUsage: true, supportsStructuredOutputs: true });
});
after(() => server.stop());

const prompt = 'Write a haiku about autumn rain.';
const plain = () => ({ model: hokku('haiku'), prompt, seed: 7, maxRetries: 0 });
const wanted = async () => (await post(server, '/v1/chat/completions', { messages: [{ role: 'user', content: prompt }], seed: 7 })).json;

test('generateText and streamText', async () => {
	const { choices: [{ message }], usage } = await wanted();
	const whole = await generateText(plain());
	assert.deepEqual([whole.text, whole.finishReason, whole.usage.inputTokens, whole.usage.outputTokens], [message.content, 'stop', usage.prompt_tokens, usage.completion_tokens]);
	const stream = streamText(plain());
	let text = '';
	for await (const piece of stream.textStream) text += piece;
	assert.equal(text, message.content);
	assert.deepEqual([await stream.finishReason, (await stream.usage).outputTokens, (await stream.usage).inputTokens], ['stop', usage.completion_tokens, usage.prompt_tokens]);
	const cut = await generateText({ ...plain(), maxOutputTokens: 3, stopSequences: ['no such text'], temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0 });
	assert.deepEqual([cut.finishReason, cut.usage.outputTokens], ['length', 3]);
});

test('a conversation of several turns, and tools that are offered', async () => {
	const messages = [
		{ role: 'user', content: [{ type: 'text', text: prompt }] },
		{ role: 'assistant', content: 'the river' },
		{ role: 'user', content: 'Another.' },
	];
	assert.equal((await generateText({ model: hokku('haiku'), system: 'Be brief.', messages, seed: 7, maxOutputTokens: 8, maxRetries: 0 })).finishReason.length > 0, true);
	const weather = tool({ description: 'The weather', inputSchema: z.object({ city: z.string() }) });
	const offered = await generateText({ ...plain(), tools: { weather }, toolChoice: 'auto', maxOutputTokens: 4 });
	assert.ok(['stop', 'length'].includes(offered.finishReason));
	await generateText({ ...plain(), tools: { weather }, toolChoice: 'none', maxOutputTokens: 4 });
});

test('tools are called with what their schema allows, their results go back, thinking comes apart', async () => {
	const template = new URL('../golden/templates/tools_and_thinking.jinja', import.meta.url).pathname;
	const other = await start(['--threads', '1', '--chat-template-file', template]);
	try {
		const model = createOpenAICompatible({ name: 'hokku', baseURL: `${other.url}/v1` })('haiku');
		const schema = z.strictObject({ city: z.enum(['Rome', 'Oslo']) });
		const asked = [];
		const weather = tool({ description: 'The weather', inputSchema: schema, execute: async (input) => (asked.push(input), 'rain') });
		const options = { model, prompt, seed: 7, maxRetries: 0, maxOutputTokens: 160, tools: { weather }, providerOptions: { hokku: { reasoningEffort: 'none' } } };
		const whole = await generateText({ ...options, toolChoice: 'required', stopWhen: stepCountIs(2) });
		assert.equal(whole.steps.length, 2); // the second was asked with the first's call and its result
		assert.equal(whole.steps[0].finishReason, 'tool-calls');
		assert.ok(asked.length >= 2 && asked.every((input) => schema.safeParse(input).success), JSON.stringify(asked));
		assert.equal(whole.steps[0].toolResults[0].output, 'rain');
		const parts = [];
		for await (const part of streamText({ ...options, toolChoice: { type: 'tool', toolName: 'weather' } }).fullStream) parts.push(part);
		const input = parts.filter((p) => p.type === 'tool-input-delta').map((p) => p.delta).join('');
		const calls = parts.filter((p) => p.type === 'tool-call');
		assert.ok(calls.length >= 1 && calls.every((c) => schema.safeParse(c.input).success), JSON.stringify(calls));
		assert.deepEqual(JSON.parse(input.slice(0, input.indexOf('}') + 1)), calls[0].input);
		const thought = await generateText({ model, prompt, seed: 7, maxRetries: 0, maxOutputTokens: 60, providerOptions: { hokku: { reasoningEffort: 'low', thinking_token_budget: 6 } } });
		assert.ok(thought.reasoningText.length > 0 && !thought.text.includes('<think>'));
	} finally {
		await other.stop();
	}
});

test('objects have the form that was asked for', async () => {
	const schema = z.object({ season: z.enum(['spring', 'summer', 'autumn', 'winter']), lines: z.array(z.enum(['a', 'b'])).length(2) });
	const { object } = await generateObject({ ...plain(), schema });
	assert.ok(schema.safeParse(object).success, JSON.stringify(object));
	const stream = streamObject({ ...plain(), schema });
	let last;
	for await (const partial of stream.partialObjectStream) last = partial;
	assert.deepEqual(last, object);
});

test('texts that go on', async () => {
	const own = (await post(server, '/v1/completions', { prompt: 'the river\n', seed: 7, max_tokens: 6 })).json;
	// The SDK writes a prompt of its own around the text; what comes back is what matters here.
	const { text, finishReason } = await generateText({ model: hokku.completionModel('haiku'), prompt: 'the river\n', seed: 7, maxOutputTokens: 6, maxRetries: 0 });
	assert.equal(typeof text, 'string');
	assert.equal(own.object, 'text_completion');
	assert.ok(['stop', 'length'].includes(finishReason));
});

test('faults have the status and the sentence', async () => {
	const fails = (promise, status, part) => assert.rejects(promise, (e) => APICallError.isInstance(e) && e.statusCode === status && (assert.ok(e.message.includes(part), e.message), true));
	await fails(generateText({ ...plain(), temperature: 1000 }), 400, 'temperature is 1000');
	await fails(generateText({ ...plain(), prompt: 'rain '.repeat(999) }), 400, 'the context holds 512');
	await fails(embed({ model: hokku.embeddingModel('haiku'), value: 'a', maxRetries: 0 }), 400, 'does not pool');
	await until(() => idle(server), 20000, 'the server to be idle');
});
