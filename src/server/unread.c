#include "server/unread.h"

enum unread_step unread_take(const struct unread_limits *limits, size_t n_sending, struct str bytes,
			     struct strbuf *held, size_t *n_all)
{
	if (n_sending + held->len + bytes.len > limits->unread)
		return UNREAD_TOO_MUCH;
	if (held->len == 0 && n_sending + bytes.len <= limits->sending)
		return UNREAD_SEND;
	if (*n_all + bytes.len > limits->held)
		return UNREAD_TOO_MUCH_OF_ALL;
	if (!strbuf_reserve(held, bytes.len))
		return UNREAD_NO_MEMORY;
	strbuf_add(held, bytes.ptr, bytes.len);
	*n_all += bytes.len;
	return UNREAD_HELD;
}

bool unread_is_due(const struct unread_limits *limits, size_t n_sending, const struct strbuf *held)
{
	return held->len && n_sending <= limits->sending / 2;
}

void unread_forget(struct strbuf *held, size_t *n_all)
{
	*n_all -= held->len;
	strbuf_free(held);
}
