/* hokku inspect: what a GGUF file says of itself. Any valid file will do, whether hokku can run it or not. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/inspect.h"
#include "cli/pull_model.h"
#include "model/kind.h"

enum {
	SHOWN_ELEMENTS = 6,   /* of an array */
	SHOWN_STRING = 100,   /* bytes of a string, escapes and quotes included */
	SHOWN_ELEMENT = 40,   /* the same, inside an array */
	SHOWN_KEY_WIDTH = 44, /* longer keys push their row to the right */
};

/* ---- the six lines ---- */

static void widen(struct inspect_number *n, const struct gguf_value *v)
{
	bool is_unsigned =
		v->type == GGUF_U8 || v->type == GGUF_U16 || v->type == GGUF_U32 || v->type == GGUF_U64;
	bool is_signed =
		v->type == GGUF_I8 || v->type == GGUF_I16 || v->type == GGUF_I32 || v->type == GGUF_I64;
	if (!is_unsigned && !(is_signed && v->i64 >= 0))
		return;
	if (!n->known || v->u64 < n->lo)
		n->lo = v->u64;
	if (!n->known || v->u64 > n->hi)
		n->hi = v->u64;
	n->known = true;
}

/* ARCHITECTURE.suffix, a number or an array with a number for each layer. */
static struct inspect_number ask(const struct gguf *g, struct str architecture, const char *suffix)
{
	struct inspect_number n = {0};
	struct strbuf key = {0};
	strbuf_add(&key, architecture.ptr, architecture.len);
	strbuf_addf(&key, ".%s", suffix);
	const struct gguf_value *v = key.failed ? NULL : gguf_find(g, key.ptr);
	strbuf_free(&key);
	if (!v)
		return n;
	if (v->type != GGUF_ARRAY) {
		widen(&n, v);
		return n;
	}
	struct gguf_array_iter it;
	struct gguf_value element;
	gguf_array_iter_init(&it, &v->array);
	while (gguf_array_next(&it, &element))
		widen(&n, &element);
	return n;
}

void inspect_summarise(const struct gguf *g, struct inspect_summary *s)
{
	*s = (struct inspect_summary){0};
	const struct gguf_value *v = gguf_find(g, "general.architecture");
	if (v && v->type == GGUF_STRING)
		s->architecture = v->string;
	s->n_vocab = ask(g, s->architecture, "vocab_size");
	v = gguf_find(g, "tokenizer.ggml.tokens");
	if (!s->n_vocab.known && v && v->type == GGUF_ARRAY)
		s->n_vocab = (struct inspect_number){true, v->array.n, v->array.n};
	s->d_model = ask(g, s->architecture, "embedding_length");
	s->n_layers = ask(g, s->architecture, "block_count");
	s->n_heads = ask(g, s->architecture, "attention.head_count");
	s->n_kv_heads = ask(g, s->architecture, "attention.head_count_kv");
	if (!s->n_kv_heads.known) /* a file that does not say has a KV head for each head */
		s->n_kv_heads = s->n_heads;
	s->n_ctx = ask(g, s->architecture, "context_length");
}

static const char *number_text(const struct inspect_number *n, char out[80])
{
	char lo[32], hi[32];
	if (!n->known)
		return "not given";
	if (n->lo == n->hi)
		return str_thousands(n->lo, out);
	snprintf(out, 80, "%s to %s", str_thousands(n->lo, lo), str_thousands(n->hi, hi));
	return out;
}

/* A plain word stands without quotes. */
static void print_word(struct str s)
{
	char quoted[SHOWN_STRING];
	str_quote(s, quoted, sizeof quoted);
	if (s.len && strlen(quoted) == s.len + 2 && !memchr(s.ptr, ' ', s.len))
		printf("%.*s\n", STR_ARG(s));
	else
		printf("%s\n", s.len ? quoted : "not given");
}

void inspect_summary_text(const struct gguf *g)
{
	char text[80], kv[80];
	struct inspect_summary s;
	inspect_summarise(g, &s);
	printf("architecture:    ");
	print_word(s.architecture);
	printf("vocabulary size: %s\n", number_text(&s.n_vocab, text));
	printf("hidden dim:      %s\n", number_text(&s.d_model, text));
	printf("layers:          %s\n", number_text(&s.n_layers, text));
	printf("heads:           %s", number_text(&s.n_heads, text));
	if (s.n_kv_heads.known)
		printf(" (%s KV)", number_text(&s.n_kv_heads, kv));
	printf("\ncontext:         %s\n", number_text(&s.n_ctx, text));
}

