#include "compute/exact_math.h"

#include <math.h>

/* ln 2 in two parts: the first has its low bits clear, so that its product with a whole number below 2^11 is
 * exact. */
#define LN2_HIGH 0x1.62e42fefa38p-1
#define LN2_LOW  0x1.ef35793c7673p-45

double exact_log(double x)
{
	int e;
	double m = frexp(x, &e); /* 0.5 <= m < 1 */
	if (m < 0x1.6a09e667f3bcdp-1) {
		m *= 2;
		e--;
	}
	/* ln m = 2 atanh(s) by its series. */
	double s = (m - 1) / (m + 1), q = s * s, sum = 0;
	for (int k = 25; k >= 1; k -= 2)
		sum = sum * q + 1.0 / k;
	return e * LN2_HIGH + (e * LN2_LOW + 2 * s * sum);
}

double exact_exp(double x)
{
	if (x < -700)
		return 0;
	if (x > 700)
		return INFINITY;
	double k = rint(x / EXACT_LN2), r = (x - k * LN2_HIGH) - k * LN2_LOW, sum = 1;
	for (int i = 14; i >= 1; i--)
		sum = 1 + sum * r / i;
	return ldexp(sum, (int)k);
}
