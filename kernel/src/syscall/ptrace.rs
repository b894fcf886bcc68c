//! ptrace(2): its requests taken apart; the work is [`crate::process::ptrace`]'s.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kiln_core::abi::ptrace as abi;
use kiln_core::addr::UserAddr;
use kiln_core::errno::Errno;
use kiln_core::num::{u64_of, usize_of};
use kiln_core::signal::info::SIGINFO_SIZE;
use kiln_core::signal::{SigInfo, SigSet, Signal};

use super::{Call, SysResult};
use crate::process::ptrace::request::{self, FXSAVE, Resume};
use crate::process::{Task, ptrace as tracing, table};
use crate::vm::Plain;

/// A request to a tracee: its arguments, and who is concerned.
struct Request<'a> {
    call: &'a Call<'a>,
    tracee: Arc<Task>,
    addr: u64,
    data: u64,
}

/// linux/ptrace.h.
const PTRACE_SECCOMP_GET_FILTER: u32 = 0x420c;
const PTRACE_SECCOMP_GET_METADATA: u32 = 0x420d;

pub(super) fn ptrace(
    call: &mut Call<'_>,
    request: u32,
    pid: i32,
    addr: u64,
    data: u64,
) -> SysResult {
    if request == abi::PTRACE_TRACEME {
        tracing::trace_me(call.task)?;
        return Ok(0);
    }
    let tid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let tracee = table::task(tid).ok_or(Errno::ESRCH)?;
    match request {
        abi::PTRACE_ATTACH => tracing::attach(call.task, &tracee, None)?,
        abi::PTRACE_SEIZE => {
            let options = request::known_options(data).filter(|_| addr == 0);
            tracing::attach(call.task, &tracee, Some(options.ok_or(Errno::EIO)?))?;
        }
        abi::PTRACE_KILL => request::kill(call.task, &tracee)?,
        abi::PTRACE_INTERRUPT => request::interrupt(call.task, &tracee)?,
        _ => {
            request::check(call.task, &tracee)?;
            let wanted = Request {
                call,
                tracee,
                addr,
                data,
            };
            return wanted.answer(request);
        }
    }
    Ok(0)
}

/// How a request lets the tracee go on.
fn resumption(request: u32) -> Option<Resume> {
    let (syscalls, emulates, steps) = match request {
        abi::PTRACE_CONT => (false, false, false),
        abi::PTRACE_SYSCALL => (true, false, false),
        abi::PTRACE_SINGLESTEP => (false, false, true),
        abi::PTRACE_SYSEMU => (false, true, false),
        abi::PTRACE_SYSEMU_SINGLESTEP => (false, true, true),
        _ => return None,
    };
    Some(Resume {
        syscalls,
        emulates,
        steps,
    })
}

