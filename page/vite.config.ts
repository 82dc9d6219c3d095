// One file comes out, dist/index.html, and beside it dist/policy.txt: the Content-Security-Policy that lets this script and this style run
// and nothing else. Both are committed and linked into the program (src/server/page.S). The same lock file gives the same bytes.
import { createHash } from 'node:crypto';
import type { Plugin } from 'vite';
import { defineConfig } from 'vite';

const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

function oneFile(): Plugin {
	return {
		name: 'one-file',
		enforce: 'post',
		generateBundle(_options, bundle) {
			const of = (test: (name: string) => boolean) => Object.values(bundle).filter((part) => test(part.fileName));
			const [page] = of((name) => name === 'index.html');
			const scripts = of((name) => name.endsWith('.js'));
			const styles = of((name) => name.endsWith('.css'));
			if (page?.type !== 'asset' || scripts.length !== 1 || styles.length > 1) throw new Error('one page, one script and one style were expected');
			if (scripts[0]!.type !== 'chunk') throw new Error('the script is no chunk');
			const script = scripts[0]!.code.trim().replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
			const style = styles[0]?.type === 'asset' ? String(styles[0].source).trim() : '';
			page.source = String(page.source)
				.replace(/\s*<script type="module"[^>]*><\/script>/, '')
				.replace(/\s*<link rel="stylesheet"[^>]*>/, '')
				.replace('</head>', () => `<style>${style}</style>\n</head>`)
				.replace('</body>', () => `<script type="module">${script}</script>\n</body>`);
			for (const part of [...scripts, ...styles]) delete bundle[part.fileName];
			const policy = [
				"default-src 'none'",
				`script-src ${hash(script)}`,
				`style-src ${hash(style)}`,
				"connect-src 'self'",
				'img-src data:',
				"base-uri 'none'",
				"form-action 'none'",
				"frame-ancestors 'none'",
				"require-trusted-types-for 'script'",
				"trusted-types 'none'",
			];
			this.emitFile({ type: 'asset', fileName: 'policy.txt', source: policy.join('; ') });
		},
	};
}

export default defineConfig({
	base: './',
	plugins: [oneFile()],
	build: { target: 'es2022', modulePreload: false, cssCodeSplit: false, assetsInlineLimit: 0, reportCompressedSize: false },
});
