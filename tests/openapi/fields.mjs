// What the fields of requests take, by their names: of all forms, then those of one form that differ. make.mjs puts them into docs/openapi.json, where the names come
// from the program; e2e/openapi.test.mjs holds the running server against each. A field with `examples` takes more than its schema can say: what the schema lets through
// is good only as far as the examples go.

const most = 2147483647;
const whole = (minimum, maximum, description, more) => ({ type: 'integer', minimum, maximum, description, ...more });
const number = (minimum, maximum, description, more) => ({ type: 'number', minimum, maximum, description, ...more });
const yes = (description) => ({ type: 'boolean', description });
const text = (minLength, maxLength, description, more) => ({ type: 'string', minLength, maxLength, description, ...more });
const choices = (list, description) => ({ type: 'string', enum: list, description });
const anything = (description) => ({ description });
const closed = (properties, more) => ({ type: 'object', properties, additionalProperties: false, ...more });
const array = (items, maxItems, description, more) => ({ type: 'array', items, ...(maxItems === null ? {} : { maxItems }), description, ...more });
const refused = (why) => ({ not: {}, description: `Refused: ${why}` });
const unused = (type, description = 'Without effect here, which a warning says.') => ({ ...(type ? { type } : {}), description });
const id = { type: 'integer', minimum: 0, maximum: most };
const ids = (minItems, maxItems, description, more) => array(id, maxItems, description, { minItems, ...more });
const stops = { anyOf: [{ type: 'string', minLength: 1, maxLength: 512 }, { type: 'array', maxItems: 16, items: { type: 'string', minLength: 1, maxLength: 512 } }] };

const textPart = { type: 'object', required: ['type', 'text'], properties: { type: { const: 'text' }, text: { type: 'string' } } };
const refusalPart = { type: 'object', required: ['type', 'refusal'], properties: { type: { const: 'refusal' }, refusal: { type: 'string' } }, description: 'Of the assistant alone.' };
const content = { anyOf: [{ type: 'string' }, { type: 'null' }, { type: 'array', items: { anyOf: [textPart, refusalPart] } }] };
const message = {
	type: 'object',
	required: ['role'],
	properties: {
		role: { type: 'string', enum: ['system', 'developer', 'user', 'assistant', 'tool', 'function'] },
		content,
		name: { type: 'string' },
		tool_calls: { type: 'array', items: { type: 'object' } },
		tool_call_id: { type: 'string' },
		reasoning_content: { type: 'string' },
		refusal: { type: ['string', 'null'], description: 'Of the assistant: text of its turn, behind its content.' },
	},
};
const functionTool = {
	type: 'object',
	required: ['type', 'function'],
	properties: {
		type: { const: 'function' },
		function: {
			type: 'object',
			required: ['name'],
			properties: {
				name: { type: 'string', pattern: '^[A-Za-z0-9_.:/-]{1,128}$' },
				description: { type: 'string' },
				parameters: { type: 'object', description: 'A JSON Schema, which calls are held to.' },
				strict: { type: 'boolean' },
			},
		},
	},
};
const tool = { type: 'function', function: { name: 'look', parameters: { type: 'object' } } };
const functionTools = array(functionTool, null, 'Functions that the model may call, for its chat template.', { examples: [[tool], []] });
const bias = { anyOf: [{ type: 'number', minimum: -1000, maximum: 1000 }, { const: false }] };
const jsonSchema = (description, strings = true) => ({
	anyOf: [{ type: 'object' }, { type: 'boolean' }, ...(strings ? [{ type: 'string', contentMediaType: 'application/json' }] : [])],
	description,
	examples: [{ type: 'object' }],
});
const grammar = text(1, undefined, 'A grammar as llama.cpp writes them (GBNF), which the answer follows.', { examples: ['root ::= "a" | "b"'] });
const regex = text(1, undefined, 'A regular expression that the whole answer matches.', { examples: ['[a-z]+'] });
const choice = array({ type: 'string' }, null, 'The answer is one of these.', { minItems: 1, examples: [['yes', 'no']] });
const shapeOf = 'the answer’s shape, always enforced';
const structure = { type: 'object', properties: { type: { const: 'structural_tag' }, format: { type: 'object' } } };
const effort = ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'];
const stages = ['dry', 'penalties', 'top_n_sigma', 'temperature', 'top_k', 'typ_p', 'top_p', 'min_p', 'xtc'];

