// One message: what was said, what was thought, which tools are called; what can be done with it.
import { useEffect, useRef, useState } from 'preact/hooks';
import { IconButton } from './icons';
import { Code, copyText, Markdown } from './markdown';
import { memo } from './memo';
import type { Live } from './state';
import { answerCalls, changed, edit, retry, state, turnTo } from './state';
import type { Call, Message } from './types';
import { childrenOf } from './types';
import { count, rate, seconds, tokens } from './words';

function Branches({ m }: { m: Message }) {
	const all = childrenOf(state.current, m.parent);
	if (all.length < 2) return null;
	const at = all.findIndex((one) => one.id === m.id);
	const busy = state.live.has(state.current.id);
	const to = (i: number) => () => all[i] && turnTo(all[i]!.id);
	return (
		<span class="branches" role="group" aria-label="Branches">
			<IconButton icon="left" label="Branch before" onClick={to(at - 1)} disabled={busy || at === 0} />
			<span>
				{at + 1}/{all.length}
			</span>
			<IconButton icon="right" label="Branch after" onClick={to(at + 1)} disabled={busy || at === all.length - 1} />
		</span>
	);
}

function Editor({ m }: { m: Message }) {
	const area = useRef<HTMLTextAreaElement>(null);
	const [text, setText] = useState(m.content);
	const close = () => {
		state.editing = '';
		changed();
		requestAnimationFrame(() => document.getElementById(`m-${m.id}`)?.focus());
	};
	useEffect(() => {
		const a = area.current!;
		a.focus();
		a.setSelectionRange(a.value.length, a.value.length);
	}, []);
	const onKey = (event: KeyboardEvent) => {
		if (event.key === 'Escape') {
			event.stopPropagation();
			close();
		} else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
			edit(m, text);
		}
	};
	return (
		<form
			class="editor"
			onSubmit={(event) => {
				event.preventDefault();
				edit(m, text);
			}}
		>
			<textarea ref={area} aria-label="The message, to be changed" value={text} rows={Math.min(16, text.split('\n').length + 1)} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={onKey} />
			<p>
				<button type="submit" class="strong">
					{m.role === 'user' ? 'Send as a new branch' : 'Keep as a new branch'}
				</button>
				<button type="button" onClick={close}>
					Leave as it was
				</button>
			</p>
		</form>
	);
}

function Thinking({ m, live }: { m: Message; live: boolean }) {
	if (!m.reasoning) return null;
	const still = live && !m.content && !m.calls;
	const said = [still ? 'Thinking' : 'Thought', m.thinkingMs && m.thinkingMs >= 100 ? `for ${seconds(m.thinkingMs)}` : ''].filter(Boolean).join(' ');
	return (
		<details class="thinking">
			<summary>
				<span class={still ? 'breathing' : undefined}>{said}</span>
				{m.thinkingTokens ? <span class="quiet"> · {tokens(m.thinkingTokens)}</span> : null}
			</summary>
			<Markdown text={m.reasoning} growing={still} />
		</details>
	);
}

function pretty(text: string): string {
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

function CallView({ call, growing }: { call: Call; growing: boolean }) {
	return (
		<div class="call">
			<p class="call-name">
				calls <code>{call.name || '…'}</code>
			</p>
			<Code code={growing ? call.arguments : pretty(call.arguments || '{}')} language="json" growing={growing} />
		</div>
	);
}

// What the tools gave, typed by whoever talks: nothing is run here.
function Results({ m }: { m: Message }) {
	const calls = m.calls ?? [];
	const [results, setResults] = useState(calls.map(() => ''));
	return (
		<form
			class="results"
			onSubmit={(event) => {
				event.preventDefault();
				answerCalls(m, results);
			}}
		>
			{calls.map((call, i) => (
				<label key={call.id}>
					Result of {call.name}
					<textarea rows={2} value={results[i]} onInput={(e) => setResults(results.map((r, j) => (j === i ? e.currentTarget.value : r)))} />
				</label>
			))}
			<button type="submit" class="strong">
				Send {calls.length === 1 ? 'the result' : 'the results'}
			</button>
		</form>
	);
}

const endings: Record<string, string> = {
	length: 'cut at its limit of tokens',
	stopped: 'stopped',
	edited: 'edited',
	content_filter: 'ended by a filter',
};

function Figures({ m, live }: { m: Message; live?: Live }) {
	if (live) {
		const now = live.lastAt - live.firstAt;
		return (
			<span class="figures" data-live>
				{live.tokens ? `${tokens(live.tokens)}${rate(live.tokens, now) && ` · ${rate(live.tokens, now)}`}` : 'waiting for the first token'}
			</span>
		);
	}
	const speed = m.tokens && m.writingMs ? rate(m.tokens, m.writingMs) : '';
	const took = m.firstMs && !speed ? ` in ${seconds(m.firstMs + (m.writingMs ?? 0))}` : '';
	const parts = [
		m.tokens !== undefined ? tokens(m.tokens) + took : '',
		speed,
		m.firstMs && speed ? `first after ${seconds(m.firstMs)}` : '',
		m.cachedTokens ? `${count(m.cachedTokens)} of ${count(m.promptTokens ?? 0)} remembered` : '',
		m.finish ? (endings[m.finish] ?? '') : '',
	].filter(Boolean);
	return <span class="figures">{parts.join(' · ')}</span>;
}

function Copy({ text }: { text: string }) {
	const [copied, setCopied] = useState(false);
	return <IconButton icon="copy" label={copied ? 'Copied' : 'Copy the message'} onClick={async () => setCopied(await copyText(text))} />;
}

const whoIs = (m: Message) => (m.role === 'user' ? 'You' : m.role === 'tool' ? `Result of ${m.name || 'a tool'}` : m.model || 'Answer');

interface MessageProps {
	m: Message;
	live?: Live;
	isLast: boolean;
	editing: boolean;
	busy: boolean;
	siblings: number;
	drawn?: number; // while it is live: figures change with time
}

export const MessageView = memo(({ m, live, isLast, editing, busy }: MessageProps) => {
	const startEdit = () => {
		state.editing = m.id;
		changed();
	};
	return (
		<article id={`m-${m.id}`} class={`message ${m.role}${live ? ' live' : ''}`} tabIndex={-1} aria-label={whoIs(m)} aria-busy={!!live}>
			<h2>{whoIs(m)}</h2>
			{editing ? (
				<Editor m={m} />
			) : (
				<>
					<Thinking m={m} live={!!live} />
					{m.role === 'assistant' ? m.content && <Markdown text={m.content} growing={!!live} /> : <p class="as-is">{m.content}</p>}
					{m.calls?.map((call, i) => (
						<CallView key={i} call={call} growing={!!live && i === m.calls!.length - 1} />
					))}
					{live && !m.content && !m.reasoning && !m.calls && <p class="waiting" aria-hidden="true" />}
					{m.error && (
						<p class="error" role="alert">
							{m.error}
						</p>
					)}
					{m.calls && isLast && !live && !m.error && <Results m={m} />}
				</>
			)}
			<footer>
				{m.role === 'assistant' && <Figures m={m} live={live} />}
				{!live && !editing && (
					<span class="acts">
						<Branches m={m} />
						{m.content && <Copy text={m.content} />}
						{m.role !== 'tool' && <IconButton icon="pen" label="Edit as a new branch" onClick={startEdit} disabled={busy} />}
						{m.role === 'assistant' && <IconButton icon="again" label="Another answer" onClick={() => retry(m)} disabled={busy} />}
					</span>
				)}
			</footer>
		</article>
	);
});
