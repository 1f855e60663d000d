package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	defaultVersion = "2.11.0"
	oldestMinor    = 1
	newestMinor    = 11
)

// version is a release of libtorch.
type version struct {
	major, minor, patch int
	full                string // as libtorch names itself: 2.11.0 or 2.11.0+cu130
}

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

func (v version) same(w version) bool {
	return v.major == w.major && v.minor == w.minor && v.patch == w.patch
}

func (v version) supported() bool {
	return v.major == 2 && v.minor >= oldestMinor && v.minor <= newestMinor
}

var supportedRange = fmt.Sprintf("2.%d to 2.%d", oldestMinor, newestMinor)

// wanted is the version asked for. It is the default one, and not explicit, where TORCH is not set.
type wanted struct {
	version
	explicit bool
}

var versionPattern = regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)(\S*)$`)

func parseVersion(s string) (version, bool) {
	m := versionPattern.FindStringSubmatch(s)
	if m == nil {
		return version{}, false
	}
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(m[i+1]); err != nil {
			return version{}, false
		}
	}
	return version{major: n[0], minor: n[1], patch: n[2], full: s}, true
}

func parseWanted(s string) (wanted, error) {
	if s == "" {
		v, _ := parseVersion(defaultVersion)
		return wanted{version: v}, nil
	}
	v, ok := parseVersion(s)
	if !ok || v.full != v.String() || !v.supported() {
		return wanted{}, fmt.Errorf("TORCH=%s is not a supported version: use one from %s written in full, as in TORCH=%s",
			s, supportedRange, defaultVersion)
	}
	return wanted{version: v, explicit: true}, nil
}

// libtorch is a folder with lib/ and include/, as the official archive and the Python package have them.
type libtorch struct {
	dir     string
	version version
	newABI  bool // std::string and std::list of GCC 5 and later, what _GLIBCXX_USE_CXX11_ABI=1 means
}

var errNoLibtorch = errors.New("no libtorch")

// inspect reads what a libtorch folder says about itself. It loads nothing. The error wraps errNoLibtorch
// where the folder is not one.
func inspect(dir string) (*libtorch, error) {
	for _, file := range []string{"lib/libtorch_cpu.so", "lib/libc10.so", "include/torch/script.h"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			return nil, fmt.Errorf("%w: it lacks %s", errNoLibtorch, file)
		}
	}
	v, err := readVersion(dir)
	if err != nil {
		return nil, err
	}
	newABI, err := usesNewABI(filepath.Join(dir, "lib", "libc10.so"))
	if err != nil {
		return nil, err
	}
	return &libtorch{dir: dir, version: v, newABI: newABI}, nil
}

var (
	headerNumber  = regexp.MustCompile(`(?m)^\s*#\s*define\s+TORCH_VERSION_(MAJOR|MINOR|PATCH)\s+(\d+)`)
	pythonVersion = regexp.MustCompile(`(?m)^__version__ = '([^']+)'`)
)

// readVersion prefers the headers, which every libtorch has, and takes the suffix (+cpu, +cu130) from where
// the Python package or the archive says it.
func readVersion(dir string) (version, error) {
	numbers := map[string]string{}
	for _, file := range []string{"torch/csrc/api/include/torch/version.h", "torch/headeronly/version.h"} {
		text, err := os.ReadFile(filepath.Join(dir, "include", file))
		if err != nil {
			continue
		}
		for _, m := range headerNumber.FindAllSubmatch(text, -1) {
			numbers[string(m[1])] = string(m[2])
		}
	}
	v, ok := parseVersion(numbers["MAJOR"] + "." + numbers["MINOR"] + "." + numbers["PATCH"])
	if !ok {
		return version{}, fmt.Errorf("%w: its version.h names no version", errNoLibtorch)
	}
	for _, full := range []string{fromVersionPy(dir), fromBuildVersion(dir)} {
		if w, ok := parseVersion(full); ok && w.same(v) {
			return w, nil
		}
	}
	return v, nil
}

func fromVersionPy(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "version.py"))
	if err != nil {
		return ""
	}
	if m := pythonVersion.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

func fromBuildVersion(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "build-version"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// usesNewABI looks at the mangled name of c10::Error's constructor, which takes a std::string.
func usesNewABI(libc10 string) (bool, error) {
	f, err := elf.Open(libc10)
	if err != nil {
		return false, fmt.Errorf("%w: lib/libc10.so is no shared library (%v)", errNoLibtorch, err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return false, fmt.Errorf("%w: lib/libc10.so has no symbols (%v)", errNoLibtorch, err)
	}
	for _, s := range symbols {
		if rest, ok := strings.CutPrefix(s.Name, "_ZN3c105ErrorC1ENS_14SourceLocationE"); ok {
			return strings.Contains(rest, "__cxx11"), nil
		}
	}
	return false, fmt.Errorf("%w: lib/libc10.so does not export c10::Error", errNoLibtorch)
}

// fromEnvironment is the libtorch that $LIBTORCH names: the folder itself or the one that holds torch/.
func fromEnvironment(dir string, want wanted) (*libtorch, error) {
	lib, err := inspect(dir)
	if err != nil {
		if inner, innerErr := inspect(filepath.Join(dir, "torch")); innerErr == nil {
			lib, err = inner, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("$LIBTORCH (%s) holds %v: point it at a libtorch folder or at site-packages/torch, or unset it to have one fetched", dir, err)
	}
	if !lib.version.supported() {
		return nil, fmt.Errorf("$LIBTORCH (%s) holds libtorch %s and gojepa supports %s: point it at another one, or unset it to have %s fetched",
			dir, lib.version.full, supportedRange, defaultVersion)
	}
	if want.explicit && !lib.version.same(want.version) {
		return nil, fmt.Errorf("$LIBTORCH (%s) holds libtorch %s and TORCH asks for %s: unset one of the two",
			dir, lib.version.full, want)
	}
	return lib, nil
}

// fromPython is the PyTorch that the python3 on PATH would import, or nil. The note says, for a PyTorch that
// was found, why it is not used.
func fromPython(ctx context.Context, want wanted) (lib *libtorch, note string) {
	const script = `
import importlib.util
spec = importlib.util.find_spec("torch")
print(spec.origin if spec and spec.origin else "")`
	cmd := exec.CommandContext(ctx, "python3", "-c", script)
	cmd.Dir = "/" // python3 -c looks for modules in the working folder, and this repository has a torch/
	out, err := cmd.Output()
	if err != nil {
		return nil, ""
	}
	origin := string(bytes.TrimSpace(out))
	if origin == "" {
		return nil, ""
	}
	lib, err = inspect(filepath.Dir(origin))
	switch {
	case err != nil:
		return nil, fmt.Sprintf("python3's torch is not used: %v", err)
	case !lib.version.supported():
		return nil, fmt.Sprintf("python3's torch is not used: it is %s and gojepa supports %s", lib.version.full, supportedRange)
	case want.explicit && !lib.version.same(want.version):
		return nil, fmt.Sprintf("python3's torch is not used: it is %s and TORCH asks for %s", lib.version.full, want)
	}
	return lib, ""
}

// checkCompilers looks for the C and C++ compilers that cgo would run.
func checkCompilers(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "env", "CC", "CXX").Output()
	if err != nil {
		return fmt.Errorf("`go env` failed (%v): check the Go installation", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name, _, _ := strings.Cut(line, " ")
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("the compiler %s was not found: install g++ (on Debian and Ubuntu: apt-get install g++), or set CC and CXX", name)
		}
	}
	return nil
}
