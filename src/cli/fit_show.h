/* What was gathered of a model and the machine's devices, for people and for programs. */
#ifndef CLI_FIT_SHOW_H
#define CLI_FIT_SHOW_H

#include "cli/fit.h"

void fit_print_text(const struct model *m, uint64_t file_bytes, const struct fit_list *list);
enum hokku_code fit_print_json(const struct model *m, uint64_t file_bytes, const struct fit_list *list,
			       struct hokku_error *err);

#endif
