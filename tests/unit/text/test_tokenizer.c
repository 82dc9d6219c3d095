/* The tokenizer on vocabularies made by hand: merging, added tokens, odd bytes, limits, and what is refused.
 */
#include "text/vocab.h"

#include <pthread.h>
#include <time.h>

#include "base/rng.h"
#include "text/limits.h"

static struct tok *must_open(struct vocab *v)
{
	struct hokku_error err;
	struct tok *t = v_open(v, &err);
	if (!t)
		fail_msg("%s", err.message);
	return t;
}

/* "haiku" by hand: ha 256, ik 257, iku 258, haiku 259 */
static struct vocab haiku(const char *pre)
{
	struct vocab v = v_new(pre);
	v_pair(&v, "h", "a");
	v_pair(&v, "i", "k");
	v_pair(&v, "ik", "u");
	v_pair(&v, "ha", "iku");
	return v;
}

static void merges_apply_by_rank(void **state)
{
	(void)state;
	struct vocab v = haiku("gpt-2");
	struct tok *t = must_open(&v);
	assert_string_equal(tok_kind(t), "gpt2/gpt-2");
	assert_int_equal(tok_n_vocab(t), 260);
	assert_ids(t, "", 0, "");
	assert_ids(t, "h", 0, "104");
	assert_ids(t, "haiku", 0, "259");
	assert_ids(t, "haik", 0, "256 257");
	assert_ids(t, "haikus", 0, "259 115");
	assert_ids(t, "ha haiku", 0, "256 32 259"); /* the piece " haiku": a blank, then haiku */
	assert_string_equal(tok_piece(t, 32).ptr ? "\xC4\xA0" : "", "\xC4\xA0");
	assert_true(str_eq_c(tok_piece(t, 32), "\xC4\xA0"));
	assert_true(str_eq_c(tok_bytes(t, 32), " "));
	assert_true(str_eq_c(tok_bytes(t, 259), "haiku"));
	assert_int_equal(tok_bytes(t, 260).len, 0);
	assert_int_equal(tok_bytes(t, -1).len, 0);
	assert_int_equal(tok_piece(t, INT32_MIN).len, 0);
	assert_int_equal(tok_bos(t), -1);
	assert_int_equal(tok_eos(t), -1);
	tok_destroy(t);
}

/* A token that merging does not give is not used, however well it fits; llama-bpe is the exception. */
static void whole_tokens_only_where_merging_gives_them(void **state)
{
	(void)state;
	for (int ignore = 0; ignore < 2; ignore++) {
		struct vocab v = v_new(ignore ? "llama-bpe" : "qwen2");
		v_pair(&v, "b", "c");           /* 256, first */
		v_pair(&v, "a", "b");           /* 257 */
		v_token(&v, "abc", TOK_NORMAL); /* 258: a+bc has no merge, ab+c is never reached */
		v_merge(&v, "ab c");
		struct tok *t = must_open(&v);
		for (int again = 0; again < 3; again++) /* the second time it is remembered */
			assert_ids(t, "abc\nabc", 0, ignore ? "258 10 258" : "97 256 10 97 256");
		assert_ids(t, "ab", 0, "257");
		tok_destroy(t);
	}
}

/* The definition, word for word: of all neighbours that merge, the lowest rank, the leftmost of these; until
 * none. */
struct rule {
	int32_t left, right, made;
};
static size_t merge_by_definition(const struct rule *rules, size_t n_rules, int32_t *ids, size_t n)
{
	for (;;) {
		size_t best_rule = n_rules, best = 0;
		for (size_t i = 0; i + 1 < n; i++) {
			for (size_t r = 0; r < best_rule; r++) {
				if (rules[r].left == ids[i] && rules[r].right == ids[i + 1]) {
					best_rule = r;
					best = i;
				}
			}
		}
		if (best_rule == n_rules)
			return n;
		ids[best] = rules[best_rule].made;
		memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
		n--;
	}
}

/* Random merges over few letters, so that they overlap in every way; piece lengths on both sides of where the
 * loop gives way to the heap, and the heap to a sort. */
static void both_merge_loops_follow_the_definition(void **state)
{
	(void)state;
	enum { N_RULES = 60, N_SPELT = 400 };
	for (uint32_t seed = 0; seed < 6; seed++) {
		struct vocab v = v_new("gpt-2");
		struct rule rules[N_RULES];
		static char spelt[N_SPELT][16];
		int32_t known[N_SPELT];
		size_t n_known = 0, n_rules = 0;
		for (const char *c = "abc"; *c; c++, n_known++) {
			snprintf(spelt[n_known], 16, "%c", *c);
			known[n_known] = *c;
		}
		for (uint32_t k = 0; n_rules < N_RULES; k++) {
			uint32_t r[4];
			rng_words(seed, RNG_STREAM_TEST, k, r);
			size_t a = r[0] % n_known, b = r[1] % n_known;
			char joined[32];
			snprintf(joined, sizeof joined, "%s%s", spelt[a], spelt[b]);
			bool fresh = strlen(joined) < 8;
			for (size_t i = 0; i < n_known; i++)
				fresh = fresh && strcmp(spelt[i], joined) != 0;
			if (!fresh)
				continue;
			rules[n_rules++] =
				(struct rule){known[a], known[b], (int32_t)v_pair(&v, spelt[a], spelt[b])};
			known[n_known] = rules[n_rules - 1].made;
			snprintf(spelt[n_known++], 16, "%.15s", joined);
		}
		struct tok *t = must_open(&v);
		for (uint32_t k = 0; k < 40; k++) {
			static char text[1200];
			static int32_t want[1200];
			uint32_t r[4];
			rng_words(seed, RNG_STREAM_TEST, 1000000 + k, r);
			size_t n = k < 20   ? 40 + k
				   : k < 36 ? 1 + r[0] % 120
					    : 1021 + k - 35; /* 1022 to 1025 */
			for (size_t i = 0; i < n; i++) {
				rng_words(k, RNG_STREAM_TEST, i, r);
				text[i] = (char)('a' + (int)(r[0] % 3));
				want[i] = text[i];
			}
			size_t n_want = merge_by_definition(rules, n_rules, want, n);
			struct tok_ids got = {0};
			struct hokku_error err;
			assert_int_equal(tok_encode(t, (struct str){text, n}, 0, &got, &err), HOKKU_OK);
			assert_int_equal(got.n, n_want);
			assert_memory_equal(got.ids, want, n_want * sizeof *want);
			tok_ids_free(&got);
		}
		tok_destroy(t);
	}
}

