package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/gojepa/gojepa/internal/cli"
)

func list() subcommand {
	o := &source{}
	cmd := &cli.Command{
		Name:     "weights ls",
		Args:     "FILE",
		Synopsis: "lists the tensors of a file: key, type, shape and size.",
		About:    "Also its metadata, where in the file the state dict was found, and what there is besides tensors. Only the listing is read.",
		Examples: []cli.Example{
			{For: "what is in a checkpoint", Line: "weights ls model.pth"},
			{For: "all of it, optimiser and all", Line: "weights ls --raw checkpoint.ckpt"},
		},
		Check: o.check,
	}
	cmd.Flags("Reading", o)
	return subcommand{cmd, 1, func(out, _ io.Writer, args []string) error {
		f, err := o.open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		return f.list(out)
	}}
}

func (f file) list(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var bytes, numbers int64
	infos := f.Tensors()
	for _, info := range infos {
		bytes += info.Bytes()
		numbers += info.Len()
	}
	fmt.Fprintf(w, "%s: %s, %s of %d elements, %s\n", f.path, f.Format(), tensors(len(infos)), numbers, size(bytes))
	if f.Key() != "" {
		fmt.Fprintf(w, "key: %s\n", f.Key())
	}
	if f.layout != nil {
		fmt.Fprintf(w, "layout: %s (%s)\n", f.layout.Name, f.layout.About)
	}
	meta := f.Metadata()
	if len(meta) > 0 {
		fmt.Fprintln(w, "metadata:")
	}
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		fmt.Fprintf(w, "  %s\t%q\n", k, meta[k])
	}
	fmt.Fprintln(w)
	for _, info := range infos {
		fmt.Fprintf(w, "%s\t%v\t%v\t%s\n", shown(info.Name), info.DType, info.Shape, size(info.Bytes()))
	}
	skipped := f.Skipped()
	if len(skipped) > 0 {
		fmt.Fprintln(w, "\nskipped:")
	}
	for _, s := range skipped {
		fmt.Fprintf(w, "  %s\t%s\n", shown(s.Name), s.What)
	}
	return w.Flush()
}

// shown is a name as it can be printed: quoted if it would move the cursor or end the line.
func shown(name string) string {
	if q := fmt.Sprintf("%q", name); name == "" || q != `"`+name+`"` {
		return q
	}
	return name
}
