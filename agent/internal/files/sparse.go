package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// SparseRecord is the PAX record of a file with holes; its value is the file's
// size. Its content in the stream is a map (big-endian uint64: how many pieces,
// then offset and length of each) and the pieces behind it.
//
// GNU tar's own form would be known to others, but archive/tar writes none, and
// reads it as zeros of which nobody can tell that they are holes.
const SparseRecord = "DEVCLUSTER.sparse"

// Piece is a part of a file that is no hole.
type Piece struct{ Offset, Length int64 }

const (
	mostPieces = 1 << 16 // the rest of a file beyond is one piece
	worth      = 64 << 10
)

// pieces are the parts of a file that are on disk, and how many bytes these are.
// A file system that knows no holes tells one piece.
func pieces(file *os.File, size int64) (found []Piece, disk int64) {
	fd := int(file.Fd())
	for at := int64(0); at < size; {
		from, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, syscall.ENXIO) {
			break
		}
		to := size
		if err != nil {
			from = at
		} else if hole, err := unix.Seek(fd, from, unix.SEEK_HOLE); err == nil && len(found) < mostPieces-1 {
			to = min(hole, size)
		}
		if from >= to {
			break
		}
		found, disk, at = append(found, Piece{from, to - from}), disk+to-from, to
	}
	return found, disk
}

// holes gives the pieces of a file that holds less than its size; nil where it
// is not worth it.
func holes(file *os.File, size int64, blocks int64) (found []Piece, disk int64, sparse bool) {
	if blocks*512 > size-worth {
		return nil, size, false
	}
	found, disk = pieces(file, size)
	return found, disk, disk <= size-worth
}

// renderMap is the head of a sparse file's content.
func renderMap(pieces []Piece) []byte {
	text := binary.BigEndian.AppendUint64(nil, uint64(len(pieces)))
	for _, piece := range pieces {
		text = binary.BigEndian.AppendUint64(text, uint64(piece.Offset))
		text = binary.BigEndian.AppendUint64(text, uint64(piece.Length))
	}
	return text
}

// ReadMap reads the head of a sparse file's content.
func ReadMap(r io.Reader, size int64) ([]Piece, error) {
	var numbers [2]uint64
	if err := binary.Read(r, binary.BigEndian, numbers[:1]); err != nil {
		return nil, err
	}
	count := numbers[0]
	if count > mostPieces {
		return nil, fmt.Errorf("a file of %d pieces", count)
	}
	found := make([]Piece, 0, count)
	for end := int64(0); count > 0; count-- {
		if err := binary.Read(r, binary.BigEndian, numbers[:]); err != nil {
			return nil, err
		}
		piece := Piece{int64(numbers[0]), int64(numbers[1])}
		if piece.Offset < end || piece.Length < 0 || piece.Offset > size-piece.Length {
			return nil, errors.New("the pieces of a file lie beyond its size, or in disorder")
		}
		found, end = append(found, piece), piece.Offset+piece.Length
	}
	return found, nil
}