static void added_tokens(void **state)
{
	(void)state;
	struct vocab v = haiku("qwen2");
	v_token(&v, "<|im_start|>", TOK_CONTROL); /* 260 */
	v_token(&v, "<|im_end|>", TOK_CONTROL);   /* 261 */
	v_token(&v, "<tool>", TOK_USER_DEFINED);  /* 262 */
	v_token(&v, "<tool>x", TOK_USER_DEFINED); /* 263 */
	v_token(&v, "<tool>xy", TOK_CONTROL);     /* 264 */
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", 5);
	struct tok *t = must_open(&v);
	/* Control tokens only when asked for; user-defined ones always; the longest that counts wins. */
	assert_ids(t, "<|im_end|>", TOK_PARSE_SPECIAL, "261");
	assert_ids(t, "ha<|im_end|>ha", TOK_PARSE_SPECIAL, "256 261 256");
	assert_ids(t, "<|im_end|>", 0, "60 124 105 109 95 101 110 100 124 62");
	assert_ids(t, "<tool>xyz", TOK_PARSE_SPECIAL, "264 122");
	assert_ids(t, "<tool>xyz", 0, "263 121 122");
	assert_ids(t, "<tool>y<tool", 0, "262 121 60 116 111 111 108");
	assert_ids(t, "<<tool>>", 0, "60 262 62");
	assert_ids(t, "<|im_start<|im_start|>", TOK_PARSE_SPECIAL,
		   "60 124 105 109 95 115 116 97 114 116 260");
	assert_true(str_eq_c(tok_bytes(t, 261), "<|im_end|>"));
	assert_int_equal(tok_type(t, 261), TOK_CONTROL);
	assert_int_equal(tok_type(t, 262), TOK_USER_DEFINED);
	assert_int_equal(tok_type(t, 1000), TOK_UNUSED);
	assert_int_equal(tok_find_special(t, STR_LIT("<|im_end|>")), 261);
	assert_int_equal(tok_find_special(t, STR_LIT("<tool>")), 262);
	assert_int_equal(tok_find_special(t, STR_LIT("<|im_end|")), -1);
	assert_int_equal(tok_find_special(t, STR_LIT(" <|im_end|>")), -1);
	assert_int_equal(tok_find_special(t, STR_LIT("haiku")), -1);
	assert_int_equal(tok_find_special(t, STR_LIT("")), -1);
	assert_true(tok_is_end(t, 5) && tok_is_end(t, 261));
	assert_false(tok_is_end(t, 260) || tok_is_end(t, 262) || tok_is_end(t, -1) || tok_is_end(t, 100000));
	assert_int_equal(tok_eos(t), 5);
	tok_destroy(t);
}

/* tokenizer.ggml.added_tokens turns normal tokens into ones that are always found. */
static void added_tokens_by_list(void **state)
{
	(void)state;
	for (int known = 1; known >= 0; known--) {
		struct vocab v = v_new("gpt-2");
		v_token(&v, "ab cd", TOK_NORMAL);
		v_token(&v, "<c>", TOK_CONTROL);
		b_key(&v.extra, "tokenizer.ggml.added_tokens", GGUF_ARRAY);
		b_array(&v.extra, GGUF_STRING, 2);
		b_str(&v.extra, known ? "ab cd" : "ab");
		b_str(&v.extra, "<c>");
		v.n_extra++;
		struct hokku_error err;
		struct tok *t = v_open(&v, &err);
		if (known) {
			assert_non_null(t);
			assert_ids(t, "xab cd<c>", 0, "120 256 60 99 62");
			assert_ids(t, "<c>", TOK_PARSE_SPECIAL, "257");
			tok_destroy(t);
		} else {
			assert_string_equal(err.message, "tokenizer.ggml.added_tokens: entry 0, \"ab\", is "
							 "no token of tokenizer.ggml.tokens");
		}
	}
}

/* Names that a tokenizer.json has looked for in the text in NFC, behind the others. What the Rust tokenizers
 * give for more of them: oracle/vocabularies. */
static void added_tokens_of_normalised_text(void **state)
{
	(void)state;
	for (int normal = 0; normal < 2; normal++) {
		struct vocab v = v_new("qwen2");
		v_token(&v, "e\xcc\x81", TOK_USER_DEFINED); /* 256: e, acute */
		v_token(&v, "x<", TOK_USER_DEFINED);        /* 257 */
		v_token(&v, "ax", TOK_USER_DEFINED);        /* 258: not normalised */
		v_token(&v, "\xc3\xa9", TOK_USER_DEFINED);  /* 259: the first of these, in NFC */
		v_token(&v, "\xff<", TOK_USER_DEFINED);     /* 260: no UTF-8 */
		if (normal) {
			b_key(&v.extra, "tokenizer.hokku.normalized", GGUF_ARRAY);
			b_array(&v.extra, GGUF_U32, 4);
			for (uint32_t id = 256; id < 261; id++)
				if (id != 258)
					b_u32(&v.extra, id);
			v.n_extra++;
		}
		struct tok *t = must_open(&v);
		assert_ids(t, "be\xcc\x81", 0, "98 256");
		assert_ids(t, "\xc3\xa9", 0, normal ? "256" : "259");
		assert_ids(t, "e\xcc\x81\xcc\x81", 0, "256 204 129");
		assert_ids(t, "bx<b", 0, "98 257 98");
		assert_ids(t, "bx<\xcc\xb8", 0, normal ? "98 120 226 137 174" : "98 257 204 184");
		assert_ids(t, "ax<", 0, "258 60");
		assert_ids(t, "x<ax<", 0, "257 258 60");
		assert_ids(t, "\xffx<", 0, "255 257");
		assert_int_equal(tok_find_special(t, STR_LIT("x<")), 257);
		assert_true(str_eq_c(tok_bytes(t, 256), "e\xcc\x81")); /* as it is written */
		tok_destroy(t);
	}
}

