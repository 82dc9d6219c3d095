// Numbers as people read them.
export const count = (n: number) => n.toLocaleString('en-US');
export const tokens = (n: number) => `${count(n)} ${n === 1 ? 'token' : 'tokens'}`;

export function seconds(ms: number): string {
	if (ms < 10) return `${ms.toFixed(1)} ms`;
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
	return `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

export function bytes(n: number): string {
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
	let i = 0;
	for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
	return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

export function short(n: number): string {
	if (!Number.isFinite(n)) return '–';
	const a = Math.abs(n);
	if (a >= 1e9) return `${+(n / 1e9).toPrecision(3)}G`;
	if (a >= 1e6) return `${+(n / 1e6).toPrecision(3)}M`;
	if (a >= 1e4) return `${+(n / 1e3).toPrecision(3)}k`;
	return `${+n.toPrecision(3)}`;
}

// Of n tokens that came within so long after the first; what came all at once says nothing of how fast it was written.
export const rate = (n: number, ms: number) => (n > 1 && ms >= 50 ? `${short(((n - 1) * 1000) / ms)} tokens/s` : '');

export const percent = (part: number, of: number) => {
	const p = of > 0 ? (100 * part) / of : 0;
	return `${p < 10 ? p.toFixed(1) : Math.round(p)}%`;
};
