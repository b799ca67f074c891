#include "gemm.h"

/** Where windows stand over images [height, width, channels]; what lies outside of an image counts as zero. */
typedef struct {
  int batch, height, width, channels;
  int filter_height, filter_width, stride_height, stride_width, dilation_height, dilation_width, top, left;
  int out_height, out_width, out_channels;
} window;

/** Entries of a window. */
static inline int window_size(const window *w) { return w->filter_height * w->filter_width * w->channels; }

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

/** add_products() with a constant depth and nothing between the entries. */
INLINE void add_few_products(const int depth, const int tile, vec *x, vec *y, const float *a, int a_row,
                             const float *b) {
  UNROLL
  for (int k = 0; k < depth; k++) add_products(tile, x, y, a + k, a_row, 1, b + 8 * k, 8, 1);
}

/**
 * Up to 8 channels of `tile` neighbouring output pixels. `rows` are framed rows of the image; the windows of neighbours
 * overlap in them, so that nothing is copied.
 */
INLINE void convolve_tile(const int tile, const window *w, const float *rows,
                                                                const float *packed, float *y, int columns,
                                                                const float *bias, int relu) {
  int size = framed_row(w), step = w->stride_width * w->channels, tap = w->dilation_width * w->channels;
  int taps = w->dilation_width == 1 ? 1 : w->filter_width;
  int run = w->dilation_width == 1 ? w->filter_width * w->channels : w->channels;
  vec sums[2][TILE_ROWS];
UNROLL
  for (int m = 0; m < tile; m++) sums[0][m] = sums[1][m] = ZERO;
  for (int i = 0; i < w->filter_height; i++) {
    for (int j = 0; j < taps; j++, packed += run * 8) {
      const float *from = rows + i * size + j * tap;
      // the rows of 3x3 windows over colours and of 5x5 ones over greys are too short for a loop
      if (run == 9) add_few_products(9, tile, sums[0], sums[1], from, step, packed);
      else if (run == 5) add_few_products(5, tile, sums[0], sums[1], from, step, packed);
      else add_products(tile, sums[0], sums[1], from, step, 1, packed, 8, run);
    }
  }
UNROLL
  for (int m = 0; m < tile; m++) {
    store_row(y + m * w->out_channels, sums[0][m], sums[1][m], columns, bias, relu, 0);
  }
}

/** Up to 8 channels of a row of output pixels. */
NOINLINE void convolve_row(const window *w, const float *rows, const float *packed, float *y, int columns,
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
  int columns = w->out_channels, size = framed_row(w), depth = window_size(w);
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
  int size = window_size(w), depth = w->out_channels;
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
        multiply_packed(dy + first * depth, depth, 1, a->packed, dx + first * size, size, count, size, depth, 0, 0, 0);
      } else {
        multiply_packed(dy + first * depth, depth, 1, a->packed, scratch, size, count, size, depth, 0, 0, 0);
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

/** Adds `tile` neighbouring rows of the filter's gradient, as add_filter_run(). */
INLINE void add_filter_tile(const int tile, const window *w, const float *rows,
                                                                  const float *dy, int dy_pixel, int count, float *sum,
                                                                  int columns) {
  int down = w->stride_height * framed_row(w), right = w->stride_width * w->channels, pixels = w->out_width;
  vec x[TILE_ROWS], y[TILE_ROWS];
UNROLL
  for (int m = 0; m < tile; m++) x[m] = y[m] = ZERO;
  for (int i = 0; i < count; i++, rows += down, dy += pixels * dy_pixel) {
    add_products(tile, x, y, rows, 1, right, dy, dy_pixel, pixels);
  }
UNROLL
  for (int m = 0; m < tile; m++) store_row(sum + m * w->out_channels, x[m], y[m], columns, 0, 0, 1);
}

/**
 * Adds `run` neighbouring rows of the filter's gradient, up to 8 columns of them. `rows` are framed rows from the entry
 * that the first pixel of dy sees through the first of these rows; `count` rows of dy see them.
 */
NOINLINE void add_filter_run(const window *w, const float *rows, int run, const float *dy,
                                                     int dy_pixel, int count, float *sum, int columns) {
  int parts = (run + TILE_ROWS - 1) / TILE_ROWS;
  for (int part = 0; part < parts; part++) {
    int tile = part_start(run, part + 1, parts) - part_start(run, part, parts);
#define TILE(n) add_filter_tile(n, w, rows, dy, dy_pixel, count, sum, columns)
    if (tile == 6) TILE(6);
    else if (tile == 5) TILE(5);
    else if (tile == 4) TILE(4);
    else if (tile == 3) TILE(3);
    else if (tile == 2) TILE(2);
    else TILE(1);
#undef TILE
    rows += tile, sum += tile * w->out_channels;
  }
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
      // the entries of a row of a window lie one after another, if no others lie between them
      int taps = w->dilation_width == 1 ? 1 : w->filter_width, run = w->filter_width / taps * w->channels;
      for (int tap = 0; tap < w->filter_height * taps; tap++) {
        const float *rows = scratch + tap / taps * w->dilation_height * image_row +
                            tap % taps * w->dilation_width * w->channels;
        add_filter_run(w, rows, run, panel, pixel, count, sum + tap * run * columns + n, width);
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
