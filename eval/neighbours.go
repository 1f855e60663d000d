package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"github.com/gojepa/gojepa/torch"
)

// KNNOptions are those of [KNN].
type KNNOptions struct {
	K           int     // neighbours that vote; all training samples if there are fewer
	Temperature float64 // a neighbour of cosine similarity s votes with weight exp(s / Temperature)
}

// DefaultKNN is what DINO and most papers since report: 20 neighbours, temperature 0.07.
func DefaultKNN() KNNOptions { return KNNOptions{K: 20, Temperature: 0.07} }

func (o KNNOptions) check() error {
	if o.K < 1 {
		return fmt.Errorf("eval: k-NN: K is %d: expected 1 or more", o.K)
	}
	if !(o.Temperature > 0) || math.IsInf(o.Temperature, 0) {
		return fmt.Errorf("eval: k-NN: Temperature is %v: expected a number above 0", o.Temperature)
	}
	return nil
}

// KNN predicts each test sample's class by a vote of its nearest training samples by cosine similarity, weighted as by
// Wu et al. 2018 (arXiv 1805.01978, section 3.4). Of classes with equal votes the first wins.
//
// Work goes in chunks, so that memory beyond the features' is some 200 MB at most, whatever their number.
func KNN(ctx context.Context, th *torch.Thread, train, test Features, o KNNOptions) (Accuracy, error) {
	var predicted []int
	labels, err := vote(ctx, th, train, test, o, func(votes []float64) { predicted = append(predicted, argmax(votes)) })
	if err != nil {
		return Accuracy{}, err
	}
	return accuracy(predicted, labels, train.classes(), train.Classes), nil
}

// ClassifyKNN is [Classify] of each class's share in the votes of [KNN].
func ClassifyKNN(ctx context.Context, th *torch.Thread, train, test Features, o KNNOptions) (Classification, error) {
	var shares []float64
	labels, err := vote(ctx, th, train, test, o, func(votes []float64) {
		sum := floats.Sum(votes)
		for _, v := range votes {
			shares = append(shares, v/sum)
		}
	})
	if err != nil {
		return Classification{}, err
	}
	return Classify(shares, labels, train.classes(), train.Classes), nil
}

// vote calls f with the votes for each class of each test sample, in order, which f may not keep, and returns test's labels in
// terms of train's classes.
func vote(ctx context.Context, th *torch.Thread, train, test Features, o KNNOptions, f func(votes []float64)) ([]int, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkTraining(train); err != nil {
		return nil, err
	}
	classes := train.classes()
	labels, err := checkTest(test, train.D, classes, train.Classes)
	if err != nil {
		return nil, err
	}
	near, err := nearest(ctx, th, train, test, o.K)
	if err != nil {
		return nil, fmt.Errorf("eval: k-NN: %w", err)
	}
	votes := make([]float64, classes)
	for _, list := range near {
		clear(votes)
		for _, n := range list {
			// Relative to the nearest, which changes no comparison, and no temperature overflows.
			votes[train.Labels[n.Index]] += math.Exp(float64(n.Similarity-list[0].Similarity) / o.Temperature)
		}
		f(votes)
	}
	return labels, nil
}

// Neighbour is one sample near another.
type Neighbour struct {
	Index      int     // of the sample
	Similarity float32 // cosine similarity, in -1 … 1
}

// Neighbours finds the k samples of base that are nearest to each query by cosine similarity, nearest first, those of
// lower index first where equal; all of base if it has fewer. A query that is itself in base finds itself. Labels are not needed.
func Neighbours(ctx context.Context, th *torch.Thread, base, queries Features, k int) ([][]Neighbour, error) {
	if k < 1 {
		return nil, fmt.Errorf("eval: %d neighbours: expected 1 or more", k)
	}
	if err := base.check("base features"); err != nil {
		return nil, err
	}
	if err := queries.check("queries"); err != nil {
		return nil, err
	}
	if base.D != queries.D {
		return nil, fmt.Errorf("eval: queries: %d features a sample: expected %d, as the base has", queries.D, base.D)
	}
	near, err := nearest(ctx, th, base, queries, k)
	if err != nil {
		return nil, fmt.Errorf("eval: neighbours: %w", err)
	}
	return near, nil
}

// chunkElements bounds the float32 elements of each of the matrices of one chunk: features and similarities.
const chunkElements = 1 << 24

// nearest compares all queries with one chunk of base after the other, and merges what each finds.
func nearest(ctx context.Context, th *torch.Thread, base, queries Features, k int) ([][]Neighbour, error) {
	k = min(k, base.N)
	near := make([][]Neighbour, queries.N)
	baseRows := max(1, chunkElements/base.D)
	for from := 0; from < base.N; from += baseRows {
		rows := min(baseRows, base.N-from)
		var b torch.Tensor
		err := th.Do(ctx, func(s *torch.Scope) { b = normalised(s, base, from, rows).Keep() })
		if err != nil {
			return nil, err
		}
		queryRows := max(1, chunkElements/max(rows, base.D))
		for q := 0; q < queries.N && err == nil; q += queryRows {
			err = th.Do(ctx, func(s *torch.Scope) {
				n := min(queryRows, queries.N-q)
				kk := min(k, rows)
				values, indices := normalised(s, queries, q, n).Matmul(b.T()).Topk(int64(kk), 1)
				similarity, index := values.Float32s(), indices.Int64s()
				for i := range n {
					found := make([]Neighbour, kk)
					for j := range found {
						found[j] = Neighbour{Index: from + int(index[i*kk+j]), Similarity: similarity[i*kk+j]}
					}
					near[q+i] = merge(near[q+i], found, k)
				}
			})
		}
		b.Free()
		if err != nil {
			return nil, err
		}
	}
	return near, nil
}

// merge returns the k best of two lists.
func merge(a, b []Neighbour, k int) []Neighbour {
	all := append(a, b...)
	slices.SortFunc(all, func(x, y Neighbour) int {
		switch {
		case x.Similarity > y.Similarity:
			return -1
		case x.Similarity < y.Similarity:
			return 1
		}
		return x.Index - y.Index
	})
	return all[:min(k, len(all))]
}

// normalised uploads rows of f, scaled to length 1. Rows of zeros stay zero, so that they are similar to nothing.
func normalised(s *torch.Scope, f Features, from, rows int) torch.Tensor {
	unit := make([]float32, rows*f.D)
	for i := range rows {
		row := f.Row(from + i)
		var squares float64
		for _, v := range row {
			squares += float64(v) * float64(v)
		}
		if squares == 0 {
			continue
		}
		scale := 1 / math.Sqrt(squares)
		for j, v := range row {
			unit[i*f.D+j] = float32(float64(v) * scale)
		}
	}
	return s.FromFloat32(unit, int64(rows), int64(f.D))
}
