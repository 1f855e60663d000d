package views

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/vision/images"
)

// LoaderConfig says how a [Loader] goes through a source.
type LoaderConfig struct {
	BatchSize int     // images in a batch
	Workers   int     // goroutines that decode and augment
	Prefetch  int     // batches that are made ahead; memory is for one more, which the caller has
	Seed      uint64  // of the order of images
	InOrder   bool    // once through the source as it is, the last batch as small as it comes; else shuffled, without end
	Epoch     int     // where to begin
	Step      int     // where in the epoch to begin; beyond its end is in a later one
	Reduce    bool    // decode large images at 1/2, 1/4 or 1/8 of their size where a Reducer among transforms allows it
	MaxBroken float64 // share of the source's images that may be broken, from 0 to 1

	// OnBroken, if not nil, is told of each broken image once, by the caller of Next, in the order of batches.
	OnBroken func(Broken)
	// Beside, if not nil, makes what a batch has besides its views, [Batch.Beside], of which images it has. A worker calls it, for
	// several batches at once, when the views are made. InOrder, images that are broken are still in the batch then.
	Beside func(*Batch) any
	// OnImage, if not nil, is told by each worker, 0 … Workers-1, when it began to read an image, had read it, and had made its
	// views.
	OnImage func(worker int, began, read, made time.Time)
}

// DefaultLoaderConfig is batches of 256, a worker for each processor that Go uses, two batches ahead, and 1 % of images
// that may be broken.
func DefaultLoaderConfig() LoaderConfig {
	return LoaderConfig{BatchSize: 256, Workers: runtime.GOMAXPROCS(0), Prefetch: 2, MaxBroken: 0.01}
}

// Validate names everything that is wrong.
func (c LoaderConfig) Validate() error {
	var errs []error
	atLeast := func(least int, name string, v int) {
		if v < least {
			errs = append(errs, fmt.Errorf("%s: %d, expected at least %d", name, v, least))
		}
	}
	atLeast(1, "batch size", c.BatchSize)
	atLeast(1, "workers", c.Workers)
	atLeast(1, "prefetch", c.Prefetch)
	atLeast(0, "epoch", c.Epoch)
	atLeast(0, "step", c.Step)
	if !(c.MaxBroken >= 0 && c.MaxBroken <= 1) {
		errs = append(errs, fmt.Errorf("share of broken images: %v, expected 0 to 1", c.MaxBroken))
	}
	return errors.Join(errs...)
}

// Broken is an image that could not be read.
type Broken struct {
	Sample int
	Name   string
	Err    error
}

// ErrTooManyBroken is what Next's error is when more images are broken than allowed; its text names them.
var ErrTooManyBroken = errors.New("too many broken images")

// Loader makes batches of views in the background. Which images are in a batch, and their views, depend on the source,
// the transform, the seed, the epoch and the step, whatever the number of workers and wherever it began.
//
// Shuffled, an epoch is a permutation of the source cut into whole batches: what is left over goes unseen until the next.
// A broken image is replaced by the next good one in the order of the source, with that one's views; its place in the
// order of the epoch does not change, so that a run that resumes need not know what came before. InOrder, broken images
// are left out.
type Loader struct {
	src       images.Source
	labels    images.Labelled // or nil
	transform Transform
	config    LoaderConfig
	steps     int // of an epoch
	allowed   int // broken images

	ctx     context.Context // of the workers: ends with the loader
	cancel  context.CancelFunc
	workers sync.WaitGroup
	free    chan *Batch
	ready   chan *Batch // in order, to be waited for
	tasks   chan task
	failed  sync.Map // sample → error, so that no broken image is read twice

	next   *Batch // taken from ready, and not done when the caller gave up
	last   *Batch // the caller has it
	broken map[int]Broken
	err    error // of all further calls of Next
}

type task struct {
	batch *Batch
	row   int
}

// batchWork is what the loader keeps about a batch that is being made.
type batchWork struct {
	pending atomic.Int64
	done    chan struct{} // closed when pending is 0
	broken  [][]Broken    // by row: what was found broken on the way to a good image
	missing []bool        // by row: there is no good image
}

