#include "simd.h"

typedef struct {
  const float *x;
  float *out;
  int count;
  unsigned s0, s1, s2, carry; /* the state of Alea, in units of 2^-32 */
  float keep;                 /* the share of entries that stay */
} dropout_arguments;

/**
 * out = x / keep where the entry stays, else 0: x * (floor(random + keep) / keep), rounded as tfjs does. One task:
 * each random number follows from those before.
 */
KERNEL(dropout)(const dropout_arguments *a, int task, float *scratch) {
  unsigned s0 = a->s0, s1 = a->s1, s2 = a->s2;
  unsigned long long carry = a->carry;
  const float *x = a->x;
  float *out = a->out, keep = a->keep, scale = 1 / keep;
  for (int i = 0, count = a->count; i < count; i++) {
    // exact in the doubles in which Alea is defined: below 2^53 in these units
    unsigned long long next = 2091639ull * s0 + carry;
    s0 = s1, s1 = s2, s2 = (unsigned)next, carry = next >> 32;
    out[i] = x[i] * (__builtin_floorf((float)s2 * 0x1p-32f + keep) * scale);
  }
}
