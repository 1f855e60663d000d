// JPEG by libjpeg-turbo, for turbo.go.

#include <stddef.h>
#include <stdint.h>

#define TURBO_MESSAGE 240 // bytes of an error's text

// turbo_library is what is called of libjpeg-turbo.
typedef struct turbo_library turbo_library;

// turbo_load opens the library of that name, a path or what the system's loader looks for. It returns NULL and says why
// if that is not libjpeg-turbo.
turbo_library *turbo_load(const char *name, char *message);

// turbo_decode decodes a file of width × height pixels, reduced by 1, 2, 4 or 8, into planes: 3 of red, green and blue, or 1
// of grey. It returns 0, or 1 with a reason; the planes may then hold anything.
int turbo_decode(const turbo_library *lib, const uint8_t *data, size_t length, long width, long height, int reduce,
                 uint8_t *planes, int channels, char *message);
