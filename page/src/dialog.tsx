import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import * as api from './api';
import { IconButton } from './icons';
import { loadModels, state } from './state';

// The browser's own: what is behind it cannot be reached, Escape closes it, and the focus goes back to where it was.
export function Dialog({ title, onClose, children, class: name = '', fixed = false }: { title: string; onClose: () => void; children: ComponentChildren; class?: string; fixed?: boolean }) {
	const dialog = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		const d = dialog.current!;
		const before = document.activeElement as HTMLElement | null;
		d.showModal();
		return () => {
			d.close();
			before?.focus?.();
		};
	}, []);
	return (
		<dialog
			ref={dialog}
			class={name}
			aria-label={title}
			onCancel={(event) => {
				event.preventDefault();
				if (!fixed) onClose();
			}}
			onClick={(event) => {
				if (event.target === dialog.current && !fixed) onClose();
			}}
		>
			<div class="sheet">
				<header>
					<h2>{title}</h2>
					{!fixed && <IconButton icon="close" label="Close" onClick={onClose} />}
				</header>
				{children}
			</div>
		</dialog>
	);
}

export function KeyDialog() {
	const [key, setKey] = useState('');
	const [remember, setRemember] = useState(false);
	const [busy, setBusy] = useState(false);
	return (
		<Dialog title="This server wants a key" onClose={() => {}} fixed class="small">
			<form
				onSubmit={async (event) => {
					event.preventDefault();
					setBusy(true);
					api.setKey(key.trim(), remember);
					await loadModels();
					setBusy(false);
				}}
			>
				<div class="field wide">
					<label for="key">Key</label>
					<input
						id="key" type="password" autoComplete="current-password" value={key} autofocus required aria-invalid={state.keyWrong} aria-describedby="key-hint" onInput={(e) => setKey(e.currentTarget.value)} />
					<small id="key-hint" class={state.keyWrong ? 'wrong' : undefined} role="status">
						{state.keyWrong ? 'That key is wrong.' : 'A line of the file that the server was started with (--api-key-file).'}
					</small>
				</div>
				<label class="check">
					<input type="checkbox" checked={remember} onChange={(e) => setRemember(e.currentTarget.checked)} />
					Keep it in this browser
				</label>
				<div class="row-of-buttons">
					<button type="submit" class="strong" disabled={busy || !/^[\x21-\x7e]+$/.test(key.trim())}>
						Use it
					</button>
				</div>
			</form>
		</Dialog>
	);
}

const keys = [
	['Enter', 'send; with Shift a new line'],
	['Escape', 'stop the answer; close what is open'],
	['Alt N', 'a new conversation'],
	['Alt S', 'settings'],
	['Alt O', 'the operators’ view, and back'],
	['Alt T', 'light, dark, or as the system has it'],
	['Alt ↑ ↓', 'from message to message'],
	['?', 'this list'],
];

export function KeysDialog({ onClose }: { onClose: () => void }) {
	return (
		<Dialog title="Keys" onClose={onClose} class="small">
			<dl class="keys">
				{keys.map(([key, what]) => (
					<div key={key}>
						<dt>
							{key!.split(' ').map((one) => (
								<kbd>{one}</kbd>
							))}
						</dt>
						<dd>{what}</dd>
					</div>
				))}
			</dl>
			<p class="quiet">Everything is reached with Tab as well.</p>
		</Dialog>
	);
}
