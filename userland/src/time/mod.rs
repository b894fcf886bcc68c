//! Clocks and sleeping.
crate::behaviour::behaviours! { "time":
    monotonic, sleep_not_early, sleep_accuracy, sleep_errors, sleep_interrupted, sleep_absolute,
    clocks, resolution, time_of_day, cpu_clocks, set_clock_errors, preempt_sleeper, preempt_share,
    many_sleepers, stopped_sleeper, busy_signal, vdso_symbols, vdso_calls, vdso_together ["threads"],
    vdso_mapping, vdso_unwind, clock_ids ["root"], cpu_clocks_of_others ["threads"], timers_by_clock ["root"], timer_numbers,
}
