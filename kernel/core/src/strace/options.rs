//! More names of constants: those of files, memory and time, then those of sockets. Values are
//! those of Linux's uapi headers for x86-64, named beside each table.

use super::names::Names;

macro_rules! values {
    ($($name:ident = $value:expr,)*) => { &[$(($value, stringify!($name))),*] };
}

/// linux/fcntl.h; `faccessat2` has a name of its own for what is `AT_REMOVEDIR` elsewhere.
pub(super) const ACCESS_FLAGS: &Names =
    values! { AT_SYMLINK_NOFOLLOW = 0x100, AT_EACCESS = 0x200, AT_EMPTY_PATH = 0x1000, };
/// asm-generic/mman-common.h and asm-generic/mman.h.
pub(super) const MSYNC: &Names = values! { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4, };
pub(super) const MLOCK: &Names = values! { MLOCK_ONFAULT = 1, };
pub(super) const MLOCKALL: &Names = values! { MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4, };
/// linux/mount.h.
pub(super) const MOUNT: &Names = values! {
    MS_RDONLY = 1, MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_SYNCHRONOUS = 16,
    MS_REMOUNT = 32, MS_MANDLOCK = 64, MS_DIRSYNC = 128, MS_NOSYMFOLLOW = 256, MS_NOATIME = 1024,
    MS_NODIRATIME = 2048, MS_BIND = 4096, MS_MOVE = 8192, MS_REC = 16384, MS_SILENT = 32768,
    MS_POSIXACL = 1 << 16, MS_UNBINDABLE = 1 << 17, MS_PRIVATE = 1 << 18, MS_SLAVE = 1 << 19,
    MS_SHARED = 1 << 20, MS_RELATIME = 1 << 21, MS_STRICTATIME = 1 << 24, MS_LAZYTIME = 1 << 25,
};
/// linux/fs.h of the kernel: the flags of `umount2`.
pub(super) const UMOUNT: &Names =
    values! { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8, };
/// linux/fs.h.
pub(super) const RENAME: &Names =
    values! { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2, RENAME_WHITEOUT = 4, };
pub(super) const RWF: &Names = values! {
    RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4, RWF_NOWAIT = 8, RWF_APPEND = 16,
};
/// linux/memfd.h.
pub(super) const MEMFD: &Names =
    values! { MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, };
/// linux/splice.h.
pub(super) const SPLICE: &Names = values! {
    SPLICE_F_MOVE = 1, SPLICE_F_NONBLOCK = 2, SPLICE_F_MORE = 4, SPLICE_F_GIFT = 8,
};
/// linux/falloc.h.
pub(super) const FALLOC: &Names = values! {
    FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2, FALLOC_FL_NO_HIDE_STALE = 4,
    FALLOC_FL_COLLAPSE_RANGE = 8, FALLOC_FL_ZERO_RANGE = 16, FALLOC_FL_INSERT_RANGE = 32,
    FALLOC_FL_UNSHARE_RANGE = 64,
};
/// linux/fadvise.h.
pub(super) const FILE_ADVICE: &Names = values! {
    POSIX_FADV_NORMAL = 0, POSIX_FADV_RANDOM = 1, POSIX_FADV_SEQUENTIAL = 2,
    POSIX_FADV_WILLNEED = 3, POSIX_FADV_DONTNEED = 4, POSIX_FADV_NOREUSE = 5,
};
/// linux/close_range.h.
pub(super) const CLOSE_RANGE: &Names =
    values! { CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4, };
/// linux/xattr.h.
pub(super) const XATTR: &Names = values! { XATTR_CREATE = 1, XATTR_REPLACE = 2, };
/// linux/random.h.
pub(super) const RANDOM: &Names =
    values! { GRND_NONBLOCK = 1, GRND_RANDOM = 2, GRND_INSECURE = 4, };
