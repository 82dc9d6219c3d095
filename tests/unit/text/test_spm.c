/* SentencePiece's BPE on vocabularies made by hand. tests/oracle/sentencepiece.test.mjs compares with
 * SentencePiece itself, test_vectors.c with llama.cpp's vectors. */
#include "text/vocab.h"

#include <math.h>

#include "base/rng.h"
#include "small.h"
#include "text/limits.h"

#define B "\xE2\x96\x81" /* U+2581 */

static struct tok *must_open(struct vocab *v)
{
	struct hokku_error err;
	struct tok *t = v_open(v, &err);
	if (!t)
		fail_msg("%s", err.message);
	return t;
}

/* <unk> 0, <s> 1, </s> 2, the bytes 3 to 258 if asked for, then what a test adds. */
static struct vocab small(bool bytes)
{
	struct vocab v = {.model = "llama", .no_merges = true};
	char name[8];
	v_scored(&v, "<unk>", TOK_UNKNOWN, 0);
	v_scored(&v, "<s>", TOK_CONTROL, 0);
	v_scored(&v, "</s>", TOK_CONTROL, 0);
	for (unsigned b = 0; bytes && b < 256; b++) {
		snprintf(name, sizeof name, "<0x%02X>", b);
		v_scored(&v, name, TOK_BYTE, 0);
	}
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", 1);
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", 2);
	return v;
}

/* b 3, a 4, c 5, U+2581 6, ab 7, bc 8, U+2581 a 9 */
static struct vocab abc(bool prefix)
{
	struct vocab v = small(false);
	v_scored(&v, "b", TOK_NORMAL, -10);
	v_scored(&v, "a", TOK_NORMAL, -11);
	v_scored(&v, "c", TOK_NORMAL, -12);
	v_scored(&v, B, TOK_NORMAL, -13);
	v_scored(&v, "ab", TOK_NORMAL, -3);
	v_scored(&v, "bc", TOK_NORMAL, -2);
	v_scored(&v, B "a", TOK_NORMAL, -5);
	v_key_bool(&v, "tokenizer.ggml.add_space_prefix", prefix);
	return v;
}

static void the_highest_score_is_joined_first(void **state)
{
	(void)state;
	struct vocab v = abc(false);
	struct tok *t = must_open(&v);
	assert_string_equal(tok_kind(t), "llama");
	assert_ids(t, "", 0, "");
	assert_ids(t, "abc", 0, "4 8");
	assert_ids(t, "ab", 0, "7");
	assert_ids(t, "abab", 0, "7 7");
	assert_ids(t, " ab", 0, "6 7");
	assert_ids(t, " ac", 0, "9 5");
	assert_ids(t, "a  b", 0, "4 6 6 3");
	assert_ids(t, B "ac", 0, "9 5"); /* the sign itself is a blank to SentencePiece */
	assert_true(str_eq_c(tok_bytes(t, 9), " a"));
	assert_true(str_eq_c(tok_piece(t, 9), B "a"));
	assert_true(str_eq_c(tok_bytes(t, 1), "<s>"));
	assert_int_equal(tok_bos(t), 1);
	assert_int_equal(tok_eos(t), 2);
	assert_true(tok_is_end(t, 2));
	assert_null(tok_notes(t)[0]);
	tok_destroy(t);
}

/* Published vocabularies have one text twice: both are decoded, the last is what text becomes, with its
 * score. */
