// JSON as texts: numbers stay as they are written, members in their order; and the ways in which one value can be written.

// A value is { text } (a leaf as it is written), { items: [...] } or { members: [[key as written, value], ...] }.
export function parse(source) {
	const tokens = source.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g);
	let at = 0;
	const next = () => tokens[at++];
	const list = (end, read) => {
		const out = [];
		while (tokens[at] !== end) {
			out.push(read());
			if (tokens[at] === ',') at++;
		}
		at++;
		return out;
	};
	const value = () => {
		const t = next();
		if (t === '[') return { items: list(']', value) };
		if (t === '{') return { members: list('}', () => {
			const key = next();
			next(); // the colon
			return [key, value()];
		}) };
		return { text: t };
	};
	return value();
}

export const write = (v) => (v.items ? `[${v.items.map(write).join(', ')}]` : v.members ? `{${v.members.map(([k, m]) => `${k}: ${write(m)}`).join(', ')}}` : v.text);
export const get = (v, key) => v.members?.find(([k]) => JSON.parse(k) === key)?.[1];

// A whole number with a point or an exponent, in digits; undefined: it is none.
function plain(text) {
	const [, sign, whole, part = '', exponent = '0'] = text.match(/^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/) ?? [];
	const zeros = Number(exponent) - part.length, all = whole + part;
	if (whole === undefined || /^-?\d+$/.test(text) || (zeros < 0 && !/^0*$/.test(all.slice(zeros)))) return undefined;
	return sign + ((zeros < 0 ? all.slice(0, zeros) : all + '0'.repeat(zeros)).replace(/^0+(?=\d)/, '') || '0');
}

function* orders(list) {
	if (list.length < 2) yield list;
	for (let i = 0; list.length > 1 && i < list.length; i++)
		for (const rest of orders(list.toSpliced(i, 1))) yield [list[i], ...rest];
}

function* rows(values) {
	if (!values.length) yield [];
	else for (const rest of rows(values.slice(1))) for (const first of spellings(values[0])) yield [first, ...rest];
}

// The texts of v: members in every order, whole numbers also in plain digits (1.0 as 1, 1e3 as 1000).
export function* spellings(v) {
	if (v.items) {
		for (const items of rows(v.items)) yield `[${items.join(', ')}]`;
	} else if (v.members) {
		for (const order of orders(v.members)) for (const values of rows(order.map(([, m]) => m)))
			yield `{${order.map(([k], i) => `${k}: ${values[i]}`).join(', ')}}`;
	} else {
		yield v.text;
		const digits = plain(v.text);
		if (digits) yield digits;
	}
}
