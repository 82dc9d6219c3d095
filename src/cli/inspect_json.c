/*
 * `hokku inspect --json`: written piece by piece and not through a tree of values, so that 64-bit integers
 * stay exact and a vocabulary of any length costs no memory.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cli/inspect.h"
#include "model/kind.h"

enum { FLUSH_BYTES = 1 << 16 };

static void flush(struct strbuf *b)
{
	if (b->len)
		fwrite(b->ptr, 1, b->len, stdout);
	strbuf_clear(b);
}

/* Bytes that are no text would be lost in a JSON string: they become {"hex": "..."}. */
static void add_string(struct strbuf *b, struct str s)
{
	if (utf8_valid_prefix(s.ptr, s.len) == s.len) {
		strbuf_add_json(b, s.ptr, s.len);
		return;
	}
	strbuf_add_c(b, "{\"hex\": \"");
	for (size_t i = 0; i < s.len; i++)
		strbuf_addf(b, "%02x", (unsigned char)s.ptr[i]);
	strbuf_add_c(b, "\"}");
}

static void add_value(struct strbuf *b, const struct gguf_value *v);

static void add_array(struct strbuf *b, const struct gguf_array *array)
{
	struct gguf_array_iter it;
	struct gguf_value element;
	strbuf_add_c(b, "[");
	gguf_array_iter_init(&it, array);
	for (uint64_t i = 0; gguf_array_next(&it, &element); i++) {
		if (i)
			strbuf_add_c(b, ", ");
		add_value(b, &element);
		if (b->len > FLUSH_BYTES)
			flush(b);
	}
	strbuf_add_c(b, "]");
}

static void add_value(struct strbuf *b, const struct gguf_value *v)
{
	char number[32];
	switch (v->type) {
	case GGUF_STRING:
		add_string(b, v->string);
		break;
	case GGUF_ARRAY:
		add_array(b, &v->array);
		break;
	case GGUF_BOOL:
		strbuf_add_c(b, v->u64 ? "true" : "false");
		break;
	case GGUF_F32:
	case GGUF_F64:
		strbuf_addf(b, isfinite(v->f64) ? "%s" : "\"%s\"", inspect_float(v, number));
		break;
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		strbuf_addf(b, "%" PRId64, v->i64);
		break;
	default:
		strbuf_addf(b, "%" PRIu64, v->u64);
		break;
	}
}

static void add_number(struct strbuf *b, const char *label, const struct inspect_number *n)
{
	strbuf_addf(b, ",\n    \"%s\": ", label);
	if (!n->known)
		strbuf_add_c(b, "null");
	else if (n->lo == n->hi)
		strbuf_addf(b, "%" PRIu64, n->lo);
	else
		strbuf_addf(b, "[%" PRIu64 ", %" PRIu64 "]", n->lo, n->hi);
}

static void add_summary(struct strbuf *b, const struct gguf *g)
{
	struct inspect_summary s;
	inspect_summarise(g, &s);
	strbuf_add_c(b, "  \"summary\": {\n    \"architecture\": ");
	if (s.architecture.len)
		add_string(b, s.architecture);
	else
		strbuf_add_c(b, "null");
	add_number(b, "vocabulary_size", &s.n_vocab);
	add_number(b, "hidden_dim", &s.d_model);
	add_number(b, "layers", &s.n_layers);
	add_number(b, "heads", &s.n_heads);
	add_number(b, "kv_heads", &s.n_kv_heads);
	add_number(b, "context", &s.n_ctx);
	strbuf_add_c(b, "\n  },\n");
}

static void add_metadata(struct strbuf *b, const struct gguf *g)
{
	strbuf_add_c(b, "  \"metadata\": {");
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		strbuf_add_c(b, i ? ",\n    " : "\n    ");
		strbuf_add_json(b, kv->key.ptr, kv->key.len);
		strbuf_addf(b, ": {\"type\": \"%s\", ", gguf_type_name(kv->value.type));
		if (kv->value.type == GGUF_ARRAY)
			strbuf_addf(b, "\"element_type\": \"%s\", ", gguf_type_name(kv->value.array.type));
		strbuf_addf(b, "\"offset\": %" PRIu64 ", \"value\": ", kv->offset);
		add_value(b, &kv->value);
		strbuf_add_c(b, "}");
		if (b->len > FLUSH_BYTES)
			flush(b);
	}
	strbuf_add_c(b, gguf_n_kv(g) ? "\n  },\n" : "},\n");
}