static void of_one_text_the_last_token_encodes(void **state)
{
	(void)state;
	for (int higher = 0; higher < 2; higher++) {
		struct vocab v = abc(false);                      /* bc at -2, ab at -3 */
		v_scored(&v, "ab", TOK_NORMAL, higher ? -1 : -4); /* 10 */
		v_scored(&v, "a", TOK_NORMAL, -1);                /* 11 */
		v_scored(&v, "a", TOK_NORMAL, -100);              /* 12 */
		struct tok *t = must_open(&v);
		assert_ids(t, "a", 0, "12");
		assert_ids(t, "ab", 0, "10");
		assert_ids(t, "abc", 0, higher ? "10 5" : "12 8");
		assert_ids(t, " a", 0, "9");
		for (int32_t id = 0; id < 13; id++)
			if (id == 4 || id == 11 || id == 12)
				assert_true(str_eq_c(tok_bytes(t, id), "a"));
			else if (id == 7 || id == 10)
				assert_true(str_eq_c(tok_bytes(t, id), "ab"));
		assert_non_null(strstr(tok_notes(t)[0], "3 tokens have the text of an earlier one"));
		tok_destroy(t);
	}
}

/* ---- keys of hokku's own: what a tokenizer.json says beyond GGUF's words ---- */

static void key_ids(struct vocab *v, const char *key, unsigned n, const uint32_t *ids)
{
	b_key(&v->extra, key, GGUF_ARRAY);
	b_array(&v->extra, GGUF_U32, n);
	for (unsigned i = 0; i < n; i++)
		b_u32(&v->extra, ids[i]);
	v->n_extra++;
}

/* b 3, a 4, c 5, U+2581 6, ab 7, bc 8, U+2581 a 9, <t> 10, [x] 11; "b c" is the first merge, "a b" the last.
 */
static struct vocab merged(bool prefix)
{
	struct vocab v = abc(prefix);
	v.no_merges = false;
	v_merge(&v, "b c");
	v_merge(&v, B " a");
	v_merge(&v, "a b");
	v_scored(&v, "<t>", TOK_USER_DEFINED, 0);
	v_scored(&v, "[x]", TOK_CONTROL, 0);
	v_key_bool(&v, "tokenizer.hokku.join_by_merges", true);
	return v;
}

static void merges_count_where_the_file_says_so(void **state)
{
	(void)state;
	struct vocab v = merged(true);
	struct tok *t = must_open(&v);
	assert_ids(t, "abc", 0, "9 8");
	assert_ids(t, " abab", 0, "6 9 3 7");
	assert_ids(t, "ab<t>ab", 0, "9 3 10 9 3");
	tok_destroy(t);
	v = merged(true);
	v_key_bool(&v, "tokenizer.hokku.space_prefix_first", true);
	v_key_bool(&v, "tokenizer.hokku.space_prefix_once", true);
	t = must_open(&v);
	assert_ids(t, "ab<t>ab", 0, "9 3 10 7");
	assert_ids(t, " ab", 0, "9 3");
	assert_ids(t, B "ab", 0, "9 3");
	tok_destroy(t);
	v = merged(false);
	v_key_bool(&v, "tokenizer.hokku.split_at_spaces", true);
	v_key_bool(&v, "tokenizer.hokku.ignore_merges", true);
	t = must_open(&v);
	assert_ids(t, "bc ab", 0, "8 9 3");
	assert_ids(t, "ab", 0, "7");
	tok_destroy(t);
}

static void added_tokens_take_blanks_along(void **state)
{
	(void)state;
	struct vocab v = merged(false);
	key_ids(&v, "tokenizer.hokku.lstrip", 1, (const uint32_t[]){10});
	key_ids(&v, "tokenizer.hokku.rstrip", 2, (const uint32_t[]){10, 11});
	struct tok *t = must_open(&v);
	assert_ids(t, "b \n\u3000 <t>\u00a0 c", 0, "3 10 5");
	assert_ids(t, "b [x] c [x]", TOK_PARSE_SPECIAL, "3 6 11 5 6 11");
	assert_ids(t, " <t> ", 0, "10");
	assert_ids(t, "[x] <t>c", TOK_PARSE_SPECIAL, "11 10 5"); /* the blank is the first one's */
	tok_destroy(t);
	/* Found in the normalised text: only where the blank before it is. */
	v = merged(true);
	key_ids(&v, "tokenizer.hokku.normalized", 1, (const uint32_t[]){10});
	t = must_open(&v);
	assert_ids(t, "<t>c", 0, "10 5");
	assert_ids(t, "b <t>c", 0, "6 3 10 5");
	assert_ids(t, "b<t>c", 0, "6 3 0 5");
	tok_destroy(t);
}

