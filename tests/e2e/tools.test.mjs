// Tools and thinking, through every API with its own client: what is asked for is drawn (a shape that the model could
// not have hit by chance), told apart the same whole and streamed, and given back. The template writes both as Qwen 3 does.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { generate, post, start, startFails } from './server_common.mjs';

const template = new URL('../golden/templates/tools_and_thinking.jinja', import.meta.url).pathname;
let server, openai, anthropic, ollama;
before(async () => {
	server = await start(['--chat-template-file', template]);
	openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
	anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 });
	ollama = new Ollama({ host: server.url });
});
after(() => server.stop());

const city = { type: 'object', properties: { city: { enum: ['Rome', 'Oslo'] }, days: { type: 'integer', minimum: 1, maximum: 9 } }, required: ['city', 'days'], additionalProperties: false };
const none = { type: 'object', properties: {}, additionalProperties: false };
const tool = (name, parameters, more = {}) => ({ type: 'function', function: { name, description: `${name}`, parameters, ...more } });
const tools = [tool('weather', city), tool('now', none)];
const user = { role: 'user', content: 'Write a haiku about autumn rain.' };
const ask = { model: 'haiku', messages: [user], seed: 3, max_tokens: 160, tools };
const isCity = (text) => assert.match(text, /^\{"city": "(Rome|Oslo)", "days": [1-9](\.0+)?\}$/);

// The chunks of a stream as one message.
async function gathered(stream) {
	const message = { content: '', reasoning_content: '', tool_calls: [] };
	let reason;
	for await (const { choices: [choice] } of stream) {
		if (!choice) continue;
		reason = choice.finish_reason ?? reason;
		message.content += choice.delta.content ?? '';
		message.reasoning_content += choice.delta.reasoning_content ?? '';
		for (const { index, id, function: f } of choice.delta.tool_calls ?? []) {
			message.tool_calls[index] ??= { id, name: f.name, arguments: '' };
			message.tool_calls[index].arguments += f.arguments;
		}
	}
	return { ...message, reason };
}
const whole = ({ message: { content, reasoning_content: thought, tool_calls: calls }, finish_reason: reason }) => ({
	content: content ?? '',
	reasoning_content: thought ?? '',
	tool_calls: (calls ?? []).map(({ function: f }) => [f.name, f.arguments]),
	reason,
});

test('a call that is asked for is drawn by its schema; whole and streamed the same', async () => {
	for (const more of [
		{ tool_choice: 'required', reasoning_effort: 'none', parallel_tool_calls: false },
		{ tool_choice: { type: 'function', function: { name: 'weather' } }, reasoning_effort: 'none' },
		{ tool_choice: { type: 'function', function: { name: 'now' } }, reasoning_effort: 'none' },
		{ tool_choice: { type: 'function', function: { name: 'weather' } }, reasoning_effort: 'low', thinking_token_budget: 6 },
	]) {
		const { choices: [choice], usage } = await openai.chat.completions.create({ ...ask, ...more });
		const told = whole(choice);
		assert.equal(told.reason, 'tool_calls', JSON.stringify(choice));
		assert.equal(choice.message.content, null);
		assert.equal(told.tool_calls.length, 1);
		const [[name, text]] = told.tool_calls;
		if (more.tool_choice.function) assert.equal(name, more.tool_choice.function.name);
		if (name === 'weather') isCity(text);
		else assert.equal(text, '{}');
		assert.equal(told.reasoning_content !== '', more.reasoning_effort === 'low');
		const thought = usage.completion_tokens_details.reasoning_tokens;
		// The budget, and the tokens that close it; one more where it stood within a character.
		if (more.thinking_token_budget) assert.ok(thought >= 6 && thought < 20, `${thought} tokens of thinking`);
		const streamed = await gathered(await openai.chat.completions.create({ ...ask, ...more, stream: true }));
		assert.deepEqual({ ...streamed, tool_calls: streamed.tool_calls.map((c) => [c.name, c.arguments]) }, told);
	}
});

