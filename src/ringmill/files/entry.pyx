"""An entry of a folder, with what stat said of it. Knows no I/O; made by walking.py."""
cimport cython


cdef enum:
    S_IFMT = 0o170000
    S_IFDIR = 0o040000
    S_IFREG = 0o100000


@cython.final
cdef class Entry:
    """Something in a folder, as os.DirEntry has it; nothing here does any I/O."""
    cdef readonly object name   # as the folder has it
    cdef readonly object path   # … below the path of the folder that was asked about
    cdef object listed          # the os.DirEntry
    cdef object found           # an os.stat_result, or the OSError instead
    cdef object led             # … of where a symbolic link leads

    def __init__(self, listed, found):
        self.listed = listed
        self.name = listed.name
        self.path = listed.path
        self.found = self.led = found

    cpdef set_led(self, found):
        """It is a symbolic link; `found` is where that leads."""
        self.led = found

    def stat(self, *, bint follow_symlinks=True):
        """What os.stat says of it (or of where a symbolic link leads), when it was found."""
        found = self.led if follow_symlinks else self.found
        if isinstance(found, OSError):
            raise found
        return found

    cdef bint is_kind(self, unsigned kind, bint follow_symlinks) except -1:
        found = self.led if follow_symlinks else self.found
        if isinstance(found, OSError):
            return False
        return <unsigned>found[0] & S_IFMT == kind  # st_mode

    def is_dir(self, *, bint follow_symlinks=True):
        if isinstance(self.found, OSError):
            return self.listed.is_dir(follow_symlinks=False)  # what the folder says
        return self.is_kind(S_IFDIR, follow_symlinks)

    def is_file(self, *, bint follow_symlinks=True):
        if isinstance(self.found, OSError):
            return self.listed.is_file(follow_symlinks=False)
        return self.is_kind(S_IFREG, follow_symlinks)

    def is_symlink(self):
        return self.listed.is_symlink()

    def inode(self):
        return self.listed.inode()

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return f"<Entry {self.name!r}>"
