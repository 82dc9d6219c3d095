/*
 * Golden models on the device in every way that the backend has to run them: transformers' logits in every
 * format, and greedy answers. Where a way rounds (HALF), the judge is what the same roundings alone cost
 * (double_model.h).
 */
#include "ways.h"

#include "double_model.h"

static void judge_logits(const struct direct *d, const struct tiny *t, bool halves, float *out)
{
	struct double_model judge;
	double_open(&judge, &d->model, halves, d->params.n_kv_blocks);
	double_step(&judge, t->prompt, t->n_prompt, 0, direct_blocks(d, 0), out);
	double_close(&judge);
}

static bool check_logits(const struct tiny *t, const char *format)
{
	struct direct d;
	struct npy want;
	char path[512];
	size_t n = (size_t)t->n_prompt * t->n_vocab;
	float *got = logits_of(t), *rounded = logits_of(t);
	open_tiny(&d, t, format, 1, 0, 0);
	direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, got);
	if (way->rounds)
		judge_logits(&d, t, true, rounded);
	direct_close(&d);
	snprintf(path, sizeof path, "%s/models/%s.%s.npy", TEST_GOLDEN_DIR, t->name, format);
	assert_true(npy_read(path, "<f4", &want));
	bool good = near_enough(t->name, format, got, rounded, want.data, n);
	npy_free(&want);
	free(got);
	free(rounded);
	return good;
}

static void golden_logits(void **state)
{
	(void)state;
	bool good = true;
	for (size_t i = 0; i < set.n_models; i++)
		for (const char *const *f = set.models[i].formats; *f; f++)
			good = check_logits(&set.models[i], *f) && good;
	assert_true(good);
}

/* Formats for which transformers made no logits: the judge's, which are transformers' in the others
 * (compute/test_double_model). */
static bool check_judged(const struct tiny *t, const char *format)
{
	struct direct d;
	float *got = logits_of(t), *rounded = logits_of(t), *want = logits_of(t);
	open_tiny(&d, t, format, 1, 0, 0);
	direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, got);
	judge_logits(&d, t, false, want);
	if (way->rounds)
		judge_logits(&d, t, true, rounded);
	direct_close(&d);
	bool good = near_enough(t->name, format, got, rounded, want, (size_t)t->n_prompt * t->n_vocab);
	free(got);
	free(rounded);
	free(want);
	return good;
}

static void judged_logits(void **state)
{
	(void)state;
	static const struct {
		const char *name, *format;
	} cases[] = {{"mha128", "Q2_K"},
		     {"mha128", "Q3_K"},
		     {"mha128", "IQ4_NL"},
		     {"mha128", "IQ4_XS"},
		     {"gqa7", "IQ4_NL"}};
	bool good = true;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		good = check_judged(tiny_find(&set, cases[i].name), cases[i].format) && good;
	assert_true(good);
}

/* The device's next token after `token` at pos, as sequence 0. */
static int32_t draw(struct direct *d, const int32_t *ids, uint32_t n, uint32_t pos)
{
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	struct hokku_error err = {0};
	struct compute_seq seq = {
		.tokens = ids, .n_tokens = n, .pos = pos, .blocks = direct_blocks(d, 0), .sampling = &greedy};
	assert_int_equal(compute_cuda.step(d->self, &seq, 1, &err), HOKKU_OK);
	return seq.token;
}

/* Tokens of an answer: on the emulator, of F16 models enough to begin another KV block behind the prompt, of
 * others a few. */
static uint32_t n_answer(const struct tiny *t, const char *format)
{
	if (full_sizes())
		return t->n_greedy;
	return strcmp(format, "F16") == 0 ? COMPUTE_KV_BLOCK - t->n_prompt % COMPUTE_KV_BLOCK + 2 : 8;
}

/* Transformers' answer to the F32 model. */
static void golden_greedy(void **state)
{
	(void)state;
	if (way->rounds)
		skip();
	const struct tiny *t = tiny_find(&set, "odd");
	struct direct d;
	open_tiny(&d, t, "F32", 1, 0, 0);
	int32_t last = 0;
	for (uint32_t i = 0; i < t->n_greedy; i++) {
		last = i ? draw(&d, &last, 1, t->n_prompt + i - 1) : draw(&d, t->prompt, t->n_prompt, 0);
		assert_int_equal(last, t->greedy[i]);
	}
	direct_close(&d);
}

