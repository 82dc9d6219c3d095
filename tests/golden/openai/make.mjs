// Makes schemas.json out of OpenAI's own description of its API: what hokku's answers are made of, and what that refers to.
//     git clone https://github.com/openai/openai-openapi && node make.mjs openai-openapi/openapi.json
// What is only for people (descriptions, examples, x-...) is left out. `nullable: true`, which is OpenAPI's and no JSON Schema's, is written as
// a type beside null; nothing else is changed.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const roots = [
	'CreateChatCompletionResponse',
	'CreateChatCompletionStreamResponse',
	'CreateCompletionResponse',
	'ListModelsResponse',
	'Model',
	'ErrorResponse',
	'Response',
	'ResponseStreamEvent',
];
const forPeople = new Set(['description', 'title', 'example', 'examples', 'default', 'deprecated', 'discriminator', 'nullable']);

const path = process.argv[2];
const all = JSON.parse(readFileSync(path, 'utf8')).components.schemas;
const commit = execFileSync('git', ['-C', dirname(path), 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();

// properties: whether the keys are names of members, which may be called "description" too.
function strip(value, names = false) {
	if (Array.isArray(value)) return value.map((v) => strip(v));
	if (typeof value !== 'object' || value === null) return value;
	const kept = Object.entries(value).filter(([key]) => names || !(forPeople.has(key) || key.startsWith('x-')));
	const out = Object.fromEntries(kept.map(([key, v]) => [key, strip(v, !names && key === 'properties')]));
	if (!names && typeof out.$ref === 'string') out.$ref = out.$ref.replace('#/components/schemas/', '#/$defs/');
	if (!names && value.nullable === true) return { anyOf: [out, { type: 'null' }] };
	return out;
}

const refs = (value) => (typeof value !== 'object' || value === null ? [] : Object.entries(value).flatMap(([key, v]) => (key === '$ref' && typeof v === 'string' ? [v.split('/').at(-1)] : refs(v))));

const defs = {};
for (const queue = [...roots]; queue.length; ) {
	const name = queue.pop();
	if (defs[name]) continue;
	defs[name] = strip(all[name]);
	queue.push(...refs(defs[name]));
}
const sorted = Object.fromEntries(Object.keys(defs).sort().map((name) => [name, defs[name]]));
const lines = Object.entries(sorted).map(([name, schema]) => `\t\t${JSON.stringify(name)}: ${JSON.stringify(schema)}`);
const head = `{\n\t"$comment": "openai/openai-openapi ${commit}, MIT; made by make.mjs",\n\t"$defs": {\n`;
writeFileSync(new URL('schemas.json', import.meta.url), `${head}${lines.join(',\n')}\n\t}\n}\n`);
