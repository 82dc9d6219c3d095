// What the context holds and how full it is: a bar of pieces, one a message, and the same as a list.
import { useEffect, useRef, useState } from 'preact/hooks';
import * as api from './api';
import { buildMessages, isSaid, toolsOf } from './request';
import { contextOf, isLoaded, modelOf, state } from './state';
import type { Conversation, Message } from './types';
import { pathOf } from './types';
import { count, percent, tokens } from './words';

export interface Piece {
	id: string;
	kind: 'system' | 'user' | 'assistant' | 'tool' | 'marks' | 'draft';
	label: string;
	excerpt: string;
	n: number;
}

const known = new Map<string, number>(); // tokens by model and text
let counts = true; // until the server does not

async function lengthOf(text: string, model: string): Promise<number> {
	if (!text) return 0;
	const name = `${model}\n${text}`;
	const n = known.get(name);
	if (n !== undefined) return n;
	if (known.size > 5000) known.clear();
	const counted = await api.countText(text, model);
	known.set(name, counted);
	return counted;
}

let newest = { asked: '', n: 0 }; // who writes on asks for the same again and again

async function lengthOfPrompt(body: unknown): Promise<number> {
	const asked = JSON.stringify(body);
	if (newest.asked !== asked) newest = { asked, n: await api.countPrompt(body) };
	return newest.n;
}

const textOf = (m: Message) => m.content + (m.calls ?? []).map((c) => c.name + c.arguments).join('');
const labels = { user: 'You', assistant: 'Answer', tool: 'Result of a tool' };
const excerptOf = (text: string) => text.trim().replace(/\s+/g, ' ').slice(0, 80);

async function measure(c: Conversation, draft: string): Promise<Piece[]> {
	const model = modelOf(c);
	const pieces: Piece[] = [];
	if (c.system.trim()) pieces.push({ id: '', kind: 'system', label: 'System prompt', excerpt: excerptOf(c.system), n: await lengthOf(c.system, model) });
	const path = pathOf(c).filter(isSaid);
	for (const m of path) pieces.push({ id: m.id, kind: m.role, label: labels[m.role], excerpt: excerptOf(textOf(m)), n: await lengthOf(textOf(m), model) });
	const messages = buildMessages(c);
	if (messages.length) {
		let tools: unknown[] | undefined;
		try {
			tools = toolsOf(c.settings.tools);
		} catch {
			/* said where it is written */
		}
		const all = await lengthOfPrompt({ messages, ...(model ? { model } : {}), ...(tools ? { tools } : {}), ...(c.settings.effort ? { reasoning_effort: c.settings.effort } : {}) });
		const marks = all - pieces.reduce((sum, p) => sum + p.n, 0);
		if (marks > 0) pieces.push({ id: '', kind: 'marks', label: tools ? 'Template and tools' : 'Template', excerpt: 'marks between the messages', n: marks });
	}
	if (draft.trim()) pieces.push({ id: '', kind: 'draft', label: 'Being written', excerpt: excerptOf(draft), n: await lengthOf(draft, model) });
	return pieces;
}

// Measured anew a moment after something has changed; while an answer is written its own piece grows.
export function usePieces(c: Conversation, draft: string): Piece[] {
	const [pieces, setPieces] = useState<Piece[]>([]);
	const live = state.live.get(c.id);
	const loaded = isLoaded(c);
	const stamp = `${c.id} ${c.leaf} ${!!live} ${c.system.length} ${c.settings.tools?.length} ${c.settings.effort} ${modelOf(c)} ${draft} ${Object.keys(c.messages).length}`;
	const newest = useRef('');
	useEffect(() => {
		newest.current = stamp;
		if (!counts || live || !loaded) return;
		const timer = setTimeout(async () => {
			try {
				const found = await measure(c, draft);
				if (newest.current === stamp) setPieces(found);
			} catch (error) {
				const status = (error as api.ApiError).status;
				if (status === 404 || status === 405) counts = false; // this server does not count
			}
		}, 250);
		return () => clearTimeout(timer);
	}, [stamp, loaded]);
	if (!live) return pieces;
	const rest = pieces.filter((p) => p.id !== live.messageId && p.kind !== 'draft');
	return [...rest, { id: live.messageId, kind: 'assistant', label: 'Answer', excerpt: 'being written', n: live.tokens }];
}

function goTo(id: string) {
	const found = id && document.getElementById(`m-${id}`);
	if (!found) return;
	found.scrollIntoView({ block: 'start', behavior: 'auto' });
	found.focus();
}

export function ContextBar({ pieces, c }: { pieces: Piece[]; c: Conversation }) {
	const [open, setOpen] = useState(false);
	const size = contextOf(c);
	const used = pieces.reduce((sum, p) => sum + p.n, 0);
	if (!size) return null;
	const full = used / size;
	const most = Math.max(1, ...pieces.map((p) => p.n));
	const said = `${count(used)} / ${count(size)} tokens, ${percent(used, size)} full`;
	return (
		<div class={`context${full > 0.95 ? ' full' : full > 0.8 ? ' nearly' : ''}`}>
			<button type="button" class="context-bar" aria-expanded={open} aria-controls="context-list" onClick={() => setOpen(!open)} aria-label={`${said}: the context. ${open ? 'Hide' : 'Show'} what it holds`}>
				<span class="track" aria-hidden="true">
					{pieces.map((p, i) => (
						<span key={p.id || p.kind + i} class={`piece ${p.kind}`} title={`${p.label}: ${tokens(p.n)}`} style={{ width: `${(100 * p.n) / Math.max(size, used)}%` }} />
					))}
				</span>
				<span class="context-said">
					{count(used)} / {count(size)}
				</span>
			</button>
			{open && (
				<ol id="context-list" class="context-list">
					{pieces.map((p, i) => (
						<li key={p.id || p.kind + i}>
							<button type="button" disabled={!p.id} onClick={() => goTo(p.id)}>
								<span class={`swatch ${p.kind}`} aria-hidden="true" />
								<span class="what">
									{p.label} <em>{p.excerpt}</em>
								</span>
								<span class="amount" aria-hidden="true">
									<span class={`piece ${p.kind}`} style={{ width: `${(100 * p.n) / most}%` }} />
								</span>
								<span class="number">{count(p.n)}</span>
							</button>
						</li>
					))}
					<li class="left">
						{full >= 1 ? 'Nothing is left: an answer will be refused.' : `${count(size - used)} left`} · {percent(used, size)} full
					</li>
				</ol>
			)}
		</div>
	);
}
