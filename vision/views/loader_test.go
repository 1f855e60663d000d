package views

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images"
)

// fake is a source of small images, image i filled with the byte i, of which some are broken.
type fake struct {
	n      int
	broken map[int]bool
	panics bool
	reads  atomic.Int64
	delay  func(i int)
}

func (s *fake) Len() int          { return s.n }
func (s *fake) Name(i int) string { return fmt.Sprintf("file%d", i) }
func (s *fake) Image(ctx context.Context, i int) (*images.Image, error) {
	s.reads.Add(1)
	if s.delay != nil {
		s.delay(i)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.broken[i] {
		if s.panics {
			panic("out of range")
		}
		return nil, errors.New("bad data")
	}
	m := images.New(1, 4, 4)
	for k := range m.Pix {
		m.Pix[k] = uint8(i)
	}
	return m, nil
}

// labelled gives fake a class for all but every third image.
type labelled struct{ *fake }

func (s labelled) Label(i int) (int, bool) { return i % 2, i%3 != 0 }
func (s labelled) Classes() []string       { return []string{"even", "odd"} }

// whole is a transform that copies what is there.
func whole(t testing.TB) Transform {
	c, err := NewCenterCrop(4, 4, Kind{Channels: 1}, Bilinear)
	require.NoError(t, err)
	return c
}

func loaderConfig(batch, workers int) LoaderConfig {
	return LoaderConfig{BatchSize: batch, Workers: workers, Prefetch: 2, Seed: 5, MaxBroken: 0.2}
}

// copied is a batch that outlives the next call of Next.
type copied struct {
	Epoch, Step     int
	Samples, Labels []int
	Pix             [][]uint8
}

func next(t testing.TB, l *Loader) copied {
	b, err := l.Next(context.Background())
	require.NoError(t, err)
	return clone(b)
}

func clone(b *Batch) copied {
	c := copied{b.Epoch, b.Step, slices.Clone(b.Samples), slices.Clone(b.Labels), nil}
	for _, g := range b.Groups {
		c.Pix = append(c.Pix, slices.Clone(g.Pix))
	}
	return c
}

func start(t testing.TB, src images.Source, tr Transform, c LoaderConfig) *Loader {
	l, err := NewLoader(context.Background(), src, tr, c)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

func TestLoaderShuffles(t *testing.T) {
	src := &fake{n: 23}
	l := start(t, src, whole(t), loaderConfig(5, 3))
	require.Equal(t, 4, l.Steps())
	var epochs [3][]int
	for i := range 12 {
		b := next(t, l)
		assert.Equal(t, i/4, b.Epoch)
		assert.Equal(t, i%4, b.Step)
		require.Len(t, b.Samples, 5, "what is left over is dropped")
		for row, s := range b.Samples {
			assert.Equal(t, uint8(s), b.Pix[0][row*16], "row %d has the pixels of its sample", row)
			assert.Equal(t, -1, b.Labels[row])
		}
		epochs[b.Epoch] = append(epochs[b.Epoch], b.Samples...)
	}
	for _, e := range epochs {
		sorted := slices.Clone(e)
		slices.Sort(sorted)
		assert.Len(t, slices.Compact(sorted), 20, "no image twice in an epoch")
	}
	assert.NotEqual(t, epochs[0], epochs[1])
	assert.NotEqual(t, epochs[1], epochs[2])

	c := loaderConfig(5, 3)
	c.Seed = 6
	assert.NotEqual(t, epochs[0][:5], next(t, start(t, src, whole(t), c)).Samples)
}

// TestLoaderIsDeterministic: the same batches for any number of workers and any prefetch, from any step on, broken images or not.
func TestLoaderIsDeterministic(t *testing.T) {
	for _, broken := range []map[int]bool{nil, {3: true, 4: true, 22: true}} {
		p, err := New(Config{
			Global: GlobalConfig{Count: 2, Size: 6, Scale: [2]float64{0.3, 1}, Ratio: [2]float64{0.5, 2}},
			Local:  LocalConfig{Count: 3, Size: 3, Scale: [2]float64{0.1, 0.3}, Ratio: [2]float64{0.5, 2}},
			Flip:   0.5, Jitter: JitterConfig{P: 0.8, Brightness: 0.5},
		}, Kind{Channels: 1}, 9)
		require.NoError(t, err)
		src := func() images.Source {
			return labelled{&fake{n: 23, broken: broken, delay: func(i int) {
				if i%3 == 0 {
					runtime.Gosched()
					time.Sleep(time.Duration(i) * 10 * time.Microsecond) // workers overtake each other
				}
			}}}
		}
		var want []copied
		l := start(t, src(), p, loaderConfig(4, 1))
		for range 14 {
			want = append(want, next(t, l))
		}
		for _, workers := range []int{2, 3, 8} {
			c := loaderConfig(4, workers)
			c.Prefetch = workers
			l := start(t, src(), p, c)
			for i := range want {
				require.Equal(t, want[i], next(t, l), "%d workers, batch %d", workers, i)
			}
		}
		for from := 1; from < len(want); from += 3 {
			c := loaderConfig(4, 2)
			c.Epoch, c.Step = from/l.Steps(), from%l.Steps()
			if from > 6 {
				c.Epoch, c.Step = 0, from // the same place
			}
			l := start(t, src(), p, c)
			for i := from; i < len(want); i++ {
				require.Equal(t, want[i], next(t, l), "from %d, batch %d", from, i)
			}
		}
	}
}

// TestLoaderBeside: what is beside a batch is of its own images, those that replaced broken ones too.
func TestLoaderBeside(t *testing.T) {
	c := loaderConfig(4, 3)
	c.Beside = func(b *Batch) any { return slices.Clone(b.Samples) }
	l := start(t, &fake{n: 23, broken: map[int]bool{3: true, 4: true}}, whole(t), c)
	for range 14 {
		b, err := l.Next(context.Background())
		require.NoError(t, err)
		assert.Equal(t, b.Samples, b.Beside)
		assert.NotContains(t, b.Samples, 3)
	}
}

func TestLoaderResumesWithoutDecodingWhatCameBefore(t *testing.T) {
	src := &fake{n: 1000}
	c := loaderConfig(10, 2)
	c.Epoch, c.Step = 3, 90
	l := start(t, src, whole(t), c)
	b := next(t, l)
	assert.Equal(t, [2]int{3, 90}, [2]int{b.Epoch, b.Step})
	l.Close()
	assert.LessOrEqual(t, src.reads.Load(), int64(10*4), "no more than is fetched ahead")
}

func TestLoaderReplacesBrokenImages(t *testing.T) {
	for _, panics := range []bool{false, true} {
		src := &fake{n: 20, broken: map[int]bool{3: true, 4: true, 19: true}, panics: panics}
		var told []Broken
		c := loaderConfig(20, 4)
		c.OnBroken = func(b Broken) { told = append(told, b) }
		l := start(t, src, whole(t), c)
		good := start(t, &fake{n: 20}, whole(t), c)
		for range 3 {
			got, want := next(t, l), next(t, good)
			for row, s := range want.Samples {
				switch s {
				case 3, 4:
					s = 5
				case 19:
					s = 0
				}
				assert.Equal(t, s, got.Samples[row], "the next good one stands in")
				assert.Equal(t, uint8(s), got.Pix[0][16*row])
			}
		}
		require.Len(t, told, 3, "each is told of once")
		require.Len(t, l.Broken(), 3)
		assert.Equal(t, "file3", l.Broken()[0].Name)
		want := "bad data"
		if panics {
			want = "reading it panicked: out of range"
		}
		assert.EqualError(t, l.Broken()[0].Err, want)
	}
}

func TestLoaderStopsAtTooManyBroken(t *testing.T) {
	broken := map[int]bool{}
	for i := 0; i < 1000; i += 33 {
		broken[i] = true
	}
	var steps []int
	for _, workers := range []int{1, 4} {
		c := loaderConfig(10, workers)
		c.MaxBroken = 0.029
		l := start(t, &fake{n: 1000, broken: broken}, whole(t), c)
		n := 0
		var err error
		for ; err == nil; n++ {
			_, err = l.Next(context.Background())
		}
		steps = append(steps, n)
		require.ErrorIs(t, err, ErrTooManyBroken)
		assert.ErrorContains(t, err, "30 of 1000 so far, more than the 2.9 % that are allowed")
		assert.ErrorContains(t, err, "\n\tfile0: bad data\n\tfile33: bad data")
		assert.ErrorContains(t, err, "and 10 more")
		_, again := l.Next(context.Background())
		assert.Equal(t, err, again, "it stays stopped")
	}
	assert.Equal(t, steps[0], steps[1], "at the same batch")

	// Nothing good at all, whether that is allowed or not.
	all := map[int]bool{}
	for i := range 50 {
		all[i] = true
	}
	for share, want := range map[float64]string{0.1: "too many broken images: ", 1: "no image could be read, the last being file"} {
		c := loaderConfig(10, 2)
		c.MaxBroken = share
		_, err := start(t, &fake{n: 50, broken: all}, whole(t), c).Next(context.Background())
		assert.ErrorContains(t, err, want)
	}
}

func TestLoaderInOrder(t *testing.T) {
	for _, workers := range []int{1, 4} {
		src := labelled{&fake{n: 23, broken: map[int]bool{7: true, 15: true, 16: true, 17: true}}}
		c := loaderConfig(3, workers)
		c.InOrder = true
		l := start(t, src, whole(t), c)
		assert.Equal(t, 8, l.Steps())
		var seen []int
		for {
			b, err := l.Next(context.Background())
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			require.Len(t, b.Groups[0].Pix, 16*b.Rows())
			for row, s := range b.Samples {
				assert.Equal(t, uint8(s), b.View(0, 0, row)[15])
				assert.Equal(t, src.Name(s), b.Name(row))
				want := -1
				if s%3 != 0 {
					want = s % 2
				}
				assert.Equal(t, want, b.Labels[row])
			}
			seen = append(seen, b.Samples...)
		}
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 18, 19, 20, 21, 22}, seen)
		assert.Len(t, l.Broken(), 4)
		_, err := l.Next(context.Background())
		assert.ErrorIs(t, err, io.EOF)
	}
	// Fewer images than a batch.
	c := loaderConfig(100, 2)
	c.InOrder = true
	assert.Len(t, next(t, start(t, &fake{n: 3}, whole(t), c)).Samples, 3)
}

