/* The architecture table: one row each, and the list of names made from the same rows. */
#include "model/model.h"

/* name, norm, RoPE, activation, biases on q, k and v */
#define ARCHS(X) X("qwen2", NORM_RMS, ROPE_NEOX, ACT_SILU, true)

#define ROW(name_, norm_, rope_, activation_, qkv_bias_) \
	{.name = name_, .norm = norm_, .rope = rope_, .activation = activation_, .qkv_bias = qkv_bias_},
static const struct arch archs[] = {ARCHS(ROW)};
#undef ROW

#define ROW(name_, ...) name_,
static const char *const names[] = {ARCHS(ROW) NULL};
#undef ROW

const struct arch *arch_get(struct str name)
{
	for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
		if (str_eq_c(name, archs[i].name))
			return &archs[i];
	return NULL;
}

const char *const *arch_names(void)
{
	return names;
}
