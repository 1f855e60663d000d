package tokenize

import (
	"encoding/json"
	"fmt"

	lib "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/pretrained"
)

// setSpecial finds out which special tokens a text gets. The library's post-processors say so, of a text of one token.
func (t *Tokenizer) setSpecial(c config) error {
	p, err := componentOf("post_processor", c.PostProcessor)
	if err != nil || p.Type == "" {
		return err
	}
	var params map[string]any
	if err := p.read(&params); err != nil {
		return err
	}
	if err := checkProcessor(p); err != nil {
		return err
	}
	// The library's Roberta processor crashes without it; it concerns the places of tokens only, which no one asks for.
	withOffsets(params)
	ids, types, err := process(params)
	if err != nil {
		return p.wrong("%w", err)
	}
	text := -1
	for i, id := range ids {
		if id == placeholder {
			if text >= 0 {
				return p.wrong("the text comes twice: not supported")
			}
			text = i
		} else if id < 0 || id >= len(t.tokens) {
			return p.wrong("special token %d is not in the vocabulary of %d", id, len(t.tokens))
		}
		if types[i] != 0 {
			return p.wrong("token type %d: not supported; expected 0", types[i])
		}
	}
	if text < 0 {
		return p.wrong("it leaves the text out")
	}
	for i, id := range ids {
		if i < text {
			t.before = append(t.before, int32(id))
		} else if i > text {
			t.after = append(t.after, int32(id))
		}
	}
	return nil
}

// placeholder stands for the tokens of a text.
const placeholder = -1

// process puts a text of one token through a post-processor. The library panics on what it does not expect.
func process(params map[string]any) (ids, types []int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the library cannot read it: %v", r)
		}
	}()
	p, err := pretrained.CreatePostProcessor(params)
	if err != nil {
		return nil, nil, fmt.Errorf("not supported; expected one of BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevel, Sequence")
	}
	one := lib.NewEncoding([]int{placeholder}, []int{0}, []string{"x"}, [][]int{{0, 1}}, []int{0}, []int{1}, nil)
	e := p.Process(one, nil, true)
	if e == nil || len(e.Ids) != len(e.TypeIds) {
		return nil, nil, fmt.Errorf("the library made nothing of a text")
	}
	return e.Ids, e.TypeIds, nil
}

// checkProcessor reports types that there are not, and what the library would read without a word: the parts of a sequence.
func checkProcessor(p component) error {
	switch p.Type {
	case "BertProcessing", "RobertaProcessing", "TemplateProcessing", "ByteLevel":
		return nil
	case "Sequence":
		var o struct{ Processors []json.RawMessage }
		if err := p.read(&o); err != nil {
			return err
		}
		for i, raw := range o.Processors {
			sub, err := p.sub("processors", i, raw)
			if err == nil {
				err = checkProcessor(sub)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return p.wrong("not supported; expected one of BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevel, Sequence")
}

// withOffsets sets trim_offsets wherever it may be.
func withOffsets(params map[string]any) {
	if params["type"] == "RobertaProcessing" {
		params["trim_offsets"], params["add_prefix_space"] = true, true
	}
	if list, ok := params["processors"].([]any); ok {
		for _, x := range list {
			if m, ok := x.(map[string]any); ok {
				withOffsets(m)
			}
		}
	}
}
