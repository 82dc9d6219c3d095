#include "text/jinja/json.h"

/* jansson nests 2,048 deep at most, and what a template does with a value is held to JINJA_MAX_DEPTH. */
struct jinja_value jinja_from_json(struct jinja_run *r, const json_t *v)
{
	if (json_is_string(v))
		return jinja_string(r, (struct str){json_string_value(v), json_string_length(v)}, false);
	if (json_is_integer(v))
		return jinja_int(json_integer_value(v));
	if (json_is_real(v))
		return jinja_float(json_real_value(v));
	if (json_is_boolean(v))
		return jinja_bool(json_is_true(v));
	struct jinja_value made = jinja_none();
	if (json_is_array(v)) {
		made = jinja_list(r);
		for (size_t i = 0; i < json_array_size(v); i++)
			jinja_push(r, made, jinja_from_json(r, json_array_get(v, i)));
	} else if (json_is_object(v)) {
		made = jinja_dict(r);
		void *it = json_object_iter((json_t *)v);
		for (; it; it = json_object_iter_next((json_t *)v, it)) {
			const char *key = json_object_iter_key(it);
			jinja_put(r, made, (struct str){key, json_object_iter_key_len(it)},
				  jinja_from_json(r, json_object_iter_value(it)));
		}
	}
	return made;
}
