/* Attention of the tile path over KV memory of q8_0. */
#include "compute/cuda/tile/tile_attention.cuh"

cudaError_t tile_attention_q8_0(const struct tile_attention_args *a, cudaStream_t stream)
{
	static const struct head_launch any = {0, {launch_shape<0, 1, 1, 1>, launch_shape<0, 2, 1, 1>}},
					shapes[] = {{64, {launch_shape<2, 1, 0, 1>, launch_shape<2, 2, 0, 1>}},
						    {128, {launch_shape<4, 1, 0, 1>, launch_shape<4, 2, 0, 1>}}};
	const struct head_launch *launch = &any;
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		if (tile_hd(a->kv.head_dim) == shapes[i].hd && !a->window && a->soft_cap == 0)
			launch = &shapes[i];
	return launch->of_planes[a->kv.planes - 1](a, stream);
}