struct judged {
	int32_t token;
	double lead; /* over the second likeliest, of the largest logit */
};

static struct judged judge_draw(struct double_model *judge, const struct direct *d, const int32_t *ids,
				uint32_t n, uint32_t pos, float *logits)
{
	struct judged j = {0};
	double first = -INFINITY, second = -INFINITY, largest = 0;
	uint32_t n_vocab = judge->hp.n_vocab;
	double_step(judge, ids, n, pos, direct_blocks(d, 0), logits);
	const float *row = logits + (size_t)(n - 1) * n_vocab;
	for (uint32_t i = 0; i < n_vocab; i++) {
		largest = fmax(largest, fabs((double)row[i]));
		if (row[i] > first) {
			second = first;
			first = row[i];
			j.token = (int32_t)i;
		} else {
			second = fmax(second, row[i]);
		}
	}
	j.lead = (first - second) / largest;
	return j;
}

/* How far apart two of the device's logits may have moved, of the largest: four times the distance that it
 * may have from the judge. Below that, which is the likeliest is no question of right or wrong. */
static double undecided(const struct direct *d, const struct tiny *t)
{
	if (!way->rounds)
		return 2 * way->tolerance;
	size_t n = (size_t)t->n_prompt * t->n_vocab;
	float *rounded = logits_of(t), *want = logits_of(t);
	judge_logits(d, t, true, rounded);
	judge_logits(d, t, false, want);
	double out = 4 * of_rounding_from_rounded * rms_relative_error(rounded, want, n);
	free(rounded);
	free(want);
	return out;
}

/* Transformers was asked for no greedy answers of weights that the tile path has. The judge gives them, and
 * the device gets the judge's tokens. */
static bool check_answer(const struct tiny *t, const char *format)
{
	struct direct d;
	struct double_model judge;
	unsigned same = 0;
	double torn = 0;
	float *logits = logits_of(t);
	open_tiny(&d, t, format, 1, 0, 0);
	double allowed = undecided(&d, t);
	double_open(&judge, &d.model, way->rounds, d.params.n_kv_blocks);
	int32_t last = 0;
	uint32_t n_tokens = n_answer(t, format), may_differ = n_tokens < 20 ? 1 : 4;
	for (uint32_t i = 0; i < n_tokens; i++) {
		const int32_t *ids = i ? &last : t->prompt;
		uint32_t n = i ? 1 : t->n_prompt, pos = i ? t->n_prompt + i - 1 : 0;
		int32_t token = draw(&d, ids, n, pos);
		struct judged j = judge_draw(&judge, &d, ids, n, pos, logits);
		same += token == j.token;
		if (token != j.token)
			torn = fmax(torn, j.lead);
		last = j.token;
	}
	bool good = torn <= allowed && same >= n_tokens - may_differ;
	printf("%-9s %-5s %u of %u tokens, the others led by %.1e (%.1e) %s%s\n", t->name, format, same,
	       n_tokens, torn, allowed, way->name, good ? "" : "  TOO MUCH");
	double_close(&judge);
	direct_close(&d);
	free(logits);
	return good;
}

static void judged_greedy(void **state)
{
	(void)state;
	static const struct {
		const char *name, *format;
	} cases[] = {{"gqa7", "F16"},      {"gqa7", "Q4_1"}, {"mha128", "Q4_K"},
		     {"gqa7x128", "Q8_0"}, {"odd", "F16"},   {"odd", "BF16"}};
	bool good = true;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		good = check_answer(tiny_find(&set, cases[i].name), cases[i].format) && good;
	assert_true(good);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_logits),
		cmocka_unit_test(judged_logits),
		cmocka_unit_test(golden_greedy),
		cmocka_unit_test(judged_greedy),
	};
	return run_ways(argc, argv, "golden models", tests, sizeof tests / sizeof tests[0]);
}
