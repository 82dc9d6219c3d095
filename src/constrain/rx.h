/*
 * Regular expressions over bytes, as nodes of a pool: a node's number is the expression, equal expressions
 * have equal numbers. With union, intersection and complement; read a byte at a time by derivatives
 * (Brzozowski 1964; Owens, Reppy, Turon 2009), so that the automaton of an expression is made as far as
 * somebody walks it. Whole texts are matched.
 *
 * The constructors simplify: none and empty vanish, unions and intersections are sorted sets, double
 * complements fall out. Two numbers that differ may still mean one language.
 *
 * A pool is bounded: past its limits every constructor and derivative gives RX_NONE and rx_failed is true for
 * good; whoever built with it asks once, at the end. Not thread-safe: one owner at a time.
 */
#ifndef CONSTRAIN_RX_H
#define CONSTRAIN_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t rx;

enum {
	RX_NONE = 0,  /* no text */
	RX_EMPTY = 1, /* the text of no bytes */
	RX_ALL = 2,   /* every text */
	RX_UNBOUNDED = UINT32_MAX,
};

struct rx_pool;

/* Code points first to last, both of them. Surrogates are left out of any span. */
struct rx_span {
	uint32_t first, last;
};

struct rx_limits {
	size_t bytes;  /* of memory */
	uint64_t work; /* nodes looked at and made, since the pool was made or rx_more_work */
	/* Asked every RX_ASK_STEPS steps: true, and the pool has failed for good. NULL: never. */
	bool (*stop)(void *user);
	void *user;
};

enum { RX_ASK_STEPS = 4096 };

/* NULL: no memory. */
struct rx_pool *rx_pool_new(const struct rx_limits *limits);
void rx_pool_free(struct rx_pool *p);
bool rx_failed(const struct rx_pool *p);
bool rx_stopped(const struct rx_pool *p);            /* it failed because `stop` said so */
void rx_ask_no_more(struct rx_pool *p);              /* `stop` is not called from here on */
void rx_more_work(struct rx_pool *p, uint64_t work); /* what may be done from here on */
size_t rx_bytes(const struct rx_pool *p);

/* The bytes that texts are made of; all 256 if this is not called. Only rx_alive looks at it. Before the
 * first expression. */
void rx_alphabet(struct rx_pool *p, const uint64_t bytes[4]);

/* Expressions of one byte, of one out of a set (256 bits), of so many bytes in a row, of one character. As
 * all that make an expression: RX_NONE when the pool has failed. */
rx rx_byte(struct rx_pool *p, uint8_t byte);
rx rx_byte_set(struct rx_pool *p, const uint64_t bytes[4]);
rx rx_literal(struct rx_pool *p, const void *bytes, size_t n);
rx rx_chars(struct rx_pool *p, const struct rx_span *spans, size_t n); /* one code point, as UTF-8 */
rx rx_cat(struct rx_pool *p, rx a, rx b);
rx rx_or(struct rx_pool *p, rx a, rx b);
rx rx_or_many(struct rx_pool *p, const rx *parts, size_t n);
rx rx_and(struct rx_pool *p, rx a, rx b);
rx rx_not(struct rx_pool *p, rx a); /* of all byte strings, UTF-8 or not: intersect with what texts may be */
rx rx_repeat(struct rx_pool *p, rx a, uint32_t min, uint32_t max); /* max may be RX_UNBOUNDED; min <= max */

/*
 * Equations, for what is easier said as states than as an expression (remainders, repeats with assertions in
 * them). A variable stands for the expression that rx_define gives it once, before anything is derived. In
 * definitions a variable stands last, and none may lead back to itself but behind a byte: a byte set times a
 * variable, say, or such under unions and intersections. nullable: whether what it will stand for matches
 * the empty text.
 */
rx rx_var(struct rx_pool *p, bool nullable);
void rx_define(struct rx_pool *p, rx var, rx meaning);

/* One token of a vocabulary, which is no bytes: no byte leads on from it, and it is alive. It stands alone,
 * never in another expression; a machine takes it (machine_token). */
rx rx_token(struct rx_pool *p, uint32_t token);

bool rx_nullable(const struct rx_pool *p, rx a);     /* the empty text matches */
rx rx_derive(struct rx_pool *p, rx a, uint8_t byte); /* what may follow the byte */

/* Some text over the alphabet matches. Exact, also for intersections and complements; remembered. */
bool rx_alive(struct rx_pool *p, rx a);

/* Whatever text has begun to match, one more byte may follow: no way leads to where only an end can come.
 * False also where that takes more than `most` derivatives to see. */
bool rx_endless(struct rx_pool *p, rx a, uint32_t most);

/* The text matches. */
bool rx_matches(struct rx_pool *p, rx a, const void *bytes, size_t n);

#endif
