// llama.cpp as a judge, from the npm package node-llama-cpp: a program that nobody here wrote reads the files that hokku
// reads and writes. Its prebuilt library picks kernels for the processor, from SSE up to AMX; no compiler, no GPU.
import fs from 'node:fs';

// Why there is no judge on this machine, as a test's `skip` takes it; false where there is one.
export const absent = process.platform === 'linux' && process.arch === 'x64' ? false
	: `llama.cpp's package in tests/package.json is for linux-x64; this is ${process.platform}-${process.arch}`;

export async function openJudge() {
	const { getLlama } = await import('node-llama-cpp');
	return getLlama({ gpu: false, build: 'never', logLevel: 'error' });
}

// Keys and values as float32, attention as two plain products: flash attention rounds keys and values to halves even so.
// One thread: several wait for each other in loops, which takes a hundred times as long where other work has the cores.
const exact = { experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32', flashAttention: false, threads: 1 };

async function withSequence(model, n, use) {
	const context = await model.createContext({ contextSize: n, batchSize: n, ...exact });
	try {
		return await use(context.getSequence());
	} finally {
		await context.dispose();
	}
}

// Log-probabilities (ids.length, n_vocab) of what comes after each token.
export function judgedDistribution(model, ids, nVocab) {
	return withSequence(model, ids.length + 1, async (sequence) => {
		const ask = { generateNext: { probabilities: true, options: { temperature: 0 } } };
		const answers = await sequence.controlledEvaluate(ids.map((id) => [id, ask]));
		const out = new Float64Array(ids.length * nVocab).fill(-Infinity);
		answers.forEach((answer, i) => {
			for (const [id, p] of answer.next.probabilities) out[i * nVocab + id] = Math.log(p);
		});
		return out;
	});
}

// The n most likely tokens, one after the other.
export function judgedGreedy(model, ids, n) {
	return withSequence(model, ids.length + n, async (sequence) => {
		const out = [];
		for await (const id of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
			out.push(id);
			if (out.length === n) break;
		}
		return out;
	});
}

// How far two distributions are apart: `logits` (float32, before any softmax) against log-probabilities, as
// docs/exactness.md measures it, relative to the largest magnitude among the logits. An addend that a whole row shares
// changes no distribution, so rows are compared as log-probabilities.
export function distance(judged, logits, nVocab) {
	let worst = 0, squares = 0, largest = 0;
	for (let row = 0; row < logits.length; row += nVocab) {
		let top = -Infinity, sum = 0;
		for (let i = row; i < row + nVocab; i++) top = Math.max(top, logits[i]);
		for (let i = row; i < row + nVocab; i++) sum += Math.exp(logits[i] - top);
		for (let i = row; i < row + nVocab; i++) {
			const d = Math.abs(judged[i] - (logits[i] - top - Math.log(sum)));
			if (!Number.isFinite(d)) return { worst: Infinity, rms: Infinity };
			worst = Math.max(worst, d);
			squares += d * d;
			largest = Math.max(largest, Math.abs(logits[i]));
		}
	}
	return { worst: worst / largest, rms: Math.sqrt(squares / logits.length) / largest };
}

// The values of a NumPy file of float32 (what `hokku logits` writes; oracle/logits.test.mjs checks its form).
export function npyValues(bytes) {
	const data = bytes.subarray(10 + bytes.readUInt16LE(8));
	return new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
}

export const readNpy = (file) => npyValues(fs.readFileSync(file));
