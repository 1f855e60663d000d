package torch

import "github.com/sugarme/gotch/libtch"

// NoGrad runs f without recording operations for gradients. It nests, and restores the mode that it found.
func (s *Scope) NoGrad(f func()) { s.gradMode(false, f) }

// EnableGrad runs f with operations recorded, inside a NoGrad for instance. It nests, and restores the mode that it
// found.
func (s *Scope) EnableGrad(f func()) { s.gradMode(true, f) }

func (s *Scope) gradMode(on bool, f func()) {
	was := gradEnabled() // libtch's own answer has undefined upper bits
	libtch.AtGradSetEnabled(boolToInt(on))
	defer libtch.AtGradSetEnabled(boolToInt(was))
	f()
}

// GradEnabled reports whether operations are recorded for gradients.
func (s *Scope) GradEnabled() bool { return gradEnabled() }

// Autocast runs f with matrix products, convolutions and their like cast to dtype (BFloat16, or Float16 on CUDA) on the
// thread's device, CPU or CUDA; Float32 switches casting off inside. Gradients of float32 parameters stay float32. It
// nests, and restores the state that it found.
func (s *Scope) Autocast(dtype DType, f func()) {
	was := getAutocast(s.th.device)
	now := autocastState{enabled: dtype != Float32, dtype: dtype}
	if !now.enabled {
		now.dtype = was.dtype
	}
	enterAutocast()
	setAutocast(s.th.device, now)
	defer func() {
		setAutocast(s.th.device, was)
		leaveAutocast()
	}()
	f()
}

// AutocastDType is the type that matrix products are cast to, and whether autocast is on.
func (s *Scope) AutocastDType() (DType, bool) {
	a := getAutocast(s.th.device)
	return a.dtype, a.enabled
}

// NumThreads is the number of intra-op threads that libtorch uses on the scope's thread.
func (s *Scope) NumThreads() int { return getNumThreads() }
