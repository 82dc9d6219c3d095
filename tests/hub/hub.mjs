// A hub to pull from, and the other host that keeps its large files: what the real one's protocol has, and every fault that a
// network, a server or somebody who means ill can make. One test sets what it wants to see in `faults`; a number counts down.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createSecure } from 'node:https';

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes) => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
export const COMMIT = 'a'.repeat(39) + '1';

// Files of 512 KiB and more, and those with such names, are kept beside git, as the hub keeps them.
const isLarge = (path, bytes) => bytes.length >= 512 << 10 || /\.(gguf|safetensors)$/.test(path);

/*
 * repos: { 'user/repo': { files: { path: Buffer }, commit, revisions: { main: commit }, private, gated } }
 * A program that asks for the beginning of a file, to see what is in it, gets that without any fault; requests of it have head: true.
 * files: { path: Buffer } of the other host, for those who want no hub
 * tls: { key, cert } where both hosts speak TLS
 * faults: {
 *   busy: n           n answers of the hub are 429, with Retry-After 0; error: n the same with 503
 *   listSize, linkedSize, rangeSize: f(n)  what is told of a size in the list, in X-Linked-Size, in Content-Range
 *   linkedEtag: text  another checksum is offered;  commit: text  another commit is offered
 *   breaks: n         n answers with bytes end in the middle, with a reset;  short: n  with a proper end, too early
 *   long: true        answers go on after their end
 *   noRanges: true    ranges are not known;  otherRange: true  another range is sent than was asked for
 *   expired: n        n addresses are refused by the other host;  missing: true  it has no file
 *   further: true     it sends on to another address of its own;  bare: true  the list has names alone
 *   turns: true       every second request to it is refused so
 *   corrupt: true     a bit of every file is another
 *   names: [...]      the list has these names too
 *   info: text        the list is this text;  redirect: url  the file's address
 *   away: true        everything is at the other host
 *   hold: f(i)        called before the i-th answer with bytes; a promise is waited for
 *   cut: true         the list of somebody's repositories breaks off
 *   keep: n           after so many bytes of an answer nothing comes any more
 * }
 */
