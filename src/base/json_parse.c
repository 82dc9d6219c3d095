/*
 * JSON's grammar. The parser keeps a stack of its own, so that depth costs no stack of the thread: values and
 * pairs that are not yet inside anything wait in two arrays, a frame for each open array or object says where
 * its own begin, and closing it copies them into the tree.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/json_internal.h"
#include "base/rng.h"

/* A pair of an object that is still open; at is where its key stands. */
struct open_pair {
	struct jv_pair pair;
	size_t at;
};

struct frame {
	bool object;
	uint32_t first; /* of its values or pairs */
};

/* What may stand next. */
enum want { WANT_VALUE, WANT_FIRST_VALUE, WANT_FIRST_KEY, WANT_KEY, WANT_MORE, WANT_END };

struct parser {
	const char *text;
	size_t n, at;
	unsigned flags;
	struct jv_doc *doc;
	struct jv *values;
	uint32_t n_values, cap_values;
	struct open_pair *pairs;
	uint32_t n_pairs, cap_pairs;
	struct frame *frames;
	uint32_t n_frames, cap_frames;
	uint64_t n_total, max_values;
	enum want want;
	struct hokku_error *err;
};

/* Makes room for one element more in an array that doubles. */
static bool grow(void *array, uint32_t n, uint32_t *cap, size_t size)
{
	void **at = array;
	if (n < *cap)
		return true;
	uint32_t wanted = *cap ? *cap * 2 : 64;
	void *larger = realloc(*at, (size_t)wanted * size);
	if (!larger)
		return false;
	*at = larger;
	*cap = wanted;
	return true;
}

static enum hokku_code no_memory(struct parser *p)
{
	return err_set(p->err, HOKKU_OUT_OF_MEMORY, "no memory for a tree of %zu bytes of JSON", p->n);
}

/* Lines and columns (of characters) count from 1. */
static void place(const struct parser *p, size_t at, size_t *line, size_t *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < at; i++) {
		if (p->text[i] == '\n') {
			++*line;
			*column = 1;
		} else if ((p->text[i] & 0xC0) != 0x80) {
			++*column;
		}
	}
}

