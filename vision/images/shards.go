package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
)

// ShardsSource is the images of tar files as WebDataset writes them: members whose names are the same up to the first dot
// of their last part make a sample, if no other comes between them; what follows the dot says what a member is: "jpg",
// "cls", "txt", "json". It is made by [Open].
//
// Every image can be had at any time, as its place in its file is known. Whoever goes through the images in a random order,
// as a loader does, therefore shuffles over all shards at once, and not in a buffer. It costs a seek for each image, as
// images in files of their own do, and some 50 bytes of memory. Samples without an image are left out. A file that cannot be
// read to its end has a last image more, which is an error that says so.
type ShardsSource struct {
	shards []*shard
	names  []string // by shard: for people
	first  []int    // by shard: its first image
	opts   Options
	column string // of captions
	labelling
}

// openShards opens tar files, or those below folders.
func openShards(ctx context.Context, paths []string, o OpenOptions) (Source, error) {
	paths, err := filesOf(ctx, paths, o, ".tar")
	if err != nil {
		return nil, err
	}
	s := &ShardsSource{names: shortNames(paths), opts: o.decoding(), column: o.CaptionColumn}
	want := membersOf(o)
	x := o.index()
	known := x.loadShards(paths[0], want)
	s.shards = make([]*shard, len(paths))
	scanned, err := parallel(ctx, len(paths), func(i int) (bool, error) {
		file, info, err := statFile(paths[i])
		if err != nil {
			return false, err
		}
		if old := known[absolute(paths[i])]; old != nil && old.is(info) {
			same := *old
			same.file = file
			s.shards[i] = &same
			return false, nil
		}
		s.shards[i], err = scanShard(ctx, file, info, want)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	if slices.Contains(scanned, true) {
		x.saveShards(paths[0], want, s.shards, known)
	}
	return s, s.join(want, o)
}

// join counts images and classes over all shards.
func (s *ShardsSource) join(want members, o OpenOptions) error {
	var labels labelTexts
	n, without := 0, 0
	others := map[string]int{}
	for _, sh := range s.shards {
		s.first = append(s.first, n)
		n += sh.images()
		without += sh.without
		for ext, k := range sh.others {
			others[ext] += k
		}
		for _, l := range sh.labels.labels {
			text := ""
			if l >= 0 {
				text = sh.labels.texts[l]
			}
			labels.add(text)
		}
		if sh.broken != "" && want.labels() {
			labels.add("")
		}
	}
	if n == 0 {
		return fmt.Errorf("no image in %d samples: their members are %s, expected %s", without, commonest(others), want.imagesText())
	}
	if without > 0 {
		o.notef("%d samples without an image are left out", without)
	}
	if want.labels() {
		if len(labels.texts) == 0 {
			return fmt.Errorf("no sample has a label: their members are %s, expected %s", commonest(others), want.labelText())
		}
		s.labelling = labels.finish()
	}
	return nil
}

// commonest lists some extensions, the commonest first.
func commonest(count map[string]int) string {
	all := make([]string, 0, len(count))
	for ext := range count {
		all = append(all, ext)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		return count[a] > count[b] || count[a] == count[b] && a < b
	})
	return fmt.Sprintf("%q", all[:min(len(all), 8)])
}

// at is the shard of image i, and the image's number there.
func (s *ShardsSource) at(i int) (shard, sample int) {
	return within(s.first, i)
}

// Len is the number of images in all shards.
func (s *ShardsSource) Len() int {
	last := len(s.shards) - 1
	return s.first[last] + s.shards[last].images()
}

// Name is image i's shard and its sample's key there.
func (s *ShardsSource) Name(i int) string {
	k, n := s.at(i)
	if n == len(s.shards[k].samples) {
		return s.names[k] + " to its end"
	}
	return s.names[k] + "/" + s.shards[k].keys.at(n)
}

// Image reads and decodes an image.
func (s *ShardsSource) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k, n := s.at(i)
	sh := s.shards[k]
	if n == len(sh.samples) {
		return nil, fmt.Errorf("%s: what follows its %d images cannot be read: %s", sh.file.path, n, sh.broken)
	}
	data, err := sh.file.read(sh.samples[n].image.off, int64(sh.samples[n].image.size))
	if err != nil {
		return nil, fmt.Errorf("sample %s: %w", sh.keys.at(n), err)
	}
	m, err := Decode(data, s.opts)
	if err != nil {
		return nil, fmt.Errorf("%s: sample %s: %w", sh.file.path, sh.keys.at(n), err)
	}
	return m, nil
}

// Caption is the text of image i's member "txt", or of the caption in its member "json".
func (s *ShardsSource) Caption(i int) (string, bool) {
	k, n := s.at(i)
	sh := s.shards[k]
	if n == len(sh.samples) || sh.samples[n].caption.size == 0 {
		return "", false
	}
	c := sh.samples[n].caption
	data, err := sh.file.read(c.off, int64(c.size))
	if err != nil {
		return "", false
	}
	if c.json {
		return jsonText(data, orUsual(s.column, captionColumns))
	}
	return string(data), true
}

func (s *ShardsSource) options() Options { return s.opts }

func (s *ShardsSource) with(o Options) Source {
	c := *s
	c.opts = o
	return &c
}

func orUsual(column string, usual []string) []string {
	if column != "" {
		return []string{column}
	}
	return usual
}

// jsonText is the value of the first of some keys that an object has, as text.
func jsonText(data []byte, keys []string) (string, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil {
		return "", false
	}
	for _, key := range keys {
		v, ok := object[key]
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal(v, &text) == nil {
			return text, text != ""
		}
		return string(v), string(v) != "null"
	}
	return "", false
}

// absolute is a path from the root, so that an index is good for whichever folder it is used from.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// shortNames are paths without the folders that all of them begin with.
func shortNames(paths []string) []string {
	short := slices.Clone(paths)
	dir := filepath.Dir(paths[0])
	for _, p := range paths {
		for dir != "." && dir != "/" && !strings.HasPrefix(p, dir+"/") {
			dir = filepath.Dir(dir)
		}
	}
	for i := range short {
		if strings.HasPrefix(short[i], dir+"/") {
			short[i] = short[i][len(dir)+1:]
		}
	}
	return short
}

// parallel calls f for 0 … n−1, several at a time, and returns what it returned. The error is the first one's, by number.
func parallel[T any](ctx context.Context, n int, f func(i int) (T, error)) ([]T, error) {
	results, failed := make([]T, n), make([]error, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, max(4, runtime.GOMAXPROCS(0))) { // as much for a disk's sake as for the processor's
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range next {
				if failed[i] = ctx.Err(); failed[i] == nil {
					results[i], failed[i] = f(i)
				}
			}
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// changed is a file's time, or 0 if it changed so recently that it may change again unseen.
func changed(info os.FileInfo, looked int64) int64 {
	if t := info.ModTime().UnixNano(); looked-t > int64(settled) {
		return t
	}
	return 0
}

var errCompressed = errors.New("it is compressed, so that no image can be found without unpacking all before it: unpack it, as images hardly shrink")
