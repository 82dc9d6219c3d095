/* What a server is told when it starts, and its fixed limits. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/inherited.h"
#include "engine/engine.h"
#include "server/cors.h"
#include "server/hosts.h"

enum {
	SERVER_MODELS_KEEP_ALIVE_S = 300, /* as Ollama */
	SERVER_STOP_MS = 5000,            /* from the first SIGTERM to the end of the process, at most */
	SERVER_DRAIN_MS = 4500,           /* of these, running requests may finish for so long */
	SERVER_SENDING_BYTES =
		1024 * 1024, /* of a client's answer; what it leaves unread beyond is held back */
	SERVER_MAX_HELD_BYTES = 256 * 1024 * 1024,    /* held back of all clients together */
	SERVER_MAX_READING_BYTES = 256 * 1024 * 1024, /* of requests that are not complete, all together */
};

struct server_config {
	struct engine_config engine; /* on_state and user are the server's */
	const char *const *listen;   /* (n_listen) names, addresses and paths: http_config.hosts */
	uint32_t n_listen;
	uint32_t port;              /* 0: any free one */
	struct inherited inherited; /* of a service manager; where there are any, instead of these */
	const char *ssl_cert_file, *ssl_key_file; /* both, or neither: no TLS */
	const char *api_key_file;                 /* NULL: no keys */
	const char *admin_key;                    /* NULL: none but those of the file */
	const char *api_prefix;                   /* "/llm": before every path; NULL: none */
	const char *state_dir;                    /* NULL: states are neither saved nor restored */
	/* Several models (hosting.h): files, or a folder of them; engine.model_path is not looked at then. */
	const char *const *model_paths; /* (n_model_paths) */
	uint32_t n_model_paths;
	const char *models_dir;      /* NULL: none */
	uint64_t models_memory;      /* bytes that they may take of the host's memory; 0: what is there */
	double models_keep_alive_ns; /* a model stays for so long after its last request; below 0: for ever */
	/* What Host and Origin may name beside loopback. Empty, they are checked where all may use the server
	 * and it listens on loopback; else always. */
	struct hosts hosts;
	struct origins origins; /* whose pages may read answers; none of them: no page of another */
	const struct jv
		*chat_kwargs; /* arguments of the chat template where a request gives no others; NULL */
	const struct jinja_time *chat_now; /* what templates take for now; NULL: the clock */
	bool keep_billing_header;          /* Anthropic's form: api.form_kept */
	bool metrics_vllm;                 /* GET /metrics tells vLLM's names too */
	bool log_prompts;                  /* a request's line in the log has its body */
	bool thinking_is_text;             /* of answers to conversations: it is not told apart */
	uint32_t max_connections;
	uint64_t max_body_bytes;
	uint64_t max_unread_bytes; /* a client that leaves more of its answer unread is dropped */
	float idle_timeout_s;
	float read_timeout_s;
	float write_timeout_s;
	float request_timeout_s; /* 0: none */
	float keep_alive_s;
	uint64_t response_store_bytes; /* of responses that are kept (POST /v1/responses); 0: none are */
	float response_ttl_s;          /* and for how long after their last use */
	float watchdog_timeout_s;      /* a step that takes longer is stuck; 0: none ever is */
	/* Called when connections are accepted, once for each of listen. */
	void (*on_listening)(const char *url);
};

#endif
