package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// world is a machine to set up: a PATH with chosen programs, an environment and a folder of wheels.
type world struct {
	t             *testing.T
	env           map[string]string
	bin, home     string
	wheels, calls string // calls is the log of pip's invocations
	log           bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		t: t, bin: filepath.Join(dir, "bin"), home: filepath.Join(dir, "home"),
		wheels: filepath.Join(dir, "wheels"), calls: filepath.Join(dir, "calls"),
	}
	w.env = map[string]string{"GOJEPA_HOME": w.home, "GOJEPA_LIBTORCH_URL": "file:///nonexistent"}
	require.NoError(t, os.MkdirAll(w.bin, 0o755))
	require.NoError(t, os.MkdirAll(w.wheels, 0o755))
	for _, name := range []string{"go", "gcc", "g++", "sh"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is missing", name)
		}
		require.NoError(t, os.Symlink(real, filepath.Join(w.bin, name)))
	}
	t.Setenv("CC", "gcc")
	t.Setenv("CXX", "g++")
	return w
}

// usePath makes the world's programs the only ones. Fakes are compiled before.
func (w *world) usePath() { w.t.Setenv("PATH", w.bin) }

// python installs a python3 that has the torch at origin, if not empty, and a pip that copies the world's wheels: the
// real one takes a second each time.
func (w *world) python(origin string) {
	w.fakePython(fmt.Sprintf(`if [ "$1" = -c ]; then echo %q; exit; fi
[ "$3" = --version ] && exit
echo "$*" >>%q
while [ $# -gt 1 ]; do
	[ "$1" = --dest ] && dest=$2
	shift
done
cd %q && cp "$(echo "$1" | %q 's/-/_/g; s/==/-/')"-*.whl "$dest"`, origin, w.calls, w.wheels, lookPath(w.t, "sed")))
	require.NoError(w.t, os.Symlink(lookPath(w.t, "cp"), filepath.Join(w.bin, "cp")))
}

// pythonWithPip installs a python3 without torch that has the real pip, which knows only the world's wheels.
func (w *world) pythonWithPip() {
	real := realPython(w.t)
	if exec.Command(real, "-m", "pip", "--version").Run() != nil {
		w.t.Skip("python3 has no pip")
	}
	w.t.Setenv("PIP_CONFIG_FILE", os.DevNull)
	w.t.Setenv("PIP_NO_INDEX", "1")
	w.t.Setenv("PIP_FIND_LINKS", w.wheels)
	w.fakePython(fmt.Sprintf(`[ "$1" = -c ] && exit
echo "$*" >>%q
exec %q "$@"`, w.calls, real))
}

// realPython is the interpreter itself: python3 on PATH may be a script that needs other programs.
func realPython(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Skip("python3 is missing")
	}
	return strings.TrimSpace(string(out))
}

