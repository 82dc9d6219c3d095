/* clang-format off */
/*
 * The promise of compute.h on a device in full-size shapes, one check a line: PASS or FAIL, what was checked,
 * and what was found. The device is reached as the engine reaches it, so the same program tells of any
 * device:
 *
 *     gpu_exact MODEL.gguf|haiku [--device NAME] [--prompt N] [--depth N] [--themes N] CHECK...
 *
 *     repeat      100 runs of a prompt and an answer give the same bits
 *     chunks      a prompt in steps of 1, 17, 512 and whole gives the same bits at every position
 *     depths      tokens at depths up to --depth (2,000) alone in a step and at the end of a chunk: the same bits
 *     neighbours  a sequence alone and beside 1, 7 and 31 others gives the same bits, in prompt and answer
 *     steady      steps of many lengths, five times each, give the same bits each time
 *     together    a token of each of 2 to 9 sequences, and of 32, a step: each the bits and the draws of its lone run,
 *                 twice
 *     state       KV blocks that were read out, and written into others of another handle, go on with the same
 *                 bits
 *     ledger      the sum of what the device says it holds is the driver's own figure, to 64 MiB, after steps
 *                 of every kind; where it is the first check, that of a first opening too
 *     greedy      20 answers are those of cpu:reference; a difference counts unless the two likeliest tokens
 *                 were within float32 rounding of each other, and is shown
 *
 * Exit code 0: all passed; 1: one failed, or the model did not open; 2: the command line is wrong.
 */
/* clang-format on */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "compute/plugin.h"
#include "engine/engine.h"

enum {
	N_RUNS = 100,
	N_ANSWER = 16, /* tokens drawn one by one after a prompt */
	MAX_SEQS = 32,
	MAX_ANSWER = 64,
	MAX_DEPTH = 1 << 20,
	LEDGER_SLACK = 64 << 20,
	LEDGER_PROMPT = 512, /* at most */
};

struct subject {
	const char *path, *device;
	uint32_t n_prompt, n_ctx, n_seqs, n_themes, depth;
	struct gguf *file;
	struct model model;
	struct compute *compute;
	uint32_t *blocks; /* (n_seqs, n_blocks) neither sorted nor gapless */
	uint32_t n_blocks;
	bool failed; /* a check failed */
};

__attribute__((noreturn)) static void give_up(const struct hokku_error *err)
{
	printf("FAIL gpu_exact: %s\n", err->message);
	exit(1);
}

__attribute__((format(printf, 3, 4))) static void tell(struct subject *s, bool good, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf("%s %s, %s: ", good ? "PASS" : "FAIL", s->model.name,
	       s->compute ? compute_device(s->compute) : s->device);
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
	s->failed = s->failed || !good;
}

static void open_file(struct subject *s)
{
	struct hokku_error err = {0};
	enum hokku_code rc = engine_open_file(strcmp(s->path, "haiku") == 0 ? NULL : s->path, &s->file, &err);
	if (!rc)
		rc = model_bind(&s->model, s->file, &err);
	if (rc)
		give_up(&err);
}

static void open_device(struct subject *s, const char *device, uint32_t n_ctx, uint32_t n_seqs,
			uint32_t n_batch)
{
	struct hokku_error err = {0};
	s->n_ctx = n_ctx;
	s->n_seqs = n_seqs;
	s->n_blocks = (n_ctx + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK;
	uint32_t n = s->n_blocks * n_seqs;
	const struct compute_params params = {
		.model = &s->model,
		.device = device,
		.n_ctx = n_ctx,
		.n_seqs = n_seqs,
		.n_kv_blocks = 2 * n + 1,
		.n_batch = n_batch,
		.all_logits = true,
	};
	if (compute_open(&params, &s->compute, &err))
		give_up(&err);
	s->blocks = calloc(n, sizeof *s->blocks);
	if (!s->blocks)
		abort();
	for (uint32_t i = 0; i < n; i++)
		s->blocks[i] = 2 * (n - i);
}

static void close_device(struct subject *s)
{
	compute_close(s->compute);
	s->compute = NULL;
	free(s->blocks);
	s->blocks = NULL;
}

/* Token i of series k. */
static int32_t token_of(const struct subject *s, uint32_t k, uint32_t i)
{
	return (int32_t)(((uint64_t)(k + 1) * 40503 + i) * 2654435761u % s->model.hp.n_vocab);
}

static const uint32_t *blocks_of(const struct subject *s, uint32_t seq)
{
	return s->blocks + (size_t)seq * s->n_blocks;
}

/* One number for the bits of n floats. */
static uint64_t hash_floats(const float *x, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, x + i, sizeof bits);
		h = (h ^ bits) * UINT64_C(0x9E3779B97F4A7C15);
		h ^= h >> 29;
	}
	return h;
}

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);
	if (!p) {
		printf("FAIL gpu_exact: no memory for %zu x %zu bytes\n", n, size);
		exit(1);
	}
	return p;
}

