// Schemas made at random, of few names and values so that their keywords meet, and instances for them: what hokku and ajv say of each.
// random_schemas.test.mjs runs some of each run; more by hand:
//   HOKKU=build/test/hokku node tests/oracle/random_schemas.mjs FIRST_SEED N [--show]
import { spawnSync } from 'node:child_process';
import { inAnotherOrder } from '../maskbench/orders.mjs';
import { isExact, judge } from './ajv.mjs';
import { plainJudge } from './plain_judge.mjs';

// mulberry32
function numbers(seed) {
	let a = seed >>> 0;
	return () => {
		a = (a + 0x6d2b79f5) >>> 0;
		let t = Math.imul(a ^ (a >>> 15), a | 1);
		t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

const names = ['a', 'b', 'c', 'ab', 'é', 'x"y'];
const patterns = ['^a', '^a{2,}$', '[\\x61-\\u{e9}]$', '^.$', '^[\\s\\S]{0,2}$', '(?:^|,)b', 'a|^b$', '^(a|ab)(c|bcd)*$', '^\\P{L}', '^\\u0061|"', '(?<=a)b', '^[\\p{Script=Latin}--]+$', '\\B', '^(?:[^"\\\\]|\\\\.)*$', '\\n|\\cJ', '.{3}', '^a??b*?$', '[^\\w-]', '^[\\]^-]', 'b$', '^[a-c]+$', '^.{2,3}$', '\\d', '^\\p{L}*$', '[^a]', '^(?:a|bc)*$', '\\s', '^\\w+$', '^$', '🌸', 'é|b', '^[^\\p{Lu}\\d]*$', '\\bab', '^(?=a).*b', '^(?!ab)'];
const formats = ['date', 'time', 'date-time', 'ipv4', 'uuid', 'email', 'hostname', 'uri', 'duration', 'json-pointer', 'byte'];
const strings = ['', 'a', 'b', 'ab', 'abc', 'é', '🌸', '🌸🌸', 'a b', '1', 'A', 'bc', 'x"y', '\\', '\u0000', '\n', 'aé', '2024-02-29', '2023-02-29', '12:30:00Z', '1.2.3.4', 'a@b.cc', 'P1D', '/a', 'YQ==',
	'2024-02-29T12:30:00Z', '01234567-89ab-cdef-0123-456789abcdef', 'http://a/b', '\u2028', '\u007f'];
const decimals = [0, 1, 0.001, -0.05, 99.99, 255, -1000, 123456789, 7.5, 1.25, 33, 12.34, -1, 2, 3, 4, 6, 10, 0.5, 2.5, -0.25, 0.1, 0.3, 1.01, 100, 1e21, 1e-7, -7, 12];
const types = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];

export function makers(seed) {
	const random = numbers(seed), below = (n) => Math.floor(random() * n), of = (list) => list[below(list.length)], chance = (p) => random() < p;
	const some = (list, most) => [...new Set(Array.from({ length: 1 + below(most) }, () => of(list)))];
	const value = (depth = 2) => {
		const k = below(depth > 0 ? 8 : 5);
		if (k < 2) return of(strings);
		if (k < 4) return of(decimals);
		if (k < 5) return of([null, true, false]);
		if (k < 6) return Array.from({ length: below(4) }, () => value(depth - 1));
		return Object.fromEntries(some(names, 4).slice(chance(0.2) ? 9 : 0).map((name) => [name, value(depth - 1)]));
	};
	let draft = '2020', defs = [];
	const map = (keys, depth) => Object.fromEntries(keys.map((key) => [key, schema(depth - 1)]));
	const groups = {
		type: () => ({ type: chance(0.7) ? of(types) : some(types, 3) }),
		enum: () => (chance(0.5) ? { const: value() } : { enum: [...new Map(Array.from({ length: 1 + below(5) }, () => value()).map((v) => [JSON.stringify(v), v])).values()] }),
		number: () => {
			const s = {};
			const bound = (keyword, exclusive) => {
				s[chance(0.5) ? keyword : exclusive] = of(decimals);
				if (s[keyword] !== undefined && chance(0.2)) s[exclusive] = chance(0.7); // draft 4's
			};
			if (chance(0.5)) bound('minimum', 'exclusiveMinimum');
			if (chance(0.5)) bound('maximum', 'exclusiveMaximum');
			if (chance(0.4)) s.multipleOf = of([1, 2, 3, 0.5, 0.1, 0.01, 0.25, 2.5, 1.5, 7, 0.3, 12, 0.001]);
			return s;
		},
		string: () => {
			const s = {};
			if (chance(0.3)) s.minLength = below(4);
			if (chance(0.3)) s.maxLength = below(5);
			if (chance(0.4)) s.pattern = of(patterns);
			if (chance(0.15)) s.format = of(formats);
			return s;
		},
		array: (depth) => {
			const s = {};
			if (chance(0.4)) {
				if (draft === '7') s.items = Array.from({ length: 1 + below(3) }, () => schema(depth - 1));
				else s.prefixItems = Array.from({ length: 1 + below(3) }, () => schema(depth - 1));
			}
			if (chance(0.5)) s[draft !== '7' ? 'items' : s.items ? 'additionalItems' : 'items'] = schema(depth - 1);
			if (chance(0.3)) s.minItems = below(4);
			if (chance(0.3)) s.maxItems = below(5);
			if (chance(0.25)) {
				s.contains = schema(depth - 1);
				if (draft !== '7' && chance(0.4)) s.minContains = below(3);
				if (draft !== '7' && chance(0.4)) s.maxContains = 1 + below(3);
			}
			if (chance(0.06)) s.uniqueItems = true;
			return s;
		},
		object: (depth) => {
			const s = {};
			if (chance(0.6)) s.properties = map(some(names, 4), depth);
			if (chance(0.25)) s.patternProperties = map(some(patterns, 2), depth);
			if (chance(0.5)) s.additionalProperties = chance(0.5) ? false : schema(depth - 1);
			if (chance(0.4)) s.required = some(names, 3);
			if (chance(0.2)) s.minProperties = below(4);
			if (chance(0.2)) s.maxProperties = below(4);
			if (chance(0.15)) s.propertyNames = chance(0.5) ? { pattern: of(patterns) } : chance(0.5) ? { enum: some(names, 4) } : schema(0);
			return s;
		},
		dependent: (depth) => {
			if (draft === '7') return { dependencies: Object.fromEntries(some(names, 2).map((name) => [name, chance(0.5) ? some(names, 2) : schema(depth - 1)])) };
			return chance(0.5) ? { dependentRequired: Object.fromEntries(some(names, 2).map((name) => [name, some(names, 2)])) } : { dependentSchemas: map(some(names, 2), depth) };
		},
		logic: (depth) => {
			const k = below(6), list = () => Array.from({ length: 1 + below(3) }, () => schema(depth - 1));
			if (k === 0) return { allOf: list() };
			if (k === 1) return { anyOf: list() };
			if (k === 2) return { oneOf: list() };
			if (k === 3) return { not: schema(depth - 1) };
			const s = { if: schema(depth - 1) };
			if (chance(0.8)) s.then = schema(depth - 1);
			if (chance(0.5)) s.else = schema(depth - 1);
			return s;
		},
		ref: () => ({ $ref: of(defs) }),
		unevaluated: (depth) => ({ [of(['unevaluatedProperties', 'unevaluatedItems'])]: chance(0.6) ? false : schema(depth - 1) }),
	};
	function schema(depth) {
		if (depth <= 0 || chance(0.06)) return of([true, {}, { type: 'string' }, { type: 'integer' }, { type: 'number', minimum: 0 }, { const: of(strings) }, { const: of(decimals) }, { maxLength: 2 }, { type: 'null' }, { enum: [1, 'a', null] }, false]);
		const s = {}, about = [];
		if (chance(0.45)) about.push('type');
		for (let n = 1 + below(3); n--;) about.push(of(['type', 'enum', 'number', 'string', 'string', 'array', 'array', 'object', 'object', 'object', 'dependent', 'logic', 'logic', ...(defs.length ? ['ref'] : []), ...(draft === '7' || depth < 2 ? [] : ['unevaluated'])]));
		for (const group of about) Object.assign(s, groups[group](depth));
		// keywords of the types that s admits
		for (const [type, group] of [['object', 'object'], ['array', 'array'], ['string', 'string'], ['number', 'number'], ['integer', 'number']]) if (s.type === type && chance(0.6)) Object.assign(s, groups[group](depth));
		return s;
	}
	// A whole schema, with $defs that may refer to themselves and each other.
	function whole() {
		draft = chance(0.25) ? '7' : '2020';
		defs = [];
		const where = draft === '7' ? 'definitions' : '$defs', kept = {};
		if (chance(0.5)) {
			defs = ['#', `#/${where}/d`, ...(draft === '7' ? [] : ['#here', '#/$defs/n%C3%A9/items'])];
			if (draft !== '7' && chance(0.4)) {
				defs = ['#', '#/$defs/in']; // of the resource that it stands in
				kept.r = { ...[schema(2)].filter((s) => typeof s === 'object')[0], $id: 'https://example.com/r', $defs: { in: schema(1) } };
				kept.in = schema(1);
				defs.push('https://example.com/r', 'https://example.com/r#/$defs/in');
			}
			kept.d = schema(2);
			if (draft !== '7' && !kept.r) {
				kept.e = Object.assign({ $anchor: 'here' }, [schema(2)].filter((s) => typeof s === 'object')[0]);
				kept['né'] = { items: schema(1) };
			}
		}
		let s = schema(3);
		if (typeof s !== 'object') s = { allOf: [s] };
		if (draft === '7') s.$schema = 'http://json-schema.org/draft-07/schema#';
		return defs.length ? { ...s, [where]: kept } : s;
	}
	// A value with one thing changed.
	function changed(v, depth = 3) {
		if (depth === 0 || chance(0.25) || v === null || typeof v !== 'object') {
			if (typeof v === 'string' && chance(0.5)) return chance(0.5) ? [...v].slice(0, -1).join('') : v + of(strings);
			if (typeof v === 'number' && chance(0.5)) return v + of([1, -1, 0.5, 0.1]);
			return value();
		}
		if (Array.isArray(v)) {
			const at = below(v.length + 1), k = below(4);
			if (k === 0 || !v.length) return v.toSpliced(at, 0, value(1));
			if (k === 1) return v.toSpliced(at, 1);
			return v.with(at % v.length, changed(v[at % v.length], depth - 1));
		}
		const keys = Object.keys(v), key = of(keys), k = below(4);
		if (k === 0 || !keys.length) return { ...v, [of(names)]: value(1) };
		if (k === 1) return Object.fromEntries(Object.entries(v).filter(([other]) => other !== key));
		return { ...v, [key]: changed(v[key], depth - 1) };
	}
	return { whole, value, changed };
}

// The same in keywords that draft 7 and 2020-12 have.
function modern(s) {
	if (Array.isArray(s)) return s.map(modern);
	if (s === null || typeof s !== 'object') return s;
	const out = Object.fromEntries(Object.entries(s).map(([k, v]) => [k, ['const', 'enum'].includes(k) ? v : modern(v)]));
	for (const [bound, exclusive] of [['minimum', 'exclusiveMinimum'], ['maximum', 'exclusiveMaximum']]) if (typeof out[exclusive] === 'boolean') {
		if (out[exclusive] && typeof out[bound] === 'number') {
			out[exclusive] = out[bound];
			delete out[bound];
		} else {
			delete out[exclusive];
		}
	}
	return out;
}

const constrain = (args, lines) => {
	if (!lines.length) return [];
	const r = spawnSync(process.env.HOKKU, ['constrain', '--batch', '-', '--vocab', 'bytes', ...args], { input: lines.map((l) => `${JSON.stringify(l)}\n`).join(''), maxBuffer: 1 << 30 });
	if (r.status !== 0) throw new Error(`hokku: ${r.signal ?? r.status}: ${String(r.stderr).slice(0, 2000)}`);
	return String(r.stdout).trimEnd().split('\n').map((l) => JSON.parse(l));
};

// Numbers without exponents, which integers and multiples may not have here.
const text = (v) => JSON.stringify(v).replace(/"(?:[^"\\]|\\.)*"|(-?)(\d+)(?:\.(\d+))?e([+-]\d+)/g, (m, sign, whole, part = '', exponent) => {
	if (exponent === undefined) return m;
	const digits = whole + part, point = whole.length + Number(exponent);
	return sign + (point <= 0 ? `0.${'0'.repeat(-point)}${digits}` : point >= digits.length ? digits.padEnd(point, '0') : `${digits.slice(0, point)}.${digits.slice(point)}`);
});

