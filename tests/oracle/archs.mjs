// The golden models of golden/archs, and how llama.cpp judges each (archs.test.mjs; docs/models.md tells it).
//
// In two things llama.cpp does not follow transformers, which decides. It leaves the windows of Phi-3 and Mistral 7B out: of
// those models it judges what comes before a window hides anything (`window` tokens). And it gives EXAONE 4 its windows in
// models of 64 layers alone: it judges such a one, made of the golden model's layers (`deepened`, golden_gguf.c).
import fs from 'node:fs';
import path from 'node:path';

const folder = path.join(path.dirname(new URL(import.meta.url).pathname), '../golden/archs');
const read = (...names) => JSON.parse(fs.readFileSync(path.join(folder, ...names), 'utf8'));
const leftOut = ['phi3-window', 'mistral'], deepened = ['exaone4-window'];
const unknown = []; // architectures that the pinned llama.cpp does not have: transformers judges them alone

const architecture = ({ name }) => read(name, 'gguf.json').keys['general.architecture'];
export const golden = read('archs.json').filter((entry) => !unknown.includes(architecture(entry))).map((entry) => ({
	...entry,
	architecture: architecture(entry),
	window: leftOut.includes(entry.name) ? read(entry.name, 'config.json').sliding_window : 0,
	deepened: deepened.includes(entry.name) ? `${entry.name}-64` : null,
}));
