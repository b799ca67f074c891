/** Products of matrices, in tiles of up to 6 rows and 8 columns that stay in registers. */
#pragma once
#include "simd.h"


static inline void store_row(float *c, vec x, vec y, int columns, const float *bias, int relu, int accumulate) {
  if (columns >= 8) {
    if (bias) {
      x = add(x, load(bias));
      y = add(y, load(bias + 4));
    }
    if (accumulate) {
      x = add(x, load(c));
      y = add(y, load(c + 4));
    }
    if (relu) {
      x = relu4(x);
      y = relu4(y);
    }
    store(c, x);
    store(c + 4, y);
    return;
  }
#define STORE_LANE(column, vector, lane)                    \
  if (columns > column) {                                   \
    float value = wasm_f32x4_extract_lane(vector, lane);    \
    if (bias) value += bias[column];                        \
    if (accumulate) value += c[column];                     \
    c[column] = relu ? relu1(value) : value;                \
  }
  STORE_LANE(0, x, 0) STORE_LANE(1, x, 1) STORE_LANE(2, x, 2) STORE_LANE(3, x, 3)
  STORE_LANE(4, y, 0) STORE_LANE(5, y, 1) STORE_LANE(6, y, 2)
#undef STORE_LANE
}

/** The most rows of a tile: their sums, 8 columns each, fill the registers. */
#define TILE_ROWS 6

/**
 * Adds the product of `tile` rows of `a`, `depth` long, and 8 columns of `b` to the sums x and y. `a(m, k)` is at
 * `a[m * a_row + k * a_step]`, row k of `b` at `b + k * b_step`, where 8 floats may be read.
 */
INLINE void add_products(const int tile, vec *x, vec *y, const float *a, int a_row,
                                                               int a_step, const float *b, int b_step, int depth) {
  for (int k = 0; k < depth; k++, a += a_step, b += b_step) {
    vec bx = load(b), by = load(b + 4);
    const float *p = a;
UNROLL
    for (int m = 0; m < tile; m++, p += a_row) {
      vec s = load_splat(p);
      x[m] = madd(s, bx, x[m]), y[m] = madd(s, by, y[m]);
      IN_ORDER2(x[m], y[m]);
    }
  }
}

/** c = a x b for a tile, and what store_row() does. */
INLINE void multiply_tile(const int tile, const float *a, int a_row, int a_step,
                                                                const float *b, int b_step, float *c, int c_row,
                                                                int columns, int depth, const float *bias, int relu,
                                                                int accumulate) {
  vec x[TILE_ROWS], y[TILE_ROWS];
UNROLL
  for (int m = 0; m < tile; m++) x[m] = y[m] = ZERO;
  add_products(tile, x, y, a, a_row, a_step, b, b_step, depth);
UNROLL
  for (int m = 0; m < tile; m++) store_row(c + m * c_row, x[m], y[m], columns, bias, relu, accumulate);
}

/** The rows of the next tile where `left` are left: 6 and 4, so that no single ones remain of an even number. */
static inline int next_tile(int left) { return left >= 6 && left != 8 ? 6 : left >= 4 ? 4 : 1; }

/** c[rows, columns] = a x b for up to 8 columns; `a` and `b` as for add_products(). */
NOINLINE void multiply_panel(const float *a, int a_row, int a_step, const float *b, int b_step,
                                                     float *c, int c_row, int rows, int columns, int depth,
                                                     const float *bias, int relu, int accumulate) {
  for (int m = 0; m < rows;) {
    int tile = next_tile(rows - m);
    if (tile == 1 && rows >= 4 && !accumulate) {
      // the last rows with some before them once more, which does no harm: a tile takes no longer than a row
      int back = 4 - (rows - m);
      m -= back, a -= back * a_row, c -= back * c_row, tile = 4;
    }
#define TILE(n) multiply_tile(n, a, a_row, a_step, b, b_step, c, c_row, columns, depth, bias, relu, accumulate)
    if (tile == 6) TILE(6);
    else if (tile == 4) TILE(4);
    else TILE(1);
#undef TILE
    m += tile, a += tile * a_row, c += tile * c_row;
  }
}

/** Rows of `b` that are multiplied at once, so that 8 columns of them stay in the first cache. */
#define DEPTH_BLOCK 256

/** c[rows, columns] = a x b, with `b` packed into panels of 8 columns as pack_panels() leaves it. */
static inline void multiply_packed(const float *a, int a_row, int a_step, const float *packed, float *c, int c_row,
                                   int rows, int columns, int depth, const float *bias, int relu, int accumulate) {
  int from = 0;
  do {
    int block = min_int(DEPTH_BLOCK, depth - from);
    int last = from + block >= depth;
    for (int n = 0; n < columns; n += 8) {
      multiply_panel(a + from * a_step, a_row, a_step, packed + n * depth + from * 8, 8, c + n, c_row, rows,
                     min_int(8, columns - n), block, last && bias ? bias + n : 0, last && relu,
                     accumulate || from > 0);
    }
    from += block;
  } while (from < depth);
}

/** Four rows of four, stored as four columns. */
static inline void transpose_tile(vec r0, vec r1, vec r2, vec r3, float *o0, float *o1, float *o2, float *o3) {
  vec t0 = wasm_i32x4_shuffle(r0, r1, 0, 4, 1, 5), t1 = wasm_i32x4_shuffle(r2, r3, 0, 4, 1, 5);
  vec t2 = wasm_i32x4_shuffle(r0, r1, 2, 6, 3, 7), t3 = wasm_i32x4_shuffle(r2, r3, 2, 6, 3, 7);
  store(o0, wasm_i64x2_shuffle(t0, t1, 0, 2));
  store(o1, wasm_i64x2_shuffle(t0, t1, 1, 3));
  store(o2, wasm_i64x2_shuffle(t2, t3, 0, 2));
  store(o3, wasm_i64x2_shuffle(t2, t3, 1, 3));
}

/** Columns [first, last) of b[depth, columns] as panels [depth][8], zeros after the last column. first % 8 == 0. */
static inline void pack_panels(const float *b, int b_row, int b_column, int depth, int columns, int first, int last,
                               float *packed) {
  for (int n = first; n < last; n += 8) {
    float *to = packed + n * depth;
    if (b_column == 1 && n + 8 <= columns) {
      const float *from = b + n;
      for (int k = 0; k < depth; k++, from += b_row, to += 8) {
        store(to, load(from));
        store(to + 4, load(from + 4));
      }
      continue;
    }
    int width = min_int(8, columns - n);
    int k = 0;
    if (b_row == 1 && width == 8) {
      for (; k + 4 <= depth; k += 4, to += 32) {
        for (int half = 0; half < 8; half += 4) {
          const float *from = b + (n + half) * b_column + k;
          float *o = to + half;
          transpose_tile(load(from), load(from + b_column), load(from + 2 * b_column), load(from + 3 * b_column), o,
                         o + 8, o + 16, o + 24);
        }
      }
    }
    for (; k < depth; k++, to += 8) {
      for (int j = 0; j < 8; j++) to[j] = j < width ? b[k * b_row + (n + j) * b_column] : 0;
    }
  }
}
