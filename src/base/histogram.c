#include "base/histogram.h"

const double histogram_seconds[19] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,
				      2,     5,     10,    20,   50,   100,  200, 500, 1000};
const double histogram_step_seconds[17] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075,
					   0.1,    0.15,  0.2,   0.3,   0.5,  1,    2,    5};
const double histogram_powers[21] = {1,     2,     4,     8,      16,     32,     64,
				     128,   256,   512,   1024,   2048,   4096,   8192,
				     16384, 32768, 65536, 131072, 262144, 524288, 1048576};

void histogram_add(struct histogram *h, double value)
{
	uint32_t i = 0;
	if (!(value > 0))
		value = 0;
	while (i < h->n_bounds && value > h->bounds[i])
		i++;
	h->counts[i]++;
	h->sum += value;
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i <= h->n_bounds; i++)
		n += h->counts[i];
	return n;
}
