package volume

import (
	"cmp"
	"slices"
)

// folder is what is remembered of one: for each name two numbers. Ten thousand names take 160 kB; the names
// themselves are known to who is told of them.
type folder struct {
	path  string
	inode uint64
	wd    int32 // 0: not watched
	marks []mark
	below []*folder
}

type mark struct{ name, print uint64 }

func byName(a, b mark) int { return cmp.Compare(a.name, b.name) }

func (f *folder) find(base string) (at int, found bool) {
	return slices.BinarySearchFunc(f.marks, mark{name: hashName(base)}, byName)
}

// note keeps what a name is now; false where it was that before.
func (f *folder) note(base string, item Item) (changed bool) {
	at, known := f.find(base)
	switch print := item.print(); {
	case item.Kind == None && known:
		f.marks = slices.Delete(f.marks, at, at+1)
	case item.Kind == None:
		return false
	case !known:
		f.marks = slices.Insert(f.marks, at, mark{hashName(base), print})
	case f.marks[at].print == print:
		return false
	default:
		f.marks[at].print = print
	}
	return true
}

// begin makes room for a folder that is seen for the first time, or is another one than before.
func (v *Volume) begin(path string, inode uint64) {
	v.forget(path)
	f := &folder{path: path, inode: inode}
	v.folders[path] = f
	parent, _ := split(path)
	if above := v.folders[parent]; above != nil && path != "." {
		above.below = append(above.below, f)
	}
}

// forget drops a folder and all in it.
func (v *Volume) forget(path string) {
	f := v.folders[path]
	if f == nil {
		return
	}
	parent, _ := split(path)
	if above := v.folders[parent]; above != nil && above != f {
		above.below = slices.DeleteFunc(above.below, func(other *folder) bool { return other == f })
	}
	v.drop(f)
}

func (v *Volume) drop(f *folder) {
	for _, below := range f.below {
		v.drop(below)
	}
	v.watch.remove(f)
	delete(v.folders, f.path)
}
