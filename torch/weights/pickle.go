package weights

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// maxString is the longest string that is kept. Keys and class names are
// shorter; longer ones are data of foreign objects.
const maxString = 1 << 12

// pickleReader reads a pickle from a stream that holds at most end-off more bytes.
type pickleReader struct {
	r        *bufio.Reader
	off, end int64
}

func newPickleReader(r io.Reader, size int64) *pickleReader {
	return &pickleReader{r: bufio.NewReaderSize(r, 1<<16), end: size}
}

// unpickler runs the pickle machine. It builds data only: no opcode imports,
// calls or instantiates anything.
type unpickler struct {
	*pickleReader
	budget     *budget
	persistent func(id any) (any, error) // nil where no persistent id is allowed
	stack      []any
	marks      []int
	memo       []any
	ops        int64
}

// pickleError carries an error out of the machine to run.
type pickleError struct{ err error }

func (u *unpickler) fail(format string, args ...any) {
	panic(pickleError{fmt.Errorf(format, args...)})
}

// unpickle reads one pickle and returns its value.
func unpickle(r *pickleReader, b *budget, persistent func(any) (any, error)) (v any, err error) {
	u := &unpickler{pickleReader: r, budget: b, persistent: persistent}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case pickleError:
			err = fmt.Errorf("pickle at byte %d: %w", u.off, e.err)
		default:
			panic(e)
		}
	}()
	return u.run(), nil
}

func (u *unpickler) spend(n int64) {
	if err := u.budget.spend(n); err != nil {
		panic(pickleError{err})
	}
}

func (u *unpickler) readByte() byte {
	c, err := u.r.ReadByte()
	if err != nil || u.off >= u.end {
		u.broken(err)
	}
	u.off++
	return c
}

// broken fails for a stream that ended or could not be read.
func (u *unpickler) broken(err error) {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	panic(pickleError{err})
}

// uint reads a little-endian number of n bytes.
func (u *unpickler) uint(n int) uint64 {
	var b [8]byte
	for i := range n {
		b[i] = u.readByte()
	}
	return binary.LittleEndian.Uint64(b[:])
}

// str reads n bytes. Those of a string too long to be a name are dropped.
func (u *unpickler) str(n uint64, kind string) any {
	if n > uint64(u.end-u.off) {
		u.fail("%s of %d bytes, but only %d are left", kind, n, u.end-u.off)
	}
	if n > maxString {
		if _, err := io.CopyN(io.Discard, u.r, int64(n)); err != nil {
			u.broken(err)
		}
		u.off += int64(n)
		return opaque("a long " + kind)
	}
	u.spend(2*int64(n) + 32)
	b := make([]byte, n)
	if _, err := io.ReadFull(u.r, b); err != nil {
		u.broken(err)
	}
	u.off += int64(n)
	return string(b)
}

// line reads up to a newline, as the text opcodes of protocol 0 need it.
func (u *unpickler) line() string {
	var b []byte
	for {
		c := u.readByte()
		if c == '\n' {
			break
		}
		if len(b) == maxString {
			u.fail("text argument of more than %d bytes", maxString)
		}
		b = append(b, c)
	}
	b = bytes.TrimSuffix(b, []byte("\r"))
	u.spend(4*int64(len(b)) + 32)
	return string(b)
}

func (u *unpickler) push(v any) {
	u.stack = grow(u, u.stack, v)
}

// grow appends to a slice and pays for the array where a larger one was needed.
func grow[T any](u *unpickler, s []T, v ...T) []T {
	old := cap(s)
	if old-len(s) < len(v) {
		// append will at most double the array.
		u.spend(int64(max(2*old, len(s)+len(v))) * int64(reflect.TypeFor[T]().Size()))
	}
	return append(s, v...)
}

func (u *unpickler) pushInt(n int64) {
	u.spend(8)
	u.push(n)
}

// floor is the stack height below which nothing may be popped.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) pop() any {
	v := u.top()
	u.stack = u.stack[:len(u.stack)-1]
	return v
}

func (u *unpickler) top() any {
	if len(u.stack) <= u.floor() {
		u.fail("stack underflow")
	}
	return u.stack[len(u.stack)-1]
}

// popMark returns what was pushed since the last mark.
func (u *unpickler) popMark() []any {
	if len(u.marks) == 0 {
		u.fail("no mark on the stack")
	}
	at := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	items := grow(u, []any(nil), u.stack[at:]...)
	u.stack = u.stack[:at]
	return items
}

