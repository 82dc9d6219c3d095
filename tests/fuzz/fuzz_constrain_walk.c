/* Any bytes as a grammar: the machine against the grammar's meaning, masks against every token. */
#include <stdio.h>
#include <stdlib.h>

#include "constrain/grammar_try.h"

static uint32_t from_bytes(struct try_source *s, uint32_t n)
{
	return s->at < s->n_bytes ? s->bytes[s->at++] % n : 0;
}

static const char *const words[] = {
	"a",    "b",        "\"",       "x",    "ab",   "ba", "aab",      "abab", "bbbb",        "aaaaaaaa",
	"a\"",  "\"a",      "\"\"b",    "ax",   "xy\"", "y",  "\xc3\xa9", "\xc3", "\xa9",        "\xc3\xa9 a",
	"\xf0", "\xf0\x9f", "\x98\x80", "zzzz", " a b", " ",  "b\"a\"b",  "c",    "\xe2\x82\xac"};

static struct str word(void *user, uint32_t token)
{
	(void)user;
	return str_c(words[token]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct constrain_vocab *v;
	struct try_source s = {.draw = from_bytes, .bytes = data, .n_bytes = size};
	struct try_grammar t;
	bool refused;
	const struct constrain_words w = {.n = sizeof words / sizeof words[0], .bytes = word};
	if (!v && constrain_vocab_new(&w, &v, NULL))
		abort();
	if (!try_grammar_make(&t, &s))
		return 0;
	const char *wrong = try_machine(&t, v, &s, &refused);
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	grammar_free(t.g);
	return 0;
}
