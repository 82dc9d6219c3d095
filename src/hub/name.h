/*
 * NAME: how people call a model.
 *
 *   qwen3:4b                        a short name of the table short.def
 *   user/repo, user/repo:Q4_K_M     a repository; of several models in it the one so called
 *   user/repo:file.gguf             a file of it
 *   user/repo@REVISION:...          as it was at a branch, tag or commit
 *   hf.co/user/repo...              the same; also with huggingface.co, with https:// before it, and as
 *                                   pages and files of the hub are addressed
 *   https://host/path/file.gguf     any other file
 *   ./file.gguf, /a/file.gguf       a file here
 */
#ifndef HUB_NAME_H
#define HUB_NAME_H

#include "hub/hub.h"

enum hub_kind { HUB_PATH, HUB_REPO, HUB_URL };

struct hub_name {
	enum hub_kind kind;
	char repo[HUB_MAX_REPO + 1];         /* HUB_REPO: "user/repo" */
	char revision[HUB_MAX_REVISION + 1]; /* "main" where none was given */
	char want[HUB_MAX_FILE + 1];         /* a file or what its name ends in; "": none given */
	const char *text;                    /* as it was given; a path or URL */
	const struct hub_short *known;       /* of the table, or NULL */
};

/* A row of short.def. */
struct hub_short {
	const char *name, *repo, *file;
	uint64_t n_bytes; /* of the file, about */
};
extern const struct hub_short hub_shorts[]; /* ends with name NULL */

/* INVALID_REQUEST: such a name cannot be; NOT_FOUND: a word that is no short name (the nearest is told). text
 * must outlive out. */
enum hokku_code hub_name_parse(const char *text, const struct hub_config *c, struct hub_name *out,
			       struct hokku_error *err);

/* Does text begin with the host of the hub that everybody means, "hf.co/..."? Then it is no path, whatever it
 * ends in. */
bool hub_name_has_host(const char *text);

/* "user/repo:want" without what is the default; out holds HUB_MAX_URL. Returns out. */
const char *hub_name_text(const struct hub_name *n, char *out);

/* May a repository hold a file of this name: relative, of at most HUB_MAX_FILE bytes, no component empty, "."
 * or "..", no backslash, nothing unprintable? */
bool hub_file_name_ok(struct str path);
bool hub_repo_ok(struct str repo);
bool hub_revision_ok(struct str revision);

#endif
