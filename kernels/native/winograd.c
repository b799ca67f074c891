/**
 * Convolutions of 3x3 and 5x5 filters by the minimal algorithm of Winograd: four and nearly three times fewer
 * multiplications.
 *
 * Tiles of 6x6 pixels give 4x4 results of a 3x3 filter, or 2x2 of a 5x5 one: F(4x4, 3x3) and F(2x2, 5x5) forwards,
 * F(3x3, 4x4) and F(5x5, 2x2) for the gradient of the filter, all with the interpolation points 0, 1, -1, 2, -2 and
 * infinity. Transformed data is kept as 36 matrices, one for each place in a tile; the products are products of those
 * matrices.
 */
#include "gemm.h"

#define TILE 6
#define PLACES 36

/** Floats from one place to the next: a cache line more than the data, or all places would fall on the same lines. */
static inline int place_step(int block, int columns) { return ((block * columns + 15) & ~15) + 16; }

/** One image is [height, width, channels]; filters are taps x taps with a step of one pixel. */
typedef struct {
  int batch, height, width, channels, top, left, out_height, out_width, out_channels, taps;
} winograd_window;

/** How many results a tile gives in a row or column. */
static inline int results(int taps) { return TILE + 1 - taps; }
static inline int tiles_down(const winograd_window *w) {
  return (w->out_height + results(w->taps) - 1) / results(w->taps);
}
static inline int tiles_across(const winograd_window *w) {
  return (w->out_width + results(w->taps) - 1) / results(w->taps);
}

/** o = B^T d: the six values of a row or column of the input. */
INLINE void transform_input_line(const vec *d, vec *o) {
  const vec FOUR = splat(4);
  vec a = nmadd(FOUR, d[2], d[4]), b = nmadd(FOUR, d[1], d[3]), c = sub(d[4], d[2]), e = sub(d[3], d[1]);
  vec f = add(e, e);
  o[0] = madd(FOUR, sub(d[0], d[2]), c);
  o[1] = add(a, b);
  o[2] = sub(a, b);
  o[3] = add(c, f);
  o[4] = sub(c, f);
  o[5] = nmadd(FOUR, e, sub(d[5], d[3]));
}

/** o = A^T m: `count` results of a row or column of six products. */
INLINE void transform_products_line(const int count, const vec *m, vec *o) {
  const vec TWO = splat(2), FOUR = splat(4), EIGHT = splat(8), SIXTEEN = splat(16);
  vec p = add(m[1], m[2]), q = sub(m[1], m[2]), r = add(m[3], m[4]), s = sub(m[3], m[4]);
  o[0] = add(add(m[0], p), r);
  if (count == 2) o[1] = madd(TWO, s, add(q, m[5]));
  if (count > 2) o[1] = madd(TWO, s, q);
  if (count == 3) o[2] = madd(FOUR, r, add(p, m[5]));
  if (count > 3) o[2] = madd(FOUR, r, p);
  if (count == 4) o[3] = madd(EIGHT, s, add(q, m[5]));
  if (count > 4) o[3] = madd(EIGHT, s, q), o[4] = madd(SIXTEEN, r, add(p, m[5]));
}

/** o = G g: the `count` values of a row or column of a filter, or of dy as the filter's gradient takes it. */
INLINE void transform_filter_line(const int count, const vec *g, vec *o) {
  const vec TWO = splat(2), FOUR = splat(4), SIXTEEN = splat(16), QUARTER = splat(0.25f), SIXTH = splat(-1.0f / 6),
            TWENTY_FOURTH = splat(1.0f / 24);
  vec even = g[0], odd = g[1], wide = g[0], far = g[1];
  if (count > 2) even = add(even, g[2]), wide = madd(FOUR, g[2], wide);
  if (count > 3) odd = add(odd, g[3]), far = madd(FOUR, g[3], far);
  if (count > 4) even = add(even, g[4]), wide = madd(SIXTEEN, g[4], wide);
  far = mul(TWO, far);
  o[0] = mul(QUARTER, g[0]);
  o[1] = mul(SIXTH, add(even, odd));
  o[2] = mul(SIXTH, sub(even, odd));
  o[3] = mul(TWENTY_FOURTH, add(wide, far));
  o[4] = mul(TWENTY_FOURTH, sub(wide, far));
  o[5] = g[count - 1];
}

