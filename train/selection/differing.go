package selection

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/train/config"
)

// What may differ among runs whose losses are compared. The paper's runs differ in λ, learning rate, weight decay and length
// (arXiv 2511.08544, figure 11), each figure for one encoder and one data set.
var (
	// free are sections and keys in which runs may differ.
	free = []string{"loss.lambda", "optim.", "schedule.epochs", "schedule.steps", "seed", "data.test_path"}
	// objective are those without which the loss is another function: of other images or views, of a batch of another size, by
	// which SIGReg is multiplied, of projections of other dimension, or by another test.
	objective = []string{"data.", "views.", "encoder.image_size", "encoder.channels", "loss.", "projector.dim", "schedule.batch_size"}
)

// Differing warns of what differs among configurations and makes it doubtful to compare their losses.
func Differing(configs []config.Config) (warnings []string) {
	values := map[string][]string{}
	var keys []string
	for _, cfg := range configs {
		for _, f := range fields.Of(&cfg) {
			if f.Tag.Get("resume") == "free" || in(f.Path, free) {
				continue
			}
			if values[f.Path] == nil {
				keys = append(keys, f.Path)
			}
			if v := f.String(); !slices.Contains(values[f.Path], v) {
				values[f.Path] = append(values[f.Path], v)
			}
		}
	}
	var other, mild []string
	for _, k := range keys {
		switch {
		case len(values[k]) == 1:
		case in(k, objective):
			other = append(other, fmt.Sprintf("%s (%s)", k, listed(values[k])))
		default:
			mild = append(mild, fmt.Sprintf("%s (%s)", k, listed(values[k])))
		}
	}
	if other != nil {
		warnings = append(warnings, "losses may not be comparable, as these make the loss another function: "+strings.Join(other, ", "))
	}
	if mild != nil {
		warnings = append(warnings, "runs differ in more than λ, optimiser and length, where the loss is known to tell: "+strings.Join(mild, ", "))
	}
	return warnings
}

// in says whether a key is one of those, or below one that ends in a dot.
func in(key string, those []string) bool {
	return slices.ContainsFunc(those, func(t string) bool { return key == t || strings.HasSuffix(t, ".") && strings.HasPrefix(key, t) })
}

// listed are the first few values.
func listed(values []string) string {
	const most = 3
	for i, v := range values {
		if v == "" {
			values[i] = `""`
		}
	}
	if len(values) > most {
		return strings.Join(values[:most], ", ") + ", …"
	}
	return strings.Join(values, ", ")
}
