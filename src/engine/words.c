#include "engine/words.h"

#include <stdlib.h>
#include <string.h>

static struct str text_of(const struct tok *t, uint32_t token)
{
	enum tok_type type = tok_type(t, (int32_t)token);
	if (type == TOK_CONTROL || type == TOK_UNKNOWN || type == TOK_UNUSED || tok_is_end(t, (int32_t)token))
		return (struct str){NULL, 0};
	return tok_bytes(t, (int32_t)token);
}

static struct str bytes_of(void *user, uint32_t token)
{
	return text_of(user, token);
}

/* The last of ids whose bytes are text, and nothing else; SIZE_MAX where no such number of them is. */
static size_t n_of_text(const struct tok *t, const struct tok_ids *ids, struct str text)
{
	size_t left = text.len, i = ids->n;
	while (left && i) {
		struct str b = text_of(t, (uint32_t)ids->ids[i - 1]);
		if (!b.len || b.len > left || memcmp(text.ptr + left - b.len, b.ptr, b.len) != 0)
			return SIZE_MAX;
		left -= b.len;
		i--;
	}
	return left ? SIZE_MAX : ids->n - i;
}

/* SentencePiece's vocabularies may put a blank before a text; behind a line end they do not. What stands
 * before the text's own tokens is left out. */
size_t words_encode(const struct tok *t, struct str text, int32_t *out, size_t max)
{
	struct tok_ids ids = {0};
	struct hokku_error err;
	size_t n = SIZE_MAX;
	if (!tok_encode(t, text, 0, &ids, &err))
		n = n_of_text(t, &ids, text);
	if (n == SIZE_MAX) {
		struct strbuf behind = {0};
		strbuf_add_c(&behind, "\n");
		strbuf_add(&behind, text.ptr, text.len);
		ids.n = 0;
		n = SIZE_MAX;
		if (!behind.failed && !tok_encode(t, (struct str){behind.ptr, behind.len}, 0, &ids, &err))
			n = n_of_text(t, &ids, text);
		strbuf_free(&behind);
	}
	if (n == SIZE_MAX)
		n = 0;
	if (n && max)
		memcpy(out, ids.ids + ids.n - n, (n < max ? n : max) * sizeof *out);
	tok_ids_free(&ids);
	return n;
}

static size_t encode(void *user, struct str text, int32_t *out, size_t max)
{
	return words_encode(user, text, out, max);
}

/* A word that does not come: its tokens, unless the last sequence is the same. */
static enum hokku_code add_banned(const struct tok *t, struct str text, struct tok_ids *out,
				  struct hokku_error *err)
{
	size_t n = words_encode(t, text, NULL, 0), before = out->n;
	enum hokku_code rc = HOKKU_OK;
	if (n == 0)
		return HOKKU_OK;
	int32_t *ids = calloc(n, sizeof *ids); /* what is written there is not seen by who reads this */
	if (!ids)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %zu tokens of bad_words", n);
	words_encode(t, text, ids, n);
	for (size_t i = 0; i < n && !rc; i++)
		rc = tok_ids_push(out, ids[i], err);
	if (!rc)
		rc = tok_ids_push(out, -1, err);
	if (!rc && before > n && memcmp(out->ids + before - n - 1, ids, n * sizeof *ids) == 0 &&
	    (before == n + 1 || out->ids[before - n - 2] == -1))
		out->n = before;
	free(ids);
	return rc;
}

enum hokku_code words_ban(const struct tok *t, struct str word, struct tok_ids *out, struct hokku_error *err)
{
	char quoted[64];
	struct strbuf behind_blank = {0};
	struct str bare = word;
	size_t before = out->n;
	while (bare.len && bare.ptr[0] == ' ')
		bare = (struct str){bare.ptr + 1, bare.len - 1};
	bare = bare.len ? bare : word; /* blanks alone */
	strbuf_add_c(&behind_blank, " ");
	strbuf_add(&behind_blank, bare.ptr, bare.len);
	enum hokku_code rc = behind_blank.failed
				     ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for bad_words")
				     : add_banned(t, bare, out, err);
	if (!rc)
		rc = add_banned(t, (struct str){behind_blank.ptr, behind_blank.len}, out, err);
	strbuf_free(&behind_blank);
	if (!rc && out->n == before)
		return err_set(err, HOKKU_INVALID_REQUEST, "%s has no tokens in this vocabulary",
			       str_quote(word, quoted, sizeof quoted));
	return rc;
}

static int32_t find(void *user, struct str name)
{
	return tok_find_special(user, name);
}

enum hokku_code words_init(const struct tok *t, struct constrain_words *out, struct hokku_error *err)
{
	uint32_t n = tok_n_vocab(t), n_ends = 0;
	for (uint32_t i = 0; i < n; i++)
		n_ends += tok_is_end(t, (int32_t)i);
	int32_t *ends = malloc((n_ends + 1) * sizeof *ends);
	*out = (struct constrain_words){0};
	if (!ends)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u tokens that end an answer",
			       n_ends);
	n_ends = 0;
	for (uint32_t i = 0; i < n; i++)
		if (tok_is_end(t, (int32_t)i))
			ends[n_ends++] = (int32_t)i;
	*out = (struct constrain_words){.user = (void *)t,
					.n = n,
					.bytes = bytes_of,
					.ends = ends,
					.n_ends = n_ends,
					.encode = encode,
					.find = find};
	return HOKKU_OK;
}

void words_deinit(struct constrain_words *w)
{
	free((void *)w->ends);
	*w = (struct constrain_words){0};
}
