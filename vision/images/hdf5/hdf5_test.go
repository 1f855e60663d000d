package hdf5

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open opens one of the files that scripts/golden/hdf5.py wrote.
func open(t testing.TB, name string) *File {
	z, err := zip.OpenReader("testdata/files.zip")
	require.NoError(t, err)
	defer z.Close()
	data, err := fs.ReadFile(z, name)
	require.NoError(t, err)
	require.Equal(t, name != "user_block.h5", Match(data))
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err, name)
	return f
}

// TestGolden reads every array of every file row by row; all bytes are those that h5py reads.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var golden map[string]map[string]struct {
		Shape  []int
		SHA256 string
	}
	require.NoError(t, json.Unmarshal(data, &golden))
	require.Len(t, golden, 5)
	for file, arrays := range golden {
		f := open(t, file)
		assert.Len(t, f.Datasets(), len(arrays), file)
		for name, want := range arrays {
			t.Run(file+"/"+name, func(t *testing.T) {
				d, err := f.Dataset(name)
				if file == "latest.h5" && name == "chunked" {
					require.EqualError(t, err, `dataset "chunked": a layout of version 4 is not supported: write it with libver="earliest"`)
					return
				}
				require.NoError(t, err)
				require.Equal(t, want.Shape, d.Shape)
				h := sha256.New()
				row := make([]byte, d.RowSize())
				for i := range d.Shape[0] {
					require.NoError(t, d.Row(row, i))
					h.Write(row)
				}
				assert.Equal(t, want.SHA256, hex.EncodeToString(h.Sum(nil)))
				assert.ErrorContains(t, d.Row(row, d.Shape[0]), "it has")
			})
		}
	}
}

func TestTypes(t *testing.T) {
	f := open(t, "types.h5")
	for name, want := range map[string]string{
		"u1": "8-bit unsigned integers", "i2": "16-bit signed integers", "f2": "16-bit floats", "f8": "64-bit floats",
		"b1": "8-bit unsigned integers", "big_f4": "32-bit floats",
	} {
		d, err := f.Dataset("plain/" + name)
		require.NoError(t, err)
		assert.Equal(t, want, d.Type.String(), name)
		assert.Equal(t, name == "b1", d.Boolean)
		assert.Equal(t, name == "big_f4", d.Order == binary.BigEndian)
	}
}

func TestRefused(t *testing.T) {
	f := open(t, "refused.h5")
	for name, want := range map[string]string{
		"lzf":     `dataset "lzf": filter 32000 (LZF) is not supported: expected deflate, shuffle or Fletcher 32`,
		"text":    `dataset "text": elements of class 3 and 2 bytes: expected integers or floats of up to 8`,
		"complex": `dataset "complex": elements of class`,
		"scalar":  `dataset "scalar": 0 dimensions: expected 1 to 32`,
		"missing": `there is no dataset "missing": it has ["complex" "lzf" "scalar" "text"]`,
	} {
		_, err := f.Dataset(name)
		assert.ErrorContains(t, err, want)
	}
	_, err := Open(bytes.NewReader([]byte("no")), 2)
	assert.EqualError(t, err, "no HDF5 signature")
}

func FuzzOpen(f *testing.F) {
	z, err := zip.OpenReader("testdata/files.zip")
	require.NoError(f, err)
	defer z.Close()
	for _, file := range z.File {
		data, err := fs.ReadFile(z, file.Name)
		require.NoError(f, err)
		if len(data) < 1<<14 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, name := range h.Datasets() {
			d, err := h.Dataset(name)
			if err != nil || d.RowSize() > 1<<16 || d.Shape[0] == 0 {
				continue
			}
			row := make([]byte, d.RowSize())
			_ = d.Row(row, 0)
			_ = d.Row(row, d.Shape[0]-1)
		}
	})
}
