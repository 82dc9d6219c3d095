// Who may do what: keys and their models, routes of administrators, pages of other origins, and paths behind a prefix.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { endless, folder, model, post, raw, start, startFails } from './server_common.mjs';

const secret = { a: 'secret-of-team-a', b: 'secret-of-team-b', boss: 'secret-of-the-boss', admin: 'secret-of-the-admin' };
const as = (who, more = {}) => ({ Authorization: `Bearer ${secret[who]}`, ...more });

function keyFile(name, text) {
	mkdirSync(folder, { recursive: true });
	const path = join(folder, `gate-keys-${name}`);
	writeFileSync(path, text);
	return path;
}

const get = async (server, path, headers = {}, method = 'GET') => {
	const response = await fetch(server.url + path, { method, headers });
	const text = await response.text();
	return { status: response.status, headers: response.headers, text, json: /^[[{]/.test(text) ? JSON.parse(text) : undefined };
};
const end = async (server) => {
	await server.stop();
	for (const key of Object.values(secret)) assert.ok(!server.log.includes(key) && !server.stdout.includes(key), 'a key in the log');
};

test('with keys all but /health is behind them, models are for who may, and admin routes for administrators', async (t) => {
	const keys = keyFile('all', `name=team-a key=${secret.a}\nname=team-b key=${secret.b} models=other,hai*\nname=boss key=${secret.boss} admin=yes\n`);
	const server = await start([model('tiny'), '--api-key-file', keys, '--state-dir', folder], { env: { HOKKU_ADMIN_KEY: secret.admin } });
	t.after(() => server.child.kill('SIGKILL'));
	const { model: name } = await server.health();
	// Every route of the list, without a key.
	const { routes } = (await get(server, '/', as('a'))).json;
	for (const route of Object.keys(routes)) {
		const [method, path] = route.split(' ');
		const { status, headers } = await get(server, path.replace('*', 'x'), {}, method);
		const open = ['GET /health', 'GET /v1/health'].includes(route);
		assert.equal(status, open ? 200 : 401, route);
		if (!open) assert.equal(headers.get('www-authenticate'), 'Bearer realm="hokku"', route);
	}
	assert.equal((await get(server, '/nowhere')).status, 404);
	assert.equal((await get(server, '/health', as('a'))).json.key.name, 'team-a');

	// A wrong key in every way that a client shows one.
	for (const headers of [{ Authorization: 'Bearer secret-of-team-' }, { Authorization: `Bearer ${secret.a}${secret.a}` }, { 'x-api-key': 'Bearer x' }, { Authorization: `Basic ${secret.a}` }])
		assert.equal((await get(server, '/v1/models', headers)).status, 401);
	assert.equal((await get(server, '/v1/models', { 'x-api-key': secret.a })).status, 200);

	// team-b has no model here: it sees none, and is told why it gets nothing.
	const lists = { '/v1/models': 'data', '/models': 'data', '/api/tags': 'models', '/api/ps': 'models' };
	for (const [path, member] of Object.entries(lists)) {
		assert.equal((await get(server, path, as('a'))).json[member].length, 1, path);
		assert.equal((await get(server, path, as('b'))).json[member].length, 0, path);
	}
	const refused = /the key team-b may not use the model ".*", which is not among its models in the key file/;
	const chat = { messages: [{ role: 'user', content: 'a' }], max_tokens: 1 };
	for (const [path, body] of [
		['/v1/generate', { prompt: 'a' }], ['/v1/chat/completions', chat], ['/v1/completions', { prompt: 'a' }], ['/v1/messages', { model: name, ...chat }], ['/v1/responses', { input: 'a' }],
		['/completion', { prompt: 'a' }], ['/tokenize', { content: 'a' }], ['/api/chat', { model: name, ...chat }], ['/api/show', { model: name }], ['/v1/embeddings', { input: 'a' }], ['/embedding', { content: 'a' }],
	]) {
		const { status, text, json } = await post(server, path, body, as('b'));
		assert.equal(status, 403, `${path} ${text}`);
		assert.match(json.error.message ?? json.error, refused, path);
	}
	for (const path of [`/v1/models/${encodeURIComponent(name)}`, '/props', '/slots']) assert.equal((await get(server, path, as('b'))).status, 403, path);
	assert.equal((await post(server, '/v1/messages', chat, as('b'))).json.error.type, 'permission_error');
	assert.equal((await post(server, '/v1/generate', { prompt: 'a' }, as('b'))).json.error.code, 'FORBIDDEN');
	assert.equal((await post(server, '/v1/generate', { prompt: 'a', max_tokens: 1, ...endless, stream: false }, as('a'))).status, 200);

	// Administrators' routes: another key is told so, and by which it is not.
	for (const [path, body] of [['/v1/state/save', { name: 'x', tokens: [1, 2] }], ['/v1/state/restore', { name: 'x' }], ['/slots/0?action=erase', {}], ['/props', {}], ['/api/pull', {}]]) {
		assert.equal((await post(server, path, body)).status, 401, path);
		const { status, text } = await post(server, path, body, as('a'));
		assert.equal(status, 403, path);
		assert.match(text, /the key team-a may not use POST \/\S+, a route of administrators: it takes --admin-key, or a key with admin=yes/);
		for (const who of ['boss', 'admin']) assert.ok(![401, 403].includes((await post(server, path, body, as(who))).status), path);
	}
	// What an administrator does for a key is that key's.
	const sevens = { prompt: Array(100).fill(7), max_tokens: 1, stream: false, ...endless };
	assert.equal((await post(server, '/v1/generate', { ...sevens, id: 'of-a' }, as('a'))).json.cached_tokens, 0);
	assert.equal((await post(server, '/v1/state/save', { name: 'sevens', id: 'of-a' }, as('admin'))).status, 404);
	const saved = await post(server, '/v1/state/save', { name: 'sevens', id: 'of-a' }, as('admin', { 'Hokku-Key': 'team-a' }));
	assert.deepEqual([saved.status, saved.headers.get('hokku-key')], [200, 'team-a'], saved.text);
	assert.equal((await post(server, '/v1/generate', sevens, as('boss'))).json.cached_tokens, 0);
	const other = await get(server, '/v1/models', as('a', { 'Hokku-Key': 'boss' }));
	assert.equal(other.status, 403);
	assert.equal(other.json.error.message, 'Hokku-Key is "boss", which is not the key of the request: only an administrator\'s may act for another');
	assert.equal((await get(server, '/v1/models', as('a', { 'Hokku-Key': 'team-a' }))).status, 200);
	const nobody = await get(server, '/v1/models', as('boss', { 'Hokku-Key': 'nobody' }));
	assert.deepEqual([nobody.status, nobody.json.error.message], [404, 'Hokku-Key is "nobody"; no key has this name']);
	await end(server);
});

test('--admin-key alone closes the routes of administrators, and no others', async (t) => {
	const server = await start([model('tiny'), '--admin-key', secret.admin]);
	t.after(() => server.child.kill('SIGKILL'));
	for (const headers of [{}, { Authorization: 'Bearer sk-none' }, as('admin')]) assert.equal((await get(server, '/v1/models', headers)).status, 200);
	assert.equal((await post(server, '/props', {})).status, 401);
	assert.equal((await post(server, '/props', {}, { Authorization: 'Bearer sk-none' })).status, 401);
	assert.equal((await post(server, '/props', {}, as('admin'))).status, 501);
	// It is open all the same: pages are looked at.
	assert.equal((await raw(server.port, 'GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')).status, 403);
	await end(server);
	for (const [bad, words] of [
		['short', /--admin-key has 5 bytes; it takes 8 to 256 printable ASCII characters without spaces/],
		['k'.repeat(257), /--admin-key has 257 bytes/],
		['two words', /--admin-key has a character that no key has, at place 4; it takes printable ASCII characters without spaces\n$/],
		['not-ascii-é', /at place 11; /],
	]) {
		const { code, err } = await startFails(['--port', '0', '--admin-key', bad]);
		assert.equal(code, 1);
		assert.match(err, words);
		assert.ok(!err.includes('words') && !err.includes('é'), err); // it is not shown
	}
});

test('pages of listed origins may read all answers, others none, and all paths begin with the prefix', async (t) => {
	const keys = keyFile('cors', `name=team-a key=${secret.a}\n`);
	const server = await start([model('tiny'), '--cors-origins', 'https://app.example, http://localhost:3000', '--cors-origins', 'null', '--api-prefix', '/llm/v2', '--api-key-file', keys], { ready: false });
	t.after(() => server.child.kill('SIGKILL'));
	const told = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control') || name === 'vary'));
	const ask = async (line, ...headers) => raw(server.port, [`${line} HTTP/1.1`, 'Host: api.example', 'Connection: close', ...headers, '', ''].join('\r\n'));
	const expose = 'Hokku-Key, Hokku-Warnings, Request-Id, Retry-After, Traceparent, WWW-Authenticate, X-Request-Id';
	const allowed = (origin) => ({ vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', 'access-control-expose-headers': expose });
	const kinds = {
		'https://app.example': true, 'HTTPS://APP.EXAMPLE': true, 'https://app.example:443': true, 'http://localhost:3000': true, null: true, 'https://app.example:8443': false, 'http://app.example': false,
		'file://': false, 'https://evil.example': false, [`https://${'a'.repeat(9000)}.example`]: false, '*': false, 'app.example': false,
	};
	// An answer, and refusals of each kind: a page that may not read why it was refused could tell nobody.
	for (const [line, status] of [['GET /llm/v2/v1/models', 401], ['GET /llm/v2/nowhere', 404], ['GET /v1/models', 404], ['DELETE /llm/v2/v1/generate', 405]])
		for (const [origin, ok] of Object.entries(kinds)) {
			const answer = await ask(line, `Origin: ${origin}`);
			assert.equal(answer.status, status, line);
			assert.deepEqual(told(answer.headers), ok ? allowed(origin) : { vary: 'Origin' }, `${line} ${origin.slice(0, 80)}`);
		}
	assert.deepEqual(told((await ask('GET /llm/v2/health')).headers), { vary: 'Origin' });
	// The question before: it shows no key.
	const question = ['Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: authorization,content-type,x-stainless-lang'];
	const preflight = await ask('OPTIONS /llm/v2/v1/chat/completions', 'Origin: https://app.example', ...question);
	assert.deepEqual([preflight.status, preflight.body, preflight.headers.allow], [200, '', 'POST, OPTIONS']);
	assert.deepEqual(told(preflight.headers), {
		...allowed('https://app.example'), 'access-control-allow-methods': 'POST, OPTIONS', 'access-control-allow-headers': 'authorization,content-type,x-stainless-lang', 'access-control-max-age': '600',
	});
	assert.deepEqual(told((await ask('OPTIONS /llm/v2/v1/models', 'Origin: https://evil.example', ...question)).headers), { vary: 'Origin' });
	assert.deepEqual(told((await ask('OPTIONS /llm/v2/v1/models', 'Origin: https://app.example')).headers), allowed('https://app.example'));

	// The prefix.
	const outside = (path) => `there is no path "${path}"; all of this server's begin with /llm/v2 (--api-prefix)`;
	for (const [path, status, message] of [
		['/llm/v2', 200], ['/llm/v2/', 200], ['/llm/v2x/health', 404, outside('/llm/v2x/health')], ['/', 404, outside('/')], ['//llm/v2/health', 404, outside('//llm/v2/health')],
		['/llm/v2/helth', 404, 'there is no path "/helth"; did you mean /llm/v2/health?'], ['/llm/v2/llm/v2/health', 404],
	]) {
		const answer = await get(server, path, as('a'));
		assert.equal(answer.status, status, path);
		if (message) assert.equal(answer.json.error.message, message);
	}
	assert.ok((await get(server, '/llm/v2/', as('a'))).json.routes['POST /llm/v2/v1/generate']);
	await end(server);
});

test('an origin that may read is let past the check of pages; * is without credentials', async (t) => {
	const ask = async (to, ...headers) => raw(to.port, ['GET /v1/nowhere HTTP/1.1', 'Connection: close', ...headers, '', ''].join('\r\n'));
	const server = await start([model('tiny'), '--cors-origins', 'https://app.example'], { ready: false });
	t.after(() => server.child.kill('SIGKILL'));
	assert.equal((await ask(server, 'Host: localhost', 'Origin: https://app.example')).status, 404);
	assert.equal((await ask(server, 'Host: evil.example', 'Origin: https://app.example')).status, 403);
	const foreign = await ask(server, 'Host: localhost', 'Origin: https://evil.example');
	assert.equal(foreign.status, 403);
	assert.match(JSON.parse(foreign.body).error.message, /--cors-origins "https:\/\/evil\.example", or for every port of that host with --allowed-hosts evil\.example, if/);
	assert.equal(foreign.headers['access-control-allow-origin'], undefined);
	await end(server);
	const all = await start([model('tiny')], { ready: false, env: { HOKKU_CORS_ORIGINS: '*' } });
	t.after(() => all.child.kill('SIGKILL'));
	for (const origin of ['https://evil.example', 'null', 'file://']) {
		const { headers, status } = await ask(all, 'Host: localhost', `Origin: ${origin}`);
		assert.equal(status, 404);
		assert.deepEqual([headers['access-control-allow-origin'], headers['access-control-allow-credentials'], headers.vary], ['*', undefined, undefined]);
	}
	await end(all);
	assert.match(all.log, / warn .*every page in a browser/);
	// "null" is what every page can be: in a sandboxed frame.
	for (const [origin, told] of [['null', true], ['https://app.example', false]]) {
		const some = await start([model('tiny'), '--cors-origins', origin], { ready: false });
		t.after(() => some.child.kill('SIGKILL'));
		await end(some);
		assert.equal(/ warn .*any page in a browser .* through a sandboxed frame, whose origin is null/.test(some.log), told, some.log);
	}
});

test('options that say who may are told what is wrong with them', async () => {
	for (const [args, ...words] of [
		[['--cors-origins', 'app.example'], '--cors-origins: "app.example" is no origin'],
		[['--cors-origins', '*,https://a'], '--cors-origins: * stands for every origin'],
		[['--api-prefix', 'llm'], '--api-prefix is "llm"; it takes a path of 2 to 128 characters'],
		[['--api-prefix', '/llm/'], '--api-prefix is "/llm/"'],
		[['--api-prefix', '/'], '--api-prefix is "/"'],
		[['--api-prefix', '/a//b'], '--api-prefix is "/a//b"'],
		[['--api-prefix', '/../a'], 'that does not end with a stroke and has no part that is empty or begins with a dot'],
		[['--api-prefix', '/a?b'], '--api-prefix is "/a?b"'],
		[['--api-prefix', `/${'a'.repeat(128)}`], 'of 2 to 128 characters'],
	]) {
		const { code, err } = await startFails(['--port', '0', ...args]);
		assert.equal(code, 2, err);
		for (const word of words) assert.ok(err.includes(word), err);
	}
});
