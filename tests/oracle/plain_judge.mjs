// JSON Schema read plainly, keyword by keyword as the specification has them (draft 2020-12; with `old` draft 7, keywords beside a
// `$ref` holding all the same): slow, and small enough to be believed where ajv and hokku disagree. Numbers are compared as decimals.
import { fullFormats } from 'ajv-formats/dist/formats.js';

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);
const kind = (v) => (v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v);
const isA = (v, type) => kind(v) === type || (type === 'integer' && Number.isInteger(v));

export function same(a, b) {
	if (kind(a) !== kind(b)) return false;
	if (Array.isArray(a)) return a.length === b.length && a.every((x, i) => same(x, b[i]));
	if (isObject(a)) return Object.keys(a).length === Object.keys(b).length && Object.keys(a).every((k) => Object.hasOwn(b, k) && same(a[k], b[k]));
	return a === b;
}

// A double as JSON writes it, as an integer times a power of ten.
function decimal(x) {
	const [, sign, whole, part = '', exponent = '0'] = String(x).match(/^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/);
	return [BigInt(sign + whole + part), Number(exponent) - part.length];
}
function isMultiple(x, of) {
	const [a, i] = decimal(x), [b, j] = decimal(of), least = Math.min(i, j);
	return (a * 10n ** BigInt(i - least)) % (b * 10n ** BigInt(j - least)) === 0n;
}

const patterns = new Map();
const matches = (pattern, s) => {
	if (!patterns.has(pattern)) patterns.set(pattern, new RegExp(pattern, 'u'));
	return patterns.get(pattern).test(s);
};
function hasFormat(name, s) {
	const f = fullFormats[name];
	if (f === undefined) throw new Error(`format ${name}`);
	if (name === 'byte') return s.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(s) && Buffer.from(s, 'base64').toString('base64') === s;
	return f === true ? true : f instanceof RegExp ? f.test(s) : typeof f === 'function' ? f(s) : f.type === 'number' || f.validate(s);
}

export function plainJudge(root, old = false) {
	const resources = new Map(), homes = new Map(), anchors = new Map();
	(function find(s, home) {
		if (s === null || typeof s !== 'object') return;
		const at = s === root || typeof s.$id === 'string' ? s : home;
		if (typeof s.$id === 'string') resources.set(s.$id, s);
		if (typeof s.$anchor === 'string') anchors.set(s.$anchor, s);
		homes.set(s, at);
		Object.values(s).forEach((sub) => find(sub, at));
	})(root, root);
	const resolve = (ref, from) => {
		const [uri, coded = ''] = ref.split('#'), fragment = decodeURIComponent(coded), home = uri === '' ? homes.get(from) : resources.get(uri);
		if (fragment === '') return home;
		if (fragment[0] !== '/') return anchors.get(fragment);
		return fragment.slice(1).split('/').reduce((at, key) => at[key.replaceAll('~1', '/').replaceAll('~0', '~')], home);
	};
	// null: invalid; else which properties and items were evaluated.
	function look(s, v, depth) {
		if (s === true) return { names: new Set(), items: new Set() };
		if (s === false) return null;
		if (depth > 200) throw new Error('round in circles');
		const names = new Set(), items = new Set();
		const take = (r) => {
			r?.names.forEach((n) => names.add(n));
			r?.items.forEach((i) => items.add(i));
			return r !== null;
		};
		const here = (sub) => take(look(sub, v, depth + 1)), fits = (sub, x) => look(sub, x, 0) !== null;
		const { length } = Array.isArray(v) ? v : [], keys = isObject(v) ? Object.keys(v) : [];
		if (s.$ref !== undefined && !here(resolve(s.$ref, s))) return null;
		if (s.type !== undefined && ![s.type].flat().some((t) => isA(v, t))) return null;
		if (s.enum !== undefined && !s.enum.some((x) => same(x, v))) return null;
		if (s.const !== undefined && !same(s.const, v)) return null;
		if (typeof v === 'number') {
			if (v < s.minimum || v > s.maximum || v <= s.exclusiveMinimum || v >= s.exclusiveMaximum) return null;
			if (s.multipleOf !== undefined && !isMultiple(v, s.multipleOf)) return null;
		}
		if (typeof v === 'string') {
			const n = [...v].length;
			if (n < s.minLength || n > s.maxLength) return null;
			if (s.pattern !== undefined && !matches(s.pattern, v)) return null;
			if (s.format !== undefined && !hasFormat(s.format, v)) return null;
		}
		if (Array.isArray(v)) {
			if (length < s.minItems || length > s.maxItems) return null;
			if (s.uniqueItems && v.some((x, i) => v.slice(0, i).some((y) => same(x, y)))) return null;
			const tuple = s.prefixItems ?? (Array.isArray(s.items) ? s.items : []), rest = Array.isArray(s.items) ? s.additionalItems : s.items;
			for (let i = 0; i < length; i++) {
				const sub = i < tuple.length ? tuple[i] : rest;
				if (sub === undefined) continue;
				if (!fits(sub, v[i])) return null;
				items.add(i);
			}
			if (s.contains !== undefined) {
				const found = v.flatMap((x, i) => (fits(s.contains, x) ? [i] : []));
				if (found.length < (s.minContains ?? 1) || found.length > s.maxContains) return null;
				if (!old) found.forEach((i) => items.add(i));
			}
		}
		if (isObject(v)) {
			if (keys.length < s.minProperties || keys.length > s.maxProperties) return null;
			if (s.required?.some((n) => !Object.hasOwn(v, n))) return null;
			for (const n of keys) {
				if (s.propertyNames !== undefined && !fits(s.propertyNames, n)) return null;
				let known = false;
				const check = (sub) => {
					known = true;
					names.add(n);
					return fits(sub, v[n]);
				};
				if (s.properties && Object.hasOwn(s.properties, n) && !check(s.properties[n])) return null;
				for (const [p, sub] of Object.entries(s.patternProperties ?? {})) if (matches(p, n) && !check(sub)) return null;
				if (!known && s.additionalProperties !== undefined && !check(s.additionalProperties)) return null;
			}
			for (const [n, sub] of [...Object.entries(s.dependentRequired ?? {}), ...Object.entries(s.dependentSchemas ?? {}), ...Object.entries(s.dependencies ?? {})]) {
				if (!Object.hasOwn(v, n)) continue;
				if (Array.isArray(sub) ? sub.some((other) => !Object.hasOwn(v, other)) : !here(sub)) return null;
			}
		}
		if (s.allOf && !s.allOf.every(here)) return null;
		if (s.anyOf && s.anyOf.filter(here).length === 0) return null;
		if (s.oneOf && s.oneOf.filter(here).length !== 1) return null;
		if (s.not !== undefined && look(s.not, v, depth + 1)) return null;
		if (s.if !== undefined) {
			const branch = here(s.if) ? s.then : s.else;
			if (branch !== undefined && !here(branch)) return null;
		}
		if (s.unevaluatedItems !== undefined) for (let i = 0; i < length; i++) {
			if (!items.has(i) && !fits(s.unevaluatedItems, v[i])) return null;
			items.add(i);
		}
		if (s.unevaluatedProperties !== undefined) for (const n of keys) {
			if (!names.has(n) && !fits(s.unevaluatedProperties, v[n])) return null;
			names.add(n);
		}
		return { names, items };
	}
	return (v) => look(root, v, 0) !== null;
}
