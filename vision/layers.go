package vision

import (
	"math"
	"regexp"
	"slices"
	"strconv"
)

// layerRule puts the parameters whose names begin as a pattern says into layers: one for each of the numbers that the
// pattern's parentheses find.
type layerRule struct {
	trunk   bool   // the layers come after those of the stem
	pattern string // of the beginning
	with    with
}

// with says what the parameters of a rule are in a layer with.
type with int

const (
	themselves  with = iota
	blockZero        // with the first block of the stage that the pattern finds
	lastOfTrunk      // with the last layer that other rules find
)

// last is the number of what comes after all blocks.
const last = math.MaxInt

// Layers says in which layer of the encoder each of its trained parameters is, 0 being the stem, as timm counts them for
// layer-wise decay of the learning rate (group_matcher of its families). Parameters that no rule has, such as those of a head,
// are the last layer. It is nil where layers are not known, as in a TorchScript module.
func (e *Encoder) Layers() map[string]int {
	if e.family == nil {
		return nil
	}
	rules := e.family.layerRules()
	patterns := make([]*regexp.Regexp, len(rules))
	for i, r := range rules {
		patterns[i] = regexp.MustCompile("^(?:" + r.pattern + ")")
	}
	places := map[string][]int{}
	var sorted [][]int
	for _, p := range e.params.Trained() {
		at := place(p.Name, rules, patterns)
		places[p.Name] = at
		sorted = append(sorted, at)
	}
	slices.SortFunc(sorted, slices.Compare)
	sorted = slices.CompactFunc(sorted, slices.Equal)
	numbers := make([]int, len(sorted))
	for i := 1; i < len(sorted); i++ {
		numbers[i] = numbers[i-1]
		if joins := len(sorted[i]) == 2 && sorted[i][1] == last; !joins {
			numbers[i]++
		}
	}
	layers := map[string]int{}
	for name, at := range places {
		i, _ := slices.BinarySearchFunc(sorted, at, slices.Compare)
		layers[name] = numbers[i]
	}
	return layers
}

// place is where a parameter is, as numbers to sort by: stem or trunk, and what its rule's pattern finds.
func place(name string, rules []layerRule, patterns []*regexp.Regexp) []int {
	for i, r := range rules {
		found := patterns[i].FindStringSubmatch(name)
		if found == nil {
			continue
		}
		at := []int{0}
		if r.trunk {
			at[0] = 1
		}
		for _, digits := range found[1:] {
			n, err := strconv.Atoi(digits)
			if err != nil {
				panic("vision: pattern " + r.pattern + " finds " + strconv.Quote(digits) + ", expected a number")
			}
			at = append(at, n)
		}
		switch r.with {
		case blockZero:
			at = append(at, 0)
		case lastOfTrunk:
			at = append(at, last)
		}
		return at
	}
	return []int{last}
}

func (v vit) layerRules() []layerRule {
	return []layerRule{
		{pattern: `cls_token|reg_token|pos_embed|patch_embed|norm_pre`},
		{trunk: true, pattern: `blocks\.(\d+)`},
		{trunk: true, pattern: `norm`, with: lastOfTrunk},
	}
}

func (r resnet) layerRules() []layerRule {
	return []layerRule{
		{pattern: `conv1|bn1`},
		{trunk: true, pattern: `layer(\d+)\.(\d+)`},
	}
}

func (c convnext) layerRules() []layerRule {
	return []layerRule{
		{pattern: `stem`},
		{trunk: true, pattern: `stages\.(\d+)\.downsample`, with: blockZero},
		{trunk: true, pattern: `stages\.(\d+)\.blocks\.(\d+)`},
		{trunk: true, pattern: `norm_pre`, with: lastOfTrunk},
	}
}

func (w swin) layerRules() []layerRule {
	return []layerRule{
		{pattern: `patch_embed`},
		{trunk: true, pattern: `layers\.(\d+)\.downsample`, with: blockZero},
		{trunk: true, pattern: `layers\.(\d+)\.blocks\.(\d+)`},
		{trunk: true, pattern: `norm`, with: lastOfTrunk},
	}
}

func (e efficientnet) layerRules() []layerRule {
	rules := []layerRule{
		{pattern: `conv_stem|bn1`},
		{trunk: true, pattern: `blocks\.(\d+)\.(\d+)`},
	}
	if !e.mobile {
		rules = append(rules, layerRule{trunk: true, pattern: `conv_head|bn2`, with: lastOfTrunk})
	}
	return rules
}

func (r regnet) layerRules() []layerRule {
	return []layerRule{
		{pattern: `stem`},
		{trunk: true, pattern: `s(\d+)\.b(\d+)`},
	}
}

func (w wren) layerRules() []layerRule {
	return []layerRule{
		{pattern: `stem`},
		{trunk: true, pattern: `stages\.(\d+)\.reduce`, with: blockZero},
		{trunk: true, pattern: `stages\.(\d+)\.blocks\.(\d+)`},
	}
}
