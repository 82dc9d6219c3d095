/* Keys of this project's own, "tokenizer.hokku.*": what a tokenizer.json says and GGUF has no word for
 * (docs/tokenizer.md). Other programs pass over them. */
#include <stdio.h>

#include "text/tokenizer_internal.h"

enum { KEY_BYTES = 64 };

static const char *own_key(char out[KEY_BYTES], const char *name)
{
	snprintf(out, KEY_BYTES, "tokenizer.hokku.%s", name);
	return out;
}

enum hokku_code tok_read_own_bool(const struct gguf *g, const char *name, bool *out, struct hokku_error *err)
{
	char key[KEY_BYTES];
	bool found;
	return gguf_get_bool(g, own_key(key, name), out, &found, err);
}

enum hokku_code tok_each_own_id(const struct gguf *g, const struct tok *t, const char *name,
				void (*put)(void *user, uint32_t id), void *user, bool *found,
				struct hokku_error *err)
{
	char key[KEY_BYTES];
	struct gguf_array array;
	bool there;
	enum hokku_code rc = gguf_get_array(g, own_key(key, name), GGUF_U32, &array, &there, err);
	if (found)
		*found = there;
	for (uint64_t i = 0; !rc && there && i < array.n; i++) {
		uint32_t id;
		memcpy(&id, array.data + 4 * i, 4);
		if (id >= t->n_vocab)
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: entry %llu is %u; the vocabulary has %u tokens", key,
				       (unsigned long long)i, id, t->n_vocab);
		put(user, id);
	}
	return rc;
}

static void set_lstrip(void *user, uint32_t id)
{
	((struct tok *)user)->flags[id] |= TOK_FLAG_LSTRIP;
}

static void set_rstrip(void *user, uint32_t id)
{
	((struct tok *)user)->flags[id] |= TOK_FLAG_RSTRIP;
}

enum hokku_code tok_read_strips(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	enum hokku_code rc = tok_each_own_id(g, t, "lstrip", set_lstrip, t, NULL, err);
	return rc ? rc : tok_each_own_id(g, t, "rstrip", set_rstrip, t, NULL, err);
}
