#include "simd.h"

/** Where windows stand over images [height, width, channels]. */
typedef struct {
  int batch, height, width, channels;
  int filter_height, filter_width, stride_height, stride_width, top, left;
  int out_height, out_width;
} pool_window;

/** The windows of an output row: their taps [i0, i1) lie inside of the image. */
#define WINDOW_ROW(w, row)                                                                             \
  int image = row / w->out_height * w->height, y0 = row % w->out_height * w->stride_height - w->top;   \
  int i0 = max_int(0, -y0), i1 = min_int(w->filter_height, w->height - y0)

/** One of them: its taps [j0, j1) lie inside of the image. */
#define WINDOW(w, column)                      \
  int x0 = column * w->stride_width - w->left; \
  int j0 = max_int(0, -x0), j1 = min_int(w->filter_width, w->width - x0)

#define TAP(w, i, j) (((image + y0 + (i)) * w->width + x0 + (j)) * w->channels)

typedef struct {
  pool_window w;
  const float *x;
  float *y;
  int tasks;
} pool_arguments;

/** The largest entry of each window; NaN entries are passed over, as by the cpu backend. */
KERNEL(max_pool)(const pool_arguments *a, int task, float *scratch) {
  const pool_window *w = &a->w;
  int rows = w->batch * w->out_height, end = part_start(rows, task + 1, a->tasks);
  for (int row = part_start(rows, task, a->tasks); row < end; row++) {
    WINDOW_ROW(w, row);
    for (int column = 0; column < w->out_width; column++) {
      WINDOW(w, column);
      float *y = a->y + (row * w->out_width + column) * w->channels;
      int c = 0;
      if (i0 == 0 && j0 == 0 && i1 == 2 && j1 == 2 && w->filter_height == 2 && w->filter_width == 2) {
        const vec lowest = splat(-__builtin_inff());
        const float *p = a->x + TAP(w, 0, 0), *q = a->x + TAP(w, 1, 0);
        int next = w->channels;
        for (; c + 4 <= w->channels; c += 4) {
          vec top = wasm_f32x4_pmax(wasm_f32x4_pmax(lowest, load(p + c)), load(p + next + c));
          store(y + c, wasm_f32x4_pmax(wasm_f32x4_pmax(top, load(q + c)), load(q + next + c)));
        }
      }
      for (; c + 4 <= w->channels; c += 4) {
        vec best = splat(-__builtin_inff());
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) best = wasm_f32x4_pmax(best, load(a->x + TAP(w, i, j) + c));
        store(y + c, best);
      }
      for (; c < w->channels; c++) {
        float best = -__builtin_inff();
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) {
            float value = a->x[TAP(w, i, j) + c];
            if (value > best) best = value;
          }
        y[c] = best;
      }
    }
  }
}

/** The mean of each window's entries that lie inside of the image. */
KERNEL(avg_pool)(const pool_arguments *a, int task, float *scratch) {
  const pool_window *w = &a->w;
  int rows = w->batch * w->out_height, end = part_start(rows, task + 1, a->tasks);
  for (int row = part_start(rows, task, a->tasks); row < end; row++) {
    WINDOW_ROW(w, row);
    for (int column = 0; column < w->out_width; column++) {
      WINDOW(w, column);
      float *y = a->y + (row * w->out_width + column) * w->channels;
      float count = (i1 - i0) * (j1 - j0);
      int c = 0;
      for (; c + 4 <= w->channels; c += 4) {
        vec sum = ZERO;
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) sum = add(sum, load(a->x + TAP(w, i, j) + c));
        store(y + c, wasm_f32x4_div(sum, splat(count)));
      }
      for (; c < w->channels; c++) {
        float sum = 0;
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) sum += a->x[TAP(w, i, j) + c];
        y[c] = sum / count;
      }
    }
  }
}

typedef struct {
  pool_window w;
  const float *x, *dy;
  float *dx;
  int tasks, relu; /* relu: x is the result of a relu whose gradient is taken in the same go */
} pool_gradient_arguments;

/** Whether windows cover all images, without any padding, and no two of them share an entry. */
static inline int is_tiling(const pool_window *w) {
  return w->filter_height == w->stride_height && w->filter_width == w->stride_width && w->top == 0 && w->left == 0 &&
         w->out_height * w->stride_height == w->height && w->out_width * w->stride_width == w->width;
}

/**
 * The gradient of max_pool: each entry of dy goes to the first largest entry of its window, in reading order, and is
 * dropped where no entry is above negative infinity. Tasks share the images.
 */
