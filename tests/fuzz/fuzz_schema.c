/*
 * Schemas put together as the bytes say, keywords and values that make sense; each with its negation. What
 * is drawn from the one is refused by the other and taken by itself twice in an
 * allOf; a schema and its negation are not both empty.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/str.h"
#include "constrain/constrain.h"

enum { END = 256, N_WORDS = 257, MAX_BYTES = 40, N_DRAWN = 4 };

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

struct source {
	const uint8_t *at, *end;
	struct strbuf text;
};

static unsigned pick(struct source *s, unsigned n)
{
	return s->at < s->end ? *s->at++ % n : 0;
}

static const char *const values[] = {"null", "true",  "0",      "1",  "2.5",       "-3",
				     "\"\"", "\"a\"", "\"ab\"", "[]", "[1,\"a\"]", "{\"a\":1}"};
static const char *const names[] = {"a", "b", "ab", "c"};
static const char *const patterns[] = {"^a", "b$", "^[ab]*$", "", "c|d"};
static const char *const types[] = {"null", "boolean", "integer", "number", "string", "array", "object"};

static const char *word(struct source *s, const char *const *list, size_t n)
{
	return list[pick(s, (unsigned)n)];
}
#define WORD(s, list) word(s, list, sizeof(list) / sizeof *(list))

static void schema(struct source *s, int depth);

static void schemas(struct source *s, int depth)
{
	unsigned n = 1 + pick(s, 3);
	strbuf_add_c(&s->text, "[");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			strbuf_add_c(&s->text, ",");
		schema(s, depth);
	}
	strbuf_add_c(&s->text, "]");
}

/* Names of the list from a first one on, so that none stands twice. */
static void map(struct source *s, int depth, const char *const *list, unsigned n_list)
{
	unsigned first = pick(s, n_list), n = 1 + pick(s, n_list - first);
	strbuf_add_c(&s->text, "{");
	for (unsigned i = first; i < first + n; i++) {
		strbuf_addf(&s->text, "%s\"%s\":", i == first ? "" : ",", list[i]);
		schema(s, depth);
	}
	strbuf_add_c(&s->text, "}");
}

static const struct keyword {
	const char *name;
	enum { COUNT, NUMBER, VALUE, VALUES, TYPE, PATTERN, NAMES, SCHEMA, SCHEMAS, MAP, PATTERNS } kind;
} keywords[] = {
	{"type", TYPE},
	{"const", VALUE},
	{"enum", VALUES},
	{"minimum", NUMBER},
	{"exclusiveMaximum", NUMBER},
	{"minLength", COUNT},
	{"maxLength", COUNT},
	{"pattern", PATTERN},
	{"minItems", COUNT},
	{"maxItems", COUNT},
	{"items", SCHEMA},
	{"prefixItems", SCHEMAS},
	{"contains", SCHEMA},
	{"properties", MAP},
	{"required", NAMES},
	{"additionalProperties", SCHEMA},
	{"patternProperties", PATTERNS},
	{"minProperties", COUNT},
	{"maxProperties", COUNT},
	{"allOf", SCHEMAS},
	{"anyOf", SCHEMAS},
	{"oneOf", SCHEMAS},
	{"not", SCHEMA},
	{"if", SCHEMA},
	{"then", SCHEMA},
	{"else", SCHEMA},
	{"dependentSchemas", MAP},
};
enum { N_KEYWORDS = sizeof keywords / sizeof *keywords };

static void keyword(struct source *s, const struct keyword *k, int depth)
{
	strbuf_addf(&s->text, "\"%s\":", k->name);
	if (k->kind == COUNT)
		strbuf_addf(&s->text, "%u", pick(s, 4));
	else if (k->kind == NUMBER)
		strbuf_addf(&s->text, "%d", (int)pick(s, 7) - 3);
	else if (k->kind == VALUE)
		strbuf_add_c(&s->text, WORD(s, values));
	else if (k->kind == VALUES)
		strbuf_addf(&s->text, "[%s,%s]", WORD(s, values), WORD(s, values));
	else if (k->kind == TYPE)
		strbuf_addf(&s->text, "\"%s\"", WORD(s, types));
	else if (k->kind == PATTERN)
		strbuf_addf(&s->text, "\"%s\"", WORD(s, patterns));
	else if (k->kind == NAMES)
		strbuf_addf(&s->text, "[\"%s\"]", WORD(s, names));
	else if (k->kind == SCHEMA)
		schema(s, depth - 1);
	else if (k->kind == SCHEMAS)
		schemas(s, depth - 1);
	else
		map(s, depth - 1, k->kind == MAP ? names : patterns, 4);
}

static void schema(struct source *s, int depth)
{
	bool used[N_KEYWORDS] = {false};
	unsigned n = depth > 0 ? pick(s, 4) : 0;
	if (!n) {
		strbuf_addf(&s->text, "{\"type\":\"%s\"}", WORD(s, types));
		return;
	}
	strbuf_add_c(&s->text, "{");
	for (unsigned i = 0; i < n; i++) {
		unsigned k = pick(s, N_KEYWORDS);
		if (used[k])
			continue;
		if (i)
			strbuf_add_c(&s->text, ",");
		used[k] = true;
		keyword(s, &keywords[k], depth);
	}
	strbuf_add_c(&s->text, "}");
}

