// What an answer's shape costs a busy server: the rate of N streams with a shape against N without, in turns.
//   hokku serve [MODEL] --parallel 64 --port 8080 &  node bench/shapes.mjs http://127.0.0.1:8080 [N] [TOKENS] [ROUNDS] [TEMPERATURE]
const [url, n = 64, tokens = 200, rounds = 5, temperature = 1] = process.argv.slice(2);

const long = { type: 'string', minLength: 40, maxLength: 60 };
const shapes = {
	free: {},
	schema: {
		json_schema: {
			type: 'array',
			minItems: 100,
			items: {
				type: 'object',
				properties: { name: long, age: { type: 'integer', minimum: 0, maximum: 130 }, tags: { type: 'array', items: { enum: ['red', 'green', 'blue'] } } },
				required: ['name', 'age', 'tags'],
				additionalProperties: false,
			},
		},
	},
	regex: { regex: '([A-Z][a-z]{2,9}( [a-z]{2,9}){3,9}[.!?] ){200}' },
};

// Nothing ends an answer but max_tokens.
const { vocab_size: size } = await (await fetch(`${url}/health`)).json();
const ends = Object.fromEntries(Array.from({ length: Math.min(size, 32) }, (_, i) => [size - 1 - i, -1000]));

async function round(shape, seed) {
	const begin = performance.now();
	const answers = await Promise.all(
		Array.from({ length: +n }, async (_, i) => {
			const body = { prompt: 'autumn rain', stream: false, temperature: +temperature, max_tokens: +tokens, seed: seed * 1000 + i, logit_bias: ends, ...shape };
			const response = await fetch(`${url}/v1/generate`, { method: 'POST', body: JSON.stringify(body) });
			const answer = await response.json();
			if (answer.error) throw new Error(answer.error.message);
			return answer.tokens_out;
		}),
	);
	return answers.reduce((a, b) => a + b) / ((performance.now() - begin) / 1000);
}

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const rates = Object.fromEntries(Object.keys(shapes).map((name) => [name, []]));
for (const name of Object.keys(shapes)) await round(shapes[name], 0); // compiled, and warm
for (let i = 1; i <= +rounds; i++) for (const name of Object.keys(shapes)) rates[name].push(await round(shapes[name], i));
const free = median(rates.free);
for (const name of Object.keys(shapes)) console.log(`${name.padEnd(8)} ${median(rates[name]).toFixed(0).padStart(7)} tokens/s  ${(median(rates[name]) / free).toFixed(3)}`);