static void own_keys_that_are_wrong(void **state)
{
	(void)state;
	static const char *const lists[] = {"lstrip", "rstrip", "normalized"};
	for (size_t i = 0; i < 3; i++)
		for (uint32_t id = 10; id <= 13; id++) { /* the vocabulary has 12 tokens */
			struct vocab v = merged(true);
			struct hokku_error err;
			char key[64], wanted[128];
			snprintf(key, sizeof key, "tokenizer.hokku.%s", lists[i]);
			snprintf(wanted, sizeof wanted, "%s: entry 1 is %u; the vocabulary has 12 tokens",
				 key, id);
			key_ids(&v, key, 2, (const uint32_t[]){10, id});
			struct tok *t = v_open(&v, &err);
			assert_true((t != NULL) == (id < 12));
			if (!t && !strstr(err.message, wanted))
				fail_msg("%s", err.message);
			tok_destroy(t);
		}
	static const char *const bools[] = {"join_by_merges", "ignore_merges", "split_at_spaces",
					    "space_prefix_first", "space_prefix_once"};
	for (size_t i = 0; i < 5; i++) {
		struct vocab v = abc(true);
		struct hokku_error err;
		char key[64];
		snprintf(key, sizeof key, "tokenizer.hokku.%s", bools[i]);
		v_key_u32(&v, key, 1);
		assert_null(v_open(&v, &err));
		assert_non_null(strstr(err.message, key));
	}
}

static void a_blank_goes_before_the_text_and_after_special_tokens(void **state)
{
	(void)state;
	struct vocab v = abc(true);
	v_scored(&v, "[x]", TOK_USER_DEFINED, 0); /* 10 */
	struct tok *t = must_open(&v);
	assert_ids(t, "", 0, "");
	assert_ids(t, "", TOK_ADD_BOS, "1");
	assert_ids(t, "ac", 0, "9 5");
	assert_ids(t, " ac", 0, "6 9 5");
	assert_ids(t, "ac", TOK_ADD_BOS, "1 9 5"); /* BOS unless the file says otherwise */
	assert_ids(t, "ac<s>ac</s>", TOK_PARSE_SPECIAL, "9 5 1 9 5 2");
	assert_ids(t, "ac<s>", TOK_PARSE_SPECIAL, "9 5 1");
	assert_ids(t, "c[x]c[x][x]", 0, "6 5 10 6 5 10 10");
	tok_destroy(t);

	v = abc(true);
	v_key_bool(&v, "tokenizer.ggml.add_bos_token", false);
	t = must_open(&v);
	assert_ids(t, "ac", TOK_ADD_BOS, "9 5");
	tok_destroy(t);
}

static void extra_blanks_go_where_the_file_says_so(void **state)
{
	(void)state;
	for (int remove = 0; remove < 2; remove++) {
		struct vocab v = abc(true);
		v_key_bool(&v, "tokenizer.ggml.remove_extra_whitespaces", remove);
		struct tok *t = must_open(&v);
		assert_ids(t, "  c   c  ", 0, remove ? "6 5 6 5" : "6 6 6 5 6 6 6 5 6 6");
		assert_ids(t, "   ", 0, remove ? "" : "6 6 6 6");
		assert_ids(t, "c <s>  c ", TOK_PARSE_SPECIAL, remove ? "6 5 1 6 5" : "6 5 6 1 6 6 6 5 6");
		tok_destroy(t);
	}
}

