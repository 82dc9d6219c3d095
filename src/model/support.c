/* What of a model a backend cannot do, by the name of the spec's field and the layer. */
#include <stdio.h>

#include "model/model.h"

static const char *const feature_names[] = {
#define FEATURE_X(name, text, ...) text,
	SPEC_FEATURES(FEATURE_X) MODEL_FEATURES(FEATURE_X)
#undef FEATURE_X
};

/* Bits of what s, a layer's of m, asks for. */
static uint32_t layer_features(const struct model *m, const struct layer_spec *s)
{
	uint32_t bits = 0;
#define FEATURE_X(name, text, condition) bits |= (condition) ? FEATURE_BIT(name) : 0;
	SPEC_FEATURES(FEATURE_X)
#undef FEATURE_X
	return bits;
}

static uint32_t model_features(const struct model *m)
{
	uint32_t bits = 0;
#define FEATURE_X(name, text, condition) bits |= (condition) ? FEATURE_BIT(name) : 0;
	MODEL_FEATURES(FEATURE_X)
#undef FEATURE_X
	return bits;
}

const char *model_unsupported(const struct model *m, const struct spec_support *can,
			      char out[MODEL_SUPPORT_TEXT])
{
	uint32_t lacks = model_features(m) & ~can->features;
	for (uint32_t f = 0; f < N_FEATURES; f++)
		if (lacks >> f & 1) {
			snprintf(out, MODEL_SUPPORT_TEXT, "%s", feature_names[f]);
			return out;
		}
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct layer *layer = &m->layers[l];
		lacks = layer_features(m, layer->spec) & ~can->features;
		for (uint32_t f = 0; f < N_FEATURES; f++)
			if (lacks >> f & 1) {
				snprintf(out, MODEL_SUPPORT_TEXT, "%s of layer %u", feature_names[f], l);
				return out;
			}
		for (uint32_t r = 0; r < N_LAYER_ROLES; r++) {
			bool has = layer->w[r].tensor != NULL;
			if ((has && !(can->roles >> r & 1)) || (!has && can->must >> r & 1)) {
				snprintf(out, MODEL_SUPPORT_TEXT,
					 has ? "%s of layer %u" : "a layer without %s (%u)",
					 layer_roles[r].name, l);
				return out;
			}
		}
	}
	return NULL;
}
