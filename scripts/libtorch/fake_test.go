package main

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests build tiny libraries with the names, symbols and dependencies of the real ones, pack them as wheels and
// as an official archive, and let the real pip find them in a folder.

const (
	newErrorSymbol = "_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
	oldErrorSymbol = "_ZN3c105ErrorC1ENS_14SourceLocationESs"
)

var compiled = map[string]string{}

// sharedLibrary compiles one that exports a symbol and needs others, and returns its bytes.
func sharedLibrary(t *testing.T, soname, symbol, rpath string, needed ...string) string {
	t.Helper()
	key := strings.Join(append([]string{soname, symbol, rpath}, needed...), "|")
	if text, ok := compiled[key]; ok {
		return text
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "a.c")
	require.NoError(t, os.WriteFile(source, []byte("int "+symbol+"(void) { return 0; }\n"), 0o644))
	args := []string{"-shared", "-fPIC", "-o", filepath.Join(dir, soname), source, "-Wl,-soname," + soname, "-Wl,--no-as-needed"}
	if rpath != "" {
		args = append(args, "-Wl,-rpath,"+rpath)
	}
	for _, n := range needed {
		file := filepath.Join(dir, "needed", n)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(sharedLibrary(t, n, "f", "")), 0o644))
		args = append(args, file)
	}
	out, err := exec.Command("cc", args...).CombinedOutput()
	require.NoError(t, err, string(out))
	text, err := os.ReadFile(filepath.Join(dir, soname))
	require.NoError(t, err)
	compiled[key] = string(text)
	return string(text)
}

// torchFiles are the files of a PyTorch of a version, by their names under torch/.
func torchFiles(t *testing.T, v, rpath string, needed ...string) map[string]string {
	t.Helper()
	parsed, ok := parseVersion(v)
	require.True(t, ok)
	n := strings.Split(parsed.String(), ".")
	symbol := newErrorSymbol
	if parsed.minor < 7 {
		symbol = oldErrorSymbol
	}
	return map[string]string{
		"version.py":             "__version__ = '" + v + "'\n",
		"__init__.py":            "raise ImportError('the set-up must not import torch')\n",
		"include/torch/script.h": "\n",
		"include/torch/csrc/api/include/torch/version.h": "#define TORCH_VERSION_MAJOR " + n[0] +
			"\n#define TORCH_VERSION_MINOR " + n[1] + "\n#define TORCH_VERSION_PATCH " + n[2] + "\n",
		"lib/libc10.so":        sharedLibrary(t, "libc10.so", symbol, "$ORIGIN"),
		"lib/libtorch_cpu.so":  sharedLibrary(t, "libtorch_cpu.so", "f", rpath, append([]string{"libc10.so", "libgomp.so.1"}, needed...)...),
		"lib/libgomp.so.1":     sharedLibrary(t, "libgomp.so.1", "f", ""),
		"lib/libtorch_cuda.so": "a large library that a CPU does not need",
	}
}

// writeTree writes files under dir.
func writeTree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
}

// writeZip writes an uncompressed zip, so that a test can damage a file in it.
func writeZip(t *testing.T, file, prefix string, files map[string]string) {
	t.Helper()
	f, err := os.Create(file)
	require.NoError(t, err)
	w := zip.NewWriter(f)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		e, err := w.CreateHeader(&zip.FileHeader{Name: prefix + name, Method: zip.Store})
		require.NoError(t, err)
		_, err = e.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
}

// writeWheel writes NAME-VERSION-TAG.whl with the metadata that pip reads.
func writeWheel(t *testing.T, dir, name, v, tag string, requires []string, files map[string]string) string {
	t.Helper()
	info := name + "-" + v + ".dist-info/"
	all := map[string]string{
		info + "WHEEL":  "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: " + tag + "\n",
		info + "RECORD": "",
		info + "METADATA": "Metadata-Version: 2.1\nName: " + strings.ReplaceAll(name, "_", "-") + "\nVersion: " + v + "\n" +
			strings.Join(append(requires, ""), "\n"),
	}
	for n, text := range files {
		all[n] = text
	}
	file := filepath.Join(dir, name+"-"+v+"-"+tag+".whl")
	writeZip(t, file, "", all)
	return file
}

// prefixed puts a folder before each name.
func prefixed(prefix string, files map[string]string) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		out[prefix+name] = text
	}
	return out
}

// wheels13 writes the wheels of a PyTorch that requires CUDA through cuda-toolkit, and returns torch's own.
func wheels13(t *testing.T, dir string) string {
	t.Helper()
	writeWheel(t, dir, "cuda_toolkit", "13.0.2", "py2.py3-none-any", []string{
		"Requires-Dist: nvidia-cuda-runtime==13.0.96.*; (sys_platform == 'linux' or sys_platform == 'win32') and extra == 'cudart'",
		"Requires-Dist: nvidia-cuda-cupti==13.0.85.*; (sys_platform == 'linux') and extra == 'cupti'",
	}, nil)
	writeWheel(t, dir, "nvidia_cuda_runtime", "13.0.96", "py3-none-manylinux2014_"+machine(t)+".manylinux_2_17_"+machine(t), nil,
		map[string]string{"nvidia/cu13/lib/libcudart.so.13": sharedLibrary(t, "libcudart.so.13", "f", "")})
	writeWheel(t, dir, "nvidia_cuda_cupti", "13.0.85", "py3-none-manylinux_2_25_"+machine(t), nil, map[string]string{
		"nvidia/cu13/lib/libcupti.so.13":    sharedLibrary(t, "libcupti.so.13", "f", ""),
		"nvidia/cu13/lib/libnvperf_host.so": "not needed",
	})
	return writeWheel(t, dir, "torch", "2.11.0", "cp311-cp311-manylinux_2_28_"+machine(t), []string{
		"Requires-Dist: filelock",
		`Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.2; platform_system == "Linux"`,
		`Requires-Dist: nvidia-cudnn-cu13==9.19.0.56; platform_system == "Linux"`,
	}, prefixed("torch/", torchFiles(t, "2.11.0+cu130", "$ORIGIN/../../nvidia/cu13/lib:$ORIGIN", "libcudart.so.13", "libcupti.so.13")))
}

// wheels12 writes those of an older PyTorch, which requires CUDA's packages itself.
func wheels12(t *testing.T, dir string) {
	t.Helper()
	writeWheel(t, dir, "nvidia_cuda_runtime_cu12", "12.1.105", "py3-none-manylinux1_"+machine(t), nil,
		map[string]string{"nvidia/cuda_runtime/lib/libcudart.so.12": sharedLibrary(t, "libcudart.so.12", "f", "")})
	writeWheel(t, dir, "torch", "2.1.2", "cp311-cp311-manylinux1_"+machine(t), []string{
		`Requires-Dist: nvidia-cuda-runtime-cu12 (==12.1.105) ; platform_system == "Linux" and platform_machine == "x86_64"`,
	}, prefixed("torch/", torchFiles(t, "2.1.2+cu121", "$ORIGIN/../../nvidia/cuda_runtime/lib:$ORIGIN", "libcudart.so.12")))
}

// damage changes one byte of a file within a zip, so that its checksum no longer fits.
func damage(t *testing.T, file, marker string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	i := strings.Index(string(text), marker)
	require.Positive(t, i)
	text[i] ^= 1
	require.NoError(t, os.WriteFile(file, text, 0o644))
}

func machine(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("uname", "-m").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
