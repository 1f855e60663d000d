package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/text/tokenize"
)

// training are the flags of train.
type training struct {
	Kind     string `yaml:"kind" flag:"kind" enum:"wordpiece,bpe,bytelevel" arg:"KIND" help:"of tokenizer: wordpiece is BERT's way, bpe is byte-pair encoding of words, bytelevel is RoBERTa's, which knows every character by its bytes" group:"Vocabulary"`
	Size     int    `yaml:"size" flag:"size" arg:"N" help:"of the vocabulary, at most; special tokens and characters included" group:"Vocabulary"`
	MinCount int    `yaml:"min_count" flag:"min-count" arg:"N" help:"how often two tokens must follow each other to become one" group:"Vocabulary"`
	Alphabet int    `yaml:"alphabet" flag:"alphabet" arg:"N" help:"characters that have tokens, the most frequent ones; others are unknown. Of bytelevel all bytes have" group:"Vocabulary"`
	Lower    bool   `yaml:"lower" flag:"lower" help:"take capital letters for small ones" group:"Vocabulary"`
	Accents  bool   `yaml:"accents" flag:"accents" help:"keep accents; without them, é is e" group:"Vocabulary"`
	Source   source `yaml:",inline"`
}

func (o *training) options() tokenize.Training {
	return tokenize.Training{Kind: o.Kind, Size: o.Size, MinCount: o.MinCount, Alphabet: o.Alphabet, Lower: o.Lower, Accents: o.Accents}
}

func train() subcommand {
	d := tokenize.DefaultTraining()
	o := &training{Kind: d.Kind, Size: d.Size, MinCount: d.MinCount, Alphabet: d.Alphabet, Lower: d.Lower, Accents: d.Accents}
	cmd := &cli.Command{
		Name:     "tokenize train",
		Args:     "OUT SOURCE…",
		Synopsis: "makes a tokenizer.json of texts.",
		About: about + `

OUT is read by this library and by Hugging Face's, with the same ids. The same texts make the same file.`,
		Examples: []cli.Example{
			{For: "a vocabulary of the reports of a study", Line: "tokenize train --column report tokenizer.json studies.csv"},
			{For: "a small one for a few hundred captions", Line: "tokenize train --size 1000 tokenizer.json captions.txt"},
		},
		Check: func() error { return cli.Dashed(o.options().Validate()) },
	}
	cmd.Flags("Vocabulary", o)
	return subcommand{cmd, 2, o.run}
}

func (o *training) run(ctx context.Context, std streams, args []string) error {
	l, err := tokenize.Train(o.Source.texts(ctx, std.in, args[1:]), o.options())
	if err != nil {
		return err
	}
	if err := atomicfile.Write(args[0], func(w io.Writer) error { _, err := w.Write(l.JSON); return err }); err != nil {
		return err
	}
	fmt.Fprintf(std.log, "%s: %s of %d tokens, from %d texts with %d different words\n", args[0], o.Kind, l.Size, l.Texts, l.Words)
	if l.Invalid > 0 {
		fmt.Fprintf(std.log, "left out %d texts that are not UTF-8\n", l.Invalid)
	}
	if l.Size < o.Size {
		fmt.Fprintf(std.log, "there was nothing more to merge: fewer than the %d tokens of --size\n", o.Size)
	}
	return nil
}

// open reads a tokenizer, and says what is expected if the file has another ending.
func open(file string) (*tokenize.Tokenizer, error) {
	t, err := tokenize.Open(file)
	if err != nil && filepath.Ext(file) != ".json" {
		err = errors.Join(err, errors.New("expected a tokenizer.json"))
	}
	return t, err
}
