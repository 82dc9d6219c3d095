// TLS and Unix sockets, as clients use them: Node's https, fetch, the OpenAI client, curl; what goes wrong is told in words.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { endless, events, hokku, model, raw, start, startFails, until } from './server_common.mjs';
import { within } from './waits.mjs';

const dir = mkdtempSync(join(tmpdir(), 'hokku-tls-')); // a Unix socket's path is short
after(() => rmSync(dir, { recursive: true }));
const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
const certificate = (name, ...more) =>
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '30', ...more);
certificate('good');
certificate('other');
for (const end of ['pem', 'key']) copyFileSync(join(dir, `good.${end}`), join(dir, `live.${end}`));
const file = (name) => join(dir, name);
const ca = [execFileSync('cat', [file('good.pem')])];
const withTls = (name = 'good', key = name) => ['--ssl-cert-file', file(`${name}.pem`), '--ssl-key-file', file(`${key}.key`)];

// One request with Node's own client.
function ask(options, body) {
	const client = options.socketPath ? http : https;
	return within(new Promise((resolve, reject) => {
		const req = client.request({ host: '127.0.0.1', ca, method: body ? 'POST' : 'GET', ...options }, (res) => {
			let text = '';
			const protocol = res.socket.getProtocol?.();
			res.setEncoding('utf8');
			res.on('data', (data) => (text += data));
			res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text, protocol }));
			res.on('error', reject);
		});
		req.on('error', reject);
		req.end(body && JSON.stringify(body));
	}), `the answer of ${options.path}`);
}

async function serve(t, args) {
	const server = await start(args, { ready: false });
	t.after(() => server.child.kill('SIGKILL'));
	const where = server.url.startsWith('https') ? { port: server.port } : { socketPath: server.url };
	server.get = async (path) => JSON.parse((await ask({ ...where, path })).text);
	await until(async () => (await server.get('/health')).status === 'ok', 60000, 'the server to be ready');
	return server;
}

