/* What is said of a file that cannot be bound: what it lacks, and what it has instead. */
#ifndef MODEL_REFUSE_H
#define MODEL_REFUSE_H

#include "model/model.h"

/* MODEL_LOAD_FAILED: a tensor is missing. Names in the file that no model of this kind has say why. */
enum hokku_code refuse_missing(const struct model *m, const char *name, struct hokku_error *err);

/* MODEL_LOAD_FAILED: the tensor's type has no format: it was removed, is unknown, or has no kernels. */
enum hokku_code refuse_type(const struct gguf_tensor *t, const char *name, struct hokku_error *err);

/* "alpha, beta, gamma" of a NULL-terminated list. Returns out. */
const char *refuse_join(const char *const *list, char *out, size_t size);

#endif
