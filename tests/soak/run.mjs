// `node run.mjs SECONDS` (./do soak): prints what was found, the last line being the figure; exits 1 if anything is wrong.
import { soak } from './load.mjs';

const seconds = Number(process.argv[2] ?? 60);
const found = await soak(seconds);
for (const fault of found.faults) console.error(`soak: ${fault}`);
const { before, after, requests } = found;
console.log(`${Math.round(found.seconds)} s, ${requests} requests, ${found.faults.length} faults; memory ${found.memory_kib >= 0 ? '+' : ''}${found.memory_kib} KiB, `
	+ `descriptors ${before.descriptors} before and ${after.descriptors} after, threads ${before.threads} and ${after.threads}`);
process.exit(found.faults.length ? 1 : 0);
