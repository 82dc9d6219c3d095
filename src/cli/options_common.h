/*
 * Options that several commands share, written once: how a model is opened (run, serve, bench ...) and how
 * tokens are drawn. A command fills a struct opt_table from these and from its own rows, in the order help
 * shows.
 */
#ifndef CLI_OPTIONS_COMMON_H
#define CLI_OPTIONS_COMMON_H

#include "cli/cli.h"
#include "engine/engine.h"

enum { OPT_TABLE_MAX = 96 };

/* Start from a zeroed struct; rows stays terminated. */
struct opt_table {
	struct opt rows[OPT_TABLE_MAX + 1];
	size_t n;
};

void opt_add(struct opt_table *t, const struct opt *row);

/* --device, --threads, --vram-limit, --ram-limit, --kv-bytes, --cache-type-k and -v; each also a variable.
 * The targets must outlive t. */
struct opt_device {
	const char **device;
	const char *device_fallback; /* what help says of the default; NULL: auto */
	uint32_t *n_threads;
	uint64_t *vram_limit, *ram_limit, *kv_bytes;
	const char *kv_fallback; /* what help says of the default of --kv-bytes */
	struct cache_types *cache;
};
void opt_add_device(struct opt_table *t, const struct opt_device *to);

/* --ctx. */
void opt_add_ctx(struct opt_table *t, uint32_t *n_ctx);

/* On stderr, which device --device auto became and why: where a GPU was passed over, or with verbose. why may
 * be NULL (compute_why). */
void cli_tell_device(const char *device, const char *why, bool notable, bool verbose);

/* On stderr, the context in one line where the default did not fit. */
void cli_tell_context(const struct engine_state *state);

/* The same, --ctx and --no-jump-ahead. They fill config, which must be zeroed (but for kv_grows) and outlive
 * t. */
void opt_add_engine(struct opt_table *t, struct engine_config *config);

/* --temperature and the other rows of sampling_fields, with the ranges of that table, and --seed. s is filled
 * with the defaults; given (OPT_N_SAMPLING, zeroed) tells of each row whether it came, *seed_given the same
 * of the seed. */
enum { OPT_N_SAMPLING = 21 };
void opt_add_sampling(struct opt_table *t, struct sampling *s, bool *given, bool *seed_given);

#endif
