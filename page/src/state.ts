// All that the page knows, and what changes it. Components read `state` and are drawn again after `changed()`.
import { useEffect, useReducer } from 'preact/hooks';
import * as api from './api';
import { buildMessages, buildRequest } from './request';
import * as db from './db';
import type { Conversation, Message, Settings } from './types';
import { lastBelow, newConversation, newId, titleFrom } from './types';

export interface Live {
	messageId: string;
	controller: AbortController;
	startedAt: number;
	firstAt: number;
	lastAt: number;
	thinkingAt: number;
	tokens: number;
}

export interface Prefs {
	theme: 'auto' | 'light' | 'dark';
	model: string;
	system: string;
	settings: Settings;
}

export const state = {
	ready: false,
	kept: true, // conversations outlive the page
	conversations: new Map<string, Conversation>(),
	current: newConversation(),
	live: new Map<string, Live>(), // by conversation
	models: [] as api.Model[],
	modelsError: '',
	health: null as Record<string, any> | null,
	unreachable: false,
	keyWanted: false,
	keyWrong: false,
	view: 'chat' as 'chat' | 'operators',
	notice: '',
	undo: null as null | (() => void),
	editing: '', // the id of a message
	said: '', // for screen readers
	prefs: { theme: 'auto', model: '', system: '', settings: {} } as Prefs,
};

const watchers = new Set<() => void>();
let asked = false;
export function changed() {
	if (asked) return;
	asked = true;
	const draw = () => {
		if (!asked) return;
		asked = false;
		cancelAnimationFrame(frame);
		clearTimeout(timer);
		for (const watcher of watchers) watcher();
	};
	// A page that is hidden, or covered, has no frames, and goes on all the same.
	const frame = requestAnimationFrame(draw);
	const timer = window.setTimeout(draw, 100);
}

export function useWatched() {
	const [, again] = useReducer((n: number) => n + 1, 0);
	useEffect(() => {
		watchers.add(again as () => void);
		return () => void watchers.delete(again as () => void);
	}, []);
	return state;
}

const prefsName = 'hokku.prefs';
export function loadPrefs() {
	try {
		const read = JSON.parse(localStorage.getItem(prefsName) ?? '{}');
		if (['auto', 'light', 'dark'].includes(read.theme)) state.prefs.theme = read.theme;
		if (typeof read.model === 'string') state.prefs.model = read.model;
		if (typeof read.system === 'string') state.prefs.system = read.system;
		if (typeof read.settings === 'object' && read.settings) state.prefs.settings = read.settings;
	} catch {
		/* as if there were none */
	}
	showTheme();
}

export function setPrefs(some: Partial<Prefs>) {
	Object.assign(state.prefs, some);
	try {
		localStorage.setItem(prefsName, JSON.stringify(state.prefs));
	} catch {
		/* kept as long as the page */
	}
	showTheme();
	changed();
}

function showTheme() {
	const { theme } = state.prefs;
	if (theme === 'auto') delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = theme;
}

export function tell(notice: string, undo: (() => void) | null = null) {
	state.notice = notice;
	state.undo = undo;
	changed();
}

// ---- keeping ----

const waiting = new Map<string, { timer: number; at: number }>();
let writing = 0;
export const unsaved = () => waiting.size + writing;
const others = 'BroadcastChannel' in window ? new BroadcastChannel('hokku') : null;

async function write(c: Conversation) {
	clearTimeout(waiting.get(c.id)?.timer);
	waiting.delete(c.id);
	writing++;
	try {
		await db.save(c);
		others?.postMessage(c.id);
	} catch (error) {
		if (state.kept) tell(`This browser does not keep the conversation: ${(error as Error).message}`);
		state.kept = false;
	}
	writing--;
	changed();
}

// Soon, and not more often than that: an answer that is written changes its conversation all the time.
export function keep(c: Conversation, afterMs = 400) {
	if (!state.conversations.has(c.id)) state.conversations.set(c.id, c);
	const at = performance.now() + afterMs;
	const before = waiting.get(c.id);
	if (!before || before.at > at) {
		clearTimeout(before?.timer);
		waiting.set(c.id, { timer: window.setTimeout(() => write(c), afterMs), at });
	}
	changed();
}

function keepNow() {
	for (const id of [...waiting.keys()]) {
		const c = state.conversations.get(id);
		if (c) write(c);
	}
}

// Another window of this page wrote a conversation, or deleted it.
async function onOther(id: string) {
	if (state.live.has(id) || waiting.has(id)) return;
	const read = await db.loadOne(id).catch(() => undefined);
	if (read) state.conversations.set(id, read);
	else state.conversations.delete(id);
	if (state.current.id === id && read) state.current = read;
	changed();
}

