/* The inner loops for x86-64 CPUs with AVX2; compiled for it function by function. */
#include "kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define LOAD(at) _mm256_loadu_si256((const __m256i *)(at))

/* Add two rows of 32 samples, each by its weight, to four sums of eight. */
AVX2 static inline void add_rows(__m256i a, __m256i b, int first, int second, __m256i sum[4]) {
    const __m256i zero = _mm256_setzero_si256();
    uint32_t both = (uint32_t)(first & 0xffff) | (uint32_t)(second & 0xffff) << 16;
    __m256i weight = _mm256_set1_epi32((int)both);
    __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
    __m256i parts[4] = {_mm256_unpacklo_epi8(low, zero), _mm256_unpackhi_epi8(low, zero),
                        _mm256_unpacklo_epi8(high, zero), _mm256_unpackhi_epi8(high, zero)};
    for (int k = 0; k < 4; k++)
        sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(parts[k], weight));
}

AVX2 static void mix_rows(const uint8_t *rows, size_t stride, const int16_t *taps, int count,
                          uint8_t *out, int width) {
    for (int x = 0; x < width; x += 32) {
        const uint8_t *at = rows + x;
        __m256i sum[4];
        for (int k = 0; k < 4; k++) sum[k] = _mm256_set1_epi32(WEIGHT_HALF);
        int j = 0;
        for (; j + 1 < count; j += 2, at += 2 * stride)
            add_rows(LOAD(at), LOAD(at + stride), taps[j], taps[j + 1], sum);
        if (j < count) add_rows(LOAD(at), _mm256_setzero_si256(), taps[j], 0, sum);
        for (int k = 0; k < 4; k++) sum[k] = _mm256_srai_epi32(sum[k], WEIGHT_BITS);
        __m256i left = _mm256_packs_epi32(sum[0], sum[1]);
        __m256i right = _mm256_packs_epi32(sum[2], sum[3]);
        _mm256_storeu_si256((__m256i *)(out + x), _mm256_packus_epi16(left, right));
    }
}

/* Return partial sums of target sample i in the low half, of i + 1 in the high half. */
AVX2 static inline __m256i weigh_two(const uint8_t *row, const Weights *weights, int i) {
    size_t length = (size_t)weights->length;
    const uint8_t *a = row + (weights->first[i] - weights->base);
    const uint8_t *b = row + (weights->first[i + 1] - weights->base);
    const int16_t *taps = weights->taps + (size_t)i * length;
    __m256i sum = _mm256_setzero_si256();
    for (size_t j = 0; j < length; j += 8) {
        __m128i low = _mm_loadl_epi64((const __m128i *)(a + j));
        __m128i high = _mm_loadl_epi64((const __m128i *)(b + j));
        __m256i samples = _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(low, high));
        __m256i weight = _mm256_loadu2_m128i((const __m128i *)(taps + length + j),
                                             (const __m128i *)(taps + j));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(samples, weight));
    }
    return sum;
}

AVX2 static void mix_columns(const uint8_t *row, const Weights *weights, uint8_t *out) {
    const __m128i half = _mm_set1_epi32(WEIGHT_HALF);
    for (int i = 0; i < weights->count; i += 8) {
        __m256i one = _mm256_hadd_epi32(weigh_two(row, weights, i), weigh_two(row, weights, i + 2));
        __m256i two =
            _mm256_hadd_epi32(weigh_two(row, weights, i + 4), weigh_two(row, weights, i + 6));
        __m256i sums = _mm256_hadd_epi32(one, two); /* 0 2 4 6 and 1 3 5 7 */
        __m128i even = _mm256_castsi256_si128(sums), odd = _mm256_extracti128_si256(sums, 1);
        __m128i low = _mm_add_epi32(_mm_unpacklo_epi32(even, odd), half);
        __m128i high = _mm_add_epi32(_mm_unpackhi_epi32(even, odd), half);
        __m128i words = _mm_packs_epi32(_mm_srai_epi32(low, WEIGHT_BITS),
                                        _mm_srai_epi32(high, WEIGHT_BITS));
        _mm_storel_epi64((__m128i *)(out + i), _mm_packus_epi16(words, words));
    }
}

/* Return 16 samples as words. */
AVX2 static inline __m256i words(const uint8_t *at) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)at));
}

