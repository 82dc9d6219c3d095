/*
 * Whole golden models on the device, in every way that the backend has to run them: the promise of compute.h
 * bit for bit. Chunks, neighbours, where KV blocks lie and in which order the device runs its threads change
 * nothing.
 */
#include "compute/cuda/decode/decode_path.h"
#include "ways.h"

static void assert_rows(const struct tiny *t, const char *what, const float *got, const float *want,
			uint32_t from, uint32_t n)
{
	for (uint32_t p = from; p < from + n; p++)
		if (memcmp(got + (size_t)p * t->n_vocab, want + (size_t)p * t->n_vocab,
			   t->n_vocab * sizeof *got) != 0)
			fail_msg("%s, %s: the logits of position %u differ", t->name, what, p);
}

/* One cut into steps with other KV blocks, another schedule and, where asked, device memory that is out of
 * reach but for the device. */
struct cut {
	uint32_t chunk, shift, n_batch;
	uint64_t seed;
	bool fence;
};

static void check_cut(const struct tiny *t, const char *format, const struct cut *cut, const float *whole)
{
	struct direct d;
	struct cudasim_settings plain, s;
	float *got = logits_of(t);
	cudasim_get(&plain);
	s = plain;
	s.seed = cut->seed;
	s.fence = cut->fence;
	cudasim_set(&s);
	open_tiny(&d, t, format, 1, cut->n_batch, cut->shift);
	direct_logits(&d, 0, t->prompt, t->n_prompt, cut->chunk, got);
	assert_rows(t, "cut into steps", got, whole, 0, t->n_prompt);
	direct_close(&d);
	cudasim_set(&plain);
	free(got);
}

/* The emulator runs one layer of the models whose widths are the point; "odd" keeps its two. */
static struct tiny with_layers(const char *name)
{
	struct tiny t = *tiny_find(&set, name);
	if (!full_sizes() && strcmp(name, "odd") != 0)
		t.n_layers = 1;
	return t;
}

/* On a device each format runs in both precisions of the tile path. On the emulator each of exact and
 * long_rows takes it in one, the other's other one: what unpacks a format is the same. */
static bool runs_here(const char *precision)
{
	return full_sizes() || !*way->precision || strcmp(way->precision, precision) == 0;
}

/* Steps of one token are a kernel of their own on the tile path; to the plain one they are what steps of 7
 * are. */
static unsigned first_cut(unsigned n_cuts)
{
	return !full_sizes() && n_cuts > 1 && strcmp(way->path, "plain") == 0;
}

static void exact(void **state)
{
	(void)state;
	static const struct cut cuts[] = {
		{1, 1, 0, 0, false}, {7, 2, 0, 1000, false}, {17, 0, 17, 0, true}, {33, 3, 40, 3000, false}};
	static const struct {
		const char *name, *format;
		unsigned n_cuts;
		const char *precision; /* the emulator's */
	} cases[] = {
		{"odd", "F32", 4, "full"},       {"odd", "F16", 4, "half"},     {"gqa7", "Q5_1", 1, "half"},
		{"mha128", "MIXED", 2, "full"},  {"mha128", "Q4_K", 2, "half"}, {"mha128", "Q6_K", 1, "full"},
		{"gqa7x128", "Q8_0", 2, "half"}, {"gqa7", "BF16", 2, "full"},   {"odd", "BF16", 1, "half"},
		{"mha128", "Q2_K", 2, "half"},   {"mha128", "Q3_K", 1, "full"}, {"gqa7", "IQ4_NL", 2, "half"},
		{"mha128", "IQ4_XS", 1, "full"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (!runs_here(cases[i].precision))
			continue;
		const struct tiny layers = with_layers(cases[i].name), *t = &layers;
		struct direct d;
		float *whole = logits_of(t);
		open_tiny(&d, t, cases[i].format, 1, 0, 0);
		direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, whole);
		direct_close(&d);
		for (unsigned k = first_cut(cases[i].n_cuts); k < cases[i].n_cuts; k++)
			check_cut(t, cases[i].format, &cuts[k], whole);
		free(whole);
	}
}

