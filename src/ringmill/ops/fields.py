"""Field kinds: how an argument enters the SQE, and how the soft kernel reads it back.

An annotation in `table.py` is one of these. Each knows its stub type, the Cython that checks it
(before anything is queued) and fills the SQE, and the C that decodes it. Knows no op by name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """An argument that goes into one SQE field. `{0}` in the templates is the argument's name."""

    stub: str  # its type for users
    param: str  # its C type as a Cython parameter
    check: tuple[str, ...] = ()  # Cython before the push; may raise
    fd: str = ""  # the expression for sqe.fd, where this argument gives it
    fill: tuple[str, ...] = ()  # Cython after the push; cannot fail
    soft: tuple[str, ...] = ()  # C: what the soft row's expression may name
    instead: str = ""  # another opcode, where `{0}_way` is not None
    last: tuple[str, ...] = ()  # Cython when the SQE is complete


@dataclass(frozen=True)
class Outcome:
    """A result: the case of op_result() that makes it, and what it needs beforehand."""

    stub: str
    kind: str
    check: tuple[str, ...] = ()
    fill: tuple[str, ...] = ()
    soft: tuple[str, ...] = ()
    last: tuple[str, ...] = ()  # Cython when the SQE is complete


# ── file descriptors ────────────────────────────────────────────────────────────────────────

Fd = Kind(  # the op keeps the object: a socket that nobody else holds must not close meanwhile
    "FileDescriptorLike", "object",
    check=("cdef int {0}_number = fd_of({0})", "op.target = {0}"), fd="{0}_number",
    soft=("int {0} = sqe->fd;",),
)
ClosingFd = Kind(
    "FileDescriptorLike", "object",
    check=("cdef int {0}_number = fd_to_close({0})",), fd="{0}_number",
    fill=("let_go({0})",),
    soft=("int {0} = sqe->fd;",),
)
SpliceFd = Kind(
    "FileDescriptorLike", "object",
    check=("cdef int {0}_number = fd_of({0})", "op.keep = {0}"),
    fill=("sqe.splice_fd_in = {0}_number",),
    soft=("int {0} = sqe->splice_fd_in;",),
)
DirFd = Kind(  # where a relative path is looked up; kept like Fd
    "FileDescriptorLike | None", "object",
    check=("cdef int {0}_number = dir_fd_of({0})", "op.target = {0}"), fd="{0}_number",
    soft=("int {0} = sqe->fd;",),
)
TargetDirFd = Kind(  # the same for the second of two paths
    "FileDescriptorLike | None", "object",
    check=("cdef int {0}_number = dir_fd_of({0})", "hold_also(op, {0})"),
    fill=("sqe.len = <unsigned>{0}_number",),
    soft=("int {0} = (int)sqe->len;",),
)

# ── paths and addresses ─────────────────────────────────────────────────────────────────────

Path = Kind(
    "StrOrBytesPath", "object",
    check=("cdef bytes {0}_bytes = path_of({0})", "op.keep = {0}_bytes", "op.error = {0}"),
    fill=("sqe.addr = <uint64_t><size_t><char *>{0}_bytes",),
    soft=("const char *{0} = rm_pointer(sqe->addr);",),
)
# With an int the empty path is looked up at that descriptor; the entry's `prepare` sets `by_fd`.
PathOrFd = Kind(
    "FileDescriptorOrPath", "object",
    check=(
        "cdef bytes {0}_bytes = b'' if by_fd else path_of({0})",
        "op.keep = {0}_bytes",
        "op.error = {0}",
    ),
    fill=("sqe.addr = <uint64_t><size_t><char *>{0}_bytes",),
    soft=("const char *{0} = rm_pointer(sqe->addr);",),
)
def _one_of_two(field: str, stub: str = "StrOrBytesPath",
                made: str = "path_of({0})") -> Kind:
    """One of two paths; an error names both."""
    return Kind(
        stub, "object",
        check=(f"cdef bytes {{0}}_bytes = {made}", "hold_also(op, {0}_bytes)",
               "name_also(op, {0})"),
        fill=(f"sqe.{field} = <uint64_t><size_t><char *>{{0}}_bytes",),
        soft=(f"const char *{{0}} = rm_pointer(sqe->{field});",),
    )


