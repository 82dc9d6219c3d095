/* What the files anthropic_*.c share. */
#ifndef SERVER_ANTHROPIC_H
#define SERVER_ANTHROPIC_H

#include "server/field.h"

enum {
	ANTHROPIC_MAX_NAME_BYTES = 128, /* of a tool */
	ANTHROPIC_MAX_ID_BYTES = 256,   /* of a call */
	ANTHROPIC_MAX_DEPTH =
		900, /* of a call's input and a tool's schema; JV_MAX_DEPTH has room around it */
	ANTHROPIC_MIN_BUDGET = 1024, /* of thinking, in tokens */
};

/* system, messages and tools of r's JSON, turned into what chat templates read: r->messages, r->tools and
 * r->origins. keep: blocks of system that change with every request stay. */
enum hokku_code anthropic_translate(struct gen_request *r, bool keep, struct request_error *err);

/* The tools of v (NULL and null: none) in OpenAI's form, separated by commas, appended to out. */
enum hokku_code anthropic_put_tools(const struct jv *v, struct strbuf *out, struct request_error *err);

/* ---- for objects in messages and tools, by anthropic_request.c ---- */

/* "PATH.NAME", cut where it is too long. Returns out. */
const char *anthropic_at(const char *path, const char *name, char out[64]);

/* The names of an object's members that are known, NULL at the end; where is what it is, for messages. */
enum hokku_code anthropic_check_members(const char *path, const char *where, const struct jv *v,
					const char *const *known, struct request_error *err);

/* cache_control: taken, and nothing depends on it. v may be NULL. */
enum hokku_code anthropic_check_cache_control(const char *path, const struct jv *v,
					      struct request_error *err);

/* A tool's name: 1 to ANTHROPIC_MAX_NAME_BYTES characters out of A-Z a-z 0-9 - _. */
enum hokku_code anthropic_check_name(const char *path, const struct jv *v, struct request_error *err);

/* That v is an object no deeper than ANTHROPIC_MAX_DEPTH. */
enum hokku_code anthropic_check_object(const char *path, const struct jv *v, struct request_error *err);

#endif
