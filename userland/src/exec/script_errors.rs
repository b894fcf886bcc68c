//! `#!` lines that name no program: ENOENT, EACCES, ENOEXEC, and lines too long for the buffer.
use crate::out::show;
use crate::scratch::Scratch;
use crate::sys::{file, process};
use std::ffi::CStr;

pub(crate) fn run(_: &[&CStr]) -> i32 {
    let _dir = Scratch::enter();
    file::make(c"data", b"data", 0o644);
    file::make(c"words", b"words", 0o755);
    let long = format!("#!/{}\n", "x".repeat(300));
    let long_argument = format!("#!/no/such {}\n", "x".repeat(300));
    for (label, text) in [
        ("missing", "#!/no/such\n"),
        ("empty", "#!\n"),
        ("blanks only", "#!   \t \n"),
        ("nothing after", "#!"),
        ("not executable", "#!./data\n"),
        ("a directory", "#!/\n"),
        ("not a program", "#!./words\n"),
        ("beneath a file", "#!./data/x\n"),
        ("space before", " #!/no/such\n"),
        ("long name", long.as_str()),
        ("long argument", long_argument.as_str()),
        ("nul", "#!/no/such\0x\n"),
    ] {
        let _ = file::unlink(c"script");
        file::make(c"script", text.as_bytes(), 0o755);
        show(label, process::execve(c"script", &[c"x"], &[]));
    }
    0
}