SourcePath = _one_of_two("addr")
TargetPath = _one_of_two("addr2")
LinkSource = _one_of_two("addr", "FileDescriptorOrPath", "link_source({0}, src_dir_fd)")
Attribute = Kind(  # the name of an extended attribute
    "StrOrBytesPath", "object",
    check=("cdef bytes {0}_bytes = path_of({0})", "hold_also(op, {0}_bytes)"),
    fill=("sqe.addr = <uint64_t><size_t><char *>{0}_bytes",),
    soft=("const char *{0} = rm_pointer(sqe->addr);",),
)
# A path, or with `by_fd` (set by `prepare`) an open file; never both.
PathOrFile = Kind(
    "FileDescriptorOrPath", "object",
    check=(
        "cdef int {0}_fd = fd_of({0}) if by_fd else -1",
        "cdef bytes {0}_bytes = None if by_fd else path_of({0})",
        "hold_also(op, {0}_bytes)",
        "op.error = {0}",
    ),
    fd="{0}_fd",
    fill=(
        "if not by_fd:",
        "    sqe.addr3 = <uint64_t><size_t><char *>{0}_bytes",
    ),
    soft=("int {0}_fd = sqe->fd;", "const char *{0} = rm_pointer(sqe->addr3);"),
)
Address = Kind(
    "Address", "object",
    check=(
        "hold_aux(op)",
        "op.aux.net.address_len = address_pack({0}, &op.aux.net.address)",
        "op.error = {0}",
    ),
    fill=(
        "sqe.addr = <uint64_t><size_t>&op.aux.net.address",
        "sqe.addr2 = op.aux.net.address_len",
    ),
    soft=(
        "const struct sockaddr *{0} = rm_pointer(sqe->addr);",
        "socklen_t {0}_len = (socklen_t)sqe->addr2;",
    ),
)

# ── memory ──────────────────────────────────────────────────────────────────────────────────

Fresh = Kind(  # a size: the bytes object to be filled is made here
    "int", "object",
    check=("cdef unsigned {0}_size = fresh_bytes(op, {0})",),
    fill=(
        "sqe.addr = <uint64_t><size_t>PyBytes_AS_STRING(op.value)",
        "sqe.len = {0}_size",
    ),
    soft=("void *data = rm_pointer(sqe->addr);", "unsigned {0} = sqe->len;"),
)
Into = Kind(
    "WriteableBuffer", "object",
    check=("hold_view(op, {0}, True)",),
    fill=("sqe.addr = <uint64_t><size_t>op.view.buf", "sqe.len = io_size(op.view.len)"),
    soft=("void *{0} = rm_pointer(sqe->addr);", "unsigned n = sqe->len;"),
)
From = Kind(
    "ReadableBuffer", "object",
    check=("hold_view(op, {0}, False)",),
    fill=("sqe.addr = <uint64_t><size_t>op.view.buf", "sqe.len = io_size(op.view.len)"),
    soft=("const void *{0} = rm_pointer(sqe->addr);", "unsigned n = sqe->len;"),
)
AttributeValue = Kind(
    "ReadableBuffer", "object",
    check=("hold_view(op, {0}, False)",),
    fill=("sqe.addr2 = <uint64_t><size_t>op.view.buf", "sqe.len = io_size(op.view.len)"),
    soft=("const void *{0} = rm_pointer(sqe->addr2);", "unsigned n = sqe->len;"),
)
Memory = Kind(  # all of it, where 32 bits may be too few
    "ReadableBuffer", "object",
    check=("hold_view(op, {0}, False)",),
    fill=(
        "sqe.addr = <uint64_t><size_t>op.view.buf",
        "if op.view.len > 0xFFFFFFFF:",
        "    sqe.off = op.view.len",
        "else:",
        "    sqe.len = <unsigned>op.view.len",
    ),
    soft=("void *{0} = rm_pointer(sqe->addr);", "size_t n = sqe->off ? sqe->off : sqe->len;"),
)
IntoMany = Kind(
    "Iterable[WriteableBuffer]", "object",
    check=("cdef Views {0}_views = hold_views(op, {0}, True)",),
    fill=("sqe.addr = <uint64_t><size_t>{0}_views.iov", "sqe.len = {0}_views.count"),
    soft=("const struct iovec *{0} = rm_pointer(sqe->addr);", "unsigned n = sqe->len;"),
)
FromMany = Kind(
    "Iterable[ReadableBuffer]", "object",
    check=("cdef Views {0}_views = hold_views(op, {0}, False)",),
    fill=IntoMany.fill, soft=IntoMany.soft,
)

