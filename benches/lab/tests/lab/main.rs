//! The lab, tested through its binary and its trace decoder.

mod compare;
mod failures;
mod replay;
mod support;
mod trace;
