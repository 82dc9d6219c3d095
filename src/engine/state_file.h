/*
 * State files: the ids of a sequence and what KV memory holds of its full blocks, so that another process
 * goes on from there with the bits of the run that was not interrupted. A file is good for what made it
 * alone: its header says what that was, field by field (struct state_identity), and has a checksum, as has
 * the whole.
 *
 *     "hokku kv" | version, bytes of the header | bytes of the file | n_ids, n_prompt, n_blocks, n_groups
 *     of each KV group: bytes of a block, first block that is there, 0
 *     of each field of the identity: length, text
 *     ids | checksum of the header
 *     of each block, from the first on: its bytes in each group that has it there
 *     checksum of all
 *
 * Numbers are little-endian words of 32 bits; bytes and checksums (SipHash-2-4, chained from piece to piece:
 * the header, then each block) are of 64. docs/decisions/0030-state-files.md has the reasons.
 */
#ifndef ENGINE_STATE_FILE_H
#define ENGINE_STATE_FILE_H

#include "base/error.h"
#include "base/str.h"
#include "model/model.h"

/* Which run a state belongs to: a state is refused where one of these texts is another. */
#define STATE_FIELDS(X)                         \
	X(MODEL, "model")                       \
	X(BUILD, "build of hokku")              \
	X(DEVICE, "device class")               \
	X(LAYOUT, "KV layout")                  \
	X(ROPE, "RoPE set")                     \
	X(BLOCK, "number of positions a block") \
	X(GROUPS, "set of KV groups")

enum state_field {
#define STATE_X(name, text) STATE_##name,
	STATE_FIELDS(STATE_X)
#undef STATE_X
		STATE_N_FIELDS
};

enum {
	STATE_VERSION = 1,
	STATE_FIELD_BYTES = 160, /* of a text, its end counted */
	STATE_MAX_IDS = 1 << 24, /* as many as a context may have */
	STATE_FIXED_BYTES = 40,  /* before the groups */
	STATE_MAX_HEADER_BYTES = STATE_MAX_IDS * 4 + 4096,
	STATE_SUM_BYTES = 8,
};

struct state_identity {
	char text[STATE_N_FIELDS][STATE_FIELD_BYTES];
};

struct state_group {
	uint64_t block_bytes;
	uint32_t first; /* blocks before it are not there: they lie behind the group's window */
};

struct state_header {
	struct state_identity identity;
	uint32_t n_ids;    /* at least 1 */
	uint32_t n_prompt; /* of these the prompt; the rest is its answer */
	uint32_t n_blocks; /* full ones */
	uint32_t n_groups;
	struct state_group groups[MODEL_MAX_KV_GROUPS];
	uint64_t header_bytes, file_bytes; /* state_measure, or of the file */
	uint64_t ids_at;                   /* offset of the ids in the header */
	uint64_t sum;                      /* of the header: the chain goes on from it */
};

/* Fills header_bytes, file_bytes and ids_at from the rest. False: no 64-bit number holds it. */
bool state_measure(struct state_header *h);

/* Bytes of block i in all groups that have it. */
uint64_t state_piece_bytes(const struct state_header *h, uint32_t block);

/* Appends the header of h, which is measured, and fills h->sum. b->failed where there is no memory. */
void state_put_header(struct state_header *h, const int32_t *ids, struct strbuf *b);

/* The chain one piece further. */
uint64_t state_sum(uint64_t sum, const void *bytes, size_t n);

/* How many bytes the header has, from the first STATE_FIXED_BYTES of a file of file_bytes: BAD_FILE where it
 * is none, of another version, or of another length than it was written with. name is for messages. */
enum hokku_code state_read_fixed(const uint8_t *bytes, uint64_t n, uint64_t file_bytes, const char *name,
				 uint32_t *header_bytes, struct hokku_error *err);

/* The whole header, of n bytes as state_read_fixed has told. BAD_FILE where it was changed since it was
 * written, or holds what no writer writes. Ids: state_read_ids. */
enum hokku_code state_read_header(const uint8_t *bytes, uint32_t n, uint64_t file_bytes, const char *name,
				  struct state_header *out, struct hokku_error *err);
void state_read_ids(const struct state_header *h, const uint8_t *bytes, int32_t *ids);

/* INVALID_REQUEST names the first field in which they differ, with both values. */
enum hokku_code state_check_identity(const struct state_identity *found, const struct state_identity *wanted,
				     const char *name, struct hokku_error *err);

/* That the sum at the end of a file is that of its contents: BAD_FILE. */
enum hokku_code state_check_sum(uint64_t found, uint64_t wanted, const char *part, const char *name,
				struct hokku_error *err);

#endif
