/* Vocabularies as tries: every token stands once, where its bytes lead; plain ones are kept as masks too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "constrain/vocab_set.h"

struct list {
	const struct str *words;
};

static struct str word(void *user, uint32_t token)
{
	return ((struct list *)user)->words[token];
}

static struct constrain_vocab *vocab_of(const struct str *list, uint32_t n)
{
	struct list l = {list};
	const struct constrain_words words = {.user = &l, .n = n, .bytes = word};
	struct constrain_vocab *v = NULL;
	assert_int_equal(constrain_vocab_new(&words, &v, NULL), HOKKU_OK);
	return v;
}

/* Walks a trie and compares each node with the bytes on the way to it; counts the tokens seen. */
static uint32_t check_node(const struct constrain_vocab *v, const struct vocab_trie *t, uint32_t node,
			   uint8_t *way, uint32_t depth, uint8_t *longest)
{
	uint32_t seen = 0;
	uint8_t most = 0;
	assert_true(t->end[node] > node && t->end[node] <= t->n && depth <= t->depth);
	uint32_t first_below = t->end[node] > node + 1 ? t->tokens[node + 1] : t->tokens[t->end[node]];
	for (uint32_t i = t->tokens[node]; i < first_below; i++, seen++) {
		struct str b = vocab_bytes(v, (int32_t)t->ids[i]);
		assert_int_equal(b.len, depth);
		assert_memory_equal(b.ptr, way, depth);
		uint8_t points = 0;
		for (uint32_t k = 0; k < depth; k++)
			points = (uint8_t)(points + ((way[k] & 0xC0) != 0x80));
		most = points > most ? points : most;
	}
	int last = -1;
	for (uint32_t k = node + 1; k < t->end[node]; k = t->end[k]) {
		uint8_t below = 0;
		assert_true(t->byte[k] > last);
		last = t->byte[k];
		way[depth] = t->byte[k];
		seen += check_node(v, t, k, way, depth + 1, &below);
		most = below > most ? below : most;
	}
	uint64_t kinds = 0;
	for (uint32_t k = node + 1; k < t->end[node]; k++)
		kinds |= t->longest && t->byte[k] >= 0x80 ? VOCAB_BEYOND : vocab_kinds(t->byte[k]);
	assert_true(t->below[node] == kinds);
	if (t->longest)
		assert_int_equal(t->longest[node], most);
	*longest = most;
	return seen;
}

/* What is parted, what stands together, and what is no ASCII. */
static void test_kinds(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 0x80; a++)
		for (unsigned b = 0; b < 0x80; b++) {
			unsigned x = a < 0x20    ? ' '
				     : a >= 0x60 ? a - 0x20
						 : a,
				 y = b < 0x20    ? ' '
				     : b >= 0x60 ? b - 0x20
						 : b;
			assert_int_equal(vocab_kinds((uint8_t)a) == vocab_kinds((uint8_t)b), x == y);
			assert_int_equal(__builtin_popcountll(vocab_kinds((uint8_t)a)), 1);
		}
	assert_true(vocab_kinds(0x80) == UINT64_MAX && vocab_kinds(0xFF) == UINT64_MAX);
}

static uint32_t check_trie(const struct constrain_vocab *v, const struct vocab_trie *t)
{
	uint8_t way[256], longest;
	return check_node(v, t, 0, way, 0, &longest);
}

static bool in_mask(const struct constrain_vocab *v, uint32_t k, uint32_t token)
{
	return v->plain_masks[(size_t)k * v->n_words + token / 32] >> token % 32 & 1;
}

