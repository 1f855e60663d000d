package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/cmd/internal/cmdtest"
	"github.com/gojepa/gojepa/text/tokenize"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/runlog"
)

// process is the command as a process of its own.
type process struct {
	*exec.Cmd
	said  bytes.Buffer
	ended chan struct{}
}

func start(t *testing.T, line ...string) *process {
	return startIn(t, exec.Command(os.Args[0], line...))
}

func startIn(t *testing.T, cmd *exec.Cmd) *process {
	p := &process{Cmd: cmd, ended: make(chan struct{})}
	p.Env = append(os.Environ(), asCommand+"=1")
	p.Stdout, p.Stderr = &p.said, &p.said
	require.NoError(t, p.Start())
	go func() {
		_ = p.Wait() // the exit code says it
		close(p.ended)
	}()
	return p
}

// wait returns the exit code, -1 if a signal ended the process. One that hangs is ended, with the stacks of its
// goroutines in what it said, so that its test fails and not all.
func (p *process) wait() int {
	select {
	case <-p.ended:
	case <-time.After(5 * time.Minute):
		_ = p.Process.Signal(syscall.SIGQUIT)
		<-p.ended
	}
	return p.ProcessState.ExitCode()
}

// until polls for a condition and reports whether it came true before the process ended.
func (p *process) until(cond func() bool) bool {
	for {
		if cond() {
			return true
		}
		select {
		case <-p.ended:
			return false
		case <-time.After(50 * time.Microsecond):
		}
	}
}

// sizeOf is the length of a file, 0 if there is none.
func sizeOf(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// writing reports whether a checkpoint is being written.
func writing(out string) bool {
	found, _ := filepath.Glob(filepath.Join(out, ".checkpoint.safetensors.*.tmp"))
	return len(found) > 0
}

// state is all that a finished run must have, bit for bit, and that depends on no clock.
type state struct {
	tensors  map[string]string
	progress map[string]any
	log      *runlog.Log
	csv      [2]string
	events   []string
}

func stateOf(t *testing.T, out string) (s state) {
	f, err := weights.OpenOptions(filepath.Join(out, "checkpoint.safetensors"), weights.Options{Raw: true})
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Verify())
	s.tensors = map[string]string{}
	for _, info := range f.Tensors() {
		data, err := f.Read(info.Name)
		require.NoError(t, err)
		s.tensors[info.Name] = string(data)
	}
	require.NoError(t, json.Unmarshal([]byte(f.Metadata()["gojepa.progress"]), &s.progress))
	delete(s.progress, "elapsed")

	s.log, err = runlog.Read(filepath.Join(out, "metrics.jsonl"))
	require.NoError(t, err)
	for i := range s.log.Steps {
		l := &s.log.Steps[i]
		require.Equal(t, i+1, l.Step, "metrics.jsonl has each step once")
		l.ImagesPerS, l.WaitShare, l.Seconds = 0, 0, 0
	}
	for i := range s.log.Evals {
		s.log.Evals[i].Seconds, s.log.Evals[i].Share = 0, 0
	}
	for i, name := range []string{"metrics.csv", "evaluations.csv"} {
		b, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		s.csv[i] = times[i].ReplaceAllString(string(b), []string{"$1", ""}[i])
	}
	files, err := filepath.Glob(filepath.Join(out, "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	s.events = events(t, files[0])
	return s
}

// times are three columns of metrics.csv after the first nine, and the rows of evaluations.csv that say what one cost.
var times = []*regexp.Regexp{regexp.MustCompile(`(?m)^((?:[^,\n]*,){9})[^,\n]*,[^,\n]*,[^,\n]*`), regexp.MustCompile(`\n[^\n]*,(seconds|share),[^\n]*`)}

// events are the records of a file of TensorBoard's, without their times: an event has its time first, in 9 bytes, and the values
// that are times are left out.
func events(t *testing.T, path string) (all []string) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for len(b) > 0 {
		n := int(binary.LittleEndian.Uint64(b))
		record := b[12 : 12+n]
		require.Equal(t, byte(9), record[0])
		text := string(record[9:])
		for _, tag := range []string{"train/images_per_s", "train/wait_share", "train/seconds", "eval/seconds", "eval/share"} {
			if at := strings.Index(text, tag); at >= 0 {
				after := at + len(tag)
				text = text[:after] + text[after+5:] // a float32 and its key
			}
		}
		all = append(all, text)
		b = b[12+n+4:]
	}
	return all
}

func same(t *testing.T, want, got state) {
	t.Helper()
	require.Len(t, got.tensors, len(want.tensors))
	for name, data := range want.tensors {
		require.True(t, data == got.tensors[name], "%s differs", name)
	}
	require.Equal(t, want.progress, got.progress)
	require.Equal(t, want.log, got.log)
	require.Equal(t, want.csv, got.csv)
	require.Equal(t, want.events, got.events)
}

// enduring are flags of a run with everything that a kill could hit: checkpoints that take a while to write, evaluations, all kinds
// of records.
func enduring(data, out string, steps int) []string {
	return tiny(data, out, "--steps", strconv.Itoa(steps), "--labels", "--log", "csv,tensorboard", "--checkpoint-every", "5",
		"--eval-every", strconv.Itoa(steps/4), "--projector.hidden", "512,512", "--ema", "0.9", "--seed", "3")
}

// TestKilled kills a run 50 times: at random moments, while it begins, while it writes a checkpoint, and right after it wrote a line
// of its record, and has it go on each time. It ends with the bits of a run that was left alone.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two")
	}
	data := cmdtest.Folder(t, 40)
	hit := killed(t, 50, func(out string) []string { return enduring(data, out, 280) })
	assert.GreaterOrEqual(t, hit["a checkpoint half written"], 5)
}

