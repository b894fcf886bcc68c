//! Pipes and descriptors: data, ends, atomicity, non-blocking, polling, duplication.
crate::behaviour::behaviours! { "pipe":
    end_of_file, sigpipe ["signal:13"], big_transfer, nonblock, atomic_writes, capacity,
    blocked_writer, blocked_reader, partial, vectors, chain, errors, status, bytes_waiting,
    dup_semantics, dup_errors, descriptor_flags, poll_ends, poll_waits, select_ends, fifo,
    yes_head, reopened, packets, odd_ends, user_pages ["root"],
}
