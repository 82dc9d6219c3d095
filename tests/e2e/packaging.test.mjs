// packaging/: what it names is there, and the programs that it is for take it and do with it what it says.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tool } from './prom.mjs';
import { hokku, until } from './server_common.mjs';
import { within } from './waits.mjs';

const root = new URL('../../', import.meta.url).pathname;
const read = (path) => readFileSync(join(root, path), 'utf8');
// As the running server has them: tests/e2e/metrics.test.mjs holds the table against it.
const known = new Map([...read('docs/metrics.md').matchAll(/^\| `([a-z_:]+)` \| (\w+) \| (.*?) \|/gm)].map(([, name, type, labels]) => [name, { type, labels: [...labels.matchAll(/`(\w+)`/g)].map((m) => m[1]) }]));
assert.ok(known.size > 60);

// Series of an expression: name and the labels that its selector has.
function checkNames(expr) {
	const found = [...expr.matchAll(/\b((?:hokku_|vllm:)[a-z_]+)\b(?:\{([^}]*)\})?/g)];
	assert.ok(found.length, expr);
	for (const [, series, selector] of found) {
		const base = series.replace(/_(bucket|sum|count)$/, ''), histogram = known.get(base)?.type === 'histogram';
		const metric = known.get(histogram ? base : series);
		assert.ok(metric && (!histogram || base !== series), `${series} of ${expr}`);
		const labels = [...(selector ?? '').matchAll(/(\w+) *(?:=~|!~|!=|=)/g)].map((m) => m[1]).filter((l) => l !== 'job' && l !== 'instance');
		for (const label of labels) assert.ok(metric.labels.includes(label), `${label} of ${expr}`);
		if (metric.type === 'counter' || histogram) assert.match(expr, new RegExp(`(rate|increase)\\(${series}\\b`), expr);
	}
	const by = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap((m) => m[1].split(',').map((l) => l.trim()));
	const all = new Set(['job', 'instance', 'le', ...[...known.values()].flatMap((m) => m.labels)]);
	for (const label of by) assert.ok(all.has(label), `${label} of ${expr}`);
}

test('the dashboard: every metric and label that it names exists, its panels do not overlap', () => {
	const board = JSON.parse(read('packaging/grafana/hokku.json'));
	const panels = board.panels.filter((p) => p.type !== 'row');
	assert.ok(panels.length > 25);
	assert.equal(new Set(board.panels.map((p) => p.id)).size, board.panels.length);
	for (const panel of panels) for (const target of panel.targets) checkNames(target.expr);
	for (const { title, targets, fieldConfig } of panels) for (const { matcher } of fieldConfig.overrides) assert.ok(targets.some((target) => target.legendFormat === matcher.options), `${matcher.options} of ${title}`);
	for (const [i, { gridPos: a }] of board.panels.entries()) {
		assert.ok(a.x + a.w <= 24);
		for (const { gridPos: b } of board.panels.slice(i + 1)) assert.ok(a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y, JSON.stringify([a, b]));
	}
	for (const { type, definition } of board.templating.list) if (type === 'query') assert.ok(known.has(definition.match(/hokku_\w+/)[0]), definition);
	const used = new Set(panels.flatMap((p) => p.targets.map((t) => t.expr)).join(' ').match(/hokku_\w+/g));
	assert.ok(used.size > 40);
	assert.throws(() => checkNames('rate(hokku_nothing_total[5m])'));
	assert.throws(() => checkNames('hokku_ready{color="red"}'));
	assert.throws(() => checkNames('hokku_steps_total'));
});

