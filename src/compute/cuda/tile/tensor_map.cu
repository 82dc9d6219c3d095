/* How the copy engine is told of a matrix. The driver's function is found at run time: nothing is linked to libcuda. */
#include <cudaTypedefs.h>

#include "compute/cuda/sm90.cuh"

cudaError_t tensor_map_make(struct tensor_map *m, uint16_t *halves, uint32_t rows, uint32_t pitch, uint32_t box_rows)
{
	static PFN_cuTensorMapEncodeTiled_v12000 encode;
	if (!encode) {
		void *f = NULL;
		enum cudaDriverEntryPointQueryResult found;
		cudaError_t e = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000, cudaEnableDefault, &found);
		if (e)
			return e;
		if (found != cudaDriverEntryPointSuccess)
			return cudaErrorNotSupported;
		encode = reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(f);
	}
	cuuint64_t size[2] = {pitch, rows}, bytes[1] = {(cuuint64_t)pitch * 2};
	cuuint32_t box[2] = {64, box_rows}, step[2] = {1, 1};
	CUresult r = encode(&m->map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, halves, size, bytes, box, step,
			    CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
			    CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
	return r == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}