export const shared = {
	prompt: { anyOf: [{ type: 'string', minLength: 1 }, ids(1, null)], description: 'The text, taken as it is, or its token ids.', examples: ['the river', [5, 6]] },
	messages: array(message, null, 'The conversation, which the model’s chat template makes a prompt of.', { minItems: 1, examples: [[{ role: 'user', content: 'rain' }], [{ role: 'user', content: [{ type: 'text', text: 'rain' }] }]] }),
	tools: functionTools,
	chat_template_kwargs: { type: 'object', description: 'Arguments for the chat template.', examples: [{ enable_thinking: false }] },
	now: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\d(T\\d\\d:\\d\\d:\\d\\d)?$', description: 'What the template takes for now.', examples: ['2026-07-31', '2026-07-31T12:00:00'] },
	id: { type: 'string', pattern: '^[A-Za-z0-9_.:-]{1,64}$', description: 'The request’s id, by which it can be cancelled; not one that is in use.', examples: ['verse-1'] },
	stream: yes('Whether the answer comes in pieces as it is drawn, or in one.'),
	stop: { ...stops, description: 'Where one occurs the answer ends before it: a text of 1 to 512 bytes, or up to 16.', examples: ['\n', ['\n', 'end']] },
	max_tokens: whole(1, most, 'Most tokens of the answer; else until the context is full.'),
	seed: { anyOf: [{ type: 'integer', minimum: 0 }, { type: 'string', pattern: '^[0-9]{1,20}$' }], description: '0 to 18446744073709551615, above 9223372036854775807 as a string of digits; else one is drawn.', examples: [0, 7, '18446744073709551615'] },
	n: whole(1, 128, 'Samples: number k is what the seed + k gives alone.', { default: 1 }),
	priority: whole(0, 3, '0 goes first.', { default: 1 }),
	cache_prompt: { ...yes('Whether what is computed is looked for, and left for others.'), default: true },
	cache_salt: text(1, 256, 'What is computed is found by requests with the same one alone.'),
	cache_debug: yes('The answer tells why no more of the prompt was found in memory.'),
	logprobs: yes('Each token tells its log probability.'),
	top_logprobs: whole(0, 20, 'With logprobs: so many of the likeliest tokens in a token’s place.', { default: 0 }),
	prompt_logprobs: whole(0, 20, 'Each token of the prompt tells its log probability, and so many of the likeliest.'),
	logit_bias: {
		anyOf: [
			{ type: 'object', propertyNames: { minLength: 1 }, additionalProperties: bias, maxProperties: 1024 },
			{ type: 'array', maxItems: 1024, items: { type: 'array', prefixItems: [{ anyOf: [id, { type: 'string', minLength: 1 }] }, bias], minItems: 2, maxItems: 2 } },
		],
		description: 'Added to the logits of token ids or texts; false: never drawn.',
		examples: [{ 511: -100 }, { the: false }, [[511, -1000], ['the', 1000]], {}],
	},
	min_tokens: whole(0, most, 'Before so many tokens nothing ends the answer; max_tokens at most.', { default: 0 }),
	ignore_eos: yes('The model’s end tokens are not drawn.'),
	stop_token_ids: ids(0, 256, 'Drawing one of these ends the answer.', { examples: [[5]] }),
	allowed_token_ids: ids(1, 262144, 'No other tokens are drawn.', { examples: [[5, 6]] }),
	bad_words: array({ type: 'string', minLength: 1, maxLength: 256 }, 256, 'Texts whose tokens do not stand in the answer in a row.', { examples: [['rain']] }),
	skip_special_tokens: { ...yes('Control tokens have no text; false: their names.'), default: true },
	return_token_ids: yes('The answer tells the token ids of prompt and answer.'),
	include_stop_str_in_output: yes('The stop text is part of the answer.'),
	dry_sequence_breakers: array({ type: 'string', minLength: 1, maxLength: 64 }, 64, 'Texts that no repetition goes over (docs/sampling.md).', { examples: [['\n', ':']] }),
	samplers: { const: stages, description: 'The order of the stages, as it is anyway.' },
	response_format: {
		anyOf: [
			closed({ type: { const: 'text' } }, { required: ['type'] }),
			closed({ type: { const: 'json_object' }, schema: { type: ['object', 'boolean', 'string'] } }, { required: ['type'] }),
			closed({ type: { const: 'json_schema' }, json_schema: closed({ name: { type: 'string' }, description: { type: 'string' }, schema: { type: ['object', 'boolean', 'string'] }, strict: { type: 'boolean' } }, { required: ['schema'] }) }, { required: ['type', 'json_schema'] }),
			{ ...structure, required: ['type'] },
		],
		description: `OpenAI’s: ${shapeOf}.`,
		examples: [{ type: 'text' }, { type: 'json_object' }, { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' }, strict: true } }],
	},
	json_schema: jsonSchema('A JSON Schema that the answer is an instance of.'),
	grammar,
	regex,
	choice,
	json_space: choices(['compact', 'spaced', 'free'], 'White space of an answer in JSON; with a shape that is JSON.'),
	structured_outputs: closed(
		{
			json: { type: ['object', 'boolean', 'string'] },
			json_object: { type: 'boolean' },
			regex: { type: 'string', minLength: 1 },
			choice: { type: 'array', items: { type: 'string' }, minItems: 1 },
			grammar: { type: 'string', minLength: 1 },
			structural_tag: { type: ['object', 'string'] },
			disable_any_whitespace: { type: 'boolean' },
		},
		{ description: `As vLLM has it: ${shapeOf}.`, examples: [{ regex: '[a-z]+' }, { choice: ['yes', 'no'] }] },
	),
	structural_tag: { anyOf: [structure, { type: 'string' }], description: 'Free text, tags and shapes in one (docs/constrain.md).', examples: [{ format: { type: 'const_string', value: 'rain' } }] },
	guided_json: jsonSchema('As json_schema; vLLM’s name.'),
	guided_regex: { ...regex, description: 'As regex; vLLM’s name.' },
	guided_choice: { ...choice, description: 'As choice; vLLM’s name.' },
	guided_grammar: { ...grammar, description: 'As grammar; vLLM’s name.' },
	name: { type: 'string', pattern: '^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$', description: 'Of the state.', examples: ['rain'] },
	tokens: ids(1, null, 'Token ids.', { examples: [[5, 6]] }),
	model: text(1, 256, 'Named in the answer; of several models the one that is asked.', { examples: ['haiku'] }),
	stream_options: closed({ include_usage: { type: 'boolean' }, include_obfuscation: { type: 'boolean', description: 'Without effect.' } }, { description: 'With stream.', examples: [{ include_usage: true }] }),
	max_completion_tokens: whole(1, most, 'As max_tokens; where both are given they must be equal.'),
	tool_choice: {
		anyOf: [
			{ type: 'string', enum: ['auto', 'none', 'required'] },
			{ type: 'object', properties: { type: { const: 'function' }, function: { type: 'object', required: ['name'], properties: { name: { type: 'string', minLength: 1 } } } }, required: ['type', 'function'] },
			{ type: 'object', properties: { type: { const: 'allowed_tools' }, allowed_tools: { type: 'object', required: ['mode', 'tools'], properties: { mode: { enum: ['auto', 'required'] }, tools: { type: 'array', minItems: 1 } } } }, required: ['type', 'allowed_tools'] },
		],
		description: 'Whether the answer may, must or must not hold calls.',
		examples: ['auto', 'none', 'required', { type: 'function', function: { name: 'look' } }, { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'look' } }] } }],
	},
	parallel_tool_calls: { ...yes('false: one call at most.'), default: true },
	reasoning_effort: choices(['none', ...effort], 'How much to think, where the template asks for it; none is refused where it has no way.'),
	thinking_token_budget: whole(1, most, 'Most tokens of thinking, which then is closed.'),
	modalities: { const: ['text'], description: 'Answers are text.' },
	verbosity: { const: 'medium', description: 'Any other is refused.' },
	functions: refused('they are given as tools.'),
	function_call: refused('tool_choice says it.'),
	audio: refused('answers are text.'),
	web_search_options: refused('nothing is searched.'),
	moderation: refused('nothing is moderated.'),
	user: unused('string'),
	metadata: unused('object'),
	store: unused('boolean'),
	service_tier: unused('string'),
	safety_identifier: unused('string'),
	prompt_cache_key: unused('string'),
	prompt_cache_retention: unused('string'),
	prompt_cache_options: unused('object'),
	prediction: unused('object'),
	add_generation_prompt: { ...yes('false: the prompt ends with the last message.'), default: true },
};