/* The same where KV memory stores less than the path computes with. */
static void exact_of_types(void **state)
{
	(void)state;
	static const struct cut cuts[] = {
		{1, 1, 0, 0, false}, {7, 2, 0, 1000, false}, {33, 3, 40, 3000, true}};
	static const struct {
		const char *name, *format;
		struct cache_types types;
	} cases[] = {{"odd", "F32", {CACHE_Q8_0, CACHE_Q8_0}},
		     {"gqa7", "Q5_1", {CACHE_Q8_0, CACHE_F16}},
		     {"odd", "BF16", {CACHE_BF16, CACHE_Q8_0}}};
	const struct cache_types both = {CACHE_Q8_0, CACHE_Q8_0}; /* what other paths than plain store */
	bool plain = strcmp(way->path, "plain") == 0;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct tiny layers = with_layers(cases[i].name), *t = &layers;
		struct direct d;
		float *whole = logits_of(t);
		cache = plain ? cases[i].types : both;
		open_tiny(&d, t, cases[i].format, 1, 0, 0);
		direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, whole);
		direct_close(&d);
		for (unsigned k = first_cut(3); k < 3; k++)
			check_cut(t, cases[i].format, &cuts[k], whole);
		free(whole);
	}
	cache = (struct cache_types){CACHE_DEFAULT, CACHE_DEFAULT};
}

/* Rows so long that segments are cut into parcels, of several units or of one: 37 units of 256 columns, 296
 * of 32. */
static void long_rows(void **state)
{
	(void)state;
	static const struct {
		const char *format, *precision; /* the emulator's */
	} cases[] = {{"BF16", "half"}, {"F32", "half"},  {"Q4_K", "full"},
		     {"Q2_K", "full"}, {"Q3_K", "half"}, {"IQ4_NL", "full"}};
	static const struct cut cut = {1, 1, 0, 0, false};
	if (strcmp(way->path, "plain") == 0)
		skip();
	struct tiny t = *tiny_find(&set, "mha128");
	t.d_ff = 256 * 37;
	t.n_layers = 1;
	t.n_prompt = 9;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (!runs_here(cases[i].precision))
			continue;
		struct direct d;
		float *whole = logits_of(&t);
		open_tiny(&d, &t, cases[i].format, 1, 0, 0);
		assert_non_null(decode_of(d.self));
		direct_logits(&d, 0, t.prompt, t.n_prompt, t.n_prompt, whole);
		direct_close(&d);
		check_cut(&t, cases[i].format, &cut, whole);
		free(whole);
	}
}

/* Rings as small as the plan lets them be: a parcel fits, the next one hardly ever beside it. */
static void small_rings(void **state)
{
	(void)state;
	static const char *const formats[] = {"F16", "Q4_K"};
	if (strcmp(way->path, "plain") == 0)
		skip();
	struct tiny t = *tiny_find(&set, "mha128");
	t.d_ff = 256 * 37;
	t.n_layers = 1;
	t.n_prompt = 3;
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		struct direct d;
		float *want = logits_of(&t), *got = logits_of(&t);
		open_tiny(&d, &t, formats[i], 1, 0, 0);
		direct_logits(&d, 0, t.prompt, t.n_prompt, 1, want);
		decode_of(d.self)->args.ring_bytes = DECODE_PARCEL_BYTES;
		direct_logits(&d, 0, t.prompt, t.n_prompt, 1, got);
		assert_rows(&t, "small rings", got, want, 0, t.n_prompt);
		direct_close(&d);
		free(want);
		free(got);
	}
}

