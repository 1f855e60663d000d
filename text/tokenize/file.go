package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds a tokenizer.json. The largest in use, of 262,000 tokens, have 35 MB.
const maxFile = 256 << 20

// config is a tokenizer.json.
type config struct {
	Truncation    *truncation     `json:"truncation"`
	Padding       *padding        `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Model         json.RawMessage `json:"model"`
}

type truncation struct {
	MaxLength int    `json:"max_length"`
	Direction string `json:"direction"`
}

type padding struct {
	ID    int    `json:"pad_id"`
	Token string `json:"pad_token"`
}

// addedToken is a token that is found in a text before the model sees it.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// component is a part of the file that has a type.
type component struct {
	Type string // "" if there is none
	at   string // its place in the file
	raw  json.RawMessage
}

// componentOf reads the type of a part.
func componentOf(at string, raw json.RawMessage) (component, error) {
	c := component{at: at, raw: raw}
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return c, nil
	}
	var o struct{ Type *string }
	if err := c.read(&o); err != nil {
		return c, err
	}
	if o.Type == nil || *o.Type == "" {
		return c, fmt.Errorf("%s: expected a type", at)
	}
	c.Type = *o.Type
	return c, nil
}

// sub is the i-th part of a list in c.
func (c component) sub(list string, i int, raw json.RawMessage) (component, error) {
	s, err := componentOf(fmt.Sprintf("%s.%s[%d]", c.at, list, i), raw)
	if err == nil && s.Type == "" {
		err = fmt.Errorf("%s: null, expected a component", s.at)
	}
	return s, err
}

// read fills o with what c has.
func (c component) read(o any) error {
	if err := json.Unmarshal(c.raw, o); err != nil {
		return fmt.Errorf("%s: %w", c.name(), plain(err))
	}
	return nil
}

func (c component) name() string {
	if c.Type == "" {
		return c.at
	}
	return c.at + " " + c.Type
}

func (c component) wrong(format string, a ...any) error {
	return fmt.Errorf("%s: %w", c.name(), fmt.Errorf(format, a...))
}

// plain is an error of encoding/json without Go's types.
func plain(err error) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Errorf("%s is a %s: expected %s", t.Field, t.Value, strings.TrimPrefix(t.Type.String(), "*"))
	}
	return err
}

// Open reads a tokenizer.json. Its errors name the file and the part of it that is broken or not supported.
func Open(file string) (*Tokenizer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("tokenizer %s: more than %d MB: expected a tokenizer.json", file, maxFile>>20)
	}
	t, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", file, err)
	}
	return t, nil
}

// Parse makes a tokenizer of what a tokenizer.json has.
func Parse(data []byte) (*Tokenizer, error) {
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("expected the JSON of a tokenizer.json: %w", plain(err))
	}
	if len(c.Model) == 0 || bytes.Equal(c.Model, []byte("null")) {
		return nil, errors.New("model: missing; expected the JSON of a tokenizer.json, which has the vocabulary in it")
	}
	t := &Tokenizer{tables: unicodeTables()}
	for _, step := range []func(config) error{t.setNormalizer, t.setPreTokenizer, t.setModel, t.setAdded, t.setSpecial, t.setRest} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Tokenizer) setNormalizer(c config) error {
	n, err := componentOf("normalizer", c.Normalizer)
	if err == nil {
		t.normalizer, err = normalizerOf(t.tables, n)
	}
	return err
}

func (t *Tokenizer) setPreTokenizer(c config) error {
	p, err := componentOf("pre_tokenizer", c.PreTokenizer)
	if err == nil {
		err = t.split.add(t.tables, p)
	}
	if err == nil && t.split.needsStart && t.normalizer != nil && !t.normalizer.keepsStart() {
		err = p.wrong("prepend_scheme \"first\" after a normalizer that may remove what a text begins with: not supported")
	}
	return err
}
