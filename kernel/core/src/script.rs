//! `#!` lines: which interpreter a script names (execve(2), "Interpreter scripts"; the corners are
//! those of Linux's fs/binfmt_script.c).

use crate::errno::Errno;

/// Bytes at the start of a file that are looked at (`BINPRM_BUF_SIZE`).
pub const HEAD_SIZE: usize = 256;
/// How many interpreters may be scripts in turn before it is too many.
pub const MAX_DEPTH: usize = 5;

/// What a script's first line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Script<'a> {
    /// The interpreter's path.
    pub interpreter: &'a [u8],
    /// All the rest of the line, as one argument.
    pub argument: Option<&'a [u8]>,
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(*byte));
    let end = line.iter().rposition(|byte| !is_blank(*byte));
    start
        .zip(end)
        .and_then(|(start, end)| line.get(start..=end))
        .unwrap_or_default()
}

/// Reads the first line. `head` is the file's start, [`HEAD_SIZE`] bytes unless the file is
/// shorter. `None`: it isn't a script.
///
/// # Errors
/// `ENOEXEC` when it names no interpreter, or one that may go on past the end of `head`; `EACCES`
/// when the file ends before a name or a newline.
pub fn parse(head: &[u8]) -> Result<Option<Script<'_>>, Errno> {
    let Some(rest) = head.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let line_end = rest.iter().position(|byte| *byte == b'\n' || *byte == 0);
    let line = match line_end {
        Some(end) => rest.get(..end).unwrap_or_default(),
        None => rest,
    };
    let cut = line_end.is_none() && head.len() >= HEAD_SIZE;
    let has_newline = head.contains(&b'\n');
    let started = line
        .iter()
        .position(|byte| !is_blank(*byte))
        .and_then(|start| line.get(start..));
    let Some(started) = started else {
        // Where the file just ends, the empty name is tried, and stands for a directory.
        let tried = !has_newline && !cut;
        return Err(if tried { Errno::EACCES } else { Errno::ENOEXEC });
    };
    let end = started.iter().position(|byte| is_blank(*byte));
    if cut && end.is_none() {
        return Err(Errno::ENOEXEC);
    }
    let (interpreter, rest) = started.split_at(end.unwrap_or(started.len()));
    let argument = trim(rest);
    Ok(Some(Script {
        interpreter,
        argument: (!argument.is_empty()).then_some(argument),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(head: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
        let script = parse(head).unwrap()?;
        Some((script.interpreter, script.argument))
    }

    #[test]
    fn lines() {
        assert_eq!(both(b"\x7fELF"), None);
        assert_eq!(both(b"#!/bin/sh\necho"), Some((&b"/bin/sh"[..], None)));
        assert_eq!(
            both(b"#! \t/bin/sh  -e x \t\n"),
            Some((&b"/bin/sh"[..], Some(&b"-e x"[..])))
        );
        assert_eq!(both(b"#!/bin/sh"), Some((&b"/bin/sh"[..], None)));
        assert_eq!(both(b"#!/bin/sh\r\n"), Some((&b"/bin/sh\r"[..], None)));
        assert_eq!(parse(b"#!"), Err(Errno::EACCES));
        assert_eq!(parse(b"#! \0"), Err(Errno::EACCES));
        assert_eq!(parse(b"#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(parse(b"#!   \n/bin/sh\n"), Err(Errno::ENOEXEC));
    }

    #[test]
    fn long_lines() {
        let mut head = [b'x'; HEAD_SIZE];
        head[..3].copy_from_slice(b"#!/");
        assert_eq!(parse(&head), Err(Errno::ENOEXEC));
        head[100] = b' ';
        let script = parse(&head).unwrap().unwrap();
        assert_eq!(script.interpreter.len(), 98);
        assert_eq!(script.argument.map(<[u8]>::len), Some(155));
    }
}