// TestKilledOnCaptions is the same with captions, and with fewer kills.
func TestKilledOnCaptions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	list, tokenizer := captioned(t, 40)
	killed(t, 8, func(out string) []string {
		return tiny(list, out, "--steps", "60", "--label-column", "label", "--text-column", "caption", "--tokenizer", tokenizer,
			"--text.width", "16", "--text.depth", "1", "--text.heads", "2", "--text.drop_words", "0.2", "--text-views", "2",
			"--log", "csv,tensorboard", "--checkpoint-every", "5", "--ema", "0.9", "--seed", "3")
	})
}

// captioned are images with captions, of which some are missing and one is not UTF-8, and a vocabulary of these.
func captioned(t *testing.T, n int) (list, tokenizer string) {
	dir := cmdtest.Folder(t, n)
	rows := []byte("file,caption,label\n")
	for i := range n {
		class := []string{"above", "below"}[i%2]
		caption := []string{"it is bright " + class + ". nothing else.", "light " + class, ""}[i%3]
		if i == 7 {
			caption = "b\xffd"
		}
		rows = fmt.Appendf(rows, "%s/%03d.png,%s,%s\n", class, i, caption, class)
	}
	list, tokenizer = filepath.Join(dir, "list.csv"), filepath.Join(t.TempDir(), "tokenizer.json")
	require.NoError(t, os.WriteFile(list, rows, 0o644))
	o := tokenize.DefaultTraining()
	o.Size, o.Alphabet = 300, 100
	learned, err := tokenize.Train(func(yield func(string, error) bool) {
		_ = yield("it is bright above. nothing else.", nil) && yield("light below", nil)
	}, o)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(tokenizer, learned.JSON, 0o644))
	return list, tokenizer
}

