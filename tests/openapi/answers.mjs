// What is answered: schemas of whole answers, of what a stream has in its events or lines, and of errors; and which route has which.
// In an object a name that ends with ? may be missing; there are no others than those named.
const object = (members, more) => ({
	type: 'object',
	required: Object.keys(members).filter((name) => !name.endsWith('?')),
	properties: Object.fromEntries(Object.entries(members).map(([name, schema]) => [name.replace(/\?$/, ''), schema])),
	additionalProperties: false,
	...more,
});
const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
const array = (items, more) => ({ type: 'array', items, ...more });
const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const number = { type: 'number' };
const yes = { type: 'boolean' };
const none = { type: 'null' };
const or = (...schemas) => ({ anyOf: schemas });
const maybe = (schema) => or(schema, none);
const open = { type: 'object' };
const idOf = (prefix) => ({ type: 'string', description: `The request’s own, or ${prefix} and 16 digits.` });
const time = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d+Z$' };
const seed = or(count, { type: 'string', pattern: '^[0-9]+$' });

const sampling = { type: 'object', additionalProperties: { type: 'number' }, properties: { logit_bias: { type: 'object', additionalProperties: or({ type: 'number' }, { const: false }) } }, required: ['temperature', 'top_k', 'top_p', 'min_p', 'repetition_penalty', 'frequency_penalty', 'presence_penalty', 'logit_bias'] };
const terms = { max_tokens: maybe(count), stop: array(text), 'min_tokens?': count, 'ignore_eos?': { const: true }, 'include_stop_str_in_output?': { const: true }, 'stop_token_ids?': array(count), sampling: ref('Sampling') };
const hokku = object({ model: text, 'key?': text, seed, ...terms, 'template_date?': text });
const warnings = array(text, { minItems: 1 });
const cacheDebug = object({ cached_tokens: count, reason: { enum: ['all_found', 'other_token', 'evicted', 'nothing_known', 'off'] }, 'position?': count, 'token?': object({ id: count, text }), 'call?': object({ message: text, reason: { enum: ['prompt', 'thinking', 'form', 'several', 'ids', 'space'] } }) });
const tokenOf = (ids) => ({ token: text, ...(ids ? { id: count } : {}), logprob: number, bytes: array(count) });
const logprob = (ids) => object({ ...tokenOf(ids), top_logprobs: array(object(tokenOf(ids))) });
const rank = object({ ...tokenOf(true), rank: { type: 'integer', minimum: 1 }, top_logprobs: array(object(tokenOf(true))) });
const promptByIds = array(maybe({ type: 'object', additionalProperties: object({ logprob: number, rank: count, decoded_token: text }) }));
const usage = object({ prompt_tokens: count, completion_tokens: count, total_tokens: count, prompt_tokens_details: object({ cached_tokens: count }), completion_tokens_details: object({ reasoning_tokens: count }) });

/* ---- hokku's own ---- */
const started = { id: idOf('gen-'), model: text, 'key?': text, seed, prompt_tokens: count, started_at: time, ...terms, 'template_date?': text, 'n?': count, 'warnings?': warnings };
const ended = { stop_reason: { enum: ['end', 'stop', 'length', 'context'] }, tokens_out: count, cached_tokens: count, text_bytes: count, prefill_ms: number, decode_ms: number, ttft_ms: number, 'cache_debug?': cacheDebug };
const sample = { text, 'logprobs?': array(ref('Logprob')), ...ended };
const generated = object({ ...started, 'prompt_logprobs?': array(maybe(rank)), ...sample, usage: ref('Usage') });
const severalGenerated = object({ ...started, 'prompt_logprobs?': array(maybe(rank)), samples: array(object({ index: count, ...sample })), usage: ref('Usage') });
const event = or(
	object({ ...started }),
	object({ i: count, prompt_logprobs: array(maybe(rank)) }),
	object({ t: text, i: count, id: count, 'index?': count, 'logprobs?': ref('Logprob') }),
	object({ ...ended, 'index?': count, 'usage?': ref('Usage') }),
	object({ code: text, message: text }),
);
const health = object({
	status: { enum: ['ok', 'loading', 'unhealthy', 'failed', 'stopping'] },
	'code?': text, 'message?': text, 'progress?': number, 'stuck_s?': number,
	'model?': text, 'architecture?': text, 'quantization?': text, 'device?': text,
	'resident_bytes?': object({ weights: count, kv: count, scratch: count, graphs: count, runtime: count }),
	'vram?': open, 'kv_blocks?': count, 'cache_type_k?': text, 'cache_type_v?': text, 'parameters?': count, 'vocab_size?': count, 'n_ctx?': count,
	'tokenizer?': text, 'tokenizer_notes?': array(text), uptime_s: number, version: text, connections: count, held_bytes: count,
	'queue?': object({ running: count, parallel: count, queued: count, max_queue: count, accepted: count, finished: count, cancelled: count, failed: count, tokens_in: count, tokens_out: count }),
	'counters?': { type: 'object', additionalProperties: count },
	'models?': array(open), 'memory?': array(object({ place: text, 'limit_bytes?': count, used_bytes: count })),
	'key?': open,
});
const state = object({ name: text, tokens: count, prompt_tokens: count, kv_tokens: count, bytes: count, ms: number });