func (u *unpickler) popN(n int) []any {
	u.spend(16 * int64(n))
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		items[i] = u.pop()
	}
	return items
}

// put stores the top of the stack in the memo. A pickler numbers its memo
// entries one by one, so an index beyond the opcodes run is a forgery.
func (u *unpickler) put(i uint64) {
	if i > uint64(u.ops) {
		u.fail("memo index %d out of order", i)
	}
	v := u.top()
	for uint64(len(u.memo)) <= i {
		u.memo = grow(u, u.memo, nil)
	}
	u.memo[i] = v
}

func (u *unpickler) recall(i uint64) {
	if i >= uint64(len(u.memo)) {
		u.fail("memo index %d was never set", i)
	}
	u.push(u.memo[i])
}

func (u *unpickler) number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		u.fail("bad number %q", s)
	}
	return n
}

func (u *unpickler) text(v any) string {
	s, ok := v.(string)
	if !ok {
		u.fail("expected a string, found %s", describe(v))
	}
	return s
}

// long decodes the argument of LONG1 and LONG4.
func (u *unpickler) long(n uint64) {
	switch s := u.str(n, "integer").(type) {
	case string:
		if n > 8 {
			u.push(bigint(s))
			return
		}
		var b [8]byte
		copy(b[:], s)
		v := int64(binary.LittleEndian.Uint64(b[:]))
		if n > 0 {
			shift := 64 - 8*n
			v = v << shift >> shift
		}
		u.pushInt(v)
	default:
		u.push(s)
	}
}

func (u *unpickler) appendTo(items []any) {
	switch v := u.top().(type) {
	case *list:
		v.items = grow(u, v.items, items...)
	case *object:
		v.items = grow(u, v.items, items...)
	default:
		u.fail("append to %s", describe(v))
	}
}

func (u *unpickler) setItems(items []any) {
	if len(items)%2 != 0 {
		u.fail("odd number of keys and values")
	}
	var d *dict
	switch v := u.top().(type) {
	case *dict:
		d = v
	case *object:
		d = &v.dict
	default:
		u.fail("item set on %s", describe(v))
	}
	for i := 0; i < len(items); i += 2 {
		d.pairs = grow(u, d.pairs, pair{items[i], items[i+1]})
	}
}

// build handles BUILD: what Python would give to __setstate__ is kept.
func (u *unpickler) build(state any) {
	if o, ok := u.top().(*object); ok {
		o.state = state
	}
}

// protocol 0 writes booleans as the integers 00 and 01.
func (u *unpickler) intLine(s string) any {
	switch s {
	case "00":
		return false
	case "01":
		return true
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(s, "L"), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return bigint(s)
	}
	if err != nil {
		u.fail("bad integer %q", s)
	}
	return n
}

// quoted decodes the repr that the STRING opcode carries, without its escapes,
// which names do not need.
func (u *unpickler) quoted(s string) string {
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '\'' && s[0] != '"' {
		u.fail("bad string %q", s)
	}
	return s[1 : len(s)-1]
}

func (u *unpickler) run() any {
	for {
		u.ops++
		op := u.readByte()
		if op == '.' {
			v := u.pop()
			if len(u.stack) != 0 {
				u.fail("%d values left on the stack", len(u.stack))
			}
			return v
		}
		if !u.scalar(op) && !u.container(op) && !u.class(op) {
			u.fail("unknown opcode %#02x", op)
		}
	}
}

