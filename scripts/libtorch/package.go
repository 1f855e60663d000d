package main

import (
	"archive/zip"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// archivePackage is a zip that holds libraries: a wheel or an official archive.
type archivePackage struct {
	*zip.ReadCloser
	path   string
	rename func(string) string // from a name in the zip to one in the destination
}

func openPackage(file string) (*archivePackage, error) {
	r, err := zip.OpenReader(file)
	if err != nil {
		return nil, corrupt(file, err)
	}
	return &archivePackage{ReadCloser: r, path: file, rename: func(s string) string { return s }}, nil
}

func corrupt(file string, err error) error {
	return fmt.Errorf("the download %s is corrupt (%w): run it again", filepath.Base(file), err)
}

// metadata is the text that a wheel states its requirements in.
func (p *archivePackage) metadata() ([]byte, error) {
	for _, f := range p.File {
		if strings.HasSuffix(f.Name, ".dist-info/METADATA") && strings.Count(f.Name, "/") == 1 {
			r, err := f.Open()
			if err != nil {
				return nil, corrupt(p.path, err)
			}
			defer r.Close()
			text, err := io.ReadAll(r)
			if err != nil {
				return nil, corrupt(p.path, err)
			}
			return text, nil
		}
	}
	return nil, corrupt(p.path, errors.New("it has no METADATA"))
}

// extractMatching unpacks the files whose new names are chosen.
func (p *archivePackage) extractMatching(ctx context.Context, dst string, chosen func(string) bool) error {
	for _, f := range p.File {
		name := p.rename(f.Name)
		if strings.HasSuffix(name, "/") || !chosen(name) {
			continue
		}
		if err := p.extract(ctx, f, filepath.Join(dst, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

// extractLibraries unpacks shared libraries and those of the package that they need in turn, and returns the
// names of the needed ones that neither the package nor the system has.
func (p *archivePackage) extractLibraries(ctx context.Context, dst string, sonames []string) (missing []string, err error) {
	files := map[string]*zip.File{}
	for _, f := range p.File {
		name := p.rename(f.Name)
		if dir := path.Base(path.Dir(name)); dir == "lib" || strings.HasSuffix(dir, ".libs") {
			files[path.Base(name)] = f
		}
	}
	seen := map[string]bool{}
	queue := append([]string(nil), sonames...)
	for len(queue) > 0 {
		soname := queue[0]
		queue = queue[1:]
		if seen[soname] || ofSystem(soname) {
			continue
		}
		seen[soname] = true
		f, ok := files[soname]
		if !ok {
			missing = append(missing, soname)
			continue
		}
		file := filepath.Join(dst, filepath.FromSlash(p.rename(f.Name)))
		if err := p.extract(ctx, f, file); err != nil {
			return nil, err
		}
		needed, _, err := dependencies(file)
		if err != nil {
			return nil, corrupt(p.path, err)
		}
		queue = append(queue, needed...)
	}
	sort.Strings(missing)
	return missing, nil
}

// extract unpacks one file; reading it to its end checks its CRC-32.
func (p *archivePackage) extract(ctx context.Context, f *zip.File, file string) error {
	if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
		return corrupt(p.path, fmt.Errorf("it holds a file named %q", f.Name))
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return notWritable(file, err)
	}
	r, err := f.Open()
	if err != nil {
		return corrupt(p.path, err)
	}
	defer r.Close()
	mode := os.FileMode(0o644)
	if strings.Contains(filepath.Base(file), ".so") {
		mode = 0o755
	}
	w, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return notWritable(file, err)
	}
	from := &source{ctx: ctx, r: r}
	_, err = io.Copy(w, from)
	closeErr := w.Close()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case from.err != nil:
		return corrupt(p.path, from.err)
	case err != nil:
		return notWritable(file, err)
	case closeErr != nil:
		return notWritable(file, closeErr)
	}
	return nil
}

// source reads until the context ends, and keeps the reader's error apart from the writer's.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// dependencies are the names of the libraries that a shared library needs, and the folders where it looks.
func dependencies(file string) (needed, runpath []string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if needed, err = f.ImportedLibraries(); err != nil {
		return nil, nil, err
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, err := f.DynString(tag)
		if err != nil {
			return nil, nil, err
		}
		for _, v := range values {
			for _, dir := range strings.Split(v, ":") {
				dir = strings.NewReplacer("$ORIGIN", filepath.Dir(file), "${ORIGIN}", filepath.Dir(file)).Replace(dir)
				runpath = append(runpath, filepath.Clean(dir))
			}
		}
	}
	return needed, runpath, nil
}

// checkLoadable follows what libtorch_cpu.so and libc10.so need: each library has to lie where the one that
// needs it looks.
func checkLoadable(dir string) error {
	seen := map[string]bool{}
	queue := []string{filepath.Join(dir, "libtorch_cpu.so"), filepath.Join(dir, "libc10.so")}
	for len(queue) > 0 {
		file := queue[0]
		queue = queue[1:]
		if seen[file] {
			continue
		}
		seen[file] = true
		needed, runpath, err := dependencies(file)
		if err != nil {
			return fmt.Errorf("%s cannot be read (%w): run it again", file, err)
		}
	next:
		for _, soname := range needed {
			if ofSystem(soname) {
				continue
			}
			for _, folder := range runpath {
				if path := filepath.Join(folder, soname); isFile(path) {
					queue = append(queue, path)
					continue next
				}
			}
			return fmt.Errorf("%s needs %s and does not find it beside itself: set TORCH to another version", filepath.Base(file), soname)
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// glibc and GCC's run time, which every machine with g++ has.
var systemLibrary = regexp.MustCompile(`^(lib(c|m|dl|rt|pthread|util|gcc_s|stdc\+\+)|ld-linux[a-z0-9_-]*)\.so(\.\d+)*$`)

func ofSystem(soname string) bool { return systemLibrary.MatchString(soname) }