EventRoom = Kind(  # how many events epoll_wait may tell
    "int", "object",
    check=("cdef unsigned {0}_count = event_room(op, {0})",),
    fill=(
        "sqe.addr = <uint64_t><size_t>PyBytes_AS_STRING(op.value)",
        "sqe.len = {0}_count",
    ),
    soft=("void *events = rm_pointer(sqe->addr);", "unsigned n = sqe->len;"),
)
# Socket options: the value stands where op.view says, whoever owns that memory.
OptionRoom = Kind("int | None", "object", check=("option_room(op, {0})",))
OptionLength = Kind("int | None", "object")
OptionValue = Kind(
    "int | ReadableBuffer | None", "object", check=("option_value(op, {0}, optlen)",))
Word = Kind(  # a futex; io_uring wants its size in the fd field
    "WriteableBuffer", "object",
    check=("hold_word(op, {0})",), fd="FUTEX2_SIZE_U32",
    fill=("sqe.addr = <uint64_t><size_t>op.view.buf",),
    soft=("uint32_t *{0} = rm_pointer(sqe->addr);",),
)

# ── messages: one msghdr, filled by several arguments ───────────────────────────────────────

Parts = Kind(  # what sendmsg sends; makes the msghdr, so it stands before the next three
    "Iterable[ReadableBuffer]", "object",
    check=("parts_out(op, hold_views(op, {0}, False))",),
    fill=("sqe.addr = <uint64_t><size_t>&op.aux.net.msg", "sqe.len = 1"),
    soft=("struct msghdr *message = rm_pointer(sqe->addr);",),
)
Ancillary = Kind(
    "Iterable[tuple[int, int, ReadableBuffer]]", "object",
    check=("ancillary_out(op, {0})",),
)
Rights = Kind(  # descriptors to pass on over the socket, which is the argument `sock`
    "Iterable[FileDescriptorLike]", "object",
    check=("descriptors_out(op, {0}, sock_number)",),
)
Peer = Kind("Address | None", "object", check=("peer_out(op, {0})",))
Destination = Kind(  # whom SEND sends to; after the buffer. `apart`: by SENDMSG, in a msghdr
    "Address", "object",
    check=("cdef bint apart = destination_out(op, {0})",),
    fill=(
        "if apart:",
        "    sqe.addr = <uint64_t><size_t>&op.aux.net.msg",
        "    sqe.len = 1",
        "else:",
        "    sqe.addr2 = <uint64_t><size_t>&op.aux.net.address",
        "    sqe.addr_len = <uint16_t>op.aux.net.address_len",
    ),
    soft=(
        "const struct sockaddr *{0} = rm_pointer(sqe->addr2);",
        "socklen_t {0}_len = sqe->addr_len;",
    ),
)
MessageSize = Kind(  # what recvmsg receives into; makes the msghdr
    "int", "object",
    check=("fresh_message(op, {0})",),
    fill=("sqe.addr = <uint64_t><size_t>&op.aux.net.msg", "sqe.len = 1"),
    soft=("struct msghdr *message = rm_pointer(sqe->addr);",),
)
MessageInto = Kind(
    "WriteableBuffer", "object", check=("message_into(op, {0})",), fill=MessageSize.fill,
)
PartsInto = Kind(
    "Iterable[WriteableBuffer]", "object",
    check=("parts_in(op, hold_views(op, {0}, True))",), fill=MessageSize.fill,
)
AncillaryRoom = Kind("int", "object", check=("ancillary_in(op, {0})",))
ControlRoom = Kind("int", "object")  # the same of an op with many results, whose `fill` takes it
RightsRoom = Kind("int", "object", check=("descriptors_in(op, {0})",))  # how many, at most