/* Three sequences of the same tokens in one step, each at another position; then a token each, drawn. */
static void neighbours(void **state)
{
	(void)state;
	const struct tiny *t = tiny_find(&set, "odd");
	const uint32_t starts[] = {0, 5, 17}, lengths[] = {9, 1, t->n_prompt - 18};
	const struct sampling p = {.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1.2f, .seed = 5};
	float *whole = logits_of(t), *got[3];
	struct direct d;
	struct compute_seq seqs[3];
	struct hokku_error err = {0};
	open_tiny(&d, t, "BF16", 3, 0, 0);
	direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, whole);
	for (uint32_t s = 0; s < 3; s++) {
		got[s] = logits_of(t);
		if (starts[s])
			direct_logits(&d, s, t->prompt, starts[s], starts[s], got[s]);
		seqs[s] = (struct compute_seq){
			.tokens = t->prompt + starts[s],
			.n_tokens = lengths[s],
			.pos = starts[s],
			.blocks = direct_blocks(&d, s),
			.logits = got[s] + (size_t)starts[s] * t->n_vocab,
			.all_logits = true,
		};
	}
	assert_int_equal(compute_cuda.step(d.self, seqs, 3, &err), HOKKU_OK);
	struct compute_seq alone[3];
	for (uint32_t s = 0; s < 3; s++) {
		uint32_t next = starts[s] + lengths[s];
		assert_rows(t, "three in a step", got[s], whole, starts[s], lengths[s]);
		seqs[s] = (struct compute_seq){
			.tokens = t->prompt + next,
			.n_tokens = 1,
			.pos = next,
			.blocks = direct_blocks(&d, s),
			.logits = s == 1 ? NULL : got[s] + (size_t)next * t->n_vocab,
			.sampling = s == 2 ? NULL : &p,
			.history = t->prompt,
			.n_history = next + 1,
			.n_prompt = 3,
			.token = -2,
		};
		alone[s] = seqs[s];
		alone[s].logits = NULL;
		alone[s].sampling = &p;
		assert_int_equal(compute_cuda.step(d.self, &alone[s], 1, &err), HOKKU_OK);
	}
	assert_int_equal(compute_cuda.step(d.self, seqs, 3, &err), HOKKU_OK);
	for (uint32_t s = 0; s < 3; s++) {
		if (s != 1)
			assert_rows(t, "three decoding", got[s], whole, starts[s] + lengths[s], 1);
		assert_int_equal(seqs[s].token, s == 2 ? -2 : alone[s].token);
		if (s != 2)
			assert_memory_equal(&seqs[s].logprob, &alone[s].logprob, sizeof(float));
		free(got[s]);
	}
	free(whole);
	direct_close(&d);
}

enum {
	AHEAD_PROMPT = COMPUTE_KV_BLOCK - 5, /* steps go on into a second block */
	AHEAD_STEPS = 12,
	AHEAD_IDS = AHEAD_PROMPT + AHEAD_STEPS,
	AHEAD_SEQS = 3,
	AHEAD_SKIPS = 8,
};

/* Some sequences that decode for a while, in turn ahead of the host and not. */
struct ahead_run {
	struct direct d;
	uint32_t n;
	struct sampling sampling[AHEAD_SEQS];
	int32_t ids[AHEAD_SEQS][AHEAD_IDS]; /* -1: it is being drawn */
	float logprobs[AHEAD_SEQS][AHEAD_IDS];
	struct compute_seq seqs[2][AHEAD_SEQS];
	uint32_t who[2][AHEAD_SEQS]; /* whose each of these is */
	uint32_t n_seqs[2], place[AHEAD_SEQS], pos[AHEAD_SEQS];
	bool open[AHEAD_SEQS];
	uint64_t ids_from; /* numbers of the sequences; their places are the same in every run */
};

/* Step i of the sequences, in an order of its own; the second of several is left out of one step. */
static void ahead_lay_out(struct ahead_run *r, uint32_t i)
{
	uint32_t n = 0, now = i % 2;
	for (uint32_t k = 0; k < r->n; k++) {
		uint32_t s = (k + i) % r->n;
		if (s == 1 && i == AHEAD_SKIPS)
			continue;
		uint32_t pos = r->pos[s], n_tokens = pos ? 1 : AHEAD_PROMPT;
		r->who[now][n] = s;
		r->seqs[now][n++] = (struct compute_seq){
			.tokens = &r->ids[s][pos],
			.n_tokens = n_tokens,
			.from = r->open[s] ? r->place[s] + 1 : 0,
			.pos = pos,
			.blocks = direct_blocks(&r->d, s),
			.sampling = &r->sampling[s],
			.history = r->ids[s],
			.id = r->ids_from + s,
			.slot = AHEAD_SEQS - 1 - s,
			.n_history = pos + n_tokens,
			.n_prompt = AHEAD_PROMPT,
			.token = -7,
		};
	}
	r->n_seqs[now] = n;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t s = r->who[now][k];
		r->place[s] = k;
		r->open[s] = true;
		r->pos[s] += r->seqs[now][k].n_tokens;
		if (r->pos[s] < AHEAD_IDS)
			r->ids[s][r->pos[s]] = -1;
	}
}

