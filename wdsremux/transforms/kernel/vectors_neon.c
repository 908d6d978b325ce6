/* The inner loops for 64-bit ARM, all of which have NEON. */
#include "kernel.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

static void mix_rows(const uint8_t *rows, size_t stride, const int16_t *taps, int count,
                     uint8_t *out, int width) {
    for (int x = 0; x < width; x += 16) {
        int32x4_t sum[4];
        for (int k = 0; k < 4; k++) sum[k] = vdupq_n_s32(WEIGHT_HALF);
        for (int j = 0; j < count; j++) {
            uint8x16_t samples = vld1q_u8(rows + (size_t)j * stride + x);
            int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(samples)));
            int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(samples)));
            sum[0] = vmlal_n_s16(sum[0], vget_low_s16(low), taps[j]);
            sum[1] = vmlal_n_s16(sum[1], vget_high_s16(low), taps[j]);
            sum[2] = vmlal_n_s16(sum[2], vget_low_s16(high), taps[j]);
            sum[3] = vmlal_n_s16(sum[3], vget_high_s16(high), taps[j]);
        }
        int16x4_t words[4];
        for (int k = 0; k < 4; k++) words[k] = vqmovn_s32(vshrq_n_s32(sum[k], WEIGHT_BITS));
        vst1_u8(out + x, vqmovun_s16(vcombine_s16(words[0], words[1])));
        vst1_u8(out + x + 8, vqmovun_s16(vcombine_s16(words[2], words[3])));
    }
}

static void mix_columns(const uint8_t *row, const Weights *weights, uint8_t *out) {
    for (int i = 0; i < weights->count; i++) {
        const uint8_t *samples = row + (weights->first[i] - weights->base);
        const int16_t *taps = weights->taps + (size_t)i * (size_t)weights->length;
        int32x4_t sum = vdupq_n_s32(0);
        for (int j = 0; j < weights->length; j += 8) {
            int16x8_t eight = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(samples + j)));
            int16x8_t weight = vld1q_s16(taps + j);
            sum = vmlal_s16(sum, vget_low_s16(eight), vget_low_s16(weight));
            sum = vmlal_s16(sum, vget_high_s16(eight), vget_high_s16(weight));
        }
        int value = (vaddvq_s32(sum) + WEIGHT_HALF) >> WEIGHT_BITS;
        out[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/* Return 8 samples as words. */
static inline int16x8_t words(const uint8_t *at) {
    return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(at)));
}

static inline int16x8_t three(const uint8_t *at) {
    return vaddq_s16(vaddq_s16(words(at - 1), words(at)), words(at + 1));
}

static void sharpen_row(const uint8_t *above, const uint8_t *row, const uint8_t *below, int k,
                        uint8_t *out, int width) {
    const int16x8_t shift = vdupq_n_s16(k == 8 ? -3 : -5), half = vdupq_n_s16((int16_t)(k / 2));
    for (int x = 0; x < width; x += 8) {
        int16x8_t sum = vaddq_s16(vaddq_s16(three(above + x), three(below + x)), three(row + x));
        int16x8_t value = vsubq_s16(vmulq_n_s16(words(row + x), (int16_t)(k + 9)), sum);
        vst1_u8(out + x, vqmovun_s16(vshlq_s16(vaddq_s16(value, half), shift)));
    }
}

/* Convert 8 samples of each plane. */
static inline uint8x8x3_t convert(const uint8_t *y, const uint8_t *cb, const uint8_t *cr) {
    const int16x8_t middle = vdupq_n_s16(128);
    int16x8_t luma = words(y), b = vsubq_s16(words(cb), middle), r = vsubq_s16(words(cr), middle);
    int32x4_t low = vmull_n_s16(vget_low_s16(b), GREEN_FROM_CB);
    int32x4_t high = vmull_n_s16(vget_high_s16(b), GREEN_FROM_CB);
    low = vmlal_n_s16(low, vget_low_s16(r), GREEN_FROM_CR);
    high = vmlal_n_s16(high, vget_high_s16(r), GREEN_FROM_CR);
    int16x8_t green = vcombine_s16(vrshrn_n_s32(low, 15), vrshrn_n_s32(high, 15));
    int16x8_t red = vaddq_s16(r, vqrdmulhq_n_s16(r, RED_FROM_CR));
    int16x8_t blue = vaddq_s16(vaddq_s16(b, b), vqrdmulhq_n_s16(b, BLUE_FROM_CB));
    uint8x8x3_t made = {{vqmovun_s16(vaddq_s16(luma, red)), vqmovun_s16(vaddq_s16(luma, green)),
                         vqmovun_s16(vaddq_s16(luma, blue))}};
    return made;
}

static void rgb_row(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *out,
                    int width) {
    int x = 0;
    for (; x + 8 <= width; x += 8) vst3_u8(out + 3 * x, convert(y + x, cb + x, cr + x));
    if (x < width) {
        uint8_t last[24];
        vst3_u8(last, convert(y + x, cb + x, cr + x));
        memcpy(out + 3 * x, last, (size_t)(width - x) * 3);
    }
}

const Vectors vectors_neon = {"neon", mix_rows, mix_columns, sharpen_row, rgb_row};
#else
typedef int not_for_this_cpu;
#endif
