/* config.json: what nobody reads does not matter, what is read is named when it is wrong, and what is said
 * twice is settled as transformers settles it, with a note. */
#include "scratch.h"

#define CONFIG(more)                                                                                        \
	"{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\",\"hidden_size\":32,"            \
	"\"intermediate_size\":40,\"num_hidden_layers\":2,\"num_attention_heads\":4,"                       \
	"\"num_key_value_heads\":2,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-06,\"vocab_size\":9," \
	"\"hidden_act\":\"silu\"" more "}"
#define THETA ",\"rope_theta\":10000.0"

static enum hokku_code read_shape(const char *text, struct hf_shape *s, struct hokku_error *err)
{
	struct jv_doc doc;
	notes[0] = '\0';
	enum hokku_code rc = jv_parse(str_c(text), JV_NONFINITE, &doc, err);
	assert_int_equal(rc, HOKKU_OK);
	rc = hf_shape_read(&doc.root, "a/config.json", &observer, s, err);
	jv_doc_free(&doc);
	return rc;
}

static struct hf_shape good(const char *text)
{
	struct hf_shape s;
	struct hokku_error err;
	if (read_shape(text, &s, &err))
		fail_msg("%s\n  %s", text, err.message);
	return s;
}

static void refuse(const char *text, enum hokku_code code, const char *message)
{
	struct hf_shape s;
	struct hokku_error err = {0};
	enum hokku_code rc = read_shape(text, &s, &err);
	if (rc != code || !strstr(err.message, message))
		fail_msg("%s\n  code %s, found %s\n  wanted %s", text, hokku_code_name(rc), err.message,
			 message);
	assert_true(strncmp(err.message, "a/config.json: ", 15) == 0);
}

static void test_unread(void **state)
{
	(void)state;
	struct hf_shape s = good(CONFIG(
		THETA ",\"model_max_length\":1000000000000000019884624838656,\"initializer_range\":NaN,"
		      "\"attention_dropout\":-Infinity,\"use_cache\":1e999,\"dtype\":NaN,"
		      "\"task\":{\"a\":[-99999999999999999999999]},\"sliding_window\":1e999,"
		      "\"max_window_layers\":NaN,\"bos_token_id\":NaN"));
	assert_int_equal(s.n_layers, 2);
	expect_notes("");
}

/* Each number in each wrong form is told with its name, what it is and what is wanted. */
static void test_read_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		uint32_t max;
	} integers[] = {{"max_position_embeddings", 16777216},
			{"hidden_size", 65536},
			{"num_hidden_layers", 1024},
			{"intermediate_size", 1048576},
			{"num_attention_heads", 1024},
			{"num_key_value_heads", 1024},
			{"vocab_size", 4194304}};
	static const char *const wrong[] = {
		"0",     "-1",       "1.0",       "1000000000000000019884624838656",
		"NaN",   "Infinity", "-Infinity", "1e999",
		"\"2\"", "true",     "[2]"};
	char text[1024], message[160];
	for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
		for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
			const char *start = CONFIG(THETA);
			char key[48];
			snprintf(key, sizeof key, "\"%s\":", integers[i].key);
			const char *at = strstr(start, key) + strlen(key), *after = strpbrk(at, ",}");
			snprintf(text, sizeof text, "%.*s%s%s", (int)(at - start), start, wrong[k], after);
			snprintf(message, sizeof message, "%s is %s; an integer from 1 to %u is wanted",
				 integers[i].key, wrong[k], integers[i].max);
			refuse(text, HOKKU_BAD_FILE, message);
			snprintf(text, sizeof text, "%.*s%u%s", (int)(at - start), start, integers[i].max + 1,
				 after);
			snprintf(message, sizeof message, "%s is %u; an integer from 1 to %u is wanted",
				 integers[i].key, integers[i].max + 1, integers[i].max);
			refuse(text, HOKKU_BAD_FILE, message);
		}
	}
	static const char *const reals[] = {"0", "-1", "NaN", "Infinity", "1e999", "1e-60", "\"1\"", "true"};
	for (size_t k = 0; k < sizeof reals / sizeof *reals; k++) {
		snprintf(text, sizeof text, CONFIG(",\"rope_theta\":%s"), reals[k]);
		snprintf(message, sizeof message, "rope_theta is %s; a number above 0 is wanted", reals[k]);
		refuse(text, HOKKU_BAD_FILE, message);
		snprintf(text, sizeof text, CONFIG(",\"rope_parameters\":{\"rope_theta\":%s}"), reals[k]);
		snprintf(message, sizeof message, ": rope_parameters.rope_theta is %s; a number above 0",
			 reals[k]);
		refuse(text, HOKKU_BAD_FILE, message);
	}
	/* An integer of any size is a number where a fraction may stand. */
	assert_true(good(CONFIG(",\"rope_theta\":10000000000000000000000")).rope_theta == 1e22f);
	refuse(CONFIG(THETA ",\"tie_word_embeddings\":NaN"), HOKKU_BAD_FILE,
	       "tie_word_embeddings is NaN; true or false is wanted");
	refuse(CONFIG(THETA ",\"tie_word_embeddings\":1"), HOKKU_BAD_FILE,
	       "tie_word_embeddings is 1; true or false is wanted");
	refuse(CONFIG(THETA ",\"use_sliding_window\":\"no\""), HOKKU_BAD_FILE,
	       "use_sliding_window is \"no\"; true or false is wanted");
	refuse(CONFIG(THETA ",\"head_dim\":NaN"), HOKKU_BAD_FILE,
	       "head_dim is NaN; an integer from 1 to 1024");
	refuse(CONFIG(THETA ",\"is_causal\":NaN"), HOKKU_INVALID_REQUEST, "is_causal is NaN; hokku converts");
}

