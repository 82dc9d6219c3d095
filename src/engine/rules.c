#include "engine/rules.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rules {
	uint32_t n_vocab, n_words, min_tokens;
	bool include_stop;
	bool narrows;    /* base leaves something out */
	bool left_none;  /* the last mask */
	uint32_t *base;  /* (n_words) what may come at all */
	uint32_t *stops; /* (n_words) stop tokens */
	uint32_t *late;  /* (n_words) stop and end tokens: what comes not before min_tokens */
	uint32_t *mask;  /* (n_words) the last one made */
	int32_t *bad;    /* (n_bad) sequences of two and more, each with -1 behind it */
	uint32_t n_bad;
	struct rules_thinking
		thinking; /* close_ids are in bad's memory, behind it; open and close in texts */
	char *texts;
	/* Of the thinking of an answer of n_seen tokens. */
	uint32_t n_seen, n_thought, n_opened,
		n_closed; /* the last two: bytes of open and close that are there */
	bool over;
	struct dialect_reader *reader; /* of thinking.how */
	bool has_thought;              /* the reader was inside thinking */
	uint32_t forced_at; /* the answer's length when close begins to come; UINT32_MAX: it does not */
};

static bool has(const uint32_t *mask, int32_t token)
{
	return mask[(uint32_t)token / 32] >> (uint32_t)token % 32 & 1;
}

static void put(uint32_t *mask, int32_t token)
{
	mask[(uint32_t)token / 32] |= 1u << (uint32_t)token % 32;
}

static void drop(uint32_t *mask, int32_t token)
{
	mask[(uint32_t)token / 32] &= ~(1u << (uint32_t)token % 32);
}

/* ---- what a request may say ---- */

static enum hokku_code check_ids(const char *name, const int32_t *ids, uint32_t n, uint32_t most,
				 uint32_t n_vocab, struct hokku_error *err)
{
	if (n > most)
		return err_set(err, HOKKU_INVALID_REQUEST, "%s has %u tokens; %u are allowed", name, n, most);
	if (n && !ids)
		return err_set(err, HOKKU_INVALID_REQUEST, "%s is NULL, and is said to have %u tokens", name,
			       n);
	for (uint32_t i = 0; i < n; i++)
		if (ids[i] < 0 || (uint32_t)ids[i] >= n_vocab)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s names token %d; the vocabulary has 0 to %u", name, ids[i],
				       n_vocab - 1);
	return HOKKU_OK;
}

static enum hokku_code check_bad_words(const struct token_rules *r, uint32_t n_vocab, struct hokku_error *err)
{
	if (r->n_bad_ids > RULES_MAX_BAD_IDS)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "bad_words have %u tokens, with one more for each; %d are allowed",
			       r->n_bad_ids, RULES_MAX_BAD_IDS);
	if (r->n_bad_ids && (!r->bad_words || r->bad_words[r->n_bad_ids - 1] != -1))
		return err_set(err, HOKKU_INVALID_REQUEST, "bad_words do not end with -1");
	for (uint32_t i = 0; i < r->n_bad_ids; i++) {
		int32_t id = r->bad_words[i];
		if (id == -1 && (i == 0 || r->bad_words[i - 1] == -1))
			return err_set(err, HOKKU_INVALID_REQUEST, "one of bad_words is empty");
		if (id < -1 || (id >= 0 && (uint32_t)id >= n_vocab))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "bad_words name token %d; the vocabulary has 0 to %u", id,
				       n_vocab - 1);
	}
	return HOKKU_OK;
}

