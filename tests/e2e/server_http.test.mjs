// HTTP as it comes over the wire: what a client may send in more than one way, and who may send anything.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { folder, model, raw, start, startFails } from './server_common.mjs';

let server;
before(async () => {
	server = await start([model('tiny')]);
});
after(() => server.stop());

const body = '{"prompt":"a","max_tokens":1,"stream":false}';
const size = body.length.toString(16);
const head = 'POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n';
const whole = `Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (line, rest = '0\r\n\r\n') => `${head}Transfer-Encoding: chunked\r\n\r\n${line}\r\n${body}\r\n${rest}`;
const statuses = (text) => [...text.matchAll(/^HTTP\/1\.[01] (\d+)/gm)].map((m) => Number(m[1]));

// Sends requests that must get these statuses, after which the connection is closed; returns the last message.
async function expect(wanted, request, ...words) {
	const { text } = await raw(server.port, request);
	assert.deepEqual(statuses(text), [wanted].flat(), JSON.stringify(String(request)) + text);
	if ([wanted].flat().at(-1) === 200) return text;
	const { error } = JSON.parse(text.slice(text.lastIndexOf('\r\n\r\n')));
	for (const word of words) assert.ok(error.message.includes(word), `${error.message} lacks ${word}`);
	return error;
}

test('at / who asks for HTML gets the page, whole', async () => {
	const page = readFileSync(new URL('../../page/dist/index.html', import.meta.url));
	const at = async (accept) => (await raw(server.port, `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: ${accept}\r\n\r\n`)).text;
	const html = await at('text/html');
	assert.match(html, new RegExp(`^HTTP/1\\.1 200 .*\r\nContent-Length: ${page.length}\r\n`, 's'));
	assert.equal(html.slice(html.indexOf('\r\n\r\n') + 4), String(page));
	assert.doesNotMatch(await at('application/json'), /<html/);
});

test('empty lines before a request do not count', async () => {
	for (const lines of ['\r\n', '\r\n\r\n\r\n', '\n']) await expect(200, lines + head + whole);
	const open = head.replace('Connection: close\r\n', '') + whole;
	await expect([200, 200, 200], `\r\n${open}\r\n${open}\r\n\r\n${head}${whole}`);
	await expect(200, '\r\n'.repeat((16384 - (head + whole).indexOf('\r\n\r\n') - 4) / 2 | 0) + head + whole);
	await expect(400, '\r\n'.repeat(8193) + head + whole, '16384 bytes');
	await expect(400, `\r${head}${whole}`, 'carriage return');
	const socket = await raw(server.port, '\r', '\n\r\n', head + whole);
	assert.deepEqual(statuses(socket.text), [200]);
});

test('the size of a chunk is hexadecimal digits; extensions and trailers are passed over', async () => {
	for (const line of [size, size.toUpperCase(), `000${size}`, `${size};a=b`, `${size};a;b="c;d"`, `${size} ;a`]) await expect(200, chunked(line));
	for (const line of [`0x${size}`, `+${size}`, `-${size}`, ` ${size}`, `${size} `, `${size}h`, `\t${size}`, '', `${size}\r`, `${size};a\rb`, `${size}\nx`])
		await expect(400, chunked(line), 'a chunk begins with', 'hexadecimal');
	await expect(400, `${head}Transfer-Encoding: chunked\r\n\r\n${size}\r\n${body}0\r\n\r\n`, 'more bytes than its size');
	for (const n of [4095, 4096]) await expect(200, chunked(`${size};`.padEnd(n, 'a')));
	await expect(400, chunked(`${size};`.padEnd(4097, 'a')), '4096');
	// Trailers do not become headers: this encoding would be 415.
	await expect(200, chunked(size, '0\r\nContent-Encoding: gzip\r\n\r\n'));
	await expect(400, chunked(size, '0\r\nGET / HTTP/1.1\r\n\r\n'), 'no header');
	// Nothing behind a faulty chunk is served.
	await expect(400, chunked(`0x${size}`) + 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
});

test('the request line', async () => {
	const line = (text) => `${text}\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
	await expect(404, line('POST //v1/generate HTTP/1.1'), '"//v1/generate"', 'did you mean /v1/generate?');
	await expect(404, line('POST /v1/generate/?x=1 HTTP/1.1'), '"/v1/generate/"', 'did you mean /v1/generate?');
	await expect(404, line('GET //health HTTP/1.1'), '"//health"', 'did you mean /health?');
	await expect(200, line('GET http://127.0.0.1/health?x HTTP/1.1'));
	await expect(200, line('GET http://localhost HTTP/1.1'));
	assert.match((await raw(server.port, line('OPTIONS * HTTP/1.1'))).text, /^HTTP\/1\.1 204 [\s\S]*\r\nAllow: GET, HEAD, POST, DELETE, OPTIONS\r\n/);
	await expect(505, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'HTTP/2.0', 'HTTP/1.1');
	await expect(501, line('CONNECT example.org:443 HTTP/1.1'), 'proxy');
	await expect(400, line('GET /health'), '"GET /health"', 'METHOD PATH HTTP/1.1');
	await expect(400, line('GET health HTTP/1.1'), '"health"', 'begins with /');
	await expect(400, Buffer.from([22, 3, 1, 2, 0, 1, 0]), 'https://');
});