/* Plain text never becomes a control token, not even where merges would make one. */
static void merging_makes_no_control_token(void **state)
{
	(void)state;
	struct vocab v = v_new("gpt-2");
	v_merge(&v, "a b");
	v_token(&v, "ab", TOK_CONTROL);
	struct tok *t = must_open(&v);
	assert_ids(t, "ab", 0, "97 98");
	assert_ids(t, "ab", TOK_PARSE_SPECIAL, "256");
	tok_destroy(t);
}

static void bos(void **state)
{
	(void)state;
	static const struct {
		const char *pre;
		int key; /* add_bos_token; -1: absent */
		bool id, want;
	} rows[] = {{"gpt-2", -1, true, false}, {"gpt-2", 1, true, true},      {"gpt-2", 0, true, false},
		    {"gpt-2", 1, false, false}, {"llama-bpe", -1, true, true}, {"llama-bpe", 0, true, false}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct vocab v = v_new(rows[i].pre);
		uint32_t id = v_token(&v, "<s>", TOK_CONTROL);
		if (rows[i].key >= 0)
			v_key_bool(&v, "tokenizer.ggml.add_bos_token", rows[i].key);
		if (rows[i].id)
			v_key_u32(&v, "tokenizer.ggml.bos_token_id", id);
		struct tok *t = must_open(&v);
		assert_ids(t, "a", TOK_ADD_BOS, rows[i].want ? "256 97" : "97");
		assert_ids(t, "a", 0, "97");
		assert_int_equal(tok_bos(t), rows[i].id ? 256 : -1);
		tok_destroy(t);
	}
}

static void bos_may_be_token_0(void **state)
{
	(void)state;
	struct vocab v = {.model = "gpt2", .pre = "gpt-2"};
	v_token(&v, "<s>", TOK_CONTROL);
	v_token(&v, "a", TOK_NORMAL);
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", 0);
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", 0);
	v_key_bool(&v, "tokenizer.ggml.add_bos_token", true);
	struct tok *t = must_open(&v);
	assert_ids(t, "a", TOK_ADD_BOS, "0 1");
	assert_int_equal(tok_bos(t), 0);
	assert_int_equal(tok_eos(t), 0);
	assert_true(tok_is_end(t, 0));
	tok_destroy(t);
}

/* By the new keys, the old ones and the names, in this order. */
static void gaps_are_parted_by_tokens(void **state)
{
	(void)state;
	struct vocab v = v_new("gpt-2");
	struct tok *t = must_open(&v);
	for (int i = 0; i < TOK_N_FIM; i++)
		assert_int_equal(tok_fim(t, (enum tok_fim)i), -1);
	tok_destroy(t);
	v = v_new("gpt-2");
	v_token(&v, "<|fim_prefix|>", TOK_CONTROL);             /* 256 */
	v_token(&v, "<|fim_suffix|>", TOK_USER_DEFINED);        /* 257 */
	v_token(&v, "<|fim_middle|>", TOK_NORMAL);              /* 258: text could become it */
	v_token(&v, "<\uff5cfim\u2581end\uff5c>", TOK_CONTROL); /* 259 */
	v_token(&v, "<|file_sep|>", TOK_CONTROL);               /* 260 */
	t = must_open(&v);
	assert_int_equal(tok_fim(t, TOK_FIM_PREFIX), 256);
	assert_int_equal(tok_fim(t, TOK_FIM_SUFFIX), 257);
	assert_int_equal(tok_fim(t, TOK_FIM_MIDDLE), 259);
	assert_int_equal(tok_fim(t, TOK_FIM_REPO), -1);
	assert_int_equal(tok_fim(t, TOK_FIM_FILE), 260);
	tok_destroy(t);
	v = v_new("gpt-2");
	v_token(&v, "<|fim_prefix|>", TOK_CONTROL);
	v_key_u32(&v, "tokenizer.ggml.fim_pre_token_id", 7);
	v_key_u32(&v, "tokenizer.ggml.prefix_token_id", 8);
	v_key_u32(&v, "tokenizer.ggml.suffix_token_id", 9);
	v_key_u32(&v, "tokenizer.ggml.fim_mid_token_id", 256);
	v_key_u32(&v, "tokenizer.ggml.fim_rep_token_id", 257); /* one past the last */
	t = must_open(&v);
	assert_int_equal(tok_fim(t, TOK_FIM_PREFIX), 7);
	assert_int_equal(tok_fim(t, TOK_FIM_SUFFIX), 9);
	assert_int_equal(tok_fim(t, TOK_FIM_MIDDLE), 256);
	assert_int_equal(tok_fim(t, TOK_FIM_REPO), -1);
	tok_destroy(t);
}

/* A piece that is not UTF-8 is the bytes it is. */
static void pieces_outside_the_alphabet(void **state)
{
	(void)state;
	static const char *const pieces[] = {"\xC3",         "a\xC3",    "\xC3(", "\xC6\x80",
					     "\xE4\xBD\xA0", "\xC5\x84", "a b"};
	struct vocab v = v_new("gpt-2");
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
		v_token(&v, pieces[i], TOK_NORMAL);
	struct tok *t = must_open(&v);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
		assert_true(str_eq_c(tok_bytes(t, 256 + (int32_t)i), pieces[i]));
	assert_true(str_eq_c(tok_bytes(t, 173), "\xAD")); /* the alphabet's last, U+0143 */
	tok_destroy(t);
}