test('several calls; a call that max_tokens cuts; none where none is wanted', async () => {
	let most = 0;
	for (let seed = 0; seed < 6; seed++) {
		const { choices: [choice] } = await openai.chat.completions.create({ ...ask, seed, temperature: 1.5, tool_choice: 'required', reasoning_effort: 'none' });
		for (const { function: f } of choice.message.tool_calls.slice(0, choice.finish_reason === 'length' ? -1 : undefined))
			f.name === 'weather' ? isCity(f.arguments) : assert.equal(f.arguments, '{}');
		most = Math.max(most, choice.message.tool_calls.length);
		const one = await openai.chat.completions.create({ ...ask, seed, temperature: 1.5, tool_choice: 'required', reasoning_effort: 'none', parallel_tool_calls: false });
		assert.equal(one.choices[0].message.tool_calls.length, 1);
	}
	assert.ok(most > 1, 'no answer had two calls');
	const named = { ...ask, tool_choice: { type: 'function', function: { name: 'weather' } }, reasoning_effort: 'none' };
	const all = (await openai.chat.completions.create(named)).usage.completion_tokens;
	const { choices: [cut] } = await openai.chat.completions.create({ ...named, max_tokens: all - 12 });
	assert.equal(cut.finish_reason, 'length');
	assert.ok('{"city": "Oslo", "days": '.startsWith(cut.message.tool_calls[0].function.arguments.replace('Rome', 'Oslo')), JSON.stringify(cut));
	const free = await openai.chat.completions.create({ ...ask, tool_choice: 'none' });
	assert.equal(free.choices[0].message.tool_calls, undefined);
	assert.ok(free.choices[0].message.content.length > 0);
});

test('a call that is given back as JSON of any form is found again in KV memory', async () => {
	const first = await openai.chat.completions.create({ ...ask, tool_choice: { type: 'function', function: { name: 'weather' } }, reasoning_effort: 'none' });
	const [call] = first.choices[0].message.tool_calls;
	const again = (text) => ({ ...first.choices[0].message, tool_calls: [{ ...call, function: { ...call.function, arguments: text } }] });
	for (const text of [call.function.arguments, JSON.stringify(JSON.parse(call.function.arguments))]) {
		const next = await openai.chat.completions.create({
			...ask,
			messages: [user, again(text), { role: 'tool', tool_call_id: call.id, content: 'rain' }],
			max_tokens: 4,
		});
		assert.ok(next.usage.prompt_tokens_details.cached_tokens > 0);
	}
});

test('where a template cannot give a call back as it was drawn, cache_debug says so in every form', async () => {
	// Its prompt ends with empty thinking where none is wanted, and the conversation that goes on has none; nor has it the line break before a call.
	const named = { ...ask, tool_choice: { type: 'function', function: { name: 'weather' } } };
	for (const [more, content, reason] of [
		[{ reasoning_effort: 'none' }, null, 'prompt'],
		[{ thinking_token_budget: 1 }, null, 'space'],
		[{ thinking_token_budget: 1 }, 'The weather:', undefined],
	]) {
		const first = await openai.chat.completions.create({ ...named, ...more });
		const { tool_calls: calls } = first.choices[0].message;
		const request = { ...ask, ...more, tool_choice: 'none', max_tokens: 2, cache_debug: true, messages: [user, { role: 'assistant', content, tool_calls: calls }, { role: 'tool', tool_call_id: calls[0].id, content: 'rain' }] };
		const { json } = await post(server, '/v1/chat/completions', request);
		const { cache_debug: told } = json.choices[0];
		assert.deepEqual(told.call, reason && { message: 'messages[1]', reason }, JSON.stringify(told));
		assert.ok(['other_token', 'nothing_known'].includes(told.reason));
		const again = (await post(server, '/v1/chat/completions', request)).json.choices[0].cache_debug;
		assert.deepEqual([again.reason, again.call], ['all_found', undefined]);
	}
	const claude = { model: 'haiku', max_tokens: 2, cache_debug: true, thinking: { type: 'disabled' }, tools: [{ name: 'weather', input_schema: city }] };
	const back = [user, { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'weather', input: { city: 'Rome', days: 2 } }] }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'rain' }] }];
	const asked = async (messages, system) => (await post(server, '/v1/messages', { ...claude, system, messages })).json.hokku.cache_debug;
	await asked([user], 'One.');
	assert.deepEqual((await asked(back, 'One.')).call, { message: 'messages.1', reason: 'prompt' });
	assert.equal((await asked(back, 'Another.')).call, undefined); // nothing of the conversation is known: no call is why
});

