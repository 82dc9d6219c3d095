/* Tiles as the instructions have them. Register numbers must be constants. */
#ifndef COMPUTE_CPU_SIMD_AMX_H
#define COMPUTE_CPU_SIMD_AMX_H

#include <immintrin.h>

#define tile_configure(config)       _tile_loadconfig(config)
#define tile_release()               _tile_release()
#define tile_zero(tile)              _tile_zero(tile)
#define tile_load(tile, p, stride)   _tile_loadd(tile, p, stride)
#define tile_store(tile, p, stride)  _tile_stored(tile, p, stride)
#define tile_dot(sum, acts, weights) _tile_dpbssd(sum, acts, weights) /* signed bytes */

#endif