/* Valid stretches on both sides are encoded as they would be alone; each odd byte is its own token. */
static void invalid_utf8_goes_byte_by_byte(void **state)
{
	(void)state;
	struct vocab v = haiku("qwen2");
	struct tok *t = must_open(&v);
	assert_ids(t, "haiku\xFFhaiku", 0, "259 255 259");
	assert_ids(t, "\xE4\xBF", 0, "228 191");
	assert_ids(t, "\xC3ha", 0, "195 256");
	assert_ids(t, "\xED\xA0\x80", 0, "237 160 128");
	assert_ids(t, "e\xCC\x81\xCC", 0, "195 169 204"); /* NFC before the odd byte */
	assert_ids(t, "a\0b", 0, "97 0 98");
	tok_destroy(t);
}

static void every_byte_string_comes_back(void **state)
{
	(void)state;
	struct vocab v = haiku("gpt-2");
	struct tok *t = must_open(&v);
	for (uint32_t k = 0; k < 1000; k++) {
		char text[64];
		uint32_t r[4];
		rng_words(k, RNG_STREAM_TEST, 0, r);
		size_t n = r[0] % 64;
		for (size_t i = 0; i < n; i++) {
			rng_words(k, RNG_STREAM_TEST, i + 1, r);
			text[i] = k % 2 ? (char)(r[0] % 256) : "haiku \n\xC3\xA9\xFF"[r[0] % 10];
		}
		struct tok_ids ids = {0};
		struct strbuf back = {0};
		struct hokku_error err;
		assert_int_equal(tok_encode(t, (struct str){text, n}, 0, &ids, &err), HOKKU_OK);
		for (size_t i = 0; i < ids.n; i++)
			strbuf_add(&back, tok_bytes(t, ids.ids[i]).ptr, tok_bytes(t, ids.ids[i]).len);
		assert_int_equal(back.len, n);
		assert_true(n == 0 || memcmp(back.ptr, text, n) == 0);
		strbuf_free(&back);
		tok_ids_free(&ids);
	}
	tok_destroy(t);
}

