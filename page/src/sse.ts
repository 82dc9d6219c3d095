// Server-sent events out of bytes that arrive in pieces of any size: yields what each event's data is.
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
	const reader = body.getReader();
	const decoder = new TextDecoder();
	let rest = '';
	let data: string[] = [];
	try {
		for (;;) {
			const { value, done } = await reader.read();
			rest += decoder.decode(value, { stream: !done });
			let from = 0;
			for (;;) {
				const end = rest.indexOf('\n', from);
				if (end < 0) break;
				const line = rest.slice(from, rest[end - 1] === '\r' ? end - 1 : end);
				from = end + 1;
				if (line === '') {
					if (data.length) yield data.join('\n');
					data = [];
				} else if (line.startsWith('data:')) {
					data.push(line.slice(line[5] === ' ' ? 6 : 5));
				}
			}
			rest = rest.slice(from);
			if (done) return; // an event that no blank line ends did not come whole
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}
