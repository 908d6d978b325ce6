/* Planes of an image, resampled and sharpened with AVX2; a part of limit.c. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ONE 16384 /* a weight of 1, in 14 bits */
#define PAD 64    /* readable bytes after every row: vectors read past its end */

typedef struct {
    uint8_t *rows;
    int width, height, stride;
    double scale_x, scale_y;   /* plane pixels for one pixel of the image */
    double origin_x, origin_y; /* of the decoded part, in plane pixels */
} Plane;

enum Slot { DECODED = 0, RESIZED = 3, SHARPENED = 6, WEIGHTS_Y = 9, WEIGHTS_X, ROW, SLOTS };

static __thread struct { uint8_t *bytes; size_t size; } memory[SLOTS];

/* Return memory that stays until this thread asks for the slot again. */
static uint8_t *scratch(int slot, size_t size) {
    if (memory[slot].size < size) {
        size_t rounded = (size + 4095) & ~(size_t)4095;
        free(memory[slot].bytes);
        memory[slot].bytes = aligned_alloc(64, rounded);
        memset(memory[slot].bytes, 0, rounded);
        memory[slot].size = rounded;
    }
    return memory[slot].bytes;
}

static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

typedef struct {
    int taps;      /* for one pixel, a multiple of 16 */
    int *first;    /* first source pixel of each */
    int16_t *tap;  /* `taps` weights of each */
} Weights;

/* Weights that bring [from, to) of `source` pixels to `target` ones. */
static Weights weights(int slot, int source, double from, double to, int target) {
    double step = (to - from) / target, widen = step < 1 ? 1 : step, support = 2 * widen;
    int taps = ((int)ceil(support) * 2 + 1 + 15) & ~15;
    size_t firsts = ((size_t)target * sizeof(int) + 63) & ~(size_t)63;
    uint8_t *place = scratch(slot, firsts + (size_t)target * taps * 2 + 64);
    Weights made = {taps, (int *)place, (int16_t *)(place + firsts)};
    double exact[1024];
    for (int i = 0; i < target; i++) {
        double centre = from + (i + 0.5) * step, total = 0;
        int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
        if (low < 0) low = 0;
        if (high > source) high = source;
        for (int j = 0; j < high - low; j++)
            total += exact[j] = bicubic((low + j - centre + 0.5) / widen);
        int16_t *tap = made.tap + (size_t)i * taps;
        int sum = 0, largest = 0;
        memset(tap, 0, (size_t)taps * 2);
        for (int j = 0; j < high - low; j++) {
            tap[j] = (int16_t)lrint(exact[j] / total * ONE);
            sum += tap[j];
            if (tap[j] > tap[largest]) largest = j;
        }
        tap[largest] += ONE - sum;
        made.first[i] = low;
    }
    return made;
}

/* Sum up weighted rows to one: 32 columns at a time, two rows in each multiplication. */
static void mix_rows(const uint8_t *rows, int stride, const int16_t *tap, int taps, uint8_t *out,
                     int width) {
    const __m256i zero = _mm256_setzero_si256();
    while (taps > 0 && !tap[taps - 1]) taps--;
    for (int x = 0; x < width; x += 32) {
        __m256i sum[4];
        for (int k = 0; k < 4; k++) sum[k] = _mm256_set1_epi32(ONE / 2);
        for (int j = 0; j < taps; j += 2) {
            int has_second = j + 1 < taps;
            const uint8_t *at = rows + (size_t)j * stride + x;
            __m256i a = _mm256_loadu_si256((const __m256i *)at);
            __m256i b = has_second ? _mm256_loadu_si256((const __m256i *)(at + stride)) : zero;
            uint32_t pair = (uint16_t)tap[j] | (uint32_t)(uint16_t)(has_second ? tap[j + 1] : 0) << 16;
            __m256i weight = _mm256_set1_epi32((int)pair);
            __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
            __m256i part[4] = {
                _mm256_unpacklo_epi8(low, zero), _mm256_unpackhi_epi8(low, zero),
                _mm256_unpacklo_epi8(high, zero), _mm256_unpackhi_epi8(high, zero)};
            for (int k = 0; k < 4; k++)
                sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(part[k], weight));
        }
        for (int k = 0; k < 4; k++) sum[k] = _mm256_srai_epi32(sum[k], 14);
        __m256i left = _mm256_packs_epi32(sum[0], sum[1]), right = _mm256_packs_epi32(sum[2], sum[3]);
        _mm256_storeu_si256((__m256i *)(out + x), _mm256_packus_epi16(left, right));
    }
}

