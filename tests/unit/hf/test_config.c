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
	assert_true(good(CONFIG(INSIDE ",\"rope_scaling\":{\"rope_type\":\"default\"}")).rope_theta == 1e4f);
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

/* A folder of another architecture: its class, model_type and what its numbers are, unless `more` says so. */
#define OTHER(class, type, more)                                                      \
	"{\"architectures\":[\"" class "\"],\"model_type\":\"" type                   \
				       "\",\"hidden_size\":64,\"intermediate_size\":" \
				       "40,\"num_hidden_layers\":2,\"num_attention_heads\":32" more "}"

static const struct hf_key *key_of(const struct hf_shape *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_keys; i++)
		if (strcmp(s->keys[i].name, name) == 0)
			return &s->keys[i];
	return NULL;
}

/* What config.json leaves out is what transformers' class has (models/NAME/configuration_NAME.py of 5.x). */
static void test_absent(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		float eps, theta;
		uint32_t n_ctx, n_vocab, n_kv_heads, window; /* 0: no key */
		bool tied;
	} rows[] = {
		{OTHER("Qwen2ForCausalLM", "qwen2", ""), 1e-6f, 1e4f, 32768, 151936, 32, 0, false},
		{OTHER("Qwen3ForCausalLM", "qwen3", ""), 1e-6f, 1e4f, 32768, 151936, 32, 0, false},
		{OTHER("LlamaForCausalLM", "llama", ""), 1e-6f, 1e4f, 2048, 32000, 32, 0, false},
		{OTHER("MistralForCausalLM", "mistral", ""), 1e-6f, 1e4f, 131072, 32000, 8, 4096, false},
		{OTHER("MistralForCausalLM", "mistral", ",\"sliding_window\":null"), 1e-6f, 1e4f, 131072,
		 32000, 8, 0, false},
		{OTHER("Ministral3ForCausalLM", "ministral3",
		       ",\"rope_parameters\":{\"rope_type\":\"default\"}"),
		 1e-5f, 1e4f, 262144, 131072, 8, 0, false},
		{OTHER("Ministral3ForCausalLM", "ministral3",
		       ",\"rope_parameters\":{\"rope_type\":\"default\"},\"sliding_window\":32"),
		 1e-5f, 1e4f, 262144, 131072, 8, 32, false},
		{OTHER("Phi3ForCausalLM", "phi3", ""), 1e-5f, 1e4f, 4096, 32064, 32, 0, false},
		{OTHER("GemmaForCausalLM", "gemma", ""), 1e-6f, 1e4f, 8192, 256000, 16, 0, true},
		{OTHER("Gemma2ForCausalLM", "gemma2", ""), 1e-6f, 1e4f, 8192, 256000, 4, 4096, true},
		{OTHER("Gemma3ForCausalLM", "gemma3_text", ""), 1e-6f, 1e6f, 131072, 262208, 4, 4096, true},
		{OTHER("GraniteForCausalLM", "granite", ""), 1e-6f, 1e4f, 2048, 32000, 32, 0, false},
		{OTHER("Olmo2ForCausalLM", "olmo2", ""), 1e-5f, 1e4f, 2048, 50304, 32, 0, false},
		{OTHER("Olmo3ForCausalLM", "olmo3", ""), 1e-5f, 5e5f, 2048, 50304, 32, 4096, false},
		{OTHER("SmolLM3ForCausalLM", "smollm3", ""), 1e-6f, 2e6f, 32768, 128256, 4, 0, true},
		{OTHER("Exaone4ForCausalLM", "exaone4", ""), 1e-5f, 1e4f, 2048, 102400, 32, 4096, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct hf_shape s = good(rows[i].text);
		const struct hf_key *window = key_of(&s, "attention.sliding_window");
		if (s.norm_eps != rows[i].eps || s.rope_theta != rows[i].theta || s.n_ctx != rows[i].n_ctx ||
		    s.n_vocab != rows[i].n_vocab || s.n_kv_heads != rows[i].n_kv_heads ||
		    (window ? window->u32 : 0) != rows[i].window || s.tied != rows[i].tied || s.tied_given)
			fail_msg("%s\n  %g %g %u %u %u %u %d", rows[i].text, (double)s.norm_eps,
				 (double)s.rope_theta, s.n_ctx, s.n_vocab, s.n_kv_heads,
				 window ? window->u32 : 0, s.tied);
		expect_notes("");
	}
	refuse(OTHER("Ministral3ForCausalLM", "ministral3", ""), HOKKU_BAD_FILE,
	       "rope_parameters is absent; an object is wanted");
	refuse(OTHER("Gemma2ForCausalLM", "gemma2", ",\"head_dim\":32"), HOKKU_BAD_FILE,
	       "query_pre_attn_scalar is absent; 32 is wanted");
}

