// What the program tells to man and to shells, against what --help tells.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hokku } from './server_common.mjs';

const ask = (...args) => execFileSync(hokku, args, { encoding: 'utf8', env: {} });
const names = [...ask('--help').matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map((m) => m[1]);
const all = [...names, 'bench serve', 'bench tokenize'];
assert.ok(names.length > 15);
// Of a command's help: [{names: ['-p', '--port'], takes: 'N'}]; the text after a row's head does not matter.
const optionsOf = (command) => {
	const help = ask(...command.split(' '), '--help');
	return [...help.matchAll(/^ {2}((?:-\w, )?--[a-z0-9-]+(?:, --[a-z0-9-]+)*)(?: ([^ \n]+))?(?: {2,}|\n| )/gm)].map(([, list, takes]) => ({ names: list.split(', '), takes }));
};
const table = new Map(all.map((command) => [command, optionsOf(command)]));
assert.ok(table.get('serve').length > 40);
const have = (program, ...args) => spawnSync(program, args).status === 0;

// What bash would offer behind these words.
const bash = (words) => {
	const dir = mkdtempSync(join(tmpdir(), 'hokku-complete-'));
	try {
		writeFileSync(join(dir, 'a model.gguf'), '');
		const script = `${ask('completion', 'bash')}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hokku; printf '%s\\n' "\${COMPREPLY[@]}"`;
		return execFileSync('bash', ['-u', '-c', script, 'bash', 'hokku', ...words], { encoding: 'utf8', cwd: dir }).split('\n').filter(Boolean);
	} finally {
		rmSync(dir, { recursive: true });
	}
};

test('bash: commands, every option of every command, words, files, and nothing where anything may stand', (t) => {
	if (!have('bash', '--version')) return t.skip('bash is not here');
	assert.deepEqual(bash(['']).sort(), [...names, 'help', '-h', '--help', '--version'].sort());
	assert.deepEqual(bash(['ser']), ['serve']);
	for (const [command, options] of table)
		assert.deepEqual(bash([...command.split(' '), '-']).sort(), options.flatMap((o) => o.names).sort(), command);
	assert.deepEqual(bash(['bench', '']).sort(), ['a model.gguf', 'serve', 'tokenize']);
	assert.deepEqual(bash(['bench', 'se']), ['serve']);
	assert.deepEqual(bash(['completion', '']), ['bash', 'zsh', 'fish']);
	assert.deepEqual(bash(['manual', 'tok']), ['tokenize']);
	assert.deepEqual(bash(['help', 'pul']), ['pull']);
	assert.deepEqual(bash(['serve', '--prefix-cache', '']), ['on', 'off']);
	assert.deepEqual(bash(['serve', '--prefix-cache', '=']), ['on', 'off']);
	assert.deepEqual(bash(['serve', '--prefix-cache', '=', 'of']), ['off']);
	assert.ok(bash(['run', '--cache-type-k', '']).includes('q8_0'));
	assert.deepEqual(bash(['serve', '']), ['a model.gguf']);
	assert.deepEqual(bash(['serve', '--ssl-cert-file', 'a']), ['a model.gguf']);
	assert.deepEqual(bash(['serve', '--ctx', '']), []);
	assert.deepEqual(bash(['devices', '']), []);
	assert.deepEqual(bash(['nothing', '']), []);
});

test('zsh: the script is one, and has every option of every command', (t) => {
	const script = ask('completion', 'zsh');
	for (const [command, options] of table) {
		const part = script.split(`_hokku_${command.replace(' ', '_')}() {`)[1].split('\n}\n')[0];
		const told = [...part.matchAll(/^\t\t'\*?(--?[a-z0-9-]+)[=+]?\[/gm)].map((m) => m[1]);
		assert.deepEqual([...told, '-h', '--help'].sort(), options.flatMap((o) => o.names).sort(), command);
	}
	if (!have('zsh', '--version')) return t.skip('zsh is not here (./do test brings it)');
	const { status, stderr } = spawnSync('zsh', ['-fnc', script], { encoding: 'utf8' });
	assert.equal(stderr, '');
	assert.equal(status, 0);
	// compdef is what registers it; _arguments gets specs that each are one word.
	const specs = execFileSync('zsh', ['-fc', `compdef() { print "compdef $*" }; _arguments() { print -l -- "$@" }\n${script}\n_hokku_serve`], { encoding: 'utf8' }).trim().split('\n');
	assert.equal(specs[0], 'compdef _hokku hokku');
	assert.ok(specs.includes('--prefix-cache=[find beginnings of prompts again in KV memory]:on|off:(on off)'), specs.join('\n'));
	assert.ok(specs.includes('*:file:_files'));
});

test('fish: the script runs, and offers every option of every command', (t) => {
	if (!have('fish', '--version')) return t.skip('fish is not here (./do test brings it)');
	const home = mkdtempSync(join(tmpdir(), 'hokku-fish-'));
	t.after(() => rmSync(home, { recursive: true }));
	const script = join(home, 'hokku.fish');
	writeFileSync(script, ask('completion', 'fish'));
	const lines = ['hokku ', 'hokku serve --prefix-cache=', 'hokku completion ', ...all.map((command) => `hokku ${command} --`)];
	const { status, stdout, stderr } = spawnSync('fish', ['--no-config', '-c', `source ${script}; for line in $argv; complete -C $line; echo ==; end`, ...lines], { encoding: 'utf8', cwd: home, env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home } });
	assert.equal(stderr, '');
	assert.equal(status, 0);
	const [commands, values, shells, ...rest] = stdout.split('==\n').map((part) => part.split('\n').filter(Boolean).map((line) => line.split('\t')[0]));
	assert.deepEqual(commands.sort(), [...names, 'help'].sort());
	assert.deepEqual(values.map((v) => v.split('=').at(-1)).sort(), ['off', 'on']);
	for (const shell of ['bash', 'zsh', 'fish']) assert.ok(shells.includes(shell), shells.join());
	for (const [i, command] of all.entries()) {
		const told = rest[i].map((word) => word.replace(/=$/, '')), wanted = table.get(command).flatMap((o) => o.names.filter((n) => n.startsWith('--')));
		for (const name of wanted) assert.ok(told.includes(name), `${name} of ${command}: ${told}`);
	}
});

test('manual pages: each command, each option, each variable; roff without a warning', (t) => {
	const plain = (page) => page.replaceAll('\\-', '-').replaceAll('\\(aq', "'").replaceAll('\\(dq', '"').replaceAll(/\\f[BRI]/g, '');
	const main = plain(ask('manual'));
	for (const command of all) assert.ok(main.includes(`.BR hokku-${command.replace(' ', '-')} (1)\n`), command);
	const groff = have('groff', '--version');
	for (const command of ['', ...all]) {
		const words = command.split(' ').filter(Boolean), page = ask('manual', ...words), text = plain(page);
		for (const { names: list, takes } of table.get(command) ?? []) assert.ok(text.includes(`.TP\n${list.join(', ')}${takes ? ` ${takes}` : ''}\n`), `${list} of ${command}`);
		for (const [variable] of (command ? ask(...words, '--help') : '').matchAll(/\bHOKKU_[A-Z_]+(?=[ \n])/g)) assert.ok(text.includes(variable), `${variable} of ${command}`);
		assert.ok(!/^\.SH ENVIRONMENT\n.*\n(?!\.TP\n\.B HOKKU_)/m.test(page), `${command} has none`);
		if (!groff) continue;
		const { stderr } = spawnSync('groff', ['-man', '-ww', '-z', '-Tutf8'], { input: page, encoding: 'utf8' });
		assert.equal(stderr, '', command);
	}
	if (!groff) t.skip('groff is not here (./do test brings it)');
});

test('what is asked for and is not there', () => {
	const wrong = (...args) => {
		const { status, stderr } = spawnSync(hokku, args, { encoding: 'utf8', env: {} });
		assert.equal(status, 2);
		return stderr;
	};
	assert.equal(wrong('completion'), 'hokku completion: of which shell is not said; it takes bash, zsh or fish (see hokku completion --help)\n');
	assert.equal(wrong('completion', 'tcsh'), 'hokku completion: the shell is "tcsh"; it takes bash, zsh or fish (see hokku completion --help)\n');
	assert.match(wrong('manual', 'sreve'), /^hokku manual: there is no command "sreve"; `hokku --help` lists them/);
	assert.match(wrong('manual', 'serve', 'bench'), /^hokku manual: there is no command "serve bench"/);
	assert.match(wrong('manual', 'x'.repeat(500)), /^hokku manual: there is no command "x+/);
});

test('hokku --version tells build, compiler and features', () => {
	assert.match(ask('--version'), /^hokku \d+\.\d+\.\d+\nbuild: [0-9a-f]{40}\ncompiler: (gcc|clang) \d.*, for \S.*\nfeatures: TLS, (no )?pulling.*\nCPU: .*portable; here \w+\n$/);
});