static void step(struct subject *s, struct compute_seq *seqs, uint32_t n)
{
	struct hokku_error err = {0};
	if (compute_step(s->compute, seqs, n, &err))
		give_up(&err);
}

/* Hashes of the logits of tokens pos .. pos + n - 1 of a sequence, in one step; NaN-filled before. */
static void prompt_hashes(struct subject *s, uint32_t seq, const int32_t *tokens, uint32_t pos, uint32_t n,
			  float *logits, uint64_t *out)
{
	size_t n_vocab = s->model.hp.n_vocab;
	memset(logits, 0xFF, n * n_vocab * sizeof *logits);
	struct compute_seq q = {
		.tokens = tokens + pos,
		.n_tokens = n,
		.pos = pos,
		.blocks = blocks_of(s, seq),
		.logits = logits,
		.all_logits = true,
	};
	step(s, &q, 1);
	for (uint32_t i = 0; i < n; i++)
		out[pos + i] = hash_floats(logits + i * n_vocab, n_vocab);
}

/* ---- repeat ---- */

static uint64_t run_once(struct subject *s, uint32_t seq, uint32_t n_prompt, float *logits)
{
	const struct sampling p = {.temperature = 1, .top_p = 0.95f, .repetition_penalty = 1.1f, .seed = 11};
	int32_t *tokens = allocate(n_prompt + N_ANSWER + 1, sizeof *tokens);
	uint64_t hash = 0;
	for (uint32_t i = 0; i < n_prompt; i++)
		tokens[i] = token_of(s, 0, i);
	for (uint32_t i = 0; i <= N_ANSWER; i++) {
		uint32_t pos = i ? n_prompt + i - 1 : 0;
		struct compute_seq q = {
			.tokens = tokens + pos,
			.n_tokens = i ? 1 : n_prompt,
			.pos = pos,
			.blocks = blocks_of(s, seq),
			.sampling = &p,
			.history = tokens,
			.n_history = n_prompt + i,
			.n_prompt = n_prompt,
			.logits = logits,
		};
		step(s, &q, 1);
		tokens[n_prompt + i] = q.token;
		uint32_t bits;
		memcpy(&bits, &q.logprob, sizeof bits);
		hash = hash * 31 + hash_floats(logits, s->model.hp.n_vocab) + (uint32_t)q.token + bits;
	}
	free(tokens);
	return hash;
}

static void check_repeat(struct subject *s)
{
	uint32_t n_prompt = s->n_prompt < 100 ? s->n_prompt : 100, differ = 0;
	open_device(s, s->device, n_prompt + N_ANSWER + 1, 3, n_prompt);
	float *logits = allocate(s->model.hp.n_vocab, sizeof *logits);
	uint64_t first = run_once(s, 0, n_prompt, logits);
	for (uint32_t i = 1; i < N_RUNS; i++)
		differ += run_once(s, i % 3, n_prompt, logits) != first;
	tell(s, !differ, "%d runs of %u + %d tokens, %u with other bits (%016" PRIx64 ")", N_RUNS, n_prompt,
	     N_ANSWER, differ, first);
	free(logits);
	close_device(s);
}

/* ---- chunks ---- */

