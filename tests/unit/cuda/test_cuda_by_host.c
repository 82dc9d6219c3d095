/*
 * Draws that the device's sampler has no stages for: the door has the logits come and draws them itself,
 * beside a sequence that the device draws, and one step under way while the next is submitted. Against the
 * host's sampler on the logits that the step gave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "compute/plugin.h"
#include "compute/sample.h"
#include "direct.h"

/* In place of the plugin's finder: the backend is linked in. */
enum hokku_code plugin_get(const struct compute_plugin **out, struct hokku_error *err)
{
	*out = NULL;
	return err_set(err, HOKKU_NOT_FOUND, "there is no plugin");
}

enum hokku_code plugin_backend(const char *device, const struct compute_backend **out,
			       struct hokku_error *err)
{
	(void)device, (void)err;
	*out = &compute_cuda;
	return HOKKU_OK;
}

enum hokku_code plugin_first_usable(const struct compute_backend **out, uint32_t *index,
				    struct hokku_error *err)
{
	*index = 0;
	return plugin_backend("cuda", out, err);
}

enum { N_TOKENS = 9, N_CTX = 32, N_KINDS = 5, MAX_VOCAB = 512 };

static const struct sampling kinds[N_KINDS] = {
	{.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1.2f, .seed = 1, .typical_p = 0.7f},
	{.temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 2, .top_n_sigma = 1},
	{.temperature = 1,
	 .top_p = 1,
	 .repetition_penalty = 1,
	 .seed = 3,
	 .xtc_probability = 1,
	 .xtc_threshold = 0.001f},
	{.temperature = 0.7f,
	 .top_p = 1,
	 .repetition_penalty = 1,
	 .seed = 4,
	 .dynatemp_range = 0.5f,
	 .dynatemp_exponent = 1},
	{.temperature = 1,
	 .top_p = 1,
	 .repetition_penalty = 1,
	 .seed = 5,
	 .mirostat = 2,
	 .mirostat_tau = 3,
	 .mirostat_eta = 0.3f},
};

static void test_by_host(void **state)
{
	(void)state;
	static float logits[MAX_VOCAB];
	struct tiny_set set;
	struct direct d = {0}; /* its file and model */
	struct hokku_error err = {0};
	struct compute *c;
	char path[512];
	snprintf(path, sizeof path, "%s/test_cuda_by_host.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_load(&set);
	const struct tiny *tiny = tiny_find(&set, "odd");
	tiny_write(&set, tiny, "F32", path);
	assert_int_equal(gguf_open_file(path, &d.file, &err), HOKKU_OK);
	assert_int_equal(model_bind(&d.model, d.file, &err), HOKKU_OK);
	unlink(path);
	model_set_context(&d.model, N_CTX);
	const struct compute_params params = {
		.model = &d.model, .device = "cuda", .n_ctx = N_CTX, .n_seqs = 2, .n_batch = 16};
	if (compute_open(&params, &c, &err))
		fail_msg("%s", err.message);
	struct sampler *host = sampler_create(d.model.hp.n_vocab);
	for (uint32_t k = 0; k < N_KINDS; k++) {
		static const uint32_t block = 1, other = 0;
		static const struct sampling plain = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
		int32_t ids[N_TOKENS + 1] = {3}, beside = 5;
		double mu = 6, wanted_mu = 6;
		assert_false(compute_draws(c, &kinds[k]));
		assert_true(compute_draws(c, &plain));
		for (uint32_t pos = 0; pos < N_TOKENS; pos++) {
			struct compute_seq seqs[2] = {
				{.tokens = ids + pos,
				 .n_tokens = 1,
				 .pos = pos,
				 .blocks = &block,
				 .history = ids,
				 .n_history = pos + 1,
				 .n_prompt = 1,
				 .sampling = &kinds[k],
				 .mirostat_mu = &mu,
				 .logits = logits},
				{.tokens = &beside,
				 .n_tokens = 1,
				 .pos = pos,
				 .blocks = &other,
				 .sampling = &plain},
			};
			struct compute_seq wanted = seqs[0];
			if (compute_step(c, seqs, 2, &err))
				fail_msg("%s", err.message);
			wanted.mirostat_mu = &wanted_mu;
			sampler_draw(host, logits, pos + 1, &wanted);
			assert_int_equal(seqs[0].token, wanted.token);
			assert_memory_equal(&seqs[0].logprob, &wanted.logprob, sizeof wanted.logprob);
			assert_true(mu == wanted_mu);
			assert_in_range(seqs[1].token, 0, d.model.hp.n_vocab - 1);
			ids[pos + 1] = seqs[0].token;
			beside = seqs[1].token;
		}
		/* Nothing goes on from such a draw before it is collected, and it wants room for its logits.
		 */
		struct compute_seq first = {.tokens = ids,
					    .n_tokens = 1,
					    .blocks = &block,
					    .sampling = &kinds[k],
					    .mirostat_mu = &mu,
					    .logits = logits},
				   next = {.tokens = ids,
					   .n_tokens = 1,
					   .pos = 1,
					   .from = 1,
					   .blocks = &block};
		assert_int_equal(compute_submit(c, &first, 1, &err), HOKKU_OK);
		assert_int_equal(compute_submit(c, &next, 1, &err), HOKKU_INTERNAL);
		assert_non_null(strstr(err.message, "gives no token"));
		assert_int_equal(compute_collect(c, &err), HOKKU_OK);
		first.logits = NULL;
		assert_int_equal(compute_step(c, &first, 1, &err), HOKKU_INTERNAL);
		assert_non_null(strstr(err.message, "is drawn on the host and gives no room for its logits"));
	}
	sampler_destroy(host);
	compute_close(c);
	direct_close(&d);
	tiny_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_host)};
	return cmocka_run_group_tests_name("cuda_by_host", tests, NULL, NULL);
}
