/*
 * The client of `hokku bench serve`: many requests at once from one thread, each answer read as it streams
 * in, with the moment of every piece. With load_url.c and load_tls.c the one file of cli/ that knows
 * libevent.
 */
#ifndef CLI_LOAD_CLIENT_H
#define CLI_LOAD_CLIENT_H

#include "cli/load_api.h"
#include "cli/load_stats.h"
#include "cli/load_tls.h"
#include "cli/load_url.h"

enum {
	LOAD_MAX_FAULTS = 16,             /* kinds of errors that are told apart */
	LOAD_MAX_REFUSAL_BYTES = 4096,    /* of an answer that is none, or of GET's: what is kept */
	LOAD_MAX_HEADER_BYTES = 64 << 10, /* of an answer */
	LOAD_MAX_GET_BYTES = 1 << 20,
};

struct load_fault {
	uint32_t n;
	char text[LOAD_ERROR_BYTES];
};

struct load_result {
	struct series ttft_ms, itl_ms, tpot_ms, e2e_ms; /* of the answers that are complete */
	uint32_t n_completed, n_failed;
	uint32_t n_empty; /* of the complete: without any text, and so without a time to the first of it */
	uint32_t n_usage; /* of the complete: whose tokens the server counted; of the others, events are */
	uint64_t tokens_in, tokens_out, tokens_cached, n_events;
	struct load_fault faults[LOAD_MAX_FAULTS];
	uint32_t n_faults;
	uint32_t peak;                       /* most requests at a time */
	double seconds, busy_s, late_ms_max; /* from the first to the last byte; of them this thread worked;
					      * how much later than planned a request left at most */
	bool interrupted;
};

struct load_client;

/* Finds the server: the address of its host that takes a connection, and whose certificate is accepted where
 * the URL wants TLS. key: NULL, or for "Authorization: Bearer". timeout_s: without a byte. */
enum hokku_code load_client_create(const struct load_url *url, const struct load_trust *trust,
				   const char *key, uint32_t timeout_s, struct load_client **out,
				   struct hokku_error *err);
void load_client_destroy(struct load_client *c); /* NULL is allowed */

/* GET prefix + path. The error names the path. */
enum hokku_code load_client_get(struct load_client *c, const char *path, int *status, struct strbuf *body,
				struct hokku_error *err);

struct load_run {
	const struct load_api *api;
	const struct load_request *request;
	uint32_t first, n;  /* requests of the plan */
	uint32_t n_clients; /* so many at a time; 0: when the plan says */
	void (*on_progress)(void *user, uint32_t done, uint32_t n); /* may be NULL */
	void *user;
};

/* Answers that fail are counted in the result. SIGINT and SIGTERM end the run: what is complete by then is
 * there. The result is the caller's to free. */
enum hokku_code load_client_run(struct load_client *c, const struct load_run *run, struct load_result *out,
				struct hokku_error *err);
void load_result_free(struct load_result *r);

#endif