test('its expressions, and the alerts, are what promtool takes; each alert fires when it is to', (t) => {
	const alerts = [...read('packaging/prometheus/alerts.yml').matchAll(/^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)/gm)].map((m) => m[1] ?? m[2]);
	assert.ok(alerts.length >= 9);
	for (const expr of alerts.filter((e) => !e.startsWith('up{'))) checkNames(expr);
	const named = (path) => new Set([...read(path).matchAll(/alert(?:name)?: (\w+)/g)].map((m) => m[1]));
	assert.deepEqual(named('packaging/prometheus/alerts.test.yml'), named('packaging/prometheus/alerts.yml'));
	const promtool = tool('promtool');
	if (!promtool) return t.skip('promtool is not here (./do test brings it)');
	const options = { cwd: join(root, 'packaging/prometheus') };
	const checked = promtool(['check', 'rules', 'alerts.yml'], options), tested = promtool(['test', 'rules', 'alerts.test.yml'], options);
	assert.equal(checked.status, 0, checked.text);
	assert.equal(tested.status, 0, tested.text);
	const board = JSON.parse(read('packaging/grafana/hokku.json')), dir = mkdtempSync(join(tmpdir(), 'hokku-rules-'));
	t.after(() => rmSync(dir, { recursive: true }));
	const plain = (expr) => expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*');
	const rules = board.panels.flatMap((p) => p.targets ?? []).map(({ expr }, i) => ({ record: `panel_${i}`, expr: plain(expr) }));
	writeFileSync(join(dir, 'panels.yml'), JSON.stringify({ groups: [{ name: 'panels', rules }] }));
	const { status, text } = promtool(['check', 'rules', join(dir, 'panels.yml')]);
	assert.equal(status, 0, text);
});

// Validators made of the OpenAPI descriptions of Kubernetes and of the Gateway API, by apiVersion.
const schemas = {
	'apps/v1': 'kubernetes-models/_schemas/IoK8sApiAppsV1',
	v1: 'kubernetes-models/_schemas/IoK8sApiCoreV1',
	'rbac.authorization.k8s.io/v1': 'kubernetes-models/_schemas/IoK8sApiRbacV1',
	'gateway.networking.k8s.io/v1': '@kubernetes-models/gateway-api/_schemas/IoK8sSigsGatewayApiApisV1',
};

// value, of which every member that is read is taken out of unread: what a validator never looks at, its schema does not know.
function watched(value, path, unread) {
	if (typeof value !== 'object' || value === null) return value;
	const inner = Object.entries(value).map(([key, v]) => [key, watched(v, `${path}/${key}`, unread)]);
	if (Array.isArray(value)) return inner.map(([, v]) => v);
	for (const [key] of inner) unread.add(`${path}/${key}`);
	return new Proxy(Object.fromEntries(inner), { get: (all, key) => (unread.delete(`${path}/${String(key)}`), all[key]) });
}

// What a document's schema has against it.
async function faults(document) {
	const { validate } = await import(`${schemas[document.apiVersion]}${document.kind}`), unread = new Set();
	const ok = validate(watched(document, '', unread));
	return [...(ok ? [] : validate.errors.map((e) => `${e.instancePath} ${e.keyword} ${Object.values(e.params).join()}`)), ...[...unread].map((path) => `${path} is unknown`)];
}

async function judgeFields(t, documents) {
	try {
		import.meta.resolve('kubernetes-models');
		import.meta.resolve('@kubernetes-models/gateway-api');
	} catch {
		return t.diagnostic('kubernetes-models is not here (npm ci in tests/ brings it): fields are not judged');
	}
	const own = ['InferencePool']; // which no package describes: below
	for (const d of documents) if (!own.includes(d.kind)) assert.deepEqual(await faults(d), [], `${d.kind} ${d.metadata.name}`);
	for (const [change, fault] of [
		[(c) => (c.livenessProbe.periodSecond = 1), /livenessProbe\/periodSecond is unknown$/],
		[(c) => (c.lifecycle.preStop.sleep.seconds = '5'), /sleep\/seconds type integer$/],
		[(c) => delete c.name, /containers\/0 required name$/],
	]) {
		const d = structuredClone(documents.find((document) => document.kind === 'Deployment'));
		change(d.spec.template.spec.containers[0]);
		assert.match((await faults(d)).join(), fault);
	}
}

// The fields that the pool's resource definition has (inference.networking.k8s.io/v1, of releases 1.0 to 1.5): [type, required].
const poolFields = {
	spec: ['object', true],
	'spec.selector': ['object', true],
	'spec.selector.matchLabels': ['object', true],
	'spec.selector.matchLabels.*': ['string', true],
	'spec.targetPorts': ['object', true],
	'spec.targetPorts.*': ['object', true],
	'spec.targetPorts.*.number': ['number', true],
	'spec.endpointPickerRef': ['object', true],
	'spec.endpointPickerRef.group': ['string', false],
	'spec.endpointPickerRef.kind': ['string', false],
	'spec.endpointPickerRef.name': ['string', true],
	'spec.endpointPickerRef.port': ['object', false],
	'spec.endpointPickerRef.port.number': ['number', true],
	'spec.endpointPickerRef.failureMode': ['string', false],
};
function judgePool(value, path = '') {
	const known = Object.keys(poolFields).filter((p) => (path ? p.startsWith(`${path}.`) : true) && p.split('.').length === (path ? path.split('.').length + 1 : 1));
	for (const [key, v] of Object.entries(value)) {
		if (!path && key !== 'spec') continue;
		const at = known.find((p) => p === `${path ? `${path}.` : ''}${key}`) ?? known.find((p) => p === `${path}.*`);
		assert.ok(at, `${path}.${key} is unknown`);
		assert.equal(typeof v, poolFields[at][0], at);
		if (typeof v === 'object') judgePool(v, at);
	}
	for (const p of known) if (poolFields[p][1] && !p.endsWith('*')) assert.ok(p.split('.').at(-1) in value, `${p} is not there`);
}