static void ahead_take(struct ahead_run *r, uint32_t now)
{
	for (uint32_t k = 0; k < r->n_seqs[now]; k++) {
		const struct compute_seq *seq = &r->seqs[now][k];
		uint32_t s = r->who[now][k], end = seq->pos + seq->n_tokens;
		if (end < AHEAD_IDS)
			r->ids[s][end] = seq->token;
		r->logprobs[s][end - 1] = seq->logprob;
		r->open[s] = r->pos[s] > end; /* of the step that is under way */
	}
}

static void ahead_run(struct ahead_run *r, bool ahead)
{
	struct hokku_error err = {0};
	memset(r->pos, 0, sizeof r->pos);
	memset(r->open, 0, sizeof r->open);
	for (uint32_t i = 0; i < AHEAD_STEPS; i++) {
		uint32_t now = i % 2;
		ahead_lay_out(r, i);
		assert_int_equal(compute_cuda.submit(r->d.self, r->seqs[now], r->n_seqs[now], &err),
				 HOKKU_OK);
		uint32_t which = ahead ? 1 - now : now;
		if (ahead && i == 0)
			continue;
		assert_int_equal(compute_cuda.collect(r->d.self, r->seqs[which], r->n_seqs[which], &err),
				 HOKKU_OK);
		ahead_take(r, which);
	}
	if (!ahead)
		return;
	uint32_t last = (AHEAD_STEPS - 1) % 2;
	assert_int_equal(compute_cuda.collect(r->d.self, r->seqs[last], r->n_seqs[last], &err), HOKKU_OK);
	ahead_take(r, last);
}

/* A step that is submitted while the one before is under way, and whose tokens that one draws, gives the bits
 * of a step that was asked for when they were known: greedy, drawn, and with penalties over what is still
 * being drawn. */
static void running_ahead(void **state)
{
	(void)state;
	const struct tiny layers = with_layers("gqa7"),
			  *t = &layers; /* of widths that the decode kernel takes */
	for (uint32_t kind = 0; kind < 3; kind++)
		for (uint32_t n = 1; n <= AHEAD_SEQS; n += 2) {
			/* on the emulator in turn: in one precision alone, in the other together */
			if (!runs_here((kind + n / 2) % 2 ? "half" : "full"))
				continue;
			struct ahead_run r = {.n = n, .ids_from = 1};
			open_tiny(&r.d, t, "F16", AHEAD_SEQS, 0, 0);
			for (uint32_t s = 0; s < n; s++) {
				r.sampling[s] = (struct sampling){.temperature = kind ? 1.5f : 0,
								  .top_p = 1,
								  .repetition_penalty = kind == 2 ? 1.5f : 1,
								  .frequency_penalty = kind == 2 ? 0.5f : 0,
								  .seed = s};
				for (uint32_t i = 0; i < AHEAD_PROMPT; i++)
					r.ids[s][i] = t->prompt[(s + i) % t->n_prompt];
			}
			unsigned start = cudasim_launches();
			ahead_run(&r, false);
			struct ahead_run before = r;
			unsigned launches = cudasim_launches();
			r.ids_from = before.ids_from + AHEAD_SEQS;
			ahead_run(&r, true);
			assert_memory_equal(r.ids, before.ids, sizeof r.ids);
			assert_memory_equal(r.logprobs, before.logprobs, sizeof r.logprobs);
			/* one launch a token behind the prompt, where the decode kernel does it all: as many
			 * as when nothing ran ahead */
			if (CUDASIM_PRESENT && strcmp(way->path, "tile") == 0 && n == 1 && kind == 0)
				assert_int_equal(cudasim_launches() - launches, launches - start);
			direct_close(&r.d);
		}
}

/* Masks that follow, in whatever order and after the next step was submitted, give what masks give that were
 * there; the others' draws have not waited. */