static void test_layers(void **state)
{
	(void)state;
#define LAYERS(type, a, b)                                                                      \
	",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":" a \
	"},\"sliding_"                                                                          \
	"attention\":{\"rope_type\":\"" type "\",\"factor\":2,\"rope_theta\":" b "}}"
#define GEMMA3(more) OTHER("Gemma3ForCausalLM", "gemma3_text", more)
#define OLMO3(more)  OTHER("Olmo3ForCausalLM", "olmo3", more)
	/* The base of layers that slide: in rope_parameters before rope_local_base_freq. */
	struct hf_shape s = good(GEMMA3(LAYERS("default", "5e5", "2e4") ",\"rope_local_base_freq\":3e4"));
	assert_true(s.rope_theta == 5e5f && key_of(&s, "rope.freq_base_swa")->f32 == 2e4f);
	expect_notes(
		"config.json: rope_parameters.sliding_attention.rope_theta is 2e4 and rope_local_base_freq "
		"3e4: the former counts\n");
	s = good(GEMMA3(",\"rope_local_base_freq\":3e4"));
	assert_true(key_of(&s, "rope.freq_base_swa")->f32 == 3e4f);
	expect_notes("");
	refuse(GEMMA3(LAYERS("linear", "5e5", "2e4")), HOKKU_INVALID_REQUEST,
	       "rope_parameters.sliding_attention.rope_type is \"linear\"; hokku converts Gemma3ForCausalLM with "
	       "\"default\" there");
	refuse(OLMO3(LAYERS("linear", "5e5", "5e5")), HOKKU_INVALID_REQUEST, "rope_type is \"linear\";");
	refuse(OLMO3(LAYERS("default", "5e5", "1e4")), HOKKU_INVALID_REQUEST,
	       "RoPE's base is 10000 in layers that slide, and 500000 in the others; hokku converts "
	       "Olmo3ForCausalLM with one");
	good(OLMO3(LAYERS("default", "5e5", "500000")));
	/* Which layers slide. */
	s = good(GEMMA3(TYPES("full", "sliding") ",\"sliding_window_pattern\":2"));
	assert_true(!s.windowed[0] && s.windowed[1]);
	expect_notes(
		"config.json: sliding_window_pattern is 2, and layer_types has other layers slide: layer_types "
		"counts\n");
	good(GEMMA3(TYPES("sliding", "full") ",\"sliding_window_pattern\":2"));
	expect_notes("");
	good(OTHER("Exaone4ForCausalLM", "exaone4",
		   ",\"sliding_window\":null,\"sliding_window_pattern\":0" TYPES("full", "full")));
	expect_notes("");
	refuse(OTHER("Exaone4ForCausalLM", "exaone4", ",\"sliding_window\":null" TYPES("sliding", "full")),
	       HOKKU_BAD_FILE, "sliding_window is null; the window of the layers that slide is wanted");
	good(OTHER("LlamaForCausalLM", "llama", TYPES("full", "sliding")));
	expect_notes(
		"config.json: layer_types[1] is \"sliding_attention\", which does not count: all layers of a "
		"LlamaForCausalLM are alike\n");
}