static void test_words(void **state)
{
	(void)state;
	const struct str list[] = {
		STR_LIT("b"),
		STR_LIT("abc"),
		STR_LIT(""),
		STR_LIT("ab"),
		STR_LIT("\""),
		STR_LIT("ab\""),
		STR_LIT("ab"),
		STR_LIT("\xC3\xA9"),
		STR_LIT("\xC3"),
		STR_LIT("a\\"),
		STR_LIT("\n"),
		STR_LIT(" \x7F"),
		STR_LIT("a\0"),
		STR_LIT("\xED\xA0\x80"),
		STR_LIT("\xF0\x9F\x98\x80x"),
		STR_LIT("\xF4\x90\x80\x80"),
		STR_LIT("\xE0\x80\x80"),
		STR_LIT("a"),
		STR_LIT("\xA9"),
	};
	const uint32_t points[] = {1, 3, 0, 2, 0, 0, 2, 1, 0, 0, 0, 2, 0, 0, 2, 0, 0, 1, 0};
	uint32_t n = sizeof list / sizeof *list, n_plain = 0;
	struct constrain_vocab *v = vocab_of(list, n);
	for (uint32_t i = 0; i < n; i++) {
		n_plain += points[i] > 0;
		for (uint32_t k = 0; k <= VOCAB_MAX_PLAIN; k++)
			assert_int_equal(in_mask(v, k, i), points[i] > 0 && points[i] <= k);
		assert_true(str_eq(vocab_bytes(v, (int32_t)i), list[i]));
	}
	assert_int_equal(check_trie(v, &v->plain), n_plain);
	assert_int_equal(check_trie(v, &v->other), n - 1 - n_plain);
	assert_int_equal(v->longest_plain, 3);
	/* Bytes that are tokens by themselves: a, b, quote, newline, C3, A9. */
	uint64_t alphabet[4] = {0};
	const uint8_t single[] = {'a', 'b', '"', '\n', 0xC3, 0xA9};
	for (size_t i = 0; i < sizeof single; i++)
		alphabet[single[i] / 64] |= UINT64_C(1) << single[i] % 64;
	assert_memory_equal(v->alphabet, alphabet, sizeof alphabet);
	assert_int_equal(vocab_bytes(v, -1).len, 0);
	assert_int_equal(vocab_bytes(v, (int32_t)n).len, 0);
	constrain_vocab_free(v);
}

/* Heads that agree in eight bytes and more, zero bytes at ends, lengths about the bounds of masks and counts.
 */
static void test_long_and_alike(void **state)
{
	(void)state;
	static char text[40][300];
	static struct str list[600];
	uint32_t n = 0;
	for (uint32_t i = 0; i < 40; i++) {
		memset(text[i], i % 2 ? 'x' : 0, sizeof text[i]);
		text[i][i] = (char)(i % 3);
		for (uint32_t k = 1; k <= 15; k++)
			list[n++] = (struct str){text[i], (7 * k + i) % 60 + 1};
	}
	static char longest[260];
	memset(longest, 'y', sizeof longest);
	const uint32_t lengths[] = {VOCAB_MAX_PLAIN - 1, VOCAB_MAX_PLAIN, VOCAB_MAX_PLAIN + 1};
	for (size_t i = 0; i < 3; i++)
		list[i] = (struct str){longest, lengths[i]};
	struct constrain_vocab *v = vocab_of(list, n);
	assert_int_equal(check_trie(v, &v->plain) + check_trie(v, &v->other), n);
	assert_true(in_mask(v, VOCAB_MAX_PLAIN - 1, 0) && !in_mask(v, VOCAB_MAX_PLAIN - 1, 1));
	assert_true(in_mask(v, VOCAB_MAX_PLAIN, 1) && !in_mask(v, VOCAB_MAX_PLAIN, 2));
	constrain_vocab_free(v);
}

static uint32_t draw(uint32_t n)
{
	static uint64_t index;
	uint32_t words[4];
	rng_words(5, 0, index++, words);
	return words[0] % n;
}

static void test_random(void **state)
{
	(void)state;
	static char bytes[4096];
	static struct str list[3000];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = "ab\"\xC3\xA9\0"[draw(6)];
	for (size_t i = 0; i < 3000; i++)
		list[i] = (struct str){bytes + draw(4000), draw(13)};
	uint32_t with_text = 0;
	for (size_t i = 0; i < 3000; i++)
		with_text += list[i].len > 0;
	struct constrain_vocab *v = vocab_of(list, 3000);
	assert_int_equal(check_trie(v, &v->plain) + check_trie(v, &v->other), with_text);
	constrain_vocab_free(v);
}

