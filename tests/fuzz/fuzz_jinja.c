/*
 * A template, and after a zero byte the JSON object of its variables. Whatever they are, rendering ends in a
 * text or an error; and as every string of the variables is made of one character that the template has not,
 * no trusted byte may be of it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/internal.h"
#include "text/jinja/json.h"

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

enum { FIRST_BYTE = 0xEE }; /* of U+E0FF */
static const char strange[] = "\xEE\x83\xBF";

/* v with every string that is no role made strange. */
static json_t *estranged(const json_t *v)
{
	if (json_is_string(v))
		return json_string(json_string_length(v) % 3 ? strange
							     : "\xEE\x83\xBF \xEE\x83\xBF\n<\xEE\x83\xBF>");
	if (json_is_array(v)) {
		json_t *made = json_array();
		for (size_t i = 0; i < json_array_size(v); i++)
			json_array_append_new(made, estranged(json_array_get(v, i)));
		return made;
	}
	if (json_is_object(v)) {
		json_t *made = json_object();
		for (void *it = json_object_iter((json_t *)v); it;
		     it = json_object_iter_next((json_t *)v, it))
			json_object_set_new(made, json_object_iter_key(it),
					    estranged(json_object_iter_value(it)));
		return made;
	}
	return json_incref((json_t *)v);
}

static void check_text(const struct jinja_run *r)
{
	struct str text = jinja_text(r);
	size_t n, at = 0;
	const struct tok_part *parts = jinja_parts(r, &n);
	for (size_t i = 0; i < n; at += parts[i++].len) {
		CHECK(parts[i].len <= text.len - at);
		CHECK(!parts[i].trusted || !memchr(text.ptr + at, FIRST_BYTE, parts[i].len));
	}
	CHECK(at == text.len);
}

static void render(const struct jinja *t, json_t *vars)
{
	struct hokku_error err = {0};
	struct jinja_run *r = jinja_run_create();
	const char *name;
	json_t *v;
	CHECK(r);
	r->max_steps = 300000;
	r->max_memory = 32 << 20;
	json_object_foreach(vars, name, v)
	{
		struct jinja_value made = jinja_from_json(r, v);
		jinja_mark_message(r, made, 1);
		jinja_set(r, str_c(name), made);
	}
	jinja_set(r, STR_LIT("bos_token"), jinja_string(r, STR_LIT("<s>"), true));
	jinja_set_now(r, &(struct jinja_time){2026, 7, 31, 12, 0, 0});
	enum hokku_code rc = jinja_render(t, r, &err);
	CHECK(rc ? err.message[0] || jinja_refused(r) : true);
	if (!rc)
		check_text(r);
	jinja_run_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
	size_t n = zero ? (size_t)(zero - data) : size;
	char *source = malloc(n + 1);
	struct hokku_error err = {0};
	struct jinja *t;
	CHECK(source);
	for (size_t i = 0; i < n; i++)
		source[i] = data[i] == FIRST_BYTE ? '?' : (char)data[i];
	if (jinja_compile((struct str){source, n}, &t, &err)) {
		CHECK(err.message[0]);
		free(source);
		return 0;
	}
	json_t *given = zero ? json_loadb((const char *)zero + 1, size - n - 1, 0, NULL) : NULL;
	if (!json_is_object(given)) {
		json_decref(given);
		given = json_loads(
			"{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\","
			" \"content\": \"a b\"}], \"x\": \"abc\", \"n\": 3, \"d\": {\"k\": [1, 2.5, null]}}",
			0, NULL);
	}
	json_t *vars = estranged(given);
	render(t, vars);
	json_decref(vars);
	json_decref(given);
	jinja_destroy(t);
	free(source);
	return 0;
}