/* Without a token for it a character is its bytes, else the unknown token, once for a run of them. */
static void what_is_no_token(void **state)
{
	(void)state;
	struct vocab v = small(true);
	v_scored(&v, "a", TOK_NORMAL, -1);       /* 259 */
	v_scored(&v, "\u00e9x", TOK_NORMAL, -2); /* 260; its characters are none */
	v_key_bool(&v, "tokenizer.ggml.add_space_prefix", false);
	struct tok *t = must_open(&v);
	assert_ids(t, "a\u20aca", 0, "259 229 133 175 259");
	assert_ids(t, "\u00e9x\u00e9", 0, "260 198 172");
	assert_ids(t, "x\u00e9", 0, "123 198 172");
	assert_ids(t, "a\xFF\xC3", 0, "259 258 198");
	assert_ids(t, " ", 0, "229 153 132");
	assert_true(str_eq(tok_bytes(t, 258), STR_LIT("\xFF")));
	assert_true(str_eq(tok_bytes(t, 3), STR_LIT("\0")));
	tok_destroy(t);

	v = abc(false);
	t = must_open(&v);
	assert_ids(t, "xyza\u20ac\u20acb\xFF\xFFxc", 0, "0 4 0 3 0 5");
	tok_destroy(t);

	v = (struct vocab){.model = "llama", .no_merges = true};
	v_scored(&v, "a", TOK_NORMAL, 0);
	t = must_open(&v);
	struct tok_ids ids = {0};
	struct hokku_error err;
	assert_int_equal(tok_encode(t, STR_LIT("a"), 0, &ids, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "the text holds the byte 0xe2, for which the model's vocabulary has no token");
	assert_int_equal(ids.n, 0);
	tok_ids_free(&ids);
	tok_destroy(t);
}

/* Text never becomes a control token or an unused one, whatever their scores. */
static void only_normal_tokens_are_joined(void **state)
{
	(void)state;
	struct vocab v = abc(false);
	v_scored(&v, "ca", TOK_CONTROL, 5); /* 10 */
	v_scored(&v, "cb", TOK_UNUSED, 5);  /* 11 */
	struct tok *t = must_open(&v);
	assert_ids(t, "cacb", 0, "5 4 5 3");
	assert_ids(t, "cacb", TOK_PARSE_SPECIAL, "10 5 3");
	assert_int_equal(tok_bytes(t, 11).len, 0);
	tok_destroy(t);
}

/* Phi-3's special tokens take the blanks behind them along; files say so by the model's name alone. */
static void phi_3_takes_blanks_along(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool takes;
	} rows[] = {{"Phi3", true}, {"my phi-3-mini", true}, {"PHI-3", true}, {"Phi 3", false},
		    {"phi", false}, {NULL, false},           {"phi4", false}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct vocab v = abc(true);
		if (rows[i].name)
			v_key_str(&v, "general.name", rows[i].name);
		struct tok *t = must_open(&v);
		assert_ids(t, "c</s> \n\t\v\f\r c", TOK_PARSE_SPECIAL,
			   rows[i].takes ? "6 5 2 6 5" : "6 5 2 6 6 0 6 5");
		assert_ids(t, "<s> c</s> ", TOK_PARSE_SPECIAL, rows[i].takes ? "1 6 6 5 2" : "1 6 6 5 2 6 6");
		tok_destroy(t);
	}
}

static void without_types(void **state)
{
	(void)state;
	struct vocab v = small(true);
	v_scored(&v, "a", TOK_NORMAL, -1); /* 259 */
	v.no_types = true;
	v_key_u32(&v, "tokenizer.ggml.unknown_token_id", 0);
	v_key_bool(&v, "tokenizer.ggml.add_space_prefix", false);
	struct tok *t = must_open(&v);
	assert_ids(t, "a!<s><unk>", 0, "259 36 63 118 65 63 120 113 110 65");
	assert_ids(t, "a<s><unk>", TOK_PARSE_SPECIAL, "259 1 0");
	assert_int_equal(tok_type(t, 0), TOK_UNKNOWN);
	assert_int_equal(tok_type(t, 1), TOK_CONTROL);
	assert_int_equal(tok_type(t, 36), TOK_BYTE);
	assert_int_equal(tok_type(t, 259), TOK_NORMAL);
	tok_destroy(t);
}

