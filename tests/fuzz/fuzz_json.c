/* Any bytes as JSON: nothing crashes, and jansson agrees on what is JSON and on what it says. */
#include <stdlib.h>

#include "base/json_same.h"

static void walk(const struct jv *v)
{
	char text[40];
	jv_text(v, text, sizeof text);
	for (size_t i = 0; i < jv_len(v); i++)
		walk(jv_at(v, i));
	for (uint32_t i = 0; v->type == JV_OBJECT && i < v->n; i++)
		walk(jv_value(v, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jv_doc d;
	struct str text = {(const char *)data, size};
	if (json_compare(text))
		abort();
	if (jv_parse(text, JV_NONFINITE, &d, NULL) == HOKKU_OK)
		walk(&d.root);
	jv_doc_free(&d);
	return 0;
}
