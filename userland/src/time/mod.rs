//! Clocks and sleeping.
crate::behaviour::behaviours! { "time":
    monotonic, sleep_not_early, sleep_accuracy, sleep_errors, sleep_interrupted, sleep_absolute,
    clocks, resolution, time_of_day, cpu_clocks, set_clock_errors, preempt_sleeper, preempt_share,
    many_sleepers, stopped_sleeper, busy_signal,
}
