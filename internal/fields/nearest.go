package fields

import "strings"

// Nearest returns the candidate that name is most likely meant to be, or "" if none is near. Letter case and the
// choice between - and _ do not count; a candidate's last part, behind its last dot, stands for it too.
func Nearest(name string, candidates []string) string {
	name = plain(name)
	best, least := "", min(2+len(name)/4, len(name)) // nearer than this
	for _, c := range candidates {
		whole := plain(c)
		d := distance(name, whole)
		if i := strings.LastIndexByte(whole, '.'); i >= 0 && !strings.Contains(name, ".") {
			d = min(d, distance(name, whole[i+1:]))
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

func plain(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance is the number of letters to insert, delete, replace or swap with their neighbour to turn a into b (the
// optimal string alignment distance).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			replace := d[i-1][j-1]
			if x[i-1] != y[j-1] {
				replace++
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, replace)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