static void test_architecture(void **state)
{
	(void)state;
	refuse("{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen3\"}", HOKKU_INVALID_REQUEST,
	       "model_type is \"qwen3\", but architectures[0] is \"Qwen2ForCausalLM\", whose model_type is "
	       "\"qwen2\"");
	refuse("{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":NaN}", HOKKU_INVALID_REQUEST,
	       "model_type is NaN, but architectures[0] is");
	refuse("{\"architectures\":\"Qwen2ForCausalLM\"}", HOKKU_BAD_FILE,
	       "architectures is \"Qwen2ForCausalLM\"; an array of one class's name is wanted");
	refuse("{\"architectures\":[NaN],\"model_type\":\"qwen2\"}", HOKKU_BAD_FILE,
	       "architectures is [NaN];");
	refuse("{\"architectures\":[\"Qwen2ForRewardModel\"],\"model_type\":\"qwen2\"}",
	       HOKKU_INVALID_REQUEST,
	       "architectures[0] is \"Qwen2ForRewardModel\"; hokku converts Qwen2ForCausalLM");
	refuse("{\"architectures\":[],\"model_type\":\"mamba\"}", HOKKU_INVALID_REQUEST,
	       "model_type is \"mamba\"; hokku converts Qwen2ForCausalLM");
	refuse("{\"architectures\":null}", HOKKU_INVALID_REQUEST, "model_type is absent; hokku converts");
}

