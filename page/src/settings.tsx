// What a conversation is asked with: system prompt, sampling, tools; and the ways out of it.
import { useState } from 'preact/hooks';
import * as api from './api';
import { Dialog } from './dialog';
import { toolsOf } from './request';
import { keep, rename, setPrefs, state, tell } from './state';
import { exportOne } from './sidebar';
import { download, fileName, markdownOf } from './transfer';
import type { Settings } from './types';
import { titleOf } from './types';

type NumberName = 'temperature' | 'top_p' | 'top_k' | 'min_p' | 'repetition_penalty' | 'presence_penalty' | 'max_tokens' | 'seed';

const fields: { name: NumberName; label: string; hint: string; min: number; max: number; step: number }[] = [
	{ name: 'temperature', label: 'Temperature', hint: '0: the likeliest word, always', min: 0, max: 100, step: 0.05 },
	{ name: 'top_p', label: 'Top P', hint: 'of the likeliest this share', min: 0, max: 1, step: 0.01 },
	{ name: 'top_k', label: 'Top K', hint: 'of the likeliest so many; 0: all', min: 0, max: 2147483647, step: 1 },
	{ name: 'min_p', label: 'Min P', hint: 'none below this share of the best', min: 0, max: 1, step: 0.01 },
	{ name: 'repetition_penalty', label: 'Repetition penalty', hint: '1: off', min: 0.01, max: 10, step: 0.01 },
	{ name: 'presence_penalty', label: 'Presence penalty', hint: '0: off', min: -2, max: 2, step: 0.1 },
	{ name: 'max_tokens', label: 'Most tokens', hint: 'of an answer', min: 1, max: 2147483647, step: 1 },
	{ name: 'seed', label: 'Seed', hint: 'the same one, the same answer', min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 },
];
const efforts = ['none', 'minimal', 'low', 'medium', 'high'];

function NumberField({ field, value, onValue }: { field: (typeof fields)[number]; value: number | undefined; onValue: (value: number | undefined) => void }) {
	const [text, setText] = useState(value === undefined ? '' : String(value));
	const n = Number(text);
	const wrong = text.trim() !== '' && !(Number.isFinite(n) && n >= field.min && n <= field.max && (field.step < 1 || Number.isInteger(n)));
	const takes = `${field.label} takes ${field.step < 1 ? 'a number' : 'a whole number'} from ${field.min} to ${field.max}`;
	return (
		<div class="field">
			<label for={`set-${field.name}`}>{field.label}</label>
			<input
				id={`set-${field.name}`}
				type="text"
				inputMode="decimal"
				value={text}
				placeholder="the model’s"
				aria-invalid={wrong}
				aria-describedby={`hint-${field.name}`}
				onInput={(e) => {
					const typed = e.currentTarget.value.replace(',', '.');
					setText(typed);
					const v = Number(typed);
					if (typed.trim() === '') onValue(undefined);
					else if (Number.isFinite(v) && v >= field.min && v <= field.max && (field.step < 1 || Number.isInteger(v))) onValue(v);
				}}
			/>
			<small id={`hint-${field.name}`} class={wrong ? 'wrong' : undefined}>
				{wrong ? takes : field.hint}
			</small>
		</div>
	);
}

function Tools({ settings, set }: { settings: Settings; set: (some: Settings) => void }) {
	const [text, setText] = useState(settings.tools ?? '');
	let wrong = '';
	try {
		toolsOf(text);
	} catch (error) {
		wrong = `no JSON: ${(error as Error).message}`;
	}
	return (
		<div class="field wide">
			<label for="set-tools">Tools</label>
			<textarea
				id="set-tools"
				rows={4}
				class="mono"
				value={text}
				spellcheck={false}
				placeholder='[{"name": "weather", "description": "...", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]'
				aria-invalid={wrong !== ''}
				aria-describedby="hint-tools"
				onInput={(e) => {
					const typed = e.currentTarget.value;
					setText(typed);
					try {
						toolsOf(typed);
						set({ tools: typed.trim() || undefined });
					} catch {
						/* said below */
					}
				}}
			/>
			<small id="hint-tools" class={wrong ? 'wrong' : undefined}>
				{wrong || 'a JSON array; calls are shown, and you type what the tool gives'}
			</small>
		</div>
	);
}

export function SettingsDialog({ onClose }: { onClose: () => void }) {
	const c = state.current;
	const set = (some: Settings) => {
		for (const [name, value] of Object.entries(some)) {
			if (value === undefined) delete c.settings[name as keyof Settings];
			else (c.settings as Record<string, unknown>)[name] = value;
		}
		if (c.leaf) keep(c);
	};
	return (
		<Dialog title="Settings" class="drawer" onClose={onClose}>
			<label class="field wide">
				<span>Title</span>
				<input type="text" value={c.title} maxLength={200} placeholder={titleOf(c)} onInput={(e) => rename(c, e.currentTarget.value)} disabled={!c.leaf} />
			</label>
			<label class="field wide">
				<span>System prompt</span>
				<textarea
					rows={5}
					value={c.system}
					placeholder="Who answers, and how"
					onInput={(e) => {
						c.system = e.currentTarget.value;
						if (c.leaf) keep(c);
					}}
				/>
			</label>
			<h3>Sampling</h3>
			<div class="fields">
				{fields.map((field) => (
					<NumberField key={field.name} field={field} value={c.settings[field.name]} onValue={(value) => set({ [field.name]: value })} />
				))}
			</div>
			<label class="field wide">
				<span>Stop texts</span>
				<textarea rows={2} value={(c.settings.stop ?? []).join('\n')} placeholder="one a line" onInput={(e) => set({ stop: e.currentTarget.value.split('\n').filter(Boolean).slice(0, 16) })} />
			</label>
			<label class="field wide">
				<span>Thinking</span>
				<select value={c.settings.effort ?? ''} onChange={(e) => set({ effort: e.currentTarget.value || undefined })}>
					<option value="">as the model does</option>
					{efforts.map((effort) => (
						<option key={effort} value={effort}>
							{effort}
						</option>
					))}
				</select>
			</label>
			<Tools settings={c.settings} set={set} />
			<div class="row-of-buttons">
				<button
					type="button"
					onClick={() => {
						setPrefs({ system: c.system, settings: { ...c.settings } });
						tell('New conversations begin with these settings.');
						onClose();
					}}
				>
					Use for new conversations
				</button>
			</div>
			<h3>This conversation</h3>
			<div class="row-of-buttons">
				<button type="button" disabled={!c.leaf} onClick={() => exportOne(c)}>
					Export as JSON
				</button>
				<button type="button" disabled={!c.leaf} onClick={() => download(`${fileName(titleOf(c))}.md`, 'text/markdown', markdownOf(c))}>
					Export as Markdown
				</button>
				{api.hasKey() && (
					<button
						type="button"
						onClick={() => {
							api.setKey('', false);
							location.reload();
						}}
					>
						Forget the key
					</button>
				)}
			</div>
		</Dialog>
	);
}
