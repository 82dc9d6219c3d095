// What the server does, for who runs it: drawn live from /metrics.
import { useEffect, useState } from 'preact/hooks';
import * as api from './api';
import type { Scrape } from './metrics';
import { fromHealth, histogramOf, parseMetrics, quantile, since, valueOf } from './metrics';
import type { Line } from './plot';
import { Plot } from './plot';
import { Memory } from './sidebar';
import { changed, state } from './state';
import { percent, seconds, short } from './words';

interface Moment {
	at: number; // seconds
	scrape: Scrape;
}

const everyMs = 1000;
const kept = 300; // moments
const moments: Moment[] = [];
let without = ''; // why there is no /metrics

async function look() {
	let scrape: Scrape;
	try {
		scrape = parseMetrics(await (await api.ask('metrics')).text());
		without = '';
	} catch (error) {
		const { status, message } = error as api.ApiError;
		without = status === 404 ? 'This server has no /metrics: what /health tells is drawn, and there are no histograms.' : `/metrics cannot be read: ${message}.`;
		if (status !== 404 || !state.health) return changed();
		scrape = fromHealth(await api.health());
	}
	const at = performance.now() / 1000;
	const before = moments.at(-1);
	// A server that was started anew has counted less: what was drawn of the one before goes.
	if (before && (valueOf(scrape, names.steps) ?? 0) < (valueOf(before.scrape, names.steps) ?? 0)) moments.length = 0;
	moments.push({ at, scrape });
	if (moments.length > kept) moments.shift();
	changed();
}

// What is read (docs/metrics.md); of several models the sum.
const names = {
	running: 'hokku_running_requests',
	waiting: 'hokku_waiting_requests',
	kvHeld: 'hokku_kv_held_blocks',
	kvAll: 'hokku_kv_blocks',
	busy: 'hokku_device_busy_seconds_total',
	idle: 'hokku_device_idle_seconds_total',
	steps: 'hokku_steps_total',
	stepSequences: 'hokku_step_sequences_total',
	tokensIn: 'hokku_prompt_tokens_total',
	tokensOut: 'hokku_answer_tokens_total',
	queries: 'hokku_cache_queries_total',
	hits: 'hokku_cache_hits_total',
};
type Name = keyof typeof names;

const histograms: { title: string; name: string; time: boolean }[] = [
	{ title: 'To the first token', name: 'hokku_time_to_first_token_seconds', time: true },
	{ title: 'Between tokens', name: 'hokku_inter_token_latency_seconds', time: true },
	{ title: 'In the queue', name: 'hokku_queue_seconds', time: true },
	{ title: 'Reading the prompt', name: 'hokku_prefill_seconds', time: true },
	{ title: 'From end to end', name: 'hokku_answer_seconds', time: true },
	{ title: 'A step', name: 'hokku_step_seconds', time: true },
	{ title: 'Tokens of a step', name: 'hokku_step_tokens', time: false },
	{ title: 'Tokens of a prompt', name: 'hokku_prompt_length_tokens', time: false },
	{ title: 'Tokens of an answer', name: 'hokku_answer_length_tokens', time: false },
];
const [firstToken, nextToken] = [histograms[0]!.name, histograms[1]!.name];

const gauge = (name: Name) => moments.map((m) => valueOf(m.scrape, names[name]) ?? null);

// Per second, between one look and the next.
function rates(name: Name): (number | null)[] {
	return moments.map((m, i) => {
		const before = moments[i - 1];
		const now = valueOf(m.scrape, names[name]);
		const then = before && valueOf(before.scrape, names[name]);
		if (now === undefined || then === undefined || !before) return null;
		return Math.max(0, now - then) / Math.max(0.001, m.at - before.at);
	});
}

const sumOf = (a: (number | null)[], b: (number | null)[]) => a.map((x, i) => (x === null || b[i] === null ? null : x + b[i]!));
const ratio = (a: (number | null)[], b: (number | null)[]) => a.map((x, i) => (x === null || b[i] === null || !b[i] ? null : x / b[i]!));
const lastOf = (values: (number | null)[]) => values.findLast((v) => v !== null) ?? null;
const hasAny = (values: (number | null)[]) => values.some((v) => v !== null);

// A quantile of what came within ten seconds before each moment.
function quantiles(name: string, q: number): (number | null)[] {
	const all = moments.map((m) => histogramOf(m.scrape.get(name)));
	return all.map((h, i) => {
		if (!h) return null;
		const then = all[Math.max(0, i - 10)];
		const value = quantile(q, i ? since(h, then) : h);
		return Number.isFinite(value) && i ? value : null;
	});
}

