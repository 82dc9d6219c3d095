// A cancel and a client that goes away act within 100 ms, whatever the request is at: it answers, its prompt is read, it waits. On
// cpu:reference, where the prompt takes seconds, so that one that is not cut is seen.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, events, generate, idle, post, sanitized, slack, start, stream, until } from './server_common.mjs';

// The promise is 100 ms, for the server alone; here the client's own time is in it.
const soon = () => 150 * slack();
const forever = { messages: [{ role: 'user', content: 'Write a haiku about rain.' }], logit_bias: { 6653: -100, 6654: -100, 6655: -100 }, cache_prompt: false };
const long = { prompt: Array.from({ length: sanitized ? 150 : 460 }, (_, i) => 300 + ((i * 37) % 1000)), max_tokens: 40, cache_prompt: false };

let server, uncut;
before(async () => {
	server = await start(['--device', 'cpu:reference', '-np', '2']);
	uncut = (await generate(server, { ...long, stream: false, max_tokens: 1 })).json.prefill_ms; // also lets the server learn its pace
});
after(() => server.stop());

const queue = async () => (await server.health()).queue;

// A streamed request on a socket of its own, which can go away at once. got() is what came so far.
async function open(body) {
	const socket = await connect(server.port), text = JSON.stringify(body);
	let got = '';
	socket.on('data', (data) => (got += data));
	socket.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
	return { socket, got: () => got, saw: (kind) => until(() => got.includes(`event: ${kind}\n`), 20000, `the event ${kind}`) };
}

const states = {
	async running() {
		const r = await open({ ...forever, id: 'victim' });
		await r.saw('token');
		return r;
	},
	async prefilling() {
		const r = await open({ ...long, id: 'victim' });
		await r.saw('started');
		return r;
	},
	async waiting() {
		const { accepted } = await queue();
		const r = await open({ ...forever, id: 'victim' });
		await until(async () => (await queue()).accepted > accepted, 5000, 'it to wait in the engine');
		return r;
	},
};
const ways = {
	cancel: async () => assert.deepEqual((await post(server, '/v1/cancel', { id: 'victim' })).json, { id: 'victim', found: true }),
	disconnect: async (r) => r.socket.destroy(),
};

for (const [state, enter] of Object.entries(states))
	for (const [way, leave] of Object.entries(ways))
		test(`${way} acts on a ${state} request`, async () => {
			assert.ok(uncut > 500, `the prompt takes ${uncut} ms`);
			// Others answer beside it: one, or for a waiting one as many as there are places.
			const others = [];
			for (let i = state === 'waiting' ? 2 : 1; i > 0; i--) {
				others.push(await stream(server, forever));
				await others.at(-1).saw('token');
			}
			const { cancelled } = await queue();
			const victim = await enter();
			const at = performance.now();
			await leave(victim);
			await until(async () => (await queue()).cancelled > cancelled, 20000, 'the engine to let go');
			const took = performance.now() - at;
			assert.ok(took < soon(), `${took} ms`);
			if (state === 'prefilling') assert.ok(took < uncut / 2, `${took} ms of ${uncut}`);
			if (way === 'cancel') {
				await victim.saw('error');
				assert.equal(events(victim.got().slice(victim.got().indexOf('event:')).replace(/\r\n[0-9a-f]+\r\n/g, '')).at(-1).data.code, 'CANCELLED');
			}
			if (state === 'prefilling') assert.doesNotMatch(victim.got(), /event: token/);
			victim.socket.destroy();
			for (const s of others) {
				assert.ok(!s.events().some((e) => e.kind === 'error' || e.kind === 'end'));
				s.abort();
			}
			await until(() => idle(server), 5000, 'an idle server');
			const { accepted, finished, failed } = await queue();
			assert.deepEqual([finished, failed], [accepted, 0]);
		});
