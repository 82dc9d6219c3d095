/*
 * A model's file may be cut, overwritten or replaced under a program that has it open: once it is loaded the
 * answers stay what they were, to the bit, and while it is loaded that is an error, never the end of the
 * process.
 */
#include "model_run.h"
#include "small.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tiny_model.h"

static struct tiny_set set;

static const struct {
	const char *model, *format;
} models[] = {{"gqa7", "Q8_0"},   {"gqa7", "F16"}, {"gqa7", "Q5_1"}, {"mha128", "MIXED"},
	      {"mha128", "Q4_K"}, {"odd", "BF16"}, {"odd", "F32"},   {"mha64", "F32"}};
enum { N_MODELS = sizeof models / sizeof *models };
static bool asked[2] = {true, true}; /* of the devices */
static const char *const devices[] = {"cpu", "cpu:reference"};

/* The file of each model, made once: whoever cuts or spoils it gets it written anew from here. */
static struct {
	uint8_t *bytes;
	size_t n;
} made[N_MODELS];

static void make(char *path, size_t size, size_t i)
{
	snprintf(path, size, "%s/test_file_gone.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	if (!made[i].bytes) {
		tiny_write(&set, tiny_find(&set, models[i].model), models[i].format, path);
		made[i].bytes = golden_read(path, &made[i].n);
		return;
	}
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(made[i].bytes, 1, made[i].n, f), made[i].n);
	assert_int_equal(fclose(f), 0);
}

/* The bytes of the file become others, in place; then they are gone. */
static void spoil(const char *path)
{
	char junk[4096];
	struct stat st;
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	memset(junk, 0xFF, sizeof junk);
	for (off_t at = 0; at < st.st_size; at += (off_t)sizeof junk)
		assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
	close(fd);
}

static float *logits_of(struct run *r, const struct tiny *t)
{
	float *out = calloc((size_t)t->n_prompt * t->n_vocab, sizeof *out);
	assert_non_null(out);
	assert_true(run_logits(r, 0, t->prompt, t->n_prompt, 7, out));
	return out;
}

static void a_loaded_model_needs_no_file(void **state)
{
	(void)state;
	bool tied[2] = {false, false};
	for (size_t i = 0; i < N_MODELS; i++)
		for (size_t d = 0; d < 2; d++) {
			if (!asked[d])
				continue;
			char path[512];
			struct run r;
			const struct tiny *t = tiny_find(&set, models[i].model);
			size_t bytes = (size_t)t->n_prompt * t->n_vocab * sizeof(float);
			make(path, sizeof path, i);
			assert_true(run_open(&r, path, devices[d], 256, 1, 2));
			float *before = logits_of(&r, t);
			spoil(path);
			float *spoilt = logits_of(&r, t);
			assert_memory_equal(before, spoilt, bytes);
			assert_int_equal(truncate(path, 0), 0);
			float *cut = logits_of(&r, t);
			assert_memory_equal(before, cut, bytes);
			unlink(path);
			tied[r.model.tied] = true;
			run_close(&r);
			free(before);
			free(spoilt);
			free(cut);
		}
	assert_true(tied[false] && tied[true]);
}

/* From memory nothing is copied that need not be, and the bits are the same. */
static void memory_and_file_agree(void **state)
{
	(void)state;
	if (!asked[0])
		return;
	for (size_t i = 0; i < N_MODELS; i += small_step(3)) {
		char path[512], *bytes;
		size_t n_bytes;
		struct run from_file, from_memory = {.n_ctx = 256, .n_blocks = 8};
		const struct tiny *t = tiny_find(&set, models[i].model);
		struct hokku_error err = {0};
		make(path, sizeof path, i);
		assert_true(run_open(&from_file, path, "cpu", 256, 1, 2));
		assert_int_equal(file_read(path, 1 << 30, &bytes, &n_bytes, &err), HOKKU_OK);
		assert_int_equal(gguf_open_memory(bytes, n_bytes, "memory", &from_memory.file, &err),
				 HOKKU_OK);
		assert_int_equal(model_bind(&from_memory.model, from_memory.file, &err), HOKKU_OK);
		const struct compute_params p = {.model = &from_memory.model,
						 .device = "cpu",
						 .n_ctx = 256,
						 .n_seqs = 1,
						 .n_kv_blocks = 25,
						 .all_logits = true};
		assert_int_equal(compute_open(&p, &from_memory.compute, &err), HOKKU_OK);
		from_memory.blocks = calloc(8, sizeof *from_memory.blocks);
		memcpy(from_memory.blocks, from_file.blocks, 8 * sizeof *from_memory.blocks);
		float *a = logits_of(&from_file, t), *b = logits_of(&from_memory, t);
		assert_memory_equal(a, b, (size_t)t->n_prompt * t->n_vocab * sizeof *a);
		free(a);
		free(b);
		run_close(&from_file);
		run_close(&from_memory);
		free(bytes);
		unlink(path);
	}
}

