/* A model of the hub that is not here: what its files begin with is enough to look at it. */
#ifndef CLI_HEADS_H
#define CLI_HEADS_H

#include "gguf/gguf.h"
#include "hub/pull.h"

/* Called with an open model whose weights are not there; it is closed after. */
typedef enum hokku_code cli_looked(void *user, const struct gguf *g, struct hokku_error *err);

/* Fetches the beginnings of the files that the plan has chosen, and calls fn. What fn returns, or why they do
 * not come or cannot be read; messages name files as the hub does. */
enum hokku_code cli_open_heads(const struct hub_plan *plan, cli_looked *fn, void *user,
			       struct hokku_error *err);

#endif