/* Ids are appended, and a failed call leaves those before it. */
static void ids_are_appended(void **state)
{
	(void)state;
	struct vocab v = haiku("gpt-2");
	struct tok *t = must_open(&v);
	struct tok_ids ids = {0};
	struct hokku_error err;
	assert_int_equal(tok_ids_push(&ids, 7, &err), HOKKU_OK);
	assert_int_equal(tok_encode(t, STR_LIT("haiku"), 0, &ids, &err), HOKKU_OK);
	assert_int_equal(tok_encode(t, STR_LIT("ha"), 0, &ids, &err), HOKKU_OK);
	assert_int_equal(ids.n, 3);
	assert_true(ids.ids[0] == 7 && ids.ids[1] == 259 && ids.ids[2] == 256);
	tok_destroy(t);

	struct vocab named = {.model = "gpt2",
			      .pre = "gpt-2"}; /* a special token of one byte, and it is number 0 */
	v_token(&named, "a", TOK_CONTROL);
	v_token(&named, "b", TOK_NORMAL);
	t = must_open(&named);
	assert_ids(t, "bab", TOK_PARSE_SPECIAL, "1 0 1");
	assert_int_equal(tok_encode(t, STR_LIT("ba"), 0, &ids, &err), HOKKU_INVALID_REQUEST);
	assert_int_equal(ids.n, 3);
	tok_destroy(t);

	struct vocab holes = {.model = "gpt2", .pre = "gpt-2"};
	v_token(&holes, "a", TOK_NORMAL);
	v_token(&holes, "b", TOK_NORMAL);
	t = must_open(&holes);
	assert_int_equal(tok_encode(t, STR_LIT("ab?"), 0, &ids, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "the text holds the byte 0x3f, for which the model's vocabulary has no token");
	assert_int_equal(tok_encode(t, STR_LIT("abba?ba"), 0, &ids, &err), HOKKU_INVALID_REQUEST);
	assert_int_equal(ids.n, 3);
	tok_ids_free(&ids);
	tok_destroy(t);
}

/* One piece of a megabyte: the plain loop would need days. */
static void a_megabyte_without_a_blank(void **state)
{
	(void)state;
	struct vocab v = v_new("qwen2");
	char left[300] = "a", right[300] = "a";
	for (int k = 0; k < 7; k++) { /* aa, aaaa, ... 128 a's */
		v_pair(&v, left, right);
		memset(left, 'a', 2u << k);
		left[2u << k] = '\0';
		memcpy(right, left, sizeof right);
	}
	struct tok *t = must_open(&v);
	struct strbuf text = {0};
	b_zeros(&text, 1 << 20);
	memset(text.ptr, 'a', text.len);
	struct tok_ids ids = {0};
	struct hokku_error err;
	clock_t start = clock();
	assert_int_equal(tok_encode(t, (struct str){text.ptr, text.len}, 0, &ids, &err), HOKKU_OK);
	assert_true(clock() - start < 60 * CLOCKS_PER_SEC);
	assert_int_equal(ids.n, (1 << 20) / 128);
	for (size_t i = 0; i < ids.n; i++)
		assert_int_equal(ids.ids[i], 262);
	tok_ids_free(&ids);
	strbuf_free(&text);
	tok_destroy(t);
}

static void refusals(void **state)
{
	(void)state;
	struct {
		struct vocab v;
		const char *message;
	} rows[16];
	size_t n = 0;
#define ROW(vocab, text) rows[n].v = (vocab), rows[n].message = (text)
	ROW(v_new("gpt-2"), "tokenizer.ggml.model is \"bert\"; the tokenizer models known are gpt2, llama");
	rows[n++].v.model = "bert";
	ROW(v_new("falcons"),
	    "tokenizer.ggml.pre is \"falcons\", none of the 83 pre-tokenizers known (qwen2, "
	    "llama-bpe, gpt-2 ...; docs/tokenizer.md lists them)");
	n++;
	ROW(v_new("gpt-2"), "tokenizer.ggml.merges: merge 0, \"ab\", is not two tokens with a blank between");
	v_merge(&rows[n++].v, "ab");
	ROW(v_new("gpt-2"), "tokenizer.ggml.merges: merge 0, \" b\", is not two tokens with a blank between");
	v_merge(&rows[n++].v, " b");
	ROW(v_new("gpt-2"), "tokenizer.ggml.merges: merge 0, \"xy b\", has a left part that is no token");
	v_merge(&rows[n++].v, "xy b");
	ROW(v_new("gpt-2"), "tokenizer.ggml.merges: merge 0, \"b xy\", has a right part that is no token");
	v_merge(&rows[n++].v, "b xy");
	ROW(v_new("gpt-2"), "tokenizer.ggml.merges: merge 0, \"a b\", makes no token of the vocabulary");
	v_merge(&rows[n++].v, "a b");
	ROW(haiku("gpt-2"), "tokenizer.ggml.merges: merge 4, \"h a\", repeats merge 0");
	v_merge(&rows[n++].v, "h a");
	ROW(v_new("gpt-2"), "tokenizer.ggml.token_type: token 256 has type 7; 1 to 6 are allowed");
	v_token(&rows[n++].v, "ab", 7);
	ROW(v_new("gpt-2"), "tokenizer.ggml.token_type has 257 entries; tokenizer.ggml.tokens has 256");
	v_token(&rows[n].v, "ab", TOK_NORMAL);
	rows[n].v.no_types = true;
	v_array(&rows[n].v.extra, "tokenizer.ggml.token_type", GGUF_I32, 257, &rows[n].v.types);
	rows[n].v.n_extra++;
	rows[n].v.tokens.len -= 10;
	rows[n++].v.n_tokens--;
	ROW(v_new("gpt-2"), "tokenizer.ggml.eos_token_id is 256; the vocabulary has 256 tokens");
	v_key_u32(&rows[n++].v, "tokenizer.ggml.eos_token_id", 256);
	ROW(((struct vocab){.model = "gpt2", .pre = "gpt-2", .no_types = true}),
	    "tokenizer.ggml.tokens has 0 entries; 1 to 524288 are allowed");
	strbuf_add_c(&rows[n++].v.tokens, "");
#undef ROW
	for (size_t i = 0; i < n; i++) {
		struct hokku_error err;
		assert_null(v_open(&rows[i].v, &err));
		assert_string_equal(err.message, rows[i].message);
		assert_int_equal(err.code, HOKKU_BAD_FILE);
	}
}

/* Keys that must be there are named by the reader; those that may be absent have their defaults. */
static void absent_keys(void **state)
{
	(void)state;
	struct hokku_error err;
	struct vocab v = v_new("gpt-2");
	v.model = NULL;
	assert_null(v_open(&v, &err));
	assert_non_null(strstr(err.message, "tokenizer.ggml.model"));
	v = v_new("gpt-2");
	v.no_merges = true;
	assert_null(v_open(&v, &err));
	assert_non_null(strstr(err.message, "tokenizer.ggml.merges"));
	v = v_new(NULL);
	v_token(&v, "<end>", TOK_CONTROL);
	v.no_types = true;
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", 256);
	struct tok *t = must_open(&v);
	assert_string_equal(tok_kind(t), "gpt2/default");
	/* Without types, the tokens that the file names by id are its control tokens. */
	assert_int_equal(tok_type(t, 256), TOK_CONTROL);
	assert_ids(t, "<end>", TOK_PARSE_SPECIAL, "256");
	assert_ids(t, "<end>", 0, "60 101 110 100 62");
	tok_destroy(t);
}

static const char *only_note(const struct tok *t)
{
	const char *const *notes = tok_notes(t);
	assert_non_null(notes[0]);
	assert_null(notes[1]);
	return notes[0];
}

/* A file that names no pre-tokenizer: what its architecture has, and a note says so. */
static void a_missing_pre_tokenizer_is_the_architectures(void **state)
{
	(void)state;
	static const struct {
		const char *architecture, *pre, *kind, *note;
	} rows[] = {
		{"qwen2", NULL, "gpt2/qwen2",
		 "tokenizer.ggml.pre is missing: text is cut by qwen2's rules, since the architecture is "
		 "qwen2"},
		{"qwen2vl", NULL, "gpt2/default",
		 "tokenizer.ggml.pre is missing: text is cut by the rules of \"default\", which may not be "
		 "the "
		 "model's own; then its answers are worse: a file converted anew names its own"},
		{NULL, NULL, "gpt2/default",
		 "tokenizer.ggml.pre is missing: text is cut by the rules of \"default\", which may not be "
		 "the "
		 "model's own; then its answers are worse: a file converted anew names its own"},
		{"qwen2", "gpt-2", "gpt2/gpt-2", NULL},
		{"qwen2", "default", "gpt2/default", NULL},
		{"llama", "qwen2", "gpt2/qwen2", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct vocab v = v_new(rows[i].pre);
		if (rows[i].architecture)
			v_key_str(&v, "general.architecture", rows[i].architecture);
		struct tok *t = must_open(&v);
		assert_string_equal(tok_kind(t), rows[i].kind);
		if (rows[i].note)
			assert_string_equal(only_note(t), rows[i].note);
		else
			assert_null(tok_notes(t)[0]);
		bool nfc = strcmp(rows[i].kind, "gpt2/qwen2") == 0;
		assert_ids(t, "e\xCC\x81", 0, nfc ? "195 169" : "101 204 129");
		tok_destroy(t);
	}
}

/* DeepSeek-R1-Distill-Qwen: qwen2's rules, and its tokenizer.json has no normaliser. */
static void deepseek_r1_qwen_cuts_as_qwen2_and_keeps_the_text(void **state)
{
	(void)state;
	struct vocab v = haiku("deepseek-r1-qwen");
	struct tok *t = must_open(&v);
	assert_string_equal(tok_kind(t), "gpt2/deepseek-r1-qwen");
	assert_ids(t, "e\xCC\x81", 0, "101 204 129");
	assert_ids(t, "haiku", 0, "259");
	tok_destroy(t);
}

/* Ids that are no token, in keys that nothing needs: a note, and the file is served. */
static void unused_ids_out_of_range_are_noted(void **state)
{
	(void)state;
	static const char *const keys[] = {
		"tokenizer.ggml.bos_token_id",       "tokenizer.ggml.eot_token_id",
		"tokenizer.ggml.eom_token_id",       "tokenizer.ggml.unknown_token_id",
		"tokenizer.ggml.seperator_token_id", "tokenizer.ggml.padding_token_id",
		"tokenizer.ggml.cls_token_id",       "tokenizer.ggml.mask_token_id",
		"tokenizer.ggml.fim_pre_token_id",   "tokenizer.ggml.fim_suf_token_id",
		"tokenizer.ggml.fim_mid_token_id",   "tokenizer.ggml.fim_pad_token_id",
		"tokenizer.ggml.fim_rep_token_id",   "tokenizer.ggml.fim_sep_token_id",
		"tokenizer.ggml.prefix_token_id",    "tokenizer.ggml.suffix_token_id",
		"tokenizer.ggml.middle_token_id",
	};
	static const uint32_t values[] = {255, 256, UINT32_MAX};
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
		for (size_t i = 0; i < 3; i++) {
			struct vocab v = v_new("gpt-2");
			char want[200];
			v_key_u32(&v, keys[k], values[i]);
			if (k == 0)
				v_key_bool(&v, "tokenizer.ggml.add_bos_token", false);
			struct tok *t = must_open(&v);
			snprintf(want, sizeof want,
				 "%s is %u, and the vocabulary has 256 tokens: it is not used", keys[k],
				 values[i]);
			if (i == 0)
				assert_null(tok_notes(t)[0]);
			else
				assert_string_equal(only_note(t), want);
			assert_int_equal(tok_bos(t), k == 0 && i == 0 ? 255 : -1);
			assert_int_equal(tok_is_end(t, 255), (k == 1 || k == 2) && i == 0);
			assert_ids(t, "a", TOK_ADD_BOS, "97");
			tok_destroy(t);
		}
	}
	/* All at once: there is room for every note. */
	struct vocab v = v_new(NULL);
	v.no_types = true;
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
		v_key_u32(&v, keys[k], 1u << 20);
	struct tok *t = must_open(&v);
	size_t n = 0;
	while (tok_notes(t)[n])
		n++;
	assert_int_equal(n, sizeof keys / sizeof *keys + 2);
	tok_destroy(t);

	/* -1, and no number at all. */
	v = v_new("gpt-2");
	b_key(&v.extra, "tokenizer.ggml.bos_token_id", GGUF_I32);
	b_u32(&v.extra, UINT32_MAX);
	v.n_extra++;
	t = must_open(&v);
	assert_string_equal(
		only_note(t),
		"tokenizer.ggml.bos_token_id is -1, and the vocabulary has 256 tokens: it is not used");
	tok_destroy(t);
	v = v_new("gpt-2");
	v_key_str(&v, "tokenizer.ggml.padding_token_id", "<pad>");
	t = must_open(&v);
	assert_string_equal(only_note(t),
			    "tokenizer.ggml.padding_token_id is no whole number (string), and the "
			    "vocabulary has 256 tokens: it is not used");
	tok_destroy(t);
}

/* The same where they are needed: an error. */
static void needed_ids_out_of_range_are_refused(void **state)
{
	(void)state;
	struct hokku_error err;
	for (int asked = 0; asked < 2; asked++) { /* by the file, by the pre-tokenizer's row */
		struct vocab v = v_new(asked ? "gpt-2" : "llama-bpe");
		v_key_u32(&v, "tokenizer.ggml.bos_token_id", 256);
		if (asked)
			v_key_bool(&v, "tokenizer.ggml.add_bos_token", true);
		assert_null(v_open(&v, &err));
		assert_string_equal(err.message,
				    "tokenizer.ggml.bos_token_id is 256; the vocabulary has 256 tokens");
		assert_int_equal(err.code, HOKKU_BAD_FILE);
	}
	struct vocab v = v_new("gpt-2");
	v_key_str(&v, "tokenizer.ggml.eos_token_id", "</s>");
	assert_null(v_open(&v, &err));
	assert_non_null(strstr(err.message, "key \"tokenizer.ggml.eos_token_id\" is"));
}

/* Harmony's and Solar Open's answers are several messages: "<|end|>" ends one, not the answer. */
static void the_end_of_a_message(void **state)
{
	(void)state;
	static const struct {
		const char *others[2];
		bool ends;
	} rows[] = {
		{{"<|assistant|>", "<|user|>"}, true}, {{"<|return|>", "<|call|>"}, false},
		{{"<|flush|>", "<|calls|>"}, false},   {{"<|return|>", "<|calls|>"}, true},
		{{"<|call|>", "<|user|>"}, true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct vocab v = v_new("qwen2");
		v_token(&v, "<|end|>", TOK_CONTROL);
		v_token(&v, rows[i].others[0], TOK_CONTROL);
		v_token(&v, rows[i].others[1], TOK_CONTROL);
		v_key_u32(&v, "tokenizer.ggml.eos_token_id", 257);
		struct tok *t = must_open(&v);
		assert_int_equal(tok_is_end(t, 256), rows[i].ends);
		assert_true(tok_is_end(t, 257));
		tok_destroy(t);
	}
}

/* A file without token types: control tokens by id and by name; everything else is text. */
static void without_types_control_tokens_go_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *piece;
		bool control, end;
	} rows[] = {
		{"<|im_start|>", true, false}, {"<|im_end|>", true, true},
		{"<|a|>", true, false},        {"<\uff5cUser\uff5c>", true, false},
		{"</s>", true, true},          {"<end_of_turn>", true, true},
		{"<|", false, false},          {"|>", false, false},
		{"<||>", false, false},        {"<|>", false, false},
		{"<|-|>", false, false},       {"<|ab>", false, false},
		{"<ab|>", false, false},       {"x<|ab|>", false, false},
		{"<|ab|>x", false, false},     {"<tool>", false, false},
		{"<pad>", false, false},
	};
	enum { N = sizeof rows / sizeof *rows };
	struct vocab v = v_new("qwen2");
	v.no_types = true;
	for (size_t i = 0; i < N; i++)
		v_token(&v, rows[i].piece, TOK_NORMAL);
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", 'z');
	v_key_u32(&v, "tokenizer.ggml.padding_token_id",
		  256 + N - 1); /* names a token, makes it no control one */
	struct tok *t = must_open(&v);
	for (int32_t i = 0; i < N; i++) {
		assert_int_equal(tok_type(t, 256 + i), rows[i].control ? TOK_CONTROL : TOK_NORMAL);
		assert_int_equal(tok_is_end(t, 256 + i), rows[i].end);
		assert_int_equal(tok_find_special(t, str_c(rows[i].piece)), rows[i].control ? 256 + i : -1);
	}
	assert_true(tok_is_end(t, 'z') && tok_type(t, 'z') == TOK_CONTROL);
	assert_ids(t, "<|a|>", 0, "60 124 97 124 62");
	assert_string_equal(only_note(t),
			    "tokenizer.ggml.token_type is missing: the tokens that other keys name and "
			    "those called like <|this|> are taken for control tokens, 7 in all");
	tok_destroy(t);
}

