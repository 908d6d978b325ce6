/* The inner loops in plain C: what all others must equal, and the choice between them. */
#include <string.h>

#include "kernel.h"

static uint8_t clamp(int value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

static void mix_rows(const uint8_t *rows, size_t stride, const int16_t *taps, int count,
                     uint8_t *out, int width) {
    for (int x = 0; x < width; x++) {
        int sum = WEIGHT_HALF;
        for (int j = 0; j < count; j++) sum += rows[(size_t)j * stride + (size_t)x] * taps[j];
        out[x] = clamp(sum >> WEIGHT_BITS);
    }
}

static void mix_columns(const uint8_t *row, const Weights *weights, uint8_t *out) {
    for (int i = 0; i < weights->count; i++) {
        const uint8_t *samples = row + (weights->first[i] - weights->base);
        const int16_t *taps = weights->taps + (size_t)i * (size_t)weights->length;
        int sum = WEIGHT_HALF;
        for (int j = 0; j < weights->length; j++) sum += samples[j] * taps[j];
        out[i] = clamp(sum >> WEIGHT_BITS);
    }
}

static void sharpen_row(const uint8_t *above, const uint8_t *row, const uint8_t *below, int k,
                        uint8_t *out, int width) {
    int bits = k == 8 ? 3 : 5;
    for (int x = 0; x < width; x++) {
        int around = above[x - 1] + above[x] + above[x + 1] + row[x - 1] + row[x + 1] +
                     below[x - 1] + below[x] + below[x + 1];
        out[x] = clamp((row[x] * (k + 8) - around + k / 2) >> bits);
    }
}

/* BT.601 in full range (JFIF), in products of 16 bits that every CPU has vectors for. */
static void rgb_row(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *out,
                    int width) {
    for (int x = 0; x < width; x++) {
        int blue = cb[x] - 128, red = cr[x] - 128;
        out[3 * x] = clamp(y[x] + red + ((red * RED_FROM_CR + 16384) >> 15));
        out[3 * x + 1] =
            clamp(y[x] + ((blue * GREEN_FROM_CB + red * GREEN_FROM_CR + 16384) >> 15));
        out[3 * x + 2] = clamp(y[x] + 2 * blue + ((blue * BLUE_FROM_CB + 16384) >> 15));
    }
}

const Vectors vectors_scalar = {"scalar", mix_rows, mix_columns, sharpen_row, rgb_row};

const Vectors *vectors_by_name(const char *name) {
    const Vectors *fast = &vectors_scalar;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) fast = &vectors_avx2;
#elif defined(__aarch64__)
    fast = &vectors_neon;
#endif
    if (*name == 0 || strcmp(name, fast->name) == 0) return fast;
    return strcmp(name, vectors_scalar.name) == 0 ? &vectors_scalar : NULL;
}
