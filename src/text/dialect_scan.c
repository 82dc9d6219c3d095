/* JSON a byte at a time: where a value ends, and what a string's bytes mean. */
#include "text/dialect_internal.h"

enum {
	S_VALUE,      /* one comes */
	S_FIRST_ITEM, /* or ] */
	S_FIRST_NAME, /* or } */
	S_NAME,
	S_COLON,
	S_AFTER, /* , or what closes */
	S_STRING,
	S_ESCAPE,
	S_HEX,
	S_WORD,
	S_MINUS,
	S_ZERO,
	S_INT,
	S_DOT,
	S_FRACTION,
	S_E,
	S_E_SIGN,
	S_EXPONENT,
};

void json_scan_begin(struct json_scan *j)
{
	j->state = S_VALUE;
	j->depth = 0;
	j->key = false;
}

bool json_scan_in_text(const struct json_scan *j)
{
	return j->state == S_STRING;
}

static bool in_array(const struct json_scan *j)
{
	return j->arrays[(j->depth - 1) / 8] >> (j->depth - 1) % 8 & 1;
}

static enum json_scanned value_ends(struct json_scan *j)
{
	j->state = S_AFTER;
	return j->depth ? JSON_MORE : JSON_WHOLE;
}

static enum json_scanned open(struct json_scan *j, bool array)
{
	if (j->depth == DIALECT_MAX_DEPTH)
		return JSON_BAD;
	uint8_t bit = (uint8_t)(1u << j->depth % 8);
	uint8_t *byte = &j->arrays[j->depth / 8];
	*byte = (uint8_t)(array ? *byte | bit : *byte & ~bit);
	j->depth++;
	j->state = array ? S_FIRST_ITEM : S_FIRST_NAME;
	return JSON_MORE;
}

static enum json_scanned close(struct json_scan *j, char b)
{
	if (!j->depth || in_array(j) != (b == ']'))
		return JSON_BAD;
	j->depth--;
	return value_ends(j);
}

static enum json_scanned to(struct json_scan *j, int state)
{
	j->state = (uint8_t)state;
	return JSON_MORE;
}

static enum json_scanned word(struct json_scan *j, const char *rest)
{
	j->word = rest;
	return to(j, S_WORD);
}

static enum json_scanned begin_value(struct json_scan *j, char b)
{
	switch (b) {
	case '{':
	case '[':
		return open(j, b == '[');
	case '"':
		j->key = false;
		return to(j, S_STRING);
	case 't':
		return word(j, "rue");
	case 'f':
		return word(j, "alse");
	case 'n':
		return word(j, "ull");
	case '-':
		return to(j, S_MINUS);
	case '0':
		return to(j, S_ZERO);
	default:
		return b >= '1' && b <= '9' ? to(j, S_INT) : JSON_BAD;
	}
}

static bool is_digit(char b)
{
	return b >= '0' && b <= '9';
}

/* A number goes on with b, or ends before it. */
static enum json_scanned number(struct json_scan *j, char b)
{
	bool whole =
		j->state == S_ZERO || j->state == S_INT || j->state == S_FRACTION || j->state == S_EXPONENT;
	bool integer = j->state == S_ZERO || j->state == S_INT;
	if (is_digit(b)) {
		switch (j->state) {
		case S_MINUS:
			return to(j, b == '0' ? S_ZERO : S_INT);
		case S_ZERO:
			return JSON_BAD;
		case S_DOT:
			return to(j, S_FRACTION);
		case S_E:
		case S_E_SIGN:
			return to(j, S_EXPONENT);
		default:
			return JSON_MORE;
		}
	}
	if (b == '.' && integer)
		return to(j, S_DOT);
	if ((b | 0x20) == 'e' && (integer || j->state == S_FRACTION))
		return to(j, S_E);
	if ((b == '+' || b == '-') && j->state == S_E)
		return to(j, S_E_SIGN);
	if (!whole)
		return JSON_BAD;
	value_ends(j);
	return j->depth ? json_scan_byte(j, b) : JSON_BEFORE;
}

