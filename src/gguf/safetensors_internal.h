/* What safetensors.c (one file) and safetensors_dir.c (a folder of shards) share. */
#ifndef GGUF_SAFETENSORS_INTERNAL_H
#define GGUF_SAFETENSORS_INTERNAL_H

#include "base/file.h"
#include "base/json.h"
#include "gguf/safetensors.h"

struct st_part {
	char *path;
	struct file file;     /* fd -1: none */
	const uint8_t *bytes; /* of st_open_memory; NULL of a file */
	uint64_t size;
	struct jv_doc header; /* owns the names */
	struct st_tensor *tensors;
	uint64_t n_tensors;
};

struct safetensors {
	struct st_part *parts;
	size_t n_parts;
	struct st_tensor **index; /* sorted by name */
	uint64_t n_index;
	struct jv_doc map; /* the index file, or nothing */
};

/* A handle of so many parts, none of them open. NULL: no memory. */
struct safetensors *st_new(size_t n_parts);

/* Opens, checks and indexes part i. */
enum hokku_code st_part_open(struct safetensors *st, size_t i, const char *path, struct hokku_error *err);
void st_index_sort(struct safetensors *st);

#endif
