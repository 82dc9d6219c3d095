#include "server/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/engine.h"

struct keys {
	uint8_t salt[KEYS_DIGEST_BYTES];
	struct key all[KEYS_MAX];
	uint8_t names[KEYS_MAX][KEYS_DIGEST_BYTES]; /* digests of their names, as if these were keys */
	uint32_t n, most;                           /* most: 0 until keys_most was asked */
	bool admin;                                 /* one of them is an administrator's */
};

/* A line that is being read. */
struct entry {
	struct key key;
	struct str secret; /* in the file's text */
	struct str models;
};

/* Where in the file something is, for messages. */
struct place {
	const char *path;
	unsigned line;
};
#define BAD(at, err, format, ...) \
	err_set(err, HOKKU_BAD_FILE, "%s, line %u: " format, (at)->path, (at)->line, __VA_ARGS__)

/* ---- the fields of a line ---- */

static enum hokku_code take_key(struct entry *e, struct str value, const struct place *at,
				struct hokku_error *err)
{
	if (value.len < KEYS_MIN_BYTES || value.len > KEYS_MAX_BYTES)
		return BAD(at, err, "the key has %zu bytes; it takes %d to %d", value.len, KEYS_MIN_BYTES,
			   KEYS_MAX_BYTES);
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] <= ' ' || value.ptr[i] > '~')
			return BAD(at, err, "a key takes printable ASCII characters without %s", "spaces");
	e->secret = value;
	return HOKKU_OK;
}

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_' || c == '.' || c == ':';
}

static enum hokku_code take_name(struct entry *e, struct str value, const struct place *at,
				 struct hokku_error *err)
{
	bool ok = value.len >= 1 && value.len <= KEYS_MAX_NAME_BYTES;
	for (size_t i = 0; ok && i < value.len; i++)
		ok = is_name_char(value.ptr[i]);
	if (!ok)
		return BAD(at, err,
			   "the name has %zu bytes; it takes 1 to %d out of A-Z a-z 0-9 - _ . :", value.len,
			   KEYS_MAX_NAME_BYTES);
	memcpy(e->key.name, value.ptr, value.len);
	e->key.name[value.len] = '\0';
	return HOKKU_OK;
}

/* Two hexadecimal digits behind each %: else what a name is would be anybody's guess. */
static bool is_encoded(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '!' || s.ptr[i] > '~' ||
		    (s.ptr[i] == '%' &&
		     (i + 2 >= s.len || hex_digit(s.ptr[i + 1]) < 0 || hex_digit(s.ptr[i + 2]) < 0)))
			return false;
	return true;
}

static enum hokku_code take_models(struct entry *e, struct str value, const struct place *at,
				   struct hokku_error *err)
{
	if (value.len == 0 || value.len > KEYS_MAX_MODELS_BYTES)
		return BAD(at, err, "the list of models has %zu bytes; it takes 1 to %d", value.len,
			   KEYS_MAX_MODELS_BYTES);
	bool empty = value.ptr[0] == ',' || value.ptr[value.len - 1] == ',' ||
		     memmem(value.ptr, value.len, ",,", 2);
	if (empty)
		return BAD(at, err, "the list of models has %s", "a name without a character in it");
	if (!is_encoded(value))
		return BAD(
			at, err,
			"the list of models takes printable ASCII characters, and %%XX for any other byte%s",
			"");
	e->models = value;
	return HOKKU_OK;
}

static enum hokku_code take_admin(struct entry *e, struct str value, const struct place *at,
				  struct hokku_error *err)
{
	if (!str_eq_c(value, "yes") && !str_eq_c(value, "no"))
		return BAD(at, err, "admin takes yes or no%s", "");
	e->key.admin = str_eq_c(value, "yes");
	return HOKKU_OK;
}

