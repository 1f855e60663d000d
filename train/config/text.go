package config

import (
	"fmt"

	"github.com/gojepa/gojepa/text/augment"
)

// Text is the encoder of the images' captions, which is trained beside that of the images, and what views are made of each caption. It has
// a projector of its own, with the widths of the images'. Without a tokenizer there is none of it, and captions are left alone.
type Text struct {
	Tokenizer string     `yaml:"tokenizer" flag:"tokenizer" arg:"FILE" help:"tokenizer.json of the images' captions, which are then views of their images, too: Hugging Face's, or one of your own by the command tokenize. Images without a caption are trained on as ever"`
	Name      string     `yaml:"model" flag:"text-model" arg:"NAME" help:"encoder of captions: caption_tiny, caption_small, bert_tiny to bert_large, minilm_l6_h384 or minilm_l12_h384; auto is caption_tiny on a CPU and caption_small on a GPU, or what --text-init holds"`
	Init      string     `yaml:"init" flag:"text-init" arg:"FILE" help:"weights of a BERT or a MiniLM to begin with, and its sizes with them: .safetensors or pytorch_model.bin. The tokenizer has to be the one that it was made with"`
	MaxTokens Auto[int]  `yaml:"max_tokens" flag:"max-tokens" arg:"N" help:"tokens of a caption that are read, special ones included; auto is 128, or what --text-init takes if that is less"`
	Views     int        `yaml:"views" flag:"text-views" arg:"N" help:"views of each caption"`
	Sentences [2]float64 `yaml:"sentences" help:"share of a caption's sentences that a view has, drawn anew each time: least and most, above 0 and up to 1. One at least is kept"`
	DropWords float64    `yaml:"drop_words" arg:"P" help:"probability that a view lacks a word; below 1. One at least is kept"`
	Width     Auto[int]  `yaml:"width" arg:"N" help:"width of the tokens of captions; auto is the model's own"`
	Depth     Auto[int]  `yaml:"depth" arg:"N" help:"layers of the encoder of captions; auto is the model's own"`
	Heads     Auto[int]  `yaml:"heads" arg:"N" help:"its attention heads, which divide its width; auto is the model's own"`
	Pool      string     `yaml:"pool" enum:"auto,mean,cls" arg:"mean|cls" help:"what a caption's embedding is: the mean of its tokens, or its first; auto is the model's own"`
	DropPath  float64    `yaml:"drop_path" arg:"P" help:"stochastic depth, as encoder.drop_path"`
	LRScale   float64    `yaml:"lr_scale" arg:"X" help:"learning rate of the encoder of captions as a share of the run's, above 0, for one that begins with weights"`
}

// On reports whether captions are trained on.
func (t Text) On() bool { return t.Tokenizer != "" }

// Augment says how views of captions are made.
func (t Text) Augment() augment.Config {
	return augment.Config{Sentences: t.Sentences, DropWords: t.DropWords}
}

// defaultText reads whole captions, once.
func defaultText() Text {
	return Text{Name: auto, Pool: auto, Views: 1, Sentences: augment.Default().Sentences, LRScale: 1}
}

// AutoTokens is what an open [Text.MaxTokens] is: captions are seldom longer.
const AutoTokens = 128

// check reports what cannot be, and what has no use without a tokenizer.
func (t Text) check(p *problems, column string) {
	if !t.On() {
		const with = "a tokenizer.json (--tokenizer) with "
		p.check(column == "", "text.tokenizer", `""`, with+"data.caption_column (--text-column)")
		p.check(t.Name == auto || t.Name == "", "text.tokenizer", `""`, with+"text.model")
		p.check(t.Init == "", "text.tokenizer", `""`, with+"text.init")
		return
	}
	p.check(t.Name != "", "text.model", `""`, "a model's name, or auto")
	p.atLeast(1, "text.max_tokens", t.MaxTokens)
	p.check(t.Views >= 1 && t.Views < 1<<16, "text.views", t.Views, "1 or more, below 65536")
	if lo, hi := t.Sentences[0], t.Sentences[1]; !(lo > 0 && lo <= hi && hi <= 1) {
		p.check(false, "text.sentences", fmt.Sprintf("%g to %g", lo, hi), "shares above 0 up to 1, the least first")
	}
	p.check(t.DropWords >= 0 && t.DropWords < 1, "text.drop_words", t.DropWords, "0 or more and less than 1")
	p.atLeast(1, "text.width", t.Width)
	p.atLeast(1, "text.depth", t.Depth)
	p.atLeast(1, "text.heads", t.Heads)
	p.check(t.DropPath >= 0 && t.DropPath < 1, "text.drop_path", t.DropPath, "0 or more and less than 1")
	p.check(t.LRScale > 0, "text.lr_scale", t.LRScale, "a number above 0")
}

// resolve fills in what depends on the machine.
func (t *Text) resolve(gpu bool) {
	if !t.On() {
		return
	}
	if t.Name == auto {
		t.Name = "caption_tiny"
		if gpu {
			t.Name = "caption_small"
		}
	}
	fill(&t.MaxTokens, AutoTokens)
}
