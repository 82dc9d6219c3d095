#include "server/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/file.h"
#include "base/log.h"
#include "engine/engine.h"

struct keys {
	char *text; /* the bytes that the secrets point into */
	struct key all[KEYS_MAX];
	uint32_t n;
};

/* Where in the file something is, for messages. */
struct place {
	const char *path;
	unsigned line;
};
#define BAD(at, err, format, ...) \
	err_set(err, HOKKU_BAD_FILE, "%s, line %u: " format, (at)->path, (at)->line, __VA_ARGS__)

/* ---- the fields of a line ---- */

static enum hokku_code take_key(struct key *key, struct str value, const struct place *at,
				struct hokku_error *err)
{
	if (value.len < KEYS_MIN_BYTES || value.len > KEYS_MAX_BYTES)
		return BAD(at, err, "the key has %zu bytes; it takes %d to %d", value.len, KEYS_MIN_BYTES,
			   KEYS_MAX_BYTES);
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] <= ' ' || value.ptr[i] > '~')
			return BAD(at, err, "a key takes printable ASCII characters without %s", "spaces");
	key->secret = value;
	return HOKKU_OK;
}

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_' || c == '.' || c == ':';
}

static enum hokku_code take_name(struct key *key, struct str value, const struct place *at,
				 struct hokku_error *err)
{
	bool ok = value.len >= 1 && value.len <= KEYS_MAX_NAME_BYTES;
	for (size_t i = 0; ok && i < value.len; i++)
		ok = is_name_char(value.ptr[i]);
	if (!ok)
		return BAD(at, err,
			   "the name has %zu bytes; it takes 1 to %d out of A-Z a-z 0-9 - _ . :", value.len,
			   KEYS_MAX_NAME_BYTES);
	memcpy(key->name, value.ptr, value.len);
	key->name[value.len] = '\0';
	return HOKKU_OK;
}

/* A row: its own function, or a number from min to max. */
static const struct key_field {
	const char *name;
	enum hokku_code (*take)(struct key *key, struct str value, const struct place *at,
				struct hokku_error *err);
	size_t offset; /* in struct key */
	uint32_t min, max;
} fields[] = {
	{"name", take_name, 0, 0, 0},
	{"key", take_key, 0, 0, 0},
	{"running", NULL, offsetof(struct key, running), 1, ENGINE_MAX_PARALLEL},
	{"waiting", NULL, offsetof(struct key, waiting), 0, KEYS_MAX_WAITING},
	{"tokens_per_minute", NULL, offsetof(struct key, tokens_per_minute), 1, KEYS_MAX_TOKENS},
};
enum { N_FIELDS = sizeof fields / sizeof *fields, FIELD_NAME = 0, FIELD_KEY = 1 };

