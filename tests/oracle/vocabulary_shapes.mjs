// The vocabularies of vocabularies.test.mjs: nine published tokenizer.json files, and what can be made of one of SentencePiece's
// shape and of a byte-level one by other components and flags. A shape is a function of the published file.

export const published = ['qwen2_5', 'qwen3', 'llama2', 'llama3', 'llama3_1', 'gemma2', 'gemma3', 'gptoss', 'deepseek_v3'];

const replace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
const metaspace = (prepend_scheme, split) => ({ normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme, split } });
const more = ['<tool_call>', '</tool_call>', '<think>', '[INST]', ' x', '\n\n\n', '▁▁▁x'];
const added = (t, flags) => {
	const next = Math.max(t.added_tokens.reduce((a, b) => Math.max(a, b.id), 0), Object.keys(t.model.vocab).length - 1) + 1;
	const have = new Set(t.added_tokens.map((a) => a.content));
	return [...t.added_tokens, ...more.filter((content) => !have.has(content)).map((content, i) =>
		({ id: next + i, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false, ...flags(i) }))];
};
// Names that NFC changes, joins with what stands behind them or makes alike, and such as lie across others; text has all of them.
const normal = ['e\u0301', '\u00e9\u00e9', 'x <', ' i', 'a\u030a', '\u212b', '\u1100\u1161', '\ub300', 'ab a', 'b. ', '\u0301\u0301\u0301', ' \n ', 'or<std:', 'std::string>&', '\u304b\u3099', 'the quick', 'tion '];
const addedNormal = (t, flags) => {
	const next = Math.max(...t.added_tokens.map((a) => a.id)) + 1;
	return [...t.added_tokens, ...normal.map((content, i) => ({ id: next + i, content, single_word: false, lstrip: false, rstrip: false, normalized: true, special: false, ...flags(i) }))];
};
const model = (t, change) => ({ model: { ...t.model, ...change } });

export const shapes = {
	llama2: {
		gemma: () => ({ normalizer: replace, pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false } }),
		always: () => metaspace('always', false), alwaysSplit: () => metaspace('always', true),
		first: () => metaspace('first', false), firstSplit: () => metaspace('first', true), never: () => metaspace('never', false),
		neverSplit: () => ({ ...metaspace('never', true), normalizer: replace }),
		old: () => ({ normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁', add_prefix_space: true } }),
		splitMerged: () => ({ normalizer: replace, pre_tokenizer: { type: 'Split', pattern: { String: '▁' }, behavior: 'MergedWithNext', invert: false } }),
		ignoreMerges: (t) => model(t, { ignore_merges: true }),
		ignoreMergesSplit: (t) => ({ ...metaspace('always', true), ...model(t, { ignore_merges: true }) }),
		pairs: (t) => model(t, { merges: t.model.merges.map((m) => m.split(' ')) }),
		noBytes: (t) => model(t, { byte_fallback: false }),
		fewMerges: (t) => model(t, { merges: t.model.merges.filter((m, i) => i % 3) }),
		shuffled: (t) => model(t, { merges: t.model.merges.map((m, i) => [Math.imul(i, 2654435761) >>> 0, m]).sort((a, b) => a[0] - b[0]).map((x) => x[1]) }),
		rstrip: (t) => ({ added_tokens: added(t, () => ({ rstrip: true })) }),
		lstrip: (t) => ({ added_tokens: added(t, () => ({ lstrip: true, special: true })) }),
		strips: (t) => ({ added_tokens: added(t, (i) => ({ lstrip: i % 2 === 0, rstrip: true })), ...metaspace('first', false) }),
		normalized: (t) => ({ added_tokens: added(t, (i) => ({ normalized: i > 2 })) }),
		normalizedStrips: (t) => ({ normalizer: replace, added_tokens: added(t, (i) => ({ normalized: true, rstrip: i === 5, lstrip: i === 5 })) }),
	},
	qwen2_5: {
		normalized: (t) => ({ added_tokens: addedNormal(t, () => ({})) }),
		normalizedMixed: (t) => ({ added_tokens: addedNormal(t, (i) => ({ normalized: i % 3 !== 1 })) }),
		normalizedStrips: (t) => ({ added_tokens: addedNormal(t, (i) => ({ lstrip: i % 2 === 0, rstrip: i % 3 === 0 })) }),
		normalizedNone: (t) => ({ normalizer: null, added_tokens: addedNormal(t, (i) => ({ normalized: i % 2 === 0 })) }),
		strips: (t) => ({ added_tokens: added(t, (i) => ({ lstrip: i % 2 === 0, rstrip: i % 3 !== 0 })) }),
	},
};

// The same vocabulary for text in which names of special tokens are text: no such token is looked for, none is made by merging.
// They stay where they are, so that all others keep their ids. A name that ends an answer is one of them, whatever the file says of it
// (docs/tokenizer.md): Gemma's </s>, which llama.cpp takes for one, too.
export function plain(t) {
	const special = new Set(t.added_tokens.filter((a) => a.special || a.content === '</s>').map((a) => a.content));
	return {
		...t,
		added_tokens: t.added_tokens.map((a) => (special.has(a.content) && !(a.content in t.model.vocab) ? { ...a, content: `\u{10fffd}${a.id}\u{10fffd}` } : a))
			.filter((a) => !special.has(a.content)),
		model: { ...t.model, merges: t.model.merges.filter((m) => !special.has(Array.isArray(m) ? m.join('') : m.replace(' ', ''))) },
	};
}
