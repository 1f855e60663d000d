package train

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/text"
	"github.com/gojepa/gojepa/torch"
)

// The newest checkpoint of a run is checkpoint.safetensors, the ones before have their step in their names. One is put aside
// by a second name before the next takes its place, so that there is no moment without a whole one.
var keptPattern = regexp.MustCompile(`^checkpoint-([0-9]+)\.safetensors$`)

// keptFile is what the checkpoint after a step is called once there is a newer one.
func keptFile(step int) string { return fmt.Sprintf("checkpoint-%08d.safetensors", step) }

// kept is a checkpoint of a folder.
type kept struct {
	path string
	step int
}

// keptIn lists the checkpoints of a folder besides the newest, later ones first.
func keptIn(dir string) (all []kept, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for checkpoints: %w", err)
	}
	for _, e := range entries {
		if m := keptPattern.FindStringSubmatch(e.Name()); m != nil {
			if step, err := strconv.Atoi(m[1]); err == nil {
				all = append(all, kept{filepath.Join(dir, e.Name()), step})
			}
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return -cmp.Compare(a.step, b.step) })
	return all, nil
}

// newest opens the newest checkpoint of a folder that is whole and wanted, and tells skipped of those that are damaged. It is
// nil if there are none. If all are damaged that might do, that is an error: a run is not begun anew over what is left of it.
func newest(dir string, wanted func(at position) bool, skipped func(path string, err error)) (*saved, error) {
	paths := []string{filepath.Join(dir, checkpointFile)}
	others, err := keptIn(dir)
	if err != nil {
		return nil, err
	}
	for _, k := range others {
		if wanted(position{Step: k.step}) {
			paths = append(paths, k.path)
		}
	}
	var damaged []error
	for _, path := range paths {
		c, err := openCheckpoint(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.As(err, new(*damagedError)):
			damaged = append(damaged, err)
			skipped(path, err)
			continue
		case err != nil:
			return nil, err
		}
		if wanted(c.at) {
			return c, nil
		}
		if err := c.file.Close(); err != nil {
			return nil, err
		}
	}
	if damaged != nil {
		return nil, fmt.Errorf("%s has no checkpoint that is whole; to begin anew, give another --out or move them away: %w", dir, errors.Join(damaged...))
	}
	return nil, nil
}

// findCheckpoint opens the checkpoint that a run goes on from, nil if there is none.
func (r *run) findCheckpoint() (*saved, error) {
	r.newest = -1
	c, err := newest(r.cfg.Out, func(position) bool { return true }, func(path string, err error) {
		r.printf("%v: looking for one before it\n", err)
		r.damaged = append(r.damaged, path)
	})
	if c != nil && filepath.Base(c.path) == checkpointFile {
		r.newest, r.extra = c.at.Step, c.at.Extra
	}
	if c != nil && r.damaged != nil {
		r.printf("going on from %s, after step %d\n", c.path, c.at.Step)
	}
	return c, err
}

// checkpoint saves the run, and keeps the last ones. It goes on even if the run's context has ended.
func (r *run) checkpoint() error { return r.saveAndKeep(false) }

// checkpointNow is checkpoint for a run that is stopped. Unless checkpoints come by the clock, one that is not due after this
// step counts as extra: it takes the place of none, and a run that diverges does not go back to it. So a run steps back to the
// same states whether it was interrupted or not.
func (r *run) checkpointNow() error {
	every := r.cfg.CheckpointEvery
	due := every.Due(r.at.Step, r.cfg.StepsPerEpoch(r.data.train.Len()), 0) || r.at.Step == r.newest && !r.extra
	return r.saveAndKeep(every.Time == 0 && !due)
}

func (r *run) saveAndKeep(extra bool) error {
	if err := r.log.Sync(); err != nil {
		return err
	}
	path := filepath.Join(r.cfg.Out, checkpointFile)
	if (r.cfg.KeepCheckpoints > 1 || extra) && !r.extra && r.newest >= 0 && r.newest < r.at.Step {
		if err := atomicfile.Link(path, filepath.Join(r.cfg.Out, keptFile(r.newest))); err != nil {
			return fmt.Errorf("keeping the checkpoint after step %d: %w", r.newest, err)
		}
	}
	r.at.Extra = extra
	if err := r.saveState(path); err != nil {
		return err
	}
	r.newest, r.extra = r.at.Step, extra
	return r.prune()
}

// prune removes the checkpoints that are too many, damaged, or of steps that the run will do again.
func (r *run) prune() error {
	others, err := keptIn(r.cfg.Out)
	if err != nil {
		return err
	}
	left := r.cfg.KeepCheckpoints - 1
	if r.extra {
		left++
	}
	for _, k := range others {
		if k.step < r.at.Step && left > 0 && !slices.Contains(r.damaged, k.path) {
			left--
			continue
		}
		if err := os.Remove(k.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an old checkpoint: %w", err)
		}
	}
	r.damaged = nil
	return nil
}

// saveState writes a checkpoint of the run as it is now.
func (r *run) saveState(path string) error {
	made, err := r.cfg.Encode()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	on, err := json.Marshal(machine{Libtorch: torch.Version(), Device: r.th.Device().String(), Threads: r.cfg.Threads.Or(runtime.NumCPU())})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	meta := maps.Clone(r.metadata())
	meta[versionKey], meta[machineKey] = version(), string(on)
	if e := r.textEncoder(); e != nil {
		maps.Copy(meta, text.Metadata(e.Spec()))
	}
	var failed error
	err = r.th.Do(context.Background(), func(s *torch.Scope) { failed = r.save(s, path, r.at, made, meta) })
	return errors.Join(err, failed)
}

// ours reports whether a run writes files of that name, whole or not at all.
func ours(name string) bool {
	return keptPattern.MatchString(name) || strings.HasPrefix(name, "events.out.tfevents.") || slices.Contains([]string{
		configFile, checkpointFile, encoderFile, encoderPTFile, encoderEMAFile, scriptFile, traceFile, initFile, reportFile, brokenFile,
		textEncoderFile, textEncoderPTFile, projectorsFile, tokenizerFile, badTextsFile,
		"metrics.csv", "evaluations.csv",
	}, name)
}
