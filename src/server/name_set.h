/* Names that a request has given, to be asked for many times: by their hashes, so that thousands asked for
 * among thousands are no work to speak of. */
#ifndef SERVER_NAME_SET_H
#define SERVER_NAME_SET_H

#include "base/hash.h"
#include "base/str.h"

/* Start from zeroes, end with strbuf_free. Without memory the strbuf has failed. */
static inline void name_set_add(struct strbuf *set, struct str name)
{
	uint64_t hash = siphash(UINT64_C(0x6e616d65), UINT64_C(0x736574), name.ptr ? name.ptr : "", name.len);
	strbuf_add(set, &hash, sizeof hash);
}

static inline bool name_set_has(const struct strbuf *set, struct str name)
{
	uint64_t hash = siphash(UINT64_C(0x6e616d65), UINT64_C(0x736574), name.ptr ? name.ptr : "", name.len),
		 one;
	for (size_t at = 0; at + sizeof one <= set->len; at += sizeof one) {
		memcpy(&one, set->ptr + at, sizeof one);
		if (one == hash)
			return true;
	}
	return false;
}

#endif
