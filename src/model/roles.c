/* The tables of roles.h, as data. */
#include "model/roles.h"

#define ROW_X(role, name, cols, rows) [ROLE_##role] = {name, DIM_##cols, DIM_##rows},
const struct role_row layer_roles[N_LAYER_ROLES] = {LAYER_ROLES(ROW_X)};
const struct role_row model_roles[N_MODEL_ROLES] = {MODEL_ROLES(ROW_X)};
#undef ROW_X
