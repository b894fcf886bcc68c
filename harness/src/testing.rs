//! What a VM test is made of: a [`Case`] with a deadline, [`Job`] to run something through the
//! launcher as a caller would, and [`run_all`], which runs cases side by side and tells how they
//! went.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::root;

/// How a case ended, when it didn't fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Tests in it that passed.
    pub passed: u64,
    /// Tests in it that failed.
    pub failed: u64,
    /// Tests in it that weren't run.
    pub skipped: u64,
}

/// One case passed.
pub const PASSED: Counts = Counts {
    passed: 1,
    failed: 0,
    skipped: 0,
};

/// What a case does.
type Run = Box<dyn Fn() -> Result<Counts> + Send + Sync>;

/// One test.
pub struct Case {
    /// `subject::what_holds`.
    pub name: String,
    /// Only with `--long`.
    pub long: bool,
    /// Not beside others: it needs the whole machine.
    pub alone: bool,
    run: Run,
}

impl Case {
    /// A case that passes when `run` has no error.
    pub fn new(name: &str, run: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self::counted(name, move || run().map(|()| PASSED))
    }

    /// A case that stands for several tests.
    pub fn counted(name: &str, run: impl Fn() -> Result<Counts> + Send + Sync + 'static) -> Self {
        Self {
            name: name.to_owned(),
            long: false,
            alone: false,
            run: Box::new(run),
        }
    }

    /// The same, only with `--long`.
    #[must_use]
    pub fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// The same, with no other beside it.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }
}

/// How many CPUs the VMs have whose test doesn't say.
static CPUS: OnceLock<u32> = OnceLock::new();

/// Gives every VM whose test doesn't say otherwise this many CPUs. The first call counts.
pub fn set_cpus(cpus: u32) {
    CPUS.get_or_init(|| cpus);
}

/// A job, run through the launcher.
pub struct Job {
    command: Command,
    input: Option<Vec<u8>>,
    deadline: Duration,
}

/// What came of a job.
#[derive(Debug)]
pub struct Got {
    /// The launcher's own end.
    pub exit: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// From its start to its end.
    pub wall: Duration,
}

impl Job {
    /// `run.sh ARGS`, without the shell around it.
    pub fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(launcher());
        command.args(args).env("KILN_HOME", root::project());
        if let Some(cpus) = CPUS.get() {
            command.env("KILN_CPUS", cpus.to_string());
        }
        Self::of(command)
    }

    /// `run.sh -- sh -c SCRIPT`.
    #[must_use]
    pub fn sh(script: &str) -> Self {
        Self::new(["--", "sh", "-c", script])
    }

    /// `run.sh OPTIONS -- sh -c SCRIPT`.
    pub fn sh_with<S: AsRef<OsStr>>(options: impl IntoIterator<Item = S>, script: &str) -> Self {
        let options = options.into_iter().map(|word| word.as_ref().to_owned());
        let rest = ["--", "sh", "-c", script].map(OsString::from);
        Self::new(options.chain(rest))
    }

    /// Any command, with the same care.
    #[must_use]
    pub fn of(command: Command) -> Self {
        Self {
            command,
            input: None,
            deadline: Duration::from_secs(60),
        }
    }

    /// Standard input; without it there is none.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Longer or shorter than a minute.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Starts it, for tests that do something meanwhile.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(mut self) -> Result<Running> {
        let stdin = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        if let (Some(bytes), Some(mut pipe)) = (self.input, child.stdin.take()) {
            // A job needn't read all of it.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Ok(Running {
            child,
            stdout,
            stderr,
            start: Instant::now(),
            deadline: self.deadline,
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it can't be started or doesn't end in time.
    pub fn run(self) -> Result<Got> {
        self.start()?.wait()
    }
}

type Collector = JoinHandle<Vec<u8>>;

