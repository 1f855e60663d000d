package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed gotch_compat.h
var compatHeader []byte

// stubs are the libraries that gotch's #cgo lines name and the build does without: empty archives under these
// names come first on the link path. CUDA's are loaded at run time where they exist; libtorch.so does nothing
// but pull in libtorch_cpu, which is linked, and libtorch_cuda.
var stubs = []string{
	"c10_cuda", "caffe2_nvrtc", "cublas", "cuda", "cudart", "cudnn",
	"nvToolsExt", "nvrtc", "nvrtc-builtins", "torch", "torch_cuda",
}

const emptyArchive = "!<arch>\n"

// variables writes what the build needs beside libtorch into the folder build, unless it is there, and returns
// the environment. Go's build cache is keyed by these values to the letter and does not see into the files
// that they name: hence build must be another folder for another version of libtorch.
func variables(lib *libtorch, build string) ([]variable, error) {
	for _, path := range []string{lib.dir, build} {
		if strings.ContainsAny(path, " \t\n'\"\\,$") {
			return nil, fmt.Errorf("the path %q holds a character that compiler flags cannot carry: set GOJEPA_HOME (or LIBTORCH) to a plain path", path)
		}
	}
	header := filepath.Join(build, "gotch_compat.h")
	if err := writeFile(header, compatHeader); err != nil {
		return nil, err
	}
	for _, name := range stubs {
		if err := writeFile(filepath.Join(build, "stubs", "lib"+name+".a"), []byte(emptyArchive)); err != nil {
			return nil, err
		}
	}
	abi := 0
	if lib.newABI {
		abi = 1
	}
	include, libs := filepath.Join(lib.dir, "include"), filepath.Join(lib.dir, "lib")
	return []variable{
		{"CGO_CXXFLAGS", fmt.Sprintf("-O2 -w -D_GLIBCXX_USE_CXX11_ABI=%d -include %s -I%s -I%s/torch/csrc/api/include", abi, header, include, include)},
		{"CGO_CFLAGS", "-O2 -w"},
		{"CGO_LDFLAGS", fmt.Sprintf("-L%s/stubs -L%s -Wl,-rpath,%s -Wl,--enable-new-dtags", build, libs, libs)},
		{"GOTCH_CACHE", filepath.Join(build, "gotch_cache")},
	}, nil
}

// writeFile puts content at path, in one step, unless it is there already.
func writeFile(path string, content []byte) error {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return notWritable(path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return notWritable(path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return notWritable(path, err)
	}
	return nil
}

// notWritable is the sentence for a file that could not be written.
func notWritable(path string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("%s cannot be written (%v): make room or set GOJEPA_HOME to a folder of yours", path, err)
}