// /v1/chat/completions and what takes the same.
const openai = {
	seed: { anyOf: [{ type: 'integer' }, { type: 'string', pattern: '^[0-9]{1,20}$' }], description: 'As a whole number; a negative one stands for the unsigned one of the same 64 bits.', examples: [-1, 7, '7'] },
	top_p: number(0, 1, 'Draw among the likeliest tokens that hold this probability; 0: the likeliest alone.'),
};

const responses = {
	...openai,
	input: {
		anyOf: [{ type: 'string' }, { type: 'array', minItems: 1, items: { type: 'object' } }],
		description: 'A text, or items: message, reasoning, function_call, custom_tool_call, and the outputs of these two.',
		examples: ['rain', [{ type: 'message', role: 'user', content: 'rain' }], [{ role: 'user', content: [{ type: 'input_text', text: 'rain' }] }]],
	},
	instructions: { type: 'string', description: 'The system message of this request alone.' },
	previous_response_id: text(1, 64, 'Goes on from the end of a response that is kept; 404 where there is none.'),
	store: { ...yes('Keep the response.'), default: true },
	max_output_tokens: shared.max_tokens,
	include: array(
		{ enum: ['message.output_text.logprobs', 'reasoning.encrypted_content', 'file_search_call.results', 'web_search_call.results', 'web_search_call.action.sources', 'message.input_image.image_url', 'computer_call_output.output.image_url', 'code_interpreter_call.outputs'] },
		null,
		'message.output_text.logprobs; the others have no effect.',
	),
	text: closed({ format: { type: ['object', 'null'] }, verbosity: { enum: ['medium', null] } }, { description: `format: ${shapeOf}.`, examples: [{ format: { type: 'json_schema', name: 'a', schema: { type: 'object' } } }, { verbosity: 'medium' }] }),
	reasoning: closed({ effort: { enum: ['none', ...effort, null] }, summary: { type: ['string', 'null'] }, generate_summary: { type: ['string', 'null'] } }, { description: 'effort as reasoning_effort; summaries have no effect.', examples: [{ effort: 'low' }] }),
	tools: array({ type: 'object', required: ['type'] }, null, 'function, custom, namespace; what OpenAI’s servers run is left out and told.', { examples: [[{ type: 'function', name: 'look', parameters: { type: 'object' } }], [{ type: 'custom', name: 'patch' }]] }),
	tool_choice: { anyOf: [{ enum: ['auto', 'none', 'required'] }, { type: 'object' }], description: 'auto, none, required, one tool or allowed_tools.', examples: ['auto', 'none', 'required', { type: 'function', name: 'look' }] },
	truncation: { const: 'disabled', description: 'Nothing is ever cut.' },
	background: { const: false, description: 'Only the request that asks is answered.' },
	conversation: refused('its items are given as input.'),
	prompt: refused('templates of prompts are not kept.'),
	max_tool_calls: refused('no tool runs on this server.'),
	context_management: refused('nothing is cut or summed up.'),
	metadata: { type: 'object', description: 'Given back as it came.' },
	client_metadata: unused('object'),
};

