/* Planes to a baseline JPEG with the standard tables, into memory that grows. */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

#define FIRST_ROOM ((size_t)1 << 16)

static Context *context_of(j_compress_ptr writer) { return writer->client_data; }

static void begin(j_compress_ptr writer) {
    Context *context = context_of(writer);
    if (context_memory(context, SLOT_ENCODED, FIRST_ROOM) == NULL)
        longjmp(context->errors.escape, 2);
    context->destination.next_output_byte = context->memory[SLOT_ENCODED].bytes;
    context->destination.free_in_buffer = context->memory[SLOT_ENCODED].size;
}

/* Called when all room is used up, whatever `free_in_buffer` says. */
static boolean grow(j_compress_ptr writer) {
    Context *context = context_of(writer);
    size_t used = context->memory[SLOT_ENCODED].size;
    uint8_t *larger = realloc(context->memory[SLOT_ENCODED].bytes, used * 2);
    if (larger == NULL) longjmp(context->errors.escape, 2);
    context->memory[SLOT_ENCODED].bytes = larger;
    context->memory[SLOT_ENCODED].size = used * 2;
    context->destination.next_output_byte = larger + used;
    context->destination.free_in_buffer = used;
    return TRUE;
}

static void end(j_compress_ptr writer) {
    Context *context = context_of(writer);
    context->encoded_size =
        context->memory[SLOT_ENCODED].size - context->destination.free_in_buffer;
}

/* Repeat the last sample of each row up to whole blocks. */
static void fill_blocks(const Plane *plane) {
    int missing = -plane->width & (DCTSIZE - 1);
    for (int y = 0; y < plane->height; y++) {
        uint8_t *behind = plane->pixels + (size_t)y * plane->stride + plane->width;
        memset(behind, behind[-1], (size_t)missing);
    }
}

static void write_rows(Context *context, int factor) {
    j_compress_ptr writer = &context->writer;
    JSAMPROW lines[3][2 * DCTSIZE];
    JSAMPARRAY arrays[3] = {lines[0], lines[1], lines[2]};
    for (int i = 0; i < 3; i++) fill_blocks(&context->result[i]);
    for (int y = 0; y < context->result[0].height; y += DCTSIZE * factor) {
        for (int i = 0; i < 3; i++) {
            const Plane *plane = &context->result[i];
            int first = i ? y / factor : y, count = i ? DCTSIZE : DCTSIZE * factor;
            for (int k = 0; k < count; k++) {
                int line = first + k < plane->height ? first + k : plane->height - 1;
                lines[i][k] = plane->pixels + (size_t)line * plane->stride;
            }
        }
        jpeg_write_raw_data(writer, arrays, (JDIMENSION)(DCTSIZE * factor));
    }
}

Status encode(Context *context, const Request *request) {
    j_compress_ptr writer = &context->writer;
    int factor = request->output == OUTPUT_JPEG_420 ? 2 : 1;
    int failed = setjmp(context->errors.escape);
    if (failed) {
        jpeg_abort_compress(writer);
        return failed == 2 ? KERNEL_NO_MEMORY : KERNEL_CANNOT_ENCODE;
    }
    writer->client_data = context;
    writer->dest = &context->destination;
    context->destination.init_destination = begin;
    context->destination.empty_output_buffer = grow;
    context->destination.term_destination = end;
    writer->image_width = (JDIMENSION)context->result[0].width;
    writer->image_height = (JDIMENSION)context->result[0].height;
    writer->input_components = 3;
    writer->in_color_space = JCS_YCbCr;
    jpeg_set_defaults(writer);
    jpeg_set_quality(writer, request->quality, TRUE);
    writer->comp_info[0].h_samp_factor = writer->comp_info[0].v_samp_factor = factor;
    writer->raw_data_in = TRUE;
    writer->dct_method = JDCT_ISLOW;
    jpeg_start_compress(writer, TRUE);
    write_rows(context, factor);
    jpeg_finish_compress(writer);
    return KERNEL_OK;
}
