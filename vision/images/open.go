package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Kind is a kind of collection.
type Kind string

// The kinds. The path of a collection tells them apart, but where it is to be another.
const (
	Auto        Kind = "auto"
	FolderKind  Kind = "folder"  // a tree of image files
	ListKind    Kind = "list"    // a CSV, TSV or text file that names images
	ShardsKind  Kind = "shards"  // tar files as WebDataset has them
	ParquetKind Kind = "parquet" // Parquet files with a column of images, as the Hugging Face hub has them
	ArraysKind  Kind = "arrays"  // NumPy's .npy and .npz files
	HDF5Kind    Kind = "hdf5"    // an HDF5 file with an array of images
	CIFARKind   Kind = "cifar"   // the binary version of CIFAR-10 or CIFAR-100
	IDXKind     Kind = "idx"     // IDX files, as MNIST has them
)

// OpenOptions say what is in a collection and how its files become images.
type OpenOptions struct {
	// Channels may be 0: then images have their own, and may differ in it; see [Uniform].
	Options

	Kind Kind // "" and Auto: as the path tells
	Test bool // of a collection in two parts that are named as usual (train, test): the one to test with

	// Columns of a list or a table, by name; of a list without a header by number, from 1; the extensions of a shard's
	// members or a key in its .json; the arrays of an .npz file. Those that are empty are the usual ones. Labels are looked
	// for only if Labels is true or LabelColumn given.
	ImageColumn, LabelColumn, CaptionColumn string

	Root   string // what the paths of a list are relative to; "": the list's folder
	Layout Layout // of arrays

	Index  string       // folder for what is found out about a collection, so that it is opened faster next time; "": none
	Rescan bool         // find it out anew
	Note   func(string) // if not nil, told of what may be worth knowing, such as a broken index file
}

// DefaultOpen is DefaultOptions, each image with its own channels and depth.
func DefaultOpen() OpenOptions {
	o := OpenOptions{Options: DefaultOptions()}
	o.Channels, o.AsIs = 0, true
	return o
}

// Validate names everything that is wrong with the options.
func (o OpenOptions) Validate() error {
	var errs []error
	if o.Channels < 0 {
		errs = append(errs, fmt.Errorf("channels: %d, expected 0 (each image's own) or more", o.Channels))
	}
	others := o.decoding()
	others.Channels = 3 // which numbers can be had depends on the kind
	if err := others.Validate(); err != nil {
		errs = append(errs, err)
	}
	if _, ok := openers[o.Kind]; !ok && o.Kind != Auto && o.Kind != "" {
		errs = append(errs, fmt.Errorf("kind of collection: %q, expected auto, folder, list, shards, parquet, arrays, hdf5, cifar or idx", o.Kind))
	}
	return errors.Join(append(errs, o.Layout.validate())...)
}

// decoding are the options for images in files of their own format.
func (o OpenOptions) decoding() Options {
	return o.Options
}

func (o OpenOptions) index() *folderIndex {
	if o.Index == "" {
		return nil
	}
	return &folderIndex{dir: o.Index, rescan: o.Rescan, note: o.Note}
}

func (o OpenOptions) notef(format string, a ...any) {
	if o.Note != nil {
		o.Note(fmt.Sprintf(format, a...))
	}
}

// opener opens a kind of collection. paths is what the path stands for: one thing, or several files.
type opener func(ctx context.Context, paths []string, o OpenOptions) (Source, error)

var openers = map[Kind]opener{
	FolderKind:  openFolder,
	ListKind:    openList,
	ShardsKind:  openShards,
	ParquetKind: openParquet,
	ArraysKind:  openArrays,
	HDF5Kind:    openHDF5,
	CIFARKind:   openCIFAR,
	IDXKind:     openIDX,
}

// Open opens the collection of a path: a folder of images, or of shards, Parquet files or arrays; a list; such a file; or
// several, which a pattern stands for: * and ? as in a shell, {a,b}, and {000..099} for numbers of as many digits.
//
// What a folder is, the files below it say, whichever are the most among the first ten thousand; what a file is, its
// extension. Of a folder whose shards or Parquet files are named after splits (train-00000-of-00002.parquet), those of the
// training split are taken, or those of the test or validation split with o.Test.
func Open(ctx context.Context, path string, o OpenOptions) (Source, error) {
	fail := func(err error) (Source, error) { return nil, fmt.Errorf("images of %s: %w", path, err) }
	if err := o.Validate(); err != nil {
		return fail(err)
	}
	paths, err := expand(path)
	if err != nil {
		return fail(err)
	}
	kind := o.Kind
	if kind == Auto || kind == "" {
		if kind, err = kindOf(ctx, paths[0]); err != nil {
			return fail(err)
		}
	}
	if kind == FolderKind || kind == ListKind || kind == ShardsKind || kind == ParquetKind {
		if err := o.decoding().Validate(); err != nil {
			return fail(err)
		}
	}
	src, err := openers[kind](ctx, paths, o)
	if err != nil {
		return fail(err)
	}
	if src.Len() == 0 {
		return fail(errors.New("it has no images"))
	}
	return src, nil
}

