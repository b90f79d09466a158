package volume

import (
	"encoding/binary"
	"errors"
)

// ErrCoding is for bytes that no Append has made.
var ErrCoding = errors.New("bytes that can't be read")

// AppendText appends a string of any bytes.
func AppendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// Append appends the item.
func (i Item) Append(to []byte) []byte {
	if to = append(to, byte(i.Kind)); i.Kind == None {
		return to
	}
	for _, number := range []uint64{uint64(i.Mode), uint64(i.UID), uint64(i.GID), i.Inode, uint64(i.Names)} {
		to = binary.AppendUvarint(to, number)
	}
	for _, number := range []int64{i.Size, i.Mtime, i.Ctime} {
		to = binary.AppendVarint(to, number)
	}
	return AppendText(to, i.Link)
}

// Decoder reads what was appended, in the same order. Once something is wrong all of it is.
type Decoder struct {
	left []byte
	err  error
}

// Decode begins to read.
func Decode(data []byte) *Decoder { return &Decoder{left: data} }

// Err is whether something was wrong, or is left over.
func (d *Decoder) Err() error {
	if d.err == nil && len(d.left) > 0 {
		return ErrCoding
	}
	return d.err
}

// More is whether there is more to read.
func (d *Decoder) More() bool { return d.err == nil && len(d.left) > 0 }

func (d *Decoder) take(n int) []byte {
	if n < 0 || n > len(d.left) {
		d.err, d.left = ErrCoding, nil
		return nil
	}
	taken := d.left[:n]
	d.left = d.left[n:]
	return taken
}

// Byte reads one.
func (d *Decoder) Byte() byte {
	if taken := d.take(1); taken != nil {
		return taken[0]
	}
	return 0
}

// Number reads a Uvarint.
func (d *Decoder) Number() uint64 {
	number, n := binary.Uvarint(d.left)
	if n <= 0 {
		n = -1
	}
	d.take(n)
	return number
}

func (d *Decoder) signed() int64 {
	number, n := binary.Varint(d.left)
	if n <= 0 {
		n = -1
	}
	d.take(n)
	return number
}

// Text reads a string.
func (d *Decoder) Text() string {
	size := d.Number()
	if size > uint64(len(d.left)) {
		d.take(-1)
		return ""
	}
	return string(d.take(int(size)))
}

// Item reads one.
func (d *Decoder) Item() (i Item) {
	if i.Kind = Kind(d.Byte()); i.Kind == None {
		return Item{}
	}
	i.Mode, i.UID, i.GID, i.Inode, i.Names = uint32(d.Number()), uint32(d.Number()), uint32(d.Number()), d.Number(), uint32(d.Number())
	i.Size, i.Mtime, i.Ctime = d.signed(), d.signed(), d.signed()
	i.Link = d.Text()
	return i
}

// Digest reads one.
func (d *Decoder) Digest() (digest Digest) {
	copy(digest[:], d.take(len(digest)))
	return digest
}