const completions = {
	...openai,
	prompt: {
		anyOf: [{ type: 'string' }, ids(1, null), { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 2048 }, { type: 'array', items: ids(1, null), minItems: 1, maxItems: 2048 }],
		description: 'A text, token ids, or up to 2,048 of either, none empty.',
		examples: ['the river', [5, 6], ['a', 'b'], [[5], [6, 7]]],
	},
	suffix: { type: 'string', description: 'What stands behind the gap; refused where the vocabulary has no tokens for it. "" is none.', examples: [''] },
	echo: yes('The text begins with its prompt’s.'),
	best_of: whole(1, 128, 'The same as n.'),
	max_tokens: whole(0, most, 'Most tokens of the answer; 0: the prompt is computed.', { default: 16 }),
	logprobs: whole(0, 20, 'Each token tells its log probability, and so many of the likeliest.'),
};

const cacheControl = { type: 'object', required: ['type'], properties: { type: { const: 'ephemeral' }, ttl: { enum: ['5m', '1h', null] } } };
const block = { type: 'object', required: ['type'], properties: { type: { enum: ['text', 'tool_use', 'tool_result', 'thinking', 'redacted_thinking'] } } };
const blocks = { type: 'array', minItems: 1, items: block };
const schemaFormat = closed({ type: { const: 'json_schema' }, schema: { type: 'object' } }, { required: ['type', 'schema'] });
const format = { type: 'json_schema', schema: { type: 'object' } };
const anthropic = {
	top_p: openai.top_p,
	system: { anyOf: [{ type: 'string' }, { type: 'array', items: { ...textPart } }], description: 'A text, or text blocks.', examples: ['Be brief.', [{ type: 'text', text: 'Be brief.' }]] },
	messages: array(
		{ type: 'object', required: ['role', 'content'], properties: { role: { enum: ['user', 'assistant', 'system'] }, content: { anyOf: [{ type: 'string' }, blocks] } } },
		null,
		'The conversation; the last is not the assistant’s.',
		{ minItems: 1, examples: [[{ role: 'user', content: 'rain' }], [{ role: 'user', content: [{ type: 'text', text: 'rain' }] }]] },
	),
	max_tokens: whole(0, most, 'Most tokens of the answer; 0: the prompt is computed.'),
	stop_sequences: array({ type: 'string', minLength: 1, maxLength: 512 }, 16, 'Where one occurs the answer ends before it.', { examples: [['\n']] }),
	tools: array(
		{ type: 'object', required: ['name', 'input_schema'], properties: { type: { enum: ['custom', null] }, name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' }, description: { type: ['string', 'null'] }, input_schema: { type: 'object' }, strict: { type: ['boolean', 'null'] } } },
		null,
		'Functions that the model may call.',
		{ examples: [[{ name: 'look', input_schema: { type: 'object' } }]] },
	),
	tool_choice: closed({ type: { enum: ['auto', 'none', 'any', 'tool'] }, name: { type: ['string', 'null'] }, disable_parallel_tool_use: { type: ['boolean', 'null'] } }, { required: ['type'], description: 'Whether the answer may, must or must not hold calls.', examples: [{ type: 'auto' }, { type: 'any' }, { type: 'tool', name: 'look' }, { type: 'none' }] }),
	thinking: {
		anyOf: [
			closed({ type: { const: 'enabled' }, budget_tokens: whole(1024, most), display: { enum: ['summarized', null] } }, { required: ['type', 'budget_tokens'] }),
			closed({ type: { enum: ['adaptive', 'disabled'] }, budget_tokens: { type: 'null' }, display: { enum: ['summarized', null] } }, { required: ['type'] }),
		],
		description: 'Whether and how much to think.',
		examples: [{ type: 'adaptive' }, { type: 'enabled', budget_tokens: 1024 }],
	},
	output_config: closed({ format: { anyOf: [schemaFormat, { type: 'null' }] }, effort: { enum: ['low', 'medium', 'high', 'xhigh', 'max', null] } }, { description: 'The shape of the answer behind its thinking; how much to think.', examples: [{ effort: 'low' }, { format }] }),
	output_format: { ...schemaFormat, description: 'As format of output_config.', examples: [format] },
	cache_control: { ...cacheControl, description: 'Without effect: beginnings of prompts are found again without it.', examples: [{ type: 'ephemeral' }, { type: 'ephemeral', ttl: '1h' }] },
	context_management: closed({ edits: { type: ['array', 'null'], items: { type: 'object', required: ['type', 'keep'], properties: { type: { const: 'clear_thinking_20251015' }, keep: { const: 'all' } } } } }, { description: 'Edits that keep all.', examples: [{ edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] }] }),
	metadata: unused(),
	service_tier: unused(),
	speed: unused(),
	inference_geo: unused(),
	container: refused('no code runs on this server.'),
	mcp_servers: refused('this server calls no others.'),
	diagnostics: refused('cache_debug tells it.'),
};

// Values below a range's end ask for nothing there and are taken for nothing.
const below = (maximum, description) => ({ type: 'number', maximum, description });
const predict = (description) => whole(-1, most, description);
const llama = {
	prompt: {
		anyOf: [{ type: 'string' }, { type: 'array', minItems: 1, maxItems: 2048, items: { anyOf: [{ type: 'string' }, id, { type: 'array' }, { type: 'object', required: ['prompt_string'] }] } }, { type: 'object', required: ['prompt_string'], properties: { prompt_string: { type: 'string' } } }],
		description: 'A text, or texts and token ids one after the other; an array without numbers is so many prompts.',
		examples: ['the river', [5, 'a'], { prompt_string: 'the river' }, ['a', 'b']],
	},
	n_predict: predict('Most tokens; -1: until the context is full; 0: the prompt is computed.'),
	max_tokens: predict('As n_predict.'),
	max_completion_tokens: predict('As n_predict.'),
	n_cmpl: whole(1, 128, 'As n.'),
	stop: { anyOf: [{ type: 'string', maxLength: 512 }, { type: 'array', items: { type: 'string', maxLength: 512 } }], description: 'Where one occurs the answer ends before it; empty ones are none.', examples: ['', ['\n', '']] },
	seed: { anyOf: [{ type: 'integer', minimum: -1 }, { type: 'string', pattern: '^[0-9]{1,20}$' }], description: '-1: one is drawn.', examples: [-1, 7] },
	model: text(0, 256, 'Named in the answer.'),
	temperature: below(100, 'How even the draw is; 0 and below: the likeliest token.'),
	top_k: { type: 'integer', maximum: most, description: 'Draw among the K likeliest tokens; 0 and below: all.' },
	top_p: below(1, 'Draw among the likeliest tokens that hold this probability; 0 and below: the likeliest alone.'),
	min_p: below(1, 'Leave out tokens less likely than this part of the likeliest.'),
	top_n_sigma: below(100, 'Leave out logits more than N standard deviations below the largest.'),
	xtc_probability: below(1, 'How often the likeliest tokens are left out, all but one.'),
	dynatemp_range: below(100, 'Temperatures so far around the one given, by entropy.'),
	dry_multiplier: below(100, 'How much is taken off tokens that go on with a repetition.'),
	dry_base: below(100, 'How many times as much for each token more.'),
	dry_allowed_length: { type: 'integer', maximum: most, description: 'Repetitions shorter than this are free.' },
	repeat_penalty: { type: 'number', exclusiveMinimum: 0, maximum: 10, description: 'Above 1: avoid tokens of prompt and answer.' },
	adaptive_target: { type: 'number', exclusiveMaximum: 0, description: 'There is no such sampler: below 0 it does nothing.' },
	adaptive_decay: { type: 'number', description: 'There is no such sampler.' },
	min_keep: number(0, 1, 'There is no such limit: 0 and 1 do nothing.'),
	samplers: { anyOf: [{ type: 'string', pattern: '^[edstkypmxia]*$' }, { type: 'array', items: { type: 'string' } }], description: 'Those that run, by letter or by name, each once; their order is this server’s.', examples: ['kt', ['top_k', 'temperature'], []] },
	n_probs: whole(0, 20, 'Each token tells its log probability, and so many of the likeliest.'),
	logprobs: whole(0, 20, 'As n_probs.'),
	post_sampling_probs: yes('With n_probs: probabilities after all samplers in place of log probabilities of the model.'),
	return_tokens: yes('The answer’s token ids in tokens.'),
	response_fields: array({ type: 'string' }, 64, 'The members that the last object has.', { examples: [['content', 'timings/prompt_n']] }),
	id_slot: whole(-1, 255, 'A slot’s number, below --parallel; it binds nothing.'),
	grammar: { type: 'string', description: grammar.description, examples: ['', ...grammar.examples] },
	lora: { type: 'array', maxItems: 0, description: 'There are no adapters.' },
	backend_sampling: yes('Without effect.'),
	verbose: yes('Without effect.'),
	timings_per_token: yes('Without effect.'),
	return_progress: yes('Without effect.'),
	...Object.fromEntries(['sse_ping_interval', 'stream_options', 'n_indent', 'n_keep', 'n_discard', 'n_cache_reuse', 't_max_predict_ms', 't_max_prompt_ms'].map((name) => [name, unused()])),
};
const infill = {
	...llama,
	prompt: { type: 'string', description: 'Goes behind input_prefix.' },
	input_prefix: { type: 'string', description: 'What stands before the gap.' },
	input_suffix: { type: 'string', description: 'What stands behind it.' },
	input_extra: array({ type: 'object', required: ['text'], properties: { text: { type: 'string' }, filename: { type: 'string' } } }, null, 'Other files.', { examples: [[{ filename: 'a.c', text: 'int a;' }]] }),
};
const tokenize = {
	content: { anyOf: [{ type: 'string' }, { type: 'array', items: { anyOf: [{ type: 'string' }, id] } }], description: 'A text, or texts and token ids one after the other.', examples: ['rain', ['rain', 5]] },
	add_special: yes('BOS comes first where the model wants one.'),
	parse_special: { ...yes('Names of special tokens become those tokens.'), default: true },
	with_pieces: yes('Each token with its text.'),
};

// Ollama's options; those without a row here have no effect.
const sampled = {
	temperature: number(0, 100, 'How even the draw is.', { default: 0.8 }),
	top_k: { type: 'integer', minimum: -2147483648, maximum: most, description: 'Draw among the K likeliest tokens; 0 and below: all.', default: 40 },
	top_p: number(0, 1, 'Draw among the likeliest tokens that hold this probability.', { default: 0.9 }),
	min_p: number(0, 1, 'Leave out tokens less likely than this part of the likeliest.', { default: 0 }),
	repeat_penalty: { type: 'number', exclusiveMinimum: 0, maximum: 10, description: 'Above 1: avoid tokens of prompt and answer.', default: 1 },
	presence_penalty: number(-2, 2, 'Taken off a logit once in the answer.', { default: 0 }),
	frequency_penalty: number(-2, 2, 'Taken off a logit for each time in the answer.', { default: 0 }),
	repeat_last_n: whole(-1, most, 'How far back the penalties look; -1: at all.', { default: 64 }),
	typical_p: { type: 'number', exclusiveMinimum: 0, maximum: 1, description: 'Draw among the most typical tokens that hold this probability.', default: 1 },
	mirostat: whole(0, 2, 'Keep the answer’s surprise at a target: version 1 or 2.', { default: 0 }),
	mirostat_tau: number(0, 100, 'The target, in bits a token.', { default: 5 }),
	mirostat_eta: number(0, 1, 'How fast it is approached.', { default: 0.1 }),
};
export const options = {
	...sampled,
	seed: { type: 'integer', minimum: -1, description: '-1: one is drawn.', examples: [-1, 7] },
	num_predict: { anyOf: [whole(1, most), { enum: [-1, -2] }], description: 'Most tokens; -1 and -2: until the model ends or the context is full.', examples: [1, -1, -2] },
	stop: shared.stop,
	num_ctx: whole(1, most, 'Without effect up to the context that there is (--ctx); more is refused.', { examples: [1] }),
	tfs_z: { const: 1, description: 'There is no such sampler.' },
	penalize_newline: { const: true, description: 'No other is done.' },
	vocab_only: { const: false, description: 'No other is done.' },
	embedding_only: { const: false, description: 'No other is done.' },
	...Object.fromEntries(['num_keep', 'num_batch', 'num_gpu', 'main_gpu', 'num_thread', 'num_gqa', 'draft_num_predict'].map((name) => [name, unused('number')])),
	...Object.fromEntries(['numa', 'low_vram', 'f16_kv', 'use_mmap', 'use_mlock', 'logits_all'].map((name) => [name, unused('boolean')])),
};
const isOption = refused('it is one of options.');
const keepAlive = { anyOf: [{ type: 'number' }, { type: 'string', pattern: '^[+-]?(0|([0-9]*\\.?[0-9]*(ns|us|µs|μs|ms|s|m|h))+)$' }], description: 'How long one of several models stays after this; below 0: for ever. The only one stays.', examples: [0, -1, '5m', '1h30m'] };
const optionsOf = { $ref: '#/components/schemas/OllamaOptions', description: 'Sampling and limits.', examples: [{ num_predict: 1 }] };
const empty = (description) => ({ const: '', description });
const ollamaBoth = {
	model: text(1, 256, 'What is served, with or without :latest.', { examples: ['haiku', 'HAIKU:latest'] }),
	format: { anyOf: [{ enum: ['', 'json'] }, { type: 'object' }], description: 'json, or a JSON Schema; always enforced.', examples: ['json', { type: 'object' }, ''] },
	options: optionsOf,
	think: { anyOf: [{ type: 'boolean' }, { enum: ['low', 'medium', 'high', 'max'] }], description: 'Whether or how much to think.' },
	keep_alive: keepAlive,
	truncate: yes('Without effect: nothing is cut off.'),
	shift: yes('Without effect: nothing is cut off.'),
	...Object.fromEntries(['temperature', 'top_k', 'top_p', 'min_p', 'seed', 'stop', 'num_ctx', 'num_predict'].map((name) => [name, isOption])),
};
const ollamaChat = {
	...ollamaBoth,
	messages: array({ type: 'object', required: ['role'], properties: { role: { type: 'string' }, content: { type: ['string', 'null'] }, thinking: { type: ['string', 'null'] }, tool_calls: { type: ['array', 'null'] }, tool_name: { type: ['string', 'null'] }, tool_call_id: { type: ['string', 'null'] } } }, null, 'The conversation; none: only the model is asked for.', { examples: [[{ role: 'user', content: 'rain' }], []] }),
};
const ollamaGenerate = {
	...ollamaBoth,
	prompt: { type: 'string', description: 'Becomes a message; none or an empty one: only the model is asked for.' },
	suffix: { type: 'string', description: 'Text behind a gap that the answer fills; refused where the vocabulary has no tokens for it.', examples: [''] },
	system: { type: 'string', description: 'The system message.' },
	raw: yes('The prompt is taken without a template.'),
	context: ids(0, null, 'Token ids of an earlier answer, which the prompt goes behind.', { examples: [[5, 6], []] }),
	images: { type: 'array', maxItems: 0, description: 'Models here read text.' },
	template: empty('Templates of Go are not run.'),
	width: empty('Images are not made.'),
	height: empty('Images are not made.'),
	steps: empty('Images are not made.'),
};
const nameOf = text(1, 256, 'What is served.', { examples: ['haiku'] });
const embed = {
	model: nameOf,
	input: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }], description: 'Texts.' },
	prompt: { type: 'string', description: 'A text.' },
	dimensions: whole(0, most, 'Of what comes.'),
	truncate: yes('Without effect.'),
	options: optionsOf,
	keep_alive: keepAlive,
};

