/* The model that a body names: what is found without reading the body is what its reader finds; and names,
 * which are found or told of. */
#include <stdlib.h>

#include "base/json.h"
#include "server/model_name.h"
#include "server/peek.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* Of a body that is JSON. */
static void compare(struct str body, bool found, const struct strbuf *name)
{
	struct jv_doc doc;
	if (jv_parse(body, JV_STRICT, &doc, NULL))
		return;
	const struct jv *model = jv_get(&doc.root, "model"), *old = jv_get(&doc.root, "name");
	struct str want = jv_is(model, JV_STRING) ? jv_str(model) : jv_str(old);
	require(found == (want.ptr != NULL));
	require(!found || str_eq(want, (struct str){name->ptr ? name->ptr : "", name->len}));
	jv_doc_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"tiny", "a/twin", "b/twin", "Tiny", "x-y:latest"};
	char *bytes = malloc(size + 1), out[MODEL_NAME_MAX_BYTES + 1]; /* reads past the end are seen */
	struct str body = {bytes, size};
	struct strbuf name = {0}, value = {0};
	struct hokku_error err;
	memcpy(bytes, data, size);
	bytes[size] = '\0';
	bool found = peek_model(body, "name", &name);
	compare(body, found, &name);
	peek_query(body, "model", &value);
	int i = model_name_find(name.ptr ? name.ptr : bytes, names, 5, &err);
	require(i >= -1 && i < 5 && (i >= 0 || err.code == HOKKU_NOT_FOUND));
	for (unsigned parts = 1; parts < 4; parts++)
		if (model_name_of(bytes, parts, out))
			require(strlen(out) <= MODEL_NAME_MAX_BYTES && *out);
	strbuf_free(&name);
	strbuf_free(&value);
	free(bytes);
	return 0;
}
