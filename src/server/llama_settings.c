/* llama-server's defaults, and what its generation_settings tell. */
#include <inttypes.h>

#include "server/llama.h"

/* As its documentation has them; penalties and the like are neutral there as here. */
const struct sampling_default llama_sampling[] = {
	{"temperature", 0.8}, {"top_k", 40}, {"top_p", 0.95}, {"min_p", 0.05}, {NULL, 0},
};

/* The fields that it has under another name. */
static const char *llama_name(const char *name)
{
	return strcmp(name, "repetition_penalty") == 0 ? "repeat_penalty" : name;
}

static void add_fields(struct strbuf *b, const struct sampling *s)
{
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		const char *at = (const char *)s + f->offset;
		float real;
		int32_t whole;
		strbuf_addf(b, ",\"%s\":", llama_name(f->name));
		if (f->kind == SAMPLING_INT) {
			memcpy(&whole, at, sizeof whole);
			strbuf_addf(b, "%" PRId32, whole);
		} else {
			memcpy(&real, at, sizeof real);
			answer_float(b, real);
		}
	}
}

void llama_settings(struct strbuf *b, const struct sampling *sampling, const struct gen_request *request)
{
	strbuf_add_c(b, "\"seed\":");
	if (request)
		answer_seed(b, request->sampling.seed);
	else
		strbuf_add_c(b, "4294967295"); /* as it says that one is drawn for each request */
	add_fields(b, sampling);
	strbuf_add_c(
		b,
		",\"max_tokens\":-1,\"n_predict\":-1,\"samplers\":[\"penalties\",\"temperature\",\"top_k\","
		"\"top_p\",\"min_p\"]");
}