/// linux/signalfd.h, linux/eventpoll.h, linux/eventfd.h, linux/inotify.h, linux/timerfd.h: their
/// flags are those of `open`.
pub(super) const SIGNALFD: &Names = values! { SFD_CLOEXEC = 0o2_000_000, SFD_NONBLOCK = 0o4000, };
pub(super) const EPOLL_FLAGS: &Names = values! { EPOLL_CLOEXEC = 0o2_000_000, };
pub(super) const EVENTFD: &Names = values! {
    EFD_SEMAPHORE = 1, EFD_CLOEXEC = 0o2_000_000, EFD_NONBLOCK = 0o4000,
};
pub(super) const INOTIFY_FLAGS: &Names =
    values! { IN_NONBLOCK = 0o4000, IN_CLOEXEC = 0o2_000_000, };
pub(super) const TIMERFD: &Names = values! { TFD_CLOEXEC = 0o2_000_000, TFD_NONBLOCK = 0o4000, };
/// linux/eventpoll.h.
pub(super) const EPOLL_EVENTS: &Names = values! {
    EPOLLIN = 1, EPOLLPRI = 2, EPOLLOUT = 4, EPOLLRDNORM = 0x40, EPOLLRDBAND = 0x80,
    EPOLLWRNORM = 0x100, EPOLLWRBAND = 0x200, EPOLLMSG = 0x400, EPOLLERR = 8, EPOLLHUP = 0x10,
    EPOLLRDHUP = 0x2000, EPOLLEXCLUSIVE = 1 << 28, EPOLLWAKEUP = 1 << 29, EPOLLONESHOT = 1 << 30,
    EPOLLET = 1 << 31,
};
/// linux/inotify.h.
pub(super) const INOTIFY: &Names = values! {
    IN_ACCESS = 1, IN_MODIFY = 2, IN_ATTRIB = 4, IN_CLOSE_WRITE = 8,
    IN_CLOSE_NOWRITE = 16, IN_OPEN = 32, IN_MOVED_FROM = 64, IN_MOVED_TO = 128, IN_CREATE = 256,
    IN_DELETE = 512, IN_DELETE_SELF = 1024, IN_MOVE_SELF = 2048, IN_UNMOUNT = 0x2000,
    IN_Q_OVERFLOW = 0x4000, IN_IGNORED = 0x8000, IN_ONLYDIR = 0x0100_0000,
    IN_DONT_FOLLOW = 0x0200_0000, IN_EXCL_UNLINK = 0x0400_0000, IN_MASK_CREATE = 0x1000_0000,
    IN_MASK_ADD = 0x2000_0000, IN_ISDIR = 0x4000_0000, IN_ONESHOT = 0x8000_0000,
};
/// linux/time.h.
pub(super) const TIMER: &Names = values! { TIMER_ABSTIME = 1, };
pub(super) const ITIMERS: &Names =
    values! { ITIMER_REAL = 0, ITIMER_VIRTUAL = 1, ITIMER_PROF = 2, };
/// linux/stat.h.
pub(super) const STATX: &Names = values! {
    STATX_ALL = 0xFFF, STATX_BASIC_STATS = 0x7FF, STATX_TYPE = 1, STATX_MODE = 2,
    STATX_NLINK = 4, STATX_UID = 8, STATX_GID = 16, STATX_ATIME = 32, STATX_MTIME = 64,
    STATX_CTIME = 128, STATX_INO = 256, STATX_SIZE = 512, STATX_BLOCKS = 1024,
    STATX_BTIME = 2048, STATX_MNT_ID = 4096, STATX_DIOALIGN = 8192,
};
/// linux/magic.h; `f_type` of `statfs`.
pub(super) const FILE_SYSTEMS: &Names = values! {
    EXT2_SUPER_MAGIC = 0xEF53, TMPFS_MAGIC = 0x0102_1994, PROC_SUPER_MAGIC = 0x9FA0,
    RAMFS_MAGIC = 0x8584_58F6, SYSFS_MAGIC = 0x6265_6572, DEVPTS_SUPER_MAGIC = 0x1CD1,
    PIPEFS_MAGIC = 0x5049_5045, SOCKFS_MAGIC = 0x534F_434B, EROFS_SUPER_MAGIC_V1 = 0xE0F5_E1E2,
    ANON_INODE_FS_MAGIC = 0x0904_1934, OVERLAYFS_SUPER_MAGIC = 0x794C_7630,
};
/// linux/statfs.h of the kernel: `f_flags`.
pub(super) const STATFS_FLAGS: &Names = values! {
    ST_VALID = 0x20, ST_RDONLY = 1, ST_NOSUID = 2, ST_NODEV = 4, ST_NOEXEC = 8,
    ST_SYNCHRONOUS = 16, ST_MANDLOCK = 64, ST_NOATIME = 1024, ST_NODIRATIME = 2048,
    ST_RELATIME = 4096, ST_NOSYMFOLLOW = 8192,
};
/// linux/wait.h, linux/resource.h, linux/sched.h, linux/membarrier.h, linux/personality.h.
pub(super) const ID_TYPES: &Names = values! { P_ALL = 0, P_PID = 1, P_PGID = 2, P_PIDFD = 3, };
pub(super) const RUSAGE: &Names =
    values! { RUSAGE_SELF = 0, RUSAGE_CHILDREN = 0xFFFF_FFFF, RUSAGE_THREAD = 1, };
