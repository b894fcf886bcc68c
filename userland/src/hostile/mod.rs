//! Every system call's number with arguments that nobody should pass: what they answer, and that
//! the kernel outlives them. [`arena`] has the arguments, [`worker`] the children that make the
//! calls, without rights and with a deadline, so that the host too may run them as root.
crate::behaviour::behaviours! { "hostile":
    answers ["root", "slow", "absent"], random ["root", "slow"], storm ["root", "slow", "alone"],
}
mod arena;
mod calls;
mod worker;
