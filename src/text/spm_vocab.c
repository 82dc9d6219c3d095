/* SentencePiece's BPE: what a file's metadata becomes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/spm.h"
#include "text/unicode.h"

static const char key_scores[] = "tokenizer.ggml.scores", key_tokens[] = "tokenizer.ggml.tokens",
		  key_prefix[] = "tokenizer.ggml.add_space_prefix",
		  key_extra[] = "tokenizer.ggml.remove_extra_whitespaces",
		  key_charsmap[] = "tokenizer.ggml.precompiled_charsmap";

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the vocabulary");
}

enum hokku_code spm_open(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	bool found;
	struct spm *s = t->spm = calloc(1, sizeof *s);
	if (!s)
		return no_memory(err);
	unicode_init();
	s->space_prefix = true;
	t->add_bos = true;
	snprintf(t->kind, sizeof t->kind, "llama");
	if (gguf_find(g, key_charsmap))
		return err_set(
			err, HOKKU_BAD_FILE,
			"%s is there: the text would have to be normalised by it, which hokku does not "
			"do for tokenizer.ggml.model \"llama\"",
			key_charsmap);
	const struct {
		const char *name;
		bool *out;
	} own[] = {{"space_prefix_first", &s->prefix_first},
		   {"space_prefix_once", &s->prefix_once},
		   {"join_by_merges", &s->join_by_merges},
		   {"ignore_merges", &s->ignore_merges},
		   {"split_at_spaces", &s->split_at_spaces}};
	enum hokku_code rc = gguf_get_bool(g, key_prefix, &s->space_prefix, &found, err);
	if (!rc)
		rc = gguf_get_bool(g, key_extra, &s->remove_extra, &found, err);
	for (size_t i = 0; !rc && i < sizeof own / sizeof *own; i++)
		rc = tok_read_own_bool(g, own[i].name, own[i].out, err);
	return rc;
}

void spm_close(struct tok *t)
{
	if (!t->spm)
		return;
	free(t->spm->of_character);
	free(t->spm->loose);
	merges_destroy(&t->spm->beside);
	added_destroy(&t->spm->normal);
	free(t->spm);
	t->spm = NULL;
}

static int upper_hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool spm_byte_name(struct str piece, unsigned *byte)
{
	if (piece.len != 6 || memcmp(piece.ptr, "<0x", 3) != 0 || piece.ptr[5] != '>')
		return false;
	int high = upper_hex(piece.ptr[3]), low = upper_hex(piece.ptr[4]);
	*byte = (unsigned)(high * 16 + low);
	return high >= 0 && low >= 0;
}

/* Writes the text that a token stands for; returns its bytes, at most the piece's. */
static size_t decode_piece(struct str piece, unsigned type, char *out)
{
	size_t n = 0;
	bool blanks = type == TOK_NORMAL || type == TOK_USER_DEFINED;
	for (size_t i = 0; i < piece.len;) {
		if (blanks && str_starts((struct str){piece.ptr + i, piece.len - i}, STR_LIT(SPM_BLANK))) {
			out[n++] = ' ';
			i += SPM_BLANK_BYTES;
		} else {
			out[n++] = piece.ptr[i++];
		}
	}
	return n;
}

/* Is the token's piece what characters can be joined to? A merge may use a token that was added as well. */
static bool is_joined(const struct tok *t, uint32_t id)
{
	enum tok_type type = tok_type(t, (int32_t)id);
	return (type == TOK_NORMAL || (type == TOK_USER_DEFINED && t->spm->join_by_merges)) &&
	       tok_piece(t, (int32_t)id).len > 0;
}

static void mark(void *user, uint32_t id)
{
	((bool *)user)[id] = true;
}

