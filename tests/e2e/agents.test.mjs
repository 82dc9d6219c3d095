// OpenAI's agents SDK, over both of OpenAI's APIs: an agent calls a tool that runs here, and goes on with what it gave.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, run, setTracingDisabled, tool } from '@openai/agents';
import OpenAI from 'openai';
import { start } from './server_common.mjs';

setTracingDisabled(true);
const template = new URL('../golden/templates/tools_and_thinking.jinja', import.meta.url).pathname;
let server, client;
before(async () => {
	server = await start(['--chat-template-file', template]);
	client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
after(() => server.stop());

for (const [name, Model] of [['chat completions', OpenAIChatCompletionsModel], ['responses', OpenAIResponsesModel]]) {
	for (const stream of [false, true]) {
		test(`${name}${stream ? ', streamed' : ''}`, async () => {
			const seen = [];
			const weather = tool({
				name: 'weather',
				description: 'the weather',
				parameters: { type: 'object', properties: { city: { type: 'string', enum: ['Rome', 'Oslo'] } }, required: ['city'], additionalProperties: false },
				strict: true,
				execute: ({ city }) => (seen.push(city), 'rain'),
			});
			const agent = new Agent({
				name: 'poet',
				instructions: 'Be brief.',
				model: new Model(client, 'haiku'),
				modelSettings: { toolChoice: 'required', maxTokens: 60, parallelToolCalls: false, temperature: 0 },
				tools: [weather],
			});
			const result = await run(agent, 'Write a haiku about autumn rain.', { maxTurns: 4, stream });
			if (stream) {
				let events = 0;
				for await (const event of result) events += event.type === 'raw_model_stream_event';
				await result.completed;
				assert.ok(events > 2);
			}
			assert.ok(seen.length >= 1 && seen.every((city) => ['Rome', 'Oslo'].includes(city)), JSON.stringify(seen));
			assert.ok(result.newItems.some((item) => item.type === 'tool_call_output_item'));
			assert.equal(typeof result.finalOutput, 'string');
		});
	}
}
