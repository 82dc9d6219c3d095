/* Values of a run made from JSON. */
#ifndef TEXT_JINJA_JSON_H
#define TEXT_JINJA_JSON_H

#include "base/json.h"
#include "text/jinja/jinja.h"

/* v with all that is in it; none of its strings is trusted. They are not copied: v must outlive the run. NULL
 * is none. */
struct jinja_value jinja_from_json(struct jinja_run *r, const struct jv *v);

#endif
