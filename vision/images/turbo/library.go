//go:build cgo

package turbo

// #cgo CFLAGS: -O3
// #cgo linux LDFLAGS: -ldl
// #cgo noescape turbo_decode
// #cgo nocallback turbo_decode
// #include <stdlib.h>
// #include "turbo.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Library is libjpeg-turbo. It is safe for concurrent use.
type Library struct {
	name string
	lib  *C.turbo_library // stays open
}

// Find returns this machine's library. It is looked for once, where the system's loader does, and on macOS where Homebrew
// puts it.
func Find() (*Library, error) { return found() }

var found = sync.OnceValues(find)

func find() (*Library, error) {
	names := []string{"libjpeg.so.62", "libjpeg.so.8"}
	if runtime.GOOS == "darwin" {
		names = nil
		for _, dir := range []string{"", "/opt/homebrew/opt/jpeg-turbo/lib/", "/usr/local/opt/jpeg-turbo/lib/"} {
			names = append(names, dir+"libjpeg.8.dylib", dir+"libjpeg.62.dylib")
		}
	}
	var errs []error
	for _, name := range names {
		l, err := Open(name)
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("libjpeg-turbo was not found: %w", errors.Join(errs...))
}

// Open opens the library of that path, or of a name that the system's loader looks for.
func Open(name string) (*Library, error) {
	path := C.CString(name)
	defer C.free(unsafe.Pointer(path))
	var message [C.TURBO_MESSAGE]byte
	lib := C.turbo_load(path, (*C.char)(unsafe.Pointer(&message[0])))
	if lib == nil {
		return nil, errors.New(text(message[:]))
	}
	return &Library{name: name, lib: lib}, nil
}

// text is what a C string holds.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// Name is what the library was found as.
func (l *Library) Name() string { return "libjpeg-turbo (" + l.name + ")" }

// Decode decodes a file whose frame is f, at 1/reduce of its size (1, 2, 4 or 8), into planes: 3 channels of red, green and
// blue, or 1 of grey, which is made of colours as Pillow does. dst has as many samples as that makes. What libjpeg-turbo
// only warns about, such as a file that ends early, is an error.
func (l *Library) Decode(dst []uint8, data []byte, f Frame, reduce, channels int) error {
	small := f.Reduced(reduce)
	if channels != 1 && channels != 3 || f.Width <= 0 || f.Height <= 0 || len(dst) != channels*small.Width*small.Height || len(data) == 0 {
		panic(fmt.Sprintf("turbo: Decode of %d bytes, %d×%d pixels by %d, into %d channels of %d samples in all",
			len(data), f.Width, f.Height, reduce, channels, len(dst)))
	}
	var message [C.TURBO_MESSAGE]byte
	if C.turbo_decode(l.lib, (*C.uint8_t)(unsafe.Pointer(&data[0])), C.size_t(len(data)), C.long(f.Width), C.long(f.Height), C.int(reduce),
		(*C.uint8_t)(unsafe.Pointer(&dst[0])), C.int(channels), (*C.char)(unsafe.Pointer(&message[0]))) != 0 {
		return errors.New(text(message[:]))
	}
	return nil
}
