//! A QEMU (TCG) plugin that counts guest instructions from outside, for any kernel.
//!
//! It tells three phases apart: what runs before the kernel's entry point (QEMU's boot code), the
//! kernel up to the first user instruction, and the rest. The first user instruction is known by
//! its address, the entry point of a program that isn't position-independent, and by coming after
//! one in the upper half.
//!
//! It tells kernel from user mode, too, by the half of the address space: what runs in the lower half after something
//! ran in the upper one is a program's.
//!
//! A program can mark places on its way by executing [`MARK`], an instruction without effect: the
//! count of instructions at each goes into the list `marks`.
//!
//! Arguments: `entry=ADDRESS` (the kernel's physical entry point), `user=ADDRESS` (the program's), both
//! hexadecimal, `out=FILE`, which receives one JSON object at the end. The line `first user instruction` goes to QEMU's log, so that a
//! trace of device accesses in the same log can be cut there.
//!
//! With `profile=FILE` that file receives a line for each block that ran between two marks (the first and the second, the third and
//! the fourth, ...): its address in hexadecimal, its instructions, and how often it ran.
//!
//! The declarations below are the few that are needed of QEMU's public `qemu-plugin.h`, version 1.
#![allow(
    unsafe_code,
    reason = "a plugin is loaded by QEMU through a C interface"
)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

type PluginId = u64;

/// `struct qemu_plugin_tb`, opaque.
#[repr(C)]
pub struct Tb {
    _opaque: [u8; 0],
}

/// `struct qemu_plugin_insn`, opaque.
#[repr(C)]
pub struct Insn {
    _opaque: [u8; 0],
}

type TbTranslated = extern "C" fn(PluginId, *mut Tb);
type TbExecuted = extern "C" fn(c_uint, *mut c_void);
type AtExit = extern "C" fn(PluginId, *mut c_void);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: TbTranslated);
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        tb: *mut Tb,
        callback: TbExecuted,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_atexit_cb(id: PluginId, callback: AtExit, data: *mut c_void);
    fn qemu_plugin_tb_get_insn(tb: *const Tb, index: usize) -> *mut Insn;
    fn qemu_plugin_insn_data(insn: *const Insn) -> *const c_void;
    fn qemu_plugin_insn_size(insn: *const Insn) -> usize;
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut Insn,
        callback: TbExecuted,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(tb: *const Tb) -> usize;
    fn qemu_plugin_tb_vaddr(tb: *const Tb) -> u64;
    fn qemu_plugin_outs(text: *const c_char);
}

/// The interface's version that this plugin was written for (QEMU 6.0 to 8.x accept it).
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// First address of the upper half (Intel SDM vol. 1, 3.3.7.1).
const UPPER_HALF: u64 = 0xFFFF_8000_0000_0000;

/// What a translation block was when it was translated; lives as long as QEMU does.
struct Block {
    address: u64,
    instructions: u64,
    /// How often it ran between marks.
    runs: AtomicU64,
}

#[derive(Default)]
struct Counters {
    entry: AtomicU64,
    user: AtomicU64,
    /// 0: QEMU's boot code; 1: the kernel at its load address; 2: in the upper half; 3: user mode
    /// has been reached.
    phase: AtomicU64,
    /// Executed and translated instructions before the entry point, up to user mode, and after.
    executed: [AtomicU64; 3],
    translated: [AtomicU64; 3],
    /// Executed in the upper half, and in the lower one since something ran in the upper.
    kernel: AtomicU64,
    programs: AtomicU64,
    /// Microseconds from the plugin's start to the kernel's entry and to user mode.
    kernel_at: AtomicU64,
    user_at: AtomicU64,
}

impl Counters {
    fn slot(&self) -> usize {
        match self.phase.load(Relaxed) {
            0 => 0,
            1 | 2 => 1,
            _ => 2,
        }
    }
}

/// `nop dword ptr [rax + 0x4b494c4e]`.
const MARK: [u8; 7] = [0x0F, 0x1F, 0x80, b'N', b'L', b'I', b'K'];

static MARKS: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static MARKED: AtomicU64 = AtomicU64::new(0);
static PROFILE: Mutex<Option<String>> = Mutex::new(None);
static BLOCKS: Mutex<Vec<&'static Block>> = Mutex::new(Vec::new());
static COUNTERS: OnceLock<Counters> = OnceLock::new();
static STARTED: OnceLock<Instant> = OnceLock::new();
static OUT: Mutex<Option<String>> = Mutex::new(None);

fn counters() -> &'static Counters {
    COUNTERS.get_or_init(Counters::default)
}

fn elapsed_us() -> u64 {
    let elapsed = STARTED.get_or_init(Instant::now).elapsed().as_micros();
    u64::try_from(elapsed).unwrap_or(u64::MAX)
}

fn add(counter: Option<&AtomicU64>, count: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(count, Relaxed);
    }
}

extern "C" fn translated(_: PluginId, tb: *mut Tb) {
    // SAFETY: QEMU passes a block that is valid during this call.
    let (address, count) = unsafe { (qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb)) };
    let instructions = count as u64;
    let counters = counters();
    let slot = if counters.phase.load(Relaxed) == 0 && address == counters.entry.load(Relaxed) {
        1
    } else {
        counters.slot()
    };
    add(counters.translated.get(slot), instructions);
    watch_marks(tb, count);
    // Leaked on purpose: QEMU keeps the pointer for as long as the block may run.
    let block: &'static Block = Box::leak(Box::new(Block {
        address,
        instructions,
        runs: AtomicU64::new(0),
    }));
    if let Ok(profile) = PROFILE.lock()
        && profile.is_some()
        && let Ok(mut blocks) = BLOCKS.lock()
    {
        blocks.push(block);
    }
    let data = std::ptr::from_ref(block).cast_mut().cast::<c_void>();
    // SAFETY: the block is valid during this call, `data` for ever; flag 0 is QEMU_PLUGIN_CB_NO_REGS.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, data) };
}

