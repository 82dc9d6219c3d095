/* config.json, setting by setting. What can be said in two places is settled in config_rules.c, as
 * transformers settles it; the shape itself is read by shape.c. */
#ifndef HF_CONFIG_H
#define HF_CONFIG_H

#include "hf/hf.h"
#include "hf/reader.h"

/* RoPE's base: *theta_field and *theta are where it stands (NULL: nowhere). Its kind is rope.c's. */
enum hokku_code hf_rope(const struct hf_reader *r, const struct jv *root, const struct hf_arch *arch,
			const char **theta_field, const struct jv **theta);

/* Sliding windows: INVALID_REQUEST if one would cut off anything. */
enum hokku_code hf_windows(const struct hf_reader *r, const struct jv *root, const struct hf_arch *arch);

/* Settings of which we read none, but where two that differ are told. */
enum hokku_code hf_twice(const struct hf_reader *r, const struct jv *root);

/* A note where layer_types says something that nobody reads. */
void hf_unread_layers(const struct hf_reader *r, const struct jv *root, const struct hf_arch *arch);

/* INVALID_REQUEST where the weights are quantised. */
enum hokku_code hf_plain(const struct hf_reader *r, const struct jv *root);

#endif
