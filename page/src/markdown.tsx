// A model's Markdown as elements. marked only tells where what is; no HTML is made of it anywhere, so there is none to be cleaned:
// what looks like HTML in an answer is shown as the text that it is, a link goes to the web or to a mail address or is none,
// and a picture, which would be fetched, is a link.
import type { Token, Tokens } from 'marked';
import { Lexer } from 'marked';
import type { ComponentChildren, VNode } from 'preact';
import { h } from 'preact';
import { memo } from './memo';
import { useState } from 'preact/hooks';
import { highlighted } from './highlight';

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', hellip: '…', mdash: '—', ndash: '–', copy: '©', times: '×', rarr: '→', larr: '←', deg: '°', middot: '·', bull: '•', lsquo: '‘', rsquo: '’', ldquo: '“', rdquo: '”', euro: '€', le: '≤', ge: '≥', ne: '≠' };

function plain(text: string): string {
	return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z]{2,6}));/g, (whole, decimal, hex, name) => {
		if (name) return named[name] ?? whole;
		const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
		return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : '\ufffd';
	});
}

export function safeLink(href: string): string | undefined {
	const clean = plain(href).trim();
	return /^(https?:\/\/|mailto:)/i.test(clean) && URL.canParse(clean) ? clean : undefined;
}

function Link({ href, title, children }: { href: string; title?: string | null; children: ComponentChildren }) {
	const to = safeLink(href);
	if (!to) return <span class="no-link">{children}</span>;
	return (
		<a href={to} title={title ? plain(title) : undefined} target="_blank" rel="noopener noreferrer nofollow">
			{children}
		</a>
	);
}

const foldedLines = 40;

export const Code = memo(({ code, language, growing }: { code: string; language: string; growing?: boolean }) => {
	const [copied, setCopied] = useState(false);
	const [open, setOpen] = useState(false);
	const lines = code.split('\n').length;
	const folds = lines > foldedLines && !growing;
	const copy = () =>
		copyText(code).then((done) => {
			setCopied(done);
			setTimeout(() => setCopied(false), 1500);
		});
	return (
		<figure class="code">
			<figcaption>
				<span>{language || 'text'}</span>
				<button type="button" onClick={copy} aria-label={`Copy the code (${language || 'text'})`}>
					{copied ? 'Copied' : 'Copy'}
				</button>
			</figcaption>
			<pre tabIndex={0} role="region" aria-label={`Code, ${lines} ${lines === 1 ? 'line' : 'lines'}`} class={folds && !open ? 'folded' : undefined}>
				<code>{growing && code.length > 4000 ? code : highlighted(code, language)}</code>
			</pre>
			{folds && (
				<button type="button" class="unfold" aria-expanded={open} onClick={() => setOpen(!open)}>
					{open ? 'Fold' : `All ${lines} lines`}
				</button>
			)}
		</figure>
	);
});

export async function copyText(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		// Not a secure context (plain HTTP to another machine): the old way.
		const area = document.createElement('textarea');
		area.value = text;
		area.className = 'unseen';
		document.body.append(area);
		area.select();
		const done = document.execCommand('copy');
		area.remove();
		return done;
	}
}

// Deeper than that nobody writes, but for a model that has lost its way: from there on it is plain text.
const deepest = 24;

function inline(tokens: Token[] | undefined, depth: number): ComponentChildren[] {
	return (tokens ?? []).map((token) => {
		const t = token as Tokens.Generic;
		if (depth > deepest) return t.raw;
		switch (t.type) {
			case 'strong':
			case 'em':
			case 'del':
				return h(t.type, null, inline(t.tokens, depth + 1));
			case 'codespan':
				return <code>{t.text}</code>;
			case 'br':
				return <br />;
			case 'link':
				return (
					<Link href={t.href} title={t.title}>
						{inline(t.tokens, depth + 1)}
					</Link>
				);
			case 'image':
				return (
					<Link href={t.href} title={t.title}>
						[picture: {plain(t.text || t.href)}]
					</Link>
				);
			case 'escape':
			case 'html':
				return t.type === 'html' ? t.raw : t.text;
			case 'text':
				return t.tokens ? inline(t.tokens, depth + 1) : plain(t.text);
			default:
				return t.raw;
		}
	});
}

function cell(c: Tokens.TableCell, name: 'td' | 'th'): ComponentChildren {
	return h(name, { class: c.align ? `to-${c.align}` : undefined, scope: name === 'th' ? 'col' : undefined }, inline(c.tokens, 0));
}

function list(t: Tokens.List, growing: boolean, depth: number): VNode {
	const items = t.items.map((item, i) => (
		<li class={item.task ? 'task' : undefined}>
			{item.task && <input type="checkbox" checked={!!item.checked} disabled aria-label={item.checked ? 'done' : 'to do'} />}
			{blocks(item.tokens, growing && i === t.items.length - 1, depth + 1)}
		</li>
	));
	return t.ordered ? <ol start={typeof t.start === 'number' ? t.start : undefined}>{items}</ol> : <ul>{items}</ul>;
}

function block(token: Token, growing: boolean, depth: number): ComponentChildren {
	const t = token as Tokens.Generic;
	if (depth > deepest) return <p class="as-is">{t.raw}</p>;
	switch (t.type) {
		case 'space':
		case 'def':
		case 'checkbox':
			return null;
		case 'heading': // below those of the page itself
			return h(`h${Math.min(6, t.depth + 2)}`, null, inline(t.tokens, depth + 1));
		case 'paragraph':
			return <p>{inline(t.tokens, depth + 1)}</p>;
		case 'text':
			return t.tokens ? inline(t.tokens, depth + 1) : plain(t.text);
		case 'code':
			return <Code code={t.text} language={(t.lang ?? '').trim().split(/\s/, 1)[0]!.toLowerCase().slice(0, 24)} growing={growing} />;
		case 'blockquote':
			return <blockquote>{blocks(t.tokens ?? [], growing, depth + 1)}</blockquote>;
		case 'list':
			return list(t as Tokens.List, growing, depth);
		case 'table':
			return (
				<div class="table" role="region" aria-label="Table" tabIndex={0}>
					<table>
						<thead>
							<tr>{t.header.map((c: Tokens.TableCell) => cell(c, 'th'))}</tr>
						</thead>
						<tbody>
							{t.rows.map((row: Tokens.TableCell[]) => (
								<tr>{row.map((c) => cell(c, 'td'))}</tr>
							))}
						</tbody>
					</table>
				</div>
			);
		case 'hr':
			return <hr />;
		case 'html':
			return <p class="as-is">{t.raw.trimEnd()}</p>;
		default:
			return <p>{t.raw}</p>;
	}
}

const blocks = (tokens: Token[], growing: boolean, depth: number): ComponentChildren[] => tokens.map((t, i) => block(t, growing && i === tokens.length - 1, depth));

// growing: more of the text comes; its last block is not whole.
export const Markdown = memo(({ text, growing }: { text: string; growing: boolean }) => {
	let tokens: Token[];
	try {
		tokens = new Lexer({ gfm: true, breaks: true }).lex(text);
	} catch {
		return <p class="as-is">{text}</p>;
	}
	return <div class="prose">{blocks(tokens, growing, 0)}</div>;
});