/* As the normaliser writes a name: of a tokenizer.json it puts the blank first here, too. */
static enum hokku_code put_normalised(struct tok *t, struct str piece, int32_t id, struct hokku_error *err)
{
	struct strbuf name = {0};
	if (t->spm->join_by_merges && t->spm->space_prefix)
		strbuf_add(&name, SPM_BLANK, SPM_BLANK_BYTES);
	for (size_t i = 0; i < piece.len; i++)
		if (piece.ptr[i] == ' ')
			strbuf_add(&name, SPM_BLANK, SPM_BLANK_BYTES);
		else
			strbuf_add(&name, piece.ptr + i, 1);
	enum hokku_code rc =
		name.failed ? no_memory(err)
			    : added_put(&t->spm->normal, (struct str){name.ptr, name.len}, id, false, err);
	strbuf_free(&name);
	return rc;
}

/* The names that are looked for: in the text as it is, where U+2581 of a name is a blank unless the
 * vocabulary is a tokenizer.json's, or in the normalised text. */
static enum hokku_code build_added(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	bool *normalised = calloc(t->n_vocab, sizeof *normalised);
	if (!normalised)
		return no_memory(err);
	enum hokku_code rc = tok_each_own_id(g, t, "normalized", mark, normalised, NULL, err);
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++) {
		enum tok_type type = tok_type(t, (int32_t)id);
		struct str piece = tok_piece(t, (int32_t)id);
		struct str name = t->spm->join_by_merges ? piece : tok_bytes(t, (int32_t)id);
		if (type != TOK_CONTROL && type != TOK_USER_DEFINED && type != TOK_UNKNOWN)
			continue;
		if (normalised[id] && type == TOK_USER_DEFINED)
			rc = put_normalised(t, piece, (int32_t)id, err);
		else
			rc = added_put(&t->added, name, (int32_t)id, type != TOK_USER_DEFINED, err);
	}
	free(normalised);
	return rc;
}

/* What each token is in bytes, the names that are looked for in text, the byte tokens. */
static enum hokku_code build_bytes(struct tok *t, struct hokku_error *err)
{
	uint32_t offset = 0;
	enum hokku_code rc = string_table_create(&t->by_bytes, t->n_vocab, t->pieces, t->piece_offsets, err);
	for (unsigned byte = 0; byte < 256; byte++)
		t->byte_ids[byte] = -1;
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++) {
		struct str piece = tok_piece(t, (int32_t)id);
		unsigned type = tok_type(t, (int32_t)id), byte;
		size_t n = type == TOK_UNUSED ? 0 : decode_piece(piece, type, t->bytes + offset);
		if (type == TOK_BYTE) {
			if (!spm_byte_name(piece, &byte)) {
				char quoted[64];
				return err_set(
					err, HOKKU_BAD_FILE,
					"%s: token %u, %s, is a byte token; it must be called <0x00> to "
					"<0xFF>",
					key_tokens, id, str_quote(piece, quoted, sizeof quoted));
			}
			t->byte_ids[byte] = (int32_t)id;
			t->bytes[offset] = (char)byte;
			n = 1;
		}
		if (is_joined(t, id))
			string_table_put(&t->by_bytes, id);
		offset += (uint32_t)n;
		t->byte_offsets[id + 1] = offset;
	}
	return rc;
}

/* Gives every character of a token its symbol, and remembers which stand side by side. *n_pairs counts them.
 */
static enum hokku_code note_characters(struct tok *t, uint32_t id, size_t *n_pairs, struct hokku_error *err)
{
	struct spm *s = t->spm;
	struct str piece = tok_piece(t, (int32_t)id);
	if (utf8_valid_prefix(piece.ptr, piece.len) != piece.len) {
		char quoted[64];
		return err_set(err, HOKKU_BAD_FILE, "%s: token %u, %s, is not UTF-8", key_tokens, id,
			       str_quote(piece, quoted, sizeof quoted));
	}
	for (size_t i = 0, n; i < piece.len; i += n) {
		uint32_t c;
		n = unicode_decode((const unsigned char *)piece.ptr + i, &c);
		*n_pairs += i > 0;
		if (s->of_character[c])
			continue;
		int32_t symbol = string_table_get(&t->by_bytes, piece.ptr + i, n);
		if (symbol < 0) {
			if ((s->n_loose & (s->n_loose - 1)) == 0) { /* full: 0, 1, 2, 4, 8 ... */
				size_t cap = s->n_loose ? 2 * (size_t)s->n_loose : 1;
				uint32_t *loose = realloc(s->loose, cap * sizeof *loose);
				if (!loose)
					return no_memory(err);
				s->loose = loose;
			}
			s->loose[s->n_loose] = c;
			symbol = (int32_t)(t->n_vocab + s->n_loose++);
		}
		s->of_character[c] = symbol + 1;
	}
	return HOKKU_OK;
}

