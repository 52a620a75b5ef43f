"""Messages of a multishot receive; declarations only."""
from ringmill.core.aux cimport msghdr

cdef enum:
    # With the header (16 bytes) and an address (128) it fills the first page of a buffer.
    CONTROL_MAX = 4096 - 16 - 128
    LETTER_MAX = 4096 + 65536  # what a buffer is for: any datagram of UDP fits behind that page

cdef size_t letter_head(const msghdr *form) noexcept
cdef bytes letter_of(const char *buffer, size_t size, const msghdr *form)
cdef void letter_refuse(char *buffer, const msghdr *form) noexcept
cdef object letter_open(bytes letter)
cdef void letter_undo(bytes letter) noexcept