/* ---- OpenAI's ---- */
const fingerprint = { type: 'string', pattern: '^fp_[0-9a-f]{16}$' };
const call = { id: text, type: { const: 'function' }, function: object({ name: text, arguments: text }) };
const chatLogprobs = maybe(object({ content: array(ref('ChatLogprob')), refusal: none }));
const finish = { enum: ['stop', 'tool_calls', 'length'] };
const head = (kind) => ({ id: text, object: { const: kind }, created: count, model: text, system_fingerprint: fingerprint });
const tail = { 'prompt_logprobs?': promptByIds, 'prompt_token_ids?': array(count), 'hokku?': ref('Hokku'), 'warnings?': warnings };
const chat = object({
	...head('chat.completion'),
	choices: array(object({ index: count, message: object({ role: { const: 'assistant' }, content: maybe(text), refusal: none, 'reasoning_content?': text, 'tool_calls?': array(object(call)) }), logprobs: chatLogprobs, finish_reason: finish, 'cache_debug?': cacheDebug, 'token_ids?': array(count) })),
	usage: ref('Usage'),
	'prompt_logprobs?': promptByIds,
	'prompt_token_ids?': array(count),
	hokku: ref('Hokku'),
	'warnings?': warnings,
});
const chunk = object({
	...head('chat.completion.chunk'),
	choices: array(object({ index: count, delta: object({ 'role?': { const: 'assistant' }, 'content?': maybe(text), 'refusal?': none, 'reasoning_content?': text, 'tool_calls?': array(object({ index: count, 'id?': text, 'type?': { const: 'function' }, function: object({ 'name?': text, 'arguments?': text }) })) }), logprobs: chatLogprobs, finish_reason: maybe(finish), 'cache_debug?': cacheDebug, 'token_ids?': array(count) })),
	'usage?': maybe(ref('Usage')), ...tail,
});
const textLogprobs = maybe(object({ tokens: array(text), token_logprobs: array(maybe(number)), top_logprobs: array(maybe({ type: 'object', additionalProperties: number })), text_offset: array(count) }));
const textChoice = (reason) => object({ index: count, text, logprobs: textLogprobs, finish_reason: reason, 'prompt_logprobs?': promptByIds, 'cache_debug?': cacheDebug, 'prompt_token_ids?': array(count), 'token_ids?': array(count) });
const completion = object({ ...head('text_completion'), choices: array(textChoice(finish)), usage: ref('Usage'), hokku: ref('Hokku'), 'warnings?': warnings });
const completionChunk = object({ ...head('text_completion'), choices: array(textChoice(maybe(finish))), 'usage?': maybe(ref('Usage')), 'hokku?': ref('Hokku'), 'warnings?': warnings });
const status = { enum: ['in_progress', 'completed', 'incomplete', 'failed'] };
const outputText = object({ type: { const: 'output_text' }, annotations: array(open), logprobs: array(open), text });
const item = or(
	object({ id: text, type: { const: 'message' }, status, role: { const: 'assistant' }, content: array(outputText) }),
	object({ id: text, type: { const: 'reasoning' }, status, summary: array(open, { maxItems: 0 }), content: array(object({ type: { const: 'reasoning_text' }, text })) }),
	object({ id: text, type: { const: 'function_call' }, call_id: text, name: text, 'namespace?': text, arguments: text, status }),
	object({ id: text, type: { const: 'custom_tool_call' }, call_id: text, name: text, 'namespace?': text, input: text }),
);
const response = object({
	id: text, object: { const: 'response' }, created_at: count, status, completed_at: maybe(count), error: maybe(open), incomplete_details: maybe(object({ reason: text })), model: text,
	output: array(ref('ResponseItem')),
	usage: maybe(object({ input_tokens: count, input_tokens_details: object({ cache_write_tokens: count, cached_tokens: count }), output_tokens: count, output_tokens_details: object({ reasoning_tokens: count }), total_tokens: count })),
	instructions: maybe(text), metadata: open, background: { const: false }, max_tool_calls: none, max_output_tokens: maybe(count), parallel_tool_calls: yes, previous_response_id: maybe(text),
	reasoning: object({ effort: maybe(text), summary: none }), service_tier: text, store: yes, temperature: number, text: open, tool_choice: or(text, open), tools: array(open), top_logprobs: count, top_p: number, truncation: { const: 'disabled' },
	'hokku?': ref('Hokku'), 'warnings?': warnings,
});
const responseEvent = { type: 'object', required: ['type', 'sequence_number'], properties: { type: { type: 'string', pattern: '^(response\\.[a-z_.]+|error)$' }, sequence_number: count, response: ref('Response'), item: ref('ResponseItem') } };
const failure = object({ code: text, message: text });
const model = object({ id: text, object: { const: 'model' }, created: count, owned_by: { const: 'hokku' }, 'max_model_len?': count, 'state?': text, 'status?': object({ value: text, args: array(text), 'failed?': yes, 'exit_code?': count }), 'error?': failure, 'meta?': object({ 'vocab_type?': count, n_vocab: count, n_ctx_train: count, n_ctx: count, n_embd: count, n_params: count, size: count }) });

