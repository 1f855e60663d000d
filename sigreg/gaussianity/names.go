package gaussianity

import (
	"fmt"
	"slices"
	"strings"
)

// name is the name of value i of an enumeration.
func name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("(%d)", i)
	}
	return names[i]
}

// named is the value of that name, or 0 and an error.
func named(names []string, text []byte) (int, error) {
	if i := slices.Index(names, string(text)); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%q is not one of %s", text, strings.Join(names, ", "))
}
