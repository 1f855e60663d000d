// Command search finds the images of a set of embeddings that are nearest to given ones.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/torch"
)

// options are the command's flags.
type options struct {
	Row        int    `yaml:"row" flag:"row" arg:"N" help:"search for the neighbours of a row of the set, counted from 0, in place of images; itself is left out"`
	Name       string `yaml:"name" flag:"name" arg:"NAME" help:"likewise, the first row of that name"`
	Neighbours int    `yaml:"neighbours" flag:"neighbours" arg:"N" help:"nearest images of each"`
	Sheet      string `yaml:"sheet" flag:"sheet" arg:"FILE" help:"draw the images to a .png, a row for each query, the query first" group:"Output"`
	JSON       bool   `yaml:"json" flag:"json" help:"print JSON rather than a table" group:"Output"`
	Data       string `yaml:"data" flag:"data" arg:"PATH" help:"where the set's images are now, for --sheet; without it, where embed was told to find them"`
	Weights    string `yaml:"weights" flag:"weights" arg:"FILE" help:"the encoder's weights; without it, those that the set was made with" group:"Encoder"`
	Device     string `yaml:"device" flag:"device" arg:"DEV" help:"auto, cpu, cuda or cuda:N; auto is a GPU if there is one" group:"Machine"`
	Threads    int    `yaml:"threads" flag:"threads" arg:"N" help:"threads of computation; 0 is one per core" group:"Machine"`
}

func defaults() options { return options{Row: -1, Neighbours: 10, Device: "auto"} }

func main() {
	o := defaults()
	os.Exit(command(&o).Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, args []string) error {
		return run(ctx, o, args, os.Stdout, os.Stderr)
	}))
}

func command(o *options) *cli.Command {
	cmd := &cli.Command{
		Name:     "search",
		Args:     "INDEX IMAGE…",
		Synopsis: "finds the images of a set of embeddings that are nearest to given ones.",
		About: `INDEX is what embed has written: the file of features, its .index.json, or the folder that it is in. Images are encoded
as the set's were, and compared with every row by cosine similarity, one shard in memory at a time.`,
		Examples: []cli.Example{
			{For: "the ten images most like two others, and a picture of them", Line: "search photos.npy a.jpg b.jpg --sheet near.png"},
			{For: "those most like one of the set, for a program to read", Line: "search photos.npy --name cats/7.jpg --json"},
		},
		Check: o.check,
	}
	cmd.Flags("Search", o)
	return cmd
}

func (o *options) check() error {
	var errs []error
	if o.Row < -1 {
		errs = append(errs, fmt.Errorf("--row: %d, expected 0 or more", o.Row))
	}
	if o.Row >= 0 && o.Name != "" {
		errs = append(errs, errors.New("--row and --name: expected one of them"))
	}
	if o.Neighbours < 1 {
		errs = append(errs, fmt.Errorf("--neighbours: %d, expected 1 or more", o.Neighbours))
	}
	if o.Threads < 0 {
		errs = append(errs, fmt.Errorf("--threads: %d, expected 0 or more", o.Threads))
	}
	if o.Sheet != "" {
		dir := filepath.Dir(o.Sheet)
		if !strings.EqualFold(filepath.Ext(o.Sheet), ".png") {
			errs = append(errs, fmt.Errorf("--sheet: %q, expected a name that ends in .png", o.Sheet))
		} else if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("--sheet: there is no folder %s", dir))
		}
	}
	return errors.Join(errs...)
}

// result is what was found for one query.
type result struct {
	Query      string      `json:"query"` // the image's file, or the row's name or number
	Row        *int        `json:"row,omitempty"`
	Neighbours []neighbour `json:"neighbours"`
}

type neighbour struct {
	Rank       int     `json:"rank"`
	Similarity float32 `json:"similarity"`
	Class      string  `json:"class,omitempty"`
	Name       string  `json:"name,omitempty"`
	Row        int     `json:"row"`
}

// label is what to call a row.
func label(name string, row int) string {
	if name == "" {
		return "row " + strconv.Itoa(row)
	}
	return name
}

// run searches, prints what it finds to out and all else to log.
func run(ctx context.Context, o options, args []string, out, log io.Writer) error {
	if len(args) == 0 {
		return cli.Usage(errors.New("no arguments, expected the index of a set of embeddings"))
	}
	files, ofRow := args[1:], o.Row >= 0 || o.Name != ""
	switch {
	case ofRow && len(files) > 0:
		return cli.Usage(fmt.Errorf("%s: expected no images beside --row or --name", files[0]))
	case !ofRow && len(files) == 0:
		return cli.Usage(errors.New("nothing to search for, expected images, --row or --name"))
	}
	set, err := store.Open(args[0])
	if err != nil {
		return err
	}
	if set.Rows == 0 {
		return fmt.Errorf("index %s: it has no rows, expected one or more", set.Path)
	}
	var results []result
	if ofRow {
		results, err = ofRows(ctx, o, set)
	} else {
		results, err = ofImages(ctx, o, set, files, log)
	}
	if err != nil {
		return err
	}
	if o.Sheet != "" {
		if err := drawSheet(ctx, o, set, results); err != nil {
			return err
		}
	}
	if o.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(results)
	}
	return table(out, results, len(set.Classes) > 0)
}

// ofRows searches for the row that the options name.
func ofRows(ctx context.Context, o options, set *store.Set) ([]result, error) {
	device, err := torch.ParseDevice(o.Device)
	if err != nil {
		return nil, fmt.Errorf("--device: %w", err)
	}
	flag, find := "--row", func() (store.Row, []float32, error) { return set.Row(ctx, o.Row) }
	if o.Name != "" {
		flag, find = "--name", func() (store.Row, []float32, error) { return set.Named(ctx, o.Name) }
	}
	row, x, err := find()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	th, err := torch.Start(torch.Options{Device: device, Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	defer th.Close()
	near, err := set.Neighbours(ctx, th, eval.Features{X: x, N: 1, D: set.Dim}, o.Neighbours+1)
	if err != nil {
		return nil, err
	}
	r := result{Query: label(row.Name, row.Index), Row: &row.Index}
	for _, h := range near[0] {
		if h.Index != row.Index && len(r.Neighbours) < o.Neighbours {
			r.add(h)
		}
	}
	return []result{r}, nil
}

func (r *result) add(h store.Hit) {
	r.Neighbours = append(r.Neighbours, neighbour{Rank: len(r.Neighbours) + 1, Similarity: h.Similarity, Class: h.Class, Name: h.Name, Row: h.Index})
}

func table(out io.Writer, results []result, classes bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, r := range results {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\nrank\tsimilarity\t", r.Query)
		if classes {
			fmt.Fprint(w, "class\t")
		}
		fmt.Fprintln(w, "name")
		for _, n := range r.Neighbours {
			fmt.Fprintf(w, "%d\t%.4f\t", n.Rank, n.Similarity)
			if classes {
				fmt.Fprintf(w, "%s\t", n.Class)
			}
			fmt.Fprintln(w, label(n.Name, n.Row))
		}
	}
	return w.Flush()
}
