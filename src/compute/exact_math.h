/* Logarithm and exponential of fixed operations in float64, each rounded on its own, so that every machine
 * has the same bits (docs/sampling.md); within a few units in the last place. */
#ifndef COMPUTE_EXACT_MATH_H
#define COMPUTE_EXACT_MATH_H

/* ln x, for finite x > 0 that is no subnormal. */
double exact_log(double x);

/* e^x: 0 below -700, infinity above 700. */
double exact_exp(double x);

#define EXACT_LN2 0.69314718055994530942

#endif
