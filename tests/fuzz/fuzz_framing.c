/* Heads of HTTP requests: the verdict must not depend on how the bytes arrived, and must be one the server
 * can send. */
#include <stdlib.h>

#include "server/framing.h"

enum { MAX_HEAD = 512, MAX_BODY = 1000 };

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The verdict on the bytes, fed `step` at a time until there is one. */
static int judge(const uint8_t *data, size_t size, size_t step, bool *complete)
{
	struct framing f = {0};
	struct framing_fault fault = {0};
	for (size_t at = 0; at < size && !f.complete && !fault.status; at += step) {
		framing_add(&f, (const char *)data + at, size - at < step ? size - at : step, MAX_HEAD);
		framing_check(&f, MAX_HEAD, MAX_BODY, &fault);
	}
	require(fault.status == 0 || fault.status == 400 || fault.status == 413 || fault.status == 501);
	require((fault.status == 0) == (fault.text[0] == '\0'));
	require(utf8_valid_prefix(fault.text, strlen(fault.text)) == strlen(fault.text));
	*complete = f.complete;
	strbuf_free(&f.head);
	return fault.status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool whole, bytewise;
	int status = judge(data, size, size ? size : 1, &whole);
	require(judge(data, size, 1, &bytewise) == status && whole == bytewise);
	return 0;
}