# ── numbers ─────────────────────────────────────────────────────────────────────────────────


def Number(field: str, c_type: str = "unsigned", also: str = "") -> Kind:
    """An integer as it is; `also` is or-ed in (flags that ringmill always wants)."""
    return Kind(
        "int", c_type,
        fill=(f"sqe.{field} = {{0}}" + (f" | {also}" if also else ""),),
        soft=(f"{c_type} {{0}} = ({c_type})sqe->{field};",),
    )


def Position(field: str) -> Kind:
    """A position or length in bytes, 0 to 2**63 - 1."""
    return Kind(
        "int", "object",
        check=("cdef uint64_t {0}_bytes = position_of({0})",),
        fill=(f"sqe.{field} = {{0}}_bytes",),
        soft=(f"uint64_t {{0}} = sqe->{field};",),
    )


Span = Kind(  # so many bytes, or all to the end; in another field where 32 bits are too few
    "int | None", "object",
    check=("cdef uint64_t {0}_bytes = 0 if {0} is None else position_of({0})",),
    fill=(
        "if {0}_bytes > 0xFFFFFFFF:",
        "    sqe.addr = {0}_bytes",
        "else:",
        "    sqe.len = <unsigned>{0}_bytes",
    ),
    soft=("uint64_t {0} = sqe->addr ? sqe->addr : sqe->len;",),
)
Plain = Kind("int", "int")  # the entry's `finish` says where it goes
HowMany = Kind(  # a count that the kernel keeps as an int: more than that is everybody
    "int", "unsigned",
    fill=("sqe.addr2 = {0} if {0} < 0x7FFFFFFF else 0x7FFFFFFF",),
    soft=("int {0} = (int)sqe->addr2;",),
)


def NumberAsFd(c_type: str = "int") -> Kind:
    """A number that io_uring wants in the fd field (a socket's family, a process id)."""
    return Kind("int", c_type, fd="{0}", soft=(f"{c_type} {{0}} = sqe->fd;",))


def Offset(field: str = "off") -> Kind:
    """A position in bytes, 0 to 2**63 - 1; None is the file's own position."""
    return Kind(
        "int | None", "object",
        check=("cdef uint64_t {0}_at = offset_of({0})",),
        fill=(f"sqe.{field} = {{0}}_at",),
        soft=(f"uint64_t {{0}} = sqe->{field};",),
    )


def Bit(field: str, constant: str, *, unless: bool = False) -> Kind:
    """A bool that sets `constant` in `field`, when true (or `unless` it is)."""
    condition = "not {0}" if unless else "{0}"
    negated = "!" if unless else "!!"
    return Kind(
        "bool", "bint",
        fill=(f"if {condition}:", f"    sqe.{field} |= {constant}"),
        soft=(f"bool {{0}} = {negated}(sqe->{field} & {constant});",),
    )


Resolve = Kind(  # moves to an open_how what the arguments before it have filled in
    "int", "unsigned",
    check=("if {0}:", "    hold_aux(op)"),
    fill=("if {0}:", "    open_how(op, sqe, {0})"),
    soft=("const struct open_how *how = rm_pointer(sqe->addr2);",),
)
MissingOk = Kind("bool", "bint", check=("if {0}:", "    op.kind = R_GONE"))