/** Keeps the transform of a line before that of the next one. */
#define LINE_IN_ORDER(t, j) IN_ORDER4(t[0][j], t[1][j], t[2][j], t[3][j])

/**
 * From a 6x6 tile of the input, four channels of it, to 36 places at `o`. `rows` are its rows, of which the columns
 * [left, right) are there and the rest is zero.
 */
INLINE void transform_input(const float *const *rows, int left, int right, int column, float *o, int place) {
  vec t[TILE][TILE], line[TILE];
  UNROLL for (int j = 0; j < TILE; j++) {
    vec d[TILE];
    UNROLL for (int i = 0; i < TILE; i++) d[i] = j >= left && j < right ? load(rows[i] + j * column) : ZERO;
    transform_input_line(d, line);
    UNROLL for (int i = 0; i < TILE; i++) t[i][j] = line[i];
    LINE_IN_ORDER(t, j);
    IN_ORDER2(t[4][j], t[5][j]);
  }
  UNROLL for (int i = 0; i < TILE; i++) {
    transform_input_line(t[i], line);
    UNROLL for (int j = 0; j < TILE; j++, o += place) store(o, line[j]);
  }
}

/** From 36 places at `m` to the results of a tile, of which `rows` x `columns` are stored. */
INLINE void transform_products(const int count, const float *m, int place, float *o, int row, int column, int rows,
                               int columns, vec bias, int relu) {
  vec t[4][TILE], line[4];
  UNROLL for (int j = 0; j < TILE; j++, m += place) {
    vec d[TILE];
    UNROLL for (int i = 0; i < TILE; i++) d[i] = load(m + i * TILE * place);
    transform_products_line(count, d, line);
    UNROLL for (int i = 0; i < count; i++) t[i][j] = line[i];
    if (count == 4) LINE_IN_ORDER(t, j);
    else IN_ORDER2(t[0][j], t[1][j]);
  }
  UNROLL for (int i = 0; i < count; i++, o += row) {
    if (i >= rows) continue;
    transform_products_line(count, t[i], line);
    UNROLL for (int j = 0; j < count; j++) {
      if (j >= columns) continue;
      vec result = add(line[j], bias);
      store(o + j * column, relu ? relu4(result) : result);
    }
  }
}

/** From `count` x `count` entries of dy, of which `rows` x `columns` are there and the rest is zero, to 36 places. */
INLINE void transform_gradient(const int count, const float *dy, int row, int column, int rows, int columns, float *o,
                               int place) {
  vec t[TILE][4], line[TILE];
  UNROLL for (int j = 0; j < count; j++) {
    vec d[4];
    UNROLL for (int i = 0; i < count; i++) {
      d[i] = i < rows && j < columns ? load(dy + i * row + j * column) : ZERO;
    }
    transform_filter_line(count, d, line);
    UNROLL for (int i = 0; i < TILE; i++) t[i][j] = line[i];
  }
  UNROLL for (int i = 0; i < TILE; i++) {
    transform_filter_line(count, t[i], line);
    UNROLL for (int j = 0; j < TILE; j++, o += place) store(o, line[j]);
  }
}

/** Where a tile lies: its image, and its place among the tiles of the image. */
#define FIND_TILE(tile)                                                           \
  int place_ = (tile) % (tiles_down(w) * tiles_across(w));                        \
  int image = (tile) / (tiles_down(w) * tiles_across(w));                         \
  int ty = place_ / tiles_across(w) * results(w->taps), tx = place_ % tiles_across(w) * results(w->taps)

