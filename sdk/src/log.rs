//! For operators and authors, never for the client. `log::info!("{} parts", parts.len())`

#[doc(inline)]
pub use crate::{log_debug as debug, log_error as error, log_info as info, log_warning as warning};

/// Writes a message: 0 debug, 1 info, 2 warning, 3 error, 4 critical. Each is cut at 4 KiB.
pub fn write(level: u8, message: &str) {
    crate::sys::log::write(level, message);
}

/// What happens in detail.
#[macro_export]
macro_rules! log_debug {
    ($($text:tt)+) => { $crate::log::write(0, &::std::format!($($text)+)) };
}

/// Something that an operator may want to know.
#[macro_export]
macro_rules! log_info {
    ($($text:tt)+) => { $crate::log::write(1, &::std::format!($($text)+)) };
}

/// Something is not as it should be; the call goes on.
#[macro_export]
macro_rules! log_warning {
    ($($text:tt)+) => { $crate::log::write(2, &::std::format!($($text)+)) };
}

/// Something failed.
#[macro_export]
macro_rules! log_error {
    ($($text:tt)+) => { $crate::log::write(3, &::std::format!($($text)+)) };
}
