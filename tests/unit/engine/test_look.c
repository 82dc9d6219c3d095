/* What a model would take, told from its header, is what its engine then takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch_model.h"
#include "engine/fit.h"
#include "engine/load.h"
#include "engine/look.h"

static void expect_equal(struct engine_config config)
{
	struct hokku_error err;
	struct engine *e;
	struct engine_state state;
	struct gguf *g;
	struct model_look look;
	config.device = "cpu";
	config.n_threads = 2;
	assert_int_equal(engine_open_file(NULL, &g, &err), HOKKU_OK);
	assert_int_equal(engine_look(g, &config, &look, &err), HOKKU_OK);
	assert_int_equal(engine_create(&config, &e, &err), HOKKU_OK);
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	engine_get_state(e, &state);
	assert_int_equal(look.weight_bytes, state.memory.weight_bytes);
	assert_int_equal(look.kv_bytes, state.memory.kv_bytes);
	assert_int_equal(look.scratch_bytes, state.memory.scratch_bytes);
	assert_true(look.device_bytes > 0);
	assert_int_equal(look.n_ctx, state.info.n_ctx);
	assert_int_equal(look.n_params, state.info.n_params);
	assert_string_equal(look.architecture, state.info.architecture);
	assert_string_equal(look.format, state.info.format);
	engine_destroy(e, 0);
	gguf_close(g);
}

static void test_need_is_what_is_taken(void **state)
{
	(void)state;
	if (!bundled_model().len)
		skip();
	expect_equal((struct engine_config){0});
	expect_equal((struct engine_config){.kv_grows = true, .prompt_logprobs = true});
	expect_equal((struct engine_config){.kv_grows = true, .n_parallel = 3, .n_ctx = 64});
	expect_equal((struct engine_config){.kv_bytes = 4 << 20, .cache = {CACHE_F16, CACHE_Q8_0}});
}

/* Of the bundled model, whose context is 512. */
static void fit_bundled(const struct engine_config *config, struct engine_fit *out)
{
	struct hokku_error err;
	struct gguf *g;
	struct model m;
	assert_int_equal(engine_open_file(NULL, &g, &err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, &err), HOKKU_OK);
	if (engine_fit(&m, config, out, &err))
		fail_msg("%s", err.message);
	model_unbind(&m);
	gguf_close(g);
}

static void expect_taken(const struct engine_config *config, const struct compute_need *need)
{
	struct hokku_error err;
	struct engine *e;
	struct engine_state state;
	assert_int_equal(engine_create(config, &e, &err), HOKKU_OK);
	enum hokku_code rc = engine_wait_ready(e, &err);
	assert_int_equal(rc, need->fits ? HOKKU_OK : HOKKU_INSUFFICIENT_MEMORY);
	if (!rc) {
		engine_get_state(e, &state);
		assert_int_equal(need->memory.weight_bytes, state.memory.weight_bytes);
		assert_int_equal(need->memory.kv_bytes, state.memory.kv_bytes);
		assert_int_equal(need->memory.scratch_bytes, state.memory.scratch_bytes);
	}
	engine_destroy(e, 0);
}

/* What is told to fit does, to the byte, and a byte less does not. */
static void expect_fit(struct engine_config config, uint32_t n_ctx)
{
	struct engine_fit f, at;
	config.device = "cpu";
	config.n_threads = 2;
	fit_bundled(&config, &f);
	assert_int_equal(f.n_ctx, n_ctx);
	assert_int_equal(f.stream_bytes * f.n_streams, f.kv_bytes_to_have);
	assert_int_equal(f.most_ctx_alone, 512);
	assert_int_equal(f.most_ctx, 512);
	assert_int_equal(f.most_streams, ENGINE_MAX_PARALLEL);
	expect_taken(&config, &f.server);
	struct engine_config streams = config;
	streams.n_parallel = f.n_streams;
	streams.kv_bytes = f.kv_bytes_to_have;
	expect_taken(&streams, &f.need);
	const uint64_t all = compute_memory_sum(&f.need.memory);
	for (int more = -1; more <= 1; more++) {
		config.ram_limit = streams.ram_limit = all + (uint64_t)(int64_t)more;
		fit_bundled(&config, &at);
		assert_int_equal(at.need.fits, more >= 0);
		assert_int_equal(at.need.available_bytes, config.ram_limit);
		assert_int_equal(at.most_streams, f.n_streams - (more < 0));
		assert_int_equal(at.most_ctx, n_ctx - (more < 0 ? COMPUTE_KV_BLOCK : 0));
		expect_taken(&streams, &at.need);
	}
	config.ram_limit = f.need.memory.weight_bytes;
	fit_bundled(&config, &at);
	assert_int_equal(at.most_ctx_alone, 0);
	assert_int_equal(at.most_ctx, 0);
	assert_int_equal(at.most_streams, 0);
}