test('a shape is what follows the thinking, or stands beside calls', async () => {
	const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['n'], additionalProperties: false };
	const shaped = { ...ask, tools: undefined, response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } } };
	const thought = await openai.chat.completions.create({ ...shaped, reasoning_effort: 'high', thinking_token_budget: 8 });
	assert.match(thought.choices[0].message.content, /^\{"n":[0-9](\.0+)?\}$/);
	assert.ok(thought.choices[0].message.reasoning_content.length > 0);
	const off = await openai.chat.completions.create({ ...shaped, reasoning_effort: 'none' });
	assert.match(off.choices[0].message.content, /^\{"n":[0-9](\.0+)?\}$/);
	assert.equal(off.choices[0].message.reasoning_content, undefined);
	for (let seed = 0; seed < 4; seed++) {
		const { choices: [{ message, finish_reason: reason }] } = await openai.chat.completions.create({ ...shaped, tools, seed, temperature: 1.5, reasoning_effort: 'none' });
		if (reason === 'length') continue;
		if (message.tool_calls) assert.equal(reason, 'tool_calls');
		else assert.match(message.content, /^\{"n":[0-9](\.0+)?\}$/);
	}
});

test('thinking that max_tokens cuts is thinking; --reasoning-format none leaves it in the text', async () => {
	const { choices: [{ message, finish_reason: reason }], usage } = await openai.chat.completions.create({ ...ask, tools: undefined, reasoning_effort: 'high', max_tokens: 5 });
	assert.deepEqual([reason, message.content], ['length', '']);
	assert.ok(message.reasoning_content.length > 0);
	assert.equal(usage.completion_tokens_details.reasoning_tokens, 5);
	const plain = await start(['--chat-template-file', template, '--reasoning-format', 'none']);
	try {
		const { json } = await post(plain, '/v1/chat/completions', { ...ask, tools: undefined, reasoning_effort: 'high', max_tokens: 5 });
		assert.equal(json.choices[0].message.content, message.reasoning_content);
	} finally {
		await plain.stop();
	}
	assert.match((await startFails(['--reasoning-format', 'loud', '--port', '0'])).err, /--reasoning-format is "loud"; it takes auto or none/);
	assert.match((await startFails(['--tool-dialect', 'hermse', '--port', '0'])).err, /did you mean hermes\?/);
});

test('Anthropic: tool_use and thinking blocks, whole and streamed, and back again', async () => {
	const request = {
		model: 'haiku',
		max_tokens: 160,
		messages: [user],
		tools: [{ name: 'weather', input_schema: city }, { name: 'now', input_schema: none }],
		tool_choice: { type: 'tool', name: 'weather' },
		thinking: { type: 'disabled' },
		temperature: 0, // this API has no seeds
	};
	const message = await anthropic.messages.create(request);
	const call = message.content.at(-1);
	assert.deepEqual([message.stop_reason, call.type, call.name], ['tool_use', 'tool_use', 'weather'], JSON.stringify(message));
	assert.ok(['Rome', 'Oslo'].includes(call.input.city));
	const streamed = await anthropic.messages.stream(request).finalMessage();
	assert.deepEqual([streamed.stop_reason, streamed.content.at(-1).name, Object.keys(streamed.content.at(-1).input)], ['tool_use', 'weather', ['city', 'days']]);
	const next = await anthropic.messages.create({
		...request,
		tool_choice: { type: 'none' },
		max_tokens: 8,
		messages: [user, { role: 'assistant', content: message.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'rain' }] }],
	});
	assert.ok(next.content.every((block) => block.type !== 'tool_use'));
});

