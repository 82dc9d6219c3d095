/*
 * The shapes of an engine's answers (constrain/constrain.h): the vocabulary, which is made when the first
 * shape is asked for, so that a start does not wait for it; compiled shapes, shared by all requests that
 * bring the same text; and the crew that compiles them and makes masks.
 */
#ifndef ENGINE_SHAPES_H
#define ENGINE_SHAPES_H

#include <stdatomic.h>

#include "constrain/constrain.h"
#include "engine/crew.h"
#include "text/tokenizer.h"

enum {
	SHAPES_MAX_TEXT = 8 << 20,    /* bytes of one */
	SHAPES_MAX_KEPT = 256,        /* compiled ones that are found again; and */
	SHAPES_MAX_BYTES = 256 << 20, /* their bytes, the states they have made by then included */
};

/* What is counted: one row each, shown by the server. */
#define SHAPE_COUNTERS(X)                                                                   \
	X(shape_requests, "requests, counted by samples, whose answers have a given shape") \
	X(shapes_compiled, "shapes that were compiled")                                     \
	X(shapes_found, "shapes that were found compiled")                                  \
	X(shapes_refused, "shapes that could not be read, enforced or compiled in bounds")  \
	X(masks_made, "masks of tokens that were made for draws")                           \
	X(tokens_forced, "tokens that were taken without being drawn, as nothing else could come")

struct shape_counters {
#define SHAPES_X(name, text) uint64_t name;
	SHAPE_COUNTERS(SHAPES_X)
#undef SHAPES_X
};

/* The same while they are counted, by whatever thread. */
struct shape_counts {
#define SHAPES_X(name, text) atomic_uint_fast64_t name;
	SHAPE_COUNTERS(SHAPES_X)
#undef SHAPES_X
};

struct shapes;

/* tok: borrowed; n_owners as the engine has them; limits of each shape. NULL: no memory. */
struct shapes *shapes_create(const struct tok *tok, uint32_t n_owners, const struct constrain_limits *limits);

/* After all walks. Orders that wait are refused (SHUTTING_DOWN). NULL is allowed. */
void shapes_destroy(struct shapes *s);

/* Orders are refused from now on, those that wait too; those that compile end soon. */
void shapes_close(struct shapes *s);

/* The threads that make masks, and what has been counted so far: both live as long as s. */
struct crew *shapes_crew(struct shapes *s);

struct shape_counts *shapes_counts(struct shapes *s);

/* A shape to be compiled; the caller keeps it, and the shape's text, until done is called. */
struct shape_order {
	struct crew_task task; /* task.owner: whose it is */
	struct shapes *shapes;
	struct constrain_shape shape;
	const atomic_bool *abandoned; /* set by others, also while it compiles: nobody waits. NULL: never */
	void (*done)(struct shape_order *order); /* on a thread of the crew, or on the caller's */
	void *user;
	/* What comes back; made is the caller's to unref. */
	enum hokku_code rc;
	struct constrain *made;
	struct constrain_fault fault;
	struct hokku_error err;
};

/* Has it compiled: fills order->shapes, never waits. INVALID_REQUEST as constrain_new, CANCELLED,
 * SHUTTING_DOWN, OUT_OF_MEMORY come back in rc. */
void shapes_order(struct shapes *s, struct shape_order *order);

/* The same for one who waits. */
enum hokku_code shapes_make(struct shapes *s, const struct constrain_shape *shape, struct constrain **out,
			    struct constrain_fault *fault, struct hokku_error *err);

#endif
