/* Files of API keys: nothing may crash, what is taken keeps its promises, the keys that are written in it are
 * found, and no error holds a piece of the file that may be a key. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "server/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_key(const struct keys *k, uint32_t number)
{
	char header[KEYS_MAX_BYTES + 16];
	const struct key *key = keys_get(k, number);
	require(key->name[0] && strlen(key->name) <= KEYS_MAX_NAME_BYTES);
	require(key->running >= 1 && (key->running <= ENGINE_MAX_PARALLEL || key->running == KEYS_UNLIMITED));
	require(key->waiting <= KEYS_MAX_WAITING || key->waiting == KEYS_UNLIMITED);
	require(key->tokens_per_minute >= 1);
	require(key->tokens_per_minute <= KEYS_MAX_TOKENS || key->tokens_per_minute == KEYS_UNLIMITED);
	for (uint32_t other = 1; other < number; other++)
		require(strcmp(keys_get(k, other)->name, key->name) != 0);
	snprintf(header, sizeof header, "Bearer %s", key->name);
	require(keys_find(k, header) == 0);
	require(keys_named(k, key->name) == number);
	require(keys_may_use(key, "a") || key->models);
}

/* How many of the keys the words of the file find, behind key= or alone. */
static uint32_t count_found(const struct keys *k, const uint8_t *data, size_t size)
{
	bool found[KEYS_MAX + 1] = {false};
	uint32_t n_found = 0;
	for (size_t i = 0; i < size;) {
		char word[KEYS_MAX_BYTES + 8];
		size_t n = 0;
		while (i < size && !strchr(" \t\r\n", data[i] ? data[i] : 1))
			n += n + 1 < sizeof word ? (word[n] = (char)data[i++], 1) : (i++, 0);
		word[n] = '\0';
		i += i < size;
		const char *bare = strncmp(word, "key=", 4) == 0 ? word + 4 : word;
		const uint32_t at[] = {keys_find_bare(k, word), keys_find_bare(k, bare)};
		for (int j = 0; j < 2; j++) {
			n_found += at[j] && !found[at[j]];
			found[at[j]] = true;
		}
	}
	return n_found;
}

/* Does "name=VALUE" stand somewhere in the file? Then it is shown. */
static bool is_name(const char *value, const uint8_t *data, size_t size)
{
	char name[80];
	int n = snprintf(name, sizeof name, "name=%s", value);
	return memmem(data, size, name, (size_t)n) != NULL;
}

static bool is_edge(char c)
{
	return c == '\0' || c == ' ' || c == '"' || c == ';' || c == ',';
}

/* Is value a word of message? A piece of a name that is shown is none. */
static bool holds(const char *message, const char *value)
{
	size_t n = strlen(value);
	for (const char *at = strstr(message, value); at; at = strstr(at + 1, value))
		if ((at == message || is_edge(at[-1])) && is_edge(at[n]))
			return true;
	return false;
}

/* A word of the file of ten bytes or more that an error holds is none that a key could be. */
static void check_message(const char *message, const uint8_t *data, size_t size)
{
	static const char known[] =
		"name=NAME key=KEY keys has no in it more than line the is given twice missing; fields are and "
		"limits word of \"=\"; a alone, or fields: field unknown there name, key, running, waiting, "
		"tokens_per_minute, models, admin list of models without a character it takes yes or no did you mean whole number number; takes one from to characters printable";
	for (size_t i = 0; i < size;) {
		char word[64];
		size_t n = 0;
		while (i < size && !isspace(data[i]) && data[i])
			n += n + 1 < sizeof word ? (word[n] = (char)data[i++], 1) : (i++, 0);
		word[n] = '\0';
		i += i < size;
		const char *equals = strchr(word, '=');
		const char *value = equals ? equals + 1 : word;
		if (strlen(value) >= KEYS_MIN_BYTES + 2 && strspn(value, "0123456789") < strlen(value) &&
		    !strstr(known, value) && !is_name(value, data, size))
			require(!holds(message, value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keys *k;
	struct hokku_error err = {.message = ""};
	enum hokku_code rc = keys_parse((struct str){(const char *)data, size}, "f", &k, &err);
	if (rc) {
		require(rc == HOKKU_BAD_FILE && !k && err.message[0]);
		check_message(err.message, data, size);
		return 0;
	}
	require(keys_count(k) >= 1 && keys_count(k) <= KEYS_MAX);
	for (uint32_t i = 1; i <= keys_count(k); i++)
		check_key(k, i);
	bool marked = size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0;
	require(count_found(k, data + (marked ? 3 : 0), size - (marked ? 3 : 0)) == keys_count(k));
	keys_free(k);
	return 0;
}