/* A row: its own function, or a number from min to max. */
static const struct key_field {
	const char *name;
	enum hokku_code (*take)(struct entry *e, struct str value, const struct place *at,
				struct hokku_error *err);
	size_t offset; /* in struct key */
	uint32_t min, max;
} fields[] = {
	{"name", take_name, 0, 0, 0},
	{"key", take_key, 0, 0, 0},
	{"running", NULL, offsetof(struct key, running), 1, ENGINE_MAX_PARALLEL},
	{"waiting", NULL, offsetof(struct key, waiting), 0, KEYS_MAX_WAITING},
	{"tokens_per_minute", NULL, offsetof(struct key, tokens_per_minute), 1, KEYS_MAX_TOKENS},
	{"models", take_models, 0, 0, 0},
	{"admin", take_admin, 0, 0, 0},
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

static enum hokku_code take_field(struct entry *e, struct str word, unsigned number, unsigned *given,
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
		return fields[i].take(e, value, at, err);
	return take_number(&fields[i], &e->key, value, at, err);
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
static enum hokku_code take_bare(struct entry *e, struct str word, const struct place *at,
				 struct hokku_error *err)
{
	const char *equals = memchr(word.ptr, '=', word.len);
	for (size_t i = 0; equals && i < N_FIELDS; i++)
		if (str_eq_c((struct str){word.ptr, (size_t)(equals - word.ptr)}, fields[i].name))
			log_warn(
				"%s, line %u: the whole word, from \"%s=\" on, is taken as a key; fields are "
				"name=NAME key=KEY",
				at->path, at->line, fields[i].name);
	snprintf(e->key.name, sizeof e->key.name, "line-%u", at->line);
	e->key.bare = true;
	return take_key(e, word, at, err);
}

/* What is kept of a key. The text before it, which no other process has, makes tables of digests useless. */
static bool digest(const struct keys *k, struct str secret, uint8_t out[KEYS_DIGEST_BYTES])
{
	uint8_t text[KEYS_DIGEST_BYTES + KEYS_MAX_BYTES];
	size_t n = secret.len < KEYS_MAX_BYTES ? secret.len : KEYS_MAX_BYTES;
	memcpy(text, k->salt, sizeof k->salt);
	memcpy(text + sizeof k->salt, secret.ptr, n);
	bool ok = SHA256(text, sizeof k->salt + n, out) != NULL;
	explicit_bzero(text, sizeof text);
	return ok;
}

static bool is_same(const uint8_t a[KEYS_DIGEST_BYTES], const uint8_t b[KEYS_DIGEST_BYTES])
{
	return CRYPTO_memcmp(a, b, KEYS_DIGEST_BYTES) == 0;
}

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the API keys");
}

/* A name and a key are each of one line alone, and a name, which is shown, is no key. */
static enum hokku_code check_double(const struct keys *k, const struct key *key,
				    const uint8_t name[KEYS_DIGEST_BYTES], const struct place *at,
				    struct hokku_error *err)
{
	if (is_same(key->digest, name))
		return BAD(at, err, "the name is %s", "the key itself, and names are shown");
	for (uint32_t i = 0; i < k->n; i++) {
		const struct key *other = &k->all[i];
		if (is_same(key->digest, other->digest))
			return BAD(at, err, "the key is that of line %u too", other->line);
		if (strcmp(key->name, other->name) == 0)
			return BAD(at, err, "the name %s is that of line %u too", key->name, other->line);
		if (is_same(key->digest, k->names[i]) || is_same(other->digest, name))
			return BAD(at, err, "it and line %u have a name that is a key, and names are shown",
				   other->line);
	}
	return HOKKU_OK;
}

/* The folder's name is older than the digest and stays: what it holds is found again. */
static enum hokku_code keep(struct keys *k, struct entry *e, const struct place *at, struct hokku_error *err)
{
	e->key.line = at->line;
	e->key.folder = siphash(UINT64_C(0x6b657920666f6c64), 0, e->secret.ptr, e->secret.len);
	uint8_t *name = k->names[k->n];
	if (!digest(k, e->secret, e->key.digest) || !digest(k, str_c(e->key.name), name))
		return no_memory(err);
	enum hokku_code rc = check_double(k, &e->key, name, at, err);
	if (rc)
		return rc;
	if (e->models.len) {
		e->key.models = strndup(e->models.ptr, e->models.len);
		if (!e->key.models)
			return no_memory(err);
	}
	k->admin |= e->key.admin;
	k->all[k->n++] = e->key;
	return HOKKU_OK;
}

static const struct key unlimited = {
	.running = KEYS_UNLIMITED, .waiting = KEYS_UNLIMITED, .tokens_per_minute = KEYS_UNLIMITED};

static enum hokku_code add_line(struct keys *k, struct str rest, const struct place *at,
				struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	struct entry e = {.key = unlimited};
	struct str first = next_word(&rest), word = next_word(&rest);
	unsigned given = 0, number = 1;
	if (first.len == 0 || first.ptr[0] == '#')
		return HOKKU_OK;
	if (k->n == KEYS_MAX)
		return err_set(err, HOKKU_BAD_FILE, "%s has more than %d keys", at->path, KEYS_MAX);
	if (word.len == 0) {
		rc = take_bare(&e, first, at, err);
	} else {
		rc = take_field(&e, first, number++, &given, at, err);
		for (; !rc && word.len; word = next_word(&rest))
			rc = take_field(&e, word, number++, &given, at, err);
		if (!rc && (given & 3) != 3)
			rc = BAD(at, err, "%s is missing; fields are name=NAME key=KEY and limits",
				 fields[given & 1 ? FIELD_KEY : FIELD_NAME].name);
	}
	return rc ? rc : keep(k, &e, at, err);
}

static struct keys *keys_new(void)
{
	struct keys *k = calloc(1, sizeof *k);
	if (k && RAND_bytes(k->salt, sizeof k->salt) == 1)
		return k;
	free(k);
	return NULL;
}

static enum hokku_code parse_into(struct keys *k, struct str text, const char *path, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	bool marked = text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0; /* a byte order mark */
	struct place at = {path, 1};
	struct str rest = {text.ptr + (marked ? 3 : 0), text.len - (marked ? 3 : 0)};
	for (; !rc && rest.len; at.line++) {
		const char *stop = memchr(rest.ptr, '\n', rest.len);
		size_t n = stop ? (size_t)(stop - rest.ptr) : rest.len;
		rc = add_line(k, (struct str){rest.ptr, n}, &at, err);
		n += stop != NULL;
		rest = (struct str){rest.ptr + n, rest.len - n};
	}
	if (!rc && k->n == 0)
		rc = err_set(err, HOKKU_BAD_FILE,
			     "%s has no key in it; a line is a key alone, or name=NAME key=KEY", path);
	return rc;
}

/* Takes k over: *out, or gone. */
static enum hokku_code hand_over(struct keys *k, enum hokku_code rc, struct keys **out)
{
	*out = rc ? NULL : k;
	if (rc)
		keys_free(k);
	return rc;
}

enum hokku_code keys_parse(struct str text, const char *path, struct keys **out, struct hokku_error *err)
{
	struct keys *k = keys_new();
	*out = NULL;
	return k ? hand_over(k, parse_into(k, text, path, err), out) : no_memory(err);
}

static enum hokku_code load_into(struct keys *k, const char *path, struct hokku_error *err)
{
	char *text = NULL;
	size_t n = 0;
	enum hokku_code rc = file_read(path, KEYS_MAX_FILE_BYTES, &text, &n, err);
	if (rc)
		err_prefix(err, rc, "--api-key-file");
	else
		rc = parse_into(k, (struct str){text, n}, path, err);
	if (text)
		explicit_bzero(text, n);
	free(text);
	return rc;
}

enum hokku_code keys_load(const char *path, struct keys **out, struct hokku_error *err)
{
	struct keys *k = keys_new();
	*out = NULL;
	return k ? hand_over(k, load_into(k, path, err), out) : no_memory(err);
}

enum hokku_code keys_add_admin(struct keys **k, const char *secret, struct hokku_error *err)
{
	struct entry e = {.key = unlimited};
	struct keys *all = *k ? *k : keys_new();
	const char *at = secret;
	if (!all)
		return no_memory(err);
	e.key.admin = true;
	snprintf(e.key.name, sizeof e.key.name, "admin");
	while (*at > ' ' && *at <= '~')
		at++;
	size_t n = strlen(secret);
	enum hokku_code rc = HOKKU_OK;
	if (n < KEYS_MIN_BYTES || n > KEYS_MAX_BYTES)
		rc = err_set(
			err, HOKKU_INVALID_REQUEST,
			"--admin-key has %zu bytes; it takes %d to %d printable ASCII characters without spaces",
			n, KEYS_MIN_BYTES, KEYS_MAX_BYTES);
	else if (*at)
		rc = err_set(
			err, HOKKU_INVALID_REQUEST,
			"--admin-key has a character that no key has, at place %zu; it takes printable ASCII characters "
			"without spaces",
			(size_t)(at - secret) + 1);
	e.secret = str_c(secret);
	uint32_t same = rc ? 0 : keys_find_bare(all, secret), named = keys_named(all, e.key.name);
	if (same)
		rc = err_set(
			err, HOKKU_INVALID_REQUEST,
			"--admin-key is that of %s in the key file too; take another, or give that one admin=yes",
			all->all[same - 1].name);
	else if (named)
		rc = err_set(
			err, HOKKU_INVALID_REQUEST,
			"line %u of the key file has the name admin, which is that of --admin-key; rename it, or "
			"give it admin=yes",
			all->all[named - 1].line);
	else if (!rc && keys_named(all, secret))
		rc = err_set(
			err, HOKKU_INVALID_REQUEST,
			"--admin-key is the name of line %u of the key file, and names are shown; take another",
			all->all[keys_named(all, secret) - 1].line);
	else if (!rc && all->n == KEYS_MAX)
		rc = err_set(err, HOKKU_INVALID_REQUEST, "--admin-key is one more than the %d keys allowed",
			     KEYS_MAX);
	if (!rc)
		rc = keep(all, &e, &(struct place){"--admin-key", 0}, err);
	if (rc && !*k)
		keys_free(all);
	if (!rc)
		*k = all;
	return rc;
}

/* ---- read again ---- */

enum { NO_KEY = KEYS_MAX };

static bool has_name(const struct key *old, const struct key *key)
{
	return !old->bare && !key->bare && strcmp(old->name, key->name) == 0;
}

static bool has_secret(const struct key *old, const struct key *key)
{
	return is_same(old->digest, key->digest);
}

/* Which of the keys `from` each key of k is, into of (k->n): by what `same` says, those that are one already
 * left out. */
static void match(const struct keys *k, const struct keys *from, uint32_t *of, bool *taken,
		  bool (*same)(const struct key *old, const struct key *key))
{
	for (uint32_t i = 0; i < k->n; i++)
		for (uint32_t j = 0; j < from->n && of[i] == NO_KEY; j++)
			if (!taken[j] && same(&k->all[i], &from->all[j])) {
				of[i] = j;
				taken[j] = true;
			}
}

/* old becomes what key is, whose list of models it takes. */
static void become(struct key *old, struct key *key)
{
	char *models = old->models;
	old->running = key->running;
	old->waiting = key->waiting;
	memcpy(old->digest, key->digest, sizeof old->digest);
	old->folder = key->folder;
	old->line = key->line;
	old->tokens_per_minute = key->tokens_per_minute;
	old->models = key->models;
	key->models = models; /* freed with the others */
	old->admin = key->admin;
}

static bool is_taken(const struct keys *k, const char *name)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (strcmp(k->all[i].name, name) == 0)
			return true;
	return false;
}

