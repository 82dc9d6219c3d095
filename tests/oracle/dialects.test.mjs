// Which dialect hokku finds in the chat templates that models publish: llama.cpp's collection, out of the bundle of its sources
// that node-llama-cpp carries. What is expected was checked by hand against what each template writes for a call
// with thinking, and, of models, against llama.cpp's tests/test-chat.cpp.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

// dialect; exact, read, told or none: by what it was chosen; what the template writes: l lists tools, c a call, s several of a
// message, b both of two in the dialect's own form, r results, y system messages; form; what marks
// thinking; opens, marks or -; the template argument that switches it, + where the model thinks without it; that of effort with
// its value for none; that of a budget.
const expected = new Map([
	['Apertus-8B-Instruct', 'apertus exact lcsbry 5 apertus - enable_thinking - -'],
	['Apriel-1.6-15b-Thinker-fixed', 'apriel exact lcsbry 5 apriel opens -+ - -'],
	['Bielik-11B-v3.0-Instruct', 'hermes exact lcsbry 5 think marks enable_thinking - -'],
	['ByteDance-Seed-OSS', 'seed-oss exact lcsbry 5 seed marks - - thinking_budget'],
	['Cohere2MoE', 'command-r7b exact lcsbry 5 command opens -+ reasoning_effort=none -'],
	['CohereForAI-c4ai-command-r-plus-tool_use', 'command-r-plus read lcsry 5 think - - - -'],
	['CohereForAI-c4ai-command-r7b-12-2024-tool_use', 'command-r7b exact lcsbry 5 command marks enable_thinking - -'],
	['GLM-4.6', 'glm-4.5 exact lcsbry 5 think marks enable_thinking+ - -'],
	['GLM-4.7-Flash', 'glm-4.5 exact lcsbry 1 think opens enable_thinking+ - -'],
	['GigaChat3-10B-A1.8B', 'gigachat exact lcry 5 think - - - -'],
	['GigaChat3.1-10B-A1.8B', 'gigachat-3.1 exact lcry 5 think - - - -'],
	['HuggingFaceTB-SmolLM3-3B', 'generic none y 5 think marks enable_thinking+ - -'],
	['Kimi-K2-Instruct', 'kimi-k2 exact lcsbry 5 think - - - -'],
	['Kimi-K2-Thinking', 'kimi-k2 exact lcsbry 5 think marks - - -'],
	['Kimi-K3', 'kimi-k3 exact lcsbry 5 kimi-k3 opens thinking+ thinking_effort -'],
	['LFM2-8B-A1B', 'lfm2 told lry 5 think - - - -'],
	['LFM2.5-8B-A1B', 'lfm2 exact lcsbry 5 think - - - -'],
	['LFM2.5-Instruct', 'lfm2 told lry 5 think - - - -'],
	['MiMo-VL', 'hermes exact lcsbry 5 think - - - -'],
	['MiniMax-M1', 'minimax-m1 exact lcsbry 5 think - - - -'],
	['MiniMax-M2', 'minimax-m2 exact lcsbry 5 think opens -+ - -'],
	['MiniMax-M3', 'generic none y 5 minimax-m3 marks - - -'],
	['Mistral-Small-3.2-24B-Instruct-2506', 'mistral-call-id exact lcsbry 5 think - - - -'],
	['NVIDIA-Nemotron-3-Nano-30B-A3B-BF16', 'qwen3-coder exact lcsbry 5 think opens enable_thinking+ - -'],
	['NVIDIA-Nemotron-Nano-v2', 'nemotron exact lcsbry 5 think opens -+ - -'],
	['NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use', 'hermes exact lcsbry 5 think - - - -'],
	['NousResearch-Hermes-3-Llama-3.1-8B-tool_use', 'hermes exact lcsbry 5 think - - - -'],
	['Qwen-QwQ-32B', 'hermes exact lcsbry 5 think marks enable_thinking - -'],
	['Qwen-Qwen2.5-7B-Instruct', 'hermes exact lcsbry 5 think - - - -'],
	['Qwen-Qwen3-0.6B', 'hermes exact lcsbry 5 think marks enable_thinking+ - -'],
	['Qwen3-Coder', 'qwen3-coder exact lcsbry 5 think - - - -'],
	['Qwen3.5-4B', 'qwen3-coder exact lcsbry 5 think opens enable_thinking+ - -'],
	['Reka-Edge', 'hermes exact lcsbry 1 think marks enable_thinking - -'],
	['StepFun3.5-Flash', 'qwen3-coder exact lcsbry 1 think opens -+ - -'],
	['deepseek-ai-DeepSeek-R1-Distill-Llama-8B', 'generic none y 5 think opens -+ - -'],
	['deepseek-ai-DeepSeek-R1-Distill-Qwen-32B', 'deepseek-r1 exact csbry 5 think marks enable_thinking - -'],
	['deepseek-ai-DeepSeek-V3.1', 'deepseek-v3.1 exact csbry 5 think marks enable_thinking - -'],
	['deepseek-ai-DeepSeek-V3.2', 'deepseek-v3.2 exact lcsbry 5 think marks enable_thinking - -'],
	['deepseek-ai-DeepSeek-V4-Flash-0731', 'deepseek-v4 exact lcsbry 5 think marks enable_thinking reasoning_effort -'],
	['deepseek-ai-DeepSeek-V4', 'deepseek-v4 exact lcsbry 5 think marks enable_thinking reasoning_effort -'],
	['fireworks-ai-llama-3-firefunction-v2', 'generic none - 5 think - - - -'],
	['google-gemma-2-2b-it', 'generic none - 5 think - - - -'],
	['google-gemma-4-31B-it-interleaved', 'gemma-4 exact lcsbry 5 gemma marks enable_thinking - -'],
	['google-gemma-4-31B-it', 'gemma-4 exact lcsbry 5 gemma marks enable_thinking - -'],
	['ibm-granite-granite-3.3-2B-Instruct', 'granite told lry 5 think marks thinking - -'],
	['ibm-granite-granite-4.0', 'hermes exact lcsbry 5 think - - - -'],
	['ibm-granite-granite-4.1', 'hermes exact lcsbry 5 think - - - -'],
	['llama-cpp-deepseek-r1', 'deepseek-r1 exact lcsbry 5 think opens -+ - -'],
	['llama-cpp-rwkv-world', 'generic none y 5 think marks enable_thinking - -'],
	['meetkai-functionary-medium-v3.1', 'llama3-function exact lcsbry 5 think - - - -'],
	['meetkai-functionary-medium-v3.2', 'functionary-v3.2 exact lcsbry 5 think - - - -'],
	['meta-llama-Llama-3.1-8B-Instruct', 'llama3 exact lcry 5 think - - - -'],
	['meta-llama-Llama-3.2-3B-Instruct', 'llama3 exact lcry 5 think - - - -'],
	['meta-llama-Llama-3.3-70B-Instruct', 'llama3 exact lcry 5 think - - - -'],
	['microsoft-Phi-3.5-mini-instruct', 'generic none y 5 think - - - -'],
	['mistralai-Ministral-3-14B-Reasoning-2512', 'mistral-args exact lcsbry 5 mistral marks - - -'],
	['mistralai-Mistral-Nemo-Instruct-2407', 'mistral exact lcsbry 5 think - - - -'],
	['moonshotai-Kimi-K2', 'kimi-k2 exact lcsbry 5 think - - - -'],
	['muse-glimmer', 'generic none y 5 think - - - -'],
	['openai-gpt-oss-120b', 'harmony exact lcry 5 harmony marks -+ reasoning_effort -'],
	['openbmb-MiniCPM5-1B', 'minicpm5 exact lcsbry 5 think marks enable_thinking - -'],
	['poolside-Laguna-S-2.1', 'glm-4.5 exact lcsbry 1 think opens enable_thinking+ - -'],
	['poolside-Laguna-XS-2.1', 'glm-4.5 exact lcsbry 5 think marks enable_thinking - -'],
	['poolside-Laguna-XS.2', 'glm-4.5 exact lcsbry 5 think marks enable_thinking - -'],
	['tencent-Hy3', 'hunyuan-3 exact lcsbry 5 hunyuan-3 marks - reasoning_effort=no_think -'],
	['unsloth-Apriel-1.5', 'apriel exact lcsbry 5 think - - - -'],
	['unsloth-mistral-Devstral-Small-2507', 'mistral-args exact lcsbry 5 think - - - -'],
	['upstage-Solar-Open-100B', 'solar-open exact lcsbry 5 solar-open - - reasoning_effort -'],
]);