// NewLoader starts workers that make batches of src's images by t, until ctx ends or [Loader.Close] is called.
func NewLoader(ctx context.Context, src images.Source, t Transform, c LoaderConfig) (*Loader, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("loader: %w", err)
	}
	n := src.Len()
	l := &Loader{src: src, transform: t, config: c, broken: map[int]Broken{}}
	l.steps = n / c.BatchSize
	if c.InOrder {
		l.steps = (n + c.BatchSize - 1) / c.BatchSize
	}
	if l.steps == 0 {
		return nil, fmt.Errorf("loader: %d images, fewer than a batch of %d", n, c.BatchSize)
	}
	l.allowed = int(c.MaxBroken*float64(n) + 1e-9) // 0.29 of 100 is 29
	if labelled, ok := src.(images.Labelled); ok && len(labelled.Classes()) > 0 {
		l.labels = labelled
	}
	batches := c.Prefetch + 1
	l.free, l.ready = make(chan *Batch, batches), make(chan *Batch, batches)
	l.tasks = make(chan task, c.Workers)
	rows := min(c.BatchSize, n)
	for range batches {
		b := NewBatch(rows, t.Layout())
		b.src = src
		b.work.broken, b.work.missing = make([][]Broken, rows), make([]bool, rows)
		l.free <- b
	}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.workers.Add(1 + c.Workers)
	go l.schedule(l.ctx)
	for i := range c.Workers {
		go l.work(l.ctx, i)
	}
	return l, nil
}

// Steps is the number of batches in an epoch.
func (l *Loader) Steps() int { return l.steps }

// Broken are the broken images met so far, in the order of the source.
func (l *Loader) Broken() []Broken {
	all := make([]Broken, 0, len(l.broken))
	for _, b := range l.broken {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Broken) int { return a.Sample - b.Sample })
	return all
}

// Close stops the workers and waits for them. Batches that were handed out stay valid.
func (l *Loader) Close() {
	l.cancel()
	l.workers.Wait()
}

// Next returns the next batch, which is valid until the next call. InOrder, the error is io.EOF after the last batch.
// Next must not be called concurrently.
func (l *Loader) Next(ctx context.Context) (*Batch, error) {
	if l.err != nil {
		return nil, l.err
	}
	for {
		if l.last != nil {
			l.free <- l.last // has room for all batches
			l.last = nil
		}
		b, err := l.wait(ctx)
		if err != nil {
			return nil, err
		}
		l.last = b
		if l.err = l.collect(b); l.err != nil {
			return nil, l.err
		}
		if b.Rows() > 0 { // InOrder, all may have been broken
			return b, nil
		}
	}
}

// wait returns the next batch when it is made. If ctx ends before, a later call may go on waiting.
func (l *Loader) wait(ctx context.Context) (*Batch, error) {
	if l.next == nil {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case b, ok := <-l.ready:
			if !ok && l.ctx.Err() == nil {
				l.err = io.EOF
				return nil, io.EOF
			}
			l.next = b
		}
	}
	if l.ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.ctx.Done():
		case <-l.next.work.done:
			b := l.next
			l.next = nil
			return b, nil
		}
	}
	l.err = fmt.Errorf("loader: stopped: %w", l.ctx.Err())
	return nil, l.err
}

// collect counts what was broken on the way to a batch.
func (l *Loader) collect(b *Batch) error {
	var kept []int
	var missing *Broken
	for row := range b.Rows() {
		for _, x := range b.work.broken[row] {
			if _, known := l.broken[x.Sample]; known {
				continue
			}
			l.broken[x.Sample] = x
			if l.config.OnBroken != nil {
				l.config.OnBroken(x)
			}
		}
		if list := b.work.broken[row]; b.work.missing[row] {
			missing = &list[len(list)-1]
		} else {
			kept = append(kept, row)
		}
	}
	if len(l.broken) > l.allowed {
		return l.tooMany()
	}
	if len(kept) == b.Rows() {
		return nil
	}
	if l.config.InOrder {
		b.keep(kept)
		return nil
	}
	return fmt.Errorf("loader: no image could be read, the last being %s: %w", missing.Name, missing.Err)
}