/* ---- metadata ---- */

const char *inspect_float(const struct gguf_value *v, char out[32])
{
	if (!isfinite(v->f64)) {
		snprintf(out, 32, "%s", isnan(v->f64) ? "NaN" : v->f64 < 0 ? "-Infinity" : "Infinity");
		return out;
	}
	bool same = false;
	for (int digits = v->type == GGUF_F32 ? 6 : 15; !same && digits <= 17; digits++) {
		snprintf(out, 32, "%.*g", digits, v->f64);
		same = v->type == GGUF_F32 ? strtof(out, NULL) == (float)v->f64 : strtod(out, NULL) == v->f64;
	}
	if (!strpbrk(out, ".e"))
		memcpy(out + strlen(out), ".0", 3);
	return out;
}

static void print_value(const struct gguf_value *v, size_t max_bytes);

static void print_array(const struct gguf_array *array)
{
	char n[32];
	struct gguf_array_iter it;
	struct gguf_value element;
	printf("%s %s: [", str_thousands(array->n, n), gguf_type_name(array->type));
	gguf_array_iter_init(&it, array);
	for (uint64_t i = 0; i < SHOWN_ELEMENTS && gguf_array_next(&it, &element); i++) {
		printf("%s", i ? ", " : "");
		print_value(&element, SHOWN_ELEMENT);
	}
	printf("%s]", array->n > SHOWN_ELEMENTS ? ", ..." : "");
}

static void print_value(const struct gguf_value *v, size_t max_bytes)
{
	char text[SHOWN_STRING + 32];
	switch (v->type) {
	case GGUF_STRING:
		printf("%s", str_quote(v->string, text, max_bytes));
		if (v->string.len + 2 > max_bytes)
			printf(" (%s bytes)", str_thousands(v->string.len, text));
		break;
	case GGUF_ARRAY:
		print_array(&v->array);
		break;
	case GGUF_BOOL:
		printf("%s", v->u64 ? "true" : "false");
		break;
	case GGUF_F32:
	case GGUF_F64:
		printf("%s", inspect_float(v, text));
		break;
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		printf("%" PRId64, v->i64);
		break;
	default:
		printf("%" PRIu64, v->u64);
		break;
	}
}

static void print_metadata(const struct gguf *g)
{
	char n[32];
	int width = 0;
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		size_t len = gguf_kv_at(g, i)->key.len;
		if (len <= SHOWN_KEY_WIDTH && (int)len > width)
			width = (int)len;
	}
	printf("\nmetadata: %s\n", str_thousands(gguf_n_kv(g), n));
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		printf("  %-*.*s  %-6s  ", width, STR_ARG(kv->key), gguf_type_name(kv->value.type));
		print_value(&kv->value, SHOWN_STRING);
		printf("\n");
	}
}

/* ---- tensors ---- */

static void shape_text(const struct gguf_tensor *t, char out[96])
{
	size_t at = 0;
	snprintf(out, 96, "scalar");
	for (uint32_t d = 0; d < t->n_dims; d++)
		at += (size_t)snprintf(out + at, 96 - at, "%s%" PRIu64, d ? " x " : "", t->dims[d]);
}

static void print_tensors(const struct gguf *g)
{
	char shape[96], n[32], label[16], bytes[32], part[16];
	uint64_t offset;
	int name_width = 4, shape_width = 5, type_width = 7;
	bool removed = false, unknown = false;
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		shape_text(t, shape);
		if ((int)t->name.len > name_width)
			name_width = (int)t->name.len;
		if ((int)strlen(shape) > shape_width)
			shape_width = (int)strlen(shape);
		int type_len = (int)strlen(tensor_type_label(t->type, label));
		type_width = type_len > type_width ? type_len : type_width;
		removed |= tensor_type_removed(t->type, NULL) != NULL;
		unknown |= t->n_bytes == 0;
	}
	printf("\ntensors: %s\n", str_thousands(gguf_n_tensors(g), n));
	if (gguf_n_tensors(g))
		printf("  %-*s  %-*s  %-*s  %s%14s  %14s\n", name_width, "name", shape_width, "shape",
		       type_width, "type", gguf_n_parts(g) ? "part  " : "", "offset", "bytes");
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		shape_text(t, shape);
		snprintf(bytes, sizeof bytes, "%" PRIu64, t->n_bytes);
		snprintf(part, sizeof part, "%4" PRIu32 "  ", gguf_part_of(g, t->offset, &offset) + 1);
		printf("  %-*.*s  %-*s  %-*s  %s%14" PRIu64 "  %14s%s\n", name_width, STR_ARG(t->name),
		       shape_width, shape, type_width, tensor_type_label(t->type, label),
		       gguf_n_parts(g) ? part : "", offset, t->n_bytes ? bytes : "?",
		       tensor_type_get(t->type) ? "" : "  *");
	}
	if (removed)
		printf("  * of a type that was removed from the format\n");
	if (unknown)
		printf("  * of a type that hokku has not heard of, nor of its size\n");
}

