package tokenize

import (
	"cmp"
	"slices"
)

// Batch is ids of texts, filled up to the longest of them.
type Batch struct {
	IDs     []int32 // [N, T], text after text
	Lengths []int32 // [N], of the texts without what fills them up
	Texts   []int   // [N], which of the texts that there were each is
}

// T is the length of each row.
func (b Batch) T() int {
	if len(b.Lengths) == 0 {
		return 0
	}
	return len(b.IDs) / len(b.Lengths)
}

// Batches groups texts of like length, so that little is filled up: each batch has no more than size ids, what fills up
// included, or is a single text. Longest come first, texts of one length in their order. Nil texts, of which there are no ids, are in none.
func Batches(texts [][]int32, size int, pad int32) []Batch {
	var order []int
	for i, ids := range texts {
		if ids != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(texts[b]), len(texts[a])) })
	var out []Batch
	for len(order) > 0 {
		n := max(1, min(len(order), size/max(1, len(texts[order[0]]))))
		out = append(out, join(texts, order[:n:n], pad))
		order = order[n:]
	}
	return out
}

// join makes a batch of some texts, the first of which is the longest.
func join(texts [][]int32, which []int, pad int32) Batch {
	t := len(texts[which[0]])
	b := Batch{IDs: make([]int32, 0, t*len(which)), Texts: which}
	for _, i := range which {
		b.IDs = append(b.IDs, texts[i]...)
		for range t - len(texts[i]) {
			b.IDs = append(b.IDs, pad)
		}
		b.Lengths = append(b.Lengths, int32(len(texts[i])))
	}
	return b
}
