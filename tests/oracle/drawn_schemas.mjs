// Schemas of the kinds that requests bring, each keyword in one of them at least: what is drawn from their masks is judged by ajv
// (ajv.test.mjs). Property names and strings hold quotes, escapes and characters beyond ASCII on purpose.
const string = { type: 'string' }, integer = { type: 'integer' }, number = { type: 'number' }, bool = { type: 'boolean' };
const object = (properties, more = {}) => ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false, ...more });
const array = (items, more = {}) => ({ type: 'array', items, ...more });
const formats = ['date-time', 'date', 'time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid', 'uri'];

export const schemas = {
	anything: {}, yes: true, null: { type: 'null' }, bool, string, integer, number, types: { type: ['integer', 'null', 'string'] },
	enums: { enum: ['a', 'b"c', 'd\\e', '\u0000', 'é', '🌸', 1, -2.5, 1e30, null, true, [1, 'x'], { k: [], '"': {} }] },
	constObject: { const: { 'x/y~z': [1, { a: null }], '': 'empty' } },
	person: object({ name: string, age: { type: 'integer', minimum: 0, maximum: 150 }, email: { type: 'string', format: 'email' } }),
	optional: { type: 'object', properties: { a: integer, b: string, c: bool, d: { type: 'null' } }, required: ['c'], additionalProperties: false },
	additional: { type: 'object', properties: { a: integer }, additionalProperties: number },
	open: { type: 'object', properties: { id: integer }, required: ['id'] },
	unnamed: { type: 'object', required: ['x'], additionalProperties: { enum: [1, 2] } },
	names: object({ 'a"b': integer, 'c\\d': integer, 'é': integer, '🌸': integer, 'line\nbreak': integer, '': integer }),
	propertyNames: { type: 'object', propertyNames: { pattern: '^[a-z]{1,4}$' }, additionalProperties: integer },
	patternProperties: { type: 'object', patternProperties: { '^n_': integer, '^s_': string }, additionalProperties: false },
	counts: { type: 'object', additionalProperties: bool, minProperties: 2, maxProperties: 4 },
	countsMany: { type: 'object', additionalProperties: bool, minProperties: 6 }, countsKinds: { type: 'object', properties: { b: bool }, patternProperties: { '^a+': integer }, minProperties: 5 },
	someAdditional: { type: 'object', not: { additionalProperties: { type: 'integer' } } },
	list: array(integer, { minItems: 2, maxItems: 5 }), empty: { type: 'array', maxItems: 0 }, nested: array(array(array(bool, { maxItems: 2 }), { maxItems: 2 })),
	tuple: { type: 'array', prefixItems: [integer, string, bool], items: false }, tupleMore: { type: 'array', prefixItems: [string], items: number, minItems: 3 },
	contains: { type: 'array', items: { type: ['integer', 'string'] }, contains: string, maxItems: 6 },
	range: { type: 'integer', minimum: -17, maximum: 4305 }, above: { type: 'integer', exclusiveMinimum: 99 }, below: { type: 'integer', exclusiveMaximum: -99 },
	decimals: { type: 'number', minimum: -0.25, exclusiveMaximum: 12.375 }, tiny: { type: 'number', exclusiveMinimum: 0, maximum: 0.001 },
	multiple: { type: 'integer', multipleOf: 7, minimum: 1 }, cents: { type: 'number', multipleOf: 0.01, minimum: 0, maximum: 100 }, halves: { type: 'number', multipleOf: 0.5, minimum: -3, maximum: 3 },
	lengths: { type: 'string', minLength: 3, maxLength: 8 }, longer: { type: 'string', minLength: 40 }, one: { type: 'string', minLength: 1, maxLength: 1 },
	pattern: { type: 'string', pattern: '^[A-Z]{2}-\\d{3,5}$' }, found: { type: 'string', pattern: 'ab+c' }, any: { type: 'string', pattern: '^(\\w+ ){1,3}\\w+$' },
	patternAndLength: { type: 'string', pattern: '^[a-zé🌸]*$', minLength: 2, maxLength: 5 }, quotes: { type: 'string', pattern: '^["\\\\/]+$' }, notDigits: { type: 'string', pattern: '^\\D+$', maxLength: 6 },
	...Object.fromEntries(formats.map((format) => [format, { type: 'string', format }])),
	anyOf: { anyOf: [object({ kind: { const: 'a' }, x: integer }), object({ kind: { const: 'b' }, y: string })] },
	oneOf: { oneOf: [{ type: 'integer', minimum: 10 }, { type: 'string', maxLength: 3 }, { type: 'null' }] },
	overlap: { oneOf: [{ type: 'integer', minimum: 0 }, { type: 'integer', maximum: 5 }] },
	allOf: { allOf: [{ type: 'object', properties: { a: integer }, required: ['a'] }, { properties: { b: string }, required: ['b'] }] },
	both: { type: 'integer', allOf: [{ minimum: 3 }, { maximum: 9 }], anyOf: [{ multipleOf: 2 }, { multipleOf: 3 }] },
	not: { type: 'string', not: { enum: ['a', 'b'] } }, notType: { not: { type: ['object', 'array', 'string'] } },
	ifThen: { type: 'object', properties: { kind: { enum: ['card', 'cash'] }, number: string }, required: ['kind'], additionalProperties: false,
		if: { properties: { kind: { const: 'card' } } }, then: { required: ['number'] } },
	dependent: { type: 'object', properties: { a: integer, b: integer }, additionalProperties: false, dependentRequired: { a: ['b'] } },
	ref: { $defs: { point: object({ x: number, y: number }) }, ...object({ from: { $ref: '#/$defs/point' }, to: { $ref: '#/$defs/point' } }) },
	tree: { $defs: { node: object({ value: integer, children: array({ $ref: '#/$defs/node' }) }) }, $ref: '#/$defs/node' },
	listOf: { $id: 'https://example.com/list', type: 'object', properties: { head: integer, tail: { anyOf: [{ $ref: '#' }, { type: 'null' }] } }, required: ['head', 'tail'], additionalProperties: false },
	tool: object({ name: { enum: ['search', 'open'] }, arguments: { type: 'object', properties: { query: { type: 'string', minLength: 1 }, limit: { type: 'integer', minimum: 1, maximum: 100 } }, required: ['query'] } }),
	report: object({ title: { type: 'string', maxLength: 40 }, tags: array({ type: 'string', pattern: '^[a-z-]+$' }, { minItems: 1, maxItems: 4 }), score: { type: 'number', minimum: 0, maximum: 1 },
		when: { type: 'string', format: 'date-time' }, parts: array(object({ id: { type: 'string', format: 'uuid' }, n: { type: ['integer', 'null'] } })) }),
};
