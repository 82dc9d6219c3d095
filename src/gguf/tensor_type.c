#include "gguf/tensor_type.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
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

static const struct removed {
	struct tensor_type_info info;
	enum tensor_type instead;
} removed[TENSOR_N_TYPES] = {
#define TENSOR_X(name, id, elements, bytes, instead) [id] = {{#name, elements, bytes}, TENSOR_##instead},
	REMOVED_TENSOR_TYPES(TENSOR_X)
#undef TENSOR_X
};

const struct tensor_type_info *tensor_type_removed(uint32_t id, enum tensor_type *instead)
{
	if (id >= TENSOR_N_TYPES || !removed[id].info.name)
		return NULL;
	if (instead)
		*instead = removed[id].instead;
	return &removed[id].info;
}

const char *tensor_type_label(uint32_t id, char out[16])
{
	const struct tensor_type_info *info = tensor_type_get(id);
	if (!info)
		info = tensor_type_removed(id, NULL);
	if (info)
		return info->name;
	snprintf(out, 16, "type %" PRIu32, id);
	return out;
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