struct sum {
	uint64_t n_tensors, n_elements, n_bytes;
};

static void print_sum(const char *name, const struct sum *s, uint64_t all_bytes)
{
	char elements[32], bytes[32];
	printf("  %-7s  %7" PRIu64 "  %18s  %18s  %5.1f%%\n", name, s->n_tensors,
	       str_thousands(s->n_elements, elements), str_thousands(s->n_bytes, bytes),
	       all_bytes ? 100.0 * (double)s->n_bytes / (double)all_bytes : 0.0);
}

/* The largest share first. */
static void print_formats(const struct gguf *g)
{
	struct sum of[TENSOR_N_TYPES + 1] = {{0}}, all = {0}; /* the last: all that is unknown */
	char label[16];
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		struct sum *s = &of[t->n_bytes ? t->type : TENSOR_N_TYPES];
		s->n_tensors++;
		s->n_elements += t->n_elements;
		s->n_bytes += t->n_bytes;
		all.n_tensors++;
		all.n_elements += t->n_elements;
		all.n_bytes += t->n_bytes;
	}
	if (all.n_tensors == 0)
		return;
	printf("\nbytes by format:\n  %-7s  %7s  %18s  %18s  %6s\n", "type", "tensors", "elements", "bytes",
	       "share");
	for (;;) {
		uint32_t largest = 0;
		for (uint32_t id = 1; id < TENSOR_N_TYPES; id++)
			if (of[id].n_bytes > of[largest].n_bytes)
				largest = id;
		if (of[largest].n_bytes == 0)
			break;
		print_sum(tensor_type_label(largest, label), &of[largest], all.n_bytes);
		of[largest] = (struct sum){0};
	}
	if (of[TENSOR_N_TYPES].n_tensors)
		print_sum("unknown", &of[TENSOR_N_TYPES], all.n_bytes);
	print_sum("all", &all, all.n_bytes);
}

static void print_parts(const struct gguf *g)
{
	char bytes[32], tensors[32];
	int width = 0;
	if (!gguf_n_parts(g))
		return;
	for (uint32_t i = 0; i < gguf_n_parts(g); i++) {
		int len = (int)strlen(file_base_name(gguf_path(gguf_part(g, i))));
		width = len > width ? len : width;
	}
	printf("\nparts: %" PRIu32 "\n  %-*s  %18s  %7s\n", gguf_n_parts(g), width, "file", "bytes",
	       "tensors");
	for (uint32_t i = 0; i < gguf_n_parts(g); i++) {
		const struct gguf *part = gguf_part(g, i);
		printf("  %-*s  %18s  %7s\n", width, file_base_name(gguf_path(part)),
		       str_thousands(gguf_file_bytes(part), bytes),
		       str_thousands(gguf_n_tensors(part), tensors));
	}
}

static void print_text(const struct gguf *g)
{
	char bytes[32], data[32], trailing[32], size[32], kind[64];
	uint64_t n = gguf_file_bytes(g);
	inspect_summary_text(g);
	cli_line(stdout, "\nfile: ", gguf_path(g), "");
	if (gguf_is_assembled(g))
		printf("  a folder as transformers writes it, %s bytes", str_thousands(n, bytes));
	else
		printf("  GGUF version %" PRIu32 ", %s bytes", gguf_version(g), str_thousands(n, bytes));
	if (n >= 1024)
		printf(" (%s)", str_bytes(n, size));
	printf(", alignment %" PRIu32, gguf_alignment(g));
	if (gguf_n_tensors(g) && !gguf_n_parts(g))
		printf(", data from byte %s", str_thousands(gguf_data_offset(g), data));
	printf("\n  %s\n", file_kind_text(g, kind, sizeof kind));
	print_parts(g);
	print_metadata(g);
	inspect_tokenizer_text(g);
	print_tensors(g);
	print_formats(g);
	if (gguf_trailing_bytes(g))
		printf("\ntrailing bytes: %s after the last tensor, not used\n",
		       str_thousands(gguf_trailing_bytes(g), trailing));
}

