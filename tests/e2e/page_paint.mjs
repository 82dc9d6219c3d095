// How soon the page is there: HOKKU=build/release/hokku node tests/e2e/page_paint.mjs [TIMES]. Prints medians, in milliseconds since the request.
import { chromium as driver } from 'playwright-core';
import { chromium } from './page_common.mjs';
import { start } from './server_common.mjs';

const times = Number(process.argv[2] ?? 15);
const median = (all) => all.sort((a, b) => a - b)[all.length >> 1];
const server = await start([]);
const browser = await driver.launch({ executablePath: chromium });
const found = { 'first paint': [], 'first words': [], 'models known': [] };
for (let i = 0; i <= times; i++) {
	const context = await browser.newContext();
	const page = await context.newPage();
	await page.goto(`${server.url}/`);
	await page.locator('.model').waitFor();
	const at = await page.evaluate(() => ({ paint: performance.getEntriesByName('first-paint')[0]?.startTime, words: performance.getEntriesByName('first-contentful-paint')[0]?.startTime, models: performance.getEntriesByType('resource').find((one) => one.name.endsWith('v1/models'))?.responseEnd }));
	if (i) {
		found['first paint'].push(at.paint);
		found['first words'].push(at.words);
		found['models known'].push(at.models);
	}
	await context.close();
}
for (const [name, all] of Object.entries(found)) console.log(`${name} ${Math.round(median(all))} ms (of ${times}: ${Math.round(Math.min(...all))} to ${Math.round(Math.max(...all))})`);
await browser.close();
await server.stop();