def ZeroCopy(opcode: str, plain: str) -> Kind:
    """A bool that asks for `opcode`, which copies nothing and tells when memory is free again."""
    return Kind(
        "bool", "bint",
        check=(f"cdef ZeroCopy {{0}}_way = zero_new(op, IORING_OP_{opcode}, IORING_OP_{plain}) "
               "if {0} else None",),
        instead=opcode, last=("if {0}:", "    zero_begin(op, {0}_way, sqe)"),
    )


# ── outcomes ────────────────────────────────────────────────────────────────────────────────

Nothing = Outcome("None", "R_NOTHING")
Whole = Outcome("None", "R_NOTHING", check=("op.handler = rest_new()",),
                last=("rest_begin(op, sqe)",))  # all of it, or an error
Count = Outcome("int", "R_COUNT")
Data = Outcome("bytes", "R_DATA")
Value = Outcome(  # of an attribute: none is longer, so its size need not be asked for
    "bytes", "R_DATA",
    check=("fresh_bytes(op, XATTR_SIZE_MAX)",),
    fill=(
        "sqe.addr2 = <uint64_t><size_t>PyBytes_AS_STRING(op.value)",
        "sqe.len = XATTR_SIZE_MAX",
    ),
    soft=("void *value = rm_pointer(sqe->addr2);", "unsigned n = sqe->len;"),
)
Option = Outcome("int | bytes", "R_DATA")
Ready = Outcome("list[tuple[int, int]]", "R_EPOLL")
NewPipe = Outcome(
    "tuple[int, int]", "R_PIPE",
    check=("hold_aux(op)",),
    fill=("sqe.addr = <uint64_t><size_t>op.aux.pipe",),
    soft=("int *pipe = rm_pointer(sqe->addr);",),
)
Woken = Outcome("bool", "R_WOKEN")  # EAGAIN, the word holds another value, is False
Events = Outcome("int", "R_EVENTS", check=("op.keep = mask",))
NewFd = Outcome("int", "R_FD")
Accepted = Outcome(
    "tuple[socket.socket, Any]", "R_ACCEPT",
    check=("hold_aux(op)", "op.aux.net.address_len = sizeof(sockaddr_storage)"),
    fill=(
        "sqe.addr = <uint64_t><size_t>&op.aux.net.address",
        "sqe.addr2 = <uint64_t><size_t>&op.aux.net.address_len",
    ),
    soft=(
        "struct sockaddr *address = rm_pointer(sqe->addr);",
        "socklen_t *address_len = rm_pointer(sqe->addr2);",
    ),
)
NewSocket = Outcome("socket.socket", "R_SOCKET", check=("op.keep = (family, type, proto)",))
Stat = Outcome(
    "os.stat_result", "R_STAT",
    check=("hold_aux(op)",),
    fill=("sqe.addr2 = <uint64_t><size_t>&op.aux.stx", "sqe.len = STATX_BASIC_STATS"),
    soft=("struct statx *out = rm_pointer(sqe->addr2);", "unsigned mask = sqe->len;",
          "int flags = (int)sqe->statx_flags;"),
)
Message = Outcome("tuple[bytes, list[tuple[int, int, bytes]], int, Any]", "R_MESSAGE")
MessageCount = Outcome("tuple[int, list[tuple[int, int, bytes]], int, Any]", "R_MESSAGE_INTO")
Sent = Outcome("tuple[bytes, Any]", "R_FROM")
SentCount = Outcome("tuple[int, Any]", "R_FROM_INTO")
Passed = Outcome("tuple[bytes, list[int], int, Any]", "R_FDS")
Waited = Outcome(
    "os.waitid_result | None", "R_WAITID",
    check=("hold_aux(op)",),
    fill=("sqe.addr2 = <uint64_t><size_t>&op.aux.info",),
    soft=("siginfo_t *info = rm_pointer(sqe->addr2);",),
)

# ── outcomes of ops with many results ───────────────────────────────────────────────────────

Sockets = Outcome("socket.socket", "R_ACCEPT")
Pieces = Outcome("bytes", "R_DATA")
Letters = Outcome(Message.stub, "R_LETTER")
Masks = Outcome("int", "R_COUNT")
