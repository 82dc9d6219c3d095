#include "cli/fit_show.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* ---- for people ---- */

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* "4.0 GiB of 6.1 GiB available", or without the last where nobody says. */
static void print_verdict(const struct fit_device *d)
{
	const struct compute_need *need = &d->fit.need;
	char sum[32], have[32], all[32];
	bool known = need->available_bytes != UINT64_MAX;
	printf("\n%s: %s, %s of %s available", d->text, need->fits ? "fits" : "does not fit",
	       str_bytes(compute_memory_sum(&need->memory), sum),
	       known ? str_bytes(need->available_bytes, have) : "what nobody says is");
	if (d->total_bytes)
		printf(" (of %s)", str_bytes(d->total_bytes, all));
	printf("\n");
}

static void print_class(const char *name, uint64_t bytes)
{
	char text[32], exact[32];
	printf("  %-10s %10s  %18s", name, str_bytes(bytes, text), str_thousands(bytes, exact));
}

static void print_contexts(const struct fit_device *d, uint32_t n_ctx_train)
{
	const struct engine_fit *f = &d->fit;
	char a[32], b[32], c[32], e[32];
	printf("  fits       ");
	if (!f->most_ctx_alone)
		printf("no context at all");
	else
		printf("a context of %s%s", str_thousands(f->most_ctx_alone, a),
		       f->most_ctx_alone == n_ctx_train ? ", which is all that it was trained for" : "");
	if (f->n_streams > 1)
		printf("; %s for each of %s streams", str_thousands(f->most_ctx, b),
		       str_thousands(f->n_streams, c));
	printf("; %s stream%s of %s%s\n", str_thousands(f->most_streams, b), plural(f->most_streams),
	       str_thousands(f->n_ctx, e),
	       f->most_streams == ENGINE_MAX_PARALLEL ? ", the most that there may be" : "");
}

/* What a server gives to KV memory, where nobody says how much. */
static void print_server(const struct fit_device *d)
{
	const struct engine_fit *f = &d->fit;
	const struct compute_need *s = &f->server;
	char sum[32], kv[32];
	if (!s->fits)
		return;
	uint64_t contexts = s->memory.kv_bytes / f->stream_bytes;
	printf("  serve      takes %s, of which %s are KV: %llu whole context%s, which requests share",
	       str_bytes(compute_memory_sum(&s->memory), sum), str_bytes(s->memory.kv_bytes, kv),
	       (unsigned long long)contexts, plural(contexts));
	if (f->need.fits && contexts < f->n_streams)
		printf("; --kv-bytes %llu has %u", (unsigned long long)f->kv_bytes_to_have, f->n_streams);
	printf("\n");
}

static void print_rate(double rate)
{
	char text[32];
	if (rate < 100)
		printf("%.1f", rate);
	else
		printf("%s", str_thousands((uint64_t)rate, text));
}

static void print_speed(const struct model *m, const struct fit_device *d)
{
	const struct engine_fit *f = &d->fit;
	const struct fit_limits *l = &d->limits;
	char n[32];
	struct fit_speed empty = fit_decode(m, d, 1), full = fit_decode(m, d, f->n_ctx),
			 prefill = fit_prefill(m, d, f->n_ctx);
	if (d->unmeasured.code) {
		printf("  speed      was not measured: %s\n", d->unmeasured.message);
		return;
	}
	if (empty.tokens_per_s > 0) {
		printf("  decode     at most ");
		print_rate(empty.tokens_per_s);
		printf(" tokens/s at the beginning, ");
		print_rate(full.tokens_per_s);
		printf(" at a context of %s (%s)\n", str_thousands(f->n_ctx, n),
		       full.by_memory ? "memory" : "operations");
	}
	if (prefill.tokens_per_s > 0 && l->ops_per_s > 0) {
		printf("  prefill    at most ");
		print_rate(prefill.tokens_per_s);
		printf(" tokens/s of a prompt of %s (%s)\n", str_thousands(f->n_ctx, n),
		       prefill.by_memory ? "memory" : "operations");
	}
	printf("  measured   memory is read at %.1f GB/s", l->read_bytes_per_s * 1e-9);
	if (l->ops_per_s > 0)
		printf(", %s at %.0f G operations/s", l->ops_of, l->ops_per_s * 1e-9);
	printf("\n");
}

static void print_device(const struct model *m, const struct fit_list *list, const struct fit_device *d)
{
	const struct engine_fit *f = &d->fit;
	const struct compute_memory *of = &f->need.memory;
	char token[32], stream[32], n[32];
	if (d->err.code) {
		printf("\n%s: %s\n", *d->text ? d->text : d->name, d->err.message);
		return;
	}
	print_verdict(d);
	if (f->n_ctx < f->n_ctx_wanted)
		printf("  context    %s, as much as fits: the default, %s, does not\n",
		       str_thousands(f->n_ctx, n), str_thousands(f->n_ctx_wanted, token));
	print_class("weights", of->weight_bytes);
	printf("\n");
	print_class("KV", of->kv_bytes);
	printf("  %s a token, %s a context of %s; keys %s, values %s\n", str_bytes(f->token_bytes, token),
	       str_bytes(f->stream_bytes, stream), str_thousands(f->n_ctx, n), cache_type_name(of->cache.k),
	       cache_type_name(of->cache.v));
	print_class("scratch", of->scratch_bytes);
	printf("\n");
	print_class("sum", compute_memory_sum(of));
	printf("%s\n", strncmp(d->name, "cuda", 4) == 0
			       ? "  and what the driver takes for kernels, some tens of MiB"
			       : "");
	print_contexts(d, m->hp.n_ctx_train);
	print_server(d);
	if (list->measured)
		print_speed(m, d);
}

