#include "gemm.h"

/** Where windows stand over images [height, width, channels]; what lies outside of an image counts as zero. */
typedef struct {
  int batch, height, width, channels;
  int filter_height, filter_width, stride_height, stride_width, dilation_height, dilation_width, top, left;
  int out_height, out_width, out_channels;
} window;

/** Entries of a window, rounded up so that rows of windows divide into quads. */
static inline int window_size(const window *w) {
  return (w->filter_height * w->filter_width * w->channels + 3) & ~3;
}

/** Adds the windows of the output pixels [first, last), rows of `size` floats, to the image that they stand on. */
static void rows_to_windows(const window *w, const float *rows, int first, int last, int size, float *image) {
  int channels = w->channels;
  for (int pixel = first; pixel < last; pixel++, rows += size) {
    int y0 = pixel / w->out_width * w->stride_height - w->top;
    int x0 = pixel % w->out_width * w->stride_width - w->left;
    const float *from = rows;
    for (int i = 0; i < w->filter_height; i++) {
      int y = y0 + i * w->dilation_height;
      for (int j = 0; j < w->filter_width; j++, from += channels) {
        int x = x0 + j * w->dilation_width;
        if (y < 0 || y >= w->height || x < 0 || x >= w->width) continue;
        add_floats(image + (y * w->width + x) * channels, from, channels);
      }
    }
  }
}

static inline int is_pointwise(const window *w) {
  return w->filter_height == 1 && w->filter_width == 1 && w->stride_height == 1 && w->stride_width == 1 &&
         w->top == 0 && w->left == 0 && w->out_height == w->height && w->out_width == w->width;
}

/** Floats of an image's row as far as windows see it, with zeros where they see beyond it. */
static inline int framed_row(const window *w) {
  return ((w->out_width - 1) * w->stride_width + (w->filter_width - 1) * w->dilation_width + 1) * w->channels;
}

/** Row y of an image, which may lie outside of it, as windows see it. */
static void frame_row(const window *w, const float *image, int y, float *to) {
  int size = framed_row(w), channels = w->channels;
  if (y < 0 || y >= w->height) {
    clear_floats(to, size);
    return;
  }
  int before = min_int(max_int(0, w->left * channels), size);
  int skip = max_int(0, -w->left) * channels;
  int count = max_int(0, min_int(size - before, w->width * channels - skip));
  clear_floats(to, before);
  copy_floats(to + before, image + y * w->width * channels + skip, count);
  clear_floats(to + before + count, size - before - count);
}

typedef struct {
  window w;
  const float *x, *packed; /* the filter as packed matrix [window, out_channels] */
  float *y;
  const float *bias;
  int relu, tasks;
} convolve_arguments;

/**
 * Up to 8 channels of `tile` neighbouring output pixels. `rows` are framed rows of the image; the windows of neighbours
 * overlap in them, so that nothing is copied.
 */
static inline __attribute__((always_inline)) void convolve_tile(const int tile, const window *w, const float *rows,
                                                                const float *packed, float *y, int columns,
                                                                const float *bias, int relu) {
  int size = framed_row(w), step = w->stride_width * w->channels, tap = w->dilation_width * w->channels;
  int taps = w->dilation_width == 1 ? 1 : w->filter_width;
  int run = w->dilation_width == 1 ? w->filter_width * w->channels : w->channels;
  vec sums[2][TILE_ROWS];
#pragma clang loop unroll(full)
  for (int m = 0; m < tile; m++) sums[0][m] = sums[1][m] = ZERO;
  for (int i = 0; i < w->filter_height; i++) {
    for (int j = 0; j < taps; j++, packed += run * 8) {
      add_products(tile, sums[0], sums[1], rows + i * size + j * tap, step, 1, packed, 8, run);
    }
  }
#pragma clang loop unroll(full)
  for (int m = 0; m < tile; m++) {
    store_row(y + m * w->out_channels, sums[0][m], sums[1][m], columns, bias, relu, 0);
  }
}

/** Up to 8 channels of a row of output pixels. */
static void convolve_row(const window *w, const float *rows, const float *packed, float *y, int columns,
                         const float *bias, int relu) {
  int pixels = w->out_width, step = w->stride_width * w->channels;
  for (int at = 0; at < pixels;) {
    int tile = next_tile(pixels - at);
    // the last pixels with some before them once more: a tile takes no longer than a pixel
    if (tile == 1 && pixels >= 4) tile = 4, at = pixels - 4;
    const float *from = rows + at * step;
    float *to = y + at * w->out_channels;
    if (tile == 6) convolve_tile(6, w, from, packed, to, columns, bias, relu);
    else if (tile == 4) convolve_tile(4, w, from, packed, to, columns, bias, relu);
    else convolve_tile(1, w, from, packed, to, columns, bias, relu);
    at += tile;
  }
}

