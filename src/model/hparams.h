/* Hyperparameters out of a file's metadata; bind.c's first half. */
#ifndef MODEL_HPARAMS_H
#define MODEL_HPARAMS_H

#include "model/model.h"

/* Reads and checks every hyperparameter but n_vocab, and refuses keys whose meaning the architecture's
 * forward pass does not carry out. MODEL_LOAD_FAILED names the key, the value found and the value allowed. */
enum hokku_code hparams_read(struct hparams *hp, const struct arch *arch, const struct gguf *g,
			     struct hokku_error *err);

#endif