static void test_bounds(void **state)
{
	(void)state;
	static char text[VOCAB_MAX_BYTES + 1];
	memset(text, 'a', sizeof text);
	struct str list[] = {
		{text, VOCAB_MAX_BYTES - 1}, {text, VOCAB_MAX_BYTES}, {text, VOCAB_MAX_BYTES + 1}};
	struct constrain_vocab *v = vocab_of(list, 3);
	assert_int_equal(v->plain.n, VOCAB_MAX_BYTES + 1);
	assert_int_equal(v->plain.tokens[v->plain.n], 2);
	constrain_vocab_free(v);

	struct list none = {(struct str[]){{NULL, 0}, {NULL, 0}}};
	struct constrain_words words = {.user = &none, .n = 2, .bytes = word};
	struct hokku_error err;
	assert_int_equal(constrain_vocab_new(&words, &v, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "none of the vocabulary's 2 tokens has text"));
	words.n = 0;
	assert_int_equal(constrain_vocab_new(&words, &v, &err), HOKKU_INVALID_REQUEST);
	constrain_vocab_free(NULL);
}

/* The tokens of a set of bytes, by what each token's bytes are. */
static void sets_are_what_the_bytes_say(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to; /* bytes of ASCII */
		bool broad;
	} sets[] = {{"az", "zz", false},
		    {"a", "c", false},
		    {"a", "c", true},
		    {"0", "9", false},
		    {" ", "~", true}};
	static char bytes_of[4096], b_only[300];
	static struct str list[2000];
	for (size_t i = 0; i < sizeof bytes_of; i++)
		bytes_of[i] = "abc19z~ \"\xC3\xA9"[draw(11)];
	memset(b_only, 'b', sizeof b_only);
	for (size_t i = 0; i < 2000; i++)
		list[i] = i < 260 ? (struct str){b_only, i} : (struct str){bytes_of + draw(4000), draw(9)};
	struct constrain_vocab *v = vocab_of(list, 2000);
	uint32_t *bits = calloc(v->n_words, sizeof *bits), n_seen = 0;
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
		uint64_t bytes[2] = {0, 0};
		for (unsigned b = (unsigned char)sets[i].from[0]; b <= (unsigned char)sets[i].to[0]; b++)
			if (b != '"' && b != '\\')
				bytes[b >> 6] |= UINT64_C(1) << (b & 63);
		const struct vocab_set *s = NULL;
		for (int asked = 0; asked < 10 && !s; asked++) /* not made at once */
			s = vocab_set_of(v, bytes, sets[i].broad);
		assert_non_null(s);
		assert_ptr_equal(vocab_set_of(v, bytes, sets[i].broad), s);
		static const uint32_t most[] = {0, 1, 2, 3, 5, 9, 254, 255, 256, UINT32_MAX};
		for (size_t k = 0; k < sizeof most / sizeof most[0]; k++) {
			if (!vocab_set_knows(s, most[k]))
				continue;
			vocab_set_take(v, s, most[k], bits);
			for (uint32_t t = 0; t < v->n_tokens; t++) {
				struct str b = vocab_bytes(v, (int32_t)t);
				uint32_t points = 0;
				bool in = b.len > 0 && in_mask(v, VOCAB_MAX_PLAIN + 1, t);
				for (size_t j = 0; j < b.len; j++) {
					uint8_t c = (uint8_t)b.ptr[j];
					in = in && (c < 0x80 ? bytes[c >> 6] >> (c & 63) & 1 : sets[i].broad);
					points += (c & 0xC0) != 0x80;
				}
				in = in && points <= most[k];
				if (in != (bits[t / 32] >> t % 32 & 1))
					fail_msg("set %zu, %u points: token %u", i, most[k], t);
				n_seen += in;
			}
		}
		vocab_set_release(v, s);
		vocab_set_release(v, s);
	}
	assert_true(n_seen > 100);
	free(bits);
	constrain_vocab_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds),
					   cmocka_unit_test(test_words),
					   cmocka_unit_test(test_long_and_alike),
					   cmocka_unit_test(test_random),
					   cmocka_unit_test(sets_are_what_the_bytes_say),
					   cmocka_unit_test(test_bounds)};
	return cmocka_run_group_tests_name("vocab", tests, NULL, NULL);
}
