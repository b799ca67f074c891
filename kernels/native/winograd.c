/**
 * Convolutions of 3x3 filters by the minimal algorithm of Winograd: four times fewer multiplications.
 *
 * Tiles of 4x4 pixels are computed from 6x6 ones: forwards F(4x4, 3x3), and for the gradient of the filter
 * F(3x3, 4x4), with the interpolation points 0, 1, -1, 2, -2 and infinity for both. Transformed data is kept as 36
 * matrices, one for each place in a tile; the products are products of those matrices.
 */
#include "gemm.h"

#define PLACES 36

/** Floats from one place to the next: a cache line more than the data, or all places would fall on the same lines. */
static inline int place_step(int block, int columns) { return ((block * columns + 15) & ~15) + 16; }

/** One image is [height, width, channels]; filters are 3x3 with a step of one pixel. */
typedef struct {
  int batch, height, width, channels, top, left, out_height, out_width, out_channels;
} winograd_window;

static inline int tiles_down(const winograd_window *w) { return (w->out_height + 3) / 4; }
static inline int tiles_across(const winograd_window *w) { return (w->out_width + 3) / 4; }

/** o = B^T d, for the six values of a row or column. */
#define TRANSFORM_INPUT(d0, d1, d2, d3, d4, d5, o0, o1, o2, o3, o4, o5)                       \
  {                                                                                           \
    vec a = nmadd(FOUR, d2, d4), b = nmadd(FOUR, d1, d3), c = sub(d4, d2), e = sub(d3, d1);   \
    vec f = add(e, e);                                                                        \
    o0 = madd(FOUR, sub(d0, d2), c);                                                          \
    o1 = add(a, b);                                                                           \
    o2 = sub(a, b);                                                                           \
    o3 = add(c, f);                                                                           \
    o4 = sub(c, f);                                                                           \
    o5 = nmadd(FOUR, e, sub(d5, d3));                                                         \
  }

/** From a 6x6 tile of four channels at `d` to 36 places at `o`. */
static inline void transform_input(const float *d, int row, int column, float *o, int place) {
  const vec FOUR = splat(4);
  vec t[6][6];
#pragma clang loop unroll(full)
  for (int j = 0; j < 6; j++) {
    const float *p = d + j * column;
    vec d0 = load(p), d1 = load(p + row), d2 = load(p + 2 * row), d3 = load(p + 3 * row), d4 = load(p + 4 * row),
        d5 = load(p + 5 * row);
    TRANSFORM_INPUT(d0, d1, d2, d3, d4, d5, t[0][j], t[1][j], t[2][j], t[3][j], t[4][j], t[5][j])
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 6; i++) {
    vec o0, o1, o2, o3, o4, o5;
    TRANSFORM_INPUT(t[i][0], t[i][1], t[i][2], t[i][3], t[i][4], t[i][5], o0, o1, o2, o3, o4, o5)
    store(o, o0), o += place;
    store(o, o1), o += place;
    store(o, o2), o += place;
    store(o, o3), o += place;
    store(o, o4), o += place;
    store(o, o5), o += place;
  }
}

/** o = A^T m, for F(4, 3): four results of six products. */
#define TRANSFORM_OUTPUT(m0, m1, m2, m3, m4, m5, o0, o1, o2, o3)                              \
  {                                                                                           \
    vec p = add(m1, m2), q = sub(m1, m2), r = add(m3, m4), s = sub(m3, m4);                   \
    o0 = add(add(m0, p), r);                                                                  \
    o1 = madd(TWO, s, q);                                                                     \
    o2 = madd(FOUR, r, p);                                                                    \
    o3 = madd(EIGHT, s, add(q, m5));                                                          \
  }

