// A browser, a server with keys, and a front before it: the front passes everything on, but for what a test answers in the server's place.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { folder, start } from './server_common.mjs';

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const chromium = places.find((path) => path && existsSync(path));
export const key = 'a-key-of-the-page-test';

export async function startServer() {
	mkdirSync(folder, { recursive: true });
	const keys = join(folder, 'keys-page');
	writeFileSync(keys, `name=somebody key=${key}\n`);
	return start(['--threads', '1', '--api-key-file', keys]);
}

const chat = 'POST /v1/chat/completions';

// front.answers['GET /path'] = (request, response, body) => ...
export async function startFront(server) {
	const front = { answers: {}, asked: [] };
	front.http = http.createServer((request, response) => {
		const chunks = [];
		request.on('data', (chunk) => chunks.push(chunk));
		request.on('end', () => {
			let body = Buffer.concat(chunks);
			request.url = request.url.replace(/^\/llm\/?/, '/'); // as behind --api-prefix /llm
			const name = `${request.method} ${request.url.split('?')[0]}`;
			front.asked.push({ name, body: body.toString(), headers: request.headers });
			if (front.answers[name]) return front.answers[name](request, response, body.toString());
			const headers = { ...request.headers, host: `127.0.0.1:${server.port}` };
			if (name === chat && body[0] === 0x7b) { // what is drawn is no matter of luck: the test's first answer, its second, ...
				const asked = JSON.parse(body);
				body = Buffer.from(JSON.stringify({ ...asked, seed: asked.seed ?? front.chats().length }));
				headers['content-length'] = body.length;
			}
			const onward = http.request({ port: server.port, host: '127.0.0.1', method: request.method, path: request.url, headers }, (answer) => {
				response.writeHead(answer.statusCode, answer.headers);
				answer.pipe(response);
			});
			onward.on('error', () => response.destroy());
			response.on('close', () => onward.destroy());
			onward.end(body);
		});
	});
	await new Promise((resolve) => front.http.listen(0, '127.0.0.1', resolve));
	front.url = `http://127.0.0.1:${front.http.address().port}/`;
	front.chats = () => front.asked.filter((one) => one.name === chat).map((one) => JSON.parse(one.body));
	front.stop = () => {
		front.http.closeAllConnections();
		front.http.close();
	};
	return front;
}

export const chunk = (delta, more = {}) => `data: ${JSON.stringify({ object: 'chat.completion.chunk', model: more.model ?? 'made up', choices: [{ index: 0, delta, finish_reason: more.finish ?? null }], usage: null })}\n\n`;
export const usage = (prompt, completion) => `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details: { cached_tokens: 0 } } })}\n\n`;

// A whole streamed answer of these deltas.
export const streamed = (deltas, finish = 'stop') => (_request, response) => {
	response.writeHead(200, { 'Content-Type': 'text/event-stream' });
	response.end(deltas.map((delta) => chunk(delta)).join('') + chunk({}, { finish }) + usage(10, deltas.length) + 'data: [DONE]\n\n');
};
