/* The tables of roles.h, as data. */
#include "model/roles.h"

#define ROW_X(role, name, cols, rows) [ROLE_##role] = {name, DIM_##cols, DIM_##rows},
const struct role_row layer_roles[N_LAYER_ROLES] = {LAYER_ROLES(ROW_X)};
const struct role_row model_roles[N_MODEL_ROLES] = {MODEL_ROLES(ROW_X)};
#undef ROW_X

const struct fused_row fused_rows[N_FUSED_ROWS] = {
	{"attn_qkv.weight", {ROLE_WQ, ROLE_WK, ROLE_WV}, 3},
	{"attn_qkv.bias", {ROLE_BQ, ROLE_BK, ROLE_BV}, 3},
	{"ffn_up.weight", {ROLE_W_GATE, ROLE_W_UP}, 2},
	{"ffn_up.bias", {ROLE_B_GATE, ROLE_B_UP}, 2},
};
