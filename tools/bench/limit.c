/* The limit: what the founding augmentation costs when all of it is fused in C.
 *
 * A JPEG is decoded to its YCbCr planes (no upsampling, no colour conversion; only the MCUs under the
 * crop, and no row after it), each plane is resampled by antialiased bicubic, mirrored and sharpened,
 * and the planes are encoded as 4:2:0. It stands for the best that two cores could do; it is no
 * product: CMYK is refused, and columns can be left out only with libjpeg-turbo 2.1.
 *
 *   cc -O3 -mavx2 -mfma -shared -fPIC limit.c -o limit.so -ljpeg -lm
 */
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "limit_planes.h"

#define MARGIN 3.0 /* of the filter's support around the box, in pixels made */

typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf escape;
} Errors;

static __thread struct jpeg_decompress_struct reader;
static __thread struct jpeg_compress_struct writer;
static __thread Errors reader_errors, writer_errors;
static __thread int is_ready;

/* ---- decoding ---- */

#if LIBJPEG_TURBO_VERSION_NUMBER >= 2001000 && LIBJPEG_TURBO_VERSION_NUMBER < 2002000
/* The head of the library's private state, as far as the columns to be decoded stand in it. */
struct jpeg_decomp_master {
    void (*prepare_for_output_pass)(j_decompress_ptr);
    void (*finish_output_pass)(j_decompress_ptr);
    boolean is_dummy_pass;
    JDIMENSION first_iMCU_col, last_iMCU_col;
    JDIMENSION first_MCU_col[MAX_COMPONENTS], last_MCU_col[MAX_COMPONENTS];
};

/* Decode only these columns of MCUs; return whether the library looks as it should. */
static int keep_columns(j_decompress_ptr c, int first, int last) {
    struct jpeg_decomp_master *master = c->master;
    if (master->first_iMCU_col != 0) return 0;
    if (master->last_iMCU_col != c->MCUs_per_row - 1 && c->comps_in_scan == c->num_components &&
        !c->progressive_mode)
        return 0;
    master->first_iMCU_col = (JDIMENSION)first;
    master->last_iMCU_col = (JDIMENSION)last;
    for (int i = 0; i < c->num_components; i++) {
        jpeg_component_info *info = &c->comp_info[i];
        int end = (last + 1) * info->h_samp_factor, most = (int)info->width_in_blocks;
        master->first_MCU_col[i] = (JDIMENSION)(first * info->h_samp_factor);
        master->last_MCU_col[i] = (JDIMENSION)((end < most ? end : most) - 1);
    }
    return 1;
}
#else
static int keep_columns(j_decompress_ptr c, int first, int last) {
    return first == 0 && last == (int)c->MCUs_per_row - 1;
}
#define WHOLE_ROWS 1
#endif

static int clamp(double value, int most) { return value < 0 ? 0 : value > most ? most : (int)value; }

/* Decode the planes under a box, at the smallest scale that leaves `spare` pixels for each wanted. */
static int decode(const uint8_t *data, size_t size, const double box[4], int width, int height,
                  double spare, Plane planes[3]) {
    j_decompress_ptr c = &reader;
    jpeg_mem_src(c, data, size);
    jpeg_read_header(c, TRUE);
    if (c->jpeg_color_space != JCS_YCbCr && c->jpeg_color_space != JCS_GRAYSCALE) return -2;
    double shrink = fmin((box[2] - box[0]) / width, (box[3] - box[1]) / height);
    c->scale_num = c->scale_denom = 1;
    while (c->scale_denom < 8 && shrink >= c->scale_denom * 2 * spare) c->scale_denom *= 2;
    c->raw_data_out = TRUE;
    c->out_color_space = c->jpeg_color_space;
    c->do_fancy_upsampling = c->do_block_smoothing = FALSE;
    c->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(c);

    int wide = c->max_h_samp_factor * 8, high = c->max_v_samp_factor * 8; /* an MCU, full size */
    int columns = ((int)c->image_width + wide - 1) / wide - 1;
    int rows = ((int)c->image_height + high - 1) / high - 1;
    double margin = MARGIN * fmax(1, shrink) + 8 * c->scale_denom;
    int left = clamp((box[0] - margin) / wide, columns), right = clamp((box[2] + margin) / wide, columns);
    int top = clamp((box[1] - margin) / high, rows), bottom = clamp((box[3] + margin) / high, rows);
#ifdef WHOLE_ROWS
    left = 0, right = columns;
#endif
    if (!keep_columns(c, left, right)) return -3;

    JSAMPROW lines[3][64];
    JSAMPARRAY arrays[3] = {lines[0], lines[1], lines[2]};
    for (int i = 0; i < c->num_components; i++) {
        jpeg_component_info *info = &c->comp_info[i];
        int block = info->DCT_scaled_size, across = info->h_samp_factor * block;
        int down = info->v_samp_factor * block;
        int stored_width = (right - left + 1) * across, stored_height = (bottom - top + 1) * down;
        Plane *plane = &planes[i];
        plane->scale_x = (double)across / wide;
        plane->scale_y = (double)down / high;
        plane->origin_x = left * across;
        plane->origin_y = top * down;
        plane->stride = ((stored_width + 63) & ~63) + PAD;
        plane->rows = scratch(DECODED + i, (size_t)plane->stride * (stored_height + 2) + 4 * PAD);
        int full_width = (int)ceil(c->image_width * plane->scale_x) - (int)plane->origin_x;
        int full_height = (int)ceil(c->image_height * plane->scale_y) - (int)plane->origin_y;
        plane->width = full_width < stored_width ? full_width : stored_width;
        plane->height = full_height < stored_height ? full_height : stored_height;
    }
    for (int row = 0; row <= bottom; row++) {
        for (int i = 0; i < c->num_components; i++) {
            jpeg_component_info *info = &c->comp_info[i];
            int down = info->v_samp_factor * info->DCT_scaled_size;
            info->component_needed = row >= top;
            int place = row >= top ? (row - top) * down : 0;
            for (int y = 0; y < down; y++)
                lines[i][y] = planes[i].rows + (size_t)(place + y) * planes[i].stride;
        }
        jpeg_read_raw_data(c, arrays, (JDIMENSION)(c->max_v_samp_factor * c->min_DCT_scaled_size));
    }
    int components = c->num_components;
    jpeg_abort_decompress(c);
    return components;
}