func (w *world) fakePython(body string) {
	file := filepath.Join(w.bin, "python3")
	require.NoError(w.t, os.RemoveAll(file))
	require.NoError(w.t, os.WriteFile(file, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
}

func (w *world) run() ([]variable, error) {
	w.usePath()
	return run(context.Background(), w.t.TempDir(), func(k string) string { return w.env[k] }, &w.log)
}

// fails runs the set-up and checks that its error is a sentence with the given parts, and that it left nothing
// in home but the lock.
func (w *world) fails(parts ...string) {
	w.t.Helper()
	_, err := w.run()
	require.Error(w.t, err)
	for _, p := range parts {
		assert.Contains(w.t, err.Error(), p)
	}
	assert.NotContains(w.t, err.Error(), "\n")
	assert.False(w.t, strings.HasSuffix(err.Error(), "."))
	w.homeHolds()
}

// homeHolds checks the names in home, beside the lock.
func (w *world) homeHolds(names ...string) {
	w.t.Helper()
	entries, err := os.ReadDir(w.home)
	if !os.IsNotExist(err) {
		require.NoError(w.t, err)
	}
	got := []string{}
	for _, e := range entries {
		if e.Name() != "lock" {
			got = append(got, e.Name())
		}
	}
	assert.ElementsMatch(w.t, names, got)
}

func TestWheelOfTheDefaultVersion(t *testing.T) {
	w := newWorld(t)
	wheels13(t, w.wheels)
	w.pythonWithPip()
	vars, err := w.run()
	require.NoError(t, err)
	w.homeHolds("libtorch-2.11.0")

	r := filepath.Join(w.home, "libtorch-2.11.0")
	assert.Equal(t, []variable{
		{"CGO_CXXFLAGS", "-O2 -w -D_GLIBCXX_USE_CXX11_ABI=1 -include " + r + "/build/gotch_compat.h -I" + r + "/torch/include -I" + r + "/torch/include/torch/csrc/api/include"},
		{"CGO_CFLAGS", "-O2 -w"},
		{"CGO_LDFLAGS", "-L" + r + "/build/stubs -L" + r + "/torch/lib -Wl,-rpath," + r + "/torch/lib -Wl,--enable-new-dtags"},
		{"GOTCH_CACHE", r + "/build/gotch_cache"},
	}, vars)
	var files []string
	require.NoError(t, filepath.Walk(r, func(p string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && !strings.Contains(p, "/stubs/") {
			files = append(files, strings.TrimPrefix(p, r+"/"))
		}
		return err
	}))
	assert.ElementsMatch(t, []string{
		"build/gotch_compat.h", "nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcupti.so.13",
		"torch/include/torch/csrc/api/include/torch/version.h", "torch/include/torch/script.h",
		"torch/lib/libc10.so", "torch/lib/libgomp.so.1", "torch/lib/libtorch_cpu.so", "torch/version.py",
	}, files)
	stubs, err := filepath.Glob(r + "/build/stubs/*.a")
	require.NoError(t, err)
	assert.Len(t, stubs, 11)

	// A second run says nothing, fetches nothing, and gives the same.
	w.log.Reset()
	require.NoError(t, os.RemoveAll(w.calls))
	again, err := w.run()
	require.NoError(t, err)
	assert.Equal(t, vars, again)
	assert.Empty(t, w.log.String())
	assert.NoFileExists(t, w.calls)
}

func TestWheelOfTheOldestVersion(t *testing.T) {
	w := newWorld(t)
	wheels12(t, w.wheels)
	w.pythonWithPip()
	w.env["TORCH"] = "2.1.2"
	vars, err := w.run()
	require.NoError(t, err)
	assert.Contains(t, vars[0].value, "-D_GLIBCXX_USE_CXX11_ABI=0 ")
	assert.FileExists(t, filepath.Join(w.home, "libtorch-2.1.2/nvidia/cuda_runtime/lib/libcudart.so.12"))
}

func TestRequirements(t *testing.T) {
	got := pinned([]byte("Requires-Dist: filelock\nRequires-Dist: nvidia-cuda-cupti-cu12 (==12.1.105) ; platform_system == \"Linux\"\n" +
		"Requires-Dist: nvidia-cuda-runtime==13.0.96.*; extra == 'cudart'\r\nRequires-Dist: cuda-toolkit[cublas,cudart]==13.0.2; x == \"y\"\n" +
		"Requires-Dist: nvidia-cudnn-cu12==9.1.0.70; platform_system == \"Linux\"\nRequires-Dist: sympy>=1.13.3\n"))
	assert.Equal(t, map[string]string{
		"nvidia-cuda-cupti-cu12": "nvidia-cuda-cupti-cu12==12.1.105",
		"nvidia-cuda-runtime":    "nvidia-cuda-runtime==13.0.96",
		"cuda-toolkit":           "cuda-toolkit==13.0.2",
		"nvidia-cudnn-cu12":      "nvidia-cudnn-cu12==9.1.0.70",
	}, got)
	assert.Equal(t, "nvidia-cuda-runtime", requirementFor("libcudart.so.13", got))
	assert.Equal(t, "nvidia-cuda-cupti-cu12", requirementFor("libcupti.so.12", got))
	assert.Equal(t, "nvidia-cudnn-cu12", requirementFor("libcudnn.so.9", map[string]string{"nvidia-cudnn-cu12": ""}))
	assert.Empty(t, requirementFor("libnuma.so.1", got))
}

func TestCorruptWheel(t *testing.T) {
	w := newWorld(t)
	damage(t, wheels13(t, w.wheels), newErrorSymbol)
	w.python("")
	w.fails("torch-2.11.0", "is corrupt", "run it again")
}

func TestTruncatedWheel(t *testing.T) {
	w := newWorld(t)
	wheel := wheels13(t, w.wheels)
	info, err := os.Stat(wheel)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(wheel, info.Size()/2))
	w.pythonWithPip()
	w.fails("torch==2.11.0", "run it again")
}

func TestWheelMissing(t *testing.T) {
	w := newWorld(t)
	w.pythonWithPip()
	w.fails("pip could not download torch==2.11.0", "No matching distribution", "LIBTORCH")
}

func TestLibraryThatNoRequirementHolds(t *testing.T) {
	w := newWorld(t)
	writeWheel(t, w.wheels, "torch", "2.11.0", "cp311-cp311-manylinux_2_28_"+machine(t), nil,
		prefixed("torch/", torchFiles(t, "2.11.0", "$ORIGIN", "libnuma.so.1")))
	w.python("")
	w.fails("needs libnuma.so.1", "set TORCH to another version")
}

func TestDiskFull(t *testing.T) {
	w := newWorld(t)
	v, _ := parseVersion("2.11.0")
	f := fetcher{home: w.home, log: &w.log, version: wanted{version: v}, freeSpace: func(string) (uint64, error) { return 1 << 30, nil }}
	_, err := f.get(context.Background(), "")
	require.ErrorContains(t, err, "needs 3.0 GB of disk space and "+w.home+" has 1.0 GB")
	assert.ErrorContains(t, err, "set GOJEPA_HOME")
	w.homeHolds()
}

func TestHomeNotWritable(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.WriteFile(w.home, nil, 0o644)) // a file is in the way
	w.python("")
	_, err := w.run()
	require.ErrorContains(t, err, "cannot be written")
	assert.ErrorContains(t, err, "GOJEPA_HOME")
}

