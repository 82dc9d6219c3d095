#include "text/jinja/json.h"

#include <math.h>

static struct jinja_value number(struct jinja_run *r, const struct jv *v)
{
	int64_t i;
	double f;
	if (jv_int(v, &i))
		return jinja_int(i);
	if (!memchr(v->text, '.', v->n) && !memchr(v->text, 'e', v->n) && !memchr(v->text, 'E', v->n))
		return jinja_big_int(r, (struct str){v->text, v->n});
	return jinja_float(jv_double(v, &f) ? f : v->text[0] == '-' ? -HUGE_VAL : HUGE_VAL);
}

/* The parser nests JV_MAX_DEPTH deep at most. */
struct jinja_value jinja_from_json(struct jinja_run *r, const struct jv *v)
{
	if (jv_none(v))
		return jinja_none();
	struct jinja_value made;
	switch (v->type) {
	case JV_STRING:
		return jinja_string(r, jv_str(v), false);
	case JV_NUMBER:
		return number(r, v);
	case JV_BOOL:
		return jinja_bool(jv_is_true(v));
	case JV_ARRAY:
		made = jinja_list(r);
		for (size_t i = 0; i < v->n; i++)
			jinja_push(r, made, jinja_from_json(r, jv_at(v, i)));
		return made;
	default:
		made = jinja_dict(r);
		for (uint32_t i = 0; i < v->n; i++)
			jinja_put(r, made, jv_key(v, i), jinja_from_json(r, jv_value(v, i)));
		return made;
	}
}
