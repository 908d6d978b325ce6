/* Antialiased bicubic (a = -0.5, as Pillow's BICUBIC), of each plane by itself.
 *
 * Flips cost nothing: the weights of the flipped axis are written in reverse.
 */
#include <math.h>
#include <string.h>

#include "kernel.h"

typedef struct {
    int samples;      /* of the source along this axis */
    double low, high; /* what the target covers of it */
    int count;        /* of target samples */
    int is_reversed;
} Axis;

static double bicubic(double x) {
    x = fabs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/* Make room for weights; `length` is rounded up, and all weights are zero. */
static Status allot(Context *context, int slot, int count, int length, Weights *weights) {
    size_t padded = ((size_t)count + 7) & ~(size_t)7;
    length = (length + 7) & ~7;
    size_t firsts = (padded * sizeof(int) + 63) & ~(size_t)63;
    size_t taps = padded * (size_t)length * sizeof(int16_t);
    uint8_t *bytes = context_memory(context, slot, firsts + taps);
    if (bytes == NULL) return KERNEL_NO_MEMORY;
    *weights = (Weights){count, length, 0, (int *)bytes, (int16_t *)(bytes + firsts)};
    memset(weights->taps, 0, taps);
    return KERNEL_OK;
}

/* Round weights to integers whose sum is exactly one; the largest takes the difference. */
static void round_taps(const double *exact, int count, double total, int16_t *taps) {
    int sum = 0, largest = 0;
    for (int j = 0; j < count; j++) {
        taps[j] = (int16_t)lrint(exact[j] / total * WEIGHT_ONE);
        sum += taps[j];
        if (taps[j] > taps[largest]) largest = j;
    }
    taps[largest] = (int16_t)(taps[largest] + WEIGHT_ONE - sum);
}

static void finish_weights(Weights *weights) {
    int last = weights->count - 1;
    for (int i = weights->count; i & 7; i++) {
        weights->first[i] = weights->first[last];
        memcpy(weights->taps + (size_t)i * (size_t)weights->length,
               weights->taps + (size_t)last * (size_t)weights->length,
               (size_t)weights->length * sizeof(int16_t));
    }
}

static Status weigh(Context *context, int slot, const Axis *axis, Weights *weights) {
    double step = (axis->high - axis->low) / axis->count, wide = step < 1 ? 1 : step;
    double support = 2 * wide;
    int most = 2 * (int)ceil(support) + 1;
    if (most > axis->samples) most = axis->samples;
    Status status = allot(context, slot, axis->count, most, weights);
    if (status != KERNEL_OK) return status;
    double *exact = (double *)context_memory(context, SLOT_EXACT, (size_t)most * sizeof(double));
    if (exact == NULL) return KERNEL_NO_MEMORY;
    for (int i = 0; i < axis->count; i++) {
        double centre = axis->low + (i + 0.5) * step, total = 0;
        centre = fmin(fmax(centre, 0), axis->samples);
        int low = (int)floor(fmax(centre - support + 0.5, 0));
        int high = (int)fmin(centre + support + 0.5, axis->samples);
        if (low > axis->samples - 1) low = axis->samples - 1;
        if (high <= low) high = low + 1;
        if (high - low > most) high = low + most;
        for (int j = 0; j < high - low; j++)
            total += exact[j] = bicubic((low + j + 0.5 - centre) / wide);
        int place = axis->is_reversed ? axis->count - 1 - i : i;
        weights->first[place] = low;
        round_taps(exact, high - low, total, weights->taps + (size_t)place * weights->length);
    }
    finish_weights(weights);
    return KERNEL_OK;
}

/* Return the weights of a Gaussian for `samples`, mirrored about the first and the last one. */
static Status weigh_gaussian(Context *context, int slot, int samples, double sigma,
                             Weights *weights) {
    int reach = (int)fmin(ceil(3 * sigma), 4 * MAX_SIDE), most = 2 * reach + 1;
    if (most > samples) most = samples;
    Status status = allot(context, slot, samples, most, weights);
    if (status != KERNEL_OK) return status;
    double *exact = (double *)context_memory(context, SLOT_EXACT, (size_t)most * sizeof(double));
    if (exact == NULL) return KERNEL_NO_MEMORY;
    for (int i = 0; i < samples; i++) {
        int low = i - reach < 0 ? 0 : i - reach;
        if (low > samples - most) low = samples - most;
        double total = 0;
        memset(exact, 0, (size_t)most * sizeof(double));
        for (int j = i - reach; j <= i + reach; j++) {
            int period = 2 * (samples - 1), at = period ? j % period : 0;
            if (at < 0) at += period;
            if (at > samples - 1) at = period - at;
            double x = (j - i) / sigma, weight = exp(-0.5 * x * x);
            if (at < low || at >= low + most) continue; /* mirrored from farther than it reaches */
            exact[at - low] += weight;
            total += weight;
        }
        weights->first[i] = low;
        round_taps(exact, most, total, weights->taps + (size_t)i * weights->length);
    }
    finish_weights(weights);
    return KERNEL_OK;
}

/* Weigh a plane along both axes; row 0 of its memory is row `origin` of what `down` counts. */
static Status mix(Context *context, const Plane *from, int origin, const Weights *down,
                  const Weights *across, Plane *to) {
    int begin = from->width, end = 0;
    for (int i = 0; i < across->count; i++) {
        int low = across->first[i], high = low + across->length;
        if (low < begin) begin = low;
        if (high > end) end = high;
    }
    int readable = end < from->width ? end : from->width;
    size_t room = (size_t)(end - begin) + 2 * MARGIN;
    uint8_t *row = context_memory(context, SLOT_ROW, room);
    if (row == NULL) return KERNEL_NO_MEMORY;
    Weights shifted = *across;
    shifted.base = begin;
    for (int y = 0; y < down->count; y++) {
        const int16_t *taps = down->taps + (size_t)y * down->length;
        int first = down->first[y] - origin, count = down->length;
        while (count > 1 && taps[count - 1] == 0) count--;
        while (count > 1 && taps[0] == 0) taps++, first++, count--;
        if (first < 0 || first + count > from->height) return KERNEL_BAD_REQUEST;
        context->vectors->mix_rows(from->pixels + (size_t)first * from->stride + begin,
                                   from->stride, taps, count, row, readable - begin);
        context->vectors->mix_columns(row, &shifted, to->pixels + (size_t)y * to->stride);
    }
    return KERNEL_OK;
}

/* Exchange rows and columns, in squares that fit the cache. */
static Status transpose(Context *context, int slot, Plane *plane) {
    Plane turned;
    Status status = context_plane(context, slot, plane->height, plane->width, &turned);
    if (status != KERNEL_OK) return status;
    for (int top = 0; top < plane->height; top += 16)
        for (int left = 0; left < plane->width; left += 16)
            for (int y = top; y < plane->height && y < top + 16; y++)
                for (int x = left; x < plane->width && x < left + 16; x++)
                    turned.pixels[(size_t)x * turned.stride + y] =
                        plane->pixels[(size_t)y * plane->stride + x];
    *plane = turned;
    return KERNEL_OK;
}

/* Say what a target axis covers of a plane; half as many chroma samples cover an odd side, too.
 *
 * The sample beyond lies behind the last pixel as it is seen, so before the first when flipped.
 */
static Axis axis_of(const double *box, double scale, int samples, int target, int is_halved,
                    int is_reversed) {
    int count = is_halved ? (target + 1) / 2 : target;
    double low = box[0] * scale, high = box[2] * scale;
    double beyond = is_halved ? (high - low) / target * (2 * count - target) : 0;
    if (is_reversed) low -= beyond;
    else high += beyond;
    return (Axis){samples, low, high, count, is_reversed};
}

static int makes_gray(const Context *context, const Request *request) {
    for (int i = 0; i < request->filter_count; i++)
        if (request->filters[i].kind == FILTER_GRAY) return 1;
    return context->components == 1;
}

static Status fill_neutral(Context *context, int component, const Plane *like) {
    Plane *plane = &context->result[component];
    Status status =
        context_plane(context, SLOT_RESAMPLED + component, like->width, like->height, plane);
    if (status != KERNEL_OK) return status;
    for (int y = 0; y < plane->height; y++)
        memset(plane->pixels + (size_t)y * plane->stride, NEUTRAL, (size_t)plane->width);
    return KERNEL_OK;
}

/* Resample the components from `first` to `last`, which share their weights. */
static Status resample_components(Context *context, const Request *request, int first, int last) {
    int is_halved = first > 0 && request->output == OUTPUT_JPEG_420;
    int is_transposed = (request->turns & TURN_TRANSPOSED) != 0;
    int mirrored = (request->turns & TURN_MIRRORED) != 0;
    int inverted = (request->turns & TURN_INVERTED) != 0;
    Axis x = axis_of(request->box, context->scale_x[first], context->planes[first].width,
                     request->width, is_halved, is_transposed ? inverted : mirrored);
    Axis y = axis_of(request->box + 1, context->scale_y[first], context->full_height[first],
                     request->height, is_halved, is_transposed ? mirrored : inverted);
    Weights down, across;
    Status status = weigh(context, SLOT_WEIGHTS_X, &x, &across);
    if (status == KERNEL_OK) status = weigh(context, SLOT_WEIGHTS_Y, &y, &down);
    for (int i = first; i <= last && status == KERNEL_OK; i++) {
        Plane *to = &context->result[i];
        status = context_plane(context, SLOT_RESAMPLED + i, x.count, y.count, to);
        if (status == KERNEL_OK)
            status = mix(context, &context->planes[i], context->origin[i], &down, &across, to);
        if (status == KERNEL_OK && is_transposed) status = transpose(context, SLOT_SPARE + i, to);
    }
    return status;
}

Status resample(Context *context, const Request *request) {
    Status status = resample_components(context, request, 0, 0);
    if (status != KERNEL_OK) return status;
    context->is_gray = makes_gray(context, request);
    if (!context->is_gray) return resample_components(context, request, 1, 2);
    Plane like = context->result[0];
    if (request->output == OUTPUT_JPEG_420) {
        like.width = (like.width + 1) / 2;
        like.height = (like.height + 1) / 2;
    }
    for (int i = 1; i < 3 && status == KERNEL_OK; i++) status = fill_neutral(context, i, &like);
    return status;
}

Status blur(Context *context, Plane *plane, int spare_slot, double sigma) {
    Weights down, across;
    Plane blurred;
    Status status = context_plane(context, spare_slot, plane->width, plane->height, &blurred);
    if (status == KERNEL_OK)
        status = weigh_gaussian(context, SLOT_WEIGHTS_X, plane->width, sigma, &across);
    if (status == KERNEL_OK)
        status = weigh_gaussian(context, SLOT_WEIGHTS_Y, plane->height, sigma, &down);
    if (status == KERNEL_OK) status = mix(context, plane, 0, &down, &across, &blurred);
    *plane = blurred;
    return status;
}
