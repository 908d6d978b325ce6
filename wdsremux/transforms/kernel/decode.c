/* JPEG to planes: no upsampling, no colour conversion, no row below those asked for. */
#include "kernel.h"

/* libjpeg's API of version 7 and later has a size of its own for each axis. */
#if JPEG_LIB_VERSION >= 70
#define BLOCK_SIZE(info) ((info)->DCT_v_scaled_size)
#define SMALLEST_BLOCK(reader) ((reader)->min_DCT_v_scaled_size)
#else
#define BLOCK_SIZE(info) ((info)->DCT_scaled_size)
#define SMALLEST_BLOCK(reader) ((reader)->min_DCT_scaled_size)
#endif

#define MAX_LINES 32 /* of one component in a row of MCUs */

/* Return whether the header is of a kind that is read here. */
static int is_readable(j_decompress_ptr reader, int width, int height) {
    if ((int)reader->image_width != width || (int)reader->image_height != height) return 0;
    if (reader->data_precision != 8 || reader->arith_code) return 0;
    const jpeg_component_info *info = reader->comp_info;
    if (info[0].h_samp_factor > 2 || info[0].v_samp_factor > 2) return 0;
    if (reader->num_components == 1) return reader->jpeg_color_space == JCS_GRAYSCALE;
    if (reader->num_components != 3 || reader->jpeg_color_space != JCS_YCbCr) return 0;
    for (int i = 1; i < 3; i++)
        if (info[i].h_samp_factor != 1 || info[i].v_samp_factor != 1) return 0;
    return 1;
}

/* Allot the planes for the rows of MCUs from `first` to `last`. */
static Status allot(Context *context, int first, int last) {
    j_decompress_ptr reader = &context->reader;
    double wide = reader->max_h_samp_factor * DCTSIZE, high = reader->max_v_samp_factor * DCTSIZE;
    for (int i = 0; i < reader->num_components; i++) {
        const jpeg_component_info *info = &reader->comp_info[i];
        int block = BLOCK_SIZE(info), lines = info->v_samp_factor * block;
        int stored = (int)info->width_in_blocks * block;
        Plane *plane = &context->planes[i];
        Status status =
            context_plane(context, SLOT_DECODED + i, stored, (last - first + 1) * lines, plane);
        if (status != KERNEL_OK) return status;
        context->scale_x[i] = info->h_samp_factor * block / wide;
        context->scale_y[i] = lines / high;
        context->origin[i] = first * lines;
        context->full_height[i] = (int)info->downsampled_height;
        plane->width = (int)info->downsampled_width;
        int valid = context->full_height[i] - context->origin[i];
        if (valid < plane->height) plane->height = valid;
    }
    return KERNEL_OK;
}

/* Read rows of MCUs; those above `first` are entropy-decoded only. */
static void read_rows(Context *context, int first, int last) {
    j_decompress_ptr reader = &context->reader;
    JSAMPROW lines[3][MAX_LINES];
    JSAMPARRAY arrays[3] = {lines[0], lines[1], lines[2]};
    JDIMENSION together = (JDIMENSION)(reader->max_v_samp_factor * SMALLEST_BLOCK(reader));
    for (int row = 0; row <= last; row++) {
        for (int i = 0; i < reader->num_components; i++) {
            jpeg_component_info *info = &reader->comp_info[i];
            int count = info->v_samp_factor * BLOCK_SIZE(info);
            int place = row >= first ? (row - first) * count : 0;
            info->component_needed = row >= first;
            for (int k = 0; k < count; k++)
                lines[i][k] =
                    context->planes[i].pixels + (size_t)(place + k) * context->planes[i].stride;
        }
        jpeg_read_raw_data(reader, arrays, together);
    }
}

static Status decode_rows(Context *context, const Request *request) {
    j_decompress_ptr reader = &context->reader;
    int high = reader->max_v_samp_factor * DCTSIZE;
    int rows = ((int)reader->image_height + high - 1) / high;
    int first = request->top / high, last = (request->bottom - 1) / high;
    reader->scale_num = 1;
    reader->scale_denom = (unsigned)request->divisor;
    reader->raw_data_out = TRUE;
    reader->out_color_space = reader->jpeg_color_space;
    reader->do_fancy_upsampling = reader->do_block_smoothing = FALSE;
    reader->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(reader);
    Status status = allot(context, first, last);
    if (status != KERNEL_OK) return status;
    read_rows(context, first, last);
    if (last == rows - 1) jpeg_finish_decompress(reader); /* finds what follows the last MCU */
    context->components = reader->num_components;
    context->divisor = request->divisor;
    context->top = first * high;
    context->bottom = (last + 1) * high;
    return KERNEL_OK;
}

Status decode(Context *context, const uint8_t *data, size_t size, int width, int height,
              const Request *request) {
    j_decompress_ptr reader = &context->reader;
    context->divisor = 0;
    if (request->top < 0 || request->bottom <= request->top || request->bottom > height)
        return KERNEL_BAD_REQUEST;
    if (setjmp(context->errors.escape)) {
        jpeg_abort_decompress(reader);
        return KERNEL_UNREADABLE;
    }
    jpeg_mem_src(reader, (unsigned char *)data, (unsigned long)size); /* not const in old headers */
    jpeg_read_header(reader, TRUE);
    Status status = KERNEL_UNREADABLE;
    if (is_readable(reader, width, height)) status = decode_rows(context, request);
    jpeg_abort_decompress(reader);
    return status;
}
