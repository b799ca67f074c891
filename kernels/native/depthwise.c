/** Convolutions of each channel by itself. Output channel c * multiplier + m stems from input channel c. */
#include "simd.h"

typedef struct {
  int batch, height, width, channels;
  int filter_height, filter_width, stride_height, stride_width, dilation_height, dilation_width, top, left;
  int out_height, out_width, multiplier;
} depthwise_window;

typedef struct {
  depthwise_window w;
  const float *x, *filter; /* filter: [filter_height][filter_width][channels][multiplier] */
  float *y;
  const float *bias;
  int relu, tasks;
} depthwise_arguments;

static inline vec depthwise_store(vec sum, const float *bias, int relu) {
  if (bias) sum = add(sum, load(bias));
  return relu ? relu4(sum) : sum;
}

/** Tasks share the output rows. */
KERNEL(depthwise)(const depthwise_arguments *a, int task, float *scratch) {
  const depthwise_window *w = &a->w;
  int channels = w->channels, columns = channels * w->multiplier, across = w->filter_width;
  int rows = w->batch * w->out_height, end = part_start(rows, task + 1, a->tasks);
  int line = w->width * channels, reach = (w->filter_height - 1) * w->dilation_height;
  for (int row = part_start(rows, task, a->tasks); row < end; row++) {
    int y0 = row % w->out_height * w->stride_height - w->top;
    const float *image = a->x + row / w->out_height * w->height * line;
    for (int column = 0; column < w->out_width; column++) {
      int x0 = column * w->stride_width - w->left;
      float *y = a->y + (row * w->out_width + column) * columns;
      const float *corner = image + y0 * line + x0 * channels;
      int inside = y0 >= 0 && x0 >= 0 && y0 + reach < w->height && x0 + (across - 1) * w->dilation_width < w->width;
      int c = 0;
      if (w->multiplier == 1 && inside && w->filter_height == 3 && across == 3) {
        int down = w->dilation_height * line, right = w->dilation_width * channels;
        for (; c + 4 <= channels; c += 4) {
          const float *p = corner + c, *q = p + down, *r = q + down, *f = a->filter + c;
          vec s = mul(load(p), load(f));
          vec t = mul(load(q), load(f + 3 * channels));
          vec u = mul(load(r), load(f + 6 * channels));
          s = madd(load(p + right), load(f + channels), s);
          t = madd(load(q + right), load(f + 4 * channels), t);
          u = madd(load(r + right), load(f + 7 * channels), u);
          s = madd(load(p + 2 * right), load(f + 2 * channels), s);
          t = madd(load(q + 2 * right), load(f + 5 * channels), t);
          u = madd(load(r + 2 * right), load(f + 8 * channels), u);
          store(y + c, depthwise_store(add(add(s, t), u), a->bias ? a->bias + c : 0, a->relu));
        }
      } else if (w->multiplier == 1) {
        for (; c + 4 <= channels; c += 4) {
          vec sum = ZERO;
          for (int i = 0; i < w->filter_height; i++) {
            int iy = y0 + i * w->dilation_height;
            if (iy < 0 || iy >= w->height) continue;
            for (int j = 0; j < across; j++) {
              int ix = x0 + j * w->dilation_width;
              if (ix < 0 || ix >= w->width) continue;
              sum = madd(load(image + iy * line + ix * channels + c), load(a->filter + (i * across + j) * channels + c),
                         sum);
            }
          }
          store(y + c, depthwise_store(sum, a->bias ? a->bias + c : 0, a->relu));
        }
      }
      for (int n = c * w->multiplier; n < columns; n++) {
        float sum = a->bias ? a->bias[n] : 0;
        for (int i = 0; i < w->filter_height; i++) {
          int iy = y0 + i * w->dilation_height;
          if (iy < 0 || iy >= w->height) continue;
          for (int j = 0; j < across; j++) {
            int ix = x0 + j * w->dilation_width;
            if (ix < 0 || ix >= w->width) continue;
            sum += image[iy * line + ix * channels + n / w->multiplier] * a->filter[(i * across + j) * columns + n];
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
  int rows = w->batch * w->height, end = part_start(rows, task + 1, a->tasks);
  int unit = w->stride_height == 1 && w->stride_width == 1;
  for (int row = part_start(rows, task, a->tasks); row < end; row++) {
    int y = row % w->height;
    const float *image = a->dy + row / w->height * w->out_height * w->out_width * columns;
    for (int x = 0; x < w->width; x++) {
      float *dx = a->dx + (row * w->width + x) * channels;
      int c = 0;
      if (w->multiplier == 1) {
        int y0 = y + w->top, x0 = x + w->left;
        int down = w->dilation_height * w->out_width * columns, right = w->dilation_width * columns;
        int inside = unit && w->filter_height == 3 && across == 3 && y0 < w->out_height && x0 < w->out_width &&
                     y0 - 2 * w->dilation_height >= 0 && x0 - 2 * w->dilation_width >= 0;
        if (inside) {
          const float *corner = image + (y0 * w->out_width + x0) * columns;
          for (; c + 4 <= channels; c += 4) {
            const float *p = corner + c, *q = p - down, *r = q - down, *f = a->filter + c;
            vec s = mul(load(p), load(f));
            vec t = mul(load(q), load(f + 3 * channels));
            vec u = mul(load(r), load(f + 6 * channels));
            s = madd(load(p - right), load(f + channels), s);
            t = madd(load(q - right), load(f + 4 * channels), t);
            u = madd(load(r - right), load(f + 7 * channels), u);
            s = madd(load(p - 2 * right), load(f + 2 * channels), s);
            t = madd(load(q - 2 * right), load(f + 5 * channels), t);
            u = madd(load(r - 2 * right), load(f + 8 * channels), u);
            store(dx + c, add(add(s, t), u));
          }
        }
      }
      int vectors = w->multiplier == 1 ? channels / 4 * 4 : 0;
      int from = c;
      clear_floats(dx + from, channels - from);
      if (from == channels) continue;
      for (int i = 0; i < w->filter_height; i++) {
        int oy = y + w->top - i * w->dilation_height;
        if (oy < 0 || oy % w->stride_height || oy / w->stride_height >= w->out_height) continue;
        for (int j = 0; j < across; j++) {
          int ox = x + w->left - j * w->dilation_width;
          if (ox < 0 || ox % w->stride_width || ox / w->stride_width >= w->out_width) continue;
          const float *dy = image + (oy / w->stride_height * w->out_width + ox / w->stride_width) * columns;
          const float *f = a->filter + (i * across + j) * columns;
          for (c = from; c < vectors; c += 4) store(dx + c, madd(load(dy + c), load(f + c), load(dx + c)));
          for (; c < channels; c++) {
            for (int m = 0; m < w->multiplier; m++) {
              dx[c] += dy[c * w->multiplier + m] * f[c * w->multiplier + m];
            }
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
  int rows = w->batch * w->out_height, first = part_start(rows, task, a->tasks);
  int end = part_start(rows, task + 1, a->tasks), line = w->width * channels;
  float *partial = a->partial + task * w->filter_height * across * columns;
  clear_floats(partial, w->filter_height * across * columns);
  for (int row = first; row < end; row++) {
    int y0 = row % w->out_height * w->stride_height - w->top;
    const float *image = a->x + row / w->out_height * w->height * line;
    const float *dy = a->dy + row * w->out_width * columns;
    for (int i = 0; i < w->filter_height; i++) {
      int iy = y0 + i * w->dilation_height;
      if (iy < 0 || iy >= w->height) continue;
      for (int j = 0; j < across; j++) {
        float *sum = partial + (i * across + j) * columns;
        // the output columns whose tap lies inside of the image
        int shift = j * w->dilation_width - w->left;
        int from = shift >= 0 ? 0 : (-shift + w->stride_width - 1) / w->stride_width;
        int to = shift >= w->width ? 0 : min_int(w->out_width, (w->width - 1 - shift) / w->stride_width + 1);
        const float *x = image + iy * line + shift * channels;
        int c = 0;
        if (w->multiplier == 1) {
          int step = w->stride_width * channels;
          for (; c + 16 <= channels; c += 16) {
            vec s0 = load(sum + c), s1 = load(sum + c + 4), s2 = load(sum + c + 8), s3 = load(sum + c + 12);
            const float *p = x + from * step + c, *q = dy + from * columns + c;
            for (int column = from; column < to; column++, p += step, q += columns) {
              s0 = madd(load(p), load(q), s0), s1 = madd(load(p + 4), load(q + 4), s1);
              s2 = madd(load(p + 8), load(q + 8), s2), s3 = madd(load(p + 12), load(q + 12), s3);
            }
            store(sum + c, s0), store(sum + c + 4, s1), store(sum + c + 8, s2), store(sum + c + 12, s3);
          }
          for (; c + 4 <= channels; c += 4) {
            vec s = load(sum + c);
            const float *p = x + from * step + c, *q = dy + from * columns + c;
            for (int column = from; column < to; column++, p += step, q += columns) s = madd(load(p), load(q), s);
            store(sum + c, s);
          }
        }
        for (int n = c * w->multiplier; n < columns; n++) {
          float s = sum[n];
          for (int column = from; column < to; column++) {
            s += x[column * w->stride_width * channels + n / w->multiplier] * dy[column * columns + n];
          }
          sum[n] = s;
        }
      }
    }
  }
}
