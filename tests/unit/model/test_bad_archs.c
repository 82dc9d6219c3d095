/*
 * Files of every architecture that are wrong in one place (golden/archs, as llama.cpp's converter wrote
 * them): a tensor missing or of another shape, a key missing, of another kind, out of its range, or unknown.
 * Each is an error that names it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "model/arch.h"

static struct arch_set set;
static char path[512];

/* Matrices of zeros, vectors and factors of ones. */
static void put_data(struct gguf_writer *w, const json_t *row)
{
	struct hokku_error err = {0};
	const json_t *shape = json_array_get(row, 2);
	size_t n = 1, n_dims = json_array_size(shape);
	for (size_t d = 0; d < n_dims; d++)
		n *= (size_t)json_integer_value(json_array_get(shape, d));
	uint16_t *zeros = calloc(n, sizeof *zeros);
	float *ones = calloc(n, sizeof *ones);
	for (size_t i = 0; i < n; i++)
		ones[i] = 1;
	assert_int_equal(n_dims == 2 ? gguf_writer_data(w, zeros, n * sizeof *zeros, &err)
				     : gguf_writer_data(w, ones, n * sizeof *ones, &err),
			 HOKKU_OK);
	free(zeros);
	free(ones);
}

/* A file of keys and tensors as gguf.json has them; an array of numbers is one of u32. */
static void write_file(const json_t *gguf)
{
	struct hokku_error err = {0};
	struct gguf_writer *w = NULL;
	json_t *keys = json_object_get(gguf, "keys"), *tensors = json_object_get(gguf, "tensors"), *value;
	const char *key;
	assert_int_equal(gguf_writer_create(path, &w, &err), HOKKU_OK);
	json_object_foreach(keys, key, value)
	{
		uint32_t numbers[8];
		size_t n = json_array_size(value);
		if (!json_is_integer(json_array_get(value, 0))) {
			arch_put_key(w, key, value);
			continue;
		}
		for (size_t i = 0; i < n && i < 8; i++)
			numbers[i] = (uint32_t)json_integer_value(json_array_get(value, i));
		gguf_put_array(w, key, GGUF_U32, numbers, n);
	}
	struct str tokens[261];
	for (size_t i = 0; i < 261; i++)
		tokens[i] = STR_LIT("x");
	gguf_put_str_array(w, "tokenizer.ggml.tokens", tokens, 261);
	for (size_t i = 0; i < json_array_size(tensors); i++) {
		const json_t *row = json_array_get(tensors, i), *shape = json_array_get(row, 2);
		uint64_t dims[2];
		size_t n_dims = json_array_size(shape);
		for (size_t d = 0; d < n_dims; d++)
			dims[d] = (uint64_t)json_integer_value(json_array_get(shape, d));
		gguf_put_tensor(w, json_string_value(json_array_get(row, 0)),
				n_dims == 2 ? TENSOR_F16 : TENSOR_F32, (uint32_t)n_dims, dims);
	}
	assert_int_equal(gguf_writer_begin_data(w, &err), HOKKU_OK);
	for (size_t i = 0; i < json_array_size(tensors); i++)
		put_data(w, json_array_get(tensors, i));
	assert_int_equal(gguf_writer_finish(w, &err), HOKKU_OK);
	gguf_writer_destroy(w);
}

/* Is the file refused? If so in words that have all of the names (NULL: no more) in them. */
static bool refused(const char *what, const json_t *gguf, const char *first, const char *second)
{
	struct hokku_error err = {0};
	struct gguf *g;
	struct model m;
	write_file(gguf);
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	enum hokku_code rc = model_bind(&m, g, &err);
	if (rc && (rc != HOKKU_MODEL_LOAD_FAILED || !strstr(err.message, first) ||
		   (second && !strstr(err.message, second))))
		fail_msg("%s: the message is\n  %s\nwanted in it: %s, %s", what, err.message, first,
			 second ? second : "");
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
	return rc != HOKKU_OK;
}

static void must_be_refused(const char *what, const json_t *gguf, const char *first, const char *second)
{
	if (!refused(what, gguf, first, second))
		fail_msg("%s: %s: it was bound", what, first);
}

/* A copy of a model's gguf.json, and the whole name of one of its keys. */
static json_t *copy_of(const struct arch_entry *a)
{
	return json_deep_copy(a->gguf);
}

static const char *architecture(const json_t *gguf)
{
	return json_string_value(json_object_get(json_object_get(gguf, "keys"), "general.architecture"));
}

static const char *key_name(const json_t *gguf, const char *suffix, char out[96])
{
	snprintf(out, 96, "%s.%s", architecture(gguf), suffix);
	return out;
}

