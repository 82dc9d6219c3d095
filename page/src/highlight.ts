// Code in colours: what highlight.js says of it, as elements and never as HTML.
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import lua from 'highlight.js/lib/languages/lua';
import makefile from 'highlight.js/lib/languages/makefile';
import python from 'highlight.js/lib/languages/python';
import ruby from 'highlight.js/lib/languages/ruby';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import type { ComponentChildren } from 'preact';
import { h } from 'preact';

const languages = { bash, c, cpp, diff, go, ini, java, javascript, json, lua, makefile, python, ruby, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);

interface Scope {
	scope?: string;
	children: (Scope | string)[];
}
const maxBytes = 100000; // a longer text stays plain: colours are not worth a page that stands still

const elements = (children: (Scope | string)[]): ComponentChildren[] =>
	children.map((one) => (typeof one === 'string' ? one : h('span', { class: one.scope ? `hl-${one.scope.split('.')[0]!.replace(/[^\w-]/g, '')}` : undefined }, elements(one.children))));

export function highlighted(code: string, language: string): ComponentChildren {
	if (code.length > maxBytes || !hljs.getLanguage(language)) return code;
	try {
		const tree = (hljs.highlight(code, { language, ignoreIllegals: true })._emitter as unknown as { rootNode: Scope }).rootNode;
		return elements(tree.children);
	} catch {
		return code;
	}
}
