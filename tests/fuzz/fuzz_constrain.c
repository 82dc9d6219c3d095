/*
 * A shape of any kind compiles, or is refused with a message. Of what compiles: a walk by random draws from
 * the masks never finds nothing that may come next, each token of a mask is taken, and a second walk takes
 * the text and agrees on its end; a token that a mask leaves out does not fit, unless the mask has one token
 * alone. The first byte chooses the kind and the white space, the second seeds the draws.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"
#include "constrain/constrain.h"

enum {
	N_PIECES = 13,
	N_TOKENS = 256 + N_PIECES + 2,
	END = N_TOKENS - 1,
	CALL = END - 1,
	MAX_TOKENS = 120,
	N_WALKS = 2
};

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static const char *const pieces[N_PIECES] = {"{\"", "\":", "\",\"", "\"}",   "},{",      "]}",      "aa",
					     "ab",  "12",  "00",    "\\u00", "\xc3\xa9", "\xe2\x82"};

static struct str bytes_of(void *user, uint32_t token)
{
	static char single[256];
	(void)user;
	if (token < 256) {
		single[token] = (char)token;
		return (struct str){&single[token], 1};
	}
	return token < CALL ? str_c(pieces[token - 256]) : (struct str){NULL, 0};
}

/* One token has a name and no bytes. */
static int32_t find(void *user, struct str name)
{
	(void)user;
	return str_eq_c(name, "[CALL]") ? CALL : -1;
}

/* The longest token that fits, again and again. */
static size_t encode(void *user, struct str text, int32_t *out, size_t max)
{
	size_t n = 0;
	for (size_t at = 0; at < text.len; n++) {
		int32_t id = (unsigned char)text.ptr[at];
		size_t len = 1;
		for (uint32_t k = 256; k < CALL; k++) {
			struct str b = bytes_of(user, k);
			if (b.len > len && str_starts((struct str){text.ptr + at, text.len - at}, b)) {
				id = (int32_t)k;
				len = b.len;
			}
		}
		if (n < max)
			out[n] = id;
		at += len;
	}
	return n;
}

static bool in(const uint32_t *bits, uint32_t i)
{
	return bits[i / 32] >> (i % 32) & 1;
}

static bool may_be_named(const struct constrain_walk *w, uint32_t t)
{
	uint32_t bits[(N_TOKENS + 31) / 32];
	struct constrain_walk *fork = constrain_fork(w);
	CHECK(fork);
	constrain_next_named(fork, bits);
	constrain_end(fork);
	return in(bits, t);
}

/* Each token's bit is what its bytes say, or the shape names it. */
static void check_mask(const struct constrain_walk *w, const uint32_t *bits, uint32_t n_set)
{
	for (uint32_t t = 0; t < END; t++) {
		struct constrain_walk *again = constrain_fork(w);
		size_t fit;
		CHECK(again);
		enum constrain_taken taken = t == CALL ? constrain_take(again, CALL)
						       : constrain_take_bytes(again, bytes_of(NULL, t), &fit);
		if (taken != CONSTRAIN_SPENT)
			CHECK(in(bits, t) == (taken == CONSTRAIN_TAKEN) || (n_set == 1 && !in(bits, t)) ||
			      (in(bits, t) && may_be_named(w, t)));
		constrain_end(again);
	}
	CHECK(in(bits, END) == constrain_may_end(w) || n_set == 1);
}

static uint32_t count(const uint32_t *bits)
{
	uint32_t n = 0;
	for (size_t i = 0; i < (N_TOKENS + 31) / 32; i++)
		n += (uint32_t)__builtin_popcount(bits[i]);
	return n;
}

/* A walk by draws; the text goes into out. True: it ended. *named: tokens came that are not their bytes. */
static bool draw(struct constrain *c, uint64_t seed, struct strbuf *out, bool *named)
{
	uint32_t bits[(N_TOKENS + 31) / 32], words[4];
	struct constrain_walk *w = constrain_begin(c);
	CHECK(w);
	bool ended = false;
	for (uint32_t i = 0; i < MAX_TOKENS && !ended; i++) {
		if (constrain_mask(w, bits) == CONSTRAIN_SPENT)
			break;
		uint32_t n = count(bits), id = END;
		CHECK(n);
		if (i < 8)
			check_mask(w, bits, n);
		rng_words(seed, RNG_STREAM_TEST, i, words);
		if (!in(bits, END) || (words[1] & 3)) {
			id = words[0] % N_TOKENS;
			while (!in(bits, id))
				id = (id + 1) % N_TOKENS;
		}
		*named |= may_be_named(w, id);
		enum constrain_taken taken = constrain_take(w, (int32_t)id);
		if (taken == CONSTRAIN_SPENT)
			break;
		CHECK(taken == (id == END ? CONSTRAIN_DONE : CONSTRAIN_TAKEN));
		ended = id == END;
		if (!ended)
			strbuf_add(out, bytes_of(NULL, id).ptr, bytes_of(NULL, id).len);
	}
	constrain_end(w);
	return ended;
}

static void walk(struct constrain *c, uint64_t seed)
{
	struct strbuf text = {0};
	size_t fit = 0;
	bool named = false, ended = draw(c, seed, &text, &named);
	struct constrain_walk *again = constrain_begin(c);
	CHECK(again && !text.failed);
	enum constrain_taken taken =
		text.len ? constrain_take_bytes(again, (struct str){text.ptr, text.len}, &fit)
			 : CONSTRAIN_TAKEN;
	CHECK(named || taken == CONSTRAIN_SPENT || (taken == CONSTRAIN_TAKEN && fit == text.len));
	if (ended && !named && taken == CONSTRAIN_TAKEN)
		CHECK(constrain_may_end(again));
	constrain_end(again);
	strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int32_t ends[] = {END};
	static const struct constrain_words words = {
		.n = N_TOKENS, .bytes = bytes_of, .ends = ends, .n_ends = 1, .encode = encode, .find = find};
	static const struct constrain_limits limits = {
		.work = 2000000, .bytes = 16 << 20, .mask_work = 200000};
	static struct constrain_vocab *vocab;
	struct hokku_error err = {0};
	struct constrain_fault fault = {0};
	struct constrain *c = NULL;
	if (size < 2)
		return 0;
	if (!vocab)
		CHECK(!constrain_vocab_new(&words, &vocab, &err));
	const struct constrain_shape shape = {
		.kind = (enum constrain_kind)((data[0] & 7) % (CONSTRAIN_STRUCTURE + 1)),
		.space = (enum constrain_space)((data[0] >> 3) % 3),
		.text = {(const char *)data + 2, size - 2}};
	if (constrain_new(vocab, &shape, &limits, &c, &fault, &err)) {
		CHECK(err.message[0] && memchr(fault.place, 0, sizeof fault.place));
		return 0;
	}
	struct strbuf text = {0};
	CHECK(!constrain_print(c, &text, &err) && !text.failed);
	strbuf_free(&text);
	for (uint64_t i = 0; i < N_WALKS; i++)
		walk(c, data[1] * N_WALKS + i);
	constrain_unref(c);
	return 0;
}
