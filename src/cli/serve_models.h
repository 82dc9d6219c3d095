/* `hokku serve` with several models: files, a folder of them, and what they may take. */
#ifndef CLI_SERVE_MODELS_H
#define CLI_SERVE_MODELS_H

#include "cli/options_common.h"
#include "server/server.h"

enum { SERVE_MAX_MODELS = 64 }; /* files on the command line; a folder may hold more */

/* Their options. */
void opt_add_models(struct opt_table *t, struct server_config *config);

/* What was given. asked: operands (n), or --model. One model and no folder is the only one. find makes of
 * what was given what is to be opened; it returns -1, or an exit code after a message, as this does. */
int cli_choose_models(const struct cmd *cmd, const char *const *asked, int n, int (*find)(const char **model),
		      struct server_config *config);

#endif
