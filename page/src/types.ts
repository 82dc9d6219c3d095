// What a conversation is. Its messages are a tree: editing and retrying make a branch, and nothing is lost.
export type Role = 'user' | 'assistant' | 'tool';

export interface Call {
	id: string;
	name: string;
	arguments: string;
}

export interface Message {
	id: string;
	parent: string | null;
	role: Role;
	content: string;
	at: number;
	reasoning?: string;
	calls?: Call[];
	callId?: string; // of a tool's result: the call that it answers
	name?: string; // of a tool's result: the tool
	model?: string;
	finish?: string; // of an answer: why it ended; not there while it is written
	error?: string;
	promptTokens?: number;
	cachedTokens?: number;
	tokens?: number;
	thinkingTokens?: number;
	firstMs?: number; // from the request to the first token
	writingMs?: number; // from the first token to the last
	thinkingMs?: number;
}

export interface Settings {
	temperature?: number;
	top_p?: number;
	top_k?: number;
	min_p?: number;
	repetition_penalty?: number;
	presence_penalty?: number;
	max_tokens?: number;
	seed?: number;
	stop?: string[];
	effort?: string;
	tools?: string; // JSON
}

export interface Conversation {
	id: string;
	title: string;
	created: number;
	updated: number;
	system: string;
	model: string;
	settings: Settings;
	messages: Record<string, Message>;
	leaf: string | null;
}

let last = 0;
export const newId = () => {
	const at = Math.max(Date.now(), last + 1); // in the order in which they were made
	last = at;
	return at.toString(36) + Math.random().toString(36).slice(2, 8);
};

export function newConversation(system = '', settings: Settings = {}, model = ''): Conversation {
	const now = Date.now();
	return { id: newId(), title: '', created: now, updated: now, system, model, settings: { ...settings }, messages: {}, leaf: null };
}

// From the first message to the one that is looked at.
export function pathOf(c: Conversation, to: string | null = c.leaf): Message[] {
	const path: Message[] = [];
	for (let m = to ? c.messages[to] : undefined; m && path.length < 100000; m = m.parent ? c.messages[m.parent] : undefined) path.push(m);
	return path.reverse();
}

export const childrenOf = (c: Conversation, parent: string | null): Message[] =>
	Object.values(c.messages)
		.filter((m) => m.parent === parent)
		.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));

// The end of the branch that was begun last below a message.
export function lastBelow(c: Conversation, id: string): string {
	for (;;) {
		const below = childrenOf(c, id).at(-1);
		if (!below) return id;
		id = below.id;
	}
}

export const titleOf = (c: Conversation) => c.title || 'New conversation';

export function titleFrom(text: string): string {
	const line = text.trim().split('\n', 1)[0]!.replace(/\s+/g, ' ').trim();
	return line.length > 60 ? `${line.slice(0, 59).trimEnd()}…` : line;
}