static void check_chunks(struct subject *s)
{
	static const uint32_t sizes[] = {1, 17, 512};
	uint32_t n = s->n_prompt;
	open_device(s, s->device, n, 2, n);
	float *logits = allocate((size_t)n * s->model.hp.n_vocab, sizeof *logits);
	int32_t *tokens = allocate(n, sizeof *tokens);
	uint64_t *want = allocate(n, sizeof *want), *got = allocate(n, sizeof *got);
	for (uint32_t i = 0; i < n; i++)
		tokens[i] = token_of(s, 1, i);
	prompt_hashes(s, 0, tokens, 0, n, logits, want);
	for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
		for (uint32_t pos = 0; pos < n; pos += sizes[k])
			prompt_hashes(s, 1, tokens, pos, n - pos < sizes[k] ? n - pos : sizes[k], logits,
				      got);
		uint32_t first = n, differ = 0;
		for (uint32_t i = n; i-- > 0;)
			if (got[i] != want[i]) {
				first = i;
				differ++;
			}
		if (differ)
			tell(s, false,
			     "%u tokens in steps of %u: %u positions differ from the whole, the first is %u",
			     n, sizes[k], differ, first);
		else
			tell(s, true, "%u tokens in steps of %u: the bits of the whole", n, sizes[k]);
	}
	free(logits);
	free(tokens);
	free(want);
	free(got);
	close_device(s);
}

/* ---- depths ---- */

/* The bits of the last of tokens from .. to, in steps of a batch. */
static uint64_t hash_after(struct subject *s, const int32_t *tokens, uint32_t from, uint32_t to,
			   float *logits)
{
	memset(logits, 0xFF, s->model.hp.n_vocab * sizeof *logits);
	for (uint32_t n; from <= to; from += n) {
		n = to + 1 - from < COMPUTE_MAX_BATCH ? to + 1 - from : COMPUTE_MAX_BATCH;
		struct compute_seq q = {
			.tokens = tokens + from,
			.n_tokens = n,
			.pos = from,
			.blocks = blocks_of(s, 0),
			.logits = from + n > to ? logits : NULL,
		};
		step(s, &q, 1);
	}
	return hash_floats(logits, s->model.hp.n_vocab);
}

/* Around the borders of attention's splits and of what is made of many of them. */
static void check_depths(struct subject *s)
{
	static const uint32_t depths[] = {1,     127,   128,   129,   255,   256,   383,
					  511,   1000,  4095,  4096,  8000,  16383, 16384,
					  16500, 16895, 16896, 20000, 29999, 30000, 32767};
	uint32_t from = 0, n = 0, differ = 0, first = 0;
	open_device(s, s->device, s->depth + 1, 1, COMPUTE_MAX_BATCH);
	float *logits = allocate(s->model.hp.n_vocab, sizeof *logits);
	int32_t *tokens = allocate(s->depth + 1, sizeof *tokens);
	for (uint32_t i = 0; i <= s->depth; i++)
		tokens[i] = token_of(s, 3, i);
	for (size_t i = 0; i < sizeof depths / sizeof depths[0] && depths[i] <= s->depth; i++, n++) {
		from = from < depths[i] ? from : depths[i] - 1; /* two tokens at least: no step of one */
		uint64_t want = hash_after(s, tokens, from, depths[i], logits);
		uint64_t got = hash_after(s, tokens, depths[i], depths[i], logits);
		if (got != want && !differ++)
			first = depths[i];
		from = depths[i] + 1;
	}
	if (differ)
		tell(s, false,
		     "%u of %u depths up to %u have other bits alone than in a chunk, the first is %u",
		     differ, n, s->depth, first);
	else
		tell(s, true, "a token alone at %u depths up to %u: the bits of a chunk", n, s->depth);
	free(logits);
	free(tokens);
	close_device(s);
}

/* ---- neighbours ---- */

/* How many tokens sequence k gives in step i: a prompt, then now one, now several. */
static uint32_t tokens_in_step(uint32_t k, uint32_t i)
{
	return i == 0 ? 1 + k * 13 % 47 : (i + k) % 4 == 0 ? 1 + k % 11 : 1;
}

