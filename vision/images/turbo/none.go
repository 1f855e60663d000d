//go:build !cgo

package turbo

import "errors"

// Library is libjpeg-turbo, which a build without cgo cannot reach.
type Library struct{ none struct{} }

// Find returns an error: this build has no cgo.
func Find() (*Library, error) {
	return nil, errors.New("libjpeg-turbo is not used: this program was built without cgo")
}

// Name is empty.
func (l *Library) Name() string { return "" }

// Decode panics: there is no Library.
func (l *Library) Decode([]uint8, []byte, Frame, int, int) error { panic("turbo: no library") }
