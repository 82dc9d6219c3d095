/* Which control tokens stand in a dialect's markers. */
#include "text/dialect_internal.h"

static bool holds(const char *marker, struct str name)
{
	for (const char *at = marker; at && *at; at++)
		if (strncmp(at, name.ptr, name.len) == 0)
			return true;
	return false;
}

bool dialect_names(const struct dialect *d, const struct dialect_thinking *t, struct str name)
{
	static const char *const harmony[] = {"<|start|>", "<|channel|>", "<|message|>", "<|constrain|>",
					      "<|end|>",   "<|call|>",    "<|return|>"};
	const char *const rows[] = {
		d->open[0],       d->open[1],   d->open[2],     d->close,   d->call,        d->call_end,
		d->name_begin,    d->name_end,  d->id,          d->param,   d->value,       d->param_end,
		d->drop[0],       d->drop[1],   d->drop[2],     d->drop[3], d->write_begin, d->write_call,
		d->write_between, d->write_end, d->write_param, t->open,    t->close};
	bool found = false;
	if (!name.len || memchr(name.ptr, '\0', name.len))
		return false;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		found |= holds(rows[i], name);
	for (size_t i = 0; i < sizeof d->key_end / sizeof *d->key_end && d->key_end[i]; i++)
		found |= holds(d->key_end[i] + 1, name);
	for (size_t i = 0; d->body == BODY_HARMONY && i < sizeof harmony / sizeof *harmony; i++)
		found |= str_eq_c(name, harmony[i]);
	return found;
}