/* The watched sequence's bits in each of N_ANSWER + 1 steps, beside n_others. */
static void run_beside(struct subject *s, uint32_t n_others, uint32_t n_prompt, float *logits, uint64_t *out)
{
	const struct sampling p = {.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1, .seed = 3};
	struct compute_seq seqs[MAX_SEQS];
	uint32_t at = n_others / 2, done[MAX_SEQS] = {0};
	int32_t *tokens = allocate((size_t)MAX_SEQS * s->n_ctx, sizeof *tokens);
	for (uint32_t k = 0; k < MAX_SEQS; k++)
		for (uint32_t i = 0; i < s->n_ctx; i++)
			tokens[(size_t)k * s->n_ctx + i] = token_of(s, k == at ? 1000 : k, i);
	for (uint32_t i = 0; i <= N_ANSWER; i++) {
		for (uint32_t k = 0; k <= n_others; k++) {
			bool watched = k == at;
			seqs[k] = (struct compute_seq){
				.tokens = tokens + (size_t)k * s->n_ctx + done[k],
				.n_tokens = watched ? (i ? 1 : n_prompt) : tokens_in_step(k, i),
				.pos = done[k],
				.blocks = blocks_of(s, k),
				.sampling = watched || k % 3 ? &p : NULL,
				.logits = watched ? logits : NULL,
			};
			done[k] += seqs[k].n_tokens;
		}
		memset(logits, 0xFF, s->model.hp.n_vocab * sizeof *logits);
		step(s, seqs, n_others + 1);
		uint32_t bits;
		memcpy(&bits, &seqs[at].logprob, sizeof bits);
		out[i] = hash_floats(logits, s->model.hp.n_vocab) * 31 + (uint32_t)seqs[at].token * 7 + bits;
	}
	free(tokens);
}

static void check_neighbours(struct subject *s)
{
	static const uint32_t others[] = {1, 7, 31};
	uint32_t n_prompt = s->n_prompt < 100 ? s->n_prompt : 100;
	uint64_t want[N_ANSWER + 1], got[N_ANSWER + 1];
	open_device(s, s->device, n_prompt + 12 * N_ANSWER + 64, MAX_SEQS, COMPUTE_MAX_BATCH);
	float *logits = allocate(s->model.hp.n_vocab, sizeof *logits);
	run_beside(s, 0, n_prompt, logits, want);
	for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
		run_beside(s, others[k], n_prompt, logits, got);
		uint32_t first = 0;
		while (first <= N_ANSWER && got[first] == want[first])
			first++;
		if (first <= N_ANSWER)
			tell(s, false, "beside %u others: other bits from step %u on", others[k], first);
		else
			tell(s, true, "%u + %d tokens beside %u others: the bits of one alone", n_prompt,
			     N_ANSWER, others[k]);
	}
	free(logits);
	close_device(s);
}

/* ---- steady ---- */

/* Each step of a length that has products of another shape than its neighbours', five times. */
static void check_steady(struct subject *s)
{
	enum { TIMES = 5 };
	uint32_t n_most = s->n_prompt < COMPUTE_MAX_BATCH ? s->n_prompt : COMPUTE_MAX_BATCH, n_lengths = 0,
		 n_bad = 0;
	open_device(s, s->device, n_most, 1, COMPUTE_MAX_BATCH);
	float *logits = allocate(s->model.hp.n_vocab, sizeof *logits);
	int32_t *tokens = allocate(n_most, sizeof *tokens);
	for (uint32_t i = 0; i < n_most; i++)
		tokens[i] = token_of(s, 0, i);
	for (uint32_t n = 1; n <= n_most; n += n < 40 ? 1 : 13, n_lengths++) {
		uint64_t first = 0;
		for (uint32_t k = 0; k < TIMES; k++) {
			struct compute_seq q = {
				.tokens = tokens, .n_tokens = n, .blocks = blocks_of(s, 0), .logits = logits};
			step(s, &q, 1);
			uint64_t hash = hash_floats(logits, s->model.hp.n_vocab);
			first = k ? first : hash;
			if (hash != first) {
				n_bad++;
				tell(s, false, "a step of %u tokens: other bits the %uth time", n, k + 1);
				break;
			}
		}
	}
	tell(s, !n_bad, "steps of %u lengths up to %u, each %d times: %u with other bits", n_lengths, n_most,
	     TIMES, n_bad);
	free(tokens);
	free(logits);
	close_device(s);
}

/* ---- together ---- */

/* Sequence k's bits in each of N_ANSWER + 1 steps beside n - 1 others: a prompt of its own length, each by
 * itself, then each has one token a step. greedy: the likeliest, and nobody wants logits; else drawn, and all
 * are told. */
