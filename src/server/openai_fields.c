#include "server/openai_fields.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

/* OpenAI's seeds are signed: a negative one is the unsigned number of the same 64 bits. */
enum hokku_code openai_take_seed(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	int64_t n;
	if (!field_whole(v, &n) || n >= 0)
		return field_seed(r, name, v, err);
	r->sampling.seed = (uint64_t)n;
	r->has_seed = true;
	return HOKKU_OK;
}

/* OpenAI's range includes 0: the likeliest token alone, which the least number above it is too. */
enum hokku_code openai_take_top_p(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	const struct sampling_field *f = sampling_fields;
	while (strcmp(f->name, name) != 0)
		f++;
	if (field_number(v) != 0)
		return field_sampling(r, f, v, err);
	r->sampling.top_p = FLT_MIN;
	return HOKKU_OK;
}

enum hokku_code openai_take_stream_options(struct gen_request *r, const char *name, const struct jv *v,
					   struct request_error *err)
{
	static const char *const known[] = {"include_usage", "include_obfuscation", NULL};
	char found[96], field[64];
	bool ignored;
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes {\"include_usage\": true}", field_describe(v, found));
	r->stream_options = true;
	for (uint32_t i = 0; i < v->n; i++) {
		bool usage = str_eq_c(jv_key(v, i), known[0]);
		snprintf(field, sizeof field, "%s.%.40s", name, jv_key(v, i).ptr);
		field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
		if (!usage && !str_eq_c(jv_key(v, i), known[1]))
			return bad(err, field, "is no option of a stream; there are %s and %s", known[0],
				   known[1]);
		enum hokku_code rc = jv_none(jv_value(v, i))
					     ? HOKKU_OK
					     : field_bool(field, jv_value(v, i),
							  usage ? &r->include_usage : &ignored, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* What clients send along and no answer depends on here. */
enum hokku_code openai_pass_over(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	static const struct {
		const char *name;
		enum jv_type type;
		const char *takes;
	} rows[] = {
		{"user", JV_STRING, "a string"},
		{"metadata", JV_OBJECT, "an object of strings"},
		{"store", JV_BOOL, "true or false"},
		{"service_tier", JV_STRING, "a string"},
		{"safety_identifier", JV_STRING, "a string"},
		{"prompt_cache_key", JV_STRING, "a string"},
		{"prompt_cache_retention", JV_STRING, "a string"},
		{"prompt_cache_options", JV_OBJECT, "an object"},
		{"prediction", JV_OBJECT, "an object"},
		{"client_metadata", JV_OBJECT, "an object"},
	};
	char text[128], found[96];
	size_t i = 0;
	while (strcmp(rows[i].name, name) != 0)
		i++;
	if (!jv_is(v, rows[i].type))
		return bad(err, name, "is %s; it takes %s", field_describe(v, found), rows[i].takes);
	snprintf(text, sizeof text, "%s has no effect here", name);
	field_warn(&r->warnings, text);
	return HOKKU_OK;
}

enum hokku_code openai_check_stream(const struct gen_request *r, struct request_error *err)
{
	if (r->stream_options && !r->stream)
		return bad(err, "stream_options", "is for streams; it goes with \"stream\": true");
	return HOKKU_OK;
}