// killed kills a run so many times and lets it end, and holds it to one that was left alone. It returns what kills hit.
func killed(t *testing.T, kills int, line func(out string) []string) map[string]int {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GOJEPA_KILL_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("GOJEPA_KILL_SEED=%d repeats the choice of moments", seed)
	r := rand.New(rand.NewPCG(seed, 1))

	dir := t.TempDir()
	alone, killed := filepath.Join(dir, "alone"), filepath.Join(dir, "killed")
	p := start(t, line(alone)...)
	require.Zero(t, p.wait(), p.said.String())

	log := filepath.Join(killed, "metrics.jsonl")
	hit := map[string]int{} // kills by what they hit
	for done := 0; done < kills; {
		p := start(t, line(killed)...)
		kind := []string{"anywhere", "beginning", "checkpoint", "log"}[done%4]
		began := sizeOf(log)
		alive := true
		switch kind {
		case "beginning":
			time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
		case "anywhere":
			alive = p.until(func() bool { return sizeOf(log) != began })
			time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		case "checkpoint":
			for range 1 + r.IntN(2) {
				alive = alive && p.until(func() bool { return !writing(killed) }) && p.until(func() bool { return writing(killed) })
			}
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
		case "log":
			for range 1 + r.IntN(9) {
				now := sizeOf(log)
				alive = alive && p.until(func() bool { return sizeOf(log) != now })
			}
		}
		_ = p.Process.Kill()
		if code := p.wait(); code != -1 {
			require.Zero(t, code, "killed %d times: %s", done, p.said.String())
			require.Failf(t, "too few kills", "the run was over after %d", done)
		}
		_ = alive // a kill is a kill, wherever the process was by then
		done++
		switch {
		case writing(killed):
			hit["a checkpoint half written"]++
		case kind == "log":
			hit["after a line"]++
		default:
			hit["elsewhere"]++
		}
		if done%10 == 0 { // what a write that was cut in the middle leaves
			if b, err := os.ReadFile(log); err == nil && len(b) > 100 {
				require.NoError(t, os.WriteFile(log, append(b, `{"step":9999,"epo`...), 0o644))
				hit["half a line"]++
			}
		}
	}
	t.Logf("kills hit: %v", hit)
	p = start(t, line(killed)...)
	require.Zero(t, p.wait(), p.said.String())
	same(t, stateOf(t, alone), stateOf(t, killed))
	assert.False(t, writing(killed), "nothing half written is left")
	return hit
}

// TestTerminated tells a run to stop, by several signals and at several moments: it saves itself and exits with the code for
// requeuing, and ends with the bits of one that was left alone.
func TestTerminated(t *testing.T) {
	data, dir := cmdtest.Folder(t, 40), t.TempDir()
	const steps = 60
	alone, stopped := filepath.Join(dir, "alone"), filepath.Join(dir, "stopped")
	// Under nohup hang-ups are ignored, by what these tests start too, unless it is caught here.
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	p := start(t, enduring(data, alone, steps)...)
	require.Zero(t, p.wait(), p.said.String())

	log := filepath.Join(stopped, "metrics.jsonl")
	grown := func(p *process, lines int) bool {
		for range lines {
			now := sizeOf(log)
			if !p.until(func() bool { return sizeOf(log) != now }) {
				return false
			}
		}
		return true
	}
	evaluating := func() bool { // after each quarter of the steps
		b, _ := os.ReadFile(log)
		return bytes.Count(b, []byte(`"loss"`))%(steps/4) == 0
	}
	for _, c := range []struct {
		name   string
		signal syscall.Signal
		code   int
		more   []string
		when   func(p *process) bool
	}{
		{"in a step", syscall.SIGTERM, 75, nil, func(p *process) bool { return grown(p, 3) }},
		{"Ctrl-C", syscall.SIGINT, 75, nil, func(p *process) bool { return grown(p, 3) }},
		{"Grid Engine's", syscall.SIGUSR2, 99, []string{"--interrupted-code", "99"}, func(p *process) bool { return grown(p, 2) }},
		{"hang-up", syscall.SIGHUP, 75, nil, func(p *process) bool { return grown(p, 2) }},
		{"in an evaluation", syscall.SIGTERM, 75, nil, func(p *process) bool { return grown(p, 1) && p.until(evaluating) }},
		{"at the finish", syscall.SIGTERM, 75, nil, func(p *process) bool {
			return p.until(func() bool { return sizeOf(filepath.Join(stopped, "encoder.pt")) > 0 })
		}},
	} {
		p := start(t, append(enduring(data, stopped, steps), c.more...)...)
		require.True(t, c.when(p), "%s: the run ended before: %s", c.name, p.said.String())
		require.NoError(t, p.Process.Signal(c.signal))
		require.Equal(t, c.code, p.wait(), "%s: %s", c.name, p.said.String())
		assert.Contains(t, p.said.String(), "the run is saved in "+stopped, c.name)
		assert.Contains(t, p.said.String(), "The same command goes on with it", c.name)
	}
	p = start(t, enduring(data, stopped, steps)...)
	require.Zero(t, p.wait(), p.said.String())
	same(t, stateOf(t, alone), stateOf(t, stopped))
}