// scalar runs the opcodes that push a simple value or move the stack.
func (u *unpickler) scalar(op byte) bool {
	switch op {
	case 0x80: // PROTO
		if v := u.readByte(); v > 5 {
			u.fail("pickle protocol %d is not known", v)
		}
	case 0x95: // FRAME
		u.uint(8)
	case 'N':
		u.push(nil)
	case 0x88:
		u.push(true)
	case 0x89:
		u.push(false)
	case 'I', 'L':
		u.push(u.intLine(u.line()))
	case 'J':
		u.pushInt(int64(int32(u.uint(4))))
	case 'K':
		u.pushInt(int64(u.uint(1)))
	case 'M':
		u.pushInt(int64(u.uint(2)))
	case 0x8a: // LONG1
		u.long(u.uint(1))
	case 0x8b: // LONG4
		u.long(u.uint(4))
	case 'F':
		f, err := strconv.ParseFloat(u.line(), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			u.fail("bad number: %v", err)
		}
		u.spend(8)
		u.push(f)
	case 'G':
		u.spend(8)
		u.push(math.Float64frombits(swap64(u.uint(8))))
	case 'S':
		u.push(u.quoted(u.line()))
	case 'V':
		u.push(u.line())
	case 'U', 'C', 0x8c: // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
		u.push(u.str(u.uint(1), "string"))
	case 'T', 'X', 'B': // BINSTRING, BINUNICODE, BINBYTES
		u.push(u.str(u.uint(4), "string"))
	case 0x8d, 0x8e, 0x96: // BINUNICODE8, BINBYTES8, BYTEARRAY8
		u.push(u.str(u.uint(8), "string"))
	case '0':
		if len(u.stack) == u.floor() && len(u.marks) > 0 {
			u.popMark()
			break
		}
		u.pop()
	case '1':
		u.popMark()
	case '2':
		u.push(u.top())
	case '(':
		u.marks = grow(u, u.marks, len(u.stack))
	case 'p':
		u.put(u.number(u.line()))
	case 'q':
		u.put(u.uint(1))
	case 'r':
		u.put(u.uint(4))
	case 0x94: // MEMOIZE
		u.put(uint64(len(u.memo)))
	case 'g':
		u.recall(u.number(u.line()))
	case 'h':
		u.recall(u.uint(1))
	case 'j':
		u.recall(u.uint(4))
	default:
		return false
	}
	return true
}

// container runs the opcodes of lists, tuples, sets and dicts.
func (u *unpickler) container(op byte) bool {
	switch op {
	case ']', ')', 0x8f: // EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET
		u.spend(24)
		u.push(&list{})
	case 'l', 't', 0x91: // LIST, TUPLE, FROZENSET
		u.spend(24)
		u.push(&list{items: u.popMark()})
	case 0x85, 0x86, 0x87: // TUPLE1..3
		u.spend(24)
		u.push(&list{items: u.popN(int(op) - 0x84)})
	case '}':
		u.spend(24)
		u.push(&dict{})
	case 'd':
		items := u.popMark()
		u.spend(24)
		u.push(&dict{})
		u.setItems(items)
	case 'a':
		u.appendTo(u.popN(1))
	case 'e', 0x90: // APPENDS, ADDITEMS
		u.appendTo(u.popMark())
	case 's':
		u.setItems(u.popN(2))
	case 'u':
		u.setItems(u.popMark())
	default:
		return false
	}
	return true
}

// class runs the opcodes with which Python imports and calls.
func (u *unpickler) class(op byte) bool {
	switch op {
	case 'c':
		module := u.line()
		u.pushGlobal(module, u.line())
	case 0x93: // STACK_GLOBAL
		name := u.text(u.pop())
		u.pushGlobal(u.text(u.pop()), name)
	case 'i': // INST
		module := u.line()
		name := u.line()
		u.push(u.foreign(&global{module, name}, u.popMark()))
	case 'o': // OBJ
		items := u.popMark()
		if len(items) == 0 {
			u.fail("object without a class")
		}
		u.push(u.foreign(items[0], items[1:]))
	case 'R', 0x81: // REDUCE, NEWOBJ
		args := u.pop()
		f := u.pop()
		u.push(u.reduce(f, args))
	case 0x92: // NEWOBJ_EX
		u.pop()
		args := u.pop()
		u.push(u.foreign(u.pop(), []any{args}))
	case 0x82, 0x83, 0x84: // EXT1, EXT2, EXT4
		u.uint(1 << (op - 0x82))
		u.push(opaque("a registered extension"))
	case 'b':
		state := u.pop()
		u.build(state)
	case 'P', 'Q':
		if u.persistent == nil {
			u.fail("persistent id where none is expected")
		}
		var id any
		if op == 'P' {
			id = u.line()
		} else {
			id = u.pop()
		}
		u.spend(128)
		v, err := u.persistent(id)
		if err != nil {
			panic(pickleError{err})
		}
		u.push(v)
	case 0x97: // NEXT_BUFFER
		u.push(opaque("an out-of-band buffer"))
	case 0x98: // READONLY_BUFFER
		u.top()
	default:
		return false
	}
	return true
}

func (u *unpickler) pushGlobal(module, name string) {
	u.spend(32)
	u.push(&global{module, name})
}

// foreign makes an object of a class that means nothing here.
func (u *unpickler) foreign(class any, args []any) *object {
	u.spend(160)
	name := ""
	if g, ok := class.(*global); ok {
		name = g.String()
	}
	return &object{class: name, state: &list{items: args}}
}

func swap64(x uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], x)
	return binary.BigEndian.Uint64(b[:])
}