/* Return the low bytes of 16 words, which are clamped. */
AVX2 static inline __m128i bytes(__m256i values) {
    __m256i packed = _mm256_packus_epi16(values, values);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}

AVX2 static inline __m256i three(const uint8_t *at) {
    return _mm256_add_epi16(_mm256_add_epi16(words(at - 1), words(at)), words(at + 1));
}

AVX2 static void sharpen_row(const uint8_t *above, const uint8_t *row, const uint8_t *below, int k,
                             uint8_t *out, int width) {
    const __m256i factor = _mm256_set1_epi16((short)(k + 9)), half = _mm256_set1_epi16((short)(k / 2));
    const __m128i bits = _mm_cvtsi32_si128(k == 8 ? 3 : 5);
    for (int x = 0; x < width; x += 16) {
        __m256i sum = _mm256_add_epi16(three(above + x), three(below + x));
        sum = _mm256_add_epi16(sum, three(row + x)); /* of nine: hence k + 9 instead of k + 8 */
        __m256i value = _mm256_sub_epi16(_mm256_mullo_epi16(words(row + x), factor), sum);
        value = _mm256_sra_epi16(_mm256_add_epi16(value, half), bits);
        _mm_storeu_si128((__m128i *)(out + x), bytes(value));
    }
}

/* Where each byte of a third of 16 triples comes from, by channel; -1 is zero. */
static const int8_t places[3][3][16] = {
    {{0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5},
     {-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1},
     {-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1}},
    {{-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1},
     {5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10},
     {-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1}},
    {{-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1},
     {-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1},
     {10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15}},
};

AVX2 static inline void store_triples(uint8_t *out, const __m128i channels[3]) {
    for (int part = 0; part < 3; part++) {
        __m128i joined = _mm_setzero_si128();
        for (int c = 0; c < 3; c++) {
            __m128i order = _mm_loadu_si128((const __m128i *)places[part][c]);
            joined = _mm_or_si128(joined, _mm_shuffle_epi8(channels[c], order));
        }
        _mm_storeu_si128((__m128i *)(out + 16 * part), joined);
    }
}

/* Convert 16 samples of each plane. */
AVX2 static inline void convert(const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                                __m128i channels[3]) {
    const __m256i middle = _mm256_set1_epi16(128), half = _mm256_set1_epi32(16384);
    const __m256i green = _mm256_set1_epi32((int)((uint32_t)(GREEN_FROM_CB & 0xffff) |
                                                  (uint32_t)(GREEN_FROM_CR & 0xffff) << 16));
    __m256i luma = words(y);
    __m256i b = _mm256_sub_epi16(words(cb), middle), r = _mm256_sub_epi16(words(cr), middle);
    __m256i red = _mm256_mulhrs_epi16(r, _mm256_set1_epi16(RED_FROM_CR));
    __m256i blue = _mm256_mulhrs_epi16(b, _mm256_set1_epi16(BLUE_FROM_CB));
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(b, r), green);
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(b, r), green);
    low = _mm256_srai_epi32(_mm256_add_epi32(low, half), 15);
    high = _mm256_srai_epi32(_mm256_add_epi32(high, half), 15);
    channels[0] = bytes(_mm256_add_epi16(luma, _mm256_add_epi16(r, red)));
    channels[1] = bytes(_mm256_add_epi16(luma, _mm256_packs_epi32(low, high)));
    channels[2] = bytes(_mm256_add_epi16(luma, _mm256_add_epi16(_mm256_add_epi16(b, b), blue)));
}

AVX2 static void rgb_row(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *out,
                         int width) {
    __m128i channels[3];
    int x = 0;
    for (; x + 16 <= width; x += 16) {
        convert(y + x, cb + x, cr + x, channels);
        store_triples(out + 3 * x, channels);
    }
    if (x < width) {
        uint8_t last[48];
        convert(y + x, cb + x, cr + x, channels);
        store_triples(last, channels);
        memcpy(out + 3 * x, last, (size_t)(width - x) * 3);
    }
}

const Vectors vectors_avx2 = {"avx2", mix_rows, mix_columns, sharpen_row, rgb_row};
#else
typedef int not_for_this_cpu;
#endif
