#include "engine/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

/* Its length goes in too: what is at the end of one text is not at the beginning of the next. */
static uint64_t chain(uint64_t sum, const void *bytes, size_t n)
{
	return siphash(sum, n, bytes ? bytes : "", n);
}

void fingerprint_make(const struct fingerprint_of *of, char out[FINGERPRINT_BYTES])
{
	uint64_t sum = UINT64_C(0x66696e6765727072);
	for (int i = 0; i < STATE_N_FIELDS; i++)
		sum = chain(sum, of->identity->text[i], strlen(of->identity->text[i]));
	sum = chain(sum, of->build, strlen(of->build));
	sum = chain(sum, &of->n_ctx, sizeof of->n_ctx);
	sum = chain(sum, of->chat_template.ptr ? "its own" : "the file's", 8);
	sum = chain(sum, of->chat_template.ptr, of->chat_template.len);
	sum = chain(sum, of->other, strlen(of->other));
	snprintf(out, FINGERPRINT_BYTES, "fp_%016" PRIx64, sum);
}