pub(super) const PRIORITIES: &Names = values! { PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2, };
pub(super) const POLICIES: &Names = values! {
    SCHED_OTHER = 0, SCHED_FIFO = 1, SCHED_RR = 2, SCHED_BATCH = 3, SCHED_ISO = 4, SCHED_IDLE = 5,
    SCHED_DEADLINE = 6,
};
pub(super) const MEMBARRIER: &Names = values! {
    MEMBARRIER_CMD_QUERY = 0, MEMBARRIER_CMD_GLOBAL = 1, MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2,
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4, MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16,
};
pub(super) const PERSONALITY: &Names = values! {
    ADDR_NO_RANDOMIZE = 0x4_0000, MMAP_PAGE_ZERO = 0x10_0000, ADDR_COMPAT_LAYOUT = 0x20_0000,
    READ_IMPLIES_EXEC = 0x40_0000, ADDR_LIMIT_32BIT = 0x80_0000, SHORT_INODE = 0x100_0000,
    WHOLE_SECONDS = 0x200_0000, STICKY_TIMEOUTS = 0x400_0000, ADDR_LIMIT_3GB = 0x800_0000,
};
/// linux/socket.h of the kernel.
pub(super) const DOMAINS: &Names = values! {
    AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17,
    AF_VSOCK = 40,
};
pub(super) const MSG: &Names = values! {
    MSG_OOB = 1, MSG_PEEK = 2, MSG_DONTROUTE = 4, MSG_CTRUNC = 8, MSG_PROBE = 16, MSG_TRUNC = 32,
    MSG_DONTWAIT = 64, MSG_EOR = 128, MSG_WAITALL = 256, MSG_FIN = 512, MSG_SYN = 1024,
    MSG_CONFIRM = 2048, MSG_RST = 4096, MSG_ERRQUEUE = 8192, MSG_NOSIGNAL = 16384,
    MSG_MORE = 32768, MSG_WAITFORONE = 65536, MSG_BATCH = 0x4_0000, MSG_ZEROCOPY = 0x400_0000,
    MSG_FASTOPEN = 0x2000_0000, MSG_CMSG_CLOEXEC = 0x4000_0000,
};
/// linux/net.h of the kernel.
pub(super) const SOCKET_TYPES: &Names = values! {
    SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_RDM = 4, SOCK_SEQPACKET = 5,
    SOCK_DCCP = 6, SOCK_PACKET = 10,
};
pub(super) const SOCKET_FLAGS: &Names =
    values! { SOCK_CLOEXEC = 0o2_000_000, SOCK_NONBLOCK = 0o4000, };
