// What the server is asked of a conversation.
import type { Conversation, Message } from './types';
import { pathOf } from './types';

function wire(m: Message): Record<string, unknown> {
	if (m.role === 'tool') return { role: 'tool', content: m.content, tool_call_id: m.callId ?? '', ...(m.name ? { name: m.name } : {}) };
	if (m.role === 'user') return { role: 'user', content: m.content };
	return {
		role: 'assistant',
		content: m.content,
		...(m.reasoning ? { reasoning_content: m.reasoning } : {}),
		...(m.calls ? { tool_calls: m.calls.map((c) => ({ id: c.id, type: 'function', function: { name: c.name, arguments: c.arguments || '{}' } })) } : {}),
	};
}

// An answer that failed before it said anything is no part of the conversation.
export const isSaid = (m: Message) => m.role !== 'assistant' || m.content !== '' || !!m.calls;

export function buildMessages(c: Conversation): Record<string, unknown>[] {
	const said = pathOf(c).filter(isSaid).map(wire);
	return c.system.trim() ? [{ role: 'system', content: c.system }, ...said] : said;
}

export function toolsOf(text: string | undefined): unknown[] | undefined {
	if (!text?.trim()) return undefined;
	const value = JSON.parse(text);
	const list = Array.isArray(value) ? value : [value];
	return list.map((one) => (one && typeof one === 'object' && !('type' in one) && 'name' in one ? { type: 'function', function: one } : one));
}

export function buildRequest(c: Conversation, messages: unknown[], model: string): Record<string, unknown> {
	const { tools, effort, stop, ...numbers } = c.settings;
	return {
		...(model ? { model } : {}),
		messages,
		stream: true,
		stream_options: { include_usage: true },
		...numbers,
		...(stop?.length ? { stop } : {}),
		...(effort ? { reasoning_effort: effort } : {}),
		...(tools?.trim() ? { tools: toolsOf(tools) } : {}),
	};
}