/* Digits alone are no key: they are shown. */
static enum hokku_code take_number(const struct key_field *f, struct key *key, struct str value,
				   const struct place *at, struct hokku_error *err)
{
	uint64_t n = 0;
	bool digits = value.len > 0 && value.len <= 15;
	for (size_t i = 0; digits && i < value.len; i++) {
		digits = value.ptr[i] >= '0' && value.ptr[i] <= '9';
		n = n * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	if (!digits)
		return BAD(at, err, "%s is no whole number; it takes one from %u to %u", f->name, f->min,
			   f->max);
	if ((n < f->min || n > f->max) && value.len >= KEYS_MIN_BYTES) /* it may be a key */
		return BAD(at, err, "%s is out of its range; it takes a whole number from %u to %u", f->name,
			   f->min, f->max);
	if (n < f->min || n > f->max)
		return BAD(at, err, "%s is %llu; it takes a whole number from %u to %u", f->name,
			   (unsigned long long)n, f->min, f->max);
	uint32_t narrow = (uint32_t)n;
	memcpy((char *)key + f->offset, &narrow, sizeof narrow);
	return HOKKU_OK;
}

/* What stands before "=" may be a piece of a key; the field that it was meant for is none. */
static enum hokku_code refuse_field(struct str word, size_t n_name, unsigned number, const struct place *at,
				    struct hokku_error *err)
{
	const char *known[N_FIELDS + 1] = {0}, *near = NULL;
	char name[KEYS_MAX_BYTES + 1];
	struct strbuf all = {0};
	for (size_t i = 0; i < N_FIELDS; i++) {
		known[i] = fields[i].name;
		strbuf_addf(&all, "%s%s", i ? ", " : "", known[i]);
	}
	if (n_name < word.len && n_name <= KEYS_MAX_BYTES) {
		memcpy(name, word.ptr, n_name);
		name[n_name] = '\0';
		near = str_nearest(name, known);
	}
	if (n_name == word.len)
		BAD(at, err,
		    "word %u of it has no \"=\"; a line is a key alone, or fields: name=NAME key=KEY",
		    number);
	else
		BAD(at, err, "field %u of it is unknown%s%s%s; there are %s", number,
		    near ? ": did you mean " : "", near ? near : "", near ? "?" : "", all.ptr ? all.ptr : "");
	strbuf_free(&all);
	return HOKKU_BAD_FILE;
}

static enum hokku_code take_field(struct key *key, struct str word, unsigned number, unsigned *given,
				  const struct place *at, struct hokku_error *err)
{
	const char *equals = memchr(word.ptr, '=', word.len);
	size_t n = equals ? (size_t)(equals - word.ptr) : word.len, i = 0;
	while (i < N_FIELDS && !str_eq_c((struct str){word.ptr, n}, fields[i].name))
		i++;
	if (!equals || i == N_FIELDS)
		return refuse_field(word, n, number, at, err);
	const struct str value = {equals + 1, word.len - n - 1};
	if (*given & 1u << i)
		return BAD(at, err, "%s is given twice", fields[i].name);
	*given |= 1u << i;
	if (fields[i].take)
		return fields[i].take(key, value, at, err);
	return take_number(&fields[i], key, value, at, err);
}

/* ---- lines ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word off *rest; empty: there is none. */
static struct str next_word(struct str *rest)
{
	while (rest->len && is_blank(rest->ptr[0]))
		*rest = (struct str){rest->ptr + 1, rest->len - 1};
	struct str word = {rest->ptr, 0};
	while (word.len < rest->len && !is_blank(word.ptr[word.len]))
		word.len++;
	*rest = (struct str){rest->ptr + word.len, rest->len - word.len};
	return word;
}

/* A line that is one word: a key as files had them before there were fields. */
static enum hokku_code take_bare(struct key *key, struct str word, const struct place *at,
				 struct hokku_error *err)
{
	const char *equals = memchr(word.ptr, '=', word.len);
	for (size_t i = 0; equals && i < N_FIELDS; i++)
		if (str_eq_c((struct str){word.ptr, (size_t)(equals - word.ptr)}, fields[i].name))
			log_warn(
				"%s, line %u: the whole word, from \"%s=\" on, is taken as a key; fields are "
				"name=NAME key=KEY",
				at->path, at->line, fields[i].name);
	snprintf(key->name, sizeof key->name, "line-%u", at->line);
	return take_key(key, word, at, err);
}

/* A name and a key are each of one line alone, and a name, which is shown, is no key. */
static enum hokku_code check_double(const struct keys *k, const struct key *key, const struct place *at,
				    struct hokku_error *err)
{
	if (str_eq_c(key->secret, key->name))
		return BAD(at, err, "the name is %s", "the key itself, and names are shown");
	for (uint32_t i = 0; i < k->n; i++) {
		const struct key *other = &k->all[i];
		if (str_eq(key->secret, other->secret))
			return BAD(at, err, "the key is that of line %u too", other->line);
		if (strcmp(key->name, other->name) == 0)
			return BAD(at, err, "the name %s is that of line %u too", key->name, other->line);
		if (str_eq_c(key->secret, other->name) || str_eq_c(other->secret, key->name))
			return BAD(at, err, "it and line %u have a name that is a key, and names are shown",
				   other->line);
	}
	return HOKKU_OK;
}

static enum hokku_code add_line(struct keys *k, struct str rest, const struct place *at,
				struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	struct key key = {.line = at->line,
			  .running = KEYS_UNLIMITED,
			  .waiting = KEYS_UNLIMITED,
			  .tokens_per_minute = KEYS_UNLIMITED};
	struct str first = next_word(&rest), word = next_word(&rest);
	unsigned given = 0, number = 1;
	if (first.len == 0 || first.ptr[0] == '#')
		return HOKKU_OK;
	if (k->n == KEYS_MAX)
		return err_set(err, HOKKU_BAD_FILE, "%s has more than %d keys", at->path, KEYS_MAX);
	if (word.len == 0) {
		rc = take_bare(&key, first, at, err);
	} else {
		rc = take_field(&key, first, number++, &given, at, err);
		for (; !rc && word.len; word = next_word(&rest))
			rc = take_field(&key, word, number++, &given, at, err);
		if (!rc && (given & 3) != 3)
			rc = BAD(at, err, "%s is missing; fields are name=NAME key=KEY and limits",
				 fields[given & 1 ? FIELD_KEY : FIELD_NAME].name);
	}
	if (!rc)
		rc = check_double(k, &key, at, err);
	if (!rc)
		k->all[k->n++] = key;
	return rc;
}

enum hokku_code keys_parse(struct str text, const char *path, struct keys **out, struct hokku_error *err)
{
	*out = NULL;
	struct keys *k = calloc(1, sizeof *k);
	if (k)
		k->text = malloc(text.len + 1);
	if (!k || !k->text) {
		free(k);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the API keys");
	}
	if (text.len)
		memcpy(k->text, text.ptr, text.len);
	enum hokku_code rc = HOKKU_OK;
	const char *end = k->text + text.len;
	struct place at = {path, 1};
	bool marked = text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0; /* a byte order mark */
	for (const char *line = k->text + (marked ? 3 : 0); !rc && line < end; at.line++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			stop = end;
		rc = add_line(k, (struct str){line, (size_t)(stop - line)}, &at, err);
		line = stop + 1;
	}
	if (!rc && k->n == 0)
		rc = err_set(err, HOKKU_BAD_FILE, "%s has no key in it", path);
	if (rc)
		keys_free(k);
	else
		*out = k;
	return rc;
}

enum hokku_code keys_load(const char *path, struct keys **out, struct hokku_error *err)
{
	char *text = NULL;
	size_t n = 0;
	*out = NULL;
	enum hokku_code rc = file_read(path, KEYS_MAX_FILE_BYTES, &text, &n, err);
	if (!rc)
		rc = keys_parse((struct str){text, n}, path, out, err);
	free(text);
	return rc;
}

void keys_free(struct keys *k)
{
	if (!k)
		return;
	free(k->text);
	free(k);
}

/* ---- what is asked ---- */

uint32_t keys_count(const struct keys *k)
{
	return k->n;
}

const struct key *keys_get(const struct keys *k, uint32_t number)
{
	return &k->all[number - 1];
}

/* The work depends on the length of the given text alone. */
static bool same(struct str key, const char *given, size_t n)
{
	size_t difference = key.len ^ n;
	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(given[i] ^ key.ptr[i % key.len]);
	return difference == 0;
}

uint32_t keys_find_bare(const struct keys *k, const char *given)
{
	size_t n = given ? strlen(given) : 0;
	uint32_t found = 0;
	if (n > KEYS_MAX_BYTES) /* how much was given is no secret */
		return 0;
	for (uint32_t i = 0; given && i < k->n; i++)
		found |= same(k->all[i].secret, given, n) ? i + 1 : 0;
	return found;
}

uint32_t keys_find(const struct keys *k, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
		return 0;
	const char *given = authorization + sizeof scheme - 1;
	return keys_find_bare(k, given + strspn(given, " "));
}