function Chart({ title, lines, write, most, least = 1, whole, lack }: { title: string; lines: Line[]; write: (v: number) => string; most?: number; least?: number; whole?: boolean; lack: string }) {
	const shown = lines.filter((line) => hasAny(line.values));
	const now = moments.at(-1)?.at ?? 0;
	const age = now - (moments[0]?.at ?? 0);
	const span = age < 60 ? 60 : age < 120 ? 120 : kept; // seconds that are shown
	const said = shown.map((line) => `${line.label} ${lastOf(line.values) === null ? 'nothing' : write(lastOf(line.values)!)}`).join(', ');
	return (
		<section class="chart">
			<h3>{title}</h3>
			<p class="legend">
				{shown.map((line) => (
					<span key={line.label}>
						<i style={{ background: `var(${line.colour})` }} />
						{line.label} <b>{lastOf(line.values) === null ? '–' : write(lastOf(line.values)!)}</b>
					</span>
				))}
			</p>
			{shown.length ? (
				<Plot x={moments.map((m) => m.at - now)} lines={shown} write={write} writeX={(v) => (v === 0 ? 'now' : `${Math.round(v)} s`)} most={most} said={`${title}: ${said}`} wanted={[-span, 0]} least={least} whole={whole} />
			) : (
				<p class="lack">{lack}</p>
			)}
		</section>
	);
}

function HistogramView({ title, name, time, lately }: { title: string; name: string; time: boolean; lately: boolean }) {
	const newest = moments.at(-1);
	const all = newest && histogramOf(newest.scrape.get(name));
	if (!newest || !all) return null;
	const from = moments.find((m) => m.at > newest.at - 60);
	const h = lately && from ? since(all, from === newest ? undefined : histogramOf(from.scrape.get(name))) : all;
	const total = h.counts.reduce((a, b) => a + b, 0);
	const write = (v: number) => (Number.isNaN(v) ? '–' : time ? seconds(v * 1000) : short(v));
	// What lies between the first and the last bucket that hold anything, and one beside each.
	const first = Math.max(0, h.counts.findIndex((n) => n > 0) - 1);
	const last = Math.min(h.bounds.length - 1, h.counts.findLastIndex((n) => n > 0) + 1);
	const counts = total ? h.counts.slice(first, last + 1) : [];
	const bounds = h.bounds.slice(first, last + 1);
	const q = [0.5, 0.95, 0.99].map((p) => [`p${100 * p}`, write(quantile(p, h))] as const);
	return (
		<section class="chart">
			<h3 title={newest.scrape.get(name)?.help}>{title}</h3>
			<p class="legend">
				{q.map(([name, value]) => (
					<span key={name}>
						{name} <b>{value}</b>
					</span>
				))}
				<span>
					of <b>{short(total)}</b>
				</span>
			</p>
			{counts.length ? (
				<Plot
					x={counts.map((_, i) => i)}
					lines={[{ label: title, colour: '--accent', values: counts, bars: true }]}
					write={short}
					writeX={(v) => (Number.isInteger(v) && bounds[v] !== undefined ? (bounds[v] === Infinity ? '∞' : time ? seconds(bounds[v]! * 1000).replace(' ', '\u2009') : short(bounds[v]!)) : '')}
					said={`${title}: ${total} counted, ${q.map((one) => one.join(' ')).join(', ')}`}
					wanted={[-0.6, counts.length - 0.4]}
				/>
			) : (
				<p class="lack">Nothing {lately ? 'in the last minute' : 'yet'}.</p>
			)}
		</section>
	);
}

function Tile({ label, value, note }: { label: string; value: string; note?: string }) {
	return (
		<div class="tile">
			<dt>{label}</dt>
			<dd>
				{value}
				{note && <small>{note}</small>}
			</dd>
		</div>
	);
}

