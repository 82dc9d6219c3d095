// Makes tests/golden/patterns/table.json: patterns, texts, and whether Node's RegExp finds the one in the other (with
// the u flag; without it where the pattern is none with it).
//
//   npm install --no-save randexp@0.5.3        (draws texts that probably match; Node alone judges them)
//   node patterns.mjs [FOLDER] > ../golden/patterns/table.json
//
// FOLDER: maskbench/data of github.com/guidance-ai/jsonschemabench; its schemas' patterns come before those that are
// drawn at random. Node 20 (Unicode 15; hokku has utf8proc's).
import { readFileSync, readdirSync } from "node:fs";
import RandExp from "randexp";

const N_DRAWN = 1000, TEXTS = 8, MAX_PATTERN = 400, MAX_TEXT = 120;

let state = 12345n;
function below(n) {
	state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
	return Number((state >> 33n) % BigInt(n));
}
const pick = (list) => list[below(list.length)];
RandExp.prototype.randInt = (from, to) => from + below(to - from + 1);
RandExp.prototype.max = 3;

// ---- patterns drawn at random ----
const CHARS = [..."ab-_ 0Z\né😀k."];
const quoted = (c) => c === "." ? "\\" + c : c === "\n" ? "\\n" : c;
const inClass = (c) => c === "-" ? "\\-" : c === "\n" ? "\\n" : c;

function drawClass() {
	let members = "";
	for (let i = below(3); i >= 0; i--)
		members += pick([inClass(pick(CHARS)), inClass(pick(CHARS)), "\\d", "\\w", "\\s", "\\S", "a-f", "0-9", "\\W", "\\D",
			"\\u{1F600}", "\\x41-Z", "\\p{L}", "\\P{Lu}"]);
	return `[${pick(["", "", "^"])}${members}]`;
}
function drawAtom(depth) {
	switch (below(depth > 0 ? 14 : 8)) {
	case 0: return ".";
	case 1: return drawClass();
	case 2: return pick(["\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "\\p{Lu}", "\\p{Nd}"]);
	case 3: case 4: case 5: case 6: return quoted(pick(CHARS));
	case 7: return pick(["^", "$", "\\b", "\\B", "a", "b"]);
	case 8: return `(?=${drawOr(depth - 2)})`;
	case 9: return `(?!${drawOr(depth - 2)})`;
	case 10: return pick([`(?<=${drawClass()})`, `(?<!${quoted(pick(CHARS))})`, "(?<=^|a)"]);
	default: return `${pick(["(", "(?:"])}${drawOr(depth - 1)})`;
	}
}
const quantifier = () => pick(["", "", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "{0}"]);
function drawCat(depth) {
	let out = "";
	for (let i = below(4); i >= 0; i--) {
		const atom = drawAtom(depth), assertion = /^(\^|\$|\\[bB]|\(\?[=!]|\(\?<[=!])/.test(atom);
		out += atom + (assertion ? "" : quantifier());
	}
	return out;
}
function drawOr(depth) {
	let out = drawCat(depth);
	while (below(4) === 0) out += "|" + drawCat(depth);
	return out;
}
function drawPattern() {
	const body = drawOr(2), long = pick(["ab", "a|bb", "0[^a]", "a+b", "^a*"]);
	switch (below(12)) {
	case 0: return `(?<=${long})${body}`;
	case 1: return `(?<!${long})${body}`;
	case 2: case 3: case 4: return `^(?:${body})$`;
	case 5: return `^${body}`;
	default: return body;
	}
}
const drawText = () => Array.from({ length: below(7) }, () => pick(CHARS)).join("");

// ---- patterns of schemas ----
function* patternsOf(value) {
	if (!value || typeof value !== "object") return;
	if (typeof value.pattern === "string") yield value.pattern;
	if (value.patternProperties && typeof value.patternProperties === "object")
		yield* Object.keys(value.patternProperties);
	for (const inner of Object.values(value)) yield* patternsOf(inner);
}
function patternsIn(folder) {
	const found = new Set();
	for (const name of readdirSync(folder)) {
		try {
			for (const p of patternsOf(JSON.parse(readFileSync(`${folder}/${name}`, "utf8")).schema)) found.add(p);
		} catch { /* no JSON */ }
	}
	return [...found].filter((p) => p.length <= MAX_PATTERN).sort();
}

// ---- texts, and the verdict ----
function expression(pattern, flags) {
	for (const f of ["u" + flags, flags]) {
		try { return new RegExp(pattern, f); } catch { /* the next */ }
	}
	return null;
}
function changed(text) {
	const chars = [...text], at = below(chars.length + 1);
	switch (below(4)) {
	case 0: chars.splice(at, 1); break;
	case 1: chars.splice(at, 0, pick(CHARS)); break;
	case 2: chars[at] = pick(CHARS); break;
	default: return text + pick(CHARS);
	}
	return chars.join("");
}
function textsFor(pattern, regexp) {
	const texts = new Set();
	for (let i = 0; texts.size < TEXTS && i < 6 * TEXTS; i++) {
		let text;
		try { text = new RandExp(pattern).gen(); } catch { text = drawText(); }
		if (i % 3 === 1) text = changed(text);
		if (i % 3 === 2) text = drawText();
		if ([...text].length <= MAX_TEXT && text.isWellFormed()) texts.add(text);
	}
	return [...texts].map((t) => [t, regexp.test(t) ? 1 : 0]);
}
function row(pattern, flags) {
	const regexp = expression(pattern, flags);
	return regexp ? JSON.stringify([pattern, flags, Object.fromEntries(textsFor(pattern, regexp))]) : null;
}

const rows = [];
for (const p of process.argv[2] ? patternsIn(process.argv[2]) : []) rows.push(row(p, ""));
for (let i = 0; i < N_DRAWN; i++) rows.push(row(drawPattern(), below(6) === 0 ? "i" : ""));
process.stdout.write(`[\n${rows.filter(Boolean).join(",\n")}\n]\n`);