static enum json_scanned string(struct json_scan *j, char b)
{
	switch (j->state) {
	case S_STRING:
		if (b == '\\')
			return to(j, S_ESCAPE);
		if (b != '"')
			return JSON_MORE;
		return j->key ? to(j, S_COLON) : value_ends(j);
	case S_ESCAPE:
		j->hex = 4;
		return b == 'u' ? to(j, S_HEX) : b && strchr("\"\\/bfnrt", b) ? to(j, S_STRING) : JSON_BAD;
	default:
		if (hex_digit(b) < 0)
			return JSON_BAD;
		return --j->hex ? JSON_MORE : to(j, S_STRING);
	}
}

enum json_scanned json_scan_byte(struct json_scan *j, char b)
{
	if (j->state >= S_MINUS)
		return number(j, b);
	if (j->state == S_WORD) {
		if (b != *j->word)
			return JSON_BAD;
		return *++j->word ? JSON_MORE : value_ends(j);
	}
	if (j->state >= S_STRING)
		return string(j, b);
	if (is_space(b))
		return JSON_MORE;
	switch (j->state) {
	case S_FIRST_ITEM:
		return b == ']' ? close(j, b) : begin_value(j, b);
	case S_VALUE:
		return begin_value(j, b);
	case S_FIRST_NAME:
		if (b == '}')
			return close(j, b);
		/* fallthrough */
	case S_NAME:
		j->key = true;
		return b == '"' ? to(j, S_STRING) : JSON_BAD;
	case S_COLON:
		return b == ':' ? to(j, S_VALUE) : JSON_BAD;
	default:
		if (b == ',' && j->depth)
			return to(j, in_array(j) ? S_VALUE : S_NAME);
		return b == '}' || b == ']' ? close(j, b) : JSON_BAD;
	}
}

/* ---- strings ---- */

enum { U_PLAIN, U_ESCAPE, U_HEX };

/* What an unpaired half of a surrogate pair becomes. */
static size_t replacement(char *out)
{
	return utf8_put(out, 0xFFFD);
}

static enum json_scanned code_unit(struct json_unescape *u, char out[8], size_t *n)
{
	u->state = U_PLAIN;
	if (u->high && u->code >= 0xDC00 && u->code < 0xE000) {
		*n = utf8_put(out, 0x10000 + ((u->high - 0xD800) << 10) + (u->code - 0xDC00));
		u->high = 0;
		return JSON_MORE;
	}
	if (u->high)
		*n = replacement(out);
	u->high = 0;
	if (u->code >= 0xD800 && u->code < 0xDC00)
		u->high = u->code;
	else if (u->code >= 0xDC00 && u->code < 0xE000)
		*n += replacement(out + *n);
	else
		*n += utf8_put(out + *n, u->code);
	return JSON_MORE;
}

enum json_scanned json_unescape_byte(struct json_unescape *u, char b, char out[8], size_t *n)
{
	static const char from[] = "\"\\/bfnrt", to_byte[] = "\"\\/\b\f\n\r\t";
	*n = 0;
	if (u->state == U_HEX) {
		if (hex_digit(b) < 0)
			return JSON_BAD;
		u->code = u->code << 4 | (uint32_t)hex_digit(b);
		return ++u->n == 4 ? code_unit(u, out, n) : JSON_MORE;
	}
	if (u->state == U_ESCAPE && b == 'u') {
		u->state = U_HEX;
		u->code = u->n = 0;
		return JSON_MORE;
	}
	if (u->state == U_PLAIN && b == '\\') {
		u->state = U_ESCAPE;
		return JSON_MORE;
	}
	if (u->high) /* the other half did not come */
		*n = replacement(out);
	u->high = 0;
	if (u->state == U_PLAIN) {
		if (b == '"')
			return JSON_WHOLE;
		out[(*n)++] = b;
		return JSON_MORE;
	}
	const char *at = b ? strchr(from, b) : NULL;
	if (!at)
		return JSON_BAD;
	u->state = U_PLAIN;
	out[(*n)++] = to_byte[at - from];
	return JSON_MORE;
}
