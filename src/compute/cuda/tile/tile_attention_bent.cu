/* Attention of the tile path with windows and soft caps; and without, of heads that are seldom. */
#include "compute/cuda/tile/tile_attention.cuh"

cudaError_t tile_attention_bent(const struct tile_attention_args *a, cudaStream_t stream)
{
	/* two planes' sums of 256 columns do not fit in registers */
	static const struct head_launch any = {0, {launch_shape<0, 1, 1>, launch_shape<0, 2, 1>}},
					shapes[] = {{64, {launch_shape<2, 1, 1>, launch_shape<2, 2, 1>}},
						    {96, {launch_shape<3, 1, 1>, launch_shape<3, 2, 1>}},
						    {128, {launch_shape<4, 1, 1>, launch_shape<4, 2, 1>}},
						    {256, {launch_shape<8, 1, 1>, launch_shape<0, 2, 1>}}};
	const struct head_launch *launch = &any;
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		if (tile_hd(a->kv.head_dim) == shapes[i].hd)
			launch = &shapes[i];
	return launch->of_planes[a->kv.planes - 1](a, stream);
}
