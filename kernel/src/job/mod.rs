//! The job: started from the launcher's specification, waited for, flushed, reported.
//!
//! [`run`] is the last thing the boot calls. [`prepare`] reads the specification and sets the
//! scene: the channel, the disks, the mounted tree. [`ending`] takes everything down in the order
//! that loses nothing: processes, file systems, the channel, the record, the machine.

mod ending;
mod prepare;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use kiln_core::errno::Errno;
use kiln_core::job::Spec;
use kiln_core::report::Ending;
use kiln_core::wait_status::ExitStatus;

use crate::arch::time::now_ns;
use crate::drivers::channel::{self, Handlers};
use crate::process::{self, Process, oom, start};
use crate::syscall;
use ending::{Outcome, finish};

/// Runs the job to its end and leaves the machine.
pub(crate) fn run() -> ! {
    let scene = match prepare::scene() {
        Ok(scene) => scene,
        Err(failure) => finish(&Outcome::failed(failure.ending, &failure.reason)),
    };
    if !scene.spec.report {
        ending::be_brief();
    }
    if scene.spec.strace {
        syscall::trace::enable();
    }
    let started = start_program(&scene);
    let prepare::Scene { spec, stdio, .. } = scene;
    // The streams are the job's alone: they end when it closes them.
    drop(stdio);
    match started {
        Ok(job) => finish(&wait(&spec, &job)),
        Err(errno) => finish(&Outcome::not_started(&spec, errno)),
    }
}

fn start_program(scene: &prepare::Scene) -> Result<Arc<Process>, Errno> {
    let spec = &scene.spec;
    process::init(syscall::main_loop)?;
    process::spawn_job(&start::JobPlan {
        args: &spec.args,
        env: &spec.env,
        cwd: &spec.cwd,
        uid: spec.uid,
        gid: spec.gid,
        stdio: &scene.stdio,
        fs: &scene.fs,
        tty: spec.tty,
        end: channel::events(),
        leave: leaves_nothing(spec).then_some(leave),
    })
}

/// No disk holds anything of the job, and nobody asks what it used.
fn leaves_nothing(spec: &Spec) -> bool {
    spec.disks.is_empty() && !spec.report && !spec.strace
}

/// The last process of such a job ends.
fn leave(job: &Arc<Process>, status: ExitStatus) -> ! {
    ending::leave_at_once(&outcome(job, status))
}

/// Waits for the job's end, and sees to what may come until then: the launcher's signals, the window's size,
/// the time limit.
fn wait(spec: &Spec, job: &Arc<Process>) -> Outcome {
    let handlers = Handlers {
        signal: start::signal_job,
        window: crate::fs::tty::resize,
    };
    let limit = spec.timeout_ms.saturating_mul(1_000_000);
    let deadline = (limit > 0).then(|| limit.max(now_ns()));
    let ended = || job.ended();
    let Some(status) = channel::serve(handlers, deadline, ended) else {
        LIMIT_PASSED.store(true, Ordering::Relaxed);
        start::kill_job();
        let _ = channel::serve(handlers, None, ended);
        return timed_out();
    };
    outcome(job, status)
}

/// The time limit has passed, and the job was killed for it.
static LIMIT_PASSED: AtomicBool = AtomicBool::new(false);

fn timed_out() -> Outcome {
    Outcome::failed(Ending::Timeout, "the time limit has passed")
}

fn outcome(job: &Arc<Process>, status: ExitStatus) -> Outcome {
    if LIMIT_PASSED.load(Ordering::Relaxed) {
        return timed_out();
    }
    let outcome = Outcome::ended(status);
    if oom::was_victim(job) {
        outcome.because("out of memory")
    } else {
        outcome
    }
}
