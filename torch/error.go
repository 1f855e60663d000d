package torch

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// ErrClosed is returned by [Thread.Do] after [Thread.Close].
var ErrClosed = errors.New("torch: thread is closed")

// ErrNested is returned by [Thread.Do] when it is called from inside a Do of the same thread, which could never begin.
var ErrNested = errors.New("torch: Do inside Do of the same thread: pass the Scope on instead")

// Error is the failure of one libtorch operation.
type Error struct {
	Op   string   // name of the operation, as in PyTorch
	Args []string // its tensor arguments, such as "float32[2 3]"
	Msg  string   // what libtorch said, without its C++ backtrace
}

// Error returns "torch: op(float32[2 3], …): message".
func (e *Error) Error() string {
	return fmt.Sprintf("torch: %s(%s): %s", e.Op, strings.Join(e.Args, ", "), e.Msg)
}

// Panic is what a panic inside [Thread.Do] arrives as at its caller: the value, and the stack that would otherwise be
// lost as it crosses goroutines.
type Panic struct {
	Value any
	Stack []byte
}

// Error returns the value and the stack of the goroutine that panicked.
func (p *Panic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// carried is what a panic is carried as out of where it cannot go on by itself, such as C++: an error of an operation as it
// is, and others with their stack.
func carried(v any) any {
	switch v.(type) {
	case *Error, *Panic:
		return v
	}
	return &Panic{Value: v, Stack: debug.Stack()}
}

// newError builds the error of a failed operation.
func newError(op, msg string, args []Tensor) *Error {
	e := &Error{Op: op, Msg: withoutBacktrace(msg)}
	for _, a := range args {
		e.Args = append(e.Args, a.describe())
	}
	return e
}

// withoutBacktrace is one of libtorch's messages without the C++ backtrace that follows most of them.
func withoutBacktrace(msg string) string {
	msg, _, _ = strings.Cut(msg, "\nException raised from")
	return strings.TrimSpace(msg)
}