/** A convolution. Scratch: filter_height framed rows. Tasks share the rows of all images. */
KERNEL(convolve)(const convolve_arguments *a, int task, float *scratch) {
  const window *w = &a->w;
  int columns = w->out_channels, size = framed_row(w), depth = w->filter_height * w->filter_width * w->channels;
  int rows = w->batch * w->out_height;
  int start = part_start(rows, task, a->tasks), end = part_start(rows, task + 1, a->tasks);
  if (is_pointwise(w)) {
    int last = end * w->out_width;
    for (int at = start * w->out_width; at < last; at += 64) {
      multiply_packed(a->x + at * depth, depth, 1, a->packed, a->y + at * columns, columns, min_int(64, last - at),
                      columns, depth, a->bias, a->relu, 0);
    }
    return;
  }
  for (int row = start; row < end; row++) {
    const float *image = a->x + row / w->out_height * w->height * w->width * w->channels;
    int y = row % w->out_height * w->stride_height - w->top;
    for (int i = 0; i < w->filter_height; i++) frame_row(w, image, y + i * w->dilation_height, scratch + i * size);
    for (int n = 0; n < columns; n += 8) {
      convolve_row(w, scratch, a->packed + n * depth, a->y + row * w->out_width * columns + n, min_int(8, columns - n),
                   a->bias ? a->bias + n : 0, a->relu);
    }
  }
}

typedef struct {
  const float *filter; /* [taps][in][out] */
  int taps, in, out;
  float *packed;
  int tasks;
} pack_turned_arguments;

/** The filter of the gradient of the input: turned by 180 degrees, packed [taps * out, in]. Tasks share the panels. */
KERNEL(pack_turned)(const pack_turned_arguments *a, int task, float *scratch) {
  int panels = (a->in + 7) / 8, end = part_start(panels, task + 1, a->tasks) * 8;
  for (int n = part_start(panels, task, a->tasks) * 8; n < end; n += 8) {
    float *to = a->packed + n * a->taps * a->out;
    for (int tap = a->taps - 1; tap >= 0; tap--) {
      const float *from = a->filter + (tap * a->in + n) * a->out;
      for (int c = 0; c < a->out; c++, to += 8) {
        for (int j = 0; j < 8; j++) to[j] = n + j < a->in ? from[j * a->out + c] : 0;
      }
    }
  }
}

typedef struct {
  window w;
  const float *dy, *packed; /* the filter, turned over, as packed matrix [out_channels, window] */
  float *dx;
  int block, tasks; /* pixels whose windows are in scratch at once */
} convolve_input_arguments;

/** The gradient of a convolution's input. Scratch: block * window_size floats. Tasks share the images. */
KERNEL(convolve_input)(const convolve_input_arguments *a, int task, float *scratch) {
  const window *w = &a->w;
  int used = w->filter_height * w->filter_width * w->channels, size = window_size(w), depth = w->out_channels;
  int pixels = w->out_height * w->out_width;
  int image_size = w->height * w->width * w->channels;
  int end = part_start(w->batch, task + 1, a->tasks);
  int pointwise = is_pointwise(w);
  for (int image = part_start(w->batch, task, a->tasks); image < end; image++) {
    float *dx = a->dx + image * image_size;
    const float *dy = a->dy + image * pixels * depth;
    if (!pointwise) clear_floats(dx, image_size);
    for (int first = 0; first < pixels; first += a->block) {
      int count = min_int(a->block, pixels - first);
      if (pointwise) {
        multiply_packed(dy + first * depth, depth, 1, a->packed, dx + first * used, used, count, used, depth, 0, 0, 0);
      } else {
        multiply_packed(dy + first * depth, depth, 1, a->packed, scratch, size, count, used, depth, 0, 0, 0);
        rows_to_windows(w, scratch, first, first + count, size, dx);
      }
    }
  }
}

typedef struct {
  window w;
  const float *x, *dy;
  float *partial; /* [tasks][window_size, out_channels] */
  int block, tasks; /* output rows that are worked on at once */
} convolve_filter_arguments;