/* Published vocabularies have one text twice: both are decoded, the last is what text becomes. */
static void of_one_text_the_last_token_encodes(void **state)
{
	(void)state;
	struct vocab v = v_new("gpt-2");
	v_token(&v, "a", TOK_NORMAL);    /* 256, as 97 */
	v_pair(&v, "a", "b");            /* 257 */
	v_token(&v, "ab", TOK_NORMAL);   /* 258 */
	v_token(&v, "<c>", TOK_CONTROL); /* 259 */
	v_token(&v, "<c>", TOK_CONTROL); /* 260 */
	v_token(&v, "", TOK_NORMAL);
	v_token(&v, "", TOK_NORMAL);
	struct tok *t = must_open(&v);
	assert_ids(t, "a.ab<c>", TOK_PARSE_SPECIAL, "256 46 258 260");
	assert_true(str_eq_c(tok_bytes(t, 97), "a") && str_eq_c(tok_bytes(t, 256), "a"));
	assert_true(str_eq_c(tok_bytes(t, 257), "ab") && str_eq_c(tok_bytes(t, 259), "<c>"));
	assert_string_equal(
		only_note(t),
		"tokenizer.ggml.tokens: 3 tokens have the text of an earlier one (token 256 is \"a\", and "
		"so is token 97): text becomes the last of them");
	tok_destroy(t);
}