func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	started := filepath.Join(w.wheels, "started")
	// pip that has written a part of the wheel to its TMPDIR and hangs.
	w.fakePython(`[ "$1" = -c ] && exit
[ "$3" = --version ] && exit
echo part >"$TMPDIR/part"; echo >'` + started + `'
exec '` + lookPath(t, "sleep") + `' 60`)
	w.usePath()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for {
			if _, err := os.Stat(started); err == nil {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err := run(ctx, "/", func(k string) string { return w.env[k] }, &w.log)
	require.ErrorIs(t, err, context.Canceled)
	w.homeHolds()
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err)
	return path
}

func TestLeftoversOfAKilledRun(t *testing.T) {
	w := newWorld(t)
	wheels13(t, w.wheels)
	writeTree(t, w.home, map[string]string{
		"libtorch-2.11.0.partial/tmp/wheel-1/torch.whl":         "half",
		"libtorch-2.11.0.partial/libtorch/torch/lib/libc10.so":  "half",
		"libtorch-2.11.0/torch/lib/libtorch_cpu.so":             "half",
		"libtorch-2.11.0/torch/include/of/another/version/of.h": "old",
	})
	w.python("")
	_, err := w.run()
	require.NoError(t, err)
	w.homeHolds("libtorch-2.11.0")
	assert.NoDirExists(t, filepath.Join(w.home, "libtorch-2.11.0/torch/include/of"))
}

func TestTwoAtOnce(t *testing.T) {
	w := newWorld(t)
	wheels13(t, w.wheels)
	w.python("")
	w.usePath()
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, errs[i] = run(context.Background(), "/", func(k string) string { return w.env[k] }, &bytes.Buffer{})
		}()
	}
	wg.Wait()
	for _, err := range errs {
		assert.NoError(t, err)
	}
	calls, err := os.ReadFile(w.calls)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(calls), "torch==2.11.0"), "one of them downloads")
	w.homeHolds("libtorch-2.11.0")
}

func TestNoCompiler(t *testing.T) {
	for _, name := range []string{"gcc", "g++"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, os.Remove(filepath.Join(w.bin, name)))
			w.fails("the compiler "+name+" was not found", "install g++")
		})
	}
}

func TestVersionAskedFor(t *testing.T) {
	for _, v := range []string{"2.0.1", "2.12.0", "2.15.0", "1.13.1", "2.1", "latest", "2.11.0+cpu", "2.1.x", "../../x"} {
		t.Run(v, func(t *testing.T) {
			w := newWorld(t)
			w.env["TORCH"] = v
			w.fails("TORCH="+v+" is not a supported version", "2.1 to 2.11")
		})
	}
}

