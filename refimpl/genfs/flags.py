"""Flags of getpages, of putpages and of vnodes."""

PGO_SYNCIO = 0x001
PGO_CLEANIT = 0x002
PGO_FREE = 0x004
PGO_DEACTIVATE = 0x008
PGO_ALLPAGES = 0x010
PGO_LOCKED = 0x020
PGO_OVERWRITE = 0x040
PGO_PASTEOF = 0x080
PGO_NOBLOCKALLOC = 0x100
PGO_NOTIMESTAMP = 0x200
PGO_RECLAIM = 0x400
PGO_BUSYFAIL = 0x800
PGO_JOURNALLOCKED = 0x1000
PGO_GLOCKHELD = 0x2000  # hardened: the caller of getpages has g_glock
PGO_COUNTED = 0x4000  # hardened: the output is in v_numoutput already

# A vnode's flags.
VI_ONWORKLST = 1  # the syncer will visit it
VI_WRMAP = 2  # somebody has, or had, a shared writable mapping
VI_WRMAPDIRTY = 4  # stores through such a mapping are possible without a fault
VI_XLOCK = 8  # being reclaimed
VV_MAPPED = 1
