package eval

import (
	"bytes"
	"encoding/json"
	"math"
)

// Score is a figure that may not exist, such as the AUROC of a label that every sample has: NaN, which JSON has as null.
type Score float64

// MarshalJSON writes the number, or null.
func (s Score) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(s)) || math.IsInf(float64(s), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(s))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Score) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*s = Score(math.NaN())
		return nil
	}
	return json.Unmarshal(data, (*float64)(s))
}

// mean is the average of those figures that exist, NaN if none does.
func mean(all []Score) Score {
	var sum Score
	n := 0
	for _, v := range all {
		if !math.IsNaN(float64(v)) {
			sum += v
			n++
		}
	}
	if n == 0 {
		return Score(math.NaN())
	}
	return sum / Score(n)
}