/* ---- Anthropic's ---- */
const anthropicUsage = { input_tokens: count, cache_creation_input_tokens: count, cache_read_input_tokens: count, output_tokens: count, output_tokens_details: object({ thinking_tokens: count }), server_tool_use: none };
const contentBlock = or(
	object({ type: { const: 'text' }, text, citations: none }),
	object({ type: { const: 'thinking' }, thinking: text, signature: text }),
	object({ type: { const: 'tool_use' }, id: text, caller: object({ type: { const: 'direct' } }), name: text, input: open, 'partial_json?': text }),
);
const stopReason = maybe({ enum: ['end_turn', 'tool_use', 'stop_sequence', 'max_tokens', 'model_context_window_exceeded'] });
const stopped = { stop_reason: stopReason, stop_sequence: maybe(text), stop_details: none };
const anthropicMessage = object({ id: text, type: { const: 'message' }, role: { const: 'assistant' }, model: text, container: none, content: array(contentBlock), ...stopped, usage: object({ ...anthropicUsage, service_tier: text }), 'hokku?': ref('Hokku'), 'warnings?': warnings });
const messageEvent = or(
	object({ type: { const: 'message_start' }, message: ref('Message') }),
	object({ type: { const: 'content_block_start' }, index: count, content_block: contentBlock }),
	object({ type: { const: 'content_block_delta' }, index: count, delta: or(object({ type: { const: 'text_delta' }, text }), object({ type: { const: 'thinking_delta' }, thinking: text }), object({ type: { const: 'signature_delta' }, signature: text }), object({ type: { const: 'input_json_delta' }, partial_json: text })) }),
	object({ type: { const: 'content_block_stop' }, index: count }),
	object({ type: { const: 'message_delta' }, delta: object({ container: none, ...stopped }), usage: object(anthropicUsage), 'hokku?': ref('Hokku'), 'warnings?': warnings }),
	object({ type: { enum: ['message_stop', 'ping'] } }),
	ref('AnthropicError'),
);

/* ---- llama-server's ---- */
const chance = { id: count, token: text, bytes: array(count), prob: { type: 'number', minimum: 0, maximum: 1 } };
const llamaProbabilities = array(or(ref('Logprob'), object({ ...chance, top_probs: array(object(chance)) })));
const timings = object({ cache_n: count, prompt_n: count, prompt_ms: number, prompt_per_token_ms: number, prompt_per_second: number, predicted_n: count, predicted_ms: number, predicted_per_token_ms: number, predicted_per_second: number });
const llamaCompletion = {
	type: 'object',
	description: 'All members, or those of response_fields.',
	properties: object({
		index: count, content: text, tokens: array(count), id_slot: count, stop: yes, id: text, model: text, tokens_predicted: count, tokens_evaluated: count, generation_settings: open, prompt: or(text, array(count)), has_new_line: yes, truncated: yes,
		stop_type: { enum: ['none', 'eos', 'limit', 'word'] }, stopping_word: text, tokens_cached: count, timings, completion_probabilities: llamaProbabilities, warnings, hokku: open, cache_debug: open,
	}).properties,
	additionalProperties: true,
};
const llamaChunk = or(object({ index: count, content: text, tokens: array(count), stop: { const: false }, id_slot: count, tokens_predicted: count, tokens_evaluated: count, 'completion_probabilities?': llamaProbabilities }), ref('LlamaCompletion'));
const slot = { type: 'object', required: ['id', 'id_task', 'n_ctx', 'speculative', 'is_processing'], properties: { id: count, id_task: { type: 'integer' }, n_ctx: count, speculative: yes, is_processing: yes } };

