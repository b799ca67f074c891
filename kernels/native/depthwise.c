/**
 * Convolutions of each channel by itself. Output channel c * multiplier + m stems from input channel c.
 *
 * Filters that are 3 or 5 wide are walked with along a row, for four channels at a time whose taps, or whose sums, are
 * in registers. In a step of a walk one column of the narrow side (y) and `stride` of the wide one (x) come in or go
 * out. What comes in is loaded once, and used with all taps of a column, in up to three rows of the filter; what goes
 * out has got all that the walk adds to it. Other filters, and the last channels, are computed tap by tap.
 */
#include "simd.h"

typedef struct {
  int batch, height, width, channels;
  int filter_height, filter_width, stride_height, stride_width, dilation_height, dilation_width, top, left;
  int out_height, out_width, multiplier;
} depthwise_window;

/** The taps of a window that lie inside of the image: from the first to before the last. */
static inline int first_tap(int start, int dilation) { return start >= 0 ? 0 : (-start + dilation - 1) / dilation; }
static inline int last_tap(int start, int dilation, int taps, int size) {
  return min_int(taps, start >= size ? 0 : (size - 1 - start) / dilation + 1);
}

#define MOST_ROWS 3
#define MOST_ACROSS 5

/** For how many channels, from the first, rows are walked along. */
static inline int walked_channels(const depthwise_window *w) {
  int walked = w->multiplier == 1 && (w->filter_width == 3 || w->filter_width == 5) && w->dilation_width == 1 &&
               (w->stride_width == 1 || w->stride_width == 2) && (w->dilation_height == 1 || w->stride_height == 1);
  return walked ? w->channels & ~3 : 0;
}

/** How many of the `left` rows of a filter the next walk is with. */
static inline int walk_rows(const depthwise_window *w, int left) { return w->filter_width == 3 ? min_int(left, 3) : 1; }

/** `walk(rows, across, stride)` for the numbers at hand. */
#define WITH_SHAPE(w, rows, walk)                    \
  if (w->stride_width == 1) {                        \
    if (w->filter_width == 5) walk(1, 5, 1)          \
    else if (rows == 3) walk(3, 3, 1)                \
    else if (rows == 2) walk(2, 3, 1)                \
    else walk(1, 3, 1)                               \
  } else {                                           \
    if (w->filter_width == 5) walk(1, 5, 2)          \
    else if (rows == 3) walk(3, 3, 2)                \
    else if (rows == 2) walk(2, 3, 2)                \
    else walk(1, 3, 2)                               \
  }

/** `step(inner)` for each step `at` of a walk; `inner` where all columns of it exist, which is so from `first` on. */
#define WALK(stride, first, steps, step)                                                       \
  int first_ = min_int(first, steps), at = 0;                                                  \
  int last_ = min_int(out_width, (width + left) / stride);                                     \
  for (; at < first_; at++) step(0)                                                            \
  for (; at < last_; at++) step(1)                                                             \
  for (; at < steps; at++) step(0)

/** The column of the wide side that comes in, or goes out, `p` columns after the first one of a step. */
#define COLUMN(p) (at * stride - left + p)
#define IS_INSIDE(column) (column >= 0 && column < width)

/** A row of y, or what `rows` rows of x and of the filter add to it; they are `x_row` and `filter_row` apart. */
INLINE void gather(const int rows, const int across, const int stride, const depthwise_window *w, const float *x,
                   int x_row, const float *filter, int filter_row, float *y, int accumulate) {
  const int late = (across - 1) / stride; /* steps from where a column of y begins to where it goes out */
  int channels = w->channels, width = w->width, out_width = w->out_width, left = w->left;
  int steps = out_width + late;
  vec taps[MOST_ROWS][MOST_ACROSS], sums[MOST_ACROSS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < across; j++) taps[i][j] = load(filter + i * filter_row + j * channels);
  }
  UNROLL for (int k = 0; k <= late; k++) sums[k] = ZERO;
