/* Any bytes as a grammar: nothing crashes or takes more than it may; what is refused has a message, and what
 * is taken can be walked: from each place that is reached something may follow, or the text may end. */
#include <stdlib.h>

#include "constrain/constrain.h"

static char byte_of[256];

static struct str word(void *user, uint32_t token)
{
	(void)user;
	return token < 256 ? (struct str){&byte_of[token], 1} : (struct str){NULL, 0};
}

static struct constrain_vocab *bytes(void)
{
	static const int32_t end = 256;
	struct constrain_words words = {.n = 257, .bytes = word, .ends = &end, .n_ends = 1};
	struct constrain_vocab *v = NULL;
	for (int i = 0; i < 256; i++)
		byte_of[i] = (char)i;
	if (constrain_vocab_new(&words, &v, NULL))
		abort();
	return v;
}

static void walk(struct constrain *c, const uint8_t *data, size_t size)
{
	struct constrain_walk *w = constrain_begin(c);
	for (size_t i = 0; w && i < size && i < 64; i++) {
		uint64_t next[4];
		unsigned b = data[i], n = 0;
		size_t n_taken;
		constrain_next_bytes(w, next);
		for (; n < 256 && !(next[b >> 6] >> (b & 63) & 1); n++)
			b = (b + 1) & 255;
		if (n == 256 && constrain_may_end(w))
			break;
		char byte = (char)b;
		enum constrain_taken t = constrain_take_bytes(w, (struct str){&byte, 1}, &n_taken);
		if (t == CONSTRAIN_SPENT)
			break;
		if (n == 256 || t != CONSTRAIN_TAKEN)
			abort();
	}
	constrain_end(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct constrain_limits limits = {
		.work = 1000000, .bytes = 64 << 20, .mask_work = 100000};
	static struct constrain_vocab *vocab;
	struct constrain_shape shape = {.kind = CONSTRAIN_GBNF, .text = {(const char *)data, size}};
	struct hokku_error err = {0};
	struct constrain *c = NULL;
	if (!vocab)
		vocab = bytes();
	if (constrain_new(vocab, &shape, &limits, &c, NULL, &err)) {
		if (!*err.message)
			abort();
		return 0;
	}
	walk(c, data, size);
	constrain_unref(c);
	return 0;
}
