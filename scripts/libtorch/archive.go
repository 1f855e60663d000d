package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const officialArchives = "https://download.pytorch.org/libtorch/cpu"

// fetchArchive takes libtorch out of the official archive for the CPU, for machines without pip.
func (f *fetcher) fetchArchive(ctx context.Context, tmp, dst string) error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("python3 with pip was not found, and the archive that needs neither exists for x86-64 only: install python3 with pip (on Debian and Ubuntu: apt-get install python3-pip)")
	}
	base := strings.TrimSuffix(f.archive, "/")
	if base == "" {
		base = officialArchives
	}
	fmt.Fprintf(f.log, "gojepa: fetching libtorch %s (the official archive for the CPU, 200 MB, once; there is no python3 with pip).\n", f.version)
	file := filepath.Join(tmp, "libtorch.zip")
	// Up to 2.7 the archive with the usual ABI of C++ has "cxx11-abi" in its name.
	err := errNotFound
	for _, name := range []string{"libtorch-cxx11-abi-shared-with-deps-%s%%2Bcpu.zip", "libtorch-shared-with-deps-%s%%2Bcpu.zip"} {
		if err = f.download(ctx, base+"/"+fmt.Sprintf(name, f.version), file); !errors.Is(err, errNotFound) {
			break
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(f.log, "gojepa: unpacking.\n")
	pkg, err := openPackage(file)
	if err != nil {
		return err
	}
	defer pkg.Close()
	pkg.rename = func(name string) string {
		if rest, ok := strings.CutPrefix(name, "libtorch/"); ok {
			return "torch/" + rest
		}
		return name
	}
	if err := pkg.extractMatching(ctx, dst, func(name string) bool {
		return strings.HasPrefix(name, "torch/include/") || name == "torch/build-version"
	}); err != nil {
		return err
	}
	if _, err := pkg.extractLibraries(ctx, dst, []string{"libtorch_cpu.so", "libc10.so"}); err != nil {
		return err
	}
	return checkLoadable(filepath.Join(dst, "torch", "lib"))
}

var errNotFound = errors.New("python3 with pip was not found, and the archive that needs neither does not exist for this version: install python3 with pip (on Debian and Ubuntu: apt-get install python3-pip)")

// download writes the body of url to a file. A body shorter than announced is an error.
func (f *fetcher) download(ctx context.Context, url, file string) error {
	failed := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the download of %s failed (%w): check the network and run it again, or install python3 with pip, or set LIBTORCH to a libtorch that you have", url, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return failed(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return failed(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusForbidden: // what the official host says of a file that it lacks
		return errNotFound
	default:
		return failed(errors.New(resp.Status))
	}
	w, err := os.Create(file)
	if err != nil {
		return notWritable(file, err)
	}
	from := &source{ctx: ctx, r: &progress{r: resp.Body, total: resp.ContentLength, log: f.log}}
	n, err := io.Copy(w, from)
	closeErr := w.Close()
	switch {
	case from.err != nil:
		return failed(from.err)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return notWritable(file, err)
	case closeErr != nil:
		return notWritable(file, closeErr)
	case resp.ContentLength >= 0 && n != resp.ContentLength:
		return failed(fmt.Errorf("%d of %d bytes came", n, resp.ContentLength))
	}
	return nil
}

// progress says every few seconds how much was read.
type progress struct {
	r           io.Reader
	total, done int64
	log         io.Writer
	last        time.Time
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	if now := time.Now(); now.Sub(p.last) > 3*time.Second {
		if !p.last.IsZero() {
			fmt.Fprintf(p.log, "gojepa: %d of %d MB.\n", p.done>>20, p.total>>20)
		}
		p.last = now
	}
	return n, err
}
