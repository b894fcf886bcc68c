//! Sockets: unix, TCP and UDP over the loopback, their names, ends, errors, options and states.
crate::behaviour::behaviours! { "socket":
    make_errors, unix_stream, unix_messages, unix_names, unix_backlog, unix_ends, unix_rights,
    unix_rights_rings, unix_credentials, unix_full, tcp_basic, tcp_ends, tcp_reset, tcp_refused,
    tcp_urgent, tcp_errors, tcp_time_wait, tcp_transfer, tcp_dual, tcp_poll_edges, udp_basic,
    udp_errors, udp_details, udp_told, options, peek_and_wait, timeouts, blocked, interrupted,
    broken_pipe ["signal:13"], rounded_options, routes, process_events ["root"], task_stats ["root"], interfaces, many_messages, splice, raw ["root"], hog,
    udp_segments, peek_offset, kept_options, peer_groups ["root"], route_requests ["root"], tcp_self, bind_groups ["root"], device_binding ["root"], protocol_counts, filters,
}
