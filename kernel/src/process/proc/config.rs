//! `/proc/config.gz`: which of Linux's options (`CONFIG_*`) a program may take for granted here. Where one says
//! something about a Linux that has no such option, it isn't named, which to those who read it is the same as
//! "is not set".

use crate::fs::procfs::SystemFile;

/// The file.
pub(super) const FILE: SystemFile = SystemFile::readable("config.gz", |out| out.bytes(&PACKED));

/// The options.
const OPTIONS: &[u8] = b"# Linux/x86_64 6.1.0-kiln Kernel Configuration
CONFIG_64BIT=y
CONFIG_X86=y
CONFIG_X86_64=y
CONFIG_MMU=y
CONFIG_SMP=y
CONFIG_EXPERT=y
CONFIG_MULTIUSER=y
CONFIG_IKCONFIG=y
CONFIG_IKCONFIG_PROC=y
CONFIG_SYSVIPC=y
CONFIG_SYSVIPC_SYSCTL=y
CONFIG_POSIX_MQUEUE=y
CONFIG_POSIX_MQUEUE_SYSCTL=y
CONFIG_CROSS_MEMORY_ATTACH=y
CONFIG_HIGH_RES_TIMERS=y
CONFIG_POSIX_TIMERS=y
CONFIG_NO_HZ_IDLE=y
CONFIG_HZ_250=y
CONFIG_HZ=250
CONFIG_VIRT_CPU_ACCOUNTING=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_FUTEX=y
CONFIG_FUTEX_PI=y
CONFIG_EPOLL=y
CONFIG_SIGNALFD=y
CONFIG_TIMERFD=y
CONFIG_EVENTFD=y
CONFIG_SHMEM=y
CONFIG_AIO=y
CONFIG_ADVISE_SYSCALLS=y
CONFIG_MEMBARRIER=y
CONFIG_RSEQ=y
CONFIG_KCMP=y
CONFIG_FHANDLE=y
CONFIG_SECCOMP=y
CONFIG_SECCOMP_FILTER=y
CONFIG_MODIFY_LDT_SYSCALL=y
CONFIG_STRICT_KERNEL_RWX=y
CONFIG_NUMA=y
CONFIG_MIGRATION=y
CONFIG_TRANSPARENT_HUGEPAGE=y
CONFIG_MEMFD_CREATE=y
CONFIG_PROC_FS=y
CONFIG_PROC_SYSCTL=y
CONFIG_PROC_PAGE_MONITOR=y
CONFIG_SYSFS=y
CONFIG_TMPFS=y
CONFIG_TMPFS_XATTR=y
CONFIG_DEVTMPFS=y
CONFIG_FILE_LOCKING=y
CONFIG_FSNOTIFY=y
CONFIG_DNOTIFY=y
CONFIG_INOTIFY_USER=y
CONFIG_BLOCK=y
CONFIG_BLK_DEV=y
CONFIG_BLK_DEV_LOOP=y
CONFIG_EXT4_FS=y
CONFIG_EROFS_FS=y
CONFIG_OVERLAY_FS=y
CONFIG_TTY=y
CONFIG_UNIX98_PTYS=y
CONFIG_VIRTIO_MMIO=y
CONFIG_VIRTIO_BLK=y
CONFIG_NET=y
CONFIG_UNIX=y
CONFIG_INET=y
CONFIG_IPV6=y
";

/// Bytes before and behind the text: gzip's header (RFC 1952) with that of one block that isn't compressed
/// (RFC 1951), checksum and length.
const BEFORE: usize = 10 + 5;
const BEHIND: usize = 8;
/// What is read.
static PACKED: [u8; BEFORE + OPTIONS.len() + BEHIND] = pack();

/// Packed when the kernel is built.
#[expect(
    clippy::large_stack_arrays,
    clippy::cast_possible_truncation,
    reason = "run by the compiler alone"
)]
const fn pack() -> [u8; BEFORE + OPTIONS.len() + BEHIND] {
    let mut packed = [0; BEFORE + OPTIONS.len() + BEHIND];
    let len = (OPTIONS.len() as u16).to_le_bytes();
    // Deflate, no name and no time, made on Unix; the last block; its length, and that again inverted.
    let header = [
        0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, len[0], len[1], !len[0], !len[1],
    ];
    packed.split_at_mut(BEFORE).0.copy_from_slice(&header);
    let (text, end) = packed.split_at_mut(BEFORE).1.split_at_mut(OPTIONS.len());
    text.copy_from_slice(OPTIONS);
    let (sum, whole) = end.split_at_mut(4);
    sum.copy_from_slice(&crc32(OPTIONS).to_le_bytes());
    whole.copy_from_slice(&(OPTIONS.len() as u32).to_le_bytes());
    packed
}

/// The checksum of gzip's (RFC 1952).
#[expect(clippy::indexing_slicing, reason = "run by the compiler alone")]
const fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    let mut at = 0;
    while at < bytes.len() {
        crc ^= bytes[at] as u32;
        let mut bit = 0;
        while bit < 8 {
            let odd = crc & 1 != 0;
            crc >>= 1;
            if odd {
                crc ^= 0xEDB8_8320;
            }
            bit += 1;
        }
        at += 1;
    }
    !crc
}