enum hokku_code rules_check(const struct token_rules *r, uint32_t n_vocab, uint32_t max_tokens,
			    struct hokku_error *err)
{
	if (r->min_tokens > INT32_MAX)
		return err_set(err, HOKKU_INVALID_REQUEST, "min_tokens is %u; it takes 0 to %d",
			       r->min_tokens, INT32_MAX);
	if (max_tokens && r->min_tokens > max_tokens)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "min_tokens is %u and max_tokens %u; the least cannot be more than the most",
			       r->min_tokens, max_tokens);
	enum hokku_code rc = check_ids("stop_token_ids", r->stop_tokens, r->n_stop_tokens,
				       RULES_MAX_STOP_TOKENS, n_vocab, err);
	if (!rc)
		rc = check_ids("allowed_token_ids", r->allowed, r->n_allowed, RULES_MAX_ALLOWED, n_vocab,
			       err);
	if (!rc && r->thinking.max)
		rc = check_ids("what closes thinking", r->thinking.close_ids, r->thinking.n_close,
			       RULES_MAX_CLOSE_BYTES, n_vocab, err);
	if (!rc && r->thinking.max &&
	    (!r->thinking.n_close || r->thinking.close.len - 1 >= RULES_MAX_CLOSE_BYTES ||
	     r->thinking.open.len > RULES_MAX_CLOSE_BYTES))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "thinking is to have an end and no text that marks it");
	return rc ? rc : check_bad_words(r, n_vocab, err);
}

/* ---- what comes of it ---- */

static bool forbids(const struct hokku_logit_bias *b)
{
	return b->bias == -INFINITY;
}

static bool is_nothing(const struct token_rules *r, const struct hokku_logit_bias *bias, uint32_t n_bias)
{
	for (uint32_t i = 0; i < n_bias; i++)
		if (forbids(&bias[i]))
			return false;
	return !r->min_tokens && !r->ignore_eos && !r->include_stop && !r->n_stop_tokens && !r->n_allowed &&
	       !r->n_bad_ids && !r->thinking.max;
}

/* All of the vocabulary, or what is allowed of it. */
static void begin_base(struct rules *out, const struct token_rules *r)
{
	if (r->n_allowed) {
		for (uint32_t i = 0; i < r->n_allowed; i++)
			put(out->base, r->allowed[i]);
		return;
	}
	memset(out->base, 0xFF, out->n_words * sizeof *out->base);
	if (out->n_vocab % 32)
		out->base[out->n_words - 1] = (1u << out->n_vocab % 32) - 1;
}

/* A word of one token never comes; those of more are kept, to be looked for. */
static void take_bad_words(struct rules *out, const struct token_rules *r)
{
	for (uint32_t i = 0, begin = 0; i < r->n_bad_ids; i++) {
		uint32_t n = i - begin;
		if (r->bad_words[i] != -1)
			continue;
		if (n == 1) {
			drop(out->base, r->bad_words[begin]);
		} else {
			memcpy(out->bad + out->n_bad, r->bad_words + begin, (n + 1) * sizeof *out->bad);
			out->n_bad += n + 1;
		}
		begin = i + 1;
	}
}

/* Copies what thinking points to: its tokens behind n_bad others. */
static void keep_thinking(struct rules *r, uint32_t n_bad)
{
	struct rules_thinking *t = &r->thinking;
	memcpy(r->bad + n_bad, t->close_ids, t->n_close * sizeof *r->bad);
	t->close_ids = r->bad + n_bad;
	memcpy(r->texts, t->close.ptr, t->close.len);
	t->close.ptr = r->texts;
	if (t->open.len)
		memcpy(r->texts + t->close.len, t->open.ptr, t->open.len);
	t->open.ptr = r->texts + t->close.len;
}

static void no_part(void *user, const struct part *part)
{
	(void)user;
	(void)part;
}

/* Nothing is seen of an answer. False: no memory. */
static bool begin_thinking(struct rules *r)
{
	r->n_seen = r->n_thought = r->n_opened = r->n_closed = 0;
	r->over = r->has_thought = false;
	r->forced_at = UINT32_MAX;
	dialect_reader_free(r->reader);
	r->reader = r->thinking.max && r->thinking.how ? dialect_reader_new(r->thinking.how, no_part, NULL)
						       : NULL;
	return r->reader || !r->thinking.max || !r->thinking.how;
}