/* A user-defined token that ends an answer is a control token all the same: text of a message must not end
 * it. */
static void what_ends_an_answer_is_no_text(void **state)
{
	(void)state;
	struct vocab v = v_new("qwen2");
	v_token(&v, "<|im_end|>", TOK_USER_DEFINED); /* 256 */
	v_token(&v, "</s>", TOK_USER_DEFINED);       /* 257 */
	v_token(&v, "<stop>", TOK_USER_DEFINED);     /* 258 */
	v_token(&v, "<tool>", TOK_USER_DEFINED);     /* 259 */
	v_key_u32(&v, "tokenizer.ggml.eot_token_id", 258);
	struct tok *t = must_open(&v);
	for (int32_t id = 256; id < 260; id++) {
		assert_int_equal(tok_type(t, id), id == 259 ? TOK_USER_DEFINED : TOK_CONTROL);
		assert_int_equal(tok_is_end(t, id), id != 259);
	}
	assert_ids(t, "<stop><tool>", 0, "60 115 116 111 112 62 259");
	assert_ids(t, "</s>", 0, "60 47 115 62");
	assert_ids(t, "<|im_end|></s><stop><tool>", TOK_PARSE_SPECIAL, "256 257 258 259");
	tok_destroy(t);
}

/* Rows that fill a vocabulary up to a round number are called [PADn] and stand for no text. */
static void unused_tokens_have_no_text(void **state)
{
	(void)state;
	struct vocab v = v_new("qwen2");
	v_token(&v, "[PAD256]", TOK_UNUSED);
	struct tok *t = must_open(&v);
	assert_int_equal(tok_type(t, 256), TOK_UNUSED);
	assert_int_equal(tok_bytes(t, 256).len, 0);
	assert_true(str_eq_c(tok_piece(t, 256), "[PAD256]"));
	assert_ids(t, "[PAD256]", TOK_PARSE_SPECIAL, "91 80 65 68 50 53 54 93");
	assert_int_equal(tok_find_special(t, STR_LIT("[PAD256]")), -1);
	tok_destroy(t);
}

static void token_limits(void **state)
{
	(void)state;
	/* The longest token, and one byte more. */
	for (size_t extra = 0; extra < 2; extra++) {
		struct vocab v = v_new("gpt-2");
		struct hokku_error err;
		char *piece = calloc(1, TOK_MAX_TOKEN_BYTES + extra + 1);
		memset(piece, 'x', TOK_MAX_TOKEN_BYTES + extra);
		v_token(&v, piece, TOK_USER_DEFINED);
		struct tok *t = v_open(&v, &err);
		if (extra)
			assert_string_equal(
				err.message,
				"tokenizer.ggml.tokens: token 256 has 4097 bytes; 4096 are allowed");
		else
			assert_ids(t, "xx", 0, "120 120");
		assert_int_equal(t == NULL, extra);
		tok_destroy(t);
		free(piece);
	}
	/* The most tokens, one fewer, one more. */
	struct strbuf tokens = {0};
	size_t end[3] = {0};
	for (uint32_t n = 0; n <= TOK_MAX_TOKENS; n++) {
		char piece[16];
		snprintf(piece, sizeof piece, "t%x", n);
		b_str(&tokens, piece);
		if (n + 2 >= TOK_MAX_TOKENS)
			end[n + 2 - TOK_MAX_TOKENS] = tokens.len;
	}
	for (uint32_t i = 0; i < 3; i++) {
		struct vocab v = {.model = "gpt2", .pre = "gpt-2", .no_types = true};
		struct hokku_error err;
		v.n_tokens = TOK_MAX_TOKENS - 1 + i;
		strbuf_add(&v.tokens, tokens.ptr, end[i]);
		struct tok *t = v_open(&v, &err);
		assert_int_equal(t == NULL, i == 2);
		if (!t)
			assert_string_equal(
				err.message,
				"tokenizer.ggml.tokens has 524289 entries; 1 to 524288 are allowed");
		tok_destroy(t);
	}
	strbuf_free(&tokens);
}

