import { useEffect, useState } from 'preact/hooks';
import { Chat } from './chat';
import { KeyDialog, KeysDialog } from './dialog';
import { IconButton } from './icons';
import { Operators } from './operators';
import { SettingsDialog } from './settings';
import { Sidebar } from './sidebar';
import { keep, modelOf, openNew, setPrefs, state, stop, unsaved, useWatched } from './state';
import { titleOf } from './types';

const themes = ['auto', 'light', 'dark'] as const;
const themeIcons = { auto: 'half', light: 'sun', dark: 'moon' } as const;
const themeNames = { auto: 'as the system has it', light: 'light', dark: 'dark' };

const nextTheme = () => setPrefs({ theme: themes[(themes.indexOf(state.prefs.theme) + 1) % themes.length]! });

function toggleView() {
	if (state.view === 'operators') location.hash = state.conversations.has(state.current.id) ? `#/c/${state.current.id}` : '#';
	else location.hash = '#/operators';
}

// The model of this conversation, and of the next ones.
function ModelChoice() {
	const c = state.current;
	const now = modelOf(c);
	if (!state.models.length) return <span class="model-name">{state.health?.model ?? ''}</span>;
	return (
		<select
			class="model"
			aria-label="Model"
			value={now}
			onChange={(e) => {
				c.model = e.currentTarget.value;
				setPrefs({ model: c.model });
				if (c.leaf) keep(c);
			}}
		>
			{state.models.map((m) => (
				<option key={m.id} value={m.id}>
					{m.id}
					{typeof m.state === 'string' && m.state !== 'loaded' ? ` (${m.state})` : ''}
				</option>
			))}
		</select>
	);
}

function toMessage(step: number) {
	const all = [...document.querySelectorAll<HTMLElement>('.message')];
	const at = all.findIndex((m) => m.contains(document.activeElement));
	const next = all[at < 0 ? (step < 0 ? all.length - 1 : 0) : at + step];
	next?.focus();
	next?.scrollIntoView({ block: 'nearest' });
}

const isWriting = (target: EventTarget | null) => target instanceof HTMLElement && target.matches('input, textarea, select');

export function App() {
	useWatched();
	const [menu, setMenu] = useState(false);
	const [settings, setSettings] = useState(false);
	const [keys, setKeys] = useState(false);
	useEffect(() => {
		const onKey = (event: KeyboardEvent) => {
			const open = document.querySelector('dialog[open]');
			if (event.key === 'Escape' && !open) {
				if (menu) setMenu(false);
				else stop();
			} else if (event.key === '?' && !isWriting(event.target) && !open) {
				event.preventDefault();
				setKeys(true);
			} else if (event.altKey && !event.ctrlKey && !event.metaKey && !open) {
				const acts: Record<string, () => void> = {
					KeyN: () => {
						openNew();
						requestAnimationFrame(() => document.getElementById('write')?.focus());
					},
					KeyS: () => setSettings(true),
					KeyO: toggleView,
					KeyT: nextTheme,
					ArrowUp: () => toMessage(-1),
					ArrowDown: () => toMessage(1),
				};
				const act = acts[event.code];
				if (act) {
					event.preventDefault();
					act();
				}
			}
		};
		window.addEventListener('keydown', onKey);
		return () => window.removeEventListener('keydown', onKey);
	}, [menu]);
	const isChat = state.view === 'chat';
	useEffect(() => {
		// The focus goes into the menu and back to its button.
		if (menu) document.querySelector<HTMLElement>('.sidebar .close-menu')?.focus();
		else if (document.activeElement === document.body || document.activeElement?.closest('.sidebar')) document.querySelector<HTMLElement>('.menu-button')?.focus();
	}, [menu]);
	useEffect(() => {
		document.title = isChat ? (state.current.title ? `${state.current.title} · hokku` : 'hokku') : 'Operators · hokku';
	});
	return (
		<div class={`page${menu ? ' menu-open' : ''}`} data-unsaved={unsaved() || undefined}>
			<a class="skip" href={isChat ? '#write' : '#main'} onClick={(e) => (e.preventDefault(), document.getElementById(isChat ? 'write' : 'main')?.focus())}>
				{isChat ? 'To the message field' : 'To the numbers'}
			</a>
			<Sidebar onPick={() => setMenu(false)} isMenu={menu} />
			{menu && <div class="veil" onClick={() => setMenu(false)} />}
			<div class="body" inert={menu}>
				<header class="top">
					<IconButton icon="menu" label={menu ? 'Hide the conversations' : 'Show the conversations'} class="only-narrow menu-button" aria-expanded={menu} onClick={() => setMenu(!menu)} />
					{isChat ? <ModelChoice /> : <span class="model-name">Operators</span>}
					<h1 class="title">
						<span class={isChat && state.current.leaf ? '' : 'unseen'}>{isChat ? titleOf(state.current) : 'Operators'}</span>
					</h1>
					<IconButton icon="help" label="Keys" class="only-wide" onClick={() => setKeys(true)} />
					<IconButton icon={themeIcons[state.prefs.theme]} label={`Colours: ${themeNames[state.prefs.theme]}`} onClick={nextTheme} />
					<IconButton icon="chart" label={isChat ? 'Operators’ view' : 'Back to the conversation'} aria-pressed={!isChat} onClick={toggleView} />
					{isChat && <IconButton icon="gear" label="Settings" onClick={() => setSettings(true)} />}
				</header>
				{isChat ? <Chat key="chat" /> : <Operators key="operators" />}
			</div>
			<p class="unseen" role="status" aria-live="polite">
				{state.said}
			</p>
			{settings && <SettingsDialog key={state.current.id} onClose={() => setSettings(false)} />}
			{keys && <KeysDialog onClose={() => setKeys(false)} />}
			{state.keyWanted && <KeyDialog />}
		</div>
	);
}