/** From 36 places at `m` to a 4x4 tile of which `rows` x `columns` are stored. */
static inline void transform_output(const float *m, int place, float *o, int row, int column, int rows, int columns,
                                    vec bias, int relu) {
  const vec TWO = splat(2), FOUR = splat(4), EIGHT = splat(8);
  vec t[4][6];
#pragma clang loop unroll(full)
  for (int j = 0; j < 6; j++) {
    const float *p = m + j * place;
    vec m0 = load(p), m1 = load(p + 6 * place), m2 = load(p + 12 * place), m3 = load(p + 18 * place),
        m4 = load(p + 24 * place), m5 = load(p + 30 * place);
    TRANSFORM_OUTPUT(m0, m1, m2, m3, m4, m5, t[0][j], t[1][j], t[2][j], t[3][j])
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    if (i < rows) {
    vec o0, o1, o2, o3;
    TRANSFORM_OUTPUT(t[i][0], t[i][1], t[i][2], t[i][3], t[i][4], t[i][5], o0, o1, o2, o3)
    o0 = add(o0, bias), o1 = add(o1, bias), o2 = add(o2, bias), o3 = add(o3, bias);
    if (relu) o0 = relu4(o0), o1 = relu4(o1), o2 = relu4(o2), o3 = relu4(o3);
    float *to = o + i * row;
    store(to, o0);
    if (columns > 1) store(to + column, o1);
    if (columns > 2) store(to + 2 * column, o2);
    if (columns > 3) store(to + 3 * column, o3);
    }
  }
}

/** o = G g for the four values of a row or column of dy: the "filter" of the filter's gradient. */
#define TRANSFORM_GRADIENT(g0, g1, g2, g3, o0, o1, o2, o3, o4, o5)                            \
  {                                                                                           \
    vec a = add(g0, g2), b = add(g1, g3);                                                     \
    vec c = madd(FOUR, g2, g0), d = mul(TWO, madd(FOUR, g3, g1));                             \
    o0 = mul(QUARTER, g0);                                                                    \
    o1 = mul(SIXTH, add(a, b));                                                               \
    o2 = mul(SIXTH, sub(a, b));                                                               \
    o3 = mul(TWENTY_FOURTH, add(c, d));                                                       \
    o4 = mul(TWENTY_FOURTH, sub(c, d));                                                       \
    o5 = g3;                                                                                  \
  }

/** From the 4x4 tile of dy at `d`, of which `rows` x `columns` are there and the rest is zero, to 36 places. */
static inline void transform_gradient(const float *d, int row, int column, int rows, int columns, float *o,
                                      int place) {
  const vec TWO = splat(2), FOUR = splat(4), QUARTER = splat(0.25f), SIXTH = splat(-1.0f / 6),
            TWENTY_FOURTH = splat(1.0f / 24);
  vec t[6][4];
#pragma clang loop unroll(full)
  for (int j = 0; j < 4; j++) {
    const float *p = d + j * column;
    vec g0 = j < columns ? load(p) : ZERO;
    vec g1 = j < columns && rows > 1 ? load(p + row) : ZERO;
    vec g2 = j < columns && rows > 2 ? load(p + 2 * row) : ZERO;
    vec g3 = j < columns && rows > 3 ? load(p + 3 * row) : ZERO;
    TRANSFORM_GRADIENT(g0, g1, g2, g3, t[0][j], t[1][j], t[2][j], t[3][j], t[4][j], t[5][j])
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 6; i++) {
    vec o0, o1, o2, o3, o4, o5;
    TRANSFORM_GRADIENT(t[i][0], t[i][1], t[i][2], t[i][3], o0, o1, o2, o3, o4, o5)
    store(o, o0), o += place;
    store(o, o1), o += place;
    store(o, o2), o += place;
    store(o, o3), o += place;
    store(o, o4), o += place;
    store(o, o5), o += place;
  }
}

/** Transforms the 6x6 tiles [first, first + count), counted over the whole batch, to 36 places `[tiles][channels]`. */
static void transform_tiles(const winograd_window *w, const float *x, int first, int count, int step, float *o,
                            float *edge) {
  int across = tiles_across(w), each = tiles_down(w) * across;
  int channels = w->channels, line = w->width * channels;
  for (int t = 0; t < count; t++, o += channels) {
    int tile = first + t, place = tile % each;
    int y = place / across * 4 - w->top, x0 = place % across * 4 - w->left;
    const float *image = x + tile / each * w->height * line;
    const float *from = image + y * line + x0 * channels;
    int row = line;
    if (y < 0 || x0 < 0 || y + 6 > w->height || x0 + 6 > w->width) {
      row = 6 * channels;
      for (int i = 0; i < 6; i++) {
        float *to = edge + i * row;
        if (y + i < 0 || y + i >= w->height) {
          clear_floats(to, row);
          continue;
        }
        int left = min_int(6, max_int(0, -x0)), right = max_int(left, min_int(6, w->width - x0));
        clear_floats(to, left * channels);
        copy_floats(to + left * channels, from + i * line + left * channels, (right - left) * channels);
        clear_floats(to + right * channels, (6 - right) * channels);
      }
      from = edge;
    }
    for (int c = 0; c < channels; c += 4) transform_input(from + c, row, channels, o + c, step);
  }
}

