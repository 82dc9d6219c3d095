// The Debian package that cpack makes of the build: what is in it, what it needs, that it runs from where it is unpacked; and
// what its unit relies on. Into an empty Debian it is installed by `./do try-package`.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { tool } from './prom.mjs';
import { hokku, sanitized, until } from './server_common.mjs';
import { ended, within } from './waits.mjs';

const root = new URL('../../', import.meta.url).pathname;
const text = (file, args, options) => execFileSync(file, args, { encoding: 'utf8', ...options });

test('the package: names, what it depends on, files, scripts; and it runs unpacked', (t) => {
	if (sanitized) return t.skip('sanitized programs are not packaged');
	for (const name of ['cpack', 'dpkg-shlibdeps', 'dpkg-deb']) if (spawnSync(name, ['--version']).error) return t.skip(`${name} is not here (./do test brings it)`);
	const dir = mkdtempSync(join(tmpdir(), 'hokku-package-'));
	t.after(() => rmSync(dir, { recursive: true }));
	const made = spawnSync('cpack', ['-G', 'DEB', '--config', join(dirname(hokku), 'CPackConfig.cmake'), '-B', dir, '-D', 'CPACK_DEBIAN_COMPRESSION_TYPE=none'], { encoding: 'utf8', cwd: dir });
	assert.equal(made.status, 0, made.stdout + made.stderr);
	const debs = readdirSync(dir).filter((name) => name.endsWith('.deb')), main = debs.find((name) => name.startsWith('hokku_')), cuda = debs.find((name) => name.startsWith('hokku-cuda_'));
	assert.equal(debs.length, existsSync(join(dirname(hokku), 'libhokku-cuda.so')) ? 2 : 1, debs.join());

	const field = (deb, name) => text('dpkg-deb', ['-f', join(dir, deb), name]).trim();
	const version = text(hokku, ['version']).match(/^hokku (\S+)\n/)[1];
	assert.deepEqual([field(main, 'Package'), field(main, 'Version')], ['hokku', version]);
	assert.equal(field(main, 'Architecture'), text('dpkg', ['--print-architecture']).trim());
	const depends = field(main, 'Depends').split(', ').map((d) => d.split(' ')[0]);
	for (const library of ['libc6', 'libcurl4', 'libedit2', 'libevent-2.1-7', 'libjansson4', 'libpcre2-8-0', 'libssl3', 'libutf8proc2']) assert.ok(depends.some((d) => d.startsWith(library)), `${library} of ${depends}`);

	const listed = text('dpkg-deb', ['-c', join(dir, main)]).trim().split('\n').map((line) => line.match(/^(\S+) (\S+) +\d+ \S+ \S+ \.(\/\S*?)(?: -> (\S+))?$/));
	for (const [line, mode, owner, path, to] of listed) {
		assert.equal(owner, 'root/root', line);
		assert.match(mode, path.endsWith('/') || path.startsWith('/usr/bin/') ? /^[d-]rwxr-xr-x$/ : to ? /^l/ : /^-rw-r--r--$/, line);
		assert.match(path, /^\/($|usr\/|etc\/($|default\/))/, line);
	}
	const files = new Set(listed.map(([, , , path]) => path).filter((path) => !path.endsWith('/')));
	assert.ok(!files.has('/usr/lib/libhokku-cuda.so'));
	const control = join(dir, 'control'), tree = join(dir, 'tree');
	text('dpkg-deb', ['-e', join(dir, main), control]);
	text('dpkg-deb', ['-x', join(dir, main), tree]);
	const read = (path) => readFileSync(join(tree, path));
	assert.equal(readFileSync(join(control, 'conffiles'), 'utf8'), [...files].filter((path) => path.startsWith('/etc/')).map((path) => `${path}\n`).join(''));
	assert.match(readFileSync(join(control, 'shlibs'), 'utf8'), /^libhokku 0 hokku /m);
	for (const script of ['postinst', 'prerm', 'postrm']) {
		assert.equal(statSync(join(control, script)).mode & 0o777, 0o755);
		assert.equal(text('sh', ['-n', join(control, script)]), '');
		// where no systemd runs, as here, they have nothing to do and say nothing
		if (!existsSync('/run/systemd/system')) assert.equal(text('sh', [join(control, script), script === 'prerm' ? 'remove' : 'configure']), '');
	}

	// What is told to man and to shells is what this program tells.
	const unpacked = join(tree, 'usr/bin/hokku'), ask = (...args) => text(unpacked, args, { env: {} });
	assert.match(ask('version'), new RegExp(`^hokku ${version}\nbuild: `));
	assert.match(ask('run', '--seed', '1', '-p', 'autumn rain'), /\S.*\n.*\S.*\n.*\S/);
	const commands = [...ask('--help').matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map((m) => m[1]);
	const pages = ['', ...commands, 'bench serve', 'bench tokenize'];
	for (const command of pages) {
		const name = ['hokku', ...command.split(' ').filter(Boolean)].join('-');
		assert.equal(gunzipSync(read(`usr/share/man/man1/${name}.1.gz`)).toString(), ask('manual', ...command.split(' ').filter(Boolean)), name);
	}
	assert.equal([...files].filter((path) => path.startsWith('/usr/share/man/')).length, pages.length);
	assert.equal(read('usr/share/bash-completion/completions/hokku').toString(), ask('completion', 'bash'));
	assert.equal(read('usr/share/zsh/vendor-completions/_hokku').toString(), ask('completion', 'zsh'));
	assert.equal(read('usr/share/fish/vendor_completions.d/hokku.fish').toString(), ask('completion', 'fish'));
	assert.equal(read('usr/share/doc/hokku/copyright').toString(), readFileSync(join(root, 'LICENSE'), 'utf8'));
	assert.equal(gunzipSync(read('usr/share/doc/hokku/NEWS.gz')).toString(), readFileSync(join(root, 'CHANGELOG.md'), 'utf8'));
	assert.match(gunzipSync(read('usr/share/doc/hokku/changelog.gz')).toString(), new RegExp(`^hokku \\(${version}\\) unstable; urgency=`));
	for (const file of ['/usr/include/hokku.h', '/usr/lib/pkgconfig/hokku.pc', '/usr/lib/libhokku.so', `/usr/lib/libhokku.so.${version}`, '/usr/lib/systemd/system/hokku.service', '/usr/lib/systemd/system/hokku.socket']) assert.ok(files.has(file), file);

	if (!cuda) return;
	assert.equal(field(cuda, 'Depends').split(', ').filter((d) => d === `hokku (= ${version})`).length, 1, field(cuda, 'Depends'));
	text('dpkg-deb', ['-x', join(dir, cuda), join(dir, 'cuda')]);
	for (const file of ['usr/lib/libhokku-cuda.so', 'usr/lib/systemd/system/hokku.service.d/cuda.conf', 'usr/share/doc/hokku-cuda/copyright']) assert.ok(existsSync(join(dir, 'cuda', file)), file);
	assert.ok(!existsSync(join(dir, 'cuda/usr/bin')));
});

test('the unit: what it names is there, and it exposes little', (t) => {
	const unit = readFileSync(join(root, 'packaging/systemd/hokku.service'), 'utf8'), cuda = readFileSync(join(root, 'packaging/systemd/cuda.conf'), 'utf8');
	const help = text(hokku, ['serve', '--help'], { env: {} });
	for (const [, variable] of readFileSync(join(root, 'packaging/systemd/hokku.default'), 'utf8').matchAll(/^#?([A-Z_]+)=/gm)) assert.match(help, new RegExp(`\\b${variable}\\b`), variable);
	for (const line of ['Type=notify', 'WatchdogSec=60', 'DynamicUser=yes', 'ExecStart=/usr/bin/hokku serve', 'Environment=HF_HOME=/var/lib/hokku XDG_CACHE_HOME=/var/cache', "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'", 'EnvironmentFile=-/etc/default/hokku']) assert.ok(unit.includes(`\n${line}\n`), line);
	const analyze = tool('systemd-analyze'), dir = mkdtempSync(join(tmpdir(), 'hokku-unit-'));
	t.after(() => rmSync(dir, { recursive: true }));
	if (!analyze) return t.skip('systemd-analyze is not here (./do test brings it)');
	const env = { ...analyze.env, LD_LIBRARY_PATH: analyze.env.LD_LIBRARY_PATH?.split(':').flatMap((d) => [d, `${d}/systemd`]).join(':') };
	if (!env.LD_LIBRARY_PATH) delete env.LD_LIBRARY_PATH;
	if (analyze(['--version'], { env }).status !== 0) return t.skip('systemd-analyze does not run here');
	for (const [name, lines] of [['hokku', unit], ['hokku-with-cuda', unit.replace('[Install]', `${cuda}\n[Install]`)]]) {
		const path = join(dir, `${name}.service`);
		writeFileSync(path, lines);
		const { status, text: said } = analyze(['security', '--offline=true', '--threshold=29', '--no-pager', path], { env });
		const level = said.match(/Overall exposure level for \S+: ([\d.]+)/)?.[1];
		assert.ok(level && Number(level) < 3, said);
		assert.equal(status, 0, said);
		assert.doesNotMatch(said, /Unknown (key|section)|Failed to parse|ignoring/);
	}
});

test('a service manager is told when it listens and when it stops', async (t) => {
	if (spawnSync('python3', ['--version']).error) return t.skip('python3 is not here');
	const dir = mkdtempSync(join(tmpdir(), 'hokku-notify-')), path = join(dir, 'socket');
	// Says each datagram as a line; SIGTERM has it say those that are left, and end.
	const code = ['import signal, socket, sys', 's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)', 's.bind(sys.argv[1])',
		'say = lambda text: print(text.decode().replace("\\n", "|"))',
		'def end(*_):', '    s.setblocking(False)', '    try:', '        while True: say(s.recv(4096))', '    except BlockingIOError: sys.exit(0)',
		'signal.signal(signal.SIGTERM, end)', 'say(b"bound")', 'while True: say(s.recv(4096))'].join('\n');
	const manager = spawn('python3', ['-uc', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
	t.after(() => (manager.kill('SIGKILL'), rmSync(dir, { recursive: true })));
	let told = '';
	manager.stdout.on('data', (data) => (told += data));
	const over = new Promise((resolve) => manager.on('close', resolve));
	await until(() => told === 'bound\n', 20000, 'the socket');
	const server = spawn(hokku, ['serve', '--host', '127.0.0.1', '--port', '0'], { env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '150000' }, stdio: ['ignore', 'ignore', 'pipe'] });
	t.after(() => server.kill('SIGKILL'));
	let said = '';
	server.stderr.on('data', (data) => (said += data));
	const gone = new Promise((resolve) => server.on('close', resolve));
	await Promise.race([gone, until(() => /listening on \S+/.test(said), 20000, 'the line that says where')]);
	const { status } = await fetch(`${said.match(/listening on (\S+)/)[1]}/health`);
	assert.ok(status === 200 || status === 503, `${status}`);
	await until(() => told.split('WATCHDOG=1\n').length > 3, 20000, `signs of life: ${told}`);
	server.kill('SIGTERM');
	assert.equal(await within(gone, 'the server to end'), 0, said);
	manager.kill('SIGTERM');
	assert.equal(await within(over, 'the manager to end'), 0);
	assert.match(told, /^bound\nREADY=1\n(WATCHDOG=1\n){3,}STOPPING=1\n(WATCHDOG=1\n)*$/);
});

// Runs hokku as a service manager with sockets does: python3 opens what `sockets` says from descriptor 3 on, sets the variables
// (LISTEN_PID: the process that becomes hokku) and becomes it.
function handed(sockets, args, env = {}) {
	const code = ['import json, os, socket, sys', 'keep = []', 'for i, s in enumerate(json.loads(sys.argv[1])):',
		'    if s == "file": fd = os.open("/dev/null", os.O_RDONLY)',
		'    elif s == "none": continue',
		'    else:',
		'        k = socket.socket(socket.AF_UNIX if s.startswith("/") else socket.AF_INET, socket.SOCK_DGRAM if s == "datagrams" else socket.SOCK_STREAM)',
		'        k.bind(s if s.startswith("/") else ("127.0.0.1", 0))',
		'        if s not in ("datagrams", "silent"): k.listen(8)',
		'        keep.append(k)', '        fd = k.fileno()',
		'    os.dup2(fd, 3 + i, True) if fd != 3 + i else os.set_inheritable(fd, True)',
		'env = {k: v.replace("SELF", str(os.getpid())) for k, v in json.loads(sys.argv[2]).items()}',
		'os.execve(sys.argv[3], sys.argv[3:], env)'].join('\n');
	const child = spawn('python3', ['-c', code, JSON.stringify(sockets), JSON.stringify({ LISTEN_PID: 'SELF', LISTEN_FDS: `${sockets.length}`, ...env }), hokku, 'serve', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
	const server = { child, said: '' };
	child.stderr.on('data', (data) => (server.said += data));
	server.gone = ended(child).then(({ code }) => code);
	server.heard = (n) => Promise.race([server.gone, until(() => server.said.match(/listening on \S+/g)?.length === n, 20000, `${n} lines that say where: ${server.said}`)]);
	return server;
}

test('sockets of a service manager are what it listens on; what they cannot be is told', async (t) => {
	if (spawnSync('python3', ['--version']).error) return t.skip('python3 is not here');
	const dir = mkdtempSync(join(tmpdir(), 'hokku-handed-')), path = join(dir, 'socket');
	t.after(() => rmSync(dir, { recursive: true }));
	const server = handed(['tcp', path], [], { LISTEN_FDNAMES: 'hokku.socket:unix' });
	t.after(() => server.child.kill('SIGKILL'));
	await server.heard(2);
	const [tcp, unix] = [...server.said.matchAll(/listening on (\S+)/g)].map((m) => m[1]);
	assert.match(tcp, /^http:\/\/127\.0\.0\.1:\d+$/);
	assert.equal(unix, `unix:${path}`);
	for (const options of [{ port: new URL(tcp).port }, { socketPath: path }]) {
		const status = await within(new Promise((resolve, reject) => http.get({ ...options, path: '/nowhere' }, (r) => resolve(r.resume().statusCode)).on('error', reject)), 'an answer');
		assert.equal(status, 404);
	}
	server.child.kill('SIGTERM');
	assert.equal(await server.gone, 0, server.said);
	assert.ok(existsSync(path)); // the manager's
	rmSync(path);

	// Another process's, or nobody's: it listens as it is told.
	const other = handed(['tcp'], ['--port', '0', '--host', '127.0.0.3'], { LISTEN_PID: '1' });
	t.after(() => other.child.kill('SIGKILL'));
	await other.heard(1);
	assert.match(other.said, /listening on http:\/\/127\.0\.0\.3:\d+\n/);
	other.child.kill('SIGTERM');
	assert.equal(await other.gone, 0, other.said);

	const at3 = 'descriptor 3 ("hokku.socket"), which LISTEN_FDS hands over, ';
	await Promise.all([
		[['tcp'], ['--host', '127.0.0.1'], {}, 2, 'hands over 1 socket (LISTEN_FDS; the first is "hokku.socket") to listen on, and --host is given too; leave it out, or'],
		[['tcp', 'tcp'], [], { HOKKU_PORT: '8081', LISTEN_FDNAMES: 'a:b' }, 2, 'hands over 2 sockets (LISTEN_FDS; the first is "a") to listen on, and --port (or HOKKU_PORT) is given too;'],
		[['tcp'], [], { HOKKU_HOST: '127.0.0.1' }, 2, 'and --host (or HOKKU_HOST) is given too;'],
		[['tcp'], [], { LISTEN_FDS: '0' }, 2, 'LISTEN_FDS is "0"; it takes the number of sockets that a service manager hands over, 1 to 16;'],
		[['tcp'], [], { LISTEN_FDNAMES: 'a:b' }, 2, 'LISTEN_FDNAMES has 2 names, and LISTEN_FDS says 1 socket'],
		[['none'], [], {}, 1, `${at3}is n`], // not open, or what the parent left there
		[['file'], [], {}, 1, `${at3}is no socket`],
		[['datagrams'], [], {}, 1, `${at3}is no stream socket`],
		[['silent'], [], {}, 1, `${at3}does not listen; a socket unit has Accept=no`],
		[['tcp'], [], { WATCHDOG_USEC: '1min' }, 1, 'WATCHDOG_USEC is "1min"; it takes microseconds'],
	].map(async ([sockets, args, env, code, words]) => {
		const failed = handed(sockets, args, { LISTEN_FDNAMES: 'hokku.socket', ...env });
		assert.equal(await failed.gone, code, failed.said);
		assert.ok(failed.said.includes(words), failed.said);
		assert.doesNotMatch(failed.said, /listening/);
	}));
});
