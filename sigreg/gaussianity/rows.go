package gaussianity

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/gojepa/gojepa/internal/rng"
)

// Sample draws limit of n rows without repetition, the same ones for the same seed, in rising order. All n rows are taken
// if limit is 0 or there are no more.
func Sample(n, limit int, seed uint64) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	if limit == 0 || n <= limit {
		return rows
	}
	r := rng.New(seed, rng.Sample, uint64(n), uint64(limit))
	for i := range limit {
		j := i + r.IntN(n-i)
		rows[i], rows[j] = rows[j], rows[i]
	}
	rows = rows[:limit:limit]
	slices.Sort(rows)
	return rows
}

// notFinite names the first row of k values that is not finite, and says how many there are.
func notFinite(values []float64, k int) error {
	first, count := -1, 0
	var what float64
	for i := 0; i < len(values); i += k {
		for _, v := range values[i : i+k] {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				if count++; first < 0 {
					first, what = i/k, v
				}
				break
			}
		}
	}
	return fmt.Errorf("row %d holds %v: %d of %d rows are not finite", first, what, count, len(values)/k)
}

// duplicates counts the rows that equal a row before them.
func duplicates(values []float64, k int) int {
	seen := make(map[uint64]bool, len(values)/k)
	seed := maphash.MakeSeed()
	for row := range slices.Chunk(values, k) {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, v := range row {
			maphash.WriteComparable(&h, v)
		}
		seen[h.Sum64()] = true
	}
	return len(values)/k - len(seen)
}

// constant lists the columns whose values are all equal.
func constant(values []float64, k int) []int {
	columns := []int{} // not nil: JSON has an empty list for it
	for j := range k {
		same := true
		for i := j; i < len(values) && same; i += k {
			same = values[i] == values[j]
		}
		if same {
			columns = append(columns, j)
		}
	}
	return columns
}