static void masks_follow(void **state)
{
	(void)state;
	enum { SEQS = 3, WORDS = 16 };
	const struct tiny *t = tiny_find(&set, "gqa7");
	assert_true(t->n_vocab <= 32 * WORDS);
	n_open_masks = 2;
	for (uint32_t n = 1; n <= SEQS; n += 2) {
		struct direct d;
		struct hokku_error err = {0};
		struct sampling p[SEQS];
		struct compute_seq seqs[SEQS], there[SEQS], next;
		uint32_t masks[SEQS][WORDS] = {{0}};
		open_tiny(&d, t, "F16", SEQS, 0, 0);
		for (uint32_t s = 0; s < n; s++) {
			p[s] = (struct sampling){
				.temperature = s ? 2 : 0, .top_p = 1, .repetition_penalty = 1.5f, .seed = s};
			for (uint32_t i = s; i < t->n_vocab; i += 7)
				masks[s][i / 32] |= 1u << (i % 32);
			there[s] = (struct compute_seq){.tokens = t->prompt,
							.n_tokens = n == 1 ? 1 : 2 + s,
							.blocks = direct_blocks(&d, s),
							.sampling = &p[s],
							.history = t->prompt,
							.n_history = n == 1 ? 1 : 2 + s,
							.id = 1 + s,
							.slot = s,
							.mask = masks[s]};
			seqs[s] = there[s];
			seqs[s].id += SEQS;
			seqs[s].mask_open = n == 1 || s; /* the first of several has its own */
			seqs[s].mask = seqs[s].mask_open ? NULL : masks[s];
		}
		assert_int_equal(compute_cuda.step(d.self, there, n, &err), HOKKU_OK);
		assert_int_equal(compute_cuda.submit(d.self, seqs, n, &err), HOKKU_OK);
		next = (struct compute_seq){.tokens = t->prompt,
					    .from = 1,
					    .n_tokens = 1,
					    .pos = 2,
					    .blocks = direct_blocks(&d, 0),
					    .sampling = &p[0]};
		if (n > 1)
			assert_int_equal(compute_cuda.submit(d.self, &next, 1, &err), HOKKU_OK);
		for (uint32_t s = n; s-- > 0;)
			if (seqs[s].mask_open)
				assert_int_equal(compute_cuda.mask(d.self, s, masks[s], &err), HOKKU_OK);
		assert_int_equal(compute_cuda.collect(d.self, seqs, n, &err), HOKKU_OK);
		for (uint32_t s = 0; s < n; s++) {
			assert_int_equal(seqs[s].token, there[s].token);
			assert_int_equal(seqs[s].token % 7, s);
			assert_memory_equal(&seqs[s].logprob, &there[s].logprob, sizeof(float));
		}
		if (n > 1)
			assert_int_equal(compute_cuda.collect(d.self, &next, 1, &err), HOKKU_OK);
		/* one that does not come is drawn nothing for, and the next time it does */
		for (int comes = 0; comes < 2; comes++) {
			struct compute_seq again = seqs[n - 1];
			again.mask_open = true;
			again.token = -7;
			assert_int_equal(compute_cuda.submit(d.self, &again, 1, &err), HOKKU_OK);
			if (comes)
				assert_int_equal(compute_cuda.mask(d.self, 0, masks[n - 1], &err), HOKKU_OK);
			else
				again.sampling = NULL;
			assert_int_equal(compute_cuda.collect(d.self, &again, 1, &err), HOKKU_OK);
			assert_int_equal(again.token, comes ? there[n - 1].token : -7);
		}
		direct_close(&d);
	}
	n_open_masks = 0;
}

/* Closed with a step under way. */
static void closed_under_way(void **state)
{
	(void)state;
	const struct tiny *t = tiny_find(&set, "gqa7");
	struct ahead_run r = {.n = 1, .sampling = {{.top_p = 1, .repetition_penalty = 1}}};
	struct hokku_error err = {0};
	open_tiny(&r.d, t, "F16", AHEAD_SEQS, 0, 0);
	for (uint32_t i = 0; i < 2; i++) {
		ahead_lay_out(&r, i);
		assert_int_equal(compute_cuda.submit(r.d.self, r.seqs[i], 1, &err), HOKKU_OK);
	}
	direct_close(&r.d);
}

