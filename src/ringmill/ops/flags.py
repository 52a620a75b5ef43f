"""Flags that `os` has no names for. Knows numbers of Linux; no ops."""

from __future__ import annotations

import enum


class Resolve(enum.IntFlag):
    """How far a path may lead when it is opened: `open(…, resolve=)`. See openat2(2)."""

    NO_XDEV = 0x01  # not into another file system
    NO_MAGICLINKS = 0x02  # by no link of /proc that is none
    NO_SYMLINKS = 0x04  # by no symbolic link at all, nor the former
    BENEATH = 0x08  # never out of dir_fd; an absolute path is refused
    IN_ROOT = 0x10  # dir_fd is / to it
    CACHED = 0x20  # only if it needs no disk; else BlockingIOError
