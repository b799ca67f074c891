/**
 * Vectors of four floats, and the form of a kernel.
 *
 * The code runs on the heap of tfjs-backend-wasm: no static data, no shadow stack (the build checks both), no libc.
 * A kernel is called once for each task of a job, by any thread: `kernel(arguments, task, scratch)`. Tasks of one job
 * write to places of their own. Pointers and counts are 32 bits wide, and so is every member of an arguments struct,
 * in the order in which the TypeScript side writes them.
 */
#pragma once
#include <wasm_simd128.h>

#define KERNEL(name) __attribute__((export_name(#name))) void name

/** For what is to be compiled with its constant arguments. */
#define INLINE static inline __attribute__((always_inline))
/** For inner loops: in a large function, V8 would keep what they count and point with in memory. */
#define NOINLINE static __attribute__((noinline))
#define UNROLL _Pragma("clang loop unroll(full)")

typedef v128_t vec;

#define load wasm_v128_load
#define store wasm_v128_store
#define splat wasm_f32x4_splat
#define load_splat wasm_v128_load32_splat
#define add wasm_f32x4_add
#define sub wasm_f32x4_sub
#define mul wasm_f32x4_mul
#define ZERO wasm_f32x4_const_splat(0)

/**
 * Keeps what is computed before it and after it in that order. The compiler would put off what nobody waits for, and
 * keep more values alive than there are registers.
 */
#define IN_ORDER2(a, b) __asm__ volatile("" : "+r"(a), "+r"(b) : : "memory")
#define IN_ORDER4(a, b, c, d) __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d) : : "memory")

#ifdef RELAXED
#define madd(a, b, c) wasm_f32x4_relaxed_madd(a, b, c)
#define nmadd(a, b, c) wasm_f32x4_relaxed_nmadd(a, b, c)
#else
#define madd(a, b, c) add(mul(a, b), c)
#define nmadd(a, b, c) sub(c, mul(a, b))
#endif

/** 0 where a < 0, else a, also where it is NaN. f32x4.max() would take eight instructions of a processor. */
static inline vec relu4(vec a) { return wasm_f32x4_pmax(a, ZERO); }

static inline float relu1(float a) { return a < 0 ? 0 : a; }

static inline int min_int(int a, int b) { return a < b ? a : b; }
static inline int max_int(int a, int b) { return a > b ? a : b; }

/** Where part `task` of `tasks` begins when `count` things are shared out. */
static inline int part_start(int count, int task, int tasks) {
  return (int)((long long)count * task / tasks);
}

static inline void copy_floats(float *to, const float *from, int count) {
  int i = 0;
  for (; i + 4 <= count; i += 4) store(to + i, load(from + i));
  for (; i < count; i++) to[i] = from[i];
}

static inline void clear_floats(float *to, int count) {
  int i = 0;
  for (; i + 4 <= count; i += 4) store(to + i, ZERO);
  for (; i < count; i++) to[i] = 0;
}

static inline void add_floats(float *to, const float *from, int count) {
  int i = 0;
  for (; i + 4 <= count; i += 4) store(to + i, add(load(to + i), load(from + i)));
  for (; i < count; i++) to[i] += from[i];
}