static void run_together(struct subject *s, uint32_t first, uint32_t n, bool greedy, float *logits,
			 uint64_t out[MAX_SEQS][N_ANSWER + 1])
{
	const struct sampling p = {.temperature = greedy ? 0 : 1,
				   .top_p = greedy ? 1 : 0.9f,
				   .repetition_penalty = 1,
				   .seed = 3};
	size_t n_vocab = s->model.hp.n_vocab;
	struct compute_seq seqs[MAX_SEQS];
	for (uint32_t i = 0; i <= N_ANSWER; i++) {
		int32_t tokens[MAX_SEQS][300];
		for (uint32_t k = first; k < first + n; k++) {
			uint32_t n_prompt = 1 + k * 37 % 299;
			for (uint32_t j = 0; j < n_prompt; j++)
				tokens[k][j] = token_of(s, k, i + j);
			seqs[k - first] = (struct compute_seq){
				.tokens = tokens[k],
				.n_tokens = i ? 1 : n_prompt,
				.pos = i ? n_prompt + i - 1 : 0,
				.blocks = blocks_of(s, k),
				.sampling = &p,
				.logits = greedy ? NULL : logits + (k - first) * n_vocab,
			};
			if (i == 0)
				step(s, &seqs[k - first], 1);
		}
		if (i)
			step(s, seqs, n);
		for (uint32_t k = first; k < first + n; k++) {
			const struct compute_seq *seq = &seqs[k - first];
			uint32_t bits;
			memcpy(&bits, &seq->logprob, sizeof bits);
			out[k][i] = (uint32_t)seq->token * UINT64_C(7919) + bits;
			if (!greedy)
				out[k][i] += 31 * hash_floats(seq->logits, n_vocab);
		}
	}
}

static void check_together(struct subject *s)
{
	static const uint32_t counts[] = {2, 3, 4, 5, 6, 8, 9, 32};
	static uint64_t want[MAX_SEQS][N_ANSWER + 1], got[MAX_SEQS][N_ANSWER + 1],
		again[MAX_SEQS][N_ANSWER + 1];
	open_device(s, s->device, 300 + 2 * N_ANSWER, MAX_SEQS, COMPUTE_MAX_BATCH);
	float *logits = allocate((size_t)MAX_SEQS * s->model.hp.n_vocab, sizeof *logits);
	for (int greedy = 0; greedy < 2; greedy++) {
		uint32_t n_max = counts[sizeof counts / sizeof counts[0] - 1];
		for (uint32_t k = 0; k < n_max; k++)
			run_together(s, k, 1, greedy, logits, want);
		for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
			uint32_t n = counts[c], differ = 0;
			uint32_t unsteady = 0;
			run_together(s, 0, n, greedy, logits, got);
			run_together(s, 0, n, greedy, logits, again);
			for (uint32_t k = 0; k < n; k++) {
				differ += memcmp(got[k], want[k], sizeof got[k]) != 0;
				unsteady += memcmp(got[k], again[k], sizeof got[k]) != 0;
			}
			if (unsteady)
				tell(s, false, "%u together, %s: %u of them with other bits the second time",
				     n, greedy ? "greedy" : "drawn", unsteady);
			tell(s, !differ, "%u together, %s: %u of them with other bits than alone", n,
			     greedy ? "greedy" : "drawn", differ);
		}
	}
	free(logits);
	close_device(s);
}

/* ---- state ---- */

/* The prompt's full blocks of sequence 0 to or from bytes (n_full, bytes of a block in all groups). */
static void move_blocks(struct subject *s, uint32_t n_full, uint8_t *bytes, bool out)
{
	struct hokku_error err = {0};
	for (uint32_t i = 0; i < n_full; i++)
		for (uint32_t g = 0; g < s->model.n_kv_groups; g++) {
			uint32_t block = blocks_of(s, 0)[i];
			if (out ? compute_kv_read(s->compute, g, block, bytes, &err)
				: compute_kv_write(s->compute, g, block, bytes, &err))
				give_up(&err);
			bytes += compute_kv_bytes(s->compute, g);
		}
}

