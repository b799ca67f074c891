#include "simd.h"

enum { OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_DIVIDE, OP_PRELU, OP_MAXIMUM, OP_MINIMUM };

typedef struct {
  const float *a;
  int a_row, a_column; /* steps: 0 where a is broadcast */
  const float *b;
  int b_row, b_column;
  float *out;
  int rows, columns, operation, tasks;
} binary_arguments;

#define BINARY_LOOPS(VECTOR, SCALAR)                                                                        \
  for (int r = r0; r < r1; r++) {                                                                           \
    const float *p = a->a + r * a->a_row, *q = a->b + r * a->b_row;                                         \
    float *o = a->out + r * a->columns;                                                                     \
    int c = c0;                                                                                             \
    if (a->a_column && a->b_column) {                                                                       \
      for (; c + 4 <= c1; c += 4) store(o + c, VECTOR(load(p + c), load(q + c)));                           \
      for (; c < c1; c++) o[c] = SCALAR(p[c], q[c]);                                                        \
    } else if (a->a_column) {                                                                               \
      vec s = load_splat(q);                                                                                \
      for (; c + 4 <= c1; c += 4) store(o + c, VECTOR(load(p + c), s));                                     \
      for (; c < c1; c++) o[c] = SCALAR(p[c], q[0]);                                                        \
    } else {                                                                                                \
      vec s = load_splat(p);                                                                                \
      for (; c + 4 <= c1; c += 4) store(o + c, VECTOR(s, load(q + c)));                                     \
      for (; c < c1; c++) o[c] = SCALAR(p[0], q[c]);                                                        \
    }                                                                                                       \
  }

#define ADD1(a, b) (a) + (b)
#define SUB1(a, b) (a) - (b)
#define MUL1(a, b) (a) * (b)
#define DIV1(a, b) (a) / (b)
#define PRELU1(a, b) (a) < 0 ? (a) * (b) : (a)
// NaN where one of both is
#define MAX1(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define MIN1(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))

static inline vec prelu4(vec a, vec slope) { return wasm_v128_bitselect(mul(a, slope), a, wasm_f32x4_lt(a, ZERO)); }

/** out[rows, columns] = a (operation) b. Tasks share the rows, or the columns of a single row. */
KERNEL(binary)(const binary_arguments *a, int task, float *scratch) {
  int r0 = 0, r1 = a->rows, c0 = 0, c1 = a->columns;
  if (a->rows == 1) c0 = part_start(a->columns, task, a->tasks), c1 = part_start(a->columns, task + 1, a->tasks);
  else r0 = part_start(a->rows, task, a->tasks), r1 = part_start(a->rows, task + 1, a->tasks);
  switch (a->operation) {
    case OP_ADD: BINARY_LOOPS(add, ADD1) break;
    case OP_SUBTRACT: BINARY_LOOPS(sub, SUB1) break;
    case OP_MULTIPLY: BINARY_LOOPS(mul, MUL1) break;
    case OP_DIVIDE: BINARY_LOOPS(wasm_f32x4_div, DIV1) break;
    case OP_PRELU: BINARY_LOOPS(prelu4, PRELU1) break;
    case OP_MAXIMUM: BINARY_LOOPS(wasm_f32x4_max, MAX1) break;
    case OP_MINIMUM: BINARY_LOOPS(wasm_f32x4_min, MIN1) break;
  }
}

typedef struct {
  const float *x;
  float *y;
  int count, tasks;
} unary_arguments;

/** y = max(0, x). */
KERNEL(relu)(const unary_arguments *a, int task, float *scratch) {
  int i = part_start(a->count, task, a->tasks), end = part_start(a->count, task + 1, a->tasks);
  for (; i + 4 <= end; i += 4) store(a->y + i, relu4(load(a->x + i)));
  for (; i < end; i++) a->y[i] = relu1(a->x[i]);
}

typedef struct {
  const float *x;
  float *y;
  int count, tasks;
  float least, most;
} clip_arguments;