/** Adds four rows of the filter's gradient, up to 8 columns of them; `p` are their entries for the first pixel. */
static void add_filter_tile(const window *w, const float *p0, const float *p1, const float *p2, const float *p3,
                            int image_row, const float *dy, int dy_pixel, int rows, float *sum, int columns) {
  vec x0 = ZERO, x1 = ZERO, x2 = ZERO, x3 = ZERO, y0 = ZERO, y1 = ZERO, y2 = ZERO, y3 = ZERO;
  int step = w->stride_width * w->channels, skip = w->stride_height * image_row - w->out_width * step;
  for (int y = 0; y < rows; y++) {
    for (int x = 0; x < w->out_width; x++) {
      vec bx = load(dy), by = load(dy + 4), s;
      s = load_splat(p0), x0 = madd(s, bx, x0), y0 = madd(s, by, y0);
      s = load_splat(p1), x1 = madd(s, bx, x1), y1 = madd(s, by, y1);
      s = load_splat(p2), x2 = madd(s, bx, x2), y2 = madd(s, by, y2);
      s = load_splat(p3), x3 = madd(s, bx, x3), y3 = madd(s, by, y3);
      p0 += step, p1 += step, p2 += step, p3 += step, dy += dy_pixel;
    }
    p0 += skip, p1 += skip, p2 += skip, p3 += skip;
  }
  int row = w->out_channels;
  store_row(sum, x0, y0, columns, 0, 0, 1);
  store_row(sum + row, x1, y1, columns, 0, 0, 1);
  store_row(sum + 2 * row, x2, y2, columns, 0, 0, 1);
  store_row(sum + 3 * row, x3, y3, columns, 0, 0, 1);
}

/** Where entry k of a window is in the framed rows. */
static inline int window_entry(const window *w, int k, int image_row) {
  int entries = w->filter_width * w->channels, last = w->filter_height * entries - 1;
  k = min_int(k, last);
  int tap = k % entries;
  return k / entries * w->dilation_height * image_row + tap / w->channels * w->dilation_width * w->channels +
         tap % w->channels;
}

/**
 * The gradient of a convolution's filter, one sum for each task. Scratch: framed rows for `block` output rows, and
 * 8 * block * out_width floats. Tasks share the rows of all images.
 */
KERNEL(convolve_filter)(const convolve_filter_arguments *a, int task, float *scratch) {
  const window *w = &a->w;
  int size = window_size(w), columns = w->out_channels, image_row = framed_row(w);
  int most = (a->block - 1) * w->stride_height + (w->filter_height - 1) * w->dilation_height + 1;
  float *edge = scratch + most * image_row;
  float *sum = a->partial + task * size * columns;
  clear_floats(sum, size * columns);
  int rows = w->batch * w->out_height;
  int at = part_start(rows, task, a->tasks), end = part_start(rows, task + 1, a->tasks);
  while (at < end) {
    int first = at % w->out_height, count = min_int(min_int(a->block, end - at), w->out_height - first);
    const float *image = a->x + at / w->out_height * w->height * w->width * w->channels;
    int seen = (count - 1) * w->stride_height + (w->filter_height - 1) * w->dilation_height + 1;
    for (int i = 0; i < seen; i++) {
      frame_row(w, image, first * w->stride_height - w->top + i, scratch + i * image_row);
    }
    const float *dy = a->dy + at * w->out_width * columns;
    for (int n = 0; n < columns; n += 8) {
      const float *panel = dy + n;
      int pixel = columns, width = min_int(8, columns - n);
      if (width < 8) {
        // the last columns by themselves: a panel would read past the end of dy
        for (int i = 0; i < count * w->out_width; i++) {
          for (int c = 0; c < 8; c++) edge[i * 8 + c] = c < width ? dy[i * columns + n + c] : 0;
        }
        panel = edge, pixel = 8;
      }
      for (int k = 0; k < size; k += 4) {
        add_filter_tile(w, scratch + window_entry(w, k, image_row), scratch + window_entry(w, k + 1, image_row),
                        scratch + window_entry(w, k + 2, image_row), scratch + window_entry(w, k + 3, image_row),
                        image_row, panel, pixel, count, sum + k * columns + n, width);
      }
    }
    at += count;
  }
}

typedef struct {
  const float *partial;
  int partials, partial_size;
  float *out;
  int count, tasks;
} add_partials_arguments;

/** out[count] = the sum of the first `count` entries of all partials, in their order. */
KERNEL(add_partials)(const add_partials_arguments *a, int task, float *scratch) {
  int first = part_start(a->count, task, a->tasks), count = part_start(a->count, task + 1, a->tasks) - first;
  copy_floats(a->out + first, a->partial + first, count);
  for (int i = 1; i < a->partials; i++) add_floats(a->out + first, a->partial + i * a->partial_size + first, count);
}
