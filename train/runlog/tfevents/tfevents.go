// Package tfevents writes the files that TensorBoard reads: records of an Event message each, framed as TFRecords.
//
// A record is the length of its data (8 bytes), a checksum of those bytes, the data, and a checksum of the data, all little
// endian. The messages are tensorflow.Event, Summary and SessionLog, whose few fields that matter here are encoded by
// hand.
package tfevents

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"
)

// Scalar is a figure of a step.
type Scalar struct {
	Tag   string // its name in TensorBoard; what stands before the first slash groups it
	Value float64
}

// The fields of the messages, as their .proto files number them.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7
	summaryValue     = 1
	valueTag         = 1
	valueSimple      = 2
	sessionStatus    = 1

	sessionStart = 1 // of SessionLog.status
)

// Wire types of protocol buffers.
const (
	varint  = 0
	fixed64 = 1
	bytes   = 2
	fixed32 = 5
)

// AppendStart appends what a file begins with: the version, and the mark of a session that starts at step 0, by which a
// TensorBoard that has read another file of the run forgets what it read.
func AppendStart(b []byte, wall time.Time) []byte {
	b = appendRecord(b, appendBytes(event(wall, 0), eventFileVersion, []byte("brain.Event:2")))
	status := binary.AppendUvarint(appendTag(nil, sessionStatus, varint), sessionStart)
	return appendRecord(b, appendBytes(event(wall, 0), eventSessionLog, status))
}

// AppendScalars appends the figures of a step. TensorBoard holds them as float32.
func AppendScalars(b []byte, wall time.Time, step int64, scalars []Scalar) []byte {
	var summary []byte
	for _, s := range scalars {
		value := appendBytes(nil, valueTag, []byte(s.Tag))
		value = appendTag(value, valueSimple, fixed32)
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(float32(s.Value)))
		summary = appendBytes(summary, summaryValue, value)
	}
	return appendRecord(b, appendBytes(event(wall, step), eventSummary, summary))
}

// event is the beginning of an Event: when it was, in seconds, and at which step. A step of 0 is left out, as zeros are.
func event(wall time.Time, step int64) []byte {
	e := appendTag(nil, eventWallTime, fixed64)
	e = binary.LittleEndian.AppendUint64(e, math.Float64bits(float64(wall.UnixMicro())/1e6))
	if step != 0 {
		e = binary.AppendUvarint(appendTag(e, eventStep, varint), uint64(step))
	}
	return e
}

func appendTag(b []byte, field, wire uint64) []byte { return binary.AppendUvarint(b, field<<3|wire) }

func appendBytes(b []byte, field uint64, data []byte) []byte {
	b = binary.AppendUvarint(appendTag(b, field, bytes), uint64(len(data)))
	return append(b, data...)
}

func appendRecord(b, data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = append(b, length...)
	b = binary.LittleEndian.AppendUint32(b, checksum(length))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, checksum(data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is a CRC-32C, turned and shifted so that data with checksums in it has no checksum that is easily right.
func checksum(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}
