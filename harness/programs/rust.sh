# A static and a dynamic Rust program.
cd /tmp && cat > a.rs <<'P'
use std::{collections::BTreeMap, sync::mpsc, thread, process::Command, fs, io::Write};
fn main() { let (s, r) = mpsc::channel(); for i in 0..8u64 { let s = s.clone(); thread::spawn(move || s.send((i, (1..=20 * i).sum::<u64>())).unwrap()); } drop(s);
 let m: BTreeMap<_, _> = r.into_iter().collect(); println!("{m:?}"); let o = Command::new("sh").args(["-c", "echo child; exit 3"]).output().unwrap(); println!("{:?} {:?}", String::from_utf8_lossy(&o.stdout), o.status.code());
 let mut f = fs::File::create("f").unwrap(); f.write_all(&[7; 5000]).unwrap(); println!("{}", fs::metadata("f").unwrap().len());
 let p = thread::spawn(|| { let v: Vec<i32> = vec![]; v[1] }).join().is_err(); println!("{p}"); std::process::exit(8) }
P
rustc -O a.rs -o dyn 2>&1 && ./dyn 2>&1; echo $?; rustc -O -C target-feature=+crt-static a.rs -o stat 2>&1 && ./stat 2>&1; echo $?; rustc -C prefer-dynamic a.rs -o pd && LD_LIBRARY_PATH=$(rustc --print sysroot)/lib ./pd 2>/dev/null; echo $?
