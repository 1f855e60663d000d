//go:build !unix

package weights

import "os"

// mappedFile is a file whose long reads copy from a memory map, where there are
// such maps.
type mappedFile struct{ *os.File }
