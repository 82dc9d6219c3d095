#include "constrain/choice.h"

#include <stdio.h>
#include <stdlib.h>

static const char *type_name(const struct jv *v)
{
	static const char *const names[] = {
		[JV_NULL] = "null",       [JV_BOOL] = "a boolean", [JV_NUMBER] = "a number",
		[JV_STRING] = "a string", [JV_ARRAY] = "an array", [JV_OBJECT] = "an object",
	};
	return names[v->type];
}

enum hokku_code choice_compile(struct rx_pool *p, const struct jv *list, rx *out,
			       struct constrain_fault *fault, struct hokku_error *err)
{
	if (list->type != JV_ARRAY)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the choices are %s: an array of strings is wanted", type_name(list));
	if (list->n == 0)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "there are no choices: an array of at least one string is wanted");
	rx *texts = malloc(list->n * sizeof *texts);
	if (!texts)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "there is no memory for %u choices",
			       (unsigned)list->n);
	for (uint32_t i = 0; i < list->n; i++) {
		const struct jv *v = &list->items[i];
		if (v->type != JV_STRING) {
			snprintf(fault->place, sizeof fault->place, "[%u]", (unsigned)i);
			free(texts);
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s: this choice is %s: a string is wanted", fault->place,
				       type_name(v));
		}
		texts[i] = rx_literal(p, v->text, v->n);
	}
	*out = rx_or_many(p, texts, list->n);
	free(texts);
	return HOKKU_OK;
}