/* The rest of a prompt, then an answer token by token, as one does that is decoded greedily. */
static uint64_t go_on(struct subject *s, const int32_t *tokens, uint32_t from, uint32_t n)
{
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	int32_t last = 0;
	uint64_t hash = 0;
	for (uint32_t i = 0; i < N_ANSWER; i++) {
		struct compute_seq q = {
			.tokens = i ? &last : tokens + from,
			.n_tokens = i ? 1 : n - from,
			.pos = i ? n + i - 1 : from,
			.blocks = blocks_of(s, 0),
			.sampling = &greedy,
		};
		step(s, &q, 1);
		uint32_t bits;
		memcpy(&bits, &q.logprob, sizeof bits);
		last = q.token;
		hash = hash * UINT64_C(0x9E3779B97F4A7C15) + (uint32_t)last + ((uint64_t)bits << 32);
	}
	return hash;
}

static void check_state(struct subject *s)
{
	uint32_t n = s->n_prompt, n_full = (n - 1) / COMPUTE_KV_BLOCK, from = n_full * COMPUTE_KV_BLOCK;
	uint64_t block_bytes = 0, want, got;
	int32_t *tokens = allocate(n, sizeof *tokens);
	for (uint32_t i = 0; i < n; i++)
		tokens[i] = token_of(s, 2, i);
	open_device(s, s->device, n + N_ANSWER, 1, n);
	for (uint32_t g = 0; g < s->model.n_kv_groups; g++)
		block_bytes += compute_kv_bytes(s->compute, g);
	want = go_on(s, tokens, 0, n);
	uint8_t *bytes = allocate(n_full + 1, block_bytes);
	move_blocks(s, n_full, bytes, true); /* a step may have been begun ahead */
	close_device(s);
	open_device(s, s->device, n + 2 * N_ANSWER + 64, 1, n);
	move_blocks(s, n_full, bytes, false);
	got = go_on(s, tokens, from, n);
	tell(s, got == want, "%u blocks of %" PRIu64 " bytes in another handle: %s", n_full, block_bytes,
	     got == want ? "the bits of the unbroken run" : "other bits");
	close_device(s);
	free(bytes);
	free(tokens);
}

/* ---- ledger ---- */

static uint64_t free_vram(uint32_t index)
{
	const struct compute_plugin *plugin;
	struct hokku_error err = {0};
	uint64_t bytes;
	if (plugin_get(&plugin, &err) || plugin->free_bytes(index, &bytes, &err))
		give_up(&err);
	return bytes;
}

/* A prompt, an answer alone, and one beside 31 others: the kernels of every kind of step. */
static void run_all_kinds(struct subject *s, uint32_t n_prompt, float *logits)
{
	uint64_t bits[N_ANSWER + 1];
	run_beside(s, 0, n_prompt, logits, bits);
	run_once(s, 0, n_prompt, logits);
	run_beside(s, MAX_SEQS - 1, n_prompt, logits, bits);
}

/* Opens the model and runs it: is what the driver has less of the sum of all classes (if with_runtime), or of
 * those that hokku asks for? */
static void compare_ledger(struct subject *s, unsigned index, const char *when, bool with_runtime,
			   float *logits)
{
	const double mib = 1 << 20;
	struct compute_memory m;
	uint32_t n_prompt = s->n_prompt < LEDGER_PROMPT ? s->n_prompt : LEDGER_PROMPT;
	uint64_t before = free_vram(index);
	open_device(s, s->device, n_prompt + 12 * N_ANSWER + 64, MAX_SEQS, COMPUTE_MAX_BATCH);
	uint64_t opened = free_vram(index);
	run_all_kinds(s, n_prompt, logits);
	uint64_t after = free_vram(index);
	compute_get_memory(s->compute, &m);
	uint64_t own = m.weight_bytes + m.kv_bytes + m.scratch_bytes + m.graph_bytes;
	uint64_t sum = own + (with_runtime ? m.runtime_bytes : 0);
	double fell = (double)before - (double)after, difference = fell - (double)sum;
	tell(s, before > after && fabs(difference) <= LEDGER_SLACK,
	     "%s, the ledger says %.1f MiB%s (and the runtime's %.1f), the driver %.1f: %.1f apart, %d "
	     "allowed; %.1f of it since the opening",
	     when, (double)sum / mib, with_runtime ? " in all" : " without runtime",
	     (double)m.runtime_bytes / mib, fell / mib, difference / mib, LEDGER_SLACK >> 20,
	     ((double)opened - (double)after) / mib);
	close_device(s);
	uint64_t left = free_vram(index);
	if (!with_runtime)
		tell(s, left + LEDGER_SLACK >= before, "closed, %.1f MiB are not given back",
		     ((double)before - (double)left) / mib);
}