/* ---- Ollama's ---- */
const details = object({ parent_model: text, format: text, family: text, families: array(text), parameter_size: text, quantization_level: text, context_length: count, embedding_length: count });
const ollamaHead = { model: text, created_at: time };
const ollamaTail = { 'logprobs?': array(ref('ChatLogprob')), done: yes, 'done_reason?': { enum: ['stop', 'length', 'load', 'unload'] }, 'total_duration?': count, 'load_duration?': count, 'prompt_eval_count?': count, 'prompt_eval_duration?': count, 'eval_count?': count, 'eval_duration?': count, 'hokku?': ref('Hokku'), 'warnings?': warnings };
const ollamaChat = object({ ...ollamaHead, message: object({ role: { const: 'assistant' }, content: text, 'thinking?': text, 'tool_calls?': array(object({ id: text, function: object({ index: count, name: text, arguments: open }) })) }), ...ollamaTail });
const ollamaGenerate = object({ ...ollamaHead, response: text, 'thinking?': text, 'context?': array(count), ...ollamaTail });
const tag = { name: text, model: text, 'modified_at?': time, size: count, digest: { type: 'string', pattern: '^[0-9a-f]{64}$' }, details };

export const schemas = {
	Sampling: { ...sampling, description: 'What is in effect; rare fields where they are not at their defaults.' },
	Hokku: { ...hokku, description: 'What is in effect, so that the answer can be had again.' },
	Usage: usage,
	Logprob: logprob(true),
	ChatLogprob: logprob(false),
	Generated: generated,
	GeneratedSeveral: severalGenerated,
	GenerateEvent: event,
	Cancelled: object({ id: text, found: yes, 'warnings?': warnings }),
	State: state,
	Health: health,
	Routes: object({ name: { const: 'hokku' }, version: text, routes: { type: 'object', additionalProperties: text } }),
	ChatCompletion: chat,
	ChatCompletionChunk: chunk,
	Completion: completion,
	CompletionChunk: completionChunk,
	Response: response,
	ResponseItem: item,
	ResponseEvent: responseEvent,
	ResponseDeleted: object({ id: text, object: { const: 'response' }, deleted: { const: true } }),
	Model: model,
	ModelDone: object({ success: { const: true } }),
	Models: object({ object: { const: 'list' }, data: array(ref('Model')) }),
	Message: anthropicMessage,
	MessageEvent: messageEvent,
	InputTokens: object({ input_tokens: count, 'warnings?': warnings }),
	LlamaCompletion: llamaCompletion,
	LlamaCompletionChunk: llamaChunk,
	LlamaSlots: array(slot),
	LlamaSlotDone: { type: 'object', required: ['id_slot', 'filename', 'timings'], properties: { id_slot: count, filename: text, timings: open } },
	LlamaTokens: object({ tokens: array(or(count, object({ id: count, piece: or(text, array(count)) }))), 'warnings?': warnings }),
	LlamaContent: object({ content: text, 'warnings?': warnings }),
	LlamaPrompt: object({ prompt: text, 'warnings?': warnings }),
	LlamaProps: { type: 'object', required: ['default_generation_settings', 'total_slots', 'chat_template', 'build_info'], properties: { default_generation_settings: open, total_slots: count, chat_template: text, build_info: text } },
	OllamaChat: ollamaChat,
	OllamaGenerate: ollamaGenerate,
	OllamaShow: object({ modelfile: text, parameters: text, template: text, 'system?': text, 'license?': text, details, model_info: open, 'tensors?': array(open), 'projector_info?': open, capabilities: array({ enum: ['completion', 'tools', 'thinking', 'insert'] }), modified_at: time, 'warnings?': warnings }),
	OllamaTags: object({ models: array(object(tag)) }),
	OllamaRunning: object({ models: array(object({ ...tag, expires_at: time, size_vram: count, context_length: count })) }),
	OllamaVersion: object({ version: text }),
	NativeError: object({ error: object({ code: { type: 'string', pattern: '^[A-Z_]+$' }, message: text, 'field?': text }) }),
	OpenaiError: object({ error: object({ message: text, type: { enum: ['invalid_request_error', 'rate_limit_error', 'server_error'] }, param: maybe(text), code: maybe(text) }) }),
	AnthropicError: object({ type: { const: 'error' }, error: object({ type: { type: 'string', pattern: '_error$|^request_too_large$' }, message: text }), 'request_id?': maybe(text) }),
	LlamaError: object({ error: object({ code: { type: 'integer' }, message: text, type: text, 'field?': text, 'n_prompt_tokens?': count, 'n_ctx?': count }) }),
	OllamaError: object({ error: text }),
};