static void test_fit(void **state)
{
	(void)state;
	if (!bundled_model().len)
		skip();
	expect_fit((struct engine_config){.kv_grows = true, .prompt_logprobs = true}, 512);
	expect_fit((struct engine_config){.kv_grows = true, .n_parallel = 3, .n_ctx = 64}, 64);
	expect_fit((struct engine_config){.n_parallel = 2, .n_ctx = 256, .cache = {CACHE_Q8_0, CACHE_Q8_0}},
		   256);
}

/* Memory for KV that is given holds so many contexts and no more. */
static void test_fit_given(void **state)
{
	struct engine_fit one, f;
	struct engine_config config = {.device = "cpu", .n_threads = 2, .n_ctx = 64};
	(void)state;
	if (!bundled_model().len)
		skip();
	fit_bundled(&config, &one);
	config.kv_bytes = 3 * one.stream_bytes;
	fit_bundled(&config, &f);
	assert_int_equal(f.most_streams, 3);
	assert_int_equal(f.most_ctx_alone, 192);
	assert_int_equal(f.need.memory.kv_bytes, config.kv_bytes);
	config.n_parallel = 4;
	fit_bundled(&config, &f);
	assert_false(f.need.fits);
	assert_int_equal(f.most_ctx, 32);
}

static void test_refusals_are_those_of_loading(void **state)
{
	struct hokku_error err;
	struct gguf *g;
	struct model_look look;
	(void)state;
	if (!bundled_model().len)
		skip();
	assert_int_equal(engine_open_file(NULL, &g, &err), HOKKU_OK);
	assert_int_equal(engine_look(g, &(struct engine_config){.n_ctx = 1 << 20}, &look, &err),
			 HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "a context of 1,048,576 was asked for"));
	assert_int_equal(engine_look(g, &(struct engine_config){.kv_bytes = 1}, &look, &err),
			 HOKKU_INVALID_REQUEST);
	gguf_close(g);
}

/* A key's number in a file's bytes is another one. */
static void set_key(uint8_t *bytes, size_t n, const char *key, uint32_t value)
{
	uint8_t *at = memmem(bytes, n, key, strlen(key));
	assert_non_null(at);
	memcpy(at + strlen(key) + 4, &value, sizeof value); /* behind the type, which is uint32 */
}

static void open_model(struct gguf **g, struct model *m, uint8_t *bytes, size_t n)
{
	struct hokku_error err;
	if (gguf_open_memory(bytes, n, "a longer one", g, &err) || model_bind(m, *g, &err))
		fail_msg("%s", err.message);
}

static void expect_context(struct model *m, const struct engine_config *config, uint32_t n_ctx,
			   uint32_t wanted)
{
	struct hokku_error err;
	struct engine_context found;
	assert_int_equal(engine_settle_context(m, config, &found, &err), HOKKU_OK);
	assert_int_equal(found.n_ctx, n_ctx);
	assert_int_equal(found.n_ctx_wanted, wanted);
}

