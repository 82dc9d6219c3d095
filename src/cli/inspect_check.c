/* `hokku inspect --check`: what check_file found, in words and as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/inspect.h"

static void on_progress(void *begin_ns, uint64_t done, uint64_t all)
{
	cli_progress_bytes("checking", done, all, clock_ms_since(*(const uint64_t *)begin_ns) * 1e-3);
}

enum hokku_code inspect_check(const struct gguf *g, uint32_t n_threads, struct check_result *out,
			      struct hokku_error *err)
{
	uint64_t begin_ns = clock_ns();
	const struct check_params p = {
		.file = g, .n_threads = n_threads, .on_progress = on_progress, .user = &begin_ns};
	enum hokku_code rc = check_file(&p, out, err);
	if (rc)
		cli_progress_bytes("checking", 1, 1, 0); /* wipes the line */
	return rc;
}

/* "row 12, column 64"; "element 64" of a vector. */
static const char *position_text(const struct gguf_tensor *t, uint64_t element, char out[96])
{
	char row[32], column[32];
	if (t->n_elements == t->dims[0])
		snprintf(out, 96, "element %s", str_thousands(element, column));
	else
		snprintf(out, 96, "row %s, column %s", str_thousands(element / t->dims[0], row),
			 str_thousands(element % t->dims[0], column));
	return out;
}

static uint32_t block_elements(const struct gguf_tensor *t)
{
	const struct tensor_type_info *info = tensor_type_get(t->type);
	return (info ? info : tensor_type_removed(t->type, NULL))->block_elements;
}

/* "the file"; the name of a part. *in_part: where byte `offset` is there. */
static const char *place_text(const struct gguf *g, uint64_t offset, uint64_t *in_part)
{
	const struct gguf *part = gguf_part(g, gguf_part_of(g, offset, in_part));
	if (!part)
		return "the file";
	return file_base_name(gguf_path(part));
}

static void print_finding(const struct gguf *g, const struct check_finding *f)
{
	const struct gguf_tensor *t = f->tensor;
	char n[32], all[32], at[96], begin[32];
	uint32_t block = block_elements(t);
	uint64_t byte;
	const char *where = place_text(g, f->begin > t->offset ? f->begin : t->offset, &byte);
	position_text(t, f->first, at);
	printf("  %.*s: ", STR_ARG(t->name));
	if (f->kind == CHECK_ZEROS && f->n == t->n_bytes)
		printf("all of its %s bytes are zero, from byte %s of %s\n", str_thousands(f->n, n),
		       str_thousands(byte, begin), where);
	else if (f->kind == CHECK_ZEROS)
		printf("%s of its %s bytes are zero, one after another from %s, byte %s of %s\n",
		       str_thousands(f->n, n), str_thousands(t->n_bytes, all), at, str_thousands(byte, begin),
		       where);
	else if (block > 1)
		printf("%s of its %s blocks have a scale that is %s%s, the first at %s\n",
		       str_thousands(f->n, n), str_thousands(t->n_elements / block, all),
		       f->kind == CHECK_NAN ? "" : "an ", check_kind_name(f->kind), at);
	else
		printf("%s of its %s elements are %s, the first is %s\n", str_thousands(f->n, n),
		       str_thousands(t->n_elements, all), f->kind == CHECK_NAN ? "NaN" : "infinite", at);
}

/* Runs may reach over several tensors: each is told once. */
static void print_runs(const struct gguf *g, const struct check_result *r)
{
	char n[32], begin[32], end[32];
	uint64_t told = 0;
	for (size_t i = 0; i < r->n; i++) {
		const struct check_finding *f = &r->findings[i];
		if (f->kind != CHECK_ZEROS || f->end <= told)
			continue;
		uint64_t byte;
		const char *where = place_text(g, f->begin, &byte);
		told = f->end;
		printf("  zeros from byte %s to %s of %s, %s bytes: so looks a download of which a part never "
		       "came; fetch the file again\n",
		       str_thousands(byte, begin), str_thousands(byte + (f->end - 1 - f->begin), end), where,
		       str_thousands(f->end - f->begin, n));
	}
}

void inspect_check_text(const struct gguf *g, const struct check_result *r)
{
	char bytes[32], tensors[32];
	printf("\ncheck: %s in %s tensors read, ", str_bytes(r->n_bytes, bytes),
	       str_thousands(r->n_tensors, tensors));
	if (r->n == 0)
		printf("nothing wrong\n");
	else
		printf("%s wrong:\n", str_thousands(r->n, tensors));
	for (size_t i = 0; i < r->n; i++)
		print_finding(g, &r->findings[i]);
	print_runs(g, r);
	if (r->n_unknown)
		printf("  not looked at: tensors of types that hokku has not heard of, %s\n",
		       str_thousands(r->n_unknown, tensors));
}

void inspect_check_json(const struct gguf *g, const struct check_result *r, struct strbuf *b)
{
	strbuf_addf(b,
		    "  \"check\": {\n    \"tensors\": %" PRIu64 ",\n    \"bytes\": %" PRIu64
		    ",\n    \"tensors_not_read\": %" PRIu64 ",\n    \"wrong\": [",
		    r->n_tensors, r->n_bytes, r->n_unknown);
	for (size_t i = 0; i < r->n; i++) {
		const struct check_finding *f = &r->findings[i];
		const struct gguf_tensor *t = f->tensor;
		const char *unit = f->kind == CHECK_ZEROS  ? "bytes"
				   : block_elements(t) > 1 ? "blocks"
							   : "elements";
		strbuf_addf(b, "%s{\"tensor\": ", i ? ",\n      " : "\n      ");
		strbuf_add_json(b, t->name.ptr, t->name.len);
		strbuf_addf(
			b,
			", \"what\": \"%s\", \"%s\": %" PRIu64 ", \"row\": %" PRIu64 ", \"column\": %" PRIu64,
			check_kind_name(f->kind), unit, f->n, f->first / t->dims[0], f->first % t->dims[0]);
		uint64_t begin;
		uint32_t part = gguf_part_of(g, f->kind == CHECK_ZEROS ? f->begin : t->offset, &begin);
		if (gguf_n_parts(g))
			strbuf_addf(b, ", \"part\": %" PRIu32, part + 1);
		if (f->kind == CHECK_ZEROS)
			strbuf_addf(b, ", \"file_bytes\": [%" PRIu64 ", %" PRIu64 "]", begin,
				    begin + (f->end - f->begin));
		strbuf_add_c(b, "}");
	}
	strbuf_add_c(b, r->n ? "\n    ]\n  },\n" : "]\n  },\n");
}
