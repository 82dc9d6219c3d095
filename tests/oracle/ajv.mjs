// ajv as a judge of what is drawn: draft 2020-12, or 7 where a schema says so or uses what only 7 has.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const options = { strict: false, allErrors: false, logger: false, multipleOfPrecision: 9, validateSchema: false };
const make = (Class, unicodeRegExp) => addFormats(new Class({ ...options, unicodeRegExp }));
const isOld = (schema) => /draft-0[4-7]/.test(schema?.$schema ?? '') || schema?.definitions !== undefined || JSON.stringify(schema).includes('"items":[');

// A function of a value: null, or what ajv says against it. Throws where ajv cannot compile the schema.
export function judge(schema) {
	const copy = schema && typeof schema === 'object' ? { ...schema } : schema;
	if (copy && typeof copy === 'object') {
		delete copy.$schema;
		if (typeof copy.id === 'string') delete copy.id; // draft 4's $id
	}
	const Class = isOld(schema) ? Ajv : Ajv2020;
	let validate;
	try {
		validate = make(Class, true).compile(copy);
	} catch (e) {
		if (!/regular expression/.test(e.message)) throw e;
		validate = make(Class, false).compile(copy); // "\\:" is a pattern without the u flag alone
	}
	return (value) => (validate(value) ? null : `${validate.errors[0].instancePath || '(root)'} ${validate.errors[0].keyword}: ${validate.errors[0].message}`);
}

// Whether a double holds each number of a JSON text: ajv calculates with doubles, hokku with decimals.
export const isExact = (text) => !/\d{16}|[\d.]{18}|[eE][+-]?\d{3}/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, '""'));

export const lines = (path) => readFileSync(path, 'utf8').trimEnd().split('\n').map((l) => JSON.parse(l));