func TestLibtorchVariable(t *testing.T) {
	good := t.TempDir()
	writeTree(t, filepath.Join(good, "torch"), torchFiles(t, "2.9.1+cu128", "$ORIGIN"))

	t.Run("itself or its parent", func(t *testing.T) {
		for _, dir := range []string{good, filepath.Join(good, "torch")} {
			w := newWorld(t)
			w.env["LIBTORCH"] = dir
			vars, err := w.run()
			require.NoError(t, err)
			assert.Contains(t, vars[0].value, " -I"+good+"/torch/include ")
			assert.Contains(t, vars[2].value, " -Wl,-rpath,"+good+"/torch/lib ")
			// Another libtorch at the same place makes another value, on which Go's build cache depends.
			assert.Contains(t, vars[0].value, w.home+"/build-2.9.1+cu128/gotch_compat.h")
			w.homeHolds("build-2.9.1+cu128")
		}
	})
	t.Run("before Python", func(t *testing.T) {
		w := newWorld(t)
		w.env["LIBTORCH"] = good
		w.fakePython("exit 1")
		_, err := w.run()
		require.NoError(t, err)
	})
	t.Run("relative", func(t *testing.T) {
		w := newWorld(t)
		w.env["LIBTORCH"] = "torch"
		w.usePath()
		vars, err := run(context.Background(), good, func(k string) string { return w.env[k] }, &w.log)
		require.NoError(t, err)
		assert.Contains(t, vars[0].value, " -I"+good+"/torch/include ")
	})
	t.Run("other version than TORCH", func(t *testing.T) {
		w := newWorld(t)
		w.env["LIBTORCH"], w.env["TORCH"] = good, "2.1.2"
		w.fails("holds libtorch 2.9.1+cu128 and TORCH asks for 2.1.2")
	})
	t.Run("nothing there", func(t *testing.T) {
		w := newWorld(t)
		w.env["LIBTORCH"] = "/nonexistent"
		w.fails("$LIBTORCH (/nonexistent) holds no libtorch: it lacks lib/libtorch_cpu.so", "unset it")
	})
	t.Run("unsupported", func(t *testing.T) {
		w := newWorld(t)
		dir := t.TempDir()
		writeTree(t, dir, torchFiles(t, "2.15.0", "$ORIGIN"))
		w.env["LIBTORCH"] = dir
		w.fails("holds libtorch 2.15.0 and gojepa supports 2.1 to 2.11")
	})
	t.Run("not a library", func(t *testing.T) {
		w := newWorld(t)
		dir := t.TempDir()
		files := torchFiles(t, "2.9.1", "$ORIGIN")
		files["lib/libc10.so"] = "text"
		writeTree(t, dir, files)
		w.env["LIBTORCH"] = dir
		w.fails("lib/libc10.so is no shared library")
	})
	t.Run("a space in the path", func(t *testing.T) {
		w := newWorld(t)
		dir := filepath.Join(t.TempDir(), "my libtorch")
		require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(good, "torch"))))
		w.env["LIBTORCH"] = dir
		w.fails("my libtorch", "compiler flags cannot carry")
	})
}

func TestPythonsTorch(t *testing.T) {
	site := t.TempDir()
	writeTree(t, filepath.Join(site, "torch"), torchFiles(t, "2.9.1+cu128", "$ORIGIN"))
	t.Run("used", func(t *testing.T) {
		w := newWorld(t)
		w.python(filepath.Join(site, "torch/__init__.py"))
		vars, err := w.run()
		require.NoError(t, err)
		assert.Contains(t, vars[2].value, " -L"+site+"/torch/lib ")
		assert.Empty(t, w.log.String())
		assert.NoFileExists(t, w.calls)
	})
	t.Run("found without an import", func(t *testing.T) {
		w := newWorld(t)
		w.fakePython(fmt.Sprintf(`exec %q "$@"`, realPython(t)))
		t.Setenv("PYTHONPATH", site)
		vars, err := w.run()
		require.NoError(t, err)
		assert.Contains(t, vars[2].value, " -L"+site+"/torch/lib ")
	})
	t.Run("another version is asked for", func(t *testing.T) {
		w := newWorld(t)
		wheels12(t, w.wheels)
		w.python(filepath.Join(site, "torch/__init__.py"))
		w.env["TORCH"] = "2.1.2"
		vars, err := w.run()
		require.NoError(t, err)
		assert.Contains(t, vars[2].value, "/libtorch-2.1.2/")
		assert.Contains(t, w.log.String(), "python3's torch is not used: it is 2.9.1+cu128 and TORCH asks for 2.1.2.\n")
	})
	t.Run("unsupported", func(t *testing.T) {
		w := newWorld(t)
		wheels13(t, w.wheels)
		old := t.TempDir()
		writeTree(t, old, torchFiles(t, "1.13.1", "$ORIGIN"))
		w.python(filepath.Join(old, "__init__.py"))
		vars, err := w.run()
		require.NoError(t, err)
		assert.Contains(t, vars[2].value, "/libtorch-2.11.0/")
		assert.Equal(t, 1, strings.Count(w.log.String(), "it is 1.13.1 and gojepa supports 2.1 to 2.11"))
	})
}