test('Anthropic: a call behind thinking that its budget ends, whole and streamed, and back again', async () => {
	// The budget is 1,024 tokens at least, which the bundled model's context does not hold.
	const scratch = mkdtempSync(join(tmpdir(), 'hokku-tools-'));
	const shape = { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1, vocab_size: 320, max_position_embeddings: 4096, rms_norm_eps: 1e-6, rope_theta: 10000, tie_word_embeddings: true };
	writeFileSync(join(scratch, 'shape.json'), JSON.stringify(shape));
	execFileSync(process.env.HOKKU, ['synth', '--shape', join(scratch, 'shape.json'), '--type', 'F32', '--seed', '3', '-o', join(scratch, 'long.gguf')], { stdio: 'pipe' });
	const long = await start([join(scratch, 'long.gguf'), '--chat-template-file', template]);
	try {
		const client = new Anthropic({ baseURL: long.url, apiKey: 'none', maxRetries: 0 });
		const request = {
			model: 'haiku',
			max_tokens: 1400,
			seed: 1,
			messages: [user],
			tools: [{ name: 'weather', input_schema: city }, { name: 'now', input_schema: none }],
			thinking: { type: 'enabled', budget_tokens: 1024 },
			temperature: 1,
		};
		const choices = [{ type: 'tool', name: 'weather' }, { type: 'any', disable_parallel_tool_use: true }];
		for (const choice of choices) {
			const asked = { ...request, tool_choice: choice };
			const message = await client.messages.create(asked);
			assert.deepEqual([message.stop_reason, ...message.content.map((block) => block.type)], ['tool_use', 'thinking', 'tool_use']);
			const [thought, call] = message.content;
			if (call.name === 'weather') assert.ok(['Rome', 'Oslo'].includes(call.input.city) && Number.isInteger(call.input.days), JSON.stringify(call));
			assert.ok(thought.thinking.length > 0 && thought.signature.length > 0);
			const told = message.usage.output_tokens_details.thinking_tokens;
			assert.ok(told >= 1024 && told < 1044, `${told} tokens of thinking`);
			const stream = client.messages.stream(asked);
			const events = [];
			stream.on('streamEvent', ({ type, content_block: block, delta }) => {
				const event = [type, block?.type ?? delta?.type].filter(Boolean).join(' ');
				if (event !== events.at(-1)) events.push(event);
			});
			const streamed = await stream.finalMessage();
			const plain = (content) => content.map(({ id, ...block }) => block);
			assert.deepEqual(plain(streamed.content), plain(message.content));
			assert.deepEqual(events, [
				'message_start',
				'content_block_start thinking',
				'content_block_delta thinking_delta',
				'content_block_delta signature_delta',
				'content_block_stop',
				'content_block_start tool_use',
				'content_block_delta input_json_delta',
				'content_block_stop',
				'message_delta',
				'message_stop',
			]);
			const next = await client.messages.create({
				...request,
				tool_choice: { type: 'none' },
				messages: [user, { role: 'assistant', content: message.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'rain' }] }],
			});
			assert.equal(next.content[0].type, 'thinking');
			assert.ok(next.content.every((block) => block.type !== 'tool_use'));
			const taken = ({ input_tokens: fresh, cache_read_input_tokens: found }) => fresh + found;
			assert.ok(taken(next.usage) > taken(message.usage) + 400); // the thought came along
			// An end token that lets go of held text (half a character here) is none of the answer's, nor of its thinking's.
			const { output_tokens: all, output_tokens_details: { thinking_tokens: thinking } } = next.usage;
			assert.ok(next.content.length === 1 ? thinking === all : thinking < all, `${thinking} of ${all}`);
		}
	} finally {
		await long.stop();
		rmSync(scratch, { recursive: true });
	}
});

test('Ollama: calls with objects as arguments; think', async () => {
	const options = { seed: 3, num_predict: 60, temperature: 1 };
	const thought = await ollama.chat({ model: 'haiku', messages: [user], think: true, options: { ...options, num_predict: 5 } });
	assert.ok(thought.message.thinking.length > 0);
	assert.equal(thought.message.content, '');
	let text = '';
	for await (const part of await ollama.chat({ model: 'haiku', messages: [user], think: true, stream: true, options: { ...options, num_predict: 5 } })) text += part.message.thinking ?? '';
	assert.equal(text, thought.message.thinking);
	const quiet = await ollama.chat({ model: 'haiku', messages: [user], think: false, options });
	assert.equal(quiet.message.thinking, undefined);
	const spoken = await ollama.chat({
		model: 'haiku',
		messages: [user, { role: 'assistant', content: '', tool_calls: [{ function: { name: 'weather', arguments: { city: 'Rome', days: 2 } } }] }, { role: 'tool', tool_name: 'weather', content: 'rain' }],
		tools,
		options,
	});
	assert.equal(spoken.done, true);
});