enum hokku_code rules_new(const struct token_rules *r, const struct hokku_logit_bias *bias, uint32_t n_bias,
			  const uint32_t *ends, uint32_t n_vocab, struct rules **out, struct hokku_error *err)
{
	*out = NULL;
	if (is_nothing(r, bias, n_bias))
		return HOKKU_OK;
	uint32_t n_words = (n_vocab + 31) / 32;
	struct rules *made = calloc(1, sizeof *made);
	uint32_t *masks = calloc((size_t)n_words * 4, sizeof *masks);
	uint32_t n_close = r->thinking.max ? r->thinking.n_close : 0;
	size_t n_texts = r->thinking.max ? r->thinking.open.len + r->thinking.close.len : 0;
	int32_t *bad = calloc((size_t)r->n_bad_ids + n_close + 1, sizeof *bad);
	char *texts = malloc(n_texts + 1);
	if (!made || !masks || !bad || !texts) {
		free(texts);
		free(made);
		free(masks);
		free(bad);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the rules of an answer's tokens");
	}
	*made = (struct rules){.n_vocab = n_vocab,
			       .n_words = n_words,
			       .min_tokens = r->min_tokens,
			       .include_stop = r->include_stop,
			       .base = masks,
			       .stops = masks + n_words,
			       .late = masks + (size_t)2 * n_words,
			       .mask = masks + (size_t)3 * n_words,
			       .bad = bad,
			       .texts = texts,
			       .thinking = r->thinking};
	if (n_close)
		keep_thinking(made, r->n_bad_ids);
	for (uint32_t i = 0; i < r->n_stop_tokens; i++)
		put(made->stops, r->stop_tokens[i]);
	begin_base(made, r);
	take_bad_words(made, r);
	for (uint32_t i = 0; i < n_bias; i++)
		if (forbids(&bias[i]))
			drop(made->base, bias[i].token);
	for (uint32_t w = 0; w < n_words; w++) {
		made->late[w] = made->stops[w] | ends[w];
		if (r->ignore_eos)
			made->base[w] &= ~ends[w] | made->stops[w];
		uint32_t all = w + 1 < n_words || n_vocab % 32 == 0 ? UINT32_MAX : (1u << n_vocab % 32) - 1;
		made->narrows |= made->base[w] != all;
	}
	if (!begin_thinking(made)) {
		rules_free(made);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the rules of an answer's tokens");
	}
	*out = made;
	return HOKKU_OK;
}

void rules_free(struct rules *r)
{
	if (!r)
		return;
	dialect_reader_free(r->reader);
	free(r->base);
	free(r->bad);
	free(r->texts);
	free(r);
}

bool rules_look_back(const struct rules *r)
{
	return r && (r->n_bad || r->thinking.max);
}

uint32_t rules_give_away(struct rules *r, int32_t ids[RULES_FEW])
{
	uint32_t n = 0;
	if (!r || !r->narrows || rules_look_back(r))
		return 0;
	for (uint32_t i = 0; i < r->n_vocab; i++) {
		if (has(r->base, (int32_t)i))
			continue;
		if (n == RULES_FEW)
			return 0;
		ids[n++] = (int32_t)i;
	}
	if (n == r->n_vocab) /* none is left: what the mask says of that is told */
		return 0;
	r->narrows = false;
	return n;
}

/* One byte more of an answer's text. */
static void see_byte(struct rules *r, char byte)
{
	const struct rules_thinking *t = &r->thinking;
	if (r->over)
		return;
	if (r->n_opened < t->open.len) {
		if (r->n_opened == 0 && strchr(" \t\r\n", byte) && byte)
			return; /* what readers pass over, too */
		r->over = byte != t->open.ptr[r->n_opened++];
		return;
	}
	/* The longest beginning of close that the text ends with. */
	char end[RULES_MAX_CLOSE_BYTES + 1];
	memcpy(end, t->close.ptr, r->n_closed);
	end[r->n_closed++] = byte;
	uint32_t from = 0, n = r->n_closed;
	while (memcmp(end + from, t->close.ptr, n - from) != 0)
		from++;
	r->n_closed = n - from;
	r->over = r->n_closed == t->close.len;
}

