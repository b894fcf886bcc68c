# cargo build of a small crate with Debian's rustc.
export HOME=/tmp CARGO_HOME=/tmp/cargo; cd /tmp && cargo new --vcs none small 2>&1 | tail -1 && cd small && cat > src/lib.rs <<'P'
//! A lexer and a calculator.
pub fn eval(s: &str) -> i64 { let mut t = s.split_whitespace().peekable(); let mut st: Vec<i64> = vec![]; while let Some(w) = t.next() { match w { "+" => { let b = st.pop().unwrap(); *st.last_mut().unwrap() += b } "*" => { let b = st.pop().unwrap(); *st.last_mut().unwrap() *= b } n => st.push(n.parse().unwrap()) } } st[0] }
#[cfg(test)] mod tests { #[test] fn sums() { assert_eq!(super::eval("1 2 + 3 *"), 9) } #[test] fn one() { assert_eq!(super::eval("7"), 7) } }
P
echo 'fn main() { println!("{}", small::eval("2 3 + 4 *")) }' > src/main.rs; cargo build --offline 2>&1 | sed 's/ in [0-9.ms ]*$//; s/(.*)//'; target/debug/small; cargo test --offline 2>&1 | grep -E '^test ' | sed 's|; finished in.*||' | sort; cargo build --offline --release 2>&1 | grep -c Finished; target/release/small
