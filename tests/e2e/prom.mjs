// Reads Prometheus' text format 0.0.4, strictly: what a scraper would refuse or pass over is an error here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const nameOfLabel = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

function labelsOf(text) {
	const labels = {};
	let rest = text ?? '';
	while (rest) {
		const match = rest.match(/^([^=]+)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/);
		assert.ok(match, `labels ${text}`);
		assert.match(match[1], nameOfLabel);
		assert.ok(!(match[1] in labels), `${match[1]} twice in ${text}`);
		labels[match[1]] = match[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
		rest = rest.slice(match[0].length);
		assert.ok(!(match[3] === ',' && !rest), `a comma at the end of ${text}`);
	}
	return labels;
}

const keyOf = (name, labels) => `${name} ${JSON.stringify(Object.entries(labels).sort())}`;

// [{name, type, help, samples: [{name, labels, value}]}] by the family's name.
export function parse(text) {
	assert.ok(text.endsWith('\n'));
	const families = new Map(), seen = new Set();
	let family;
	for (const line of text.slice(0, -1).split('\n')) {
		const help = line.match(/^# HELP (\S+) (.+)$/), type = line.match(/^# TYPE (\S+) (counter|gauge|histogram)$/);
		if (help) {
			assert.ok(!families.has(help[1]), `${help[1]} comes twice`);
			families.set(help[1], (family = { name: help[1], help: help[2], samples: [] }));
			continue;
		}
		if (type) {
			assert.equal(type[1], family.name);
			family.type = type[2];
			continue;
		}
		const match = line.match(sampleLine);
		assert.ok(match, line);
		const [, name, inside, number] = match, labels = labelsOf(inside);
		const value = number === '+Inf' ? Infinity : Number(number);
		assert.ok(!Number.isNaN(value), line);
		const base = family.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name;
		assert.equal(base, family.name, line);
		assert.ok(!seen.has(keyOf(name, labels)), `${line} comes twice`);
		seen.add(keyOf(name, labels));
		family.samples.push({ name, labels, value });
	}
	for (const f of families.values()) if (f.type === 'histogram') checkHistogram(f);
	return families;
}

function checkHistogram(family) {
	const series = new Map();
	for (const { name, labels, value } of family.samples) {
		const { le, ...rest } = labels, key = JSON.stringify(rest);
		if (!series.has(key)) series.set(key, { buckets: [] });
		const s = series.get(key);
		if (name.endsWith('_bucket')) s.buckets.push([le === '+Inf' ? Infinity : Number(le), value]);
		else s[name.slice(family.name.length + 1)] = value;
	}
	for (const { buckets, count, sum } of series.values()) {
		assert.ok(buckets.every(([le, n], i) => i === 0 || (le > buckets[i - 1][0] && n >= buckets[i - 1][1])), family.name);
		assert.equal(buckets.at(-1)[0], Infinity);
		assert.equal(buckets.at(-1)[1], count, family.name);
		assert.ok(sum >= 0);
	}
}

// The sum of a family's samples (suffix: "_count" ... of a histogram) with these labels.
export function sum(families, name, labels = {}, suffix = '') {
	const family = families.get(name);
	assert.ok(family, `there is no ${name}`);
	const found = family.samples.filter((s) => s.name === name + suffix && Object.entries(labels).every(([k, v]) => s.labels[k] === v));
	return found.reduce((all, s) => all + s.value, 0);
}

// A program of a Debian package, from the PATH or where ./do unpacked it (build/tools): a function that runs it, with its path and environment; undefined: it is not there.
export function tool(name) {
	const root = new URL('../../build/tools/', import.meta.url).pathname;
	const unpacked = ['usr/bin', 'usr/sbin'].map((dir) => `${root}${dir}/${name}`).find((path) => existsSync(path));
	const path = unpacked ?? spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } }).stdout.trim();
	if (!path) return undefined;
	const libraries = !unpacked ? [] : readdirSync(`${root}usr/lib/`, { withFileTypes: true }).filter((d) => d.isDirectory()).map((d) => `${root}usr/lib/${d.name}`);
	const env = unpacked ? { ...process.env, LD_LIBRARY_PATH: libraries.join(':') } : process.env;
	const run = (args, options) => {
		const { status, stdout, stderr, error } = spawnSync(path, args, { encoding: 'utf8', env, ...options });
		assert.ifError(error);
		return { status, text: stdout + stderr };
	};
	return Object.assign(run, { path, env });
}
