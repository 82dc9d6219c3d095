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

/* v as a value of the run, with every string made strange. */
static struct jinja_value estranged(struct jinja_run *r, const struct jv *v)
{
	if (jv_is(v, JV_STRING))
		return jinja_string(
			r, str_c(v->n % 3 ? strange : "\xEE\x83\xBF \xEE\x83\xBF\n<\xEE\x83\xBF>"), false);
	if (!jv_is(v, JV_ARRAY) && !jv_is(v, JV_OBJECT))
		return jinja_from_json(r, v);
	struct jinja_value made = v->type == JV_ARRAY ? jinja_list(r) : jinja_dict(r);
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->type == JV_ARRAY)
			jinja_push(r, made, estranged(r, jv_at(v, i)));
		else
			jinja_put(r, made, jv_key(v, i), estranged(r, jv_value(v, i)));
	}
	return made;
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

static void render(const struct jinja *t, const struct jv *vars)
{
	struct hokku_error err = {0};
	struct jinja_run *r = jinja_run_create();
	CHECK(r);
	r->max_steps = 300000;
	r->max_memory = 32 << 20;
	for (uint32_t i = 0; i < vars->n; i++) {
		struct jinja_value made = estranged(r, jv_value(vars, i));
		jinja_mark_message(r, made, 1);
		jinja_set(r, jv_key(vars, i), made);
	}
	jinja_set(r, STR_LIT("bos_token"), jinja_string(r, STR_LIT("<s>"), true));
	jinja_set_now(r, &(struct jinja_time){2026, 7, 31, 12, 0, 0});
	enum hokku_code rc = jinja_render(t, r, &err);
	CHECK(rc ? err.message[0] || jinja_refused(r) : true);
	if (!rc)
		check_text(r);
	jinja_run_destroy(r);
}

static const char usual_vars[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": "
				 "\"assistant\", \"content\": \"a b\"}],"
				 " \"x\": \"abc\", \"n\": 3, \"d\": {\"k\": [1, 2.5, null]}}";

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
	enum hokku_code rc = jinja_compile((struct str){source, n}, &t, &err);
	free(source);
	if (rc) {
		CHECK(err.message[0]);
		return 0;
	}
	struct jv_doc vars = {0};
	struct str json = zero ? (struct str){(const char *)zero + 1, size - n - 1} : (struct str){"", 0};
	if (jv_parse(json, JV_STRICT, &vars, NULL) || vars.root.type != JV_OBJECT) {
		jv_doc_free(&vars);
		CHECK(jv_parse(str_c(usual_vars), JV_STRICT, &vars, NULL) == HOKKU_OK);
	}
	render(t, &vars.root);
	jv_doc_free(&vars);
	jinja_destroy(t);
	return 0;
}
