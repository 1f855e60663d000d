package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/text/tokenize"
)

// encoding are the flags of encode and show.
type encoding struct {
	Max    int    `yaml:"max" flag:"max" arg:"N" help:"ids of a text at most, special tokens included; 0 is the tokenizer's own limit, or none" group:"Tokens"`
	Source source `yaml:",inline"`
}

func (o *encoding) check() error {
	if o.Max < 0 {
		return fmt.Errorf("--max: %d, expected 0 or more", o.Max)
	}
	return nil
}

func encode() subcommand {
	o := &encoding{}
	cmd := &cli.Command{
		Name:     "tokenize encode",
		Args:     "TOKENIZER SOURCE…",
		Synopsis: "writes the ids of texts, a JSON list for each, and says how long they are.",
		About:    about + "\n\nOf a text that is not UTF-8 the line is null.",
		Examples: []cli.Example{{For: "how long the captions are, to choose a limit", Line: "tokenize encode tokenizer.json captions.csv >ids.jsonl"}},
		Check:    o.check,
	}
	cmd.Flags("Tokens", o)
	return subcommand{cmd, 2, o.encode}
}

func (o *encoding) encode(ctx context.Context, std streams, args []string) error {
	t, err := open(args[0])
	if err != nil {
		return err
	}
	out := bufio.NewWriter(std.out)
	unk := unknown(t)
	var lengths []int
	var all, unknowns, invalid int
	for text, err := range o.Source.texts(ctx, std.in, args[1:]) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		ids, err := t.Encode(text, o.Max)
		if errors.Is(err, tokenize.ErrInvalidUTF8) {
			invalid++
			ids = nil
		} else if err != nil {
			return errors.Join(err, out.Flush())
		} else {
			lengths = append(lengths, len(ids))
			if ids == nil {
				ids = []int32{}
			}
		}
		all += len(ids)
		for _, id := range ids {
			if id == unk {
				unknowns++
			}
		}
		line, err := json.Marshal(ids)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(lengths) > 0 {
		slices.Sort(lengths)
		at := func(p float64) int { return lengths[int(p*float64(len(lengths)-1))] }
		fmt.Fprintf(std.log, "%d texts, %d tokens: half have at most %d, 95%% at most %d, the longest %d; %d tokens are unknown\n",
			len(lengths), all, at(0.5), at(0.95), at(1), unknowns)
	}
	if invalid > 0 {
		fmt.Fprintf(std.log, "%d texts are not UTF-8\n", invalid)
	}
	return nil
}

// unknown is the id of the token for what is unknown, -1 if there is none that is called as usual.
func unknown(t *tokenize.Tokenizer) int32 {
	for _, name := range []string{"[UNK]", "<unk>"} {
		if id, ok := t.ID(name); ok {
			return id
		}
	}
	return -1
}

func show() subcommand {
	o := &struct {
		Max int `yaml:"max" flag:"max" arg:"N" help:"ids of a text at most, special tokens included; 0 is the tokenizer's own limit, or none"`
	}{}
	cmd := &cli.Command{
		Name:     "tokenize show",
		Args:     "TOKENIZER [TEXT…]",
		Synopsis: "says what a tokenizer is, and which tokens it makes of texts.",
		Examples: []cli.Example{{For: "what becomes of a word", Line: `tokenize show tokenizer.json "pneumothorax"`}},
		Check:    func() error { return (&encoding{Max: o.Max}).check() },
	}
	cmd.Flags("Tokens", o)
	return subcommand{cmd, 1, func(_ context.Context, std streams, args []string) error {
		t, err := open(args[0])
		if err != nil {
			return err
		}
		var special []string
		for _, id := range t.Special() {
			special = append(special, t.Token(id))
		}
		fmt.Fprintf(std.out, "%s: %s of %d tokens; special: %s; %d are added to each text\n", args[0], t.Kind(), t.Size(), strings.Join(special, " "), t.Around())
		for _, text := range args[1:] {
			ids, err := t.Encode(text, o.Max)
			if err != nil {
				return fmt.Errorf("%.40q: %w", text, err)
			}
			fmt.Fprintf(std.out, "\n%q: %d tokens\n", text, len(ids))
			w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
			for _, id := range ids {
				fmt.Fprintf(w, "  %d\t%q\n", id, t.Token(id))
			}
			if err := w.Flush(); err != nil {
				return err
			}
		}
		return nil
	}}
}
