// A hub (hub.mjs) that has one model, hokku/haiku-GGUF, for `./do try-package`: its line is HF_ENDPOINT's value; SIGTERM ends it.
import { readFileSync } from 'node:fs';
import { startHub } from './hub.mjs';

const bytes = readFileSync(new URL('../../models/haiku/haiku.gguf', import.meta.url));
const hub = await startHub({ 'hokku/haiku-GGUF': { files: { 'haiku-Q8_0.gguf': bytes, 'README.md': Buffer.from('# haiku\n') } } });
console.log(hub.url);
