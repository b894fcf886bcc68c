//! Several threads at once, on as many CPUs as there are: what each CPU remembers of memory, and what
//! crosses from one CPU to another.
crate::behaviour::behaviours! { "smp":
    replaced_pages ["threads"], protected_pages ["threads"], snapshots ["threads"],
    hammering ["threads"], affinity ["threads"], crossing ["threads"], policies ["root"],
    waiting_place ["root", "threads"], one_name ["threads"], restarted ["threads"],
}
