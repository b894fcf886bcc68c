//! Pipes and descriptors: data, ends, atomicity, non-blocking, polling, duplication.
crate::behaviour::behaviours! { "pipe":
    end_of_file, sigpipe ["signal:13"], big_transfer, nonblock,
}
