package torch

// #include <stdlib.h>
// #include "profile.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// profile is what a thread knows of the profile that it is in.
type profile struct {
	on    bool
	whole unsafe.Pointer   // the span of it all
	spans []unsafe.Pointer // that are open, the innermost last
}

// ProfileSpan is the name of the span that lasts as long as a profile, the first in its trace.
const ProfileSpan = "profile"

// StartProfile has libtorch note when each operation of this thread, and of those that work for it, begins and ends, and on CUDA
// those of the device, until [Scope.StopProfile]. It changes nothing of what is computed. The time is that of the beginning of the
// span [ProfileSpan], by which a trace's clock is compared with Go's. A process can have one profile at a time.
func (s *Scope) StartProfile() (began time.Time, err error) {
	p := &s.th.profile
	if p.on {
		return began, fmt.Errorf("starting a profile: this thread has one already")
	}
	if msg := message(C.gojepa_profile_start(C.int(boolToInt(s.th.device.IsCUDA())))); msg != "" {
		return began, fmt.Errorf("starting a profile: %s", msg)
	}
	p.on = true
	began = time.Now()
	p.whole = begin(ProfileSpan)
	return began, nil
}

// StopProfile ends the profile that StartProfile began on the same thread, and writes it to a file: a Chrome trace, JSON that
// chrome://tracing and Perfetto show.
func (s *Scope) StopProfile(path string) error {
	p := &s.th.profile
	if !p.on {
		return fmt.Errorf("ending a profile: this thread has none")
	}
	p.endSpans(0)
	C.gojepa_span_end(p.whole)
	*p = profile{}
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	if msg := message(C.gojepa_profile_stop(c)); msg != "" {
		return fmt.Errorf("%s: writing a profile: %s", path, msg)
	}
	return nil
}

// Span begins a part of the work that has a name in profiles. It ends when the function returned is called, with all that began
// in it, or else with the thread's closure. Where there is no profile it costs nothing.
func (s *Scope) Span(name string) (end func()) {
	p := &s.th.profile
	if !p.on {
		return unprofiled
	}
	depth := len(p.spans)
	p.spans = append(p.spans, begin(name))
	return func() { p.endSpans(depth) }
}

func unprofiled() {}

func begin(name string) unsafe.Pointer {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return C.gojepa_span_begin(c)
}

// endSpans ends those that are open but for the outer ones.
func (p *profile) endSpans(outer int) {
	for n := len(p.spans); n > outer; n = len(p.spans) {
		C.gojepa_span_end(p.spans[n-1])
		p.spans = p.spans[:n-1]
	}
}
