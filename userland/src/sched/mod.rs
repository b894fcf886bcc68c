//! Who gets the CPUs: deadlines and what they reserve, the bounds of real time, priorities that are lent.
//!
//! The programs need the superuser's right to real time.
crate::behaviour::behaviours! { "sched":
    deadline ["root"], throttled ["root", "slow"], lent ["root", "threads"], woken_by_priority ["root", "threads"],
    accounts, beside_urgent ["root"],
}
