package text

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
)

// The keys of a file's metadata.
const (
	metaModel = "gojepa.text.model"
	metaSpec  = "gojepa.text.spec"
)

// Metadata is what a file of weights says about itself, so that [Load] knows the encoder.
func Metadata(spec Spec) map[string]string {
	text, err := json.Marshal(spec)
	if err != nil {
		panic(fmt.Sprintf("text: metadata %s of %+v: %v", metaSpec, spec, err))
	}
	return map[string]string{metaModel: spec.Name, metaSpec: string(text)}
}

// SpecOf reads the spec out of the metadata of a file that has, besides others, what [Metadata] says.
func SpecOf(meta map[string]string) (Spec, error) {
	var spec Spec
	if err := json.Unmarshal([]byte(meta[metaSpec]), &spec); err != nil {
		return spec, fmt.Errorf("metadata %s is %q: expected the sizes of an encoder", metaSpec, meta[metaSpec])
	}
	return spec, nil
}

// wordsKey is the end of the key that tells a file of BERT's, whatever stands before it.
const wordsKey = "embeddings.word_embeddings.weight"

// Load makes an encoder with the weights of a file: safetensors, any file of torch.save such as pytorch_model.bin, or an index of
// shards. Keys are those of BertModel, or of a model that has one ("bert.", "0.auto_model."), of which pooler and heads are left out;
// LayerNorm.gamma and .beta, as in the first BERTs, are weight and bias. What spec leaves at 0 is as the file says, by gojepa's
// metadata and by the shapes of its tensors, and otherwise the model's own. Missing, unexpected and misshapen keys are reported
// together, by a *[torch.StateError]. Parameters are float32. The caller closes the encoder.
func Load(s *torch.Scope, file string, spec Spec) (_ *Encoder, err error) {
	opened, err := weights.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	f, spec, err := inspect(opened, spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	e, err := build(s, spec, torch.NewBlankParams(torch.Float32))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := e.params.LoadFile(s, f, file, torch.LoadOptions{}); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Inspect reads what a file is of without its weights: the spec is complete.
func Inspect(file string, spec Spec) (_ Spec, err error) {
	opened, err := weights.Open(file)
	if err != nil {
		return spec, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if _, spec, err = inspect(opened, spec); err == nil {
		spec, err = spec.Complete()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return spec, err
}

// inspect gives f the names of BertModel, and spec the sizes that the file tells.
func inspect(f *weights.File, spec Spec) (*weights.File, Spec, error) {
	said := f.Metadata()
	f, err := rename(f)
	if err != nil {
		return nil, spec, err
	}
	var told Spec
	if _, ok := said[metaSpec]; ok {
		if told, err = SpecOf(said); err != nil {
			return nil, spec, err
		}
	}
	told.Name = cmp.Or(said[metaModel], told.Name)
	seen := sizes(f)
	if spec.Name == "" || spec.Name == told.Name {
		spec = spec.fill(told)
	}
	if spec.Name == "" {
		return nil, spec, errors.New("the file does not say which model it is of: name it")
	}
	for _, x := range []struct {
		what      string
		want, got int
	}{{"vocabulary", spec.Vocab, seen.Vocab}, {"max tokens", spec.MaxTokens, seen.MaxTokens}} {
		if x.want != 0 && x.got != 0 && x.want != x.got {
			return nil, spec, fmt.Errorf("its %s is %d: expected %d", x.what, x.got, x.want)
		}
	}
	return f, spec.fill(seen), nil
}

// rename leaves out what is no part of the encoder.
func rename(f *weights.File) (*weights.File, error) {
	prefix, found := "", false
	for _, info := range f.Tensors() {
		if p, ok := strings.CutSuffix(info.Name, wordsKey); ok {
			prefix, found = p, true
			break
		}
	}
	if !found {
		return nil, fmt.Errorf("no key ends in %s: expected the weights of a BERT", wordsKey)
	}
	var recipes []weights.Recipe
	for _, info := range f.Tensors() {
		name, ok := strings.CutPrefix(info.Name, prefix)
		if !ok || strings.HasPrefix(name, "pooler.") || prefix == "" && (strings.HasPrefix(name, "cls.") || strings.HasPrefix(name, "classifier.")) ||
			name == "embeddings.position_ids" || name == "embeddings.token_type_ids" {
			continue
		}
		if n, ok := strings.CutSuffix(name, ".gamma"); ok {
			name = n + ".weight"
		} else if n, ok := strings.CutSuffix(name, ".beta"); ok {
			name = n + ".bias"
		}
		recipes = append(recipes, weights.Recipe{Name: name, Parts: []weights.Part{{Name: info.Name}}})
	}
	return f.Derive(recipes)
}

// sizes are what the shapes of the tensors tell: all but the number of heads.
func sizes(f *weights.File) (s Spec) {
	side := func(key string, d int) int {
		if info, ok := f.Lookup(key); ok && len(info.Shape) == 2 {
			return int(info.Shape[d])
		}
		return 0
	}
	s.Vocab, s.Width = side(wordsKey, 0), side(wordsKey, 1)
	s.MaxTokens = side("embeddings.position_embeddings.weight", 0)
	s.Hidden = side("encoder.layer.0.intermediate.dense.weight", 0)
	for {
		if _, ok := f.Lookup("encoder.layer." + strconv.Itoa(s.Depth) + ".output.dense.weight"); !ok {
			return s
		}
		s.Depth++
	}
}