#define STEP(inner)                                                                         \
  {                                                                                         \
    UNROLL for (int p = 0; p < stride; p++) {                                               \
      if (!inner && !IS_INSIDE(COLUMN(p))) continue;                                        \
      UNROLL for (int i = 0; i < rows; i++) {                                               \
        vec v = load(x + i * x_row + COLUMN(p) * channels);                                 \
        UNROLL for (int j = p; j < across; j += stride) {                                   \
          sums[late - j / stride] = madd(v, taps[i][j], sums[late - j / stride]);           \
        }                                                                                   \
        IN_ORDER2(sums[0], sums[late]);                                                     \
      }                                                                                     \
    }                                                                                       \
    float *to = y + (at - late) * channels;                                                 \
    if (inner || at >= late) store(to, accumulate ? add(load(to), sums[0]) : sums[0]);      \
    UNROLL for (int k = 0; k < late; k++) sums[k] = sums[k + 1];                            \
    sums[late] = ZERO;                                                                      \
  }
  WALK(stride, max_int(late, (left + stride - 1) / stride), steps, STEP)
#undef STEP
}

/** A row of dx, or what `rows` rows of dy and of the filter add to it; they are `dy_row` and `filter_row` apart. */
INLINE void scatter(const int rows, const int across, const int stride, const depthwise_window *w, const float *dy,
                    int dy_row, const float *filter, int filter_row, float *dx, int accumulate) {
  int channels = w->channels, width = w->width, out_width = w->out_width, left = w->left;
  int steps = (width + left + stride - 1) / stride;
  vec taps[MOST_ROWS][MOST_ACROSS], sums[MOST_ACROSS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < across; j++) taps[i][j] = load(filter + i * filter_row + j * channels);
  }
  UNROLL for (int j = 0; j < across; j++) sums[j] = ZERO;
#define STEP(inner)                                                                         \
  {                                                                                         \
    if (inner || at < out_width) {                                                       \
      UNROLL for (int i = 0; i < rows; i++) {                                               \
        vec v = load(dy + i * dy_row + at * channels);                                      \
        UNROLL for (int j = 0; j < across; j++) sums[j] = madd(v, taps[i][j], sums[j]);     \
        IN_ORDER2(sums[0], sums[across - 1]);                                               \
      }                                                                                     \
    }                                                                                       \
    UNROLL for (int p = 0; p < stride; p++) {                                               \
      float *to = dx + COLUMN(p) * channels;                                                \
      if (inner || IS_INSIDE(COLUMN(p))) store(to, accumulate ? add(load(to), sums[p]) : sums[p]); \
    }                                                                                       \
    UNROLL for (int j = 0; j < across; j++) sums[j] = j + stride < across ? sums[j + stride] : ZERO; \
  }
  WALK(stride, (left + stride - 1) / stride, steps, STEP)
#undef STEP
}

/** Adds what a row of dy and `rows` rows of x, which are `x_row` apart, give to rows of the filter's gradient. */
INLINE void correlate(const int rows, const int across, const int stride, const depthwise_window *w, const float *x,
                      int x_row, const float *dy, float *gradient, int filter_row) {
  const int late = (across - 1) / stride; /* steps that a column of dy is used in after its own */
  int channels = w->channels, width = w->width, out_width = w->out_width, left = w->left;
  int steps = out_width + late;
  vec sums[MOST_ROWS][MOST_ACROSS], gradients[MOST_ACROSS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < across; j++) sums[i][j] = ZERO;
  }
  UNROLL for (int k = 0; k <= late; k++) gradients[k] = ZERO;
#define STEP(inner)                                                                         \
  {                                                                                         \
    gradients[0] = inner || at < out_width ? load(dy + at * channels) : ZERO;            \
    UNROLL for (int p = 0; p < stride; p++) {                                               \
      if (!inner && !IS_INSIDE(COLUMN(p))) continue;                                        \
      UNROLL for (int i = 0; i < rows; i++) {                                               \
        vec v = load(x + i * x_row + COLUMN(p) * channels);                                 \
        UNROLL for (int j = p; j < across; j += stride) {                                   \
          sums[i][j] = madd(v, gradients[j / stride], sums[i][j]);                          \
        }                                                                                   \
        IN_ORDER2(sums[i][p], sums[i][across - 1]);                                         \
      }                                                                                     \
    }                                                                                       \
    UNROLL for (int k = late; k > 0; k--) gradients[k] = gradients[k - 1];                  \
  }
  WALK(stride, (left + stride - 1) / stride, steps, STEP)
#undef STEP
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < across; j++) {
      float *to = gradient + i * filter_row + j * channels;
      store(to, add(load(to), sums[i][j]));
    }
  }
}

typedef struct {
  depthwise_window w;
  const float *x, *filter; /* filter: [filter_height][filter_width][channels][multiplier] */
  float *y;
  const float *bias;
  int relu, tasks;
} depthwise_arguments;

