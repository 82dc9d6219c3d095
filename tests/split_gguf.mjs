// Splits a GGUF file as llama.cpp's tools do: part 1 has all keys, each part split.no, split.count and
// split.tensors.count; the parts are named STEM-00001-of-0000N.gguf. A writer that shares nothing with hokku's.
import { readFileSync, writeFileSync } from 'node:fs';

const sizes = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const [U16, I32, STRING, ARRAY] = [2, 5, 8, 9];
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(n)); return b; };
const str = (s) => Buffer.concat([u64(Buffer.byteLength(s)), Buffer.from(s)]);
const u16key = (key, n) => Buffer.concat([str(key), u32(U16), u32(n).subarray(0, 2)]);
const pad = (n, alignment) => Buffer.alloc((alignment - n % alignment) % alignment);

// { keys: Buffer[], tensors: [{ name, info: Buffer without its offset, data: Buffer with its padding }] }
export function parse(path) {
	const bytes = readFileSync(path);
	let at = 8;
	const take64 = () => { const n = Number(bytes.readBigUInt64LE(at)); at += 8; return n; };
	const take32 = () => { at += 4; return bytes.readUInt32LE(at - 4); };
	const takeStr = () => { const n = take64(); at += n; return bytes.toString('utf8', at - n, at); };
	const skip = (type) => {
		if (type === STRING) takeStr();
		else if (type === ARRAY) { const of = take32(); for (let n = take64(); n > 0; n--) skip(of); }
		else at += sizes[type];
	};
	const nTensors = take64(), keys = [], tensors = [];
	let alignment = 32;
	for (let n = take64(); n > 0; n--) {
		const begin = at, key = takeStr(), type = take32();
		if (key === 'general.alignment') alignment = bytes.readUInt32LE(at);
		skip(type);
		keys.push(bytes.subarray(begin, at));
	}
	for (let i = 0; i < nTensors; i++) {
		const begin = at, name = takeStr();
		const nDims = take32();
		at += 8 * nDims + 4;
		tensors.push({ name, info: bytes.subarray(begin, at), offset: take64() });
	}
	const data = at + pad(at, alignment).length, order = tensors.map((t) => t.offset).sort((a, b) => a - b);
	for (const t of tensors) {
		const next = order[order.indexOf(t.offset) + 1];
		t.data = bytes.subarray(data + t.offset, next === undefined ? bytes.length : data + next);
	}
	return { keys, tensors, alignment };
}

// A file of keys and tensors.
export function assemble(keys, tensors, alignment) {
	let offset = 0;
	const infos = tensors.map((t) => {
		const info = Buffer.concat([t.info, u64(offset)]);
		offset += t.data.length + pad(t.data.length, alignment).length;
		return info;
	});
	const head = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(keys.length), ...keys, ...infos]);
	return Buffer.concat([head, pad(head.length, alignment), ...tensors.flatMap((t) => [t.data, pad(t.data.length, alignment)])]);
}

// cuts: the first tensor of each part after the first. The parts' paths.
export function split(path, stem, cuts) {
	const { keys, tensors, alignment } = parse(path), begins = [0, ...cuts, tensors.length], n = begins.length - 1;
	return Array.from({ length: n }, (_, i) => {
		const number = (k) => String(k).padStart(5, '0');
		const out = `${stem}-${number(i + 1)}-of-${number(n)}.gguf`;
		const own = [u16key('split.no', i), u16key('split.count', n), Buffer.concat([str('split.tensors.count'), u32(I32), u32(tensors.length)])];
		writeFileSync(out, assemble(i ? own : [...keys, ...own], tensors.slice(begins[i], begins[i + 1]), i ? 32 : alignment));
		return out;
	});
}