// TestSecondSignal: the same signal again ends a run at once, another does not, as batch systems send several kinds.
func TestSecondSignal(t *testing.T) {
	data, dir := cmdtest.Folder(t, 40), t.TempDir()
	// Steps take long enough to send more signals in one.
	long := func(out string) []string {
		return tiny(data, out, "--steps", "1000", "--batch-size", "40", "--projector.hidden", "2048,2048", "--slices", "4096", "--proj-dim", "512")
	}
	for _, c := range []struct {
		second syscall.Signal
		code   int
	}{{syscall.SIGINT, 75}, {syscall.SIGTERM, 128 + 15}} {
		out := filepath.Join(dir, c.second.String())
		p := start(t, long(out)...)
		require.True(t, p.until(func() bool { return sizeOf(filepath.Join(out, "metrics.jsonl")) > 0 }), "the run ended")
		require.NoError(t, p.Process.Signal(syscall.SIGTERM))
		time.Sleep(20 * time.Millisecond) // signals of one kind that wait to be delivered are one
		require.NoError(t, p.Process.Signal(c.second))
		assert.Equal(t, c.code, p.wait(), p.said.String())
	}
}

// TestShortOfMemory ends a run by a limit on its memory, wherever that hits, and has it go on without.
func TestShortOfMemory(t *testing.T) {
	data, dir := cmdtest.Folder(t, 40), t.TempDir()
	alone, short := filepath.Join(dir, "alone"), filepath.Join(dir, "short")
	flags := func(out string) []string {
		return tiny(data, out, "--steps", "20", "--checkpoint-every", "2", "--log", "csv,tensorboard")
	}
	p := start(t, flags(alone)...)
	peak := 0
	p.until(func() bool {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		if m := regexp.MustCompile(`VmPeak:\s*(\d+)`).FindSubmatch(status); m != nil {
			peak, _ = strconv.Atoi(string(m[1]))
		}
		time.Sleep(time.Millisecond)
		return false
	})
	require.Zero(t, p.wait(), p.said.String())
	if peak == 0 {
		t.Skip("this system does not tell the memory of a process")
	}
	// The first session has as much as it needs, and is stopped on its way.
	p = start(t, flags(short)...)
	p.until(func() bool { return sizeOf(filepath.Join(short, "checkpoint.safetensors")) > 0 })
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	p.wait()
	for _, percent := range []int{50, 90, 99} {
		script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, peak/100*percent)
		p := startIn(t, exec.Command("bash", append([]string{"-c", script, os.Args[0]}, flags(short)...)...))
		if code := p.wait(); code != 0 {
			assert.NotEmpty(t, p.said.String(), "it says why")
		}
		f, err := weights.OpenOptions(filepath.Join(short, "checkpoint.safetensors"), weights.Options{Raw: true})
		require.NoError(t, err)
		assert.NoError(t, f.Verify())
		require.NoError(t, f.Close())
	}
	p = start(t, flags(short)...)
	require.Zero(t, p.wait(), p.said.String())
	same(t, stateOf(t, alone), stateOf(t, short))
}