fn collect(mut pipe: impl Read + Send + 'static) -> Collector {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// A job under way. It is killed when this is dropped.
pub struct Running {
    /// The launcher.
    pub child: Child,
    stdout: Option<Collector>,
    stderr: Option<Collector>,
    start: Instant,
    deadline: Duration,
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// When it doesn't come in time; the launcher is killed then.
    pub fn wait(mut self) -> Result<Got> {
        let fd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        let left = self.deadline.saturating_sub(self.start.elapsed());
        let ended = poll(
            &mut [PollFd::new(&fd, PollFlags::IN)],
            Some(&Timespec::try_from(left)?),
        )?;
        let wall = self.start.elapsed();
        if ended == 0 {
            self.kill();
        }
        let exit = self.child.wait()?;
        let join = |pipe: Option<Collector>| pipe.and_then(|pipe| pipe.join().ok());
        let got = Got {
            exit,
            stdout: join(self.stdout.take()).unwrap_or_default(),
            stderr: join(self.stderr.take()).unwrap_or_default(),
            wall,
        };
        if ended == 0 {
            bail!("still running after {:?}; {}", self.deadline, got.shown());
        }
        Ok(got)
    }
}

impl Running {
    /// Ends it and all that it has started.
    pub fn kill(&self) {
        // It has ended already if a wait came before.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
        let _ = self.child.wait();
    }
}

impl Got {
    /// The exit status as a shell tells it.
    #[must_use]
    pub fn status(&self) -> i32 {
        let signal = || self.exit.signal().map(|signal| 128 + signal);
        self.exit.code().or_else(signal).unwrap_or(-1)
    }

    /// Standard output as text.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// All of it in one line, for a failure.
    #[must_use]
    pub fn shown(&self) -> String {
        format!(
            "status {}, output {:?}, error {:?}",
            self.status(),
            cut(&self.out()),
            cut(&self.err())
        )
    }

    /// This status, and nothing else looked at.
    ///
    /// # Errors
    /// When it is another.
    pub fn has_status(self, status: i32) -> Result<Self> {
        ensure!(
            self.status() == status,
            "not status {status}: {}",
            self.shown()
        );
        Ok(self)
    }

    /// The job's own status, this output and no word from Kiln.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn is(self, status: i32, output: &str) -> Result<()> {
        let got = self.has_status(status)?;
        ensure!(
            got.out() == output,
            "not output {output:?}: {}",
            got.shown()
        );
        ensure!(
            !got.err().contains("kiln:"),
            "a word from Kiln: {}",
            got.shown()
        );
        Ok(())
    }

    /// This status, with exactly one line of Kiln's that contains `text`.
    ///
    /// # Errors
    /// What is otherwise.
    pub fn says(self, status: i32, text: &str) -> Result<()> {
        let got = self.has_status(status)?;
        let err = got.err();
        let lines: Vec<&str> = err
            .lines()
            .filter(|line| line.starts_with("kiln: "))
            .collect();
        match lines.as_slice() {
            [line] if line.contains(text) => Ok(()),
            _ => bail!("not one line with {text:?}: {}", got.shown()),
        }
    }
}

fn cut(text: &str) -> String {
    let mut start: String = text.chars().take(400).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

/// The launcher that was built beside this program.
#[must_use]
pub fn launcher() -> PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("kiln-run")))
        .unwrap_or_else(|| PathBuf::from("kiln-run"))
}

/// A directory that goes away with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// A new one; `name` is for people.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn new(name: &str) -> Result<Self> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = std::process::id();
        let path = std::env::temp_dir().join(format!("kiln-test-{name}-{id}-{number}"));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// `name` in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test may have made it unreadable; then it stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `cases`, as many at a time as there are CPUs, and prints a line for each.
#[must_use]
pub fn run_all(cases: &[Case]) -> Counts {
    let total = Mutex::new(Counts::default());
    let cpus = thread::available_parallelism().map_or(2, usize::from);
    let (alone, together): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.alone);
    let queue = Mutex::new(together.into_iter());
    thread::scope(|scope| {
        for _ in 0..cpus {
            scope.spawn(|| {
                while let Some(case) = next(&queue) {
                    run_one(case, &total);
                }
            });
        }
    });
    alone.into_iter().for_each(|case| run_one(case, &total));
    *lock(&total)
}

fn next<'a>(queue: &Mutex<impl Iterator<Item = &'a Case>>) -> Option<&'a Case> {
    lock(queue).next()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run_one(case: &Case, total: &Mutex<Counts>) {
    let start = Instant::now();
    let result = (case.run)();
    let seconds = start.elapsed().as_secs_f32();
    let (word, counts, why) = match result {
        Ok(counts) if counts.failed > 0 => ("FAIL", counts, String::new()),
        Ok(counts) if counts.passed == 0 => ("skip", counts, String::new()),
        Ok(counts) => ("ok  ", counts, String::new()),
        Err(error) => {
            let counts = Counts {
                failed: 1,
                ..Counts::default()
            };
            ("FAIL", counts, format!("\n     {error:#}"))
        }
    };
    let mut total = lock(total);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    println!("{word} {} ({seconds:.1} s){why}", case.name);
}
