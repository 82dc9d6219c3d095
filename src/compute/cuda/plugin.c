/* What the binary finds in the plugin. */
#include "compute/cuda/cuda.h"

const struct compute_plugin *hokku_compute_plugin(void)
{
	static struct compute_plugin plugin = {
		.abi = COMPUTE_PLUGIN_ABI,
		.name = "cuda",
		.backend = &compute_cuda,
		.list_devices = cuda_list_devices,
		.free_bytes = cuda_free_bytes,
		.measure = cuda_measure,
	};
	plugin.version = hokku_version();
	return &plugin;
}