static void test_rope(void **state)
{
	(void)state;
#define INSIDE ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":1000000.0}"
	assert_true(good(CONFIG(INSIDE)).rope_theta == 1e6f);
	expect_notes("");
	assert_true(good(CONFIG(INSIDE ",\"rope_theta\":1000000")).rope_theta == 1e6f); /* the same */
	expect_notes("");
	assert_true(good(CONFIG(THETA INSIDE)).rope_theta == 1e6f);
	expect_notes("config.json: rope_parameters.rope_theta is 1000000.0 and rope_theta 10000.0: "
		     "rope_parameters.rope_theta counts\n");
	assert_true(good(CONFIG(THETA ",\"rope_scaling\":{\"type\":\"default\",\"rope_theta\":5e5}"))
			    .rope_theta == 5e5f);
	expect_notes("config.json: rope_scaling.rope_theta is 5e5 and rope_theta 10000.0: "
		     "rope_scaling.rope_theta counts\n");
	/* rope_scaling takes the whole place of rope_parameters, its base included. */
	assert_true(good(CONFIG(THETA INSIDE ",\"rope_scaling\":{\"rope_type\":\"default\"}")).rope_theta ==
		    1e4f);
	expect_notes("config.json: rope_scaling is {\"rope_type\":\"default\"} and rope_parameters "
		     "{\"rope_type\":\"default\",\"rope_theta\":1000000.0}: rope_scaling counts\n");
	refuse(CONFIG(INSIDE ",\"rope_scaling\":{\"rope_type\":\"default\"}"), HOKKU_BAD_FILE,
	       "rope_theta is absent");
	/* Empty ones and null say nothing. */
	static const char *const nothing[] = {CONFIG(INSIDE ",\"rope_scaling\":{}"),
					      CONFIG(INSIDE ",\"rope_scaling\":null"),
					      CONFIG(INSIDE ",\"rope_theta\":null")};
	for (size_t i = 0; i < 3; i++) {
		assert_true(good(nothing[i]).rope_theta == 1e6f);
		expect_notes("");
	}
	refuse(CONFIG(THETA ",\"rope_parameters\":{\"rope_type\":\"yarn\"}"), HOKKU_BAD_FILE,
	       "rope_parameters.factor is absent; a number above 0 is wanted");
	refuse(CONFIG(THETA ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}"), HOKKU_INVALID_REQUEST,
	       "rope_type is \"dynamic\"; hokku converts default, linear, yarn, llama3 and longrope (dynamic "
	       "would");
	refuse(CONFIG(THETA ",\"rope_scaling\":{\"type\":NaN}"), HOKKU_INVALID_REQUEST, "rope_type is NaN;");
	refuse(CONFIG(THETA ",\"rope_scaling\":2.0"), HOKKU_BAD_FILE,
	       "rope_scaling is 2.0; an object is wanted");
	good(CONFIG(THETA ",\"rope_scaling\":{\"type\":\"yarn\",\"rope_type\":\"default\"}"));
	expect_notes("config.json: rope_scaling.rope_type is \"default\" and rope_scaling.type \"yarn\": "
		     "rope_type counts\n");
	refuse(CONFIG(THETA ",\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1}}"),
	       HOKKU_INVALID_REQUEST,
	       "rope_parameters.full_attention gives a kind of layer a RoPE of its own");
	good(CONFIG(THETA ",\"partial_rotary_factor\":1.0"));
	refuse(CONFIG(THETA ",\"partial_rotary_factor\":0.5"), HOKKU_INVALID_REQUEST,
	       "partial_rotary_factor is 0.5; hokku converts Qwen2ForCausalLM whose RoPE turns whole heads");
	refuse(CONFIG(",\"rope_parameters\":{\"rope_theta\":1,\"partial_rotary_factor\":NaN}"),
	       HOKKU_INVALID_REQUEST, "rope_parameters.partial_rotary_factor is NaN;");
}

