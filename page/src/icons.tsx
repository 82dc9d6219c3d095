// Small drawings, one stroke each where that will do.
const paths = {
	menu: 'M4 7h16M4 12h16M4 17h16',
	plus: 'M12 5v14M5 12h14',
	close: 'M6 6l12 12M18 6L6 18',
	gear: 'M4 8h8M17 8h3M12 8a2.5 2.5 0 105 0 2.5 2.5 0 10-5 0zM4 16h3M12 16h8M7 16a2.5 2.5 0 105 0 2.5 2.5 0 10-5 0z',
	chart: 'M4 20V10M10 20V4M16 20v-7M21 20H3',
	sun: 'M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M5.6 18.4L7 17M17 7l1.4-1.4M12 8a4 4 0 100 8 4 4 0 000-8z',
	moon: 'M20 14.5A8.5 8.5 0 019.5 4a8.5 8.5 0 1010.5 10.5z',
	half: 'M12 4a8 8 0 100 16 8 8 0 000-16zM12 4v16',
	send: 'M12 19V5M6 11l6-6 6 6',
	stop: 'M7 7h10v10H7z',
	copy: 'M9 9h10v11H9zM15 9V5H5v11h4',
	pen: 'M5 19l1-4L16 5l3 3L9 18zM14 7l3 3',
	again: 'M19 12a7 7 0 11-2-5M19 4v4h-4',
	left: 'M14 6l-6 6 6 6',
	right: 'M10 6l6 6-6 6',
	down: 'M12 5v14M6 13l6 6 6-6',
	trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
	more: 'M5 12h.01M12 12h.01M19 12h.01',
	help: 'M9 9a3 3 0 113.5 3c-.5.2-.5.8-.5 2M12 17.5h.01',
	key: 'M8 15a4 4 0 114-4l8 0v3M16 11v3',
};
export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
	return (
		<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
			<path d={paths[name]} />
		</svg>
	);
}

// Three lines: short, long, short.
export function Seal() {
	return (
		<svg class="seal" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
			<rect width="32" height="32" rx="7" />
			<path d="M9 9v11M16 6v20M23 9v11" />
		</svg>
	);
}

export function IconButton({ icon, label, onClick, class: name = '', ...rest }: { icon: IconName; label: string; onClick?: () => void; class?: string; [more: string]: unknown }) {
	return (
		<button type="button" class={`icon-button ${name}`} aria-label={label} title={label} onClick={onClick} {...rest}>
			<Icon name={icon} />
		</button>
	);
}