static void refusals(void **state)
{
	(void)state;
	struct {
		struct vocab v;
		const char *message;
	} rows[8];
	size_t n = 0;
	rows[n].v = (struct vocab){.model = "llama", .no_merges = true};
	v_token(&rows[n].v, "a", TOK_NORMAL);
	rows[n++].message = "tokenizer.ggml.scores";
	rows[n].v = abc(false);
	v_token(&rows[n].v, "x", TOK_NORMAL);
	rows[n].v.has_scores = false;
	v_array(&rows[n].v.extra, "tokenizer.ggml.scores", GGUF_F32, rows[n].v.n_tokens - 1,
		&rows[n].v.scores);
	rows[n].v.n_extra++;
	rows[n++].message = "tokenizer.ggml.scores has 10 entries; tokenizer.ggml.tokens has 11";
	rows[n].v = abc(false);
	v_scored(&rows[n].v, "x", TOK_NORMAL, NAN);
	rows[n++].message = "tokenizer.ggml.scores: token 10 has the score NaN";
	rows[n].v = abc(false);
	v_scored(&rows[n].v, "<0xfg>", TOK_BYTE, 0);
	rows[n++].message =
		"tokenizer.ggml.tokens: token 10, \"<0xfg>\", is a byte token; it must be called <0x00> "
		"to <0xFF>";
	rows[n].v = abc(false);
	v_scored(&rows[n].v, "a\xFF", TOK_NORMAL, 0);
	rows[n++].message = "tokenizer.ggml.tokens: token 10, \"a\\xff\", is not UTF-8";
	rows[n].v = abc(false);
	v_key_str(&rows[n].v, "tokenizer.ggml.precompiled_charsmap", "x");
	rows[n++].message =
		"tokenizer.ggml.precompiled_charsmap is there: the text would have to be normalised by "
		"it, which hokku does not do for tokenizer.ggml.model \"llama\"";
	for (size_t i = 0; i < n; i++) {
		struct hokku_error err;
		assert_null(v_open(&rows[i].v, &err));
		if (!strstr(err.message, rows[i].message))
			fail_msg("%s, wanted: %s", err.message, rows[i].message);
		assert_int_equal(err.code, HOKKU_BAD_FILE);
	}
}

/* The definition, word for word, over the whole text: no cuts, no table of pairs. */
struct word {
	char text[16];
	float score;
};
static size_t by_definition(const struct word *words, size_t n_words, const char *text, size_t n,
			    int32_t *ids)
{
	size_t start[256], count = 0;
	for (size_t i = 0; i < n; i += text[i] == '\xE2' ? 3 : 1)
		start[count++] = i;
	start[count] = n;
	for (;;) {
		size_t best = count;
		float score = 0;
		for (size_t i = 0; i + 1 < count; i++) {
			size_t len = start[i + 2] - start[i];
			for (size_t k = 0; k < n_words; k++)
				if (strlen(words[k].text) == len &&
				    memcmp(words[k].text, text + start[i], len) == 0 &&
				    (best == count || words[k].score > score)) {
					best = i;
					score = words[k].score;
				}
		}
		if (best == count)
			break;
		memmove(start + best + 1, start + best + 2, (count - best - 1) * sizeof *start);
		count--;
	}
	for (size_t i = 0; i < count; i++) {
		size_t len = start[i + 1] - start[i];
		ids[i] = 0;
		for (size_t k = 0; k < n_words; k++)
			if (strlen(words[k].text) == len && memcmp(words[k].text, text + start[i], len) == 0)
				ids[i] = (int32_t)(3 + k);
	}
	return count;
}

/* Few letters, so that tokens overlap in every way, and few scores, so that many are equal. Every letter is a
 * token, or x would stand for a run. */
