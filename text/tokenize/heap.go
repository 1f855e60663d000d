package tokenize

// ordered is what a heap can hold.
type ordered[T any] interface{ before(other T) bool }

// heap gives what comes before all else in it. (container/heap allocates each element.)
type heap[T ordered[T]] []T

func (q *heap[T]) push(c T) {
	h := append(*q, c)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !c.before(h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = c
	*q = h
}

func (q *heap[T]) pop() T {
	h := *q
	first, c := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].before(h[down]) {
			down++
		}
		if !h[down].before(c) {
			break
		}
		h[i] = h[down]
		i = down
	}
	if len(h) > 0 {
		h[i] = c
	}
	*q = h
	return first
}