static enum hokku_code build_characters(struct tok *t, struct hokku_error *err)
{
	struct spm *s = t->spm;
	size_t n_pairs = 0;
	enum hokku_code rc = HOKKU_OK;
	s->of_character = calloc(UNICODE_LIMIT, sizeof *s->of_character);
	if (!s->of_character)
		return no_memory(err);
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++)
		if (is_joined(t, id))
			rc = note_characters(t, id, &n_pairs, err);
	if (!rc)
		rc = merges_create(&s->beside, n_pairs, err);
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++) {
		struct str piece = is_joined(t, id) ? tok_piece(t, (int32_t)id) : (struct str){"", 0};
		int32_t last = -1;
		for (size_t i = 0; i < piece.len;) {
			uint32_t c;
			uint64_t earlier;
			i += unicode_decode((const unsigned char *)piece.ptr + i, &c);
			int32_t symbol = spm_symbol(s, c);
			if (last >= 0)
				merges_put(&s->beside, (uint32_t)last, (uint32_t)symbol, 1, &earlier);
			last = symbol;
		}
	}
	return rc;
}

struct scored {
	float score;
	uint32_t id;
};

static int by_score(const void *a, const void *b)
{
	const struct scored *x = a, *y = b;
	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static enum hokku_code read_scores(const struct gguf *g, const struct tok *t, struct scored *scored,
				   struct hokku_error *err)
{
	struct gguf_array array;
	enum hokku_code rc = gguf_get_array(g, key_scores, GGUF_F32, &array, NULL, err);
	if (rc)
		return rc;
	if (array.n != t->n_vocab)
		return err_set(err, HOKKU_BAD_FILE, "%s has %llu entries; %s has %u", key_scores,
			       (unsigned long long)array.n, key_tokens, t->n_vocab);
	for (uint32_t id = 0; id < t->n_vocab; id++) {
		float score;
		memcpy(&score, array.data + 4 * (size_t)id, 4);
		if (isnan(score))
			return err_set(err, HOKKU_BAD_FILE, "%s: token %u has the score NaN", key_scores, id);
		scored[id] = (struct scored){score, id};
	}
	qsort(scored, t->n_vocab, sizeof *scored, by_score);
	return HOKKU_OK;
}

/* Symbols of a part of a piece: the token, or the character, that it is; -1: neither. */
static int32_t part_symbol(const struct tok *t, const char *part, size_t n)
{
	int32_t id = string_table_get(&t->by_bytes, part, n);
	uint32_t c;
	if (id >= 0 || unicode_decode((const unsigned char *)part, &c) != n)
		return id;
	return spm_symbol(t->spm, c);
}

/* Calls put for every way to join a token of two symbols; false once put has said so. */
static bool each_join(const struct tok *t, uint32_t id, bool (*put)(void *user, int32_t left, int32_t right),
		      void *user)
{
	struct str piece = tok_piece(t, (int32_t)id);
	uint32_t c;
	size_t i = unicode_decode((const unsigned char *)piece.ptr, &c);
	for (; i < piece.len; i += unicode_decode((const unsigned char *)piece.ptr + i, &c)) {
		int32_t left = part_symbol(t, piece.ptr, i);
		int32_t right = left < 0 ? -1 : part_symbol(t, piece.ptr + i, piece.len - i);
		if (right >= 0 && !put(user, left, right))
			return false;
	}
	return true;
}

static bool count_join(void *user, int32_t left, int32_t right)
{
	(void)left;
	(void)right;
	return ++*(uint64_t *)user <= SPM_MAX_JOINS;
}

struct putting {
	struct merges *merges;
	uint64_t value;
};

static bool put_join(void *user, int32_t left, int32_t right)
{
	struct putting *p = user;
	uint64_t earlier;
	return merges_put(p->merges, (uint32_t)left, (uint32_t)right, p->value, &earlier);
}

/* Of several tokens with one text the last is what characters are joined to, by its score. */
static bool is_made(const struct tok *t, uint32_t id)
{
	struct str piece = tok_piece(t, (int32_t)id);
	return is_joined(t, id) && string_table_get(&t->by_bytes, piece.ptr, piece.len) == (int32_t)id;
}

/* The higher a token's score, the earlier its joins: equal scores are of one rank. */
static enum hokku_code build_joins(struct tok *t, const struct scored *scored, struct hokku_error *err)
{
	uint64_t n = 0;
	for (uint32_t id = 0; id < t->n_vocab; id++)
		if (is_made(t, id) && !each_join(t, id, count_join, &n))
			return err_set(err, HOKKU_BAD_FILE,
				       "%s can be joined of two tokens in more than %d ways", key_tokens,
				       SPM_MAX_JOINS);
	enum hokku_code rc = merges_create(&t->merges, n, err);
	uint64_t rank = 0;
	for (uint32_t i = 0; !rc && i < t->n_vocab; i++) {
		rank += i > 0 && scored[i].score != scored[i - 1].score;
		struct putting p = {&t->merges, rank << 32 | scored[i].id};
		if (is_made(t, scored[i].id))
			each_join(t, scored[i].id, put_join, &p);
	}
	return rc;
}

/* Phi-3 takes blanks behind its special tokens along; its GGUF files say so nowhere but in the model's name,
 * by which llama.cpp goes, too. */
static void mark_phi3(const struct gguf *g, struct tok *t)
{
	static const char *const keep[] = {"<unk>", "<s>", "<|endoftext|>"};
	const struct gguf_value *v = gguf_find(g, "general.name");
	bool is_phi3 = false;
	for (size_t i = 0; v && v->type == GGUF_STRING && i + 4 <= v->string.len; i++) {
		const char *p = v->string.ptr + i;
		size_t left = v->string.len - i;
		is_phi3 = is_phi3 || strncasecmp(p, "phi3", 4) == 0 ||
			  (left >= 5 && strncasecmp(p, "phi-3", 5) == 0);
	}
	for (uint32_t id = 0; is_phi3 && id < t->n_vocab; id++) {
		enum tok_type type = tok_type(t, (int32_t)id);
		bool takes = type == TOK_CONTROL || type == TOK_USER_DEFINED || type == TOK_UNKNOWN;
		for (size_t i = 0; i < sizeof keep / sizeof *keep; i++)
			takes = takes && !str_eq_c(tok_piece(t, (int32_t)id), keep[i]);
		if (takes)
			t->flags[id] |= TOK_FLAG_RSTRIP;
	}
}

enum hokku_code spm_build(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
			  struct hokku_error *err)
{
	const bool by_merges = t->spm->join_by_merges;
	struct scored *scored = by_merges ? NULL : calloc(t->n_vocab, sizeof *scored);
	enum hokku_code rc = by_merges ? HOKKU_OK : scored ? read_scores(g, t, scored, err) : no_memory(err);
	if (!rc)
		rc = build_bytes(t, err);
	if (!rc)
		rc = build_added(g, t, err);
	if (!rc)
		rc = build_characters(t, err);
	if (!rc)
		rc = by_merges ? tok_read_merges(g, t, by_piece, err) : build_joins(t, scored, err);
	if (!rc && !by_merges)
		mark_phi3(g, t);
	free(scored);
	for (uint32_t id = 0; !rc && t->unk < 0 && id < t->n_vocab; id++)
		if (tok_type(t, (int32_t)id) == TOK_UNKNOWN)
			t->unk = (int32_t)id;
	return rc;
}