// n schemas, seeds from `first`: how many texts and instances were compared, and where hokku is not of plain_judge.mjs's mind. Where
// ajv is not, of these nothing is wrong: it takes [] for an array that `contains` something where another keyword's code stands before it, what a
// branch has evaluated that does not fit, base64 with a line break, and multiples with doubles. Counted, and shown by --ajv.
const knownOfAjv = (schema, v, said) => /"contains"|"unevaluated|"byte"/.test(JSON.stringify(schema)) || !isExact(text(v)) || / multipleOf: /.test(said);

export function compare(first, n) {
	const cases = [], out = { schemas: 0, refused: {}, drawn: 0, valid: 0, invalid: 0, bad: [], ajv: [] };
	for (let seed = first; seed < first + n; seed++) {
		const make = makers(seed), schema = make.whole(), asJudged = modern(schema), plain = plainJudge(asJudged, schema.$schema !== undefined);
		let wrong;
		try {
			wrong = judge(asJudged);
		} catch {
			continue; // a reference in a circle
		}
		const isValid = (v) => {
			let valid, said;
			try {
				valid = plain(v);
			} catch {
				return undefined; // round in circles
			}
			try {
				said = wrong(v);
				if (valid !== !said) (knownOfAjv(schema, v, said) ? out.ajv : out.bad).push(`seed ${seed}: ${valid ? `valid, and ajv says ${said}` : 'invalid, and ajv takes it'}: ${text(v)}`);
			} catch { /* as above */ }
			return valid;
		};
		cases.push({ seed, make, schema, isValid, values: Array.from({ length: 12 }, () => make.value(3)) });
	}
	const answers = constrain(['--sample', '6', '--seed', String(first), '-n', '80'], cases.map(({ schema }) => ({ schema })));
	const asked = [];
	answers.forEach((a, i) => {
		const c = cases[i];
		for (const s of a.samples ?? []) {
			if (s.fault) out.bad.push(`seed ${c.seed}: ${s.fault}`);
			if (!s.ended || !isExact(s.text)) continue;
			const v = JSON.parse(s.text);
			out.drawn++;
			if (c.isValid(v) === false) out.bad.push(`seed ${c.seed}: drawn, and invalid: ${s.text.slice(0, 300)}`);
			c.values.push(c.make.changed(v), c.make.changed(v));
		}
		for (let k = 0; k < 12; k++) c.values.push(c.make.changed(c.values[k]));
		if (a.compiled) {
			out.schemas++;
			asked.push(c);
		} else {
			const why = a.error.slice(a.place.length).replace(/"(?:[^"\\]|\\.)*"/g, '"..."').replace(/\([^)]*\)/g, '(...)').replace(/-?\d[\d.]*/g, 'N').replace(/^.*no text at all has this shape/, 'no text at all').slice(0, 70);
			(out.refused[why] ??= []).push(c.seed);
			if (/no text at all/.test(a.error)) for (const v of c.values) if (c.isValid(v)) out.bad.push(`seed ${c.seed}: refused (${a.error}), and valid: ${text(v)}`);
		}
	});
	const notTaken = [];
	constrain([], asked.map((c) => ({ schema: c.schema, tests: c.values.map((v) => ({ text: text(v) })) }))).forEach((a, i) => a.tests.forEach((t, k) => {
		const c = asked[i], v = c.values[k], valid = c.isValid(v);
		if (t.fault) out.bad.push(`seed ${c.seed}: ${t.fault}: ${text(v)}`);
		if (valid === undefined) return;
		out[valid ? 'valid' : 'invalid']++;
		if (!valid && t.accepted) out.bad.push(`seed ${c.seed}: accepted, and invalid: ${text(v)}`);
		if (valid && !t.accepted) notTaken.push({ c, v });
	}));
	inAnotherOrder(process.env.HOKKU, notTaken.map(({ c, v }) => ({ schema: JSON.stringify(c.schema), text: text(v) }))).forEach((found, i) => {
		if (!found) out.bad.push(`seed ${notTaken[i].c.seed}: not accepted, and valid: ${text(notTaken[i].v)}`);
	});
	return out;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
	const [, , first, n = '1', ...flags] = process.argv, out = compare(Number(first), Number(n));
	if (flags.includes('--show')) console.log(JSON.stringify(makers(Number(first)).whole()));
	console.log([...out.bad, ...(flags.includes('--ajv') ? out.ajv : [])].join('\n'));
	const refused = Object.entries(out.refused).sort((a, b) => b[1].length - a[1].length);
	console.log(refused.map(([why, seeds]) => `${String(seeds.length).padStart(6)} refused: ${why} (${seeds.slice(0, 3)})`).join('\n'));
	console.log(`${out.schemas} schemas, ${out.drawn} texts drawn, ${out.valid} valid and ${out.invalid} invalid instances: ${out.bad.length} disagreements (ajv alone: ${out.ajv.length})`);
}