/** Transforms the 6x6 tiles [first, first + count), counted over the whole batch, to 36 places `[tiles][channels]`. */
NOINLINE void transform_tiles(const winograd_window *w, const float *x, int first, int count, int step, float *o,
                            const float *zeros) {
  int channels = w->channels, line = w->width * channels;
  for (int t = 0; t < count; t++, o += channels) {
    FIND_TILE(first + t);
    int y0 = ty - w->top, x0 = tx - w->left;
    const float *from = x + (image * w->height + y0) * line + x0 * channels, *rows[TILE];
    if (y0 >= 0 && x0 >= 0 && y0 + TILE <= w->height && x0 + TILE <= w->width) {
      for (int c = 0; c < channels; c += 4) {
        UNROLL for (int i = 0; i < TILE; i++) rows[i] = from + i * line + c;
        transform_input(rows, 0, TILE, channels, o + c, step);
      }
      continue;
    }
    int left = -x0, right = w->width - x0;
    for (int c = 0; c < channels; c += 4) {
      UNROLL for (int i = 0; i < TILE; i++) {
        rows[i] = y0 + i >= 0 && y0 + i < w->height ? from + i * line + c : zeros;
      }
      transform_input(rows, left, right, channels, o + c, step);
    }
  }
}

typedef struct {
  const float *filter; /* [taps][taps][in][out]; with `turned`, the filter of the gradient of the input */
  int taps, in, out, turned;
  float *packed; /* [36][panels of 8 columns][in'][8], in' and out' exchanged with `turned` */
  int tasks;
} winograd_filter_arguments;

/** Four columns of row k of a filter, from column n; zero after the last one. */
INLINE void transform_filter(const int taps, const winograd_filter_arguments *a, int k, int n, float *to, int size) {
  int columns = a->turned ? a->in : a->out;
  vec t[TILE][5];
  UNROLL for (int j = 0; j < taps; j++) {
    vec g[5], line[TILE];
    UNROLL for (int i = 0; i < taps; i++) {
      int tap = a->turned ? (taps - 1 - i) * taps + taps - 1 - j : i * taps + j;
      const float *f = a->filter + tap * a->in * a->out;
      if (n >= columns) g[i] = ZERO;
      else if (a->turned) {
        f += n * a->out + k;
        g[i] = wasm_f32x4_make(f[0], f[a->out], f[2 * a->out], f[3 * a->out]);
      } else g[i] = load(f + k * a->out + n);
    }
    transform_filter_line(taps, g, line);
    UNROLL for (int i = 0; i < TILE; i++) t[i][j] = line[i];
  }
  UNROLL for (int i = 0; i < TILE; i++) {
    vec line[TILE];
    transform_filter_line(taps, t[i], line);
    UNROLL for (int j = 0; j < TILE; j++, to += size) store(to, line[j]);
  }
}

/** Transforms a filter: U = G g G^T. Tasks share its rows. */
KERNEL(winograd_filter)(const winograd_filter_arguments *a, int task, float *scratch) {
  int depth = a->turned ? a->out : a->in, columns = a->turned ? a->in : a->out;
  int padded = (columns + 7) / 8 * 8, size = padded * depth;
  int end = part_start(depth, task + 1, a->tasks);
  for (int k = part_start(depth, task, a->tasks); k < end; k++) {
    for (int n = 0; n < padded; n += 4) {
      float *to = a->packed + (n & ~7) * depth + k * 8 + (n & 7);
      if (a->taps == 3) transform_filter(3, a, k, n, to, size);
      else transform_filter(5, a, k, n, to, size);
    }
  }
}

typedef struct {
  winograd_window w;
  const float *x, *packed;
  float *y;
  const float *bias;
  int relu, block, tasks;
} winograd_arguments;

