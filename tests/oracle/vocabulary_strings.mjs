// The strings that vocabularies.test.mjs encodes: code, prose of more than twenty scripts, emoji, control characters, long runs,
// names of special tokens whole and broken. They follow from the seed alone, on any Node: no property of Unicode is asked.

// mulberry32
function random(seed) {
	let a = seed >>> 0;
	const next = () => {
		a = (a + 0x6d2b79f5) >>> 0;
		let t = Math.imul(a ^ (a >>> 15), 1 | a);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return (t ^ (t >>> 14)) >>> 0;
	};
	const below = (n) => next() % n;
	return { below, pick: (list) => list[below(list.length)] };
}

const prose = {
	latin: 'The quick brown fox jumps over the lazy dog; it\'s what I\'d said, isn\'t it? They\'re we\'ll you\'ve I\'M HE\'S antidisestablishmentarianism iPhone McDonald',
	german: 'Übergroße Straßenbahnhaltestelle größer ÄÖÜ Zürich daß weiß Fußball', french: 'naïve café œuvre garçon l\'été où ça déjà-vu « guillemets »',
	polish: 'Zażółć gęślą jaźń źdźbło', turkish: 'İstanbul ığdır şeker çiçek', vietnamese: 'Tiếng Việt đường phố người Nguyễn',
	greek: 'Ελληνικά γλώσσα άνθρωπος Ἀθήνα ᾧ ὕδωρ', cyrillic: 'Съешь же ещё этих мягких французских булок Україна Њ ћ', armenian: 'Հայերեն լեզու աշխարհ',
	georgian: 'ქართული ენა მსოფლიო', hebrew: 'עִבְרִית שלום עולם ספר', arabic: 'اللغة العربية السَّلَامُ كتاب ٤٢ ۱۲۳', persian: 'زبان فارسی می‌خواهم',
	devanagari: 'हिन्दी भाषा नमस्ते क्षत्रिय १२३', bengali: 'বাংলা ভাষা বিশ্ব ৪৫৬', gurmukhi: 'ਪੰਜਾਬੀ ਭਾਸ਼ਾ', gujarati: 'ગુજરાતી ભાષા', tamil: 'தமிழ் மொழி உலகம்',
	telugu: 'తెలుగు భాష ప్రపంచం', kannada: 'ಕನ್ನಡ ಭಾಷೆ', malayalam: 'മലയാളം ഭാഷ', sinhala: 'සිංහල භාෂාව', thai: 'ภาษาไทย สวัสดีชาวโลก ๑๒๓', lao: 'ພາສາລາວ',
	khmer: 'ភាសាខ្មែរ', burmese: 'မြန်မာဘာသာ', tibetan: 'བོད་སྐད་', ethiopic: 'አማርኛ ቋንቋ', japanese: '古池や 蛙飛びこむ 水の音 カタカナ ひらがな、漢字。「引用」',
	chinese: '静夜思 床前明月光,疑是地上霜。举头望明月,低头思故乡。繁體中文', korean: '한국어 문장 안녕하세요 세계', mongolian: 'ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ᠌', cherokee: 'ᏣᎳᎩ ꮳꮃꭹ',
};
const words = Object.values(prose).map((text) => text.split(' '));

const code = ['for (int i = 0; i < n; i++) {\n\tsum += a[i];\n}\n', 'def f(x):\n    return x**2  # square\n', '<div class="a">&nbsp;</div>\r\n',
	'SELECT * FROM t WHERE x <> \'y\';', '#include <stdio.h>\n\n\n', '\\frac{1}{2}', '{"key": [1, 2.5e-3, null]}', 'a->b.c::d()', '!=', '===', '// ----',
	'$HOME/.bashrc', 'https://example.org/a?b=c&d=%20#e', '0x7fff_ffff', 'x=~/^\\s+$/', '```c\n', '        ', '\t\t\t', 'std::vector<std::string>&&', '3.14159',
	'1234567890', '2026-11-30T00:00:00Z', 'fn main() {\n    println!("{}", 1);\n}\n', '/**\n * @param {string} x\n */\n', 'λ x → x', 'camelCaseName', 'SNAKE_CASE'];
