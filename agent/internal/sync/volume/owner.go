package volume

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Share is the user of the laptop whose folder it is. He and the application use it together: all files have his
// group, which may what the owner may; what he makes belongs to who owns the folder that it is in.
type Share struct{ UID, GID uint32 }

// owners is how a side's owners and modes are told, and how they are set.
type owners struct {
	none  bool   // it can't give files away, and tells no owner
	share *Share // groups don't travel, and the group's bits are the others'
}

// shown is an item as it is told.
func (o owners) shown(item Item) Item {
	if o.none {
		item.UID, item.GID = NoOwner, NoOwner
	}
	if o.share != nil {
		item.GID = NoOwner
		if item.Kind != Link {
			item.Mode = item.Mode&^0o2070 | item.Mode&0o007<<3
		}
	}
	return item
}

// real is the mode that is set for one that is wanted.
func (o owners) real(kind Kind, mode uint32) uint32 {
	if o.share == nil {
		return mode
	}
	if mode = mode&^0o2070 | mode&0o700>>3; kind == Dir {
		mode |= 0o2000 // what is made in it has the group
	}
	return mode
}

// fits is whether a file is as it has to be for both to use it.
func (o owners) fits(st *unix.Stat_t) bool {
	item := describe(st)
	return o.share == nil || item.Kind == Other ||
		st.Gid == o.share.GID && st.Uid != o.share.UID && (item.Kind == Link || item.Mode == o.real(item.Kind, item.Mode))
}

// fit makes it so.
func (v *Volume) fit(at int, base string, st *unix.Stat_t) {
	share, uid, item := v.owners.share, st.Uid, describe(st)
	var folder unix.Stat_t
	if uid == share.UID && unix.Fstat(at, &folder) == nil {
		uid = folder.Uid
	}
	if uid != st.Uid || share.GID != st.Gid {
		_ = unix.Fchownat(at, base, int(uid), int(share.GID), unix.AT_SYMLINK_NOFOLLOW)
	}
	if mode := v.owners.real(item.Kind, item.Mode); item.Kind != Link && mode != item.Mode {
		_ = unix.Fchmodat(at, base, mode, 0)
	}
}

// chown changes what of the owner is a side's to change.
func (v *Volume) chown(at int, base string, uid, gid uint32) error {
	if v.owners.none {
		return nil
	}
	if v.owners.share != nil {
		gid = v.owners.share.GID
	}
	return unix.Fchownat(at, base, int(int32(uid)), int(int32(gid)), unix.AT_SYMLINK_NOFOLLOW) // NoOwner: it stays
}

// ownWithMode: the mode while it is still ours, and its upper bits again, which a change of owner clears.
func (v *Volume) ownWithMode(at int, part string, change Change, mode uint32) error {
	mode = v.owners.real(change.Item.Kind, mode)
	if err := unix.Fchmodat(at, part, mode, 0); err != nil {
		return err
	}
	if err := v.own(at, part, change); err != nil || mode&0o7000 == 0 || v.owners.none {
		return err
	}
	return unix.Fchmodat(at, part, mode, 0)
}

// own gives a new name its owner. Where this user can't give files away, what is new belongs to it, and what
// is replaced keeps its owner or stays.
func (v *Volume) own(at int, part string, change Change) error {
	want, before := change.Item, change.Expect
	var folder unix.Stat_t
	if err := unix.Fstat(at, &folder); err != nil {
		return err
	}
	if before.Kind == None {
		before.UID, before.GID = folder.Uid, folder.Gid
	}
	if want.UID == NoOwner {
		want.UID = before.UID
	}
	if want.GID == NoOwner {
		want.GID = before.GID
	}
	err := v.chown(at, part, want.UID, want.GID)
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	_ = v.chown(at, part, NoOwner, want.GID) // a group of ours
	if change.Expect.Kind != None && int(before.UID) != os.Geteuid() {
		return err
	}
	return nil
}
