/* Names of models where a command takes one: what is here is found, what is not is pulled. */
#ifndef CLI_PULL_MODEL_H
#define CLI_PULL_MODEL_H

#include "cli/heads.h"
#include "cli/options_common.h"
#include "hub/hub.h"

struct pull_options {
	bool pull;    /* without a question */
	bool offline; /* nothing is asked of the hub */
	uint32_t n_connections;
};

/* --offline, of a command that pulls nothing. o must outlive t. */
void opt_add_offline(struct opt_table *t, struct pull_options *o);
/* The same, and --connections. */
void opt_add_hub(struct opt_table *t, struct pull_options *o);
/* The same, and --pull, which a command has that pulls on its way. */
void opt_add_pull(struct opt_table *t, struct pull_options *o);

/* hub_config_read with what the options say. hub_config_free is next, whatever comes of it. */
enum hokku_code cli_hub_config(const struct pull_options *o, struct hub_config *c, struct hokku_error *err);

/*
 * What to open for a MODEL: a path that is there, as it is; of other names what is in the cache, as it was
 * when it was pulled. What is not here is pulled with --pull, or after a question where there is a terminal
 * to ask; else NOT_FOUND says how it comes here. *path (malloc); NULL for NULL, the model inside. CANCELLED:
 * the answer was no, or Ctrl-C.
 */
enum hokku_code cli_find_model(const struct pull_options *o, const char *name, char **path,
			       struct hokku_error *err);

/* The same for commands that pull nothing: what is not here is NOT_FOUND. */
enum hokku_code cli_find_here(const char *name, char **path, struct hokku_error *err);

/* cli_find_here, and engine_open_file of what it found. */
enum hokku_code cli_open_file(const char *name, struct gguf **g, struct hokku_error *err);

/* Calls fn with the model, which is opened as it is; of one that is not here, and is on the hub, with what
 * its files begin with (heads.h): nothing is pulled. What fn returns. */
enum hokku_code cli_look_model(const struct pull_options *o, const char *name, cli_looked *fn, void *user,
			       struct hokku_error *err);

/* The exit code for its failure, which is printed. */
int cli_find_failed(enum hokku_code rc, const struct hokku_error *err);

/* Pulls name into the cache: notes and progress on stderr. *path (malloc): what to open. */
enum hokku_code cli_pull(const struct hub_config *c, const char *name, char **path, struct hokku_error *err);

/* What is drawn while bytes come: "12%, 0.5 of 4.1 GiB, 35.2 MB/s, 1:42 left"; rate in bytes a second, 0: not
 * known. Returns out. */
const char *cli_pull_line(uint64_t done, uint64_t all, double rate, char out[128]);

#endif