// pairs is a transform with two views of one size and one of another, for the memory of batches.
type pairs struct{}

func (pairs) Layout() []Layout {
	return []Layout{{Views: 2, Channels: 1, Size: 1, Global: true}, {Views: 1, Channels: 1, Size: 2}}
}
func (pairs) NewWorker() Worker { return pairs{} }
func (pairs) Generate(m *images.Image, _, sample uint64, b *Batch, row int) error {
	b.View(0, 0, row)[0], b.View(0, 1, row)[0] = uint8(sample), 100+uint8(sample)
	for i := range b.View(1, 0, row) {
		b.View(1, 0, row)[i] = 10*uint8(sample) + uint8(i)
	}
	return nil
}

func TestBatchesThatShrink(t *testing.T) {
	c := loaderConfig(4, 1)
	c.InOrder, c.MaxBroken = true, 0.5
	l := start(t, &fake{n: 6, broken: map[int]bool{1: true}}, pairs{}, c)
	b := next(t, l)
	assert.Equal(t, [][]uint8{{0, 2, 3, 100, 102, 103}, {0, 1, 2, 3, 20, 21, 22, 23, 30, 31, 32, 33}}, b.Pix)
	b = next(t, l)
	assert.Equal(t, [][]uint8{{4, 5, 104, 105}, {40, 41, 42, 43, 50, 51, 52, 53}}, b.Pix)
	assert.Equal(t, "image 0", NewBatch(1, nil).Name(0))
}

func TestLoaderEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	block := make(chan struct{})
	src := &fake{n: 100, delay: func(int) { <-block }}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := NewLoader(ctx, src, whole(t), loaderConfig(10, 3))
	require.NoError(t, err)

	// The caller's context ends one call; the next goes on with the same batch.
	impatient, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	_, err = l.Next(impatient)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = l.Next(impatient)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(block)
	assert.Equal(t, 0, next(t, l).Step)
	assert.Equal(t, 1, next(t, l).Step)

	// The loader's context ends it.
	cancel()
	require.Eventually(t, func() bool {
		_, err := l.Next(context.Background())
		return errors.Is(err, context.Canceled)
	}, 5*time.Second, time.Millisecond)
	assert.Empty(t, l.Broken(), "what was cut short is not broken")
	l.Close()
	l.Close()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "goroutines are left")
	}
}

func TestLoaderRefuses(t *testing.T) {
	ctx := context.Background()
	_, err := NewLoader(ctx, &fake{n: 9}, whole(t), loaderConfig(10, 1))
	assert.ErrorContains(t, err, "9 images, fewer than a batch of 10")
	_, err = NewLoader(ctx, &fake{n: 9}, whole(t), LoaderConfig{Epoch: -1, Step: -1, MaxBroken: 2})
	for _, want := range []string{"batch size: 0", "workers: 0", "prefetch: 0", "epoch: -1", "step: -1", "share of broken images: 2"} {
		assert.ErrorContains(t, err, want)
	}
	assert.NoError(t, DefaultLoaderConfig().Validate())
}

// TestMemoryIsBounded: batches are made once and used again.
func TestMemoryIsBounded(t *testing.T) {
	c := loaderConfig(4, 2)
	l := start(t, &fake{n: 40}, whole(t), c)
	seen := map[*uint8]bool{}
	for range 50 {
		b, err := l.Next(context.Background())
		require.NoError(t, err)
		seen[&b.Groups[0].Pix[0]] = true
	}
	assert.LessOrEqual(t, len(seen), c.Prefetch+1)
}

// TestRealFolders runs the published views over real images, at a small size.
func TestRealFolders(t *testing.T) {
	for _, dir := range []string{"eurosat/validation", "clothing160/validation"} {
		t.Run(dir, func(t *testing.T) {
			path := filepath.Join("../../../shared/data", dir)
			if _, err := os.Stat(path); err != nil {
				t.Skip("../shared/data/" + dir + " is absent")
			}
			o := images.DefaultOptions()
			o.Labels = true
			src, err := images.Folder(context.Background(), path, o)
			require.NoError(t, err)
			p, err := New(small(), Kind{Channels: 3}, 1)
			require.NoError(t, err)
			c := DefaultLoaderConfig()
			c.BatchSize, c.Workers = 32, 2
			l := start(t, src, p, c)
			for range 3 {
				b, err := l.Next(context.Background())
				require.NoError(t, err)
				for row := range b.Rows() {
					require.GreaterOrEqual(t, b.Labels[row], 0)
					require.NotEmpty(t, b.Name(row))
				}
			}
			assert.Empty(t, l.Broken())
		})
	}
}