func (l *Loader) tooMany() error {
	const named = 20
	var s strings.Builder
	all := l.Broken()
	for _, b := range all[:min(len(all), named)] {
		fmt.Fprintf(&s, "\n\t%s: %v", b.Name, b.Err)
	}
	if len(all) > named {
		fmt.Fprintf(&s, "\n\tand %d more", len(all)-named)
	}
	return fmt.Errorf("%w: %d of %d so far, more than the %.3g %% that are allowed (max_broken):%s",
		ErrTooManyBroken, len(all), l.src.Len(), 100*l.config.MaxBroken, s.String())
}

// schedule hands out the rows of batches, in order.
func (l *Loader) schedule(ctx context.Context) {
	defer l.workers.Done()
	defer close(l.tasks)
	defer close(l.ready)
	epoch, step := l.config.Epoch+l.config.Step/l.steps, l.config.Step%l.steps
	if l.config.InOrder {
		epoch, step = l.config.Epoch, l.config.Step
	}
	order := make([]int, l.src.Len())
	for ; ; epoch, step = epoch+1, 0 {
		for i := range order {
			order[i] = i
		}
		if !l.config.InOrder {
			rng.New(l.config.Seed, rng.Order, uint64(epoch), 0).Shuffle(len(order), func(i, j int) {
				order[i], order[j] = order[j], order[i]
			})
		}
		for ; step < l.steps; step++ {
			var b *Batch
			select {
			case <-ctx.Done():
				return
			case b = <-l.free:
			}
			from := step * l.config.BatchSize
			rows := min(l.config.BatchSize, len(order)-from)
			b.resize(rows)
			copy(b.Samples, order[from:])
			b.Epoch, b.Step = epoch, step
			b.work.pending.Store(int64(rows))
			b.work.done = make(chan struct{})
			l.ready <- b // has room for all batches
			for row := range rows {
				select {
				case <-ctx.Done():
					return
				case l.tasks <- task{b, row}:
				}
			}
		}
		if l.config.InOrder {
			return
		}
	}
}

// maker is a goroutine that makes views, with what it works with.
type maker struct {
	Worker
	id  int
	buf images.Buffer
}

// work makes the views of rows.
func (l *Loader) work(ctx context.Context, id int) {
	defer l.workers.Done()
	w := maker{Worker: l.transform.NewWorker(), id: id}
	if t, ok := l.transform.(Reducer); ok && l.config.Reduce {
		w.buf.Fit = t.Reduction
	}
	for t := range l.tasks {
		if !l.fill(ctx, &w, t.batch, t.row) {
			return // the loader is being closed
		}
		if t.batch.work.pending.Add(-1) == 0 {
			if l.config.Beside != nil {
				t.batch.Beside = l.config.Beside(t.batch)
			}
			close(t.batch.work.done)
		}
	}
}

// fill makes a row of its image, or of the next good one. It is false if ctx has ended.
func (l *Loader) fill(ctx context.Context, w *maker, b *Batch, row int) bool {
	b.work.broken[row] = b.work.broken[row][:0]
	n, i := l.src.Len(), b.Samples[row]
	for {
		err := l.try(ctx, w, b, row, i)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			break
		}
		b.work.broken[row] = append(b.work.broken[row], Broken{Sample: i, Name: l.src.Name(i), Err: err})
		// One more than is allowed is enough to end the run.
		if tried := len(b.work.broken[row]); l.config.InOrder || tried > l.allowed || tried == n {
			b.work.missing[row] = true
			return true
		}
		i = (i + 1) % n
	}
	b.work.missing[row] = false
	b.Samples[row], b.Labels[row] = i, -1
	if l.labels != nil {
		if label, ok := l.labels.Label(i); ok {
			b.Labels[row] = label
		}
	}
	return true
}

// try makes the views of image i. A reader that panics has met a broken image.
func (l *Loader) try(ctx context.Context, w *maker, b *Batch, row, i int) (err error) {
	if err, ok := l.failed.Load(i); ok {
		return err.(error)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading it panicked: %v", p)
		}
		if err != nil && ctx.Err() == nil {
			l.failed.Store(i, err)
		}
	}()
	began := time.Now()
	m, err := images.Read(ctx, l.src, i, &w.buf)
	if err != nil {
		return err
	}
	read := time.Now()
	err = w.Generate(m, uint64(b.Epoch), uint64(i), b, row)
	if l.config.OnImage != nil {
		l.config.OnImage(w.id, began, read, time.Now())
	}
	return err
}
