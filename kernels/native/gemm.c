#include "gemm.h"

typedef struct {
  const float *b;
  int b_row, b_column, b_batch; /* steps between rows, columns and matrices */
  float *packed;
  int packed_batch, depth, columns, batch, parts, tasks;
} pack_arguments;

/** Packs a batch of matrices for multiply(). Tasks share the matrices, of which each is in `parts` of its columns. */
KERNEL(pack)(const pack_arguments *a, int task, float *scratch) {
  int panels = (a->columns + 7) / 8, units = a->batch * a->parts, end = part_start(units, task + 1, a->tasks);
  for (int unit = part_start(units, task, a->tasks); unit < end; unit++) {
    int batch = unit / a->parts, part = unit % a->parts;
    int first = part_start(panels, part, a->parts) * 8, last = part_start(panels, part + 1, a->parts) * 8;
    pack_panels(a->b + batch * a->b_batch, a->b_row, a->b_column, a->depth, a->columns, first,
                min_int(last, a->columns), a->packed + batch * a->packed_batch);
  }
}

typedef struct {
  const float *a;
  int a_row, a_step, a_batch;
  const float *packed;
  int packed_batch;
  float *c;
  int rows, columns, depth, batch, parts, tasks;
  const float *bias;
  int relu;
} multiply_arguments;

#define ROW_BLOCK 64

/** From `count` columns of a matrix [depth, ...] with steps of `step` between its rows to rows [count, depth]. */
static void transpose_block(const float *from, int step, int count, int depth, float *to) {
  int k = 0;
  for (; k + 4 <= depth; k += 4) {
    const float *p = from + k * step;
    int m = 0;
    for (; m + 4 <= count; m += 4) {
      float *o = to + m * depth + k;
      transpose_tile(load(p + m), load(p + step + m), load(p + 2 * step + m), load(p + 3 * step + m), o, o + depth,
                     o + 2 * depth, o + 3 * depth);
    }
    for (; m < count; m++) {
      for (int j = 0; j < 4; j++) to[m * depth + k + j] = p[j * step + m];
    }
  }
  for (; k < depth; k++) {
    for (int m = 0; m < count; m++) to[m * depth + k] = from[k * step + m];
  }
}

/**
 * c = a x b + bias, for a batch of matrices. Scratch: 64 * depth floats if a_step is not 1.
 * Tasks share the products, of which each is in `parts` of its rows.
 */
KERNEL(multiply)(const multiply_arguments *a, int task, float *scratch) {
  int quads = (a->rows + 3) / 4, units = a->batch * a->parts, end = part_start(units, task + 1, a->tasks);
  for (int unit = part_start(units, task, a->tasks); unit < end; unit++) {
    int batch = unit / a->parts, part = unit % a->parts;
    int first = part_start(quads, part, a->parts) * 4;
    int last = min_int(part_start(quads, part + 1, a->parts) * 4, a->rows);
    // rows in blocks, so that they stay in the second cache while the panels pass by
    for (int m = first; m < last; m += ROW_BLOCK) {
      const float *rows = a->a + batch * a->a_batch + m * a->a_row;
      int count = min_int(ROW_BLOCK, last - m), row = a->a_row;
      if (a->a_step != 1) {
        // columns far apart would fall on the same lines of the cache
        transpose_block(rows, a->a_step, count, a->depth, scratch);
        rows = scratch, row = a->depth;
      }
      multiply_packed(rows, row, 1, a->packed + batch * a->packed_batch, a->c + (batch * a->rows + m) * a->columns,
                      a->columns, count, a->columns, a->depth, a->bias, a->relu, 0);
    }
  }
}

typedef struct {
  const float *a, *b; /* [depth, rows], [depth, columns] */
  int depth, rows, columns;
  float *partial; /* [tasks][rows, columns] */
  int tasks;
} multiply_transposed_arguments;

/** Rows of both matrices that are multiplied at once, so that they stay in the first cache. */
#define DEEP_BLOCK 128

/**
 * The product of a, transposed, and b, both much higher than wide: one sum for each task. Scratch: 8 * 128 floats.
 * Tasks share the depth.
 */
KERNEL(multiply_transposed)(const multiply_transposed_arguments *a, int task, float *scratch) {
  int rows = a->rows, columns = a->columns, end = part_start(a->depth, task + 1, a->tasks);
  float *sum = a->partial + task * rows * columns;
  clear_floats(sum, rows * columns);
  for (int k = part_start(a->depth, task, a->tasks); k < end; k += DEEP_BLOCK) {
    int count = min_int(DEEP_BLOCK, end - k);
    for (int n = 0; n < columns; n += 8) {
      const float *b = a->b + k * columns + n;
      int width = min_int(8, columns - n), step = columns;
      if (width < 8) {
        // the last columns by themselves: a panel would read past the end
        pack_panels(b, columns, 1, count, width, 0, width, scratch);
        b = scratch, step = 8;
      }
      multiply_panel(a->a + k * rows, 1, rows, b, step, sum + n, columns, rows, width, count, 0, 0, 1);
    }
  }
}
