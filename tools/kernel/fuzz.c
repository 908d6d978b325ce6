/* Fuzzes the kernel: any bytes as a JPEG, any request. The first bytes of the input are the request.
 *
 * With libFuzzer (-fsanitize=fuzzer) or, with -DSTANDALONE, over files and directories of them; see
 * tools/kernel/fuzz.py. Both vector versions must agree, which is checked, too.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

#define MAX_PIXELS 1000000
#define REQUEST_BYTES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read the frame header's size, as the caller of the kernel has done. */
static int read_size(const uint8_t *data, size_t size, int *width, int *height) {
    for (size_t at = 2; at + 9 < size;) {
        if (data[at] != 0xff) return 0;
        uint8_t marker = data[at + 1];
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
            *height = data[at + 5] << 8 | data[at + 6];
            *width = data[at + 7] << 8 | data[at + 8];
            return *width > 0 && *height > 0 && (long)*width * *height <= MAX_PIXELS;
        }
        at += 2 + (size_t)(data[at + 2] << 8 | data[at + 3]);
    }
    return 0;
}

/* Make a request of 16 bytes: mostly sensible, sometimes not. */
static Request request_from(const uint8_t *words, int width, int height) {
    Request made = {.divisor = 1 << (words[0] & 3), .turns = words[1] & 7, .quality = 1 + words[2] % 100};
    double left = words[3] / 256.0 * width, top = words[4] / 256.0 * height;
    made.box[0] = left;
    made.box[1] = top;
    made.box[2] = left + (1 + words[5]) / 256.0 * (width - left);
    made.box[3] = top + (1 + words[6]) / 256.0 * (height - top);
    made.width = words[0] < 250 ? 1 + words[7] % 48 : 1 + words[7] * 8;
    made.height = 1 + words[8] % 48;
    made.top = words[9] & 1 ? 0 : (int)(made.box[1] / (1 + (words[9] >> 4)));
    made.bottom = words[9] & 2 ? height : (int)made.box[3] + (words[10] & 63);
    if (made.bottom > height && !(words[9] & 4)) made.bottom = height;
    made.output = words[11] % 3;
    made.filter_count = words[12] & 3;
    for (int i = 0; i < made.filter_count; i++)
        made.filters[i] = (Filter){(words[12] >> (2 + 2 * i) & 3) % 3, 0.1 + words[13] / 64.0};
    return made;
}

static uint64_t digest_of(const Context *context, const Request *request) {
    uint64_t digest = 1469598103934665603u;
    size_t size = context->encoded_size;
    uint8_t *pixels = NULL;
    const uint8_t *bytes = context->memory[SLOT_ENCODED].bytes;
    if (request->output == OUTPUT_RGB) {
        size = (size_t)context->result[0].width * (size_t)context->result[0].height * 3;
        bytes = pixels = malloc(size);
        if (pixels == NULL) abort();
        write_rgb(context, pixels);
    }
    for (size_t i = 0; i < size; i++) digest = (digest ^ bytes[i]) * 1099511628211u;
    free(pixels);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Context *contexts[2]; /* used again, as by a worker */
    int width, height;
    if (size < REQUEST_BYTES + 4) return 0;
    const uint8_t *image = data + REQUEST_BYTES;
    size -= REQUEST_BYTES;
    if (!read_size(image, size, &width, &height)) return 0;
    Request request = request_from(data, width, height);
    /* A copy of its own: reading one byte too many is then seen. */
    uint8_t *copy = malloc(size);
    if (copy == NULL) abort();
    memcpy(copy, image, size);
    Status found[2];
    uint64_t digests[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        if (contexts[i] == NULL) contexts[i] = context_new();
        if (contexts[i] == NULL) abort();
        contexts[i]->vectors = i ? vectors_by_name("") : &vectors_scalar;
        context_reset(contexts[i], (size_t)1 << 24);
        found[i] = render(contexts[i], copy, size, width, height, &request);
        if (found[i] == KERNEL_OK) digests[i] = digest_of(contexts[i], &request);
    }
    free(copy);
    if (found[0] != found[1] || digests[0] != digests[1]) abort();
    return 0;
}

#ifdef STANDALONE
#include <dirent.h>
#include <sys/stat.h>

static int run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 0;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    size_t count = data == NULL ? 0 : fread(data, 1, (size_t)size, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, count);
    free(data);
    return 1;
}

int main(int argc, char **argv) {
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        char path[4096];
        if (folder == NULL) {
            count += run_file(argv[i]);
            continue;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            struct stat info;
            if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) count += run_file(path);
        }
        closedir(folder);
    }
    printf("%d inputs\n", count);
    return 0;
}
#endif