static struct str bytes_of(void *user, uint32_t token)
{
	static char single[256];
	(void)user;
	if (token >= END)
		return (struct str){NULL, 0};
	single[token] = (char)token;
	return (struct str){&single[token], 1};
}

/* NULL: refused; *empty: because nothing fits. */
static struct constrain *compile(struct constrain_vocab *v, const char *format, struct str text, bool *empty)
{
	static const struct constrain_limits limits = {.work = 3000000, .bytes = 64 << 20};
	struct strbuf b = {0};
	struct hokku_error err = {0};
	struct constrain *c = NULL;
	strbuf_addf(&b, format, STR_ARG(text), STR_ARG(text));
	const struct constrain_shape shape = {CONSTRAIN_JSON_SCHEMA, {b.ptr, b.len}, CONSTRAIN_COMPACT};
	enum hokku_code rc = constrain_new(v, &shape, &limits, &c, NULL, &err);
	CHECK(rc == HOKKU_OK || (rc == HOKKU_INVALID_REQUEST && err.message[0]));
	if (empty)
		*empty = rc && strstr(err.message, "no text at all");
	strbuf_free(&b);
	return c;
}

/* False: the walk used up what it may. */
static bool takes(struct constrain *c, struct str text, bool *fits)
{
	size_t n;
	struct constrain_walk *w = constrain_begin(c);
	CHECK(w);
	enum constrain_taken taken = constrain_take_bytes(w, text, &n);
	*fits = taken == CONSTRAIN_TAKEN && n == text.len && constrain_may_end(w);
	constrain_end(w);
	return taken != CONSTRAIN_SPENT;
}

/* A text of c by random bytes, ended as soon as it may late in it. False: none within the length. */
static bool draw(struct constrain *c, uint32_t seed, struct strbuf *text)
{
	struct constrain_walk *w = constrain_begin(c);
	bool ended = false;
	CHECK(w);
	for (uint32_t i = 0; i < MAX_BYTES && !ended; i++) {
		uint64_t bytes[4];
		uint32_t words[4], n = 0, which;
		rng_words(seed, RNG_STREAM_TEST, i, words);
		constrain_next_bytes(w, bytes);
		for (int k = 0; k < 4; k++)
			n += (uint32_t)__builtin_popcountll(bytes[k]);
		ended = constrain_may_end(w) && (!n || words[0] % 3 == 0);
		if (ended || !n)
			break;
		/* Rather what closes something than what opens more. */
		static const char closing[] = "\"]},";
		int byte = -1;
		for (int k = 0; k < 4 && byte < 0 && words[1] % 2; k++)
			if (bytes[closing[k] >> 6] >> (closing[k] & 63) & 1)
				byte = closing[k];
		which = words[2] % n;
		for (int b = 0; b < 256 && byte < 0; b++)
			if (bytes[b >> 6] >> (b & 63) & 1 && !which--)
				byte = b;
		char one = (char)byte;
		size_t taken;
		if (constrain_take_bytes(w, (struct str){&one, 1}, &taken) != CONSTRAIN_TAKEN)
			break;
		strbuf_add(text, &one, 1);
	}
	constrain_end(w);
	return ended;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int32_t end = END;
	static struct constrain_vocab *v;
	const struct constrain_words words = {.n = N_WORDS, .bytes = bytes_of, .ends = &end, .n_ends = 1};
	struct source s = {.at = data, .end = data + size};
	bool nothing, everything, fits;
	CHECK(v || constrain_vocab_new(&words, &v, NULL) == HOKKU_OK);
	schema(&s, 3);
	struct str text = {s.text.ptr, s.text.len};
	struct constrain *shape = compile(v, "%.*s", text, &nothing);
	struct constrain *other = compile(v, "{\"not\":%.*s}", text, &everything);
	struct constrain *twice = compile(v, "{\"allOf\":[%.*s,%.*s]}", text, NULL);
	CHECK(!(nothing && everything));
	for (uint32_t i = 0; i < N_DRAWN; i++) {
		struct strbuf drawn = {0};
		struct constrain *from = i % 2 ? other : shape, *against = i % 2 ? shape : other;
		if (from && draw(from, i, &drawn)) {
			struct str t = {drawn.ptr, drawn.len};
			CHECK(!takes(from, t, &fits) || fits);
			CHECK(!against || !takes(against, t, &fits) || !fits);
			if (from == shape && twice)
				CHECK(!takes(twice, t, &fits) || fits);
		}
		strbuf_free(&drawn);
	}
	constrain_unref(shape);
	constrain_unref(other);
	constrain_unref(twice);
	strbuf_free(&s.text);
	return 0;
}
