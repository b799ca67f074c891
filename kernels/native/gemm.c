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

/** c = a x b + bias, for a batch of matrices. Tasks share the products, of which each is in `parts` of its rows. */
KERNEL(multiply)(const multiply_arguments *a, int task, float *scratch) {
  int quads = (a->rows + 3) / 4, units = a->batch * a->parts, end = part_start(units, task + 1, a->tasks);
  for (int unit = part_start(units, task, a->tasks); unit < end; unit++) {
    int batch = unit / a->parts, part = unit % a->parts;
    int first = part_start(quads, part, a->parts) * 4;
    int last = min_int(part_start(quads, part + 1, a->parts) * 4, a->rows);
    // rows in blocks, so that they stay in the second cache while the panels pass by
    for (int m = first; m < last; m += 64) {
      multiply_packed(a->a + batch * a->a_batch + m * a->a_row, a->a_row, a->a_step,
                      a->packed + batch * a->packed_batch, a->c + (batch * a->rows + m) * a->columns, a->columns,
                      min_int(64, last - m), a->columns, a->depth, a->bias, a->relu, 0);
    }
  }
}
