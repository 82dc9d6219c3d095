// `node itl.mjs MS[,MS...] [MODEL] [OPTIONS of serve]`: how long four streams wait for their next token, alone and while prompts of nearly the whole
// context follow one another beside them, for each --itl-ms. Prints a row a setting: milliseconds between tokens at p50, p99 and at most,
// alone and beside prompts; prompt tokens a second meanwhile. HOKKU names the program.
import { connect, generate, sleep, start } from '../e2e/server_common.mjs';

const [settings = '75', ...args] = process.argv.slice(2);
const quietMs = 3000, busyMs = 10000, nStreams = 4;

// Takes streamed answers one after the other, and calls gap(ms) for each time between tokens, until over().
async function answer(server, first, gap, over) {
	for (let seed = first; !over(); seed += nStreams) {
		const socket = await connect(server.port), body = JSON.stringify({ prompt: [300 + (seed % 50)], seed, temperature: 1, cache_prompt: false });
		let last = 0;
		socket.setNoDelay(true);
		socket.on('data', (data) => {
			if (!data.includes('event: token')) return;
			const now = performance.now();
			if (last) gap(now - last);
			last = now;
		});
		const closed = new Promise((resolve) => socket.on('close', resolve));
		socket.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
		while (!over() && !(await Promise.race([closed.then(() => true), sleep(20)])));
		socket.destroy();
	}
}

function row(gaps) {
	const sorted = [...gaps].sort((a, b) => a - b), at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
	return [0.5, 0.99, 1].map((q) => at(q)?.toFixed(1) ?? '-');
}

console.log('| `--itl-ms` | alone: p50 | p99 | max | beside prompts: p50 | p99 | max | prompt tokens/s |\n|---:|---:|---:|---:|---:|---:|---:|---:|');
for (const ms of settings.split(',')) {
	const server = await start([...args, '--itl-ms', ms, '--log-level', 'off', '-np', String(nStreams + 1)]);
	process.on('exit', () => server.child.kill('SIGKILL'));
	const { n_ctx, vocab_size } = await server.health();
	const prompt = (n) => Array.from({ length: n_ctx - 8 }, (_, i) => 300 + ((n * 131 + i * 37) % (vocab_size - 600)));
	const quiet = [], busy = [];
	let gaps = [], over = false, tokens = 0;
	await generate(server, { prompt: prompt(0).slice(0, 4000), max_tokens: 1, stream: false, cache_prompt: false }); // it learns what steps cost
	const streams = Promise.all([...Array(nStreams).keys()].map((i) => answer(server, i, (gap) => gaps.push(gap), () => over)));
	await sleep(500);
	gaps = quiet;
	await sleep(quietMs);
	gaps = busy;
	const from = performance.now();
	for (let n = 1; performance.now() - from < busyMs; n++) {
		const { json } = await generate(server, { prompt: prompt(n), max_tokens: 1, stream: false, cache_prompt: false });
		tokens += json.prompt_tokens;
	}
	const seconds = (performance.now() - from) / 1000;
	over = true;
	await streams;
	console.log(`| ${[ms, ...row(quiet), ...row(busy), Math.round(tokens / seconds)].join(' | ')} |`);
	await server.stop();
}
