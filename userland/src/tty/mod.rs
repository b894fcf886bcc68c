//! Terminals: pseudo terminal pairs, their line, job control, hanging up.
crate::behaviour::behaviours! { "tty":
    pair, names, packet, poll_sides, session, background, hang_up, leader_ends, flow, window,
    insert, canonical_read, full, wrong_sides, reopen, async_input,
}