static void joining_follows_the_definition(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 12; seed += (uint32_t)small_step(6)) {
		struct vocab v = small(false);
		struct word words[64];
		size_t n_words = 0;
		static const char *const letters[] = {"a", "b", "c", B};
		for (uint32_t k = 0; n_words < 64; k++) {
			struct word word = {"", 0};
			uint32_t r[4];
			rng_words(seed, RNG_STREAM_TEST, k, r);
			unsigned length = n_words < 4 ? 1 : 2 + r[0] % 3;
			for (unsigned i = 0; i < length; i++)
				strcat(word.text, letters[n_words < 4 ? n_words : r[1] >> (4 * i) & 3]);
			word.score = n_words < 4 ? -100 : -(float)(r[2] % (seed % 2 ? 5 : 1000));
			bool fresh = true;
			for (size_t i = 0; i < n_words; i++)
				fresh = fresh && strcmp(words[i].text, word.text) != 0;
			if (!fresh)
				continue;
			v_scored(&v, word.text, TOK_NORMAL, word.score);
			words[n_words++] = word;
		}
		v_key_bool(&v, "tokenizer.ggml.add_space_prefix", false);
		struct tok *t = must_open(&v);
		for (uint32_t k = 0; k < 60; k++) {
			char text[400] = "";
			uint32_t r[4];
			rng_words(seed, RNG_STREAM_TEST, 100000 + k, r);
			unsigned length = 1 + r[0] % 110;
			for (unsigned i = 0; i < length; i++) {
				rng_words(k, RNG_STREAM_TEST, i, r);
				strcat(text, letters[r[0] % 4]);
			}
			int32_t want[256];
			size_t n_want = by_definition(words, n_words, text, strlen(text), want);
			struct tok_ids got = {0};
			struct hokku_error err;
			for (int again = 0; again < 2; again++) {
				got.n = 0;
				assert_int_equal(tok_encode(t, str_c(text), 0, &got, &err), HOKKU_OK);
				assert_int_equal(got.n, n_want);
				assert_memory_equal(got.ids, want, n_want * sizeof *want);
			}
			tok_ids_free(&got);
		}
		tok_destroy(t);
	}
}

/* Tokens of n equal letters for every n up to a length: n - 1 ways each. 2,048 letters, 45, 8, 3 and 2 make
 * up the limit less one. */
static void the_most_joins(void **state)
{
	(void)state;
	for (int extra = test_small() ? 1 : -1; extra <= 1; extra++) {
		const unsigned lengths[] = {2048, 45, 8, 3, 2, 2, extra >= 0 ? 2 : 1, extra > 0 ? 2 : 1};
		struct vocab v = small(false);
		char piece[2049];
		uint64_t n = 0;
		for (unsigned k = 0; k < sizeof lengths / sizeof *lengths; k++) {
			memset(piece, 'a' + (int)k, lengths[k]);
			for (unsigned length = lengths[k]; length > 0; length--) {
				piece[length] = '\0';
				v_scored(&v, piece, TOK_NORMAL, -1);
				n += length - 1;
			}
		}
		assert_int_equal(n, SPM_MAX_JOINS + extra);
		struct hokku_error err;
		struct tok *t = v_open(&v, &err);
		if (extra > 0)
			assert_string_equal(err.message,
					    "tokenizer.ggml.tokens can be joined of two tokens in more "
					    "than 2097152 ways");
		assert_int_equal(t == NULL, extra > 0);
		tok_destroy(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_score_is_joined_first),
		cmocka_unit_test(of_one_text_the_last_token_encodes),
		cmocka_unit_test(merges_count_where_the_file_says_so),
		cmocka_unit_test(added_tokens_take_blanks_along),
		cmocka_unit_test(own_keys_that_are_wrong),
		cmocka_unit_test(a_blank_goes_before_the_text_and_after_special_tokens),
		cmocka_unit_test(extra_blanks_go_where_the_file_says_so),
		cmocka_unit_test(what_is_no_token),
		cmocka_unit_test(only_normal_tokens_are_joined),
		cmocka_unit_test(phi_3_takes_blanks_along),
		cmocka_unit_test(without_types),
		cmocka_unit_test(refusals),
		cmocka_unit_test(joining_follows_the_definition),
		cmocka_unit_test(the_most_joins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
