package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
)

// Row is one row of a set.
type Row struct {
	Index int
	Name  string // "" if rows have none
	Class string // "" if it has none
}

// Hit is a row near a query.
type Hit struct {
	Row
	Similarity float32 // cosine similarity, in -1 … 1
}

// Neighbours finds the k rows that are nearest to each query by cosine similarity, nearest first, those of lower index first where
// equal; all rows if there are fewer. It compares with every row, and holds one shard at a time.
func (s *Set) Neighbours(ctx context.Context, th *torch.Thread, queries eval.Features, k int) ([][]Hit, error) {
	if queries.D != s.Dim {
		return nil, fmt.Errorf("index %s: rows of %d features, expected %d, as the queries have", s.Path, s.Dim, queries.D)
	}
	near := make([][]Hit, queries.N)
	err := s.each(ctx, func(i, first int, p Part) (bool, error) {
		found, err := eval.Neighbours(ctx, th, p.Features, queries, k)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.Shards[i].File, err)
		}
		for q, list := range found {
			for _, n := range list {
				near[q] = append(near[q], Hit{s.row(p, first, n.Index), n.Similarity})
			}
			// Rows of earlier shards stay first.
			slices.SortStableFunc(near[q], func(a, b Hit) int { return cmp.Compare(b.Similarity, a.Similarity) })
			near[q] = near[q][:min(k, len(near[q]))]
		}
		return true, nil
	})
	return near, err
}

// Row returns row i and its features [Dim].
func (s *Set) Row(ctx context.Context, i int) (Row, []float32, error) {
	if i < 0 || i >= s.Rows {
		return Row{}, nil, fmt.Errorf("index %s: there is no row %d, expected 0 to %d", s.Path, i, s.Rows-1)
	}
	for n, shard := range s.Shards {
		if first := s.first(n); i < first+shard.Rows {
			if err := ctx.Err(); err != nil {
				return Row{}, nil, err
			}
			p, err := s.Shard(n)
			if err != nil {
				return Row{}, nil, err
			}
			return s.row(p, first, i-first), slices.Clone(p.Features.Row(i - first)), nil
		}
	}
	panic("store: an index that was checked has as many rows as it says")
}

// Named returns the first row of a name and its features [Dim].
func (s *Set) Named(ctx context.Context, name string) (r Row, x []float32, err error) {
	named, found := false, false
	err = s.each(ctx, func(_, first int, p Part) (bool, error) {
		named = named || p.Names != nil
		i := slices.Index(p.Names, name)
		if i < 0 {
			return true, nil
		}
		r, x, found = s.row(p, first, i), slices.Clone(p.Features.Row(i)), true
		return false, nil
	})
	switch {
	case err != nil:
		return r, nil, err
	case !named:
		return r, nil, fmt.Errorf("index %s: its rows have no names, expected the number of one", s.Path)
	case !found:
		return r, nil, fmt.Errorf("index %s: there is no row %q, expected the name of an image as embed has written it", s.Path, name)
	}
	return r, x, nil
}

// each calls f with the shards that have rows, and the index of the first row of each, while it returns true.
func (s *Set) each(ctx context.Context, f func(shard, first int, p Part) (bool, error)) error {
	for i, shard := range s.Shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		if shard.Rows == 0 {
			continue
		}
		p, err := s.Shard(i)
		if err != nil {
			return err
		}
		if more, err := f(i, s.first(i), p); err != nil || !more {
			return err
		}
	}
	return nil
}

// first is the index of the first row of a shard.
func (s *Set) first(shard int) (n int) {
	for _, before := range s.Shards[:shard] {
		n += before.Rows
	}
	return n
}

func (s *Set) row(p Part, first, i int) Row {
	r := Row{Index: first + i}
	if p.Names != nil {
		r.Name = p.Names[i]
	}
	if p.Labels != nil {
		r.Class = layout{classes: s.Classes}.class(p.Labels[i])
	}
	return r
}