test('the Kubernetes example is YAML; what it asks of hokku and of its metrics is there', async (t) => {
	const text = read('packaging/kubernetes/hokku.yaml');
	const help = execFileSync(hokku, ['serve', '--help'], { encoding: 'utf8' });
	const args = text.match(/args: \[serve, (.*)\]/)[1].match(/--[a-z-]+/g);
	assert.ok(args.includes('--metrics-vllm'));
	for (const arg of args) assert.ok(help.includes(`  ${arg} `) || help.includes(`, ${arg} `), arg);
	for (const name of ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc', 'cache_config_info']) assert.ok(known.has(`vllm:${name}`), name); // what the picker reads
	if (spawnSync('python3', ['-c', 'import yaml']).status !== 0) return t.skip('python3-yaml is not here (./do test brings it)');
	const documents = JSON.parse(execFileSync('python3', ['-c', 'import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)'], { input: text, encoding: 'utf8' }));
	const of = (kind, name) => documents.find((d) => d.kind === kind && d.metadata.name === name);
	const pods = of('Deployment', 'hokku').spec.template, pool = of('InferencePool', 'hokku').spec;
	judgePool(of('InferencePool', 'hokku'));
	assert.throws(() => judgePool({ spec: { ...pool, targetPort: 1 } }), /spec\.targetPort is unknown/);
	assert.match(pool.endpointPickerRef.failureMode, /^Fail(Open|Close)$/);
	assert.deepEqual(pool.selector.matchLabels, pods.metadata.labels);
	assert.equal(pool.targetPorts[0].number, pods.spec.containers[0].ports[0].containerPort);
	assert.equal(of('Service', pool.endpointPickerRef.name).spec.ports[0].port, pool.endpointPickerRef.port.number);
	assert.equal(of('HTTPRoute', 'hokku').spec.rules[0].backendRefs[0].name, of('InferencePool', 'hokku').metadata.name);
	await judgeFields(t, documents);
	const config = JSON.parse(execFileSync('python3', ['-c', 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'], { input: of('ConfigMap', 'hokku-epp').data['config.yaml'], encoding: 'utf8' }));
	for (const { pluginRef } of config.schedulingProfiles[0].plugins) assert.ok(config.plugins.some((p) => p.type === pluginRef), pluginRef);
});

const freePort = () => new Promise((resolve) => {
	const server = net.createServer().listen(0, '127.0.0.1', () => {
		const { port } = server.address();
		server.close(() => resolve(port));
	});
});

// Two servers that say who they are; busy: 503, as a server that is full or loading. A stream's second event comes when `go` is called.
async function backends(t) {
	const all = [];
	for (const name of ['a', 'b']) {
		const b = { name, asked: 0, busy: false };
		b.server = http.createServer((request, response) => {
			let body = '';
			request.on('data', (data) => (body += data)).on('end', () => {
				if (request.url === '/health') return response.end('{}');
				b.asked++;
				if (b.busy) return response.writeHead(503).end('busy');
				if (!body.includes('"stream":true')) return response.end(name);
				response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('event: one\n\n');
				b.go = () => response.end('event: two\n\n');
			});
		});
		await new Promise((resolve) => b.server.listen(0, '127.0.0.1', resolve));
		t.after(() => (b.server.closeAllConnections(), b.server.close()));
		all.push(b);
	}
	return all;
}

// The same of any proxy: config with its ports changed is run by start(path), which gives a process.
async function judge(t, config, start) {
	const dir = mkdtempSync(join(tmpdir(), 'hokku-proxy-')), both = await backends(t), port = await freePort();
	chmodSync(dir, 0o777);
	const ports = { 8080: port, 8081: both[0].server.address().port, 8082: both[1].server.address().port };
	const path = join(dir, 'config');
	writeFileSync(path, config.replace(/127\.0\.0\.1:(808[012])/g, (_, p) => `127.0.0.1:${ports[p]}`).replaceAll('/var/log/nginx', dir).replace('http {', `http {\n${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${dir}/${n};`).join('\n')}`));
	let said = '';
	const child = start(path, dir);
	child.stderr.on('data', (data) => (said += data));
	child.stdout.on('data', (data) => (said += data));
	const gone = new Promise((resolve) => child.on('close', resolve));
	t.after(async () => {
		child.kill('SIGTERM');
		await within(gone, 'the proxy to end').finally(() => child.kill('SIGKILL'));
		rmSync(dir, { recursive: true });
	});
	const url = `http://127.0.0.1:${port}/v1/chat/completions`;
	const ask = async (body, headers = {}) => {
		const reply = await fetch(url, { method: 'POST', body: JSON.stringify(body), headers });
		return { status: reply.status, text: await reply.text() };
	};
	await until(async () => {
		assert.equal(child.exitCode, null, said);
		return (await ask({ first: 1 }).catch(() => ({}))).status === 200;
	}, 20000, 'the proxy to answer');
	const turns = (i, n) => ({ model: 'm', messages: [{ role: 'system', content: `You help number ${i}. ${'x'.repeat(1200)}` }, ...Array.from({ length: n }, (_, k) => ({ role: 'user', content: `turn ${k}\n` }))] });
	const places = [];
	for (let i = 0; i < 32; i++) {
		const first = (await ask(turns(i, 1))).text;
		assert.deepEqual([(await ask(turns(i, 2))).text, (await ask(turns(i, 30))).text], [first, first], `conversation ${i}`);
		places.push(first);
	}
	assert.deepEqual([...new Set(places)].sort(), ['a', 'b']); // 32 beginnings are not all one server's
	// A body of megabytes is no other case.
	assert.equal((await ask({ ...turns(3, 1), padding: 'y'.repeat(3 << 20) })).status, 200);
	const byHeader = new Set();
	for (let i = 0; i < 6; i++) byHeader.add((await ask(turns(i, 1), { 'X-Affinity': 'session-7' })).text);
	assert.equal(byHeader.size, 1);
	assert.equal((await fetch(url.replace('/v1/chat/completions', '/metrics'))).status, 404);
	// Events leave as they come: the second one is not sent before the first has arrived.
	const stream = await fetch(url, { method: 'POST', body: '{"stream":true}' }), reader = stream.body.getReader();
	const text = async () => new TextDecoder().decode((await reader.read()).value);
	assert.equal(await text(), 'event: one\n\n');
	both.find((b) => b.go).go();
	assert.equal(await text(), 'event: two\n\n');
	// 503 means that nothing was begun: the other has it.
	both[0].busy = true;
	for (let i = 0; i < 8; i++) assert.deepEqual(await ask(turns(i, 1)), { status: 200, text: 'b' });
}

test('nginx takes the example, and sends what begins alike to one server', async (t) => {
	const nginx = tool('nginx');
	if (!nginx) return t.skip('nginx is not here (./do test brings it)');
	await judge(t, read('packaging/nginx/hokku.conf'), (path, dir) => {
		const args = ['-c', path, '-p', dir, '-e', 'stderr', '-g', `daemon off; pid ${dir}/pid;`];
		const { status, text } = nginx(['-t', ...args]);
		assert.equal(status, 0, text);
		return spawn(nginx.path, args, { env: nginx.env, stdio: ['ignore', 'pipe', 'pipe'] });
	});
});

test('HAProxy takes the example, and sends what begins alike to one server', async (t) => {
	const haproxy = tool('haproxy');
	if (!haproxy) return t.skip('haproxy is not here (./do test brings it)');
	await judge(t, read('packaging/haproxy/hokku.cfg'), (path) => {
		const { status, text } = haproxy(['-c', '-f', path]);
		assert.equal(status, 0, text);
		assert.doesNotMatch(text, /WARNING|ALERT/);
		return spawn(haproxy.path, ['-db', '-f', path], { env: haproxy.env, stdio: ['ignore', 'pipe', 'pipe'] });
	});
});