test('TLS: clients of every kind, disconnects, slow readers, pipelining', async (t) => {
	const socket = file('both.sock');
	const server = await serve(t, [model('long'), '--ctx', '30000', '--max-unread', '65536', '--chat-template', 'chatml', '--host', '127.0.0.1', '--host', socket, ...withTls('live')]);
	const { port } = server;
	assert.equal(server.url, `https://127.0.0.1:${port}`);
	assert.ok(server.log.includes(`hokku: listening on unix:${socket}\n`), server.log);
	assert.match(server.log, /TLS with the certificate of CN = localhost, until 20\d\d-/);

	// Node's https: kept alive, streamed, a large body both ways.
	const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
	for (let i = 0; i < 3; i++) {
		const { status, text, protocol } = await ask({ port, agent, path: '/v1/generate' }, { prompt: 'a', max_tokens: 5, ...endless });
		assert.equal(status, 200);
		assert.equal(events(text).at(-1).data.tokens_out, 5);
		assert.equal(protocol, 'TLSv1.3');
	}
	agent.destroy();
	const long = 'word '.repeat(4000);
	const { status, text } = await ask({ port, path: '/tokenize' }, { content: long });
	assert.equal(status, 200);
	const ids = JSON.parse(text).tokens;
	assert.equal(JSON.parse((await ask({ port, path: '/detokenize' }, { tokens: ids })).text).content, long);

	// fetch and the OpenAI client, which believe the certificates that Node is told of.
	const script = `
		import OpenAI from 'openai';
		const base = 'https://localhost:${port}';
		const health = await (await fetch(base + '/health')).json();
		const client = new OpenAI({ apiKey: 'none', baseURL: base + '/v1', maxRetries: 0 });
		const stream = await client.chat.completions.create({ model: health.model, messages: [{ role: 'user', content: 'a' }], max_tokens: 4, stream: true, logit_bias: { 509: -100, 510: -100, 511: -100 } });
		let n = 0;
		for await (const chunk of stream) n += chunk.choices.length;
		console.log(health.status, n > 1);`;
	const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env: { ...process.env, NODE_EXTRA_CA_CERTS: file('good.pem') } });
	assert.equal(stdout, 'ok true\n');
	await assert.rejects(ask({ port, path: '/health', ca: [] }), /self-signed|unable to verify/);

	// curl, by TLS and by the socket, which has none.
	const curl = async (...args) => (await promisify(execFile)('curl', ['-sS', ...args])).stdout;
	assert.equal(JSON.parse(await curl('--cacert', file('good.pem'), `https://localhost:${port}/health`)).status, 'ok');
	assert.equal(JSON.parse(await curl('--unix-socket', socket, 'http://localhost/health')).status, 'ok');
	assert.equal(JSON.parse(await curl('--unix-socket', socket, 'http://any.name.example/health')).status, 'ok');
	assert.equal(JSON.parse(await curl('--cacert', file('good.pem'), '--http2', '--tls-max', '1.2', `https://localhost:${port}/health`)).status, 'ok');

	// hokku's own client of many.
	const { stdout: figures } = await promisify(execFile)(hokku, ['bench', 'serve', `https://localhost:${port}`, '--cacert', file('good.pem'), '-n', '8', '-c', '4', '--input-len', '4', '--output-len', '3', '--json']);
	assert.deepEqual(['completed', 'failed', 'tokens_in'].map((name) => JSON.parse(figures)[name]), [8, 0, 32]);

	// A client that goes, before its answer has begun and in its middle, ends its request.
	for (const seen of [0, 1]) {
		const client = tls.connect({ port, ca, host: '127.0.0.1' });
		const body = JSON.stringify({ prompt: Array(seen ? 1 : 20000).fill(7), ...endless });
		await within(new Promise((resolve) => client.on('secureConnect', resolve)), 'the handshake');
		client.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
		if (seen) await within(new Promise((resolve) => client.once('data', resolve)), 'the answer to begin');
		else await until(async () => (await server.get('/health')).queue.running === 1, 20000, 'it to run');
		client.destroy();
		await until(async () => (await server.get('/health')).queue.cancelled === seen + 1, 20000, 'it to end');
	}

	// Requests in one piece are answered in their order; behind a faulty one comes its refusal and the end.
	const piped = await within(new Promise((resolve, reject) => {
		let heard = '';
		const client = tls.connect({ port, ca, host: '127.0.0.1', ALPNProtocols: ['h2', 'http/1.1'] }, () => {
			assert.equal(client.alpnProtocol, 'http/1.1');
			client.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
		});
		client.on('data', (data) => (heard += data));
		client.on('end', () => resolve(heard));
		client.on('error', reject);
	}), 'three answers and the end');
	assert.deepEqual(piped.match(/^HTTP\/1\.1 \d+/gm), ['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 400']);

	// One that names other protocols alone is told of none.
	const other = tls.connect({ port, ca, host: '127.0.0.1', ALPNProtocols: ['h2'] });
	await within(new Promise((resolve) => other.on('secureConnect', resolve)), 'the handshake');
	assert.equal(other.alpnProtocol, false);
	other.destroy();

	// One that reads nothing is dropped, and nobody else notices.
	const slow = tls.connect({ port, ca, host: '127.0.0.1' });
	slow.on('error', () => {});
	slow.pause();
	await within(new Promise((resolve) => slow.on('secureConnect', resolve)), 'the handshake');
	const body = JSON.stringify({ prompt: 'a', n: 8, logprobs: true, top_logprobs: 20, ...endless });
	slow.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
	await until(() => /a client left \d+ bytes of its answer unread: dropped/.test(server.log), 60000, 'it to be dropped');
	slow.destroy();
	await until(async () => (await server.get('/health')).queue.running === 0, 20000, 'it to end');

	// SIGHUP: the files are read again. A pair that is none is told and changes nothing; a new one is that of new connections, and streams go on.
	const shown = () =>
		within(new Promise((resolve, reject) => {
			const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
				resolve(client.getPeerX509Certificate().fingerprint256);
				client.destroy();
			});
			client.on('error', reject);
		}), 'the handshake');
	const print = (name) => new X509Certificate(readFileSync(file(`${name}.pem`))).fingerprint256;
	const running = tls.connect({ port, ca, host: '127.0.0.1' });
	let came = 0;
	running.on('data', (data) => (came += data.length));
	const longest = JSON.stringify({ prompt: 'a', ...endless });
	running.write(`POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${longest.length}\r\n\r\n${longest}`);
	await until(() => came > 0, 20000, 'a stream');
	for (const [end, words, wanted] of [
		['pem', /error SIGHUP: --ssl-key-file: the key in \S+live\.key is not that of the first certificate in \S+live\.pem.*; new connections go on with the certificate of CN = localhost/, 'good'],
		['key', /info {2}SIGHUP: TLS of new connections with the certificate of CN = localhost, until 20\d\d-/, 'other'],
	]) {
		copyFileSync(file(`other.${end}`), file(`live.${end}`));
		server.child.kill('SIGHUP');
		await until(() => words.test(server.log), 20000, `a line about the new .${end}`);
		assert.equal(await shown(), print(wanted));
	}
	const before = came;
	await until(() => came > before, 20000, 'the stream to go on');
	running.destroy();
	for (const end of ['pem', 'key']) copyFileSync(file(`good.${end}`), file(`live.${end}`));
	server.child.kill('SIGHUP');
	await until(async () => (await shown()) === print('good'), 20000, 'the first certificate again');

	// HTTP to the port that speaks TLS, and what is neither.
	for (const request of ['GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n', 'DELETE / HTTP/1.1\r\n\r\n']) {
		const answer = await raw(port, request);
		assert.equal(answer.status, 400);
		assert.equal(JSON.parse(answer.body).error.message, 'this port speaks TLS, and the request came without: write https:// for http://');
	}
	await server.stop();
	assert.ok(!existsSync(socket), 'the socket is left');
});

