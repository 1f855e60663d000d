package views

import (
	"fmt"

	"github.com/gojepa/gojepa/vision/images"
)

// Transform makes the views of images. A [Pipeline] is one, [CenterCrop] another; one's own may be given to a [Loader].
type Transform interface {
	// Layout says what views there are of each image. It is the same at every call.
	Layout() []Layout
	// NewWorker returns a worker with memory of its own.
	NewWorker() Worker
}

// Worker makes views, one image at a time. It is not safe for concurrent use.
type Worker interface {
	// Generate writes the views of m into row of out. They depend on the transform, m, epoch and sample, m's index in
	// its source, and on nothing else. It does not write to m.
	Generate(m *images.Image, epoch, sample uint64, out *Batch, row int) error
}

// Reducer is a transform that may do with smaller images than there are.
type Reducer interface {
	Transform
	// Reduction is by how much an image of that size may be reduced before it comes to a worker: 1, 2, 4 or 8.
	Reduction(width, height int) int
}

// Layout describes views that have their size in common.
type Layout struct {
	Views    int  // of each image
	Channels int  // of each view
	Size     int  // side of each view in pixels
	Global   bool // whether the views' mean is what all views predict
	Deep     bool // whether samples are floats
}

// Group is the memory for a batch's views of one size, [Views][Rows][Channels][Size][Size]: Float if the layout is deep,
// 0 being black and 1 white, otherwise Pix. The other is nil.
type Group struct {
	Layout
	Pix   []uint8
	Float []float32
}

// samples is the number of a view's samples.
func (l Layout) samples() int { return l.Channels * l.Size * l.Size }

// Batch holds the views of some images, and which images they are.
type Batch struct {
	Groups  []Group
	Samples []int // by row: the image's index in its source
	Labels  []int // by row: the image's class, or −1
	Epoch   int   // counted from 0
	Step    int   // in the epoch, counted from 0
	Beside  any   // what [LoaderConfig.Beside] made

	src  images.Source
	work batchWork
}

// NewBatch returns memory for so many images, rows of the batch.
func NewBatch(rows int, layout []Layout) *Batch {
	b := &Batch{Samples: make([]int, rows), Labels: make([]int, rows)}
	for _, l := range layout {
		g := Group{Layout: l}
		if n := l.Views * rows * l.samples(); l.Deep {
			g.Float = make([]float32, n)
		} else {
			g.Pix = make([]uint8, n)
		}
		b.Groups = append(b.Groups, g)
	}
	return b
}

// Rows is the number of images.
func (b *Batch) Rows() int { return len(b.Samples) }

// View returns the samples of view v of the image in a row, of a group that is not deep: [Channels][Size][Size], shared with
// b.
func (b *Batch) View(group, v, row int) []uint8 {
	g := &b.Groups[group]
	return part(g.Pix, g.samples(), v*b.Rows()+row)
}

// FloatView is View of a deep group.
func (b *Batch) FloatView(group, v, row int) []float32 {
	g := &b.Groups[group]
	return part(g.Float, g.samples(), v*b.Rows()+row)
}

func part[T any](s []T, n, i int) []T { return s[i*n : (i+1)*n : (i+1)*n] }

// Name says which image a row has, as its source names it; a batch that no [Loader] made gives its index.
func (b *Batch) Name(row int) string {
	if b.src == nil {
		return fmt.Sprintf("image %d", b.Samples[row])
	}
	return b.src.Name(b.Samples[row])
}

// keep drops the rows that are not listed, in ascending order.
func (b *Batch) keep(rows []int) {
	for g := range b.Groups {
		group := &b.Groups[g]
		group.Pix = keep(group.Pix, rows, group.Layout, b.Rows())
		group.Float = keep(group.Float, rows, group.Layout, b.Rows())
	}
	for i, r := range rows {
		b.Samples[i], b.Labels[i] = b.Samples[r], b.Labels[r]
	}
	b.Samples, b.Labels = b.Samples[:len(rows)], b.Labels[:len(rows)]
}

// keep moves what belongs to the rows that are listed, of so many, to the front.
func keep[T any](s []T, rows []int, l Layout, of int) []T {
	if s == nil {
		return nil
	}
	n, at := l.samples(), 0
	for v := range l.Views {
		for _, r := range rows {
			at += copy(s[at:], part(s, n, v*of+r))
		}
	}
	return s[:at]
}

// resize makes room for so many rows, no more than b was made with.
func (b *Batch) resize(rows int) {
	for g := range b.Groups {
		group := &b.Groups[g]
		if n := group.Views * rows * group.samples(); group.Deep {
			group.Float = group.Float[:n]
		} else {
			group.Pix = group.Pix[:n]
		}
	}
	b.Samples, b.Labels = b.Samples[:rows], b.Labels[:rows]
}
