/* A CUDA program that only makes its context: what any start-up on a device takes at least. */
#include <cuda_runtime_api.h>
#include <stdio.h>

int main(void)
{
	cudaError_t e = cudaSetDevice(0);
	if (!e)
		e = cudaFree(NULL);
	if (e) {
		fprintf(stderr, "gpu_empty: %s\n", cudaGetErrorString(e));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	return 0;
}
