package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RunWeights says where in a run's folder its encoder is.
type RunWeights struct {
	File   string
	Prefix string // of the encoder's keys in the file
}

// String says whether these are the weights of a run that has ended.
func (w RunWeights) String() string {
	if w.Prefix == "" {
		return w.File
	}
	return w.File + ", as the run is not finished"
}

// Weights finds the encoder of the run in a folder: what the run left at its end, or else its last checkpoint.
func Weights(dir string) (RunWeights, error) {
	for _, w := range []RunWeights{{File: scriptFile}, {File: encoderFile}, {checkpointFile, encoderPrefix}} {
		w.File = filepath.Join(dir, w.File)
		switch _, err := os.Stat(w.File); {
		case err == nil:
			return w, nil
		case !errors.Is(err, fs.ErrNotExist):
			return w, fmt.Errorf("the run in %s: %w", dir, err)
		}
	}
	return RunWeights{}, fmt.Errorf("%s: there is no run with weights yet: expected %s or %s in it", dir, encoderFile, checkpointFile)
}