export async function begin() {
	loadPrefs();
	api.loadKey();
	api.whenKeyIsWanted(() => {
		state.keyWrong = api.hasKey();
		state.keyWanted = true;
		changed();
	});
	state.kept = await db.openBase();
	for (const c of state.kept ? await db.loadAll().catch(() => []) : []) state.conversations.set(c.id, c);
	if (!state.kept) state.notice = 'This browser keeps nothing here: conversations end with this page.';
	if (others) others.onmessage = (event) => onOther(String(event.data));
	window.addEventListener('pagehide', keepNow);
	document.addEventListener('visibilitychange', () => document.hidden && keepNow());
	window.addEventListener('hashchange', readHash);
	readHash();
	state.ready = true;
	changed();
	await loadModels();
	watchHealth();
}

// ---- which conversation ----

function readHash() {
	const [, kind, id] = location.hash.match(/^#\/(c|operators)(?:\/([\w-]+))?$/) ?? [];
	state.view = kind === 'operators' ? 'operators' : 'chat';
	const found = kind === 'c' && id ? state.conversations.get(id) : undefined;
	if (found) state.current = found;
	else if (kind !== 'operators' && state.conversations.has(state.current.id)) state.current = fresh();
	state.editing = '';
	changed();
}

const fresh = () => newConversation(state.prefs.system, state.prefs.settings, state.current?.model || state.prefs.model);

export function open(id: string) {
	location.hash = `#/c/${id}`;
	readHash();
}

export function openNew() {
	if (Object.keys(state.current.messages).length) state.current = fresh();
	if (location.hash) history.pushState(null, '', location.pathname + location.search);
	state.view = 'chat';
	state.editing = '';
	changed();
}

export function rename(c: Conversation, title: string) {
	c.title = title.trim().slice(0, 200);
	keep(c);
}

export function discard(c: Conversation) {
	state.live.get(c.id)?.controller.abort();
	clearTimeout(waiting.get(c.id)?.timer);
	waiting.delete(c.id);
	state.conversations.delete(c.id);
	db.remove(c.id)
		.then(() => others?.postMessage(c.id))
		.catch(() => {});
	if (state.current.id === c.id) openNew();
	tell(`“${c.title || 'New conversation'}” was deleted.`, () => {
		keep(c, 0);
		open(c.id);
		tell('');
	});
}

export function take(all: Conversation[]) {
	for (const c of all) {
		if (state.conversations.has(c.id)) c.id = newId(); // beside the one that is here
		keep(c, 0);
	}
	if (all[0]) open(all[0].id);
	tell(all.length === 1 ? 'One conversation was imported.' : `${all.length} conversations were imported.`);
}

// ---- the server ----

export const modelOf = (c: Conversation) => {
	const has = (id: string) => state.models.some((m) => m.id === id);
	return has(c.model) ? c.model : has(state.prefs.model) ? state.prefs.model : (state.models[0]?.id ?? '');
};

export const contextOf = (c: Conversation): number => {
	const m = state.models.find((one) => one.id === modelOf(c));
	return m?.meta?.n_ctx ?? m?.max_model_len ?? state.health?.n_ctx ?? 0;
};

export async function loadModels() {
	try {
		state.models = await api.models();
		state.modelsError = '';
		state.keyWanted = state.keyWrong = false;
	} catch (error) {
		state.modelsError = (error as Error).message;
	}
	changed();
}

export interface Hosted {
	name: string;
	state: string;
	bytes: number; // 0: it takes none now
	progress: number;
}

// What /health tells of several models; none where one is served.
export function hostedModels(): Hosted[] {
	const all = state.health?.models;
	if (!Array.isArray(all)) return [];
	return all
		.filter((m) => typeof m?.model === 'string' || typeof m?.name === 'string')
		.map((m) => ({ name: String(m.model ?? m.name), state: typeof m.state === 'string' ? m.state : '', bytes: Number(m.bytes) || 0, progress: Number(m.progress) || 0 }));
}

let healthTimer = 0;
export async function watchHealth() {
	clearTimeout(healthTimer);
	if (!document.hidden) {
		try {
			state.health = await api.health();
			state.unreachable = false;
			for (const m of hostedModels()) {
				const known = state.models.find((one) => one.id === m.name);
				if (known && m.state) known.state = m.state;
			}
			if (state.health?.status === 'ok' && !state.models.length && !state.keyWanted) await loadModels();
		} catch {
			state.unreachable = true;
		}
		changed();
	}
	const soon = state.live.size > 0 || state.unreachable || state.health?.status !== 'ok';
	healthTimer = window.setTimeout(watchHealth, soon ? 500 : 2000);
}

// Of several models some are in memory only when they are asked; that is not to be done by counting.
export const isLoaded = (c: Conversation): boolean => {
	const m = state.models.find((one) => one.id === modelOf(c));
	return !!m && (typeof m.state !== 'string' || m.state === 'loaded');
};

// ---- talking ----

function add(c: Conversation, m: Omit<Message, 'id' | 'at'>): Message {
	const made: Message = { ...m, id: newId(), at: Date.now() };
	c.messages[made.id] = made;
	c.leaf = made.id;
	c.updated = made.at;
	return made;
}

export function send(text: string) {
	const c = state.current;
	if (state.live.has(c.id) || !text.trim()) return;
	const parent = c.leaf;
	add(c, { parent, role: 'user', content: text });
	c.title ||= titleFrom(text);
	c.model = modelOf(c);
	keep(c, 0);
	if (location.hash !== `#/c/${c.id}`) history.pushState(null, '', `#/c/${c.id}`);
	answer(c);
}

// Another answer beside this one.
export function retry(m: Message) {
	const c = state.current;
	if (state.live.has(c.id)) return;
	c.leaf = m.parent;
	answer(c);
}

// A changed message beside the old one; of the user's a new answer is asked for.
export function edit(m: Message, content: string) {
	const c = state.current;
	if (state.live.has(c.id)) return;
	state.editing = '';
	add(c, { parent: m.parent, role: m.role, content, ...(m.role === 'assistant' ? { finish: 'edited', model: m.model } : {}) });
	keep(c);
	if (m.role === 'user') answer(c);
}

export function answerCalls(m: Message, results: string[]) {
	const c = state.current;
	if (state.live.has(c.id)) return;
	for (const [i, call] of (m.calls ?? []).entries()) add(c, { parent: c.leaf, role: 'tool', content: results[i] ?? '', callId: call.id, name: call.name });
	keep(c);
	answer(c);
}

export function turnTo(id: string) {
	state.current.leaf = lastBelow(state.current, id);
	state.editing = '';
	keep(state.current);
}

export const stop = (c: Conversation = state.current) => state.live.get(c.id)?.controller.abort();

function takeChunk(c: Conversation, live: Live, chunk: api.Chunk) {
	const old = c.messages[live.messageId];
	if (!old) return;
	const m = { ...old };
	const now = performance.now();
	const choice = chunk.choices?.[0];
	const delta = choice?.delta;
	const calls = delta?.tool_calls ?? [];
	if (delta?.reasoning_content) m.reasoning = (m.reasoning ?? '') + delta.reasoning_content;
	if (delta?.content) m.content += delta.content;
	for (const piece of calls) {
		m.calls = [...(m.calls ?? [])];
		const call = { ...(m.calls[piece.index] ?? { id: '', name: '', arguments: '' }) };
		if (piece.id) call.id = piece.id;
		if (piece.function?.name) call.name = piece.function.name;
		call.arguments += piece.function?.arguments ?? '';
		m.calls[piece.index] = call;
	}
	if (delta && (delta.content || delta.reasoning_content || calls.length)) {
		live.tokens++; // until the server has counted
		live.firstAt ||= now;
		live.lastAt = now;
		if (delta.reasoning_content) {
			live.thinkingAt ||= now;
			m.thinkingTokens = (m.thinkingTokens ?? 0) + 1;
			m.thinkingMs = now - live.thinkingAt;
		}
	}
	if (chunk.model && !m.model) m.model = chunk.model;
	if (choice?.finish_reason) m.finish = choice.finish_reason;
	if (chunk.usage) {
		m.promptTokens = chunk.usage.prompt_tokens;
		m.tokens = chunk.usage.completion_tokens;
		m.cachedTokens = chunk.usage.prompt_tokens_details?.cached_tokens;
		if (chunk.usage.completion_tokens_details?.reasoning_tokens) m.thinkingTokens = chunk.usage.completion_tokens_details.reasoning_tokens;
	}
	for (const warning of chunk.warnings ?? []) tell(warning);
	c.messages[m.id] = m;
	keep(c, 1000);
}

function end(c: Conversation, live: Live, error: Error | null) {
	const m = { ...c.messages[live.messageId]! };
	state.live.delete(c.id);
	m.tokens ??= live.tokens;
	if (live.firstAt) m.firstMs = live.firstAt - live.startedAt;
	if (live.firstAt) m.writingMs = live.lastAt - live.firstAt;
	if (error?.name === 'AbortError') m.finish = 'stopped';
	else if (error) m.error = error.message;
	m.calls = m.calls?.filter((call) => call);
	if (!m.calls?.length) delete m.calls;
	if (m.error) delete m.finish;
	else m.finish ??= 'stop';
	c.messages[m.id] = m;
	state.said = m.error ? `The answer failed: ${m.error}` : `Answer ${m.finish === 'stopped' ? 'stopped' : 'complete'}, ${m.tokens} tokens.`;
	c.updated = Date.now();
	keep(c, 0);
	watchHealth();
	if (state.models.some((one) => typeof one.state === 'string')) loadModels(); // another may be loaded now
}

async function answer(c: Conversation) {
	const messages = buildMessages(c);
	const model = modelOf(c);
	const m = add(c, { parent: c.leaf, role: 'assistant', content: '', model });
	const now = performance.now();
	const live: Live = { messageId: m.id, controller: new AbortController(), startedAt: now, firstAt: 0, lastAt: 0, thinkingAt: 0, tokens: 0 };
	state.live.set(c.id, live);
	state.said = 'The answer is being written.';
	tell('');
	try {
		await api.chat(buildRequest(c, messages, model), live.controller.signal, (chunk) => takeChunk(c, live, chunk));
		end(c, live, null);
	} catch (error) {
		end(c, live, error as Error);
	}
}