/* Every split of every string of a and b is a merge: of few tokens as many as are wanted. */
static void merge_limit(void **state)
{
	(void)state;
	for (uint32_t n = TOK_MAX_MERGES - 1; n <= TOK_MAX_MERGES + 1; n++) {
		struct vocab v = v_new("gpt-2");
		struct hokku_error err;
		char piece[20];
		for (uint32_t len = 2; v.n_merges < n; len++) {
			for (uint32_t k = 0; k < 1u << len && v.n_merges < n; k++) {
				for (uint32_t c = 0; c < len; c++)
					piece[c] = k >> c & 1 ? 'b' : 'a';
				piece[len] = '\0';
				v_token(&v, piece, TOK_NORMAL);
				for (uint32_t c = 1; c < len && v.n_merges < n; c++) {
					b_u64(&v.merges, len + 1);
					strbuf_add(&v.merges, piece, c);
					strbuf_add(&v.merges, " ", 1);
					strbuf_add(&v.merges, piece + c, len - c);
					v.n_merges++;
				}
			}
		}
		struct tok *t = v_open(&v, &err);
		assert_int_equal(t == NULL, n > TOK_MAX_MERGES);
		if (!t)
			assert_string_equal(err.message,
					    "tokenizer.ggml.merges has 1048577 entries; 1048576 are allowed");
		tok_destroy(t);
	}
}

/* Within the limit the first byte, which has no token, is what is complained of. */
static void text_limit(void **state)
{
	(void)state;
	struct vocab v = {.model = "gpt2", .pre = "gpt-2"};
	v_token(&v, "a", TOK_NORMAL);
	struct tok *t = must_open(&v);
	char *text = calloc(1, (size_t)TOK_MAX_TEXT_BYTES + 1);
	assert_non_null(text);
	text[0] = '\xFF';
	for (size_t n = TOK_MAX_TEXT_BYTES - 1; n <= (size_t)TOK_MAX_TEXT_BYTES + 1; n++) {
		struct tok_ids ids = {0};
		struct hokku_error err;
		assert_int_equal(tok_encode(t, (struct str){text, n}, 0, &ids, &err), HOKKU_INVALID_REQUEST);
		assert_string_equal(err.message,
				    n > TOK_MAX_TEXT_BYTES
					    ? "the text has 67108865 bytes; one call encodes 67108864 at most"
					    : "the text holds the byte 0xff, for which the model's "
					      "vocabulary has no token");
		tok_ids_free(&ids);
	}
	free(text);
	tok_destroy(t);
}

/* Threads share a tokenizer: the thread sanitizer watches, and all get the same. */
struct share {
	const struct tok *t;
	struct str text;
	struct tok_ids ids;
	enum hokku_code rc;
};
static void *encode_often(void *user)
{
	struct share *s = user;
	for (int i = 0; i < 50 && !s->rc; i++) {
		s->ids.n = 0;
		s->rc = tok_encode(s->t, s->text, 0, &s->ids, NULL);
	}
	return NULL;
}
static void threads_share_a_tokenizer(void **state)
{
	(void)state;
	struct vocab v = haiku("qwen2");
	struct share s[4] = {0};
	pthread_t threads[4];
	struct tok *t = must_open(&v);
	for (int i = 0; i < 4; i++) {
		s[i].t = t;
		s[i].text = STR_LIT("haiku ha ik \u00e9e\u0301 haikuhaiku 12\n\n  iku \u4f60\u597d haiku's");
		assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &s[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(s[i].rc, HOKKU_OK);
		assert_int_equal(s[i].ids.n, s[0].ids.n);
		assert_memory_equal(s[i].ids.ids, s[0].ids.ids, s[0].ids.n * sizeof(int32_t));
	}
	for (int i = 0; i < 4; i++)
		tok_ids_free(&s[i].ids);
	tok_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges_apply_by_rank),
		cmocka_unit_test(whole_tokens_only_where_merging_gives_them),
		cmocka_unit_test(both_merge_loops_follow_the_definition),
		cmocka_unit_test(added_tokens),
		cmocka_unit_test(added_tokens_by_list),
		cmocka_unit_test(added_tokens_of_normalised_text),
		cmocka_unit_test(merging_makes_no_control_token),
		cmocka_unit_test(bos),
		cmocka_unit_test(bos_may_be_token_0),
		cmocka_unit_test(gaps_are_parted_by_tokens),
		cmocka_unit_test(pieces_outside_the_alphabet),
		cmocka_unit_test(invalid_utf8_goes_byte_by_byte),
		cmocka_unit_test(every_byte_string_comes_back),
		cmocka_unit_test(ids_are_appended),
		cmocka_unit_test(a_megabyte_without_a_blank),
		cmocka_unit_test(refusals),
		cmocka_unit_test(absent_keys),
		cmocka_unit_test(a_missing_pre_tokenizer_is_the_architectures),
		cmocka_unit_test(deepseek_r1_qwen_cuts_as_qwen2_and_keeps_the_text),
		cmocka_unit_test(unused_ids_out_of_range_are_noted),
		cmocka_unit_test(needed_ids_out_of_range_are_refused),
		cmocka_unit_test(the_end_of_a_message),
		cmocka_unit_test(without_types_control_tokens_go_by_name),
		cmocka_unit_test(of_one_text_the_last_token_encodes),
		cmocka_unit_test(what_ends_an_answer_is_no_text),
		cmocka_unit_test(unused_tokens_have_no_text),
		cmocka_unit_test(token_limits),
		cmocka_unit_test(merge_limit),
		cmocka_unit_test(text_limit),
		cmocka_unit_test(threads_share_a_tokenizer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