// officialArchive writes one.
func officialArchive(t *testing.T, dir, name string) string {
	t.Helper()
	files := torchFiles(t, "2.11.0", "$ORIGIN")
	delete(files, "version.py")
	delete(files, "__init__.py")
	files["build-version"] = "2.11.0+cpu\n"
	file := filepath.Join(dir, name)
	writeZip(t, file, "libtorch/", files)
	return file
}

func TestOfficialArchive(t *testing.T) {
	if machine(t) != "x86_64" {
		t.Skip("the official archive exists for x86-64 only")
	}
	python := map[string]func(w *world){
		"no Python": func(*world) {},
		"no pip":    func(w *world) { w.fakePython(`[ "$1" = -c ]`) },
	}
	for name, setUp := range python {
		for _, file := range []string{"libtorch-shared-with-deps-2.11.0+cpu.zip", "libtorch-cxx11-abi-shared-with-deps-2.11.0+cpu.zip"} {
			t.Run(name+" "+file, func(t *testing.T) {
				w := newWorld(t)
				officialArchive(t, w.wheels, file)
				setUp(w)
				w.env["GOJEPA_LIBTORCH_URL"] = "file://" + w.wheels
				vars, err := w.run()
				require.NoError(t, err)
				assert.Contains(t, vars[2].value, "/libtorch-2.11.0/torch/lib ")
				assert.FileExists(t, filepath.Join(w.home, "libtorch-2.11.0/torch/lib/libgomp.so.1"))
				w.homeHolds("libtorch-2.11.0")
			})
		}
	}
	t.Run("missing", func(t *testing.T) {
		w := newWorld(t)
		w.env["GOJEPA_LIBTORCH_URL"] = "file://" + w.wheels
		w.fails("python3 with pip was not found", "install python3 with pip")
	})
	t.Run("corrupt", func(t *testing.T) {
		w := newWorld(t)
		damage(t, officialArchive(t, w.wheels, "libtorch-shared-with-deps-2.11.0+cpu.zip"), newErrorSymbol)
		w.env["GOJEPA_LIBTORCH_URL"] = "file://" + w.wheels
		w.fails("libtorch.zip is corrupt", "run it again")
	})
	t.Run("connection lost", func(t *testing.T) {
		w := newWorld(t)
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "1000")
			_, _ = rw.Write([]byte("PK and then nothing"))
		}))
		defer server.Close()
		w.env["GOJEPA_LIBTORCH_URL"] = server.URL
		w.fails("the download of "+server.URL, "unexpected EOF", "check the network")
	})
	t.Run("server error", func(t *testing.T) {
		w := newWorld(t)
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusBadGateway)
		}))
		defer server.Close()
		w.env["GOJEPA_LIBTORCH_URL"] = server.URL
		w.fails("502 Bad Gateway", "check the network")
	})
}

func TestHomeFolder(t *testing.T) {
	for _, c := range []struct{ own, xdg, home, want string }{
		{"/own", "/xdg", "/home/u", "/own"},
		{"own", "/xdg", "/home/u", "/cwd/own"},
		{"", "/xdg", "/home/u", "/xdg/gojepa"},
		{"", "", "/home/u", "/home/u/.cache/gojepa"},
	} {
		env := map[string]string{"GOJEPA_HOME": c.own, "XDG_CACHE_HOME": c.xdg, "HOME": c.home}
		got, err := homeFolder("/cwd", func(k string) string { return env[k] })
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}
	_, err := homeFolder("/cwd", func(string) string { return "" })
	assert.ErrorContains(t, err, "set GOJEPA_HOME")
}
