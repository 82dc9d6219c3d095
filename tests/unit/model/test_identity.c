/* Which model it is: the same for a copy, another where a key, a tensor's type or a sampled page differs; and
 * the same of RoPE's tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <stdio.h>

#include "model/identity.h"
#include "tiny_model.h"

static struct tiny_set set;
static char path[512];

static char *read_whole(size_t *n)
{
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	char *bytes = malloc(*n);
	assert_int_equal(fread(bytes, 1, *n, f), *n);
	fclose(f);
	return bytes;
}

static uint64_t identity_of(const char *bytes, size_t n)
{
	struct hokku_error err = {0};
	struct gguf *g;
	uint64_t id;
	if (gguf_open_memory(bytes, n, "model", &g, &err) || model_identity(g, &id, &err))
		fail_msg("%s", err.message);
	gguf_close(g);
	return id;
}

/* One bit of each page that is looked at, and one beside them. */
static void pages_and_keys_count(void **state)
{
	struct hokku_error err = {0};
	struct gguf *g;
	size_t n;
	uint64_t from_file;
	(void)state;
	tiny_write(&set, tiny_find(&set, "mha128"), "F32", path);
	char *bytes = read_whole(&n);
	uint64_t id = identity_of(bytes, n);
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(model_identity(g, &from_file, &err), HOKKU_OK);
	assert_int_equal(id, from_file);
	const struct gguf_tensor *t = gguf_find_tensor(g, "token_embd.weight");
	uint64_t last = (t->n_bytes - 1) / IDENTITY_PAGE;
	assert_true(last >= 4);
	const struct {
		uint64_t at;
		bool seen;
	} cases[] = {
		{0, true},
		{IDENTITY_PAGE - 1, true},
		{IDENTITY_PAGE, false}, /* as the header says */
		{last / 2 * IDENTITY_PAGE, true},
		{t->n_bytes - 1, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bytes[t->offset + cases[i].at] ^= 1;
		assert_int_equal(identity_of(bytes, n) != id, cases[i].seen);
		bytes[t->offset + cases[i].at] ^= 1;
	}
	gguf_close(g);
	char *key = memmem(bytes, n, "rope.freq_base", 14);
	assert_non_null(key);
	key[14 + 4] ^= 1; /* its value, after the type */
	assert_true(identity_of(bytes, n) != id);
	free(bytes);
	tiny_write(&set, tiny_find(&set, "mha128"), "F16", path);
	bytes = read_whole(&n);
	assert_true(identity_of(bytes, n) != id);
	free(bytes);
}

static void rope_counts(void **state)
{
	struct hokku_error err = {0};
	struct gguf *g;
	struct model m;
	(void)state;
	tiny_write(&set, tiny_find(&set, "mha128"), "F32", path);
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, &err), HOKKU_OK);
	uint64_t id = model_rope_identity(&m);
	assert_int_equal(id, model_rope_identity(&m));
	((float *)(uintptr_t)m.ropes[0].freq)[1] *= 2;
	assert_true(model_rope_identity(&m) != id);
	model_unbind(&m);
	gguf_close(g);
}

int main(void)
{
	tiny_load(&set);
	snprintf(path, sizeof path, "%s/test_identity.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {cmocka_unit_test(pages_and_keys_count),
					   cmocka_unit_test(rope_counts)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	tiny_free(&set);
	return failed;
}
