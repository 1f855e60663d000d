package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/gojepa/gojepa/torch"
)

// Retrieval is how well the samples of a query's class are found by cosine similarity.
type Retrieval struct {
	// MAP is the mean over queries of the average precision of all samples in the order of their similarity: of each query it is
	// scikit-learn's average_precision_score.
	MAP    Score      `json:"map"`
	Recall []RecallAt `json:"recall"`

	Queries int `json:"queries"` // that the figures are of
	Alone   int `json:"alone"`   // queries that are left out, as there is no sample of their class to be found
}

// RecallAt is the share of queries that have a sample of their class among the K nearest; of equally near ones the first in the
// order of samples comes first.
type RecallAt struct {
	K     int   `json:"k"`
	Share Score `json:"share"`
}

// Retrieve looks for the samples of each query's class in a gallery, by class names as in [KNN]. ks are the K of recalls. Work goes
// in chunks: memory is some 200 MB, and the gallery's once more.
func Retrieve(ctx context.Context, th *torch.Thread, gallery, queries Features, ks []int) (Retrieval, error) {
	return retrieve(ctx, th, gallery, queries, ks, false)
}

// RetrieveLeaveOneOut is [Retrieve] of each sample among all others.
func RetrieveLeaveOneOut(ctx context.Context, th *torch.Thread, f Features, ks []int) (Retrieval, error) {
	return retrieve(ctx, th, f, f, ks, true)
}

func retrieve(ctx context.Context, th *torch.Thread, gallery, queries Features, ks []int, leaveOneOut bool) (Retrieval, error) {
	r := Retrieval{MAP: Score(math.NaN())}
	for _, k := range ks {
		if k < 1 {
			return r, fmt.Errorf("eval: retrieval: recall at %d: expected 1 or more", k)
		}
		r.Recall = append(r.Recall, RecallAt{K: k, Share: Score(math.NaN())})
	}
	if err := errors.Join(gallery.check("gallery"), gallery.checkLabels("gallery")); err != nil {
		return r, err
	}
	labels, err := checkTest(queries, gallery.D, gallery.classes(), gallery.Classes)
	if err != nil {
		return r, err
	}
	found := make([]int, len(ks))
	var sum float64
	var q query
	err = similarities(ctx, th, gallery, queries, func(i int, similarity []float32) {
		leave := -1
		if leaveOneOut {
			leave = i
		}
		precision, rank := q.search(similarity, gallery.Labels, labels[i], leave)
		if rank == 0 {
			r.Alone++
			return
		}
		r.Queries++
		sum += precision
		for j, k := range ks {
			if rank <= k {
				found[j]++
			}
		}
	})
	if err != nil {
		return r, fmt.Errorf("eval: retrieval: %w", err)
	}
	if r.Queries > 0 {
		r.MAP = Score(sum / float64(r.Queries))
		for j := range r.Recall {
			r.Recall[j].Share = Score(found[j]) / Score(r.Queries)
		}
	}
	return r, nil
}

// similarities calls f with each query's to all of base, which f may not keep.
func similarities(ctx context.Context, th *torch.Thread, base, queries Features, f func(query int, similarity []float32)) error {
	var parts []torch.Tensor // of base, kept
	defer func() {
		for _, p := range parts {
			p.Free()
		}
	}()
	baseRows := max(1, chunkElements/base.D)
	for from := 0; from < base.N; from += baseRows {
		err := th.Do(ctx, func(s *torch.Scope) {
			parts = append(parts, normalised(s, base, from, min(baseRows, base.N-from)).Keep())
		})
		if err != nil {
			return err
		}
	}
	queryRows := max(1, chunkElements/max(base.N, base.D))
	all := make([]float32, min(queryRows, queries.N)*base.N)
	for from := 0; from < queries.N; from += queryRows {
		n := min(queryRows, queries.N-from)
		err := th.Do(ctx, func(s *torch.Scope) {
			s.NoGrad(func() {
				x := normalised(s, queries, from, n)
				at := 0
				for _, p := range parts {
					rows := int(p.Size(0))
					part := x.Matmul(s.Use(p).T()).Float32s()
					for i := range n {
						copy(all[i*base.N+at:], part[i*rows:(i+1)*rows])
					}
					at += rows
				}
			})
		})
		if err != nil {
			return err
		}
		for i := range n {
			f(from+i, all[i*base.N:(i+1)*base.N])
		}
	}
	return nil
}

// query is the memory of a search.
type query struct {
	levels []float32 // the scores of samples of the class, the highest first, each once
	taken  []int     // by level: samples of so high a score that is below the level before
	hits   []int     // by level: those of them that are of the class
}

// search returns the average precision of samples ordered by similarity, and the place of the first of the class, from 1; 0 if
// there is none. It takes no notice of the sample to leave out. Samples need not be sorted: between two of the class only their
// number matters.
func (q *query) search(similarity []float32, labels []int, class, leave int) (precision float64, rank int) {
	q.levels = q.levels[:0]
	for i, l := range labels {
		if l == class && i != leave {
			q.levels = append(q.levels, similarity[i])
		}
	}
	if len(q.levels) == 0 {
		return 0, 0
	}
	total := len(q.levels)
	slices.Sort(q.levels)
	slices.Reverse(q.levels)
	q.levels = slices.Compact(q.levels)
	q.taken, q.hits = make([]int, len(q.levels)), make([]int, len(q.levels))
	best, first := q.levels[0], false
	rank = 1
	for i, v := range similarity {
		if i == leave {
			continue
		}
		is := labels[i] == class
		if v > best || v == best && !is && !first {
			rank++
		}
		first = first || is && v == best
		level := sort.Search(len(q.levels), func(k int) bool { return q.levels[k] <= v })
		if level == len(q.levels) {
			continue
		}
		q.taken[level]++
		if is {
			q.hits[level]++
		}
	}
	taken, hits := 0, 0
	for k := range q.levels {
		taken, hits = taken+q.taken[k], hits+q.hits[k]
		precision += float64(q.hits[k]) * float64(hits) / float64(taken)
	}
	return precision / float64(total), rank
}
