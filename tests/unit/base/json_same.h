/* Our JSON reader against jansson: what jansson takes, ours takes, and the trees are equal; what ours takes
 * and jansson does not is one of the things that ours is there for. */
#ifndef TEST_JSON_SAME_H
#define TEST_JSON_SAME_H

#include <jansson.h>
#include <math.h>

#include "base/json.h"

static inline bool json_same(const struct jv *ours, const json_t *theirs)
{
	int64_t whole;
	double real;
	switch (json_typeof(theirs)) {
	case JSON_NULL:
		return jv_is(ours, JV_NULL);
	case JSON_TRUE:
	case JSON_FALSE:
		return jv_is(ours, JV_BOOL) && jv_is_true(ours) == json_is_true(theirs);
	case JSON_INTEGER:
		return jv_int(ours, &whole) && whole == json_integer_value(theirs) &&
		       jv_double(ours, &real) && real == (double)whole;
	case JSON_REAL:
		return !jv_int(ours, &whole) && jv_double(ours, &real) && real == json_real_value(theirs);
	case JSON_STRING:
		return jv_is(ours, JV_STRING) &&
		       str_eq(jv_str(ours),
			      (struct str){json_string_value(theirs), json_string_length(theirs)});
	case JSON_ARRAY:
		if (!jv_is(ours, JV_ARRAY) || jv_len(ours) != json_array_size(theirs))
			return false;
		for (size_t i = 0; i < jv_len(ours); i++)
			if (!json_same(jv_at(ours, i), json_array_get(theirs, i)))
				return false;
		return true;
	case JSON_OBJECT:
		if (!jv_is(ours, JV_OBJECT) || ours->n != json_object_size(theirs))
			return false;
		void *it = json_object_iter((json_t *)theirs);
		for (uint32_t i = 0; i < ours->n; i++, it = json_object_iter_next((json_t *)theirs, it))
			if (!str_eq_c(jv_key(ours, i), json_object_iter_key(it)) ||
			    jv_get_str(ours, jv_key(ours, i)) != jv_value(ours, i) ||
			    !json_same(jv_value(ours, i), json_object_iter_value(it)))
				return false;
		return true;
	}
	return false;
}

/* Why jansson refused: something that ours takes on purpose. */
static inline bool json_more_tolerant(struct str text, const json_error_t *e)
{
	enum json_error_code code = json_error_code(e);
	bool mark = text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0;
	return mark || code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
}

/* NULL, or what is wrong. A zero byte between values is the end of the text for jansson, and no JSON for us.
 */
static inline const char *json_compare(struct str text)
{
	struct jv_doc ours;
	struct hokku_error err = {0};
	json_error_t e;
	json_t *theirs = json_loadb(text.len ? text.ptr : "", text.len,
				    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
	enum hokku_code rc = jv_parse(text, JV_STRICT, &ours, &err);
	const char *wrong = NULL;
	if (rc && !err.message[0])
		wrong = "ours refused it without a message";
	else if (rc && theirs && !strstr(err.message, "deeper") && !memchr(text.ptr, 0, text.len))
		wrong = "ours refused what jansson takes";
	else if (!rc && !theirs && !json_more_tolerant(text, &e))
		wrong = "ours took what jansson refuses";
	else if (!rc && theirs && !json_same(&ours.root, theirs))
		wrong = "the trees differ";
	jv_doc_free(&ours);
	json_decref(theirs);
	return wrong;
}

#endif
