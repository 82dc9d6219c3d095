/* What was gathered of a model and the machine's devices, for people and for programs. */
#ifndef CLI_FIT_SHOW_H
#define CLI_FIT_SHOW_H

#include "cli/fit.h"

/* On stdout, what a model would take of each device and of each context length; as a table, as one JSON
 * object (OUT_OF_MEMORY). file_bytes: of the model's files. */
void fit_print_text(const struct model *m, uint64_t file_bytes, const struct fit_list *list);
enum hokku_code fit_print_json(const struct model *m, uint64_t file_bytes, const struct fit_list *list,
			       struct hokku_error *err);

#endif