KERNEL(max_pool_gradient)(const pool_gradient_arguments *a, int task, float *scratch) {
  const pool_window *w = &a->w;
  int image_size = w->height * w->width * w->channels;
  int from = part_start(w->batch, task, a->tasks), to = part_start(w->batch, task + 1, a->tasks);
  int tiling = is_tiling(w);
  vec lowest = a->relu ? ZERO : splat(-__builtin_inff());
  if (!tiling) clear_floats(a->dx + from * image_size, (to - from) * image_size);
  for (int row = from * w->out_height; row < to * w->out_height; row++) {
    WINDOW_ROW(w, row);
    for (int column = 0; column < w->out_width; column++) {
      WINDOW(w, column);
      const float *dy = a->dy + (row * w->out_width + column) * w->channels;
      int c = 0;
      if (tiling && w->filter_height == 2 && w->filter_width == 2) {
        int top = TAP(w, 0, 0), bottom = TAP(w, 1, 0), next = w->channels;
        for (; c + 4 <= w->channels; c += 4) {
          const float *x0 = a->x + top + c, *x1 = a->x + bottom + c;
          vec v0 = load(x0), v1 = load(x0 + next), v2 = load(x1), v3 = load(x1 + next);
          // pmax(a, b) is b where b > a: the comparison of the scan, which NaN never wins
          vec best = wasm_f32x4_pmax(wasm_f32x4_pmax(wasm_f32x4_pmax(wasm_f32x4_pmax(lowest, v0), v1), v2), v3);
          vec left = wasm_v128_and(load(dy + c), wasm_f32x4_gt(best, lowest)), hit;
          float *d0 = a->dx + top + c, *d1 = a->dx + bottom + c;
          hit = wasm_f32x4_eq(v0, best), store(d0, wasm_v128_and(left, hit)), left = wasm_v128_andnot(left, hit);
          hit = wasm_f32x4_eq(v1, best), store(d0 + next, wasm_v128_and(left, hit)), left = wasm_v128_andnot(left, hit);
          hit = wasm_f32x4_eq(v2, best), store(d1, wasm_v128_and(left, hit)), left = wasm_v128_andnot(left, hit);
          hit = wasm_f32x4_eq(v3, best), store(d1 + next, wasm_v128_and(left, hit));
        }
      }
      for (; c + 4 <= w->channels; c += 4) {
        vec best = lowest;
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) best = wasm_f32x4_pmax(best, load(a->x + TAP(w, i, j) + c));
        vec left = wasm_v128_and(load(dy + c), wasm_f32x4_gt(best, lowest));
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) {
            int at = TAP(w, i, j) + c;
            vec hit = wasm_f32x4_eq(load(a->x + at), best), share = wasm_v128_and(left, hit);
            store(a->dx + at, tiling ? share : add(load(a->dx + at), share));
            left = wasm_v128_andnot(left, hit);
          }
      }
      for (; c < w->channels; c++) {
        float best = a->relu ? 0 : -__builtin_inff();
        int place = -1;
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) {
            int at = TAP(w, i, j) + c;
            if (tiling) a->dx[at] = 0;
            if (a->x[at] > best) best = a->x[at], place = at;
          }
        if (place >= 0) a->dx[place] += dy[c];
      }
    }
  }
}

/** The gradient of avg_pool. Tasks share the images. */
KERNEL(avg_pool_gradient)(const pool_gradient_arguments *a, int task, float *scratch) {
  const pool_window *w = &a->w;
  int image_size = w->height * w->width * w->channels;
  int from = part_start(w->batch, task, a->tasks), to = part_start(w->batch, task + 1, a->tasks);
  clear_floats(a->dx + from * image_size, (to - from) * image_size);
  for (int row = from * w->out_height; row < to * w->out_height; row++) {
    WINDOW_ROW(w, row);
    for (int column = 0; column < w->out_width; column++) {
      WINDOW(w, column);
      const float *dy = a->dy + (row * w->out_width + column) * w->channels;
      float share = 1.0f / (w->filter_height * w->filter_width);
      for (int i = i0; i < i1; i++)
        for (int j = j0; j < j1; j++) {
          float *dx = a->dx + TAP(w, i, j);
          int c = 0;
          for (; c + 4 <= w->channels; c += 4) store(dx + c, madd(splat(share), load(dy + c), load(dx + c)));
          for (; c < w->channels; c++) dx[c] += share * dy[c];
        }
    }
  }
}