static void add_tensors(struct strbuf *b, const struct gguf *g)
{
	char label[16];
	strbuf_add_c(b, "  \"tensors\": [");
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		strbuf_add_c(b, i ? ",\n    {\"name\": " : "\n    {\"name\": ");
		strbuf_add_json(b, t->name.ptr, t->name.len);
		strbuf_add_c(b, ", \"shape\": [");
		for (uint32_t d = 0; d < t->n_dims; d++)
			strbuf_addf(b, "%s%" PRIu64, d ? ", " : "", t->dims[d]);
		uint64_t offset;
		uint32_t part = gguf_part_of(g, t->offset, &offset);
		strbuf_addf(b, "], \"type\": \"%s\", ", tensor_type_label(t->type, label));
		if (gguf_n_parts(g))
			strbuf_addf(b, "\"part\": %" PRIu32 ", ", part + 1);
		strbuf_addf(b, "\"offset\": %" PRIu64 ", \"bytes\": ", offset);
		if (t->n_bytes)
			strbuf_addf(b, "%" PRIu64, t->n_bytes);
		else
			strbuf_add_c(b, "null");
		if (!tensor_type_get(t->type))
			strbuf_addf(b, ", \"note\": \"%s type\"", t->n_bytes ? "removed" : "unknown");
		strbuf_add_c(b, "}");
		if (b->len > FLUSH_BYTES)
			flush(b);
	}
	strbuf_add_c(b, gguf_n_tensors(g) ? "\n  ]\n" : "]\n");
}

static void add_parts(struct strbuf *b, const struct gguf *g)
{
	if (!gguf_n_parts(g))
		return;
	strbuf_add_c(b, "  \"parts\": [");
	for (uint32_t i = 0; i < gguf_n_parts(g); i++) {
		const struct gguf *part = gguf_part(g, i);
		strbuf_add_c(b, i ? ",\n    {\"file\": " : "\n    {\"file\": ");
		strbuf_add_json(b, gguf_path(part), strlen(gguf_path(part)));
		strbuf_addf(b,
			    ", \"bytes\": %" PRIu64 ", \"gguf_version\": %" PRIu32 ", \"alignment\": %" PRIu32
			    ", \"data_offset\": %" PRIu64 ", \"tensors\": %" PRIu64 "}",
			    gguf_file_bytes(part), gguf_version(part), gguf_alignment(part),
			    gguf_data_offset(part), gguf_n_tensors(part));
	}
	strbuf_add_c(b, "\n  ],\n");
}

void inspect_json(const struct gguf *g, const struct check_result *c, const struct inspect_device *d)
{
	struct strbuf b = {0};
	char kind[64];
	strbuf_add_c(&b, "{\n  \"file\": ");
	strbuf_add_json(&b, gguf_path(g), strlen(gguf_path(g)));
	strbuf_add_c(&b, ",\n  \"kind\": ");
	file_kind_text(g, kind, sizeof kind);
	strbuf_add_json(&b, kind, strlen(kind));
	strbuf_addf(&b, ",\n  \"file_bytes\": %" PRIu64 ",\n  \"gguf_version\": %" PRIu32, gguf_file_bytes(g),
		    gguf_version(g));
	strbuf_addf(&b, ",\n  \"alignment\": %" PRIu32 ",\n  \"data_offset\": %" PRIu64, gguf_alignment(g),
		    gguf_data_offset(g));
	strbuf_addf(&b, ",\n  \"trailing_bytes\": %" PRIu64 ",\n", gguf_trailing_bytes(g));
	add_parts(&b, g);
	add_summary(&b, g);
	inspect_tokenizer_json(g, &b);
	if (d)
		inspect_device_json(d, &b);
	if (c)
		inspect_check_json(g, c, &b);
	add_metadata(&b, g);
	add_tensors(&b, g);
	strbuf_add_c(&b, "}\n");
	flush(&b);
	strbuf_free(&b);
}
