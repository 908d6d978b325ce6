/* What is done to the resampled planes, and their way to RGB. */
#include <string.h>

#include "kernel.h"

/* Repeat the first and the last sample of each row just outside of it. */
static void repeat_edges(const Plane *plane) {
    for (int y = 0; y < plane->height; y++) {
        uint8_t *row = plane->pixels + (size_t)y * plane->stride;
        row[-1] = row[0];
        row[plane->width] = row[plane->width - 1];
    }
}

/* Return the slot that the result of a component is not in. */
static int free_slot(const Context *context, int component) {
    const uint8_t *spare = context->memory[SLOT_SPARE + component].bytes;
    int is_spare = spare != NULL && context->result[component].pixels == spare + MARGIN;
    return (is_spare ? SLOT_RESAMPLED : SLOT_SPARE) + component;
}

/* Sharpen by Pillow's SHARPEN (32 in the middle of eight -2, over 16), with repeated edges.
 *
 * On chroma of half the resolution neighbours are twice as far apart, and differ four times as much
 * in what is smooth: a quarter of their difference is what sharpening the whole would have added.
 */
static Status sharpen(Context *context, int component, int is_halved) {
    Plane *plane = &context->result[component], sharp;
    Status status = context_plane(context, free_slot(context, component), plane->width,
                                  plane->height, &sharp);
    if (status != KERNEL_OK) return status;
    repeat_edges(plane);
    for (int y = 0; y < plane->height; y++) {
        const uint8_t *row = plane->pixels + (size_t)y * plane->stride;
        const uint8_t *above = y > 0 ? row - plane->stride : row;
        const uint8_t *below = y + 1 < plane->height ? row + plane->stride : row;
        context->vectors->sharpen_row(above, row, below, is_halved ? 32 : 8,
                                      sharp.pixels + (size_t)y * sharp.stride, plane->width);
    }
    *plane = sharp;
    return KERNEL_OK;
}

static Status filter_plane(Context *context, const Request *request, int i) {
    int is_halved = i > 0 && request->output == OUTPUT_JPEG_420;
    Status status = KERNEL_OK;
    for (int k = 0; k < request->filter_count && status == KERNEL_OK; k++) {
        const Filter *each = &request->filters[k];
        if (each->kind == FILTER_SHARPEN) status = sharpen(context, i, is_halved);
        if (each->kind == FILTER_BLUR) {
            double sigma = is_halved ? each->value / 2 : each->value;
            status = blur(context, &context->result[i], free_slot(context, i), sigma);
        }
    }
    return status;
}

Status filter(Context *context, const Request *request) {
    Status status = filter_plane(context, request, 0);
    for (int i = 1; i < 3 && status == KERNEL_OK && !context->is_gray; i++)
        status = filter_plane(context, request, i);
    return status;
}

void write_rgb(const Context *context, uint8_t *out) {
    const Plane *planes = context->result;
    for (int y = 0; y < planes[0].height; y++) {
        const uint8_t *rows[3];
        for (int i = 0; i < 3; i++) rows[i] = planes[i].pixels + (size_t)y * planes[i].stride;
        context->vectors->rgb_row(rows[0], rows[1], rows[2], out, planes[0].width);
        out += (size_t)planes[0].width * 3;
    }
}
