//! Disks and the channel, as the job's specification names them, driven without a job.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use kiln_core::errno::Errno;
use kiln_core::job::{FW_CFG_NAME, Spec};

use crate::drivers::block::{
    BlockDevice, IoError, Memory, SECTORS_PER_PAGE, read_bytes, write_bytes,
};
use crate::drivers::channel::{self, Output};
use crate::drivers::fw_cfg;
use crate::drivers::virtio::blk::VirtioBlk;
use crate::fs::{self, File, FsContext};
use crate::mm::FrameRef;
use crate::vm::{IoDst, IoSrc};

fn spec() -> Spec {
    let Ok(bytes) = fw_cfg::read(FW_CFG_NAME) else {
        panic!("no job specification");
    };
    let Ok(spec) = Spec::decode(&bytes) else {
        panic!("an odd job specification");
    };
    spec
}

fn open_channel(spec: &Spec) {
    let Some(slot) = spec.console else {
        panic!("no console");
    };
    if let Err(error) = channel::init(slot, spec.stdin) {
        panic!("{error}");
    }
}

fn write(stream: Output, bytes: &[u8]) -> Result<usize, Errno> {
    let mut left = bytes;
    channel::write(stream, bytes.len(), false, &mut |place| {
        let Some((now, later)) = left.split_at_checked(place.len()) else {
            return Err(Errno::EFAULT);
        };
        place.copy_from_slice(now);
        left = later;
        Ok(now.len())
    })
}

/// Opens the job's streams, as files.
fn open_streams(spec: &Spec) -> [Arc<File>; 3] {
    let opened = fs::init(None).ok().and_then(|namespace| {
        let context = FsContext::new(namespace).ok()?;
        fs::stdio::open(&context, spec).ok()
    });
    let Some([Some(input), Some(output), Some(error)]) = opened else {
        panic!("no streams");
    };
    [input, output, error]
}

/// Sends its input back, then says goodbye on standard error.
pub(super) fn echo() {
    let spec = spec();
    open_channel(&spec);
    let [input, output, error] = open_streams(&spec);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match input.read(&mut IoDst::kernel(&mut buffer)) {
            Ok(0) => break,
            Ok(len) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                if output.write(&mut IoSrc::kernel(bytes)) != Ok(len) {
                    break;
                }
            }
            Err(error) => panic!("reading: {error}"),
        }
    }
    drop((input, output));
    let goodbye = error.write(&mut IoSrc::kernel(b"goodbye\n"));
    assert_eq!(goodbye, Ok(8));
    channel::log(b"a message of the kernel's\n");
    channel::drain();
    assert!(!channel::failed() && channel::lost() == 0);
}

/// A terminal that answers each line with its length, until the end is typed.
pub(super) fn terminal() {
    let spec = spec();
    open_channel(&spec);
    let [input, output, _] = open_streams(&spec);
    let mut buffer = [0; 100];
    loop {
        match input.read(&mut IoDst::kernel(&mut buffer)) {
            Ok(0) => break,
            Ok(len) => {
                let line = format!("\t{len}\n");
                assert_eq!(
                    output.write(&mut IoSrc::kernel(line.as_bytes())),
                    Ok(line.len())
                );
            }
            Err(error) => panic!("reading: {error}"),
        }
    }
    channel::drain();
}

/// Writes every disk that may be written, and reads it back in other pieces.
pub(super) fn disks() {
    let spec = spec();
    open_channel(&spec);
    for (number, disk) in spec.disks.iter().enumerate() {
        match VirtioBlk::probe(disk.slot, format!("vd{number}"), disk.read_only) {
            Ok(disk) => exercise(&*disk),
            Err(error) => panic!("{error}"),
        }
    }
    channel::drain();
}

/// Most pages of a disk that are tried: more than go into two requests.
const PAGES: u64 = 300;
const START: u64 = 4096;

fn exercise(disk: &dyn BlockDevice) {
    let page = FrameRef::alloc();
    let pages = (disk.sectors() / SECTORS_PER_PAGE - 1).min(PAGES);
    let frames: Result<Vec<_>, _> = (0..pages).map(|_| FrameRef::alloc()).collect();
    let (Ok(page), Ok(frames)) = (page, frames) else {
        panic!("no memory");
    };
    for (number, frame) in frames.iter().enumerate() {
        frame.zero(0, 4096);
        frame.write(number, format!("page {number}").as_bytes());
    }
    let all = Memory::Frames(&frames);
    let written = disk.write(START / 512, all);
    if disk.read_only() {
        assert_eq!(written, Err(IoError::ReadOnly));
        assert_eq!(disk.read(START / 512, all), Ok(()));
    } else {
        assert_eq!(written, Ok(()));
        assert_eq!(disk.flush(), Ok(()));
        frames.iter().for_each(|frame| frame.zero(0, 4096));
        assert_eq!(disk.read(START / 512, all), Ok(()));
        for (number, frame) in frames.iter().enumerate() {
            let expected = format!("page {number}");
            let mut found = vec![0; expected.len()];
            frame.read(number, &mut found);
            assert_eq!(found, expected.as_bytes());
        }
        let mut found = [0; 700];
        assert_eq!(read_bytes(disk, START + 4096 * 7 - 100, &mut found), Ok(()));
        assert_eq!(found.get(107..113), Some(&b"page 7"[..]));
        assert_eq!(write_bytes(disk, START, &[7; 512]), Ok(()));
        assert_eq!(disk.discard(START / 512 + 8, 8), Ok(()));
    }
    let beyond = disk.read(disk.sectors() - 1, Memory::Frames(&[page]));
    assert_eq!(beyond, Err(IoError::OutOfRange));
    let mut serial = [0; 20];
    let line = format!(
        "{} {:?} {:?}\n",
        disk.name(),
        disk.serial(&mut serial),
        disk.stats()
    );
    assert_eq!(write(Output::Stdout, line.as_bytes()), Ok(line.len()));
}
