/* The memory of one call at a time, and how libjpeg reports errors. */
#include <stdlib.h>

#include "kernel.h"

static void escape(j_common_ptr common) { longjmp(((Errors *)common->err)->escape, 1); }

/* A warning means that samples were made up: such a JPEG is not taken. */
static void on_message(j_common_ptr common, int level) {
    if (level < 0) escape(common);
}

static void on_progress(j_common_ptr common) {
    if (common->is_decompressor && ((j_decompress_ptr)common)->input_scan_number > MAX_SCANS)
        escape(common);
}

/* Make libjpeg's objects; return whether there was memory for them. */
static int create(Context *context) {
    if (setjmp(context->errors.escape)) return 0;
    jpeg_create_decompress(&context->reader);
    context->reader.progress = &context->progress;
    jpeg_create_compress(&context->writer);
    return 1;
}

Context *context_new(void) {
    Context *context = calloc(1, sizeof *context);
    if (context == NULL) return NULL;
    context->vectors = vectors_by_name("");
    context->reader.err = context->writer.err = jpeg_std_error(&context->errors.base);
    context->errors.base.error_exit = escape;
    context->errors.base.emit_message = on_message;
    context->progress.progress_monitor = on_progress;
    if (create(context)) return context;
    context_free(context);
    return NULL;
}

void context_free(Context *context) {
    context_reset(context, 0);
    jpeg_destroy_decompress(&context->reader);
    jpeg_destroy_compress(&context->writer);
    free(context);
}

void context_reset(Context *context, size_t max_kept) {
    size_t total = 0;
    context->divisor = 0;
    for (int i = 0; i < SLOTS; i++) {
        total += context->memory[i].size;
        if (total <= max_kept) continue;
        free(context->memory[i].bytes);
        total -= context->memory[i].size;
        context->memory[i].bytes = NULL;
        context->memory[i].size = 0;
    }
}

uint8_t *context_memory(Context *context, int slot, size_t size) {
    if (context->memory[slot].size < size) {
        free(context->memory[slot].bytes);
        context->memory[slot].size = 0;
        /* Zeros: vectors read what nobody has written, and multiply it by 0. */
        context->memory[slot].bytes = calloc(1, size);
        if (context->memory[slot].bytes != NULL) context->memory[slot].size = size;
    }
    return context->memory[slot].bytes;
}

Status context_plane(Context *context, int slot, int width, int height, Plane *plane) {
    size_t stride = (((size_t)width + 63) & ~(size_t)63) + MARGIN;
    uint8_t *bytes = context_memory(context, slot, stride * (size_t)height + 2 * MARGIN);
    if (bytes == NULL) return KERNEL_NO_MEMORY;
    *plane = (Plane){bytes + MARGIN, width, height, stride};
    return KERNEL_OK;
}

Status render(Context *context, const uint8_t *data, size_t size, int width, int height,
              const Request *request) {
    const double *box = request->box;
    int is_inside = 0 <= box[0] && box[0] < box[2] && box[2] <= width && 0 <= box[1] &&
                    box[1] < box[3] && box[3] <= height;
    int is_sized = 1 <= request->width && request->width <= MAX_SIDE && 1 <= request->height &&
                   request->height <= MAX_SIDE;
    if (!is_inside || !is_sized) return KERNEL_BAD_REQUEST;
    int is_decoded = context->divisor == request->divisor && context->top <= request->top &&
                     request->bottom <= context->bottom;
    Status status = KERNEL_OK;
    if (!is_decoded) status = decode(context, data, size, width, height, request);
    if (status == KERNEL_OK) status = resample(context, request);
    if (status == KERNEL_OK) status = filter(context, request);
    if (status == KERNEL_OK && request->output != OUTPUT_RGB) status = encode(context, request);
    return status;
}
