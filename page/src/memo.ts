import type { ComponentChild, FunctionComponent } from 'preact';
import { Component, h } from 'preact';

// Drawn again only when one of its properties is another.
export function memo<P extends object>(of: (props: P) => ComponentChild): FunctionComponent<P> {
	class Memo extends Component<P, { broken: boolean }> {
		static getDerivedStateFromError() {
			return { broken: true }; // the rest of the page goes on
		}
		override shouldComponentUpdate(next: Readonly<P>, nextState: Readonly<{ broken: boolean }>) {
			if (nextState.broken) return true;
			const names = new Set([...Object.keys(next), ...Object.keys(this.props)]);
			for (const name of names) if ((next as any)[name] !== (this.props as any)[name]) return true;
			return false;
		}
		render() {
			if (this.state.broken) return h('p', { class: 'error' }, 'This cannot be shown.');
			return h(of as any, this.props as any);
		}
	}
	return Memo as unknown as FunctionComponent<P>;
}