typedef struct {
  const float *filter; /* [3][3][in][out]; with `turned`, the filter of the gradient of the input */
  int in, out, turned;
  float *packed; /* [36][panels of 8 columns][in'][8], in' and out' exchanged with `turned` */
  int tasks;
} winograd_filter_arguments;

/** Transforms a filter: U = G g G^T. Tasks share its rows. */
KERNEL(winograd_filter)(const winograd_filter_arguments *a, int task, float *scratch) {
  int depth = a->turned ? a->out : a->in, columns = a->turned ? a->in : a->out;
  int size = (columns + 7) / 8 * 8 * depth;
  int end = part_start(depth, task + 1, a->tasks);
  for (int k = part_start(depth, task, a->tasks); k < end; k++) {
    for (int n = 0; n < (columns + 7) / 8 * 8; n++) {
      float *to = a->packed + (n & ~7) * depth + k * 8 + (n & 7);
      float t[6][3];
#pragma clang loop unroll(full)
      for (int j = 0; j < 3; j++) {
        float g[3];
#pragma clang loop unroll(full)
        for (int i = 0; i < 3; i++) {
          int tap = a->turned ? (2 - i) * 3 + 2 - j : i * 3 + j;
          g[i] = n >= columns ? 0 : a->filter[(tap * a->in + (a->turned ? n : k)) * a->out + (a->turned ? k : n)];
        }
        float even = g[0] + g[2], wide = g[0] + 4 * g[2];
        t[0][j] = g[0] * 0.25f, t[1][j] = (even + g[1]) * (-1.0f / 6), t[2][j] = (even - g[1]) * (-1.0f / 6);
        t[3][j] = (wide + 2 * g[1]) * (1.0f / 24), t[4][j] = (wide - 2 * g[1]) * (1.0f / 24), t[5][j] = g[2];
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < 6; i++) {
        float even = t[i][0] + t[i][2], wide = t[i][0] + 4 * t[i][2];
        to[0] = t[i][0] * 0.25f, to += size;
        to[0] = (even + t[i][1]) * (-1.0f / 6), to += size;
        to[0] = (even - t[i][1]) * (-1.0f / 6), to += size;
        to[0] = (wide + 2 * t[i][1]) * (1.0f / 24), to += size;
        to[0] = (wide - 2 * t[i][1]) * (1.0f / 24), to += size;
        to[0] = t[i][2], to += size;
      }
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

/**
 * A convolution. Scratch: 36 * (place_step(block, channels) + place_step(block, out_channels) + channels) floats;
 * `block` is a multiple of four.
 * Tasks share all tiles.
 */
KERNEL(winograd)(const winograd_arguments *a, int task, float *scratch) {
  const winograd_window *w = &a->w;
  int channels = w->channels, columns = w->out_channels, block = a->block;
  int across = tiles_across(w), each = tiles_down(w) * across, tiles = w->batch * each;
  int panel_size = (columns + 7) / 8 * 8 * channels;
  int in_step = place_step(block, channels), out_step = place_step(block, columns);
  float *inputs = scratch, *products = inputs + PLACES * in_step, *edge = products + PLACES * out_step;
  int end = part_start(tiles, task + 1, a->tasks);
  for (int first = part_start(tiles, task, a->tasks); first < end; first += block) {
    int count = min_int(block, end - first);
    transform_tiles(w, a->x, first, count, in_step, inputs, edge);
    for (int p = 0; p < PLACES; p++) {
      for (int n = 0; n < columns; n += 8) {
        multiply_panel(inputs + p * in_step, channels, 1, a->packed + p * panel_size + n * channels, 8,
                       products + p * out_step + n, columns, count, min_int(8, columns - n), channels, 0, 0, 0);
      }
    }
    for (int t = 0; t < count; t++) {
      int tile = first + t, place = tile % each;
      int y = place / across * 4, x = place % across * 4;
      float *to = a->y + ((tile / each * w->out_height + y) * w->out_width + x) * columns;
      int down = min_int(4, w->out_height - y), right = min_int(4, w->out_width - x);
      for (int n = 0; n < columns; n += 4) {
        transform_output(products + t * columns + n, out_step, to + n, w->out_width * columns, columns, down,
                         right, a->bias ? load(a->bias + n) : ZERO, a->relu);
      }
    }
  }
}

typedef struct {
  winograd_window w;
  const float *x, *dy;
  float *partial; /* [tasks][36][channels][out_channels] */
  int block, tasks;
} winograd_gradient_arguments;

/** The gradient of the filter, transformed, one sum for each task. Scratch as for winograd(). Tasks share all tiles. */
KERNEL(winograd_gradient)(const winograd_gradient_arguments *a, int task, float *scratch) {
  const winograd_window *w = &a->w;
  int channels = w->channels, columns = w->out_channels, block = a->block;
  int across = tiles_across(w), each = tiles_down(w) * across, tiles = w->batch * each;
  int in_step = place_step(block, channels), out_step = place_step(block, columns);
  float *inputs = scratch, *gradients = inputs + PLACES * in_step, *edge = gradients + PLACES * out_step;
  float *sum = a->partial + task * PLACES * channels * columns;
  int end = part_start(tiles, task + 1, a->tasks), start = part_start(tiles, task, a->tasks);
  if (start == end) clear_floats(sum, PLACES * channels * columns);
  for (int first = start; first < end; first += block) {
    int count = min_int(block, end - first);
    transform_tiles(w, a->x, first, count, in_step, inputs, edge);
    for (int t = 0; t < count; t++) {
      int tile = first + t, place = tile % each;
      int y = place / across * 4, x = place % across * 4;
      const float *from = a->dy + ((tile / each * w->out_height + y) * w->out_width + x) * columns;
      int down = min_int(4, w->out_height - y), right = min_int(4, w->out_width - x);
      for (int n = 0; n < columns; n += 4) {
        transform_gradient(from + n, w->out_width * columns, columns, down, right, gradients + t * columns + n,
                           out_step);
      }
    }
    for (int p = 0; p < PLACES; p++) {
      const float *in = inputs + p * in_step, *out = gradients + p * out_step;
      for (int n = 0; n < columns; n += 8) {
        multiply_panel(in, 1, channels, out + n, columns, sum + p * channels * columns + n, columns, channels,
                       min_int(8, columns - n), count, 0, 0, first > start);
      }
    }
  }
}

typedef struct {
  const float *partial; /* [partials][36][count] */
  int partials;
  float *out; /* [3][3][count] */
  int count, tasks;
} winograd_gradient_sum_arguments;

/** Adds the partial sums up and transforms them back: A^T m A for F(3, 4). `count` is a multiple of four. */
KERNEL(winograd_gradient_sum)(const winograd_gradient_sum_arguments *a, int task, float *scratch) {
  const vec TWO = splat(2), FOUR = splat(4);
  int count = a->count, end = part_start(count / 4, task + 1, a->tasks) * 4;
  for (int at = part_start(count / 4, task, a->tasks) * 4; at < end; at += 4) {
    vec t[3][6];
#pragma clang loop unroll(full)
    for (int j = 0; j < 6; j++) {
      vec m[6];
#pragma clang loop unroll(full)
      for (int i = 0; i < 6; i++) {
        const float *from = a->partial + (i * 6 + j) * count + at;
        m[i] = load(from);
        for (int p = 1; p < a->partials; p++) m[i] = add(m[i], load(from + p * PLACES * count));
      }
      vec even = add(m[1], m[2]), odd = sub(m[1], m[2]), far = add(m[3], m[4]), wide = sub(m[3], m[4]);
      t[0][j] = add(add(m[0], even), far);
      t[1][j] = madd(TWO, wide, odd);
      t[2][j] = madd(FOUR, far, add(even, m[5]));
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 3; i++) {
      vec even = add(t[i][1], t[i][2]), odd = sub(t[i][1], t[i][2]), far = add(t[i][3], t[i][4]),
          wide = sub(t[i][3], t[i][4]);
      float *to = a->out + i * 3 * count + at;
      store(to, add(add(t[i][0], even), far));
      store(to + count, madd(TWO, wide, odd));
      store(to + 2 * count, madd(FOUR, far, add(even, t[i][5])));
    }
  }
}