void fit_print_text(const struct model *m, uint64_t file_bytes, const struct fit_list *list)
{
	char params[32], bytes[32], ctx[32], trained[32];
	const struct engine_fit *first = NULL;
	for (uint32_t i = 0; i < list->n && !first; i++)
		first = list->devices[i].err.code ? NULL : &list->devices[i].fit;
	printf("%s: %s, %s, %s parameters, %s\n", m->name, m->arch_name, m->format_name,
	       str_thousands(m->n_params, params), str_bytes(file_bytes, bytes));
	if (first)
		printf("%u stream%s, %s context of %s (the model was trained for %s)\n", first->n_streams,
		       plural(first->n_streams), first->n_streams == 1 ? "a" : "each with a",
		       str_thousands(first->n_ctx_wanted, ctx), str_thousands(m->hp.n_ctx_train, trained));
	for (uint32_t i = 0; i < list->n; i++)
		print_device(m, list, &list->devices[i]);
	if (list->no_gpu.code)
		printf("\nno GPU: %s\n", list->no_gpu.message);
}

/* ---- for programs ---- */

static json_t *memory_json(const struct compute_need *need)
{
	const struct compute_memory *m = &need->memory;
	return json_pack("{s:I, s:I, s:I, s:I, s:b}", "weights", (json_int_t)m->weight_bytes, "kv",
			 (json_int_t)m->kv_bytes, "scratch", (json_int_t)m->scratch_bytes, "sum",
			 (json_int_t)compute_memory_sum(m), "fits", need->fits);
}

static json_t *rate_json(struct fit_speed s)
{
	if (s.tokens_per_s <= 0)
		return json_null();
	return json_pack("{s:f, s:s}", "tokens_per_s", s.tokens_per_s, "limit",
			 s.by_memory ? "memory" : "operations");
}

static json_t *speed_json(const struct model *m, const struct fit_device *d)
{
	const struct fit_limits *l = &d->limits;
	json_t *ops = l->ops_per_s > 0 ? json_real(l->ops_per_s) : json_null();
	if (d->unmeasured.code) {
		json_decref(ops);
		return json_pack("{s:s}", "error", d->unmeasured.message);
	}
	return json_pack("{s:f, s:o, s:o, s:o, s:o}", "read_bytes_per_s", l->read_bytes_per_s, "ops_per_s",
			 ops, "decode", rate_json(fit_decode(m, d, 1)), "decode_full",
			 rate_json(fit_decode(m, d, d->fit.n_ctx)), "prefill",
			 rate_json(fit_prefill(m, d, d->fit.n_ctx)));
}

static json_t *bytes_json(uint64_t bytes, uint64_t unknown)
{
	return bytes == unknown ? json_null() : json_integer((json_int_t)bytes);
}

static json_t *device_json(const struct model *m, const struct fit_list *list, const struct fit_device *d)
{
	const struct engine_fit *f = &d->fit;
	if (d->err.code)
		return json_pack("{s:s, s:s, s:s}", "device", d->name, "code", hokku_code_name(d->err.code),
				 "error", d->err.message);
	json_t *out =
		json_pack("{s:s, s:i, s:s, s:o, s:o, s:b, s:o, s:o, s:I, s:I, s:s, s:s, s:i, s:i, s:i, s:I}",
			  "device", d->name, "context", (int)f->n_ctx, "text", d->text, "total_bytes",
			  bytes_json(d->total_bytes, 0), "available_bytes",
			  bytes_json(f->need.available_bytes, UINT64_MAX), "fits", f->need.fits, "bytes",
			  memory_json(&f->need), "serve_bytes", memory_json(&f->server), "kv_bytes_per_token",
			  (json_int_t)f->token_bytes, "kv_bytes_per_context", (json_int_t)f->stream_bytes,
			  "cache_type_k", cache_type_name(f->need.memory.cache.k), "cache_type_v",
			  cache_type_name(f->need.memory.cache.v), "most_context_alone",
			  (int)f->most_ctx_alone, "most_context", (int)f->most_ctx, "most_parallel",
			  (int)f->most_streams, "kv_bytes_option", (json_int_t)f->kv_bytes_to_have);
	if (out && list->measured)
		json_object_set_new(out, "speed", speed_json(m, d));
	return out;
}

enum hokku_code fit_print_json(const struct model *m, uint64_t file_bytes, const struct fit_list *list,
			       struct hokku_error *err)
{
	json_t *devices = json_array();
	const struct engine_fit *first = NULL;
	for (uint32_t i = 0; i < list->n; i++) {
		const struct fit_device *d = &list->devices[i];
		first = first || d->err.code ? first : &d->fit;
		json_array_append_new(devices, device_json(m, list, d));
	}
	json_t *all =
		json_pack("{s:{s:s, s:s, s:s, s:I, s:I, s:i}, s:i, s:i, s:o}", "model", "name", m->name,
			  "architecture", m->arch_name, "format", m->format_name, "n_params",
			  (json_int_t)m->n_params, "file_bytes", (json_int_t)file_bytes, "context_trained",
			  (int)m->hp.n_ctx_train, "context", first ? (int)first->n_ctx_wanted : 0, "parallel",
			  first ? (int)first->n_streams : 0, "devices", devices);
	if (all && list->no_gpu.code)
		json_object_set_new(all, "cuda_error", json_string(list->no_gpu.message));
	bool ok = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0;
	json_decref(all);
	printf("\n");
	return ok ? HOKKU_OK : err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the list of devices");
}
