import 'uplot/dist/uPlot.min.css';
import { render } from 'preact';
import { App } from './app';
import { begin } from './state';
import './style.css';

const root = document.getElementById('page')!;
root.textContent = '';
render(<App />, root);
begin();
