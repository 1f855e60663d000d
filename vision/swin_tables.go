package vision

import (
	"math"
	"strings"

	"github.com/gojepa/gojepa/torch"
)

// largestWindow bounds the tables that are taken from a file: a window of this side has 4096 tokens, and timm's largest 576.
const largestWindow = 64

// adaptTables runs load, which reads weights into e, so that a Swin takes tables of relative positions for windows of
// another size, as those of another image size are: they are resampled to e's own. shape tells the shapes of what is read.
func (e *Encoder) adaptTables(s *torch.Scope, shape func(key string) []int64, load func() error) error {
	sides := map[string]int64{} // of e's windows, where the file's are others
	for _, q := range e.params.All() {
		if !strings.HasSuffix(q.Name, "."+swinTable) {
			continue
		}
		got, want := shape(q.Name), q.Value.Shape()
		if len(got) != 2 || got[1] != want[1] || got[0] == want[0] || windowOf(got[0]) == 0 {
			continue // the same, or an error to be told by load
		}
		sides[q.Name] = windowOf(want[0])
		e.replace(s, q.Name, func(s *torch.Scope) torch.Tensor { return s.Zeros(e.params.DType(), got...) })
	}
	if err := load(); err != nil {
		return err
	}
	for name, side := range sides {
		e.replace(s, name, func(s *torch.Scope) torch.Tensor { return resampledTable(s, s.Use(e.params.Get(name).Value), side) })
	}
	return nil
}

// windowOf is the side of the windows that a table of so many rows is for, or 0 if there is none.
func windowOf(rows int64) int64 {
	for side := int64(1); side <= largestWindow; side++ {
		if n := (swinWindow{side: side}).relative(); n*n == rows {
			return side
		}
	}
	return 0
}

// resampledTable makes a table for windows of another side, by timm's rule, which is BEiT's (Bao et al., arXiv 2106.08254):
// the known positions are thought of as set further and further apart, in steps of a geometric progression that ends where
// the new ones end, and what lies between them is interpolated linearly.
func resampledTable(s *torch.Scope, table torch.Tensor, side int64) torch.Tensor {
	rows, heads := table.Size(0), table.Size(1)
	from, to := (swinWindow{side: windowOf(rows)}).relative(), (swinWindow{side: side}).relative()
	weights := s.FromFloat64(spread(from, to), to, from).To(table.DType())
	// Rows first, then columns.
	y := weights.Matmul(table.Reshape(from, from*heads)).Reshape(to, from, heads).Transpose(0, 1)
	return weights.Matmul(y.Reshape(from, to*heads)).Reshape(to, to, heads).Transpose(0, 1).Reshape(to*to, heads)
}

// spread is a matrix [to, from] of the weights that each of the from known positions has for the new ones. Both numbers are
// odd, and positions are counted from the one in the middle.
func spread(from, to int64) []float64 {
	half := int(from / 2)
	// The ratio is timm's to the last bit of its search, which ends at 1.01 and 1.5 whatever the sizes are.
	low, high, ratio := 1.01, 1.5, 0.0
	for high-low > 1e-6 {
		ratio = (low + high) / 2
		if (1-math.Pow(ratio, float64(half)))/(1-ratio) > float64(to/2) {
			high = ratio
		} else {
			low = ratio
		}
	}
	at := make([]float64, from)
	for i, step := 1, 1.0; i <= half; i, step = i+1, step*ratio {
		at[half+i] = at[half+i-1] + step
		at[half-i] = -at[half+i]
	}
	weights := make([]float64, to*from)
	for i := range to {
		row := weights[i*from : (i+1)*from]
		x := float64(i - to/2)
		right := 0
		for right < len(at)-1 && at[right] < x {
			right++
		}
		left := max(right-1, 0)
		switch {
		case x <= at[left]: // before the first
			row[left] = 1
		case x >= at[right]: // on a position, or past the last
			row[right] = 1
		default:
			row[right] = (x - at[left]) / (at[right] - at[left])
			row[left] = 1 - row[right]
		}
	}
	return weights
}
