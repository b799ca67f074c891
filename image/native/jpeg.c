// Decodes the JPEG files that nearly all are: 8 bits, gray or YCbCr in 4:4:4, 4:2:2 or 4:2:0, baseline in one scan or
// progressive.
// Whatever else a file is, or is wrong with it, the answer is 0 and another decoder has to look at it.
//
// The pixels are those of libjpeg-turbo by default: the accurate integer DCT and triangle-filtered chroma.

#include <stdbool.h>
#include <stdint.h>
#include <wasm_simd128.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define WIDEST 65535
// Bits of a Huffman code that are looked up at once.
#define LOOK 9

static const u8 ZIGZAG[64] = {
  0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

typedef struct {
  bool there;
  // As the file says them: how many codes have 1 to 16 bits, and their symbols.
  u8 counts[16];
  u8 symbols[256];
  // By the next bits: length of the code << 8 | symbol; 0 where the code is longer or none.
  u16 look[1 << LOOK];
  // By the next bits, where they hold a whole coefficient of AC: value << 16 | zeros before it << 8 | bits; else 0.
  int32_t whole[1 << LOOK];
  // By the code's length: what to add to a code for the place of its symbol, and the first code that is longer.
  int32_t offset[17];
  u32 end[17];
} Huffman;

static Huffman huffman[2][4];

typedef struct {
  u8 id, h, v, quant, dc, ac;
  int32_t predicted;
  // A plane of whole MCUs, and how much of it the picture has.
  u8 *plane;
  int stride, width, height;
  // Of a progressive file, the plane's blocks, and how many low bits of each coefficient are still to come (-1: all).
  int16_t *blocks;
  int8_t missing[64];
} Component;

typedef struct {
  int width, height, count, maxH, maxV, mcusAcross, mcusDown, interval;
  bool progressive;
  Component components[3];
} Frame;

static int16_t quants[4][64];
static bool quantThere[4];

static bool sameBytes(const u8 *a, const u8 *b, int length) {
  for (int i = 0; i < length; i++) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

static bool makeHuffman(Huffman *table, bool ac, const u8 *counts, const u8 *symbols, int total) {
  // Most encoders write the same tables into every file.
  if (table->there && sameBytes(table->counts, counts, 16) && sameBytes(table->symbols, symbols, total)) return true;
  table->there = false;
  __builtin_memset(table->look, 0, sizeof table->look);
  __builtin_memset(table->whole, 0, sizeof table->whole);
  u32 code = 0;
  int place = 0;
  for (int length = 1; length <= 16; length++) {
    table->counts[length - 1] = counts[length - 1];
    table->offset[length] = place - (int32_t)code;
    for (int n = 0; n < counts[length - 1]; n++, code++, place++) {
      if (code >= (1u << length)) return false;
      u8 symbol = table->symbols[place] = symbols[place];
      if (!ac && symbol > 15) return false;
      if (length > LOOK) continue;
      u32 first = code << (LOOK - length), many = 1u << (LOOK - length);
      for (u32 i = first; i < first + many; i++) table->look[i] = (u16)(length << 8 | symbol);
      int bits = symbol & 15;
      if (!ac || bits == 0 || length + bits > LOOK) continue;
      for (u32 i = first; i < first + many; i++) {
        int32_t value = (int32_t)(i >> (LOOK - length - bits) & ((1u << bits) - 1));
        if (value < 1 << (bits - 1)) value += 1 - (1 << bits);
        table->whole[i] = (int32_t)((u32)value << 16 | (u32)(symbol >> 4) << 8 | (u32)(length + bits));
      }
    }
    // Of 16 bits, the next ones at and above which a code is longer.
    table->end[length] = code << (16 - length);
    code <<= 1;
  }
  return table->there = true;
}

// The scan's bits, from the top of `bits` on.
typedef struct {
  const u8 *at;
  u64 bits;
  // How many are in `bits`, and how many of them were made up at a marker.
  int count, made;
} Reader;

static inline void refill(Reader *reader) {
  if (reader->count > 32) return;
  u32 word;
  __builtin_memcpy(&word, reader->at, 4);
  if (((~word - 0x01010101u) & word & 0x80808080u) == 0) {
    reader->bits |= (u64)__builtin_bswap32(word) << (32 - reader->count);
    reader->count += 32;
    reader->at += 4;
    return;
  }
  // Somewhere in it is 0xff: an escaped byte or a marker.
  while (reader->count <= 56) {
    u8 byte = *reader->at;
    if (byte == 0xff && reader->at[1] != 0) {
      byte = 0;
      reader->made += 8;
    } else {
      reader->at += byte == 0xff ? 2 : 1;
    }
    reader->bits |= (u64)byte << (56 - reader->count);
    reader->count += 8;
  }
}

static inline void drop(Reader *reader, int count) {
  reader->bits <<= count;
  reader->count -= count;
}

// The next symbol; -1: no such code. At least 32 bits are there before, 16 after.
static inline int symbolOf(Reader *reader, const Huffman *table) {
  u16 look = table->look[reader->bits >> (64 - LOOK)];
  if (look != 0) {
    drop(reader, look >> 8);
    return look & 255;
  }
  u32 next = (u32)(reader->bits >> 48);
  for (int length = LOOK + 1; length <= 16; length++) {
    if (next >= table->end[length]) continue;
    drop(reader, length);
    return table->symbols[(next >> (16 - length)) + (u32)table->offset[length] & 255];
  }
  return -1;
}

// The next `count` bits, 1 to 16, as a coefficient.
static inline int32_t valueOf(Reader *reader, int count) {
  int32_t value = (int32_t)(reader->bits >> (64 - count));
  drop(reader, count);
  return value < 1 << (count - 1) ? value + 1 - (1 << count) : value;
}

// Reads a block's coefficients, in rows; says the last one's place in zigzag order, -1 where the data is damaged.
static inline int readBlock(Reader *reader, Component *component, int16_t block[64]) {
  refill(reader);
  int bits = symbolOf(reader, &huffman[0][component->dc]);
  if (bits < 0) return -1;
  if (bits > 0) component->predicted += valueOf(reader, bits);
  block[0] = (int16_t)component->predicted;
  const Huffman *table = &huffman[1][component->ac];
  int last = 0;
  for (int k = 1; k < 64; k++) {
    refill(reader);
    int32_t whole = table->whole[reader->bits >> (64 - LOOK)];
    if (whole != 0) {
      k += whole >> 8 & 15;
      if (k > 63) return -1;
      drop(reader, whole & 255);
      block[ZIGZAG[last = k]] = (int16_t)(whole >> 16);
      continue;
    }
    int symbol = symbolOf(reader, table);
    if (symbol < 0) return -1;
    int size = symbol & 15;
    if (size == 0) {
      if (symbol == 0) break;
      if (symbol != 0xf0) return -1;
      k += 15;
      continue;
    }
    k += symbol >> 4;
    if (k > 63) return -1;
    block[ZIGZAG[last = k]] = (int16_t)valueOf(reader, size);
  }
  return last;
}

static inline v128_t pairs(int a, int b) {
  return wasm_i32x4_splat((int32_t)((u32)(u16)b << 16 | (u16)a));
}
static inline v128_t low(v128_t a, v128_t b) {
  return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
static inline v128_t high(v128_t a, v128_t b) {
  return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
static inline v128_t descaled(v128_t x, int shift) {
  return wasm_i32x4_shr(wasm_i32x4_add(x, wasm_i32x4_splat(1 << (shift - 1))), (u32)shift);
}

// One half (four columns) of a pass: sums and differences of the even and odd parts.
#define HALF(part)                                                                                                    \
  v128_t z26##part = part(in[2], in[6]), z04##part = wasm_i32x4_shl(EXTEND_##part(wasm_i16x8_add(in[0], in[4])), 13); \
  v128_t d04##part = wasm_i32x4_shl(EXTEND_##part(wasm_i16x8_sub(in[0], in[4])), 13);                                 \
  v128_t e2##part = wasm_i32x4_dot_i16x8(z26##part, pairs(4433, -10704));                                             \
  v128_t e3##part = wasm_i32x4_dot_i16x8(z26##part, pairs(10703, 4433));                                              \
  v128_t e10##part = wasm_i32x4_add(z04##part, e3##part), e13##part = wasm_i32x4_sub(z04##part, e3##part);            \
  v128_t e11##part = wasm_i32x4_add(d04##part, e2##part), e12##part = wasm_i32x4_sub(d04##part, e2##part);            \
  v128_t z34##part = part(z3, z4), o71##part = part(in[7], in[1]), o53##part = part(in[5], in[3]);                    \
  v128_t s3##part = wasm_i32x4_dot_i16x8(z34##part, pairs(-6436, 9633));                                              \
  v128_t s4##part = wasm_i32x4_dot_i16x8(z34##part, pairs(9633, 6437));                                               \
  v128_t t0##part = wasm_i32x4_add(wasm_i32x4_dot_i16x8(o71##part, pairs(-4927, -7373)), s3##part);                   \
  v128_t t1##part = wasm_i32x4_add(wasm_i32x4_dot_i16x8(o53##part, pairs(-4176, -20995)), s4##part);                  \
  v128_t t2##part = wasm_i32x4_add(wasm_i32x4_dot_i16x8(o53##part, pairs(-20995, 4177)), s3##part);                   \
  v128_t t3##part = wasm_i32x4_add(wasm_i32x4_dot_i16x8(o71##part, pairs(-7373, 4926)), s4##part);

#define EXTEND_low wasm_i32x4_extend_low_i16x8
#define EXTEND_high wasm_i32x4_extend_high_i16x8

#define OUT(k, operation, even, odd)                                                                \
  in[k] = wasm_i16x8_narrow_i32x4(descaled(wasm_i32x4_##operation(even##low, odd##low), shift), \
                                  descaled(wasm_i32x4_##operation(even##high, odd##high), shift))

// The eight-point inverse DCT of each column: Loeffler, Ligtenberg and Moschytz with 12 multiplications, 13 bits.
static inline void pass(v128_t in[8], int shift) {
  v128_t z3 = wasm_i16x8_add(in[7], in[3]), z4 = wasm_i16x8_add(in[5], in[1]);
  HALF(low)
  HALF(high)
  OUT(0, add, e10, t3);
  OUT(7, sub, e10, t3);
  OUT(1, add, e11, t2);
  OUT(6, sub, e11, t2);
  OUT(2, add, e12, t1);
  OUT(5, sub, e12, t1);
  OUT(3, add, e13, t0);
  OUT(4, sub, e13, t0);
}

static inline void transpose(v128_t m[8]) {
  v128_t a0 = low(m[0], m[4]), a1 = high(m[0], m[4]), a2 = low(m[1], m[5]), a3 = high(m[1], m[5]);
  v128_t a4 = low(m[2], m[6]), a5 = high(m[2], m[6]), a6 = low(m[3], m[7]), a7 = high(m[3], m[7]);
  v128_t b0 = low(a0, a4), b1 = high(a0, a4), b2 = low(a1, a5), b3 = high(a1, a5);
  v128_t b4 = low(a2, a6), b5 = high(a2, a6), b6 = low(a3, a7), b7 = high(a3, a7);
  m[0] = low(b0, b4), m[1] = high(b0, b4), m[2] = low(b1, b5), m[3] = high(b1, b5);
  m[4] = low(b2, b6), m[5] = high(b2, b6), m[6] = low(b3, b7), m[7] = high(b3, b7);
}

static inline void inverseDct(const int16_t block[64], const int16_t quant[64], u8 *to, int stride) {
  v128_t rows[8];
  for (int i = 0; i < 8; i++) {
    rows[i] = wasm_i16x8_mul(wasm_v128_load(block + 8 * i), wasm_v128_load(quant + 8 * i));
  }
  pass(rows, 11);
  transpose(rows);
  pass(rows, 18);
  transpose(rows);
  for (int i = 0; i < 8; i += 2) {
    v128_t two = wasm_v128_xor(wasm_i8x16_narrow_i16x8(rows[i], rows[i + 1]), wasm_i8x16_splat(-128));
    wasm_v128_store64_lane(to + i * stride, two, 0);
    wasm_v128_store64_lane(to + (i + 1) * stride, two, 1);
  }
}

// A block without waves is of one colour.
static inline void fillBlock(int value, u8 *to, int stride) {
  value = (((int16_t)value * 4 + 16) >> 5) + 128;
  v128_t all = wasm_i8x16_splat((int8_t)(value < 0 ? 0 : value > 255 ? 255 : value));
  for (int i = 0; i < 8; i++) wasm_v128_store64_lane(to + i * stride, all, 0);
}

// Whether the scan came to its end: what follows is a marker, and no bit is left over or was made up.
static bool ended(const Reader *reader) {
  int left = reader->count - reader->made;
  return left >= 0 && left < 8 && reader->at[0] == 0xff;
}

// Goes past a restart marker, the `number`-th of the scan, where everything begins anew.
static bool restarted(Reader *reader, int number, Component *components, int count) {
  if (!ended(reader) || reader->at[1] != 0xd0 + (number & 7)) return false;
  *reader = (Reader){.at = reader->at + 2};
  for (int c = 0; c < count; c++) components[c].predicted = 0;
  return true;
}

static bool readBaseline(const u8 *at, Frame *frame) {
  static int16_t block[64] __attribute__((aligned(16)));
  __builtin_memset(block, 0, sizeof block);
  Reader reader = {.at = at};
  for (int mcu = 0; mcu < frame->mcusAcross * frame->mcusDown; mcu++) {
    if (frame->interval > 0 && mcu > 0 && mcu % frame->interval == 0) {
      if (!restarted(&reader, mcu / frame->interval - 1, frame->components, frame->count)) return false;
    }
    int my = mcu / frame->mcusAcross, mx = mcu % frame->mcusAcross;
    for (int c = 0; c < frame->count; c++) {
      Component *component = &frame->components[c];
      const int16_t *quant = quants[component->quant];
      for (int y = 0; y < component->v; y++) {
        for (int x = 0; x < component->h; x++) {
          int last = readBlock(&reader, component, block);
          if (last < 0) return false;
          u8 *to = component->plane + (my * component->v + y) * 8 * component->stride + (mx * component->h + x) * 8;
          if (last == 0) {
            fillBlock(block[0] * quant[0], to, component->stride);
            block[0] = 0;
          } else {
            inverseDct(block, quant, to, component->stride);
            for (int i = 0; i < 64; i += 8) wasm_v128_store(block + i, wasm_i16x8_splat(0));
          }
        }
      }
    }
    if (reader.count < reader.made) return false;
  }
  return ended(&reader) && reader.at[1] == 0xd9;
}

// What a progressive scan brings: the coefficients `from` to `to`, down to the bit `bit`; `refines`: that bit alone.
typedef struct {
  int from, to, bit;
  bool refines;
  // How many blocks more have nothing.
  u32 empty;
} Band;

static inline u32 bitsOf(Reader *reader, int count) {
  refill(reader);
  u32 bits = (u32)(reader->bits >> 32 >> (32 - count));
  drop(reader, count);
  return bits;
}

static bool readDc(Reader *reader, Component *component, const Band *band, int16_t *block) {
  if (band->refines) {
    if (bitsOf(reader, 1)) block[0] |= (int16_t)(1 << band->bit);
    return true;
  }
  refill(reader);
  int bits = symbolOf(reader, &huffman[0][component->dc]);
  if (bits < 0) return false;
  if (bits > 0) component->predicted += valueOf(reader, bits);
  block[0] = (int16_t)((u32)component->predicted << band->bit);
  return true;
}

static bool readAc(Reader *reader, const Huffman *table, Band *band, int16_t *block) {
  if (band->empty > 0) {
    band->empty--;
    return true;
  }
  for (int k = band->from; k <= band->to; k++) {
    refill(reader);
    int symbol = symbolOf(reader, table);
    if (symbol < 0) return false;
    int zeros = symbol >> 4, bits = symbol & 15;
    if (bits == 0 && zeros < 15) {
      band->empty = (1u << zeros) - 1 + (zeros > 0 ? bitsOf(reader, zeros) : 0);
      return true;
    }
    k += zeros;
    if (bits == 0) continue;
    if (k > band->to) return false;
    block[ZIGZAG[k]] = (int16_t)((u32)valueOf(reader, bits) << band->bit);
  }
  return true;
}

// One more bit for a coefficient that is not zero.
static inline void refine(Reader *reader, const Band *band, int16_t *value) {
  if (bitsOf(reader, 1) && (*value & 1 << band->bit) == 0) *value += (int16_t)(*value > 0 ? 1 << band->bit : -(1 << band->bit));
}

static bool refineAc(Reader *reader, const Huffman *table, Band *band, int16_t *block) {
  int k = band->from;
  for (; band->empty == 0 && k <= band->to; k++) {
    refill(reader);
    int symbol = symbolOf(reader, table);
    if (symbol < 0) return false;
    int zeros = symbol >> 4, value = 0;
    if ((symbol & 15) > 1) return false;
    if ((symbol & 15) == 1) {
      value = bitsOf(reader, 1) ? 1 << band->bit : -(1 << band->bit);
    } else if (zeros < 15) {
      band->empty = (1u << zeros) + (zeros > 0 ? bitsOf(reader, zeros) : 0);
      break;
    }
    for (; k <= band->to; k++) {
      int16_t *at = &block[ZIGZAG[k]];
      if (*at != 0) refine(reader, band, at);
      else if (zeros-- == 0) break;
    }
    if (value == 0) continue;
    if (k > band->to) return false;
    block[ZIGZAG[k]] = (int16_t)value;
  }
  if (band->empty == 0) return true;
  for (; k <= band->to; k++) {
    if (block[ZIGZAG[k]] != 0) refine(reader, band, &block[ZIGZAG[k]]);
  }
  band->empty--;
  return true;
}

static inline int16_t *blockAt(const Component *component, int y, int x) {
  return component->blocks + (y * (component->stride / 8) + x) * 64;
}

// Reads a scan of some of the components; says where it ends, null where the data is damaged.
static const u8 *readProgressive(const u8 *at, const Frame *frame, Component **components, int count, Band band) {
  for (int c = 0; c < count; c++) {
    components[c]->predicted = 0;
    for (int k = band.from; k <= band.to; k++) {
      if (components[c]->missing[k] != (band.refines ? band.bit + 1 : -1)) return 0;
      components[c]->missing[k] = (int8_t)band.bit;
    }
  }
  // A scan of one component has no MCUs, and the picture's blocks alone.
  Component *single = count == 1 ? components[0] : 0;
  int across = single ? (single->width + 7) / 8 : frame->mcusAcross;
  int down = single ? (single->height + 7) / 8 : frame->mcusDown;
  Reader reader = {.at = at};
  for (int i = 0; i < across * down; i++) {
    if (frame->interval > 0 && i > 0 && i % frame->interval == 0) {
      if (band.empty > 0 || !restarted(&reader, i / frame->interval - 1, components[0], 1)) return 0;
      for (int c = 1; c < count; c++) components[c]->predicted = 0;
    }
    int my = i / across, mx = i % across;
    if (band.from > 0) {
      const Huffman *table = &huffman[1][single->ac];
      int16_t *block = blockAt(single, my, mx);
      if (!(band.refines ? refineAc : readAc)(&reader, table, &band, block)) return 0;
    } else if (single) {
      if (!readDc(&reader, single, &band, blockAt(single, my, mx))) return 0;
    } else {
      for (int c = 0; c < count; c++) {
        Component *component = components[c];
        for (int y = 0; y < component->v; y++) {
          for (int x = 0; x < component->h; x++) {
            int16_t *block = blockAt(component, my * component->v + y, mx * component->h + x);
            if (!readDc(&reader, component, &band, block)) return 0;
          }
        }
      }
    }
    if (reader.count < reader.made) return 0;
  }
  return ended(&reader) && band.empty == 0 ? reader.at : 0;
}

// The planes of what the progressive scans brought, if they brought all.
static bool makePlanes(Frame *frame) {
  for (int c = 0; c < frame->count; c++) {
    Component *component = &frame->components[c];
    for (int k = 0; k < 64; k++) {
      if (component->missing[k] != 0) return false;
    }
    for (int y = 0; y < (component->height + 7) / 8; y++) {
      for (int x = 0; x < (component->width + 7) / 8; x++) {
        inverseDct(blockAt(component, y, x), quants[component->quant], component->plane + y * 8 * component->stride + x * 8,
                   component->stride);
      }
    }
  }
  return true;
}

// A row of a chroma plane at the picture's width, its zero at 0.
static void widen(const Component *component, int row, int maxH, int maxV, int16_t *to) {
  static int16_t sums[WIDEST + 64];
  const v128_t zero = wasm_i16x8_splat(128);
  const int width = component->width, stride = component->stride;
  if (maxH == 1) {
    const u8 *from = component->plane + row * stride;
    for (int i = 0; i < width; i += 8) wasm_v128_store(to + i, wasm_i16x8_sub(wasm_u16x8_load8x8(from + i), zero));
    return;
  }
  int16_t *sum = sums + 8;
  int shift = 2, even = 1, odd = 2;
  if (maxV == 1) {
    const u8 *from = component->plane + row * stride;
    for (int i = 0; i < width; i += 8) wasm_v128_store(sum + i, wasm_u16x8_load8x8(from + i));
  } else {
    shift = 4, even = 8, odd = 7;
    int near = row >> 1, far = row & 1 ? near + 1 : near - 1;
    if (far < 0) far = 0;
    if (far >= component->height) far = component->height - 1;
    const u8 *a = component->plane + near * stride, *b = component->plane + far * stride;
    for (int i = 0; i < width; i += 8) {
      v128_t three = wasm_i16x8_mul(wasm_u16x8_load8x8(a + i), wasm_i16x8_splat(3));
      wasm_v128_store(sum + i, wasm_i16x8_add(three, wasm_u16x8_load8x8(b + i)));
    }
  }
  sum[-1] = sum[0];
  sum[width] = sum[width - 1];
  for (int i = 0; i < width; i += 8) {
    v128_t three = wasm_i16x8_mul(wasm_v128_load(sum + i), wasm_i16x8_splat(3));
    v128_t left = wasm_i16x8_add(wasm_i16x8_add(three, wasm_v128_load(sum + i - 1)), wasm_i16x8_splat((int16_t)even));
    v128_t right = wasm_i16x8_add(wasm_i16x8_add(three, wasm_v128_load(sum + i + 1)), wasm_i16x8_splat((int16_t)odd));
    left = wasm_i16x8_sub(wasm_u16x8_shr(left, (u32)shift), zero);
    right = wasm_i16x8_sub(wasm_u16x8_shr(right, (u32)shift), zero);
    wasm_v128_store(to + 2 * i, low(left, right));
    wasm_v128_store(to + 2 * i + 8, high(left, right));
  }
}

typedef struct {
  v128_t red, green, blue;
} Colours;

// (a * cb + b * cr + 32768) >> 16 of eight pixels.
static inline v128_t mixed(v128_t lower, v128_t upper, int a, int b) {
  return wasm_i16x8_narrow_i32x4(descaled(wasm_i32x4_dot_i16x8(lower, pairs(a, b)), 16),
                                 descaled(wasm_i32x4_dot_i16x8(upper, pairs(a, b)), 16));
}

// Eight pixels by JFIF's 1.402, 0.34414, 0.71414 and 1.772 in 16 bits; what is over a half is taken off as a whole.
static inline Colours coloursOf(v128_t luma, v128_t cb, v128_t cr) {
  v128_t lower = low(cb, cr), upper = high(cb, cr);
  return (Colours){
    .red = wasm_i16x8_add(luma, wasm_i16x8_add(cr, mixed(lower, upper, 0, 26345))),
    .green = wasm_i16x8_add(luma, wasm_i16x8_sub(mixed(lower, upper, -22554, 18734), cr)),
    .blue = wasm_i16x8_add(luma, wasm_i16x8_add(wasm_i16x8_add(cb, cb), mixed(lower, upper, -14942, 0))),
  };
}

// Writes up to 15 pixels more than the row has.
static void colourRow(const u8 *luma, const int16_t *cb, const int16_t *cr, u8 *to, int width) {
  for (int x = 0; x < width; x += 16, to += 48) {
    v128_t y = wasm_v128_load(luma + x);
    Colours a = coloursOf(wasm_u16x8_extend_low_u8x16(y), wasm_v128_load(cb + x), wasm_v128_load(cr + x));
    Colours b = coloursOf(wasm_u16x8_extend_high_u8x16(y), wasm_v128_load(cb + x + 8), wasm_v128_load(cr + x + 8));
    v128_t red = wasm_u8x16_narrow_i16x8(a.red, b.red);
    v128_t green = wasm_u8x16_narrow_i16x8(a.green, b.green);
    v128_t blue = wasm_u8x16_narrow_i16x8(a.blue, b.blue);
    v128_t rg = wasm_i8x16_shuffle(red, green, 0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5);
    wasm_v128_store(to, wasm_i8x16_shuffle(rg, blue, 0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15));
    rg = wasm_i8x16_shuffle(red, green, 21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26);
    wasm_v128_store(to + 16, wasm_i8x16_shuffle(rg, blue, 0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15));
    rg = wasm_i8x16_shuffle(red, green, 0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0);
    wasm_v128_store(to + 32, wasm_i8x16_shuffle(rg, blue, 26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31));
  }
}

static inline int u16At(const u8 *at) {
  return at[0] << 8 | at[1];
}

static bool readQuants(const u8 *at, const u8 *end) {
  while (at < end) {
    // Tables of 16 bits a value belong to files of more than 8.
    if (end - at < 65 || at[0] > 3) return false;
    int16_t *quant = quants[at[0]];
    quantThere[at[0]] = true;
    for (int k = 0; k < 64; k++) quant[ZIGZAG[k]] = at[1 + k];
    at += 65;
  }
  return true;
}

static bool readHuffman(const u8 *at, const u8 *end, bool there[2][4]) {
  while (at < end) {
    if (end - at < 17 || (at[0] & ~0x13) != 0) return false;
    int kind = at[0] >> 4, slot = at[0] & 3, total = 0;
    for (int i = 1; i <= 16; i++) total += at[i];
    if (total > 256 || end - at < 17 + total) return false;
    if (!makeHuffman(&huffman[kind][slot], kind == 1, at + 1, at + 17, total)) return false;
    there[kind][slot] = true;
    at += 17 + total;
  }
  return true;
}

// Adobe's and JFIF's marks say what three components are; without them, their names do.
static bool isYcc(const Component *c, bool jfif, int adobe) {
  if (jfif) return true;
  if (adobe >= 0) return adobe == 1;
  return c[0].id == 1 && c[1].id == 2 && c[2].id == 3;
}

// A side of the picture in whole MCUs of any kind.
static inline u32 padded(int size) {
  return ((u32)size + 15) & ~15u;
}

// Reads a frame's header and lays its planes out.
static bool readFrame(Frame *frame, const u8 *body, int size, u8 *planes, int16_t *blocks) {
  if (frame->count > 0 || size < 6 || body[0] != 8) return false;
  if (u16At(body + 1) != frame->height || u16At(body + 3) != frame->width) return false;
  frame->count = body[5];
  if ((frame->count != 1 && frame->count != 3) || size != 6 + 3 * frame->count) return false;
  Component *all = frame->components;
  for (int c = 0; c < frame->count; c++) {
    const u8 *said = body + 6 + 3 * c;
    all[c] = (Component){.id = said[0], .h = said[1] >> 4, .v = said[1] & 15, .quant = said[2]};
    if (!(all[c].h - 1 < 4u && all[c].v - 1 < 4u && all[c].quant < 4)) return false;
  }
  // A single component is as large as the picture, whatever its factors say.
  if (frame->count == 1) all[0].h = all[0].v = 1;
  frame->maxH = all[0].h;
  frame->maxV = all[0].v;
  if (!((frame->maxH == 1 && frame->maxV == 1) || (frame->maxH == 2 && frame->maxV <= 2))) return false;
  frame->mcusAcross = (frame->width + 8 * frame->maxH - 1) / (8 * frame->maxH);
  frame->mcusDown = (frame->height + 8 * frame->maxV - 1) / (8 * frame->maxV);
  const u32 plane = padded(frame->width) * padded(frame->height);
  for (int c = 0; c < frame->count; c++) {
    Component *component = &all[c];
    if (c > 0 && (component->h != 1 || component->v != 1 || component->id == all[c - 1].id)) return false;
    component->plane = planes + (u32)c * plane;
    component->stride = frame->mcusAcross * 8 * component->h;
    component->width = (frame->width * component->h + frame->maxH - 1) / frame->maxH;
    component->height = (frame->height * component->v + frame->maxV - 1) / frame->maxV;
    if (!frame->progressive) continue;
    component->blocks = blocks + (u32)c * plane;
    __builtin_memset(component->blocks, 0, plane * 2);
    __builtin_memset(component->missing, -1, sizeof component->missing);
  }
  // libjpeg does not smooth what is as narrow as this.
  return frame->maxH == 1 || all[1].width > 2;
}

// Reads a scan's header and the scan; says where it ends, null where the file is of another kind or damaged.
static const u8 *readScan(const u8 *body, int size, Frame *frame, bool there[2][4]) {
  if (frame->count == 0 || size < 6 || size != 4 + 2 * body[0]) return 0;
  const int count = body[0];
  if (count > frame->count || (!frame->progressive && count != frame->count)) return 0;
  const u8 *spectrum = body + 1 + 2 * count;
  Band band = {spectrum[0], spectrum[1], spectrum[2] & 15, spectrum[2] >> 4 != 0, 0};
  if (!frame->progressive && (band.from != 0 || band.to != 63 || spectrum[2] != 0)) return 0;
  if (frame->progressive) {
    if (band.to > 63 || band.to < band.from || band.bit > 13 || (band.from == 0 && band.to > 0)) return 0;
    if ((band.from > 0 && count > 1) || (band.refines && spectrum[2] >> 4 != band.bit + 1)) return 0;
  }
  Component *components[3];
  int next = 0;
  for (int c = 0; c < count; c++) {
    const u8 *said = body + 1 + 2 * c;
    // Those of a scan come in the order of the frame.
    while (next < frame->count && frame->components[next].id != said[0]) next++;
    if (next == frame->count) return 0;
    Component *component = components[c] = &frame->components[next++];
    component->dc = said[1] >> 4;
    component->ac = said[1] & 15;
    if (component->dc > 3 || component->ac > 3 || !quantThere[component->quant]) return 0;
    bool usesDc = band.from == 0 && !band.refines, usesAc = band.to > 0;
    if ((usesDc && !there[0][component->dc]) || (usesAc && !there[1][component->ac])) return 0;
  }
  if (frame->progressive) return readProgressive(body + size, frame, components, count, band);
  return readBaseline(body + size, frame) ? body + size : 0;
}

/**
 * Decodes the file of `length` bytes at `file`, behind which 8 bytes more may be written, whose picture has
 * `width` x `height` pixels.
 *
 * `planes`: room for three planes of whole MCUs of 16x16 pixels and 64 bytes. `to`: room for 3 bytes a pixel and 48.
 * `blocks`: room for 2 bytes a pixel of the planes, or null.
 * Gives the picture's channels, 1 or 3; 0 where it was not decoded; -1 where `blocks` is null and has to be there.
 */
__attribute__((export_name("decode"))) int decode(u8 *file, u32 length, int width, int height, u8 *planes, u8 *to,
                                                  int16_t *blocks) {
  // Where the file breaks off, the reader comes upon an end mark.
  for (int i = 0; i < 8; i += 2) file[length + i] = 0xff, file[length + i + 1] = 0xd9;
  const u8 *at = file + 2, *end = file + length;
  Frame frame = {.width = width, .height = height};
  int adobe = -1;
  bool jfif = false, there[2][4] = {0}, scanned = false;
  __builtin_memset(quantThere, 0, sizeof quantThere);
  for (;;) {
    if (end - at < 2 || at[0] != 0xff) return 0;
    u8 marker = at[1];
    if (marker == 0xd9 && scanned) break;
    const u8 *body = at + 4;
    at += 2;
    if (end - at < 2) return 0;
    int size = u16At(at);
    if (size < 2 || size > end - at) return 0;
    at += size;
    size -= 2;
    if (marker == 0xdb) {
      // A table belongs to the scans from there on; that of a component must stay.
      if (scanned || !readQuants(body, at)) return 0;
    } else if (marker == 0xc4) {
      if (!readHuffman(body, at, there)) return 0;
    } else if (marker == 0xc0 || marker == 0xc1 || marker == 0xc2) {
      frame.progressive = marker == 0xc2;
      if (frame.progressive && !blocks) return -1;
      if (!readFrame(&frame, body, size, planes, blocks)) return 0;
    } else if (marker == 0xdd) {
      if (size != 2) return 0;
      frame.interval = u16At(body);
    } else if (marker == 0xe0) {
      if (size >= 14 && sameBytes(body, (const u8 *)"JFIF", 5)) jfif = true;
    } else if (marker == 0xee) {
      if (size >= 12 && sameBytes(body, (const u8 *)"Adobe", 5)) adobe = body[11];
    } else if (marker == 0xda) {
      at = readScan(body, size, &frame, there);
      if (!at) return 0;
      scanned = true;
      if (!frame.progressive) break;
    } else if ((marker < 0xe0 || marker > 0xef) && marker != 0xfe) {
      return 0;
    }
  }
  if (frame.count == 3 && !isYcc(frame.components, jfif, adobe)) return 0;
  if (frame.progressive && !makePlanes(&frame)) return 0;

  const Component *luma = &frame.components[0];
  static int16_t cb[WIDEST + 64], cr[WIDEST + 64];
  for (int row = 0; row < height; row++) {
    const u8 *from = luma->plane + row * luma->stride;
    if (frame.count == 1) {
      __builtin_memcpy(to + (u32)row * (u32)width, from, (u32)width);
      continue;
    }
    widen(&frame.components[1], row, frame.maxH, frame.maxV, cb);
    widen(&frame.components[2], row, frame.maxH, frame.maxV, cr);
    colourRow(from, cb, cr, to + (u32)row * (u32)width * 3, width);
  }
  return frame.count;
}