/* A key alone is named after its line, where another one may have stood before. */
static void name_bare(const struct keys *k, struct key *key)
{
	for (unsigned n = 2; is_taken(k, key->name); n++)
		snprintf(key->name, sizeof key->name, "line-%u-%u", key->line, n);
}

/* NULL: the key, whose list of models is taken, has a number of its own; else why not. */
static const char *add_new(struct keys *k, struct key *key)
{
	if (k->n >= keys_most(k))
		return "there have been as many as may come while the server runs";
	if (key->bare)
		name_bare(k, key);
	if (is_taken(k, key->name))
		return "its name is that of another one that was there";
	for (uint32_t i = 0; i < k->n; i++)
		if (is_same(key->digest, k->names[i]))
			return "it is a name that was there, and names are shown";
	if (!digest(k, str_c(key->name), k->names[k->n]))
		return "there is no memory for it";
	k->all[k->n++] = *key;
	key->models = NULL;
	return NULL;
}

static void renew(struct keys *k, struct keys *from, const uint32_t *of, const bool *taken, const char *path)
{
	uint32_t n_gone = 0, n_new = 0, n_admins = 0, n_before = k->n;
	for (uint32_t i = 0; i < n_before; i++) {
		struct key *old = &k->all[i];
		if (of[i] != NO_KEY)
			become(old, &from->all[of[i]]);
		old->gone = of[i] == NO_KEY;
	}
	for (uint32_t j = 0; j < from->n; j++) {
		const char *why = taken[j] ? NULL : add_new(k, &from->all[j]);
		n_new += !taken[j] && !why;
		if (why)
			log_warn("%s, line %u: the key %s is new and does not count until a restart: %s",
				 path, from->all[j].line, from->all[j].name, why);
	}
	for (uint32_t i = 0; i < k->n; i++) {
		n_gone += k->all[i].gone;
		n_admins += k->all[i].admin && !k->all[i].gone;
	}
	if (k->admin && !n_admins) /* a key that goes opens nothing to the others */
		log_warn("%s has no administrator any more; the routes of administrators stay closed until a "
			 "restart",
			 path);
	k->admin |= n_admins > 0;
	log_info("the keys of %s are read again: %u count, of which %u are new; %u are gone", path,
		 k->n - n_gone, n_new, n_gone);
}