impl Request<'_> {
    fn tracer(&self) -> &Arc<Task> {
        self.call.task
    }

    fn at(&self) -> UserAddr {
        UserAddr::new(self.data)
    }

    fn answer(&self, request: u32) -> SysResult {
        let (tracer, tracee) = (self.tracer(), &self.tracee);
        if let Some(how) = resumption(request) {
            request::resume(tracer, tracee, self.data, how)?;
            return Ok(0);
        }
        match request {
            abi::PTRACE_PEEKTEXT | abi::PTRACE_PEEKDATA => {
                self.put(&request::peek(tracer, tracee, self.addr)?)
            }
            abi::PTRACE_PEEKUSR => self.put(&request::peek_user(tracer, tracee, self.addr)?),
            abi::PTRACE_POKETEXT | abi::PTRACE_POKEDATA => {
                done(request::poke(tracer, tracee, self.addr, self.data))
            }
            abi::PTRACE_POKEUSR => done(request::poke_user(tracer, tracee, self.addr, self.data)),
            abi::PTRACE_DETACH => done(request::detach(tracer, tracee, self.data)),
            abi::PTRACE_LISTEN => done(request::listen(tracer, tracee)),
            abi::PTRACE_SETOPTIONS => done(request::set_options(tracer, tracee, self.data)),
            abi::PTRACE_GETEVENTMSG => self.put(&request::message(tracer, tracee)?),
            _ => self.registers(request),
        }
    }

    fn registers(&self, request: u32) -> SysResult {
        let (tracer, tracee) = (self.tracer(), &self.tracee);
        let space = self.call.space;
        match request {
            abi::PTRACE_GETREGS => self.put(&request::registers(tracer, tracee)?),
            abi::PTRACE_SETREGS => {
                let values: [u64; 27] = space.read_val(self.at())?;
                done(request::set_registers(tracer, tracee, &values))
            }
            abi::PTRACE_GETFPREGS => {
                let bytes = request::fpu_registers(tracer, tracee)?;
                done(space.copy_out(self.at(), bytes.get(..FXSAVE).ok_or(Errno::EIO)?))
            }
            abi::PTRACE_SETFPREGS => {
                let mut bytes = [0; FXSAVE];
                space.copy_in(&mut bytes, self.at())?;
                done(request::set_fpu_registers(tracer, tracee, &bytes))
            }
            abi::PTRACE_GETREGSET | abi::PTRACE_SETREGSET => self.register_set(request),
            abi::PTRACE_GET_SYSCALL_INFO => {
                let (bytes, size) = request::syscall_info(tracer, tracee)?;
                let room = size.min(usize_of(self.addr));
                space.copy_out(self.at(), bytes.get(..room).unwrap_or_default())?;
                Ok(u64_of(size))
            }
            abi::PTRACE_ARCH_PRCTL => self.arch_prctl(),
            _ => self.signals(request),
        }
    }

    fn signals(&self, request: u32) -> SysResult {
        let (tracer, tracee) = (self.tracer(), &self.tracee);
        let space = self.call.space;
        match request {
            abi::PTRACE_GETSIGINFO => {
                let info = request::signal_info(tracer, tracee)?;
                done(space.copy_out(self.at(), &info.encode()))
            }
            abi::PTRACE_SETSIGINFO => {
                let bytes: [u8; SIGINFO_SIZE] = space.read_val(self.at())?;
                let number = bytes.first_chunk().copied().map_or(0, u32::from_le_bytes);
                let signal = Signal::new(number).ok_or(Errno::EINVAL)?;
                let info = SigInfo::decode(signal, &bytes);
                done(request::set_signal_info(tracer, tracee, info))
            }
            abi::PTRACE_GETSIGMASK | abi::PTRACE_SETSIGMASK if self.addr != 8 => Err(Errno::EINVAL),
            abi::PTRACE_GETSIGMASK => self.put(&request::mask(tracer, tracee)?.bits()),
            abi::PTRACE_SETSIGMASK => {
                let bits: u64 = space.read_val(self.at())?;
                done(request::set_mask(tracer, tracee, SigSet::from_bits(bits)))
            }
            abi::PTRACE_PEEKSIGINFO => self.peek_signals(),
            // Which filters there are isn't told.
            PTRACE_SECCOMP_GET_FILTER | PTRACE_SECCOMP_GET_METADATA => Err(Errno::EINVAL),
            _ => Err(Errno::EIO),
        }
    }

    fn put<T: Plain>(&self, value: &T) -> SysResult {
        done(self.call.space.write_val(self.at(), value))
    }

    /// `struct ptrace_peeksiginfo_args` is at `addr`.
    fn peek_signals(&self) -> SysResult {
        let space = self.call.space;
        let words: [u64; 2] = space.read_val(UserAddr::new(self.addr))?;
        let [skip, rest] = words;
        let (flags, count) = (
            kiln_core::num::low32(rest),
            kiln_core::num::high32(rest).cast_signed(),
        );
        let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
        if flags & !abi::PTRACE_PEEKSIGINFO_SHARED != 0 {
            return Err(Errno::EINVAL);
        }
        let shared = flags != 0;
        let found = request::queued(self.tracer(), &self.tracee, shared, usize_of(skip), count)?;
        let mut at = self.at();
        let mut told = 0;
        for info in &found {
            match space.copy_out(at, &info.encode()) {
                Ok(()) => told += 1,
                // What there was room for is an answer.
                Err(_) if told > 0 => break,
                Err(errno) => return Err(errno),
            }
            at = at.checked_add(u64_of(SIGINFO_SIZE)).ok_or(Errno::EFAULT)?;
        }
        Ok(told)
    }

    /// `ARCH_GET_FS` and its kin, on the tracee's registers.
    fn arch_prctl(&self) -> SysResult {
        let index = match self.data {
            0x1002 | 0x1003 => 21,
            0x1001 | 0x1004 => 22,
            _ => return Err(Errno::EINVAL),
        };
        let (tracer, tracee) = (self.tracer(), &self.tracee);
        if self.data <= 0x1002 {
            return done(request::poke_user(tracer, tracee, index * 8, self.addr));
        }
        let value = request::peek_user(tracer, tracee, index * 8)?;
        let at = UserAddr::new(self.addr);
        done(self.call.space.write_val(at, &value))
    }

    /// `PTRACE_GETREGSET` and `PTRACE_SETREGSET`: `addr` is the set, `data` an iovec.
    fn register_set(&self, request: u32) -> SysResult {
        let (tracer, tracee) = (self.tracer(), &self.tracee);
        let space = self.call.space;
        let [base, room]: [u64; 2] = space.read_val(self.at())?;
        let bytes = match self.addr {
            SET_GENERAL => general_bytes(&request::registers(tracer, tracee)?)?,
            SET_FPU => {
                let mut bytes = request::fpu_registers(tracer, tracee)?;
                bytes.truncate(FXSAVE);
                bytes
            }
            SET_XSTATE => request::fpu_registers(tracer, tracee)?,
            _ => return Err(Errno::EINVAL),
        };
        // All sets are of words; the FPU's come whole.
        let unit = if self.addr == SET_GENERAL { 8 } else { 4 };
        if room % unit != 0 {
            return Err(Errno::EINVAL);
        }
        let len = usize_of(room).min(bytes.len());
        if request == abi::PTRACE_GETREGSET {
            space.copy_out(UserAddr::new(base), bytes.get(..len).unwrap_or_default())?;
        } else {
            self.set_register_set(base, len, bytes.len())?;
        }
        let told = self.at().checked_add(8).ok_or(Errno::EFAULT)?;
        done(space.write_val(told, &u64_of(len)))
    }

    fn set_register_set(&self, base: u64, len: usize, whole: usize) -> Result<(), Errno> {
        let space = self.call.space;
        let mut given = crate::fs::memory::try_zeros(len)?;
        space.copy_in(&mut given, UserAddr::new(base))?;
        if self.addr == SET_GENERAL {
            let mut values = [0; 27];
            for (value, bytes) in values.iter_mut().zip(given.chunks_exact(8)) {
                *value = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
            }
            let values = values.get(..len / 8).unwrap_or_default();
            return request::set_registers(self.tracer(), &self.tracee, values);
        }
        if self.addr == SET_XSTATE && len != whole {
            return Err(Errno::EFAULT);
        }
        request::set_fpu_registers(self.tracer(), &self.tracee, &given)
    }
}

/// `NT_PRSTATUS`, `NT_PRFPREG`, `NT_X86_XSTATE` (linux/elf.h).
const SET_GENERAL: u64 = 1;
const SET_FPU: u64 = 2;
const SET_XSTATE: u64 = 0x202;

fn general_bytes(values: &[u64]) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(values.len() * 8)
        .map_err(|_| Errno::ENOMEM)?;
    for value in values {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    Ok(bytes)
}

fn done(result: Result<(), Errno>) -> SysResult {
    result.map(|()| 0)
}