const emoji = ['👩‍👩‍👧‍👦', '🏳️‍🌈', '👍🏽', '🇯🇵', '🇩🇪🇫🇷', '❤️', '❤', '☃️', '#️⃣', '👨🏿‍🚀', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '😀', '🤷🏻‍♀️', '🫠', '\u200d', '\ufe0f'];
const blanks = [' ', ' ', ' ', '  ', '   ', '\t', '\n', '\n\n', '\r\n', '\r', ' \n ', '\u00a0', '\u3000', '\u2003', '\u2028', '\u0085', '\u1680', '\u202f', '\u000b', '\f',
	'\u200b', '\u180e', '\ufeff', '\u2060', '\u001c', '\0', '\u2581', '\u2581\u2581', '\u2581 '];
const names = ['<s>', '</s>', '<unk>', '<pad>', '<bos>', '<eos>', '<0x0A>', '<0xFF>', '<|im_start|>', '<|im_end|>', '<|endoftext|>', '<|begin_of_text|>', '<|eot_id|>',
	'<start_of_turn>', '<end_of_turn>', '<unused12>', '<|start|>', '<|channel|>', '<|end|>', '<｜User｜>', '<｜begin▁of▁sentence｜>', '<｜Assistant｜>', '<think>', '</think>',
	'<tool_call>', '</tool_call>', '<|fim_prefix|>', '[INST]', '[/INST]', '<table>', '</h1>', '\n\n\n', '<|reserved_special_token_5|>', '[multimodal]', '<mask>'];
// From the first to the last; unassigned ones are drawn like any other, surrogates never.
const blocks = [[0, 0x1f], [0x20, 0x7e], [0x7f, 0x9f], [0xa0, 0xff], [0x100, 0x24f], [0x250, 0x2ff], [0x300, 0x36f], [0x370, 0x3ff], [0x400, 0x52f], [0x530, 0x5ff],
	[0x600, 0x7ff], [0x800, 0xdff], [0xe00, 0x10ff], [0x1100, 0x11ff], [0x1200, 0x17ff], [0x1800, 0x1dff], [0x1e00, 0x1fff], [0x2000, 0x206f], [0x2070, 0x218f],
	[0x2190, 0x23ff], [0x2460, 0x27bf], [0x2800, 0x2bff], [0x2c00, 0x2fff], [0x3000, 0x303f], [0x3041, 0x30ff], [0x3100, 0x33ff], [0x3400, 0x4dbf], [0x4e00, 0x9fff],
	[0xa000, 0xabff], [0xac00, 0xd7a3], [0xe000, 0xf8ff], [0xf900, 0xfaff], [0xfb00, 0xfdff], [0xfe00, 0xfeff], [0xff00, 0xffef], [0x10000, 0x107ff], [0x10800, 0x11fff],
	[0x12000, 0x143ff], [0x16800, 0x18cff], [0x1b000, 0x1bcff], [0x1d000, 0x1d7ff], [0x1e000, 0x1efff], [0x1f000, 0x1f2ff], [0x1f300, 0x1faff], [0x20000, 0x2a6df],
	[0x30000, 0x3134f], [0xe0000, 0xe01ef], [0x10fff0, 0x10ffff]];

function characters(r, max) {
	const [first, last] = r.pick(blocks);
	let s = '';
	for (let n = 1 + r.below(max); n > 0; n--) s += String.fromCodePoint(first + r.below(last - first + 1));
	return s;
}

function sentence(r) {
	const list = r.pick(words);
	let s = '';
	for (let n = 1 + r.below(8); n > 0; n--) s += r.pick(list) + (r.below(8) ? ' ' : r.pick(['. ', ', ', '! ', '\n', '', '-', '  ']));
	return s;
}

const kinds = [
	sentence, sentence, sentence,
	(r) => r.pick(code),
	(r) => r.pick(code),
	(r) => r.pick(blanks),
	(r) => r.pick(blanks),
	(r) => r.pick(emoji),
	(r) => characters(r, 12),
	(r) => characters(r, 4),
	(r) => String(r.below(1e9)) + r.pick(['', '.', ',', '%', 'th']),
	(r) => r.pick(names),
	(r) => { const name = r.pick(names); return r.below(2) ? name.slice(0, -1) : name.slice(1); },
	(r) => r.pick([' ', '\n', '\t', 'a', 'A', '=', '-', '0', '9', '\u2581', 'あ', '😀', 'é', '\u0301', '\u0000', 'ab', '. ', '\r\n', '哈', 'x ']).repeat(1 + r.below(r.below(20) ? 40 : 400)),
];

export function makeStrings(n, seed) {
	const r = random(seed), strings = [];
	while (strings.length < n) {
		let s = '';
		for (let parts = 1 + r.below(5); parts > 0; parts--) s += r.pick(kinds)(r);
		strings.push(s);
	}
	return strings;
}
