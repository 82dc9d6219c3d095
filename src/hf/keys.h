/* A list of GGUF's keys that grows in an arena: what a folder says, in the words of a file. */
#ifndef HF_KEYS_H
#define HF_KEYS_H

#include "gguf/gguf.h"
#include "hf/hf.h"

struct hf_keys {
	struct arena *arena;
	struct gguf_kv *kv; /* (n) */
	uint64_t n, cap;
	bool failed; /* no memory: what did not fit is left out */
};

void hf_key_str(struct hf_keys *k, const char *key, struct str value); /* value is borrowed */
void hf_key_f32(struct hf_keys *k, const char *key, float value);
void hf_key_i32(struct hf_keys *k, const char *key, int32_t value);

/* The keys of general.* and of the architecture. */
void hf_shape_keys(struct hf_keys *k, const struct hf_shape *s, const char *name);

/* The keys of tokenizer.*; texts are borrowed from v. */
void hf_vocab_keys(struct hf_keys *k, const struct vocab *v);

/* general.sampling.* of generation_config.json, where the folder has one. */
enum hokku_code hf_generation_keys(struct hf_keys *k, const char *dir, const struct observer *observer,
				   struct hokku_error *err);

#endif