static inline vec depthwise_end(vec sum, const float *bias, int relu) {
  if (bias) sum = add(sum, load(bias));
  return relu ? relu4(sum) : sum;
}

/** Tasks share the output rows. */
KERNEL(depthwise)(const depthwise_arguments *a, int task, float *scratch) {
  const depthwise_window *w = &a->w;
  int channels = w->channels, columns = channels * w->multiplier, across = w->filter_width;
  int rows = w->batch * w->out_height, end = part_start(rows, task + 1, a->tasks), line = w->width * channels;
  int walked = walked_channels(w), is_done = walked == columns && !a->bias && !a->relu;
  for (int row = part_start(rows, task, a->tasks); row < end; row++) {
    int y0 = row % w->out_height * w->stride_height - w->top;
    int first = first_tap(y0, w->dilation_height);
    int last = last_tap(y0, w->dilation_height, w->filter_height, w->height);
    const float *image = a->x + row / w->out_height * w->height * line;
    float *y = a->y + row * w->out_width * columns;
    if (first >= last && walked) clear_floats(y, w->out_width * columns);
    for (int i = first, count; i < last && walked; i += count) {
      const float *x = image + (y0 + i * w->dilation_height) * line, *filter = a->filter + i * across * channels;
      count = walk_rows(w, last - i);
#define GATHER(rows, across, stride)                                                                     \
  for (int c = 0; c < walked; c += 4) {                                                                  \
    gather(rows, across, stride, w, x + c, w->dilation_height * line, filter + c, across * channels,     \
           y + c, i > first);                                                                            \
  }
      WITH_SHAPE(w, count, GATHER)
#undef GATHER
    }
    for (int column = 0; column < w->out_width && !is_done; column++, y += columns) {
      int x0 = column * w->stride_width - w->left, c = 0;
      if (a->bias || a->relu) {
        for (; c < walked; c += 4) store(y + c, depthwise_end(load(y + c), a->bias ? a->bias + c : 0, a->relu));
      }
      int from = first_tap(x0, w->dilation_width), to = last_tap(x0, w->dilation_width, across, w->width);
      const float *corner = image + y0 * line + x0 * channels;
      for (c = walked; w->multiplier == 1 && c + 4 <= channels; c += 4) {
        vec sum = ZERO;
        for (int i = first; i < last; i++) {
          for (int j = from; j < to; j++) {
            sum = madd(load(corner + i * w->dilation_height * line + j * w->dilation_width * channels + c),
                       load(a->filter + (i * across + j) * channels + c), sum);
          }
        }
        store(y + c, depthwise_end(sum, a->bias ? a->bias + c : 0, a->relu));
      }
      for (int n = c * w->multiplier; n < columns; n++) {
        float sum = a->bias ? a->bias[n] : 0;
        for (int i = first; i < last; i++) {
          for (int j = from; j < to; j++) {
            sum += corner[i * w->dilation_height * line + j * w->dilation_width * channels + n / w->multiplier] *
                   a->filter[(i * across + j) * columns + n];
          }
        }
        y[n] = a->relu ? relu1(sum) : sum;
      }
    }
  }
}

typedef struct {
  depthwise_window w;
  const float *dy, *filter;
  float *dx;
  int tasks;
} depthwise_input_arguments;

