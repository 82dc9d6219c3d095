/* A Hugging Face folder in /tmp for a test, and the notes that reading it makes. */
#ifndef TEST_HF_SCRATCH_H
#define TEST_HF_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "hf/hf.h"

static char folder[] = "/tmp/hokku-hf-XXXXXX";
static char notes[4096];

static inline void put(const char *name, const void *bytes, size_t n)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static inline void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static inline void drop(const char *name)
{
	char path[160];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	unlink(path);
}

static inline int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static inline int drop_folder(void **state)
{
	(void)state;
	static const char *const names[] = {
		"config.json",           "generation_config.json",  "tokenizer.json",
		"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"chat_template.jinja",   "model.safetensors"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		drop(names[i]);
	return rmdir(folder);
}

static inline void take_note(void *user, const char *text)
{
	(void)user;
	size_t n = strlen(notes);
	snprintf(notes + n, sizeof notes - n, "%s\n", text);
}

static const struct observer observer = {.note = take_note};

static inline void expect_notes(const char *wanted)
{
	if (strcmp(notes, wanted) != 0)
		fail_msg("the notes are\n%s  not\n%s", notes, wanted);
	notes[0] = '\0';
}

#endif
