//! What a process has in its directory: its files and links, by name.

/// A file of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PidFile {
    /// `auxv`
    Auxv,
    /// `cmdline`
    Cmdline,
    /// `comm`
    Comm,
    /// `coredump_filter`
    CoredumpFilter,
    /// `children`: of threads alone
    Children,
    /// `environ`
    Environ,
    /// `io`
    Io,
    /// `uid_map`, `gid_map` and `projid_map`: there is one user namespace, so each id is itself.
    IdMap,
    /// `limits`
    Limits,
    /// `maps`
    Maps,
    /// `mem`: see [`mem`](super::mem)
    Mem,
    /// `oom_adj`
    OomAdj,
    /// `oom_score`
    OomScore,
    /// `oom_score_adj`
    OomScoreAdj,
    /// `personality`
    Personality,
    /// `timerslack_ns`
    TimerSlack,
    /// `clear_refs`
    ClearRefs,
    /// `numa_maps`
    NumaMaps,
    /// `pagemap`: see [`pagemap`](super::pagemap)
    Pagemap,
    /// `sched`
    Sched,
    /// `schedstat`
    SchedStat,
    /// `sessionid` and `loginuid`: nobody logs in.
    NoLogin,
    /// `setgroups`
    SetGroups,
    /// `smaps`
    Smaps,
    /// `smaps_rollup`
    SmapsRollup,
    /// `stat`
    Stat,
    /// `statm`
    Statm,
    /// `status`
    Status,
    /// `syscall`
    Syscall,
    /// `wchan`
    Wchan,
    /// `cgroup`: this room's
    Cgroup,
    /// `cpuset`: this room's
    Cpuset,
    /// `mounts`: this room's
    Mounts,
    /// `mountinfo`: this room's
    MountInfo,
    /// `mountstats`: this room's
    MountStats,
}

impl PidFile {
    /// Whether only those who may look into the process may open it.
    pub(super) fn is_private(self) -> bool {
        matches!(
            self,
            Auxv | Environ | Io | Maps | Mem | NumaMaps | Pagemap | Smaps | SmapsRollup | Syscall
        )
    }
}

/// A link of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PidLink {
    /// `cwd`
    Cwd,
    /// `exe`
    Exe,
    /// `root`
    Root,
}

use PidFile::*;

/// Files of a process, with their permissions.
pub(super) const PID_FILES: [(&str, u32, PidFile); 37] = [
    ("auxv", 0o400, Auxv),
    ("cgroup", 0o444, Cgroup),
    ("clear_refs", 0o200, ClearRefs),
    ("cmdline", 0o444, Cmdline),
    ("comm", 0o644, Comm),
    ("coredump_filter", 0o644, CoredumpFilter),
    ("cpuset", 0o444, Cpuset),
    ("environ", 0o400, Environ),
    ("gid_map", 0o644, IdMap),
    ("io", 0o400, Io),
    ("limits", 0o444, Limits),
    ("loginuid", 0o644, NoLogin),
    ("maps", 0o444, Maps),
    ("mem", 0o600, Mem),
    ("mountinfo", 0o444, MountInfo),
    ("mounts", 0o444, Mounts),
    ("mountstats", 0o400, MountStats),
    ("numa_maps", 0o444, NumaMaps),
    ("oom_adj", 0o644, OomAdj),
    ("oom_score", 0o444, OomScore),
    ("oom_score_adj", 0o644, OomScoreAdj),
    ("pagemap", 0o400, Pagemap),
    ("personality", 0o400, Personality),
    ("projid_map", 0o644, IdMap),
    ("sched", 0o644, Sched),
    ("schedstat", 0o444, SchedStat),
    ("sessionid", 0o444, NoLogin),
    ("setgroups", 0o644, SetGroups),
    ("smaps", 0o444, Smaps),
    ("smaps_rollup", 0o444, SmapsRollup),
    ("stat", 0o444, Stat),
    ("statm", 0o444, Statm),
    ("status", 0o444, Status),
    ("syscall", 0o400, Syscall),
    ("timerslack_ns", 0o666, TimerSlack),
    ("uid_map", 0o644, IdMap),
    ("wchan", 0o444, Wchan),
];

pub(super) const PID_LINKS: [(&str, PidLink); 3] = [
    ("cwd", PidLink::Cwd),
    ("exe", PidLink::Exe),
    ("root", PidLink::Root),
];

/// Links at the top: name, target.
pub(super) const TOP_LINKS: [&str; 4] = ["mounts", "net", "self", "thread-self"];
