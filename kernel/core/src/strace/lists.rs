//! Sets and lists: of descriptors and events, processors, groups, vectors, arguments; and the results of poll
//! and select, which show theirs once more.

use alloc::string::String;
use core::fmt::Write;

use super::names::{self, flags};
use super::need::COUNT;
use super::structs::{halves, timespec, timeval, words};
use super::{ELEMENTS, Memory, View, options, pointer, text};
use crate::num::{int_arg, low32, usize_of};

pub(super) fn poll_fds(line: &mut String, address: u64, count: u64, memory: &dyn Memory) -> bool {
    line.push('[');
    for index in 0..usize_of(u64::from(low32(count))).min(ELEMENTS) {
        let at = address.wrapping_add(8 * index as u64);
        let Some([entry]) = words(at, memory) else {
            break;
        };
        if index > 0 {
            line.push_str(", ");
        }
        let _ = write!(line, "{{fd={}", int_arg(entry));
        // A negative descriptor is passed over.
        if int_arg(entry) >= 0 {
            line.push_str(", events=");
            flags(line, (entry >> 32) & 0xFFFF, names::POLL, "0");
        }
        line.push('}');
    }
    line.push(']');
    true
}

/// The count that poll answers, with what it counts.
pub(super) fn poll_result(line: &mut String, value: u64, view: &View<'_>) -> core::fmt::Result {
    if value == 0 {
        return write!(line, "0 (Timeout)");
    }
    write!(line, "{} ([", value.cast_signed())?;
    let mut separator = "";
    for index in 0..usize_of(u64::from(low32(view.value(1)))).min(ELEMENTS) {
        let at = view.value(0).wrapping_add(8 * index as u64);
        let Some([entry]) = words(at, view.after) else {
            break;
        };
        if entry >> 48 != 0 && int_arg(entry) >= 0 {
            write!(line, "{separator}{{fd={}, revents=", int_arg(entry))?;
            flags(line, entry >> 48, names::POLL, "0");
            line.push('}');
            separator = ", ";
        }
    }
    if view.call.name == "ppoll" && view.value(2) != 0 {
        line.push_str("], left ");
        timespec(line, view.value(2), view.after);
        return write!(line, ")");
    }
    write!(line, "])")
}

/// A set of descriptors below `count`.
pub(super) fn fd_set(line: &mut String, address: u64, count: u64, memory: &dyn Memory) -> bool {
    let count = usize_of(u64::from(low32(count))).min(1024);
    let mark = line.len();
    line.push('[');
    let mut separator = "";
    for fd in 0..count as u64 {
        let Some([word]) = words(address.wrapping_add(fd / 64 * 8), memory) else {
            line.truncate(mark);
            return false;
        };
        if word & 1 << (fd % 64) != 0 {
            let _ = write!(line, "{separator}{fd}");
            separator = " ";
        }
    }
    line.push(']');
    true
}

/// The count that select answers, the sets that count for something, and the time left.
pub(super) fn select_result(line: &mut String, value: u64, view: &View<'_>) -> core::fmt::Result {
    if value == 0 {
        return write!(line, "0 (Timeout)");
    }
    write!(line, "{} (", value.cast_signed())?;
    let mut separator = "";
    for (index, name) in [(1, "in"), (2, "out"), (3, "except")] {
        let mut set = String::new();
        let address = view.value(index);
        if address != 0 && fd_set(&mut set, address, view.value(0), view.after) && set != "[]" {
            write!(line, "{separator}{name} {set}")?;
            separator = ", ";
        }
    }
    if view.value(4) != 0 {
        write!(line, "{separator}left ")?;
        match view.call.name {
            "select" => timeval(line, view.value(4), view.after),
            _ => timespec(line, view.value(4), view.after),
        };
    }
    write!(line, ")")
}

/// A set of processors, `len` bytes of it.
pub(super) fn cpu_set(line: &mut String, address: u64, len: u64, memory: &dyn Memory) -> bool {
    let mark = line.len();
    line.push('[');
    let mut separator = "";
    for at in 0..len.min(128) {
        let mut byte = [0];
        if !memory.read(address.wrapping_add(at), &mut byte) {
            line.truncate(mark);
            return false;
        }
        for bit in (0..8).filter(|bit| byte[0] & 1 << bit != 0) {
            let _ = write!(line, "{separator}{}", at * 8 + bit);
            separator = " ";
        }
    }
    line.push(']');
    true
}

pub(super) fn groups(line: &mut String, address: u64, count: u64, memory: &dyn Memory) -> bool {
    line.push('[');
    for index in 0..u64::from(low32(count)).min(ELEMENTS as u64) {
        let Some([group]) = halves(address.wrapping_add(4 * index), memory) else {
            break;
        };
        let _ = write!(line, "{}{group}", if index > 0 { ", " } else { "" });
    }
    line.push(']');
    true
}

/// One `struct epoll_event`, or a list of `count` (linux/eventpoll.h; packed).
pub(super) fn epoll_events(
    line: &mut String,
    address: u64,
    count: Option<u64>,
    memory: &dyn Memory,
) -> bool {
    if count.is_some() {
        line.push('[');
    }
    for index in 0..count.unwrap_or(1).min(ELEMENTS as u64) {
        let Some([events, low, high]) = halves(address.wrapping_add(12 * index), memory) else {
            if count.is_none() {
                return false;
            }
            break;
        };
        line.push_str(if index > 0 { ", {events=" } else { "{events=" });
        flags(line, u64::from(events), options::EPOLL_EVENTS, "0");
        let data = u64::from(high) << 32 | u64::from(low);
        let _ = write!(line, ", data={{u32={low}, u64={data}}}}}");
    }
    if count.is_some() {
        line.push(']');
    }
    true
}

/// Vectors, and of what they hold `total` bytes.
pub(super) fn io_vectors(
    line: &mut String,
    address: u64,
    count: u64,
    total: u64,
    memory: &dyn Memory,
) -> bool {
    line.push('[');
    let mut left = total;
    for index in 0..usize_of(u64::from(low32(count))).min(ELEMENTS) {
        let at = address.wrapping_add(16 * index as u64);
        let Some([base, len]) = words(at, memory) else {
            break;
        };
        if index > 0 {
            line.push_str(", ");
        }
        line.push_str("{iov_base=");
        let used = len.min(left);
        left -= used;
        if !text::buffer(line, base, used, memory) {
            pointer(line, base);
        }
        let _ = write!(line, ", iov_len={len}}}");
    }
    line.push(']');
    true
}

pub(super) fn argv(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    line.push('[');
    let mut at = address;
    for index in 0.. {
        let Some([string]) = words(at, memory) else {
            break;
        };
        if string == 0 {
            break;
        }
        if index > 0 {
            line.push_str(", ");
        }
        if index == ELEMENTS {
            line.push_str("...");
            break;
        }
        if !text::c_string(line, string, memory) {
            pointer(line, string);
        }
        at = at.wrapping_add(8);
    }
    line.push(']');
    true
}

pub(super) fn envp(line: &mut String, address: u64, memory: &dyn Memory) -> bool {
    let Some([count]) = words(address | COUNT, memory) else {
        return false;
    };
    let plural = if count == 1 { "" } else { "s" };
    let _ = write!(line, "{address:#x} /* {count} var{plural} */");
    true
}
