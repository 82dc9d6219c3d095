/*
 * Composite shapes: XGrammar's "structural tag" as a grammar. Free text, constants, schemas, patterns and
 * grammars one after the other, between tags, behind triggers that stand in free text. docs/constrain.md says
 * what each format lets through.
 */
#ifndef CONSTRAIN_STRUCTURE_H
#define CONSTRAIN_STRUCTURE_H

#include "constrain/text.h"

enum {
	STRUCTURE_MAX_DEPTH = 200, /* formats in formats */
	STRUCTURE_MAX_MARK = 1024, /* bytes of an end, a trigger, an exclude */
	STRUCTURE_MAX_REPEAT = 10000,
};

/* root: {"type": "structural_tag", "format": ...}, or the form before it: "structures" and "triggers". space:
 * of schemas that do not say. vocab: where tokens are named. INVALID_REQUEST: the place, as a JSON pointer,
 * and what is wrong there. */
enum hokku_code structure_compile(struct grammar *g, const struct constrain_vocab *vocab,
				  const struct jv *root, enum constrain_space space,
				  struct constrain_fault *fault, struct hokku_error *err);

#endif
