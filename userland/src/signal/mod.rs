//! Dispositions, handlers, masks, delivery, frames.
mod corrupt;

crate::behaviour::behaviours! { "signal":
    initial, handler_basic, mask_pending, action_errors, action_query, flags_nodefer,
    flags_resethand, handler_mask, nested, order, suspend, restart, poll_continued, interrupt, kill_targets,
    kill_permission ["root"], child_signal, child_stop, orphaned_group, stop_continue,
    ignored_discarded, fork_inherits, alternate_stack, alternate_errors, queue, queue_limit ["root"], timed_wait,
    alarm_clock, interval_timer, context_edit, frame_layout, registers_kept, vector_kept,
    bad_handler, bad_stack, corrupt_frames ["cpu"], bare_return ["signal:11"], storm, killed ["signal:9"],
    abort ["signal:6"],
}