test('a server on loopback without keys answers to loopback names alone', async () => {
	const get = (...headers) => ['GET /health HTTP/1.1', 'Connection: close', ...headers, '', ''].join('\r\n');
	for (const host of ['localhost', 'LOCALHOST:8080', 'localhost.', 'x.localhost', '127.0.0.1:1', '127.8.9.10', '[::1]', '[::1]:80'])
		await expect(200, get(`Host: ${host}`));
	for (const host of ['example.org', 'localhost.example.org:8080', '127.0.0.1.example.org', '10.0.0.1', '0.0.0.0:8080', '[::]', '']) {
		const error = await expect(403, get(`Host: ${host}`), host, '--allowed-hosts', 'loopback');
		assert.equal(error.code, 'INVALID_REQUEST');
	}
	await expect(403, get('Host: localhost').replace('/health', 'http://example.org/health'), 'example.org');
	await expect(403, get('Host: example.org').replace('/health', 'http://localhost/health'), 'example.org');
	for (const origin of ['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:1', 'tauri://localhost'])
		await expect(200, get('Host: localhost', `Origin: ${origin}`));
	for (const origin of ['http://example.org', 'https://localhost.example.org', 'null', '', 'http://localhost http://example.org', 'http://u@localhost'])
		await expect(403, get('Host: localhost', `Origin: ${origin}`), origin, '--allowed-hosts');
	await expect(400, get('Host: localhost', 'Origin: http://localhost', 'Origin: http://example.org'), 'Origin', 'more than once');
	assert.match((await expect(403, get('Host: a.example'))).message, /--allowed-hosts a\.example if/);
	assert.match((await expect(403, get('Host: localhost', 'Origin: http://a.example:1'))).message, /--allowed-hosts a\.example, if/);
	assert.match((await expect(403, get('Host: localhost', 'Origin: null'))).message, /--cors-origins "null", .*--allowed-hosts NAME, if/);
	// A page that posts text without asking first, as a form can.
	await expect(403, `${head}Content-Type: text/plain\r\nOrigin: https://example.org\r\n${whole}`);
	// What is wrong with the framing comes before Host, Host before the path.
	await expect(501, 'GET /nowhere HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: gzip\r\n\r\n');
	await expect(400, 'GET /nowhere HTTP/1.1\r\nHost: a b\r\n\r\n', '"a b"');
	await expect(403, get('Host: example.org').replace('/health', '/nowhere'));
	// Browsers always name a host: whoever does not is none.
	await expect(200, 'GET /health HTTP/1.0\r\n\r\n');
});

test('--allowed-hosts, and servers that do not look at the host', async () => {
	const ask = async (args, options, headers) => {
		const other = await start([model('tiny'), ...args], { ready: false, ...options });
		const found = [];
		for (const header of headers) found.push((await raw(other.port, `OPTIONS / HTTP/1.1\r\nConnection: close\r\n${header}\r\n\r\n`)).status);
		await other.stop();
		return { found, log: other.log };
	};
	const named = ['Host: a.example', 'Host: A.example:80', 'Host: b', 'Host: [2001:db8::7]:80', 'Host: c', 'Host: localhost', 'Host: localhost\r\nOrigin: https://b', 'Host: localhost\r\nOrigin: null'];
	const wanted = [204, 204, 204, 204, 403, 204, 204, 403];
	assert.deepEqual((await ask(['--allowed-hosts', 'a.example, b', '--allowed-hosts', '2001:db8:0::7'], {}, named)).found, wanted);
	assert.deepEqual((await ask([], { env: { HOKKU_ALLOWED_HOSTS: 'a.example,b,[2001:db8::7]' } }, named)).found, wanted);
	// The command line wins over the variable.
	assert.deepEqual((await ask(['--allowed-hosts', 'c'], { env: { HOKKU_ALLOWED_HOSTS: 'b' } }, ['Host: b', 'Host: c'])).found, [403, 204]);
	const all = ['Host: c', 'Host: c\r\nOrigin: null'];
	const any = await ask(['--allowed-hosts', '*'], {}, all);
	assert.deepEqual(any.found, [204, 204]);
	assert.doesNotMatch(any.log, / warn /);

	const keys = join(folder, 'http-keys');
	writeFileSync(keys, 'a-key-of-mine\n');
	const closed = await ask(['--api-key-file', keys, '--host', '0.0.0.0'], {}, all);
	assert.deepEqual(closed.found, [204, 204]);
	assert.doesNotMatch(closed.log, / warn /);
	assert.deepEqual((await ask(['--api-key-file', keys, '--allowed-hosts', 'b'], {}, all)).found, [403, 403]);

	// Open to other machines: nobody knows by which names they reach it, but that they can is told.
	const open = await ask(['--host', '0.0.0.0'], {}, all);
	assert.deepEqual(open.found, [204, 204]);
	const warnings = open.log.split('\n').filter((line) => / warn /.test(line));
	assert.equal(warnings.length, 1, open.log);
	for (const word of ['every machine', 'this one', 'http://0.0.0.0:', '--api-key-file', '--host 127.0.0.1']) assert.ok(warnings[0].includes(word), warnings[0]);
	assert.deepEqual((await ask(['--host', '0.0.0.0', '--allowed-hosts', 'b'], {}, ['Host: b', 'Host: c', 'Host: localhost'])).found, [204, 403, 204]);
	assert.doesNotMatch((await ask(['--host', '127.0.0.2'], {}, [])).log, / warn /);

	for (const [value, ...words] of [['a:80', '"a:80"', 'port'], ['*.a', '"*.a"'], ['a,,b', '""'], ['http://a', '"http://a"']]) {
		const { code, err } = await startFails(['--port', '0', '--allowed-hosts', value]);
		assert.equal(code, 2, err);
		for (const word of ['--allowed-hosts', ...words]) assert.ok(err.includes(word), err);
	}
	const { code, err } = await startFails(['--port', '0'], { HOKKU_ALLOWED_HOSTS: 'a b' });
	assert.equal(code, 2);
	assert.match(err, /HOKKU_ALLOWED_HOSTS.*"a b"/);
});