// expand returns the files or the folder that a path stands for. A path that there is stands for itself.
func expand(path string) ([]string, error) {
	if _, err := os.Stat(path); err == nil {
		return []string{path}, nil
	}
	var all []string
	patterns, err := braces(path)
	if err != nil {
		return nil, err
	}
	for _, p := range patterns {
		if !strings.ContainsAny(p, "*?[") {
			if _, err := os.Stat(p); err != nil {
				if len(patterns) == 1 {
					return nil, errors.New("there is no such file or folder")
				}
				return nil, fmt.Errorf("there is no %s", p)
			}
			all = append(all, p)
			continue
		}
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("there is no file like %s", p)
		}
		all = append(all, found...)
	}
	return all, nil
}

// maxExpanded is the most paths that braces may stand for.
const maxExpanded = 1 << 20

// braces returns what a path with {a,b} and {000..099} in it stands for.
func braces(path string) ([]string, error) {
	open := strings.IndexByte(path, '{')
	if open < 0 {
		return []string{path}, nil
	}
	length := strings.IndexByte(path[open:], '}')
	if length < 0 {
		return []string{path}, nil
	}
	before, inside := path[:open], path[open+1:open+length]
	rest, err := braces(path[open+length+1:])
	if err != nil {
		return nil, err
	}
	values := strings.Split(inside, ",")
	if from, to, ok := strings.Cut(inside, ".."); ok {
		if values, err = numbersBetween(from, to); err != nil {
			return nil, fmt.Errorf("{%s}: %w", inside, err)
		}
	}
	if len(values)*len(rest) > maxExpanded {
		return nil, fmt.Errorf("{%s} stands for more than %d files", inside, maxExpanded)
	}
	var all []string
	for _, v := range values {
		for _, r := range rest {
			all = append(all, before+v+r)
		}
	}
	return all, nil
}

func numbersBetween(from, to string) ([]string, error) {
	a, errA := strconv.ParseUint(from, 10, 32)
	b, errB := strconv.ParseUint(to, 10, 32)
	if errA != nil || errB != nil || a > b {
		return nil, errors.New("expected two numbers, the lower one first, such as {000..099}")
	}
	if b-a >= maxExpanded {
		return nil, fmt.Errorf("more than %d numbers", maxExpanded)
	}
	var all []string
	for n := a; n <= b; n++ {
		all = append(all, fmt.Sprintf("%0*d", len(from), n))
	}
	return all, nil
}

// kindOf tells what is at a path.
func kindOf(ctx context.Context, path string) (Kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		if kind := fileKind(path); kind != "" {
			return kind, nil
		}
		if hasImageExtension(path) {
			return "", errors.New("it is one image, expected a folder or a list of them")
		}
		return "", errors.New("it is a file of no known kind, expected a folder of images, a list (.csv, .tsv, .txt), .tar, .parquet, .npy or .npz files, " +
			"or CIFAR's or MNIST's own; or the kind, if the name does not tell it")
	}
	// The kinds that have a folder to themselves, the likeliest first.
	kinds := []Kind{FolderKind, ShardsKind, ParquetKind, ArraysKind, CIFARKind, IDXKind}
	count := map[Kind]int{}
	left := 10_000
	if err := countKinds(ctx, path, count, &left, 0); err != nil {
		return "", err
	}
	return slices.MaxFunc(kinds, func(a, b Kind) int {
		if count[a] != count[b] {
			return count[a] - count[b]
		}
		return slices.Index(kinds, b) - slices.Index(kinds, a)
	}), nil
}

