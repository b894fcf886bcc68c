//! [`Rlimits`]: a process's resource limits, their starting values and the rules of changing
//! them (getrlimit(2)).

use crate::abi;
use crate::errno::Errno;

/// No limit (`RLIM_INFINITY`).
pub const INFINITY: u64 = u64::MAX;
const COUNT: usize = abi::RLIM_NLIMITS as usize;
/// `fs.nr_open`: the most that `RLIMIT_NOFILE` can be raised to.
pub const NR_OPEN: u64 = 1024 * 1024;

/// A soft and a hard limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rlimit {
    /// What counts now (`rlim_cur`).
    pub soft: u64,
    /// How far the soft limit can be raised (`rlim_max`).
    pub hard: u64,
}

impl Rlimit {
    const fn new(soft: u64, hard: u64) -> Self {
        Self { soft, hard }
    }
}

/// All limits of a process.
#[derive(Clone, Copy, Debug)]
pub struct Rlimits([Rlimit; COUNT]);

impl Rlimits {
    /// What the first process starts with: Linux's INIT_RLIMITS, with the number of processes
    /// and of pending signals that it derives from memory given as `tasks`.
    #[must_use]
    pub fn initial(tasks: u64) -> Self {
        let mut limits = Self([Rlimit::new(INFINITY, INFINITY); COUNT]);
        let start = [
            (abi::RLIMIT_STACK, 8 << 20, INFINITY),
            (abi::RLIMIT_CORE, 0, INFINITY),
            (abi::RLIMIT_NPROC, tasks, tasks),
            (abi::RLIMIT_NOFILE, 1024, NR_OPEN),
            (abi::RLIMIT_MEMLOCK, 8 << 20, 8 << 20),
            (abi::RLIMIT_SIGPENDING, tasks, tasks),
            (abi::RLIMIT_MSGQUEUE, 819_200, 819_200),
            (abi::RLIMIT_NICE, 0, 0),
            (abi::RLIMIT_RTPRIO, 0, 0),
        ];
        for (resource, soft, hard) in start {
            if let Some(place) = limits.slot(resource) {
                *place = Rlimit::new(soft, hard);
            }
        }
        limits
    }

    fn slot(&mut self, resource: u32) -> Option<&mut Rlimit> {
        self.0.get_mut(crate::num::usize_of32(resource))
    }

    /// One limit; `None` for a resource that doesn't exist.
    #[must_use]
    pub fn get(&self, resource: u32) -> Option<Rlimit> {
        self.0.get(crate::num::usize_of32(resource)).copied()
    }

    /// The soft limit of a resource, no limit when there is none.
    #[must_use]
    pub fn soft(&self, resource: u32) -> u64 {
        self.get(resource).map_or(INFINITY, |limit| limit.soft)
    }

    /// Changes a limit. `privileged`: with `CAP_SYS_RESOURCE`.
    ///
    /// # Errors
    /// `EINVAL`: no such resource, or soft above hard. `EPERM`: the hard limit raised without
    /// the capability, or open files beyond [`NR_OPEN`].
    pub fn set(&mut self, resource: u32, new: Rlimit, privileged: bool) -> Result<(), Errno> {
        let place = self.slot(resource).ok_or(Errno::EINVAL)?;
        if new.soft > new.hard {
            return Err(Errno::EINVAL);
        }
        if resource == abi::RLIMIT_NOFILE && new.hard > NR_OPEN {
            return Err(Errno::EPERM);
        }
        if new.hard > place.hard && !privileged {
            return Err(Errno::EPERM);
        }
        *place = new;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let mut limits = Rlimits::initial(1000);
        assert_eq!(limits.soft(abi::RLIMIT_STACK), 8 << 20);
        assert_eq!(limits.get(16), None);
        let set = |limits: &mut Rlimits, soft, hard, privileged| {
            limits.set(abi::RLIMIT_NPROC, Rlimit::new(soft, hard), privileged)
        };
        assert_eq!(set(&mut limits, 10, 5, true), Err(Errno::EINVAL));
        assert_eq!(set(&mut limits, 10, 2000, false), Err(Errno::EPERM));
        assert_eq!(set(&mut limits, 10, 2000, true), Ok(()));
        assert_eq!(set(&mut limits, 10, 20, false), Ok(()));
        assert_eq!(set(&mut limits, 10, 21, false), Err(Errno::EPERM));
        let many = Rlimit::new(1, NR_OPEN + 1);
        assert_eq!(
            limits.set(abi::RLIMIT_NOFILE, many, true),
            Err(Errno::EPERM)
        );
    }
}