export async function startHub(repos, tls) {
	const listener = (answer) => (tls ? createSecure(tls, answer) : createServer(answer));
	const hub = { repos, faults: {}, requests: [], sockets: new Set() };
	const count = (name) => typeof hub.faults[name] === 'number' && hub.faults[name]-- > 0;
	const large = new Map(); // of the other host: checksum -> bytes
	let nBodies = 0, nRefused = 0;

	const note = (host, req) => hub.requests.push((req.noted = { host, method: req.method, url: req.url, authorization: req.headers.authorization, range: req.headers.range }));
	const fail = (res, status, code, message = code) => {
		res.writeHead(status, { 'X-Error-Code': code, 'X-Error-Message': message });
		res.end(JSON.stringify({ error: message }));
	};

	async function sendBytes(req, res, bytes, headers = {}) {
		const head = req.headers.range === `bytes=0-${Math.min(bytes.length, 1 << 20) - 1}`;
		const faults = head ? {} : hub.faults;
		req.noted.head = head;
		if (faults.corrupt) (bytes = Buffer.from(bytes))[bytes.length >> 1] ^= 1;
		let first = 0, last = bytes.length - 1, status = 200;
		const range = !faults.noRanges && req.headers.range?.match(/^bytes=(\d+)-(\d*)$/);
		if (range) {
			[first, last, status] = [Number(range[1]), Math.min(Number(range[2] || last), last), 206];
			if (first > last) return res.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
			if (faults.otherRange) first = Math.max(0, first - 1);
			headers['Content-Range'] = `bytes ${first}-${last}/${faults.rangeSize?.(bytes.length) ?? bytes.length}`;
		}
		let body = bytes.subarray(first, last + 1);
		if (faults.long) body = Buffer.concat([body, Buffer.from('and more')]);
		if (req.method === 'HEAD') return res.writeHead(200, { 'Content-Length': bytes.length, ...headers }).end();
		await faults.hold?.(nBodies++);
		if (!head && body.length > 1 && count('breaks')) {
			res.writeHead(status, { 'Content-Length': body.length, ...headers });
			return res.write(body.subarray(0, (body.length * 2) / 3 | 0), () => res.destroy());
		}
		if (!head && body.length > 1 && count('short')) body = body.subarray(0, body.length / 2);
		if (faults.keep !== undefined && body.length > faults.keep) {
			res.writeHead(status, { 'Content-Length': body.length, ...headers });
			return res.write(body.subarray(0, faults.keep));
		}
		res.writeHead(status, { 'Content-Length': body.length, ...headers });
		res.end(body);
	}

	// The other host: addresses end in a checksum and are good without a token, which must never come here.
	const cdn = listener((req, res) => {
		note('cdn', req);
		const bytes = hub.files?.[req.url.replace(/\?.*/, '')] ?? large.get(req.url.match(/[0-9a-f]{64}/)?.[0]);
		if (hub.faults.further && !req.url.startsWith('/again')) return res.writeHead(302, { Location: `/again${req.url}` }).end('moved');
		if (hub.faults.turns && !req.noted.head && nRefused++ % 2 === 0) return res.writeHead(403).end('the address has expired');
		if (count('expired')) return res.writeHead(403).end('the address has expired');
		if (!bytes || hub.faults.missing) return res.writeHead(404).end();
		sendBytes(req, res, bytes);
	});

	function info(req, res, repo, name, revision) {
		const head = repo.commit ?? COMMIT, commit = repo.revisions?.[revision] ?? (revision === 'main' || revision === head ? head : null);
		if (!commit) return fail(res, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
		if (hub.faults.info !== undefined) return res.end(hub.faults.info);
		const size = (n) => hub.faults.listSize?.(n) ?? n;
		const siblings = Object.entries(repo.files).map(([path, bytes]) => ({
			rfilename: path, ...(hub.faults.bare ? {} : { size: size(bytes.length), blobId: gitSha1(bytes),
				...(isLarge(path, bytes) ? { lfs: { sha256: sha256(bytes), size: size(bytes.length), pointerSize: 130 } } : {}),
			}),
		}));
		for (const rfilename of hub.faults.names ?? []) siblings.push({ rfilename, size: 1, blobId: gitSha1(Buffer.from('x')) });
		res.setHeader('Content-Type', 'application/json');
		res.end(JSON.stringify({ id: name, sha: commit, private: !!repo.private, gated: repo.gated ? 'manual' : false, siblings }));
	}

	function resolve(req, res, repo, revision, path) {
		const bytes = repo.files[path], { faults } = hub, commit = repo.commit ?? COMMIT;
		if (!bytes) return fail(res, 404, 'EntryNotFound', 'Entry not found');
		const headers = { 'X-Repo-Commit': faults.commit ?? commit };
		if (!isLarge(path, bytes)) return sendBytes(req, res, bytes, { ...headers, ETag: `"${gitSha1(bytes)}"` });
		large.set(sha256(bytes), bytes);
		res.writeHead(302, {
			...headers, ETag: '"of the redirect"', 'X-Linked-Etag': `"${faults.linkedEtag ?? sha256(bytes)}"`,
			'X-Linked-Size': String(faults.linkedSize?.(bytes.length) ?? bytes.length),
			Location: faults.redirect ?? `${hub.cdnUrl}/repos/${sha256(bytes)}?Expires=1&Signature=s`,
		});
		res.end();
	}

	const server = listener((req, res) => {
		note('hub', req);
		if (count('busy')) return res.writeHead(429, { 'Retry-After': '0' }).end();
		if (count('error')) return res.writeHead(503).end();
		if (hub.faults.away) return res.writeHead(307, { Location: `${hub.cdnUrl}/elsewhere` }).end();
		const path = decodeURIComponent(new URL(req.url, 'http://hub').pathname);
		const query = new URL(req.url, 'http://hub').searchParams;
		if (path === '/api/models') {
			if (hub.faults.cut) return res.writeHead(200, { 'Content-Length': 1000 }).write('[{"id": ', () => res.destroy());
			const of = Object.keys(repos).filter((name) => name.startsWith(`${query.get('author')}/`) && !repos[name].private);
			return res.end(JSON.stringify(of.map((id) => ({ id }))));
		}
		const asked = path.match(/^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/) ?? path.match(/^\/([^/]+\/[^/]+)\/resolve\/(.+?)\/(.+)$/);
		if (!asked) return fail(res, 404, 'RepoNotFound');
		const [, name, revision, file] = asked, repo = repos[name];
		const authorized = req.headers.authorization === 'Bearer hf_good';
		if (req.headers.authorization && !authorized) return res.writeHead(401, { 'X-Error-Message': 'Invalid credentials in Authorization header' }).end();
		if (repo?.moved) { // as a repository that was renamed
			res.writeHead(307, { Location: req.url.replace(name, repo.moved) });
			return res.end();
		}
		if (!repo || (repo.private && !authorized)) return fail(res, authorized ? 404 : 401, 'RepoNotFound', 'Repository not found');
		// As on the real one, what a gated repository holds is no secret.
		if (file !== undefined && (repo.gated === 'never' || (repo.gated && !authorized))) return fail(res, authorized ? 403 : 401, 'GatedRepo', `Access to model ${name} is restricted`);
		if (file === undefined) return info(req, res, repo, name, revision);
		resolve(req, res, repo, revision, file);
	});

	// A proxy asks for whole addresses; this one is asked for the hub's.
	const proxy = createServer((req, res) => {
		note('proxy', req);
		const url = new URL(req.url);
		req.url = url.pathname + url.search;
		(url.port === String(cdn.address().port) ? cdn : server).emit('request', req, res);
	});

	for (const s of [server, cdn, proxy])
		for (const event of tls && s !== proxy ? ['connection', 'secureConnection'] : ['connection']) s.on(event, (socket) => {
			hub.sockets.add(socket);
			socket.on('close', () => hub.sockets.delete(socket));
			socket.on('error', () => {});
		});
	const listen = (s) => new Promise((done) => s.listen(0, '127.0.0.1', () => done(s.address().port)));
	const scheme = tls ? 'https' : 'http';
	hub.url = `${scheme}://127.0.0.1:${await listen(server)}`;
	hub.cdnUrl = `${scheme}://127.0.0.1:${await listen(cdn)}`;
	hub.proxyUrl = `http://127.0.0.1:${await listen(proxy)}`;
	hub.stop = async () => {
		for (const socket of hub.sockets) socket.destroy();
		await Promise.all([server, cdn, proxy].map((s) => new Promise((done) => s.close(done))));
	};
	hub.reset = () => {
		hub.faults = {};
		hub.requests = [];
	};
	return hub;
}
