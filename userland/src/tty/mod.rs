//! Terminals: pseudo terminal pairs, their line, job control, hanging up.
crate::behaviour::behaviours! { "tty":
    pair, names, instances ["root"], packet, poll_sides, session, background, hang_up, leader_ends, flow, window,
    insert, canonical_read, full, wrong_sides, reopen, old_settings, async_input,
}
