// Instances that a shape refuses and that are valid: whether it is only that their members come in another order than the shape has.
// They are put in the order of the schema's `properties`; from there, or else from the order they have, they are sorted in one by one:
// where one does not fit, each later one is tried in its place, and it at each place before.
import { spawnSync } from 'node:child_process';
import { parse } from '../oracle/json_texts.mjs';

const mostRounds = 400, mostMembers = 300;

// The text of v, and where the members of each object stand in it: [object, [[from, to], ...]].
function layOut(v, out = { text: '', n: 0, objects: [] }) {
	const add = (text) => { out.text += text; out.n += Buffer.byteLength(text); };
	if (v.items) {
		add('[');
		v.items.forEach((item, i) => { if (i) add(', '); layOut(item, out); });
		add(']');
	} else if (v.members) {
		const places = [];
		out.objects.push([v, places]);
		add('{');
		v.members.forEach(([key, value], i) => {
			if (i) add(', ');
			const from = out.n;
			add(`${key}: `);
			layOut(value, out);
			places.push([from, out.n]);
		});
		add('}');
	} else {
		add(v.text);
	}
	return out;
}

// The innermost object that byte `at` is in, and which of its members does not fit there; undefined: it is in none.
function misfit(laid, at) {
	let found;
	for (const [object, places] of laid.objects) {
		if (!places.length || at < places[0][0] || at > places.at(-1)[1]) continue;
		const member = places.findIndex(([, to]) => at < to);
		if (member >= 0) found = { object, member };
	}
	return found;
}

const moved = (list, from, to) => list.toSpliced(from, 1).toSpliced(to, 0, list[from]);

// The names of each `properties` of a schema, in their order.
function declared(schema, out = []) {
	if (schema.items) schema.items.forEach((v) => declared(v, out));
	for (const [key, v] of schema.members ?? []) {
		if (key === '"properties"' && v.members) out.push(v.members.map(([name]) => name));
		declared(v, out);
	}
	return out;
}

// v, the members of each object as the declaration has them that knows most of their names.
function sorted(v, lists) {
	if (v.items) return { items: v.items.map((item) => sorted(item, lists)) };
	if (!v.members) return v;
	const known = (list) => v.members.filter(([key]) => list.includes(key)).length;
	const best = lists.reduce((a, b) => (known(b) > known(a) ? b : a), []), place = (key) => (best.includes(key) ? best.indexOf(key) : best.length);
	return { members: v.members.map(([key, m]) => [key, sorted(m, lists)]).sort(([a], [b]) => place(a) - place(b)) };
}

// Runs texts of many shapes; the answers' tests, shape by shape.
function ask(hokku, asked) {
	const input = asked.map(({ schema, texts }) => `{"schema": ${schema}, "tests": [${texts.map((text) => `{"text": ${JSON.stringify(text)}}`).join(', ')}]}\n`).join('');
	const r = spawnSync(hokku, ['constrain', '--batch', '-', '--vocab', 'bytes', '--space', 'free'], { input, maxBuffer: 1 << 30 });
	if (r.status !== 0) throw new Error(String(r.stderr).slice(0, 1000));
	return String(r.stdout).trimEnd().split('\n').map((l) => JSON.parse(l).tests);
}

// instances: { schema, text }, both JSON texts. Gives one boolean each.
export function inAnotherOrder(hokku, instances) {
	const asWritten = instances.map(({ schema, text }) => ({ schema, value: parse(text), result: undefined }));
	const first = search(hokku, asWritten.map(({ schema, value }) => ({ schema, value: sorted(value, declared(parse(schema))) })));
	const left = asWritten.filter((_, i) => !first[i]), second = search(hokku, left);
	return first.map((found) => found || second.shift());
}

function search(hokku, state) {
	for (let round = 0; round < mostRounds; round++) {
		const open = state.filter((s) => s.result === undefined);
		if (!open.length) break;
		ask(hokku, open.map((s) => ({ schema: s.schema, texts: [layOut(s.value).text] }))).forEach(([t], i) => {
			open[i].at = t.at;
			if (t.accepted) open[i].result = true;
		});
		const tried = open.filter((s) => s.result === undefined).map((s) => {
			const place = misfit(layOut(s.value), s.at), before = place?.object.members;
			if (!place || before.length > mostMembers) return { s, ways: [], texts: [] };
			const ways = before.flatMap((_, i) => (i < place.member ? [moved(before, place.member, i)] : i > place.member ? [moved(before, i, place.member)] : []));
			const laid = ways.map((members) => {
				place.object.members = members;
				return layOut(s.value);
			});
			place.object.members = before;
			return { s, ways, place, laid, texts: laid.map((l) => l.text), schema: s.schema };
		});
		const asked = tried.filter((t) => t.texts.length);
		for (const t of tried) if (!t.texts.length) t.s.result = false;
		if (!asked.length) break;
		ask(hokku, asked).forEach((answers, i) => {
			const { s, ways, place, laid } = asked[i];
			// good: the first by which all members up to that place fit; else where most fits, past the name of what now stands there
			let good = -1, most = -1;
			answers.forEach((a, k) => {
				place.object.members = ways[k];
				const [, places] = laid[k].objects.find(([object]) => object === place.object);
				const past = places[place.member][0] + Buffer.byteLength(ways[k][place.member][0]) + 2, fits = a.accepted || a.at >= places[place.member][1] ? Infinity : a.at;
				if (fits > past && fits > most) [good, most] = [k, fits];
			});
			if (good < 0) s.result = false;
			else place.object.members = ways[good];
		});
	}
	return state.map((s) => s.result === true);
}