/* Does the reader of calls say that thinking is over? */
static bool has_left(struct rules *r, struct str bytes)
{
	if (!r->reader || r->over)
		return r->over;
	if (dialect_reader_feed(r->reader, bytes, NULL))
		return false; /* no memory: the answer's own reader ends it */
	bool thinks = dialect_reader_thinks(r->reader);
	r->has_thought = r->has_thought || thinks;
	return dialect_reader_calls(r->reader) || (r->has_thought && !thinks);
}

static bool may_be_call(const struct rules *r)
{
	return r->reader && dialect_reader_undecided(r->reader);
}

static void see_token(struct rules *r, int32_t token)
{
	const struct rules_thinking *t = &r->thinking;
	struct str bytes = t->bytes(t->user, token);
	bool opened = r->n_opened == t->open.len;
	for (size_t i = 0; i < bytes.len; i++)
		see_byte(r, bytes.ptr[i]);
	r->over = has_left(r, bytes);
	r->n_seen++;
	r->n_thought += opened;
	bool whole = bytes.len && utf8_valid_prefix(bytes.ptr, bytes.len) == bytes.len;
	if (!r->over && r->n_opened == t->open.len && r->n_thought >= t->max && whole && !may_be_call(r) &&
	    r->forced_at == UINT32_MAX)
		r->forced_at = r->n_seen;
}

/* The token that must come because thinking has to end; -1: none. */
static int32_t close_token(struct rules *r, const int32_t *answer, uint32_t n)
{
	if (n < r->n_seen) /* the answer is told again from an earlier place on */
		begin_thinking(r);
	while (r->n_seen < n)
		see_token(r, answer[r->n_seen]);
	if (r->over || n < r->forced_at || may_be_call(r))
		return -1;
	/* What of close is there already. */
	uint32_t k = r->thinking.n_close - 1;
	while (k > n - r->forced_at || memcmp(answer + n - k, r->thinking.close_ids, k * sizeof *answer) != 0)
		k--;
	return r->thinking.close_ids[k];
}

/* Of the mask at hand. */
static void leave_one(struct rules *r, int32_t token)
{
	bool may = has(r->mask, token);
	memset(r->mask, 0, r->n_words * sizeof *r->mask);
	if (may)
		put(r->mask, token);
}

/* The last token of each word whose others the answer ends with. */
static void drop_bad_words(struct rules *r, const int32_t *answer, uint32_t n)
{
	for (uint32_t i = 0, begin = 0; i < r->n_bad; i++) {
		if (r->bad[i] != -1)
			continue;
		uint32_t before = i - begin - 1;
		if (before <= n && memcmp(answer + n - before, r->bad + begin, before * sizeof *answer) == 0)
			drop(r->mask, r->bad[i - 1]);
		begin = i + 1;
	}
}

const uint32_t *rules_mask(struct rules *r, const int32_t *answer, uint32_t n, uint32_t n_drawn,
			   const uint32_t *shape)
{
	bool waits = r && n_drawn < r->min_tokens;
	int32_t forced = r && r->thinking.max ? close_token(r, answer, n) : -1;
	if (!r || (!r->narrows && !r->n_bad && !waits && forced < 0))
		return shape;
	for (uint32_t w = 0; w < r->n_words; w++)
		r->mask[w] = r->base[w] & (shape ? shape[w] : UINT32_MAX) & ~(waits ? r->late[w] : 0);
	drop_bad_words(r, answer, n);
	if (forced >= 0)
		leave_one(r, forced);
	uint32_t any = 0;
	for (uint32_t w = 0; w < r->n_words; w++)
		any |= r->mask[w];
	r->left_none = !any;
	return r->mask;
}

bool rules_left_none(const struct rules *r)
{
	return r && r->left_none;
}

bool rules_stop(const struct rules *r, int32_t token)
{
	return r && has(r->stops, token);
}

bool rules_include_stop(const struct rules *r)
{
	return r && r->include_stop;
}

uint32_t rules_min_tokens(const struct rules *r)
{
	return r ? r->min_tokens : 0;
}
