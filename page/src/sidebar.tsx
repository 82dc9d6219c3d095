// Conversations: found, opened, taken in and out; below them what the server holds in memory.
import { useRef, useState } from 'preact/hooks';
import { IconButton, Seal } from './icons';
import { discard, hostedModels, open, openNew, state, take, tell } from './state';
import { download, exportText, fileName, importText, maxFileBytes } from './transfer';
import type { Conversation } from './types';
import { titleOf } from './types';
import { bytes } from './words';

function dayOf(at: number): string {
	const day = (t: number) => new Date(t).setHours(0, 0, 0, 0);
	const ago = Math.round((day(Date.now()) - day(at)) / 86400000);
	if (ago <= 0) return 'Today';
	if (ago === 1) return 'Yesterday';
	if (ago < 7) return 'This week';
	return new Date(at).toLocaleDateString('en-US', { month: 'long', year: 'numeric' });
}

const has = (c: Conversation, words: string) =>
	titleOf(c).toLowerCase().includes(words) || Object.values(c.messages).some((m) => m.content.toLowerCase().includes(words));

// Each class has its colour, and models have them by turns.
const classes = ['weights', 'kv', 'scratch', 'graphs', 'runtime'];
const shade = (name: string, i: number) => (classes.includes(name) ? name : classes[i % classes.length]!);

export function Memory() {
	const resident: Record<string, number> = state.health?.resident_bytes ?? Object.fromEntries(hostedModels().map((m) => [m.name, m.bytes]));
	const parts = Object.entries(resident).filter(([, n]) => n > 0);
	if (!parts.length) return null;
	const all = parts.reduce((sum, [, n]) => sum + n, 0);
	const places: { limit_bytes?: number }[] = Array.isArray(state.health?.memory) ? state.health.memory : [];
	const limit = places.every((p) => Number(p?.limit_bytes) > 0) ? places.reduce((sum, p) => sum + Number(p.limit_bytes), 0) : 0;
	const total = Math.max(all, state.health?.vram?.total_bytes ?? limit);
	const said = parts.map(([name, n]) => `${name} ${bytes(n)}`).join(', ');
	return (
		<div class="memory">
			<p id="memory-title">
				Memory <span>{total > all ? `${bytes(all)} of ${bytes(total)}` : bytes(all)}</span>
			</p>
			<div class="track" role="img" aria-label={`Memory: ${said}`}>
				{parts.map(([name, n], i) => (
					<span key={name} class={`part ${shade(name, i)}`} title={`${name}: ${bytes(n)}`} style={{ width: `${(100 * n) / total}%` }} />
				))}
			</div>
			<ul aria-hidden="true">
				{parts.map(([name, n], i) => (
					<li key={name}>
						<i class={`part ${shade(name, i)}`} />
						{name} {bytes(n)}
					</li>
				))}
			</ul>
		</div>
	);
}

export function Sidebar({ onPick, isMenu }: { onPick: () => void; isMenu: boolean }) {
	const [words, setWords] = useState('');
	const file = useRef<HTMLInputElement>(null);
	const wanted = words.trim().toLowerCase();
	const all = [...state.conversations.values()].filter((c) => !wanted || has(c, wanted)).sort((a, b) => b.updated - a.updated);
	const onFile = async (input: HTMLInputElement) => {
		const chosen = input.files?.[0];
		input.value = '';
		if (!chosen) return;
		try {
			if (chosen.size > maxFileBytes) throw new Error(`the file has ${bytes(chosen.size)}; ${bytes(maxFileBytes)} are the most`);
			take(importText(await chosen.text()));
			onPick();
		} catch (error) {
			tell(`Nothing was imported: ${(error as Error).message}.`);
		}
	};
	let day = '';
	return (
		<nav class="sidebar" aria-label="Conversations">
			<header>
				<Seal />
				<p class="name">hokku</p>
				<IconButton
					icon="plus"
					label="New conversation"
					onClick={() => {
						openNew();
						onPick();
						document.getElementById('write')?.focus();
					}}
				/>
				{isMenu && <IconButton icon="close" label="Hide the conversations" class="close-menu" onClick={onPick} />}
			</header>
			<input type="search" class="find" placeholder="Find" aria-label="Find a conversation" value={words} onInput={(e) => setWords(e.currentTarget.value)} />
			<div class="list">
				{all.length === 0 && state.ready && <p class="none">{wanted ? 'Nothing is found.' : 'No conversation yet.'}</p>}
				<ul>
					{all.map((c) => {
						const here = dayOf(c.updated);
						const first = here !== day;
						day = here;
						return (
							<li key={c.id} class={state.current.id === c.id && state.view === 'chat' ? 'here' : undefined}>
								{first && <h2>{here}</h2>}
								<div class="row">
									<button
										type="button"
										class="open"
										aria-current={state.current.id === c.id ? 'page' : undefined}
										onClick={() => {
											open(c.id);
											onPick();
										}}
									>
										{state.live.has(c.id) && <i class="dot" role="img" aria-label="being answered" />}
										{titleOf(c)}
									</button>
									<IconButton icon="trash" label={`Delete “${titleOf(c)}”`} onClick={() => discard(c)} class="drop" />
								</div>
							</li>
						);
					})}
				</ul>
			</div>
			<Memory />
			<footer>
				<button type="button" onClick={() => file.current?.click()}>
					Import
				</button>
				<button type="button" disabled={!state.conversations.size} onClick={() => download('hokku-conversations.json', 'application/json', exportText([...state.conversations.values()]))}>
					Export all
				</button>
				<input ref={file} type="file" accept="application/json,.json" class="unseen" tabIndex={-1} aria-hidden="true" onChange={(e) => onFile(e.currentTarget)} />
			</footer>
		</nav>
	);
}

export const exportOne = (c: Conversation) => download(`${fileName(titleOf(c))}.json`, 'application/json', exportText([c]));