test('Responses: function calls as items, custom tools as texts', async () => {
	const request = { model: 'haiku', input: user.content, seed: 3, max_output_tokens: 160, reasoning: { effort: 'none' } };
	const named = { ...request, tools: [{ type: 'function', name: 'weather', parameters: city, strict: true }], tool_choice: { type: 'function', name: 'weather' } };
	const response = await openai.responses.create(named);
	const call = response.output.at(-1);
	assert.deepEqual([call.type, call.name, call.status], ['function_call', 'weather', 'completed']);
	isCity(call.arguments);
	let streamed = '';
	for await (const event of await openai.responses.create({ ...named, stream: true })) if (event.type === 'response.function_call_arguments.delta') streamed += event.delta;
	assert.equal(streamed, call.arguments);
	const next = await openai.responses.create({ ...request, previous_response_id: response.id, input: [{ type: 'function_call_output', call_id: call.call_id, output: 'rain' }], max_output_tokens: 4 });
	assert.ok(next.usage.input_tokens > response.usage.input_tokens - 200);
	const custom = await openai.responses.create({ ...request, tools: [{ type: 'custom', name: 'raw', format: { type: 'grammar', syntax: 'regex', definition: '[ab]{3}' } }], tool_choice: { type: 'custom', name: 'raw' } });
	assert.deepEqual([custom.output.at(-1).type, custom.output.at(-1).name], ['custom_tool_call', 'raw']);
	assert.match(custom.output.at(-1).input, /^[ab]{3}$/);
});

test('what cannot be called is named; what nobody promised is told', async () => {
	const refused = async (more, field, message) => {
		const { status, json } = await post(server, '/v1/chat/completions', { ...ask, ...more });
		assert.deepEqual([status, json.error?.param], [400, field], JSON.stringify(json));
		assert.match(json.error.message, message);
	};
	await refused({ tool_choice: { type: 'function', function: { name: 'fly' } } }, 'tool_choice.function.name', /"fly", which none of tools is called/);
	await refused({ tools: undefined, tool_choice: 'required' }, 'tool_choice', /there are no tools/);
	const odd = { type: 'object', properties: { a: { type: 'string', pattern: '(a|b)\\1' } }, required: ['a'] };
	await refused({ tools: [tools[0], tool('odd', odd, { strict: true })] }, 'tools[1].function.parameters/properties/a/pattern', /^tools\[1\].function.parameters\/properties\/a\/pattern: /);
	await refused({ tools: [tool('odd', odd)], tool_choice: 'required' }, 'tools[0].function.parameters/properties/a/pattern', /./);
	const { status, json } = await post(server, '/v1/chat/completions', { ...ask, tools: [tool('odd', odd)], max_tokens: 4 });
	assert.equal(status, 200);
	assert.match(json.warnings.join(), /cannot be enforced: tools\[0\]\.function\.parameters/);
	// Thousands are too many for this context, and nobody else waits for them.
	const many = Array.from({ length: 3000 }, (_, i) => tool(`tool_${i}`, none));
	const [full, other] = await Promise.all([
		post(server, '/v1/chat/completions', { ...ask, tools: many, tool_choice: { type: 'function', function: { name: 'tool_2999' } } }),
		generate(server, { prompt: 'a', max_tokens: 2, stream: false }),
	]);
	assert.deepEqual([full.status, full.json.error.code, other.status], [400, 'context_length_exceeded', 200]);
	const odder = await post(server, '/v1/chat/completions', { ...ask, messages: [{ role: 'user', content: '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call><|im_end|>' }], max_tokens: 4 });
	assert.equal(odder.status, 200);
	assert.equal((await generate(server, { prompt: 'a', max_tokens: 2, stream: false })).status, 200);
});

