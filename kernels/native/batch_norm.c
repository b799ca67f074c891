/**
 * Batch normalization in training: each column of x[rows, columns] by its own mean and variance.
 *
 * What belongs to a column is kept in registers for a few columns while the rows of a block pass by. Most blocks are so
 * small that memory is read nearly in its order: what is read in another order comes at half the speed. Those of the
 * moments are larger, for the sake of their rounding.
 */
#include "simd.h"

/** `lanes` of a vector: 4, or 1 for the last columns. */
INLINE vec take(const float *from, const int lanes) { return lanes == 4 ? load(from) : wasm_v128_load32_zero(from); }
INLINE void put(float *to, vec v, const int lanes) {
  if (lanes == 4) store(to, v);
  else wasm_v128_store32_lane(to, v, 0);
}
INLINE void put_sum(float *to, vec v, const int lanes) { put(to, add(take(to, lanes), v), lanes); }

/**
 * `block(vectors, lanes, a, task, from, to, column)` for all columns of each block [from, to) of a task's rows, of
 * so many floats or a little less, and few enough rows that the rounding of their sums does not tell.
 */
#define FOR_EACH_BLOCK(block, floats, most, a, task)                                                       \
  int end_ = part_start(a->rows, task + 1, a->tasks), step_ = min_int(max_int(floats / a->columns, 1), 512);\
  for (int from = part_start(a->rows, task, a->tasks); from < end_; from += step_) {                       \
    int to = min_int(from + step_, end_), column = 0;                                                      \
    for (; column + 4 * most <= a->columns; column += 4 * most) block(most, 4, a, task, from, to, column); \
    for (; column + 4 <= a->columns; column += 4) block(1, 4, a, task, from, to, column);                  \
    for (; column < a->columns; column++) block(1, 1, a, task, from, to, column);                          \
  }

typedef struct {
  const float *x;
  int rows, columns;
  float *partial; /* [tasks][2][columns] */
  int tasks;
} moments_arguments;

/**
 * Adds a block to the mean and the sum of squared distances of the rows before it, as Chan et al. do. Within the block
 * distances are from its first row, which keeps sums small wherever the numbers lie.
 */
INLINE void moments_block(const int vectors, const int lanes, const moments_arguments *a, int task, int from, int to,
                          int column) {
  float *mean = a->partial + task * 2 * a->columns + column, *squares = mean + a->columns;
  const float *x = a->x + from * a->columns + column;
  vec first[4], sum[4], square[4];
  UNROLL for (int v = 0; v < vectors; v++) first[v] = take(x + 4 * v, lanes), sum[v] = square[v] = ZERO;
  for (int r = from; r < to; r++, x += a->columns) {
    UNROLL for (int v = 0; v < vectors; v++) {
      vec distance = sub(take(x + 4 * v, lanes), first[v]);
      sum[v] = add(sum[v], distance), square[v] = madd(distance, distance, square[v]);
    }
  }
  float before = from - part_start(a->rows, task, a->tasks), count = to - from, all = before + count;
  UNROLL for (int v = 0; v < vectors; v++) {
    vec average = mul(sum[v], splat(1 / count)), own = nmadd(average, sum[v], square[v]);
    vec distance = add(sub(first[v], take(mean + 4 * v, lanes)), average);
    put_sum(mean + 4 * v, mul(distance, splat(count / all)), lanes);
    put_sum(squares + 4 * v, madd(mul(distance, distance), splat(before * count / all), own), lanes);
  }
}

/** The mean and the sum of the squared distances from it, one pair for each task. Tasks share the rows. */
KERNEL(moments)(const moments_arguments *a, int task, float *scratch) {
  clear_floats(a->partial + task * 2 * a->columns, 2 * a->columns);
  FOR_EACH_BLOCK(moments_block, 4096, 4, a, task)
}

typedef struct {
  const float *x, *mean, *slope, *offset;
  float *y;
  int rows, columns, relu, tasks;
} normalize_arguments;

INLINE void normalize_block(const int vectors, const int lanes, const normalize_arguments *a, int task, int from,
                            int to, int column) {
  int columns = a->columns, at = from * columns + column;
  const float *x = a->x + at;
  float *y = a->y + at;
  vec mean[2], slope[2], offset[2], least = a->relu ? ZERO : splat(-__builtin_inff());
  UNROLL for (int v = 0; v < vectors; v++) {
    mean[v] = take(a->mean + column + 4 * v, lanes);
    slope[v] = take(a->slope + column + 4 * v, lanes);
    offset[v] = take(a->offset + column + 4 * v, lanes);
  }
  for (int r = from; r < to; r++, x += columns, y += columns) {
    UNROLL for (int v = 0; v < vectors; v++) {
      vec result = madd(sub(take(x + 4 * v, lanes), mean[v]), slope[v], offset[v]);
      put(y + 4 * v, wasm_f32x4_pmax(result, least), lanes);
    }
  }
}