static void test_windows(void **state)
{
	(void)state;
#define TYPES(a, b) ",\"layer_types\":[\"" a "_attention\",\"" b "_attention\"]"
#define USED        ",\"use_sliding_window\":true"
	static const char *const plain[] = {
		CONFIG(THETA ",\"use_sliding_window\":false,\"sliding_window\":16,\"max_window_layers\":0"),
		CONFIG(THETA TYPES("full", "full")), CONFIG(THETA USED ",\"sliding_window\":null"),
		CONFIG(THETA ",\"use_sliding_window\":null,\"layer_types\":null")};
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		good(plain[i]);
		expect_notes("");
	}
	refuse(CONFIG(THETA ",\"use_sliding_window\":false" TYPES("full", "sliding")), HOKKU_INVALID_REQUEST,
	       "layer_types[1] is \"sliding_attention\", but use_sliding_window is false;");
	refuse(CONFIG(THETA TYPES("sliding", "sliding")), HOKKU_INVALID_REQUEST,
	       "layer_types[0] is \"sliding_attention\", but use_sliding_window is absent (false);");
	refuse(CONFIG(THETA USED TYPES("full", "sliding") ",\"sliding_window\":63"), HOKKU_INVALID_REQUEST,
	       "use_sliding_window is true; hokku converts Qwen2ForCausalLM with false (layers from 1 on "
	       "have a "
	       "window of 63)");
	refuse(CONFIG(THETA USED ",\"sliding_window\":63,\"max_window_layers\":1"), HOKKU_INVALID_REQUEST,
	       "(layers from 1 on have a window of 63)");
	/* No layer slides, or the window is as wide as the context. */
	good(CONFIG(THETA USED ",\"sliding_window\":63,\"max_window_layers\":2"));
	expect_notes("config.json: use_sliding_window is true, but no layer slides: max_window_layers is not "
		     "below num_hidden_layers\n");
	good(CONFIG(THETA USED)); /* 28 layers are full where nothing is said */
	expect_notes("config.json: use_sliding_window is true, but no layer slides: max_window_layers is not "
		     "below num_hidden_layers\n");
	good(CONFIG(THETA USED TYPES("full", "full") ",\"sliding_window\":1,\"max_window_layers\":0"));
	expect_notes("config.json: use_sliding_window is true, but no layer slides: layer_types has "
		     "full_attention alone\n");
	good(CONFIG(THETA USED ",\"sliding_window\":64,\"max_window_layers\":0"));
	expect_notes("config.json: use_sliding_window is true, but sliding_window 64 is not below "
		     "max_position_embeddings: it cuts nothing off\n");
	refuse(CONFIG(THETA ",\"layer_types\":[\"full_attention\"]"), HOKKU_BAD_FILE,
	       "layer_types has 1 layers; num_hidden_layers is 2");
	refuse(CONFIG(THETA TYPES("full", "linear")), HOKKU_INVALID_REQUEST,
	       "layer_types[1] is \"linear_attention\"; hokku converts");
	refuse(CONFIG(THETA ",\"layer_types\":[NaN,\"full_attention\"]"), HOKKU_BAD_FILE,
	       "layer_types[0] is NaN; a string is wanted");
	refuse(CONFIG(THETA ",\"layer_types\":{}"), HOKKU_BAD_FILE,
	       "layer_types is {}; an array of strings is wanted");
	refuse(CONFIG(THETA USED ",\"sliding_window\":NaN"), HOKKU_BAD_FILE,
	       "sliding_window is NaN; an integer");
	refuse(CONFIG(THETA USED ",\"max_window_layers\":1e30"), HOKKU_BAD_FILE,
	       "max_window_layers is 1e30; an integer");
}

static void test_said_twice(void **state)
{
	(void)state;
	good(CONFIG(THETA ",\"dtype\":\"bfloat16\",\"torch_dtype\":\"bfloat16\""));
	expect_notes("");
	good(CONFIG(THETA ",\"dtype\":\"bfloat16\",\"torch_dtype\":\"float32\""));
	expect_notes("config.json: dtype is \"bfloat16\" and torch_dtype \"float32\": neither counts, each "
		     "tensor has the type it is stored in\n");
	/* Heads: null is as many as there are queries; head_dim goes before the quotient. */
	struct hf_shape s = good("{\"architectures\":[\"Qwen2ForCausalLM\",\"Other\"],\"hidden_size\":32,"
				 "\"intermediate_size\":40,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
				 "\"num_key_value_heads\":null,\"max_position_embeddings\":64,"
				 "\"rms_norm_eps\":1,\"vocab_size\":9,\"head_dim\":16,\"rope_theta\":1}");
	assert_int_equal(s.n_kv_heads, 4);
	assert_int_equal(s.head_dim, 16);
	expect_notes("config.json: architectures is [\"Qwen2ForCausalLM\",\"Other\"]: the first counts\n");
	assert_int_equal(good(CONFIG(THETA ",\"head_dim\":null")).head_dim, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unread),       cmocka_unit_test(test_read_numbers),
		cmocka_unit_test(test_architecture), cmocka_unit_test(test_rope),
		cmocka_unit_test(test_windows),      cmocka_unit_test(test_said_twice),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
