//! Events as files: timerfd, signalfd, eventfd, inotify, and epoll over them.
crate::behaviour::behaviours! { "event":
    timer_errors, timer_reads, timer_poll, timer_cancel ["root"], timer_info, signal_reads,
    signal_fork, signal_poll, signal_errors, counter, watch_names, watch_contents, watch_moves,
    watch_flags, watch_errors, watch_ends, watch_queue, watch_unmount ["root"], async_signals ["root"], epoll_many,
    epoll_nested,
}