fn watch_marks(tb: *mut Tb, count: usize) {
    for index in 0..count {
        // SAFETY: the block is valid during its translation, and has so many instructions.
        let insn = unsafe { qemu_plugin_tb_get_insn(tb, index) };
        // SAFETY: the instruction is of this block.
        if unsafe { qemu_plugin_insn_size(insn) } != MARK.len() {
            continue;
        }
        // SAFETY: as many bytes as the instruction is long.
        let bytes = unsafe { *qemu_plugin_insn_data(insn).cast::<[u8; MARK.len()]>() };
        if bytes == MARK {
            // SAFETY: as above; the callback needs no data, and flag 0 is QEMU_PLUGIN_CB_NO_REGS.
            unsafe {
                qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, 0, std::ptr::null_mut())
            };
        }
    }
}

extern "C" fn marked(_: c_uint, _: *mut c_void) {
    let total = counters()
        .executed
        .iter()
        .map(|count| count.load(Relaxed))
        .sum();
    MARKED.fetch_add(1, Relaxed);
    if let Ok(mut marks) = MARKS.lock() {
        marks.push(total);
    }
}

extern "C" fn executed(_: c_uint, data: *mut c_void) {
    // SAFETY: `data` is the leaked `Block` that was registered with this callback.
    let block = unsafe { &*data.cast::<Block>() };
    let counters = counters();
    match counters.phase.load(Relaxed) {
        0 if block.address == counters.entry.load(Relaxed) => {
            counters.kernel_at.store(elapsed_us(), Relaxed);
            counters.phase.store(1, Relaxed);
        }
        1 if block.address >= UPPER_HALF => counters.phase.store(2, Relaxed),
        2 if block.address == counters.user.load(Relaxed) => {
            counters.user_at.store(elapsed_us(), Relaxed);
            counters.phase.store(3, Relaxed);
            // SAFETY: a NUL-terminated string, copied by QEMU before the call returns.
            unsafe { qemu_plugin_outs(c"first user instruction\n".as_ptr()) };
        }
        _ => {}
    }
    add(counters.executed.get(counters.slot()), block.instructions);
    if MARKED.load(Relaxed) % 2 == 1 {
        block.runs.fetch_add(1, Relaxed);
    }
    if block.address >= UPPER_HALF {
        add(Some(&counters.kernel), block.instructions);
    } else if counters.kernel.load(Relaxed) > 0 {
        add(Some(&counters.programs), block.instructions);
    }
}

extern "C" fn at_exit(_: PluginId, _: *mut c_void) {
    let counters = counters();
    let list = |values: &[AtomicU64; 3]| {
        let values: Vec<String> = values.iter().map(|v| v.load(Relaxed).to_string()).collect();
        format!("[{}]", values.join(","))
    };
    let marks = MARKS
        .lock()
        .map_or_else(|_| Vec::new(), |marks| marks.clone());
    let text = format!(
        "{{\"marks\":{marks:?},\"executed\":{},\"translated\":{},\"kernel_us\":{},\"user_us\":{},\"reached_user\":{},\"kernel\":{},\"programs\":{}}}\n",
        list(&counters.executed),
        list(&counters.translated),
        counters.kernel_at.load(Relaxed),
        counters.user_at.load(Relaxed),
        counters.phase.load(Relaxed) == 3,
        counters.kernel.load(Relaxed),
        counters.programs.load(Relaxed),
    );
    write_profile();
    let out = OUT.lock().ok().and_then(|mut out| out.take());
    if let Some(path) = out
        && let Err(error) = std::fs::write(&path, text)
    {
        eprintln!("kiln-count: {path}: {error}");
    }
}

fn write_profile() {
    let path = PROFILE.lock().ok().and_then(|mut profile| profile.take());
    let (Some(path), Ok(blocks)) = (path, BLOCKS.lock()) else {
        return;
    };
    let ran = blocks.iter().map(|block| (block, block.runs.load(Relaxed)));
    let lines = ran
        .filter(|(_, runs)| *runs > 0)
        .map(|(block, runs)| format!("{:x} {} {runs}\n", block.address, block.instructions));
    if let Err(error) = std::fs::write(&path, lines.collect::<String>()) {
        eprintln!("kiln-count: {path}: {error}");
    }
}

/// Called once by QEMU when it loads the plugin; 0 accepts.
///
/// # Safety
/// `argv` points to `argc` NUL-terminated strings, as QEMU's interface promises.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: PluginId,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    elapsed_us();
    for index in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: index < argc, and each entry is a NUL-terminated string.
        let argument = unsafe { CStr::from_ptr(*argv.add(index)) }.to_string_lossy();
        match argument.split_once('=') {
            Some((name @ ("entry" | "user"), value)) => {
                let value = value.trim_start_matches("0x");
                let Ok(address) = u64::from_str_radix(value, 16) else {
                    return 1;
                };
                let counters = counters();
                let slot = if name == "entry" {
                    &counters.entry
                } else {
                    &counters.user
                };
                slot.store(address, Relaxed);
            }
            Some(("out", path)) => {
                if let Ok(mut out) = OUT.lock() {
                    *out = Some(path.to_owned());
                }
            }
            Some(("profile", path)) => {
                if let Ok(mut profile) = PROFILE.lock() {
                    *profile = Some(path.to_owned());
                }
            }
            _ => return 1,
        }
    }
    // SAFETY: `id` is the one QEMU gave; the callbacks are functions of this library.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, at_exit, std::ptr::null_mut());
    }
    0
}
