/*
 * POST /api/show of one of several models that is not in memory: what it is asked for stands in its file, so
 * it is not loaded for that. File, vocabulary and template are opened on a thread of its own, two at a time.
 */
#ifndef SERVER_HOSTING_SHOW_H
#define SERVER_HOSTING_SHOW_H

#include "server/state.h"

struct show;

/* Takes g, whose hosted is set, over until show_take gives it back as a prepared one. False: no memory. */
bool show_submit(struct generation *g);

/* Those that are done, to generate.c; begins others. */
void show_take(struct server *s);

/* No thread is left. */
void show_stop(struct server *s);

#endif
