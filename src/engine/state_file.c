#include "engine/state_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/hash.h"

#define KEY UINT64_C(0x686f6b6b75207374) /* of the chain of checksums */

enum { MAGIC_BYTES = 8, GROUP_BYTES = 16 };
static const char magic[MAGIC_BYTES] = {'h', 'o', 'k', 'k', 'u', ' ', 'k', 'v'};

static const char *const field_names[STATE_N_FIELDS] = {
#define STATE_X(name, text) text,
	STATE_FIELDS(STATE_X)
#undef STATE_X
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

uint64_t state_sum(uint64_t sum, const void *bytes, size_t n)
{
	return siphash(sum, KEY, bytes, n);
}

uint64_t state_piece_bytes(const struct state_header *h, uint32_t block)
{
	uint64_t n = 0;
	for (uint32_t g = 0; g < h->n_groups; g++)
		n += block >= h->groups[g].first ? h->groups[g].block_bytes : 0;
	return n;
}

bool state_measure(struct state_header *h)
{
	uint64_t n = STATE_FIXED_BYTES + (uint64_t)h->n_groups * GROUP_BYTES;
	for (uint32_t f = 0; f < STATE_N_FIELDS; f++)
		n += sizeof(uint32_t) + strlen(h->identity.text[f]);
	h->ids_at = n;
	h->header_bytes = n + (uint64_t)h->n_ids * sizeof(int32_t) + STATE_SUM_BYTES;
	h->file_bytes = h->header_bytes + STATE_SUM_BYTES;
	for (uint32_t g = 0; g < h->n_groups; g++) {
		uint64_t bytes,
			there = h->n_blocks > h->groups[g].first ? h->n_blocks - h->groups[g].first : 0;
		if (__builtin_mul_overflow(there, h->groups[g].block_bytes, &bytes) ||
		    __builtin_add_overflow(h->file_bytes, bytes, &h->file_bytes))
			return false;
	}
	return h->file_bytes <= INT64_MAX;
}

/* ---- writing ---- */

static void put(struct strbuf *b, const void *bytes, size_t n)
{
	strbuf_add(b, bytes, n);
}

static void put_u32(struct strbuf *b, uint32_t n)
{
	put(b, &n, sizeof n);
}

void state_put_header(struct state_header *h, const int32_t *ids, struct strbuf *b)
{
	size_t begin = b->len;
	put(b, magic, sizeof magic);
	put_u32(b, STATE_VERSION);
	put_u32(b, (uint32_t)h->header_bytes);
	put(b, &h->file_bytes, sizeof h->file_bytes);
	put_u32(b, h->n_ids);
	put_u32(b, h->n_prompt);
	put_u32(b, h->n_blocks);
	put_u32(b, h->n_groups);
	for (uint32_t g = 0; g < h->n_groups; g++) {
		put(b, &h->groups[g].block_bytes, sizeof h->groups[g].block_bytes);
		put_u32(b, h->groups[g].first);
		put_u32(b, 0);
	}
	for (uint32_t f = 0; f < STATE_N_FIELDS; f++) {
		put_u32(b, (uint32_t)strlen(h->identity.text[f]));
		put(b, h->identity.text[f], strlen(h->identity.text[f]));
	}
	put(b, ids, h->n_ids * sizeof *ids);
	if (b->failed)
		return;
	h->sum = state_sum(0, b->ptr + begin, b->len - begin);
	put(b, &h->sum, sizeof h->sum);
}

/* ---- reading ---- */

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t n;
	memcpy(&n, p, sizeof n);
	return n;
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t n;
	memcpy(&n, p, sizeof n);
	return n;
}

enum hokku_code state_read_fixed(const uint8_t *bytes, uint64_t n, uint64_t file_bytes, const char *name,
				 uint32_t *header_bytes, struct hokku_error *err)
{
	char found[32], wanted[32];
	size_t same = n < MAGIC_BYTES ? (size_t)n : MAGIC_BYTES;
	if (n == 0 || memcmp(bytes, magic, same) != 0)
		return err_set(err, HOKKU_BAD_FILE, "%s is no state: it does not begin with \"%.*s\"", name,
			       MAGIC_BYTES, magic);
	if (n < STATE_FIXED_BYTES)
		return err_set(err, HOKKU_BAD_FILE, "%s was cut: it has %s bytes, and a state at least %d",
			       name, str_thousands(file_bytes, found), STATE_FIXED_BYTES);
	if (u32_at(bytes + 8) != STATE_VERSION)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s is a state of version %" PRIu32 "; this hokku reads %d", name,
			       u32_at(bytes + 8), STATE_VERSION);
	if (u64_at(bytes + 16) != file_bytes)
		return err_set(err, HOKKU_BAD_FILE, "%s was %s: it has %s bytes and was written with %s",
			       name, u64_at(bytes + 16) > file_bytes ? "cut" : "written to",
			       str_thousands(file_bytes, found), str_thousands(u64_at(bytes + 16), wanted));
	*header_bytes = u32_at(bytes + 12);
	if (*header_bytes < STATE_FIXED_BYTES + STATE_SUM_BYTES || *header_bytes > STATE_MAX_HEADER_BYTES ||
	    *header_bytes > file_bytes)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s was changed since it was written: its header is said to have %s bytes",
			       name, str_thousands(*header_bytes, found));
	return HOKKU_OK;
}

