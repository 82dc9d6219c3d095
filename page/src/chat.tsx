// The conversation and the field to write in.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ContextBar, usePieces } from './context';
import { Icon, Seal } from './icons';
import { MessageView } from './message';
import { changed, hostedModels, modelOf, send, state, stop } from './state';
import { childrenOf, pathOf } from './types';
import { rate, tokens } from './words';

const beginnings = [
	['A verse', 'Write a haiku about autumn rain.'],
	['A question', 'Why is the sky blue, and the evening red?'],
	['Some code', 'Write a C function that reverses a linked list, and say how it works.'],
];

function Welcome() {
	const name = modelOf(state.current);
	return (
		<div class="welcome">
			<Seal />
			<h2>{name || 'hokku'}</h2>
			<p>{state.models.length ? 'Say something. What is said here stays in this browser.' : state.keyWanted ? 'This server wants a key.' : 'Waiting for the model.'}</p>
			<ul>
				{beginnings.map(([label, text]) => (
					<li>
						<button type="button" onClick={() => send(text!)} disabled={!state.models.length}>
							<span>{label}</span>
							{text}
						</button>
					</li>
				))}
			</ul>
		</div>
	);
}

function Composer({ onDraft, draft }: { draft: string; onDraft: (text: string) => void }) {
	const area = useRef<HTMLTextAreaElement>(null);
	const c = state.current;
	const live = state.live.get(c.id);
	useEffect(() => {
		if (matchMedia('(hover: hover)').matches) area.current?.focus();
	}, [c.id]);
	useLayoutEffect(() => {
		const a = area.current!;
		a.style.height = 'auto';
		a.style.height = `${Math.min(a.scrollHeight + 2, innerHeight * 0.4)}px`;
	}, [draft]);
	const submit = () => {
		if (!draft.trim() || live || !state.models.length) return;
		send(draft);
		onDraft('');
		area.current?.focus();
	};
	const onKey = (event: KeyboardEvent) => {
		if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
			event.preventDefault();
			submit();
		}
	};
	return (
		<form
			class="composer"
			onSubmit={(event) => {
				event.preventDefault();
				submit();
			}}
		>
			<textarea id="write" ref={area} rows={1} value={draft} placeholder="Write a message" aria-label="Message" enterkeyhint="send" onInput={(e) => onDraft(e.currentTarget.value)} onKeyDown={onKey} />
			{live ? (
				<button type="button" class="send stop" aria-label="Stop the answer" title="Stop (Escape)" onClick={() => stop()}>
					<Icon name="stop" />
				</button>
			) : (
				<button type="submit" class="send" aria-label="Send" title="Send (Enter)" disabled={!draft.trim() || !state.models.length}>
					<Icon name="send" />
				</button>
			)}
		</form>
	);
}

const drafts = new Map<string, string>();

export function Chat() {
	const c = state.current;
	const [, again] = useState(0);
	const draft = drafts.get(c.id) ?? '';
	const onDraft = (text: string) => {
		if (text) drafts.set(c.id, text);
		else drafts.delete(c.id);
		again((n) => n + 1);
	};
	const path = pathOf(c);
	const live = state.live.get(c.id);
	const pieces = usePieces(c, draft);
	const scroller = useRef<HTMLDivElement>(null);
	const [atEnd, setAtEnd] = useState(true);
	const sticks = useRef(true);
	const toEnd = () => {
		sticks.current = true;
		const s = scroller.current;
		if (s) s.scrollTop = s.scrollHeight;
	};
	useLayoutEffect(() => {
		if (sticks.current) toEnd();
	});
	useLayoutEffect(toEnd, [c.id]);
	useEffect(() => {
		if (live) toEnd(); // who has sent something sees it
	}, [live?.messageId]);
	const onScroll = () => {
		const s = scroller.current!;
		const end = s.scrollHeight - s.scrollTop - s.clientHeight < 40;
		sticks.current = end;
		if (end !== atEnd) setAtEnd(end);
	};
	return (
		<main class="chat" id="main">
			<div class="scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="region" aria-label="Conversation">
				<div class="column">
					{path.length === 0 && (state.ready || !location.hash) && <Welcome />}
					{path.map((m, i) => (
						<MessageView
							key={m.id}
							m={m}
							live={live?.messageId === m.id ? live : undefined}
							drawn={live?.messageId === m.id ? live.tokens : 0}
							isLast={i === path.length - 1}
							editing={state.editing === m.id}
							busy={!!live}
							siblings={childrenOf(c, m.parent).length}
						/>
					))}
				</div>
			</div>
			{!atEnd && (
				<button type="button" class="to-end" onClick={toEnd} aria-label="To the newest">
					<Icon name="down" />
				</button>
			)}
			<div class="foot column">
				<Notice />
				<Composer draft={draft} onDraft={onDraft} />
				<div class="under">
					<ContextBar pieces={pieces} c={c} />
					<Queue />
				</div>
			</div>
		</main>
	);
}

function Notice() {
	const status = state.health?.status;
	const loading = hostedModels().find((m) => m.name === modelOf(state.current) && m.state === 'loading');
	const words = state.unreachable
		? 'The server cannot be reached. This page tries again by itself.'
		: loading
			? `${loading.name} is being loaded: ${Math.round(100 * loading.progress)}%`
			: status === 'loading'
				? `The model is being loaded: ${Math.round(100 * (state.health?.progress ?? 0))}%`
				: status && status !== 'ok'
					? `The server is ${status}${state.health?.message ? `: ${state.health.message}` : ''}`
					: state.notice || (state.models.length || state.keyWanted ? '' : state.modelsError);
	if (!words) return <div role="status" class="no-notice" />;
	return (
		<div role="status" class="notice">
			<span>{words}</span>
			{state.notice && (
				<>
					{state.undo && (
						<button type="button" onClick={state.undo}>
							Undo
						</button>
					)}
					<button
						type="button"
						aria-label="Close the notice"
						onClick={() => {
							state.notice = '';
							state.undo = null;
							changed();
						}}
					>
						Close
					</button>
				</>
			)}
		</div>
	);
}

// Who else is served: a dot for each place, filled where somebody runs.
export function Queue() {
	const queue = state.health?.queue;
	if (!queue?.parallel) return null; // of several models none is loaded
	const places = Math.min(queue.parallel, 12);
	const running = Math.round((queue.running / Math.max(1, queue.parallel)) * places);
	const said = `${queue.running} of ${queue.parallel} ${queue.parallel === 1 ? 'place' : 'places'} in use, ${queue.queued} waiting`;
	const live = state.live.get(state.current.id);
	return (
		<div class="queue" role="img" aria-label={`Queue: ${said}`} title={said}>
			{live?.tokens ? <span class="speed">{rate(live.tokens, live.lastAt - live.firstAt) || tokens(live.tokens)}</span> : null}
			<span class="dots" aria-hidden="true">
				{Array.from({ length: places }, (_, i) => (
					<i key={i} class={i < running || (i === 0 && queue.running) ? 'busy' : undefined} />
				))}
			</span>
			{queue.queued > 0 && <span class="waits">+{queue.queued}</span>}
		</div>
	);
}