pub(super) const SHUTDOWN: &Names = values! { SHUT_RD = 0, SHUT_WR = 1, SHUT_RDWR = 2, };
/// linux/in.h.
pub(super) const PROTOCOLS: &Names = values! {
    IPPROTO_IP = 0, IPPROTO_ICMP = 1, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_IPV6 = 41,
    IPPROTO_ICMPV6 = 58, IPPROTO_RAW = 255,
};
pub(super) const LEVELS: &Names = values! {
    SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_UDP = 17, SOL_IPV6 = 41, SOL_RAW = 255,
    SOL_NETLINK = 270,
};
/// linux/netlink.h.
pub(super) const NETLINK: &Names = values! {
    NETLINK_ROUTE = 0, NETLINK_USERSOCK = 2, NETLINK_SOCK_DIAG = 4, NETLINK_AUDIT = 9,
    NETLINK_NETFILTER = 12, NETLINK_KOBJECT_UEVENT = 15, NETLINK_GENERIC = 16,
};
/// asm-generic/socket.h.
pub(super) const SOCKET_OPTIONS: &Names = values! {
    SO_DEBUG = 1, SO_REUSEADDR = 2, SO_TYPE = 3, SO_ERROR = 4, SO_DONTROUTE = 5, SO_BROADCAST = 6,
    SO_SNDBUF = 7, SO_RCVBUF = 8, SO_KEEPALIVE = 9, SO_OOBINLINE = 10, SO_NO_CHECK = 11,
    SO_PRIORITY = 12, SO_LINGER = 13, SO_BSDCOMPAT = 14, SO_REUSEPORT = 15, SO_PASSCRED = 16,
    SO_PEERCRED = 17, SO_RCVLOWAT = 18, SO_SNDLOWAT = 19, SO_RCVTIMEO_OLD = 20,
    SO_SNDTIMEO_OLD = 21, SO_BINDTODEVICE = 25, SO_ATTACH_FILTER = 26, SO_DETACH_FILTER = 27,
    SO_PEERNAME = 28, SO_TIMESTAMP_OLD = 29, SO_ACCEPTCONN = 30, SO_PEERSEC = 31,
    SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_PASSSEC = 34, SO_TIMESTAMPNS_OLD = 35,
    SO_MARK = 36, SO_PROTOCOL = 38, SO_DOMAIN = 39, SO_RXQ_OVFL = 40, SO_PEEK_OFF = 42,
    SO_BUSY_POLL = 46, SO_INCOMING_CPU = 49, SO_COOKIE = 57, SO_PEERGROUPS = 59, SO_ZEROCOPY = 60,
};
/// linux/tcp.h.
pub(super) const TCP_OPTIONS: &Names = values! {
    TCP_NODELAY = 1, TCP_MAXSEG = 2, TCP_CORK = 3, TCP_KEEPIDLE = 4, TCP_KEEPINTVL = 5,
    TCP_KEEPCNT = 6, TCP_SYNCNT = 7, TCP_LINGER2 = 8, TCP_DEFER_ACCEPT = 9, TCP_WINDOW_CLAMP = 10,
    TCP_INFO = 11, TCP_QUICKACK = 12, TCP_CONGESTION = 13, TCP_USER_TIMEOUT = 18,
    TCP_FASTOPEN = 23,
};
/// linux/in.h.
pub(super) const IP_OPTIONS: &Names = values! {
    IP_TOS = 1, IP_TTL = 2, IP_HDRINCL = 3, IP_OPTIONS = 4, IP_RECVOPTS = 6, IP_PKTINFO = 8,
    IP_MTU_DISCOVER = 10, IP_RECVERR = 11, IP_RECVTTL = 12, IP_RECVTOS = 13, IP_MTU = 14,
    IP_FREEBIND = 15, IP_MULTICAST_IF = 32, IP_MULTICAST_TTL = 33, IP_MULTICAST_LOOP = 34,
    IP_ADD_MEMBERSHIP = 35, IP_DROP_MEMBERSHIP = 36,
};
/// linux/in6.h.
pub(super) const IPV6_OPTIONS: &Names = values! {
    IPV6_UNICAST_HOPS = 16, IPV6_MULTICAST_IF = 17, IPV6_MULTICAST_HOPS = 18,
    IPV6_MULTICAST_LOOP = 19, IPV6_MTU_DISCOVER = 23, IPV6_MTU = 24, IPV6_RECVERR = 25,
    IPV6_V6ONLY = 26, IPV6_RECVPKTINFO = 49, IPV6_TCLASS = 67,
};
/// linux/socket.h of the kernel: control messages of `SOL_SOCKET`.
pub(super) const CONTROL: &Names = values! { SCM_RIGHTS = 1, SCM_CREDENTIALS = 2, };
