/* The architectures that a folder can have, a row each; and what their readers share. */
#ifndef HF_ARCHS_H
#define HF_ARCHS_H

#include "hf/hf.h"
#include "hf/reader.h"

extern const struct hf_arch hf_archs[];
extern const size_t hf_n_archs;

/* Keys of the file beside the rows of numbers. More than there is room for is a fault of the caller. */
void hf_put_u32(struct hf_shape *s, const char *name, uint32_t value);
void hf_put_f32(struct hf_shape *s, const char *name, float value);
void hf_put_str(struct hf_shape *s, const char *name, const char *value);

/* RoPE's scaling (rope.c), which becomes keys or a table. dynamic is refused by name: it would give a token
 * other bits when its sequence grows. */
enum hokku_code hf_rope_scaling(const struct hf_reader *r, const struct jv *root, struct hf_shape *s);

/* How many numbers of a head RoPE turns: partial_rotary_factor of it. */
enum hokku_code hf_rope_dims(const struct hf_reader *r, const struct jv *root, const struct hf_shape *s,
			     uint32_t *out);

/* RoPE's base in layers that slide, where kinds of layers have a RoPE each: what
 * rope_parameters.sliding_attention says, else what the setting `beside` (NULL: none) does, else as it is.
 * Refuses another kind than the plain one. */
enum hokku_code hf_rope_sliding(const struct hf_reader *r, const struct jv *root, const struct hf_shape *s,
				const char *beside, float *base);

/* The object that says how RoPE is done in layers of a kind ("full_attention"); NULL if nothing does. */
const struct jv *hf_rope_of(const struct jv *root, const char *kind);

#endif