function Everything() {
	const [words, setWords] = useState('');
	const newest = moments.at(-1);
	const wanted = words.trim().toLowerCase();
	const rows = [...(newest?.scrape.values() ?? [])].flatMap((f) =>
		f.type === 'histogram'
			? [{ name: f.name, help: f.help, value: `${short(histogramOf(f)?.count ?? 0)} counted` }]
			: f.samples.map((s) => ({ name: s.name + (Object.keys(s.labels).length ? `{${Object.entries(s.labels).map(([k, v]) => `${k}="${v}"`)}}` : ''), help: f.help, value: short(s.value) })),
	);
	const shown = rows.filter((r) => !wanted || r.name.toLowerCase().includes(wanted) || r.help.toLowerCase().includes(wanted));
	return (
		<details class="everything">
			<summary>Every number ({rows.length})</summary>
			<input type="search" placeholder="Find" aria-label="Find a metric" value={words} onInput={(e) => setWords(e.currentTarget.value)} />
			<div class="table" role="region" aria-label="Metrics" tabIndex={0}>
				<table>
					<thead>
						<tr>
							<th scope="col">name</th>
							<th scope="col">value</th>
							<th scope="col">what</th>
						</tr>
					</thead>
					<tbody>
						{shown.slice(0, 500).map((r) => (
							<tr key={r.name}>
								<td>
									<code>{r.name}</code>
								</td>
								<td>{r.value}</td>
								<td>{r.help}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
		</details>
	);
}

export function Operators() {
	const [lately, setLately] = useState(false);
	useEffect(() => {
		let timer = 0;
		let over = false;
		const again = async () => {
			if (!document.hidden) await look();
			if (!over) timer = window.setTimeout(again, everyMs);
		};
		again();
		return () => {
			over = true;
			clearTimeout(timer);
		};
	}, []);
	const out = rates('tokensOut');
	const idle = ratio(rates('idle'), sumOf(rates('idle'), rates('busy')));
	const kvs = ratio(gauge('kvHeld'), gauge('kvAll'));
	const hits = rates('hits');
	const queries = rates('queries');
	const [running, waiting, kv] = [lastOf(gauge('running')), lastOf(gauge('waiting')), lastOf(kvs)];
	const ttft = quantiles(firstToken, 0.95);
	const itl = quantiles(nextToken, 0.95);
	const time = (v: number) => seconds(v * 1000);
	const share = (v: number) => percent(v, 1);
	const any = histograms.some((h) => moments.at(-1)?.scrape.get(h.name)?.type === 'histogram');
	const absent = without ? 'not told' : 'This server does not tell it.';
	return (
		<main class="operators" id="main" tabIndex={-1}>
			<div class="wide">
				{without && (
					<p class="notice" role="status">
						{without}
					</p>
				)}
				<dl class="tiles">
					<Tile label="running" value={running === null ? '–' : short(running)} note={state.health?.queue?.parallel ? `of ${state.health.queue.parallel}` : undefined} />
					<Tile label="waiting" value={waiting === null ? '–' : short(waiting)} />
					<Tile label="tokens/s" value={lastOf(out) === null ? '–' : short(lastOf(out)!)} />
					<Tile label="KV memory" value={kv === null ? '–' : share(kv)} />
					<Tile label="first token, p95" value={lastOf(ttft) === null ? '–' : time(lastOf(ttft)!)} />
					<Tile label="next token, p95" value={lastOf(itl) === null ? '–' : time(lastOf(itl)!)} />
				</dl>
				<h2>Timeline</h2>
				<div class="charts">
					<Chart
						title="Tokens a second"
						write={short}
						lack={absent}
						lines={[
							{ label: 'written', colour: '--accent', values: out, fill: true },
							{ label: 'read', colour: '--blue', values: rates('tokensIn') },
						]}
					/>
					<Chart
						title="Requests"
						whole
						write={short}
						lack={absent}
						lines={[
							{ label: 'running', colour: '--accent', values: gauge('running'), steps: true, fill: true },
							{ label: 'waiting', colour: '--ochre', values: gauge('waiting'), steps: true },
						]}
					/>
					<Chart title="Steps a second" write={short} lack={absent} lines={[{ label: 'steps', colour: '--blue', values: rates('steps'), fill: true }]} />
					<Chart title="Sequences in a step" whole write={short} lack={absent} lines={[{ label: 'on average', colour: '--green', values: ratio(rates('stepSequences'), rates('steps')), steps: true, fill: true }]} />
					<Chart
						title="Time of a step"
						write={time}
						least={0.001}
						lack={absent}
						lines={[
							{ label: 'p95', colour: '--blue', values: quantiles('hokku_step_seconds', 0.95) },
							{ label: 'p50', colour: '--green', values: quantiles('hokku_step_seconds', 0.5), fill: true },
						]}
					/>
					<Chart
						title="KV memory"
						write={share}
						most={1}
						lack={absent}
						lines={[
							{ label: 'in use', colour: '--accent', values: kvs, fill: true },
							{ label: 'of prompts found there', colour: '--ochre', values: ratio(hits, queries) },
						]}
					/>
					<Chart title="The device" write={share} most={1} lack={absent} lines={[{ label: 'idle', colour: '--green', values: idle, fill: true }]} />
					<Chart
						title="Waiting for tokens"
						write={time}
						least={0.001}
						lack={absent}
						lines={[
							{ label: 'first, p95', colour: '--accent', values: ttft },
							{ label: 'first, p50', colour: '--ochre', values: quantiles(firstToken, 0.5) },
							{ label: 'next, p95', colour: '--blue', values: itl },
						]}
					/>
				</div>
				{any && (
					<>
						<div class="head">
							<h2>Histograms</h2>
							<div class="choice" role="group" aria-label="Of when">
								<button type="button" aria-pressed={!lately} onClick={() => setLately(false)}>
									Since the start
								</button>
								<button type="button" aria-pressed={lately} onClick={() => setLately(true)}>
									The last minute
								</button>
							</div>
						</div>
						<div class="charts">
							{histograms.map((h) => (
								<HistogramView key={h.title} {...h} lately={lately} />
							))}
						</div>
					</>
				)}
				<Memory />
				<Everything />
			</div>
		</main>
	);
}
