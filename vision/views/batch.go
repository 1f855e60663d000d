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

// Layout describes views that have their size in common.
type Layout struct {
	Views    int  // of each image
	Channels int  // of each view
	Size     int  // side of each view in pixels
	Global   bool // whether the views' mean is what all views predict
}

// Group is the memory for a batch's views of one size: Pix is [Views][Rows][Channels][Size][Size], bytes.
type Group struct {
	Layout
	Pix []uint8
}

// Batch holds the views of some images, and which images they are.
type Batch struct {
	Groups  []Group
	Samples []int // by row: the image's index in its source
	Labels  []int // by row: the image's class, or −1
	Epoch   int   // counted from 0
	Step    int   // in the epoch, counted from 0

	src  images.Source
	work batchWork
}

// NewBatch returns memory for so many images, rows of the batch.
func NewBatch(rows int, layout []Layout) *Batch {
	b := &Batch{Samples: make([]int, rows), Labels: make([]int, rows)}
	for _, l := range layout {
		b.Groups = append(b.Groups, Group{Layout: l, Pix: make([]uint8, l.Views*rows*l.Channels*l.Size*l.Size)})
	}
	return b
}

// Rows is the number of images.
func (b *Batch) Rows() int { return len(b.Samples) }

// View returns the samples of view v of the image in a row, of a group: [Channels][Size][Size], shared with b.
func (b *Batch) View(group, v, row int) []uint8 {
	g := &b.Groups[group]
	n := g.Channels * g.Size * g.Size
	at := (v*b.Rows() + row) * n
	return g.Pix[at : at+n : at+n]
}

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
		n := group.Channels * group.Size * group.Size
		at := 0
		for v := range group.Views {
			for _, r := range rows {
				from := (v*b.Rows() + r) * n
				at += copy(group.Pix[at:], group.Pix[from:from+n])
			}
		}
		group.Pix = group.Pix[:at]
	}
	for i, r := range rows {
		b.Samples[i], b.Labels[i] = b.Samples[r], b.Labels[r]
	}
	b.Samples, b.Labels = b.Samples[:len(rows)], b.Labels[:len(rows)]
}

// resize makes room for so many rows, no more than b was made with.
func (b *Batch) resize(rows int) {
	for g := range b.Groups {
		group := &b.Groups[g]
		group.Pix = group.Pix[:group.Views*rows*group.Channels*group.Size*group.Size]
	}
	b.Samples, b.Labels = b.Samples[:rows], b.Labels[:rows]
}