function bundle() {
	try {
		const main = createRequire(import.meta.url).resolve('node-llama-cpp');
		const file = path.join(path.dirname(main), '../llama/gitRelease.bundle');
		return fs.existsSync(file) ? file : undefined;
	} catch {
		return undefined;
	}
}

const skip = bundle() ? false : 'node-llama-cpp is not installed (npm ci in tests/)';

test("the dialects of llama.cpp's collection of templates", { skip }, () => {
	const root = fs.mkdtempSync(path.join(os.tmpdir(), 'hokku-dialects-'));
	const git = (...args) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] });
	git('init', '-q', '--bare');
	git('fetch', '-q', bundle(), 'HEAD');
	const files = git('ls-tree', '-r', '--name-only', 'FETCH_HEAD', 'models/templates').split('\n').filter((f) => f.endsWith('.jinja'));
	const input = files.map((f) => JSON.stringify({ template: git('cat-file', 'blob', `FETCH_HEAD:${f}`) }) + '\n').join('');
	fs.rmSync(root, { recursive: true });
	const r = spawnSync(process.env.DIALECT_LINES, [], { input, maxBuffer: 1 << 26, encoding: 'utf8' });
	assert.equal(r.status, 0, r.stderr);
	const found = r.stdout.trim().split('\n').map((line) => JSON.parse(line));
	assert.equal(found.length, files.length);
	const table = files.map((file, i) => {
		const f = found[i];
		const by = f.exact ? 'exact' : f.calls ? 'read' : f.lists ? 'told' : 'none';
		const has = Object.entries({ lists: 'l', calls: 'c', several: 's', both: 'b', results: 'r', system: 'y' }).map(([k, c]) => (f[k] ? c : '')).join('') || '-';
		const effort = f.effort + (f.none ? `=${f.none}` : '') || '-';
		const marks = f.opens ? 'opens' : f.marks ? 'marks' : '-';
		return [path.basename(file, '.jinja'), [f.dialect, by, has, f.form, f.thinking, marks, (f.switch || '-') + (f.without ? '+' : ''), effort, f.budget || '-'].join(' ')];
	});
	assert.deepEqual(new Map(table), expected);
});