/* "line 1 column 5: " before the message. */
static enum hokku_code bad_at(struct parser *p, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum hokku_code bad_at(struct parser *p, size_t at, const char *format, ...)
{
	char text[256];
	size_t line, column;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	place(p, at, &line, &column);
	return err_set(p->err, HOKKU_BAD_FILE, "line %zu column %zu: %s", line, column, text);
}

static bool is_word(char c)
{
	char lower = (char)(c | 0x20);
	return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '+' || c == '-' || c == '.' ||
	       c == '_';
}

/* The word, number or character that stands at p->at, for messages. */
static const char *found(const struct parser *p, char out[64])
{
	size_t n = 0;
	while (p->at + n < p->n && is_word(p->text[p->at + n]))
		n++;
	for (n = n ? n : 1; p->at + n < p->n && (p->text[p->at + n] & 0xC0) == 0x80;)
		n++;
	return str_quote((struct str){p->text + p->at, n}, out, 64);
}

static enum hokku_code wanted(struct parser *p, const char *what)
{
	char text[64];
	if (p->at == p->n)
		return bad_at(p, p->n ? p->n - 1 : 0, "%s is wanted, but the text ends here", what);
	return bad_at(p, p->at, "%s is wanted, but there is %s", what, found(p, text));
}

/* ---- objects ---- */

static uint32_t slot_of(const struct jv_object *o, struct str key)
{
	return (uint32_t)siphash(o->seed[0], o->seed[1], key.ptr, key.len) & o->mask;
}

uint32_t jv_object_find(const struct jv_object *o, uint32_t n, struct str key)
{
	if (!o->slots) {
		uint32_t i = 0;
		while (i < n && !str_eq(o->pairs[i].key, key))
			i++;
		return i;
	}
	for (uint32_t slot = slot_of(o, key); o->slots[slot]; slot = (slot + 1) & o->mask)
		if (str_eq(o->pairs[o->slots[slot] - 1].key, key))
			return o->slots[slot] - 1;
	return n;
}

/* A table twice as large as what it holds at least. */
static bool make_table(struct parser *p, struct jv_object *o, uint32_t n)
{
	uint32_t size = 4 * JV_SCAN;
	while (size < 2 * n)
		size *= 2;
	o->slots = arena_alloc(&p->doc->arena, size * sizeof *o->slots, _Alignof(uint32_t));
	o->mask = size - 1;
	o->seed[0] = rng_os_seed();
	o->seed[1] = rng_os_seed();
	return o->slots;
}

/* Puts pair i, whose forerunners are in already, into the object; false: its key is one of theirs. */
static bool enter_pair(struct jv_object *o, uint32_t i)
{
	struct str key = o->pairs[i].key;
	if (jv_object_find(o, i, key) < i)
		return false;
	if (!o->slots)
		return true;
	uint32_t slot = slot_of(o, key);
	while (o->slots[slot])
		slot = (slot + 1) & o->mask;
	o->slots[slot] = i + 1;
	return true;
}

static enum hokku_code close_object(struct parser *p, uint32_t first, struct jv *out)
{
	uint32_t n = p->n_pairs - first;
	char quoted[96];
	struct jv_object *o = arena_alloc(&p->doc->arena, sizeof *o, _Alignof(struct jv_object));
	struct jv_pair *pairs = arena_alloc(&p->doc->arena, n * sizeof *pairs, _Alignof(struct jv_pair));
	if (!o || !pairs || (n > JV_SCAN && !make_table(p, o, n)))
		return no_memory(p);
	o->pairs = pairs;
	for (uint32_t i = 0; i < n; i++) {
		pairs[i] = p->pairs[first + i].pair;
		if (!enter_pair(o, i))
			return bad_at(p, p->pairs[first + i].at, "duplicate key %s",
				      str_quote(pairs[i].key, quoted, sizeof quoted));
	}
	p->n_pairs = first;
	*out = (struct jv){JV_OBJECT, n, {.object = o}};
	return HOKKU_OK;
}

static enum hokku_code close_array(struct parser *p, uint32_t first, struct jv *out)
{
	uint32_t n = p->n_values - first;
	struct jv *items = arena_alloc(&p->doc->arena, n * sizeof *items, _Alignof(struct jv));
	if (!items)
		return no_memory(p);
	if (n)
		memcpy(items, p->values + first, n * sizeof *items);
	p->n_values = first;
	*out = (struct jv){JV_ARRAY, n, {.items = items}};
	return HOKKU_OK;
}

/* ---- strings ---- */

static int hex4(const char *p, const char *end)
{
	int value = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(p[i]);
		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* \uXXXX, or two of them for a character beyond U+FFFF. src is after the u; returns what was read, 0 if it is
 * no character. */
static size_t unicode_escape(const char *src, const char *end, uint32_t *out)
{
	int high = hex4(src, end);
	if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF))
		return 0;
	*out = (uint32_t)high;
	if (high < 0xD800 || high > 0xDBFF)
		return 4;
	int low = end - src >= 10 && src[4] == '\\' && src[5] == 'u' ? hex4(src + 6, end) : -1;
	if (low < 0xDC00 || low > 0xDFFF)
		return 0;
	*out = 0x10000 + (((uint32_t)high & 0x3FF) << 10 | ((uint32_t)low & 0x3FF));
	return 10;
}

/* The bytes between the quotes, from..end; every escape is longer than what it stands for. */
static enum hokku_code decode(struct parser *p, size_t from, size_t end, struct str *out)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	char *text = arena_alloc(&p->doc->arena, end - from + 1, 1);
	size_t n = 0;
	if (!text)
		return no_memory(p);
	for (size_t i = from; i < end;) {
		if (p->text[i] != '\\') {
			text[n++] = p->text[i++];
			continue;
		}
		const char *name = memchr(names, p->text[i + 1], sizeof names - 1);
		uint32_t c;
		size_t read;
		if (name) {
			text[n++] = values[name - names];
			i += 2;
		} else if (p->text[i + 1] == 'u' &&
			   (read = unicode_escape(p->text + i + 2, p->text + end, &c)) > 0) {
			n += utf8_put(text + n, c);
			i += 2 + read;
		} else {
			char quoted[64];
			size_t left = end - i;
			struct str escape = {p->text + i, left < 6 && p->text[i + 1] == 'u' ? left
							  : p->text[i + 1] == 'u'           ? 6
											    : 2};
			return bad_at(p, i, "%s is no escape of a character",
				      str_quote(escape, quoted, sizeof quoted));
		}
	}
	*out = (struct str){text, n};
	return HOKKU_OK;
}

/* A string, whose first quote stands at p->at. */
static enum hokku_code parse_string(struct parser *p, struct str *out)
{
	size_t from = p->at + 1, i = from;
	while (i < p->n && p->text[i] != '"') {
		unsigned char c = (unsigned char)p->text[i];
		if (c < 0x20)
			return bad_at(p, i, "a string holds the control character 0x%02x; \\u%04x is wanted",
				      c, c);
		i += c == '\\' ? 2 : 1;
	}
	if (i >= p->n)
		return bad_at(p, p->at, "the string that begins here has no end");
	p->at = i + 1;
	return decode(p, from, i, out);
}