/** Multiplies the transformed tiles with a panel of 8 columns of the transformed filter, for each place. */
NOINLINE void multiply_places(const float *inputs, int in_step, int channels, const float *packed, int panel_size,
                              float *products, int out_step, int count) {
  for (int p = 0; p < PLACES; p++, inputs += in_step, packed += panel_size, products += out_step) {
    const float *a = inputs;
    float *c = products;
    for (int left = count; left > 0;) {
#define TILE_OF(n) multiply_tile(n, a, channels, 1, packed, 8, c, 8, 8, channels, 0, 0, 0)
      int tile = next_tile(left);
      if (tile == 6) TILE_OF(6);
      else if (tile == 4) TILE_OF(4);
      else TILE_OF(1);
#undef TILE_OF
      left -= tile, a += tile * channels, c += tile * 8;
    }
  }
}

/** Adds the products of transformed tiles of the input and of dy to 8 columns of the sums, for each place. */
NOINLINE void add_places(const float *inputs, int in_step, int channels, const float *gradients, int out_step,
                         int columns, float *sums, int count, int accumulate) {
  for (int p = 0; p < PLACES; p++, inputs += in_step, gradients += out_step, sums += channels * columns) {
    const float *a = inputs;
    float *c = sums;
    for (int left = channels; left > 0;) {
#define TILE_OF(n) multiply_tile(n, a, 1, channels, gradients, columns, c, columns, 8, count, 0, 0, accumulate)
      int tile = next_tile(left);
      if (tile == 6) TILE_OF(6);
      else TILE_OF(4); // channels are a multiple of four
#undef TILE_OF
      left -= tile, a += tile, c += tile * columns;
    }
  }
}

/** Transforms the products of a panel of up to 8 columns from column n back. */
INLINE void transform_panel(const int count, const winograd_arguments *a, const float *products, int step, int first,
                            int tiles, int n) {
  const winograd_window *w = &a->w;
  int columns = w->out_channels, last = min_int(n + 8, columns);
  for (int t = 0; t < tiles; t++, products += 8) {
    FIND_TILE(first + t);
    float *to = a->y + ((image * w->out_height + ty) * w->out_width + tx) * columns;
    for (int c = n; c < last; c += 4) {
      transform_products(count, products + c - n, step, to + c, w->out_width * columns, columns, w->out_height - ty,
                         w->out_width - tx, a->bias ? load(a->bias + c) : ZERO, a->relu);
    }
  }
}

/**
 * A convolution. Scratch: 36 * (place_step(block, channels) + place_step(block, 8)) + 6 * channels floats.
 * Tasks share all tiles.
 */
KERNEL(winograd)(const winograd_arguments *a, int task, float *scratch) {
  const winograd_window *w = &a->w;
  int channels = w->channels, columns = w->out_channels;
  int tiles = w->batch * tiles_down(w) * tiles_across(w), panel_size = (columns + 7) / 8 * 8 * channels;
  int in_step = place_step(a->block, channels), out_step = place_step(a->block, 8);
  float *inputs = scratch, *products = inputs + PLACES * in_step, *zeros = products + PLACES * out_step;
  clear_floats(zeros, TILE * channels);
  int end = part_start(tiles, task + 1, a->tasks);
  for (int first = part_start(tiles, task, a->tasks); first < end; first += a->block) {
    int count = min_int(a->block, end - first);
    transform_tiles(w, a->x, first, count, in_step, inputs, zeros);
    // a panel at a time: its products are transformed while they are in the first cache
    for (int n = 0; n < columns; n += 8) {
      multiply_places(inputs, in_step, channels, a->packed + n * channels, panel_size, products, out_step, count);
      if (w->taps == 3) transform_panel(4, a, products, out_step, first, count, n);
      else transform_panel(2, a, products, out_step, first, count, n);
    }
  }
}

typedef struct {
  winograd_window w;
  const float *x, *dy;
  float *partial; /* [tasks][36][channels][out_channels] */
  int block, tasks;
} winograd_gradient_arguments;

