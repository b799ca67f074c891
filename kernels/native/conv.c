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

/** Writes the windows of the output pixels [first, last) of one image as rows of `size` floats. */
static void windows_to_rows(const window *w, const float *image, int first, int last, int size, float *rows) {
  int channels = w->channels, run = w->filter_width * channels;
  int used = w->filter_height * run;
  for (int pixel = first; pixel < last; pixel++, rows += size) {
    int y0 = pixel / w->out_width * w->stride_height - w->top;
    int x0 = pixel % w->out_width * w->stride_width - w->left;
    float *to = rows;
    for (int i = 0; i < w->filter_height; i++, to += run) {
      int y = y0 + i * w->dilation_height;
      if (y < 0 || y >= w->height) {
        clear_floats(to, run);
        continue;
      }
      const float *line = image + y * w->width * channels;
      if (w->dilation_width == 1 && x0 >= 0 && x0 + w->filter_width <= w->width) {
        copy_floats(to, line + x0 * channels, run);
        continue;
      }
      for (int j = 0; j < w->filter_width; j++) {
        int x = x0 + j * w->dilation_width;
        if (x < 0 || x >= w->width) clear_floats(to + j * channels, channels);
        else copy_floats(to + j * channels, line + x * channels, channels);
      }
    }
    for (int i = used; i < size; i++) rows[i] = 0;
  }
}

/** Adds rows of windows back to where they came from: the reverse of windows_to_rows(). */
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

typedef struct {
  window w;
  const float *x, *packed; /* the filter as packed matrix [window, out_channels] */
  float *y;
  const float *bias;
  int relu, block, tasks; /* pixels whose windows are in scratch at once */
} convolve_arguments;

/** A convolution. Scratch: block * window_size floats. Tasks share all output pixels. */
KERNEL(convolve)(const convolve_arguments *a, int task, float *scratch) {
  const window *w = &a->w;
  int used = w->filter_height * w->filter_width * w->channels, size = window_size(w), columns = w->out_channels;
  int pixels = w->out_height * w->out_width;
  int image_size = w->height * w->width * w->channels;
  int quads = (w->batch * pixels + 3) / 4;
  int at = part_start(quads, task, a->tasks) * 4;
  int end = min_int(part_start(quads, task + 1, a->tasks) * 4, w->batch * pixels);
  int pointwise = is_pointwise(w);
  while (at < end) {
    int image = at / pixels, first = at % pixels;
    int count = min_int(min_int(a->block, end - at), pixels - first);
    const float *rows = scratch;
    int row = size;
    if (pointwise) rows = a->x + at * w->channels, row = w->channels;
    else windows_to_rows(w, a->x + image * image_size, first, first + count, size, scratch);
    multiply_packed(rows, row, 1, a->packed, a->y + at * columns, columns, count, columns, used, a->bias, a->relu, 0);
    at += count;
  }
}

typedef struct {
  window w;
  const float *dy, *packed; /* the filter, turned over, as packed matrix [out_channels, window] */
  float *dx;
  int block, tasks;
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
  int block, tasks;
} convolve_filter_arguments;

/**
 * The gradient of a convolution's filter, one sum for each task. Scratch: block * window_size floats. Tasks share all
 * output pixels.
 */
KERNEL(convolve_filter)(const convolve_filter_arguments *a, int task, float *scratch) {
  const window *w = &a->w;
  int size = window_size(w), columns = w->out_channels;
  int pixels = w->out_height * w->out_width;
  int image_size = w->height * w->width * w->channels;
  float *sum = a->partial + task * size * columns;
  clear_floats(sum, size * columns);
  int at = part_start(w->batch * pixels, task, a->tasks), end = part_start(w->batch * pixels, task + 1, a->tasks);
  int pointwise = is_pointwise(w);
  while (at < end) {
    int image = at / pixels, first = at % pixels;
    int count = min_int(min_int(a->block, end - at), pixels - first);
    const float *dy = a->dy + at * columns;
    const float *rows = scratch;
    int row = size, used = size;
    if (pointwise) rows = a->x + at * w->channels, row = used = w->channels;
    else windows_to_rows(w, a->x + image * image_size, first, first + count, size, scratch);
    int n = 0;
    for (; n + 8 <= columns; n += 8) {
      multiply_panel(rows, 1, row, dy + n, columns, sum + n, columns, used, 8, count, 0, 0, 1);
    }
    if (n < columns) {
      // the last columns by themselves: a panel would read past the end of dy
      for (int k = 0; k < used; k++) {
        for (int m = n; m < columns; m++) {
          float total = 0;
          for (int i = 0; i < count; i++) total += rows[i * row + k] * dy[i * columns + m];
          sum[k * columns + m] += total;
        }
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
