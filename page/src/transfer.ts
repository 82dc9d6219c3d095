// Import and export. Nothing of a file is believed: what is kept of it is built anew, field by field.
import type { Call, Conversation, Message, Settings } from './types';
import { newConversation, newId, pathOf, titleFrom, titleOf } from './types';

export const format = 'hokku-conversations';
export const maxFileBytes = 64 << 20;
const maxMessages = 100000;

type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown, most = 16 << 20) => (typeof value === 'string' ? value.slice(0, most) : '');
const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);
const isId = (value: unknown): value is string => typeof value === 'string' && /^[A-Za-z0-9][\w-]{0,63}$/.test(value);

function checkCalls(value: unknown): Call[] | undefined {
	if (!Array.isArray(value)) return undefined;
	const calls = value.filter(isFields).map((c) => {
		const f = isFields(c.function) ? c.function : c; // OpenAI's form, and ours
		return { id: text(c.id, 256), name: text(f.name, 256), arguments: text(f.arguments) };
	});
	return calls.length ? calls.slice(0, 128) : undefined;
}

const numbers = ['promptTokens', 'cachedTokens', 'tokens', 'thinkingTokens', 'firstMs', 'writingMs', 'thinkingMs'] as const;
const texts = ['reasoning', 'callId', 'name', 'model', 'finish', 'error'] as const;

function checkMessage(value: unknown, id: string): Message | undefined {
	if (!isFields(value) || (value.role !== 'user' && value.role !== 'assistant' && value.role !== 'tool')) return undefined;
	const m: Message = { id, parent: isId(value.parent) ? value.parent : null, role: value.role, content: text(value.content), at: number(value.at) ?? 0 };
	for (const name of texts) if (typeof value[name] === 'string') m[name] = text(value[name]);
	for (const name of numbers) if (number(value[name]) !== undefined) m[name] = number(value[name]);
	const calls = checkCalls(value.calls);
	if (calls) m.calls = calls;
	if (m.role === 'assistant' && m.finish === undefined && m.error === undefined) m.error = 'the page was closed before the answer ended';
	return m;
}

const settingNumbers = ['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'presence_penalty', 'max_tokens', 'seed'] as const;

export function checkSettings(value: unknown): Settings {
	const s: Settings = {};
	if (!isFields(value)) return s;
	for (const name of settingNumbers) if (number(value[name]) !== undefined) s[name] = number(value[name]);
	if (Array.isArray(value.stop)) s.stop = value.stop.filter((one): one is string => typeof one === 'string' && one !== '').slice(0, 16);
	for (const name of ['effort', 'tools'] as const) if (typeof value[name] === 'string' && value[name]) s[name] = text(value[name]);
	return s;
}

export function checkConversation(value: unknown): Conversation | undefined {
	if (!isFields(value) || !isId(value.id) || !isFields(value.messages)) return undefined;
	const c = newConversation(text(value.system), checkSettings(value.settings), text(value.model, 256));
	c.id = value.id;
	c.title = text(value.title, 200);
	c.created = number(value.created) ?? c.created;
	c.updated = number(value.updated) ?? c.updated;
	for (const [id, one] of Object.entries(value.messages).slice(0, maxMessages)) {
		const m = isId(id) ? checkMessage(one, id) : undefined;
		if (m) c.messages[id] = m;
	}
	// Every message hangs below one that is there, and none below itself.
	for (const m of Object.values(c.messages)) if (m.parent && !Object.hasOwn(c.messages, m.parent)) m.parent = null;
	const sound = new Set<string>();
	for (const m of Object.values(c.messages)) {
		const seen: Message[] = [];
		let at: Message | undefined = m;
		while (at && !sound.has(at.id) && !seen.includes(at)) {
			seen.push(at);
			at = at.parent ? c.messages[at.parent] : undefined;
		}
		if (at && !sound.has(at.id)) at.parent = null;
		for (const one of seen) sound.add(one.id);
	}
	c.leaf = isId(value.leaf) && Object.hasOwn(c.messages, value.leaf) ? value.leaf : (Object.values(c.messages).sort((a, b) => a.at - b.at).at(-1)?.id ?? null);
	return c;
}

// A list of messages as the APIs have them becomes a conversation of one branch.
function fromMessages(list: unknown[]): Conversation | undefined {
	const c = newConversation();
	for (const one of list.slice(0, maxMessages)) {
		if (!isFields(one)) return undefined;
		const parts = Array.isArray(one.content) ? one.content.filter(isFields).map((p) => text(p.text)) : [text(one.content)];
		const content = parts.join('');
		if (one.role === 'system' || one.role === 'developer') {
			c.system = c.system ? `${c.system}\n\n${content}` : content;
			continue;
		}
		const id = newId();
		const m = checkMessage({ ...one, content, reasoning: one.reasoning_content ?? one.reasoning, calls: one.tool_calls, callId: one.tool_call_id, parent: c.leaf, finish: 'stop', at: Date.now() }, id);
		if (!m) return undefined;
		c.messages[id] = m;
		c.leaf = id;
		if (m.role === 'user') c.title ||= titleFrom(content);
	}
	return c.leaf ? c : undefined;
}

export function importText(file: string): Conversation[] {
	let value: unknown;
	try {
		value = JSON.parse(file);
	} catch (error) {
		throw new Error(`the file is not JSON: ${(error as Error).message}`);
	}
	const list = Array.isArray(value) ? value : isFields(value) && Array.isArray(value.messages) ? value.messages : undefined;
	if (list) {
		const one = fromMessages(list);
		if (!one) throw new Error('the file is a list, but not one of messages: {"role": "user", "content": "..."} each');
		return [one];
	}
	if (!isFields(value) || value.format !== format || !Array.isArray(value.conversations))
		throw new Error(`the file is neither an export of this page ("format": "${format}") nor a list of messages`);
	const all = value.conversations.flatMap((one) => checkConversation(one) ?? []);
	if (!all.length) throw new Error('the file has no conversation in it');
	return all;
}

export const exportText = (all: Conversation[]) => `${JSON.stringify({ format, version: 1, conversations: all }, null, '\t')}\n`;

const who = (m: Message) => (m.role === 'user' ? 'You' : m.role === 'tool' ? `Result of ${m.name || 'a tool'}` : m.model || 'Assistant');

export function markdownOf(c: Conversation): string {
	const parts = [`# ${titleOf(c)}`];
	if (c.system) parts.push(`## System\n\n${c.system}`);
	for (const m of pathOf(c)) {
		parts.push(`## ${who(m)}`);
		if (m.content) parts.push(m.content);
		for (const call of m.calls ?? []) parts.push(`\`\`\`json\n${JSON.stringify({ call: call.name, arguments: call.arguments })}\n\`\`\``);
		if (m.error) parts.push(`*${m.error}*`);
	}
	return `${parts.join('\n\n')}\n`;
}

export function download(name: string, type: string, content: string) {
	const url = URL.createObjectURL(new Blob([content], { type }));
	const link = document.createElement('a');
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 10000);
}

export const fileName = (title: string) => title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60).toLowerCase() || 'conversation';