test('a Unix socket: its permissions, a dead server\'s, a living one\'s', async (t) => {
	const socket = file('alone.sock');
	const server = await start([model('tiny'), '--host', `127.0.0.1, ${socket}`], { ready: false });
	t.after(() => server.child.kill('SIGKILL'));
	assert.equal(statSync(socket).mode & 0o777, 0o777 & ~process.umask());
	const nothing = await ask({ socketPath: socket, path: '/nowhere' });
	assert.equal(nothing.status, 404);
	// No page can reach it, whatever names it sends; by the address it is looked at as ever.
	assert.equal((await ask({ socketPath: socket, path: '/nowhere', headers: { Host: 'evil.example', Origin: 'https://evil.example' } })).status, 404);
	assert.equal((await raw(server.port, 'GET /nowhere HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')).status, 403);
	const second = await startFails(['--host', socket]);
	assert.equal(second.code, 1);
	assert.ok(second.err.includes(`--host ${socket}: another server listens there; stop it, or give another path`), second.err);
	server.child.kill('SIGKILL');
	await within(server.exited, 'the server to end');
	assert.ok(existsSync(socket));
	const next = await start([model('tiny'), '--host', socket, '--host', '127.0.0.1'], { ready: false });
	t.after(() => next.child.kill('SIGKILL'));
	assert.equal((await ask({ socketPath: socket, path: '/nowhere' })).status, 404);
	await next.stop();
	assert.ok(!existsSync(socket));
});

test('SIGHUP without a certificate changes nothing; a server whose terminal has gone ends, one that ignores it stays', async (t) => {
	for (const nohup of ['', "trap '' HUP; "]) {
		const command = `echo pid $$; ${nohup}exec ${hokku} serve ${model('tiny')} --port 0 --host ${file('term.sock')}`;
		const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
		t.after(() => child.kill('SIGKILL'));
		let said = '';
		child.stdout.on('data', (data) => (said += data));
		await until(() => /listening on/.test(said), 60000, 'the server to listen');
		const pid = Number(said.match(/pid (\d+)/)[1]);
		const lives = () => existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
		process.kill(pid, 'SIGHUP');
		await until(() => /SIGHUP: there is no certificate and no key file to be read again/.test(said), 20000, 'a line about it');
		assert.ok(lives());
		child.kill('SIGKILL'); // and with it the terminal
		if (!nohup) {
			await until(() => !lives(), 20000, 'the server to end');
			continue;
		}
		assert.equal((await ask({ socketPath: file('term.sock'), path: '/nowhere' })).status, 404);
		assert.ok(lives());
		process.kill(pid, 'SIGTERM');
		await until(() => !lives(), 20000, 'the server to end');
	}
});

