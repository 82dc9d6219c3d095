// Schemas in which keywords meet at random (random_schemas.mjs), what is drawn from their masks, and instances: hokku's verdicts are those of
// a plain reading of the specification, and that is ajv's but for what is known of ajv.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from './random_schemas.mjs';

test('400 schemas made at random: drawn texts are valid, and verdicts on instances those of the specification', () => {
	const { schemas, drawn, valid, invalid, bad } = compare(1, 400);
	assert.deepEqual(bad, []);
	assert.ok(schemas > 250 && drawn > 1500 && valid > 3000 && invalid > 4000, `${schemas} schemas, ${drawn} texts drawn, ${valid} valid and ${invalid} invalid instances`);
});
