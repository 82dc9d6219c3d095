/* `hokku constrain --batch`: many shapes and their tests in one process, a JSON line each, a JSON line back.
 */
#ifndef CLI_SHAPE_BATCH_H
#define CLI_SHAPE_BATCH_H

#include "cli/cli.h"
#include "cli/shape_walk.h"

struct shape_batch {
	struct shape_tools *tools;
	enum constrain_space space; /* of lines that do not say */
	bool masks, bench;
	uint32_t n_samples, max_tokens;
	uint64_t seed;
};

/* Reads path ("-": standard input) line by line. Returns an exit code: EXIT_FAILED after a line that cannot
 * be read, and after any fault of hokku's own. */
int shape_batch_run(const struct shape_batch *b, const char *path);

/* {"n": ..., "mean": ..., ...} */
void shape_write_times(struct strbuf *out, struct series *times);

#endif