/* Of all layers the first is tried, and of an architecture's models each tensor once. tried: what has been.
 */
static bool is_due(json_t *tried, const struct arch_entry *a, const char *name)
{
	char key[192];
	snprintf(key, sizeof key, "%s %s", architecture(a->gguf), name);
	if ((strncmp(name, "blk.", 4) == 0 && strncmp(name, "blk.0.", 6) != 0) || json_object_get(tried, key))
		return false;
	json_object_set_new(tried, key, json_true());
	return true;
}

/* Is the model the first of its architecture? */
static bool is_first(size_t i)
{
	size_t k = 0;
	while (strcmp(architecture(set.entries[k].gguf), architecture(set.entries[i].gguf)) != 0)
		k++;
	return k == i;
}

/* Which tensors a file may do without, as another that is sound has none: an output that is the embedding,
 * factors of RoPE, and what the architecture's row says that a layer may hold. */
static bool may_be_missing(const json_t *gguf, const char *name)
{
	const struct arch *arch = arch_get(str_c(architecture(gguf)));
	if (strcmp(name, "output.weight") == 0 || strcmp(name, "rope_freqs.weight") == 0)
		return true;
	for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
		if (strncmp(name, "blk.0.", 6) == 0 && strcmp(name + 6, layer_roles[i].name) == 0)
			return arch->may >> i & 1 && !(arch->must >> i & 1);
	return false;
}

static void a_tensor_is_missing(void **state)
{
	(void)state;
	size_t n_refused = 0;
	json_t *tried = json_object();
	for (size_t i = 0; i < set.n; i++) {
		const json_t *all = json_object_get(set.entries[i].gguf, "tensors");
		for (size_t t = 0; t < json_array_size(all); t++) {
			const char *name = json_string_value(json_array_get(json_array_get(all, t), 0));
			if (!is_due(tried, &set.entries[i], name))
				continue;
			json_t *gguf = copy_of(&set.entries[i]);
			json_array_remove(json_object_get(gguf, "tensors"), t);
			bool is = refused(set.entries[i].name, gguf, name, NULL);
			if (is == may_be_missing(gguf, name))
				fail_msg("%s without %s: %s", set.entries[i].name, name,
					 is ? "refused" : "bound");
			n_refused += is;
			json_decref(gguf);
		}
	}
	assert_true(n_refused > 120);
	json_decref(tried);
}

static void a_tensor_is_of_another_shape(void **state)
{
	(void)state;
	json_t *tried = json_object();
	for (size_t i = 0; i < set.n; i++) {
		const json_t *all = json_object_get(set.entries[i].gguf, "tensors");
		for (size_t t = 0; t < json_array_size(all); t++) {
			const char *name = json_string_value(json_array_get(json_array_get(all, t), 0));
			size_t n_dims = json_array_size(json_array_get(json_array_get(all, t), 2));
			if (!is_due(tried, &set.entries[i], name))
				continue;
			for (size_t d = 0; d < n_dims; d++) {
				json_t *gguf = copy_of(&set.entries[i]), *shape;
				shape = json_array_get(json_array_get(json_object_get(gguf, "tensors"), t),
						       2);
				json_int_t n = json_integer_value(json_array_get(shape, d)) + (d ? -1 : 1);
				char found[32];
				json_array_set_new(shape, d, json_integer(n));
				snprintf(found, sizeof found, "%lld", (long long)n);
				must_be_refused(set.entries[i].name, gguf, name, found);
				json_decref(gguf);
			}
		}
	}
	json_decref(tried);
}

static void a_key_is_missing(void **state)
{
	(void)state;
	static const char *const keys[] = {
		"block_count",         "context_length",       "embedding_length",
		"feed_forward_length", "attention.head_count", "attention.layer_norm_rms_epsilon",
	};
	for (size_t i = 0; i < set.n; i++)
		for (size_t k = 0; k < sizeof keys / sizeof keys[0] && is_first(i); k++) {
			json_t *gguf = copy_of(&set.entries[i]);
			char name[96];
			key_name(gguf, keys[k], name);
			assert_int_equal(json_object_del(json_object_get(gguf, "keys"), name), 0);
			must_be_refused(set.entries[i].name, gguf, name, NULL);
			json_decref(gguf);
		}
}

/* With its new value (stolen), whether it was there or not. */
static void with_key(const struct arch_entry *a, const char *suffix, json_t *value, const char *found)
{
	json_t *gguf = copy_of(a);
	char name[96];
	key_name(gguf, suffix, name);
	json_object_set_new(json_object_get(gguf, "keys"), name, value);
	must_be_refused(a->name, gguf, name, found);
	json_decref(gguf);
}

