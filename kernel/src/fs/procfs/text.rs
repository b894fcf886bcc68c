//! Files whose text is made when they are read.

use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};

use super::Text;
use super::tree::Node;
use crate::fs::file::{File, FileOps};
use crate::fs::memory::try_zeros;
use crate::sched::Mutex;
use crate::vm::{IoDst, IoSrc};

/// Longest text that can be written to a file here at once.
const WRITE_MAX: usize = 4096;

/// An open file of `/proc`.
pub(super) struct TextFile {
    node: Node,
    /// The text, made anew when reading begins again.
    text: Mutex<Option<Text>>,
}

impl TextFile {
    /// Of the node.
    pub(super) fn new(node: Node) -> Self {
        Self {
            node,
            text: Mutex::new(None),
        }
    }
}

impl FileOps for TextFile {
    fn read(&self, _: &File, dst: &mut IoDst<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mut text = self.text.lock();
        if *pos == 0 || text.is_none() {
            let mut fresh = Text::default();
            self.node.write_text(&mut fresh)?;
            *text = Some(fresh);
        }
        let bytes = text.as_ref().map_or(&[][..], Text::as_bytes);
        let rest = bytes.get(usize_of(*pos)..).unwrap_or(&[]);
        let done = dst.put(rest)?;
        *pos += u64_of(done);
        Ok(done)
    }

    fn write(&self, _: &File, src: &mut IoSrc<'_>, pos: &mut u64) -> Result<usize, Errno> {
        let mut value = try_zeros(src.remaining().min(WRITE_MAX))?;
        let done = src.take(&mut value)?;
        self.node.set(value.get(..done).unwrap_or(&[]))?;
        *pos += u64_of(done);
        Ok(done)
    }
}