// countKinds counts the files of kinds below a folder, of so many that are left to look at.
func countKinds(ctx context.Context, dir string, count map[Kind]int, left *int, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	some, err := f.ReadDir(*left)
	f.Close()
	if err != nil && !errors.Is(err, io.EOF) { // which an empty folder gives
		return err
	}
	slices.SortFunc(some, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	var dirs []string
	for _, e := range some {
		name := e.Name()
		*left--
		switch {
		case strings.HasPrefix(name, "."):
		case e.IsDir() || e.Type()&os.ModeSymlink != 0 && isDir(filepath.Join(dir, name)):
			dirs = append(dirs, filepath.Join(dir, name))
		case fileKind(name) != "":
			count[fileKind(name)]++
		case hasImageExtension(name):
			count[FolderKind]++
		}
	}
	const deepest = 16 // links may lead back
	for _, d := range dirs {
		if *left <= 0 || depth == deepest {
			return nil
		}
		if err := countKinds(ctx, d, count, left, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fileKind tells what a file is by its name, "" if that does not.
func fileKind(path string) Kind {
	name := strings.ToLower(filepath.Base(path))
	plain := strings.TrimSuffix(name, ".gz")
	switch filepath.Ext(plain) {
	case ".csv", ".tsv", ".txt":
		return ListKind
	case ".tar", ".tgz", ".tbz2", ".txz":
		return ShardsKind
	case ".parquet":
		return ParquetKind
	case ".npy", ".npz":
		return ArraysKind
	case ".h5", ".hdf5", ".hdf":
		return HDF5Kind
	}
	switch {
	case strings.Contains(name, ".tar."):
		return ShardsKind
	case strings.Contains(plain, "idx3-ubyte") || strings.Contains(plain, "idx1-ubyte"):
		return IDXKind
	case cifarName(name):
		return CIFARKind
	}
	return ""
}

// filesOf are the files of a kind that paths stand for: the files themselves, or those below folders.
func filesOf(ctx context.Context, paths []string, o OpenOptions, extension string) ([]string, error) {
	var all []string
	for _, path := range paths {
		if !isDir(path) {
			all = append(all, path)
			continue
		}
		f, err := findFiles(ctx, path, endings(extension), nil)
		if err != nil {
			return nil, err
		}
		if f.Len() == 0 {
			return nil, fmt.Errorf("no %s file in it; found %s", extension, f.found)
		}
		found := make([]string, f.Len())
		for i := range found {
			found[i] = f.path(i)
		}
		all = append(all, o.split(found)...)
	}
	return all, nil
}

// splits are beginnings of the names of files of a training split, and of one to test with, the best first.
var (
	trainSplits = []string{"train"}
	testSplits  = []string{"test", "validation", "valid", "val", "dev", "eval"}
)

// split returns those files that belong to the part of the collection that is asked for, if all are named after splits.
func (o OpenOptions) split(files []string) []string {
	byName := map[string][]string{}
	for _, f := range files {
		name := strings.ToLower(filepath.Base(f))
		known := slices.IndexFunc(append(trainSplits, testSplits...), func(s string) bool {
			rest, ok := strings.CutPrefix(name, s)
			return ok && (rest == "" || strings.ContainsAny(rest[:1], "-_.0123456789"))
		})
		if known < 0 {
			return files
		}
		split := append(trainSplits, testSplits...)[known]
		byName[split] = append(byName[split], f)
	}
	wanted := trainSplits
	if o.Test {
		wanted = testSplits
	}
	for _, s := range wanted {
		if found := byName[s]; len(found) > 0 {
			if len(found) < len(files) {
				o.notef("of %d files, the %d of the split %s are taken", len(files), len(found), s)
			}
			return found
		}
	}
	return files
}

func openFolder(ctx context.Context, paths []string, o OpenOptions) (Source, error) {
	dir, err := single(paths)
	if err != nil {
		return nil, err
	}
	d := o.decoding()
	if o.LabelColumn != "" {
		return nil, fmt.Errorf("label column %q: a folder of images has none: its folders' names are the labels", o.LabelColumn)
	}
	if o.CaptionColumn != "" {
		return nil, fmt.Errorf("caption column %q: a folder of images has none: give a list of them (.csv) with captions", o.CaptionColumn)
	}
	s, err := folder(ctx, dir, d, o.index())
	if err != nil {
		return nil, err // and no nil *FolderSource
	}
	return s, nil
}

func openList(ctx context.Context, paths []string, o OpenOptions) (Source, error) {
	path, err := single(paths)
	if err != nil {
		return nil, err
	}
	s, err := readList(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openIDX(ctx context.Context, paths []string, o OpenOptions) (Source, error) {
	path, err := single(paths)
	if err != nil {
		return nil, err
	}
	channels := o.Channels
	if channels == 0 {
		channels = 1
	}
	if isDir(path) {
		return MNIST(ctx, path, !o.Test, channels)
	}
	labels := ""
	if o.Labels || o.LabelColumn != "" {
		dir, name := filepath.Split(path)
		labels = dir + strings.ReplaceAll(strings.ReplaceAll(name, "images", "labels"), "idx3", "idx1")
	}
	return ReadIDX(path, labels, channels)
}

// single is the one path of kinds that are no set of files.
func single(paths []string) (string, error) {
	if len(paths) != 1 {
		return "", fmt.Errorf("%d files, the first being %s: expected one of this kind", len(paths), paths[0])
	}
	return paths[0], nil
}