/* More rows of logits, and more draws, than are computed together. */
static void many_draws(void **state)
{
	(void)state;
	enum { N = TILE_LOGIT_ROWS + 3 };
	const struct tiny *t = tiny_find(&set, "odd");
	struct direct d;
	struct hokku_error err = {0};
	struct compute_seq seqs[N];
	struct sampling p[N];
	open_tiny(&d, t, "F32", N, 0, 0);
	for (uint32_t s = 0; s < N; s++) {
		p[s] = (struct sampling){.temperature = 2, .top_p = 1, .repetition_penalty = 1, .seed = s};
		seqs[s] = (struct compute_seq){.tokens = t->prompt + s % 7,
					       .n_tokens = 1 + s % 3,
					       .blocks = direct_blocks(&d, s),
					       .sampling = s % 5 == 4 ? NULL : &p[s]};
	}
	assert_int_equal(compute_cuda.step(d.self, seqs, N, &err), HOKKU_OK);
	for (uint32_t s = 0; s < N; s++) {
		struct compute_seq alone = seqs[s];
		alone.sampling = &p[s];
		assert_int_equal(compute_cuda.step(d.self, &alone, 1, &err), HOKKU_OK);
		if (seqs[s].sampling) {
			assert_int_equal(seqs[s].token, alone.token);
			assert_memory_equal(&seqs[s].logprob, &alone.logprob, sizeof(float));
		}
	}
	direct_close(&d);
}

/* One token after another across the borders of attention's splits (128 and 256): the logits of the whole
 * prompt in one step. A greedy draw that a path makes in its own way, of one token, is the sampler's, which a
 * bias of nothing asks for. */
static void across_splits(void **state)
{
	(void)state;
	enum { N = 260, CTX = 320 };
	static const uint32_t steps[] = {126, 1, 1, 1, 125, 1, 1, 1, 1, 1, 1};
	static const char *const models[] = {"gqa7", "gqa7x128", "gqa7"};
	static const struct cache_types caches[] = {{0}, {0}, {CACHE_Q8_0, CACHE_Q8_0}};
	const struct hokku_logit_bias nothing = {3, 0.0f};
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	struct sampling sampled = greedy;
	sampled.bias = &nothing;
	sampled.n_bias = 1;
	for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
		const struct tiny layers = with_layers(models[m]), *t = &layers;
		size_t row = t->n_vocab;
		float *whole = calloc(N * row, sizeof *whole), *got = calloc(N * row, sizeof *got);
		struct direct d;
		struct hokku_error err = {0};
		int32_t ids[N];
		assert_true(whole && got);
		for (uint32_t i = 0; i < N; i++)
			ids[i] = (int32_t)(i * 7919u % t->n_vocab);
		cache = caches[m];
		open_long(&d, t, "Q8_0", CTX, 2, 0, 0);
		direct_logits(&d, 0, ids, N, N, whole);
		for (uint32_t i = 0, pos = 0; pos < N; pos += steps[i++]) {
			struct compute_seq seq = {.tokens = ids + pos,
						  .n_tokens = steps[i],
						  .pos = pos,
						  .blocks = direct_blocks(&d, 1),
						  .sampling = &greedy,
						  .logits = got + pos * row,
						  .all_logits = true};
			struct compute_seq again = seq;
			assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
			again.sampling = &sampled;
			if (steps[i] == 1 || full_sizes()) {
				assert_int_equal(compute_cuda.step(d.self, &again, 1, &err), HOKKU_OK);
				assert_int_equal(seq.token, again.token);
				assert_memory_equal(&seq.logprob, &again.logprob, sizeof(float));
			}
			assert_memory_equal(got + pos * row, whole + pos * row, steps[i] * row * sizeof *got);
		}
		direct_close(&d);
		free(whole);
		free(got);
	}
	cache = caches[0];
}

/* What a step of one token of each of n sequences gives each of them is what it has alone; with steps of
 * other numbers before, on both sides of what the decode kernel takes, and (in turn) drawn by it and by the
 * sampler. */