/* ---- encoding ---- */

static long encode(const Plane planes[3], int components, int quality, uint8_t *out, size_t room) {
    j_compress_ptr c = &writer;
    unsigned char *begin = out;
    unsigned long length = room;
    int factor = components == 3 ? 2 : 1, width = planes[0].width, height = planes[0].height;
    jpeg_mem_dest(c, &begin, &length);
    c->image_width = (JDIMENSION)width;
    c->image_height = (JDIMENSION)height;
    c->input_components = components;
    c->in_color_space = components == 3 ? JCS_YCbCr : JCS_GRAYSCALE;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = factor;
    c->raw_data_in = TRUE;
    c->dct_method = JDCT_ISLOW;
    jpeg_start_compress(c, TRUE);
    JSAMPROW lines[3][16];
    JSAMPARRAY arrays[3] = {lines[0], lines[1], lines[2]};
    for (int y = 0; y < height; y += 8 * factor) {
        for (int i = 0; i < components; i++) {
            int first = i ? y / factor : y, count = i ? 8 : 8 * factor;
            for (int k = 0; k < count; k++) {
                int line = first + k < planes[i].height ? first + k : planes[i].height - 1;
                lines[i][k] = planes[i].rows + (size_t)line * planes[i].stride;
            }
        }
        jpeg_write_raw_data(c, arrays, (JDIMENSION)(8 * factor));
    }
    jpeg_finish_compress(c);
    return begin == out ? (long)length : -5; /* the library takes memory of its own when out is small */
}

/* ---- what the driver calls ---- */

static void escape(j_common_ptr c) { longjmp(((Errors *)c->err)->escape, 1); }
static void keep_quiet(j_common_ptr c) { (void)c; }

static void get_ready(void) {
    if (is_ready) return;
    reader.err = jpeg_std_error(&reader_errors.base);
    writer.err = jpeg_std_error(&writer_errors.base);
    reader_errors.base.error_exit = writer_errors.base.error_exit = escape;
    reader_errors.base.output_message = writer_errors.base.output_message = keep_quiet;
    jpeg_create_decompress(&reader);
    jpeg_create_compress(&writer);
    is_ready = 1;
}

/* Return the length of the JPEG written to `out`, or a negative number for what cannot be done.
 * box: left, top, right, bottom; width and height: multiples of 16. */
long limit_process(const uint8_t *data, size_t size, const double box[4], int width, int height,
                   int mirrored, int sharpened, int quality, double spare, uint8_t *out, size_t room) {
    Plane decoded[3], resized[3];
    get_ready();
    if (setjmp(reader_errors.escape)) {
        jpeg_abort_decompress(&reader);
        return -1;
    }
    if (setjmp(writer_errors.escape)) {
        jpeg_abort_compress(&writer);
        return -4;
    }
    int components = decode(data, size, box, width, height, spare, decoded);
    if (components < 0) {
        jpeg_abort_decompress(&reader);
        return components;
    }
    for (int i = 0; i < components; i++) {
        Plane *from = &decoded[i], *to = &resized[i];
        int factor = i ? 2 : 1;
        to->width = width / factor;
        to->height = height / factor;
        to->stride = ((to->width + 63) & ~63) + PAD;
        size_t needed = (size_t)to->stride * (to->height + 2);
        to->rows = scratch(RESIZED + i, needed);
        double part[4] = {
            box[0] * from->scale_x - from->origin_x, box[1] * from->scale_y - from->origin_y,
            fmin(box[2] * from->scale_x - from->origin_x, from->width),
            fmin(box[3] * from->scale_y - from->origin_y, from->height)};
        resize(from, part, to, mirrored);
        if (sharpened) {
            Plane sharp = *to;
            sharp.rows = scratch(SHARPENED + i, needed);
            sharpen(to, &sharp);
            *to = sharp;
        }
    }
    return encode(resized, components, quality, out, room);
}
