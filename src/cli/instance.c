#include "cli/instance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DIGITS = 17, FIXED_FROM = -4, FIXED_BELOW = 16 };

/* A double as Python's repr: the fewest digits that give it back, an exponent where it is small or large. */
static void write_double(struct strbuf *b, double value)
{
	char text[40], digits[MAX_DIGITS + 1];
	int n = 0;
	for (int precision = 0; precision < MAX_DIGITS; precision++) {
		snprintf(text, sizeof text, "%.*e", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	for (const char *p = text; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	int exponent =
		(int)strtol(strchr(text, 'e') + 1, NULL, 10); /* %e writes one, of three digits at most */
	strbuf_add_c(b, text[0] == '-' ? "-" : "");
	if (exponent < FIXED_FROM || exponent >= FIXED_BELOW) {
		strbuf_add(b, digits, 1);
		strbuf_add_c(b, n > 1 ? "." : "");
		strbuf_add(b, digits + 1, (size_t)n - 1);
		strbuf_addf(b, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
		return;
	}
	for (int i = exponent < 0 ? exponent : 0; i <= exponent || i < n || i == exponent + 1; i++) {
		if (i == exponent + 1)
			strbuf_add_c(b, ".");
		strbuf_addf(b, "%c", i >= 0 && i < n ? digits[i] : '0');
	}
}

static void write_number(struct strbuf *b, const struct jv *v, bool exact)
{
	double value;
	if (exact || (!strpbrk(v->text, ".eE") && strcmp(v->text, "-0") != 0) || !jv_double(v, &value))
		strbuf_add(b, v->text, v->n);
	else if (strcmp(v->text, "-0") == 0)
		strbuf_add_c(b, "0");
	else
		write_double(b, value);
}

static void write_string(struct strbuf *b, struct str s)
{
	static const char shorts[] = "\bb\tt\nn\ff\rr\"\"\\\\";
	strbuf_add_c(b, "\"");
	for (size_t i = 0, from = 0; i <= s.len; i++) {
		unsigned char c = i < s.len ? (unsigned char)s.ptr[i] : 0;
		if (i < s.len && c >= 0x20 && c != '"' && c != '\\')
			continue;
		strbuf_add(b, s.ptr + from, i - from);
		from = i + 1;
		if (i == s.len)
			break;
		const char *found = c ? strchr(shorts, c) : NULL;
		if (found)
			strbuf_addf(b, "\\%c", found[1]);
		else
			strbuf_addf(b, "\\u%04x", c);
	}
	strbuf_add_c(b, "\"");
}

static void write_value(struct strbuf *b, const struct jv *v, bool exact)
{
	const char *comma = exact ? "," : ", ", *colon = exact ? ":" : ": ";
	switch (v->type) {
	case JV_NULL:
		strbuf_add_c(b, "null");
		break;
	case JV_BOOL:
		strbuf_add_c(b, v->n ? "true" : "false");
		break;
	case JV_NUMBER:
		write_number(b, v, exact);
		break;
	case JV_STRING:
		write_string(b, jv_str(v));
		break;
	case JV_ARRAY:
		strbuf_add_c(b, "[");
		for (uint32_t i = 0; i < v->n; i++) {
			strbuf_add_c(b, i ? comma : "");
			write_value(b, &v->items[i], exact);
		}
		strbuf_add_c(b, "]");
		break;
	case JV_OBJECT:
		strbuf_add_c(b, "{");
		for (uint32_t i = 0; i < v->n; i++) {
			strbuf_add_c(b, i ? comma : "");
			write_string(b, jv_key(v, i));
			strbuf_add_c(b, colon);
			write_value(b, jv_value(v, i), exact);
		}
		strbuf_add_c(b, "}");
		break;
	}
}

void instance_write(struct strbuf *b, const struct jv *v)
{
	write_value(b, v, false);
}

void instance_write_exact(struct strbuf *b, const struct jv *v)
{
	write_value(b, v, true);
}

/* What is open at a byte: an array's present item, or an object's present key. */
struct level {
	bool object, has_key;
	size_t item, key_from, key_to; /* the key without quotes, as it is written */
};

enum { MAX_LEVELS = 64 };

/* Past the string whose first byte stands at i; at most `at`. */
static size_t skip_string(struct str text, size_t i, size_t at)
{
	while (i < at && text.ptr[i] != '"')
		i += text.ptr[i] == '\\' && i + 1 < at ? 2 : 1;
	return i;
}

/* Reads text up to `at`; returns how many levels are open (those past MAX_LEVELS are counted, not kept). */
static size_t open_levels(struct str text, size_t at, struct level levels[MAX_LEVELS])
{
	size_t n = 0;
	for (size_t i = 0; i < at; i++) {
		struct level *top = n && n <= MAX_LEVELS ? &levels[n - 1] : NULL;
		char c = text.ptr[i];
		if (c == '{' || c == '[') {
			if (n < MAX_LEVELS)
				levels[n] = (struct level){.object = c == '{'};
			n++;
		} else if ((c == '}' || c == ']') && n) {
			n--;
		} else if (c == ',' && top) {
			top->item++;
			top->has_key = false;
		} else if (c == '"') {
			size_t to = skip_string(text, i + 1, at);
			if (top && top->object && !top->has_key && to < at) {
				top->has_key = true;
				top->key_from = i + 1;
				top->key_to = to;
			}
			i = to;
		}
	}
	return n;
}

void instance_pointer(struct strbuf *b, struct str text, size_t at)
{
	struct level levels[MAX_LEVELS];
	size_t n = open_levels(text, at < text.len ? at : text.len, levels);
	for (size_t i = 0; i < n && i < MAX_LEVELS; i++) {
		const struct level *l = &levels[i];
		if (!l->object) {
			strbuf_addf(b, "/%zu", l->item);
		} else if (l->has_key) {
			strbuf_add_c(b, "/");
			for (size_t k = l->key_from; k < l->key_to; k++) {
				char c = text.ptr[k];
				strbuf_add(b,
					   c == '~'   ? "~0"
					   : c == '/' ? "~1"
						      : &c,
					   c == '~' || c == '/' ? 2 : 1);
			}
		}
	}
}

struct instance_place instance_place(struct str text, size_t at)
{
	struct instance_place p = {1, 1};
	for (size_t i = 0; i < at && i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c == '\n')
			p = (struct instance_place){p.line + 1, 1};
		else
			p.column += (c & 0xC0) != 0x80;
	}
	return p;
}