/**
 * The gradient of the filter, transformed, one sum for each task. Scratch: 36 * (place_step(block, channels) +
 * place_step(block, out_channels)) + 6 * channels floats. Tasks share all tiles.
 */
KERNEL(winograd_gradient)(const winograd_gradient_arguments *a, int task, float *scratch) {
  const winograd_window *w = &a->w;
  int channels = w->channels, columns = w->out_channels;
  int tiles = w->batch * tiles_down(w) * tiles_across(w);
  int in_step = place_step(a->block, channels), out_step = place_step(a->block, columns);
  float *inputs = scratch, *gradients = inputs + PLACES * in_step, *zeros = gradients + PLACES * out_step;
  clear_floats(zeros, TILE * channels);
  float *sum = a->partial + task * PLACES * channels * columns;
  int end = part_start(tiles, task + 1, a->tasks), start = part_start(tiles, task, a->tasks);
  if (start == end) clear_floats(sum, PLACES * channels * columns);
  for (int first = start; first < end; first += a->block) {
    int count = min_int(a->block, end - first);
    transform_tiles(w, a->x, first, count, in_step, inputs, zeros);
    for (int t = 0; t < count; t++) {
      FIND_TILE(first + t);
      const float *from = a->dy + ((image * w->out_height + ty) * w->out_width + tx) * columns;
      int line = w->out_width * columns, down = w->out_height - ty, right = w->out_width - tx;
      for (int n = 0; n < columns; n += 4) {
        float *to = gradients + t * columns + n;
        if (w->taps == 3) transform_gradient(4, from + n, line, columns, down, right, to, out_step);
        else transform_gradient(2, from + n, line, columns, down, right, to, out_step);
      }
    }
    int n = 0;
    for (; n + 8 <= columns; n += 8) {
      add_places(inputs, in_step, channels, gradients + n, out_step, columns, sum + n, count, first > start);
    }
    for (int p = 0; n < columns && p < PLACES; p++) {
      multiply_panel(inputs + p * in_step, 1, channels, gradients + p * out_step + n, columns,
                     sum + p * channels * columns + n, columns, channels, columns - n, count, 0, 0, first > start);
    }
  }
}

typedef struct {
  const float *partial; /* [partials][36][count] */
  int partials, taps;
  float *out; /* [taps][taps][count] */
  int count, tasks;
} winograd_gradient_sum_arguments;

/** The sum of four entries of all partials, transformed back. */
INLINE void sum_gradients(const int taps, const winograd_gradient_sum_arguments *a, int at) {
  vec t[5][TILE];
  UNROLL for (int j = 0; j < TILE; j++) {
    vec m[TILE], line[5];
    UNROLL for (int i = 0; i < TILE; i++) {
      const float *from = a->partial + (i * TILE + j) * a->count + at;
      m[i] = load(from);
#pragma clang loop unroll(disable)
      for (int p = 1; p < a->partials; p++) m[i] = add(m[i], load(from + p * PLACES * a->count));
    }
    transform_products_line(taps, m, line);
    UNROLL for (int i = 0; i < taps; i++) t[i][j] = line[i];
  }
  UNROLL for (int i = 0; i < taps; i++) {
    vec line[5];
    transform_products_line(taps, t[i], line);
    UNROLL for (int j = 0; j < taps; j++) store(a->out + (i * taps + j) * a->count + at, line[j]);
  }
}

/** Adds the partial sums up and transforms them back: A^T m A. `count` is a multiple of four. */
KERNEL(winograd_gradient_sum)(const winograd_gradient_sum_arguments *a, int task, float *scratch) {
  int end = part_start(a->count / 4, task + 1, a->tasks) * 4;
  for (int at = part_start(a->count / 4, task, a->tasks) * 4; at < end; at += 4) {
    if (a->taps == 3) sum_gradients(3, a, at);
    else sum_gradients(5, a, at);
  }
}
