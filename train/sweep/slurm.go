package sweep

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/gojepa/gojepa/internal/cli"
)

// Slurm writes a batch script that does the plan, one task of a job array for each run, jobs of them at a time, or all at once for
// 0. A task that is told to stop, as by a limit of time, is put back and goes on.
func (p *Plan) Slurm(w io.Writer, train []string, jobs, threads int) error {
	limit := ""
	if jobs > 0 {
		limit = fmt.Sprintf("%%%d", jobs)
	}
	cpus := ""
	if threads > 0 {
		cpus = fmt.Sprintf("#SBATCH --cpus-per-task=%d\n", threads)
	}
	var configs strings.Builder
	for _, r := range p.Runs {
		fmt.Fprintf(&configs, "\t%s\n", quote(p.ConfigFile(r)))
	}
	words := make([]string, len(train))
	for i, word := range train {
		words[i] = quote(word)
	}
	_, err := fmt.Fprintf(w, `#!/bin/bash
#SBATCH --job-name=%s
#SBATCH --array=0-%d%s
%s#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120     # 120 s before the time is over, to what srun started
#SBATCH --requeue             # also after a failure of the node, or preemption
#SBATCH --open-mode=append
#SBATCH --output=%s
configs=(
%s)
srun %s --config "${configs[$SLURM_ARRAY_TASK_ID]}" --threads "${SLURM_CPUS_PER_TASK:-1}" --workers "${SLURM_CPUS_PER_TASK:-1}"
code=$?
if [ $code -eq %d ]; then # told to stop, and saved
	scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit $code
`, clean(filepath.Base(p.Out)), len(p.Runs)-1, limit, cpus, filepath.Join(p.Out, "slurm-%a.log"), configs.String(), strings.Join(words, " "), cli.TryAgain)
	return err
}

// quote writes a word for a shell.
func quote(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+-/:,@%") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
