// Package cmdtest has what tests of several commands make.
package cmdtest

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Folder makes n images of two classes, bright above or bright below.
func Folder(t *testing.T, n int) string {
	dir := t.TempDir()
	for i := range n {
		class := []string{"above", "below"}[i%2]
		m := image.NewGray(image.Rect(0, 0, 20, 20))
		for y := range 20 {
			for x := range 20 {
				m.SetGray(x, y, color.Gray{Y: uint8(10*(i%9) + x + 100*((y/10+i)%2))})
			}
		}
		require.NoError(t, os.MkdirAll(filepath.Join(dir, class), 0o755))
		f, err := os.Create(filepath.Join(dir, class, fmt.Sprintf("%03d.png", i)))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, m))
		require.NoError(t, f.Close())
	}
	return dir
}
