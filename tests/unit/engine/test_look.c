/* What a model would take, told from its header, is what its engine then takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_need_is_what_is_taken),
		cmocka_unit_test(test_refusals_are_those_of_loading),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
