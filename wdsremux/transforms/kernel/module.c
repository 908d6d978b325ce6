/* The Python face: one type, `Image`, over the limited API; the GIL is released while it works. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

#include "kernel.h"

#define MAX_IDLE 64                      /* contexts kept for the next images */
#define MAX_KEPT ((size_t)64 * 1000000)  /* bytes that each of them keeps */

typedef struct {
    PyObject *unreadable;
    PyObject *image;
    Context *idle[MAX_IDLE]; /* guarded by the GIL */
    int idle_count;
} State;

typedef struct {
    PyObject_HEAD
    Py_buffer data;
    Context *context; /* from the first render to close() */
    State *state;
    int width, height;
    int is_busy; /* a thread is at work with the GIL released */
    const Vectors *vectors;
} Image;

static Context *take_context(State *state) {
    return state->idle_count ? state->idle[--state->idle_count] : context_new();
}

static void give_back(State *state, Context *context) {
    context_reset(context, MAX_KEPT);
    if (state->idle_count < MAX_IDLE) state->idle[state->idle_count++] = context;
    else context_free(context);
}

static PyObject *close_image(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    Image *image = (Image *)self;
    if (image->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this image");
        return NULL;
    }
    if (image->context != NULL) give_back(image->state, image->context);
    image->context = NULL;
    Py_RETURN_NONE;
}

static void dealloc(PyObject *self) {
    Image *image = (Image *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (image->context != NULL) give_back(image->state, image->context);
    PyBuffer_Release(&image->data);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *new_image(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", "width", "height", "vectors", NULL};
    Py_buffer data;
    int width, height;
    const char *vectors = "";
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*ii|s", names, &data, &width, &height,
                                     &vectors))
        return NULL;
    const Vectors *found = vectors_by_name(vectors);
    Image *image = NULL;
    if (found == NULL) PyErr_Format(PyExc_ValueError, "this CPU has no vectors %s", vectors);
    else if (width < 1 || height < 1) PyErr_SetString(PyExc_ValueError, "an image has pixels");
    else image = (Image *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (image == NULL) {
        PyBuffer_Release(&data);
        return NULL;
    }
    image->data = data;
    image->state = PyType_GetModuleState(type);
    image->width = width;
    image->height = height;
    image->vectors = found;
    return (PyObject *)image;
}

/* ---- reading a request ---- */

static int read_filters(PyObject *filters, Request *request) {
    static const struct { const char *name; FilterKind kind; } known[] = {
        {"sharpen", FILTER_SHARPEN}, {"blur", FILTER_BLUR}, {"gray", FILTER_GRAY}};
    Py_ssize_t count = PyTuple_Size(filters);
    if (count < 0 || count > MAX_FILTERS) {
        if (count > 0) PyErr_Format(PyExc_ValueError, "more than %d filters", MAX_FILTERS);
        return 0;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *name;
        double value;
        if (!PyArg_ParseTuple(PyTuple_GetItem(filters, i), "sd", &name, &value)) return 0;
        size_t k = 0, all = sizeof known / sizeof *known;
        while (k < all && strcmp(known[k].name, name) != 0) k++;
        if (k == all || (known[k].kind == FILTER_BLUR && !(value > 0 && value <= 1000))) {
            PyErr_Format(PyExc_ValueError, "no filter %s of this strength", name);
            return 0;
        }
        request->filters[i] = (Filter){known[k].kind, value};
    }
    request->filter_count = (int)count;
    return 1;
}

static int read_output(const char *name, Request *request) {
    static const char *const known[] = {"rgb", "444", "420"};
    for (int i = 0; i < 3; i++)
        if (strcmp(known[i], name) == 0) {
            request->output = (Output)i;
            return 1;
        }
    PyErr_Format(PyExc_ValueError, "no output %s", name);
    return 0;
}

static int read_request(PyObject *args, PyObject *kwargs, Request *request) {
    static char *names[] = {"divisor", "rows",   "box",     "size", "turns",
                            "filters", "output", "quality", NULL};
    PyObject *filters;
    const char *output;
    double *box = request->box;
    int divisor;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i(ii)(dddd)(ii)iO!s|i", names, &divisor,
                                     &request->top, &request->bottom, &box[0], &box[1], &box[2],
                                     &box[3], &request->width, &request->height, &request->turns,
                                     &PyTuple_Type, &filters, &output, &request->quality))
        return 0;
    if (divisor != 1 && divisor != 2 && divisor != 4 && divisor != 8) {
        PyErr_SetString(PyExc_ValueError, "the divisor is 1, 2, 4 or 8");
        return 0;
    }
    request->divisor = divisor;
    return read_output(output, request) && read_filters(filters, request);
}

