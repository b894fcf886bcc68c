//! Memory policies of areas (`mbind`), and whether a page is in memory (`move_pages`).

use core::ops::Range;

use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::mempolicy::{Mode, Policy};

use super::space::{AddressSpace, errno};

impl AddressSpace {
    /// The policy of the area at an address.
    pub(crate) fn policy_at(&self, addr: u64) -> Option<Policy> {
        let areas = self.read_areas();
        Some(areas.map.find(addr)?.flags.policy())
    }

    /// Gives a range a policy.
    ///
    /// # Errors
    /// `EFAULT` where it has a hole; `ENOMEM`.
    pub(crate) fn set_policy(&self, range: &Range<u64>, policy: Policy) -> Result<(), Errno> {
        let mut areas = self.write_areas();
        // Without a policy there may be holes, but not nothing else.
        let fits = if policy == Policy::default() {
            !areas.map.is_free(range)
        } else {
            areas.map.covers(range)
        };
        if !fits {
            return Err(Errno::EFAULT);
        }
        let change = areas
            .map
            .update(range, |area| area.flags = area.flags.with_policy(policy));
        change.map_err(errno)
    }

    /// Whether a home node may be set for a range, which changes nothing where there is one node.
    ///
    /// # Errors
    /// `ENOENT` when no area has a policy; `EOPNOTSUPP` where a policy can't have one.
    pub(crate) fn check_home_node(&self, range: &Range<u64>) -> Result<(), Errno> {
        let areas = self.read_areas();
        let mut found = Err(Errno::ENOENT);
        for area in areas.map.overlapping(range) {
            match area.flags.policy().mode() {
                Mode::Default => {}
                Mode::Bind | Mode::PreferredMany => found = Ok(()),
                _ => return Err(Errno::EOPNOTSUPP),
            }
        }
        found
    }

    /// Whether the page at an address is in memory; `None` where nothing is mapped.
    pub(crate) fn is_in_memory(&self, addr: u64) -> Option<bool> {
        let areas = self.read_areas();
        areas.map.find(addr)?;
        Some(self.tables.lock().is_mapped(UserAddr::new(addr)))
    }
}