/* To be the first check of a process: then the first opening is what a user's is, with kernels that the
 * driver has not loaded. */
static void check_ledger(struct subject *s)
{
	unsigned index = 0;
	if (strncmp(s->device, "cuda", 4) != 0) {
		printf("SKIP %s: %s has no ledger\n", s->model.name, s->device);
		return;
	}
	sscanf(s->device, "cuda:%u", &index);
	free_vram(index); /* makes the context */
	float *logits = allocate(s->model.hp.n_vocab, sizeof *logits);
	compare_ledger(s, index, "opened first", true, logits);
	compare_ledger(s, index, "opened again", false, logits);
	free(logits);
}

/* ---- greedy ---- */

static const char *const themes[] = {
	"rain",
	"snow",
	"the sea",
	"an old bicycle",
	"coffee",
	"my grandmother",
	"the night train",
	"fireflies",
	"winter",
	"wild geese",
	"a stray dog",
	"silence",
	"rust",
	"the harbor",
	"love",
	"an empty house",
	"moss",
	"the kitchen",
	"stars",
	"tea",
};
enum { N_THEMES = sizeof themes / sizeof themes[0] };

/* An answer, and the logits that each of its tokens was drawn from. */
struct answer {
	int32_t tokens[MAX_ANSWER];
	uint32_t n;
	float *logits; /* (MAX_ANSWER, n_vocab) */
};

static void answer_greedily(struct subject *s, const struct tok *t, const struct tok_ids *prompt,
			    struct answer *a)
{
	const struct sampling greedy = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};
	for (a->n = 0; a->n < MAX_ANSWER && (!a->n || !tok_is_end(t, a->tokens[a->n - 1]));) {
		uint32_t n_prompt = (uint32_t)prompt->n;
		struct compute_seq q = {
			.tokens = a->n ? &a->tokens[a->n - 1] : prompt->ids,
			.n_tokens = a->n ? 1 : n_prompt,
			.pos = a->n ? n_prompt + a->n - 1 : 0,
			.blocks = blocks_of(s, 0),
			.sampling = &greedy,
			.logits = a->logits + (size_t)a->n * s->model.hp.n_vocab,
		};
		step(s, &q, 1);
		a->tokens[a->n++] = q.token;
	}
}

static void print_answer(const char *device, const struct tok *t, const struct answer *a)
{
	printf("     %s:", device);
	for (uint32_t i = 0; i < a->n; i++) {
		struct str text = tok_bytes(t, a->tokens[i]);
		for (size_t k = 0; k < text.len; k++)
			text.ptr[k] == '\n' ? printf(" / ") : putchar(text.ptr[k]);
	}
	printf("\n");
}

/* Between the two likeliest, of the largest magnitude. */
static double top_gap(const float *logits, uint32_t n)
{
	float first = -INFINITY, second = -INFINITY, largest = 0;
	for (uint32_t i = 0; i < n; i++) {
		largest = fmaxf(largest, fabsf(logits[i]));
		if (logits[i] > first) {
			second = first;
			first = logits[i];
		} else if (logits[i] > second) {
			second = logits[i];
		}
	}
	return ((double)first - (double)second) / (double)largest;
}

/* True if they agree, or part where the reference itself stands within rounding. */
static bool compare_answers(const struct subject *s, const struct tok *t, const char *theme,
			    const struct answer *want, const struct answer *got, bool *same)
{
	uint32_t i = 0;
	while (i < want->n && i < got->n && want->tokens[i] == got->tokens[i])
		i++;
	*same = i == want->n && i == got->n;
	if (*same)
		return true;
	double gap = top_gap(want->logits + (size_t)i * s->model.hp.n_vocab, s->model.hp.n_vocab);
	printf("     \"%s\" differs from token %u on; the two likeliest there are %.1e of the largest logit "
	       "apart\n",
	       theme, i, gap);
	print_answer("cpu:reference", t, want);
	print_answer(s->device, t, got);
	return gap <= 1e-6;
}

