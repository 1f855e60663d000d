package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// wheelPython is the CPython that the wheel is asked for, whichever one runs pip: every supported version has
// a wheel for it, and what is taken from the wheel does not depend on Python.
const wheelPython = "3.11"

// wheelPlatforms are the tags that wheels of torch and of CUDA's libraries carry; pip matches them to the
// letter. %s is the machine.
var wheelPlatforms = []string{
	"manylinux_2_28_%s", "manylinux_2_27_%s", "manylinux_2_26_%s", "manylinux_2_25_%s", "manylinux_2_24_%s",
	"manylinux_2_17_%s", "manylinux2014_%s", "manylinux1_%s", "linux_%s",
}

// fetchWheel takes libtorch out of PyTorch's wheel. Wheels are built for CUDA, and their libtorch_cpu.so needs
// two small libraries of CUDA even where no CUDA is used: they come from NVIDIA's wheels of the versions that
// PyTorch's metadata asks for. The layout is that of site-packages, so that the libraries find each other.
func (f *fetcher) fetchWheel(ctx context.Context, tmp, dst string) error {
	fmt.Fprintf(f.log, "gojepa: fetching libtorch %s (PyTorch's wheel, 500 to 900 MB, once).\n", f.version)
	wheel, err := f.pipDownload(ctx, tmp, "torch=="+f.version.String(), f.log)
	if err != nil {
		return err
	}
	fmt.Fprintf(f.log, "gojepa: unpacking.\n")
	pkg, err := openPackage(wheel)
	if err != nil {
		return err
	}
	defer pkg.Close()
	if err := pkg.extractMatching(ctx, dst, func(name string) bool {
		return strings.HasPrefix(name, "torch/include/") || name == "torch/version.py"
	}); err != nil {
		return err
	}
	missing, err := pkg.extractLibraries(ctx, dst, []string{"libtorch_cpu.so", "libc10.so"})
	if err != nil || len(missing) == 0 {
		return err
	}
	requirements, err := f.cudaRequirements(ctx, tmp, pkg)
	if err != nil {
		return err
	}
	for _, soname := range missing {
		name := requirementFor(soname, requirements)
		if name == "" {
			return fmt.Errorf("the libtorch of PyTorch %s needs %s, and no package that it requires is known to hold that: set TORCH to another version", f.version, soname)
		}
		if err := f.fetchLibrary(ctx, tmp, dst, requirements[name], soname); err != nil {
			return err
		}
	}
	return checkLoadable(filepath.Join(dst, "torch", "lib"))
}

// fetchLibrary takes one shared library out of a wheel.
func (f *fetcher) fetchLibrary(ctx context.Context, tmp, dst, requirement, soname string) error {
	wheel, err := f.pipDownload(ctx, tmp, requirement, nil)
	if err != nil {
		return err
	}
	pkg, err := openPackage(wheel)
	if err != nil {
		return err
	}
	defer pkg.Close()
	_, err = pkg.extractLibraries(ctx, dst, []string{soname})
	return err
}

// cudaRequirements are the packages that a PyTorch wheel requires by an exact version: name to requirement. From 2.11 on
// the wheel requires cuda-toolkit, a package without content that requires the rest.
func (f *fetcher) cudaRequirements(ctx context.Context, tmp string, pkg *archivePackage) (map[string]string, error) {
	metadata, err := pkg.metadata()
	if err != nil {
		return nil, err
	}
	found := pinned(metadata)
	toolkit, ok := found["cuda-toolkit"]
	if !ok {
		return found, nil
	}
	wheel, err := f.pipDownload(ctx, tmp, toolkit, nil)
	if err != nil {
		return nil, err
	}
	toolkitPkg, err := openPackage(wheel)
	if err != nil {
		return nil, err
	}
	defer toolkitPkg.Close()
	if metadata, err = toolkitPkg.metadata(); err != nil {
		return nil, err
	}
	for name, requirement := range pinned(metadata) {
		found[name] = requirement
	}
	return found, nil
}

// Requires-Dist: nvidia-cuda-cupti-cu12 (==12.1.105) ; platform_system == "Linux"
// Requires-Dist: nvidia-cuda-cupti==13.0.85.*; sys_platform == 'linux' and extra == 'cupti'
// Requires-Dist: cuda-toolkit[cudart,cupti]==13.0.2; platform_system == "Linux"
var requiresDist = regexp.MustCompile(`(?m)^Requires-Dist:\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?==([0-9][0-9A-Za-z.]*?)(?:\.\*)?\)?\s*(?:;.*)?\r?$`)

func pinned(metadata []byte) map[string]string {
	found := map[string]string{}
	for _, m := range requiresDist.FindAllSubmatch(metadata, -1) {
		name := strings.ToLower(string(m[1]))
		found[name] = name + "==" + string(m[2])
	}
	return found
}

// requirementFor is the package that holds a shared library: libcupti.so.12 is in nvidia-cuda-cupti-cu12.
func requirementFor(soname string, requirements map[string]string) string {
	stem, _, _ := strings.Cut(strings.TrimPrefix(soname, "lib"), ".so")
	if stem == "cudart" {
		stem = "runtime"
	}
	pattern := regexp.MustCompile(`(?i)^nvidia-(cuda-)?` + regexp.QuoteMeta(stem) + `(-cu\d+)?$`)
	for name := range requirements {
		if pattern.MatchString(name) {
			return name
		}
	}
	return ""
}

// pipDownload fetches one wheel, which pip checks against the hash that the index states, and returns its path.
// What pip says about its progress goes to progress, if not nil.
func (f *fetcher) pipDownload(ctx context.Context, tmp, requirement string, progress io.Writer) (string, error) {
	dir, err := os.MkdirTemp(tmp, "wheel-")
	if err != nil {
		return "", notWritable(tmp, err)
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	args := []string{
		"-m", "pip", "download", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--only-binary=:all:",
		"--python-version", wheelPython, "--implementation", "cp", "--dest", dir,
	}
	for _, p := range wheelPlatforms {
		args = append(args, "--platform", fmt.Sprintf(p, machine))
	}
	cmd := exec.CommandContext(ctx, "python3", append(args, requirement)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if progress != nil {
		cmd.Stdout = progress // pip draws its bar there, if it is a terminal
	}
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("pip could not download %s (%s): check the network and the free disk space and run it again, or set LIBTORCH to a libtorch that you have",
			requirement, lastError(stderr.String(), err))
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil {
		return "", err
	}
	if len(wheels) != 1 {
		return "", errors.New("pip said that it downloaded " + requirement + " and left no wheel: upgrade pip and run it again")
	}
	return wheels[0], nil
}

// lastError is the last line that pip marks as an error.
func lastError(stderr string, err error) string {
	line := err.Error()
	for _, l := range strings.Split(stderr, "\n") {
		if rest, ok := strings.CutPrefix(l, "ERROR: "); ok {
			line = strings.TrimRight(rest, ". \r")
		}
	}
	return line
}