struct meddling {
	const char *path;
	int at;    /* which call */
	off_t cut; /* to this length; -1: only touched */
};

static void meddle(void *user, uint64_t done, uint64_t all)
{
	struct meddling *m = user;
	(void)done;
	(void)all;
	if (m->at-- != 0)
		return;
	const struct timespec then[2] = {{1, 0}, {1, 0}};
	assert_int_equal(m->cut < 0 ? utimensat(AT_FDCWD, m->path, then, 0) : truncate(m->path, m->cut), 0);
}

/* *calls: how many times progress was told. */
static enum hokku_code open_meddled(size_t i, const char *device, uint32_t n_threads, int at, off_t cut,
				    int *calls, struct hokku_error *err)
{
	char path[512];
	struct gguf *g;
	struct model m;
	struct compute *c;
	make(path, sizeof path, i);
	struct meddling meddling = {path, at, cut};
	assert_int_equal(gguf_open_file(path, &g, err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, err), HOKKU_OK);
	const struct compute_params p = {.model = &m,
					 .device = device,
					 .n_threads = n_threads,
					 .n_ctx = 64,
					 .n_seqs = 1,
					 .on_progress = meddle,
					 .user = &meddling};
	enum hokku_code rc = compute_open(&p, &c, err);
	assert_true(rc == HOKKU_OK ? c != NULL : c == NULL);
	assert_true(rc == HOKKU_OK || strncmp(err->message, path, strlen(path)) == 0);
	compute_close(c);
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
	*calls = at - meddling.at;
	return rc;
}

static void a_file_cut_while_it_is_loaded(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MODELS; i += small_step(3))
		for (size_t d = 0; d < 2; d++) {
			if (!asked[d])
				continue;
			struct hokku_error err;
			int calls = 0, unused;
			assert_int_equal(open_meddled(i, devices[d], 2, 1 << 20, 0, &calls, &err), HOKKU_OK);
			assert_true(calls >= (d ? 1 : 8));
			for (int at = 0; at < calls; at += (int)small_step(5))
				for (off_t cut = 0; cut < 1 << 14; cut = cut * 3 + 1000) {
					err.message[0] = '\0';
					assert_int_equal(open_meddled(i, devices[d], (uint32_t)at % 3 + 1, at,
								      cut, &unused, &err),
							 HOKKU_IO_ERROR);
					if (at + 1 < calls) /* met while reading; or noticed at the end */
						assert_true(strstr(err.message, ": ends at byte ") ||
							    strstr(err.message, "was changed while"));
					else
						assert_non_null(strstr(err.message, "was changed while"));
				}
		}
}

static void a_file_written_to_while_it_is_loaded(void **state)
{
	(void)state;
	for (size_t d = 0; d < 2; d++) {
		if (!asked[d])
			continue;
		struct hokku_error err;
		int unused;
		assert_int_equal(open_meddled(0, devices[d], 2, 0, -1, &unused, &err), HOKKU_IO_ERROR);
		assert_non_null(strstr(err.message, "was changed while it was read; try again"));
	}
}

/* Of one device, "cpu" or "reference", or of both. */
int main(int argc, char **argv)
{
	if (argc > 1) {
		asked[0] = strcmp(argv[1], "cpu") == 0;
		asked[1] = strcmp(argv[1], "reference") == 0;
	}
	if (!asked[0] && !asked[1]) {
		printf("there is no device \"%s\"\n", argv[1]);
		return 2;
	}
	tiny_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loaded_model_needs_no_file),
		cmocka_unit_test(memory_and_file_agree),
		cmocka_unit_test(a_file_cut_while_it_is_loaded),
		cmocka_unit_test(a_file_written_to_while_it_is_loaded),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < N_MODELS; i++)
		free(made[i].bytes);
	tiny_free(&set);
	return failed;
}
