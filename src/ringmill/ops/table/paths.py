"""Ops on names: make, link, rename and remove files and folders; what is noted about them.

A relative path is looked up at `dir_fd` (an int or an object with fileno()), as in os. Errors are
OSErrors with `filename`, and where there are two paths, `filename2`.
"""

from __future__ import annotations

from ringmill.ops.entry import Second, in_worker, op
from ringmill.ops.fields import (
    Attribute,
    AttributeValue,
    Bit,
    DirFd,
    LinkSource,
    MissingOk,
    Nothing,
    Number,
    Path,
    PathOrFile,
    SourcePath,
    TargetDirFd,
    TargetPath,
    Value,
)

RENAMEAT2 = "rm_result(syscall(SYS_renameat2, src_dir_fd, src, dst_dir_fd, dst, sqe->rename_flags))"

# io_uring knows no attributes of the link itself: what the soft kernel reads in such a case makes
# the real one answer EINVAL. An open file is no link.
BY_FD = ("cdef bint by_fd = isinstance(path, int)", "follow_symlinks = follow_symlinks or by_fd")
GETXATTR = in_worker("rm_do_getxattr(path_fd, path, attribute, value, n, (int)sqe->xattr_flags)")
SETXATTR = in_worker("rm_do_setxattr(path_fd, path, attribute, value, n, (int)sqe->xattr_flags)")


@op("MKDIRAT", soft=in_worker("rm_result(mkdirat(dir_fd, path, (mode_t)mode))"))
def mkdir(path: Path, mode: Number("len") = 0o777, *, dir_fd: DirFd = None) -> Nothing:
    """Make a folder; FileExistsError when there is something of that name. See mkdirat(2).

    mode: permission bits, less the umask. For the folders above it, too: makedirs.

    >>> mkdir(folder / "new")
    >>> rmdir(folder / "new")
    """


@op("UNLINKAT", soft=in_worker("rm_result(unlinkat(dir_fd, path, (int)sqe->unlink_flags))"))
def unlink(path: Path, *, dir_fd: DirFd = None, missing_ok: MissingOk = False) -> Nothing:
    """Remove a name; the file goes with its last one. See unlinkat(2).

    missing_ok: no FileNotFoundError when there is no such name.

    >>> unlink(folder / "hello")
    """


@op("UNLINKAT", soft=None, finish=("sqe.unlink_flags = AT_REMOVEDIR",))
def rmdir(path: Path, *, dir_fd: DirFd = None) -> Nothing:
    """Remove an empty folder. See unlinkat(2).

    >>> mkdir(folder / "new")
    >>> rmdir(folder / "new")
    """


@op("SYMLINKAT", soft=in_worker("rm_result(symlinkat(src, dir_fd, dst))"))
def symlink(src: SourcePath, dst: TargetPath, *, dir_fd: DirFd = None) -> Nothing:
    """Make `dst` a symbolic link to `src`, which need not exist. See symlinkat(2).

    dir_fd: where a relative `dst` is made; `src` is stored as it is.

    >>> symlink("hello", folder / "soft link")
    """


@op("LINKAT", soft=in_worker(
    "rm_result(linkat(src_dir_fd, src, dst_dir_fd, dst, (int)sqe->hardlink_flags))"),
    prepare=("follow_symlinks = follow_symlinks or isinstance(src, int)",))
def link(src: LinkSource, dst: TargetPath, *, src_dir_fd: DirFd = None,
         dst_dir_fd: TargetDirFd = None,
         follow_symlinks: Bit("hardlink_flags", "AT_SYMLINK_FOLLOW") = True) -> Nothing:
    """Make `dst` one more name of the file `src`. See linkat(2).

    src: a path, or the descriptor of an open file: one that was opened with os.O_TMPFILE gets
    its first name, all at once (by way of /proc). follow_symlinks: when `src` is a symbolic link,
    the file it points to, not the link.

    >>> link(folder / "hello", folder / "hard link")
    """


@op("RENAMEAT", soft=in_worker(RENAMEAT2))
def rename(src: SourcePath, dst: TargetPath, *, src_dir_fd: DirFd = None,
           dst_dir_fd: TargetDirFd = None,
           noreplace: Bit("rename_flags", "RENAME_NOREPLACE") = False,
           exchange: Bit("rename_flags", "RENAME_EXCHANGE") = False) -> Nothing:
    """Give the file `src` the name `dst`, at one stroke: who looks sees the old or the new.

    A file that has the name `dst` is replaced. noreplace: FileExistsError instead. exchange: the
    two exchange their names; both must exist. See renameat2(2).

    >>> rename(folder / "hello", folder / "goodbye", noreplace=True)
    """


@op("RENAMEAT", soft=None)
def replace(src: SourcePath, dst: TargetPath, *, src_dir_fd: DirFd = None,
            dst_dir_fd: TargetDirFd = None) -> Nothing:
    """What rename does, by the name that says so.

    >>> replace(folder / "hello", folder / "goodbye")
    """


@op("GETXATTR", soft=GETXATTR, prepare=BY_FD, elsewhere="not follow_symlinks",
    second=Second("FGETXATTR", when="by_fd", soft=GETXATTR))
def getxattr(path: PathOrFile, attribute: Attribute, *,
             follow_symlinks: Bit("xattr_flags", "AT_SYMLINK_NOFOLLOW", unless=True) = True,
             ) -> Value:
    """The value of an extended attribute of a path or an open file, however long. See getxattr(2).

    OSError (ENODATA) when there is no such attribute, (EOPNOTSUPP) where there are none.
    follow_symlinks: of the file that a symbolic link points to, not of the link.

    >>> setxattr(folder / "hello", attribute, b"blue")
    >>> getxattr(folder / "hello", attribute)
    b'blue'
    """


@op("SETXATTR", soft=SETXATTR, prepare=BY_FD, elsewhere="not follow_symlinks",
    second=Second("FSETXATTR", when="by_fd", soft=SETXATTR))
def setxattr(path: PathOrFile, attribute: Attribute, value: AttributeValue,
             flags: Number("xattr_flags") = 0, *,
             follow_symlinks: Bit("xattr_flags", "AT_SYMLINK_NOFOLLOW", unless=True) = True,
             ) -> Nothing:
    """Set an extended attribute of a path or an open file, as os.setxattr does. See setxattr(2).

    flags: os.XATTR_CREATE, FileExistsError when there is one already; os.XATTR_REPLACE, OSError
    (ENODATA) when there is none.

    >>> setxattr(folder / "hello", attribute, b"blue", os.XATTR_CREATE)
    """