/* ---- numbers and words ---- */

static size_t digits(const struct parser *p, size_t at)
{
	while (at < p->n && p->text[at] >= '0' && p->text[at] <= '9')
		at++;
	return at;
}

/* Where the number that stands at `at` ends; `at` itself if there is none. */
static size_t number_end(const struct parser *p, size_t at)
{
	const size_t start = at;
	at += at < p->n && p->text[at] == '-';
	size_t whole = digits(p, at);
	if (whole == at || (p->text[at] == '0' && whole > at + 1))
		return start;
	at = whole;
	if (at < p->n && p->text[at] == '.') {
		size_t part = digits(p, at + 1);
		if (part == at + 1)
			return start;
		at = part;
	}
	if (at < p->n && (p->text[at] | 0x20) == 'e') {
		size_t sign = at + 1 < p->n && (p->text[at + 1] == '+' || p->text[at + 1] == '-');
		size_t part = digits(p, at + 1 + sign);
		if (part == at + 1 + sign)
			return start;
		at = part;
	}
	return at;
}

static bool take_word(struct parser *p, const char *word)
{
	size_t n = strlen(word);
	if (p->n - p->at < n || memcmp(p->text + p->at, word, n) != 0)
		return false;
	p->at += n;
	return true;
}

static enum hokku_code parse_number(struct parser *p, struct jv *out)
{
	static const char *const nonfinite[] = {"NaN", "Infinity", "-Infinity"};
	const size_t start = p->at;
	for (size_t i = 0; i < 3; i++) {
		if (!take_word(p, nonfinite[i]))
			continue;
		if (p->flags & JV_NONFINITE)
			break;
		return bad_at(p, start, "%s is no number of JSON's; a finite one is wanted", nonfinite[i]);
	}
	if (p->at == start)
		p->at = number_end(p, start);
	if (p->at == start)
		return wanted(p, "a value");
	char *text = arena_strdup(&p->doc->arena, p->text + start, p->at - start);
	if (!text)
		return no_memory(p);
	*out = (struct jv){JV_NUMBER, (uint32_t)(p->at - start), {.text = text}};
	return HOKKU_OK;
}

/* ---- what stands where ---- */

static void skip_space(struct parser *p)
{
	while (p->at < p->n && (p->text[p->at] == ' ' || p->text[p->at] == '\n' || p->text[p->at] == '\r' ||
				p->text[p->at] == '\t'))
		p->at++;
}

static bool take(struct parser *p, char c)
{
	bool there = p->at < p->n && p->text[p->at] == c;
	p->at += there;
	return there;
}

static enum hokku_code count_value(struct parser *p)
{
	if (++p->n_total > p->max_values)
		return bad_at(p, p->at, "there are more than the %" PRIu64 " values allowed", p->max_values);
	return HOKKU_OK;
}

/* A value is complete: it goes where it belongs. */
static enum hokku_code give(struct parser *p, struct jv v)
{
	if (p->n_frames == 0) {
		p->doc->root = v;
		p->want = WANT_END;
		return HOKKU_OK;
	}
	p->want = WANT_MORE;
	if (p->frames[p->n_frames - 1].object) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): its key is there already */
		p->pairs[p->n_pairs - 1].pair.value = v;
		return HOKKU_OK;
	}
	if (!grow(&p->values, p->n_values, &p->cap_values, sizeof *p->values))
		return no_memory(p);
	p->values[p->n_values++] = v;
	return HOKKU_OK;
}

static enum hokku_code open_frame(struct parser *p, bool object)
{
	if (p->n_frames == JV_MAX_DEPTH)
		return bad_at(p, p->at - 1, "arrays and objects stand deeper than the %d allowed",
			      JV_MAX_DEPTH);
	if (!grow(&p->frames, p->n_frames, &p->cap_frames, sizeof *p->frames))
		return no_memory(p);
	p->frames[p->n_frames++] = (struct frame){object, object ? p->n_pairs : p->n_values};
	p->want = object ? WANT_FIRST_KEY : WANT_FIRST_VALUE;
	return HOKKU_OK;
}

static enum hokku_code close_frame(struct parser *p)
{
	struct frame f = p->frames[--p->n_frames];
	struct jv v;
	enum hokku_code rc = f.object ? close_object(p, f.first, &v) : close_array(p, f.first, &v);
	return rc ? rc : give(p, v);
}

