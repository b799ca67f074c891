/** Batch normalization in training: each column of x[rows, columns] by its own mean and variance. */
#include "simd.h"

/** Rows whose sums are added to the whole: the rounding of a long sum would tell. */
#define ROWS_AT_ONCE 512

typedef struct {
  const float *x, *mean;
  int rows, columns;
  float *partial; /* [tasks][columns] */
  int tasks;
} square_sums_arguments;

/** The sums of the squared distances from the mean, one for each task. Tasks share the rows. */
KERNEL(square_sums)(const square_sums_arguments *a, int task, float *scratch) {
  int columns = a->columns, first = part_start(a->rows, task, a->tasks), last = part_start(a->rows, task + 1, a->tasks);
  float *sum = a->partial + task * columns;
  clear_floats(sum, columns);
  for (int from = first; from < last; from += ROWS_AT_ONCE) {
    int to = min_int(from + ROWS_AT_ONCE, last), c = 0;
    for (; c + 8 <= columns; c += 8) {
      vec m0 = load(a->mean + c), m1 = load(a->mean + c + 4), s0 = ZERO, s1 = ZERO;
      const float *x = a->x + from * columns + c;
      for (int r = from; r < to; r++, x += columns) {
        vec d0 = sub(load(x), m0), d1 = sub(load(x + 4), m1);
        s0 = madd(d0, d0, s0), s1 = madd(d1, d1, s1);
      }
      store(sum + c, add(load(sum + c), s0)), store(sum + c + 4, add(load(sum + c + 4), s1));
    }
    for (; c < columns; c++) {
      float s = 0;
      for (int r = from; r < to; r++) {
        float d = a->x[r * columns + c] - a->mean[c];
        s += d * d;
      }
      sum[c] += s;
    }
  }
}

typedef struct {
  const float *x, *mean, *slope, *offset;
  float *y;
  int rows, columns, relu, tasks;
} normalize_arguments;

/** y = (x - mean) * slope + offset. Tasks share the rows. */
KERNEL(normalize)(const normalize_arguments *a, int task, float *scratch) {
  int columns = a->columns, last = part_start(a->rows, task + 1, a->tasks);
  for (int r = part_start(a->rows, task, a->tasks); r < last; r++) {
    const float *x = a->x + r * columns;
    float *y = a->y + r * columns;
    int c = 0;
    for (; c + 4 <= columns; c += 4) {
      vec v = madd(sub(load(x + c), load(a->mean + c)), load(a->slope + c), load(a->offset + c));
      store(y + c, a->relu ? relu4(v) : v);
    }
    for (; c < columns; c++) {
      float v = (x[c] - a->mean[c]) * a->slope[c] + a->offset[c];
      y[c] = a->relu ? relu1(v) : v;
    }
  }
}

/** dy, or where `y` is given, the gradient of the relu whose result is y: dy where y > 0. */
static inline vec through_relu4(const float *dy, const float *y) {
  return y ? wasm_v128_and(load(dy), wasm_f32x4_gt(load(y), ZERO)) : load(dy);
}

static inline float through_relu1(const float *dy, const float *y) { return y && !(*y > 0) ? 0 : *dy; }

typedef struct {
  const float *dy, *y, *x, *mean; /* y may be null */
  int rows, columns;
  float *partial; /* [tasks][2][columns] */
  int tasks;
} normalize_sums_arguments;

/** The sums of dy, and of dy * (x - mean), one pair for each task. Tasks share the rows. */
KERNEL(normalize_sums)(const normalize_sums_arguments *a, int task, float *scratch) {
  int columns = a->columns, first = part_start(a->rows, task, a->tasks), last = part_start(a->rows, task + 1, a->tasks);
  float *sum = a->partial + task * 2 * columns, *product = sum + columns;
  clear_floats(sum, 2 * columns);
  for (int from = first; from < last; from += ROWS_AT_ONCE) {
    int to = min_int(from + ROWS_AT_ONCE, last), c = 0;
    for (; c + 8 <= columns; c += 8) {
      vec m0 = load(a->mean + c), m1 = load(a->mean + c + 4), s0 = ZERO, s1 = ZERO, p0 = ZERO, p1 = ZERO;
      int at = from * columns + c;
      for (int r = from; r < to; r++, at += columns) {
        vec g0 = through_relu4(a->dy + at, a->y ? a->y + at : 0);
        vec g1 = through_relu4(a->dy + at + 4, a->y ? a->y + at + 4 : 0);
        s0 = add(s0, g0), s1 = add(s1, g1);
        p0 = madd(g0, sub(load(a->x + at), m0), p0), p1 = madd(g1, sub(load(a->x + at + 4), m1), p1);
      }
      store(sum + c, add(load(sum + c), s0)), store(sum + c + 4, add(load(sum + c + 4), s1));
      store(product + c, add(load(product + c), p0)), store(product + c + 4, add(load(product + c + 4), p1));
    }
    for (; c < columns; c++) {
      float s = 0, p = 0;
      for (int r = from; r < to; r++) {
        int at = r * columns + c;
        float g = through_relu1(a->dy + at, a->y ? a->y + at : 0);
        s += g, p += g * (a->x[at] - a->mean[c]);
      }
      sum[c] += s, product[c] += p;
    }
  }
}

typedef struct {
  const float *dy, *y, *x, *mean; /* y may be null */
  const float *slope, *mean_gradient, *tilt;
  float *dx;
  int rows, columns, tasks;
} normalize_gradient_arguments;

/** dx = slope * (dy - mean_gradient - (x - mean) * tilt). Tasks share the rows. */
KERNEL(normalize_gradient)(const normalize_gradient_arguments *a, int task, float *scratch) {
  int columns = a->columns, last = part_start(a->rows, task + 1, a->tasks);
  for (int r = part_start(a->rows, task, a->tasks); r < last; r++) {
    int c = 0, at = r * columns;
    for (; c + 4 <= columns; c += 4, at += 4) {
      vec g = sub(through_relu4(a->dy + at, a->y ? a->y + at : 0), load(a->mean_gradient + c));
      g = nmadd(sub(load(a->x + at), load(a->mean + c)), load(a->tilt + c), g);
      store(a->dx + at, mul(load(a->slope + c), g));
    }
    for (; c < columns; c++, at++) {
      float g = through_relu1(a->dy + at, a->y ? a->y + at : 0) - a->mean_gradient[c];
      a->dx[at] = a->slope[c] * (g - (a->x[at] - a->mean[c]) * a->tilt[c]);
    }
  }
}
