//! System V IPC: shared memory, semaphores, message queues; POSIX message queues.
crate::behaviour::behaviours! { "ipc":
    shm_shared, shm_rules, shm_stat, sem_values, sem_waits, sem_undo, sem_rules, msg_order,
    msg_waits, msg_rules, permissions ["root"], mq_order, mq_rules ["root"], mq_waits, mq_notify,
    mq_tree ["root"],
}