static enum hokku_code bad(const char *name, const char *what, uint64_t found, struct hokku_error *err)
{
	return err_set(err, HOKKU_BAD_FILE, "%s breaks the rules of a state: it has %" PRIu64 " %s", name,
		       found, what);
}

/* What follows the fixed part, up to the ids. */
static enum hokku_code read_lists(const uint8_t *bytes, uint32_t n, const char *name, struct state_header *h,
				  struct hokku_error *err)
{
	uint64_t at = STATE_FIXED_BYTES, end = n - STATE_SUM_BYTES;
	if (h->n_groups * GROUP_BYTES > end - at)
		return bad(name, "KV groups, more than its header holds", h->n_groups, err);
	for (uint32_t g = 0; g < h->n_groups; g++, at += GROUP_BYTES) {
		h->groups[g] = (struct state_group){u64_at(bytes + at), u32_at(bytes + at + 8)};
		if (h->groups[g].first > h->n_blocks || u32_at(bytes + at + 12))
			return bad(name, "as the first block of a KV group", h->groups[g].first, err);
	}
	for (uint32_t f = 0; f < STATE_N_FIELDS; f++) {
		uint32_t len = end - at >= sizeof len ? u32_at(bytes + at) : UINT32_MAX;
		at += sizeof len;
		if (len >= STATE_FIELD_BYTES || len > end - at || memchr(bytes + at, 0, len))
			return bad(name, "bytes in a text of what it belongs to", len, err);
		memcpy(h->identity.text[f], bytes + at, len);
		at += len;
	}
	h->ids_at = at;
	return HOKKU_OK;
}

enum hokku_code state_read_header(const uint8_t *bytes, uint32_t n, uint64_t file_bytes, const char *name,
				  struct state_header *out, struct hokku_error *err)
{
	*out = (struct state_header){0};
	out->sum = state_sum(0, bytes, n - STATE_SUM_BYTES);
	enum hokku_code rc =
		state_check_sum(u64_at(bytes + n - STATE_SUM_BYTES), out->sum, "header", name, err);
	if (rc)
		return rc;
	out->n_ids = u32_at(bytes + 24);
	out->n_prompt = u32_at(bytes + 28);
	out->n_blocks = u32_at(bytes + 32);
	out->n_groups = u32_at(bytes + 36);
	if (out->n_ids < 1 || out->n_ids > STATE_MAX_IDS)
		return bad(name, "tokens", out->n_ids, err);
	if (out->n_prompt > out->n_ids)
		return bad(name, "tokens of a prompt, more than in all", out->n_prompt, err);
	if (out->n_blocks > out->n_ids)
		return bad(name, "blocks, more than tokens", out->n_blocks, err);
	if (out->n_groups < 1 || out->n_groups > MODEL_MAX_KV_GROUPS)
		return bad(name, "KV groups", out->n_groups, err);
	rc = read_lists(bytes, n, name, out, err);
	if (rc)
		return rc;
	uint64_t ids_at = out->ids_at;
	if (!state_measure(out) || out->ids_at != ids_at || out->header_bytes != n ||
	    out->file_bytes != file_bytes)
		return bad(name, "bytes, which is not what its header makes", file_bytes, err);
	return HOKKU_OK;
}

void state_read_ids(const struct state_header *h, const uint8_t *bytes, int32_t *ids)
{
	memcpy(ids, bytes + h->ids_at, h->n_ids * sizeof *ids);
}

enum hokku_code state_check_identity(const struct state_identity *found, const struct state_identity *wanted,
				     const char *name, struct hokku_error *err)
{
	for (uint32_t f = 0; f < STATE_N_FIELDS; f++)
		if (strcmp(found->text[f], wanted->text[f]) != 0)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s belongs to another %s: it has \"%s\", and here is \"%s\"", name,
				       field_names[f], found->text[f], wanted->text[f]);
	return HOKKU_OK;
}

enum hokku_code state_check_sum(uint64_t found, uint64_t wanted, const char *part, const char *name,
				struct hokku_error *err)
{
	if (found == wanted)
		return HOKKU_OK;
	return err_set(err, HOKKU_BAD_FILE,
		       "%s was changed since it was written: the checksum of its %s is %016" PRIx64
		       ", and it says %016" PRIx64,
		       name, part, wanted, found);
}
