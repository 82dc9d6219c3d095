// Every wait of a test has a limit: what did not come is told by its name, where else the whole program would be ended, minutes later, without a word.
export const patience = 120000; // ms; no promise of speed, so that it also holds under a sanitizer beside other work

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// promise, or an error that names what it was waited for.
export function within(promise, what, ms = patience) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Asks again and again; how many ms it took.
export async function until(condition, timeoutMs, what) {
	const start = performance.now();
	while (!(await condition())) {
		if (performance.now() - start > timeoutMs) throw new Error(`waited ${timeoutMs} ms for ${what}`);
		await sleep(5);
	}
	return performance.now() - start;
}

// { code, signal } of a child that has not ended yet. One that does not end is killed, for the test's process would wait for it.
export function ended(child, what = child.spawnargs?.join(' ') ?? 'a process') {
	const closed = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal })));
	return within(closed, `the end of ${what}`).catch((error) => {
		child.kill('SIGKILL');
		throw error;
	});
}