static void make_prompt(const struct chat *chat, const struct tok *t, const char *theme, struct tok_ids *out)
{
	struct hokku_error err = {0};
	char text[128];
	snprintf(text, sizeof text, "Write a haiku about %s.", theme);
	const struct chat_message message = {.role = STR_LIT("user"), .content = str_c(text)};
	out->n = 0;
	if (chat_render(chat, t, &(struct chat_input){.messages = &message, .n_messages = 1}, out, NULL,
			&err))
		give_up(&err);
}

static void check_greedy(struct subject *s)
{
	struct hokku_error err = {0};
	struct tok *t;
	struct chat chat;
	struct tok_ids prompt = {0};
	static struct answer want[N_THEMES];
	struct answer got = {.logits = allocate((size_t)MAX_ANSWER * s->model.hp.n_vocab, sizeof(float))};
	uint32_t n_same = 0;
	bool good = true;
	if (engine_open_tok(s->file, &t, &chat, (struct str){NULL, 0}, &err))
		give_up(&err);
	open_device(s, "cpu:reference", 256, 1, 256);
	for (uint32_t i = 0; i < s->n_themes; i++) {
		make_prompt(&chat, t, themes[i], &prompt);
		want[i].logits = allocate((size_t)MAX_ANSWER * s->model.hp.n_vocab, sizeof(float));
		answer_greedily(s, t, &prompt, &want[i]);
	}
	close_device(s);
	open_device(s, s->device, 256, 1, 256);
	for (uint32_t i = 0; i < s->n_themes; i++) {
		bool same;
		make_prompt(&chat, t, themes[i], &prompt);
		answer_greedily(s, t, &prompt, &got);
		good = compare_answers(s, t, themes[i], &want[i], &got, &same) && good;
		n_same += same;
		free(want[i].logits);
	}
	tell(s, good, "%u of %u greedy answers are those of cpu:reference", n_same, s->n_themes);
	close_device(s);
	free(got.logits);
	tok_ids_free(&prompt);
	chat_deinit(&chat);
	tok_destroy(t);
}

/* ---- the command line ---- */

static const struct {
	const char *name;
	void (*run)(struct subject *s);
} checks[] = {
	{"repeat", check_repeat},         {"chunks", check_chunks},     {"depths", check_depths},
	{"neighbours", check_neighbours}, {"together", check_together}, {"state", check_state},
	{"ledger", check_ledger},         {"greedy", check_greedy},     {"steady", check_steady},
};
enum { N_CHECKS = sizeof checks / sizeof checks[0] };

static int usage(void)
{
	fprintf(stderr,
		"usage: gpu_exact MODEL.gguf|haiku [--device NAME] [--prompt N] [--depth N] [--themes N] "
		"repeat|chunks|depths|neighbours|steady|together|state|ledger|greedy ...\n");
	return 2;
}

static bool run_check(struct subject *s, const char *name)
{
	for (size_t k = 0; k < N_CHECKS; k++)
		if (strcmp(checks[k].name, name) == 0) {
			uint64_t start = clock_ns();
			checks[k].run(s);
			fprintf(stderr, "     %s took %.1f s\n", name, clock_ms_since(start) * 1e-3);
			return true;
		}
	return false;
}

int main(int argc, char **argv)
{
	struct subject s = {.device = "cuda", .n_prompt = 600, .n_themes = N_THEMES, .depth = 2000};
	if (argc < 3)
		return usage();
	s.path = argv[1];
	open_file(&s);
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--device") == 0 && i + 1 < argc)
			s.device = argv[++i];
		else if (strcmp(argv[i], "--prompt") == 0 && i + 1 < argc)
			s.n_prompt = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--depth") == 0 && i + 1 < argc)
			s.depth = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--themes") == 0 && i + 1 < argc)
			s.n_themes = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (s.n_themes < 1 || s.n_themes > N_THEMES)
			return usage();
		else if (s.n_prompt < 1 || s.n_prompt > COMPUTE_MAX_BATCH)
			return usage();
		else if (s.depth < 1 || s.depth > MAX_DEPTH)
			return usage();
		else if (!run_check(&s, argv[i]))
			return usage();
	}
	model_unbind(&s.model);
	gguf_close(s.file);
	return s.failed;
}