static void each_as_alone(struct direct *d, const struct tiny *t, uint32_t n, const uint32_t *pos,
			  const int32_t *ids, bool greedy)
{
	enum { MOST = 16 };
	static const struct sampling likeliest = {.top_p = 1, .repetition_penalty = 1},
				     weighted = {.temperature = 1.5f, .top_p = 0.9f, .repetition_penalty = 1};
	struct compute_seq seqs[MOST], alone[MOST];
	struct hokku_error err = {0};
	size_t row = t->n_vocab;
	float *want = calloc(n * row, sizeof *want), *got = calloc(n * row, sizeof *got);
	assert_true(n <= MOST && want && got);
	for (uint32_t s = 0; s < n; s++) {
		bool quiet = !greedy && s % 3 == 1; /* nothing is drawn or told of it, but its KV memory */
		alone[s] = (struct compute_seq){.tokens = ids + s,
						.n_tokens = 1,
						.pos = pos[s],
						.blocks = direct_blocks(d, s),
						.sampling = quiet             ? NULL
							    : greedy || s % 2 ? &likeliest
									      : &weighted,
						.logits = quiet || (greedy && s % 2) ? NULL : want + s * row};
		assert_int_equal(compute_cuda.step(d->self, &alone[s], 1, &err), HOKKU_OK);
		seqs[s] = alone[s];
		seqs[s].logits = alone[s].logits ? got + s * row : NULL;
		seqs[s].token = -7;
	}
	unsigned launches = cudasim_launches();
	assert_int_equal(compute_cuda.step(d->self, seqs, n, &err), HOKKU_OK);
	const struct decode_handle *few = decode_few_of(d->self);
	if (CUDASIM_PRESENT && n > 1 && n <= few->args.most_seqs) /* by the decode kernel */
		assert_int_equal(cudasim_launches() - launches, 1 + !greedy);
	assert_memory_equal(got, want, n * row * sizeof *got);
	for (uint32_t s = 0; s < n; s++)
		if (alone[s].sampling) {
			assert_int_equal(seqs[s].token, alone[s].token);
			assert_memory_equal(&seqs[s].logprob, &alone[s].logprob, sizeof(float));
		}
	free(want);
	free(got);
}

static void together(void **state)
{
	(void)state;
	enum { SEQS = DECODE_SEQS + 1, ROUNDS = 8, CTX = CUDA_ATTN_SPLIT + 40 };
	static const struct {
		const char *name, *format, *precision; /* the emulator's */
	} cases[] = {{"gqa7", "F16", "full"},
		     {"mha128", "MIXED", "full"},
		     {"gqa7", "BF16", "half"},
		     {"gqa7x128", "Q8_0", "half"},
		     {"mha128", "Q4_K", "half"}};
	if (strcmp(way->path, "plain") == 0)
		skip();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (!runs_here(cases[i].precision))
			continue;
		const struct tiny layers = with_layers(cases[i].name), *t = &layers;
		struct direct d;
		struct hokku_error err = {0};
		int32_t ids[CTX];
		uint32_t pos[SEQS] = {3, 1, CUDA_ATTN_SPLIT - 2, 31, CUDA_ATTN_SPLIT + 1};
		for (uint32_t k = 0; k < CTX; k++)
			ids[k] = (int32_t)(k * 7919u % t->n_vocab);
		open_long(&d, t, cases[i].format, CTX, SEQS, 0, 0);
		assert_non_null(decode_few_of(d.self));
		uint32_t most = decode_few_of(d.self)->args.most_seqs;
		const uint32_t rounds[ROUNDS] = {most, 2, most, 1, most + 1, 2, 3, most};
		for (uint32_t s = 0; s < SEQS; s++) {
			struct compute_seq seq = {
				.tokens = ids + s, .n_tokens = pos[s], .blocks = direct_blocks(&d, s)};
			assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
		}
		for (uint32_t r = 0; r < ROUNDS; r++) {
			each_as_alone(&d, t, rounds[r], pos, ids + 11 * r, r % 2 == 0);
			for (uint32_t s = 0; s < rounds[r]; s++)
				pos[s]++;
		}
		direct_close(&d);
	}
}

