//! The job: started from the launcher's specification, waited for, flushed, reported.
//!
//! [`run`] is the last thing the boot calls. [`prepare`] reads the specification and sets the
//! scene: the channel, the disks, the mounted tree. [`ending`] takes everything down in the order
//! that loses nothing: processes, file systems, the channel, the record, the machine.

mod ending;
mod prepare;

use core::sync::atomic::{AtomicBool, Ordering};

use alloc::boxed::Box;
use alloc::sync::Arc;

use kiln_core::errno::Errno;
use kiln_core::job::Spec;
use kiln_core::report::Ending;

use crate::arch::time::now_ns;
use crate::drivers::channel::{self, Handlers};
use crate::process::{self, Process, oom, start};
use crate::sched;
use crate::syscall;
use ending::{Outcome, finish};

/// The time limit has passed.
static TIMED_OUT: AtomicBool = AtomicBool::new(false);

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
        Ok(job) => {
            watch(&spec, &job);
            finish(&wait(&job))
        }
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
    })
}

/// Sees to what may come while the job runs: the launcher's signals, and the time limit.
fn watch(spec: &Spec, job: &Arc<Process>) {
    let handlers = Handlers {
        signal: start::signal_job,
        window: crate::fs::tty::resize,
    };
    // A job without these watchers still runs and ends; the launcher has its own time limit.
    let _ = sched::spawn(b"channel", Box::new(move || channel::serve(handlers)));
    if spec.timeout_ms > 0 {
        let deadline = spec.timeout_ms.saturating_mul(1_000_000);
        let job = Arc::clone(job);
        let _ = sched::spawn(
            b"timeout",
            Box::new(move || {
                if job.wait_ended(Some(deadline.max(now_ns()))).is_none() {
                    TIMED_OUT.store(true, Ordering::Release);
                    start::kill_job();
                }
            }),
        );
    }
}

fn wait(job: &Arc<Process>) -> Outcome {
    let status = job.wait_ended(None);
    if TIMED_OUT.load(Ordering::Acquire) {
        return Outcome::failed(Ending::Timeout, "the time limit has passed");
    }
    let outcome = Outcome::ended(status);
    if oom::was_victim(job) {
        outcome.because("out of memory")
    } else {
        outcome
    }
}