/** y = min(max(x, least), most), NaN where x is NaN. */
KERNEL(clip)(const clip_arguments *a, int task, float *scratch) {
  int i = part_start(a->count, task, a->tasks), end = part_start(a->count, task + 1, a->tasks);
  vec least = splat(a->least), most = splat(a->most);
  // pmax and pmin give their first argument where one is NaN
  for (; i + 4 <= end; i += 4) store(a->y + i, wasm_f32x4_pmin(wasm_f32x4_pmax(load(a->x + i), least), most));
  for (; i < end; i++) {
    float x = a->x[i];
    a->y[i] = x > a->most ? a->most : x < a->least ? a->least : x;
  }
}

typedef struct {
  const float *dy, *y;
  float *dx;
  int count, tasks;
} relu_gradient_arguments;

/** dx = dy where y > 0, NaN where y is NaN, else 0. */
KERNEL(relu_gradient)(const relu_gradient_arguments *a, int task, float *scratch) {
  int i = part_start(a->count, task, a->tasks), end = part_start(a->count, task + 1, a->tasks);
  for (; i + 4 <= end; i += 4) {
    vec y = load(a->y + i);
    vec slope = wasm_v128_and(wasm_f32x4_gt(y, ZERO), splat(1));
    slope = wasm_v128_bitselect(slope, y, wasm_f32x4_eq(y, y));
    store(a->dx + i, mul(load(a->dy + i), slope));
  }
  for (; i < end; i++) {
    float y = a->y[i];
    a->dx[i] = a->dy[i] * (y > 0 ? 1 : y == y ? 0 : y);
  }
}

typedef struct {
  const float *x;
  int rows, columns;
  float *partial; /* [tasks][columns] */
  int tasks;
} column_sums_arguments;

/** The sums of the columns of x, one for each task. Tasks share the rows. */
KERNEL(column_sums)(const column_sums_arguments *a, int task, float *scratch) {
  int columns = a->columns, first = part_start(a->rows, task, a->tasks), last = part_start(a->rows, task + 1, a->tasks);
  float *sum = a->partial + task * columns;
  int c = 0;
  // sums of 512 rows are added to the whole: the rounding of a long sum would tell
  clear_floats(sum, columns);
  for (int from = first; from < last; from += 512) {
    int to = min_int(from + 512, last);
    for (c = 0; c + 16 <= columns; c += 16) {
      vec s0 = ZERO, s1 = ZERO, s2 = ZERO, s3 = ZERO;
      const float *x = a->x + from * columns + c;
      for (int r = from; r < to; r++, x += columns) {
        s0 = add(s0, load(x)), s1 = add(s1, load(x + 4)), s2 = add(s2, load(x + 8)), s3 = add(s3, load(x + 12));
      }
      store(sum + c, add(load(sum + c), s0)), store(sum + c + 4, add(load(sum + c + 4), s1));
      store(sum + c + 8, add(load(sum + c + 8), s2)), store(sum + c + 12, add(load(sum + c + 12), s3));
    }
    for (; c + 4 <= columns; c += 4) {
      vec s = ZERO;
      const float *x = a->x + from * columns + c;
      for (int r = from; r < to; r++, x += columns) s = add(s, load(x));
      store(sum + c, add(load(sum + c), s));
    }
    for (; c < columns; c++) {
      float s = 0;
      for (int r = from; r < to; r++) s += a->x[r * columns + c];
      sum[c] += s;
    }
  }
}

typedef struct {
  const float *x;
  const int *indices;
  float *out;
  int count, size, tasks;
} gather_rows_arguments;

/** Copies the rows of `size` floats that `indices` names. */
KERNEL(gather_rows)(const gather_rows_arguments *a, int task, float *scratch) {
  int end = part_start(a->count, task + 1, a->tasks);
  for (int i = part_start(a->count, task, a->tasks); i < end; i++) {
    copy_floats(a->out + i * a->size, a->x + a->indices[i] * a->size, a->size);
  }
}
