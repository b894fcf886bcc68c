//! The host side of Kiln.