test('several addresses have one port, and who never shakes hands is not waited for', async (t) => {
	const server = await start([model('tiny'), '--host', '127.0.0.1,127.0.0.2', '--host', '127.0.0.3', '--read-timeout', '0.5', ...withTls()], { ready: false });
	t.after(() => server.child.kill('SIGKILL'));
	const urls = [1, 2, 3].map((n) => `hokku: listening on https://127.0.0.${n}:${server.port}\n`);
	await until(() => urls.every((url) => server.log.includes(url)), 20000, 'a line for each');
	for (const n of [1, 2, 3]) {
		const { status } = await ask({ host: `127.0.0.${n}`, port: server.port, path: '/nowhere', checkServerIdentity: () => undefined });
		assert.equal(status, 404);
	}
	const silent = (bytes) =>
		new Promise((resolve) => {
			const socket = net.connect(server.port, '127.0.0.2', () => bytes && socket.write(bytes, 'latin1'));
			socket.on('error', () => {});
			socket.on('close', resolve);
			socket.resume();
		});
	await within(Promise.all(['', '\x16', '\x16\x03\x01\x02\x00\x01'].map(silent)), 'those who never shake hands to be dropped');
	await server.stop();
});

test('what is wrong with --host, certificates and keys is told', async () => {
	writeFileSync(file('occupied'), '');
	writeFileSync(file('ca.cnf'), '[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n');
	writeFileSync(file('index.txt'), '');
	writeFileSync(file('serial'), '01\n');
	openssl('req', '-new', '-key', 'good.key', '-subj', '/CN=localhost', '-out', 'expired.csr');
	openssl('ca', '-batch', '-config', 'ca.cnf', '-selfsign', '-keyfile', 'good.key', '-in', 'expired.csr', '-out', 'expired.pem', '-notext', '-startdate', '20010101000000Z', '-enddate', '20020101000000Z');
	for (const [args, wanted, ...words] of [
		[['--host', '127.0.0.1,,::1'], 2, '--host: a name is empty'],
		[['--host', '127.0.0.1', '--host', '127.0.0.1'], 2, '--host: 127.0.0.1 is given twice'],
		[['--host', Array.from({ length: 17 }, (_, i) => `127.0.0.${i + 1}`).join()], 2, '--host: more than 16 are given'],
		[['--host', 'https://localhost'], 1, '--host is https://localhost', 'not a URL'],
		[['--host', join(dir, 'occupied')], 1, 'there is a file of this name, and it is no socket'],
		[['--host', join(dir, 'no/folder.sock')], 1, 'the folder must be there already'],
		[['--host', `/${'s'.repeat(107)}`], 1, 'has 108 bytes; the system allows 107'],
		[['--host', '127.0.0.1,0.0.0.0'], 1, 'is in use by another program or another --host'],
		[['--ssl-cert-file', file('good.pem')], 2, '--ssl-cert-file is given without --ssl-key-file'],
		[['--ssl-key-file', file('good.key')], 2, '--ssl-key-file is given without --ssl-cert-file'],
		[withTls('good', 'other'), 1, 'is not that of the first certificate in', file('other.key')],
		[withTls('none'), 1, '--ssl-cert-file: ', file('none.pem')],
		[withTls('good', 'none'), 1, '--ssl-key-file: ', file('none.key')],
		[withTls('expired', 'good'), 1, file('expired.pem'), '(CN = localhost) expired on 2002-01-01 00:00:00 UTC, so that no client would accept it'],
		[['--ssl-cert-file', file('good.key'), '--ssl-key-file', file('good.pem')], 1, 'the other way round?'],
	]) {
		const { code, err } = await startFails(['--port', '0', ...args]);
		assert.equal(code, wanted, err);
		for (const word of words) assert.ok(err.includes(word), err);
	}
});