/* ---- rendering ---- */

static PyObject *failure(const State *state, Status status) {
    if (status == KERNEL_NO_MEMORY) return PyErr_NoMemory();
    if (status == KERNEL_BAD_REQUEST)
        PyErr_SetString(PyExc_ValueError, "the box, rows or size are not of this image");
    else if (status == KERNEL_CANNOT_ENCODE)
        PyErr_SetString(PyExc_RuntimeError, "libjpeg refused to encode planes");
    else
        PyErr_SetString(state->unreadable, "not a JPEG that the kernel reads");
    return NULL;
}

static PyObject *result_of(const Context *context, const Request *request) {
    if (request->output != OUTPUT_RGB)
        return PyBytes_FromStringAndSize((const char *)context->memory[SLOT_ENCODED].bytes,
                                         (Py_ssize_t)context->encoded_size);
    Py_ssize_t size = (Py_ssize_t)context->result[0].width * context->result[0].height * 3;
    PyObject *pixels = PyByteArray_FromStringAndSize(NULL, size);
    if (pixels == NULL) return NULL;
    uint8_t *out = (uint8_t *)PyByteArray_AsString(pixels);
    Py_BEGIN_ALLOW_THREADS
    write_rgb(context, out);
    Py_END_ALLOW_THREADS
    return pixels;
}

static PyObject *render_image(PyObject *self, PyObject *args, PyObject *kwargs) {
    Image *image = (Image *)self;
    Request request = {.quality = 90};
    if (!read_request(args, kwargs, &request)) return NULL;
    if (image->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this image");
        return NULL;
    }
    if (image->context == NULL) image->context = take_context(image->state);
    if (image->context == NULL) return PyErr_NoMemory();
    Context *context = image->context;
    Status status;
    context->vectors = image->vectors;
    image->is_busy = 1;
    Py_BEGIN_ALLOW_THREADS
    status = render(context, image->data.buf, (size_t)image->data.len, image->width,
                    image->height, &request);
    Py_END_ALLOW_THREADS
    image->is_busy = 0;
    return status == KERNEL_OK ? result_of(context, &request) : failure(image->state, status);
}

static PyMethodDef methods[] = {
    {"render", (PyCFunction)(void (*)(void))render_image, METH_VARARGS | METH_KEYWORDS,
     "Return a new JPEG as bytes, or RGB pixels as a bytearray."},
    {"close", close_image, METH_NOARGS, "Forget what is decoded."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new_image},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Image(data, width, height, vectors='')\n\nA stored JPEG of this size."},
    {0, NULL},
};

static PyType_Spec spec = {"wdsremux.transforms.kernel._native.Image", sizeof(Image), 0,
                           Py_TPFLAGS_DEFAULT, slots};

/* ---- the module ---- */

static int fill_module(PyObject *module) {
    State *state = PyModule_GetState(module);
    char version[32];
    /* The first context shows whether the libjpeg loaded is the one compiled for. */
    Context *first = context_new();
    if (first == NULL) {
        PyErr_SetString(PyExc_ImportError, "libjpeg-turbo is not the one that was compiled for");
        return -1;
    }
    give_back(state, first);
    state->unreadable = PyErr_NewException("wdsremux.transforms.kernel._native.UnreadableError",
                                           PyExc_ValueError, NULL);
    state->image = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (state->unreadable == NULL || state->image == NULL) return -1;
    if (PyModule_AddObjectRef(module, "UnreadableError", state->unreadable) < 0) return -1;
    if (PyModule_AddObjectRef(module, "Image", state->image) < 0) return -1;
    snprintf(version, sizeof version, "%d.%d.%d", LIBJPEG_TURBO_VERSION_NUMBER / 1000000,
             LIBJPEG_TURBO_VERSION_NUMBER / 1000 % 1000, LIBJPEG_TURBO_VERSION_NUMBER % 1000);
    if (PyModule_AddStringConstant(module, "LIBJPEG_TURBO", version) < 0) return -1;
    return PyModule_AddStringConstant(module, "VECTORS", vectors_by_name("")->name);
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    State *state = PyModule_GetState(module);
    Py_VISIT(state->unreadable);
    Py_VISIT(state->image);
    return 0;
}

static int clear(PyObject *module) {
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->unreadable);
    Py_CLEAR(state->image);
    return 0;
}

static void free_module(void *module) {
    State *state = PyModule_GetState(module);
    while (state->idle_count) context_free(state->idle[--state->idle_count]);
    clear(module);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill_module}, {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "See kernel.h.", sizeof(State), NULL,
    module_slots,          traverse,  clear,           free_module,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
