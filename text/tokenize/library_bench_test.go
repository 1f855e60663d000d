package tokenize

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	libnormalizer "github.com/sugarme/tokenizer/normalizer"
	"github.com/sugarme/tokenizer/pretrained"
)

// BenchmarkLibrary is the speed of the library alone, and ours, of a caption of a hundred bytes.
func BenchmarkLibrary(b *testing.B) {
	text := "A red bird with a short, thick beak sits on a snow-covered branch, and two dogs are running past it."
	for _, name := range []string{"bert_uncased", "bpe_whitespace", "gpt2", "unigram"} {
		b.Run(name, func(b *testing.B) {
			tok, err := pretrained.FromFile(filepath.Join("testdata", name+".json"))
			require.NoError(b, err)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, err := tok.EncodeSingle(text, true)
				require.NoError(b, err)
			}
		})
		b.Run(name+"/ours", func(b *testing.B) {
			t, err := Open(filepath.Join("testdata", name+".json"))
			require.NoError(b, err)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, err := t.Encode(text, 0)
				require.NoError(b, err)
			}
		})
	}
	b.Run("normalizer", func(b *testing.B) {
		tok, err := pretrained.FromFile("testdata/bert_uncased.json")
		require.NoError(b, err)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			_, err := tok.GetNormalizer().Normalize(libnormalizer.NewNormalizedFrom(text))
			require.NoError(b, err)
		}
	})
}