/* ---- the command ---- */

static int run(int argc, char **argv);

const struct cmd cmd_inspect = {
	.name = "inspect",
	.usage = "inspect [FILE] [--check] [--json] [--device NAME]",
	.summary = "print what a GGUF file holds",
	.help = "Prints the model's shape, every key with its value (long ones cut), the tokenizer that they\n"
		"make, every tensor, and the bytes each format takes. Without FILE: of the model inside hokku.\n"
		"Only a file's header is read, so its size does not matter, and any valid file will do, whether\n"
		"hokku can run it or not. Any part of a split model shows all of them, as one model.\n\n"
		"--check reads all tensors as well, with all cores (--threads), and tells NaN, infinities, and\n"
		"zeros where a download left a hole: runs of 4,096 bytes and more that are no whole rows of a\n"
		"matrix, or more than half of one (docs/cli.md). Exit code 1 if there are any.\n\n"
		"--device opens the model as hokku run does and shows what it holds on that device, by class,\n"
		"beside the driver's own figures.\n\n"
		"--json prints everything uncut as one object. 64-bit integers are written in full; floats\n"
		"read back exactly; NaN and infinities are \"NaN\", \"Infinity\", \"-Infinity\"; a string that\n"
		"is not UTF-8 is {\"hex\": \"...\"}.\n\n"
		"Examples:\n"
		"  hokku inspect\n"
		"  hokku inspect model.gguf\n"
		"  hokku inspect model.gguf --check\n"
		"  hokku inspect model.gguf --json | jq '.tensors[].name'\n"
		"  hokku inspect model.gguf --device cuda --ctx 8192\n",
	.run = run,
};

struct options {
	struct engine_config config;
	bool json, check;
};

static int print_all(const struct gguf *g, const struct options *o, const struct inspect_device *device)
{
	struct check_result check = {0};
	struct hokku_error err;
	if (o->check && o->json && inspect_check(g, o->config.n_threads, &check, &err))
		return cli_fail(&err);
	if (o->json) {
		inspect_json(g, o->check ? &check : NULL, device);
	} else {
		print_text(g);
		if (device)
			inspect_device_text(device);
		fflush(stdout); /* the check may take a while */
		if (o->check && inspect_check(g, o->config.n_threads, &check, &err))
			return cli_fail(&err);
		if (o->check)
			inspect_check_text(g, &check);
	}
	if (check.n)
		fprintf(stderr, "hokku: %s: the check found %zu things that no sound file holds\n",
			gguf_path(g), check.n);
	int code = check.n ? EXIT_FAILED : EXIT_OK;
	check_free(&check);
	return cli_finish(code);
}

static int run(int argc, char **argv)
{
	struct options o = {0};
	struct inspect_device device = {0};
	struct opt_table table = {0};
	struct hokku_error err;
	struct gguf *g = NULL;
	opt_add(&table, &(struct opt){.name = "json",
				      .kind = OPT_FLAG,
				      .target = &o.json,
				      .help = "one JSON object, nothing cut"});
	opt_add(&table,
		&(struct opt){
			.name = "check",
			.kind = OPT_FLAG,
			.target = &o.check,
			.help = "read every block; NaN, infinities and holes are told, and the exit code 1"});
	opt_add_engine(&table, &o.config);
	for (size_t i = 1; i < table.n; i++) {
		table.rows[i].env = false; /* only who asks here for a device gets one */
		if (table.rows[i].target == &o.config.device)
			table.rows[i].fallback = "none: only the file is read";
	}
	int n, rc = cli_parse(&cmd_inspect, table.rows, argc, argv, &o.config.model_path, 1, &n);
	if (rc >= 0)
		return rc;
	char *path;
	enum hokku_code failed = cli_find_here(o.config.model_path, &path, &err);
	o.config.model_path = path;
	if (!failed)
		failed = engine_open_file(path, &g, &err);
	if (!failed && o.config.device)
		failed = inspect_device_open(&o.config, &device, &err);
	rc = failed ? cli_fail(&err) : print_all(g, &o, o.config.device ? &device : NULL);
	inspect_device_close(&device);
	gguf_close(g);
	free(path);
	return rc;
}
