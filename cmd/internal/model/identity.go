package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Hash is the SHA-256 of the file of weights; of the index of one in shards, that of the index and the shards after it, in
// the order of their names.
func (f Encoder) Hash() (string, error) {
	h := sha256.New()
	if err := hash(h, f.Weights); err != nil {
		return "", err
	}
	if filepath.Ext(f.Weights) == ".json" {
		text, err := os.ReadFile(f.Weights)
		if err != nil {
			return "", err
		}
		var index struct {
			Map map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(text, &index); err != nil {
			return "", fmt.Errorf("%s: %w", f.Weights, err)
		}
		for _, shard := range slices.Compact(slices.Sorted(maps.Values(index.Map))) {
			if err := hash(h, filepath.Join(filepath.Dir(f.Weights), shard)); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hash(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// JSON is the flags that name the encoder, under their keys, with the whole path of the weights.
func (f Encoder) JSON() ([]byte, error) {
	if f.Weights != "" {
		var err error
		if f.Weights, err = filepath.Abs(f.Weights); err != nil {
			return nil, err
		}
	}
	f.Device, f.Threads = "", 0 // of the machine
	text, err := yaml.Marshal(f)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return nil, err
	}
	maps.DeleteFunc(values, func(_ string, v any) bool { return v == nil || v == "" || v == 0 || v == 0.0 || v == false })
	return json.Marshal(values)
}

// Named is the encoder that text names, as JSON has it.
func Named(text []byte) (Encoder, error) {
	f := DefaultEncoder()
	f.Strict = false // where it is not there
	if err := yaml.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("flags of the encoder: %w", err)
	}
	return f, nil
}