/* Return four partial sums of one pixel's weighted neighbours in a row. */
static inline __m128i mix_columns(const uint8_t *row, const int16_t *tap, int taps) {
    __m256i sum = _mm256_setzero_si256();
    for (int j = 0; j < taps; j += 16) {
        __m256i pixels = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(row + j)));
        __m256i weight = _mm256_loadu_si256((const __m256i *)(tap + j));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pixels, weight));
    }
    return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
}

/* Bring [left, right) x [top, bottom) of a plane to `to`, mirrored or not; widths are even. */
static void resize(const Plane *from, const double box[4], Plane *to, int mirrored) {
    Weights down = weights(WEIGHTS_Y, from->height, box[1], box[3], to->height);
    Weights across = weights(WEIGHTS_X, from->width, box[0], box[2], to->width);
    int begin = across.first[0], end = across.first[to->width - 1] + across.taps;
    if (end > from->width) end = from->width;
    int width = (end - begin + 31) & ~31;
    uint8_t *row = scratch(ROW, (size_t)width + 2 * PAD);
    const __m128i half = _mm_set1_epi32(ONE / 2);
    for (int y = 0; y < to->height; y++) {
        const uint8_t *rows = from->rows + (size_t)down.first[y] * from->stride + begin;
        mix_rows(rows, from->stride, down.tap + (size_t)y * down.taps, down.taps, row, width);
        uint8_t *out = to->rows + (size_t)y * to->stride;
        for (int x = 0; x < to->width; x += 4) {
            __m128i part[4];
            for (int k = 0; k < 4; k++) {
                int i = x + k < to->width ? x + k : to->width - 1;
                const int16_t *tap = across.tap + (size_t)i * across.taps;
                part[k] = mix_columns(row + across.first[i] - begin, tap, across.taps);
            }
            __m128i sums =
                _mm_hadd_epi32(_mm_hadd_epi32(part[0], part[1]), _mm_hadd_epi32(part[2], part[3]));
            sums = _mm_srai_epi32(_mm_add_epi32(sums, half), 14);
            sums = _mm_packus_epi16(_mm_packs_epi32(sums, sums), sums);
            uint32_t four = (uint32_t)_mm_cvtsi128_si32(sums);
            if (mirrored) four = __builtin_bswap32(four);
            memcpy(out + (mirrored ? to->width - 4 - x : x), &four, 4);
        }
    }
}

/* Sharpen by the kernel of Pillow's SHARPEN: 32 amid eight -2, over 16; the border stays. */
static void sharpen(const Plane *from, Plane *to) {
    size_t stride = (size_t)from->stride, last = (size_t)from->width - 1;
    memcpy(to->rows, from->rows, stride);
    memcpy(to->rows + (from->height - 1) * stride, from->rows + (from->height - 1) * stride, stride);
    for (int y = 1; y < from->height - 1; y++) {
        const uint8_t *a = from->rows + (y - 1) * stride, *b = a + stride, *c = b + stride;
        uint8_t *out = to->rows + y * stride;
        out[0] = b[0];
        out[last] = b[last];
        for (size_t x = 1; x < last; x++) {
            int around = a[x - 1] + a[x] + a[x + 1] + b[x - 1] + b[x + 1] + c[x - 1] + c[x] + c[x + 1];
            int value = (b[x] * 16 - around + 4) >> 3;
            out[x] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}
