//! Dispositions, handlers, masks, delivery, frames.
crate::behaviour::behaviours! { "signal":
    handler_basic, mask_pending,
}