/* The scaling, and what stands beside it. */
static void test_rope_scaling(void **state)
{
	(void)state;
#define YARN(more)   ",\"rope_parameters\":{\"rope_type\":\"yarn\",\"rope_theta\":1e4" more "}"
#define ORIGINAL     "\"original_max_position_embeddings\":"
#define ORIGINAL_KEY "rope.scaling.original_context_length"
	struct hf_shape s = good(CONFIG(YARN(",\"factor\":2," ORIGINAL "32") "," ORIGINAL "16"));
	assert_int_equal(key_of(&s, ORIGINAL_KEY)->u32, 16);
	expect_notes(
		"config.json: original_max_position_embeddings is 32 with RoPE's scaling, and 16 beside it: "
		"the latter counts\n");
	s = good(CONFIG(
		YARN(",\"factor\":null,\"mscale\":0,\"mscale_all_dim\":0.0,\"beta_fast\":0," ORIGINAL "32")));
	assert_true(key_of(&s, "rope.scaling.factor")->f32 == 2);
	assert_true(key_of(&s, "rope.scaling.yarn_beta_fast")->f32 == 32);
	assert_null(key_of(&s, "rope.scaling.yarn_attn_factor"));
	expect_notes("");
#define LONG(type, more)                                                            \
	OTHER("Phi3ForCausalLM", "phi3",                                            \
	      ",\"max_position_embeddings\":128,\"rope_scaling\":{\"type\":\"" type \
	      "\",\"long_factor\":[2],\"short_factor\":[1]" more)
	s = good(LONG("su", "}," ORIGINAL "32"));
	float by_context = key_of(&s, "rope.scaling.attn_factor")->f32;
	assert_true(by_context > 1.18321f && by_context < 1.18322f); /* sqrt(1 + ln 4 / ln 32) */
	s = good(LONG("yarn", ",\"factor\":4.0}," ORIGINAL "32"));
	assert_true(key_of(&s, "rope.scaling.attn_factor")->f32 == by_context &&
		    s.n_pairs[TABLE_ROPE_LONG] == 1);
	expect_notes("");
	s = good(LONG("longrope", ",\"factor\":1.0}," ORIGINAL "32"));
	assert_true(key_of(&s, "rope.scaling.attn_factor")->f32 == 1);
	expect_notes(
		"config.json: rope_parameters.factor is 1, and the context 128 is 4 times the original 32: "
		"factor counts\n");
	s = good(LONG("longrope", "," ORIGINAL "32}"));
	assert_int_equal(key_of(&s, ORIGINAL_KEY)->u32, 4096);
	expect_notes(
		"config.json: original_max_position_embeddings is 32 with RoPE's scaling, and 4096 where "
		"transformers' class sets it: the latter counts\n");
	good(OTHER(
		"Phi3ForCausalLM", "phi3",
		",\"head_dim\":8,\"partial_rotary_factor\":0.5,\"rope_parameters\":{\"partial_rotary_factor\":1.0}"));
	expect_notes(
		"config.json: rope_parameters.partial_rotary_factor is 1.0 and partial_rotary_factor 0.5: the "
		"former counts\n");
}

static void test_quantised(void **state)
{
	(void)state;
	refuse(CONFIG(THETA ",\"quantization_config\":{\"bits\":4,\"quant_method\":\"gptq\"}"),
	       HOKKU_INVALID_REQUEST,
	       "quantization_config.quant_method is \"gptq\": the weights are quantised; hokku converts plain ones");
	refuse(CONFIG(THETA ",\"compression_config\":{\"quant_method\":\"compressed-tensors\"}"),
	       HOKKU_INVALID_REQUEST, "compression_config.quant_method is \"compressed-tensors\":");
	refuse(CONFIG(THETA ",\"quantization_config\":{\"load_in_4bit\":true}"), HOKKU_INVALID_REQUEST,
	       "quantization_config is {\"load_in_4bit\":true}: the weights are quantised;");
	good(CONFIG(THETA ",\"quantization_config\":null"));
	/* Beside the text's part, too; and so is what ties its head. */
#define BOTH(text, more)                                                                                           \
	"{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"model_type\":\"gemma3\",\"text_config\":"       \
	"{\"model_type\":\"gemma3_text\",\"hidden_size\":64,\"intermediate_size\":40,\"num_hidden_layers\":2" text \
	"}" more "}"
	refuse(BOTH("", ",\"quantization_config\":{\"quant_method\":\"fp8\"}"), HOKKU_INVALID_REQUEST,
	       "quantization_config.quant_method is \"fp8\"");
	struct hf_shape s = good(BOTH("", ",\"tie_word_embeddings\":false"));
	assert_true(!s.tied && s.tied_given);
	s = good(BOTH(",\"tie_word_embeddings\":true", ",\"tie_word_embeddings\":false"));
	assert_true(s.tied && s.tied_given);
	assert_non_null(strstr(notes,
			       "text_config.tie_word_embeddings is true and tie_word_embeddings false: the "
			       "former counts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unread),       cmocka_unit_test(test_read_numbers),
		cmocka_unit_test(test_architecture), cmocka_unit_test(test_rope),
		cmocka_unit_test(test_windows),      cmocka_unit_test(test_said_twice),
		cmocka_unit_test(test_absent),       cmocka_unit_test(test_layers),
		cmocka_unit_test(test_rope_scaling), cmocka_unit_test(test_quantised),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