// TestReadOnlyFolder: a folder that cannot be written to is named before anything is read, and left as it is.
func TestReadOnlyFolder(t *testing.T) {
	data, out := cmdtest.Folder(t, 16), filepath.Join(t.TempDir(), "run")
	code, _, stderr := execute(tiny(data, out, "--steps", "1")...)
	require.Zero(t, code, stderr)
	require.NoError(t, os.Chmod(out, 0o555))
	require.NoError(t, os.Chmod(filepath.Join(out, ".lock"), 0o444))
	t.Cleanup(func() { _ = os.Chmod(out, 0o755) })
	cmd := exec.Command(os.Args[0], tiny(data, out, "--steps", "2")...)
	if os.Getuid() == 0 { // whom permissions do not keep out
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Skip("there is no setpriv to give up root's rights with")
		}
		cmd = exec.Command(setpriv, append([]string{"--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"}, cmd.Args...)...)
	}
	p := startIn(t, cmd)
	assert.Equal(t, 1, p.wait(), p.said.String())
	assert.Contains(t, p.said.String(), out)
	assert.Contains(t, p.said.String(), "permission denied")
}

// TestVanishedFolder: the images go while the run is under way; it ends and says so, and goes on when they are back.
func TestVanishedFolder(t *testing.T) {
	data, out := cmdtest.Folder(t, 40), filepath.Join(t.TempDir(), "run")
	line := tiny(data, out, "--steps", "100000")
	p := start(t, line...)
	require.True(t, p.until(func() bool { return sizeOf(filepath.Join(out, "metrics.jsonl")) > 0 }))
	require.NoError(t, os.Rename(data, data+"-away"))
	assert.Equal(t, 1, p.wait())
	for _, part := range []string{"--data " + data + ": it was there when the run began", "no such file", "the run is saved in " + out} {
		assert.Contains(t, p.said.String(), part)
	}
	code, _, stderr := execute(line...)
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "no such file or folder")

	require.NoError(t, os.Rename(data+"-away", data))
	p = start(t, line...)
	log := filepath.Join(out, "metrics.jsonl")
	began := sizeOf(log)
	require.True(t, p.until(func() bool { return sizeOf(log) > began }), p.said.String())
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	assert.Equal(t, 75, p.wait(), p.said.String())
	assert.Contains(t, p.said.String(), "going on with the run")
}

// TestReplayFlag does a step again by the command line.
func TestReplayFlag(t *testing.T) {
	data, out := cmdtest.Folder(t, 16), filepath.Join(t.TempDir(), "run")
	code, _, stderr := execute(tiny(data, out, "--steps", "5", "--checkpoint-every", "2")...)
	require.Zero(t, code, stderr)
	code, stdout, stderr := execute("--replay", out, "--at", "4")
	require.Zero(t, code, stderr)
	for _, part := range []string{"step 4, done again from the checkpoint after step 2", "grad_norm", "All figures are bit-identical", out + "-step-4/views-000.png"} {
		assert.Contains(t, stdout, part)
	}
	for _, name := range []string{"views-000.png", "views.safetensors", "step.json", "metrics.jsonl"} {
		assert.FileExists(t, filepath.Join(out+"-step-4", name))
	}
	for want, line := range map[string][]string{
		"expected the step to replay":              {"--replay", out},
		"expected --replay RUN with it":            {"--at", "3"},
		"loss.lambda cannot be given with it":      {"--replay", out, "--at", "3", "--lambda", "0.5"},
		"interrupted_code: 256, expected 1 to 255": {"--interrupted-code", "256"},
	} {
		code, _, stderr := execute(line...)
		assert.Equal(t, 2, code, want)
		assert.Contains(t, stderr, want)
	}
}
