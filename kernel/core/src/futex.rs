//! The parts of futex(2) that need no queue: which [`Operation`] a call asks for, and the little
//! program in `FUTEX_WAKE_OP`'s third value.

use crate::abi;
use crate::errno::Errno;

/// What a futex call does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Sleep while the word holds a value. The timeout is relative for `FUTEX_WAIT`, absolute
    /// for `FUTEX_WAIT_BITSET`.
    Wait {
        /// The timeout is a point in time.
        absolute: bool,
    },
    /// Wake sleepers whose bits match.
    Wake,
    /// Wake some and move the others to a second word.
    Requeue {
        /// Only when the first word holds the expected value.
        compare: bool,
    },
    /// Change a second word, and wake sleepers of both.
    WakeOp,
    /// Own a lock.
    Lock {
        /// Don't sleep for it.
        tries: bool,
    },
    /// Give a lock up.
    Unlock,
    /// Sleep on a word until a lock, the second word, is owned.
    WaitForLock,
    /// Move sleepers to a lock.
    RequeueToLock,
}

/// A decoded operation argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// What to do.
    pub operation: Operation,
    /// Sleepers carry a bit set (`*_BITSET`); otherwise every sleeper matches.
    pub bitset: bool,
    /// Only threads of one address space use the word.
    pub private: bool,
    /// An absolute timeout is of the real-time clock.
    pub realtime: bool,
}

impl Command {
    /// Decodes `futex_op`.
    ///
    /// # Errors
    /// `ENOSYS` for what isn't known, or a real-time clock where none is taken.
    pub fn decode(op: u32) -> Result<Self, Errno> {
        let realtime = op & abi::FUTEX_CLOCK_REALTIME != 0;
        let command = op & !(abi::FUTEX_PRIVATE_FLAG | abi::FUTEX_CLOCK_REALTIME);
        let (operation, bitset) = match command {
            abi::FUTEX_WAIT => (Operation::Wait { absolute: false }, false),
            abi::FUTEX_WAIT_BITSET => (Operation::Wait { absolute: true }, true),
            abi::FUTEX_WAKE => (Operation::Wake, false),
            abi::FUTEX_WAKE_BITSET => (Operation::Wake, true),
            abi::FUTEX_REQUEUE => (Operation::Requeue { compare: false }, false),
            abi::FUTEX_CMP_REQUEUE => (Operation::Requeue { compare: true }, false),
            abi::FUTEX_WAKE_OP => (Operation::WakeOp, false),
            abi::FUTEX_LOCK_PI | abi::FUTEX_LOCK_PI2 => (Operation::Lock { tries: false }, false),
            abi::FUTEX_TRYLOCK_PI => (Operation::Lock { tries: true }, false),
            abi::FUTEX_UNLOCK_PI => (Operation::Unlock, false),
            abi::FUTEX_WAIT_REQUEUE_PI => (Operation::WaitForLock, false),
            abi::FUTEX_CMP_REQUEUE_PI => (Operation::RequeueToLock, false),
            _ => return Err(Errno::ENOSYS),
        };
        let takes_clock = matches!(
            command,
            abi::FUTEX_WAIT_BITSET | abi::FUTEX_WAIT_REQUEUE_PI | abi::FUTEX_LOCK_PI2
        );
        if realtime && !takes_clock {
            return Err(Errno::ENOSYS);
        }
        // The first of the locks' operations knows one clock only.
        let realtime = realtime || command == abi::FUTEX_LOCK_PI;
        Ok(Self {
            operation,
            bitset,
            private: op & abi::FUTEX_PRIVATE_FLAG != 0,
            realtime,
        })
    }
}

/// `FUTEX_WAKE_OP`'s encoded operation: `op:4 cmp:4 oparg:12 cmparg:12`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WakeOp {
    operation: u32,
    comparison: u32,
    operand: u32,
    compared: i32,
}

impl WakeOp {
    /// Decodes the value.
    ///
    /// # Errors
    /// `ENOSYS` for an operation that doesn't exist.
    pub fn decode(value: u32) -> Result<Self, Errno> {
        let operation = value >> 28 & 7;
        let comparison = value >> 24 & 15;
        let shifted = value >> 28 & abi::FUTEX_OP_OPARG_SHIFT != 0;
        // Both arguments are signed 12-bit numbers.
        let signed = |bits: u32| (bits << 20).cast_signed() >> 20;
        let operand = signed(value >> 12 & 0xfff).cast_unsigned();
        if operation > abi::FUTEX_OP_XOR {
            return Err(Errno::ENOSYS);
        }
        Ok(Self {
            operation,
            comparison,
            operand: if shifted {
                1 << (operand & 31)
            } else {
                operand
            },
            compared: signed(value & 0xfff),
        })
    }

    /// What the second word becomes.
    #[must_use]
    pub const fn apply(&self, old: u32) -> u32 {
        match self.operation {
            abi::FUTEX_OP_SET => self.operand,
            abi::FUTEX_OP_ADD => old.wrapping_add(self.operand),
            abi::FUTEX_OP_OR => old | self.operand,
            abi::FUTEX_OP_ANDN => old & !self.operand,
            _ => old ^ self.operand,
        }
    }

    /// Whether the comparison exists, which is seen when the word has been changed.
    #[must_use]
    pub const fn compares(&self) -> bool {
        self.comparison <= abi::FUTEX_OP_CMP_GE
    }

    /// Whether the second word's old value asks for sleepers of it to be woken too.
    #[must_use]
    pub const fn holds(&self, old: u32) -> bool {
        let old = old.cast_signed();
        match self.comparison {
            abi::FUTEX_OP_CMP_EQ => old == self.compared,
            abi::FUTEX_OP_CMP_NE => old != self.compared,
            abi::FUTEX_OP_CMP_LT => old < self.compared,
            abi::FUTEX_OP_CMP_LE => old <= self.compared,
            abi::FUTEX_OP_CMP_GT => old > self.compared,
            _ => old >= self.compared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let command = Command::decode(abi::FUTEX_WAIT_PRIVATE).unwrap();
        assert!(command.private && !command.bitset);
        assert_eq!(command.operation, Operation::Wait { absolute: false });
        assert_eq!(Command::decode(99), Err(Errno::ENOSYS));
        let wake = abi::FUTEX_WAKE | abi::FUTEX_CLOCK_REALTIME;
        assert_eq!(Command::decode(wake), Err(Errno::ENOSYS));
    }

    #[test]
    fn wake_op_as_glibc_uses_it() {
        // FUTEX_OP_CLEAR_WAKE_IF_GT_ONE: SET 0, compare GT 1.
        let op = WakeOp::decode(4 << 24 | 1).unwrap();
        assert_eq!(op.apply(7), 0);
        assert!(op.holds(2) && !op.holds(1));
        let shifted = WakeOp::decode((8 | 2) << 28 | 5 << 12).unwrap();
        assert_eq!(shifted.apply(1), 33);
        let negative = WakeOp::decode(1 << 28 | 0xfff << 12 | 0xfff).unwrap();
        assert_eq!(negative.apply(10), 9);
        assert!(negative.holds(u32::MAX));
    }
}
