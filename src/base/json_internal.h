/* What json.c (the tree) and json_parse.c (how it is made) share. */
#ifndef BASE_JSON_INTERNAL_H
#define BASE_JSON_INTERNAL_H

#include "base/json.h"

struct jv_pair {
	struct str key;
	struct jv value;
};

/* Beyond JV_SCAN pairs a table finds them: open addressing, a slot holds a pair's number plus one. */
struct jv_object {
	const struct jv_pair *pairs;
	uint32_t *slots; /* (mask + 1); NULL: few enough to look at each */
	uint32_t mask;
	uint64_t seed[2];
};

enum { JV_SCAN = 8 };

/* jv_parse with another limit than JV_MAX_VALUES. */
enum hokku_code jv_parse_limited(struct str text, unsigned flags, uint64_t max_values, struct jv_doc *out,
				 struct hokku_error *err);

/* The pair with the key; n if there is none. */
uint32_t jv_object_find(const struct jv_object *o, uint32_t n, struct str key);

#endif