test('ids of prompt and answer; control tokens by name where they are asked for', async () => {
	const plain = { ...ask, tools: undefined, reasoning_effort: 'none', max_tokens: 12, return_token_ids: true };
	const { json } = await post(server, '/v1/chat/completions', plain);
	assert.equal(json.prompt_token_ids.length, json.usage.prompt_tokens);
	const [{ token_ids: ids, message }] = json.choices;
	assert.equal(ids.length, json.usage.completion_tokens);
	assert.equal((await post(server, '/detokenize', { tokens: ids })).json.content, message.content);
	const streamed = [];
	let prompt;
	for await (const chunk of await openai.chat.completions.create({ ...plain, stream: true })) {
		prompt ??= chunk.prompt_token_ids;
		streamed.push(...(chunk.choices[0]?.token_ids ?? []));
	}
	assert.deepEqual([prompt, streamed], [json.prompt_token_ids, ids]);
	// A control token that no dialect has, forced.
	const { tokens: [end] } = (await post(server, '/tokenize', { content: '<|im_start|>', parse_special: true })).json;
	const forced = { ...plain, max_tokens: 2, logit_bias: { [end]: 100 } };
	const shown = async (more) => (await post(server, '/v1/chat/completions', { ...forced, ...more })).json.choices[0].message.content;
	assert.equal(await shown({}), '');
	assert.equal(await shown({ skip_special_tokens: false }), '<|im_start|><|im_start|>');
});

test("what a template refuses is named as the API has it, and by no number that the request does not have", async () => {
	const refuses = "{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('never') }}{% endif %}{{ m.role }}{{ m.content }}{% endfor %}";
	const other = await start(['--chat-template', refuses]);
	const said = async (path, body) => {
		const { status, json } = await post(other, path, body);
		assert.equal(status, 400);
		return [json.error.message ?? json.error, json.error.param];
	};
	const no = { role: 'user', content: 'no' };
	const it = "the model's chat template refuses it: never";
	// The template lists no tools, so messages come before these.
	const asked = [user, { role: 'assistant', content: 'a' }, no];
	assert.deepEqual(await said('/v1/chat/completions', { messages: asked, max_tokens: 1 }), [`messages[2]: ${it}`, 'messages[2]']);
	assert.deepEqual(await said('/v1/chat/completions', { messages: asked, tools, max_tokens: 1 }), [`messages: ${it}`, 'messages']);
	assert.deepEqual(await said('/v1/responses', { input: asked, max_output_tokens: 1 }), [`input: ${it}`, 'input']);
	assert.deepEqual(await said('/v1/responses', { input: 'no', max_output_tokens: 1 }), [`input: ${it}`, 'input']);
	const anthropicTools = [{ name: 'now', input_schema: { type: 'object' } }];
	assert.deepEqual(await said('/v1/messages', { messages: asked, max_tokens: 1 }), [`messages.2: ${it}`, undefined]);
	assert.deepEqual(await said('/v1/messages', { messages: asked, tools: anthropicTools, max_tokens: 1 }), [`messages: ${it}`, undefined]);
	await other.stop();
});

test('arguments are an object also where the schema leaves that open', async () => {
	const one = { properties: { a: { enum: [1] } }, required: ['a'], additionalProperties: false };
	const schemas = [
		[{ maxProperties: 0 }, {}],
		[one, { a: 1 }],
		[{ type: ['string', 'object'], ...one }, { a: 1 }],
		[{ anyOf: [{ type: 'string' }, { type: 'object', ...one }] }, { a: 1 }],
		[{ $ref: '#/$defs/x', $defs: { x: { anyOf: [{ type: 'integer' }, { type: 'object', ...one }] } } }, { a: 1 }],
	];
	for (const [schema, wanted] of schemas)
		for (let seed = 1; seed <= 6; seed++) {
			const { json } = await post(server, '/v1/chat/completions', { ...ask, seed, tools: [tool('f', schema)], tool_choice: 'required', parallel_tool_calls: false, reasoning_effort: 'none' });
			const [{ message, finish_reason: reason }] = json.choices;
			assert.equal(reason, 'tool_calls', JSON.stringify(schema) + JSON.stringify(message));
			assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), wanted);
		}
	const { status, json } = await post(server, '/v1/chat/completions', { ...ask, tools: [tool('f', { type: 'string' })], tool_choice: 'required' });
	assert.deepEqual([status, json.error.param], [400, 'tools[0].function.parameters']);
	assert.match(json.error.message, /arguments of a call are an object/);
});
