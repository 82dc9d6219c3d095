// The server that this page came from, and nobody else: every address is relative to the page's own.
import { eventsOf } from './sse';

export class ApiError extends Error {
	constructor(
		message: string,
		readonly status: number,
	) {
		super(message);
	}
}

// Behind --api-prefix /llm the page is at /llm and at /llm/.
const at = (path: string) => (location.pathname.endsWith('/') ? path : `${location.pathname.split('/').at(-1)}/${path}`);

let key = '';
const keyName = 'hokku.key';
const stores = () => [() => sessionStorage, () => localStorage];

export function loadKey() {
	for (const store of stores())
		try {
			key ||= store().getItem(keyName) ?? '';
		} catch {
			/* no store: the key lives as long as the page */
		}
	return key;
}

export function setKey(value: string, remember: boolean) {
	key = value;
	for (const [i, store] of stores().entries())
		try {
			if (value && (i === 0 || remember)) store().setItem(keyName, value);
			else store().removeItem(keyName);
		} catch {
			/* the same */
		}
}

export const hasKey = () => key !== '';

let onRefused = () => {};
export const whenKeyIsWanted = (then: () => void) => {
	onRefused = then;
};

async function errorOf(response: Response): Promise<ApiError> {
	const text = await response.text().catch(() => '');
	let message = '';
	try {
		const { error } = JSON.parse(text);
		message = typeof error === 'string' ? error : String(error?.message ?? '');
	} catch {
		message = text.trim().slice(0, 400);
	}
	return new ApiError(message || `the server answered ${response.status} ${response.statusText}`.trim(), response.status);
}

export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
	const headers = new Headers(init.headers);
	if (key) headers.set('Authorization', `Bearer ${key}`);
	if (init.body) headers.set('Content-Type', 'application/json');
	let response: Response;
	try {
		response = await fetch(at(path), { ...init, headers, credentials: 'omit', cache: 'no-store', redirect: 'error' });
	} catch (error) {
		if ((error as Error).name === 'AbortError') throw error;
		throw new ApiError('the server cannot be reached', 0);
	}
	if (response.status === 401) onRefused();
	if (!response.ok) throw await errorOf(response);
	return response;
}

export interface Model {
	id: string;
	max_model_len?: number;
	state?: string; // of several: loaded, loading, unloaded ...
	meta?: { n_ctx?: number; n_ctx_train?: number; n_params?: number; size?: number };
}

export async function models(): Promise<Model[]> {
	const { data } = await (await ask('v1/models')).json();
	return Array.isArray(data) ? data.filter((m) => typeof m?.id === 'string') : [];
}

// Of a server that is not ready too: its answer is 503 then.
export async function health(): Promise<Record<string, any>> {
	const response = await fetch(at('health'), { headers: key ? { Authorization: `Bearer ${key}` } : {}, credentials: 'omit', cache: 'no-store' });
	return response.json();
}

const post = (path: string, body: unknown, signal?: AbortSignal) => ask(path, { method: 'POST', body: JSON.stringify(body), signal });

export async function countPrompt(body: unknown): Promise<number> {
	return (await (await post('v1/chat/completions/input_tokens', body)).json()).input_tokens;
}

export async function countText(content: string, model: string): Promise<number> {
	return (await (await post('tokenize', model ? { content, model } : { content })).json()).tokens.length;
}

export interface Chunk {
	model?: string;
	choices?: {
		delta?: { content?: string | null; reasoning_content?: string | null; tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[] };
		finish_reason?: string | null;
	}[];
	usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens?: number }; completion_tokens_details?: { reasoning_tokens?: number } } | null;
	warnings?: string[];
	error?: { message?: string };
}

// Calls onChunk with each; throws where the stream ends before it has said that it is whole.
export async function chat(body: unknown, signal: AbortSignal, onChunk: (chunk: Chunk) => void): Promise<void> {
	const response = await post('v1/chat/completions', body, signal);
	if (!response.body) throw new ApiError('the answer has no body', response.status);
	try {
		for await (const data of eventsOf(response.body)) {
			if (data === '[DONE]') return;
			const chunk = JSON.parse(data) as Chunk;
			if (chunk.error) throw new ApiError(chunk.error.message ?? 'the server ended the answer with an error', 200);
			onChunk(chunk);
		}
	} catch (error) {
		if (error instanceof ApiError || (error as Error).name === 'AbortError') throw error;
		if (error instanceof SyntaxError) throw new ApiError('a piece of the answer is not JSON', 200);
	}
	throw new ApiError('the connection broke before the answer was whole', 0);
}
