/*
 * Every architecture from its folder (golden/archs): what hokku convert writes binds to the same numbers as
 * what llama.cpp's own converter wrote of the same folder: hyperparameters, specs, RoPE's tables, weights.
 * And a folder that has more than text gives the text's part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "convert/convert.h"
#include "model/model.h"

static struct arch_set set;
static char folder[256], ours[256], theirs[256];
static char notes[2048];

static void note(void *user, const char *text)
{
	(void)user;
	snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", text);
}

static void convert(void)
{
	struct hokku_error err = {0};
	struct convert_options o = {
		.dir = folder, .out = ours, .type = TENSOR_F16, .observer = {.note = note}};
	notes[0] = '\0';
	if (convert_hf(&o, &err))
		fail_msg("%s", err.message);
}

struct bound {
	struct gguf *file;
	struct model m;
};

static void open_bound(struct bound *b, const char *path)
{
	struct hokku_error err = {0};
	if (gguf_open_file(path, &b->file, &err) || model_bind(&b->m, b->file, &err))
		fail_msg("%s", err.message);
}

static void close_bound(struct bound *b)
{
	model_unbind(&b->m);
	gguf_close(b->file);
}

static void same_weight(const char *what, const struct bound *x, const struct weight *a,
			const struct bound *y, const struct weight *b)
{
	struct hokku_error err = {0};
	if (!a->tensor != !b->tensor)
		fail_msg("%s: only one file has it", what);
	if (!a->tensor)
		return;
	assert_int_equal(a->rows, b->rows);
	assert_int_equal(a->cols, b->cols);
	assert_ptr_equal(a->fmt, b->fmt);
	size_t n = (size_t)a->rows * a->row_bytes;
	uint8_t *left = malloc(n), *right = malloc(n);
	assert_int_equal(gguf_read(x->file, a->tensor->offset + a->offset, left, n, &err), HOKKU_OK);
	assert_int_equal(gguf_read(y->file, b->tensor->offset + b->offset, right, n, &err), HOKKU_OK);
	if (memcmp(left, right, n) != 0)
		fail_msg("%s: other numbers", what);
	free(left);
	free(right);
}

/* Specs but for where their RoPE lies; RoPE by its numbers. */
static void same_spec(const struct model *a, const struct model *b, uint32_t l)
{
	struct layer_spec x = a->specs[l], y = b->specs[l];
	assert_int_equal(x.attn.rope != NULL, y.attn.rope != NULL);
	if (x.attn.rope) {
		const struct rope *p = x.attn.rope, *q = y.attn.rope;
		assert_int_equal(p->kind, q->kind);
		assert_int_equal(p->n_dims, q->n_dims);
		assert_true(fabsf(p->attn_factor - q->attn_factor) <= 2e-7f);
		for (uint32_t i = 0; i < p->n_dims / 2;
		     i++) /* factors of Llama 3 are computed, there in float32 */
			assert_true(fabsf(p->freq[i] - q->freq[i]) <= 2e-7f * p->freq[i]);
	}
	x.attn.rope = y.attn.rope = NULL;
	assert_memory_equal(&x, &y, sizeof x);
}

static void compare(const char *name)
{
	struct bound a, b;
	open_bound(&a, ours);
	open_bound(&b, theirs);
	printf("%s\n", name);
	assert_string_equal(a.m.arch_name, b.m.arch_name);
	assert_memory_equal(&a.m.hp, &b.m.hp, sizeof a.m.hp);
	assert_true(a.m.embedding_scale == b.m.embedding_scale && a.m.logit_scale == b.m.logit_scale &&
		    a.m.logit_cap == b.m.logit_cap);
	assert_int_equal(a.m.tied, b.m.tied);
	for (uint32_t i = 0; i <= ROLE_OUTPUT; i++)
		same_weight("a tensor of the model", &a, &a.m.w[i], &b, &b.m.w[i]);
	for (uint32_t l = 0; l < a.m.hp.n_layers; l++) {
		same_spec(&a.m, &b.m, l);
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			same_weight("a tensor of a layer", &a, &a.m.layers[l].w[i], &b, &b.m.layers[l].w[i]);
	}
	close_bound(&a);
	close_bound(&b);
	unlink(ours);
	unlink(theirs);
}

static void every_architecture(void **state)
{
	(void)state;
	for (size_t i = 0; i < set.n; i++) {
		const struct arch_entry *a = &set.entries[i];
		arch_write_folder(a, folder, NULL);
		convert();
		arch_write_gguf(a, TENSOR_F16, theirs);
		arch_remove_folder(folder);
		compare(a->name);
	}
}

/* Under both names that transformers has given the text's tensors. */
static void the_text_of_a_folder_of_more(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct arch_vision vision;
	} cases[] = {
		{"gemma3-a", {"Gemma3ForConditionalGeneration", "gemma3", "model.language_model."}},
		{"gemma3-b", {"Gemma3ForConditionalGeneration", "gemma3", "language_model."}},
		{"ministral3-a", {"Mistral3ForConditionalGeneration", "mistral3", "model.language_model."}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct arch_entry *a = arch_find(&set, cases[i].name);
		arch_write_folder(a, folder, &cases[i].vision);
		convert();
		assert_non_null(strstr(notes, "what reads pictures is left out"));
		arch_write_gguf(a, TENSOR_F16, theirs);
		arch_remove_folder(folder);
		compare(a->name);
	}
}

int main(void)
{
	arch_load(&set);
	snprintf(folder, sizeof folder, "%s/test_archs.%d", TEST_BINARY_DIR, (int)getpid());
	snprintf(ours, sizeof ours, "%s/test_archs.%d.ours.gguf", TEST_BINARY_DIR, (int)getpid());
	snprintf(theirs, sizeof theirs, "%s/test_archs.%d.theirs.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_architecture),
		cmocka_unit_test(the_text_of_a_folder_of_more),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
