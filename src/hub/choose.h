/*
 * Which files of a repository are the model that was asked for: one GGUF file, all parts of a split one, or
 * a folder as transformers writes it (config.json, tokenizer, safetensors).
 */
#ifndef HUB_CHOOSE_H
#define HUB_CHOOSE_H

#include "hub/repo.h"

struct hub_choice {
	size_t *index; /* (n) into the files; the first is what is opened, of a folder config.json */
	size_t n;
	bool folder;
	uint64_t n_bytes;
};

/*
 * want as in struct hub_name. Without it: of several GGUF files the one whose format comes first in a list of
 * ours, else the first; a folder where there are none. NOT_FOUND names what there is, and the nearest;
 * BAD_FILE: parts of a split model are missing.
 */
enum hokku_code hub_choose(const char *repo, const struct hub_files *files, const char *want,
			   struct hub_choice *out, struct hokku_error *err);
void hub_choice_free(struct hub_choice *c);

/* A GGUF file that is a model by itself: no projector of pictures, no matrix of importance, and of several
 * parts the first. */
bool hub_is_model(const char *path);

/* What a GGUF file's name ends in: "Q4_K_M" of "m-Q4_K_M-00001-of-00002.gguf". */
struct str hub_tag(const char *path);

/* Is path one of several parts, "NAME-00002-of-00003.EXT"? Then which, of how many, and how long NAME is. */
bool hub_is_part(const char *path, uint32_t *i, uint32_t *n, size_t *stem);

#endif
