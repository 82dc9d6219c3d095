#include "constrain/pointer.h"

#include <string.h>

/* A name as part of a pointer. */
static void add_escaped(struct strbuf *out, struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		if (c == '~' || c == '/')
			strbuf_add_c(out, c == '~' ? "~0" : "~1");
		else if (c < 0x20 || c == 0x7f)
			strbuf_addf(out, "\\u%04x", c);
		else
			strbuf_add(out, name.ptr + i, 1);
	}
}

static bool point_at(const struct jv *in, const struct jv *at, struct strbuf *out)
{
	if (in == at)
		return true;
	size_t len = out->len;
	for (uint32_t i = 0; (in->type == JV_OBJECT || in->type == JV_ARRAY) && i < in->n; i++) {
		strbuf_add_c(out, "/");
		if (in->type == JV_OBJECT)
			add_escaped(out, jv_key(in, i));
		else
			strbuf_addf(out, "%u", i);
		if (point_at(in->type == JV_OBJECT ? jv_value(in, i) : &in->items[i], at, out))
			return true;
		out->len = len;
	}
	return false;
}

void pointer_add(const struct jv *root, const struct jv *at, struct strbuf *out)
{
	size_t len = out->len;
	if (!point_at(root, at, out))
		out->len = len;
}

/* The end of the pointer says more than its beginning, but a person reads it from there. */
void pointer_cut(char *out, size_t size, struct str place)
{
	if (place.len < size) {
		memcpy(out, place.ptr ? place.ptr : "", place.len);
		out[place.len] = 0;
		return;
	}
	size_t n = utf8_valid_prefix(place.ptr, size - 4);
	memcpy(out, place.ptr, n);
	memcpy(out + n, "...", 4);
}