enum hokku_code keys_renew(struct keys *k, const char *path, const char *admin, struct hokku_error *err)
{
	uint32_t of[KEYS_MAX];
	bool taken[KEYS_MAX] = {false};
	struct keys *from = calloc(1, sizeof *from);
	if (!from)
		return no_memory(err);
	memcpy(from->salt, k->salt, sizeof from->salt);
	enum hokku_code rc = load_into(from, path, err);
	if (!rc && admin)
		rc = keys_add_admin(&from, admin, err);
	for (uint32_t i = 0; i < k->n; i++)
		of[i] = NO_KEY;
	match(k, from, of, taken, has_name);
	match(k, from, of, taken, has_secret);
	if (!rc)
		renew(k, from, of, taken, path);
	keys_free(from);
	return rc;
}

void keys_free(struct keys *k)
{
	if (!k)
		return;
	for (uint32_t i = 0; i < k->n; i++)
		free(k->all[i].models);
	free(k);
}

/* ---- what is asked ---- */

uint32_t keys_count(const struct keys *k)
{
	return k->n;
}

uint32_t keys_most(struct keys *k)
{
	if (!k->most)
		k->most = k->n + KEYS_NEW < KEYS_MAX ? k->n + KEYS_NEW : KEYS_MAX;
	return k->most;
}