static void a_key_that_is_not_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < set.n; i++) {
		const struct arch_entry *a = &set.entries[i];
		if (!is_first(i))
			continue;
		with_key(a, "attention.invented_scale", json_real(0.5), "does not know");
		with_key(a, "expert_count", json_integer(4), "is 4");
		with_key(a, "attention.clamp_kqv", json_real(8), "is 8");
		with_key(a, "attention.causal", json_false(), "is false");
		with_key(a, "rope.scaling.type", json_string("dynamic"), "\"dynamic\"");
		with_key(a, "attention.value_length", json_integer(6), "is 6");
	}
}

/* Keys that llama.cpp reads as a number or as an array of one for each layer. */
static const char *const layer_keys[] = {"attention.head_count", "attention.head_count_kv",
					 "feed_forward_length"};
enum { N_LAYER_KEYS = sizeof layer_keys / sizeof *layer_keys };

/* An array of the key's own number for n layers (0: all of the model, -1: one less, 1: one more), and of
 * another one in the last place. */
static json_t *array_of(const struct arch_entry *a, const char *suffix, int more, int last)
{
	char name[96];
	json_t *keys = json_object_get(a->gguf, "keys"), *array = json_array();
	json_int_t n = json_integer_value(json_object_get(keys, key_name(a->gguf, "block_count", name)));
	json_int_t value = json_integer_value(json_object_get(keys, key_name(a->gguf, suffix, name)));
	assert_true(n > 1 && value > 0);
	for (json_int_t i = 0; i < n + more; i++)
		json_array_append_new(array, json_integer(value + (i == n - 1 ? last : 0)));
	return array;
}

static void a_number_for_each_layer(void **state)
{
	(void)state;
	for (size_t i = 0; i < set.n; i++)
		for (size_t k = 0; k < N_LAYER_KEYS && is_first(i); k++) {
			const struct arch_entry *a = &set.entries[i];
			char name[96];
			json_t *gguf = copy_of(a);
			json_object_set_new(json_object_get(gguf, "keys"),
					    key_name(gguf, layer_keys[k], name),
					    array_of(a, layer_keys[k], 0, 0));
			if (refused(a->name, gguf, "", NULL))
				fail_msg("%s: %s as an array is refused", a->name, name);
			json_decref(gguf);
			with_key(a, layer_keys[k], array_of(a, layer_keys[k], 0, 1),
				 "one number for all layers");
			with_key(a, layer_keys[k], array_of(a, layer_keys[k], -1, 0), "is an array of");
			with_key(a, layer_keys[k], array_of(a, layer_keys[k], 1, 0), "is an array of");
		}
}

/* 0 is a window in no file but Phi-3's, where it says that there is none. */
static void a_window_of_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < set.n; i++) {
		const struct arch_entry *a = &set.entries[i];
		if (is_first(i) && strcmp(architecture(a->gguf), "phi3") != 0)
			with_key(a, "attention.sliding_window", json_integer(0), "is 0");
	}
	json_t *gguf = copy_of(arch_find(&set, "phi3-window"));
	json_object_set_new(json_object_get(gguf, "keys"), "phi3.attention.sliding_window", json_integer(0));
	assert_false(refused("phi3-window", gguf, "", NULL));
	json_decref(gguf);
}

/* Windows as a list of another length, or of other things than booleans. */
static void a_pattern_of_windows(void **state)
{
	(void)state;
	static const char *const names[] = {"exaone4-window", "olmo3", "gemma3-a", "gemma2-a"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct arch_entry *a = arch_find(&set, names[i]);
		with_key(a, "attention.sliding_window_pattern", json_pack("[b,b]", 1, 0),
			 "an array of 2 bool");
		with_key(a, "attention.sliding_window_pattern", json_pack("[i,i,i]", 1, 0, 1),
			 "an array of 3 u32");
		with_key(a, "attention.sliding_window_pattern", json_integer(0), "is 0");
	}
}

int main(void)
{
	arch_load(&set);
	/* some five hundred files, each of which the writer waits for to be on the disk */
	const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : TEST_BINARY_DIR;
	snprintf(path, sizeof path, "%s/test_bad_archs.%d.gguf", folder, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tensor_is_missing),     cmocka_unit_test(a_tensor_is_of_another_shape),
		cmocka_unit_test(a_key_is_missing),        cmocka_unit_test(a_key_that_is_not_known),
		cmocka_unit_test(a_number_for_each_layer), cmocka_unit_test(a_window_of_nothing),
		cmocka_unit_test(a_pattern_of_windows),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
