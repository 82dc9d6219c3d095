// MaskBench's files as a batch for `hokku constrain --batch`.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export const root = new URL('../..', import.meta.url).pathname, dir = join(root, 'build/maskbench');

// A file is an object {"schema", "tests", ...} over many lines; its text is kept, so that numbers stay as they are written.
export function batch(data, every) {
	const names = readdirSync(data).filter((f) => f.endsWith('.json')).sort().filter((_, i) => i % every === 0), path = join(dir, `batch-${every}.jsonl`);
	mkdirSync(dir, { recursive: true });
	const fd = openSync(path, 'w');
	for (const name of names) {
		const text = readFileSync(join(data, name), 'utf8').trim().replace(/[\r\n]+\s*/g, ' ');
		writeSync(fd, `{"name": ${JSON.stringify(name.slice(0, -5))}, ${text.slice(1)}\n`);
	}
	closeSync(fd);
	return { path, n: names.length };
}
