/* A server and the requests it has in hand. All of it belongs to the loop's thread but where a comment says
 * otherwise. */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include "server/allowance.h"
#include "server/answer.h"
#include "server/config.h"
#include "server/hosted.h"
#include "server/http.h"
#include "server/keys.h"
#include "server/mailbox.h"
#include "server/metrics.h"
#include "server/page.h"
#include "server/part_list.h"

/* One of a request's n samples. */
struct sample {
	struct generation *generation;
	uint32_t index;
	uint32_t n_counted; /* tokens of it that its key has used */
	uint64_t engine_id;
	bool over;                         /* the engine is done with it */
	struct strbuf text, logprobs_json; /* the whole of it, for "stream": false */
	struct strbuf prompt_json;         /* the prompt's logprobs, the same */
	struct dialect_reader *reader;     /* NULL: all of it is text */
	struct part_list parts;            /* the same told apart */
	uint32_t n_calls;                  /* whole ones so far */
	struct thinking_count thought;
	uint64_t begun_ns, token_ns; /* its first step began; its latest token was drawn */
	struct answer_memo memo;     /* of its stream */
	struct tok_ids ids;          /* where request.keep_ids asked */
	struct answer_end end;
};

/* One request for an answer, from its arrival until the engine is done with it. The client may leave earlier.
 */
struct generation {
	struct server *server;
	struct hosted *hosted; /* the model that it is for */
	struct generation *next, *prev;
	struct http_request *client; /* NULL: it has its answer, or is gone */
	struct prepare_job job;
	bool preparing;        /* job is with the thread that prepares */
	bool of_file;          /* is answered by the model's file, whatever becomes of its engine meanwhile */
	bool parked;           /* waits for its model, or (hosted is NULL) for a look at the shelf: */
	uint64_t shelf_number; /* the one with this number */
	struct states_job *state; /* with the thread of states; NULL: it is an answer, or not there yet */
	const struct api *api;    /* how its client speaks */
	struct sample *samples;   /* (n_samples) once it is with the engine */
	uint32_t n_samples;       /* that reached the engine */
	uint32_t n_over;          /* of these */
	bool started;             /* one of them has */
	uint32_t slot;            /* slots.h; once it has started */
	uint64_t sequence;        /* order of arrival */
	uint32_t owner;           /* its key's number; 0: there are no keys */
	uint32_t n_reserved;      /* tokens of the prompt that its key has used */
	uint32_t retry_after_s;   /* with RATE_LIMITED; 0: unknown */
	char id[REQUEST_MAX_ID_BYTES + 1]; /* "" while preparing */
	enum hokku_code stopped;           /* why it was told to stop; 0: it was not */
	bool streaming;                    /* the answer has begun */
	bool dirty;                        /* out is to be sent at the end of this loop turn */
	struct generation *next_dirty;
	uint64_t arrived_ns, submitted_ns, sent_ns; /* sent_ns: when something was last written */
	uint64_t begun_ns, first_ns;                /* the first sample's first step, the first token */
	uint32_t prompt_tokens;
	char started_at[32];
	int64_t created;           /* the same in seconds since 1970 */
	uint64_t n_tokens_out;     /* of the samples that are over */
	uint64_t n_thinking;       /* of these, of thinking */
	struct strbuf out;         /* events to be sent */
	struct part_list pieces;   /* of the token at hand */
	struct tok_ids prompt_ids; /* where request.keep_ids asked */
};

/* A cancelled id that may belong to a request whose body has not been parsed yet. */
struct early_cancel {
	uint32_t owner;
	char id[REQUEST_MAX_ID_BYTES + 1];
	uint64_t sequence;
};
enum {
	MAX_EARLY_CANCELS = 4096,      /* of all, */
	MAX_EARLY_CANCELS_OWNER = 1024 /* and of one key: more are refused, none is forgotten */
};

struct server {
	struct server_config config;
	struct http *http;
	struct hosted *hosted; /* the models, linked by next */
	struct shelf *shelf;   /* the files of several (hosting.h); NULL: there is one, named or inside */
	struct show *shows;    /* hosting_show.h */
	uint64_t shelf_number; /* of the list that is known */
	struct hokku_error shelf_err; /* of the folder */
	uint32_t n_left_out;
	uint64_t capacity[REGISTRY_PLACES];
	uint32_t gpu_place;           /* where a model goes that may choose; 0: there is none */
	uint32_t n_parked;            /* of n_generations */
	size_t n_parked_bytes;        /* of their bodies */
	struct engine_state past;     /* sums over engines that are gone */
	bool closing;                 /* engines are gone for good: nobody is told anything any more */
	struct keys *keys;            /* NULL: open to all */
	uint32_t n_owners;            /* keys there are and may come, beside owner 0 */
	struct allowance *allowances; /* (n_owners + 1) */
	bool guarded;                 /* Host and Origin must be of config.hosts, */
	bool guards_loopback;         /* or they must where a request came to a loopback address */
	struct page page;             /* of GET / */
	struct tls *tls;              /* NULL: none is spoken */
	struct mailbox mailbox;
	struct generation *generations;
	struct generation *dirty; /* linked by next_dirty */
	uint32_t n_generations, n_preparing;
	uint64_t sequence;
	struct early_cancel *early; /* (n_early) */
	uint32_t n_early, cap_early;
	struct responses *responses;
	struct metrics_requests requests;
	uint64_t started_ns;
	double watched_ms;          /* by the service manager (base/notify.h); 0: it is not */
	uint64_t told_ns;           /* when the manager was last told that all goes on */
	uint64_t stopping_ns;       /* when it was told to stop; 0: it was not */
	struct hokku_error failure; /* why the loop ended by itself */
};

/* The number of the key that r shows (gate.h); 0: none, or there are no keys. */
static inline uint32_t owner_of(const struct server *s, const struct http_request *r)
{
	(void)s;
	return http_get_owner(r);
}

/* The name of a key; NULL of owner 0. */
static inline const char *owner_name(const struct server *s, uint32_t owner)
{
	return owner ? keys_get(s->keys, owner)->name : NULL;
}

#endif