/* Of a default of 32,768 what fits is taken, to the block, down to 4,096 and no further. */
static void test_a_default_context_is_what_fits(void **state)
{
	(void)state;
	struct hokku_error err;
	struct str haiku = bundled_model();
	struct gguf *g;
	struct model m;
	struct compute_need least, some;
	struct engine_config c = {.device = "cpu", .n_threads = 2};
	if (!haiku.len)
		skip();
	uint8_t *bytes = malloc(haiku.len);
	memcpy(bytes, haiku.ptr, haiku.len);
	set_key(bytes, haiku.len, "qwen2.context_length", 100000);
	open_model(&g, &m, bytes, haiku.len);
	c.ram_limit = 1ull << 30;
	expect_context(&m, &c, 32768, 32768);
	assert_int_equal(engine_need(&m, &c, ENGINE_LEAST_CTX, &least, &err), HOKKU_OK);
	assert_int_equal(engine_need(&m, &c, 20000, &some, &err), HOKKU_OK);
	c.ram_limit = compute_memory_sum(&some.memory);
	expect_context(&m, &c, 20000, 32768);
	c.ram_limit--;
	expect_context(&m, &c, 20000 - COMPUTE_KV_BLOCK, 32768);
	c.ram_limit = compute_memory_sum(&least.memory) + least.kv_block_bytes;
	expect_context(&m, &c, ENGINE_LEAST_CTX + COMPUTE_KV_BLOCK, 32768);
	c.ram_limit--;
	expect_context(&m, &c, ENGINE_LEAST_CTX, 32768);
	c.ram_limit = compute_memory_sum(&least.memory);
	expect_context(&m, &c, ENGINE_LEAST_CTX, 32768);
	c.ram_limit--;
	expect_context(&m, &c, 32768, 32768); /* which opening refuses */
	/* what was asked for, and a default that shall be whole, stay as they are */
	c.ram_limit = compute_memory_sum(&some.memory);
	c.n_ctx = 32768;
	expect_context(&m, &c, 32768, 32768);
	c.n_ctx = 0;
	c.ctx_whole = true;
	expect_context(&m, &c, 32768, 32768);
	c.ctx_whole = false;
	/* what is known to fit is where it begins */
	c.n_ctx_most = 8192;
	expect_context(&m, &c, 8192, 32768);
	/* memory for KV that is given, and too little for the default */
	c = (struct engine_config){.device = "cpu", .n_threads = 2, .kv_bytes = 200 * least.kv_block_bytes};
	expect_context(&m, &c, 200 * COMPUTE_KV_BLOCK, 32768);
	/* a device that cannot tell */
	c = (struct engine_config){.device = "cpu:reference"};
	expect_context(&m, &c, 32768, 32768);
	model_unbind(&m);
	gguf_close(g);
	/* a model that has no more than the least is not made smaller */
	set_key(bytes, haiku.len, "qwen2.context_length", ENGINE_LEAST_CTX);
	open_model(&g, &m, bytes, haiku.len);
	c = (struct engine_config){
		.device = "cpu", .n_threads = 2, .ram_limit = compute_memory_sum(&least.memory) - 1};
	expect_context(&m, &c, ENGINE_LEAST_CTX, ENGINE_LEAST_CTX);
	model_unbind(&m);
	gguf_close(g);
	free(bytes);
}

static bool same_freq(const struct model *m, const float *freq)
{
	return memcmp(m->ropes[0].freq, freq, m->ropes[0].n_dims / 2 * sizeof *freq) == 0;
}

/* Phi-3's frequencies depend on the context that was chosen: on the default, not on what fits of it. */
static void test_what_fits_changes_no_rope(void **state)
{
	(void)state;
	struct arch_set set;
	char path[512];
	size_t n;
	struct gguf *g;
	struct model m;
	float whole[256];
	arch_load(&set);
	snprintf(path, sizeof path, "%s/test_look.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	arch_write_gguf(arch_find(&set, "phi3-long"), TENSOR_F16, path);
	uint8_t *bytes = golden_read(path, &n);
	unlink(path);
	set_key(bytes, n, "phi3.context_length", 32768);
	set_key(bytes, n, "phi3.rope.scaling.original_context_length", 8192);
	open_model(&g, &m, bytes, n);
	const struct engine_config of_default = {0}, of_asked = {.n_ctx = 4096};
	assert_true(m.ropes[0].n_dims / 2 <= 256);
	engine_ask(&m, &of_default, 32768, 1);
	memcpy(whole, m.ropes[0].freq, m.ropes[0].n_dims / 2 * sizeof *whole);
	engine_ask(&m, &of_asked, 4096, 1);
	assert_false(same_freq(&m, whole));
	engine_ask(&m, &of_default, 4096, 1);
	assert_true(same_freq(&m, whole));
	model_unbind(&m);
	gguf_close(g);
	free(bytes);
	arch_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_need_is_what_is_taken),
		cmocka_unit_test(test_refusals_are_those_of_loading),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_fit_given),
		cmocka_unit_test(test_a_default_context_is_what_fits),
		cmocka_unit_test(test_what_fits_changes_no_rope),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
