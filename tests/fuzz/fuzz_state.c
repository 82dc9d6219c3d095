/* Any bytes as a state file: they are refused with a message, or their header is the one that a writer makes
 * of what was read, and blocks and checksum lie within them. The checksum of the header is made right first,
 * or nothing would come through. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/state_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_read(const struct state_header *h, const uint8_t *bytes, uint32_t n, uint64_t size)
{
	struct state_header again = *h;
	struct strbuf b = {0};
	int32_t *ids = malloc(h->n_ids * sizeof *ids);
	uint64_t at = n;
	check(ids != NULL);
	state_read_ids(h, bytes, ids);
	check(state_measure(&again));
	state_put_header(&again, ids, &b);
	check(b.failed || (b.len == n && memcmp(b.ptr, bytes, n) == 0));
	for (uint32_t i = 0; i < h->n_blocks; i++)
		at += state_piece_bytes(h, i);
	check(at + STATE_SUM_BYTES == size);
	check(state_check_identity(&again.identity, &h->identity, "fuzz", NULL) == HOKKU_OK);
	strbuf_free(&b);
	free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hokku_error err = {0};
	struct state_header h;
	uint32_t n;
	size_t fixed = size < STATE_FIXED_BYTES ? size : STATE_FIXED_BYTES;
	if (state_read_fixed(data, fixed, size, "fuzz", &n, &err)) {
		check(err.message[0]);
		return 0;
	}
	check(n <= size);
	uint8_t *bytes = malloc(n); /* so that a read beyond it is seen */
	check(bytes != NULL);
	memcpy(bytes, data, n);
	if (state_read_header(bytes, n, size, "fuzz", &h, &err) == HOKKU_OK)
		check_read(&h, bytes, n, size);
	uint64_t sum = state_sum(0, bytes, n - STATE_SUM_BYTES);
	memcpy(bytes + n - STATE_SUM_BYTES, &sum, sizeof sum);
	if (state_read_header(bytes, n, size, "fuzz", &h, &err))
		check(err.message[0]);
	else
		check_read(&h, bytes, n, size);
	free(bytes);
	return 0;
}