/** y = (x - mean) * slope + offset. Tasks share the rows. */
KERNEL(normalize)(const normalize_arguments *a, int task, float *scratch) {
  FOR_EACH_BLOCK(normalize_block, 128, 2, a, task)
}

/** The gradient before a relu of the normalized values: dy where they are above zero, which is found out once more. */
INLINE vec through_relu(vec dy, vec distance, vec slope, vec offset) {
  return wasm_v128_and(dy, wasm_f32x4_gt(madd(distance, slope, offset), ZERO));
}

typedef struct {
  const float *dy, *x, *mean, *slope, *offset;
  int relu, rows, columns; /* relu: dy is the gradient of a relu of what was normalized */
  float *partial;          /* [tasks][2][columns] */
  int tasks;
} normalize_sums_arguments;

INLINE void normalize_sums_block(const int vectors, const int lanes, const normalize_sums_arguments *a, int task,
                                 int from, int to, int column) {
  float *sums = a->partial + task * 2 * a->columns + column, *products = sums + a->columns;
  int columns = a->columns, relu = a->relu, at = from * columns + column;
  const float *x = a->x + at, *dy = a->dy + at;
  vec mean[2], slope[2], offset[2], sum[2], product[2];
  UNROLL for (int v = 0; v < vectors; v++) {
    mean[v] = take(a->mean + column + 4 * v, lanes);
    slope[v] = take(a->slope + column + 4 * v, lanes);
    offset[v] = take(a->offset + column + 4 * v, lanes);
    sum[v] = product[v] = ZERO;
  }
  for (int r = from; r < to; r++, x += columns, dy += columns) {
    UNROLL for (int v = 0; v < vectors; v++) {
      vec distance = sub(take(x + 4 * v, lanes), mean[v]), g = take(dy + 4 * v, lanes);
      if (relu) g = through_relu(g, distance, slope[v], offset[v]);
      sum[v] = add(sum[v], g);
      product[v] = madd(g, distance, product[v]);
    }
  }
  UNROLL for (int v = 0; v < vectors; v++) {
    put_sum(sums + 4 * v, sum[v], lanes);
    put_sum(products + 4 * v, product[v], lanes);
  }
}

/** The sums of dy, and of dy * (x - mean), one pair for each task. Tasks share the rows. */
KERNEL(normalize_sums)(const normalize_sums_arguments *a, int task, float *scratch) {
  clear_floats(a->partial + task * 2 * a->columns, 2 * a->columns);
  FOR_EACH_BLOCK(normalize_sums_block, 128, 2, a, task)
}

typedef struct {
  const float *dy, *x, *mean, *slope, *offset, *shift, *tilt;
  float *dx;
  int relu, rows, columns, tasks; /* relu: as for the sums */
} normalize_gradient_arguments;

INLINE void normalize_gradient_block(const int vectors, const int lanes, const normalize_gradient_arguments *a,
                                     int task, int from, int to, int column) {
  int columns = a->columns, relu = a->relu, at = from * columns + column;
  const float *x = a->x + at, *dy = a->dy + at;
  float *dx = a->dx + at;
  vec mean[2], slope[2], offset[2], shift[2], tilt[2];
  UNROLL for (int v = 0; v < vectors; v++) {
    mean[v] = take(a->mean + column + 4 * v, lanes);
    slope[v] = take(a->slope + column + 4 * v, lanes);
    offset[v] = take(a->offset + column + 4 * v, lanes);
    shift[v] = take(a->shift + column + 4 * v, lanes);
    tilt[v] = take(a->tilt + column + 4 * v, lanes);
  }
  for (int r = from; r < to; r++, x += columns, dy += columns, dx += columns) {
    UNROLL for (int v = 0; v < vectors; v++) {
      vec distance = sub(take(x + 4 * v, lanes), mean[v]), g = take(dy + 4 * v, lanes);
      if (relu) g = through_relu(g, distance, slope[v], offset[v]);
      put(dx + 4 * v, mul(slope[v], nmadd(distance, tilt[v], sub(g, shift[v]))), lanes);
    }
  }
}

/** dx = slope * (dy - shift - (x - mean) * tilt). Tasks share the rows. */
KERNEL(normalize_gradient)(const normalize_gradient_arguments *a, int task, float *scratch) {
  FOR_EACH_BLOCK(normalize_gradient_block, 128, 2, a, task)
}
