/* A list of choices as an expression: their union, each as it stands. */
#ifndef CONSTRAIN_CHOICE_H
#define CONSTRAIN_CHOICE_H

#include "base/json.h"
#include "constrain/constrain.h"
#include "constrain/rx.h"

/* INVALID_REQUEST: no array, none in it, something else than a string; the place is "[4]". */
enum hokku_code choice_compile(struct rx_pool *p, const struct jv *list, rx *out,
			       struct constrain_fault *fault, struct hokku_error *err);

#endif
