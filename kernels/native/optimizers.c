/**
 * The steps of tfjs's optimizers over one variable. Every operation is rounded as tfjs rounds it, one after the other:
 * no fused multiply-add, and scalars are the float32 numbers that tfjs makes of them.
 */
#include "simd.h"

#define RANGE(count) \
  int i = part_start(count, task, a->tasks), end = part_start(count, task + 1, a->tasks)

#define div wasm_f32x4_div
#define root wasm_f32x4_sqrt
#define root1 __builtin_sqrtf

typedef struct {
  const float *w, *g;
  float *out;
  int count, tasks;
  float minus_rate;
} sgd_arguments;

KERNEL(sgd)(const sgd_arguments *a, int task, float *scratch) {
  vec rate = splat(a->minus_rate);
  RANGE(a->count);
  for (; i + 4 <= end; i += 4) {
    store(a->out + i, add(mul(rate, load(a->g + i)), load(a->w + i)));
  }
  for (; i < end; i++) {
    a->out[i] = a->minus_rate * a->g[i] + a->w[i];
  }
}

typedef struct {
  const float *w, *g;
  const float *m;
  float *out, *m_out;
  int count, tasks, nesterov;
  float momentum, minus_rate;
} momentum_arguments;

KERNEL(momentum)(const momentum_arguments *a, int task, float *scratch) {
  vec rate = splat(a->minus_rate), keep = splat(a->momentum);
  RANGE(a->count);
  for (; i + 4 <= end; i += 4) {
    vec g = load(a->g + i), m = add(mul(keep, load(a->m + i)), g);
    vec step = a->nesterov ? add(g, mul(m, keep)) : m;
    store(a->m_out + i, m);
    store(a->out + i, add(mul(rate, step), load(a->w + i)));
  }
  for (; i < end; i++) {
    float g = a->g[i], m = a->momentum * a->m[i] + g;
    a->m_out[i] = m;
    a->out[i] = a->minus_rate * (a->nesterov ? g + m * a->momentum : m) + a->w[i];
  }
}

typedef struct {
  const float *w, *g;
  const float *u;
  float *out, *u_out;
  int count, tasks;
  float minus_rate, epsilon;
} adagrad_arguments;

KERNEL(adagrad)(const adagrad_arguments *a, int task, float *scratch) {
  vec rate = splat(a->minus_rate), epsilon = splat(a->epsilon);
  RANGE(a->count);
  for (; i + 4 <= end; i += 4) {
    vec g = load(a->g + i), u = add(load(a->u + i), mul(g, g));
    store(a->u_out + i, u);
    store(a->out + i, add(mul(div(g, root(add(u, epsilon))), rate), load(a->w + i)));
  }
  for (; i < end; i++) {
    float g = a->g[i], u = a->u[i] + g * g;
    a->u_out[i] = u;
    a->out[i] = g / root1(u + a->epsilon) * a->minus_rate + a->w[i];
  }
}

typedef struct {
  const float *w, *g;
  const float *u, *m, *s; /* mean of squares, moment, mean (only if centered) */
  float *out, *u_out, *m_out, *s_out;
  int count, tasks, centered;
  float decay, rest, momentum, rate, epsilon; /* rest: 1 - decay */
} rmsprop_arguments;

KERNEL(rmsprop)(const rmsprop_arguments *a, int task, float *scratch) {
  vec decay = splat(a->decay), rest = splat(a->rest), keep = splat(a->momentum), rate = splat(a->rate),
      epsilon = splat(a->epsilon);
  RANGE(a->count);
  for (; i + 4 <= end; i += 4) {
    vec g = load(a->g + i), u = add(mul(load(a->u + i), decay), mul(mul(g, g), rest)), spread = add(u, epsilon);
    if (a->centered) {
      vec s = add(mul(load(a->s + i), decay), mul(g, rest));
      store(a->s_out + i, s);
      spread = sub(u, add(mul(s, s), epsilon));
    }
    vec step = div(mul(g, rate), root(spread)), m = add(mul(load(a->m + i), keep), step);
    store(a->u_out + i, u);
    store(a->m_out + i, m);
    store(a->out + i, sub(load(a->w + i), m));
  }
  for (; i < end; i++) {
    float g = a->g[i], u = a->u[i] * a->decay + g * g * a->rest, spread = u + a->epsilon;
    if (a->centered) {
      float s = a->s[i] * a->decay + g * a->rest;
      a->s_out[i] = s;
      spread = u - (s * s + a->epsilon);
    }
    float m = a->m[i] * a->momentum + g * a->rate / root1(spread);
    a->u_out[i] = u, a->m_out[i] = m, a->out[i] = a->w[i] - m;
  }
}

typedef struct {
  const float *w, *g;
  const float *m, *u;
  float *out, *m_out, *u_out;
  int count, tasks;
  float beta1, beta2, rest1, rest2; /* rest: 1 - beta */
  float correction1, correction2;   /* 1 - beta ** step */
  float minus_rate, epsilon;
} adam_arguments;

KERNEL(adam)(const adam_arguments *a, int task, float *scratch) {
  vec beta1 = splat(a->beta1), beta2 = splat(a->beta2), rest1 = splat(a->rest1), rest2 = splat(a->rest2);
  vec correction1 = splat(a->correction1), correction2 = splat(a->correction2);
  vec rate = splat(a->minus_rate), epsilon = splat(a->epsilon);
  RANGE(a->count);
  for (; i + 4 <= end; i += 4) {
    vec g = load(a->g + i), m = add(mul(load(a->m + i), beta1), mul(g, rest1));
    vec u = add(mul(load(a->u + i), beta2), mul(mul(g, g), rest2));
    vec step = div(div(m, correction1), add(root(div(u, correction2)), epsilon));
    store(a->m_out + i, m);
    store(a->u_out + i, u);
    store(a->out + i, add(mul(step, rate), load(a->w + i)));
  }
  for (; i < end; i++) {
    float g = a->g[i], m = a->m[i] * a->beta1 + g * a->rest1, u = a->u[i] * a->beta2 + g * g * a->rest2;
    float step = m / a->correction1 / (root1(u / a->correction2) + a->epsilon);
    a->m_out[i] = m, a->u_out[i] = u, a->out[i] = step * a->minus_rate + a->w[i];
  }
}
