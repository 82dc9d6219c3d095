// Prometheus' text format, and what is made of it over time.
export interface Sample {
	name: string;
	labels: Record<string, string>;
	value: number;
}
export interface Family {
	name: string;
	type: string;
	help: string;
	samples: Sample[];
}
export type Scrape = Map<string, Family>;

const numberOf = (text: string) => (text === '+Inf' || text === 'Inf' ? Infinity : text === '-Inf' ? -Infinity : text === 'NaN' ? NaN : Number(text));
const unescape = (text: string) => text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));

// Lines that are none of the format are passed over.
export function parseMetrics(text: string): Scrape {
	const families: Scrape = new Map();
	const family = (name: string) => {
		let f = families.get(name);
		if (!f) families.set(name, (f = { name, type: 'untyped', help: '', samples: [] }));
		return f;
	};
	for (const line of text.split('\n')) {
		const about = line.match(/^# (TYPE|HELP) (\S+) ?(.*)$/);
		if (about) {
			if (about[1] === 'TYPE') family(about[2]!).type = about[3]!.trim();
			else family(about[2]!).help = unescape(about[3]!);
			continue;
		}
		const found = line.match(/^([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?\s+(\S+)/);
		if (!found) continue;
		const labels: Record<string, string> = {};
		for (const [, name, value] of (found[2] ?? '').matchAll(/(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"/g)) labels[name!] = unescape(value!);
		const name = found[1]!;
		const base = name.replace(/_(bucket|sum|count)$/, '');
		const owner = base !== name && ['histogram', 'summary'].includes(families.get(base)?.type ?? '') ? base : name;
		family(owner).samples.push({ name, labels, value: numberOf(found[3]!) });
	}
	return families;
}

export interface Histogram {
	bounds: number[]; // upper, the last one Infinity
	counts: number[]; // of each bucket alone
	sum: number;
	count: number;
}

// Of a family all its series together.
export function histogramOf(f: Family | undefined): Histogram | undefined {
	if (f?.type !== 'histogram') return undefined;
	const upTo = new Map<number, number>();
	let sum = 0;
	let count = 0;
	for (const s of f.samples) {
		if (s.name.endsWith('_bucket')) {
			const le = numberOf(s.labels.le ?? '');
			if (!Number.isNaN(le)) upTo.set(le, (upTo.get(le) ?? 0) + s.value);
		} else if (s.name.endsWith('_sum')) sum += s.value;
		else if (s.name.endsWith('_count')) count += s.value;
	}
	const bounds = [...upTo.keys()].sort((a, b) => a - b);
	if (!bounds.length) return undefined;
	const counts = bounds.map((b, i) => Math.max(0, upTo.get(b)! - (i ? upTo.get(bounds[i - 1]!)! : 0)));
	return { bounds, counts, sum, count };
}

// What came since an earlier scrape; a server that was started anew begins at nothing.
export function since(now: Histogram, then: Histogram | undefined): Histogram {
	if (!then || then.count > now.count || then.bounds.length !== now.bounds.length) return now;
	return { bounds: now.bounds, counts: now.counts.map((n, i) => Math.max(0, n - then.counts[i]!)), sum: now.sum - then.sum, count: now.count - then.count };
}

// As Prometheus' histogram_quantile: evenly within its bucket.
export function quantile(q: number, h: Histogram): number {
	const total = h.counts.reduce((a, b) => a + b, 0);
	if (!total) return NaN;
	let left = q * total;
	for (const [i, n] of h.counts.entries()) {
		if (left > n) {
			left -= n;
			continue;
		}
		const low = i ? h.bounds[i - 1]! : 0;
		const high = h.bounds[i]!;
		return high === Infinity ? low : low + (high - low) * (n ? left / n : 1);
	}
	return h.bounds.at(-2) ?? NaN;
}

// The sum of all series of a family, counters and gauges; undefined where there is none.
export function valueOf(scrape: Scrape, name: string): number | undefined {
	const samples = scrape.get(name)?.samples;
	return samples?.length ? samples.reduce((sum, s) => sum + s.value, 0) : undefined;
}

// Before a server has /metrics, what /health tells stands for some of it.
export function fromHealth(health: Record<string, any>): Scrape {
	const scrape: Scrape = new Map();
	const put = (name: string, type: string, value: unknown) => {
		if (typeof value === 'number') scrape.set(name, { name, type, help: '', samples: [{ name, labels: {}, value }] });
	};
	put('hokku_running_requests', 'gauge', health.queue?.running);
	put('hokku_waiting_requests', 'gauge', health.queue?.queued);
	put('hokku_prompt_tokens_total', 'counter', health.queue?.tokens_in);
	put('hokku_answer_tokens_total', 'counter', health.queue?.tokens_out);
	for (const [name, value] of Object.entries(health.counters ?? {})) if (name !== 'prompt_tokens' && name !== 'answer_tokens') put(`hokku_${name}_total`, 'counter', value);
	return scrape;
}