static enum hokku_code parse_value(struct parser *p)
{
	static const struct {
		const char *word;
		struct jv value;
	} words[] = {{"null", {JV_NULL, 0, {0}}}, {"true", {JV_BOOL, 1, {0}}}, {"false", {JV_BOOL, 0, {0}}}};
	enum hokku_code rc = count_value(p);
	if (rc)
		return rc;
	if (take(p, '{') || take(p, '['))
		return open_frame(p, p->text[p->at - 1] == '{');
	if (p->at < p->n && p->text[p->at] == '"') {
		struct str s;
		rc = parse_string(p, &s);
		return rc ? rc : give(p, (struct jv){JV_STRING, (uint32_t)s.len, {.text = s.ptr}});
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (take_word(p, words[i].word))
			return give(p, words[i].value);
	struct jv v;
	rc = parse_number(p, &v);
	return rc ? rc : give(p, v);
}

static enum hokku_code parse_key(struct parser *p)
{
	struct open_pair pair = {.at = p->at};
	if (p->at == p->n || p->text[p->at] != '"')
		return wanted(p, p->want == WANT_KEY ? "a key in quotes" : "a key in quotes or '}'");
	enum hokku_code rc = parse_string(p, &pair.pair.key);
	if (rc)
		return rc;
	skip_space(p);
	if (!take(p, ':'))
		return wanted(p, "':'");
	if (!grow(&p->pairs, p->n_pairs, &p->cap_pairs, sizeof *p->pairs))
		return no_memory(p);
	p->pairs[p->n_pairs++] = pair;
	p->want = WANT_VALUE;
	return HOKKU_OK;
}

/* After a value inside something. */
static enum hokku_code parse_more(struct parser *p)
{
	bool object = p->frames[p->n_frames - 1].object;
	if (take(p, ',')) {
		p->want = object ? WANT_KEY : WANT_VALUE;
		return HOKKU_OK;
	}
	if (take(p, object ? '}' : ']'))
		return close_frame(p);
	return wanted(p, object ? "',' or '}'" : "',' or ']'");
}

static enum hokku_code parse_next(struct parser *p)
{
	skip_space(p);
	switch (p->want) {
	case WANT_FIRST_VALUE:
		if (take(p, ']'))
			return close_frame(p);
		return parse_value(p);
	case WANT_VALUE:
		return parse_value(p);
	case WANT_FIRST_KEY:
		if (take(p, '}'))
			return close_frame(p);
		return parse_key(p);
	case WANT_KEY:
		return parse_key(p);
	case WANT_MORE:
		return parse_more(p);
	case WANT_END:
		break;
	}
	return HOKKU_OK;
}

/* UTF-8 throughout, after a byte order mark that is skipped. */
static enum hokku_code check_encoding(struct parser *p)
{
	static const unsigned char utf8[] = {0xEF, 0xBB, 0xBF};
	if (p->n > JV_MAX_BYTES)
		return err_set(p->err, HOKKU_BAD_FILE, "it has %zu bytes; %d are allowed", p->n,
			       JV_MAX_BYTES);
	if (p->n >= 2 && (memcmp(p->text, "\xFF\xFE", 2) == 0 || memcmp(p->text, "\xFE\xFF", 2) == 0))
		return err_set(p->err, HOKKU_BAD_FILE,
			       "line 1 column 1: it is UTF-16, as its byte order mark says; UTF-8 is wanted");
	if (p->n >= sizeof utf8 && memcmp(p->text, utf8, sizeof utf8) == 0) {
		p->text += sizeof utf8;
		p->n -= sizeof utf8;
	}
	size_t valid = utf8_valid_prefix(p->text, p->n);
	if (valid < p->n)
		return bad_at(p, valid, "the byte 0x%02x is no UTF-8", (unsigned char)p->text[valid]);
	return HOKKU_OK;
}

enum hokku_code jv_parse(struct str text, unsigned flags, struct jv_doc *out, struct hokku_error *err)
{
	return jv_parse_limited(text, flags, JV_MAX_VALUES, out, err);
}

enum hokku_code jv_parse_limited(struct str text, unsigned flags, uint64_t max_values, struct jv_doc *out,
				 struct hokku_error *err)
{
	struct parser p = {.text = text.ptr,
			   .n = text.len,
			   .flags = flags,
			   .max_values = max_values,
			   .doc = out,
			   .err = err};
	*out = (struct jv_doc){0};
	enum hokku_code rc = check_encoding(&p);
	while (!rc && p.want != WANT_END)
		rc = parse_next(&p);
	if (!rc) {
		skip_space(&p);
		if (p.at < p.n)
			rc = wanted(&p, "the end of the text");
	}
	free(p.values);
	free(p.pairs);
	free(p.frames);
	if (rc)
		jv_doc_free(out);
	return rc;
}