/* Two tokens of one sequence in a step are no two sequences. */
static void two_of_one(void **state)
{
	(void)state;
	const struct tiny layers = with_layers("gqa7"), *t = &layers;
	struct direct d;
	if (strcmp(way->path, "plain") == 0)
		skip();
	float *want = logits_of(t), *got = logits_of(t);
	open_tiny(&d, t, "F16", 2, 0, 0);
	direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, want);
	direct_logits(&d, 1, t->prompt, t->n_prompt, 2, got);
	assert_rows(t, "two at a time", got, want, 0, t->n_prompt);
	direct_close(&d);
	free(want);
	free(got);
}

/* A prompt and three tokens after it over KV block 0 and the next, on a device that has just been opened. The
 * logits of all, and the last draw. */
static struct compute_seq first_answer(struct direct *d, const struct tiny *t, float *logits)
{
	static const uint32_t blocks[] = {0, 1, 2};
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	struct hokku_error err = {0};
	struct compute_seq seq = {.blocks = blocks, .all_logits = true, .sampling = &greedy};
	uint32_t n = t->n_prompt - 3;
	for (uint32_t pos = 0; pos < t->n_prompt; pos += seq.n_tokens) {
		seq.tokens = t->prompt + pos;
		seq.n_tokens = pos ? 1 : n;
		seq.pos = pos;
		seq.logits = logits + (size_t)pos * t->n_vocab;
		assert_int_equal(compute_cuda.step(d->self, &seq, 1, &err), HOKKU_OK);
	}
	return seq;
}

/* The KV memory of all layers is poison from block `from` on. */
static void assert_kv_poison(const struct direct *d, uint64_t from)
{
	const struct cuda *c = d->self;
	uint64_t start = from * c->path->kv_block_bytes(c);
	uint8_t *kv = from_device(c->kv, d->model.hp.n_layers * c->kv_layer_bytes);
	for (uint64_t l = 0; l < d->model.hp.n_layers; l++)
		for (uint64_t k = start; k < c->kv_layer_bytes; k++)
			assert_int_equal(kv[l * c->kv_layer_bytes + k], 0xFF);
	free(kv);
}

/* Nothing of what a device computes when it is opened is seen later: the first answer has the same bits with
 * and without, and of the KV memory block 0 alone was written. */
static void warm_up(void **state)
{
	(void)state;
	const struct tiny *t = tiny_find(&set, "odd");
	struct direct d;
	struct compute_seq last[2];
	float *logits[2] = {logits_of(t), logits_of(t)};
	assert_in_range(t->n_prompt, 4, 3 * COMPUTE_KV_BLOCK);
	unsetenv("HOKKU_CUDA_WARM_UP");
	for (int i = 0; i < 2; i++) {
		if (i)
			setenv("HOKKU_CUDA_WARM_UP", "off", 1);
		open_tiny(&d, t, "F32", 1, 0, 0);
		if (CUDASIM_PRESENT) /* which poisons what it gives out */
			assert_kv_poison(&d, i ? 0 : 1);
		last[i] = first_answer(&d, t, logits[i]);
		direct_close(&d);
	}
	unsetenv("HOKKU_CUDA_WARM_UP");
	without_warm_up();
	assert_memory_equal(logits[0], logits[1], (size_t)t->n_prompt * t->n_vocab * sizeof(float));
	assert_int_equal(last[0].token, last[1].token);
	assert_memory_equal(&last[0].logprob, &last[1].logprob, sizeof(float));
	free(logits[0]);
	free(logits[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact),        cmocka_unit_test(exact_of_types),
		cmocka_unit_test(long_rows),    cmocka_unit_test(small_rings),
		cmocka_unit_test(neighbours),   cmocka_unit_test(running_ahead),
		cmocka_unit_test(masks_follow), cmocka_unit_test(closed_under_way),
		cmocka_unit_test(many_draws),   cmocka_unit_test(across_splits),
		cmocka_unit_test(together),     cmocka_unit_test(two_of_one),
		cmocka_unit_test(warm_up),      cmocka_unit_test(nothing_is_left),
	};
	return run_ways(argc, argv, "cuda model", tests, sizeof tests / sizeof tests[0]);
}