/** The gradient of the input. Tasks share the rows of all images. */
KERNEL(depthwise_input)(const depthwise_input_arguments *a, int task, float *scratch) {
  const depthwise_window *w = &a->w;
  int channels = w->channels, columns = channels * w->multiplier, across = w->filter_width;
  int rows = w->batch * w->height, end = part_start(rows, task + 1, a->tasks), line = w->out_width * columns;
  int walked = walked_channels(w), vectors = w->multiplier == 1 ? channels & ~3 : 0;
  for (int row = part_start(rows, task, a->tasks); row < end; row++) {
    int y = row % w->height + w->top;
    const float *image = a->dy + row / w->height * w->out_height * line;
    float *dx = a->dx + row * w->width * channels;
    // the rows of dy that the input row is in the windows of: one tap up is one stride down
    int first = y % w->stride_height, last = min_int(w->filter_height, y / w->dilation_height + 1);
    while ((y - first * w->dilation_height) / w->stride_height >= w->out_height) first += w->stride_height;
    if (walked < channels || first >= last) clear_floats(dx, w->width * channels);
    for (int i = first, count; i < last && walked; i += count * w->stride_height) {
      const float *dy = image + (y - i * w->dilation_height) / w->stride_height * line;
      const float *filter = a->filter + i * across * channels;
      count = walk_rows(w, (last - i + w->stride_height - 1) / w->stride_height);
#define SCATTER(rows, across, stride)                                                                    \
  for (int c = 0; c < walked; c += 4) {                                                                  \
    scatter(rows, across, stride, w, dy + c, -w->dilation_height * line, filter + c,                     \
            w->stride_height * across * channels, dx + c, i > first);                                    \
  }
      WITH_SHAPE(w, count, SCATTER)
#undef SCATTER
    }
    for (int i = 0; i < w->filter_height && walked < channels; i++) {
      int oy = y - i * w->dilation_height;
      if (oy < 0 || oy % w->stride_height || oy / w->stride_height >= w->out_height) continue;
      for (int x = 0; x < w->width; x++) {
        for (int j = 0; j < across; j++) {
          int ox = x + w->left - j * w->dilation_width;
          if (ox < 0 || ox % w->stride_width || ox / w->stride_width >= w->out_width) continue;
          const float *dy = image + oy / w->stride_height * line + ox / w->stride_width * columns;
          const float *f = a->filter + (i * across + j) * columns;
          float *to = dx + x * channels;
          int c = walked;
          for (; c < vectors; c += 4) store(to + c, madd(load(dy + c), load(f + c), load(to + c)));
          for (; c < channels; c++) {
            for (int m = 0; m < w->multiplier; m++) to[c] += dy[c * w->multiplier + m] * f[c * w->multiplier + m];
          }
        }
      }
    }
  }
}

typedef struct {
  depthwise_window w;
  const float *x, *dy;
  float *partial; /* [tasks][filter_height][filter_width][channels][multiplier] */
  int tasks;
} depthwise_filter_arguments;

/** The gradient of the filter, one sum for each task. Tasks share the output rows. */
KERNEL(depthwise_filter)(const depthwise_filter_arguments *a, int task, float *scratch) {
  const depthwise_window *w = &a->w;
  int channels = w->channels, columns = channels * w->multiplier, across = w->filter_width;
  int rows = w->batch * w->out_height, end = part_start(rows, task + 1, a->tasks), line = w->width * channels;
  int walked = walked_channels(w), vectors = w->multiplier == 1 ? channels & ~3 : 0;
  float *partial = a->partial + task * w->filter_height * across * columns;
  clear_floats(partial, w->filter_height * across * columns);
  for (int row = part_start(rows, task, a->tasks); row < end; row++) {
    int y0 = row % w->out_height * w->stride_height - w->top;
    int first = first_tap(y0, w->dilation_height);
    int last = last_tap(y0, w->dilation_height, w->filter_height, w->height);
    const float *image = a->x + row / w->out_height * w->height * line;
    const float *dy = a->dy + row * w->out_width * columns;
    for (int i = first, count; i < last && walked; i += count) {
      const float *x = image + (y0 + i * w->dilation_height) * line;
      float *sum = partial + i * across * channels;
      count = walk_rows(w, last - i);
#define CORRELATE(rows, across, stride)                                                                  \
  for (int c = 0; c < walked; c += 4) {                                                                  \
    correlate(rows, across, stride, w, x + c, w->dilation_height * line, dy + c, sum + c,                \
              across * channels);                                                                        \
  }
      WITH_SHAPE(w, count, CORRELATE)
#undef CORRELATE
    }
    for (int i = first; i < last && walked < channels; i++) {
      for (int j = 0; j < across; j++) {
        float *sum = partial + (i * across + j) * columns;
        // the output columns whose tap lies inside of the image
        int shift = j * w->dilation_width - w->left, step = w->stride_width * channels;
        int from = first_tap(shift, w->stride_width), to = last_tap(shift, w->stride_width, w->out_width, w->width);
        const float *x = image + (y0 + i * w->dilation_height) * line + shift * channels;
        int c = walked;
        for (; c < vectors; c += 4) {
          vec s = load(sum + c);
          for (int o = from; o < to; o++) s = madd(load(x + o * step + c), load(dy + o * columns + c), s);
          store(sum + c, s);
        }
        for (int n = c * w->multiplier; n < columns; n++) {
          float s = sum[n];
          for (int o = from; o < to; o++) s += x[o * step + n / w->multiplier] * dy[o * columns + n];
          sum[n] = s;
        }
      }
    }
  }
}
