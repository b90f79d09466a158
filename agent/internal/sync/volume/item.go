package volume

import (
	"encoding/binary"
	"hash/fnv"

	"golang.org/x/sys/unix"
)

// Kind is what a name is; its letters are those of package files.
type Kind byte

// The kinds of an Item.
const (
	None  Kind = 0   // there is no such name
	File  Kind = 'f' // a regular file
	Dir   Kind = 'd'
	Link  Kind = 'l' // a symbolic link
	Pipe  Kind = 'p'
	Other Kind = 'o' // what never travels: a socket, a device, another mount, what the user may not read
)

// NoOwner is the owner on a side that can't give files away: it is never compared, and a new file gets the
// owner of the directory it is put into.
const NoOwner = ^uint32(0)

// Item is one name as one side has it. Mode is of twelve bits, times are nanoseconds. Inode, Ctime and Names
// (of hard links) tell only whether a file is still the same one; they never travel.
type Item struct {
	Kind     Kind
	Mode     uint32
	UID, GID uint32
	Size     int64
	Mtime    int64
	Link     string // a symbolic link's target
	Inode    uint64
	Ctime    int64
	Names    uint32
}

// describe gives what a stat says, without a link's target.
func describe(st *unix.Stat_t) Item {
	item := Item{Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Inode: st.Ino, Ctime: st.Ctim.Nano(), Kind: Other}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		item.Kind, item.Size, item.Mtime, item.Names = File, st.Size, st.Mtim.Nano(), uint32(st.Nlink)
	case unix.S_IFDIR: // its times change with what is in it
		item.Kind, item.Ctime = Dir, 0
	case unix.S_IFLNK:
		item.Kind, item.Mode = Link, 0o777
	case unix.S_IFIFO:
		item.Kind = Pipe
	}
	return item
}

// SameContent is whether the bytes of a file can't have changed between two looks.
func (i Item) SameContent(other Item) bool {
	return i.Kind == other.Kind && i.Size == other.Size && i.Mtime == other.Mtime && i.Ctime == other.Ctime &&
		i.Inode == other.Inode && i.Ctime != 0
}

// survived is whether an item that was renamed is what it was before: a rename changes the ctime.
func (i Item) survived(before Item) bool {
	i.Ctime, i.Names, before.Ctime, before.Names = 0, 0, 0, 0
	return i == before
}

// print is a number that changes with the item.
func (i Item) print() uint64 {
	sum := fnv.New64a()
	fields := []uint64{
		uint64(i.Kind), uint64(i.Mode), uint64(i.UID), uint64(i.GID), uint64(i.Size), uint64(i.Mtime), i.Inode,
		uint64(i.Ctime), uint64(i.Names),
	}
	var buffer [9 * 8]byte
	for at, field := range fields {
		binary.LittleEndian.PutUint64(buffer[at*8:], field)
	}
	_, _ = sum.Write(buffer[:])
	_, _ = sum.Write([]byte(i.Link))
	return sum.Sum64()
}

func hashName(name string) uint64 {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(name))
	return sum.Sum64()
}
