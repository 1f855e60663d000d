package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests source scripts/env.sh in real shells.

// repository copies what env.sh needs to a folder of another name, as Go's module cache would hold it.
func repository(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "gojepa@v0.0.0")
	files := []string{"go.mod", "scripts/env.sh", "scripts/libtorch/gotch_compat.h"}
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, s := range sources {
		if !strings.HasSuffix(s, "_test.go") {
			files = append(files, "scripts/libtorch/"+s)
		}
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("../..", f))
		require.NoError(t, err)
		writeTree(t, root, map[string]string{f: string(text)})
	}
	return root
}

// shells are those that env.sh is meant for and that the machine has.
func shells(t *testing.T) []string {
	t.Helper()
	var found []string
	seen := map[string]bool{} // sh is often one of the others
	for _, sh := range []string{"bash", "dash", "zsh", "sh"} {
		path, err := exec.LookPath(sh)
		if err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		require.NoError(t, err)
		if !seen[real] {
			seen[real] = true
			found = append(found, path)
		}
	}
	require.NotEmpty(t, found)
	return found
}

// environment is that of the test with a home of its own, the given libtorch and no network.
func environment(home, libtorch string, more ...string) []string {
	env := []string{"GOJEPA_HOME=" + home, "LIBTORCH=" + libtorch, "GOJEPA_LIBTORCH_URL=file:///nonexistent", "GOPROXY=off"}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "LIBTORCH", "TORCH", "GOJEPA_HOME", "CGO_ENABLED", "CGO_CFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "GOTCH_CACHE":
		default:
			env = append(env, e)
		}
	}
	return append(env, more...)
}

// sourceEnv runs a script in a shell and returns what it writes.
func sourceEnv(t *testing.T, sh, dir, script string, env []string) (stdout, stderr string) {
	t.Helper()
	cmd := exec.Command(sh, "-c", script)
	cmd.Dir, cmd.Env = dir, env
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return o.String(), e.String()
}

func TestSourcedByEveryShell(t *testing.T) {
	lib := t.TempDir()
	writeTree(t, lib, torchFiles(t, "2.9.1", "$ORIGIN"))
	root := repository(t)
	home, elsewhere := t.TempDir(), t.TempDir()
	// Neither the module cache nor the sources can be written, and nothing is there to download.
	require.NoError(t, filepath.Walk(root, func(p string, info os.FileInfo, err error) error {
		if err == nil {
			err = os.Chmod(p, info.Mode()&^0o222)
		}
		return err
	}))
	t.Cleanup(func() {
		_ = filepath.Walk(root, func(p string, info os.FileInfo, err error) error { return os.Chmod(p, info.Mode()|0o200) })
	})
	env := environment(home, lib, "GOMODCACHE="+filepath.Dir(root), "GOFLAGS=-mod=vendor", "GOOS=plan9")

	const show = `; echo "$?|$CGO_CXXFLAGS|$CGO_CFLAGS|$CGO_LDFLAGS|$GOTCH_CACHE"; set | grep -c ^_gojepa`
	build := home + "/build-2.9.1"
	want := "0|-O2 -w -D_GLIBCXX_USE_CXX11_ABI=1 -include " + build + "/gotch_compat.h -I" + lib + "/include -I" + lib +
		"/include/torch/csrc/api/include|-O2 -w|-L" + build + "/stubs -L" + lib + "/lib -Wl,-rpath," + lib +
		"/lib -Wl,--enable-new-dtags|" + build + "/gotch_cache\n0\n"
	for _, sh := range shells(t) {
		for name, c := range map[string][2]string{
			"from its repository": {root, ". scripts/env.sh" + show},
			"with ./":             {root, ". ./scripts/env.sh" + show},
			"from elsewhere":      {elsewhere, ". " + root + "/scripts/env.sh" + show},
			"in a subshell":       {elsewhere, "(. " + root + "/scripts/env.sh" + show + ")"},
			"strict":              {elsewhere, "set -eu; . " + root + "/scripts/env.sh" + show + " || :"},
		} {
			t.Run(filepath.Base(sh)+" "+name, func(t *testing.T) {
				stdout, stderr := sourceEnv(t, sh, c[0], c[1], env)
				assert.Equal(t, want, stdout)
				assert.Empty(t, stderr)
			})
		}
	}
}

func TestFailureIsOneSentence(t *testing.T) {
	root := repository(t)
	none := t.TempDir()
	bin := func(t *testing.T, scripts map[string]string, names ...string) string {
		dir := t.TempDir()
		for _, n := range names {
			require.NoError(t, os.Symlink(lookPath(t, n), filepath.Join(dir, n)))
		}
		for n, body := range scripts {
			require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte("#!/bin/sh\n"+body+"\n"), 0o755))
		}
		return dir
	}
	tools := []string{"env", "sed", "readlink"}
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"no go": {[]string{"PATH=" + bin(t, nil, tools...)}, "go was not found: install Go 1.24 or later"},
		"old go": {[]string{"PATH=" + bin(t, map[string]string{"go": "echo go version go1.22.1 linux/amd64"}, tools...)},
			"go is older than 1.24"},
		"old go that refuses": {[]string{"PATH=" + bin(t, map[string]string{"go": "echo go.mod requires go >= 1.24 >&2; exit 1"}, tools...)},
			"go is older than 1.24"},
		"no compiler": {[]string{"PATH=" + bin(t, nil, append(tools, "go")...), "CC=gcc", "CXX=g++"}, "the compiler gcc was not found"},
		"no cgo":      {[]string{"CGO_ENABLED=0"}, "CGO_ENABLED=0 is set"},
		"no libtorch": {nil, "$LIBTORCH (" + none + ") holds no libtorch"},
		"a version":   {[]string{"TORCH=3.0.0", "LIBTORCH="}, "TORCH=3.0.0 is not a supported version"},
	} {
		for _, sh := range shells(t) {
			t.Run(filepath.Base(sh)+" "+name, func(t *testing.T) {
				env := environment(t.TempDir(), none, c.env...)
				stdout, stderr := sourceEnv(t, sh, root, `. ./scripts/env.sh; echo "$?|${CGO_CXXFLAGS:-unset}"`, env)
				assert.Equal(t, "1|unset\n", stdout, "the shell goes on, with a status")
				assert.Contains(t, stderr, c.want)
				assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
			})
		}
	}
	for _, sh := range shells(t) {
		stdout, _ := sourceEnv(t, sh, root, "set -eu; . ./scripts/env.sh; echo goes on", environment(t.TempDir(), none))
		assert.Empty(t, stdout, "set -e ends "+sh)
	}
}

// Ctrl-C reaches every process of the terminal's group.
func TestCtrlC(t *testing.T) {
	root, home, dir := repository(t), t.TempDir(), t.TempDir()
	started := filepath.Join(dir, "started")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "python3"), []byte(`#!/bin/sh
[ "$1" = -c ] && exit
[ "$3" = --version ] && exit
echo part >"$TMPDIR/part"
echo >'`+started+`'
sleep 60
`), 0o755))
	cmd := exec.Command("bash", "-c", ". ./scripts/env.sh")
	cmd.Dir = root
	cmd.Env = environment(home, "", "PATH="+dir+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return isFile(started) }, time.Minute, 10*time.Millisecond)
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	require.Error(t, cmd.Wait())
	entries, err := os.ReadDir(home)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, "lock", entries[0].Name())
	assert.Contains(t, stderr.String(), "nothing half-made was kept")
}
