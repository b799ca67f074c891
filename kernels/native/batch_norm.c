/**
 * Batch normalization in training: each column of x[rows, columns] by its own mean and variance.
 *
 * What belongs to a column is kept in registers for a few columns while the rows of a block pass by. Blocks are so
 * small that memory is read nearly in its order: what is read in another order comes at half the speed.
 */
#include "simd.h"

/** `lanes` of a vector: 4, or 1 for the last columns. */
INLINE vec take(const float *from, const int lanes) { return lanes == 4 ? load(from) : wasm_v128_load32_zero(from); }
INLINE void put(float *to, vec v, const int lanes) {
  if (lanes == 4) store(to, v);
  else wasm_v128_store32_lane(to, v, 0);
}
INLINE void put_sum(float *to, vec v, const int lanes) { put(to, add(take(to, lanes), v), lanes); }

/** `block(vectors, lanes, a, from, to, column, ...)` for all columns of each block [from, to) of rows [first, last). */
#define FOR_EACH_BLOCK(block, floats, most, a, first, last, ...)                                        \
  for (int from = first, step_ = max_int(floats / a->columns, 1); from < last; from += step_) {         \
    int to = min_int(from + step_, last), column = 0;                                                   \
    for (; column + 4 * most <= a->columns; column += 4 * most) {                                       \
      block(most, 4, a, from, to, column __VA_OPT__(, ) __VA_ARGS__);                                   \
    }                                                                                                   \
    for (; column + 4 <= a->columns; column += 4) {                                                     \
      block(1, 4, a, from, to, column __VA_OPT__(, ) __VA_ARGS__);                                      \
    }                                                                                                   \
    for (; column < a->columns; column++) block(1, 1, a, from, to, column __VA_OPT__(, ) __VA_ARGS__);  \
  }

/** Groups of a task's rows, [first, last), whose sums are added to the whole: the rounding of a long sum would tell. */
#define FOR_EACH_GROUP(a, task)                                                                         \
  int end_ = part_start(a->rows, task + 1, a->tasks);                                                   \
  for (int first = part_start(a->rows, task, a->tasks), last = min_int(first + 512, end_); first < end_; \
       first = last, last = min_int(first + 512, end_))

typedef struct {
  const float *x;
  int rows, columns;
  float *partial; /* [tasks][2][columns] */
  int tasks;
} moments_arguments;

/** Adds the distances of a block from the row `origin`, and their squares, to the sums. */
INLINE void moments_block(const int vectors, const int lanes, const moments_arguments *a, int from, int to, int column,
                          const float *origin, float *sums) {
  const float *x = a->x + from * a->columns + column;
  vec zero[4], sum[4], square[4];
  UNROLL for (int v = 0; v < vectors; v++) zero[v] = take(origin + column + 4 * v, lanes), sum[v] = square[v] = ZERO;
  for (int r = from; r < to; r++, x += a->columns) {
    UNROLL for (int v = 0; v < vectors; v++) {
      vec distance = sub(take(x + 4 * v, lanes), zero[v]);
      sum[v] = add(sum[v], distance), square[v] = madd(distance, distance, square[v]);
    }
  }
  UNROLL for (int v = 0; v < vectors; v++) {
    put_sum(sums + column + 4 * v, sum[v], lanes);
    put_sum(sums + a->columns + column + 4 * v, square[v], lanes);
  }
}

/**
 * The mean and the sum of the squared distances from it, one pair for each task. Distances are from a group's first row
 * to begin with, which keeps sums small wherever the numbers lie; groups are put together as Chan et al. do.
 * Scratch: 2 * columns floats. Tasks share the rows.
 */
KERNEL(moments)(const moments_arguments *a, int task, float *scratch) {
  int columns = a->columns, start = part_start(a->rows, task, a->tasks);
  float *mean = a->partial + task * 2 * columns, *squares = mean + columns;
  clear_floats(mean, 2 * columns);
  FOR_EACH_GROUP(a, task) {
    const float *origin = a->x + first * columns;
    clear_floats(scratch, 2 * columns);
    FOR_EACH_BLOCK(moments_block, 256, 4, a, first, last, origin, scratch)
    float before = first - start, count = last - first, all = before + count;
    for (int c = 0; c < columns; c++) {
      float average = scratch[c] / count, distance = origin[c] - mean[c] + average;
      mean[c] += distance * (count / all);
      squares[c] += scratch[columns + c] - average * scratch[c] + distance * distance * (before * count / all);
    }
  }
}

typedef struct {
  const float *x, *mean, *slope, *offset;
  float *y;
  int rows, columns, relu, tasks;
} normalize_arguments;

INLINE void normalize_block(const int vectors, const int lanes, const normalize_arguments *a, int from, int to,
                            int column) {
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
  int first = part_start(a->rows, task, a->tasks), last = part_start(a->rows, task + 1, a->tasks);
  FOR_EACH_BLOCK(normalize_block, 128, 2, a, first, last)
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

INLINE void normalize_sums_block(const int vectors, const int lanes, const normalize_sums_arguments *a, int from,
                                 int to, int column, float *sums) {
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
    put_sum(sums + column + 4 * v, sum[v], lanes);
    put_sum(sums + columns + column + 4 * v, product[v], lanes);
  }
}

/**
 * The sums of dy, and of dy * (x - mean), one pair for each task. Scratch: 2 * columns floats. Tasks share the rows.
 */
KERNEL(normalize_sums)(const normalize_sums_arguments *a, int task, float *scratch) {
  float *sums = a->partial + task * 2 * a->columns;
  clear_floats(sums, 2 * a->columns);
  FOR_EACH_GROUP(a, task) {
    clear_floats(scratch, 2 * a->columns);
    FOR_EACH_BLOCK(normalize_sums_block, 128, 2, a, first, last, scratch)
    add_floats(sums, scratch, 2 * a->columns);
  }
}

typedef struct {
  const float *dy, *x, *mean, *slope, *offset, *shift, *tilt;
  float *dx;
  int relu, rows, columns, tasks; /* relu: as for the sums */
} normalize_gradient_arguments;

INLINE void normalize_gradient_block(const int vectors, const int lanes, const normalize_gradient_arguments *a,
                                     int from, int to, int column) {
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
  int first = part_start(a->rows, task, a->tasks), last = part_start(a->rows, task + 1, a->tasks);
  FOR_EACH_BLOCK(normalize_gradient_block, 128, 2, a, first, last)
}
