// docs/pictures/dashboard.png: what packaging/grafana/hokku.json asks Prometheus for, and what a running hokku then has to tell. The queries, titles,
// legends, units and places are the dashboard's; the drawing is this file's, not Grafana's. `./do dashboard [SECONDS]` runs it; every query
// must bring data (what only a GPU has apart).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium as playwright } from 'playwright-core';
import { chromium } from '../e2e/page_common.mjs';
import { tool } from '../e2e/prom.mjs';
import { sleep, start, until } from '../e2e/server_common.mjs';

const root = new URL('../../', import.meta.url).pathname, seconds = Number(process.argv[2] ?? 60);
const board = JSON.parse(readFileSync(join(root, 'packaging/grafana/hokku.json'), 'utf8'));
const ofGpus = ['Device memory'];
const dir = mkdtempSync(join(tmpdir(), 'hokku-dashboard-'));
const prometheus = tool('prometheus');
assert.ok(prometheus && chromium, 'prometheus and chromium must be there (./do brings them)');

writeFileSync(join(dir, 'keys'), 'name=alice key=secret-alice\nname=bob key=secret-bob\nname=crawler key=secret-crawler tokens_per_minute=200\n');
const server = await start(['--api-key-file', join(dir, 'keys'), '--parallel', '8', '--log-level', 'error']);
const port = await new Promise((resolve) => {
	const s = net.createServer().listen(0, '127.0.0.1', () => {
		const { port: free } = s.address();
		s.close(() => resolve(free));
	});
});
writeFileSync(join(dir, 'prometheus.yml'), JSON.stringify({
	global: { scrape_interval: '1s' },
	scrape_configs: [{ job_name: 'hokku', authorization: { credentials: 'secret-alice' }, static_configs: [{ targets: [`127.0.0.1:${server.port}`] }] }],
}));
const child = spawn(prometheus.path, [`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], { env: prometheus.env, stdio: 'inherit' });
const gone = new Promise((resolve) => child.on('close', resolve));
const query = async (path) => {
	const answer = await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json();
	assert.equal(answer.status, 'success', `${path}: ${answer.error}`);
	return answer.data.result;
};

// Clients that come and go: conversations, samples, shapes, one key that asks too often, and some that are wrong or leave.
const ask = async (name, body, signal) => {
	const reply = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', signal, headers: { Authorization: `Bearer secret-${name}`, 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).catch(() => undefined);
	await reply?.text().catch(() => {});
};
const subjects = ['autumn rain', 'an old pond', 'first snow', 'the harvest moon', 'a crow at dusk', 'morning fog'];
async function client(i, end) {
	for (let n = 0; performance.now() < end; n++) {
		const subject = subjects[(i + n) % subjects.length], messages = [{ role: 'user', content: `Write a haiku about ${subject}.` }], body = { model: 'haiku', messages, seed: n, stream: n % 2 === 0 };
		if (n % 3 === 1) body.messages = [...messages, { role: 'assistant', content: 'the old pond is still' }, { role: 'user', content: `And one about ${subjects[n % 6]}.` }];
		if (n % 5 === 4) body.n = 3;
		if (n % 7 === 3) body.max_tokens = 8;
		if (n % 11 === 5) body.response_format = { type: 'json_schema', json_schema: { name: 'x', schema: { enum: ['yes', 'no', `maybe ${n}`] } } };
		if (i === 1 && n % 4 === 2) body.temperature = 'hot';
		await ask(i % 3 === 2 ? 'crawler' : i % 2 ? 'bob' : 'alice', body, n % 13 === 7 ? AbortSignal.timeout(5) : undefined);
		await sleep(i % 3 === 2 ? 250 : i < 4 ? 20 : 120 + 100 * Math.sin(performance.now() / 4000)); // some all the time, others in waves
	}
}

function unit(value, kind) {
	if (!Number.isFinite(value)) return '';
	const short = (v) => (Math.abs(v) >= 1e6 ? `${+(v / 1e6).toPrecision(3)}M` : Math.abs(v) >= 1e4 ? `${+(v / 1e3).toPrecision(3)}k` : `${+v.toPrecision(3)}`);
	if (kind === 'percentunit') return `${+(value * 100).toPrecision(3)}%`;
	if (kind === 's') return value === 0 ? '0' : value < 1e-3 ? `${+(value * 1e6).toPrecision(3)} µs` : value < 1 ? `${+(value * 1e3).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`;
	if (kind === 'bytes') return value >= 2 ** 20 ? `${+(value / 2 ** 20).toPrecision(3)} MiB` : value >= 1024 ? `${+(value / 1024).toPrecision(3)} KiB` : `${value} B`;
	return short(value) + (kind === 'reqps' ? '/s' : '');
}
const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const colours = ['#7eb26d', '#eab839', '#6ed0e0', '#ef843c', '#e24d42', '#5195ce', '#ba43a9', '#b7a0dd', '#9ac48a', '#f2c96d'];

function draw(panel, series, from, to) {
	const { x, y, w, h } = panel.gridPos, place = `left:${(x / 24) * 100}%;top:${y * 26}px;width:calc(${(w / 24) * 100}% - 8px);height:${h * 26 - 8}px`;
	if (panel.type === 'row') return `<h2 style="${place}">${escape(panel.title)}</h2>`;
	const kind = panel.fieldConfig.defaults.unit, last = (s) => s.values.at(-1)?.[1];
	const width = 350, height = h * 26 - 74, stacked = panel.fieldConfig.defaults.custom?.stacking?.mode === 'normal', sums = new Map();
	const lines = series.map((s) => s.values.filter(([, v]) => Number.isFinite(v)).map(([t, v]) => {
		const top = v + (stacked ? (sums.get(t) ?? 0) : 0);
		sums.set(t, top);
		return [t, top];
	}));
	// What the dashboard puts on an axis of its own, at the right.
	const isRight = (i) => panel.fieldConfig.overrides.some((o) => o.matcher.options === series[i].name && o.properties.some((p) => p.id === 'custom.axisPlacement' && p.value === 'right'));
	const highest = (right) => (Math.max(right ? 0 : (panel.fieldConfig.defaults.max ?? 0), ...lines.filter((_, i) => isRight(i) === right).flat().map(([, v]) => v), 0) || 1) * 1.05;
	const most = highest(false), anyRight = series.some((_, i) => isRight(i));
	const at = ([t, v], tall, most) => `${(((t - from) / (to - from)) * width).toFixed(1)},${(tall - (v / most) * tall).toFixed(1)}`;
	const path = (line, i, tall) => (line.length ? `<polyline points="${line.map((p) => at(p, tall, highest(isRight(i)))).join(' ')}" stroke="${colours[i % colours.length]}"/>` : '');
	if (panel.type === 'stat')
		return `<section style="${place}"><h3>${escape(panel.title)}</h3><b>${unit(last(series[0]) ?? NaN, kind)}</b><svg class="small" viewBox="0 0 ${width} 40" preserveAspectRatio="none">${path(lines[0], 0, 40)}</svg></section>`;
	const grid = [0, 0.5, 1].map((part) => `<line x1="0" x2="${width}" y1="${height * (1 - part * 0.95)}" y2="${height * (1 - part * 0.95)}"/>`).join('');
	const labels = [0, 0.5, 1].map((part) => `<i style="top:${30 + height * (1 - part * 0.95) - 7}px">${unit((most / 1.05) * part, kind)}</i>`).join('') + (anyRight ? `<i style="left:auto;right:4px;top:16px">${unit(highest(true) / 1.05, kind)} →</i>` : '');
	const legend = series.map((s, i) => `<span><u style="background:${colours[i % colours.length]}"></u>${escape(s.name)}</span>`).join('');
	return `<section style="${place}"><h3>${escape(panel.title)}</h3>${labels}<svg viewBox="0 0 ${width} ${height}" style="height:${height}px" preserveAspectRatio="none">${grid}${lines.map((l, i) => path(l, i, height)).join('')}</svg><p>${legend}</p></section>`;
}

try {
	await until(async () => (await query('query?query=hokku_ready').catch(() => [])).length > 0, 60000, "Prometheus' first scrape");
	const from = Date.now() / 1000, end = performance.now() + seconds * 1000;
	await Promise.all(Array.from({ length: 12 }, (_, i) => client(i, end)));
	const to = Date.now() / 1000, parts = [];
	let nQueries = 0;
	for (const panel of board.panels) {
		const series = [];
		for (const target of panel.targets ?? []) {
			const expr = target.expr.replaceAll('$__rate_interval', '8s').replaceAll(/\$\w+/g, '.+');
			const found = await query(`query_range?${new URLSearchParams({ query: expr, start: from, end: to, step: 1 })}`);
			nQueries++;
			if (!ofGpus.includes(panel.title)) assert.ok(found.some((s) => s.values.some(([, v]) => Number.isFinite(Number(v)))), `${panel.title}: no data for ${expr}`);
			for (const s of found) series.push({ name: target.legendFormat?.replaceAll(/\{\{ *(\w+) *\}\}/g, (_, label) => s.metric[label] ?? '') || panel.title, values: s.values.map(([t, v]) => [t, Number(v)]) });
		}
		parts.push(draw(panel, series, from, to));
	}
	const tall = Math.max(...board.panels.map(({ gridPos: g }) => g.y + g.h)) * 26;
	const style = `body{margin:12px;background:#111217;color:#ccccdc;font:12px sans-serif}main{position:relative;height:${tall}px}h1{font-size:15px;margin:0 0 10px}h1 small{color:#8e8e9a;font-weight:400;margin-left:1em}
		h2{position:absolute;margin:0;font-size:13px;line-height:22px}section{position:absolute;box-sizing:border-box;background:#181b1f;border:1px solid #2c3035;border-radius:3px;overflow:hidden}
		h3{font-size:12px;margin:7px 9px 0}b{display:block;font-size:26px;font-weight:500;text-align:center;color:#7eb26d;margin-top:4px}svg{position:absolute;left:62px;top:30px;width:calc(100% - 72px);overflow:visible}
		svg.small{left:0;top:auto;bottom:2px;width:100%;height:24px;opacity:.6}polyline{fill:none;stroke-width:1.2;vector-effect:non-scaling-stroke;stroke-linejoin:round}line{stroke:#2c3035;vector-effect:non-scaling-stroke}
		i{position:absolute;left:0;width:56px;text-align:right;font-style:normal;font-size:10px;color:#8e8e9a}p{position:absolute;left:9px;right:9px;bottom:4px;margin:0;max-height:28px;overflow:hidden;font-size:10px;color:#a8a8b6}span{margin-right:9px;white-space:nowrap}u{display:inline-block;width:9px;height:3px;margin-right:4px;vertical-align:middle}`;
	const browser = await playwright.launch({ executablePath: chromium, args: ['--no-sandbox'] });
	const page = await browser.newPage({ viewport: { width: 1120, height: 816 } });
	await page.setContent(`<!doctype html><style>${style}</style><h1>${escape(board.title)}<small>packaging/grafana/hokku.json, its queries answered by Prometheus, drawn by tests/dashboard/draw.mjs</small></h1><main>${parts.join('')}</main>`);
	await page.screenshot({ path: join(root, 'docs/pictures/dashboard.png'), clip: { x: 0, y: 0, width: 1120, height: 816 } });
	await page.screenshot({ path: join(root, 'build/dashboard.png'), fullPage: true });
	await browser.close();
	console.log(`${nQueries} queries of ${parts.length} panels and rows have data; docs/pictures/dashboard.png, and the whole: build/dashboard.png`);
} finally {
	child.kill('SIGTERM');
	server.child.kill('SIGTERM');
	await Promise.all([gone, server.exited]);
	rmSync(dir, { recursive: true });
}
