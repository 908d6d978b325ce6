/* Compares the vector code of a CPU with plain C over random rows; prints what it compared.
 *
 * Needs no libjpeg, so it can be cross-compiled and run by an emulator:
 *   aarch64-linux-gnu-gcc -O2 -static -ffp-contract=off -I wdsremux/transforms/kernel \
 *       tools/kernel/vectors.c wdsremux/transforms/kernel/vectors_*.c -o vectors
 *   qemu-aarch64-static ./vectors
 */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

#define WIDTH 300
#define ROWS 40
#define STRIDE (WIDTH + 2 * MARGIN)

static uint8_t samples[ROWS * STRIDE + 2 * MARGIN];
static int16_t taps[(WIDTH + 8) * 48];
static int firsts[WIDTH + 8];

/* Fill with values that are often the extremes. */
static void fill(void) {
    for (size_t i = 0; i < sizeof samples; i++)
        samples[i] = (uint8_t)(rand() % 3 ? rand() : rand() % 2 * 255);
    for (size_t i = 0; i < sizeof taps / sizeof *taps; i++)
        taps[i] = (int16_t)(rand() % 5 ? rand() % 4000 - 1000 : rand() % 40000 - 20000);
}

static void check(const char *what, const uint8_t *one, const uint8_t *other, int count) {
    if (memcmp(one, other, (size_t)count) == 0) return;
    printf("%s: not equal\n", what);
    exit(1);
}

int main(void) {
    const Vectors *plain = &vectors_scalar, *fast = vectors_by_name("");
    const uint8_t *rows = samples + MARGIN;
    static uint8_t out[2][3 * WIDTH + MARGIN];
    for (int round = 0; round < 3000; round++) {
        fill();
        int width = 1 + rand() % WIDTH, count = 1 + rand() % 20, length = 8 * (1 + rand() % 6);
        Weights weights = {width, length, 5, firsts, taps};
        for (int i = 0; i < WIDTH + 8; i++) firsts[i] = 5 + rand() % (WIDTH - length);
        plain->mix_rows(rows, STRIDE, taps, count, out[0], width);
        fast->mix_rows(rows, STRIDE, taps, count, out[1], width);
        check("mix_rows", out[0], out[1], width);
        plain->mix_columns(rows, &weights, out[0]);
        fast->mix_columns(rows, &weights, out[1]);
        check("mix_columns", out[0], out[1], width);
        for (int k = 8; k <= 32; k += 24) {
            plain->sharpen_row(rows, rows + STRIDE, rows + 2 * STRIDE, k, out[0], width);
            fast->sharpen_row(rows, rows + STRIDE, rows + 2 * STRIDE, k, out[1], width);
            check("sharpen_row", out[0], out[1], width);
        }
        out[0][3 * width] = out[1][3 * width] = 77;
        plain->rgb_row(rows, rows + STRIDE, rows + 2 * STRIDE, out[0], width);
        fast->rgb_row(rows, rows + STRIDE, rows + 2 * STRIDE, out[1], width);
        check("rgb_row", out[0], out[1], 3 * width + 1);
    }
    printf("%s equals %s\n", fast->name, plain->name);
    return 0;
}
