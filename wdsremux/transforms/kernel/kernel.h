/* The kernel: from a stored JPEG to a new JPEG, or to RGB pixels, over its Y, Cb and Cr planes.
 *
 * Everything here is free of Python but module.c. A Context holds the memory of one call at a time
 * and is used again for the next; nothing is shared between contexts.
 */
#ifndef WDSREMUX_KERNEL_H
#define WDSREMUX_KERNEL_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jpeglib.h>

#define WEIGHT_BITS 14
#define WEIGHT_ONE (1 << WEIGHT_BITS)
#define WEIGHT_HALF (WEIGHT_ONE / 2)
#define MARGIN 64       /* bytes before and behind every row that vectors may read and overwrite */
#define MAX_SIDE 65500  /* of a JPEG that libjpeg writes */
#define MAX_SCANS 500   /* every scan goes over all pixels, also an empty one */
#define MAX_FILTERS 16
#define NEUTRAL 128     /* the chroma of gray */

typedef enum {
    KERNEL_OK = 0,
    KERNEL_UNREADABLE, /* libjpeg complained, or the JPEG is of a kind that is left to others */
    KERNEL_NO_MEMORY,
    KERNEL_BAD_REQUEST, /* the caller asked for what is not there */
    KERNEL_CANNOT_ENCODE,
} Status;

/* Rows of 8-bit samples; `stride` bytes from one row to the next, at least width + MARGIN. */
typedef struct {
    uint8_t *pixels;
    int width, height;
    size_t stride;
} Plane;

/* Weights of the source samples from `first[i]` on for each target sample i. */
typedef struct {
    int count;     /* of target samples */
    int length;    /* of each one's weights, a multiple of 8: the rest are zeros */
    int base;      /* the source sample that a row's memory begins with */
    int *first;    /* padded to a multiple of 8 with the last */
    int16_t *taps; /* padded likewise */
} Weights;

/* The inner loops: scalar, AVX2 and NEON give equal bytes. */
typedef struct {
    const char *name;
    /* Weigh `count` rows into one; `width` is rounded up to 32 by the callee. */
    void (*mix_rows)(const uint8_t *rows, size_t stride, const int16_t *taps, int count,
                     uint8_t *out, int width);
    /* Weigh neighbours in a row; may write up to 7 samples too many. */
    void (*mix_columns)(const uint8_t *row, const Weights *weights, uint8_t *out);
    /* Add to each sample 1/k of what its eight neighbours differ from it; k is 8 or 32. */
    void (*sharpen_row)(const uint8_t *above, const uint8_t *row, const uint8_t *below, int k,
                        uint8_t *out, int width);
    /* Convert to interleaved RGB; writes no byte too many. */
    void (*rgb_row)(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *out,
                    int width);
} Vectors;

/* YCbCr to RGB, in 15 bits: 1.402 - 1, -0.344136, -0.714136 and 1.772 - 2 (JFIF 1.02). */
#define RED_FROM_CR 13173
#define GREEN_FROM_CB (-11277)
#define GREEN_FROM_CR (-23401)
#define BLUE_FROM_CB (-7471)

extern const Vectors vectors_scalar;
#if defined(__x86_64__)
extern const Vectors vectors_avx2;
#elif defined(__aarch64__)
extern const Vectors vectors_neon;
#endif

/* Return the fastest of this CPU, or the one of this name; NULL when the CPU lacks it. */
const Vectors *vectors_by_name(const char *name);

typedef enum { FILTER_SHARPEN, FILTER_BLUR, FILTER_GRAY } FilterKind;

typedef struct {
    FilterKind kind;
    double value; /* standard deviation of a blur, in pixels of the image */
} Filter;

typedef enum { OUTPUT_RGB, OUTPUT_JPEG_444, OUTPUT_JPEG_420 } Output;

/* Flips and turns after resampling: rows and columns are exchanged first. */
enum { TURN_TRANSPOSED = 1, TURN_MIRRORED = 2, TURN_INVERTED = 4 };

/* What to make of an image; boxes are in pixels of the whole stored image. */
typedef struct {
    int divisor;      /* decode at 1/divisor of the size: 1, 2, 4 or 8 */
    int top, bottom;  /* rows to decode, at least those that the box's filter reaches */
    double box[4];    /* left, top, right, bottom */
    int width, height; /* of the result before it is turned */
    int turns;
    int filter_count;
    Filter filters[MAX_FILTERS];
    Output output;
    int quality;
} Request;

typedef enum {
    SLOT_DECODED,
    SLOT_RESAMPLED = SLOT_DECODED + 3,
    SLOT_SPARE = SLOT_RESAMPLED + 3,
    SLOT_WEIGHTS_X = SLOT_SPARE + 3,
    SLOT_WEIGHTS_Y,
    SLOT_EXACT,
    SLOT_ROW,
    SLOT_ENCODED,
    SLOTS,
} Slot;

typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf escape;
} Errors;

typedef struct {
    const Vectors *vectors;
    struct jpeg_decompress_struct reader;
    struct jpeg_compress_struct writer;
    struct jpeg_progress_mgr progress;
    struct jpeg_destination_mgr destination;
    Errors errors;
    struct { uint8_t *bytes; size_t size; } memory[SLOTS];
    /* What is decoded: planes of `components`, from row `origin[i]` of the whole plane on. */
    int components, divisor, top, bottom;
    Plane planes[3];
    int origin[3], full_height[3];
    double scale_x[3], scale_y[3]; /* samples of a plane for one pixel of the image */
    /* What is made of it. */
    Plane result[3];
    int is_gray; /* the chroma of the result is neutral */
    size_t encoded_size;
} Context;

Context *context_new(void);
void context_free(Context *context);
/* Forget what is decoded, and give back memory beyond `max_kept` bytes. */
void context_reset(Context *context, size_t max_kept);
/* Return memory that stays until the slot is asked for again; NULL when there is none. */
uint8_t *context_memory(Context *context, int slot, size_t size);
/* Give a plane memory with margins. */
Status context_plane(Context *context, int slot, int width, int height, Plane *plane);

/* Decode rows at a scale; the image must be of exactly this size, which the caller has accepted. */
Status decode(Context *context, const uint8_t *data, size_t size, int width, int height,
              const Request *request);
/* Resample and turn the decoded planes; chroma becomes half as large for 4:2:0. */
Status resample(Context *context, const Request *request);
/* Smooth a plane by a Gaussian, mirrored at the edge. */
Status blur(Context *context, Plane *plane, int spare_slot, double sigma);
Status filter(Context *context, const Request *request);
/* Encode the result into SLOT_ENCODED, `encoded_size` bytes. */
Status encode(Context *context, const Request *request);
/* Write the result as interleaved RGB. */
void write_rgb(const Context *context, uint8_t *out);
/* Decode unless done, resample and filter, and encode unless RGB is wanted. */
Status render(Context *context, const uint8_t *data, size_t size, int width, int height,
              const Request *request);

#endif
