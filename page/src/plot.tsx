// uPlot, drawn in the page's colours and with words beside it for who does not see it.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { state } from './state';

const ink = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export interface Line {
	label: string;
	colour: string; // a custom property of the style
	values: (number | null)[];
	fill?: boolean;
	steps?: boolean;
	bars?: boolean;
}

const isDark = () => state.prefs.theme === 'dark' || (state.prefs.theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);

interface PlotProps {
	x: number[];
	lines: Line[];
	write: (value: number) => string;
	writeX?: (value: number) => string;
	most?: number;
	least?: number; // that the scale goes to
	whole?: boolean; // of its marks
	said: string;
	wanted?: [number, number]; // of x
}

function optionsOf({ lines, write, writeX, most, least, whole, wanted }: PlotProps, width: number): uPlot.Options {
	const grid = { stroke: ink('--line'), width: 1 };
	const axis = { stroke: ink('--quiet'), font: '11px system-ui, sans-serif', grid, ticks: { show: false } };
	return {
		width,
		height: 150,
		legend: { show: false },
		cursor: { show: false },
		select: { show: false, left: 0, top: 0, width: 0, height: 0 },
		padding: [8, 18, 0, 0],
		scales: { x: { time: false, range: wanted ? () => wanted : undefined }, y: { range: (_u, _min, max) => [0, most ?? Math.max((max ?? 0) * 1.15, least ?? 1)] } },
		axes: [
			{ ...axis, size: 24, grid: { show: false }, values: (_u, all) => all.map((v) => (writeX ? writeX(v) : String(v))) },
			{ ...axis, size: 52, ...(whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {}), values: (_u, all) => all.map(write) },
		],
		series: [
			{},
			...lines.map((line): uPlot.Series => {
				const stroke = ink(line.colour);
				return {
					label: line.label,
					stroke,
					width: line.bars ? 0 : 1.5,
					fill: line.bars ? stroke : line.fill ? `${stroke}22` : undefined,
					points: { show: false },
					paths: line.bars ? uPlot.paths.bars!({ size: [0.8, 60] }) : line.steps ? uPlot.paths.stepped!({ align: 1 }) : undefined,
				};
			}),
		],
	};
}

export function Plot(props: PlotProps) {
	const box = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | null>(null);
	const dark = isDark();
	const data = [props.x, ...props.lines.map((line) => line.values)] as uPlot.AlignedData;
	const shape = `${dark} ${props.lines.map((l) => l.label)} ${props.wanted ?? ''} ${props.x.length < 60 && props.writeX ? props.x.length : ''}`;
	const newest = useRef(data);
	newest.current = data;
	useEffect(() => {
		const made = new uPlot(optionsOf(props, Math.max(200, box.current!.clientWidth)), newest.current, box.current!);
		plot.current = made;
		const watch = new ResizeObserver(([entry]) => {
			const width = Math.floor(entry!.contentRect.width);
			if (width > 0 && width !== made.width) made.setSize({ width, height: 150 });
		});
		watch.observe(box.current!);
		return () => {
			watch.disconnect();
			made.destroy();
			plot.current = null;
		};
	}, [shape]);
	useEffect(() => plot.current?.setData(data));
	return <div class="plot" ref={box} role="img" aria-label={props.said} />;
}