const struct key *keys_get(const struct keys *k, uint32_t number)
{
	return &k->all[number - 1];
}

bool keys_have_admin(const struct keys *k)
{
	return k->admin;
}

uint32_t keys_named(const struct keys *k, const char *name)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (!k->all[i].gone && strcmp(k->all[i].name, name) == 0)
			return i + 1;
	return 0;
}

/* Takes the next character of a percent-encoded text off *at. */
static char next_char(const char **at)
{
	char c = *(*at)++;
	if (c != '%')
		return c;
	*at += 2;
	return (char)(hex_digit((*at)[-2]) * 16 + hex_digit((*at)[-1]));
}

bool keys_may_use(const struct key *key, const char *model)
{
	if (!key->models)
		return true;
	for (const char *at = key->models; *at; at += *at == ',') {
		const char *end = at + strcspn(at, ","), *left = model;
		bool begins = end[-1] == '*', same = true;
		end -= begins;
		while (same && at < end)
			same = *left && next_char(&at) == *left++;
		if (same && (begins || !*left))
			return true;
		at += strcspn(at, ",");
	}
	return false;
}

/* All keys are looked at, each digest to its end: how long that takes tells nothing. */
uint32_t keys_find_bare(const struct keys *k, const char *given)
{
	uint8_t asked[KEYS_DIGEST_BYTES];
	size_t n = given ? strlen(given) : 0;
	uint32_t found = 0;
	if (!given || n > KEYS_MAX_BYTES) /* how much was given is no secret */
		return 0;
	if (!digest(k, (struct str){given, n}, asked))
		return 0;
	for (uint32_t i = 0; i < k->n; i++)
		found |= is_same(k->all[i].digest, asked) && !k->all[i].gone ? i + 1 : 0;
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