// By method and path: the whole answer, and what of a stream an event's data or a line is.
const asChat = { whole: 'ChatCompletion', piece: 'ChatCompletionChunk' };
const asResponse = { whole: 'Response', piece: 'ResponseEvent' };
const asLlama = { whole: ['LlamaCompletion', 'several'], piece: 'LlamaCompletionChunk' };
export const answers = {
	'GET /': { whole: 'Routes', page: true },
	'GET /health': { whole: 'Health', status503: 'Health' },
	'GET /v1/health': { whole: 'Health', status503: 'Health' },
	'GET /metrics': { text: 'Prometheus’ text format, version 0.0.4 (docs/metrics.md).' },
	'POST /v1/generate': { whole: ['Generated', 'GeneratedSeveral'], piece: 'GenerateEvent' },
	'POST /v1/cancel': { whole: 'Cancelled', status: 202 },
	'POST /v1/state/save': { whole: 'State' },
	'POST /v1/state/restore': { whole: 'State' },
	'POST /v1/chat/completions': asChat,
	'POST /chat/completions': asChat,
	'POST /v1/responses': asResponse,
	'POST /responses': asResponse,
	'GET /v1/responses/*': { whole: 'Response' },
	'DELETE /v1/responses/*': { whole: 'ResponseDeleted' },
	'POST /v1/completions': { whole: 'Completion', piece: 'CompletionChunk' },
	'POST /v1/messages': { whole: 'Message', piece: 'MessageEvent' },
	'POST /v1/messages/count_tokens': { whole: 'InputTokens' },
	'GET /v1/models': { whole: 'Models' },
	'GET /models': { whole: 'Models' },
	'GET /v1/models/*': { whole: 'Model' },
	'POST /models/load': { whole: 'ModelDone' },
	'POST /models/unload': { whole: 'ModelDone' },
	'POST /completion': asLlama,
	'POST /completions': asLlama,
	'POST /infill': asLlama,
	'GET /slots': { whole: 'LlamaSlots' },
	'POST /slots/*': { whole: 'LlamaSlotDone' },
	'POST /tokenize': { whole: 'LlamaTokens' },
	'POST /detokenize': { whole: 'LlamaContent' },
	'POST /apply-template': { whole: 'LlamaPrompt' },
	'POST /v1/chat/completions/input_tokens': { whole: 'InputTokens' },
	'POST /chat/completions/input_tokens': { whole: 'InputTokens' },
	'GET /props': { whole: 'LlamaProps' },
	'GET /lora-adapters': { whole: { type: 'array', maxItems: 0 } },
	'POST /api/chat': { whole: 'OllamaChat', lines: true },
	'POST /api/generate': { whole: 'OllamaGenerate', lines: true },
	'POST /api/show': { whole: 'OllamaShow' },
	'GET /api/tags': { whole: 'OllamaTags' },
	'GET /api/ps': { whole: 'OllamaRunning' },
	'GET /api/version': { whole: 'OllamaVersion' },
};

// Whose form errors have, by how a path begins.
const families = [
	['Anthropic', /^\/v1\/messages/],
	['Ollama', /^\/api\//],
	['Llama', /^(\/v1)?\/chat\/completions\/input_tokens|^\/models\/(load|unload)|^\/(completions?|infill|slots|tokenize|detokenize|apply-template|props|lora-adapters|embeddings?|rerank|reranking)(\/|$)|^\/v1\/rerank/],
	['Openai', /^(\/v1)?\/(chat\/completions|responses|completions|embeddings|models)/],
	['Native', /./],
];
export const familyOf = (path) => families.find(([, re]) => re.test(path))[0];
