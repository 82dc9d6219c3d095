#include "gguf/tensor_type.h"

#include <stddef.h>
#include <strings.h>

static const struct tensor_type_info types[TENSOR_N_TYPES] = {
#define TENSOR_X(name, id, elements, bytes) [id] = {#name, elements, bytes},
	TENSOR_TYPES(TENSOR_X)
#undef TENSOR_X
};

const struct tensor_type_info *tensor_type_get(uint32_t id)
{
	return id < TENSOR_N_TYPES && types[id].name ? &types[id] : NULL;
}

bool tensor_type_by_name(struct str name, enum tensor_type *out)
{
	for (uint32_t id = 0; id < TENSOR_N_TYPES; id++) {
		const char *known = types[id].name;
		if (!known || strlen(known) != name.len || strncasecmp(known, name.ptr, name.len) != 0)
			continue;
		*out = (enum tensor_type)id;
		return true;
	}
	return false;
}