// By the first route that has the form: the schema's name, its own fields, and what it must have.
export const forms = {
	'/v1/generate': { name: 'GenerateRequest', own: { tools: array({ type: 'object' }, null, 'For the chat template.', { examples: [[tool], []] }) }, anyOf: [{ required: ['prompt'] }, { required: ['messages'] }] },
	'/v1/state/save': { name: 'StateSaveRequest', own: { tools: array({ type: 'object' }, null, 'For the chat template.', { examples: [[tool], []] }) }, required: ['name'], anyOf: ['id', 'prompt', 'tokens', 'messages'].map((name) => ({ required: [name] })) },
	'/v1/state/restore': { name: 'StateRestoreRequest', required: ['name'] },
	'/v1/chat/completions': { name: 'ChatCompletionRequest', own: openai, required: ['messages'] },
	'/v1/responses': { name: 'ResponseRequest', own: responses, required: ['input'] },
	'/v1/completions': { name: 'CompletionRequest', own: completions, required: ['prompt'] },
	'/v1/messages': { name: 'MessageRequest', own: anthropic, required: ['max_tokens', 'messages'] },
	'/v1/messages/count_tokens': { name: 'MessageCountRequest', own: anthropic, required: ['messages'] },
	'/models/load': { name: 'ModelRequest', own: { model: text(1, 256, 'One of several.', { examples: ['tiny'] }) }, required: ['model'] },
	'/completion': { name: 'LlamaCompletionRequest', own: llama, required: ['prompt'] },
	'/infill': { name: 'LlamaInfillRequest', own: infill, required: ['input_prefix', 'input_suffix'] },
	'/slots/*': { name: 'LlamaSlotRequest', own: { filename: { ...shared.name, description: 'Of the file.' } }, required: ['filename'] },
	'/tokenize': { name: 'LlamaTokenizeRequest', own: tokenize, required: ['content'] },
	'/detokenize': { name: 'LlamaDetokenizeRequest', own: { tokens: ids(0, null, 'Token ids.', { examples: [[5, 6], []] }) }, required: ['tokens'] },
	'/apply-template': { name: 'LlamaTemplateRequest', own: openai, required: ['messages'] },
	'/v1/chat/completions/input_tokens': { name: 'LlamaCountRequest', own: openai, required: ['messages'] },
	'/api/chat': { name: 'OllamaChatRequest', own: ollamaChat, required: ['model'] },
	'/api/generate': { name: 'OllamaGenerateRequest', own: ollamaGenerate, required: ['model'] },
	'/api/show': { name: 'OllamaShowRequest', own: { model: nameOf, name: { type: 'string', description: 'As model, of old; beside it, nothing.' }, system: { type: 'string', description: 'Without effect.' }, template: anything('Without effect.'), options: anything('Without effect.'), verbose: yes('Arrays and tensors too.') }, anyOf: [{ required: ['model'] }, { required: ['name'] }] },
	'/api/embed': { name: 'OllamaEmbedRequest', own: embed, required: ['model'] },
	'/api/embeddings': { name: 'OllamaEmbeddingsRequest', own: embed, required: ['model'] },
};
export const cancel = { name: 'CancelRequest', properties: { id: { ...shared.id, description: 'Of the request to end.' } }, required: ['id'] };
