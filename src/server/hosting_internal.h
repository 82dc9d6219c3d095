/* What the files of several models share: the ledger (hosting_ledger.c), their names (hosting_names.c),
 * requests that wait for one (hosting_wait.c), their files (hosting_files.c), their engines
 * (hosting_engines.c), and what the registry says of all that (hosting.c). */
#ifndef SERVER_HOSTING_INTERNAL_H
#define SERVER_HOSTING_INTERNAL_H

#include "server/hosting.h"

/* ---- the ledger ---- */

/* The place of a device, as it is named or as an engine tells it ("cuda:0 (...)"). */
uint32_t hosting_place(const char *device);

/* How much each place has. */
void hosting_measure(struct server *s);

/* What h will need, and where. */
void hosting_plan(struct hosted *h);

/* What h could have at its place if nobody else had any of it, now; UINT64_MAX: nobody knows. */
uint64_t hosting_room(const struct hosted *h);

/* The context that it has, or would have. */
uint32_t hosting_context(const struct hosted *h);

/* The registry's view; the models it has are all's, in its order. Both are the caller's to free; false: no
 * memory. */
bool hosting_view(const struct server *s, struct registry *r, struct registry_model **models,
		  struct hosted ***all);

/* ---- names ---- */

/* Those that a key may use: "'a', 'b' and 'c'". */
void hosting_list_names(const struct server *s, uint32_t owner, struct strbuf *out);

/* ---- requests that wait ---- */

/* g gets an error for an answer, and is gone; field may be NULL. */
void hosting_answer(struct generation *g, const struct hokku_error *err, const char *field);

/* All that wait for h, in the order in which they came. */
void hosting_refuse_all(struct hosted *h, const struct hokku_error *err);
void hosting_begin_all(struct hosted *h);

/* Those that were told to stop go, those that waited for a look that has been taken go on. */
void hosting_sweep(struct server *s);

/* ---- files ---- */

/* What is on the shelf now becomes true; the model is not in memory. */
void hosting_take_look(struct hosted *h);

/* The shelf's latest list, if there is one. */
void hosting_take_list(struct server *s);

/* Out of the list goes what has no file, once nothing knows it any more. */
void hosting_drop_gone(struct server *s);
void hosting_free_model(struct hosted *h);

/* ---- engines ---- */

/* Begins to load a model that is not; what becomes of it comes as an event. A failure that is known at once
 * is told to those who wait. */
void hosting_load(struct hosted *h);

/* why: behind "is unloaded" in the log. */
void hosting_unload(struct hosted *h, const char *why);

/* Whether its engine is ready, has failed or is gone by now; those that wait for one that did not fit alone
 * are told so at once. */
void hosting_watch(struct hosted *h);

/* Counters alone. */
void hosting_add_counters(struct engine_state *sum, const struct engine_state *e);

#endif
