#include "server/prom.h"

#include <inttypes.h>

/* What stands for a byte that would end its place; NULL: itself. In help a quote is a plain character. */
static const char *escape_of(char c, bool quoted)
{
	return c == '\0'            ? "\xEF\xBF\xBD"
	       : c == '\\'          ? "\\\\"
	       : c == '\n'          ? "\\n"
	       : c == '"' && quoted ? "\\\""
				    : NULL;
}

static void add_escaped(struct strbuf *out, struct str s, bool quoted)
{
	size_t i = 0;
	while (i < s.len) {
		size_t n = utf8_valid_prefix(s.ptr + i, s.len - i), end = i + n;
		for (; i < end; i++) {
			const char *escape = escape_of(s.ptr[i], quoted);
			if (escape)
				strbuf_add_c(out, escape);
			else
				strbuf_add(out, s.ptr + i, 1);
		}
		if (i < s.len) {
			strbuf_add_c(out, "\xEF\xBF\xBD");
			i++;
		}
	}
}

void prom_family(struct strbuf *out, const char *name, const char *type, const char *help)
{
	strbuf_addf(out, "# HELP %s ", name);
	add_escaped(out, str_c(help), false);
	strbuf_addf(out, "\n# TYPE %s %s\n", name, type);
}

void prom_label(struct strbuf *labels, const char *name, struct str value)
{
	strbuf_addf(labels, "%s%s=\"", labels->len ? "," : "", name);
	add_escaped(labels, value, true);
	strbuf_add_c(labels, "\"");
}

/* The name, then the labels and one more (NULL: none) in braces. */
static void add_series(struct strbuf *out, const char *name, const char *suffix, const struct strbuf *labels,
		       const char *more)
{
	strbuf_addf(out, "%s%s", name, suffix);
	if (labels->len || more)
		strbuf_addf(out, "{%s%s%s}", labels->len ? labels->ptr : "", labels->len && more ? "," : "",
			    more ? more : "");
}

void prom_sample(struct strbuf *out, const char *name, const struct strbuf *labels, double value)
{
	out->failed |= labels->failed;
	add_series(out, name, "", labels, NULL);
	strbuf_addf(out, " %.15g\n", value);
}

void prom_histogram(struct strbuf *out, const char *name, const struct strbuf *labels,
		    const struct histogram *h)
{
	struct strbuf le = {0};
	uint64_t n = 0;
	for (uint32_t i = 0; i <= h->n_bounds; i++) {
		strbuf_clear(&le);
		if (i < h->n_bounds)
			strbuf_addf(&le, "le=\"%.15g\"", h->bounds[i]);
		else
			strbuf_add_c(&le, "le=\"+Inf\"");
		n += h->counts[i];
		out->failed |= le.failed;
		add_series(out, name, "_bucket", labels, le.failed ? "" : le.ptr);
		strbuf_addf(out, " %" PRIu64 "\n", n);
	}
	add_series(out, name, "_sum", labels, NULL);
	strbuf_addf(out, " %.15g\n", h->sum);
	add_series(out, name, "_count", labels, NULL);
	strbuf_addf(out, " %" PRIu64 "\n", n);
	out->failed |= labels->failed;
	strbuf_free(&le);
}
