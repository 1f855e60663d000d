package npy

import "io"

// FormatHeader is the header of an array of so many rows of the given shape. Its length does not depend on the number of
// rows, so that one may be written first and the true one in its place.
func FormatHeader[T Number](rows int, row ...int) []byte {
	return formatHeader(descr[T](), append([]int{rows}, row...))
}

// Encode writes elements as they follow a header.
func Encode[T Number](w io.Writer, data []T) error { return encodeTo(w, data) }
